package pages

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// AdoptModel is the form by which an estate adopts its rules of procedure.
type AdoptModel struct {
	Estate   client.Named
	Rules    client.Rules // in force now
	Places   []client.RuleSet
	Today    units.Day
	Key      string
	From     string // a day, as it was typed
	Base     string
	Document string
	Own      map[string]OwnLine // by name of the line
	Order    []string           // names of the lines that were sent, for what is wrong with them
	Problem  *Problem
}

// Adopted returns the rules of a place that the estate has adopted or, where a better
// file took the place of these, that of the same place; "" where it has none.
func (m AdoptModel) Adopted() string {
	if m.Rules.Adopted == nil || m.Rules.Adopted.Base == "" {
		return ""
	}
	for _, p := range m.Places {
		if p.Place == m.Rules.Place {
			return p.ID
		}
	}
	return ""
}

// OwnLine is a line of an estate's rules as it was typed.
type OwnLine struct{ Value, Article string }

// adoptable is a line that an estate may ask more by, and how it is typed.
type adoptable struct {
	ruleLine
	choices []ruleChoice // none: a number
}

// ruleChoice is what a line may say, as a word in the form.
type ruleChoice struct {
	value  string // of the form
	zh, en string
}

var (
	sayYes  = []ruleChoice{{"true", "是", "yes"}}
	yesOrNo = []ruleChoice{{"true", "是", "yes"}, {"false", "否", "no"}}
)

// ofWords are the lines that say one of a few words.
var ofWords = map[string][]ruleChoice{
	"only_noticed_matters": sayYes, "paper_on_request": sayYes, "proxies.instructions": sayYes, "election.odd_seats": sayYes,
	"election.more_candidates_than_seats": sayYes, "election.substitutes": sayYes,
	"partial_ballots": yesOrNo, "parking_counts_area": yesOrNo,
	"revote":               words(votes.FirstBallotStands, votes.LastBallotStands),
	"paper_and_electronic": words(votes.ElectronicStands, votes.PaperStands, votes.FirstStands),
	"unreturned":           words(votes.UnreturnedNone, votes.UnreturnedTakesPart, votes.UnreturnedWithMajority),
	"co_owners":            words("named"),
	"sale":                 words("seller-who-voted-else-buyer"),
	"open_votes_posted":    words("unit-and-area"),
	"proxies.barred":       words("provider"),
	"quorum":               partChoices(">= 3/4", ">= 1/1"),
	"thresholds.ordinary":  partChoices(">= 2/3", ">= 3/4", ">= 1/1"),
	"thresholds.special":   partChoices("> 3/4", ">= 4/5", ">= 1/1"),
}

func words(of ...string) []ruleChoice {
	list := make([]ruleChoice, len(of))
	for i, w := range of {
		list[i] = ruleChoice{w, ruleWord(Chinese, w), ruleWord(English, w)}
	}
	return list
}

func partChoices(of ...string) []ruleChoice {
	list := make([]ruleChoice, len(of))
	for i, part := range of {
		list[i] = ruleChoice{part, "人数、面积都" + partWords(Chinese, part), partWords(English, part) + " by heads and by area"}
	}
	return list
}

// ofTheLaw are the lines that an estate decides nothing about.
var ofTheLaw = []string{"thresholds.unanimity", "thresholds.objection", "listed_scope", "court_years"}

// adoptables are the lines of a group that an estate may ask more by.
func adoptables(group []ruleLine) (list []adoptable) {
	for _, line := range group {
		if !slices.Contains(ofTheLaw, line.name) {
			list = append(list, adoptable{line, ofWords[line.name]})
		}
	}
	return list
}

// Adoptable are the names of all of them, in the order of the page.
func Adoptable() (names []string) {
	for _, group := range ruleGroups {
		for _, line := range adoptables(group.lines) {
			names = append(names, line.name)
		}
	}
	return names
}

// value is what a line says, as the API takes it.
func (m AdoptModel) value(name string) any {
	typed := m.Own[name].Value
	switch choices := ofWords[name]; {
	case name == "proxies.barred":
		return []string{typed}
	case name == "quorum" || strings.HasPrefix(name, "thresholds."):
		threshold := map[string]any{}
		for _, line := range m.Rules.Lines { // how it is measured stays as it is by law
			if line.Name == name {
				_ = json.Unmarshal(line.Value, &threshold)
			}
		}
		threshold["heads"], threshold["area"] = typed, typed
		threshold["words"] = map[string]string{
			"zh": "本小区议事规则：" + takes(Chinese, name == "quorum", false, false, typed, typed) + "。",
			"en": "The estate's rules of procedure: " + takes(English, name == "quorum", false, false, typed, typed) + ".",
		}
		return threshold
	case len(choices) > 0 && (typed == "true" || typed == "false"):
		return typed == "true"
	case len(choices) > 0:
		return typed
	}
	if n, err := strconv.ParseUint(typed, 10, 16); err == nil {
		return n
	}
	return typed
}

// Body is the form as the API takes it.
func (m *AdoptModel) Body() map[string]any {
	type line struct {
		Name    string `json:"name"`
		Value   any    `json:"value"`
		Article string `json:"article"`
	}
	lines := []line{}
	m.Order = nil
	for _, name := range Adoptable() {
		if own := m.Own[name]; own.Value != "" {
			lines = append(lines, line{name, m.value(name), own.Article})
			m.Order = append(m.Order, name)
		}
	}
	return map[string]any{"from": m.From, "base": m.Base, "document": m.Document, "lines": lines}
}

// Missing says what a form lacks that the API could not even read.
func (m *AdoptModel) Missing() (wrong []problem.Field) {
	if _, err := units.ParseDay(m.From); err != nil {
		wrong = append(wrong, problem.Field{Name: "from", Code: "not-a-day", Detail: "is no day"})
	}
	if len([]rune(m.Document)) > LongestRules {
		wrong = append(wrong, problem.Field{Name: "document", Code: "too-long", Detail: "is longer than 200000 characters"})
	}
	for i, name := range m.Order {
		if article := m.Own[name].Article; article == "" || len([]rune(article)) > 200 {
			wrong = append(wrong, problem.Field{Name: "lines[" + strconv.Itoa(i) + "].article", Code: "missing", Detail: "is missing"})
		}
		if n, err := strconv.ParseUint(m.Own[name].Value, 10, 16); len(ofWords[name]) == 0 && (err != nil || n == 0) {
			wrong = append(wrong, problem.Field{Name: "lines[" + strconv.Itoa(i) + "].value", Code: "not-a-number", Detail: "is no number over 0"})
		}
	}
	return wrong
}

// LongestRules is how many characters rules of procedure may have.
const LongestRules = 200000

var ofLine = regexp.MustCompile(`^lines\[(\d+)\]\.(\w+)`)

// wrongLine says what is wrong with a line; "" where nothing is.
func (m AdoptModel) wrongLine(l Lang, name, part string) string {
	if m.Problem == nil {
		return ""
	}
	for _, f := range m.Problem.Fields {
		found := ofLine.FindStringSubmatch(f.Name)
		if found == nil || found[2] != part {
			continue
		}
		if i, err := strconv.Atoi(found[1]); err != nil || i >= len(m.Order) || m.Order[i] != name {
			continue
		}
		if l == English {
			return f.Detail
		}
		if part == "article" {
			return "请写明在议事规则第几条"
		}
		return loosened(f)
	}
	return ""
}

// loosened says why a line cannot be adopted.
func loosened(f problem.Field) string {
	switch f.Code {
	case "too-few":
		return "不能放宽：比 " + f.Source + " 的 " + f.Bound + " 还少"
	case "too-many":
		return "不能放宽：比 " + f.Source + " 的 " + f.Bound + " 还多"
	case "below-the-law":
		return "不能放宽：比法律要求的还低"
	case "not-in-the-place":
		return "法律和本地规定都没有允许，小区不能自己增加"
	case "not-a-number":
		return "请写大于零的整数"
	case "fixed":
		return "这一条已由 " + f.Source + " 规定，小区不能另定"
	}
	return "这一条不能这样写"
}

// wrongField says what is wrong with one of the other fields.
func (m AdoptModel) wrongField(l Lang, name string) string {
	if m.Problem == nil {
		return ""
	}
	for _, f := range m.Problem.Fields {
		switch {
		case f.Name != name:
		case l == English:
			return f.Detail
		case f.Code == "before-the-last":
			return "不能早于上一次规则开始的日子：" + f.Bound
		case name == "from":
			return "请选今天或者以后的日子：已经发出的公告，仍按当时的规则"
		case name == "document" && f.Code == "too-long":
			return "太长了，最多二十万字"
		case name == "document":
			return "写了小区自己的要求，就要把议事规则全文放上来"
		default:
			return "请重新选一项"
		}
	}
	return ""
}

// lawSays is what the rules in force say of a line, with the source.
func (m AdoptModel) lawSays(l Lang, of ruleLine) string {
	for _, line := range m.Rules.Lines {
		if line.Name == of.name {
			return l.T("现在：", "now: ") + ruleValue(l, of, line) + l.T("（", " (") + ruleFrom(l, line) + l.T("）", ")")
		}
	}
	return l.T("现在没有规定", "nothing is said of it now")
}

// opened says whether a group of lines has something typed in it.
func (m AdoptModel) opened(group []ruleLine) bool {
	return slices.ContainsFunc(group, func(line ruleLine) bool { return m.Own[line.name] != OwnLine{} })
}

// unitOf is how the number of a line is counted, in brackets.
func unitOf(l Lang, line adoptable) string {
	if unit := strings.TrimSpace(l.T(line.unit[0], line.unit[1])); len(line.choices) == 0 && unit != "" {
		return l.T("（", " (") + unit + l.T("）", ")")
	}
	return ""
}
