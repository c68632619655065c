package service

import (
	"container/heap"
	"context"
	"log/slog"
	"sync"
	"time"
)

// Deadlines calls a function when the clock passes a time. Projections feed it,
// and on start whoever keeps the times hands them in again: it remembers
// nothing over restarts. Its zero value is not ready; use NewDeadlines.
type Deadlines struct {
	clock Clock
	log   *slog.Logger
	ready func() bool
	fire  func(context.Context, Deadline) error

	mu    sync.Mutex
	byKey map[string]*entry
	heap  entries
	wake  chan struct{}
}

// Deadline is something to do at a time.
type Deadline struct {
	Key string // of its stream and what it is, e.g. meeting-…/close; also the command's idempotency key
	At  time.Time
}

// NewDeadlines returns Deadlines that call fire. An error of fire is passing:
// it is called again a little later, with more and more patience. While ready,
// where given, is false none fires: an instance whose clock is off must not.
func NewDeadlines(clock Clock, log *slog.Logger, ready func() bool, fire func(context.Context, Deadline) error) *Deadlines {
	return &Deadlines{clock: clock, log: log, ready: ready, fire: fire, byKey: map[string]*entry{}, wake: make(chan struct{}, 1)}
}

// Set makes key fire at a time, instead of the time it had. A time that is past
// fires at once; one that has fired for this key does not fire again.
func (d *Deadlines) Set(key string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.byKey[key]
	switch {
	case e == nil:
		e = &entry{Deadline: Deadline{key, at}, due: at, index: -1}
		d.byKey[key] = e
	case e.At.Equal(at):
		return
	default:
		e.At, e.due, e.pause = at, at, 0
	}
	d.schedule(e)
}

// Cancel forgets a key.
func (d *Deadlines) Cancel(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.byKey[key]; e != nil {
		delete(d.byKey, key)
		if e.index >= 0 {
			heap.Remove(&d.heap, e.index)
		}
	}
}

// Len returns how many have not fired yet.
func (d *Deadlines) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.heap)
}

// Run fires deadlines, one after the other, until ctx ends; then it returns nil.
func (d *Deadlines) Run(ctx context.Context) error {
	// The clock may be set, and the machine may sleep: look again each second.
	const look = time.Second
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		case <-d.wake:
		}
		next := look
		if d.ready == nil || d.ready() {
			for ctx.Err() == nil {
				e, left := d.next()
				if e == nil {
					next = min(look, left)
					break
				}
				d.run(ctx, e)
			}
		}
		timer.Reset(next)
	}
}

// next takes the first entry that is due, or tells how long that will be.
func (d *Deadlines) next() (*entry, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.heap) == 0 {
		return nil, time.Hour
	}
	if left := d.heap[0].due.Sub(d.clock()); left > 0 {
		return nil, left
	}
	return heap.Pop(&d.heap).(*entry), 0
}

func (d *Deadlines) run(ctx context.Context, e *entry) {
	d.mu.Lock()
	what := e.Deadline
	d.mu.Unlock()
	err := d.fire(ctx, what)
	if err == nil || ctx.Err() != nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byKey[what.Key] != e || !e.At.Equal(what.At) {
		return // cancelled or moved meanwhile
	}
	wait := e.pause.next()
	e.due = d.clock().Add(wait)
	d.log.WarnContext(ctx, "deadline will be tried again", slog.String("deadline", what.Key), slog.Duration("in", wait), slog.Any("error", err))
	d.schedule(e)
}

// schedule puts e where its time belongs. The lock is held.
func (d *Deadlines) schedule(e *entry) {
	if e.index >= 0 {
		heap.Fix(&d.heap, e.index)
	} else {
		heap.Push(&d.heap, e)
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// entry is a deadline in the heap, or one that has fired.
type entry struct {
	Deadline
	due   time.Time // At, or later where firing failed
	pause pause     // after the last failure
	index int       // in the heap, -1 outside
}

type entries []*entry

func (h entries) Len() int           { return len(h) }
func (h entries) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h entries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *entries) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}
func (h *entries) Pop() any {
	old := *h
	e := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	e.index = -1
	return e
}
