// Package service is how a service runs: what it is made of, its HTTP API, its
// commands, its reactions and deadlines, health and shutdown.
//
// It knows no estate, and no bus or store by name: main builds a [Deps] and
// hands it to the services, which hand back a [Service] each.
package service

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault"
)

// Clock tells the time; time.Now in production.
type Clock func() time.Time

// Deps is what every service is built from.
type Deps struct {
	Store     es.Store
	Committer es.Committer
	Vault     *vault.Vault
	Blobs     Blobs
	DB        *readmodel.DB // the service's own tables
	Access    Access
	Signed    func() proof.Signed // how far the ledger is signed, as was last heard; nil: that is not known
	Clock     Clock
	Log       *slog.Logger
	Tracer    trace.Tracer // of package telemetry; nil: no spans
	Meter     metric.Meter // of package telemetry; nil: nothing is measured
}

// Blobs keeps large things by the SHA-256 of their bytes, in hex; a
// *blobs.Bucket does.
type Blobs interface {
	// Put returns the hash once the data is on disk. The same again is no error.
	Put(ctx context.Context, data []byte) (hash string, err error)
	Get(ctx context.Context, hash string) ([]byte, error)
}

// Service is what a service package's New returns.
type Service struct {
	Name        string       // e.g. votes
	Handler     http.Handler // of NewAPI: the service's own routes only
	API         huma.API     // for OpenAPI
	Projections []*readmodel.Runner
	Run         []func(context.Context) error // reactions, deadlines and other loops; each ends with its context
}

// Access says who a token stands for and what they may do.
type Access interface {
	// Authenticate returns who a bearer token stands for, or a problem (401).
	Authenticate(ctx context.Context, token string) (authz.Principal, error)
	// Allow returns nil, or a problem: 401 for someone unknown, 403 for others.
	Allow(ctx context.Context, p authz.Principal, action string, r authz.Resource) error
	// Principal returns a person with the roles they have now, whoever asks.
	Principal(person string) authz.Principal
	// A caller that was granted something at a position may use it after WaitFor.
	Follower
}

// Follower is something that follows the ledger, such as a *readmodel.Runner.
type Follower interface {
	Position() es.Position
	WaitFor(ctx context.Context, position es.Position) error
}

// Allow asks whether the caller of this request may do the action.
func (d Deps) Allow(ctx context.Context, action string, r authz.Resource) error {
	return d.Access.Allow(ctx, CallerFrom(ctx).Principal, action, r)
}
