package readmodel

import (
	"context"
	"database/sql/driver"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/yimu-ledger/yimu/libs/pause"
)

// Alone runs f in one process at a time, of all that call it with the same name
// on the same schema; the others wait to take over. It is for loops whose work
// another would only do again. It ends with ctx, then it returns nil, or with f.
//
// It is a matter of economy: for moments two may run, where a connection breaks
// and the one that held it has not noticed. What f does must be right then too.
//
// On PostgreSQL the session of a connection of its own holds an advisory lock;
// the context of f ends when that connection breaks. Those who wait look once a
// second: one that waited in the server would keep old rows from being cleaned
// up. A SQLite file is its process's own, so there it just runs f.
func (db *DB) Alone(ctx context.Context, log *slog.Logger, name string, f func(context.Context) error) error {
	if !db.postgres {
		return f(ctx)
	}
	log = log.With(slog.String("loop", name))
	for ctx.Err() == nil {
		ended, err := db.turn(ctx, log, name, f)
		switch {
		case ctx.Err() != nil:
			return nil
		case ended:
			return err
		case err != nil:
			log.WarnContext(ctx, "loop interrupted", slog.Any("error", err))
		}
		_ = pause.For(ctx, look)
	}
	return nil
}

// turn runs f if no other process does, and tells whether f ended by itself.
func (db *DB) turn(ctx context.Context, log *slog.Logger, name string, f func(context.Context) error) (ended bool, err error) {
	conn, err := db.write.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	var mine bool
	if err := conn.QueryRowContext(ctx, `SELECT pg_try_advisory_lock(hashtextextended('alone/' || $1 || '/' || current_schema(), 0))`, name).Scan(&mine); err != nil || !mine {
		return false, err
	}
	log.InfoContext(ctx, "this process runs the loop now")

	held, release := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		conn.Raw(func(c any) error { //nolint:errcheck // the connection is not used again
			// Nobody notifies: what is waited for is that the connection breaks.
			var err error
			for err == nil {
				_, err = c.(*stdlib.Conn).Conn().WaitForNotification(held)
			}
			release(fmt.Errorf("readmodel: the connection that held the loop broke: %w", err))
			return driver.ErrBadConn // closes it, and with it goes the lock
		})
	}()
	err = f(held)
	broken, cause := held.Err() != nil && ctx.Err() == nil, context.Cause(held)
	release(nil)
	<-watched
	if broken {
		return false, cause
	}
	return true, err
}
