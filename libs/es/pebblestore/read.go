package pebblestore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/yimu-ledger/yimu/libs/es"
)

// How much is read from Pebble before it is handed on. No iterator of Pebble is
// open while a consumer works.
const (
	firstPage  = 64   // events; pages grow from here
	pageEvents = 2048 // at most
	pageBytes  = 1 << 20
	pageScan   = 16384 // events looked at, matching or not
)

// Read implements es.Store. It reads the stream as it stands when reading begins.
func (s *Store) Read(ctx context.Context, stream string, from uint64) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		head := s.Head()
		leave, err := s.enter()
		if err != nil {
			yield(es.Recorded{}, err)
			return
		}
		t, err := s.readTip(stream)
		leave()
		if err != nil {
			yield(es.Recorded{}, err)
			return
		}
		for revision := from; revision < t.length; {
			events, err := s.readRun(t, stream, revision, head)
			for _, r := range events {
				if err := ctx.Err(); err != nil {
					yield(es.Recorded{}, err)
					return
				}
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(es.Recorded{}, err)
				return
			}
			if len(events) == 0 {
				break // the rest is not on disk yet
			}
			revision += uint64(len(events))
		}
		if err := ctx.Err(); err != nil {
			yield(es.Recorded{}, err)
		}
	}
}

// ReadAll implements es.Store.
func (s *Store) ReadAll(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Recorded, error] {
	end := s.Head()
	return func(yield func(es.Recorded, error) bool) {
		size := firstPage
		for after := after; ; size = min(2*size, pageEvents) {
			if err := ctx.Err(); err != nil {
				yield(es.Recorded{}, err)
				return
			}
			if after >= end {
				return
			}
			page, err := s.page(ctx, after, end, size, prefixes)
			if err != nil {
				yield(es.Recorded{}, err)
				return
			}
			after = page.Through
			for _, r := range page.Events {
				if err := ctx.Err(); err != nil {
					yield(es.Recorded{}, err)
					return
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}

// Follow implements es.Store. Followers near the end are served from memory.
func (s *Store) Follow(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Batch, error] {
	return func(yield func(es.Batch, error) bool) {
		for after := after; ; {
			changed := s.tail.changed() // before looking, lest a change slips by
			end := s.Head()
			if err := ctx.Err(); err != nil {
				yield(es.Batch{}, err)
				return
			}
			if after >= end {
				select {
				case <-changed:
				case <-ctx.Done():
				case <-s.ending:
					yield(es.Batch{}, ErrClosed)
					return
				}
				continue
			}
			batch, ok := s.tail.after(after, prefixes)
			if !ok {
				var err error
				if batch, err = s.page(ctx, after, end, pageEvents, prefixes); err != nil {
					yield(es.Batch{}, err)
					return
				}
			}
			if !yield(batch, nil) {
				return
			}
			after = batch.Through
		}
	}
}

// page reads matching events after a position, up to end, and says how far it
// looked.
func (s *Store) page(ctx context.Context, after, end es.Position, size int, prefixes []string) (es.Batch, error) {
	leave, err := s.enter()
	if err != nil {
		return es.Batch{}, err
	}
	defer leave()
	it, err := s.db.NewIterWithContext(ctx, eventsBetween(after, end))
	if err != nil {
		return es.Batch{}, fmt.Errorf("pebblestore: read: %w", err)
	}
	defer it.Close()
	batch := es.Batch{Through: after}
	scanned, total := 0, 0
	for ok := it.First(); ok; ok = it.Next() {
		if scanned == pageScan || len(batch.Events) == size || total >= pageBytes {
			return batch, nil
		}
		if scanned%256 == 0 && ctx.Err() != nil {
			return es.Batch{}, ctx.Err()
		}
		p, err := eventPosition(it.Key())
		if err != nil {
			return es.Batch{}, err
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return es.Batch{}, fmt.Errorf("pebblestore: position %d: %w", p, err)
		}
		r, err := parse(p, value) // also what does not match: damage may be in the name
		if err != nil {
			return es.Batch{}, err
		}
		batch.Through, scanned = p, scanned+1
		if r.ours() && matches(prefixes, r.stream) {
			batch.Events, total = append(batch.Events, r.own(p, "")), total+len(value)
		}
	}
	if err := it.Error(); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return es.Batch{}, fmt.Errorf("pebblestore: read: %w", err)
	}
	batch.Through = end
	return batch, nil
}

func eventsBetween(after, through es.Position) *pebble.IterOptions {
	o := &pebble.IterOptions{LowerBound: eventKey(nil, after+1), UpperBound: []byte{'e' + 1}}
	if through+1 != 0 {
		o.UpperBound = eventKey(nil, through+1)
	}
	return o
}

func matches[S ~string | ~[]byte](prefixes []string, stream S) bool {
	if len(prefixes) == 0 {
		return true
	}
	for _, p := range prefixes {
		if len(stream) >= len(p) && string(stream[:len(p)]) == p {
			return true
		}
	}
	return false
}

// readRun reads events of a stream from a revision on, as many as one row of
// its index names and one page holds, none after head. With an error come the
// events before it.
func (s *Store) readRun(t tip, stream string, revision uint64, head es.Position) ([]es.Recorded, error) {
	leave, err := s.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	positions := t.positions
	if chunk := revision / chunkLen; chunk < t.length/chunkLen {
		if positions, err = s.readChunk(stream, chunk); err != nil {
			return nil, err
		}
	}
	positions = positions[revision%chunkLen:]
	if i, found := slices.BinarySearch(positions, head); found {
		positions = positions[:i+1]
	} else {
		positions = positions[:i]
	}
	get := func(p es.Position) (es.Recorded, error) { return s.event(p, stream) }
	if len(positions) > fewEvents { // then an iterator is worth its cost
		it, err := s.db.NewIter(eventsBetween(positions[0]-1, positions[len(positions)-1]))
		if err != nil {
			return nil, fmt.Errorf("pebblestore: read: %w", err)
		}
		defer it.Close()
		get = func(p es.Position) (es.Recorded, error) { return seek(it, p, stream) }
	}
	events, total := make([]es.Recorded, 0, len(positions)), 0
	for _, p := range positions {
		r, err := get(p)
		if want := revision + uint64(len(events)); err == nil && r.Revision != want {
			err = fmt.Errorf("pebblestore: %w: %s@%d should stand at position %d", ErrDamaged, stream, want, p)
		}
		if err != nil {
			return events, err
		}
		if events, total = append(events, r), total+weight(r); total > pageBytes {
			break
		}
	}
	return events, nil
}

const fewEvents = 4

// seek moves it on to an event; the next one is often it.
func seek(it *pebble.Iterator, p es.Position, stream string) (es.Recorded, error) {
	var k [9]byte
	key := eventKey(k[:], p)
	ok := it.Valid() && it.Next() && bytes.Equal(it.Key(), key)
	if !ok {
		ok = it.SeekGE(key) && bytes.Equal(it.Key(), key)
	}
	if !ok {
		return es.Recorded{}, fmt.Errorf("pebblestore: position %d of %s: %w", p, stream, cmp.Or(it.Error(), pebble.ErrNotFound))
	}
	v, err := it.ValueAndErr()
	if err != nil {
		return es.Recorded{}, fmt.Errorf("pebblestore: position %d of %s: %w", p, stream, err)
	}
	return ownOf(p, v, stream)
}

func (s *Store) event(p es.Position, stream string) (es.Recorded, error) {
	var k [9]byte
	v, closer, err := s.db.Get(eventKey(k[:], p))
	if err != nil {
		return es.Recorded{}, fmt.Errorf("pebblestore: position %d of %s: %w", p, stream, err)
	}
	defer closer.Close()
	return ownOf(p, v, stream)
}

// ownOf is the event in a row that the index of stream led to.
func ownOf(p es.Position, row []byte, stream string) (es.Recorded, error) {
	r, err := parse(p, row)
	if err != nil {
		return es.Recorded{}, err
	}
	if string(r.stream) != stream {
		return es.Recorded{}, fmt.Errorf("pebblestore: %w: position %d is not of %s", ErrDamaged, p, stream)
	}
	return r.own(p, stream), nil
}

func (s *Store) readChunk(stream string, n uint64) ([]es.Position, error) {
	var k [64]byte
	v, closer, err := s.db.Get(chunkKey(k[:], stream, n))
	if err != nil {
		return nil, fmt.Errorf("pebblestore: index of %s: %w", stream, err)
	}
	defer closer.Close()
	positions, err := parsePositions(v)
	if err == nil && len(positions) != chunkLen {
		err = ErrDamaged
	}
	if err != nil {
		return nil, fmt.Errorf("pebblestore: index of %s: %w", stream, err)
	}
	return positions, nil
}

// readTip reads the row of a stream; a missing one is empty.
func (s *Store) readTip(stream string) (tip, error) {
	var k [64]byte
	v, closer, err := s.db.Get(streamKey(k[:], stream))
	if errors.Is(err, pebble.ErrNotFound) {
		return tip{}, nil
	}
	if err != nil {
		return tip{}, fmt.Errorf("pebblestore: index of %s: %w", stream, err)
	}
	defer closer.Close()
	t, err := parseTip(v)
	if err != nil {
		return tip{}, fmt.Errorf("pebblestore: index of %s: %w", stream, err)
	}
	return t, nil
}

// tail holds the latest events, so that followers do not each read them again.
type tail struct {
	mu     sync.RWMutex
	events []es.Recorded // in order; only ever appended to, or replaced
	bytes  int
	floor  es.Position // every event after it is held
	signal chan struct{}
}

const (
	tailEvents = 2048
	tailBytes  = 2 << 20
)

// push adds events that are on disk.
func (t *tail) push(events []es.Recorded) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		t.bytes += weight(e)
	}
	t.events = append(t.events, events...)
	if len(t.events) < 2*tailEvents && t.bytes < 2*tailBytes {
		return
	}
	cut := 0
	for len(t.events)-cut > tailEvents || t.bytes > tailBytes {
		t.bytes -= weight(t.events[cut])
		cut++
	}
	t.floor = t.events[cut-1].Position
	t.events = append(make([]es.Recorded, 0, 2*tailEvents), t.events[cut:]...)
}

func weight(e es.Recorded) int { return len(e.Data) + len(e.Meta) + len(e.Stream) + 200 }

// wake tells followers of new events.
func (t *tail) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.signal != nil {
		close(t.signal)
		t.signal = nil
	}
}

// changed is closed at the next wake.
func (t *tail) changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.signal == nil {
		t.signal = make(chan struct{})
	}
	return t.signal
}

// after returns the matching ones of the next events after a position, if they
// are all held.
func (t *tail) after(p es.Position, prefixes []string) (batch es.Batch, ok bool) {
	t.mu.RLock()
	events, floor := t.events, t.floor
	t.mu.RUnlock()
	if p < floor {
		return es.Batch{}, false
	}
	i, found := slices.BinarySearchFunc(events, p, comparePosition)
	if found {
		i++
	}
	events = events[i:min(len(events), i+pageEvents)]
	if len(events) == 0 {
		return es.Batch{}, false
	}
	batch.Through = events[len(events)-1].Position
	for _, e := range events {
		if !strings.HasPrefix(e.Stream, "$") && e.Type != linkType && matches(prefixes, e.Stream) {
			batch.Events = append(batch.Events, e)
		}
	}
	return batch, true
}

func find(events []es.Recorded, p es.Position) (es.Recorded, bool) {
	i, ok := slices.BinarySearchFunc(events, p, comparePosition)
	if !ok {
		return es.Recorded{}, false
	}
	return events[i], true
}

func comparePosition(e es.Recorded, p es.Position) int {
	switch {
	case e.Position < p:
		return -1
	case e.Position > p:
		return 1
	default:
		return 0
	}
}
