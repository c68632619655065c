package meeting

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
)

// Estate is the scope of all owners; "building:5" is that of one building.
const Estate = "estate"

const buildingScope = "building:"

// Roll is an electorate: what is posted of it, its totals, and who is who.
type Roll struct {
	Public votes.Roll // posted; holds no people
	Heads  int64
	Area   units.CentiM2
	Scopes []votes.ScopeTotal // of every scope that a motion names
	Voters Voters             // not posted
}

// Voters says for every person with a title what they may do.
type Voters map[string]Voter

// Voter is an entry of the roll, or the reason why a person has none.
type Voter struct {
	Entry  string
	Reason votes.Reason
}

// Of returns what a person may do. "" is nobody we know.
func (v Voters) Of(person string) Voter {
	if voter, ok := v[person]; ok && person != "" {
		return voter
	}
	return Voter{Reason: votes.NotOnTheRoll}
}

// BuildRoll makes the electorate of a meeting from the units and titles of its
// estate; who is a head is said by package electorate. Entries are numbered by
// their first unit, so that the same papers give the same roll. A scope that
// holds no unit is an error.
func BuildRoll(id string, all []electorate.Unit, policy votes.Policy, motions []votes.Motion) (Roll, error) {
	heads := electorate.Heads(all, policy.ParkingCountsArea)
	for _, h := range heads {
		slices.SortFunc(h.Units, func(a, b electorate.Unit) int { return naturally(a.Code, b.Code) })
	}
	slices.SortFunc(heads, func(a, b electorate.Head) int { return naturally(a.Units[0].Code, b.Units[0].Code) })

	r := Roll{
		Public: votes.Roll{Meeting: id, Entries: make([]votes.Entry, len(heads))},
		Heads:  int64(len(heads)), Scopes: scopesOf(motions), Voters: Voters{},
	}
	for _, u := range all {
		for _, t := range u.Titles {
			r.Voters[t.Person] = Voter{Reason: votes.NotTheRepresentative} // unless an entry follows
		}
	}
	for i, h := range heads {
		e := entry(strconv.Itoa(i+1), h, r.Scopes)
		if h.Person != "" {
			r.Voters[h.Person] = Voter{Entry: e.Entry}
		}
		r.Public.Entries[i], r.Area = e, r.Area+e.Area
		for s := range r.Scopes {
			if area, ok := Weight(e, r.Scopes[s].Scope); ok {
				r.Scopes[s].Heads, r.Scopes[s].Area = r.Scopes[s].Heads+1, r.Scopes[s].Area+area
			}
		}
	}
	for i, m := range motions {
		if !slices.ContainsFunc(r.Scopes, func(s votes.ScopeTotal) bool { return s.Scope == m.Scope && s.Heads > 0 }) {
			return Roll{}, problem.Invalid("unknown-scope", "no unit that gives a vote is in the scope of a motion",
				problem.Field{Name: fmt.Sprintf("motions[%d].scope", i), Detail: "is estate, or building: and a building of the estate"})
		}
	}
	return r, nil
}

// entry is what is posted of a head.
func entry(number string, h electorate.Head, scopes []votes.ScopeTotal) votes.Entry {
	e := votes.Entry{Entry: number, Units: []string{}, Buildings: []string{}, Area: h.Area, Developer: h.Developer}
	for _, u := range h.Units {
		e.Units = append(e.Units, u.Code)
		if u.Building != "" && !slices.Contains(e.Buildings, u.Building) {
			e.Buildings = append(e.Buildings, u.Building)
		}
	}
	for _, s := range scopes {
		part := votes.ScopeTotal{Scope: s.Scope, Heads: 1}
		for _, u := range h.Units {
			if holds(s.Scope, u) {
				part.Area += u.Area
			}
		}
		if s.Scope != Estate && part.Area > 0 {
			e.ByScope = append(e.ByScope, part)
		}
	}
	return e
}

// Blob returns the bytes that are posted; RollFrozen names them by hash.
func (r Roll) Blob() []byte {
	b, err := json.Marshal(r.Public)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// Weight returns the area of an entry in a scope; false where it has none.
func Weight(e votes.Entry, scope string) (units.CentiM2, bool) {
	if scope == Estate {
		return e.Area, true
	}
	for _, s := range e.ByScope {
		if s.Scope == scope {
			return s.Area, true
		}
	}
	return 0, false
}

// scopesOf lists the scopes of motions, each once, with totals still to count.
func scopesOf(motions []votes.Motion) (scopes []votes.ScopeTotal) {
	for _, m := range motions {
		if !slices.ContainsFunc(scopes, func(s votes.ScopeTotal) bool { return s.Scope == m.Scope }) {
			scopes = append(scopes, votes.ScopeTotal{Scope: m.Scope})
		}
	}
	return scopes
}

// holds reports whether a unit is in a scope smaller than the estate.
func holds(scope string, u electorate.Unit) bool {
	building, ok := strings.CutPrefix(scope, buildingScope)
	return ok && building != "" && building == u.Building
}

// naturally compares codes as people do: 2-1-101 before 10-1-101.
func naturally(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		m, n := digits(x), digits(y)
		switch {
		case m > 0 && n > 0:
			p, q := strings.TrimLeft(x[:m], "0"), strings.TrimLeft(y[:n], "0")
			if c := cmp.Or(cmp.Compare(len(p), len(q)), strings.Compare(p, q)); c != 0 {
				return c
			}
			x, y = x[m:], y[n:]
		case x[0] != y[0]:
			return cmp.Compare(x[0], y[0])
		default:
			x, y = x[1:], y[1:]
		}
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// digits returns how many digits s starts with.
func digits(s string) int { return len(s) - len(strings.TrimLeft(s, "0123456789")) }
