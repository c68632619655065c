package votes

import (
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// objection is one objection, and where it was raised and answered.
type objection struct {
	meeting.Objection
	raised, answered es.Position
}

// lifecycle decides again what happens to a meeting beside and after the vote. It
// returns the meeting that the event names, "" where it is no such event.
func (i *inspection) lifecycle(c *facts.Commit, h *held, m meeting.Meeting, of authz.Resource, event votes.Event) string {
	set := rulesOf(m)
	switch e := event.(type) {
	case votes.MeetingCancelled:
		c.May(i.rights, "meeting.cancel", of)
		c.Decided(facts.Again(c, m, meeting.CancelMeeting{At: e.At, Reason: e.Reason}))
		return e.Meeting
	case votes.VotingExtended:
		c.May(i.rights, "voting.extend", of)
		extend := meeting.NewExtension(set, m)
		extend.At, extend.Closes = e.At, e.Closes
		extend.All, extend.Turnout = h.turnoutAt(m, c.Meta().Seen)
		c.Decided(facts.Again(c, m, extend))
		return e.Meeting
	case votes.ResultPosted:
		c.May(i.rights, "result.post", of)
		c.Decided(facts.Again(c, m, meeting.PostResult{At: e.At, Result: e.Result, Photo: e.Photo, Until: e.ObjectionsUntil}))
		if !aroundHolidays(set.ObjectionsUntil(e.At, meeting.EveryDay), e.ObjectionsUntil) {
			c.Break("objections-until", "the rules do not let owners object until %s", e.ObjectionsUntil)
		}
		if _, hash := m.Blob(h.results); m.Countable() && hash != e.Result {
			c.Break("result-wrong", "the result has the hash %s; the ballots lead to one of %s", e.Result, hash)
		}
		return e.Meeting
	case votes.ResultWithdrawn:
		c.May(i.rights, "result.withdraw", of)
		o := h.objections[e.Objection]
		c.Decided(facts.Again(c, m, meeting.WithdrawResult{At: e.At, Reason: e.Reason, Objection: e.Objection, Upheld: o != nil && o.Answer.Upheld && o.Against(m)}))
		return e.Meeting
	case votes.ResultFinal:
		c.May(i.rights, "result.declare", of)
		final := meeting.DeclareFinal{At: e.At, Results: h.results}
		final.Open, final.Upheld = h.pending(m, c.Meta().Seen)
		c.Decided(facts.Again(c, m, final))
		return e.Meeting
	case votes.ResultFiled:
		c.May(i.rights, "result.file", of)
		c.Decided(facts.Again(c, m, meeting.FileResult{At: e.At, Reference: e.Reference}))
		return e.Meeting
	case votes.DeadlineMissed:
		if c.Meta().Actor != reactor+missing || c.Meta().Cause != missedKey(h.id, e.Deadline) {
			c.Decided(errByClock)
		}
		c.Decided(facts.Again(c, m, meeting.MissDeadline{Now: c.Meta().Happened.Add(facts.Skew), Name: e.Deadline, Due: e.Due}))
		given := meeting.Deadlines(m, h.times, set, meeting.EveryDay, e.Due)
		if !slices.ContainsFunc(given, func(d meeting.Deadline) bool { return d.Name == e.Deadline && aroundHolidays(d.Due, e.Due) }) {
			c.Break("deadline-wrong", "the rules do not say that %s is due by %s", e.Deadline, e.Due)
		}
		return e.Meeting
	default:
		return i.recount(c, h, m, of, event)
	}
}

var errByClock = problem.Conflict("missed-by-the-clock", "that a deadline was missed the clock says, and nobody else")

// longestMove is how far days off may move the end of a period; those of a year may
// have been announced after this program was made.
const longestMove = 60 * 24 * time.Hour

// aroundHolidays says whether the end of a period may be the one that is stated,
// given the one that it has where no day is off.
func aroundHolidays(without, stated time.Time) bool {
	if without.IsZero() || stated.IsZero() {
		return without.IsZero() && stated.IsZero()
	}
	return !stated.Before(without) && !stated.After(without.Add(longestMove))
}

// turnoutAt is who could vote in each scope of a meeting, and who of them had cast a
// ballot or handed one in at a position.
func (h *held) turnoutAt(m meeting.Meeting, at es.Position) (all, scopes []votes.ScopeTotal) {
	all = slices.Clone(m.Roll.Scopes)
	for _, s := range all {
		scopes = append(scopes, votes.ScopeTotal{Scope: s.Scope})
	}
	voted := func(of *head) bool { return of.since > 0 && of.since <= at }
	for number, of := range h.heads {
		if e, ok := h.entry(number); ok && voted(of) {
			meeting.Add(scopes, e)
		}
	}
	onRoll, before := h.onRoll(m), h.votedBefore(m, voted)
	for i := range scopes {
		all[i], scopes[i] = m.Heads(all[i], onRoll, before), m.Turnout(scopes[i], onRoll, before)
	}
	return all, scopes
}

// pending counts what keeps a result from being final by what its decider must
// have known: an objection, or that one was upheld, may have been recorded since.
func (h *held) pending(m meeting.Meeting, seen es.Position) (open, upheld int) {
	var list []meeting.Objection
	for _, o := range h.objections {
		switch {
		case o.raised > seen:
		case o.answered > seen && o.Answer.Upheld:
		default:
			list = append(list, o.Objection)
		}
	}
	return meeting.Pending(m, list)
}

var errWrongObjector = problem.Conflict("wrong-voter", "the entry is not the caller's")

// objection decides an objection again, and what became of it.
func (i *inspection) objection(c *facts.Commit, event votes.Event) {
	rest := strings.TrimPrefix(c.Stream(), votes.ObjectionStream)
	if len(rest) <= letters+1 || rest[letters] != '-' || i.meetings[rest[:letters]] == nil {
		c.Break(meeting.ErrNoMeeting.Code, "%s", meeting.ErrNoMeeting.Detail)
		return
	}
	id, number := rest[:letters], rest[letters+1:]
	h := i.meetings[id]
	o := h.objections[number]
	if o == nil {
		o = &objection{}
		h.objections[number] = o
	}
	c.Present()
	about := authz.Resource{Type: "Meeting", ID: id, Estate: h.Now().Estate, Person: o.Person}
	switch e := event.(type) {
	case votes.ResultObjected:
		actor := c.Meta().Actor
		about.Person = actor
		c.May(i.rights, "result.object", about)
		c.Names(votes.ObjectionStream, e.Meeting+"-"+e.Objection)
		if e.Objection != c.ID() {
			c.Break("objection-id", "the id is not made of its request")
		}
		voter := h.Now().Voter(h.voters.Of(actor), actor)
		if e.Person != actor || voter.Entry != e.Entry {
			c.Decided(errWrongObjector)
		}
		var refused error
		answer := h.Ask(c, func(m meeting.Meeting) bool {
			err := facts.Again(c, o.Objection, meeting.ObjectToResult{
				Objection: e.Objection, Person: e.Person, Meeting: m, Entry: voter.Entry, Motion: e.Motion, At: e.At, Words: e.Words,
			})
			if refused == nil {
				refused = err
			}
			return err == nil
		})
		c.Doubted(answer, refused)
		o.raised = c.Position()
	case votes.ObjectionRead:
		c.May(i.rights, "objection.read", about)
		c.Names(votes.ObjectionStream, e.Meeting+"-"+e.Objection)
		if e.Reader != c.Meta().Actor {
			c.Break("wrong-actor", "%s is said to have read, and %s did", e.Reader, c.Meta().Actor)
		}
		c.Decided(facts.Again(c, o.Objection, meeting.ReadObjection{Reader: e.Reader, At: e.At}))
	case votes.ResultObjectionAnswered:
		c.May(i.rights, "objection.answer", about)
		c.Names(votes.ObjectionStream, e.Meeting+"-"+e.Objection)
		c.Decided(facts.Again(c, o.Objection, meeting.AnswerObjection{At: e.At, Upheld: e.Upheld, Answer: e.Answer}))
		o.answered = c.Position()
	default:
		c.Break("wrong-stream", "no such event is in this stream")
	}
	for _, f := range c.Facts {
		if e, ok := f.Event.(votes.Event); ok {
			o.Objection = meeting.EvolveObjection(o.Objection, e)
		}
	}
}
