package votes_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
)

func TestHowOwnersAreToldOfAMeeting(t *testing.T) {
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	o := open(t, noon)
	o.home("1-1", "1", 10000, "an")
	o.home("1-2", "1", 8000, "bo")
	o.home("2-1", "2", 9000, "ce")
	o.unit(registry.Unit{Code: "2-2", Building: "2", Use: registry.Home, Area: 7000, Basis: registry.BasisRegister, State: registry.Delivered},
		registry.Title{Person: "di", Kind: registry.Natural, Part: 1, Whole: 2, Votes: true},
		registry.Title{Person: "ed", Kind: registry.Natural, Part: 1, Whole: 2})
	id := o.must("clerk", "POST", "/estates/"+o.estate+"/meetings", object{
		"title": "业主大会", "motions": []object{{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"}},
		"policy": object{"revote": "last-ballot-stands", "paper_and_electronic": "paper-stands", "unreturned": "none", "parking_counts_area": false},
	})["id"].(string)
	at := "/meetings/" + id
	hash := strings.Repeat("ab", 32)
	hand := func(entry string) object { return object{"entry": entry, "channel": "当面签收", "proof": hash} }

	o.must("clerk", "POST", at+"/roll", nil)
	o.refused("notice-not-posted", "clerk", "POST", at+"/deliveries", hand("1"))
	o.refused("notice-not-posted", "an", "POST", at+"/confirmations", nil)
	opens := noon.AddDate(0, 0, 16)
	o.must("clerk", "POST", at+"/notice", object{"opens": opens, "closes": noon.AddDate(0, 0, 30)})

	// Nobody is told by looking.
	for _, who := range []string{"", "an"} {
		o.must(who, "GET", at, nil)
	}
	if got := o.get(at + "/telling"); got["untried"].(object)["heads"] != 4.0 || len(got["reached"].([]any)) != 0 {
		t.Errorf("%v", got)
	}

	o.refused("not-allowed", "an", "POST", at+"/deliveries", hand("1"))
	o.refused("not-allowed", "an", "GET", at+"/deliveries", nil)
	o.refused("no-such-entry", "clerk", "POST", at+"/deliveries", hand("9"))
	o.refused("delivery-wrong", "clerk", "POST", at+"/deliveries", object{"entry": "1", "channel": "当面签收", "proof": "signed"})
	o.refused("delivery-time", "clerk", "POST", at+"/deliveries", object{"entry": "1", "channel": "当面签收", "proof": hash, "at": noon.Add(time.Minute)})
	o.refused("no-silence-rule", "clerk", "POST", at+"/deliveries", object{"entry": "1", "channel": "当面签收", "proof": hash, "warned": true})
	first := o.must("clerk", "POST", at+"/deliveries", hand("1"))
	if again := o.must("clerk", "POST", at+"/deliveries", hand("1")); first["state"] != "recorded" || again["state"] != "nothing-to-do" {
		t.Errorf("%v, then %v", first, again)
	}

	// An owner confirms for their own entry, a co-owner who does not vote for none.
	o.must("bo", "POST", at+"/confirmations", nil)
	if again := o.must("bo", "POST", at+"/confirmations", nil); again["state"] != "nothing-to-do" {
		t.Errorf("%v", again)
	}
	o.refused("not-the-representative", "ed", "POST", at+"/confirmations", nil)
	o.refused("not-on-the-roll", "zo", "POST", at+"/confirmations", nil)

	// A round on paper: each row by itself.
	now := noon.AddDate(0, 0, 3)
	o.now.Store(&now)
	csv := "房号,方式,时间,凭证哈希,告知,未送达原因,下一步\n" +
		"2-1,当面签收,2030-05-02 19:00,,,无人在家,再次上门\n" +
		"2-1,邮寄,2030-05-03 10:00,,,退件,张贴公告\n" +
		"2-2,邮寄,2030-05-03 10:00," + strings.ToUpper(hash) + ",否,,\n" +
		"9-9,邮寄,2030-05-03 10:00," + hash + ",否,,\n" +
		"1-1,邮寄,2030-04-03 10:00," + hash + ",否,,\n"
	papers := "/estates/" + o.estate + "/papers/deliveries?meeting=" + id
	o.refused("not-allowed", "an", "POST", papers, []byte(csv))
	report := o.must("clerk", "POST", papers, []byte(csv))
	if report["recorded"] != 3.0 || report["rejected"] != 2.0 {
		t.Errorf("%v", report)
	}
	for i, code := range []string{"no-such-unit", "delivery-time"} {
		if e := report["errors"].([]any)[i].(object); e["code"] != code || e["row"] != float64(5+i) {
			t.Errorf("%v, want %s", e, code)
		}
	}
	if again := o.must("clerk", "POST", papers, []byte(csv)); again["unchanged"] != 3.0 || again["recorded"] != 0.0 {
		t.Errorf("%v", again)
	}

	// A posting reaches who was tried in vain, after its days.
	o.refused("display-days", "clerk", "POST", at+"/displays", object{"place": "大厅", "photo": hash, "from": "2030-04-30", "until": "2030-05-10"})
	o.must("clerk", "POST", at+"/displays", object{"place": "大厅", "photo": hash, "from": "2030-05-04", "until": "2030-05-10"})
	if got := o.get(at + "/telling"); got["failed"].(object)["heads"] != 1.0 || got["displays"].([]any)[0].(object)["over"] != false {
		t.Errorf("%v", got)
	}
	later := noon.AddDate(0, 0, 10)
	o.now.Store(&later)
	got := o.get(at + "/telling")
	ways := map[string]object{}
	for _, w := range got["reached"].([]any) {
		ways[w.(object)["channel"].(string)] = w.(object)
	}
	for way, area := range map[string]float64{"当面签收": 10000, "应用确认": 8000, "邮寄": 7000, "公告张贴": 9000} {
		if ways[way]["heads"] != 1.0 || ways[way]["area_centi_m2"] != area {
			t.Errorf("%s: %v", way, ways[way])
		}
	}
	list := o.must("clerk", "GET", at+"/deliveries?building=2", nil)
	if items := list["items"].([]any); len(items) != 2 || len(items[0].(object)["failed"].([]any)) != 2 || len(list["buildings"].([]any)) != 2 {
		t.Errorf("%v", list)
	}
	if page := o.must("clerk", "GET", at+"/deliveries?limit=1&state=reached", nil); page["next"] != "1" {
		t.Errorf("%v", page)
	}

	before := o.get(at + "/telling")
	o.rebuild()
	if after := o.get(at + "/telling"); !reflect.DeepEqual(before["reached"], after["reached"]) {
		t.Errorf("rebuilt it is %v, was %v", after, before)
	}
}
