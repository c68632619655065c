package api

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/registry/access"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

// codeLife is how long a one-time login code may be used.
const codeLife = 24 * time.Hour

// wordsSize is the length to which a person's own words are padded, in bytes.
const wordsSize = 4 << 10

func (a *API) registerPeople(api huma.API) {
	huma.Register(api, service.Command("grant-role", http.MethodPost, "/people/{person}/roles", "Give a person a role"), a.grantRole)
	huma.Register(api, service.Command("revoke-role", http.MethodDelete, "/people/{person}/roles", "Take a role back"), a.revokeRole)
	huma.Register(api, service.Command("register-person", http.MethodPost, "/people", "Make a person known, by their document"), a.registerPerson)
	huma.Register(api, service.Command("correct-person", http.MethodPut, "/people/{person}", "Correct a person's data"), a.correctPerson)
	huma.Register(api, service.Command("erase-person", http.MethodDelete, "/people/{person}", "Erase a person for ever: their key is destroyed, and with it their data and what was sealed for them"), a.erasePerson)
	huma.Register(api, service.Command("login-code", http.MethodPost, "/people/{person}/login-codes", "Make a one-time login code; making it is recorded"), a.loginCode)
	huma.Register(api, service.Command("request-correction", http.MethodPost, "/me/corrections", "Ask for a correction of one's own data"), a.requestCorrection)
	huma.Register(api, service.Command("issue-token", http.MethodPost, "/tokens", "Issue an access token"), a.issueToken)
	huma.Register(api, service.Command("revoke-token", http.MethodDelete, "/tokens/{token}", "Revoke an access token"), a.revokeToken)
	huma.Register(api, huma.Operation{
		OperationID: "log-in", Method: http.MethodPost, Path: "/sessions", DefaultStatus: http.StatusCreated,
		Summary: "Exchange a one-time login code for a session",
	}, a.logIn)
	logOut := huma.Operation{
		OperationID: "log-out", Method: http.MethodDelete, Path: "/sessions", DefaultStatus: http.StatusNoContent,
		Summary: "End the session whose token is sent", Security: []map[string][]string{{"token": {}}},
	}
	huma.Register(api, logOut, a.logOut)
	read := service.Query("person", "/people/{person}", "A person's data; reading them is recorded")
	read.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, read, a.readPerson)
	corrections := service.Query("corrections", "/people/{person}/corrections", "What a person asked to have corrected; reading it is recorded")
	corrections.Security = read.Security
	huma.Register(api, corrections, a.corrections)
	me := service.Query("me", "/me", "Who I am: roles, units and personal data")
	me.Security = read.Security
	huma.Register(api, me, a.me)
}

// PersonIn names a person in the path. It is exported because only then its fields are found
// where it is embedded.
type PersonIn struct {
	Person string `path:"person" format:"uuid"`
}

type roleBody struct {
	Role   registry.Role `json:"role" enum:"resident,committee,clerk,provider,principal,regulator,administrator"`
	Estate string        `json:"estate,omitempty" format:"uuid" doc:"Where the role holds; everywhere if absent"`
}

func (a *API) grantRole(ctx context.Context, in *struct {
	service.CommandIn
	PersonIn
	Body roleBody
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "role.grant", authz.Resource{Type: "Person", ID: in.Person, Estate: in.Body.Estate, Person: in.Person}); err != nil {
		return nil, err
	}
	if in.Body.Estate != "" {
		if err := a.known.Check(ctx, in.Body.Estate); err != nil {
			return nil, err
		}
	}
	req := service.NewRequest(ctx, a.Deps, "grant-role", in.CommandIn, in.Body)
	done, err := a.people.Do(ctx, in.Person, req, register.GrantRole{Role: in.Body.Role, Estate: in.Body.Estate})
	return service.Respond(in.Person, done, err)
}

func (a *API) revokeRole(ctx context.Context, in *struct {
	service.CommandIn
	PersonIn
	Role   registry.Role `query:"role" required:"true"`
	Estate string        `query:"estate"`
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "role.revoke", authz.Resource{Type: "Person", ID: in.Person, Estate: in.Estate, Person: in.Person}); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "revoke-role", in.CommandIn, roleBody{in.Role, in.Estate})
	done, err := a.people.Do(ctx, in.Person, req, register.RevokeRole{Role: in.Role, Estate: in.Estate})
	return service.Respond(in.Person, done, err)
}

// PersonBody is personal data on their way in or out; never in a log or an event.
type PersonBody struct {
	Name         string `json:"name" minLength:"1" maxLength:"100"`
	DocumentKind string `json:"document_kind" minLength:"1" maxLength:"40"`
	Document     string `json:"document" minLength:"1" maxLength:"60"`
	Phone        string `json:"phone,omitempty" maxLength:"40"`
}

func (a *API) registerPerson(ctx context.Context, in *struct {
	service.CommandIn
	Body struct {
		PersonBody
		Kind string `json:"kind,omitempty" enum:"natural,legal" default:"natural"`
	}
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "person.register", authz.Resource{Type: "Person"}); err != nil {
		return nil, err
	}
	if vault.Document(in.Body.Document) == "" {
		return nil, errDocument
	}
	id, known, err := a.People.PersonByDocument(ctx, in.Body.Document)
	if err != nil {
		return nil, err
	}
	if !known { // who is known keeps their data: they are corrected by a command of its own
		made, err := a.People.EnsurePeople(ctx, []vault.PersonalData{vault.PersonalData(in.Body.PersonBody)})
		if err != nil {
			return nil, err
		}
		id = made[0].ID
	}
	req := service.NewRequest(ctx, a.Deps, "register-person", in.CommandIn, in.Body)
	done, err := a.people.Do(ctx, id, req, register.RegisterPerson{ID: id, Kind: in.Body.Kind})
	return service.Respond(id, done, err)
}

var (
	errDocument = problem.Invalid("not-a-document", "the number of a document has letters or digits",
		problem.Field{Name: "document", Code: "malformed", Detail: "has neither letters nor digits"})
	errDocumentTaken = problem.Conflict("document-taken", "another person is known by this document")
)

// correctPerson records which fields are corrected and then corrects them. Where
// the latter fails, another command does it, not a repeat of this one: others may
// have corrected more meanwhile.
func (a *API) correctPerson(ctx context.Context, in *struct {
	service.CommandIn
	PersonIn
	Body PersonBody
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "person.correct", authz.Resource{Type: "Person", ID: in.Person, Person: in.Person}); err != nil {
		return nil, err
	}
	if vault.Document(in.Body.Document) == "" {
		return nil, errDocument
	}
	if err := a.exists(ctx, in.Person); err != nil {
		return nil, err
	}
	was, err := a.personal(ctx, in.Person)
	if err != nil {
		return nil, err
	}
	switch id, taken, err := a.People.PersonByDocument(ctx, in.Body.Document); {
	case err != nil:
		return nil, err
	case taken && id != in.Person:
		return nil, errDocumentTaken
	}
	req := service.NewRequest(ctx, a.Deps, "correct-person", in.CommandIn, in.Body)
	done, err := a.people.Do(ctx, in.Person, req, register.CorrectPersonalData{Fields: in.Body.differs(was)})
	if err == nil && !done.Repeated {
		err = a.People.PutPerson(ctx, in.Person, vault.PersonalData(in.Body))
	}
	return service.Respond(in.Person, done, err)
}

// differs names the fields that are other than they were.
func (b PersonBody) differs(was PersonBody) (fields []string) {
	for _, f := range []struct{ name, is, was string }{
		{"name", b.Name, was.Name}, {"document_kind", b.DocumentKind, was.DocumentKind},
		{"document", b.Document, was.Document}, {"phone", b.Phone, was.Phone},
	} {
		if f.is != f.was {
			fields = append(fields, f.name)
		}
	}
	return fields
}

// CodeOut is a one-time login code.
type CodeOut struct {
	Body struct {
		Code    string    `json:"code" doc:"Works once. A repeat makes another and ends this one, and is recorded as well"`
		Expires time.Time `json:"expires"`
	}
}

func (a *API) loginCode(ctx context.Context, in *struct {
	service.CommandIn
	PersonIn
}) (*CodeOut, error) {
	if err := a.Allow(ctx, "login.invite", authz.Resource{Type: "Person", ID: in.Person, Person: in.Person}); err != nil {
		return nil, err
	}
	expires := a.Clock().Add(codeLife).UTC()
	made := register.MakeLoginCode{By: service.CallerFrom(ctx).ID, Expires: expires}
	if err := a.recordFirst(ctx, "login-code", in.Person, made, errCodePending); err != nil {
		return nil, err
	}
	code, err := a.People.NewLoginCode(ctx, in.Person, codeLife)
	if err != nil {
		return nil, err
	}
	out := &CodeOut{}
	out.Body.Code, out.Body.Expires = code, expires
	return out, nil
}

var (
	errCodePending    = problem.Unavailable("code-not-recorded", "a login code is handed out once it is recorded that it was made; ask again")
	errReadingPending = problem.Unavailable("reading-not-recorded", "personal data are shown once their reading is recorded; ask again")
)

// recordFirst records a command that must leave its trace before what it allows is
// done. Each is one of its own, also with a key that was sent before. Where it is
// not known whether it was recorded, the answer is pending.
func (a *API) recordFirst(ctx context.Context, route, person string, cmd es.Command[register.Person, registry.Event], pending *problem.Error) error {
	req := service.NewRequest(ctx, a.Deps, route, service.CommandIn{IdempotencyKey: uuid.NewString()}, person)
	_, err := a.people.Do(ctx, person, req, cmd)
	if errors.Is(err, es.ErrPending) {
		return pending
	}
	return err
}

// exists returns an error where nobody is registered under an id, or was erased.
func (a *API) exists(ctx context.Context, person string) error {
	p, _, err := a.people.Load(ctx, person)
	if err == nil {
		err = p.Exists()
	}
	return err
}

// SessionOut is a session.
type SessionOut struct {
	Body struct {
		Person  string    `json:"person"`
		Meeting string    `json:"meeting,omitempty" doc:"The one meeting in which the token lets the person vote; it is good for nothing else"`
		Token   string    `json:"token" doc:"Acts as the person until it expires or is ended"`
		Expires time.Time `json:"expires"`
	}
}

// errCode says neither whether the code ever was one nor whether it is used up.
var errCode = problem.Unauthorized("code-wrong", "this login code is wrong, was used already or has expired")

func (a *API) logIn(ctx context.Context, in *struct {
	Body struct {
		Code    string `json:"code" minLength:"1" maxLength:"100"`
		Meeting string `json:"meeting,omitempty" format:"uuid" doc:"The code is that of a letter, for the owner's ballot in this meeting"`
	}
}) (*SessionOut, error) {
	if in.Body.Meeting != "" {
		return a.openBallot(ctx, in.Body.Meeting, in.Body.Code)
	}
	person, ok, err := a.People.UseLoginCode(ctx, in.Body.Code)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, errCode
	}
	switch err := a.exists(ctx, person); {
	case errors.Is(err, register.ErrErased):
		return nil, errCode
	case err != nil:
		return nil, err
	}
	out := &SessionOut{}
	out.Body.Person = person
	out.Body.Token, out.Body.Expires, err = a.Sessions.Start(ctx, person)
	return out, err
}

// Refusals of ballot codes. Nobody guesses one of 80 bits, so whoever holds a
// letter may be told what is wrong with it.
var refusedBallots = []struct {
	err     error
	problem *problem.Error
}{
	{vault.ErrCodeUnknown, problem.Unauthorized("code-wrong", "this voting code is wrong, or a newer letter has taken its place")},
	{vault.ErrCodeUsed, problem.Unauthorized("code-used", "this voting code was used already; each works once")},
	{vault.ErrCodeExpired, problem.Unauthorized("code-expired", "voting is over, and with it this code")},
	{vault.ErrCodeElsewhere, problem.Unauthorized("code-elsewhere", "this voting code is for another meeting")},
}

// openBallot starts a session for one ballot.
func (a *API) openBallot(ctx context.Context, meeting, code string) (*SessionOut, error) {
	voter, err := a.People.UseBallotCode(ctx, meeting, code)
	for _, r := range refusedBallots {
		if errors.Is(err, r.err) {
			return nil, r.problem
		}
	}
	if err != nil {
		return nil, err
	}
	if err := a.exists(ctx, voter.Person); errors.Is(err, register.ErrErased) {
		return nil, errCode
	} else if err != nil {
		return nil, err
	}
	out := &SessionOut{}
	out.Body.Person, out.Body.Meeting = voter.Person, meeting
	out.Body.Token, out.Body.Expires, err = a.Sessions.StartBallot(ctx, voter.Person, meeting)
	return out, err
}

func (a *API) logOut(ctx context.Context, in *struct {
	Authorization string `header:"Authorization"`
}) (*struct{}, error) {
	if service.CallerFrom(ctx).Anonymous {
		return nil, problem.Unauthorized("login-needed", "send the token of the session")
	}
	_, token, _ := strings.Cut(in.Authorization, " ")
	return nil, a.Sessions.End(ctx, token)
}

func (a *API) requestCorrection(ctx context.Context, in *struct {
	service.CommandIn
	Body struct {
		Words string `json:"words" minLength:"1" maxLength:"1000"`
	}
}) (*service.Recorded, error) {
	person, err := a.self(ctx, "own.correct")
	if err != nil {
		return nil, err
	}
	sealed, err := a.Vault.Seal(ctx, vault.PersonKey(person), "words", []byte(in.Body.Words), wordsSize)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "request-correction", in.CommandIn, in.Body)
	done, err := a.people.Do(ctx, person, req, register.RequestCorrection{Words: codec.Sealed(sealed)})
	return service.Respond(person, done, err)
}

// self returns the person who asks for something of their own; a program is nobody.
func (a *API) self(ctx context.Context, action string) (string, error) {
	caller := service.CallerFrom(ctx)
	if caller.Person == "" && !caller.Anonymous {
		return "", problem.Forbidden("not-a-person", "this token acts for a program, not for a person")
	}
	return caller.Person, a.Allow(ctx, action, authz.Resource{Type: "Person", ID: caller.Person, Person: caller.Person})
}

// personalFields are what reading a person's data reads.
var personalFields = []string{"name", "document", "phone"}

// PersonOut is a person's data.
type PersonOut struct {
	Body struct {
		ID string `json:"id"`
		PersonBody
	}
}

// ReasonIn says why personal data are read.
type ReasonIn struct {
	Reason string `query:"reason" required:"true" enum:"notice-delivery,correction,payment-matching,emergency,legal-request,own-request" doc:"Why the data are read; stands in the ledger, for everyone"`
}

func (a *API) readPerson(ctx context.Context, in *struct {
	PersonIn
	ReasonIn
}) (*PersonOut, error) {
	if err := a.Allow(ctx, "person.read", authz.Resource{Type: "Person", ID: in.Person, Person: in.Person}); err != nil {
		return nil, err
	}
	if err := a.recordReading(ctx, in.Person, in.Reason, personalFields); err != nil {
		return nil, err
	}
	data, err := a.personal(ctx, in.Person)
	if err != nil {
		return nil, err
	}
	out := &PersonOut{}
	out.Body.ID, out.Body.PersonBody = in.Person, data
	return out, nil
}

// Correction is what a person asked to have corrected.
type Correction struct {
	Asked time.Time `json:"asked"`
	Words string    `json:"words" doc:"Empty where the person's data were erased"`
}

// corrections opens what a person asked to have corrected, for who may correct it.
func (a *API) corrections(ctx context.Context, in *struct {
	PersonIn
	ReasonIn
}) (*service.Items[Correction], error) {
	if err := a.Allow(ctx, "person.correct", authz.Resource{Type: "Person", ID: in.Person, Person: in.Person}); err != nil {
		return nil, err
	}
	if err := a.recordReading(ctx, in.Person, in.Reason, []string{"correction"}); err != nil {
		return nil, err
	}
	var list []Correction
	for r, err := range a.Store.Read(ctx, registry.PersonStream+in.Person, 0) {
		if err != nil {
			return nil, err
		}
		event, err := registry.Codec.Decode(r.Type, r.Data)
		if err != nil {
			return nil, err
		}
		asked, ok := event.(registry.CorrectionRequested)
		if !ok {
			continue
		}
		words, err := a.Vault.Open(ctx, vault.PersonKey(in.Person), "words", string(asked.Words))
		if err != nil && !errors.Is(err, vault.ErrNoKey) { // erased with its key
			return nil, err
		}
		list = append(list, Correction{r.Created, string(words)})
	}
	return service.List(list, nil)
}

// recordReading records that personal data are read, before they are.
func (a *API) recordReading(ctx context.Context, person, reason string, fields []string) error {
	reading := register.ReadPersonalData{Reader: service.CallerFrom(ctx).ID, Fields: fields, Reason: reason, At: a.Clock().UTC()}
	return a.recordFirst(ctx, "read-person", person, reading, errReadingPending)
}

// personal reads personal data. Whoever reads another's has recorded it before.
func (a *API) personal(ctx context.Context, person string) (PersonBody, error) {
	data, err := a.People.Person(ctx, person)
	if errors.Is(err, vault.ErrNoPerson) {
		err = register.ErrNoSuchPerson
	}
	return PersonBody(data), err
}

// MeOut is who asks.
type MeOut struct {
	Body struct {
		ID     string      `json:"id"`
		Person *PersonBody `json:"person,omitempty" doc:"Absent for a program"`
		Roles  []roleBody  `json:"roles"`
		Units  []OwnUnit   `json:"units"`
		Codes  []CodeMade  `json:"login_codes" doc:"The latest login codes made for the caller, oldest first"`
	}
}

// CodeMade is a login code that was made for the caller.
type CodeMade struct {
	By      string    `json:"by" doc:"Person or token that made it"`
	Expires time.Time `json:"expires" doc:"A day after it was made"`
}

// OwnUnit is a unit the caller has a title to.
type OwnUnit struct {
	Estate string `json:"estate"`
	ID     string `json:"id"`
	Code   string `json:"code"`
	Votes  bool   `json:"votes" doc:"Votes for the unit"`
}

func (a *API) me(ctx context.Context, _ *struct{}) (*MeOut, error) {
	caller := service.CallerFrom(ctx)
	out := &MeOut{}
	out.Body.ID, out.Body.Roles, out.Body.Units, out.Body.Codes = caller.ID, []roleBody{}, []OwnUnit{}, []CodeMade{}
	for _, g := range caller.Principal.Grants {
		out.Body.Roles = append(out.Body.Roles, roleBody{registry.Role(g.Role), g.Estate})
	}
	if caller.Person == "" && !caller.Anonymous {
		return out, nil // a program has nothing else
	}
	if _, err := a.self(ctx, "own.read"); err != nil {
		return nil, err
	}
	for _, u := range a.Directory.Titles(caller.Person) {
		out.Body.Units = append(out.Body.Units, OwnUnit{u.Estate, u.ID, u.Code, u.Votes})
	}
	self, _, err := a.people.Load(ctx, caller.Person)
	if err != nil {
		return nil, err
	}
	for _, c := range self.Codes {
		out.Body.Codes = append(out.Body.Codes, CodeMade{c.By, c.Expires})
	}
	data, err := a.personal(ctx, caller.Person)
	if err != nil {
		return nil, err
	}
	out.Body.Person = &data
	return out, nil
}

// TokenOut is a token as it is shown once.
type TokenOut struct {
	Status   int
	Position string `header:"Yimu-Position"`
	Location string `header:"Location"`
	Body     struct {
		service.RecordedBody
		Token string `json:"token,omitempty" doc:"The token itself, shown once: the ledger holds only its hash. Absent in the answer to a repeat"`
	}
}

func (a *API) issueToken(ctx context.Context, in *struct {
	service.CommandIn
	Body struct {
		Person  string        `json:"person,omitempty" format:"uuid" doc:"Acts as this person; or"`
		Role    registry.Role `json:"role,omitempty" enum:"resident,committee,clerk,provider,principal,regulator,administrator" doc:"acts as a program with this role"`
		Estate  string        `json:"estate,omitempty" format:"uuid"`
		Label   string        `json:"label,omitempty" maxLength:"60"`
		Expires time.Time     `json:"expires"`
	}
}) (*TokenOut, error) {
	if err := a.Allow(ctx, "token.issue", authz.Resource{Type: "Token", Estate: in.Body.Estate, Person: in.Body.Person}); err != nil {
		return nil, err
	}
	if in.Body.Person != "" {
		if err := a.exists(ctx, in.Body.Person); err != nil {
			return nil, err
		}
	}
	if in.Body.Estate != "" {
		if err := a.known.Check(ctx, in.Body.Estate); err != nil {
			return nil, err
		}
	}
	req := service.NewRequest(ctx, a.Deps, "issue-token", in.CommandIn, in.Body)
	id, token, done, err := a.issue(ctx, req, registry.TokenIssued{
		Person: in.Body.Person, Role: in.Body.Role, Estate: in.Body.Estate, Label: in.Body.Label, Expires: in.Body.Expires.UTC(),
	})
	answer, err := service.Respond(id, done, err)
	if err != nil {
		return nil, err
	}
	out := &TokenOut{Status: answer.Status, Position: answer.Position, Location: answer.Location}
	out.Body.RecordedBody = answer.Body
	if len(done.IDs) > 0 && !done.Repeated {
		out.Body.Token = token
	}
	return out, nil
}

func (a *API) issue(ctx context.Context, req es.Request, issued registry.TokenIssued) (id, token string, done es.Done[registry.Event], err error) {
	id, secret := newID(req), access.NewSecret()
	issued.Token, issued.Hash = id, access.HashSecret(secret)
	done, err = repo(a.Deps, registry.TokenStream, register.EvolveToken).Do(ctx, id, req, register.IssueToken{Now: a.Clock(), TokenIssued: issued})
	return id, access.Token(id, secret), done, err
}

// Issue issues a token of a role on behalf of whoever holds the system itself.
func (a *API) Issue(ctx context.Context, role registry.Role, estate, label string, life time.Duration) (token string, at es.Position, err error) {
	req := service.ReactionRequest(ctx, a.Deps, "registry_operator", uuid.NewString())
	req.Actor, req.Cause = "operator", ""
	_, token, done, err := a.issue(ctx, req, registry.TokenIssued{
		Role: role, Estate: estate, Label: label, Expires: a.Clock().Add(life).UTC().Truncate(time.Second),
	})
	return token, done.Position, err
}

func (a *API) revokeToken(ctx context.Context, in *struct {
	service.CommandIn
	Token string `path:"token" format:"uuid"`
}) (*service.Recorded, error) {
	t, _, err := a.tokens.Load(ctx, in.Token)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, "token.revoke", authz.Resource{Type: "Token", ID: in.Token, Estate: t.Estate, Person: t.Person}); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "revoke-token", in.CommandIn, in.Token)
	done, err := a.tokens.Do(ctx, in.Token, req, register.RevokeToken{})
	return service.Respond(in.Token, done, err)
}
