// Package portal is the front of the system: the pages that people open, and
// the way of every request for /api/v1 to the service that answers it.
//
// The pages are a client of that API like any other and know nothing else: no
// store, no broker, no tables. In one process the services' handlers are called
// directly; in a cluster [To] forwards to them; the portal cannot tell.
package portal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/danielgtaylor/huma/v2"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
	"github.com/yimu-ledger/yimu/services/portal/internal/routes"
	"github.com/yimu-ledger/yimu/services/portal/internal/web"
)

// Operator is who runs the site; its fields are shown on /about as they are.
type Operator = pages.Operator

// Config is the manual of the portal.
type Config struct {
	// Services by name: registry, contracts, workorders, finance, votes, ledger.
	// Each serves its routes under /api/v1 and its own document at
	// /api/v1/openapi/<name>.json. One that is missing is answered 503.
	Services map[string]http.Handler

	// Sessions keeps who is logged in; it is the vault's, because a session holds
	// a token. It reckons by Clock when a session ends.
	Sessions scs.Store

	// Login exchanges a one-time code for the person it was made for and a token
	// that speaks for them. A code that does not work is a problem.Error of 4xx.
	// Nil asks the API: POST /sessions.
	Login func(ctx context.Context, code string) (person, token string, err error)

	// Logout makes a token worthless. Nil asks the API: DELETE /sessions.
	Logout func(ctx context.Context, token string) error

	// BaseURL is where people reach the site, such as https://yimu.example. It is
	// printed with every page; https makes cookies secure. Empty takes the
	// address that was asked for.
	BaseURL string

	// Operator is shown on /about.
	Operator Operator

	// ClientAddress says whom a rate limit counts; nil takes the connection's
	// address. Behind a proxy it must read the header that proxy sets.
	ClientAddress func(*http.Request) string

	ReadsPerMinute  int // without a login, by address, and as many with a token nobody knows; 0 is 1200
	LoginsPerMinute int // attempts by address; 0 is 10

	Version string // of the program, for files that say what made them

	Clock  func() time.Time
	Log    *slog.Logger // nil discards
	Tracer trace.Tracer // nil: no spans
	Meter  metric.Meter // nil: nothing is measured
}

// New returns the handler of the whole site.
func New(config Config) (http.Handler, error) {
	if config.Sessions == nil || config.Clock == nil {
		return nil, errors.New("portal: Config.Sessions or Config.Clock is missing")
	}
	if config.BaseURL != "" {
		if u, err := url.Parse(config.BaseURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return nil, fmt.Errorf("portal: base URL %q is not like https://yimu.example", config.BaseURL)
		}
	}
	api, err := routes.New(config.Services)
	if err != nil {
		return nil, err
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return web.New(web.Config{
		API: api, Sessions: config.Sessions, Login: config.Login, Logout: config.Logout,
		BaseURL: config.BaseURL, Operator: config.Operator, ClientAddress: config.ClientAddress,
		ReadsPerMinute: or(config.ReadsPerMinute, 1200), LoginsPerMinute: or(config.LoginsPerMinute, 10),
		Version: config.Version, Clock: config.Clock, Log: config.Log, Tracer: config.Tracer, Meter: config.Meter,
	}), nil
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// To is a service at another address, or several instances of it at theirs, for
// [Config].Services.
func To(instances ...*url.URL) http.Handler { return routes.To(instances...) }

// Unrouted lists the operations of a service, as "GET /api/v1/…", that would
// not reach it through the portal. It is empty, or the table of routes is wrong.
func Unrouted(service string, document *huma.OpenAPI) []string {
	return routes.Unrouted(service, document)
}
