package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// Actions of deliveries.
const (
	actDeliver = "notice.deliver"
	actConfirm = "notice.confirm"
)

// registerDelivery adds how owners are told of a meeting, and that they were.
func (a *API) registerDelivery(api huma.API) {
	huma.Register(api, service.Command("deliver-notice", http.MethodPost, "/meetings/{meeting}/deliveries", "Record that the notice reached an owner, with its proof"), a.deliver)
	huma.Register(api, service.Command("fail-delivery", http.MethodPost, "/meetings/{meeting}/failed-deliveries", "Record that the notice did not reach an owner, why, and what is done about it"), a.failDelivery)
	huma.Register(api, service.Command("display-notice", http.MethodPost, "/meetings/{meeting}/displays", "Record that the notice stands where the owners pass"), a.display)
	huma.Register(api, service.Command("confirm-notice", http.MethodPost, "/meetings/{meeting}/confirmations", "Confirm that one has read the notice"), a.confirm)
	huma.Register(api, service.Query("telling", "/meetings/{meeting}/telling", "How many owners the notice reached, and how"), a.telling)

	list := service.Query("deliveries", "/meetings/{meeting}/deliveries", "How the notice reached each owner, by unit, for those who see to it")
	list.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, list, a.deliveries)

	op := service.Command("import-deliveries", http.MethodPost, "/estates/{estate}/papers/deliveries", "Import a paper: deliveries of a notice")
	op.MaxBodyBytes, op.BodyReadTimeout, op.DefaultStatus = paper.MaxFile, -1, http.StatusOK
	huma.Register(api, op, func(ctx context.Context, in *struct {
		paper.In
		Meeting string `query:"meeting" format:"uuid" required:"true" doc:"whose notice it was"`
	}) (*huma.StreamResponse, error) {
		box, err := a.box(ctx, in.Meeting)
		if err == nil && box.Estate != in.Estate {
			err = meeting.ErrNoMeeting
		}
		if err == nil {
			err = a.allowed(ctx, box.Meeting, actDeliver)
		}
		if err != nil {
			return nil, err
		}
		return in.Answer("deliveries", a.Clock, a.Log, func(ctx context.Context, p *paper.Progress) (*paper.Report, error) {
			if err := paper.Fresh(ctx, a.Board); err != nil {
				return nil, err
			}
			return a.importDeliveries(ctx, &in.In, in.Meeting, p)
		}), nil
	})
}

// allowed asks whether the caller may do an action to a meeting, and whether to
// one of the past.
func (a *API) allowed(ctx context.Context, m meeting.Meeting, action string) error {
	if err := a.Allow(ctx, action, resource(m)); err != nil || !m.Past {
		return err
	}
	return a.Allow(ctx, actPast, resource(m))
}

// Delivered is how a notice reached an owner.
type Delivered struct {
	Entry   string    `json:"entry" minLength:"1" maxLength:"20"`
	Channel string    `json:"channel" enum:"当面签收,邮寄" doc:"方式"`
	At      time.Time `json:"at,omitzero" required:"false" doc:"when it reached the owner; now where absent"`
	Proof   string    `json:"proof" doc:"SHA-256, in hex, of the signature or of the carrier's receipt; the file stays with the committee"`
	Warned  bool      `json:"warned,omitempty" doc:"it said what becomes of a ballot that is not handed in"`
}

func (a *API) deliver(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Delivered
}) (*service.Recorded, error) {
	return a.tell(ctx, in.CommandIn, "deliver-notice", in.Meeting, in.Body.Entry, in.Body, func(m meeting.Meeting, e votes.Entry, now time.Time) told {
		b := in.Body
		return meeting.DeliverNotice{Meeting: m, Entry: e, Now: now, NoticeDelivered: votes.NoticeDelivered{
			Channel: b.Channel, At: stated(b.At, now), Proof: strings.ToLower(b.Proof), Warned: b.Warned,
		}}
	})
}

// told is a command that is decided in the stream of an entry.
type told = es.Command[meeting.Ballots, votes.Event]

// stated is the time that was given, or now.
func stated(at, now time.Time) time.Time {
	if at.IsZero() {
		return now
	}
	return at.UTC()
}

// Undelivered is a notice that did not reach an owner.
type Undelivered struct {
	Entry   string    `json:"entry" minLength:"1" maxLength:"20"`
	Channel string    `json:"channel" enum:"当面签收,邮寄" doc:"方式"`
	At      time.Time `json:"at,omitzero" required:"false" doc:"when it was tried, or came back; now where absent"`
	Why     string    `json:"why" enum:"无人在家,拒收,地址不详,退件,联系不上,房屋空置"`
	Next    string    `json:"next" enum:"再次上门,改用邮寄,电话联系,张贴公告" doc:"what is done about it"`
}

func (a *API) failDelivery(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Undelivered
}) (*service.Recorded, error) {
	return a.tell(ctx, in.CommandIn, "fail-delivery", in.Meeting, in.Body.Entry, in.Body, func(m meeting.Meeting, e votes.Entry, now time.Time) told {
		b := in.Body
		return meeting.FailDelivery{Meeting: m, Entry: e, Now: now, DeliveryFailed: votes.DeliveryFailed{
			Channel: b.Channel, At: stated(b.At, now), Why: b.Why, Next: b.Next,
		}}
	})
}

// tell records in the stream of an entry how its owner was told.
func (a *API) tell(ctx context.Context, in service.CommandIn, route, id, number string, body any, make func(meeting.Meeting, votes.Entry, time.Time) told) (*service.Recorded, error) {
	box, err := a.box(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := a.allowed(ctx, box.Meeting, actDeliver); err != nil {
		return nil, err
	}
	entry, err := entryOf(box, number)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, route, in, body)
	req.Past = box.Past
	done, err := a.ballots.Do(ctx, id+"-"+number, req, make(box.Meeting, entry, req.Happened))
	return service.Respond(id, done, err)
}

// confirm records that an owner has read the notice. Nobody does that by looking
// at it: it is asked for, and by the owner alone.
func (a *API) confirm(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
}) (*service.Recorded, error) {
	box, err := a.box(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	person, err := balloter(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, actConfirm, authz.Resource{Type: "Meeting", ID: in.Meeting, Estate: box.Estate, Person: person}); err != nil {
		return nil, err
	}
	if box.Past {
		return nil, meeting.ErrPastClosed
	}
	entry, reason := box.Of(person)
	if entry.Entry == "" {
		return nil, problem.Conflict(string(reason), words[reason])
	}
	req := service.NewRequest(ctx, a.Deps, "confirm-notice", in.CommandIn, nil)
	done, err := a.ballots.Do(ctx, in.Meeting+"-"+entry.Entry, req, meeting.DeliverNotice{
		Meeting: box.Meeting, Entry: entry, Now: req.Happened,
		NoticeDelivered: votes.NoticeDelivered{Channel: votes.ByApp, At: req.Happened, Warned: box.Warns()},
	})
	return service.Respond(in.Meeting, done, err)
}

// Display is where and how long a notice stands.
type Display struct {
	Place  string    `json:"place" minLength:"1" maxLength:"100" doc:"张贴地点"`
	Photo  string    `json:"photo" doc:"SHA-256, in hex, of the photograph; the file stays with the committee"`
	From   units.Day `json:"from" doc:"first day"`
	Until  units.Day `json:"until" doc:"last day"`
	Warned bool      `json:"warned,omitempty" doc:"it said what becomes of a ballot that is not handed in"`
}

func (a *API) display(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body Display
}) (*service.Recorded, error) {
	m, err := a.prepare(ctx, in.Meeting, actDeliver)
	if err != nil {
		return nil, err
	}
	b := in.Body
	req := service.NewRequest(ctx, a.Deps, "display-notice", in.CommandIn, in.Body)
	req.Past = m.Past
	done, err := a.meetings.Do(ctx, in.Meeting, req, meeting.DisplayNotice{
		Now: req.Happened, Days: a.rulesOf(m).PublicPostingDays,
		NoticeDisplayed: votes.NoticeDisplayed{Place: strings.TrimSpace(b.Place), Photo: strings.ToLower(b.Photo), From: b.From, Until: b.Until, Warned: b.Warned},
	})
	return service.Respond(in.Meeting, done, err)
}

// WayOut is how many owners were told in one way.
type WayOut struct {
	Channel string `json:"channel" doc:"方式"`
	meeting.Share
}

// TellingOut is how far the owners were told of a notice, in totals.
type TellingOut struct {
	All     meeting.Share `json:"all" doc:"the electorate"`
	Reached []WayOut      `json:"reached" doc:"each head once, as it was warned or else as it was reached first"`
	Warned  meeting.Share `json:"warned" doc:"of those reached, who was told what becomes of a ballot that is not handed in"`
	Failed  meeting.Share `json:"failed" doc:"tried, and not reached so far"`
	Untried meeting.Share `json:"untried" doc:"nothing is recorded of"`
}

// NewTelling is what is published of it.
func NewTelling(t meeting.Telling) TellingOut {
	out := TellingOut{All: t.All, Reached: []WayOut{}, Warned: t.Warned, Failed: t.Failed, Untried: t.Untried}
	for _, way := range []string{votes.ByHand, votes.ByMail, votes.ByApp, votes.ByPosting} {
		if s := t.Reached[way]; s.Heads > 0 {
			out.Reached = append(out.Reached, WayOut{way, s})
		}
	}
	return out
}

// TellingBody answers how far the owners were told.
type TellingBody struct {
	Body struct {
		TellingOut
		Displays  []DisplayOut `json:"displays" doc:"where the notice stands"`
		SilenceOf string       `json:"unreturned" doc:"what becomes of a ballot that nobody hands in"`
		lookback.Bound
	}
}

// DisplayOut is a place where a notice stands.
type DisplayOut struct {
	Display
	Over bool `json:"over" doc:"its days are over: it has reached those whom it was tried in vain to reach"`
}

func (a *API) telling(ctx context.Context, in *MeetingAtIn) (*TellingBody, error) {
	view, m, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	now := a.now(view)
	telling := view.Tables.Telling
	if in.At == 0 {
		telling = a.Board.Telling
	}
	t, _, err := telling(ctx, m, m.ToldBy(now), nil)
	if err != nil {
		return nil, err
	}
	out := &TellingBody{}
	out.Body.Bound = lookback.Bind(a.Deps, view.Position)
	out.Body.TellingOut, out.Body.SilenceOf, out.Body.Displays = NewTelling(t), m.Policy.Unreturned, []DisplayOut{}
	for _, d := range m.Displayed {
		out.Body.Displays = append(out.Body.Displays, DisplayOut{Display{d.Place, d.Photo, d.From, d.Until, d.Warned}, d.Until < units.DayOf(now)})
	}
	return out, nil
}

// DeliveryOut is how one owner was told.
type DeliveryOut struct {
	Entry   string           `json:"entry"`
	Units   []string         `json:"units"`
	Area    units.CentiM2    `json:"area_centi_m2"`
	State   string           `json:"state" enum:"reached,failed,untried"`
	Reached *meeting.Reached `json:"reached,omitempty"`
	Failed  []Undelivered    `json:"failed,omitempty" doc:"tries in vain, in the order they were recorded"`
}

// BuildingOut is how far the owners of a building were told; one with units in
// several buildings is in each.
type BuildingOut struct {
	Building string `json:"building"`
	TellingOut
}

// DeliveriesOut is a page of how owners were told.
type DeliveriesOut struct {
	Body struct {
		Items     []DeliveryOut `json:"items"`
		Next      string        `json:"next,omitempty" doc:"Absent: the list is whole"`
		Buildings []BuildingOut `json:"buildings"`
	}
}

func (a *API) deliveries(ctx context.Context, in *struct {
	MeetingIn
	PageIn
	Building string `query:"building" doc:"only of this building"`
	State    string `query:"state" enum:"reached,failed,untried"`
}) (*DeliveriesOut, error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, actDeliver, resource(m)); err != nil {
		return nil, err
	}
	if _, err := a.box(ctx, in.Meeting); err != nil { // so that its roll is read once, and not for each page
		return nil, err
	}
	out := &DeliveriesOut{}
	b := &out.Body
	b.Items, b.Buildings = []DeliveryOut{}, []BuildingOut{}
	_, buildings, err := a.Board.Telling(ctx, m, m.ToldBy(a.Clock()), func(t board.Told) error {
		item := DeliveryOut{Entry: t.Entry.Entry, Area: t.Area, State: "untried"}
		for _, f := range t.Failed {
			item.State = "failed"
			item.Failed = append(item.Failed, Undelivered{f.Entry, f.Channel, f.At, f.Why, f.Next})
		}
		if t.Reached.Channel != "" {
			item.State, item.Reached = "reached", &t.Reached
		}
		number, err := strconv.Atoi(item.Entry)
		switch {
		case err != nil || number <= in.After || in.Building != "" && !slices.Contains(t.Buildings, in.Building) || in.State != "" && in.State != item.State:
		case len(b.Items) == in.Limit:
			b.Next = b.Items[in.Limit-1].Entry
		default:
			b.Items = append(b.Items, item)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, of := range buildings {
		b.Buildings = append(b.Buildings, BuildingOut{of.Building, NewTelling(of.Telling)})
	}
	for i := range b.Items {
		number, err := strconv.Atoi(b.Items[i].Entry)
		if err != nil {
			return nil, err
		}
		posted, err := a.posted(ctx, in.Meeting, number)
		if err != nil {
			return nil, err
		}
		b.Items[i].Units = posted.Units
	}
	return out, nil
}

// Headings of a round of deliveries (送达).
const (
	headHouse   = "房号"
	headWay     = "方式"
	headWhen    = "时间"
	headProof   = "凭证哈希"
	headWarned  = "告知"
	headWhy     = "未送达原因"
	headNextTry = "下一步"
)

var deliveryColumns = []paper.Column{
	{Name: headHouse, Also: []string{"房屋编号"}, Required: true}, {Name: headWay, Also: []string{"送达方式"}, Required: true},
	{Name: headWhen, Also: []string{"送达时间"}, Required: true}, {Name: headProof, Also: []string{"凭证"}}, {Name: headWarned, Optional: true},
	{Name: headWhy, Optional: true}, {Name: headNextTry, Optional: true},
}

// deliveryRow is one row of a round: a notice that reached an owner, or did not.
type deliveryRow struct {
	row            *paper.Row
	house, channel string
	at             time.Time
	proof          string
	warned         bool
	why, next      string

	entry votes.Entry
}

// readDelivery reads a row; what is wrong with it is noted on it.
func readDelivery(r *paper.Row) *deliveryRow {
	d := &deliveryRow{
		row: r, house: r.Text(headHouse), channel: r.OneOf(headWay, votes.ByHand, votes.ByMail), at: r.Time(headWhen).UTC(),
		proof: r.SHA256(headProof), warned: r.Yes(headWarned), why: r.OneOf(headWhy, votes.Whys...), next: r.OneOf(headNextTry, votes.NextSteps...),
	}
	switch {
	case !r.OK():
	case d.why == "" && d.next != "":
		r.Fail(headWhy, "why-missing", "what is done next is said of a notice that did not arrive; say why it did not")
	case d.why != "" && (d.proof != "" || d.warned):
		r.Fail(headWhy, "delivered-or-not", "a notice that did not arrive has no proof, and warned nobody")
	case d.why != "" && d.next == "":
		r.Fail(headNextTry, "next-missing", "say what is done about it: one of "+strings.Join(votes.NextSteps, ", "))
	case d.why == "" && d.proof == "":
		r.Fail(headProof, "proof-missing", "a notice that arrived has a proof")
	}
	return d
}

// command returns what the row asks for.
func (d *deliveryRow) command(m meeting.Meeting, now time.Time) told {
	if d.why != "" {
		return meeting.FailDelivery{Meeting: m, Entry: d.entry, Now: now, DeliveryFailed: votes.DeliveryFailed{Channel: d.channel, At: d.at, Why: d.why, Next: d.next}}
	}
	return meeting.DeliverNotice{Meeting: m, Entry: d.entry, Now: now, NoticeDelivered: votes.NoticeDelivered{Channel: d.channel, At: d.at, Proof: d.proof, Warned: d.warned}}
}

// importDeliveries records a round of deliveries, each row by itself; those of
// one owner in the order of the paper.
func (a *API) importDeliveries(ctx context.Context, in *paper.In, id string, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, deliveryColumns)
	if err != nil {
		return nil, err
	}
	box, err := a.box(ctx, id)
	if err != nil {
		return nil, err
	}
	houses, err := a.Board.Houses(ctx, id)
	if err != nil {
		return nil, err
	}
	var rows []*deliveryRow
	for _, r := range sheet.Rows {
		d := readDelivery(r)
		if number, known := houses[d.house]; known {
			d.entry, _ = box.Entry(number)
		} else if r.OK() {
			r.Fail(headHouse, "no-such-unit", "no such unit is on the roll of this meeting")
		}
		if r.OK() {
			rows = append(rows, d)
		}
	}
	report := paper.NewReport("deliveries", sheet)
	report.Check(sheet)
	if in.DryRun {
		return report, nil
	}
	groups := paper.Group(rows, func(d *deliveryRow) string { return d.entry.Entry })
	return report, paper.Run(ctx, groups, paper.Workers, p, func(ctx context.Context, d *deliveryRow) error {
		key := strings.Join([]string{id, d.entry.Entry, d.channel, d.at.Format(time.RFC3339Nano), d.proof, strconv.FormatBool(d.warned), d.why, d.next}, "/")
		req := service.RowRequest(ctx, a.Deps, in.Estate, "deliveries", key, key)
		req.Past = box.Past
		done, err := a.ballots.Do(ctx, id+"-"+d.entry.Entry, req, d.command(box.Meeting, a.Clock()))
		if err != nil {
			if err = d.row.Refuse("", err); err == nil {
				report.Reject(d.row)
			}
			return err
		}
		paper.Tally(report, done)
		return nil
	})
}
