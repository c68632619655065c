package meeting_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

var (
	appoint = votes.Effect{Kind: votes.AppointProvider, Agreement: "posted"}
	dismiss = votes.Effect{Kind: votes.DismissProvider, Agreement: "active"}
	draw    = votes.Effect{Kind: votes.DrawMaintenance, Amount: 12_800_000}
	budget  = votes.Effect{Kind: votes.BudgetCommonIncome, Amount: 6_000_000, Direction: "收入", Category: "公共收益", Year: 2031}
)

func TestWhatFollowsFromAMotionFitsItsMatter(t *testing.T) {
	const provider, funds, common, other = "民法典278-1-4", "民法典278-1-5", "民法典278-1-8", "民法典278-1-9"
	for _, c := range []struct {
		name, matter, scope string
		effect              votes.Effect
		wrong               string // the field and the code; "": nothing
	}{
		{"art. 278 (1) 4: appoint a provider by a contract that is posted", provider, "estate", appoint, ""},
		{"appoint a provider by a contract that nobody can read yet", provider, "estate", with(appoint, func(e *votes.Effect) { e.Agreement = "proposed" }), "effect.agreement not-posted"},
		{"appoint a provider by a contract in force", provider, "estate", with(appoint, func(e *votes.Effect) { e.Agreement = "active" }), "effect.agreement active"},
		{"appoint a provider by a contract that has ended", provider, "estate", with(appoint, func(e *votes.Effect) { e.Agreement = "ended" }), "effect.agreement ended"},
		{"appoint a provider by a contract of another estate", provider, "estate", with(appoint, func(e *votes.Effect) { e.Agreement = "foreign" }), "effect.agreement unknown"},
		{"appoint a provider by no contract", provider, "estate", with(appoint, func(e *votes.Effect) { e.Agreement = "" }), "effect.agreement unknown"},
		{"appoint a provider for one building", provider, "building:5", appoint, "scope not-the-estate"},
		{"appoint a provider by a motion on funds", funds, "estate", appoint, "effect.kind not-of-the-matter"},
		{"appoint a provider for an amount of its own", provider, "estate", with(appoint, func(e *votes.Effect) { e.Amount = 1 }), "effect.amount_fen not-asked"},
		{"art. 278 (1) 4: dismiss the provider in force", provider, "estate", dismiss, ""},
		{"dismiss a provider who has not begun", provider, "estate", with(dismiss, func(e *votes.Effect) { e.Agreement = "posted" }), "effect.agreement not-active"},
		{"dismiss a provider whose contract has ended", provider, "estate", with(dismiss, func(e *votes.Effect) { e.Agreement = "ended" }), "effect.agreement ended"},
		{"art. 278 (1) 5: draw on the maintenance fund for one building", funds, "building:5", draw, ""},
		{"draw on the maintenance fund by a motion on common parts", common, "estate", draw, "effect.kind not-of-the-matter"},
		{"draw nothing", funds, "estate", with(draw, func(e *votes.Effect) { e.Amount = 0 }), "effect.amount_fen missing"},
		{"draw less than nothing", funds, "estate", with(draw, func(e *votes.Effect) { e.Amount = -1 }), "effect.amount_fen missing"},
		{"draw for an agreement", funds, "estate", with(draw, func(e *votes.Effect) { e.Agreement = "active" }), "effect.agreement not-asked"},
		{"draw for a year", funds, "estate", with(draw, func(e *votes.Effect) { e.Year = 2031 }), "effect.category not-asked"},
		{"art. 278 (1) 8: what common parts bring in", common, "estate", budget, ""},
		{"art. 278 (1) 9: what common income is spent on", other, "estate", with(budget, func(e *votes.Effect) { e.Direction = "支出" }), ""},
		{"a line without a category", common, "estate", with(budget, func(e *votes.Effect) { e.Category = " " }), "effect.category missing"},
		{"a line in no direction", common, "estate", with(budget, func(e *votes.Effect) { e.Direction = "" }), "effect.direction not-one-of"},
		{"a line of no year", common, "estate", with(budget, func(e *votes.Effect) { e.Year = 0 }), "effect.year missing"},
		{"a line of one building", common, "building:5", budget, "scope not-the-estate"},
		{"something that nobody knows", provider, "estate", votes.Effect{Kind: "sell-the-roof"}, "effect.kind not-one-of"},
		{"something without a kind", provider, "estate", votes.Effect{Agreement: "posted"}, "effect.kind not-one-of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := drafting(t, votes.Motion{ID: "M1", Title: "一", Matter: c.matter, Scope: c.scope, Effect: c.effect})
			faults(t, d, c.wrong)
		})
	}
}

// drafting drafts motions of an estate with an agreement in each state.
func drafting(t *testing.T, motions ...votes.Motion) meeting.DraftMeeting {
	d := meeting.DraftMeeting{MeetingDrafted: drafted, Rules: civilCode(t), Agreements: map[string]meeting.Agreement{
		"proposed": {Estate: "e"}, "posted": {Estate: "e", Posted: true}, "active": {Estate: "e", Posted: true, Active: true},
		"ended": {Estate: "e", Posted: true, Ended: true}, "foreign": {Estate: "other", Posted: true},
	}}
	d.Motions = motions
	return d
}

// faults holds what a draft is refused for against one field and code; "": it is taken.
func faults(t *testing.T, d meeting.DraftMeeting, want string) {
	t.Helper()
	_, err := d.Decide(meeting.Meeting{})
	var got []string
	if p, ok := errors.AsType[*problem.Error](err); ok {
		for _, f := range p.Fields {
			_, name, _ := strings.Cut(f.Name, "].")
			got = append(got, name+" "+f.Code)
		}
	}
	if want == "" && err != nil || want != "" && !slices.Equal(got, []string{want}) {
		t.Errorf("wrong are %q, want %q: %v", got, want, err)
	}
}

func TestOneThingFollowsOnceInAMeeting(t *testing.T) {
	two := func(a, b votes.Effect) meeting.DraftMeeting {
		return drafting(t, votes.Motion{ID: "M1", Title: "一", Matter: "民法典278-1-8", Scope: "estate", Effect: a},
			votes.Motion{ID: "M2", Title: "二", Matter: "民法典278-1-8", Scope: "estate", Effect: b})
	}
	faults(t, two(budget, budget), "effect duplicate")
	faults(t, two(budget, with(budget, func(e *votes.Effect) { e.Amount++ })), "effect duplicate")
	faults(t, two(budget, with(budget, func(e *votes.Effect) { e.Year++ })), "")
}

func TestAMeetingOfThePastHasNoEffectsOfItsOwn(t *testing.T) {
	d := drafting(t, votes.Motion{ID: "M1", Title: "一", Matter: "民法典278-1-5", Scope: "estate", Effect: draw})
	d.Past = true
	faults(t, d, "effect of-the-past")
}

func TestAnEffectTakesHoldWhenTheResultIsFinal(t *testing.T) {
	called := with(drafted, func(d *votes.MeetingDrafted) {
		d.Motions = []votes.Motion{
			{ID: "M1", Title: "选聘物业", Matter: "民法典278-1-4", Scope: "estate", Effect: appoint},
			{ID: "M2", Title: "屋面防水", Matter: "民法典278-1-5", Scope: "building:5", Effect: draw},
			{ID: "M3", Title: "其他", Matter: "民法典278-1-9", Scope: "estate"},
		}
	})
	until := closes.AddDate(0, 0, 18)
	shown := events{
		called, frozen, votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes}, votes.VotingClosed{Meeting: "m"}, votes.KeyReleased{Meeting: "m", Key: "k"},
		votes.ResultPosted{Meeting: "m", At: closes, Posting: 1, Result: "hash", ObjectionsUntil: until},
	}
	outcomes := func(m1, m2 string) (list []meeting.Result) {
		for n, o := range []string{m1, m2, votes.Adopted} {
			list = append(list, meeting.Result{Motion: called.Motions[n].ID, Figures: meeting.Figures{Outcome: o}})
		}
		return list
	}
	final := func(results []meeting.Result) meeting.DeclareFinal {
		return meeting.DeclareFinal{At: until.Add(meeting.Grace), Results: results}
	}
	at := until.Add(meeting.Grace)
	ended := votes.ResultFinal{Meeting: "m", At: at, Posting: 1}
	of := func(n int) votes.DecisionEffective {
		m := called.Motions[n]
		return votes.DecisionEffective{Meeting: "m", Estate: "e", Motion: m.ID, Title: m.Title, Scope: m.Scope, Effect: m.Effect, Posting: 1, Result: "hash", At: at}
	}
	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "each motion that is adopted takes effect, and one without an effect does nothing", Given: shown, When: final(outcomes(votes.Adopted, votes.Adopted)),
			Then: events{ended, of(0), of(1)}},
		{Name: "one that is not adopted does not", Given: shown, When: final(outcomes(votes.NotAdopted, votes.Adopted)), Then: events{ended, of(1)}},
		{Name: "nor does one without a valid decision", Given: shown, When: final(outcomes(votes.NoDecision, votes.NotAdopted)), Then: events{ended}},
		{Name: "nothing takes effect while owners may object", Given: shown, When: with(final(outcomes(votes.Adopted, votes.Adopted)),
			func(c *meeting.DeclareFinal) { c.At = until }), Err: meeting.ErrStillObject},
		{Name: "nothing takes effect while an objection has no answer", Given: shown, When: with(final(outcomes(votes.Adopted, votes.Adopted)),
			func(c *meeting.DeclareFinal) { c.Open = 1 }), Err: meeting.ErrUnanswered},
		{Name: "nothing takes effect of a result that was withdrawn", Given: append(slices.Clone(shown), votes.ResultWithdrawn{Meeting: "m", Posting: 1}),
			When: final(outcomes(votes.Adopted, votes.Adopted)), Err: meeting.ErrNotPosted},
		{Name: "it takes effect once", Given: append(slices.Clone(shown), ended, of(0), of(1)), When: final(outcomes(votes.Adopted, votes.Adopted))},
	})
}
