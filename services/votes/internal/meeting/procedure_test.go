package meeting_test

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

var document = strings.Repeat("2b", 32)

// adopt adopts lines, as name, value, name, value, on top of a template; "": of none.
func adopt(t interface{ Fatal(...any) }, place string, lines ...string) meeting.AdoptRules {
	c := meeting.AdoptRules{National: civilFile(t), RulesAdopted: votes.RulesAdopted{Estate: "e", At: noon, From: units.DayOf(noon)}}
	if place != "" {
		c.Place = template(t, place)
		c.Base, c.BaseHash = c.Place.ID, c.Place.Hash
	}
	for i := 0; i < len(lines); i += 2 {
		c.Document = document
		c.Lines = append(c.Lines, votes.RuleLine{Name: lines[i], Value: lines[i+1], Article: "第九条"})
	}
	return c
}

func part(heads, area, rest string) string {
	return `{"heads":"` + heads + `","area":"` + area + `"` + rest + `,"words":{"zh":"x","en":"x"}}`
}

func TestAnEstateMayAskForMoreAndNeverForLess(t *testing.T) {
	for _, c := range []struct {
		name, place, line, value string
		ok                       bool
	}{
		{"物业管理条例 art. 14: 20 days of notice", "", "notice_days", "20", true},
		{"物业管理条例 art. 14: the 15 days of the law again", "", "notice_days", "15", true},
		{"物业管理条例 art. 14: 14 days of notice", "", "notice_days", "14", false},
		{"no days of notice", "", "notice_days", "0", false},
		{"notice in words", "", "notice_days", `"many"`, false},
		{"杭州 art. 20: a window of 6 days or more", "hangzhou.2", "window.min_days", "6", true},
		{"杭州 art. 20: a window of 4 days or more", "hangzhou.2", "window.min_days", "4", false},
		{"杭州 art. 20: a window of at most 30 days", "hangzhou.2", "window.max_days", "30", true},
		{"杭州 art. 20: a window of at most 61 days", "hangzhou.2", "window.max_days", "61", false},
		{"a longest window where the law has none", "", "window.max_days", "61", true},
		{"北京 art. 37: the result within 2 days", "beijing", "result_posted_days", "2", true},
		{"北京 art. 37: the result within 4 days", "beijing", "result_posted_days", "4", false},
		{"a day by which the result is posted, where the law has none", "", "result_posted_days", "7", true},
		{"北京: the last ballot stands", "beijing", "revote", `"last-ballot-stands"`, false},
		{"北京: the first ballot stands, as there", "beijing", "revote", `"first-ballot-stands"`, true},
		{"the last ballot stands where nobody says which does", "", "revote", `"last-ballot-stands"`, true},
		{"a ballot that stands nowhere", "", "revote", `"both"`, false},
		{"宁波: parking counts", "ningbo", "parking_counts_area", "true", false},
		{"parking counts where nobody says whether", "", "parking_counts_area", "true", true},
		{"深圳: an extension of two months", "shenzhen", "extension.months", "2", true},
		{"深圳: an extension of four months", "shenzhen", "extension.months", "4", false},
		{"深圳: two extensions", "shenzhen", "extension.times", "2", false},
		{"an extension where the law has none", "", "extension.times", "1", false},
		{"上海 art. 18: proxies without instructions", "shanghai", "proxies.instructions", "false", false},
		{"a cap on mandates where the law has none", "", "proxies.cap", "3", true},
		{"the provider's staff holds no mandates", "", "proxies.barred", `["provider"]`, true},
		{"somebody else is barred", "", "proxies.barred", `["tenant"]`, false},
		{"指导规则: a committee of 7 to 11", "", "election.min_seats", "7", true},
		{"指导规则: a committee of 3", "", "election.min_seats", "3", false},
		{"指导规则: a committee of 13", "", "election.max_seats", "13", false},
		{"指导规则: a term of 3 years", "", "election.term_years", "3", true},
		{"指导规则: a term of 6 years", "", "election.term_years", "6", false},
		{"上海二中院: silence counts where the owners' rules say so", "", "unreturned", `"with-majority"`, true},
		{"art. 278: a quorum of three quarters", "", "quorum", part(">= 3/4", ">= 2/3", ""), true},
		{"art. 278: a quorum of more than two thirds", "", "quorum", part("> 2/3", "> 2/3", ""), true},
		{"art. 278: a quorum of half of the heads", "", "quorum", part(">= 1/2", ">= 2/3", ""), false},
		{"art. 278: an ordinary majority of two thirds", "", "thresholds.ordinary", part(">= 2/3", ">= 2/3", ""), true},
		{"art. 278: exactly half is a majority", "", "thresholds.ordinary", part(">= 1/2", "> 1/2", ""), false},
		{"art. 278: a special majority by less area", "", "thresholds.special", part(">= 3/4", ">= 2/3", ""), false},
		{"art. 278: a majority of all instead of those taking part", "", "thresholds.ordinary", part("> 1/2", "> 1/2", `,"of":"all"`), false},
		{"河南 art. 66: objectors of at most a quarter", "henan", "thresholds.objection", part("<= 1/4", "<= 1/4", `,"of":"all","counts":"objectors"`), true},
		{"河南 art. 66: objectors of at most a half", "henan", "thresholds.objection", part("<= 1/2", "<= 1/3", `,"of":"all","counts":"objectors"`), false},
		{"an objection vote where the law has none", "", "thresholds.objection", part("<= 1/4", "<= 1/4", `,"of":"all","counts":"objectors"`), false},
		{"another matter", "", "matters.民法典278-1-4", `{"threshold":"ordinary","zh":"x","en":"x"}`, false},
		{"a shorter time to go to court", "", "court_years", "2", false},
		{"a line that there is not", "", "vote_days", "3", false},
		{"a value with spaces", "", "notice_days", " 20", false},
		{"no value", "", "notice_days", "null", false},
		{"no JSON", "", "notice_days", "{", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, err := adopt(t, c.place, c.line, c.value).Decide(meeting.Procedure{})
			if c.ok != (err == nil) {
				t.Fatalf("%v", err)
			}
			if refused, _ := errors.AsType[*problem.Error](err); err != nil && (refused == nil || len(refused.Fields) == 0 || refused.Fields[0].Detail == "" || refused.Fields[0].Code == "") {
				t.Fatalf("%v says not what is wrong", err)
			}
			if !c.ok {
				return
			}
			e := events[0].(votes.RulesAdopted)
			set, ok := rules.Of(e, e.From)
			lines, _ := set.Lines()
			if l := lines[c.line]; !ok || set.Hash != e.RuleHash || set.ID != e.RuleSet || l.Origin != meeting.OfEstate || l.Source != "第九条" {
				t.Errorf("%+v: %+v", e, l)
			}
		})
	}
}

func TestAdoptRules(t *testing.T) {
	first, err := adopt(t, "beijing").Decide(meeting.Procedure{})
	if err != nil {
		t.Fatal(err)
	}
	adopted := meeting.EvolveProcedure(meeting.Procedure{}, first[0])
	later := units.DayOf(noon.AddDate(0, 1, 0))
	for _, c := range []struct {
		name  string
		given meeting.Procedure
		when  meeting.AdoptRules
		want  error
		none  bool
	}{
		{"the rules of a place", meeting.Procedure{}, adopt(t, "beijing"), nil, false},
		{"the national rules alone", adopted, adopt(t, ""), nil, false},
		{"the same again", adopted, adopt(t, "beijing"), nil, true},
		{"for a later day", adopted, with(adopt(t, "shanghai"), func(c *meeting.AdoptRules) { c.From = later }), nil, false},
		{"for a day that is over", meeting.Procedure{}, with(adopt(t, ""), func(c *meeting.AdoptRules) { c.From = units.DayOf(noon.AddDate(0, 0, -1)) }), meeting.ErrRulesWrong, false},
		{"for no day", meeting.Procedure{}, with(adopt(t, ""), func(c *meeting.AdoptRules) { c.From = "soon" }), meeting.ErrRulesWrong, false},
		{"a place that there is not", meeting.Procedure{}, with(adopt(t, ""), func(c *meeting.AdoptRules) { c.Base = "atlantis" }), meeting.ErrRulesWrong, false},
		{"lines without the document", meeting.Procedure{}, with(adopt(t, "", "notice_days", "20"), func(c *meeting.AdoptRules) { c.Document = "" }), meeting.ErrRulesWrong, false},
		{"a line twice", meeting.Procedure{}, adopt(t, "", "notice_days", "20", "notice_days", "21"), meeting.ErrRulesWrong, false},
		{"a line without its article", meeting.Procedure{}, with(adopt(t, "", "notice_days", "20"), func(c *meeting.AdoptRules) { c.Lines[0].Article = " " }), meeting.ErrRulesWrong, false},
		{"a window that closes before it opens", meeting.Procedure{}, adopt(t, "", "window.min_days", "30", "window.max_days", "20"), meeting.ErrRulesWrong, false},
		{"before what was adopted for later", meeting.EvolveProcedure(adopted, votes.RulesAdopted{Estate: "e", From: later}), adopt(t, ""), meeting.ErrRulesWrong, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, err := c.when.Decide(c.given)
			if !errors.Is(err, c.want) || (c.want == nil && !c.none) != (len(events) == 1) {
				t.Errorf("%v, %v", events, err)
			}
		})
	}
}

func TestWhatIsInForceOnADay(t *testing.T) {
	var p meeting.Procedure
	for _, e := range []votes.RulesAdopted{{Estate: "e", From: "2026-05-01", Base: "a"}, {Estate: "e", From: "2026-06-01", Base: "b"}, {Estate: "e", From: "2026-06-01", Base: "c"}} {
		p = meeting.EvolveProcedure(p, e)
	}
	for day, want := range map[units.Day]string{"2026-04-30": "", "2026-05-01": "a", "2026-05-31": "a", "2026-06-01": "c", "2030-01-01": "c"} {
		if a, ok := p.On(day); a.Base != want || ok != (want != "") {
			t.Errorf("%s: %q", day, a.Base)
		}
	}
}

func TestANoticeNamesTheRulesOfItsEstateForEver(t *testing.T) {
	events, err := adopt(t, "hangzhou.2", "notice_days", "20").Decide(meeting.Procedure{})
	if err != nil {
		t.Fatal(err)
	}
	e := events[0].(votes.RulesAdopted)
	set, _ := rules.Of(e, units.DayOf(noon))
	opens := noon.AddDate(0, 0, 20)
	m := meeting.Meeting{MeetingDrafted: drafted, Roll: frozen}
	post := meeting.PostNotice{Now: noon, Opens: opens, Closes: opens.AddDate(0, 0, 14), Rules: set, Adopted: e}
	posted, err := post.Decide(m)
	if err != nil {
		t.Fatal(err)
	}
	n := posted[0].(votes.NoticePosted)
	if n.RuleHash != set.Hash || !reflect.DeepEqual(n.Adopted, []votes.RulesAdopted{e}) {
		t.Errorf("%+v", n)
	}
	if named, ok := rules.Named(n); !ok || !reflect.DeepEqual(named, set) {
		t.Errorf("%t: %+v", ok, named)
	}
	if named, ok := rules.Named(with(n, func(n *votes.NoticePosted) { n.RuleHash = document })); ok {
		t.Errorf("another hash leads to %s", named.ID)
	}
	for name, c := range map[string]struct {
		change func(*meeting.PostNotice)
		want   error
	}{
		"the estate's own 20 days of notice, a second less": {func(c *meeting.PostNotice) { c.Now = c.Now.Add(time.Second) }, meeting.ErrNotice},
		"杭州 art. 20: exactly 5 days to vote":                {func(c *meeting.PostNotice) { c.Closes = opens.AddDate(0, 0, 5) }, nil},
		"杭州 art. 20: a second less than 5 days to vote":     {func(c *meeting.PostNotice) { c.Closes = opens.AddDate(0, 0, 5).Add(-time.Second) }, meeting.ErrTooShort},
		"杭州 art. 20: exactly 60 days to vote":               {func(c *meeting.PostNotice) { c.Closes = opens.AddDate(0, 0, 60) }, nil},
		"杭州 art. 20: a second more than 60 days to vote":    {func(c *meeting.PostNotice) { c.Closes = opens.AddDate(0, 0, 60).Add(time.Second) }, meeting.ErrTooLong},
		"the rules have changed since the draft":            {func(c *meeting.PostNotice) { c.Rules.Revote = votes.LastBallotStands }, meeting.ErrDeparts},
	} {
		if _, err := with(post, c.change).Decide(m); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestADraftKeepsToThePoliciesThatItsRulesFix(t *testing.T) {
	beijing, err := meeting.Compose(civilFile(t), template(t, "beijing"), meeting.Own{})
	if err != nil {
		t.Fatal(err)
	}
	ningbo, err := meeting.Compose(civilFile(t), template(t, "ningbo"), meeting.Own{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		set    meeting.RuleSet
		change func(*votes.MeetingDrafted)
		field  string
	}{
		"北京: the first ballot stands":   {beijing, func(*votes.MeetingDrafted) {}, ""},
		"北京: the last ballot stands":    {beijing, func(d *votes.MeetingDrafted) { d.Policy.Revote = votes.LastBallotStands }, "policy.revote"},
		"北京: a past one as it was held": {beijing, func(d *votes.MeetingDrafted) { d.Policy.Revote, d.Past = votes.LastBallotStands, true }, ""},
		"宁波: parking counts":            {ningbo, func(d *votes.MeetingDrafted) { d.Policy.ParkingCountsArea = true }, "policy.parking_counts_area"},
		"宁波: the last ballot stands":    {ningbo, func(d *votes.MeetingDrafted) { d.Policy.Revote = votes.LastBallotStands }, ""},
	} {
		_, err := meeting.DraftMeeting{MeetingDrafted: with(drafted, c.change), Rules: c.set}.Decide(meeting.Meeting{})
		refused, _ := errors.AsType[*problem.Error](err)
		if c.field == "" && err != nil || c.field != "" && (refused == nil || (refused.Fields[0].Name != c.field || refused.Fields[0].Code != "fixed")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever an estate adopts, what it lets pass the law lets pass.
func TestNothingAnEstateAdoptsLoosensTheLaw(t *testing.T) {
	places := []string{"", "beijing", "hangzhou.2", "shenzhen"}
	law := map[string]meeting.RuleSet{"": civilCode(t)}
	for _, place := range places[1:] {
		var err error
		if law[place], err = meeting.Compose(civilFile(t), template(t, place), meeting.Own{}); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		place := rapid.SampledFrom(places).Draw(t, "place")
		number := func(name string) string { return strconv.Itoa(rapid.IntRange(1, 70).Draw(t, name)) }
		share := func(name string) string {
			d := rapid.IntRange(1, 9).Draw(t, name+" of")
			return rapid.SampledFrom([]string{">", ">=", "<="}).Draw(t, name) + " " + strconv.Itoa(rapid.IntRange(1, d).Draw(t, name+" part")) + "/" + strconv.Itoa(d)
		}
		events, err := adopt(t, place, "notice_days", number("notice"), "window.min_days", number("min"), "window.max_days", number("max"),
			"thresholds.ordinary", part(share("heads"), share("area"), ""), "quorum", part(share("quorum heads"), share("quorum area"), "")).Decide(meeting.Procedure{})
		if err != nil {
			return
		}
		e := events[0].(votes.RulesAdopted)
		set, _ := rules.Of(e, e.From)
		l := law[place]
		if set.NoticeDays < l.NoticeDays || set.Window.MinDays < l.Window.MinDays || l.Window.MaxDays > 0 && set.Window.MaxDays > l.Window.MaxDays {
			t.Fatalf("%+v", set)
		}
		all, tally := tallies(t)
		motion := votes.Motion{Matter: "民法典278-1-4"}
		if meeting.Count(set, motion, all, tally).Outcome == votes.Adopted && meeting.Count(l, motion, all, tally).Outcome != votes.Adopted {
			t.Fatalf("adopted by %+v %+v, and not by law", set.Quorum, set.Thresholds["ordinary"])
		}
	})
}

// Whatever a line says, it is refused or reads the same in what is posted.
func FuzzAdoptedLine(f *testing.F) {
	f.Add("notice_days", "20")
	f.Add("quorum", part(">= 3/4", ">= 3/4", ""))
	f.Add("proxies.barred", `["provider"]`)
	f.Add("thresholds.ordinary", `{"heads":"> 1/2"}`)
	f.Fuzz(func(t *testing.T, name, value string) {
		events, err := adopt(t, "", name, value).Decide(meeting.Procedure{})
		if err != nil {
			return
		}
		e := events[0].(votes.RulesAdopted)
		set, ok := rules.Of(e, e.From)
		if !ok || set.Hash != e.RuleHash {
			t.Fatalf("%+v", e)
		}
		again, err := meeting.DecodeRules(set.Canonical())
		if err != nil || again.Hash != set.Hash || string(again.Canonical()) != string(set.Canonical()) {
			t.Fatalf("%v: %s", err, set.Canonical())
		}
	})
}
