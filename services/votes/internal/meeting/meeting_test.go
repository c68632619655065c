package meeting_test

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

var (
	noon    = time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	opens   = noon.AddDate(0, 0, 15)
	closes  = noon.AddDate(0, 0, 29)
	drafted = votes.MeetingDrafted{
		Meeting: "m", Estate: "e", Title: "业主大会",
		Policy: votes.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands, Unreturned: votes.UnreturnedNone},
		Motions: []votes.Motion{
			{ID: "M1", Title: "选聘物业", Matter: "民法典278-1-4", Scope: "estate"},
			{ID: "M2", Title: "屋面防水", Matter: "民法典278-1-5", Scope: "building:5"},
		},
	}
	frozen = votes.RollFrozen{Meeting: "m", Roll: "hash", Heads: 2, Area: 200}
)

type events = []votes.Event

func same(a, b votes.Event) bool { return reflect.DeepEqual(a, b) }

func with[T any](v T, change func(*T)) T {
	change(&v)
	return v
}

func TestMeeting(t *testing.T) {
	set := civilCode(t)
	past := with(drafted, func(d *votes.MeetingDrafted) { d.Past = true })
	posted := votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes, RuleSet: set.ID, RuleHash: set.Hash}
	notice := meeting.PostNotice{Now: noon, Opens: opens, Closes: closes, Rules: set}
	pastNotice := with(notice, func(n *meeting.PostNotice) { n.At, n.Now = noon, closes })
	entered, closed, released := votes.PaperEntryCompleted{Meeting: "m"}, votes.VotingClosed{Meeting: "m"}, votes.KeyReleased{Meeting: "m", Key: "k"}
	draft := meeting.DraftMeeting{MeetingDrafted: drafted, Rules: set}
	wrong := problem.Invalid("meeting-wrong", "")
	bad := func(change func(*votes.MeetingDrafted)) meeting.DraftMeeting {
		d := drafted
		d.Motions = append([]votes.Motion{}, d.Motions...)
		change(&d)
		return meeting.DraftMeeting{MeetingDrafted: d, Rules: set}
	}

	called := func(kind, convener string, asked bool) meeting.DraftMeeting {
		return bad(func(d *votes.MeetingDrafted) {
			d.Convened = votes.Convened{Kind: kind, Convener: convener, AskedByOwners: asked}
		})
	}
	special := called(votes.Special, votes.OfCommittee, false).MeetingDrafted
	hangzhou := withRules(t, "hangzhou.2", nil)
	scoped := func(scope string, units ...string) meeting.DraftMeeting {
		return bad(func(d *votes.MeetingDrafted) { d.Motions[1].Scope, d.Motions[1].Units = scope, units })
	}
	places := meeting.PlacesOf(slices.Values([]registry.Unit{{Code: "5-1-101", Building: "5", Stair: "1"}, {Code: "5-2-101", Building: "5", Stair: "2"}}))

	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "draft", When: draft, Then: events{drafted}},
		{Name: "draft twice", Given: events{drafted}, When: draft, Err: meeting.ErrDrafted},
		{Name: "draft without a policy on revoting", When: bad(func(d *votes.MeetingDrafted) { d.Policy.Revote = "" }), Err: wrong},
		{Name: "draft with a policy on paper that does not exist", When: bad(func(d *votes.MeetingDrafted) { d.Policy.PaperAndElectronic = "both" }), Err: wrong},
		{Name: "draft with silence as consent", When: bad(func(d *votes.MeetingDrafted) { d.Policy.Unreturned = "yes" }), Err: wrong},
		{Name: "draft without motions", When: bad(func(d *votes.MeetingDrafted) { d.Motions = nil }), Err: wrong},
		{Name: "draft with a motion twice", When: bad(func(d *votes.MeetingDrafted) { d.Motions[1].ID = "M1" }), Err: wrong},
		{Name: "draft with a matter the law does not have", When: bad(func(d *votes.MeetingDrafted) { d.Motions[0].Matter = "民法典278-1-10" }), Err: wrong},
		{Name: "draft with an unknown kind of scope", When: bad(func(d *votes.MeetingDrafted) { d.Motions[0].Scope = "street" }), Err: wrong},

		{Name: "draft with a building that the estate does not have", When: with(draft, func(d *meeting.DraftMeeting) { d.Buildings = []string{"4", "6"} }), Err: wrong},
		{Name: "draft with a building that the estate has", When: with(draft, func(d *meeting.DraftMeeting) { d.Buildings = []string{"4", "5"} }), Then: events{drafted}},
		{Name: "draft with a stair that the estate does not have", When: with(scoped("stair:5-3"), func(d *meeting.DraftMeeting) { d.Places = places }), Err: wrong},
		{Name: "draft with a stair that the estate has", When: with(scoped("stair:5-1"), func(d *meeting.DraftMeeting) { d.Places = places }), Then: events{scoped("stair:5-1").MeetingDrafted}},
		{Name: "draft with units that are not listed", When: scoped("units"), Err: wrong},
		{Name: "draft with a list and another scope", When: scoped("building:5", "5-1-101"), Err: wrong},
		{Name: "draft with a unit listed twice", When: scoped("units", "5-1-101", "5-1-101"), Err: wrong},
		{Name: "draft with a unit that the estate does not have", When: with(scoped("units", "5-1-109"), func(d *meeting.DraftMeeting) { d.Places = places }), Err: wrong},
		{Name: "上海 art. 69, 河南 art. 66: draft with the affected units", When: with(scoped("units", "5-1-101"), func(d *meeting.DraftMeeting) { d.Places = places }),
			Then: events{scoped("units", "5-1-101").MeetingDrafted}},
		{Name: "draft with a threshold the law does not have", When: with(draft, func(d *meeting.DraftMeeting) { d.Stated = []string{"", "special"} }), Err: wrong},
		{Name: "draft with the threshold of the law", When: with(draft, func(d *meeting.DraftMeeting) { d.Stated = []string{"ordinary", ""} }), Then: events{drafted}},

		{Name: "物业管理条例 art. 13: draft a special meeting that owners asked for", When: called(votes.Special, votes.OfCommittee, true),
			Then: events{called(votes.Special, votes.OfCommittee, true).MeetingDrafted}},
		{Name: "物业管理条例 art. 13: draft a regular meeting that owners asked for", When: called(votes.Regular, votes.OfCommittee, true), Err: wrong},
		{Name: "draft a meeting that the residents' committee calls", When: called(votes.Regular, votes.OfResidents, false),
			Then: events{called(votes.Regular, votes.OfResidents, false).MeetingDrafted}},
		{Name: "杭州 art. 22: draft the first meeting, called by the management committee", When: called(votes.First, votes.OfManagement, false),
			Then: events{called(votes.First, votes.OfManagement, false).MeetingDrafted}},
		{Name: "draft the first meeting, called by a committee that is not elected yet", When: called(votes.First, votes.OfCommittee, false), Err: wrong},
		{Name: "draft a later meeting, called by the preparatory group of the first", When: called(votes.Special, votes.OfPreparation, false), Err: wrong},
		{Name: "draft a kind of meeting that there is not", When: called("秘密", votes.OfCommittee, false), Err: wrong},
		{Name: "draft a meeting that the provider calls", When: called(votes.Special, "物业服务企业", false), Err: wrong},

		{Name: "freeze the roll", Given: events{drafted}, When: meeting.FreezeRoll{RollFrozen: frozen}, Then: events{frozen}},
		{Name: "freeze the same roll again", Given: events{drafted, frozen}, When: meeting.FreezeRoll{RollFrozen: frozen}},
		{Name: "freeze a roll whose owners may be others", Given: events{drafted, with(frozen, func(f *votes.RollFrozen) { f.SeenAt = 1 })},
			When: meeting.FreezeRoll{RollFrozen: with(frozen, func(f *votes.RollFrozen) { f.SeenAt = 2 })},
			Then: events{with(frozen, func(f *votes.RollFrozen) { f.SeenAt = 2 })}},
		{Name: "freeze the same roll again after the notice", Given: events{drafted, with(frozen, func(f *votes.RollFrozen) { f.SeenAt = 1 }), posted},
			When: meeting.FreezeRoll{RollFrozen: frozen}},
		{Name: "freeze a corrected roll before the notice", Given: events{drafted, with(frozen, func(f *votes.RollFrozen) { f.Roll = "old" })},
			When: meeting.FreezeRoll{RollFrozen: frozen}, Then: events{frozen}},
		{Name: "freeze another roll after the notice", Given: events{drafted, with(frozen, func(f *votes.RollFrozen) { f.Roll = "old" }), posted},
			When: meeting.FreezeRoll{RollFrozen: frozen}, Err: meeting.ErrPosted},
		{Name: "freeze an empty roll", Given: events{drafted}, When: meeting.FreezeRoll{RollFrozen: votes.RollFrozen{Roll: "x"}}, Err: meeting.ErrEmptyRoll},
		{Name: "freeze the roll of nothing", When: meeting.FreezeRoll{RollFrozen: frozen}, Err: meeting.ErrNoMeeting},

		{Name: "物业管理条例 art. 14: notice exactly 15 days before", Given: events{drafted, frozen}, When: notice, Then: events{posted}},
		{Name: "物业管理条例 art. 14: notice a second later", Given: events{drafted, frozen},
			When: with(notice, func(n *meeting.PostNotice) { n.Now = n.Now.Add(time.Second) }), Err: meeting.ErrNotice},
		{Name: "物业管理条例 art. 14, 杭州 art. 19: notice of a special meeting 15 days before, not 7", Given: events{special, frozen},
			When: with(notice, func(n *meeting.PostNotice) { n.Rules, n.Now = hangzhou, n.Now.Add(time.Second) }), Err: meeting.ErrNotice},
		{Name: "notice of a special meeting, of which the estate's rules ask for 20 days", Given: events{special, frozen},
			When: with(notice, func(n *meeting.PostNotice) { n.Rules.SpecialNoticeDays = 20 }), Err: meeting.ErrNotice},
		{Name: "notice of it exactly 20 days before", Given: events{special, frozen},
			When: with(notice, func(n *meeting.PostNotice) { n.Rules.SpecialNoticeDays, n.Opens = 20, noon.AddDate(0, 0, 20) }),
			Then: events{with(posted, func(p *votes.NoticePosted) { p.Opens = noon.AddDate(0, 0, 20) })}},
		{Name: "notice of a regular meeting, of which they do not", Given: events{drafted, frozen},
			When: with(notice, func(n *meeting.PostNotice) { n.Rules.SpecialNoticeDays = 20 }), Then: events{posted}},
		{Name: "notice before the roll is frozen", Given: events{drafted}, When: notice, Err: meeting.ErrNoRoll},
		{Name: "notice twice", Given: events{drafted, frozen, posted}, When: notice, Err: meeting.ErrPosted},
		{Name: "notice of a window that closes when it opens", Given: events{drafted, frozen},
			When: with(notice, func(n *meeting.PostNotice) { n.Closes = n.Opens }), Err: meeting.ErrWindow},
		{Name: "live notice with a stated time", Given: events{drafted, frozen},
			When: with(notice, func(n *meeting.PostNotice) { n.At = noon.AddDate(0, 0, -1) }), Err: meeting.ErrStatedTime},
		{Name: "notice before there was a Civil Code", Given: events{past, frozen},
			When: with(pastNotice, func(n *meeting.PostNotice) { n.At = noon.AddDate(-10, 0, 0) }), Err: meeting.ErrNoRules},
		{Name: "past notice", Given: events{past, frozen}, When: pastNotice, Then: events{posted}},
		{Name: "past notice that was late is taken as it was", Given: events{past, frozen},
			When: with(pastNotice, func(n *meeting.PostNotice) { n.At = noon.AddDate(0, 0, 5) }),
			Then: events{with(posted, func(p *votes.NoticePosted) { p.At = noon.AddDate(0, 0, 5) })}},
		{Name: "past notice of a meeting that is not over", Given: events{past, frozen},
			When: with(pastNotice, func(n *meeting.PostNotice) { n.Now = closes.Add(-1) }), Err: meeting.ErrNotPast},

		{Name: "complete the entry of paper", Given: events{drafted, frozen, posted}, When: meeting.CompletePaperEntry{Now: closes.Add(meeting.Grace)},
			Then: events{votes.PaperEntryCompleted{Meeting: "m", Papers: votes.EnvelopeCount{}}}},
		{Name: "complete it: every envelope was cast, void or refused", Given: events{drafted, frozen, posted},
			When: meeting.CompletePaperEntry{Now: closes.Add(meeting.Grace), Papers: votes.EnvelopeCount{Envelopes: 6, Cast: 3, Void: 2, Refused: 1}},
			Then: events{votes.PaperEntryCompleted{Meeting: "m", Papers: votes.EnvelopeCount{Envelopes: 6, Cast: 3, Void: 2, Refused: 1}}}},
		{Name: "complete that of a meeting from before envelopes were counted", Given: events{drafted, frozen, with(posted, func(e *votes.NoticePosted) { e.At = time.Date(2026, 11, 25, 12, 0, 0, 0, units.Shanghai) })},
			When: meeting.CompletePaperEntry{Now: closes, Papers: votes.EnvelopeCount{Envelopes: 1, Cast: 1}}, Then: events{entered}},
		{Name: "complete it while paper may come", Given: events{drafted, frozen, posted}, When: meeting.CompletePaperEntry{Now: closes.Add(meeting.Grace - 1)}, Err: meeting.ErrStillOpen},
		{Name: "complete it while envelopes wait", Given: events{drafted, frozen, posted}, When: meeting.CompletePaperEntry{Now: closes.Add(meeting.Grace), Papers: votes.EnvelopeCount{Envelopes: 6, Cast: 3, Void: 2}}, Err: meeting.ErrEnvelopes},
		{Name: "complete it twice", Given: events{drafted, frozen, posted, entered}, When: meeting.CompletePaperEntry{Now: closes}},

		{Name: "close a minute after the deadline", Given: events{drafted, frozen, posted}, When: meeting.CloseVoting{Now: closes.Add(time.Minute)}, Then: events{closed}},
		{Name: "close before the minute is over", Given: events{drafted, frozen, posted}, When: meeting.CloseVoting{Now: closes.Add(time.Minute - 1)}, Err: meeting.ErrStillOpen},
		{Name: "close while paper is being entered", Given: events{drafted, frozen, posted}, When: meeting.CloseVoting{Now: closes.Add(time.Hour), Paper: true}, Err: meeting.ErrPaperOpen},
		{Name: "close when paper is entered", Given: events{drafted, frozen, posted, entered}, When: meeting.CloseVoting{Now: closes.Add(time.Hour), Paper: true}, Then: events{closed}},
		{Name: "close twice", Given: events{drafted, frozen, posted, closed}, When: meeting.CloseVoting{Now: closes.Add(time.Hour)}},
		{Name: "close before the notice", Given: events{drafted, frozen}, When: meeting.CloseVoting{Now: closes}, Err: meeting.ErrNoNotice},
		{Name: "close a past meeting", Given: events{past, frozen, posted}, When: meeting.CloseVoting{Now: closes}, Then: events{closed}},

		{Name: "release the key", Given: events{drafted, frozen, posted, closed}, When: meeting.ReleaseKey{Key: "k"}, Then: events{released}},
		{Name: "release it before the close", Given: events{drafted, frozen, posted}, When: meeting.ReleaseKey{Key: "k"}, Err: meeting.ErrNotClosed},
		{Name: "release it twice", Given: events{drafted, frozen, posted, closed, released}, When: meeting.ReleaseKey{Key: "k"}},
		{Name: "release the key a past meeting does not have", Given: events{past, frozen, posted, closed}, When: meeting.ReleaseKey{Key: "k"}},
	})
}

func TestALateNoticeOfAPastMeetingIsReported(t *testing.T) {
	set := civilCode(t)
	for days, want := range map[int]bool{14: false, 15: true} {
		m := meeting.Evolve(meeting.Meeting{}, votes.NoticePosted{At: opens.AddDate(0, 0, -days), Opens: opens})
		if got := m.NoticeInTime(set); got != want {
			t.Errorf("%d days before: in time %t", days, got)
		}
	}
}

var _ es.Command[meeting.Ballots, votes.Event] = meeting.CastBallot{}
