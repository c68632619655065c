package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/paper"
)

// requests describes the command of one of many streams, decided on what was
// read of the ledger up to a position.
type requests func(kind, key string, at es.Position) es.Request

// anew asks anew each time: what is posted or billed already is for the state
// of each stream to say, and may change and change back.
func (a *API) anew(ctx context.Context, estate string) requests {
	return func(kind, key string, at es.Position) es.Request {
		req := service.RowRequest(ctx, a.Deps, estate, kind, key+"/"+uuid.NewString(), key)
		req.Seen = at
		return req
	}
}

// merge makes one answer of what became of several commands.
func merge(all, one es.Done[finance.Event]) es.Done[finance.Event] {
	all.IDs = append(all.IDs, one.IDs...)
	if one.Position >= all.Position {
		all.Stream, all.Revision, all.Position = one.Stream, one.Revision, one.Position
	}
	return all
}

const (
	tick = time.Second // how often the clock is looked at

	firstDay = units.Day("0000-01-01") // before any
	nightly  = "finance_nightly"       // the reaction
)

// rounds is how often something is done again; payments that come all the while
// would make it go on for ever.
const rounds = 10

// settled does something until there is nothing to do, and merges what becomes
// of it.
//
// It is why what is added up last is what stands, though others, in other
// processes too, add up and record at the same time. One may record what it had
// added up before another, over what the other recorded, or found right, after;
// but it looks again after what it recorded, and so sees it and puts it right.
func settled(do func() (es.Done[finance.Event], error)) (all es.Done[finance.Event], err error) {
	for range rounds {
		done, err := do()
		all = merge(all, done)
		if err != nil || len(done.IDs) == 0 {
			return all, err
		}
	}
	return all, nil
}

// post posts the totals of the days that have changed, from one through another.
func (a *API) post(ctx context.Context, estate string, from, through units.Day, request requests) (es.Done[finance.Event], error) {
	return settled(func() (all es.Done[finance.Event], err error) {
		var days []finance.CollectionPosted
		var at es.Position
		err = a.now(ctx, func(t *board.Tables, position es.Position) error {
			at = position
			days, err = t.Unposted(ctx, estate, from, through)
			return err
		})
		if err != nil {
			return all, err
		}
		err = each(ctx, days, &all, func(d finance.CollectionPosted) string { return string(d.Day) },
			func(ctx context.Context, d finance.CollectionPosted) (es.Done[finance.Event], error) {
				return a.collections.Do(ctx, estate+"-"+string(d.Day), request("collection", string(d.Day), at), books.PostCollection{CollectionPosted: d})
			})
		return all, err
	})
}

// each gives a command for each item, several streams at a time, and merges
// what becomes of them.
func each[T any](ctx context.Context, items []T, all *es.Done[finance.Event], stream func(T) string, do func(context.Context, T) (es.Done[finance.Event], error)) error {
	var mu sync.Mutex
	return paper.Run(ctx, paper.Group(items, stream), paper.Workers, nil, func(ctx context.Context, item T) error {
		done, err := do(ctx, item)
		mu.Lock()
		defer mu.Unlock()
		*all = merge(*all, done)
		return err
	})
}

func (a *API) postCollections(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body *struct {
		Day units.Day `json:"day,omitempty" format:"date" doc:"Only this day; else every day that has changed"`
	}
}) (*service.Recorded, error) {
	if err := a.may(ctx, "collection.post", in.Estate); err != nil {
		return nil, err
	}
	if err := a.registry.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	from, through := firstDay, a.today()
	if in.Body != nil && in.Body.Day != "" {
		from, through = in.Body.Day, in.Body.Day
	}
	done, err := a.post(ctx, in.Estate, from, through, a.anew(ctx, in.Estate))
	return service.Respond(in.Estate, done, err)
}

// raise raises the bills of the months that have begun and are not closed,
// withdraws those that an earlier end of the agreement made void, and attributes
// what was held in suspense only because nothing was billed yet. Bills of a month
// that is over stay as they were raised unless they are asked for again: a
// corrected unit must not change past figures by itself.
func (a *API) raise(ctx context.Context, estate string, again bool, request requests) (es.Done[finance.Event], error) {
	return settled(func() (es.Done[finance.Event], error) { return a.raiseOnce(ctx, estate, again, request) })
}

func (a *API) raiseOnce(ctx context.Context, estate string, again bool, request requests) (all es.Done[finance.Event], err error) {
	var e books.Estate
	var list []books.Unit
	var billed []board.Period
	var at es.Position
	err = a.now(ctx, func(t *board.Tables, position es.Position) error {
		at = position
		if e, err = a.estate(ctx, t, estate); err != nil {
			return err
		}
		if list, err = t.Units(ctx, estate); err != nil {
			return err
		}
		billed, err = t.Collection(ctx, e)
		return err
	})
	if err != nil {
		return all, err
	}
	current := a.today().Month()
	months := e.Months(current)
	settled := map[units.Month]bool{}
	for _, p := range billed {
		if p.Units > 0 && !slices.Contains(months, p.Period) {
			months = append(months, p.Period)
		}
		settled[p.Period] = p.Units > 0 && p.Period < current && !again
	}
	for _, m := range months {
		if e.Closed[m] || settled[m] {
			continue
		}
		listing := e.Bills(m, list)
		text, err := listing.Encode()
		if err != nil {
			return all, err
		}
		hash, err := a.Blobs.Put(ctx, text)
		if err != nil {
			return all, err
		}
		done, err := a.bills.Do(ctx, estate+"-"+string(m), request("bills", string(m), at), books.RaiseBills{BillsRaised: listing.Raise(hash)})
		if err != nil {
			return all, err
		}
		all = merge(all, done)
	}
	done, err := a.release(ctx, e, list, at, request)
	return merge(all, done), err
}

// release attributes what is held in suspense and has its bill by now. It moves
// public figures when totals are posted next.
func (a *API) release(ctx context.Context, e books.Estate, list []books.Unit, at es.Position, request requests) (all es.Done[finance.Event], err error) {
	byCode := make(map[string]books.Unit, len(list))
	for _, u := range list {
		byCode[u.Code] = u
	}
	const page = 1000
	for after := ""; ; {
		held, err := a.Board.Payments(ctx, e.ID, board.Which{Suspense: true, After: after, Limit: page})
		if err != nil {
			return all, err
		}
		if len(held) > 0 {
			after = held[len(held)-1].ID
		}
		last := len(held) < page
		held = slices.DeleteFunc(held, func(p board.Payment) bool {
			unit, ok := byCode[p.Unit]
			if ok {
				_, ok = e.Bill(unit, p.Period)
			}
			return !ok || p.Refunded >= p.Amount
		})
		err = each(ctx, held, &all, func(p board.Payment) string { return p.Stream }, func(ctx context.Context, p board.Payment) (es.Done[finance.Event], error) {
			l, err := a.look(ctx, p.ID)
			if err != nil {
				return es.Done[finance.Event]{}, err
			}
			done, err := a.attribute(ctx, p.ID, l, p.Unit, p.Period, true, request("attribute", p.ID, at))
			if _, refused := errors.AsType[*problem.Error](err); refused {
				err = nil // someone was first
			}
			return done, err
		})
		if err != nil || last {
			return all, err
		}
	}
}

func (a *API) raiseBills(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
}) (*service.Recorded, error) {
	if err := a.may(ctx, "bills.raise", in.Estate); err != nil {
		return nil, err
	}
	done, err := a.raise(ctx, in.Estate, true, a.anew(ctx, in.Estate))
	if err != nil {
		return service.Respond(in.Estate, done, err)
	}
	posted, err := a.post(ctx, in.Estate, firstDay, a.today(), a.anew(ctx, in.Estate))
	return service.Respond(in.Estate, merge(done, posted), err)
}

// Nightly raises bills that are missing and those of this month, and posts the totals of days that are over, at the start
// of every day in Shanghai and when the process starts, until ctx ends. Of several instances one does it; twice changes
// nothing. ready says whether the clock can be trusted.
func (a *API) Nightly(ready func() bool) func(context.Context) error {
	return func(ctx context.Context) error {
		return a.DB.Alone(ctx, a.Log, "nightly", func(ctx context.Context) error {
			timer := time.NewTicker(tick)
			defer timer.Stop()
			for done := units.Day(""); ; {
				if today := a.today(); today != done && (ready == nil || ready()) && a.night(ctx, today) {
					done = today
				}
				select {
				case <-ctx.Done():
					return nil
				case <-timer.C:
				}
			}
		})
	}
}

// night tells whether everything went well.
func (a *API) night(ctx context.Context, today units.Day) bool {
	var list []string
	err := a.now(ctx, func(t *board.Tables, _ es.Position) (err error) {
		list, err = t.Estates(ctx)
		return err
	})
	if err != nil {
		a.Log.WarnContext(ctx, "what is due at night will be tried again", slog.Any("error", err))
		return false
	}
	yesterday := units.DayOf(today.Start().Add(-time.Hour))
	well := true
	for _, estate := range list {
		request := func(kind, key string, at es.Position) es.Request {
			req := service.ReactionRequest(ctx, a.Deps, nightly, fmt.Sprintf("%s/%s/%s/%s/%d", kind, estate, key, today, at))
			req.Seen = at
			return req
		}
		if _, err := a.raise(ctx, estate, false, request); err != nil {
			well = false
			a.Log.WarnContext(ctx, "what is due at night will be tried again", slog.String("estate", estate), slog.Any("error", err))
		}
		if _, err := a.post(ctx, estate, firstDay, yesterday, request); err != nil {
			well = false
			a.Log.WarnContext(ctx, "what is due at night will be tried again", slog.String("estate", estate), slog.Any("error", err))
		}
	}
	return well
}
