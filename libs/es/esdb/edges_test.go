package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

func TestAppendWhoseDeadlinePassedIsSettledByRepeatingIt(t *testing.T) {
	var slow atomic.Bool
	r := serve(t, esdbserver.Faults{Appended: func(ctx context.Context) error {
		if slow.Load() {
			<-ctx.Done()
		}
		return nil
	}}, nil)
	s := r.open(t)
	e := events(2)
	slow.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Append(ctx, "a-1", 0, e...); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, es.ErrWrongRevision) {
		t.Fatalf("got %v, want the deadline", err)
	}
	slow.Store(false)
	if p := add(t, s, "a-1", 0, e...); p != r.store.Head() {
		t.Errorf("the repeat stands at %d, want %d", p, r.store.Head())
	}
	if n, _ := r.store.Length("a-1"); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

func TestAppendAsksForAPositionThatIsNotTold(t *testing.T) {
	r := serve(t, esdbserver.Faults{AppendedSomewhere: true}, func(s *pebblestore.Store) es.Store { return crowd{s} })
	s := r.open(t)
	e := events(3)
	first := add(t, s, "a-1", 0, e[:2]...)
	if first != r.store.Head() {
		t.Errorf("it stands at %d, want %d", first, r.store.Head())
	}
	add(t, s, "a-1", 2, e[2])
	if again := add(t, s, "a-1", 0, e[:2]...); again != first {
		t.Errorf("the repeat stands at %d, want %d", again, first)
	}
}

func TestAppendFailsWhereNoPositionIsToBeHad(t *testing.T) {
	s := serve(t, esdbserver.Faults{AppendedSomewhere: true, NoPositions: true}, nil).open(t)
	if p, err := s.Append(t.Context(), "a-1", 0, events(1)...); err == nil || errors.Is(err, es.ErrWrongRevision) {
		t.Errorf("position %d, %v", p, err)
	}
}

// The deadline of the store itself, where the caller has none.
func TestAppendHasADeadline(t *testing.T) {
	r := serve(t, esdbserver.Faults{Appended: func(ctx context.Context) error { <-ctx.Done(); return nil }}, nil)
	s, err := esdb.Open(esdb.Config{ConnectionString: r.connectionString(), AppendDeadline: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer s.Close()
	if _, err := s.Append(t.Context(), "a-1", 0, events(1)...); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
}

func TestCallsReachTheLeader(t *testing.T) {
	leader := serve(t, esdbserver.Faults{}, nil)
	host, port, err := net.SplitHostPort(leader.address)
	must(t, err)
	number, err := strconv.Atoi(port)
	must(t, err)
	refuse := func(ctx context.Context) error { return esdbserver.NotLeader(ctx, host, number) }
	faults := esdbserver.Faults{Appending: refuse, Reading: refuse}
	for name, do := range map[string]func(*esdb.Store) error{
		"append": func(s *esdb.Store) error { _, err := s.Append(t.Context(), "new-1", 0, events(1)...); return err },
		"read": func(s *esdb.Store) error {
			for _, err := range s.Read(t.Context(), "a-1", 0) {
				return err
			}
			return io.EOF
		},
		"read all": func(s *esdb.Store) error {
			for _, err := range s.ReadAll(t.Context(), 0) {
				return err
			}
			return io.EOF
		},
		"follow": func(s *esdb.Store) error {
			for _, err := range s.Follow(t.Context(), 0) {
				return err
			}
			return io.EOF
		},
	} {
		t.Run(name, func(t *testing.T) {
			n, err := leader.store.Length("a-1")
			must(t, err)
			add(t, leader.store, "a-1", n, events(1)...)
			follower := serve(t, faults, nil)
			must(t, do(follower.open(t)))
			if follower.store.Head() != 0 {
				t.Error("the follower recorded it")
			}
		})
	}
	if n, _ := leader.store.Length("new-1"); n != 1 {
		t.Errorf("the leader holds %d events, want 1", n)
	}
}

// Two servers of one store take turns as leader, drop their subscriptions then,
// and now and then an answer is lost after the events were recorded. A writer
// and a follower go on through all of it.
func TestLeaderChangesLoseAndDoubleNothing(t *testing.T) {
	const n, each = 300, 12 // events; in all, and from one change of leaders to the next
	store := inMemory(t)
	var leader, appended atomic.Int64
	nodes := make([]*rig, 2)
	for i := range nodes {
		follower := func(ctx context.Context) error {
			now := leader.Load()
			if now == int64(i) {
				return nil
			}
			at, err := net.ResolveTCPAddr("tcp", nodes[now].address)
			if err != nil {
				return err
			}
			return esdbserver.NotLeader(ctx, at.IP.String(), at.Port)
		}
		nodes[i] = serveStore(t, esdbserver.Faults{Appending: follower, Reading: follower, RareCheckpoints: true, Appended: func(context.Context) error {
			if appended.Add(1)%7 == 0 {
				return status.Error(codes.Unavailable, "the answer is lost")
			}
			return nil
		}}, store, crowd{store})
	}
	s := openAt(t, fmt.Sprintf("esdb://%s,%s?tls=false&discoveryInterval=20", nodes[0].address, nodes[1].address))
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	e := events(n)
	followed := make(chan error, 1)
	go func() {
		seen := 0
		for b, err := range s.Follow(ctx, 0, "a-") {
			if err != nil {
				followed <- err
				return
			}
			for _, got := range b.Events {
				if got.ID != e[seen].ID {
					followed <- fmt.Errorf("event %d is revision %d", seen, got.Revision)
					return
				}
				seen++
			}
			if seen == n {
				followed <- nil
				return
			}
		}
	}()
	last := es.Position(0)
	for i := range e {
		if i%each == each-1 {
			old := leader.Load()
			leader.Store(1 - old)
			if nodes[old].server.Drop(); i%(2*each) == each-1 {
				nodes[old].cut()
			}
		}
		p, err := s.Append(ctx, "a-1", uint64(i), e[i])
		for err != nil && ctx.Err() == nil { // not known: it is repeated
			if errors.Is(err, es.ErrWrongRevision) {
				t.Fatalf("event %d: %v", i, err)
			}
			p, err = s.Append(ctx, "a-1", uint64(i), e[i])
		}
		must(t, err)
		if p <= last {
			t.Errorf("event %d stands at %d, after %d", i, p, last)
		}
		last = p
	}
	must(t, <-followed)
	if length, err := store.Length("a-1"); length != n || err != nil {
		t.Errorf("%d events, want %d: %v", length, n, err)
	}
}

func TestTheServerSendsOnlyWhatIsAskedFor(t *testing.T) {
	r := serve(t, esdbserver.Faults{Sending: func(_ context.Context, _ int, m *streams.ReadResp) error {
		name := string(m.GetEvent().GetEvent().GetStreamIdentifier().GetStreamName())
		if strings.HasPrefix(name, "other-") {
			t.Errorf("%s was sent", name)
		}
		return nil
	}}, nil)
	s := r.open(t)
	for i := range uint64(20) {
		add(t, r.store, "other-1", i, events(1)...)
		add(t, r.store, "a-1", i, events(1)...)
	}
	end, n := add(t, r.store, "a-2", 0, events(1)...), 0
	for _, err := range s.ReadAll(t.Context(), 0, "a-") {
		must(t, err)
		n++
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for b, err := range s.Follow(ctx, 0, "a-") {
		must(t, err)
		if n += len(b.Events); b.Through >= end {
			break
		}
	}
	if n != 2*21 {
		t.Errorf("read and followed %d events, want %d", n, 2*21)
	}
}

func TestFollowResumesWhereASubscriptionWasDropped(t *testing.T) {
	const n = 50
	r := serve(t, esdbserver.Faults{}, func(s *pebblestore.Store) es.Store { return crowd{s} })
	s := r.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e := events(n)
	add(t, s, "a-1", 0, e[0])
	seen := 0
	for b, err := range s.Follow(ctx, 0, "a-") {
		must(t, err)
		for _, got := range b.Events {
			if got.ID != e[seen].ID {
				t.Fatalf("event %d is revision %d", seen, got.Revision)
			}
			seen++
		}
		switch {
		case seen == n:
			return
		case len(b.Events) > 0:
			if r.server.Drop(); seen%10 == 0 {
				r.cut()
			}
			add(t, r.store, "a-1", uint64(seen), e[seen])
		}
	}
}

// While it catches up the server says that it stands before c, and then records
// an event at c. Neither the subscription that follows nor a consumer that kept
// Through may pass over it.
func TestFollowLosesNothingAtAPlaceBeforeAnEvent(t *testing.T) {
	const n = 20
	var broken atomic.Bool
	r := serve(t, esdbserver.Faults{RareCheckpoints: true, Sending: func(_ context.Context, _ int, m *streams.ReadResp) error {
		c := m.GetCheckpoint()
		if broken.Swap(c != nil && c.PreparePosition < c.CommitPosition) {
			return status.Error(codes.Unavailable, "broken after a checkpoint")
		}
		return nil
	}}, func(s *pebblestore.Store) es.Store { return crowd{s} })
	s := r.open(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	e := events(n)
	add(t, r.store, "a-1", 0, e[0])
	seen, through := 0, es.Position(0)
	for seen < n {
		for b, err := range s.Follow(ctx, through, "a-") {
			must(t, err)
			for _, got := range b.Events {
				if got.ID != e[seen].ID {
					t.Fatalf("event %d is revision %d", seen, got.Revision)
				}
				if seen++; seen < n {
					add(t, r.store, "a-1", uint64(seen), e[seen])
				}
			}
			through = b.Through
			if seen%2 == 0 || seen == n {
				break // and resume from Through
			}
		}
	}
}

func TestFollowEndsWhereTroubleLasts(t *testing.T) {
	r := serve(t, esdbserver.Faults{}, nil)
	s, err := esdb.Open(esdb.Config{
		ConnectionString: r.connectionString(), ConnectDeadline: 50 * time.Millisecond, FollowPatience: 200 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer s.Close()
	add(t, s, "a-1", 0, events(1)...)
	for b, err := range s.Follow(t.Context(), 0) {
		if err != nil {
			return
		}
		if len(b.Events) > 0 {
			r.stop()
		}
	}
	t.Fatal("ended without an error")
}

func TestFollowDoesNotWaitForAServerThatWasSetBack(t *testing.T) {
	r := serve(t, esdbserver.Faults{}, nil)
	s, err := esdb.Open(esdb.Config{ConnectionString: r.connectionString(), FollowPatience: 100 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer s.Close()
	p := add(t, s, "a-1", 0, events(1)...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, err := range s.Follow(ctx, p+1) {
		if err == nil || !strings.Contains(err.Error(), "restored from a backup") {
			t.Errorf("got %v", err)
		}
	}
}

func TestCallsFailWithoutAServerAndWorkOnceThereIsOne(t *testing.T) {
	r := serve(t, esdbserver.Faults{}, nil)
	r.stop()
	s, err := esdb.Open(esdb.Config{ConnectionString: r.connectionString(), ConnectDeadline: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	defer s.Close()
	if _, err := s.Append(t.Context(), "a-1", 0, events(1)...); !errors.Is(err, es.ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	for _, err := range s.Read(t.Context(), "a-1", 0) {
		if !errors.Is(err, es.ErrUnavailable) {
			t.Errorf("read: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	for _, err := range s.ReadAll(ctx, 0) {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the caller's deadline", err)
		}
	}
	r.start(t)
	for deadline := time.Now().Add(patience); ; {
		_, err := s.Append(t.Context(), "a-1", 0, events(1)...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestCloseEndsReadsWithAnError(t *testing.T) {
	r := serve(t, esdbserver.Faults{}, nil)
	s := r.open(t)
	add(t, s, "a-1", 0, events(3)...)
	for b, err := range s.Follow(t.Context(), 0) {
		if err != nil {
			if !errors.Is(err, esdb.ErrClosed) {
				t.Errorf("got %v, want ErrClosed", err)
			}
			break
		}
		if len(b.Events) > 0 {
			go s.Close()
		}
	}
	if _, err := s.Append(t.Context(), "a-1", 3, events(1)...); !errors.Is(err, esdb.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func TestErrorsOfTheConnectionStringKeepItsPassword(t *testing.T) {
	for _, at := range []string{"esdb://user:secret@host:port", "esdb://user:secret@host:99:99", "user:secret@host", "esdb://user:sec%ret@host", "http://user:secret@host"} {
		_, err := esdb.Open(esdb.Config{ConnectionString: at})
		if err == nil || strings.Contains(err.Error(), "sec") {
			t.Errorf("got %v", err)
		}
	}
}

// An event that does not match, recorded between asking where the server ends
// and the subscription, is passed while catching up: the server names no place.
func TestFollowMovesOnOverWhatCameJustBeforeItsSubscription(t *testing.T) {
	var late atomic.Bool
	var store *pebblestore.Store
	var reads atomic.Int64
	r := serve(t, esdbserver.Faults{RareCheckpoints: true, Reading: func(ctx context.Context) error {
		if reads.Add(1) == 2 && late.Load() { // the first asks for the end
			_, err := store.Append(ctx, "other-1", 0, events(1)...)
			return err
		}
		return nil
	}}, func(s *pebblestore.Store) es.Store { store = s; return s })
	p := add(t, store, "a-1", 0, events(1)...)
	late.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for b, err := range r.open(t).Follow(ctx, p, "a-") {
		must(t, err)
		if b.Through > p {
			return
		}
	}
}
