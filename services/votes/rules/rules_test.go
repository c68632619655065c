package rules_test

import (
	"testing"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// The hash stands in notices for ever: a rule set that was in force is not edited.
func TestTheCivilCodeIsTheFileThatNoticesName(t *testing.T) {
	set, ok := rules.InForce("2021-01-01")
	if !ok || set.ID != "cn-civil-code-2021" {
		t.Fatalf("in force: %q, %t", set.ID, ok)
	}
	const hash = "e4f82f23dfa4dbbb9dc06d16f62d80c4439670437d4b69f944f60d76e09cd4b0"
	if set.Hash != hash {
		t.Errorf("hash %s, notices name %s", set.Hash, hash)
	}
	if named, ok := rules.ByHash(hash); !ok || named.ID != set.ID {
		t.Error("it is not found by its hash")
	}
	if _, ok := rules.InForce("2020-12-31"); ok {
		t.Error("it is in force before its first day")
	}
}

func TestParseRefusesWhatIsNotWhole(t *testing.T) {
	words := `"words": {"zh": "x", "en": "x"}`
	for name, file := range map[string]string{
		"not JSON":                 `id: x`,
		"an unknown field":         `{"id": "x", "from": "2021-01-01", "vote_days": 3}`,
		"no first day":             `{"id": "x"}`,
		"no quorum":                `{"id": "x", "from": "2021-01-01"}`,
		"a part over the whole":    `{"id": "x", "from": "2021-01-01", "quorum": {"heads": ">= 3/2", "area": ">= 2/3", ` + words + `}}`,
		"a part of nothing":        `{"id": "x", "from": "2021-01-01", "quorum": {"heads": ">= 0/0", "area": ">= 2/3", ` + words + `}}`,
		"a matter of no threshold": `{"id": "x", "from": "2021-01-01", "quorum": {"heads": ">= 2/3", "area": ">= 2/3", ` + words + `}, "matters": {"m": {"threshold": "easy"}}}`,
	} {
		if _, err := rules.Parse([]byte(file)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, ok := rules.InForce(units.Day("")); ok {
		t.Error("no day is a day")
	}
}
