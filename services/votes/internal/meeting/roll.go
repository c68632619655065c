package meeting

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
)

// Scopes of a motion: whose question it is. "building:5" is that of one building,
// "stair:5-1" that of a stair (单元) of it, and Listed that of the affected owners,
// whose units the motion lists (上海 art. 69, 河南 art. 66).
const (
	Estate = "estate"
	Listed = "units"

	buildingScope = "building:"
	stairScope    = "stair:"
	listedScope   = "units:" // and the motion, in totals: each list is an electorate of its own
)

// ScopeOf names the electorate of a motion, as the totals of a roll do.
func ScopeOf(m votes.Motion) string {
	if m.Scope == Listed {
		return listedScope + m.ID
	}
	return m.Scope
}

// StairOf names the stair of a unit, as scopes do; "" where it has none.
func StairOf(u registry.Unit) string {
	if u.Building == "" || u.Stair == "" {
		return ""
	}
	return u.Building + "-" + u.Stair
}

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
// holds no unit is an error, as is a listed unit that gives no vote.
func BuildRoll(id string, all []electorate.Unit, policy votes.Policy, motions []votes.Motion) (Roll, error) {
	heads := electorate.Heads(all, policy.ParkingCountsArea)
	for _, h := range heads {
		slices.SortFunc(h.Units, func(a, b electorate.Unit) int { return naturally(a.Code, b.Code) })
	}
	slices.SortFunc(heads, func(a, b electorate.Head) int { return naturally(a.Units[0].Code, b.Units[0].Code) })

	scopes := scopesOf(motions)
	r := Roll{
		Public: votes.Roll{Meeting: id, Entries: make([]votes.Entry, len(heads))},
		Heads:  int64(len(heads)), Scopes: make([]votes.ScopeTotal, len(scopes)), Voters: Voters{},
	}
	for s := range scopes {
		r.Scopes[s].Scope = scopes[s].name
	}
	for _, u := range all {
		for _, t := range u.Titles {
			r.Voters[t.Person] = Voter{Reason: votes.NotTheRepresentative} // unless an entry follows
		}
	}
	for i, h := range heads {
		e, parts := entry(strconv.Itoa(i+1), h, scopes)
		if h.Person != "" {
			r.Voters[h.Person] = Voter{Entry: e.Entry}
		}
		r.Public.Entries[i], r.Area = e, r.Area+e.Area
		for s, area := range parts {
			if area > 0 {
				r.Scopes[s].Heads, r.Scopes[s].Area = r.Scopes[s].Heads+1, r.Scopes[s].Area+area
			}
		}
	}
	if wrong := unheld(motions, r.Scopes, scopes, heads); len(wrong) > 0 {
		return Roll{}, problem.Invalid("unknown-scope", "no unit that gives a vote is in the scope of a motion", wrong...)
	}
	if wrong := unlisted(motions, r.Public.Entries); len(wrong) > 0 {
		return Roll{}, problem.Invalid("unknown-candidate", "a candidate is an owner, and no unit of theirs is on the roll", wrong...)
	}
	return r, nil
}

// entry is what is posted of a head, and its area in each scope.
func entry(number string, h electorate.Head, scopes []scope) (e votes.Entry, parts []units.CentiM2) {
	e = votes.Entry{Entry: number, Units: []string{}, Buildings: []string{}, Area: h.Area, Developer: h.Developer}
	parts = make([]units.CentiM2, len(scopes))
	for _, u := range h.Units {
		e.Units = append(e.Units, u.Code)
		e.ByUnit = append(e.ByUnit, rollUnit(u))
		if u.Building != "" && !slices.Contains(e.Buildings, u.Building) {
			e.Buildings = append(e.Buildings, u.Building)
		}
		for s := range scopes {
			if scopes[s].holds(u) {
				parts[s] += u.Area
			}
		}
	}
	for s, area := range parts {
		if scopes[s].name != Estate && area > 0 {
			e.ByScope = append(e.ByScope, votes.ScopeTotal{Scope: scopes[s].name, Heads: 1, Area: area})
		}
	}
	return e, parts
}

// unheld says of which motions the scope is not to be found among the heads.
func unheld(motions []votes.Motion, totals []votes.ScopeTotal, scopes []scope, heads []electorate.Head) (wrong []problem.Field) {
	var codes map[string]bool // that give a vote
	buildings := map[string]string{}
	for i, m := range motions {
		at := slices.IndexFunc(scopes, func(s scope) bool { return s.name == ScopeOf(m) })
		if totals[at].Heads == 0 {
			wrong = append(wrong, problem.Field{Name: fmt.Sprintf("motions[%d].scope", i), Code: "unknown", Detail: inScopes})
			continue
		}
		if m.Scope != Listed && !strings.HasPrefix(m.Scope, stairScope) {
			continue
		}
		if codes == nil {
			codes = map[string]bool{}
			for _, h := range heads {
				for _, u := range h.Units {
					codes[u.Code] = true
					stair := stairScope + StairOf(u.Unit)
					if other, ok := buildings[stair]; ok && other != u.Building {
						buildings[stair] = "" // "1-2-3" may be stair 3 of 1-2, or 2-3 of 1
					} else if !ok {
						buildings[stair] = u.Building
					}
				}
			}
		}
		if m.Scope != Listed && buildings[m.Scope] == "" {
			wrong = append(wrong, problem.Field{Name: fmt.Sprintf("motions[%d].scope", i), Code: "ambiguous", Detail: "fits stairs of two buildings: list the units instead"})
		}
		for n, code := range m.Units {
			if m.Scope == Listed && !codes[code] {
				wrong = append(wrong, problem.Field{Name: fmt.Sprintf("motions[%d].units[%d]", i, n), Code: "unknown", Detail: code + " is no unit of the estate that gives a vote"})
			}
		}
	}
	return wrong
}

// inScopes says what a scope may be.
const inScopes = "is estate, building: and a building, stair: and building-stair such as stair:5-1, or units with a list of units"

// Forms of the blob that a roll is posted as. A roll stays in the form that it was
// frozen in, for its hash is of these bytes.
const (
	FormHeads = 0 // units by their codes
	FormUnits = 1 // and each with its area, and what that rests on
)

// As returns the roll as it is posted in a form.
func (r Roll) As(form int) Roll {
	if form >= FormUnits {
		return r
	}
	r.Public.Entries = slices.Clone(r.Public.Entries)
	for i := range r.Public.Entries {
		r.Public.Entries[i].ByUnit = nil
	}
	return r
}

// Blob returns the bytes that are posted; RollFrozen names them by hash.
func (r Roll) Blob() []byte {
	b, err := json.Marshal(r.Public)
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// Weight returns the area of an entry in the scope of a motion; false where it
// has none.
func Weight(e votes.Entry, m votes.Motion) (units.CentiM2, bool) { return weightIn(e, ScopeOf(m)) }

func weightIn(e votes.Entry, name string) (units.CentiM2, bool) {
	if name == Estate {
		return e.Area, true
	}
	for _, s := range e.ByScope {
		if s.Scope == name {
			return s.Area, true
		}
	}
	return 0, false
}

// Electorate returns the heads and the area in the scope of a motion, as the roll
// was frozen.
func (m Meeting) Electorate(motion votes.Motion) votes.ScopeTotal {
	for _, s := range m.Roll.Scopes {
		if s.Scope == ScopeOf(motion) {
			return s
		}
	}
	return votes.ScopeTotal{}
}

// scope is one electorate.
type scope struct {
	name  string
	holds func(electorate.Unit) bool
}

// scopesOf lists the scopes of motions, each once.
func scopesOf(motions []votes.Motion) (scopes []scope) {
	for _, m := range motions {
		if name := ScopeOf(m); !slices.ContainsFunc(scopes, func(s scope) bool { return s.name == name }) {
			scopes = append(scopes, scope{name, holds(m)})
		}
	}
	return scopes
}

// holds returns what tells whether a unit is in the scope of a motion.
func holds(m votes.Motion) func(electorate.Unit) bool {
	if m.Scope == Estate {
		return func(electorate.Unit) bool { return true }
	}
	if m.Scope == Listed {
		listed := make(map[string]bool, len(m.Units))
		for _, code := range m.Units {
			listed[code] = true
		}
		return func(u electorate.Unit) bool { return listed[u.Code] }
	}
	if building, ok := strings.CutPrefix(m.Scope, buildingScope); ok && building != "" {
		return func(u electorate.Unit) bool { return u.Building == building }
	}
	stair, ok := strings.CutPrefix(m.Scope, stairScope)
	return func(u electorate.Unit) bool {
		rest, found := strings.CutPrefix(stair, u.Building)
		return ok && found && u.Building != "" && u.Stair != "" && rest == "-"+u.Stair
	}
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
func digits(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}
