package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

// registerDraws adds the routes of what owners decided about money.
func (a *API) registerDraws(api huma.API) {
	a.draws = repo(a.Deps, finance.DrawStream, books.EvolveDraw)
	huma.Register(api, service.Query("draws", "/estates/{estate}/draws", "What owners let be paid out of the maintenance fund, and what was paid"), a.listDraws)
	huma.Register(api, service.Query("money-decisions", "/estates/{estate}/draws/decisions", "What became of what owners decided about money"), a.decisions)
	huma.Register(api, service.Command("pay-draw", http.MethodPost, "/draws/{draw}/payments", "Record a payment out of the maintenance fund"), a.payDraw)
	huma.Register(api, service.Command("reverse-draw-payment", http.MethodPost, "/draws/{draw}/reversals", "Take a payment out of the maintenance fund back by an entry of its own"), a.reverseDraw)
}

// DrawID names the stream of a draw by the decision that opens it.
func DrawID(meeting, motion string) string {
	of, _ := uuid.Parse(meeting) // what votes records is an id; of none there is one draw
	return uuid.NewSHA1(of, []byte("draw/"+motion)).String()
}

// DrawsOut is what was let be paid out of an estate's maintenance fund.
type DrawsOut struct {
	Body struct {
		Items []board.Draw `json:"items"`
		lookback.Bound
	}
}

func (a *API) listDraws(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
}) (*DrawsOut, error) {
	view, e, err := a.then(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	out := &DrawsOut{}
	out.Body.Items, err = view.Tables.Draws(ctx, e.ID)
	out.Body.Bound = lookback.Bind(a.Deps, view.Position)
	return out, err
}

func (a *API) decisions(ctx context.Context, in *estates.In) (*service.Items[reactions.Followed], error) {
	if err := a.registry.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	return service.List(a.Board.Decisions(ctx, in.Estate))
}

// DrawIn names a draw.
type DrawIn struct {
	Draw string `path:"draw" format:"uuid"`
}

// draw returns a draw that the caller may do something with, and what decides its
// estate's money.
func (a *API) draw(ctx context.Context, id, action string) (books.Estate, error) {
	d, _, err := a.draws.Load(ctx, id)
	if err != nil {
		return books.Estate{}, err
	}
	if d.Opened.Draw == "" {
		return books.Estate{}, books.ErrNoSuchDraw
	}
	if err := a.may(ctx, action, d.Opened.Estate); err != nil {
		return books.Estate{}, err
	}
	return a.current(ctx, d.Opened.Estate, nil)
}

func (a *API) payDraw(ctx context.Context, in *struct {
	service.CommandIn
	DrawIn
	Body struct {
		Number       string    `json:"number" minLength:"1" maxLength:"40" doc:"凭证号, unique in the draw"`
		Date         units.Day `json:"date" format:"date"`
		Amount       units.Fen `json:"amount_fen" minimum:"1" maximum:"1000000000000000"`
		Text         string    `json:"text" maxLength:"500" doc:"What it was for; everyone can read it"`
		Counterparty string    `json:"counterparty,omitempty" maxLength:"100" doc:"Who was paid; everyone can read it"`
		Attachment   string    `json:"attachment_sha256,omitempty" pattern:"^([0-9a-f]{64})?$"`
	}
}) (*service.Recorded, error) {
	e, err := a.draw(ctx, in.Draw, "voucher.post")
	if err != nil {
		return nil, err
	}
	b := in.Body
	done, err := a.draws.Do(ctx, in.Draw, service.NewRequest(ctx, a.Deps, "pay-draw", in.CommandIn, b), books.PayDraw{
		DrawPaid: finance.DrawPaid{Draw: in.Draw, Number: b.Number, Date: b.Date, Amount: b.Amount, Text: b.Text, Counterparty: b.Counterparty, Attachment: b.Attachment},
		Today:    a.today(), Closed: e.Closed[b.Date.Month()],
	})
	return service.Respond(in.Draw, done, err)
}

func (a *API) reverseDraw(ctx context.Context, in *struct {
	service.CommandIn
	DrawIn
	Body struct {
		Number   string    `json:"number" minLength:"1" maxLength:"40" doc:"Of the reversal, unique in the draw"`
		Reverses string    `json:"reverses" minLength:"1" maxLength:"40" doc:"Number of the payment"`
		Date     units.Day `json:"date" format:"date" doc:"Of the reversal, in a month that is not closed"`
		Reason   string    `json:"reason" minLength:"1" maxLength:"500" doc:"Everyone can read it"`
	}
}) (*service.Recorded, error) {
	e, err := a.draw(ctx, in.Draw, "voucher.reverse")
	if err != nil {
		return nil, err
	}
	b := in.Body
	done, err := a.draws.Do(ctx, in.Draw, service.NewRequest(ctx, a.Deps, "reverse-draw-payment", in.CommandIn, b), books.ReverseDraw{
		DrawReversed: finance.DrawReversed{Draw: in.Draw, Number: b.Number, Reverses: b.Reverses, Date: b.Date, Reason: b.Reason},
		Today:        a.today(), Closed: e.Closed[b.Date.Month()],
	})
	return service.Respond(in.Draw, done, err)
}
