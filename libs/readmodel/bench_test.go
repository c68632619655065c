package readmodel_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

const replayed = 100_000

// BenchmarkReplay folds 100,000 events of about 300 bytes into tables of ten
// columns and reports events per second. "rows" writes one new row an event,
// "changes" reads and changes one of 20,000 rows an event.
func BenchmarkReplay(b *testing.B) {
	store := newStore(b)
	var last es.Position
	for from := 0; from < replayed; from += 1000 {
		var events []es.Proposed
		for i := from; i < from+1000; i++ {
			c := reported(i)
			c.Order, c.Estate, c.Words = uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)).String(), uuid.Nil.String(), "三楼电梯按钮失灵,已经两天了,老人上下不便,请尽快派人来看"
			data, err := json.Marshal(c)
			if err != nil {
				b.Fatal(err)
			}
			events = append(events, es.Proposed{ID: uuid.New(), Type: "order-changed", Data: data, Meta: []byte("{}")})
		}
		var err error
		if last, err = store.Append(b.Context(), fmt.Sprint("workorder-", from), 0, events...); err != nil {
			b.Fatal(err)
		}
	}
	rows := board()
	rows.Fold = func(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
		rows := orders.In(tx)
		for _, e := range events {
			var c change
			if err := json.Unmarshal(e.Data, &c); err != nil {
				return err
			}
			rows.Put(c.Order, order{c.Order, c.Estate, c.Category, c.Place, c.State, c.Reported.UnixMicro(), c.Score, c.OnTime, []byte(c.Words), 1})
		}
		return nil
	}
	changes := board()
	changes.Fold = func(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
		rows := orders.In(tx)
		changed, keys := make([]change, len(events)), make([]string, len(events))
		for i, e := range events {
			if err := json.Unmarshal(e.Data, &changed[i]); err != nil {
				return err
			}
			keys[i] = fmt.Sprint(changed[i].Reported.UnixMicro() % 20_000)
		}
		rows.Load(keys...)
		for i, c := range changed {
			id := keys[i]
			o := rows.Edit(id)
			*o = order{id, c.Estate, c.Category, c.Place, c.State, c.Reported.UnixMicro(), c.Score, c.OnTime, []byte(c.Words), o.Events + 1}
		}
		return nil
	}
	for database, open := range databases() {
		for name, p := range map[string]readmodel.Projection{"rows": rows, "changes": changes} {
			b.Run(database+"/"+name, func(b *testing.B) {
				var spent time.Duration
				for b.Loop() {
					address, opts := open(b)
					db, err := readmodel.Open(b.Context(), address, opts...)
					if err != nil {
						b.Fatal(err)
					}
					if err := db.Migrate(b.Context(), migrations()); err != nil {
						b.Fatal(err)
					}
					r := readmodel.NewRunner(db, store, quiet(), p)
					start := time.Now()
					stop := run(b, r)
					waitFor(b, r, last)
					spent += time.Since(start)
					if err := stop(); err != nil {
						b.Fatal(err)
					}
					db.Close()
				}
				b.ReportMetric(float64(replayed*b.N)/spent.Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkLive reports the time from an append to the end of waiting for it,
// in tables, one event at a time.
func BenchmarkLive(b *testing.B) {
	db, err := readmodel.Open(b.Context(), "sqlite://"+filepath.Join(b.TempDir(), "board.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(b.Context(), migrations()); err != nil {
		b.Fatal(err)
	}
	store := newStore(b)
	r := readmodel.NewRunner(db, store, quiet(), board())
	defer run(b, r)()
	i := 0
	for b.Loop() {
		i++
		waitFor(b, r, write(b, store, reported(i)))
	}
}
