package calendar_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/votes/calendar"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestTheShippedDaysAreThoseThatWereAnnounced(t *testing.T) {
	c := calendar.Shipped()
	for day, works := range map[units.Day]bool{
		"2023-01-21": false, "2023-01-28": true, "2023-01-29": true, // 春节: Saturday and Sunday worked
		"2022-12-31": false, "2023-01-02": false, "2023-01-03": true, // 元旦, from the year before
		"2024-02-09": true, "2024-02-10": false, "2024-02-18": true, // 春节 2024, its eve was not a day off
		"2025-01-26": true, "2025-10-08": false, "2025-10-11": true,
		"2026-01-04": true, "2026-02-23": false, "2026-10-10": true, "2026-11-26": true, "2026-11-28": false,
		"2027-02-05": false, "2027-02-14": true, "2027-10-07": false, "2027-10-08": true,
	} {
		if got, known := c.Works(day); got != works || !known {
			t.Errorf("%s: works %t, known %t", day, got, known)
		}
	}
}

// A period whose last day nobody knows is held open for as long as people ever rest.
func TestNoHolidayIsLongerThanAPeriodIsHeldOpenFor(t *testing.T) {
	c := calendar.Shipped()
	rest, longest := 0, 0
	for day := units.Day("2004-01-01").Start(); day.Year() < 2027; day = day.AddDate(0, 0, 1) {
		if works, known := c.Works(units.DayOf(day)); !known {
			t.Fatalf("%s is not known", units.DayOf(day))
		} else if rest++; works {
			rest = 0
		}
		longest = max(longest, rest)
	}
	if longest < 7 || longest > meeting.LongestHoliday {
		t.Errorf("%d days in a row", longest)
	}
}

func TestAPeriodIsHeldOpenWhereItsLastDayIsNotKnown(t *testing.T) {
	day := func(d units.Day) time.Time { return d.Start() }
	for name, c := range map[string]struct{ from, over units.Day }{
		"it ends on a working day":                         {"2026-11-24", "2026-11-28"},
		"Civil Code art. 203: on the Monday after":         {"2026-11-26", "2026-12-01"},
		"ten days longer, where it ends in a year to come": {"2028-05-01", "2028-05-15"},
	} {
		if got := calendar.Shipped().Open(day(c.from).Add(10*time.Hour), 3); !got.Equal(day(c.over)) {
			t.Errorf("%s: over at %s, want %s", name, got, c.over)
		}
	}
}

func TestOfAYearWithoutDataNothingIsGuessed(t *testing.T) {
	c := calendar.Shipped()
	for _, day := range []units.Day{"2001-12-30", "2027-12-31", "2028-01-03", "2028-05-01", "", "2027-13-01"} {
		if _, known := c.Works(day); known {
			t.Errorf("%s is known", day)
		}
	}
	if _, known := c.LastDay("2027-12-18"); known {
		t.Error("a period that ends on a Saturday is known to end on the Monday, whatever New Year's holiday will be")
	}
	if y, ok := c.Year(2027); !ok || y.Source == "" {
		t.Error("2027 has no source")
	}
}

const file = `- year: 2028
  source: 国办发明电
  rest: ["2027-12-31", "2028-01-01", "2028-01-03"]
  work: ["2028-01-08"]
`

func TestAnAdministratorLoadsAYear(t *testing.T) {
	name := filepath.Join(t.TempDir(), "holidays.yaml")
	if err := os.WriteFile(name, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := calendar.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	for day, works := range map[units.Day]bool{"2027-12-30": true, "2027-12-31": false, "2028-01-03": false, "2028-01-04": true, "2028-01-08": true, "2027-10-07": false} {
		if got, known := c.Works(day); got != works || !known {
			t.Errorf("%s: works %t, known %t", day, got, known)
		}
	}
	if last, known := c.LastDay("2027-12-31"); last != "2028-01-04" || !known {
		t.Errorf("%s, %t", last, known)
	}
	if _, err := calendar.Load(name + "x"); err == nil {
		t.Error("a file that is not there is loaded")
	}
}

func TestAFileThatIsWrongIsRefused(t *testing.T) {
	for name, change := range map[string][2]string{
		"no source":                {"国办发明电", `""`},
		"no days off":              {`["2027-12-31", "2028-01-01", "2028-01-03"]`, "[]"},
		"a day of another year":    {"2028-01-03", "2029-01-03"},
		"a day of last year":       {"2027-12-31", "2027-11-30"},
		"a day that there is not":  {"2028-01-03", "2028-02-30"},
		"a day off that is worked": {"2028-01-08", "2028-01-01"},
		"a field that is not one":  {"work", "works"},
		"a year twice":             {file, file + file},
		"two files":                {file, file + "---\n" + file},
		"nothing":                  {file, ""},
	} {
		if text := strings.Replace(file, change[0], change[1], 1); text == file {
			t.Errorf("%s changes nothing", name)
		} else if _, err := calendar.Parse([]byte(text)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// Whatever a file says: the end of a period is a day that people work on, and not
// before the day it was counted to.
func FuzzParse(f *testing.F) {
	f.Add([]byte(file), uint16(0))
	f.Add([]byte(file), uint16(364))
	f.Fuzz(func(t *testing.T, text []byte, n uint16) {
		years, err := calendar.Parse(text)
		if err != nil {
			return
		}
		c := calendar.Shipped()
		for _, y := range years {
			var err error
			if c, err = c.With(y); err != nil {
				t.Fatal(err)
			}
			day := units.DayOf(units.Day("2027-01-01").Start().AddDate(0, 0, int(n)))
			last, known := c.LastDay(day)
			if works, _ := c.Works(last); known && (!works || last < day) || !known && last != day {
				t.Fatalf("%s ends on %s", day, last)
			}
		}
	})
}
