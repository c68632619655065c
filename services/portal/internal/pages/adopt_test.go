package pages

import (
	"testing"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// Who opens the form anew finds the rules of their place chosen, also where those were
// adopted from a file that has been replaced: else they would fall back unseen.
func TestTheRulesOfThePlaceStayChosen(t *testing.T) {
	places := []client.RuleSet{{ID: "beijing", Place: "北京"}, {ID: "hangzhou.2", Place: "杭州"}}
	for name, c := range map[string]struct {
		adopted *client.Adopted
		place   string
		want    string
	}{
		"nothing is adopted":             {nil, "全国", ""},
		"rules of the estate alone":      {&client.Adopted{Document: "d"}, "全国", ""},
		"those of the place":             {&client.Adopted{Base: "beijing"}, "北京", "beijing"},
		"of a file that was replaced":    {&client.Adopted{Base: "hangzhou"}, "杭州", "hangzhou.2"},
		"of a place that has none today": {&client.Adopted{Base: "atlantis"}, "亚特兰蒂斯", ""},
	} {
		m := AdoptModel{Places: places, Rules: client.Rules{Place: c.place, Adopted: c.adopted}}
		if got := m.Adopted(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
