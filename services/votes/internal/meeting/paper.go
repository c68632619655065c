package meeting

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors of who enters paper.
var (
	ErrTwoPersons  = problem.Conflict("two-persons", "live paper is entered by two persons, one after the other")
	ErrReadBefore  = problem.Conflict("read-before", "you have entered this envelope; another person must read it without knowing what you read")
	ErrOwnPaper    = problem.Forbidden("own-paper", "nobody enters their own ballot, or one they vote by proxy")
	ErrOtherScan   = problem.Conflict("other-scan", "this is not the scan that the first reader had; look whether it is the same paper")
	ErrScan        = problem.Invalid("scan-missing", "whoever reads an envelope first states the hash of its scan", problem.Field{Name: "scan", Code: "not-a-hash", Detail: "must be a SHA-256 in hex"})
	ErrNotDisputed = problem.Conflict("not-disputed", "a paper is voided by the committee only after three persons have read it differently")
	ErrMinutes     = problem.Invalid("minutes-missing", "to void a paper is a decision of the committee, on record", problem.Field{Name: "minutes", Code: "not-a-hash", Detail: "must be the SHA-256 of the minutes in hex"})
)

// Envelope is a paper that was handed in, or one line of a list of hands, until
// what becomes of it is decided.
type Envelope struct {
	ID       string
	Channel  string
	At       time.Time // handed in, or shown
	Readings []votes.PaperEntered

	Mandate votes.ProxyGranted // of the holder who handed it in, as it was then; zero: the owner's own
}

// Disputed says that it was read by several, and no two agree.
func (e Envelope) Disputed() bool { return len(e.Readings) > 1 }

// ReadBy says that a person has read it.
func (e Envelope) ReadBy(person string) bool {
	return slices.ContainsFunc(e.Readings, func(r votes.PaperEntered) bool { return r.By == person })
}

// handedIn is the envelope of an event; one from before envelopes had names is
// named by its moment. That of a proxy stands by the mandate of that moment, though
// it is revoked before the envelope is opened.
func (b Ballots) handedIn(e votes.PaperHandedIn) Envelope {
	envelope := Envelope{ID: cmp.Or(e.Envelope, e.At.UTC().Format(time.RFC3339Nano)), Channel: cmp.Or(e.Channel, votes.Paper), At: e.At}
	if e.Proxy != "" && e.Proxy == b.Mandate.Proxy {
		envelope.Mandate = b.Mandate
	}
	return envelope
}

// envelope returns one that waits.
func (b Ballots) envelope(id string) (Envelope, bool) {
	i := slices.IndexFunc(b.Envelopes, func(e Envelope) bool { return e.ID == id })
	if i < 0 {
		return Envelope{}, false
	}
	return b.Envelopes[i], true
}

// read adds a reading to its envelope.
func (b Ballots) read(r votes.PaperEntered) Ballots {
	b.Envelopes = slices.Clone(b.Envelopes)
	for i, e := range b.Envelopes {
		if e.ID == r.Envelope {
			b.Envelopes[i].Readings = append(slices.Clip(e.Readings), r)
		}
	}
	return b
}

// TwoPersons reports whether the meeting is one whose paper is entered by two.
func (m Meeting) TwoPersons() bool {
	return !m.Past && m.Posted() && units.DayOf(m.Notice.At) >= votes.TwoPersonsFrom
}

// Partial reports whether a ballot may leave out motions that it could answer:
// where the rules say so, and in meetings from before that was asked.
func (m Meeting) Partial(rules RuleSet) bool {
	return !m.TwoPersons() || rules.PartialBallots != nil && *rules.PartialBallots
}

// Concerning returns the motions on which an entry votes, in the notice's order.
func (m Meeting) Concerning(e votes.Entry) []string {
	ids := []string{}
	for _, motion := range m.Motions {
		if m.concerns(e, motion) {
			ids = append(ids, motion.ID)
		}
	}
	return ids
}

// EnterPaper says what one person reads on the paper in an envelope (录入,
// 复核): the first reading waits for a second, which is made blind. Two that are
// alike are the ballot; it counts by its hand-in. Where they differ another
// person reads, until two agree or the committee voids the paper.
type EnterPaper struct {
	Meeting  Meeting
	Partial  bool // the rules let a ballot leave motions out
	Entry    votes.Entry
	Envelope string
	By       string // who reads
	Own      bool   // who votes as this entry, or holds its mandate
	Scan     string // SHA-256, hex
	Choices  []votes.Choice
	Void     []string     // motions on which it says nothing that counts (废票)
	Marks    []votes.Mark // of what it says on each motion that concerns the entry
	Sealed   codec.Sealed // what it says

	Against []string // of a proxy's: motions on which it says otherwise than the owner instructed
}

// Decide refuses who may not read this envelope, and slips: the envelope waits. What
// a proxy's paper says against the owner's instructions is refused as an event: it
// cannot be corrected any more.
func (c EnterPaper) Decide(b Ballots) ([]votes.Event, error) {
	envelope, ok := b.envelope(c.Envelope)
	switch {
	case c.Meeting.Past:
		return nil, ErrPastPaper
	case !ok:
		return nil, ErrNoEnvelope
	case c.Own || b.Mandate.Holder == c.By && b.Mandate.Proxy != "" || envelope.Mandate.Holder == c.By && envelope.Mandate.Proxy != "":
		return nil, ErrOwnPaper
	case envelope.ReadBy(c.By):
		return nil, ErrReadBefore
	case c.Sealed == "" || len(c.Marks) == 0 || c.By == "":
		return nil, errNotSealed
	case c.Scan != "" && !isSHA256(c.Scan), c.Scan == "" && len(envelope.Readings) == 0:
		return nil, ErrScan
	case c.Scan != "" && len(envelope.Readings) > 0 && c.Scan != envelope.Readings[0].Scan:
		return nil, ErrOtherScan
	}
	if slips := c.slips(); len(slips) > 0 {
		e := *ErrSlip
		e.Fields = slips
		return nil, &e
	}
	entered := votes.PaperEntered{
		Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Envelope: c.Envelope, By: c.By, Scan: c.Scan, Marks: c.Marks, Sealed: c.Sealed,
	}
	events := []votes.Event{entered}
	if len(envelope.Readings) == 0 {
		return events, nil
	}
	if !slices.ContainsFunc(envelope.Readings, func(r votes.PaperEntered) bool { return slices.Equal(r.Marks, c.Marks) }) {
		return append(events, votes.PaperDisputed{
			Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Envelope: c.Envelope, Motions: Differences(append(slices.Clip(envelope.Readings), entered)),
		}), nil
	}
	ballot := CastBallot{
		Ballot: c.Envelope, Meeting: c.Meeting, Entry: c.Entry, Channel: envelope.Channel, At: envelope.At, Choices: c.Choices, Sealed: c.Sealed,
		Proxy: envelope.Mandate.Proxy,
	}
	if ballot.Proxy != "" {
		ballot.against = c.Against
	}
	for _, motion := range c.Void {
		ballot.Choices = append(slices.Clip(ballot.Choices), votes.Choice{Motion: motion})
	}
	settled, err := ballot.settle(b)
	return append(events, settled...), err
}

// slips names what was typed wrong: what the paper cannot say, said twice, or
// left out.
func (c EnterPaper) slips() []problem.Field {
	ballot := CastBallot{Meeting: c.Meeting, Entry: c.Entry, Choices: c.Choices, Void: c.Void}
	wrong := ballot.slips()
	said := map[string]bool{}
	for i, motion := range c.Void {
		if said[motion] || len(on(motion, c.Choices)) > 0 {
			wrong = append(wrong, problem.Field{Name: fmt.Sprintf("void[%d]", i), Code: "duplicate", Detail: "must name a motion once, and none that is in choices"})
		}
		said[motion] = true
	}
	for i, choice := range c.Choices {
		motion, _ := c.Meeting.motion(choice.Motion)
		if !said[motion.ID] && fault(motion, on(motion.ID, c.Choices)) == votes.NoSuchChoice && isChoice(choice.Choice) {
			wrong = append(wrong, problem.Field{Name: fmt.Sprintf("choices[%d]", i), Code: "duplicate", Detail: "must be one choice on a motion, or on a candidate"})
		}
		said[choice.Motion] = true
	}
	for _, motion := range c.Meeting.Concerning(c.Entry) {
		if !c.Partial && !said[motion] {
			wrong = append(wrong, problem.Field{Name: "choices", Code: "missing", Detail: "must say something of " + motion + "; where the paper does not, name it in void"})
		}
	}
	if len(c.Choices)+len(c.Void) == 0 && c.Partial {
		wrong = append(wrong, problem.Field{Name: "void", Code: "missing", Detail: "must name the motions of a paper that is blank throughout"})
	}
	return wrong
}

// Differences returns the motions on which readings of one envelope differ.
func Differences(readings []votes.PaperEntered) []string {
	motions := []string{}
	for i, m := range readings[0].Marks {
		if slices.ContainsFunc(readings, func(r votes.PaperEntered) bool { return i >= len(r.Marks) || r.Marks[i] != m }) {
			motions = append(motions, m.Motion)
		}
	}
	return motions
}

// Said is what is said on one motion, in words of which two are the same where
// they say the same: [votes.Void], or "" where nothing is said.
type Said struct{ Motion, Words string }

// Said puts what a paper, a ballot or instructions say on each motion that
// concerns an entry. Of an election a candidate left out is one abstained on, and
// their order does not matter.
func (m Meeting) Said(e votes.Entry, choices []votes.Choice, void []string) []Said {
	all := []Said{}
	for _, id := range m.Concerning(e) {
		motion, _ := m.motion(id)
		said := Said{Motion: id}
		switch of := on(id, choices); {
		case slices.Contains(void, id):
			said.Words = votes.Void
		case len(of) > 0 && isElection(motion):
			for _, candidate := range motion.Candidates {
				choice := votes.Abstain
				if i := slices.IndexFunc(of, func(c votes.Choice) bool { return c.Candidate == candidate.ID }); i >= 0 {
					choice = of[i].Choice
				}
				said.Words += candidate.ID + " " + choice + "\n"
			}
		case len(of) > 0:
			said.Words = of[0].Choice
		}
		all = append(all, said)
	}
	return all
}

// VoidPaper voids a paper that nobody can read, by decision of the committee.
type VoidPaper struct {
	Meeting  Meeting
	Entry    votes.Entry
	Envelope string
	Minutes  string // SHA-256 of the record of that decision, hex
}

// Decide refuses before three persons have read it differently: to void a ballot
// must not be an easy way out.
func (c VoidPaper) Decide(b Ballots) ([]votes.Event, error) {
	const persons = 3
	envelope, ok := b.envelope(c.Envelope)
	switch {
	case !ok:
		return nil, ErrNoEnvelope
	case len(envelope.Readings) < persons:
		return nil, ErrNotDisputed
	case !isSHA256(c.Minutes):
		return nil, ErrMinutes
	}
	return []votes.Event{
		votes.PaperVoided{Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Envelope: c.Envelope, Minutes: c.Minutes},
		votes.BallotRefused{
			Ballot: c.Envelope, Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Channel: envelope.Channel, Proxy: envelope.Mandate.Proxy, At: envelope.At,
			Motions: c.Meeting.Concerning(c.Entry), Reason: votes.NoSuchChoice,
		},
	}, nil
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && s == fmt.Sprintf("%x", b)
}
