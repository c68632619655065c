package pages

import (
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// MeetingModel is what the page of one meeting shows.
type MeetingModel struct {
	Meeting client.Meeting
	Estate  client.Named
	Results []client.Result // empty until they are posted
	Ballots *client.Ballots
	Posted  bool
}

// quorum is what every matter needs to take part, by heads and by area
// (Civil Code art. 278 para. 2).
var quorum = Threshold{2, 3}

// approval is the share of participants that must agree: three quarters, with
// the number itself, for special matters; more than half for all others.
func approval(rule string) Threshold {
	if rule == "special" {
		return Threshold{3, 4}
	}
	return Threshold{1, 2}
}

// known says whether the page can redo a rule's arithmetic.
func known(rule string) bool { return rule == "special" || rule == "ordinary" }

// gauge is one bar that the law judges.
type gauge struct {
	What       string
	Segments   []segment // of a line of 1000
	Tick       string
	Text       string
	Met        bool
	ShareWords string
}

type segment struct{ Class, X, Width string }

func gauges(l Lang, r client.Result) []gauge {
	need := approval(r.Rule)
	part := func(n, of int64) []segment { return []segment{{"part", "0", str(along(n, of, 1000))}} }
	split := func(yes, no, of int64) []segment {
		y, both := along(yes, of, 1000), along(yes+no, of, 1000)
		if of == 0 {
			return nil
		}
		return []segment{{"y", "0", str(y)}, {"x", str(y), str(both - y)}, {"o", str(both), str(1000 - both)}}
	}
	tests := arithmetic(l, r)
	return []gauge{
		{l.T("参与人数", "Took part · heads"), part(r.ParticipatingHead, r.ElectorateHeads), tick(quorum),
			Count(r.ParticipatingHead) + " / " + Count(r.ElectorateHeads) + l.T(" 人", ""), tests[0].Met, Vote(r.ParticipatingHead, r.ElectorateHeads, quorum)},
		{l.T("参与面积", "Took part · area"), part(int64(r.ParticipatingArea), int64(r.ElectorateArea)), tick(quorum),
			Square(r.ParticipatingArea) + " ㎡", tests[1].Met, Vote(int64(r.ParticipatingArea), int64(r.ElectorateArea), quorum)},
		{l.T("同意人数", "For · heads"), split(r.YesHeads, r.NoHeads, r.ParticipatingHead), tick(need),
			Count(r.YesHeads) + " / " + Count(r.ParticipatingHead) + l.T(" 人", ""), tests[2].Met, Vote(r.YesHeads, r.ParticipatingHead, need)},
		{l.T("同意面积", "For · area"), split(int64(r.YesArea), int64(r.NoArea), int64(r.ParticipatingArea)), tick(need),
			Square(r.YesArea) + " ㎡", tests[3].Met, Vote(int64(r.YesArea), int64(r.ParticipatingArea), need)},
	}
}

func tick(t Threshold) string { return "M" + str(along(t.Num, t.Den, 1000)) + " 0V22" }

// sum is one test of the law in whole numbers.
type sum struct {
	What, Left, Sign, Right string
	Met                     bool
}

// arithmetic redoes a result: participation is ≥ 2/3 of all, by heads and by
// area; agreement is > 1/2, or ≥ 3/4, of those who took part, by both.
func arithmetic(l Lang, r client.Result) []sum {
	need := approval(r.Rule)
	strict := r.Rule != "special"
	test := func(what string, part, whole int64, t Threshold, strict bool) sum {
		left, right := part*t.Den, whole*t.Num
		s := sum{What: what, Left: times(t.Den, part), Right: times(t.Num, whole)}
		switch {
		case left > right && strict:
			s.Sign, s.Met = ">", true
		case left >= right && !strict:
			s.Sign, s.Met = "≥", true
		case left == right:
			s.Sign = "="
		default:
			s.Sign = "<"
		}
		return s
	}
	return []sum{
		test(l.T("参与人数", "heads taking part"), r.ParticipatingHead, r.ElectorateHeads, quorum, false),
		test(l.T("参与面积", "area taking part"), int64(r.ParticipatingArea), int64(r.ElectorateArea), quorum, false),
		test(l.T("同意人数", "heads for"), r.YesHeads, r.ParticipatingHead, need, strict),
		test(l.T("同意面积", "area for"), int64(r.YesArea), int64(r.ParticipatingArea), need, strict),
	}
}

func times(factor, n int64) string {
	if factor == 1 {
		return Count(n)
	}
	return Count(factor) + " × " + Count(n) + " = " + Count(factor*n)
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

// ruleWords is the rule of a motion as a neighbour would say it.
func ruleWords(l Lang, rule string) string {
	s := l.T("参与表决的业主,人数和面积都要达到全体的三分之二;", "Those who take part must be at least two thirds of all owners, by heads and by area; ")
	if rule == "special" {
		return s + l.T("同意的,人数和面积都要达到参与者的四分之三。", "those in favour at least three quarters of the participants, by both.")
	}
	return s + l.T("同意的,人数和面积都要超过参与者的一半。", "those in favour more than half of the participants, by both.")
}

// posted is one row of the numbers a result must be posted with.
type posted struct{ What, Heads, HeadShare, Area, AreaShare string }

func postedRows(l Lang, r client.Result) []posted {
	ph, pa := r.ParticipatingHead, int64(r.ParticipatingArea)
	share := func(part, whole int64) string { return Vote(part, whole, approval(r.Rule)) }
	return []posted{
		{l.T("全体", "All"), Count(r.ElectorateHeads), "", Square(r.ElectorateArea), ""},
		{l.T("参与(占全体)", "Took part (of all)"), Count(ph), Vote(ph, r.ElectorateHeads, quorum), Square(r.ParticipatingArea), Vote(pa, int64(r.ElectorateArea), quorum)},
		{l.T("同意(占参与)", "For (of participants)"), Count(r.YesHeads), share(r.YesHeads, ph), Square(r.YesArea), share(int64(r.YesArea), pa)},
		{l.T("反对(占参与)", "Against (of participants)"), Count(r.NoHeads), share(r.NoHeads, ph), Square(r.NoArea), share(int64(r.NoArea), pa)},
		{l.T("弃权(占参与)", "Abstained (of participants)"), Count(r.AbstainHeads), share(r.AbstainHeads, ph), Square(r.AbstainArea), share(int64(r.AbstainArea), pa)},
	}
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
	Choices map[string]string // by motion
	Problem *Problem
}

// answered are the motions with a choice, in the order of the notice.
func (f BallotForm) answered() []client.Motion {
	var list []client.Motion
	for _, m := range f.Meeting.Motions {
		if f.Choices[m.ID] != "" {
			list = append(list, m)
		}
	}
	return list
}

// Receipt is the proof that a record was made, read back from the ledger itself.
type Receipt struct {
	Event  client.Event
	Ballot bool
	Hash   string
}

// resultWords says what an outcome means, and for whom.
func resultWords(l Lang, r client.Result) string {
	return l.T("范围:", "Concerns ") + Scope(l, r.Scope) + l.T("。", ". ") + outcomeMeans(l, r.Outcome)
}

// lawWords names the item of the law, and says the rule.
func lawWords(l Lang, matter, rule string) string {
	s := Matter(l, matter) + l.T("。", ". ")
	if known(rule) {
		s += ruleWords(l, rule)
	}
	return s
}

// choiceWords is a whole ballot in one line.
func choiceWords(l Lang, choices []client.Choice) string {
	parts := make([]string, len(choices))
	for i, c := range choices {
		parts[i] = c.Motion + " " + Choice(l, c.Choice)
		if c.Reason != "" {
			parts[i] += " (" + Reason(l, c.Reason) + ")"
		}
	}
	return strings.Join(parts, l.T(";", "; "))
}
