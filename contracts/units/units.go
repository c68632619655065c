// Package units holds the quantities of the ledger as whole numbers with exact
// arithmetic: money, area, rates, days and months. There is no floating point
// in it and none may be added to what it returns.
package units

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fen is money in hundredths of a yuan (分).
type Fen int64

// CentiM2 is an area in hundredths of a square metre (0.01 ㎡).
type CentiM2 int64

// Rate is a price in ten-thousandths of a yuan, for a square metre or for a
// piece, a month: finer than a fen, because rates of 1.255 yuan occur.
type Rate int64

// Errors of the parsers.
var (
	ErrNumber    = errors.New("not a number")
	ErrDecimals  = errors.New("too many decimals")
	ErrTooLarge  = errors.New("too large")
	ErrNotADay   = errors.New("not a date like 2022-07-21")
	ErrNotAMonth = errors.New("not a month like 2022-07")
)

// ParseFen reads yuan with at most two decimals, such as "-80.91".
func ParseFen(s string) (Fen, error) { n, err := decimal(s, 2); return Fen(n), err }

// ParseCentiM2 reads square metres with at most two decimals, such as "89.90".
func ParseCentiM2(s string) (CentiM2, error) { n, err := decimal(s, 2); return CentiM2(n), err }

// ParseRate reads yuan with at most four decimals, such as "0.90".
func ParseRate(s string) (Rate, error) { n, err := decimal(s, 4); return Rate(n), err }

// String returns yuan with two decimals, such as "-80.91".
func (f Fen) String() string { return fixed(int64(f), 2) }

// String returns square metres with two decimals.
func (a CentiM2) String() string { return fixed(int64(a), 2) }

// String returns yuan with two to four decimals, such as "0.90" or "1.255".
func (r Rate) String() string {
	s := fixed(int64(r), 4)
	for range 2 {
		s = strings.TrimSuffix(s, "0")
	}
	return s
}

// ForArea is the fee of an area for a month: area × rate, rounded half up to the fen.
func (r Rate) ForArea(a CentiM2) Fen { return Fen(divHalfUp(int64(a)*int64(r), 10_000)) }

// ForPieces is the fee of n pieces for a month: n × rate, rounded half up to the fen.
func (r Rate) ForPieces(n int64) Fen { return Fen(divHalfUp(n*int64(r), 100)) }

// PermilleHalfUp returns part ÷ whole in tenths of a percent, rounded half up:
// 833 is 83.3 %. It is 0 where whole is 0.
func PermilleHalfUp(part, whole int64) int64 { return RatioHalfUp(part, whole, 1000) }

// RatioHalfUp returns part ÷ whole in units of 1/scale, rounded half up, and 0
// where whole is 0. part × scale must fit 63 bits.
func RatioHalfUp(part, whole, scale int64) int64 {
	if whole == 0 {
		return 0
	}
	return divHalfUp(part*scale, whole)
}

// divHalfUp divides and rounds a half away from zero.
func divHalfUp(a, b int64) int64 {
	if b < 0 {
		a, b = -a, -b
	}
	if a < 0 {
		return -divHalfUp(-a, b)
	}
	q, r := a/b, a%b
	if r >= b-r {
		q++
	}
	return q
}

// decimal reads a plain decimal number as a whole number of 10^-places.
func decimal(s string, places int) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(digits, ".")
	if whole == "" || dotted && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
		return 0, ErrNumber
	}
	if len(fraction) > places {
		return 0, ErrDecimals
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", places-len(fraction)), 10, 64)
	if err != nil || n > 1e15 {
		return 0, ErrTooLarge
	}
	if negative {
		n = -n
	}
	return n, nil
}

func fixed(n int64, places int) string {
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	s := fmt.Sprintf("%0*d", places+1, n)
	return sign + s[:len(s)-places] + "." + s[len(s)-places:]
}

// Day is a calendar day in Asia/Shanghai, such as "2022-07-21". Days compare as strings.
type Day string

// Month is a calendar month, an accounting period (账期), such as "2022-07". Months compare as strings.
type Month string

// Shanghai is the zone of every deadline: UTC+8, no summer time since 1991.
var Shanghai = time.FixedZone("Asia/Shanghai", 8*60*60)

// ParseDay reads a day such as "2022-07-21".
func ParseDay(s string) (Day, error) {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return "", ErrNotADay
	}
	return Day(s), nil
}

// ParseMonth reads a month such as "2022-07".
func ParseMonth(s string) (Month, error) {
	if _, err := time.Parse("2006-01", s); err != nil {
		return "", ErrNotAMonth
	}
	return Month(s), nil
}

// DayOf returns the day of an instant in Shanghai.
func DayOf(t time.Time) Day { return Day(t.In(Shanghai).Format(time.DateOnly)) }

// MonthOf returns the month of an instant in Shanghai.
func MonthOf(t time.Time) Month { return Month(t.In(Shanghai).Format("2006-01")) }

// Month returns the month a day is in.
func (d Day) Month() Month { return Month(d[:min(len(d), 7)]) }

// Start returns the first instant of the day in Shanghai; the zero time where d is no day.
func (d Day) Start() time.Time {
	t, err := time.ParseInLocation(time.DateOnly, string(d), Shanghai)
	if err != nil {
		return time.Time{}
	}
	return t
}

// After returns the instant that lies years, months and then days after t, at the
// same time of day in Shanghai. Where the last month has no such day, its last day
// takes the place: three months after 30 November end in February (Civil Code
// art. 202).
func After(t time.Time, years, months, days int) time.Time {
	t = t.In(Shanghai)
	first := t.AddDate(0, 0, 1-t.Day()).AddDate(years, months, 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1+days)
}

// Next returns the month after m; "" where m is no month.
func (m Month) Next() Month {
	t, err := time.Parse("2006-01", string(m))
	if err != nil {
		return ""
	}
	return Month(t.AddDate(0, 1, 0).Format("2006-01"))
}
