package inspect_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// Objections to the roll are answered before the notice, by who may: what the
// services let pass is found right again, and what somebody writes past them is found.
func TestObjectionsToTheRollAreCheckedAgain(t *testing.T) {
	t.Parallel()
	s := servicetest.New(t, withHolidays(t)...)
	s.Unruly = true
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102", "1-103")
	clerkID, clerk := s.Someone(estate, registry.Clerk)
	strangerID, _ := s.Someone(estate)
	f := &forger{System: s, t: t, estate: estate}
	call := func() (id string) {
		id = clerk.Post("/estates/"+estate+"/meetings", body{
			"title": "业主大会", "motions": json.RawMessage(motions),
			"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(http.StatusCreated).ID()
		clerk.Post("/meetings/"+id+"/roll", nil).Want(http.StatusCreated)
		return id
	}
	object := func(id string) string {
		return s.Person(homes[0].Owner).Post("/meetings/"+id+"/roll-objections", body{"unit": "1-101", "words": "面积不对。"}).Want(http.StatusCreated).ID()
	}
	answer := func(id, objection string, upheld bool) {
		clerk.Post("/meetings/"+id+"/roll-objections/"+objection+"/answer", body{"upheld": upheld, "answer": "已经核对。"}).Want(http.StatusCreated)
	}
	notice := func(id string) *servicetest.Answer {
		return clerk.Post("/meetings/"+id+"/notice", body{"opens": s.Clock.Now().AddDate(0, 0, 16), "closes": s.Clock.Now().AddDate(0, 0, 30)})
	}
	open, upheld, corrected, other := call(), call(), call(), call()
	waiting := object(open)
	notice(open).Refused(http.StatusConflict, "roll-objections-open")
	answer(upheld, object(upheld), true)
	notice(upheld).Refused(http.StatusConflict, "roll-objection-upheld")
	answered := object(corrected)
	answer(corrected, answered, true)
	s.Admin().Import(estate, "units", "房屋清册.csv", servicetest.UnitHeadings+"1-101,1,1,101,住宅,82.00,登记,已交付\n").Want(http.StatusOK)
	clerk.Post("/meetings/"+corrected+"/roll", nil).Want(http.StatusCreated)
	notice(corrected).Want(http.StatusCreated)
	i, found, _ := replay(t, s, estate, nil)
	if len(found) > 0 {
		t.Fatalf("honest as it is: %v", found)
	}
	if wrong, beyond := i.Compare(figures(t, s, i)); len(wrong)+len(beyond) > 0 {
		t.Fatalf("published as it is: %v %v", wrong, beyond)
	}

	var posted votes.NoticePosted
	for e := range s.Store.Read(t.Context(), votes.MeetingStream+corrected, 0) {
		if e.Type == "notice-posted.v1" {
			if err := json.Unmarshal(e.Data, &posted); err != nil {
				t.Fatal(err)
			}
		}
	}
	now, by, owner := s.Clock.Now().UTC(), as{actor: clerkID}, homes[0].Owner
	objected := func(meeting, actor, person, entry string) (as, votes.RollObjected) {
		commit := uuid.New()
		return as{actor: actor, commit: commit}, votes.RollObjected{
			Objection: uuid.NewSHA1(commit, []byte("id")).String(), Meeting: meeting, Number: 1, Unit: "1-101", Entry: entry, Person: person, At: now, Words: "c2VhbGVk"}
	}
	who, late := objected(corrected, owner, owner, "1")
	late.Number = 2
	f.forge("an objection once the notice is posted", "roll-stands", who, votes.MeetingStream+corrected, late)
	f.forge("an answer other than the one that was given", "objection-answered", by, votes.MeetingStream+corrected, votes.RollObjectionAnswered{Objection: answered, Meeting: corrected, At: now, Answer: "不成立。"})
	who, name := objected(other, strangerID, owner, "1")
	f.forge("an objection in an owner's name", "roll.object", who, votes.MeetingStream+other, name)
	f.forge("an answer to no objection", "no-such-objection", by, votes.MeetingStream+other, votes.RollObjectionAnswered{Objection: uuid.NewString(), Meeting: other, At: now, Answer: "不成立。"})
	stream := votes.MeetingStream + open
	f.forge("the words read by another owner", "objection.read", as{actor: homes[1].Owner}, stream, votes.RollObjectionRead{Objection: waiting, Meeting: open, Reader: homes[1].Owner, At: now})
	f.forge("the words read in another's name", "wrong-actor", by, stream, votes.RollObjectionRead{Objection: waiting, Meeting: open, Reader: owner, At: now})
	notices := func(meeting string) votes.NoticePosted {
		n := posted
		n.Meeting = meeting
		return n
	}
	f.forge("a notice while an objection is open", "roll-objections-open", by, stream, notices(open))
	f.forge("a notice on the roll that an objection found wrong", "roll-objection-upheld", by, votes.MeetingStream+upheld, notices(upheld))
	f.found(t, nil)

	f.cases = nil
	f.forge("an objection that another takes back", "roll.object", as{actor: homes[1].Owner}, stream, votes.RollObjectionWithdrawn{Objection: waiting, Meeting: open, At: now})
	answerer := votes.MeetingStream + other
	f.forge("an answer by an owner", "objection.answer", as{actor: homes[1].Owner}, answerer, votes.RollObjectionAnswered{Objection: name.Objection, Meeting: other, At: now, Answer: "不成立。"})
	_, found, _ = replay(t, s, estate, nil)
	for _, c := range f.cases {
		if !named(found, c) {
			t.Errorf("%s: not found as %s, but: %v", c.name, c.rule, found)
		}
	}
}

// named says whether a forgery was found, by its name.
func named(found []proof.Finding, c forgery) bool {
	return slices.ContainsFunc(found, func(x proof.Finding) bool {
		return x.Code == c.code && x.Rule == c.rule && strings.Contains(x.Detail, c.event.String())
	})
}

// The notice waits for the end of the last day on which the roll may be objected to,
// as its timeline has it, days off and all; and so does a replay.
func TestTheNoticeWaitsForTheLastDayToObjectToTheRoll(t *testing.T) {
	s := servicetest.New(t, withHolidays(t)...)
	estate := s.Estate("秀山花园")
	s.Homes(estate, "1-101", "1-102", "1-103")
	clerkID, clerk := s.Someone(estate, registry.Clerk)
	_, committee := s.Someone(estate, registry.Committee)
	committee.Post("/estates/"+estate+"/rules", body{
		"from": units.DayOf(s.Clock.Now()), "document": "议事规则", "lines": []body{{"name": "roll_objection_days", "value": 3, "article": "第九条"}},
	}).Want(http.StatusCreated)
	id := clerk.Post("/estates/"+estate+"/meetings", body{
		"title": "业主大会", "motions": json.RawMessage(motions),
		"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
	}).Want(http.StatusCreated).ID()
	clerk.Post("/meetings/"+id+"/roll", nil).Want(http.StatusCreated)
	s.CatchUp()
	type deadline struct {
		Name string
		Due  time.Time
		Day  units.Day
	}
	list := servicetest.Items[deadline](s.Anyone().Get("/meetings/" + id + "/deadlines").Want(http.StatusOK))
	at := slices.IndexFunc(list, func(d deadline) bool { return d.Name == "roll-objections" })
	if at < 0 {
		t.Fatalf("%+v", list)
	}
	due, weekday := list[at].Due, list[at].Day.Start().Weekday()
	if due.Sub(s.Clock.Now()) <= 3*24*time.Hour-time.Hour || weekday == time.Saturday || weekday == time.Sunday {
		t.Errorf("the last day is %+v", list[at])
	}
	notice := func(after time.Time) *servicetest.Answer {
		s.Clock.Advance(after.Sub(s.Clock.Now()))
		return s.Person(clerkID).Post("/meetings/"+id+"/notice", body{"opens": after.AddDate(0, 0, 16), "closes": after.AddDate(0, 0, 30)})
	}
	notice(due.Add(-time.Hour)).Refused(http.StatusConflict, "roll-objections-still-open")
	notice(due).Want(http.StatusCreated)
	if _, found, _ := replay(t, s, estate, nil); len(found) > 0 {
		t.Errorf("honest as it is: %v", found)
	}
}
