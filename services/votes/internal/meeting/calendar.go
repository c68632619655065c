package meeting

import (
	"fmt"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Calendar knows which days people work on: Monday to Friday, but for the public
// holidays (法定休假日) and the days worked in their place (调休), which are announced
// for one year at a time. The zero value knows no year.
type Calendar struct {
	years    map[int]HolidayYear
	everyDay bool
}

// EveryDay is a calendar in which people work on every day: by it a period ends as
// early as it can.
var EveryDay = Calendar{everyDay: true}

// HolidayYear is what was announced for one year. New Year's holiday may begin in
// the December before.
type HolidayYear struct {
	Year   int         `json:"year" yaml:"year"`
	Source string      `json:"source" yaml:"source"` // where it was announced
	Rest   []units.Day `json:"rest" yaml:"rest"`     // days off, weekends among them or not
	Work   []units.Day `json:"work" yaml:"work"`     // Saturdays and Sundays that are worked on
}

// With returns a calendar that knows one more year, or another year's days better.
func (c Calendar) With(y HolidayYear) (Calendar, error) {
	if y.Source == "" || len(y.Rest) == 0 {
		return c, fmt.Errorf("calendar: %d: the source or the days off are missing", y.Year)
	}
	for _, d := range slices.Concat(y.Rest, y.Work) {
		if t := d.Start(); t.IsZero() || t.Year() != y.Year && (t.Year() != y.Year-1 || t.Month() != time.December) {
			return c, fmt.Errorf("calendar: %q is no day of %d", d, y.Year)
		}
		if slices.Contains(y.Rest, d) && slices.Contains(y.Work, d) {
			return c, fmt.Errorf("calendar: %s is a day off and is not", d)
		}
	}
	years := map[int]HolidayYear{y.Year: y}
	for year, of := range c.years {
		if year != y.Year {
			years[year] = of
		}
	}
	return Calendar{years: years}, nil
}

// Year returns what was announced for a year; false where nothing was.
func (c Calendar) Year(year int) (HolidayYear, bool) {
	y, ok := c.years[year]
	return y, ok
}

// newYear is the first day of December that New Year's holiday, or a day worked
// in its place, was ever known to reach back to; a few days earlier for safety.
const newYear = 20

// Works reports whether people work on a day. Of a year without data nobody knows,
// and neither of its last days before the next year is announced.
func (c Calendar) Works(d units.Day) (works, known bool) {
	t := d.Start()
	if c.everyDay && !t.IsZero() {
		return true, true
	}
	this, known := c.years[t.Year()]
	next, nextKnown := c.years[t.Year()+1]
	if t.IsZero() || !known || t.Month() == time.December && t.Day() >= newYear && !nextKnown {
		return false, false
	}
	of := func(days func(HolidayYear) []units.Day) bool {
		return slices.Contains(days(this), d) || slices.Contains(days(next), d)
	}
	weekday := t.Weekday() != time.Saturday && t.Weekday() != time.Sunday
	rests := of(func(y HolidayYear) []units.Day { return y.Rest })
	return of(func(y HolidayYear) []units.Day { return y.Work }) || weekday && !rests, true
}

// longestRest is how many days in a row a search for a working day looks at.
const longestRest = 60

// LastDay returns the last day of a period that would end on a day: that day, or
// the next that people work on (Civil Code art. 203). Known is false where that
// hangs on a year without data; then it is the day itself.
func (c Calendar) LastDay(d units.Day) (last units.Day, known bool) {
	for n := range longestRest {
		next := units.DayOf(d.Start().AddDate(0, 0, n))
		works, known := c.Works(next)
		if !known {
			return d, false
		}
		if works {
			return next, true
		}
	}
	return d, false
}

// Within returns the end of a period of years and days that begins with an
// instant, and the last day of the period. The day it begins on does not count
// (Civil Code art. 201), the last one does until midnight (art. 203), is the last of
// its month where that lacks the day (art. 202), and is never a day off (art. 203).
func (c Calendar) Within(from time.Time, years, days int) (end time.Time, last units.Day, known bool) {
	day := units.DayOf(units.After(from, years, 0, days))
	last, known = c.LastDay(day)
	return last.Start().AddDate(0, 0, 1), last, known
}

// LongestHoliday is how many days in a row nobody works on at most, weekends and all:
// in no year that is known were there more.
const LongestHoliday = 10

// Open returns the first instant at which a period in which owners may do something
// is surely over. Where days off of its end are not known, it is held open for the
// longest that they can be: nobody loses a day that is announced later.
func (c Calendar) Open(from time.Time, days int) time.Time {
	end, _, known := c.Within(from, 0, days)
	if !known {
		end = end.AddDate(0, 0, LongestHoliday)
	}
	return end
}
