package meeting_test

import (
	"fmt"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// city is an estate of 60,000 homes with 85,000 titles.
func city() []electorate.Unit {
	list := make([]electorate.Unit, 60_000)
	for i := range list {
		building, stair := i/240+1, i/120%2+1
		u := electorate.Unit{Unit: registry.Unit{
			Code: fmt.Sprintf("%d-%d-%03d", building, stair, i%120+1), Building: fmt.Sprint(building), Stair: fmt.Sprint(stair),
			Use: registry.Home, Area: units.CentiM2(8000 + i%50), Basis: registry.BasisRegister, State: registry.Delivered,
		}}
		u.Titles = []registry.Title{{Person: fmt.Sprintf("person-%d", i), Kind: registry.Natural, Part: 1, Whole: 1, Votes: true}}
		if i%12 < 5 {
			u.Titles = append(u.Titles, registry.Title{Person: fmt.Sprintf("other-%d", i), Kind: registry.Natural, Part: 1, Whole: 2})
		}
		list[i] = u
	}
	return list
}

// BenchmarkRoll is what freezing costs of its own: to build the roll of 60,000
// homes, and the bytes that are posted.
func BenchmarkRoll(b *testing.B) {
	list := city()
	motions := []votes.Motion{{ID: "M1", Scope: "estate"}, {ID: "M2", Scope: "building:5"}, {ID: "M3", Scope: "stair:5-1"}}
	size := 0
	for b.Loop() {
		r, err := meeting.BuildRoll("m", list, votes.Policy{}, motions)
		if err != nil {
			b.Fatal(err)
		}
		size = len(r.Blob())
	}
	b.ReportMetric(float64(size)/1e6, "MB")
}
