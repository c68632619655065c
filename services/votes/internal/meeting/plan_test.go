package meeting_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/calendar"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestWhichDaysTheRulesLeaveToAMeeting(t *testing.T) {
	hangzhou, err := meeting.Compose(civilFile(t), template(t, "hangzhou.2"), meeting.Own{})
	if err != nil {
		t.Fatal(err)
	}
	objecting := civilFile(t)
	objecting.RollObjectionDays = 7
	electing := civilFile(t)
	electing.Election.CandidatesPostedDays = 20
	election := votes.Motion{ID: "M1", Matter: "民法典278-1-3", Scope: "estate", Election: votes.Election{Seats: 5}}
	const now = "2026-11-26 10:00"
	for _, c := range []struct {
		name                  string
		rules                 meeting.RuleSet
		motions               []votes.Motion
		notice, opens, closes string // thought of; "": nothing
		earliest              string // opening
		wrong                 []string
	}{
		{"物业管理条例 art. 14: fifteen whole days after a notice of now", civilFile(t), nil, "", "", "", "2026-12-11 10:00", nil},
		{"to the instant", civilFile(t), nil, "", "2026-12-11 10:00", "2026-12-20 10:00", "2026-12-11 10:00", nil},
		{"a minute early", civilFile(t), nil, "", "2026-12-11 09:59", "2026-12-20 10:00", "2026-12-11 10:00", []string{"opens"}},
		{"after a later notice", civilFile(t), nil, "2026-12-01 00:00", "2026-12-15 23:59", "", "2026-12-16 00:00", []string{"opens"}},
		{"a notice of yesterday", civilFile(t), nil, "2026-11-25 10:00", "", "", "2026-12-11 10:00", []string{"notice"}},
		{"a close that is no later than the opening", civilFile(t), nil, "", "2026-12-20 10:00", "2026-12-20 10:00", "2026-12-11 10:00", []string{"closes"}},
		{"杭州 art. 20: five days at least, to the instant", hangzhou, nil, "", "2026-12-20 10:00", "2026-12-25 10:00", "2026-12-11 10:00", nil},
		{"杭州 art. 20: a minute short of five days", hangzhou, nil, "", "2026-12-20 10:00", "2026-12-25 09:59", "2026-12-11 10:00", []string{"closes"}},
		{"杭州 art. 20: sixty days at most, to the instant", hangzhou, nil, "", "2026-12-20 10:00", "2027-02-18 10:00", "2026-12-11 10:00", nil},
		{"杭州 art. 20: a minute over sixty days", hangzhou, nil, "", "2026-12-20 10:00", "2027-02-18 10:01", "2026-12-11 10:00", []string{"closes"}},
		{"days to object to the roll, to the end of the last, come before the notice", objecting, nil, "2026-12-03 23:59", "", "", "2026-12-19 00:00", []string{"notice"}},
		{"a notice when they are over", objecting, nil, "2026-12-04 00:00", "2026-12-19 00:00", "", "2026-12-19 00:00", nil},
		{"candidates are posted longer than the notice", electing, []votes.Motion{election}, "", "", "", "2026-12-16 10:00", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := meeting.Meeting{MeetingDrafted: drafted}
			if c.motions != nil {
				m.Motions = c.motions
			}
			var days meeting.Days
			for text, to := range map[*string]*time.Time{&c.notice: &days.Notice, &c.opens: &days.Opens, &c.closes: &days.Closes} {
				if *text != "" {
					*to = shanghai(t, *text)
				}
			}
			f := meeting.Foresee(m, c.rules, calendar.Shipped(), shanghai(t, now), days)
			var wrong []string
			for _, w := range f.Wrong {
				wrong = append(wrong, w.Name)
			}
			if !f.Opens.Equal(shanghai(t, c.earliest)) || !slices.Equal(wrong, c.wrong) {
				t.Errorf("opens from %s, wrong are %v", f.Opens.In(units.Shanghai), f.Wrong)
			}
			if planned := c.closes != "" && c.wrong == nil; planned != (len(f.Deadlines) > 0) {
				t.Errorf("%d deadlines", len(f.Deadlines))
			}
		})
	}
}

// What is foreseen of a notice that is posted at once is what posting it says.
func TestWhatIsForeseenIsWhatTheNoticeIsJudgedBy(t *testing.T) {
	sets := []meeting.RuleSet{civilFile(t)}
	for _, place := range []string{"beijing", "hangzhou.2", "shenzhen"} {
		set, err := meeting.Compose(civilFile(t), template(t, place), meeting.Own{})
		if err != nil {
			t.Fatal(err)
		}
		sets = append(sets, set)
	}
	sets = append(sets, with(civilFile(t), func(r *meeting.RuleSet) { r.RollObjectionDays = 7 }))
	rapid.Check(t, func(t *rapid.T) {
		set := rapid.SampledFrom(sets).Draw(t, "rules")
		now := shanghai(t, "2026-11-26 10:00")
		hours := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(-24, 24*100).Draw(t, name)) * time.Hour
		}
		d := meeting.Days{Opens: now.Add(hours("opens"))}
		d.Closes = d.Opens.Add(hours("closes"))
		m := meeting.Meeting{MeetingDrafted: drafted, Roll: votes.RollFrozen{Meeting: drafted.Meeting, Roll: "r", Heads: 1, At: now.Add(-time.Duration(rapid.IntRange(0, 24*14).Draw(t, "frozen")) * time.Hour)}}
		m.Policy = votes.Policy{Revote: set.Revote, PaperAndElectronic: set.PaperAndElectronic, Unreturned: votes.UnreturnedNone}
		if set.ParkingCountsArea != nil {
			m.Policy.ParkingCountsArea = *set.ParkingCountsArea
		}
		f := meeting.Foresee(m, set, calendar.Shipped(), now, d)
		_, err := meeting.PostNotice{Now: now, Opens: d.Opens, Closes: d.Closes, Rules: set, Calendar: calendar.Shipped()}.Decide(m)
		if early := f.Notice.After(now); (err == nil) != (len(f.Wrong) == 0 && !early) {
			t.Fatalf("foreseen %v, and the notice says %v", f.Wrong, err)
		}
	})
}

func TestPlacesAreListedAsTheirNumbersGo(t *testing.T) {
	p := meeting.Places{Buildings: []string{"10", "", "2", "1"}, Stairs: []string{"10-1", "2-2", "2-1"}}
	if got, want := p.Scopes(), []string{"estate", "building:1", "building:2", "building:10", "stair:2-1", "stair:2-2", "stair:10-1"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
