package registry_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	events "github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

func TestErasingAPerson(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	data := body{"name": "林一", "document_kind": "身份证", "document": "ID-0001", "phone": "13800000000"}
	id := s.Admin().Post("/people", data).Want(http.StatusCreated).ID()
	path := "/people/" + id
	s.Admin().Post(path+"/roles", body{"role": "resident", "estate": estate}).Want(http.StatusCreated)
	session := s.Person(id)
	session.Post("/me/corrections", body{"words": "名字错了"}).Want(http.StatusCreated)
	var issued, code struct{ Token, Code string }
	session.Post("/tokens", body{"person": id, "expires": s.Clock.Now().Add(time.Hour).UTC()}).Want(http.StatusCreated).Into(&issued)
	s.Admin().Post(path+"/login-codes", nil).Want(http.StatusCreated).Into(&code)
	token := s.As(issued.Token)
	token.Get("/me").Want(http.StatusOK)

	s.Admin().Delete(path).Refused(http.StatusUnprocessableEntity, "invalid", "ground")
	s.Admin().Delete(path+"?ground=搬走了").Refused(http.StatusUnprocessableEntity, "invalid", "ground")
	s.Admin().Delete("/people/"+nowhere+"?ground=own-request").Refused(http.StatusNotFound, "no-such-person")
	s.With(events.Administrator, estate).Delete(path+"?ground=own-request").Refused(http.StatusForbidden, "not-allowed")
	s.Exercise(servicetest.Command{
		Method: http.MethodDelete, Path: path + "?ground=own-request", As: s.Admin(), Not: s.With(events.Clerk, estate),
	})

	records := s.Events(events.PersonStream + id)
	last := records[len(records)-1]
	if event, err := events.Codec.Decode(last.Type, last.Data); err != nil || event != (events.PersonErased{Person: id, Ground: events.OnRequest}) {
		t.Fatalf("recorded %+v, %v", event, err)
	}
	if _, err := s.Vault.Person(t.Context(), id); !errors.Is(err, vault.ErrNoPerson) {
		t.Errorf("the vault: %v", err)
	}
	session.Get("/me").Refused(http.StatusUnauthorized, "session-ended")
	token.Get("/me").Refused(http.StatusUnauthorized, "token-unknown")
	s.Anyone().Post("/sessions", body{"code": code.Code}).Refused(http.StatusUnauthorized, "code-wrong")
	for _, path := range []string{path + "?reason=legal-request", path + "/corrections?reason=correction"} {
		s.Admin().Get(path).Refused(http.StatusConflict, "person-erased")
	}
	s.Admin().Put(path, data).Refused(http.StatusConflict, "person-erased")
	s.Admin().Post(path+"/login-codes", nil).Refused(http.StatusConflict, "person-erased")
	s.Admin().Post(path+"/roles", body{"role": "resident", "estate": estate}).Refused(http.StatusConflict, "person-erased")
	s.Admin().Post("/tokens", body{"person": id, "expires": s.Clock.Now().Add(time.Hour).UTC()}).Refused(http.StatusConflict, "person-erased")
	if again := s.Admin().Delete(path + "?ground=unlawful").Want(http.StatusOK).Recorded(); again.State != "nothing-to-do" {
		t.Errorf("erased again: %+v", again)
	}
	if who := s.Admin().Post("/people", data).Want(http.StatusCreated).ID(); who == id {
		t.Error("who comes back is who was erased")
	}
}

// record writes an event past every service.
func record(t *testing.T, s *servicetest.System, stream, name string, event any) {
	t.Helper()
	data, err := json.Marshal(event)
	if err != nil {
		t.Fatal(err)
	}
	revision := uint64(len(s.Types(stream)))
	if _, err := s.Store.Append(t.Context(), stream, revision, es.Proposed{ID: uuid.New(), Type: name, Data: data, Meta: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
}

func TestWhoMayNotBeErasedYet(t *testing.T) {
	s := servicetest.New(t)
	s.Unruly = true // its meeting is written past the service
	estate := s.Estate("秀山花园")
	owner := s.Homes(estate, "1-101", "1-102")[0].Owner
	erase := func(id string) *servicetest.Answer {
		t.Helper()
		return s.Admin().Delete("/people/" + id + "?ground=own-request")
	}
	sell := func(unit, document string) {
		t.Helper()
		s.Admin().Import(estate, "titles", "t.csv", servicetest.TitleHeadings+unit+",业主,身份证,"+document+",,1/1,是\n").Want(http.StatusOK)
	}
	clerk, _ := s.Someone(estate, events.Clerk)
	if answer := erase(clerk).Refused(http.StatusConflict, "holds-office"); !strings.Contains(string(answer.Body), "clerk") {
		t.Errorf("it does not say which office: %s", answer)
	}
	if answer := erase(owner).Refused(http.StatusConflict, "holds-title"); !strings.Contains(string(answer.Body), "1-101") {
		t.Errorf("it does not say which unit: %s", answer)
	}

	meeting := uuid.NewString()
	hold := func(name string, event votes.Event) {
		t.Helper()
		record(t, s, votes.MeetingStream+meeting, name, event)
	}
	closes := s.Clock.Now().Add(time.Hour).UTC()
	hold("meeting-drafted.v1", votes.MeetingDrafted{Meeting: meeting, Estate: estate})
	hold("roll-frozen.v1", votes.RollFrozen{Meeting: meeting})
	sell("1-101", "the buyer's") // in between, so the former owner is on the roll
	if kept := erase(owner); kept.Status == http.StatusConflict {
		t.Fatalf("a meeting without a notice keeps somebody: %s", kept)
	}
	if len(s.Types(events.PersonStream+owner)) != 2 {
		t.Fatal("not erased")
	}

	owner = s.Homes(estate, "1-103")[0].Owner
	hold("notice-posted.v1", votes.NoticePosted{Meeting: meeting, Closes: closes})
	sell("1-103", "another buyer's")
	erase(owner).Refused(http.StatusConflict, "on-a-roll")
	extended := closes.Add(48 * time.Hour)
	hold("voting-extended.v1", votes.VotingExtended{Meeting: meeting, From: closes, Closes: extended})
	hold("voting-closed.v1", votes.VotingClosed{Meeting: meeting})
	erase(owner).Refused(http.StatusConflict, "on-a-roll")
	posted := extended.Add(72 * time.Hour)
	hold("result-posted.v1", votes.ResultPosted{Meeting: meeting, At: posted, Posting: 1})

	cancelled := s.Homes(estate, "1-105")[0].Owner
	meeting = uuid.NewString()
	hold("meeting-drafted.v1", votes.MeetingDrafted{Meeting: meeting, Estate: estate})
	hold("roll-frozen.v1", votes.RollFrozen{Meeting: meeting})
	hold("notice-posted.v1", votes.NoticePosted{Meeting: meeting, Closes: closes})
	sell("1-105", "a fourth buyer's")
	erase(cancelled).Refused(http.StatusConflict, "on-a-roll")
	hold("meeting-cancelled.v1", votes.MeetingCancelled{Meeting: meeting, At: s.Clock.Now()})
	erase(cancelled).Want(http.StatusCreated) // nothing is decided that a court could cancel

	later := s.Homes(estate, "1-104")[0].Owner // came after the meeting
	sell("1-104", "a third buyer's")
	erase(later).Want(http.StatusCreated)

	s.Clock.Advance(posted.AddDate(1, 0, 0).Sub(s.Clock.Now())) // days after a year from the close, extended or not
	admin := s.With(events.Administrator, "")                   // the first one's token has expired
	admin.Delete("/people/"+owner+"?ground=no-longer-needed").Refused(http.StatusConflict, "on-a-roll")
	s.Clock.Advance(12 * 24 * time.Hour)
	admin = s.With(events.Administrator, "")
	admin.Delete("/people/" + owner + "?ground=no-longer-needed").Want(http.StatusCreated)

	// The rows that say so are those of a replay.
	before := s.Rows("registry")
	s.Rebuild("registry")
	if after := s.Rows("registry"); after != before {
		t.Errorf("replayed\n%s\nlive\n%s", after, before)
	}
}

func TestAnErasureThatWasCutOffIsFinished(t *testing.T) {
	s := servicetest.New(t)
	s.Unruly = true // the erasure is written past the service
	first, _ := s.Someone("")
	second, _ := s.Someone("")
	gone := func(id string) func() bool {
		return func() bool {
			_, err := s.Vault.Person(t.Context(), id)
			return errors.Is(err, vault.ErrNoPerson)
		}
	}
	// Recorded, and the key not destroyed.
	record(t, s, events.PersonStream+first, "person-erased.v1", events.PersonErased{Person: first, Ground: events.OnOrder})
	s.Await("a recorded erasure is done", gone(first))
	// The key destroyed, and nothing recorded.
	if err := s.Vault.DestroyKey(t.Context(), vault.PersonKey(second)); err != nil {
		t.Fatal(err)
	}
	s.Admin().Delete("/people/" + second + "?ground=legal-request").Want(http.StatusCreated)
	if types := s.Types(events.PersonStream + second); types[len(types)-1] != "person-erased.v1" {
		t.Errorf("not recorded: %v", types)
	}
}
