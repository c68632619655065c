// Package contracts is the service that keeps agreements: what was entrusted to
// whom, for how long, at which rates, and which options residents chose.
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
}

// New builds the service.
func New(ctx context.Context, deps service.Deps, config Config) (*service.Service, error) {
	b, err := board.New(ctx, deps.DB, deps.Store, deps.Log)
	if err != nil {
		return nil, err
	}
	routes, handler := service.NewAPI(deps, "contracts", b)
	(&api.API{Deps: deps, Board: b, Owners: config.Owners}).Register(routes)
	return &service.Service{Name: "contracts", Handler: handler, API: routes, Projections: []*readmodel.Runner{b.Runner}}, nil
}
