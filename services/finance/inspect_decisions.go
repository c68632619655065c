package finance

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/finance/internal/api"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

// reactor is the actor of what follows from decisions.
const reactor = "reaction:" + board.Follow

var errNoDecision = problem.Conflict("no-decision", "a draw is opened, and a line of the owners set, because owners decided it, and by nobody")

// decided keeps what owners decided about money.
func (i *inspection) decided(c *facts.Commit) {
	for _, f := range c.Facts {
		if e, ok := f.Event.(votes.DecisionEffective); ok && c.Stream() == votes.MeetingStream+e.Meeting {
			i.decisions[f.ID.String()] = e
		}
	}
}

// cause returns the decision that a commit names as its cause, where it is of a kind
// of effect; false: nobody decided it.
func (i *inspection) cause(c *facts.Commit, kind string) (votes.DecisionEffective, bool) {
	c.Present()
	e, ok := i.decisions[c.Meta().Cause]
	if ok = ok && c.Meta().Actor == reactor && e.Effect.Kind == kind; !ok {
		c.Decided(errNoDecision)
	}
	return e, ok
}

// line decides again what a decision sets of a budget.
func (i *inspection) line(c *facts.Commit, e finance.BudgetLineDecided) {
	c.Names(finance.BudgetStream, e.Estate+"-"+strconv.Itoa(e.Year))
	a := i.account(e.Estate)
	all := slices.Clone(a.budgets.Now())
	n, there := slices.BinarySearchFunc(all, e.Year, func(b books.Budget, year int) int { return cmp.Compare(b.Year, year) })
	if !there {
		all = slices.Insert(all, n, books.Budget{Year: e.Year})
	}
	if decision, ok := i.cause(c, votes.BudgetCommonIncome); ok {
		c.Decided(facts.Again(c, all[n], api.LineOf(decision)))
	}
	all[n] = books.EvolveBudget(all[n], e)
	a.budgets.Set(c, all)
	a.changes.Note(c)
}

// draw decides what is in the stream of a draw again.
func (i *inspection) draw(c *facts.Commit, event finance.Event, today units.Day) {
	id := c.Stream()[len(finance.DrawStream):]
	d := i.draws[id]
	switch e := event.(type) {
	case finance.DrawOpened:
		c.Names(finance.DrawStream, e.Draw)
		if decision, ok := i.cause(c, votes.DrawMaintenance); ok {
			if e.Draw != api.DrawID(decision.Meeting, decision.Motion) {
				c.Break("draw-id", "the id is not that of the draw on which owners decided")
			}
			c.Decided(facts.Again(c, d, api.DrawOf(decision)))
		}
	case finance.DrawPaid:
		c.Names(finance.DrawStream, e.Draw)
		i.paid(c, d, "voucher.post", e.Date, func(closed bool) error {
			return facts.Again(c, d, books.PayDraw{DrawPaid: e, Today: today, Closed: closed})
		})
	case finance.DrawReversed:
		c.Names(finance.DrawStream, e.Draw)
		i.paid(c, d, "voucher.reverse", e.Date, func(closed bool) error {
			return facts.Again(c, d, books.ReverseDraw{DrawReversed: e, Today: today, Closed: closed})
		})
	default: // not of a draw
	}
	i.draws[id] = books.EvolveDraw(d, event)
}

// paid decides an entry of a draw by what was known of the month of its day.
func (i *inspection) paid(c *facts.Commit, d books.Draw, action string, on units.Day, decide func(closed bool) error) {
	c.Present()
	a := i.account(d.Opened.Estate)
	i.may(c, a, action)
	c.Doubted(a.changes.Ask(c, func(at es.Position) error { return decide(a.isClosed(on.Month(), at)) }))
}

// refused checks who says that nothing came of a decision, and of which.
func (i *inspection) refused(c *facts.Commit, e ledger.ReactionRefused) {
	if e.Reaction != board.Follow {
		return
	}
	c.Names(ledger.ReactionStream, board.Follow)
	if _, ok := i.decisions[e.Cause]; !ok || c.Meta().Actor != reactor || c.Meta().Cause != reactions.Refused(e.Cause) {
		c.Break("cause", "nothing that owners decided leads to it")
	}
}

// drawFigures are an estate's draws as everyone may see them.
func (i *inspection) drawFigures(estate string) []board.Draw {
	list := []board.Draw{}
	for _, d := range i.draws {
		if d.Opened.Estate == estate {
			list = append(list, board.DrawOf(d))
		}
	}
	board.SortDraws(list)
	return list
}
