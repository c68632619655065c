package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/paper"
)

// Headings of the budget (预算), the vouchers (收支凭证) and the payments (物业费收款).
const (
	headYear      = "年度"
	headMonths    = "期间"
	headDirection = "方向"
	headCategory  = "科目"
	headPlanned   = "预算金额(元)"

	headDate         = "日期"
	headNumber       = "凭证号"
	headAmount       = "金额(元)"
	headText         = "摘要"
	headCounterparty = "对方"
	headAttachment   = "附件sha256"

	headReceived  = "收款日期"
	headReference = "流水号"
	headUnit      = "房屋编号"
	headPeriod    = "所属账期"
	headChannel   = "渠道"
)

var budgetColumns = []paper.Column{
	{Name: headYear, Required: true}, {Name: headMonths, Required: true}, {Name: headDirection, Required: true},
	{Name: headCategory, Required: true}, {Name: headPlanned, Required: true},
}

var voucherColumns = []paper.Column{
	{Name: headDate, Required: true}, {Name: headNumber, Required: true}, {Name: headDirection, Required: true},
	{Name: headCategory, Required: true}, {Name: headAmount, Required: true}, {Name: headText}, {Name: headCounterparty}, {Name: headAttachment},
}

// No cell of a payment is repeated: together they say who paid and who owes. One
// without unit or period is not wrong, it is held in suspense.
var paymentColumns = []paper.Column{
	{Name: headReceived, Required: true}, {Name: headReference, Required: true, Personal: true}, {Name: headUnit, Personal: true},
	{Name: headPeriod, Personal: true}, {Name: headAmount, Required: true, Personal: true}, {Name: headChannel},
}

// budgetID names the stream of a year's budget.
func budgetID(estate string, year int) string { return estate + "-" + strconv.Itoa(year) }

// importBudget states the budgets of the years that the paper names, each whole;
// so the paper is taken whole or not at all.
func (a *API) importBudget(ctx context.Context, in *paper.In, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, budgetColumns)
	if err != nil {
		return nil, err
	}
	budgets := map[int]*books.PostBudget{}
	var years []int
	rows := map[int]int{}
	for _, r := range sheet.Rows {
		year := int(r.Int(headYear, 1980, 9998))
		l := finance.Line{
			Direction: r.OneOf(headDirection, finance.Income, finance.Expenditure), Category: text(r, headCategory, 60), Planned: r.Fen(headPlanned),
		}
		l.From, l.To = r.Months(headMonths)
		if budgets[year] == nil {
			budgets[year] = &books.PostBudget{Estate: in.Estate, Year: year}
			years = append(years, year)
		}
		b := budgets[year]
		if r.OK() {
			budgetHeadings.refuse(r, books.CheckLine(year, l, b.Lines))
		}
		b.Lines = append(b.Lines, l)
		rows[year]++
	}
	report := paper.NewReport("budget", sheet)
	report.Check(sheet)
	if report.Whole() || in.DryRun {
		return report, nil
	}
	upload := uuid.NewString() // a budget may change and change back: its state says whether there is anything to do
	slices.Sort(years)
	p.Start(len(sheet.Rows))
	for _, year := range years {
		b := *budgets[year]
		id := budgetID(in.Estate, year)
		req := service.RowRequest(ctx, a.Deps, in.Estate, "budget", id+"/"+upload, b.Lines)
		req.Past = true
		req.Happened = earlier(req.Happened, units.Day(slices.MinFunc(b.Lines, func(a, b finance.Line) int {
			return cmp.Compare(a.From, b.From)
		}).From+"-01"))
		done, err := a.budgets.Do(ctx, id, req, b)
		if err != nil {
			return nil, err
		}
		for range rows[year] {
			paper.Tally(report, done)
			p.Step()
		}
	}
	return report, nil
}

// earlier returns the start of a day, or now where it lies ahead.
func earlier(now time.Time, d units.Day) time.Time {
	if t := d.Start(); !t.IsZero() && t.Before(now) {
		return t.UTC()
	}
	return now
}

// text reads a cell of at most so many characters.
func text(r *paper.Row, heading string, most int) string {
	s := r.Text(heading)
	if utf8.RuneCountInString(s) > most {
		r.Fail(heading, "cell-too-long", "a cell of this column has at most "+strconv.Itoa(most)+" characters")
	}
	return s
}

// headings says below which heading a refusal is shown, by its code; "" is for
// all others.
type headings map[string]string

var (
	budgetHeadings = headings{
		"": headCategory, books.ErrPlanned.Code: headPlanned, books.ErrLineMonths.Code: headMonths, books.ErrYear.Code: headYear,
	}
	voucherHeadings = headings{
		"": headNumber, books.ErrFuture.Code: headDate, books.ErrPeriodClosed.Code: headDate, books.ErrNoAmount.Code: headAmount,
		books.ErrNoCategory.Code: headCategory, books.ErrFedByPayments.Code: headCategory,
	}
	paymentHeadings = headings{
		books.ErrFuture.Code: headReceived, books.ErrPeriodClosed.Code: headReceived, books.ErrAmount.Code: headAmount,
		books.ErrPaymentChanged.Code: headAmount,
	}
)

// refuse notes a refusal on a row, and tells whether it was one; any other error
// is of the system. What passes by itself is no refusal.
func (h headings) refuse(r *paper.Row, err error) bool {
	p, ok := problem.From(err)
	if err == nil || !ok || errors.Is(err, es.ErrConflict) || p.Status >= http.StatusInternalServerError {
		return false
	}
	heading, ok := h[p.Code]
	if !ok {
		heading = h[""]
	}
	r.Fail(heading, p.Code, p.Detail)
	return true
}

// settle counts a row by what became of its command: recorded, there already, or
// refused. Other errors are returned. A row that was only checked is not counted.
func (h headings) settle(report *paper.Report, r *paper.Row, done es.Done[finance.Event], err error, dry bool) error {
	switch {
	case h.refuse(r, err):
		report.Reject(r)
	case err != nil:
		return err
	case !dry:
		paper.Tally(report, done)
	}
	return nil
}

// voucherRow is one row of the vouchers.
type voucherRow struct {
	row    *paper.Row
	posted finance.VoucherPosted
}

// importVouchers posts vouchers of the past. They are known by number: the same
// again is the same, another under the same number is an error of its row.
func (a *API) importVouchers(ctx context.Context, in *paper.In, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, voucherColumns)
	if err != nil {
		return nil, err
	}
	e, err := a.current(ctx, in.Estate, nil)
	if err != nil {
		return nil, err
	}
	list := make([]voucherRow, len(sheet.Rows))
	first := map[string]finance.VoucherPosted{}
	for i, r := range sheet.Rows {
		number := text(r, headNumber, 40)
		list[i] = voucherRow{r, finance.VoucherPosted{
			Voucher: voucherID(in.Estate, number), Estate: in.Estate, Number: number, Date: r.Day(headDate),
			Direction: r.OneOf(headDirection, finance.Income, finance.Expenditure), Category: text(r, headCategory, 60), Amount: r.Fen(headAmount),
			Text: text(r, headText, 500), Counterparty: text(r, headCounterparty, 100), Attachment: r.SHA256(headAttachment),
		}}
		if !in.DryRun || !r.OK() {
			continue // otherwise the ledger tells
		}
		if above, twice := first[number]; twice && above != list[i].posted {
			voucherHeadings.refuse(r, books.ErrVoucherChanged)
		} else {
			first[number] = list[i].posted
		}
	}
	report := paper.NewReport("vouchers", sheet)
	report.Check(sheet)
	list = slices.DeleteFunc(list, func(v voucherRow) bool { return !v.row.OK() })
	return report, paper.Run(ctx, paper.Group(list, func(v voucherRow) string { return v.posted.Number }), paper.Workers, p,
		func(ctx context.Context, v voucherRow) error {
			known, err := a.known(ctx, a.Board.Tables, e, v.posted.Voucher, v.posted.Number, "", v.posted.Date)
			if err != nil {
				return err
			}
			req := service.RowRequest(ctx, a.Deps, in.Estate, "vouchers", v.posted.Number, v.posted)
			req.Past, req.Happened = true, v.posted.Date.Start().UTC()
			cmd := books.PostVoucher{VoucherPosted: v.posted, Books: known}
			if in.DryRun {
				state, _, err := a.vouchers.Load(ctx, v.posted.Voucher)
				if err == nil {
					_, err = cmd.Decide(state)
				}
				return voucherHeadings.settle(report, v.row, es.Done[finance.Event]{}, err, true)
			}
			done, err := a.vouchers.Do(ctx, v.posted.Voucher, req, cmd)
			if errors.Is(err, es.ErrKeyReused) {
				err = books.ErrVoucherChanged
			}
			return voucherHeadings.settle(report, v.row, done, err, false)
		})
}

// readReceipt reads one row of the payments.
func readReceipt(r *paper.Row) receipt {
	return receipt{
		finance.Payment{
			Reference: text(r, headReference, 64), Unit: text(r, headUnit, 60), Period: r.Month(headPeriod), Amount: r.Fen(headAmount),
		},
		r.Day(headReceived), text(r, headChannel, 20),
	}
}

// importPayments records payments of the past and posts the totals of their
// days. They are known by reference, unit and period.
func (a *API) importPayments(ctx context.Context, in *paper.In, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, paymentColumns)
	if err != nil {
		return nil, err
	}
	t, err := a.openTill(ctx, in.Estate)
	if err != nil {
		return nil, err
	}
	first := map[board.Identity]units.Fen{}
	for _, row := range sheet.Rows {
		r := readReceipt(row)
		if !in.DryRun || !row.OK() {
			continue // otherwise the ledger tells
		}
		if above, twice := first[identity(r.Payment)]; twice && above != r.Amount {
			paymentHeadings.refuse(row, books.ErrPaymentChanged)
		} else {
			first[identity(r.Payment)] = r.Amount
		}
	}
	report := paper.NewReport("payments", sheet)
	// Read once more when its turn comes: of hundreds of thousands, what was read would take more room than the rows.
	groups := paper.Group(report.Check(sheet), func(row *paper.Row) string { return row.Text(headReference) })
	err = paper.Run(ctx, groups, paper.Workers, p, func(ctx context.Context, row *paper.Row) error {
		r := readReceipt(row)
		req, cmd, err := a.receive(ctx, t, r)
		if err != nil {
			return paymentHeadings.settle(report, row, es.Done[finance.Event]{}, err, in.DryRun)
		}
		if in.DryRun {
			return paymentHeadings.settle(report, row, es.Done[finance.Event]{}, a.check(ctx, r, cmd), true)
		}
		req.Past, req.Happened = true, r.Received.Start().UTC()
		done, err := a.take(ctx, t, r, req, cmd)
		return paymentHeadings.settle(report, row, done, err, false)
	})
	if err != nil || in.DryRun {
		return report, err
	}
	posted, err := a.post(ctx, in.Estate, firstDay, a.today(), a.anew(ctx, in.Estate))
	report.Position = max(report.Position, posted.Position)
	return report, err
}

// openTill loads what is needed to take many payments.
func (a *API) openTill(ctx context.Context, estate string) (t till, err error) {
	var byCode []books.Unit // a third of what a map of tens of thousands takes
	t.unit = func(code string) (books.Unit, bool) {
		i, ok := slices.BinarySearchFunc(byCode, code, func(u books.Unit, code string) int { return strings.Compare(u.Code, code) })
		if !ok {
			return books.Unit{}, false
		}
		return byCode[i], true
	}
	t.estate, err = a.current(ctx, estate, func(now *board.Tables, e books.Estate) error {
		if byCode, err = now.Units(ctx, estate); err != nil {
			return err
		}
		slices.SortFunc(byCode, func(a, b books.Unit) int { return strings.Compare(a.Code, b.Code) }) // the database may have another order
		t.attributed, err = now.Attributed(ctx, estate)
		return err
	})
	return t, err
}

// check says what would become of a receipt: nothing where it is there already.
func (a *API) check(ctx context.Context, r receipt, cmd books.ReceivePayment) error {
	state, _, err := a.references.Load(ctx, a.stream(cmd.Estate, r.Reference))
	if err != nil {
		return err
	}
	if there, ok := state[cmd.Payment]; ok && !there.Held {
		if first, err := a.open(ctx, cmd.Estate, there.Sealed); err != nil || first.Amount == r.Amount {
			return err
		}
	}
	_, err = cmd.Decide(state)
	return err
}
