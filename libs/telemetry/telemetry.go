// Package telemetry is how a process is watched: traces and metrics by
// OpenTelemetry, and logs that name the trace they belong to.
//
// A process calls [Start] once and hands Tracer and Meter to what it is made of.
// The standard variables OTEL_… say where traces and metrics are sent; without
// them there are no spans at all, and metrics are only counted in memory for
// whoever asks /metrics. Libraries take a trace.Tracer and a metric.Meter that
// may be nil, and use the small helpers of this package.
//
// Spans hold ids, routes, sizes and outcomes. Bodies, names, tokens, paths and
// query strings are in none, and metrics hold no ids either.
package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	exporter "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Config says what the process is. Everything else is said by the standard
// variables: where to send (OTEL_EXPORTER_OTLP_ENDPOINT, or …_TRACES_ENDPOINT
// and …_METRICS_ENDPOINT), how (OTEL_EXPORTER_OTLP_PROTOCOL: grpc, unless it
// says http/protobuf; headers, certificates, timeouts as the specification has
// them), which traces (OTEL_TRACES_SAMPLER), how often
// (OTEL_METRIC_EXPORT_INTERVAL), whose (OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES), and whether at all (OTEL_SDK_DISABLED).
type Config struct {
	Service string // service.name, e.g. votes
	Version string
	Log     *slog.Logger // is told when nothing can be sent; nil discards
}

// Telemetry is what a process is watched by.
type Telemetry struct {
	Tracer trace.Tracer // nil where traces are sent nowhere
	Meter  metric.Meter // nil where OTEL_SDK_DISABLED is true

	registry *prometheus.Registry
	log      *slog.Logger
	stop     []func(context.Context) error
}

const (
	scope     = "github.com/yimu-ledger/yimu"
	namespace = "yimu"
	grace     = 5 * time.Second // for what is pending when the process ends
)

// Start reads the variables and returns at once: nothing waits for whoever is
// to be told. Its error says which variable is wrong.
func Start(ctx context.Context, config Config) (*Telemetry, error) {
	t := &Telemetry{registry: prometheus.NewRegistry(), log: config.Log}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return t, nil
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		t.log.WarnContext(ctx, "telemetry", slog.Any("error", err))
	}))
	// Variables come last, so they win.
	who, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		semconv.ServiceNamespace(namespace), semconv.ServiceName(config.Service), semconv.ServiceVersion(config.Version),
		semconv.ServiceInstanceID(uuid.NewString()),
	), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	if err := t.startTraces(ctx, who, config.Version); err != nil {
		return nil, err
	}
	if err := t.startMetrics(ctx, who, config.Version); err != nil {
		t.Stop(ctx)
		return nil, err
	}
	return t, nil
}

func (t *Telemetry) startTraces(ctx context.Context, who *resource.Resource, version string) error {
	protocol, err := exportBy("TRACES")
	if protocol == "" || err != nil {
		return err
	}
	var to sdktrace.SpanExporter
	if protocol == overGRPC {
		to, err = otlptracegrpc.New(ctx)
	} else {
		to, err = otlptracehttp.New(ctx)
	}
	if err != nil {
		return fmt.Errorf("telemetry: traces: %w", err)
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(to), sdktrace.WithResource(who))
	t.Tracer = provider.Tracer(scope, trace.WithInstrumentationVersion(version))
	t.stop = append(t.stop, provider.Shutdown)
	return nil
}

func (t *Telemetry) startMetrics(ctx context.Context, who *resource.Resource, version string) error {
	scraped, err := exporter.New(exporter.WithRegisterer(t.registry), exporter.WithoutScopeInfo(),
		exporter.WithTranslationStrategy(otlptranslator.UnderscoreEscapingWithSuffixes),
		// Every series says whose it is, however it came to where it is drawn.
		exporter.WithResourceAsConstantLabels(attribute.NewAllowKeysFilter(semconv.ServiceNameKey)))
	if err != nil {
		return fmt.Errorf("telemetry: metrics: %w", err)
	}
	options := []sdkmetric.Option{sdkmetric.WithResource(who), sdkmetric.WithReader(scraped)}
	protocol, err := exportBy("METRICS")
	if err != nil {
		return err
	}
	if protocol != "" {
		var to sdkmetric.Exporter
		if protocol == overGRPC {
			to, err = otlpmetricgrpc.New(ctx)
		} else {
			to, err = otlpmetrichttp.New(ctx)
		}
		if err != nil {
			return fmt.Errorf("telemetry: metrics: %w", err)
		}
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(to)))
	}
	provider := sdkmetric.NewMeterProvider(options...)
	t.Meter = provider.Meter(scope, metric.WithInstrumentationVersion(version))
	t.stop = append(t.stop, provider.Shutdown)
	return nil
}

const (
	overGRPC = "grpc"
	overHTTP = "http/protobuf"
)

// exportBy returns by which protocol TRACES or METRICS are sent, "" if they are
// not: only an address, or an exporter that is asked for by name, turns them on.
func exportBy(signal string) (protocol string, err error) {
	exporters := "OTEL_" + signal + "_EXPORTER"
	asked := strings.Split(os.Getenv(exporters), ",")
	for _, name := range asked {
		if !slices.Contains([]string{"", "none", "otlp", "prometheus"}, name) {
			return "", fmt.Errorf("telemetry: %s is %q; otlp and none are known here, and /metrics needs neither", exporters, name)
		}
	}
	endpoint := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if !slices.Contains(asked, "otlp") && (endpoint == "" || asked[0] != "") {
		return "", nil
	}
	protocol = cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), overGRPC)
	if protocol != overGRPC && protocol != overHTTP {
		return "", fmt.Errorf("telemetry: the protocol of OTLP is %q; use grpc or http/protobuf", protocol)
	}
	return protocol, nil
}

// Metrics answers with all metrics in the text form of Prometheus. Also those
// of Go and of the process are among them, which are not sent by OTLP.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{})
}

// Stop sends what is pending, for at most 5 s, also where ctx has ended. What
// cannot be sent is logged: it is no reason for a process to fail.
func (t *Telemetry) Stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	for _, stop := range t.stop {
		if err := stop(ctx); err != nil {
			t.log.WarnContext(ctx, "telemetry that was not sent is lost", slog.Any("error", err))
		}
	}
	t.stop = nil
}
