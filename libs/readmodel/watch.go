package readmodel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// Watched lets the projections of a database be watched. Both may be nil.
func Watched(tracer trace.Tracer, meter metric.Meter) Option {
	return func(o *options) { o.tracer, o.meter = tracer, meter }
}

// watch is what a projection is watched by while it runs.
type watch struct {
	tracer trace.Tracer
	name   string
	lag    *telemetry.Lag
	retry  func(context.Context)

	duration metric.Float64Histogram
	events   metric.Int64Counter
	record   []metric.RecordOption
	add      []metric.AddOption
}

// Lag measures how far what follows the ledger under a name of this database is
// behind, until it is stopped. A Runner does so by itself.
func (db *DB) Lag(name string, position func() es.Position) *telemetry.Lag {
	return telemetry.NewMeter(db.meter).Lag(name, position)
}

func (r *Runner) newWatch() watch {
	m := telemetry.NewMeter(r.db.meter)
	labels := metric.WithAttributeSet(attribute.NewSet(telemetry.Projection.String(r.p.Name)))
	return watch{
		tracer: r.db.tracer, name: r.p.Name, lag: r.db.Lag(r.p.Name, r.Position), retry: m.Retries("projection"),
		duration: m.Seconds("yimu.projection.fold.duration", "One transaction that folds events."),
		events:   m.Counter("yimu.projection.events", "{event}", "Events that were folded."),
		record:   []metric.RecordOption{labels}, add: []metric.AddOption{labels},
	}
}

// recent is how old an event may be that is traced: what is replayed, to rebuild
// tables, was traced when it was new.
const recent = time.Hour

// folded is told of a transaction that folded events, or failed to. An event of a
// sampled trace gets a span in it.
func (w *watch) folded(ctx context.Context, events []es.Recorded, start time.Time, err error) {
	if len(events) == 0 || errors.Is(err, ErrMoved) { // another process folds them
		return
	}
	if err == nil {
		w.duration.Record(ctx, time.Since(start).Seconds(), w.record...)
		w.events.Add(ctx, int64(len(events)), w.add...)
	}
	if w.tracer == nil {
		return
	}
	for _, e := range events {
		if start.Sub(e.Created) > recent {
			continue
		}
		_, span := telemetry.Begin(telemetry.ContinueEvent(ctx, e), w.tracer, "fold "+w.name, trace.WithTimestamp(start))
		if span.IsRecording() {
			span.SetAttributes(telemetry.Projection.String(w.name), telemetry.Event.String(e.Type), telemetry.Stream.String(e.Stream),
				telemetry.Position.Int64(int64(e.Position)))
		}
		telemetry.End(span, err)
	}
}
