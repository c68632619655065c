// Package workorders is the service that follows faults, complaints and alarms
// from the report to the rating, and says whether limits were kept.
package workorders

import (
	"context"

	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/workorders/internal/api"
	"github.com/yimu-ledger/yimu/services/workorders/internal/board"
)

// Config is what the service needs besides what every service has.
type Config struct {
	// Ready says whether this instance's clock can be trusted with deadlines;
	// nil: always.
	Ready func() bool
}

// New builds the service.
func New(ctx context.Context, deps service.Deps, config Config) (*service.Service, error) {
	b, err := board.New(ctx, deps.DB, deps.Store, deps.Log)
	if err != nil {
		return nil, err
	}
	routes, handler := service.NewAPI(deps, "workorders", b)
	a := &api.API{Deps: deps, Board: b}
	a.Register(routes)
	return &service.Service{
		Name: "workorders", Handler: handler, API: routes,
		Projections: []*readmodel.Runner{b.Runner},
		Run:         []func(context.Context) error{a.Watch(config.Ready)},
	}, nil
}
