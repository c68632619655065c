package meeting

import (
	"fmt"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors of motions that come back too soon.
var (
	ErrResting = problem.Conflict("motion-rests", "a matter that found too few owners, although voting was extended, does not come back so soon; if this is another question, say how it differs")
	ErrDiffers = problem.Invalid("differs-wrong", "this does not say of a motion how it differs from one that lapsed")
)

// Lapsed is a motion on which too few took part although voting was extended.
type Lapsed struct {
	Meeting string
	Motion  votes.Motion
	Closed  time.Time // the extended deadline
}

// Lapsed lists the motions of a meeting that lapsed, given what they came to.
func (m Meeting) Lapsed(results []Result) (list []Lapsed) {
	if len(m.Extended) == 0 || !m.Countable() || m.Past || m.Unopened || m.IsCancelled() {
		return nil
	}
	for _, r := range results {
		if motion, ok := m.motion(r.Motion); ok && r.Outcome == votes.NoDecision {
			list = append(list, Lapsed{Meeting: m.Meeting, Motion: motion, Closed: m.Notice.Closes})
		}
	}
	return list
}

// Until is the first instant at which a motion may come back by rules.
func (l Lapsed) Until(r RuleSet) time.Time {
	return units.After(l.Closed, r.Extension.RestYears, 0, 0)
}

// isOn says whether a motion puts the same matter to the same owners. Whether it is
// the same question, rules cannot tell: who posts the notice says how it differs.
func (l Lapsed) isOn(motion votes.Motion) bool {
	return l.Motion.Matter == motion.Matter && l.Motion.Scope == motion.Scope && slices.Equal(l.Motion.Units, motion.Units)
}

// Resting is a motion of a meeting that may not be put to the owners yet.
type Resting struct {
	Motion  string    `json:"motion" doc:"id of the motion"`
	Meeting string    `json:"meeting" doc:"in which the same matter lapsed"`
	Until   time.Time `json:"until" doc:"first instant at which a notice may be posted with it, without saying how it differs"`
}

// Resting lists the motions that a notice of an instant may not have by rules, for
// want of owners who took part before (深圳, older text, seen).
func (m Meeting) Resting(r RuleSet, lapsed []Lapsed, notice time.Time) (list []Resting) {
	if r.Extension.RestYears == 0 {
		return nil
	}
	for _, motion := range m.Motions {
		for _, l := range lapsed {
			if until := l.Until(r); l.Meeting != m.Meeting && l.isOn(motion) && notice.Before(until) {
				list = append(list, Resting{motion.ID, l.Meeting, until})
			}
		}
	}
	return list
}

// rested is the error of a notice with motions that rest, of which it does not say
// how they differ from what lapsed.
func (c PostNotice) rested(m Meeting, at time.Time) error {
	resting := m.Resting(c.Rules, c.Lapsed, at)
	said := map[votes.Differs]bool{}
	for i, d := range c.Differs {
		if err := public(fmt.Sprintf("differs[%d].reason", i), d.Reason); err != nil {
			return err
		}
		of := votes.Differs{Motion: d.Motion, From: d.From}
		if said[of] || !slices.ContainsFunc(resting, func(r Resting) bool { return r.Motion == d.Motion && r.Meeting == d.From }) {
			return saying(ErrDiffers, []problem.Field{{Name: fmt.Sprintf("differs[%d]", i), Code: "not-one-of", Detail: "must name, once, a motion that rests and the meeting in which the same matter lapsed"}})
		}
		said[of] = true
	}
	var wrong []problem.Field
	for _, r := range resting {
		if !said[votes.Differs{Motion: r.Motion, From: r.Meeting}] {
			wrong = append(wrong, problem.Field{Name: r.Motion, Code: "rests", Detail: "lapsed in meeting " + r.Meeting + " and may come back from " + day(r.Until), Bound: day(r.Until)})
		}
	}
	if len(wrong) > 0 {
		return saying(ErrResting, wrong)
	}
	return nil
}
