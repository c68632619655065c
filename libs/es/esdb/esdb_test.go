package esdb_test

import (
	"os"
	"testing"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

func TestStore(t *testing.T) {
	var r *rig
	estest.Store(t, func(t *testing.T) es.Store {
		r = serve(t, esdbserver.Faults{}, nil)
		return r.open(t)
	}, estest.Promises{Break: func(*testing.T, es.Store) { r.cut() }})
}

// As it is on a real server: its own events between ours, progress told seldom,
// and a connection that is gone for a while.
func TestStoreAmongForeignEvents(t *testing.T) {
	var r *rig
	estest.Store(t, func(t *testing.T) es.Store {
		r = serve(t, esdbserver.Faults{NoPositions: true, RareCheckpoints: true}, func(s *pebblestore.Store) es.Store { return crowd{s} })
		return r.open(t)
	}, estest.Promises{
		Foreign: foreign,
		Break: func(t *testing.T, _ es.Store) {
			r.stop()
			r.start(t)
		},
	})
}

// foreign writes an event of the server and links.
func foreign(t *testing.T, s es.Store) {
	id := uuid.NewString()
	for stream, e := range map[string]es.Proposed{
		"$foreign-" + id: {ID: uuid.New(), Type: "$stats", Data: []byte(`{}`)},
		"$ce-a-" + id:    {ID: uuid.New(), Type: "$>", Data: []byte("0@a-1")},
		"a-links-" + id:  {ID: uuid.New(), Type: "$>", Data: []byte("0@a-1")},
	} {
		if _, err := s.Append(t.Context(), stream, 0, e); err != nil {
			t.Errorf("foreign event: %v", err)
		}
	}
}

// TestRealServer runs the suite against the server that YIMU_TEST_EVENTSTORE
// names by its connection string; that it cannot be reached is then a failure.
// Each test needs an empty store, so positions and reads are those after what
// the server held before. Without the variable there is nothing to test.
func TestRealServer(t *testing.T) {
	at := os.Getenv("YIMU_TEST_EVENTSTORE")
	if at == "" {
		t.Log("YIMU_TEST_EVENTSTORE names no server")
		return
	}
	estest.Store(t, func(t *testing.T) es.Store {
		s, err := esdb.Open(esdb.Config{ConnectionString: at})
		must(t, err)
		t.Cleanup(func() { must(t, s.Close()) })
		return fresh(t, s)
	}, estest.Promises{})
}
