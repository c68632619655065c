package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/bus/embedded"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/contracts"
	"github.com/yimu-ledger/yimu/services/finance"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/portal"
	"github.com/yimu-ledger/yimu/services/registry"
	"github.com/yimu-ledger/yimu/services/registry/access"
	"github.com/yimu-ledger/yimu/services/votes"
	"github.com/yimu-ledger/yimu/services/workorders"
)

// Options say how a System runs.
type Options struct {
	Dir      string // everything it keeps; made if absent
	Clock    service.Clock
	Log      *slog.Logger
	BaseURL  string // where people reach it; printed on pages
	Operator portal.Operator
}

// System is all of yimu in one process: the same services as in a cluster, with
// a broker, a store and databases inside. It answers through Handler once Run
// has said that it is ready.
type System struct {
	options  Options
	store    *pebblestore.Store
	vault    *vault.Vault
	client   *commitpath.Client
	access   *access.Directory
	services []*service.Service
	deps     map[string]service.Deps // by service
	portal   http.Handler
	broken   chan error // why the store gave up
	close    []func() error
}

// brokenError says that the store gave up: nothing is written any more, and it
// cannot be closed.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

// partitions of each topic. In one process one is best: it makes the largest
// groups, and each group is one write to disk.
const partitions = 1

// Open opens everything in a directory. Nothing runs yet.
func Open(ctx context.Context, options Options) (s *System, err error) {
	s = &System{options: options, deps: map[string]service.Deps{}, broken: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	dir := func(name string) string { return filepath.Join(options.Dir, name) }
	for _, name := range []string{"", "keys", "read"} {
		if err := makeDir(dir(name)); err != nil {
			return s, fmt.Errorf("the data directory cannot be made: %w", err)
		}
	}
	if s.store, err = pebblestore.Open(pebblestore.Config{
		Dir: dir("ledger"), Clock: options.Clock, Log: options.Log,
		OnFatal: func(err error) { s.broken <- brokenError{err} },
	}); err != nil {
		return s, err
	}
	s.closes(s.store.Close)
	if s.vault, err = vault.Open(ctx, vault.Config{
		URL: "sqlite://" + dir("vault.db"), KeyFile: dir("keys/vault.json"), Clock: options.Clock,
	}); err != nil {
		return s, err
	}
	s.closes(s.vault.Close)
	public, err := s.openBlobs(ctx, dir("blobs"))
	if err != nil {
		return s, err
	}
	refused, err := s.openBlobs(ctx, dir("refused"))
	if err != nil {
		return s, err
	}

	broker, err := embedded.Start(embedded.Config{Topics: embeddedTopics(), Log: options.Log})
	if err != nil {
		return s, err
	}
	s.closes(func() error { broker.Close(); return nil })
	config := bus.Config{Brokers: []string{broker.Addr()}, Partitions: partitions, Log: options.Log}
	publisher := bus.NewPublisher(config)
	s.closes(publisher.Close)
	s.client = commitpath.NewClient(commitpath.ClientConfig{
		Publisher: publisher, Outcomes: bus.NewTailSubscriber(config), Clock: options.Clock, Log: options.Log,
	})
	sessions := access.NewSessions(s.vault.Sessions(), options.Clock)
	if s.access, err = access.New(access.Config{Store: s.store, Sessions: sessions, Clock: options.Clock, Log: options.Log}); err != nil {
		return s, err
	}
	tracer, stop, err := service.Telemetry(ctx, version())
	if err != nil {
		return s, err
	}
	s.closes(func() error { return stop(context.WithoutCancel(ctx)) })

	ready := func() bool { return s.client.Ready() == nil }
	for _, part := range []struct {
		name, context string
		build         func(service.Deps) (*service.Service, error)
	}{
		{"registry", ledger.Registry, func(d service.Deps) (*service.Service, error) {
			return registry.New(ctx, d, registry.Config{People: s.vault, Directory: s.access, Sessions: sessions})
		}},
		{"contracts", ledger.Agreements, func(d service.Deps) (*service.Service, error) {
			return contracts.New(ctx, d, contracts.Config{Owners: s.access.Owners})
		}},
		{"workorders", ledger.Workorders, func(d service.Deps) (*service.Service, error) {
			return workorders.New(ctx, d, workorders.Config{Ready: ready})
		}},
		{"finance", ledger.Finance, func(d service.Deps) (*service.Service, error) {
			return finance.New(ctx, d, finance.Config{Ready: ready})
		}},
		{"votes", ledger.Votes, func(d service.Deps) (*service.Service, error) {
			return votes.New(ctx, d, votes.Config{Ready: ready})
		}},
		{"ledger", "", func(d service.Deps) (*service.Service, error) {
			return ledger.New(ctx, d, ledger.Config{Bus: config, Publisher: publisher, Refused: refused})
		}},
	} {
		db, err := readmodel.Open(ctx, "sqlite://"+dir("read/"+part.name+".db"))
		if err != nil {
			return s, err
		}
		s.closes(db.Close)
		deps := service.Deps{
			Store: s.store, Committer: s.client.For(part.context), Vault: s.vault, Blobs: public, DB: db, Access: s.access,
			Clock: options.Clock, Log: options.Log.With(slog.String("service", part.name)), Tracer: tracer,
		}
		built, err := part.build(deps)
		if err != nil {
			return s, fmt.Errorf("%s: %w", part.name, err)
		}
		s.deps[part.name] = deps
		s.services = append(s.services, built)
	}

	handlers := map[string]http.Handler{}
	for _, part := range s.services {
		handlers[part.Name] = part.Handler
	}
	s.portal, err = portal.New(portal.Config{
		Services: handlers, Sessions: s.vault.Sessions(), BaseURL: options.BaseURL, Operator: options.Operator,
		Clock: options.Clock, Log: options.Log.With(slog.String("service", "portal")),
	})
	return s, err
}

// makeDir makes a directory that outlives a power failure: it is of little use
// that a key is on disk if the directory it is in is not.
func makeDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

func embeddedTopics() []embedded.Topic {
	var topics []embedded.Topic
	for _, t := range ledger.Topics(partitions) {
		topics = append(topics, embedded.Topic{Name: t.Name, Partitions: t.Partitions})
	}
	return topics
}

func (s *System) openBlobs(ctx context.Context, dir string) (*blobs.Bucket, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	b, err := blobs.Open(ctx, "file://"+filepath.ToSlash(dir))
	if err == nil {
		s.closes(b.Close)
	}
	return b, err
}

func (s *System) closes(f func() error) { s.close = append(s.close, f) }

// Close closes what Open opened, the last first.
func (s *System) Close() error {
	var errs []error
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	return errors.Join(errs...)
}

// Handler answers pages and the API.
func (s *System) Handler() http.Handler { return s.portal }

// Head is the position of the last event.
func (s *System) Head() es.Position { return s.store.Head() }

// Run runs every service until ctx ends or one of them fails, and calls ready
// once commits are taken and every read model has caught up.
func (s *System) Run(ctx context.Context, ready func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	run := func(what string, f func(context.Context) error) {
		g.Go(func() error {
			err := f(ctx)
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("%s stopped: %w", what, errors.Join(err, errors.New("it should run for ever")))
		})
	}
	run("the commit path", s.client.Run)
	run("access", s.access.Run)
	for _, part := range s.services {
		for _, p := range part.Projections {
			run(part.Name, p.Run)
		}
		for _, f := range part.Run {
			run(part.Name, f)
		}
	}
	g.Go(func() error { return s.watchDisk(ctx) })
	g.Go(func() error {
		select {
		case err := <-s.broken:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	g.Go(func() error {
		if err := s.waitReady(ctx); err != nil {
			return err
		}
		return ready(ctx)
	})
	return g.Wait()
}

// waitReady waits until commits are taken and read models are where the ledger
// was at the start.
func (s *System) waitReady(ctx context.Context) error {
	if err := s.catchUp(ctx, s.Head()); err != nil {
		return err
	}
	for s.client.Ready() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// catchUp waits until every read model is at a position.
func (s *System) catchUp(ctx context.Context, position es.Position) error {
	if err := s.access.WaitFor(ctx, position); err != nil {
		return err
	}
	for _, part := range s.services {
		for _, p := range part.Projections {
			if err := p.WaitFor(ctx, position); err != nil {
				return err
			}
		}
	}
	return nil
}

// Rebuild empties the read models of a running system and waits until they are
// replayed. What was published to others is not published again: it is no read
// model, and remembers by itself how far it is.
func (s *System) Rebuild(ctx context.Context) error {
	for _, part := range s.services {
		for _, p := range part.Projections {
			if err := p.Rebuild(ctx); err != nil {
				return fmt.Errorf("rebuild %s: %w", part.Name, err)
			}
		}
	}
	return s.catchUp(ctx, s.Head())
}
