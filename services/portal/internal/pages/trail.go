package pages

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// TrailForm is what the trail is searched by, as it was typed.
type TrailForm struct {
	Estate, Kind, Event, Stream, Actor, About string
	By                                        string // recorded or happened
	Since, Until                              string // days
}

// ByHappened says that days are of when things happened.
const ByHappened = "happened"

// TrailModel is the trail as it was searched.
type TrailModel struct {
	Form    TrailForm
	Problem *Problem // what cannot be searched for
	Estates []client.Named
	Items   []client.Found
	Begin   string      // address of the first page; empty on it
	More    string      // address of the next page
	Short   bool        // a search that looked at as much as it may, and goes on
	Log     *client.Log // how far the ledger is signed; nil where that cannot be read
}

// chosen is the estate whose records are searched; nil where there is none of that id.
func (m TrailModel) chosen() *client.Named {
	i := slices.IndexFunc(m.Estates, func(e client.Named) bool { return e.ID == m.Form.Estate })
	if i < 0 {
		return nil
	}
	return &m.Estates[i]
}

func (f TrailForm) empty() bool {
	return f.Estate+f.Kind+f.Event+f.Stream+f.Actor+f.About+f.Since+f.Until == ""
}

// words says what was searched for.
func (m TrailModel) words(l Lang) string {
	f := m.Form
	var parts []string
	add := func(is, zh, en string) {
		if is != "" {
			parts = append(parts, l.T(zh, en))
		}
	}
	estate := m.estateName(f.Estate)
	add(f.Estate, "小区是“"+estate+"”", "of the estate “"+estate+"”")
	add(f.Kind, "记录的是“"+EventWords(l, f.Kind)+"”", "being “"+EventWords(l, f.Kind)+"”")
	add(f.Event, "编号是 "+f.Event, "with the id "+f.Event)
	add(f.Stream, "在记录流 "+f.Stream+" 里", "in the stream "+f.Stream)
	add(f.About, "与 "+StreamWords(l, f.About)+" 有关", "about "+StreamWords(l, f.About))
	add(f.Actor, "由 "+f.Actor+" 提交", "asked for by "+f.Actor)
	if f.Since+f.Until != "" {
		span := l.T("到 "+f.Until+" 为止", "until "+f.Until)
		switch {
		case f.Until == "":
			span = l.T("从 "+f.Since+" 起", "from "+f.Since+" on")
		case f.Since != "":
			span = l.T(f.Since+" 至 "+f.Until, f.Since+" to "+f.Until)
		}
		if f.By == ByHappened {
			parts = append(parts, l.T(span+"发生", "that happened "+span))
		} else {
			parts = append(parts, l.T(span+"记入账本", "recorded "+span))
		}
	}
	if len(parts) == 0 {
		return l.T("全部记录，最新的在前。", "All records, the latest first.")
	}
	return l.T("查的是："+strings.Join(parts, "，")+"。最新的在前。", "Records "+strings.Join(parts, ", ")+"; the latest first.")
}

func (m TrailModel) estateName(id string) string {
	for _, e := range m.Estates {
		if e.ID == id {
			return e.Name
		}
	}
	return id
}

// kindGroup is the kinds of events of one part of the ledger.
type kindGroup struct {
	Words string
	Kinds []string
}

// kinds lists every kind of event there is.
func kinds(l Lang) []kindGroup {
	return []kindGroup{
		{l.T("小区、房屋和人", "Estates, units and people"), registry.Codec.Names()},
		{l.T("合同", "Agreements"), agreements.Codec.Names()},
		{l.T("报事报修", "Work orders"), workorders.Codec.Names()},
		{l.T("财务", "Finance"), finance.Codec.Names()},
		{l.T("业主大会", "Owners' meetings"), votes.Codec.Names()},
		{l.T("账本自己", "The ledger itself"), ledger.Codec.Names()},
	}
}

// StreamWords names the thing whose records a stream is.
func StreamWords(l Lang, stream string) string {
	category, id, _ := strings.Cut(stream, "-")
	category += "-"
	words := lookup(l, map[string][2]string{
		registry.EstateStream: {"小区", "estate"}, registry.UnitStream: {"房屋", "unit"}, registry.PersonStream: {"人", "person"}, registry.TokenStream: {"凭据", "token"},
		agreements.AgreementStream: {"合同", "agreement"}, agreements.OptionStream: {"可选服务", "options"},
		workorders.WorkOrderStream: {"工单", "work order"}, workorders.LimitsStream: {"时限", "time limits"},
		finance.BudgetStream: {"预算", "budget"}, finance.VoucherStream: {"凭证", "voucher"}, finance.OpeningStream: {"期初余额", "opening balance"}, finance.PaymentStream: {"收款", "payment"},
		finance.CollectionStream: {"每日合计", "daily total"}, finance.BillsStream: {"账单", "bills"}, finance.PeriodStream: {"账期", "period"},
		votes.MeetingStream: {"业主大会", "owners' meeting"}, votes.BallotStream: {"选票", "ballots"}, votes.RefusalStream: {"没有计入的选票", "refused ballots"}, votes.ObjectionStream: {"对结果的异议", "objection to a result"},
		ledger.RefusedStream: {"不能接受的提交", "refused commits"}, ledger.ReactionStream: {"被拒绝的自动处理", "refused reactions"}, ledger.LogStream: {"账本的日志", "log of the ledger"},
	}, category)
	if words == category {
		return stream
	}
	return words + " " + id
}

// ActorWords says who asked for something; people are ids.
func ActorWords(l Lang, actor string) string {
	kind, rest, found := strings.Cut(actor, ":")
	switch {
	case actor == "":
		return l.T("没有写明", "not stated")
	case actor == "ledger":
		return l.T("账本服务", "the ledger service")
	case actor == "operator":
		return l.T("运营方", "the operator")
	case found && kind == "reaction":
		return l.T("系统自动处理 ", "by itself: ") + rest
	case found && kind == "token":
		return l.T("程序 ", "program ") + rest
	}
	return l.T("人员 ", "person ") + actor
}

// LifeModel is the life of one thing: the events of its stream, and those of
// others that led to them or that they led to.
type LifeModel struct {
	Stream string
	Events []LifeEvent // in the order of the ledger
	Lanes  []string    // the streams, that of the thing first
	About  []client.Kind
	Gap    bool   // what hangs together with it could not be read
	Cut    bool   // more hangs together with it than is shown
	Begin  string // address of the first page; empty on it
	More   string // address of the next page
}

// LifeEvent is one event in it.
type LifeEvent struct {
	client.Event
	Own     bool         // of the thing itself
	Lane    int          // in which of the lanes it is drawn
	Cause   *LifeEvent   // what led to it, where that is on the page
	Effects []*LifeEvent // what it led to, of those on the page
	Drawing drawing
}

// NewLife puts events together: those of the stream and those found in others.
func NewLife(stream string, events []client.Event, found []client.Found) LifeModel {
	m := LifeModel{Stream: stream, Lanes: []string{stream}}
	for _, e := range events {
		m.Events = append(m.Events, LifeEvent{Event: e, Own: true})
	}
	for _, f := range found {
		m.Events = append(m.Events, LifeEvent{Event: client.Event{
			Position: f.Position, Stream: f.Stream, Revision: f.Revision, ID: f.ID, Type: f.Type, Happened: f.Happened, Recorded: f.Recorded,
			Meta: client.Meta{Cause: f.Cause, Actor: f.Actor},
		}})
	}
	// Not every store tells the positions of one stream's events; the times of
	// recording are in the same order.
	slices.SortStableFunc(m.Events, func(a, b LifeEvent) int { return a.Recorded.Compare(b.Recorded) })
	byID := map[string]*LifeEvent{}
	for i := range m.Events {
		e := &m.Events[i]
		byID[e.ID] = e
		if e.Lane = slices.Index(m.Lanes, e.Stream); e.Lane < 0 {
			if e.Lane = len(m.Lanes); e.Lane < mostLanes {
				m.Lanes = append(m.Lanes, e.Stream)
			} else {
				e.Lane = mostLanes - 1
			}
		}
	}
	for i := range m.Events {
		e := &m.Events[i]
		if cause := byID[strings.TrimPrefix(e.Meta.Cause, "refused/")]; cause != nil && cause != e {
			e.Cause = cause
			cause.Effects = append(cause.Effects, e)
		}
	}
	m.draw()
	return m
}

// drawing is what stands beside one event: lines of the lanes with its dot, as
// high as the first line of its words, and under it lines alone, as high as the rest.
type drawing struct {
	Head, Tail string // paths
	Arm        string // path from the lane of its cause; empty
	Dot        string // x
}

const (
	laneWidth = 22
	mostLanes = 5 // the last one is shared by all other streams
	headHigh  = 44
	dotHigh   = 22 // from the top
)

// draw draws a line for each lane from its first event to its last, and on to
// what that led to in another lane.
func (m *LifeModel) draw() {
	first, last, end := make([]int, len(m.Lanes)), make([]int, len(m.Lanes)), make([]int, len(m.Lanes))
	for i := len(m.Events) - 1; i >= 0; i-- {
		first[m.Events[i].Lane] = i
	}
	for i, e := range m.Events {
		last[e.Lane], end[e.Lane] = i, i
		if e.Cause != nil && e.Cause.Lane != e.Lane {
			end[e.Cause.Lane] = max(end[e.Cause.Lane], i)
		}
	}
	for i := range m.Events {
		e := &m.Events[i]
		d := drawing{Dot: laneX(e.Lane)}
		for lane := range m.Lanes {
			if i < first[lane] || i > end[lane] {
				continue
			}
			from, to := 0, headHigh
			if i == first[lane] {
				from = dotHigh
			}
			switch {
			case i < end[lane]:
				d.Tail += "M" + laneX(lane) + " 0V10"
			case i == last[lane]:
				to = dotHigh
			default:
				to = 0 // only the arm is left
			}
			if from < to {
				d.Head += "M" + laneX(lane) + " " + strconv.Itoa(from) + "V" + strconv.Itoa(to)
			}
		}
		if e.Cause != nil && e.Cause.Lane != e.Lane {
			high, side := strconv.Itoa(dotHigh), 9
			if e.Cause.Lane > e.Lane {
				side = -9
			}
			tip := strconv.Itoa(laneWidth/2 + e.Lane*laneWidth - side)
			d.Arm = "M" + laneX(e.Cause.Lane) + " 0Q" + laneX(e.Cause.Lane) + " " + high + " " + tip + " " + high
		}
		e.Drawing = d
	}
}

func laneX(lane int) string { return strconv.Itoa(laneWidth/2 + lane*laneWidth) }

// width of the drawing.
func (m LifeModel) width() string { return strconv.Itoa(laneWidth * len(m.Lanes)) }

// indent is the class of a list with so many lanes.
func (m LifeModel) indent() string { return "life lanes" + strconv.Itoa(len(m.Lanes)) }

func (e LifeEvent) anchor() string { return "e-" + e.ID }

// when says when it happened, and when it was recorded where that is another time.
func (e LifeEvent) when(l Lang) string {
	recorded := Second(&e.Recorded)
	if e.Happened == nil || e.Happened.IsZero() {
		return l.T("记录于 ", "recorded ") + recorded
	}
	happened := Second(e.Happened)
	if d := e.Recorded.Sub(*e.Happened); d > -time.Minute && d < time.Minute {
		return happened
	}
	return happened + l.T("，记录于 ", ", recorded ") + recorded
}

// mostShown is how many bytes of an event's content stand in a page.
const mostShown = 1500

// content is what an event says, laid out to be read; empty where it is long.
func (e LifeEvent) content() string {
	var b bytes.Buffer
	if len(e.Data) > mostShown || json.Indent(&b, e.Data, "", "  ") != nil {
		return ""
	}
	return b.String()
}

// raw is where an event stands in the API.
func (e LifeEvent) raw() string {
	return "/api/v1/ledger/streams/" + client.Segment(e.Stream) + "?limit=1&from=" + client.Number(e.Revision)
}

// deadline is what led to an event, where that is no event but a time.
func (e LifeEvent) deadline() string {
	if strings.Contains(strings.TrimPrefix(e.Meta.Cause, "refused/"), "/") {
		return e.Meta.Cause
	}
	return ""
}

func trailPath(stream string) string { return path("trail", stream) }

// LifePerPage is how many events of a stream its page has.
const LifePerPage = 100

// trailEvent is where one event is on the page of its stream.
func trailEvent(stream string, revision uint64, id string) string {
	from := ""
	if revision >= LifePerPage {
		from = client.Number(revision - revision%LifePerPage)
	}
	return query(trailPath(stream), "from", from) + "#e-" + id
}

// foundWhen is the time that a search is by.
func foundWhen(l Lang, e client.Found, by string) string {
	if by == ByHappened && e.Happened != nil {
		return Second(e.Happened) + l.T(" 发生", "")
	}
	return Second(&e.Recorded)
}
