package pebblestore_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

func TestStoreOnDisk(t *testing.T) {
	estest.Store(t, func(t *testing.T) es.Store { return open(t, pebblestore.Config{Dir: t.TempDir()}) },
		estest.Promises{PositionOnRead: true})
}

func TestStoreInMemoryAmongForeignEvents(t *testing.T) {
	estest.Store(t, func(t *testing.T) es.Store { return open(t, pebblestore.Config{Dir: "store", FS: vfs.NewMem()}) },
		estest.Promises{PositionOnRead: true, Foreign: foreign})
}

// foreign writes a system event, large enough to spread our positions out, and
// a link in a stream of its own and in one that looks like ours.
func foreign(t *testing.T, s es.Store) {
	id := uuid.New()
	for stream, e := range map[string]es.Proposed{
		"$foreign-" + id.String(): {ID: uuid.New(), Type: "$stats", Data: make([]byte, 200+int(id[0])*40)},
		"$ce-a-" + id.String():    {ID: uuid.New(), Type: "$>", Data: []byte("0@a-1")},
		"a-links-" + id.String():  {ID: uuid.New(), Type: "$>", Data: []byte("0@a-1"), Meta: []byte(`{"$o":"a-1"}`)},
	} {
		if _, err := s.Append(t.Context(), stream, 0, e); err != nil {
			t.Errorf("foreign event: %v", err)
		}
	}
}

func open(t testing.TB, c pebblestore.Config) *pebblestore.Store {
	t.Helper()
	if c.OnFatal == nil {
		c.OnFatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s, err := pebblestore.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func events(n int) []es.Proposed {
	out := make([]es.Proposed, n)
	for i := range out {
		out[i] = es.Proposed{ID: uuid.New(), Type: "counted.v1", Data: fmt.Appendf(nil, `{"n":%d}`, i), Meta: []byte(`{"actor":"test"}`)}
	}
	return out
}
