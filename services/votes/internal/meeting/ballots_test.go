package meeting_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestBallots(t *testing.T) {
	set := civilCode(t)
	fold := func(list ...votes.Event) (m meeting.Meeting) {
		for _, e := range list {
			m = meeting.Evolve(m, e)
		}
		return m
	}
	posted := votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes, RuleSet: set.ID, RuleHash: set.Hash}
	live := fold(drafted, frozen, posted)
	old := with(live, func(m *meeting.Meeting) { m.Notice.At = time.Date(2026, 11, 25, 23, 59, 59, 0, units.Shanghai) }) // paper was entered by one person then
	past := fold(with(drafted, func(d *votes.MeetingDrafted) { d.Past = true }), frozen, posted)
	after := func(m meeting.Meeting) meeting.Meeting { return meeting.Evolve(m, votes.VotingClosed{}) }
	entry := votes.Entry{Entry: "7", Units: []string{"1-1"}, Area: 100}
	in5 := with(entry, func(e *votes.Entry) { e.ByScope = []votes.ScopeTotal{{Scope: "building:5", Heads: 1, Area: 100}} })
	yes := []votes.Choice{{Motion: "M1", Choice: votes.Yes}}
	both := []votes.Choice{{Motion: "M1", Choice: votes.Yes}, {Motion: "M2", Choice: votes.No}}
	blue := []votes.Choice{{Motion: "M1", Choice: "蓝"}}
	at := opens.Add(time.Hour)

	cast := meeting.CastBallot{Ballot: "b", Meeting: live, Entry: entry, Channel: ele, At: at, Choices: yes, Sealed: "sealed"}
	of := func(change func(*meeting.CastBallot)) meeting.CastBallot { return with(cast, change) }
	took := votes.BallotCast{Ballot: "b", Meeting: "m", Entry: "7", Channel: ele, At: at, Motions: []string{"M1"}, Sealed: "sealed"}
	tookPast := with(took, func(e *votes.BallotCast) { e.Sealed, e.Choices = "", yes })
	earlier := with(took, func(e *votes.BallotCast) { e.Ballot, e.At = "a", at.Add(-time.Minute) })
	later := with(took, func(e *votes.BallotCast) { e.Ballot, e.At = "a", at.Add(time.Second) })
	refuse := func(reason votes.Reason, change ...func(*votes.BallotRefused)) votes.BallotRefused {
		r := votes.BallotRefused{Ballot: "b", Meeting: "m", Entry: "7", Channel: ele, At: at, Motions: []string{"M1"}, Reason: reason}
		for _, c := range change {
			c(&r)
		}
		return r
	}
	handedIn := func(at time.Time) votes.PaperHandedIn { return votes.PaperHandedIn{Meeting: "m", Entry: "7", At: at} }
	onPaper := func(c *meeting.CastBallot) { c.Meeting = old; c.Channel, c.At = pap, closes.AddDate(0, 0, 3) }
	tookPaper := with(took, func(e *votes.BallotCast) { e.Channel = pap })

	estest.Run(t, meeting.EvolveBallots, same, []estest.Case[meeting.Ballots, votes.Event]{
		{Name: "a live ballot is recorded sealed", When: cast, Then: events{took}},
		{Name: "a past ballot is recorded in clear", When: of(func(c *meeting.CastBallot) { c.Meeting = past }), Then: events{tookPast}},
		{Name: "a ballot answers several motions", When: of(func(c *meeting.CastBallot) { c.Entry, c.Choices = in5, both }),
			Then: events{with(took, func(e *votes.BallotCast) { e.Motions = []string{"M1", "M2"} })}},
		{Name: "a motion outside the scope is refused, the other taken", When: of(func(c *meeting.CastBallot) { c.Choices = both }),
			Then: events{took, refuse(votes.NotInScope, func(r *votes.BallotRefused) { r.Motions = []string{"M2"} })}},
		{Name: "北京 art. 35, 杭州 art. 19: a motion that was not on the notice", When: of(func(c *meeting.CastBallot) { c.Choices = []votes.Choice{{Motion: "M9", Choice: votes.Yes}} }),
			Then: events{refuse(votes.NoSuchMotion, func(r *votes.BallotRefused) { r.Motions = []string{"M9"} })}},
		{Name: "before voting opens", When: of(func(c *meeting.CastBallot) { c.At = opens.Add(-1) }),
			Then: events{refuse(votes.VotingNotOpen, func(r *votes.BallotRefused) { r.At = opens.Add(-1) })}},
		{Name: "before the notice", When: of(func(c *meeting.CastBallot) { c.Meeting = fold(drafted, frozen) }), Then: events{refuse(votes.VotingNotOpen)}},
		{Name: "at the instant voting opens", When: of(func(c *meeting.CastBallot) { c.At = opens }),
			Then: events{with(took, func(e *votes.BallotCast) { e.At = opens })}},
		{Name: "at the instant voting closes", When: of(func(c *meeting.CastBallot) { c.At = closes }),
			Then: events{refuse(votes.VotingIsClosed, func(r *votes.BallotRefused) { r.At = closes })}},
		{Name: "after voting was closed in the ledger", When: of(func(c *meeting.CastBallot) { c.Meeting = after(live) }), Then: events{refuse(votes.VotingIsClosed)}},
		{Name: "by someone without a title", When: of(func(c *meeting.CastBallot) { c.Entry, c.NoEntry = votes.Entry{}, votes.NotOnTheRoll }),
			Then: events{refuse(votes.NotOnTheRoll, func(r *votes.BallotRefused) { r.Entry = "" })}},
		{Name: "by a co-owner who does not vote for the unit", When: of(func(c *meeting.CastBallot) { c.Entry, c.NoEntry = votes.Entry{}, votes.NotTheRepresentative }),
			Then: events{refuse(votes.NotTheRepresentative, func(r *votes.BallotRefused) { r.Entry = "" })}},
		{Name: "late and not on the roll: late is tested first", When: of(func(c *meeting.CastBallot) { c.Entry, c.NoEntry, c.At = votes.Entry{}, votes.NotOnTheRoll, closes }),
			Then: events{refuse(votes.VotingIsClosed, func(r *votes.BallotRefused) { r.Entry, r.At = "", closes })}},
		{Name: "a choice that does not exist", When: of(func(c *meeting.CastBallot) { c.Choices = blue }), Then: events{refuse(votes.NoSuchChoice)}},
		{Name: "a choice that does not exist, by one who voted", Given: events{earlier}, When: of(func(c *meeting.CastBallot) { c.Choices = blue }), Then: events{refuse(votes.AlreadyVoted)}},
		{Name: "a refused choice does not stand in the way of the next", Given: events{refuse(votes.NoSuchChoice)}, When: cast, Then: events{took}},
		{Name: "a second live electronic ballot is refused at once where the first stands", Given: events{earlier}, When: cast, Then: events{refuse(votes.AlreadyVoted)}},
		{Name: "a second one is taken where the last stands", Given: events{earlier},
			When: of(func(c *meeting.CastBallot) { c.Meeting.Policy.Revote = votes.LastBallotStands }), Then: events{took}},
		{Name: "one that was received before what is recorded, as its clock says, is refused where the first stands", Given: events{later}, When: cast,
			Then: events{refuse(votes.AlreadyVoted, func(r *votes.BallotRefused) { r.At = later.At })}},
		{Name: "and is the last where the last stands", Given: events{later},
			When: of(func(c *meeting.CastBallot) { c.Meeting.Policy.Revote = votes.LastBallotStands }),
			Then: events{with(took, func(e *votes.BallotCast) { e.At = later.At })}},
		{Name: "paper that was handed in later moves no electronic ballot", Given: events{handedIn(later.At), with(later, func(e *votes.BallotCast) { e.Channel = pap })}, When: cast, Then: events{took}},
		{Name: "a second past ballot is recorded, for Standing to settle", Given: events{earlier}, When: of(func(c *meeting.CastBallot) { c.Meeting = past }), Then: events{tookPast}},
		{Name: "a past ballot after its meeting is closed in the ledger", When: of(func(c *meeting.CastBallot) { c.Meeting = after(past) }), Err: meeting.ErrPastClosed},
		{Name: "a motion twice in one ballot", When: of(func(c *meeting.CastBallot) { c.Choices = slices.Concat(yes, yes) }), Err: meeting.ErrMotionTwice},
		{Name: "an empty ballot", When: of(func(c *meeting.CastBallot) { c.Choices = nil }), Err: meeting.ErrNoChoices},
		{Name: "a ballot by telegraph", When: of(func(c *meeting.CastBallot) { c.Channel = "电报" }), Err: meeting.ErrChannel},

		{Name: "paper is handed in", When: meeting.HandInPaper{Meeting: live, Entry: entry, At: at}, Then: events{handedIn(at)}},
		{Name: "paper is handed in late", When: meeting.HandInPaper{Ballot: "b", Meeting: live, Entry: entry, At: closes},
			Then: events{refuse(votes.VotingIsClosed, func(r *votes.BallotRefused) { r.Channel, r.At = pap, closes })}},
		{Name: "paper of a past meeting needs no envelope", When: meeting.HandInPaper{Meeting: past, Entry: entry, At: at}, Err: meeting.ErrPastPaper},
		{Name: "paper counts by its hand-in, however late it is entered", Given: events{handedIn(at)}, When: of(onPaper), Then: events{tookPaper}},
		{Name: "paper nobody handed in", When: of(onPaper), Err: meeting.ErrNoEnvelope},
		{Name: "a clerk types a choice that does not exist: the envelope stays closed", Given: events{handedIn(at)},
			When: of(func(c *meeting.CastBallot) { onPaper(c); c.Choices = blue }), Err: meeting.ErrSlip},
		{Name: "a clerk types a motion that was not on the notice, beside one that was", Given: events{handedIn(at)},
			When: of(func(c *meeting.CastBallot) {
				onPaper(c)
				c.Choices = slices.Concat(yes, []votes.Choice{{Motion: "M9", Choice: votes.Yes}})
			}), Err: meeting.ErrSlip},
		{Name: "a clerk types only a motion the entry does not vote on", Given: events{handedIn(at)},
			When: of(func(c *meeting.CastBallot) { onPaper(c); c.Choices = both[1:] }), Err: meeting.ErrSlip},
		{Name: "a clerk declares a motion void that was not on the notice", Given: events{handedIn(at)},
			When: of(func(c *meeting.CastBallot) { onPaper(c); c.Void = []string{"M9"} }), Err: meeting.ErrSlip},
		{Name: "a motion both answered and void", Given: events{handedIn(at)},
			When: of(func(c *meeting.CastBallot) { onPaper(c); c.Void = []string{"M1"} }), Err: meeting.ErrMotionTwice},
		{Name: "a spoilt paper is declared void", Given: events{handedIn(at)},
			When: of(func(c *meeting.CastBallot) { onPaper(c); c.Choices, c.Void = nil, []string{"M1"} }),
			Then: events{refuse(votes.NoSuchChoice, func(r *votes.BallotRefused) { r.Channel = pap })}},
		{Name: "a paper that is spoilt on one motion", Given: events{handedIn(at)},
			When: of(func(c *meeting.CastBallot) { onPaper(c); c.Entry, c.Void = in5, []string{"M2"} }),
			Then: events{tookPaper, refuse(votes.NoSuchChoice, func(r *votes.BallotRefused) { r.Channel, r.Motions = pap, []string{"M2"} })}},
		{Name: "past paper says what it says", When: of(func(c *meeting.CastBallot) { c.Meeting, c.Channel, c.Choices = past, pap, blue }),
			Then: events{refuse(votes.NoSuchChoice, func(r *votes.BallotRefused) { r.Channel = pap })}},
		{Name: "an envelope is opened once", Given: events{handedIn(at), tookPaper}, When: of(onPaper), Err: meeting.ErrNoEnvelope},
		{Name: "a ballot partly taken and partly refused is one envelope", Given: events{handedIn(at), handedIn(at), tookPaper, refuse(votes.NotInScope, func(r *votes.BallotRefused) { r.Channel = pap })},
			When: of(func(c *meeting.CastBallot) { onPaper(c); c.Ballot = "c" }), Then: events{with(tookPaper, func(e *votes.BallotCast) { e.Ballot = "c" })}},
		{Name: "envelopes are opened in the order they came", Given: events{handedIn(at.Add(time.Hour)), handedIn(at)}, When: of(onPaper), Then: events{tookPaper}},
		{Name: "paper that loses to an electronic ballot is recorded, for Standing to settle", Given: events{earlier, handedIn(at)}, When: of(onPaper), Then: events{tookPaper}},
		{Name: "an electronic ballot is refused at once where paper stands", Given: events{handedIn(at.Add(-time.Minute)), with(tookPaper, func(e *votes.BallotCast) { e.At = at.Add(-time.Minute) })},
			When: of(func(c *meeting.CastBallot) { c.Meeting.Policy.PaperAndElectronic = votes.PaperStands }), Then: events{refuse(votes.PaperBallotStands)}},
	})

	_, err := of(func(c *meeting.CastBallot) {
		onPaper(c)
		c.Choices, c.Void = []votes.Choice{{Motion: "M1", Choice: "x"}, {Motion: "M9", Choice: votes.Yes}}, []string{"M8"}
	}).Decide(meeting.Ballots{Envelopes: []meeting.Envelope{{At: at}}})
	slip, ok := errors.AsType[*problem.Error](err)
	if !ok || len(slip.Fields) != 3 || slip.Fields[0].Name != "choices[0].choice" || slip.Fields[1].Name != "choices[1].motion" || slip.Fields[2].Name != "void[0]" {
		t.Errorf("slips of a clerk: %+v", slip)
	}
	if _, err := of(func(c *meeting.CastBallot) { c.Sealed = "" }).Decide(meeting.Ballots{}); err == nil {
		t.Error("a live ballot would be recorded in clear")
	}
}
