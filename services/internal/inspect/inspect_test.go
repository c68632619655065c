package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	terms "github.com/yimu-ledger/yimu/services/contracts"
	money "github.com/yimu-ledger/yimu/services/finance"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	meetings "github.com/yimu-ledger/yimu/services/votes"
	orders "github.com/yimu-ledger/yimu/services/workorders"
)

type body = map[string]any

var parts = []servicetest.Part{
	{Context: ledger.Agreements, New: func(ctx context.Context, s *servicetest.System, deps service.Deps) (*service.Service, error) {
		return terms.New(ctx, deps, terms.Config{Owners: s.Directory.Owners})
	}},
	{Context: ledger.Workorders, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return orders.New(ctx, deps, orders.Config{})
	}},
	{Context: ledger.Finance, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return money.New(ctx, deps, money.Config{})
	}},
	{Context: ledger.Votes, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return meetings.New(ctx, deps, meetings.Config{})
	}},
}

// forger writes to the store past all services, as well as anyone can who knows
// them: ids are made as the commit path makes them, and what is sealed is sealed
// with the right key.
type forger struct {
	*servicetest.System
	t      *testing.T
	estate string
	cases  []forgery
}

// forgery is a commit that should not be, and what is to be found of it.
type forgery struct {
	name, rule string
	code       proof.Code
	event      uuid.UUID
}

// as is who is said to have asked, and what for.
type as struct {
	actor, cause string
	seen         es.Position // 0: all
	happened     time.Time   // zero: now
	commit       uuid.UUID   // nil: any
	id           uuid.UUID   // nil: the right one
	past         bool        // for a paper of the past
}

// forge appends an event to a stream.
func (f *forger) forge(name, rule string, who as, stream string, event any) {
	f.t.Helper()
	f.forgeAs(proof.IllegitimateEvent, name, rule, who, stream, event)
}

func (f *forger) forgeAs(code proof.Code, name, rule string, who as, stream string, event any) {
	f.t.Helper()
	f.write(code, name, rule, stream, f.proposed(f.t, who, event))
}

// write appends an event to a stream as it is, after whatever a reaction to an
// earlier one appends meanwhile.
func (f *forger) write(code proof.Code, name, rule, stream string, p es.Proposed) {
	f.t.Helper()
	for {
		length := uint64(0)
		for range f.Store.Read(f.t.Context(), stream, 0) {
			length++
		}
		_, err := f.Store.Append(f.t.Context(), stream, length, p)
		if err == nil {
			break
		}
		if !errors.Is(err, es.ErrWrongRevision) {
			f.t.Fatal(err)
		}
	}
	f.cases = append(f.cases, forgery{name, rule, code, p.ID})
}

// replay appends the last event of a stream again, with the commit that it is of.
func (f *forger) replay(name, stream string) {
	f.t.Helper()
	var last es.Recorded
	for e := range f.Store.Read(f.t.Context(), stream, 0) {
		last = e
	}
	f.write(proof.ReplayedCommit, name, "", stream, es.Proposed{ID: last.ID, Type: last.Type, Data: last.Data, Meta: last.Meta})
}

// proposed makes an event as the commit path makes it.
func (f *forger) proposed(t testing.TB, who as, event any) es.Proposed {
	t.Helper()
	if who.commit == uuid.Nil {
		who.commit = uuid.New()
	}
	if who.happened.IsZero() {
		who.happened = f.Clock.Now().UTC()
	}
	if e, ok := event.(es.Timed); ok {
		who.happened = e.HappenedAt()
	}
	if who.seen == 0 {
		who.seen = f.Store.Head()
	}
	hash := strings.Repeat("0", 64)
	meta, err := json.Marshal(es.Meta{Commit: who.commit, Cause: who.cause, Hash: hash, Actor: who.actor, Seen: who.seen, Happened: who.happened, Past: who.past})
	if err != nil {
		t.Fatal(err)
	}
	name, data := encode(t, event)
	id := who.id
	if id == uuid.Nil {
		id = es.EventID(who.commit, hash, 0, name, data, meta)
	}
	return es.Proposed{ID: id, Type: name, Data: data, Meta: meta}
}

func encode(t testing.TB, event any) (name string, data []byte) {
	t.Helper()
	var err error
	switch e := event.(type) {
	case registry.Event:
		name, data, err = registry.Codec.Encode(e)
	case agreements.Event:
		name, data, err = agreements.Codec.Encode(e)
	case workorders.Event:
		name, data, err = workorders.Codec.Encode(e)
	case finance.Event:
		name, data, err = finance.Codec.Encode(e)
	case votes.Event:
		name, data, err = votes.Codec.Encode(e)
	default:
		err = fmt.Errorf("%T is no event", event)
	}
	if err != nil {
		t.Fatal(err)
	}
	return name, data
}

// replay decides all that is in the store again, with the estate's key or without.
func replay(t *testing.T, s *servicetest.System, estate string, open inspect.Opener) (*inspect.Inspector, []proof.Finding, []inspect.Unverified) {
	t.Helper()
	i, err := inspect.New(estate, open)
	if err != nil {
		t.Fatal(err)
	}
	var found []proof.Finding
	for e, err := range s.Store.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, i.Take(e)...)
	}
	rest, unverified := i.End()
	return i, append(found, rest...), unverified
}

// figures reads from the API what the inspector derived.
func figures(t *testing.T, s *servicetest.System, i *inspect.Inspector) (list []inspect.Figure) {
	t.Helper()
	s.CatchUp()
	for _, f := range i.Figures() {
		answer := s.Anyone().Get(f.Path).Want(http.StatusOK)
		list = append(list, inspect.Figure{Path: f.Path, Value: answer.Body})
	}
	return list
}

// found wants each forgery to be found and named, and nothing else.
func (f *forger) found(t *testing.T, open inspect.Opener) {
	t.Helper()
	_, found, _ := replay(t, f.System, f.estate, open)
	rest := map[string]bool{}
	for _, x := range found {
		rest[x.String()] = true
	}
	for _, c := range f.cases {
		t.Run(c.name, func(t *testing.T) {
			named, got := false, []string{}
			for _, x := range found {
				if strings.Contains(x.Detail, c.event.String()) {
					got = append(got, x.String())
					delete(rest, x.String())
					named = named || x.Code == c.code && x.Rule == c.rule
				}
			}
			if !named {
				t.Errorf("not found as %s (%s), but: %q", c.code, c.rule, got)
			}
		})
	}
	for x := range rest {
		t.Errorf("honest, or only a consequence: %s", x)
	}
}

func ballotOf(f *forger, meeting, entry string, at time.Time) (uuid.UUID, votes.BallotCast) {
	f.t.Helper()
	commit := uuid.New()
	id := uuid.NewSHA1(commit, []byte("id")).String()
	sealed, err := f.Vault.Seal(f.t.Context(), vault.MeetingKey(meeting), "choices/"+id, []byte(`[{"motion":"M1","choice":"赞成"}]`), 64)
	if err != nil {
		f.t.Fatal(err)
	}
	return commit, votes.BallotCast{
		Ballot: id, Meeting: meeting, Entry: entry, Channel: votes.Electronic, At: at.UTC(), Motions: []string{"M1"}, Sealed: codec.Sealed(sealed),
	}
}

// seal seals a payment with the estate's key.
func (f *forger) seal(p finance.Payment) codec.Sealed {
	f.t.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		f.t.Fatal(err)
	}
	sealed, err := f.Vault.Seal(f.t.Context(), vault.EstateKey(f.estate), "payment", text, 384)
	if err != nil {
		f.t.Fatal(err)
	}
	return codec.Sealed(sealed)
}

const motions = `[{"id":"M1","title":"选聘物业服务人","matter":"民法典278-1-4","scope":"estate"}]`

// Written past the services, each is found, and the rule named that it breaks; and
// of what the services let pass nothing is.
func TestWhatNobodyShouldHaveRecordedIsFound(t *testing.T) {
	t.Parallel()
	s := servicetest.New(t, parts...)
	s.Unruly = true
	estate := s.Estate("秀山花园")
	at := "/estates/" + estate
	homes := s.Homes(estate, "1-101", "1-102", "1-103", "1-104", "1-105", "1-106", "1-107")
	clerkID, clerk := s.Someone(estate, registry.Clerk)
	formerID, _ := s.Someone(estate, registry.Clerk)
	strangerID, _ := s.Someone(estate)
	f := &forger{System: s, t: t, estate: estate}

	// An honest year, as far as it goes.
	trusted := s.Store.Head()
	s.Admin().Delete("/people/" + formerID + "/roles?role=clerk&estate=" + estate).Want(http.StatusCreated)
	clerk.Import(estate, "agreement", "委托合同.json", `{"kind":"委托制物业","principals":["街道"],"provider":"物业公司","starts":"2022-07-21","ends":"2022-09-30","fee":{"住宅":"0.90元/㎡·月"},"services":[],"optional":[]}`).Want(http.StatusOK)
	clerk.Import(estate, "budget", "预算.csv", "年度,期间,方向,科目,预算金额(元)\n2022,2022-07~2022-12,收入,物业服务费,500.00\n2022,2022-07~2022-12,支出,设施维修,100.00\n").Want(http.StatusOK)
	clerk.Post(at+"/bills", nil).Want(http.StatusCreated)
	clerk.Post(at+"/vouchers", body{"number": "PZ1", "date": "2022-08-02", "direction": finance.Expenditure, "category": "设施维修", "amount_fen": 5000, "text": "水泵"}).Want(http.StatusCreated)
	clerk.Post(at+"/payments", body{"received": "2022-08-03", "reference": "P1", "unit": "1-101", "period": "2022-08", "amount_fen": 9000}).Want(http.StatusCreated)
	clerk.Post(at+"/collections", nil).Want(http.StatusCreated)
	before := s.Store.Head()
	clerk.Post(at+"/periods/2022-08/close", nil).Want(http.StatusCreated)
	order := clerk.Post(at+"/workorders", body{"category": "报修", "matter": "路灯不亮", "place": "1栋"}).Want(http.StatusCreated).ID()
	now := s.Clock.Now()
	draft := func(title string) string {
		id := clerk.Post(at+"/meetings", body{
			"title": title, "motions": json.RawMessage(motions),
			"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(http.StatusCreated).ID()
		clerk.Post("/meetings/"+id+"/roll", nil).Want(http.StatusCreated)
		return id
	}
	post := func(id string, days int) {
		clerk.Post("/meetings/"+id+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, days)}).Want(http.StatusCreated)
	}
	meeting, later, drafted := draft("第一次会议"), draft("第二次会议"), draft("第三次会议")
	post(meeting, 20)
	post(later, 40)
	s.Clock.Advance(17 * 24 * time.Hour)
	_, clerk = s.Someone(estate, registry.Clerk) // sessions have ended
	choose := body{"choices": []body{{"motion": "M1", "choice": votes.Yes}}}
	for _, h := range homes[:4] {
		s.Person(h.Owner).Post("/meetings/"+meeting+"/ballots", choose).Want(http.StatusCreated)
	}
	s.Person(homes[0].Owner).Post("/meetings/"+meeting+"/ballots", choose).Refused(http.StatusConflict, "already-voted")
	envelope := clerk.Post("/meetings/"+meeting+"/papers", body{"entry": "6"}).Want(http.StatusCreated).ID()
	_, second := s.Someone(estate, registry.Clerk)
	for _, who := range []*servicetest.Client{clerk, second} {
		who.Post("/meetings/"+meeting+"/paper-ballots", body{
			"entry": "6", "envelope": envelope, "scan": strings.Repeat("ab", 32), "choices": []body{{"motion": "M1", "choice": votes.No}},
		}).Want(http.StatusCreated)
	}
	if i, found, _ := replay(t, s, estate, nil); len(found) > 0 {
		t.Fatalf("honest as it is: %v", found)
	} else if wrong, beyond := i.Compare(figures(t, s, i)); len(wrong)+len(beyond) > 0 {
		t.Fatalf("published as it is: %v %v", wrong, beyond)
	}

	// Votes.
	cast := func(name, rule, actor, entry string, when time.Time) {
		t.Helper()
		commit, e := ballotOf(f, meeting, entry, when)
		f.forge(name, rule, as{actor: actor, commit: commit}, votes.BallotStream+meeting+"-"+entry, e)
	}
	cast("a ballot by someone who is not on the roll", "not-on-the-roll", strangerID, "5", s.Clock.Now())
	cast("a ballot in another's name", "wrong-voter", homes[1].Owner, "5", s.Clock.Now())
	cast("a ballot of an entry that there is not", "not-on-the-roll", homes[1].Owner, "77", s.Clock.Now())
	cast("a second ballot", "already-voted", homes[1].Owner, "2", s.Clock.Now())
	f.replay("a paper ballot, replayed", votes.BallotStream+meeting+"-6")
	commit, paper := ballotOf(f, meeting, "6", s.Clock.Now())
	paper.Channel = votes.Paper
	f.forge("a paper ballot without an envelope", "two-persons", as{actor: clerkID, commit: commit}, votes.BallotStream+meeting+"-6", paper)
	f.replay("a ballot, replayed", votes.BallotStream+meeting+"-1")
	f.forge("a live meeting closed by hand", "closes-by-itself", as{actor: clerkID}, votes.MeetingStream+later, votes.VotingClosed{Meeting: later})
	f.forge("a key released too early", "voting-not-closed", as{actor: "reaction:votes_release_key", cause: uuid.NewString()}, votes.MeetingStream+drafted, votes.KeyReleased{Meeting: drafted, Key: "{}"})
	var roll votes.RollFrozen
	for e := range s.Store.Read(t.Context(), votes.MeetingStream+drafted, 1) {
		if e.Type == "roll-frozen.v1" {
			if err := json.Unmarshal(e.Data, &roll); err != nil {
				t.Fatal(err)
			}
		}
	}
	amended := votes.RollAmended{
		Meeting: later, RollUnit: votes.RollUnit{Unit: homes[2].Code, Building: "1", Stair: "1", Area: 10000, Basis: registry.BasisRegister},
		From: "3", To: "6", Person: strangerID, SeenAt: uint64(s.Store.Head()), At: s.Clock.Now().UTC(),
	}
	f.forge("a unit given to who did not buy it", "seen", as{actor: "reaction:votes_amend_roll", cause: "x/" + later + "/" + homes[2].Unit}, votes.MeetingStream+later, amended)
	amended.Unit = homes[3].Code
	f.forge("a roll amended by hand", "cause", as{actor: clerkID}, votes.MeetingStream+later, amended)
	amended.Unit = "9-999"
	f.forge("a unit that the roll does not have", "no-such-unit", as{actor: "reaction:votes_amend_roll", cause: "x/" + later + "/" + homes[2].Unit}, votes.MeetingStream+later, amended)
	roll.Heads, roll.SeenAt = 4, uint64(s.Store.Head())
	f.forge("a roll that counts other heads than there are", "roll-wrong", as{actor: clerkID}, votes.MeetingStream+drafted, roll)

	at17 := s.Clock.Now().UTC().Truncate(time.Second)
	reached := votes.NoticeDelivered{Meeting: meeting, Entry: "5", Channel: votes.ByHand, At: at17, Proof: strings.Repeat("ab", 32)}
	told := func(name, rule, actor string, change func(*votes.NoticeDelivered)) {
		t.Helper()
		e := reached
		change(&e)
		f.forge(name, rule, as{actor: actor}, votes.BallotStream+meeting+"-"+e.Entry, e)
	}
	told("a delivery by nobody", "notice.deliver", "", func(*votes.NoticeDelivered) {})
	told("a delivery without a proof", "delivery-wrong", clerkID, func(e *votes.NoticeDelivered) { e.Proof = "" })
	told("a delivery before the notice", "delivery-time", clerkID, func(e *votes.NoticeDelivered) { e.At = now.Add(-time.Hour) })
	told("a warning where silence counts for nobody", "no-silence-rule", clerkID, func(e *votes.NoticeDelivered) { e.Warned = true })
	told("a confirmation in another's name", "wrong-owner", homes[1].Owner, func(e *votes.NoticeDelivered) { e.Channel, e.Proof = votes.ByApp, "" })
	told("a confirmation of some time ago", "time", homes[4].Owner, func(e *votes.NoticeDelivered) { e.Channel, e.Proof, e.At = votes.ByApp, "", at17.Add(-time.Hour) })
	f.forge("a failed delivery in words of one's own", "delivery-wrong", as{actor: clerkID}, votes.BallotStream+meeting+"-5",
		votes.DeliveryFailed{Meeting: meeting, Entry: "5", Channel: votes.ByHand, At: at17, Why: "不想来", Next: "再次上门"})
	f.forge("a posting from before the notice", "display-days", as{actor: clerkID}, votes.MeetingStream+meeting,
		votes.NoticeDisplayed{Meeting: meeting, Place: "大厅", Photo: strings.Repeat("ab", 32), From: units.DayOf(now.AddDate(0, 0, -2)), Until: units.DayOf(now)})
	f.forge("codes that an owner issues", "letters.print", as{actor: homes[0].Owner}, votes.MeetingStream+later,
		votes.BallotCodesIssued{Meeting: later, Entries: []string{"1-5"}, Count: 5, Until: now.AddDate(0, 0, 40).UTC()})
	f.forge("codes of entries that there are not", "entries-wrong", as{actor: clerkID}, votes.MeetingStream+later,
		votes.BallotCodesIssued{Meeting: later, Entries: []string{"1-8"}, Count: 8, Until: now.AddDate(0, 0, 40).UTC()})

	// Registry.
	f.forge("a role granted by nobody", "role.grant", as{}, registry.PersonStream+strangerID, registry.RoleGranted{Person: strangerID, Role: registry.Administrator})
	f.forge("a role that a clerk grants", "role.grant", as{actor: clerkID}, registry.PersonStream+strangerID, registry.RoleGranted{Person: strangerID, Role: registry.Provider, Estate: estate})
	f.forge("shares that are more than a unit", "shares-do-not-add-up", as{actor: clerkID}, registry.UnitStream+homes[4].Unit, registry.TitlesCorrected{
		Estate: estate, ID: homes[4].Unit, Code: homes[4].Code, Titles: []registry.Title{
			{Person: homes[3].Owner, Kind: registry.Natural, Part: 1, Whole: 1}, {Person: homes[4].Owner, Kind: registry.Natural, Part: 1, Whole: 2, Votes: true},
		},
	})
	f.forge("data read by one and recorded of another", "wrong-actor", as{actor: clerkID}, registry.PersonStream+strangerID, registry.PersonalDataRead{
		Person: strangerID, Reader: formerID, Fields: []string{"name"}, Reason: registry.ForNotice, At: s.Clock.Now().UTC(),
	})
	f.forge("an event with an id of its own", "event-id", as{actor: clerkID, id: uuid.New()}, registry.EstateStream+estate, registry.EstateSet{Estate: estate, Name: "另一个"})
	f.forge("a day that has not come yet", "time", as{actor: clerkID, happened: s.Clock.Now().Add(time.Hour)}, registry.EstateStream+estate, registry.EstateSet{Estate: estate, Name: "又一个"})
	f.forge("a cause without a reaction", "cause", as{actor: clerkID, cause: "x"}, registry.EstateStream+estate, registry.EstateSet{Estate: estate, Name: "再一个"})
	f.forge("the future seen", "seen", as{actor: clerkID, seen: s.Store.Head() + 1<<40}, registry.EstateStream+estate, registry.EstateSet{Estate: estate, Name: "末一个"})

	f.forgeAs(proof.NotSeen, "a name set by one who was dismissed long ago, by who did not look", "estate.set", as{actor: formerID, seen: trusted}, registry.EstateStream+estate, registry.EstateSet{Estate: estate, Name: "末一个"})

	// Finance.
	of := func(number string, date units.Day, amount units.Fen) (string, finance.VoucherPosted) {
		id := uuid.NewSHA1(uuid.MustParse(estate), []byte("voucher/"+number)).String()
		return finance.VoucherStream + id, finance.VoucherPosted{
			Voucher: id, Estate: estate, Number: number, Date: date, Direction: finance.Expenditure, Category: "设施维修", Amount: amount, Text: "水泵",
		}
	}
	entry := func(code proof.Code, name, rule string, who as, number string, date units.Day, amount units.Fen) {
		t.Helper()
		stream, e := of(number, date, amount)
		f.forgeAs(code, name, rule, who, stream, e)
	}
	entry(proof.IllegitimateEvent, "an entry into a closed period", "period-closed", as{actor: clerkID}, "PZ8", "2022-08-05", 100)
	entry(proof.NotSeen, "an entry into a period that had been closed for days, by who did not look", "period-closed", as{actor: clerkID, seen: before}, "PZ9", "2022-08-05", 100)
	entry(proof.IllegitimateEvent, "an entry of nothing", "amount-zero", as{actor: clerkID}, "PZ10", "2022-09-05", 0)
	entry(proof.IllegitimateEvent, "an entry by one who is no clerk any more", "voucher.post", as{actor: formerID}, "PZ11", "2022-09-05", 100)
	entry(proof.IllegitimateEvent, "an entry with another content under its number", "voucher-changed", as{actor: clerkID}, "PZ1", "2022-09-05", 100)
	entry(proof.IllegitimateEvent, "an entry in the future", "in-the-future", as{actor: clerkID}, "PZ12", "2999-01-01", 100)
	var stream string
	var first finance.PaymentReceived
	for e := range s.Store.ReadAll(t.Context(), 0, finance.PaymentStream) {
		stream = e.Stream
		if err := json.Unmarshal(e.Data, &first); err != nil {
			t.Fatal(err)
		}
	}
	received := finance.PaymentReceived{Payment: uuid.NewString(), Estate: estate, Received: "2022-09-03", Channel: "银行转账", Sealed: f.seal(finance.Payment{
		Reference: "P1", Unit: "1-101", Period: "2022-09", Amount: 9000})}
	f.forge("a payment with a used reference", "reference-used", as{actor: clerkID}, finance.PaymentStream+estate+"-"+strings.Repeat("0", 64), received)
	first.Received, first.Shared = "2022-09-03", true
	f.forge("a payment twice", "payment-changed", as{actor: clerkID}, stream, first)
	received = finance.PaymentReceived{Payment: uuid.NewString(), Estate: estate, Received: "2022-09-03", Channel: "银行转账", Sealed: f.seal(finance.Payment{
		Reference: "P9", Unit: "9-999", Period: "2022-09", Amount: 9000})}
	f.forge("a payment for a unit that there is not, as if it were billed", "decided-otherwise", as{actor: clerkID}, finance.PaymentStream+estate+"-"+strings.Repeat("1", 64), received)
	f.forge("more paid back than was paid", "refund-too-large", as{actor: clerkID}, stream, finance.PaymentRefunded{
		Payment: first.Payment, Estate: estate, On: units.DayOf(s.Clock.Now()), Reason: finance.Overpayment,
		Sealed: f.seal(finance.Payment{Reference: "P1", Unit: "1-101", Period: "2022-08", Amount: -900000}),
	})
	f.forge("totals that the payments do not come to", "totals-wrong", as{actor: clerkID}, finance.CollectionStream+estate+"-2022-08-04", finance.CollectionPosted{
		Estate: estate, Day: "2022-08-04", Periods: []finance.PeriodTotal{{Period: "2022-08", Amount: 100000, Payments: 1}},
	})
	var bills finance.BillsRaised
	for e := range s.Store.Read(t.Context(), finance.BillsStream+estate+"-2022-09", 0) {
		if err := json.Unmarshal(e.Data, &bills); err != nil {
			t.Fatal(err)
		}
	}
	bills.Total += 100
	f.forge("bills of another total than the rates lead to", "bills-wrong", as{actor: clerkID}, finance.BillsStream+estate+"-2022-09", bills)

	// Agreements and work orders.
	f.forge("an order finished before anyone was sent", "order-not-under-way", as{actor: clerkID}, workorders.WorkOrderStream+order, workorders.WorkOrderFinished{Order: order, At: s.Clock.Now().UTC()})
	f.forge("a limit that passed of an order that has none", "cause", as{actor: "reaction:workorders_overdue", cause: "x"}, workorders.WorkOrderStream+order, workorders.WorkOrderOverdue{Order: order, Step: "finish", Due: s.Clock.Now().UTC()})
	agreement := uuid.New()
	id := uuid.NewSHA1(agreement, []byte("id")).String()
	f.forge("an agreement without a principal", "parties-missing", as{actor: clerkID, commit: agreement}, agreements.AgreementStream+id, agreements.AgreementProposed{
		Agreement: id, Estate: estate, Kind: "委托制物业", Principals: []string{}, Provider: "物业公司", Starts: "2023-01-01", Ends: "2023-12-31",
		Rates: []agreements.Rate{{Use: registry.Home, Rate: 9000, Per: agreements.PerM2}}, Services: []string{},
	})
	f.forgeAs(proof.NotSeen, "an order that a clerk dismissed long ago sends a crew for", "workorder.dispatch", as{actor: formerID, seen: trusted}, workorders.WorkOrderStream+order, workorders.WorkOrderDispatched{Order: order, At: s.Clock.Now().UTC()})
	old := agreements.AgreementProposed{
		Estate: estate, Kind: "委托制物业", Principals: []string{"街道"}, Provider: "物业公司", Starts: "2021-01-01", Ends: "2021-12-31",
		Rates: []agreements.Rate{{Use: registry.Home, Rate: 9000, Per: agreements.PerM2}}, Services: []string{},
	}
	old.Agreement = uuid.NewSHA1(uuid.MustParse(estate), []byte("agreement/"+old.Kind+"/"+old.Provider+"/"+string(old.Starts))).String()
	f.forge("a commit of which only the first event is there", "decided-otherwise", as{actor: clerkID, past: true}, agreements.AgreementStream+old.Agreement, old)
	f.forge("an agreement in force that nobody signed", "agreement-not-signed", as{actor: clerkID}, agreements.AgreementStream+id, agreements.AgreementActivated{Agreement: id, On: units.DayOf(s.Clock.Now())})

	// After the deadline, and after the closing.
	opened := s.Store.Head()
	s.Clock.Advance(4 * 24 * time.Hour)
	_, clerk = s.Someone(estate, registry.Clerk)
	clerk.Post("/meetings/"+meeting+"/entry-completed", nil).Want(http.StatusCreated)
	closes := now.AddDate(0, 0, 20)
	s.Await("closed and opened", func() bool {
		types := s.Types(votes.MeetingStream + meeting)
		return types[len(types)-1] == "key-released.v1"
	})
	s.Clock.Advance(2 * time.Minute)
	commit, unseen := ballotOf(f, meeting, "7", closes.Add(-time.Hour))
	f.forgeAs(proof.NotSeen, "a ballot after the closing, by who did not look", "voting-closed", as{actor: homes[6].Owner, commit: commit, seen: opened}, votes.BallotStream+meeting+"-7", unseen)
	cast("a ballot that came late", "voting-closed", homes[4].Owner, "5", closes.Add(time.Second))
	cast("a ballot that is said to have come in time, after the closing", "voting-closed", homes[4].Owner, "5", closes.Add(-time.Hour))

	key, err := s.Vault.ReleaseKey(t.Context(), vault.EstateKey(estate))
	if err != nil {
		t.Fatal(err)
	}
	open, err := vault.NewOpener(key, vault.EstateKey(estate))
	if err != nil {
		t.Fatal(err)
	}
	f.found(t, open)
	t.Run("without the key the payments are listed as not verified", func(t *testing.T) {
		_, found, unverified := replay(t, s, estate, nil)
		for _, x := range found {
			if x.Rule == "reference-used" || x.Rule == "totals-wrong" {
				t.Errorf("found without a key: %s", x)
			}
		}
		if text := fmt.Sprint(unverified); !strings.Contains(text, "sealed payments") || !strings.Contains(text, "posted totals") {
			t.Errorf("not verified: %s", text)
		}
	})
}

func TestAPublishedFigureThatTheEventsDoNotLeadToIsNamedWithBoth(t *testing.T) {
	t.Parallel()
	s := servicetest.New(t, parts...)
	estate := s.Estate("秀山花园")
	s.Homes(estate, "1-101", "1-102")
	i, found, _ := replay(t, s, estate, nil)
	if len(found) > 0 {
		t.Fatal(found)
	}
	published := figures(t, s, i)
	if wrong, beyond := i.Compare(published); len(wrong)+len(beyond) > 0 {
		t.Fatal(wrong, beyond)
	}
	path := "/estates/" + estate + "/electorate"
	for n, p := range published {
		if p.Path == path {
			published[n].Value = []byte(`{"heads": 3, "area_centi_m2": 20000}`)
		}
	}
	published = append(published, inspect.Figure{Path: "/estates/" + estate + "/weather", Value: []byte(`{}`)})
	wrong, beyond := i.Compare(published)
	if len(wrong) != 1 || wrong[0].Code != proof.WrongFigure || wrong[0].Rule != path+"#heads" || !strings.Contains(wrong[0].Detail, "is 3,") || !strings.Contains(wrong[0].Detail, "to 2") {
		t.Errorf("got %v", wrong)
	}
	if len(beyond) != 1 || !strings.HasSuffix(beyond[0].What, "/weather") {
		t.Errorf("got %v", beyond)
	}
}
