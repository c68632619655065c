package board

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

var (
	stepTable      = readmodel.Table{Name: "meeting_step", Key: []string{"meeting", "revision"}, Columns: []string{"meeting", "revision", "kind", "happened"}}
	objectionTable = readmodel.Table{Name: "objection", Key: []string{"id"}, Columns: []string{"id", "meeting", "raised", "state"}}
)

// step notes when something happened to a meeting.
func (f *folding) step(ctx context.Context, id string, r es.Recorded) error {
	meta, err := es.ParseMeta(r.Meta)
	if err != nil {
		return err
	}
	happened := meta.Happened
	if happened.IsZero() {
		happened = r.Created
	}
	return f.tx.Upsert(ctx, stepTable, [][]any{{id, int64(r.Revision), r.Type, happened.UnixMicro()}})
}

// objection keeps an objection to a result. There are few.
func (f *folding) objection(ctx context.Context, r es.Recorded) error {
	event, err := votes.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	var o meeting.Objection
	var id string
	switch e := event.(type) {
	case votes.ResultObjected:
		id = e.Objection
	case votes.ObjectionRead:
		return nil
	case votes.ResultObjectionAnswered:
		id = e.Objection
	default:
		return errors.New("no event of an objection")
	}
	raised := int64(r.Position)
	var state string
	err = f.tx.QueryRow(ctx, `SELECT raised, state FROM objection WHERE id = ?`, id).Scan(&raised, &state)
	switch ok, err := found(err); {
	case err != nil:
		return err
	case ok:
		if err := json.Unmarshal([]byte(state), &o); err != nil {
			return err
		}
	}
	o = meeting.EvolveObjection(o, event)
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	return f.tx.Upsert(ctx, objectionTable, [][]any{{id, o.Meeting, raised, string(text)}})
}

// Step is when something happened to a meeting.
type Step struct {
	Revision uint64
	Kind     string // of event
	Happened time.Time
}

// Steps returns what happened to a meeting, in recorded order.
func (b *Tables) Steps(ctx context.Context, id string) (list []Step, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var s Step
		var micro int64
		err := rows.Scan(&s.Revision, &s.Kind, &micro)
		s.Happened = time.UnixMicro(micro)
		list = append(list, s)
		return err
	}, `SELECT revision, kind, happened FROM meeting_step WHERE meeting = ? ORDER BY revision`, id)
	return list, err
}

// Objections returns the objections to a meeting's results, in recorded order.
func (b *Tables) Objections(ctx context.Context, id string) ([]meeting.Objection, error) {
	return objections(ctx, b.db, id)
}

// CurrentObjections is Objections as the ledger has them now.
func (b *Board) CurrentObjections(ctx context.Context, id string) (list []meeting.Objection, err error) {
	err = b.Current(ctx, func(tx *readmodel.Tx) error {
		list, err = objections(ctx, tx, id)
		return err
	})
	return list, err
}

func objections(ctx context.Context, q readmodel.Querier, id string) (list []meeting.Objection, err error) {
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var state string
		if err := rows.Scan(&state); err != nil {
			return err
		}
		var o meeting.Objection
		err := json.Unmarshal([]byte(state), &o)
		list = append(list, o)
		return err
	}, `SELECT state FROM objection WHERE meeting = ? ORDER BY raised`, id)
	return list, err
}

// Lapsed returns the motions of an estate on which too few took part, although
// voting was extended.
func (b *Tables) Lapsed(ctx context.Context, estate string) (list []meeting.Lapsed, err error) {
	return lapsed(ctx, b.db, estate)
}

// CurrentLapsed is Lapsed as the ledger has it now.
func (b *Board) CurrentLapsed(ctx context.Context, estate string) (list []meeting.Lapsed, err error) {
	err = b.Current(ctx, func(tx *readmodel.Tx) error {
		list, err = lapsed(ctx, tx, estate)
		return err
	})
	return list, err
}

func lapsed(ctx context.Context, q readmodel.Querier, estate string) (list []meeting.Lapsed, err error) {
	all, err := meetingsOf(ctx, q, estate)
	for _, m := range all {
		if len(m.Extended) == 0 {
			continue
		}
		results, err := resultsOf(ctx, q, m.Meeting)
		if err != nil {
			return nil, err
		}
		list = append(list, m.Lapsed(results)...)
	}
	return list, err
}

// CurrentTurnout returns, for every scope of a meeting, how many heads with which
// area there are, and how many of them have cast a ballot in time or handed one in,
// as the ledger has it now.
func (b *Board) CurrentTurnout(ctx context.Context, m meeting.Meeting) (all, voted []votes.ScopeTotal, err error) {
	all = slices.Clone(m.Roll.Scopes)
	for _, s := range all {
		voted = append(voted, votes.ScopeTotal{Scope: s.Scope})
	}
	err = b.Current(ctx, func(tx *readmodel.Tx) error {
		entries, err := weightsOf(ctx, tx, m.Meeting)
		if err != nil {
			return err
		}
		err = readmodel.Each(ctx, tx, func(rows *sql.Rows) error {
			var n int
			if err := rows.Scan(&n); err != nil || n < 1 || n > len(entries) {
				return err
			}
			meeting.Add(voted, entries[n-1])
			return nil
		}, `SELECT DISTINCT entry FROM ballot WHERE meeting = ? AND kind IN ('`+kindCast+`', '`+kindEnvelope+`') AND late = ? AND entry > 0`, m.Meeting, false)
		if err != nil {
			return err
		}
		onRoll, before, err := tradedVotes(ctx, tx, m, true)
		for i := range all {
			all[i], voted[i] = m.Heads(all[i], onRoll, before), m.Turnout(voted[i], onRoll, before)
		}
		return err
	})
	return all, voted, err
}
