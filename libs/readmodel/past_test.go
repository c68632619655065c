package readmodel_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// looksBack builds the orders' tables in the past; folds counts how often it was asked to.
func looksBack(store es.Store, folds *int) *readmodel.Past[*readmodel.DB] {
	return readmodel.NewPast(store, func(ctx context.Context, db *readmodel.DB) (*readmodel.DB, readmodel.Projection, error) {
		*folds++
		if err := db.Migrate(ctx, migrations()); err != nil {
			return nil, readmodel.Projection{}, err
		}
		return db, board(), db.Update(ctx, func(tx *readmodel.Tx) error { // as a migration does that lets all be folded again
			_, err := tx.Exec(ctx, `DELETE FROM checkpoint WHERE name = 'orders'`)
			return err
		})
	})
}

func every(es.Recorded) bool { return true }

func past(t *testing.T, p *readmodel.Past[*readmodel.DB], subject string, at es.Position, concerns func(es.Recorded) bool) []string {
	t.Helper()
	m, err := p.At(t.Context(), subject, at, concerns)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Release()
	return dump(t, m.Model)
}

func TestThePastIsWhatTheTablesHeldThen(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db, folds := newStore(t), open(), 0
		r := readmodel.NewRunner(db, store, quiet(), board())
		run(t, r)
		var at []es.Position
		var held [][]string
		for i := range 12 {
			c := reported(i / 2)
			if i%2 == 1 {
				c.State = "finished"
			}
			if i == 11 {
				c.State = "withdrawn"
			}
			position := write(t, store, c)
			waitFor(t, r, position)
			at, held = append(at, position), append(held, dump(t, db))
		}
		p := looksBack(store, &folds)
		for i, position := range at {
			if got := past(t, p, "all", position, every); !slices.Equal(got, held[i]) {
				t.Fatalf("at %d it is\n%v, was\n%v", position, got, held[i])
			}
			if between := position - 1; i > 0 { // no event stands there
				if got := past(t, p, "all", between, every); !slices.Equal(got, held[i-1]) {
					t.Fatalf("before %d it is\n%v, was\n%v", position, got, held[i-1])
				}
			}
		}
		before := folds
		if past(t, p, "all", at[11], every); folds != before {
			t.Error("what was asked for a moment ago was folded again")
		}
	})
}

func TestThePastOfASubjectHoldsItsStreamsAlone(t *testing.T) {
	store, folds := newStore(t), 0
	one, other := reported(1), reported(2)
	other.Estate = "other"
	done := change{Order: one.Order, State: "finished"} // names no estate: its stream does
	end := write(t, store, one, other, done)
	got := past(t, looksBack(store, &folds), "estate", end, func(first es.Recorded) bool {
		return bytes.Contains(first.Data, []byte(`"estate":"estate"`))
	})
	if len(got) != 2 || !bytes.Contains([]byte(got[0]), []byte("finished")) {
		t.Errorf("holds %v", got)
	}
}

func TestManyMayLookBackAtOnceAndEachMomentIsBuiltOnce(t *testing.T) {
	store, folds := newStore(t), 0
	end := write(t, store, reported(1), reported(2))
	p := looksBack(store, &folds)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			m, err := p.At(t.Context(), "all", end, every)
			if err != nil {
				t.Error(err)
				return
			}
			defer m.Release()
			if n := count(t, m.Model, "orders"); n != 2 {
				t.Errorf("%d orders", n)
			}
		})
	}
	all.Wait()
	if folds != 1 {
		t.Errorf("built %d times", folds)
	}
}

func TestAMomentThatIsReadStaysWhileManyOthersAreAskedFor(t *testing.T) {
	store, folds := newStore(t), 0
	end := write(t, store, reported(1))
	p := looksBack(store, &folds)
	m, err := p.At(t.Context(), "held", end, every)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		past(t, p, "subject "+string(rune('a'+i)), end, every)
	}
	if n := count(t, m.Model, "orders"); n != 1 || m.Recorded.IsZero() {
		t.Errorf("%d orders, the last recorded %v", n, m.Recorded)
	}
	m.Release()
}

func TestThePastIsNotMadeUpWhereItCannotBeFolded(t *testing.T) {
	store := newStore(t)
	end := write(t, store, reported(1))
	broken := errors.New("broken")
	p := readmodel.NewPast(store, func(ctx context.Context, db *readmodel.DB) (*readmodel.DB, readmodel.Projection, error) {
		b := board()
		b.Fold = func(context.Context, *readmodel.Tx, []es.Recorded) error { return broken }
		return db, b, db.Migrate(ctx, migrations())
	})
	for range 2 {
		if _, err := p.At(t.Context(), "all", end, every); !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
	}
}
