package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es/esdb"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/portal"
	"github.com/yimu-ledger/yimu/services/votes/calendar"
)

// serveCmd runs one service of a cluster. Its flags are the manual: the tag
// `for` names the services that a setting is for, `needs` those that do not
// start without it ("service" stands for the six with an API), and `secret`
// says that it is not printed.
type serveCmd struct {
	Service string `arg:"" enum:"registry,contracts,workorders,finance,votes,ledger,portal,store" help:"What to serve: registry, contracts, workorders, finance, votes, ledger, portal or store."`
	Check   bool   `help:"Print the settings, say what is wrong with them, and start nothing."`

	Listen string `help:"Address to answer HTTP on: the API or the pages, /livez and /readyz." default:"127.0.0.1:8080" env:"YIMU_LISTEN" for:"service portal store"`
	metricsFlags
	logFlags
	Data string `help:"Directory. Of the store: its events. Of a service: the operator's socket, for yimu token and yimu rebuild; none, no socket." env:"YIMU_DATA" type:"path" for:"service store" needs:"store"`

	Kafka            []string      `group:"Kafka" help:"Brokers to begin with, host:port." env:"YIMU_KAFKA" placeholder:"HOST:PORT" for:"service" needs:"service"`
	KafkaTLS         bool          `group:"Kafka" name:"kafka-tls" help:"Speak TLS." env:"YIMU_KAFKA_TLS" for:"service"`
	KafkaCA          string        `group:"Kafka" name:"kafka-ca" help:"Certificates to trust, PEM; those of the machine where none are named." env:"YIMU_KAFKA_CA" type:"path" placeholder:"FILE" for:"service"`
	KafkaUser        string        `group:"Kafka" help:"User of SASL." env:"YIMU_KAFKA_USER" placeholder:"NAME" for:"service"`
	KafkaPassword    string        `group:"Kafka" help:"Password of SASL." env:"YIMU_KAFKA_PASSWORD" placeholder:"SECRET" for:"service" secret:""`
	KafkaMechanism   string        `group:"Kafka" help:"How SASL is spoken: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN." env:"YIMU_KAFKA_MECHANISM" default:"SCRAM-SHA-512" enum:"SCRAM-SHA-512,SCRAM-SHA-256,PLAIN" for:"service"`
	KafkaPartitions  int           `group:"Kafka" help:"Partitions of topics that are made. A topic that exists stays as it is." env:"YIMU_KAFKA_PARTITIONS" default:"12" for:"service"`
	KafkaReplication int           `group:"Kafka" help:"Copies of topics that are made; 0 leaves it to the brokers." env:"YIMU_KAFKA_REPLICATION" default:"0" for:"service"`
	KafkaRetention   time.Duration `group:"Kafka" help:"How long topics that are made keep a message." env:"YIMU_KAFKA_RETENTION" default:"72h" for:"service"`

	Eventstore string `group:"Event store" help:"Connection string, esdb://user:password@host:2113; of the ledger with credentials that may append." env:"YIMU_EVENTSTORE" placeholder:"ESDB://…" for:"service" needs:"service" secret:"url"`

	Database  string `group:"Databases and files" help:"PostgreSQL database of the read models; each service has a schema of its own name in it." env:"YIMU_DATABASE" placeholder:"POSTGRES://…" for:"service" needs:"service" secret:"url"`
	Vault     string `group:"Databases and files" help:"PostgreSQL database of the vault: personal data, keys, sessions." env:"YIMU_VAULT" placeholder:"POSTGRES://…" for:"service portal" needs:"service portal" secret:"url"`
	VaultKey  string `group:"Databases and files" help:"Key file of the vault, the same for all; made at the first start, if it is missing and the vault is empty." env:"YIMU_VAULT_KEY" type:"path" placeholder:"FILE" for:"service portal" needs:"service portal"`
	VaultLost bool   `group:"Databases and files" help:"Start on a vault that is not the ledger's, because that one is lost: what was sealed stays closed for good." env:"YIMU_VAULT_LOST" for:"service"`
	Blobs     string `group:"Databases and files" help:"Where public files are kept: file:///folder that all share, or s3://bucket?region=…" env:"YIMU_BLOBS" placeholder:"URL" for:"service" needs:"service" secret:"url"`
	Refused   string `group:"Databases and files" help:"Where the bytes of refused commits are kept, as --blobs." env:"YIMU_REFUSED" placeholder:"URL" for:"ledger" needs:"ledger" secret:"url"`

	Holidays string `group:"Databases and files" help:"File of years whose public holidays the program does not know yet, for the deadlines of meetings; see docs/operations.md." env:"YIMU_HOLIDAYS" type:"path" placeholder:"FILE" for:"votes"`

	Tlog      string `group:"Databases and files" help:"Directory of the transparency log, which all ledgers share: one of them holds its lock and appends, the others serve it." env:"YIMU_TLOG" type:"path" placeholder:"DIR" for:"ledger" needs:"ledger"`
	tlogFlags `group:"Databases and files"`

	Registry   []string `group:"Portal" help:"Where registry answers, http://host:port; several share the work." env:"YIMU_REGISTRY" placeholder:"URL" for:"portal" needs:"portal" secret:"url"`
	Contracts  []string `group:"Portal" help:"Where contracts answers." env:"YIMU_CONTRACTS" placeholder:"URL" for:"portal" needs:"portal" secret:"url"`
	Workorders []string `group:"Portal" help:"Where workorders answers." env:"YIMU_WORKORDERS" placeholder:"URL" for:"portal" needs:"portal" secret:"url"`
	Finance    []string `group:"Portal" help:"Where finance answers." env:"YIMU_FINANCE" placeholder:"URL" for:"portal" needs:"portal" secret:"url"`
	Votes      []string `group:"Portal" help:"Where votes answers." env:"YIMU_VOTES" placeholder:"URL" for:"portal" needs:"portal" secret:"url"`
	Ledger     []string `group:"Portal" help:"Where the ledger answers." env:"YIMU_LEDGER" placeholder:"URL" for:"portal" needs:"portal" secret:"url"`
	siteFlags  `group:"Portal"`

	storeFlags `group:"Store"`

	TestClock time.Duration `hidden:"" env:"YIMU_TEST_CLOCK" help:"For tests: how far the clock is ahead."`
}

// Help is shown by yimu serve --help.
func (serveCmd) Help() string {
	return `Where one machine is not enough, the services run apart: on Apache Kafka, on EventStoreDB (or the store that yimu up
has inside, as "yimu serve store"), on PostgreSQL. Each may run several times; two of anything do no harm, except of
the store. They start in any order and wait for each other: /readyz answers 200 once a service takes commands and has
caught up with the ledger as it was at the start.

Every flag may be given by its environment variable; settings for other services are ignored, so all may share one set.
"yimu serve votes --help" tells those of votes alone, "yimu serve votes --check" what is missing and what cannot work.
Telemetry is set by the standard variables of OpenTelemetry, such as OTEL_EXPORTER_OTLP_ENDPOINT.`
}

// withAPI are the services that "service" stands for in tags.
var withAPI = []string{"registry", "contracts", "workorders", "finance", "votes", "ledger"}

// served are all services.
var served = append(slices.Clone(withAPI), "portal", "store")

// concerns says whether a tag's list of services holds one.
func concerns(list, name string) bool {
	names := strings.Fields(list)
	return slices.Contains(names, name) || slices.Contains(names, "service") && slices.Contains(withAPI, name)
}

// What is secret in an address of whatever scheme.
var (
	password  = regexp.MustCompile(`(://[^/@:]*:).*@`)
	parameter = regexp.MustCompile(`(?i)([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&]*`)
)

// shown is an address without what is secret in it.
func shown(address string) string {
	if !strings.Contains(address, "://") && strings.ContainsAny(address, "=@") {
		return "(set, but no URL)" // it may have a password anywhere
	}
	return parameter.ReplaceAllString(password.ReplaceAllString(address, "${1}…@"), "${1}…")
}

// settings returns what a service is set to, a line each, without secrets, and
// which settings it lacks.
func (c *serveCmd) settings(flags []*kong.Flag) (lines, missing []string) {
	for _, f := range flags {
		if f.Hidden || !concerns(f.Tag.Get("for"), c.Service) {
			continue
		}
		value := strings.Trim(fmt.Sprint(f.Target.Interface()), "[]")
		switch {
		case f.Target.IsZero():
			if concerns(f.Tag.Get("needs"), c.Service) {
				missing = append(missing, fmt.Sprintf("  --%s (%s): %s", f.Name, strings.Join(f.Envs, ", "), f.Help))
			}
			continue
		case f.Tag.Get("secret") == "url":
			value = shown(value)
		case f.Tag.Has("secret"):
			value = "(set)"
		}
		lines = append(lines, fmt.Sprintf("  %-20s %s", f.Name, value))
	}
	return lines, missing
}

// Run serves until it is told to stop.
func (c *serveCmd) Run(ctx context.Context, command *kong.Context) error {
	lines, missing := c.settings(command.Flags())
	fmt.Fprintf(os.Stderr, "yimu %s serves %s with\n%s\n", version(), c.Service, strings.Join(lines, "\n"))
	if len(missing) > 0 {
		return fmt.Errorf("yimu serve %s does not start without\n%s", c.Service, strings.Join(missing, "\n"))
	}
	if err := c.check(); err != nil || c.Check {
		return err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return sentence(fmt.Errorf("cannot listen on %s: %w", c.Listen, err))
	}
	defer func() { _ = listener.Close() }()
	switch c.Service {
	case "portal":
		err = c.servePortal(ctx, listener)
	case "store":
		err = c.serveStore(ctx, listener)
	default:
		err = c.serveService(ctx, listener)
	}
	if ctx.Err() != nil && !errors.As(err, &brokenError{}) {
		err = nil // asked to stop
	}
	return sentence(err)
}

// check says what is wrong with settings that can be judged without the network.
func (c *serveCmd) check() error {
	named := func(flag string, err error) error {
		if err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
		return nil
	}
	switch c.Service {
	case "store":
		return c.storeFlags.check()
	case "portal":
		errs := []error{named("vault", readmodel.CheckPostgres(c.Vault))}
		for name, addresses := range c.services() {
			_, err := parseAll(addresses)
			errs = append(errs, named(name, err))
		}
		if c.BaseURL != "" {
			_, err := parseAll([]string{c.BaseURL})
			errs = append(errs, named("base-url", err))
		}
		return errors.Join(errs...)
	}
	_, err := c.bus(slog.Default())
	errs := []error{
		err,
		named("eventstore", esdb.Check(c.Eventstore)),
		named("database", readmodel.CheckPostgres(c.Database)),
		named("vault", readmodel.CheckPostgres(c.Vault)),
	}
	for _, broker := range c.Kafka {
		if host, port, err := net.SplitHostPort(broker); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("--kafka: %q is not like host:port", broker))
		}
	}
	if c.Service == "votes" {
		_, err := calendar.Load(c.Holidays)
		errs = append(errs, named("holidays", err))
	}
	return errors.Join(errs...)
}

func (c *serveCmd) services() map[string][]string {
	return map[string][]string{
		"registry": c.Registry, "contracts": c.Contracts, "workorders": c.Workorders, "finance": c.Finance, "votes": c.Votes, "ledger": c.Ledger,
	}
}

func parseAll(addresses []string) (all []*url.URL, err error) {
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("%q is not like http://host:port", shown(address))
		}
		all = append(all, u)
	}
	return all, nil
}

// bus is how this service meets Kafka.
func (c *serveCmd) bus(log *slog.Logger) (bus.Config, error) {
	b := bus.Config{
		Brokers: c.Kafka, ClientID: "yimu-" + c.Service, Log: log,
		Partitions: c.KafkaPartitions, Replication: c.KafkaReplication, Retention: c.KafkaRetention,
	}
	err := bus.Security{TLS: c.KafkaTLS, CA: c.KafkaCA, User: c.KafkaUser, Password: c.KafkaPassword, Mechanism: c.KafkaMechanism}.Apply(&b)
	return b, err
}

func (c *serveCmd) now() time.Time { return time.Now().Add(c.TestClock) }

// serveService runs one of the services with an API.
func (c *serveCmd) serveService(ctx context.Context, listener net.Listener) (err error) {
	log := c.logger()
	var open closers
	defer func() { err = errors.Join(err, open.Close()) }()
	watch, err := watch(ctx, c.Service, log, &open)
	if err != nil {
		return err
	}

	// Health answers while the rest is waited for.
	site := &gate{}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return service.Serve(ctx, listener, front(site.checks(commitPath, readModels), site))
	})
	g.Go(func() error { return c.metricsFlags.serve(ctx, watch) })
	g.Go(func() error {
		ground, err := c.ground(ctx, watch, log, &open)
		if err != nil {
			return err
		}
		s, err := build(ctx, ground, c.now, log, c.Service)
		if err != nil {
			return err
		}
		open.closes(s.Close)
		site.open.Store(&opened{s.handlers()[c.Service], s.checks()})
		if c.Data != "" {
			if err := makeDir(c.Data); err != nil {
				return fmt.Errorf("the data directory cannot be made: %w", err)
			}
			g.Go(func() error { return serveSocket(ctx, c.Data, s.operator()) })
		}
		return s.Run(ctx, func(ctx context.Context) error {
			log.InfoContext(ctx, "ready", slog.String("listen", listener.Addr().String()))
			return nil
		})
	})
	return g.Wait()
}

// ground connects to what the services of a cluster stand on.
func (c *serveCmd) ground(ctx context.Context, watch *telemetry.Telemetry, log *slog.Logger, open *closers) (g ground, err error) {
	g.watch, g.vaultLost, g.holidays, g.others = watch, c.VaultLost, c.Holidays, true
	if g.bus, err = c.bus(log); err != nil {
		return g, err
	}
	topics := ledger.Topics(c.KafkaPartitions)
	if err := insist(ctx, log, "Kafka", "kafka", strings.Join(c.Kafka, ","), func() error {
		return bus.EnsureTopics(ctx, g.bus, topics...)
	}); err != nil {
		return g, err
	}
	store, err := esdb.Open(esdb.Config{ConnectionString: c.Eventstore, Logger: log})
	if err != nil {
		return g, err
	}
	open.closes(store.Close)
	if err := insist(ctx, log, "the event store", "eventstore", shown(c.Eventstore), func() error {
		_, err := store.End(ctx)
		return err
	}); err != nil {
		return g, err
	}
	g.store, g.end = telemetry.Store(store, watch.Tracer, "eventstoredb", hostOf(c.Eventstore)), store.End
	if g.vault, err = c.openVault(ctx, log, open); err != nil {
		return g, err
	}
	if g.blobs, err = openBlobs(ctx, c.Blobs, open); err != nil {
		return g, err
	}
	if c.Service == "ledger" {
		if g.refused, err = openBlobs(ctx, c.Refused, open); err != nil {
			return g, err
		}
		if g.tlog, err = c.tlogFlags.open(c.Tlog, c.TlogKey, c.BaseURL, log); err != nil {
			return g, err
		}
	}
	g.database = func(ctx context.Context, service string) (db *readmodel.DB, err error) {
		err = insist(ctx, log, "the database of read models", "database", shown(c.Database), func() error {
			db, err = readmodel.Open(ctx, c.Database, readmodel.Schema(service), readmodel.Watched(watch.Tracer, watch.Meter))
			return err
		})
		return db, err
	}
	return g, nil
}

// hostOf names the server of a connection string, where it is one server.
func hostOf(connection string) string {
	u, err := url.Parse(connection)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func (c *serveCmd) openVault(ctx context.Context, log *slog.Logger, open *closers) (v *vault.Vault, err error) {
	err = insist(ctx, log, "the vault", "vault", shown(c.Vault), func() error {
		v, err = vault.Open(ctx, vault.Config{URL: c.Vault, KeyFile: c.VaultKey, Clock: c.now})
		return err
	})
	if err == nil {
		open.closes(v.Close)
	}
	return v, err
}

func openBlobs(ctx context.Context, address string, open *closers) (*blobs.Bucket, error) {
	b, err := blobs.Open(ctx, address)
	if err == nil {
		open.closes(b.Close)
	}
	return b, err
}

// insist tries what depends on others, which start in any order, for a while. It
// is set by a flag to an address, without secrets.
func insist(ctx context.Context, log *slog.Logger, what, flag, address string, try func() error) error {
	const (
		patience = 2 * time.Minute
		silence  = 6 * time.Second // of one attempt, before it is told
	)
	log = log.With(slog.String(flag, address))
	for start, wait := time.Now(), 100*time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		slow := time.AfterFunc(silence, func() { log.WarnContext(ctx, "waiting for "+what) })
		err := try()
		slow.Stop()
		if err == nil || ctx.Err() != nil {
			return err
		}
		if time.Since(start) > patience {
			return fmt.Errorf("%s cannot be used; see that it runs, and that --%s %s is right: %w", what, flag, address, err)
		}
		log.WarnContext(ctx, "waiting for "+what, slog.Any("error", err))
		if err := pause.For(ctx, wait); err != nil {
			return err
		}
	}
}

// servePortal runs the pages and the way to the services.
func (c *serveCmd) servePortal(ctx context.Context, listener net.Listener) (err error) {
	log := c.logger()
	var open closers
	defer func() { err = errors.Join(err, open.Close()) }()
	watch, err := watch(ctx, c.Service, log, &open)
	if err != nil {
		return err
	}
	site := &gate{}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return service.Serve(ctx, listener, front(site.checks(c.Service), site))
	})
	g.Go(func() error { return c.metricsFlags.serve(ctx, watch) })
	g.Go(func() error {
		sessions, err := c.openVault(ctx, log, &open)
		if err != nil {
			return err
		}
		pages := c.config()
		pages.Sessions, pages.Clock, pages.Log = sessions.Sessions(), c.now, log
		pages.Tracer, pages.Meter = watch.Tracer, watch.Meter
		pages.Services = map[string]http.Handler{}
		for name, addresses := range c.services() {
			urls, err := parseAll(addresses)
			if err != nil {
				return err
			}
			pages.Services[name] = portal.To(urls...)
		}
		handler, err := portal.New(pages)
		if err != nil {
			return err
		}
		site.open.Store(&opened{handler, nil})
		log.InfoContext(ctx, "ready", slog.String("listen", listener.Addr().String()))
		return nil
	})
	return g.Wait()
}

// gate answers for what is still being put together.
type gate struct {
	open atomic.Pointer[opened]
}

// opened is what is behind a gate.
type opened struct {
	http.Handler
	checks map[string]service.Check
}

var errStarting = errors.New("it is starting")

// checks say what behind the gate is not ready; while nothing is, all of it.
func (g *gate) checks(names ...string) map[string]service.Check {
	checks := map[string]service.Check{}
	for _, name := range names {
		checks[name] = func(ctx context.Context) error {
			behind := g.open.Load()
			if behind == nil {
				return errStarting
			}
			if check, ok := behind.checks[name]; ok {
				return check(ctx)
			}
			return nil
		}
	}
	return checks
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if behind := g.open.Load(); behind != nil {
		behind.ServeHTTP(w, r)
		return
	}
	problem.Write(w, starting)
}

// logFlags say what is logged.
type logFlags struct {
	Log       string `help:"Least level that is logged: debug, info, warn or error." default:"info" enum:"debug,info,warn,error" env:"YIMU_LOG" for:"service portal store"`
	LogFormat string `help:"Form of the log: text or json." default:"text" enum:"text,json" env:"YIMU_LOG_FORMAT" for:"service portal store"`
}

func (f logFlags) logger() *slog.Logger { return newLogger(os.Stderr, f.Log, f.LogFormat) }

func newLogger(w io.Writer, level, format string) *slog.Logger {
	options := &slog.HandlerOptions{}
	var least slog.Level
	if least.UnmarshalText([]byte(level)) == nil { // kong knows the names
		options.Level = least
	}
	if format == "json" {
		return slog.New(telemetry.LogHandler(slog.NewJSONHandler(w, options)))
	}
	return slog.New(telemetry.LogHandler(slog.NewTextHandler(w, options)))
}
