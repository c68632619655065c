package meeting

import (
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors of setting ballots aside.
var (
	ErrResultStands = problem.Conflict("result-stands", "the posted result still stands: withdraw it first, for the objection that was upheld")
	ErrOldObjection = problem.Conflict("objection-to-an-older-result", "the objection was to a result that was withdrawn before; one to the last result is needed")
	ErrNoBallot     = problem.NotFound("no-such-ballot", "this entry cast no such ballot in time")
	ErrNotAside     = problem.Conflict("ballot-not-set-aside", "the ballot was not set aside")
	ErrEarlier      = problem.Invalid("earlier-ballot", "say what becomes of the other ballot of this owner", problem.Field{
		Name: "earlier", Code: "missing", Detail: "must be stands or falls: another ballot of this owner would count in its place"})
	ErrNoEarlier = problem.Invalid("earlier-ballot", "there is no other ballot of this owner", problem.Field{
		Name: "earlier", Code: "not-asked", Detail: "must be absent: no other ballot of this owner would count in its place"})
)

// recountable is the error of a change to what is counted, unless an objection to
// the result that was withdrawn last was upheld. One serves the result it was
// raised against, and no later one.
func (m Meeting) recountable(o Objection) error {
	if err := m.live(); err != nil {
		return err
	}
	switch {
	case m.Unopened:
		return ErrUnopened
	case !m.Countable():
		return ErrNotCounted
	case m.IsFinal():
		return ErrFinal
	case !o.Raised() || o.Meeting != m.Meeting:
		return ErrNoObjection
	case !o.Answered() || !o.Answer.Upheld:
		return ErrNotUpheld
	case m.IsPosted():
		return ErrResultStands
	case o.Posting != m.Postings:
		return ErrOldObjection
	}
	return nil
}

// Recounts says whether other ballots count after an event.
func Recounts(e votes.Event) bool {
	switch e.(type) {
	case votes.BallotSetAside, votes.BallotRestored:
		return true
	default:
		return false
	}
}

// aside returns the event by which a ballot was set aside.
func (m Meeting) aside(t Taken) (votes.BallotSetAside, bool) {
	i := slices.IndexFunc(m.SetAside, func(e votes.BallotSetAside) bool { return e.Ballot == t.Ballot && e.Entry == t.Entry })
	if i < 0 {
		return votes.BallotSetAside{}, false
	}
	return m.SetAside[i], true
}

// none says that a ballot was set aside as if there never had been one.
func (m Meeting) none(t Taken) bool {
	e, ok := m.aside(t)
	return ok && e.Earlier != votes.EarlierFalls
}

// SetBallotAside takes a ballot out of the count.
type SetBallotAside struct {
	At            time.Time // now
	Objection     Objection // for which it is done
	Entry, Ballot string
	Taken         []Taken // all that the entry cast, in recorded order, opened
	Earlier       string  // whether another ballot of the entry stands in its place; "": there is none
	Reason        string  // for everyone to read
}

// Decide refuses what no objection asks for, and while the result stands that it
// would contradict. Another ballot never comes to count without a word: where one
// would, the command says whether it does.
func (c SetBallotAside) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.recountable(c.Objection); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c.Taken, func(t Taken) bool { return t.Ballot == c.Ballot && t.Entry == c.Entry && !t.Late })
	if i < 0 {
		return nil, ErrNoBallot
	}
	if _, again := m.aside(c.Taken[i]); again {
		return nil, nil
	}
	event := votes.BallotSetAside{
		Meeting: m.Meeting, Objection: c.Objection.Objection, Entry: c.Entry, Ballot: c.Ballot, At: c.At, Earlier: c.Earlier, Reason: c.Reason,
	}
	stated := c.Earlier == votes.EarlierStands || c.Earlier == votes.EarlierFalls
	switch comes := m.anotherComes(event, c.Taken); {
	case comes && !stated:
		return nil, ErrEarlier
	case !comes && c.Earlier != "":
		return nil, ErrNoEarlier
	}
	if err := public("reason", c.Reason); err != nil {
		return nil, err
	}
	return []votes.Event{event}, nil
}

// anotherComes says whether another ballot would count on a motion, were there none
// such.
func (m Meeting) anotherComes(e votes.BallotSetAside, taken []Taken) bool {
	e.Earlier = votes.EarlierStands
	without := m
	without.SetAside = append(slices.Clip(m.SetAside), e)
	was, is := m.Settle(taken), without.Settle(taken)
	for i := range was {
		for j := range was[i] {
			if was[i][j] != "" && is[i][j] == "" {
				return true
			}
		}
	}
	return false
}

// RestoreBallot takes a ballot that was set aside into the count again.
type RestoreBallot struct {
	At            time.Time // now
	Objection     Objection // for which it is done
	Entry, Ballot string
	Reason        string // for everyone to read
}

// Decide refuses what no objection asks for, as [SetBallotAside.Decide] does.
func (c RestoreBallot) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.recountable(c.Objection); err != nil {
		return nil, err
	}
	if _, ok := m.aside(Taken{BallotCast: votes.BallotCast{Entry: c.Entry, Ballot: c.Ballot}}); !ok {
		return nil, ErrNotAside
	}
	if err := public("reason", c.Reason); err != nil {
		return nil, err
	}
	return []votes.Event{votes.BallotRestored{
		Meeting: m.Meeting, Objection: c.Objection.Objection, Entry: c.Entry, Ballot: c.Ballot, At: c.At, Reason: c.Reason,
	}}, nil
}
