package pages

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// Plan is a meeting as it is being set up, field by field as it was typed: whatever
// is refused stays to be corrected. It is kept in the session of who sets it up
// until the meeting is drafted; from then on the ledger has it, for all who call it.
type Plan struct {
	Key string // of the draft, so that sending it twice is one meeting

	Kind, Convener, Title      string
	Asked                      bool // for by owners
	Motions                    []PlannedMotion
	Notice, Opens, Closes      string // a day, and two times, in Shanghai
	Revote, PaperAndElectronic string
	Unreturned, Parking        string
	Secret, Trustees           bool
}

// PlannedMotion is one motion as it was typed.
type PlannedMotion struct {
	Title, Matter              string
	Scope, Place, Units        string // Scope: estate, place or units
	Seats, Committee, Approves string
	Candidates                 string // codes of units, one each

	Effect, Agreement           string // what follows by itself, and from which agreement
	Amount                      string // in yuan
	Direction, Category, Period string // of a line of the budget; Period is its year
}

// Most of what one plan may hold: a session is read with every page.
const (
	MostMotions = 30
	MostTyped   = 20000 // bytes of one field
)

// What a scope of a planned motion may be.
const (
	scopeEstate = "estate"
	scopePlace  = "place"
	scopeUnits  = "units"
)

// codes takes a list of units apart as people write one: by lines, commas, dots or
// spaces.
var codes = regexp.MustCompile(`[\s,,、;;。]+`)

// Codes are the units of a list, each once, in its order.
func Codes(text string) (list []string) {
	for _, code := range codes.Split(text, -1) {
		if code != "" && !slices.Contains(list, code) {
			list = append(list, code)
		}
	}
	return list
}

// count is a number of people that was typed; 0 where nothing was. Rubbish is -1.
func count(text string) int {
	if text == "" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

// number is a motion's id on the paper: M1, M2, …
func number(i int) string { return "M" + strconv.Itoa(i+1) }

// draft is the motion as the API takes it, at a place of the agenda.
func (m PlannedMotion) draft(i int) map[string]any {
	out := map[string]any{"id": number(i), "title": m.Title, "matter": m.Matter, "scope": m.Scope}
	switch m.Scope {
	case scopePlace:
		out["scope"] = m.Place
	case scopeUnits:
		out["units"] = Codes(m.Units)
	}
	for name, text := range map[string]string{"seats": m.Seats, "committee": m.Committee, "approvals": m.Approves} {
		if text != "" {
			out[name] = count(text)
		}
	}
	if list := Codes(m.Candidates); len(list) > 0 {
		candidates := make([]client.Candidate, len(list))
		for i, code := range list {
			candidates[i] = client.Candidate{ID: "C" + strconv.Itoa(i+1), Unit: code}
		}
		out["candidates"] = candidates
	}
	if m.Effect != "" {
		out["effect"] = m.effect()
	}
	return out
}

// effect is what follows from the motion, as far as its kind asks for.
func (m PlannedMotion) effect() map[string]any {
	e := map[string]any{"kind": m.Effect}
	money := func() {
		amount, err := units.ParseFen(strings.ReplaceAll(m.Amount, ",", ""))
		if err != nil {
			amount = 0
		}
		e["amount_fen"] = amount
	}
	switch m.Effect {
	case votes.AppointProvider, votes.DismissProvider:
		e["agreement"] = m.Agreement
	case votes.DrawMaintenance:
		money()
	case votes.BudgetCommonIncome:
		money()
		e["direction"], e["category"], e["year"] = m.Direction, m.Category, count(m.Period)
	}
	return e
}

// EffectKinds are what may follow from a motion by itself.
var EffectKinds = []string{votes.AppointProvider, votes.DismissProvider, votes.DrawMaintenance, votes.BudgetCommonIncome}

// effectName says what kind of thing follows from a motion.
func effectName(l Lang, kind string) string {
	return lookup(l, map[string][2]string{
		votes.AppointProvider:    {"选聘物业：公示的合同可以正式生效", "appointing: the posted contract may come into force"},
		votes.DismissProvider:    {"解聘物业：开始计算六十日的通知期", "dismissing: the 60 days of notice begin"},
		votes.DrawMaintenance:    {"使用维修资金：可以支取，不超过写明的金额", "maintenance fund: so much may be drawn"},
		votes.BudgetCommonIncome: {"公共收益：定下预算里的一行", "common income: a line of the budget is set"},
	}, kind)
}

// EffectWords says what follows from a motion once it is adopted.
func EffectWords(l Lang, e client.Effect) string {
	words := effectName(l, e.Kind)
	switch e.Kind {
	case votes.DrawMaintenance:
		return words + l.T("，", ": ") + Yuan(e.Amount) + l.T(" 元", " yuan")
	case votes.BudgetCommonIncome:
		return words + l.T("：", ": ") + strconv.Itoa(e.Year) + l.T(" 年 ", " ") + Direction(l, e.Direction) + l.T("“", " “") + e.Category + l.T("”", "” ") + Yuan(e.Amount) + l.T(" 元", " yuan")
	}
	return words
}

// Shown is the motion as a meeting's page shows one.
func (m PlannedMotion) Shown(i int) client.Motion {
	var out client.Motion
	if text, err := json.Marshal(m.draft(i)); err == nil {
		_ = json.Unmarshal(text, &out) // its own names
	}
	return out
}

// Name is the title as it was typed, or one made of what kind of meeting it is.
func (p Plan) Name(today units.Day) string {
	if p.Title != "" {
		return p.Title
	}
	if len(today) < 4 {
		return ""
	}
	return string(today)[:4] + "年业主大会" + p.Kind + "会议（" + p.Convener + "召集）"
}

// Draft is the plan as the API takes the draft of a meeting.
func (p Plan) Draft(today units.Day) map[string]any {
	motions := make([]map[string]any, len(p.Motions))
	for i, m := range p.Motions {
		motions[i] = m.draft(i)
	}
	planned := client.Planned{Trustees: p.Trustees}
	if day, err := units.ParseDay(p.Notice); err == nil {
		planned.Notice = day
	}
	if opens, closes, ok := p.Days(); ok && opens.Before(closes) {
		planned.Opens, planned.Closes = &opens, &closes
	}
	return map[string]any{
		"title": p.Name(today), "secret": p.Secret, "planned": planned, "motions": motions, "kind": p.Kind, "convener": p.Convener, "asked_by_owners": p.Asked,
		"policy": map[string]any{
			"revote": p.Revote, "paper_and_electronic": p.PaperAndElectronic, "unreturned": p.Unreturned, "parking_counts_area": p.Parking == "yes",
		},
	}
}

// longestTitle is that of a motion, in characters.
const longestTitle = 500

// Check is the draft with its days, as the API checks them. What it could not even
// read is left out, and said here: so it says all the rest.
func (p Plan) Check(today units.Day) (body map[string]any, wrong []problem.Field) {
	body = p.Draft(today)
	for i, m := range body["motions"].([]map[string]any) {
		say := func(name, code, detail string) {
			wrong = append(wrong, problem.Field{Name: fmt.Sprintf("motions[%d].%s", i, name), Code: code, Detail: detail})
		}
		switch title := p.Motions[i].Title; {
		case title == "":
			say("title", "missing", "is missing")
			m["title"] = "?"
		case len([]rune(title)) > longestTitle:
			say("title", "too-long", "is longer than 500 characters")
			m["title"] = "?"
		}
		for name, longest := range map[string]int{"matter": 100, "scope": 130} {
			if text, _ := m[name].(string); len([]rune(text)) > longest {
				m[name] = "?"
			}
		}
	}
	for name, t := range p.days(today, &wrong) {
		body[name] = t
	}
	return body, wrong
}

const typedTime = "2006-01-02T15:04" // as a browser writes a datetime-local

// days are the instants of the plan that are ones.
func (p Plan) days(today units.Day, wrong *[]problem.Field) map[string]time.Time {
	out := map[string]time.Time{}
	for name, text := range map[string]string{"notice": p.Notice, "opens": p.Opens, "closes": p.Closes} {
		layout := typedTime
		if name == "notice" {
			layout = time.DateOnly
		}
		t, err := time.ParseInLocation(layout, text, units.Shanghai)
		switch {
		case text == "":
		case err != nil || t.Year() < 2000 || t.Year() > 2200:
			*wrong = append(*wrong, problem.Field{Name: name, Code: "not-a-day", Detail: "is no day"})
		case name == "notice" && units.DayOf(t) == today: // from now on
		default:
			out[name] = t
		}
	}
	return out
}

// Days are the opening and the close, and whether there are both.
func (p Plan) Days() (opens, closes time.Time, ok bool) {
	var wrong []problem.Field
	d := p.days("", &wrong)
	opens, closes = d["opens"], d["closes"]
	return opens, closes, !opens.IsZero() && !closes.IsZero()
}

// Notice is the notice as the API takes it, with the days of the plan and how
// motions that rest differ.
func (m ConveneModel) Notice() (map[string]any, error) {
	opens, closes, ok := m.Plan.Days()
	if !ok {
		return nil, problem.Invalid("time-wrong", "a notice says when voting opens and closes")
	}
	body := map[string]any{"opens": opens, "closes": closes}
	var differs []client.Differs
	for i, r := range m.Meeting.Resting {
		if reason := m.Differs[DiffersField(i)]; reason != "" {
			differs = append(differs, client.Differs{Motion: r.Motion, From: r.Meeting, Reason: reason})
		}
	}
	if len(differs) > 0 {
		body["differs"] = differs
	}
	return body, nil
}

// morning and evening are when voting is proposed to open and to close.
const (
	morning = 9 * time.Hour
	evening = 18 * time.Hour
)

// nextMorning is the first morning that is not before an instant.
func nextMorning(t time.Time) time.Time {
	day := units.DayOf(t).Start()
	if at := day.Add(morning); !at.Before(t) {
		return at
	}
	return day.AddDate(0, 0, 1).Add(morning)
}

// proposedDays is how long voting is proposed to go on where the rules let it.
const proposedDays = 14

// Propose fills in the days that are not typed yet, by what the rules leave.
func (p Plan) Propose(d client.Days) Plan {
	if p.Notice == "" {
		p.Notice = string(units.DayOf(d.Notice))
	}
	if p.Opens == "" {
		p.Opens = nextMorning(d.Opens).Format(typedTime)
	}
	return p
}

// ProposeClose fills in the close, by what the rules leave for the opening.
func (p Plan) ProposeClose(d client.Days) Plan {
	opens, err := time.ParseInLocation(typedTime, p.Opens, units.Shanghai)
	if p.Closes != "" || err != nil {
		return p
	}
	p.Closes = proposeClose(opens, d).Format(typedTime)
	return p
}

func proposeClose(opens time.Time, d client.Days) time.Time {
	t := units.DayOf(opens).Start().AddDate(0, 0, proposedDays).Add(evening)
	if d.Closes != nil && t.Before(*d.Closes) {
		t = nextEvening(*d.Closes)
	}
	if d.ClosesBy != nil && t.After(*d.ClosesBy) {
		t = d.ClosesBy.In(units.Shanghai)
	}
	return t
}

func nextEvening(t time.Time) time.Time {
	day := units.DayOf(t).Start()
	if at := day.Add(evening); !at.Before(t) {
		return at
	}
	return day.AddDate(0, 0, 1).Add(evening)
}

// Offer is a lawful day in place of one that was refused: what to call it, and what
// the button says to the server.
type Offer struct{ Field, Value, Words string }

// offers are the days that the rules leave in place of those that are wrong.
func (m ConveneModel) offers() map[string]Offer {
	out := map[string]Offer{}
	for _, w := range m.Days.Wrong {
		var t time.Time
		switch w.Name {
		case "notice":
			day := string(units.DayOf(m.Days.Notice))
			out[w.Name] = Offer{w.Name, day, day}
			continue
		case "opens":
			t = nextMorning(m.Days.Opens)
		case "closes":
			opens, _, _ := m.Plan.Days()
			if opens.IsZero() || opens.Before(m.Days.Opens) {
				opens = nextMorning(m.Days.Opens)
			}
			t = proposeClose(opens, m.Days)
		default:
			continue
		}
		out[w.Name] = Offer{w.Name, t.Format(typedTime), At(&t)}
	}
	return out
}

// Accept takes an offered day, as its button sent it.
func (p Plan) Accept(offer string) Plan {
	field, value, _ := strings.Cut(offer, " ")
	switch field {
	case "notice":
		p.Notice = value
	case "opens":
		p.Opens = value
	case "closes":
		p.Closes = value
	}
	return p
}

// PlanOf is the plan of a meeting that was drafted, so that it can be drafted anew.
func PlanOf(m client.Meeting) Plan {
	p := Plan{
		Title: m.Title, Kind: m.Kind, Convener: m.Convener, Asked: m.AskedByOwners, Revote: m.Policy.Revote, PaperAndElectronic: m.Policy.PaperAndElectronic, Unreturned: m.Policy.Unreturned, Parking: "no",
	}
	if m.Policy.ParkingCountsArea {
		p.Parking = "yes"
	}
	p.Notice, p.Trustees = string(m.Planned.Notice), m.Planned.Trustees
	if m.Planned.Opens != nil && m.Planned.Closes != nil {
		p.Opens, p.Closes = m.Planned.Opens.In(units.Shanghai).Format(typedTime), m.Planned.Closes.In(units.Shanghai).Format(typedTime)
	}
	typed := func(n int64) string {
		if n == 0 {
			return ""
		}
		return str(n)
	}
	for _, motion := range m.Motions {
		out := PlannedMotion{
			Title: motion.Title, Matter: motion.Matter, Scope: motion.Scope, Units: strings.Join(motion.Units, "\n"),
			Seats: typed(motion.Seats), Committee: typed(motion.Committee), Approves: typed(motion.Approvals),
		}
		if strings.Contains(motion.Scope, ":") {
			out.Scope, out.Place = scopePlace, motion.Scope
		}
		for _, c := range motion.Candidates {
			out.Candidates += c.Unit + "\n"
		}
		if e := motion.Effect; e != nil {
			out.Effect, out.Agreement, out.Direction, out.Category = e.Kind, e.Agreement, e.Direction, e.Category
			if e.Amount > 0 {
				out.Amount = e.Amount.String()
			}
			out.Period = typed(int64(e.Year))
		}
		p.Motions = append(p.Motions, out)
	}
	return p
}

// ConveneModel is a step of setting a meeting up.
type ConveneModel struct {
	Estate   client.Named
	Today    units.Day
	Plan     Plan
	Rules    client.Rules
	Places   []client.Place
	Deals    []client.Agreement // of the estate, that have not ended
	Under    []client.Meeting   // drafted or with a roll, and without a notice
	At       int                // of one motion: its place, from 0
	Motion   PlannedMotion      // as it is typed
	Days     client.Days        // what the rules leave
	Problem  *Problem
	Wrong    []problem.Field // what is wrong, by field
	Key      string
	Done     bool
	Meeting  client.Meeting // from the roll on
	Trust    client.Trusteeship
	Differs  map[string]string      // how motions that rest differ, as it was typed
	Disputes []client.RollObjection // objections to the roll that stand in the way
}

// conveneSteps are the steps in their order; the last two are of a drafted meeting.
var conveneSteps = []struct{ path, zh, en string }{
	{"", "会议", "Meeting"}, {"/motions", "议题", "Motions"}, {"/days", "时间", "Days"}, {"/review", "核对", "Review"}, {"", "名册", "Roll"}, {"/notice", "公告", "Notice"},
}

// step is the address of a step, "" where it cannot be opened yet.
func (m ConveneModel) step(i int) string {
	if i < 4 {
		if m.Meeting.ID != "" {
			return ""
		}
		if i > 1 && len(m.Plan.Motions) == 0 {
			return ""
		}
		return path("estates", m.Estate.ID, "convene") + conveneSteps[i].path
	}
	if m.Meeting.ID == "" {
		return ""
	}
	return path("meetings", m.Meeting.ID, "convene") + conveneSteps[i].path
}

// matterChoice is a matter of the law that a motion may be about.
type matterChoice struct{ ID, Words, Takes, From string }

// matters are the matters of the rules, as a choice.
func (m ConveneModel) matters(l Lang) (list []matterChoice) {
	for _, line := range m.Rules.Lines {
		id, ok := strings.CutPrefix(line.Name, "matters.")
		var matter struct {
			Threshold string `json:"threshold"`
			client.Words
		}
		if !ok || json.Unmarshal(line.Value, &matter) != nil {
			continue
		}
		list = append(list, matterChoice{id, l.T(matter.ZH, matter.EN), Takes(l, m.Rules, matter.Threshold), ruleFrom(l, line)})
	}
	slices.SortStableFunc(list, func(a, b matterChoice) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// matter is one of them.
func (m ConveneModel) matter(l Lang, id string) matterChoice {
	for _, c := range m.matters(l) {
		if c.ID == id {
			return c
		}
	}
	return matterChoice{ID: id}
}

// Takes says in a few words what a threshold of the rules asks for.
func Takes(l Lang, rules client.Rules, threshold string) string {
	for _, line := range rules.Lines {
		if line.Name == "thresholds."+threshold || threshold == "quorum" && line.Name == threshold {
			var t struct{ Heads, Area, Of, Counts string }
			if json.Unmarshal(line.Value, &t) == nil && t.Heads != "" {
				return takes(l, threshold == "quorum", t.Of == "all", t.Counts == "objectors", t.Heads, t.Area)
			}
		}
	}
	return threshold
}

func takes(l Lang, quorum, all, objectors bool, heads, area string) string {
	h, a := partWords(l, heads), partWords(l, area)
	switch {
	case objectors:
		return l.T("反对的人数"+h+"、面积"+a+"，就通过", "adopted where objectors are "+h+" of the heads and "+a+" of the area")
	case quorum:
		return l.T("参与的人数要"+h+"，面积也要"+a, "who takes part: "+h+" of all heads and "+a+" of all area")
	case all && heads == ">= 1/1":
		return l.T("有利害关系的业主要全部同意", "all affected owners must agree")
	case all:
		return l.T("同意的人数要占全体"+h+"，面积也要占全体"+a, h+" of all heads and "+a+" of all area must agree")
	}
	return l.T("参与的人里，同意的人数"+h+"，面积也"+a, "of those taking part "+h+" of the heads and "+a+" of the area must agree")
}

// partWords says a share such as "> 1/2".
func partWords(l Lang, part string) string {
	if words := map[string][2]string{
		"> 1/2": {"过半", "more than half"}, ">= 2/3": {"达到三分之二", "two thirds or more"}, ">= 3/4": {"达到四分之三", "three quarters or more"}, "<= 1/3": {"不超过三分之一", "one third or less"},
	}[part]; words[0] != "" {
		return l.T(words[0], words[1])
	}
	compare, share, _ := strings.Cut(part, " ")
	n, d, _ := strings.Cut(share, "/")
	how := map[string][2]string{">": {"超过", "more than "}, ">=": {"达到", "at least "}, "<=": {"不超过", "at most "}}[compare]
	return l.T(how[0], how[1]) + Fraction(l, n, d)
}

// rule is a line of the rules, and whether they have it.
func (m ConveneModel) rule(name string) (client.RuleLine, bool) {
	for _, line := range m.Rules.Lines {
		if line.Name == name {
			return line, true
		}
	}
	return client.RuleLine{}, false
}

// says is what a line of the rules says in words, with its source; "" where they
// have none.
func (m ConveneModel) says(l Lang, name string) string {
	line, ok := m.rule(name)
	if !ok {
		return ""
	}
	for _, group := range ruleGroups {
		for _, known := range group.lines {
			if known.name == name {
				return l.T(known.zh, known.en) + l.T(" ", " ") + ruleValue(l, known, line) + l.T("（", " (") + ruleFrom(l, line) + l.T("）", ")")
			}
		}
	}
	return ""
}

// fixed is the word that a line of the rules fixes; "" where they leave it open.
func (m ConveneModel) fixed(name string) string {
	line, ok := m.rule(name)
	var word string
	var yes bool
	switch {
	case !ok:
		return ""
	case json.Unmarshal(line.Value, &word) == nil:
		return word
	case json.Unmarshal(line.Value, &yes) == nil && yes:
		return "yes"
	}
	return "no"
}

// Complete fills in what the rules fix, and what nobody has chosen yet.
func (m *ConveneModel) Complete() {
	choose := func(to *string, rule string, otherwise string) {
		if fixed := m.fixed(rule); fixed != "" {
			*to = fixed
		} else if *to == "" {
			*to = otherwise
		}
	}
	p := &m.Plan
	choose(&p.Revote, "revote", votes.LastBallotStands)
	choose(&p.PaperAndElectronic, "paper_and_electronic", votes.PaperStands)
	choose(&p.Parking, "parking_counts_area", "no")
	if p.Unreturned == "" || p.Unreturned != m.fixed("unreturned") {
		p.Unreturned = votes.UnreturnedNone
	}
	if p.Kind == "" {
		p.Kind = votes.Kinds[0]
	}
	if p.Convener == "" {
		p.Convener = votes.Conveners[0]
	}
}

// rulesAtAGlance are the lines that whoever sets a meeting up should know first.
var rulesAtAGlance = []string{"quorum", "notice_days", "window.min_days", "window.max_days", "roll_objection_days", "result_posted_days", "objection_days"}

// wrong says in the reader's language what is wrong with a field; "" where nothing is.
func (m ConveneModel) wrong(l Lang, name string) string {
	for _, w := range m.Wrong {
		if w.Name == name {
			return m.explain(l, w)
		}
	}
	return ""
}

// under says what is wrong with a field or with one of its parts.
func (m ConveneModel) under(l Lang, name string) (list []string) {
	for _, w := range m.Wrong {
		if (w.Name == name || strings.HasPrefix(w.Name, name+"[")) && len(list) < 5 {
			if words := m.explain(l, w); !slices.Contains(list, words) {
				list = append(list, words)
			}
		}
	}
	return list
}

// indexed takes the name of a field apart: motions[0].candidates[2].unit.
var indexed = regexp.MustCompile(`^(?:motions\[\d+\]\.)?(\w+)(?:\[(\d+)\])?(?:\.(\w+))?$`)

// explain puts what the API says is wrong in a reader's words.
func (m ConveneModel) explain(l Lang, w problem.Field) string {
	if l == English {
		return w.Detail
	}
	parts := indexed.FindStringSubmatch(w.Name)
	if parts == nil {
		return "这一项不对，请改正"
	}
	of := func(list []string) string {
		i, err := strconv.Atoi(parts[2])
		if err != nil || i >= len(list) {
			return "有一项"
		}
		return "“" + list[i] + "”"
	}
	days := func(name string) string {
		if line, ok := m.rule(name); ok {
			return string(line.Value) + " 日（" + ruleFrom(l, line) + "）"
		}
		return ""
	}
	switch parts[1] {
	case "title":
		if w.Code == "too-long" {
			return "太长了，请写短一些"
		}
		return "这一项不能为空"
	case "kind":
		return "请选是什么会议"
	case "convener":
		switch w.Code {
		case "committee-of-the-first":
			return "首次会议才选出业主委员会，不能由它召集，请另选召集人"
		case "not-the-first":
			return "首次业主大会会议筹备组只召集首次会议，请另选召集人"
		}
		return "请选谁召集"
	case "asked_by_owners":
		return "业主提议召开的是临时会议"
	case "matter":
		if w.Code == "not-of-elections" {
			return "有名额和候选人的，只能是选举业委会或者更换委员的事项；不是选举的，请把名额和候选人清空"
		}
		return "请选这是哪一类事项"
	case "scope":
		if w.Code == "not-the-estate" {
			return "这个效果关系到全体业主，只能由全小区的业主表决"
		}
		return "请选由谁表决；选了楼栋或者单元的，还要选是哪一个"
	case "units":
		if parts[2] != "" {
			return of(Codes(m.Motion.Units)) + "不是本小区登记的房屋编号"
		}
		return "请列出有关的房屋编号"
	case "candidates":
		if parts[2] != "" {
			return of(Codes(m.Motion.Candidates)) + "不是本小区登记的房屋编号"
		}
		if w.Code == "not-more-than-seats" {
			return "现行规则要求差额选举，候选人要多于名额"
		}
		return "请列出候选人的房屋编号"
	case "seats":
		return m.electionWrong(w.Code)
	case "committee":
		return "委员会总人数不能少于这次要选的名额"
	case "approvals":
		if w.Code == "not-within-seats" {
			return "现行规则要求：一张票最多赞成的人数要写明，而且不能超过名额"
		}
		return "一张票最多赞成的人数，不能超过候选人数"
	case "effect":
		return effectWrong(parts[3], w.Code)
	case "secret":
		return secretRefused
	case "policy":
		if fixed := m.fixed(parts[3]); fixed != "" {
			return "现行规则已经规定：" + ruleWord(l, fixed)
		}
		return "请选一项"
	case "notice":
		if w.Code == "too-early" {
			if said := days("roll_objection_days"); said != "" && units.DayOf(m.Days.Notice) > m.Today {
				return "名册公布以后要留 " + said + " 给业主提异议，公告最早 " + string(units.DayOf(m.Days.Notice))
			}
			return "公告日已经过去了，最早是 " + string(units.DayOf(m.Days.Notice))
		}
	case "opens":
		if w.Code == "too-early" {
			longer := ""
			if len(m.Plan.Motions) > 0 && m.elects() && days("election.candidates_posted_days") != "" {
				longer = "，候选人要公示 " + days("election.candidates_posted_days")
			}
			if m.special() && days("special_notice_days") != "" {
				longer += "，临时会议要提前 " + days("special_notice_days")
			}
			return "公告以后要满 " + days("notice_days") + longer + "才能开始投票，最早是 " + At(&m.Days.Opens)
		}
	case "closes":
		switch w.Code {
		case "not-after-opens":
			return "截止要晚于开始"
		case "too-early":
			return "投票时间不能少于 " + days("window.min_days") + "，最早截止 " + At(m.Days.Closes)
		case "too-late":
			return "投票时间不能超过 " + days("window.max_days") + "，最晚截止 " + At(m.Days.ClosesBy)
		}
	}
	if w.Code == "not-a-day" {
		return "这不是一个日期，请重新选"
	}
	return "这一项不对，请改正"
}

// special says whether it is a special meeting.
func (m ConveneModel) special() bool {
	return m.Meeting.Kind == votes.Special || m.Meeting.ID == "" && m.Plan.Kind == votes.Special
}

// elects says whether one of the motions is an election.
func (m ConveneModel) elects() bool {
	return slices.ContainsFunc(m.Plan.Motions, func(p PlannedMotion) bool { return count(p.Seats) != 0 }) ||
		slices.ContainsFunc(m.Meeting.Motions, func(p client.Motion) bool { return p.Seats > 0 })
}

var digits = regexp.MustCompile(`\d+`)

func (m ConveneModel) electionWrong(code string) string {
	bound := func(name string) string {
		line, _ := m.rule(name)
		return string(line.Value)
	}
	switch code {
	case "too-few":
		return "业主委员会至少 " + bound("election.min_seats") + " 人；只补选几个人的，请另外写明委员会总人数"
	case "too-many":
		return "业主委员会最多 " + bound("election.max_seats") + " 人"
	case "not-odd":
		return "业主委员会的人数要是单数"
	}
	return "请写这次要选几个人，至少 1 人"
}

// effectWrong says what is wrong with what would follow from a motion.
func effectWrong(field, code string) string {
	switch field {
	case "kind":
		return "上面选的那一类事项，不会有这个效果。选聘、解聘要选第（四）项，使用维修资金选第（五）项，公共收益选第（八）项或第（九）项"
	case "agreement":
		switch code {
		case "ended":
			return "这份合同已经终止"
		case "not-active":
			return "这份合同还没有生效，谈不上解聘"
		case "active":
			return "这份合同已经在履行，不用再选聘"
		case "not-posted":
			return "这份合同还没有公示：业主要先能看到条款，才能决定"
		}
		return "请选一份合同"
	case "amount_fen":
		return "请写大于零的金额，最多两位小数，例如 80000.00"
	case "direction":
		return "请选收入还是支出"
	case "category":
		return "请写预算科目，例如：电梯广告收入"
	case "year":
		return "请写年度，例如 2027"
	}
	if code == "duplicate" {
		return "另一个议题已经有同样的效果"
	}
	return "选举的议题不会有这个效果"
}

const secretRefused = "暂时不能无记名投票：要计票就得拆开单张的票，经手的人会看到谁投了什么；户数少的，光从合计也能推出个人的选择。请用记名方式：计票以前谁也看不到，公布时只写房号和面积，不写姓名。"

// FirstStep are the fields of the first step.
var FirstStep = []string{"title", "kind", "convener", "asked_by_owners"}

// wrongStep says of each field that is wrong to which step it belongs.
func wrongStep(name string) int {
	switch {
	case strings.HasPrefix(name, "motions"):
		return 1
	case slices.Contains(FirstStep, name):
		return 0
	}
	return 2
}

// inReview says everything that is wrong, with the step where it is mended.
func (m ConveneModel) inReview(l Lang) (list []Link) {
	for _, w := range m.Wrong {
		step := wrongStep(w.Name)
		words := m.explain(l, w)
		if i, err := strconv.Atoi(digits.FindString(w.Name)); err == nil && step == 1 {
			if i < len(m.Plan.Motions) {
				m.Motion = m.Plan.Motions[i]
				words = fmt.Sprintf(l.T("议题 %s:", "Motion %s: "), number(i)) + m.explain(l, w)
			}
			list = append(list, Link{Href: path("estates", m.Estate.ID, "convene", "motions", strconv.Itoa(i+1)), Text: words})
			continue
		}
		list = append(list, Link{Href: m.step(step), Text: words})
	}
	return list
}

// objected says how many objections to the roll wait, and how many were upheld.
func (m ConveneModel) objected() (open, upheld int) {
	for _, o := range m.Disputes {
		switch o.State {
		case "open":
			open++
		case "upheld":
			upheld++
		}
	}
	return open, upheld
}

// taken counts the shares that trustees have taken.
func (m ConveneModel) taken() int { return TrusteesModel{Trust: m.Trust}.taken() }

// blocked says why the notice cannot be posted yet, but for its days.
func (m ConveneModel) blocked(l Lang) (list []Link) {
	at := path("meetings", m.Meeting.ID)
	if m.Meeting.Roll == nil {
		list = append(list, Link{Href: at + "/convene", Text: l.T("名册还没有封存", "the roll is not frozen")})
	}
	if open, upheld := m.objected(); open > 0 {
		list = append(list, Link{Href: at + "/roll#objections", Text: fmt.Sprintf(l.T("名册有 %d 条异议没有答复", "%d objections to the roll are not answered"), open)})
	} else if upheld > 0 {
		list = append(list, Link{Href: at + "/convene", Text: l.T("有异议成立，请更正登记以后重新封存名册", "an objection was upheld: correct the titles, and freeze the roll anew")})
	}
	if left := len(m.Trust.Trustees) - m.taken(); left > 0 {
		list = append(list, Link{Href: at + "/trustees", Text: fmt.Sprintf(l.T("还有 %d 位保管人没有领走密钥", "%d trustees have not taken their share"), left)})
	}
	return list
}

// flag is the value of aria-invalid for words that say what is wrong.
func flag(words string) string { return strconv.FormatBool(words != "") }

// inWords is a time as it was typed, as pages write one.
func inWords(text string) string { return strings.Replace(text, "T", " ", 1) }

// matterSource names the item of the law, and whether its text was read.
func matterSource(l Lang, c matterChoice) string {
	if name := Matter(l, c.ID); name != c.ID {
		return name
	}
	return c.From
}

// placeName is a building or a stair in a list to choose from.
func placeName(l Lang, scope string) string {
	kind, which, _ := strings.Cut(scope, ":")
	if kind == "building" {
		return l.T(which+" 栋", "building "+which)
	}
	at := max(0, strings.LastIndex(which, "-"))
	return l.T(which[:at]+" 栋 "+strings.TrimPrefix(which[at:], "-")+" 单元", "building "+which[:at]+", stair "+strings.TrimPrefix(which[at:], "-"))
}

// policyName is what a policy of a meeting is about.
func policyName(l Lang, name string) string {
	return lookup(l, map[string][2]string{
		"revote": {"同一渠道投了两次", "Voting twice in one channel"}, "paper_and_electronic": {"电子票和纸质票都投了", "Both electronic and on paper"},
		"unreturned": {"没有交回的票", "Ballots not returned"}, "parking_counts_area": {"车位", "Parking"},
	}, name)
}

// policyValue is what it says.
func policyValue(l Lang, name, value string) string {
	if name == "parking_counts_area" {
		if value == "yes" {
			return l.T("车位计入面积和人数", "parking counts, by area and by head")
		}
		return l.T("车位不计入面积和人数", "parking does not count")
	}
	return PolicyWords(l, value)
}

// foreseenStep is a day in the life of a meeting that is not announced yet.
type foreseenStep struct{ When, What, Note, Rule string }

// life is the planned meeting day by day: its own days first, then those that the
// rules count from them. Bounds of its own days are said where those are typed.
func (m ConveneModel) life(l Lang) (list []foreseenStep) {
	notice := m.Plan.Notice
	if m.Meeting.ID != "" { // it is posted by the button
		notice = string(m.Today)
	}
	own := []foreseenStep{
		{When: notice, What: l.T("张贴公告", "the notice is posted")},
		{When: inWords(m.Plan.Opens), What: l.T("开始投票", "voting opens")},
	}
	for _, d := range m.Days.Deadlines {
		step := foreseenStep{deadlineDay(l, d), DeadlineWords(l, d.Name), deadlineNote(l, d), l.T(d.Rule.ZH, d.Rule.EN)}
		switch d.Name {
		case "opening", "shortest-window", "longest-window":
		case "roll-objections":
			list = append(list, step)
		case "closing":
			list = append(list, own...)
			list = append(list, step)
		default:
			list = append(list, step)
		}
	}
	return list
}

// deadlineNote is what is to be known of a day that is still to come.
func deadlineNote(l Lang, d client.Deadline) string {
	switch {
	case d.HolidaysUnknown:
		return l.T("那一年的放假安排还没有公布，日期可能会变", "the holidays of that year are not announced, and the day may move")
	case d.Moved:
		return l.T("最后一天放假，顺延到下一个工作日", "moved to the next working day")
	}
	return ""
}
