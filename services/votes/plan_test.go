package votes_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

func TestAMeetingIsCheckedBeforeAnythingOfItIsRecorded(t *testing.T) {
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	o := open(t, noon)
	o.home("1-1", "1", 10000, "an")
	o.home("2-1", "2", 8000, "bo")
	check := "/estates/" + o.estate + "/meetings/check"
	plan := func(change func(plan, motion object)) object {
		motion := object{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"}
		p := object{
			"title":   "业主大会",
			"policy":  object{"revote": "last-ballot-stands", "paper_and_electronic": "paper-stands", "unreturned": "none", "parking_counts_area": false},
			"motions": []object{motion},
		}
		change(p, motion)
		return p
	}
	wrong := func(answer object) (names []string) {
		names = []string{}
		for _, w := range answer["wrong"].([]any) {
			names = append(names, w.(object)["name"].(string))
		}
		return names
	}
	for _, c := range []struct {
		name   string
		change func(plan, motion object)
		wrong  []string
	}{
		{"all is well", func(object, object) {}, []string{}},
		{"fifteen days after now", func(p, _ object) { p["opens"], p["closes"] = noon.AddDate(0, 0, 15), noon.AddDate(0, 0, 20) }, []string{}},
		{"a minute before them", func(p, _ object) { p["opens"] = noon.AddDate(0, 0, 15).Add(-time.Minute) }, []string{"opens"}},
		{"a secret vote", func(p, _ object) { p["secret"] = true }, []string{"secret"}},
		{"a building that is none, and no matter", func(_, m object) { m["scope"], m["matter"] = "building:9", "none" }, []string{"motions[0].matter", "motions[0].scope"}},
		{"a policy that is none", func(p, _ object) { p["policy"].(object)["revote"] = "" }, []string{"policy.revote"}},
	} {
		if answer := o.must("clerk", "POST", check, plan(c.change)); !reflect.DeepEqual(wrong(answer), c.wrong) {
			t.Errorf("%s: wrong are %v, want %v", c.name, answer["wrong"], c.wrong)
		}
	}
	right := plan(func(p, _ object) { p["opens"], p["closes"] = noon.AddDate(0, 0, 15), noon.AddDate(0, 0, 20) })
	if answer := o.must("clerk", "POST", check, right); len(answer["deadlines"].([]any)) == 0 || answer["opens"] != "2030-05-16T12:00:00+08:00" || answer["rule_set"] != "cn-civil-code-2021.2" {
		t.Errorf("%v", answer)
	}
	o.refused("not-allowed", "an", "POST", check, right)
	if list := o.get("/estates/" + o.estate + "/meetings")["items"].([]any); len(list) != 0 {
		t.Errorf("recorded are %v", list)
	}
	var scopes []any
	for _, s := range o.get("/estates/" + o.estate + "/scopes")["items"].([]any) {
		scopes = append(scopes, s.(object)["scope"])
	}
	if want := []any{"estate", "building:1", "building:2"}; len(scopes) < len(want) || !reflect.DeepEqual(scopes[:len(want)], want) {
		t.Errorf("%v", scopes)
	}

	id := o.must("clerk", "POST", "/estates/"+o.estate+"/meetings", plan(func(object, object) {}))["id"].(string)
	if answer := o.get("/meetings/" + id + "/days?opens=2030-05-03T12:00:00%2B08:00"); !reflect.DeepEqual(wrong(answer), []string{"opens"}) {
		t.Errorf("%v", answer)
	}
	o.must("clerk", "POST", "/meetings/"+id+"/roll", nil)
	o.must("clerk", "POST", "/meetings/"+id+"/notice", object{"opens": noon.AddDate(0, 0, 15), "closes": noon.AddDate(0, 0, 20)})
	if status, answer := o.do("", "GET", "/meetings/"+id+"/days", nil); status != http.StatusConflict || answer["code"] != "notice-posted" {
		t.Errorf("after the notice: %d %v", status, answer)
	}
}
