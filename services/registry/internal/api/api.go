// Package api serves the registry over HTTP: estates and units for everyone,
// people, roles and tokens for those who may.
package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/registry/access"
	"github.com/yimu-ledger/yimu/services/registry/internal/board"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

// API is what the routes need.
type API struct {
	service.Deps
	Board     *board.Board
	People    *vault.Vault
	Directory *access.Directory
	Sessions  *access.Sessions

	known   *estates.Registry
	estates es.Repo[register.Estate, registry.Event]
	units   es.Repo[register.Unit, registry.Event]
	people  es.Repo[register.Person, registry.Event]
	tokens  es.Repo[register.Token, registry.Event]
}

// repo returns the repository of one kind of stream.
func repo[S any](d service.Deps, prefix string, evolve func(S, registry.Event) S) es.Repo[S, registry.Event] {
	return es.Repo[S, registry.Event]{Store: d.Store, Committer: d.Committer, Prefix: prefix, Codec: registry.Codec, Evolve: evolve}
}

// Register adds the registry's routes.
func (a *API) Register(api huma.API) {
	a.known = &estates.Registry{Store: a.Store}
	a.estates = repo(a.Deps, registry.EstateStream, register.EvolveEstate)
	a.units = repo(a.Deps, registry.UnitStream, register.EvolveUnit)
	a.people = repo(a.Deps, registry.PersonStream, register.EvolvePerson)
	a.tokens = repo(a.Deps, registry.TokenStream, register.EvolveToken)

	huma.Register(api, service.Query("estates", "/estates", "All estates"), a.listEstates)
	huma.Register(api, service.Query("estate", "/estates/{estate}", "An estate and what is counted in it"), a.getEstate)
	huma.Register(api, service.Query("electorate", "/estates/{estate}/electorate", "Heads and area that votes are measured against"), a.getElectorate)
	huma.Register(api, service.Query("units", "/estates/{estate}/units", "The units of an estate, without owners"), a.listUnits)
	huma.Register(api, service.Command("found-estate", http.MethodPost, "/estates", "Found an estate"), a.foundEstate)
	huma.Register(api, service.Command("set-estate", http.MethodPut, "/estates/{estate}", "Change an estate's settings"), a.setEstate)
	a.registerPapers(api)
	a.registerPeople(api)
}

func (a *API) listEstates(ctx context.Context, _ *struct{}) (*service.Items[board.Name], error) {
	return service.List(a.Board.Estates(ctx))
}

// EstateOut is an estate.
type EstateOut struct {
	Body struct {
		board.Estate
		lookback.Bound
	}
}

var errNotThen = problem.NotFound("no-such-estate-then", "the ledger knew no such estate at this position")

// then returns an estate as of a position, and which that is.
func (a *API) then(ctx context.Context, id string, at es.Position) (e board.Estate, electorate board.Electorate, position es.Position, err error) {
	view, err := a.Board.At(ctx, id, at)
	if err != nil {
		return e, electorate, 0, err
	}
	defer view.Release()
	e, electorate, err = view.Tables.Estate(ctx, id)
	if errors.Is(err, board.ErrNoSuchEstate) {
		err = register.ErrNoSuchEstate
		if at != 0 {
			err = errNotThen
		}
	}
	return e, electorate, view.Position, err
}

// EstateIn names an estate, now or at a position.
type EstateIn struct {
	estates.In
	lookback.AtIn
}

func (a *API) getEstate(ctx context.Context, in *EstateIn) (*EstateOut, error) {
	e, _, position, err := a.then(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	out := &EstateOut{}
	out.Body.Estate, out.Body.Bound = e, lookback.Bind(a.Deps, position)
	return out, nil
}

// ElectorateOut is an electorate.
type ElectorateOut struct {
	Body struct {
		board.Electorate
		lookback.Bound
	}
}

func (a *API) getElectorate(ctx context.Context, in *EstateIn) (*ElectorateOut, error) {
	_, e, position, err := a.then(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	out := &ElectorateOut{}
	out.Body.Electorate, out.Body.Bound = e, lookback.Bind(a.Deps, position)
	return out, nil
}

// UnitOut is a unit in a list.
type UnitOut struct {
	ID       string        `json:"id"`
	Code     string        `json:"code"`
	Building string        `json:"building"`
	Stair    string        `json:"stair"`
	Room     string        `json:"room"`
	Use      string        `json:"use"`
	Area     units.CentiM2 `json:"area_centi_m2"`
	Basis    string        `json:"basis"`
	State    string        `json:"state"`
}

func (a *API) listUnits(ctx context.Context, in *struct {
	estates.In
	After string `query:"after" doc:"code to read on from"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"200"`
}) (*service.Items[UnitOut], error) {
	if _, _, _, err := a.then(ctx, in.Estate, 0); err != nil {
		return nil, err
	}
	all, err := a.Board.Units(ctx, in.Estate, in.After, in.Limit)
	if err != nil {
		return nil, err
	}
	list := make([]UnitOut, len(all))
	for i, u := range all {
		list[i] = UnitOut{u.ID, u.Code, u.Building, u.Stair, u.Room, u.Use, u.Area, u.Basis, u.State}
	}
	return service.List(list, nil)
}

func (a *API) foundEstate(ctx context.Context, in *struct {
	service.CommandIn
	Body struct {
		Name string `json:"name" minLength:"1" maxLength:"60"`
		ID   string `json:"id,omitempty" format:"uuid" pattern:"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$" doc:"Chosen by the caller, for papers that are imported again; else by the ledger"`
	}
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "estate.create", authz.Resource{Type: "Estate", Estate: in.Body.ID}); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "found-estate", in.CommandIn, in.Body)
	id := in.Body.ID
	if id == "" {
		id = newID(req)
	}
	done, err := a.estates.Do(ctx, id, req, register.FoundEstate{ID: id, Name: in.Body.Name})
	return service.Respond(id, done, err)
}

func (a *API) setEstate(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		Name        string `json:"name,omitempty" maxLength:"60"`
		FeeCategory string `json:"fee_category,omitempty" maxLength:"60"`
	}
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "estate.set", authz.Resource{Type: "Estate", ID: in.Estate, Estate: in.Estate}); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "set-estate", in.CommandIn, in.Body)
	done, err := a.estates.Do(ctx, in.Estate, req, register.SetEstate{Name: in.Body.Name, FeeCategory: in.Body.FeeCategory})
	return service.Respond(in.Estate, done, err)
}

// newID names what a command creates: made of the commit id, which nobody can guess.
func newID(req es.Request) string { return uuid.NewSHA1(req.Commit, []byte("id")).String() }
