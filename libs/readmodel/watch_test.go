package readmodel_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

func TestAnEventIsFoldedInTheTraceOfItsRequest(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		var age time.Duration
		store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Clock: func() time.Time { return time.Now().Add(-age) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		var last es.Position
		record := func(id int, meta es.Meta) {
			data, err := json.Marshal(reported(id))
			if err != nil {
				t.Fatal(err)
			}
			head, err := json.Marshal(meta)
			if err != nil {
				t.Fatal(err)
			}
			last, err = store.Append(t.Context(), "workorder-"+reported(id).Order, 0, es.Proposed{ID: uuid.New(), Type: "order-changed.v1", Data: data, Meta: head})
			if err != nil {
				t.Fatal(err)
			}
		}
		const first, second = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b8-01"
		age = 2 * time.Hour
		record(1, es.Meta{Trace: first}) // replayed, not new
		age = 0
		record(2, es.Meta{Trace: strings.TrimSuffix(first, "1") + "0"}) // not sampled
		record(3, es.Meta{})
		record(4, es.Meta{Trace: first})
		record(5, es.Meta{Trace: second})

		spans := tracetest.NewSpanRecorder()
		meter, read := otlptest.Meter(t)
		db := open(readmodel.Watched(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test"), meter))
		r := readmodel.NewRunner(db, store, quiet(), board())
		stop := run(t, r)
		waitFor(t, r, last)
		got := read()
		if err := stop(); err != nil {
			t.Fatal(err)
		}

		var parents []string
		for _, span := range spans.Ended() {
			if span.Name() != "fold orders" {
				t.Errorf("a span %s", span.Name())
			}
			parents = append(parents, "00-"+span.Parent().TraceID().String()+"-"+span.Parent().SpanID().String()+"-01")
		}
		if slices.Sort(parents); !slices.Equal(parents, []string{first, second}) {
			t.Errorf("spans within %q", parents)
		}
		const of = "{yimu.projection=orders}"
		for name, want := range map[string]float64{
			"yimu.projection.events": 5, "yimu.projection.lag.events": 0, "yimu.projection.lag.time": 0, "yimu.projection.position": float64(last),
		} {
			if got[name+of] != want {
				t.Errorf("%s is %v, want %v", name, got[name+of], want)
			}
		}
		if n := got["yimu.projection.fold.duration"+of]; n < 1 || n > 5 {
			t.Errorf("%v transactions", n)
		}
	})
}
