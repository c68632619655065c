package votes_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	contract "github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/votes"
)

// letter is a line of the answer to who prints letters.
type letter struct {
	Entry string
	Units []string
	Name  string
	Code  string
	Done  bool
}

func lettersOf(t *testing.T, a *servicetest.Answer) (list []letter) {
	t.Helper()
	for line := range strings.Lines(string(a.Body)) {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		list = append(list, l)
	}
	if len(list) == 0 || !list[len(list)-1].Done {
		t.Fatalf("the letters are not whole: %s", a.Body)
	}
	return list[:len(list)-1]
}

func TestTheCodeOfALetterOpensItsOwnersBallotOnceAndNothingElse(t *testing.T) {
	s := servicetest.New(t, servicetest.Part{Context: ledger.Votes, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return votes.New(ctx, deps, votes.Config{})
	}})
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102", "1-103")
	_, clerk := s.Someone(estate, registry.Clerk)
	_, member := s.Someone(estate, registry.Committee)
	now := s.Clock.Now()
	meeting := func(title string) string {
		id := clerk.Post("/estates/"+estate+"/meetings", object{
			"title": title, "motions": []object{{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"}},
			"policy": object{"revote": contract.LastBallotStands, "paper_and_electronic": contract.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(http.StatusCreated).ID()
		clerk.Post("/meetings/"+id+"/roll", nil).Want(http.StatusCreated)
		return id
	}
	at, other := meeting("第一次会议"), meeting("第二次会议")
	member.Post("/meetings/"+at+"/letters", object{}).Refused(http.StatusConflict, "notice-not-posted")
	for _, id := range []string{at, other} {
		clerk.Post("/meetings/"+id+"/notice", object{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, 40)}).Want(http.StatusCreated)
	}

	s.Person(homes[0].Owner).Post("/meetings/"+at+"/letters", object{}).Refused(http.StatusForbidden, "not-allowed")
	member.Post("/meetings/"+at+"/letters", object{"names": true}).Refused(http.StatusForbidden, "not-allowed")
	if named := lettersOf(t, clerk.Post("/meetings/"+at+"/letters", object{"names": true, "entry": "2"}).Want(http.StatusOK)); len(named) != 1 || named[0].Name != "业主" {
		t.Errorf("%v", named)
	}
	first := lettersOf(t, member.Post("/meetings/"+at+"/letters", object{}).Want(http.StatusOK))
	again := lettersOf(t, member.Post("/meetings/"+at+"/letters", object{"entry": "1"}).Want(http.StatusOK))
	elsewhere := lettersOf(t, member.Post("/meetings/"+other+"/letters", object{"building": "1"}).Want(http.StatusOK))
	if len(first) != 3 || len(again) != 1 || len(elsewhere) != 3 || first[0].Name != "" || first[0].Code == again[0].Code {
		t.Fatalf("%v %v %v", first, again, elsewhere)
	}

	s.Clock.Advance(17 * 24 * time.Hour)
	open := func(id, code string) *servicetest.Answer {
		return s.Anyone().Post("/sessions", object{"meeting": id, "code": code})
	}
	open(at, first[0].Code).Refused(http.StatusUnauthorized, "code-wrong") // another was printed
	open(at, elsewhere[0].Code).Refused(http.StatusUnauthorized, "code-elsewhere")
	open(at, "AAAA-AAAA-AAAA-AAAA").Refused(http.StatusUnauthorized, "code-wrong")
	s.Anyone().Post("/sessions", object{"code": first[1].Code}).Refused(http.StatusUnauthorized, "code-wrong") // it logs nobody in

	// A hundred phones try one code.
	var tokens sync.Map
	var in, used atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			a := open(at, again[0].Code)
			if a.Status == http.StatusCreated {
				in.Add(1)
				var session struct{ Token, Meeting string }
				a.Into(&session)
				tokens.Store(session.Token, session.Meeting)
			} else if strings.Contains(string(a.Body), "code-used") {
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if in.Load() != 1 || used.Load() != 99 {
		t.Fatalf("%d got in, %d were told that it was used", in.Load(), used.Load())
	}
	var voter *servicetest.Client
	tokens.Range(func(token, of any) bool {
		voter = s.As(token.(string))
		return of == at
	})

	// It votes and confirms in its meeting, and does nothing else.
	choose := object{"choices": []object{{"motion": "M1", "choice": contract.Yes}}}
	voter.Post("/meetings/"+at+"/confirmations", nil).Want(http.StatusCreated)
	voter.Post("/meetings/"+at+"/ballots", choose).Want(http.StatusCreated)
	voter.Post("/meetings/"+other+"/ballots", choose).Refused(http.StatusForbidden, "not-allowed")
	voter.Post("/meetings/"+other+"/confirmations", nil).Refused(http.StatusForbidden, "code-for-one-ballot")
	voter.Post("/tokens", object{"person": homes[0].Owner, "expires": s.Clock.Now().Add(time.Hour)}).Refused(http.StatusForbidden, "not-allowed")
	voter.Post("/me/corrections", object{"words": "改名"}).Want(http.StatusForbidden)
	if me := voter.Get("/me").Want(http.StatusOK); strings.Contains(string(me.Body), "业主") || strings.Contains(string(me.Body), "1-101") {
		t.Errorf("a code opens %s", me.Body)
	}
	s.Person(homes[0].Owner).Post("/meetings/"+other+"/ballots", choose).Want(http.StatusCreated)
	if own := servicetest.Items[struct{ Meeting string }](voter.Get("/me/ballots").Want(http.StatusOK)); len(own) != 1 || own[0].Meeting != at {
		t.Errorf("a code shows the ballots %v", own)
	}

	// No code is in the ledger or the logs, and so in no read model.
	for _, l := range append(append(first, again...), elsewhere...) {
		for _, text := range []string{l.Code, strings.ReplaceAll(l.Code, "-", "")} {
			for _, e := range s.Events() {
				if strings.Contains(string(e.Data)+string(e.Meta)+e.Stream, text) {
					t.Errorf("a code is in %s@%d", e.Stream, e.Revision)
				}
			}
			if strings.Contains(s.Logs(), text) {
				t.Error("a code is in the log")
			}
		}
	}
}
