package contracts

import (
	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/contracts/internal/agreement"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

type command = es.Command[agreement.Agreement, agreements.Event]

var errNoDecision = problem.Conflict("no-decision", "a contract is authorised, and a provider dismissed, because owners decided it, and by nobody")

// decided keeps what owners decided about providers.
func (i *inspection) decided(c *facts.Commit) {
	for _, f := range c.Facts {
		if e, ok := f.Event.(votes.DecisionEffective); ok && c.Stream() == votes.MeetingStream+e.Meeting {
			i.decisions[f.ID.String()] = e
		}
	}
}

// following returns what the decision that a commit names as its cause leads to, for
// an agreement on a day; nil where there is none.
func (i *inspection) following(c *facts.Commit, id, named string, on units.Day) command {
	if named != id {
		c.Names(agreements.AgreementStream, named)
	}
	decision, ok := i.decisions[c.Meta().Cause]
	if !ok || c.Meta().Actor != reactor+agreement.Follow || decision.Effect.Agreement != id {
		return nil
	}
	return leadsTo(decision, on)
}

// reactor is what the actor of a reaction's commits begins with.
const reactor = "reaction:"

// endsByItself returns what ends an agreement that nobody ends; nil: somebody does.
func (i *inspection) endsByItself(c *facts.Commit, id string) command {
	switch c.Meta().Actor {
	case reactor + agreement.EndNotice:
		if c.Meta().Cause != id+noticeOver {
			c.Break("cause", "the end of another provider's notice leads to it")
		}
		return agreement.EndDismissed{Today: units.DayOf(c.Latest())}
	case reactor + agreement.Follow:
		h := i.held[i.activated[c.Meta().Cause]]
		if h == nil {
			h = &held{}
		}
		return agreement.Succeed{Successor: h.Now()}
	}
	return nil
}

// proposed decides a proposal again by the agreement whose place it takes, as its
// decider may have known it.
func (i *inspection) proposed(c *facts.Commit, a agreement.Agreement, e agreements.AgreementProposed) error {
	h := i.held[e.Follows]
	if h == nil {
		h = &held{}
	}
	var refused error
	answer := h.Ask(c, func(p agreement.Agreement) bool {
		err := facts.Again(c, a, agreement.ProposeSuccessor{Propose: agreement.Propose(e), Predecessor: p})
		if refused == nil {
			refused = err
		}
		return err == nil
	})
	c.Doubted(answer, refused)
	return nil
}

// refused checks who says that nothing came of a decision, and of which.
func (i *inspection) refused(c *facts.Commit, e ledger.ReactionRefused) {
	if e.Reaction != agreement.Follow {
		return
	}
	c.Names(ledger.ReactionStream, agreement.Follow)
	_, decided := i.decisions[e.Cause]
	_, activated := i.activated[e.Cause]
	if c.Meta().Actor != reactor+agreement.Follow || c.Meta().Cause != reactions.Refused(e.Cause) || !decided && !activated {
		c.Break("cause", "nothing that owners decided leads to it")
	}
}
