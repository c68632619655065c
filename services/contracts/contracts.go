// Package contracts is the service that keeps agreements: what was entrusted to
// whom, for how long, at which rates, what owners decided of it, and which options
// residents chose.
package contracts

import (
	"context"

	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/contracts/internal/api"
	"github.com/yimu-ledger/yimu/services/contracts/internal/board"
)

// Config is what the service needs besides what every service has.
type Config struct {
	// Owners returns the people with a title to a unit.
	Owners func(unit string) []string
	// Ready says whether this instance's clock can be trusted with the end of a
	// provider's notice; nil: always.
	Ready func() bool
}

// New builds the service.
func New(ctx context.Context, deps service.Deps, config Config) (*service.Service, error) {
	b, err := board.New(ctx, deps.DB, deps.Store, deps.Log)
	if err != nil {
		return nil, err
	}
	routes, handler := service.NewAPI(deps, "contracts", b)
	(&api.API{Deps: deps, Board: b, Owners: config.Owners}).Register(routes)
	f := &following{deps: deps, board: b, agreements: api.Agreements(deps), ready: config.Ready}
	return &service.Service{
		Name: "contracts", Handler: handler, API: routes,
		Projections: []*readmodel.Runner{b.Runner},
		Run:         []func(context.Context) error{f.react, f.end},
	}, nil
}
