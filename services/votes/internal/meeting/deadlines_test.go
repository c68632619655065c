package meeting_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/calendar"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func shanghai(t interface{ Fatal(...any) }, text string) time.Time {
	at, err := time.ParseInLocation("2006-01-02 15:04", text, units.Shanghai)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestThePeriodToPostAResult(t *testing.T) {
	rules, err := meeting.Compose(civilFile(t), template(t, "beijing"), meeting.Own{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name            string
		counted, posted string // "": not yet
		now             string
		day             units.Day
		state           string
		moved, unknown  bool
	}{
		{"北京 art. 37: three days, of which the first does not count (Civil Code art. 201)",
			"2026-11-24 00:10", "", "2026-11-27 23:59", "2026-11-27", meeting.Coming, false, false},
		{"北京 art. 37: midnight after the third day is late",
			"2026-11-24 00:10", "", "2026-11-28 00:00", "2026-11-27", meeting.Missed, false, false},
		{"Civil Code art. 203: a last day on a Saturday moves to the Monday",
			"2026-11-25 09:00", "", "2026-11-28 12:00", "2026-11-30", meeting.Coming, true, false},
		{"Civil Code art. 203: over the National Day to the 8th of October",
			"2026-09-29 09:00", "2026-10-08 23:59", "2026-12-01 12:00", "2026-10-08", meeting.Met, true, false},
		{"posted an instant late", "2026-09-29 09:00", "2026-10-09 00:00", "2026-12-01 12:00", "2026-10-08", meeting.Missed, true, false},
		{"a Saturday that is worked is a last day", "2026-10-07 09:00", "", "2026-10-08 12:00", "2026-10-10", meeting.Coming, false, false},
		{"a year without data is said, and nothing is missed", "2028-05-01 09:00", "", "2028-06-01 12:00", "2028-05-04", meeting.Coming, false, true},
		{"not counted yet", "", "", "2026-11-24 12:00", "", meeting.Waiting, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := meeting.Meeting{MeetingDrafted: drafted, Notice: votes.NoticePosted{At: noon, Opens: opens, Closes: closes}}
			var times meeting.Times
			if c.counted != "" {
				times.Counted = shanghai(t, c.counted)
			}
			if c.posted != "" {
				m.First = shanghai(t, c.posted)
			}
			d := one(t, meeting.Deadlines(m, times, rules, calendar.Shipped(), shanghai(t, c.now)), meeting.ResultPosting)
			if d.Day != c.day || d.State != c.state || d.Moved != c.moved || d.HolidaysUnknown != c.unknown || d.Rule.ZH == "" || d.Rule.EN == "" {
				t.Errorf("%+v", d)
			}
			if c.day != "" && !d.Due.Equal(c.day.Start().AddDate(0, 0, 1)) {
				t.Errorf("due %s", d.Due)
			}
		})
	}
}

func one(t interface{ Fatalf(string, ...any) }, list []meeting.Deadline, name string) (found meeting.Deadline) {
	for _, d := range list {
		if d.Name == name {
			found = d
		}
	}
	if found.Name == "" {
		t.Fatalf("no %s in %+v", name, list)
	}
	return found
}

func TestTheWindowThatANoticeStates(t *testing.T) {
	rules, err := meeting.Compose(civilFile(t), template(t, "hangzhou.2"), meeting.Own{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		notice        time.Time
		closes        time.Time
		deadline      string
		due           time.Time
		state, filing string
	}{
		{"物业管理条例 art. 14: exactly 15 days, in whatever holidays", noon, closes, meeting.Opening, opens, meeting.Met, ""},
		{"物业管理条例 art. 14: a second less", noon.Add(time.Second), closes, meeting.Opening, opens.Add(time.Second), meeting.Missed, ""},
		{"杭州 art. 20: exactly 5 days of voting", noon, opens.AddDate(0, 0, 5), meeting.ShortestWindow, opens.AddDate(0, 0, 5), meeting.Met, ""},
		{"杭州 art. 20: a second less", noon, opens.AddDate(0, 0, 5).Add(-time.Second), meeting.ShortestWindow, opens.AddDate(0, 0, 5), meeting.Missed, ""},
		{"杭州 art. 20: exactly 60 days of voting", noon, opens.AddDate(0, 0, 60), meeting.LongestWindow, opens.AddDate(0, 0, 60), meeting.Met, ""},
		{"杭州 art. 20: a second more", noon, opens.AddDate(0, 0, 60).Add(time.Second), meeting.LongestWindow, opens.AddDate(0, 0, 60), meeting.Missed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := meeting.Meeting{MeetingDrafted: drafted, Notice: votes.NoticePosted{At: c.notice, Opens: opens, Closes: c.closes}}
			m.Past = true // its papers say what they say
			list := meeting.Deadlines(m, meeting.Times{}, rules, calendar.Shipped(), noon.AddDate(1, 0, 0))
			if d := one(t, list, c.deadline); !d.Due.Equal(c.due) || d.State != c.state {
				t.Errorf("%+v", d)
			}
			if d := one(t, list, meeting.Closing); d.State != meeting.Met || !d.Due.Equal(c.closes) {
				t.Errorf("%+v", d)
			}
			if len(list) != 4 {
				t.Errorf("of a past meeting its papers tell no more: %+v", list)
			}
		})
	}
}

func TestWhatIsCountedFromTheResult(t *testing.T) {
	rules := civilCode(t)
	rules.ObjectionDays, rules.ResultStandsDays, rules.RollObjectionDays = 7, 15, 3
	m := meeting.Meeting{MeetingDrafted: drafted, Roll: frozen, Notice: votes.NoticePosted{At: noon, Opens: opens, Closes: closes}}
	m.Motions = append([]votes.Motion{{ID: "M3", Matter: "民法典278-1-3", Election: votes.Election{Seats: 5}}}, m.Motions...)
	times := meeting.Times{RollFrozen: shanghai(t, "2026-03-02 10:00"), Counted: shanghai(t, "2026-04-01 10:00")}
	m.Result, m.Filed = votes.ResultPosted{At: shanghai(t, "2026-04-02 10:00")}, votes.ResultFiled{At: shanghai(t, "2026-05-06 10:00")}
	now := shanghai(t, "2026-04-10 00:00")
	for name, want := range map[string]struct {
		day   units.Day
		state string
	}{
		meeting.RollObjections: {"2026-03-05", meeting.Met},
		meeting.Objections:     {"2026-04-09", meeting.Met},
		meeting.ResultStanding: {"2026-04-17", meeting.Coming},
		meeting.Filing:         {"2026-05-06", meeting.Met}, // 指导规则: 30 days, the last of them in the May holiday
		meeting.Court:          {"2027-04-02", meeting.Coming},
	} {
		if d := one(t, meeting.Deadlines(m, times, rules, calendar.Shipped(), now), name); d.Day != want.day || d.State != want.state {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestAPeriodOfAYearEndsOnItsDay(t *testing.T) {
	set := with(withRules(t, "shenzhen", nil), func(r *meeting.RuleSet) { r.CourtYears = 1 })
	for _, c := range []struct {
		name, posted string
		day          units.Day
	}{
		{"interpretation art. 12: a year after the result was posted", "2024-03-01 10:00", "2025-03-03"}, // the 1st is a Saturday
		{"Civil Code art. 202: of a year without the day, the last of the month", "2024-02-29 10:00", "2025-02-28"},
	} {
		m := meeting.Meeting{MeetingDrafted: drafted, Notice: votes.NoticePosted{At: noon, Opens: opens, Closes: closes}}
		m.Result.At = shanghai(t, c.posted)
		if d := one(t, meeting.Deadlines(m, meeting.Times{}, set, calendar.Shipped(), noon), meeting.Court); d.Day != c.day {
			t.Errorf("%s: %s, want %s", c.name, d.Day, c.day)
		}
	}
	if got, want := set.Extension.Latest(shanghai(t, "2026-11-30 18:00")), shanghai(t, "2027-02-28 18:00"); !got.Equal(want) {
		t.Errorf("深圳, Civil Code art. 202: three months after 30 November are over at %s, want %s", got, want)
	}
	lapsed := meeting.Lapsed{Closed: shanghai(t, "2028-02-29 18:00")}
	if got, want := lapsed.Until(set), shanghai(t, "2029-02-28 18:00"); !got.Equal(want) {
		t.Errorf("深圳, Civil Code art. 202: what lapsed on a leap day rests until %s, want %s", got, want)
	}
}

// With every year known, a period ends on a day that people work on, after the days
// it has, and no working day lies between.
func TestAPeriodEndsOnTheFirstWorkingDay(t *testing.T) {
	c := calendar.Shipped()
	rapid.Check(t, func(t *rapid.T) {
		from := shanghai(t, "2004-01-01 00:00").Add(time.Duration(rapid.IntRange(0, 22*365*24*60).Draw(t, "minute")) * time.Minute)
		days := rapid.IntRange(1, 90).Draw(t, "days")
		end, last, known := c.Within(from, 0, days)
		counted := units.DayOf(from).Start().AddDate(0, 0, days)
		if works, _ := c.Works(last); !known || !works || !end.Equal(last.Start().AddDate(0, 0, 1)) {
			t.Fatalf("%s + %d: %s, %s, %t", from, days, end, last, known)
		}
		for d := counted; d.Before(last.Start()); d = d.AddDate(0, 0, 1) {
			if works, _ := c.Works(units.DayOf(d)); works {
				t.Fatalf("%s + %d ends on %s, and %s is worked on", from, days, last, d)
			}
		}
		if end.Sub(from) <= time.Duration(days)*24*time.Hour {
			t.Fatalf("%s + %d is over at %s", from, days, end)
		}
	})
}

func TestDeadlinesOfAMeetingThatWasExtendedOrCancelled(t *testing.T) {
	rules := civilCode(t)
	rules.Window.MaxDays = 14
	m := meeting.Meeting{MeetingDrafted: drafted, Notice: votes.NoticePosted{At: noon, Opens: opens, Closes: closes}}
	m = meeting.Evolve(m, votes.VotingExtended{From: closes, Closes: closes.AddDate(0, 1, 0)})
	list := meeting.Deadlines(m, meeting.Times{}, rules, calendar.Shipped(), closes)
	if d := one(t, list, meeting.LongestWindow); d.State != meeting.Met {
		t.Errorf("the window of the notice was no longer than the rules allow: %+v", d)
	}
	if d := one(t, list, meeting.Closing); d.State != meeting.Coming || !d.Due.Equal(closes.AddDate(0, 1, 0)) {
		t.Errorf("%+v", d)
	}
	m = meeting.Evolve(m, votes.MeetingCancelled{At: closes})
	if list := meeting.Deadlines(m, meeting.Times{}, rules, calendar.Shipped(), closes); len(list) != 0 {
		t.Errorf("of a cancelled meeting: %+v", list)
	}
}
