package readmodel_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// onPostgres lets a test open the same empty schema again and again. None runs where
// YIMU_TEST_DATABASE names no PostgreSQL database. cut breaks all its
// connections from the server's side.
func onPostgres(t *testing.T, test func(t *testing.T, open func() *readmodel.DB, cut func())) {
	t.Helper()
	if os.Getenv("YIMU_TEST_DATABASE") == "" {
		return
	}
	address, err := url.Parse(os.Getenv("YIMU_TEST_DATABASE"))
	if err != nil {
		t.Fatal("YIMU_TEST_DATABASE is not an address")
	}
	server, err := sql.Open("pgx", address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	q := address.Query()
	q.Set("application_name", t.Name())
	address.RawQuery = q.Encode()
	in := schema(t)
	test(t, func() *readmodel.DB {
		db, err := readmodel.Open(t.Context(), address.String(), in)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		if err := db.Migrate(t.Context(), migrations()); err != nil {
			t.Fatal(err)
		}
		return db
	}, func() {
		if _, err := server.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, t.Name()); err != nil {
			t.Error(err)
		}
	})
}

// loop is a loop that a process runs alone.
type loop struct {
	stop  func() error
	begun chan struct{}
}

// alone runs a loop that counts in running how many run at once.
func alone(t *testing.T, db *readmodel.DB, name string, running *atomic.Int32) *loop {
	ctx, cancel := context.WithCancel(context.Background())
	l := &loop{begun: make(chan struct{}, 100)}
	done := make(chan error, 1)
	go func() {
		done <- db.Alone(ctx, quiet(), name, func(ctx context.Context) error {
			if n := running.Add(1); n != 1 {
				t.Errorf("%d run at once", n)
			}
			l.begun <- struct{}{}
			<-ctx.Done()
			running.Add(-1)
			return ctx.Err()
		})
	}()
	l.stop = func() error { cancel(); return <-done }
	return l
}

// either waits until one of two loops begins and returns it and the other.
func either(t *testing.T, a, b *loop) (runs, waits *loop) {
	t.Helper()
	select {
	case <-a.begun:
		return a, b
	case <-b.begun:
		return b, a
	case <-time.After(20 * time.Second):
		t.Fatal("none began")
		return nil, nil
	}
}

func TestALoopRunsInOneProcessAtATime(t *testing.T) {
	onPostgres(t, func(t *testing.T, open func() *readmodel.DB, _ func()) {
		var running, other atomic.Int32
		runs, waits := either(t, alone(t, open(), "nightly", &running), alone(t, open(), "nightly", &running))
		third := alone(t, open(), "relay", &other) // of another name
		<-third.begun
		if err := runs.stop(); err != nil {
			t.Error(err)
		}
		<-waits.begun
		for _, l := range []*loop{waits, third} {
			if err := l.stop(); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestALoopEndsWithTheConnectionThatHoldsIt(t *testing.T) {
	onPostgres(t, func(t *testing.T, open func() *readmodel.DB, cut func()) {
		var running [2]atomic.Int32 // for a moment both may
		a, b := alone(t, open(), "nightly", &running[0]), alone(t, open(), "nightly", &running[1])
		for range 3 {
			either(t, a, b)
			cut()
		}
		either(t, a, b)
		for _, l := range []*loop{a, b} {
			if err := l.stop(); err != nil {
				t.Error(err)
			}
		}
		if running[0].Load()+running[1].Load() != 0 {
			t.Error("a loop outlived its turn")
		}
	})
}

func TestALoopThatEndsByItselfEndsForAll(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		want := errors.New("an event that cannot be read")
		if err := open().Alone(t.Context(), quiet(), "relay", func(context.Context) error { return want }); !errors.Is(err, want) {
			t.Fatal(err)
		}
	})
}

func TestAProjectionOutlivesItsConnections(t *testing.T) {
	onPostgres(t, func(t *testing.T, open func() *readmodel.DB, cut func()) {
		store := newStore(t)
		all := []*process{start(t, open(), store), start(t, open(), store)}
		for i := range 20 {
			last := write(t, store, reported(i), reported(i/2))
			if i%4 == 3 {
				cut()
			}
			for _, p := range all {
				waitFor(t, p, last)
			}
		}
		sameRows(t, open(), store)
	})
}
