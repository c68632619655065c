package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"
)

// grace is how long requests under way may take once the process shall end.
const grace = 10 * time.Second

// Serve answers requests on a listener until ctx ends, lets those under way
// finish, and returns nil. Requests outlive ctx by up to 10 s.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler: h,
		// A body may be slow: it is limited by operation. Headers may not.
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	select {
	case err := <-done:
		return fmt.Errorf("service: serve %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(errors.New("service: some requests did not end in time"), server.Close())
	}
	return err
}

// Check says why something is not ready, or nil.
type Check func(context.Context) error

// Health serves what a process tells anyone of itself: /livez, which answers while
// it runs; and /readyz, which answers 503 with the names of the checks that fail (what
// they say is not told: it is for the log).
func Health(checks map[string]Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		failed := ""
		for _, name := range slices.Sorted(maps.Keys(checks)) {
			if checks[name](ctx) != nil {
				failed += name + " is not ready\n"
			}
		}
		if failed != "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, cmp.Or(failed, "ok\n"))
	})
	return mux
}
