// Package access tells every service who a token stands for and what they may
// do. It follows registry's events into memory: tokens, roles, and which person
// holds which titles. What is allowed stands in policies.cedar, for people to
// read.
//
// Every process keeps a [Directory] of its own; none asks another.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"go.opentelemetry.io/otel/metric"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

//go:embed policies.cedar
var policies []byte

// Owner is the role of whoever holds a title to a unit of an estate. It cannot
// be granted.
const Owner = "owner"

// A token is yimu_<id>_<secret>; the ledger holds the SHA-256 of the secret.
// That of a session is yimu_s_<secret>, and the vault holds it.
const (
	tokenPrefix = "yimu_"
	sessionID   = "s"
	maxSecret   = 128 // bytes of a secret anyone may send
)

// Token returns what its bearer sends. An id holds no underscore.
func Token(id, secret string) string { return tokenPrefix + id + "_" + secret }

// NewSecret returns 256 random bits, in base64.
func NewSecret() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// HashSecret returns what the ledger holds of a secret.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// Config is what a Directory is made of.
type Config struct {
	Store    es.Store
	Sessions *Sessions // nil: there are none
	Clock    service.Clock
	Log      *slog.Logger
	Meter    metric.Meter // nil: nothing is measured
}

// Unit is a unit that a person holds a title to.
type Unit struct {
	Estate string
	ID     string
	Code   string
	Votes  bool // this person votes for it
}

// Directory implements service.Access. It is empty until Run follows.
type Directory struct {
	config   Config
	policies *authz.Policies

	mu     sync.RWMutex
	tokens map[string]token
	people map[string]*person
	owners map[string][]*person // by unit id
	erased []string             // people, in the ledger's order
	// of who owns in one estate, which most people do and nothing else, by estate
	owning map[string]*published

	reached readmodel.Progress
}

var _ service.Access = (*Directory)(nil)

type token struct {
	hash      [sha256.Size]byte
	expires   time.Time
	person    string          // acts as this person, or
	principal authz.Principal // as a program
}

// person is kept small: an estate has tens of thousands.
type person struct {
	id      string
	granted []authz.Grant
	units   []Unit
	erased  bool
	*published
}

// published is what is handed out of people. It is never changed.
type published struct {
	grants []authz.Grant // granted, and Owner of the estates of units
	roles  []string
}

// New returns a Directory with the policies of this package.
func New(config Config) (*Directory, error) {
	p, err := authz.Load("policies.cedar", policies)
	if err != nil {
		return nil, err
	}
	return &Directory{
		config: config, policies: p,
		tokens: map[string]token{}, people: map[string]*person{}, owners: map[string][]*person{}, owning: map[string]*published{},
	}, nil
}

var (
	errUnknown = problem.Unauthorized("token-unknown", "this token is unknown or was revoked")
	errExpired = problem.Unauthorized("token-expired", "this token has expired")
	errNobody  = problem.Unauthorized("login-needed", "log in, or send an access token")
)

// Authenticate returns who a token stands for, or a problem (401).
func (d *Directory) Authenticate(ctx context.Context, text string) (authz.Principal, error) {
	rest, ok := strings.CutPrefix(text, tokenPrefix)
	id, secret, found := strings.Cut(rest, "_")
	if !ok || !found || len(secret) > maxSecret {
		return authz.Principal{}, errUnknown
	}
	if id == sessionID {
		who, ok, err := d.config.Sessions.person(ctx, text)
		if err != nil {
			return authz.Principal{}, err
		}
		who, meeting, ballot := strings.Cut(who, ballotOf)
		if !ok || d.isErased(who) {
			return authz.Principal{}, problem.Unauthorized("session-ended", "this session has ended; log in again")
		}
		if ballot {
			return authz.Principal{ID: who, Meeting: meeting}, nil
		}
		return d.Principal(who), nil
	}

	var room [maxSecret]byte
	hash := sha256.Sum256(room[:copy(room[:], secret)])
	d.mu.RLock()
	t, known := d.tokens[id]
	d.mu.RUnlock()
	switch same := subtle.ConstantTimeCompare(hash[:], t.hash[:]) == 1; {
	case !known || !same || d.isErased(t.person):
		return authz.Principal{}, errUnknown
	case !d.config.Clock().Before(t.expires):
		return authz.Principal{}, errExpired
	case t.person != "":
		return d.Principal(t.person), nil
	}
	return t.principal, nil
}

// Principal returns a person with the roles they have now.
func (d *Directory) Principal(id string) authz.Principal {
	p := authz.Principal{ID: id, Person: id}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if known := d.people[id]; known != nil {
		p.Grants = known.grants
	}
	return p
}

// isErased says whether who logged in, or for whom a token acts, is nobody any more.
func (d *Directory) isErased(person string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p := d.people[person]
	return p != nil && p.erased
}

// Erased returns the people who are erased, in the ledger's order, without the
// first few.
func (d *Directory) Erased(without int) []string {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.Clone(d.erased[without:])
}

// aboutPerson are actions that concern a person as a whole. To grant a role is
// none: there no estate means all estates.
var aboutPerson = []string{"person.read", "person.correct", "login.invite"}

// Allow returns nil, or a problem: 401 for someone unknown, 403 for others. An
// action that no policy names is a mistake in the service, an internal error.
//
// Where the action is about a person and no estate is named, the person belongs
// to every estate where they hold a title or a role.
func (d *Directory) Allow(_ context.Context, p authz.Principal, action string, r authz.Resource) error {
	if !d.policies.Knows(action) {
		return fmt.Errorf("access: no policy names the action %q", action)
	}
	estates := []string(nil)
	if r.Type == "Person" && r.Person != "" {
		d.mu.RLock()
		if of := d.people[r.Person]; of != nil {
			r.Roles = of.roles
			if r.Estate == "" && slices.Contains(aboutPerson, action) {
				for _, g := range of.grants {
					if g.Estate != "" && !slices.Contains(estates, g.Estate) {
						estates = append(estates, g.Estate)
					}
				}
			}
		}
		d.mu.RUnlock()
	}
	if d.policies.Allow(p, action, r) {
		return nil
	}
	for _, r.Estate = range estates {
		if d.policies.Allow(p, action, r) {
			return nil
		}
	}
	if p.Anonymous() {
		return errNobody
	}
	return problem.Forbidden("not-allowed", "your roles do not allow this here ("+action+")")
}

// Units returns the units of an estate, or of all where none is named, that a
// person holds a title to, in no particular order.
func (d *Directory) Units(person, estate string) []Unit {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p := d.people[person]
	if p == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(p.units), func(u Unit) bool { return estate != "" && u.Estate != estate })
}

// VotingUnits returns those of Units for which the person votes.
func (d *Directory) VotingUnits(person, estate string) []Unit {
	return slices.DeleteFunc(d.Units(person, estate), func(u Unit) bool { return !u.Votes })
}

// Titles returns all units that a person holds a title to.
func (d *Directory) Titles(person string) []Unit { return d.Units(person, "") }

// Owners returns the people who hold a title to a unit.
func (d *Directory) Owners(unit string) (people []string) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, p := range d.owners[unit] {
		people = append(people, p.id)
	}
	return people
}

// Run follows registry's events until ctx ends, then it returns nil. Passing
// errors of the store are tried again for ever; an event that cannot be read
// ends it, for who may do what would not be known any more.
func (d *Directory) Run(ctx context.Context) error {
	const name = "access"
	lag := telemetry.NewMeter(d.config.Meter).Lag(name, d.Position)
	defer lag.Stop()
	err := service.Follow(ctx, d.config.Store, d.config.Log.With(slog.String("projection", name)), d.Position,
		func(b es.Batch) error {
			lag.Read(b)
			if err := d.fold(b.Events); err != nil {
				return err
			}
			d.reached.Advance(b.Through)
			return nil
		}, registry.TokenStream, registry.PersonStream, registry.UnitStream)
	d.reached.Stop(err)
	return err
}

// Position returns up to where events are known.
func (d *Directory) Position() es.Position { return d.reached.Position() }

// WaitFor returns once events up to a position are known, or the error of ctx
// or of Run.
func (d *Directory) WaitFor(ctx context.Context, position es.Position) error {
	return d.reached.WaitFor(ctx, position)
}

func (d *Directory) fold(events []es.Recorded) error {
	if len(events) == 0 {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, rec := range events {
		event, err := registry.Codec.Decode(rec.Type, rec.Data)
		if err == nil {
			err = d.evolve(event)
		}
		if err != nil {
			return fmt.Errorf("access: %s@%d: %w", rec.Stream, rec.Revision, err)
		}
	}
	return nil
}

// evolve folds one event. The lock is held.
func (d *Directory) evolve(event registry.Event) error {
	switch e := event.(type) {
	case registry.TokenIssued:
		t := token{expires: e.Expires, person: e.Person}
		if n, err := hex.Decode(t.hash[:], []byte(e.Hash)); err != nil || n != len(t.hash) {
			return fmt.Errorf("token %s: its hash is no SHA-256", e.Token)
		}
		if e.Person == "" {
			t.principal = authz.Principal{ID: "token:" + e.Token}
			if slices.Contains(registry.Roles, e.Role) {
				t.principal.Grants = []authz.Grant{{Role: string(e.Role), Estate: e.Estate}}
			}
		}
		d.tokens[e.Token] = t
	case registry.TokenRevoked:
		delete(d.tokens, e.Token)
	case registry.RoleGranted:
		p, g := d.person(e.Person), authz.Grant{Role: string(e.Role), Estate: e.Estate}
		if slices.Contains(registry.Roles, e.Role) && !slices.Contains(p.granted, g) {
			p.granted = append(p.granted, g)
			d.publish(p)
		}
	case registry.RoleRevoked:
		p, g := d.person(e.Person), authz.Grant{Role: string(e.Role), Estate: e.Estate}
		p.granted = slices.DeleteFunc(p.granted, func(x authz.Grant) bool { return x == g })
		d.publish(p)
	case registry.PersonErased:
		p := d.person(e.Person)
		if !p.erased {
			d.erased = append(d.erased, e.Person)
		}
		p.granted, p.erased = nil, true
		d.publish(p)
	case registry.TitlesStated:
		d.title(e.Estate, e.ID, e.Code, e.Titles)
	case registry.TitlesCorrected:
		d.title(e.Estate, e.ID, e.Code, e.Titles)
	case registry.EstateFounded, registry.EstateSet, registry.UnitRegistered, registry.UnitCorrected,
		registry.PersonRegistered, registry.PersonalDataCorrected, registry.PersonalDataRead, registry.LoginCodeMade,
		registry.CorrectionRequested:
	}
	return nil
}

// title states anew who owns a unit.
func (d *Directory) title(estate, id, code string, titles []registry.Title) {
	for _, p := range d.owners[id] {
		p.units = slices.DeleteFunc(p.units, func(u Unit) bool { return u.ID == id })
		d.publish(p)
	}
	estate = unique.Make(estate).Value() // one for all of its units
	owners := make([]*person, 0, len(titles))
	for _, t := range titles {
		p := d.person(t.Person)
		if slices.Contains(owners, p) {
			continue
		}
		owners = append(owners, p)
		p.units = append(p.units, Unit{estate, id, code, t.Votes})
		d.publish(p)
	}
	d.owners[id] = owners
}

// nothing is what is published of who is known and was given nothing.
var nothing = &published{}

func (d *Directory) person(id string) *person {
	p := d.people[id]
	if p == nil {
		p = &person{id: id, published: nothing}
		d.people[id] = p
	}
	return p
}

// publish makes anew what is handed out of a person.
func (d *Directory) publish(p *person) {
	grants := slices.Clone(p.granted)
	for _, u := range p.units {
		if g := (authz.Grant{Role: Owner, Estate: u.Estate}); !slices.Contains(grants, g) {
			grants = append(grants, g)
		}
	}
	owns := len(p.granted) == 0 && len(grants) == 1
	if owns {
		if same, ok := d.owning[grants[0].Estate]; ok {
			p.published = same
			return
		}
	}
	p.published = &published{grants: grants}
	for _, g := range grants {
		if !slices.Contains(p.roles, g.Role) {
			p.roles = append(p.roles, g.Role)
		}
	}
	if owns {
		d.owning[grants[0].Estate] = p.published
	}
}
