package service_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

// discard is a ResponseWriter that costs nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkCommand is all that stands between net/http and a service's Decide:
// authentication, routing, the body's check, the request and its answer; and
// what watching it costs.
func BenchmarkCommand(b *testing.B) {
	for name, watch := range map[string]func(*service.Deps){
		"unwatched": func(*service.Deps) {},
		"measured":  func(d *service.Deps) { d.Meter, _ = otlptest.Meter(b) },
		"traced": func(d *service.Deps) {
			d.Meter, _ = otlptest.Meter(b)
			d.Tracer = sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter())).Tracer("bench")
		},
	} {
		b.Run(name, func(b *testing.B) {
			deps := newDeps(b, io.Discard)
			watch(&deps)
			command(b, deps)
		})
	}
}

func command(b *testing.B, deps service.Deps) {
	h := newHandler(deps, func(es.Request) (es.Done[string], error) {
		return es.Done[string]{IDs: []uuid.UUID{uuid.Max}, Stream: "ballot-1", Revision: 3, Position: 77}, nil
	})
	body := []byte(`{"choices":[{"motion":"0197b1d4-0000-7000-8000-000000000001","choice":"agree"},{"motion":"0197b1d4-0000-7000-8000-000000000002","choice":"against"},{"motion":"0197b1d4-0000-7000-8000-000000000003","choice":"abstain"}]}`)
	r := httptest.NewRequestWithContext(b.Context(), "POST", "/api/v1/meetings/"+meeting+"/ballots", nil)
	r.Header.Set("Authorization", "Bearer ann")
	r.Header.Set("Idempotency-Key", uuid.NewString())
	r.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		w := &discard{header: http.Header{}}
		in := *r
		in.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, &in)
		if w.status != http.StatusCreated {
			b.Fatal(w.status)
		}
	}
}
