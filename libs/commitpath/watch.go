package commitpath

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// describe says of a commit what a span may hold: ids and numbers.
func describe(c es.Commit) []attribute.KeyValue {
	return []attribute.KeyValue{
		telemetry.Stream.String(c.Stream), telemetry.Commit.String(c.ID.String()), telemetry.Events.Int(len(c.Events)),
	}
}

// What becomes of a commit that has no outcome.
const (
	becamePending = "pending"
	becameNotSent = "not-sent"
)

// whatBecame names what a caller of Commit learns, by one of few words.
func whatBecame(o es.Outcome, err error) string {
	switch {
	case errors.Is(err, es.ErrNotSent):
		return becameNotSent
	case err != nil:
		return becamePending
	}
	return string(o.Status)
}

// clientMeasures are the instruments of a context's committer.
type clientMeasures struct {
	duration  metric.Float64Histogram
	wait      metric.Float64Histogram
	conflicts metric.Int64Counter

	byOutcome map[string][]metric.RecordOption
	record    []metric.RecordOption
	add       []metric.AddOption
}

func newClientMeasures(meter metric.Meter, of string) *clientMeasures {
	m := telemetry.NewMeter(meter)
	labels := metric.WithAttributeSet(attribute.NewSet(telemetry.Context.String(of)))
	c := &clientMeasures{
		duration:  m.Seconds("yimu.commit.duration", "From when a service hands a commit over until it knows what became of it."),
		wait:      m.Seconds("yimu.outcome.wait", "From when Kafka has a commit until its outcome arrives."),
		conflicts: m.Counter("yimu.conflicts", "{conflict}", "Commits that others were before; the command is decided again."),
		byOutcome: map[string][]metric.RecordOption{},
		record:    []metric.RecordOption{labels}, add: []metric.AddOption{labels},
	}
	for _, outcome := range []string{
		string(es.StatusRecorded), string(es.StatusConflict), string(es.StatusKeyReused), string(es.StatusRefused), becamePending, becameNotSent,
	} {
		c.byOutcome[outcome] = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(telemetry.Context.String(of), telemetry.Outcome.String(outcome)))}
	}
	c.conflicts.Add(context.Background(), 0, c.add...) // a rate of what has not happened yet is 0, not unknown
	return c
}

func (c *clientMeasures) committed(ctx context.Context, became string, took time.Duration) {
	c.duration.Record(ctx, took.Seconds(), c.byOutcome[became]...)
	if became == string(es.StatusConflict) {
		c.conflicts.Add(ctx, 1, c.add...)
	}
}

// waited is told when Kafka acknowledged a commit whose outcome is there; an
// outcome may be faster than that.
func (c *clientMeasures) waited(ctx context.Context, acknowledged time.Time) {
	took := time.Duration(0)
	if !acknowledged.IsZero() {
		took = time.Since(acknowledged)
	}
	c.wait.Record(ctx, took.Seconds(), c.record...)
}

// watch shows what outcomes tell of the ledger, until the function it returns is
// called.
func (c *Client) watch() (stop func()) {
	m := telemetry.NewMeter(c.cfg.Meter)
	position := m.Gauge("yimu.outcome.position", "", "The highest position that an outcome told. Compare it with where projections are; it counts nothing.")
	skew := m.SecondsGauge("yimu.clock.skew", "How far this clock is ahead of the ledger's. Beyond 2 s no commands are taken.")
	return m.Observe(func(_ context.Context, o metric.Observer) error {
		o.ObserveInt64(position, int64(c.told.Load()))
		if c.skew.known() {
			o.ObserveFloat64(skew, c.skew.estimate().Seconds())
		}
		return nil
	}, position, skew)
}

// appenderMeasures are the instruments of the ledger's end.
type appenderMeasures struct {
	duration metric.Float64Histogram
	size     metric.Int64Histogram
	refused  metric.Int64Counter
	retry    func(context.Context)

	labels sync.Map // appended → []metric.RecordOption
}

// appended is what an append is told by.
type appended struct {
	context string
	status  es.Status // none for a batch
}

func newAppenderMeasures(meter metric.Meter, contexts []string) *appenderMeasures {
	m := telemetry.NewMeter(meter)
	a := &appenderMeasures{
		duration: m.Seconds("yimu.append.duration", "Appending one commit to the store, attempts after passing errors included."),
		size:     m.Sizes("yimu.append.batch.size", "{commit}", "Commits that were taken at once, to share a write to disk."),
		refused:  m.Counter("yimu.append.refused", "{commit}", "Commits that cannot be taken and were recorded as refused."),
		retry:    m.Retries("append"),
	}
	// The first of its kind is the one to be noticed: without a 0 before it, it
	// is no increase to whoever reads.
	for _, of := range contexts {
		for _, reason := range []string{unreadable, empty, tooLarge, otherKey, wrongMetadata, notOf(of)} {
			a.refuse(context.Background(), of, reason, 0)
		}
	}
	return a
}

func (a *appenderMeasures) options(of appended) []metric.RecordOption {
	if known, ok := a.labels.Load(of); ok {
		return known.([]metric.RecordOption)
	}
	attributes := []attribute.KeyValue{telemetry.Context.String(of.context)}
	if of.status != "" {
		attributes = append(attributes, telemetry.Outcome.String(string(of.status)))
	}
	made, _ := a.labels.LoadOrStore(of, []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attributes...))})
	return made.([]metric.RecordOption)
}

func (a *appenderMeasures) append(ctx context.Context, of string, status es.Status, took time.Duration) {
	a.duration.Record(ctx, took.Seconds(), a.options(appended{of, status})...)
}

// batch is told of messages of one partition, and so of one context.
func (a *appenderMeasures) batch(ctx context.Context, messages []bus.Message) {
	if len(messages) > 0 {
		a.size.Record(ctx, int64(len(messages)), a.options(appended{contextOf(messages[0].Topic), ""})...)
	}
}

func (a *appenderMeasures) refuse(ctx context.Context, of, reason string, commits int64) {
	a.refused.Add(ctx, commits, metric.WithAttributes(telemetry.Context.String(of), telemetry.Reason.String(reason)))
}
