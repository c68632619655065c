package books

import (
	"slices"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// ErrLineDecided says that a budget sets a line that is the owners' to set.
var ErrLineDecided = problem.Conflict("line-decided", "the owners' assembly decided this line of the budget; leave it out, it stays as they decided until they decide otherwise")

// Decided is a line of a budget that owners decided on.
type Decided struct {
	Line     finance.Line
	Decision finance.Decision
}

// of says whether two lines are of one direction and category.
func of(a, b finance.Line) bool { return a.Direction == b.Direction && a.Category == b.Category }

// decide puts a line in the place of what owners decided of it before.
func (b Budget) decide(d Decided) []Decided {
	list := slices.DeleteFunc(slices.Clone(b.Decided), func(o Decided) bool { return of(o.Line, d.Line) })
	return append(list, d)
}

// Effective returns the lines that are in force: those that were posted, and in the
// place of some those that owners decided on.
func (b Budget) Effective() (list []EffectiveLine) {
	for _, l := range b.Lines {
		if !slices.ContainsFunc(b.Decided, func(d Decided) bool { return of(d.Line, l) }) {
			list = append(list, EffectiveLine{Line: l})
		}
	}
	for _, d := range b.Decided {
		list = append(list, EffectiveLine{d.Line, &d.Decision})
	}
	return list
}

// EffectiveLine is a line of a budget that is in force.
type EffectiveLine struct {
	finance.Line
	Decision *finance.Decision // nil: it was posted with the budget
}

// DecideLine sets a line of a year's budget, because owners decided on it.
type DecideLine struct{ finance.BudgetLineDecided }

// WholeYear returns the line of a calendar year.
func WholeYear(year int, direction, category string, planned units.Fen) finance.Line {
	return finance.Line{Direction: direction, Category: category, Planned: planned, From: monthOf(year, 1), To: monthOf(year, 12)}
}

// Decide sets it once for a decision.
func (c DecideLine) Decide(b Budget) ([]finance.Event, error) {
	if slices.ContainsFunc(b.Decided, func(d Decided) bool { return d.Line == c.Line && d.Decision == c.Decision }) {
		return nil, nil
	}
	if err := CheckLine(c.Year, c.Line, nil); err != nil {
		return nil, err
	}
	return []finance.Event{c.BudgetLineDecided}, nil
}
