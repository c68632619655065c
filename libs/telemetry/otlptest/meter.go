package otlptest

import (
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// Meter returns a meter, and what reads it: values, and of histograms counts,
// under keys such as yimu.retries{yimu.operation=append}.
func Meter(t testing.TB) (metric.Meter, func() map[string]float64) {
	t.Helper()
	reader := sdk.NewManualReader()
	return sdk.NewMeterProvider(sdk.WithReader(reader)).Meter("test"), func() map[string]float64 {
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		out := map[string]float64{}
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				keep := func(set attribute.Set, value float64) {
					out[m.Name+"{"+set.Encoded(attribute.DefaultEncoder())+"}"] = value
				}
				switch data := m.Data.(type) {
				case metricdata.Gauge[int64]:
					points(data.DataPoints, keep)
				case metricdata.Gauge[float64]:
					points(data.DataPoints, keep)
				case metricdata.Sum[int64]:
					points(data.DataPoints, keep)
				case metricdata.Histogram[int64]:
					for _, p := range data.DataPoints {
						keep(p.Attributes, float64(p.Count))
					}
				case metricdata.Histogram[float64]:
					for _, p := range data.DataPoints {
						keep(p.Attributes, float64(p.Count))
					}
				default:
					t.Fatalf("%s: %T is not read here", m.Name, data)
				}
			}
		}
		return out
	}
}

func points[N int64 | float64](in []metricdata.DataPoint[N], keep func(attribute.Set, float64)) {
	for _, p := range in {
		keep(p.Attributes, float64(p.Value))
	}
}
