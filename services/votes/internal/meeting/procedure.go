package meeting

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Procedure is what an estate has adopted as its rules, in the order in which it
// did. The zero value has adopted nothing: the national rules are in force.
type Procedure struct {
	Adopted []votes.RulesAdopted
}

// EvolveProcedure applies one event. It never fails and never decides.
func EvolveProcedure(p Procedure, e votes.Event) Procedure {
	if e, ok := e.(votes.RulesAdopted); ok {
		p.Adopted = append(p.Adopted[:len(p.Adopted):len(p.Adopted)], e)
	}
	return p
}

// On returns what is in force on a day; false where that is nothing.
func (p Procedure) On(day units.Day) (votes.RulesAdopted, bool) {
	for _, a := range slices.Backward(p.Adopted) {
		if a.From <= day {
			return a, true
		}
	}
	return votes.RulesAdopted{}, false
}

// OwnOf returns the lines that an estate adopted.
func OwnOf(a votes.RulesAdopted) Own {
	own := Own{From: a.From, Document: a.Document, Lines: map[string]Line{}}
	for _, l := range a.Lines {
		own.Lines[l.Name] = Line{Value: json.RawMessage(l.Value), Source: l.Article, Basis: Read}
	}
	return own
}

// Errors of who adopts rules.
var (
	ErrRulesWrong  = problem.Invalid("rules-wrong", "the rules cannot be adopted as they are stated")
	ErrRulesLoosen = problem.Invalid("rules-loosen", "an estate may ask for more than the law and the rules of its place do, and never for less")
)

// AdoptRules adopts the rules of a place, and of the estate what is tighter.
type AdoptRules struct {
	votes.RulesAdopted
	National RuleSet // the file of the day they are in force from
	Place    RuleSet // the file of the place; zero: none
}

var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Decide refuses what is adopted for a day that is over, lines that there are not,
// lines without the document they stand in, and every line that loosens what is
// national or the place's.
func (c AdoptRules) Decide(p Procedure) ([]votes.Event, error) {
	e := c.RulesAdopted
	if last := len(p.Adopted) - 1; last >= 0 {
		same := p.Adopted[last]
		same.At = e.At
		if same.From == e.From && same.Base == e.Base && same.BaseHash == e.BaseHash && same.Document == e.Document && slices.Equal(same.Lines, e.Lines) {
			return nil, nil
		}
	}
	if wrong := c.check(p); len(wrong) > 0 {
		return nil, saying(ErrRulesWrong, wrong)
	}
	base, err := Compose(c.National, c.Place, Own{})
	if err != nil {
		return nil, err
	}
	set, err := Compose(c.National, c.Place, OwnOf(e))
	if err != nil {
		return nil, saying(ErrRulesWrong, []problem.Field{{Name: "lines", Code: "unreadable", Detail: err.Error()}})
	}
	var loose []problem.Field
	for i, l := range e.Lines {
		if why := loosens(base, set, l.Name); why.Code != "" {
			why.Name = fmt.Sprintf("lines[%d].value", i)
			loose = append(loose, why)
		}
	}
	if len(loose) > 0 {
		return nil, saying(ErrRulesLoosen, loose)
	}
	e.RuleSet, e.RuleHash = set.ID, set.Hash
	return []votes.Event{e}, nil
}

// bounded says that a time is on the wrong side of another.
func bounded(name, code, detail string, t time.Time) problem.Field {
	bound := t.In(units.Shanghai).Format(time.RFC3339)
	return problem.Field{Name: name, Code: code, Detail: detail + bound, Bound: bound}
}

func saying(e *problem.Error, fields []problem.Field) error {
	said := *e
	said.Fields = fields
	return &said
}

func (c AdoptRules) check(p Procedure) (wrong []problem.Field) {
	want := func(ok bool, name, code, detail string) {
		if !ok {
			wrong = append(wrong, problem.Field{Name: name, Code: code, Detail: detail})
		}
	}
	_, err := units.ParseDay(string(c.From))
	want(err == nil && c.From >= units.DayOf(c.At), "from", "not-from-today", "is a day, and today or later: what was announced by other rules stays so")
	if last := len(p.Adopted) - 1; last >= 0 {
		if day := p.Adopted[last].From; c.From < day {
			wrong = append(wrong, problem.Field{Name: "from", Code: "before-the-last", Detail: "is before the day of what was adopted last: " + string(day), Bound: string(day)})
		}
	}
	want(c.National.Covers(c.From), "from", "no-national-rules", "is a day for which there are no national rules")
	want(c.Base == c.Place.ID && c.BaseHash == c.Place.Hash, "base", "unknown", "is no rule set of a place")
	want(c.Base == "" || c.Place.Covers(c.From), "base", "not-in-force", "is not in force on that day")
	want(len(c.Lines) == 0 || sha256Hex.MatchString(c.Document), "document", "missing", "is missing: the rules of procedure that the lines stand in")
	want(c.Document == "" || sha256Hex.MatchString(c.Document), "document", "not-a-hash", "is no SHA-256")
	seen := map[string]bool{}
	for i, l := range c.Lines {
		field := func(name string) string { return fmt.Sprintf("lines[%d].%s", i, name) }
		_, known := tightens[l.Name]
		want(known || strings.HasPrefix(l.Name, "thresholds."), field("name"), "unknown", "is no line that an estate decides about")
		want(!seen[l.Name], field("name"), "duplicate", "is there twice")
		seen[l.Name] = true
		want(strings.TrimSpace(l.Article) != "" && len([]rune(l.Article)) <= 200, field("article"), "missing", "says where in the document the line stands, in at most 200 characters")
		want(json.Valid([]byte(l.Value)) && CompactValue([]byte(l.Value)) == l.Value && l.Value != "null", field("value"), "unreadable", "is no JSON without spaces")
	}
	return wrong
}

// ask says how a line asks for more.
type ask int

const (
	more   ask = iota // by a higher number
	less              // by a lower number; none is no bound
	atMost            // by a lower number; none permits nothing
	yes               // by saying so
	asLaw             // not at all: it is free where the law says nothing
	parts             // by higher parts or, of objectors, lower ones
	names             // by more of them
)

// tightens are the lines that an estate's rules of procedure may have. What else
// rule sets say is for the law alone: matters, and how long a court may be asked.
var tightens = map[string]ask{
	"notice_days": more, "special_notice_days": more, "public_posting_days": more, "roll_objection_days": more,
	"window.min_days": more, "window.max_days": less,
	"extension.times": atMost, "extension.days": atMost, "extension.months": atMost, "extension.rest_years": more,
	"only_noticed_matters": yes, "paper_on_request": yes,
	"revote": asLaw, "paper_and_electronic": asLaw, "partial_ballots": asLaw, "unreturned": asLaw,
	"parking_counts_area": asLaw, "co_owners": asLaw, "sale": asLaw, "open_votes_posted": asLaw,
	"proxies.cap": less, "proxies.barred": names, "proxies.instructions": yes,
	"secrecy_minimum_heads": more,
	"result_posted_days":    less, "result_stands_days": more, "objection_days": more,
	"election.min_seats": more, "election.max_seats": less, "election.odd_seats": yes, "election.term_years": less,
	"election.candidates_posted_days": more, "election.more_candidates_than_seats": yes, "election.substitutes": yes,
	"election.filed_within_days": less, "committee.agenda_posted_days": more, "committee.decisions_posted_days": less,
	"quorum": parts,
}

// loosens says why a line asks for less than the law, without the name of the field;
// zero where it does not.
func loosens(law, set RuleSet, name string) problem.Field {
	because := func(code, detail string) problem.Field { return problem.Field{Code: code, Detail: detail} }
	if of, ok := strings.CutPrefix(name, "thresholds."); ok {
		return looserParts(law.Thresholds[of], set.Thresholds[of])
	}
	if name == "quorum" {
		return looserParts(law.Quorum, set.Quorum)
	}
	lawLines, err1 := law.Lines()
	setLines, err2 := set.Lines()
	if err1 != nil || err2 != nil {
		return because("unreadable", "cannot be read")
	}
	said, given := lawLines[name]
	own := setLines[name]
	same := bytes.Equal(said.Value, own.Value)
	switch kind := tightens[name]; kind {
	case more, less, atMost:
		var n, m int
		if json.Unmarshal(own.Value, &m) != nil || given && json.Unmarshal(said.Value, &n) != nil || m <= 0 {
			return because("not-a-number", "is no number over 0")
		}
		switch {
		case !given && kind == atMost:
			return because("not-in-the-place", "is not in the rules of this place, so it is not allowed there")
		case given && kind == more && m < n:
			return problem.Field{Code: "too-few", Detail: fmt.Sprintf("is less than the %d of %s", n, said.Source), Bound: strconv.Itoa(n), Source: said.Source}
		case given && kind != more && m > n:
			return problem.Field{Code: "too-many", Detail: fmt.Sprintf("is more than the %d of %s", n, said.Source), Bound: strconv.Itoa(n), Source: said.Source}
		}
	case yes:
		if string(own.Value) != "true" {
			return because("waived", "may be asked for, and not waived")
		}
	case names:
		for _, who := range law.Proxies.Barred {
			if !slices.Contains(set.Proxies.Barred, who) {
				return problem.Field{Code: "left-out", Detail: "leaves out " + who + ", whom " + said.Source + " bars", Bound: who, Source: said.Source}
			}
		}
		if i := slices.IndexFunc(set.Proxies.Barred, func(who string) bool { return who != "provider" }); i >= 0 || len(set.Proxies.Barred) == 0 {
			return because("not-one-of", "names who may hold no mandate: provider")
		}
	case asLaw:
		if given && !same {
			return problem.Field{Code: "fixed", Detail: fmt.Sprintf("is %s by %s", said.Value, said.Source), Bound: string(said.Value), Source: said.Source}
		}
	case parts:
	}
	return problem.Field{}
}

func looserParts(law, own Threshold) problem.Field {
	because := func(code, detail string) problem.Field { return problem.Field{Code: code, Detail: detail} }
	switch {
	case !law.given():
		return because("unknown", "is no threshold of these rules")
	case own.Of != law.Of || own.Counts != law.Counts:
		return because("measured-otherwise", "is measured otherwise than by law")
	case looser(law.Heads, own.Heads):
		return because("below-the-law", "asks for fewer heads than the law")
	case looser(law.Area, own.Area):
		return because("below-the-law", "asks for less area than the law")
	}
	return problem.Field{}
}

// looser compares two parts without dividing.
func looser(law, own Part) bool {
	l, o := law.Numerator*own.Denominator, own.Numerator*law.Denominator
	if law.AtMost {
		return !own.AtMost || o > l
	}
	return own.AtMost || o < l || o == l && law.Strict && !own.Strict
}

// Departs lists where the policies of a meeting are not those that its rules fix.
// What they leave open the meeting decides.
func (r RuleSet) Departs(p votes.Policy) (wrong []problem.Field) {
	fixed := func(name, value, rule string) {
		if rule != "" && value != rule {
			wrong = append(wrong, problem.Field{Name: "policy." + name, Code: "fixed", Detail: "the rules in force here say " + rule, Bound: rule})
		}
	}
	fixed("revote", p.Revote, r.Revote)
	fixed("paper_and_electronic", p.PaperAndElectronic, r.PaperAndElectronic)
	if r.ParkingCountsArea != nil && *r.ParkingCountsArea != p.ParkingCountsArea {
		wrong = append(wrong, problem.Field{Name: "policy.parking_counts_area", Code: "fixed", Detail: fmt.Sprintf("the rules in force here say %t", *r.ParkingCountsArea), Bound: strconv.FormatBool(*r.ParkingCountsArea)})
	}
	return wrong
}

// Errors of a notice that the rules do not allow.
var (
	ErrTooShort = problem.Invalid("window-too-short", "the rules in force here give owners more time to vote")
	ErrTooLong  = problem.Invalid("window-too-long", "the rules in force here ask for an earlier close")
	ErrDeparts  = problem.Invalid("rules-changed", "the rules in force on the day of the notice fix what the draft decides otherwise: draft the meeting again")
)

// window refuses a vote that is shorter or longer than the rules allow.
func (r RuleSet) window(opens, closes time.Time) error {
	bound := func(days int) time.Time { return opens.In(units.Shanghai).AddDate(0, 0, days) }
	switch {
	case r.Window.MinDays > 0 && closes.Before(bound(r.Window.MinDays)):
		return saying(ErrTooShort, []problem.Field{bounded("closes", "too-early", "must not be before ", bound(r.Window.MinDays))})
	case r.Window.MaxDays > 0 && closes.After(bound(r.Window.MaxDays)):
		return saying(ErrTooLong, []problem.Field{bounded("closes", "too-late", "must not be after ", bound(r.Window.MaxDays))})
	}
	return nil
}

// ErrSecret says why no meeting is secret.
var ErrSecret = problem.Invalid("secret-refused",
	"a secret vote is not offered: to count it, single ballots would have to be opened, and whoever counts would see who voted how; "+
		"in a small estate the exact totals alone give single votes away. Hold it openly: ballots are closed to everyone until the count, and posted by unit without names",
	problem.Field{Name: "secret", Code: "not-offered", Detail: "must be false"})

// CompactValue writes a value of a line without spaces, as events hold it; what is
// no JSON stays as it is, and the command refuses it.
func CompactValue(value []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, value) != nil {
		return string(value)
	}
	return b.String()
}

// LineNames are the lines that a rule set may have, besides matters, by name.
func LineNames() []string {
	names := slices.Collect(maps.Keys(tightens))
	names = append(names, "listed_scope", "court_years", "thresholds.ordinary", "thresholds.special", "thresholds.unanimity", "thresholds.objection")
	slices.Sort(names)
	return names
}
