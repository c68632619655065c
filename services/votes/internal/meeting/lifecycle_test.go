package meeting_test

import (
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestLifecycle(t *testing.T) {
	set := civilCode(t)
	scoped := with(frozen, func(f *votes.RollFrozen) {
		f.Scopes = []votes.ScopeTotal{{Scope: "estate", Heads: 3, Area: 300}, {Scope: "building:5", Heads: 3, Area: 300}}
	})
	posted := votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes, RuleSet: set.ID, RuleHash: set.Hash}
	later := closes.AddDate(0, 3, 0)
	during := closes.Add(-time.Hour)
	past := with(drafted, func(d *votes.MeetingDrafted) { d.Past = true })
	under := events{drafted, scoped, posted}
	join := func(a events, b ...votes.Event) events { return append(append(events{}, a...), b...) }
	entered, closed, released := votes.PaperEntryCompleted{Meeting: "m"}, votes.VotingClosed{Meeting: "m"}, votes.KeyReleased{Meeting: "m", Key: "k"}
	counted := join(under, closed, released)

	cancel := meeting.CancelMeeting{At: during, Reason: "议题需要重新商议。"}
	cancelled := votes.MeetingCancelled{Meeting: "m", At: during, Reason: cancel.Reason}
	shenzhen := withRules(t, "shenzhen", nil)
	extend := meeting.NewExtension(shenzhen, meeting.Meeting{MeetingDrafted: drafted, Roll: scoped, Notice: posted})
	extend.At, extend.Closes, extend.All = during, later, scoped.Scopes
	extend.Turnout = []votes.ScopeTotal{{Scope: "estate", Heads: 2, Area: 200}, {Scope: "building:5", Heads: 1, Area: 200}}
	extended := votes.VotingExtended{Meeting: "m", At: during, From: closes, Closes: later}
	ends := closes.AddDate(0, 0, 15)
	post := meeting.PostResult{At: closes.Add(time.Hour), Result: "r", Photo: "p", Until: ends}
	first := votes.ResultPosted{Meeting: "m", At: post.At, Posting: 1, Result: "r", Photo: "p", ObjectionsUntil: ends}
	second := with(first, func(p *votes.ResultPosted) { p.Posting = 2 })
	shown := join(counted, first)
	withdraw := meeting.WithdrawResult{At: closes.AddDate(0, 0, 1), Reason: "一张票重复录入。", Objection: "o", Upheld: true}
	withdrawn := votes.ResultWithdrawn{Meeting: "m", At: withdraw.At, Posting: 1, Reason: withdraw.Reason, Objection: "o"}
	final := meeting.DeclareFinal{At: ends.Add(meeting.Grace)}
	ended := votes.ResultFinal{Meeting: "m", At: final.At, Posting: 1}
	filing := meeting.FileResult{At: ends.AddDate(0, 0, 3), Reference: "街办备12号"}
	filed := votes.ResultFiled{Meeting: "m", At: filing.At, Reference: "街办备12号"}
	wrong := problem.Invalid("words-wrong", "")

	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "withdraw a draft", Given: events{drafted}, When: cancel, Then: events{cancelled}},
		{Name: "cancel before the deadline", Given: under, When: cancel, Then: events{cancelled}},
		{Name: "cancel at the deadline", Given: under, When: with(cancel, func(c *meeting.CancelMeeting) { c.At = closes }), Err: meeting.ErrVotingOver},
		{Name: "cancel before the deadline by a clock that is slow, after the close", Given: join(under, closed), When: cancel, Err: meeting.ErrVotingOver},
		{Name: "cancel twice", Given: join(under, cancelled), When: cancel},
		{Name: "cancel a meeting of the past", Given: events{past, scoped}, When: cancel, Err: meeting.ErrPastMeeting},
		{Name: "cancel nothing", When: cancel, Err: meeting.ErrNoMeeting},
		{Name: "cancel without a reason", Given: under, When: with(cancel, func(c *meeting.CancelMeeting) { c.Reason = " " }), Err: wrong},
		{Name: "cancel with somebody's phone number for a reason", Given: under, When: with(cancel, func(c *meeting.CancelMeeting) { c.Reason = "请致电13800000000" }), Err: wrong},
		{Name: "cancel with the number of somebody's document", Given: under, When: with(cancel, func(c *meeting.CancelMeeting) { c.Reason = "11010519491231002X不同意" }), Err: wrong},
		{Name: "cancel with more words than fit", Given: under, When: with(cancel, func(c *meeting.CancelMeeting) { c.Reason = strings.Repeat("长", 1001) }), Err: wrong},
		{Name: "freeze the roll of a draft that is withdrawn", Given: events{drafted, cancelled}, When: meeting.FreezeRoll{RollFrozen: scoped}, Err: meeting.ErrCancelled},
		{Name: "post the notice of a meeting that is cancelled", Given: events{drafted, scoped, cancelled},
			When: meeting.PostNotice{Now: noon, Opens: opens, Closes: closes, Rules: set}, Err: meeting.ErrCancelled},
		{Name: "close a meeting that is cancelled", Given: join(under, cancelled), When: meeting.CloseVoting{Now: later}, Err: meeting.ErrCancelled},
		{Name: "complete the paper of a meeting that is cancelled", Given: join(under, cancelled), When: meeting.CompletePaperEntry{Now: later}, Err: meeting.ErrCancelled},
		{Name: "release the key of a meeting that is cancelled", Given: join(under, cancelled), When: meeting.ReleaseKey{Key: "k"}, Err: meeting.ErrNotClosed},

		{Name: "深圳: extend once, to the last day, while a scope lacks a quorum", Given: under, When: extend, Then: events{extended}},
		{Name: "深圳: extend by a second more than three months", Given: under, When: with(extend, func(c *meeting.ExtendVoting) { c.Closes = later.Add(1) }), Err: problem.Invalid("wrong-extension", "")},
		{Name: "extend to the deadline there is", Given: under, When: with(extend, func(c *meeting.ExtendVoting) { c.Closes = closes }), Err: problem.Invalid("wrong-extension", "")},
		{Name: "深圳: extend twice", Given: join(under, extended), When: with(extend, func(c *meeting.ExtendVoting) { c.Closes, c.Latest = later.AddDate(0, 1, 0), later.AddDate(0, 3, 0) }), Err: meeting.ErrExtended},
		{Name: "extend where the rules do not say so", Given: under, When: with(extend, func(c *meeting.ExtendVoting) { c.Times = 0 }), Err: meeting.ErrNoExtension},
		{Name: "Civil Code art. 278: extend where exactly two thirds have taken part", Given: under,
			When: with(extend, func(c *meeting.ExtendVoting) {
				c.Turnout = []votes.ScopeTotal{{Scope: "estate", Heads: 2, Area: 200}, {Scope: "building:5", Heads: 2, Area: 200}}
			}), Err: meeting.ErrQuorumThere},
		{Name: "Civil Code art. 278: extend where one centimetre of area lacks", Given: under,
			When: with(extend, func(c *meeting.ExtendVoting) {
				c.Turnout = []votes.ScopeTotal{{Scope: "estate", Heads: 2, Area: 200}, {Scope: "building:5", Heads: 2, Area: 199}}
			}), Then: events{extended}},
		{Name: "Civil Code art. 278: extend where a sale made one head more, and two thirds of the roll have taken part", Given: under,
			When: with(extend, func(c *meeting.ExtendVoting) {
				c.All = []votes.ScopeTotal{{Scope: "estate", Heads: 4, Area: 300}, {Scope: "building:5", Heads: 3, Area: 300}}
				c.Turnout = []votes.ScopeTotal{{Scope: "estate", Heads: 2, Area: 200}, {Scope: "building:5", Heads: 2, Area: 200}}
			}), Then: events{extended}},
		{Name: "河南 art. 66, Civil Code art. 279: extend where no motion asks who takes part", Given: under,
			When: with(extend, func(c *meeting.ExtendVoting) { c.Quorate = nil }), Err: meeting.ErrQuorumThere},
		{Name: "extend where only a scope lacks a quorum that asks for none", Given: under,
			When: with(extend, func(c *meeting.ExtendVoting) { c.Quorate = []string{"estate"} }), Err: meeting.ErrQuorumThere},
		{Name: "extend where nobody has voted", Given: under, When: with(extend, func(c *meeting.ExtendVoting) { c.Turnout = nil }), Then: events{extended}},
		{Name: "extend before voting opens", Given: under, When: with(extend, func(c *meeting.ExtendVoting) { c.At = opens.Add(-1) }), Err: meeting.ErrNotOpen},
		{Name: "extend at the deadline", Given: under, When: with(extend, func(c *meeting.ExtendVoting) { c.At = closes }), Err: meeting.ErrVotingOver},
		{Name: "extend after the close, by a clock that is slow", Given: join(under, closed), When: extend, Err: meeting.ErrVotingOver},
		{Name: "extend after paper is declared complete", Given: join(under, entered), When: extend, Err: meeting.ErrVotingOver},
		{Name: "extend before the notice", Given: events{drafted, scoped}, When: extend, Err: meeting.ErrNoNotice},
		{Name: "extend what is cancelled", Given: join(under, cancelled), When: extend, Err: meeting.ErrCancelled},
		{Name: "close at the old deadline of a vote that was extended", Given: join(under, extended), When: meeting.CloseVoting{Now: closes.Add(meeting.Grace)}, Err: meeting.ErrStillOpen},
		{Name: "close a minute after the new deadline", Given: join(under, extended), When: meeting.CloseVoting{Now: later.Add(meeting.Grace)}, Then: events{closed}},
		{Name: "complete the paper at the old deadline", Given: join(under, extended), When: meeting.CompletePaperEntry{Now: closes}, Err: meeting.ErrStillOpen},
		{Name: "cancel between the old deadline and the new", Given: join(under, extended), When: with(cancel, func(c *meeting.CancelMeeting) { c.At = closes }),
			Then: events{with(cancelled, func(e *votes.MeetingCancelled) { e.At = closes })}},

		{Name: "post the result", Given: counted, When: post, Then: events{first}},
		{Name: "post it before the key is released", Given: join(under, closed), When: post, Err: meeting.ErrNotCounted},
		{Name: "post it without having read it", Given: counted, When: with(post, func(p *meeting.PostResult) { p.Result = "" }), Err: meeting.ErrNotCounted},
		{Name: "post it twice", Given: shown, When: post},
		{Name: "post another while one stands", Given: shown, When: with(post, func(p *meeting.PostResult) { p.Result = "x" }), Err: meeting.ErrResultPosted},
		{Name: "post the result of a meeting of the past", Given: events{past, scoped, posted, closed}, When: post, Err: meeting.ErrPastMeeting},
		{Name: "post it again after it was withdrawn", Given: join(shown, withdrawn), When: post, Then: events{second}},
		{Name: "withdraw for an objection that was upheld", Given: shown, When: withdraw, Then: events{withdrawn}},
		{Name: "withdraw for an objection that was not", Given: shown, When: with(withdraw, func(w *meeting.WithdrawResult) { w.Upheld = false }), Err: meeting.ErrNotUpheld},
		{Name: "withdraw for a mistake that nobody objected to", Given: shown, When: with(withdraw, func(w *meeting.WithdrawResult) { w.Objection, w.Upheld = "", false }),
			Then: events{with(withdrawn, func(e *votes.ResultWithdrawn) { e.Objection = "" })}},
		{Name: "withdraw without a reason", Given: shown, When: with(withdraw, func(w *meeting.WithdrawResult) { w.Reason = "" }), Err: wrong},
		{Name: "withdraw before it is posted", Given: counted, When: withdraw, Err: meeting.ErrNotPosted},
		{Name: "withdraw what is final", Given: join(shown, ended), When: withdraw, Err: meeting.ErrFinal},

		{Name: "declare final a minute after the last day to object", Given: shown, When: final, Then: events{ended}},
		{Name: "declare final before the days to object are over", Given: shown, When: with(final, func(f *meeting.DeclareFinal) { f.At = ends.Add(meeting.Grace - 1) }), Err: meeting.ErrStillObject},
		{Name: "declare final while an objection is open", Given: shown, When: with(final, func(f *meeting.DeclareFinal) { f.Open = 1 }), Err: meeting.ErrUnanswered},
		{Name: "declare final against an objection that was upheld", Given: shown, When: with(final, func(f *meeting.DeclareFinal) { f.Upheld = 1 }), Err: meeting.ErrUpheld},
		{Name: "declare final what is not posted", Given: counted, When: final, Err: meeting.ErrNotPosted},
		{Name: "declare final what was withdrawn", Given: join(shown, withdrawn), When: final, Err: meeting.ErrNotPosted},
		{Name: "declare final twice", Given: join(shown, ended), When: final},
		{Name: "declare final at once where the rules give no days", Given: join(counted, with(first, func(p *votes.ResultPosted) { p.ObjectionsUntil = time.Time{} })),
			When: with(final, func(f *meeting.DeclareFinal) { f.At = post.At }), Then: events{with(ended, func(e *votes.ResultFinal) { e.At = post.At })}},

		{Name: "file it", Given: join(shown, ended), When: filing, Then: events{filed}},
		{Name: "file it before it is final", Given: shown, When: filing, Err: meeting.ErrNotFinal},
		{Name: "file it twice", Given: join(shown, ended, filed), When: filing},
		{Name: "file it under another number", Given: join(shown, ended, filed), When: with(filing, func(f *meeting.FileResult) { f.Reference = "街办备13号" }), Err: meeting.ErrFiled},
		{Name: "file it without a number", Given: join(shown, ended), When: with(filing, func(f *meeting.FileResult) { f.Reference = "" }), Err: wrong},
	})

	elected := with(drafted, func(d *votes.MeetingDrafted) {
		d.Motions = []votes.Motion{{ID: "M1", Title: "选举业委会", Matter: "民法典278-1-3", Scope: "estate", Election: votes.Election{Seats: 5}}}
	})
	election := events{elected, scoped, posted, closed, released}
	due := closes.AddDate(0, 0, 3)
	miss := meeting.MissDeadline{Now: due, Name: meeting.ResultPosting, Due: due}
	missed := votes.DeadlineMissed{Meeting: "m", Deadline: meeting.ResultPosting, Due: due}
	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "北京 art. 37: nothing is posted when its days are over", Given: counted, When: miss, Then: events{missed}},
		{Name: "北京 art. 37: an instant before", Given: counted, When: with(miss, func(c *meeting.MissDeadline) { c.Now = due.Add(-1) }), Err: meeting.ErrNotDue},
		{Name: "it was posted in time", Given: shown, When: miss, Err: meeting.ErrNotDue},
		{Name: "it was posted in the instant in which it was late", Given: join(counted, with(first, func(p *votes.ResultPosted) { p.At = due })), When: miss, Then: events{missed}},
		{Name: "it was posted in time and withdrawn", Given: join(shown, withdrawn), When: miss, Err: meeting.ErrNotDue},
		{Name: "once is enough", Given: join(counted, missed), When: miss},
		{Name: "before the count", Given: join(under, closed), When: miss, Err: meeting.ErrNotDue},
		{Name: "of a meeting that was cancelled", Given: join(under, cancelled), When: miss, Err: meeting.ErrCancelled},
		{Name: "a day that asks nothing of anybody", Given: counted, When: with(miss, func(c *meeting.MissDeadline) { c.Name = meeting.Court }), Err: meeting.ErrNotDue},
		{Name: "the filing of what is no election", Given: counted, When: with(miss, func(c *meeting.MissDeadline) { c.Name = meeting.Filing }), Err: meeting.ErrNotDue},
		{Name: "指导规则: an election that is not filed within its days", Given: election, When: with(miss, func(c *meeting.MissDeadline) { c.Name = meeting.Filing }),
			Then: events{with(missed, func(e *votes.DeadlineMissed) { e.Deadline = meeting.Filing })}},
	})

	t.Run("the state names how far it is", func(t *testing.T) {
		for want, given := range map[string]events{
			"withdrawn": {drafted, scoped, cancelled}, "cancelled": join(under, cancelled), "counted": counted, "posted": shown,
			"final": join(shown, ended), "filed": join(shown, ended, filed),
		} {
			var m meeting.Meeting
			for _, e := range given {
				m = meeting.Evolve(m, e)
			}
			if got := m.State(later); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		m := meeting.Meeting{}
		for _, e := range join(shown, withdrawn) {
			m = meeting.Evolve(m, e)
		}
		if got := m.State(later); got != "counted" {
			t.Errorf("withdrawn result: %s", got)
		}
	})
}

// What was recorded first decides: a ballot at the old deadline is refused where
// the extension was not recorded yet, and taken where it was; who was refused
// votes again.
func TestABallotAtTheOldDeadlineAndAnExtension(t *testing.T) {
	later := closes.AddDate(0, 1, 0)
	fold := func(list ...votes.Event) (m meeting.Meeting) {
		for _, e := range list {
			m = meeting.Evolve(m, e)
		}
		return m
	}
	posted := votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes}
	before := fold(drafted, frozen, posted)
	after := fold(drafted, frozen, posted, votes.VotingExtended{Meeting: "m", At: closes.Add(-1), From: closes, Closes: later})
	cast := func(m meeting.Meeting, ballot string, at time.Time) meeting.CastBallot {
		return meeting.CastBallot{Ballot: ballot, Meeting: m, Entry: votes.Entry{Entry: "7", Area: 100}, Channel: ele, At: at,
			Choices: []votes.Choice{{Motion: "M1", Choice: votes.Yes}}, Sealed: "sealed"}
	}
	took := func(ballot string, at time.Time) votes.BallotCast {
		return votes.BallotCast{Ballot: ballot, Meeting: "m", Entry: "7", Channel: ele, At: at, Motions: []string{"M1"}, Sealed: "sealed"}
	}
	late := votes.BallotRefused{Ballot: "a", Meeting: "m", Entry: "7", Channel: ele, At: closes, Motions: []string{"M1"}, Reason: votes.VotingIsClosed}
	estest.Run(t, meeting.EvolveBallots, same, []estest.Case[meeting.Ballots, votes.Event]{
		{Name: "at the old deadline, the extension recorded later", When: cast(before, "a", closes), Then: events{late}},
		{Name: "at the old deadline, the extension recorded before", When: cast(after, "a", closes), Then: events{took("a", closes)}},
		{Name: "an instant before it, whatever was recorded", When: cast(before, "a", closes.Add(-1)), Then: events{took("a", closes.Add(-1))}},
		{Name: "the refused one again, after the extension", Given: events{late}, When: cast(after, "b", closes.Add(time.Second)), Then: events{took("b", closes.Add(time.Second))}},
		{Name: "who voted before the extension has voted", Given: events{took("a", opens)}, When: cast(after, "b", closes.Add(time.Second)),
			Then: events{with(late, func(r *votes.BallotRefused) {
				r.Ballot, r.At, r.Reason = "b", closes.Add(time.Second), votes.AlreadyVoted
			})}},
		{Name: "at the new deadline", When: cast(after, "a", later), Then: events{with(late, func(r *votes.BallotRefused) { r.At = later })}},
		{Name: "an envelope at the old deadline, the extension recorded before", When: meeting.HandInPaper{Ballot: "a", Meeting: after, Entry: votes.Entry{Entry: "7"}, At: closes},
			Then: events{votes.PaperHandedIn{Meeting: "m", Entry: "7", Envelope: "a", At: closes}}},
		{Name: "after a meeting was cancelled", When: cast(meeting.Evolve(before, votes.MeetingCancelled{Meeting: "m", At: opens}), "a", opens),
			Then: events{with(late, func(r *votes.BallotRefused) { r.At = opens })}},
	})
}

func TestObjections(t *testing.T) {
	var m meeting.Meeting
	ends := closes.AddDate(0, 0, 15)
	shown := votes.ResultPosted{Meeting: "m", At: closes, Posting: 1, Result: "r", ObjectionsUntil: ends}
	for _, e := range (events{drafted, frozen, votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes}, votes.VotingClosed{}, votes.KeyReleased{Key: "k"}, shown}) {
		m = meeting.Evolve(m, e)
	}
	object := meeting.ObjectToResult{Objection: "o", Person: "p", Meeting: m, Entry: "7", Motion: "M1", At: ends.Add(-1), Words: "sealed"}
	raised := votes.ResultObjected{Objection: "o", Meeting: "m", Posting: 1, Entry: "7", Person: "p", Motion: "M1", At: ends.Add(-1), Words: "sealed"}
	answer := meeting.AnswerObjection{At: ends, Upheld: true, Answer: "经核对,异议成立。"}
	answered := votes.ResultObjectionAnswered{Objection: "o", Meeting: "m", At: ends, Upheld: true, Answer: answer.Answer}
	of := func(change func(*meeting.ObjectToResult)) meeting.ObjectToResult { return with(object, change) }

	estest.Run(t, meeting.EvolveObjection, same, []estest.Case[meeting.Objection, votes.Event]{
		{Name: "an owner objects in the last instant", When: object, Then: events{raised}},
		{Name: "an instant later", When: of(func(c *meeting.ObjectToResult) { c.At = ends }), Err: meeting.ErrTooLate},
		{Name: "where the rules give no days, until it is final", When: of(func(c *meeting.ObjectToResult) { c.Meeting.Result.ObjectionsUntil, c.At = time.Time{}, ends }),
			Then: events{with(raised, func(e *votes.ResultObjected) { e.At = ends })}},
		{Name: "to what is final", When: of(func(c *meeting.ObjectToResult) {
			c.Meeting = meeting.Evolve(m, votes.ResultFinal{Meeting: "m", At: ends, Posting: 1})
		}), Err: meeting.ErrTooLate},
		{Name: "to what was withdrawn", When: of(func(c *meeting.ObjectToResult) {
			c.Meeting = meeting.Evolve(m, votes.ResultWithdrawn{Meeting: "m", At: closes, Posting: 1})
		}), Err: meeting.ErrNotPosted},
		{Name: "somebody who is not on the roll", When: of(func(c *meeting.ObjectToResult) { c.Entry = "" }), Err: meeting.ErrNotAnOwner},
		{Name: "without words", When: of(func(c *meeting.ObjectToResult) { c.Words = "" }), Err: problem.Invalid("words-missing", "")},
		{Name: "to the whole result", When: of(func(c *meeting.ObjectToResult) { c.Motion = "" }), Then: events{with(raised, func(e *votes.ResultObjected) { e.Motion = "" })}},
		{Name: "to a motion that was not on the notice", When: of(func(c *meeting.ObjectToResult) { c.Motion = "M9" }), Err: problem.Invalid("no-such-motion", "")},
		{Name: "twice", Given: events{raised}, When: object},
		{Name: "it is read", Given: events{raised}, When: meeting.ReadObjection{Reader: "c", At: ends}, Then: events{votes.ObjectionRead{Objection: "o", Meeting: "m", Reader: "c", At: ends}}},
		{Name: "nothing is read", When: meeting.ReadObjection{Reader: "c", At: ends}, Err: meeting.ErrNoObjection},
		{Name: "it is answered", Given: events{raised}, When: answer, Then: events{answered}},
		{Name: "it is answered twice", Given: events{raised, answered}, When: answer},
		{Name: "it is answered otherwise", Given: events{raised, answered}, When: with(answer, func(a *meeting.AnswerObjection) { a.Upheld = false }), Err: meeting.ErrAnswered},
		{Name: "nothing is answered", When: answer, Err: meeting.ErrNoObjection},
		{Name: "an answer that names a phone", Given: events{raised}, When: with(answer, func(a *meeting.AnswerObjection) { a.Answer = "请联系 13912345678" }), Err: problem.Invalid("words-wrong", "")},
	})

	one := meeting.EvolveObjection(meeting.Objection{}, raised)
	upheld := meeting.EvolveObjection(one, answered)
	again := meeting.Evolve(meeting.Evolve(m, votes.ResultWithdrawn{Meeting: "m", Posting: 1}), votes.ResultPosted{Meeting: "m", At: ends, Posting: 2, Result: "s"})
	for _, c := range []struct {
		name         string
		m            meeting.Meeting
		list         []meeting.Objection
		open, upheld int
	}{
		{"one open", m, []meeting.Objection{one}, 1, 0},
		{"one upheld", m, []meeting.Objection{upheld}, 0, 1},
		{"one upheld against a result that was withdrawn and posted anew", again, []meeting.Objection{upheld}, 0, 0},
		{"one open against it is still to be answered", again, []meeting.Objection{one}, 1, 0},
	} {
		if open, upheld := meeting.Pending(c.m, c.list); open != c.open || upheld != c.upheld {
			t.Errorf("%s: %d open, %d upheld", c.name, open, upheld)
		}
	}
}
