// Package readmodel keeps what is projected from the ledger in SQL tables.
//
// One [DB] is a SQLite file or a PostgreSQL database; statements are written
// once, with `?` for parameters, and run on both. A [Runner] follows the store
// and lets a [Projection] fold events into rows; rows and checkpoint move in
// one transaction, so a table is at every moment the fold of the events up to
// its checkpoint. [Rows] makes a fold read like access to a map.
//
// For schemas that both databases understand use TEXT, BIGINT, BOOLEAN and
// BYTEA, and keep times as BIGINT microseconds.
//
// The package decodes no events and knows no service.
package readmodel

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
	"modernc.org/sqlite" // and its driver of database/sql

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
)

// DB is a SQLite file or a PostgreSQL database.
type DB struct {
	path     string // of the SQLite file
	read     *sql.DB
	write    *sql.DB // SQLite: one connection, so that writers queue in the process and not at the file's lock
	postgres bool
	rebound  sync.Map // statement with `?` → with `$1`
	tracer   trace.Tracer
	meter    metric.Meter
}

// Option changes how Open opens.
type Option func(*options)

type options struct {
	durable bool
	schema  string
	tracer  trace.Tracer
	meter   metric.Meter
}

// Durable is for what cannot be rebuilt. Every commit survives a power loss:
// without it SQLite may lose the latest transactions then, whole and in order,
// which a read model replays; a killed process loses nothing either way. And
// what is deleted is overwritten, see [DB.Scrub]. PostgreSQL is always durable.
func Durable() Option { return func(o *options) { o.durable = true } }

// Schema keeps all tables, checkpoints and the record of migrations included, in
// a schema of PostgreSQL, made where it is missing, so that several services
// share one database. Its name is of lower-case letters, digits and _. A SQLite
// file is its service's own, so there it changes nothing.
func Schema(name string) Option { return func(o *options) { o.schema = name } }

// Open opens "sqlite:///path/votes.db" (created with mode 0600 where missing,
// with its folder) or "postgres://…".
func Open(ctx context.Context, address string, opts ...Option) (*DB, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	scheme, rest, _ := strings.Cut(address, "://")
	var db *DB
	var err error
	switch scheme {
	case "sqlite":
		db, err = openSQLite(rest, o)
	case "postgres", "postgresql":
		db, err = openPostgres(address, o)
	default:
		err = errors.New("the address begins with neither sqlite:// nor postgres://") // it may hold a password
	}
	if err != nil {
		return nil, fmt.Errorf("readmodel: open: %w", err)
	}
	db.tracer, db.meter = o.tracer, o.meter
	// Of several processes that give a new file its log at once, SQLite tells all but
	// one that it is busy, and does not wait as it does for anything else.
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = db.createCheckpoints(ctx, o.schema)
	for locked(err) && waiting.Err() == nil {
		_ = pause.For(waiting, brisk)
		err = db.createCheckpoints(ctx, o.schema)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("readmodel: open: %w", err), db.Close())
	}
	return db, nil
}

// locked says whether SQLite found a file in use.
func locked(err error) bool {
	const busy = 5 // SQLITE_BUSY
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == busy
}

func openSQLite(path string, o options) (*DB, error) {
	if path == "" {
		return nil, errors.New("sqlite:// without a path")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) // SQLite would create it readable by all
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	synchronous := "NORMAL"
	erase := "0"
	if o.durable {
		synchronous, erase = "FULL", "1"
	}
	db, err := connectSQLite("file:"+(&url.URL{Path: path}).EscapedPath(), url.Values{
		// busy_timeout comes first: setting the journal mode takes the file's lock.
		"_pragma": {
			"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")", "secure_delete(" + erase + ")",
			"wal_autocheckpoint(4000)", "foreign_keys(1)", "temp_store(MEMORY)",
		},
	})
	if err == nil {
		db.path = path
		// With a connection go its pages; those that are wanted again are in the
		// machine's cache of the file.
		db.read.SetConnMaxIdleTime(time.Minute)
		db.write.SetConnMaxIdleTime(time.Minute)
	}
	return db, err
}

// memories numbers databases in memory.
var memories atomic.Int64

// openMemory opens a new SQLite database in memory, which is gone with Close.
// Who reads it and who writes it wait for each other.
func openMemory(ctx context.Context) (*DB, error) {
	db, err := connectSQLite("file:/past-"+strconv.FormatInt(memories.Add(1), 10), url.Values{
		"vfs": {"memdb"}, "_pragma": {"busy_timeout(10000)", "temp_store(MEMORY)"},
	})
	if err != nil {
		return nil, err
	}
	// The database lives as long as one connection to it. Nobody asks it for a
	// checkpoint, but migrations may forget one.
	if err := errors.Join(db.write.PingContext(ctx), db.createCheckpoints(ctx, "")); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// KiB of pages that a connection to SQLite keeps in memory, where each takes twice
// its size. Who writes comes back to pages of indexes; who reads finds
// them in the machine's own cache of the file.
const (
	writeCache = 4000
	readCache  = 2000
)

// connectSQLite connects one who writes and some who only read.
func connectSQLite(file string, q url.Values) (*DB, error) {
	pragmas := q["_pragma"]
	q.Set("_txlock", "immediate")
	q["_pragma"] = append(slices.Clip(pragmas), fmt.Sprintf("cache_size(-%d)", writeCache))
	write, err := sql.Open("sqlite", file+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	q.Set("_txlock", "deferred")
	q["_pragma"] = append(slices.Clip(pragmas), "query_only(1)", fmt.Sprintf("cache_size(-%d)", readCache))
	read, err := sql.Open("sqlite", file+"?"+q.Encode())
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return &DB{read: read, write: write}, nil
}

// connections to PostgreSQL a process has at most.
const connections = 16

var schemaName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// CheckPostgres says what is wrong with the address of a PostgreSQL database,
// the files it names included. It connects to nothing.
func CheckPostgres(address string) error {
	_, err := parsePostgres(address)
	return err
}

// parsePostgres reads an address. Its errors do not quote it, for the password.
func parsePostgres(address string) (*pgx.ConnConfig, error) {
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return nil, errors.New("it is not like postgres://user:password@host/database")
	}
	config, err := pgx.ParseConfig(address)
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, file
	}
	if err != nil {
		return nil, errors.New("the address of PostgreSQL cannot be parsed")
	}
	return config, nil
}

func openPostgres(address string, o options) (*DB, error) {
	config, err := parsePostgres(address)
	if err != nil {
		return nil, err
	}
	if o.schema != "" {
		if !schemaName.MatchString(o.schema) {
			return nil, fmt.Errorf("schema %q is not of lower-case letters, digits and _", o.schema)
		}
		config.RuntimeParams["search_path"] = quoted(o.schema) // of every connection, from its start
	}
	config.DescriptionCacheCapacity = 0 // statements are prepared instead, and as it is each connection makes room for 512
	keepAlive(config)
	pool := stdlib.OpenDB(*config)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxIdleTime(time.Minute) // PostgreSQL's are dear, and few for all services together
	return &DB{read: pool, write: pool, postgres: true}, nil
}

// keepAlive lets both ends learn in half a minute that the other one is gone
// without a word: locks of a machine that lost its power go to others then.
func keepAlive(config *pgx.ConnConfig) {
	const idle, interval, count = 10, 5, 3 // seconds, seconds, probes
	for name, value := range map[string]int{"tcp_keepalives_idle": idle, "tcp_keepalives_interval": interval, "tcp_keepalives_count": count} {
		if _, set := config.RuntimeParams[name]; !set {
			config.RuntimeParams[name] = strconv.Itoa(value)
		}
	}
	dialer := net.Dialer{
		Timeout:         cmp.Or(config.ConnectTimeout, 10*time.Second),
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: idle * time.Second, Interval: interval * time.Second, Count: count},
		Control: func(network, _ string, c syscall.RawConn) error {
			if !strings.HasPrefix(network, "tcp") {
				return nil
			}
			return unanswered(c, (idle+count*interval)*time.Second)
		},
	}
	config.DialFunc = dialer.DialContext
}

func quoted(schema string) string { return pgx.Identifier{schema}.Sanitize() }

// starting is the lock under which what every process needs is made: IF NOT
// EXISTS may fail where two processes start at once.
const starting = 7311938

// createCheckpoints creates the schema, if one is named, and the table of
// checkpoints where they are missing.
func (db *DB) createCheckpoints(ctx context.Context, schema string) error {
	return db.Update(ctx, func(tx *Tx) error {
		if db.postgres {
			if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(?)`, starting); err != nil {
				return err
			}
		}
		if db.postgres && schema != "" {
			// Who may not create schemas may use one that is there.
			var there bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = ?)`, schema).Scan(&there); err != nil {
				return err
			}
			if !there {
				if _, err := tx.Exec(ctx, `CREATE SCHEMA `+quoted(schema)); err != nil {
					return err
				}
			}
		}
		_, err := tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS checkpoint (name TEXT PRIMARY KEY, position BIGINT NOT NULL)`)
		return err
	})
}

// Close closes all connections.
func (db *DB) Close() error {
	if db.postgres {
		return db.read.Close()
	}
	return errors.Join(db.read.Close(), db.write.Close())
}

// Migrate applies the migrations in the folder migrations of fsys that were not
// applied yet: goose's *.sql files, e.g. migrations/00001_ballots.sql. Processes
// that start at once wait for each other.
func (db *DB) Migrate(ctx context.Context, fsys fs.FS) error {
	fsys, err := fs.Sub(fsys, "migrations")
	if err != nil {
		return fmt.Errorf("readmodel: migrate: %w", err)
	}
	dialect, opts := goose.DialectSQLite3, []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if db.postgres {
		dialect = goose.DialectPostgres
		opts = append(opts, goose.WithSessionLocker(migrating{}))
	} else if db.path != "" {
		lock := flock.New(db.path + ".migrate")
		if err := lock.Lock(); err != nil {
			return fmt.Errorf("readmodel: migrate: %w", err)
		}
		defer lock.Close() // the lock ends with the file
	}
	provider, err := goose.NewProvider(dialect, db.write, fsys, opts...)
	if err != nil {
		return fmt.Errorf("readmodel: migrate: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("readmodel: migrate: %w", err)
	}
	return nil
}

// migrating is the lock, one a schema, of who migrates. goose's own looks every
// five seconds whether it is free.
type migrating struct{}

const migratingKey = `hashtextextended('migrate/' || current_schema(), 0)`

func (migrating) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_lock(`+migratingKey+`)`)
	return err
}

func (migrating) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, `SELECT pg_advisory_unlock(`+migratingKey+`)`)
	return err
}

// Query reads rows; they must be closed.
func (db *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return db.read.QueryContext(ctx, db.rebind(query), args...)
}

// QueryRow reads one row; its Scan returns sql.ErrNoRows where there is none.
func (db *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return db.read.QueryRowContext(ctx, db.rebind(query), args...)
}

// View runs f on one consistent state of the database.
func (db *DB) View(ctx context.Context, f func(*Tx) error) error {
	opts := &sql.TxOptions{ReadOnly: true}
	if db.postgres {
		opts.Isolation = sql.LevelRepeatableRead
	}
	return db.transact(ctx, db.read, opts, f)
}

// Update runs f in one transaction and commits it unless f or one of the rows
// it changed reports an error. On PostgreSQL each statement sees what others have
// committed by then, and a row that was changed stays as it is until the end.
func (db *DB) Update(ctx context.Context, f func(*Tx) error) error {
	var opts *sql.TxOptions
	if db.postgres {
		opts = &sql.TxOptions{Isolation: sql.LevelReadCommitted} // whatever the server's default is
	}
	return db.transact(ctx, db.write, opts, f)
}

func (db *DB) transact(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, f func(*Tx) error) (err error) {
	sqlTx, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	tx := &Tx{db: db, tx: sqlTx, ctx: ctx}
	if err := f(tx); err != nil {
		if tx.err != nil && !errors.Is(err, tx.err) {
			return errors.Join(err, tx.err)
		}
		return err
	}
	if err := tx.Flush(); err != nil {
		return err
	}
	return sqlTx.Commit()
}

// Scrub makes what was deleted from tables before unreadable in the database's
// files. PostgreSQL writes the tables anew for that, and nobody else uses them
// meanwhile: a mere VACUUM leaves the bytes where the rows were. It does not reach
// copies: backups, and PostgreSQL's own log, keep what they have until they expire.
func (db *DB) Scrub(ctx context.Context, tables ...string) error {
	if db.postgres {
		_, err := db.write.ExecContext(ctx, "VACUUM FULL "+strings.Join(tables, ", "))
		return err
	}
	var busy, pages, moved int // the write-ahead log holds old pages until it is emptied
	if err := db.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("readmodel: the write-ahead log is in use and could not be emptied")
	}
	return nil
}

// Checkpoint returns the position kept under a name, 0 where there is none yet.
func (db *DB) Checkpoint(ctx context.Context, name string) (es.Position, error) {
	return checkpoint(ctx, db, name)
}

// Checkpoint returns the position kept under a name, of the same state as all
// else that the transaction reads, where it is one of View.
func (tx *Tx) Checkpoint(ctx context.Context, name string) (es.Position, error) {
	return checkpoint(ctx, tx, name)
}

func checkpoint(ctx context.Context, q Querier, name string) (es.Position, error) {
	var position int64
	err := q.QueryRow(ctx, `SELECT position FROM checkpoint WHERE name = ?`, name).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return es.Position(position), err
}

// rebind turns the `?` of a statement into PostgreSQL's `$1`, `$2`, …
// Those in quotes and comments stay.
func (db *DB) rebind(query string) string {
	if !db.postgres {
		return query
	}
	if s, ok := db.rebound.Load(query); ok {
		return s.(string)
	}
	s := rebind(query)
	db.rebound.Store(query, s)
	return s
}

func rebind(query string) string {
	var b strings.Builder
	n, end := 0, "" // end closes the quote or comment the text is in
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case end != "":
			if strings.HasPrefix(query[i:], end) {
				b.WriteString(end)
				i, end = i+len(end)-1, ""
				continue
			}
		case c == '\'' || c == '"':
			end = string(c)
		case strings.HasPrefix(query[i:], "--"):
			end = "\n"
		case strings.HasPrefix(query[i:], "/*"):
			end = "*/"
		case c == '?':
			n++
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
