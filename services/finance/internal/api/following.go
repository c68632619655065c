package api

import (
	"context"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

// Follow opens draws and sets budget lines because owners decided on them, until ctx
// ends. What it asks for has a key of its own, so it does no harm when several
// instances, or the same one after a restart, do it again.
func (a *API) Follow(ctx context.Context) error {
	return service.Reaction{
		Name:     board.Follow,
		Prefixes: []string{votes.MeetingStream},
		Handle:   a.follow,
		Refused:  reactions.Refuse(a.Deps, board.Follow),
	}.Run(ctx, a.Deps)
}

func (a *API) follow(ctx context.Context, r es.Recorded) error {
	e, ok, err := reactions.Decision(r)
	if err != nil || !ok {
		return err
	}
	req := service.ReactionRequest(ctx, a.Deps, board.Follow, r.ID.String())
	switch e.Effect.Kind {
	case votes.DrawMaintenance:
		_, err = a.draws.Do(ctx, DrawID(e.Meeting, e.Motion), req, DrawOf(e))
	case votes.BudgetCommonIncome:
		_, err = a.budgets.Do(ctx, budgetID(e.Estate, e.Effect.Year), req, LineOf(e))
	}
	return err
}

func decisionOf(e votes.DecisionEffective) finance.Decision {
	return finance.Decision{Meeting: e.Meeting, Motion: e.Motion, Title: e.Title, Result: e.Result, At: e.At}
}

// DrawOf returns the draw that a decision opens.
func DrawOf(e votes.DecisionEffective) books.OpenDraw {
	return books.OpenDraw{DrawOpened: finance.DrawOpened{
		Draw: DrawID(e.Meeting, e.Motion), Estate: e.Estate, Amount: e.Effect.Amount, Scope: e.Scope, Decision: decisionOf(e),
	}}
}

// LineOf returns the line of a budget that a decision sets.
func LineOf(e votes.DecisionEffective) books.DecideLine {
	return books.DecideLine{BudgetLineDecided: finance.BudgetLineDecided{
		Estate: e.Estate, Year: e.Effect.Year, Decision: decisionOf(e),
		Line: books.WholeYear(e.Effect.Year, e.Effect.Direction, e.Effect.Category, e.Effect.Amount),
	}}
}
