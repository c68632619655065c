package pages

import (
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// posted is one row of the numbers a result must be posted with.
type posted struct{ What, Of, Heads, HeadShare, Area, AreaShare string }

// share is a part of heads or area: the fraction as it is, and its percentage.
func share(l Lang, part, whole int64, t Threshold, write func(int64) string) string {
	if whole == 0 {
		return "—"
	}
	return Fraction(l, write(part), write(whole)) + l.T("，", ", ") + Vote(part, whole, t)
}

func squareOf(centi int64) string { return Square(units.CentiM2(centi)) }

func postedRows(l Lang, r client.Result) []posted {
	ph, pa := r.ParticipatingHead, int64(r.ParticipatingArea)
	row := func(what, of string, heads int64, area units.CentiM2, ofHeads, ofArea int64, t Threshold) posted {
		return posted{what, of, Count(heads), share(l, heads, ofHeads, t, Count), Square(area), share(l, int64(area), ofArea, t, squareOf)}
	}
	rows := []posted{
		{l.T("全体", "All"), "", Count(r.ElectorateHeads), "", Square(r.ElectorateArea), ""},
		row(l.T("参与", "Took part"), l.T("占全体", "of all"), ph, r.ParticipatingArea, r.ElectorateHeads, int64(r.ElectorateArea), quorum),
	}
	if r.Election != nil {
		return rows
	}
	of, t := l.T("占参与", "of participants"), threshold(r, client.TestApproval, client.MeasureHeads)
	if r.Rule == ruleObjection {
		t = threshold(r, client.TestObjection, client.MeasureHeads)
	}
	if r.Rule == ruleObjection || ofAll(r) {
		of, ph, pa = l.T("占全体", "of all"), r.ElectorateHeads, int64(r.ElectorateArea)
	}
	rows = append(rows,
		row(l.T("同意", "For"), of, r.YesHeads, r.YesArea, ph, pa, t),
		row(l.T("反对", "Against"), of, r.NoHeads, r.NoArea, ph, pa, t),
		row(l.T("弃权", "Abstained"), of, r.AbstainHeads, r.AbstainArea, ph, pa, t),
	)
	if s := r.Silence; s != nil && s.CountsAs == votes.TakesPart {
		rows = append(rows, row(l.T("未交回，按规则算参与", "Not returned, taking part by the rules"), of, s.Heads, s.Area, ph, pa, t))
	}
	return rows
}

// means says what the outcome of a motion stands for.
func means(l Lang, r client.Result) string {
	switch {
	case r.Election != nil && r.Outcome == votes.Adopted:
		return l.T("应选 ", "Seats to fill: ") + Count(r.Election.Seats) + l.T(" 人，选出 ", "; elected: ") + Count(r.Election.Elected) + l.T(" 人", "") + vacant(l, *r.Election)
	case r.Election != nil && r.Outcome == votes.NotAdopted:
		return l.T("参与人数和面积够了，但没有候选人确定当选。", "Enough took part, but nobody is elected.") + vacant(l, *r.Election)
	case r.Rule == ruleObjection && r.Outcome == votes.Adopted:
		return l.T("反对的没有超过全体的三分之一，决定有效。", "Those against are at most one third of all: the decision is valid.")
	case r.Rule == ruleObjection && r.Outcome == votes.NotAdopted:
		return l.T("反对的超过了全体的三分之一。没有通过，不等于作出了相反的决定。", "Those against are more than one third of all. Not adopting a motion does not decide the opposite.")
	case r.Rule == ruleUnanimity && r.Outcome == votes.Adopted:
		return l.T("受影响的业主全部同意，决定有效。", "All affected owners agree: the decision is valid.")
	case r.Rule == ruleUnanimity && r.Outcome == votes.NotAdopted:
		return l.T("受影响的业主没有全部同意；没有表态的不算同意。", "Not all affected owners agree; silence is not consent.")
	case r.Outcome == votes.NoDecision && ofAll(r):
		return l.T("没有人表态，这次表决不产生决定。", "Nobody said anything: this vote decides nothing.")
	}
	return outcomeMeans(l, r.Outcome)
}

func vacant(l Lang, e client.Election) string {
	if e.Vacant == 0 {
		return l.T("。", ".")
	}
	return l.T("，空缺 ", "; vacant: ") + Count(e.Vacant) + l.T(" 席。", ".")
}

// silenceWords says whose silence counts, and as what.
func silenceWords(l Lang, s client.Silence) string {
	who := l.T("选票已送达、有凭证、也提醒过，又什么都没有交回的：", "Delivered to with proof, warned, and handed in nothing: ") + Count(s.Heads) + l.T(" 人、", " heads, ") + Square(s.Area) + l.T(" ㎡。", " ㎡. ")
	switch {
	case s.Heads == 0:
		return l.T("没有人符合这条规则，所以数字不变。", "The rule is about nobody here: the figures are the same.")
	case s.CountsAs == votes.TakesPart:
		return who + l.T("按议事规则算参与，不算同意也不算反对。", "By the owners' rules they take part, and are neither for nor against.")
	case s.CountsAs == votes.Yes:
		return who + l.T("同意的一方人数和面积都更多，按议事规则计入同意。", "More heads and more area are for, so by the owners' rules they count as for.")
	case s.CountsAs == votes.No:
		return who + l.T("反对的一方人数和面积都更多，按议事规则计入反对。", "More heads and more area are against, so by the owners' rules they count as against.")
	}
	return who + l.T("这一项没有人数和面积都更多的一方，或者这类事项里沉默不作数，所以不计入。", "On this motion no side has both more heads and more area, or silence counts for nothing in such a matter: they do not count.")
}

// channelTotal adds the channels up.
func channelTotal(list []client.ChannelCount) (sum client.ChannelCount) {
	for _, c := range list {
		sum.Heads, sum.Area = sum.Heads+c.Heads, sum.Area+c.Area
		sum.YesHeads, sum.YesArea = sum.YesHeads+c.YesHeads, sum.YesArea+c.YesArea
		sum.NoHeads, sum.NoArea = sum.NoHeads+c.NoHeads, sum.NoArea+c.NoArea
		sum.AbstainHeads, sum.AbstainArea = sum.AbstainHeads+c.AbstainHeads, sum.AbstainArea+c.AbstainArea
	}
	return sum
}

// paperWords says whether all paper is accounted for.
func paperWords(l Lang, p client.PaperCount) string {
	sum := l.T("收到信封 ", "envelopes ") + Count(p.HandedIn) + l.T(" 封；计入 ", "; counted ") + Count(p.Counted) + l.T(" 张、废票 ", ", void ") + Count(p.Void) +
		l.T(" 张、因其他原因未计入 ", ", not counted for another reason ") + Count(p.Refused) + l.T(" 张，合计 ", ": in all ") + Count(p.Counted+p.Void+p.Refused) + l.T(" 张。", ". ")
	if p.Difference == 0 {
		return sum + l.T("两边相符。", "The two agree.")
	}
	return sum + l.T("两边相差 ", "They differ by ") + Count(p.Difference) + l.T("，需要业委会说明。", "; the committee is to explain it.")
}

func statusClass(status string) string {
	if status == votes.Elected {
		return "yes"
	}
	return ""
}
