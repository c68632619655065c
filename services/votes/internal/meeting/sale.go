package meeting

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
)

// AmendRoll gives a unit to the head that votes for it now, where that is another
// than on the roll: it was sold during the vote (北京, seen), or its co-owners
// named another.
type AmendRoll struct {
	Frozen electorate.Unit // as the roll has it
	Entry  string          // of the roll that has it; "": none
	Voter  string          // person who votes by that entry
	Now    electorate.Unit // as the registry has it, with its titles
	Buyer  string          // entry of the roll of the person who votes for it now; "": none
	SeenAt uint64          // position as of which it is so
	At     time.Time       // when that was recorded
}

// Decide amends nothing where the roll can still be frozen anew, where voting is
// over, and in a meeting of the past: its papers say who voted. Stock that is not
// delivered stays the developer's, and a unit that is not on the roll stays off it.
func (c AmendRoll) Decide(m Meeting) ([]votes.Event, error) {
	person := c.Now.Voter()
	if !m.Posted() || m.Past || m.Closed || m.IsCancelled() || c.Entry == "" || c.SeenAt <= m.Roll.SeenAt || !c.At.Before(m.Notice.Closes) ||
		c.Now.State != registry.Delivered || person == "" {
		return nil, nil
	}
	from, voter, to, last := c.Entry, c.Voter, c.Buyer, m.Roll.Heads
	for _, a := range m.Amendments {
		if a.Unit == c.Frozen.Code {
			if a.SeenAt >= c.SeenAt {
				return nil, nil
			}
			from, voter = a.To, a.Person
		}
		if a.Person == person {
			to = a.To
		}
		last = max(last, numbered(a.To))
	}
	if voter == person {
		return nil, nil
	}
	if to == "" {
		to = strconv.FormatInt(last+1, 10)
	}
	amended := votes.RollAmended{
		Meeting: m.Meeting, RollUnit: rollUnit(c.Frozen), From: from, To: to, Person: person, SeenAt: c.SeenAt, At: c.At,
	}
	for _, s := range scopesOf(m.Motions) {
		if s.name != Estate && s.holds(c.Frozen) {
			amended.Scopes = append(amended.Scopes, s.name)
		}
	}
	return []votes.Event{amended}, nil
}

func rollUnit(u electorate.Unit) votes.RollUnit {
	return votes.RollUnit{Unit: u.Code, Building: u.Building, Stair: u.Stair, Area: u.Area, Basis: u.Basis}
}

// numbered is the number of an entry, 0 where it is none.
func numbered(entry string) int64 {
	n, err := strconv.ParseInt(entry, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != entry {
		return 0
	}
	return n
}

// Voter returns what a person may do: by the roll, or by an entry that they got by
// a sale.
func (m Meeting) Voter(onRoll Voter, person string) Voter {
	if onRoll.Entry == "" && person != "" {
		for _, a := range m.Amendments {
			if a.Person == person {
				return Voter{Entry: a.To}
			}
		}
	}
	return onRoll
}

// Joined returns an entry that the roll did not have when it was frozen, with what
// it ever had; false where there is none of that number.
func (m Meeting) Joined(entry string) (votes.Entry, bool) {
	e := votes.Entry{Entry: entry, Units: []string{}, Buildings: []string{}}
	if numbered(entry) <= m.Roll.Heads {
		return e, false
	}
	for _, a := range m.Amendments {
		if a.To == entry && !slices.Contains(e.Units, a.Unit) {
			e.Units = append(e.Units, a.Unit)
			if a.Building != "" && !slices.Contains(e.Buildings, a.Building) {
				e.Buildings = append(e.Buildings, a.Building)
			}
		}
	}
	return e, len(e.Units) > 0
}

// in says whether a unit that changed hands is in the scope of a motion.
func in(a votes.RollAmended, motion votes.Motion) bool {
	return motion.Scope == Estate || slices.Contains(a.Scopes, ScopeOf(motion))
}

// concerns says whether an entry has, or had until it sold, a unit in the scope of
// a motion. A ballot that was handed in before the sale may be entered after it.
func (m Meeting) concerns(e votes.Entry, motion votes.Motion) bool {
	if area, _ := Weight(e, motion); area > 0 {
		return true
	}
	return slices.ContainsFunc(m.Amendments, func(a votes.RollAmended) bool { return a.To == e.Entry && in(a, motion) })
}

// Holds returns the area in the scope of a motion of the units that an entry has
// now. Whose ballot counts for them is another question: see [Meeting.Holdings].
func (m Meeting) Holds(e votes.Entry, motion votes.Motion) units.CentiM2 {
	area, _ := Weight(e, motion)
	for _, a := range m.Amendments {
		switch {
		case !in(a, motion):
		case a.From == e.Entry:
			area -= a.Area
		case a.To == e.Entry:
			area += a.Area
		}
	}
	return area
}

// sold counts the units in the scope of a motion that the head of a ballot had
// sold before it was handed in.
func (m Meeting) sold(t Taken, motion string) (n int) {
	if t.Amendments == 0 {
		return 0
	}
	of, _ := m.motion(motion)
	for _, a := range m.Amendments[:min(t.Amendments, len(m.Amendments))] {
		if a.From == t.Entry && in(a, of) {
			n++
		}
	}
	return n
}

// Traded lists the entries that had, or got, a unit that changed hands.
func (m Meeting) Traded() (entries []string) {
	for _, a := range m.Amendments {
		for _, e := range []string{a.From, a.To} {
			if !slices.Contains(entries, e) {
				entries = append(entries, e)
			}
		}
	}
	return entries
}

// Holdings say for how much an entry counts on each motion where units changed
// hands during the vote. Every unit counts once, with one head: the area of the
// electorate is that of the roll, and its heads are those who hold a unit. The zero
// value is that of a meeting in which nothing was sold.
type Holdings struct {
	moved  map[string]map[string]units.CentiM2 // by motion and entry: more or less than on the roll
	heads  map[string]int64                    // by motion: more or less than on the roll
	reason map[string]map[string]votes.Reason  // by motion and entry: why nothing is left to count
}

// Holdings settles who votes for the units that changed hands, from what the
// traded entries were on the roll and all ballots that they cast, opened.
func (m Meeting) Holdings(onRoll map[string]votes.Entry, taken map[string][]Taken) Holdings {
	if len(m.Amendments) == 0 {
		return Holdings{}
	}
	h := Holdings{moved: map[string]map[string]units.CentiM2{}, heads: map[string]int64{}, reason: map[string]map[string]votes.Reason{}}
	voted := map[string]map[string]int{} // by motion and entry: amendments before the ballot that stands
	for entry, ballots := range taken {
		for i, reasons := range m.Settle(ballots) {
			for j, reason := range reasons {
				id := ballots[i].Motions[j]
				if voted[id] == nil {
					voted[id] = map[string]int{}
				}
				if reason == "" {
					voted[id][entry] = ballots[i].Amendments
				}
			}
		}
	}
	for _, motion := range m.Motions {
		moved, outvoted := m.settle(motion, voted[motion.ID])
		h.moved[motion.ID], h.reason[motion.ID] = moved, map[string]votes.Reason{}
		for _, entry := range m.Traded() {
			was, _ := Weight(onRoll[entry], motion)
			is := was + moved[entry]
			if was > 0 {
				h.heads[motion.ID]--
			}
			switch {
			case is > 0:
				h.heads[motion.ID]++
			case outvoted[entry]:
				h.reason[motion.ID][entry] = votes.SellerVoted
			default:
				h.reason[motion.ID][entry] = votes.NotInScope
			}
		}
	}
	return h
}

// settle gives each unit in scope that changed hands to the first of its holders
// whose ballot was there before they sold it, else to the last. voted says of an
// entry how many amendments were there before its ballot. It returns by how much
// each entry has more or less than on the roll, and who holds a unit now for which
// a seller's ballot stands.
func (m Meeting) settle(motion votes.Motion, voted map[string]int) (moved map[string]units.CentiM2, outvoted map[string]bool) {
	moved, outvoted = map[string]units.CentiM2{}, map[string]bool{}
	settled := map[string]bool{}
	for i, a := range m.Amendments {
		if settled[a.Unit] || !in(a, motion) {
			continue
		}
		settled[a.Unit] = true
		first, holder, stands := a.From, a.From, false
		for j, sale := range m.Amendments[i:] {
			if sale.Unit != a.Unit {
				continue
			}
			before, ok := voted[sale.From]
			if stands = stands || ok && before <= i+j; stands {
				outvoted[sale.To] = true
				continue
			}
			holder = sale.To
		}
		moved[first] -= a.Area
		moved[holder] += a.Area
	}
	return moved, outvoted
}

// Weight returns for how much an entry counts on a motion.
func (h Holdings) Weight(e votes.Entry, motion votes.Motion) units.CentiM2 {
	area, _ := Weight(e, motion)
	return area + h.moved[motion.ID][e.Entry]
}

// Electorate returns the heads and the area in the scope of a motion.
func (h Holdings) Electorate(m Meeting, motion votes.Motion) votes.ScopeTotal {
	of := m.Electorate(motion)
	of.Heads += h.heads[motion.ID]
	return of
}

// Settle is [Meeting.Settle], and says where a head has no unit left to vote for.
func (h Holdings) Settle(m Meeting, taken []Taken) [][]votes.Reason {
	settled := m.Settle(taken)
	for i, t := range taken {
		for j, id := range t.Motions {
			if settled[i][j] == "" {
				settled[i][j] = h.reason[id][t.Entry]
			}
		}
	}
	return settled
}

// Turnout puts right for units that changed hands how many heads with which area
// in a scope have voted: counted is what the entries of the roll make, and voted
// says of each traded entry that has how many amendments were there before.
func (m Meeting) Turnout(counted votes.ScopeTotal, onRoll map[string]votes.Entry, voted map[string]int) votes.ScopeTotal {
	scope := votes.Motion{Scope: cmp.Or(counted.Scope, Estate)}
	moved, _ := m.settle(scope, voted)
	for _, entry := range m.Traded() {
		if _, ok := voted[entry]; !ok {
			continue
		}
		was, _ := Weight(onRoll[entry], scope)
		if was > 0 {
			counted.Heads, counted.Area = counted.Heads-1, counted.Area-was
		}
		if is := was + moved[entry]; is > 0 {
			counted.Heads, counted.Area = counted.Heads+1, counted.Area+is
		}
	}
	return counted
}

// Heads puts right for units that changed hands how many heads a scope has: all is
// what the roll says, and voted is as of [Meeting.Turnout].
func (m Meeting) Heads(all votes.ScopeTotal, onRoll map[string]votes.Entry, voted map[string]int) votes.ScopeTotal {
	scope := votes.Motion{Scope: cmp.Or(all.Scope, Estate)}
	moved, _ := m.settle(scope, voted)
	for _, entry := range m.Traded() {
		was, _ := Weight(onRoll[entry], scope)
		if was > 0 {
			all.Heads--
		}
		if was+moved[entry] > 0 {
			all.Heads++
		}
	}
	return all
}
