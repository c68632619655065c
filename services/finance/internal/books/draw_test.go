package books_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
)

var decision = finance.Decision{Meeting: "m", Motion: "M1", Title: "屋面防水", Result: "hash", At: time.Date(2022, 9, 1, 10, 0, 0, 0, units.Shanghai)}

func TestADrawIsPaidUpToWhatOwnersDecided(t *testing.T) {
	opened := finance.DrawOpened{Draw: "d", Estate: "e", Amount: 10_000, Scope: "building:5", Decision: decision}
	paid := func(number string, amount units.Fen) finance.DrawPaid {
		return finance.DrawPaid{Draw: "d", Number: number, Date: "2022-09-10", Amount: amount, Text: "防水", Counterparty: "工程公司"}
	}
	pay := func(number string, amount units.Fen) books.PayDraw {
		return books.PayDraw{DrawPaid: paid(number, amount), Today: today}
	}
	on := func(day units.Day) books.PayDraw {
		c := pay("1", 1)
		c.Date = day
		return c
	}
	reversed := finance.DrawReversed{Draw: "d", Number: "2", Reverses: "1", Date: "2022-09-12", Reason: "重复"}
	reverse := func(change func(*finance.DrawReversed)) books.ReverseDraw {
		c := books.ReverseDraw{DrawReversed: reversed, Today: today}
		if change != nil {
			change(&c.DrawReversed)
		}
		return c
	}
	closed := pay("1", 1)
	closed.Closed = true
	open := books.OpenDraw{DrawOpened: opened}
	more := open
	more.Amount++
	nothing := open
	nothing.Amount = 0
	estest.Run(t, books.EvolveDraw, equal, []estest.Case[books.Draw, finance.Event]{
		{Name: "art. 278 (1) 5, art. 281: owners decided, and it is open", When: open, Then: given(opened)},
		{Name: "once", Given: given(opened), When: open},
		{Name: "not again for more", Given: given(opened), When: more, Err: books.ErrDrawOpened},
		{Name: "not for nothing", When: nothing, Err: books.ErrDrawAmount},

		{Name: "the whole amount may be paid", Given: given(opened), When: pay("1", 10_000), Then: given(paid("1", 10_000))},
		{Name: "not a fen more", Given: given(opened), When: pay("1", 10_001), Err: books.ErrOverdrawn},
		{Name: "not a fen more in two payments", Given: given(opened, paid("1", 6_000)), When: pay("2", 4_001), Err: books.ErrOverdrawn},
		{Name: "what is left may be paid", Given: given(opened, paid("1", 6_000)), When: pay("2", 4_000), Then: given(paid("2", 4_000))},
		{Name: "the same payment again changes nothing", Given: given(opened, paid("1", 10_000)), When: pay("1", 10_000)},
		{Name: "another under its number is refused", Given: given(opened, paid("1", 6_000)), When: pay("1", 1), Err: books.ErrNumberTaken},
		{Name: "no payment is of nothing", Given: given(opened), When: pay("1", 0), Err: books.ErrDrawAmount},
		{Name: "none makes room for others", Given: given(opened), When: pay("1", -1), Err: books.ErrDrawAmount},
		{Name: "none before owners decided", Given: given(opened), When: on("2022-08-31"), Err: books.ErrUndecided},
		{Name: "one on the day that they did", Given: given(opened), When: on("2022-09-01"), Then: given(on("2022-09-01").DrawPaid)},
		{Name: "none tomorrow", Given: given(opened), When: on("2022-09-16"), Err: books.ErrFuture},
		{Name: "none in a month that is closed", Given: given(opened), When: closed, Err: books.ErrPeriodClosed},
		{Name: "none out of a draw that nobody decided on", When: pay("1", 1), Err: books.ErrNoSuchDraw},

		{Name: "a payment is taken back", Given: given(opened, paid("1", 10_000)), When: reverse(nil), Then: given(reversed)},
		{Name: "once", Given: given(opened, paid("1", 10_000), reversed), When: reverse(nil)},
		{Name: "not by two entries", Given: given(opened, paid("1", 10_000), reversed), When: reverse(func(r *finance.DrawReversed) { r.Number = "3" }), Err: books.ErrPaidReversed},
		{Name: "then its amount may be paid again", Given: given(opened, paid("1", 10_000), reversed), When: pay("3", 10_000), Then: given(paid("3", 10_000))},
		{Name: "not under the number of the reversal", Given: given(opened, paid("1", 10_000), reversed), When: pay("2", 1), Err: books.ErrNumberTaken},
		{Name: "what is not there is not taken back", Given: given(opened), When: reverse(nil), Err: books.ErrNoSuchPaid},
		{Name: "not before it was paid", Given: given(opened, paid("1", 1)), When: reverse(func(r *finance.DrawReversed) { r.Date = "2022-09-09" }), Err: books.ErrReversalEarly},
		{Name: "not without a reason", Given: given(opened, paid("1", 1)), When: reverse(func(r *finance.DrawReversed) { r.Reason = " " }), Err: books.ErrNoReason},
	})
}

// Whatever is paid and taken back, never is more paid than owners decided on.
func TestNoOrderOfPaymentsOverdraws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := units.Fen(rapid.Int64Range(1, 100).Draw(t, "limit"))
		d := books.EvolveDraw(books.Draw{}, finance.DrawOpened{Draw: "d", Amount: limit, Decision: decision})
		for n := range rapid.IntRange(1, 30).Draw(t, "steps") {
			var events []finance.Event
			if rapid.Bool().Draw(t, "pays") {
				events, _ = books.PayDraw{Today: today, DrawPaid: finance.DrawPaid{
					Draw: "d", Number: fmt.Sprint("p", n), Date: today, Amount: units.Fen(rapid.Int64Range(-5, 60).Draw(t, "amount"))}}.Decide(d)
			} else {
				events, _ = books.ReverseDraw{Today: today, DrawReversed: finance.DrawReversed{
					Draw: "d", Number: fmt.Sprint("r", n), Reverses: fmt.Sprint("p", rapid.IntRange(0, 30).Draw(t, "which")), Date: today, Reason: "x"}}.Decide(d)
			}
			for _, e := range events {
				d = books.EvolveDraw(d, e)
			}
			if d.Sum() < 0 || d.Left() < 0 || d.Sum()+d.Left() != limit {
				t.Fatalf("of %s are paid %s, and %s are left", limit, d.Sum(), d.Left())
			}
		}
	})
}

func TestALineThatOwnersDecidedIsTheirs(t *testing.T) {
	fee := line(finance.Income, "物业服务费", 100, "2022-07", "2022-12")
	common := line(finance.Income, "公共收益", 50, "2022-07", "2022-12")
	posted := finance.BudgetPosted{Estate: "e", Year: 2022, Lines: []finance.Line{fee, common}}
	decided := finance.BudgetLineDecided{Estate: "e", Year: 2022, Line: books.WholeYear(2022, finance.Income, "公共收益", 60), Decision: decision}
	anew := decided
	anew.Line.Planned, anew.Decision.Motion = 70, "M2"
	set := func(e finance.BudgetLineDecided) books.DecideLine { return books.DecideLine{BudgetLineDecided: e} }
	post := func(lines ...finance.Line) books.PostBudget {
		return books.PostBudget{Estate: "e", Year: 2022, Lines: lines}
	}
	other := common
	other.Planned = 1
	spent := line(finance.Expenditure, "公共收益", 5, "2022-07", "2022-12")
	estest.Run(t, books.EvolveBudget, equal, []estest.Case[books.Budget, finance.Event]{
		{Name: "art. 282: owners decide what common parts bring in", Given: given(posted), When: set(decided), Then: given(decided)},
		{Name: "also where there is no budget yet", When: set(decided), Then: given(decided)},
		{Name: "once for a decision", Given: given(posted, decided), When: set(decided)},
		{Name: "and may decide anew", Given: given(posted, decided), When: set(anew), Then: given(anew)},
		{Name: "nobody else sets their line", Given: given(posted, decided), When: post(fee, other), Err: books.ErrLineDecided},
		{Name: "the rest of the budget is revised without it", Given: given(posted, decided), When: post(fee), Then: given(finance.BudgetRevised{Estate: "e", Year: 2022, Lines: []finance.Line{fee}})},
		{Name: "a budget is posted beside it", Given: given(decided), When: post(fee), Then: given(finance.BudgetPosted{Estate: "e", Year: 2022, Lines: []finance.Line{fee}})},
		{Name: "what is spent under the same name is another line", Given: given(posted, decided), When: post(fee, spent), Then: given(finance.BudgetRevised{Estate: "e", Year: 2022, Lines: []finance.Line{fee, spent}})},
	})

	b := books.Budget{}
	for _, e := range given(posted, decided, anew) {
		b = books.EvolveBudget(b, e)
	}
	effective := b.Effective()
	if len(effective) != 2 || effective[0].Line != fee || effective[0].Decision != nil || effective[1].Line != anew.Line || effective[1].Decision.Motion != "M2" {
		t.Errorf("in force are %v", effective)
	}
}

// A line of the owners is a plan: which months are billed the budget says that was
// posted.
func TestALineThatOwnersDecidedBillsNobody(t *testing.T) {
	e := books.Estate{
		Agreements: []books.Agreement{{ID: "a", Starts: "2022-01-01", Ends: "2022-12-31"}},
		Budgets:    []books.Budget{books.EvolveBudget(books.Budget{}, finance.BudgetLineDecided{Year: 2022, Line: books.WholeYear(2022, finance.Income, "公共收益", 60)})},
	}
	if months := e.Months("2022-12"); len(months) > 0 {
		t.Errorf("billed are %v", months)
	}
}
