package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// Prefix of every route of the API.
const Prefix = "/api/v1"

// PositionHeader says, on a request, up to where the read models must have
// followed the ledger; on a response, where the command was recorded.
const PositionHeader = "Yimu-Position"

const (
	patience = 2 * time.Second // for read models to reach the asked position
	slow     = time.Second     // a request that takes longer is worth a line in the log
)

// NewAPI returns an API to register operations on, and its handler. Paths are
// registered without [Prefix]: "/estates/{estate}". name is the service's, e.g.
// "votes"; the OpenAPI document is at /api/v1/openapi/<name>.json and .yaml.
//
// The handler authenticates the bearer token, waits up to 2 s for the followers
// and for Access to reach the request's Yimu-Position, and renders every error
// as a problem document, a panic included. It logs ids only. Bodies are limited
// to 1 MiB unless an operation says otherwise (MaxBodyBytes, and with it
// BodyReadTimeout); fields that are not in the
// schema and control characters are refused.
//
// An operation returns a *problem.Error, or any error that [problem.From]
// knows, as it is. An error of a database or store that cannot be reached is
// answered 503, or 502 once a commit was handed over. Every other is internal.
func NewAPI(deps Deps, name string, followers ...Follower) (huma.API, http.Handler) {
	config := huma.DefaultConfig("yimu "+name, "1.0.0")
	config.OpenAPIPath = "/openapi/" + name
	config.DocsPath, config.SchemasPath = "", "" // its pages would load scripts from elsewhere
	config.Formats = formats()
	config.CreateHooks = nil // no $schema in bodies
	config.Transformers = []huma.Transformer{noteProblem}
	config.OnAddOperation = []huma.AddOpFunc{describeAnswers}
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "An access token, or the token of a session"},
	}
	router := newRouter()
	api := humago.NewWithPrefix(router, Prefix, config)
	return api, &handler{
		deps: deps, followers: followers, router: router,
		server: telemetry.NewServer(deps.Tracer, deps.Meter),
		refusals: telemetry.NewMeter(deps.Meter).Counter("yimu.refusals", "{request}",
			"Requests that were answered with a problem, by its code."),
	}
}

// Mount adds to a handler of [NewAPI] what is no operation of the API, such as
// files, at a pattern of http.ServeMux. It is watched and logged like one.
func Mount(api http.Handler, pattern string, h http.Handler) {
	api.(*handler).HandleFunc(pattern, h.ServeHTTP)
}

// Query describes an operation that only reads. Add to it as needed.
func Query(id, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: http.MethodGet, Path: path, Summary: summary}
}

// Command describes an operation that records something, needs a token and
// answers with a [Recorded]. Add to it as needed.
func Command(id, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: http.StatusCreated,
		Security: []map[string][]string{{"token": {}}},
		Errors: []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict,
			http.StatusRequestEntityTooLarge, http.StatusServiceUnavailable},
	}
}

// describeAnswers adds to a command's 201 the other answers of [Respond].
func describeAnswers(_ *huma.OpenAPI, op *huma.Operation) {
	created := op.Responses[strconv.Itoa(http.StatusCreated)]
	if created == nil || created.Headers[PositionHeader] == nil {
		return
	}
	for status, description := range map[int]string{http.StatusOK: "There is nothing to do", http.StatusAccepted: "Not known yet"} {
		answer := *created
		answer.Description = description
		op.Responses[strconv.Itoa(status)] = &answer
	}
}

// Caller is who asked.
type Caller struct {
	ID        string // a person's id, or "token:" and the id of a program's token; the actor of events
	Person    string // none for a program
	Anonymous bool
	Principal authz.Principal
}

// CallerFrom returns who asked for the request of ctx; outside one, nobody.
func CallerFrom(ctx context.Context) Caller {
	var p authz.Principal
	if r := requestFrom(ctx); r != nil {
		p = r.principal
	}
	return Caller{p.ID, p.Person, p.Anonymous(), p}
}

// request is what is known of one HTTP request. It is also its ResponseWriter
// and its context, which saves the allocations of two wrappers.
type request struct {
	context.Context
	http.ResponseWriter
	handler   *handler
	path      string // method and path, ids included
	id        string
	principal authz.Principal
	seen      es.Position // up to where the ledger had been read when it came
	trace     string      // traceparent
	status    int
	problem   string // the code of the problem that was answered
	err       error  // internal, for the log

	handedOver atomic.Bool // a commit was, so something may be recorded
}

type requestKey struct{}

func requestFrom(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

func (r *request) Value(key any) any {
	if key == (requestKey{}) {
		return r
	}
	return r.Context.Value(key)
}

func (r *request) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
		r.ResponseWriter.WriteHeader(status)
	}
}

func (r *request) Write(b []byte) (int, error) {
	r.status = cmp.Or(r.status, http.StatusOK)
	return r.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (r *request) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Flush implements http.Flusher, for answers in lines.
func (r *request) Flush() { _ = http.NewResponseController(r.ResponseWriter).Flush() }

type handler struct {
	deps      Deps
	followers []Follower
	server    *telemetry.Server
	refusals  metric.Int64Counter
	*router
}

var (
	nosniff = []string{"nosniff"}
	noStore = []string{"no-store"}
)

func (h *handler) ServeHTTP(w http.ResponseWriter, in *http.Request) {
	start := h.deps.Clock()
	r := &request{Context: in.Context(), ResponseWriter: w, handler: h, path: in.Method + " " + in.URL.Path, id: requestID(in)}
	header := w.Header()
	header["X-Content-Type-Options"] = nosniff
	header["X-Request-Id"] = []string{r.id}

	span := h.startSpan(r, in)
	req := in.WithContext(r)
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // panic values are compared as they are
				panic(p)
			}
			r.err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if r.status == 0 {
				r.refuse(problem.Internal)
			}
		}
		h.finish(r, req, span, start)
	}()
	if err := h.admit(r, in); err != nil {
		r.fail(err)
		return
	}
	if position, ok := h.position(); ok && in.Method == http.MethodGet {
		header.Set(PositionHeader, strconv.FormatUint(uint64(position), 10))
	}
	h.router.ServeHTTP(r, req)
}

// seen returns up to where the ledger has been read by all on whom a decision
// may rest: who may do what, too. What is decided after rests on everything up to
// there, and perhaps on more.
func (h *handler) seen() es.Position {
	least, ok := h.position()
	if h.deps.Access == nil {
		return least
	}
	if at := h.deps.Access.Position(); !ok || at < least {
		least = at
	}
	return least
}

// position returns up to where the ledger has been read by all followers: what
// a query answers rests on everything up to there, and perhaps on more.
func (h *handler) position() (least es.Position, ok bool) {
	for i, f := range h.followers {
		if at := f.Position(); i == 0 || at < least {
			least = at
		}
	}
	return least, len(h.followers) > 0
}

// admit finds out who asks and waits for what they have seen.
func (h *handler) admit(r *request, in *http.Request) error {
	ctx := r.Context
	if asked := in.Header.Get(PositionHeader); asked != "" {
		position, err := strconv.ParseUint(asked, 10, 64)
		if err != nil {
			return problem.Invalid("invalid", "a position is a whole number", problem.Field{Name: PositionHeader, Code: "not-a-number", Detail: "is not a whole number"})
		}
		if err := h.wait(ctx, es.Position(position)); err != nil {
			return err
		}
	}
	r.seen = h.seen()
	auth := in.Header.Get("Authorization")
	if auth == "" {
		return nil
	}
	r.Header()["Cache-Control"] = noStore
	scheme, token, _ := strings.Cut(auth, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return problem.Unauthorized("token-unknown", "send Authorization: Bearer and a token")
	}
	var err error
	r.principal, err = h.deps.Access.Authenticate(ctx, token)
	return err
}

func (h *handler) wait(ctx context.Context, position es.Position) error {
	wait := func(f Follower) error {
		if f == nil || f.Position() >= position {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if f.WaitFor(ctx, position) != nil {
			return problem.Unavailable("not-caught-up", "the read models have not reached this position yet")
		}
		return nil
	}
	if err := wait(h.deps.Access); err != nil {
		return err
	}
	for _, f := range h.followers {
		if err := wait(f); err != nil {
			return err
		}
	}
	return nil
}

// fail renders err and keeps an internal one for the log.
func (r *request) fail(err error) {
	p, _ := problem.From(err)
	r.refuse(r.reply(p, err))
}

func (r *request) refuse(p *problem.Error) {
	r.problem = p.Code
	problem.Write(r, p)
}

// noteProblem is told of every body that huma writes, and keeps the code of a
// problem with its request.
func noteProblem(ctx huma.Context, _ string, body any) (any, error) {
	var code string
	switch b := body.(type) {
	case *problem.Error: // as an operation returned it
		code = b.Code
	case document: // as newProblem made it
		code = b.Code
	default:
		return body, nil
	}
	if r := requestFrom(ctx.Context()); r != nil {
		r.problem = code
	}
	return body, nil
}

func (h *handler) finish(r *request, in *http.Request, span trace.Span, start time.Time) {
	took := h.deps.Clock().Sub(start)
	status := cmp.Or(r.status, http.StatusOK)
	if r.problem != "" {
		h.refusals.Add(r, 1, metric.WithAttributes(telemetry.Reason.String(r.problem), semconv.HTTPResponseStatusCode(status)))
		if span != nil {
			span.SetAttributes(telemetry.Reason.String(r.problem))
		}
	}
	h.server.End(r, span, in, in.Pattern, status, took)
	level := slog.LevelDebug
	switch {
	case errors.Is(r.err, context.Canceled) && r.Context.Err() != nil:
		// The caller has gone.
	case r.err != nil && !passing(r.err):
		level = slog.LevelError
	case status >= http.StatusInternalServerError, took > slow:
		level = slog.LevelWarn
	case status >= http.StatusBadRequest:
		level = slog.LevelInfo
	}
	if h.deps.Log == nil || !h.deps.Log.Enabled(r, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", r.id), slog.String("path", h.place(in)),
		slog.Int("status", status), slog.Duration("took", took), slog.String("caller", r.principal.ID),
	}
	if r.err != nil {
		attrs = append(attrs, slog.Any("error", r.err))
	}
	h.deps.Log.LogAttrs(r, level, "request", attrs...)
}

// place names the route of a request, with the ids in it. What is no id may be
// anything that somebody typed, such as a phone, and stays out of the log.
func (h *handler) place(in *http.Request) string {
	_, pattern := h.router.mux.Handler(in)
	route, path := strings.Split(pattern, "/"), strings.Split(in.URL.Path, "/")
	for i, part := range route {
		if strings.HasPrefix(part, "{") && i < len(path) && anID.MatchString(path[i]) {
			route[i] = path[i]
		}
	}
	_, place, _ := strings.Cut(strings.Join(route, "/"), "/")
	return in.Method + " /" + place
}

// anID is a UUID or a hash, or the name of a stream that ends with one.
var anID = regexp.MustCompile(`^([a-z]+-)*[0-9a-f-]{32,}$`)

// startSpan continues the caller's trace. Without a tracer it only remembers
// the caller's, so that events carry it.
func (h *handler) startSpan(r *request, in *http.Request) (span trace.Span) {
	if h.deps.Tracer == nil {
		if parent := in.Header.Get("Traceparent"); parent != "" {
			r.trace = telemetry.Traceparent(telemetry.Continue(r.Context, parent)) // what is none must not get into an event
		}
		return nil
	}
	r.Context, span = h.server.Begin(in)
	r.trace = telemetry.Traceparent(r.Context)
	return span
}

// requestID takes the caller's, where it is harmless, or makes one.
func requestID(in *http.Request) string {
	id := in.Header.Get("X-Request-Id")
	if id == "" || len(id) > 64 || strings.ContainsFunc(id, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_'
	}) {
		return strconv.FormatUint(rand.Uint64(), 36)
	}
	return id
}

// router is a ServeMux that remembers its routes and says in a problem document
// what it does not serve.
type router struct {
	mux    *http.ServeMux
	routes []string
}

func newRouter() *router {
	r := &router{mux: http.NewServeMux()}
	r.mux.HandleFunc("/", r.unknown)
	return r
}

// HandleFunc implements humago.Mux.
func (ro *router) HandleFunc(pattern string, f func(http.ResponseWriter, *http.Request)) {
	ro.routes = append(ro.routes, pattern)
	ro.mux.HandleFunc(pattern, f)
}

// ServeHTTP implements http.Handler.
func (ro *router) ServeHTTP(w http.ResponseWriter, r *http.Request) { ro.mux.ServeHTTP(w, r) }

// Routes returns the patterns served, as of http.ServeMux.
func (ro *router) Routes() []string { return slices.Clone(ro.routes) }

func (ro *router) unknown(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if _, pattern := ro.mux.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		refuse(w, r, &problem.Error{Status: http.StatusMethodNotAllowed, Code: "method-not-allowed", Detail: "this path takes " + strings.Join(allowed, ", ")})
		return
	}
	refuse(w, r, problem.NotFound("no-such-path", "there is nothing at this path"))
}

// refuse answers a request that may have come past a handler, or not: a router
// of [Join] stands before all of them.
func refuse(w http.ResponseWriter, in *http.Request, p *problem.Error) {
	if r := requestFrom(in.Context()); r != nil {
		r.refuse(p)
		return
	}
	problem.Write(w, p)
}

// Join serves the routes of several services in one process. Their handlers
// must be those of [NewAPI].
func Join(services ...*Service) http.Handler {
	all := newRouter()
	for _, s := range services {
		for _, route := range s.Handler.(interface{ Routes() []string }).Routes() {
			all.HandleFunc(route, s.Handler.ServeHTTP)
		}
	}
	return all
}
