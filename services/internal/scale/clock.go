package main

import (
	"math/rand/v2"
	"time"
)

// clock runs what is to happen in the order of time; what is due at the same
// instant in the order it was asked for.
type clock struct {
	now   time.Duration
	asked uint64
	heap  []event
}

type event struct {
	at     time.Duration
	number uint64
	do     func()
}

func (e event) before(o event) bool { return e.at < o.at || e.at == o.at && e.number < o.number }

// after has something done so much later.
func (c *clock) after(d time.Duration, do func()) {
	c.asked++
	c.heap = append(c.heap, event{c.now + d, c.asked, do})
	for i := len(c.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if c.heap[up].before(c.heap[i]) {
			break
		}
		c.heap[i], c.heap[up] = c.heap[up], c.heap[i]
		i = up
	}
}

// run returns when nothing is to happen any more.
func (c *clock) run() {
	for len(c.heap) > 0 {
		next, last := c.heap[0], len(c.heap)-1
		c.heap[0], c.heap[last] = c.heap[last], event{}
		c.heap = c.heap[:last]
		for i := 0; ; {
			least := i
			for _, child := range []int{2*i + 1, 2*i + 2} {
				if child < last && c.heap[child].before(c.heap[least]) {
					least = child
				}
			}
			if least == i {
				break
			}
			c.heap[i], c.heap[least] = c.heap[least], c.heap[i]
			i = least
		}
		c.now = next.at
		next.do()
	}
}

// chance draws how long things take.
type chance struct{ *rand.Rand }

func newChance(seed uint64) chance { return chance{rand.New(rand.NewPCG(seed, seed))} }

// exponential draws from the exponential distribution.
func (r chance) exponential(mean time.Duration) time.Duration {
	return time.Duration(r.ExpFloat64() * float64(mean))
}

// about draws what takes half of its mean at least: the rest is exponential.
func (r chance) about(mean time.Duration) time.Duration { return mean/2 + r.exponential(mean-mean/2) }

// station serves who comes, first come first served, as many at once as it has
// servers: the cores of an instance.
type station struct {
	clock   *clock
	free    int
	waiting line[job]
}

type job struct {
	takes       time.Duration
	begun, done func() // begun may be nil
}

func newStation(c *clock, servers int) *station { return &station{clock: c, free: servers} }

func (s *station) serve(j job) {
	s.waiting.join(j)
	s.next()
}

func (s *station) next() {
	for s.free > 0 && s.waiting.len() > 0 {
		j := s.waiting.leave()
		s.free--
		if j.begun != nil {
			j.begun()
		}
		s.clock.after(j.takes, func() {
			s.free++
			j.done()
			s.next()
		})
	}
}

// gatherer takes all that has come as one batch, and while it is busy with that
// lets the next gather. So do a publisher's queue for a partition (a slice of
// messages), a consumer of a partition (what one fetch returns) and a store's
// writer (what one write to disk holds).
type gatherer[T any] struct {
	take    func(batch []T, done func())
	pending []T
	busy    bool
	held    bool

	batches, things int
}

func (g *gatherer[T]) add(things ...T) {
	g.pending = append(g.pending, things...)
	g.next()
}

// hold keeps it from taking another batch, until release.
func (g *gatherer[T]) hold() { g.held = true }

func (g *gatherer[T]) release() {
	g.held = false
	g.next()
}

func (g *gatherer[T]) next() {
	if g.busy || g.held || len(g.pending) == 0 {
		return
	}
	batch := g.pending
	g.pending, g.busy = nil, true
	g.batches, g.things = g.batches+1, g.things+len(batch)
	g.take(batch, func() {
		g.busy = false
		g.next()
	})
}

// line is a queue.
type line[T any] struct {
	items []T
	first int
}

func (l *line[T]) len() int { return len(l.items) - l.first }

func (l *line[T]) join(x T) { l.items = append(l.items, x) }

func (l *line[T]) leave() T {
	x := l.items[l.first]
	var none T
	l.items[l.first] = none
	if l.first++; l.first > 1024 && 2*l.first > len(l.items) {
		l.items, l.first = append([]T(nil), l.items[l.first:]...), 0
	}
	return x
}
