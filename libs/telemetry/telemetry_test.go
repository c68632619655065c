package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// variables sets the standard variables, and only these.
func variables(t *testing.T, set map[string]string) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range set {
		t.Setenv(name, value)
	}
}

func TestTracesAreOffUnlessTheStandardVariablesSayWhereTo(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	for name, c := range map[string]struct {
		set           map[string]string
		traced, meter bool
		wrong         string
	}{
		"nothing is said":                  {nil, false, true, ""},
		"an address":                       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": nowhere}, true, true, ""},
		"an address of traces":             {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": nowhere}, true, true, ""},
		"an address of metrics":            {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": nowhere}, false, true, ""},
		"over HTTP":                        {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": nowhere, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, true, true, ""},
		"an address, but no exporter":      {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": nowhere, "OTEL_TRACES_EXPORTER": "none"}, false, true, ""},
		"an exporter by name":              {map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, true, ""},
		"disabled":                         {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": nowhere, "OTEL_SDK_DISABLED": "true"}, false, false, ""},
		"a protocol that is none":          {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": nowhere, "OTEL_EXPORTER_OTLP_PROTOCOL": "carrier-pigeon"}, false, false, "carrier-pigeon"},
		"an exporter that is not known":    {map[string]string{"OTEL_METRICS_EXPORTER": "console"}, false, false, "OTEL_METRICS_EXPORTER"},
		"attributes that cannot be parsed": {map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "colour"}, false, false, "colour"},
	} {
		t.Run(name, func(t *testing.T) {
			variables(t, c.set)
			if c.set["OTEL_METRICS_EXPORTER"] == "" {
				t.Setenv("OTEL_METRICS_EXPORTER", "none") // nobody is there to be told: stopping would wait
			}
			got, err := telemetry.Start(t.Context(), telemetry.Config{Service: "votes", Version: "1"})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Fatalf("got %v, want an error that names %s", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer got.Stop(t.Context())
			if (got.Tracer != nil) != c.traced || (got.Meter != nil) != c.meter {
				t.Errorf("tracer %v, meter %v", got.Tracer, got.Meter)
			}
		})
	}
}

func TestMetricsAreServedAsText(t *testing.T) {
	variables(t, map[string]string{"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"})
	w, err := telemetry.Start(t.Context(), telemetry.Config{Service: "votes", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop(t.Context())
	server := telemetry.NewServer(nil, w.Meter)
	h := server.Watch(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		func(*http.Request) string { return "GET /pots/{pot}" })
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/pots/7?secret=x", nil))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "BREW", "/pots/8", nil))

	told := httptest.NewRecorder()
	w.Metrics().ServeHTTP(told, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	body, err := io.ReadAll(told.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`http_server_request_duration_seconds_count{http_request_method="GET",http_response_status_code="418",http_route="/pots/{pot}",service_name="votes",url_scheme="http"} 1`,
		`http_server_request_duration_seconds_count{http_request_method="_OTHER",http_response_status_code="418",http_route="/pots/{pot}",service_name="votes",url_scheme="http"} 1`,
		`deployment_environment_name="test"`, "process_resident_memory_bytes ", "go_goroutines ",
	} {
		if !bytes.Contains(body, []byte(line)) {
			t.Errorf("%s is missing in\n%s", line, body)
		}
	}
	for _, never := range []string{"secret", "/pots/7", "BREW"} {
		if bytes.Contains(body, []byte(never)) {
			t.Errorf("%s is told", never)
		}
	}
}

func TestLogsNameTheirTrace(t *testing.T) {
	for format, want := range map[string]string{
		"text": `service=votes trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7`,
		"json": `"service":"votes","trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7"`,
	} {
		t.Run(format, func(t *testing.T) {
			var out bytes.Buffer
			var h slog.Handler = slog.NewTextHandler(&out, nil)
			if format == "json" {
				h = slog.NewJSONHandler(&out, nil)
			}
			log := slog.New(telemetry.LogHandler(h)).With(slog.String("service", "votes"))
			log.InfoContext(telemetry.Continue(t.Context(), traceparent), "within a span")
			if !strings.Contains(out.String(), want) {
				t.Errorf("got %s, want %s", &out, want)
			}
			out.Reset()
			log.InfoContext(t.Context(), "outside")
			log.DebugContext(t.Context(), "too little to be told")
			if s := out.String(); strings.Contains(s, "trace_id") || strings.Contains(s, "too little") || !strings.Contains(s, "outside") {
				t.Errorf("got %s", s)
			}
		})
	}
}

func TestATraceIsPassedOnAsItCame(t *testing.T) {
	if got := telemetry.Traceparent(telemetry.Continue(t.Context(), traceparent)); got != traceparent {
		t.Errorf("got %q", got)
	}
	for _, wrong := range []string{
		"", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
		"somebody's name and address, of fifty-five letters here", // in an event it would stand for ever
	} {
		if got := telemetry.Traceparent(telemetry.Continue(t.Context(), wrong)); got != "" {
			t.Errorf("%q is passed on as %q", wrong, got)
		}
	}
	if headers := map[string]string{}; telemetry.Continue(t.Context(), "") != t.Context() || telemetry.ContinueFrom(t.Context(), headers) != t.Context() {
		t.Error("where there is no trace, nothing is allocated")
	}
}

func TestOnlyASampledTraceIsGoneOnWith(t *testing.T) {
	for name, ctx := range map[string]context.Context{
		"no trace":    t.Context(),
		"not sampled": telemetry.Continue(t.Context(), strings.TrimSuffix(traceparent, "1")+"0"),
	} {
		if got, span := telemetry.Begin(ctx, panics{}, "never"); got != ctx || span.IsRecording() {
			t.Errorf("%s: a span", name)
		}
	}
	telemetry.Begin(telemetry.Continue(t.Context(), traceparent), nil, "never")
}

// panics is a tracer that must not be asked.
type panics struct{ trace.Tracer }

func TestTracesAndMetricsAreSentWhereTheStandardVariablesSay(t *testing.T) {
	for _, protocol := range []string{"grpc", "http/protobuf"} {
		t.Run(protocol, func(t *testing.T) {
			collector := otlptest.Start(t)
			variables(t, map[string]string{
				"OTEL_EXPORTER_OTLP_ENDPOINT": collector.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
				"OTEL_SERVICE_NAME": "ours", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
				"OTEL_TRACES_SAMPLER": "parentbased_always_off",
			})
			if protocol != "grpc" {
				t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.HTTP)
			}
			w, err := telemetry.Start(t.Context(), telemetry.Config{Service: "votes", Version: "7"})
			if err != nil {
				t.Fatal(err)
			}
			server := telemetry.NewServer(w.Tracer, w.Meter)
			h := server.Watch(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), func(*http.Request) string { return "GET /pots" })
			for _, parent := range []string{"", traceparent} { // only the caller's is sampled
				r := httptest.NewRequestWithContext(t.Context(), "GET", "/pots", nil)
				r.Header.Set("Traceparent", parent)
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			w.Stop(t.Context()) // and with that all is sent

			spans := collector.Spans()
			if len(spans) != 1 || spans[0].Name != "GET /pots" || "00-"+spans[0].Trace+"-"+spans[0].Parent+"-01" != traceparent {
				t.Fatalf("spans %+v", spans)
			}
			m := collector.Metric("http.server.request.duration")
			if m == nil || m.Unit != "s" || m.Points["http.request.method=GET,http.response.status_code=200,http.route=/pots,url.scheme=http"] != 2 {
				t.Fatalf("metric %+v", m)
			}
			for _, of := range []map[string]string{spans[0].Resource, m.Resource} {
				if of["service.name"] != "ours" || of["service.namespace"] != "yimu" || of["service.version"] != "7" ||
					of["deployment.environment.name"] != "test" || of["service.instance.id"] == "" {
					t.Errorf("whose: %v", of)
				}
			}
		})
	}
}

func TestAnUnreachableCollectorHoldsNothingUp(t *testing.T) {
	variables(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})
	var log bytes.Buffer
	start := time.Now()
	w, err := telemetry.Start(t.Context(), telemetry.Config{Service: "votes", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	telemetry.NewServer(w.Tracer, w.Meter).Watch(http.NotFoundHandler(), func(*http.Request) string { return "" }).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("starting and answering took %s", took)
	}
	w.Stop(t.Context())
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if !strings.Contains(log.String(), "telemetry") {
		t.Errorf("nobody is told: %s", &log)
	}
}

// stream is a store that holds two events and takes no third.
type stream struct{ es.Store }

func (stream) Append(context.Context, string, uint64, ...es.Proposed) (es.Position, error) {
	return 0, es.ErrWrongRevision
}

func (stream) Read(context.Context, string, uint64) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		for revision := range uint64(2) {
			if !yield(es.Recorded{Revision: revision}, nil) {
				return
			}
		}
		yield(es.Recorded{}, errors.New("the disk of /dev/sda"))
	}
}

func TestWhatIsAskedOfAStoreIsASpanWithinASpan(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
	if s := telemetry.Store(stream{}, nil, "eventstoredb", "db"); s != (stream{}) {
		t.Error("without a tracer the store is the store")
	}
	s := telemetry.Store(stream{}, tracer, "eventstoredb", "db")
	use := func(ctx context.Context) {
		if _, err := s.Append(ctx, "ballot-1-2", 0, es.Proposed{}); !errors.Is(err, es.ErrWrongRevision) {
			t.Error(err)
		}
		for range s.Read(ctx, "ballot-1-2", 0) {
		}
	}
	use(t.Context())
	if n := len(spans.Ended()); n != 0 {
		t.Fatalf("%d spans outside of a span", n)
	}
	use(telemetry.Continue(t.Context(), traceparent))
	var got []string
	for _, span := range spans.Ended() {
		line := span.Name() + " " + span.Status().Code.String()
		for _, a := range span.Attributes() {
			line += " " + string(a.Key) + "=" + a.Value.String()
		}
		if text := span.Status().Description + fmt.Sprint(span.Events()); strings.Contains(text, "sda") {
			t.Errorf("the span tells what is for the log: %s", text)
		}
		got = append(got, line)
	}
	const common = " db.system.name=eventstoredb server.address=db "
	want := []string{
		"store append Unset" + common + "db.operation.name=append db.collection.name=ballot yimu.stream=ballot-1-2 yimu.events=1 yimu.position=0 yimu.outcome=conflict",
		"store read Error" + common + "db.operation.name=read db.collection.name=ballot yimu.stream=ballot-1-2 yimu.events=2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestLagIsWhatIsReadAndNotFolded(t *testing.T) {
	meter, read := otlptest.Meter(t)
	var at es.Position
	lag := telemetry.NewMeter(meter).Lag("votes", func() es.Position { return at })
	batch := func(age time.Duration, positions ...es.Position) es.Batch {
		var b es.Batch
		for _, p := range positions {
			b.Events, b.Through = append(b.Events, es.Recorded{Position: p, Created: time.Now().Add(-age)}), p
		}
		return b
	}
	check := func(name string, events, seconds float64) {
		t.Helper()
		got := read()
		got["yimu.projection.lag.time{yimu.projection=votes}"] = math.Floor(got["yimu.projection.lag.time{yimu.projection=votes}"])
		want := map[string]float64{
			"yimu.projection.lag.events{yimu.projection=votes}": events, "yimu.projection.lag.time{yimu.projection=votes}": seconds,
			"yimu.projection.position{yimu.projection=votes}": float64(at),
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	check("at the beginning", 0, 0)
	lag.Read(batch(time.Hour, 10, 25, 30))
	lag.Read(es.Batch{Through: 40})
	lag.Read(batch(time.Minute, 50, 70))
	check("nothing is folded", 5, 3600)
	at = 30
	check("the first batch is", 2, 60)
	at = 70
	check("all is", 0, 0)
	lag.Read(batch(-time.Hour, 90))
	check("the store's clock is ahead", 1, 0)
	at = 0
	lag.Read(batch(time.Hour, 10, 25, 30))
	check("it is rebuilt", 3, 3600)
	lag.Stop()
	if got := read(); len(got) > 0 {
		t.Errorf("after its end: %v", got)
	}
	telemetry.NewMeter(nil).Lag("votes", nil).Read(batch(0, 1))
}
