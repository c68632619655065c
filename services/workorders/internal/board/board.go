// Package board is the read model of work orders: each with its times, and the
// summary figures of an estate.
package board

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/workorders/internal/order"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Summary is what is counted of an estate's orders.
type Summary struct {
	Total       int64 `json:"total"`
	Responded   int64 `json:"responded" doc:"A crew was dispatched"`
	OnTime      int64 `json:"on_time" doc:"Finished within its limit"`
	Completed   int64 `json:"completed"`
	Rated       int64 `json:"rated"`
	Satisfied   int64 `json:"satisfied" doc:"Rated 4 or 5"`
	SensorIn    int64 `json:"sensor_within_10min" doc:"Raised by a sensor and the crew there within the estate's limit"`
	Sensor      int64 `json:"sensor" doc:"Raised by a sensor"`
	Overdue     int64 `json:"overdue" doc:"Past a limit and not finished"`
	Outstanding int64 `json:"outstanding" doc:"Not finished"`
}

// Order is a work order as everyone may see it.
type Order struct {
	ID         string           `json:"id"`
	Estate     string           `json:"estate"`
	Number     string           `json:"number"`
	Category   string           `json:"category"`
	Matter     string           `json:"matter"`
	Place      string           `json:"place"`
	Source     string           `json:"source"`
	State      order.State      `json:"state"`
	Reported   time.Time        `json:"reported_at"`
	Dispatched time.Time        `json:"dispatched_at,omitzero"`
	Arrived    time.Time        `json:"arrived_at,omitzero"`
	Finished   time.Time        `json:"finished_at,omitzero"`
	Score      int              `json:"score,omitempty"`
	Limit      workorders.Limit `json:"limit"`
	OnTime     bool             `json:"on_time"`
	Overdue    bool             `json:"overdue"`
	HasWords   bool             `json:"has_words" doc:"The reporter's own words are sealed; who must act may read them"`
}

// Board answers queries as the ledger is now.
type Board struct {
	*readmodel.Runner
	*Tables
	past *readmodel.Past[*Tables]
}

// Tables answer queries, as of now or as of a position.
type Tables struct{ db *readmodel.DB }

// New prepares the tables; Run of the board's Runner fills them.
func New(ctx context.Context, db *readmodel.DB, store es.Store, log *slog.Logger) (*Board, error) {
	tables, projection, err := build(ctx, db)
	if err != nil {
		return nil, err
	}
	return &Board{readmodel.NewRunner(db, store, log, projection), tables, readmodel.NewPast(store, build)}, nil
}

func build(ctx context.Context, db *readmodel.DB) (*Tables, readmodel.Projection, error) {
	return &Tables{db}, readmodel.Projection{
		Name:     "workorders",
		Prefixes: workorders.Categories,
		Tables:   []string{"work_order", "time_limit"},
		Fold:     fold,
	}, db.Migrate(ctx, migrations)
}

// At returns the tables that answer for an estate as of a position; 0 is now.
// See lookback.At.
func (b *Board) At(ctx context.Context, estate string, at es.Position) (lookback.View[*Tables], error) {
	return lookback.At(ctx, b.Runner, b.Tables, b.past, estate, at, lookback.OfEstate(estate))
}

// row holds an order and the columns that are counted and searched, all derived from it.
type row struct {
	id, estate, number, state, reporter, detail                        string
	reported, due                                                      int64
	live, overdue, responded, completed, onTime, sensor, inTime, score int64
}

var table = readmodel.Map[string, row]{
	Table: readmodel.Table{Name: "work_order", Key: []string{"id"}, Columns: []string{
		"id", "estate", "number", "state", "reported", "due", "live", "overdue", "responded", "completed", "on_time", "sensor", "in_time", "score", "reporter", "detail",
	}},
	Fields: func(r *row) []any {
		return []any{
			&r.id, &r.estate, &r.number, &r.state, &r.reported, &r.due, &r.live, &r.overdue, &r.responded, &r.completed, &r.onTime, &r.sensor, &r.inTime, &r.score, &r.reporter, &r.detail,
		}
	},
}

type limitsRow struct{ estate, limits string }

var limitsTable = readmodel.Map[string, limitsRow]{
	Table:  readmodel.Table{Name: "time_limit", Key: []string{"estate"}, Columns: []string{"estate", "limits"}},
	Fields: func(r *limitsRow) []any { return []any{&r.estate, &r.limits} },
}

// fold lets the domain's own Evolve say what became of each order, and derives
// the columns once a batch.
func fold(_ context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	rows, limits := table.In(tx), limitsTable.In(tx)
	folded := map[string]order.Order{}
	past := map[string]bool{}
	for _, r := range events {
		event, err := workorders.Codec.Decode(r.Type, r.Data)
		if err != nil {
			return err
		}
		if e, ok := event.(workorders.LimitsSet); ok {
			text, err := json.Marshal(e.Limits)
			if err != nil {
				return err
			}
			limits.Put(e.Estate, limitsRow{e.Estate, string(text)})
			continue
		}
		id := r.Stream[len(workorders.WorkOrderStream):]
		o, known := folded[id]
		if !known {
			if before, exists := rows.Get(id); exists {
				if err := json.Unmarshal([]byte(before.detail), &o); err != nil {
					return fmt.Errorf("board: order %s: %w", id, err)
				}
				past[id] = before.live == 0
			} else {
				meta, err := es.ParseMeta(r.Meta)
				if err != nil {
					return err
				}
				past[id] = meta.Past
			}
		}
		folded[id] = order.Evolve(o, event)
	}
	for id, o := range folded {
		r, err := rowOf(id, o, past[id])
		if err != nil {
			return err
		}
		rows.Put(id, r)
	}
	return nil
}

func rowOf(id string, o order.Order, past bool) (row, error) {
	detail, err := json.Marshal(o)
	if err != nil {
		return row{}, err
	}
	sensor := o.Report.Source == workorders.Sensor
	r := row{
		id: id, estate: o.Report.Estate, number: o.Report.Number, state: string(o.State), reporter: o.Report.Reporter, detail: string(detail),
		reported: o.Report.At.Unix(), live: one(!past), overdue: one(len(o.Overdue) > 0), responded: one(!o.Dispatched.IsZero()),
		completed: one(!o.Finished.IsZero()), onTime: one(o.OnTime()), sensor: one(sensor), score: int64(o.Score),
		inTime: one(sensor && !o.Arrived.IsZero() && !o.Due(order.StepArrive).IsZero() && !o.Arrived.After(o.Due(order.StepArrive))),
	}
	if step, at := o.NextDue(); step != "" {
		r.due = at.Unix()
	}
	return r, nil
}

func one(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Summary returns the figures of an estate.
func (b *Tables) Summary(ctx context.Context, estate string) (Summary, error) {
	var s Summary
	err := b.db.QueryRow(ctx, `SELECT COUNT(*), COALESCE(SUM(responded), 0), COALESCE(SUM(on_time), 0), COALESCE(SUM(completed), 0),
		COALESCE(SUM(CASE WHEN score > 0 THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN score >= 4 THEN 1 ELSE 0 END), 0),
		COALESCE(SUM(in_time), 0), COALESCE(SUM(sensor), 0), COALESCE(SUM(CASE WHEN completed = 0 THEN overdue ELSE 0 END), 0)
		FROM work_order WHERE estate = ?`, estate).
		Scan(&s.Total, &s.Responded, &s.OnTime, &s.Completed, &s.Rated, &s.Satisfied, &s.SensorIn, &s.Sensor, &s.Overdue)
	s.Outstanding = s.Total - s.Completed
	return s, err
}

// ErrNoSuchOrder says there is no order of this id.
var ErrNoSuchOrder = errors.New("board: no such order")

// Order returns one order.
func (b *Tables) Order(ctx context.Context, id string) (Order, error) {
	list, err := b.list(ctx, `WHERE id = ?`, id)
	if err == nil && len(list) == 0 {
		err = ErrNoSuchOrder
	}
	if err != nil {
		return Order{}, err
	}
	return list[0], nil
}

// Orders lists an estate's orders, the latest first, after one of them; state
// "" means all.
func (b *Tables) Orders(ctx context.Context, estate, state, after string, limit int) ([]Order, error) {
	return b.list(ctx, `WHERE estate = ? AND (? = '' OR state = ?)
		AND (? = '' OR (reported, id) < (SELECT reported, id FROM work_order WHERE id = ?))
		ORDER BY reported DESC, id DESC LIMIT ?`, estate, state, state, after, after, limit)
}

// Own lists the orders a person reported, the latest first.
func (b *Tables) Own(ctx context.Context, reporter string) ([]Order, error) {
	return b.list(ctx, `WHERE reporter = ? ORDER BY reported DESC, id DESC LIMIT 100`, reporter)
}

func (b *Tables) list(ctx context.Context, where string, args ...any) ([]Order, error) {
	rows, err := b.db.Query(ctx, `SELECT id, detail FROM work_order `+where, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []Order{}
	for rows.Next() {
		var id, detail string
		if err := rows.Scan(&id, &detail); err != nil {
			return nil, err
		}
		var o order.Order
		if err := json.Unmarshal([]byte(detail), &o); err != nil {
			return nil, fmt.Errorf("board: order %s: %w", id, err)
		}
		list = append(list, Order{
			ID: id, Estate: o.Report.Estate, Number: o.Report.Number, Category: o.Report.Category, Matter: o.Report.Matter, Place: o.Report.Place,
			Source: o.Report.Source, State: o.State, Reported: o.Report.At, Dispatched: o.Dispatched, Arrived: o.Arrived, Finished: o.Finished,
			Score: o.Score, Limit: o.Report.Limit, OnTime: o.OnTime(), Overdue: len(o.Overdue) > 0, HasWords: len(o.Said) > 0,
		})
	}
	return list, rows.Err()
}

// Limits returns the limits of an estate, none where none are set.
func (b *Tables) Limits(ctx context.Context, estate string) (order.Limits, error) {
	var text string
	err := b.db.QueryRow(ctx, `SELECT limits FROM time_limit WHERE estate = ?`, estate).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return order.Limits{}, nil
	}
	if err != nil {
		return nil, err
	}
	var limits order.Limits
	return limits, json.Unmarshal([]byte(text), &limits)
}

// Due lists the live orders with a limit that passed by now and is not recorded
// as overdue.
func (b *Tables) Due(ctx context.Context, now time.Time) ([]string, error) {
	rows, err := b.db.Query(ctx, `SELECT id FROM work_order WHERE live = 1 AND due > 0 AND due <= ? ORDER BY due LIMIT 1000`, now.Unix())
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}
