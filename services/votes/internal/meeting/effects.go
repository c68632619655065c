package meeting

import (
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/votes"
)

// effects are the kinds of what may follow from a motion, each with the matters of
// Civil Code art. 278 that may have it.
var effects = map[string][]string{
	votes.AppointProvider:    {"民法典278-1-4"},
	votes.DismissProvider:    {"民法典278-1-4"},
	votes.DrawMaintenance:    {"民法典278-1-5"},
	votes.BudgetCommonIncome: {"民法典278-1-8", "民法典278-1-9"},
}

// mostFen is the most that a motion can be about: ten thousand billion yuan.
const mostFen = 1_000_000_000_000_000

// Agreement is how far an agreement is, as far as owners decide on it.
type Agreement struct {
	Estate string
	Posted bool // for everyone to read
	Active bool // in force
	Ended  bool
}

// Evolve applies what contracts records of it.
func (a Agreement) Evolve(e agreements.Event) Agreement {
	switch e := e.(type) {
	case agreements.AgreementProposed:
		a.Estate = e.Estate
	case agreements.AgreementPosted:
		a.Posted = true
	case agreements.AgreementActivated:
		a.Active = true
	case agreements.AgreementEnded:
		a.Active, a.Ended = false, true
	default: // owners decide whatever else became of it
	}
	return a
}

// checkEffect says what is wrong with what follows from a motion.
func (c DraftMeeting) checkEffect(motion votes.Motion, above []votes.Motion, field func(string) string, want func(ok bool, name, code, detail string)) {
	e := motion.Effect
	if e == (votes.Effect{}) {
		return
	}
	matters, known := effects[e.Kind]
	want(known, field("effect.kind"), "not-one-of", "is "+strings.Join([]string{votes.AppointProvider, votes.DismissProvider, votes.DrawMaintenance, votes.BudgetCommonIncome}, " or "))
	if !known {
		return
	}
	want(slices.Contains(matters, motion.Matter), field("effect.kind"), "not-of-the-matter", "follows from a motion on "+strings.Join(matters, " or ")+" only")
	want(!c.Past, field("effect"), "of-the-past", "must be absent: what followed from a meeting of the past is in papers of its own")
	want(!isElection(motion), field("effect"), "of-an-election", "must be absent: the motion elects the committee")
	again := slices.ContainsFunc(above, func(o votes.Motion) bool {
		o.Effect.Amount = e.Amount
		return o.Effect == e && e.Kind != votes.DrawMaintenance
	})
	want(!again, field("effect"), "duplicate", "follows from another motion, too")

	provider := e.Kind == votes.AppointProvider || e.Kind == votes.DismissProvider
	budget := e.Kind == votes.BudgetCommonIncome
	want(e.Kind == votes.DrawMaintenance || motion.Scope == Estate, field("scope"), "not-the-estate", "is estate: what follows concerns every owner")
	if provider {
		c.checkAgreement(e, field("effect.agreement"), want)
	} else {
		want(e.Agreement == "", field("effect.agreement"), "not-asked", "must be absent: what follows is not about a provider")
		want(0 < e.Amount && e.Amount <= mostFen, field("effect.amount_fen"), "missing", "is the amount that owners decide on, in fen, more than nothing")
	}
	want(!provider || e.Amount == 0, field("effect.amount_fen"), "not-asked", "must be absent: the contract says what the provider is paid")
	if budget {
		want(e.Direction == finance.Income || e.Direction == finance.Expenditure, field("effect.direction"), "not-one-of", "is "+finance.Income+" or "+finance.Expenditure)
		want(strings.TrimSpace(e.Category) != "" && len([]rune(e.Category)) <= 60, field("effect.category"), "missing", "is the line of the budget (科目), in at most 60 characters")
		want(2000 <= e.Year && e.Year <= 2999, field("effect.year"), "missing", "is the year of the budget, like 2027")
	} else {
		want(e.Direction == "" && e.Category == "" && e.Year == 0, field("effect.category"), "not-asked", "must be absent, as direction and year: what follows is not about a budget")
	}
}

// checkAgreement holds what follows against the agreement that it names: owners can
// only appoint by a contract that they can read, and only dismiss who is there.
func (c DraftMeeting) checkAgreement(e votes.Effect, field string, want func(ok bool, name, code, detail string)) {
	a, there := c.Agreements[e.Agreement]
	switch {
	case !there || a.Estate != c.Estate:
		want(false, field, "unknown", "names no agreement of this estate")
	case a.Ended:
		want(false, field, "ended", "names an agreement that has ended")
	case e.Kind == votes.DismissProvider:
		want(a.Active, field, "not-active", "names an agreement that is not in force")
	default:
		want(!a.Active, field, "active", "names an agreement that is in force already")
		want(a.Posted, field, "not-posted", "names an agreement whose terms are not posted yet: owners must be able to read what they decide on")
	}
}

// following returns what follows from the motions that were adopted by a result
// that is final.
func (m Meeting) following(final votes.ResultFinal, results []Result) (list []votes.Event) {
	for _, motion := range m.Motions {
		adopted := slices.ContainsFunc(results, func(r Result) bool { return r.Motion == motion.ID && r.Outcome == votes.Adopted })
		if motion.Effect == (votes.Effect{}) || !adopted {
			continue
		}
		list = append(list, votes.DecisionEffective{
			Meeting: m.Meeting, Estate: m.Estate, Motion: motion.ID, Title: motion.Title, Scope: motion.Scope, Effect: motion.Effect,
			Posting: final.Posting, Result: m.Result.Result, At: final.At,
		})
	}
	return list
}
