package meeting

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Days are when a meeting is to be announced and held, as somebody thinks of it;
// zero: not thought of yet.
type Days struct {
	Notice        time.Time // first instant at which it would be posted
	Opens, Closes time.Time
}

// Foreseen is what the rules say of the days of a meeting before its notice is
// posted. It promises nothing: the notice is judged on the day it is posted, by the
// rules of that day.
type Foreseen struct {
	Wrong []problem.Field // of the days, named as in Days

	Notice   time.Time  // first instant at which the notice may be posted
	NoticeBy *time.Time // the last one, for the opening that is thought of
	Opens    time.Time  // first instant at which voting may open
	Closes   *time.Time // first instant at which it may close, for the opening; nil: the rules give no shortest time
	ClosesBy *time.Time // the last one; nil: they give no longest time

	Deadlines []Deadline // as if the result were counted and posted on the day of the close
}

// Foresee lists which days the rules leave to a meeting that has no notice yet, and
// what is wrong with those that somebody thinks of.
func Foresee(m Meeting, r RuleSet, c Calendar, now time.Time, d Days) Foreseen {
	roll := m.Roll
	if roll.At.IsZero() {
		roll.At = now // it may be posted at once
	}
	f := Foreseen{Notice: now}
	if end := r.rollObjectionsEnd(roll.At, c); end.After(now) {
		f.Notice = end
	}
	wrong := func(field problem.Field) { f.Wrong = append(f.Wrong, field) }
	notBefore := func(name string, t time.Time) { wrong(bounded(name, "too-early", "must not be before ", t)) }

	notice := f.Notice
	if !d.Notice.IsZero() {
		if notice = d.Notice; notice.Before(f.Notice) {
			notBefore("notice", f.Notice)
			notice = f.Notice
		}
	}
	f.Opens = m.earliestOpening(r, notice)
	opens := f.Opens
	if !d.Opens.IsZero() {
		if opens = d.Opens; opens.Before(f.Opens) {
			notBefore("opens", f.Opens)
			opens = f.Opens
		}
	}
	by := opens.Add(-f.Opens.Sub(notice))
	f.NoticeBy = &by
	bound := func(days int) *time.Time {
		if days == 0 {
			return nil
		}
		t := opens.In(units.Shanghai).AddDate(0, 0, days)
		return &t
	}
	f.Closes, f.ClosesBy = bound(r.Window.MinDays), bound(r.Window.MaxDays)
	if d.Closes.IsZero() {
		return f
	}
	switch {
	case !opens.Before(d.Closes):
		wrong(ErrWindow.Fields[0])
	case f.Closes != nil && d.Closes.Before(*f.Closes):
		notBefore("closes", *f.Closes)
	case f.ClosesBy != nil && d.Closes.After(*f.ClosesBy):
		wrong(bounded("closes", "too-late", "must not be after ", *f.ClosesBy))
	}
	if len(f.Wrong) > 0 {
		return f
	}
	counted := d.Closes.Add(Grace)
	m.Notice = votes.NoticePosted{Meeting: m.Meeting, At: notice, Opens: opens, Closes: d.Closes}
	m.Roll = roll
	m.Result.At = counted
	f.Deadlines = Deadlines(m, Times{RollFrozen: roll.At, Closed: counted, Counted: counted}, r, c, now)
	return f
}
