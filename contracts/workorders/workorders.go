// Package workorders is what can happen to a report of a fault, a complaint or
// an alarm, from the report to the rating.
package workorders

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
)

// Prefixes of the streams this context owns, each followed by an id.
const (
	WorkOrderStream = "workorder-" // one work order; imported ones are named by estate and number
	LimitsStream    = "limits-"    // the time limits of one estate
)

// Categories of the streams this context owns.
var Categories = []string{WorkOrderStream, LimitsStream}

// Sensor is the source (来源) of orders that a device raised.
const Sensor = "传感器"

// Limit is how quickly one kind of matter must be dealt with.
type Limit struct {
	Category      string `json:"category"`                 // 类别: 报修, 投诉, 巡查, 感知
	Matter        string `json:"matter"`                   // 事项
	ArriveMinutes int64  `json:"arrive_minutes,omitempty"` // from the report to the crew's arrival
	FinishHours   int64  `json:"finish_hours,omitempty"`   // from the report to the finish
}

// Event is something that happened to a work order or to an estate's limits.
//
//sumtype:decl
type Event interface{ event() }

// LimitsSet states all limits of an estate anew. Orders keep those of the time of their report.
type LimitsSet struct {
	Estate string  `json:"estate"`
	Limits []Limit `json:"limits"` // all of them
}

// WorkOrderReported is the first event of a work order.
type WorkOrderReported struct {
	Order    string       `json:"order"`
	Estate   string       `json:"estate"`
	Number   string       `json:"number"`             // 工单号
	Category string       `json:"category"`           // 类别
	Matter   string       `json:"matter"`             // 事项
	Place    string       `json:"place"`              // a public place such as 16栋, never a home's number
	Source   string       `json:"source"`             // 来源: 电话, 传感器, …
	Reporter string       `json:"reporter,omitempty"` // person id
	Words    codec.Sealed `json:"words,omitempty"`    // the reporter's own, with their key
	Limit    Limit        `json:"limit"`              // in force at the report
	At       time.Time    `json:"at"`                 // 上报时间
}

// WorkOrderDispatched says that a crew was sent.
type WorkOrderDispatched struct {
	Order string    `json:"order"`
	Crew  string    `json:"crew,omitempty"` // who was sent; never a person's name
	At    time.Time `json:"at"`             // 派单时间
}

// WorkOrderArrived says that the crew was there.
type WorkOrderArrived struct {
	Order string    `json:"order"`
	At    time.Time `json:"at"` // 到场时间
}

// WorkOrderFinished says that the work was done.
type WorkOrderFinished struct {
	Order string    `json:"order"`
	At    time.Time `json:"at"` // 完成时间
}

// WorkOrderRated is the reporter's rating.
type WorkOrderRated struct {
	Order string       `json:"order"`
	Score int          `json:"score"`           // 1 to 5; 4 and 5 are satisfied
	Words codec.Sealed `json:"words,omitempty"` // the reporter's own, with their key
	At    time.Time    `json:"at"`              // when it was rated
}

// WorkOrderReopened says that the matter was not settled: it starts again.
type WorkOrderReopened struct {
	Order string       `json:"order"`
	Words codec.Sealed `json:"words,omitempty"` // the reporter's own, with their key
	At    time.Time    `json:"at"`              // when it was reopened
}

// WorkOrderOverdue says that a limit passed.
type WorkOrderOverdue struct {
	Order string    `json:"order"`
	Step  string    `json:"step"` // arrive or finish
	Due   time.Time `json:"due"`  // instant of the limit
}

// WordsRead says that someone read the reporter's own words, in order to act on them.
type WordsRead struct {
	Order  string    `json:"order"`
	Reader string    `json:"reader"` // person or token that read
	At     time.Time `json:"at"`
}

// Each event with the streams it is written to; docs/events.md is made of this.
func (LimitsSet) event()           {} // LimitsStream
func (WorkOrderReported) event()   {} // WorkOrderStream
func (WorkOrderDispatched) event() {} // WorkOrderStream
func (WorkOrderArrived) event()    {} // WorkOrderStream
func (WorkOrderFinished) event()   {} // WorkOrderStream
func (WorkOrderRated) event()      {} // WorkOrderStream
func (WorkOrderReopened) event()   {} // WorkOrderStream
func (WorkOrderOverdue) event()    {} // WorkOrderStream
func (WordsRead) event()           {} // WorkOrderStream

// HappenedAt is the time of each step; see libs/es.
func (e WorkOrderReported) HappenedAt() time.Time   { return e.At }
func (e WorkOrderDispatched) HappenedAt() time.Time { return e.At }
func (e WorkOrderArrived) HappenedAt() time.Time    { return e.At }
func (e WorkOrderFinished) HappenedAt() time.Time   { return e.At }
func (e WorkOrderRated) HappenedAt() time.Time      { return e.At }
func (e WorkOrderReopened) HappenedAt() time.Time   { return e.At }

// Codec lists every event ever stored.
var Codec = codec.New(
	codec.Of[Event, LimitsSet]("limits-set.v1"),
	codec.Of[Event, WorkOrderReported]("work-order-reported.v1"),
	codec.Of[Event, WorkOrderDispatched]("work-order-dispatched.v1"),
	codec.Of[Event, WorkOrderArrived]("work-order-arrived.v1"),
	codec.Of[Event, WorkOrderFinished]("work-order-finished.v1"),
	codec.Of[Event, WorkOrderRated]("work-order-rated.v1"),
	codec.Of[Event, WorkOrderReopened]("work-order-reopened.v1"),
	codec.Of[Event, WorkOrderOverdue]("work-order-overdue.v1"),
	codec.Of[Event, WordsRead]("words-read.v1"),
)
