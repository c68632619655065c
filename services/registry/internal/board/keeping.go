package board

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

// keeping is what says whether a person may be erased: which titles they hold
// or held, and which meetings had them on the roll. It is a projection of its
// own, so that a release that brings it fills it by itself: on tables that were
// never filled everyone could be erased.
var keeping = readmodel.Projection{
	Name:     "keeping",
	Prefixes: []string{registry.UnitStream, votes.MeetingStream},
	Tables:   []string{"held", "unit_owners", "meeting"},
	Fold:     keep,
}

type holding struct{ person, unit string }

type heldRow struct {
	holding
	estate, code string
	since, until int64
}

var held = readmodel.Map[holding, heldRow]{
	Table:  readmodel.Table{Name: "held", Key: []string{"person", "unit"}, Columns: []string{"person", "unit", "estate", "code", "since", "until"}},
	Fields: func(r *heldRow) []any { return []any{&r.person, &r.unit, &r.estate, &r.code, &r.since, &r.until} },
	Key:    func(h holding) []any { return []any{h.person, h.unit} },
}

type ownersRow struct{ unit, people string }

var unitOwners = readmodel.Map[string, ownersRow]{
	Table:  readmodel.Table{Name: "unit_owners", Key: []string{"unit"}, Columns: []string{"unit", "people"}},
	Fields: func(r *ownersRow) []any { return []any{&r.unit, &r.people} },
}

type meetingRow struct {
	id, estate            string
	frozen, known, closed int64
}

var meetings = readmodel.Map[string, meetingRow]{
	Table:  readmodel.Table{Name: "meeting", Key: []string{"id"}, Columns: []string{"id", "estate", "frozen", "known", "closed"}},
	Fields: func(r *meetingRow) []any { return []any{&r.id, &r.estate, &r.frozen, &r.known, &r.closed} },
}

func keep(_ context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	held, owners, meetings := held.In(tx), unitOwners.In(tx), meetings.In(tx)
	state := func(r es.Recorded, estate, id, code string, titles []registry.Title) error {
		row := owners.Edit(id)
		var before []string
		if row.people != "" {
			if err := json.Unmarshal([]byte(row.people), &before); err != nil {
				return err
			}
		}
		now := make([]string, len(titles))
		for i, t := range titles {
			now[i] = t.Person
			h := held.Edit(holding{t.Person, id})
			if h.since == 0 {
				h.since = int64(r.Position)
			}
			h.holding, h.estate, h.code, h.until = holding{t.Person, id}, estate, code, 0
		}
		for _, person := range before {
			if !slices.Contains(now, person) {
				held.Edit(holding{person, id}).until = int64(r.Position)
			}
		}
		text, err := json.Marshal(now)
		row.unit, row.people = id, string(text)
		return err
	}
	for _, r := range events {
		if strings.HasPrefix(r.Stream, votes.MeetingStream) {
			event, err := votes.Codec.Decode(r.Type, r.Data)
			if err != nil {
				return err
			}
			switch e := event.(type) {
			case votes.MeetingDrafted:
				meetings.Put(e.Meeting, meetingRow{id: e.Meeting, estate: e.Estate})
			case votes.RollFrozen:
				meetings.Edit(e.Meeting).frozen = int64(r.Position)
			case votes.NoticePosted:
				meetings.Edit(e.Meeting).known = e.Closes.UnixMicro()
			case votes.VotingExtended:
				meetings.Edit(e.Meeting).known = e.Closes.UnixMicro()
			case votes.ResultPosted:
				meetings.Edit(e.Meeting).known = e.At.UnixMicro()
			case votes.MeetingCancelled:
				meetings.Edit(e.Meeting).known = 0 // it decides nothing
			case votes.VotingClosed:
				meetings.Edit(e.Meeting).closed = int64(r.Position)
			default: // they change nobody's place on a roll
			}
			continue
		}
		event, err := registry.Codec.Decode(r.Type, r.Data)
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case registry.TitlesStated:
			err = state(r, e.Estate, e.ID, e.Code, e.Titles)
		case registry.TitlesCorrected:
			err = state(r, e.Estate, e.ID, e.Code, e.Titles)
		default: // they change nobody's titles
		}
		if err != nil {
			return fmt.Errorf("board: %s: %w", r.Type, err)
		}
	}
	return nil
}

// Kept returns what keeps a person from being erased, as of all that is recorded
// now: the code of a unit they hold a title to, and the latest meeting that had
// them on its roll. Who bought a unit during the vote could vote for it, so they
// count as on the roll. A meeting without a notice may never be held, and one that
// is cancelled decides nothing: they keep nobody.
func (b *Board) Kept(ctx context.Context, person string) (unit string, roll register.Roll, err error) {
	if err := b.Keeping.CatchUp(ctx); err != nil {
		return "", roll, err
	}
	err = b.db.View(ctx, func(tx *readmodel.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT coalesce(min(code), '') FROM held WHERE person = ? AND until = 0`, person).Scan(&unit); err != nil {
			return err
		}
		var running, known int64
		if err := tx.QueryRow(ctx, `SELECT count(CASE WHEN m.closed = 0 THEN 1 END), coalesce(max(m.known), 0)
			FROM held h JOIN meeting m ON m.estate = h.estate
			WHERE h.person = ? AND m.frozen > 0 AND m.known > 0
			AND (h.until = 0 OR h.until > m.frozen) AND (m.closed = 0 OR h.since < m.closed)`, person).Scan(&running, &known); err != nil {
			return err
		}
		roll.Running = running > 0
		if known > 0 {
			roll.Known = time.UnixMicro(known)
		}
		return nil
	})
	return unit, roll, err
}
