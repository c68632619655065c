package telemetry_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/telemetry"
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
