package telemetry

import (
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
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

// Retries counts what is tried again after a passing error.
func (m Meter) Retries() metric.Int64Counter {
	return m.Counter("yimu.retries", "{retry}", "What is tried again after a passing error, by operation.")
}
