package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/services/portal"
)

type upCmd struct {
	Data   string `help:"Directory of everything that is kept; made if absent." default:"data" env:"YIMU_DATA" type:"path"`
	Listen string `help:"Address to answer on." default:"127.0.0.1:8080" env:"YIMU_LISTEN"`
	Demo   bool   `help:"Import the papers of a demonstration estate at the first start, and print how to log in." env:"YIMU_DEMO"`
	Log    string `help:"Least level that is logged: debug, info, warn or error." default:"warn" enum:"debug,info,warn,error" env:"YIMU_LOG"`
	metricsFlags
	siteFlags
	tlogFlags

	Holidays string `help:"File of years whose public holidays the program does not know yet, for the deadlines of meetings; see docs/operations.md." env:"YIMU_HOLIDAYS" type:"path" placeholder:"FILE"`

	VaultLost bool `help:"Start on a vault that is not the ledger's, because that one is lost: what was sealed stays closed for good." env:"YIMU_VAULT_LOST"`

	EventstoreListen string `help:"Address to let clients of EventStoreDB read the ledger on, such as 127.0.0.1:2113; none: they cannot." env:"YIMU_EVENTSTORE_LISTEN" placeholder:"HOST:PORT"`
	certFlags

	TestClock time.Duration `hidden:"" env:"YIMU_TEST_CLOCK" help:"For tests: how far the clock is ahead."`
}

func (c *upCmd) Run(ctx context.Context) error {
	if c.Demo && c.Operator == "" {
		c.Operator, c.Contact = "演示站点 · demonstration site", "无人值守,请勿填写真实信息 · nobody is there; enter nothing real"
	}
	// The address first: it is the cheapest thing to find taken.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return sentence(fmt.Errorf("cannot listen on %s: %w", c.Listen, err))
	}
	defer func() { _ = listener.Close() }()
	var protocol net.Listener
	if c.EventstoreListen != "" {
		if protocol, err = (&net.ListenConfig{}).Listen(ctx, "tcp", c.EventstoreListen); err != nil {
			return sentence(fmt.Errorf("cannot listen on %s: %w", c.EventstoreListen, err))
		}
		defer func() { _ = protocol.Close() }()
	}
	s, err := Open(ctx, c.options())
	if err != nil {
		return sentence(err)
	}
	// A process that was told to stop must not wait for readers who never leave.
	running, stop := context.WithCancel(ctx)
	defer stop()
	g, running := errgroup.WithContext(running)
	start := time.Now()
	g.Go(func() error { return c.metricsFlags.serve(running, s.watch) })
	g.Go(func() error { giveBack(running); return nil })
	g.Go(func() error {
		return s.Run(running, func(ctx context.Context) error {
			g.Go(func() error { return service.Serve(running, listener, front(s.checks(), s.Handler())) })
			g.Go(func() error { return serveSocket(running, c.Data, s.operator()) })
			if protocol != nil {
				g.Go(func() error { return esdbserver.Serve(running, protocol, s.ledger, c.readers(s.log)) })
			}
			url := "http://" + listener.Addr().String()
			if c.Demo {
				if err := s.demonstrate(ctx, url, os.Stderr); err != nil {
					return fmt.Errorf("the demonstration estate could not be imported: %w", err)
				}
			}
			fmt.Fprintf(os.Stderr, "yimu %s is ready at %s (%s in %d ms)\n", version(), url, c.Data, time.Since(start).Milliseconds())
			return nil
		})
	})
	err = g.Wait()
	if errors.As(err, &brokenError{}) {
		return sentence(err)
	}
	if ctx.Err() != nil {
		err = nil // asked to stop
	}
	return sentence(errors.Join(err, s.Close()))
}

func (c *upCmd) options() Options {
	return Options{
		Dir:   c.Data,
		Clock: func() time.Time { return time.Now().Add(c.TestClock) },
		Log:   newLogger(os.Stderr, c.Log, "text"),
		Site:  c.siteFlags,
		Tlog:  c.tlogFlags,

		Holidays:  c.Holidays,
		VaultLost: c.VaultLost,
	}
}

// siteFlags are what the pages say, and to whom they are shown.
type siteFlags struct {
	BaseURL             string `help:"Where people reach the site, e.g. https://yimu.example; https makes cookies secure." env:"YIMU_BASE_URL" placeholder:"URL" for:"portal"`
	Operator            string `help:"Who operates the site, for its About page." env:"YIMU_OPERATOR" placeholder:"NAME" for:"portal"`
	Contact             string `help:"How to reach the operator." env:"YIMU_CONTACT" placeholder:"TEXT" for:"portal"`
	Complaints          string `help:"Where a complaint goes." env:"YIMU_COMPLAINTS" placeholder:"TEXT" for:"portal"`
	Privacy             string `help:"Who is responsible for personal data." env:"YIMU_PRIVACY" placeholder:"TEXT" for:"portal"`
	ClientAddressHeader string `help:"Header in which the proxy in front says who asks, e.g. X-Real-Ip; rate limits count by it. Only for a proxy that overwrites what clients send." env:"YIMU_CLIENT_ADDRESS_HEADER" placeholder:"NAME" for:"portal"`
}

// config is the portal's, with what the flags say.
func (f siteFlags) config() portal.Config {
	c := portal.Config{
		BaseURL:  f.BaseURL,
		Version:  version(),
		Operator: portal.Operator{Name: f.Operator, Contact: f.Contact, Complaints: f.Complaints, Privacy: f.Privacy},
	}
	if f.ClientAddressHeader != "" {
		c.ClientAddress = func(r *http.Request) string {
			// Of several the last is the nearest proxy's.
			said := strings.Split(r.Header.Get(f.ClientAddressHeader), ",")
			return cmp.Or(strings.TrimSpace(said[len(said)-1]), r.RemoteAddr)
		}
	}
	return c
}

// watch starts what the process is watched by, until it is closed.
func watch(ctx context.Context, name string, log *slog.Logger, open *closers) (*telemetry.Telemetry, error) {
	t, err := telemetry.Start(ctx, telemetry.Config{Service: name, Version: version(), Log: log})
	if err == nil {
		open.closes(func() error { t.Stop(ctx); return nil })
	}
	return t, err
}

// front answers health beside a handler.
func front(health map[string]service.Check, rest http.Handler) http.Handler {
	own := service.Health(health)
	mux := http.NewServeMux()
	mux.Handle("GET /livez", own)
	mux.Handle("GET /readyz", own)
	mux.Handle("/", rest)
	return mux
}

// metricsFlags say where a process is measured. Its other addresses may face the
// public, which this is not for.
type metricsFlags struct {
	MetricsListen string `help:"Address to answer /metrics on, for Prometheus, such as 127.0.0.1:9464; none: nowhere." env:"YIMU_METRICS_LISTEN" placeholder:"HOST:PORT" for:"service portal store"`
}

// serve answers /metrics until ctx ends.
func (f metricsFlags) serve(ctx context.Context, watch *telemetry.Telemetry) error {
	if f.MetricsListen == "" {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.MetricsListen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", f.MetricsListen, err)
	}
	return service.Serve(ctx, listener, metrics(watch))
}

func metrics(watch *telemetry.Telemetry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", watch.Metrics())
	return mux
}

// sentence says what a person can do about the failures that people meet.
func sentence(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("the disk is full; make room and start again, nothing that was acknowledged is lost (%w)", err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("the data directory cannot be written by this user (%w)", err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("another program uses this address; choose another one (%w)", err)
	}
	return err
}

// socket is where a running system takes its operator's wishes: whoever may
// open the data directory.
const socket = "yimu.sock"

// serveSocket answers the operator until ctx ends.
func serveSocket(ctx context.Context, dir string, operator http.Handler) error {
	path := filepath.Join(dir, socket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return fmt.Errorf("the operator's socket cannot be opened: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	return service.Serve(ctx, listener, operator)
}

// ask sends an operator's wish to the system that runs on a directory. running
// is false where none does.
func ask(ctx context.Context, dir, path string, body io.Reader) (answer string, running bool, err error) {
	client := http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, socket))
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://yimu"+path, body)
	if err != nil {
		return "", false, err
	}
	resp, err := client.Do(req)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return "", false, nil
	}
	if err != nil {
		return "", true, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(string(text))
	}
	return string(text), true, err
}
