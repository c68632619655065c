package api

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// registerDesk adds the routes of the desk where paper is taken in, and where two
// persons enter what it says.
func (a *API) registerDesk(api huma.API) {
	list := service.Query("meeting-papers", "/meetings/{meeting}/papers", "The envelopes that wait to be entered, for those who enter them; never what they say")
	list.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, list, a.listPapers)
	huma.Register(api, service.Command("hand-in-paper", http.MethodPost, "/meetings/{meeting}/papers", "Record an envelope with a paper ballot before it is opened, or a hand shown in the meeting"), a.handIn)
	huma.Register(api, service.Command("enter-paper-ballot", http.MethodPost, "/meetings/{meeting}/paper-ballots", "Enter what an envelope's ballot says: once, and a second time by another person who does not know the first"), a.enterPaper)
	huma.Register(api, service.Command("void-paper-ballot", http.MethodPost, "/meetings/{meeting}/paper-ballots/void", "Void a paper that three persons read differently, by decision of the committee"), a.voidPaper)
	huma.Register(api, service.Command("complete-paper-entry", http.MethodPost, "/meetings/{meeting}/entry-completed", "Declare that every envelope was opened and entered"), a.completeEntry)
}

// EnvelopeOut is an envelope that waits.
type EnvelopeOut struct {
	Envelope string    `json:"envelope"`
	Entry    string    `json:"entry"`
	Units    []string  `json:"units"`
	Motions  []string  `json:"motions" doc:"on which this entry votes"`
	Channel  string    `json:"channel" enum:"纸质,会议"`
	At       time.Time `json:"at" doc:"handed in, or shown"`
	Readings int       `json:"readings" doc:"persons who have entered it"`
	ByYou    bool      `json:"by_you" doc:"you are one of them"`
	Disputed []string  `json:"disputed,omitempty" doc:"motions on which they differ"`
}

// PapersOut is the desk of a meeting.
type PapersOut struct {
	Body struct {
		Items   []EnvelopeOut       `json:"items" doc:"that wait, by entry"`
		Next    string              `json:"next,omitempty" doc:"Absent: the list is whole"`
		Papers  votes.EnvelopeCount `json:"papers" doc:"all that were handed in, and what became of those that do not wait"`
		Waiting int                 `json:"waiting"`
	}
}

func (a *API) listPapers(ctx context.Context, in *struct {
	MeetingIn
	PageIn
}) (*PapersOut, error) {
	box, err := a.box(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	if a.Allow(ctx, actVoid, resource(box.Meeting)) != nil {
		if err := a.Allow(ctx, actEnter, resource(box.Meeting)); err != nil {
			return nil, err
		}
	}
	papers, err := a.Board.Papers(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &PapersOut{}
	out.Body.Items, out.Body.Papers, out.Body.Waiting = []EnvelopeOut{}, papers.EnvelopeCount, len(papers.Waiting)
	who := service.CallerFrom(ctx).Person
	for i, w := range papers.Waiting {
		if w.Entry <= in.After {
			continue
		}
		// A page ends between two entries.
		if n := len(out.Body.Items); n >= in.Limit && papers.Waiting[i-1].Entry != w.Entry {
			out.Body.Next = strconv.Itoa(papers.Waiting[i-1].Entry)
			break
		}
		posted, err := a.posted(ctx, in.Meeting, w.Entry)
		if err != nil {
			return nil, err
		}
		e := EnvelopeOut{
			Envelope: w.ID, Entry: posted.Entry, Units: posted.Units, Motions: box.Concerning(posted),
			Channel: w.Channel, At: w.At, Readings: len(w.Readings), ByYou: w.ReadBy(who),
		}
		if w.Disputed() {
			e.Disputed = meeting.Differences(w.Readings)
		}
		out.Body.Items = append(out.Body.Items, e)
	}
	return out, nil
}

// posted returns an entry as the roll has it, with its units.
func (a *API) posted(ctx context.Context, id string, number int) (votes.Entry, error) {
	list, err := a.Board.Roll(ctx, id, number-1, 1)
	if err != nil || len(list) == 0 {
		return votes.Entry{}, err
	}
	return list[0], nil
}

// Envelope is a paper ballot that was handed in.
type Envelope struct {
	Entry   string    `json:"entry,omitempty" maxLength:"20" doc:"of the roll"`
	Unit    string    `json:"unit,omitempty" maxLength:"60" doc:"or a unit that it votes for"`
	Channel string    `json:"channel,omitempty" enum:"纸质,会议" doc:"会议: a hand shown in the meeting, as the list of names has it; left out: 纸质"`
	ByProxy bool      `json:"by_proxy,omitempty" doc:"The holder of the owner's mandate hands it in, who showed it"`
	At      time.Time `json:"at,omitzero" required:"false" doc:"not to be stated: the ledger's clock says when"`
}

func (a *API) handIn(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Envelope
}) (*service.Recorded, error) {
	number, err := a.entryNumber(ctx, in.Meeting, in.Body.Entry, in.Body.Unit)
	if err != nil {
		return nil, err
	}
	box, entry, err := a.paper(ctx, in.Meeting, number, actReceive)
	if err != nil {
		return nil, err
	}
	if !in.Body.At.IsZero() {
		return nil, meeting.ErrStatedTime
	}
	req := service.NewRequest(ctx, a.Deps, "hand-in-paper", in.CommandIn, in.Body)
	id := newID(req)
	handed := meeting.HandInPaper{Ballot: id, Channel: in.Body.Channel, Meeting: box.Meeting, Entry: entry, At: req.Happened}
	if in.Body.ByProxy {
		state, _, err := a.ballots.Load(ctx, in.Meeting+"-"+entry.Entry)
		if err != nil {
			return nil, err
		}
		if state.Mandate.Proxy == "" {
			return nil, meeting.ErrNoMandate
		}
		handed.Proxy, handed.Barred = state.Mandate.Proxy, a.barred(state.Mandate.Holder, box.Estate, a.rulesOf(box.Meeting))
	}
	d := a.record(ctx, req, entry.Entry, in.Meeting, "", handed)
	if err := conflict(d.Events); err != nil {
		return nil, err
	}
	return service.Respond(id, d.Done, d.err)
}

// entryNumber is the entry that is named or, by a unit, meant.
func (a *API) entryNumber(ctx context.Context, id, entry, unit string) (string, error) {
	if entry != "" || unit == "" {
		return entry, nil
	}
	entry, err := a.Board.EntryOf(ctx, id, unit)
	if err == nil && entry == "" {
		err = problem.Invalid("no-such-entry", "nobody on the roll votes for this unit", problem.Field{Name: "unit", Code: "unknown", Detail: "is on no entry of the roll"})
	}
	return entry, err
}

// paper returns the entry whose paper a clerk has in hand.
func (a *API) paper(ctx context.Context, id, number, action string) (*board.Box, votes.Entry, error) {
	box, err := a.box(ctx, id)
	if err != nil {
		return nil, votes.Entry{}, err
	}
	if err := a.Allow(ctx, action, resource(box.Meeting)); err != nil {
		return nil, votes.Entry{}, err
	}
	entry, err := entryOf(box, number)
	return box, entry, err
}

// Reading is what one person reads on a paper.
type Reading struct {
	Entry    string         `json:"entry" minLength:"1" maxLength:"20"`
	Envelope string         `json:"envelope,omitempty" maxLength:"60" doc:"its id; left out: the first of this entry that waits"`
	Scan     string         `json:"scan,omitempty" maxLength:"64" doc:"SHA-256 of the scan, in hex; who reads first must state it, and who reads later may not have another"`
	Choices  []votes.Choice `json:"choices,omitempty" maxItems:"100" doc:"what it says; a motion or choice that does not exist is refused and the envelope waits"`
	Void     []string       `json:"void,omitempty" maxItems:"100" doc:"motions on which the paper says nothing that counts (废票): spoilt, or blank"`
}

// ReadingOut says what became of an envelope by a reading.
type ReadingOut struct {
	Status   int
	Position string `header:"Yimu-Position" doc:"Where it was recorded; send it with the next request to read what was written"`
	Location string `header:"Location" doc:"Where to ask what became of it (202)"`
	Body     struct {
		BallotBody
		Became   string   `json:"became,omitempty" enum:"waiting,settled,disputed" doc:"of the envelope. waiting: another person must read it; settled: two read the same; disputed: none did"`
		Disputed []string `json:"disputed,omitempty" doc:"motions on which the readings differ"`
	}
}

func (a *API) enterPaper(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Reading
}) (*ReadingOut, error) {
	box, entry, err := a.paper(ctx, in.Meeting, in.Body.Entry, actEnter)
	if err != nil {
		return nil, err
	}
	by := service.CallerFrom(ctx).Person
	if by == "" {
		return nil, problem.Forbidden("not-a-person", "a program reads no paper: two persons do")
	}
	own, err := a.isOwn(ctx, box, entry.Entry, by)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "enter-paper-ballot", in.CommandIn, in.Body)
	envelope, err := a.envelope(ctx, in.Meeting, entry.Entry, in.Body.Envelope)
	if err != nil {
		return nil, err
	}
	if in.Body.Envelope == "" {
		in.Body.Envelope = envelope.ID
	}
	var against []string
	if mandate := envelope.Mandate; mandate.Proxy != "" {
		against = meeting.Otherwise(mandate, a.marks(box, entry, mandate.Proxy, in.Body.Choices, in.Body.Void))
	}
	sealed, err := a.seal(ctx, box, in.Body.Envelope, in.Body.Choices, onNotice(box, in.Body.Void)...)
	if err != nil {
		return nil, err
	}
	d := a.record(ctx, req, entry.Entry, in.Meeting, "", meeting.EnterPaper{
		Meeting: box.Meeting, Partial: box.Partial(a.rulesOf(box.Meeting)), Entry: entry, Envelope: in.Body.Envelope, By: by, Own: own,
		Scan: in.Body.Scan, Choices: in.Body.Choices, Void: in.Body.Void,
		Marks: a.marks(box, entry, in.Body.Envelope, in.Body.Choices, in.Body.Void), Sealed: codec.Sealed(sealed), Against: against,
	})
	answer, err := d.answer(in.Body.Envelope)
	if err != nil {
		return nil, err
	}
	out := &ReadingOut{Status: answer.Status, Position: answer.Position, Location: answer.Location}
	out.Body.BallotBody = answer.Body
	for _, event := range d.Events {
		switch e := event.(type) {
		case votes.PaperEntered:
			out.Body.Became = "waiting"
		case votes.PaperDisputed:
			out.Body.Became, out.Body.Disputed = "disputed", e.Motions
		default: // a ballot, or its refusal
			out.Body.Became = "settled"
		}
	}
	return out, nil
}

// envelope returns an envelope of an entry that waits, or the first that does; none
// where there is no such, which the command refuses, unless it is the repeat of one.
func (a *API) envelope(ctx context.Context, id, entry, envelope string) (meeting.Envelope, error) {
	state, _, err := a.ballots.Load(ctx, id+"-"+entry)
	for _, e := range state.Envelopes {
		if envelope == "" || e.ID == envelope {
			return e, err
		}
	}
	return meeting.Envelope{}, err
}

// onNotice leaves out what is no motion, or named twice: what is sealed has one
// length, and the command says what is wrong.
func onNotice(box *board.Box, motions []string) (known []string) {
	for _, m := range box.Motions {
		if slices.Contains(motions, m.ID) {
			known = append(known, m.ID)
		}
	}
	return known
}

// isOwn says whether a person votes as an entry, or holds a title to a unit of it.
func (a *API) isOwn(ctx context.Context, box *board.Box, number, person string) (bool, error) {
	entry, reason := box.Of(person)
	if entry.Entry == number || reason == votes.NotOnTheRoll {
		return entry.Entry == number, nil
	}
	n, err := strconv.Atoi(number)
	if err != nil {
		return false, err
	}
	posted, err := a.posted(ctx, box.Meeting.Meeting, n)
	if err != nil {
		return false, err
	}
	for _, code := range posted.Units {
		titles, err := a.Board.Titles(ctx, box.Estate, code)
		if err != nil || slices.ContainsFunc(titles, func(t registry.Title) bool { return t.Person == person }) {
			return err == nil, err
		}
	}
	return false, nil
}

// marks stand for what is said on each motion that concerns an entry, in an
// envelope or by a mandate. Nobody without the vault's key can tell from a mark
// what is said, few as the choices are.
func (a *API) marks(box *board.Box, entry votes.Entry, of string, choices []votes.Choice, void []string) (marks []votes.Mark) {
	const bytes = 16
	for _, s := range box.Said(entry, choices, void) {
		sum := a.Vault.HMAC("mark", box.Meeting.Meeting, of, s.Motion, s.Words)
		marks = append(marks, votes.Mark{Motion: s.Motion, Mark: hex.EncodeToString(sum[:bytes])})
	}
	return marks
}

func (a *API) voidPaper(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Entry    string `json:"entry" minLength:"1" maxLength:"20"`
		Envelope string `json:"envelope" minLength:"1" maxLength:"60"`
		Minutes  string `json:"minutes" maxLength:"64" doc:"SHA-256 of the record of the committee's decision, in hex"`
	}
}) (*BallotOut, error) {
	box, entry, err := a.paper(ctx, in.Meeting, in.Body.Entry, actVoid)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "void-paper-ballot", in.CommandIn, in.Body)
	return a.record(ctx, req, entry.Entry, in.Meeting, "", meeting.VoidPaper{
		Meeting: box.Meeting, Entry: entry, Envelope: in.Body.Envelope, Minutes: in.Body.Minutes,
	}).answer(in.Body.Envelope)
}

func (a *API) completeEntry(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
}) (*service.Recorded, error) {
	if _, err := a.prepare(ctx, in.Meeting, actComplete); err != nil {
		return nil, err
	}
	papers, err := a.Board.CurrentPapers(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	d, err := a.meetings.Do(ctx, in.Meeting, service.NewRequest(ctx, a.Deps, "complete-paper-entry", in.CommandIn, nil),
		meeting.CompletePaperEntry{Now: a.Clock(), Papers: papers.EnvelopeCount})
	return service.Respond(in.Meeting, d, err)
}
