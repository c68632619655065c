package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/bus/embedded"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/portal"
)

// Options say how a [Site] runs.
type Options struct {
	Dir   string // everything it keeps; made if absent
	Clock service.Clock
	Log   *slog.Logger
	Site  siteFlags
	Tlog  tlogFlags

	Holidays  string // file of public holidays; "": only those the program knows
	VaultLost bool   // the vault need not be the ledger's
}

// Site is all of yimu in one process and on one directory: the same services as
// in a cluster, with a broker, a store and databases inside. It answers through
// Handler once Run has said that it is ready.
type Site struct {
	*System
	dir     string
	log     *slog.Logger
	ledger  *pebblestore.Store
	portal  http.Handler
	closers // of what the System stands on
}

// brokenError says that the store gave up: nothing is written any more, and it
// cannot be closed.
type brokenError struct{ error }

func (e brokenError) Unwrap() error { return e.error }

// partitions of each topic. In one process one is best: it makes the largest
// groups, and each group is one write to disk.
const partitions = 1

// outcomesKept is how many bytes of outcomes the broker keeps: some thousands,
// where no more are unread than commands are under way.
const outcomesKept = 2 << 20

// Open opens everything in a directory. Nothing runs yet.
func Open(ctx context.Context, options Options) (s *Site, err error) {
	s = &Site{dir: options.Dir, log: options.Log}
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
	g := ground{vaultLost: options.VaultLost, holidays: options.Holidays}
	if g.watch, err = watch(ctx, "yimu", options.Log, &s.closers); err != nil {
		return s, err
	}
	if s.ledger, g.fatal, err = openLedger(options.Dir, 0, options.Clock, options.Log); err != nil {
		return s, err
	}
	s.closes(s.ledger.Close)
	g.store = telemetry.Store(s.ledger, g.watch.Tracer, "pebble", "")
	g.end = func(context.Context) (es.Position, error) { return s.ledger.Head(), nil }
	if g.vault, err = vault.Open(ctx, vault.Config{
		URL: "sqlite://" + dir("vault.db"), KeyFile: dir("keys/vault.json"), Clock: options.Clock,
	}); err != nil {
		return s, err
	}
	s.closes(g.vault.Close)
	if g.blobs, err = s.openBlobs(ctx, dir("blobs")); err != nil {
		return s, err
	}
	if g.refused, err = s.openBlobs(ctx, dir("refused")); err != nil {
		return s, err
	}
	key := cmp.Or(options.Tlog.TlogKey, dir("keys/"+logKey))
	if g.tlog, err = options.Tlog.open(dir("log"), key, options.Site.BaseURL, options.Log); err != nil {
		return s, err
	}
	g.database = func(ctx context.Context, service string) (*readmodel.DB, error) {
		return readmodel.Open(ctx, "sqlite://"+dir("read/"+service+".db"), readmodel.Watched(g.watch.Tracer, g.watch.Meter))
	}
	broker, err := embedded.Start(embedded.Config{Topics: embeddedTopics(), Group: ledger.Group, Log: options.Log})
	if err != nil {
		return s, err
	}
	s.closes(func() error { broker.Close(); return nil })
	g.bus = bus.Config{Brokers: []string{broker.Addr()}, Partitions: partitions, Log: options.Log}

	if s.System, err = build(ctx, g, options.Clock, options.Log); err != nil {
		return s, err
	}
	s.closes(s.System.Close)
	pages := options.Site.config()
	pages.Services, pages.Sessions = s.handlers(), g.vault.Sessions()
	pages.Clock, pages.Log = options.Clock, options.Log.With(slog.String("service", "portal"))
	pages.Tracer, pages.Meter = g.watch.Tracer, g.watch.Meter
	s.portal, err = portal.New(pages)
	return s, err
}

// openLedger opens the ledger in a data directory, with so many bytes of cache
// (0: the store's default), and says on a channel why it gave up. One that was
// restored says so.
func openLedger(data string, cache int64, clock service.Clock, log *slog.Logger) (*pebblestore.Store, <-chan error, error) {
	if err := checkRestored(data, log); err != nil {
		return nil, nil, err
	}
	fatal := make(chan error, 1)
	store, err := pebblestore.Open(pebblestore.Config{
		Dir: filepath.Join(data, "ledger"), CacheSize: cache, Clock: clock, Log: log, OnFatal: func(err error) { fatal <- brokenError{err} },
	})
	return store, fatal, err
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
		topic := embedded.Topic{Name: t.Name, Partitions: t.Partitions}
		if t.Name == commitpath.OutcomesTopic {
			topic.PartitionBytes = outcomesKept
		}
		topics = append(topics, topic)
	}
	return topics
}

func (s *Site) openBlobs(ctx context.Context, dir string) (*blobs.Bucket, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	b, err := blobs.Open(ctx, "file://"+filepath.ToSlash(dir))
	if err == nil {
		s.closes(b.Close)
	}
	return b, err
}

// Close closes what Open opened.
func (s *Site) Close() error { return s.closers.Close() }

// Handler answers pages and the API.
func (s *Site) Handler() http.Handler { return s.portal }

// Head is the position of the last event.
func (s *Site) Head() es.Position { return s.ledger.Head() }

// Run is that of the System, and ends when the disk is nearly full.
func (s *Site) Run(ctx context.Context, ready func(context.Context) error) error {
	return watched(ctx, s.dir, func(ctx context.Context) error { return s.System.Run(ctx, ready) })
}
