package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// ProcedureStream is of the rules by which an estate decides, followed by its id.
const ProcedureStream = "procedure-"

// RulesAdopted says by which rules the owners of an estate decide from a day on:
// the national ones, those of a place, and what the estate's own rules of
// procedure (议事规则, Civil Code art. 278 item 1) ask for beyond both.
type RulesAdopted struct {
	Estate   string     `json:"estate"`
	At       time.Time  `json:"at"`                  // when it was recorded
	From     units.Day  `json:"from"`                // notices of this day and later name them
	Base     string     `json:"base,omitempty"`      // id of the place's rule set; none: the national one alone
	BaseHash string     `json:"base_hash,omitempty"` // SHA-256 of its file
	Document string     `json:"document,omitempty"`  // hash of the public blob: the rules of procedure in full
	Lines    []RuleLine `json:"lines,omitempty"`     // what they ask for beyond the law
	RuleSet  string     `json:"rule_set"`            // id of what is in force on that day, as a notice names it
	RuleHash string     `json:"rule_hash"`           // hash of the public blob: all of its lines
}

// RuleLine is a line of an estate's rules of procedure.
type RuleLine struct {
	Name    string `json:"name"`    // as rule sets name it, e.g. notice_days
	Value   string `json:"value"`   // as JSON, e.g. 20
	Article string `json:"article"` // of the document
}

func (RulesAdopted) event() {} // ProcedureStream

// HappenedAt is when it was recorded; see libs/es.
func (e RulesAdopted) HappenedAt() time.Time { return e.At }
