// Package meeting decides what may happen to an owners' meeting (业主大会会议)
// and to the ballots of its electorate, who is in that electorate, which of
// several ballots counts, and what the count means by law.
//
// It takes values and returns values: it reads no clock, no store and no key.
// A live meeting's choices come to it in clear, to be checked, beside the
// ciphertext that is recorded in their place.
package meeting

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Grace is how long after its deadline a live meeting is closed: ballots
// received before the deadline are recorded by then.
const Grace = time.Minute

// Errors a caller can act on.
var (
	ErrNoMeeting   = problem.NotFound("no-such-meeting", "there is no such meeting")
	ErrDrafted     = problem.Conflict("meeting-exists", "the meeting is drafted already")
	ErrNoRoll      = problem.Conflict("roll-not-frozen", "the roll is frozen before the notice is posted")
	ErrEmptyRoll   = problem.Conflict("roll-empty", "no unit of the estate gives a vote")
	ErrPosted      = problem.Conflict("notice-posted", "the notice is posted; nothing of it changes any more")
	ErrNoNotice    = problem.Conflict("notice-not-posted", "the notice is not posted yet")
	ErrWindow      = problem.Invalid("wrong-window", "voting opens before it closes", problem.Field{Name: "closes", Code: "not-after-opens", Detail: "must be after opens"})
	ErrNotPast     = problem.Conflict("meeting-not-past", "a meeting entered as past was closed before it is entered")
	ErrStatedTime  = problem.Conflict("time-not-yours-to-state", "in a live meeting the ledger's clock says when; only papers of a past meeting bring their own times")
	ErrNoRules     = problem.Invalid("no-rule-set", "no rule set is in force on the day of the notice")
	ErrStillOpen   = problem.Conflict("voting-still-open", "voting is closed a minute after its deadline")
	ErrPaperOpen   = problem.Conflict("paper-entry-open", "paper ballots were handed in: voting is closed once their entry is declared complete")
	ErrEnvelopes   = problem.Conflict("envelopes-waiting", "there are envelopes that nobody has entered, that wait for a second reader, or whose readers differ")
	ErrNotClosed   = problem.Conflict("voting-not-closed", "voting is not closed yet")
	ErrPastClosed  = problem.Conflict("meeting-closed", "the past meeting is closed in the ledger; its ballots are complete")
	ErrPastPaper   = problem.Conflict("meeting-past", "paper ballots of a past meeting are entered with the time they were handed in")
	ErrNoEnvelope  = problem.Conflict("no-envelope", "no envelope of this entry waits to be opened")
	ErrMotionTwice = problem.Invalid("motion-twice", "a ballot answers a motion once", problem.Field{Name: "choices", Code: "duplicate", Detail: "names a motion twice"})
	ErrNoChoices   = problem.Invalid("no-choices", "the ballot is empty", problem.Field{Name: "choices", Code: "missing", Detail: "is empty"})
	ErrChannel     = problem.Invalid("unknown-channel", "there is no such channel", problem.Field{Name: "channel", Code: "not-one-of", Detail: "is 电子, 纸质 or 会议"})
)

// ErrSlip says that a paper ballot was typed wrong, and where; its envelope
// stays closed.
var ErrSlip = problem.Invalid("ballot-wrong", "the paper cannot say this; nothing is recorded, and its envelope still waits")

// ErrSilence says that a meeting would count un-returned ballots by itself.
var ErrSilence = problem.Conflict("silence-not-in-the-rules",
	"an un-returned ballot counts for nobody, unless the owners' rules say that it does: draft the meeting without it, or adopt such rules first")

// ErrNotice says that live voting would open too soon after the notice.
var ErrNotice = problem.Invalid("notice-too-short", "owners are told in time before voting opens (物业管理条例 art. 14)")

// Meeting is the state commands decide on. The zero value is no meeting.
type Meeting struct {
	votes.MeetingDrafted
	Roll          votes.RollFrozen   // zero until frozen
	Notice        votes.NoticePosted // zero until posted; Closes moves with an extension
	EntryComplete bool
	Papers        votes.EnvelopeCount // what became of the envelopes, once their entry is complete
	Closed        bool
	Key           string // once released
	Displayed     []votes.NoticeDisplayed
	Lifecycle
	Trust    Trust `json:",omitzero"`  // who holds the key in shares
	Unopened bool  `json:",omitempty"` // too few shares came
	Times    Times // on the board only

	Amendments     []votes.RollAmended `json:",omitempty"` // of the roll, in recorded order
	RollObjections []RollObjection     `json:",omitempty"` // by number
}

// Evolve applies one event. It never fails and never decides.
func Evolve(m Meeting, e votes.Event) Meeting {
	switch e := e.(type) {
	case votes.MeetingDrafted:
		m.MeetingDrafted = e
	case votes.NoticePosted:
		m.Notice = e
	case votes.PaperEntryCompleted:
		m.EntryComplete = true
		m.Papers = e.Papers
	case votes.VotingClosed:
		m.Closed = true
	case votes.KeyReleased:
		m.Key = e.Key
	case votes.RollFrozen, votes.RollAmended, votes.RollObjected, votes.RollObjectionRead, votes.RollObjectionAnswered, votes.RollObjectionWithdrawn:
		m = m.evolveRoll(e)
	case votes.VotingExtended:
		m.Notice.Closes = e.Closes
		m.Lifecycle = m.evolve(e)
	case votes.MeetingCancelled, votes.ResultPosted, votes.ResultWithdrawn, votes.BallotSetAside, votes.BallotRestored, votes.ResultFinal, votes.ResultFiled, votes.DeadlineMissed:
		m.Lifecycle = m.evolve(e)
	case votes.NoticeDisplayed:
		m.Displayed = append(slices.Clip(m.Displayed), e)
	case votes.BallotCodesIssued: // the codes are in the vault
	case votes.TrusteesNamed, votes.ShareTaken, votes.SharesAwaited, votes.ShareGiven:
		m.Trust = m.Trust.evolve(e)
	case votes.BallotsUnopened:
		m.Unopened = true
	case votes.DecisionEffective: // what it leads to is recorded where it happens
	default: // in streams of their own
	}
	return m
}

// Drafted, Frozen and Posted report how far the meeting is.
func (m Meeting) Drafted() bool { return m.Meeting != "" }
func (m Meeting) Frozen() bool  { return m.Roll.Roll != "" }
func (m Meeting) Posted() bool  { return !m.Notice.At.IsZero() }

// Deadline is when a live meeting is closed.
func (m Meeting) Deadline() time.Time { return m.Notice.Closes.Add(Grace) }

// Countable reports whether the count can be made: voting is closed, and of a
// live meeting the key is released, or it is certain that it will not be.
func (m Meeting) Countable() bool { return m.Closed && (m.Past || m.Key != "" || m.Unopened) }

// State names how far the meeting is at an instant: drafted, frozen, noticed,
// open, closing, closed, counted, posted, final or filed; or, beside these,
// withdrawn or cancelled. A past meeting stays open until its ballots are all in,
// and ends counted.
func (m Meeting) State(now time.Time) string {
	switch {
	case m.IsCancelled() && !m.Posted():
		return "withdrawn"
	case m.IsCancelled():
		return "cancelled"
	case m.IsFiled():
		return "filed"
	case m.IsFinal():
		return "final"
	case m.IsPosted():
		return "posted"
	case m.Countable():
		return "counted"
	case m.Closed:
		return "closed"
	case !m.Frozen():
		return "drafted"
	case !m.Posted():
		return "frozen"
	case now.Before(m.Notice.Opens):
		return "noticed"
	case now.Before(m.Notice.Closes) || m.Past:
		return "open"
	default:
		return "closing"
	}
}

// DraftMeeting sets up a meeting with its motions and policies.
type DraftMeeting struct {
	votes.MeetingDrafted
	Rules  RuleSet
	Stated []string // threshold that was stated for each motion; none or "": not stated
	Places

	Agreements map[string]Agreement // those that what follows from a motion names, by id
}

// Places are what the scopes of an estate's motions may name. None: its units are
// not known yet.
type Places struct {
	Buildings []string
	Stairs    []string        // e.g. 5-1
	Units     map[string]bool // by code
}

// PlacesOf returns the places of an estate with these units.
func PlacesOf(units iter.Seq[registry.Unit]) Places {
	p := Places{Units: map[string]bool{}}
	seen := map[string]bool{}
	for u := range units {
		p.Units[u.Code] = true
		if !seen[buildingScope+u.Building] {
			seen[buildingScope+u.Building] = true
			p.Buildings = append(p.Buildings, u.Building)
		}
		if stair := StairOf(u); stair != "" && !seen[stairScope+stair] {
			seen[stairScope+stair] = true
			p.Stairs = append(p.Stairs, stair)
		}
	}
	return p
}

// Scopes lists whom a motion may be put to, besides listed units: the estate, then
// buildings, then stairs, as their numbers go.
func (p Places) Scopes() []string {
	all := []string{Estate}
	for prefix, names := range map[string][]string{buildingScope: p.Buildings, stairScope: p.Stairs} {
		for _, name := range names {
			if name != "" {
				all = append(all, prefix+name)
			}
		}
	}
	slices.SortFunc(all[1:], func(a, b string) int {
		kind := func(scope string) string { return scope[:strings.Index(scope, ":")] }
		return cmp.Or(cmp.Compare(kind(a), kind(b)), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return all
}

// Decide refuses policies that are not stated, motions the rules do not know,
// thresholds the law does not have for a matter, and scopes without a unit.
func (c DraftMeeting) Decide(m Meeting) ([]votes.Event, error) {
	if m.Drafted() {
		return nil, ErrDrafted
	}
	if wrong := c.check(); len(wrong) > 0 {
		return nil, problem.Invalid("meeting-wrong", "the meeting cannot be held as it is described", wrong...)
	}
	return []votes.Event{c.MeetingDrafted}, nil
}

func (c DraftMeeting) check() (wrong []problem.Field) {
	want := func(ok bool, name, code, detail string) {
		if !ok {
			wrong = append(wrong, problem.Field{Name: name, Code: code, Detail: detail})
		}
	}
	oneOf := func(name, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		want(false, name, "not-one-of", "is "+strings.Join(allowed, " or "))
	}
	want(strings.TrimSpace(c.Title) != "", "title", "missing", "is missing")
	c.checkConvened(want)
	c.checkPlanned(want)
	oneOf("policy.revote", c.Policy.Revote, votes.FirstBallotStands, votes.LastBallotStands)
	oneOf("policy.paper_and_electronic", c.Policy.PaperAndElectronic, votes.ElectronicStands, votes.PaperStands, votes.FirstStands)
	oneOf("policy.unreturned", c.Policy.Unreturned, c.Rules.silences()...)
	if len(wrong) == 0 && !c.Past { // the papers of a past one say what was done
		wrong = append(wrong, c.Rules.Departs(c.Policy)...)
	}
	want(len(c.Motions) > 0, "motions", "missing", "is empty")
	seen := map[string]bool{}
	for i, motion := range c.Motions {
		field := func(name string) string { return fmt.Sprintf("motions[%d].%s", i, name) }
		want(motion.ID != "" && !seen[motion.ID], field("id"), "missing", "is missing or used twice")
		seen[motion.ID] = true
		want(strings.TrimSpace(motion.Title) != "", field("title"), "missing", "is missing")
		matter, known := c.Rules.Matters[motion.Matter]
		want(known, field("matter"), "unknown", "is no matter of "+c.Rules.ID)
		stated := i < len(c.Stated) && c.Stated[i] != ""
		want(!known || !stated || c.Stated[i] == matter.Threshold, field("rule"), "not-the-law", "the law says "+matter.Threshold+" for "+motion.Matter)
		c.checkScope(motion, field, want)
		c.checkElection(motion, field, want)
		c.checkEffect(motion, c.Motions[:i], field, want)
	}
	return wrong
}

// checkConvened reports what nobody may call, and in what way.
func (c DraftMeeting) checkConvened(want func(ok bool, name, code, detail string)) {
	first := c.Kind == votes.First
	want(c.Kind == "" || slices.Contains(votes.Kinds, c.Kind), "kind", "not-one-of", "is "+strings.Join(votes.Kinds, " or "))
	want(c.Convener == "" || slices.Contains(votes.Conveners, c.Convener), "convener", "not-one-of", "is "+strings.Join(votes.Conveners, " or "))
	want(!first || c.Convener != votes.OfCommittee, "convener", "committee-of-the-first", "of the first meeting is not the committee, which it elects")
	want(first || c.Kind == "" || c.Convener != votes.OfPreparation, "convener", "not-the-first", "is there for the first meeting only")
	want(!c.AskedByOwners || c.Kind == votes.Special, "asked_by_owners", "not-special", "is of a special meeting only (物业管理条例 art. 13)")
}

// checkPlanned reports days that are none, or that are planned of a meeting that was
// held. Which days the rules leave, the notice is asked.
func (c DraftMeeting) checkPlanned(want func(ok bool, name, code, detail string)) {
	p := c.Planned
	_, err := units.ParseDay(string(p.Notice))
	want(p.Notice == "" || err == nil, "planned.notice", "not-a-day", "is not a day such as 2022-07-21")
	want(p.Opens.IsZero() || p.Closes.IsZero() || p.Opens.Before(p.Closes), "planned.closes", "not-after-opens", "must be after opens")
	want(!c.Past || p == votes.Planned{}, "planned", "not-asked", "must be absent: the meeting was held")
}

func (c DraftMeeting) checkScope(motion votes.Motion, field func(string) string, want func(ok bool, name, code, detail string)) {
	known := len(c.Buildings) > 0
	building, ofBuilding := strings.CutPrefix(motion.Scope, buildingScope)
	stair, ofStair := strings.CutPrefix(motion.Scope, stairScope)
	listed := motion.Scope == Listed
	want(motion.Scope == Estate || ofBuilding && building != "" || ofStair && stair != "" || listed, field("scope"), "unknown", inScopes)
	want(!ofBuilding || building == "" || !known || slices.Contains(c.Buildings, building), field("scope"), "unknown", "names a building that the estate does not have")
	want(!ofStair || stair == "" || !known || slices.Contains(c.Stairs, stair), field("scope"), "unknown", "names a stair that the estate does not have")
	want(!listed || len(motion.Units) > 0, field("units"), "missing", "is missing: the scope is a list of units")
	want(listed || len(motion.Units) == 0, field("units"), "not-asked", "must be absent: the scope is no list of units")
	seen := map[string]bool{}
	for n, code := range motion.Units {
		name := field(fmt.Sprintf("units[%d]", n))
		want(code != "" && !seen[code], name, "duplicate", "is empty or listed twice")
		want(!known || c.Units[code], name, "unknown", "is no unit of the estate")
		seen[code] = true
	}
}

// FreezeRoll fixes the electorate. Until the notice it may be frozen anew, for
// objections are heard before it.
type FreezeRoll struct {
	votes.RollFrozen
}

// Decide refuses a roll after the notice, and an empty one. One that looks the
// same is frozen anew where titles were read again since: what is posted does not
// say who the owners are.
func (c FreezeRoll) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.IsCancelled():
		return nil, ErrCancelled
	case m.Frozen() && m.Roll.Roll == c.Roll && (m.Posted() || m.Roll.SeenAt == c.SeenAt):
		return nil, nil
	case m.Posted():
		return nil, ErrPosted
	case c.Heads == 0:
		return nil, ErrEmptyRoll
	}
	return []votes.Event{c.RollFrozen}, nil
}

// PostNotice tells the owners when they vote, on what, and by which rules.
type PostNotice struct {
	Now           time.Time
	At            time.Time // of a past meeting only: when it was posted
	Opens, Closes time.Time
	Rules         RuleSet            // in force on the day of the notice
	Calendar      Calendar           // moves the last day on which the roll may be objected to
	Adopted       votes.RulesAdopted // what the estate had adopted of them; zero: nothing
	Lapsed        []Lapsed           // motions of the estate on which too few took part, although voting was extended
	Differs       []votes.Differs    // how motions are others than those
}

// Decide refuses a live meeting that opens too soon. A past one is taken as it
// was held, and [Meeting.NoticeInTime] says what is to be said of it.
func (c PostNotice) Decide(m Meeting) ([]votes.Event, error) {
	at := c.At
	if !m.Past {
		at = c.Now
	}
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.IsCancelled():
		return nil, ErrCancelled
	case !m.Frozen():
		return nil, ErrNoRoll
	case m.Posted():
		return nil, ErrPosted
	case !m.Past && !c.At.IsZero():
		return nil, ErrStatedTime
	case !m.Trust.Complete():
		return nil, ErrSharesLeft
	case !c.Opens.Before(c.Closes):
		return nil, ErrWindow
	case m.Past && (c.At.IsZero() || c.Closes.After(c.Now)):
		return nil, ErrNotPast
	case !c.Rules.Covers(units.DayOf(at)):
		return nil, ErrNoRules
	}
	if !m.Past {
		if err := m.rollSettled(c.Rules, c.Calendar, at); err != nil {
			return nil, err
		}
	}
	for _, motion := range m.Motions {
		if _, ok := c.Rules.Matters[motion.Matter]; !ok {
			return nil, ErrNoRules
		}
	}
	if !slices.Contains(c.Rules.silences(), m.Policy.Unreturned) {
		return nil, ErrSilence
	}
	if earliest := m.earliestOpening(c.Rules, at); !m.Past && c.Opens.Before(earliest) {
		e := *ErrNotice
		e.Fields = []problem.Field{bounded("opens", "too-early", "must not be before ", earliest)}
		return nil, &e
	}
	if !m.Past { // one that was held is taken as it was
		if err := c.Rules.window(c.Opens, c.Closes); err != nil {
			return nil, err
		}
		if wrong := c.Rules.Departs(m.Policy); len(wrong) > 0 {
			return nil, saying(ErrDeparts, wrong)
		}
		if err := c.rested(m, at); err != nil {
			return nil, err
		}
	}
	notice := votes.NoticePosted{Meeting: m.Meeting, At: at, Opens: c.Opens, Closes: c.Closes, RuleSet: c.Rules.ID, RuleHash: c.Rules.Hash}
	if !m.Past {
		notice.Differs = c.Differs
	}
	if c.Adopted.Estate != "" {
		notice.Adopted = []votes.RulesAdopted{c.Adopted}
	}
	return []votes.Event{notice}, nil
}

// noticeDays are the whole days between a notice and the opening of a meeting, at
// least. A special meeting needs no fewer than any other, whatever a place says of it
// (物业管理条例 art. 14), and more where its rules ask for more. The notice of an election
// posts its candidates, too.
func (m Meeting) noticeDays(rules RuleSet) int {
	days := rules.NoticeDays
	if m.Kind == votes.Special {
		days = max(days, rules.SpecialNoticeDays)
	}
	if slices.ContainsFunc(m.Motions, isElection) {
		days = max(days, rules.Election.CandidatesPostedDays)
	}
	return days
}

// earliestOpening is the first instant at which voting may open after a notice.
func (m Meeting) earliestOpening(rules RuleSet, notice time.Time) time.Time {
	return notice.AddDate(0, 0, m.noticeDays(rules))
}

// NoticeInTime reports whether the notice was posted as early as rules ask.
func (m Meeting) NoticeInTime(rules RuleSet) bool {
	return m.Posted() && !m.Notice.Opens.Before(m.earliestOpening(rules, m.Notice.At))
}

// CompletePaperEntry declares that every envelope was opened and entered.
type CompletePaperEntry struct {
	Now    time.Time
	Papers votes.EnvelopeCount // what became of the envelopes that were handed in
}

// Decide refuses while envelopes may still come, wait for a reader or are
// disputed: what was handed in must be cast, void or refused, to the last one.
func (c CompletePaperEntry) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.IsCancelled():
		return nil, ErrCancelled
	case m.EntryComplete || m.Closed:
		return nil, nil
	case !m.Posted():
		return nil, ErrNoNotice
	case m.Past:
		return nil, ErrPastPaper
	case c.Now.Before(m.Notice.Closes) || m.TwoPersons() && c.Now.Before(m.Deadline()):
		return nil, ErrStillOpen // an envelope handed in at the last moment may not be recorded yet
	case c.Papers.Envelopes != c.Papers.Cast+c.Papers.Void+c.Papers.Refused:
		return nil, ErrEnvelopes
	}
	completed := votes.PaperEntryCompleted{Meeting: m.Meeting}
	if m.TwoPersons() {
		completed.Papers = c.Papers
	}
	return []votes.Event{completed}, nil
}

// CloseVoting ends the taking of ballots.
type CloseVoting struct {
	Now   time.Time
	Paper bool // envelopes were handed in
}

// Decide waits for the deadline and for the paper of a live meeting. A past one
// is closed whenever its ballots are complete.
func (c CloseVoting) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.IsCancelled():
		return nil, ErrCancelled
	case m.Closed:
		return nil, nil
	case !m.Posted():
		return nil, ErrNoNotice
	case m.Past:
	case c.Now.Before(m.Deadline()):
		return nil, ErrStillOpen
	case c.Paper && !m.EntryComplete:
		return nil, ErrPaperOpen
	}
	return []votes.Event{votes.VotingClosed{Meeting: m.Meeting}}, nil
}

// ReleaseKey lets everyone open the ballots of a live meeting.
type ReleaseKey struct {
	Key string
}

// Decide refuses before voting is closed, and while trustees still hold it. A past
// meeting has no key.
func (c ReleaseKey) Decide(m Meeting) ([]votes.Event, error) {
	switch {
	case !m.Drafted():
		return nil, ErrNoMeeting
	case m.Key != "" || m.Past:
		return nil, nil
	case !m.Closed:
		return nil, ErrNotClosed
	case m.Unopened:
		return nil, ErrUnopened
	case len(m.Trust.Given) < m.Trust.Needed():
		return nil, ErrSharesMissing
	}
	return []votes.Event{votes.KeyReleased{Meeting: m.Meeting, Key: c.Key}}, nil
}
