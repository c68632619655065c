package readmodel_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// process runs the board of orders as a process of its own would, and checks
// what it is told of.
type process struct {
	*readmodel.Runner
	db   *readmodel.DB
	stop func() error

	folded atomic.Int64 // events in transactions that were begun
	mu     sync.Mutex
	passed []es.Recorded
}

func start(t testing.TB, db *readmodel.DB, store es.Store) *process {
	t.Helper()
	p := &process{db: db}
	projection := board()
	fold := projection.Fold
	projection.Fold = func(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
		p.folded.Add(int64(len(events)))
		return fold(ctx, tx, events)
	}
	projection.Passed = func(events []es.Recorded) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if first := events[0].Position; first <= p.Position() {
			t.Errorf("told of %d at position %d: too late", first, p.Position())
		}
		p.passed = append(p.passed, events...)
	}
	p.Runner = readmodel.NewRunner(db, store, quiet(), projection)
	p.stop = run(t, p.Runner)
	return p
}

// kill ends a process without goodbye.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.db.Close()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// told returns the positions that Passed was told of.
func (p *process) told() (positions []es.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.passed {
		positions = append(positions, e.Position)
	}
	return positions
}

func positions(t testing.TB, store es.Store) (all []es.Position) {
	t.Helper()
	for e, err := range store.ReadAll(t.Context(), 0, "workorder-") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.Position)
	}
	return all
}

// replayed returns the rows that a replay from zero gives.
func replayedRows(t *testing.T, store es.Store) []string {
	t.Helper()
	address, opts := databases()["sqlite"](t)
	db, err := readmodel.Open(t.Context(), address, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), migrations()); err != nil {
		t.Fatal(err)
	}
	r := readmodel.NewRunner(db, store, quiet(), board())
	stop := run(t, r)
	all := positions(t, store)
	waitFor(t, r, all[len(all)-1])
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	return dump(t, db)
}

func sameRows(t *testing.T, db *readmodel.DB, store es.Store) {
	t.Helper()
	if got, want := dump(t, db), replayedRows(t, store); !slices.Equal(got, want) {
		t.Fatalf("rows:\n%s\nreplayed:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long: %s", what)
		}
	}
}

func TestManyProcessesRunOneProjection(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store := newStore(t)
		var all []*process
		for range 3 {
			all = append(all, start(t, open(), store))
		}
		first := write(t, store, reported(0)) // who begins last may find it in the tables
		for _, p := range all {
			waitFor(t, p, first)
		}
		for i := range 60 {
			last := write(t, store, reported(i), reported(i/2))
			if i%3 > 0 {
				continue // more comes before anybody looks
			}
			for _, p := range all {
				waitFor(t, p, last)
				if n := count(t, p.db, "orders"); n < i+1 {
					t.Fatalf("a process says %d and sees %d orders of %d", p.Position(), n, i+1)
				}
			}
		}
		want := positions(t, store)
		var folded int64
		for i, p := range all {
			waitFor(t, p, want[len(want)-1])
			if got := p.told(); !slices.Equal(got[max(0, len(got)-len(want)+1):], want[1:]) {
				t.Errorf("process %d was told of %d events, want each of %d once and in order", i, len(got), len(want))
			}
			folded += p.folded.Load()
		}
		if folded != int64(len(want)) {
			t.Errorf("%d events were folded, want each of %d once", folded, len(want))
		}
		sameRows(t, all[0].db, store)
	})
}

func TestAnotherProcessFoldsWhenOneIsKilled(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store := newStore(t)
		all := []*process{start(t, open(), store), start(t, open(), store), start(t, open(), store)}
		first := write(t, store, reported(0))
		for _, p := range all {
			waitFor(t, p, first)
		}
		for n := 1; len(all) > 1; n++ {
			last := write(t, store, reported(n))
			for _, p := range all {
				waitFor(t, p, last)
			}
			folder := slices.MaxFunc(all, func(a, b *process) int { return int(a.folded.Load() - b.folded.Load()) })
			folder.kill(t)
			all = slices.DeleteFunc(all, func(p *process) bool { return p == folder })
			for _, p := range all {
				p.folded.Store(0)
			}
			start := time.Now()
			last = write(t, store, reported(n), reported(100+n))
			for _, p := range all {
				waitFor(t, p, last)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		}
		if got, want := all[0].told(), positions(t, store); !slices.Equal(got[max(0, len(got)-len(want)+1):], want[1:]) {
			t.Errorf("told of %d events, want each of %d", len(got), len(want))
		}
		sameRows(t, all[0].db, store)
	})
}

func TestAFoldThatTakesLongIsWaitedFor(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db, other := newStore(t), open(), open()
		slow := board()
		fold := slow.Fold
		begun, end := make(chan struct{}), make(chan struct{})
		slow.Fold = func(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
			close(begun)
			<-end
			return fold(ctx, tx, events)
		}
		last := write(t, store, reported(1), reported(2))
		first := readmodel.NewRunner(db, store, quiet(), slow)
		run(t, first)
		<-begun
		second := start(t, other, store)
		time.Sleep(2500 * time.Millisecond) // so long that the second would have taken over, were nobody there
		if at := second.Position(); at != 0 {
			t.Errorf("the second is at %d before anything is folded", at)
		}
		close(end)
		waitFor(t, first, last)
		waitFor(t, second, last)
		if second.folded.Load() != 0 {
			t.Error("both folded")
		}
		sameRows(t, db, store)
	})
}

func TestARebuildIsFollowedByAllProcesses(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store := newStore(t)
		all := []*process{start(t, open(), store), start(t, open(), store), start(t, open(), store)}
		for n := range 4 {
			last := write(t, store, reported(2*n), reported(2*n+1))
			for i, p := range all {
				waitFor(t, p, last)
				if n == 3 {
					continue
				}
				if i == n { // each of them once, also the one that folds
					if err := p.Rebuild(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, p := range all {
				var seen int
				err := p.Current(t.Context(), func(tx *readmodel.Tx) error {
					return tx.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&seen)
				})
				if err != nil || seen != 2*n+2 {
					t.Fatalf("process %d: %d rows, %v; want %d", i, seen, err, 2*n+2)
				}
			}
		}
		sameRows(t, all[0].db, store)
	})
}

func TestARebuildByAProcessThatDoesNotRunIsFollowed(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store := newStore(t)
		last := write(t, store, reported(1), reported(2))
		p := start(t, open(), store)
		waitFor(t, p, last)
		other := open()
		if err := readmodel.NewRunner(other, store, quiet(), board()).Rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		var seen int
		err := p.Current(t.Context(), func(tx *readmodel.Tx) error {
			return tx.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&seen)
		})
		if err != nil || seen != 2 {
			t.Fatalf("%d rows, %v; nobody may decide on an empty table", seen, err)
		}
	})
}

func TestTheCheckpointIsMovedOverWhatIsNotFolded(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store := newStore(t)
		all := []*process{start(t, open(), store), start(t, open(), store)}
		write(t, store, reported(1))
		foreign := writeBytes(t, store, "payment-1", []byte("{}"))
		for _, p := range all {
			waitFor(t, p, foreign)
		}
		eventually(t, "the checkpoint follows", func() bool {
			at, err := all[0].db.Checkpoint(t.Context(), "orders")
			return err == nil && at >= foreign
		})
	})
}

// cut is a store whose followers can be cut off.
type cut struct {
	es.Store
	off atomic.Bool
	now chan struct{}
}

func (c *cut) Follow(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Batch, error] {
	return func(yield func(es.Batch, error) bool) {
		if c.off.Load() {
			yield(es.Batch{}, errors.New("connection refused"))
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go func() {
			select {
			case <-c.now:
				cancel()
			case <-ctx.Done():
			}
		}()
		for b, err := range c.Store.Follow(ctx, after, prefixes...) {
			if err != nil {
				err = fmt.Errorf("connection lost: %w", err)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func TestAProcessIsToldOfWhatWasFoldedWhileItWasCutOff(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store := newStore(t)
		line := &cut{Store: store, now: make(chan struct{})}
		first, second := start(t, open(), store), start(t, open(), line)
		last := write(t, store, reported(1))
		waitFor(t, first, last)
		waitFor(t, second, last)

		line.off.Store(true)
		close(line.now)
		for i := range 5 {
			last = write(t, store, reported(i))
		}
		waitFor(t, first, last)
		line.now = make(chan struct{})
		line.off.Store(false)
		waitFor(t, second, last)
		if got, want := second.told(), positions(t, store); !slices.Equal(got[max(0, len(got)-len(want)+1):], want[1:]) {
			t.Errorf("told of %v, want %v", got, want)
		}
	})
}
