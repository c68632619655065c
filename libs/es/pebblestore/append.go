package pebblestore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/yimu-ledger/yimu/libs/es"
)

const (
	groupBytes = 4 << 20 // about how much one batch holds at most
	knownTips  = 16384   // streams whose tip the writer remembers, twice
)

// Append implements es.Store. Appending no events does nothing. Once the append
// was handed to the writer, an end of ctx leaves open what becomes of it.
func (s *Store) Append(ctx context.Context, stream string, expected uint64, events ...es.Proposed) (es.Position, error) {
	if err := ctx.Err(); err != nil || len(events) == 0 {
		return 0, err
	}
	if stream == "" {
		return 0, errors.New("pebblestore: a stream needs a name")
	}
	if largest, total := (es.Commit{Events: events}).Size(); largest > es.MaxEvent || total > es.MaxCommit {
		return 0, es.ErrTooLarge
	}
	r := requests.Get().(*request)
	r.stream, r.expected, r.encoding = stream, expected, encode(stream, expected, events)
	if err := s.writer.add(r); err != nil {
		return 0, err
	}
	select {
	case <-r.done:
		p, err := r.position, r.err
		r.encoding = encoding{}
		requests.Put(r)
		return p, err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-s.failed:
		return 0, s.failure
	}
}

// request is an append on its way.
type request struct {
	encoding
	stream   string
	expected uint64
	position es.Position
	err      error
	done     chan struct{} // has room for the one answer
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan struct{}, 1)} }}

// writer is the one goroutine that writes.
type writer struct {
	mu      sync.Mutex
	waiting []*request
	ended   bool

	wake    chan struct{} // has room for one
	stopped chan struct{}

	// What follows belongs to the goroutine.
	store *Store
	tips  tips
	group []es.Recorded // new events of this batch, in order
	head  es.Position   // of the last of them
	key   []byte
	value []byte
}

func (w *writer) start(s *Store) {
	w.store, w.wake, w.stopped = s, make(chan struct{}, 1), make(chan struct{})
	w.tips.young = map[string]tip{}
	go w.run()
}

func (w *writer) add(r *request) error {
	w.mu.Lock()
	ended := w.ended
	if !ended {
		w.waiting = append(w.waiting, r)
	}
	w.mu.Unlock()
	if ended {
		return ErrClosed
	}
	select {
	case w.wake <- struct{}{}:
	default:
	}
	return nil
}

// stop lets the writer finish what waits, and waits for it.
func (w *writer) stop() {
	w.mu.Lock()
	w.ended = true
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case <-w.stopped:
	case <-w.store.failed: // a commit may never return
	}
}

func (w *writer) run() {
	defer close(w.stopped)
	var taken []*request
	for range w.wake {
		w.gather()
		w.mu.Lock()
		taken, w.waiting = w.waiting, taken[:0]
		ended := w.ended
		w.mu.Unlock()
		for rest := taken; len(rest) > 0; {
			n := w.write(rest)
			for _, r := range rest[:n] {
				r.done <- struct{}{}
			}
			rest = rest[n:]
		}
		clear(taken)
		if ended {
			return
		}
	}
}

// gather lets those who are about to append do so, for as long as more come:
// what is written together is one write to disk. Where nobody else is there it
// costs nothing.
func (w *writer) gather() {
	for waiting := -1; ; runtime.Gosched() {
		w.mu.Lock()
		now := len(w.waiting)
		w.mu.Unlock()
		if now == waiting {
			return
		}
		waiting = now
	}
}

// write decides the first of the requests, as many as make a batch, and writes
// what they add. Their answers are valid once it returns.
func (w *writer) write(requests []*request) (n int) {
	s := w.store
	if s.hasFailed() {
		for _, r := range requests {
			r.position, r.err = 0, s.failure
		}
		return len(requests)
	}
	batch := s.db.NewBatch()
	defer batch.Close()
	created := s.config.Clock().UTC().Round(0)
	w.group, w.head = make([]es.Recorded, 0, len(requests)), s.Head()
	for n < len(requests) && batch.Len() < groupBytes {
		r := requests[n]
		r.position, r.err = w.decide(batch, r, created)
		n++
	}
	if len(w.group) == 0 {
		return n // repeats and refusals: what they rest on is on disk already
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		s.fail(fmt.Errorf("commit: %w", err))
	}
	if s.hasFailed() { // Pebble tells errors of its log only to its logger
		for _, r := range requests[:n] {
			r.position, r.err = 0, s.failure
		}
		return n
	}
	s.tail.push(w.group)
	s.head.Store(uint64(w.head))
	s.tail.wake()
	return n
}

// decide checks one request against the stream as the batch will leave it, and
// adds its events.
func (w *writer) decide(batch *pebble.Batch, r *request, created time.Time) (es.Position, error) {
	t, known := w.tips.get(r.stream)
	if !known {
		var err error
		if t, err = w.store.readTip(r.stream); err != nil {
			return 0, err
		}
	}
	switch {
	case r.expected > t.length:
		return 0, es.ErrWrongRevision
	case r.expected < t.length:
		return w.repeated(t, r)
	}
	for i, record := range r.records {
		w.head += es.Position(len(record))
		seal(record, w.head, created)
		r.events[i].Position, r.events[i].Created = w.head, created
		w.key = eventKey(w.key, w.head)
		_ = batch.Set(w.key, record, nil) // a batch cannot fail before it is committed

		t.length++
		if t.positions = append(t.positions, w.head); len(t.positions) == chunkLen {
			w.key = chunkKey(w.key, r.stream, t.length/chunkLen-1)
			w.value = appendPositions(w.value[:0], t.positions)
			_ = batch.Set(w.key, w.value, nil)
			t.positions = t.positions[:0]
		}
	}
	w.key, w.value = streamKey(w.key, r.stream), t.append(w.value[:0])
	_ = batch.Set(w.key, w.value, nil)
	w.tips.put(r.stream, t)
	w.group = append(w.group, r.events...)
	return w.head, nil
}

// repeated answers an append at a revision that the stream has passed.
func (w *writer) repeated(t tip, r *request) (p es.Position, err error) {
	if r.expected+uint64(len(r.events)) > t.length {
		return 0, es.ErrWrongRevision
	}
	for i := range r.events {
		if p, err = w.position(t, r.stream, r.expected+uint64(i)); err != nil {
			return 0, err
		}
		var recorded es.Recorded
		if p > w.store.Head() { // of this very batch
			recorded, _ = find(w.group, p)
		} else if recorded, err = w.store.event(p, r.stream); err != nil {
			return 0, err
		}
		if recorded.ID != r.events[i].ID {
			return 0, es.ErrWrongRevision
		}
	}
	return p, nil
}

// position says where an event of a stream stands. Chunks that this batch
// writes are not in the database yet.
func (w *writer) position(t tip, stream string, revision uint64) (es.Position, error) {
	chunk := revision / chunkLen
	if chunk == t.length/chunkLen {
		return t.positions[revision%chunkLen], nil
	}
	for _, e := range w.group {
		if e.Revision == revision && e.Stream == stream {
			return e.Position, nil
		}
	}
	positions, err := w.store.readChunk(stream, chunk)
	if err != nil {
		return 0, err
	}
	return positions[revision%chunkLen], nil
}

// tips remembers the tips of the streams written last, in two generations.
type tips struct{ young, old map[string]tip }

func (t *tips) get(stream string) (tip, bool) {
	if v, ok := t.young[stream]; ok {
		return v, true
	}
	v, ok := t.old[stream]
	return v, ok
}

func (t *tips) put(stream string, v tip) {
	if len(t.young) >= knownTips {
		t.young, t.old = make(map[string]tip, knownTips), t.young
	}
	t.young[stream] = v
}
