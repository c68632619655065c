// Package authz answers who may do what, by policies in Cedar
// (https://docs.cedarpolicy.com). It knows the shape of a question, and nothing
// of estates: roles, actions and rules stand in the policy file of whoever
// loads one.
//
// What a policy may speak of:
//
//   - principal is Person::"id", Program::"id" (a token that acts for nobody) or
//     Anonymous::"". It is in Role::"clerk" if it was granted that role for the
//     estate in question or for all estates, and in Everywhere::"clerk" if for
//     all. So scopes are the engine's business: a role granted for one estate
//     does not hold where a resource names none.
//   - action is Action::"name".
//   - resource is of any type, with resource.estate (a string, "" for none),
//     resource.person (the Person it is about, else Nobody::""), resource.roles
//     (a set of strings: all roles of that person, wherever they hold) and
//     resource.owners (a set of Person).
package authz

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/types"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
)

// Principal is who asks. The zero value is someone who is not logged in.
type Principal struct {
	ID     string  // a person's id, or "token:" and the id of a program's token
	Person string  // the person it acts as; none for a program
	Grants []Grant // never changed after it was handed out

	// Meeting is the one thing for which a ballot code was given in; ID is the
	// voter's then, and Person and Grants are empty: the voter can do nothing else.
	Meeting string
}

// Anonymous reports whether it is not known who asks.
func (p Principal) Anonymous() bool { return p.ID == "" }

// Has reports whether p was granted the role for the estate or for all.
func (p Principal) Has(role, estate string) bool {
	for _, g := range p.Grants {
		if g.Role == role && g.holds(estate) {
			return true
		}
	}
	return false
}

// Grant is a role for one estate or, where Estate is empty, for all.
type Grant struct{ Role, Estate string }

func (g Grant) holds(estate string) bool { return g.Estate == "" || g.Estate == estate }

// Resource is what an action is about.
type Resource struct {
	Type   string // in CamelCase, e.g. "Meeting"; "Resource" if empty
	ID     string
	Estate string   // the estate it belongs to
	Person string   // the person it is about or belongs to
	Roles  []string // that Person holds, for whatever estate
	Owners []string // persons who hold a title to it
}

// Policies is a set of policies, ready to be asked from many goroutines.
type Policies struct {
	byAction map[string]*rules
}

// rules are the policies for one action, and what they speak of: nothing else
// need be made for a decision.
type rules struct {
	list  []rule
	roles bool           // of the principal
	asks  []types.String // attributes of the resource
}

type rule struct {
	id     types.PolicyID
	policy *cedar.Policy
}

// add adds a policy, without the scope that is known to fit already.
func (rs *rules) add(id types.PolicyID, policy *xast.Policy) {
	p := *policy
	p.Action = xast.ScopeTypeAll{}
	rs.list = append(rs.list, rule{id, cedar.NewPolicyFromAST((*ast.Policy)(&p))})
	switch p.Principal.(type) {
	case xast.ScopeTypeIn, xast.ScopeTypeIsIn:
		rs.roles = true
	}
	for _, c := range p.Conditions {
		xast.Inspect(xast.NewNode(c.Body), func(n xast.IsNode) bool {
			switch n := n.(type) {
			case xast.NodeTypeIn, xast.NodeTypeIsIn:
				rs.roles = true
			case xast.NodeTypeAccess:
				if !slices.Contains(rs.asks, n.Value) {
					rs.asks = append(rs.asks, n.Value)
				}
			}
			return true
		})
	}
}

// All implements cedar.PolicyIterator.
func (rs *rules) All() iter.Seq2[types.PolicyID, *cedar.Policy] {
	return func(yield func(types.PolicyID, *cedar.Policy) bool) {
		for _, r := range rs.list {
			if !yield(r.id, r.policy) {
				return
			}
		}
	}
}

// Load reads a policy file. name is told in errors. Every permit must list its
// actions, so that what is not written there is refused; a forbid may be for
// all actions.
func Load(name string, text []byte) (*Policies, error) {
	list, err := cedar.NewPolicyListFromBytes(name, text)
	if err != nil {
		return nil, fmt.Errorf("authz: %w", err)
	}
	p := &Policies{map[string]*rules{}}
	var always []int
	for i, policy := range list {
		var actions []types.EntityUID
		switch scope := (*xast.Policy)(policy.AST()).Action.(type) {
		case xast.ScopeTypeEq:
			actions = []types.EntityUID{scope.Entity}
		case xast.ScopeTypeInSet:
			actions = scope.Entities
		default:
			if policy.Effect() == cedar.Permit || scope != (xast.ScopeTypeAll{}) {
				return nil, fmt.Errorf("authz: %s:%d: a permit must list its actions", name, policy.Position().Line)
			}
			always = append(always, i)
		}
		for _, a := range actions {
			p.of(string(a.ID)).add(id(i), (*xast.Policy)(policy.AST()))
		}
	}
	for _, of := range p.byAction {
		for _, i := range always {
			of.add(id(i), (*xast.Policy)(list[i].AST()))
		}
	}
	return p, nil
}

func id(i int) types.PolicyID { return types.PolicyID("policy" + strconv.Itoa(i)) }

func (p *Policies) of(action string) *rules {
	of := p.byAction[action]
	if of == nil {
		of = &rules{}
		p.byAction[action] = of
	}
	return of
}

// Actions returns every action the policies name, sorted.
func (p *Policies) Actions() []string { return slices.Sorted(maps.Keys(p.byAction)) }

// Knows reports whether a policy names the action: one that none names is
// refused to everybody, which is likely a slip of the pen.
func (p *Policies) Knows(action string) bool { return p.byAction[action] != nil }

// Allow reports whether some policy permits and none forbids. An error in a
// policy, such as an attribute that there is not, refuses.
func (p *Policies) Allow(who Principal, action string, r Resource) bool {
	of := p.byAction[action]
	if of == nil {
		return false
	}
	q := question{principal: of.principal(who, r.Estate), resource: of.resource(r)}
	if q.principal.UID == q.resource.UID { // someone asks about themselves: one entity
		q.principal.Attributes = q.resource.Attributes
	}
	decision, diagnostic := cedar.Authorize(of, &q, cedar.Request{
		Principal: q.principal.UID, Action: types.EntityUID{Type: "Action", ID: types.String(action)}, Resource: q.resource.UID,
	})
	return decision == cedar.Allow && len(diagnostic.Errors) == 0
}

// principal makes the entity, with its roles where rs ask for them.
func (rs *rules) principal(who Principal, estate string) (e types.Entity) {
	switch {
	case who.Meeting != "":
		e.UID = types.EntityUID{Type: "Voter", ID: types.String(who.ID)}
		e.Attributes = types.NewRecord(types.RecordMap{"person": person(who.ID), "meeting": types.String(who.Meeting)})
		return e
	case who.Person != "":
		e.UID = person(who.Person)
	case who.Anonymous():
		e.UID = types.EntityUID{Type: "Anonymous"}
	default:
		e.UID = types.EntityUID{Type: "Program", ID: types.String(who.ID)}
	}
	if !rs.roles {
		return e
	}
	var room [8]types.EntityUID
	parents := room[:0]
	for _, g := range who.Grants {
		if g.holds(estate) {
			parents = append(parents, types.EntityUID{Type: "Role", ID: types.String(g.Role)})
		}
		if g.Estate == "" {
			parents = append(parents, types.EntityUID{Type: "Everywhere", ID: types.String(g.Role)})
		}
	}
	if len(parents) > 0 {
		e.Parents = types.NewEntityUIDSet(parents...)
	}
	return e
}

// resource makes the entity with the attributes that rs ask for.
func (rs *rules) resource(r Resource) types.Entity {
	if r.Type == "" {
		r.Type = "Resource"
	}
	e := types.Entity{UID: types.EntityUID{Type: types.EntityType(r.Type), ID: types.String(r.ID)}}
	if len(rs.asks) == 0 {
		return e
	}
	attributes := make(types.RecordMap, len(rs.asks))
	for _, name := range rs.asks {
		switch name {
		case "id":
			attributes[name] = types.String(r.ID)
		case "estate":
			attributes[name] = types.String(r.Estate)
		case "person":
			attributes[name] = nobody
			if r.Person != "" {
				attributes[name] = person(r.Person)
			}
		case "roles":
			attributes[name] = set(r.Roles, func(role string) types.Value { return types.String(role) })
		case "owners":
			attributes[name] = set(r.Owners, func(id string) types.Value { return person(id) })
		}
	}
	e.Attributes = types.NewRecord(attributes)
	return e
}

var nobody = types.EntityUID{Type: "Nobody"}

func set(members []string, value func(string) types.Value) types.Set {
	values := make([]types.Value, len(members))
	for i, m := range members {
		values[i] = value(m)
	}
	return types.NewSet(values...)
}

func person(id string) types.EntityUID {
	return types.EntityUID{Type: "Person", ID: types.String(id)}
}

// question holds the two entities of one request; a map would be slower.
type question struct {
	principal, resource types.Entity
}

// Get implements types.EntityGetter.
func (q *question) Get(uid types.EntityUID) (types.Entity, bool) {
	switch uid {
	case q.principal.UID:
		return q.principal, true
	case q.resource.UID:
		return q.resource, true
	}
	return types.Entity{}, false
}
