package commitpath_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// The same where each ledger has a connection of its own to EventStoreDB: the
// server that YIMU_TEST_EVENTSTORE names by its connection string, or else two
// servers of one store, which take turns as leader and lose answers.
func TestLedgersComeAndGoOverEventStoreDB(t *testing.T) {
	at := os.Getenv("YIMU_TEST_EVENTSTORE")
	if at == "" {
		at = turns(t)
	}
	ledgersComeAndGo(t, settings{open: func() es.Store {
		s, err := esdb.Open(esdb.Config{ConnectionString: at, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}})
}

// turns serves one store at two addresses. The leader changes every hundred
// appends, and every thirtieth answer is lost after the events were recorded.
func turns(t *testing.T) (connectionString string) {
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	const every, lost = 100, 30
	var appends, answers atomic.Int64
	addresses := make([]*net.TCPAddr, 2)
	listeners := make([]net.Listener, len(addresses))
	for i := range addresses {
		if listeners[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		addresses[i] = listeners[i].Addr().(*net.TCPAddr)
	}
	for i, l := range listeners {
		g := grpc.NewServer(esdbserver.Options()...)
		esdbserver.New(store, esdbserver.Config{
			Append: func(context.Context) error { return nil }, Logger: slog.New(slog.DiscardHandler),
			Faults: &esdbserver.Faults{
				Appending: func(ctx context.Context) error {
					if leader := appends.Load() / every % 2; leader != int64(i) {
						return esdbserver.NotLeader(ctx, addresses[leader].IP.String(), addresses[leader].Port)
					}
					appends.Add(1)
					return nil
				},
				Appended: func(context.Context) error {
					if answers.Add(1)%lost == 0 {
						return status.Error(codes.Unavailable, "the answer is lost")
					}
					return nil
				},
			},
		}).Register(g)
		go func() { _ = g.Serve(l) }()
		t.Cleanup(g.Stop)
	}
	return fmt.Sprintf("esdb://%s,%s?tls=false&discoveryInterval=20", addresses[0], addresses[1])
}
