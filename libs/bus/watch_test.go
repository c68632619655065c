package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestAMessageNamesTheSpanThatItWasSentIn(t *testing.T) {
	for name, c := range map[string]struct {
		tracer, sampled, own bool // whether there is a tracer, the publisher is in a sampled span, the message has a traceparent
		sent                 bool // whether the send is a span
	}{
		"in a span":                          {tracer: true, sampled: true, sent: true},
		"in a span, and it named another":    {tracer: true, sampled: true, own: true, sent: true},
		"in none, but it names one":          {tracer: true, own: true},
		"in none":                            {tracer: true},
		"without a tracer, but it names one": {sampled: true, own: true},
		"without a tracer":                   {sampled: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := anyBroker(t)
			topic := newTopic(t, cfg, 1)
			spans := tracetest.NewSpanRecorder()
			if c.tracer {
				cfg.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
			}
			m := keyed("k", "v")
			if c.sampled {
				m.SetContext(telemetry.Continue(t.Context(), traceparent))
			}
			other := strings.Replace(traceparent, "4bf9", "4bfa", 1)
			if c.own {
				m.Metadata.Set("traceparent", other)
			}
			if err := newPublisher(t, cfg).Publish(topic, m); err != nil {
				t.Fatal(err)
			}
			got := first(t, cfg, topic)
			want := ""
			switch ended := spans.Ended(); {
			case c.sent:
				if len(ended) != 1 || ended[0].Name() != "send "+topic || ended[0].SpanKind() != trace.SpanKindProducer || ended[0].Parent().SpanID().String() != traceparent[36:52] {
					t.Fatalf("spans %v", ended)
				}
				want = "00-" + ended[0].SpanContext().TraceID().String() + "-" + ended[0].SpanContext().SpanID().String() + "-01"
			case len(ended) > 0:
				t.Fatalf("spans %v", ended)
			case c.own:
				want = other
			}
			if got.Metadata["traceparent"] != want {
				t.Errorf("it names %q, want %q", got.Metadata["traceparent"], want)
			}
		})
	}
}

// first returns the first message of a topic of one partition.
func first(t *testing.T, cfg bus.Config, topic string) (got bus.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := bus.ConsumeFrom(ctx, cfg, bus.Offsets{topic: {0: 0}}, func(_ context.Context, batch []bus.Message) error {
		got = batch[0]
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return got
}

func TestLagGrowsWhileAHandlerIsAtWork(t *testing.T) {
	t.Parallel()
	cfg := anyBroker(t)
	topic := newTopic(t, cfg, 1)
	var read func() map[string]float64
	cfg.Meter, read = otlptest.Meter(t)
	publisher := newPublisher(t, cfg)
	publish := func(n int) {
		var messages []*message.Message
		for range n {
			messages = append(messages, keyed("k", "v"))
		}
		if err := publisher.Publish(topic, messages...); err != nil {
			t.Fatal(err)
		}
	}
	of := func(more string) string {
		return "{messaging.consumer.group.name=" + topic + "-group,messaging.destination.name=" + topic + more + "messaging.system=kafka}"
	}
	lag := "messaging.kafka.consumer.lag" + of(",messaging.destination.partition.id=0,")
	await := func(key string, want float64) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); read()[key] != want; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s is %v, want %v, of %v", key, read()[key], want, read())
			}
		}
	}

	publish(3)
	out, verdict, stop := batches(t, cfg, topic+"-group", topic)
	<-out
	await(lag, 3)
	publish(4) // which nobody fetches
	await(lag, 7)
	verdict <- errors.New("not now")
	<-out
	verdict <- nil
	<-out
	await(lag, 4)
	verdict <- nil
	await(lag, 0)

	got := read()
	for key, want := range map[string]float64{
		"messaging.client.consumed.messages" + of(",messaging.operation.name=poll,messaging.operation.type=receive,"):                                        7,
		"messaging.process.duration" + of(",messaging.operation.name=process,messaging.operation.type=process,"):                                             2,
		"messaging.process.duration{error.type=_OTHER," + strings.TrimPrefix(of(",messaging.operation.name=process,messaging.operation.type=process,"), "{"): 1,
		"yimu.retries{yimu.operation=process}": 1,
		"messaging.client.sent.messages{messaging.destination.name=" + topic + ",messaging.operation.name=send,messaging.operation.type=send,messaging.system=kafka}": 7,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v, of %v", key, got[key], want, got)
		}
	}
	stop()
	if _, there := read()[lag]; there {
		t.Error("the lag of what is not consumed any more is still told")
	}
}
