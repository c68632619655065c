package readmodel

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
	"modernc.org/sqlite"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
)

var (
	// ErrMoved says that a checkpoint stands elsewhere: another process moved it.
	ErrMoved = errors.New("readmodel: another process moved the checkpoint")
	// ErrPoison says that an event cannot be folded; the projection stands
	// before it until its code, or the rows, are mended.
	ErrPoison = errors.New("readmodel: an event cannot be folded")
	// ErrPassing, wrapped by an error of Fold, says that the same may work later,
	// as it does of most errors of the database.
	ErrPassing = errors.New("readmodel: may work later")

	errRebuilt = errors.New("readmodel: rebuilt")
)

// Projection is a set of tables that is the fold of some streams.
type Projection struct {
	Name     string   // of its checkpoint, unique within the database
	Prefixes []string // of the streams followed; none means all
	Tables   []string // emptied by Rebuild, in this order
	// Fold folds a run of events, in their order, within one transaction. The
	// rows must not depend on how events are split into runs. It may keep
	// nothing outside the transaction, for that may be rolled back and the
	// same events come again, or be folded by another process.
	//
	// Any error but a passing one stops the projection.
	Fold func(ctx context.Context, tx *Tx, events []es.Recorded) error
	// Passed, where given, is told of all events, in their order, once they are
	// in the tables and before the position says so, whichever process folded
	// them: for what is kept in memory of the tables. Those in the tables when
	// Run first begins it is not told of, and after a rebuild of some again.
	Passed func(events []es.Recorded)
}

const (
	gather   = 5000            // events folded in one transaction, about
	ahead    = 4               // batches read from the store while another is folded
	look     = time.Second     // how often the checkpoint is looked at, or moved over what is not folded
	maxPause = 5 * time.Second // between attempts after passing errors

	// pace is the least time between two transactions while nobody waits for
	// the projection: one costs much the same for an event as for a hundred.
	pace = 20 * time.Millisecond
	many = 500 // events in a transaction that need no company

	// takeover is how long the checkpoint may stand before events until another
	// process folds them. To be too early costs a statement: the checkpoint's row
	// is locked while somebody folds.
	takeover = time.Second
	// brisk and relaxed are how long a process waits before it looks again whether
	// another has folded what it read, where somebody waits here or nobody does.
	brisk, relaxed = 10 * time.Millisecond, 100 * time.Millisecond
)

// Runner keeps one projection at the end of the store. Any number of processes
// may run the same one: the checkpoint decides who folds, see [Runner.Run].
type Runner struct {
	db    *DB
	store es.Store
	log   *slog.Logger
	p     Projection
	watch watch

	reached Progress
	needed  atomic.Uint64 // what the checkpoint is at or past where no event known to be folded is missing

	folding sync.Mutex              // held while a transaction moves the checkpoint and says so
	restart context.CancelCauseFunc // of the running follow
	begun   bool                    // whether there was a follow before
}

// NewRunner returns a Runner; nothing happens before Run.
func NewRunner(db *DB, store es.Store, log *slog.Logger, p Projection) *Runner {
	return &Runner{db: db, store: store, log: log.With(slog.String("projection", p.Name)), p: p}
}

// Name returns the projection's name.
func (r *Runner) Name() string { return r.p.Name }

// Position returns up to where events are in the tables.
func (r *Runner) Position() es.Position { return r.reached.Position() }

// WaitFor returns once the projection is at or past a position. Its error is
// that of ctx, or the one that stopped the projection.
func (r *Runner) WaitFor(ctx context.Context, position es.Position) error {
	if err := r.reached.WaitFor(ctx, position); err != nil {
		return fmt.Errorf("readmodel: wait for %s at %d: %w", r.p.Name, position, err)
	}
	return nil
}

// patience is how long CatchUp and Current wait.
const patience = 10 * time.Second

// CatchUp waits, at most 10 s, until all that is recorded now has been folded.
// It reads the ledger from the projection's position on, so it is not for every
// query.
func (r *Runner) CatchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := r.catchUp(ctx)
	return err
}

// catchUp returns what the checkpoint must be at or past.
func (r *Runner) catchUp(ctx context.Context) (es.Position, error) {
	last := es.Position(r.needed.Load())
	for e, err := range r.store.ReadAll(ctx, r.Position(), r.p.Prefixes...) {
		if err != nil {
			return 0, fmt.Errorf("readmodel: catch up: %w", err)
		}
		last = max(last, e.Position)
	}
	return last, r.WaitFor(ctx, last)
}

// Current calls f, once, with one state of the tables in which all that is
// recorded now is folded: for what must not be decided on half of it, whoever
// rebuilds the projection meanwhile. It waits for that like CatchUp.
func (r *Runner) Current(ctx context.Context, f func(*Tx) error) error {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		needed, err := r.catchUp(waiting)
		if err != nil {
			return err
		}
		behind := false
		err = r.db.View(ctx, func(tx *Tx) error {
			at, err := tx.Checkpoint(ctx, r.p.Name)
			if behind = at < needed; err != nil || behind {
				return err
			}
			return f(tx)
		})
		if !behind {
			return err
		}
		// Another process has emptied the tables, and this one will see it soon.
		if pause.For(waiting, brisk) != nil {
			return fmt.Errorf("readmodel: %s is being rebuilt: %w", r.p.Name, waiting.Err())
		}
	}
}

// Run follows the store until ctx ends, then it returns nil. Passing errors, of
// the store or the database, are logged and tried again for ever. It returns an
// error that is ErrPoison where an event cannot be folded; Run may be called
// again and starts from what is in the database.
//
// Where several processes run the same projection, one folds: the one that moves
// the checkpoint first. The others, whose move fails, stand by. They follow the
// store too, look how far the checkpoint is while events wait, and move their
// position after it; one of them folds once it has not moved for a second. So
// WaitFor works in each, and when the one that folds is killed it costs a second.
func (r *Runner) Run(ctx context.Context) error {
	r.watch = r.newWatch()
	defer r.watch.lag.Stop()
	r.reached.start()
	err := r.run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	if err != nil {
		r.log.ErrorContext(ctx, "projection stopped", slog.Uint64("position", uint64(r.Position())), slog.Any("error", err))
	}
	r.reached.Stop(err)
	return err
}

func (r *Runner) run(ctx context.Context) error {
	wait := time.Duration(0)
	for {
		from := r.Position()
		err := r.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errRebuilt):
			continue
		case errors.Is(err, ErrPoison):
			return err
		case r.Position() > from:
			wait = 0
		}
		r.watch.retry(ctx)
		wait = min(max(50*time.Millisecond, 2*wait), maxPause)
		r.log.WarnContext(ctx, "projection interrupted",
			slog.Uint64("position", uint64(r.Position())), slog.Duration("again_in", wait), slog.Any("error", err))
		_ = pause.For(ctx, wait)
	}
}

// follow takes what the store yields until an error. Reading goes on while a
// batch is folded.
func (r *Runner) follow(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)

	r.folding.Lock()
	r.restart = cancel
	stored, err := r.db.Checkpoint(ctx, r.p.Name)
	from := stored
	if err == nil {
		if r.begun { // Passed must hear of what another process folded since
			from = min(stored, r.Position())
		} else {
			r.needed.Store(uint64(stored))
		}
		r.begun = true
		r.reached.reset(from)
	}
	r.folding.Unlock()
	if err != nil {
		return err
	}

	batches := make(chan es.Batch, ahead)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for batch, err := range r.store.Follow(ctx, from, r.p.Prefixes...) {
			if err != nil {
				return fmt.Errorf("follow the store: %w", err)
			}
			r.watch.lag.Read(batch)
			select {
			case batches <- batch:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return errors.New("follow the store: ended")
	})
	g.Go(func() error { return (&following{Runner: r, stored: stored, folds: true}).run(ctx, batches) })
	return g.Wait()
}

// following is a follow under way.
type following struct {
	*Runner
	stored es.Position // where the checkpoint stands, as far as is known
	folds  bool        // whether this process folds, until it learns that another does
}

// run takes batches until an error.
func (f *following) run(ctx context.Context, batches <-chan es.Batch) error {
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		var next es.Batch
		select {
		case next = <-batches:
		case <-tick.C:
			if err := f.keep(ctx); err != nil {
				return err
			}
			continue
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	gathering:
		for len(next.Events) < gather {
			select {
			case b := <-batches:
				next = es.Batch{Events: append(slices.Clip(next.Events), b.Events...), Through: b.Through}
			default:
				break gathering
			}
		}
		begun, n := time.Now(), len(next.Events)
		if err := f.take(ctx, next); err != nil {
			return err
		}
		if f.folds && n > 0 && n < many {
			f.reached.idle(ctx, pace-time.Since(begun))
		}
	}
}

// take returns once a batch is in the tables, by this process or another, and
// the position says so.
func (f *following) take(ctx context.Context, b es.Batch) error {
	for moved := time.Now(); ; {
		folded := b.Events
		if i := slices.IndexFunc(b.Events, func(e es.Recorded) bool { return e.Position > f.stored }); i >= 0 {
			folded, b.Events = b.Events[:i], b.Events[i:]
		} else {
			return f.pass(ctx, folded, b.Through)
		}
		if err := f.pass(ctx, folded, f.stored); err != nil {
			return err
		}
		if f.folds {
			if err := f.foldOne(ctx, b); !errors.Is(err, ErrMoved) {
				return err
			}
			f.standBy(ctx)
		}
		before := f.stored
		if err := f.look(ctx); err != nil {
			return err
		}
		switch {
		case f.stored > before:
			moved = time.Now()
		case time.Since(moved) > takeover:
			f.log.InfoContext(ctx, "nobody folds what is recorded: this process does now", slog.Uint64("position", uint64(f.stored)))
			f.folds = true
		default:
			f.reached.idle(ctx, relaxed)
			_ = pause.For(ctx, brisk)
		}
	}
}

// keep moves the checkpoint over what had no events for this projection, so that
// it is no more than a second behind, and notices what other processes do to it.
func (f *following) keep(ctx context.Context) error {
	if f.folds && f.Position() > f.stored {
		if err := f.foldOne(ctx, es.Batch{Through: f.Position()}); !errors.Is(err, ErrMoved) {
			return err
		}
		f.standBy(ctx)
	}
	before := f.stored
	err := f.look(ctx)
	if f.folds && f.stored > before {
		f.standBy(ctx)
	}
	return err
}

func (f *following) standBy(ctx context.Context) {
	f.folds = false
	f.log.InfoContext(ctx, "another process folds: this one stands by", slog.Uint64("position", uint64(f.stored)))
}

// look reads where the checkpoint stands. One that has gone back was rebuilt.
func (f *following) look(ctx context.Context) error {
	at, err := f.db.Checkpoint(ctx, f.p.Name)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case at < f.stored:
		return errRebuilt
	}
	f.stored = at
	return nil
}

// pass moves the position over events that are in the tables. Rebuild may have
// set it back meanwhile.
func (f *following) pass(ctx context.Context, events []es.Recorded, to es.Position) error {
	f.folding.Lock()
	defer f.folding.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	f.passed(events, to)
	return nil
}

// passed is pass with the lock held.
func (f *following) passed(events []es.Recorded, to es.Position) {
	if len(events) > 0 {
		if f.p.Passed != nil {
			f.p.Passed(events)
		}
		f.needed.Store(max(f.needed.Load(), uint64(events[len(events)-1].Position)))
	}
	f.reached.Advance(to)
}

// foldOne writes the rows of a batch and its checkpoint. The checkpoint moves
// first: whoever else folds the same events waits for it, and then loses.
func (f *following) foldOne(ctx context.Context, b es.Batch) error {
	f.folding.Lock()
	defer f.folding.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var failed error // of the fold, not of moving the checkpoint or of committing
	start := time.Now()
	err := f.db.Update(ctx, func(tx *Tx) error {
		if err := tx.MoveCheckpoint(ctx, f.p.Name, f.stored, b.Through); err != nil {
			return err
		}
		if len(b.Events) == 0 {
			return nil
		}
		failed = f.fold(ctx, tx, b.Events)
		return failed
	})
	f.watch.folded(ctx, b.Events, start, err)
	switch {
	case err == nil:
		f.stored = b.Through
		f.passed(b.Events, b.Through)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case failed == nil, Passing(err):
		return err
	}
	return fmt.Errorf("%w: %w", ErrPoison, f.blame(ctx, b.Events, err))
}

func (r *Runner) fold(ctx context.Context, tx *Tx, events []es.Recorded) error {
	if err := r.p.Fold(ctx, tx, events); err != nil {
		return err
	}
	return tx.Flush()
}

var errBlamed = errors.New("found")

// blame names the event at which the fold of events fails with err, by folding
// them one by one in a transaction that is rolled back.
func (r *Runner) blame(ctx context.Context, events []es.Recorded, err error) error {
	blamed := err
	r.db.Update(ctx, func(tx *Tx) error { //nolint:errcheck // it is rolled back in any case
		for i, e := range events {
			if err := r.fold(ctx, tx, events[i:i+1]); err != nil {
				blamed = fmt.Errorf("%s@%d, %s at %d: %w", e.Stream, e.Revision, e.Type, e.Position, err)
				break
			}
		}
		return errBlamed
	})
	return blamed
}

// Rebuild empties the projection's tables and sets its checkpoint to 0. A Run
// under way, here or in another process, starts from the beginning.
func (r *Runner) Rebuild(ctx context.Context) error {
	r.folding.Lock()
	defer r.folding.Unlock()
	err := r.db.Update(ctx, func(tx *Tx) error {
		// First the checkpoint: it keeps another process from adding rows meanwhile.
		if _, err := tx.Exec(ctx, `INSERT INTO checkpoint (name, position) VALUES (?, 0) ON CONFLICT (name) DO UPDATE SET position = 0`, r.p.Name); err != nil {
			return err
		}
		for _, table := range r.p.Tables {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("readmodel: rebuild %s: %w", r.p.Name, err)
	}
	r.reached.reset(0)
	if r.restart != nil {
		r.restart(errRebuilt)
	}
	r.log.InfoContext(ctx, "projection emptied, replaying")
	return nil
}

// Passing says whether an error, of a database or of a fold, may be gone at the
// next attempt.
func Passing(err error) bool {
	if errors.Is(err, ErrPassing) {
		return true
	}
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		switch lite.Code() & 0xff {
		case 5, 6, 10, 13: // SQLITE_BUSY, LOCKED, IOERR, FULL
			return true
		}
		return false
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code[:min(2, len(pg.Code))] {
		case "08", "40", "53", "55", "57", "58": // connection, rollback, resources, state, operator, system
			return true
		}
		return false
	}
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Duplicate says whether a statement failed because a key, or something else
// that must be unique, was there already.
func Duplicate(err error) bool {
	var lite *sqlite.Error
	if errors.As(err, &lite) {
		return lite.Code() == 1555 || lite.Code() == 2067 // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
	}
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505" // unique_violation
}

// Group is several runners taken as one.
type Group []*Runner

// Run runs all until ctx ends or one of them stops with an error.
func (g Group) Run(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, r := range g {
		all.Go(func() error { return r.Run(ctx) })
	}
	return all.Wait()
}

// WaitFor returns once all are at or past a position.
func (g Group) WaitFor(ctx context.Context, position es.Position) error {
	for _, r := range g {
		if err := r.WaitFor(ctx, position); err != nil {
			return err
		}
	}
	return nil
}

// Position returns up to where events are in the tables of all.
func (g Group) Position() es.Position {
	var least es.Position
	for i, r := range g {
		if p := r.Position(); i == 0 || p < least {
			least = p
		}
	}
	return least
}

// Rebuild empties all.
func (g Group) Rebuild(ctx context.Context) error {
	for _, r := range g {
		if err := r.Rebuild(ctx); err != nil {
			return err
		}
	}
	return nil
}
