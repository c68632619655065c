package board

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Place is where an event is.
type Place struct {
	Leaf     uint64      `json:"leaf" doc:"its number in the transparency log, from 0"`
	Event    uuid.UUID   `json:"event" doc:"its id"`
	Position es.Position `json:"position" doc:"its place in the one order of all events"`
	Recorded time.Time   `json:"recorded" doc:"when the ledger recorded it"`
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
	err = b.db.QueryRow(ctx, `SELECT leaf, event, position, recorded FROM trail WHERE `+where, value).Scan(&leaf, &event, &position, &recorded)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	if err == nil {
		p = Place{Leaf: uint64(leaf), Position: es.Position(position), Recorded: time.UnixMicro(recorded).UTC()}
		p.Event, err = uuid.Parse(event)
	}
	return p, err == nil, err
}
