package meeting

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors of proxies (委托).
var (
	ErrProxyGranted        = problem.Conflict("proxy-granted", "this owner has named a proxy; that mandate is revoked before another is granted")
	ErrProxyClosed         = problem.Conflict("proxy-closed", "a mandate is granted and revoked between the notice and the close of voting")
	ErrOwnProxy            = problem.Invalid("own-proxy", "an owner needs no mandate for their own ballot", problem.Field{Name: "holder", Code: "yourself", Detail: "must be another person"})
	ErrVotedInPerson       = problem.Conflict("voted-in-person", "the owner has voted in person; there is nothing left to vote by proxy")
	ErrNoMandate           = problem.Conflict("no-mandate", "you hold no mandate of this owner")
	ErrDocument            = problem.Invalid("document-missing", "a mandate, or its revocation, is recorded from a writing", problem.Field{Name: "document", Code: "not-a-hash", Detail: "must be the SHA-256 of its scan in hex"})
	ErrPartial             = problem.Invalid("ballot-partial", "one ballot answers every motion that concerns the owner; abstain where you neither agree nor object")
	ErrAgainstInstructions = problem.Conflict("against-instructions", "the owner has instructed otherwise; a proxy votes as the mandate says, item by item")
)

// ErrInstructions says which instructions of a mandate are wrong or missing.
var ErrInstructions = problem.Invalid("instructions-wrong", "the instructions do not fit the notice")

// Mandates are what one person holds in one meeting. The zero value is none.
type Mandates struct {
	Held map[string]string // entry → id of the mandate
}

// EvolveMandates applies one event. It never fails and never decides.
func EvolveMandates(m Mandates, e votes.Event) Mandates {
	switch e := e.(type) {
	case votes.MandateTaken:
		m.Held = maps.Clone(m.Held)
		if m.Held == nil {
			m.Held = map[string]string{}
		}
		m.Held[e.Entry] = e.Proxy
	case votes.MandateReturned:
		m.Held = maps.Clone(m.Held)
		delete(m.Held, e.Entry)
	default: // of ballots and meetings
	}
	return m
}

// TakeMandate counts a mandate for its holder before it is granted: the stream
// of the holder is where mandates of many owners meet.
type TakeMandate struct {
	Proxy   string
	Meeting Meeting
	Entry   string
	Holder  string
	At      time.Time // now
	Cap     int       // 0: the rules name none
	Barred  bool      // by the rules, for a role the holder has
}

// Decide refuses whom the rules bar and whose hands are full, as events.
func (c TakeMandate) Decide(m Mandates) ([]votes.Event, error) {
	_, again := m.Held[c.Entry]
	reason := votes.Reason("")
	switch {
	case c.Barred:
		reason = votes.ProxyBarred
	case c.Cap > 0 && !again && len(m.Held) >= c.Cap:
		reason = votes.ProxyCapExceeded
	}
	if reason != "" {
		return []votes.Event{votes.ProxyRefused{
			Proxy: c.Proxy, Meeting: c.Meeting.Meeting, Entry: c.Entry, Holder: c.Holder, At: c.At, Reason: reason,
		}}, nil
	}
	return []votes.Event{votes.MandateTaken{Proxy: c.Proxy, Meeting: c.Meeting.Meeting, Entry: c.Entry, Holder: c.Holder, At: c.At}}, nil
}

// ReturnMandate counts a mandate no longer.
type ReturnMandate struct {
	Proxy, Meeting, Entry, Holder string
}

// Decide has nothing to do where the holder has another of this owner, or none.
func (c ReturnMandate) Decide(m Mandates) ([]votes.Event, error) {
	if m.Held[c.Entry] != c.Proxy {
		return nil, nil
	}
	return []votes.Event{votes.MandateReturned(c)}, nil
}

// GrantProxy names who votes for an owner, and how.
type GrantProxy struct {
	Proxy        string
	Meeting      Meeting
	Entry        votes.Entry
	Holder       string
	Own          bool // the holder votes as this entry already
	At           time.Time
	Written      bool           // recorded by the office, from a writing
	Document     string         // SHA-256 of that, hex
	ItemByItem   bool           // the rules ask for an instruction on every motion
	Instructions []votes.Choice // in clear, for the tests
	Marks        []votes.Mark   // of the instructions
	Sealed       codec.Sealed   // instead of the instructions
}

// Decide refuses what could not be a mandate of this owner.
func (c GrantProxy) Decide(b Ballots) ([]votes.Event, error) {
	switch {
	case c.Meeting.Past || !c.Meeting.Posted() || c.Meeting.Closed || c.Meeting.IsCancelled() || !c.At.Before(c.Meeting.Notice.Closes):
		return nil, ErrProxyClosed
	case c.Own:
		return nil, ErrOwnProxy
	case c.Written && !isSHA256(c.Document), c.Document != "" && !isSHA256(c.Document):
		return nil, ErrDocument
	case b.Mandate.Proxy != "":
		return nil, ErrProxyGranted
	case b.inPerson():
		return nil, ErrVotedInPerson
	case len(c.Instructions) > 0 && (c.Sealed == "" || len(c.Marks) == 0):
		return nil, errNotSealed
	}
	if wrong := c.wrong(); len(wrong) > 0 {
		e := *ErrInstructions
		e.Fields = wrong
		return nil, &e
	}
	return []votes.Event{votes.ProxyGranted{
		Proxy: c.Proxy, Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Holder: c.Holder, At: c.At, Document: c.Document, Marks: c.Marks, Sealed: c.Sealed,
	}}, nil
}

func (c GrantProxy) wrong() (wrong []problem.Field) {
	concerning := c.Meeting.Concerning(c.Entry)
	for i, choice := range c.Instructions {
		motion, _ := c.Meeting.motion(choice.Motion)
		switch {
		case !slices.Contains(concerning, choice.Motion):
			wrong = append(wrong, problem.Field{Name: fmt.Sprintf("instructions[%d].motion", i), Code: "unknown", Detail: "must be a motion this owner votes on"})
		case fault(motion, on(motion.ID, c.Instructions)) != "":
			wrong = append(wrong, problem.Field{Name: fmt.Sprintf("instructions[%d].choice", i), Code: "not-one-of", Detail: "must be 赞成, 反对 or 弃权, once on a motion or on a candidate"})
		}
	}
	for _, motion := range concerning {
		if c.ItemByItem && len(on(motion, c.Instructions)) == 0 {
			wrong = append(wrong, problem.Field{Name: "instructions", Code: "missing", Detail: "must say how to vote on " + motion})
		}
	}
	return wrong
}

// RevokeProxy ends a mandate.
type RevokeProxy struct {
	Meeting  Meeting
	At       time.Time
	Written  bool   // recorded by the office, from a writing
	Document string // SHA-256 of that, hex
}

// Decide refuses after the close, when the ballots are what they are.
func (c RevokeProxy) Decide(b Ballots) ([]votes.Event, error) {
	g := b.Mandate
	switch {
	case g.Proxy == "":
		return nil, ErrNoMandate
	case c.Meeting.Closed || !c.At.Before(c.Meeting.Notice.Closes):
		return nil, ErrProxyClosed
	case c.Written && !isSHA256(c.Document), c.Document != "" && !isSHA256(c.Document):
		return nil, ErrDocument
	}
	return []votes.Event{votes.ProxyRevoked{Proxy: g.Proxy, Meeting: g.Meeting, Entry: g.Entry, Holder: g.Holder, At: c.At, Document: c.Document}}, nil
}

// inPerson reports whether the owner has cast a ballot, or handed one in.
func (b Ballots) inPerson() bool {
	return slices.ContainsFunc(b.Envelopes, func(e Envelope) bool { return e.Mandate.Proxy == "" }) || slices.ContainsFunc(b.Answers, func(a Answer) bool { return !a.Proxy })
}

// otherwise returns the motions on which a proxy's ballot does not say what the
// owner instructed.
func (b Ballots) otherwise(said []votes.Mark) []string { return Otherwise(b.Mandate, said) }

// Otherwise returns the motions on which what is said, in marks of a mandate, is not
// what the mandate instructs.
func Otherwise(mandate votes.ProxyGranted, said []votes.Mark) (motions []string) {
	for _, m := range mandate.Marks {
		if !slices.Contains(said, m) {
			motions = append(motions, m.Motion)
		}
	}
	return motions
}
