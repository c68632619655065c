// Package finance is the service that keeps an estate's money in the open: what
// was planned, billed, collected and spent, with the entries behind every
// figure, and single payments for those they belong to alone.
package finance

import (
	"context"

	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/finance/internal/api"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
)

// Config is what the service needs besides what every service has.
type Config struct {
	// Ready says whether this instance's clock can be trusted with what is done
	// at midnight; nil: always.
	Ready func() bool
}

// New builds the service.
func New(ctx context.Context, deps service.Deps, config Config) (*service.Service, error) {
	b, err := board.New(ctx, board.Config{DB: deps.DB, Store: deps.Store, Vault: deps.Vault, Blobs: deps.Blobs, Log: deps.Log})
	if err != nil {
		return nil, err
	}
	routes, handler := service.NewAPI(deps, "finance", b)
	a := &api.API{Deps: deps, Board: b}
	a.Register(routes)
	return &service.Service{
		Name: "finance", Handler: handler, API: routes,
		Projections: []*readmodel.Runner{b.Runner},
		Run:         []func(context.Context) error{a.Nightly(config.Ready), a.Follow},
	}, nil
}
