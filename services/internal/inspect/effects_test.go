package inspect_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	contract "github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// What the test reads of decisions and what became of them.
type (
	decided struct {
		Meeting, Motion, Title, Result string
		At                             time.Time
	}
	agreed struct {
		State, Ended, Follows, Successor string
		Authorised                       *decided
		Dismissed                        *struct {
			On, Ends units.Day
			Decision decided
		}
	}
	drawn struct {
		ID, Scope string
		Amount    units.Fen `json:"amount_fen"`
		Paid      units.Fen `json:"paid_fen"`
		Left      units.Fen `json:"left_fen"`
		Decision  decided
	}
	followed struct {
		Event, Motion string
		Done          bool
		Refused       *struct{ Code, Detail string }
	}
)

// estateOfDecisions is an estate whose owners decide on providers and on money.
type estateOfDecisions struct {
	*servicetest.System
	t                 *testing.T
	id, meeting       string
	clerk             *servicetest.Client
	clerkID           string
	homes             []servicetest.Home
	entrusted, formal string // agreements: in force, and posted to take its place
	lifts, gone       string // in force, and ended before the decision takes effect
	year              int
}

// agree proposes an agreement, posts it, and lets all sign.
func (e *estateOfDecisions) agree(kind, provider, follows string) string {
	e.t.Helper()
	terms := body{
		"kind": kind, "principals": []string{"街道"}, "provider": provider, "starts": units.DayOf(e.Clock.Now()), "ends": "2999-12-31",
		"rates": []body{{"use": "住宅", "rate_e4_yuan": 9000, "per": "㎡·月"}}, "services": []string{"保洁"},
	}
	if follows != "" {
		terms["follows"] = follows
	}
	id := e.clerk.Post("/estates/"+e.id+"/agreements", terms).Want(http.StatusCreated).ID()
	e.clerk.Post("/agreements/"+id+"/post", nil).Want(http.StatusCreated)
	for _, party := range []string{"街道", provider} {
		e.clerk.Post("/agreements/"+id+"/sign", body{"party": party}).Want(http.StatusCreated)
	}
	return id
}

func (e *estateOfDecisions) inForce(kind, provider string) string {
	e.t.Helper()
	id := e.agree(kind, provider, "")
	e.clerk.Post("/agreements/"+id+"/activate", nil).Want(http.StatusCreated)
	return id
}

// decide holds a meeting in which everyone says yes to all but the last motion, and
// posts its result.
func (e *estateOfDecisions) decide() {
	e.t.Helper()
	now := e.Clock.Now()
	e.year = now.Year() + 2
	motion := func(id, title, matter, scope string, effect body) body {
		return body{"id": id, "title": title, "matter": matter, "scope": scope, "effect": effect}
	}
	draft := body{
		"title": "业主大会", "policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		"motions": []body{
			motion("M1", "选聘物业服务人", "民法典278-1-4", "estate", body{"kind": votes.AppointProvider, "agreement": e.formal}),
			motion("M2", "解聘电梯管理人", "民法典278-1-4", "estate", body{"kind": votes.DismissProvider, "agreement": e.lifts}),
			motion("M3", "屋面防水", "民法典278-1-5", "building:1", body{"kind": votes.DrawMaintenance, "amount_fen": 1_000_000}),
			motion("M4", "外墙广告", "民法典278-1-8", "estate", body{"kind": votes.BudgetCommonIncome, "amount_fen": 6_000_000, "direction": "收入", "category": "公共收益", "year": e.year}),
			motion("M5", "解聘旧管理人", "民法典278-1-4", "estate", body{"kind": votes.DismissProvider, "agreement": e.gone}),
			motion("M6", "更换门窗", "民法典278-1-5", "estate", body{"kind": votes.DrawMaintenance, "amount_fen": 9_000_000}),
		},
	}
	list := draft["motions"].([]body)
	fits := list[0]
	list[0] = motion("M1", "选聘物业服务人", "民法典278-1-5", "estate", body{"kind": votes.AppointProvider, "agreement": e.formal})
	e.clerk.Post("/estates/"+e.id+"/meetings", draft).Refused(http.StatusUnprocessableEntity, "meeting-wrong", "motions[0].effect.kind")
	list[0] = motion("M1", "选聘物业服务人", "民法典278-1-4", "estate", body{"kind": votes.AppointProvider, "agreement": e.entrusted})
	e.clerk.Post("/estates/"+e.id+"/meetings", draft).Refused(http.StatusUnprocessableEntity, "meeting-wrong", "motions[0].effect.agreement")
	list[0] = fits
	e.meeting = e.clerk.Post("/estates/"+e.id+"/meetings", draft).Want(http.StatusCreated).ID()
	e.clerk.Post("/meetings/"+e.meeting+"/roll", nil).Want(http.StatusCreated)
	e.clerk.Post("/meetings/"+e.meeting+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, 20)}).Want(http.StatusCreated)
	e.Clock.Advance(17 * 24 * time.Hour)
	var choices []body
	for _, m := range list {
		choices = append(choices, body{"motion": m["id"], "choice": map[bool]string{true: votes.No, false: votes.Yes}[m["id"] == "M6"]})
	}
	for _, h := range e.homes {
		e.Person(h.Owner).Post("/meetings/"+e.meeting+"/ballots", body{"choices": choices}).Want(http.StatusCreated)
	}
	e.Clock.Advance(4 * 24 * time.Hour)
	e.clerkID, e.clerk = e.Someone(e.id, registry.Clerk) // sessions have ended
	e.Await("closed and opened", func() bool {
		types := e.Types(votes.MeetingStream + e.meeting)
		return types[len(types)-1] == "key-released.v1"
	})
	e.CatchUp()
	e.clerk.Post("/meetings/"+e.meeting+"/posting", body{}).Want(http.StatusCreated)
}

func (e *estateOfDecisions) agreement(id string) (a agreed) {
	e.t.Helper()
	e.Anyone().Get("/agreements/" + id).Want(http.StatusOK).Into(&a)
	return a
}

func (e *estateOfDecisions) draws() []drawn {
	e.t.Helper()
	return servicetest.Items[drawn](e.Anyone().Get("/estates/" + e.id + "/draws").Want(http.StatusOK))
}

// line returns the line of the year's budget for what common parts bring in.
func (e *estateOfDecisions) line() (planned units.Fen, by *decided) {
	e.t.Helper()
	var y struct {
		Items []struct {
			Direction, Category string
			Planned             units.Fen `json:"planned_fen"`
			Decision            *decided
		}
	}
	e.Anyone().Get("/estates/" + e.id + "/budget?year=" + strconv.Itoa(e.year)).Want(http.StatusOK).Into(&y)
	for _, l := range y.Items {
		if l.Direction == "收入" && l.Category == "公共收益" {
			return l.Planned, l.Decision
		}
	}
	return 0, nil
}

func newEstateOfDecisions(t *testing.T, unruly bool) *estateOfDecisions {
	e := &estateOfDecisions{System: servicetest.New(t, parts...), t: t}
	e.Unruly = unruly
	e.id = e.Estate("秀山花园")
	e.homes = e.Homes(e.id, "1-101", "1-102", "1-103", "1-104", "1-105")
	e.clerkID, e.clerk = e.Someone(e.id, registry.Clerk)
	e.entrusted = e.inForce("委托制物业", "物业公司")
	e.lifts = e.inForce("电梯管理", "电梯公司")
	e.gone = e.inForce("临时管理", "临时公司")
	e.formal = e.agree(agreements.Formal, "物业公司", e.entrusted)
	e.decide()
	return e
}

// followed is what became of each decision, by motion.
func (e *estateOfDecisions) followed() map[string]followed {
	e.t.Helper()
	all := map[string]followed{}
	for _, path := range []string{"/agreements/decisions", "/draws/decisions"} {
		for _, f := range servicetest.Items[followed](e.Anyone().Get("/estates/" + e.id + path).Want(http.StatusOK)) {
			all[f.Motion] = f
		}
	}
	return all
}

// settled waits until something came of every decision.
func (e *estateOfDecisions) settled() {
	e.t.Helper()
	e.Await("what follows", func() bool {
		all := e.followed()
		for _, f := range all {
			if !f.Done && f.Refused == nil {
				return false
			}
		}
		return len(all) == 5
	})
	e.CatchUp()
}

// From the notice to the contract, the draw and the budget: over HTTP, again after
// all was handed to the reactions once more, as after a restart, and again after the
// read models were built anew.
func TestWhatOwnersDecideFollowsOnceTheResultIsFinal(t *testing.T) {
	t.Parallel()
	e := newEstateOfDecisions(t, false)
	meeting := "/meetings/" + e.meeting

	// The result is posted, and nothing has followed yet.
	e.clerk.Post("/agreements/"+e.formal+"/activate", nil).Refused(http.StatusConflict, "owners-not-asked")
	if planned, _ := e.line(); len(e.draws()) > 0 || len(e.followed()) > 0 || planned != 0 {
		t.Fatal("something followed before the result is final")
	}
	e.clerk.Post("/agreements/"+e.gone+"/end", body{"on": units.DayOf(e.Clock.Now()), "reason": "双方协商终止"}).Want(http.StatusCreated)
	final := units.DayOf(e.Clock.Now())
	e.clerk.Post(meeting+"/final", nil).Want(http.StatusCreated)
	e.settled()

	check := func() {
		t.Helper()
		by := func(what string, d *decided, motion string) {
			t.Helper()
			if d == nil || d.Meeting != e.meeting || d.Motion != motion || len(d.Result) != 64 || d.At.IsZero() {
				t.Errorf("%s: the cause is %+v", what, d)
			}
		}
		by("art. 278 (1) 4: the contract", e.agreement(e.formal).Authorised, "M1")
		lifts := e.agreement(e.lifts)
		if lifts.Dismissed == nil || lifts.Dismissed.On != final || lifts.Dismissed.Ends != units.DayOf(final.Start().AddDate(0, 0, 60)) {
			t.Fatalf("art. 946: the notice is %+v", lifts.Dismissed)
		}
		by("art. 946: the dismissal", &lifts.Dismissed.Decision, "M2")
		draws := e.draws()
		if len(draws) != 1 || draws[0].Amount != 1_000_000 || draws[0].Scope != "building:1" {
			t.Fatalf("art. 281: open are %+v", draws)
		}
		by("art. 281: the draw", &draws[0].Decision, "M3")
		planned, line := e.line()
		if planned != 6_000_000 {
			t.Errorf("art. 282: planned is %s", planned)
		}
		by("art. 282: the line", line, "M4")
		all := e.followed()
		if f := all["M5"]; f.Done || f.Refused == nil || f.Refused.Code != "agreement-ended" {
			t.Errorf("of a contract that had ended it says %+v", f)
		}
		if _, there := all["M6"]; there {
			t.Error("something followed from a motion that was not adopted")
		}
	}
	check()

	// What follows holds: up to the amount, and nobody else's line.
	pay := func(number string, amount int) body {
		return body{"number": number, "date": units.DayOf(e.Clock.Now()), "amount_fen": amount, "text": "防水", "counterparty": "工程公司"}
	}
	draw := "/draws/" + e.draws()[0].ID
	_, provider := e.Someone(e.id, registry.Provider)
	e.Person(e.homes[0].Owner).Post(draw+"/payments", pay("1", 1)).Refused(http.StatusForbidden, "not-allowed")
	provider.Post(draw+"/payments", pay("1", 600_000)).Want(http.StatusCreated)
	provider.Post(draw+"/payments", pay("1", 600_000)).Want(http.StatusOK)
	refusal := provider.Post(draw+"/payments", pay("2", 400_001)).Refused(http.StatusConflict, "draw-exceeded", "amount_fen")
	if !strings.Contains(string(refusal.Body), "of 10000.00 yuan that owners decided on 6000.00 are paid, 4000.00 are left") {
		t.Errorf("the refusal says %s", refusal.Body)
	}
	provider.Post(draw+"/reversals", body{"number": "冲1", "reverses": "1", "date": units.DayOf(e.Clock.Now()), "reason": "重复"}).Want(http.StatusCreated)
	provider.Post(draw+"/payments", pay("2", 1_000_000)).Want(http.StatusCreated)
	year := strconv.Itoa(e.year)
	provider.Put("/estates/"+e.id+"/budgets/"+year, body{"lines": []body{{"direction": "收入", "category": "公共收益", "planned_fen": 1, "from": year + "-01", "to": year + "-12"}}}).
		Refused(http.StatusConflict, "line-decided", "lines[0]")
	e.clerk.Post("/agreements/"+e.lifts+"/end", body{"on": final, "reason": "提前"}).Refused(http.StatusConflict, "notice-running")

	// The formal contract takes the place of the entrustment.
	e.clerk.Post("/agreements/"+e.formal+"/activate", nil).Want(http.StatusCreated)
	e.Await("the entrustment ended", func() bool { return e.agreement(e.entrusted).State == "ended" })
	if a := e.agreement(e.entrusted); a.Successor != e.formal {
		t.Errorf("the entrustment is %+v", a)
	}

	// The 60 days pass.
	e.Clock.Advance(60 * 24 * time.Hour)
	e.CatchUp()
	if a := e.agreement(e.lifts); a.State != "active" {
		t.Fatalf("art. 946: on the 60th day it is %s", a.State)
	}
	e.Clock.Advance(24 * time.Hour)
	e.Await("the notice is over", func() bool { return e.agreement(e.lifts).State == "ended" })
	if a := e.agreement(e.lifts); a.Ended != string(a.Dismissed.Ends) {
		t.Errorf("art. 946: it ended %s, noticed was %s", a.Ended, a.Dismissed.Ends)
	}

	// Everything once more changes nothing.
	_, e.clerk = e.Someone(e.id, registry.Clerk) // sessions have ended
	recorded := func() int {
		return len(e.Events(slices.Concat(agreements.Categories, finance.Categories, contract.Categories)...))
	}
	contracts, finances, head := e.Rows("contracts"), e.Rows("finance"), recorded()
	for service, reaction := range map[string]string{"contracts": "agreements_follow", "finance": "finance_follow"} {
		e.again(service, reaction)
		e.Rebuild(service)
	}
	check()
	if e.Rows("contracts") != contracts || e.Rows("finance") != finances || recorded() != head {
		t.Error("a second time it is not the same")
	}
}

// again hands all that is in the ledger to a reaction once more.
func (e *estateOfDecisions) again(service, reaction string) {
	e.t.Helper()
	db, name := e.Deps[service].DB, "reaction/"+reaction
	before, err := db.Checkpoint(e.t.Context(), name)
	if err != nil {
		e.t.Fatal(err)
	}
	err = db.Update(e.t.Context(), func(tx *readmodel.Tx) error {
		_, err := tx.Exec(e.t.Context(), `DELETE FROM checkpoint WHERE name = ?`, name)
		return err
	})
	if err != nil {
		e.t.Fatal(err)
	}
	// It learns of it when the next event comes.
	e.clerk.Post("/estates/"+e.id+"/meetings", body{
		"title": "另一次", "policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		"motions": json.RawMessage(motions),
	}).Want(http.StatusCreated)
	e.Await("all of it again", func() bool {
		now, err := db.Checkpoint(e.t.Context(), name)
		return err == nil && now > before
	})
}

// Written past the services, what nobody decided is found, and the rule named.
func TestWhatFollowsFromNoDecisionIsFound(t *testing.T) {
	t.Parallel()
	e := newEstateOfDecisions(t, true)
	e.clerk.Post("/meetings/"+e.meeting+"/final", nil).Want(http.StatusCreated)
	e.settled()
	i, found, _ := replay(t, e.System, e.id, nil)
	if len(found) > 0 {
		t.Fatalf("honest as it is: %v", found)
	}
	if wrong, beyond := i.Compare(figures(t, e.System, i)); len(wrong)+len(beyond) > 0 {
		t.Fatalf("published as it is: %v %v", wrong, beyond)
	}

	f := &forger{System: e.System, t: t, estate: e.id}
	clock := e.Clock.Now().UTC()
	cause := map[string]string{}
	for motion, one := range e.followed() {
		cause[motion] = one.Event
	}
	by := decided{Meeting: e.meeting, Motion: "M3", Title: "屋面防水", Result: e.draws()[0].Decision.Result, At: e.draws()[0].Decision.At}
	byMoney, byOwners := finance.Decision(by), agreements.Decision(by)
	byMoney.At, byOwners.At = by.At.UTC(), by.At.UTC()
	money, contracts := func(motion string) as { return as{actor: "reaction:finance_follow", cause: cause[motion]} }, func(motion string) as {
		return as{actor: "reaction:agreements_follow", cause: cause[motion]}
	}
	opened := func(motion string, amount units.Fen) finance.DrawOpened {
		d := finance.DrawOpened{Draw: uuid.NewSHA1(uuid.MustParse(e.meeting), []byte("draw/"+motion)).String(), Estate: e.id, Amount: amount, Scope: "building:1", Decision: byMoney}
		d.Decision.Motion = motion
		return d
	}
	other := opened("M6", 9_000_000)
	f.forge("a draw of a motion that was not adopted", "no-decision", as{actor: "reaction:finance_follow", cause: uuid.NewString()}, finance.DrawStream+other.Draw, other)
	own := opened("M7", 1)
	f.forge("a draw that a clerk opens", "no-decision", as{actor: e.clerkID}, finance.DrawStream+own.Draw, own)
	twice := opened("M8", 1_000_000)
	f.forge("a second draw of one decision", "draw-id", money("M3"), finance.DrawStream+twice.Draw, twice)
	more := opened("M3", 2_000_000)
	f.forge("a draw opened for more than owners decided on", "decided-otherwise", money("M3"), finance.DrawStream+more.Draw, more)
	f.forge("more paid than owners decided on", "draw-exceeded", as{actor: e.clerkID}, finance.DrawStream+more.Draw, finance.DrawPaid{
		Draw: more.Draw, Number: "1", Date: units.DayOf(clock), Amount: 2_000_001, Text: "防水"})
	f.forge("paid by an owner", "voucher.post", as{actor: e.homes[0].Owner}, finance.DrawStream+more.Draw, finance.DrawPaid{
		Draw: more.Draw, Number: "2", Date: units.DayOf(clock), Amount: 1, Text: "防水"})
	line := finance.BudgetLineDecided{Estate: e.id, Year: 2040, Decision: byMoney, Line: finance.Line{
		Direction: finance.Income, Category: "公共收益", Planned: 1, From: "2040-01", To: "2040-12"}}
	f.forge("a line that nobody decided", "no-decision", as{actor: e.clerkID}, finance.BudgetStream+e.id+"-2040", line)

	line.Year, line.Line = e.year, finance.Line{Direction: finance.Income, Category: "公共收益", Planned: 6_000_001, From: units.Month(strconv.Itoa(e.year) + "-01"), To: units.Month(strconv.Itoa(e.year) + "-12")}
	f.forge("a line of another amount than owners decided", "decided-otherwise", money("M4"), finance.BudgetStream+e.id+"-"+strconv.Itoa(e.year), line)

	stream := func(id string) string { return agreements.AgreementStream + id }
	day := units.DayOf(clock)
	f.forge("a contract that a clerk says is authorised", "no-decision", as{actor: e.clerkID}, stream(e.entrusted), agreements.ContractAuthorised{Agreement: e.entrusted, Decision: byOwners})
	f.forge("a dismissal on which nobody decided", "no-decision", contracts("M1"), stream(e.entrusted), agreements.ProviderDismissed{
		Agreement: e.entrusted, On: day, Ends: units.DayOf(clock.AddDate(0, 0, 60)), Decision: byOwners})
	f.forge("a dismissal with a day less than 60", "decided-otherwise", contracts("M2"), stream(e.lifts), agreements.ProviderDismissed{
		Agreement: e.lifts, On: day, Ends: units.DayOf(clock.AddDate(0, 0, 59)), Decision: byOwners})
	f.forge("an end of what is not in force", "agreement-not-active", as{actor: e.clerkID}, stream(e.formal), agreements.AgreementEnded{Agreement: e.formal, On: day, Reason: "x"})
	f.forge("an agreement ended within the 60 days", "notice-running", as{actor: e.clerkID}, stream(e.lifts), agreements.AgreementEnded{Agreement: e.lifts, On: day, Reason: "提前"})

	meeting := votes.MeetingStream + e.meeting
	f.forge("a decision that is none of a result", "wrong-stream", as{actor: e.clerkID}, meeting, votes.DecisionEffective{
		Meeting: e.meeting, Estate: e.id, Motion: "M6", Title: "更换门窗", Scope: "estate", Posting: 1, Result: by.Result, At: clock,
		Effect: votes.Effect{Kind: votes.DrawMaintenance, Amount: 9_000_000}})

	_, found, _ = replay(t, e.System, e.id, nil)
	for _, c := range f.cases {
		t.Run(c.name, func(t *testing.T) {
			named, got := false, []string{}
			for _, x := range found {
				if strings.Contains(x.Detail, c.event.String()) {
					got = append(got, x.String())
					named = named || x.Code == c.code && x.Rule == c.rule
				}
			}
			if !named {
				t.Errorf("not found as %s (%s), but: %q", c.code, c.rule, got)
			}
		})
	}
}
