package board

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"slices"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

// Follow names the reaction to what owners decided, and its stream of refusals.
const Follow = "finance_follow"

// follows are the decisions that money follows.
var follows = reactions.Decisions{Reaction: Follow, Kinds: []string{votes.DrawMaintenance, votes.BudgetCommonIncome}}

// Draw is what owners let be paid out of the maintenance fund, and what was paid.
type Draw struct {
	ID       string           `json:"id"`
	Estate   string           `json:"estate"`
	Scope    string           `json:"scope" doc:"Whose fund: estate, building:5, stair:5-1, or units"`
	Amount   units.Fen        `json:"amount_fen" doc:"The most that is paid, all payments together"`
	Paid     units.Fen        `json:"paid_fen" doc:"Without what was taken back"`
	Left     units.Fen        `json:"left_fen" doc:"What may still be paid"`
	Decision finance.Decision `json:"decision" doc:"Of the owners' assembly, by which it was opened"`
	Payments []DrawPayment    `json:"payments"`
}

// DrawPayment is one payment out of a draw, and what took it back.
type DrawPayment struct {
	Number       string                `json:"number"`
	Date         units.Day             `json:"date"`
	Amount       units.Fen             `json:"amount_fen"`
	Text         string                `json:"text"`
	Counterparty string                `json:"counterparty"`
	Attachment   string                `json:"attachment_sha256,omitempty"`
	Reversed     *finance.DrawReversed `json:"reversed,omitempty" doc:"The entry that takes it back"`
}

// DrawOf returns a draw as everyone may see it.
func DrawOf(d books.Draw) Draw {
	out := Draw{
		ID: d.Opened.Draw, Estate: d.Opened.Estate, Scope: d.Opened.Scope, Amount: d.Opened.Amount, Paid: d.Sum(), Left: d.Left(),
		Decision: d.Opened.Decision, Payments: make([]DrawPayment, len(d.Paid)),
	}
	for n, p := range d.Paid {
		out.Payments[n] = DrawPayment{p.Number, p.Date, p.Amount, p.Text, p.Counterparty, p.Attachment, nil}
		if p.Reversed.Number != "" {
			out.Payments[n].Reversed = &p.Reversed
		}
	}
	return out
}

type drawRow struct{ id, estate, state string }

var drawTable = readmodel.Map[string, drawRow]{
	Table:  readmodel.Table{Name: "draw", Key: []string{"id"}, Columns: []string{"id", "estate", "state"}},
	Fields: func(r *drawRow) []any { return []any{&r.id, &r.estate, &r.state} },
}

// draw keeps a draw; there are few, with few payments.
func (f *folding) draw(id string, event finance.Event) error {
	row := f.draws.Edit(id)
	var d books.Draw
	if row.state != "" {
		if err := json.Unmarshal([]byte(row.state), &d); err != nil {
			return err
		}
	}
	d = books.EvolveDraw(d, event)
	text, err := json.Marshal(d)
	row.id, row.estate, row.state = id, d.Opened.Estate, string(text)
	return err
}

// Draws lists an estate's draws on the maintenance fund, the last first.
func (b *Tables) Draws(ctx context.Context, estate string) ([]Draw, error) {
	list := []Draw{}
	err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var state string
		if err := rows.Scan(&state); err != nil {
			return err
		}
		var d books.Draw
		err := json.Unmarshal([]byte(state), &d)
		list = append(list, DrawOf(d))
		return err
	}, `SELECT state FROM draw WHERE estate = ?`, estate)
	SortDraws(list)
	return list, err
}

// SortDraws puts the last first.
func SortDraws(list []Draw) {
	slices.SortFunc(list, func(a, b Draw) int { return cmp.Or(b.Decision.At.Compare(a.Decision.At), cmp.Compare(a.ID, b.ID)) })
}

// Decisions lists what became of what an estate's owners decided about money.
func (b *Tables) Decisions(ctx context.Context, estate string) ([]reactions.Followed, error) {
	return follows.Of(ctx, b.db, estate)
}
