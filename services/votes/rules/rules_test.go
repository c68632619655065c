package rules_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// Hashes stand in notices for ever: a rule set that was in force is not edited,
// and neither is the way in which effective ones are written.
func TestWhatNoticesNameIsFoundForEver(t *testing.T) {
	for _, c := range []struct{ hash, id string }{
		{"e4f82f23dfa4dbbb9dc06d16f62d80c4439670437d4b69f944f60d76e09cd4b0", "cn-civil-code-2021"},
	} {
		set, ok := rules.Named(votes.NoticePosted{RuleHash: c.hash})
		if !ok || set.ID != c.id || set.Check() != nil {
			t.Errorf("%s: %q, %t", c.hash, set.ID, ok)
		}
		if file, ok := rules.File(c.hash); !ok || len(file) == 0 {
			t.Errorf("%s: no file", c.hash)
		}
	}
}

// What is composed of files that exist may never come out otherwise.
func TestWhatIsComposedIsWrittenTheSameForEver(t *testing.T) {
	want := map[string]string{
		"cn-civil-code-2021.2+estate":            "3d4e35c3596fa454da8eb4a179f698d87708adc36254b30fe735909a54407e75",
		"cn-civil-code-2021.2+beijing+estate":    "d1702dfded2c2b78a426d142c95654fd48d6ef1c2dc8ed6d476e90b903f6f323",
		"cn-civil-code-2021.2+shanghai+estate":   "a074964115c5abb56a0ef28d33efaa8b1b5472ee169f0c6620999f7ffc6db220",
		"cn-civil-code-2021.2+shenzhen+estate":   "537f90d867a98bfafee6d65ed26224080e895cd3b7ca1ad6354e534cf2268c80",
		"cn-civil-code-2021.2+hangzhou+estate":   "b01826e5ec9017dea87974f061dee979033bb4a127160779367aa95a29d6e6eb",
		"cn-civil-code-2021.2+hangzhou.2+estate": "ee27ca29cf7aa71465f8b1c1e4719c170812af01f1656932b4a2df5850f49902",
		"cn-civil-code-2021.2+ningbo+estate":     "f5a574dc94841faaf7c1d2a3837fad66290594eee3cb59ab80862aff2c433811",
		"cn-civil-code-2021.2+henan+estate":      "6ae6fba6b59922e507a11735e9f00b3ddb02945aa2faf1a0329f6a88813e49cd",
		"cn-property-law-2007":                   "d57a5b7c503dd57b2e1024786051c94467a870054ac9b8e01f04eee811da0744",
		"cn-civil-code-2021.2":                   "83a9ea0bad24279cf211e89ca00a38faf0921f10c6de1d4947ac8e9fe56c4c8f",
	}
	for _, place := range append([]meeting.RuleSet{{}}, rules.Templates()...) {
		a := votes.RulesAdopted{Estate: "e", From: "2030-01-01", Base: place.ID, BaseHash: place.Hash, Document: strings.Repeat("2b", 32),
			Lines: []votes.RuleLine{{Name: "notice_days", Value: "20", Article: "第九条"}}}
		if set, ok := rules.Of(a, a.From); !ok || set.Hash != want[set.ID] {
			t.Errorf("%q: %q,", set.ID, set.Hash)
		}
	}
	// What estates adopted before there was a better template is in force there on.
	for base, hash := range map[string]string{"hangzhou": "4179ba90e928aadfbd0ef280687614662189b17ee773f4d87d1ef185cd201837"} {
		a := votes.RulesAdopted{Estate: "e", From: "2030-01-01", Base: base, BaseHash: hash, Document: strings.Repeat("2b", 32),
			Lines: []votes.RuleLine{{Name: "notice_days", Value: "20", Article: "第九条"}}}
		if set, ok := rules.Of(a, a.From); !ok || set.Hash != want[set.ID] {
			t.Errorf("%q: %q,", set.ID, set.Hash)
		}
		if set, ok := rules.Template(base, ""); ok {
			t.Errorf("%s can still be adopted: %s", base, set.Hash)
		}
		if file, ok := rules.File(hash); !ok || len(file) == 0 {
			t.Errorf("%s: no file", hash)
		}
	}
	for _, day := range []units.Day{"2020-12-31", "2021-01-01"} {
		if set, _ := rules.InForce(day); set.Hash != want[set.ID] {
			t.Errorf("%q: %q,", set.ID, set.Hash)
		}
	}
}

func TestTheNationalRulesOfADay(t *testing.T) {
	for day, want := range map[units.Day]string{
		"2007-09-30": "", "2007-10-01": "cn-property-law-2007", "2020-12-31": "cn-property-law-2007",
		"2021-01-01": "cn-civil-code-2021.2", "2030-01-01": "cn-civil-code-2021.2", "": "",
	} {
		set, ok := rules.InForce(day)
		if set.ID != want || ok != (want != "") {
			t.Errorf("%q: %q, %t", day, set.ID, ok)
		}
		if again, ok := rules.Named(votes.NoticePosted{RuleHash: set.Hash}); want != "" && (!ok || again.ID != want) {
			t.Errorf("%q: not found by its hash", day)
		}
	}
}

func TestTheNewNationalFileDecidesAsTheOldOne(t *testing.T) {
	old, _ := rules.Named(votes.NoticePosted{RuleHash: "e4f82f23dfa4dbbb9dc06d16f62d80c4439670437d4b69f944f60d76e09cd4b0"})
	set, _ := rules.InForce("2021-01-01")
	if old.NoticeDays != set.NoticeDays || old.Quorum != set.Quorum || old.From != set.From {
		t.Error("notice or quorum differ")
	}
	for id, m := range old.Matters {
		if set.Matters[id] != m || set.Thresholds[m.Threshold] != old.Thresholds[m.Threshold] {
			t.Errorf("%s differs", id)
		}
	}
}

// line is a line of a rule set: thresholds as heads, area, of and counts; of a
// matter the threshold.
type line struct{ name, value, basis string }

// What stands in the files, all of it, against what is known of the rules.
func TestEveryLineIsOneThatIsKnown(t *testing.T) {
	const named, yes = `"named"`, "true"
	part := func(heads, area, rest string) string { return heads + "|" + area + "|" + rest }
	civil := []line{
		{"quorum", part(">= 2/3", ">= 2/3", "||"), "read"},
		{"thresholds.ordinary", part("> 1/2", "> 1/2", "||"), "read"},
		{"thresholds.special", part(">= 3/4", ">= 3/4", "||"), "read"},
		{"thresholds.unanimity", part(">= 1/1", ">= 1/1", "all||"), "read"},
		{"notice_days", "15", "read"},
		{"court_years", "1", "read"},
		{"election.min_seats", "5", "seen"},
		{"election.max_seats", "11", "seen"},
		{"election.odd_seats", yes, "seen"},
		{"election.term_years", "5", "seen"},
		{"election.filed_within_days", "30", "seen"},
		{"committee.agenda_posted_days", "7", "seen"},
		{"committee.decisions_posted_days", "3", "seen"},
		{"matters.民法典279", "unanimity", "read"},
	}
	for n, threshold := range []string{"ordinary", "ordinary", "ordinary", "ordinary", "ordinary", "special", "special", "special", "ordinary"} {
		civil = append(civil, line{fmt.Sprintf("matters.民法典278-1-%d", n+1), threshold, "read"})
	}
	property := []line{
		{"thresholds.ordinary", part("> 1/2", "> 1/2", "all||"), "seen"},
		{"thresholds.special", part(">= 2/3", ">= 2/3", "all||"), "seen"},
		{"notice_days", "15", "read"},
	}
	for n, threshold := range []string{"ordinary", "ordinary", "ordinary", "ordinary", "special", "special", "ordinary"} {
		property = append(property, line{fmt.Sprintf("matters.物权法76-1-%d", n+1), threshold, "seen"})
	}
	want := map[string][]line{
		"cn-civil-code-2021.2": civil, "cn-property-law-2007": property,
		"beijing": {
			{"only_noticed_matters", yes, "read"}, // 北京 art. 35
			{"result_posted_days", "3", "read"},   // 北京 art. 37
			{"revote", `"first-ballot-stands"`, "seen"},
			{"co_owners", named, "seen"},
			{"sale", `"seller-who-voted-else-buyer"`, "seen"},
			{"open_votes_posted", `"unit-and-area"`, "seen"},
		},
		"shanghai": {{"proxies.instructions", yes, "read"}, {"listed_scope", yes, "read"}}, // 上海 art. 18, 69
		"shenzhen": {
			{"paper_and_electronic", `"electronic-stands"`, "seen"},
			{"extension.times", "1", "seen"}, {"extension.months", "3", "seen"}, {"extension.rest_years", "1", "seen"},
		},
		"hangzhou": {
			{"special_notice_days", "7", "read"}, {"window.min_days", "5", "read"}, {"window.max_days", "60", "read"},
			{"paper_on_request", yes, "read"}, {"election.substitutes", yes, "read"}, // 杭州 art. 28
		},
		"hangzhou.2": { // 杭州 art. 19, 20, 26–28
			{"special_notice_days", "7", "read"}, {"only_noticed_matters", yes, "seen"}, {"paper_on_request", yes, "read"},
			{"window.min_days", "5", "read"}, {"window.max_days", "60", "read"},
			{"election.candidates_posted_days", "15", "seen"},
			{"election.min_seats", "5", "seen"}, {"election.max_seats", "11", "seen"}, {"election.odd_seats", yes, "seen"},
			{"election.substitutes", yes, "read"},
		},
		"ningbo": {{"parking_counts_area", "false", "read"}, {"co_owners", named, "read"}}, // 宁波 art. 18
		"henan": { // 河南 art. 66
			{"thresholds.objection", part("<= 1/3", "<= 1/3", "all|objectors|"), "read"},
			{"matters.河南66", "objection", "read"}, {"listed_scope", yes, "read"},
		},
	}
	for _, set := range rules.All() {
		if set.ID == "cn-civil-code-2021" {
			continue
		}
		lines, err := set.Lines()
		if err != nil {
			t.Fatal(err)
		}
		known, ok := want[set.ID]
		if delete(want, set.ID); !ok || len(known) != len(lines) {
			t.Errorf("%s: %d lines, known are %d: %q", set.ID, len(lines), len(known), slices.Sorted(maps.Keys(lines)))
		}
		for _, l := range known {
			got, value := lines[l.name], string(lines[l.name].Value)
			kind, name, _ := strings.Cut(l.name, ".")
			switch {
			case kind == "matters":
				value = set.Matters[name].Threshold
			case kind == "thresholds" || kind == "quorum":
				th := set.Quorum
				if kind == "thresholds" {
					th = set.Thresholds[name]
				}
				heads, _ := th.Heads.MarshalText()
				area, _ := th.Area.MarshalText()
				value = part(string(heads), string(area), th.Of+"|"+th.Counts+"|")
			}
			if value != l.value || got.Basis != l.basis || got.Source == "" {
				t.Errorf("%s, %s: %s (%s), known is %s (%s)", set.ID, l.name, value, got.Basis, l.value, l.basis)
			}
		}
	}
	for id := range want {
		t.Errorf("%s is not shipped", id)
	}
}

func TestWhatATemplateDoesNotSayIsNational(t *testing.T) {
	national, _ := rules.InForce("2021-01-01")
	base := rules.All()[1]
	for _, template := range rules.Templates() {
		set, err := meeting.Compose(base, template, meeting.Own{})
		if err != nil {
			t.Fatalf("%s: %v", template.ID, err)
		}
		lines, err := set.Lines()
		if err != nil {
			t.Fatal(err)
		}
		own, err := template.Lines()
		if err != nil {
			t.Fatal(err)
		}
		of, _ := national.Lines()
		for name, l := range lines {
			want := of[name]
			if local, ok := own[name]; ok {
				want = local
				want.Origin = meeting.Local
			}
			if string(l.Value) != string(want.Value) || l.Origin != want.Origin || l.Source != want.Source {
				t.Errorf("%s, %s: %+v, want %+v", template.ID, name, l, want)
			}
		}
		if set.NoticeDays != 15 || set.Quorum != national.Quorum || set.Thresholds["ordinary"] != national.Thresholds["ordinary"] {
			t.Errorf("%s loosens what is national", template.ID)
		}
		if again, err := meeting.DecodeRules(set.Canonical()); err != nil || string(again.Canonical()) != string(set.Canonical()) || again.Hash != set.Hash {
			t.Errorf("%s does not read as it was written: %v", template.ID, err)
		}
	}
}

const whole = `{id: x, place: y, from: "2021-01-01", name: {zh: x, en: x}, lines: {notice_days: {value: 15, source: s, basis: read}}}`

func TestParseRefusesWhatIsNotWhole(t *testing.T) {
	if _, err := rules.Parse([]byte(whole)); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"no YAML":                       {"{id", "{{id"},
		"a field that there is not":     {"id: x", "id: x, vote_days: 3"},
		"a line that there is not":      {"notice_days", "vote_days"},
		"a line twice":                  {"lines: {", "lines: {notice_days: {value: 16, source: s, basis: read}, "},
		"no first day":                  {`from: "2021-01-01", `, ""},
		"a first day that there is not": {"2021-01-01", "2021-02-30"},
		"a last day before the first":   {"place", `until: "2020-01-01", place`},
		"a line without a source":       {"source: s, ", ""},
		"a line without a basis":        {", basis: read", ""},
		"a basis that there is not":     {"basis: read", "basis: heard"},
		"days that are words":           {"15", "many"},
		"days in parts":                 {"15", "1.5"},
		"days under 0":                  {"15", "-15"},
		"a part over the whole":         {"notice_days: {value: 15", `quorum: {value: {heads: ">= 3/2", area: ">= 2/3", words: {zh: x, en: x}}`},
		"a part of nothing":             {"notice_days: {value: 15", `quorum: {value: {heads: ">= 0/0", area: ">= 2/3", words: {zh: x, en: x}}`},
		"a quorum of at most":           {"notice_days: {value: 15", `quorum: {value: {heads: "<= 1/2", area: "<= 2/3", words: {zh: x, en: x}}`},
		"a majority of at most":         {"notice_days: {value: 15", `thresholds.ordinary: {value: {heads: "<= 1/2", area: "<= 1/2", words: {zh: x, en: x}}`},
		"objectors of at least":         {"notice_days: {value: 15", `thresholds.objection: {value: {counts: objectors, of: all, heads: ">= 1/3", area: ">= 1/3", words: {zh: x, en: x}}`},
		"a window of less than nothing": {"notice_days: {value: 15", `window.max_days: {value: 3, source: s, basis: read}, window.min_days: {value: 5`},
		"a ballot that stands nowhere":  {"notice_days: {value: 15", `revote: {value: both-stand`},
	} {
		if file := strings.Replace(whole, change[0], change[1], 1); file == whole {
			t.Errorf("%s changes nothing", name)
		} else if set, err := rules.Parse([]byte(file)); err == nil {
			t.Errorf("%s is taken: %+v", name, set)
		}
	}
}

func TestANationalRuleSetIsWhole(t *testing.T) {
	for name, set := range map[string]string{
		"no threshold":             `{"id": "x", "from": "2021-01-01"}`,
		"no quorum":                `{"id": "x", "from": "2021-01-01", "thresholds": {"ordinary": {"heads": "> 1/2", "area": "> 1/2", "words": {"zh": "x", "en": "x"}}}, "matters": {"m": {"threshold": "ordinary"}}}`,
		"a matter of no threshold": `{"id": "x", "from": "2021-01-01", "thresholds": {"ordinary": {"of": "all", "heads": "> 1/2", "area": "> 1/2", "words": {"zh": "x", "en": "x"}}}, "matters": {"m": {"threshold": "easy"}}}`,
		"an unknown field":         `{"id": "x", "from": "2021-01-01", "vote_days": 3}`,
		"not JSON":                 `id: x`,
	} {
		if _, err := meeting.DecodeRules([]byte(set)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Whatever a file says, what is read of it reads the same when it is written and
// composed.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(file)
	}
	f.Add([]byte(whole))
	base := rules.All()[1]
	f.Fuzz(func(t *testing.T, file []byte) {
		set, err := rules.Parse(file)
		if err != nil {
			return
		}
		lines, err := set.Lines()
		if err != nil || len(lines) != len(set.Sources) {
			t.Fatalf("%d lines of %d, %v", len(lines), len(set.Sources), err)
		}
		composed, err := meeting.Compose(base, set, meeting.Own{})
		if err != nil {
			return
		}
		if again, err := meeting.DecodeRules(composed.Canonical()); err != nil || string(again.Canonical()) != string(composed.Canonical()) {
			t.Fatalf("%v: %s", err, composed.Canonical())
		}
	})
}
