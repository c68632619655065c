package telemetry

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Server watches the requests that a handler answers: a span each, in the
// caller's trace, and http.server.request.duration.
type Server struct {
	tracer   trace.Tracer
	duration metric.Float64Histogram
	labels   sync.Map // answered → []metric.RecordOption
}

// answered is what a duration is told by: few things, whatever is asked for.
type answered struct {
	method, route string
	status        int
}

// NewServer returns a Server; both may be nil.
func NewServer(tracer trace.Tracer, meter metric.Meter) *Server {
	return &Server{tracer: tracer, duration: NewMeter(meter).Seconds("http.server.request.duration", "Duration of HTTP server requests.")}
}

// Begin starts the span of a request, which continues the caller's trace.
// Without a tracer it returns the request's own context, and nil.
//
// The span has neither path nor client address: both may tell who somebody is.
func (s *Server) Begin(r *http.Request) (context.Context, trace.Span) {
	if s.tracer == nil {
		return r.Context(), nil
	}
	ctx := w3c.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	attributes := make([]attribute.KeyValue, 0, 8)
	attributes = append(attributes, semconv.HTTPRequestMethodKey.String(method(r.Method)), semconv.URLScheme(scheme(r)), semconv.ServerAddress(host))
	if n, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, semconv.ServerPort(n))
	}
	return s.tracer.Start(ctx, method(r.Method), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(attributes...))
}

// End ends what Begin began. pattern is the one of http.ServeMux that answered,
// "" or "/" where none did.
func (s *Server) End(ctx context.Context, span trace.Span, r *http.Request, pattern string, status int, took time.Duration) {
	_, route, found := strings.Cut(pattern, " ")
	if !found {
		route = pattern
	}
	if route == "/" {
		route = ""
	}
	s.duration.Record(ctx, took.Seconds(), s.options(answered{method(r.Method), route, status}, scheme(r))...)
	if span == nil {
		return
	}
	if route != "" {
		span.SetName(method(r.Method) + " " + route)
		span.SetAttributes(semconv.HTTPRoute(route))
	}
	span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	if status >= http.StatusInternalServerError {
		span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

func (s *Server) options(a answered, scheme string) []metric.RecordOption {
	if known, ok := s.labels.Load(a); ok {
		return known.([]metric.RecordOption)
	}
	attributes := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(a.method), semconv.URLScheme(scheme), semconv.HTTPResponseStatusCode(a.status),
	}
	if a.route != "" {
		attributes = append(attributes, semconv.HTTPRoute(a.route))
	}
	if a.status >= http.StatusInternalServerError {
		attributes = append(attributes, semconv.ErrorTypeKey.String(strconv.Itoa(a.status)))
	}
	made, _ := s.labels.LoadOrStore(a, []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attributes...))})
	return made.([]metric.RecordOption)
}

// Watch is h with Begin and End around it. route names what answers a request,
// as a pattern; it is asked afterwards.
func (s *Server) Watch(h http.Handler, route func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, span := s.Begin(r)
		if span != nil {
			r = r.WithContext(ctx)
		}
		seen := &statusWriter{ResponseWriter: w}
		defer func() {
			p := recover()
			if p != nil && seen.status == 0 {
				seen.status = http.StatusInternalServerError
			}
			s.End(ctx, span, r, route(r), cmp.Or(seen.status, http.StatusOK), time.Since(start))
			if p != nil {
				panic(p)
			}
		}()
		h.ServeHTTP(seen, r)
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK { // 1xx are not the answer
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// method keeps what a stranger may write out of names and labels.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "_OTHER"
}
