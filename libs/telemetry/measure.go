package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
)

// Attributes of our own, of spans and of metrics. Those of metrics have few values.
const (
	Context    = attribute.Key("yimu.context")    // whose streams: votes, finance, …
	Outcome    = attribute.Key("yimu.outcome")    // what became of a commit
	Reason     = attribute.Key("yimu.reason")     // code of a problem, or why a commit was refused
	Operation  = attribute.Key("yimu.operation")  // what is tried again
	Projection = attribute.Key("yimu.projection") // its name
	Stream     = attribute.Key("yimu.stream")     // spans only
	Commit     = attribute.Key("yimu.commit")     // spans only
	Events     = attribute.Key("yimu.events")     // how many; spans only
	Event      = attribute.Key("yimu.event")      // stored name of an event; spans only
	Position   = attribute.Key("yimu.position")   // spans only
)

// Boundaries of histograms: the commit path lives between one and some tens of
// milliseconds, a request waits at most some seconds, a batch holds thousands.
var (
	seconds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	sizes   = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000}
)

// Meter makes the instruments of a part; one of a nil metric.Meter measures
// nothing. Names are written where they are used, so a wrong one is a mistake
// in the code and panics.
type Meter struct{ metric.Meter }

// NewMeter returns m, or one that measures nothing.
func NewMeter(m metric.Meter) Meter {
	if m == nil {
		m = noop.Meter{}
	}
	return Meter{m}
}

// silent says that nothing is measured.
func (m Meter) silent() bool { _, is := m.Meter.(noop.Meter); return is }

func must[I any](instrument I, err error) I {
	if err != nil {
		panic("telemetry: " + err.Error())
	}
	return instrument
}

// Seconds is a histogram of durations.
func (m Meter) Seconds(name, description string) metric.Float64Histogram {
	return must(m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(seconds...)))
}

// Sizes is a histogram of whole numbers; unit is what is counted, e.g. {commit}.
func (m Meter) Sizes(name, unit, description string) metric.Int64Histogram {
	return must(m.Int64Histogram(name, metric.WithUnit(unit), metric.WithDescription(description), metric.WithExplicitBucketBoundaries(sizes...)))
}

// Counter counts; unit is what is counted.
func (m Meter) Counter(name, unit, description string) metric.Int64Counter {
	return must(m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description)))
}

// Observe calls observe whenever the instruments are read, until the function it
// returns is called.
func (m Meter) Observe(observe metric.Callback, instruments ...metric.Observable) (stop func()) {
	registered := must(m.RegisterCallback(observe, instruments...))
	return func() { _ = registered.Unregister() } // fails only where it is none
}

// Gauge is a whole number that is asked for; unit may be none.
func (m Meter) Gauge(name, unit, description string) metric.Int64ObservableGauge {
	return must(m.Int64ObservableGauge(name, metric.WithUnit(unit), metric.WithDescription(description)))
}

// SecondsGauge is a duration that is asked for.
func (m Meter) SecondsGauge(name, description string) metric.Float64ObservableGauge {
	return must(m.Float64ObservableGauge(name, metric.WithUnit("s"), metric.WithDescription(description)))
}

// Retries counts what one operation tries again after passing errors.
func (m Meter) Retries(operation string) (count func(context.Context)) {
	counter := m.Counter("yimu.retries", "{retry}", "What is tried again after a passing error, by operation.")
	of := []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(Operation.String(operation)))}
	return func(ctx context.Context) { counter.Add(ctx, 1, of...) }
}
