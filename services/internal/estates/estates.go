// Package estates is what every service asks of the registry's streams before it
// records something for an estate: whether there is one, and whose unit a unit is.
package estates

import (
	"context"
	"sync"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals.
var (
	ErrNoSuchEstate = problem.NotFound("no-such-estate", "there is no such estate")
	ErrNoSuchUnit   = problem.NotFound("no-such-unit", "there is no such unit in this estate")
)

// In is the path parameter of all that is below an estate. Only one way to write
// its id is taken: streams are named by it.
type In struct {
	Estate string `path:"estate" format:"uuid" pattern:"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"`
}

// Registry reads the registry's streams as they stand, ahead of any read model.
type Registry struct {
	Store es.Store
	known sync.Map // estates by id: they never go away
}

// Check returns ErrNoSuchEstate where there is no such estate.
func (r *Registry) Check(ctx context.Context, estate string) error {
	if _, ok := r.known.Load(estate); ok {
		return nil
	}
	for _, err := range r.Store.Read(ctx, registry.EstateStream+estate, 0) {
		if err == nil {
			r.known.Store(estate, true)
		}
		return err
	}
	return ErrNoSuchEstate
}

// CheckUnit returns ErrNoSuchUnit where a unit is not one of this estate.
func (r *Registry) CheckUnit(ctx context.Context, estate, unit string) error {
	for rec, err := range r.Store.Read(ctx, registry.UnitStream+unit, 0) {
		if err != nil {
			return err
		}
		first, err := registry.Codec.Decode(rec.Type, rec.Data)
		if err != nil {
			return err
		}
		if e, ok := first.(registry.UnitRegistered); ok && e.Estate == estate {
			return nil
		}
		break
	}
	return ErrNoSuchUnit
}
