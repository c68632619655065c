package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	contract "github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/contracts"
	"github.com/yimu-ledger/yimu/services/finance"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/registry"
	"github.com/yimu-ledger/yimu/services/registry/access"
	"github.com/yimu-ledger/yimu/services/votes"
	"github.com/yimu-ledger/yimu/services/workorders"
)

// ground is what services stand on. Where it is, inside the process or at
// addresses, they cannot tell.
type ground struct {
	store    es.Store
	end      func(context.Context) (es.Position, error) // of the store
	vault    *vault.Vault
	bus      bus.Config
	others   bool // can read the bus too
	blobs    *blobs.Bucket
	refused  *blobs.Bucket // bytes of refused commits; nil where no ledger runs
	tlog     *tlog.Log     // of the ledger's events; nil where no ledger runs
	watch    *telemetry.Telemetry
	database func(ctx context.Context, service string) (*readmodel.DB, error)
	fatal    <-chan error // why nothing can be written any more; nil where nothing here breaks for good

	holidays  string // file of public holidays; "": only those the program knows
	vaultLost bool   // the vault need not be the ledger's: that one is lost
}

// System runs services on a ground: all of them in one process, or one.
type System struct {
	ground
	clock     service.Clock
	log       *slog.Logger
	publisher *bus.Publisher
	client    *commitpath.Client
	access    *access.Directory
	services  []*service.Service
	deps      map[string]service.Deps // by service
	caughtUp  atomic.Bool             // with where the ledger was at the start
	closers
}

// closers close what was opened, the last first.
type closers struct{ close []func() error }

func (c *closers) closes(f func() error) { c.close = append(c.close, f) }

// Close closes what was opened, the last first.
func (c *closers) Close() error {
	var errs []error
	for i := len(c.close) - 1; i >= 0; i-- {
		errs = append(errs, c.close[i]())
	}
	c.close = nil
	return errors.Join(errs...)
}

// part is a service that a System can run.
type part struct {
	name    string
	context string // of the streams it writes, "" where it commits nothing
	build   func(context.Context, *System, service.Deps) (*service.Service, error)
}

var parts = []part{
	{"registry", ledger.Registry, func(ctx context.Context, s *System, d service.Deps) (*service.Service, error) {
		return registry.New(ctx, d, registry.Config{People: s.vault, Directory: s.access, Sessions: s.sessions()})
	}},
	{"contracts", ledger.Agreements, func(ctx context.Context, s *System, d service.Deps) (*service.Service, error) {
		return contracts.New(ctx, d, contracts.Config{Owners: s.access.Owners, Ready: s.clockIsRight})
	}},
	{"workorders", ledger.Workorders, func(ctx context.Context, s *System, d service.Deps) (*service.Service, error) {
		return workorders.New(ctx, d, workorders.Config{Ready: s.clockIsRight})
	}},
	{"finance", ledger.Finance, func(ctx context.Context, s *System, d service.Deps) (*service.Service, error) {
		return finance.New(ctx, d, finance.Config{Ready: s.clockIsRight})
	}},
	{"votes", ledger.Votes, func(ctx context.Context, s *System, d service.Deps) (*service.Service, error) {
		return votes.New(ctx, d, votes.Config{Ready: s.clockIsRight, Holidays: s.holidays})
	}},
	{"ledger", "", func(ctx context.Context, s *System, d service.Deps) (*service.Service, error) {
		return ledger.New(ctx, d, ledger.Config{Bus: s.bus, Publisher: s.publisher, Others: s.others, Log: s.tlog, Refused: s.refused})
	}},
}

// build builds the named services on a ground, all where none is named. Nothing
// runs yet. What it opens is closed with the System, the ground is not.
func build(ctx context.Context, g ground, clock service.Clock, log *slog.Logger, names ...string) (s *System, err error) {
	s = &System{ground: g, clock: clock, log: log, deps: map[string]service.Deps{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	s.bus.Tracer, s.bus.Meter = s.watch.Tracer, s.watch.Meter
	s.publisher = bus.NewPublisher(s.bus)
	s.closes(s.publisher.Close)
	s.client = commitpath.NewClient(commitpath.ClientConfig{
		Publisher: s.publisher, Bus: s.bus, Clock: clock, Log: log,
		Tracer: s.watch.Tracer, Meter: s.watch.Meter,
	})
	if s.access, err = access.New(access.Config{Store: s.store, Sessions: s.sessions(), Clock: clock, Log: log, Meter: s.watch.Meter}); err != nil {
		return s, err
	}
	for _, p := range parts {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		db, err := s.database(ctx, p.name)
		if err != nil {
			return s, err
		}
		s.closes(db.Close)
		deps := service.Deps{
			Store: s.store, Committer: service.Noting(s.client.For(p.context)), Vault: s.vault, Blobs: s.blobs, DB: db, Access: s.access,
			Signed: s.client.Signed, Clock: clock, Log: log.With(slog.String("service", p.name)), Tracer: s.watch.Tracer, Meter: s.watch.Meter,
		}
		built, err := p.build(ctx, s, deps)
		if err != nil {
			return s, fmt.Errorf("%s: %w", p.name, err)
		}
		s.deps[p.name] = deps
		s.services = append(s.services, built)
	}
	return s, nil
}

func (s *System) sessions() *access.Sessions {
	return access.NewSessions(s.vault.Sessions(), s.clock)
}

// clockIsRight says whether the clock can be trusted with deadlines.
func (s *System) clockIsRight() bool { return s.client.Ready() == nil }

// handlers returns the API of each service, by its name. Before what it answers
// from has caught up it answers nobody: it does not know yet who was given a
// token, and, what is worse, from whom one was taken.
func (s *System) handlers() map[string]http.Handler {
	handlers := map[string]http.Handler{}
	for _, part := range s.services {
		handlers[part.Name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.caughtUp.Load() {
				part.Handler.ServeHTTP(w, r)
			} else {
				problem.Write(w, starting)
			}
		})
	}
	return handlers
}

// starting is said before a service can answer.
var starting = problem.Unavailable("starting", "this service is starting; repeat with the same key in a moment")

// What may not be ready.
const (
	commitPath = "commit path"
	readModels = "read models"
)

// checks say what is not ready.
func (s *System) checks() map[string]service.Check {
	return map[string]service.Check{
		commitPath: func(context.Context) error { return s.client.Ready() },
		readModels: func(context.Context) error {
			if !s.caughtUp.Load() {
				return errors.New("they have not caught up yet")
			}
			return nil
		},
	}
}

// Run runs every service until ctx ends or one of them fails, and calls ready
// once commits are taken and every read model has caught up.
func (s *System) Run(ctx context.Context, ready func(context.Context) error) error {
	if err := s.ownVault(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	run := func(what string, f func(context.Context) error) {
		g.Go(func() error {
			err := f(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err == nil {
				err = errors.New("it should run for ever")
			}
			return fmt.Errorf("%s stopped: %w", what, err)
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
	g.Go(func() error {
		select {
		case err := <-s.fatal:
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

// ownVault refuses a vault that never knew the first person in the ledger: it is
// another ledger's, or was made anew because the right one was not found. What is
// sealed would stay closed, and what is sealed from now on with its keys would be
// closed to the right one.
func (s *System) ownVault(ctx context.Context) error {
	if s.vaultLost {
		return nil
	}
	first, err := again(ctx, s.log, s.firstPerson)
	if err != nil || first == "" {
		return err
	}
	known, err := s.vault.Knows(ctx, vault.PersonKey(first))
	if err == nil && !known {
		err = errors.New("this vault is not the ledger's: it never had a key of the first person in it. Nothing was changed. " +
			"Name the vault and the key file that belong to this ledger; if they are lost for good, start with --vault-lost")
	}
	return err
}

// firstPerson returns the id of the person registered first, "" where nobody is.
func (s *System) firstPerson(ctx context.Context) (string, error) {
	for r, err := range s.store.ReadAll(ctx, 0, contract.PersonStream) {
		return strings.TrimPrefix(r.Stream, contract.PersonStream), err
	}
	return "", nil
}

// waitReady waits until commits are taken and read models are where the ledger
// was at the start, and says what it waits for if that takes long.
func (s *System) waitReady(ctx context.Context) error {
	const soon = 10 * time.Second
	late := time.AfterFunc(soon, func() {
		var why []error
		for name, check := range s.checks() {
			if err := check(ctx); err != nil {
				why = append(why, fmt.Errorf("%s: %w", name, err))
			}
		}
		if len(why) > 0 && ctx.Err() == nil {
			s.log.WarnContext(ctx, "not ready yet", slog.Any("error", errors.Join(why...)))
		}
	})
	defer late.Stop()
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	if err := s.notAhead(ctx); err != nil {
		return err
	}
	s.caughtUp.Store(true)
	for s.client.Ready() != nil {
		if pause.For(ctx, 5*time.Millisecond) != nil {
			return nil
		}
	}
	return nil
}

// again asks the store until it answers, or ctx ends.
func again[T any](ctx context.Context, log *slog.Logger, ask func(context.Context) (T, error)) (T, error) {
	for {
		answer, err := ask(ctx)
		if err == nil || ctx.Err() != nil {
			return answer, err
		}
		log.WarnContext(ctx, "waiting for the event store", slog.Any("error", err))
		_ = pause.For(ctx, time.Second)
	}
}

// catchUp waits until every read model is where the ledger is now.
func (s *System) catchUp(ctx context.Context) error {
	position, err := again(ctx, s.log, s.end)
	if err != nil {
		return err
	}
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

// notAhead refuses read models that have seen more than the ledger holds: it
// was set back, positions are given anew, and they would miss what comes.
func (s *System) notAhead(ctx context.Context) error {
	for _, part := range s.services {
		for _, p := range part.Projections {
			seen := p.Position()
			end, err := s.end(ctx)
			if err != nil {
				return err
			}
			if seen > end {
				return fmt.Errorf("the read models of %s have seen position %d, and the ledger ends at %d: it was restored from a backup. "+
					"Empty the database of the read models and start again: they are replayed", part.Name, seen, end)
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
	return s.catchUp(ctx)
}
