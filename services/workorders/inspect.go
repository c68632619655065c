package workorders

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/workorders/internal/order"
)

// inspection decides work orders and their limits again.
type inspection struct {
	only    string // estate; "": all
	rights  facts.Rights
	founded map[string]bool
	limits  map[string]*facts.Known[order.Limits]
	orders  map[string]order.Order
}

// Inspect returns what decides work orders again, for one estate or, with "", for
// all.
func Inspect(estate string, rights facts.Rights) facts.Part {
	return &inspection{only: estate, rights: rights, founded: map[string]bool{}, limits: map[string]*facts.Known[order.Limits]{}, orders: map[string]order.Order{}}
}

// Take implements facts.Part.
func (i *inspection) Take(c *facts.Commit) {
	switch event := c.Facts[0].Event.(type) {
	case registry.EstateFounded:
		i.founded[event.Estate] = true
	case workorders.LimitsSet:
		k := i.limitsOf(event.Estate)
		c.Names(workorders.LimitsStream, event.Estate)
		c.Present()
		of := authz.Resource{Type: "Estate", ID: event.Estate, Estate: event.Estate}
		if i.rights.Allowed(c, "papers.import", of) != facts.Right {
			c.May(i.rights, "limits.set", of)
		}
		i.there(c, event.Estate)
		c.Decided(facts.Again(c, k.Now(), order.SetLimits(event)))
		k.Set(c, event.Limits)
	case workorders.Event:
		id := strings.TrimPrefix(c.Stream(), workorders.WorkOrderStream)
		o := i.orders[id]
		c.Decided(i.step(c, id, o, event))
		for _, f := range c.Facts {
			if e, ok := f.Event.(workorders.Event); ok {
				o = order.Evolve(o, e)
			}
		}
		o.Said = nil // what was said is sealed
		i.orders[id] = o
	}
}

func (i *inspection) limitsOf(estate string) *facts.Known[order.Limits] {
	k := i.limits[estate]
	if k == nil {
		k = &facts.Known[order.Limits]{}
		i.limits[estate] = k
	}
	return k
}

func (i *inspection) there(c *facts.Commit, estate string) {
	if !i.founded[estate] {
		c.Break("no-such-estate", "there is no estate %s", estate)
	}
}

// step decides the events of an order's stream again.
func (i *inspection) step(c *facts.Commit, id string, o order.Order, event workorders.Event) error {
	may := func(action string) {
		c.May(i.rights, action, authz.Resource{Type: "WorkOrder", ID: id, Estate: o.Report.Estate, Person: o.Report.Reporter})
	}
	if report, ok := event.(workorders.WorkOrderReported); ok {
		return i.report(c, id, o, report)
	}
	c.Present()
	var command es.Command[order.Order, workorders.Event]
	switch e := event.(type) {
	case workorders.WorkOrderDispatched:
		may("workorder.dispatch")
		command = order.Dispatch{Crew: e.Crew, At: e.At}
	case workorders.WorkOrderArrived:
		may("workorder.arrive")
		command = order.Arrive{At: e.At}
	case workorders.WorkOrderFinished:
		may("workorder.finish")
		command = order.Finish{At: e.At}
	case workorders.WorkOrderRated:
		may("workorder.rate")
		command = order.Rate{Score: e.Score, Words: e.Words, At: e.At}
	case workorders.WorkOrderReopened:
		may("workorder.reopen")
		command = order.Reopen{Words: e.Words, At: e.At}
	case workorders.WorkOrderOverdue:
		cause := "workorder-" + id + "/" + e.Step + "/" + e.Due.UTC().Format(time.RFC3339)
		if c.Meta().Actor != "reaction:workorders_overdue" || c.Meta().Cause != cause {
			c.Break("cause", "no limit that passed leads to it")
		}
		command = order.MarkOverdue{Now: c.Meta().Happened}
	case workorders.WordsRead:
		may("words.read")
		if e.Reader != c.Meta().Actor {
			c.Break("wrong-actor", "%s is said to have read, and %s did", e.Reader, c.Meta().Actor)
		}
		command = order.ReadWords{Reader: e.Reader, At: e.At}
	default:
		c.Break("wrong-stream", "no such event is in this stream")
		return nil
	}
	return facts.Again(c, o, command)
}

// report decides a report, or an order of the past with all its steps.
func (i *inspection) report(c *facts.Commit, id string, o order.Order, e workorders.WorkOrderReported) error {
	c.Names(workorders.WorkOrderStream, e.Order)
	i.there(c, e.Estate)
	of := authz.Resource{Type: "Estate", ID: e.Estate, Estate: e.Estate}
	k := i.limitsOf(e.Estate)
	c.Hold(k.Ask(c, func(l order.Limits) bool { return e.Limit == l.Of(e.Category, e.Matter) }),
		"limit-wrong", "its limit is not the one of the estate for %s %s", e.Category, e.Matter)
	if !c.Meta().Past {
		c.May(i.rights, "workorder.report", of)
		if e.Source != "业主" {
			c.May(i.rights, "workorder.dispatch", of)
		}
		if e.Order != c.ID() {
			c.Break("order-id", "the id is not made of its request")
		}
		if e.Reporter != "" && e.Reporter != c.Meta().Actor {
			c.Break("wrong-actor", "%s is said to have reported, and %s did", e.Reporter, c.Meta().Actor)
		}
		return facts.Again(c, o, order.Report(e))
	}
	c.May(i.rights, "papers.import", of)
	if estate, err := uuid.Parse(e.Estate); err != nil || e.Order != uuid.NewSHA1(estate, []byte("workorder/"+e.Number)).String() {
		c.Break("order-id", "the id is not that of number %s of this estate", e.Number)
	}
	enter := order.Enter{Report: order.Report(e)}
	for _, f := range c.Facts {
		switch e := f.Event.(type) {
		case workorders.WorkOrderDispatched:
			enter.Dispatched = e.At
		case workorders.WorkOrderArrived:
			enter.Arrived = e.At
		case workorders.WorkOrderFinished:
			enter.Finished = e.At
		case workorders.WorkOrderRated:
			enter.Score = e.Score
		}
	}
	return facts.Again(c, o, enter)
}

// End implements facts.Part.
func (i *inspection) End(func(proof.Finding)) []facts.Unverified { return nil }

// summary is what is counted of an estate's orders.
type summary struct {
	Total       int `json:"total"`
	Responded   int `json:"responded"`
	OnTime      int `json:"on_time"`
	Completed   int `json:"completed"`
	Rated       int `json:"rated"`
	Satisfied   int `json:"satisfied"`
	SensorIn    int `json:"sensor_within_10min"`
	Sensor      int `json:"sensor"`
	Overdue     int `json:"overdue"`
	Outstanding int `json:"outstanding"`
}

// Figures implements facts.Part.
func (i *inspection) Figures() (list []facts.Figure) {
	sums := map[string]*summary{}
	for estate := range i.founded {
		if i.only == "" || estate == i.only {
			sums[estate] = &summary{}
		}
	}
	for _, o := range i.orders {
		s := sums[o.Report.Estate]
		if s == nil {
			continue
		}
		count := func(n *int, holds bool) {
			if holds {
				*n++
			}
		}
		finished, sensor := !o.Finished.IsZero(), o.Report.Source == workorders.Sensor
		due := o.Due(order.StepArrive)
		count(&s.Total, true)
		count(&s.Responded, !o.Dispatched.IsZero())
		count(&s.OnTime, o.OnTime())
		count(&s.Completed, finished)
		count(&s.Rated, o.Score > 0)
		count(&s.Satisfied, o.Score >= 4)
		count(&s.Sensor, sensor)
		count(&s.SensorIn, sensor && !o.Arrived.IsZero() && !due.IsZero() && !o.Arrived.After(due))
		count(&s.Overdue, !finished && len(o.Overdue) > 0)
		count(&s.Outstanding, !finished)
	}
	for _, estate := range slices.Sorted(maps.Keys(sums)) {
		list = append(list, facts.NewFigure("/estates/"+estate+"/workorders/summary", sums[estate]))
		list = append(list, facts.NewFigure("/estates/"+estate+"/workorders/limits", map[string]any{"items": slices.Clip(append(order.Limits{}, i.limitsOf(estate).Now()...))}))
	}
	return list
}
