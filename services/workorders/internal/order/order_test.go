package order_test

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/services/workorders/internal/order"
)

type event = workorders.Event

func same(a, b event) bool { return reflect.DeepEqual(a, b) }

// at is a minute after the report.
func at(minute int) time.Time {
	return time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC).Add(time.Duration(minute) * time.Minute)
}

var (
	reported = workorders.WorkOrderReported{
		Order: "o", Estate: "e", Number: "GD1", Category: "报修", Matter: "路灯不亮", Place: "16栋", Source: "业主", Reporter: "p", Words: "sealed-1",
		Limit: workorders.Limit{Category: "报修", Matter: "路灯不亮", ArriveMinutes: 30, FinishHours: 24}, At: at(0),
	}
	dispatched = workorders.WorkOrderDispatched{Order: "o", Crew: "电工组", At: at(5)}
	arrived    = workorders.WorkOrderArrived{Order: "o", At: at(20)}
	finished   = workorders.WorkOrderFinished{Order: "o", At: at(60)}
	rated      = workorders.WorkOrderRated{Order: "o", Score: 5, At: at(90)}
	reopened   = workorders.WorkOrderReopened{Order: "o", Words: "sealed-2", At: at(100)}
)

// upTo is the history up to the n-th event.
func upTo(n int) []event {
	return []event{reported, dispatched, arrived, finished, rated, reopened}[:n:n]
}

func fold(events ...event) (o order.Order) {
	for _, e := range events {
		o = order.Evolve(o, e)
	}
	return o
}

func TestFromReportToRating(t *testing.T) {
	report := func(change func(*order.Report)) order.Report {
		r := order.Report(reported)
		change(&r)
		return r
	}
	estest.Run(t, order.Evolve, same, []estest.Case[order.Order, event]{
		{Name: "a matter is reported", When: order.Report(reported), Then: upTo(1)},
		{Name: "an order is reported once", Given: upTo(1), When: order.Report(reported), Err: order.ErrExists},
		{Name: "it says what is the matter", When: report(func(r *order.Report) { r.Matter = " " }), Err: order.ErrMatter},
		{Name: "and of what kind", When: report(func(r *order.Report) { r.Category = "" }), Err: order.ErrMatter},
		{Name: "and where", When: report(func(r *order.Report) { r.Place = "" }), Err: order.ErrPlace},

		{Name: "a crew is sent", Given: upTo(1), When: order.Dispatch{Crew: "电工组", At: at(5)}, Then: []event{dispatched}},
		{Name: "once", Given: upTo(2), When: order.Dispatch{At: at(6)}, Err: order.ErrNotReported},
		{Name: "not before the report", Given: upTo(1), When: order.Dispatch{At: at(-1)}, Err: order.ErrOrderOfTimes},
		{Name: "to an order there is", When: order.Dispatch{At: at(5)}, Err: order.ErrNoSuchOrder},

		{Name: "the crew arrives", Given: upTo(2), When: order.Arrive{At: at(20)}, Then: []event{arrived}},
		{Name: "at the moment it was sent, if need be", Given: upTo(2), When: order.Arrive{At: at(5)}, Then: []event{workorders.WorkOrderArrived{Order: "o", At: at(5)}}},
		{Name: "not before it was sent", Given: upTo(2), When: order.Arrive{At: at(4)}, Err: order.ErrOrderOfTimes},
		{Name: "nobody arrives who was not sent", Given: upTo(1), When: order.Arrive{At: at(20)}, Err: order.ErrNotDispatched},
		{Name: "nobody arrives twice", Given: upTo(3), When: order.Arrive{At: at(21)}, Err: order.ErrNotDispatched},
		{Name: "nobody arrives nowhere", When: order.Arrive{At: at(20)}, Err: order.ErrNoSuchOrder},

		{Name: "the work is done", Given: upTo(3), When: order.Finish{At: at(60)}, Then: []event{finished}},
		{Name: "from afar too", Given: upTo(2), When: order.Finish{At: at(60)}, Then: []event{finished}},
		{Name: "not by nobody", Given: upTo(1), When: order.Finish{At: at(60)}, Err: order.ErrNotUnderWay},
		{Name: "not before they came", Given: upTo(3), When: order.Finish{At: at(19)}, Err: order.ErrOrderOfTimes},
		{Name: "once", Given: upTo(4), When: order.Finish{At: at(61)}, Err: order.ErrNotUnderWay},
		{Name: "nothing is done for no order", When: order.Finish{At: at(60)}, Err: order.ErrNoSuchOrder},

		{Name: "the work is rated", Given: upTo(4), When: order.Rate{Score: 5, At: at(90)}, Then: []event{rated}},
		{Name: "once", Given: upTo(5), When: order.Rate{Score: 1, At: at(91)}, Err: order.ErrRated},
		{Name: "when it is done", Given: upTo(3), When: order.Rate{Score: 5, At: at(90)}, Err: order.ErrNotFinished},
		{Name: "with 1 at least", Given: upTo(4), When: order.Rate{Score: 0, At: at(90)}, Err: order.ErrScore},
		{Name: "with 5 at most", Given: upTo(4), When: order.Rate{Score: 6, At: at(90)}, Err: order.ErrScore},
		{Name: "no order is rated", When: order.Rate{Score: 5, At: at(90)}, Err: order.ErrNoSuchOrder},

		{Name: "what was not settled is reopened", Given: upTo(5), When: order.Reopen{Words: "sealed-2", At: at(100)}, Then: []event{reopened}},
		{Name: "unrated too", Given: upTo(4), When: order.Reopen{Words: "sealed-2", At: at(100)}, Then: []event{reopened}},
		{Name: "not while it is under way", Given: upTo(3), When: order.Reopen{At: at(100)}, Err: order.ErrNotFinished},
		{Name: "not before it was done", Given: upTo(4), When: order.Reopen{At: at(59)}, Err: order.ErrOrderOfTimes},
		{Name: "and a crew is sent again", Given: upTo(6), When: order.Dispatch{At: at(110)}, Then: []event{workorders.WorkOrderDispatched{Order: "o", At: at(110)}}},
		{Name: "after it was reopened", Given: upTo(6), When: order.Dispatch{At: at(99)}, Err: order.ErrOrderOfTimes},
		{Name: "no order is reopened", When: order.Reopen{At: at(100)}, Err: order.ErrNoSuchOrder},

		{Name: "reading words is recorded", Given: upTo(1), When: order.ReadWords{Reader: "r", At: at(2)}, Then: []event{workorders.WordsRead{Order: "o", Reader: "r", At: at(2)}}},
		{Name: "of an order there is", When: order.ReadWords{Reader: "r", At: at(2)}, Err: order.ErrNoSuchOrder},
	})
}

func TestOverdue(t *testing.T) {
	overdue := func(step string, due time.Time) event {
		return workorders.WorkOrderOverdue{Order: "o", Step: step, Due: due}
	}
	noLimit := reported
	noLimit.Limit = workorders.Limit{}
	estest.Run(t, order.Evolve, same, []estest.Case[order.Order, event]{
		{Name: "nothing before the limit", Given: upTo(2), When: order.MarkOverdue{Now: at(29)}},
		{Name: "at the limit nobody is there", Given: upTo(2), When: order.MarkOverdue{Now: at(30)}, Then: []event{overdue("arrive", at(30))}},
		{Name: "it is recorded once", Given: append(upTo(2), overdue("arrive", at(30))), When: order.MarkOverdue{Now: at(31)}},
		{Name: "then the finish is due", Given: append(upTo(2), overdue("arrive", at(30))), When: order.MarkOverdue{Now: at(24 * 60)},
			Then: []event{overdue("finish", at(24*60))}},
		{Name: "who is there is not late to arrive", Given: upTo(3), When: order.MarkOverdue{Now: at(31)}},
		{Name: "what is done is not late", Given: upTo(4), When: order.MarkOverdue{Now: at(48 * 60)}},
		{Name: "what is reopened has its time again", Given: upTo(6), When: order.MarkOverdue{Now: at(129)}},
		{Name: "and no more than that", Given: upTo(6), When: order.MarkOverdue{Now: at(130)}, Then: []event{overdue("arrive", at(130))}},
		{Name: "without a limit nothing is late", Given: []event{noLimit}, When: order.MarkOverdue{Now: at(1 << 20)}},
		{Name: "no order is late", When: order.MarkOverdue{Now: at(0)}, Err: order.ErrNoSuchOrder},
	})
}

func TestOnTime(t *testing.T) {
	limited := func(arrive, finish int64) workorders.WorkOrderReported {
		r := reported
		r.Limit = workorders.Limit{ArriveMinutes: arrive, FinishHours: finish}
		return r
	}
	done := func(minute int) event { return workorders.WorkOrderFinished{Order: "o", At: at(minute)} }
	there := func(minute int) event { return workorders.WorkOrderArrived{Order: "o", At: at(minute)} }
	again := workorders.WorkOrderReopened{Order: "o", At: at(1000)}
	for name, c := range map[string]struct {
		history []event
		want    bool
	}{
		"not finished":                         {[]event{limited(0, 1), dispatched}, false},
		"within the hours":                     {[]event{limited(0, 1), dispatched, done(60)}, true},
		"after the hours":                      {[]event{limited(0, 1), dispatched, done(61)}, false},
		"there within the minutes":             {[]event{limited(20, 0), dispatched, there(20), done(9999)}, true},
		"there after the minutes":              {[]event{limited(19, 0), dispatched, there(20), done(21)}, false},
		"never there":                          {[]event{limited(20, 0), dispatched, done(10)}, false},
		"no limit":                             {[]event{limited(0, 0), dispatched, done(9999)}, true},
		"reopened":                             {[]event{limited(0, 1), dispatched, done(60), again}, false},
		"reopened, within the hours again":     {[]event{limited(0, 1), dispatched, done(60), again, done(1060)}, true},
		"reopened, then late":                  {[]event{limited(0, 1), dispatched, done(60), again, done(1061)}, false},
		"late, and reopening does not undo it": {[]event{limited(0, 1), dispatched, done(61), again, done(1001)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fold(c.history...).OnTime(); got != c.want {
				t.Fatalf("on time: %t", got)
			}
		})
	}
}

func TestReopeningKeepsTheRatingAndAllThatWasSaid(t *testing.T) {
	o := fold(upTo(6)...)
	if o.State != order.Reported || o.Score != 5 || !o.Finished.IsZero() {
		t.Fatalf("reopened as %+v", o)
	}
	if want := []order.Said{{At: at(0), Words: "sealed-1"}, {At: at(100), Words: "sealed-2"}}; !reflect.DeepEqual(o.Said, want) {
		t.Fatalf("said %v", o.Said)
	}
}

func TestAnOrderOfThePastIsEnteredWithItsSteps(t *testing.T) {
	report := order.Report(reported)
	estest.Run(t, order.Evolve, same, []estest.Case[order.Order, event]{
		{Name: "all of them", When: order.Enter{Report: report, Dispatched: at(5), Arrived: at(20), Finished: at(60), Score: 4},
			Then: []event{reported, workorders.WorkOrderDispatched{Order: "o", At: at(5)}, arrived, finished, workorders.WorkOrderRated{Order: "o", Score: 4, At: at(60)}}},
		{Name: "those that were taken", When: order.Enter{Report: report}, Then: upTo(1)},
		{Name: "in order", When: order.Enter{Report: report, Dispatched: at(5), Arrived: at(4)}, Err: order.ErrOrderOfTimes},
		{Name: "without gaps", When: order.Enter{Report: report, Arrived: at(20)}, Err: order.ErrNotDispatched},
		{Name: "rated when done", When: order.Enter{Report: report, Dispatched: at(5), Score: 4}, Err: order.ErrNotFinished},
		{Name: "once", Given: upTo(1), When: order.Enter{Report: report}, Err: order.ErrExists},
	})
}

func TestLimits(t *testing.T) {
	limit := workorders.Limit{Category: "报修", Matter: "路灯不亮", FinishHours: 24}
	set := func(limits ...workorders.Limit) order.SetLimits {
		return order.SetLimits{Estate: "e", Limits: limits}
	}
	was := []event{workorders.LimitsSet{Estate: "e", Limits: []workorders.Limit{limit}}}
	estest.Run(t, order.EvolveLimits, same, []estest.Case[order.Limits, event]{
		{Name: "limits are set", When: set(limit), Then: was},
		{Name: "the same again change nothing", Given: was, When: set(limit)},
		{Name: "none are none", Given: was, When: set(), Then: []event{workorders.LimitsSet{Estate: "e"}}},
		{Name: "a matter has one", When: set(limit, limit), Err: order.ErrLimits},
		{Name: "a limit is for a matter", When: set(workorders.Limit{Category: "报修", FinishHours: 1}), Err: order.ErrLimits},
		{Name: "and limits something", When: set(workorders.Limit{Category: "报修", Matter: "漏水"}), Err: order.ErrLimits},
		{Name: "and not backwards", When: set(workorders.Limit{Category: "报修", Matter: "漏水", ArriveMinutes: -1, FinishHours: 1}), Err: order.ErrLimits},
	})
	limits := order.Limits{limit}
	if got := limits.Of("报修", "路灯不亮"); got != limit {
		t.Fatalf("limit %+v", got)
	}
	if got := limits.Of("投诉", "噪音"); got != (workorders.Limit{Category: "投诉", Matter: "噪音"}) {
		t.Fatalf("limit %+v where none is set", got)
	}
}

// Whatever is tried in whatever order, steps that are taken come in order, and
// what Evolve makes of them does not depend on how often it was asked.
func TestStepsComeInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		history := upTo(1)
		o := fold(history...)
		for i := range rapid.IntRange(0, 30).Draw(t, "steps") {
			now := at(i + 1)
			cmd := rapid.SampledFrom([]es.Command[order.Order, event]{
				order.Dispatch{At: now}, order.Arrive{At: now}, order.Finish{At: now}, order.Rate{Score: 3, At: now}, order.Reopen{At: now}, order.MarkOverdue{Now: now},
			}).Draw(t, "command")
			if events, err := cmd.Decide(o); err == nil {
				history = append(history, events...)
				o = fold(history...)
			}
		}
		times := []time.Time{o.From}
		for _, step := range []time.Time{o.Dispatched, o.Arrived, o.Finished} {
			if !step.IsZero() {
				times = append(times, step)
			}
		}
		for i := 1; i < len(times); i++ {
			if times[i].Before(times[i-1]) {
				t.Fatalf("%v is out of order in %+v", times, o)
			}
		}
		if o.OnTime() && (o.State == order.Reported || o.Finished.IsZero()) {
			t.Fatalf("on time without being finished: %+v", o)
		}
	})
}
