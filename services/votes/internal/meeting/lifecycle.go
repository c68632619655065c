package meeting

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Errors a caller can act on, from the extension to the filing.
var (
	ErrCancelled    = problem.Conflict("meeting-cancelled", "the meeting was cancelled; nothing of it goes on")
	ErrVotingOver   = problem.Conflict("voting-over", "the deadline has passed; a meeting is cancelled or extended before it, and counted after it")
	ErrPastMeeting  = problem.Conflict("meeting-past", "a meeting that is entered from papers ends with its count")
	ErrNotOpen      = problem.Conflict("voting-not-begun", "voting has not begun; it is extended while it goes on")
	ErrNoExtension  = problem.Conflict("no-extension", "the rules of this meeting do not let voting be extended")
	ErrExtended     = problem.Conflict("extended-already", "voting was extended as often as the rules of this meeting allow")
	ErrQuorumThere  = problem.Conflict("quorum-reached", "enough owners have taken part, by heads and by area; voting ends as announced")
	ErrNotCounted   = problem.Conflict("not-counted-yet", "the meeting is not counted yet")
	ErrResultPosted = problem.Conflict("result-posted", "the result is posted; to post another, withdraw it first and say why")
	ErrNotPosted    = problem.Conflict("result-not-posted", "no result is posted")
	ErrFinal        = problem.Conflict("result-final", "the result is final; who still doubts it asks a court, within a year (interpretation of the Supreme Court, art. 12)")
	ErrUnanswered   = problem.Conflict("objections-open", "there are objections that are not answered")
	ErrUpheld       = problem.Conflict("objection-upheld", "an objection was upheld: withdraw the result, and post the corrected one")
	ErrNotUpheld    = problem.Conflict("objection-not-upheld", "the objection that is named was not upheld")
	ErrNotFinal     = problem.Conflict("result-not-final", "a result is filed once it is final")
	ErrFiled        = problem.Conflict("result-filed", "the result is filed under another number")
	ErrNoObjection  = problem.NotFound("no-such-objection", "there is no such objection")
	ErrAnswered     = problem.Conflict("objection-answered", "the objection is answered")
	ErrTooLate      = problem.Conflict("objections-closed", "the days for objections are over")
	ErrNotAnOwner   = problem.Conflict("objector-not-on-the-roll", "objections are for the owners on the roll of this meeting")
	ErrStillObject  = problem.Conflict("objections-still-open", "owners may still object to the result")
	ErrNotDue       = problem.Conflict("not-due", "that is not late")
)

// Lifecycle is what becomes of a meeting beside and after the vote.
type Lifecycle struct {
	Cancelled votes.MeetingCancelled // zero until then
	Extended  []votes.VotingExtended
	Result    votes.ResultPosted // zero while none stands
	Postings  int                // results posted so far, withdrawn ones too
	First     time.Time          // when the first of them was posted
	Withdrawn []votes.ResultWithdrawn
	SetAside  []votes.BallotSetAside `json:",omitempty"` // ballots that count no more
	Final     votes.ResultFinal
	Filed     votes.ResultFiled
	Missed    []votes.DeadlineMissed
}

// evolve applies an event of the lifecycle.
func (l Lifecycle) evolve(e votes.Event) Lifecycle {
	switch e := e.(type) {
	case votes.MeetingCancelled:
		l.Cancelled = e
	case votes.VotingExtended:
		l.Extended = append(l.Extended[:len(l.Extended):len(l.Extended)], e)
	case votes.ResultPosted:
		l.Result, l.Postings = e, e.Posting
		if e.Posting == 1 {
			l.First = e.At
		}
	case votes.ResultWithdrawn:
		l.Result = votes.ResultPosted{}
		l.Withdrawn = append(l.Withdrawn[:len(l.Withdrawn):len(l.Withdrawn)], e)
	case votes.BallotSetAside:
		l.SetAside = append(slices.Clip(l.SetAside), e)
	case votes.BallotRestored:
		l.SetAside = slices.DeleteFunc(slices.Clone(l.SetAside), func(a votes.BallotSetAside) bool { return a.Ballot == e.Ballot })
	case votes.ResultFinal:
		l.Final = e
	case votes.ResultFiled:
		l.Filed = e
	case votes.DeadlineMissed:
		l.Missed = append(l.Missed[:len(l.Missed):len(l.Missed)], e)
	default: // of the vote itself
	}
	return l
}

// IsCancelled, IsPosted, IsFinal and IsFiled report how far the result is.
func (l Lifecycle) IsCancelled() bool { return !l.Cancelled.At.IsZero() }
func (l Lifecycle) IsPosted() bool    { return l.Result.Result != "" }
func (l Lifecycle) IsFinal() bool     { return !l.Final.At.IsZero() }
func (l Lifecycle) IsFiled() bool     { return l.Filed.Reference != "" }

// live says why nothing can be done any more to a meeting that is, or should be,
// under way.
func (m Meeting) live() error {
	switch {
	case !m.Drafted():
		return ErrNoMeeting
	case m.IsCancelled():
		return ErrCancelled
	case m.Past:
		return ErrPastMeeting
	}
	return nil
}

// number finds what is somebody's phone or document in words that all may read.
var number = regexp.MustCompile(`(^|\D)(1[3-9]\d{9}|\d{17}[\dXx])($|\D)`)

// longestWords is the most that is said in public at once, in characters.
const longestWords = 1000

// public refuses words that are missing, too long, or name somebody by number.
// Names it cannot tell from other words: forms say that there must be none.
func public(field, words string) error {
	var code, detail string
	switch {
	case strings.TrimSpace(words) == "":
		code, detail = "missing", "is missing"
	case len([]rune(words)) > longestWords:
		code, detail = "too-long", fmt.Sprintf("must not be longer than %d characters", longestWords)
	case number.MatchString(words):
		code, detail = "personal", "holds a phone number or the number of a document; everyone can read these words for ever"
	default:
		return nil
	}
	return problem.Invalid("words-wrong", "these words cannot be posted", problem.Field{Name: field, Code: code, Detail: detail})
}

// CancelMeeting calls a meeting off, or withdraws a draft.
type CancelMeeting struct {
	At     time.Time // now
	Reason string    // for everyone to read
}

// Decide refuses once the deadline has passed: then there is a result, which
// nobody has seen, and which nobody can wish away.
func (c CancelMeeting) Decide(m Meeting) ([]votes.Event, error) {
	if m.IsCancelled() {
		return nil, nil
	}
	if err := m.live(); err != nil {
		return nil, err
	}
	if m.Closed || m.EntryComplete || m.Posted() && !c.At.Before(m.Notice.Closes) {
		return nil, ErrVotingOver
	}
	if err := public("reason", c.Reason); err != nil {
		return nil, err
	}
	return []votes.Event{votes.MeetingCancelled{Meeting: m.Meeting, At: c.At, Reason: c.Reason}}, nil
}

// ExtendVoting gives owners more time where too few have taken part (深圳).
type ExtendVoting struct {
	At      time.Time // now
	Closes  time.Time // the new deadline
	Times   int       // how often the rules of the meeting allow it
	Latest  time.Time // the latest deadline that they allow
	Quorum  Threshold // of these rules
	Quorate []string  // scopes of the motions that need one
	All     []votes.ScopeTotal
	Turnout []votes.ScopeTotal // of All
}

// NewExtension returns what the rules of a meeting say about extending it. When, to
// when, who may vote by now and who has are still to be said.
func NewExtension(r RuleSet, m Meeting) ExtendVoting {
	c := ExtendVoting{Times: r.Extension.Times, Latest: r.Extension.Latest(m.Notice.Closes), Quorum: r.Quorum}
	for _, motion := range m.Motions {
		if r.Thresholds[r.Matters[motion.Matter].Threshold].Of != OfAll {
			c.Quorate = append(c.Quorate, ScopeOf(motion))
		}
	}
	return c
}

// Decide refuses before voting opens, after the deadline, more often or for
// longer than the rules allow, and where no scope lacks a quorum. Which ballots
// were cast by then Turnout says, and nothing else of them is known.
func (c ExtendVoting) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	switch {
	case !m.Posted():
		return nil, ErrNoNotice
	case m.Closed || m.EntryComplete || !c.At.Before(m.Notice.Closes):
		return nil, ErrVotingOver
	case c.At.Before(m.Notice.Opens):
		return nil, ErrNotOpen
	case c.Times == 0:
		return nil, ErrNoExtension
	case len(m.Extended) >= c.Times:
		return nil, ErrExtended
	case !c.Closes.After(m.Notice.Closes) || c.Closes.After(c.Latest):
		return nil, problem.Invalid("wrong-extension", "the new deadline is not one that the rules allow", problem.Field{
			Name: "closes", Code: "not-within", Detail: "must be after " + day(m.Notice.Closes) + " and not after " + day(c.Latest)})
	case c.reached():
		return nil, ErrQuorumThere
	}
	return []votes.Event{votes.VotingExtended{Meeting: m.Meeting, At: c.At, From: m.Notice.Closes, Closes: c.Closes}}, nil
}

// reached says whether enough have taken part in every scope that needs a quorum.
func (c ExtendVoting) reached() bool {
	for _, all := range c.All {
		if !slices.Contains(c.Quorate, all.Scope) {
			continue
		}
		var part votes.ScopeTotal
		for _, s := range c.Turnout {
			if s.Scope == all.Scope {
				part = s
			}
		}
		if !met([]Step{c.Quorum.Heads.step("quorum", "heads", part.Heads, all.Heads), c.Quorum.Area.step("quorum", "area_centi_m2", int64(part.Area), int64(all.Area))}) {
			return false
		}
	}
	return true
}

// Add adds an entry to the totals of the scopes it votes in.
func Add(scopes []votes.ScopeTotal, e votes.Entry) {
	for i := range scopes {
		if area, ok := weightIn(e, scopes[i].Scope); ok {
			scopes[i].Heads, scopes[i].Area = scopes[i].Heads+1, scopes[i].Area+area
		}
	}
}

func day(t time.Time) string { return t.In(units.Shanghai).Format(time.RFC3339) }

// PostedResult is the blob that ResultPosted names: what every motion came to,
// from which roll and by which rules.
type PostedResult struct {
	Meeting  string    `json:"meeting"`
	Title    string    `json:"title"`
	Roll     string    `json:"roll"` // hash
	RuleSet  string    `json:"rule_set"`
	RuleHash string    `json:"rule_hash"`
	Opens    time.Time `json:"opens"`
	Closes   time.Time `json:"closes"`
	Results  []Result  `json:"results"`
}

// Blob returns the bytes that are posted, and their SHA-256.
func (m Meeting) Blob(results []Result) (blob []byte, hash string) {
	b, err := json.Marshal(PostedResult{
		Meeting: m.Meeting, Title: m.Title, Roll: m.Roll.Roll, RuleSet: m.Notice.RuleSet, RuleHash: m.Notice.RuleHash,
		Opens: m.Notice.Opens, Closes: m.Notice.Closes, Results: results,
	})
	if err != nil {
		panic(err) // strings and numbers
	}
	return b, Hash(b)
}

// PostResult records that somebody posted the result in the estate.
type PostResult struct {
	At     time.Time // now
	Result string    // hash of the public blob; none: whoever asks does not know the count yet
	Photo  string    // of the notice board, SHA-256; may be missing
	Until  time.Time // first instant at which nobody may object any more, see [RuleSet.ObjectionsUntil]
}

// Decide refuses before the count, and where a result stands.
func (c PostResult) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	switch {
	case !m.Countable() || c.Result == "":
		return nil, ErrNotCounted
	case m.IsPosted() && m.Result.Result == c.Result && m.Result.Photo == c.Photo:
		return nil, nil
	case m.IsPosted():
		return nil, ErrResultPosted
	}
	return []votes.Event{votes.ResultPosted{Meeting: m.Meeting, At: c.At, Posting: m.Postings + 1, Result: c.Result, Photo: c.Photo, ObjectionsUntil: c.Until}}, nil
}

// WithdrawResult takes a posted result back.
type WithdrawResult struct {
	At        time.Time // now
	Reason    string    // for everyone to read
	Objection string    // that was upheld; "": none led to it
	Upheld    bool      // it was, and it is one to the result that stands
}

// Decide refuses where no result stands, and once it is final.
func (c WithdrawResult) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	switch {
	case !m.IsPosted():
		return nil, ErrNotPosted
	case m.IsFinal():
		return nil, ErrFinal
	case c.Objection != "" && !c.Upheld:
		return nil, ErrNotUpheld
	}
	if err := public("reason", c.Reason); err != nil {
		return nil, err
	}
	return []votes.Event{votes.ResultWithdrawn{Meeting: m.Meeting, At: c.At, Posting: m.Result.Posting, Reason: c.Reason, Objection: c.Objection}}, nil
}

// DeclareFinal ends the doubt about a result, and lets follow what follows from it.
type DeclareFinal struct {
	At      time.Time // now
	Open    int       // objections without an answer
	Upheld  int       // objections to the result that stands which were upheld
	Results []Result  // as they were posted
}

// Decide refuses while owners may object, and while an objection is open or the
// result stands against one that was upheld.
func (c DeclareFinal) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	switch {
	case !m.IsPosted():
		return nil, ErrNotPosted
	case m.IsFinal():
		return nil, nil
	case !m.Result.ObjectionsUntil.IsZero() && c.At.Before(m.Result.ObjectionsUntil.Add(Grace)):
		e := *ErrStillObject
		e.Fields = []problem.Field{{Name: "at", Code: "too-early", Detail: "must be a minute after " + day(m.Result.ObjectionsUntil)}}
		return nil, &e
	case c.Open > 0:
		return nil, ErrUnanswered
	case c.Upheld > 0:
		return nil, ErrUpheld
	}
	final := votes.ResultFinal{Meeting: m.Meeting, At: c.At, Posting: m.Result.Posting}
	return append([]votes.Event{final}, m.following(final, c.Results)...), nil
}

// FileResult records that the street office has taken the result on file (备案).
type FileResult struct {
	At        time.Time // now
	Reference string    // the street office's number
}

// Decide refuses before the result is final.
func (c FileResult) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	switch {
	case !m.IsFinal():
		return nil, ErrNotFinal
	case m.IsFiled() && m.Filed.Reference == c.Reference:
		return nil, nil
	case m.IsFiled():
		return nil, ErrFiled
	}
	if err := public("reference", c.Reference); err != nil {
		return nil, err
	}
	return []votes.Event{votes.ResultFiled{Meeting: m.Meeting, At: c.At, Reference: c.Reference}}, nil
}

// MissDeadline records that a deadline passed in vain.
type MissDeadline struct {
	Now  time.Time
	Name string
	Due  time.Time // first instant at which it is late
}

// Decide refuses what is not due, what was done in time, and days that ask nothing
// of anybody. It is recorded once.
func (c MissDeadline) Decide(m Meeting) ([]votes.Event, error) {
	if err := m.live(); err != nil {
		return nil, err
	}
	for _, missed := range m.Missed {
		if missed.Deadline == c.Name {
			return nil, nil
		}
	}
	done, asked := m.asked(c.Name)
	if !asked || c.Due.IsZero() || c.Now.Before(c.Due) || !done.IsZero() && done.Before(c.Due) {
		return nil, ErrNotDue
	}
	return []votes.Event{votes.DeadlineMissed{Meeting: m.Meeting, Deadline: c.Name, Due: c.Due}}, nil
}

// asked says whether a deadline asks for something of a meeting that is counted,
// and when that was done.
func (m Meeting) asked(name string) (done time.Time, asked bool) {
	switch {
	case !m.Countable():
		return done, false
	case name == ResultPosting:
		return m.First, true
	case name == Filing:
		return m.Filed.At, slices.ContainsFunc(m.Motions, isElection)
	}
	return done, false
}

// InVain lists the deadlines that will have passed, or have, without what they ask
// for, and that are not recorded as missed.
func InVain(m Meeting, r RuleSet, c Calendar, now time.Time) (list []Deadline) {
	if m.live() != nil {
		return nil
	}
	for _, d := range Deadlines(m, m.Times, r, c, now) {
		done, asked := m.asked(d.Name)
		recorded := slices.ContainsFunc(m.Missed, func(e votes.DeadlineMissed) bool { return e.Deadline == d.Name })
		if asked && !recorded && !d.Due.IsZero() && !d.HolidaysUnknown && (done.IsZero() || !done.Before(d.Due)) {
			list = append(list, d)
		}
	}
	return list
}

// Over says that no clock has anything to do with the meeting any more.
func (m Meeting) Over() bool {
	return m.Past || m.IsCancelled() || m.Unopened || m.IsFiled() || m.IsFinal() && !slices.ContainsFunc(m.Motions, isElection)
}

// Objection is one objection to a result.
type Objection struct {
	votes.ResultObjected
	Answer votes.ResultObjectionAnswered // zero until then
}

// EvolveObjection applies one event. It never fails and never decides.
func EvolveObjection(o Objection, e votes.Event) Objection {
	switch e := e.(type) {
	case votes.ResultObjected:
		o.ResultObjected = e
	case votes.ResultObjectionAnswered:
		o.Answer = e
	default: // of other streams, or that it was read
	}
	return o
}

// Raised and Answered report how far an objection is.
func (o Objection) Raised() bool   { return o.Objection != "" }
func (o Objection) Answered() bool { return o.Raised() && o.Answer.Objection == o.Objection }

// Against says whether it speaks against the result that stands.
func (o Objection) Against(m Meeting) bool { return m.IsPosted() && o.Posting == m.Result.Posting }

// Pending counts the objections that keep a meeting's result from being final:
// those without an answer, and those upheld against the result that stands.
func Pending(m Meeting, list []Objection) (open, upheld int) {
	for _, o := range list {
		switch {
		case !o.Answered():
			open++
		case o.Answer.Upheld && o.Against(m):
			upheld++
		}
	}
	return open, upheld
}

// ObjectionsUntil is the first instant at which nobody may object any more to a
// result that was posted at an instant. Where the rules give no days for it, it is
// when the result need not hang any more; zero where they do not say that either.
func (r RuleSet) ObjectionsUntil(posted time.Time, c Calendar) time.Time {
	days := cmp.Or(r.ObjectionDays, r.ResultStandsDays)
	if days == 0 {
		return time.Time{}
	}
	return c.Open(posted, days)
}

// ObjectToResult says something against a posted result.
type ObjectToResult struct {
	Objection, Person string
	Meeting           Meeting
	Entry             string    // of the person; "": none
	Motion            string    // "": the whole result
	At                time.Time // now
	Words             codec.Sealed
}

// Decide refuses who is not on the roll, and what comes before or after its time.
func (c ObjectToResult) Decide(o Objection) ([]votes.Event, error) {
	if err := c.Meeting.live(); err != nil {
		return nil, err
	}
	until := c.Meeting.Result.ObjectionsUntil
	switch {
	case o.Raised():
		return nil, nil
	case !c.Meeting.IsPosted():
		return nil, ErrNotPosted
	case c.Meeting.IsFinal() || !until.IsZero() && !c.At.Before(until):
		return nil, ErrTooLate
	case c.Entry == "":
		return nil, ErrNotAnOwner
	case c.Words == "":
		return nil, problem.Invalid("words-missing", "say what is wrong with the result", problem.Field{Name: "words", Code: "missing", Detail: "is missing"})
	}
	if _, ok := c.Meeting.motion(c.Motion); c.Motion != "" && !ok {
		return nil, problem.Invalid("no-such-motion", "the motion was not on the notice", problem.Field{Name: "motion", Code: "unknown", Detail: "is not on the notice"})
	}
	return []votes.Event{votes.ResultObjected{
		Objection: c.Objection, Meeting: c.Meeting.Meeting, Posting: c.Meeting.Result.Posting, Entry: c.Entry, Person: c.Person,
		Motion: c.Motion, At: c.At, Words: c.Words,
	}}, nil
}

// ReadObjection records that someone reads the owner's words.
type ReadObjection struct {
	Reader string
	At     time.Time // now
}

// Decide records every reading.
func (c ReadObjection) Decide(o Objection) ([]votes.Event, error) {
	if !o.Raised() {
		return nil, ErrNoObjection
	}
	return []votes.Event{votes.ObjectionRead{Objection: o.Objection, Meeting: o.Meeting, Reader: c.Reader, At: c.At}}, nil
}

// AnswerObjection answers an objection, for everyone to read.
type AnswerObjection struct {
	At     time.Time // now
	Upheld bool
	Answer string
}

// answer decides an answer for everyone to read, given the one there is: whether
// there is none yet, and the answer can be given.
func answer(answered bool, was, given string, wasUpheld, upheld bool) (first bool, err error) {
	switch {
	case answered && was == given && wasUpheld == upheld:
		return false, nil
	case answered:
		return false, ErrAnswered
	}
	err = public("answer", given)
	return err == nil, err
}

// Decide refuses a second answer.
func (c AnswerObjection) Decide(o Objection) ([]votes.Event, error) {
	if !o.Raised() {
		return nil, ErrNoObjection
	}
	if first, err := answer(o.Answered(), o.Answer.Answer, c.Answer, o.Answer.Upheld, c.Upheld); !first {
		return nil, err
	}
	return []votes.Event{votes.ResultObjectionAnswered{Objection: o.Objection, Meeting: o.Meeting, At: c.At, Upheld: c.Upheld, Answer: c.Answer}}, nil
}
