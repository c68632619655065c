package readmodel_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

//go:embed testdata/migrations
var testdata embed.FS

func migrations() fs.FS {
	sub, err := fs.Sub(testdata, "testdata")
	if err != nil {
		panic(err)
	}
	return sub
}

// onEach runs a test on SQLite and, where YIMU_TEST_DATABASE names a PostgreSQL
// database, there in a schema of its own. open may be called again: it opens
// the same database.
func onEach(t *testing.T, test func(t *testing.T, open func(...readmodel.Option) *readmodel.DB)) {
	t.Helper()
	for name, database := range databases() {
		t.Run(name, func(t *testing.T) {
			address, opts := database(t)
			test(t, func(more ...readmodel.Option) *readmodel.DB {
				db, err := readmodel.Open(t.Context(), address, append(more, opts...)...)
				if err != nil {
					t.Error(err)
					return nil
				}
				t.Cleanup(func() { db.Close() })
				if err := db.Migrate(t.Context(), migrations()); err != nil {
					t.Error(err)
				}
				return db
			})
		})
	}
}

// databases are the kinds to test on; each makes an empty one.
func databases() map[string]func(testing.TB) (address string, opts []readmodel.Option) {
	all := map[string]func(testing.TB) (string, []readmodel.Option){"sqlite": func(t testing.TB) (string, []readmodel.Option) {
		return "sqlite://" + filepath.Join(t.TempDir(), "with space", "board.db"), nil
	}}
	if address := os.Getenv("YIMU_TEST_DATABASE"); address != "" {
		all["postgres"] = func(t testing.TB) (string, []readmodel.Option) { return address, []readmodel.Option{schema(t)} }
	}
	return all
}

// schema names a schema that is dropped at the end of the test.
func schema(t testing.TB) readmodel.Option {
	name, address := "test_"+strings.ToLower(rand.Text()), os.Getenv("YIMU_TEST_DATABASE")
	t.Cleanup(func() {
		if address == "" {
			return // on SQLite it changes nothing
		}
		db, err := sql.Open("pgx", address)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(context.Background(), "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	return readmodel.Schema(name)
}

func newStore(t testing.TB) es.Store {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), OnFatal: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// order is a row of orders, and change is what an event does to it.
type order struct {
	ID, Estate, Category, Place, State string
	Reported                           int64
	Score                              *int64
	OnTime                             bool
	Words                              []byte
	Events                             int64
}

type change struct {
	Order    string    `json:"order"`
	Estate   string    `json:"estate"`
	Category string    `json:"category"`
	Place    string    `json:"place"`
	State    string    `json:"state"`
	Reported time.Time `json:"reported"`
	Score    *int64    `json:"score,omitempty"`
	OnTime   bool      `json:"on_time"`
	Words    string    `json:"words"`
}

var orders = readmodel.Map[string, order]{
	Table: readmodel.Table{
		Name: "orders", Key: []string{"id"},
		Columns: []string{"id", "estate", "category", "place", "state", "reported", "score", "on_time", "words", "events"},
	},
	Fields: func(o *order) []any {
		return []any{&o.ID, &o.Estate, &o.Category, &o.Place, &o.State, &o.Reported, &o.Score, &o.OnTime, &o.Words, &o.Events}
	},
}

type totalKey struct{ estate, category string }

type total struct {
	Estate, Category string
	Number           int64
}

var totals = readmodel.Map[totalKey, total]{
	Table:  readmodel.Table{Name: "totals", Key: []string{"estate", "category"}, Columns: []string{"estate", "category", "number"}},
	Key:    func(k totalKey) []any { return []any{k.estate, k.category} },
	Fields: func(t *total) []any { return []any{&t.Estate, &t.Category, &t.Number} },
}

// board folds changes of orders: an order that is reported counts for its
// category, one that is withdrawn is gone from both tables.
func board() readmodel.Projection {
	return readmodel.Projection{
		Name: "orders", Prefixes: []string{"workorder-"}, Tables: []string{"orders", "totals"},
		Fold: func(_ context.Context, tx *readmodel.Tx, events []es.Recorded) error {
			rows, sums := orders.In(tx), totals.In(tx)
			for _, e := range events {
				var c change
				if err := json.Unmarshal(e.Data, &c); err != nil {
					return err
				}
				k := totalKey{c.Estate, c.Category}
				before, known := rows.Get(c.Order)
				if known {
					k = totalKey{before.Estate, before.Category}
				}
				switch {
				case c.State == "withdrawn" && !known:
				case c.State == "withdrawn":
					rows.Delete(c.Order)
					if sum := sums.Edit(k); sum.Number == 1 {
						sums.Delete(k)
					} else {
						sum.Number--
					}
				default:
					if !known {
						*sums.Edit(k) = total{c.Estate, c.Category, sums.Edit(k).Number + 1}
					}
					rows.Put(c.Order, order{c.Order, k.estate, k.category, c.Place, c.State, c.Reported.UnixMicro(), c.Score, c.OnTime,
						[]byte(c.Words), before.Events + 1})
				}
			}
			return nil
		},
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// write appends changes, each to the stream of its order, and returns the last position.
func write(t interface{ Fatal(...any) }, s es.Store, changes ...change) es.Position {
	var last es.Position
	for _, c := range changes {
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		last = writeBytes(t, s, "workorder-"+c.Order, data)
	}
	return last
}

func writeBytes(t interface{ Fatal(...any) }, s es.Store, stream string, data []byte) es.Position {
	length := uint64(0)
	for _, err := range s.Read(context.Background(), stream, 0) {
		if err != nil {
			t.Fatal(err)
		}
		length++
	}
	position, err := s.Append(context.Background(), stream, length, es.Proposed{ID: uuid.New(), Type: "order-changed", Data: data, Meta: []byte("{}")})
	if err != nil {
		t.Fatal(err)
	}
	return position
}

func reported(id int) change {
	return change{
		Order: fmt.Sprint("order-", id), Estate: "estate", Category: fmt.Sprint("category-", id%3), Place: "3号楼", State: "reported",
		Reported: time.UnixMicro(int64(id)), Words: "电梯坏了",
	}
}

// run runs a runner until stop is called; stop returns Run's error.
func run(t testing.TB, r *readmodel.Runner) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { stop() })
	return stop
}

func patiently(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func waitFor(t testing.TB, r interface {
	WaitFor(context.Context, es.Position) error
}, p es.Position) {
	t.Helper()
	if err := r.WaitFor(patiently(t), p); err != nil {
		t.Fatal(err)
	}
}

// dump returns all rows of both tables as text, in order.
func dump(t interface{ Fatal(...any) }, db *readmodel.DB) []string {
	var out []string
	err := db.View(context.Background(), func(tx *readmodel.Tx) error {
		rows, err := tx.Query(context.Background(), `SELECT id, estate, category, place, state, reported, score, on_time, words, events FROM orders ORDER BY id`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var o order
			if err := rows.Scan(orders.Fields(&o)...); err != nil {
				return err
			}
			b, err := json.Marshal(o)
			if err != nil {
				return err
			}
			out = append(out, string(b))
		}
		sums, err := tx.Query(context.Background(), `SELECT estate, category, number FROM totals ORDER BY estate, category`)
		if err != nil {
			return err
		}
		defer sums.Close()
		for sums.Next() {
			var s total
			if err := sums.Scan(totals.Fields(&s)...); err != nil {
				return err
			}
			out = append(out, fmt.Sprint(s))
		}
		return errors.Join(rows.Err(), sums.Err())
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func count(t testing.TB, db *readmodel.DB, table string) (n int) {
	t.Helper()
	if err := db.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestARunnerFollowsFromWhereItStopped(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db := newStore(t), open()
		write(t, store, reported(1), reported(2))
		r := readmodel.NewRunner(db, store, quiet(), board())
		stop := run(t, r)
		waitFor(t, r, write(t, store, reported(3)))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		at, err := db.Checkpoint(t.Context(), "orders")
		if err != nil || at == 0 || at > r.Position() {
			t.Fatalf("checkpoint %d, %v; position %d", at, err, r.Position())
		}
		db.Close()

		db = open()
		folded := 0
		p := board()
		fold := p.Fold
		p.Fold = func(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
			folded += len(events)
			return fold(ctx, tx, events)
		}
		r = readmodel.NewRunner(db, store, quiet(), p)
		last := write(t, store, reported(4))
		stop = run(t, r)
		waitFor(t, r, last)
		if err := stop(); err != nil || folded != 1 {
			t.Fatalf("%d events folded again, %v; want 1", folded, err)
		}
		if n := count(t, db, "orders"); n != 4 {
			t.Fatalf("%d rows, want 4", n)
		}
	})
}

func TestRowsAndCheckpointMoveTogether(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db := newStore(t), open()
		last := write(t, store, reported(1), reported(2))
		p := board()
		fold := p.Fold
		reached, failed := make(chan struct{}), errors.New("the process ends here")
		ctx, die := context.WithCancel(t.Context())
		p.Fold = func(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
			if err := fold(ctx, tx, events); err != nil {
				return err
			}
			if err := tx.Flush(); err != nil { // the rows are in the transaction, which now dies
				return err
			}
			close(reached)
			die()
			return failed
		}
		if err := readmodel.NewRunner(db, store, quiet(), p).Run(ctx); err != nil {
			t.Fatal(err)
		}
		<-reached
		at, err := db.Checkpoint(t.Context(), "orders")
		if err != nil || at != 0 || count(t, db, "orders") != 0 {
			t.Fatalf("checkpoint %d, %v, %d rows; want nothing of a transaction that was not committed", at, err, count(t, db, "orders"))
		}
		r := readmodel.NewRunner(db, store, quiet(), board())
		run(t, r)
		waitFor(t, r, last)
		if count(t, db, "orders") != 2 {
			t.Fatal("rows missing after the restart")
		}
	})
}

func TestReplayEqualsLive(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		db := open()
		rapid.Check(t, func(rt *rapid.T) {
			store := newStore(t)
			p := board()
			r := readmodel.NewRunner(db, store, quiet(), p)
			if err := r.Rebuild(t.Context()); err != nil {
				rt.Fatal(err)
			}
			stop := run(t, r)
			defer stop()
			draw := rapid.Custom(func(rt *rapid.T) change {
				c := reported(rapid.IntRange(0, 8).Draw(rt, "order"))
				c.State = rapid.SampledFrom([]string{"reported", "finished", "withdrawn"}).Draw(rt, "state")
				c.Words = rapid.StringN(0, 8, -1).Draw(rt, "words")
				if rapid.Bool().Draw(rt, "scored") {
					score := rapid.Int64().Draw(rt, "score")
					c.Score = &score
				}
				return c
			})
			var last es.Position
			for range rapid.IntRange(1, 4).Draw(rt, "batches") {
				last = write(rt, store, rapid.SliceOfN(draw, 1, 12).Draw(rt, "changes")...)
				if rapid.Bool().Draw(rt, "wait") {
					if err := r.WaitFor(patiently(t), last); err != nil {
						rt.Fatal(err)
					}
				}
			}
			if err := r.WaitFor(patiently(t), last); err != nil {
				rt.Fatal(err)
			}
			live := dump(rt, db)
			if err := r.Rebuild(t.Context()); err != nil {
				rt.Fatal(err)
			}
			if err := r.WaitFor(patiently(t), last); err != nil {
				rt.Fatal(err)
			}
			if again := dump(rt, db); !slices.Equal(live, again) {
				rt.Fatalf("live:\n%s\nreplayed:\n%s", strings.Join(live, "\n"), strings.Join(again, "\n"))
			}
		})
	})
}

func TestAPoisonEventStopsTheProjectionAndIsNamed(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db := newStore(t), open()
		r := readmodel.NewRunner(db, store, quiet(), board())
		before := write(t, store, reported(1))
		stop := run(t, r)
		waitFor(t, r, before)
		write(t, store, reported(2))
		poison := writeBytes(t, store, "workorder-bad", []byte(`"not an object"`))
		err := r.WaitFor(patiently(t), poison)
		if !errors.Is(err, readmodel.ErrPoison) || !strings.Contains(err.Error(), "workorder-bad@0") {
			t.Fatalf("waiting ended with %v", err)
		}
		if err := stop(); !errors.Is(err, readmodel.ErrPoison) {
			t.Fatalf("Run ended with %v", err)
		}
		if r.Position() < before || r.Position() >= poison {
			t.Fatalf("position %d, want before %d", r.Position(), poison)
		}
		if err := r.WaitFor(patiently(t), before); err != nil {
			t.Fatalf("what was folded is still served: %v", err)
		}
	})
}

func TestAStatementThatCannotWorkIsPoisonAlsoWhereItsErrorIsIgnored(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db := newStore(t), open()
		write(t, store, reported(1))
		p := board()
		p.Fold = func(ctx context.Context, tx *readmodel.Tx, _ []es.Recorded) error {
			tx.Exec(ctx, `INSERT INTO nowhere VALUES (1)`)
			return nil
		}
		if err := readmodel.NewRunner(db, store, quiet(), p).Run(patiently(t)); !errors.Is(err, readmodel.ErrPoison) {
			t.Fatalf("Run ended with %v", err)
		}
	})
}

// broken is a store whose Follow fails at first.
type broken struct {
	es.Store
	left int
}

func (b *broken) Follow(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Batch, error] {
	if b.left--; b.left >= 0 {
		return func(yield func(es.Batch, error) bool) { yield(es.Batch{}, errors.New("connection lost")) }
	}
	return b.Store.Follow(ctx, after, prefixes...)
}

func TestPassingErrorsOfTheStoreAreTriedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store := newStore(t)
		last := write(t, store, reported(1))
		meter, read := otlptest.Meter(t)
		r := readmodel.NewRunner(open(readmodel.Watched(nil, meter)), &broken{store, 3}, quiet(), board())
		run(t, r)
		waitFor(t, r, last)
		if n := read()["yimu.retries{yimu.operation=projection}"]; n != 3 {
			t.Errorf("%v attempts are counted, want 3", n)
		}
	})
}

func TestForeignEventsMoveThePositionWithoutWriting(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db := newStore(t), open()
		r := readmodel.NewRunner(db, store, quiet(), board())
		run(t, r)
		waitFor(t, r, write(t, store, reported(1)))
		kept, err := db.Checkpoint(t.Context(), "orders")
		if err != nil {
			t.Fatal(err)
		}
		foreign := writeBytes(t, store, "payment-1", []byte("{}"))
		waitFor(t, r, foreign)
		if at, err := db.Checkpoint(t.Context(), "orders"); err != nil || (at != kept && at < foreign) {
			t.Fatalf("checkpoint %d, %v", at, err)
		}
	})
}

func TestCurrentSeesAllThatIsRecorded(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db := newStore(t), open()
		r := readmodel.NewRunner(db, store, quiet(), board())
		run(t, r)
		for i := range 20 { // some of them while the runner gathers
			last := write(t, store, reported(i))
			var n int
			err := r.Current(t.Context(), func(tx *readmodel.Tx) error {
				return tx.QueryRow(t.Context(), `SELECT count(*) FROM orders`).Scan(&n)
			})
			if err != nil || n != i+1 {
				t.Fatalf("%d rows, %v; want %d", n, err, i+1)
			}
			if err := r.CatchUp(t.Context()); err != nil || r.Position() < last {
				t.Fatalf("caught up at %d, before %d: %v", r.Position(), last, err)
			}
		}
	})
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	r := readmodel.NewRunner(nil, nil, quiet(), board())
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error)
	go func() { waiting <- r.WaitFor(ctx, 1) }()
	cancel()
	if err := <-waiting; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestManyWaitForManyRunners(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		store, db := newStore(t), open()
		other := board()
		other.Name, other.Fold = "nothing", func(context.Context, *readmodel.Tx, []es.Recorded) error { return nil }
		group := readmodel.Group{readmodel.NewRunner(db, store, quiet(), board()), readmodel.NewRunner(db, store, quiet(), other)}
		for _, r := range group {
			run(t, r)
		}
		start := write(t, store, reported(0))
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				if err := group.WaitFor(patiently(t), start+es.Position(i%7)); err != nil {
					t.Error(err)
				}
			})
		}
		for i := range 20 {
			write(t, store, reported(i))
		}
		wg.Wait()
		if group.Position() < start {
			t.Fatalf("position %d, want at least %d", group.Position(), start)
		}
	})
}

func TestUpsertKeepsTheLastRowOfAKey(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		db := open()
		err := db.Update(t.Context(), func(tx *readmodel.Tx) error {
			var rows [][]any
			for i := range 1000 {
				rows = append(rows, []any{"estate", fmt.Sprint(i % 300), i})
			}
			return tx.Upsert(t.Context(), totals.Table, rows)
		})
		if err != nil {
			t.Fatal(err)
		}
		var n, sum int
		if err := db.QueryRow(t.Context(), `SELECT count(*), sum(number) FROM totals WHERE estate = ? -- all?`, "estate").Scan(&n, &sum); err != nil {
			t.Fatal(err)
		}
		want := 0
		for i := 700; i < 1000; i++ {
			want += i
		}
		if n != 300 || sum != want {
			t.Fatalf("%d rows, sum %d; want 300 and %d", n, sum, want)
		}
	})
}

func TestRowsReadLikeAMap(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		db := open()
		rapid.Check(t, func(rt *rapid.T) {
			err := db.Update(t.Context(), func(tx *readmodel.Tx) error {
				_, err := tx.Exec(t.Context(), `DELETE FROM totals`)
				return err
			})
			if err != nil {
				rt.Fatal(err)
			}
			want := map[totalKey]total{}
			for range rapid.IntRange(1, 4).Draw(rt, "transactions") {
				err := db.Update(t.Context(), func(tx *readmodel.Tx) error {
					rows := totals.In(tx)
					for range rapid.IntRange(0, 80).Draw(rt, "steps") {
						k := totalKey{"e", fmt.Sprint(rapid.IntRange(0, 90).Draw(rt, "key"))}
						switch rapid.IntRange(0, 4).Draw(rt, "step") {
						case 0:
							if got, ok := rows.Get(k); got != want[k] || ok != (want[k] != total{}) {
								rt.Fatalf("Get(%v) = %v, %v; want %v", k, got, ok, want[k])
							}
						case 1:
							want[k] = total{k.estate, k.category, rapid.Int64().Draw(rt, "number")}
							rows.Put(k, want[k])
						case 2:
							delete(want, k)
							rows.Delete(k)
						case 3:
							want[k] = total{k.estate, k.category, want[k].Number + 1}
							*rows.Edit(k) = total{k.estate, k.category, rows.Edit(k).Number + 1}
						case 4:
							rows.Load(slices.Collect(maps.Keys(want))...)
							rows.Load(k, k, totalKey{"not", "there"})
						}
					}
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
			}
			got := map[totalKey]total{}
			rows, err := db.Query(t.Context(), `SELECT estate, category, number FROM totals`)
			if err != nil {
				rt.Fatal(err)
			}
			defer rows.Close()
			for rows.Next() {
				var v total
				if err := rows.Scan(totals.Fields(&v)...); err != nil {
					rt.Fatal(err)
				}
				got[totalKey{v.Estate, v.Category}] = v
			}
			if !maps.Equal(got, want) {
				rt.Fatalf("table %v, want %v", got, want)
			}
		})
	})
}

func TestARowUnderAnotherKeyIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		db := open()
		err := db.Update(t.Context(), func(tx *readmodel.Tx) error {
			totals.In(tx).Put(totalKey{"a", "b"}, total{"a", "c", 1})
			return nil
		})
		if err == nil {
			t.Fatal("accepted")
		}
	})
}

func TestADatabaseOpensForManyAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, open func(...readmodel.Option) *readmodel.DB) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { open(readmodel.Durable()) })
		}
		wg.Wait()
		db := open()
		if n := count(t, db, "orders"); n != 0 {
			t.Fatalf("%d rows", n)
		}
		if n := count(t, db, "goose_db_version"); n != 2 { // goose's own, and ours
			t.Fatalf("%d migrations are recorded, want each once", n)
		}
	})
}

func TestServicesShareADatabaseInSchemasOfTheirOwn(t *testing.T) {
	for name, database := range databases() {
		t.Run(name, func(t *testing.T) {
			var each []*readmodel.DB
			for i := range 2 {
				address, _ := database(t)
				db, err := readmodel.Open(t.Context(), address, schema(t))
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				if err := db.Migrate(t.Context(), migrations()); err != nil {
					t.Fatal(err)
				}
				err = db.Update(t.Context(), func(tx *readmodel.Tx) error {
					totals.In(tx).Put(totalKey{"a", "b"}, total{"a", "b", int64(i)})
					return tx.MoveCheckpoint(t.Context(), "orders", 0, es.Position(10+i))
				})
				if err != nil {
					t.Fatal(err)
				}
				each = append(each, db)
			}
			for i, db := range each {
				var wg sync.WaitGroup
				for range 8 { // connections of a pool
					wg.Go(func() {
						at, err := db.Checkpoint(t.Context(), "orders")
						if err != nil || at != es.Position(10+i) {
							t.Errorf("checkpoint of service %d: %d, %v", i, at, err)
						}
					})
				}
				wg.Wait()
				if n := count(t, db, "totals"); n != 1 {
					t.Errorf("service %d sees %d rows", i, n)
				}
			}
		})
	}
}

func TestSchemasThatAreNone(t *testing.T) {
	for _, name := range []string{"Votes", "a, public", `a"b`, "1st", "投票"} {
		db, err := readmodel.Open(t.Context(), "postgres://user@127.0.0.1:1/db", readmodel.Schema(name))
		if err == nil || !strings.Contains(err.Error(), "lower-case") {
			t.Errorf("%q: %v", name, err)
		}
		if err == nil {
			db.Close()
		}
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"", "votes.db", "sqlite://", "mysql://user:secret@host/db", "postgres://user:secret@host:port/db"} {
		db, err := readmodel.Open(t.Context(), address)
		if err == nil {
			db.Close()
			t.Errorf("%q was opened", address)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells the password: %v", err)
		}
	}
}
