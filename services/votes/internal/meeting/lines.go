package meeting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Line is one line of a rule set, as it is written: what the law says, where, and
// whether that was read.
type Line struct {
	Value  json.RawMessage `json:"value"`
	Source string          `json:"source"`
	Basis  string          `json:"basis"`
	Note   string          `json:"note,omitempty"`
	Origin string          `json:"origin,omitempty"` // of an effective rule set
}

// OfLines gives a rule set the lines, by name. A name is the path of a field of
// [RuleSet] as JSON writes it, and of thresholds and matters with their own:
// window.min_days, thresholds.special.
func OfLines(set RuleSet, lines map[string]Line) (RuleSet, error) {
	fields := map[string]any{}
	for name, line := range lines {
		of, rest, nested := strings.Cut(name, ".")
		switch in, _ := fields[of].(map[string]any); {
		case !nested:
			fields[of] = line.Value
		case in == nil:
			fields[of] = map[string]any{rest: line.Value}
		default:
			in[rest] = line.Value
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return RuleSet{}, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&set); err != nil {
		return RuleSet{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		line := lines[name]
		set.Sources = append(set.Sources, Source{Of: name, Text: line.Source, Basis: line.Basis, Note: line.Note, Origin: line.Origin})
	}
	return set, nil
}

// Lines returns what the rules say, by name of the line. A file that gives one
// source for several lines has no line of its own for each: see [RuleSet.Sources].
func (r RuleSet) Lines() (map[string]Line, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	lines := map[string]Line{}
	for _, s := range r.Sources {
		of, rest, nested := strings.Cut(s.Of, ".")
		value := fields[of]
		if nested {
			var in map[string]json.RawMessage
			if err := json.Unmarshal(value, &in); err != nil {
				return nil, fmt.Errorf("line %s: %w", s.Of, err)
			}
			value = in[rest]
		}
		if value != nil {
			lines[s.Of] = Line{Value: value, Source: s.Text, Basis: s.Basis, Note: s.Note, Origin: s.Origin}
		}
	}
	return lines, nil
}

// Own are the rules of an estate: lines of its rules of procedure (议事规则).
type Own struct {
	From     units.Day
	Document string // hash of the rules of procedure
	Lines    map[string]Line
}

// Compose returns the effective rule set: what is national, what a place adds to
// it or says instead, and what an estate has tightened of both. Place and estate
// may be zero. Every line says of which part it is. The hash is that of
// [RuleSet.Canonical].
func Compose(national, local RuleSet, own Own) (RuleSet, error) {
	all, err := national.Lines()
	if err != nil {
		return RuleSet{}, err
	}
	set := RuleSet{
		ID: national.ID, Place: national.Place, From: national.From, Until: national.Until, Name: national.Name,
		Parts: []RulePart{{National, national.ID, national.Hash}},
	}
	add := func(origin string, lines map[string]Line) {
		for name, line := range lines {
			line.Origin = origin
			all[name] = line
		}
	}
	add(National, maps.Clone(all))
	if local.ID != "" {
		lines, err := local.Lines()
		if err != nil {
			return RuleSet{}, err
		}
		add(Local, lines)
		set.ID, set.Place, set.From = set.ID+"+"+local.ID, local.Place, max(set.From, local.From)
		set.Name = Words{set.Name.ZH + "、" + local.Name.ZH, set.Name.EN + ", " + local.Name.EN}
		if set.Until == "" || local.Until != "" && local.Until < set.Until {
			set.Until = local.Until
		}
		set.Parts = append(set.Parts, RulePart{Local, local.ID, local.Hash})
	}
	if own.Document != "" {
		add(OfEstate, own.Lines)
		set.ID, set.From = set.ID+"+"+OfEstate, max(set.From, own.From)
		set.Name = Words{set.Name.ZH + "、本小区议事规则", set.Name.EN + ", the estate's rules of procedure"}
		set.Parts = append(set.Parts, RulePart{OfEstate, OfEstate, own.Document})
	}
	if set, err = OfLines(set, all); err != nil {
		return RuleSet{}, err
	}
	set.Hash = Hash(set.Canonical())
	return set, set.Check()
}

// Canonical writes the rule set as JSON, always the same way: [DecodeRules] reads it.
func (r RuleSet) Canonical() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		panic(err) // strings and numbers
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
