package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

// variables sets the standard variables of OpenTelemetry, and only these.
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

// found founds an estate, with headers of its own.
func (s *site) found(t *testing.T, name string, headers map[string]string) (status int) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": name})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/estates?note=not-for-spans", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Idempotency-Key", uuid.NewString())
	req.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode
}

const caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// traced founds an estate and returns the spans of its trace, once all are there
// that lead from the request to the tables it changes, and some more that are
// within that of the request, each within the right one.
func (s *site) traced(t *testing.T, collector *otlptest.Collector, name string, more ...string) map[string]otlptest.Span {
	t.Helper()
	if status := s.found(t, name, map[string]string{"Traceparent": caller}); status != http.StatusCreated {
		t.Fatal(status)
	}
	within := map[string]string{
		"SERVER POST /api/v1/estates":       "",
		"INTERNAL commit":                   "SERVER POST /api/v1/estates",
		"PRODUCER send commits.registry":    "INTERNAL commit",
		"CONSUMER process commits.registry": "PRODUCER send commits.registry",
		"INTERNAL append":                   "CONSUMER process commits.registry",
		"CLIENT store append":               "INTERNAL append",
		"PRODUCER send outcomes":            "CONSUMER process commits.registry",
		"CONSUMER process outcomes":         "PRODUCER send outcomes",
		"CLIENT store read":                 "SERVER POST /api/v1/estates",
		"INTERNAL fold registry":            "SERVER POST /api/v1/estates",
		"INTERNAL fold finance":             "SERVER POST /api/v1/estates",
	}
	for _, of := range more {
		within[of] = "SERVER POST /api/v1/estates"
	}
	spans := map[string]otlptest.Span{}
	if !collector.Await(func() bool {
		for _, span := range collector.Spans() {
			if span.Trace == caller[3:35] {
				spans[span.Kind+" "+span.Name] = span
			}
		}
		for of := range within {
			if _, there := spans[of]; !there {
				return false
			}
		}
		return true
	}) {
		t.Fatalf("not all spans of the trace come: %q", slices.Sorted(maps.Keys(spans)))
	}
	for of, parent := range within {
		want := caller[36:52]
		if parent != "" {
			want = spans[parent].ID
		}
		if spans[of].Parent != want {
			t.Errorf("%s is not within %s", of, parent)
		}
		if spans[of].Failed || spans[of].End.Before(spans[of].Start) {
			t.Errorf("%s: %+v", of, spans[of])
		}
	}
	return spans
}

func TestOneTraceLeadsFromARequestToTheTablesItChanges(t *testing.T) {
	collector := otlptest.Start(t)
	variables(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": collector.GRPC, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
		"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "200", "OTEL_SERVICE_NAME": "yimu-test",
	})
	s, down := up(t, t.TempDir())
	const name = "秀山花园"
	byName := s.traced(t, collector, name)
	for of, want := range map[string]map[string]string{
		"SERVER POST /api/v1/estates": {
			"http.request.method": "POST", "http.route": "/api/v1/estates", "http.response.status_code": "201", "url.scheme": "http", "server.address": "127.0.0.1",
		},
		"INTERNAL commit": {"yimu.outcome": "recorded", "yimu.events": "1"},
		"PRODUCER send commits.registry": {
			"messaging.system": "kafka", "messaging.operation.name": "send", "messaging.operation.type": "send",
			"messaging.destination.name": "commits.registry", "server.address": "127.0.0.1",
		},
		"CONSUMER process commits.registry": {"messaging.system": "kafka", "messaging.operation.type": "process", "messaging.destination.name": "commits.registry"},
		"INTERNAL append":                   {"yimu.outcome": "recorded"},
		"CLIENT store append":               {"db.system.name": "pebble", "db.operation.name": "append", "db.collection.name": "estate"},
		"INTERNAL fold registry":            {"yimu.projection": "registry", "yimu.event": "estate-founded.v1"},
		"CONSUMER process outcomes":         {"yimu.outcome": "recorded"},
	} {
		for key, value := range want {
			if got := byName[of].Attributes[key]; got != value {
				t.Errorf("%s: %s is %q, want %q", of, key, got, value)
			}
		}
	}

	// What others are told of the event leads to the trace too.
	var last es.Recorded
	for e, err := range s.store.ReadAll(t.Context(), 0, registry.EstateStream) {
		if err != nil {
			t.Fatal(err)
		}
		last = e
	}
	if meta, err := es.ParseMeta(last.Meta); err != nil || meta.Trace != "00-"+caller[3:35]+"-"+byName["SERVER POST /api/v1/estates"].ID+"-01" {
		t.Errorf("the event is of the trace %q, %v", meta.Trace, err)
	}

	// A page and what it asks for are one trace too.
	resp, err := http.Get(s.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	if resp.Body.Close(); resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	if !collector.Await(func() bool {
		all := collector.Spans()
		page := slices.IndexFunc(all, func(s otlptest.Span) bool { return s.Kind == "SERVER" && s.Name == "GET /{$}" })
		return page >= 0 && slices.ContainsFunc(all, func(s otlptest.Span) bool {
			return s.Name == "GET /api/v1/estates" && s.Parent == all[page].ID && s.Trace == all[page].Trace
		})
	}) {
		t.Error("a page's request to the API is not within the page's span")
	}

	s.found(t, "", nil) // refused
	for metric, point := range map[string]string{
		"http.server.request.duration":        "http.request.method=POST,http.response.status_code=201,http.route=/api/v1/estates,url.scheme=http",
		"yimu.refusals":                       "http.response.status_code=422,yimu.reason=invalid",
		"yimu.commit.duration":                "yimu.context=registry,yimu.outcome=recorded",
		"yimu.outcome.wait":                   "yimu.context=registry",
		"yimu.outcome.position":               "",
		"yimu.conflicts":                      "yimu.context=registry",
		"yimu.clock.skew":                     "",
		"yimu.append.duration":                "yimu.context=registry,yimu.outcome=recorded",
		"yimu.append.batch.size":              "yimu.context=registry",
		"yimu.append.refused":                 "yimu.context=registry,yimu.reason=unreadable", // none was
		"yimu.projection.lag.events":          "yimu.projection=registry",
		"yimu.projection.lag.time":            "yimu.projection=registry",
		"yimu.projection.position":            "yimu.projection=access",
		"yimu.projection.fold.duration":       "yimu.projection=registry",
		"yimu.projection.events":              "yimu.projection=registry",
		"messaging.client.operation.duration": "messaging.destination.name=commits.registry,messaging.operation.name=send,messaging.operation.type=send,messaging.system=kafka",
		"messaging.client.sent.messages":      "messaging.destination.name=outcomes,messaging.operation.name=send,messaging.operation.type=send,messaging.system=kafka",
		"messaging.client.consumed.messages":  "messaging.consumer.group.name=ledger,messaging.destination.name=commits.registry,messaging.operation.name=poll,messaging.operation.type=receive,messaging.system=kafka",
		"messaging.process.duration":          "messaging.consumer.group.name=ledger,messaging.destination.name=commits.registry,messaging.operation.name=process,messaging.operation.type=process,messaging.system=kafka",
		"messaging.kafka.consumer.lag":        "messaging.consumer.group.name=ledger,messaging.destination.name=commits.registry,messaging.destination.partition.id=0,messaging.system=kafka",
	} {
		if !collector.Await(func() bool {
			m := collector.Metric(metric)
			if m == nil {
				return false
			}
			_, there := m.Points[point]
			return there
		}) {
			t.Errorf("%s with %s does not come: %+v", metric, point, collector.Metric(metric))
		}
	}
	if lag := collector.Metric("yimu.projection.lag.events"); !collector.Await(func() bool {
		lag = collector.Metric("yimu.projection.lag.events")
		return lag.Points["yimu.projection=registry"] == 0
	}) {
		t.Errorf("what is folded is still said to wait: %+v", lag)
	}

	down()
	text := fmt.Sprintf("%+v", collector.Spans())
	for _, never := range []string{name, s.token, "not-for-spans", "Bearer"} {
		if strings.Contains(text, never) {
			t.Errorf("a span holds %q", never)
		}
	}
	for _, span := range collector.Spans() {
		if span.Resource["service.name"] != "yimu-test" {
			t.Fatalf("a span is of %v", span.Resource)
		}
	}
}

func TestMetricsAreBesideTheSite(t *testing.T) {
	variables(t, nil)
	s, _ := up(t, t.TempDir())
	if status := s.found(t, "秀山花园", nil); status != http.StatusCreated {
		t.Fatal(status)
	}
	s.found(t, "", nil)
	s.get(t, "/estates", &struct{}{}) // once the projection has folded it

	beside := httptest.NewServer(metrics(s.inside.watch))
	defer beside.Close()
	ask := func(url string) (status int, kind string, body io.Reader) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Type"), bytes.NewReader(text)
	}
	if status, _, _ := ask(s.url); status != http.StatusNotFound {
		t.Errorf("the site itself answers %d", status)
	}
	status, kind, body := ask(beside.URL)
	if status != http.StatusOK || !strings.HasPrefix(kind, "text/plain") {
		t.Fatalf("%d %s", status, kind)
	}
	types := map[string]string{}
	var ids []string
	anID := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}`)
	for lines := bufio.NewScanner(body); lines.Scan(); {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[1] == "TYPE" {
			types[f[2]] = f[3]
		} else if anID.MatchString(lines.Text()) && !strings.HasPrefix(lines.Text(), "target_info") {
			ids = append(ids, lines.Text())
		}
	}
	// The names that docs/architecture.md lists, and dashboards draw.
	for name, kind := range map[string]string{
		"http_server_request_duration_seconds":        "histogram",
		"yimu_refusals_total":                         "counter",
		"yimu_commit_duration_seconds":                "histogram",
		"yimu_outcome_wait_seconds":                   "histogram",
		"yimu_outcome_position":                       "gauge",
		"yimu_conflicts_total":                        "counter",
		"yimu_clock_skew_seconds":                     "gauge",
		"yimu_append_duration_seconds":                "histogram",
		"yimu_append_batch_size":                      "histogram",
		"yimu_append_refused_total":                   "counter",
		"yimu_projection_lag_events":                  "gauge",
		"yimu_projection_lag_time_seconds":            "gauge",
		"yimu_projection_position":                    "gauge",
		"yimu_projection_fold_duration_seconds":       "histogram",
		"yimu_projection_events_total":                "counter",
		"messaging_client_operation_duration_seconds": "histogram",
		"messaging_client_sent_messages_total":        "counter",
		"messaging_client_consumed_messages_total":    "counter",
		"messaging_process_duration_seconds":          "histogram",
		"messaging_kafka_consumer_lag":                "gauge",
		"process_resident_memory_bytes":               "gauge",
		"target_info":                                 "gauge",
	} {
		if types[name] != kind {
			t.Errorf("%s is %q, want %s", name, types[name], kind)
		}
	}
	if len(ids) > 0 {
		t.Errorf("a metric has an id: %q", ids)
	}
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(strings.Lines(l.buf.String()))
}

func TestTheLogNamesTheTraceOfARequest(t *testing.T) {
	collector := otlptest.Start(t)
	variables(t, map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": collector.GRPC, "OTEL_BSP_SCHEDULE_DELAY": "50"})
	var out lines
	s, _ := upWith(t, t.TempDir(), newLogger(&out, "info", "json"))
	if status := s.found(t, "", map[string]string{"Traceparent": caller}); status != http.StatusUnprocessableEntity {
		t.Fatal(status)
	}
	var server otlptest.Span
	if !collector.Await(func() bool {
		for _, span := range collector.Spans() {
			if span.Kind == "SERVER" && span.Trace == caller[3:35] {
				server = span
				return true
			}
		}
		return false
	}) {
		t.Fatal("the request has no span")
	}
	for _, line := range out.all() {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if entry["msg"] == "request" && entry["trace_id"] == server.Trace && entry["span_id"] == server.ID {
			return
		}
	}
	t.Errorf("no line names trace %s and span %s:\n%s", server.Trace, server.ID, strings.Join(out.all(), ""))
}
