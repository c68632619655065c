package service

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/libs/pause"
)

// Deadlines calls a function when the clock passes a time. What is to come it
// asks every second, so it does not matter who learned of it, and it remembers
// nothing over restarts.
type Deadlines struct {
	Clock Clock
	Log   *slog.Logger
	// Ready, where given, says whether the clock can be trusted: while it is
	// false none fires.
	Ready func() bool
	// Due lists what is to be done, or has been done but is not seen yet.
	Due func(context.Context) ([]Deadline, error)
	// Fire does it. It is called once for a key and a time, as long as Due lists
	// them; after an error again a little later, with more and more patience.
	Fire func(context.Context, Deadline) error
}

// Deadline is something to do at a time; a time that is past is now.
type Deadline struct {
	Key string // of its stream and what it is, e.g. meeting-…/close; also the command's idempotency key
	At  time.Time
}

// look is how often Deadlines asks. The clock may be set, and the machine may
// sleep, so it looks at that as often.
const look = time.Second

// Run fires deadlines, one after the other, until ctx ends; then it returns nil.
func (d Deadlines) Run(ctx context.Context) error {
	tries := map[Deadline]try{}
	for ctx.Err() == nil {
		if d.Ready == nil || d.Ready() {
			if list, err := d.Due(ctx); err == nil {
				tries = d.fire(ctx, list, tries)
			} else if ctx.Err() == nil {
				d.Log.WarnContext(ctx, "deadlines are not known and will be asked for again", slog.Any("error", err))
			}
		}
		_ = pause.For(ctx, look)
	}
	return nil
}

// try is what became of a deadline that has passed.
type try struct {
	done  bool
	wait  backoff   // after the last failure
	again time.Time // when to try again
}

// fire fires what is due, in the order of the times, and returns the tries of
// what is still listed.
func (d Deadlines) fire(ctx context.Context, list []Deadline, before map[Deadline]try) map[Deadline]try {
	slices.SortStableFunc(list, func(a, b Deadline) int { return a.At.Compare(b.At) })
	tries := make(map[Deadline]try, len(list))
	for _, what := range list {
		what.At = what.At.UTC().Round(0) // comparable
		t, now := before[what], d.Clock()
		if !t.done && !now.Before(what.At) && !now.Before(t.again) && ctx.Err() == nil {
			err := d.Fire(ctx, what)
			if t.done = err == nil; err != nil && ctx.Err() == nil {
				wait := t.wait.next()
				t.again = d.Clock().Add(wait)
				d.Log.WarnContext(ctx, "deadline will be tried again", slog.String("deadline", what.Key), slog.Duration("in", wait), slog.Any("error", err))
			}
		}
		if t != (try{}) {
			tries[what] = t
		}
	}
	return tries
}
