package reactions

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// effective is the stored name of the event that others follow.
const effective = "decision-effective.v1"

// Decision returns what owners decided, where an event says that it takes effect.
func Decision(r es.Recorded) (votes.DecisionEffective, bool, error) {
	if r.Type != effective {
		return votes.DecisionEffective{}, false, nil
	}
	event, err := votes.Codec.Decode(r.Type, r.Data)
	decision, ok := event.(votes.DecisionEffective)
	return decision, ok, err
}

// Followed is what became of a decision that a service follows.
type Followed struct {
	Event string `json:"event" doc:"Id of the event by which it took effect"`
	votes.DecisionEffective
	Done    bool     `json:"done" doc:"It was carried out"`
	Refused *Refusal `json:"refused,omitempty" doc:"Why it was not"`
}

// Refusal is why a rule refused what a decision leads to.
type Refusal struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

type row struct {
	id, estate, decision string
	done                 int64
	refused              string // JSON
}

var table = readmodel.Map[string, row]{
	Table:  readmodel.Table{Name: "decision", Key: []string{"id"}, Columns: []string{"id", "estate", "decision", "done", "refused"}},
	Fields: func(r *row) []any { return []any{&r.id, &r.estate, &r.decision, &r.done, &r.refused} },
}

// Decisions keeps, in the table decision of a service's read model, what became of
// the decisions that one of its reactions follows.
type Decisions struct {
	Reaction string
	Kinds    []string // of effects
}

// Table that it fills; a migration of the service makes it.
const Table = "decision"

// Prefixes of the streams that it reads besides the service's own.
func (d Decisions) Prefixes() []string {
	return []string{votes.MeetingStream, ledger.ReactionStream + d.Reaction}
}

// Folding is Decisions within one transaction.
type Folding struct {
	Decisions
	rows *readmodel.Rows[string, row]
}

// In begins a transaction.
func (d Decisions) In(tx *readmodel.Tx) Folding { return Folding{d, table.In(tx)} }

// Others takes an event of a stream that is not the service's own.
func (f Folding) Others(r es.Recorded) error {
	if r.Type == "reaction-refused.v1" {
		event, err := ledger.Codec.Decode(r.Type, r.Data)
		refused, ok := event.(ledger.ReactionRefused)
		if err != nil || !ok {
			return err
		}
		if decision, there := f.rows.Get(refused.Cause); there {
			text, err := json.Marshal(Refusal{refused.Code, refused.Detail})
			decision.refused = string(text)
			f.rows.Put(refused.Cause, decision)
			return err
		}
		return nil
	}
	decision, ok, err := Decision(r)
	if err != nil || !ok || !slices.Contains(f.Kinds, decision.Effect.Kind) {
		return err
	}
	text, err := json.Marshal(decision)
	f.rows.Put(r.ID.String(), row{id: r.ID.String(), estate: decision.Estate, decision: string(text)})
	return err
}

// Done takes an event of the service's own that a decision led to.
func (f Folding) Done(r es.Recorded) error {
	meta, err := es.ParseMeta(r.Meta)
	if err != nil {
		return err
	}
	if decision, there := f.rows.Get(meta.Cause); there {
		decision.done, decision.refused = 1, ""
		f.rows.Put(meta.Cause, decision)
	}
	return nil
}

// Of lists what became of an estate's decisions, the first first.
func (d Decisions) Of(ctx context.Context, q readmodel.Querier, estate string) ([]Followed, error) {
	list := []Followed{}
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var r row
		if err := rows.Scan(table.Fields(&r)...); err != nil {
			return err
		}
		f := Followed{Event: r.id, Done: r.done == 1}
		err := json.Unmarshal([]byte(r.decision), &f.DecisionEffective)
		if r.refused != "" {
			f.Refused = &Refusal{}
			err = errors.Join(err, json.Unmarshal([]byte(r.refused), f.Refused))
		}
		list = append(list, f)
		return err
	}, `SELECT id, estate, decision, done, refused FROM decision WHERE estate = ?`, estate)
	slices.SortFunc(list, func(a, b Followed) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Meeting, b.Meeting), cmp.Compare(a.Motion, b.Motion))
	})
	return list, err
}
