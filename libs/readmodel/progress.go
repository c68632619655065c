package readmodel

import (
	"container/heap"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
)

var errStopped = errors.New("the projection is not running")

// Progress is how far something is in the ledger, for many to wait for. Only
// those whose position was reached are woken. Its zero value is ready.
type Progress struct {
	at      atomic.Uint64
	mu      sync.Mutex
	waiters waiters
	asked   chan struct{} // closed, and forgotten, once somebody begins to wait
	stopped error         // why nobody moves it any more
}

type waiter struct {
	position es.Position
	reached  chan struct{} // closed once reached or stopped
	err      error
	index    int // in the heap, -1 once out of it
}

// Position returns how far it is.
func (p *Progress) Position() es.Position { return es.Position(p.at.Load()) }

// WaitFor returns once it is at or past a position. Its error is that of ctx,
// or why it was stopped.
func (p *Progress) WaitFor(ctx context.Context, position es.Position) error {
	if p.Position() >= position {
		return nil
	}
	p.mu.Lock()
	if p.Position() >= position { // it moves under the lock only
		p.mu.Unlock()
		return nil
	}
	if p.stopped != nil {
		defer p.mu.Unlock()
		return p.stopped
	}
	w := &waiter{position: position, reached: make(chan struct{})}
	heap.Push(&p.waiters, w)
	if p.asked != nil {
		close(p.asked)
		p.asked = nil
	}
	p.mu.Unlock()

	select {
	case <-w.reached:
		return w.err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.index < 0 {
		return w.err
	}
	heap.Remove(&p.waiters, w.index)
	return ctx.Err()
}

// idle waits while nobody waits for the position, at most so long.
func (p *Progress) idle(ctx context.Context, most time.Duration) {
	if most <= 0 {
		return
	}
	p.mu.Lock()
	if len(p.waiters) > 0 {
		p.mu.Unlock()
		return
	}
	if p.asked == nil {
		p.asked = make(chan struct{})
	}
	asked := p.asked
	p.mu.Unlock()
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-asked:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Advance moves the position forward and wakes who waited for it.
func (p *Progress) Advance(to es.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to > p.Position() {
		p.at.Store(uint64(to))
	}
	p.wake()
}

// reset sets the position to what the database says, which may be less.
func (p *Progress) reset(to es.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at.Store(uint64(to))
	p.wake()
}

func (p *Progress) wake() {
	for len(p.waiters) > 0 && p.waiters[0].position <= p.Position() {
		close(heap.Pop(&p.waiters).(*waiter).reached)
	}
}

// start lets waiters wait again after a stop.
func (p *Progress) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = nil
}

// Stop sends all who wait away, now and later, with an error that says why; nil
// where what moves it has just ended.
func (p *Progress) Stop(why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if why == nil {
		why = errStopped
	}
	p.stopped = why
	for len(p.waiters) > 0 {
		w := heap.Pop(&p.waiters).(*waiter)
		w.err = why
		close(w.reached)
	}
}

// waiters is a heap with the least position on top.
type waiters []*waiter

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].position < w[j].position }
func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].index, w[j].index = i, j
}

func (w *waiters) Push(x any) {
	x.(*waiter).index = len(*w)
	*w = append(*w, x.(*waiter))
}

func (w *waiters) Pop() any {
	last := (*w)[len(*w)-1]
	(*w)[len(*w)-1] = nil
	*w = (*w)[:len(*w)-1]
	last.index = -1
	return last
}
