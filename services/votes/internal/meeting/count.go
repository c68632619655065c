package meeting

import (
	"maps"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
)

// Result is the count of one motion, as it is posted. Quorum is over all owners
// in scope, approval over those who took part; an abstention takes part. Where a
// rule measures against all owners instead, nothing is asked of who took part.
type Result struct {
	Motion          string        `json:"motion"`
	Title           string        `json:"title"`
	Matter          string        `json:"matter" doc:"article, paragraph and item of the law"`
	Threshold       string        `json:"rule" doc:"threshold that the matter calls for" enum:"ordinary,special,unanimity,objection"`
	Scope           string        `json:"scope"`
	ElectorateHeads int64         `json:"electorate_heads"`
	ElectorateArea  units.CentiM2 `json:"electorate_area_centi_m2"`
	Figures
	Words    Words           `json:"rule_in_words"`
	Channels []ChannelCount  `json:"channels,omitempty" doc:"the ballots by the way they came in; their sums are the figures before any rule on silence"`
	Silence  *Silence        `json:"silence,omitempty" doc:"what un-returned ballots count for; absent: for nobody"`
	Election *ElectionResult `json:"election,omitempty" doc:"of an election: what became of the candidates. Its motion has no yes and no of its own, and is adopted where anyone is elected"`
}

// Figures are what was counted and what it comes to: of a question, or of one
// candidate, with or without a rule on silence. Those who took part are those who
// agree, object and abstain, and the silent ones that [Silence] counts as taking
// part.
type Figures struct {
	ParticipatingHeads int64         `json:"participating_heads"`
	ParticipatingArea  units.CentiM2 `json:"participating_area_centi_m2"`
	YesHeads           int64         `json:"yes_heads"`
	YesArea            units.CentiM2 `json:"yes_area_centi_m2"`
	NoHeads            int64         `json:"no_heads"`
	NoArea             units.CentiM2 `json:"no_area_centi_m2"`
	AbstainHeads       int64         `json:"abstain_heads"`
	AbstainArea        units.CentiM2 `json:"abstain_area_centi_m2"`
	QuorumMet          bool          `json:"quorum_met" doc:"enough took part, or the rule does not ask for it"`
	Outcome            string        `json:"outcome" enum:"通过,未通过,未形成有效决定"`
	Arithmetic         []Step        `json:"arithmetic" doc:"the whole numbers that were compared; approval only where the quorum is met"`
}

// ChannelCount is what came in by one channel (渠道) and counts.
type ChannelCount struct {
	Channel      string        `json:"channel"`
	Heads        int64         `json:"heads" doc:"who took part in this way"`
	Area         units.CentiM2 `json:"area_centi_m2"`
	YesHeads     int64         `json:"yes_heads"`
	YesArea      units.CentiM2 `json:"yes_area_centi_m2"`
	NoHeads      int64         `json:"no_heads"`
	NoArea       units.CentiM2 `json:"no_area_centi_m2"`
	AbstainHeads int64         `json:"abstain_heads"`
	AbstainArea  units.CentiM2 `json:"abstain_area_centi_m2"`
}

// Step is one comparison of whole numbers, spelled out: 3 × 760 = 2280 ≥ 2 × 976 = 1952.
type Step struct {
	Test    string `json:"test" enum:"quorum,approval,objection" doc:"who took part, who agree, or who object, against what is asked"`
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
	Paper    *PaperCount          `json:"paper,omitempty" doc:"of a live meeting to which paper was handed in: whether all of it is accounted for"`
}

// PaperCount sets the envelopes of a live meeting against the paper ballots that
// came out of them. Each is one of counted, void and refused.
type PaperCount struct {
	HandedIn   int `json:"handed_in" doc:"envelopes, recorded before they were opened"`
	Counted    int `json:"counted" doc:"paper ballots that count on at least one motion"`
	Void       int `json:"void" doc:"spoilt or blank (废票)"`
	Refused    int `json:"refused" doc:"not counted for another reason, such as an electronic ballot that stands"`
	Difference int `json:"difference" doc:"envelopes less paper ballots; anything but 0 is to be explained"`
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
	Late       bool // recorded after voting was closed in the ledger
	Opened     bool // Choices are in clear
	Amendments int  // of the roll, recorded before the ballot was handed in
}

// On returns what the ballot says on a motion; none where that is nothing, or not
// known yet.
func (t Taken) On(motion string) []votes.Choice { return on(motion, t.Choices) }

// Settle says of all ballots that one head cast in a meeting, in recorded order,
// which of their motions count by the head's own ballots: for each ballot a reason,
// or "", for each of its Motions. One that was set aside does not: where an earlier
// one stands in its place it is none at all, else it replaces what it replaced.
func (m Meeting) Settle(taken []Taken) [][]votes.Reason {
	var answers []Answer
	for _, t := range taken {
		if t.Late || m.none(t) {
			continue
		}
		for _, id := range t.Motions {
			a := Answer{Motion: id, Channel: t.Channel, At: t.At, Proxy: t.Proxy != "", Sold: m.sold(t, id)}
			if t.Opened {
				motion, _ := m.motion(id)
				a.Void = fault(motion, t.On(id))
			}
			answers = append(answers, a)
		}
	}
	standing := Standing(m.Policy, answers)
	settled := make([][]votes.Reason, len(taken))
	for i, t := range taken {
		settled[i] = make([]votes.Reason, len(t.Motions))
		_, aside := m.aside(t)
		for j := range t.Motions {
			switch {
			case t.Late:
				settled[i][j] = votes.VotingIsClosed
				continue
			case m.none(t):
				settled[i][j] = votes.SetAside
				continue
			}
			settled[i][j], standing = standing[0], standing[1:]
			if aside && settled[i][j] == "" {
				settled[i][j] = votes.SetAside
			}
		}
	}
	return settled
}

// Counter counts a meeting, head by head.
type Counter struct {
	Summary
	Holdings Holdings // where units changed hands
	meeting  Meeting
	counts   map[string]*count      // by motion
	silent   map[string]votes.Entry // of those who were warned, who has handed in nothing
}

// NewCounter starts the count of a meeting. Of those who hand in nothing, a rule
// on silence is about the warned only, by the number of their entry: to whom the
// ballot was delivered with proof, and who were told what silence counts for.
func NewCounter(m Meeting, warned map[string]votes.Entry) *Counter {
	c := &Counter{Summary: Summary{Reasons: map[votes.Reason]int{}}, meeting: m, counts: map[string]*count{}, silent: maps.Clone(warned)}
	for _, motion := range m.Motions {
		c.counts[motion.ID] = &count{by: map[string]*tallies{}}
	}
	return c
}

// Handed is all that one head handed in, in recorded order.
type Handed struct {
	Envelopes []time.Time // of paper, when they came
	Taken     []Taken     // opened
	Refused   []votes.BallotRefused
}

// Head counts all that one head handed in. Who handed in anything, even what
// does not count, is not silent.
func (c *Counter) Head(e votes.Entry, h Handed) {
	if len(h.Taken)+len(h.Refused)+len(h.Envelopes) > 0 {
		delete(c.silent, e.Entry)
	}
	for _, r := range h.Refused {
		c.Reject(r.Reason, len(r.Motions))
	}
	settled := c.Holdings.Settle(c.meeting, h.Taken)
	for i, reasons := range settled {
		t := h.Taken[i]
		for j, reason := range reasons {
			id := t.Motions[j]
			if reason != "" {
				c.Reject(reason, 1)
				continue
			}
			c.Rows++
			c.Accepted++
			if motion, ok := c.meeting.motion(id); ok && t.Opened {
				c.counts[id].add(t.Channel, t.On(id), c.Holdings.Weight(e, motion))
			}
		}
	}
	if !c.meeting.Past {
		c.paper(h, settled)
	}
}

// paper accounts for a head's envelopes and the ballots out of them. A ballot
// that was turned away at the door never was in an envelope.
func (c *Counter) paper(h Handed, settled [][]votes.Reason) {
	const refused, void, counted = 0, 1, 2
	opened := map[string]int{} // what became of each ballot
	note := func(ballot string, reason votes.Reason) {
		became := refused
		switch reason {
		case "":
			became = counted
		case votes.NoSuchChoice, votes.TooManyApproved:
			became = void
		}
		opened[ballot] = max(opened[ballot], became)
	}
	for i, t := range h.Taken {
		for _, reason := range settled[i] {
			if onPaper(t.Channel) == votes.Paper {
				note(t.Ballot, reason)
			}
		}
	}
	for _, r := range h.Refused {
		if _, other := opened[r.Ballot]; onPaper(r.Channel) == votes.Paper && (other || slices.ContainsFunc(h.Envelopes, r.At.Equal)) {
			note(r.Ballot, r.Reason)
		}
	}
	if len(h.Envelopes)+len(opened) == 0 {
		return
	}
	if c.Paper == nil {
		c.Paper = &PaperCount{}
	}
	c.Paper.HandedIn += len(h.Envelopes)
	c.Paper.Difference += len(h.Envelopes) - len(opened)
	for _, became := range opened {
		switch became {
		case refused:
			c.Paper.Refused++
		case void:
			c.Paper.Void++
		case counted:
			c.Paper.Counted++
		}
	}
}

// Results decides every motion.
func (c *Counter) Results(rules RuleSet) []Result {
	results := make([]Result, len(c.meeting.Motions))
	for i, m := range c.meeting.Motions {
		var silent votes.ScopeTotal
		for _, e := range c.silent {
			if area := c.Holdings.Weight(e, m); area > 0 {
				silent.Heads, silent.Area = silent.Heads+1, silent.Area+area
			}
		}
		results[i] = c.counts[m.ID].result(rules, m, c.Holdings.Electorate(c.meeting, m), c.meeting.Policy.Unreturned, silent)
		if c.meeting.Unopened {
			results[i] = results[i].unopened()
		}
	}
	return results
}

// count is what counts on one motion: in all, and by channel.
type count struct {
	total tallies
	by    map[string]*tallies
}

// tallies are those of a question, which is "", or of the candidates.
type tallies struct {
	took votes.ScopeTotal
	of   map[string]*Tally
}

func (c *count) add(channel string, said []votes.Choice, area units.CentiM2) {
	if c.by[channel] == nil {
		c.by[channel] = &tallies{}
	}
	c.by[channel].add(said, area)
	c.total.add(said, area)
}

func (t *tallies) add(said []votes.Choice, area units.CentiM2) {
	if t.of == nil {
		t.of = map[string]*Tally{}
	}
	t.took.Heads, t.took.Area = t.took.Heads+1, t.took.Area+area
	for _, c := range said {
		if t.of[c.Candidate] == nil {
			t.of[c.Candidate] = &Tally{}
		}
		t.of[c.Candidate].Add(c.Choice, area)
	}
}

// tally returns the tally of a question or candidate. Who took part and said
// neither yes nor no abstains, a candidate that was left out included.
func (t *tallies) tally(candidate string) (of Tally) {
	if said := t.of[candidate]; said != nil {
		of = *said
	}
	of.AbstainHeads, of.AbstainArea = t.took.Heads-of.YesHeads-of.NoHeads, t.took.Area-of.YesArea-of.NoArea
	return of
}

// channels lists what came in by each channel for a question or candidate.
func (c *count) channels(candidate string) (list []ChannelCount) {
	for _, channel := range slices.Sorted(maps.Keys(c.by)) {
		t := c.by[channel]
		of := t.tally(candidate)
		list = append(list, ChannelCount{
			Channel: channel, Heads: t.took.Heads, Area: t.took.Area, YesHeads: of.YesHeads, YesArea: of.YesArea,
			NoHeads: of.NoHeads, NoArea: of.NoArea, AbstainHeads: of.AbstainHeads, AbstainArea: of.AbstainArea,
		})
	}
	return list
}

// result decides the motion.
func (c *count) result(rules RuleSet, m votes.Motion, electorate votes.ScopeTotal, unreturned string, silent votes.ScopeTotal) Result {
	if isElection(m) {
		return c.elect(rules, m, electorate, unreturned, silent)
	}
	voted := c.total.tally("")
	r := Count(rules, m, electorate, voted)
	r.Channels = c.channels("")
	if unreturned == "" || unreturned == votes.UnreturnedNone {
		return r
	}
	threshold := rules.Thresholds[r.Threshold]
	r.Silence = &Silence{Policy: unreturned, Heads: silent.Heads, Area: silent.Area, Before: r.Figures}
	after, as := voted, ""
	if threshold.silenceCounts() {
		after, as = voted.with(unreturned, silent)
	}
	r.Silence.CountsAs, r.Figures = as, rules.decide(threshold, electorate, after)
	return r
}

// Tally adds up the choices on one motion, or on one candidate.
type Tally struct {
	YesHeads, NoHeads, AbstainHeads int64
	YesArea, NoArea, AbstainArea    units.CentiM2
	Silent                          votes.ScopeTotal // who count as taking part without having said anything
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

// took returns who takes part.
func (t Tally) took() votes.ScopeTotal {
	return votes.ScopeTotal{
		Heads: t.YesHeads + t.NoHeads + t.AbstainHeads + t.Silent.Heads,
		Area:  t.YesArea + t.NoArea + t.AbstainArea + t.Silent.Area,
	}
}

// Count decides a question by the rules its notice named (Civil Code art. 278),
// silence counting for nobody. The motion's matter must be one of the rules'.
func Count(rules RuleSet, m votes.Motion, electorate votes.ScopeTotal, t Tally) Result {
	matter := rules.Matters[m.Matter]
	threshold := rules.Thresholds[matter.Threshold]
	return Result{
		Motion: m.ID, Title: m.Title, Matter: m.Matter, Threshold: matter.Threshold, Scope: m.Scope, Words: threshold.Words,
		ElectorateHeads: electorate.Heads, ElectorateArea: electorate.Area, Figures: rules.decide(threshold, electorate, t),
	}
}

// decide says what a tally comes to.
func (r RuleSet) decide(threshold Threshold, electorate votes.ScopeTotal, t Tally) Figures {
	took := t.took()
	f := Figures{
		ParticipatingHeads: took.Heads, ParticipatingArea: took.Area, YesHeads: t.YesHeads, YesArea: t.YesArea,
		NoHeads: t.NoHeads, NoArea: t.NoArea, AbstainHeads: t.AbstainHeads, AbstainArea: t.AbstainArea,
	}
	part, whole, test := votes.ScopeTotal{Heads: t.YesHeads, Area: t.YesArea}, took, "approval"
	f.QuorumMet = took.Heads > 0 // nobody is no quorum, also of an electorate of nobody
	if threshold.Counts == Objectors {
		part, test, f.QuorumMet = votes.ScopeTotal{Heads: t.NoHeads, Area: t.NoArea}, "objection", electorate.Heads > 0
	}
	if threshold.Of == OfAll { // what is measured against all asks for no quorum
		whole = electorate
	} else {
		f.Arithmetic = []Step{
			r.Quorum.Heads.step("quorum", "heads", took.Heads, electorate.Heads),
			r.Quorum.Area.step("quorum", "area_centi_m2", int64(took.Area), int64(electorate.Area)),
		}
		f.QuorumMet = f.QuorumMet && met(f.Arithmetic)
	}
	if !f.QuorumMet {
		f.Outcome = votes.NoDecision
		return f
	}
	compared := []Step{
		threshold.Heads.step(test, "heads", part.Heads, whole.Heads),
		threshold.Area.step(test, "area_centi_m2", int64(part.Area), int64(whole.Area)),
	}
	f.Arithmetic = append(f.Arithmetic, compared...)
	if f.Outcome = votes.NotAdopted; met(compared) {
		f.Outcome = votes.Adopted
	}
	return f
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
