package inspect_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// By which rules an estate decides is decided again, and so is which of them a
// notice names: neither loosens, and neither is somebody else's.
func TestTheRulesOfAnEstateAreCheckedAgain(t *testing.T) {
	t.Parallel()
	s := servicetest.New(t, parts...)
	s.Unruly = true
	estate := s.Estate("秀山花园")
	s.Homes(estate, "1-101", "1-102", "1-103")
	clerkID, clerk := s.Someone(estate, registry.Clerk)
	strangerID, _ := s.Someone(estate)
	now := s.Clock.Now()
	today := units.DayOf(now)
	f := &forger{System: s, t: t, estate: estate}
	stream := votes.ProcedureStream + estate
	draft := func(title string) string {
		id := clerk.Post("/estates/"+estate+"/meetings", body{
			"title": title, "motions": json.RawMessage(motions),
			"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(http.StatusCreated).ID()
		clerk.Post("/meetings/"+id+"/roll", nil).Want(http.StatusCreated)
		return id
	}
	first, second, third := draft("第一次会议"), draft("第二次会议"), draft("第三次会议")

	// A ledger of before there were rules of estates names the file of then.
	older := votes.NoticePosted{
		Meeting: first, At: now.UTC(), Opens: now.AddDate(0, 0, 16).UTC(), Closes: now.AddDate(0, 0, 20).UTC(),
		RuleSet: "cn-civil-code-2021", RuleHash: "e4f82f23dfa4dbbb9dc06d16f62d80c4439670437d4b69f944f60d76e09cd4b0",
	}
	if _, err := s.Store.Append(t.Context(), votes.MeetingStream+first, 2, f.proposed(t, as{actor: clerkID}, older)); err != nil {
		t.Fatal(err)
	}
	clerk.Post("/estates/"+estate+"/rules", body{
		"from": today, "base": "hangzhou.2", "document": "议事规则", "lines": []body{{"name": "notice_days", "value": 20, "article": "第九条"}},
	}).Want(http.StatusCreated)
	clerk.Post("/meetings/"+second+"/notice", body{"opens": now.AddDate(0, 0, 21), "closes": now.AddDate(0, 0, 30)}).Want(http.StatusCreated)
	if _, found, _ := replay(t, s, estate, nil); len(found) > 0 {
		t.Fatalf("honest as it is: %v", found)
	}

	var adopted votes.RulesAdopted
	for e := range s.Store.Read(t.Context(), stream, 0) {
		if err := json.Unmarshal(e.Data, &adopted); err != nil {
			t.Fatal(err)
		}
	}
	change := func(change func(*votes.RulesAdopted)) votes.RulesAdopted {
		e := adopted
		e.Lines = slices.Clone(e.Lines)
		e.At = s.Clock.Now().UTC()
		change(&e)
		return e
	}
	older.Meeting, older.At = third, s.Clock.Now().UTC()
	f.forge("a notice by the national rules where the estate asks for more", "notice-too-short", as{actor: clerkID}, votes.MeetingStream+third, older)
	f.forge("rules adopted by a stranger", "rules.adopt", as{actor: strangerID}, stream, change(func(e *votes.RulesAdopted) { e.Document = strings.Repeat("a", 64) }))
	f.forge("a line that asks for less than the law", "rules-loosen", as{actor: clerkID}, stream, change(func(e *votes.RulesAdopted) { e.Lines[0].Value = "3" }))
	f.forge("rules for days that are over", "rules-wrong", as{actor: clerkID}, stream, change(func(e *votes.RulesAdopted) { e.From = units.DayOf(now.AddDate(0, -1, 0)) }))

	f.found(t, nil)
}
