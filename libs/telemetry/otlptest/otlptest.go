// Package otlptest is a collector for tests: it takes what a process sends by
// OTLP, over gRPC or HTTP on a loopback address, and keeps it.
package otlptest

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metricsservice "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traceservice "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Collector is a collector. Its addresses are what OTEL_EXPORTER_OTLP_ENDPOINT
// says.
type Collector struct {
	GRPC string // http://127.0.0.1:…
	HTTP string

	mu      sync.Mutex
	spans   []Span
	came    [][]byte
	metrics map[string]*Metric
	changed chan struct{} // closed, and made anew, with all that comes
}

// Span is a span as it came.
type Span struct {
	Name       string
	Kind       string // SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL
	Trace      string // hex
	ID, Parent string // hex; Parent is empty for a root
	Failed     bool
	Start, End time.Time
	Attributes map[string]string
	Resource   map[string]string
}

// Metric is what came last under a name.
type Metric struct {
	Unit     string
	Kind     string             // sum, gauge or histogram
	Points   map[string]float64 // value, or count of a histogram, by attributes as k=v,k=v
	Resource map[string]string
}

// Start collects until the test ends.
func Start(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{metrics: map[string]*Metric{}, changed: make(chan struct{})}
	listen := func() net.Listener {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	overGRPC := listen()
	server := grpc.NewServer()
	traceservice.RegisterTraceServiceServer(server, tracesOf{Collector: c})
	metricsservice.RegisterMetricsServiceServer(server, metricsOf{Collector: c})
	go func() { _ = server.Serve(overGRPC) }() // ends with Stop
	t.Cleanup(server.Stop)

	overHTTP := listen()
	mux := http.NewServeMux()
	mux.Handle("POST /v1/traces", take(func() *traceservice.ExportTraceServiceRequest { return &traceservice.ExportTraceServiceRequest{} }, c.takeSpans))
	mux.Handle("POST /v1/metrics", take(func() *metricsservice.ExportMetricsServiceRequest {
		return &metricsservice.ExportMetricsServiceRequest{}
	}, c.takeMetrics))
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = web.Serve(overHTTP) }() // ends with Close
	t.Cleanup(func() { _ = web.Close() })

	c.GRPC, c.HTTP = "http://"+overGRPC.Addr().String(), "http://"+overHTTP.Addr().String()
	return c
}

// Spans returns all spans that came so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Received returns all that came so far, as protobuf.
func (c *Collector) Received() [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([][]byte(nil), c.came...)
}

// Metric returns what came last under a name, nil where nothing did.
func (c *Collector) Metric(name string) *Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.metrics[name]
}

// Await waits until something holds of what came, for at most 20 s, and says
// whether it does.
func (c *Collector) Await(holds func() bool) bool {
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	for {
		c.mu.Lock()
		changed := c.changed
		c.mu.Unlock()
		if holds() {
			return true
		}
		select {
		case <-changed:
		case <-timeout.C:
			return false
		}
	}
}

type tracesOf struct {
	traceservice.UnimplementedTraceServiceServer
	*Collector
}

func (t tracesOf) Export(_ context.Context, in *traceservice.ExportTraceServiceRequest) (*traceservice.ExportTraceServiceResponse, error) {
	t.takeSpans(in)
	return &traceservice.ExportTraceServiceResponse{}, nil
}

type metricsOf struct {
	metricsservice.UnimplementedMetricsServiceServer
	*Collector
}

func (m metricsOf) Export(_ context.Context, in *metricsservice.ExportMetricsServiceRequest) (*metricsservice.ExportMetricsServiceResponse, error) {
	m.takeMetrics(in)
	return &metricsservice.ExportMetricsServiceResponse{}, nil
}

// take answers the HTTP form of OTLP with an empty message, which is an answer.
func take[M proto.Message](empty func() M, keep func(M)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := empty()
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = proto.Unmarshal(body, in)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		keep(in)
		w.Header().Set("Content-Type", "application/x-protobuf")
	})
}

func (c *Collector) takeSpans(in *traceservice.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(in)
	for _, of := range in.ResourceSpans {
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, Span{
					Name: s.Name, Kind: strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"),
					Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
					Failed: s.Status.GetCode() == traces.Status_STATUS_CODE_ERROR,
					Start:  time.Unix(0, int64(s.StartTimeUnixNano)), End: time.Unix(0, int64(s.EndTimeUnixNano)),
					Attributes: attributes(s.Attributes), Resource: attributes(of.Resource.GetAttributes()),
				})
			}
		}
	}
	c.tell()
}

func (c *Collector) takeMetrics(in *metricsservice.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(in)
	for _, of := range in.ResourceMetrics {
		for _, scope := range of.ScopeMetrics {
			for _, m := range scope.Metrics {
				c.metrics[m.Name] = last(m, attributes(of.Resource.GetAttributes()))
			}
		}
	}
	c.tell()
}

// keep keeps what came. The lock is held.
func (c *Collector) keep(in proto.Message) {
	if b, err := proto.Marshal(in); err == nil { // it was unmarshalled before
		c.came = append(c.came, b)
	}
}

// tell wakes who waits. The lock is held.
func (c *Collector) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

func last(m *metrics.Metric, resource map[string]string) *Metric {
	out := &Metric{Unit: m.Unit, Points: map[string]float64{}, Resource: resource}
	number := func(p *metrics.NumberDataPoint) {
		if v, ok := p.Value.(*metrics.NumberDataPoint_AsInt); ok {
			out.Points[label(p.Attributes)] = float64(v.AsInt)
			return
		}
		out.Points[label(p.Attributes)] = p.GetAsDouble()
	}
	switch data := m.Data.(type) {
	case *metrics.Metric_Sum:
		out.Kind = "sum"
		for _, p := range data.Sum.DataPoints {
			number(p)
		}
	case *metrics.Metric_Gauge:
		out.Kind = "gauge"
		for _, p := range data.Gauge.DataPoints {
			number(p)
		}
	case *metrics.Metric_Histogram:
		out.Kind = "histogram"
		for _, p := range data.Histogram.DataPoints {
			out.Points[label(p.Attributes)] = float64(p.Count)
		}
	}
	return out
}

func attributes(in []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, a := range in {
		switch v := a.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[a.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[a.Key] = strconv.FormatInt(v.IntValue, 10)
		case *common.AnyValue_BoolValue:
			out[a.Key] = strconv.FormatBool(v.BoolValue)
		default:
			out[a.Key] = fmt.Sprint(v)
		}
	}
	return out
}

// label writes attributes in the order in which they came, which is by key.
func label(in []*common.KeyValue) string {
	all := attributes(in)
	var parts []string
	for _, a := range in {
		parts = append(parts, a.Key+"="+all[a.Key])
	}
	return strings.Join(parts, ",")
}
