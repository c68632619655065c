// Package board is the ledger's read model: which leaf of the transparency log
// an event is, and where in the ledger.
package board

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Place is where an event is.
type Place struct {
	Leaf     uint64      `json:"leaf" doc:"its number in the transparency log, from 0"`
	Event    uuid.UUID   `json:"event" doc:"its id"`
	Position es.Position `json:"position" doc:"its place in the one order of all events"`
	Recorded time.Time   `json:"recorded" doc:"when the ledger recorded it"`
}

// Board finds places.
type Board struct {
	*readmodel.Runner
	db *readmodel.DB
}

// New prepares the table; Run of the board's Runner fills it. prefixes are the
// streams that the log is of: leaves are counted as the log counts them.
func New(ctx context.Context, db *readmodel.DB, store es.Store, log *slog.Logger, prefixes []string) (*Board, error) {
	return &Board{readmodel.NewRunner(db, store, log, readmodel.Projection{
		Name: "ledger", Prefixes: prefixes, Tables: []string{leaves.Name}, Fold: fold,
	}), db}, db.Migrate(ctx, migrations)
}

var leaves = readmodel.Table{Name: "leaf", Key: []string{"leaf"}, Columns: []string{"leaf", "event", "position", "recorded"}}

func fold(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	var next int64
	if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(leaf) + 1, 0) FROM leaf`).Scan(&next); err != nil {
		return err
	}
	rows := make([][]any, len(events))
	for i, e := range events {
		rows[i] = []any{next + int64(i), e.ID.String(), int64(e.Position), e.Created.UnixMicro()}
	}
	return tx.InsertMissing(ctx, leaves, rows)
}

// Event finds an event by its id. No method's error is that there is no such place.
func (b *Board) Event(ctx context.Context, id uuid.UUID) (Place, bool, error) {
	return b.find(ctx, `event = ? ORDER BY leaf LIMIT 1`, id.String())
}

// Leaf finds an event by its number in the log.
func (b *Board) Leaf(ctx context.Context, leaf uint64) (Place, bool, error) {
	return b.find(ctx, `leaf = ?`, int64(leaf))
}

// At finds the last event at or before a position.
func (b *Board) At(ctx context.Context, position es.Position) (Place, bool, error) {
	return b.find(ctx, `position <= ? ORDER BY position DESC LIMIT 1`, int64(position))
}

// Recorded finds the last event recorded at or before a moment.
func (b *Board) Recorded(ctx context.Context, moment time.Time) (Place, bool, error) {
	return b.find(ctx, `recorded <= ? ORDER BY recorded DESC, leaf DESC LIMIT 1`, moment.UnixMicro())
}

func (b *Board) find(ctx context.Context, where string, value any) (p Place, ok bool, err error) {
	var leaf, position, recorded int64
	var event string
	err = b.db.QueryRow(ctx, `SELECT leaf, event, position, recorded FROM leaf WHERE `+where, value).Scan(&leaf, &event, &position, &recorded)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	if err == nil {
		p = Place{Leaf: uint64(leaf), Position: es.Position(position), Recorded: time.UnixMicro(recorded).UTC()}
		p.Event, err = uuid.Parse(event)
	}
	return p, err == nil, err
}
