package board

import (
	"context"
	"database/sql"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
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
	return find(ctx, b.db, `event = ? ORDER BY leaf LIMIT 1`, id.String())
}

// Leaf finds an event by its number in the log.
func (b *Board) Leaf(ctx context.Context, leaf uint64) (Place, bool, error) {
	return find(ctx, b.db, `leaf = ?`, int64(min(leaf, math.MaxInt64)))
}

// At finds the last event at or before a position.
func (b *Board) At(ctx context.Context, position es.Position) (Place, bool, error) {
	n, err := leavesUntil(ctx, b.db, "position", int64(min(position, math.MaxInt64)))
	if err != nil || n == 0 {
		return Place{}, false, err
	}
	return b.Leaf(ctx, uint64(n-1))
}

// Recorded finds the last event recorded at or before a moment.
func (b *Board) Recorded(ctx context.Context, moment time.Time) (p Place, ok bool, err error) {
	return p, ok, b.db.View(ctx, func(tx *readmodel.Tx) error {
		end, err := leavesUntil(ctx, tx, "recorded", moment.Add(drift).UnixMicro())
		if err == nil {
			p, ok, err = find(ctx, tx, `leaf < ? AND recorded <= ? ORDER BY leaf DESC LIMIT 1`, end, moment.UnixMicro())
		}
		return err
	})
}

// drift is how far two events may be recorded out of the order of their times: a
// store may have several clocks.
const drift = 2 * time.Second

// leavesUntil says how many events have no more than a value in a column that
// grows with the leaves. Of one that grows all but a little it says it about:
// whichever is before has no more than the value, but for that little, and
// whichever is after has no less.
func leavesUntil(ctx context.Context, q readmodel.Querier, column string, value int64) (n int64, err error) {
	err = q.QueryRow(ctx, `WITH RECURSIVE halved (low, high) AS (
		SELECT CAST(0 AS BIGINT), COALESCE(MAX(leaf) + 1, 0) FROM trail
		UNION ALL
		SELECT CASE WHEN `+column+` <= ? THEN leaf + 1 ELSE low END, CASE WHEN `+column+` <= ? THEN high ELSE leaf END
			FROM halved JOIN trail ON leaf = (low + high) / 2 WHERE low < high
	) SELECT low FROM halved WHERE low = high`, value, value).Scan(&n)
	return n, err
}

func find(ctx context.Context, q readmodel.Querier, where string, args ...any) (p Place, ok bool, err error) {
	var leaf, position, recorded int64
	var event string
	err = q.QueryRow(ctx, `SELECT leaf, event, position, recorded FROM trail WHERE `+where, args...).Scan(&leaf, &event, &position, &recorded)
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	if err == nil {
		p = Place{Leaf: uint64(leaf), Position: es.Position(position), Recorded: time.UnixMicro(recorded).UTC()}
		p.Event, err = uuid.Parse(event)
	}
	return p, err == nil, err
}
