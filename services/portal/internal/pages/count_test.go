package pages

import (
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

func shown(t *testing.T, r client.Result) string {
	t.Helper()
	var b strings.Builder
	if err := motionResult(View{}, r).Render(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func says(t *testing.T, page string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(page, w) {
			t.Errorf("does not say %q", w)
		}
	}
}

func term(factor, value int64) client.Term {
	return client.Term{Factor: factor, Value: value, Product: factor * value}
}

func TestAResultShowsItsFiguresBeforeAndAfterSilence(t *testing.T) {
	before := client.Figures{ParticipatingHead: 5, ParticipatingArea: 50000, YesHeads: 3, YesArea: 30000, NoHeads: 1, NoArea: 10000, AbstainHeads: 1, AbstainArea: 10000, Outcome: votes.NoDecision}
	after := before
	after.ParticipatingHead, after.ParticipatingArea, after.YesHeads, after.YesArea, after.Outcome, after.QuorumMet = 7, 70000, 5, 50000, votes.Adopted, true
	r := client.Result{Motion: "M1", Rule: "ordinary", Scope: "estate", ElectorateHeads: 9, ElectorateArea: 90000, Figures: after, Silence: &client.Silence{
		Policy: votes.UnreturnedWithMajority, Heads: 2, Area: 20000, CountsAs: votes.Yes, Before: before,
	}, Channels: []client.ChannelCount{
		{Channel: votes.Electronic, Heads: 4, Area: 40000, YesHeads: 3, YesArea: 30000, NoHeads: 1, NoArea: 10000},
		{Channel: votes.Paper, Heads: 1, Area: 10000, AbstainHeads: 1, AbstainArea: 10000},
	}}
	page := shown(t, r)
	says(t, page, "2 人、200.00 ㎡", "按议事规则计入同意", "5 人<br><small>500.00 ㎡", "7 人<br><small>700.00 ㎡", "未形成有效决定", "通过",
		"9 分之 7，77.77%", "7 分之 5，71.42%", "900.00 分之 700.00，77.77%", "百分数一律去尾", "合计", "电子票", "纸质票")
	r.Silence.CountsAs, r.Figures = "", before
	says(t, shown(t, r), "所以不计入")
}

func TestAnElectionShowsItsCandidates(t *testing.T) {
	figures := func(heads int64, outcome string) client.Figures {
		return client.Figures{ParticipatingHead: 10, YesHeads: heads, AbstainHeads: 10 - heads, Outcome: outcome, Arithmetic: []client.Step{
			{Test: client.TestApproval, Measure: client.MeasureHeads, Left: term(2, heads), Compare: ">", Right: term(1, 10), Met: true},
		}}
	}
	page := shown(t, client.Result{
		Motion: "M1", Rule: "ordinary", Scope: "estate", ElectorateHeads: 12, Figures: client.Figures{ParticipatingHead: 10, Outcome: votes.Adopted, QuorumMet: true},
		Election: &client.Election{Seats: 3, Elected: 1, Vacant: 2, Candidates: []client.CandidateResult{
			{Candidate: client.Candidate{ID: "c2", Unit: "5-1-102"}, Rank: 1, Status: votes.Elected, Figures: figures(9, votes.Adopted)},
			{Candidate: client.Candidate{ID: "c1", Unit: "5-1-101"}, Rank: 2, Status: votes.Tied, Figures: figures(7, votes.Adopted)},
			{Candidate: client.Candidate{ID: "c3", Unit: "5-1-103"}, Status: votes.NotElected, Figures: figures(2, votes.NotAdopted)},
		}},
	})
	says(t, page, "应选 3 人，选出 1 人，空缺 2 席", "c2<br>5-1-102", "第 1 名", "票数相同，待业主再投", "未当选", "2 × 9 = 18", "12 分之 10，83.33%")
	if strings.Contains(page, "同意人数</span>") || strings.Contains(page, "占参与") {
		t.Error("the motion of an election has no yes and no of its own")
	}
}

func TestAnObjectionVoteShowsWhoObjects(t *testing.T) {
	r := client.Result{
		Motion: "M1", Rule: "objection", Scope: "building:5", ElectorateHeads: 9, ElectorateArea: 90000,
		Figures: client.Figures{NoHeads: 3, NoArea: 30000, ParticipatingHead: 3, ParticipatingArea: 30000, QuorumMet: true, Outcome: votes.Adopted, Arithmetic: []client.Step{
			{Test: client.TestObjection, Measure: client.MeasureHeads, Left: term(3, 3), Compare: "≤", Right: term(1, 9), Met: true},
			{Test: client.TestObjection, Measure: client.MeasureArea, Left: term(3, 30000), Compare: "≤", Right: term(1, 90000), Met: true},
		}},
	}
	page := shown(t, r)
	says(t, page, "反对人数", "3 × 3 = 9", "3 × 30,000 = 90,000", "没有超过全体的三分之一", "占全体", "9 分之 3，33.33%")
	if strings.Contains(page, "参与人数</span>") {
		t.Error("nothing is asked of who takes part")
	}
	r.Rule, r.Outcome, r.Arithmetic = "unanimity", votes.NotAdopted, nil
	says(t, shown(t, r), "没有全部同意", "同意人数", "占全体")
}

func TestPaperIsAccountedFor(t *testing.T) {
	says(t, paperWords(Chinese, client.PaperCount{HandedIn: 7, Counted: 4, Void: 1, Refused: 2}), "7 封", "合计 7 张", "两边相符")
	says(t, paperWords(Chinese, client.PaperCount{HandedIn: 7, Counted: 4, Void: 1, Refused: 1, Difference: 1}), "合计 6 张", "两边相差 1")
}

func TestABallotOfAnElectionIsAnsweredCandidateByCandidate(t *testing.T) {
	m := client.Motion{ID: "M3", Seats: 1, Approvals: 1, Candidates: []client.Candidate{{ID: "c1", Unit: "5-1-101"}, {ID: "c2", Unit: "5-1-102"}}}
	form := BallotForm{Meeting: client.Meeting{Motions: []client.Motion{m}}, Choices: map[string]string{"M3/c2": votes.Yes}}
	var page strings.Builder
	if err := Ballot(View{}, form).Render(t.Context(), &page); err != nil {
		t.Fatal(err)
	}
	says(t, page.String(), `name="choice-M3/c1"`, `name="choice-M3/c2"`, "c2　5-1-102", "最多赞成 1 人", "checked")
	page.Reset()
	if err := Review(View{}, form).Render(t.Context(), &page); err != nil {
		t.Fatal(err)
	}
	says(t, page.String(), `name="choice-M3/c2" value="赞成"`, "c2　5-1-102")
	if strings.Contains(page.String(), "choice-M3/c1") || len(form.answered()) != 1 {
		t.Error("what is not answered is not sent")
	}
}

func TestHeadsThatSalesChangedAreSaidBesideThoseOfTheFrozenRoll(t *testing.T) {
	m := client.Meeting{Roll: &client.Roll{Scopes: []client.Scope{{Scope: "estate", Heads: 976}, {Scope: "units:M3", Heads: 2}}}}
	for _, c := range []struct {
		name string
		r    client.Result
		want string
	}{
		{"nothing was sold", client.Result{Motion: "M1", Scope: "estate", ElectorateHeads: 976}, ""},
		{"one head more", client.Result{Motion: "M1", Scope: "estate", ElectorateHeads: 977}, "封存的名册上是 976 人。投票期间有房屋转让，按每套房屋由谁投票计，是 977 人；总面积不变。"},
		{"of listed units", client.Result{Motion: "M3", Scope: "units", ElectorateHeads: 1}, "封存的名册上是 2 人。投票期间有房屋转让，按每套房屋由谁投票计，是 1 人；总面积不变。"},
	} {
		if got := soldWords("zh", m, c.r); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
