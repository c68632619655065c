package votes_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

func TestAnEstateAdoptsItsRulesAndIsHeldToThem(t *testing.T) {
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	o := open(t, noon)
	o.home("1-1", "1", 10000, "an")
	o.home("1-2", "1", 8000, "bo")
	at := "/estates/" + o.estate + "/rules"
	line := func(rules object, name string) (found object) {
		for _, l := range rules["lines"].([]any) {
			if l := l.(object); l["name"] == name {
				found = l
			}
		}
		return found
	}

	before := o.get(at)
	if l := line(before, "notice_days"); before["rule_set"] != "cn-civil-code-2021.2" || before["adopted"] != nil || l["value"] != 15.0 || l["origin"] != "national" || l["basis"] != "read" {
		t.Errorf("before anything is adopted: %v %v", before["rule_set"], l)
	}
	if missing := before["missing"].([]any); len(missing) == 0 || line(before, missing[0].(string)) != nil {
		t.Errorf("what nobody gives: %v", missing)
	}
	if sets := o.get("/rules")["items"].([]any); len(sets) != 10 || len(sets[0].(object)["lines"].([]any)) == 0 {
		t.Errorf("%d rule sets", len(sets))
	}

	rules := object{
		"from": "2030-05-01", "base": "beijing", "document": "议事规则\n第九条 公告期二十日。",
		"lines": []object{{"name": "notice_days", "value": 20, "article": "第九条"}},
	}
	o.refused("not-allowed", "an", "POST", at, rules)
	o.refused("rules-loosen", "clerk", "POST", at, object{
		"from": "2030-05-01", "base": "beijing", "document": "议事规则", "lines": []object{{"name": "notice_days", "value": 10, "article": "第九条"}},
	})
	o.refused("rules-wrong", "clerk", "POST", at, object{"from": "2030-05-01", "base": "atlantis"})
	o.refused("rules-wrong", "clerk", "POST", at, object{"from": "2030-04-30", "base": "beijing"})
	o.must("clerk", "POST", at, rules)

	now := o.get(at)
	for name, want := range map[string][2]any{
		"notice_days": {20.0, "estate"}, "revote": {"first-ballot-stands", "local"}, "court_years": {1.0, "national"},
	} {
		if l := line(now, name); l["value"] != want[0] || l["origin"] != want[1] {
			t.Errorf("%s: %v", name, l)
		}
	}
	if now["rule_set"] != "cn-civil-code-2021.2+beijing+estate" || now["adopted"].(object)["from"] != "2030-05-01" || line(now, "revote")["basis"] != "seen" {
		t.Errorf("%v", now)
	}

	meetings := "/estates/" + o.estate + "/meetings"
	draft := object{
		"title":   "业主大会",
		"policy":  object{"revote": "last-ballot-stands", "paper_and_electronic": "paper-stands", "unreturned": "none", "parking_counts_area": false},
		"motions": []object{{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"}},
	}
	if status, wrong := o.do("clerk", "POST", meetings, draft); status != http.StatusUnprocessableEntity || wrong["errors"].([]any)[0].(object)["name"] != "policy.revote" {
		t.Errorf("a draft against the rules of the place: %d %v", status, wrong)
	}
	draft["policy"].(object)["revote"] = "first-ballot-stands"
	draft["secret"] = true
	o.refused("secret-refused", "clerk", "POST", meetings, draft)
	delete(draft, "secret")
	id := o.must("clerk", "POST", meetings, draft)["id"].(string)
	o.must("clerk", "POST", "/meetings/"+id+"/roll", nil)
	closes := noon.AddDate(0, 0, 40)
	o.refused("notice-too-short", "clerk", "POST", "/meetings/"+id+"/notice", object{"opens": noon.AddDate(0, 0, 19), "closes": closes})
	o.must("clerk", "POST", "/meetings/"+id+"/notice", object{"opens": noon.AddDate(0, 0, 20), "closes": closes})
	m := o.get("/meetings/" + id)
	if m["rule_set"] != now["rule_set"] || m["rule_hash"] != now["rule_hash"] || m["notice_in_time"] != true {
		t.Errorf("%v", m)
	}
	found := false
	for _, item := range o.get("/meetings/" + id + "/deadlines")["items"].([]any) {
		d := item.(object)
		found = found || d["name"] == "result-posting" && d["state"] == "waiting" && strings.Contains(d["rule"].(object)["zh"].(string), "3日")
	}
	if !found {
		t.Error("北京 art. 37 is no deadline of the meeting")
	}

	// What is adopted after the notice changes nothing of it.
	o.must("clerk", "POST", at, object{"from": "2030-05-01", "base": "hangzhou.2"})
	if again := o.get("/meetings/" + id); again["rule_hash"] != now["rule_hash"] || again["notice_in_time"] != true {
		t.Errorf("%v", again)
	}
	after := closes.Add(2 * time.Minute)
	o.now.Store(&after)
	o.await(func() bool { return o.get("/meetings/" + id)["state"] == "counted" })
	if r := o.get("/meetings/" + id + "/results")["items"].([]any)[0].(object); r["outcome"] != "未形成有效决定" {
		t.Errorf("%v", r)
	}
}
