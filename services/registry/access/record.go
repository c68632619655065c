package access

import (
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/services/internal/facts"
)

// tokenSlack is how long before a commit its token may have expired: who sends a
// paper is asked once, and it may have many rows.
const tokenSlack = time.Hour

// Record answers who might do what when something was decided. It is a Directory
// of the past, by the same events and the same policies.
type Record struct {
	now    *Directory
	people map[string]*facts.Known[holder]
	tokens map[string]*facts.Known[token]
	known  map[question]bool // answers are few: most people hold the same roles
}

var _ facts.Rights = (*Record)(nil)

// holder is what a person holds.
type holder struct {
	grants []authz.Grant
	roles  []string
	key    string // of grants
	erased bool   // is nobody any more
}

// question is all that policies may ask about.
type question struct {
	grants, action, estate, roles string
	program, self, nobody         bool
}

// NewRecord returns a Record of nothing.
func NewRecord() (*Record, error) {
	d, err := New(Config{})
	if err != nil {
		return nil, err
	}
	return &Record{d, map[string]*facts.Known[holder]{}, map[string]*facts.Known[token]{}, map[question]bool{}}, nil
}

// Take keeps what a commit of the registry changes.
func (r *Record) Take(c *facts.Commit) {
	for _, f := range c.Facts {
		event, ok := f.Event.(registry.Event)
		if !ok {
			return
		}
		var changed []string // people
		issued := ""
		switch e := event.(type) {
		case registry.RoleGranted:
			changed = []string{e.Person}
		case registry.RoleRevoked:
			changed = []string{e.Person}
		case registry.PersonErased:
			changed = []string{e.Person}
		case registry.TitlesStated:
			changed = r.titled(e.ID, e.Titles)
		case registry.TitlesCorrected:
			changed = r.titled(e.ID, e.Titles)
		case registry.TokenIssued:
			issued = e.Token
		case registry.TokenRevoked:
			issued = e.Token
		default: // nobody may do more or less by it
		}
		if err := r.now.evolve(event); err != nil {
			c.Break("unreadable", "%v", err)
		}
		for _, id := range changed {
			r.person(c, id)
		}
		if issued != "" {
			r.token(c, issued)
		}
	}
}

func (r *Record) titled(unit string, titles []registry.Title) []string {
	people := r.now.Owners(unit)
	for _, t := range titles {
		people = append(people, t.Person)
	}
	return people
}

func (r *Record) person(c *facts.Commit, id string) {
	k := r.people[id]
	if k == nil {
		k = &facts.Known[holder]{}
		r.people[id] = k
	}
	p := r.now.people[id]
	h := holder{grants: p.grants, roles: p.roles, erased: p.erased}
	var key strings.Builder
	for _, g := range p.grants {
		key.WriteString(g.Role + "@" + g.Estate + " ")
	}
	if h.key = key.String(); h.key != k.Now().key || h.erased {
		k.Set(c, h)
	}
}

func (r *Record) token(c *facts.Commit, id string) {
	k := r.tokens[id]
	if k == nil {
		k = &facts.Known[token]{}
		r.tokens[id] = k
	}
	k.Set(c, r.now.tokens[id]) // the zero token is none
}

// Owners implements facts.Rights.
func (r *Record) Owners(unit string) []string { return r.now.Owners(unit) }

// Of implements facts.Rights.
func (r *Record) Of(c *facts.Commit, person string, holds func(authz.Principal) bool) facts.Answer {
	k := r.people[person]
	if k == nil {
		k = &facts.Known[holder]{}
	}
	return k.Ask(c, func(h holder) bool { return holds(authz.Principal{ID: person, Person: person, Grants: h.grants}) })
}

// Allowed implements facts.Rights.
func (r *Record) Allowed(c *facts.Commit, action string, of authz.Resource) facts.Answer {
	return r.ask(c, func(who authz.Principal, key string) bool { return r.allowed(c, who, key, action, of) })
}

// Anywhere implements facts.Rights.
func (r *Record) Anywhere(c *facts.Commit, action string) facts.Answer {
	return r.ask(c, func(who authz.Principal, key string) bool {
		return slices.ContainsFunc(who.Grants, func(g authz.Grant) bool {
			return r.allows(who, key, action, authz.Resource{Type: "Estate", ID: g.Estate, Estate: g.Estate})
		})
	})
}

// Elsewhere says whether the actor of a commit holds something for another estate
// than the given one.
func (r *Record) Elsewhere(c *facts.Commit, estate string) bool {
	return r.ask(c, func(who authz.Principal, _ string) bool {
		return slices.ContainsFunc(who.Grants, func(g authz.Grant) bool { return g.Estate != "" && g.Estate != estate })
	}) != facts.Wrong
}

// ask finds what the actor of a commit held.
func (r *Record) ask(c *facts.Commit, holds func(who authz.Principal, key string) bool) facts.Answer {
	actor := c.Meta().Actor
	if id, program := strings.CutPrefix(actor, "token:"); program {
		k := r.tokens[id]
		if k == nil {
			return facts.Wrong
		}
		return k.Ask(c, func(t token) bool {
			key := ""
			for _, g := range t.principal.Grants {
				key = g.Role + "@" + g.Estate + " "
			}
			return t.principal.ID == actor && c.Created().Add(-tokenSlack).Before(t.expires) && holds(t.principal, key)
		})
	}
	if strings.Contains(actor, ":") || actor == "" {
		return facts.Wrong // a reaction, or nobody
	}
	k := r.people[actor]
	if k == nil {
		k = &facts.Known[holder]{}
	}
	return k.Ask(c, func(h holder) bool {
		return !h.erased && holds(authz.Principal{ID: actor, Person: actor, Grants: h.grants}, h.key)
	})
}

// allowed asks as Directory.Allow does.
func (r *Record) allowed(c *facts.Commit, who authz.Principal, key, action string, of authz.Resource) bool {
	if of.Type != "Person" || of.Person == "" {
		return r.allows(who, key, action, of)
	}
	k := r.people[of.Person]
	if k == nil {
		k = &facts.Known[holder]{}
	}
	return k.Ask(c, func(h holder) bool {
		of := of
		of.Roles = h.roles
		if r.allows(who, key, action, of) {
			return true
		}
		if of.Estate != "" || !slices.Contains(aboutPerson, action) {
			return false
		}
		return slices.ContainsFunc(h.grants, func(g authz.Grant) bool {
			of.Estate = g.Estate
			return r.allows(who, key, action, of)
		})
	}) != facts.Wrong
}

// allows asks the policies, once for all who hold the same.
func (r *Record) allows(who authz.Principal, key, action string, of authz.Resource) bool {
	if len(of.Owners) > 0 {
		return r.now.policies.Allow(who, action, of)
	}
	q := question{
		grants: key, action: action, estate: of.Estate, roles: strings.Join(of.Roles, " "),
		program: who.Person == "", self: who.Person != "" && who.Person == of.Person, nobody: of.Person == "",
	}
	answer, ok := r.known[q]
	if !ok {
		answer = r.now.policies.Allow(who, action, of)
		r.known[q] = answer
	}
	return answer
}
