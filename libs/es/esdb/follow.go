package esdb

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/yimu-ledger/yimu/libs/es"
)

// A filtered subscription looks at a window of events at a time, and says where
// it stands only after a window in which nothing matched.
const (
	catchUpWindow = 500 // few, large pages
	liveWindow    = 1   // each event that does not match moves the follower on at once
)

// batchSize is the most events of a [es.Batch].
const batchSize = 1000

// settling is how long after catching up a follower waits for a place to keep
// before it asks where the server ends.
const settling = 300 * time.Millisecond

// Follow implements [es.Store]. It resumes by itself; trouble that lasts longer
// than Config.FollowPatience, or that will not pass, ends it.
func (s *Store) Follow(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Batch, error] {
	return func(yield func(es.Batch, error) bool) {
		f := follower{store: s, prefixes: prefixes, yield: yield, through: after, at: exactly(after)}
		const shortest, longest = 20 * time.Millisecond, 2 * time.Second
		wait, well := shortest, time.Now()
		for {
			before := f.at
			err := f.run(ctx)
			if errors.Is(err, errLeft) {
				return
			}
			if f.at != before || err == nil {
				wait, well = shortest, time.Now()
			}
			if err == nil {
				continue // fell behind
			}
			if ctx.Err() != nil || s.closed.Err() != nil || lasting(err) || time.Since(well) > s.config.FollowPatience {
				yield(es.Batch{}, s.failed(ctx, "follow", err))
				return
			}
			s.logger.InfoContext(ctx, "eventstore: following was interrupted",
				slog.Uint64("through", uint64(f.through)), slog.Duration("wait", wait), slog.Any("error", err))
			select {
			case <-time.After(wait):
			case <-ctx.Done():
			case <-s.closed.Done():
			}
			wait = min(2*wait, longest)
		}
	}
}

// lasting says that an error is an answer, which asking again will not change.
func lasting(err error) bool {
	for _, code := range []client.ErrorCode{
		client.ErrorCodeAccessDenied, client.ErrorCodeUnauthenticated, client.ErrorCodeUnsupportedFeature,
	} {
		if hasCode(err, code) {
			return true
		}
	}
	return false
}

// follower is what Follow knows between two subscriptions.
//
// Two places are kept. at is where the server said it stands, a commit and a
// prepare position, good to go on from on this server. through is what a
// consumer may keep: always the position of an event, because an event that the
// server says it stands before, (c, 0), may be recorded at c a moment later, and
// would be lost to a consumer that resumes after c.
type follower struct {
	store    *Store
	prefixes []string
	yield    func(es.Batch, error) bool
	through  es.Position
	at       client.Position
}

// run follows until an error, or until it has to catch up again: because the
// server says that it fell behind, or because it does not say how far it got.
//
// First it reads on to where the server ends, in large windows; there it takes
// the end, asked for before, as its place, for while catching up the server
// names none where nothing matched. Then it takes part in the feed of all
// followers, which waits in windows of one event.
func (f *follower) run(ctx context.Context) error {
	end, err := f.store.end(ctx)
	if err != nil {
		return err
	}
	if end < f.through {
		// Positions are given anew there: waiting would pass over what comes.
		return fmt.Errorf("the server ends at %d, and %d was seen already: it is another store, or was restored from a backup", end, f.through)
	}
	if end > f.through {
		if err := f.follow(ctx, catchUpWindow, end); err != nil {
			return err
		}
		f.at = exactly(max(end, f.through))
		if end > f.through {
			f.through = end
			if !f.yield(es.Batch{Through: end}, nil) {
				return errLeft
			}
		}
	}
	return f.share(ctx)
}

// follow yields batches until end is reached, or for ever; see run.
func (f *follower) follow(ctx context.Context, window int, end es.Position) error {
	sub, err := f.store.subscribe(ctx, f.at, window, f.prefixes)
	if err != nil {
		return err
	}
	defer sub.close()
	var settled <-chan time.Time
	for {
		n, err := sub.next(ctx, settled)
		if errors.Is(err, errSettled) {
			// What came in just before the subscription may have been passed without a word.
			settled = nil
			if now, err := f.store.end(ctx); err != nil || now > f.through {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		batch := es.Batch{Through: f.through}
		done := false
		for {
			if n.at != (client.Position{}) {
				f.at = n.at
			}
			switch {
			case n.exact:
				settled = nil
			case n.caughtUp:
				settled = time.After(settling)
			}
			if n.exact && es.Position(n.at.Commit) > batch.Through {
				batch.Through = es.Position(n.at.Commit)
				if n.event != nil {
					batch.Events = append(batch.Events, *n.event)
				}
			}
			if done = n.fellBehind; end < everything {
				done = n.caughtUp || passed(n.at, end)
			}
			if done || len(batch.Events) == batchSize {
				break
			}
			var more bool
			if n, more, err = sub.ready(); !more || err != nil {
				break // an error is told after what came before it
			}
		}
		if batch.Through > f.through {
			f.through = batch.Through
			if !f.yield(batch, nil) {
				return errLeft
			}
		}
		if err != nil || done {
			return err
		}
	}
}

// exactly is the place of an event. Only what the long gone TCP interface wrote
// has a prepare position of its own.
func exactly(p es.Position) client.Position {
	return client.Position{Commit: uint64(p), Prepare: uint64(p)}
}

// passed says whether all up to end has been seen at this place.
func passed(at client.Position, end es.Position) bool {
	return es.Position(at.Commit) > end || es.Position(at.Commit) == end && at.Prepare >= at.Commit
}

// subscription is a filtered subscription to all events.
type subscription struct {
	connection *connection
	in         <-chan received[notice]
	close      func()
}

// notice is one message of a subscription.
type notice struct {
	event                *es.Recorded // one of ours, or nil
	at                   client.Position
	exact                bool // at is the place of an event
	caughtUp, fellBehind bool
}

func (s *Store) subscribe(ctx context.Context, after client.Position, window int, prefixes []string) (*subscription, error) {
	options := client.SubscribeToAllOptions{
		From: client.Start{}, MaxSearchWindow: window, CheckpointInterval: 1,
		Filter: &client.SubscriptionFilter{Type: client.StreamFilterType, Prefixes: prefixes},
	}
	if after != (client.Position{}) {
		options.From = after
	}
	if len(prefixes) == 0 || slices.Contains(prefixes, "") {
		options.Filter.Prefixes, options.Filter.Regex = nil, `^[^$]`
	}
	ctx, cancel := context.WithCancel(ctx)
	sub, err := retry(ctx, func() (*client.Subscription, error) {
		return call(ctx, s.connection, discardSubscription, func(ctx context.Context) (*client.Subscription, error) {
			return s.client.SubscribeToAll(ctx, options)
		})
	})
	if err != nil {
		cancel()
		return nil, err
	}
	in := pump(ctx, s.connection, batchSize, func() { discardSubscription(sub) }, func() (notice, error) { return notify(sub.Recv()) })
	return &subscription{s.connection, in, cancel}, nil
}

func discardSubscription(sub *client.Subscription) { _ = sub.Close() }

func notify(m *client.SubscriptionEvent) (notice, error) {
	switch {
	case m.EventAppeared != nil:
		r := recorded(m.EventAppeared)
		n := notice{at: m.EventAppeared.OriginalEvent().Position, exact: true}
		if !foreign(r) {
			n.event = &r
		}
		return n, nil
	case m.CheckPointReached != nil:
		at := *m.CheckPointReached
		return notice{at: at, exact: at.Prepare >= at.Commit}, nil
	case m.CaughtUp != nil:
		return notice{caughtUp: true}, nil
	case m.FellBehind != nil:
		return notice{fellBehind: true}, nil
	case m.SubscriptionDropped != nil:
		return notice{}, fmt.Errorf("subscription dropped: %w", m.SubscriptionDropped.Error)
	}
	return notice{}, nil
}

// errSettled says that nothing came until the alarm.
var errSettled = errors.New("esdb: settled")

// next waits for a notice, or for the alarm.
func (s *subscription) next(ctx context.Context, alarm <-chan time.Time) (notice, error) {
	return next(ctx, s.connection, s.in, alarm)
}

// ready returns a notice that is already there.
func (s *subscription) ready() (n notice, ok bool, err error) {
	select {
	case r := <-s.in:
		return r.value, true, r.err
	default:
		return notice{}, false, nil
	}
}
