// Package api serves votes over HTTP: meetings, rolls, ballots and results for
// everyone, and the commands of those who hold meetings and of those who vote.
package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// Actions, as the policies name them.
const (
	actCall     = "meeting.call"
	actFreeze   = "roll.freeze"
	actNotice   = "notice.post"
	actReceive  = "paper.receive"
	actEnter    = "paper.enter"
	actVoid     = "paper.void"
	actGrant    = "proxy.grant"
	actRevoke   = "proxy.revoke"
	actComplete = "entry.complete"
	actClose    = "meeting.close"
	actCast     = "ballot.cast"
	actPast     = "past.enter"
	actImport   = "papers.import"
)

// API is what the routes need.
type API struct {
	service.Deps
	Board   *board.Board
	Estates *estates.Registry
	// Calendar knows the public holidays.
	Calendar meeting.Calendar

	meetings es.Repo[meeting.Meeting, votes.Event]
	ballots  es.Repo[meeting.Ballots, votes.Event]
	refusals es.Repo[meeting.Ballots, votes.Event]
	mandates es.Repo[meeting.Mandates, votes.Event]

	procedures es.Repo[meeting.Procedure, votes.Event]
	objections es.Repo[meeting.Objection, votes.Event]
}

// Meetings is the repository of meetings.
func Meetings(d service.Deps) es.Repo[meeting.Meeting, votes.Event] {
	return es.Repo[meeting.Meeting, votes.Event]{Store: d.Store, Committer: d.Committer, Prefix: votes.MeetingStream, Codec: votes.Codec, Evolve: meeting.Evolve}
}

func ballots(d service.Deps, prefix string) es.Repo[meeting.Ballots, votes.Event] {
	return es.Repo[meeting.Ballots, votes.Event]{Store: d.Store, Committer: d.Committer, Prefix: prefix, Codec: votes.Codec, Evolve: meeting.EvolveBallots}
}

// Register adds the routes of votes.
func (a *API) Register(api huma.API) {
	a.meetings, a.ballots, a.refusals = Meetings(a.Deps), ballots(a.Deps, votes.BallotStream), ballots(a.Deps, votes.RefusalStream)

	huma.Register(api, service.Query("meetings", "/estates/{estate}/meetings", "The owners' meetings of an estate, the newest first"), a.listMeetings)
	huma.Register(api, service.Query("meeting", "/meetings/{meeting}", "A meeting with its motions, roll and turnout"), a.getMeeting)
	huma.Register(api, service.Query("meeting-results", "/meetings/{meeting}/results", "What every motion came to, with the arithmetic; once it is counted"), a.getResults)
	huma.Register(api, service.Query("meeting-ballots-summary", "/meetings/{meeting}/ballots/summary", "How many choices were handed in, and what became of them"), a.getSummary)
	huma.Register(api, service.Query("meeting-ballots", "/meetings/{meeting}/ballots", "Every ballot, by unit and area, without names; once it is counted"), a.listBallots)

	own := service.Query("own-ballots", "/me/ballots", "The caller's own ballots and what became of them")
	own.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, own, a.listOwn)

	huma.Register(api, service.Command("draft-meeting", http.MethodPost, "/estates/{estate}/meetings", "Draft a meeting"), a.draft)
	huma.Register(api, service.Command("freeze-roll", http.MethodPost, "/meetings/{meeting}/roll", "Freeze the roll, as titles stand now"), a.freeze)
	huma.Register(api, service.Command("post-notice", http.MethodPost, "/meetings/{meeting}/notice", "Post the notice"), a.notice)
	huma.Register(api, service.Command("cast-ballot", http.MethodPost, "/meetings/{meeting}/ballots", "Cast one's ballot"), a.cast)
	huma.Register(api, service.Command("close-voting", http.MethodPost, "/meetings/{meeting}/close", "Close a meeting of the past; a live one closes by itself"), a.close)
	a.registerTrustees(api)
	a.registerDeadlines(api)
	a.registerRules(api)
	a.registerPlan(api)
	a.registerDesk(api)
	a.registerProxies(api)
	a.registerPapers(api)
	a.registerLifecycle(api)
	a.registerRecount(api)
	a.registerDelivery(api)
	a.registerRoll(api)
	a.registerLetters(api)
}

// MeetingIn names a meeting.
type MeetingIn struct {
	Meeting string `path:"meeting" format:"uuid"`
}

// PageIn says which part of a list.
type PageIn struct {
	After int `query:"after" minimum:"0" doc:"number of the entry to read on from"`
	Limit int `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}

// MotionOut is a motion with the threshold that its matter calls for.
type MotionOut struct {
	votes.Motion
	Rule string `json:"rule" enum:"ordinary,special,unanimity,objection"`
}

// MeetingOut is a meeting in a list.
type MeetingOut struct {
	ID     string     `json:"id"`
	Title  string     `json:"title"`
	State  string     `json:"state" enum:"drafted,frozen,noticed,open,closing,closed,counted,posted,final,filed,withdrawn,cancelled"`
	Opens  *time.Time `json:"opens,omitempty"`
	Closes *time.Time `json:"closes,omitempty"`
	Notice *time.Time `json:"notice_at,omitempty"`
	Past   bool       `json:"past" doc:"entered from papers after it was held"`

	votes.Convened
	Planned votes.Planned `json:"planned,omitzero" doc:"before the notice: what those who call the meeting had in mind when they drafted it"`
}

// MeetingDetail is a meeting.
type MeetingDetail struct {
	Body struct {
		MeetingOut
		Estate       string       `json:"estate"`
		Policy       votes.Policy `json:"policy"`
		Motions      []MotionOut  `json:"motions"`
		Roll         *RollOut     `json:"roll,omitempty"`
		RuleSet      string       `json:"rule_set,omitempty"`
		RuleHash     string       `json:"rule_hash,omitempty"`
		NoticeInTime *bool        `json:"notice_in_time,omitempty" doc:"posted as many days before the opening as the rules ask"`
		Turnout      Turnout      `json:"turnout"`
		PaperEntry   bool         `json:"paper_entry_completed"`

		Resting []meeting.Resting `json:"resting,omitempty" doc:"before the notice: motions on a matter for which too few took part not long ago"`
		Differs []votes.Differs   `json:"differs,omitempty" doc:"what the notice says of such motions: how they are another question"`

		Papers *votes.EnvelopeCount `json:"papers,omitempty" doc:"what became of the envelopes, once their entry is complete: envelopes = cast + void + refused"`
		lookback.Bound
	}
}

// RollOut is what is posted of a frozen roll; its entries are the blob of that hash.
type RollOut struct {
	Hash   string             `json:"hash"`
	Heads  int64              `json:"heads"`
	Area   units.CentiM2      `json:"area_centi_m2"`
	Scopes []votes.ScopeTotal `json:"scopes"`
}

// Turnout is who has cast a ballot so far.
type Turnout struct {
	Heads   int64         `json:"heads"`
	Area    units.CentiM2 `json:"area_centi_m2"`
	OfHeads int64         `json:"of_heads" doc:"heads that there are: those of the roll, but for units that changed hands since"`
}

func (a *API) listMeetings(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
}) (*service.Items[MeetingOut], error) {
	if err := a.Estates.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	view, err := a.Board.MeetingsAt(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	all, err := view.Tables.Meetings(ctx, in.Estate)
	if err != nil {
		return nil, err
	}
	out := &service.Items[MeetingOut]{}
	out.Body.Items = make([]MeetingOut, len(all))
	for i, m := range all {
		out.Body.Items[i] = meetingOut(m, a.now(view))
	}
	return out, nil
}

// now is the time at which a view is looked at: of the past, that of its last event.
func (a *API) now(v lookback.View[*board.Tables]) time.Time {
	if v.Then.IsZero() {
		return a.Clock()
	}
	return v.Then
}

func meetingOut(m meeting.Meeting, now time.Time) MeetingOut {
	out := MeetingOut{ID: m.Meeting, Title: m.Title, State: m.State(now), Past: m.Past, Convened: m.Convened}
	if !m.Posted() {
		out.Planned = m.Planned
	}
	if m.Posted() {
		out.Opens, out.Closes, out.Notice = &m.Notice.Opens, &m.Notice.Closes, &m.Notice.At
	}
	return out
}

// meeting returns a meeting or the problem that there is none.
func (a *API) meeting(ctx context.Context, id string) (meeting.Meeting, error) {
	m, ok, err := a.Board.Meeting(ctx, id)
	if err == nil && !ok {
		err = meeting.ErrNoMeeting
	}
	return m, err
}

// MeetingAtIn names a meeting, now or at a position.
type MeetingAtIn struct {
	MeetingIn
	lookback.AtIn
}

// then returns a meeting as of a position, and what answers for it.
func (a *API) then(ctx context.Context, id string, at es.Position) (v lookback.View[*board.Tables], m meeting.Meeting, err error) {
	if m, err = a.meeting(ctx, id); err != nil {
		return v, m, err
	}
	if v, err = a.Board.At(ctx, m.Estate, id, at); err != nil || at == 0 {
		return v, m, err
	}
	var ok bool
	if m, ok, err = v.Tables.Meeting(ctx, id); err == nil && !ok {
		err = meeting.ErrNoMeeting
	}
	if err != nil {
		v.Release()
	}
	return v, m, err
}

func (a *API) getMeeting(ctx context.Context, in *MeetingAtIn) (*MeetingDetail, error) {
	view, m, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	set, err := a.rulesAt(ctx, m, a.now(view))
	if err != nil {
		return nil, err
	}
	out := &MeetingDetail{}
	b := &out.Body
	if !m.Posted() && !m.Past && set.Extension.RestYears > 0 {
		lapsed, err := view.Tables.Lapsed(ctx, m.Estate)
		if err != nil {
			return nil, err
		}
		b.Resting = m.Resting(set, lapsed, a.now(view))
	}
	b.Differs = m.Notice.Differs
	b.MeetingOut, b.Estate, b.Policy, b.PaperEntry = meetingOut(m, a.now(view)), m.Estate, m.Policy, m.EntryComplete
	for _, motion := range m.Motions {
		b.Motions = append(b.Motions, MotionOut{motion, set.Matters[motion.Matter].Threshold})
	}
	if m.EntryComplete && m.TwoPersons() {
		b.Papers = &m.Papers
	}
	if m.Frozen() {
		b.Roll = &RollOut{m.Roll.Roll, m.Roll.Heads, m.Roll.Area, m.Roll.Scopes}
	}
	if m.Posted() {
		inTime := m.NoticeInTime(set)
		b.RuleSet, b.RuleHash, b.NoticeInTime = m.Notice.RuleSet, m.Notice.RuleHash, &inTime
	}
	t, err := a.turnout(ctx, view, in.Meeting)
	b.Turnout, b.Bound = Turnout{t.Heads, t.Area, t.OfHeads}, lookback.Bind(a.Deps, view.Position)
	return out, err
}

// turnout asks what is kept in memory where that is of now.
func (a *API) turnout(ctx context.Context, v lookback.View[*board.Tables], id string) (board.Turnout, error) {
	if v.Tables == a.Board.Tables {
		return a.Board.Turnout(ctx, id)
	}
	return v.Tables.Turnout(ctx, id)
}

// rulesOf returns the rules a meeting is decided by: those its notice named or,
// before the notice, those in force everywhere now.
func (a *API) rulesOf(m meeting.Meeting) meeting.RuleSet {
	set, ok := rules.Named(m.Notice)
	if !ok {
		set, _ = rules.InForce(units.DayOf(a.Clock()))
	}
	return set
}

// rulesAt returns the rules a meeting is decided by or, before the notice, those that
// one of an instant would name.
func (a *API) rulesAt(ctx context.Context, m meeting.Meeting, at time.Time) (meeting.RuleSet, error) {
	if m.Posted() {
		return a.rulesOf(m), nil
	}
	set, _, err := a.inForce(ctx, m.Estate, at)
	return set, err
}

// ErrNotCounted says that a meeting's choices cannot be read yet.
var ErrNotCounted = problem.Conflict("not-counted-yet", "the meeting is not counted yet: what was chosen stays closed until then")

// counted returns a meeting whose choices may be seen.
func (a *API) counted(ctx context.Context, id string) (meeting.Meeting, error) {
	m, err := a.meeting(ctx, id)
	if err == nil && !m.Countable() {
		err = ErrNotCounted
	}
	return m, err
}

// ResultsOut is what every motion came to.
type ResultsOut struct {
	Body struct {
		Items []meeting.Result `json:"items"`
		Next  string           `json:"next,omitempty" doc:"Absent: the list is whole"`
		lookback.Bound
	}
}

func (a *API) getResults(ctx context.Context, in *MeetingAtIn) (*ResultsOut, error) {
	view, m, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	if !m.Countable() {
		return nil, ErrNotCounted
	}
	out := &ResultsOut{}
	out.Body.Bound = lookback.Bind(a.Deps, view.Position)
	out.Body.Items, err = view.Tables.Results(ctx, in.Meeting)
	return out, err
}

// SummaryOut says what became of all ballots: before the count only how many
// rows there are and who has voted.
type SummaryOut struct {
	Body struct {
		Rows     int                  `json:"rows" doc:"one for each choice on a motion"`
		Accepted *int                 `json:"accepted,omitempty"`
		Rejected *int                 `json:"rejected,omitempty"`
		Reasons  map[votes.Reason]int `json:"reasons,omitzero" required:"false"`
		Paper    *meeting.PaperCount  `json:"paper,omitempty"`
		Turnout  Turnout              `json:"turnout"`
		lookback.Bound
	}
}

func (a *API) getSummary(ctx context.Context, in *MeetingAtIn) (*SummaryOut, error) {
	view, m, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	out := &SummaryOut{}
	out.Body.Bound = lookback.Bind(a.Deps, view.Position)
	t, err := a.turnout(ctx, view, in.Meeting)
	if err != nil {
		return nil, err
	}
	out.Body.Turnout = Turnout{t.Heads, t.Area, t.OfHeads}
	if !m.Countable() {
		out.Body.Rows, err = view.Tables.Rows(ctx, in.Meeting)
		return out, err
	}
	s, err := view.Tables.Summary(ctx, in.Meeting)
	out.Body.Rows, out.Body.Accepted, out.Body.Rejected, out.Body.Reasons = s.Rows, &s.Accepted, &s.Rejected, s.Reasons
	out.Body.Paper = s.Paper
	return out, err
}

// SettledChoice is what a ballot says on a motion, and why it does not count.
type SettledChoice struct {
	votes.Choice
	Reason votes.Reason `json:"reason,omitempty" doc:"why it does not count; none where it does"`
}

// PostedBallot is a ballot of an open vote.
type PostedBallot struct {
	Ballot  string          `json:"ballot,omitempty" doc:"its id"`
	Entry   string          `json:"entry,omitempty"`
	Units   []string        `json:"units,omitempty"`
	Area    units.CentiM2   `json:"area_centi_m2,omitempty"`
	Channel string          `json:"channel"`
	At      time.Time       `json:"at" doc:"received, or handed in on paper"`
	Choices []SettledChoice `json:"choices" doc:"what it says on each motion; of a refused ballot only which motions"`
	Reason  votes.Reason    `json:"reason,omitempty" doc:"why none of it counts, where it was refused"`
}

func (a *API) listBallots(ctx context.Context, in *struct {
	MeetingIn
	PageIn
}) (*service.Items[PostedBallot], error) {
	m, err := a.counted(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &service.Items[PostedBallot]{}
	out.Body.Items = []PostedBallot{}
	voted, err := a.Board.EntriesWithBallots(ctx, in.Meeting, in.After, in.Limit+1) // one more tells whether there is another page
	if err != nil {
		return nil, err
	}
	if len(voted) > in.Limit {
		voted = voted[:in.Limit]
		out.Body.Next = strconv.Itoa(voted[in.Limit-1])
	}
	first, last := in.After+1, in.After
	if in.After == 0 {
		first = 0 // the first page has those without an entry, too
	}
	if len(voted) > 0 {
		last = voted[len(voted)-1]
	}
	entries, err := a.Board.Roll(ctx, in.Meeting, in.After, last-in.After)
	if err != nil {
		return nil, err
	}
	byNumber := map[string]votes.Entry{}
	for _, e := range entries {
		byNumber[e.Entry] = e
	}
	list, err := a.Board.Ballots(ctx, m, first, last)
	for _, b := range list {
		if e, ok := m.Joined(b.Entry); ok {
			e.Area = m.Holds(e, votes.Motion{Scope: meeting.Estate})
			byNumber[b.Entry] = e
		}
		p := PostedBallot{Ballot: b.Ballot, Entry: b.Entry, Units: byNumber[b.Entry].Units, Area: byNumber[b.Entry].Area}
		p.Channel, p.At, p.Choices, p.Reason = shown(b)
		out.Body.Items = append(out.Body.Items, p)
	}
	return out, err
}

func shown(b board.Ballot) (channel string, at time.Time, list []SettledChoice, reason votes.Reason) {
	list = []SettledChoice{}
	if r := b.Refused; r != nil {
		for _, m := range r.Motions {
			list = append(list, SettledChoice{votes.Choice{Motion: m}, r.Reason})
		}
		return r.Channel, r.At, list, r.Reason
	}
	for i, m := range b.Taken.Motions {
		said := b.Taken.On(m)
		if len(said) == 0 {
			said = []votes.Choice{{Motion: m}}
		}
		for _, c := range said {
			list = append(list, SettledChoice{c, b.Reasons[i]})
		}
	}
	return b.Taken.Channel, b.Taken.At, list, ""
}

// OwnBallot is a ballot of the caller, with where it stands in the ledger.
type OwnBallot struct {
	Meeting  string          `json:"meeting"`
	Title    string          `json:"title"`
	Ballot   string          `json:"ballot"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	Position es.Position     `json:"position"`
	Entry    string          `json:"entry,omitempty"`
	Channel  string          `json:"channel"`
	At       time.Time       `json:"at"`
	Motions  []string        `json:"motions"`
	Choices  []SettledChoice `json:"choices" doc:"what it says stays closed to everyone until the meeting is counted"`
	Reason   votes.Reason    `json:"reason,omitempty" doc:"why it was refused"`
}

func (a *API) listOwn(ctx context.Context, _ *struct{}) (*service.Items[OwnBallot], error) {
	only := service.CallerFrom(ctx).Principal.Meeting
	person, err := balloter(ctx, only)
	if err != nil {
		return nil, err
	}
	list, of, err := a.Board.Own(ctx, person)
	if err != nil {
		return nil, err
	}
	out := &service.Items[OwnBallot]{}
	out.Body.Items = make([]OwnBallot, 0, len(list))
	for i, b := range list {
		if only != "" && of[i].Meeting != only {
			continue
		}
		o := OwnBallot{Meeting: of[i].Meeting, Title: of[i].Title, Ballot: b.Ballot, Stream: b.Stream, Revision: b.Revision, Position: b.Position, Entry: b.Entry, Motions: []string{}}
		o.Channel, o.At, o.Choices, o.Reason = shown(b)
		for _, c := range o.Choices {
			if !slices.Contains(o.Motions, c.Motion) { // of an election there are several
				o.Motions = append(o.Motions, c.Motion)
			}
		}
		out.Body.Items = append(out.Body.Items, o)
	}
	return out, nil
}

// balloter returns the person who votes in a meeting: who asks, or whose code of
// it was given in.
func balloter(ctx context.Context, meeting string) (string, error) {
	if c := service.CallerFrom(ctx); meeting != "" && c.Principal.Meeting == meeting {
		return c.ID, nil
	}
	return voter(ctx)
}

// voter returns the person who asks. A program is nobody's vote.
func voter(ctx context.Context) (string, error) {
	c := service.CallerFrom(ctx)
	switch {
	case c.Anonymous:
		return "", problem.Unauthorized("login-needed", "log in to see and cast your own ballots")
	case c.Principal.Meeting != "":
		return "", problem.Forbidden("code-for-one-ballot", "a voting code opens the ballot of its meeting and nothing else")
	case c.Person == "":
		return "", problem.Forbidden("not-a-person", "a program does not vote")
	}
	return c.Person, nil
}

func estateResource(id string) authz.Resource {
	return authz.Resource{Type: "Estate", ID: id, Estate: id}
}

func resource(m meeting.Meeting) authz.Resource {
	return authz.Resource{Type: "Meeting", ID: m.Meeting, Estate: m.Estate}
}

// newID names what a command creates: made of the commit id, which nobody can guess.
func newID(req es.Request) string { return uuid.NewSHA1(req.Commit, []byte("id")).String() }
