// Package registry is the service that keeps estates, units and titles, and the
// people, roles and tokens that act on them.
package registry

import (
	"context"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/registry/access"
	"github.com/yimu-ledger/yimu/services/registry/internal/api"
	"github.com/yimu-ledger/yimu/services/registry/internal/board"
)

// Config is what the service needs besides what every service has.
type Config struct {
	People    *vault.Vault // personal data and login codes
	Directory *access.Directory
	Sessions  *access.Sessions
}

// New builds the service.
func New(ctx context.Context, deps service.Deps, config Config) (*service.Service, error) {
	b, err := board.New(ctx, deps.DB, deps.Store, deps.Log)
	if err != nil {
		return nil, err
	}
	routes, handler := service.NewAPI(deps, "registry", b)
	a := &api.API{Deps: deps, Board: b, People: config.People, Directory: config.Directory, Sessions: config.Sessions}
	a.Register(routes)
	return &service.Service{
		Name: "registry", Handler: handler, API: routes,
		Projections: []*readmodel.Runner{b.Runner, b.Keeping},
		Run:         []func(context.Context) error{a.FinishErasures},
	}, nil
}

// IssueToken issues a token of a role, for whoever holds the system itself:
// nobody has to be authorised before the first administrator is. It acts
// everywhere where no estate is named.
func IssueToken(ctx context.Context, deps service.Deps, role registry.Role, estate, label string, life time.Duration) (token string, at es.Position, err error) {
	return (&api.API{Deps: deps}).Issue(ctx, role, estate, label, life)
}
