package meeting

import (
	"regexp"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors about objections to the roll.
var (
	ErrRollStands     = problem.Conflict("roll-stands", "the notice is posted, and the roll stands as it is; a unit that changes hands from here on is followed by itself")
	ErrRollObjections = problem.Conflict("roll-objections-open", "there are objections to the roll that are not answered; the notice is posted once they are")
	ErrRollUpheld     = problem.Conflict("roll-objection-upheld", "an objection to the roll was upheld: correct the registry, and freeze the roll anew")
	ErrRollDays       = problem.Conflict("roll-objections-still-open", "owners may still object to the roll")
	ErrObjected       = problem.Conflict("objected-already", "you have objected about this unit already; it will be answered")
	ErrWithdrawn      = problem.Conflict("objection-withdrawn", "the objection was withdrawn")
	ErrRollAnew       = problem.Conflict("roll-frozen-anew", "the roll was frozen anew just now; look at it again")
	ErrWhichUnit      = problem.Invalid("no-such-unit", "an objection says which unit it is about", problem.Field{
		Name: "unit", Code: "malformed", Detail: "is the code of a unit, such as 5-1-101; words are for the next field"})
)

// RollObjection is an objection to the roll, and what became of it. The owner's
// words are not part of it.
type RollObjection struct {
	votes.RollObjected
	Answer    votes.RollObjectionAnswered `json:",omitzero"` // zero until then
	Withdrawn bool                        `json:",omitempty"`
	Corrected bool                        `json:",omitempty"` // upheld, and the roll was frozen anew since
}

// Answered says whether it is answered.
func (o RollObjection) Answered() bool { return o.Answer.Objection != "" }

// State names how far it is: open, withdrawn, not-upheld, upheld, or corrected.
func (o RollObjection) State() string {
	switch {
	case o.Withdrawn:
		return "withdrawn"
	case !o.Answered():
		return "open"
	case !o.Answer.Upheld:
		return "not-upheld"
	case o.Corrected:
		return "corrected"
	}
	return "upheld"
}

// evolveRoll applies an event of the roll.
func (m Meeting) evolveRoll(e votes.Event) Meeting {
	edit := func(id string, change func(*RollObjection)) {
		m.RollObjections = slices.Clone(m.RollObjections)
		for i := range m.RollObjections {
			if m.RollObjections[i].Objection == id {
				change(&m.RollObjections[i])
			}
		}
	}
	switch e := e.(type) {
	case votes.RollFrozen:
		m.Roll, m.Amendments = e, nil
		m.RollObjections = slices.Clone(m.RollObjections)
		for i, o := range m.RollObjections {
			m.RollObjections[i].Corrected = o.Corrected || o.Answer.Upheld
		}
	case votes.RollAmended:
		m.Amendments = append(slices.Clip(m.Amendments), e)
	case votes.RollObjected:
		e.Words = ""
		m.RollObjections = append(slices.Clip(m.RollObjections), RollObjection{RollObjected: e})
	case votes.RollObjectionAnswered:
		edit(e.Objection, func(o *RollObjection) { o.Answer = e })
	case votes.RollObjectionWithdrawn:
		edit(e.Objection, func(o *RollObjection) { o.Withdrawn = true })
	default: // it changes nothing, or is none of the roll
	}
	return m
}

// RollObjection returns an objection to the roll by its id, or [ErrNoObjection].
func (m Meeting) RollObjection(id string) (RollObjection, error) {
	i := slices.IndexFunc(m.RollObjections, func(o RollObjection) bool { return o.Objection == id })
	if i < 0 {
		return RollObjection{}, ErrNoObjection
	}
	return m.RollObjections[i], nil
}

// settling returns an objection that something may still become of.
func (m Meeting) settling(id string) (RollObjection, error) {
	if err := m.live(); err != nil {
		return RollObjection{}, err
	}
	return m.RollObjection(id)
}

// rollSettled is the error of a notice that is posted while objections to the roll
// wait, or while the rules still let owners object.
func (m Meeting) rollSettled(rules RuleSet, c Calendar, now time.Time) error {
	for _, o := range m.RollObjections {
		switch o.State() {
		case "open":
			return ErrRollObjections
		case "upheld":
			return ErrRollUpheld
		}
	}
	if until := rules.rollObjectionsEnd(m.Roll.At, c); now.Before(until) {
		e := *ErrRollDays
		e.Detail += " until " + day(until)
		return &e
	}
	return nil
}

// rollObjectionsEnd is the first instant at which nobody may object any more to a roll
// that was posted at an instant, by the days that the rules give for it; zero where
// they give none, or it is not known when the roll was posted.
func (r RuleSet) rollObjectionsEnd(posted time.Time, c Calendar) time.Time {
	if r.RollObjectionDays == 0 || posted.IsZero() {
		return time.Time{}
	}
	return c.Open(posted, r.RollObjectionDays)
}

// code is what everyone may read of a unit that nobody has registered: no words.
var code = regexp.MustCompile(`^[0-9A-Za-z-]{1,20}$`)

// ObjectToRoll says that a unit is wrong on the roll, or missing from it. It is in
// the meeting's stream, and so is the notice: neither misses the other.
type ObjectToRoll struct {
	Objection, Person string
	Unit              string // code
	Roll              string // hash of the roll that was looked at
	Entry             string // of it that has the unit; "": none
	Registered        bool   // the estate has such a unit
	At                time.Time
	Words             codec.Sealed
}

// Decide refuses before there is a roll, and once the notice is posted.
func (c ObjectToRoll) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	if _, err := m.RollObjection(c.Objection); err == nil { // it is there already
		return nil, nil
	}
	switch {
	case !m.Frozen():
		return nil, ErrNoRoll
	case m.Posted():
		return nil, ErrRollStands
	case c.Roll != m.Roll.Roll:
		return nil, ErrRollAnew
	case c.Unit == "" || c.Entry == "" && !c.Registered && !code.MatchString(c.Unit) || number.MatchString(c.Unit):
		return nil, ErrWhichUnit
	}
	for _, o := range m.RollObjections {
		if o.Person == c.Person && o.Unit == c.Unit && o.State() == "open" {
			return nil, ErrObjected
		}
	}
	return []votes.Event{votes.RollObjected{
		Objection: c.Objection, Meeting: m.Meeting, Number: len(m.RollObjections) + 1, Unit: c.Unit, Entry: c.Entry, Person: c.Person, At: c.At, Words: c.Words,
	}}, nil
}

// ReadRollObjection records that someone read the owner's words.
type ReadRollObjection struct {
	Objection, Reader string
	At                time.Time // now
}

// Decide records every reading.
func (c ReadRollObjection) Decide(m Meeting) ([]votes.Event, error) {
	if _, err := m.RollObjection(c.Objection); err != nil {
		return nil, err
	}
	return []votes.Event{votes.RollObjectionRead{Objection: c.Objection, Meeting: m.Meeting, Reader: c.Reader, At: c.At}}, nil
}

// AnswerRollObjection answers an objection to the roll, for everyone to read.
type AnswerRollObjection struct {
	Objection string
	Upheld    bool // the roll is wrong
	Answer    string
	At        time.Time // now
}

// Decide refuses a second answer, and one to what was withdrawn.
func (c AnswerRollObjection) Decide(m Meeting) ([]votes.Event, error) {
	o, err := m.settling(c.Objection)
	switch {
	case err != nil:
		return nil, err
	case o.Withdrawn:
		return nil, ErrWithdrawn
	}
	if first, err := answer(o.Answered(), o.Answer.Answer, c.Answer, o.Answer.Upheld, c.Upheld); !first {
		return nil, err
	}
	return []votes.Event{votes.RollObjectionAnswered{Objection: c.Objection, Meeting: m.Meeting, At: c.At, Upheld: c.Upheld, Answer: c.Answer}}, nil
}

// WithdrawRollObjection takes an objection back.
type WithdrawRollObjection struct {
	Objection string
	At        time.Time // now
}

// Decide refuses once it is answered: the answer stands.
func (c WithdrawRollObjection) Decide(m Meeting) ([]votes.Event, error) {
	o, err := m.settling(c.Objection)
	switch {
	case err != nil:
		return nil, err
	case o.Withdrawn:
		return nil, nil
	case o.Answered():
		return nil, ErrAnswered
	}
	return []votes.Event{votes.RollObjectionWithdrawn{Objection: c.Objection, Meeting: m.Meeting, At: c.At}}, nil
}
