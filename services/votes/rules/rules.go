// Package rules holds the rule sets that owners decide by: data with an id, a
// place and dates, embedded as it was read from the law. The notice of a
// meeting names one by id and hash, and the meeting is counted by that one for
// ever, so a file that was ever in force is never changed: a correction is a
// new file with a new id.
package rules

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the files
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

//go:embed cn-2021.json
var national []byte

// sets are all rule sets, by date.
var sets = []meeting.RuleSet{mustParse(national)}

// All returns every rule set, by date.
func All() []meeting.RuleSet { return slices.Clone(sets) }

// InForce returns the national rule set of a day.
func InForce(day units.Day) (meeting.RuleSet, bool) {
	for _, set := range sets {
		if set.Covers(day) {
			return set, true
		}
	}
	return meeting.RuleSet{}, false
}

// ByHash returns the rule set that a notice named.
func ByHash(hash string) (meeting.RuleSet, bool) {
	for _, set := range sets {
		if set.Hash == hash {
			return set, true
		}
	}
	return meeting.RuleSet{}, false
}

// Parse reads a rule set. Its hash is the SHA-256 of the file.
func Parse(file []byte) (meeting.RuleSet, error) {
	var set meeting.RuleSet
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&set); err != nil {
		return meeting.RuleSet{}, fmt.Errorf("rules: %w", err)
	}
	if err := set.Check(); err != nil {
		return meeting.RuleSet{}, fmt.Errorf("rules: %s: %w", set.ID, err)
	}
	sum := sha256.Sum256(file)
	set.Hash = hex.EncodeToString(sum[:])
	return set, nil
}

func mustParse(file []byte) meeting.RuleSet {
	set, err := Parse(file)
	if err != nil {
		panic(err) // an embedded file; the tests read every one
	}
	return set
}

// File returns the text of the rule set with a hash.
func File(hash string) ([]byte, bool) {
	for _, file := range [][]byte{national} {
		if sum := sha256.Sum256(file); hex.EncodeToString(sum[:]) == hash {
			return file, true
		}
	}
	return nil, false
}
