package board_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// now is when everything is recorded.
var now = time.Date(2022, 9, 15, 8, 0, 0, 0, units.Shanghai)

// system is a board that follows a ledger of its own.
type system struct {
	testing.TB
	store *pebblestore.Store
	vault *vault.Vault
	blobs *blobs.Bucket
	board *board.Board
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := &system{TB: t}
	dir := t.TempDir()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	s.store, err = pebblestore.Open(pebblestore.Config{Dir: "ledger", FS: vfs.NewMem(), Clock: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler)})
	must(err)
	t.Cleanup(func() { must(s.store.Close()) })
	s.vault, err = vault.Open(t.Context(), vault.Config{URL: "sqlite://" + dir + "/vault.db", KeyFile: dir + "/key"})
	must(err)
	t.Cleanup(func() { must(s.vault.Close()) })
	s.blobs, err = blobs.Open(t.Context(), "file://"+t.TempDir())
	must(err)
	t.Cleanup(func() { must(s.blobs.Close()) })
	db := servicetest.Database(t, dir+"/finance.db")
	s.board, err = board.New(t.Context(), board.Config{DB: db, Store: s.store, Vault: s.vault, Blobs: s.blobs, Log: slog.New(slog.DiscardHandler)})
	must(err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.board.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// record appends an event to its stream.
func record[E any](s *system, c codec.Codec[E], stream string, event E) {
	s.Helper()
	name, data, err := c.Encode(event)
	if err != nil {
		s.Fatal(err)
	}
	meta, err := json.Marshal(es.Meta{Happened: now})
	if err != nil {
		s.Fatal(err)
	}
	var length uint64
	for range s.store.Read(s.Context(), stream, 0) {
		length++
	}
	if _, err := s.store.Append(s.Context(), stream, length, es.Proposed{ID: uuid.New(), Type: name, Data: data, Meta: meta}); err != nil {
		s.Fatal(err)
	}
}

func (s *system) money(stream string, e finance.Event) {
	s.Helper()
	record(s, finance.Codec, stream, e)
}

func (s *system) follow() {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	if err := s.board.WaitFor(ctx, s.store.Head()); err != nil {
		s.Fatal(err)
	}
}

// estate founds an estate.
func (s *system) estate() string {
	s.Helper()
	id := uuid.NewString()
	record[registry.Event](s, registry.Codec, registry.EstateStream+id, registry.EstateFounded{Estate: id, Name: "秀山花园"})
	return id
}

func (s *system) seal(estate string, p finance.Payment) codec.Sealed {
	s.Helper()
	text, err := json.Marshal(p)
	if err != nil {
		s.Fatal(err)
	}
	sealed, err := s.vault.Seal(s.Context(), vault.EstateKey(estate), board.PaymentField, text, 384)
	if err != nil {
		s.Fatal(err)
	}
	return codec.Sealed(sealed)
}

func (s *system) year(estate string, year int) board.Year {
	s.Helper()
	s.follow()
	e, err := s.board.Estate(s.Context(), estate)
	if err != nil {
		s.Fatal(err)
	}
	y, err := s.board.Budget(s.Context(), e, year)
	if err != nil {
		s.Fatal(err)
	}
	return y
}

func (s *system) entries(estate string, f board.Filter) []board.Entry {
	s.Helper()
	s.follow()
	e, err := s.board.Estate(s.Context(), estate)
	if err != nil {
		s.Fatal(err)
	}
	f.Limit = 1000
	list, err := s.board.Entries(s.Context(), e, f)
	if err != nil {
		s.Fatal(err)
	}
	return list
}

// Clerks who post, post again and reverse at will: whatever they try, the
// balance is that of the entries that stand.
func TestPostingAndReversingLeavesTheBalance(t *testing.T) {
	s := newSystem(t)
	rapid.Check(t, func(t *rapid.T) {
		estate := s.estate()
		state := map[string]books.Voucher{}
		known := books.Books{Today: "2022-09-15"}
		for range rapid.IntRange(1, 12).Draw(t, "commands") {
			id := estate + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "voucher")
			var cmd es.Command[books.Voucher, finance.Event] = books.ReverseVoucher{
				Number: id + rapid.SampledFrom([]string{"1", "2"}).Draw(t, "number"), Date: "2022-08-01", Reason: "x", Books: known,
			}
			if rapid.Bool().Draw(t, "post") {
				cmd = books.PostVoucher{Books: known, VoucherPosted: finance.VoucherPosted{
					Voucher: id, Estate: estate, Number: id, Date: "2022-07-01", Category: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "category"),
					Direction: rapid.SampledFrom([]string{finance.Income, finance.Expenditure}).Draw(t, "direction"),
					Amount:    units.Fen(rapid.IntRange(-9, 9).Draw(t, "amount")),
				}}
			}
			events, _ := cmd.Decide(state[id]) // a refusal records nothing
			for _, e := range events {
				state[id] = books.EvolveVoucher(state[id], e)
				s.money(finance.VoucherStream+id, e)
			}
		}
		var want units.Fen
		for _, v := range state {
			switch {
			case v.Posted == nil || v.Reversed != nil:
			case v.Posted.Direction == finance.Income:
				want += v.Posted.Amount
			default:
				want -= v.Posted.Amount
			}
		}
		if y := s.year(estate, 2022); y.Balance != want || y.Balance != y.Opening+y.Income-y.Expenditure {
			t.Fatalf("the balance is %+v, what stands is %d", y, want)
		}
	})
}

// paid is what became of one payment.
type paid struct {
	Payment  string
	Day      units.Day
	Sealed   finance.Payment
	Suspense bool
	Refund   units.Fen
	To       units.Month // attributed to it; "": never
}

func TestTheOrderOfPaymentsNeverMatters(t *testing.T) {
	s := newSystem(t)
	months := []units.Month{"2022-07", "2022-08"}
	rapid.Check(t, func(t *rapid.T) {
		list := make([]paid, rapid.IntRange(1, 8).Draw(t, "payments"))
		for i := range list {
			p := paid{
				Payment: fmt.Sprint(i), Day: rapid.SampledFrom([]units.Day{"2022-07-21", "2022-08-01"}).Draw(t, "day"),
				Suspense: rapid.Bool().Draw(t, "suspense"), Refund: units.Fen(rapid.IntRange(0, 3).Draw(t, "refund")),
				Sealed: finance.Payment{Reference: "r", Unit: "1-101", Period: rapid.SampledFrom(months).Draw(t, "period"), Amount: units.Fen(rapid.IntRange(3, 9).Draw(t, "amount"))},
			}
			if p.Suspense && rapid.Bool().Draw(t, "attribute") {
				p.To = rapid.SampledFrom(months).Draw(t, "to")
			}
			list[i] = p
		}
		totals := func(list []paid) []finance.CollectionPosted {
			estate := s.estate()
			for _, p := range list {
				s.pay(estate, p)
			}
			s.follow()
			days, err := s.board.Unposted(s.Context(), estate, "", "2022-12-31")
			if err != nil {
				t.Fatal(err)
			}
			for i := range days {
				days[i].Estate = ""
			}
			return days
		}
		if a, b := totals(list), totals(rapid.Permutation(list).Draw(t, "other order")); !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v\n%+v", a, b)
		}
	})
}

// pay records a payment and all that became of it.
func (s *system) pay(estate string, p paid) {
	s.Helper()
	id := estate + p.Payment
	stream := finance.PaymentStream + id
	s.money(stream, finance.PaymentReceived{Payment: id, Estate: estate, Received: p.Day, Suspense: p.Suspense, Sealed: s.seal(estate, p.Sealed)})
	if p.To != "" {
		p.Sealed.Period = p.To
		s.money(stream, finance.PaymentAttributed{Payment: id, Estate: estate, On: "2022-09-01", Sealed: s.seal(estate, p.Sealed)})
	}
	if p.Refund > 0 {
		p.Sealed.Amount = -p.Refund
		s.money(stream, finance.PaymentRefunded{Payment: id, Estate: estate, On: "2022-09-02", Reason: "x", Sealed: s.seal(estate, p.Sealed)})
	}
}

func TestTotalsOfPayments(t *testing.T) {
	s := newSystem(t)
	of := func(unit string, period units.Month, amount units.Fen) finance.Payment {
		return finance.Payment{Reference: "r", Unit: unit, Period: period, Amount: amount}
	}
	day := func(d units.Day, suspense units.Fen, periods ...finance.PeriodTotal) finance.CollectionPosted {
		return finance.CollectionPosted{Day: d, Suspense: suspense, Periods: append([]finance.PeriodTotal{}, periods...)}
	}
	for _, c := range []struct {
		name   string
		closed []units.Month // before
		paid   []paid
		want   []finance.CollectionPosted
	}{
		{name: "by day and month paid for",
			paid: []paid{{Payment: "a", Day: "2022-08-01", Sealed: of("x", "2022-07", 5)}, {Payment: "b", Day: "2022-08-01", Sealed: of("x", "2022-08", 6)},
				{Payment: "c", Day: "2022-08-01", Sealed: of("y", "2022-08", 7)}},
			want: []finance.CollectionPosted{day("2022-08-01", 0, finance.PeriodTotal{Period: "2022-07", Amount: 5, Payments: 1}, finance.PeriodTotal{Period: "2022-08", Amount: 13, Payments: 2})}},
		{name: "what is held is on a line of its own",
			paid: []paid{{Payment: "a", Day: "2022-08-01", Suspense: true, Sealed: of("?", "2022-07", 5)}, {Payment: "b", Day: "2022-08-01", Suspense: true, Sealed: of("?", "2022-08", 5)}},
			want: []finance.CollectionPosted{day("2022-08-01", 10)}},
		{name: "once attributed it counts on the day it came",
			paid: []paid{{Payment: "a", Day: "2022-08-01", Suspense: true, Sealed: of("?", "2022-07", 5), To: "2022-08"}},
			want: []finance.CollectionPosted{day("2022-08-01", 0, finance.PeriodTotal{Period: "2022-08", Amount: 5, Payments: 1})}},
		{name: "what is paid back counts on the day it is",
			paid: []paid{{Payment: "a", Day: "2022-08-01", Sealed: of("x", "2022-07", 5), Refund: 2}},
			want: []finance.CollectionPosted{day("2022-08-01", 0, finance.PeriodTotal{Period: "2022-07", Amount: 5, Payments: 1}), day("2022-09-02", 0, finance.PeriodTotal{Period: "2022-07", Amount: -2})}},
		{name: "what is held and paid back leaves suspense",
			paid: []paid{{Payment: "a", Day: "2022-08-01", Suspense: true, Sealed: of("?", "2022-07", 5), Refund: 5}},
			want: []finance.CollectionPosted{day("2022-08-01", 5), day("2022-09-02", -5)}},
		{name: "a payment recorded after the closing of its month counts on the day it was recorded", closed: []units.Month{"2022-08"},
			paid: []paid{{Payment: "a", Day: "2022-08-01", Sealed: of("x", "2022-07", 5)}},
			want: []finance.CollectionPosted{day("2022-09-15", 0, finance.PeriodTotal{Period: "2022-07", Amount: 5, Payments: 1})}},
	} {
		t.Run(c.name, func(t *testing.T) {
			estate := s.estate()
			for _, m := range c.closed {
				s.money(finance.PeriodStream+estate+string(m), finance.PeriodClosed{Estate: estate, Period: m})
			}
			for _, p := range c.paid {
				s.pay(estate, p)
			}
			s.follow()
			for i := range c.want {
				c.want[i].Estate = estate
			}
			got, err := s.board.Unposted(t.Context(), estate, "", "2022-12-31")
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %+v %v, want %+v", got, err, c.want)
			}
			for _, d := range got {
				s.money(finance.CollectionStream+estate+string(d.Day), d)
			}
			s.follow()
			if left, err := s.board.Unposted(t.Context(), estate, "", "2022-12-31"); err != nil || len(left) > 0 {
				t.Errorf("posted, and yet %+v %v", left, err)
			}
		})
	}
}

func TestAnAttributionAfterTheMonthWasClosedCountsOnItsOwnDay(t *testing.T) {
	s := newSystem(t)
	estate := s.estate()
	p := finance.Payment{Reference: "r", Unit: "x", Period: "2022-07", Amount: 5}
	s.money(finance.PaymentStream+estate, finance.PaymentReceived{Payment: estate, Estate: estate, Received: "2022-07-21", Suspense: true, Sealed: s.seal(estate, p)})
	s.money(finance.PeriodStream+estate, finance.PeriodClosed{Estate: estate, Period: "2022-07"})
	s.money(finance.PaymentStream+estate, finance.PaymentAttributed{Payment: estate, Estate: estate, On: "2022-09-01", Sealed: s.seal(estate, p)})
	s.follow()
	got, err := s.board.Unposted(t.Context(), estate, "", "2022-12-31")
	want := []finance.CollectionPosted{
		{Estate: estate, Day: "2022-07-21", Periods: []finance.PeriodTotal{}, Suspense: 5},
		{Estate: estate, Day: "2022-09-01", Periods: []finance.PeriodTotal{{Period: "2022-07", Amount: 5, Payments: 1}}, Suspense: -5},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %v, want %+v", got, err, want)
	}
}

func TestTheFoldInLedgerOrderDecidesWhatAClosedMonthTakes(t *testing.T) {
	s := newSystem(t)
	estate := s.estate()
	voucher := func(id string, date units.Day, amount units.Fen) finance.VoucherPosted {
		return finance.VoucherPosted{Voucher: estate + id, Estate: estate, Number: id, Date: date, Direction: finance.Expenditure, Category: "x", Amount: amount}
	}
	s.money(finance.VoucherStream+estate+"a", voucher("a", "2022-07-02", 100))
	s.money(finance.PeriodStream+estate, finance.PeriodClosed{Estate: estate, Period: "2022-07"})
	s.money(finance.VoucherStream+estate+"b", voucher("b", "2022-07-03", 10))
	s.money(finance.VoucherStream+estate+"a", finance.VoucherReversed{Voucher: estate + "a", Number: "a1", Date: "2022-07-31", Reason: "x"})
	s.money(finance.VoucherStream+estate+"c", voucher("c", "2022-08-01", 1))
	s.money(finance.BillsStream+estate, finance.BillsRaised{Estate: estate, Period: "2022-07", Units: 1, Total: 5, Bills: "no blob is read"})
	s.money(finance.OpeningStream+estate, finance.OpeningBalanceStated{Estate: estate, On: "2022-07-01", Amount: 1000})
	if y := s.year(estate, 2022); y.Expenditure != 101 || y.Balance != -101 {
		t.Errorf("got %+v", y)
	}
	refused := map[string]string{}
	for _, e := range s.entries(estate, board.Filter{}) {
		refused[e.Number] = e.Refused
		if e.Number == "a" && e.ReversedBy != "" {
			t.Error("a was not reversed")
		}
	}
	if want := map[string]string{"": "period-closed", "a": "", "a1": "period-closed", "b": "period-closed", "c": ""}; !reflect.DeepEqual(refused, want) {
		t.Errorf("got %v", refused)
	}
}

func TestYearsFollowEachOther(t *testing.T) {
	s := newSystem(t)
	estate := s.estate()
	s.money(finance.OpeningStream+estate, finance.OpeningBalanceStated{Estate: estate, On: "2021-12-01", Amount: 1000})
	s.money(finance.BudgetStream+estate, finance.BudgetPosted{Estate: estate, Year: 2022, Lines: []finance.Line{
		{Direction: finance.Income, Category: finance.DefaultFeeCategory, Planned: 70, From: "2021-12", To: "2022-06"},
		{Direction: finance.Expenditure, Category: "x", Planned: 7, From: "2022-01", To: "2022-06"},
		{Direction: finance.Expenditure, Category: "x", Planned: 9, From: "2022-07", To: "2022-12"},
	}})
	for i, v := range []finance.VoucherPosted{
		{Date: "2021-11-30", Direction: finance.Expenditure, Category: "x", Amount: 100},
		{Date: "2022-02-01", Direction: finance.Expenditure, Category: "x", Amount: 5},
		{Date: "2022-08-01", Direction: finance.Expenditure, Category: "x", Amount: 8},
		{Date: "2022-08-02", Direction: finance.Expenditure, Category: "not planned", Amount: 2},
		{Date: "2022-08-03", Direction: finance.Income, Category: "not planned", Amount: 3},
		{Date: "2023-01-01", Direction: finance.Expenditure, Category: "x", Amount: 50},
	} {
		v.Estate, v.Number = estate, fmt.Sprint(i)
		v.Voucher = estate + v.Number
		s.money(finance.VoucherStream+v.Voucher, v)
	}
	s.money(finance.CollectionStream+estate, finance.CollectionPosted{
		Estate: estate, Day: "2021-12-31", Periods: []finance.PeriodTotal{{Period: "2022-01", Amount: 60, Payments: 2}}, Suspense: 4,
	})
	type figures struct {
		opening, income, expenditure, balance, suspense units.Fen
		lines                                           string
	}
	of := func(y board.Year) figures {
		f := figures{y.Opening, y.Income, y.Expenditure, y.Balance, y.Suspense, ""}
		for _, l := range y.Items {
			f.lines += fmt.Sprintf("%s %s %d/%d; ", l.Direction, l.Category, l.Actual, l.Planned)
		}
		return f
	}
	// December 2021 is in the budget of 2022.
	for year, want := range map[int]figures{
		2021: {0, 0, 100, -100, 0, "支出 x 100/0; "},
		2022: {900, 63, 15, 948, 4, "收入 物业服务费 60/70; 支出 x 5/7; 支出 x 8/9; 收入 not planned 3/0; 支出 not planned 2/0; "},
		2023: {948, 0, 50, 898, 4, "支出 x 50/0; "},
	} {
		if got := of(s.year(estate, year)); got != want {
			t.Errorf("%d: got  %+v\nwant %+v", year, got, want)
		}
	}
	if y := s.year(estate, 0); y.Year != 2023 || !reflect.DeepEqual(y.Years, []int{2021, 2022, 2023}) {
		t.Errorf("the latest of %v is %d", y.Years, y.Year)
	}
	if list := s.entries(estate, board.Filter{Year: 2022, Category: finance.DefaultFeeCategory}); len(list) != 1 || list[0].Amount != 60 || list[0].Payments != 2 {
		t.Errorf("got %+v", list)
	}
	if list := s.entries(estate, board.Filter{Period: "2022-01"}); len(list) != 1 || list[0].Amount != 60 {
		t.Errorf("got %+v", list)
	}
	if list := s.entries(estate, board.Filter{Category: board.Suspense}); len(list) != 1 || list[0].Amount != 4 {
		t.Errorf("got %+v", list)
	}
}

func TestASecondPostingOfADayReplacesTheFirst(t *testing.T) {
	s := newSystem(t)
	estate := s.estate()
	post := func(suspense units.Fen, periods ...finance.PeriodTotal) {
		s.money(finance.CollectionStream+estate, finance.CollectionPosted{Estate: estate, Day: "2022-08-01", Periods: periods, Suspense: suspense})
	}
	post(7, finance.PeriodTotal{Period: "2022-07", Amount: 5, Payments: 1}, finance.PeriodTotal{Period: "2022-08", Amount: 5, Payments: 1})
	post(0, finance.PeriodTotal{Period: "2022-08", Amount: 6, Payments: 2})
	if y := s.year(estate, 2022); y.Income != 6 || y.Suspense != 0 {
		t.Errorf("got %+v", y)
	}
	e, err := s.board.Estate(t.Context(), estate)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := s.board.Collection(t.Context(), e); err != nil || len(list) != 1 || list[0].Collected != 6 {
		t.Errorf("got %+v %v", list, err)
	}
	post(0)
	if list := s.entries(estate, board.Filter{}); len(list) != 0 {
		t.Errorf("got %+v", list)
	}
}

func TestAnOwnerSeesWhatCameAfterTheTitle(t *testing.T) {
	s := newSystem(t)
	estate, unit := s.estate(), uuid.NewString()
	stream := registry.UnitStream + unit
	record[registry.Event](s, registry.Codec, stream, registry.UnitRegistered{Estate: estate, ID: unit, Unit: registry.Unit{Code: "1-101", Use: registry.Home, Area: 100}})
	record[registry.Event](s, registry.Codec, stream, registry.TitlesStated{Estate: estate, ID: unit, Code: "1-101", Titles: []registry.Title{{Person: estate + "seller"}, {Person: estate + "spouse"}}})
	record[registry.Event](s, registry.Codec, stream, registry.TitlesCorrected{Estate: estate, ID: unit, Code: "1-101", Titles: []registry.Title{{Person: estate + "buyer"}, {Person: estate + "spouse"}}})
	for _, m := range []units.Month{"2022-07", "2022-09"} {
		l := books.Listing{Estate: estate, Period: m, Bills: []books.Bill{{Unit: "1-101", Amount: 9}}}
		text, err := l.Encode()
		if err != nil {
			t.Fatal(err)
		}
		hash, err := s.blobs.Put(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		s.money(finance.BillsStream+estate+string(m), l.Raise(hash))
		s.pay(estate, paid{Payment: string(m), Day: units.Day(m + "-20"), Sealed: finance.Payment{Reference: "r", Unit: "1-101", Period: m, Amount: 4}})
	}
	s.follow()
	for person, want := range map[string]int{"seller": 0, "spouse": 2, "buyer": 1} { // the title was corrected on 15 September
		bills, err := s.board.OwnBills(t.Context(), estate+person)
		if err != nil {
			t.Fatal(err)
		}
		payments, err := s.board.OwnPayments(t.Context(), estate+person)
		if err != nil {
			t.Fatal(err)
		}
		arrears, err := s.board.OwnArrears(t.Context(), estate+person)
		if err != nil {
			t.Fatal(err)
		}
		var owed units.Fen
		for _, a := range arrears {
			owed += a.Owed
		}
		if len(bills) != want || len(payments) != want || owed != units.Fen(5*want) {
			t.Errorf("the %s sees %d bills, %d payments and owes %d", person, len(bills), len(payments), owed)
		}
	}
}

func TestPercentIsExact(t *testing.T) {
	for permille, want := range map[board.Percent]string{833: "83.3", 1000: "100.0", 74: "7.4", 5: "0.5", 0: "0.0", -12: "-1.2"} {
		if b, err := json.Marshal(permille); err != nil || string(b) != want {
			t.Errorf("%d is %s %v, want %s", int64(permille), b, err, want)
		}
	}
}
