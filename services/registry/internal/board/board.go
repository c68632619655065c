// Package board is the registry's read model: estates, units with their titles,
// and who may not be erased.
package board

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Estate is an estate and what is counted in it.
type Estate struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	FeeCategory    string `json:"fee_category" doc:"budget line fed by payments"`
	Units          int    `json:"units"`
	Homes          int    `json:"homes"`
	Shops          int    `json:"shops"`
	Parking        int    `json:"parking"`
	People         int    `json:"people" doc:"natural persons with a title"`
	Titles         int    `json:"titles"`
	MultiUnitHeads int    `json:"multi_unit_heads" doc:"heads with two or more units that count, the developer included"`
}

// Electorate is the whole an estate's votes are measured against.
type Electorate struct {
	Heads int64         `json:"heads"`
	Area  units.CentiM2 `json:"area_centi_m2"`
}

// Board answers queries as the ledger is now.
type Board struct {
	*readmodel.Runner
	*Tables
	Keeping *readmodel.Runner // of what [Board.Kept] answers from
	past    *readmodel.Past[*Tables]
}

// Tables answer queries, as of now or as of a position.
type Tables struct {
	db *readmodel.DB

	mu       sync.Mutex
	counted  map[string]counts // by estate
	counting sync.Mutex        // held by whoever counts: to do so in a large estate takes half a second, and many may ask at once
}

type counts struct {
	changed int64
	estate  Estate
	Electorate
}

// New prepares the tables; Run of the board's Runner fills them.
func New(ctx context.Context, db *readmodel.DB, store es.Store, log *slog.Logger) (*Board, error) {
	tables, projection, err := build(ctx, db)
	if err != nil {
		return nil, err
	}
	return &Board{
		Runner: readmodel.NewRunner(db, store, log, projection), Tables: tables,
		Keeping: readmodel.NewRunner(db, store, log, keeping), past: readmodel.NewPast(store, build),
	}, nil
}

func build(ctx context.Context, db *readmodel.DB) (*Tables, readmodel.Projection, error) {
	return &Tables{db: db, counted: map[string]counts{}}, readmodel.Projection{
		Name:     "registry",
		Prefixes: []string{registry.EstateStream, registry.UnitStream},
		Tables:   []string{"estate", "unit"},
		Fold:     fold,
	}, db.Migrate(ctx, migrations)
}

// At returns the tables that answer for an estate as of a position; 0 is now.
// See lookback.At.
func (b *Board) At(ctx context.Context, estate string, at es.Position) (lookback.View[*Tables], error) {
	return lookback.At(ctx, b.Runner, b.Tables, b.past, estate, at, lookback.OfEstate(estate))
}

type estateRow struct {
	id, name, fee string
	changed       int64
}

type unitRow struct {
	electorate.Unit
	estate, titles string
}

var estates = readmodel.Map[string, estateRow]{
	Table:  readmodel.Table{Name: "estate", Key: []string{"id"}, Columns: []string{"id", "name", "fee_category", "changed"}},
	Fields: func(r *estateRow) []any { return []any{&r.id, &r.name, &r.fee, &r.changed} },
}

var unitTable = readmodel.Map[string, unitRow]{
	Table: readmodel.Table{
		Name: "unit", Key: []string{"id"},
		Columns: []string{"id", "estate", "code", "building", "stair", "room", "purpose", "area", "basis", "state", "titles"},
	},
	Fields: func(r *unitRow) []any {
		u := &r.Unit
		return []any{&u.ID, &r.estate, &u.Code, &u.Building, &u.Stair, &u.Room, &u.Use, &u.Area, &u.Basis, &u.State, &r.titles}
	},
}

func fold(_ context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	estates, rows := estates.In(tx), unitTable.In(tx)
	register := func(r es.Recorded, estate, id string, u registry.Unit) {
		row := rows.Edit(id)
		row.ID, row.estate, row.Unit.Unit = id, estate, u
		if row.titles == "" {
			row.titles = "[]"
		}
		estates.Edit(estate).changed = int64(r.Position)
	}
	state := func(r es.Recorded, estate, id string, titles []registry.Title) error {
		text, err := json.Marshal(titles)
		if err != nil {
			return err
		}
		rows.Edit(id).titles = string(text)
		estates.Edit(estate).changed = int64(r.Position)
		return nil
	}
	for _, r := range events {
		event, err := registry.Codec.Decode(r.Type, r.Data)
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case registry.EstateFounded:
			estates.Put(e.Estate, estateRow{e.Estate, e.Name, finance.DefaultFeeCategory, int64(r.Position)})
		case registry.EstateSet:
			row := estates.Edit(e.Estate)
			if e.Name != "" {
				row.name = e.Name
			}
			if e.FeeCategory != "" {
				row.fee = e.FeeCategory
			}
		case registry.UnitRegistered:
			register(r, e.Estate, e.ID, e.Unit)
		case registry.UnitCorrected:
			register(r, e.Estate, e.ID, e.Unit)
		case registry.TitlesStated:
			err = state(r, e.Estate, e.ID, e.Titles)
		case registry.TitlesCorrected:
			err = state(r, e.Estate, e.ID, e.Titles)
		default: // people and tokens have streams of their own
		}
		if err != nil {
			return fmt.Errorf("board: %s: %w", r.Type, err)
		}
	}
	return nil
}

// ErrNoSuchEstate says there is no estate of this id.
var ErrNoSuchEstate = errors.New("board: no such estate")

// Name is an estate in a list.
type Name struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Estates lists all estates by name.
func (b *Tables) Estates(ctx context.Context) ([]Name, error) {
	rows, err := b.db.Query(ctx, `SELECT id, name FROM estate ORDER BY name, id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []Name
	for rows.Next() {
		var e Name
		if err := rows.Scan(&e.ID, &e.Name); err != nil {
			return nil, err
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// Estate returns an estate with its counts and its electorate.
func (b *Tables) Estate(ctx context.Context, id string) (Estate, Electorate, error) {
	var row estateRow
	var known counts
	err := b.db.View(ctx, func(tx *readmodel.Tx) error { // what is counted and whether it has changed are of one state
		err := tx.QueryRow(ctx, `SELECT id, name, fee_category, changed FROM estate WHERE id = ?`, id).Scan(&row.id, &row.name, &row.fee, &row.changed)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrNoSuchEstate
		}
		if err != nil {
			return err
		}
		if known = b.known(id); known.changed == row.changed {
			return nil
		}
		b.counting.Lock()
		defer b.counting.Unlock()
		if known = b.known(id); known.changed == row.changed {
			return nil
		}
		all, err := unitsOf(ctx, tx, id, "", math.MaxInt32)
		if err != nil {
			return err
		}
		known = count(all)
		known.changed = row.changed
		b.mu.Lock()
		b.counted[id] = known
		b.mu.Unlock()
		return nil
	})
	if err != nil {
		return Estate{}, Electorate{}, err
	}
	e := known.estate
	e.ID, e.Name, e.FeeCategory = row.id, row.name, row.fee
	return e, known.Electorate, nil
}

// known is what was counted last of an estate.
func (b *Tables) known(id string) counts {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counted[id]
}

// AllUnits returns an estate's units by code, with their titles.
func (b *Tables) AllUnits(ctx context.Context, estate string) ([]electorate.Unit, error) {
	return b.Units(ctx, estate, "", math.MaxInt32)
}

// Units returns at most limit units of an estate after a code, with their titles.
func (b *Tables) Units(ctx context.Context, estate, after string, limit int) ([]electorate.Unit, error) {
	return unitsOf(ctx, b.db, estate, after, limit)
}

func unitsOf(ctx context.Context, q readmodel.Querier, estate, after string, limit int) ([]electorate.Unit, error) {
	rows, err := q.Query(ctx, `SELECT id, estate, code, building, stair, room, purpose, area, basis, state, titles
		FROM unit WHERE estate = ? AND code > ? ORDER BY code LIMIT ?`, estate, after, limit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []electorate.Unit
	for rows.Next() {
		var row unitRow
		if err := rows.Scan(unitTable.Fields(&row)...); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(row.titles), &row.Titles); err != nil {
			return nil, fmt.Errorf("board: titles of %s: %w", row.ID, err)
		}
		all = append(all, row.Unit)
	}
	return all, rows.Err()
}

func count(all []electorate.Unit) counts {
	var c counts
	people := map[string]bool{}
	for _, u := range all {
		c.estate.Units++
		switch u.Use {
		case registry.Home:
			c.estate.Homes++
		case registry.Shop:
			c.estate.Shops++
		case registry.Parking:
			c.estate.Parking++
		}
		for _, t := range u.Titles {
			c.estate.Titles++
			if t.Kind == registry.Natural {
				people[t.Person] = true
			}
		}
	}
	c.estate.People = len(people)
	for _, h := range electorate.Heads(all, false) {
		c.Heads++
		c.Area += h.Area
		if len(h.Units) > 1 {
			c.estate.MultiUnitHeads++
		}
	}
	return c
}
