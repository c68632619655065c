package meeting

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors of those who hold shares of a meeting's key.
var (
	ErrNoTrustees    = problem.Conflict("no-trustees", "the ledger's service keeps this meeting's key; there are no shares of it")
	ErrNotATrustee   = problem.Conflict("not-a-trustee", "you hold no share of this meeting's key")
	ErrSharesLeft    = problem.Conflict("shares-not-taken", "every trustee takes their share before the notice: until then the service has them all")
	ErrShareNotTaken = problem.Conflict("share-not-taken", "this share was never taken")
	ErrShareEarly    = problem.Conflict("share-early", "shares are given when voting is closed, so that nobody can open a ballot before; keep yours until then")
	ErrSharesMissing = problem.Conflict("shares-missing", "too few trustees have given their shares")
	ErrSharesDue     = problem.Conflict("shares-still-due", "shares are taken in until the day that was set")
	ErrUnopened      = problem.Conflict("ballots-unopened", "too few shares came in time; the ballots of this meeting stay sealed")
)

// Bounds of a trust.
const (
	MostTrustees  = 9
	LongestOpened = 60 // days within which shares must come
)

// Trust is who holds the key of a meeting in shares. The zero value is nobody:
// the vault keeps the key.
type Trust struct {
	votes.TrusteesNamed
	Taken []int              `json:",omitempty"` // numbers of the shares on paper
	Given []votes.ShareGiven `json:",omitempty"`
	Until time.Time          `json:",omitzero"` // shares are taken in; zero: not yet
}

// Needed is how many shares open the ballots; 0 where there are no trustees.
func (t Trust) Needed() int { return len(t.Commitments) }

// Complete says whether every trustee has their share.
func (t Trust) Complete() bool { return len(t.Taken) == len(t.Trustees) }

// Number returns the number of a trustee, from 1; 0: the person is none.
func (t Trust) Number(person string) int {
	return 1 + slices.IndexFunc(t.Trustees, func(of votes.Trustee) bool { return of.Person == person && person != "" })
}

// given says whether a share has been given.
func (t Trust) given(number int) bool {
	return slices.ContainsFunc(t.Given, func(g votes.ShareGiven) bool { return g.Number == number })
}

// Shares returns the shares that were given, as they were.
func (t Trust) Shares() (list []string) {
	for _, g := range t.Given {
		list = append(list, g.Share)
	}
	return list
}

// evolve applies the events of trustees.
func (t Trust) evolve(e votes.Event) Trust {
	switch e := e.(type) {
	case votes.TrusteesNamed:
		return Trust{TrusteesNamed: e}
	case votes.ShareTaken:
		t.Taken = append(slices.Clip(t.Taken), e.Number)
	case votes.SharesAwaited:
		t.Until = e.Until
	case votes.ShareGiven:
		t.Given = append(slices.Clip(t.Given), e)
	default: // not of trustees
	}
	return t
}

// NameTrustees gives the key of a meeting into several hands before its notice.
type NameTrustees struct {
	votes.TrusteesNamed
}

// Decide refuses a trust in which one party alone could open the ballots.
func (c NameTrustees) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	if m.Posted() {
		return nil, ErrPosted
	}
	if wrong := c.check(); len(wrong) > 0 {
		return nil, problem.Invalid("trustees-wrong", "the key cannot be given into these hands", wrong...)
	}
	return []votes.Event{c.TrusteesNamed}, nil
}

func (c NameTrustees) check() (wrong []problem.Field) {
	want := func(ok bool, name, code, detail string) {
		if !ok {
			wrong = append(wrong, problem.Field{Name: name, Code: code, Detail: detail})
		}
	}
	parties := []string{votes.OfCommittee, votes.OfStreet, votes.OfResidents, votes.OfOwners}
	n, needed := len(c.Trustees), len(c.Commitments)
	want(n >= 2 && n <= MostTrustees, "trustees", "wrong-number", fmt.Sprintf("are 2 to %d", MostTrustees))
	want(needed >= 2 && needed <= n, "needed", "wrong-number", "is at least 2 and at most as many as there are trustees")
	want(c.Days >= 1 && c.Days <= LongestOpened, "days", "wrong-number", fmt.Sprintf("is 1 to %d", LongestOpened))
	held := map[string]int{}
	for i, t := range c.Trustees {
		field := func(name string) string { return fmt.Sprintf("trustees[%d].%s", i, name) }
		want(t.Person != "", field("person"), "missing", "is missing")
		want(!slices.ContainsFunc(c.Trustees[:i], func(o votes.Trustee) bool { return o.Person == t.Person }), field("person"), "duplicate", "holds a share already")
		want(slices.Contains(parties, t.Party), field("party"), "not-one-of", "is "+strings.Join(parties, ", "))
		held[t.Party]++
	}
	for _, party := range parties {
		want(needed == 0 || held[party] < needed, "needed", "one-party-suffices", "is more than the shares of "+party+", which could open the ballots alone")
	}
	return wrong
}

// TakeShare records that a trustee has written down their share.
type TakeShare struct {
	Number int // of the trustee, from 1; 0: they are none
}

// Decide takes a share once.
func (c TakeShare) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.Trust.Needed() == 0:
		return nil, ErrNoTrustees
	case c.Number < 1 || c.Number > len(m.Trust.Trustees):
		return nil, ErrNotATrustee
	case slices.Contains(m.Trust.Taken, c.Number):
		return nil, nil
	}
	return []votes.Event{votes.ShareTaken{Meeting: m.Meeting, Number: c.Number}}, nil
}

// AwaitShares says until when the trustees of a closed meeting give their shares.
type AwaitShares struct {
	Closed time.Time // when VotingClosed was recorded
}

// Decide counts whole days from the close.
func (c AwaitShares) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.Trust.Needed() == 0 || !m.Trust.Until.IsZero():
		return nil, nil
	case !m.Closed:
		return nil, ErrNotClosed
	}
	return []votes.Event{votes.SharesAwaited{Meeting: m.Meeting, Until: c.Closed.AddDate(0, 0, m.Trust.Days)}}, nil
}

// GiveShare publishes a trustee's share, which was checked to be theirs.
type GiveShare struct {
	Number int // of the trustee, from 1; 0: they are none
	Share  string
}

// Decide refuses a share before the close and after it was given up. More than
// are needed may come while the ballots are being opened.
func (c GiveShare) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.Trust.Needed() == 0:
		return nil, ErrNoTrustees
	case c.Number < 1 || c.Number > len(m.Trust.Trustees):
		return nil, ErrNotATrustee
	case !m.Closed:
		return nil, ErrShareEarly
	case m.Unopened:
		return nil, ErrUnopened
	case m.Trust.given(c.Number) || m.Key != "":
		return nil, nil
	}
	return []votes.Event{votes.ShareGiven{Meeting: m.Meeting, Number: c.Number, Share: c.Share}}, nil
}

// LeaveUnopened ends a meeting whose ballots cannot be opened.
type LeaveUnopened struct {
	Now time.Time
}

// Decide waits for the day that was set. With enough shares the ballots are opened.
func (c LeaveUnopened) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.Trust.Needed() == 0:
		return nil, ErrNoTrustees
	case m.Unopened || m.Key != "" || len(m.Trust.Given) >= m.Trust.Needed():
		return nil, nil
	case m.Trust.Until.IsZero() || c.Now.Before(m.Trust.Until):
		return nil, ErrSharesDue
	}
	return []votes.Event{votes.BallotsUnopened{Meeting: m.Meeting}}, nil
}

// unopened is the result of a motion on which no ballot could be opened: it decides
// nothing, whatever silence or a want of objections would come to.
func (r Result) unopened() Result {
	r.Figures = Figures{Outcome: votes.NoDecision, Arithmetic: []Step{}}
	r.Channels, r.Silence, r.Election = nil, nil, nil
	r.Words = Words{
		ZH: "保管开票密钥的各方没有在规定期限内交齐所需份数,选票没有开启,本次表决不形成决定。",
		EN: "Those who hold the key in shares did not give as many as are needed in time: the ballots were not opened, and this vote decides nothing.",
	}
	return r
}
