package web

import (
	"math"
	"net/http"
	"time"

	"github.com/go-chi/httprate"

	"github.com/yimu-ledger/yimu/libs/problem"
)

// limit answers 429 to an address that asks more often than this.
func (s *site) limit(perMinute int) func(http.Handler) http.Handler {
	return httprate.LimitBy(perMinute, time.Minute,
		func(r *http.Request) (string, error) { return s.address(r), nil },
		httprate.WithLimitHandler(s.tooMany))
}

// address says whom a request counts against.
func (s *site) address(r *http.Request) string { return httprate.CanonicalizeIP(s.ClientAddress(r)) }

func (s *site) tooMany(w http.ResponseWriter, r *http.Request) {
	err := problem.TooMany("too-many-requests", "too many requests from this address; wait a minute")
	if plain(r) {
		problem.Write(w, err)
		return
	}
	s.fail(w, s.bare(r), err)
}

// guarded limits what comes without a token, and whoever comes with tokens that
// nobody knows: an address may be answered 401 perMinute times, then it waits
// before another token of it is looked up. Who has a good token is not counted
// and pays for one reading of a counter.
func (s *site) guarded(anonymous func(http.Handler) http.Handler, perMinute int, next http.Handler) http.Handler {
	limited := anonymous(next)
	unknown := httprate.NewRateLimiter(perMinute, time.Minute, httprate.WithResponseHeaders(httprate.ResponseHeaders{})) // none: it counts answers
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			limited.ServeHTTP(w, r)
			return
		}
		from := s.address(r)
		if _, rate, err := unknown.Status(from); err != nil || math.Round(rate) >= float64(perMinute) { // as OnLimit rounds
			w.Header().Set("Retry-After", "60")
			s.tooMany(w, r)
			return
		}
		seen := &statusWriter{ResponseWriter: w}
		next.ServeHTTP(seen, r)
		if seen.status == http.StatusUnauthorized {
			unknown.OnLimit(seen, r, from)
		}
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
