package pages

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	instant, err := time.ParseInLocation("2006-01-02 15:04", text, units.Shanghai)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}

func TestWhatAThresholdTakesIsSaidInAFewWords(t *testing.T) {
	rules := client.Rules{}
	for name, value := range map[string]string{
		"quorum":               `{"heads":">= 2/3","area":">= 2/3"}`,
		"thresholds.ordinary":  `{"heads":"> 1/2","area":"> 1/2"}`,
		"thresholds.special":   `{"heads":">= 3/4","area":">= 3/4"}`,
		"thresholds.unanimity": `{"of":"all","heads":">= 1/1","area":">= 1/1"}`,
		"thresholds.objection": `{"of":"all","counts":"objectors","heads":"<= 1/3","area":"<= 1/3"}`,
		"thresholds.stricter":  `{"heads":"> 3/5","area":">= 4/5"}`,
	} {
		rules.Lines = append(rules.Lines, client.RuleLine{Name: name, Value: json.RawMessage(value)})
	}
	for threshold, want := range map[string]string{
		"quorum":    "参与的人数要达到三分之二，面积也要达到三分之二",
		"ordinary":  "参与的人里，同意的人数过半，面积也过半",
		"special":   "参与的人里，同意的人数达到四分之三，面积也达到四分之三",
		"unanimity": "有利害关系的业主要全部同意",
		"objection": "反对的人数不超过三分之一、面积不超过三分之一，就通过",
		"stricter":  "参与的人里，同意的人数超过5 分之 3，面积也达到5 分之 4",
		"unknown":   "unknown",
	} {
		if got := Takes(Chinese, rules, threshold); got != want {
			t.Errorf("%s: %s, want %s", threshold, got, want)
		}
	}
}

func TestTheDaysThatAreProposedAreOnesThatTheRulesLeave(t *testing.T) {
	instant := func(text string) *time.Time { i := at(t, text); return &i }
	for _, c := range []struct {
		name                  string
		days                  client.Days
		notice, opens, closes string
	}{
		{"an opening at night is the next morning", client.Days{Notice: at(t, "2026-11-26 22:00"), Opens: at(t, "2026-12-11 22:00")},
			"2026-11-26", "2026-12-12T09:00", "2026-12-26T18:00"},
		{"one early in the morning is that morning", client.Days{Notice: at(t, "2026-11-26 08:00"), Opens: at(t, "2026-12-11 08:00")},
			"2026-11-26", "2026-12-11T09:00", "2026-12-25T18:00"},
		{"a longer shortest time", client.Days{Notice: at(t, "2026-11-26 08:00"), Opens: at(t, "2026-12-11 08:00"), Closes: instant("2026-12-31 09:00")},
			"2026-11-26", "2026-12-11T09:00", "2026-12-31T18:00"},
		{"a shorter longest time", client.Days{Notice: at(t, "2026-11-26 08:00"), Opens: at(t, "2026-12-11 08:00"), ClosesBy: instant("2026-12-18 09:00")},
			"2026-11-26", "2026-12-11T09:00", "2026-12-18T09:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := Plan{}.Propose(c.days).ProposeClose(c.days)
			if p.Notice != c.notice || p.Opens != c.opens || p.Closes != c.closes {
				t.Errorf("proposed %s, %s, %s", p.Notice, p.Opens, p.Closes)
			}
		})
	}
	typed := Plan{Notice: "2026-12-01", Opens: "2027-01-01T10:00", Closes: "2027-01-02T10:00"}
	if got := typed.Propose(client.Days{}).ProposeClose(client.Days{}); got.Notice != typed.Notice || got.Opens != typed.Opens || got.Closes != typed.Closes {
		t.Errorf("what was typed became %+v", got)
	}
}

func TestAMeetingThatWasDraftedIsPlannedAgain(t *testing.T) {
	p := Plan{
		Kind: "临时", Convener: "居民委员会", Asked: true, Title: "业主大会", Notice: "2026-11-27", Opens: "2026-12-12T09:00", Closes: "2026-12-26T18:00", Trustees: true, Revote: "last-ballot-stands", PaperAndElectronic: "paper-stands", Unreturned: "none", Parking: "yes",
		Motions: []PlannedMotion{
			{Title: "续聘", Matter: "民法典278-1-4", Scope: "estate", Effect: "appoint-provider", Agreement: "a1"},
			{Title: "换电梯", Matter: "民法典278-1-5", Scope: "place", Place: "stair:5-1", Effect: "draw-maintenance-fund", Amount: "80000.50"},
			{Title: "改用途", Matter: "民法典279", Scope: "units", Units: "1-101\n1-102"},
			{Title: "补选", Matter: "民法典278-1-3", Scope: "estate", Seats: "2", Committee: "7", Approves: "2", Candidates: "1-101\n1-102\n"},
			{Title: "广告", Matter: "民法典278-1-8", Scope: "estate", Effect: "budget-common-income", Amount: "12000.00", Direction: "收入", Category: "电梯广告", Period: "2027"},
		},
	}
	text, err := json.Marshal(p.Draft("2026-11-26"))
	if err != nil {
		t.Fatal(err)
	}
	var m client.Meeting
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(PlanOf(m).Draft("2026-11-26"))
	if err != nil || string(again) != string(text) {
		t.Errorf("%s\nbecame\n%s %v", text, again, err)
	}
}

func TestWhatIsWrongIsSaidByItsCode(t *testing.T) {
	m := ConveneModel{Rules: client.Rules{Lines: []client.RuleLine{
		{Name: "election.min_seats", Value: json.RawMessage("5")}, {Name: "election.max_seats", Value: json.RawMessage("11")},
		{Name: "window.min_days", Value: json.RawMessage("7")},
	}}}
	first := at(t, "2026-12-18 09:00")
	m.Days.Closes = &first
	for field, want := range map[problem.Field]string{
		{Name: "motions[0].title", Code: "missing"}:               "这一项不能为空",
		{Name: "motions[0].title", Code: "too-long"}:              "太长了，请写短一些",
		{Name: "motions[0].scope", Code: "not-the-estate"}:        "这个效果关系到全体业主，只能由全小区的业主表决",
		{Name: "motions[0].seats", Code: "too-few"}:               "业主委员会至少 5 人；只补选几个人的，请另外写明委员会总人数",
		{Name: "motions[0].seats", Code: "too-many"}:              "业主委员会最多 11 人",
		{Name: "motions[0].seats", Code: "not-odd"}:               "业主委员会的人数要是单数",
		{Name: "motions[0].effect.agreement", Code: "not-posted"}: "这份合同还没有公示：业主要先能看到条款，才能决定",
		{Name: "motions[0].effect", Code: "duplicate"}:            "另一个议题已经有同样的效果",
		{Name: "closes", Code: "not-after-opens"}:                 "截止要晚于开始",
		{Name: "opens", Code: "not-a-day"}:                        "这不是一个日期，请重新选",
	} {
		if got := m.explain(Chinese, field); got != want {
			t.Errorf("%s %s: %s, want %s", field.Name, field.Code, got, want)
		}
	}
	if got := m.explain(Chinese, problem.Field{Name: "closes", Code: "too-early"}); !strings.Contains(got, "7 日") || !strings.Contains(got, "2026-12-18 09:00") {
		t.Errorf("too early a close is %s", got)
	}
	for field, want := range map[problem.Field]string{
		{Code: "too-few", Bound: "15", Source: "物业管理条例第十四条"}: "不能放宽：比 物业管理条例第十四条 的 15 还少",
		{Code: "too-many", Bound: "60", Source: "业主大会议事规则"}:  "不能放宽：比 业主大会议事规则 的 60 还多",
		{Code: "fixed", Bound: "true", Source: "北京市物业管理条例"}:  "这一条已由 北京市物业管理条例 规定，小区不能另定",
		{Code: "below-the-law"}:    "不能放宽：比法律要求的还低",
		{Code: "not-in-the-place"}: "法律和本地规定都没有允许，小区不能自己增加",
	} {
		if got := loosened(field); got != want {
			t.Errorf("%s: %s, want %s", field.Code, got, want)
		}
	}
}

func FuzzAListOfUnitsIsReadAsPeopleWriteOne(f *testing.F) {
	f.Add("1-101, 1-102、1-103\n1-101;2-101")
	f.Add(" , ,。")
	f.Fuzz(func(t *testing.T, text string) {
		list := Codes(text)
		for i, code := range list {
			if code == "" || strings.ContainsAny(code, " \n\t,,、;;。") || slices.Contains(list[:i], code) || !strings.Contains(text, code) {
				t.Errorf("%q of %q", code, text)
			}
		}
		if !slices.Equal(Codes(strings.Join(list, "\n")), list) {
			t.Errorf("%q is read otherwise a second time", text)
		}
	})
}

// Whatever is typed can be asked about, and each of its faults has words.
func FuzzAPlanWithAnythingInIt(f *testing.F) {
	f.Add("续聘", "民法典278-1-4", "place", "building:1", "1-101", "5", "appoint-provider", "1.5", "2026-12-11T09:00", "opens 2026-12-12T09:00", "motions[0].candidates[7].unit", "unknown")
	f.Add("", "", "", "", "", "-", "x", "-", "0001-01-01T00:00", "", "closes", "too-early")
	f.Fuzz(func(t *testing.T, title, matter, scope, place, list, number, effect, amount, day, offer, field, code string) {
		p := Plan{Title: title, Kind: title, Notice: day, Opens: day, Closes: day, Motions: []PlannedMotion{{
			Title: title, Matter: matter, Scope: scope, Place: place, Units: list, Seats: number, Committee: number, Approves: number, Candidates: list,
			Effect: effect, Agreement: place, Amount: amount, Direction: scope, Category: title, Period: number,
		}}}
		p = p.Accept(offer)
		body, wrong := p.Check("2026-11-26")
		if _, err := json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		m := ConveneModel{Plan: p, Motion: p.Motions[0], Wrong: append(wrong, problem.Field{Name: field, Code: code})}
		m.Complete()
		m.Days.Wrong = m.Wrong
		for _, w := range m.Wrong {
			if m.explain(Chinese, w) == "" {
				t.Errorf("no words for %v", w)
			}
		}
		m.inReview(Chinese)
		m.offers()
		m.Plan.Propose(m.Days).ProposeClose(m.Days)
		p.Motions[0].Shown(0)
	})
}

// Whatever is typed into the form of an estate's rules can be sent, and what is sent
// is what was typed, line by line.
func FuzzRulesOfProcedureWithAnythingInThem(f *testing.F) {
	f.Add("20", "第一条", "2026-11-26", "lines[0].value", "too-few")
	f.Add(">= 2/3", "", "", "lines[99].article", "")
	f.Fuzz(func(t *testing.T, value, article, from, field, code string) {
		m := AdoptModel{From: from, Own: map[string]OwnLine{}}
		for _, name := range Adoptable() {
			m.Own[name] = OwnLine{value, article}
		}
		if _, err := json.Marshal(m.Body()); err != nil {
			t.Fatal(err)
		}
		if value != "" && !slices.Equal(m.Order, Adoptable()) {
			t.Errorf("sent are %v", m.Order)
		}
		m.Problem = &Problem{Fields: append(m.Missing(), problem.Field{Name: field, Code: code})}
		for _, name := range Adoptable() {
			m.wrongLine(Chinese, name, "value")
			m.wrongLine(Chinese, name, "article")
		}
		m.wrongField(Chinese, "from")
	})
}
