// Package servicetest runs services for tests over the real thing: an event
// store in memory, a broker in the process, the ledger, the vault, SQLite read
// models and the access directory. Nothing is mocked; what a test sees is what a
// client of the API sees.
//
//	s := servicetest.New(t, servicetest.Part{Context: ledger.Workorders, New: newWorkorders})
//	estate := s.Estate("秀山花园")
//	clerk := s.With(registry.Clerk, estate)
//	order := clerk.Post("/estates/"+estate+"/workorders", body).Want(201).ID()
//	s.Anyone().Get("/workorders/" + order).Want(200).Into(&out)
//
// Registry and ledger are always there: estates, people and tokens come from the
// one, and nothing is recorded without the other. Clients send the last position
// that any of them was told, as the portal does, so that a test reads what it
// wrote.
package servicetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cockroachdb/pebble/v2/vfs"

	contract "github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/bus/embedded"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/registry"
	"github.com/yimu-ledger/yimu/services/registry/access"
)

// Part is one service of the system under test.
type Part struct {
	Context string // of the streams it writes, e.g. ledger.Votes
	New     func(context.Context, *System, service.Deps) (*service.Service, error)
}

// Config says what is unusual about a System.
type Config struct {
	Parts []Part
	// Wait is how long a command waits for its outcome before it is answered
	// 202; 5 s unless set.
	Wait time.Duration
}

// System is a running system. Its fields are for tests that look behind the API.
type System struct {
	Store     *pebblestore.Store
	Vault     *vault.Vault
	Directory *access.Directory
	Sessions  *access.Sessions
	Refused   *blobs.Bucket // bytes of refused commits
	Log       *tlog.Log     // the ledger's transparency log
	LogDir    string        // its files
	LogKey    string        // the file of its private key
	Clock     *Clock        // of the services and of the store
	Bus       bus.Config
	Publisher message.Publisher
	Services  map[string]*service.Service // by name
	Deps      map[string]service.Deps     // by name

	Unruly bool // what is recorded need not be what the rules allow

	// Ledger takes commits and publishes events. Each start builds it anew, as
	// another process would.
	Ledger *Loop
	// Outcomes is the services' end of the commit path. While it is stopped
	// they are not ready and hand over nothing.
	Outcomes *Loop

	t      testing.TB
	dir    string
	client *commitpath.Client
	server *httptest.Server
	logs   logs
	admin  string
	seen   atomic.Uint64 // the highest position a client was told
}

// New runs the registry, the ledger and other parts until the test ends.
func New(t testing.TB, parts ...Part) *System {
	t.Helper()
	return Start(t, Config{Parts: parts})
}

// Start is New with everything that can be chosen.
func Start(t testing.TB, config Config) *System {
	t.Helper()
	s := &System{
		t: t, dir: t.TempDir(), Clock: &Clock{},
		Services: map[string]*service.Service{}, Deps: map[string]service.Deps{},
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the system's log:\n%s", s.logs.warnings())
		}
	})
	log := slog.New(slog.NewJSONHandler(&s.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx := context.WithoutCancel(t.Context())

	var err error
	s.Store, err = pebblestore.Open(pebblestore.Config{Dir: "ledger", FS: vfs.NewMem(), Clock: s.Clock.Now, Log: log, CacheSize: 4 << 20})
	s.must(err)
	s.closes(s.Store.Close)
	t.Cleanup(s.inspect)
	s.Vault, err = vault.Open(ctx, vault.Config{URL: "sqlite://" + s.path("vault.db"), KeyFile: s.path("vault.json"), Clock: s.Clock.Now})
	s.must(err)
	s.closes(s.Vault.Close)
	public := s.blobs("public")
	s.Refused = s.blobs("refused")
	s.LogDir, s.LogKey = s.path("log"), s.path("log.key")
	s.Log, err = tlog.Open(tlog.Config{Dir: s.LogDir, KeyFile: s.LogKey, Origin: "test.example/log", Log: log})
	s.must(err)

	var topics []embedded.Topic
	for _, topic := range ledger.Topics(1) {
		topics = append(topics, embedded.Topic{Name: topic.Name, Partitions: topic.Partitions})
	}
	broker, err := embedded.Start(embedded.Config{Topics: topics, Log: log})
	s.must(err)
	t.Cleanup(broker.Close)
	s.Bus = bus.Config{Brokers: []string{broker.Addr()}, Partitions: 1, Log: log}
	publisher := bus.NewPublisher(s.Bus)
	s.closes(publisher.Close)
	s.Publisher = publisher
	// The ends of the commit path compare their clocks: those stay the machine's.
	s.client = commitpath.NewClient(commitpath.ClientConfig{
		Publisher: publisher, Bus: s.Bus, Clock: time.Now, Wait: config.Wait, Log: log,
	})
	s.Sessions = access.NewSessions(s.Vault.Sessions(), s.Clock.Now)
	s.Directory, err = access.New(access.Config{Store: s.Store, Sessions: s.Sessions, Clock: s.Clock.Now, Log: log})
	s.must(err)

	var all []*service.Service
	build := func(name string, p Part) {
		db := Database(t, s.path(fmt.Sprintf("read-%s%d.db", name, len(all))))
		deps := service.Deps{
			Store: s.Store, Committer: service.Noting(s.client.For(p.Context)), Vault: s.Vault, Blobs: public, DB: db,
			Access: s.Directory, Signed: s.client.Signed, Clock: s.Clock.Now, Log: log,
		}
		built, err := p.New(ctx, s, deps)
		s.must(err)
		s.Services[built.Name], s.Deps[built.Name] = built, deps
		all = append(all, built)
	}
	build("ledger", Part{New: newLedger})
	build("registry", Part{ledger.Registry, func(ctx context.Context, s *System, deps service.Deps) (*service.Service, error) {
		return registry.New(ctx, deps, registry.Config{People: s.Vault, Directory: s.Directory, Sessions: s.Sessions})
	}})
	for _, p := range config.Parts {
		build(p.Context, p)
	}

	s.Outcomes = s.loop("outcomes", s.client.Run)
	s.Ledger = s.loop("ledger", func(ctx context.Context) error {
		l, err := newLedger(ctx, s, s.Deps["ledger"])
		if err != nil {
			return err
		}
		l.Projections = nil // those of the one that answers fold, also while this is stopped
		return run(ctx, l)
	})
	s.loop("ledger's tables", readmodel.Group(all[0].Projections).Run).Start()
	s.loop("access", s.Directory.Run).Start()
	for _, part := range all[1:] {
		s.loop(part.Name, func(ctx context.Context) error { return run(ctx, part) }).Start()
	}
	s.Outcomes.Start()
	s.Ledger.Start()
	s.Await("ready for commits", func() bool { return s.Ready() == nil })
	s.server = httptest.NewServer(service.Join(all...))
	t.Cleanup(s.server.Close)
	return s
}

// Database opens an empty database of read models until the test ends: a SQLite
// file or, where YIMU_TEST_DATABASE names a PostgreSQL database, a schema there.
func Database(t testing.TB, path string) *readmodel.DB {
	t.Helper()
	address, schema := "sqlite://"+path, "test_"+strings.ToLower(rand.Text())
	if onPostgres() {
		address = os.Getenv("YIMU_TEST_DATABASE")
	}
	db, err := readmodel.Open(t.Context(), address, readmodel.Schema(schema))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if onPostgres() {
			err = db.Update(context.Background(), func(tx *readmodel.Tx) error {
				_, err := tx.Exec(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
				return err
			})
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func onPostgres() bool { return os.Getenv("YIMU_TEST_DATABASE") != "" }

func newLedger(ctx context.Context, s *System, deps service.Deps) (*service.Service, error) {
	deps.Clock = time.Now // outcomes tell it to clients
	return ledger.New(ctx, deps, ledger.Config{Bus: s.Bus, Publisher: s.Publisher, Others: true, Log: s.Log, Refused: s.Refused})
}

// run runs all of a service until ctx ends.
func run(ctx context.Context, part *service.Service) error {
	loops := slices.Clone(part.Run)
	for _, p := range part.Projections {
		loops = append(loops, p.Run)
	}
	errs := make([]error, len(loops))
	var all sync.WaitGroup
	for i, f := range loops {
		all.Go(func() {
			if err := f(ctx); ctx.Err() == nil {
				errs[i] = errors.Join(err, errors.New("it should run for ever"))
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Loop is a part of the system that a test may stop and start again.
type Loop struct {
	t    testing.TB
	name string
	run  func(context.Context) error
	stop context.CancelFunc
	done chan struct{}
}

func (s *System) loop(name string, run func(context.Context) error) *Loop {
	l := &Loop{t: s.t, name: name, run: run}
	s.t.Cleanup(l.Stop)
	return l
}

// Start starts it. It must not be running.
func (l *Loop) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	l.stop, l.done = cancel, done
	go func() {
		defer close(done)
		if err := l.run(ctx); err != nil && ctx.Err() == nil {
			l.t.Errorf("%s stopped: %v", l.name, err)
		}
	}()
}

// Stop stops it and waits until it has.
func (l *Loop) Stop() {
	if l.stop != nil {
		l.stop()
		<-l.done
		l.stop = nil
	}
}

// Ready says why commits cannot be handed over, or nil.
func (s *System) Ready() error { return s.client.Ready() }

// Await waits until something holds, for at most 20 seconds.
func (s *System) Await(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("waited too long: %s", what)
		}
	}
}

// CatchUp waits until every read model is where the ledger is.
func (s *System) CatchUp() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	head := s.Store.Head()
	s.must(s.Directory.WaitFor(ctx, head))
	for _, part := range s.Services {
		for _, p := range part.Projections {
			s.must(p.WaitFor(ctx, head))
		}
	}
}

// Rebuild empties the read models of a service and waits until they are replayed.
func (s *System) Rebuild(name string) {
	s.t.Helper()
	for _, p := range s.Services[name].Projections {
		s.must(p.Rebuild(s.t.Context()))
	}
	s.CatchUp()
}

// Rows returns all rows of a service's read models as text, to be compared.
func (s *System) Rows(name string) string {
	s.t.Helper()
	s.CatchUp()
	return s.rows(name)
}

func (s *System) rows(name string) string {
	s.t.Helper()
	db := s.Deps[name].DB
	tables, columns, row := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`, `SELECT name FROM pragma_table_info('%s')`, `json_array(%s)`
	if onPostgres() {
		tables, row = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`, `json_build_array(%s)`
		columns = `SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = '%s' ORDER BY ordinal_position`
	}
	var all strings.Builder
	for _, table := range slices.Sorted(slices.Values(s.column(db, tables))) {
		if table == "checkpoint" || table == "goose_db_version" {
			continue
		}
		columns := strings.Join(s.column(db, fmt.Sprintf(columns, table)), ", ")
		rows := s.column(db, "SELECT "+fmt.Sprintf(row, columns)+" FROM "+table)
		slices.Sort(rows)
		fmt.Fprintf(&all, "%s (%s)\n%s\n", table, columns, strings.Join(rows, "\n"))
	}
	return all.String()
}

func (s *System) column(db *readmodel.DB, query string) (values []string) {
	s.t.Helper()
	rows, err := db.Query(s.t.Context(), query)
	s.must(err)
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v string
		s.must(rows.Scan(&v))
		values = append(values, v)
	}
	s.must(rows.Err())
	return values
}

// Events returns what is recorded in the streams that start with one of the
// prefixes, or in all.
func (s *System) Events(prefixes ...string) (events []es.Recorded) {
	s.t.Helper()
	for r, err := range s.Store.ReadAll(s.t.Context(), 0, prefixes...) {
		s.must(err)
		events = append(events, r)
	}
	return events
}

// Types returns the stored names of the events of one stream.
func (s *System) Types(stream string) (types []string) {
	s.t.Helper()
	for r, err := range s.Store.Read(s.t.Context(), stream, 0) {
		s.must(err)
		types = append(types, r.Type)
	}
	return types
}

// Find returns where a text can be read: in which events, read models, files
// (vault, blobs) and log lines.
func (s *System) Find(text string) (places []string) {
	s.t.Helper()
	needle := []byte(text)
	for _, r := range s.Events() {
		if bytes.Contains(r.Data, needle) || bytes.Contains(r.Meta, needle) || strings.Contains(r.Stream, text) {
			places = append(places, fmt.Sprintf("event %s@%d %s", r.Stream, r.Revision, r.Type))
		}
	}
	s.must(filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		var content []byte
		if err == nil && !d.IsDir() {
			content, err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it came and went: what runs writes files beside their place, and moves them there
		}
		if bytes.Contains(content, needle) {
			places = append(places, "file "+filepath.Base(path))
		}
		return err
	}))
	for name := range s.Services {
		if strings.Contains(s.rows(name), text) {
			places = append(places, "tables of "+name)
		}
	}
	if strings.Contains(s.Logs(), text) {
		places = append(places, "log")
	}
	return places
}

// Logs returns all that was logged so far, a JSON document a line.
func (s *System) Logs() string { return s.logs.String() }

func (s *System) path(name string) string { return filepath.Join(s.dir, name) }

func (s *System) blobs(name string) *blobs.Bucket {
	s.t.Helper()
	b, err := blobs.Open(s.t.Context(), "file://"+filepath.ToSlash(s.path(name)))
	s.must(err)
	s.closes(b.Close)
	return b
}

// inspect decides all that was recorded again: what services let pass the rules
// allow, as a whole and, with its key, of each estate.
func (s *System) inspect() {
	if s.Unruly || s.t.Failed() {
		return
	}
	estates := []string{""}
	for e, err := range s.Store.ReadAll(context.Background(), 0, contract.EstateStream) {
		s.must(err)
		if id := strings.TrimPrefix(e.Stream, contract.EstateStream); e.Revision == 0 && len(estates) < 4 {
			estates = append(estates, id)
		}
	}
	for _, estate := range estates {
		var open inspect.Opener // nil where there is no key any more
		if estate != "" {
			if key, err := s.Vault.ReleaseKey(context.Background(), vault.EstateKey(estate)); err == nil {
				open, err = vault.NewOpener(key, vault.EstateKey(estate))
				s.must(err)
			}
		}
		s.replay(estate, open)
	}
}

func (s *System) replay(estate string, open inspect.Opener) {
	i, err := inspect.New(estate, open)
	if err != nil {
		s.t.Error(err)
		return
	}
	show := func(found []proof.Finding) {
		for _, f := range found {
			s.t.Errorf("the rules, again: %s", f)
		}
	}
	for e, err := range s.Store.ReadAll(context.Background(), 0, ledger.Prefixes()...) {
		if err != nil {
			s.t.Error(err)
			return
		}
		show(i.Take(e))
	}
	rest, _ := i.End()
	show(rest)
}

func (s *System) closes(f func() error) {
	s.t.Cleanup(func() {
		if err := f(); err != nil {
			s.t.Errorf("close: %v", err)
		}
	})
}

func (s *System) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// token issues a token of a role, by the way that needs no other token.
func (s *System) token(role contract.Role, estate string) string {
	s.t.Helper()
	token, at, err := registry.IssueToken(s.t.Context(), s.Deps["registry"], role, estate, "test", 365*24*time.Hour)
	s.must(err)
	s.told(at)
	return token
}

// told remembers up to where clients must be able to read.
func (s *System) told(at es.Position) {
	for {
		seen := s.seen.Load()
		if uint64(at) <= seen || s.seen.CompareAndSwap(seen, uint64(at)) {
			return
		}
	}
}

// Clock is the machine's, set forward by a test. Its zero value is not.
type Clock struct{ ahead atomic.Int64 }

// Now tells the time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance sets it forward.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// logs keeps what is logged.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) warnings() string {
	var out strings.Builder
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
			out.WriteString(line)
		}
	}
	return out.String()
}
