package finance

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/facts"
)

// inspection decides the entries, bills and payments of estates again.
type inspection struct {
	only     string // estate; "": all
	rights   facts.Rights
	open     facts.Opener // nil: payments stay sealed
	accounts map[string]*account
	terms    map[string]*term   // agreements, by id
	vouchers map[string]*posted // by id
	payments int
	totals   int

	decisions map[string]votes.DecisionEffective // by id of the event
	draws     map[string]books.Draw              // by id
}

// account is what is known of an estate's money.
type account struct {
	id      string
	founded bool
	changes facts.Changes // of what decides who owes what

	fee        facts.Known[string]
	units      map[string]*facts.Known[books.Unit] // by code
	agreements facts.Known[[]books.Agreement]      // active ones, by start and id
	budgets    facts.Known[[]books.Budget]         // by year
	closed     map[units.Month]*facts.Known[bool]
	numbers    map[string]*facts.Known[[]string] // ids of the entries of a number

	opening     books.Opening
	bills       map[units.Month]books.Bills
	billed      map[units.Month]finance.BillsRaised // those that count
	collections map[units.Day]books.Collection
	references  map[string]books.Reference // by stream
	periods     map[units.Month]books.Period
	sums        map[sum]units.Fen

	streams   map[string]string        // of references, where they are opened
	received  map[string]*receipt      // payments by id, where they are opened
	movements map[units.Day][]movement // where they are opened
}

// term is an agreement.
type term struct {
	books.Agreement
	estate string
	active bool
}

// posted is a voucher, and whether it counts.
type posted struct {
	books.Voucher
	refused bool
}

// sum is what is added up for the budget.
type sum struct {
	kind                string
	month               units.Month
	direction, category string
}

// receipt is an opened payment.
type receipt struct {
	day  units.Day // it was received
	held bool
	left units.Fen
}

// movement is what an event of a payment adds to the totals of a day.
type movement struct {
	at       es.Position
	suspense bool
	period   units.Month
	amount   units.Fen
	payments int
}

// Inspect returns what decides an estate's money again or, with "", that of all.
// Without open its payments are not verified.
func Inspect(estate string, rights facts.Rights, open facts.Opener) facts.Part {
	return &inspection{
		only: estate, rights: rights, open: open, accounts: map[string]*account{}, terms: map[string]*term{}, vouchers: map[string]*posted{},
		decisions: map[string]votes.DecisionEffective{}, draws: map[string]books.Draw{},
	}
}

func (i *inspection) account(id string) *account {
	a := i.accounts[id]
	if a == nil {
		a = &account{
			id: id, units: map[string]*facts.Known[books.Unit]{}, closed: map[units.Month]*facts.Known[bool]{}, numbers: map[string]*facts.Known[[]string]{},
			bills: map[units.Month]books.Bills{}, billed: map[units.Month]finance.BillsRaised{}, collections: map[units.Day]books.Collection{},
			references: map[string]books.Reference{}, periods: map[units.Month]books.Period{}, sums: map[sum]units.Fen{},
			streams: map[string]string{}, received: map[string]*receipt{}, movements: map[units.Day][]movement{},
		}
		i.accounts[id] = a
	}
	return a
}

// Take implements facts.Part.
func (i *inspection) Take(c *facts.Commit) {
	switch event := c.Facts[0].Event.(type) {
	case registry.Event:
		i.registry(c, event)
	case agreements.Event:
		for _, f := range c.Facts {
			if e, ok := f.Event.(agreements.Event); ok {
				i.agreement(c, e)
			}
		}
	case votes.Event:
		i.decided(c)
	case ledger.ReactionRefused:
		i.refused(c, event)
	case finance.Event:
		i.money(c, event)
		if len(c.Facts) > 1 {
			c.Break("decided-otherwise", "each entry is a commit of its own")
		}
	}
}

func (i *inspection) registry(c *facts.Commit, event registry.Event) {
	unit := func(estate string, u registry.Unit) {
		a := i.account(estate)
		if a.units[u.Code] == nil {
			a.units[u.Code] = &facts.Known[books.Unit]{}
		}
		a.units[u.Code].Set(c, books.Unit{Code: u.Code, Use: u.Use, Area: u.Area})
		a.changes.Note(c)
	}
	switch e := event.(type) {
	case registry.EstateFounded:
		a := i.account(e.Estate)
		a.founded = true
		a.fee.Set(c, finance.DefaultFeeCategory)
	case registry.EstateSet:
		if a := i.account(e.Estate); e.FeeCategory != "" {
			a.fee.Set(c, e.FeeCategory)
			a.changes.Note(c)
		}
	case registry.UnitRegistered:
		unit(e.Estate, e.Unit)
	case registry.UnitCorrected:
		unit(e.Estate, e.Unit)
	default: // titles make nobody owe more
	}
}

func (i *inspection) agreement(c *facts.Commit, event agreements.Event) {
	var t *term
	switch e := event.(type) {
	case agreements.AgreementProposed:
		i.terms[e.Agreement] = &term{books.Agreement{ID: e.Agreement, Starts: e.Starts, Ends: e.Ends, Rates: e.Rates}, e.Estate, false}
	case agreements.AgreementActivated:
		if t = i.terms[e.Agreement]; t != nil {
			t.active = true
		}
	case agreements.AgreementEnded:
		if t = i.terms[e.Agreement]; t != nil {
			t.Ends = min(t.Ends, e.On)
		}
	default: // posting and signing make nobody owe anything
	}
	if t == nil {
		return
	}
	a := i.account(t.estate)
	var active []books.Agreement
	for _, other := range i.terms {
		if other.estate == t.estate && other.active {
			active = append(active, other.Agreement)
		}
	}
	slices.SortFunc(active, func(a, b books.Agreement) int {
		return cmp.Or(cmp.Compare(a.Starts, b.Starts), cmp.Compare(a.ID, b.ID))
	})
	a.agreements.Set(c, active)
	a.changes.Note(c)
}

// estate is what decided who owed what at a position.
func (a *account) estate(at es.Position) books.Estate {
	return books.Estate{ID: a.id, FeeCategory: a.fee.At(at), Agreements: a.agreements.At(at), Budgets: a.budgets.At(at)}
}

func (a *account) isClosed(m units.Month, at es.Position) bool {
	k := a.closed[m]
	return k != nil && k.At(at)
}

// unitsAt lists the units of an estate at a position.
func (a *account) unitsAt(at es.Position) (list []books.Unit) {
	for _, k := range a.units {
		if u := k.At(at); u.Code != "" {
			list = append(list, u)
		}
	}
	return list
}

// numbered says whether an entry other than own had a number at a position.
func (a *account) numbered(number, own string, at es.Position) bool {
	k := a.numbers[number]
	return k != nil && slices.ContainsFunc(k.At(at), func(id string) bool { return id != own })
}

func (a *account) number(c *facts.Commit, number, id string) {
	k := a.numbers[number]
	if k == nil {
		k = &facts.Known[[]string]{}
		a.numbers[number] = k
	}
	k.Set(c, append(slices.Clip(k.Now()), id))
	a.changes.Note(c)
}

// may notes where the actor was permitted none of some actions; a paper is
// imported by whoever may.
func (i *inspection) may(c *facts.Commit, a *account, actions ...string) {
	of := authz.Resource{Type: "Estate", ID: a.id, Estate: a.id}
	if !a.founded {
		c.Break("no-such-estate", "there is no estate %s", a.id)
	}
	if c.Meta().Past {
		c.May(i.rights, "papers.import", of)
		return
	}
	for _, action := range actions[1:] {
		if i.rights.Allowed(c, action, of) == facts.Right {
			return
		}
	}
	c.May(i.rights, actions[0], of)
}

// nightly says whether what runs at night made a commit, and holds its cause.
func (i *inspection) nightly(c *facts.Commit, kind, estate, key string) bool {
	if c.Meta().Actor != "reaction:finance_nightly" {
		return false
	}
	parts := strings.Split(strings.TrimPrefix(c.Meta().Cause, kind+"/"+estate+"/"+key+"/"), "/")
	if len(parts) != 2 || !c.Today(units.Day(parts[0])) && parts[0] > string(units.DayOf(c.Latest())) || parts[1] != strconv.FormatUint(uint64(c.Meta().Seen), 10) {
		c.Break("cause", "what is due at night does not lead to it")
	}
	return true
}

func (i *inspection) money(c *facts.Commit, event finance.Event) {
	today := units.DayOf(c.Latest())
	switch e := event.(type) {
	case finance.BudgetPosted:
		i.budget(c, e.Estate, e.Year, e.Lines)
	case finance.BudgetRevised:
		i.budget(c, e.Estate, e.Year, e.Lines)
	case finance.BudgetLineDecided:
		i.line(c, e)
	case finance.DrawOpened, finance.DrawPaid, finance.DrawReversed:
		if !strings.HasPrefix(c.Stream(), finance.DrawStream) {
			c.Break("wrong-stream", "it is no stream of a draw")
			return
		}
		i.draw(c, event, today)
	case finance.OpeningBalanceStated:
		a := i.account(e.Estate)
		c.Names(finance.OpeningStream, e.Estate)
		i.may(c, a, "opening.post")
		c.Doubted(a.changes.Ask(c, func(at es.Position) error {
			return facts.Again(c, a.opening, books.StateOpening{OpeningBalanceStated: e, Today: today, Closed: a.isClosed(e.On.Month(), at)})
		}))
		a.opening = books.EvolveOpening(a.opening, e)
		if !a.isClosed(e.On.Month(), c.Position()) {
			a.sums[sum{board.KindOpening, e.On.Month(), "", ""}] = e.Amount
		}
	case finance.VoucherPosted:
		i.voucher(c, e, today)
	case finance.VoucherReversed:
		i.reversal(c, e, today)
	case finance.CollectionPosted:
		i.collection(c, e, today)
	case finance.BillsRaised:
		i.bills(c, e)
	case finance.PeriodClosed:
		a := i.account(e.Estate)
		c.Names(finance.PeriodStream, e.Estate+"-"+string(e.Period))
		c.Present()
		i.may(c, a, "period.close")
		c.Decided(facts.Again(c, a.periods[e.Period], books.ClosePeriod{Estate: e.Estate, Period: e.Period, Today: units.DayOf(c.Meta().Happened.Add(facts.Skew))}))
		a.periods[e.Period] = books.EvolvePeriod(a.periods[e.Period], e)
		if a.closed[e.Period] == nil {
			a.closed[e.Period] = &facts.Known[bool]{}
		}
		a.closed[e.Period].Set(c, true)
		a.changes.Note(c)
	case finance.PaymentReceived:
		i.payment(c, e.Estate, event, today)
	case finance.PaymentAttributed:
		i.payment(c, e.Estate, event, today)
	case finance.PaymentRefunded:
		i.payment(c, e.Estate, event, today)
	}
}

func (i *inspection) budget(c *facts.Commit, estate string, year int, lines []finance.Line) {
	a := i.account(estate)
	c.Names(finance.BudgetStream, estate+"-"+strconv.Itoa(year))
	i.may(c, a, "budget.post")
	all := slices.Clone(a.budgets.Now())
	n, there := slices.BinarySearchFunc(all, year, func(b books.Budget, year int) int { return cmp.Compare(b.Year, year) })
	if !there {
		all = slices.Insert(all, n, books.Budget{Year: year})
	}
	was := all[n]
	if !there {
		was = books.Budget{}
	}
	c.Decided(facts.Again(c, was, books.PostBudget{Estate: estate, Year: year, Lines: lines}))
	all[n].Lines = lines
	a.budgets.Set(c, all)
	a.changes.Note(c)
}

func (i *inspection) voucher(c *facts.Commit, e finance.VoucherPosted, today units.Day) {
	a := i.account(e.Estate)
	c.Names(finance.VoucherStream, e.Voucher)
	i.may(c, a, "voucher.post")
	if of, err := uuid.Parse(e.Estate); err != nil || e.Voucher != uuid.NewSHA1(of, []byte("voucher/"+e.Number)).String() {
		c.Break("voucher-id", "the id is not that of number %s of this estate", e.Number)
	}
	v := i.vouchers[e.Voucher]
	if v == nil {
		v = &posted{}
		i.vouchers[e.Voucher] = v
	}
	c.Doubted(a.changes.Ask(c, func(at es.Position) error {
		return facts.Again(c, v.Voucher, books.PostVoucher{VoucherPosted: e, Books: books.Books{
			Today: today, Closed: a.isClosed(e.Date.Month(), at), FeeCategory: a.fee.At(at),
			Taken: a.numbered(e.Number, e.Voucher, at), Corrected: e.Corrects != "" && a.numbered(e.Corrects, "", at),
		}})
	}))
	v.Voucher = books.EvolveVoucher(v.Voucher, e)
	v.refused = a.isClosed(e.Date.Month(), c.Position())
	a.number(c, e.Number, e.Voucher)
	if !v.refused {
		a.sums[sum{board.KindVoucher, e.Date.Month(), e.Direction, e.Category}] += e.Amount
	}
}

func (i *inspection) reversal(c *facts.Commit, e finance.VoucherReversed, today units.Day) {
	c.Names(finance.VoucherStream, e.Voucher)
	c.Present()
	v := i.vouchers[e.Voucher]
	if v == nil {
		c.Decided(books.ErrNoSuchVoucher)
		return
	}
	a := i.account(v.Posted.Estate)
	i.may(c, a, "voucher.reverse")
	own := e.Voucher + "/reversal"
	c.Doubted(a.changes.Ask(c, func(at es.Position) error {
		return facts.Again(c, v.Voucher, books.ReverseVoucher{Number: e.Number, Date: e.Date, Reason: e.Reason, Books: books.Books{
			Today: today, Closed: a.isClosed(e.Date.Month(), at), FeeCategory: a.fee.At(at), Taken: a.numbered(e.Number, own, at),
		}})
	}))
	if v.Reversed == nil && !v.refused && !a.isClosed(e.Date.Month(), c.Position()) {
		a.sums[sum{board.KindReversal, e.Date.Month(), v.Posted.Direction, v.Posted.Category}] -= v.Posted.Amount
	}
	v.Voucher = books.EvolveVoucher(v.Voucher, e)
	a.number(c, e.Number, own)
}

func (i *inspection) bills(c *facts.Commit, e finance.BillsRaised) {
	a := i.account(e.Estate)
	c.Names(finance.BillsStream, e.Estate+"-"+string(e.Period))
	c.Present()
	if !i.nightly(c, "bills", e.Estate, string(e.Period)) {
		i.may(c, a, "bills.raise")
	}
	c.Doubted(a.changes.Ask(c, func(at es.Position) error {
		listing := a.estate(at).Bills(e.Period, a.unitsAt(at))
		text, err := listing.Encode()
		if err != nil {
			return err
		}
		hash := sha256.Sum256(text)
		raised := listing.Raise(hex.EncodeToString(hash[:]))
		if raised != e {
			return problem.Conflict("bills-wrong", fmt.Sprintf("%d units are billed %s yuan by agreement %q; by its rates %d units owe %s by %q, listing %s",
				e.Units, e.Total, e.Agreement, raised.Units, raised.Total, raised.Agreement, raised.Bills))
		}
		return facts.Again(c, a.bills[e.Period], books.RaiseBills{BillsRaised: e, Closed: a.isClosed(e.Period, at)})
	}))
	a.bills[e.Period] = books.EvolveBills(a.bills[e.Period], e)
	if !a.isClosed(e.Period, c.Position()) {
		a.billed[e.Period] = e
	}
}

func (i *inspection) collection(c *facts.Commit, e finance.CollectionPosted, today units.Day) {
	a := i.account(e.Estate)
	c.Names(finance.CollectionStream, e.Estate+"-"+string(e.Day))
	c.Present()
	if !i.nightly(c, "collection", e.Estate, string(e.Day)) {
		i.may(c, a, "collection.post", "papers.import", "bills.raise", "period.close")
	}
	if e.Day > today {
		c.Decided(books.ErrFuture)
	}
	i.totals++
	before := a.collections[e.Day]
	c.Decided(facts.Again(c, before, books.PostCollection{CollectionPosted: e}))
	if i.open != nil && (i.only == "" || i.only == a.id) {
		if want := a.total(e.Day, c.Meta().Seen); !books.SameTotals(want, e) {
			c.Break("totals-wrong", "posted are %s, and the payments of the day come to %s", totals(e), totals(want))
		}
	}
	a.collect(before.Posted, -1)
	a.collect(e, 1)
	a.collections[e.Day] = books.EvolveCollection(before, e)
}

// collect adds what was posted of a day, or takes it away.
func (a *account) collect(e finance.CollectionPosted, sign units.Fen) {
	for _, p := range e.Periods {
		a.sums[sum{board.KindCollection, e.Day.Month(), finance.Income, ""}] += sign * p.Amount
	}
	if e.Suspense != 0 {
		a.sums[sum{board.KindSuspense, e.Day.Month(), "", board.Suspense}] += sign * e.Suspense
	}
}

func totals(e finance.CollectionPosted) string {
	var b strings.Builder
	for _, p := range e.Periods {
		fmt.Fprintf(&b, "%s %s yuan (%d), ", p.Period, p.Amount, p.Payments)
	}
	return b.String() + "in suspense " + e.Suspense.String()
}

// total adds up what was received on a day, by what was recorded at a position.
func (a *account) total(day units.Day, at es.Position) finance.CollectionPosted {
	e := finance.CollectionPosted{Estate: a.id, Day: day}
	periods := map[units.Month]finance.PeriodTotal{}
	for _, m := range a.movements[day] {
		switch {
		case m.at > at:
		case m.suspense:
			e.Suspense += m.amount
		default:
			p := periods[m.period]
			periods[m.period] = finance.PeriodTotal{Period: m.period, Amount: p.Amount + m.amount, Payments: p.Payments + m.payments}
		}
	}
	for _, m := range slices.Sorted(maps.Keys(periods)) {
		e.Periods = append(e.Periods, periods[m])
	}
	return e
}

// payment decides an event of a payment, as far as it can be seen.
func (i *inspection) payment(c *facts.Commit, estate string, event finance.Event, today units.Day) {
	a := i.account(estate)
	stream := strings.TrimPrefix(c.Stream(), finance.PaymentStream)
	if !strings.HasPrefix(stream, estate+"-") {
		c.Break("wrong-stream", "it is of estate %s", estate)
	}
	i.payments++
	r := a.references[stream]
	switch e := event.(type) {
	case finance.PaymentReceived:
		i.may(c, a, "payment.record")
		p, opened := i.opened(c, a, stream, e.Sealed, finance.Payment{Reference: "-", Amount: 1})
		c.Doubted(a.changes.Ask(c, func(at es.Position) error {
			known := !e.Suspense
			if opened {
				_, known = a.bill(p, at)
			}
			return facts.Again(c, r, books.ReceivePayment{
				Payment: e.Payment, Estate: e.Estate, Received: e.Received, Channel: e.Channel, Reference: p.Reference, Amount: p.Amount,
				Known: known, Today: today, Closed: a.isClosed(e.Received.Month(), at), Sealed: e.Sealed,
			})
		}))
		if opened {
			a.received[e.Payment] = &receipt{e.Received, e.Suspense, p.Amount}
			a.move(c, e.Received, movement{suspense: e.Suspense, period: p.Period, amount: p.Amount, payments: 1})
		}
	case finance.PaymentAttributed:
		c.Present()
		if !i.nightly(c, "attribute", estate, e.Payment) {
			i.may(c, a, "payment.attribute", "bills.raise")
		}
		i.on(c, e.On)
		p, opened := i.opened(c, a, stream, e.Sealed, finance.Payment{Amount: 1})
		left, was := p.Amount, a.received[e.Payment]
		if opened && was != nil {
			if left = was.left; p.Amount != left {
				c.Break("amount-wrong", "attributed is another amount than what is left of the payment")
			}
		}
		c.Doubted(a.changes.Ask(c, func(at es.Position) error {
			known := true
			if opened {
				_, known = a.bill(p, at)
			}
			return facts.Again(c, r, books.AttributePayment{Payment: e.Payment, As: e.Payment, On: e.On, Known: known, Seen: r[e.Payment], Left: left, Sealed: e.Sealed})
		}))
		if opened && was != nil {
			day := e.On // it counts on the day it was received, as long as that can be
			if was.held && !a.isClosed(was.day.Month(), c.Position()) {
				day = was.day
			}
			was.held = false
			a.move(c, day, movement{period: p.Period, amount: p.Amount, payments: 1})
			a.move(c, day, movement{suspense: true, amount: -p.Amount})
		}
	case finance.PaymentRefunded:
		c.Present()
		i.may(c, a, "payment.refund")
		i.on(c, e.On)
		p, opened := i.opened(c, a, stream, e.Sealed, finance.Payment{Amount: -1})
		left, was := -p.Amount, a.received[e.Payment]
		if opened && was != nil {
			left = was.left
		}
		c.Decided(facts.Again(c, r, books.RefundPayment{Payment: e.Payment, On: e.On, Amount: -p.Amount, Left: left, Seen: r[e.Payment], Reason: e.Reason, Sealed: e.Sealed}))
		if opened && was != nil {
			was.left += p.Amount
			a.move(c, e.On, movement{suspense: was.held, period: p.Period, amount: p.Amount})
		}
	default: // not of a payment
	}
	a.references[stream] = books.EvolveReference(r, event)
}

// on holds the day on which something is said to have been done.
func (i *inspection) on(c *facts.Commit, d units.Day) {
	if !c.Today(d) {
		c.Break("time", "it says %s, and was asked for on %s", d, units.DayOf(c.Meta().Happened))
	}
}

// opened opens what is sealed of a payment; where it may not be, it is closed.
func (i *inspection) opened(c *facts.Commit, a *account, stream string, sealed codec.Sealed, closed finance.Payment) (p finance.Payment, ok bool) {
	if i.open == nil || i.only != "" && a.id != i.only {
		return closed, false
	}
	text, err := i.open(board.PaymentField, string(sealed))
	if err == nil && json.Unmarshal(text, &p) != nil {
		err = errors.New("what is sealed is no payment")
	}
	if err != nil {
		c.Break("payment-closed", "it does not open with the estate's key")
		return closed, false
	}
	if first, there := a.streams[p.Reference]; there && first != stream {
		c.Break("reference-used", "its reference is that of another stream, %s%s", finance.PaymentStream, first)
	} else if !there {
		a.streams[p.Reference] = stream
	}
	return p, true
}

// bill returns what is owed for what a payment is said to be for.
func (a *account) bill(p finance.Payment, at es.Position) (units.Fen, bool) {
	k := a.units[p.Unit]
	if k == nil || k.At(at).Code == "" {
		return 0, false
	}
	return a.estate(at).Bill(k.At(at), p.Period)
}

// move adds a movement to the day on which it counts: money is never refused, so
// what stands after the closing of its month counts when it was recorded.
func (a *account) move(c *facts.Commit, day units.Day, m movement) {
	if a.isClosed(day.Month(), c.Position()) {
		day = units.DayOf(c.Created())
	}
	m.at = c.Position()
	a.movements[day] = append(a.movements[day], m)
}

// End implements facts.Part.
func (i *inspection) End(func(proof.Finding)) (list []facts.Unverified) {
	if i.open != nil {
		return nil
	}
	const why = "single payments are sealed, and open with the estate's key"
	if i.payments > 0 {
		list = append(list, facts.Unverified{What: "sealed payments", Count: i.payments, Why: why})
	}
	if i.totals > 0 {
		list = append(list, facts.Unverified{What: "posted totals of days", Count: i.totals, Why: why})
	}
	return list
}

// Figures implements facts.Part.
func (i *inspection) Figures() (list []facts.Figure) {
	for _, id := range slices.Sorted(maps.Keys(i.accounts)) {
		a := i.accounts[id]
		if !a.founded || i.only != "" && id != i.only {
			continue
		}
		list = append(list, facts.NewFigure("/estates/"+id+"/draws", map[string]any{"items": i.drawFigures(id)}))
		list = append(list, facts.NewFigure("/estates/"+id+"/collection", map[string]any{"items": a.months()}))
		for _, y := range a.years() {
			list = append(list, facts.NewFigure("/estates/"+id+"/budget?year="+strconv.Itoa(y), a.year(y)))
		}
	}
	return list
}

type monthFigure struct {
	Period    units.Month     `json:"period"`
	Billed    units.Fen       `json:"billed_fen"`
	Collected units.Fen       `json:"collected_fen"`
	Rate      json.RawMessage `json:"rate_percent_1dp"`
	Units     int             `json:"units"`
	Agreement string          `json:"agreement"`
	Bills     string          `json:"bills_sha256"`
	Closed    bool            `json:"closed"`
}

// months is what was billed and collected for each month.
func (a *account) months() []monthFigure {
	months := map[units.Month]monthFigure{}
	for m, e := range a.billed {
		if e.Units > 0 {
			months[m] = monthFigure{Billed: e.Total, Units: e.Units, Agreement: e.Agreement, Bills: e.Bills}
		}
	}
	for _, day := range a.collections {
		for _, p := range day.Posted.Periods {
			m := months[p.Period]
			m.Collected += p.Amount
			months[p.Period] = m
		}
	}
	list := []monthFigure{}
	for _, period := range slices.Sorted(maps.Keys(months)) {
		m := months[period]
		m.Period = period
		_, m.Closed = a.closed[period]
		permille := units.PermilleHalfUp(int64(m.Collected), int64(m.Billed))
		sign := ""
		if permille < 0 {
			sign, permille = "-", -permille
		}
		m.Rate = fmt.Appendf(nil, "%s%d.%d", sign, permille/10, permille%10)
		list = append(list, m)
	}
	return list
}

type lineFigure struct {
	Direction string      `json:"direction"`
	Category  string      `json:"category"`
	Planned   units.Fen   `json:"planned_fen"`
	Actual    units.Fen   `json:"actual_fen"`
	From      units.Month `json:"from"`
	To        units.Month `json:"to"`

	Decision *finance.Decision `json:"decision,omitempty"`
}

type yearFigure struct {
	Year        int          `json:"year"`
	Items       []lineFigure `json:"items"`
	Opening     units.Fen    `json:"opening_fen"`
	Income      units.Fen    `json:"income_fen"`
	Expenditure units.Fen    `json:"expenditure_fen"`
	Balance     units.Fen    `json:"balance_fen"`
	Suspense    units.Fen    `json:"suspense_fen"`
	Years       []int        `json:"years"`
}

// years are those with a budget or an entry.
func (a *account) years() (years []int) {
	e := a.estate(a.end())
	for _, b := range e.Budgets {
		years = append(years, b.Year)
	}
	for s := range a.sums {
		years = append(years, e.Year(s.month))
	}
	slices.Sort(years)
	return slices.Compact(years)
}

// end is a position after all.
func (a *account) end() es.Position { return ^es.Position(0) }

// year is plan against actual: each entry on the line of its category and month,
// what was before in the opening, and what is in suspense on a line of its own.
func (a *account) year(year int) yearFigure {
	e := a.estate(a.end())
	y := yearFigure{Year: year, Items: []lineFigure{}, Years: a.years()}
	for _, l := range e.Budget(year).Effective() {
		y.Items = append(y.Items, lineFigure{l.Direction, l.Category, l.Planned, 0, l.From, l.To, l.Decision})
	}
	var unplanned []lineFigure
	keys := slices.SortedFunc(maps.Keys(a.sums), func(p, q sum) int {
		return cmp.Or(-cmp.Compare(p.direction, q.direction), cmp.Compare(p.category, q.category), cmp.Compare(p.month, q.month))
	})
	for _, s := range keys {
		amount, of := a.sums[s], e.Year(s.month)
		if s.kind == board.KindCollection {
			s.category = e.FeeCategory
		}
		switch {
		case of > year:
			continue
		case s.kind == board.KindSuspense:
			y.Suspense += amount
			continue
		case s.kind == board.KindOpening || of < year:
			if s.direction == finance.Expenditure {
				amount = -amount
			}
			y.Opening += amount
			continue
		case s.direction == finance.Income:
			y.Income += amount
		default:
			y.Expenditure += amount
		}
		same := func(l lineFigure) bool { return l.Direction == s.direction && l.Category == s.category }
		n := slices.IndexFunc(y.Items, func(l lineFigure) bool { return same(l) && l.From <= s.month && s.month <= l.To })
		if n < 0 {
			n = slices.IndexFunc(y.Items, same)
		}
		if n >= 0 {
			y.Items[n].Actual += amount
			continue
		}
		if n = slices.IndexFunc(unplanned, same); n < 0 {
			n = len(unplanned)
			unplanned = append(unplanned, lineFigure{Direction: s.direction, Category: s.category})
		}
		unplanned[n].Actual += amount
	}
	slices.SortStableFunc(unplanned, func(p, q lineFigure) int {
		return cmp.Or(-cmp.Compare(p.Direction, q.Direction), cmp.Compare(p.Category, q.Category))
	})
	y.Items = append(y.Items, unplanned...)
	y.Balance = y.Opening + y.Income - y.Expenditure
	return y
}
