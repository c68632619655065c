package inspect_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/bundle"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	meetings "github.com/yimu-ledger/yimu/services/votes"
)

// assembly is a live meeting of an estate, on two motions that concern everyone.
type assembly struct {
	*forger
	at     string // of the meeting in the API
	id     string
	homes  []servicetest.Home
	clerks []*servicetest.Client
	people []string // ids of the clerks
	closes time.Time
	meter  *sdkmetric.ManualReader
}

const twoMotions = `[{"id":"M1","title":"选聘物业服务人","matter":"民法典278-1-4","scope":"estate"},{"id":"M2","title":"使用维修资金","matter":"民法典278-1-5","scope":"estate"}]`

// assemble opens a meeting to which the owners of the homes are called, by rules
// of procedure with the given lines.
func assemble(t *testing.T, homes int, revote string, rules ...body) *assembly {
	t.Helper()
	a := &assembly{meter: sdkmetric.NewManualReader()}
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(a.meter)).Meter("votes")
	others := slices.DeleteFunc(slices.Clone(parts), func(p servicetest.Part) bool { return p.Context == ledger.Votes })
	s := servicetest.New(t, append(others, servicetest.Part{Context: ledger.Votes, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		deps.Meter = meter
		return meetings.New(ctx, deps, meetings.Config{})
	}})...)
	estate := s.Estate("秀山花园")
	a.forger = &forger{System: s, t: t, estate: estate}
	codes := make([]string, homes)
	for i := range codes {
		codes[i] = fmt.Sprintf("1-%d", 101+i)
	}
	a.homes = s.Homes(estate, codes...)
	a.enlist(4)
	now := s.Clock.Now()
	if len(rules) > 0 {
		_, committee := s.Someone(estate, registry.Committee)
		committee.Post("/estates/"+estate+"/rules", body{"from": units.DayOf(now), "document": "议事规则", "lines": rules}).Want(http.StatusCreated)
	}
	a.id = a.clerks[0].Post("/estates/"+estate+"/meetings", body{
		"title": "业主大会", "motions": json.RawMessage(twoMotions),
		"policy": body{"revote": revote, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
	}).Want(http.StatusCreated).ID()
	a.at = "/meetings/" + a.id
	a.clerks[0].Post(a.at+"/roll", nil).Want(http.StatusCreated)
	a.closes = now.AddDate(0, 0, 30)
	a.clerks[0].Post(a.at+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": a.closes}).Want(http.StatusCreated)
	s.Clock.Advance(17 * 24 * time.Hour)
	a.enlist(4) // sessions have ended
	return a
}

// enlist logs clerks in; the first time it makes them known.
func (a *assembly) enlist(n int) {
	a.t.Helper()
	a.clerks = nil
	for i := range n {
		if len(a.people) <= i {
			id, _ := a.Someone(a.estate, registry.Clerk)
			a.people = append(a.people, id)
		}
		a.clerks = append(a.clerks, a.Person(a.people[i]))
	}
}

func said(m1, m2 string) (choices []body, void []string) {
	choices, void = []body{}, []string{}
	for i, word := range []string{m1, m2} {
		motion := fmt.Sprintf("M%d", i+1)
		if word == votes.Void {
			void = append(void, motion)
		} else {
			choices = append(choices, body{"motion": motion, "choice": word})
		}
	}
	return choices, void
}

func ballot(m1, m2 string) body {
	choices, _ := said(m1, m2)
	return body{"choices": choices}
}

var scanned = hex.EncodeToString(make([]byte, sha256.Size))

// handIn records an envelope and returns its id.
func (a *assembly) handIn(entry, channel string) string {
	a.t.Helper()
	b := body{"entry": entry}
	if channel != "" {
		b["channel"] = channel
	}
	return a.clerks[0].Post(a.at+"/papers", b).Want(http.StatusCreated).ID()
}

// read enters what a clerk reads, and returns what became of the envelope.
func (a *assembly) read(clerk int, entry, envelope, m1, m2 string) (state string, differ []string) {
	a.t.Helper()
	choices, void := said(m1, m2)
	var out struct {
		State    string   `json:"became"`
		Disputed []string `json:"disputed"`
	}
	a.clerks[clerk].Post(a.at+"/paper-ballots", body{"entry": entry, "envelope": envelope, "scan": scanned, "choices": choices, "void": void}).Want(http.StatusCreated).Into(&out)
	return out.State, out.Disputed
}

// close waits until the meeting is counted.
func (a *assembly) close() {
	a.t.Helper()
	a.Clock.Advance(a.closes.Add(2 * time.Minute).Sub(a.Clock.Now()))
	a.enlist(4)
}

func (a *assembly) counted() {
	a.t.Helper()
	a.Await("counted", func() bool {
		types := a.Types(votes.MeetingStream + a.id)
		return slices.Contains(types, "key-released.v1")
	})
	a.CatchUp()
}

// honest replays all that was recorded and compares what is published.
func (a *assembly) honest(when string) {
	a.t.Helper()
	i, found, _ := replay(a.t, a.System, a.estate, nil)
	if len(found) > 0 {
		a.t.Errorf("%s: %v", when, found)
	}
	a.CatchUp()
	var published []inspect.Figure
	for _, f := range i.Figures() {
		if strings.Contains(f.Path, "/meetings") { // no other service runs here
			published = append(published, inspect.Figure{Path: f.Path, Value: a.Anyone().Get(f.Path).Want(http.StatusOK).Body})
		}
	}
	if wrong, beyond := i.Compare(published); len(wrong)+len(beyond) > 0 {
		a.t.Errorf("%s: published as it is: %v %v", when, wrong, beyond)
	}
}

type row struct {
	Motion  string `json:"motion"`
	Yes     int    `json:"yes_heads"`
	No      int    `json:"no_heads"`
	Abstain int    `json:"abstain_heads"`
	Took    int    `json:"participating_heads"`
}

func (a *assembly) results() (r1, r2 row) {
	a.t.Helper()
	list := servicetest.Items[row](a.Anyone().Get(a.at + "/results").Want(http.StatusOK))
	return list[0], list[1]
}

func TestClerksEnterPaperAndDisagree(t *testing.T) {
	t.Parallel()
	a := assemble(t, 6, votes.FirstBallotStands)
	_, committee := a.Someone(a.estate, registry.Committee)
	paper, second, hand, unclear := a.handIn("1", ""), a.handIn("2", votes.Paper), a.handIn("3", votes.InMeeting), a.handIn("4", "")
	a.clerks[0].Post(a.at+"/papers", body{"unit": "1-105"}).Want(http.StatusCreated) // of entry 5, by its unit
	a.clerks[0].Post(a.at+"/papers", body{"unit": "9-999"}).Refused(http.StatusUnprocessableEntity, "no-such-entry")
	a.Person(a.homes[0].Owner).Post(a.at+"/papers", body{"entry": "1"}).Refused(http.StatusForbidden, "not-allowed")

	if state, _ := a.read(0, "1", paper, votes.Yes, votes.No); state != "waiting" {
		t.Errorf("read once: %s", state)
	}
	choices, _ := said(votes.Yes, votes.No)
	reading := body{"entry": "1", "envelope": paper, "scan": scanned, "choices": choices}
	a.clerks[0].Post(a.at+"/paper-ballots", reading).Refused(http.StatusConflict, "read-before")
	a.With(registry.Clerk, a.estate).Post(a.at+"/paper-ballots", reading).Refused(http.StatusForbidden, "not-a-person")
	committee.Post(a.at+"/paper-ballots", reading).Refused(http.StatusForbidden, "not-allowed")
	if state, differ := a.read(1, "1", paper, votes.Yes, votes.Yes); state != "disputed" || !slices.Equal(differ, []string{"M2"}) {
		t.Errorf("read otherwise by the second: %s %v", state, differ)
	}
	a.clerks[1].Post(a.at+"/paper-ballots", reading).Refused(http.StatusConflict, "read-before")
	if state, _ := a.read(2, "1", paper, votes.Yes, votes.No); state != "settled" {
		t.Errorf("read as the first by the third: %s", state)
	}

	// The desk says what waits, to those who enter it, and nothing of what was read.
	type waiting struct {
		Entry    string   `json:"entry"`
		Units    []string `json:"units"`
		Readings int      `json:"readings"`
		ByYou    bool     `json:"by_you"`
		Channel  string   `json:"channel"`
	}
	a.read(0, "2", second, votes.Void, votes.Void)
	a.CatchUp()
	list := a.clerks[0].Get(a.at + "/papers").Want(http.StatusOK)
	items := servicetest.Items[waiting](list)
	if len(items) != 4 || items[0].Entry != "2" || items[0].Readings != 1 || !items[0].ByYou || items[1].Channel != votes.InMeeting || items[3].Units[0] != "1-105" {
		t.Errorf("at the desk: %+v", items)
	}
	a.Anyone().Get(a.at+"/papers").Refused(http.StatusUnauthorized, "login-needed")
	a.Person(a.homes[0].Owner).Get(a.at+"/papers").Refused(http.StatusForbidden, "not-allowed")

	a.read(1, "2", second, votes.Void, votes.Void)
	a.read(1, "3", hand, votes.No, votes.Abstain)
	a.read(2, "3", hand, votes.No, votes.Abstain)
	void := body{"entry": "4", "envelope": unclear, "minutes": scanned}
	a.read(0, "4", unclear, votes.Yes, votes.Yes)
	a.read(1, "4", unclear, votes.No, votes.Yes)
	committee.Post(a.at+"/paper-ballots/void", void).Refused(http.StatusConflict, "not-disputed")
	a.read(2, "4", unclear, votes.Void, votes.Yes)
	a.clerks[0].Post(a.at+"/paper-ballots/void", void).Refused(http.StatusForbidden, "not-allowed")
	committee.Post(a.at+"/paper-ballots/void", body{"entry": "4", "envelope": unclear, "minutes": "x"}).Refused(http.StatusUnprocessableEntity, "minutes-missing")
	committee.Post(a.at+"/paper-ballots/void", void).Want(http.StatusCreated)

	a.close()
	a.clerks[0].Post(a.at+"/entry-completed", nil).Refused(http.StatusConflict, "envelopes-waiting")
	var fifth struct {
		Items []struct {
			Envelope string `json:"envelope"`
		} `json:"items"`
	}
	a.clerks[0].Get(a.at + "/papers").Want(http.StatusOK).Into(&fifth)
	a.read(0, "5", fifth.Items[0].Envelope, votes.Yes, votes.Yes)
	a.clerks[0].Post(a.at+"/entry-completed", nil).Refused(http.StatusConflict, "envelopes-waiting") // one reader is none
	a.read(3, "5", fifth.Items[0].Envelope, votes.Yes, votes.Yes)
	a.honest("before the close")
	a.clerks[0].Post(a.at+"/entry-completed", nil).Want(http.StatusCreated)
	a.counted()

	var out struct {
		Papers votes.EnvelopeCount `json:"papers"`
	}
	a.Anyone().Get(a.at).Want(http.StatusOK).Into(&out)
	if want := (votes.EnvelopeCount{Envelopes: 5, Cast: 3, Void: 2}); out.Papers != want {
		t.Errorf("envelopes %+v, want %+v", out.Papers, want)
	}
	r1, r2 := a.results()
	if r1.Yes != 2 || r1.No != 1 || r2.Yes != 1 || r2.No != 1 || r2.Abstain != 1 {
		t.Errorf("results %+v %+v", r1, r2)
	}
	a.honest("counted")
}

func TestAnOwnerEntersNotTheirOwnPaper(t *testing.T) {
	t.Parallel()
	a := assemble(t, 3, votes.FirstBallotStands)
	owner := a.homes[0].Owner
	a.Admin().Post("/people/"+owner+"/roles", body{"role": registry.Clerk, "estate": a.estate}).Want(http.StatusCreated)
	own, other := a.handIn("1", ""), a.handIn("2", "")
	choices, _ := said(votes.Yes, votes.Yes)
	a.Person(owner).Post(a.at+"/paper-ballots", body{"entry": "1", "envelope": own, "scan": scanned, "choices": choices}).Refused(http.StatusForbidden, "own-paper")
	a.Person(owner).Post(a.at+"/paper-ballots", body{"entry": "2", "envelope": other, "scan": scanned, "choices": choices}).Want(http.StatusCreated)
}

func TestProxiesFromTheMandateToTheCount(t *testing.T) {
	t.Parallel()
	a := assemble(t, 5, votes.FirstBallotStands)
	owner := func(n int) *servicetest.Client { return a.Person(a.homes[n].Owner) }
	as := func(m1, m2 string, more body) body {
		choices, _ := said(m1, m2)
		b := body{"instructions": choices}
		for k, v := range more {
			b[k] = v
		}
		return b
	}
	// Owners 1 and 2 name the owner of 1-103; owner 4's mandate is recorded by the office.
	owner(0).Post(a.at+"/proxies", as(votes.Yes, votes.No, body{"holder_unit": "1-101"})).Refused(http.StatusUnprocessableEntity, "own-proxy")
	owner(0).Post(a.at+"/proxies", as(votes.Yes, votes.No, body{"holder_unit": "1-999"})).Refused(http.StatusUnprocessableEntity, "no-such-person")
	owner(0).Post(a.at+"/proxies", as(votes.Yes, votes.No, body{"holder_unit": "1-103"})).Want(http.StatusCreated)
	owner(0).Post(a.at+"/proxies", as(votes.Yes, votes.No, body{"holder_unit": "1-102"})).Refused(http.StatusConflict, "proxy-granted")
	owner(1).Post(a.at+"/proxies", as(votes.Yes, votes.Yes, body{"holder_unit": "1-103"})).Want(http.StatusCreated)
	owner(1).Post(a.at+"/proxies", as(votes.Yes, votes.Yes, body{"entry": "4", "holder_unit": "1-103", "document": scanned})).Refused(http.StatusForbidden, "not-allowed")
	a.clerks[0].Post(a.at+"/proxies", as(votes.No, votes.No, body{"unit": "1-104", "holder_document": a.estate + "1-103"})).Refused(http.StatusUnprocessableEntity, "document-missing")
	a.clerks[0].Post(a.at+"/proxies", as(votes.No, votes.No, body{"unit": "1-104", "holder_document": a.estate + "1-103", "document": scanned})).Want(http.StatusCreated)
	document := a.estate + "1-103"
	for _, e := range a.Events() {
		if strings.Contains(string(e.Data)+string(e.Meta), document) {
			t.Errorf("the holder's document can be read in %s of %s", e.Type, e.Stream)
		}
	}
	if strings.Contains(a.Logs(), document) {
		t.Error("the holder's document can be read in the log")
	}

	vote := func(entry, m1, m2 string) body {
		b := ballot(m1, m2)
		b["entry"] = entry
		return b
	}
	holder := owner(2)
	owner(4).Post(a.at+"/proxy-ballots", vote("1", votes.Yes, votes.No)).Refused(http.StatusConflict, "no-mandate")
	holder.Post(a.at+"/proxy-ballots", vote("1", votes.Yes, votes.Yes)).Refused(http.StatusConflict, "against-instructions")
	holder.Post(a.at+"/proxy-ballots", vote("1", votes.Yes, votes.No)).Want(http.StatusCreated)
	holder.Post(a.at+"/proxy-ballots", vote("1", votes.Yes, votes.No)).Refused(http.StatusConflict, "already-voted")
	holder.Post(a.at+"/proxy-ballots", vote("2", votes.Yes, votes.Yes)).Want(http.StatusCreated)
	owner(1).Post(a.at+"/ballots", ballot(votes.No, votes.No)).Want(http.StatusCreated) // in person
	holder.Post(a.at+"/proxy-ballots", vote("2", votes.Yes, votes.Yes)).Refused(http.StatusConflict, "own-ballot-stands")
	a.clerks[1].Post(a.at+"/proxies/revoked", body{"unit": "1-104", "document": scanned}).Want(http.StatusCreated)
	holder.Post(a.at+"/proxy-ballots", vote("4", votes.No, votes.No)).Refused(http.StatusConflict, "no-mandate")
	owner(3).Post(a.at+"/proxies/revoked", body{}).Refused(http.StatusConflict, "no-mandate")

	a.CatchUp()
	type proxy struct {
		Entry  string `json:"entry"`
		Holder bool   `json:"holder"`
		State  string `json:"state"`
	}
	want := []proxy{{"4", true, "revoked"}, {"2", true, "granted"}, {"1", true, "granted"}}
	if got := servicetest.Items[proxy](holder.Get("/me/proxies").Want(http.StatusOK)); !slices.Equal(got, want) {
		t.Errorf("the holder sees %+v", got)
	}
	if got := servicetest.Items[proxy](owner(0).Get("/me/proxies").Want(http.StatusOK)); !slices.Equal(got, []proxy{{"1", false, "granted"}}) {
		t.Errorf("the owner sees %+v", got)
	}
	a.honest("before the close")
	a.close()
	a.counted()
	r1, r2 := a.results()
	if r1.Yes != 1 || r1.No != 1 || r1.Took != 2 || r2.No != 2 || r2.Took != 2 {
		t.Errorf("results %+v %+v", r1, r2)
	}
	a.honest("counted")
}

// A proxy hands in the owner's paper: it is read by two like any other, and says
// what the owner instructed, or does not count.
func TestAProxyHandsInPaper(t *testing.T) {
	t.Parallel()
	a := assemble(t, 6, votes.FirstBallotStands)
	a.Unruly = true
	mandate := func(n int, m1, m2 string) {
		choices, _ := said(m1, m2)
		a.clerks[0].Post(a.at+"/proxies", body{"entry": fmt.Sprint(n), "holder_unit": "1-106", "document": scanned, "instructions": choices}).Want(http.StatusCreated)
	}
	paper := func(n int) string {
		return a.clerks[0].Post(a.at+"/papers", body{"entry": fmt.Sprint(n), "by_proxy": true}).Want(http.StatusCreated).ID()
	}
	enter := func(n int, envelope, m1, m2 string) {
		t.Helper()
		a.read(0, fmt.Sprint(n), envelope, m1, m2)
		if became, _ := a.read(1, fmt.Sprint(n), envelope, m1, m2); became != "settled" {
			t.Errorf("the paper of %d is %s", n, became)
		}
	}
	a.clerks[0].Post(a.at+"/papers", body{"entry": "1", "by_proxy": true}).Refused(http.StatusConflict, "no-mandate")
	for n := range 4 {
		mandate(n+1, votes.Yes, votes.No)
	}
	first, second, third, fourth := paper(1), paper(2), paper(3), paper(4)
	a.clerks[1].Post(a.at+"/proxies/revoked", body{"entry": "4", "document": scanned}).Want(http.StatusCreated)
	a.Person(a.homes[2].Owner).Post(a.at+"/ballots", ballot(votes.No, votes.No)).Want(http.StatusCreated) // in person
	a.close()
	enter(1, first, votes.Yes, votes.No)
	enter(2, second, votes.Yes, votes.Yes) // against the instructions on M2
	enter(3, third, votes.Yes, votes.No)
	a.read(2, "4", fourth, votes.Yes, votes.No)
	a.honest("while a paper waits")
	a.read(3, "4", fourth, votes.Yes, votes.No)
	a.clerks[0].Post(a.at+"/entry-completed", nil).Want(http.StatusCreated)
	a.counted()
	if r1, r2 := a.results(); r1.Yes != 3 || r1.No != 1 || r1.Took != 4 || r2.No != 3 || r2.Took != 3 {
		t.Errorf("results %+v %+v", r1, r2)
	}
	var summary struct {
		Reasons map[votes.Reason]int `json:"reasons"`
	}
	a.Anyone().Get(a.at + "/ballots/summary").Want(http.StatusOK).Into(&summary)
	if summary.Reasons[votes.AgainstInstructions] != 1 || summary.Reasons[votes.OwnBallotStands] != 2 {
		t.Errorf("what does not count: %v", summary.Reasons)
	}
	a.honest("counted")
}

// What is written past the services of a proxy's paper is found: at once, or when the
// ballots are open.
func TestForgedPaperOfAProxyIsFound(t *testing.T) {
	t.Parallel()
	a := assemble(t, 4, votes.FirstBallotStands)
	a.Unruly = true
	choices, _ := said(votes.Yes, votes.No)
	a.clerks[0].Post(a.at+"/proxies", body{"entry": "1", "holder_unit": "1-104", "document": scanned, "instructions": choices}).Want(http.StatusCreated)
	honest := a.clerks[0].Post(a.at+"/papers", body{"entry": "1", "by_proxy": true}).Want(http.StatusCreated).ID()
	commit := uuid.New()
	forged := uuid.NewSHA1(commit, []byte("id")).String()
	a.forge("a paper handed in by a proxy who is none", "no-mandate", as{actor: a.people[0], commit: commit}, votes.BallotStream+a.id+"-2", votes.PaperHandedIn{
		Meeting: a.id, Entry: "2", Envelope: forged, Proxy: uuid.NewString(), At: a.Clock.Now().UTC()})
	a.found(t, nil)

	// The one who read it second says that it was against the instructions.
	a.read(0, "1", honest, votes.Yes, votes.No)
	stream := votes.BallotStream + a.id + "-1"
	var handed votes.PaperHandedIn
	var entered votes.PaperEntered
	length := uint64(0)
	for e := range a.Store.Read(t.Context(), stream, 0) {
		length++
		event, err := votes.Codec.Decode(e.Type, e.Data)
		if err != nil {
			t.Fatal(err)
		}
		switch event := event.(type) {
		case votes.PaperHandedIn:
			handed = event
		case votes.PaperEntered:
			entered = event
		default: // the mandate
		}
	}
	entered.By, entered.Scan = a.people[1], ""
	who := as{actor: a.people[1], commit: uuid.New()}
	p, q := a.proposed(t, who, entered), a.proposed(t, who, votes.BallotRefused{
		Ballot: honest, Meeting: a.id, Entry: "1", Channel: votes.Paper, Proxy: handed.Proxy, At: handed.At, Motions: []string{"M1", "M2"}, Reason: votes.AgainstInstructions})
	if _, err := a.Store.Append(t.Context(), stream, length, p, q); err != nil {
		t.Fatal(err)
	}
	a.close()
	for clerk := range 2 {
		a.read(clerk, "2", forged, votes.Yes, votes.Yes)
	}
	a.clerks[0].Post(a.at+"/entry-completed", nil).Want(http.StatusCreated)
	a.counted()
	_, found, _ := replay(t, a.System, a.estate, nil)
	n := 0
	for _, x := range found {
		if x.Rule == "against-instructions" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("a paper that was as instructed and refused on two motions: %v", found)
	}
}

// The cap on mandates of one person (潍坊: 3) holds though owners grant them at
// once, and the provider's staff hold none (舟山), not even one granted before they
// were hired.
func TestMandatesUpToTheCapAndNoneForTheProvider(t *testing.T) {
	t.Parallel()
	a := assemble(t, 9, votes.FirstBallotStands,
		body{"name": "proxies.cap", "value": 3, "article": "第十条"},
		body{"name": "proxies.barred", "value": []string{"provider"}, "article": "第十条"},
		body{"name": "proxies.instructions", "value": true, "article": "第十条"})
	choices, _ := said(votes.Yes, votes.No)
	mandate := func(unit string) body { return body{"holder_unit": unit, "instructions": choices} }
	var owners []*servicetest.Client
	for _, h := range a.homes {
		owners = append(owners, a.Person(h.Owner))
	}
	var granted, full atomic.Int64
	var all sync.WaitGroup
	for _, owner := range owners[:6] {
		all.Go(func() {
			answer := owner.Post(a.at+"/proxies", mandate("1-107"))
			for strings.Contains(string(answer.Body), `"code":"conflict"`) { // five times in a row another was first
				answer = owner.Post(a.at+"/proxies", mandate("1-107"))
			}
			switch {
			case answer.Status == http.StatusCreated:
				granted.Add(1)
			case strings.Contains(string(answer.Body), `"code":"proxy-cap-exceeded"`):
				full.Add(1)
			default:
				t.Errorf("%s", answer)
			}
		})
	}
	all.Wait()
	if granted.Load() != 3 || full.Load() != 3 {
		t.Errorf("%d mandates granted, %d refused", granted.Load(), full.Load())
	}
	a.CatchUp()
	type proxy struct{ Entry, State, Reason string }
	var refused, holds *servicetest.Client
	for _, owner := range owners[:6] {
		list := servicetest.Items[proxy](owner.Get("/me/proxies").Want(http.StatusOK))
		if len(list) != 1 || list[0].State == "refused" && list[0].Reason != "proxy-cap-exceeded" {
			t.Fatalf("the owner is told %+v", list)
		}
		if list[0].State == "refused" {
			refused = owner
		} else {
			holds = owner
		}
	}
	holds.Post(a.at+"/proxies/revoked", body{}).Want(http.StatusCreated) // makes room for another
	refused.Post(a.at+"/proxies", mandate("1-107")).Want(http.StatusCreated)

	owners[7].Post(a.at+"/proxies", body{"holder_unit": "1-109", "instructions": choices[:1]}).Refused(http.StatusUnprocessableEntity, "instructions-wrong")
	owners[7].Post(a.at+"/proxies", mandate("1-109")).Want(http.StatusCreated)
	a.Admin().Post("/people/"+a.homes[8].Owner+"/roles", body{"role": registry.Provider, "estate": a.estate}).Want(http.StatusCreated)
	owners[6].Post(a.at+"/proxies", mandate("1-109")).Refused(http.StatusConflict, "proxy-barred")
	vote := ballot(votes.Yes, votes.No)
	vote["entry"] = "8"
	owners[8].Post(a.at+"/proxy-ballots", vote).Refused(http.StatusConflict, "proxy-barred")
	owners[8].Post(a.at+"/ballots", ballot(votes.Yes, votes.No)).Want(http.StatusCreated) // their own they cast
	owners[7].Post(a.at+"/ballots", body{"choices": choices[:1]}).Refused(http.StatusUnprocessableEntity, "ballot-partial", "M2")
	a.honest("with mandates")
}

// A hundred tries at once to make one vote count twice, for each way that somebody
// has thought of: one ballot counts, and it is the owner's.
func TestOneBallotCountsOnceHoweverManyAreTried(t *testing.T) {
	t.Parallel()
	const tries = 100
	race := func(t *testing.T, try func(i int) *servicetest.Answer) (taken int) {
		var mu sync.Mutex
		var phones sync.WaitGroup
		for i := range tries {
			phones.Go(func() {
				answer := try(i)
				mu.Lock()
				defer mu.Unlock()
				switch answer.Status {
				case http.StatusCreated:
					taken++
				case http.StatusConflict, http.StatusForbidden, http.StatusUnauthorized, http.StatusUnprocessableEntity:
				default:
					t.Errorf("%s", answer)
				}
			})
		}
		phones.Wait()
		return taken
	}
	for _, revote := range []string{votes.FirstBallotStands, votes.LastBallotStands} {
		t.Run(revote, func(t *testing.T) {
			a := assemble(t, 5, revote)
			two := []*servicetest.Client{a.Person(a.homes[0].Owner), a.Person(a.homes[0].Owner)}
			taken := race(t, func(i int) *servicetest.Answer { return two[i%2].Post(a.at+"/ballots", ballot(votes.Yes, votes.Yes)) })
			if taken < 1 || taken > 1 && revote == votes.FirstBallotStands {
				t.Errorf("two phones: %d taken", taken)
			}
			second := a.Person(a.homes[1].Owner)
			race(t, func(int) *servicetest.Answer {
				return second.Post(a.at+"/ballots", ballot(votes.No, votes.No), servicetest.Key("one and the same key"))
			})
			if cast := count(a.Types(votes.BallotStream+a.id+"-2"), "ballot-cast.v1"); cast != 1 {
				t.Errorf("a replayed key: %d ballots are recorded", cast)
			}
			// Another's key is worth nothing: it is a wish of whoever sends it.
			race(t, func(int) *servicetest.Answer {
				return two[0].Post(a.at+"/ballots", ballot(votes.No, votes.No), servicetest.Key("one and the same key"))
			})
			// A stolen token votes as the person it was stolen from, once; the thief's own vote is not moved by it.
			thief := a.Person(a.homes[2].Owner)
			if taken := race(t, func(i int) *servicetest.Answer {
				if i%2 == 0 {
					return thief.Post(a.at+"/ballots", ballot(votes.No, votes.No))
				}
				return a.As("yimu_s_"+uuid.NewString()).Post(a.at+"/ballots", ballot(votes.No, votes.No))
			}); taken > 1 && revote == votes.FirstBallotStands {
				t.Errorf("a stolen token: %d taken", taken)
			}
			// One who belongs to another estate, and one who names another's entry.
			elsewhere := a.Estate("别的小区")
			neighbour := a.Person(a.Homes(elsewhere, "1-101")[0].Owner)
			race(t, func(i int) *servicetest.Answer {
				if i%2 == 0 {
					return neighbour.Post(a.at+"/ballots", ballot(votes.No, votes.No))
				}
				b := ballot(votes.No, votes.No)
				b["entry"] = "4"
				return neighbour.Post(a.at+[]string{"/ballots", "/proxy-ballots"}[i/2%2], b)
			})
			// Two clerks, a hundred times: one envelope is one ballot.
			envelope := a.handIn("5", "")
			choices, _ := said(votes.Abstain, votes.Abstain)
			race(t, func(i int) *servicetest.Answer {
				return a.clerks[i%4].Post(a.at+"/paper-ballots", body{"entry": "5", "envelope": envelope, "scan": scanned, "choices": choices})
			})
			for _, missing := range []int{0, 1} { // where all tries of one of them met another's
				if slices.Contains(a.Types(votes.BallotStream+a.id+"-5"), "ballot-cast.v1") {
					break
				}
				a.read(missing, "5", envelope, votes.Abstain, votes.Abstain)
			}
			a.close()
			a.clerks[0].Post(a.at+"/entry-completed", nil).Want(http.StatusCreated)
			a.counted()
			r1, r2 := a.results()
			last := 0 // the owner's own last ballot, where the last stands
			if revote == votes.LastBallotStands {
				last = 1
			}
			for _, r := range []row{r1, r2} {
				if r.Took != 4 || r.Abstain != 1 || r.Yes != 1-last || r.No != 2+last {
					t.Errorf("four owners voted, each once: %+v", r)
				}
			}
			a.honest("counted")
		})
	}
}

func count(list []string, of string) (n int) {
	for _, s := range list {
		if s == of {
			n++
		}
	}
	return n
}

// Before the close nobody can read what was chosen, or count it: not in an answer
// of the API, the log, the metrics or the trail, and not by bytes that are alike
// where choices are.
func TestPartialResultsAreForNobody(t *testing.T) {
	t.Parallel()
	a := assemble(t, 12, votes.LastBallotStands)
	for i, h := range a.homes[:9] {
		choice := votes.Yes
		if i%3 == 2 {
			choice = votes.No
		}
		a.Person(h.Owner).Post(a.at+"/ballots", ballot(choice, votes.Yes)).Want(http.StatusCreated)
	}
	for i, entry := range []string{"10", "11"} {
		envelope := a.handIn(entry, []string{votes.Paper, votes.InMeeting}[i])
		a.read(0, entry, envelope, votes.Yes, votes.Void)
		a.read(1, entry, envelope, votes.No, votes.Void)
		a.read(2, entry, envelope, votes.No, votes.Void)
	}
	choices, _ := said(votes.No, votes.No)
	a.Person(a.homes[11].Owner).Post(a.at+"/proxies", body{"holder_unit": "1-101", "instructions": choices}).Want(http.StatusCreated)
	a.CatchUp()

	var metrics metricdata.ResourceMetrics
	if err := a.meter.Collect(t.Context(), &metrics); err != nil {
		t.Fatal(err)
	}
	measured, err := json.Marshal(metrics)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(measured), "cast-ballot") && !strings.Contains(string(measured), "ballots") {
		t.Errorf("nothing of ballots is measured: %.300s", measured)
	}
	answers := map[string]string{"log": a.Logs(), "metrics": string(measured)}
	streams := map[string]bool{}
	for _, e := range a.Events(votes.MeetingStream, votes.BallotStream, votes.ProxyStream, votes.RefusalStream) {
		answers["event "+e.ID.String()] = string(e.Data) + string(e.Meta)
		streams[e.Stream] = true
	}
	read := func(c *servicetest.Client, who, path string) {
		t.Helper()
		answers[who+" "+path] = string(c.Get(path).Body)
	}
	for who, c := range map[string]*servicetest.Client{"anyone": a.Anyone(), "a clerk": a.clerks[3], "an owner": a.Person(a.homes[0].Owner), "an administrator": a.Admin()} {
		for _, path := range []string{"", "/results", "/result.pdf", "/ballots", "/ballots/summary", "/roll", "/papers", "/telling", "/timeline", "/deadlines", "/deliveries", "/days"} {
			read(c, who, a.at+path)
		}
		read(c, who, "/estates/"+a.estate+"/meetings")
		read(c, who, "/me/ballots")
		read(c, who, "/me/proxies")
		for stream := range streams {
			read(c, who, "/ledger/streams/"+stream)
			read(c, who, "/ledger/streams/"+stream+"/links")
		}
		read(c, who, "/ledger/events?limit=1000")
		read(c, who, "/ledger/search?limit=200&estate="+a.estate)
		read(c, who, "/ledger/search?limit=200&about="+votes.MeetingStream+a.id)
	}
	for name, content := range a.bundle() {
		if strings.HasPrefix(name, proof.SchemaFolder) || strings.HasPrefix(name, proof.RuleFolder) {
			continue // which say what may be chosen
		}
		answers["bundle "+name] = content
	}
	if leaves := answers["bundle "+proof.LeavesFile]; !strings.Contains(leaves, votes.BallotStream+a.id) || !strings.Contains(leaves, "proxy-granted") {
		t.Error("the bundle has no ballots to tell of")
	}
	for where, text := range answers {
		for _, word := range []string{votes.Yes, votes.No, votes.Abstain, votes.Void} {
			if strings.Contains(text, word) || strings.Contains(text, strings.Trim(fmt.Sprintf("%+q", word), `"`)) {
				t.Errorf("%s tells of %s: %.400s", where, word, text)
			}
		}
		for _, name := range []string{"yes_heads", "no_heads", `"accepted"`, `"reasons":{"no-such-choice"`} {
			if strings.Contains(text, name) {
				t.Errorf("%s has a count by choice: %.400s", where, text)
			}
		}
	}

	// Whoever knows their own ballot must not find those that say the same.
	alike := map[string][]string{}
	for _, e := range a.Events(votes.BallotStream) {
		if e.Type != "ballot-cast.v1" && e.Type != "paper-entered.v1" && e.Type != "proxy-granted.v1" {
			continue
		}
		var data struct {
			Sealed string       `json:"sealed"`
			Marks  []votes.Mark `json:"marks"`
		}
		var meta struct {
			Hash string `json:"hash"`
		}
		if json.Unmarshal(e.Data, &data) != nil || json.Unmarshal(e.Meta, &meta) != nil || meta.Hash == "" || data.Sealed == "" {
			t.Fatalf("%s %s", e.Data, e.Meta)
		}
		commit := e.Stream + " " + meta.Hash
		alike["length "+fmt.Sprint(len(data.Sealed))] = append(alike["length "+fmt.Sprint(len(data.Sealed))], commit)
		for _, value := range append([]string{data.Sealed, meta.Hash}, marksOf(data.Marks)...) {
			if !slices.Contains(alike[value], e.Stream) {
				alike[value] = append(alike[value], e.Stream)
			}
		}
	}
	lengths := 0
	for value, streams := range alike {
		if strings.HasPrefix(value, "length ") {
			lengths++
		} else if len(streams) > 1 {
			t.Errorf("%s is the same in %v", value, streams)
		}
	}
	if lengths != 1 {
		t.Errorf("sealed choices have %d lengths", lengths)
	}
}

// bundle returns the files of a bundle that anyone may make now.
func (a *assembly) bundle() map[string]string {
	a.t.Helper()
	a.CatchUp()
	var out bytes.Buffer
	x := bundle.Export{Client: http.DefaultClient, Server: a.URL(), Estate: a.estate, Program: "test", Made: a.Clock.Now(), Until: fmt.Sprint(a.Store.Head())}
	if _, err := x.Write(a.t.Context(), &out); err != nil {
		a.t.Fatal(err)
	}
	b, err := proof.OpenBundle(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		a.t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range b.Files("") {
		content, err := b.File(name)
		if err != nil {
			a.t.Fatal(err)
		}
		files[name] = string(content)
	}
	return files
}

func marksOf(marks []votes.Mark) (list []string) {
	for _, m := range marks {
		list = append(list, m.Mark)
	}
	return list
}

// Written past the service, each is found by the replay, and the rule named.
func TestForgedPaperAndProxiesAreFound(t *testing.T) {
	t.Parallel()
	a := assemble(t, 8, votes.FirstBallotStands)
	a.Unruly = true
	seal := func(id, m1, m2 string) codec.Sealed {
		t.Helper()
		text := fmt.Sprintf(`[{"motion":"M1","choice":%q},{"motion":"M2","choice":%q}]`, m1, m2)
		sealed, err := a.Vault.Seal(t.Context(), vault.MeetingKey(a.id), "choices/"+id, []byte(text), 128)
		if err != nil {
			t.Fatal(err)
		}
		return codec.Sealed(sealed)
	}
	at := func() time.Time { return a.Clock.Now().UTC() }
	stream := func(entry string) string { return votes.BallotStream + a.id + "-" + entry }
	marks := []votes.Mark{{Motion: "M1", Mark: "aa"}, {Motion: "M2", Mark: "bb"}}
	entered := func(entry, envelope, by string, change ...func(*votes.PaperEntered)) votes.PaperEntered {
		e := votes.PaperEntered{Meeting: a.id, Entry: entry, Envelope: envelope, By: by, Scan: scanned, Marks: marks, Sealed: seal(envelope, votes.Yes, votes.Yes)}
		for _, f := range change {
			f(&e)
		}
		return e
	}
	stranger, _ := a.Someone(a.estate)

	first := a.handIn("1", "")
	a.forge("a paper read by one who is no clerk", "paper.enter", as{actor: stranger}, stream("1"), entered("1", first, stranger))
	a.forge("a paper read in another's name", "wrong-actor", as{actor: a.people[0]}, stream("1"), entered("1", first, a.people[1]))
	a.forge("a second reading by the same person", "read-before", as{actor: a.people[1]}, stream("1"), entered("1", first, a.people[1]))
	a.forge("an envelope that nobody handed in", "no-envelope", as{actor: a.people[0]}, stream("2"), entered("2", uuid.NewString(), a.people[0]))
	second := a.handIn("3", "")
	a.forge("a reading without a scan", "scan-missing", as{actor: a.people[0]}, stream("3"), entered("3", second, a.people[0], func(e *votes.PaperEntered) { e.Scan = "" }))
	commit, one := ballotOf(a.forger, a.id, "3", at())
	one.Channel, one.Motions = votes.Paper, []string{"M1", "M2"}
	a.forge("a paper entered by one person", "two-persons", as{actor: a.people[0], commit: commit}, stream("3"), one)
	third := a.handIn("4", "")
	a.forge("a paper voided by a clerk", "paper.void", as{actor: a.people[0]}, stream("4"), votes.PaperVoided{Meeting: a.id, Entry: "4", Envelope: third, Minutes: scanned})

	holder := a.homes[6].Owner
	proxies := func(name, rule, actor, entry string, event func(id string) any, streams string) {
		t.Helper()
		commit := uuid.New()
		a.forge(name, rule, as{actor: actor, commit: commit}, streams, event(uuid.NewSHA1(commit, []byte("id")).String()))
	}
	grant := func(entry string) func(string) any {
		return func(id string) any {
			return votes.ProxyGranted{Proxy: id, Meeting: a.id, Entry: entry, Holder: holder, At: at(), Marks: marks, Sealed: seal(id, votes.Yes, votes.Yes)}
		}
	}
	held := votes.ProxyStream + a.id + "-" + holder
	proxies("a mandate that is not counted for its holder", "mandate-not-taken", a.homes[4].Owner, "5", grant("5"), stream("5"))
	proxies("a mandate granted for another", "proxy.grant", stranger, "6", grant("6"), stream("6"))
	proxies("a mandate counted at a stranger's wish", "proxy.grant", stranger, "6", func(id string) any {
		return votes.MandateTaken{Proxy: id, Meeting: a.id, Entry: "6", Holder: holder, At: at()}
	}, held)
	var taken votes.MandateTaken
	for e := range a.Store.Read(t.Context(), held, 0) {
		if err := json.Unmarshal(e.Data, &taken); err != nil {
			t.Fatal(err)
		}
	}
	a.forge("a mandate returned that nobody revoked", "mandate-not-revoked", as{actor: a.people[0]}, held, votes.MandateReturned{Proxy: taken.Proxy, Meeting: a.id, Entry: "6", Holder: holder})
	commit, cast := ballotOf(a.forger, a.id, "8", at())
	cast.Motions, cast.Proxy = []string{"M1", "M2"}, uuid.NewString()
	a.forge("a ballot without a mandate", "no-mandate", as{actor: holder, commit: commit}, stream("8"), cast)
	a.forge("a ballot that leaves a motion out", "ballot-partial", as{actor: a.homes[6].Owner, commit: uuid.New()}, stream("7"), func() votes.BallotCast {
		_, e := ballotOf(a.forger, a.id, "7", at())
		return e
	}())
	a.forge("the entry of paper declared complete while envelopes wait", "voting-still-open", as{actor: a.people[0]}, votes.MeetingStream+a.id, votes.PaperEntryCompleted{Meeting: a.id, Papers: votes.EnvelopeCount{}})

	_, found, _ := replay(t, a.System, a.estate, nil)
	for _, c := range a.cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, x := range found {
				if strings.Contains(x.Detail, c.event.String()) {
					if got = append(got, x.String()); x.Code == proof.IllegitimateEvent && x.Rule == c.rule {
						return
					}
				}
			}
			t.Errorf("not found as %s, but: %q", c.rule, got)
		})
	}
}

// What marks said before the close is held against what the key opens after it.
func TestMarksThatLiedAreFoundOnceTheBallotsAreOpen(t *testing.T) {
	t.Parallel()
	a := assemble(t, 3, votes.FirstBallotStands)
	a.Unruly = true
	envelope := a.handIn("1", "")
	a.read(0, "1", envelope, votes.No, votes.No)
	// The second reading says yes, and its marks that it says the same.
	var first votes.PaperEntered
	for e := range a.Store.Read(t.Context(), votes.BallotStream+a.id+"-1", 1) {
		if err := json.Unmarshal(e.Data, &first); err != nil {
			t.Fatal(err)
		}
	}
	sealed, err := a.Vault.Seal(t.Context(), vault.MeetingKey(a.id), "choices/"+envelope, []byte(`[{"motion":"M1","choice":"赞成"},{"motion":"M2","choice":"赞成"}]`), 128)
	if err != nil {
		t.Fatal(err)
	}
	second := first
	second.By, second.Sealed = a.people[1], codec.Sealed(sealed)
	var handedIn votes.PaperHandedIn
	for e := range a.Store.Read(t.Context(), votes.BallotStream+a.id+"-1", 0) {
		if e.Type == "paper-handed-in.v1" {
			if err := json.Unmarshal(e.Data, &handedIn); err != nil {
				t.Fatal(err)
			}
		}
	}
	who := as{actor: a.people[1], commit: uuid.New()}
	p := a.proposed(t, who, second)
	q := a.proposed(t, who, votes.BallotCast{
		Ballot: envelope, Meeting: a.id, Entry: "1", Channel: votes.Paper, At: handedIn.At, Motions: []string{"M1", "M2"}, Sealed: codec.Sealed(sealed),
	})
	if _, err := a.Store.Append(t.Context(), votes.BallotStream+a.id+"-1", 2, p, q); err != nil {
		t.Fatal(err)
	}
	a.close()
	a.clerks[0].Post(a.at+"/entry-completed", nil).Want(http.StatusCreated)
	a.counted()
	_, found, _ := replay(t, a.System, a.estate, nil)
	if !slices.ContainsFunc(found, func(f proof.Finding) bool { return f.Rule == "paper-marks" }) {
		t.Errorf("found %v", found)
	}
}
