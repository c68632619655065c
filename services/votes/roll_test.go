package votes_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	events "github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/votes"
)

// held is a live meeting over all services; what it leaves in the ledger is decided
// again when the test ends.
type held struct {
	*servicetest.System
	t      *testing.T
	estate string
	id, at string
	clerk  *servicetest.Client
}

func hold(t *testing.T, titles string, motions ...object) *held {
	s := servicetest.New(t, servicetest.Part{Context: ledger.Votes, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return votes.New(ctx, deps, votes.Config{})
	}})
	h := &held{System: s, t: t, estate: s.Estate("秀山花园")}
	units := servicetest.UnitHeadings
	for _, u := range []string{"5-1-101,5,1,101,住宅,80.00,登记", "5-1-102,5,1,102,住宅,70.00,实测", "5-1-201,5,1,201,住宅,90.00,登记", "5-2-101,5,2,101,住宅,60.00,合同", "6-1-101,6,1,101,住宅,120.00,登记"} {
		units += u + ",已交付\n"
	}
	s.Admin().Import(h.estate, "units", "房屋清册.csv", units).Want(http.StatusOK)
	h.titles(titles)
	_, h.clerk = s.Someone(h.estate, registry.Clerk)
	h.id = h.clerk.Post("/estates/"+h.estate+"/meetings", object{
		"title": "业主大会", "motions": motions,
		"policy": object{"revote": events.FirstBallotStands, "paper_and_electronic": events.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
	}).Want(http.StatusCreated).ID()
	h.at = "/meetings/" + h.id
	return h
}

// titles states titles: unit and owner, who is known by a document.
func (h *held) titles(rows string) {
	h.t.Helper()
	h.Admin().Import(h.estate, "titles", "业主名册.csv", servicetest.TitleHeadings+rows).Want(http.StatusOK)
}

func (h *held) person(document string) string {
	h.t.Helper()
	id, ok, err := h.Vault.PersonByDocument(h.t.Context(), document)
	if err != nil || !ok {
		h.t.Fatal(document, ok, err)
	}
	return id
}

func (h *held) as(document string) *servicetest.Client { return h.Person(h.person(document)) }

func (h *held) amended(n int) {
	h.t.Helper()
	h.Await("the roll is amended", func() bool {
		n := n
		for _, name := range h.Types(events.MeetingStream + h.id) {
			if name == "roll-amended.v1" {
				n--
			}
		}
		return n == 0
	})
	h.CatchUp()
}

const sold = ",业主,身份证,"

func TestAUnitSoldDuringTheVote(t *testing.T) {
	h := hold(t, "5-1-101"+sold+"AN,,1/1,是\n5-1-102"+sold+"AN,,1/1,是\n5-1-201"+sold+"BO,,1/1,是\n5-2-101"+sold+"CE,,1/1,是\n6-1-101"+sold+"DI,,1/1,是\n",
		object{"id": "M1", "title": "加装电梯", "matter": "民法典278-1-5", "scope": "building:5"},
		object{"id": "M2", "title": "一单元粉刷", "matter": "民法典278-1-5", "scope": "stair:5-1"},
		object{"id": "M3", "title": "受影响业主", "matter": "民法典278-1-9", "scope": "units", "units": []string{"5-1-102", "5-2-101"}})
	h.clerk.Post(h.at+"/roll", nil).Want(http.StatusCreated)
	h.titles("5-2-101" + sold + "ED,,1/1,是\n") // after the freezing, before the notice: by the notice
	opens, closes := h.Clock.Now().AddDate(0, 0, 16), h.Clock.Now().AddDate(0, 0, 30)
	h.clerk.Post(h.at+"/notice", object{"opens": opens, "closes": closes}).Want(http.StatusCreated)
	h.amended(1)
	h.Clock.Advance(17 * 24 * time.Hour)
	_, h.clerk = h.Someone(h.estate, registry.Clerk)

	choose := func(choice string, motions ...string) object {
		var list []object
		for _, m := range motions {
			list = append(list, object{"motion": m, "choice": choice})
		}
		return object{"choices": list}
	}
	ballots := h.at + "/ballots"
	h.as("AN").Post(ballots, choose(events.Yes, "M1", "M2", "M3")).Want(http.StatusCreated)
	h.titles("5-1-102" + sold + "FA,,1/1,是\n") // an has voted
	h.titles("5-1-201" + sold + "DI,,1/1,是\n") // bo has not voted, and di is on the roll
	h.amended(3)
	bought := func(who *servicetest.Client) (list []string) {
		type amendment struct {
			Unit        string
			Yours, Sold bool
			SellerVoted bool `json:"seller_voted"`
		}
		for _, a := range servicetest.Items[amendment](who.Get(h.at + "/amendments").Want(http.StatusOK)) {
			if a.Yours {
				list = append(list, fmt.Sprint(a.Unit, " ", a.SellerVoted))
			}
			if a.Sold {
				list = append(list, fmt.Sprint("sold ", a.Unit, " ", a.SellerVoted))
			}
		}
		return list
	}
	for who, want := range map[string][]string{"FA": {"5-1-102 true"}, "DI": {"5-1-201 false"}, "ED": {"5-2-101 false"}, "AN": {"sold 5-1-102 true"}, "BO": {"sold 5-1-201 false"}} {
		if got := bought(h.as(who)); !slices.Equal(got, want) {
			t.Errorf("%s is told of %q before voting, want %q", who, got, want)
		}
	}
	if got := bought(h.Anyone()); got != nil {
		t.Errorf("anyone bought %q", got)
	}
	h.as("BO").Post(ballots, choose(events.No, "M1", "M2")).Refused(http.StatusConflict, "not-in-scope")
	h.as("AN").Post(ballots, choose(events.No, "M3")).Refused(http.StatusConflict, "not-in-scope")

	// Two phones, of the seller and the buyer, at once.
	var phones sync.WaitGroup
	phones.Go(func() {
		h.as("AN").Post(ballots, choose(events.No, "M1", "M2")).Refused(http.StatusConflict, "already-voted")
	})
	phones.Go(func() { h.as("FA").Post(ballots, choose(events.No, "M1", "M2", "M3")).Want(http.StatusCreated) })
	phones.Wait()
	h.as("DI").Post(ballots, choose(events.Yes, "M1", "M2")).Want(http.StatusCreated)
	h.as("ED").Post(ballots, choose(events.No, "M1", "M3")).Want(http.StatusCreated)
	h.CatchUp()
	var summary struct {
		Turnout struct {
			Heads   int64
			Area    int64 `json:"area_centi_m2"`
			OfHeads int64 `json:"of_heads"`
		}
		Reasons map[string]int
	}
	// an with 101 and 102, which is fa's now and for which an's ballot stands; di 201 and 6-1-101; ed 5-2-101.
	h.Anyone().Get(ballots + "/summary").Want(http.StatusOK).Into(&summary)
	// ed took ce's place, and bo has nothing left: three heads, of whom three have voted, and no longer four.
	if summary.Turnout.Heads != 3 || summary.Turnout.Area != 42000 || summary.Turnout.OfHeads != 3 {
		t.Errorf("turnout %+v", summary.Turnout)
	}

	h.titles("5-1-101" + sold + "GU,,1/1,是\n") // to somebody who never votes
	h.amended(4)
	h.Clock.Advance(20 * 24 * time.Hour)
	h.Await("counted", func() bool {
		var m struct{ State string }
		h.Anyone().Get(h.at).Want(http.StatusOK).Into(&m)
		return m.State == "counted"
	})
	var results struct {
		Items []struct {
			Motion  string
			Heads   int64 `json:"electorate_heads"`
			Area    int64 `json:"electorate_area_centi_m2"`
			Voted   int64 `json:"participating_heads"`
			Yes     int64 `json:"yes_area_centi_m2"`
			No      int64 `json:"no_area_centi_m2"`
			Outcome string
		}
	}
	h.Anyone().Get(h.at + "/results").Want(http.StatusOK).Into(&results)
	// M1, building 5, 300.00: an 150.00 yes (it stands for both homes, sold or not), di 90.00 yes, ed 60.00 no.
	// M2, stair 5-1, 240.00: an 150.00 and di 90.00 yes; bo is no head any more.
	// M3, 130.00: an's yes stands for 70.00, ed 60.00 no.
	for i, want := range [][]int64{{3, 30000, 3, 24000, 6000}, {2, 24000, 2, 24000, 0}, {2, 13000, 2, 7000, 6000}} {
		r := results.Items[i]
		if got := []int64{r.Heads, r.Area, r.Voted, r.Yes, r.No}; !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", r.Motion, got, want)
		}
	}
	h.Anyone().Get(ballots + "/summary").Want(http.StatusOK).Into(&summary)
	if summary.Reasons["seller-voted"] != 3 {
		t.Errorf("reasons %v", summary.Reasons)
	}
	shown := func() (all []string) {
		for _, path := range []string{"", "/results", "/ballots", "/ballots/summary", "/roll", "/amendments"} {
			body := string(h.Anyone().Get(h.at + path).Want(http.StatusOK).Body)
			body, _, _ = strings.Cut(body, `"position":`) // how far the log is has nothing to do with it
			all = append(all, body)
		}
		return append(all, string(h.as("FA").Get("/me/ballots").Want(http.StatusOK).Body))
	}
	before := shown()
	h.Rebuild("votes")
	for i, after := range shown() {
		if after != before[i] {
			t.Errorf("replayed\n%s\nlive\n%s", after, before[i])
		}
	}
}

func TestASaleThatTheRollWasNotToldOfIsFound(t *testing.T) {
	h := hold(t, "5-1-101"+sold+"AN,,1/1,是\n5-1-102"+sold+"BO,,1/1,是\n", object{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"})
	h.Unruly = true
	h.clerk.Post(h.at+"/roll", nil).Want(http.StatusCreated)
	now := h.Clock.Now()
	h.clerk.Post(h.at+"/notice", object{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, 20)}).Want(http.StatusCreated)
	h.Clock.Advance(17 * 24 * time.Hour)
	h.titles("5-1-101" + sold + "CE,,1/1,是\n")
	h.amended(1)
	// The amendment is cut out of what an inspector is given.
	var found []proof.Finding
	i, err := inspect.New(h.estate, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.Clock.Advance(5 * 24 * time.Hour)
	h.Await("closed", func() bool { return slices.Contains(h.Types(events.MeetingStream+h.id), "voting-closed.v1") })
	for e, err := range h.Store.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type != "roll-amended.v1" {
			found = append(found, i.Take(e)...)
		}
	}
	rest, _ := i.End()
	if !slices.ContainsFunc(append(found, rest...), func(f proof.Finding) bool { return f.Rule == "roll-not-amended" }) {
		t.Errorf("found %v", found)
	}
}

func TestObjectionsToTheRollAreAnsweredBeforeTheNotice(t *testing.T) {
	h := hold(t, "5-1-101"+sold+"AN,,1/1,是\n5-1-102"+sold+"BO,,1/1,是\n", object{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"})
	objections := h.at + "/roll-objections"
	say := func(unit string) object { return object{"unit": unit, "words": "面积不对,我叫张三"} }
	window := object{"opens": h.Clock.Now().AddDate(0, 0, 16), "closes": h.Clock.Now().AddDate(0, 0, 20)}
	committeeID, committee := h.Someone(h.estate, registry.Committee)
	an, bo, anybody := h.as("AN"), h.as("BO"), h.Anyone()

	an.Post(objections, say("5-1-101")).Refused(http.StatusConflict, "roll-not-frozen")
	h.clerk.Post(h.at+"/roll", nil).Want(http.StatusCreated)
	anybody.Post(objections, say("5-1-101")).Refused(http.StatusUnauthorized, "login-needed")
	_, stranger := h.Someone("")
	stranger.Post(objections, say("5-1-101")).Refused(http.StatusForbidden, "not-allowed")
	an.Post(objections, object{"unit": "5-1-102", "words": "x", "person": h.person("BO")}).Refused(http.StatusForbidden, "not-allowed")
	an.Post(objections, say("我家漏了")).Refused(http.StatusUnprocessableEntity, "no-such-unit", "unit")
	an.Post(objections, say("13800000000")).Refused(http.StatusUnprocessableEntity, "no-such-unit", "unit")
	first := an.Post(objections, say("5-1-101")).Want(http.StatusCreated).ID()
	an.Post(objections, say("5-1-101")).Refused(http.StatusConflict, "objected-already")
	second := h.clerk.Post(objections, object{"unit": "5-9-901", "words": "名册上没有我的房子", "person": h.person("BO")}).Want(http.StatusCreated).ID()
	third := bo.Post(objections, say("5-1-102")).Want(http.StatusCreated).ID()
	committee.Post(h.at+"/notice", window).Refused(http.StatusConflict, "roll-objections-open")

	var words struct{ Words string }
	committee.Get(objections + "/" + first + "/words").Want(http.StatusOK).Into(&words)
	if words.Words != "面积不对,我叫张三" {
		t.Errorf("the words are %q", words.Words)
	}
	bo.Get(objections+"/"+first+"/words").Refused(http.StatusForbidden, "not-allowed")
	an.Get(objections + "/" + first + "/words").Want(http.StatusOK)
	h.CatchUp()
	if places := h.Find("张三"); len(places) > 0 {
		t.Errorf("an owner's words can be read in %v", places)
	}

	answer := func(id string, upheld bool, words string) *servicetest.Answer {
		return committee.Post(objections+"/"+id+"/answer", object{"upheld": upheld, "answer": words})
	}
	an.Post(objections+"/"+first+"/answer", object{"upheld": true, "answer": "对"}).Refused(http.StatusForbidden, "not-allowed")
	answer(first, true, "电话 13800000000").Refused(http.StatusUnprocessableEntity, "words-wrong", "answer")
	answer(first, true, "登记簿上是 82.00 ㎡,名册更正。").Want(http.StatusCreated)
	answer(first, false, "又不是了。").Refused(http.StatusConflict, "objection-answered")
	answer(second, false, "本小区没有 5 栋 9 单元。").Want(http.StatusCreated)
	an.Post(objections+"/"+third+"/withdraw", nil).Refused(http.StatusForbidden, "not-allowed")
	bo.Post(objections+"/"+third+"/withdraw", nil).Want(http.StatusCreated)
	answer(third, false, "没有。").Refused(http.StatusConflict, "objection-withdrawn")
	answer("0d5b6c0f-3a53-4c0a-8f0e-7f60b6a8d0c1", false, "没有。").Refused(http.StatusNotFound, "no-such-objection")
	committee.Post(h.at+"/notice", window).Refused(http.StatusConflict, "roll-objection-upheld")
	h.Admin().Import(h.estate, "units", "房屋清册.csv", servicetest.UnitHeadings+"5-1-101,5,1,101,住宅,82.00,登记,已交付\n").Want(http.StatusOK)
	committee.Post(h.at+"/roll", nil).Want(http.StatusCreated)
	committee.Post(h.at+"/notice", window).Want(http.StatusCreated)
	an.Post(objections, say("5-1-102")).Refused(http.StatusConflict, "roll-stands")

	var list struct {
		Items []struct {
			Number                     int
			Unit, Entry, State, Answer string
		}
	}
	body := anybody.Get(objections).Want(http.StatusOK).Into(&list).Body
	for i, want := range [][]string{{"5-1-101", "1", "corrected"}, {"5-9-901", "", "not-upheld"}, {"5-1-102", "2", "withdrawn"}} {
		if o := list.Items[i]; o.Number != i+1 || !slices.Equal([]string{o.Unit, o.Entry, o.State}, want) {
			t.Errorf("objection %+v, want %v", o, want)
		}
	}
	for _, id := range []string{h.person("AN"), committeeID} {
		if strings.Contains(string(body), id) {
			t.Error("the list says who objected")
		}
	}
}
