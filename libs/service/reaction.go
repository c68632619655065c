package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/readmodel"
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

// Run reacts until ctx ends, then it returns nil. The checkpoint is kept in the
// service's database beside those of projections, under a name that Rebuild
// does not touch. It returns readmodel.ErrMoved where another process runs the
// same reaction.
func (r Reaction) Run(ctx context.Context, deps Deps) error {
	run := &reacting{Reaction: r, deps: deps, log: deps.Log.With(slog.String("reaction", r.Name))}
	var pause pause
	for {
		from := run.stored
		err := run.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, readmodel.ErrMoved):
			run.log.Error("reaction stopped", slog.Any("error", err))
			return fmt.Errorf("service: reaction %s: %w", r.Name, err)
		case run.stored > from:
			pause = 0
		}
		run.log.Warn("reaction interrupted", slog.Uint64("position", uint64(run.stored)), slog.Any("error", err))
		pause.wait(ctx)
	}
}

// reacting is a reaction under way.
type reacting struct {
	Reaction
	deps   Deps
	log    *slog.Logger
	stored es.Position // the checkpoint
	moved  time.Time   // when
}

// follow reacts from the checkpoint on until an error.
func (r *reacting) follow(ctx context.Context) (err error) {
	name := "reaction/" + r.Name
	if r.stored, err = r.deps.DB.Checkpoint(ctx, name); err != nil {
		return err
	}
	for batch, err := range r.deps.Store.Follow(ctx, r.stored, r.Prefixes...) {
		if err != nil {
			return err
		}
		for _, event := range batch.Events {
			if err := r.react(ctx, event); err != nil {
				return err
			}
		}
		// Where nothing matched, now and then is enough.
		if now := r.deps.Clock(); len(batch.Events) > 0 || batch.Through > r.stored && now.Sub(r.moved) > time.Second {
			if err := r.deps.DB.Update(ctx, func(tx *readmodel.Tx) error {
				return tx.MoveCheckpoint(ctx, name, r.stored, batch.Through)
			}); err != nil {
				return err
			}
			r.stored, r.moved = batch.Through, now
		}
	}
	return errors.New("service: the store ended")
}

// react returns nil once the command or its refusal is recorded, or the error
// of ctx.
func (r *reacting) react(ctx context.Context, event es.Recorded) error {
	for pause := pause(0); ; pause.wait(ctx) {
		err := r.Handle(ctx, event)
		if why, refused := refusal(err); refused {
			r.log.Info("refused", slog.String("event", event.ID.String()), slog.String("code", why.Code))
			err = r.Refused(ctx, event, why)
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		r.log.Warn("will be tried again", slog.String("event", event.ID.String()), slog.Any("error", err))
	}
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

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 30 * time.Second
)

// pause is how long was waited last; it doubles from firstPause to maxPause.
type pause time.Duration

func (p *pause) next() time.Duration {
	*p = min(max(pause(firstPause), 2**p), pause(maxPause))
	return time.Duration(*p)
}

func (p *pause) wait(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(p.next()):
	}
}
