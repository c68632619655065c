// Package books decides what may happen to an estate's money: budgets, vouchers
// and their reversal, the opening balance, payments, bills, posted totals, and
// the closing of a month. It says too what a unit owes and to which year an
// entry belongs. It does no I/O.
//
// What a stream cannot know of others comes in with the command: whether the
// month is closed, whether a number is taken. The read model has the last word
// on both, in ledger order.
package books

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals.
var (
	ErrFuture        = problem.Invalid("in-the-future", "the day lies in the future")
	ErrPeriodClosed  = problem.Conflict("period-closed", "the month is closed and takes no entries; enter a correction in an open one")
	ErrPeriodNotOver = problem.Conflict("period-not-over", "a month is closed after it has ended")
	ErrDirection     = problem.Invalid("direction-wrong", "a direction is 收入 or 支出")
	ErrNoCategory    = problem.Invalid("category-missing", "say which category (科目) it belongs to")
	ErrLineMonths    = problem.Invalid("months-wrong", "the months of a line begin within its year and end after they begin, at most a year later")
	ErrPlanned       = problem.Invalid("planned-negative", "a planned amount is zero or more")
	ErrNoLines       = problem.Invalid("lines-missing", "a budget has at least one line")
	ErrLineTwice     = problem.Invalid("line-twice", "two lines of one category are for the same month")
	ErrYear          = problem.Invalid("year-wrong", "a year reads like 2022")
	ErrMonth         = problem.Invalid("not-a-month", units.ErrNotAMonth.Error())
	ErrOpeningStated = problem.Conflict("opening-stated", "the opening balance is stated already; correct it by a voucher")
)

// Budget is the state of the stream of a year's budget.
type Budget struct {
	Year    int
	Lines   []finance.Line // as posted; none: there is no budget
	Decided []Decided      // by the owners' assembly, in recorded order
}

// EvolveBudget applies one event.
func EvolveBudget(b Budget, e finance.Event) Budget {
	switch e := e.(type) {
	case finance.BudgetPosted:
		b.Year, b.Lines = e.Year, e.Lines
	case finance.BudgetRevised:
		b.Lines = e.Lines
	case finance.BudgetLineDecided:
		b.Year, b.Decided = e.Year, b.decide(Decided{e.Line, e.Decision})
	default: // other streams
	}
	return b
}

func (b Budget) covers(m units.Month) bool {
	return slices.ContainsFunc(b.Lines, func(l finance.Line) bool { return l.From <= m && m <= l.To })
}

// PostBudget states the whole budget of a year, for the first time or anew.
type PostBudget struct {
	Estate string
	Year   int
	Lines  []finance.Line
}

// Decide implements es.Command.
func (c PostBudget) Decide(b Budget) ([]finance.Event, error) {
	if len(c.Lines) == 0 {
		return nil, ErrNoLines
	}
	for i, l := range c.Lines {
		if err := CheckLine(c.Year, l, c.Lines[:i]); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(b.Decided, func(d Decided) bool { return of(d.Line, l) }) && !slices.Equal(b.Lines, c.Lines) {
			e := *ErrLineDecided
			e.Fields = []problem.Field{{Name: fmt.Sprintf("lines[%d]", i), Code: "duplicate", Detail: "is " + l.Direction + " " + l.Category}}
			return nil, &e
		}
	}
	switch {
	case len(b.Lines) == 0:
		return []finance.Event{finance.BudgetPosted(c)}, nil
	case slices.Equal(b.Lines, c.Lines):
		return nil, nil
	}
	return []finance.Event{finance.BudgetRevised(c)}, nil
}

// CheckLine says what is wrong with a line of a year's budget that stands below
// others.
func CheckLine(year int, l finance.Line, above []finance.Line) error {
	switch {
	case year < 1980 || year > 9998:
		return ErrYear
	case l.Direction != finance.Income && l.Direction != finance.Expenditure:
		return ErrDirection
	case strings.TrimSpace(l.Category) == "":
		return ErrNoCategory
	case l.Planned < 0:
		return ErrPlanned
	case !month(l.From) || !month(l.To) || l.From < monthOf(year, 1) || l.From > monthOf(year, 12) ||
		l.To < l.From || l.To > monthOf(year+1, 12):
		return ErrLineMonths
	}
	for _, o := range above {
		if o.Direction == l.Direction && o.Category == l.Category && o.From <= l.To && l.From <= o.To {
			return ErrLineTwice
		}
	}
	return nil
}

// monthOf returns a month of a year.
func monthOf(year, n int) units.Month { return units.Month(fmt.Sprintf("%04d-%02d", year, n)) }

func month(m units.Month) bool { _, err := units.ParseMonth(string(m)); return err == nil }

func day(d units.Day) bool { _, err := units.ParseDay(string(d)); return err == nil }

// Opening is the state of the stream of an estate's opening balance.
type Opening struct{ Stated *finance.OpeningBalanceStated }

// EvolveOpening applies one event.
func EvolveOpening(o Opening, e finance.Event) Opening {
	if e, ok := e.(finance.OpeningBalanceStated); ok {
		o.Stated = &e
	}
	return o
}

// StateOpening says what was there before the first entry, once.
type StateOpening struct {
	finance.OpeningBalanceStated
	Today  units.Day
	Closed bool // the month of its day
}

// Decide implements es.Command.
func (c StateOpening) Decide(o Opening) ([]finance.Event, error) {
	switch {
	case o.Stated != nil && *o.Stated == c.OpeningBalanceStated:
		return nil, nil
	case o.Stated != nil:
		return nil, ErrOpeningStated
	case !day(c.On):
		return nil, ErrDay
	case c.On > c.Today:
		return nil, ErrFuture
	case c.Closed:
		return nil, ErrPeriodClosed
	}
	return []finance.Event{c.OpeningBalanceStated}, nil
}

// Bills is the state of the stream of a month's bills.
type Bills struct{ Raised finance.BillsRaised }

// EvolveBills applies one event.
func EvolveBills(b Bills, e finance.Event) Bills {
	if e, ok := e.(finance.BillsRaised); ok {
		b.Raised = e
	}
	return b
}

// RaiseBills states what is owed for a month, or states it anew where units or
// rates have changed.
type RaiseBills struct {
	finance.BillsRaised
	Closed bool // the month
}

// Decide implements es.Command.
func (c RaiseBills) Decide(b Bills) ([]finance.Event, error) {
	switch {
	case b.Raised == c.BillsRaised, b.Raised.Units == 0 && c.Units == 0:
		return nil, nil
	case c.Closed:
		return nil, ErrPeriodClosed
	}
	return []finance.Event{c.BillsRaised}, nil
}

// Collection is the state of the stream of a day's posted totals.
type Collection struct{ Posted finance.CollectionPosted }

// EvolveCollection applies one event.
func EvolveCollection(c Collection, e finance.Event) Collection {
	if e, ok := e.(finance.CollectionPosted); ok {
		c.Posted = e
	}
	return c
}

// PostCollection states all that was received on a day. What is as it was posted
// is not posted again.
type PostCollection struct{ finance.CollectionPosted }

// Decide implements es.Command.
func (c PostCollection) Decide(s Collection) ([]finance.Event, error) {
	if SameTotals(s.Posted, c.CollectionPosted) {
		return nil, nil
	}
	return []finance.Event{c.CollectionPosted}, nil
}

// SameTotals tells whether two postings of a day say the same.
func SameTotals(a, b finance.CollectionPosted) bool {
	return a.Suspense == b.Suspense && slices.Equal(a.Periods, b.Periods)
}

// Period is the state of the stream of a month.
type Period struct{ Closed bool }

// EvolvePeriod applies one event.
func EvolvePeriod(p Period, e finance.Event) Period {
	if _, ok := e.(finance.PeriodClosed); ok {
		p.Closed = true
	}
	return p
}

// ClosePeriod ends a month that is over: no entry of it is taken any more.
type ClosePeriod struct {
	Estate string
	Period units.Month
	Today  units.Day
}

// Decide implements es.Command.
func (c ClosePeriod) Decide(p Period) ([]finance.Event, error) {
	switch {
	case p.Closed:
		return nil, nil
	case !month(c.Period):
		return nil, ErrMonth
	case c.Period >= c.Today.Month():
		return nil, ErrPeriodNotOver
	}
	return []finance.Event{finance.PeriodClosed{Estate: c.Estate, Period: c.Period}}, nil
}
