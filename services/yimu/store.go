package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"

	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/service"
)

// storeFlags say how a store is offered in the protocol of EventStoreDB.
type storeFlags struct {
	EventstoreListen string `help:"Address to speak the protocol of EventStoreDB on." default:"127.0.0.1:2113" env:"YIMU_EVENTSTORE_LISTEN" for:"store"`
	certFlags
	AppendUser     string `help:"The user who may append, which is the ledger and nobody else. Without one, in plain text on a loopback address, everyone may." env:"YIMU_APPEND_USER" placeholder:"NAME" for:"store"`
	AppendPassword string `help:"Password of that user." env:"YIMU_APPEND_PASSWORD" placeholder:"SECRET" for:"store" secret:""`
}

// certFlags say by what a server of the protocol is known.
type certFlags struct {
	EventstoreCert string `help:"Certificate of the event store's address, PEM. Without one it speaks plain text, and clients send no credentials." env:"YIMU_EVENTSTORE_CERT" type:"path" placeholder:"FILE" for:"store"`
	EventstoreKey  string `help:"Key of the certificate, PEM." env:"YIMU_EVENTSTORE_KEY" type:"path" placeholder:"FILE" for:"store"`
}

// readers lets anyone read, and nobody append.
func (f certFlags) readers(log *slog.Logger) esdbserver.ServeConfig {
	return esdbserver.ServeConfig{Cert: f.EventstoreCert, Key: f.EventstoreKey, Logger: log}
}

// check says which flag is useless without another.
func (f storeFlags) check() error {
	switch {
	case f.EventstoreCert != "" && f.EventstoreKey == "", f.EventstoreCert == "" && f.EventstoreKey != "":
		return errors.New("--eventstore-cert and --eventstore-key go together")
	case f.AppendUser != "" && f.AppendPassword == "":
		return errors.New("--append-user needs --append-password")
	case f.AppendUser == "" && f.EventstoreCert != "":
		return errors.New("--eventstore-cert needs --append-user: over TLS nobody else appends")
	case f.AppendUser != "" && f.EventstoreCert == "":
		return errors.New("--append-user needs --eventstore-cert: clients send no credentials in plain text")
	case f.EventstoreCert == "" && !onLoopback(f.EventstoreListen):
		return fmt.Errorf("without --eventstore-cert and --append-user everyone may append, so --eventstore-listen %s must be a loopback address", f.EventstoreListen)
	case f.EventstoreCert != "":
		if _, err := tls.LoadX509KeyPair(f.EventstoreCert, f.EventstoreKey); err != nil {
			return fmt.Errorf("--eventstore-cert, --eventstore-key: %w", err)
		}
	}
	return nil
}

// onLoopback says whether nobody but this machine can reach an address. The name
// of another machine, too, is none.
func onLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// ledger lets the ledger append too.
func (f storeFlags) ledger(log *slog.Logger) esdbserver.ServeConfig {
	c := f.readers(log)
	c.Append, c.User, c.Password = true, f.AppendUser, f.AppendPassword
	return c
}

// storeCache is the least with which an append of a new stream need not read the disk.
const storeCache = 14 << 20

// serveStore runs the store that yimu up has inside for ledgers in other processes.
func (c *serveCmd) serveStore(ctx context.Context, listener net.Listener) (err error) {
	log := c.logger().With(slog.String("service", c.Service))
	var open closers
	watch, err := watch(ctx, c.Service, log, &open)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, open.Close()) }()
	protocol, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.EventstoreListen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", c.EventstoreListen, err)
	}
	defer func() { _ = protocol.Close() }()
	if err := makeDir(c.Data); err != nil {
		return fmt.Errorf("the data directory cannot be made: %w", err)
	}
	// Nearly all that it holds is its cache, which is not garbage: room for as
	// much again, as is usual, would be most of its memory.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(25)
	}
	store, fatal, err := openLedger(c.Data, storeCache, c.now, log)
	if err != nil {
		return err
	}
	err = watched(ctx, c.Data, func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return service.Serve(ctx, listener, front(nil, http.NotFoundHandler())) })
		g.Go(func() error { return c.metricsFlags.serve(ctx, watch) })
		g.Go(func() error { return esdbserver.Serve(ctx, protocol, store, c.storeFlags.ledger(log)) })
		g.Go(func() error {
			wishes := http.NewServeMux()
			offerSnapshot(wishes, store, c.Data)
			return serveSocket(ctx, c.Data, wishes)
		})
		g.Go(func() error {
			select {
			case err := <-fatal:
				return err
			case <-ctx.Done():
				return nil
			}
		})
		log.InfoContext(ctx, "ready", slog.String("listen", protocol.Addr().String()), slog.Uint64("position", uint64(store.Head())))
		return g.Wait()
	})
	if errors.As(err, &brokenError{}) {
		return err // it cannot be closed
	}
	return errors.Join(err, store.Close())
}
