// Package rules holds the rule sets that owners decide by: data with an id, a
// place and dates, embedded as it was read from the law, each line with its
// source and whether that was read or only seen quoted. The notice of a meeting
// names one by id and hash, and the meeting is counted by that one for ever, so a
// file that was ever in force is never changed: a correction is a new file with a
// new id.
package rules

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

//go:embed *.yaml schema.json cn-2021.json
var files embed.FS

// national are the rule sets that are in force everywhere, by date, and local the
// templates that add to them.
var (
	national = []string{"cn-2007.yaml", "cn-2021.yaml"}
	local    = []string{"beijing.yaml", "shanghai.yaml", "shenzhen.yaml", "hangzhou-2.yaml", "ningbo.yaml", "henan.yaml"}
	named    = []string{"cn-2021.json"}  // by older notices: found by its hash, and in force no more
	former   = []string{"hangzhou.yaml"} // templates that estates adopted before there was a better one
)

// sets are all rule sets, in the order of the lists above.
var sets = sync.OnceValue(func() (list []meeting.RuleSet) {
	for _, name := range slices.Concat(national, local, named, former) {
		parse := Parse
		if strings.HasSuffix(name, ".json") {
			parse = meeting.DecodeRules
		}
		file, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		set, err := parse(file)
		if err != nil {
			panic(err) // an embedded file; the tests read every one
		}
		list = append(list, set)
	}
	return list
})

// All returns every rule set: the national ones by date, then the templates, then
// what only older notices and adoptions name.
func All() []meeting.RuleSet { return slices.Clone(sets()) }

// Templates returns the rule sets of places, which add to the national one.
func Templates() []meeting.RuleSet {
	return slices.Clone(sets()[len(national) : len(national)+len(local)])
}

// everywhere are the effective rule sets of estates that have adopted nothing.
var everywhere = sync.OnceValue(func() (list []meeting.RuleSet) {
	for _, set := range sets()[:len(national)] {
		composed, err := meeting.Compose(set, meeting.RuleSet{}, meeting.Own{})
		if err != nil {
			panic(err)
		}
		list = append(list, composed)
	}
	return list
})

// Kind says of what kind a rule set is: national, local or older.
func Kind(set meeting.RuleSet) string {
	is := func(o meeting.RuleSet) bool { return o.Hash == set.Hash }
	switch {
	case slices.ContainsFunc(sets()[len(national)+len(local):], is):
		return "older"
	case slices.ContainsFunc(Templates(), is):
		return meeting.Local
	}
	return meeting.National
}

// InForce returns the effective rule set of a day where an estate has adopted
// nothing: the national one.
func InForce(day units.Day) (meeting.RuleSet, bool) {
	for _, set := range everywhere() {
		if set.Covers(day) {
			return set, true
		}
	}
	return meeting.RuleSet{}, false
}

// National returns the file of the national rules of a day.
func National(day units.Day) (meeting.RuleSet, bool) {
	for _, set := range sets()[:len(national)] {
		if set.Covers(day) {
			return set, true
		}
	}
	return meeting.RuleSet{}, false
}

// Template returns the rules of a place by the id and the hash of their file. Without
// a hash it is one that an estate can adopt now.
func Template(id, hash string) (meeting.RuleSet, bool) {
	list := Templates()
	if hash != "" {
		list = append(list, sets()[len(national)+len(local)+len(named):]...)
	}
	for _, set := range list {
		if set.ID == id && (hash == "" || set.Hash == hash) {
			return set, true
		}
	}
	return meeting.RuleSet{}, false
}

// Of returns the effective rule set of a day where an estate has adopted something;
// of the zero value that is what is in force everywhere.
func Of(a votes.RulesAdopted, day units.Day) (meeting.RuleSet, bool) {
	if a.Estate == "" {
		return InForce(day)
	}
	base, ok := National(day)
	if !ok {
		return meeting.RuleSet{}, false
	}
	var place meeting.RuleSet
	if a.Base != "" {
		if place, ok = Template(a.Base, a.BaseHash); !ok {
			return meeting.RuleSet{}, false
		}
	}
	set, err := meeting.Compose(base, place, meeting.OwnOf(a))
	return set, err == nil
}

// composed are effective rule sets by their hashes, so that each is composed once.
var composed sync.Map

// lasting are the rule sets that a notice may name of an estate that has adopted
// nothing, by their hashes: each ballot asks.
var lasting = sync.OnceValue(func() map[string]meeting.RuleSet {
	sets := map[string]meeting.RuleSet{}
	for _, set := range slices.Concat(everywhere(), older()) {
		sets[set.Hash] = set
	}
	return sets
})

// Named returns the rule set that a notice named; false where none has its hash.
func Named(notice votes.NoticePosted) (meeting.RuleSet, bool) {
	if set, ok := lasting()[notice.RuleHash]; ok {
		return set, true
	}
	if set, ok := composed.Load(notice.RuleHash); ok {
		return set.(meeting.RuleSet), true
	}
	for _, a := range notice.Adopted {
		if set, ok := Of(a, units.DayOf(notice.At)); ok && set.Hash == notice.RuleHash {
			composed.Store(set.Hash, set)
			return set, true
		}
	}
	return meeting.RuleSet{}, false
}

// Could returns the rule set that a notice named where one that is posted on its
// day, in an estate that had adopted this, could name it; else the one it should
// have named.
func Could(a votes.RulesAdopted, notice votes.NoticePosted) meeting.RuleSet {
	day := units.DayOf(notice.At)
	if a.Estate == "" {
		for _, set := range older() {
			if set.Hash == notice.RuleHash && set.Covers(day) {
				return set
			}
		}
	}
	set, _ := Of(a, day) // none: nothing is in force, and the command refuses
	return set
}

// older are the rule sets that only older notices name.
func older() []meeting.RuleSet {
	from := len(national) + len(local)
	return sets()[from : from+len(named)]
}

// File returns the text of the rule set with a hash.
func File(hash string) ([]byte, bool) {
	for _, set := range everywhere() {
		if set.Hash == hash {
			return set.Canonical(), true
		}
	}
	for _, name := range slices.Concat(national, local, named, former) {
		file, err := files.ReadFile(name)
		if err == nil && meeting.Hash(file) == hash {
			return file, true
		}
	}
	return nil, false
}

// Extension returns what the name of a rule set's file ends with.
func Extension(file []byte) string {
	if json.Valid(file) {
		return ".json"
	}
	return ".yaml"
}

// schema is what a file must look like.
var schema = sync.OnceValue(func() *jsonschema.Schema {
	file, err := files.ReadFile("schema.json")
	if err != nil {
		panic(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(file))
	if err != nil {
		panic(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		panic(err)
	}
	return c.MustCompile("schema.json")
})

// Parse reads a rule set as it is written, in YAML: lines by their names, each
// with its value, source and basis. Its hash is the SHA-256 of the file. What it
// does not give is not missed: see [meeting.Compose].
func Parse(file []byte) (meeting.RuleSet, error) {
	set, err := parse(file)
	if err != nil {
		return meeting.RuleSet{}, fmt.Errorf("rules: %w", err)
	}
	return set, nil
}

func parse(file []byte) (set meeting.RuleSet, err error) {
	// Through JSON, so that the schema sees what the decoder will.
	var written any
	if err := yaml.Unmarshal(file, &written); err != nil {
		return set, err
	}
	text, err := json.Marshal(written)
	if err != nil {
		return set, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return set, err
	}
	if err := schema().Validate(doc); err != nil {
		return set, err
	}
	var head struct {
		ID    string                  `json:"id"`
		Place string                  `json:"place"`
		From  units.Day               `json:"from"`
		Until units.Day               `json:"until"`
		Name  meeting.Words           `json:"name"`
		Lines map[string]meeting.Line `json:"lines"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return set, err
	}
	set, err = meeting.OfLines(meeting.RuleSet{ID: head.ID, Place: head.Place, From: head.From, Until: head.Until, Name: head.Name}, head.Lines)
	if err != nil {
		return set, err
	}
	set.Hash = meeting.Hash(file)
	return set, set.CheckLines()
}
