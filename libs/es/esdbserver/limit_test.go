package esdbserver

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"testing"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

func TestALimitIsOfAllAndOfAHost(t *testing.T) {
	at := func(ip string) net.Addr {
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(ip), 1))
	}
	l := newLimit(4, 2)
	take := func(ip string, want bool) (give func()) {
		t.Helper()
		give = l.take(at(ip))
		if (give != nil) != want {
			t.Errorf("%s: taken is %v", ip, give != nil)
		}
		return give
	}
	first := take("192.0.2.1", true)
	take("::ffff:192.0.2.1", true) // the same host
	take("192.0.2.1", false)
	first()
	first() // gives once
	take("192.0.2.1", true)
	take("192.0.2.1", false)
	v6 := take("2001:db8::1", true)
	take("2001:db8::2", true) // the same network
	v6()
	take("2001:db8::3", true)
	take("127.0.0.1", false) // all are taken
	l = newLimit(4, 2)
	for range 4 {
		take("127.0.0.1", true) // loopback is no host
	}
	take("127.0.0.1", false)
}

func TestConnectionsThatAreTooManyAreClosed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limited := limitedListener{l, newLimit(1, 1)}
	defer limited.Close()
	accepted := make(chan net.Conn)
	go func() {
		for {
			c, err := limited.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	dial()
	first := <-accepted
	if _, err := io.ReadAll(dial()); err != nil { // to its end, which comes from the server
		t.Errorf("got %v, want the end", err)
	}
	first.Close()
	dial()
	(<-accepted).Close()
}

func TestReadsThatAreTooManyAreRefused(t *testing.T) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	must(err)
	defer store.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	g := grpc.NewServer(append(Options(), grpc.StreamInterceptor(limitReads(newLimit(1, 1))))...)
	New(store, Config{}).Register(g)
	go func() { _ = g.Serve(l) }()
	defer g.Stop()
	settings, err := client.ParseConnectionString("esdb://" + l.Addr().String() + "?tls=false")
	must(err)
	settings.Logger = client.NoopLogging()
	c, err := client.NewClient(settings)
	must(err)
	defer c.Close()
	read := func() error {
		r, err := c.ReadAll(t.Context(), client.ReadAllOptions{}, 1)
		must(err)
		defer r.Close()
		_, err = r.Recv()
		return err
	}
	sub, err := c.SubscribeToAll(t.Context(), client.SubscribeToAllOptions{})
	must(err)
	sub.Recv() // it is let in
	refusal := new(client.Error)
	if err := read(); !errors.As(err, &refusal) || status.Code(refusal.Err()) != codes.ResourceExhausted {
		t.Errorf("got %v, want that it is too much", err)
	}
	must(sub.Close())
	for err = read(); errors.As(err, &refusal) && status.Code(refusal.Err()) == codes.ResourceExhausted; err = read() {
	}
	if !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end of an empty store", err)
	}
}
