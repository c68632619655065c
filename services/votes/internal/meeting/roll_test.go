package meeting_test

import (
	"reflect"
	"testing"

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
	if !reflect.DeepEqual(r.Scopes, wantScopes) || !reflect.DeepEqual(r.Public.Entries, wantEntries) {
		t.Errorf("got %+v\n%+v", r.Scopes, r.Public.Entries)
	}
	for _, scope := range []string{"building:3", "building:", "stair:2-1", ""} {
		if _, err := meeting.BuildRoll("m", list, votes.Policy{}, []votes.Motion{{Scope: scope}}); err == nil {
			t.Errorf("scope %q is taken", scope)
		}
	}
}
