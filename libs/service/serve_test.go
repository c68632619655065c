package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

func TestServeLetsRequestsUnderWayFinish(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	entered, done := make(chan struct{}), make(chan error)
	go func() {
		done <- service.Serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-ctx.Done()
			_, _ = io.WriteString(w, "finished")
		}))
	}()
	go func() { <-entered; cancel() }()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+l.Addr().String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "finished" {
		t.Errorf("got %q %v", b, err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestHealth(t *testing.T) {
	h := service.Health(map[string]service.Check{
		"store": func(context.Context) error { return nil },
		"bus":   func(context.Context) error { return errors.New("10.0.0.7 is away") },
	})
	for path, want := range map[string]struct {
		status int
		body   string
	}{"/livez": {200, "ok\n"}, "/readyz": {503, "bus is not ready\n"}} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", path, nil))
		if w.Code != want.status || w.Body.String() != want.body {
			t.Errorf("%s: got %d %q, want %v", path, w.Code, w.Body, want)
		}
	}
}

func TestWhatIsRefusedIsCountedByItsReason(t *testing.T) {
	deps := newDeps(t, io.Discard)
	var read func() map[string]float64
	deps.Meter, read = otlptest.Meter(t)
	fail := error(nil)
	h := newHandler(deps, func(r es.Request) (es.Done[string], error) { return es.Done[string]{}, fail })
	call{}.do(t, h)
	call{token: "Bearer eve"}.do(t, h)
	call{key: "none"}.do(t, h)
	call{path: "/api/v1/somewhere/" + meeting}.do(t, h)
	for _, fail = range []error{problem.Conflict("second-ballot", "you voted"), es.ErrConflict, errors.New("a secret of the disk")} {
		call{}.do(t, h)
	}
	got := read()
	for reason, status := range map[string]int{
		"token-unknown": 401, "invalid": 422, "no-such-path": 404, "second-ballot": 409, "conflict": 409, "internal": 500,
	} {
		if n := got[fmt.Sprintf("yimu.refusals{http.response.status_code=%d,yimu.reason=%s}", status, reason)]; n != 1 {
			t.Errorf("%s is counted %v times, of %v", reason, n, got)
		}
	}
	const duration = "http.server.request.duration{http.request.method=POST,http.response.status_code=%s,url.scheme=http}"
	if n := got[fmt.Sprintf(strings.Replace(duration, ",url", ",http.route=/api/v1/meetings/{meeting}/ballots,url", 1), "409")]; n != 2 {
		t.Errorf("two requests of a route are measured as %v, of %v", n, got)
	}
	if n := got[fmt.Sprintf(duration, "404")]; n != 1 {
		t.Errorf("a path of a stranger's is measured as %v, of %v", n, got)
	}
}

func TestARequestIsASpanThatContinuesTheCallersTrace(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, traced := range map[string]bool{"with a tracer": true, "without one the events still carry it": false} {
		t.Run(name, func(t *testing.T) {
			deps := newDeps(t, io.Discard)
			spans := tracetest.NewSpanRecorder()
			if traced {
				deps.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
			}
			var req es.Request
			h := newHandler(deps, func(r es.Request) (es.Done[string], error) { req = r; return recorded(r) })
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/meetings/"+meeting+"/ballots", strings.NewReader(`{"choices":[{"motion":"m","choice":"agree"}]}`))
			r.Header.Set("Authorization", "Bearer ann")
			r.Header.Set("Idempotency-Key", "0123456789")
			r.Header.Set("Traceparent", parent)
			h.ServeHTTP(httptest.NewRecorder(), r)
			if !strings.HasPrefix(req.Trace, parent[:35]) || (req.Trace == parent) == traced {
				t.Errorf("trace of the event is %q", req.Trace)
			}
			if !traced {
				return
			}
			ended := spans.Ended()
			if len(ended) != 1 || ended[0].Name() != "POST /api/v1/meetings/{meeting}/ballots" || ended[0].Parent().SpanID().String() != parent[36:52] {
				t.Fatalf("spans %v", ended)
			}
			got := map[string]string{}
			for _, a := range ended[0].Attributes() {
				got[string(a.Key)] = a.Value.String()
			}
			want := map[string]string{
				"http.request.method": "POST", "http.route": "/api/v1/meetings/{meeting}/ballots", "http.response.status_code": "201",
				"url.scheme": "http", "server.address": "example.com",
			}
			if !maps.Equal(got, want) {
				t.Errorf("attributes %v, want %v", got, want)
			}
		})
	}
}

func TestWhatIsNoTraceGetsIntoNoEvent(t *testing.T) {
	var req es.Request
	h := newHandler(newDeps(t, io.Discard), func(r es.Request) (es.Done[string], error) { req = r; return recorded(r) })
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/meetings/"+meeting+"/ballots", strings.NewReader(`{"choices":[{"motion":"m","choice":"agree"}]}`))
	r.Header.Set("Authorization", "Bearer ann")
	r.Header.Set("Idempotency-Key", "0123456789")
	r.Header.Set("Traceparent", "somebody's name and address, of fifty-five letters here")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if req.Hash == "" || req.Trace != "" {
		t.Errorf("the event would hold %q for ever", req.Trace)
	}
}

func TestARequestWaitsForThePositionItHasSeen(t *testing.T) {
	h := newHandler(newDeps(t, io.Discard), recorded)
	if w := (call{position: "100"}).do(t, h); w.Code != 201 {
		t.Errorf("at the position of the read models: %d %s", w.Code, w.Body)
	}
	began := time.Now()
	w := call{position: "101"}.do(t, h)
	if w.Code != 503 || !strings.Contains(w.Body.String(), `"code":"not-caught-up"`) || w.Header().Get("Retry-After") != "1" {
		t.Errorf("after it: %d %s", w.Code, w.Body)
	}
	if took := time.Since(began); took < 2*time.Second || took > 4*time.Second {
		t.Errorf("waited %s", took)
	}
}

func TestARequestOfACommandIsTheSameForEveryRepeat(t *testing.T) {
	var got []es.Request
	h := newHandler(newDeps(t, io.Discard), func(r es.Request) (es.Done[string], error) { got = append(got, r); return recorded(r) })
	other := "/api/v1/meetings/00000000-0000-0000-0000-000000000001/ballots"
	call{}.do(t, h)
	call{body: ` { "choices" : [ {"choice":"agree","motion":"m1"} ] } `}.do(t, h)
	call{body: `{"choices":[{"motion":"m1","choice":"against"}]}`}.do(t, h)
	call{key: "another key"}.do(t, h)
	call{path: other}.do(t, h)
	if len(got) != 5 {
		t.Fatalf("%d requests", len(got))
	}
	first := got[0]
	if first.Actor != "ann" || first.Seen != 100 || first.Hash == "" || first.Happened.IsZero() {
		t.Errorf("got %+v", first)
	}
	if got[1].Commit != first.Commit || got[1].Hash != first.Hash {
		t.Error("the same wish in other words must be the same request")
	}
	if got[2].Commit != first.Commit || got[2].Hash == first.Hash {
		t.Error("another wish under the same key must be told apart by its hash")
	}
	if got[3].Commit == first.Commit || got[4].Commit == first.Commit {
		t.Error("another key, or another path, is another request")
	}
	if got[3].Hash == first.Hash {
		t.Error("two who state the same can be told by the hash: what one of them said of their ballot tells what the other chose")
	}
}

func TestAPanicIsAnInternalProblem(t *testing.T) {
	var log bytes.Buffer
	w := call{}.do(t, newHandler(newDeps(t, &log), func(es.Request) (es.Done[string], error) { panic("secret") }))
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"code":"internal"`) || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "panic: secret") || !strings.Contains(log.String(), "serve_test.go") {
		t.Errorf("the log must say where: %s", log.String())
	}
}

func TestTheOpenAPIDocumentIsServedAndSpeaksOfProblems(t *testing.T) {
	h := newHandler(newDeps(t, io.Discard), recorded)
	w := call{method: "GET", path: "/api/v1/openapi/votes.json", body: "none", token: "none"}.do(t, h)
	var doc struct {
		OpenAPI string
		Servers []struct{ URL string }
		Paths   map[string]map[string]struct {
			Responses map[string]struct{ Content map[string]any }
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || len(doc.Servers) != 1 || doc.Servers[0].URL != "/api/v1" {
		t.Errorf("openapi %q servers %v", doc.OpenAPI, doc.Servers)
	}
	responses := doc.Paths["/meetings/{meeting}/ballots"]["post"].Responses
	for _, status := range []string{"201", "200", "202"} {
		if responses[status].Content["application/json"] == nil {
			t.Errorf("no answer %s in %v", status, responses)
		}
	}
	if responses["422"].Content[problem.ContentType] == nil || doc.Components.Schemas["ProblemDocument"] == nil {
		t.Errorf("problems are not described: %v", doc.Components.Schemas)
	}
	for _, path := range []string{"/docs", "/api/v1/docs", "/schemas/x", "/api/v1/schemas/x"} {
		if w := (call{method: "GET", path: path, body: "none"}).do(t, h); w.Code != 404 {
			t.Errorf("%s answers %d", path, w.Code)
		}
	}
}

func TestJoinServesTheRoutesOfEachService(t *testing.T) {
	deps := newDeps(t, io.Discard)
	var services []*service.Service
	for _, name := range []string{"votes", "finance"} {
		api, h := service.NewAPI(deps, name)
		huma.Register(api, service.Query("get-"+name, "/"+name+"/{id}", "Get"), func(context.Context, *struct {
			ID string `path:"id"`
		}) (*struct{ Body string }, error) {
			return &struct{ Body string }{name}, nil
		})
		services = append(services, &service.Service{Name: name, Handler: h, API: api})
	}
	h := service.Join(services...)
	for path, want := range map[string]string{"/api/v1/votes/1": "\"votes\"\n", "/api/v1/finance/1": "\"finance\"\n"} {
		if w := (call{method: "GET", path: path, body: "none"}).do(t, h); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	if w := (call{method: "GET", path: "/api/v1/portal", body: "none"}).do(t, h); w.Code != 404 || w.Header().Get("Content-Type") != problem.ContentType {
		t.Errorf("unknown path: %d %s", w.Code, w.Body)
	}
	if w := (call{path: "/api/v1/votes/1"}).do(t, h); w.Code != 405 || w.Header().Get("Allow") != "GET" {
		t.Errorf("wrong method: %d %s", w.Code, w.Header())
	}
}
