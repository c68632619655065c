package inspect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	meetings "github.com/yimu-ledger/yimu/services/votes"
)

const election = `[{"id":"M1","title":"选举业主委员会","matter":"民法典278-1-3","scope":"estate","seats":5,"candidates":[
	{"id":"c1","unit":"1-101"},{"id":"c2","unit":"1-102"},{"id":"c3","unit":"1-103"},{"id":"c4","unit":"1-104"},{"id":"c5","unit":"1-105"}]}]`

// withHolidays are the parts with a calendar of the years the test may reach, in
// which only New Year's Day is off.
func withHolidays(t *testing.T) []servicetest.Part {
	var text strings.Builder
	for n := range 4 {
		year := time.Now().Year() + n
		fmt.Fprintf(&text, "- {year: %d, source: test, rest: [\"%d-01-01\"]}\n", year, year)
	}
	file := filepath.Join(t.TempDir(), "holidays.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	list := slices.Clone(parts)
	for n, p := range list {
		if p.Context == ledger.Votes {
			list[n].New = func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
				return meetings.New(ctx, deps, meetings.Config{Holidays: file})
			}
		}
	}
	return list
}

// From the count to the filing: what the services let pass is found right again,
// and what somebody writes past them is found, and the rule named.
func TestAResultIsPostedObjectedToCorrectedAndFiled(t *testing.T) {
	t.Parallel()
	s := servicetest.New(t, withHolidays(t)...)
	s.Unruly = true
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102", "1-103", "1-104", "1-105")
	_, clerk := s.Someone(estate, registry.Clerk)
	strangerID, _ := s.Someone(estate)
	f := &forger{System: s, t: t, estate: estate}
	now := s.Clock.Now()
	call := func(title, motions string) string {
		id := clerk.Post("/estates/"+estate+"/meetings", body{
			"title": title, "motions": json.RawMessage(motions),
			"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(http.StatusCreated).ID()
		clerk.Post("/meetings/"+id+"/roll", nil).Want(http.StatusCreated)
		return id
	}
	post := func(id string, days int) {
		clerk.Post("/meetings/"+id+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, days)}).Want(http.StatusCreated)
	}
	honest, forged, later := call("选举", election), call("选聘", motions), call("延长", motions)
	called, draft := call("取消", motions), call("撤回", motions)
	post(honest, 20)
	post(forged, 20)
	post(called, 20)
	post(later, 120)

	clerk.Post("/meetings/"+draft+"/cancellation", body{"reason": "以后再议。"}).Want(http.StatusCreated)
	clerk.Post("/meetings/"+draft+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, 20)}).Refused(http.StatusConflict, "meeting-cancelled")
	s.Clock.Advance(17 * 24 * time.Hour)
	_, clerk = s.Someone(estate, registry.Clerk) // sessions have ended
	choose := body{"choices": []body{{"motion": "M1", "choice": votes.Yes}}}
	for _, h := range homes {
		for _, id := range []string{forged, called} {
			s.Person(h.Owner).Post("/meetings/"+id+"/ballots", choose).Want(http.StatusCreated)
		}
		s.Person(h.Owner).Post("/meetings/"+honest+"/ballots", body{"choices": []body{{"motion": "M1", "candidate": "c1", "choice": votes.Yes}}}).Want(http.StatusCreated)
	}
	s.Person(homes[0].Owner).Post("/meetings/"+called+"/cancellation", body{"reason": "我不同意。"}).Refused(http.StatusForbidden, "not-allowed")
	clerk.Post("/meetings/"+called+"/cancellation", body{"reason": "请致电13800000000"}).Refused(http.StatusUnprocessableEntity, "words-wrong")
	clerk.Post("/meetings/"+called+"/cancellation", body{"reason": "议题需要重新商议。"}).Want(http.StatusCreated)
	clerk.Post("/meetings/"+honest+"/extension", body{"closes": now.AddDate(0, 0, 30)}).Refused(http.StatusConflict, "no-extension")
	clerk.Post("/meetings/"+honest+"/posting", body{}).Refused(http.StatusConflict, "not-counted-yet")

	s.Clock.Advance(4 * 24 * time.Hour)
	_, clerk = s.Someone(estate, registry.Clerk)
	for _, id := range []string{honest, forged} {
		s.Await("closed and opened", func() bool {
			types := s.Types(votes.MeetingStream + id)
			return types[len(types)-1] == "key-released.v1"
		})
	}
	s.CatchUp()
	owner := s.Person(homes[1].Owner)
	at := "/meetings/" + honest
	owner.Post(at+"/objections", body{"words": "还没公示。"}).Refused(http.StatusConflict, "result-not-posted")
	clerk.Post(at+"/filing", body{"reference": "街办备1号"}).Refused(http.StatusConflict, "result-not-final")
	clerk.Post(at+"/posting", body{"photo": strings.Repeat("ab", 32)}).Want(http.StatusCreated)
	clerk.Post(at+"/cancellation", body{"reason": "结果不好。"}).Refused(http.StatusConflict, "voting-over")
	s.CatchUp()
	s.Person(strangerID).Post(at+"/objections", body{"words": "我也不同意。"}).Refused(http.StatusConflict, "objector-not-on-the-roll")
	objection := owner.Post(at+"/objections", body{"motion": "M1", "words": "我家的票算了两次。"}).Want(http.StatusCreated).ID()
	words := at + "/objections/" + objection + "/words"
	s.Person(homes[0].Owner).Get(words).Refused(http.StatusForbidden, "not-allowed")
	if text := string(clerk.Get(words).Want(http.StatusOK).Body); !strings.Contains(text, "我家的票算了两次。") {
		t.Errorf("the clerk reads %s", text)
	}
	if text := string(s.Anyone().Get(at + "/objections").Want(http.StatusOK).Body); strings.Contains(text, "两次") || !strings.Contains(text, objection) {
		t.Errorf("everyone reads %s", text)
	}
	if paper := s.Anyone().Get(at + "/result.pdf").Want(http.StatusOK).Body; !strings.HasPrefix(string(paper), "%PDF-") {
		t.Errorf("on paper it is %.20q", paper)
	}
	clerk.Post(at+"/final", nil).Refused(http.StatusConflict, "objections-open")
	clerk.Post(at+"/withdrawal", body{"reason": "更正。", "objection": objection}).Refused(http.StatusConflict, "objection-not-upheld")
	clerk.Post(at+"/objections/"+objection+"/answer", body{"upheld": true, "answer": "经核对,异议成立。"}).Want(http.StatusCreated)
	clerk.Post(at+"/final", nil).Refused(http.StatusConflict, "objection-upheld")
	clerk.Post(at+"/withdrawal", body{"reason": "更正以后重新公示。", "objection": objection}).Want(http.StatusCreated)
	clerk.Post(at+"/posting", body{}).Want(http.StatusCreated)

	// An elected committee is filed within 30 days, or that it was not is an event.
	clerk.Post(at+"/final", nil).Want(http.StatusCreated)
	s.Clock.Advance(60 * 24 * time.Hour)
	clerkID, clerk := s.Someone(estate, registry.Clerk)
	s.Await("a deadline missed", func() bool {
		types := s.Types(votes.MeetingStream + honest)
		return types[len(types)-1] == "deadline-missed.v1"
	})
	clerk.Post(at+"/filing", body{"reference": "街办备〔2022〕1号"}).Want(http.StatusCreated)
	i, found, _ := replay(t, s, estate, nil)
	if len(found) > 0 {
		t.Fatalf("honest as it is: %v", found)
	}
	if wrong, beyond := i.Compare(figures(t, s, i)); len(wrong)+len(beyond) > 0 {
		t.Fatalf("published as it is: %v %v", wrong, beyond)
	}
	var answer struct {
		State string `json:"state"`
	}
	for id, want := range map[string]string{honest: "filed", forged: "counted", called: "cancelled", draft: "withdrawn"} {
		if s.Anyone().Get("/meetings/" + id).Want(http.StatusOK).Into(&answer); answer.State != want {
			t.Errorf("%s is %s", want, answer.State)
		}
	}

	clock := s.Clock.Now().UTC()
	stream, under := votes.MeetingStream+forged, votes.MeetingStream+later
	by := as{actor: clerkID}
	numbers := func(n byte) string { return strings.Repeat(string([]byte{'0', n}), 32) }
	f.forge("a result filed before it is final", "result-not-final", by, stream, votes.ResultFiled{Meeting: forged, At: clock, Reference: "街办备2号"})
	f.forge("a result of other numbers", "result-wrong", by, stream, votes.ResultPosted{Meeting: forged, At: clock, Posting: 1, Result: numbers('1')})
	f.forge("a result posted by an owner", "result.post", as{actor: homes[0].Owner}, stream, votes.ResultPosted{Meeting: forged, At: clock, Posting: 1, Result: numbers('2')})
	f.forge("a result withdrawn for an objection that nobody upheld", "objection-not-upheld", by, stream, votes.ResultWithdrawn{Meeting: forged, At: clock, Posting: 1, Reason: "更正", Objection: uuid.NewString()})
	f.forge("more days to object than the rules give", "objections-until", by, stream, votes.ResultPosted{
		Meeting: forged, At: clock, Posting: 2, Result: numbers('3'), ObjectionsUntil: clock.AddDate(0, 0, 15)})
	commit := uuid.New()
	objected := votes.ResultObjected{Objection: uuid.NewSHA1(commit, []byte("id")).String(), Meeting: forged, Posting: 2, Entry: "1", Person: strangerID, At: clock, Words: "c2VhbGVk"}
	apart := votes.ObjectionStream + forged + "-" + objected.Objection
	f.forge("an objection in the name of an owner's entry", "wrong-voter", as{actor: strangerID, commit: commit}, apart, objected)
	f.forge("an objection that a stranger reads", "objection.read", as{actor: homes[2].Owner}, apart, votes.ObjectionRead{Objection: objected.Objection, Meeting: forged, Reader: homes[2].Owner, At: clock})
	f.forge("a result final while owners may object", "objections-still-open", by, stream, votes.ResultFinal{Meeting: forged, At: clock, Posting: 2})
	f.forge("an objection that an owner answers", "objection.answer", as{actor: homes[2].Owner}, apart, votes.ResultObjectionAnswered{
		Objection: objected.Objection, Meeting: forged, At: clock, Answer: "不成立。"})
	f.forge("an extension that the rules do not give", "no-extension", by, under, votes.VotingExtended{Meeting: later, At: clock, From: now.AddDate(0, 0, 120).UTC(), Closes: now.AddDate(0, 0, 150).UTC()})
	f.forge("a deadline that a person says was missed", "missed-by-the-clock", by, under, votes.DeadlineMissed{Meeting: later, Deadline: "filing", Due: clock})
	f.forge("a deadline missed that is not due", "not-due", as{actor: "reaction:votes_missed", cause: forged + "/missed/result-posting"}, stream, votes.DeadlineMissed{
		Meeting: forged, Deadline: "result-posting", Due: clock.AddDate(0, 0, 1)})
	f.forge("a cancellation after the close", "voting-over", by, stream, votes.MeetingCancelled{Meeting: forged, At: clock, Reason: "结果不好。"})

	_, found, _ = replay(t, s, estate, nil)
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
