// Package electorate says who counts as one head, and with which area, when the
// owners of an estate decide: Supreme Court interpretation (法释, 2020-12-29),
// art. 8 and 9. It is a pure function of units and titles; votes freezes its
// answer into a roll, registry shows its totals.
package electorate

import (
	"cmp"
	"slices"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// Unit is a unit with its titles.
type Unit struct {
	registry.Unit
	ID     string
	Titles []registry.Title
}

// Head is one voter (人数): all units they vote for, as one.
type Head struct {
	Person    string // who votes; "" where no titleholder of any of the units does
	Units     []Unit // by code
	Area      units.CentiM2
	Developer bool // votes for unsold and undelivered stock
}

// Counts says whether a unit gives a head and area. Parking does so only where
// the estate's rules say it (宁波 excludes it, national law is silent).
func (u Unit) Counts(parking bool) bool { return parking || u.Use != registry.Parking }

// Voter returns the co-owner who votes for the unit, "" where none does.
func (u Unit) Voter() string {
	for _, t := range u.Titles {
		if t.Votes {
			return t.Person
		}
	}
	return ""
}

// Heads returns the electorate, ordered by the first code of each head.
//
// One unit is one head, and the owner of several is one head with the areas
// added up. Co-owners have one vote, cast by the one they named. All unsold and
// sold but undelivered stock is one head, the developer's, together with what
// the developer owns besides.
func Heads(all []Unit, parking bool) []Head {
	all = slices.SortedFunc(slices.Values(all), func(a, b Unit) int { return cmp.Compare(a.Code, b.Code) })
	developer := developerOf(all)
	index := map[string]int{}
	var heads []Head
	for _, u := range all {
		if !u.Counts(parking) {
			continue
		}
		undelivered := u.State != registry.Delivered
		voter, key := u.Voter(), u.Voter()
		switch {
		case undelivered:
			voter, key = developer, developer
			if developer == "" {
				key = "undelivered"
			}
		case voter == "":
			key = "unit/" + u.Code // nobody may vote for it, yet it is part of the whole
		}
		i, known := index[key]
		if !known {
			i = len(heads)
			index[key], heads = i, append(heads, Head{Person: voter})
		}
		h := &heads[i]
		h.Units, h.Area, h.Developer = append(h.Units, u), h.Area+u.Area, h.Developer || undelivered
	}
	return heads
}

// developerOf returns who holds the undelivered stock: the voting legal person
// of the first unsold unit, else of the first sold but undelivered one.
func developerOf(all []Unit) string {
	for _, state := range []string{registry.Unsold, registry.SoldUndelivered} {
		for _, u := range all {
			for _, t := range u.Titles {
				if u.State == state && t.Votes && t.Kind == registry.Legal {
					return t.Person
				}
			}
		}
	}
	return ""
}
