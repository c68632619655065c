package board

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
)

// Unposted lists the days through a last one whose totals are not posted as
// they stand now. An estate whose payments can no longer be opened has none.
func (b *Tables) Unposted(ctx context.Context, estate string, from, through units.Day) ([]finance.CollectionPosted, error) {
	var unreadable int
	err := b.db.QueryRow(ctx, `SELECT unreadable FROM estate WHERE id = ?`, estate).Scan(&unreadable)
	if errors.Is(err, sql.ErrNoRows) || unreadable == 1 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var days []finance.CollectionPosted
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var r receivedRow
		if err := rows.Scan(&r.day, &r.suspense, &r.period, &r.amount, &r.payments); err != nil {
			return err
		}
		if len(days) == 0 || days[len(days)-1].Day != r.day {
			days = append(days, finance.CollectionPosted{Estate: estate, Day: r.day, Periods: []finance.PeriodTotal{}})
		}
		d := &days[len(days)-1]
		if r.suspense == 1 {
			d.Suspense = r.amount
		} else {
			d.Periods = append(d.Periods, finance.PeriodTotal{Period: r.period, Amount: r.amount, Payments: r.payments})
		}
		return nil
	}, `SELECT day, suspense, period, amount, payments FROM received WHERE estate = ? AND day >= ? AND day <= ? ORDER BY day, suspense, period`,
		estate, string(from), string(through)); err != nil {
		return nil, err
	}
	posted := map[units.Day]finance.CollectionPosted{}
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var c finance.CollectionPosted
		var periods string
		if err := rows.Scan(&c.Day, &periods, &c.Suspense); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(periods), &c.Periods)
		posted[c.Day] = c
		return err
	}, `SELECT day, periods, suspense FROM posted WHERE estate = ?`, estate); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(days, func(d finance.CollectionPosted) bool { return books.SameTotals(d, posted[d.Day]) }), nil
}

// Payment is one payment, for those who may see it.
type Payment struct {
	ID        string      `json:"id"`
	Estate    string      `json:"estate"`
	Received  units.Day   `json:"received"`
	Reference string      `json:"reference"`
	Unit      string      `json:"unit" doc:"Code"`
	Period    units.Month `json:"period" doc:"Month it pays for"`
	Amount    units.Fen   `json:"amount_fen"`
	Refunded  units.Fen   `json:"refunded_fen,omitempty" doc:"What was paid back of it"`
	Channel   string      `json:"channel"`
	Suspense  bool        `json:"suspense" doc:"Held until it is known what it is for"`
	Shared    bool        `json:"shared,omitempty" doc:"Another came under this reference before"`
	Stream    string      `json:"-"`
}

const movementColumns = `p.id, p.n, p.estate, p.stream, p.kind, p.reference, p.unit, p.period, p.day, p.amount, p.channel, p.suspense, p.shared`

// payments puts movements, ordered by payment and n, together.
func (b *Tables) payments(ctx context.Context, query string, args ...any) ([]Payment, error) {
	list := []Payment{}
	err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var m movementRow
		if err := rows.Scan(paymentTable.Fields(&m)...); err != nil {
			return err
		}
		if m.kind == received {
			list = append(list, Payment{
				ID: m.id, Estate: m.estate, Received: m.day, Reference: m.reference, Unit: m.unit, Period: m.period, Amount: m.amount,
				Channel: m.channel, Suspense: m.suspense == 1, Shared: m.shared == 1, Stream: m.stream,
			})
			return nil
		}
		p := &list[len(list)-1]
		switch m.kind {
		case attributed:
			p.Unit, p.Period, p.Suspense = m.unit, m.period, false
		case refunded:
			p.Refunded -= m.amount
		}
		return nil
	}, query, args...)
	return list, err
}

// Payment returns a payment, or books.ErrNoSuchPayment.
func (b *Tables) Payment(ctx context.Context, id string) (Payment, error) {
	list, err := b.payments(ctx, `SELECT `+movementColumns+` FROM payment p WHERE p.id = ? ORDER BY p.n`, id)
	if err == nil && len(list) == 0 {
		err = books.ErrNoSuchPayment
	}
	if err != nil {
		return Payment{}, err
	}
	return list[0], nil
}

// Which says which payments are asked for; what is empty does not filter.
type Which struct {
	Day      units.Day
	Suspense bool // only those held
	Shared   bool // only those that came under a reference with another
	After    string
	Limit    int
}

// Payments lists an estate's payments, the earliest first.
func (b *Tables) Payments(ctx context.Context, estate string, w Which) ([]Payment, error) {
	one := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return b.payments(ctx, `SELECT `+movementColumns+` FROM payment p JOIN (
			SELECT day, id FROM payment r WHERE r.estate = ? AND r.kind = 'received' AND (? = '' OR r.day = ?)
				AND (? = 0 OR r.id IN (SELECT id FROM held WHERE estate = ?)) AND (? = 0 OR r.shared = 1)
				AND (? = '' OR (r.day, r.id) > (SELECT day, id FROM payment WHERE id = ? AND kind = 'received'))
			ORDER BY r.day, r.id LIMIT ?) w ON w.id = p.id ORDER BY w.day, w.id, p.n`,
		estate, string(w.Day), string(w.Day), one(w.Suspense), estate, one(w.Shared), w.After, w.After, w.Limit)
}

// Identity is what a payment is known by.
type Identity struct {
	Reference, Unit string
	Period          units.Month
}

// Attributed returns the amounts of an estate's payments that were moved out of
// suspense, by what they are known by now.
func (b *Tables) Attributed(ctx context.Context, estate string) (map[Identity]units.Fen, error) {
	found := map[Identity]units.Fen{}
	err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var i Identity
		var amount units.Fen
		err := rows.Scan(&i.Reference, &i.Unit, &i.Period, &amount)
		found[i] = amount
		return err
	}, `SELECT a.reference, a.unit, a.period, r.amount FROM payment a JOIN payment r ON r.id = a.id AND r.kind = 'received'
		WHERE a.estate = ? AND a.kind = 'attributed'`, estate)
	return found, err
}

// Own is a unit's bill for a month, with what was paid for it.
type Own struct {
	Estate string      `json:"estate"`
	Unit   string      `json:"unit" doc:"Code"`
	Period units.Month `json:"period"`
	Billed units.Fen   `json:"billed_fen"`
	Paid   units.Fen   `json:"paid_fen"`
}

// OwnBills lists the bills of a person's units, the latest first.
func (b *Tables) OwnBills(ctx context.Context, person string) ([]Own, error) {
	list := []Own{}
	err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var o Own
		err := rows.Scan(&o.Estate, &o.Unit, &o.Period, &o.Billed, &o.Paid)
		list = append(list, o)
		return err
	}, `SELECT u.estate, u.code, l.period, l.amount,
			(SELECT COALESCE(SUM(p.amount), 0) FROM payment p WHERE p.estate = u.estate AND p.unit = u.code AND p.period = l.period AND p.suspense = 0)
		FROM title t JOIN unit u ON u.id = t.unit JOIN bill l ON l.estate = u.estate AND l.unit = u.code
		WHERE t.person = ? AND l.period || '-31' >= t.since ORDER BY l.period DESC, u.estate, u.code`, person)
	return list, err
}

// OwnPayments lists the payments for a person's units, the latest first.
func (b *Tables) OwnPayments(ctx context.Context, person string) ([]Payment, error) {
	list, err := b.payments(ctx, `SELECT `+movementColumns+` FROM payment p JOIN (
			SELECT m.id, MIN(m.day) AS day FROM title t JOIN unit u ON u.id = t.unit
				JOIN payment m ON m.estate = u.estate AND m.unit = u.code AND m.day >= t.since AND m.kind IN ('received', 'attributed')
			WHERE t.person = ? GROUP BY m.id) w ON w.id = p.id ORDER BY w.day DESC, p.id, p.n`, person)
	if err != nil {
		return nil, err
	}
	own := map[[2]string]bool{}
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var unit [2]string
		err := rows.Scan(&unit[0], &unit[1])
		own[unit] = true
		return err
	}, `SELECT u.estate, u.code FROM title t JOIN unit u ON u.id = t.unit WHERE t.person = ?`, person); err != nil {
		return nil, err
	}
	// One that came for another's unit by mistake has been attributed since.
	return slices.DeleteFunc(list, func(p Payment) bool { return !own[[2]string{p.Estate, p.Unit}] }), nil
}

// Arrears are what a unit owes for the months that have begun.
type Arrears struct {
	Estate  string        `json:"estate"`
	Unit    string        `json:"unit" doc:"Code"`
	Owed    units.Fen     `json:"owed_fen"`
	Periods []units.Month `json:"periods" doc:"Months not paid in full, the latest first"`
}

// OwnArrears lists the units of a person that owe something. What was paid too
// much for a month does not pay for another.
func (b *Tables) OwnArrears(ctx context.Context, person string) ([]Arrears, error) {
	bills, err := b.OwnBills(ctx, person)
	if err != nil {
		return nil, err
	}
	list := []Arrears{}
	for _, o := range bills {
		if o.Paid >= o.Billed {
			continue
		}
		i := slices.IndexFunc(list, func(a Arrears) bool { return a.Estate == o.Estate && a.Unit == o.Unit })
		if i < 0 {
			i = len(list)
			list = append(list, Arrears{Estate: o.Estate, Unit: o.Unit})
		}
		list[i].Owed += o.Billed - o.Paid
		list[i].Periods = append(list[i].Periods, o.Period)
	}
	return list, nil
}
