package telemetry

import (
	"context"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Lag is how far something that follows the ledger is behind: how many events it
// has read and not folded, and since when the oldest of them is recorded. What
// it has not read it cannot count, for positions are no numbers; that a store
// yields nothing shows where its position stands and others' go on.
//
// A nil Lag does nothing.
type Lag struct {
	position func() es.Position
	stop     func()

	mu      sync.Mutex
	waiting []waiting
}

// waiting is a batch that was read, in which something may not be folded.
type waiting struct {
	last   es.Position
	events int
	since  time.Time // when the first was recorded
}

// Lag measures under a name until it is stopped. position says up to where events
// are folded; it is called at any time, by others.
func (m Meter) Lag(name string, position func() es.Position) *Lag {
	if m.silent() {
		return nil
	}
	events := m.Gauge("yimu.projection.lag.events", "{event}", "Events that were read and are not folded yet.")
	age := m.SecondsGauge("yimu.projection.lag.time", "Since when the oldest event that was read and is not folded has been recorded; 0 where all are folded.")
	at := m.Gauge("yimu.projection.position", "", "The position up to which events are folded. Compare it; it counts nothing.")
	labels := metric.WithAttributeSet(attribute.NewSet(Projection.String(name)))
	l := &Lag{position: position}
	l.stop = m.Observe(func(_ context.Context, o metric.Observer) error {
		n, since := l.behind()
		late := 0.0
		if n > 0 {
			late = max(0, time.Since(since).Seconds())
		}
		o.ObserveInt64(events, int64(n), labels)
		o.ObserveFloat64(age, late, labels)
		o.ObserveInt64(at, int64(position()), labels)
		return nil
	}, events, age, at)
	return l
}

// Read is told of every batch that was read, in their order.
func (l *Lag) Read(b es.Batch) {
	if l == nil || len(b.Events) == 0 {
		return
	}
	first, last := b.Events[0], b.Events[len(b.Events)-1]
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.waiting); n > 0 && first.Position <= l.waiting[n-1].last {
		l.waiting = nil // it began anew, further back
	}
	l.trim()
	l.waiting = append(l.waiting, waiting{last.Position, len(b.Events), first.Created})
}

// Stop ends measuring.
func (l *Lag) Stop() {
	if l != nil {
		l.stop()
	}
}

func (l *Lag) behind() (events int, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim()
	for _, w := range l.waiting {
		events += w.events
	}
	if len(l.waiting) > 0 {
		since = l.waiting[0].since
	}
	return events, since
}

// trim forgets what is folded. The lock is held.
func (l *Lag) trim() {
	at, n := l.position(), 0
	for n < len(l.waiting) && l.waiting[n].last <= at {
		n++
	}
	l.waiting = l.waiting[n:]
}
