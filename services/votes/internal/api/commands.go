package api

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// MotionIn is a motion as it is put to the owners.
type MotionIn struct {
	ID     string `json:"id" minLength:"1" maxLength:"40"`
	Title  string `json:"title" minLength:"1" maxLength:"500"`
	Matter string `json:"matter" maxLength:"100" doc:"article, paragraph and item, e.g. 民法典278-1-4"`
	Scope  string `json:"scope" maxLength:"130" doc:"estate, building: and a building, stair: and building-stair such as stair:5-1, or units"`
	Rule   string `json:"rule,omitempty" doc:"threshold; where stated it must be the one that the matter calls for"`

	Units []string `json:"units,omitempty" maxItems:"2000" doc:"of scope units: the affected ones, by code"`

	votes.Election

	Effect votes.Effect `json:"effect,omitzero" required:"false" doc:"what follows by itself once the motion is adopted and the result final; absent: nothing"`
}

// Draft is what is said of a meeting before its notice.
type Draft struct {
	Title   string       `json:"title" minLength:"1" maxLength:"200"`
	Policy  votes.Policy `json:"policy"`
	Motions []MotionIn   `json:"motions" minItems:"1" maxItems:"100"`

	votes.Convened
	Planned votes.Planned `json:"planned,omitzero" required:"false" doc:"what those who call the meeting have in mind; the notice fixes the days"`
}

// drafting returns the command that drafts the meeting.
func (a *API) drafting(ctx context.Context, d Draft, id, estate string, past bool, set meeting.RuleSet) (meeting.DraftMeeting, error) {
	c := d.command(id, estate, past, set)
	var err error
	if c.Places, err = a.Board.Places(ctx, estate); err != nil {
		return c, err
	}
	c.Agreements, err = a.agreements(ctx, c.Motions)
	return c, err
}

// command makes what is said of a meeting the command that drafts it.
func (d Draft) command(id, estate string, past bool, set meeting.RuleSet) meeting.DraftMeeting {
	c := meeting.DraftMeeting{Rules: set, MeetingDrafted: votes.MeetingDrafted{Meeting: id, Estate: estate, Title: d.Title, Policy: d.Policy, Past: past, Convened: d.Convened, Planned: d.Planned}}
	if c.Policy.Unreturned == "" {
		c.Policy.Unreturned = votes.UnreturnedNone
	}
	for _, m := range d.Motions {
		c.Motions = append(c.Motions, votes.Motion{ID: m.ID, Title: m.Title, Matter: m.Matter, Scope: m.Scope, Units: m.Units, Election: m.Election, Effect: m.Effect})
		c.Stated = append(c.Stated, m.Rule)
	}
	return c
}

func (a *API) draft(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		Draft
		Past   bool `json:"past,omitempty" doc:"it was held before; only for those who may enter the past"`
		Secret bool `json:"secret,omitempty" doc:"refused, with the reason: no vote is secret yet"`
	}
}) (*service.Recorded, error) {
	estate := estateResource(in.Estate)
	if err := a.Allow(ctx, actCall, estate); err != nil {
		return nil, err
	}
	if in.Body.Secret {
		return nil, meeting.ErrSecret
	}
	if in.Body.Past {
		if err := a.Allow(ctx, actPast, estate); err != nil {
			return nil, err
		}
	}
	if err := a.Estates.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "draft-meeting", in.CommandIn, in.Body)
	id := newID(req)
	set, _, err := a.inForce(ctx, in.Estate, a.Clock())
	if err != nil {
		return nil, err
	}
	cmd, err := a.drafting(ctx, in.Body.Draft, id, in.Estate, in.Body.Past, set)
	if err != nil {
		return nil, err
	}
	done, err := a.meetings.Do(ctx, id, req, cmd)
	return service.Respond(id, done, err)
}

// prepare asks whether the caller may do an action to a meeting, and returns it
// as the board has it.
func (a *API) prepare(ctx context.Context, id, action string) (meeting.Meeting, error) {
	m, err := a.meeting(ctx, id)
	if err != nil {
		return m, err
	}
	if err := a.Allow(ctx, action, resource(m)); err != nil || !m.Past {
		return m, err
	}
	return m, a.Allow(ctx, actPast, resource(m))
}

func (a *API) freeze(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
}) (*service.Recorded, error) {
	m, err := a.prepare(ctx, in.Meeting, actFreeze)
	if err != nil {
		return nil, err
	}
	cmd, err := a.roll(ctx, m)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "freeze-roll", in.CommandIn, nil)
	if !m.Past {
		cmd.At = req.Happened
	}
	done, err := a.meetings.Do(ctx, in.Meeting, req, cmd)
	return service.Respond(in.Meeting, done, err)
}

// roll builds the roll of a meeting as titles stand, and posts it before the
// command that names it by hash.
func (a *API) roll(ctx context.Context, m meeting.Meeting) (meeting.FreezeRoll, error) {
	list, seen, err := a.Board.CurrentUnits(ctx, m.Estate)
	if err != nil {
		return meeting.FreezeRoll{}, err
	}
	r, err := meeting.BuildRoll(m.Meeting, list, m.Policy, m.Motions)
	if err != nil {
		return meeting.FreezeRoll{}, err
	}
	blob := r.Blob()
	hash, err := a.Blobs.Put(ctx, blob)
	if err != nil {
		return meeting.FreezeRoll{}, err
	}
	if hash != meeting.Hash(blob) {
		return meeting.FreezeRoll{}, errors.New("api: a blob is not named by its SHA-256")
	}
	return meeting.FreezeRoll{RollFrozen: votes.RollFrozen{
		Meeting: m.Meeting, Roll: hash, Heads: r.Heads, Area: r.Area, Scopes: r.Scopes, SeenAt: uint64(seen), Form: meeting.FormUnits,
	}}, nil
}

// Window is when owners vote.
type Window struct {
	Opens   time.Time       `json:"opens"`
	Closes  time.Time       `json:"closes" doc:"a ballot at this instant is late"`
	At      time.Time       `json:"at,omitzero" required:"false" doc:"when it was posted; of a meeting of the past only"`
	Differs []votes.Differs `json:"differs,omitempty" maxItems:"100" doc:"Of motions on a matter that lapsed not long ago (see resting of the meeting): how they are another question. Everyone can read it"`
}

func (a *API) notice(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Window
}) (*service.Recorded, error) {
	m, err := a.prepare(ctx, in.Meeting, actNotice)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "post-notice", in.CommandIn, in.Body)
	req.Past = m.Past
	cmd, err := a.postNotice(ctx, m, in.Body)
	if err != nil {
		return nil, err
	}
	done, err := a.meetings.Do(ctx, in.Meeting, req, cmd)
	if err == nil && m.Trust.Needed() > 0 { // a crash may have left one that its trustee has
		err = a.Vault.DropShares(ctx, vault.MeetingKey(in.Meeting), m.Trust.Commitments, "")
	}
	return service.Respond(in.Meeting, done, err)
}

// postNotice returns the command that posts the notice. The rules it names are
// posted before.
func (a *API) postNotice(ctx context.Context, m meeting.Meeting, w Window) (meeting.PostNotice, error) {
	now := a.Clock()
	at := now
	if m.Past {
		at = w.At
	}
	set, adopted, err := a.inForce(ctx, m.Estate, at)
	if err == nil && set.ID != "" {
		err = a.postRules(ctx, set)
	}
	cmd := meeting.PostNotice{Now: now, At: w.At, Opens: w.Opens, Closes: w.Closes, Rules: set, Calendar: a.Calendar, Adopted: adopted, Differs: w.Differs}
	if err == nil && !m.Past && set.Extension.RestYears > 0 {
		cmd.Lapsed, err = a.Board.CurrentLapsed(ctx, m.Estate)
	}
	return cmd, err
}

// Cast is a ballot on its way in.
type Cast struct {
	Channel string         `json:"channel,omitempty" enum:"电子,纸质,会议" doc:"of a meeting of the past only"`
	Entry   string         `json:"entry,omitempty" doc:"of a meeting of the past only: whose ballot it is"`
	At      time.Time      `json:"at,omitzero" required:"false" doc:"of a meeting of the past only: when it was received or handed in"`
	Choices []votes.Choice `json:"choices" minItems:"1" maxItems:"100"`
}

func (a *API) cast(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Cast
}) (*BallotOut, error) {
	box, err := a.box(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	if box.Past || !in.Body.At.IsZero() || in.Body.Entry != "" {
		return a.castPast(ctx, in.CommandIn, box, in.Body)
	}
	person, none := balloter(ctx, in.Meeting)
	if err := a.Allow(ctx, actCast, authz.Resource{Type: "Meeting", ID: in.Meeting, Estate: box.Estate, Person: person}); err != nil {
		return nil, err
	}
	if none != nil {
		return nil, none
	}
	if in.Body.Channel != "" && in.Body.Channel != votes.Electronic {
		return nil, problem.Invalid("unknown-channel", "paper is handed in at the office, and hands are shown in the meeting", problem.Field{Name: "channel", Code: "not-one-of", Detail: "is 电子"})
	}
	req := service.NewRequest(ctx, a.Deps, "cast-ballot", in.CommandIn, in.Body)
	entry, reason := box.Of(person)
	return answer(a.take(ctx, req, box, meeting.CastBallot{
		Entry: entry, NoEntry: reason, Channel: votes.Electronic, At: req.Happened, Choices: in.Body.Choices, Partial: box.Partial(a.rulesOf(box.Meeting)),
	}, person))
}

// castPast enters a ballot of a meeting that is entered as past. Of a live one
// nobody states when a ballot came, or whose it was.
func (a *API) castPast(ctx context.Context, in service.CommandIn, box *board.Box, c Cast) (*BallotOut, error) {
	if !box.Past {
		return nil, meeting.ErrStatedTime
	}
	if err := a.Allow(ctx, actPast, resource(box.Meeting)); err != nil {
		return nil, err
	}
	if c.At.IsZero() {
		return nil, problem.Invalid("time-missing", "a ballot of the past says when it was handed in", problem.Field{Name: "at", Code: "missing", Detail: "is missing"})
	}
	entry, err := entryOf(box, c.Entry)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "cast-ballot", in, c)
	req.Past = true
	if c.Channel == "" {
		c.Channel = votes.Electronic
	}
	return answer(a.take(ctx, req, box, meeting.CastBallot{Entry: entry, Channel: c.Channel, At: c.At, Choices: c.Choices}, ""))
}

func entryOf(box *board.Box, number string) (votes.Entry, error) {
	entry, ok := box.Entry(number)
	if !ok {
		return entry, problem.Invalid("no-such-entry", "the roll has no such entry", problem.Field{Name: "entry", Code: "unknown", Detail: "is not on the roll"})
	}
	return entry, nil
}

// box returns what taking a ballot needs to know.
func (a *API) box(ctx context.Context, id string) (*board.Box, error) {
	box, err := a.Board.Box(ctx, id)
	if err == nil && box == nil {
		err = meeting.ErrNoMeeting
	}
	return box, err
}

// take records a ballot, or its refusal, and returns its id. person is who
// casts it where there may be no entry.
func (a *API) take(ctx context.Context, req es.Request, box *board.Box, cmd meeting.CastBallot, person string) (id string, d done) {
	id = newID(req)
	cmd.Ballot, cmd.Meeting = id, box.Meeting
	if !box.Past {
		sealed, err := a.seal(ctx, box, id, cmd.Choices)
		if err != nil {
			return id, done{err: err}
		}
		cmd.Sealed = codec.Sealed(sealed)
	}
	return id, a.record(ctx, req, cmd.Entry.Entry, box.Meeting.Meeting, person, cmd)
}

// done is what became of a command.
type done struct {
	es.Done[votes.Event]
	err error
}

// record runs a command in the stream of an entry, so that all of its ballots
// meet there; a voter without one has a stream for refusals.
func (a *API) record(ctx context.Context, req es.Request, entry, id, person string, cmd es.Command[meeting.Ballots, votes.Event]) done {
	if entry == "" {
		d, err := a.refusals.Do(ctx, id+"-"+person, req, cmd)
		return done{d, err}
	}
	d, err := a.ballots.Do(ctx, id+"-"+entry, req, cmd)
	return done{d, err}
}

// BallotOut answers a ballot.
type BallotOut struct {
	Status   int
	Position string `header:"Yimu-Position" doc:"Where it was recorded; send it with the next request to read what was written"`
	Location string `header:"Location" doc:"Where to ask what became of it (202)"`
	Body     BallotBody
}

// BallotBody says of every motion that a ballot answers what became of it.
type BallotBody struct {
	service.RecordedBody
	Taken   []string        `json:"taken,omitempty" doc:"Motions on which the ballot was taken"`
	Refused []RefusedAnswer `json:"refused,omitempty" doc:"Motions on which it was refused, by reason; recorded, too"`
}

// RefusedAnswer is why a ballot was refused on some of its motions.
type RefusedAnswer struct {
	Motions []string     `json:"motions"`
	Reason  votes.Reason `json:"reason" doc:"the first test it failed"`
}

// answer tells the voter: 201 and what of it where anything was taken, else 409
// and why not.
func answer(id string, d done) (*BallotOut, error) {
	if err := conflict(d.Events); err != nil {
		return nil, err
	}
	return d.answer(id)
}

// answer says what was recorded.
func (d done) answer(id string) (*BallotOut, error) {
	r, err := service.Respond(id, d.Done, d.err)
	if err != nil {
		return nil, err
	}
	out := &BallotOut{Status: r.Status, Position: r.Position, Location: r.Location, Body: BallotBody{RecordedBody: r.Body}}
	for _, event := range d.Events {
		switch e := event.(type) {
		case votes.BallotCast:
			out.Body.Taken = append(out.Body.Taken, e.Motions...)
		case votes.BallotRefused:
			out.Body.Refused = append(out.Body.Refused, RefusedAnswer{e.Motions, e.Reason})
		default: // nothing else becomes of a ballot
		}
	}
	return out, nil
}

// conflict is the problem that nothing of a ballot was taken.
func conflict(events []votes.Event) error {
	if reason := refused(events); reason != "" {
		return problem.Conflict(string(reason), words[reason])
	}
	return nil
}

// refused returns the first reason where nothing of a ballot was taken.
func refused(events []votes.Event) (reason votes.Reason) {
	for _, e := range events {
		r, ok := e.(votes.BallotRefused)
		if !ok {
			return ""
		}
		if reason == "" {
			reason = r.Reason
		}
	}
	return reason
}

// words tell a voter why a ballot does not count.
var words = map[votes.Reason]string{
	votes.NoSuchMotion:           "the motion was not on the notice",
	votes.VotingNotOpen:          "voting is not open yet",
	votes.VotingIsClosed:         "voting is closed",
	votes.NotOnTheRoll:           "you hold no title in this estate",
	votes.NotTheRepresentative:   "another co-owner votes for your unit",
	votes.NotInScope:             "none of your units is in the scope of the motion",
	votes.SellerVoted:            "whoever sold you the unit had voted before, and that vote stands",
	votes.AlreadyVoted:           "you have voted already, and the first ballot stands",
	votes.Superseded:             "a later ballot of yours stands",
	votes.ElectronicBallotStands: "your electronic ballot stands",
	votes.PaperBallotStands:      "your paper ballot stands",
	votes.NoSuchChoice:           "there is no such choice",
	votes.ProxyCapExceeded:       "this person holds as many mandates as one person may",
	votes.ProxyBarred:            "this person may hold no mandate: the provider's staff vote for nobody",
	votes.OwnBallotStands:        "the owner has voted in person, and that stands",
	votes.AgainstInstructions:    "the paper says otherwise than the owner instructed",
	votes.TooManyApproved:        "you approve more candidates than one ballot may",
}

// seal closes what a live ballot says. The plaintext names only motions of the
// notice and choices that exist, so it fits, and all are padded to one length.
// Of a paper's reading void names the motions on which it says nothing that counts.
func (a *API) seal(ctx context.Context, box *board.Box, ballot string, choices []votes.Choice, void ...string) (string, error) {
	said, longest := box.Sealable(choices)
	for _, motion := range void {
		said = append(said, votes.Choice{Motion: motion, Choice: votes.Void})
	}
	size, err := json.Marshal(longest)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(said)
	if err != nil {
		return "", err
	}
	subject, field := vault.MeetingKey(box.Meeting.Meeting), board.SealedField(ballot)
	if box.Trust.Needed() > 0 {
		return vault.SealTo(box.Trust.Commitments, subject, field, text, len(size))
	}
	return a.Vault.Seal(ctx, subject, field, text, len(size))
}

func (a *API) close(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
}) (*service.Recorded, error) {
	m, err := a.prepare(ctx, in.Meeting, actClose)
	if err != nil {
		return nil, err
	}
	if !m.Past {
		return nil, problem.Conflict("closes-by-itself", "a live meeting closes by itself a minute after its deadline")
	}
	d, err := a.meetings.Do(ctx, in.Meeting, service.NewRequest(ctx, a.Deps, "close-voting", in.CommandIn, nil), meeting.CloseVoting{Now: a.Clock()})
	return service.Respond(in.Meeting, d, err)
}
