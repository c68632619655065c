package readmodel

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Tx is one transaction. Its errors stick: after the first one it commits
// nothing, whether the caller looked at it or not.
type Tx struct {
	db    *DB
	tx    *sql.Tx
	ctx   context.Context // of the whole transaction; [Rows] use it
	stmts map[string]*sql.Stmt
	rows  []interface{ flush() error }
	err   error
}

// fail keeps the first error and returns the one given.
func (tx *Tx) fail(err error) error {
	tx.keep(err)
	return err
}

func (tx *Tx) keep(err error) {
	if tx.err == nil {
		tx.err = err
	}
}

// Exec runs a statement.
func (tx *Tx) Exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	result, err := tx.tx.ExecContext(ctx, tx.db.rebind(query), args...)
	return result, tx.fail(err)
}

// Query reads rows, those that the transaction wrote included; they must be closed.
func (tx *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := tx.tx.QueryContext(ctx, tx.db.rebind(query), args...)
	return rows, tx.fail(err)
}

// QueryRow reads one row; its Scan returns sql.ErrNoRows where there is none.
func (tx *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	return tx.tx.QueryRowContext(ctx, tx.db.rebind(query), args...)
}

// ForUpdate ends a query of which one table's rows, as read, shall stay as they
// are until the end of the transaction. SQLite lets nobody else write meanwhile.
func (tx *Tx) ForUpdate(table string) string {
	if !tx.db.postgres {
		return ""
	}
	return " FOR UPDATE OF " + table
}

// Flush writes what [Rows] hold back, so that the transaction's own statements
// see it. The end of the transaction does it too.
func (tx *Tx) Flush() error {
	for _, r := range tx.rows {
		if tx.err == nil {
			tx.keep(r.flush())
		}
	}
	return tx.err
}

// Querier is a [DB] or a [Tx].
type Querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// Each calls f for every row of a query; f scans it. An error of f ends it.
func Each(ctx context.Context, q Querier, f func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// MoveCheckpoint moves the checkpoint of a name, made at 0 where there is none
// yet, and returns ErrMoved where it does not stand at from. Called first, it
// keeps all others who move it waiting until the transaction ends.
func (tx *Tx) MoveCheckpoint(ctx context.Context, name string, from, to es.Position) error {
	if from == 0 {
		if _, err := tx.Exec(ctx, `INSERT INTO checkpoint (name, position) VALUES (?, 0) ON CONFLICT DO NOTHING`, name); err != nil {
			return err
		}
	}
	result, err := tx.Exec(ctx, `UPDATE checkpoint SET position = ? WHERE name = ? AND position = ?`, int64(to), name, int64(from))
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return tx.fail(errors.Join(err, fmt.Errorf("%w: %s is not at %d", ErrMoved, name, from)))
	}
	return nil
}

// Table names a table and its columns for Upsert and [Rows].
type Table struct {
	Name    string
	Key     []string // its primary key
	Columns []string // all columns written, Key included
}

// rowsAtOnce is how many rows one statement writes. A network wants many (and
// PostgreSQL takes 65,535 parameters); to SQLite a call is nothing, while a
// statement of many rows keeps a journal of its own: 8 rows take twice the time
// of 8 statements.
func (tx *Tx) rowsAtOnce(t Table) int {
	if !tx.db.postgres {
		return 1
	}
	return max(1, min(128, 2000/len(t.Columns)))
}

// short returns the context for a statement of SQLite that touches a few rows:
// its driver starts a goroutine for each one that can be cancelled.
func (tx *Tx) short(ctx context.Context) context.Context { return context.WithoutCancel(ctx) }

// Upsert writes rows, each with the values of t.Columns in order, over those
// with the same key. Where rows repeat a key the last one is kept.
func (tx *Tx) Upsert(ctx context.Context, t Table, rows [][]any) error {
	key, err := t.keyIndex()
	if err != nil {
		return tx.fail(err)
	}
	for i, row := range rows {
		if len(row) != len(t.Columns) {
			return tx.fail(fmt.Errorf("readmodel: row %d for %s has %d values, want %d", i, t.Name, len(row), len(t.Columns)))
		}
	}
	if rows, err = lastOfEachKey(rows, key); err != nil {
		return tx.fail(fmt.Errorf("readmodel: %s: %w", t.Name, err))
	}
	return tx.upsert(ctx, t, rows)
}

// upsert writes rows of distinct keys.
func (tx *Tx) upsert(ctx context.Context, t Table, rows [][]any) error {
	return tx.inChunks(ctx, rows, tx.rowsAtOnce(t), t.insert)
}

// InsertMissing writes the rows whose key, and whatever else must be unique, is
// not there yet, and leaves the others alone.
func (tx *Tx) InsertMissing(ctx context.Context, t Table, rows [][]any) error {
	return tx.inChunks(ctx, rows, tx.rowsAtOnce(t), func(n int) string { return t.values(n) + " ON CONFLICT DO NOTHING" })
}

// delete removes the rows with the given keys.
func (tx *Tx) delete(ctx context.Context, t Table, keys [][]any) error {
	return tx.inChunks(ctx, keys, tx.rowsAtOnce(t), func(n int) string {
		return "DELETE FROM " + t.Name + " WHERE " + t.keyIn(n)
	})
}

// inChunks runs statements that take n rows of parameters at once: as many as may
// be, and of the rest half as many each time, so that there are few statements
// and, over a network, few round trips.
func (tx *Tx) inChunks(ctx context.Context, rows [][]any, most int, query func(n int) string) error {
	var args []any
	for n := most; len(rows) > 0; n /= 2 {
		if len(rows) < n {
			continue
		}
		statement := query(n)
		for ; len(rows) >= n; rows = rows[n:] {
			if err := ctx.Err(); err != nil {
				return tx.fail(err)
			}
			args = args[:0]
			for _, row := range rows[:n] {
				args = append(args, row...)
			}
			if err := tx.run(ctx, statement, args); err != nil {
				return tx.fail(err)
			}
		}
	}
	return nil
}

// run runs a statement that is likely to come again.
func (tx *Tx) run(ctx context.Context, query string, args []any) error {
	if tx.db.postgres { // its driver keeps statements prepared from one transaction to the next
		_, err := tx.tx.ExecContext(ctx, tx.db.rebind(query), args...)
		return err
	}
	stmt, err := tx.prepare(ctx, query)
	if err == nil {
		_, err = stmt.ExecContext(tx.short(ctx), args...)
	}
	return err
}

// readRow is run for a query of one row.
func (tx *Tx) readRow(ctx context.Context, query string, args []any, into []any) error {
	if tx.db.postgres {
		return tx.tx.QueryRowContext(ctx, tx.db.rebind(query), args...).Scan(into...)
	}
	stmt, err := tx.prepare(ctx, query)
	if err != nil {
		return err
	}
	return stmt.QueryRowContext(tx.short(ctx), args...).Scan(into...)
}

// prepare returns the prepared statement, the same one for the same text.
func (tx *Tx) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := tx.stmts[query]; ok {
		return stmt, nil
	}
	stmt, err := tx.tx.PrepareContext(ctx, query) // closed with the transaction
	if err != nil {
		return nil, err
	}
	if tx.stmts == nil {
		tx.stmts = map[string]*sql.Stmt{}
	}
	tx.stmts[query] = stmt
	return stmt, nil
}

func (t Table) values(n int) string {
	return "INSERT INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") VALUES " + list(n, "("+list(len(t.Columns), "?")+")")
}

// insert returns the statement that writes n rows.
func (t Table) insert(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s ON CONFLICT (%s) DO ", t.values(n), strings.Join(t.Key, ", "))
	sep := "UPDATE SET "
	for _, c := range t.Columns {
		if !slices.Contains(t.Key, c) {
			fmt.Fprintf(&b, "%s%s = excluded.%s", sep, c, c)
			sep = ", "
		}
	}
	if sep == "UPDATE SET " {
		b.WriteString("NOTHING") // a table of keys alone
	}
	return b.String()
}

// keyIn returns the condition that the key is one of n.
func (t Table) keyIn(n int) string {
	if len(t.Key) == 1 {
		return t.Key[0] + " IN (" + list(n, "?") + ")"
	}
	one := "(" + strings.Join(t.Key, " = ? AND ") + " = ?)"
	return strings.TrimSuffix(strings.Repeat(one+" OR ", n), " OR ")
}

// keyIndex returns where among the columns the key's are.
func (t Table) keyIndex() ([]int, error) {
	if len(t.Key) == 0 || len(t.Key) > len(key{}) {
		return nil, fmt.Errorf("readmodel: table %s has %d key columns, want 1 to %d", t.Name, len(t.Key), len(key{}))
	}
	index := make([]int, len(t.Key))
	for i, c := range t.Key {
		if index[i] = slices.Index(t.Columns, c); index[i] < 0 {
			return nil, fmt.Errorf("readmodel: key %s of table %s is not among its columns", c, t.Name)
		}
	}
	return index, nil
}

// list returns n times item, with commas.
func list(n int, item string) string {
	return strings.TrimSuffix(strings.Repeat(item+", ", n), ", ")
}

// key is a row's key as the database sees it, comparable.
type key [4]any

func keyOf(values []any) (k key, err error) {
	for i, v := range values {
		if v, err = driver.DefaultParameterConverter.ConvertValue(v); err != nil {
			return key{}, err
		}
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		k[i] = v
	}
	return k, nil
}

func lastOfEachKey(rows [][]any, index []int) ([][]any, error) {
	if len(rows) < 2 {
		return rows, nil
	}
	at := make(map[key]int, len(rows))
	values := make([]any, len(index))
	kept := make([][]any, 0, len(rows))
	for _, row := range rows {
		for i, c := range index {
			values[i] = row[c]
		}
		k, err := keyOf(values)
		if err != nil {
			return nil, err
		}
		if i, ok := at[k]; ok {
			kept[i] = row
			continue
		}
		at[k] = len(kept)
		kept = append(kept, row)
	}
	return kept, nil
}
