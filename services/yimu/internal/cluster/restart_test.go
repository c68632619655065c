//go:build integration

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/yimu/internal/cluster"
)

// sums counts the events of each stream.
var sums = readmodel.Map[string, sum]{
	Table:  readmodel.Table{Name: "sums", Key: []string{"stream"}, Columns: []string{"stream", "number"}},
	Fields: func(s *sum) []any { return []any{&s.stream, &s.number} },
}

type sum struct {
	stream string
	number int64
}

var sumTables = fstest.MapFS{"migrations/00001_sums.sql": {Data: []byte("-- +goose Up\nCREATE TABLE sums (stream TEXT PRIMARY KEY, number BIGINT NOT NULL);\n")}}

func TestReadModelsLoopsAndVaultOutliveADatabase(t *testing.T) {
	const restarts = 5
	p, err := cluster.ForTest(t).Postgres(t.Context(), cluster.PostgresConfig{})
	must(t, err)
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), OnFatal: func(err error) { t.Error(err) }})
	must(t, err)
	closeAfter(t, store)
	v, err := vault.Open(t.Context(), vault.Config{URL: p.URL("vault"), KeyFile: filepath.Join(t.TempDir(), "key")})
	must(t, err)
	closeAfter(t, v)
	sealed, err := v.Seal(t.Context(), vault.MeetingKey("m"), "choice", []byte("yes"), 8)
	must(t, err)

	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(stop)
	begun := make(chan int, 100)
	var instances []*readmodel.Runner
	var db *readmodel.DB
	for i := range 2 {
		db, err = readmodel.Open(t.Context(), p.URL("yimu"), readmodel.Schema("test"))
		must(t, err)
		closeAfter(t, db)
		must(t, db.Migrate(t.Context(), sumTables))
		r := readmodel.NewRunner(db, store, log, readmodel.Projection{
			Name: "sums", Prefixes: []string{"thing-"}, Tables: []string{"sums"},
			Fold: func(_ context.Context, tx *readmodel.Tx, events []es.Recorded) error {
				rows := sums.In(tx)
				for _, e := range events {
					row := rows.Edit(e.Stream)
					row.stream, row.number = e.Stream, row.number+1
				}
				return nil
			},
		})
		instances = append(instances, r)
		running.Go(func() {
			if err := r.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		on := db
		running.Go(func() {
			err := on.Alone(ctx, log, "loop", func(ctx context.Context) error {
				begun <- i
				<-ctx.Done()
				return ctx.Err()
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	written := 0
	write := func() (last es.Position) {
		for range 20 {
			stream := fmt.Sprint("thing-", written%7)
			last, err = store.Append(t.Context(), stream, uint64(written/7), es.Proposed{ID: uuid.New(), Type: "happened", Data: []byte("{}"), Meta: []byte("{}")})
			must(t, err)
			written++
		}
		return last
	}
	for range restarts {
		select { // an instance runs the loop, again after each restart
		case <-begun:
		case <-time.After(time.Minute):
			t.Fatal("no instance runs the loop")
		}
		write()
		p.Kill()
		last := write()
		if _, err := v.Open(t.Context(), vault.MeetingKey("m"), "choice", sealed); errors.Is(err, vault.ErrNoKey) || errors.Is(err, vault.ErrCannotOpen) {
			t.Errorf("without a database the vault says %v", err)
		}
		must(t, p.Start(t.Context()))
		up := time.Now()
		within, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, r := range instances {
			must(t, r.WaitFor(within, last))
		}
		for {
			plain, err := v.Open(within, vault.MeetingKey("m"), "choice", sealed)
			if err == nil {
				if string(plain) != "yes" {
					t.Errorf("opened %q", plain)
				}
				break
			}
			if errors.Is(err, vault.ErrNoKey) || errors.Is(err, vault.ErrCannotOpen) || within.Err() != nil {
				t.Fatal(err)
			}
		}
		t.Logf("all works %v after the database is up", time.Since(up).Round(time.Millisecond))
	}
	var streams, number int
	must(t, db.QueryRow(t.Context(), `SELECT count(*), sum(number) FROM sums`).Scan(&streams, &number))
	if streams != 7 || number != written {
		t.Errorf("%d events in %d rows, want each of %d once", number, streams, written)
	}
}
