// Package web serves the portal's pages: it reads what a page needs from the
// API, keeps who is logged in, and guards the door (rate limits, cross-origin
// requests, security headers). What a page looks like is in package pages.
package web

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/a-h/templ"
	"github.com/alexedwards/scs/v2"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/services/portal/assets"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
	"github.com/yimu-ledger/yimu/services/portal/internal/routes"
)

// Config is what the pages are built from; see portal.Config for its meaning.
type Config struct {
	API             http.Handler
	Sessions        scs.Store
	Login           func(ctx context.Context, code string) (person, token string, err error)
	Logout          func(ctx context.Context, token string) error
	BaseURL         string
	Operator        pages.Operator
	ClientAddress   func(*http.Request) string
	ReadsPerMinute  int
	LoginsPerMinute int
	Version         string
	Clock           func() time.Time
	Log             *slog.Logger
	Tracer          trace.Tracer
	Meter           metric.Meter
}

// Keys in a session.
const (
	keyPerson   = "person"
	keyToken    = "token"
	keyReader   = "reader"   // JSON of roles and units, read at login
	keyPosition = "position" // of the reader's last command
	keyMeeting  = "meeting"  // for whose ballot alone a code was given in
)

const (
	sessionLifetime = 7 * 24 * time.Hour
	maxForm         = 64 << 10
	yearOfCookies   = 365 * 24 * 60 * 60
)

type site struct {
	Config
	api      *client.Client
	sessions *scs.SessionManager
	secure   bool
}

// New returns the handler of the pages, their assets and the API behind them.
func New(config Config) http.Handler {
	s := &site{Config: config, api: client.New(client.InProcess(config.API)), secure: strings.HasPrefix(config.BaseURL, "https://")}
	if s.Login == nil {
		s.Login = s.api.Login
	}
	if s.Logout == nil {
		s.Logout = s.api.Logout
	}
	if s.ClientAddress == nil {
		s.ClientAddress = peer
	}

	s.sessions = scs.New()
	s.sessions.Store = clocked{config.Sessions, config.Clock}
	s.sessions.Lifetime = sessionLifetime
	s.sessions.Cookie.Name = "yimu-session"
	s.sessions.Cookie.Secure = s.secure
	s.sessions.Cookie.HttpOnly = true
	s.sessions.Cookie.SameSite = http.SameSiteLaxMode
	if s.secure {
		s.sessions.Cookie.Name = "__Host-yimu-session"
	}
	s.sessions.ErrorFunc = func(w http.ResponseWriter, r *http.Request, err error) {
		s.Log.ErrorContext(r.Context(), "session", slog.Any("error", err))
		s.fail(w, s.bare(r), problem.Unavailable("sessions-unavailable", "sessions cannot be read"))
	}

	reads := s.limit(config.ReadsPerMinute)
	logins := s.limit(config.LoginsPerMinute)

	// A request of the API is watched by the service that answers it.
	watched := telemetry.NewServer(config.Tracer, config.Meter)

	api := http.NewServeMux()
	api.Handle("/api/v1/sessions", logins(config.API))
	guarded := s.guarded(reads, config.ReadsPerMinute, config.API)
	api.Handle(routes.Prefix+"/", guarded)
	api.Handle(routes.LogPrefix, guarded)
	mux := http.NewServeMux()
	mux.Handle("GET "+assets.Prefix, assets.Handler())
	mux.Handle("/", reads(s.sessions.LoadAndSave(watched.Watch(s.pages(logins), func(r *http.Request) string { return r.Pattern }))))

	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, s.bare(r), problem.Forbidden("cross-origin", "the form was sent from another site"))
	}))
	site := s.headers(sameOrigin.Handler(mux))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The API knows no cookies, so nobody can make a browser speak for its
		// owner there, and it answers nothing that a browser would run.
		if plain(r) {
			api.ServeHTTP(w, r)
			return
		}
		site.ServeHTTP(w, r)
	})
}

// plain says whether a request is one of programs, for the API or the
// transparency log, and not for a page.
func plain(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, routes.LogPrefix)
}

// peer is the address at the other end of the connection.
func peer(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// headers sets what every answer carries. No page has a script or a style of
// its own inside, so none is allowed.
func (s *site) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if s.secure {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// request is one reader asking for one page.
type request struct {
	*http.Request
	view pages.View
	who  client.Caller
	site *site

	mu sync.Mutex // guards the positions in view while parts are read side by side
}

// bare is a request without a session, for what happens before one is read.
func (s *site) bare(r *http.Request) *request {
	view := pages.View{Lang: pages.Chinese, Narrow: true, URI: "/"}
	if r.Method == http.MethodGet {
		view.URI = r.URL.RequestURI()
	}
	if c, err := r.Cookie("lang"); err == nil && c.Value == "en" {
		view.Lang = pages.English
	}
	if c, err := r.Cookie("elder"); err == nil && c.Value == "1" {
		view.Elder = true
	}
	q := &request{Request: r, view: view, site: s, who: client.Caller{Language: string(view.Lang)}}
	q.view.Live = q.base() + view.URI
	return q
}

// base is where people reach the site, without a slash at its end.
func (q *request) base() string {
	if q.site.BaseURL == "" {
		return "http://" + q.Host
	}
	return strings.TrimSuffix(q.site.BaseURL, "/")
}

func (s *site) request(r *http.Request) *request {
	q := s.bare(r)
	q.view.Narrow = false
	ctx := r.Context()
	if person := s.sessions.GetString(ctx, keyPerson); person != "" {
		q.view.Reader = s.reader(ctx, person)
		q.view.Reader.Meeting = s.sessions.GetString(ctx, keyMeeting)
		// Only who wrote something has to be shown a state that includes it.
		q.who.Position, _ = s.sessions.Get(ctx, keyPosition).(uint64)
	}
	return q
}

// mine is the same reader, with the token that says who they are: only for what
// is theirs, so that public pages are the same for everyone.
func (q *request) mine() client.Caller {
	who := q.who
	who.Token = q.site.sessions.GetString(q.Context(), keyToken)
	return who
}

// handler answers one kind of request; an error becomes a page.
type handler func(w http.ResponseWriter, q *request) error

func (s *site) handle(h handler) http.Handler { return s.handleUpTo(maxForm, h) }

// handleUpTo is handle with a body of so many bytes.
func (s *site) handleUpTo(most int64, h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && s.prefer(w, r) {
			return
		}
		w.Header().Add("Vary", "Cookie")
		w.Header().Set("Cache-Control", "private, no-cache")
		r.Body = http.MaxBytesReader(w, r.Body, most)
		q := s.request(r)
		if q.view.Reader != nil {
			w.Header().Set("Cache-Control", "no-store")
		}
		if err := h(w, q); err != nil {
			s.fail(w, q, err)
		}
	})
}

// prefer remembers the language and the text size chosen by a link, and leads
// back to the page without the setting in its address.
func (s *site) prefer(w http.ResponseWriter, r *http.Request) bool {
	q := r.URL.Query()
	chosen := false
	for name, allowed := range map[string][2]string{"lang": {"zh", "en"}, "elder": {"0", "1"}} {
		value := q.Get(name)
		if value != allowed[0] && value != allowed[1] {
			continue
		}
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: yearOfCookies, HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode})
		q.Del(name)
		chosen = true
	}
	if !chosen {
		return false
	}
	back := url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: q.Encode()}
	http.Redirect(w, r, local(back.String()), http.StatusSeeOther)
	return true
}

// local keeps an address on this site: anything else becomes the first page.
func local(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(address, "/") || strings.HasPrefix(address, "//") || strings.ContainsAny(address, "\\\r\n") {
		return "/"
	}
	return address
}

// render writes a whole page or none.
func (q *request) render(w http.ResponseWriter, status int, page templ.Component) error {
	var b bytes.Buffer
	if err := page.Render(q.Context(), &b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the reader went away
	return nil
}

// errNoSuchMoment is a position at which there is nothing of what is asked for.
var errNoSuchMoment = problem.NotFound("no-such-moment", "the ledger has nothing of this as of that position")

// fail turns an error into a page in plain words.
func (s *site) fail(w http.ResponseWriter, q *request, err error) {
	if errors.Is(err, context.Canceled) && q.Context().Err() != nil {
		return // nobody is there to read it
	}
	if p := new(problem.Error); errors.As(err, &p) && p.Status == http.StatusUnauthorized && q.view.Reader != nil {
		// The token ran out or was revoked: the session is worth nothing any more.
		_ = s.sessions.Destroy(q.Context())
		q.view.Reader = nil
	}
	if code := status(err); q.Method == http.MethodGet && (code == http.StatusUnprocessableEntity || code == http.StatusBadRequest) {
		err = problem.NotFound("no-such-page", "the address is not one of this site's") // an id that is none
	}
	if q.view.At != 0 && status(err) == http.StatusNotFound {
		err = errNoSuchMoment
	}
	p := pages.Explain(q.view.Lang, err)
	if p.Status >= http.StatusInternalServerError {
		s.Log.ErrorContext(q.Context(), "page failed", slog.String("route", q.Pattern), slog.Int("status", p.Status), slog.Any("error", err))
	}
	q.view.Title, q.view.Narrow, q.view.Figures = p.What, true, false
	if p.Again {
		w.Header().Set("Retry-After", "3")
		if q.Method == http.MethodGet {
			q.view.Refresh = 3
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	if err := q.render(w, p.Status, pages.Error(q.view, p)); err != nil {
		s.Log.ErrorContext(q.Context(), "error page failed", slog.Any("error", err))
		http.Error(w, p.What, p.Status)
	}
}

// get reads one thing from the API and notes how far it knows the ledger.
func get[T any](q *request, path string, query url.Values) (T, error) {
	out, answer, err := client.Get[T](q.Context(), q.site.api, q.who, path, q.then(query))
	if err == nil {
		q.note(answer)
	}
	return out, err
}

// then is a query as of the position that the page is of.
func (q *request) then(query url.Values) url.Values {
	if q.view.At == 0 {
		return query
	}
	query = maps.Clone(query)
	if query == nil {
		query = url.Values{}
	}
	query.Set("at", strconv.FormatUint(q.view.At, 10))
	return query
}

// own is get on behalf of who is logged in.
func own[T any](q *request, path string) (T, error) {
	out, _, err := client.Get[T](q.Context(), q.site.api, q.mine(), path, nil)
	return out, err
}

func (q *request) note(a client.Answer) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.view.Now = max(q.view.Now, a.Position)
	if a.Signed != nil && (q.view.Signed == nil || a.Signed.Position < q.view.Signed.Position) {
		q.view.Signed = a.Signed
	}
	if q.view.At != 0 {
		q.view.Low, q.view.High = q.view.At, q.view.At
		return
	}
	if a.Position == 0 {
		q.view.Silent = true
		return
	}
	if q.view.Low == 0 || a.Position < q.view.Low {
		q.view.Low = a.Position
	}
	q.view.High = max(q.view.High, a.Position)
}

// lookBack reads from the address as of which position a page is asked for.
func (q *request) lookBack() error {
	text := q.URL.Query().Get("at")
	if text == "" {
		return nil
	}
	at, err := strconv.ParseUint(text, 10, 64)
	if err != nil || at == 0 {
		return errNoSuchMoment
	}
	q.view.At = at
	return nil
}

// estate reads the estate a page belongs to and shows its tabs.
func (q *request) estate(id, tab string) (client.Estate, error) {
	e, err := get[client.Estate](q, "/estates/"+client.Segment(id), nil)
	if err != nil {
		return e, err
	}
	if e.ID == "" {
		e.ID = id
	}
	q.view.Estate, q.view.Tab = &client.Named{ID: e.ID, Name: e.Name}, tab
	return e, nil
}

// status of an error that the API answered; 0 for others.
func status(err error) int {
	if p := new(problem.Error); errors.As(err, &p) {
		return p.Status
	}
	return 0
}
