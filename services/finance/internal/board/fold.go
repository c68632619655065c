package board

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

type estateRow struct {
	id, fee    string
	unreadable int64
}

var estateTable = readmodel.Map[string, estateRow]{
	Table:  readmodel.Table{Name: "estate", Key: []string{"id"}, Columns: []string{"id", "fee_category", "unreadable"}},
	Fields: func(r *estateRow) []any { return []any{&r.id, &r.fee, &r.unreadable} },
}

type unitRow struct {
	id, estate, code, use string
	area                  units.CentiM2
	titles                string
}

var unitTable = readmodel.Map[string, unitRow]{
	Table:  readmodel.Table{Name: "unit", Key: []string{"id"}, Columns: []string{"id", "estate", "code", "purpose", "area", "titles"}},
	Fields: func(r *unitRow) []any { return []any{&r.id, &r.estate, &r.code, &r.use, &r.area, &r.titles} },
}

type titleKey struct{ unit, person string }

type titleRow struct {
	titleKey
	since string
}

var titleTable = readmodel.Map[titleKey, titleRow]{
	Table:  readmodel.Table{Name: "title", Key: []string{"unit", "person"}, Columns: []string{"unit", "person", "since"}},
	Fields: func(r *titleRow) []any { return []any{&r.unit, &r.person, &r.since} },
	Key:    func(k titleKey) []any { return []any{k.unit, k.person} },
}

type agreementRow struct {
	id, estate, starts, ends string
	active                   int64
	rates                    string
}

var agreementTable = readmodel.Map[string, agreementRow]{
	Table:  readmodel.Table{Name: "agreement", Key: []string{"id"}, Columns: []string{"id", "estate", "starts", "ends", "active", "rates"}},
	Fields: func(r *agreementRow) []any { return []any{&r.id, &r.estate, &r.starts, &r.ends, &r.active, &r.rates} },
}

type budgetKey struct {
	estate string
	year   int
}

type budgetRow struct {
	budgetKey
	lines, decided string
}

var budgetTable = readmodel.Map[budgetKey, budgetRow]{
	Table:  readmodel.Table{Name: "budget", Key: []string{"estate", "year"}, Columns: []string{"estate", "year", "lines", "decided"}},
	Fields: func(r *budgetRow) []any { return []any{&r.estate, &r.year, &r.lines, &r.decided} },
	Key:    func(k budgetKey) []any { return []any{k.estate, k.year} },
}

// monthKey names a month of an estate, dayKey a day.
type monthKey struct {
	estate string
	period units.Month
}

type dayKey struct {
	estate string
	day    units.Day
}

var closedTable = readmodel.Map[monthKey, monthKey]{
	Table:  readmodel.Table{Name: "closed", Key: []string{"estate", "period"}, Columns: []string{"estate", "period"}},
	Fields: func(r *monthKey) []any { return []any{&r.estate, &r.period} },
	Key:    func(k monthKey) []any { return []any{k.estate, k.period} },
}

type entryRow struct {
	id, estate, kind, number, voucher                                           string
	day                                                                         units.Day
	month                                                                       units.Month
	direction, category                                                         string
	amount                                                                      units.Fen
	payments                                                                    int
	words, counterparty, attachment, corrects, reverses, reversedBy, whyRefused string
}

var entryTable = readmodel.Map[string, entryRow]{
	Table: readmodel.Table{Name: "entry", Key: []string{"id"}, Columns: []string{
		"id", "estate", "kind", "number", "voucher", "day", "month", "direction", "category", "amount", "payments",
		"words", "counterparty", "attachment", "corrects", "reverses", "reversed_by", "refused",
	}},
	Fields: func(r *entryRow) []any {
		return []any{
			&r.id, &r.estate, &r.kind, &r.number, &r.voucher, &r.day, &r.month, &r.direction, &r.category, &r.amount, &r.payments,
			&r.words, &r.counterparty, &r.attachment, &r.corrects, &r.reverses, &r.reversedBy, &r.whyRefused,
		}
	},
}

type postedRow struct {
	dayKey
	periods  string
	suspense units.Fen
}

var postedTable = readmodel.Map[dayKey, postedRow]{
	Table:  readmodel.Table{Name: "posted", Key: []string{"estate", "day"}, Columns: []string{"estate", "day", "periods", "suspense"}},
	Fields: func(r *postedRow) []any { return []any{&r.estate, &r.day, &r.periods, &r.suspense} },
	Key:    func(k dayKey) []any { return []any{k.estate, k.day} },
}

type totalKey struct {
	monthKey
	day units.Day
}

type totalRow struct {
	totalKey
	amount   units.Fen
	payments int
}

var totalTable = readmodel.Map[totalKey, totalRow]{
	Table: readmodel.Table{
		Name: "posted_total", Key: []string{"estate", "period", "day"}, Columns: []string{"estate", "period", "day", "amount", "payments"},
	},
	Fields: func(r *totalRow) []any { return []any{&r.estate, &r.period, &r.day, &r.amount, &r.payments} },
	Key:    func(k totalKey) []any { return []any{k.estate, k.period, k.day} },
}

type billsRow struct {
	monthKey
	agreement string
	units     int
	total     units.Fen
	hash      string
}

var billsTable = readmodel.Map[monthKey, billsRow]{
	Table: readmodel.Table{
		Name: "bills", Key: []string{"estate", "period"}, Columns: []string{"estate", "period", "agreement", "units", "total", "hash"},
	},
	Fields: func(r *billsRow) []any {
		return []any{&r.estate, &r.period, &r.agreement, &r.units, &r.total, &r.hash}
	},
	Key: func(k monthKey) []any { return []any{k.estate, k.period} },
}

var billTable = readmodel.Table{Name: "bill", Key: []string{"estate", "unit", "period"}, Columns: []string{"estate", "unit", "period", "amount"}}

type movementKey struct {
	id string
	n  int64
}

type movementRow struct {
	movementKey
	estate, stream, kind, reference, unit string
	period                                units.Month
	day                                   units.Day
	amount                                units.Fen
	channel                               string
	suspense, shared                      int64
}

var paymentTable = readmodel.Map[movementKey, movementRow]{
	Table: readmodel.Table{Name: "payment", Key: []string{"id", "n"}, Columns: []string{
		"id", "n", "estate", "stream", "kind", "reference", "unit", "period", "day", "amount", "channel", "suspense", "shared",
	}},
	Fields: func(r *movementRow) []any {
		return []any{
			&r.id, &r.n, &r.estate, &r.stream, &r.kind, &r.reference, &r.unit, &r.period, &r.day, &r.amount, &r.channel, &r.suspense, &r.shared,
		}
	},
	Key: func(k movementKey) []any { return []any{k.id, k.n} },
}

type heldRow struct {
	id, estate string
	day        units.Day // on which it was received
}

var heldTable = readmodel.Map[string, heldRow]{
	Table:  readmodel.Table{Name: "held", Key: []string{"id"}, Columns: []string{"id", "estate", "day"}},
	Fields: func(r *heldRow) []any { return []any{&r.id, &r.estate, &r.day} },
}

type receivedKey struct {
	dayKey
	suspense int64
	period   units.Month
}

type receivedRow struct {
	receivedKey
	amount   units.Fen
	payments int
}

var receivedTable = readmodel.Map[receivedKey, receivedRow]{
	Table: readmodel.Table{
		Name: "received", Key: []string{"estate", "day", "suspense", "period"}, Columns: []string{"estate", "day", "suspense", "period", "amount", "payments"},
	},
	Fields: func(r *receivedRow) []any {
		return []any{&r.estate, &r.day, &r.suspense, &r.period, &r.amount, &r.payments}
	},
	Key: func(k receivedKey) []any { return []any{k.estate, k.day, k.suspense, k.period} },
}

// Kinds of a payment's movements.
const (
	received   = "received"
	released   = "released"   // out of suspense
	attributed = "attributed" // into a month
	refunded   = "refunded"
)

// PaymentField is the vault's name of what is sealed of a payment.
const PaymentField = "payment"

// folding is one transaction.
type folding struct {
	*Tables
	ctx        context.Context
	tx         *readmodel.Tx
	estates    *readmodel.Rows[string, estateRow]
	units      *readmodel.Rows[string, unitRow]
	titles     *readmodel.Rows[titleKey, titleRow]
	agreements *readmodel.Rows[string, agreementRow]
	budgets    *readmodel.Rows[budgetKey, budgetRow]
	closed     *readmodel.Rows[monthKey, monthKey]
	entries    *readmodel.Rows[string, entryRow]
	posted     *readmodel.Rows[dayKey, postedRow]
	totals     *readmodel.Rows[totalKey, totalRow]
	bills      *readmodel.Rows[monthKey, billsRow]
	payments   *readmodel.Rows[movementKey, movementRow]
	held       *readmodel.Rows[string, heldRow]
	received   *readmodel.Rows[receivedKey, receivedRow]
	draws      *readmodel.Rows[string, drawRow]
	decisions  reactions.Folding
}

func (b *Tables) fold(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	f := &folding{
		b, ctx, tx, estateTable.In(tx), unitTable.In(tx), titleTable.In(tx), agreementTable.In(tx), budgetTable.In(tx), closedTable.In(tx),
		entryTable.In(tx), postedTable.In(tx), totalTable.In(tx), billsTable.In(tx), paymentTable.In(tx), heldTable.In(tx), receivedTable.In(tx),
		drawTable.In(tx), follows.In(tx),
	}
	for _, r := range events {
		var err error
		switch {
		case strings.HasPrefix(r.Stream, registry.UnitStream), strings.HasPrefix(r.Stream, registry.EstateStream):
			err = decoded(registry.Codec, r, f.registry)
		case strings.HasPrefix(r.Stream, agreements.AgreementStream):
			err = decoded(agreements.Codec, r, f.agreement)
		case strings.HasPrefix(r.Stream, votes.MeetingStream), strings.HasPrefix(r.Stream, ledger.ReactionStream):
			err = f.decisions.Others(r)
		default:
			err = decoded(finance.Codec, r, f.money)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func decoded[E any](c codec.Codec[E], r es.Recorded, then func(es.Recorded, E) error) error {
	event, err := c.Decode(r.Type, r.Data)
	if err == nil {
		err = then(r, event)
	}
	if err != nil {
		return fmt.Errorf("board: %s: %w", r.Type, err)
	}
	return nil
}

func (f *folding) registry(r es.Recorded, event registry.Event) error {
	unit := func(estate, id string, u registry.Unit) {
		row := f.units.Edit(id)
		row.id, row.estate, row.code, row.use, row.area = id, estate, u.Code, u.Use, u.Area
		if row.titles == "" {
			row.titles = "{}"
		}
	}
	switch e := event.(type) {
	case registry.EstateFounded:
		f.estates.Put(e.Estate, estateRow{id: e.Estate, fee: finance.DefaultFeeCategory})
	case registry.EstateSet:
		if e.FeeCategory != "" {
			f.estates.Edit(e.Estate).fee = e.FeeCategory
		}
	case registry.UnitRegistered:
		unit(e.Estate, e.ID, e.Unit)
	case registry.UnitCorrected:
		unit(e.Estate, e.ID, e.Unit)
	case registry.TitlesStated:
		return f.title(e.ID, e.Titles, "")
	case registry.TitlesCorrected:
		meta, err := es.ParseMeta(r.Meta)
		if err != nil {
			return err
		}
		return f.title(e.ID, e.Titles, string(units.DayOf(meta.Happened)))
	default: // people and tokens
	}
	return nil
}

// title keeps since when each owner has a title: who came later does not see
// what the one before paid and owed.
func (f *folding) title(id string, titles []registry.Title, since string) error {
	row := f.units.Edit(id)
	before := map[string]string{}
	if row.titles != "" {
		if err := json.Unmarshal([]byte(row.titles), &before); err != nil {
			return err
		}
	}
	now := map[string]string{}
	for _, t := range titles {
		from, had := before[t.Person]
		if !had {
			from = since
		}
		now[t.Person] = from
		k := titleKey{id, t.Person}
		f.titles.Put(k, titleRow{k, from})
	}
	for person := range before {
		if _, still := now[person]; !still {
			f.titles.Delete(titleKey{id, person})
		}
	}
	text, err := json.Marshal(now)
	row.id, row.titles = id, string(text)
	return err
}

func (f *folding) agreement(_ es.Recorded, event agreements.Event) error {
	switch e := event.(type) {
	case agreements.AgreementProposed:
		rates, err := json.Marshal(e.Rates)
		f.agreements.Put(e.Agreement, agreementRow{e.Agreement, e.Estate, string(e.Starts), string(e.Ends), 0, string(rates)})
		return err
	case agreements.AgreementActivated:
		f.agreements.Edit(e.Agreement).active = 1
	case agreements.AgreementEnded:
		a := f.agreements.Edit(e.Agreement)
		a.ends = min(a.ends, string(e.On))
	default: // posting and signing make nobody owe anything
	}
	return nil
}

func (f *folding) isClosed(estate string, m units.Month) bool {
	_, closed := f.closed.Get(monthKey{estate, m})
	return closed
}

// refuse says why an entry does not count: it stands after the closing of its
// month in the ledger.
func (f *folding) refuse(estate string, m units.Month) string {
	if f.isClosed(estate, m) {
		return books.ErrPeriodClosed.Code
	}
	return ""
}

func (f *folding) money(r es.Recorded, event finance.Event) error {
	switch e := event.(type) {
	case finance.BudgetPosted:
		return f.budget(e.Estate, e.Year, e)
	case finance.BudgetRevised:
		return f.budget(e.Estate, e.Year, e)
	case finance.BudgetLineDecided:
		return errors.Join(f.budget(e.Estate, e.Year, e), f.decisions.Done(r))
	case finance.DrawOpened:
		return errors.Join(f.draw(e.Draw, e), f.decisions.Done(r))
	case finance.DrawPaid:
		return f.draw(e.Draw, e)
	case finance.DrawReversed:
		return f.draw(e.Draw, e)
	case finance.PeriodClosed:
		k := monthKey{e.Estate, e.Period}
		f.closed.Put(k, k)
	case finance.OpeningBalanceStated:
		id := "opening/" + e.Estate
		f.entries.Put(id, entryRow{
			id: id, estate: e.Estate, kind: KindOpening, day: e.On, month: e.On.Month(), amount: e.Amount, attachment: e.Attachment,
			whyRefused: f.refuse(e.Estate, e.On.Month()),
		})
	case finance.VoucherPosted:
		f.entries.Put(e.Voucher, entryRow{
			id: e.Voucher, estate: e.Estate, kind: KindVoucher, number: e.Number, voucher: e.Voucher, day: e.Date, month: e.Date.Month(),
			direction: e.Direction, category: e.Category, amount: e.Amount, words: e.Text, counterparty: e.Counterparty, attachment: e.Attachment,
			corrects: e.Corrects, whyRefused: f.refuse(e.Estate, e.Date.Month()),
		})
	case finance.VoucherReversed:
		f.reversal(e)
	case finance.CollectionPosted:
		return f.collection(e)
	case finance.BillsRaised:
		return f.raised(e)
	case finance.PaymentReceived:
		return f.payment(r, e.Payment, e.Estate, e.Received, e.Sealed, func(m movementRow, _ finance.Payment) {
			m.kind, m.channel = received, e.Channel
			if e.Suspense {
				m.suspense = 1
				f.held.Put(e.Payment, heldRow{e.Payment, e.Estate, m.day})
			}
			if e.Shared {
				m.shared = 1
			}
			f.move(m)
		})
	case finance.PaymentAttributed:
		// It counts on the day it was received, as long as that can be.
		day := e.On
		if held, ok := f.held.Get(e.Payment); ok && !f.isClosed(e.Estate, held.day.Month()) {
			day = held.day
		}
		return f.payment(r, e.Payment, e.Estate, day, e.Sealed, func(m movementRow, p finance.Payment) {
			f.held.Delete(e.Payment)
			m.kind = attributed
			f.move(m)
			m.n, m.kind, m.suspense, m.unit, m.period, m.amount = m.n-1, released, 1, "", "", -p.Amount
			f.move(m)
		})
	case finance.PaymentRefunded:
		return f.payment(r, e.Payment, e.Estate, e.On, e.Sealed, func(m movementRow, _ finance.Payment) {
			m.kind = refunded
			if _, held := f.held.Get(e.Payment); held {
				m.suspense = 1
			}
			f.move(m)
		})
	}
	return nil
}

func (f *folding) budget(estate string, year int, event finance.Event) error {
	k := budgetKey{estate, year}
	row, ok := f.budgets.Get(k)
	if !ok {
		row = budgetRow{k, "null", "[]"}
	}
	var b books.Budget
	if err := errors.Join(json.Unmarshal([]byte(row.lines), &b.Lines), json.Unmarshal([]byte(row.decided), &b.Decided)); err != nil {
		return err
	}
	b = books.EvolveBudget(b, event)
	lines, err := json.Marshal(b.Lines)
	if err != nil {
		return err
	}
	decided, err := json.Marshal(b.Decided)
	f.budgets.Put(k, budgetRow{k, string(lines), string(decided)})
	return err
}

func (f *folding) reversal(e finance.VoucherReversed) {
	v := f.entries.Edit(e.Voucher)
	id := e.Voucher + "/reversal"
	r := entryRow{
		id: id, estate: v.estate, kind: KindReversal, number: e.Number, voucher: e.Voucher, day: e.Date, month: e.Date.Month(),
		direction: v.direction, category: v.category, amount: -v.amount, words: e.Reason, counterparty: v.counterparty, reverses: v.number,
		whyRefused: f.refuse(v.estate, e.Date.Month()),
	}
	if r.whyRefused == "" {
		r.whyRefused = v.whyRefused // nothing to take back
		v.reversedBy = e.Number
	}
	f.entries.Put(id, r)
}

// collection replaces what was posted for the day before.
func (f *folding) collection(e finance.CollectionPosted) error {
	k := dayKey{e.Estate, e.Day}
	if before, ok := f.posted.Get(k); ok {
		var periods []finance.PeriodTotal
		if err := json.Unmarshal([]byte(before.periods), &periods); err != nil {
			return err
		}
		for _, p := range periods {
			f.totals.Delete(totalKey{monthKey{e.Estate, p.Period}, e.Day})
		}
	}
	day := entryRow{estate: e.Estate, number: string(e.Day), day: e.Day, month: e.Day.Month()}
	income, suspense := day, day
	income.id, income.kind, income.direction = "collection/"+e.Estate+"/"+string(e.Day), KindCollection, finance.Income
	suspense.id, suspense.kind, suspense.category, suspense.amount = "suspense/"+e.Estate+"/"+string(e.Day), KindSuspense, Suspense, e.Suspense
	for _, p := range e.Periods {
		k := totalKey{monthKey{e.Estate, p.Period}, e.Day}
		f.totals.Put(k, totalRow{k, p.Amount, p.Payments})
		income.amount += p.Amount
		income.payments += p.Payments
	}
	f.entries.Put(income.id, income)
	f.entries.Put(suspense.id, suspense)
	if len(e.Periods) == 0 {
		f.entries.Delete(income.id)
	}
	if e.Suspense == 0 {
		f.entries.Delete(suspense.id)
	}
	text, err := json.Marshal(e.Periods)
	f.posted.Put(k, postedRow{k, string(text), e.Suspense})
	return err
}

// raised reads the bills of a month from their blob, which was on disk before
// the event.
func (f *folding) raised(e finance.BillsRaised) error {
	if f.isClosed(e.Estate, e.Period) {
		return nil
	}
	k := monthKey{e.Estate, e.Period}
	if before, ok := f.bills.Get(k); ok && before.hash == e.Bills {
		return nil
	}
	f.bills.Put(k, billsRow{k, e.Agreement, e.Units, e.Total, e.Bills})
	if f.public {
		return nil
	}
	data, err := f.blobs.Get(f.ctx, e.Bills)
	if err != nil && !errors.Is(err, blobs.ErrNotFound) && !errors.Is(err, blobs.ErrDamaged) {
		return fmt.Errorf("%w: %w", readmodel.ErrPassing, err) // the bucket is away
	}
	if err != nil {
		return err
	}
	var l books.Listing
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	if _, err := f.tx.Exec(f.ctx, `DELETE FROM bill WHERE estate = ? AND period = ?`, e.Estate, e.Period); err != nil {
		return err
	}
	rows := make([][]any, len(l.Bills))
	for i, b := range l.Bills {
		rows[i] = []any{e.Estate, b.Unit, string(e.Period), int64(b.Amount)}
	}
	return f.tx.Upsert(f.ctx, billTable, rows)
}

// payment opens what is sealed. An entry that stands after the closing of its
// month counts on the day it was recorded: money is never refused. One that
// cannot be opened does not stop the rest: its key was destroyed or lost, or it
// was never a payment. No totals of its estate are posted from then on.
func (f *folding) payment(r es.Recorded, id, estate string, day units.Day, sealed codec.Sealed, then func(movementRow, finance.Payment)) error {
	plain, err := f.vault.Open(f.ctx, vault.EstateKey(estate), PaymentField, string(sealed))
	if err != nil && !errors.Is(err, vault.ErrNoKey) && !errors.Is(err, vault.ErrCannotOpen) {
		return err
	}
	var p finance.Payment
	if err == nil && json.Unmarshal(plain, &p) != nil {
		err = errors.New("what is sealed is no payment") // the error of JSON would quote it
	}
	if err != nil {
		if row := f.estates.Edit(estate); row.unreadable == 0 {
			row.unreadable = 1
			f.log.ErrorContext(f.ctx, "a payment cannot be opened, so no totals of its estate are posted any more", slog.String("estate", estate),
				slog.String("stream", r.Stream), slog.Uint64("revision", r.Revision), slog.Any("error", err))
		}
		return nil
	}
	if f.isClosed(estate, day.Month()) {
		day = units.DayOf(r.Created)
	}
	then(movementRow{
		movementKey: movementKey{id, 2*int64(r.Revision) + 1}, estate: estate, stream: r.Stream[len(finance.PaymentStream):],
		reference: p.Reference, unit: p.Unit, period: p.Period, day: day, amount: p.Amount,
	}, p)
	return nil
}

func (f *folding) move(m movementRow) {
	f.payments.Put(m.movementKey, m)
	k := receivedKey{dayKey{m.estate, m.day}, m.suspense, m.period}
	if m.suspense == 1 {
		k.period = ""
	}
	sum := f.received.Edit(k)
	sum.receivedKey = k
	sum.amount += m.amount
	if m.kind == received || m.kind == attributed {
		sum.payments++
	}
}
