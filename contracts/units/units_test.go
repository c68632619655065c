package units_test

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

func TestParseAmounts(t *testing.T) {
	for _, test := range []struct {
		text string
		want units.Fen
		err  error
	}{
		{"0", 0, nil}, {"0.00", 0, nil}, {"1570.00", 157000, nil}, {"80.9", 8090, nil}, {"-80.91", -8091, nil}, {"007", 700, nil},
		{"-0.01", -1, nil}, {"10000000000000.00", 1e15, nil},
		{"10000000000000.01", 0, units.ErrTooLarge}, {"99999999999999999999", 0, units.ErrTooLarge},
		{"1.005", 0, units.ErrDecimals}, {"0.000", 0, units.ErrDecimals},
		{"", 0, units.ErrNumber}, {"-", 0, units.ErrNumber}, {"--1", 0, units.ErrNumber}, {"+1", 0, units.ErrNumber}, {".5", 0, units.ErrNumber},
		{"5.", 0, units.ErrNumber}, {"1.2.3", 0, units.ErrNumber}, {"1,570.00", 0, units.ErrNumber}, {"1e3", 0, units.ErrNumber},
		{" 1", 0, units.ErrNumber}, {"壹", 0, units.ErrNumber}, {"１", 0, units.ErrNumber}, {"0x1", 0, units.ErrNumber}, {"NaN", 0, units.ErrNumber},
	} {
		got, err := units.ParseFen(test.text)
		if !errors.Is(err, test.err) || err == nil && got != test.want {
			t.Errorf("%q: got %d, %v; want %d, %v", test.text, got, err, test.want, test.err)
		}
	}
	if got, err := units.ParseRate("1.2555"); err != nil || got != 12555 {
		t.Errorf("rate: %d, %v", got, err)
	}
	if _, err := units.ParseRate("1.25555"); !errors.Is(err, units.ErrDecimals) {
		t.Errorf("rate of five decimals: %v", err)
	}
	if got, err := units.ParseCentiM2("89.90"); err != nil || got != 8990 {
		t.Errorf("area: %d, %v", got, err)
	}
}

func TestString(t *testing.T) {
	for got, want := range map[string]string{
		units.Fen(-8091).String(): "-80.91", units.Fen(0).String(): "0.00", units.Fen(5).String(): "0.05", units.Fen(-5).String(): "-0.05",
		units.CentiM2(8800473).String(): "88004.73",
		units.Rate(9000).String():       "0.90", units.Rate(12550).String(): "1.255", units.Rate(12555).String(): "1.2555", units.Rate(500000).String(): "50.00",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		n := random.Int64N(2e15) - 1e15
		if got, err := units.ParseFen(units.Fen(n).String()); err != nil || got != units.Fen(n) {
			t.Fatalf("fen %d: %d, %v", n, got, err)
		}
		if got, err := units.ParseCentiM2(units.CentiM2(n).String()); err != nil || got != units.CentiM2(n) {
			t.Fatalf("area %d: %d, %v", n, got, err)
		}
		if got, err := units.ParseRate(units.Rate(n).String()); err != nil || got != units.Rate(n) {
			t.Fatalf("rate %d: %d, %v", n, got, err)
		}
	}
}

func TestFeeOfAMonth(t *testing.T) {
	for _, test := range []struct {
		rate, area string
		want       units.Fen
	}{
		{"0.90", "89.90", 8091}, // 1-1-101 of the estate pays 80.91
		{"0.90", "81.30", 7317},
		{"1.255", "100.00", 12550},
		{"0.90", "0.05", 5}, // 4.5 fen: a half goes up
		{"0.90", "0.01", 1}, // 0.9 fen
		{"0.0049", "100.00", 49},
		{"0", "89.90", 0},
	} {
		rate, _ := units.ParseRate(test.rate)
		area, _ := units.ParseCentiM2(test.area)
		if got := rate.ForArea(area); got != test.want {
			t.Errorf("%s ㎡ at %s: %d, want %d", test.area, test.rate, got, test.want)
		}
	}
	parking, _ := units.ParseRate("50.00")
	if got := parking.ForPieces(3); got != 15000 {
		t.Errorf("3 pieces: %d", got)
	}
	if got := units.Rate(50).ForPieces(1); got != 1 { // half a fen
		t.Errorf("half a fen: %d", got)
	}
}

// Rounding must agree with exact rational arithmetic, for every sign.
func TestRoundingIsHalfAwayFromZero(t *testing.T) {
	exact := func(part, whole, scale int64) int64 {
		doubled := new(big.Int).Mul(big.NewInt(part), big.NewInt(2*scale))
		w := big.NewInt(whole)
		if w.Sign() < 0 {
			doubled.Neg(doubled)
			w.Neg(w)
		}
		negative := doubled.Sign() < 0
		doubled.Abs(doubled)
		q := doubled.Add(doubled, w)
		q.Quo(q, w.Mul(w, big.NewInt(2)))
		if negative {
			q.Neg(q)
		}
		return q.Int64()
	}
	random := rand.New(rand.NewPCG(3, 4))
	check := func(part, whole, scale int64) {
		if got, want := units.RatioHalfUp(part, whole, scale), exact(part, whole, scale); got != want {
			t.Fatalf("%d/%d in 1/%d: got %d, want %d", part, whole, scale, got, want)
		}
	}
	for range 50_000 {
		whole := random.Int64N(1e12) - 5e11
		if whole == 0 {
			continue
		}
		check(random.Int64N(1e12)-5e11, whole, 1000)
	}
	for part := int64(-40); part <= 40; part++ { // the halves themselves
		for whole := int64(-16); whole <= 16; whole++ {
			if whole != 0 {
				check(part, whole, 1)
				check(part, whole, 10)
			}
		}
	}
	check(9e15, 1, 1000)
	check(1, 9e18, 1) // 2 × whole would not fit
}

func TestRates(t *testing.T) {
	for _, test := range []struct{ part, whole, want int64 }{
		{633616, 8585937, 74}, {1922558, 8585937, 224}, {7155874, 8585937, 833}, // the estate's collection rates
		{0, 5, 0}, {5, 5, 1000}, {5, 0, 0}, {0, 0, 0}, {1, 2000, 1}, {1, 2001, 0}, {-1, 2000, -1},
	} {
		if got := units.PermilleHalfUp(test.part, test.whole); got != test.want {
			t.Errorf("%d of %d: %d, want %d", test.part, test.whole, got, test.want)
		}
	}
}

func TestDaysAndMonths(t *testing.T) {
	late := time.Date(2022, 12, 31, 16, 0, 0, 0, time.UTC) // midnight in Shanghai
	if d, m := units.DayOf(late), units.MonthOf(late); d != "2023-01-01" || m != "2023-01" {
		t.Errorf("day %s, month %s", d, m)
	}
	if d := units.DayOf(late.Add(-time.Nanosecond)); d != "2022-12-31" {
		t.Errorf("a moment before: %s", d)
	}
	if got := units.Day("2023-01-01").Start(); !got.Equal(late) {
		t.Errorf("start %s", got)
	}
	for _, d := range []units.Day{"", "2023", "2023-02-30"} {
		if !d.Start().IsZero() {
			t.Errorf("%q starts at %s", d, d.Start())
		}
	}
	if m := units.Day("2023-01-31").Month(); m != "2023-01" {
		t.Errorf("month %s", m)
	}
	if m := units.Day("x").Month(); m != "x" {
		t.Errorf("month %s", m)
	}
	for m, want := range map[units.Month]units.Month{"2022-07": "2022-08", "2022-12": "2023-01", "": "", "2022-13": ""} {
		if got := m.Next(); got != want {
			t.Errorf("after %q: %q", m, got)
		}
	}
	for text, ok := range map[string]bool{
		"2022-07-21": true, "2024-02-29": true, "2023-02-29": false, "2022-7-21": false, "2022-07": false, "22-07-21": false,
		"2022-07-21 ": false, "2022/07/21": false, "": false, "2022-00-01": false,
	} {
		if _, err := units.ParseDay(text); (err == nil) != ok || err != nil && !errors.Is(err, units.ErrNotADay) {
			t.Errorf("day %q: %v", text, err)
		}
	}
	for text, ok := range map[string]bool{"2022-07": true, "2022-13": false, "2022-00": false, "2022-7": false, "2022-07-01": false, "": false} {
		if _, err := units.ParseMonth(text); (err == nil) != ok || err != nil && !errors.Is(err, units.ErrNotAMonth) {
			t.Errorf("month %q: %v", text, err)
		}
	}
}

// Days of an estate's life sort as they follow each other.
func TestDaysCompareAsStrings(t *testing.T) {
	at := units.Day("1990-01-01").Start()
	last := units.DayOf(at)
	for range 40_000 {
		at = at.AddDate(0, 0, 1)
		day := units.DayOf(at)
		if day <= last || day.Month() < last.Month() || !day.Start().Equal(at) {
			t.Fatalf("%s after %s", day, last)
		}
		if m := last.Month(); day.Month() != m && day.Month() != m.Next() {
			t.Fatalf("%s follows %s", day.Month(), m)
		}
		last = day
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"-80.91", "0", "", "1e9", "9223372036854775807", "2022-07-21", "2022-07", "１.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := units.ParseFen(s); err == nil {
			if again, err := units.ParseFen(n.String()); err != nil || again != n {
				t.Fatalf("%q is %s, which is %s, %v", s, n, again, err)
			}
		}
		if r, err := units.ParseRate(s); err == nil {
			if again, err := units.ParseRate(r.String()); err != nil || again != r {
				t.Fatalf("%q is %s, which is %s, %v", s, r, again, err)
			}
		}
		if d, err := units.ParseDay(s); err == nil && units.DayOf(d.Start()) != d {
			t.Fatalf("%q is %s, which is %s", s, d, units.DayOf(d.Start()))
		}
		if m, err := units.ParseMonth(s); err == nil && m.Next() <= m && m < "9999-12" {
			t.Fatalf("after %q comes %q", s, m.Next())
		}
	})
}

func TestAPeriodOfMonthsAndYears(t *testing.T) {
	for _, c := range []struct {
		name                string
		from                string
		years, months, days int
		want                string
	}{
		{"Civil Code art. 202: the same day of the last month", "2026-01-15 10:00", 0, 3, 0, "2026-04-15 10:00"},
		{"Civil Code art. 202: three months after 30 November", "2026-11-30 18:00", 0, 3, 0, "2027-02-28 18:00"},
		{"Civil Code art. 202: before a leap day", "2027-11-30 18:00", 0, 3, 0, "2028-02-29 18:00"},
		{"Civil Code art. 202: a month after 31 January", "2026-01-31 09:00", 0, 1, 0, "2026-02-28 09:00"},
		{"Civil Code art. 202: a year after a leap day", "2028-02-29 00:00", 1, 0, 0, "2029-02-28 00:00"},
		{"Civil Code art. 202: four years after one", "2028-02-29 00:00", 4, 0, 0, "2032-02-29 00:00"},
		{"over the year's end", "2026-10-31 12:00", 0, 4, 0, "2027-02-28 12:00"},
		{"days after the months", "2026-11-30 18:00", 0, 3, 5, "2027-03-05 18:00"},
		{"days alone", "2026-02-27 18:00", 0, 0, 3, "2026-03-02 18:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			at := func(text string) time.Time {
				parsed, err := time.ParseInLocation("2006-01-02 15:04", text, units.Shanghai)
				if err != nil {
					t.Fatal(err)
				}
				return parsed
			}
			if got := units.After(at(c.from).UTC(), c.years, c.months, c.days); !got.Equal(at(c.want)) {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// Months end in the month that they lead to, whatever day they begin on.
func TestMonthsNeverLeadIntoTheMonthBehind(t *testing.T) {
	for day := time.Date(2026, 1, 1, 23, 30, 0, 0, units.Shanghai); day.Year() < 2030; day = day.AddDate(0, 0, 1) {
		want := units.MonthOf(day)
		for months := range 15 {
			if got := units.MonthOf(units.After(day, 0, months, 0)); got != want {
				t.Fatalf("%s + %d months: in %s, want %s", units.DayOf(day), months, got, want)
			}
			want = want.Next()
		}
	}
}
