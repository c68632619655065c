package inspect_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// An owner says that the second of two ballots was not theirs. The result is
// withdrawn, the ballot set aside and the meeting counted again; of another ballot
// it turns out that it was the owner's after all. What somebody writes past the
// services is found.
func TestABallotIsSetAsideAndTheMeetingCountedAgain(t *testing.T) {
	t.Parallel()
	a := assemble(t, 4, votes.LastBallotStands)
	a.Unruly = true
	for n, said := range [][]string{{votes.Yes, votes.No}, {votes.Yes}, {votes.No}} {
		for _, m1 := range said {
			a.Person(a.homes[n].Owner).Post(a.at+"/ballots", ballot(m1, votes.Yes)).Want(http.StatusCreated)
			a.Clock.Advance(time.Minute)
		}
	}
	other := a.Person(a.homes[3].Owner).Post(a.at+"/ballots", ballot(votes.No, votes.No)).Want(http.StatusCreated).ID()
	a.close()
	a.counted()
	clerk := a.clerks[0]

	type ballotRow struct {
		Ballot  string `json:"ballot"`
		Entry   string `json:"entry"`
		Choices []struct {
			Reason string `json:"reason"`
		} `json:"choices"`
	}
	ballots := func(entry string) []ballotRow {
		list := servicetest.Items[ballotRow](a.Anyone().Get(a.at + "/ballots").Want(http.StatusOK))
		return slices.DeleteFunc(list, func(b ballotRow) bool { return b.Entry != entry })
	}
	counts := func(when string, yes, no, took int) {
		t.Helper()
		a.CatchUp()
		if r, _ := a.results(); r.Yes != yes || r.No != no || r.Took != took {
			t.Errorf("%s: %+v, want %d of %d for and %d against", when, r, yes, took, no)
		}
		a.honest(when)
	}
	hash := func() string {
		var timeline struct {
			Posting struct {
				Result string `json:"result"`
			} `json:"posting"`
		}
		a.Anyone().Get(a.at + "/timeline").Want(http.StatusOK).Into(&timeline)
		return timeline.Posting.Result
	}
	object := func(home int, upheld bool) string {
		a.CatchUp()
		id := a.Person(a.homes[home].Owner).Post(a.at+"/objections", body{"motion": "M1", "words": "第二次不是我投的。"}).Want(http.StatusCreated).ID()
		clerk.Post(a.at+"/objections/"+id+"/answer", body{"upheld": upheld, "answer": "经核对,投票码被他人使用。"}).Want(http.StatusCreated)
		return id
	}
	last := ballots("1")[1].Ballot
	set, restore := a.at+"/ballots/"+last+"/set-aside", a.at+"/ballots/"+last+"/restoration"
	aside := func(objection, earlier string) body {
		b := body{"entry": "1", "objection": objection, "reason": "投票码被他人使用,这张票不是业主本人投的。"}
		if earlier != "" {
			b["earlier"] = earlier
		}
		return b
	}

	counts("as they voted", 1, 3, 4)
	clerk.Post(a.at+"/posting", body{}).Want(http.StatusCreated)
	first := hash()
	rejected, upheld := object(1, false), object(0, true)
	clerk.Post(set, aside(upheld, "stands")).Refused(http.StatusConflict, "result-stands")
	clerk.Post(a.at+"/withdrawal", body{"reason": "更正以后重新公示。", "objection": upheld}).Want(http.StatusCreated)
	a.Person(a.homes[0].Owner).Post(set, aside(upheld, "stands")).Refused(http.StatusForbidden, "not-allowed")
	clerk.Post(set, aside(rejected, "stands")).Refused(http.StatusConflict, "objection-not-upheld")
	clerk.Post(set, aside(uuid.NewString(), "stands")).Refused(http.StatusNotFound, "no-such-objection")
	clerk.Post(set, aside(upheld, "")).Refused(http.StatusUnprocessableEntity, "earlier-ballot")
	clerk.Post(a.at+"/ballots/"+uuid.NewString()+"/set-aside", aside(upheld, "")).Refused(http.StatusNotFound, "no-such-ballot")
	clerk.Post(set, aside(upheld, "falls")).Want(http.StatusCreated)
	counts("the owner has no ballot", 1, 2, 3)
	clerk.Post(a.at+"/posting", body{}).Want(http.StatusCreated)
	if second := hash(); second == first {
		t.Error("the result that is posted anew is the one that was withdrawn")
	}
	clerk.Post(restore, aside(upheld, "")).Refused(http.StatusConflict, "result-stands")
	again := object(0, true)
	clerk.Post(a.at+"/withdrawal", body{"reason": "业主自己投过的那张票应当计入。", "objection": again}).Want(http.StatusCreated)
	clerk.Post(restore, aside(upheld, "")).Refused(http.StatusConflict, "objection-to-an-older-result")
	clerk.Post(restore, aside(again, "")).Want(http.StatusCreated)
	counts("restored", 1, 3, 4)
	clerk.Post(set, aside(again, "stands")).Want(http.StatusCreated)
	counts("the owner's first ballot stands", 2, 2, 4)
	if b := ballots("1"); b[0].Choices[0].Reason != "" || b[1].Choices[0].Reason != "set-aside" {
		t.Errorf("the ballots of the owner: %+v", b)
	}
	var timeline struct {
		SetAside []struct {
			Ballot  string `json:"ballot"`
			Earlier string `json:"earlier"`
		} `json:"set_aside"`
	}
	a.Anyone().Get(a.at + "/timeline").Want(http.StatusOK).Into(&timeline)
	if len(timeline.SetAside) != 1 || timeline.SetAside[0].Ballot != last || timeline.SetAside[0].Earlier != "stands" {
		t.Errorf("everyone sees %+v", timeline)
	}

	now := a.Clock.Now().UTC()
	by, stream := as{actor: a.people[0]}, votes.MeetingStream+a.id
	out := votes.BallotSetAside{Meeting: a.id, Objection: again, Entry: "4", Ballot: other, At: now, Reason: "更正。"}
	forged := func(name, rule string, who as, change func(*votes.BallotSetAside)) {
		e := out
		change(&e)
		a.forge(name, rule, who, stream, e)
	}
	a.forge("a ballot restored that was not set aside", "ballot-not-set-aside", by, stream, votes.BallotRestored{
		Meeting: a.id, Objection: again, Entry: "3", Ballot: ballots("3")[0].Ballot, At: now, Reason: "更正。"})
	forged("a ballot that an owner sets aside", "ballot.set-aside", as{actor: a.homes[0].Owner}, func(*votes.BallotSetAside) {})
	a.forge("a ballot that an owner restores", "ballot.set-aside", as{actor: a.homes[0].Owner}, stream, votes.BallotRestored{
		Meeting: a.id, Objection: again, Entry: "4", Ballot: other, At: now, Reason: "更正。"})
	forged("a ballot set aside for an objection that was not upheld", "objection-not-upheld", by, func(e *votes.BallotSetAside) { e.Objection = rejected })
	forged("a ballot set aside for an objection that served before", "objection-to-an-older-result", by, func(e *votes.BallotSetAside) { e.Objection = upheld })
	forged("a ballot set aside for nothing", "no-such-objection", by, func(e *votes.BallotSetAside) { e.Objection = uuid.NewString() })
	forged("a ballot set aside that nobody cast", "no-such-ballot", by, func(e *votes.BallotSetAside) { e.Ballot = uuid.NewString() })
	forged("a ballot set aside, and one that stands in its place where there is none", "earlier-ballot", by, func(e *votes.BallotSetAside) {
		e.Entry, e.Ballot, e.Earlier = "3", ballots("3")[0].Ballot, votes.EarlierStands
	})
	a.found(t, nil)
}

// Once the result is final, nobody counts again.
func TestNoBallotIsSetAsideOnceTheResultIsFinal(t *testing.T) {
	t.Parallel()
	a := assemble(t, 3, votes.LastBallotStands)
	a.Unruly = true
	cast := a.Person(a.homes[0].Owner).Post(a.at+"/ballots", ballot(votes.Yes, votes.Yes)).Want(http.StatusCreated).ID()
	a.close()
	a.counted()
	_, committee := a.Someone(a.estate, registry.Committee)
	committee.Post(a.at+"/posting", body{}).Want(http.StatusCreated)
	a.CatchUp()
	objection := a.Person(a.homes[1].Owner).Post(a.at+"/objections", body{"words": "有一张票不对。"}).Want(http.StatusCreated).ID()
	committee.Post(a.at+"/objections/"+objection+"/answer", body{"upheld": false, "answer": "经核对,没有错误。"}).Want(http.StatusCreated)
	committee.Post(a.at+"/final", nil).Want(http.StatusCreated)
	committee.Post(a.at+"/ballots/"+cast+"/set-aside", body{"entry": "1", "objection": objection, "reason": "更正。"}).Refused(http.StatusConflict, "result-final")
	a.honest("final")
	a.forge("a ballot set aside once the result is final", "result-final", as{actor: a.people[0]}, votes.MeetingStream+a.id, votes.BallotSetAside{
		Meeting: a.id, Objection: objection, Entry: "1", Ballot: cast, At: a.Clock.Now().UTC(), Reason: "更正。"})
	a.found(t, nil)
}
