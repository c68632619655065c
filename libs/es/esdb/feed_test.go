package esdb_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
)

// taking is a follower that keeps what it gets.
type taking struct {
	prefix string
	mu     sync.Mutex
	ids    []uuid.UUID
	at     chan es.Position // through of each batch
	gate   chan struct{}    // each batch waits for it; nil: none does
}

func take(ctx context.Context, t *testing.T, s *esdb.Store, prefix string, gate chan struct{}) *taking {
	f := &taking{prefix: prefix, at: make(chan es.Position, 10_000), gate: gate}
	go func() {
		for b, err := range s.Follow(ctx, 0, prefix) {
			if err != nil {
				if ctx.Err() == nil {
					t.Errorf("%s: %v", prefix, err)
				}
				return
			}
			f.mu.Lock()
			for _, e := range b.Events {
				f.ids = append(f.ids, e.ID)
			}
			f.mu.Unlock()
			f.at <- b.Through
			if f.gate != nil {
				<-f.gate
			}
		}
	}()
	return f
}

func (f *taking) until(ctx context.Context, t *testing.T, p es.Position) {
	t.Helper()
	for at := es.Position(0); at < p; {
		select {
		case at = <-f.at:
		case <-ctx.Done():
			t.Fatalf("%s is at %d, not at %d", f.prefix, at, p)
		}
	}
}

func (f *taking) holds(t *testing.T, want []uuid.UUID) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(f.ids, want) {
		t.Errorf("%s has %d events, not the %d that there are, in their order", f.prefix, len(f.ids), len(want))
	}
}

func TestAnEventIsSentOnceHoweverManyFollow(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var sent atomic.Int64
	r := serve(t, esdbserver.Faults{Sending: func(_ context.Context, _ int, m *streams.ReadResp) error {
		if name := string(m.GetEvent().GetEvent().GetStreamIdentifier().GetStreamName()); strings.Contains(name, "-round") {
			sent.Add(1)
		}
		return nil
	}}, nil)
	s := r.open(t)
	want := map[string][]uuid.UUID{}
	write := func(stream string, n int) (last es.Position) {
		for i := range n {
			e := events(1)
			last = add(t, r.store, stream, uint64(i), e...)
			want[stream[:2]] = append(want[stream[:2]], e[0].ID)
		}
		return last
	}
	// Each begins while the feed of those before it is under way, and wants more of it.
	var followers []*taking
	for _, prefix := range []string{"a-", "a-", "b-", "c-", "b-"} {
		f := take(ctx, t, s, prefix, nil)
		followers = append(followers, f)
		f.until(ctx, t, write(fmt.Sprintf("%sfirst%d", prefix, len(followers)), 1))
	}
	// They may still be catching up, each by itself, but not for long.
	const n, rounds = 20, 10
	for round := range rounds {
		sent.Store(0)
		var last es.Position
		for _, prefix := range []string{"a-", "b-", "c-", "d-"} { // the last ones are nobody's
			last = write(fmt.Sprintf("%sround%d", prefix, round), n)
		}
		for _, f := range followers {
			f.until(ctx, t, last)
			f.holds(t, want[f.prefix])
		}
		if sent.Load() == 3*n {
			return
		}
	}
	t.Errorf("%d events were sent, want each of %d once", sent.Load(), 3*n)
}

func TestAFollowerThatFellBehindTheFeedMissesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	r := serve(t, esdbserver.Faults{}, nil)
	s := r.open(t)
	gate := make(chan struct{})
	quick, slow := take(ctx, t, s, "a-", nil), take(ctx, t, s, "a-", gate)
	var want []uuid.UUID
	write := func(n int) es.Position {
		e := events(n)
		for i := range e {
			want = append(want, e[i].ID)
		}
		return add(t, r.store, "a-1", uint64(len(want)-n), e...)
	}
	p := write(1)
	quick.until(ctx, t, p)
	slow.until(ctx, t, p) // and is busy with it
	for range 60 {
		p = write(200) // more than a feed keeps
	}
	quick.until(ctx, t, p)
	close(gate)
	slow.until(ctx, t, p)
	quick.holds(t, want)
	slow.holds(t, want)
}
