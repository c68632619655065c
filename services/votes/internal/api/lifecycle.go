package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// Actions of the lifecycle, as the policies name them.
const (
	actCancel   = "meeting.cancel"
	actExtend   = "voting.extend"
	actPost     = "result.post"
	actWithdraw = "result.withdraw"
	actDeclare  = "result.declare"
	actFile     = "result.file"
	actObject   = "result.object"
	actRead     = "objection.read"
	actAnswer   = "objection.answer"
)

// wordsSize is the length to which an objection is padded before it is sealed, in
// bytes: 1000 characters of Chinese have 3000.
const wordsSize = 4 << 10

// wordsField is the vault's name of them.
const wordsField = "words"

func objections(d service.Deps) es.Repo[meeting.Objection, votes.Event] {
	return es.Repo[meeting.Objection, votes.Event]{Store: d.Store, Committer: d.Committer, Prefix: votes.ObjectionStream, Codec: votes.Codec, Evolve: meeting.EvolveObjection}
}

// registerLifecycle adds the routes of what happens beside and after the vote.
func (a *API) registerLifecycle(api huma.API) {
	a.objections = objections(a.Deps)
	command := func(id, path, summary string) huma.Operation {
		return service.Command(id, http.MethodPost, "/meetings/{meeting}"+path, summary)
	}
	huma.Register(api, service.Query("meeting-timeline", "/meetings/{meeting}/timeline", "What happened to a meeting, and when"), a.timeline)
	pdf := service.Query("meeting-result-pdf", "/meetings/{meeting}/result.pdf", "The result as it is posted on paper, once it is counted")
	pdf.Responses = map[string]*huma.Response{"200": {Description: "A PDF", Content: map[string]*huma.MediaType{"application/pdf": {}}}}
	huma.Register(api, pdf, a.resultPDF)
	huma.Register(api, service.Query("meeting-objections", "/meetings/{meeting}/objections", "The objections to a meeting's results, with their answers; the owners' own words are sealed"), a.listObjections)
	huma.Register(api, command("cancel-meeting", "/cancellation", "Cancel a meeting before its deadline, or withdraw a draft"), a.cancel)
	huma.Register(api, command("extend-voting", "/extension", "Extend voting before its deadline, where too few have taken part and the rules allow it"), a.extend)
	huma.Register(api, command("post-result", "/posting", "Say that the result hangs on the notice board of the estate"), a.postResult)
	huma.Register(api, command("withdraw-result", "/withdrawal", "Take a posted result back, and say why"), a.withdraw)
	huma.Register(api, command("declare-result-final", "/final", "Declare the result final, once nobody may object any more and every objection is answered"), a.declareFinal)
	huma.Register(api, command("file-result", "/filing", "State the number under which the street office has the result on file"), a.file)
	huma.Register(api, command("object-to-result", "/objections", "Object to the posted result, as an owner on the roll"), a.object)
	huma.Register(api, command("answer-objection", "/objections/{objection}/answer", "Answer an objection, for everyone to read"), a.answerObjection)
	words := service.Query("objection-words", "/meetings/{meeting}/objections/{objection}/words", "The owner's own words; reading them is recorded")
	words.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, words, a.objectionWords)
}

// do runs a command of a meeting for its caller. how makes it of the moment.
func (a *API) do(ctx context.Context, id, route, action string, in service.CommandIn, content any, how func(m meeting.Meeting, now time.Time) (es.Command[meeting.Meeting, votes.Event], error)) (*service.Recorded, error) {
	m, err := a.prepare(ctx, id, action)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, route, in, content)
	cmd, err := how(m, req.Happened)
	if err != nil {
		return nil, err
	}
	done, err := a.meetings.Do(ctx, id, req, cmd)
	return service.Respond(id, done, err)
}

type command = es.Command[meeting.Meeting, votes.Event]

func (a *API) cancel(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; everyone can read it for ever, so it names nobody"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Meeting, "cancel-meeting", actCancel, in.CommandIn, in.Body, func(_ meeting.Meeting, now time.Time) (command, error) {
		return meeting.CancelMeeting{At: now, Reason: in.Body.Reason}, nil
	})
}

func (a *API) extend(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Closes time.Time `json:"closes" doc:"The new deadline; a ballot at this instant is late"`
	}
}) (*service.Recorded, error) {
	done, err := a.do(ctx, in.Meeting, "extend-voting", actExtend, in.CommandIn, in.Body, func(m meeting.Meeting, now time.Time) (command, error) {
		cmd := meeting.NewExtension(a.rulesOf(m), m)
		cmd.At, cmd.Closes = now, in.Body.Closes
		var err error
		cmd.All, cmd.Turnout, err = a.Board.CurrentTurnout(ctx, m)
		return cmd, err
	})
	if err != nil {
		return nil, err
	}
	return done, a.Vault.ExtendBallotCodes(ctx, in.Meeting, in.Body.Closes) // an error is answered, and repeating mends it
}

func (a *API) postResult(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Photo string `json:"photo,omitempty" pattern:"^[0-9a-f]{64}$" doc:"SHA-256 of the photo of the notice board, which the committee keeps"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Meeting, "post-result", actPost, in.CommandIn, in.Body, func(m meeting.Meeting, now time.Time) (command, error) {
		cmd := meeting.PostResult{At: now, Photo: in.Body.Photo, Until: a.rulesOf(m).ObjectionsUntil(now, a.Calendar)}
		if !m.Countable() {
			return cmd, nil // and is refused
		}
		results, err := a.Board.Results(ctx, in.Meeting)
		if err != nil {
			return nil, err
		}
		blob, hash := m.Blob(results)
		cmd.Result = hash
		_, err = a.Blobs.Put(ctx, blob)
		return cmd, err
	})
}

func (a *API) withdraw(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Reason    string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; everyone can read it for ever, so it names nobody"`
		Objection string `json:"objection,omitempty" format:"uuid" doc:"The objection that was upheld, where one led to it"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Meeting, "withdraw-result", actWithdraw, in.CommandIn, in.Body, func(m meeting.Meeting, now time.Time) (command, error) {
		cmd := meeting.WithdrawResult{At: now, Reason: in.Body.Reason, Objection: in.Body.Objection}
		if cmd.Objection == "" {
			return cmd, nil
		}
		o, _, err := a.objections.Load(ctx, in.Meeting+"-"+cmd.Objection)
		cmd.Upheld = o.Answer.Upheld && o.Against(m)
		return cmd, err
	})
}

func (a *API) declareFinal(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
}) (*service.Recorded, error) {
	return a.do(ctx, in.Meeting, "declare-result-final", actDeclare, in.CommandIn, nil, func(m meeting.Meeting, now time.Time) (command, error) {
		list, err := a.Board.CurrentObjections(ctx, in.Meeting)
		if err != nil {
			return nil, err
		}
		cmd := meeting.DeclareFinal{At: now}
		cmd.Open, cmd.Upheld = meeting.Pending(m, list)
		cmd.Results, err = a.postedResults(ctx, m)
		return cmd, err
	})
}

func (a *API) file(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Reference string `json:"reference" minLength:"1" maxLength:"100" doc:"The street office's number, as on its paper"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Meeting, "file-result", actFile, in.CommandIn, in.Body, func(_ meeting.Meeting, now time.Time) (command, error) {
		return meeting.FileResult{At: now, Reference: in.Body.Reference}, nil
	})
}

// ObjectionOut is an objection without the owner's words.
type ObjectionOut struct {
	ID       string     `json:"id"`
	Posting  int        `json:"posting" doc:"What it is said against: 1 is the result as it was posted first"`
	Entry    string     `json:"entry" doc:"of the roll"`
	Motion   string     `json:"motion,omitempty" doc:"absent: the whole result"`
	At       time.Time  `json:"at"`
	Answered *time.Time `json:"answered_at,omitempty"`
	Upheld   bool       `json:"upheld"`
	Answer   string     `json:"answer,omitempty"`
}

func (a *API) listObjections(ctx context.Context, in *MeetingAtIn) (*service.Items[ObjectionOut], error) {
	view, _, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	list, err := view.Tables.Objections(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &service.Items[ObjectionOut]{}
	out.Body.Items = make([]ObjectionOut, len(list))
	for i, o := range list {
		out.Body.Items[i] = objectionOut(o)
	}
	return out, nil
}

func objectionOut(o meeting.Objection) ObjectionOut {
	out := ObjectionOut{ID: o.Objection, Posting: o.Posting, Entry: o.Entry, Motion: o.Motion, At: o.At}
	if o.Answered() {
		out.Answered, out.Upheld, out.Answer = &o.Answer.At, o.Answer.Upheld, o.Answer.Answer
	}
	return out
}

func (a *API) object(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Motion string `json:"motion,omitempty" maxLength:"40" doc:"What it is about; absent: the whole result"`
		Words  string `json:"words" minLength:"1" maxLength:"1000" doc:"In your own words; sealed, for those who must answer"`
	}
}) (*service.Recorded, error) {
	box, err := a.box(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	who := service.CallerFrom(ctx)
	if err := a.Allow(ctx, actObject, authz.Resource{Type: "Meeting", ID: in.Meeting, Estate: box.Estate, Person: who.Person}); err != nil {
		return nil, err
	}
	person, err := voter(ctx)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "object-to-result", in.CommandIn, in.Body)
	id := newID(req)
	entry, _ := box.Of(person)
	sealed, err := a.Vault.Seal(ctx, vault.PersonKey(person), wordsField, []byte(in.Body.Words), wordsSize)
	if err != nil {
		return nil, err
	}
	done, err := a.objections.Do(ctx, in.Meeting+"-"+id, req, meeting.ObjectToResult{
		Objection: id, Person: person, Meeting: box.Meeting,
		Entry: entry.Entry, Motion: in.Body.Motion, At: req.Happened, Words: codec.Sealed(sealed),
	})
	return service.Respond(id, done, err)
}

// ObjectionIn names an objection of a meeting.
type ObjectionIn struct {
	MeetingIn
	Objection string `path:"objection" format:"uuid"`
}

func (a *API) answerObjection(ctx context.Context, in *struct {
	service.CommandIn
	ObjectionIn
	Body struct {
		Upheld bool   `json:"upheld" doc:"The objection is right: the result is to be withdrawn and corrected"`
		Answer string `json:"answer" minLength:"1" maxLength:"1000" doc:"Everyone can read it for ever, so it names nobody"`
	}
}) (*service.Recorded, error) {
	if _, err := a.prepare(ctx, in.Meeting, actAnswer); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "answer-objection", in.CommandIn, in.Body)
	done, err := a.objections.Do(ctx, in.Meeting+"-"+in.Objection, req, meeting.AnswerObjection{At: req.Happened, Upheld: in.Body.Upheld, Answer: in.Body.Answer})
	return service.Respond(in.Objection, done, err)
}

// ObjectionWords is what an owner says against a result.
type ObjectionWords struct {
	Body struct {
		Words  string `json:"words"`
		Erased bool   `json:"erased,omitempty" doc:"The owner's key was destroyed: nobody can read them any more"`
	}
}

func (a *API) objectionWords(ctx context.Context, in *ObjectionIn) (*ObjectionWords, error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	id := in.Meeting + "-" + in.Objection
	o, _, err := a.objections.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, actRead, authz.Resource{Type: "Meeting", ID: in.Meeting, Estate: m.Estate, Person: o.Person}); err != nil {
		return nil, err
	}
	err = a.recordReading(ctx, "read-objection", in.Objection, func(req es.Request, reader string) error {
		_, err := a.objections.Do(ctx, id, req, meeting.ReadObjection{Reader: reader, At: req.Happened})
		return err
	})
	if err != nil {
		return nil, err
	}
	return a.openWords(ctx, o.Person, o.Words)
}

// recordReading records that the caller reads the words of an objection: each
// reading, so its key is of this instant. Only after that they are shown.
func (a *API) recordReading(ctx context.Context, route, objection string, record func(req es.Request, reader string) error) error {
	reader := service.CallerFrom(ctx).ID
	req := service.NewRequest(ctx, a.Deps, route, service.CommandIn{IdempotencyKey: reader + a.Clock().UTC().Format(time.RFC3339Nano)}, objection)
	err := record(req, reader)
	if errors.Is(err, es.ErrPending) {
		err = problem.Unavailable("reading-not-recorded", "words are shown once their reading is recorded; ask again")
	}
	return err
}

// openWords opens what a person said, or says that nobody can any more.
func (a *API) openWords(ctx context.Context, person string, words codec.Sealed) (*ObjectionWords, error) {
	out := &ObjectionWords{}
	text, err := a.Vault.Open(ctx, vault.PersonKey(person), wordsField, string(words))
	if errors.Is(err, vault.ErrNoKey) {
		out.Body.Erased = true
		return out, nil
	}
	out.Body.Words = string(text)
	return out, err
}

// StepOut is when something happened to a meeting.
type StepOut struct {
	Event    string    `json:"event" doc:"its stored name"`
	Revision uint64    `json:"revision"`
	At       time.Time `json:"at"`
}

// TimelineOut is what happened to a meeting.
type TimelineOut struct {
	Body struct {
		Steps     []StepOut              `json:"steps" doc:"in recorded order"`
		Extended  []votes.VotingExtended `json:"extended,omitempty"`
		Cancelled string                 `json:"cancelled,omitempty" doc:"why"`
		Posting   *PostingOut            `json:"posting,omitempty" doc:"the result that stands"`
		Withdrawn []WithdrawnOut         `json:"withdrawn,omitempty"`
		SetAside  []SetAsideOut          `json:"set_aside,omitempty" doc:"ballots that count no more, for an objection was upheld"`
		Filed     string                 `json:"filed,omitempty" doc:"the street office's number"`
		Missed    []votes.DeadlineMissed `json:"missed,omitempty"`
		lookback.Bound
	}
}

// PostingOut is a result that stands.
type PostingOut struct {
	Number  int        `json:"number" doc:"1 as it was posted first"`
	At      time.Time  `json:"at"`
	Result  string     `json:"result" doc:"hash of the public blob"`
	Photo   string     `json:"photo,omitempty" doc:"SHA-256 of the photo of the notice board"`
	Objects *time.Time `json:"objections_until,omitempty" doc:"first instant at which nobody may object any more; absent where the rules do not say"`
	Open    int        `json:"objections_open" doc:"not answered"`
	Upheld  int        `json:"objections_upheld" doc:"against this result"`
}

// WithdrawnOut is a result that was taken back.
type WithdrawnOut struct {
	Number    int       `json:"number"`
	At        time.Time `json:"at"`
	Reason    string    `json:"reason"`
	Objection string    `json:"objection,omitempty" doc:"that was upheld"`
}

func (a *API) timeline(ctx context.Context, in *MeetingAtIn) (*TimelineOut, error) {
	view, m, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	steps, err := view.Tables.Steps(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	list, err := view.Tables.Objections(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &TimelineOut{}
	b := &out.Body
	b.Bound = lookback.Bind(a.Deps, view.Position)
	b.Steps = make([]StepOut, len(steps))
	for i, s := range steps {
		b.Steps[i] = StepOut{s.Kind, s.Revision, s.Happened}
	}
	b.Extended, b.Cancelled, b.Filed, b.Missed = m.Extended, m.Cancelled.Reason, m.Filed.Reference, m.Missed
	for _, w := range m.Withdrawn {
		b.Withdrawn = append(b.Withdrawn, WithdrawnOut{w.Posting, w.At, w.Reason, w.Objection})
	}
	for _, e := range m.SetAside {
		b.SetAside = append(b.SetAside, SetAsideOut{e.Ballot, e.Entry, e.At, e.Objection, e.Earlier, e.Reason})
	}
	if m.IsPosted() {
		b.Posting = &PostingOut{Number: m.Result.Posting, At: m.Result.At, Result: m.Result.Result, Photo: m.Result.Photo}
		if ends := m.Result.ObjectionsUntil; !ends.IsZero() {
			b.Posting.Objects = &ends
		}
		b.Posting.Open, b.Posting.Upheld = meeting.Pending(m, list)
	}
	return out, nil
}
