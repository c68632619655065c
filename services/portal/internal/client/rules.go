package client

import (
	"encoding/json"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Rules are the rules by which an estate decides (表决规则).
type Rules struct {
	Bound
	RuleSet string     `json:"rule_set"`
	Hash    string     `json:"rule_hash"`
	Place   string     `json:"place"`
	Name    Words      `json:"name"`
	Day     units.Day  `json:"day"`
	Adopted *Adopted   `json:"adopted"` // nil: nothing, so the national rules are in force
	Next    *Adopted   `json:"next"`    // for a later day
	Lines   []RuleLine `json:"lines"`
	Missing []string   `json:"missing"` // lines that nobody gives
}

// Adopted is what an estate adopted as its rules.
type Adopted struct {
	From     units.Day `json:"from"`
	At       time.Time `json:"at"`
	Base     string    `json:"base"`
	Document string    `json:"document"` // hash of the rules of procedure
}

// RuleLine is a line of a rule set, and where it comes from.
type RuleLine struct {
	Name   string          `json:"name"`
	Value  json.RawMessage `json:"value"`
	Source string          `json:"source"`
	Basis  string          `json:"basis"` // read, or only seen
	Note   string          `json:"note"`
	Origin string          `json:"origin"` // national, local or estate
}

// RuleSet is a rule set of the law.
type RuleSet struct {
	ID    string    `json:"id"`
	Place string    `json:"place"`
	Name  Words     `json:"name"`
	From  units.Day `json:"from"`
	Kind  string    `json:"kind"` // national, local or older
}
