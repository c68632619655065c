// Package order decides what may happen to a work order (工单), from the report
// of a fault, a complaint or an alarm to the rating: reported → dispatched →
// arrived → finished → rated, reopened where it was not settled. It does no I/O.
package order

import (
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals.
var (
	ErrNoSuchOrder   = problem.NotFound("no-such-order", "there is no such work order")
	ErrExists        = problem.Conflict("order-exists", "a work order with this number is in the ledger already, and says something else")
	ErrMatter        = problem.Invalid("matter-missing", "say what kind of matter it is and what is the matter")
	ErrPlace         = problem.Invalid("place-missing", "say where it is, in at most 60 characters")
	ErrOrderOfTimes  = problem.Invalid("times-out-of-order", "a step cannot be earlier than the step before it")
	ErrNotReported   = problem.Conflict("order-not-waiting", "a crew is sent to an order that waits for one")
	ErrNotDispatched = problem.Conflict("order-not-dispatched", "a crew arrives after it was dispatched, once")
	ErrNotUnderWay   = problem.Conflict("order-not-under-way", "an order is finished after a crew was dispatched, once")
	ErrNotFinished   = problem.Conflict("order-not-finished", "an order is rated or reopened after it was finished")
	ErrRated         = problem.Conflict("order-rated", "the order has been rated")
	ErrScore         = problem.Invalid("score-wrong", "a rating is 1 to 5")
	ErrLimits        = problem.Invalid("limits-wrong", "each matter has one limit: minutes to arrive, or hours to finish, more than zero")
)

// State of an order.
type State string

// States, in order.
const (
	Reported   State = "reported"
	Dispatched State = "dispatched"
	Arrived    State = "arrived"
	Finished   State = "finished"
	Rated      State = "rated"
)

// Steps that have a limit.
const (
	StepArrive = "arrive"
	StepFinish = "finish"
)

// Order is the state of an order's stream. Times are zero where a step was not taken.
type Order struct {
	Report     workorders.WorkOrderReported
	State      State     // "" where there is none
	From       time.Time // the report, or the last reopening: limits count from here
	Dispatched time.Time
	Arrived    time.Time
	Finished   time.Time
	Score      int
	Late       bool     // finished at least once after its limit; reopening does not undo it
	Overdue    []string // steps recorded as overdue since From
	Said       []Said   // what the reporter wrote, in order
}

// Said is what the reporter wrote at a step.
type Said struct {
	At    time.Time
	Words codec.Sealed
}

// Evolve applies one event.
func Evolve(o Order, e workorders.Event) Order {
	switch e := e.(type) {
	case workorders.WorkOrderReported:
		o.Report, o.State, o.From = e, Reported, e.At
		o.say(e.At, e.Words)
	case workorders.WorkOrderDispatched:
		o.State, o.Dispatched = Dispatched, e.At
	case workorders.WorkOrderArrived:
		o.State, o.Arrived = Arrived, e.At
	case workorders.WorkOrderFinished:
		o.State, o.Finished = Finished, e.At
		o.Late = o.Late || !o.kept()
	case workorders.WorkOrderRated:
		o.State, o.Score = Rated, e.Score
		o.say(e.At, e.Words)
	case workorders.WorkOrderReopened:
		o.State, o.From, o.Overdue = Reported, e.At, nil
		o.Dispatched, o.Arrived, o.Finished = time.Time{}, time.Time{}, time.Time{}
		o.say(e.At, e.Words)
	case workorders.WorkOrderOverdue:
		o.Overdue = append(slices.Clone(o.Overdue), e.Step)
	case workorders.LimitsSet, workorders.WordsRead: // another stream; no change
	}
	return o
}

func (o *Order) say(at time.Time, words codec.Sealed) {
	if words != "" {
		o.Said = append(slices.Clone(o.Said), Said{at, words})
	}
}

// OnTime says whether an order that is finished kept its limit, every time it
// was finished. An order without a limit is on time.
func (o Order) OnTime() bool { return !o.Finished.IsZero() && !o.Late }

// kept says whether the order was finished within its hours, or, where the limit
// is minutes to arrive, its crew arrived within them. Both count from the report
// or the last reopening.
func (o Order) kept() bool {
	l := o.Report.Limit
	if l.ArriveMinutes > 0 && (o.Arrived.IsZero() || o.Arrived.After(o.Due(StepArrive))) {
		return false
	}
	return l.FinishHours == 0 || !o.Finished.After(o.Due(StepFinish))
}

// Due returns when a step must be taken, the zero time where it has no limit.
func (o Order) Due(step string) time.Time {
	l := o.Report.Limit
	switch {
	case step == StepArrive && l.ArriveMinutes > 0:
		return o.From.Add(time.Duration(l.ArriveMinutes) * time.Minute)
	case step == StepFinish && l.FinishHours > 0:
		return o.From.Add(time.Duration(l.FinishHours) * time.Hour)
	}
	return time.Time{}
}

// NextDue returns the first limit that still runs or passed unrecorded, and when
// it passes; "" where there is none.
func (o Order) NextDue() (step string, at time.Time) {
	if !o.Finished.IsZero() {
		return "", time.Time{}
	}
	for _, s := range []string{StepArrive, StepFinish} {
		due := o.Due(s)
		open := !due.IsZero() && !slices.Contains(o.Overdue, s) && (s == StepFinish || o.Arrived.IsZero())
		if open && (step == "" || due.Before(at)) {
			step, at = s, due
		}
	}
	return step, at
}

// Report begins an order.
type Report workorders.WorkOrderReported

// Decide implements es.Command.
func (c Report) Decide(o Order) ([]workorders.Event, error) {
	switch {
	case strings.TrimSpace(c.Category) == "" || strings.TrimSpace(c.Matter) == "":
		return nil, ErrMatter
	case strings.TrimSpace(c.Place) == "" || len([]rune(c.Place)) > 60:
		return nil, ErrPlace
	case o.State != "":
		return nil, ErrExists
	}
	return []workorders.Event{workorders.WorkOrderReported(c)}, nil
}

// Dispatch sends a crew.
type Dispatch struct {
	Crew string
	At   time.Time
}

// Decide implements es.Command.
func (c Dispatch) Decide(o Order) ([]workorders.Event, error) {
	switch {
	case o.State == "":
		return nil, ErrNoSuchOrder
	case o.State != Reported:
		return nil, ErrNotReported
	case c.At.Before(o.From):
		return nil, ErrOrderOfTimes
	}
	return []workorders.Event{workorders.WorkOrderDispatched{Order: o.Report.Order, Crew: c.Crew, At: c.At}}, nil
}

// Arrive says that the crew is there.
type Arrive struct{ At time.Time }

// Decide implements es.Command.
func (c Arrive) Decide(o Order) ([]workorders.Event, error) {
	switch {
	case o.State == "":
		return nil, ErrNoSuchOrder
	case o.State != Dispatched:
		return nil, ErrNotDispatched
	case c.At.Before(o.Dispatched):
		return nil, ErrOrderOfTimes
	}
	return []workorders.Event{workorders.WorkOrderArrived{Order: o.Report.Order, At: c.At}}, nil
}

// Finish says that the work is done; a matter settled from afar needs no arrival.
type Finish struct{ At time.Time }

// Decide implements es.Command.
func (c Finish) Decide(o Order) ([]workorders.Event, error) {
	switch {
	case o.State == "":
		return nil, ErrNoSuchOrder
	case o.State != Arrived && o.State != Dispatched:
		return nil, ErrNotUnderWay
	case c.At.Before(o.Dispatched) || c.At.Before(o.Arrived):
		return nil, ErrOrderOfTimes
	}
	return []workorders.Event{workorders.WorkOrderFinished{Order: o.Report.Order, At: c.At}}, nil
}

// Rate is the reporter's rating.
type Rate struct {
	Score int
	Words codec.Sealed
	At    time.Time
}

// Decide implements es.Command.
func (c Rate) Decide(o Order) ([]workorders.Event, error) {
	switch {
	case o.State == "":
		return nil, ErrNoSuchOrder
	case c.Score < 1 || c.Score > 5:
		return nil, ErrScore
	case o.State == Rated:
		return nil, ErrRated
	case o.State != Finished:
		return nil, ErrNotFinished
	}
	return []workorders.Event{workorders.WorkOrderRated{Order: o.Report.Order, Score: c.Score, Words: c.Words, At: c.At}}, nil
}

// Reopen starts an order again that was not settled.
type Reopen struct {
	Words codec.Sealed
	At    time.Time
}

// Decide implements es.Command.
func (c Reopen) Decide(o Order) ([]workorders.Event, error) {
	switch {
	case o.State == "":
		return nil, ErrNoSuchOrder
	case o.State != Finished && o.State != Rated:
		return nil, ErrNotFinished
	case c.At.Before(o.Finished):
		return nil, ErrOrderOfTimes
	}
	return []workorders.Event{workorders.WorkOrderReopened{Order: o.Report.Order, Words: c.Words, At: c.At}}, nil
}

// MarkOverdue records that a limit passed, where one did.
type MarkOverdue struct{ Now time.Time }

// Decide implements es.Command.
func (c MarkOverdue) Decide(o Order) ([]workorders.Event, error) {
	step, due := o.NextDue()
	switch {
	case o.State == "":
		return nil, ErrNoSuchOrder
	case step == "" || c.Now.Before(due):
		return nil, nil
	}
	return []workorders.Event{workorders.WorkOrderOverdue{Order: o.Report.Order, Step: step, Due: due}}, nil
}

// ReadWords records that someone reads the reporter's own words, before they do.
type ReadWords struct {
	Reader string
	At     time.Time
}

// Decide implements es.Command.
func (c ReadWords) Decide(o Order) ([]workorders.Event, error) {
	if o.State == "" {
		return nil, ErrNoSuchOrder
	}
	return []workorders.Event{workorders.WordsRead{Order: o.Report.Order, Reader: c.Reader, At: c.At}}, nil
}

// Enter takes an order of the past as one, with every step its paper states;
// zero times and a zero score are steps that were not taken.
type Enter struct {
	Report
	Dispatched, Arrived, Finished time.Time
	Score                         int
}

// Decide implements es.Command.
func (c Enter) Decide(o Order) ([]workorders.Event, error) {
	events, err := c.Report.Decide(o)
	if err != nil {
		return nil, err
	}
	o = Evolve(o, events[0])
	var steps []es.Command[Order, workorders.Event]
	if !c.Dispatched.IsZero() {
		steps = append(steps, Dispatch{At: c.Dispatched})
	}
	if !c.Arrived.IsZero() {
		steps = append(steps, Arrive{At: c.Arrived})
	}
	if !c.Finished.IsZero() {
		steps = append(steps, Finish{At: c.Finished})
	}
	if c.Score != 0 {
		steps = append(steps, Rate{Score: c.Score, At: c.Finished})
	}
	for _, step := range steps {
		next, err := step.Decide(o)
		if err != nil {
			return nil, err
		}
		o, events = Evolve(o, next[0]), append(events, next...)
	}
	return events, nil
}

// Limits is the state of the stream of an estate's limits.
type Limits []workorders.Limit

// EvolveLimits applies one event.
func EvolveLimits(l Limits, e workorders.Event) Limits {
	if e, ok := e.(workorders.LimitsSet); ok {
		return e.Limits
	}
	return l
}

// Of returns the limit of a matter, without times where none is set.
func (l Limits) Of(category, matter string) workorders.Limit {
	for _, limit := range l {
		if limit.Category == category && limit.Matter == matter {
			return limit
		}
	}
	return workorders.Limit{Category: category, Matter: matter}
}

// SetLimits states all limits of an estate anew.
type SetLimits workorders.LimitsSet

// Decide implements es.Command.
func (c SetLimits) Decide(l Limits) ([]workorders.Event, error) {
	seen := map[[2]string]bool{}
	for _, limit := range c.Limits {
		matter := [2]string{limit.Category, limit.Matter}
		if seen[matter] || limit.Category == "" || limit.Matter == "" || limit.ArriveMinutes < 0 || limit.FinishHours < 0 ||
			limit.ArriveMinutes == 0 && limit.FinishHours == 0 {
			return nil, ErrLimits
		}
		seen[matter] = true
	}
	if slices.Equal(l, c.Limits) {
		return nil, nil
	}
	return []workorders.Event{workorders.LimitsSet(c)}, nil
}
