package meeting

import (
	"slices"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
)

// Result is the count of one motion, as it is posted. Quorum is over all owners
// in scope, approval over those who took part; an abstention takes part.
type Result struct {
	Motion             string        `json:"motion"`
	Title              string        `json:"title"`
	Matter             string        `json:"matter" doc:"article, paragraph and item of the law"`
	Threshold          string        `json:"rule" doc:"threshold that the matter calls for" enum:"ordinary,special,unanimity,objection"`
	Scope              string        `json:"scope"`
	ElectorateHeads    int64         `json:"electorate_heads"`
	ElectorateArea     units.CentiM2 `json:"electorate_area_centi_m2"`
	ParticipatingHeads int64         `json:"participating_heads"`
	ParticipatingArea  units.CentiM2 `json:"participating_area_centi_m2"`
	YesHeads           int64         `json:"yes_heads"`
	YesArea            units.CentiM2 `json:"yes_area_centi_m2"`
	NoHeads            int64         `json:"no_heads"`
	NoArea             units.CentiM2 `json:"no_area_centi_m2"`
	AbstainHeads       int64         `json:"abstain_heads"`
	AbstainArea        units.CentiM2 `json:"abstain_area_centi_m2"`
	QuorumMet          bool          `json:"quorum_met"`
	Outcome            string        `json:"outcome" enum:"通过,未通过,未形成有效决定"`
	Words              Words         `json:"rule_in_words"`
	Arithmetic         []Step        `json:"arithmetic" doc:"the whole numbers that were compared; approval only where the quorum is met"`
}

// Step is one comparison of whole numbers, spelled out: 3 × 760 = 2280 ≥ 2 × 976 = 1952.
type Step struct {
	Test    string `json:"test" enum:"quorum,approval"`
	Measure string `json:"measure" enum:"heads,area_centi_m2"`
	Left    Term   `json:"left"`
	Compare string `json:"compare" enum:"≥,>,<,≤" doc:"how the products do compare"`
	Needed  string `json:"needed" enum:"≥,>,≤"`
	Right   Term   `json:"right"`
	Met     bool   `json:"met"`
}

// Term is factor × value = product.
type Term struct {
	Factor  int64 `json:"factor"`
	Value   int64 `json:"value"`
	Product int64 `json:"product"`
}

// Summary says what became of all ballots, one row for each choice on a motion.
type Summary struct {
	Rows     int                  `json:"rows"`
	Accepted int                  `json:"accepted" doc:"rows that count"`
	Rejected int                  `json:"rejected"`
	Reasons  map[votes.Reason]int `json:"reasons" doc:"of the rejected rows"`
}

// Reject counts rows that do not count.
func (s *Summary) Reject(reason votes.Reason, rows int) {
	if s.Reasons == nil {
		s.Reasons = map[votes.Reason]int{}
	}
	s.Rows += rows
	s.Rejected += rows
	if rows > 0 {
		s.Reasons[reason] += rows
	}
}

// Taken is a recorded BallotCast.
type Taken struct {
	votes.BallotCast
	Late   bool // recorded after voting was closed in the ledger
	Opened bool // Choices are in clear
}

// Choice returns what the ballot says on a motion; "" where that is nothing, or
// not known yet.
func (t Taken) Choice(motion string) string {
	for _, c := range t.Choices {
		if c.Motion == motion {
			return c.Choice
		}
	}
	return ""
}

// Settle says of all ballots that one head cast, in recorded order, which of
// their motions count: for each ballot a reason, or "", for each of its Motions.
func Settle(policy votes.Policy, taken []Taken) [][]votes.Reason {
	var answers []Answer
	for _, t := range taken {
		for _, m := range t.Motions {
			if !t.Late {
				answers = append(answers, Answer{m, t.Channel, t.At, t.Opened && !isChoice(t.Choice(m))})
			}
		}
	}
	standing := Standing(policy, answers)
	settled := make([][]votes.Reason, len(taken))
	for i, t := range taken {
		settled[i] = make([]votes.Reason, len(t.Motions))
		for j := range t.Motions {
			if t.Late {
				settled[i][j] = votes.VotingIsClosed
				continue
			}
			settled[i][j], standing = standing[0], standing[1:]
		}
	}
	return settled
}

// Counter counts a meeting, head by head.
type Counter struct {
	Summary
	meeting Meeting
	tallies map[string]*Tally // by motion
}

// NewCounter starts the count of a meeting.
func NewCounter(m Meeting) *Counter {
	c := &Counter{Summary: Summary{Reasons: map[votes.Reason]int{}}, meeting: m, tallies: map[string]*Tally{}}
	for _, motion := range m.Motions {
		c.tallies[motion.ID] = &Tally{}
	}
	return c
}

// Head counts all ballots that one head cast, opened, in recorded order.
func (c *Counter) Head(e votes.Entry, taken []Taken) {
	for i, reasons := range Settle(c.meeting.Policy, taken) {
		for j, reason := range reasons {
			motion := taken[i].Motions[j]
			if reason != "" {
				c.Reject(reason, 1)
				continue
			}
			c.Rows++
			c.Accepted++
			if k := slices.IndexFunc(c.meeting.Motions, func(m votes.Motion) bool { return m.ID == motion }); k >= 0 {
				area, _ := Weight(e, c.meeting.Motions[k])
				c.tallies[motion].Add(taken[i].Choice(motion), area)
			}
		}
	}
}

// Results decides every motion.
func (c *Counter) Results(rules RuleSet) []Result {
	results := make([]Result, len(c.meeting.Motions))
	for i, m := range c.meeting.Motions {
		results[i] = Count(rules, m, c.meeting.Electorate(m), *c.tallies[m.ID])
		if c.meeting.Unopened {
			results[i] = results[i].unopened()
		}
	}
	return results
}

// Tally adds up the choices on one motion.
type Tally struct {
	YesHeads, NoHeads, AbstainHeads int64
	YesArea, NoArea, AbstainArea    units.CentiM2
}

// Add counts one head with its area in the motion's scope.
func (t *Tally) Add(choice string, area units.CentiM2) {
	switch choice {
	case votes.Yes:
		t.YesHeads, t.YesArea = t.YesHeads+1, t.YesArea+area
	case votes.No:
		t.NoHeads, t.NoArea = t.NoHeads+1, t.NoArea+area
	case votes.Abstain:
		t.AbstainHeads, t.AbstainArea = t.AbstainHeads+1, t.AbstainArea+area
	}
}

// Count decides a motion by the rules its notice named (Civil Code art. 278).
// The motion's matter must be one of the rules'.
func Count(rules RuleSet, m votes.Motion, electorate votes.ScopeTotal, t Tally) Result {
	matter := rules.Matters[m.Matter]
	threshold := rules.Thresholds[matter.Threshold]
	r := Result{
		Motion: m.ID, Title: m.Title, Matter: m.Matter, Threshold: matter.Threshold, Scope: m.Scope, Words: threshold.Words,
		ElectorateHeads: electorate.Heads, ElectorateArea: electorate.Area,
		ParticipatingHeads: t.YesHeads + t.NoHeads + t.AbstainHeads, ParticipatingArea: t.YesArea + t.NoArea + t.AbstainArea,
		YesHeads: t.YesHeads, YesArea: t.YesArea, NoHeads: t.NoHeads, NoArea: t.NoArea,
		AbstainHeads: t.AbstainHeads, AbstainArea: t.AbstainArea,
	}
	part, whole := votes.ScopeTotal{Heads: r.YesHeads, Area: r.YesArea}, votes.ScopeTotal{Heads: r.ParticipatingHeads, Area: r.ParticipatingArea}
	took := r.ParticipatingHeads > 0 // nobody is no quorum, also of an electorate of nobody
	if threshold.Counts == Objectors {
		part, took = votes.ScopeTotal{Heads: r.NoHeads, Area: r.NoArea}, electorate.Heads > 0
	}
	if threshold.Of == OfAll { // what is measured against all asks for no quorum
		whole = electorate
	} else {
		r.Arithmetic = []Step{
			rules.Quorum.Heads.step("quorum", "heads", r.ParticipatingHeads, r.ElectorateHeads),
			rules.Quorum.Area.step("quorum", "area_centi_m2", int64(r.ParticipatingArea), int64(r.ElectorateArea)),
		}
	}
	if r.QuorumMet = took && met(r.Arithmetic); !r.QuorumMet {
		r.Outcome = votes.NoDecision
		return r
	}
	approval := []Step{
		threshold.Heads.step("approval", "heads", part.Heads, whole.Heads),
		threshold.Area.step("approval", "area_centi_m2", int64(part.Area), int64(whole.Area)),
	}
	r.Arithmetic = append(r.Arithmetic, approval...)
	if r.Outcome = votes.NotAdopted; met(approval) {
		r.Outcome = votes.Adopted
	}
	return r
}

// step compares part ÷ whole with p without dividing: d × part against n × whole.
func (p Part) step(test, measure string, part, whole int64) Step {
	s := Step{
		Test: test, Measure: measure, Needed: "≥",
		Left:  Term{p.Denominator, part, p.Denominator * part},
		Right: Term{p.Numerator, whole, p.Numerator * whole},
	}
	switch {
	case p.Strict:
		s.Needed = ">"
	case p.AtMost:
		s.Needed = "≤"
	}
	left, right := s.Left.Product, s.Right.Product
	s.Met = left > right && !p.AtMost || left < right && p.AtMost || left == right && !p.Strict
	switch {
	case s.Met:
		s.Compare = s.Needed
	case p.AtMost:
		s.Compare = ">"
	case p.Strict:
		s.Compare = "≤"
	default:
		s.Compare = "<"
	}
	return s
}

func met(steps []Step) bool {
	for _, s := range steps {
		if !s.Met {
			return false
		}
	}
	return true
}
