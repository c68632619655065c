package pages

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// RulesModel is what the page of an estate's rules shows.
type RulesModel struct {
	Estate client.Named
	Rules  client.Rules
	Done   bool // rules were just adopted
}

// ruleLine says what a line of a rule set is about, and how its number is counted.
type ruleLine struct {
	name   string
	zh, en string
	unit   [2]string
}

var (
	inDays  = [2]string{"日", " days"}
	inYears = [2]string{"年", " years"}
	inHeads = [2]string{"人", " owners"}
)

// ruleGroups are the lines in the order of the page.
var ruleGroups = []struct {
	zh, en string
	lines  []ruleLine
}{
	{"要多少人同意", "How many must agree", []ruleLine{
		{name: "quorum", zh: "参与的人够不够", en: "Taking part"},
		{name: "thresholds.ordinary", zh: "一般事项", en: "Ordinary matters"},
		{name: "thresholds.special", zh: "特别事项", en: "Special matters"},
		{name: "thresholds.unanimity", zh: "须一致同意的事项", en: "Matters of unanimity"},
		{name: "thresholds.objection", zh: "异议表决", en: "Objection vote"},
		{name: "listed_scope", zh: "只由有利害关系的业主表决", en: "A vote of the affected owners only"},
	}},
	{"公告和时间", "Notice and time", []ruleLine{
		{name: "notice_days", zh: "公告至少提前", en: "Notice, at least", unit: inDays},
		{name: "special_notice_days", zh: "临时会议的公告", en: "Notice of a special meeting", unit: inDays},
		{name: "only_noticed_matters", zh: "公告以外的事项不得表决", en: "Only what was announced is voted on"},
		{name: "roll_objection_days", zh: "对名册提异议", en: "Objections to the roll", unit: inDays},
		{name: "public_posting_days", zh: "送达不到时的公示", en: "Posting in place of delivery", unit: inDays},
		{name: "window.min_days", zh: "投票时间不少于", en: "Voting, at least", unit: inDays},
		{name: "window.max_days", zh: "投票时间不超过", en: "Voting, at most", unit: inDays},
		{name: "extension.times", zh: "参与不够时可延长", en: "Extensions where too few take part", unit: [2]string{"次", ""}},
		{name: "extension.months", zh: "每次延长最多", en: "Each extension, at most", unit: [2]string{"个月", " months"}},
		{name: "extension.days", zh: "每次延长最多", en: "Each extension, at most", unit: inDays},
		{name: "extension.rest_years", zh: "延长后仍不够，不得再提", en: "After it lapsed, not again for", unit: inYears},
	}},
	{"怎么投票", "How owners vote", []ruleLine{
		{name: "revote", zh: "同一渠道投了两次", en: "Voting twice in one channel"},
		{name: "paper_and_electronic", zh: "电子票和纸质票都投了", en: "Both electronic and on paper"},
		{name: "paper_on_request", zh: "业主要求时应提供纸质票", en: "Paper on request"},
		{name: "partial_ballots", zh: "可以只投一部分议题", en: "A ballot may leave motions out"},
		{name: "unreturned", zh: "没有交回的票", en: "Ballots not returned"},
		{name: "parking_counts_area", zh: "车位计入面积和人数", en: "Parking counts"},
		{name: "co_owners", zh: "一套房有几个业主", en: "Several owners of one unit"},
		{name: "sale", zh: "投票期间房屋易主", en: "A unit sold during the vote"},
		{name: "proxies.cap", zh: "一人最多代理", en: "Mandates of one person, at most", unit: [2]string{"份", ""}},
		{name: "proxies.barred", zh: "不得代理的人", en: "Who may hold no mandate"},
		{name: "proxies.instructions", zh: "委托须书面逐项写明", en: "Mandates in writing, item by item"},
		{name: "secrecy_minimum_heads", zh: "不记名投票的最少人数", en: "Fewest owners of a secret vote", unit: inHeads},
	}},
	{"结果", "The result", []ruleLine{
		{name: "result_posted_days", zh: "结果在几日内公布", en: "The result is posted within", unit: inDays},
		{name: "result_stands_days", zh: "结果公布不少于", en: "It stays posted for at least", unit: inDays},
		{name: "objection_days", zh: "对结果提异议", en: "Objections to the result", unit: inDays},
		{name: "open_votes_posted", zh: "记名投票怎么公布", en: "How open votes are posted"},
		{name: "court_years", zh: "请求法院撤销", en: "Asking a court to cancel", unit: inYears},
	}},
	{"业主委员会", "The owners' committee", []ruleLine{
		{name: "election.min_seats", zh: "委员至少", en: "Members, at least", unit: [2]string{"人", ""}},
		{name: "election.max_seats", zh: "委员最多", en: "Members, at most", unit: [2]string{"人", ""}},
		{name: "election.odd_seats", zh: "委员人数为单数", en: "An odd number of members"},
		{name: "election.term_years", zh: "任期不超过", en: "Term, at most", unit: inYears},
		{name: "election.candidates_posted_days", zh: "候选人公示", en: "Candidates are posted for", unit: inDays},
		{name: "election.more_candidates_than_seats", zh: "候选人多于名额", en: "More candidates than seats"},
		{name: "election.substitutes", zh: "过线未当选的为候补", en: "Who passed and was not elected is a substitute"},
		{name: "election.filed_within_days", zh: "选出后几日内备案", en: "Filed within", unit: inDays},
		{name: "committee.agenda_posted_days", zh: "委员会议程提前公布", en: "Its agenda is posted before", unit: inDays},
		{name: "committee.decisions_posted_days", zh: "委员会决定几日内公布", en: "Its decisions are posted within", unit: inDays},
	}},
}

// shownLine is a line as the page shows it.
type shownLine struct {
	What, Value, From, Note string
	Own                     bool // the estate's own, or its place's
}

// linesIn are the given lines of a group of the page.
func linesIn(l Lang, of []ruleLine, rules client.Rules) (list []shownLine) {
	for _, known := range of {
		for _, line := range rules.Lines {
			if line.Name == known.name {
				list = append(list, shownLine{l.T(known.zh, known.en), ruleValue(l, known, line), ruleFrom(l, line), line.Note, line.Origin != "national"})
			}
		}
	}
	return list
}

// mattersOf are the matters of the rules, each with the threshold it calls for.
func mattersOf(l Lang, rules client.Rules) (list []shownLine) {
	for _, line := range rules.Lines {
		if !strings.HasPrefix(line.Name, "matters.") {
			continue
		}
		var matter struct {
			Threshold string `json:"threshold"`
			client.Words
		}
		if json.Unmarshal(line.Value, &matter) != nil {
			continue
		}
		threshold := matter.Threshold
		for _, known := range ruleGroups[0].lines {
			if known.name == "thresholds."+matter.Threshold {
				threshold = l.T(known.zh, known.en)
			}
		}
		list = append(list, shownLine{l.T(matter.ZH, matter.EN), threshold, ruleFrom(l, line), line.Note, line.Origin != "national"})
	}
	return list
}

// ruleValue is what a line says, in words.
func ruleValue(l Lang, of ruleLine, line client.RuleLine) string {
	var number int
	var said bool
	var word string
	var words []string
	var threshold struct {
		Words client.Words `json:"words"`
	}
	switch {
	case json.Unmarshal(line.Value, &number) == nil:
		return strconv.Itoa(number) + l.T(of.unit[0], of.unit[1])
	case json.Unmarshal(line.Value, &said) == nil:
		if said {
			return l.T("是", "yes")
		}
		return l.T("否", "no")
	case json.Unmarshal(line.Value, &word) == nil:
		return ruleWord(l, word)
	case json.Unmarshal(line.Value, &words) == nil:
		said := make([]string, len(words))
		for i, w := range words {
			said[i] = ruleWord(l, w)
		}
		return strings.Join(said, l.T("、", ", "))
	case json.Unmarshal(line.Value, &threshold) == nil:
		return l.T(threshold.Words.ZH, threshold.Words.EN)
	}
	return string(line.Value)
}

// ruleWord is a word of a rule set.
func ruleWord(l Lang, word string) string {
	known := map[string][2]string{
		"named":                       {"由共有人推举的一人投票", "the one whom they named votes"},
		"seller-who-voted-else-buyer": {"卖方已投票的以卖方的票为准，否则由买方投票", "the seller's ballot stands; else the buyer votes"},
		"unit-and-area":               {"按房号和面积公布，不公布姓名", "by unit and area, without names"},
		"provider":                    {"物业服务人的工作人员", "the provider's staff"},
	}
	if w, ok := known[word]; ok {
		return l.T(w[0], w[1])
	}
	return PolicyWords(l, word)
}

// ruleFrom says where a line comes from, and whether anyone has read that.
func ruleFrom(l Lang, line client.RuleLine) string {
	origin := map[string][2]string{"national": {"全国", "national"}, "local": {"本地", "local"}, "estate": {"本小区议事规则", "the estate's rules of procedure"}}[line.Origin]
	basis := l.T("读过原文", "the text was read")
	if line.Basis == "seen" {
		basis = l.T("仅见引用", "only seen quoted")
	}
	return strings.Join([]string{l.T(origin[0], origin[1]), line.Source, basis}, " · ")
}

// missingLines are the names of what nobody has ruled.
func missingLines(l Lang, names []string) (list []string) {
	for _, group := range ruleGroups {
		for _, known := range group.lines {
			if said := l.T(known.zh, known.en); slices.Contains(names, known.name) && !slices.Contains(list, said) {
				list = append(list, said)
			}
		}
	}
	return list
}
