package paper

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Row is one row of a paper. Its methods named for a kind of value return the
// cell below a heading as that; a blank cell gives the zero value and no error,
// a wrong one gives the zero value and is noted on the row. A heading that was
// not among the columns is a mistake of the program and panics.
//
// A Row is not for use by several goroutines at a time.
type Row struct {
	Number int // as a person sees it beside the row: the headings are row 1

	cells    []string
	dates    []bool
	at       map[string]int // heading → index of the cell, -1 where the paper lacks the column
	personal bool           // some cell is, and a missing comma may have moved it to any column
	errors   []RowError
}

// RowError is one thing that is wrong with a row.
type RowError struct {
	Row    int    `json:"row" doc:"number of the row, the headings being row 1"`
	Column string `json:"column" doc:"heading of the column; empty where it is the row as a whole"`
	Code   string `json:"code" doc:"kind of mistake, for programs"`
	Reason string `json:"reason" doc:"what is wrong, for a person; never a personal cell"`
}

// OK tells whether nothing is wrong with the row so far.
func (r *Row) OK() bool { return len(r.errors) == 0 }

// Errors returns what is wrong with the row.
func (r *Row) Errors() []RowError { return r.errors }

// Fail notes that a cell is wrong, or with heading "" the row as a whole. Of
// one cell only the first mistake is kept. The reason must not hold what a
// personal cell says; use [Row.Quote].
func (r *Row) Fail(heading, code, reason string) {
	if heading != "" {
		r.place(heading)
	}
	r.note(heading, code, reason)
}

func (r *Row) note(heading, code, reason string) {
	if heading == "" || !r.failed(heading) {
		r.errors = append(r.errors, RowError{r.Number, heading, code, reason})
	}
}

func (r *Row) failed(heading string) bool {
	return slices.ContainsFunc(r.errors, func(e RowError) bool { return e.Column == heading || e.Column == "" })
}

// Quote returns a cell for use in a reason: in quotation marks and shortened,
// or “…” where the paper has a personal column.
func (r *Row) Quote(heading string) string {
	i := r.place(heading)
	if r.personal {
		return "“…”"
	}
	return "“" + shorten(r.cell(i), 24) + "”"
}

func (r *Row) place(heading string) int {
	i, ok := r.at[heading]
	if !ok {
		panic("paper: no column " + heading)
	}
	return i
}

func (r *Row) cell(i int) string {
	if i < 0 || i >= len(r.cells) {
		return ""
	}
	return r.cells[i]
}

// Text returns a cell as it stands, without the spaces around it.
func (r *Row) Text(heading string) string {
	i := r.place(heading)
	if r.failed(heading) {
		return ""
	}
	return r.cell(i)
}

// parse reads a cell that is neither blank nor wrong already.
func parse[T any](r *Row, heading, code, want string, read func(string) (T, error)) (value T) {
	s := r.Text(heading)
	if s == "" {
		return value
	}
	v, err := read(s)
	if err != nil {
		r.note(heading, code, r.Quote(heading)+" is "+want)
		return value
	}
	return v
}

// Fen reads an amount in yuan with at most two decimals.
func (r *Row) Fen(heading string) units.Fen {
	return parse(r, heading, "not-an-amount", "not an amount in yuan with at most two decimals", units.ParseFen)
}

// CentiM2 reads an area in square metres, more than zero, with at most two decimals.
func (r *Row) CentiM2(heading string) units.CentiM2 {
	return parse(r, heading, "not-an-area", "not a positive area in ㎡ with at most two decimals", func(s string) (units.CentiM2, error) {
		a, err := units.ParseCentiM2(s)
		if err == nil && a <= 0 {
			err = units.ErrNumber
		}
		return a, err
	})
}

// Int reads a whole number from least to most, both included.
func (r *Row) Int(heading string, least, most int64) int64 {
	want := fmt.Sprintf("not a whole number from %d to %d", least, most)
	return parse(r, heading, "not-a-number", want, func(s string) (int64, error) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err == nil && (n < least || n > most) {
			err = strconv.ErrRange
		}
		return n, err
	})
}

// Day reads a day such as 2022-07-21, 2022/7/21 or 2022年7月21日.
func (r *Row) Day(heading string) units.Day {
	return parse(r, heading, "not-a-day", "not a day such as 2022-07-21", func(s string) (units.Day, error) {
		return units.ParseDay(plainDate(s))
	})
}

// Month reads a month such as 2022-07, 2022/7 or 2022年7月. In a spreadsheet
// that took it for a date, the first day of a month is that month.
func (r *Row) Month(heading string) units.Month {
	return parse(r, heading, "not-a-month", "not a month such as 2022-07", func(s string) (units.Month, error) {
		s = plainDate(s)
		if i := r.place(heading); r.dates != nil && r.dates[i] {
			s = strings.TrimSuffix(s, "-01")
		}
		return units.ParseMonth(s)
	})
}

// Months reads a period such as 2022-07~2022-12, both included; a single month
// is a period too.
func (r *Row) Months(heading string) (from, to units.Month) {
	months := parse(r, heading, "not-a-period", "not a period such as 2022-07~2022-12", func(s string) ([2]units.Month, error) {
		first, last, ok := strings.Cut(strings.NewReplacer("～", "~", "至", "~", "—", "~").Replace(s), "~")
		if !ok {
			last = first
		}
		a, err := units.ParseMonth(plainDate(strings.TrimSpace(first)))
		if err != nil {
			return [2]units.Month{}, err
		}
		b, err := units.ParseMonth(plainDate(strings.TrimSpace(last)))
		if err == nil && b < a {
			err = units.ErrNotAMonth
		}
		return [2]units.Month{a, b}, err
	})
	return months[0], months[1]
}

// Time reads an instant: 2006-01-02 15:04 with or without seconds, in
// Asia/Shanghai, or RFC 3339 with a zone.
func (r *Row) Time(heading string) time.Time {
	return parse(r, heading, "not-a-time", "not a time such as 2022-07-21 19:00", func(s string) (time.Time, error) {
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			return t, nil
		}
		date, clock, _ := strings.Cut(strings.Replace(s, "T", " ", 1), " ")
		layout := "2006-01-02 15:04:05"
		if strings.Count(clock, ":") == 1 {
			layout = "2006-01-02 15:04"
		}
		return time.ParseInLocation(layout, plainDate(date)+" "+strings.TrimSpace(clock), units.Shanghai)
	})
}

// OneOf reads a cell that says one of the given words.
func (r *Row) OneOf(heading string, words ...string) string {
	return parse(r, heading, "not-a-choice", "none of "+strings.Join(words, ", "), func(s string) (string, error) {
		if !slices.Contains(words, s) {
			return "", strconv.ErrSyntax
		}
		return s, nil
	})
}

// Yes reads 是 as true and 否 as false.
func (r *Row) Yes(heading string) bool { return r.OneOf(heading, "是", "否") == "是" }

// Share reads a share such as 1/2: part of whole, more than nothing and at most all.
func (r *Row) Share(heading string) (part, whole int64) {
	share := parse(r, heading, "not-a-share", "not a share such as 1/2", func(s string) ([2]int64, error) {
		p, w, _ := strings.Cut(s, "/")
		part, err := strconv.ParseInt(strings.TrimSpace(p), 10, 32)
		if err != nil {
			return [2]int64{}, err
		}
		whole, err := strconv.ParseInt(strings.TrimSpace(w), 10, 32)
		if err == nil && (part <= 0 || part > whole) {
			err = strconv.ErrRange
		}
		return [2]int64{part, whole}, err
	})
	return share[0], share[1]
}

// SHA256 reads a hash in hex, as lower case.
func (r *Row) SHA256(heading string) string {
	return parse(r, heading, "not-a-hash", "not a SHA-256 in hex", func(s string) (string, error) {
		s = strings.ToLower(s)
		if !sha256hex.MatchString(s) {
			return "", strconv.ErrSyntax
		}
		return s, nil
	})
}

var sha256hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

// plainDate writes 2022/7/1 and 2022年7月1日 as 2022-07-01, and leaves alone
// what it does not know.
func plainDate(s string) string {
	m := looseDate.FindStringSubmatch(s)
	if m == nil {
		return s
	}
	plain := m[1] + "-" + twoDigits(m[2])
	if m[3] != "" {
		plain += "-" + twoDigits(m[3])
	}
	return plain
}

var looseDate = regexp.MustCompile(`^(\d{4})[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月)?$`)

func twoDigits(s string) string {
	if len(s) == 1 {
		return "0" + s
	}
	return s
}
