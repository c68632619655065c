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

// progress is a position that many wait for. Only those whose position was
// reached are woken.
type progress struct {
	at      atomic.Uint64
	mu      sync.Mutex
	waiters waiters
	asked   chan struct{} // holds one once somebody began to wait
	stopped error         // why nobody moves it any more
}

type waiter struct {
	position es.Position
	reached  chan struct{} // closed once reached or stopped
	err      error
	index    int // in the heap, -1 once out of it
}

func newProgress() progress { return progress{asked: make(chan struct{}, 1)} }

func (p *progress) position() es.Position { return es.Position(p.at.Load()) }

func (p *progress) wait(ctx context.Context, position es.Position) error {
	if p.position() >= position {
		return nil
	}
	p.mu.Lock()
	if p.position() >= position { // it moves under the lock only
		p.mu.Unlock()
		return nil
	}
	if p.stopped != nil {
		defer p.mu.Unlock()
		return p.stopped
	}
	w := &waiter{position: position, reached: make(chan struct{})}
	heap.Push(&p.waiters, w)
	p.mu.Unlock()
	select {
	case p.asked <- struct{}{}:
	default:
	}

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
func (p *progress) idle(ctx context.Context, most time.Duration) {
	p.mu.Lock()
	wanted := len(p.waiters) > 0
	p.mu.Unlock()
	if wanted || most <= 0 {
		return
	}
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-p.asked:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// advance moves the position forward and wakes who waited for it.
func (p *progress) advance(to es.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if to > p.position() {
		p.at.Store(uint64(to))
	}
	p.wake()
}

// reset sets the position to what the database says, which may be less.
func (p *progress) reset(to es.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.at.Store(uint64(to))
	p.wake()
}

func (p *progress) wake() {
	for len(p.waiters) > 0 && p.waiters[0].position <= p.position() {
		close(heap.Pop(&p.waiters).(*waiter).reached)
	}
}

// start lets waiters wait again after a stop.
func (p *progress) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = nil
}

// stop sends all waiters away: nothing will move until the next start.
func (p *progress) stop(why error) {
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
