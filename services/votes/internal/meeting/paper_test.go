package meeting_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// held is a meeting on two motions, whose notice was posted on a day.
func held(notice time.Time) (m meeting.Meeting) {
	for _, e := range []votes.Event{drafted, frozen, votes.NoticePosted{Meeting: "m", At: notice, Opens: opens, Closes: closes}} {
		m = meeting.Evolve(m, e)
	}
	return m
}

// said is a choice on each of the motions M1 and M2; "" leaves one out.
func said(m1, m2 string) (choices []votes.Choice, void []string) {
	for motion, word := range map[string]string{"M1": m1, "M2": m2} {
		switch word {
		case "":
		case votes.Void:
			void = append(void, motion)
		default:
			choices = append(choices, votes.Choice{Motion: motion, Choice: word})
		}
	}
	slices.SortFunc(choices, func(a, b votes.Choice) int { return strings.Compare(a.Motion, b.Motion) })
	slices.Sort(void)
	return choices, void
}

// marks stands for what the vault does: different for what differs.
func marks(m meeting.Meeting, e votes.Entry, choices []votes.Choice, void []string) (list []votes.Mark) {
	for _, s := range m.Said(e, choices, void) {
		list = append(list, votes.Mark{Motion: s.Motion, Mark: s.Words})
	}
	return list
}

var scan, otherScan = strings.Repeat("0a", 32), strings.Repeat("0b", 32)

func TestPaperIsEnteredByTwoPersons(t *testing.T) {
	live, at := held(noon), opens.Add(time.Hour)
	entry := votes.Entry{Entry: "7", Area: 100, ByScope: []votes.ScopeTotal{{Scope: "building:5", Heads: 1, Area: 100}}}
	handedIn := votes.PaperHandedIn{Meeting: "m", Entry: "7", Envelope: "b", At: at}
	read := func(by, m1, m2 string, change ...func(*meeting.EnterPaper)) meeting.EnterPaper {
		choices, void := said(m1, m2)
		c := meeting.EnterPaper{
			Meeting: live, Entry: entry, Envelope: "b", By: by, Choices: choices, Void: void, Marks: marks(live, entry, choices, void), Sealed: codec.Sealed("sealed " + by),
		}
		if by == "an" {
			c.Scan = scan
		}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	entered := func(by, m1, m2 string) votes.PaperEntered {
		c := read(by, m1, m2)
		return votes.PaperEntered{Meeting: "m", Entry: "7", Envelope: "b", By: by, Scan: c.Scan, Marks: c.Marks, Sealed: c.Sealed}
	}
	disputed := func(motions ...string) votes.PaperDisputed {
		return votes.PaperDisputed{Meeting: "m", Entry: "7", Envelope: "b", Motions: motions}
	}
	took := func(by string, motions ...string) votes.BallotCast {
		return votes.BallotCast{Ballot: "b", Meeting: "m", Entry: "7", Channel: pap, At: at, Motions: motions, Sealed: codec.Sealed("sealed " + by)}
	}
	refused := func(reason votes.Reason, motions ...string) votes.BallotRefused {
		return votes.BallotRefused{Ballot: "b", Meeting: "m", Entry: "7", Channel: pap, At: at, Motions: motions, Reason: reason}
	}
	yes, no := votes.Yes, votes.No
	mandate := votes.ProxyGranted{Proxy: "p", Meeting: "m", Entry: "7", Holder: "holder", At: opens}
	revoked := votes.ProxyRevoked{Proxy: "p", Meeting: "m", Entry: "7", Holder: "holder", At: at}
	byProxy := with(handedIn, func(e *votes.PaperHandedIn) { e.Proxy = "p" })
	tookByProxy := func(motions ...string) votes.BallotCast {
		return with(took("bo", motions...), func(e *votes.BallotCast) { e.Proxy = "p" })
	}
	minutes := strings.Repeat("0c", 32)
	void := meeting.VoidPaper{Meeting: live, Entry: entry, Envelope: "b", Minutes: minutes}
	two := events{handedIn, entered("an", yes, yes), entered("bo", yes, no), disputed("M2")}
	three := append(slices.Clip(two), entered("ce", no, votes.Void), disputed("M1", "M2"))

	estest.Run(t, meeting.EvolveBallots, same, []estest.Case[meeting.Ballots, votes.Event]{
		{Name: "an envelope is recorded with the id of the ballot in it", When: meeting.HandInPaper{Ballot: "b", Meeting: live, Entry: entry, At: at}, Then: events{handedIn}},
		{Name: "a hand shown in the meeting is recorded as one", When: meeting.HandInPaper{Ballot: "b", Channel: votes.InMeeting, Meeting: live, Entry: entry, At: at},
			Then: events{with(handedIn, func(e *votes.PaperHandedIn) { e.Channel = votes.InMeeting })}},
		{Name: "an envelope by telegraph", When: meeting.HandInPaper{Ballot: "b", Channel: "电报", Meeting: live, Entry: entry, At: at}, Err: meeting.ErrChannel},
		{Name: "a hand shown after the close is refused", When: meeting.HandInPaper{Ballot: "b", Channel: votes.InMeeting, Meeting: live, Entry: entry, At: closes},
			Then: events{with(refused(votes.VotingIsClosed, "M1", "M2"), func(r *votes.BallotRefused) { r.Channel, r.At = votes.InMeeting, closes })}},

		{Name: "one person alone casts nothing", Given: events{handedIn}, When: read("an", yes, no), Then: events{entered("an", yes, no)}},
		{Name: "by one person, as it used to be", Given: events{handedIn},
			When: meeting.CastBallot{Ballot: "b", Meeting: live, Entry: entry, Channel: pap, Choices: read("an", yes, no).Choices, Sealed: "sealed"}, Err: meeting.ErrTwoPersons},
		{Name: "a second who reads the same casts the ballot, by its hand-in", Given: events{handedIn, entered("an", yes, no)}, When: read("bo", yes, no),
			Then: events{entered("bo", yes, no), took("bo", "M1", "M2")}},
		{Name: "the same person twice is not two", Given: events{handedIn, entered("an", yes, no)}, When: read("an", yes, no), Err: meeting.ErrReadBefore},
		{Name: "the same person does not decide a dispute", Given: two, When: read("bo", yes, yes), Err: meeting.ErrReadBefore},
		{Name: "a second who reads otherwise makes a dispute", Given: events{handedIn, entered("an", yes, yes)}, When: read("bo", yes, no), Then: events{entered("bo", yes, no), disputed("M2")}},
		{Name: "a third who agrees with the first decides it", Given: two, When: read("ce", yes, yes), Then: events{entered("ce", yes, yes), took("ce", "M1", "M2")}},
		{Name: "a third who agrees with the second decides it", Given: two, When: read("ce", yes, no), Then: events{entered("ce", yes, no), took("ce", "M1", "M2")}},
		{Name: "a third who agrees with one on this motion and with the other on that decides nothing", Given: events{handedIn, entered("an", yes, yes), entered("bo", no, no), disputed("M1", "M2")},
			When: read("ce", yes, no), Then: events{entered("ce", yes, no), disputed("M1", "M2")}},
		{Name: "it goes on until two agree", Given: three, When: read("di", yes, no), Then: events{entered("di", yes, no), took("di", "M1", "M2")}},
		{Name: "what is settled is read no more", Given: events{handedIn, entered("an", yes, no), entered("bo", yes, no), took("bo", "M1", "M2")}, When: read("ce", yes, no), Err: meeting.ErrNoEnvelope},

		{Name: "a paper that is spoilt on one motion", Given: events{handedIn, entered("an", yes, votes.Void)}, When: read("bo", yes, votes.Void),
			Then: events{entered("bo", yes, votes.Void), took("bo", "M1"), refused(votes.NoSuchChoice, "M2")}},
		{Name: "a paper that is spoilt throughout", Given: events{handedIn, entered("an", votes.Void, votes.Void)}, When: read("bo", votes.Void, votes.Void),
			Then: events{entered("bo", votes.Void, votes.Void), refused(votes.NoSuchChoice, "M1", "M2")}},
		{Name: "abstaining is not being spoilt", Given: events{handedIn, entered("an", yes, votes.Abstain)}, When: read("bo", yes, votes.Void),
			Then: events{entered("bo", yes, votes.Void), disputed("M2")}},
		{Name: "a show of hands is read by two as well", Given: events{with(handedIn, func(e *votes.PaperHandedIn) { e.Channel = votes.InMeeting }), entered("an", yes, no)}, When: read("bo", yes, no),
			Then: events{entered("bo", yes, no), with(took("bo", "M1", "M2"), func(e *votes.BallotCast) { e.Channel = votes.InMeeting })}},
		{Name: "an envelope from before they had names is known by its moment", Given: events{with(handedIn, func(e *votes.PaperHandedIn) { e.Envelope = "" })},
			When: read("an", yes, no, func(c *meeting.EnterPaper) { c.Envelope = at.UTC().Format(time.RFC3339Nano) }),
			Then: events{with(entered("an", yes, no), func(e *votes.PaperEntered) { e.Envelope = at.UTC().Format(time.RFC3339Nano) })}},

		{Name: "nobody enters their own ballot", Given: events{handedIn}, When: read("an", yes, no, func(c *meeting.EnterPaper) { c.Own = true }), Err: meeting.ErrOwnPaper},
		{Name: "nobody enters the ballot of an owner whose mandate they hold", Given: events{handedIn, votes.ProxyGranted{Proxy: "p", Entry: "7", Holder: "an"}}, When: read("an", yes, no), Err: meeting.ErrOwnPaper},
		{Name: "the holder of a mandate hands in the owner's paper", Given: events{mandate}, When: meeting.HandInPaper{Ballot: "b", Meeting: live, Entry: entry, At: at, Proxy: "p"}, Then: events{byProxy}},
		{Name: "one who holds no mandate hands in the owner's paper", When: meeting.HandInPaper{Ballot: "b", Meeting: live, Entry: entry, At: at, Proxy: "p"}, Err: meeting.ErrNoMandate},
		{Name: "one whose mandate was revoked", Given: events{mandate, revoked}, When: meeting.HandInPaper{Ballot: "b", Meeting: live, Entry: entry, At: at, Proxy: "p"}, Err: meeting.ErrNoMandate},
		{Name: "舟山: one of the provider's staff by now", Given: events{mandate}, When: meeting.HandInPaper{Ballot: "b", Meeting: live, Entry: entry, At: at, Proxy: "p", Barred: true},
			Then: events{with(refused(votes.ProxyBarred, "M1", "M2"), func(r *votes.BallotRefused) { r.Proxy = "p" })}},
		{Name: "上海 art. 18: a proxy's paper as the owner instructed", Given: events{mandate, byProxy, entered("an", yes, no)}, When: read("bo", yes, no), Then: events{entered("bo", yes, no), tookByProxy("M1", "M2")}},
		{Name: "上海 art. 18: a proxy's paper against the instructions on one motion", Given: events{mandate, byProxy, entered("an", yes, no)},
			When: read("bo", yes, no, func(c *meeting.EnterPaper) { c.Against = []string{"M1"} }),
			Then: events{entered("bo", yes, no), tookByProxy("M2"), with(refused(votes.AgainstInstructions, "M1"), func(r *votes.BallotRefused) { r.Proxy = "p" })}},
		{Name: "an owner's own paper is bound by no instructions", Given: events{mandate, handedIn, entered("an", yes, no)},
			When: read("bo", yes, no, func(c *meeting.EnterPaper) { c.Against = []string{"M1"} }), Then: events{entered("bo", yes, no), took("bo", "M1", "M2")}},
		{Name: "a proxy's paper stands though the mandate is revoked before it is opened", Given: events{mandate, byProxy, revoked, entered("an", yes, no)}, When: read("bo", yes, no),
			Then: events{entered("bo", yes, no), tookByProxy("M1", "M2")}},
		{Name: "nobody enters a paper that they handed in as proxy, though it was revoked since", Given: events{mandate, byProxy, revoked}, When: read("holder", yes, no), Err: meeting.ErrOwnPaper},
		{Name: "who has a proxy's paper in an envelope has not voted in person", Given: events{mandate, byProxy, revoked},
			When: meeting.GrantProxy{Proxy: "q", Meeting: live, Entry: entry, Holder: "other", At: at}, Then: events{votes.ProxyGranted{Proxy: "q", Meeting: "m", Entry: "7", Holder: "other", At: at}}},
		{Name: "without the hash of the scan nobody reads first", Given: events{handedIn}, When: read("bo", yes, no), Err: meeting.ErrScan},
		{Name: "what is no hash is none", Given: events{handedIn}, When: read("an", yes, no, func(c *meeting.EnterPaper) { c.Scan = strings.ToUpper(scan) }), Err: meeting.ErrScan},
		{Name: "the second may have the scan before them, too", Given: events{handedIn, entered("an", yes, no)}, When: read("bo", yes, no, func(c *meeting.EnterPaper) { c.Scan = scan }),
			Then: events{with(entered("bo", yes, no), func(e *votes.PaperEntered) { e.Scan = scan }), took("bo", "M1", "M2")}},
		{Name: "the second has another paper before them", Given: events{handedIn, entered("an", yes, no)}, When: read("bo", yes, no, func(c *meeting.EnterPaper) { c.Scan = otherScan }), Err: meeting.ErrOtherScan},
		{Name: "an envelope that nobody handed in", When: read("an", yes, no), Err: meeting.ErrNoEnvelope},
		{Name: "a motion that was overlooked", Given: events{handedIn}, When: read("an", yes, ""), Err: meeting.ErrSlip},
		{Name: "a motion left blank, where ballots may be partial", Given: events{handedIn, entered("an", yes, "")}, When: read("bo", yes, "", func(c *meeting.EnterPaper) { c.Partial = true }),
			Then: events{entered("bo", yes, ""), took("bo", "M1")}},
		{Name: "nothing at all is a slip even so", Given: events{handedIn}, When: read("an", "", "", func(c *meeting.EnterPaper) { c.Partial = true }), Err: meeting.ErrSlip},
		{Name: "a choice that does not exist is a slip", Given: events{handedIn}, When: read("an", yes, "也许"), Err: meeting.ErrSlip},
		{Name: "a motion both answered and void is a slip", Given: events{handedIn}, When: read("an", yes, no, func(c *meeting.EnterPaper) { c.Void = []string{"M1"} }), Err: meeting.ErrSlip},
		{Name: "two choices on one motion are a slip", Given: events{handedIn}, When: read("an", yes, no, func(c *meeting.EnterPaper) {
			c.Choices = append(c.Choices, votes.Choice{Motion: "M1", Choice: no})
		}), Err: meeting.ErrSlip},

		{Name: "the committee voids what three persons read differently", Given: three, When: void,
			Then: events{votes.PaperVoided{Meeting: "m", Entry: "7", Envelope: "b", Minutes: minutes}, refused(votes.NoSuchChoice, "M1", "M2")}},
		{Name: "the committee does not void what two persons read differently", Given: two, When: void, Err: meeting.ErrNotDisputed},
		{Name: "the committee voids no envelope that nobody has read", Given: events{handedIn}, When: void, Err: meeting.ErrNotDisputed},
		{Name: "the committee voids nothing off the record", Given: three, When: with(void, func(c *meeting.VoidPaper) { c.Minutes = "" }), Err: meeting.ErrMinutes},
		{Name: "the committee voids nothing that was cast", Given: append(slices.Clip(three), entered("di", yes, no), took("di", "M1", "M2")), When: void, Err: meeting.ErrNoEnvelope},
	})

	_, err := read("an", yes, "").Decide(meeting.EvolveBallots(meeting.Ballots{}, handedIn))
	if slip, ok := errors.AsType[*problem.Error](err); !ok || len(slip.Fields) != 1 || !strings.Contains(slip.Fields[0].Detail, "M2") {
		t.Errorf("an overlooked motion: %+v", slip)
	}
}

func TestTwoPersonsReadPaperSinceTheDayThatIsStated(t *testing.T) {
	day := time.Date(2026, 11, 26, 0, 0, 0, 0, units.Shanghai)
	if held(day.Add(-time.Nanosecond)).TwoPersons() || !held(day).TwoPersons() {
		t.Error("the first notice of the new practice is posted on 2026-11-26, Beijing time")
	}
}

func TestABallotAnswersEveryMotionWhereTheRulesDoNotSayOtherwise(t *testing.T) {
	may, mayNot := true, false
	for _, c := range []struct {
		name    string
		rules   meeting.RuleSet
		notice  time.Time
		partial bool
	}{
		{"rules that say nothing of it", meeting.RuleSet{}, noon, false},
		{"rules that do not allow it", meeting.RuleSet{PartialBallots: &mayNot}, noon, false},
		{"rules that allow it", meeting.RuleSet{PartialBallots: &may}, noon, true},
		{"a meeting from before it was asked", meeting.RuleSet{}, time.Date(2026, 11, 25, 12, 0, 0, 0, units.Shanghai), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := held(c.notice)
			if m.Partial(c.rules) != c.partial {
				t.Errorf("partial ballots: %v", !c.partial)
			}
		})
	}
	m := held(noon)
	in5 := votes.Entry{Entry: "7", Area: 100, ByScope: []votes.ScopeTotal{{Scope: "building:5", Heads: 1, Area: 100}}}
	elsewhere := votes.Entry{Entry: "8", Area: 100}
	one, _ := said(votes.Yes, "")
	two, _ := said(votes.Yes, votes.No)
	of := func(e votes.Entry, choices []votes.Choice, change ...func(*meeting.CastBallot)) meeting.CastBallot {
		c := meeting.CastBallot{Ballot: "b", Meeting: m, Entry: e, Channel: ele, At: opens, Choices: choices, Sealed: "sealed"}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	took := func(e votes.Entry, motions ...string) votes.BallotCast {
		return votes.BallotCast{Ballot: "b", Meeting: "m", Entry: e.Entry, Channel: ele, At: opens, Motions: motions, Sealed: "sealed"}
	}
	late := votes.BallotRefused{Ballot: "b", Meeting: "m", Entry: "7", Channel: ele, At: closes, Motions: []string{"M1"}, Reason: votes.VotingIsClosed}
	estest.Run(t, meeting.EvolveBallots, same, []estest.Case[meeting.Ballots, votes.Event]{
		{Name: "all motions", When: of(in5, two), Then: events{took(in5, "M1", "M2")}},
		{Name: "all motions that concern the owner", When: of(elsewhere, one), Then: events{took(elsewhere, "M1")}},
		{Name: "one motion left out", When: of(in5, one), Err: meeting.ErrPartial},
		{Name: "one motion left out, where that is allowed", When: of(in5, one, func(c *meeting.CastBallot) { c.Partial = true }), Then: events{took(in5, "M1")}},
		{Name: "one motion left out, and late: that it came late is what counts", When: of(in5, one, func(c *meeting.CastBallot) { c.At = closes }), Then: events{late}},
	})
}

// Whatever is read, by however many: nothing is cast before two persons say the
// same, it is cast then, and every envelope is cast, void or refused in the end.
func TestNothingIsCastBeforeTwoPersonsAgree(t *testing.T) {
	m := held(noon)
	entry := votes.Entry{Entry: "7", Area: 100, ByScope: []votes.ScopeTotal{{Scope: "building:5", Heads: 1, Area: 100}}}
	words := []string{votes.Yes, votes.No, votes.Abstain, votes.Void}
	rapid.Check(t, func(t *rapid.T) {
		b := meeting.EvolveBallots(meeting.Ballots{}, votes.PaperHandedIn{Meeting: "m", Entry: "7", Envelope: "b", At: opens})
		read := map[string]bool{}
		for i := range rapid.IntRange(1, 20).Draw(t, "persons") {
			m1, m2 := rapid.SampledFrom(words).Draw(t, "M1"), rapid.SampledFrom(words).Draw(t, "M2")
			choices, void := said(m1, m2)
			got, err := meeting.EnterPaper{
				Meeting: m, Entry: entry, Envelope: "b", By: fmt.Sprint(i), Scan: scan, Choices: choices, Void: void, Marks: marks(m, entry, choices, void), Sealed: "sealed",
			}.Decide(b)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range got {
				b = meeting.EvolveBallots(b, e)
			}
			agreed := read[m1+m2]
			read[m1+m2] = true
			settled := b.Papers.Cast+b.Papers.Void == 1
			if settled != agreed || settled != (len(b.Envelopes) == 0) || b.Papers.Envelopes != 1 {
				t.Fatalf("read %s, %s: settled %v, agreed %v, %+v", m1, m2, settled, agreed, b.Papers)
			}
			if !settled {
				continue
			}
			if allVoid := m1 == votes.Void && m2 == votes.Void; allVoid != (b.Papers.Void == 1) {
				t.Fatalf("%s, %s: %+v", m1, m2, b.Papers)
			}
			return
		}
	})
}
