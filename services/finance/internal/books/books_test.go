package books_test

import (
	"encoding/json"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
)

func equal(a, b finance.Event) bool { return reflect.DeepEqual(a, b) }

func given(events ...finance.Event) []finance.Event { return events }

const today units.Day = "2022-09-15"

func line(direction, category string, planned units.Fen, from, to units.Month) finance.Line {
	return finance.Line{Direction: direction, Category: category, Planned: planned, From: from, To: to}
}

func TestBudget(t *testing.T) {
	one := line(finance.Income, "物业服务费", 100, "2022-07", "2022-12")
	other := line(finance.Expenditure, "设施维修", 50, "2022-07", "2022-12")
	posted := finance.BudgetPosted{Estate: "e", Year: 2022, Lines: []finance.Line{one}}
	post := func(lines ...finance.Line) books.PostBudget {
		return books.PostBudget{Estate: "e", Year: 2022, Lines: lines}
	}
	wrong := func(change func(*finance.Line)) books.PostBudget {
		l := one
		change(&l)
		return post(l)
	}
	estest.Run(t, books.EvolveBudget, equal, []estest.Case[books.Budget, finance.Event]{
		{Name: "the first statement posts it", When: post(one), Then: given(posted)},
		{Name: "the same again changes nothing", Given: given(posted), When: post(one)},
		{Name: "another statement revises it whole", Given: given(posted), When: post(one, other),
			Then: given(finance.BudgetRevised{Estate: "e", Year: 2022, Lines: []finance.Line{one, other}})},
		{Name: "what was revised may be revised back", Given: given(posted, finance.BudgetRevised{Estate: "e", Year: 2022, Lines: []finance.Line{other}}),
			When: post(one), Then: given(finance.BudgetRevised{Estate: "e", Year: 2022, Lines: []finance.Line{one}})},
		{Name: "a budget of nothing is none", When: post(), Err: books.ErrNoLines},
		{Name: "one category may have a line for each half of the year",
			When: post(line(finance.Income, "x", 1, "2022-01", "2022-06"), line(finance.Income, "x", 2, "2022-07", "2022-12")),
			Then: given(finance.BudgetPosted{Estate: "e", Year: 2022, Lines: []finance.Line{
				line(finance.Income, "x", 1, "2022-01", "2022-06"), line(finance.Income, "x", 2, "2022-07", "2022-12")}})},
		{Name: "but not two for one month", When: post(one, one), Err: books.ErrLineTwice},
		{Name: "a direction is one of two", When: wrong(func(l *finance.Line) { l.Direction = "out" }), Err: books.ErrDirection},
		{Name: "a line has a category", When: wrong(func(l *finance.Line) { l.Category = " " }), Err: books.ErrNoCategory},
		{Name: "nobody plans less than nothing", When: wrong(func(l *finance.Line) { l.Planned = -1 }), Err: books.ErrPlanned},
		{Name: "a line ends after it begins", When: wrong(func(l *finance.Line) { l.To = "2022-06" }), Err: books.ErrLineMonths},
		{Name: "a line begins in its year", When: wrong(func(l *finance.Line) { l.From = "2021-12" }), Err: books.ErrLineMonths},
		{Name: "a line ends within the next year", When: wrong(func(l *finance.Line) { l.To = "2024-01" }), Err: books.ErrLineMonths},
		{Name: "a month is a month", When: wrong(func(l *finance.Line) { l.From = "2022-7" }), Err: books.ErrLineMonths},
		{Name: "a year is a year", When: books.PostBudget{Estate: "e", Year: 22, Lines: []finance.Line{one}}, Err: books.ErrYear},
	})
}

func TestOpeningBalance(t *testing.T) {
	stated := finance.OpeningBalanceStated{Estate: "e", On: "2022-07-01", Amount: -500}
	state := func(change func(*books.StateOpening)) books.StateOpening {
		c := books.StateOpening{OpeningBalanceStated: stated, Today: today}
		change(&c)
		return c
	}
	estest.Run(t, books.EvolveOpening, equal, []estest.Case[books.Opening, finance.Event]{
		{Name: "it is stated, a debt too", When: state(func(*books.StateOpening) {}), Then: given(stated)},
		{Name: "the same again changes nothing, also once the month is closed", Given: given(stated), When: state(func(c *books.StateOpening) { c.Closed = true })},
		{Name: "another is refused", Given: given(stated), When: state(func(c *books.StateOpening) { c.Amount = 0 }), Err: books.ErrOpeningStated},
		{Name: "not in a closed month", When: state(func(c *books.StateOpening) { c.Closed = true }), Err: books.ErrPeriodClosed},
		{Name: "not in the future", When: state(func(c *books.StateOpening) { c.On = "2022-09-16" }), Err: books.ErrFuture},
		{Name: "not without a day", When: state(func(c *books.StateOpening) { c.On = "" }), Err: books.ErrDay},
	})
}

func TestVoucher(t *testing.T) {
	posted := finance.VoucherPosted{
		Voucher: "v", Estate: "e", Number: "PZ1", Date: "2022-07-02", Direction: finance.Expenditure, Category: "设施维修", Amount: 157000, Text: "水泵",
	}
	reversed := finance.VoucherReversed{Voucher: "v", Number: "PZ2", Date: "2022-08-01", Reason: "记错"}
	known := books.Books{Today: today, FeeCategory: "物业服务费"}
	post := func(change func(*books.PostVoucher)) books.PostVoucher {
		c := books.PostVoucher{VoucherPosted: posted, Books: known}
		change(&c)
		return c
	}
	reverse := func(change func(*books.ReverseVoucher)) books.ReverseVoucher {
		c := books.ReverseVoucher{Number: "PZ2", Date: "2022-08-01", Reason: "记错", Books: known}
		change(&c)
		return c
	}
	as := func(change func(*finance.VoucherPosted)) []finance.Event {
		e := posted
		change(&e)
		return given(e)
	}
	estest.Run(t, books.EvolveVoucher, equal, []estest.Case[books.Voucher, finance.Event]{
		{Name: "an entry is posted", When: post(func(*books.PostVoucher) {}), Then: given(posted)},
		{Name: "the same again changes nothing", Given: given(posted), When: post(func(*books.PostVoucher) {})},
		{Name: "the same again changes nothing once its month is closed", Given: given(posted), When: post(func(c *books.PostVoucher) { c.Books.Closed = true })},
		{Name: "other content under its number is refused", Given: given(posted), When: post(func(c *books.PostVoucher) { c.Amount++ }), Err: books.ErrVoucherChanged},
		{Name: "an entry in red is negative", When: post(func(c *books.PostVoucher) { c.Amount = -1 }), Then: as(func(e *finance.VoucherPosted) { e.Amount = -1 })},
		{Name: "an entry of nothing is none", When: post(func(c *books.PostVoucher) { c.Amount = 0 }), Err: books.ErrNoAmount},
		{Name: "an entry has a number", When: post(func(c *books.PostVoucher) { c.Number = " " }), Err: books.ErrNoNumber},
		{Name: "a number is one entry's", When: post(func(c *books.PostVoucher) { c.Books.Taken = true }), Err: books.ErrNumberTaken},
		{Name: "an entry has a day", When: post(func(c *books.PostVoucher) { c.Date = "2022-02-30" }), Err: books.ErrDay},
		{Name: "a closed month takes none", When: post(func(c *books.PostVoucher) { c.Books.Closed = true }), Err: books.ErrPeriodClosed},
		{Name: "nor does the future", When: post(func(c *books.PostVoucher) { c.Date = "2022-09-16" }), Err: books.ErrFuture},
		{Name: "a direction is one of two", When: post(func(c *books.PostVoucher) { c.Direction = "" }), Err: books.ErrDirection},
		{Name: "an entry has a category", When: post(func(c *books.PostVoucher) { c.Category = "" }), Err: books.ErrNoCategory},
		{Name: "income from fees comes from payments alone", When: post(func(c *books.PostVoucher) { c.Direction, c.Category = finance.Income, "物业服务费" }), Err: books.ErrFedByPayments},
		{Name: "what is paid to the provider for it is an entry", When: post(func(c *books.PostVoucher) { c.Category = "物业服务费" }),
			Then: as(func(e *finance.VoucherPosted) { e.Category = "物业服务费" })},
		{Name: "a correction names an entry", When: post(func(c *books.PostVoucher) { c.Corrects, c.Books.Corrected = "PZ0", true }),
			Then: as(func(e *finance.VoucherPosted) { e.Corrects = "PZ0" })},
		{Name: "that is there", When: post(func(c *books.PostVoucher) { c.Corrects = "PZ0" }), Err: books.ErrNoSuchEntry},

		{Name: "a reversal is an entry of its own", Given: given(posted), When: reverse(func(*books.ReverseVoucher) {}), Then: given(reversed)},
		{Name: "there must be something to reverse", When: reverse(func(*books.ReverseVoucher) {}), Err: books.ErrNoSuchVoucher},
		{Name: "the same reversal again changes nothing", Given: given(posted, reversed), When: reverse(func(*books.ReverseVoucher) {})},
		{Name: "nothing is reversed twice", Given: given(posted, reversed), When: reverse(func(c *books.ReverseVoucher) { c.Number = "PZ3" }), Err: books.ErrReversed},
		{Name: "a reversal has a number of its own", Given: given(posted), When: reverse(func(c *books.ReverseVoucher) { c.Number = "PZ1" }), Err: books.ErrNumberTaken},
		{Name: "that no other entry has", Given: given(posted), When: reverse(func(c *books.ReverseVoucher) { c.Books.Taken = true }), Err: books.ErrNumberTaken},
		{Name: "it stands in an open month", Given: given(posted), When: reverse(func(c *books.ReverseVoucher) { c.Books.Closed = true }), Err: books.ErrPeriodClosed},
		{Name: "not before what it reverses", Given: given(posted), When: reverse(func(c *books.ReverseVoucher) { c.Date = "2022-07-01" }), Err: books.ErrReversalEarly},
		{Name: "and says why", Given: given(posted), When: reverse(func(c *books.ReverseVoucher) { c.Reason = "" }), Err: books.ErrNoReason},
		{Name: "a reversed entry is not posted again", Given: given(posted, reversed), When: post(func(*books.PostVoucher) {})},
	})
}

func TestPayment(t *testing.T) {
	received := finance.PaymentReceived{Payment: "p", Estate: "e", Received: "2022-07-21", Channel: "微信", Sealed: "s"}
	held := received
	held.Suspense = true
	attributed := finance.PaymentAttributed{Payment: "p", Estate: "e", On: today, Sealed: "t"}
	refund := finance.PaymentRefunded{Payment: "p", Estate: "e", On: today, Reason: finance.Overpayment, Sealed: "r"}
	receive := func(change func(*books.ReceivePayment)) books.ReceivePayment {
		c := books.ReceivePayment{
			Payment: "p", Estate: "e", Received: "2022-07-21", Channel: "微信", Reference: "PAY1", Amount: 8091, Known: true, Today: today, Sealed: "s",
		}
		change(&c)
		return c
	}
	attribute := func(change func(*books.AttributePayment)) books.AttributePayment {
		c := books.AttributePayment{
			Payment: "p", As: "q", On: today, Known: true, Seen: books.Payment{Estate: "e", Held: true, Sealed: "s"}, Left: 8091, Sealed: "t",
		}
		change(&c)
		return c
	}
	payBack := func(change func(*books.RefundPayment)) books.RefundPayment {
		c := books.RefundPayment{
			Payment: "p", On: today, Amount: 91, Left: 8091, Seen: books.Payment{Estate: "e", Sealed: "s"}, Reason: finance.Overpayment, Sealed: "r",
		}
		change(&c)
		return c
	}
	as := func(change func(*finance.PaymentReceived)) []finance.Event {
		e := received
		change(&e)
		return given(e)
	}
	second := received
	second.Payment = "q"
	estest.Run(t, books.EvolveReference, equal, []estest.Case[books.Reference, finance.Event]{
		{Name: "a payment is received", When: receive(func(*books.ReceivePayment) {}), Then: given(received)},
		{Name: "one for nobody knows what is held in suspense", When: receive(func(c *books.ReceivePayment) { c.Known = false }), Then: given(held)},
		{Name: "another under its reference is its own, and flagged", Given: given(received), When: receive(func(c *books.ReceivePayment) { c.Payment = "q" }),
			Then: as(func(e *finance.PaymentReceived) { e.Payment, e.Shared = "q", true })},
		{Name: "the same with another request is another amount", Given: given(received), When: receive(func(*books.ReceivePayment) {}), Err: books.ErrPaymentChanged},
		{Name: "a payment is more than nothing", When: receive(func(c *books.ReceivePayment) { c.Amount = 0 }), Err: books.ErrAmount},
		{Name: "what is paid back is no payment", When: receive(func(c *books.ReceivePayment) { c.Amount = -1 }), Err: books.ErrAmount},
		{Name: "it has a reference", When: receive(func(c *books.ReceivePayment) { c.Reference = "" }), Err: books.ErrNoReference},
		{Name: "it came on a day", When: receive(func(c *books.ReceivePayment) { c.Received = "" }), Err: books.ErrDay},
		{Name: "that is not in the future", When: receive(func(c *books.ReceivePayment) { c.Received = "2022-10-01" }), Err: books.ErrFuture},
		{Name: "in a month that is not closed", When: receive(func(c *books.ReceivePayment) { c.Closed = true }), Err: books.ErrPeriodClosed},

		{Name: "what is held is attributed", Given: given(held), When: attribute(func(*books.AttributePayment) {}), Then: given(attributed)},
		{Name: "only what is held", Given: given(received), When: attribute(func(*books.AttributePayment) {}), Err: books.ErrNotHeld},
		{Name: "and once", Given: given(held, attributed), When: attribute(func(*books.AttributePayment) {}), Err: books.ErrNotHeld},
		{Name: "to what is billed", Given: given(held), When: attribute(func(c *books.AttributePayment) { c.Known = false }), Err: books.ErrUnattributable},
		{Name: "and not paid for under this reference", Given: given(held, second), When: attribute(func(*books.AttributePayment) {}), Err: books.ErrThereAlready},
		{Name: "there must be a payment", When: attribute(func(*books.AttributePayment) {}), Err: books.ErrNoSuchPayment},
		{Name: "of which something is left", Given: given(held), When: attribute(func(c *books.AttributePayment) { c.Left = 0 }), Err: books.ErrNothingLeft},
		{Name: "and that stands as it was looked at", Given: given(held, refund), When: attribute(func(*books.AttributePayment) {}), Err: books.ErrMeanwhile},

		{Name: "a part is paid back", Given: given(received), When: payBack(func(*books.RefundPayment) {}), Then: given(refund)},
		{Name: "or all", Given: given(received), When: payBack(func(c *books.RefundPayment) { c.Amount = 8091 }), Then: given(refund)},
		{Name: "but no more", Given: given(received), When: payBack(func(c *books.RefundPayment) { c.Amount = 8092 }), Err: books.ErrRefundTooLarge},
		{Name: "nor from what is gone", Given: given(received), When: payBack(func(c *books.RefundPayment) { c.Left = 0 }), Err: books.ErrNothingLeft},
		{Name: "two at once are not both right", Given: given(received, refund), When: payBack(func(*books.RefundPayment) {}), Err: books.ErrMeanwhile},
		{Name: "a second part after the first", Given: given(received, refund),
			When: payBack(func(c *books.RefundPayment) { c.Left, c.Seen.Refunds = 8000, []codec.Sealed{"r"} }), Then: given(refund)},
		{Name: "of a payment that is there", When: payBack(func(*books.RefundPayment) {}), Err: books.ErrNoSuchPayment},
		{Name: "more than nothing", Given: given(received), When: payBack(func(c *books.RefundPayment) { c.Amount = 0 }), Err: books.ErrAmount},
		{Name: "with a reason", Given: given(received), When: payBack(func(c *books.RefundPayment) { c.Reason = "" }), Err: books.ErrRefundReason},
		{Name: "out of the list, for it is public", Given: given(received), When: payBack(func(c *books.RefundPayment) { c.Reason = "多收了101室" }), Err: books.ErrRefundReason},
		{Name: "what was held and paid back in part is attributed with the rest", Given: given(held, refund),
			When: attribute(func(c *books.AttributePayment) { c.Seen.Refunds, c.Left = []codec.Sealed{"r"}, 8000 }), Then: given(attributed)},
	})
}

func TestBillsTotalsAndMonths(t *testing.T) {
	raised := finance.BillsRaised{Estate: "e", Period: "2022-07", Agreement: "a", Units: 2, Total: 300, Bills: "h"}
	other := raised
	other.Total, other.Bills = 310, "i"
	estest.Run(t, books.EvolveBills, equal, []estest.Case[books.Bills, finance.Event]{
		{Name: "bills are raised", When: books.RaiseBills{BillsRaised: raised}, Then: given(raised)},
		{Name: "the same again changes nothing, closed or not", Given: given(raised), When: books.RaiseBills{BillsRaised: raised, Closed: true}},
		{Name: "others are stated anew", Given: given(raised), When: books.RaiseBills{BillsRaised: other}, Then: given(other)},
		{Name: "and withdrawn", Given: given(raised), When: books.RaiseBills{BillsRaised: finance.BillsRaised{Estate: "e", Period: "2022-07", Bills: "empty"}},
			Then: given(finance.BillsRaised{Estate: "e", Period: "2022-07", Bills: "empty"})},
		{Name: "until the month is closed", Given: given(raised), When: books.RaiseBills{BillsRaised: other, Closed: true}, Err: books.ErrPeriodClosed},
		{Name: "where nobody owes anything there are none", When: books.RaiseBills{BillsRaised: finance.BillsRaised{Estate: "e", Period: "2022-07", Bills: "empty"}}},
	})

	posted := finance.CollectionPosted{Estate: "e", Day: "2022-07-21", Periods: []finance.PeriodTotal{{Period: "2022-07", Amount: 8091, Payments: 1}}}
	more := finance.CollectionPosted{Estate: "e", Day: "2022-07-21", Periods: []finance.PeriodTotal{{Period: "2022-07", Amount: 9091, Payments: 2}}, Suspense: 5}
	estest.Run(t, books.EvolveCollection, equal, []estest.Case[books.Collection, finance.Event]{
		{Name: "a day's totals are posted", When: books.PostCollection{CollectionPosted: posted}, Then: given(posted)},
		{Name: "the same again changes nothing", Given: given(posted), When: books.PostCollection{CollectionPosted: posted}},
		{Name: "more is posted as the whole of the day", Given: given(posted), When: books.PostCollection{CollectionPosted: more}, Then: given(more)},
		{Name: "and back", Given: given(posted, more), When: books.PostCollection{CollectionPosted: posted}, Then: given(posted)},
		{Name: "a day of nothing is not posted", When: books.PostCollection{CollectionPosted: finance.CollectionPosted{Estate: "e", Day: "2022-07-22"}}},
	})

	closed := finance.PeriodClosed{Estate: "e", Period: "2022-08"}
	estest.Run(t, books.EvolvePeriod, equal, []estest.Case[books.Period, finance.Event]{
		{Name: "a month that is over is closed", When: books.ClosePeriod{Estate: "e", Period: "2022-08", Today: today}, Then: given(closed)},
		{Name: "once", Given: given(closed), When: books.ClosePeriod{Estate: "e", Period: "2022-08", Today: today}},
		{Name: "not while it lasts", When: books.ClosePeriod{Estate: "e", Period: "2022-09", Today: today}, Err: books.ErrPeriodNotOver},
		{Name: "and it is a month", When: books.ClosePeriod{Estate: "e", Period: "2022", Today: today}, Err: books.ErrMonth},
	})
}

// estate has two agreements, the second after the first was ended, and budgets
// of two years, the first of which runs into the second.
func estate() books.Estate {
	rates := func(home units.Rate) []agreements.Rate {
		return []agreements.Rate{{Use: "住宅", Rate: home, Per: agreements.PerM2}, {Use: "车位", Rate: 500000, Per: agreements.PerPiece}}
	}
	return books.Estate{
		ID: "e", FeeCategory: finance.DefaultFeeCategory,
		Agreements: []books.Agreement{
			{ID: "first", Starts: "2022-07-21", Ends: "2023-01-20", Rates: rates(9000)},
			{ID: "second", Starts: "2023-01-21", Ends: "2023-12-31", Rates: rates(12550)},
		},
		Budgets: []books.Budget{
			{Year: 2022, Lines: []finance.Line{line(finance.Income, "x", 1, "2022-06", "2022-12"), line(finance.Expenditure, "y", 1, "2022-11", "2023-02")}},
			{Year: 2023, Lines: []finance.Line{line(finance.Income, "x", 1, "2023-03", "2023-03")}},
		},
	}
}

func TestWhatAUnitOwes(t *testing.T) {
	home, shop, place := books.Unit{Code: "1-101", Use: "住宅", Area: 8990}, books.Unit{Code: "S1", Use: "商铺", Area: 100}, books.Unit{Code: "P1", Use: "车位"}
	for _, c := range []struct {
		name   string
		unit   books.Unit
		period units.Month
		want   units.Fen
		billed bool
	}{
		{"area × rate", home, "2022-09", 8091, true},
		{"the first month of a term is owed in full", home, "2022-07", 8091, true},
		{"the month in which one agreement follows another is billed by the one in force on its first", home, "2023-01", 8091, true},
		{"the next month is billed by the new rate, half a fen up", home, "2023-02", 11282, true},
		{"a piece is a piece", place, "2022-09", 5000, true},
		{"what has no rate owes nothing", shop, "2022-09", 0, false},
		{"a month before the term is not billed", home, "2022-06", 0, false},
		{"a month that no budget covers is not billed", home, "2023-04", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, billed := estate().Bill(c.unit, c.period); got != c.want || billed != c.billed {
				t.Errorf("got %d %t, want %d %t", got, billed, c.want, c.billed)
			}
		})
	}
	if got, want := estate().Months("2023-01"), []units.Month{"2022-07", "2022-08", "2022-09", "2022-10", "2022-11", "2022-12", "2023-01"}; !reflect.DeepEqual(got, want) {
		t.Errorf("months %v, want %v", got, want)
	}
	for m, year := range map[units.Month]int{"2022-01": 2022, "2022-07": 2022, "2023-02": 2022, "2023-03": 2023, "2023-09": 2023, "2024-01": 2024} {
		if got := estate().Year(m); got != year {
			t.Errorf("%s belongs to the budget of %d, want %d", m, got, year)
		}
	}
}

func TestBillsOfAMonth(t *testing.T) {
	all := []books.Unit{{Code: "P1", Use: "车位"}, {Code: "S1", Use: "商铺", Area: 100}, {Code: "1-101", Use: "住宅", Area: 8990}}
	l := estate().Bills("2022-07", all)
	want := books.Listing{Estate: "e", Period: "2022-07", Agreement: "first", Bills: []books.Bill{{Unit: "1-101", Amount: 8091}, {Unit: "P1", Amount: 5000}}}
	if !reflect.DeepEqual(l, want) {
		t.Errorf("got %+v", l)
	}
	if e := l.Raise("h"); e != (finance.BillsRaised{Estate: "e", Period: "2022-07", Agreement: "first", Units: 2, Total: 13091, Bills: "h"}) {
		t.Errorf("got %+v", e)
	}
	if l := estate().Bills("2021-07", all); len(l.Bills) > 0 || l.Agreement != "" {
		t.Errorf("a month of no agreement was billed: %+v", l)
	}
}

func TestTheSameUnitsInAnyOrderMakeTheSameListing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		codes := rapid.SliceOfNDistinct(rapid.StringMatching(`[1-9]-[1-9]0[1-9]`), 1, 20, rapid.ID).Draw(t, "codes")
		list := func(codes []string) string {
			all := make([]books.Unit, len(codes))
			for i, c := range codes {
				all[i] = books.Unit{Code: c, Use: "住宅", Area: units.CentiM2(len(c) * int(c[0]))}
			}
			l := estate().Bills("2022-08", all)
			b, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		if a, b := list(codes), list(rapid.Permutation(codes).Draw(t, "other order")); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}
