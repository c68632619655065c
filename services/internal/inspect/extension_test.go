package inspect_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// 深圳: too few take part, voting is extended once, still too few do; the matter
// rests for a year, unless the notice says how the question is another.
func TestVotingIsExtendedOnceAndWhatStillFindsTooFewRestsForAYear(t *testing.T) {
	t.Parallel()
	s := servicetest.New(t, withHolidays(t)...)
	s.Unruly = true
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102", "1-103", "1-104", "1-105", "1-106")
	clerkID, clerk := s.Someone(estate, registry.Clerk)
	_, committee := s.Someone(estate, registry.Committee)
	f := &forger{System: s, t: t, estate: estate}
	now := s.Clock.Now()
	committee.Post("/estates/"+estate+"/rules", body{"from": units.DayOf(now), "base": "shenzhen"}).Want(http.StatusCreated)
	login := func(days int) {
		s.Clock.Advance(time.Duration(days) * 24 * time.Hour)
		clerk = s.Person(clerkID)
	}
	call := func(motions string) (id string) {
		id = clerk.Post("/estates/"+estate+"/meetings", body{
			"title": "业主大会", "motions": json.RawMessage(motions),
			"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(http.StatusCreated).ID()
		clerk.Post("/meetings/"+id+"/roll", nil).Want(http.StatusCreated)
		return id
	}
	window := func() body {
		return body{"opens": s.Clock.Now().AddDate(0, 0, 16), "closes": s.Clock.Now().AddDate(0, 0, 30)}
	}
	id := call(motions)
	at := "/meetings/" + id
	deadline := now.AddDate(0, 0, 30)
	clerk.Post(at+"/notice", window()).Want(http.StatusCreated)
	login(17)
	cast := func(home int) *servicetest.Answer {
		return s.Person(homes[home].Owner).Post(at+"/ballots", body{"choices": []body{{"motion": "M1", "choice": votes.Yes}}})
	}
	cast(0).Want(http.StatusCreated)
	cast(1).Want(http.StatusCreated)
	later := units.After(deadline, 0, 3, 0)
	clerk.Post(at+"/extension", body{"closes": later.Add(time.Second)}).Refused(http.StatusUnprocessableEntity, "wrong-extension")
	clerk.Post(at+"/extension", body{"closes": later}).Want(http.StatusCreated)
	clerk.Post(at+"/extension", body{"closes": later.Add(time.Second)}).Refused(http.StatusConflict, "extended-already")

	login(20) // the first deadline has passed
	var meeting struct {
		State  string    `json:"state"`
		Closes time.Time `json:"closes"`
		Rests  []struct {
			Motion  string    `json:"motion"`
			Meeting string    `json:"meeting"`
			Until   time.Time `json:"until"`
		} `json:"resting"`
		Differs []votes.Differs `json:"differs"`
	}
	if s.Anyone().Get(at).Want(http.StatusOK).Into(&meeting); meeting.State != "open" || !meeting.Closes.Equal(later) {
		t.Errorf("after the first deadline it is %s, until %s", meeting.State, meeting.Closes)
	}
	cast(0).Refused(http.StatusConflict, "already-voted")
	cast(2).Want(http.StatusCreated)
	s.Clock.Advance(later.Add(2 * time.Minute).Sub(s.Clock.Now()))
	login(0)
	s.Await("counted", func() bool {
		types := s.Types(votes.MeetingStream + id)
		return types[len(types)-1] == "key-released.v1"
	})
	s.CatchUp()
	type result struct {
		Took    int    `json:"participating_heads"`
		Outcome string `json:"outcome"`
	}
	if r := servicetest.Items[result](s.Anyone().Get(at + "/results").Want(http.StatusOK))[0]; r.Took != 3 || r.Outcome != votes.NoDecision {
		t.Errorf("3 of 6 took part, one of them later, and it came to %+v", r)
	}

	again, other, forged := call(motions), call(strings.Replace(motions, "民法典278-1-4", "民法典278-1-1", 1)), call(motions)
	clerk.Post("/meetings/"+other+"/notice", window()).Want(http.StatusCreated)
	s.CatchUp()
	until := units.After(later, 1, 0, 0)
	if s.Anyone().Get("/meetings/" + again).Want(http.StatusOK).Into(&meeting); len(meeting.Rests) != 1 || meeting.Rests[0].Meeting != id || meeting.Rests[0].Motion != "M1" || !meeting.Rests[0].Until.Equal(until) {
		t.Errorf("what rests is %+v, until %s", meeting.Rests, until)
	}
	clerk.Post("/meetings/"+again+"/notice", window()).Refused(http.StatusConflict, "motion-rests")
	w := window()
	w["differs"] = []body{{"motion": "M1", "from": other, "reason": "另一家物业服务人。"}}
	clerk.Post("/meetings/"+again+"/notice", w).Refused(http.StatusUnprocessableEntity, "differs-wrong")
	w["differs"] = []body{{"motion": "M1", "from": id, "reason": "另一家物业服务人。"}}
	clerk.Post("/meetings/"+again+"/notice", w).Want(http.StatusCreated)
	s.CatchUp()
	if s.Anyone().Get("/meetings/" + again).Want(http.StatusOK).Into(&meeting); len(meeting.Differs) != 1 || meeting.Differs[0].Reason != "另一家物业服务人。" {
		t.Errorf("the notice says %+v", meeting.Differs)
	}

	i, found, _ := replay(t, s, estate, nil)
	if len(found) > 0 {
		t.Fatalf("honest as it is: %v", found)
	}
	if wrong, beyond := i.Compare(figures(t, s, i)); len(wrong)+len(beyond) > 0 {
		t.Fatalf("published as it is: %v %v", wrong, beyond)
	}
	var notice votes.NoticePosted
	for e := range s.Store.Read(t.Context(), votes.MeetingStream+again, 0) {
		event, err := votes.Codec.Decode(e.Type, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		if n, ok := event.(votes.NoticePosted); ok {
			notice = n
		}
	}
	notice.Meeting, notice.Differs = forged, nil
	f.forge("a matter put to the owners again while it rests", "motion-rests", as{actor: clerkID}, votes.MeetingStream+forged, notice)
	login(17)
	later = s.Clock.Now().AddDate(0, 1, 0).UTC()
	clerk.Post("/meetings/"+other+"/extension", body{"closes": later}).Want(http.StatusCreated)
	f.forge("a second extension", "extended-already", as{actor: clerkID}, votes.MeetingStream+other, votes.VotingExtended{
		Meeting: other, At: s.Clock.Now().UTC(), From: later, Closes: later.AddDate(0, 1, 0)})
	f.found(t, nil)

	s.Clock.Advance(until.Sub(s.Clock.Now()))
	login(0)
	clerk.Post("/meetings/"+call(motions)+"/notice", window()).Want(http.StatusCreated)
}
