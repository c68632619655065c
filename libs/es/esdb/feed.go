package esdb

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/yimu-ledger/yimu/libs/es"
)

// feed is the subscription at the end of the server that all followers of a
// Store share: an event comes once, however many of them it is for. Each takes
// what is its own at its own pace, from the latest events, which are kept. One
// that falls further behind catches up by itself and joins again.
type feed struct {
	prefixes []string // of all that may join, none for all streams
	stop     context.CancelFunc
	members  int // under Store.feeding

	mu      sync.Mutex
	events  []es.Recorded // all after floor, in order
	bytes   int
	floor   es.Position
	through es.Position   // of what has come
	changed chan struct{} // closed when something comes, or nothing more will
	err     error         // why nothing more will
}

// errAgain says that a follower has to catch up and join again.
var errAgain = errors.New("esdb: catch up again")

// What a feed keeps at least, once so much has come; twice that is the most.
const (
	feedEvents = 1024
	feedBytes  = 512 << 10
)

// join returns a feed that has what comes after a position in streams that start
// with one of prefixes. Where the one that runs has not, another takes its place
// that also has what is needed of it.
func (s *Store) join(prefixes []string, after es.Position) *feed {
	s.feeding.Lock()
	defer s.feeding.Unlock()
	if old := s.feed; old != nil {
		if old.covers(prefixes) {
			old.members++
			return old
		}
		if old.stop(); len(prefixes) > 0 {
			prefixes = slices.Concat(old.prefixes, prefixes)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &feed{prefixes: slices.Clone(prefixes), stop: cancel, members: 1, floor: after, through: after, changed: make(chan struct{})}
	s.feed = f
	go func() {
		defer cancel()
		sub := follower{store: s, prefixes: f.prefixes, yield: f.push, through: after, at: exactly(after)}
		err := sub.follow(ctx, liveWindow, everything)
		s.feeding.Lock()
		defer s.feeding.Unlock()
		if s.feed == f {
			s.feed = nil
		}
		if ctx.Err() != nil || err == nil {
			err = errAgain // another took its place, or it fell behind
		}
		f.end(err)
	}()
	return f
}

// leave ends a feed that nobody needs any more.
func (s *Store) leave(f *feed) {
	s.feeding.Lock()
	defer s.feeding.Unlock()
	if f.members--; f.members > 0 {
		return
	}
	if f.stop(); s.feed == f {
		s.feed = nil
	}
}

// covers says whether all streams that start with one of prefixes are in the feed.
func (f *feed) covers(prefixes []string) bool {
	if len(f.prefixes) == 0 {
		return true
	}
	for _, p := range prefixes {
		if !ofPrefix(p, f.prefixes) {
			return false
		}
	}
	return len(prefixes) > 0
}

func ofPrefix(stream string, prefixes []string) bool {
	return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(stream, p) })
}

func (f *feed) push(b es.Batch, _ error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range b.Events {
		f.bytes += weight(e)
	}
	f.events = append(f.events, b.Events...)
	if len(f.events) > 2*feedEvents || f.bytes > 2*feedBytes {
		cut := 0
		for len(f.events)-cut > feedEvents || f.bytes > feedBytes {
			f.bytes -= weight(f.events[cut])
			cut++
		}
		f.floor = f.events[cut-1].Position
		f.events = slices.Clone(f.events[cut:])
	}
	f.through = b.Through
	f.tell()
	return true
}

func weight(e es.Recorded) int { return len(e.Data) + len(e.Meta) + len(e.Stream) + 200 }

func (f *feed) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	f.tell()
}

// tell wakes those who wait; f.mu is held.
func (f *feed) tell() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// after returns what came after a position in streams that start with one of
// prefixes, once that is all there was. Where nothing came yet, changed tells when
// to ask again.
func (f *feed) after(p es.Position, prefixes []string) (b es.Batch, changed <-chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case p < f.floor:
		return es.Batch{}, nil, errAgain
	case p >= f.through:
		return es.Batch{}, f.changed, f.err
	}
	i, found := slices.BinarySearchFunc(f.events, p, func(e es.Recorded, p es.Position) int { return cmp.Compare(e.Position, p) })
	if found {
		i++
	}
	b.Through = f.through
	for _, e := range f.events[i:] {
		if ofPrefix(e.Stream, prefixes) {
			b.Events = append(b.Events, e)
		}
	}
	return b, f.changed, nil
}

// share yields what the feed has, until there is none or it does not reach back
// to where the follower is.
func (f *follower) share(ctx context.Context) error {
	feed := f.store.join(f.prefixes, f.through)
	defer f.store.leave(feed)
	for ctx.Err() == nil {
		batch, changed, err := feed.after(f.through, f.prefixes)
		switch {
		case errors.Is(err, errAgain):
			return nil
		case err != nil:
			return err
		case batch.Through > f.through:
			f.through, f.at = batch.Through, exactly(batch.Through)
			if !f.yield(batch, nil) {
				return errLeft
			}
		default:
			select {
			case <-changed:
			case <-ctx.Done():
			}
		}
	}
	return ctx.Err()
}
