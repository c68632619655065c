package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
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

// Health serves /livez, which answers while the process runs, and /readyz,
// which answers 503 with the names of the checks that fail. What they say is
// not told: it is for the log.
func Health(checks map[string]Check) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), patience)
		defer cancel()
		failed := ""
		for name, check := range checks {
			if check(ctx) != nil {
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

// Telemetry returns a tracer that exports by OTLP, where the standard variables
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT say where
// to; else nil, which costs nothing. stop sends what is pending.
func Telemetry(ctx context.Context, version string) (tracer trace.Tracer, stop func(context.Context) error, err error) {
	stop = func(context.Context) error { return nil }
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return nil, stop, nil
	}
	exporter, err := otlptracegrpc.New(ctx)
	if err != nil {
		return nil, stop, fmt.Errorf("service: telemetry: %w", err)
	}
	r, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, stop, fmt.Errorf("service: telemetry: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(r))
	return provider.Tracer("yimu", trace.WithInstrumentationVersion(version)), provider.Shutdown, nil
}
