package meeting

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// RuleSet is what the law of a place says about deciding, for a range of days.
// The files are in services/votes/rules.
type RuleSet struct {
	ID         string               `json:"id"`
	Place      string               `json:"place"`
	From       units.Day            `json:"from"`            // first day in force
	Until      units.Day            `json:"until,omitempty"` // first day no longer in force; none: still in force
	Name       Words                `json:"name"`
	NoticeDays int                  `json:"notice_days"` // whole days between notice and opening, at least
	Quorum     Threshold            `json:"quorum"`      // parts of all owners in scope that must take part
	Thresholds map[string]Threshold `json:"thresholds"`  // parts of those taking part that must agree, by name
	Matters    map[string]Matter    `json:"matters"`     // by article, paragraph and item
	Sources    []Source             `json:"sources"`
	Hash       string               `json:"-"` // SHA-256 of the file, hex
}

// Words says one thing in both languages.
type Words struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Threshold is a part of the heads and a part of the area; both must be reached.
type Threshold struct {
	Heads Part  `json:"heads"`
	Area  Part  `json:"area"`
	Words Words `json:"words"`
}

// Matter (事项) is a kind of question that owners decide together.
type Matter struct {
	Threshold string `json:"threshold"`
	Words
}

// Source says where a line of a rule set comes from.
type Source struct {
	Of    string `json:"of"`
	Text  string `json:"text"`
	Basis string `json:"basis"` // read, or only seen quoted
}

// Part is a share such as "> 1/2" or ">= 2/3" (以上 includes the number itself,
// Civil Code art. 1259).
type Part struct {
	Numerator, Denominator int64
	Strict                 bool // more than, not at least
}

// UnmarshalText reads ">= 2/3" or "> 1/2".
func (p *Part) UnmarshalText(b []byte) error {
	comparison, share, _ := strings.Cut(string(b), " ")
	n, d, _ := strings.Cut(share, "/")
	var err1, err2 error
	p.Numerator, err1 = strconv.ParseInt(n, 10, 16)
	p.Denominator, err2 = strconv.ParseInt(d, 10, 16)
	p.Strict = comparison == ">"
	if err1 != nil || err2 != nil || !p.Strict && comparison != ">=" ||
		p.Numerator <= 0 || p.Numerator > p.Denominator {
		return fmt.Errorf("%q is no part like \">= 2/3\"", b)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (p Part) MarshalText() ([]byte, error) {
	comparison := ">="
	if p.Strict {
		comparison = ">"
	}
	return fmt.Appendf(nil, "%s %d/%d", comparison, p.Numerator, p.Denominator), nil
}

// Covers reports whether the rules are in force on a day.
func (r RuleSet) Covers(d units.Day) bool { return d >= r.From && (r.Until == "" || d < r.Until) }

// Check reports the first thing that is missing.
func (r RuleSet) Check() error {
	whole := func(t Threshold) bool {
		return t.Heads.Denominator > 0 && t.Area.Denominator > 0 && t.Words.ZH != "" && t.Words.EN != ""
	}
	if _, err := units.ParseDay(string(r.From)); r.ID == "" || err != nil {
		return fmt.Errorf("id %q or first day %q", r.ID, r.From)
	}
	if !whole(r.Quorum) {
		return fmt.Errorf("quorum is not whole")
	}
	for name, t := range r.Thresholds {
		if !whole(t) {
			return fmt.Errorf("threshold %s is not whole", name)
		}
	}
	for id, m := range r.Matters {
		if _, ok := r.Thresholds[m.Threshold]; !ok {
			return fmt.Errorf("matter %s has no threshold", id)
		}
	}
	return nil
}
