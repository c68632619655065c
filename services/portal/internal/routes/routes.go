// Package routes says which service answers which path of /api/v1, and joins
// the services' OpenAPI documents to one.
//
// The table is written by hand: it is the one place that shows the whole public
// interface at a glance, and a test holds every operation of every service
// against it.
package routes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// Names of the services.
const (
	Registry   = "registry"
	Contracts  = "contracts"
	WorkOrders = "workorders"
	Finance    = "finance"
	Votes      = "votes"
	Ledger     = "ledger"
)

// Services lists them in the order of the documentation.
var Services = []string{Registry, Contracts, WorkOrders, Finance, Votes, Ledger}

// table holds http.ServeMux patterns below /api/v1, and who answers them,
// whatever the method. The more specific pattern wins.
var table = []struct{ pattern, service string }{
	{"/estates", Registry},
	{"/estates/{estate}", Registry},
	{"/estates/{estate}/electorate", Registry},
	{"/estates/{estate}/units", Registry},
	{"/estates/{estate}/titles", Registry},
	{"/estates/{estate}/papers/units", Registry},
	{"/estates/{estate}/papers/titles", Registry},
	{"/people", Registry},
	{"/people/{rest...}", Registry},
	{"/tokens", Registry},
	{"/tokens/{token}", Registry},
	{"/sessions", Registry},
	{"/me", Registry},
	{"/me/corrections", Registry},

	{"/estates/{estate}/agreements", Contracts},
	{"/estates/{estate}/agreements/decisions", Contracts},
	{"/estates/{estate}/papers/agreement", Contracts},
	{"/agreements/{rest...}", Contracts},

	{"/estates/{estate}/workorders", WorkOrders},
	{"/estates/{estate}/workorders/{rest...}", WorkOrders},
	{"/estates/{estate}/papers/limits", WorkOrders},
	{"/estates/{estate}/papers/orders", WorkOrders},
	{"/workorders/{rest...}", WorkOrders},
	{"/me/workorders", WorkOrders},

	{"/estates/{estate}/collection", Finance},
	{"/estates/{estate}/collections", Finance},
	{"/estates/{estate}/budget", Finance},
	{"/estates/{estate}/budgets/{year}", Finance},
	{"/estates/{estate}/entries", Finance},
	{"/estates/{estate}/vouchers", Finance},
	{"/estates/{estate}/draws", Finance},
	{"/estates/{estate}/draws/decisions", Finance},
	{"/draws/{rest...}", Finance},
	{"/estates/{estate}/payments", Finance},
	{"/estates/{estate}/opening", Finance},
	{"/estates/{estate}/bills", Finance},
	{"/estates/{estate}/periods/{rest...}", Finance},
	{"/estates/{estate}/papers/budget", Finance},
	{"/estates/{estate}/papers/vouchers", Finance},
	{"/estates/{estate}/papers/payments", Finance},
	{"/vouchers/{rest...}", Finance},
	{"/payments/{rest...}", Finance},
	{"/me/bills", Finance},
	{"/me/payments", Finance},
	{"/me/arrears", Finance},

	{"/estates/{estate}/meetings", Votes},
	{"/estates/{estate}/meetings/check", Votes},
	{"/estates/{estate}/scopes", Votes},
	{"/estates/{estate}/rules", Votes},
	{"/rules", Votes},
	{"/estates/{estate}/papers/meeting", Votes},
	{"/estates/{estate}/papers/ballots", Votes},
	{"/estates/{estate}/papers/deliveries", Votes},
	{"/meetings/{rest...}", Votes},
	{"/me/ballots", Votes},
	{"/me/proxies", Votes},

	{"/ledger/{rest...}", Ledger},
	{"/receipts/{event}", Ledger},
	{"/operations/{rest...}", Ledger},
	{"/blobs/{hash}", Ledger},
	{"/estates/{estate}/leaves", Ledger},
}

// Prefix of the whole API.
const Prefix = "/api/v1"

// LogPrefix is of the files of the transparency log, which are the ledger's too.
const LogPrefix = "/log/"

// DocumentPath is where all of the API is described. The part of one service is
// at /api/v1/openapi/<service>.json, from the service itself.
const DocumentPath = Prefix + "/openapi.json"

// New returns a handler of everything below /api/v1 and /log. A service that is
// not in services is answered 503.
func New(services map[string]http.Handler) (http.Handler, error) {
	for name := range services {
		if !slices.Contains(Services, name) {
			return nil, fmt.Errorf("portal: no service is called %q", name)
		}
	}
	mux := http.NewServeMux()
	handle := func(pattern, service string) {
		handler := services[service]
		if handler == nil {
			handler = problemHandler(problem.Unavailable("service-unreachable", "the service "+service+" does not run here"))
		}
		mux.Handle(pattern, handler)
	}
	for _, route := range table {
		handle(Prefix+route.pattern, route.service)
	}
	handle(LogPrefix, Ledger)
	mux.Handle(Prefix+"/", problemHandler(problem.NotFound("no-such-path", "the API has nothing at this path")))
	mux.Handle("GET "+DocumentPath, document(services))
	mux.Handle("GET "+Prefix+"/openapi/{document}", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(r.PathValue("document"), ".")
		if services[name] == nil {
			problem.Write(w, problem.NotFound("no-such-service", "there is no service of this name here"))
			return
		}
		services[name].ServeHTTP(w, r)
	}))
	return mux, nil
}

// unanswered is said where a service had a command, or may have had it, and gave
// no answer: 503 would promise that nothing was recorded.
var unanswered = &problem.Error{
	Status: http.StatusBadGateway, Code: "unanswered",
	Detail: "the service went away before it answered; whether this was recorded is not known here, repeat with the same key",
}

// To forwards to a service elsewhere, to each of its instances in turn. One that
// does not take a connection is passed over.
func To(instances ...*url.URL) http.Handler {
	var next atomic.Uint64
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (conn net.Conn, err error) {
			first := next.Add(1)
			for i := range uint64(len(instances)) {
				conn, err = dialer.DialContext(ctx, network, address(instances[(first+i)%uint64(len(instances))]))
				if err == nil {
					return conn, nil
				}
			}
			return nil, err
		},
		MaxIdleConnsPerHost: idlePerService,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // what is compressed is so for the reader
	}
	return &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(instances[0])
			r.SetXForwarded()
			telemetry.InjectHTTP(r.Out.Context(), r.Out.Header) // what a page asks for belongs to its trace
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			var op *net.OpError
			reads, untouched := r.Method == http.MethodGet || r.Method == http.MethodHead, errors.As(err, &op) && op.Op == "dial"
			if reads || untouched {
				problem.Write(w, problem.Unavailable("service-unreachable", "the service did not answer; nothing was done, repeat in a moment"))
				return
			}
			problem.Write(w, unanswered)
		},
		BufferPool: buffers{}, // an answer of unknown length, such as an import's progress, is flushed as it comes
	}
}

// buffers are what answers are copied through.
type buffers struct{}

var pool = sync.Pool{New: func() any { return new([16 << 10]byte) }}

func (buffers) Get() []byte  { return pool.Get().(*[16 << 10]byte)[:] }
func (buffers) Put(b []byte) { pool.Put((*[16 << 10]byte)(b)) }

const (
	dialTimeout    = 2 * time.Second // an instance that is gone must not hold up the next
	idlePerService = 256
)

// address is where a URL's host listens.
func address(u *url.URL) string {
	if u.Port() != "" {
		return u.Host
	}
	if u.Scheme == "https" {
		return net.JoinHostPort(u.Hostname(), "443")
	}
	return net.JoinHostPort(u.Hostname(), "80")
}

// owners answers Service without a single handler having to run.
var owners = func() *http.ServeMux {
	mux := http.NewServeMux()
	for _, route := range table {
		mux.Handle(Prefix+route.pattern, owner(route.service))
	}
	return mux
}()

type owner string

func (owner) ServeHTTP(http.ResponseWriter, *http.Request) {}

// Service says who answers method and path.
func Service(method, path string) (string, bool) {
	handler, _ := owners.Handler(&http.Request{Method: method, URL: &url.URL{Path: path}})
	name, ok := handler.(owner)
	return string(name), ok
}

// Unrouted lists the operations of a service's document that the table does not
// lead to it, as "GET /api/v1/…".
func Unrouted(service string, doc *huma.OpenAPI) []string {
	var lost []string
	for path, item := range doc.Paths {
		for method, op := range map[string]*huma.Operation{
			http.MethodGet: item.Get, http.MethodPost: item.Post, http.MethodPut: item.Put,
			http.MethodPatch: item.Patch, http.MethodDelete: item.Delete,
		} {
			if op == nil {
				continue
			}
			full := path
			if !strings.HasPrefix(full, Prefix+"/") {
				full = Prefix + path
			}
			if got, ok := Service(method, full); !ok || got != service {
				lost = append(lost, method+" "+path)
			}
		}
	}
	slices.Sort(lost)
	return lost
}

// document joins the services' documents anew for each reader: it is read
// seldom, and a service may have been replaced since.
func document(services map[string]http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		documents := map[string]map[string]any{}
		for _, name := range Services {
			if services[name] == nil {
				continue
			}
			doc, err := fetch(r.Context(), name, services[name])
			if err != nil {
				problem.Write(w, problem.Unavailable("document-incomplete", "the service "+name+" did not give its part"))
				return
			}
			documents[name] = doc
		}
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(join(documents)) // the reader went away
	})
}

func fetch(ctx context.Context, name string, service http.Handler) (map[string]any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://api.internal"+Prefix+"/openapi/"+name+".json", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.InProcess(service).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", resp.StatusCode)
	}
	var doc map[string]any
	return doc, json.NewDecoder(resp.Body).Decode(&doc)
}

// join puts documents together. Components of the same name and different
// content get the service's name in front, in their references too.
func join(documents map[string]map[string]any) map[string]any {
	paths, components := map[string]any{}, map[string]any{}
	for _, service := range Services {
		doc, ok := documents[service]
		if !ok {
			continue
		}
		renamed := map[string]string{}
		parts, _ := doc["components"].(map[string]any)
		for kind, part := range parts {
			entries, _ := part.(map[string]any)
			into, _ := components[kind].(map[string]any)
			for name, entry := range entries {
				if other, taken := into[name]; taken && !reflect.DeepEqual(other, entry) {
					renamed["#/components/"+kind+"/"+name] = "#/components/" + kind + "/" + service + "." + name
				}
			}
		}
		refer(doc, renamed)
		for kind, part := range parts {
			entries, _ := part.(map[string]any)
			into, _ := components[kind].(map[string]any)
			if into == nil {
				into = map[string]any{}
				components[kind] = into
			}
			for name, entry := range entries {
				if to, ok := renamed["#/components/"+kind+"/"+name]; ok {
					name = strings.TrimPrefix(to, "#/components/"+kind+"/")
				}
				into[name] = entry
			}
		}
		own, _ := doc["paths"].(map[string]any)
		for path, item := range own {
			if _, taken := paths[path]; taken {
				merged, _ := paths[path].(map[string]any)
				more, _ := item.(map[string]any)
				maps.Copy(merged, more)
				continue
			}
			paths[path] = item
		}
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "yimu", "version": "1",
			"description": "The public interface of a governance ledger for residential estates. Amounts are in fen, areas in 0.01 m², times in RFC 3339.",
			"license":     map[string]any{"name": "Apache-2.0", "identifier": "Apache-2.0"},
		},
		"servers": []any{map[string]any{"url": Prefix}}, // where the parts put their paths too
		"paths":   paths, "components": components,
	}
}

// refer rewrites every $ref in a document.
func refer(node any, renamed map[string]string) {
	switch n := node.(type) {
	case map[string]any:
		for key, value := range n {
			if ref, ok := value.(string); ok && key == "$ref" {
				if to, ok := renamed[ref]; ok {
					n[key] = to
				}
				continue
			}
			refer(value, renamed)
		}
	case []any:
		for _, value := range n {
			refer(value, renamed)
		}
	}
}

type problemHandlerFunc struct{ err error }

func problemHandler(err error) http.Handler { return problemHandlerFunc{err} }

func (p problemHandlerFunc) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	problem.Write(w, p.err)
}
