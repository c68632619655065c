package esdb_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// rig is a server on loopback, over a store in memory.
type rig struct {
	store  *pebblestore.Store
	server *esdbserver.Server

	mu       sync.Mutex
	address  string
	listener *listener
	grpc     *grpc.Server
}

// serve starts a rig.
func serve(t *testing.T, faults esdbserver.Faults, wrap func(*pebblestore.Store) es.Store) *rig {
	t.Helper()
	store := inMemory(t)
	served := es.Store(store)
	if wrap != nil {
		served = wrap(store)
	}
	return serveStore(t, faults, store, served)
}

// inMemory opens a store that the test's end closes.
func inMemory(t *testing.T) *pebblestore.Store {
	t.Helper()
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, store.Close()) })
	return store
}

// serveStore starts a rig over a store, or what is shown of it.
func serveStore(t *testing.T, faults esdbserver.Faults, store *pebblestore.Store, served es.Store) *rig {
	t.Helper()
	r := &rig{store: store, address: "127.0.0.1:0", server: esdbserver.New(served, esdbserver.Config{
		Append: func(context.Context) error { return nil }, Faults: &faults, Logger: slog.New(slog.DiscardHandler),
	})}
	r.start(t)
	t.Cleanup(r.stop)
	return r
}

func (r *rig) start(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	l, err := net.Listen("tcp", r.address)
	must(t, err)
	r.address = l.Addr().String()
	r.listener = &listener{Listener: l, conns: map[net.Conn]struct{}{}}
	r.grpc = grpc.NewServer(esdbserver.Options()...)
	r.server.Register(r.grpc)
	go func(g *grpc.Server, l net.Listener) { _ = g.Serve(l) }(r.grpc, r.listener)
}

func (r *rig) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.grpc.Stop()
}

// cut breaks all connections.
func (r *rig) cut() { r.listener.cut() }

func (r *rig) connectionString() string {
	return fmt.Sprintf("esdb://%s?tls=false&discoveryInterval=20", r.address)
}

func (r *rig) open(t *testing.T) *esdb.Store { return openAt(t, r.connectionString()) }

func openAt(t *testing.T, connectionString string) *esdb.Store {
	t.Helper()
	s, err := esdb.Open(esdb.Config{ConnectionString: connectionString, Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	return s
}

// listener remembers its connections.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		l.conns[c] = struct{}{}
		l.mu.Unlock()
	}
	return c, err
}

func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
	clear(l.conns)
}

// crowd shows, after each event, what else EventStoreDB keeps in its log: an
// event of its own, and a link in a stream that is named like ours.
type crowd struct{ *pebblestore.Store }

const company = 2 // foreign events after each of ours; records of pebblestore are further apart

func (c crowd) Head() es.Position {
	if head := c.Store.Head(); head > 0 {
		return head + company
	}
	return 0
}

func (c crowd) ReadAll(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Recorded, error] {
	inner := c.Store.ReadAll(ctx, before(after), prefixes...)
	return func(yield func(es.Recorded, error) bool) {
		for e, err := range inner {
			if err != nil {
				yield(e, err)
				return
			}
			for _, e := range among(e) {
				if e.Position > after && !yield(e, nil) {
					return
				}
			}
		}
	}
}

func (c crowd) Follow(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Batch, error] {
	inner := c.Store.Follow(ctx, before(after), prefixes...)
	return func(yield func(es.Batch, error) bool) {
		for b, err := range inner {
			if err != nil {
				yield(b, err)
				return
			}
			out := es.Batch{Through: b.Through + company}
			for _, e := range b.Events {
				for _, e := range among(e) {
					if e.Position > after {
						out.Events = append(out.Events, e)
					}
				}
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// before is where to read from so that the company of an event is seen after it.
func before(p es.Position) es.Position { return max(p, company) - company }

func among(e es.Recorded) []es.Recorded {
	id := uuid.NewSHA1(e.ID, nil)
	system := es.Recorded{Stream: "$stats-127.0.0.1:2113", Position: e.Position + 1, ID: id, Type: "$statsCollected", Data: []byte("{}"), Created: e.Created}
	link := es.Recorded{Stream: e.Stream + "-links", Position: e.Position + 2, ID: id, Type: "$>", Data: []byte("0@" + e.Stream), Created: e.Created}
	return []es.Recorded{e, system, link}
}

func events(n int) []es.Proposed {
	out := make([]es.Proposed, n)
	for i := range out {
		out[i] = es.Proposed{ID: uuid.New(), Type: "counted.v1", Data: fmt.Appendf(nil, `{"n":%d}`, i), Meta: []byte(`{"actor":"test"}`)}
	}
	return out
}

func add(t *testing.T, s es.Store, stream string, expected uint64, events ...es.Proposed) es.Position {
	t.Helper()
	p, err := s.Append(t.Context(), stream, expected, events...)
	must(t, err)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how long a busy machine may take.
const patience = 20 * time.Second
