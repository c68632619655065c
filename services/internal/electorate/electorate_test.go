package electorate_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
)

// unit is a delivered home whose only owner votes for it.
func unit(code string, area units.CentiM2, owner string) electorate.Unit {
	return electorate.Unit{
		ID:     code,
		Unit:   registry.Unit{Code: code, Use: registry.Home, Area: area, Basis: registry.BasisRegister, State: registry.Delivered},
		Titles: []registry.Title{{Person: owner, Kind: registry.Natural, Part: 1, Whole: 1, Votes: true}},
	}
}

func used(u electorate.Unit, use string) electorate.Unit { u.Use = use; return u }

// stock is a unit that was not handed over, held by a company.
func stock(code string, area units.CentiM2, state, holder string) electorate.Unit {
	u := unit(code, area, holder)
	u.State, u.Titles[0].Kind = state, registry.Legal
	return u
}

func owned(u electorate.Unit, titles ...registry.Title) electorate.Unit { u.Titles = titles; return u }

// describe says who votes for which units with which area, as text.
func describe(heads []electorate.Head) (lines []string) {
	for _, h := range heads {
		var codes []string
		for _, u := range h.Units {
			codes = append(codes, u.Code)
		}
		line := fmt.Sprintf("%s: %s %d", h.Person, strings.Join(codes, "+"), h.Area)
		if h.Developer {
			line += " developer"
		}
		lines = append(lines, line)
	}
	return lines
}

func TestHeads(t *testing.T) {
	half := func(person string, votes bool) registry.Title {
		return registry.Title{Person: person, Kind: registry.Natural, Part: 1, Whole: 2, Votes: votes}
	}
	for _, c := range []struct {
		name    string
		units   []electorate.Unit
		parking bool
		want    []string
	}{
		{name: "no units, no heads"},
		{"one owner of one unit is one head with its area (interpretation art. 8 and 9)",
			[]electorate.Unit{unit("1", 8990, "a")}, false, []string{"a: 1 8990"}},
		{"each unit is one head (art. 9)",
			[]electorate.Unit{unit("1", 100, "a"), unit("2", 200, "b")}, false, []string{"a: 1 100", "b: 2 200"}},
		{"the owner of several units is one head, the areas add up (art. 9)",
			[]electorate.Unit{unit("1", 100, "a"), unit("2", 200, "b"), unit("3", 300, "a")}, false, []string{"a: 1+3 400", "b: 2 200"}},
		{"all units of one owner are one head of the whole",
			[]electorate.Unit{unit("1", 100, "a"), used(unit("2", 200, "a"), registry.Shop)}, false, []string{"a: 1+2 300"}},
		{"shops count as homes do (art. 8)",
			[]electorate.Unit{used(unit("1", 100, "a"), registry.Shop)}, false, []string{"a: 1 100"}},
		{"parking gives neither head nor area (宁波)",
			[]electorate.Unit{unit("1", 100, "a"), used(unit("P1", 1200, "a"), registry.Parking), used(unit("P2", 1200, "c"), registry.Parking)}, false, []string{"a: 1 100"}},
		{"where the estate's rules say so parking counts",
			[]electorate.Unit{unit("1", 100, "a"), used(unit("P1", 1200, "a"), registry.Parking), used(unit("P2", 1200, "c"), registry.Parking)}, true,
			[]string{"a: 1+P1 1300", "c: P2 1200"}},
		{"co-owners have one vote, cast by the one they named (宁波 art. 18, 北京)",
			[]electorate.Unit{owned(unit("1", 100, ""), half("a", false), half("b", true))}, false, []string{"b: 1 100"}},
		{"who votes for one unit and co-owns another votes for one",
			[]electorate.Unit{unit("1", 100, "a"), owned(unit("2", 200, ""), half("a", false), half("b", true))}, false, []string{"a: 1 100", "b: 2 200"}},
		{"where nobody votes the unit is part of the whole all the same",
			[]electorate.Unit{owned(unit("1", 100, ""), half("a", false), half("b", false)), owned(unit("2", 200, "")), unit("3", 300, "a")}, false,
			[]string{": 1 100", ": 2 200", "a: 3 300"}},
		{"unsold and undelivered stock is one head, the developer's (art. 9)",
			[]electorate.Unit{unit("1", 100, "a"), stock("2", 200, registry.Unsold, "d"), stock("3", 300, registry.SoldUndelivered, "d")}, false,
			[]string{"a: 1 100", "d: 2+3 500 developer"}},
		{"the buyer of an undelivered unit does not vote for it yet (art. 9)",
			[]electorate.Unit{stock("1", 100, registry.Unsold, "d"), func() electorate.Unit { u := unit("2", 200, "a"); u.State = registry.SoldUndelivered; return u }()}, false,
			[]string{"d: 1+2 300 developer"}},
		{"what the developer owns besides joins its head",
			[]electorate.Unit{unit("1", 100, "d"), stock("2", 200, registry.Unsold, "d")}, false, []string{"d: 1+2 300 developer"}},
		{"all stock is the developer's",
			[]electorate.Unit{stock("1", 100, registry.Unsold, "d"), stock("2", 200, registry.Unsold, "d")}, false, []string{"d: 1+2 300 developer"}},
		{"stock without a company is one head that nobody votes for",
			[]electorate.Unit{owned(stock("1", 100, registry.Unsold, "")), owned(stock("2", 200, registry.SoldUndelivered, "")), unit("3", 300, "a")}, false,
			[]string{": 1+2 300 developer", "a: 3 300"}},
		{"undelivered parking gives nothing either",
			[]electorate.Unit{used(stock("P1", 1200, registry.Unsold, "d"), registry.Parking)}, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := describe(electorate.Heads(c.units, c.parking)); !slices.Equal(got, c.want) {
				t.Fatalf("heads %q, want %q", got, c.want)
			}
		})
	}
}

// estates draws estates with every kind of unit and owner.
func estates(t *rapid.T) []electorate.Unit {
	owners := []string{"a", "b", "c", "d", "e"}
	n := rapid.IntRange(0, 40).Draw(t, "units")
	all := make([]electorate.Unit, n)
	for i := range all {
		u := unit(fmt.Sprintf("%02d", i), units.CentiM2(rapid.Int64Range(1, 1e6).Draw(t, "area")), "")
		u.Use = rapid.SampledFrom([]string{registry.Home, registry.Shop, registry.Parking}).Draw(t, "use")
		u.State = rapid.SampledFrom([]string{registry.Delivered, registry.Delivered, registry.SoldUndelivered, registry.Unsold}).Draw(t, "state")
		u.Titles = nil
		voter := rapid.IntRange(-1, 2).Draw(t, "voter")
		for j := range rapid.IntRange(0, 3).Draw(t, "titles") {
			u.Titles = append(u.Titles, registry.Title{
				Person: rapid.SampledFrom(owners).Draw(t, "owner"), Part: 1, Whole: 3, Votes: j == voter,
				Kind: rapid.SampledFrom([]string{registry.Natural, registry.Legal}).Draw(t, "kind"),
			})
		}
		all[i] = u
	}
	return all
}

func TestEveryUnitThatCountsIsInOneHead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, parking := estates(t), rapid.Bool().Draw(t, "parking")
		in, people := map[string]int{}, map[string]bool{}
		var total units.CentiM2
		for _, h := range electorate.Heads(all, parking) {
			var area units.CentiM2
			for _, u := range h.Units {
				in[u.Code]++
				area += u.Area
			}
			if len(h.Units) == 0 || area != h.Area {
				t.Fatalf("a head of %d units and %d, which are %d", len(h.Units), h.Area, area)
			}
			if h.Person != "" && people[h.Person] {
				t.Fatalf("%s is two heads", h.Person)
			}
			people[h.Person] = true
			total += area
		}
		var whole units.CentiM2
		for _, u := range all {
			counted := parking || u.Use != registry.Parking
			if counted {
				whole += u.Area
			}
			if (in[u.Code] == 1) != counted || in[u.Code] > 1 {
				t.Fatalf("unit %s is in %d heads", u.Code, in[u.Code])
			}
		}
		if total != whole {
			t.Fatalf("heads hold %d, units that count %d", total, whole)
		}
	})
}

func TestTheOrderOfUnitsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := estates(t)
		want := electorate.Heads(all, false)
		seed := rapid.Uint64().Draw(t, "seed")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		given := slices.Clone(all)
		if got := electorate.Heads(all, false); !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, and shuffled %v", describe(want), describe(got))
		}
		if !reflect.DeepEqual(all, given) {
			t.Fatal("the units were moved")
		}
	})
}
