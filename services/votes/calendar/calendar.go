// Package calendar brings the public holidays of China, and the days worked in
// their place, to the deadlines of meetings: as dated data from a package, or from
// a file that an administrator loads. A year that neither has is unknown, and
// nothing is guessed of it.
package calendar

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/6tail/lunar-go/HolidayUtil"
	"go.yaml.in/yaml/v3"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// source names the package the shipped years come from; its version is pinned in
// go.mod. It takes them from the yearly notice of the State Council (国务院办公厅关于
// 部分节假日安排的通知).
const source = "github.com/6tail/lunar-go v1.4.7, 国务院办公厅节假日安排"

// Years that the package is asked for.
const first, last = 2002, 2060

// Shipped is the calendar that comes with the program.
var Shipped = sync.OnceValue(func() (c meeting.Calendar) {
	for year := first; year <= last; year++ {
		y, whole := shipped(year)
		if !whole {
			continue
		}
		var err error
		if c, err = c.With(y); err != nil {
			panic(err) // the tests read every year
		}
	}
	return c
})

// shipped returns a year of the package; it is whole where it has both New Year's
// Day and the National Day, for a year is announced at once.
func shipped(year int) (y meeting.HolidayYear, whole bool) {
	y = meeting.HolidayYear{Year: year, Source: source}
	days := HolidayUtil.GetHolidaysByYear(year)
	for e := days.Front(); e != nil; e = e.Next() {
		h, ok := e.Value.(*HolidayUtil.Holiday)
		if !ok {
			return y, false
		}
		if d := units.Day(h.GetDay()); h.IsWork() {
			y.Work = append(y.Work, d)
		} else {
			y.Rest = append(y.Rest, d)
		}
	}
	has := func(month time.Month, day int) bool {
		return slices.Contains(y.Rest, units.DayOf(time.Date(year, month, day, 0, 0, 0, 0, units.Shanghai)))
	}
	return y, has(time.January, 1) && has(time.October, 1)
}

// Load returns the shipped calendar with the years of a file, which go before its
// own; without a file only the shipped one.
func Load(file string) (meeting.Calendar, error) {
	if file == "" {
		return Shipped(), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return meeting.Calendar{}, fmt.Errorf("calendar: %w", err)
	}
	years, err := Parse(text)
	if err != nil {
		return meeting.Calendar{}, fmt.Errorf("%w (in %s)", err, file)
	}
	c := Shipped()
	for _, y := range years {
		if c, err = c.With(y); err != nil {
			return meeting.Calendar{}, fmt.Errorf("%w (in %s)", err, file)
		}
	}
	return c, nil
}

// Parse reads years as YAML, or as JSON, which is YAML:
//
//   - year: 2028
//     source: 国办发明电〔2027〕号
//     rest: ["2028-01-01", "2028-01-02"]
//     work: ["2028-01-08"]
func Parse(text []byte) ([]meeting.HolidayYear, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	var years []meeting.HolidayYear
	if err := d.Decode(&years); err != nil {
		return nil, fmt.Errorf("calendar: %w", err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("calendar: the file is one list of years")
	}
	var c meeting.Calendar
	for i, y := range years {
		if slices.ContainsFunc(years[:i], func(o meeting.HolidayYear) bool { return o.Year == y.Year }) {
			return nil, fmt.Errorf("calendar: %d is there twice", y.Year)
		}
		if _, err := c.With(y); err != nil {
			return nil, err
		}
	}
	return years, nil
}
