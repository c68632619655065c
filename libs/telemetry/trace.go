package telemetry

import (
	"bytes"
	"context"
	"net/http"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/yimu-ledger/yimu/libs/es"
)

// TraceparentKey names the W3C trace context: a header of messages, and of the
// metadata of events.
const TraceparentKey = "traceparent"

var w3c propagation.TraceContext

// Continue returns a context in the trace that a traceparent names; ctx itself
// where it names none.
func Continue(ctx context.Context, traceparent string) context.Context {
	if traceparent == "" {
		return ctx
	}
	return w3c.Extract(ctx, propagation.MapCarrier{TraceparentKey: traceparent})
}

// ContinueFrom is Continue for the headers of a message.
func ContinueFrom(ctx context.Context, headers map[string]string) context.Context {
	if headers[TraceparentKey] == "" {
		return ctx
	}
	return w3c.Extract(ctx, propagation.MapCarrier(headers))
}

// ContinueEvent is Continue for an event of the ledger.
func ContinueEvent(ctx context.Context, e es.Recorded) context.Context {
	if !bytes.Contains(e.Meta, []byte(`"`+TraceparentKey+`"`)) { // the usual case, at little cost
		return ctx
	}
	meta, err := es.ParseMeta(e.Meta)
	if err != nil {
		return ctx
	}
	return Continue(ctx, meta.Trace)
}

// Traceparent returns what names the span of ctx to others, "" where there is none.
func Traceparent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	w3c.Inject(ctx, carrier)
	return carrier[TraceparentKey]
}

// Inject adds to the headers of a message what names the span of ctx.
func Inject(ctx context.Context, headers map[string]string) {
	w3c.Inject(ctx, propagation.MapCarrier(headers))
}

// InjectHTTP is Inject for a request.
func InjectHTTP(ctx context.Context, header http.Header) {
	w3c.Inject(ctx, propagation.HeaderCarrier(header))
}

// Begin starts a span within the trace of ctx. Where there is none, or it is not
// sampled, or tracer is nil, it does nothing: what runs by itself begins no
// traces. The span that is returned is never nil.
func Begin(ctx context.Context, tracer trace.Tracer, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if tracer == nil || !trace.SpanContextFromContext(ctx).IsSampled() {
		return ctx, noop.Span{}
	}
	return tracer.Start(ctx, name, options...)
}

// End ends a span with what became of it. Its text stays in the log: errors may
// hold what a span must not.
func End(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}
