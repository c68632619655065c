package pages

import (
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// MeetingModel is what the page of one meeting shows.
type MeetingModel struct {
	Meeting client.Meeting
	Estate  client.Named
	Results []client.Result // empty until they are posted
	Ballots *client.Ballots
	Posted  bool

	Timeline   client.Timeline
	Objections []client.Objection
	Deadlines  []client.Deadline
	Followed   []client.Followed // what became of what was decided

	Key  string // of the form by which a reader confirms the notice
	Read bool   // just now
}

// unopened says whether too few shares of the key came, so that nobody counted.
func (m MeetingModel) unopened() bool {
	return slices.ContainsFunc(m.Timeline.Steps, func(s client.MeetingStep) bool { return s.Event == "ballots-unopened.v1" })
}

// counted says whether there are ballots that were counted.
func (m MeetingModel) counted() bool { return m.Posted && !m.unopened() }

// quorum and approval are the shares of the law, to draw the line and to choose
// how many decimals a share needs. What was decided, and by which arithmetic,
// is the API's: see [client.Step].
var quorum = Threshold{2, 3}

func approval(rule string) Threshold {
	switch rule {
	case "special":
		return Threshold{3, 4}
	case ruleUnanimity:
		return Threshold{1, 1}
	case ruleObjection:
		return Threshold{1, 3}
	}
	return Threshold{1, 2}
}

// step finds the comparison behind a gauge. One that was not made, as approval
// where too few took part, is not found.
func step(r client.Result, test, measure string) (client.Step, bool) {
	for _, s := range r.Arithmetic {
		if s.Test == test && s.Measure == measure {
			return s, true
		}
	}
	return client.Step{}, false
}

// threshold is the share a step asks for: 3 × part against 2 × whole is 2/3.
func threshold(r client.Result, test, measure string) Threshold {
	if s, ok := step(r, test, measure); ok {
		return Threshold{s.Right.Factor, s.Left.Factor}
	}
	if test == client.TestQuorum {
		return quorum
	}
	return approval(r.Rule)
}

// votingTime is when a meeting takes ballots, once that is announced.
func votingTime(l Lang, m client.Meeting) string {
	if m.Opens == nil || m.Opens.IsZero() {
		return l.T("日期待公告", "dates to be announced")
	}
	return At(m.Opens) + l.T(" 至 ", " to ") + At(m.Closes)
}

// gauge is one bar that the law judges.
type gauge struct {
	What, Text, Share string
	Segments          []segment // of a line of 1000
	Tick              string
	Judged, Met       bool
}

type segment struct{ Class, X, Width string }

func gauges(l Lang, r client.Result) []gauge {
	one := func(n, of int64) []segment { return []segment{{"part", "0", str(along(n, of, 1000))}} }
	split := func(yes, no, of int64) []segment {
		if of == 0 {
			return nil
		}
		y, both := along(yes, of, 1000), along(yes+no, of, 1000)
		return []segment{{"y", "0", str(y)}, {"x", str(y), str(both - y)}, {"o", str(both), str(1000 - both)}}
	}
	draw := func(what, test, measure string, part, whole int64, segments []segment) gauge {
		t := threshold(r, test, measure)
		s, judged := step(r, test, measure)
		g := gauge{What: what, Share: Vote(part, whole, t), Segments: segments, Tick: "M" + str(along(t.Num, t.Den, 1000)) + " 0V22", Judged: judged, Met: s.Met}
		if measure == client.MeasureHeads {
			g.Text = Count(part) + " / " + Count(whole) + l.T(" 人", "")
		} else {
			g.Text = Square(units.CentiM2(part)) + " ㎡"
		}
		return g
	}
	allHeads, allArea := r.ElectorateHeads, int64(r.ElectorateArea)
	if r.Rule == ruleObjection {
		against := func(n, of int64) []segment { return []segment{{"x", "0", str(along(n, of, 1000))}} }
		return []gauge{
			draw(l.T("反对人数", "Against · heads"), client.TestObjection, client.MeasureHeads, r.NoHeads, allHeads, against(r.NoHeads, allHeads)),
			draw(l.T("反对面积", "Against · area"), client.TestObjection, client.MeasureArea, int64(r.NoArea), allArea, against(int64(r.NoArea), allArea)),
		}
	}
	heads, area := r.ParticipatingHead, int64(r.ParticipatingArea)
	var list []gauge
	if ofAll(r) {
		heads, area = allHeads, allArea
	} else {
		list = []gauge{
			draw(l.T("参与人数", "Took part · heads"), client.TestQuorum, client.MeasureHeads, heads, allHeads, one(heads, allHeads)),
			draw(l.T("参与面积", "Took part · area"), client.TestQuorum, client.MeasureArea, area, allArea, one(area, allArea)),
		}
	}
	if r.Election != nil { // each candidate is judged by itself
		return list
	}
	return append(list,
		draw(l.T("同意人数", "For · heads"), client.TestApproval, client.MeasureHeads, r.YesHeads, heads, split(r.YesHeads, r.NoHeads, heads)),
		draw(l.T("同意面积", "For · area"), client.TestApproval, client.MeasureArea, int64(r.YesArea), area, split(int64(r.YesArea), int64(r.NoArea), area)),
	)
}

// Rules that ask nothing of who took part.
const (
	ruleObjection = "objection"
	ruleUnanimity = "unanimity"
)

// ofAll reports whether approval is measured against all owners: then there is no
// quorum in the arithmetic.
func ofAll(r client.Result) bool {
	_, quorum := step(r, client.TestQuorum, client.MeasureHeads)
	_, approval := step(r, client.TestApproval, client.MeasureHeads)
	return r.Rule == ruleUnanimity || approval && !quorum
}

// stepWords is what a step compares.
func stepWords(l Lang, s client.Step) string {
	switch s.Test + " " + s.Measure {
	case client.TestQuorum + " " + client.MeasureHeads:
		return l.T("参与人数", "heads taking part")
	case client.TestQuorum + " " + client.MeasureArea:
		return l.T("参与面积", "area taking part")
	case client.TestApproval + " " + client.MeasureHeads:
		return l.T("同意人数", "heads for")
	case client.TestApproval + " " + client.MeasureArea:
		return l.T("同意面积", "area for")
	case client.TestObjection + " " + client.MeasureHeads:
		return l.T("反对人数", "heads against")
	case client.TestObjection + " " + client.MeasureArea:
		return l.T("反对面积", "area against")
	}
	return s.Test
}

// times spells a product out: 3 × 760 = 2,280.
func times(t client.Term) string {
	if t.Factor == 1 {
		return Count(t.Value)
	}
	return Count(t.Factor) + " × " + Count(t.Value) + " = " + Count(t.Product)
}

func met(l Lang, ok bool) string {
	if ok {
		return l.T("✓ 达到", "✓ met")
	}
	return l.T("✗ 未达到", "✗ not met")
}

func metClass(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}

// ruleWords is the rule of a motion as a neighbour would say it, for a motion
// that has no result yet; a result brings the words of its own rule set.
func ruleWords(l Lang, rule string) string {
	s := l.T("参与表决的业主，人数和面积都要达到全体的三分之二；", "Those who take part must be at least two thirds of all owners, by heads and by area; ")
	switch rule {
	case "special":
		return s + l.T("同意的，人数和面积都要达到参与者的四分之三。", "those in favour at least three quarters of the participants, by both.")
	case ruleUnanimity:
		return l.T("受影响的业主要全部同意；没有表态的不算同意。", "All affected owners must agree; silence is not consent.")
	case ruleObjection:
		return l.T("反对的，人数和面积都不超过全体的三分之一，就通过；没有表态的不算反对。", "Adopted if those against are at most one third of all owners, by heads and by area; silence objects to nothing.")
	case "ordinary":
		return s + l.T("同意的，人数和面积都要超过参与者的一半。", "those in favour more than half of the participants, by both.")
	}
	return ""
}

// reasonRow is how many choices one reason turned away.
type reasonRow struct {
	Code  string
	Count int64
}

func reasons(b client.Ballots) []reasonRow {
	var rows []reasonRow
	for code, n := range b.Reasons {
		rows = append(rows, reasonRow{code, n})
	}
	slices.SortFunc(rows, func(a, b reasonRow) int {
		if a.Count != b.Count {
			return int(b.Count - a.Count)
		}
		return strings.Compare(a.Code, b.Code)
	})
	return rows
}

// BallotForm is a ballot being filled in.
type BallotForm struct {
	Meeting client.Meeting
	Estate  client.Named
	Key     string
	Choices map[string]string // by [AnswerKey]
	Voted   Voted
	Traded  []client.Amendment // units that the reader bought or sold during the vote
	Problem *Problem
}

// tradedWords tells who bought or sold a unit during the vote whose ballot counts for
// it.
func tradedWords(l Lang, a client.Amendment) string {
	switch {
	case a.Sold && a.SellerVoted:
		return a.Unit + l.T("：你在投票期间转让了这套房，转让以前已经交了票。那张票答过的议题以那张票为准，再投也不会改变。", ": you sold this unit during the vote, and had handed in a ballot before. On what that ballot answers it stands, and no later one of yours changes it.")
	case a.Sold:
		return a.Unit + l.T("：你在投票期间转让了这套房，当时还没有投票，这套房由买方投票。", ": you sold this unit during the vote without having voted. Its buyer votes for it.")
	case a.SellerVoted:
		return a.Unit + l.T("：你在投票期间买下了这套房，卖方在转让以前已经交了票。卖方那张票有效的议题，以那张票为准，你的票不再为这套房计入。", ": you bought this unit during the vote, and its seller had handed in a ballot before. On what that ballot counts it stands, and yours does not count for this unit.")
	}
	return a.Unit + l.T("：你在投票期间买下了这套房，卖方没有投过票，这套房由你投票。", ": you bought this unit during the vote. Its seller had not voted, and you vote for it.")
}

// soldWords says where units sold during the vote changed the heads of a motion.
func soldWords(l Lang, m client.Meeting, r client.Result) string {
	if m.Roll == nil || m.Past {
		return ""
	}
	for _, s := range m.Roll.Scopes {
		if (s.Scope == r.Scope || s.Scope == r.Scope+":"+r.Motion) && s.Heads != r.ElectorateHeads {
			return l.T("封存的名册上是 ", "On the frozen roll there are ") + Count(s.Heads) + l.T(" 人。投票期间有房屋转让，按每套房屋由谁投票计，是 ", " heads. Units were sold during the vote; by who votes for each, there are ") + Count(r.ElectorateHeads) + l.T(" 人；总面积不变。", ". The area is the same.")
		}
	}
	return ""
}

// Asked lists what a ballot may answer of a motion, with the choice left open:
// the question itself or, of an election, each candidate.
func Asked(m client.Motion) []client.Choice {
	if m.Seats == 0 {
		return []client.Choice{{Motion: m.ID}}
	}
	var list []client.Choice
	for _, c := range m.Candidates {
		list = append(list, client.Choice{Motion: m.ID, Candidate: c.ID})
	}
	return list
}

// AnswerKey names an answer in the form.
func AnswerKey(c client.Choice) string {
	if c.Candidate == "" {
		return c.Motion
	}
	return c.Motion + "/" + c.Candidate
}

// answers are the choices made on a motion, in the order of the paper.
func (f BallotForm) answers(m client.Motion) (list []client.Choice) {
	for _, c := range Asked(m) {
		if c.Choice = f.Choices[AnswerKey(c)]; c.Choice != "" {
			list = append(list, c)
		}
	}
	return list
}

// answered are the motions with a choice, in the order of the notice.
func (f BallotForm) answered() []client.Motion {
	var list []client.Motion
	for _, m := range f.Meeting.Motions {
		if len(f.answers(m)) > 0 {
			list = append(list, m)
		}
	}
	return list
}

// groupOf ties the choices on a candidate to their name; those on a question are
// its fieldset.
func groupOf(c client.Choice) templ.Attributes {
	if c.Candidate == "" {
		return nil
	}
	return templ.Attributes{"role": "group", "aria-labelledby": "of-" + AnswerKey(c)}
}

// candidate is how a candidate is named: by a unit of theirs.
func candidate(m client.Motion, id string) string {
	for _, c := range m.Candidates {
		if c.ID == id {
			return c.ID + "　" + c.Unit
		}
	}
	return id
}

// electionHint says how an election is answered.
func electionHint(l Lang, m client.Motion) string {
	hint := l.T("应选 ", "Seats: ") + Count(m.Seats) + l.T(" 人。每位候选人分别选择；没有选的算弃权。", ". Choose for each candidate; one left out is abstained on.")
	if m.Approvals > 0 {
		hint += l.T("最多赞成 ", " Approve at most ") + Count(m.Approvals) + l.T(" 人，超过的整项作废。", ": more, and the election is void on your ballot.")
	}
	return hint + l.T("候选人的姓名见张贴的公告。", " Names of candidates are on the posted notice.")
}

// Receipt is the proof that a record was made, read back from the ledger itself.
type Receipt struct {
	Event   client.Event
	Parts   []client.BallotPart // of a ballot: what was taken of it, and what was not
	Meeting client.Meeting      // of a ballot; empty where it cannot be read
	Proof   *Proof              // nil where it cannot be had yet
}

// Proof is what a receipt proves, and what must be kept of it.
type Proof struct {
	Leaf   uint64 // the event's number in the log, from 0
	Hash   string // of the leaf, hex
	Size   uint64 // of the checkpoint
	Origin string
	Paper  string // what its QR code holds
}

// answer is what became of a ballot on one motion.
type answer struct{ Motion, Title, Reason string }

func (r Receipt) answers() (list []answer, taken, refused int) {
	for _, part := range r.Parts {
		for _, id := range part.Motions {
			a := answer{Motion: id, Reason: part.Reason}
			if i := slices.IndexFunc(r.Meeting.Motions, func(m client.Motion) bool { return m.ID == id }); i >= 0 {
				a.Title = r.Meeting.Motions[i].Title
			}
			list = append(list, a)
			if a.Reason == "" {
				taken++
			} else {
				refused++
			}
		}
	}
	return list, taken, refused
}

// sealed says whether the ballot's choices are sealed in the ledger.
func (r Receipt) sealed() bool {
	return slices.ContainsFunc(r.Parts, func(p client.BallotPart) bool { return p.Sealed != "" })
}

// Voted is what a voter handed in to a meeting before.
type Voted struct {
	Ballots []client.OwnBallot // those that were taken
	Policy  client.Policy
}

// motions that were answered, each once.
func (d Voted) motions() []string {
	var list []string
	for _, b := range d.Ballots {
		for _, id := range answeredBy(b) {
			if !slices.Contains(list, id) {
				list = append(list, id)
			}
		}
	}
	slices.Sort(list)
	return list
}

// words say what another ballot does.
func (d Voted) words(l Lang) string {
	switch {
	case d.Ballots[0].Channel == votes.Paper:
		return PolicyWords(l, d.Policy.PaperAndElectronic) + l.T("。", ".")
	case d.Policy.Revote == votes.FirstBallotStands:
		return l.T("先投的算数：这些议题再投一次也不会计入。", "The first ballot stands: another one on these motions does not count.")
	case d.Policy.Revote == votes.LastBallotStands:
		return l.T("后投的算数：再投一次，会替换这些议题上原来的选择。", "The last ballot stands: another one replaces your choice on these motions.")
	}
	return ""
}

// resultWords says what an outcome means, and for whom.
func resultWords(l Lang, r client.Result) string {
	return l.T("范围：", "Concerns ") + Scope(l, r.Scope) + l.T("。", ". ") + means(l, r)
}

// lawWords names the item of the law, and says the rule. The rule's own words
// begin with its article, which the item names already.
func lawWords(l Lang, matter, rule string, words client.Words) string {
	said := l.T(words.ZH, words.EN)
	if said == "" {
		said = ruleWords(l, rule)
	}
	if _, rest, ok := strings.Cut(said, ":"); ok {
		said = strings.TrimSpace(rest)
	}
	return Matter(l, matter) + l.T("：", ": ") + said
}

// choiceWords is a whole ballot in one line.
func choiceWords(l Lang, choices []client.Choice) string {
	parts := make([]string, len(choices))
	for i, c := range choices {
		parts[i] = strings.TrimSpace(c.Motion+" "+c.Candidate) + " " + Choice(l, c.Choice)
		if c.Reason != "" {
			parts[i] += " (" + Reason(l, c.Reason) + ")"
		}
	}
	return strings.Join(parts, l.T("；", "; "))
}

// answeredBy are the motions that a ballot answers and that were not refused.
func answeredBy(b client.OwnBallot) []string {
	if len(b.Choices) == 0 {
		return b.Motions
	}
	var list []string
	for _, c := range b.Choices {
		if c.Reason == "" && !slices.Contains(list, c.Motion) { // of an election there are several
			list = append(list, c.Motion)
		}
	}
	return list
}

// sealed says that a ballot's choices cannot be read, yet or ever.
func sealed(b client.OwnBallot) bool {
	return !slices.ContainsFunc(b.Choices, func(c client.Choice) bool { return c.Choice != "" })
}
