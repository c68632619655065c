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
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
	"modernc.org/sqlite"

	"github.com/yimu-ledger/yimu/libs/es"
)

var (
	// ErrMoved says that a checkpoint stands elsewhere: another projector of
	// the same name moved it.
	ErrMoved = errors.New("readmodel: another projector is running")
	// ErrPoison says that an event cannot be folded; the projection stands
	// before it until its code, or the rows, are mended.
	ErrPoison = errors.New("readmodel: an event cannot be folded")

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
	// same events come again.
	//
	// Any error but a passing one of the database stops the projection.
	Fold func(ctx context.Context, tx *Tx, events []es.Recorded) error
}

const (
	gather   = 5000            // events folded in one transaction, about
	ahead    = 4               // batches read from the store while another is folded
	persist  = time.Second     // how often a checkpoint is written when no event is folded
	maxPause = 5 * time.Second // between attempts after passing errors

	// pace is the least time between two transactions while nobody waits for
	// the projection: one costs much the same for an event as for a hundred.
	pace = 20 * time.Millisecond
	many = 500 // events in a transaction that need no company
)

// Runner keeps one projection at the end of the store.
type Runner struct {
	db    *DB
	store es.Store
	log   *slog.Logger
	p     Projection

	reached progress

	folding sync.Mutex              // held while a transaction moves the checkpoint and says so
	restart context.CancelCauseFunc // of the running follow
}

// NewRunner returns a Runner; nothing happens before Run.
func NewRunner(db *DB, store es.Store, log *slog.Logger, p Projection) *Runner {
	return &Runner{db: db, store: store, log: log.With(slog.String("projection", p.Name)), p: p, reached: newProgress()}
}

// Name returns the projection's name.
func (r *Runner) Name() string { return r.p.Name }

// Position returns up to where events are in the tables.
func (r *Runner) Position() es.Position { return r.reached.position() }

// WaitFor returns once the projection is at or past a position. Its error is
// that of ctx, or the one that stopped the projection.
func (r *Runner) WaitFor(ctx context.Context, position es.Position) error {
	if err := r.reached.wait(ctx, position); err != nil {
		return fmt.Errorf("readmodel: wait for %s at %d: %w", r.p.Name, position, err)
	}
	return nil
}

// patience is how long CatchUp waits.
const patience = 10 * time.Second

// CatchUp waits, at most 10 s, until all that is recorded now has been folded.
// It is for what must not be decided on half of it, and reads the ledger from
// the projection's position on, so it is not for every query.
func (r *Runner) CatchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var last es.Position
	for e, err := range r.store.ReadAll(ctx, r.Position(), r.p.Prefixes...) {
		if err != nil {
			return fmt.Errorf("readmodel: catch up: %w", err)
		}
		last = e.Position
	}
	return r.WaitFor(ctx, last)
}

// Run follows the store from the checkpoint until ctx ends, then it returns
// nil. Passing errors, of the store or the database, are logged and tried again
// for ever. It returns an error that is ErrPoison where an event cannot be
// folded, and ErrMoved where another process runs the same projection; Run may
// be called again and starts from what is in the database.
func (r *Runner) Run(ctx context.Context) error {
	r.reached.start()
	err := r.run(ctx)
	if ctx.Err() != nil {
		err = nil
	}
	if err != nil {
		r.log.ErrorContext(ctx, "projection stopped", slog.Uint64("position", uint64(r.Position())), slog.Any("error", err))
	}
	r.reached.stop(err)
	return err
}

func (r *Runner) run(ctx context.Context) error {
	pause := time.Duration(0)
	for {
		from := r.Position()
		err := r.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errRebuilt):
			continue
		case errors.Is(err, ErrMoved), errors.Is(err, ErrPoison):
			return err
		case r.Position() > from:
			pause = 0
		}
		pause = min(max(50*time.Millisecond, 2*pause), maxPause)
		r.log.WarnContext(ctx, "projection interrupted",
			slog.Uint64("position", uint64(r.Position())), slog.Duration("again_in", pause), slog.Any("error", err))
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// follow folds what the store yields until an error. Reading goes on while a
// batch is folded.
func (r *Runner) follow(parent context.Context) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)

	r.folding.Lock()
	r.restart = cancel
	stored, err := r.db.Checkpoint(ctx, r.p.Name)
	if err == nil {
		r.reached.reset(stored)
	}
	r.folding.Unlock()
	if err != nil {
		return err
	}

	batches := make(chan es.Batch, ahead)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for batch, err := range r.store.Follow(ctx, stored, r.p.Prefixes...) {
			if err != nil {
				return fmt.Errorf("follow the store: %w", err)
			}
			select {
			case batches <- batch:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		return errors.New("follow the store: ended")
	})
	g.Go(func() error { return r.foldAll(ctx, stored, batches) })
	return g.Wait()
}

// foldAll folds batches until an error; stored is where the checkpoint stands.
func (r *Runner) foldAll(ctx context.Context, stored es.Position, batches <-chan es.Batch) error {
	written, events := time.Now(), 0
	for {
		if events > 0 && events < many {
			r.reached.idle(ctx, pace-time.Since(written))
		}
		var next es.Batch
		select {
		case next = <-batches:
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
		if len(next.Events) == 0 && (next.Through == stored || time.Since(written) < persist) {
			r.reached.advance(next.Through)
			continue
		}
		if err := r.foldOne(ctx, stored, next); err != nil {
			return err
		}
		stored, written, events = next.Through, time.Now(), len(next.Events)
	}
}

// foldOne writes the rows of a batch and its checkpoint. The checkpoint moves
// first: whoever else folds the same events waits for it, and then loses.
func (r *Runner) foldOne(ctx context.Context, stored es.Position, b es.Batch) error {
	r.folding.Lock()
	defer r.folding.Unlock()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	folded := false
	err := r.db.Update(ctx, func(tx *Tx) error {
		if err := tx.MoveCheckpoint(ctx, r.p.Name, stored, b.Through); err != nil {
			return err
		}
		if len(b.Events) == 0 {
			return nil
		}
		folded = true
		return r.fold(ctx, tx, b.Events)
	})
	switch {
	case err == nil:
		r.reached.advance(b.Through)
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrMoved), passing(err), !folded:
		return err
	}
	return fmt.Errorf("%w: %w", ErrPoison, r.blame(ctx, b.Events, err))
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
		// First the checkpoint: it keeps a projector in another process from adding rows meanwhile.
		if _, err := tx.Exec(ctx, `UPDATE checkpoint SET position = 0 WHERE name = ?`, r.p.Name); err != nil {
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

// passing says whether an error of the database may be gone at the next attempt.
func passing(err error) bool {
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
	return errors.As(err, &connect) || errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
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
