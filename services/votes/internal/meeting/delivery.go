package meeting

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors of deliveries.
var (
	ErrDeliveryTime   = problem.Invalid("delivery-time", "a notice is delivered after it was posted, before voting closes, and not in the future", problem.Field{Name: "at", Code: "not-within", Detail: "is not between the notice and the close of voting, or not yet past"})
	ErrDeliveryClosed = problem.Conflict("deliveries-closed", "voting is closed: what was not recorded before of how owners were told does not count")
	ErrNoSilence      = problem.Invalid("no-silence-rule", "in this meeting a ballot that is not handed in counts for nobody, so there is nothing to warn of", problem.Field{Name: "warned", Code: "not-asked", Detail: "must be false"})
	ErrDisplayDays    = problem.Invalid("display-days", "a notice stands from the day it was posted, or later, until before voting closes", problem.Field{Name: "until", Code: "not-within", Detail: "must not be before from, nor on or after the day on which voting closes"})
	ErrManyLetters    = problem.Invalid("too-many-letters", "these letters are scattered all over the roll; print them building by building")
	ErrNoLetters      = problem.Conflict("no-letters", "nobody of these entries can vote by a code")
)

// Warns reports whether a ballot that is not handed in may count, of which the
// owners must be warned.
func (m Meeting) Warns() bool {
	return m.Policy.Unreturned != votes.UnreturnedNone && m.Policy.Unreturned != ""
}

// tells refuses what is recorded of how owners were told before they could be,
// and once it can change nothing any more.
func (m Meeting) tells() error {
	switch {
	case !m.Drafted():
		return ErrNoMeeting
	case !m.Posted():
		return ErrNoNotice
	case m.IsCancelled():
		return ErrCancelled
	case m.Closed:
		return ErrDeliveryClosed
	}
	return nil
}

// inTime reports whether an owner could be told at an instant that is stated now.
func (m Meeting) inTime(at, now time.Time) bool {
	return !at.Before(m.Notice.At) && at.Before(m.Notice.Closes) && !at.After(now)
}

// DeliverNotice records that the notice reached the owner of an entry.
type DeliverNotice struct {
	Meeting Meeting
	Entry   votes.Entry
	Now     time.Time
	votes.NoticeDelivered
}

// Decide wants a proof of what the owner did not confirm, and says nothing where
// the same was recorded before.
func (c DeliverNotice) Decide(b Ballots) ([]votes.Event, error) {
	if err := c.Meeting.tells(); err != nil {
		return nil, err
	}
	confirmed := c.Channel == votes.ByApp
	var wrong []problem.Field
	if !confirmed && c.Channel != votes.ByHand && c.Channel != votes.ByMail {
		wrong = append(wrong, problem.Field{Name: "channel", Code: "not-one-of", Detail: "is 当面签收 or 邮寄; only the owner confirms, and a posting is recorded once for all"})
	}
	if confirmed != (c.Proof == "") || c.Proof != "" && !sha256hex.MatchString(c.Proof) {
		wrong = append(wrong, problem.Field{Name: "proof", Code: "not-a-hash", Detail: "must be the SHA-256, in hex, of the signature or of the carrier's receipt"})
	}
	e := c.NoticeDelivered
	e.Meeting, e.Entry = c.Meeting.Meeting, c.Entry.Entry
	switch {
	case len(wrong) > 0:
		return nil, problem.Invalid("delivery-wrong", "this says not how the notice reached the owner", wrong...)
	case !c.Meeting.inTime(c.At, c.Now):
		return nil, ErrDeliveryTime
	case c.Warned && !c.Meeting.Warns():
		return nil, ErrNoSilence
	case slices.ContainsFunc(b.Delivered, func(d votes.NoticeDelivered) bool {
		return d.Channel == e.Channel && d.Proof == e.Proof && d.Warned == e.Warned && (confirmed || d.At.Equal(e.At))
	}):
		return nil, nil
	}
	return []votes.Event{e}, nil
}

var sha256hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// FailDelivery records that the notice did not reach the owner of an entry.
type FailDelivery struct {
	Meeting Meeting
	Entry   votes.Entry
	Now     time.Time
	votes.DeliveryFailed
}

// Decide wants to know why, and what is done about it, in words of a list.
func (c FailDelivery) Decide(b Ballots) ([]votes.Event, error) {
	if err := c.Meeting.tells(); err != nil {
		return nil, err
	}
	var wrong []problem.Field
	for _, f := range []struct {
		name, value string
		allowed     []string
	}{{"channel", c.Channel, []string{votes.ByHand, votes.ByMail}}, {"why", c.Why, votes.Whys}, {"next", c.Next, votes.NextSteps}} {
		if !slices.Contains(f.allowed, f.value) {
			wrong = append(wrong, problem.Field{Name: f.name, Code: "not-one-of", Detail: "is one of " + strings.Join(f.allowed, ", ")})
		}
	}
	e := c.DeliveryFailed
	e.Meeting, e.Entry = c.Meeting.Meeting, c.Entry.Entry
	switch {
	case len(wrong) > 0:
		return nil, problem.Invalid("delivery-wrong", "this says not why the notice did not reach the owner, or what is done about it", wrong...)
	case !c.Meeting.inTime(c.At, c.Now):
		return nil, ErrDeliveryTime
	case slices.ContainsFunc(b.Failed, func(d votes.DeliveryFailed) bool {
		return d.Channel == e.Channel && d.Why == e.Why && d.Next == e.Next && d.At.Equal(e.At)
	}):
		return nil, nil
	}
	return []votes.Event{e}, nil
}

// DisplayNotice records that the notice stands where the owners pass.
type DisplayNotice struct {
	votes.NoticeDisplayed
	Now  time.Time
	Days int // whole days it stands at least, by the rules of the meeting; 0: they say nothing of it
}

// Decide refuses one that comes down before its days, or too late to be read
// before voting closes.
func (c DisplayNotice) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.tells(); err != nil {
		return nil, err
	}
	var wrong []problem.Field
	if strings.TrimSpace(c.Place) == "" || len(c.Place) > 300 {
		wrong = append(wrong, problem.Field{Name: "place", Code: "missing", Detail: "is missing, or too long"})
	}
	if !sha256hex.MatchString(c.Photo) {
		wrong = append(wrong, problem.Field{Name: "photo", Code: "not-a-hash", Detail: "must be the SHA-256, in hex, of the photograph"})
	}
	for _, f := range []struct {
		name string
		day  units.Day
	}{{"from", c.From}, {"until", c.Until}} {
		if _, err := units.ParseDay(string(f.day)); err != nil {
			wrong = append(wrong, problem.Field{Name: f.name, Code: "not-a-day", Detail: "is not a day such as 2022-07-21"})
		}
	}
	e := c.NoticeDisplayed
	e.Meeting = m.Meeting
	switch {
	case len(wrong) > 0:
		return nil, problem.Invalid("display-wrong", "this says not where and how long the notice stands", wrong...)
	case c.Until < c.From, c.From < units.DayOf(m.Notice.At), c.From > units.DayOf(c.Now), !ends(c.Until).Before(m.Notice.Closes):
		return nil, ErrDisplayDays
	case ends(c.Until).Before(c.From.Start().AddDate(0, 0, c.Days)):
		return nil, problem.Invalid("display-too-short", "the rules of this meeting ask that a notice stands longer", problem.Field{Name: "until", Code: "too-early", Detail: "must be at least " + strconv.Itoa(c.Days) + " days from the first, the first included", Bound: strconv.Itoa(c.Days)})
	case c.Warned && !m.Warns():
		return nil, ErrNoSilence
	case slices.Contains(m.Displayed, e):
		return nil, nil
	}
	return []votes.Event{e}, nil
}

// ends is the first instant after a day.
func ends(d units.Day) time.Time { return d.Start().AddDate(0, 0, 1) }

// maxRanges keeps the event small: whole buildings are far fewer.
const maxRanges = 2000

// IssueCodes records that letters with one-time codes are printed.
type IssueCodes struct {
	Entries []int // numbers of those that get one
	Now     time.Time
	Reason  string // why names are read; "": they are not
}

// Decide refuses codes that would open nothing.
func (c IssueCodes) Decide(m Meeting) ([]votes.Event, error) {
	switch err := m.tells(); {
	case err != nil:
		return nil, err
	case m.Past:
		return nil, ErrPastClosed
	case !c.Now.Before(m.Notice.Closes):
		return nil, ErrDeliveryClosed
	case len(c.Entries) == 0:
		return nil, ErrNoLetters
	}
	ranges := Ranges(c.Entries)
	if len(ranges) > maxRanges {
		return nil, ErrManyLetters
	}
	return []votes.Event{votes.BallotCodesIssued{
		Meeting: m.Meeting, Entries: ranges, Count: int64(len(c.Entries)), Until: m.Notice.Closes, Reason: c.Reason,
	}}, nil
}

// Ranges writes numbers, which are in order, as "1-16" and "18".
func Ranges(numbers []int) (list []string) {
	for i := 0; i < len(numbers); {
		n := 1
		for i+n < len(numbers) && numbers[i+n] == numbers[i]+n {
			n++
		}
		text := strconv.Itoa(numbers[i])
		if n > 1 {
			text += "-" + strconv.Itoa(numbers[i+n-1])
		}
		list, i = append(list, text), i+n
	}
	return list
}

// errRanges says that a list of numbers was not written by Ranges.
var errRanges = problem.Invalid("entries-wrong", "entries are numbers of the roll, and ranges of them, in order")

// Numbers reads what Ranges wrote, of a roll with so many entries.
func Numbers(list []string, entries int) (numbers []int, err error) {
	for _, text := range list {
		first, last, ranged := strings.Cut(text, "-")
		if !ranged {
			last = first
		}
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || a < 1 || b < a || b > entries || len(numbers) > 0 && a <= numbers[len(numbers)-1] {
			return nil, errRanges
		}
		for n := a; n <= b; n++ {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// Reached says how a notice reached the owner of an entry. The zero value: it
// did not.
type Reached struct {
	Channel string    `json:"channel"` // 方式
	At      time.Time `json:"at"`
	Warned  bool      `json:"warned"` // of what becomes of a ballot that is not handed in
}

// Reached returns how the notice reached an owner by an instant: as they were
// warned, where they were, else as they were told first. A display reaches only
// those whom it was tried in vain to reach otherwise, and only after its days.
func (m Meeting) Reached(b Ballots, by time.Time) (r Reached) {
	better := func(channel string, at time.Time, warned bool) {
		if !at.After(by) && (r.Channel == "" || warned && !r.Warned || warned == r.Warned && at.Before(r.At)) {
			r = Reached{channel, at, warned}
		}
	}
	for _, d := range b.Delivered {
		better(d.Channel, d.At, d.Warned)
	}
	if r.Channel != "" || len(b.Failed) == 0 {
		return r
	}
	for _, d := range m.Displayed {
		better(votes.ByPosting, ends(d.Until), d.Warned)
	}
	return r
}

// Warned reports whether the silence of an owner whom a notice reached in this
// way may count: it was delivered to them with proof, and with a warning. A
// posting takes the place of a delivery only where the rules say for how long.
func (r RuleSet) Warned(how Reached) bool {
	return how.Warned && (how.Channel != votes.ByPosting || r.PublicPostingDays > 0)
}

// Share is a part of an electorate.
type Share struct {
	Heads int64         `json:"heads"`
	Area  units.CentiM2 `json:"area_centi_m2"`
}

func (s *Share) add(e votes.Entry) { s.Heads, s.Area = s.Heads+1, s.Area+e.Area }

// Telling is how far the owners were told of a notice.
type Telling struct {
	All     Share            `json:"all"`     // the electorate
	Reached map[string]Share `json:"reached"` // by way (方式)
	Warned  Share            `json:"warned"`  // of those reached: of what becomes of a ballot that is not handed in
	Failed  Share            `json:"failed"`  // tried, and not reached so far
	Untried Share            `json:"untried"` // nothing is recorded of
}

// Add adds an entry by what is recorded of it, as of an instant.
func (t *Telling) Add(m Meeting, e votes.Entry, b Ballots, by time.Time) Reached {
	r := m.Reached(b, by)
	t.All.add(e)
	switch {
	case r.Channel != "":
		if t.Reached == nil {
			t.Reached = map[string]Share{}
		}
		way := t.Reached[r.Channel]
		way.add(e)
		t.Reached[r.Channel] = way
	case len(b.Failed) > 0:
		t.Failed.add(e)
	default:
		t.Untried.add(e)
	}
	if r.Warned {
		t.Warned.add(e)
	}
	return r
}

// ToldBy is the instant as of which it is asked how far the owners were told:
// what reached them after voting closed changes nothing.
func (m Meeting) ToldBy(now time.Time) time.Time {
	if m.Posted() && now.After(m.Notice.Closes) {
		return m.Notice.Closes
	}
	return now
}
