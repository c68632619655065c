package books

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// Estate is what decides who owes what for a month, and to which year's budget
// an entry belongs.
type Estate struct {
	ID          string
	FeeCategory string // budget line that payments feed
	Agreements  []Agreement
	Budgets     []Budget // by year, the earliest first
	Closed      map[units.Month]bool
}

// Agreement is an agreement in force: its term and its rates.
type Agreement struct {
	ID     string
	Starts units.Day
	Ends   units.Day // last day, of the term or the day it was ended
	Rates  []agreements.Rate
}

// Unit is what a bill is made of.
type Unit struct {
	Code string
	Use  string // 住宅, 商铺 or 车位
	Area units.CentiM2
}

// Bill is what a unit owes for a month.
func (a Agreement) Bill(u Unit) (units.Fen, bool) {
	for _, r := range a.Rates {
		switch {
		case r.Use != u.Use:
		case r.Per == agreements.PerM2:
			return r.Rate.ForArea(u.Area), true
		case r.Per == agreements.PerPiece:
			return r.Rate.ForPieces(1), true
		}
	}
	return 0, false // nothing is charged for this use
}

// Agreement returns the one by which a month is billed: each month of a term is
// billed in full, also its first and last. Of several it is the one in force on
// the first of the month (the latest of those), else the first to begin in it.
func (e Estate) Agreement(m units.Month) (Agreement, bool) {
	first := units.Day(m + "-01")
	var best *Agreement
	for i, a := range e.Agreements {
		if m < a.Starts.Month() || m > a.Ends.Month() {
			continue
		}
		if best == nil || better(a, *best, first) {
			best = &e.Agreements[i]
		}
	}
	if best == nil {
		return Agreement{}, false
	}
	return *best, true
}

func better(a, b Agreement, first units.Day) bool {
	early, earlyB := a.Starts <= first, b.Starts <= first
	switch {
	case early != earlyB:
		return early
	case a.Starts == b.Starts:
		return a.ID < b.ID
	}
	return (a.Starts > b.Starts) == early
}

// Bill returns what a unit owes for a month, and false where the month is not
// billed or nothing is charged for the unit: money for it cannot be attributed.
func (e Estate) Bill(u Unit, m units.Month) (units.Fen, bool) {
	a, ok := e.Agreement(m)
	if !ok || !e.planned(m) {
		return 0, false
	}
	return a.Bill(u)
}

// Months returns the months that are billed: those of the budgets within the
// term of an agreement, through a last one.
func (e Estate) Months(through units.Month) []units.Month {
	var list []units.Month
	for _, b := range e.Budgets {
		for _, l := range b.Lines {
			for m := l.From; m <= l.To && m <= through; m = m.Next() {
				if _, ok := e.Agreement(m); ok {
					list = append(list, m)
				}
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// planned says whether a budget covers a month.
func (e Estate) planned(m units.Month) bool {
	return slices.ContainsFunc(e.Budgets, func(b Budget) bool { return b.covers(m) })
}

// Year returns the year whose budget a month belongs to: the one with a line
// for the month, else the calendar year.
func (e Estate) Year(m units.Month) int {
	for _, b := range e.Budgets {
		if b.covers(m) {
			return b.Year
		}
	}
	year, _ := strconv.Atoi(string(m[:min(4, len(m))]))
	return year
}

// Budget returns the budget of a year, without lines where there is none.
func (e Estate) Budget(year int) Budget {
	for _, b := range e.Budgets {
		if b.Year == year {
			return b
		}
	}
	return Budget{Year: year}
}

// Bill is one line of a Listing.
type Bill struct {
	Unit   string    `json:"unit"` // code
	Amount units.Fen `json:"amount_fen"`
}

// Listing is the public blob of all bills of a month.
type Listing struct {
	Estate    string      `json:"estate"`
	Period    units.Month `json:"period"`
	Agreement string      `json:"agreement"`
	Bills     []Bill      `json:"bills"` // by code
}

// Bills returns what is owed for a month, by unit: nothing where the month is not
// billed. The same units and rates make the same listing.
func (e Estate) Bills(m units.Month, all []Unit) Listing {
	l := Listing{Estate: e.ID, Period: m, Bills: []Bill{}}
	a, ok := e.Agreement(m)
	if !ok || !e.planned(m) {
		return l
	}
	l.Agreement = a.ID
	for _, u := range all {
		if amount, ok := a.Bill(u); ok {
			l.Bills = append(l.Bills, Bill{u.Code, amount})
		}
	}
	slices.SortFunc(l.Bills, func(a, b Bill) int { return cmp.Compare(a.Unit, b.Unit) })
	return l
}

// Encode returns the bytes of the blob.
func (l Listing) Encode() ([]byte, error) { return json.Marshal(l) }

// Raise returns the event of the listing, whose blob has the given hash.
func (l Listing) Raise(hash string) finance.BillsRaised {
	e := finance.BillsRaised{Estate: l.Estate, Period: l.Period, Agreement: l.Agreement, Units: len(l.Bills), Bills: hash}
	for _, b := range l.Bills {
		e.Total += b.Amount
	}
	return e
}
