package api

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/estates"
)

// BudgetLine is one line of a budget.
type BudgetLine struct {
	Direction string      `json:"direction" enum:"收入,支出"`
	Category  string      `json:"category" minLength:"1" maxLength:"60"`
	Planned   units.Fen   `json:"planned_fen" minimum:"0" maximum:"1000000000000000"`
	From      units.Month `json:"from" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$"`
	To        units.Month `json:"to" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" doc:"Included"`
}

func (a *API) postBudget(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Year int `path:"year" minimum:"1980" maximum:"9998"`
	Body struct {
		Lines []BudgetLine `json:"lines" minItems:"1" maxItems:"300" doc:"All lines of the year"`
	}
}) (*service.Recorded, error) {
	if err := a.may(ctx, "budget.post", in.Estate); err != nil {
		return nil, err
	}
	if err := a.registry.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	post := books.PostBudget{Estate: in.Estate, Year: in.Year}
	for _, l := range in.Body.Lines {
		post.Lines = append(post.Lines, finance.Line(l))
	}
	id := budgetID(in.Estate, in.Year)
	done, err := a.budgets.Do(ctx, id, service.NewRequest(ctx, a.Deps, "post-budget", in.CommandIn, in.Body), post)
	return service.Respond(id, done, err)
}

func (a *API) stateOpening(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		On         units.Day `json:"on" format:"date" doc:"Day at whose start it was there"`
		Amount     units.Fen `json:"amount_fen" minimum:"-1000000000000000" maximum:"1000000000000000" doc:"Negative where there was a debt"`
		Attachment string    `json:"attachment_sha256,omitempty" pattern:"^([0-9a-f]{64})?$" doc:"SHA-256 of the proof"`
	}
}) (*service.Recorded, error) {
	if err := a.may(ctx, "opening.post", in.Estate); err != nil {
		return nil, err
	}
	e, err := a.current(ctx, in.Estate, nil)
	if err != nil {
		return nil, err
	}
	done, err := a.openings.Do(ctx, in.Estate, service.NewRequest(ctx, a.Deps, "state-opening", in.CommandIn, in.Body), books.StateOpening{
		OpeningBalanceStated: finance.OpeningBalanceStated{Estate: in.Estate, On: in.Body.On, Amount: in.Body.Amount, Attachment: in.Body.Attachment},
		Today:                a.today(), Closed: e.Closed[in.Body.On.Month()],
	})
	return service.Respond(in.Estate, done, err)
}

// voucherID names a voucher's stream by what makes it unique.
func voucherID(estate, number string) string {
	return uuid.NewSHA1(uuid.MustParse(estate), []byte("voucher/"+number)).String()
}

// known gathers what else is known when an entry is made. own is the id of the
// voucher that may have the number.
func (a *API) known(ctx context.Context, t *board.Tables, e books.Estate, own, number, corrects string, date units.Day) (books.Books, error) {
	b := books.Books{Today: a.today(), Closed: e.Closed[date.Month()], FeeCategory: e.FeeCategory}
	ids, err := t.Numbered(ctx, e.ID, voucherID(e.ID, number), number)
	if err != nil {
		return b, err
	}
	b.Taken = slices.ContainsFunc(ids, func(id string) bool { return id != own })
	if corrects != "" {
		ids, err = t.Numbered(ctx, e.ID, voucherID(e.ID, corrects), corrects)
		b.Corrected = len(ids) > 0
	}
	return b, err
}

func (a *API) postVoucher(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		Number       string    `json:"number" minLength:"1" maxLength:"40" doc:"凭证号, unique in the estate"`
		Date         units.Day `json:"date" format:"date"`
		Direction    string    `json:"direction" enum:"收入,支出"`
		Category     string    `json:"category" minLength:"1" maxLength:"60"`
		Amount       units.Fen `json:"amount_fen" minimum:"-1000000000000000" maximum:"1000000000000000" doc:"In its direction"`
		Text         string    `json:"text" maxLength:"500" doc:"What it was for; everyone can read it"`
		Counterparty string    `json:"counterparty,omitempty" maxLength:"100" doc:"Who paid or was paid; everyone can read it"`
		Attachment   string    `json:"attachment_sha256,omitempty" pattern:"^([0-9a-f]{64})?$"`
		Corrects     string    `json:"corrects,omitempty" maxLength:"40" doc:"Number of the entry this one replaces"`
	}
}) (*service.Recorded, error) {
	if err := a.may(ctx, "voucher.post", in.Estate); err != nil {
		return nil, err
	}
	b := in.Body
	id := voucherID(in.Estate, b.Number)
	var known books.Books
	_, err := a.current(ctx, in.Estate, func(t *board.Tables, e books.Estate) (err error) {
		known, err = a.known(ctx, t, e, id, b.Number, b.Corrects, b.Date)
		return err
	})
	if err != nil {
		return nil, err
	}
	done, err := a.vouchers.Do(ctx, id, service.NewRequest(ctx, a.Deps, "post-voucher", in.CommandIn, b), books.PostVoucher{
		VoucherPosted: finance.VoucherPosted{
			Voucher: id, Estate: in.Estate, Number: b.Number, Date: b.Date, Direction: b.Direction, Category: b.Category, Amount: b.Amount,
			Text: b.Text, Counterparty: b.Counterparty, Attachment: b.Attachment, Corrects: b.Corrects,
		},
		Books: known,
	})
	return service.Respond(id, done, err)
}

func (a *API) reverseVoucher(ctx context.Context, in *struct {
	service.CommandIn
	VoucherIn
	Body struct {
		Number string    `json:"number" minLength:"1" maxLength:"40" doc:"Of the reversal, unique in the estate"`
		Date   units.Day `json:"date" format:"date" doc:"Of the reversal, in a month that is not closed"`
		Reason string    `json:"reason" minLength:"1" maxLength:"500" doc:"Everyone can read it"`
	}
}) (*service.Recorded, error) {
	v, _, err := a.vouchers.Load(ctx, in.Voucher)
	if err != nil {
		return nil, err
	}
	if v.Posted == nil {
		return nil, books.ErrNoSuchVoucher
	}
	if err := a.may(ctx, "voucher.reverse", v.Posted.Estate); err != nil {
		return nil, err
	}
	var known books.Books
	_, err = a.current(ctx, v.Posted.Estate, func(t *board.Tables, e books.Estate) (err error) {
		known, err = a.known(ctx, t, e, in.Voucher+"/reversal", in.Body.Number, "", in.Body.Date)
		return err
	})
	if err != nil {
		return nil, err
	}
	done, err := a.vouchers.Do(ctx, in.Voucher, service.NewRequest(ctx, a.Deps, "reverse-voucher", in.CommandIn, in.Body), books.ReverseVoucher{
		Number: in.Body.Number, Date: in.Body.Date, Reason: in.Body.Reason, Books: known,
	})
	return service.Respond(in.Voucher, done, err)
}

func (a *API) closePeriod(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Period string `path:"period" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$"`
}) (*service.Recorded, error) {
	if err := a.may(ctx, "period.close", in.Estate); err != nil {
		return nil, err
	}
	if err := a.registry.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	closing := books.ClosePeriod{Estate: in.Estate, Period: units.Month(in.Period), Today: a.today()}
	if _, err := closing.Decide(books.Period{}); err != nil {
		return nil, err
	}
	// What came in the month is posted before nothing more may come.
	first, last := units.Day(in.Period+"-01"), units.Day(in.Period+"-31")
	if _, err := a.post(ctx, in.Estate, first, last, a.anew(ctx, in.Estate)); err != nil {
		return nil, err
	}
	id := in.Estate + "-" + in.Period
	done, err := a.periods.Do(ctx, id, service.NewRequest(ctx, a.Deps, "close-period", in.CommandIn, in.Period), closing)
	return service.Respond(id, done, err)
}
