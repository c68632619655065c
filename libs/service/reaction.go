package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// Reaction is a projection that ends in a command: it follows the ledger and
// asks for something where something happened.
//
// Every event is handled at least once, in order, also over restarts; the
// command must take its request from [ReactionRequest] with the event's id, so
// that once is enough.
type Reaction struct {
	Name     string   // of its checkpoint and of its commands' actor, e.g. contracts_entrust
	Prefixes []string // of the streams followed

	// Handle asks for what the event calls for, and returns nil where it calls
	// for nothing. A problem of status 4xx is a refusal by a rule and goes to
	// Refused; any other error is passing, and the event is handled again.
	Handle func(ctx context.Context, event es.Recorded) error

	// Refused records the refusal where whoever must act sees it, as
	// ledger.ReactionRefused. An error of it is passing.
	Refused func(ctx context.Context, event es.Recorded, why *problem.Error) error
}

// Run reacts until ctx ends, then it returns nil. Several instances may run the
// same reaction, see [Forward].
func (r Reaction) Run(ctx context.Context, deps Deps) error {
	log := deps.Log.With(slog.String("reaction", r.Name))
	return Forward(ctx, deps.Store, deps.DB, log, "reaction/"+r.Name, func(ctx context.Context, events []es.Recorded) error {
		for _, event := range events {
			if err := r.react(ctx, log, deps.Tracer, event); err != nil {
				return err
			}
		}
		return nil
	}, r.Prefixes...)
}

// react returns nil once the command or its refusal is recorded, or the error
// of ctx.
func (r Reaction) react(ctx context.Context, log *slog.Logger, tracer trace.Tracer, event es.Recorded) (err error) {
	log = log.With(slog.String("event", event.ID.String()))
	// What it leads to belongs to the trace of its cause.
	ctx, span := telemetry.Begin(telemetry.ContinueEvent(ctx, event), tracer, "react "+r.Name)
	if span.IsRecording() {
		span.SetAttributes(telemetry.Event.String(event.Type), telemetry.Stream.String(event.Stream))
	}
	defer func() { telemetry.End(span, err) }()
	return Persist(ctx, log, func() error {
		err := r.Handle(ctx, event)
		if why, refused := refusal(err); refused {
			log.InfoContext(ctx, "refused", slog.String("code", why.Code))
			return r.Refused(ctx, event, why)
		}
		return err
	})
}

// refusal returns the rule that refused for good. That others were first, or
// that the ledger is away, passes.
func refusal(err error) (*problem.Error, bool) {
	if err == nil || errors.Is(err, es.ErrConflict) {
		return nil, false
	}
	p, ok := problem.From(err)
	ok = ok && p.Status >= http.StatusBadRequest && p.Status < http.StatusInternalServerError && p.Status != http.StatusTooManyRequests
	return p, ok
}

// Forward hands what is recorded in some streams to take, in order, until ctx
// ends; then it returns nil. An error of take ends it.
//
// How far it is is kept in a database, beside the checkpoints of projections,
// under a name that Rebuild does not touch. It moves after take has returned, so
// over a restart nothing is left out, and the last events may come again. Of
// several instances one does the work, see [readmodel.DB.Alone]; where two did
// for a moment, events came to both.
func Forward(ctx context.Context, store es.Store, db *readmodel.DB, log *slog.Logger, name string, take func(context.Context, []es.Recorded) error, prefixes ...string) error {
	return db.Alone(ctx, log, name, func(ctx context.Context) error {
		for {
			err := forward(ctx, store, db, log, name, take, prefixes)
			if !errors.Is(err, readmodel.ErrMoved) {
				return err
			}
			log.WarnContext(ctx, "another instance did the same work; this one goes on from where that is")
		}
	})
}

// forward is Forward until somebody else moves the checkpoint.
func forward(ctx context.Context, store es.Store, db *readmodel.DB, log *slog.Logger, name string, take func(context.Context, []es.Recorded) error, prefixes []string) error {
	var checkpoint atomic.Uint64
	var moved time.Time // when it was
	position := func() es.Position { return es.Position(checkpoint.Load()) }
	if Persist(ctx, log, func() error {
		stored, err := db.Checkpoint(ctx, name)
		checkpoint.Store(uint64(stored))
		return err
	}) != nil {
		return nil // ctx ended
	}
	lag := db.Lag(name, position)
	defer lag.Stop()
	return Follow(ctx, store, log, position, func(b es.Batch) error {
		lag.Read(b)
		stored := position()
		if len(b.Events) > 0 {
			if err := take(ctx, b.Events); err != nil {
				return err
			}
		} else if b.Through <= stored || time.Since(moved) < time.Second {
			return nil // where nothing matched, now and then is enough
		}
		err := Persist(ctx, log, func() error {
			return db.Update(ctx, func(tx *readmodel.Tx) error { return tx.MoveCheckpoint(ctx, name, stored, b.Through) })
		})
		if err == nil {
			checkpoint.Store(uint64(b.Through))
			moved = time.Now()
		}
		return err
	}, prefixes...)
}

// Follow hands the batches of a store, from a position on, to take until ctx
// ends; then it returns nil. Where the store fails, it resumes from where from
// then is. An error of take ends it.
func Follow(ctx context.Context, store es.Store, log *slog.Logger, from func() es.Position, take func(es.Batch) error, prefixes ...string) error {
	var wait backoff
	for {
		var final error
		start := from()
		err := errors.New("service: the store ended")
		for batch, broken := range store.Follow(ctx, start, prefixes...) {
			if err = broken; err != nil {
				break
			}
			if final = take(batch); final != nil {
				break
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case final != nil:
			return fmt.Errorf("stopped at %d: %w", from(), final)
		case from() > start:
			wait = 0
		}
		log.WarnContext(ctx, "interrupted", slog.Uint64("position", uint64(from())), slog.Any("error", err))
		_ = pause.For(ctx, wait.next())
	}
}

// Persist calls f until it succeeds, with more and more patience. It gives up
// with ctx, and where another process does the same work: readmodel.ErrMoved.
func Persist(ctx context.Context, log *slog.Logger, f func() error) error {
	for wait := backoff(0); ; _ = pause.For(ctx, wait.next()) {
		err := f()
		switch {
		case err == nil, errors.Is(err, readmodel.ErrMoved):
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		log.WarnContext(ctx, "will be tried again", slog.Any("error", err))
	}
}

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 30 * time.Second
)

// backoff is how long was waited last; it doubles from firstPause to maxPause.
type backoff time.Duration

func (b *backoff) next() time.Duration {
	*b = min(max(backoff(firstPause), 2**b), backoff(maxPause))
	return time.Duration(*b)
}
