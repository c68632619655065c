package votes

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/api"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// inspection decides meetings and their ballots again.
type inspection struct {
	only     string // estate; "": all
	rights   facts.Rights
	units    map[string]*facts.Known[electorate.Unit] // by id, with titles
	estates  map[string][]string                      // ids of units, by estate
	meetings map[string]*held
	adopted  map[string]*facts.Known[meeting.Procedure] // by estate
	agreed   map[string]*facts.Known[meeting.Agreement] // agreements, by id
	order    []string                                   // meetings as they were drafted
	asked    meeting.CastBallot                         // now; nothing keeps it
}

// held is a meeting and what became of its ballots.
type held struct {
	facts.Known[meeting.Meeting]
	entries   []votes.Entry
	voters    meeting.Voters
	heads     map[string]*head    // by entry
	papers    votes.EnvelopeCount // what became of the envelopes
	lastPaper es.Position         // where an envelope was handed in last
	mandates  map[string]meeting.Mandates
	revoked   map[string]bool // mandates, by id
	summary   meeting.Summary // of what no count has: refusals of those without an entry, and what came after it
	counted   meeting.Summary // by the count
	rows      int
	turnout   votes.ScopeTotal
	results   []meeting.Result // once counted
	closed    string           // id of VotingClosed
	noticed   facts.Moment     // where NoticePosted is
	places    map[string]place // units of the roll, by code; made when the first changes hands

	id         string
	objections map[string]*objection // by id
	times      meeting.Times
	lastShare  string // id of the ShareGiven by which there were enough
}

// head is what is known of one entry's ballots.
type head struct {
	meeting.Ballots
	handed   meeting.Handed       // until it is counted
	readings []votes.PaperEntered // likewise
	granted  []votes.ProxyGranted // likewise
	voted    bool                 // in time
	since    es.Position          // where the first ballot or envelope is recorded; 0: none in time
	before   int                  // amendments of the roll before that
	amended  map[int64]int        // the same of envelopes, by time; 0 is not kept
}

// Inspect returns what decides meetings and ballots again, for one estate or,
// with "", for all.
func Inspect(estate string, rights facts.Rights) facts.Part {
	return &inspection{
		only: estate, rights: rights, units: map[string]*facts.Known[electorate.Unit]{}, estates: map[string][]string{}, meetings: map[string]*held{}, adopted: map[string]*facts.Known[meeting.Procedure]{},
		agreed: map[string]*facts.Known[meeting.Agreement]{},
	}
}

// Take implements facts.Part.
func (i *inspection) Take(c *facts.Commit) {
	switch event := c.Facts[0].Event.(type) {
	case registry.Event:
		i.unit(c, event)
	case agreements.Event:
		i.agreement(c)
	case votes.Event:
		switch {
		case strings.HasPrefix(c.Stream(), votes.MeetingStream):
			i.meeting(c, event)
		case strings.HasPrefix(c.Stream(), votes.ObjectionStream):
			i.objection(c, event)
		case strings.HasPrefix(c.Stream(), votes.ProcedureStream):
			i.procedure(c, event)
		case strings.HasPrefix(c.Stream(), votes.ProxyStream):
			i.mandate(c, event)
		default:
			i.ballot(c)
		}
	case ledger.ReactionRefused:
		if event.Reaction == releaseKey {
			i.refusal(c, event)
		}
	}
}

// unit keeps units and titles as they were at each position.
func (i *inspection) unit(c *facts.Commit, event registry.Event) {
	edit := func(id, estate string, change func(*electorate.Unit)) {
		k := i.units[id]
		if k == nil {
			k = &facts.Known[electorate.Unit]{}
			i.units[id] = k
			i.estates[estate] = append(i.estates[estate], id)
		}
		u := k.Now()
		u.ID = id
		change(&u)
		k.Set(c, u)
	}
	switch e := event.(type) {
	case registry.UnitRegistered:
		edit(e.ID, e.Estate, func(u *electorate.Unit) { u.Unit = e.Unit })
	case registry.UnitCorrected:
		edit(e.ID, e.Estate, func(u *electorate.Unit) { u.Unit = e.Unit })
	case registry.TitlesStated:
		edit(e.ID, e.Estate, func(u *electorate.Unit) { u.Titles = e.Titles })
	case registry.TitlesCorrected:
		edit(e.ID, e.Estate, func(u *electorate.Unit) { u.Titles = e.Titles })
	default: // people and tokens
	}
}

// unitsAt returns an estate's units as they were at a position, by code.
func (i *inspection) unitsAt(estate string, at es.Position) (list []electorate.Unit) {
	for _, id := range i.estates[estate] {
		if u := i.units[id].At(at); u.Code != "" {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b electorate.Unit) int { return cmp.Compare(a.Code, b.Code) })
	return list
}

// refusal checks who says that a key was not released, and of what.
func (i *inspection) refusal(c *facts.Commit, e ledger.ReactionRefused) {
	c.Names(ledger.ReactionStream, releaseKey)
	caused := slices.ContainsFunc(slices.Collect(maps.Values(i.meetings)), func(h *held) bool { return cmp.Or(h.lastShare, h.closed) == e.Cause })
	if c.Meta().Actor != reactor+releaseKey || c.Meta().Cause != "refused/"+e.Cause || !caused {
		c.Break("cause", "no closing of a meeting and no last share leads to it")
	}
}

// reactor is what the actor of a reaction's commits begins with.
const reactor = "reaction:"

// either notes where the actor was permitted neither of two actions.
func (i *inspection) either(c *facts.Commit, a, b string, r authz.Resource) {
	if i.rights.Allowed(c, b, r) != facts.Right {
		c.May(i.rights, a, r)
	}
}

var errByItself = problem.Conflict("closes-by-itself", "a live meeting is closed by the clock, its key is released by that, and neither by anyone")

func (i *inspection) meeting(c *facts.Commit, event votes.Event) {
	id := strings.TrimPrefix(c.Stream(), votes.MeetingStream)
	h := i.meetings[id]
	if h == nil {
		h = &held{
			id: id, heads: map[string]*head{}, objections: map[string]*objection{}, mandates: map[string]meeting.Mandates{}, revoked: map[string]bool{},
		}
		i.meetings[id] = h
		i.order = append(i.order, id)
	}
	m := h.Now()
	of := authz.Resource{Type: "Meeting", ID: id, Estate: m.Estate}
	imported, past := c.Meta().Past, m.Past
	var named string
	switch e := event.(type) {
	case votes.MeetingDrafted:
		named, past, of.Estate = e.Meeting, e.Past, e.Estate
		i.either(c, "meeting.call", map[bool]string{true: "papers.import", false: "meeting.call"}[imported], of)
		c.Decided(i.draft(c, m, e))
	case votes.RollFrozen:
		named = e.Meeting
		i.either(c, "roll.freeze", map[bool]string{true: "papers.import", false: "roll.freeze"}[imported], of)
		c.Decided(i.freeze(c, h, m, e))
	case votes.NoticePosted:
		named = e.Meeting
		i.either(c, "notice.post", map[bool]string{true: "papers.import", false: "notice.post"}[imported], of)
		i.notice(c, m, e)
		h.noticed = facts.Moment{At: c.Position(), Created: c.Created()}
	case votes.RollAmended:
		named = e.Meeting
		c.Decided(i.amended(c, h, m, e))
	case votes.RollObjected, votes.RollObjectionRead, votes.RollObjectionAnswered, votes.RollObjectionWithdrawn:
		named = i.rollObjection(c, h, m, of, e)
	case votes.PaperEntryCompleted:
		named = e.Meeting
		c.May(i.rights, "entry.complete", of)
		complete := meeting.CompletePaperEntry{Now: c.Meta().Happened.Add(facts.Skew), Papers: h.papers}
		if h.lastPaper > c.Meta().Seen { // it may have been handed in since
			complete.Papers = e.Papers
		}
		c.Decided(facts.Again(c, m, complete))
	case votes.VotingClosed:
		named = e.Meeting
		h.closed = c.Facts[0].ID.String()
		cause := c.Meta().Cause
		switch {
		case past:
			i.either(c, "meeting.close", "papers.import", of)
		case c.Meta().Actor != reactor+"votes_close" || cause != id+"/deadline" && cause != id+"/entry-completed":
			c.Decided(errByItself)
		}
		i.amendments(c, h, m)
		c.Decided(facts.Again(c, m, meeting.CloseVoting{Now: c.Meta().Happened.Add(facts.Skew), Paper: h.papers.Envelopes > 0}))
	case votes.TrusteesNamed, votes.ShareTaken, votes.SharesAwaited, votes.ShareGiven, votes.BallotsUnopened:
		named = i.trustees(c, h, m, of, event)
	case votes.KeyReleased:
		named = e.Meeting
		if c.Meta().Actor != reactor+releaseKey || c.Meta().Cause != cmp.Or(h.lastShare, h.closed) {
			c.Decided(errByItself)
		}
		combined(c, m, e.Key)
		c.Decided(facts.Again(c, m, meeting.ReleaseKey{Key: e.Key}))
	case votes.NoticeDisplayed:
		named = e.Meeting
		c.May(i.rights, "notice.deliver", of)
		c.Decided(facts.Again(c, m, meeting.DisplayNotice{NoticeDisplayed: e, Now: c.Latest(), Days: rulesOf(m).PublicPostingDays}))
	case votes.BallotCodesIssued:
		named = e.Meeting
		i.codes(c, h, m, of, e)
	default:
		if named = i.lifecycle(c, h, m, of, event); named == "" {
			named = id
			c.Break("wrong-stream", "no such event is in this stream")
		}
	}
	if named != id {
		c.Names(votes.MeetingStream, named)
	}
	if past && !strings.HasPrefix(c.Meta().Actor, reactor) {
		c.May(i.rights, "past.enter", of)
	}
	if !past {
		c.Present()
	}
	for _, f := range c.Facts {
		if e, ok := f.Event.(votes.Event); ok {
			m = meeting.Evolve(m, e)
			h.times = h.times.Note(m, e, f.Created)
		}
	}
	was := h.Now().Countable()
	h.Set(c, m)
	if m.Countable() && (!was || meeting.Recounts(event)) {
		i.count(c, h, m, was)
	}
	if m.IsFinal() {
		h.forget()
	}
}

// draft decides a draft by the rules of a day that is known only where the meeting
// is not of the past: of one that is, by any that ever were in force.
func (i *inspection) draft(c *facts.Commit, m meeting.Meeting, e votes.MeetingDrafted) (err error) {
	sets := i.setsOf(c, e)
	for _, at := range []es.Position{c.Position(), c.Meta().Seen} {
		places := meeting.PlacesOf(func(yield func(registry.Unit) bool) {
			for _, id := range i.estates[e.Estate] {
				if u := i.units[id].At(at); u.Code != "" && !yield(u.Unit) {
					return
				}
			}
		})
		for _, set := range sets {
			if err = facts.Again(c, m, meeting.DraftMeeting{MeetingDrafted: e, Rules: set, Places: places, Agreements: i.agreedAt(e.Motions, at)}); err == nil {
				return nil
			}
		}
	}
	return err
}

// freeze builds the roll again from the titles that it was built from.
func (i *inspection) freeze(c *facts.Commit, h *held, m meeting.Meeting, e votes.RollFrozen) error {
	if err := facts.Again(c, m, meeting.FreezeRoll{RollFrozen: e}); err != nil {
		return err
	}
	at := es.Position(e.SeenAt)
	if at >= c.Position() || slices.ContainsFunc(i.estates[m.Estate], func(id string) bool { return i.units[id].Changed(at, c.Meta().Seen) }) {
		c.Break("seen", "the roll rests on titles up to %d, and its decider had seen %d", at, c.Meta().Seen)
	}
	roll, err := meeting.BuildRoll(m.Meeting, i.unitsAt(m.Estate, at), m.Policy, m.Motions)
	if err != nil {
		return err
	}
	roll = roll.As(e.Form)
	h.places = nil
	h.entries, h.voters = roll.Public.Entries, roll.Voters
	h.heads = make(map[string]*head, len(h.entries))
	hash := meeting.Hash(roll.Blob())
	if roll.Heads != e.Heads || roll.Area != e.Area || !slices.Equal(roll.Scopes, e.Scopes) || hash != e.Roll {
		c.Break("roll-wrong", "the roll has %d heads, %s ㎡, hash %s; the titles lead to %d heads, %s ㎡, hash %s",
			e.Heads, e.Area, e.Roll, roll.Heads, roll.Area, hash)
	}
	return nil
}

// letters is the length of a meeting's id.
const letters = 36

// ballot decides what is in the stream of a head, or of someone who is none.
func (i *inspection) ballot(c *facts.Commit) {
	rest, entry := strings.TrimPrefix(c.Stream(), votes.RefusalStream), false
	if cut, ok := strings.CutPrefix(c.Stream(), votes.BallotStream); ok {
		rest, entry = cut, true
	}
	if len(rest) <= letters+1 || i.meetings[rest[:letters]] == nil {
		c.Break(meeting.ErrNoMeeting.Code, "%s", meeting.ErrNoMeeting.Detail)
		return
	}
	id, who := rest[:letters], rest[letters+1:]
	h := i.meetings[id]
	of := &head{}
	if entry {
		if of = h.heads[who]; of == nil {
			of = &head{}
			h.heads[who] = of
		}
	}
	m := h.Now()
	about := authz.Resource{Type: "Meeting", ID: id, Estate: m.Estate}
	if m.Past {
		c.May(i.rights, "past.enter", about)
	} else {
		c.Present()
	}
	c.Decided(i.cast(c, h, of, about, m, who, entry))
	papers := of.Papers
	closed, counted, amended := m.Closed, m.Countable(), len(m.Amendments)
	for _, f := range c.Facts {
		e, ok := f.Event.(votes.Event)
		if !ok {
			continue
		}
		of.Ballots = meeting.EvolveBallots(of.Ballots, e)
		switch e.(type) {
		case votes.PaperHandedIn, votes.BallotCast:
			if !closed && of.since == 0 {
				of.since, of.before = c.Position(), amended
			}
		default: // nobody has voted by it
		}
		switch e := e.(type) {
		case votes.PaperHandedIn:
			h.lastPaper = c.Position()
			of.handed.Envelopes = append(of.handed.Envelopes, e.At)
			of.handIn(e, amended)
		case votes.PaperEntered:
			of.readings = append(of.readings, e)
		case votes.ProxyGranted:
			of.granted = append(of.granted, e)
		case votes.ProxyRevoked:
			h.revoked[e.Proxy] = true
		case votes.BallotRefused:
			h.rows += len(e.Motions)
			if entry && !counted {
				of.handed.Refused = append(of.handed.Refused, e)
			} else {
				h.summary.Reject(e.Reason, len(e.Motions))
			}
		case votes.BallotCast:
			h.rows += len(e.Motions)
			switch {
			case counted:
				h.summary.Reject(votes.VotingIsClosed, len(e.Motions))
			default:
				of.handed.Taken = append(of.handed.Taken, meeting.Taken{BallotCast: e, Late: closed, Amendments: of.amendments(e, amended)})
			}
			if !closed && entry {
				h.vote(of, who)
			}
		default: // of meetings
		}
	}
	h.papers.Envelopes += of.Papers.Envelopes - papers.Envelopes
	h.papers.Cast += of.Papers.Cast - papers.Cast
	h.papers.Void += of.Papers.Void - papers.Void
	h.papers.Refused += of.Papers.Refused - papers.Refused
}

// entry returns an entry of the roll.
func (h *held) entry(number string) (votes.Entry, bool) {
	n := 0
	for _, d := range number {
		if d < '0' || d > '9' || n > len(h.entries) {
			return votes.Entry{}, false
		}
		n = 10*n + int(d-'0')
	}
	if n < 1 || n > len(h.entries) || h.entries[n-1].Entry != number {
		return votes.Entry{}, false
	}
	return h.entries[n-1], true
}

// cast decides the events of one ballot again.
func (i *inspection) cast(c *facts.Commit, h *held, of *head, about authz.Resource, m meeting.Meeting, who string, entry bool) error {
	var posted votes.Entry
	if entry {
		var ok bool
		if posted, ok = h.entry(who); !ok {
			posted, ok = m.Joined(who)
		}
		if !ok {
			return reasoned(votes.NotOnTheRoll, "the roll has no entry "+who)
		}
	}
	if way := i.atTheDesk(c, h, of, posted, about); way != nil {
		h.ask(c, of, way)
		return nil
	}
	if told, ok := i.told(c, h, posted, about); ok {
		h.ask(c, of, told)
		return nil
	}
	b := &i.asked
	var err error
	if *b, err = again(c, m); err != nil {
		return err
	}
	if b.Entry = posted; b.Ballot != c.ID() {
		c.Break("ballot-id", "the id is not made of its request")
	}
	set := rulesOf(m)
	byProxy := b.Proxy != "" && b.Channel == votes.Electronic
	if b.Partial = m.Partial(set); byProxy {
		i.byProxy(c, b, of, set, about)
	}
	ways := []func(meeting.Meeting) command{func(m meeting.Meeting) command {
		b.Meeting = m
		return b
	}}
	switch actor := c.Facts[0].About.Actor; {
	case m.Past: // whose it is the paper says, not the ledger
		if !entry {
			b.NoEntry = cmp.Or(h.voters.Of(who).Reason, votes.NotOnTheRoll)
		}
	case byProxy:
	case b.Channel == votes.Electronic:
		onRoll := h.voters.Of(actor)
		b.NoEntry = onRoll.Reason
		about.Person = actor
		c.May(i.rights, "ballot.cast", about)
		whose := h.Ask(c, func(m meeting.Meeting) bool {
			own := m.Voter(onRoll, actor).Entry
			return entry && own == who || !entry && own == "" && actor == who
		})
		if entry {
			c.Doubted(whose, reasoned(cmp.Or(onRoll.Reason, "wrong-voter"), "entry "+who+" is not the caller's"))
		} else {
			c.Hold(whose, "wrong-stream", "the caller's ballots are not in this stream")
		}
	default:
		i.either(c, "paper.enter", "paper.receive", about)
		if r, late := c.Facts[0].Event.(votes.BallotRefused); late { // perhaps its envelope was
			barred := r.Reason == votes.ProxyBarred
			if r.Proxy != "" {
				i.barred(c, of.Mandate.Holder, set, about.Estate, barred)
			}
			ways = append(ways, func(m meeting.Meeting) command {
				return meeting.HandInPaper{Ballot: b.Ballot, Channel: b.Channel, Meeting: m, Entry: posted, At: b.At, Proxy: r.Proxy, Barred: barred}
			})
		}
	}
	h.ask(c, of, ways...)
	return nil
}

type command = es.Command[meeting.Ballots, votes.Event]

// ask decides by each state that the meeting may have been in, in each of the ways
// that the events may have come about.
func (h *held) ask(c *facts.Commit, of *head, ways ...func(meeting.Meeting) command) {
	var refused error
	answer := h.Ask(c, func(m meeting.Meeting) bool {
		for _, way := range ways {
			cmd := way(m)
			err := facts.Again(c, of.Ballots, cmd)
			if err == nil {
				return true
			}
			if refused == nil {
				refused = named(c, of, cmd, err)
			}
		}
		return false
	})
	c.Doubted(answer, refused)
}

// reasoned is the reason for which a ballot is not taken, as an error.
func reasoned(reason votes.Reason, detail string) error {
	return problem.Conflict(string(reason), detail)
}

// named gives the refusal of a ballot, which is an event and no error, its name.
func named(c *facts.Commit, of *head, cmd command, err error) error {
	if _, rule := errors.AsType[*problem.Error](err); rule {
		return err
	}
	events, _ := cmd.Decide(of.Ballots)
	for _, e := range events {
		r, ok := e.(votes.BallotRefused)
		if ok && !slices.ContainsFunc(c.Facts, func(f facts.Fact) bool { return facts.Same(f.Event, r) }) {
			return reasoned(r.Reason, "by the rules, motions "+strings.Join(r.Motions, ", ")+" are refused")
		}
	}
	return err
}

// again makes the command of a ballot from its events. What a live one chose is
// sealed: any choice will do, and none for what is void.
func again(c *facts.Commit, m meeting.Meeting) (b meeting.CastBallot, err error) {
	for n, f := range c.Facts {
		switch e := f.Event.(type) {
		case votes.BallotCast:
			if n > 0 {
				return b, errors.New("what was taken of a ballot comes before what was refused")
			}
			b.Ballot, b.Channel, b.Proxy, b.At, b.Sealed, b.Choices = e.Ballot, e.Channel, e.Proxy, e.At, e.Sealed, e.Choices
			if !m.Past {
				b.Choices = approving(m, e.Motions, 1)
			}
		case votes.BallotRefused:
			if n == 0 {
				b.Ballot, b.Channel, b.Proxy, b.At = e.Ballot, e.Channel, e.Proxy, e.At
				b.Sealed = "-" // there was one, and nothing was taken of it
			}
			switch {
			case e.Reason == votes.TooManyApproved:
				b.Choices = append(slices.Clip(b.Choices), approving(m, e.Motions, math.MaxInt)...)
			case m.Past:
				b.Choices = append(slices.Clip(b.Choices), chosen(e.Motions, "")...)
			case e.Channel != votes.Electronic:
				b.Void = append(b.Void, e.Motions...)
			case e.Reason == votes.NoSuchChoice:
				b.Choices = append(b.Choices, chosen(e.Motions, "")...)
			default:
				b.Choices = append(b.Choices, approving(m, e.Motions, 1)...)
			}
		default:
			return b, errors.New("no such event is in this stream")
		}
	}
	return b, nil
}

func chosen(motions []string, choice string) []votes.Choice {
	choices := make([]votes.Choice, len(motions))
	for n, m := range motions {
		choices[n] = votes.Choice{Motion: m, Choice: choice}
	}
	return choices
}

// approving says yes to motions and, of an election, to so many candidates.
func approving(m meeting.Meeting, motions []string, candidates int) (choices []votes.Choice) {
	for _, id := range motions {
		k := slices.IndexFunc(m.Motions, func(motion votes.Motion) bool { return motion.ID == id })
		if k < 0 || m.Motions[k].Seats == 0 {
			choices = append(choices, votes.Choice{Motion: id, Choice: votes.Yes})
			continue
		}
		for n, c := range m.Motions[k].Candidates {
			if n < candidates {
				choices = append(choices, votes.Choice{Motion: id, Candidate: c.ID, Choice: votes.Yes})
			}
		}
	}
	return choices
}

// count counts a meeting by what its heads cast, opened where they were sealed. What
// was found of that is not said again of a count that is made anew.
func (i *inspection) count(c *facts.Commit, h *held, m meeting.Meeting, anew bool) {
	set, ok := rules.Named(m.Notice)
	if !ok {
		return // the notice was found to name no rules
	}
	if !anew {
		i.open(c, h, m)
	}
	counter := meeting.NewCounter(m, h.warned(m, set))
	counter.Holdings = h.holdings(m)
	for _, e := range slices.Concat(h.entries, h.joined(m)) {
		if of := h.heads[e.Entry]; of != nil {
			counter.Head(e, of.handed)
		}
	}
	for number, of := range h.heads { // of entries that the roll does not have
		if _, ok := h.entry(number); ok {
			continue
		}
		if _, ok := m.Joined(number); !ok {
			for _, r := range of.handed.Refused {
				counter.Reject(r.Reason, len(r.Motions))
			}
		}
	}
	h.results, h.counted = counter.Results(set), counter.Summary
	if m.Past {
		h.forget()
	}
}

// open opens what heads cast, and compares it with what was said of it before.
func (i *inspection) open(c *facts.Commit, h *held, m meeting.Meeting) {
	open := facts.Opener(nil)
	if !m.Past && !m.Unopened {
		var err error
		if open, err = vault.NewOpener(m.Key, vault.MeetingKey(m.Meeting)); err != nil {
			c.Break("wrong-key", "what was released is no key")
		}
	}
	closed, void := 0, 0
	for _, of := range h.heads {
		for n := range of.handed.Taken {
			t := &of.handed.Taken[n]
			t.Opened = true
			if m.Past {
				continue
			}
			t.Choices = nil
			var text []byte
			err := errors.New("no key")
			if open != nil {
				text, err = open(board.SealedField(t.Ballot), string(t.Sealed))
			}
			if err != nil || json.Unmarshal(text, &t.Choices) != nil {
				closed++
				t.Choices = nil
			} else if slices.ContainsFunc(t.Motions, func(motion string) bool { return len(t.On(motion)) == 0 }) {
				void++
			}
		}
	}
	for _, e := range slices.Concat(h.entries, h.joined(m)) {
		if of := h.heads[e.Entry]; of != nil && open != nil {
			i.compare(c, m, e, of, open)
		}
	}
	for _, of := range h.heads {
		of.readings, of.granted = nil, nil
		for n := range of.handed.Taken {
			of.handed.Taken[n].Sealed = ""
		}
	}
	if closed > 0 {
		c.Break("ballot-closed", "%d ballots do not open with the key", closed)
	}
	if void > 0 {
		c.Break(string(votes.NoSuchChoice), "%d ballots were taken on motions on which they say nothing", void)
	}
}

// forget drops what was handed in, once nobody can count it again.
func (h *held) forget() {
	for _, of := range h.heads {
		of.handed = meeting.Handed{}
	}
}

// all is what became of all ballots.
func (h *held) all() meeting.Summary {
	s := h.summary
	s.Rows, s.Accepted, s.Rejected, s.Paper = s.Rows+h.counted.Rows, h.counted.Accepted, s.Rejected+h.counted.Rejected, h.counted.Paper
	s.Reasons = maps.Clone(s.Reasons)
	if s.Reasons == nil {
		s.Reasons = map[votes.Reason]int{}
	}
	for reason, n := range h.counted.Reasons {
		s.Reasons[reason] += n
	}
	return s
}

// End implements facts.Part.
func (i *inspection) End(func(proof.Finding)) (list []facts.Unverified) {
	sealed, past := 0, 0
	for _, h := range i.meetings {
		m := h.Now()
		if m.Past {
			past++
		}
		for _, of := range h.heads {
			if !m.Countable() {
				sealed += len(of.handed.Taken)
			}
		}
	}
	if sealed > 0 {
		list = append(list, facts.Unverified{What: "what ballots say", Count: sealed, Why: "they are counted once their meeting is closed and its key is released"})
	}
	if past > 0 {
		list = append(list, facts.Unverified{What: "papers of past meetings", Count: past, Why: "whose a ballot was, and what it said, is as it was entered"})
	}
	return list
}

type motionFigure struct {
	votes.Motion
	Rule string `json:"rule"`
}

type rollFigure struct {
	Hash   string             `json:"hash"`
	Heads  int64              `json:"heads"`
	Area   units.CentiM2      `json:"area_centi_m2"`
	Scopes []votes.ScopeTotal `json:"scopes"`
}

type turnoutFigure struct {
	Heads   int64         `json:"heads"`
	Area    units.CentiM2 `json:"area_centi_m2"`
	OfHeads int64         `json:"of_heads"`
}

// Figures implements facts.Part.
func (i *inspection) Figures() (list []facts.Figure) {
	type object = map[string]any
	lists := map[string][]object{}
	if i.only != "" {
		lists[i.only] = []object{} // where there are none so far, too
	}
	for _, id := range slices.Backward(i.order) {
		h := i.meetings[id]
		m := h.Now()
		if !m.Drafted() || i.only != "" && m.Estate != i.only {
			continue
		}
		lists[m.Estate] = append(lists[m.Estate], object{"id": id, "title": m.Title, "past": m.Past})
		onRoll, before := h.onRoll(m), h.votedBefore(m, func(of *head) bool { return of.voted })
		voted := m.Turnout(h.turnout, onRoll, before)
		turnout := turnoutFigure{voted.Heads, voted.Area, m.Heads(votes.ScopeTotal{Heads: m.Roll.Heads}, onRoll, before).Heads}
		of := object{
			"id": id, "title": m.Title, "past": m.Past, "estate": m.Estate, "policy": m.Policy,
			"turnout": turnout, "paper_entry_completed": m.EntryComplete,
		}
		if m.Kind != "" {
			of["kind"] = m.Kind
		}
		if m.Convener != "" {
			of["convener"] = m.Convener
		}
		if m.EntryComplete && m.TwoPersons() {
			of["papers"] = m.Papers
		}
		if m.Frozen() {
			of["roll"] = rollFigure{m.Roll.Roll, m.Roll.Heads, m.Roll.Area, m.Roll.Scopes}
		}
		if set, ok := rules.Named(m.Notice); ok && m.Posted() {
			var motions []motionFigure
			for _, motion := range m.Motions {
				motions = append(motions, motionFigure{motion, set.Matters[motion.Matter].Threshold})
			}
			of["motions"], of["rule_set"], of["rule_hash"], of["notice_in_time"] = motions, m.Notice.RuleSet, m.Notice.RuleHash, m.NoticeInTime(set)
			of["opens"], of["closes"], of["notice_at"] = m.Notice.Opens, m.Notice.Closes, m.Notice.At
		}
		ballots := object{"rows": h.rows, "turnout": turnout}
		if m.Countable() || m.IsCancelled() {
			of["state"] = m.State(time.Time{}) // no clock has a say in it
		}
		if m.Countable() {
			all := h.all()
			ballots["rows"], ballots["accepted"], ballots["rejected"] = all.Rows, all.Accepted, all.Rejected
			if len(all.Reasons) > 0 {
				ballots["reasons"] = all.Reasons
			}
			if all.Paper != nil {
				ballots["paper"] = all.Paper
			}
			list = append(list, facts.NewFigure("/meetings/"+id+"/results", object{"items": h.results}))
		}
		if m.Closed {
			list = append(list, facts.NewFigure("/meetings/"+id+"/telling", api.NewTelling(h.telling(m))))
		}
		list = append(list, rollFigures(m)...)
		list = append(list, facts.NewFigure("/meetings/"+id, of), facts.NewFigure("/meetings/"+id+"/ballots/summary", ballots))
	}
	for _, estate := range slices.Sorted(maps.Keys(lists)) {
		list = append(list, facts.NewFigure("/estates/"+estate+"/meetings", object{"items": lists[estate]}))
	}
	return list
}
