package esdbserver

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
)

// ServeConfig says how [Serve] meets the world. The zero value serves readers
// only, in plain text. Reading needs no credentials.
type ServeConfig struct {
	// Cert and Key are PEM files for TLS, read once; both or none.
	Cert, Key string

	// Append says whether there is an appender at all. With TLS it is whoever
	// has User and Password. Without TLS clients send no credentials, so then
	// User must be empty and the listener on a loopback address, where everyone
	// may append. Anything else is an error of Serve: nobody could ever append.
	Append         bool
	User, Password string

	Advertise string       // see Config
	Logger    *slog.Logger // see Config
}

// What strangers may take. A read under way holds about a megabyte at most.
// Loopback is under the totals only: many services, or a proxy, may be there.
const (
	maxConnections     = 1024
	maxConnectionsHost = 32
	maxReads           = 4096 // subscriptions included
	maxReadsHost       = 256
	maxStreams         = 1024 // calls of a connection; more wait at the client
	maxHeader          = 16 << 10
	workers            = 64 // goroutines that are used again: each call's own would grow its stack anew
	handshakeTime      = 10 * time.Second
	idleTime           = 10 * time.Minute
)

// grace is how long calls under way may take once Serve shall end.
const grace = 5 * time.Second

// Serve answers EventStoreDB clients on a listener until ctx ends, lets calls
// under way finish for up to 5 s, and returns nil. Subscriptions are dropped,
// and their clients resume. The store stays the caller's to close.
func Serve(ctx context.Context, l net.Listener, store es.Store, config ServeConfig) error {
	may, err := config.appender(l.Addr())
	if err != nil {
		return errors.Join(err, l.Close())
	}
	options := append(Options(),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.NumStreamWorkers(workers),
		grpc.ConnectionTimeout(handshakeTime),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingTime, Timeout: pingTime, MaxConnectionIdle: idleTime}),
		grpc.StreamInterceptor(limitReads(newLimit(maxReads, maxReadsHost))),
	)
	if config.Cert != "" {
		certificate, err := tls.LoadX509KeyPair(config.Cert, config.Key)
		if err != nil {
			return errors.Join(fmt.Errorf("esdbserver: certificate: %w", err), l.Close())
		}
		options = append(options, grpc.Creds(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12,
		})))
	}
	s := New(store, Config{Append: may, Advertise: config.Advertise, Logger: config.Logger})
	g := grpc.NewServer(options...)
	s.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(limitedListener{l, newLimit(maxConnections, maxConnectionsHost)}) }()
	select {
	case err := <-served:
		return fmt.Errorf("esdbserver: serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	s.stop(g)
	return nil
}

// stop stops g, gracefully as long as it has patience.
func (s *Server) stop(g *grpc.Server) {
	ended := make(chan struct{})
	go func() { defer close(ended); g.GracefulStop() }()
	late := time.NewTimer(grace)
	defer late.Stop()
	again := time.NewTicker(50 * time.Millisecond) // a subscription may have been on its way in
	defer again.Stop()
	for {
		s.Drop()
		select {
		case <-ended:
			return
		case <-late.C:
			g.Stop()
			return
		case <-again.C:
		}
	}
}

// appender returns who may append to a server at an address, nil for nobody.
func (c ServeConfig) appender(at net.Addr) (func(context.Context) error, error) {
	encrypted := c.Cert != ""
	switch {
	case encrypted != (c.Key != ""):
		return nil, errors.New("esdbserver: TLS needs a certificate and its key, not one of them")
	case !c.Append:
		return nil, nil
	case encrypted && (c.User == "" || c.Password == ""):
		return nil, errors.New("esdbserver: to append over TLS needs a user and a password: name them")
	case encrypted:
		return c.authenticate, nil
	case c.User != "" || c.Password != "":
		return nil, errors.New("esdbserver: credentials are only sent over TLS: name a certificate, or no user")
	case !loopback(at):
		return nil, fmt.Errorf("esdbserver: without TLS anyone could append at %s: name a certificate and a user, or listen on a loopback address", at)
	}
	return func(context.Context) error { return nil }, nil
}

// authenticate takes as long for a wrong user or password as for the right ones.
func (c ServeConfig) authenticate(ctx context.Context) error {
	user, password, ok := Credentials(ctx)
	same := func(a, b string) int {
		x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return subtle.ConstantTimeCompare(x[:], y[:])
	}
	if right := same(user, c.User) & same(password, c.Password); !ok || right != 1 {
		return errors.New("wrong credentials, or none")
	}
	return nil
}

func loopback(at net.Addr) bool {
	ip, ok := host(at)
	return ok && ip.IsLoopback()
}

// host is whom a limit counts: an address, or the network of one of IPv6, of
// which everyone has plenty.
func host(at net.Addr) (ip netip.Addr, ok bool) {
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return ip, false
	}
	ip = tcp.AddrPort().Addr().Unmap().WithZone("")
	if ip.Is6() && !ip.IsLoopback() {
		if p, err := ip.Prefix(64); err == nil {
			ip = p.Addr()
		}
	}
	return ip, ip.IsValid()
}

// limit counts what is in use, in all and by host.
type limit struct {
	most, mostHost int

	mu   sync.Mutex
	all  int
	host map[netip.Addr]int
}

func newLimit(most, mostHost int) *limit {
	return &limit{most: most, mostHost: mostHost, host: map[netip.Addr]int{}}
}

// take returns what gives back, or nil where there is no more.
func (l *limit) take(at net.Addr) (give func()) {
	ip, counted := host(at)
	counted = counted && !ip.IsLoopback()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.most || counted && l.host[ip] >= l.mostHost {
		return nil
	}
	l.all++
	if counted {
		l.host[ip]++
	}
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all--
		if !counted {
			return
		}
		if l.host[ip]--; l.host[ip] == 0 {
			delete(l.host, ip)
		}
	})
}

// limitReads answers reads that are too many with an error. Appending is
// bounded by who may append.
func limitReads(reads *limit) grpc.StreamServerInterceptor {
	return func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
		if info.IsClientStream { // an append
			return next(server, stream)
		}
		var at net.Addr
		if p, ok := peer.FromContext(stream.Context()); ok {
			at = p.Addr
		}
		give := reads.take(at)
		if give == nil {
			return status.Error(codes.ResourceExhausted, "too many reads at once; try again when some have ended")
		}
		defer give()
		return next(server, stream)
	}
}

// limitedListener closes connections that are too many, rather than let those
// wait that come later.
type limitedListener struct {
	net.Listener
	connections *limit
}

func (l limitedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if give := l.connections.take(c.RemoteAddr()); give != nil {
			return &limitedConn{c, give}, nil
		}
		_ = c.Close()
	}
}

type limitedConn struct {
	net.Conn
	give func()
}

func (c *limitedConn) Close() error {
	c.give()
	return c.Conn.Close()
}
