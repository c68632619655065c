package meeting_test

import (
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// castBy is a ballot of an entry on M1, recorded and opened.
func castBy(ballot, entry, channel, choice string, at time.Time) meeting.Taken {
	return meeting.Taken{Opened: true, BallotCast: votes.BallotCast{
		Ballot: ballot, Meeting: "m", Entry: entry, Channel: channel, At: at, Motions: []string{"M1"}, Choices: []votes.Choice{{Motion: "M1", Choice: choice}},
	}}
}

func TestABallotIsSetAsideForAnUpheldObjection(t *testing.T) {
	posted := votes.ResultPosted{Meeting: "m", At: closes, Posting: 1, Result: "r"}
	withdrawn := votes.ResultWithdrawn{Meeting: "m", At: closes, Posting: 1, Reason: "更正。", Objection: "o"}
	standing := events{
		with(drafted, func(d *votes.MeetingDrafted) { d.Policy.Revote = votes.LastBallotStands }), frozen,
		votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes}, votes.VotingClosed{Meeting: "m"}, votes.KeyReleased{Meeting: "m", Key: "k"}, posted,
	}
	join := func(a events, b ...votes.Event) events { return append(slices.Clip(a), b...) }
	counted := join(standing, withdrawn)
	upheld := meeting.Objection{
		ResultObjected: votes.ResultObjected{Objection: "o", Meeting: "m", Posting: 1, Entry: "1"},
		Answer:         votes.ResultObjectionAnswered{Objection: "o", Meeting: "m", Upheld: true},
	}
	one := []meeting.Taken{castBy("a", "1", ele, votes.Yes, opens)}
	two := append(slices.Clip(one), castBy("b", "1", ele, votes.No, opens.Add(time.Hour)))
	set := meeting.SetBallotAside{At: closes, Objection: upheld, Entry: "1", Ballot: "a", Taken: one, Reason: "不是业主本人投的票。"}
	aside := votes.BallotSetAside{Meeting: "m", Objection: "o", Entry: "1", Ballot: "a", At: closes, Reason: set.Reason}
	of := func(change func(*meeting.SetBallotAside)) meeting.SetBallotAside { return with(set, change) }
	against := func(change func(*meeting.Objection)) meeting.SetBallotAside {
		return of(func(c *meeting.SetBallotAside) { c.Objection = with(upheld, change) })
	}
	last := of(func(c *meeting.SetBallotAside) { c.Ballot, c.Taken = "b", two })
	lastAside := with(aside, func(e *votes.BallotSetAside) { e.Ballot = "b" })
	restore := meeting.RestoreBallot{At: closes, Objection: upheld, Entry: "1", Ballot: "a", Reason: "是业主本人投的票。"}
	restored := votes.BallotRestored{Meeting: "m", Objection: "o", Entry: "1", Ballot: "a", At: closes, Reason: restore.Reason}
	anew := join(counted, aside, with(posted, func(p *votes.ResultPosted) { p.Posting = 2 }), with(withdrawn, func(w *votes.ResultWithdrawn) { w.Posting = 2 }))
	second := with(upheld, func(o *meeting.Objection) { o.Posting = 2 })

	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "once the result is withdrawn", Given: counted, When: set, Then: events{aside}},
		{Name: "twice", Given: join(counted, aside), When: set},
		{Name: "while the result stands", Given: standing, When: set, Err: meeting.ErrResultStands},
		{Name: "before the count", Given: standing[:4], When: set, Err: meeting.ErrNotCounted},
		{Name: "once the result is final", Given: join(standing, votes.ResultFinal{Meeting: "m", At: closes, Posting: 1}), When: set, Err: meeting.ErrFinal},
		{Name: "of a meeting whose ballots stay sealed", Given: join(standing[:4], votes.BallotsUnopened{Meeting: "m"}), When: set, Err: meeting.ErrUnopened},
		{Name: "of a meeting of the past", Given: events{with(drafted, func(d *votes.MeetingDrafted) { d.Past = true })}, When: set, Err: meeting.ErrPastMeeting},
		{Name: "for no objection", Given: counted, When: of(func(c *meeting.SetBallotAside) { c.Objection = meeting.Objection{} }), Err: meeting.ErrNoObjection},
		{Name: "for an objection to another meeting", Given: counted, When: against(func(o *meeting.Objection) { o.Meeting = "n" }), Err: meeting.ErrNoObjection},
		{Name: "for an objection that is not answered", Given: counted, When: against(func(o *meeting.Objection) { o.Answer = votes.ResultObjectionAnswered{} }), Err: meeting.ErrNotUpheld},
		{Name: "for an objection that was not upheld", Given: counted, When: against(func(o *meeting.Objection) { o.Answer.Upheld = false }), Err: meeting.ErrNotUpheld},
		{Name: "for an objection that served already", Given: anew, When: restore, Err: meeting.ErrOldObjection},
		{Name: "a ballot that nobody cast", Given: counted, When: of(func(c *meeting.SetBallotAside) { c.Ballot = "x" }), Err: meeting.ErrNoBallot},
		{Name: "a ballot that came after the close", Given: counted, When: of(func(c *meeting.SetBallotAside) {
			c.Taken = []meeting.Taken{with(one[0], func(t *meeting.Taken) { t.Late = true })}
		}), Err: meeting.ErrNoBallot},
		{Name: "without a reason", Given: counted, When: of(func(c *meeting.SetBallotAside) { c.Reason = "" }), Err: problem.Invalid("words-wrong", "")},
		{Name: "with a phone number for a reason", Given: counted, When: of(func(c *meeting.SetBallotAside) { c.Reason = "请致电13800000000" }), Err: problem.Invalid("words-wrong", "")},
		{Name: "the last of two, and not a word of the first", Given: counted, When: last, Err: meeting.ErrEarlier},
		{Name: "the last of two, and a word that says nothing", Given: counted, When: with(last, func(c *meeting.SetBallotAside) { c.Earlier = "perhaps" }), Err: meeting.ErrEarlier},
		{Name: "Civil Code art. 155: the last of two, the first stands", Given: counted, When: with(last, func(c *meeting.SetBallotAside) { c.Earlier = votes.EarlierStands }),
			Then: events{with(lastAside, func(e *votes.BallotSetAside) { e.Earlier = votes.EarlierStands })}},
		{Name: "the last of two, the first falls", Given: counted, When: with(last, func(c *meeting.SetBallotAside) { c.Earlier = votes.EarlierFalls }),
			Then: events{with(lastAside, func(e *votes.BallotSetAside) { e.Earlier = votes.EarlierFalls })}},
		{Name: "the last of two, the first set aside before", Given: join(counted, aside), When: last, Then: events{lastAside}},
		{Name: "the only one, and a word of another", Given: counted, When: of(func(c *meeting.SetBallotAside) { c.Earlier = votes.EarlierFalls }), Err: meeting.ErrNoEarlier},

		{Name: "restore it for another objection, to the corrected result", Given: anew, When: with(restore, func(c *meeting.RestoreBallot) { c.Objection = second }), Then: events{restored}},
		{Name: "restore what counts", Given: counted, When: restore, Err: meeting.ErrNotAside},
		{Name: "restore it without a reason", Given: join(counted, aside), When: with(restore, func(c *meeting.RestoreBallot) { c.Reason = " " }), Err: problem.Invalid("words-wrong", "")},
		{Name: "restore it, and set it aside again", Given: join(counted, aside, restored), When: set, Then: events{aside}},
	})
}

// What becomes of the ballots of one head, in the order they were cast.
func TestWhatCountsOnceABallotIsSetAside(t *testing.T) {
	out := votes.SetAside
	for _, c := range []struct {
		name, revote string
		channels     []string
		aside        []votes.BallotSetAside
		want         []votes.Reason
	}{
		{"the only one: the head has none", votes.LastBallotStands, []string{ele}, []votes.BallotSetAside{{Ballot: "0"}}, []votes.Reason{out}},
		{"the last of two: the first stands", votes.LastBallotStands, []string{ele, ele}, []votes.BallotSetAside{{Ballot: "1", Earlier: votes.EarlierStands}}, []votes.Reason{counts, out}},
		{"the last of two: the first falls", votes.LastBallotStands, []string{ele, ele}, []votes.BallotSetAside{{Ballot: "1", Earlier: votes.EarlierFalls}}, []votes.Reason{votes.Superseded, out}},
		{"the first of two papers, which stood: the second stands", votes.FirstBallotStands, []string{pap, pap}, []votes.BallotSetAside{{Ballot: "0", Earlier: votes.EarlierStands}}, []votes.Reason{out, counts}},
		{"the first of two papers, which stood: the second falls", votes.FirstBallotStands, []string{pap, pap}, []votes.BallotSetAside{{Ballot: "0", Earlier: votes.EarlierFalls}}, []votes.Reason{out, votes.AlreadyVoted}},
		{"the electronic one, which stood: the paper stands", votes.FirstBallotStands, []string{pap, ele}, []votes.BallotSetAside{{Ballot: "1", Earlier: votes.EarlierStands}}, []votes.Reason{counts, out}},
		{"one that did not count changes nothing", votes.LastBallotStands, []string{ele, ele}, []votes.BallotSetAside{{Ballot: "0"}}, []votes.Reason{out, counts}},
		{"both", votes.LastBallotStands, []string{ele, ele}, []votes.BallotSetAside{{Ballot: "0"}, {Ballot: "1"}}, []votes.Reason{out, out}},
		{"that of another head", votes.LastBallotStands, []string{ele}, []votes.BallotSetAside{{Entry: "2", Ballot: "0"}}, []votes.Reason{counts}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := meeting.Meeting{MeetingDrafted: drafted}
			m.Policy = votes.Policy{Revote: c.revote, PaperAndElectronic: votes.ElectronicStands}
			for _, e := range c.aside {
				if e.Entry == "" {
					e.Entry = "1"
				}
				m.SetAside = append(m.SetAside, e)
			}
			var taken []meeting.Taken
			for i, channel := range c.channels {
				taken = append(taken, castBy(strconv.Itoa(i), "1", channel, votes.Yes, opens.Add(time.Duration(i)*time.Hour)))
			}
			var got []votes.Reason
			for _, reasons := range m.Settle(taken) {
				got = append(got, reasons...)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// A unit was sold after its seller voted. If that ballot never was the seller's,
// nobody has voted for the unit before the sale, and its buyer does.
func TestASellersBallotIsSetAside(t *testing.T) {
	m := meeting.Meeting{MeetingDrafted: drafted, Roll: votes.RollFrozen{Heads: 1, Area: 100, Scopes: []votes.ScopeTotal{{Scope: "estate", Heads: 1, Area: 100}}}}
	m.Motions = m.Motions[:1]
	m.Amendments = []votes.RollAmended{{Meeting: "m", RollUnit: votes.RollUnit{Unit: "1-101", Area: 100}, From: "1", To: "2", Person: "p"}}
	seller, buyer := castBy("a", "1", ele, votes.Yes, opens), castBy("b", "2", ele, votes.No, opens.Add(time.Hour))
	buyer.Amendments = 1
	taken := map[string][]meeting.Taken{"1": {seller}, "2": {buyer}}
	onRoll := map[string]votes.Entry{"1": {Entry: "1", Area: 100}}
	outcome := func() (list []votes.Reason) {
		h := m.Holdings(onRoll, taken)
		return append(h.Settle(m, taken["1"])[0], h.Settle(m, taken["2"])[0]...)
	}
	if got := outcome(); !slices.Equal(got, []votes.Reason{counts, votes.SellerVoted}) {
		t.Errorf("as they voted: %q", got)
	}
	m.SetAside = []votes.BallotSetAside{{Entry: "1", Ballot: "a"}}
	if got := outcome(); !slices.Equal(got, []votes.Reason{votes.SetAside, counts}) {
		t.Errorf("the seller's set aside: %q", got)
	}
}

// To set ballots aside takes their heads out of the count, and nobody else; to
// restore them gives the count that was.
func TestACountAnewIsTheCountOfWhatIsLeft(t *testing.T) {
	rules := civilCode(t)
	rapid.Check(t, func(t *rapid.T) {
		m := meeting.Meeting{MeetingDrafted: drafted}
		m.Policy, m.Motions = votes.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands}, m.Motions[:1]
		heads := rapid.IntRange(1, 12).Draw(t, "heads")
		var entries []votes.Entry
		var taken []meeting.Taken
		for i := range heads {
			e := votes.Entry{Entry: strconv.Itoa(i + 1), Area: units.CentiM2(rapid.IntRange(1, 9999).Draw(t, "area"))}
			entries = append(entries, e)
			taken = append(taken, castBy("b"+e.Entry, e.Entry, ele, rapid.SampledFrom([]string{votes.Yes, votes.No, votes.Abstain}).Draw(t, "choice"), opens))
			m.Roll.Heads, m.Roll.Area = m.Roll.Heads+1, m.Roll.Area+e.Area
		}
		m.Roll.Scopes = []votes.ScopeTotal{{Scope: "estate", Heads: m.Roll.Heads, Area: m.Roll.Area}}
		count := func(m meeting.Meeting, who func(int) bool) []meeting.Result {
			c := meeting.NewCounter(m, nil)
			for i, e := range entries {
				if who(i) {
					c.Head(e, meeting.Handed{Taken: taken[i : i+1]})
				}
			}
			return c.Results(rules)
		}
		everyone := func(int) bool { return true }
		out := rapid.SliceOfNDistinct(rapid.IntRange(0, heads-1), 0, heads, func(i int) int { return i }).Draw(t, "out")
		anew := m
		for _, i := range out {
			anew = meeting.Evolve(anew, votes.BallotSetAside{Entry: entries[i].Entry, Ballot: taken[i].Ballot})
		}
		left := count(m, func(i int) bool { return !slices.Contains(out, i) })
		if got := count(anew, everyone); !reflect.DeepEqual(got, left) {
			t.Fatalf("%+v, want %+v", got, left)
		}
		for _, i := range out {
			anew = meeting.Evolve(anew, votes.BallotRestored{Entry: entries[i].Entry, Ballot: taken[i].Ballot})
		}
		if got, want := count(anew, everyone), count(m, everyone); !reflect.DeepEqual(got, want) {
			t.Fatalf("restored: %+v, want %+v", got, want)
		}
	})
}
