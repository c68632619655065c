package meeting_test

import (
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func unit(code, building string, area units.CentiM2, use, state string, titles ...registry.Title) electorate.Unit {
	return electorate.Unit{Unit: registry.Unit{Code: code, Building: building, Use: use, Area: area, State: state}, Titles: titles}
}

func owner(person string) registry.Title {
	return registry.Title{Person: person, Kind: registry.Natural, Part: 1, Whole: 1, Votes: true}
}

func company(person string) registry.Title {
	return registry.Title{Person: person, Kind: registry.Legal, Part: 1, Whole: 1, Votes: true}
}

func coOwner(person string) registry.Title {
	return registry.Title{Person: person, Kind: registry.Natural, Part: 1, Whole: 2}
}

func TestBuildRoll(t *testing.T) {
	home, delivered := registry.Home, registry.Delivered
	estate := []votes.Motion{{ID: "M1", Scope: meeting.Estate}}
	for _, c := range []struct {
		name    string
		units   []electorate.Unit
		parking bool
		heads   int64
		area    units.CentiM2
		voters  meeting.Voters
	}{
		{"art. 9: one owner of several units is one head", []electorate.Unit{
			unit("1-1", "1", 100, home, delivered, owner("an")), unit("1-2", "1", 50, home, delivered, owner("an")), unit("1-3", "1", 70, home, delivered, owner("bo")),
		}, false, 2, 220, meeting.Voters{"an": {Entry: "1"}, "bo": {Entry: "2"}}},
		{"co-owners have one vote, cast by the one they named", []electorate.Unit{
			unit("1-1", "1", 100, home, delivered, coOwner("an"), owner("bo")),
		}, false, 1, 100, meeting.Voters{"an": {Reason: votes.NotTheRepresentative}, "bo": {Entry: "1"}}},
		{"a co-owner who does not vote for this unit votes for another", []electorate.Unit{
			unit("1-1", "1", 100, home, delivered, coOwner("an"), owner("bo")), unit("1-2", "1", 40, home, delivered, owner("an")),
		}, false, 2, 140, meeting.Voters{"an": {Entry: "2"}, "bo": {Entry: "1"}}},
		{"art. 9: unsold and undelivered stock is one head, with what the developer owns besides", []electorate.Unit{
			unit("1-1", "1", 100, home, registry.Unsold, company("dev")), unit("1-2", "1", 100, home, registry.SoldUndelivered, owner("an")),
			unit("1-3", "1", 100, home, delivered, company("dev")), unit("1-4", "1", 10, home, delivered, owner("bo")),
		}, false, 2, 310, meeting.Voters{"an": {Reason: votes.NotTheRepresentative}, "bo": {Entry: "2"}, "dev": {Entry: "1"}}},
		{"stock of nobody we know is a head all the same", []electorate.Unit{
			unit("1-1", "1", 100, home, registry.Unsold), unit("1-2", "1", 100, home, delivered, owner("an")),
		}, false, 2, 200, meeting.Voters{"an": {Entry: "2"}}},
		{"a unit whose owner is not known is a head nobody votes for", []electorate.Unit{
			unit("1-1", "1", 100, home, delivered), unit("1-2", "1", 100, home, delivered),
		}, false, 2, 200, meeting.Voters{}},
		{"parking gives no area and no head", []electorate.Unit{
			unit("1-1", "1", 100, home, delivered, owner("an")), unit("P-1", "", 12, registry.Parking, delivered, owner("an")),
			unit("P-2", "", 12, registry.Parking, delivered, owner("bo")),
		}, false, 1, 100, meeting.Voters{"an": {Entry: "1"}, "bo": {Reason: votes.NotTheRepresentative}}},
		{"where parking counts, its owner is a head", []electorate.Unit{
			unit("1-1", "1", 100, home, delivered, owner("an")), unit("P-1", "", 12, registry.Parking, delivered, owner("an")),
			unit("P-2", "", 12, registry.Parking, delivered, owner("bo")),
		}, true, 2, 124, meeting.Voters{"an": {Entry: "1"}, "bo": {Entry: "2"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := meeting.BuildRoll("m", c.units, votes.Policy{ParkingCountsArea: c.parking}, estate)
			if err != nil {
				t.Fatal(err)
			}
			if r.Heads != c.heads || r.Area != c.area || !reflect.DeepEqual(r.Voters, c.voters) {
				t.Errorf("%d heads, %d area, %+v; want %d, %d, %+v", r.Heads, r.Area, r.Voters, c.heads, c.area, c.voters)
			}
			if got := r.Voters.Of("a stranger"); got.Reason != votes.NotOnTheRoll {
				t.Errorf("a stranger is %+v", got)
			}
		})
	}
}

func TestBuildRollByScope(t *testing.T) {
	list := []electorate.Unit{
		unit("10-1", "10", 70, registry.Home, registry.Delivered, owner("an")),
		unit("2-1", "2", 100, registry.Home, registry.Delivered, owner("an")),
		unit("2-2", "2", 50, registry.Home, registry.Delivered, owner("bo")),
	}
	r, err := meeting.BuildRoll("m", list, votes.Policy{}, []votes.Motion{{Scope: "building:10"}, {Scope: meeting.Estate}, {Scope: "building:10"}})
	if err != nil {
		t.Fatal(err)
	}
	wantScopes := []votes.ScopeTotal{{Scope: "building:10", Heads: 1, Area: 70}, {Scope: "estate", Heads: 2, Area: 220}}
	wantEntries := []votes.Entry{
		{Entry: "1", Units: []string{"2-1", "10-1"}, Buildings: []string{"2", "10"}, Area: 170, ByScope: []votes.ScopeTotal{{Scope: "building:10", Heads: 1, Area: 70}}},
		{Entry: "2", Units: []string{"2-2"}, Buildings: []string{"2"}, Area: 50},
	}
	if !reflect.DeepEqual(r.Scopes, wantScopes) || !reflect.DeepEqual(r.As(meeting.FormHeads).Public.Entries, wantEntries) {
		t.Errorf("got %+v\n%+v", r.Scopes, r.Public.Entries)
	}
	wantUnits := []votes.RollUnit{{Unit: "2-1", Building: "2", Area: 100}, {Unit: "10-1", Building: "10", Area: 70}}
	if got := r.Public.Entries[0].ByUnit; !reflect.DeepEqual(got, wantUnits) {
		t.Errorf("by unit %+v", got)
	}
}

// The denominators of four scopes, counted by hand. Building 5 has two stairs:
//
//	5-1-101  80.00  an          5-2-101  90.00  an
//	5-1-102  70.00  bo          5-2-102  60.00  unsold: the developer
//	5-1-103  50.00  undelivered, sold to ce: the developer
//	6-1-101 100.00  the developer's own, delivered   P-1 12.00 parking of bo
func TestDenominatorsByScope(t *testing.T) {
	at := func(u electorate.Unit, stair, basis string) electorate.Unit {
		u.Stair, u.Basis = stair, basis
		return u
	}
	home, delivered := registry.Home, registry.Delivered
	list := []electorate.Unit{
		at(unit("5-1-101", "5", 8000, home, delivered, owner("an")), "1", registry.BasisRegister),
		at(unit("5-1-102", "5", 7000, home, delivered, owner("bo")), "1", registry.BasisSurvey),
		at(unit("5-1-103", "5", 5000, home, registry.SoldUndelivered, owner("ce")), "1", registry.BasisContract),
		at(unit("5-2-101", "5", 9000, home, delivered, owner("an")), "2", registry.BasisRegister),
		at(unit("5-2-102", "5", 6000, home, registry.Unsold, company("dev")), "2", registry.BasisSurvey),
		at(unit("6-1-101", "6", 10000, home, delivered, company("dev")), "1", registry.BasisRegister),
		at(unit("P-1", "", 1200, registry.Parking, delivered, owner("bo")), "", registry.BasisRegister),
	}
	motions := []votes.Motion{
		{ID: "M1", Scope: "estate"}, {ID: "M2", Scope: "building:5"}, {ID: "M3", Scope: "stair:5-1"}, {ID: "M4", Scope: "stair:5-2"},
		{ID: "M5", Scope: "units", Units: []string{"5-1-102", "6-1-101"}}, {ID: "M6", Scope: "units", Units: []string{"5-1-103", "6-1-101"}},
	}
	r, err := meeting.BuildRoll("m", list, votes.Policy{}, motions)
	if err != nil {
		t.Fatal(err)
	}
	want := []votes.ScopeTotal{
		{Scope: "estate", Heads: 3, Area: 45000},     // an, bo, dev
		{Scope: "building:5", Heads: 3, Area: 35000}, // an 17000, bo 7000, dev 11000
		{Scope: "stair:5-1", Heads: 3, Area: 20000},  // an 8000, bo 7000, dev 5000
		{Scope: "stair:5-2", Heads: 2, Area: 15000},  // an 9000, dev 6000
		{Scope: "units:M5", Heads: 2, Area: 17000},   // bo 7000, dev 10000
		{Scope: "units:M6", Heads: 1, Area: 15000},   // dev, with stock and what it owns
	}
	if !reflect.DeepEqual(r.Scopes, want) {
		t.Errorf("%+v\nwant %+v", r.Scopes, want)
	}
	if r.Heads != 3 || r.Area != 45000 {
		t.Errorf("%d heads, %d", r.Heads, r.Area)
	}
	if got := r.Public.Entries[1].ByUnit; !reflect.DeepEqual(got, []votes.RollUnit{{Unit: "5-1-102", Building: "5", Stair: "1", Area: 7000, Basis: "实测"}}) {
		t.Errorf("art. 8: what the area rests on is lost: %+v", got)
	}
	for i, weight := range []units.CentiM2{17000, 17000, 8000, 9000, 0, 0} {
		if got, ok := meeting.Weight(r.Public.Entries[0], motions[i]); got != weight || ok != (weight > 0) {
			t.Errorf("an has %d (%t) in %s, want %d", got, ok, motions[i].Scope, weight)
		}
	}
}

func TestScopesThatHoldNoVote(t *testing.T) {
	stair := func(u electorate.Unit, stair string) electorate.Unit { u.Stair = stair; return u }
	list := []electorate.Unit{
		stair(unit("2-1", "2", 50, registry.Home, registry.Delivered, owner("bo")), "1"),
		stair(unit("1-2-3", "1-2", 50, registry.Home, registry.Delivered, owner("bo")), "3"),
		stair(unit("1-23", "1", 50, registry.Home, registry.Delivered, owner("an")), "2-3"),
		unit("P-1", "", 12, registry.Parking, registry.Delivered, owner("bo")),
	}
	for _, m := range []votes.Motion{
		{Scope: "building:3"}, {Scope: "building:"}, {Scope: "stair:2-2"}, {Scope: "stair:2"}, {Scope: "stair:2-"}, {Scope: "stair:-"}, {Scope: "stair:"}, {Scope: ""},
		{Scope: "units"}, {Scope: "units", Units: []string{"2-1", "2-9"}}, {Scope: "units", Units: []string{"2-1", "P-1"}},
		{Scope: "stair:1-2-3"}, // stair 3 of building 1-2, or 2-3 of building 1
	} {
		if _, err := meeting.BuildRoll("m", list, votes.Policy{}, []votes.Motion{m}); err == nil {
			t.Errorf("scope %q of %v is taken", m.Scope, m.Units)
		}
	}
	if _, err := meeting.BuildRoll("m", list, votes.Policy{}, []votes.Motion{{Scope: "stair:2-1"}, {Scope: "units", Units: []string{"2-1"}}}); err != nil {
		t.Error(err)
	}
}

// Whatever the titles are: the sums of a scope are those of its entries, nobody
// is a head without a unit, and a scope is no more than the estate.
func TestSumsOfScopesAreThoseOfTheirEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := anyUnits(t)
		motions := []votes.Motion{{ID: "M1", Scope: "estate"}, {ID: "M2", Scope: "building:1"}, {ID: "M3", Scope: "stair:1-1"}, {ID: "M4", Scope: "units", Units: []string{list[0].Code}}}
		parking := rapid.Bool().Draw(t, "parking")
		var voting int64
		var area units.CentiM2
		for _, u := range list {
			if u.Counts(parking) {
				voting, area = voting+1, area+u.Area
			}
		}
		r, err := meeting.BuildRoll("m", list, votes.Policy{ParkingCountsArea: parking}, motions)
		if err != nil {
			return // a scope without a unit
		}
		if r.Area != area || r.Heads > voting || r.Heads != int64(len(r.Public.Entries)) {
			t.Fatalf("%d heads and %d of %d units and %d", r.Heads, r.Area, voting, area)
		}
		units := 0
		for _, e := range r.Public.Entries {
			units += len(e.Units)
			var sum int64
			for _, u := range e.ByUnit {
				sum += int64(u.Area)
			}
			if len(e.Units) == 0 || len(e.Units) != len(e.ByUnit) || sum != int64(e.Area) {
				t.Fatalf("entry %+v", e)
			}
		}
		if int64(units) != voting {
			t.Fatalf("%d units on the roll, %d vote", units, voting)
		}
		for i, m := range motions {
			var total votes.ScopeTotal
			for _, e := range r.Public.Entries {
				if w, ok := meeting.Weight(e, m); ok {
					total.Heads, total.Area = total.Heads+1, total.Area+w
				}
			}
			total.Scope = meeting.ScopeOf(m)
			if total != r.Scopes[i] || total.Heads > r.Heads || total.Area > r.Area {
				t.Fatalf("the entries make %+v, the roll says %+v", total, r.Scopes[i])
			}
		}
	})
}

// anyUnits draws an estate of a few units, among them stock and parking.
func anyUnits(t *rapid.T) []electorate.Unit {
	list := make([]electorate.Unit, rapid.IntRange(1, 12).Draw(t, "units"))
	for i := range list {
		u := unit(strconv.Itoa(i+1), rapid.SampledFrom([]string{"1", "2"}).Draw(t, "building"), units.CentiM2(rapid.IntRange(1, 99).Draw(t, "area")),
			rapid.SampledFrom([]string{registry.Home, registry.Home, registry.Shop, registry.Parking}).Draw(t, "use"),
			rapid.SampledFrom([]string{registry.Delivered, registry.Delivered, registry.SoldUndelivered, registry.Unsold}).Draw(t, "state"),
			owner(rapid.SampledFrom([]string{"an", "bo", "ce", "di"}).Draw(t, "owner")))
		u.Stair = rapid.SampledFrom([]string{"1", "2"}).Draw(t, "stair")
		if u.State != registry.Delivered {
			u.Titles = []registry.Title{company("dev")}
		}
		list[i] = u
	}
	return list
}
