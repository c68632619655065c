package api

import (
	"cmp"
	"context"
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
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// registerRoll adds the routes of the roll of a meeting (业主名册): what is posted
// of it, and what changed hands since.
func (a *API) registerRoll(api huma.API) {
	huma.Register(api, service.Query("meeting-roll", "/meetings/{meeting}/roll", "The electorate, by unit and area, without names"), a.listRoll)
	huma.Register(api, service.Query("roll-objections", "/meetings/{meeting}/roll-objections", "The objections to a roll, with their answers; the owners' own words are sealed"), a.listRollObjections)
	huma.Register(api, service.Command("object-to-roll", http.MethodPost, "/meetings/{meeting}/roll-objections", "Object to the roll before the notice: a unit is wrong on it, or missing"), a.objectToRoll)
	huma.Register(api, service.Command("answer-roll-objection", http.MethodPost, "/meetings/{meeting}/roll-objections/{objection}/answer", "Answer an objection to the roll, for everyone to read"), a.answerRollObjection)
	huma.Register(api, service.Command("withdraw-roll-objection", http.MethodPost, "/meetings/{meeting}/roll-objections/{objection}/withdraw", "Take an objection to the roll back"), a.withdrawRollObjection)
	words := service.Query("roll-objection-words", "/meetings/{meeting}/roll-objections/{objection}/words", "The owner's own words; reading them is recorded")
	words.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, words, a.rollObjectionWords)
	huma.Register(api, service.Query("meeting-amendments", "/meetings/{meeting}/amendments", "Units of the roll that changed hands since it was frozen"), a.listAmendments)
}

func (a *API) listRoll(ctx context.Context, in *struct {
	MeetingIn
	PageIn
	Unit string `query:"unit" maxLength:"60" doc:"only entries with a unit whose code begins so"`
}) (*service.Items[votes.Entry], error) {
	if _, err := a.meeting(ctx, in.Meeting); err != nil {
		return nil, err
	}
	list, err := a.Board.RollWith(ctx, in.Meeting, in.Unit, in.After, in.Limit)
	return service.Page(list, err, in.Limit, func(e votes.Entry) string { return e.Entry })
}

// Amendment is a unit that changed hands.
type Amendment struct {
	votes.RollUnit
	From string    `json:"from" doc:"entry that voted for it until then"`
	To   string    `json:"to" doc:"entry that votes for it from then on, unless a ballot for it was handed in before"`
	New  bool      `json:"new" doc:"the entry came by this"`
	At   time.Time `json:"at" doc:"when the registry had it"`

	Yours       bool `json:"yours,omitempty" doc:"the caller votes for it from then on"`
	Sold        bool `json:"sold,omitempty" doc:"the caller voted for it until then"`
	SellerVoted bool `json:"seller_voted,omitempty" doc:"of what the caller bought or sold: a ballot was handed in for it before the sale. On what it says something that counts it stands: the buyer's does not count for this unit, and no later one of the seller for any"`
}

func (a *API) listAmendments(ctx context.Context, in *MeetingIn) (*service.Items[Amendment], error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &service.Items[Amendment]{}
	out.Body.Items = Amendments(m)
	who := service.CallerFrom(ctx).Person
	if who == "" || len(m.Amendments) == 0 {
		return out, nil
	}
	box, err := a.box(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	own, _ := box.Of(who)
	for i, e := range m.Amendments {
		item := &out.Body.Items[i]
		if item.Yours, item.Sold = e.Person == who, own.Entry != "" && e.From == own.Entry; !item.Yours && !item.Sold {
			continue
		}
		if item.SellerVoted, err = a.Board.VotedBefore(ctx, m, i); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Amendments lists what changed hands on the roll of a meeting, as it is published.
func Amendments(m meeting.Meeting) []Amendment {
	list := make([]Amendment, len(m.Amendments))
	for i, e := range m.Amendments {
		_, joined := m.Joined(e.To)
		list[i] = Amendment{RollUnit: e.RollUnit, From: e.From, To: e.To, New: joined, At: e.At}
	}
	return list
}

// actObjectRoll is to object to a roll, and to take that back.
const actObjectRoll = "roll.object"

// RollObjectionOut is an objection to a roll, without the owner's words.
type RollObjectionOut struct {
	ID       string     `json:"id"`
	Number   int        `json:"number"`
	Unit     string     `json:"unit"`
	Entry    string     `json:"entry,omitempty" doc:"that had the unit; absent: the roll lacked it"`
	State    string     `json:"state" enum:"open,withdrawn,not-upheld,upheld,corrected" doc:"upheld: the roll is to be frozen anew; corrected: it was"`
	At       time.Time  `json:"at"`
	Answer   string     `json:"answer,omitempty"`
	Answered *time.Time `json:"answered_at,omitempty"`
}

// RollObjections lists the objections to the roll of a meeting, as they are published.
func RollObjections(m meeting.Meeting) []RollObjectionOut {
	list := make([]RollObjectionOut, len(m.RollObjections))
	for i, o := range m.RollObjections {
		list[i] = RollObjectionOut{ID: o.Objection, Number: o.Number, Unit: o.Unit, Entry: o.Entry, State: o.State(), At: o.At, Answer: o.Answer.Answer}
		if o.Answered() {
			list[i].Answered = &o.Answer.At
		}
	}
	return list
}

func (a *API) listRollObjections(ctx context.Context, in *MeetingIn) (*service.Items[RollObjectionOut], error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &service.Items[RollObjectionOut]{}
	out.Body.Items = RollObjections(m)
	return out, nil
}

func (a *API) objectToRoll(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Unit   string `json:"unit" minLength:"1" maxLength:"60" doc:"code of the unit, on the roll or missing from it"`
		Words  string `json:"words" minLength:"1" maxLength:"1000" doc:"what is wrong, in the owner's own words; sealed, for those who must answer"`
		Person string `json:"person,omitempty" format:"uuid" doc:"whose objection the office writes down; absent: the caller's"`
	}
}) (*service.Recorded, error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	person := in.Body.Person
	if person == "" {
		if person, err = voter(ctx); err != nil {
			return nil, err
		}
	}
	of := resource(m)
	of.Person = person
	if err := a.Allow(ctx, actObjectRoll, of); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "object-to-roll", in.CommandIn, in.Body)
	id := newID(req)
	cmd := meeting.ObjectToRoll{Objection: id, Person: person, Unit: in.Body.Unit, Roll: m.Roll.Roll, At: req.Happened}
	if cmd.Entry, cmd.Registered, err = a.Board.Where(ctx, m, in.Body.Unit); err != nil {
		return nil, err
	}
	if known, err := a.Vault.Knows(ctx, vault.PersonKey(person)); err != nil || !known {
		return nil, cmp.Or(err, error(problem.Invalid("no-such-person", "there is no such person", problem.Field{Name: "person", Code: "unknown", Detail: "is nobody's id"})))
	}
	sealed, err := a.Vault.Seal(ctx, vault.PersonKey(person), wordsField, []byte(in.Body.Words), wordsSize)
	if err != nil {
		return nil, err
	}
	cmd.Words = codec.Sealed(sealed)
	done, err := a.meetings.Do(ctx, in.Meeting, req, cmd)
	return service.Respond(id, done, err)
}

func (a *API) answerRollObjection(ctx context.Context, in *struct {
	service.CommandIn
	ObjectionIn
	Body struct {
		Upheld bool   `json:"upheld" doc:"the roll is wrong: the registry is corrected, and the roll frozen anew"`
		Answer string `json:"answer" minLength:"1" maxLength:"1000" doc:"for everyone to read: no names, no numbers of phones or documents"`
	}
}) (*service.Recorded, error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, actAnswer, resource(m)); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "answer-roll-objection", in.CommandIn, in.Body)
	done, err := a.meetings.Do(ctx, in.Meeting, req, meeting.AnswerRollObjection{
		Objection: in.Objection, Upheld: in.Body.Upheld, Answer: in.Body.Answer, At: req.Happened,
	})
	return service.Respond(in.Objection, done, err)
}

// rollObjection returns an objection of a meeting to whoever may do an action to it.
func (a *API) rollObjection(ctx context.Context, in ObjectionIn, action string) (o meeting.RollObjection, err error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return o, err
	}
	if o, err = m.RollObjection(in.Objection); err != nil {
		return o, err
	}
	return o, a.Allow(ctx, action, authz.Resource{Type: "Meeting", ID: in.Meeting, Estate: m.Estate, Person: o.Person})
}

func (a *API) withdrawRollObjection(ctx context.Context, in *struct {
	service.CommandIn
	ObjectionIn
}) (*service.Recorded, error) {
	if _, err := a.rollObjection(ctx, in.ObjectionIn, actObjectRoll); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "withdraw-roll-objection", in.CommandIn, nil)
	done, err := a.meetings.Do(ctx, in.Meeting, req, meeting.WithdrawRollObjection{Objection: in.Objection, At: req.Happened})
	return service.Respond(in.Objection, done, err)
}

func (a *API) rollObjectionWords(ctx context.Context, in *ObjectionIn) (*ObjectionWords, error) {
	o, err := a.rollObjection(ctx, *in, actRead)
	if err != nil {
		return nil, err
	}
	err = a.recordReading(ctx, "read-roll-objection", in.Objection, func(req es.Request, reader string) error {
		_, err := a.meetings.Do(ctx, in.Meeting, req, meeting.ReadRollObjection{Objection: in.Objection, Reader: reader, At: req.Happened})
		return err
	})
	if err != nil {
		return nil, err
	}
	for r, err := range a.Store.Read(ctx, votes.MeetingStream+in.Meeting, 0) {
		if err != nil {
			return nil, err
		}
		event, err := votes.Codec.Decode(r.Type, r.Data)
		if err != nil {
			return nil, err
		}
		raised, ok := event.(votes.RollObjected)
		if !ok || raised.Objection != in.Objection {
			continue
		}
		return a.openWords(ctx, o.Person, raised.Words)
	}
	return nil, meeting.ErrNoObjection
}
