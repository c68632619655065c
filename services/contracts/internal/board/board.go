// Package board is the read model of agreements: their terms and state, what owners
// decided of them, and the options that units chose.
package board

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/contracts/internal/agreement"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Agreement is an agreement as everyone may see it.
type Agreement struct {
	ID         string            `json:"id"`
	Estate     string            `json:"estate"`
	Kind       string            `json:"kind"`
	Principals []string          `json:"principals" doc:"Those who entrust together"`
	Provider   string            `json:"provider"`
	Starts     units.Day         `json:"starts"`
	Ends       units.Day         `json:"ends" doc:"Last day of the term"`
	Rates      []agreements.Rate `json:"rates"`
	Change     string            `json:"change,omitempty"`
	Services   []string          `json:"services"`
	Options    []string          `json:"options"`
	State      agreement.State   `json:"state"`
	Signed     []string          `json:"signed"`
	Ended      units.Day         `json:"ended,omitempty"`
	Follows    string            `json:"follows,omitempty" doc:"Id of the agreement whose place it takes"`
	Decided
}

// Decided is what owners decided of an agreement, and what took its place.
type Decided struct {
	Authorised *agreements.Decision `json:"authorised,omitempty" doc:"Of a formal contract: the decision by which it may come into force"`
	Dismissed  *Dismissal           `json:"dismissed,omitempty" doc:"The notice that the provider has"`
	Successor  string               `json:"successor,omitempty" doc:"Id of the agreement that took its place"`
}

// Dismissal (解聘) is the notice that a provider has, because owners dismissed them.
type Dismissal struct {
	On       units.Day           `json:"on" doc:"Day of the notice"`
	Ends     units.Day           `json:"ends" doc:"Last day: the 60th after it (Civil Code art. 946)"`
	Decision agreements.Decision `json:"decision"`
}

// follows are the decisions that agreements follow.
var follows = reactions.Decisions{Reaction: agreement.Follow, Kinds: []string{votes.AppointProvider, votes.DismissProvider}}

// Choice is an option a unit chose.
type Choice struct {
	Agreement string    `json:"agreement"`
	Unit      string    `json:"unit"`
	Option    string    `json:"option"`
	Since     units.Day `json:"since"`
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
		Name:     "agreements",
		Prefixes: append(follows.Prefixes(), agreements.Categories...),
		Tables:   []string{"agreement", "choice", reactions.Table},
		Fold:     fold,
	}, db.Migrate(ctx, migrations)
}

// At returns the tables that answer for an estate as of a position; 0 is now.
// See lookback.At.
func (b *Board) At(ctx context.Context, estate string, at es.Position) (lookback.View[*Tables], error) {
	return lookback.At(ctx, b.Runner, b.Tables, b.past, estate, at, lookback.OfEstate(estate))
}

type row struct {
	id, estate, starts, state, terms, signed, ended, decided string
}

var table = readmodel.Map[string, row]{
	Table: readmodel.Table{Name: "agreement", Key: []string{"id"}, Columns: []string{"id", "estate", "starts", "state", "terms", "signed", "ended", "decided"}},
	Fields: func(r *row) []any {
		return []any{&r.id, &r.estate, &r.starts, &r.state, &r.terms, &r.signed, &r.ended, &r.decided}
	},
}

type choiceKey struct{ agreement, unit, option string }

type choiceRow struct {
	choiceKey
	since string
}

var choices = readmodel.Map[choiceKey, choiceRow]{
	Table: readmodel.Table{
		Name: "choice", Key: []string{"agreement", "unit", "option"}, Columns: []string{"agreement", "unit", "option", "since"},
	},
	Fields: func(r *choiceRow) []any { return []any{&r.agreement, &r.unit, &r.option, &r.since} },
	Key:    func(k choiceKey) []any { return []any{k.agreement, k.unit, k.option} },
}

func fold(_ context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	rows, choices, decisions := table.In(tx), choices.In(tx), follows.In(tx)
	for _, r := range events {
		if !strings.HasPrefix(r.Stream, agreements.AgreementStream) && !strings.HasPrefix(r.Stream, agreements.OptionStream) {
			if err := decisions.Others(r); err != nil {
				return err
			}
			continue
		}
		event, err := agreements.Codec.Decode(r.Type, r.Data)
		if err != nil {
			return err
		}
		switch e := event.(type) {
		case agreements.OptionChosen:
			k := choiceKey{e.Agreement, e.Unit, e.Option}
			choices.Put(k, choiceRow{k, string(e.On)})
		case agreements.OptionDropped:
			choices.Delete(choiceKey{e.Agreement, e.Unit, e.Option})
		case agreements.AgreementProposed:
			terms, err := json.Marshal(e)
			if err != nil {
				return err
			}
			rows.Put(e.Agreement, row{e.Agreement, e.Estate, string(e.Starts), string(agreement.Proposed), string(terms), "[]", "", "{}"})
		case agreements.AgreementPosted:
			rows.Edit(e.Agreement).state = string(agreement.Posted)
		case agreements.AgreementSigned:
			if err := sign(rows.Edit(e.Agreement), e); err != nil {
				return err
			}
		case agreements.AgreementActivated:
			rows.Edit(e.Agreement).state = string(agreement.Active)
		case agreements.AgreementEnded:
			a := rows.Edit(e.Agreement)
			a.state, a.ended = string(agreement.Ended), string(e.On)
			if e.Successor != "" {
				if err := decide(a, func(d *Decided) { d.Successor = e.Successor }); err != nil {
					return err
				}
			}
		case agreements.ContractAuthorised:
			if err := errors.Join(decisions.Done(r), decide(rows.Edit(e.Agreement), func(d *Decided) { d.Authorised = &e.Decision })); err != nil {
				return err
			}
		case agreements.ProviderDismissed:
			dismissed := &Dismissal{e.On, e.Ends, e.Decision}
			if err := errors.Join(decisions.Done(r), decide(rows.Edit(e.Agreement), func(d *Decided) { d.Dismissed = dismissed })); err != nil {
				return err
			}
		}
	}
	return nil
}

// decide changes what owners decided of an agreement.
func decide(r *row, change func(*Decided)) error {
	var d Decided
	if err := json.Unmarshal([]byte(r.decided), &d); err != nil {
		return fmt.Errorf("board: decisions on %s: %w", r.id, err)
	}
	change(&d)
	text, err := json.Marshal(d)
	r.decided = string(text)
	return err
}

// sign lets the domain's own fold say whether all have signed.
func sign(r *row, e agreements.AgreementSigned) error {
	a := agreement.Agreement{State: agreement.State(r.state)}
	if err := json.Unmarshal([]byte(r.terms), &a.Terms); err != nil {
		return fmt.Errorf("board: terms of %s: %w", r.id, err)
	}
	if err := json.Unmarshal([]byte(r.signed), &a.Signed); err != nil {
		return fmt.Errorf("board: signatures of %s: %w", r.id, err)
	}
	a = agreement.Evolve(a, e)
	signed, err := json.Marshal(a.Signed)
	r.state, r.signed = string(a.State), string(signed)
	return err
}

// ErrNoSuchAgreement says there is no agreement of this id.
var ErrNoSuchAgreement = errors.New("board: no such agreement")

// Agreement returns one agreement.
func (b *Tables) Agreement(ctx context.Context, id string) (Agreement, error) {
	list, err := b.list(ctx, `WHERE id = ?`, id)
	if err == nil && len(list) == 0 {
		err = ErrNoSuchAgreement
	}
	if err != nil {
		return Agreement{}, err
	}
	return list[0], nil
}

// Agreements lists an estate's agreements, the latest first.
func (b *Tables) Agreements(ctx context.Context, estate string) ([]Agreement, error) {
	return b.list(ctx, `WHERE estate = ? ORDER BY starts DESC, id`, estate)
}

func (b *Tables) list(ctx context.Context, where string, arg any) ([]Agreement, error) {
	rows, err := b.db.Query(ctx, `SELECT id, estate, starts, state, terms, signed, ended, decided FROM agreement `+where, arg)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []Agreement{}
	for rows.Next() {
		var r row
		if err := rows.Scan(table.Fields(&r)...); err != nil {
			return nil, err
		}
		var t agreements.AgreementProposed
		if err := json.Unmarshal([]byte(r.terms), &t); err != nil {
			return nil, fmt.Errorf("board: terms of %s: %w", r.id, err)
		}
		a := Agreement{
			ID: r.id, Estate: t.Estate, Kind: t.Kind, Principals: t.Principals, Provider: t.Provider, Starts: t.Starts, Ends: t.Ends,
			Rates: t.Rates, Change: t.Change, Services: t.Services, Options: t.Options, State: agreement.State(r.state), Ended: units.Day(r.ended),
			Follows: t.Follows,
		}
		if err := json.Unmarshal([]byte(r.decided), &a.Decided); err != nil {
			return nil, fmt.Errorf("board: decisions on %s: %w", r.id, err)
		}
		if err := json.Unmarshal([]byte(r.signed), &a.Signed); err != nil {
			return nil, fmt.Errorf("board: signatures of %s: %w", r.id, err)
		}
		list = append(list, a)
	}
	return list, rows.Err()
}

// Decisions lists what became of what an estate's owners decided about providers.
func (b *Tables) Decisions(ctx context.Context, estate string) ([]reactions.Followed, error) {
	return follows.Of(ctx, b.db, estate)
}

// Noticed lists the agreements in force whose provider has notice.
func (b *Tables) Noticed(ctx context.Context) ([]Agreement, error) {
	list, err := b.list(ctx, `WHERE state = ? AND decided <> '{}'`, string(agreement.Active))
	return slices.DeleteFunc(list, func(a Agreement) bool { return a.Dismissed == nil }), err
}

// Choices lists the options that a unit chose and has not dropped.
func (b *Tables) Choices(ctx context.Context, agreement, unit string) ([]Choice, error) {
	rows, err := b.db.Query(ctx, `SELECT agreement, unit, option, since FROM choice WHERE agreement = ? AND unit = ? ORDER BY option`, agreement, unit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	list := []Choice{}
	for rows.Next() {
		var c Choice
		if err := rows.Scan(&c.Agreement, &c.Unit, &c.Option, &c.Since); err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, rows.Err()
}
