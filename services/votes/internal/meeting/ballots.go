package meeting

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Ballots is the state of one head's ballots in one meeting.
type Ballots struct {
	Answers   []Answer            // cast, in recorded order
	Envelopes []Envelope          // handed in and not settled yet, in the order they came
	Papers    votes.EnvelopeCount // what became of those that are
	Mandate   votes.ProxyGranted  // in force; zero: none
	opened    string              // ballot whose envelope was opened last

	Delivered []votes.NoticeDelivered // in recorded order
	Failed    []votes.DeliveryFailed
}

// EvolveBallots applies one event. It never fails and never decides.
func EvolveBallots(b Ballots, e votes.Event) Ballots {
	switch e := e.(type) {
	case votes.PaperHandedIn:
		b.Envelopes = append(slices.Clip(b.Envelopes), b.handedIn(e))
		slices.SortStableFunc(b.Envelopes, func(x, y Envelope) int { return x.At.Compare(y.At) })
		b.Papers.Envelopes++
	case votes.PaperEntered:
		b = b.read(e)
	case votes.BallotCast:
		b.Answers = slices.Clip(b.Answers)
		for _, m := range e.Motions {
			b.Answers = append(b.Answers, Answer{Motion: m, Channel: e.Channel, At: e.At, Proxy: e.Proxy != ""})
		}
		b = b.open(e.Channel, e.Ballot, e.At, "")
	case votes.BallotRefused:
		b = b.open(e.Channel, e.Ballot, e.At, e.Reason)
	case votes.ProxyGranted:
		b.Mandate = e
	case votes.ProxyRevoked:
		b.Mandate = votes.ProxyGranted{}
	case votes.NoticeDelivered:
		b.Delivered = append(slices.Clip(b.Delivered), e)
	case votes.DeliveryFailed:
		b.Failed = append(slices.Clip(b.Failed), e)
	case votes.PaperDisputed, votes.PaperVoided:
		// the readings say it, and the refusal that follows
	case votes.RulesAdopted, votes.MeetingDrafted, votes.RollFrozen, votes.NoticeDisplayed, votes.BallotCodesIssued, votes.NoticePosted, votes.PaperEntryCompleted, votes.VotingClosed, votes.KeyReleased,
		votes.MeetingCancelled, votes.VotingExtended, votes.ResultPosted, votes.ResultWithdrawn, votes.BallotSetAside, votes.BallotRestored, votes.ResultFinal, votes.DecisionEffective, votes.ResultFiled, votes.DeadlineMissed,
		votes.TrusteesNamed, votes.ShareTaken, votes.SharesAwaited, votes.ShareGiven, votes.BallotsUnopened,
		votes.ResultObjected, votes.ObjectionRead, votes.ResultObjectionAnswered, votes.MandateTaken, votes.MandateReturned, votes.ProxyRefused,
		votes.RollAmended, votes.RollObjected, votes.RollObjectionRead, votes.RollObjectionAnswered, votes.RollObjectionWithdrawn:
		// in other streams
	}
	return b
}

// open takes the envelope of a paper ballot off those that wait, and counts what
// became of it: refused for a reason, or cast. One ballot may be cast on some
// motions and refused on others: several events, one envelope.
func (b Ballots) open(channel, ballot string, at time.Time, refused votes.Reason) Ballots {
	if channel == votes.Electronic || ballot == b.opened {
		return b
	}
	i := slices.IndexFunc(b.Envelopes, func(e Envelope) bool { return e.ID == ballot })
	if i < 0 { // entered by one person, in the order they came
		i = slices.IndexFunc(b.Envelopes, func(e Envelope) bool { return at.Equal(e.At) })
	}
	if i < 0 {
		return b
	}
	b.Envelopes = slices.Concat(b.Envelopes[:i], b.Envelopes[i+1:])
	b.opened = ballot
	switch refused {
	case "":
		b.Papers.Cast++
	case votes.NoSuchChoice:
		b.Papers.Void++
	default:
		b.Papers.Refused++
	}
	return b
}

// errNotSealed is a mistake of ours: choices of a live meeting never stand in
// the ledger in clear.
var errNotSealed = errors.New("meeting: a live ballot without its ciphertext")

// HandInPaper records an envelope of a live meeting before it is opened, or a
// hand that was shown in the meeting before it is written down by name.
type HandInPaper struct {
	Ballot  string // its id, and that of the ballot in it
	Channel string // 会议; none: 纸质
	Meeting Meeting
	Entry   votes.Entry
	At      time.Time // now
	Proxy   string    // id of the mandate, where its holder hands it in
	Barred  bool      // the rules bar that person by now
}

// Decide refuses outside the voting window, and from whom the rules bar, as events.
func (c HandInPaper) Decide(b Ballots) ([]votes.Event, error) {
	if c.Channel == votes.Paper {
		c.Channel = ""
	}
	switch {
	case c.Meeting.Past:
		return nil, ErrPastPaper
	case c.Channel != "" && c.Channel != votes.InMeeting:
		return nil, ErrChannel
	case c.Proxy != "" && c.Proxy != b.Mandate.Proxy:
		return nil, ErrNoMandate
	}
	reason := c.Meeting.window(c.At)
	if reason == "" && c.Barred {
		reason = votes.ProxyBarred
	}
	if reason != "" {
		refused := votes.BallotRefused{
			Ballot: c.Ballot, Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Channel: cmp.Or(c.Channel, votes.Paper), Proxy: c.Proxy, At: c.At,
			Motions: c.Meeting.Concerning(c.Entry), Reason: reason, // what it would have answered nobody knows: all it could
		}
		return []votes.Event{refused}, nil
	}
	return []votes.Event{votes.PaperHandedIn{
		Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Envelope: c.Ballot, Channel: c.Channel, Proxy: c.Proxy, At: c.At,
	}}, nil
}

// CastBallot asks for a ballot on one or more motions to be taken.
type CastBallot struct {
	Ballot  string
	Meeting Meeting
	Entry   votes.Entry  // zero where there is none
	NoEntry votes.Reason // why there is none
	Channel string
	At      time.Time      // received now; in a past meeting as its paper states; of live paper the envelope says it
	Choices []votes.Choice // in clear, for the tests
	Void    []string       // of live paper: motions on which it says nothing that counts (废票), as the clerk declares
	Sealed  codec.Sealed   // of a live meeting: what is recorded instead
	Partial bool           // the rules let a ballot leave motions out
	Proxy   string         // id of the mandate by which another person casts it
	Barred  bool           // the rules bar that person by now
	Marks   []votes.Mark   // where a proxy is instructed: of what the ballot says

	against []string // of a proxy's paper: motions on which it says otherwise than instructed
}

// Decide takes what passes and refuses the rest, each with its reason, as
// events: at most one BallotCast, and one BallotRefused for each reason.
//
// What depends on other ballots is left to [Standing] when voting is closed, so
// that it makes no difference in which order ballots were recorded. There is
// one exception: an electronic ballot of a live meeting is received now, so one
// that loses to what is recorded can never count, and its voter is told. Of two
// that came at once, or to machines whose clocks differ, the one recorded first
// was received first: who was told that a ballot was taken must not lose it to
// one that is recorded later and says that it is older.
//
// A live ballot that leaves out a motion it could answer is an error where the
// rules do not say that it may: nothing is recorded, and its voter completes it.
// So is one of a proxy that differs from the owner's instructions.
//
// Live paper is entered by [EnterPaper]. That of a meeting from before two persons
// did is typed by one, whose slip must not cost the owner the vote: it is an error
// that leaves the envelope closed. Of a spoilt paper the clerk says so.
func (c CastBallot) Decide(b Ballots) ([]votes.Event, error) {
	paper := c.Channel == votes.Paper
	switch {
	case !paper && c.Channel != votes.Electronic && (c.Channel != votes.InMeeting || !c.Meeting.Past):
		return nil, ErrChannel
	case len(c.Choices)+len(c.Void) == 0:
		return nil, ErrNoChoices
	case c.Meeting.Past && c.Meeting.Closed:
		return nil, ErrPastClosed
	case !c.Meeting.Past && c.Sealed == "":
		return nil, errNotSealed
	case paper && c.Meeting.TwoPersons():
		return nil, ErrTwoPersons
	case c.Proxy != "" && c.Proxy != b.Mandate.Proxy:
		return nil, ErrNoMandate
	case paper && !c.Meeting.Past && len(b.Envelopes) == 0:
		return nil, ErrNoEnvelope
	case paper && !c.Meeting.Past:
		if slips := c.slips(); len(slips) > 0 {
			e := *ErrSlip
			e.Fields = slips
			return nil, &e
		}
		c.At = b.Envelopes[0].At
		for _, motion := range c.Void {
			if len(on(motion, c.Choices)) > 0 {
				return nil, ErrMotionTwice
			}
			c.Choices = append(slices.Clip(c.Choices), votes.Choice{Motion: motion})
		}
	}
	if !paper && !c.Meeting.Past {
		for _, a := range b.Answers {
			if a.Channel == votes.Electronic && a.At.After(c.At) {
				c.At = a.At
			}
		}
	}
	events, err := c.settle(b)
	if err != nil || paper || c.Meeting.Past || len(events) == 0 {
		return events, err
	}
	if _, taken := events[0].(votes.BallotCast); taken {
		if err := c.complete(b); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// complete is the error of a live ballot that says too little or, of a proxy,
// something else than the owner instructed.
func (c CastBallot) complete(b Ballots) error {
	missing := func(of problem.Error, motions []string, code, detail string) error {
		for _, motion := range motions {
			of.Fields = append(of.Fields, problem.Field{Name: motion, Code: code, Detail: detail})
		}
		return &of
	}
	if otherwise := b.otherwise(c.Marks); c.Proxy != "" && len(otherwise) > 0 {
		return missing(*ErrAgainstInstructions, otherwise, "against-instructions", "is not as the owner instructed")
	}
	if c.Partial {
		return nil
	}
	left := slices.DeleteFunc(c.Meeting.Concerning(c.Entry), func(id string) bool {
		motion, _ := c.Meeting.motion(id)
		return len(on(id, c.Choices)) > 0 || c.Meeting.Holds(c.Entry, motion) == 0 // what was sold is answered by others
	})
	if len(left) > 0 {
		return missing(*ErrPartial, left, "missing", "is not answered")
	}
	return nil
}

// settle takes what passes and refuses the rest.
func (c CastBallot) settle(b Ballots) ([]votes.Event, error) {
	motions, err := c.answered()
	if err != nil {
		return nil, err
	}
	answers := slices.Clip(b.Answers)
	for _, id := range motions {
		motion, _ := c.Meeting.motion(id)
		answers = append(answers, Answer{Motion: id, Channel: c.Channel, At: c.At, Void: fault(motion, on(id, c.Choices)), Proxy: c.Proxy != ""})
	}
	standing := Standing(c.Meeting.Policy, answers)[len(b.Answers):]

	cast := votes.BallotCast{Ballot: c.Ballot, Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Channel: c.Channel, Proxy: c.Proxy, At: c.At}
	if !c.Meeting.Past {
		cast.Sealed = c.Sealed
	}
	var refused []votes.BallotRefused
	for i, motion := range motions {
		reason := c.refusal(motion)
		if live := !c.Meeting.Past && c.Channel == votes.Electronic; reason == "" && (live || answers[len(b.Answers)+i].Void != "") {
			reason = standing[i]
		}
		if reason == "" && slices.Contains(c.against, motion) {
			reason = votes.AgainstInstructions
		}
		if reason == "" {
			cast.Motions = append(cast.Motions, motion)
			if c.Meeting.Past {
				cast.Choices = append(cast.Choices, on(motion, c.Choices)...)
			}
			continue
		}
		j := slices.IndexFunc(refused, func(r votes.BallotRefused) bool { return r.Reason == reason })
		if j < 0 {
			j = len(refused)
			refused = append(refused, votes.BallotRefused{
				Ballot: c.Ballot, Meeting: c.Meeting.Meeting, Entry: c.Entry.Entry, Channel: c.Channel, Proxy: c.Proxy, At: c.At, Reason: reason,
			})
		}
		refused[j].Motions = append(refused[j].Motions, motion)
	}
	var events []votes.Event
	if len(cast.Motions) > 0 {
		events = append(events, cast)
	}
	for _, r := range refused {
		events = append(events, r)
	}
	return events, nil
}

// answered lists the motions that the ballot answers, each once.
func (c CastBallot) answered() (motions []string, err error) {
	for i, choice := range c.Choices {
		for _, earlier := range c.Choices[:i] {
			if earlier.Motion == choice.Motion && earlier.Candidate == choice.Candidate {
				return nil, ErrMotionTwice
			}
		}
		if !slices.Contains(motions, choice.Motion) {
			motions = append(motions, choice.Motion)
		}
	}
	return motions, nil
}

// slips names what was typed wrong of a live paper ballot, or was if none of it
// could be taken.
func (c CastBallot) slips() (wrong []problem.Field) {
	field := func(list string, i int, name, code, detail string) {
		wrong = append(wrong, problem.Field{Name: fmt.Sprintf("%s[%d]%s", list, i, name), Code: code, Detail: detail})
	}
	const noMotion = "must be a motion of the notice"
	taken := len(c.Choices) == 0
	for i, choice := range c.Choices {
		motion, ok := c.Meeting.motion(choice.Motion)
		if !ok {
			field("choices", i, ".motion", "unknown", noMotion)
		}
		if !isChoice(choice.Choice) {
			field("choices", i, ".choice", "not-one-of", "must be 赞成, 反对 or 弃权; where the paper says none, name the motion in void")
		}
		if ok && !isAsked(motion, choice.Candidate) {
			field("choices", i, ".candidate", "unknown", "must be a candidate of the election, and of no other motion")
		}
		taken = taken || c.Meeting.concerns(c.Entry, motion)
	}
	for i, id := range c.Void {
		if _, ok := c.Meeting.motion(id); !ok {
			field("void", i, "", "unknown", noMotion)
		}
	}
	for i, choice := range c.Choices {
		motion, _ := c.Meeting.motion(choice.Motion)
		if len(on(motion.ID, c.Choices[:i])) == 0 && fault(motion, on(motion.ID, c.Choices)) == votes.TooManyApproved {
			field("choices", i, "", "too-many", fmt.Sprintf("approve more than the %d candidates that one ballot may; a paper that does so is void: name the motion in void", motion.Approvals))
		}
	}
	if taken || len(wrong) > 0 {
		return wrong
	}
	for i := range c.Choices {
		field("choices", i, ".motion", "unknown", "must be a motion this entry votes on; where the paper answers no such motion, name it in void")
	}
	return wrong
}

// motion returns a motion of the meeting by its id.
func (m Meeting) motion(id string) (votes.Motion, bool) {
	i := slices.IndexFunc(m.Motions, func(motion votes.Motion) bool { return motion.ID == id })
	if i < 0 {
		return votes.Motion{}, false
	}
	return m.Motions[i], true
}

// refusal tests, in their order, what does not depend on other ballots.
func (c CastBallot) refusal(id string) votes.Reason {
	motion, ok := c.Meeting.motion(id)
	if !ok {
		return votes.NoSuchMotion
	}
	if reason := c.Meeting.window(c.At); reason != "" {
		return reason
	}
	if c.Entry.Entry == "" {
		return cmp.Or(c.NoEntry, votes.NotOnTheRoll)
	}
	live := !c.Meeting.Past && c.Channel == votes.Electronic
	if !c.Meeting.concerns(c.Entry, motion) || live && c.Meeting.Holds(c.Entry, motion) == 0 {
		return votes.NotInScope
	}
	if c.Barred {
		return votes.ProxyBarred
	}
	return ""
}

// window says why a ballot of an instant is not taken.
func (m Meeting) window(at time.Time) votes.Reason {
	switch {
	case !m.Posted() || at.Before(m.Notice.Opens):
		return votes.VotingNotOpen
	case m.Closed || m.IsCancelled() || !at.Before(m.Notice.Closes):
		return votes.VotingIsClosed
	}
	return ""
}
