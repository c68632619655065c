package meeting

import (
	"fmt"
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
)

// Names of deadlines, in the order of a meeting's life.
const (
	RollObjections = "roll-objections"
	Opening        = "opening"
	Closing        = "closing"
	ShortestWindow = "shortest-window"
	LongestWindow  = "longest-window"
	ResultPosting  = "result-posting"
	Objections     = "objections"
	ResultStanding = "result-standing"
	Filing         = "filing"
	Court          = "court"
)

// States of a deadline.
const (
	Waiting = "waiting" // for what it is counted from
	Coming  = "coming"
	Met     = "met" // or, of days in which something may be done, over
	Missed  = "missed"
)

// Deadline is a day in the life of a meeting, and the rule it comes from.
type Deadline struct {
	Name  string    `json:"name"`
	Due   time.Time `json:"due,omitzero" required:"false" doc:"first instant at which it is late or, of an opening and of a shortest window, at which it is no longer early; none while what it is counted from has not happened"`
	Day   units.Day `json:"day,omitempty" doc:"last day, in Shanghai, of what is counted in days"`
	Done  time.Time `json:"done,omitzero" required:"false" doc:"when it was done"`
	State string    `json:"state" enum:"waiting,coming,met,missed"`
	Rule  Words     `json:"rule"`
	// Of a period that ends in a year whose public holidays are not announced, Day is counted without them and may move.
	HolidaysUnknown bool `json:"holidays_unknown,omitempty" doc:"the public holidays of that year are not announced: the day may move, and nothing is missed before they are"`
	Moved           bool `json:"moved,omitempty" doc:"the last day was a day off, so it is the next working day (Civil Code art. 203)"`
}

// Times are when things happened to a meeting that its events do not state.
type Times struct {
	RollFrozen time.Time `json:",omitzero"` // the roll that stands
	Closed     time.Time `json:",omitzero"` // the taking of ballots
	Counted    time.Time `json:",omitzero"`
}

// Note returns the times after an event that was recorded at an instant, given the
// meeting as it is then.
func (t Times) Note(m Meeting, e votes.Event, at time.Time) Times {
	switch e.(type) {
	case votes.RollFrozen:
		t.RollFrozen = at
	case votes.VotingClosed:
		t.Closed = at
	default: // of others, their events say when
	}
	if m.Countable() && t.Counted.IsZero() {
		t.Counted = at
	}
	return t
}

// Deadlines lists the days in the life of a meeting that its rules give, as they
// stand at an instant. Days off move only the end of a period in which something
// is to be done, or may be done: to the next working day. Opening and closing are
// instants that the notice states, and between them whole days pass, whichever
// they are.
//
// Of a meeting that is entered as past only what its papers tell is listed, and of
// one that was cancelled nothing.
func Deadlines(m Meeting, t Times, r RuleSet, c Calendar, now time.Time) (list []Deadline) {
	if m.IsCancelled() {
		return nil
	}
	if m.Frozen() && !m.Past && r.RollObjectionDays > 0 {
		posted := m.Roll.At
		if posted.IsZero() { // by a release that did not say
			posted = t.RollFrozen
		}
		list = append(list, c.may(RollObjections, posted, 0, r.RollObjectionDays, now, Words{
			fmt.Sprintf("业主名册公布后%d日内可以提出异议", r.RollObjectionDays),
			fmt.Sprintf("the roll may be objected to for %d days after it was posted", r.RollObjectionDays)}))
	}
	if m.Posted() {
		n, stated := m.Notice, m.Notice.Closes
		if len(m.Extended) > 0 {
			stated = m.Extended[0].From // an extension has a bound of its own
		}
		notice := m.noticeDays(r)
		list = append(list, fixed(Opening, m.earliestOpening(r, n.At), n.Opens, false, Words{
			fmt.Sprintf("公告满%d日才能开始投票", notice), fmt.Sprintf("voting opens %d whole days after the notice, or later", notice)}))
		if days := r.Window.MinDays; days > 0 {
			list = append(list, fixed(ShortestWindow, n.Opens.In(units.Shanghai).AddDate(0, 0, days), stated, false, Words{
				fmt.Sprintf("投票时间不少于%d日", days), fmt.Sprintf("voting goes on for %d days or longer", days)}))
		}
		if days := r.Window.MaxDays; days > 0 {
			list = append(list, fixed(LongestWindow, n.Opens.In(units.Shanghai).AddDate(0, 0, days), stated, true, Words{
				fmt.Sprintf("投票时间不超过%d日", days), fmt.Sprintf("voting goes on for %d days at most", days)}))
		}
		closing := Deadline{Name: Closing, Due: n.Closes, State: Coming, Rule: Words{"公告载明的投票截止时间", "the deadline that the notice states, or its extension"}}
		if m.Closed || !now.Before(n.Closes) {
			closing.State, closing.Done = Met, n.Closes
		}
		list = append(list, closing)
	}
	if !m.Posted() || m.Past || m.IsCancelled() {
		return list
	}
	if r.ResultPostedDays > 0 {
		list = append(list, c.must(ResultPosting, t.Counted, r.ResultPostedDays, m.First, now, Words{
			fmt.Sprintf("结果产生后%d日内公布", r.ResultPostedDays), fmt.Sprintf("the result is posted within %d days of the count", r.ResultPostedDays)}))
	}
	if r.ObjectionDays > 0 {
		list = append(list, c.may(Objections, m.Result.At, 0, r.ObjectionDays, now, Words{
			fmt.Sprintf("结果公布后%d日内可以提出异议", r.ObjectionDays), fmt.Sprintf("the result may be objected to for %d days after it was posted", r.ObjectionDays)}))
	}
	if r.ResultStandsDays > 0 {
		list = append(list, c.may(ResultStanding, m.Result.At, 0, r.ResultStandsDays, now, Words{
			fmt.Sprintf("结果公布不少于%d日", r.ResultStandsDays), fmt.Sprintf("the result stays posted for %d days or longer", r.ResultStandsDays)}))
	}
	if slices.ContainsFunc(m.Motions, isElection) && r.Election.FiledWithinDays > 0 {
		list = append(list, c.must(Filing, t.Counted, r.Election.FiledWithinDays, m.Filed.At, now, Words{
			fmt.Sprintf("业主委员会选出后%d日内备案", r.Election.FiledWithinDays), fmt.Sprintf("an elected committee is filed within %d days", r.Election.FiledWithinDays)}))
	}
	if r.CourtYears > 0 {
		list = append(list, c.may(Court, m.Result.At, r.CourtYears, 0, now, Words{
			fmt.Sprintf("知道结果之日起%d年内可以请求法院撤销;选票和送达凭证至少保存到这一天", r.CourtYears),
			fmt.Sprintf("a court may be asked to cancel a decision within %d year of knowing of it; ballots and proofs of delivery are kept at least as long", r.CourtYears)}))
	}
	return list
}

// fixed is a bound on an instant that the notice states, kept or not from the
// start: not before it or, where latest, not after it.
func fixed(name string, due, stated time.Time, latest bool, rule Words) Deadline {
	d := Deadline{Name: name, Due: due, Done: stated, State: Met, Rule: rule}
	if !latest && stated.Before(due) || latest && stated.After(due) {
		d.State = Missed
	}
	return d
}

// may is a period in which something may be done, or stays as it is.
func (c Calendar) may(name string, from time.Time, years, days int, now time.Time, rule Words) Deadline {
	return c.period(name, from, years, days, now, rule, Met)
}

// must is a period within which something is done.
func (c Calendar) must(name string, from time.Time, days int, done, now time.Time, rule Words) Deadline {
	d := c.period(name, from, 0, days, now, rule, Missed)
	if d.Done = done; !done.IsZero() {
		if d.State = Met; !d.HolidaysUnknown && !done.Before(d.Due) {
			d.State = Missed
		}
	}
	return d
}

func (c Calendar) period(name string, from time.Time, years, days int, now time.Time, rule Words, then string) Deadline {
	d := Deadline{Name: name, State: Waiting, Rule: rule}
	if from.IsZero() {
		return d
	}
	var known bool
	d.Due, d.Day, known = c.Within(from, years, days)
	d.HolidaysUnknown = !known
	d.Moved = known && d.Day != units.DayOf(units.After(from, years, 0, days))
	if d.State = Coming; !now.Before(d.Due) && known {
		d.State = then
	}
	return d
}
