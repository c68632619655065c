package register

import (
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals of commands on people and tokens.
var (
	ErrNoSuchPerson = problem.NotFound("no-such-person", "there is no such person")
	ErrUnknownRole  = problem.Invalid("unknown-role", "there is no such role")
	ErrRoleScope    = problem.Invalid("role-needs-estate", "this role is granted for one estate")
	ErrNoReason     = problem.Invalid("reason-missing", "say why the personal data are read: one of "+strings.Join(registry.Reasons, ", "))
	ErrErased       = problem.Conflict("person-erased", "this person was erased; the id names nobody any more")
	ErrNoGround     = problem.Invalid("ground-missing", "say on what ground the person is erased: one of "+strings.Join(registry.Grounds, ", "))
	ErrNoSuchToken  = problem.NotFound("no-such-token", "there is no such token")
	ErrTokenHolder  = problem.Invalid("token-holder", "a token acts for a person or with a role, not both and not neither")
	ErrTokenExpiry  = problem.Invalid("token-expiry", "a token expires in the future and within two years")
)

// Grant is a role and where it holds; no estate means everywhere.
type Grant struct {
	Role   registry.Role
	Estate string
}

// Person is the state of a person's stream.
type Person struct {
	ID     string
	Kind   string
	Grants []Grant
	Codes  []registry.LoginCodeMade // the latest, oldest first
	Erased bool
}

// keptCodes is how many login codes a person is shown.
const keptCodes = 5

// EvolvePerson applies one event.
func EvolvePerson(p Person, e registry.Event) Person {
	switch e := e.(type) {
	case registry.PersonRegistered:
		p.ID, p.Kind = e.Person, e.Kind
	case registry.RoleGranted:
		p.Grants = append(slices.Clone(p.Grants), Grant{e.Role, e.Estate})
	case registry.RoleRevoked:
		p.Grants = slices.DeleteFunc(slices.Clone(p.Grants), func(g Grant) bool { return g == Grant{e.Role, e.Estate} })
	case registry.LoginCodeMade:
		p.Codes = append(slices.Clone(p.Codes), e)
		p.Codes = p.Codes[max(0, len(p.Codes)-keptCodes):]
	case registry.PersonErased:
		p.Grants, p.Codes, p.Erased = nil, nil, true
	default: // reads and corrections change no decision
	}
	return p
}

// Exists returns an error where nobody is registered, or who was is erased.
func (p Person) Exists() error {
	switch {
	case p.ID == "":
		return ErrNoSuchPerson
	case p.Erased:
		return ErrErased
	}
	return nil
}

// RegisterPerson makes a person known by a random id. Of someone known already it
// records which fields of their data were replaced thereby.
type RegisterPerson struct {
	ID, Kind  string
	Corrected []string
}

// Decide implements es.Command.
func (c RegisterPerson) Decide(p Person) ([]registry.Event, error) {
	switch {
	case p.ID != "":
		return CorrectPersonalData{c.Corrected}.Decide(p)
	case c.Kind != registry.Natural && c.Kind != registry.Legal:
		return nil, ErrOwnerKind
	}
	return []registry.Event{registry.PersonRegistered{Person: c.ID, Kind: c.Kind}}, nil
}

// CorrectPersonalData records which fields of the vault were corrected.
type CorrectPersonalData struct{ Fields []string }

// Decide implements es.Command.
func (c CorrectPersonalData) Decide(p Person) ([]registry.Event, error) {
	if err := p.Exists(); err != nil || len(c.Fields) == 0 {
		return nil, err
	}
	return []registry.Event{registry.PersonalDataCorrected{Person: p.ID, Fields: c.Fields}}, nil
}

// ReadPersonalData records that someone reads personal data, before they do.
type ReadPersonalData struct {
	Reader string
	Fields []string
	Reason string
	At     time.Time
}

// Decide implements es.Command.
func (c ReadPersonalData) Decide(p Person) ([]registry.Event, error) {
	if err := p.Exists(); err != nil {
		return nil, err
	}
	if !slices.Contains(registry.Reasons, c.Reason) {
		return nil, ErrNoReason
	}
	return []registry.Event{registry.PersonalDataRead{Person: p.ID, Reader: c.Reader, Fields: c.Fields, Reason: c.Reason, At: c.At}}, nil
}

// MakeLoginCode records that someone makes a login code, before it is handed out.
type MakeLoginCode struct {
	By      string
	Expires time.Time
}

// Decide implements es.Command.
func (c MakeLoginCode) Decide(p Person) ([]registry.Event, error) {
	if err := p.Exists(); err != nil {
		return nil, err
	}
	return []registry.Event{registry.LoginCodeMade{Person: p.ID, By: c.By, Expires: c.Expires}}, nil
}

// RequestCorrection records a person's wish, in their own sealed words.
type RequestCorrection struct{ Words codec.Sealed }

// Decide implements es.Command.
func (c RequestCorrection) Decide(p Person) ([]registry.Event, error) {
	if err := p.Exists(); err != nil {
		return nil, err
	}
	return []registry.Event{registry.CorrectionRequested{Person: p.ID, Words: c.Words}}, nil
}

// GrantRole gives a person a role.
type GrantRole Grant

// Decide implements es.Command.
func (c GrantRole) Decide(p Person) ([]registry.Event, error) {
	if err := p.Exists(); err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(registry.Roles, c.Role):
		return nil, ErrUnknownRole
	case c.Estate == "" && c.Role != registry.Administrator && c.Role != registry.Regulator:
		return nil, ErrRoleScope
	case slices.Contains(p.Grants, Grant(c)):
		return nil, nil
	}
	return []registry.Event{registry.RoleGranted{Person: p.ID, Role: c.Role, Estate: c.Estate}}, nil
}

// RevokeRole takes a role back.
type RevokeRole Grant

// Decide implements es.Command.
func (c RevokeRole) Decide(p Person) ([]registry.Event, error) {
	if err := p.Exists(); err != nil || !slices.Contains(p.Grants, Grant(c)) {
		return nil, err
	}
	return []registry.Event{registry.RoleRevoked{Person: p.ID, Role: c.Role, Estate: c.Estate}}, nil
}

// ErasePerson records that a person is erased, before their key is destroyed.
type ErasePerson struct {
	Ground string
	Unit   string // code of a unit they hold a title to; none: they hold none
	Roll   Roll
	Now    time.Time
}

// Roll says of the latest meeting with a ballot of a person whether it is over.
// The zero value is no such meeting.
type Roll struct {
	Running bool
	Known   time.Time // when its result was posted last; before, the deadline of voting
}

// challenge is how long the decisions of a meeting may be challenged in court, since
// the person knew of them (Supreme Court interpretation, art. 12).
const challenge = 1 // year

// daysOff is by how many days the last day of that year may move to the next working
// day (Civil Code art. 203), at most.
const daysOff = 10

// Decide implements es.Command.
//
// An owner, an officer and a voter are kept by law or by what they still owe
// others; that ends, and each refusal says when.
func (c ErasePerson) Decide(p Person) ([]registry.Event, error) {
	if p.Erased {
		return nil, nil
	}
	if err := p.Exists(); err != nil {
		return nil, err
	}
	office := slices.IndexFunc(p.Grants, func(g Grant) bool { return g.Role != registry.Resident })
	until := units.DayOf(units.After(c.Roll.Known, challenge, 0, daysOff+1)).Start()
	switch {
	case !slices.Contains(registry.Grounds, c.Ground):
		return nil, ErrNoGround
	case office >= 0:
		return nil, problem.Conflict("holds-office", "this person is "+string(p.Grants[office].Role)+
			", and who holds an office answers for it by name; take the role back first")
	case c.Unit != "":
		return nil, problem.Conflict("holds-title", "this person holds a title to unit "+c.Unit+
			", and an estate must know its owners; they may be erased once the title list names somebody else")
	case c.Roll.Running:
		return nil, problem.Conflict("on-a-roll", "this person is on the roll of a meeting that is not closed"+
			"; they may be erased a year after it is, for until then a court may be asked to cancel what it decides")
	case !c.Roll.Known.IsZero() && c.Now.Before(until):
		return nil, problem.Conflict("on-a-roll", "this person was on the roll of a meeting whose decisions a court may be asked to cancel; they may be erased from "+
			string(units.DayOf(until))+" on")
	}
	return []registry.Event{registry.PersonErased{Person: p.ID, Ground: c.Ground}}, nil
}

// Token is the state of a token's stream.
type Token struct {
	ID      string
	Person  string // acts as this person, or for a role
	Estate  string // where the role holds
	Revoked bool
}

// EvolveToken applies one event.
func EvolveToken(t Token, e registry.Event) Token {
	switch e := e.(type) {
	case registry.TokenIssued:
		t.ID, t.Person, t.Estate = e.Token, e.Person, e.Estate
	case registry.TokenRevoked:
		t.Revoked = true
	default: // events of other streams
	}
	return t
}

// longestToken bounds how long a token may live.
const longestToken = 2 * 365 * 24 * time.Hour

// IssueToken lets whoever knows the secret act.
type IssueToken struct {
	registry.TokenIssued
	Now time.Time
}

// Decide implements es.Command.
func (c IssueToken) Decide(t Token) ([]registry.Event, error) {
	switch {
	case t.ID != "":
		return nil, nil
	case (c.Person == "") == (c.Role == ""):
		return nil, ErrTokenHolder
	case c.Role != "" && !slices.Contains(registry.Roles, c.Role):
		return nil, ErrUnknownRole
	case c.Role != "" && c.Estate == "" && c.Role != registry.Administrator && c.Role != registry.Regulator:
		return nil, ErrRoleScope
	case !c.Expires.After(c.Now) || c.Expires.After(c.Now.Add(longestToken)):
		return nil, ErrTokenExpiry
	}
	return []registry.Event{c.TokenIssued}, nil
}

// RevokeToken ends a token at once.
type RevokeToken struct{}

// Decide implements es.Command.
func (RevokeToken) Decide(t Token) ([]registry.Event, error) {
	switch {
	case t.ID == "":
		return nil, ErrNoSuchToken
	case t.Revoked:
		return nil, nil
	}
	return []registry.Event{registry.TokenRevoked{Token: t.ID}}, nil
}
