// Package board is the read model of an estate's money: what is public (budget,
// entries, posted totals, bills) and, opened with the estate's key, single
// payments for those they belong to.
//
// Public figures come from public events alone, so anyone can work them out
// again. A payment moves none of them before its day's totals are posted.
package board

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Kinds of entries.
const (
	KindVoucher    = "voucher"
	KindReversal   = "reversal"
	KindCollection = "collection" // all payments of a day, as posted
	KindOpening    = "opening"
	KindSuspense   = "suspense" // what a day brought into suspense, less what left it
)

// Suspense is the category (科目) of money that cannot be attributed.
const Suspense = "暂收待查"

const projection = "finance"

// Prefixes of the streams that are followed.
var Prefixes = slices.Concat([]string{registry.EstateStream, registry.UnitStream, agreements.AgreementStream}, follows.Prefixes(), finance.Categories)

// Board answers queries as the ledger is now.
type Board struct {
	*readmodel.Runner
	*Tables
	past *readmodel.Past[*Tables]
}

// Tables answer queries, as of now or as of a position.
type Tables struct {
	db     readmodel.Querier
	vault  *vault.Vault
	blobs  service.Blobs
	log    *slog.Logger
	public bool // single payments and bills are not in them
}

// Config is what a Board is made of.
type Config struct {
	DB    *readmodel.DB
	Store es.Store
	Vault *vault.Vault  // opens payments
	Blobs service.Blobs // holds bills
	Log   *slog.Logger
}

// New prepares the tables; Run of the board's Runner fills them.
func New(ctx context.Context, c Config) (*Board, error) {
	tables, p, err := build(ctx, c.DB, c, false)
	if err != nil {
		return nil, err
	}
	past := readmodel.NewPast(c.Store, func(ctx context.Context, db *readmodel.DB) (*Tables, readmodel.Projection, error) {
		return build(ctx, db, c, true)
	})
	return &Board{readmodel.NewRunner(c.DB, c.Store, c.Log, p), tables, past}, nil
}

func build(ctx context.Context, db *readmodel.DB, c Config, public bool) (*Tables, readmodel.Projection, error) {
	t := &Tables{db: db, vault: c.Vault, blobs: c.Blobs, log: c.Log, public: public}
	p := readmodel.Projection{
		Name: projection, Prefixes: Prefixes, Fold: t.fold,
		Tables: []string{
			"estate", "unit", "title", "agreement", "budget", "closed", "entry", "posted", "posted_total", "bills", "bill", "payment", "held", "received",
			"draw", reactions.Table,
		},
	}
	if public {
		p.Prefixes = slices.DeleteFunc(slices.Clone(Prefixes), func(prefix string) bool { return prefix == finance.PaymentStream })
	}
	return t, p, db.Migrate(ctx, migrations)
}

// At returns the tables that answer for an estate as of a position, public
// figures alone; 0 is now. See lookback.At.
func (b *Board) At(ctx context.Context, estate string, at es.Position) (lookback.View[*Tables], error) {
	return lookback.At(ctx, b.Runner, b.Tables, b.past, estate, at, lookback.OfEstate(estate))
}

// Now calls f with tables in which all that is recorded now is folded, of one
// state, and their position in the ledger. See readmodel.Runner.Current.
func (b *Board) Now(ctx context.Context, f func(t *Tables, at es.Position) error) error {
	return b.Current(ctx, func(tx *readmodel.Tx) error {
		at, err := tx.Checkpoint(ctx, projection)
		if err != nil {
			return err
		}
		now := *b.Tables
		now.db = tx
		return f(&now, at)
	})
}

// Estates lists the ids of all estates.
func (b *Tables) Estates(ctx context.Context) (list []string, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		list = append(list, id)
		return err
	}, `SELECT id FROM estate ORDER BY id`)
	return list, err
}

// Estate returns what decides who owes what, or estates.ErrNoSuchEstate.
func (b *Tables) Estate(ctx context.Context, id string) (books.Estate, error) {
	e := books.Estate{ID: id, Closed: map[units.Month]bool{}}
	err := b.db.QueryRow(ctx, `SELECT fee_category FROM estate WHERE id = ?`, id).Scan(&e.FeeCategory)
	if errors.Is(err, sql.ErrNoRows) {
		return e, estates.ErrNoSuchEstate
	}
	if err != nil {
		return e, err
	}
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var a books.Agreement
		var rates string
		if err := rows.Scan(&a.ID, &a.Starts, &a.Ends, &rates); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(rates), &a.Rates)
		e.Agreements = append(e.Agreements, a)
		return err
	}, `SELECT id, starts, ends, rates FROM agreement WHERE estate = ? AND active = 1 ORDER BY starts, id`, id); err != nil {
		return e, err
	}
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var l books.Budget
		var lines, decided string
		if err := rows.Scan(&l.Year, &lines, &decided); err != nil {
			return err
		}
		err := errors.Join(json.Unmarshal([]byte(lines), &l.Lines), json.Unmarshal([]byte(decided), &l.Decided))
		e.Budgets = append(e.Budgets, l)
		return err
	}, `SELECT year, lines, decided FROM budget WHERE estate = ? ORDER BY year`, id); err != nil {
		return e, err
	}
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var m units.Month
		err := rows.Scan(&m)
		e.Closed[m] = true
		return err
	}, `SELECT period FROM closed WHERE estate = ?`, id)
	return e, err
}

// Units lists an estate's units by code.
func (b *Tables) Units(ctx context.Context, estate string) (list []books.Unit, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var u books.Unit
		err := rows.Scan(&u.Code, &u.Use, &u.Area)
		list = append(list, u)
		return err
	}, `SELECT code, purpose, area FROM unit WHERE estate = ? ORDER BY code`, estate)
	return list, err
}

// Unit returns a unit; false where there is none of this code.
func (b *Tables) Unit(ctx context.Context, estate, code string) (u books.Unit, ok bool, err error) {
	err = b.db.QueryRow(ctx, `SELECT code, purpose, area FROM unit WHERE estate = ? AND code = ?`, estate, code).Scan(&u.Code, &u.Use, &u.Area)
	if errors.Is(err, sql.ErrNoRows) {
		return u, false, nil
	}
	return u, err == nil, err
}

// Period is what was billed and collected for a month.
type Period struct {
	Period    units.Month `json:"period"`
	Billed    units.Fen   `json:"billed_fen"`
	Collected units.Fen   `json:"collected_fen" doc:"For this month, whenever it came; by the totals posted"`
	Rate      Percent     `json:"rate_percent_1dp" doc:"Collected ÷ billed, rounded half up to one decimal"`
	Units     int         `json:"units" doc:"How many units were billed"`
	Agreement string      `json:"agreement,omitempty" doc:"By whose rates"`
	Bills     string      `json:"bills_sha256,omitempty" doc:"Every unit's bill, under /blobs"`
	Closed    bool        `json:"closed,omitempty"`
	Entries   string      `json:"entries" doc:"Where the daily totals are"`
}

// Collection lists an estate's months that were billed or paid for.
func (b *Tables) Collection(ctx context.Context, e books.Estate) ([]Period, error) {
	months := map[units.Month]*Period{}
	month := func(m units.Month) *Period {
		if months[m] == nil {
			months[m] = &Period{Period: m, Closed: e.Closed[m]}
		}
		return months[m]
	}
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var r billsRow
		err := rows.Scan(&r.period, &r.agreement, &r.units, &r.total, &r.hash)
		p := month(r.period)
		p.Agreement, p.Units, p.Billed, p.Bills = r.agreement, r.units, r.total, r.hash
		return err
	}, `SELECT period, agreement, units, total, hash FROM bills WHERE estate = ? AND units > 0`, e.ID); err != nil {
		return nil, err
	}
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var m units.Month
		var sum units.Fen
		err := rows.Scan(&m, &sum)
		month(m).Collected = sum
		return err
	}, `SELECT period, SUM(amount) FROM posted_total WHERE estate = ? GROUP BY period`, e.ID); err != nil {
		return nil, err
	}
	list := make([]Period, 0, len(months))
	for _, m := range slices.Sorted(maps.Keys(months)) {
		p := *months[m]
		p.Rate = Percent(units.PermilleHalfUp(int64(p.Collected), int64(p.Billed)))
		list = append(list, p)
	}
	return list, nil
}

// Line is plan against actual of one line of a budget.
type Line struct {
	Direction string      `json:"direction"`
	Category  string      `json:"category"`
	Planned   units.Fen   `json:"planned_fen" doc:"0 where the budget has no such line"`
	Actual    units.Fen   `json:"actual_fen"`
	From      units.Month `json:"from,omitempty"`
	To        units.Month `json:"to,omitempty"`
	Entries   string      `json:"entries" doc:"Where the entries behind it are"`

	Decision *finance.Decision `json:"decision,omitempty" doc:"Of the owners' assembly, which set the line; absent: it was posted with the budget"`
}

// Year is a year's budget and what became of it.
type Year struct {
	Year        int       `json:"year"`
	Items       []Line    `json:"items"`
	Opening     units.Fen `json:"opening_fen" doc:"What was there when the year began"`
	Income      units.Fen `json:"income_fen"`
	Expenditure units.Fen `json:"expenditure_fen"`
	Balance     units.Fen `json:"balance_fen" doc:"opening + income − expenditure (结余)"`
	Suspense    units.Fen `json:"suspense_fen" doc:"Received and not attributed: in no line (暂收待查)"`
	Years       []int     `json:"years" doc:"Those with a budget or an entry"`
}

// sum is what counts of one month, direction and category.
type sum struct {
	kind                string
	month               units.Month
	direction, category string
	amount              units.Fen
}

// Budget returns plan against actual of a year; year 0 is the latest.
func (b *Tables) Budget(ctx context.Context, e books.Estate, year int) (Year, error) {
	var sums []sum
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var s sum
		err := rows.Scan(&s.kind, &s.month, &s.direction, &s.category, &s.amount)
		if s.kind == KindCollection {
			s.category = e.FeeCategory
		}
		sums = append(sums, s)
		return err
	}, `SELECT kind, month, direction, category, SUM(amount) FROM entry WHERE estate = ? AND refused = ''
		GROUP BY kind, month, direction, category ORDER BY direction, category, month, kind`, e.ID); err != nil {
		return Year{}, err
	}
	y := Year{Year: year, Items: []Line{}, Years: []int{}}
	for _, budget := range e.Budgets {
		y.Years = append(y.Years, budget.Year)
	}
	for _, s := range sums {
		y.Years = append(y.Years, e.Year(s.month))
	}
	slices.Sort(y.Years)
	y.Years = slices.Compact(y.Years)
	if year == 0 && len(y.Years) > 0 {
		y.Year = y.Years[len(y.Years)-1]
	}
	for _, l := range e.Budget(y.Year).Effective() {
		y.Items = append(y.Items, Line{Direction: l.Direction, Category: l.Category, Planned: l.Planned, From: l.From, To: l.To, Decision: l.Decision})
	}
	planned := len(y.Items)
	for _, s := range sums {
		y.add(s, e.Year(s.month))
	}
	slices.SortStableFunc(y.Items[planned:], func(a, b Line) int { return -cmp.Compare(a.Direction, b.Direction) })
	y.Balance = y.Opening + y.Income - y.Expenditure
	return y, nil
}

// add counts a sum that belongs to the budget of a year.
func (y *Year) add(s sum, year int) {
	signed := s.amount
	if s.direction == finance.Expenditure {
		signed = -signed
	}
	switch {
	case year > y.Year:
	case s.kind == KindSuspense:
		y.Suspense += s.amount
	case s.kind == KindOpening, year < y.Year:
		y.Opening += signed
	case s.direction == finance.Income:
		y.Income += s.amount
		y.line(s).Actual += s.amount
	default:
		y.Expenditure += s.amount
		y.line(s).Actual += s.amount
	}
}

// line returns the line that a sum belongs to: of several for its category the
// one for its month, else the first; where there is none a new one.
func (y *Year) line(s sum) *Line {
	first := -1
	for i, l := range y.Items {
		if l.Direction != s.direction || l.Category != s.category {
			continue
		}
		if l.From <= s.month && s.month <= l.To {
			return &y.Items[i]
		}
		if first < 0 {
			first = i
		}
	}
	if first < 0 {
		first = len(y.Items)
		y.Items = append(y.Items, Line{Direction: s.direction, Category: s.category})
	}
	return &y.Items[first]
}

// Entry is one movement behind a public number.
type Entry struct {
	ID           string    `json:"id" doc:"For after"`
	Kind         string    `json:"kind" enum:"voucher,reversal,collection,opening,suspense"`
	Number       string    `json:"number"`
	Voucher      string    `json:"voucher,omitempty" doc:"Id, of the voucher or of the one reversed"`
	Estate       string    `json:"estate"`
	Date         units.Day `json:"date"`
	Direction    string    `json:"direction"`
	Category     string    `json:"category"`
	Amount       units.Fen `json:"amount_fen" doc:"Negative for a reversal"`
	Payments     int       `json:"payments,omitempty" doc:"How many a collection is of"`
	Text         string    `json:"text"`
	Counterparty string    `json:"counterparty"`
	Attachment   string    `json:"attachment_sha256,omitempty"`
	Corrects     string    `json:"corrects,omitempty" doc:"Number of the entry this one replaces"`
	Reverses     string    `json:"reverses,omitempty" doc:"Number of the entry this one takes back"`
	ReversedBy   string    `json:"reversed_by,omitempty" doc:"Number of the entry that takes this one back"`
	SameAs       []string  `json:"same_attachment_as,omitempty" doc:"Numbers of other vouchers with the same attachment: have a look"`
	Refused      string    `json:"refused,omitempty" doc:"Why it does not count, e.g. period-closed"`
}

// Filter says which entries are asked for; what is empty does not filter.
type Filter struct {
	Year                int
	Direction, Category string
	Period              units.Month // the daily totals for this month
	After               string
	Limit               int
}

// Entries lists an estate's entries, the earliest first. What was held in
// suspense is listed only where that category is asked for.
func (b *Tables) Entries(ctx context.Context, e books.Estate, f Filter) ([]Entry, error) {
	if f.Period != "" {
		return b.daily(ctx, e, f)
	}
	where := []string{"estate = ?", "category <> ?"}
	args := []any{e.ID, Suspense}
	add := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if f.Category == Suspense {
		where, args = []string{"estate = ?", "category = ?"}, []any{e.ID, Suspense}
	} else if f.Category != "" {
		add("(category = ? OR kind = ? AND ? = ?)", f.Category, KindCollection, f.Category, e.FeeCategory)
	}
	if f.Direction != "" {
		add("direction = ?", f.Direction)
	}
	if f.Year != 0 {
		months, err := b.months(ctx, e, f.Year)
		if err != nil || len(months) == 0 {
			return []Entry{}, err
		}
		add("month IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(months)), ", ")+")", months...)
	}
	if f.After != "" {
		add("(day, number, id) > (SELECT day, number, id FROM entry WHERE id = ?)", f.After)
	}
	return b.entries(ctx, e, strings.Join(where, " AND ")+" ORDER BY day, number, id LIMIT ?", append(args, f.Limit)...)
}

// months returns the months with entries that belong to a year.
func (b *Tables) months(ctx context.Context, e books.Estate, year int) (list []any, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var m units.Month
		err := rows.Scan(&m)
		if e.Year(m) == year {
			list = append(list, string(m))
		}
		return err
	}, `SELECT DISTINCT month FROM entry WHERE estate = ?`, e.ID)
	return list, err
}

func (b *Tables) entries(ctx context.Context, e books.Estate, where string, args ...any) ([]Entry, error) {
	list := []Entry{}
	if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var r entryRow
		err := rows.Scan(entryTable.Fields(&r)...)
		if r.kind == KindCollection {
			r.category = e.FeeCategory
		}
		list = append(list, Entry{
			ID: r.id, Kind: r.kind, Number: r.number, Voucher: r.voucher, Estate: r.estate, Date: r.day, Direction: r.direction, Category: r.category,
			Amount: r.amount, Payments: r.payments, Text: r.words, Counterparty: r.counterparty, Attachment: r.attachment,
			Corrects: r.corrects, Reverses: r.reverses, ReversedBy: r.reversedBy, Refused: r.whyRefused,
		})
		return err
	}, "SELECT "+strings.Join(entryTable.Table.Columns, ", ")+" FROM entry WHERE "+where, args...); err != nil {
		return nil, err
	}
	return list, b.flag(ctx, e.ID, list)
}

// flag tells of each entry the others with the same attachment.
func (b *Tables) flag(ctx context.Context, estate string, list []Entry) error {
	hashes := map[string][]string{}
	for _, entry := range list {
		if entry.Attachment != "" {
			hashes[entry.Attachment] = nil
		}
	}
	for rest := slices.Sorted(maps.Keys(hashes)); len(rest) > 0; rest = rest[min(len(rest), 500):] {
		args := []any{estate}
		for _, h := range rest[:min(len(rest), 500)] {
			args = append(args, h)
		}
		if err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
			var hash, number string
			err := rows.Scan(&hash, &number)
			hashes[hash] = append(hashes[hash], number)
			return err
		}, `SELECT attachment, number FROM entry WHERE estate = ? AND kind = 'voucher' AND attachment <> '' AND attachment IN (`+
			strings.TrimSuffix(strings.Repeat("?, ", len(args)-1), ", ")+`) ORDER BY number`, args...); err != nil {
			return err
		}
	}
	for i, entry := range list {
		for _, number := range hashes[entry.Attachment] {
			if number != entry.Number {
				list[i].SameAs = append(list[i].SameAs, number)
			}
		}
	}
	return nil
}

// daily lists the daily totals for a month, which may have come at any time.
func (b *Tables) daily(ctx context.Context, e books.Estate, f Filter) ([]Entry, error) {
	list := []Entry{}
	prefix := "collection/" + e.ID + "/"
	err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		entry := Entry{Kind: KindCollection, Estate: e.ID, Direction: finance.Income, Category: e.FeeCategory}
		err := rows.Scan(&entry.Date, &entry.Amount, &entry.Payments)
		entry.Number, entry.ID = string(entry.Date), prefix+string(entry.Date)
		list = append(list, entry)
		return err
	}, `SELECT day, amount, payments FROM posted_total WHERE estate = ? AND period = ? AND day > ? ORDER BY day LIMIT ?`,
		e.ID, string(f.Period), strings.TrimPrefix(f.After, prefix), f.Limit)
	return list, err
}

// Voucher returns a voucher and the entry that reversed it, if one did, or
// books.ErrNoSuchVoucher.
func (b *Tables) Voucher(ctx context.Context, id string) (Entry, *Entry, error) {
	var estate string
	err := b.db.QueryRow(ctx, `SELECT estate FROM entry WHERE id = ? AND kind = 'voucher'`, id).Scan(&estate)
	if errors.Is(err, sql.ErrNoRows) {
		return Entry{}, nil, books.ErrNoSuchVoucher
	}
	if err != nil {
		return Entry{}, nil, err
	}
	list, err := b.entries(ctx, books.Estate{ID: estate}, `voucher = ? ORDER BY CASE WHEN kind = 'voucher' THEN 0 ELSE 1 END`, id)
	if err != nil {
		return Entry{}, nil, err
	}
	if len(list) > 1 {
		return list[0], &list[1], nil
	}
	return list[0], nil, nil
}

// Numbered returns the ids of the entries with a number: that of a voucher, and
// reversals.
func (b *Tables) Numbered(ctx context.Context, estate, voucher, number string) (ids []string, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM entry WHERE id = ? UNION SELECT id FROM entry WHERE estate = ? AND kind = 'reversal' AND number = ?`, voucher, estate, number)
	return ids, err
}
