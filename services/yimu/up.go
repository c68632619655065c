package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/portal"
)

type upCmd struct {
	Data    string `help:"Directory of everything that is kept; made if absent." default:"data" env:"YIMU_DATA" type:"path"`
	Listen  string `help:"Address to answer on." default:"127.0.0.1:8080" env:"YIMU_LISTEN"`
	Demo    bool   `help:"Import the papers of a demonstration estate at the first start, and print how to log in." env:"YIMU_DEMO"`
	BaseURL string `help:"Where people reach the site, e.g. https://yimu.example; https makes cookies secure." env:"YIMU_BASE_URL"`
	Log     string `help:"Least level that is logged: debug, info, warn or error." default:"warn" enum:"debug,info,warn,error" env:"YIMU_LOG"`

	Operator   string `help:"Who operates the site, for its About page." env:"YIMU_OPERATOR"`
	Contact    string `help:"How to reach the operator." env:"YIMU_CONTACT"`
	Complaints string `help:"Where a complaint goes." env:"YIMU_COMPLAINTS"`
	Privacy    string `help:"Who is responsible for personal data." env:"YIMU_PRIVACY"`

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
	s, err := Open(ctx, c.options())
	if err != nil {
		return sentence(err)
	}
	// A process that was told to stop must not wait for readers who never leave.
	running, stop := context.WithCancel(ctx)
	defer stop()
	g, running := errgroup.WithContext(running)
	start := time.Now()
	g.Go(func() error {
		return s.Run(running, func(ctx context.Context) error {
			g.Go(func() error { return service.Serve(running, listener, s.front()) })
			g.Go(func() error { return s.serveSocket(running) })
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
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log)); err != nil {
		level = slog.LevelWarn // not reached: kong knows the names
	}
	return Options{
		Dir:      c.Data,
		Clock:    func() time.Time { return time.Now().Add(c.TestClock) },
		Log:      slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
		BaseURL:  c.BaseURL,
		Operator: portal.Operator{Name: c.Operator, Contact: c.Contact, Complaints: c.Complaints, Privacy: c.Privacy},
	}
}

// front answers health beside the site.
func (s *System) front() http.Handler {
	health := service.Health(map[string]service.Check{
		"commit path": func(context.Context) error { return s.client.Ready() },
	})
	mux := http.NewServeMux()
	mux.Handle("GET /livez", health)
	mux.Handle("GET /readyz", health)
	mux.Handle("/", s.Handler())
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
		return fmt.Errorf("another program uses this address; choose one with --listen (%w)", err)
	}
	return err
}

// socket is where a running system takes its operator's wishes: whoever may
// open the data directory.
const socket = "yimu.sock"

// serveSocket answers the operator until ctx ends.
func (s *System) serveSocket(ctx context.Context) error {
	path := filepath.Join(s.options.Dir, socket)
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
	return service.Serve(ctx, listener, s.operator())
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
