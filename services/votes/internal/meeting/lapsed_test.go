package meeting_test

import (
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestAMatterThatLapsedRestsForAYear(t *testing.T) {
	rests := with(civilCode(t), func(r *meeting.RuleSet) { r.Extension.RestYears = 1 })
	lapsed := []meeting.Lapsed{{Meeting: "before", Motion: drafted.Motions[0], Closed: noon.AddDate(-1, 0, 0).Add(1)}} // until an instant after noon
	differs := []votes.Differs{{Motion: "M1", From: "before", Reason: "候选的物业服务人不同。"}}
	post := meeting.PostNotice{Now: noon, Opens: opens, Closes: closes, Rules: rests, Lapsed: lapsed}
	posted := votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes, RuleSet: rests.ID, RuleHash: rests.Hash}
	of := func(change func(*meeting.PostNotice)) meeting.PostNotice { return with(post, change) }
	other := func(change func(*votes.Motion)) meeting.PostNotice {
		l := lapsed[0]
		change(&l.Motion)
		return of(func(c *meeting.PostNotice) { c.Lapsed = []meeting.Lapsed{l} })
	}
	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "深圳: it comes back an instant before the year is over", Given: events{drafted, frozen}, When: post, Err: meeting.ErrResting},
		{Name: "深圳: it comes back when the year is over", Given: events{drafted, frozen},
			When: of(func(c *meeting.PostNotice) {
				c.Lapsed = []meeting.Lapsed{with(lapsed[0], func(l *meeting.Lapsed) { l.Closed = l.Closed.Add(-1) })}
			}), Then: events{posted}},
		{Name: "深圳: another question on the same matter, and how it differs", Given: events{drafted, frozen}, When: of(func(c *meeting.PostNotice) { c.Differs = differs }),
			Then: events{with(posted, func(p *votes.NoticePosted) { p.Differs = differs })}},
		{Name: "another matter", Given: events{drafted, frozen}, When: other(func(m *votes.Motion) { m.Matter = "民法典278-1-1" }), Then: events{posted}},
		{Name: "another scope", Given: events{drafted, frozen}, When: other(func(m *votes.Motion) { m.Scope = "building:9" }), Then: events{posted}},
		{Name: "another list of units", Given: events{drafted, frozen}, When: other(func(m *votes.Motion) { m.Units = []string{"1-101"} }), Then: events{posted}},
		{Name: "where the rules do not say so", Given: events{drafted, frozen}, When: of(func(c *meeting.PostNotice) { c.Rules = civilCode(t) }), Then: events{posted}},
		{Name: "how a motion differs that does not rest", Given: events{drafted, frozen}, When: of(func(c *meeting.PostNotice) {
			c.Differs = append(differs, votes.Differs{Motion: "M2", From: "before", Reason: "不同。"})
		}), Err: meeting.ErrDiffers},
		{Name: "how it differs from what another meeting had", Given: events{drafted, frozen}, When: of(func(c *meeting.PostNotice) {
			c.Differs = []votes.Differs{{Motion: "M1", From: "other", Reason: "不同。"}}
		}), Err: meeting.ErrDiffers},
		{Name: "how it differs, twice", Given: events{drafted, frozen}, When: of(func(c *meeting.PostNotice) { c.Differs = append(differs, differs...) }), Err: meeting.ErrDiffers},
		{Name: "how it differs, with somebody's phone number", Given: events{drafted, frozen}, When: of(func(c *meeting.PostNotice) {
			c.Differs = []votes.Differs{{Motion: "M1", From: "before", Reason: "请致电13800000000"}}
		}), Err: problem.Invalid("words-wrong", "")},
	})

	extended := votes.VotingExtended{Meeting: "m", At: closes.Add(-time.Hour), From: closes, Closes: closes.AddDate(0, 3, 0)}
	counted := []votes.Event{drafted, frozen, posted, extended, votes.VotingClosed{}, votes.KeyReleased{Key: "k"}}
	none := []meeting.Result{{Motion: "M1", Figures: meeting.Figures{Outcome: votes.NoDecision}}, {Motion: "M2", Figures: meeting.Figures{Outcome: votes.NotAdopted}}}
	for _, c := range []struct {
		name  string
		given []votes.Event
		want  int
	}{
		{"extended, and still too few on one of two motions", counted, 1},
		{"too few, and never extended", []votes.Event{drafted, frozen, posted, votes.VotingClosed{}, votes.KeyReleased{Key: "k"}}, 0},
		{"extended, and not counted yet", counted[:5], 0},
		{"extended, and too few shares of the key came", append(append([]votes.Event{}, counted[:5]...), votes.BallotsUnopened{}), 0},
		{"extended, and cancelled", append(append([]votes.Event{}, counted[:4]...), votes.MeetingCancelled{At: closes}), 0},
	} {
		var m meeting.Meeting
		for _, e := range c.given {
			m = meeting.Evolve(m, e)
		}
		got := m.Lapsed(none)
		if len(got) != c.want || c.want == 1 && (got[0].Motion.ID != "M1" || !got[0].Closed.Equal(extended.Closes)) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
