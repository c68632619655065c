package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

const (
	actTrustees  = "trustees.name"
	actTakeShare = "share.take"
	actGiveShare = "share.give"
)

// registerTrustees adds the routes of those who hold a meeting's key in shares.
func (a *API) registerTrustees(api huma.API) {
	huma.Register(api, service.Query("meeting-trustees", "/meetings/{meeting}/trustees", "Who holds the key of a meeting in shares, and how many have taken and given theirs"), a.getTrustees)
	huma.Register(api, service.Command("name-trustees", http.MethodPost, "/meetings/{meeting}/trustees", "Deal the key of a meeting in shares, before its notice"), a.nameTrustees)

	own := service.Query("own-share", "/meetings/{meeting}/own-share", "The caller's share of the meeting's key, until they say that they have it on paper")
	own.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, own, a.getOwnShare)
	huma.Register(api, service.Command("take-share", http.MethodPost, "/meetings/{meeting}/own-share/taken", "Say that one has one's share on paper; after that nobody else has it"), a.takeShare)
	huma.Register(api, service.Command("give-share", http.MethodPost, "/meetings/{meeting}/shares", "Give one's share when voting is closed"), a.giveShare)
}

// Trusteeship is who holds a meeting's key.
type Trusteeship struct {
	Body struct {
		Needed      int          `json:"needed" doc:"shares that open the ballots; 0: nobody holds the key in shares"`
		Days        int          `json:"days" doc:"after the close, within which shares must come"`
		Until       *time.Time   `json:"until,omitempty" doc:"shares are taken in; once voting is closed"`
		Trustees    []TrusteeOut `json:"trustees"`
		Commitments []string     `json:"commitments" doc:"points of P-256, base64, by which anyone checks a share; the first is the public key"`
		Opened      bool         `json:"opened"`
		Unopened    bool         `json:"unopened" doc:"too few shares came: the ballots stay sealed"`
	}
}

// TrusteeOut is a trustee, without who they are.
type TrusteeOut struct {
	Number int    `json:"number"`
	Party  string `json:"party" enum:"业主委员会,街道办事处,居民委员会,业主代表"`
	Taken  bool   `json:"taken" doc:"has their share on paper"`
	Given  bool   `json:"given" doc:"has given it after the close"`
	Own    bool   `json:"own,omitempty" doc:"is the caller"`
}

func (a *API) getTrustees(ctx context.Context, in *MeetingIn) (*Trusteeship, error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &Trusteeship{}
	b, t, mine := &out.Body, m.Trust, m.Trust.Number(service.CallerFrom(ctx).Person)
	b.Needed, b.Days, b.Commitments, b.Opened, b.Unopened = t.Needed(), t.Days, t.Commitments, m.Key != "" && t.Needed() > 0, m.Unopened
	if !t.Until.IsZero() {
		b.Until = &t.Until
	}
	b.Trustees = make([]TrusteeOut, len(t.Trustees))
	for i, of := range t.Trustees {
		n := i + 1
		b.Trustees[i] = TrusteeOut{Number: n, Party: of.Party, Taken: slices.Contains(t.Taken, n), Own: n == mine,
			Given: slices.ContainsFunc(t.Given, func(g votes.ShareGiven) bool { return g.Number == n })}
	}
	return out, nil
}

func (a *API) nameTrustees(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Trustees []votes.Trustee `json:"trustees" minItems:"2" maxItems:"9"`
		Needed   int             `json:"needed" minimum:"2" doc:"shares that open the ballots"`
		Days     int             `json:"days,omitempty" minimum:"1" maximum:"60" default:"15" doc:"after the close, within which shares must come"`
	}
}) (*service.Recorded, error) {
	m, err := a.prepare(ctx, in.Meeting, actTrustees)
	if err != nil {
		return nil, err
	}
	people := make([]string, len(in.Body.Trustees))
	for i, t := range in.Body.Trustees {
		people[i] = t.Person
		if _, err := a.Vault.Person(ctx, t.Person); errors.Is(err, vault.ErrNoPerson) || errors.Is(err, vault.ErrNoKey) {
			return nil, problem.Invalid("no-such-person", "a trustee is a person the registry knows", problem.Field{Name: "trustees", Code: "unknown", Detail: "names somebody who is not registered"})
		} else if err != nil {
			return nil, err
		}
	}
	named := votes.TrusteesNamed{Meeting: m.Meeting, Trustees: in.Body.Trustees, Commitments: make([]string, in.Body.Needed), Days: in.Body.Days}
	if _, err := (meeting.NameTrustees{TrusteesNamed: named}).Decide(m); err != nil { // before a key is dealt for nothing
		return nil, err
	}
	dealt, err := vault.Deal(in.Body.Needed, len(people))
	if err != nil {
		return nil, err
	}
	subject := vault.MeetingKey(m.Meeting)
	if err := a.Vault.KeepShares(ctx, subject, dealt, people); err != nil {
		return nil, err
	}
	named.Commitments = dealt.Commitments
	done, err := a.meetings.Do(ctx, m.Meeting, service.NewRequest(ctx, a.Deps, "name-trustees", in.CommandIn, in.Body), meeting.NameTrustees{TrusteesNamed: named})
	if stale := given(done.Events, dealt.Commitments, m.Trust.Commitments); err == nil && len(stale) > 0 {
		err = a.Vault.DropShares(ctx, subject, stale, "")
	}
	return service.Respond(m.Meeting, done, err)
}

// given returns the commitments of a deal that is of no use any more: the one
// just made where the command had been recorded with another, else the one before.
func given(recorded []votes.Event, dealt, before []string) []string {
	for _, e := range recorded {
		if named, ok := e.(votes.TrusteesNamed); ok && named.Commitments[0] != dealt[0] {
			return dealt
		}
	}
	return before
}

// trustee returns a meeting with the caller's number among its trustees.
func (a *API) trustee(ctx context.Context, id, action string) (m meeting.Meeting, number int, err error) {
	if m, err = a.meeting(ctx, id); err != nil {
		return m, 0, err
	}
	person, err := voter(ctx)
	if err != nil {
		return m, 0, err
	}
	if err := a.Allow(ctx, action, authz.Resource{Type: "Meeting", ID: id, Estate: m.Estate, Person: person}); err != nil {
		return m, 0, err
	}
	switch number = m.Trust.Number(person); {
	case m.Trust.Needed() == 0:
		return m, 0, meeting.ErrNoTrustees
	case number == 0:
		return m, 0, meeting.ErrNotATrustee
	}
	return m, number, nil
}

// errShareTaken says that a share is on paper only.
var errShareTaken = problem.Conflict("share-taken", "you have taken your share; it stands on your paper and nowhere else")

// ShareOut is a share of a meeting's key.
type ShareOut struct {
	Cache string `header:"Cache-Control"`
	Body  struct {
		Number int    `json:"number"`
		Share  string `json:"share" doc:"letters and digits in groups of five, to be written down or printed"`
	}
}

// share returns the caller's share while it is kept for them.
func (a *API) share(ctx context.Context, m meeting.Meeting) (string, error) {
	share, err := a.Vault.Share(ctx, vault.MeetingKey(m.Meeting), m.Trust.Commitments, service.CallerFrom(ctx).Person)
	if errors.Is(err, vault.ErrNotAShare) {
		err = errShareTaken
	}
	return share, err
}

func (a *API) getOwnShare(ctx context.Context, in *MeetingIn) (*ShareOut, error) {
	m, number, err := a.trustee(ctx, in.Meeting, actTakeShare)
	if err != nil {
		return nil, err
	}
	out := &ShareOut{Cache: "no-store"}
	out.Body.Number = number
	out.Body.Share, err = a.share(ctx, m)
	return out, err
}

func (a *API) takeShare(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Ending string `json:"ending" minLength:"1" maxLength:"10" doc:"the last group of the share, to show that it is on paper"`
	}
}) (*service.Recorded, error) {
	m, number, err := a.trustee(ctx, in.Meeting, actTakeShare)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(m.Trust.Taken, number) {
		share, err := a.share(ctx, m)
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(strings.TrimSpace(in.Body.Ending), vault.ShareEnding(share)) {
			return nil, problem.Invalid("ending-wrong", "the share on your paper ends otherwise; compare all of it", problem.Field{Name: "ending", Code: "wrong", Detail: "is not how your share ends"})
		}
	}
	done, err := a.meetings.Do(ctx, m.Meeting, service.NewRequest(ctx, a.Deps, "take-share", in.CommandIn, in.Body), meeting.TakeShare{Number: number})
	if err == nil { // it may have been recorded before a crash
		err = a.Vault.DropShares(ctx, vault.MeetingKey(m.Meeting), m.Trust.Commitments, service.CallerFrom(ctx).Person)
	}
	return service.Respond(m.Meeting, done, err)
}

func (a *API) giveShare(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body struct {
		Share string `json:"share" minLength:"1" maxLength:"200" doc:"as it is on paper; spaces and hyphens do not matter"`
	}
}) (*service.Recorded, error) {
	m, number, err := a.trustee(ctx, in.Meeting, actGiveShare)
	if err != nil {
		return nil, err
	}
	if !m.Closed {
		return nil, meeting.ErrShareEarly
	}
	share, err := vault.CheckShare(m.Trust.Commitments, number, in.Body.Share)
	if errors.Is(err, vault.ErrNotAShare) {
		err = problem.Invalid("share-wrong", "this is not the share you took for this meeting; compare it with your paper", problem.Field{Name: "share", Code: "wrong", Detail: "is mistyped, another trustee's, or of another meeting"})
	}
	if err != nil {
		return nil, err
	}
	done, err := a.meetings.Do(ctx, m.Meeting, service.NewRequest(ctx, a.Deps, "give-share", in.CommandIn, in.Body), meeting.GiveShare{Number: number, Share: share})
	return service.Respond(m.Meeting, done, err)
}
