package votes_test

import (
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/vault"
)

// entrusted is a live meeting of one motion whose key three trustees hold, two of
// whom are needed; everyone has voted, and voting is closed.
type entrusted struct {
	*office
	id, at string
	shares map[string]string // by trustee
	closes time.Time
}

func entrust(t *testing.T) entrusted {
	t.Helper()
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	e := entrusted{office: open(t, noon), shares: map[string]string{}, closes: noon.AddDate(0, 0, 30)}
	owners := []string{"an", "bo", "ce"}
	for i, owner := range owners {
		e.home("1-"+string(rune('1'+i)), "1", 10000, owner)
	}
	people := e.people("gu", "he", "ji") // trustees
	e.id = e.must("clerk", "POST", "/estates/"+e.estate+"/meetings", object{
		"title": "业主大会", "policy": object{"revote": "first-ballot-stands", "paper_and_electronic": "paper-stands", "unreturned": "none", "parking_counts_area": false},
		"motions": []object{{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"}},
	})["id"].(string)
	e.at = "/meetings/" + e.id
	e.must("clerk", "POST", e.at+"/roll", nil)

	list := []object{{"person": people[0], "party": "业主委员会"}, {"person": people[1], "party": "街道办事处"}, {"person": people[2], "party": "居民委员会"}}
	e.refused("no-trustees", people[0], "GET", e.at+"/own-share", nil)
	e.refused("not-allowed", "an", "POST", e.at+"/trustees", object{"trustees": list, "needed": 2})
	e.refused("trustees-wrong", "clerk", "POST", e.at+"/trustees", object{"trustees": []object{list[0], {"person": people[1], "party": "业主委员会"}, list[2]}, "needed": 2})
	e.refused("no-such-person", "clerk", "POST", e.at+"/trustees", object{"trustees": []object{list[0], {"person": "who", "party": "街道办事处"}}, "needed": 2})
	e.must("clerk", "POST", e.at+"/trustees", object{"trustees": list, "needed": 2})
	given := e.must(people[0], "GET", e.at+"/own-share", nil)["share"].(string)
	e.must("clerk", "POST", e.at+"/trustees", object{"trustees": list, "needed": 2, "days": 10}) // another key is dealt

	window := object{"opens": noon.AddDate(0, 0, 16), "closes": e.closes}
	for i, person := range people {
		e.refused("shares-not-taken", "clerk", "POST", e.at+"/notice", window)
		own := e.must(person, "GET", e.at+"/own-share", nil)
		share := own["share"].(string)
		if own["number"] != float64(i+1) || share == given {
			t.Fatalf("trustee %d has share %v of the key that is dealt now, before it %s", i+1, own, given)
		}
		e.refused("ending-wrong", person, "POST", e.at+"/own-share/taken", object{"ending": "WRONG"})
		e.must(person, "POST", e.at+"/own-share/taken", object{"ending": strings.ToLower(vault.ShareEnding(share))})
		e.refused("share-taken", person, "GET", e.at+"/own-share", nil)
		e.shares[person] = share
	}
	e.refused("not-a-trustee", "an", "GET", e.at+"/own-share", nil)
	e.must("clerk", "POST", e.at+"/notice", window)

	open := noon.AddDate(0, 0, 17)
	e.now.Store(&open)
	for i, owner := range owners {
		e.must(owner, "POST", e.at+"/ballots", object{"choices": []object{{"motion": "M1", "choice": []string{votes.Yes, votes.Yes, votes.No}[i]}}})
	}
	for _, person := range people {
		e.refused("share-early", person, "POST", e.at+"/shares", object{"share": e.shares[person]})
	}
	end := e.closes.Add(2 * time.Minute)
	e.now.Store(&end)
	e.await(func() bool { return e.get(e.at + "/trustees")["until"] != nil })
	return e
}

// people registers people and returns their ids.
func (o *office) people(names ...string) (ids []string) {
	o.Helper()
	var list []vault.PersonalData
	for _, name := range names {
		list = append(list, vault.PersonalData{Name: name, DocumentKind: "身份证", Document: "110101199001010" + name})
	}
	known, err := o.vault.EnsurePeople(o.Context(), list)
	if err != nil {
		o.Fatal(err)
	}
	for _, k := range known {
		ids = append(ids, k.ID)
	}
	return ids
}

func (e entrusted) results() object {
	return e.get(e.at + "/results")["items"].([]any)[0].(object)
}

func TestTwoOfThreeTrusteesOpenTheBallots(t *testing.T) {
	e := entrust(t)
	var people []string
	for person := range e.shares { // whichever two come
		people = append(people, person)
	}
	one, other := people[0], people[1]
	e.refused("not-counted-yet", "", "GET", e.at+"/results", nil)
	e.refused("share-wrong", one, "POST", e.at+"/shares", object{"share": e.shares[other]})
	e.refused("share-wrong", one, "POST", e.at+"/shares", object{"share": "AAAAA-AAAAA"})
	e.refused("not-a-trustee", "an", "POST", e.at+"/shares", object{"share": e.shares[one]})
	e.must(one, "POST", e.at+"/shares", object{"share": e.shares[one]})
	e.refused("not-counted-yet", "", "GET", e.at+"/results", nil)
	e.must(other, "POST", e.at+"/shares", object{"share": strings.ToLower(strings.ReplaceAll(e.shares[other], "-", " "))})
	e.await(func() bool { status, _ := e.do("", "GET", e.at+"/results", nil); return status == 200 })
	if r := e.results(); r["yes_heads"] != 2.0 || r["no_heads"] != 1.0 || r["outcome"] != votes.Adopted {
		t.Errorf("results %v", r)
	}
	if is := e.get(e.at + "/trustees"); is["opened"] != true || is["unopened"] != false {
		t.Errorf("%v", is)
	}
	before := e.results()
	if e.rebuild(); e.results()["outcome"] != before["outcome"] {
		t.Error("a rebuilt board counts otherwise")
	}
}

func TestTooFewSharesLeaveTheBallotsSealedAndDecideNothing(t *testing.T) {
	e := entrust(t)
	var one, other string
	for person := range e.shares {
		one, other = other, person
	}
	e.must(one, "POST", e.at+"/shares", object{"share": e.shares[one]})
	e.refused("not-counted-yet", "", "GET", e.at+"/results", nil)
	until, err := time.Parse(time.RFC3339Nano, e.get(e.at + "/trustees")["until"].(string))
	if err != nil || until.Before(e.closes.AddDate(0, 0, 10)) || until.After(e.closes.AddDate(0, 0, 11)) {
		t.Fatalf("shares are awaited until %v, %v", until, err)
	}
	e.now.Store(&until)
	e.await(func() bool { return e.get(e.at + "/trustees")["unopened"] == true })
	if r := e.results(); r["outcome"] != votes.NoDecision || r["yes_heads"] != 0.0 {
		t.Errorf("results %v", r)
	}
	e.refused("ballots-unopened", other, "POST", e.at+"/shares", object{"share": e.shares[other]})
}
