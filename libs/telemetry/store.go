package telemetry

import (
	"context"
	"errors"
	"iter"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Store returns s with a span around each append, and around each reading of a
// stream, that happens within one; s itself where tracer is nil. system names
// the product, e.g. eventstoredb, and server its address, if it has one.
func Store(s es.Store, tracer trace.Tracer, system, server string) es.Store {
	if tracer == nil {
		return s
	}
	common := []attribute.KeyValue{semconv.DBSystemNameKey.String(system)}
	if server != "" {
		common = append(common, semconv.ServerAddress(server))
	}
	return store{s, tracer, common}
}

type store struct {
	es.Store
	tracer trace.Tracer
	common []attribute.KeyValue
}

func (s store) begin(ctx context.Context, operation, stream string) (context.Context, trace.Span) {
	ctx, span := Begin(ctx, s.tracer, "store "+operation, trace.WithSpanKind(trace.SpanKindClient))
	if span.IsRecording() {
		category, _, _ := strings.Cut(stream, "-")
		span.SetAttributes(s.common...)
		span.SetAttributes(semconv.DBOperationName(operation), semconv.DBCollectionName(category), Stream.String(stream))
	}
	return ctx, span
}

func (s store) Append(ctx context.Context, stream string, expected uint64, events ...es.Proposed) (es.Position, error) {
	ctx, span := s.begin(ctx, "append", stream)
	position, err := s.Store.Append(ctx, stream, expected, events...)
	if span.IsRecording() {
		span.SetAttributes(Events.Int(len(events)), Position.Int64(int64(position)))
	}
	failed := err
	if errors.Is(err, es.ErrWrongRevision) { // no failure: it is what revisions are for
		span.SetAttributes(Outcome.String(string(es.StatusConflict)))
		failed = nil
	}
	End(span, failed)
	return position, err
}

func (s store) Read(ctx context.Context, stream string, from uint64) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		ctx, span := s.begin(ctx, "read", stream)
		n, failed := 0, error(nil)
		defer func() {
			if span.IsRecording() {
				span.SetAttributes(Events.Int(n))
			}
			End(span, failed)
		}()
		for r, err := range s.Store.Read(ctx, stream, from) {
			if failed = err; err == nil {
				n++
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
