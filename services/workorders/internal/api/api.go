// Package api serves work orders over HTTP: figures and lists for everyone,
// reports by residents, steps by those who do the work.
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/workorders/internal/board"
	"github.com/yimu-ledger/yimu/services/workorders/internal/order"
)

// wordsSize is the length to which a resident's own words are padded, in bytes.
const wordsSize = 4 << 10

// wordsField is the vault's name of them.
const wordsField = "words"

// API is what the routes need.
type API struct {
	service.Deps
	Board *board.Board

	known  *estates.Registry
	orders es.Repo[order.Order, workorders.Event]
	limits es.Repo[order.Limits, workorders.Event]
}

// Register adds the routes.
func (a *API) Register(api huma.API) {
	a.known = &estates.Registry{Store: a.Store}
	a.orders = es.Repo[order.Order, workorders.Event]{
		Store: a.Store, Committer: a.Committer, Prefix: workorders.WorkOrderStream, Codec: workorders.Codec, Evolve: order.Evolve,
	}
	a.limits = es.Repo[order.Limits, workorders.Event]{
		Store: a.Store, Committer: a.Committer, Prefix: workorders.LimitsStream, Codec: workorders.Codec, Evolve: order.EvolveLimits,
	}
	huma.Register(api, service.Query("workorders-summary", "/estates/{estate}/workorders/summary", "Figures of an estate's work orders"), a.summary)
	huma.Register(api, service.Query("workorders", "/estates/{estate}/workorders", "An estate's work orders, the latest first"), a.list)
	huma.Register(api, service.Query("workorder", "/workorders/{order}", "A work order"), a.get)
	huma.Register(api, service.Query("workorder-limits", "/estates/{estate}/workorders/limits", "How quickly each kind of matter must be dealt with"), a.getLimits)
	huma.Register(api, service.Command("set-workorder-limits", http.MethodPut, "/estates/{estate}/workorders/limits", "State all limits anew"), a.setLimits)
	huma.Register(api, service.Command("report-workorder", http.MethodPost, "/estates/{estate}/workorders", "Report a fault or complain"), a.report)
	huma.Register(api, service.Command("dispatch-workorder", http.MethodPost, "/workorders/{order}/dispatch", "Send a crew"), a.dispatch)
	huma.Register(api, service.Command("arrive-workorder", http.MethodPost, "/workorders/{order}/arrive", "The crew is there"), a.arrive)
	huma.Register(api, service.Command("finish-workorder", http.MethodPost, "/workorders/{order}/finish", "The work is done"), a.finish)
	huma.Register(api, service.Command("rate-workorder", http.MethodPost, "/workorders/{order}/rate", "Rate the work"), a.rate)
	huma.Register(api, service.Command("reopen-workorder", http.MethodPost, "/workorders/{order}/reopen", "Say that the matter is not settled"), a.reopen)
	words := service.Query("workorder-words", "/workorders/{order}/words", "The reporter's own words; reading them is recorded")
	own := service.Query("own-workorders", "/me/workorders", "What I reported")
	words.Security = []map[string][]string{{"token": {}}}
	own.Security = words.Security
	huma.Register(api, words, a.words)
	huma.Register(api, own, a.own)
	a.registerPapers(api)
}

// OrderIn names a work order in the path. It is exported because only then its fields are found
// where it is embedded.
type OrderIn struct {
	Order string `path:"order" format:"uuid"`
}

// SummaryOut is an estate's figures.
type SummaryOut struct {
	Body struct {
		board.Summary
		lookback.Bound
	}
}

func (a *API) summary(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
}) (*SummaryOut, error) {
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	view, err := a.Board.At(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	out := &SummaryOut{}
	out.Body.Bound = lookback.Bind(a.Deps, view.Position)
	out.Body.Summary, err = view.Tables.Summary(ctx, in.Estate)
	return out, err
}

func (a *API) list(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
	State string `query:"state" enum:"reported,dispatched,arrived,finished,rated"`
	After string `query:"after" doc:"Id of the order to read on from"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"50"`
}) (*service.Items[board.Order], error) {
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	view, err := a.Board.At(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	return service.List(view.Tables.Orders(ctx, in.Estate, in.State, in.After, in.Limit))
}

func (a *API) own(ctx context.Context, _ *struct{}) (*service.Items[board.Order], error) {
	person := service.CallerFrom(ctx).Person
	if err := a.Allow(ctx, "own.read", authz.Resource{Type: "Person", ID: person, Person: person}); err != nil {
		return nil, err
	}
	return service.List(a.Board.Own(ctx, person))
}

// OrderOut is one order with its history.
type OrderOut struct {
	Body struct {
		board.Order
		History []Step `json:"history" doc:"What happened to it, in order, readings of the reporter's words included"`
	}
}

// Step is an event of an order's stream; all of it is at /ledger/streams/workorder-<id>.
type Step struct {
	Event    string    `json:"event" doc:"Stored name"`
	At       time.Time `json:"at" doc:"When it happened"`
	Recorded time.Time `json:"recorded"`
	Past     bool      `json:"past,omitempty" doc:"Stated by a paper of the past"`
}

func (a *API) get(ctx context.Context, in *OrderIn) (*OrderOut, error) {
	o, err := a.Board.Order(ctx, in.Order)
	if errors.Is(err, board.ErrNoSuchOrder) {
		err = order.ErrNoSuchOrder
	}
	if err != nil {
		return nil, err
	}
	out := &OrderOut{}
	out.Body.Order = o
	for r, err := range a.Store.Read(ctx, workorders.WorkOrderStream+in.Order, 0) {
		if err != nil {
			return nil, err
		}
		meta, err := es.ParseMeta(r.Meta)
		if err != nil {
			return nil, err
		}
		out.Body.History = append(out.Body.History, Step{r.Type, meta.Happened, r.Created, meta.Past})
	}
	return out, nil
}

// LimitBody is one limit.
type LimitBody struct {
	Category      string `json:"category" minLength:"1" maxLength:"40"`
	Matter        string `json:"matter" minLength:"1" maxLength:"40"`
	ArriveMinutes int64  `json:"arrive_minutes,omitempty" minimum:"0" maximum:"100000"`
	FinishHours   int64  `json:"finish_hours,omitempty" minimum:"0" maximum:"10000"`
}

func (a *API) getLimits(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
}) (*service.Items[workorders.Limit], error) {
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	view, err := a.Board.At(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	limits, err := view.Tables.Limits(ctx, in.Estate)
	return service.List([]workorders.Limit(limits), err)
}

func (a *API) setLimits(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		Limits []LimitBody `json:"limits" maxItems:"200"`
	}
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "limits.set", authz.Resource{Type: "Estate", ID: in.Estate, Estate: in.Estate}); err != nil {
		return nil, err
	}
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	set := order.SetLimits{Estate: in.Estate, Limits: make([]workorders.Limit, len(in.Body.Limits))}
	for i, l := range in.Body.Limits {
		set.Limits[i] = workorders.Limit(l)
	}
	req := service.NewRequest(ctx, a.Deps, "set-limits", in.CommandIn, in.Body)
	done, err := a.limits.Do(ctx, in.Estate, req, set)
	return service.Respond(in.Estate, done, err)
}

func (a *API) report(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		Category string `json:"category" minLength:"1" maxLength:"40" example:"报修"`
		Matter   string `json:"matter" minLength:"1" maxLength:"40" example:"路灯不亮"`
		Place    string `json:"place" minLength:"1" maxLength:"60" doc:"A public place; everyone can read it" example:"16栋"`
		Words    string `json:"words,omitempty" maxLength:"1000" doc:"In your own words; sealed, for those who must act"`
		Source   string `json:"source,omitempty" maxLength:"20" doc:"How it came in, stated by those who send crews; 业主 unless stated" example:"传感器"`
	}
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "workorder.report", authz.Resource{Type: "Estate", ID: in.Estate, Estate: in.Estate}); err != nil {
		return nil, err
	}
	if in.Body.Source != "" {
		if err := a.Allow(ctx, "workorder.dispatch", authz.Resource{Type: "Estate", ID: in.Estate, Estate: in.Estate}); err != nil {
			return nil, err
		}
	}
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	caller := service.CallerFrom(ctx)
	limits, _, err := a.limits.Load(ctx, in.Estate)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "report", in.CommandIn, in.Body)
	id := uuid.NewSHA1(req.Commit, []byte("id"))
	report := order.Report{
		Order: id.String(), Estate: in.Estate, Number: number(id, a.Clock()), Category: in.Body.Category, Matter: in.Body.Matter,
		Place: in.Body.Place, Source: cmp.Or(in.Body.Source, "业主"), Reporter: caller.Person, Limit: limits.Of(in.Body.Category, in.Body.Matter), At: req.Happened,
	}
	if report.Words, err = a.seal(ctx, caller.Person, in.Body.Words); err != nil {
		return nil, err
	}
	done, err := a.orders.Do(ctx, report.Order, req, report)
	return service.Respond(report.Order, done, err)
}

// number is what people call an order by: the day and a part of its id.
func number(id uuid.UUID, now time.Time) string {
	return "W" + now.In(units.Shanghai).Format("060102") + "-" + id.String()[:6]
}

var errWhoseWords = problem.Invalid("nobody-s-words", "words are sealed with the key of the person who reports; a program has none",
	problem.Field{Name: "words", Code: "not-asked", Detail: "must be absent where no person reported"})

// seal encrypts a person's own words with their key; nothing stays nothing.
func (a *API) seal(ctx context.Context, person, words string) (codec.Sealed, error) {
	switch {
	case words == "":
		return "", nil
	case person == "":
		return "", errWhoseWords
	}
	sealed, err := a.Vault.Seal(ctx, vault.PersonKey(person), wordsField, []byte(words), wordsSize)
	return codec.Sealed(sealed), err
}

// may loads an order and asks whether the caller may act on it.
func (a *API) may(ctx context.Context, id, action string) (order.Order, error) {
	o, _, err := a.orders.Load(ctx, id)
	switch {
	case err != nil:
		return o, err
	case o.State == "":
		return o, order.ErrNoSuchOrder
	}
	return o, a.Allow(ctx, action, authz.Resource{Type: "WorkOrder", ID: id, Estate: o.Report.Estate, Person: o.Report.Reporter})
}

// do runs a step of an order.
func (a *API) do(ctx context.Context, id, action string, in service.CommandIn, content any, step func(order.Order, time.Time) (es.Command[order.Order, workorders.Event], error)) (*service.Recorded, error) {
	o, err := a.may(ctx, id, action)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, action, in, content)
	cmd, err := step(o, req.Happened)
	if err != nil {
		return nil, err
	}
	done, err := a.orders.Do(ctx, id, req, cmd)
	return service.Respond(id, done, err)
}

type command = es.Command[order.Order, workorders.Event]

func (a *API) dispatch(ctx context.Context, in *struct {
	service.CommandIn
	OrderIn
	Body *struct {
		Crew string `json:"crew,omitempty" maxLength:"40" doc:"Name of the crew, not of a person"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Order, "workorder.dispatch", in.CommandIn, in.Body, func(_ order.Order, now time.Time) (command, error) {
		step := order.Dispatch{At: now}
		if in.Body != nil {
			step.Crew = in.Body.Crew
		}
		return step, nil
	})
}

func (a *API) arrive(ctx context.Context, in *struct {
	service.CommandIn
	OrderIn
}) (*service.Recorded, error) {
	return a.do(ctx, in.Order, "workorder.arrive", in.CommandIn, nil, func(_ order.Order, now time.Time) (command, error) {
		return order.Arrive{At: now}, nil
	})
}

func (a *API) finish(ctx context.Context, in *struct {
	service.CommandIn
	OrderIn
}) (*service.Recorded, error) {
	return a.do(ctx, in.Order, "workorder.finish", in.CommandIn, nil, func(_ order.Order, now time.Time) (command, error) {
		return order.Finish{At: now}, nil
	})
}

func (a *API) rate(ctx context.Context, in *struct {
	service.CommandIn
	OrderIn
	Body struct {
		Score int    `json:"score" minimum:"1" maximum:"5"`
		Words string `json:"words,omitempty" maxLength:"1000"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Order, "workorder.rate", in.CommandIn, in.Body, func(o order.Order, now time.Time) (command, error) {
		words, err := a.seal(ctx, o.Report.Reporter, in.Body.Words)
		return order.Rate{Score: in.Body.Score, Words: words, At: now}, err
	})
}

func (a *API) reopen(ctx context.Context, in *struct {
	service.CommandIn
	OrderIn
	Body *struct {
		Words string `json:"words,omitempty" maxLength:"1000"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Order, "workorder.reopen", in.CommandIn, in.Body, func(o order.Order, now time.Time) (step command, err error) {
		reopen := order.Reopen{At: now}
		if in.Body != nil {
			reopen.Words, err = a.seal(ctx, o.Report.Reporter, in.Body.Words)
		}
		return reopen, err
	})
}

// WordsOut is what the reporter wrote.
type WordsOut struct {
	Body struct {
		Words  string `json:"words" doc:"With the report. Empty where there are none, or where the reporter's data were erased"`
		Later  []Said `json:"later,omitempty" doc:"With ratings and reopenings"`
		Erased bool   `json:"erased,omitempty" doc:"The reporter was erased, and what they wrote with them"`
	}
}

// Said is what the reporter wrote later.
type Said struct {
	At    time.Time `json:"at"`
	Words string    `json:"words"`
}

// words records that the reporter's words are read, and then reads them.
func (a *API) words(ctx context.Context, in *OrderIn) (*WordsOut, error) {
	o, err := a.may(ctx, in.Order, "words.read")
	if err != nil {
		return nil, err
	}
	out := &WordsOut{}
	if len(o.Said) == 0 {
		return out, nil
	}
	now := a.Clock().UTC()
	reader := service.CallerFrom(ctx).ID
	req := service.NewRequest(ctx, a.Deps, "read-words", service.CommandIn{IdempotencyKey: reader + now.Format(time.RFC3339Nano)}, in.Order)
	_, err = a.orders.Do(ctx, in.Order, req, order.ReadWords{Reader: reader, At: now})
	if errors.Is(err, es.ErrPending) {
		err = problem.Unavailable("reading-not-recorded", "words are shown once their reading is recorded; ask again")
	}
	if err != nil {
		return nil, err
	}
	for _, said := range o.Said {
		text, err := a.Vault.Open(ctx, vault.PersonKey(o.Report.Reporter), wordsField, string(said.Words))
		switch {
		case errors.Is(err, vault.ErrNoKey):
			out = &WordsOut{}
			out.Body.Erased = true
			return out, nil
		case err != nil:
			return nil, err
		case said.Words == o.Report.Words:
			out.Body.Words = string(text)
		default:
			out.Body.Later = append(out.Body.Later, Said{said.At, string(text)})
		}
	}
	return out, nil
}

// watch is how often limits are looked at.
const watch = time.Second

// Watch records limits that pass, until ctx ends. Of several instances one does;
// recording one twice changes nothing. ready says whether the clock can be
// trusted; nil: always.
func (a *API) Watch(ready func() bool) func(context.Context) error {
	return func(ctx context.Context) error {
		return a.DB.Alone(ctx, a.Log, "watch", func(ctx context.Context) error {
			tick := time.NewTicker(watch)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-tick.C:
				}
				if ready == nil || ready() {
					a.markAllOverdue(ctx)
				}
			}
		})
	}
}

func (a *API) markAllOverdue(ctx context.Context) {
	now := a.Clock()
	due, err := a.Board.Due(ctx, now)
	if err != nil {
		a.Log.WarnContext(ctx, "looking for overdue orders", slog.Any("error", err))
	}
	for _, id := range due {
		if err := a.markOverdue(ctx, id, now); err != nil {
			a.Log.WarnContext(ctx, "recording an overdue order", slog.String("order", id), slog.Any("error", err))
		}
	}
}

func (a *API) markOverdue(ctx context.Context, id string, now time.Time) error {
	o, _, err := a.orders.Load(ctx, id)
	if err != nil {
		return err
	}
	step, at := o.NextDue()
	req := service.ReactionRequest(ctx, a.Deps, "workorders_overdue", "workorder-"+id+"/"+step+"/"+at.UTC().Format(time.RFC3339))
	_, err = a.orders.Do(ctx, id, req, order.MarkOverdue{Now: now})
	return err
}
