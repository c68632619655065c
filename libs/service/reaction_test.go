package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
)

func reactionDeps(t *testing.T) service.Deps {
	t.Helper()
	store, err := pebblestore.Open(pebblestore.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	db, err := readmodel.Open(t.Context(), "sqlite://"+t.TempDir()+"/x.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(); db.Close() })
	return service.Deps{Store: store, DB: db, Clock: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// happen appends n events to a stream that held from.
func happen(t *testing.T, s es.Store, stream string, from, n int) {
	t.Helper()
	for i := range n {
		if _, err := s.Append(t.Context(), stream, uint64(from+i), es.Proposed{ID: uuid.New(), Type: "happened.v1", Data: []byte(strconv.Itoa(from + i)), Meta: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
	}
}

// log of what a reaction was asked, in order.
type witness struct {
	mu   sync.Mutex
	seen []string
	more chan struct{}
}

func newWitness() *witness { return &witness{more: make(chan struct{}, 100)} }

func (w *witness) note(format string, args ...any) {
	w.mu.Lock()
	w.seen = append(w.seen, fmt.Sprintf(format, args...))
	w.mu.Unlock()
	w.more <- struct{}{}
}

func (w *witness) wait(t *testing.T, n int) []string {
	t.Helper()
	for {
		w.mu.Lock()
		seen := append([]string(nil), w.seen...)
		w.mu.Unlock()
		if len(seen) >= n {
			return seen
		}
		select {
		case <-w.more:
		case <-time.After(20 * time.Second):
			t.Fatalf("saw only %q", seen)
		}
	}
}

// during runs f while r reacts.
func during(t *testing.T, r service.Reaction, deps service.Deps, f func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx, deps) }()
	f()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestAReactionGoesOnWithTheTraceOfItsCause(t *testing.T) {
	const cause = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for name, traced := range map[string]bool{"with a tracer": true, "without one the events still name it": false} {
		t.Run(name, func(t *testing.T) {
			deps := reactionDeps(t)
			deps.Vault = newDeps(t, io.Discard).Vault
			spans := tracetest.NewSpanRecorder()
			if traced {
				deps.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
			}
			for i, meta := range []string{`{"traceparent":"` + cause + `"}`, `{}`} {
				if _, err := deps.Store.Append(t.Context(), "meeting-1", uint64(i), es.Proposed{ID: uuid.New(), Type: "happened.v1", Data: []byte(`{}`), Meta: []byte(meta)}); err != nil {
					t.Fatal(err)
				}
			}
			w := newWitness()
			r := service.Reaction{Name: "x", Prefixes: []string{"meeting-"}, Handle: func(ctx context.Context, e es.Recorded) error {
				w.note("%s", service.ReactionRequest(ctx, deps, "x", e.ID.String()).Trace)
				return nil
			}}
			var seen []string
			during(t, r, deps, func() { seen = w.wait(t, 2) })
			want := cause
			if traced {
				ended := spans.Ended()
				if len(ended) != 1 || ended[0].Name() != "react x" || ended[0].Parent().SpanID().String() != cause[36:52] {
					t.Fatalf("spans %v", ended)
				}
				want = cause[:36] + ended[0].SpanContext().SpanID().String() + "-01"
			}
			if seen[0] != want || seen[1] != "" {
				t.Errorf("what it asks for is of the traces %q, want %q and none", seen, want)
			}
		})
	}
}

func TestAReactionSeesItsStreamsInOrderAndGoesOnAfterARestart(t *testing.T) {
	deps := reactionDeps(t)
	w := newWitness()
	r := service.Reaction{Name: "x", Prefixes: []string{"meeting-"}, Handle: func(_ context.Context, e es.Recorded) error {
		w.note("%s %s", e.Stream, e.Data)
		return nil
	}}
	happen(t, deps.Store, "meeting-1", 0, 2)
	happen(t, deps.Store, "unit-1", 0, 2)
	during(t, r, deps, func() {
		w.wait(t, 2)
		happen(t, deps.Store, "meeting-2", 0, 1)
		w.wait(t, 3)
		for at := es.Position(0); at == 0; at, _ = deps.DB.Checkpoint(t.Context(), "reaction/x") { // the checkpoint follows the batch
		}
	})
	happen(t, deps.Store, "meeting-1", 2, 1)
	during(t, r, deps, func() {
		seen := w.wait(t, 4)
		if seen[0] != "meeting-1 0" || seen[1] != "meeting-1 1" || seen[2] != "meeting-2 0" || seen[len(seen)-1] != "meeting-1 2" {
			t.Errorf("saw %q", seen)
		}
	})
}

func TestAReactionTriesAgainWhatPassesAndRecordsWhatIsRefused(t *testing.T) {
	deps := reactionDeps(t)
	w := newWitness()
	tries := 0
	answers := []error{es.ErrNotSent, es.ErrConflict, problem.Unavailable("not-caught-up", ""), errors.New("network"), &es.PendingError{Err: es.ErrPending}, nil}
	r := service.Reaction{
		Name: "x", Prefixes: []string{"meeting-"},
		Handle: func(_ context.Context, e es.Recorded) error {
			switch string(e.Data) {
			case "0":
				tries++
				w.note("try %d", tries)
				return answers[min(tries, len(answers))-1]
			case "1":
				return problem.Conflict("already-ended", "the agreement has ended")
			}
			w.note("done %s", e.Data)
			return nil
		},
		Refused: func(_ context.Context, e es.Recorded, why *problem.Error) error {
			w.note("refused %s %s", e.Data, why.Code)
			return nil
		},
	}
	happen(t, deps.Store, "meeting-1", 0, 3)
	during(t, r, deps, func() {
		seen := w.wait(t, 8)
		if seen[6] != "refused 1 already-ended" || seen[7] != "done 2" {
			t.Errorf("saw %q", seen)
		}
	})
}

func TestTheRequestOfAReactionIsTheSameForTheSameCause(t *testing.T) {
	deps := newDeps(t, io.Discard)
	a, b, c := service.ReactionRequest(t.Context(), deps, "x", "1"), service.ReactionRequest(t.Context(), deps, "x", "1"), service.ReactionRequest(t.Context(), deps, "x", "2")
	if a.Commit != b.Commit || a.Hash != b.Hash || a.Commit == c.Commit {
		t.Errorf("got %v %v %v", a, b, c)
	}
	if a.Actor != "reaction:x" || a.Cause != "1" {
		t.Errorf("got %+v", a)
	}
}

func TestDeadlines(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	var mu sync.Mutex // orders what the test and what fire see
	run := func(t *testing.T, ready func() bool, fire func(key string) error, f func(set func(key string, at time.Time))) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			list := map[string]time.Time{}
			d := service.Deadlines{
				Clock: time.Now, Log: quiet,
				Ready: func() bool { mu.Lock(); defer mu.Unlock(); return ready == nil || ready() },
				Due: func(context.Context) (due []service.Deadline, err error) {
					mu.Lock()
					defer mu.Unlock()
					for key, at := range list {
						due = append(due, service.Deadline{Key: key, At: at})
					}
					return due, nil
				},
				Fire: func(_ context.Context, what service.Deadline) error {
					mu.Lock()
					defer mu.Unlock()
					return fire(what.Key)
				},
			}
			done := make(chan error)
			go func() { done <- d.Run(ctx) }()
			f(func(key string, at time.Time) {
				mu.Lock()
				defer mu.Unlock()
				if list[key] = at; at.IsZero() {
					delete(list, key)
				}
			})
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	in := func(s int) time.Time { return time.Now().Add(time.Duration(s) * time.Second) }
	order := func() {
		mu.Lock()
		mu.Unlock() //nolint:staticcheck // nothing to do, but in order
	}
	advance := func(s int) {
		order() // after what the test has read
		time.Sleep(time.Duration(s)*time.Second + time.Millisecond)
		synctest.Wait()
		order() // before what it reads next
	}

	t.Run("fire once each, in the order of their times", func(t *testing.T) {
		var fired []string
		run(t, nil, func(key string) error { fired = append(fired, key); return nil }, func(set func(string, time.Time)) {
			set("b", in(20))
			set("a", in(10))
			set("past", in(-10))
			advance(5)
			if len(fired) != 1 || fired[0] != "past" {
				t.Errorf("after 5 s %q", fired)
			}
			advance(60) // they are listed until what was done is seen
			if fmt.Sprint(fired) != "[past a b]" {
				t.Errorf("fired %q", fired)
			}
		})
	})
	t.Run("move and are cancelled", func(t *testing.T) {
		var fired []string
		run(t, nil, func(key string) error { fired = append(fired, key); return nil }, func(set func(string, time.Time)) {
			set("moved", in(10))
			set("cancelled", in(10))
			advance(5)
			set("moved", in(30))
			set("cancelled", time.Time{})
			advance(20)
			if len(fired) != 0 {
				t.Errorf("fired %q", fired)
			}
			advance(20)
			if fmt.Sprint(fired) != "[moved]" {
				t.Errorf("fired %q", fired)
			}
		})
	})
	t.Run("are tried again until they succeed, and hold up no other", func(t *testing.T) {
		tries := map[string]int{}
		run(t, nil, func(key string) error {
			if tries[key]++; key == "stubborn" && tries[key] < 5 {
				return es.ErrNotSent
			}
			return nil
		}, func(set func(string, time.Time)) {
			set("stubborn", in(1))
			set("other", in(1))
			advance(2)
			if tries["other"] != 1 {
				t.Errorf("tried %v", tries)
			}
			advance(60)
			if tries["stubborn"] != 5 || tries["other"] != 1 {
				t.Errorf("tried %v", tries)
			}
		})
	})
	t.Run("wait while the clock is off", func(t *testing.T) {
		ready, fired := false, 0
		run(t, func() bool { return ready }, func(string) error { fired++; return nil }, func(set func(string, time.Time)) {
			set("a", in(1))
			advance(10)
			if fired != 0 {
				t.Error("fired while not ready")
			}
			mu.Lock()
			ready = true
			mu.Unlock()
			advance(2)
			if fired != 1 {
				t.Errorf("fired %d times", fired)
			}
		})
	})
}
