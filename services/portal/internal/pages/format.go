package pages

import (
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Everything a reader sees as a number is written here, from whole numbers only.

const minus = "−" // U+2212: a minus sign, not a hyphen

// Yuan is money with two decimals: 186,041.00, −1,480.00.
func Yuan(f units.Fen) string { return grouped(f.String()) }

// Square is an area in ㎡ with two decimals: 88,004.73.
func Square(a units.CentiM2) string { return grouped(a.String()) }

// Count is a whole number: 1,535.
func Count(n int64) string { return grouped(strconv.FormatInt(n, 10)) }

// grouped sets commas between thousands and a minus sign for a hyphen.
func grouped(s string) string {
	digits, negative := strings.CutPrefix(s, "-")
	whole, rest, decimals := strings.Cut(digits, ".")
	var b strings.Builder
	if negative {
		b.WriteString(minus)
	}
	for i, d := range whole {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	if decimals {
		b.WriteByte('.')
		b.WriteString(rest)
	}
	return b.String()
}

// Headline is an amount for a headline: the number and its unit. From 10,000
// yuan up it is 万元 with one decimal, half up (thousands of yuan in English);
// below, yuan to the fen.
func Headline(l Lang, f units.Fen) (number, unit string) {
	size := f
	if f < 0 {
		size = -f
	}
	const tenThousand = 1_000_000 // fen in 10,000 yuan
	if size < tenThousand {
		return Yuan(f), l.T("元", "yuan")
	}
	tenths := units.RatioHalfUp(int64(size), tenThousand, 10)
	unit = "万元"
	if l == English {
		tenths, unit = units.RatioHalfUp(int64(size), tenThousand/10, 10), "thousand yuan"
	}
	if f < 0 {
		tenths = -tenths
	}
	return scaled(tenths, 1), unit
}

// Short is Headline in one word, for running text.
func Short(l Lang, f units.Fen) string {
	number, unit := Headline(l, f)
	return number + " " + unit
}

// scaled writes n ÷ 10^decimals.
func scaled(n int64, decimals int) string {
	negative := n < 0
	if negative {
		n = -n
	}
	s := strconv.FormatInt(n, 10)
	for len(s) <= decimals {
		s = "0" + s
	}
	s = s[:len(s)-decimals] + "." + s[len(s)-decimals:]
	if negative {
		s = "-" + s
	}
	return grouped(s)
}

// Percent is part of whole in percent, half up with one decimal, without the
// sign; a dash where there is no whole.
func Percent(part, whole int64) string {
	if whole == 0 {
		return "—"
	}
	if part < 0 {
		return minus + scaled(units.PermilleHalfUp(-part, whole), 1)
	}
	return scaled(units.PermilleHalfUp(part, whole), 1)
}

// Share is Percent with its sign.
func Share(part, whole int64) string {
	if whole == 0 {
		return "—"
	}
	return Percent(part, whole) + "%"
}

// Threshold is a share that a law asks for, such as 2/3.
type Threshold struct{ Num, Den int64 }

// Vote is part of whole in percent for a vote: rounded down, to two decimals or,
// where the true number is over a threshold, to as many as it takes to read so.
func Vote(part, whole int64, t Threshold) string {
	if whole == 0 {
		return "—"
	}
	over := compare(big.NewInt(part), big.NewInt(whole), t) > 0
	scale := big.NewInt(10000)
	for decimals := 2; ; decimals++ {
		down := new(big.Int).Mul(big.NewInt(part), scale)
		down.Div(down, big.NewInt(whole))
		if !over || decimals == 16 || compare(down, scale, t) > 0 {
			return scaled(down.Int64(), decimals) + "%"
		}
		scale.Mul(scale, big.NewInt(10))
	}
}

// Fraction is a share as it is, in words: 976 分之 760.
func Fraction(l Lang, part, whole string) string {
	if l == English {
		return part + " of " + whole
	}
	return whole + " 分之 " + part
}

// compare is the sign of part ÷ whole − t.
func compare(part, whole *big.Int, t Threshold) int {
	left := new(big.Int).Mul(part, big.NewInt(t.Den))
	right := new(big.Int).Mul(whole, big.NewInt(t.Num))
	return left.Cmp(right)
}

// At is an instant in Shanghai to the minute: 2023-01-14 09:00. Pages name the
// zone once.
func At(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "—"
	}
	return t.In(units.Shanghai).Format("2006-01-02 15:04")
}

// Second is At to the second, where two things may lie in one minute.
func Second(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "—"
	}
	return t.In(units.Shanghai).Format("2006-01-02 15:04:05")
}

// Machine is an instant for a datetime attribute.
func Machine(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.In(units.Shanghai).Format(time.RFC3339)
}

// MonthName is a month without its year: 7月, Jul.
func MonthName(l Lang, m units.Month) string {
	at, err := time.Parse("2006-01", string(m))
	if err != nil {
		return string(m)
	}
	if l == English {
		return at.Format("Jan")
	}
	return strconv.Itoa(int(at.Month())) + "月"
}

// along places part on a line of length units that whole fills; it stays on it.
func along(part, whole, length int64) int64 {
	if whole <= 0 || part <= 0 {
		return 0
	}
	// Only a drawing: large numbers are scaled down first so that nothing overflows.
	for part > 1<<40 || whole > 1<<40 {
		part, whole = part>>1, whole>>1
	}
	return min(units.RatioHalfUp(part, whole, length), length)
}
