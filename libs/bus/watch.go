package bus

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// This file is how the bus is watched, by the semantic conventions for
// messaging. A message that is published within a span gets one of its own, and
// names it to whoever processes it; the bus begins no traces.

// Process starts the span of processing a message of a topic, in the trace that
// its headers name. Where they name none, or there is no tracer, it is none.
func Process(ctx context.Context, tracer trace.Tracer, topic, id string, headers map[string]string) (context.Context, trace.Span) {
	if tracer == nil {
		return telemetry.Begin(ctx, nil, "")
	}
	ctx, span := telemetry.Begin(telemetry.ContinueFrom(ctx, headers), tracer, "process "+topic, trace.WithSpanKind(trace.SpanKindConsumer))
	if span.IsRecording() {
		span.SetAttributes(semconv.MessagingSystemKafka, semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingDestinationName(topic), semconv.MessagingMessageID(id))
	}
	return ctx, span
}

// startSends starts a span for each message that is published within one, and
// returns them, with what names them; nil where there are none.
func (p *Publisher) startSends(topic string, messages []*message.Message) []*sendSpan {
	if p.cfg.Tracer == nil {
		return nil
	}
	var spans []*sendSpan
	for i, m := range messages {
		if !trace.SpanContextFromContext(m.Context()).IsSampled() {
			continue
		}
		if spans == nil {
			spans = make([]*sendSpan, len(messages))
		}
		attributes := append(p.broker,
			semconv.MessagingSystemKafka, semconv.MessagingOperationName("send"), semconv.MessagingOperationTypeSend,
			semconv.MessagingDestinationName(topic), semconv.MessagingMessageID(m.UUID))
		ctx, span := telemetry.Begin(m.Context(), p.cfg.Tracer, "send "+topic, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attributes...))
		s := &sendSpan{span: span, headers: map[string]string{}}
		telemetry.Inject(ctx, s.headers)
		spans[i] = s
	}
	return spans
}

type sendSpan struct {
	span    trace.Span
	headers map[string]string // traceparent, and tracestate where there is one
}

// broker names the one broker there is; of several, none can be named in advance.
func broker(cfg Config) (attributes []attribute.KeyValue) {
	if len(cfg.Brokers) != 1 {
		return nil
	}
	host, port, err := net.SplitHostPort(cfg.Brokers[0])
	if err != nil {
		return nil
	}
	attributes = append(attributes, semconv.ServerAddress(host))
	if n, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, semconv.ServerPort(n))
	}
	return attributes[:len(attributes):len(attributes)]
}

// measures are the instruments of publishers and consumers.
type measures struct {
	operation metric.Float64Histogram
	sent      metric.Int64Counter
	consumed  metric.Int64Counter
	process   metric.Float64Histogram

	retrySend, retryFetch, retryProcess func(context.Context)
}

func newMeasures(cfg Config) *measures {
	m := telemetry.NewMeter(cfg.Meter)
	return &measures{
		operation: m.Seconds("messaging.client.operation.duration", "Duration of messaging operation initiated by a producer or consumer client: here one slice of messages, written to one partition."),
		sent:      m.Counter("messaging.client.sent.messages", "{message}", "Number of messages producer attempted to send to the broker."),
		consumed:  m.Counter("messaging.client.consumed.messages", "{message}", "Number of messages that were delivered to the application."),
		process:   m.Seconds("messaging.process.duration", "Duration of processing operation: here one batch of one partition."),

		retrySend: m.Retries("send"), retryFetch: m.Retries("fetch"), retryProcess: m.Retries("process"),
	}
}

// labels are the attributes of an operation on a topic, made once.
type labels struct {
	common []attribute.KeyValue
	record []metric.RecordOption
	add    []metric.AddOption
}

func newLabels(operation, topic, group string) labels {
	common := []attribute.KeyValue{semconv.MessagingSystemKafka, semconv.MessagingOperationName(operation), semconv.MessagingDestinationName(topic)}
	switch operation {
	case "send":
		common = append(common, semconv.MessagingOperationTypeSend)
	case "process":
		common = append(common, semconv.MessagingOperationTypeProcess)
	case "poll":
		common = append(common, semconv.MessagingOperationTypeReceive)
	}
	if group != "" {
		common = append(common, semconv.MessagingConsumerGroupName(group))
	}
	set := metric.WithAttributeSet(attribute.NewSet(common...))
	return labels{common, []metric.RecordOption{set}, []metric.AddOption{set}}
}

// of returns the labels of an operation that ended with err.
func (l labels) of(err error) labels {
	if err == nil {
		return l
	}
	set := metric.WithAttributeSet(attribute.NewSet(append(l.common[:len(l.common):len(l.common)], semconv.ErrorTypeKey.String(errorType(err)))...))
	return labels{l.common, []metric.RecordOption{set}, []metric.AddOption{set}}
}

// errorType names an error by one of few words.
func errorType(err error) string {
	var answer kafka.Error
	var network net.Error
	switch {
	case errors.As(err, &answer):
		return answer.Title()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, &network):
		return "network"
	}
	return "_OTHER"
}

// lookAgain is how often the end of a partition is asked for whose messages are
// being processed for so long.
const lookAgain = 5 * time.Second

// consumption measures one call of Consume, or of what is like it.
type consumption struct {
	*measures
	group  string
	lag    metric.Int64ObservableGauge
	stop   func()
	active bool // something is measured at all

	mu     sync.Mutex
	places map[*place]struct{}
}

// place is where a follower is in its partition.
type place struct {
	topic     string
	partition int
	labels    metric.ObserveOption
	poll      labels
	process   labels
	next      atomic.Int64 // offset of the next message that is not settled; less than 0: not known
	end       atomic.Int64 // offset of the next message to be published
	busy      atomic.Bool  // its handler is at work
}

func newConsumption(cfg Config, group string) *consumption {
	m := telemetry.NewMeter(cfg.Meter)
	c := &consumption{measures: newMeasures(cfg), group: group, active: cfg.Meter != nil, places: map[*place]struct{}{}}
	c.lag = m.Gauge("messaging.kafka.consumer.lag", "{message}", "Messages in the partitions held by this instance that are not processed yet.")
	c.stop = m.Observe(c.observe, c.lag)
	return c
}

func (c *consumption) observe(_ context.Context, o metric.Observer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := range c.places {
		if next := p.next.Load(); next >= 0 {
			o.ObserveInt64(c.lag, max(0, p.end.Load()-next), p.labels)
		}
	}
	return nil
}

// hold begins to measure a partition, until the function it returns is called.
func (c *consumption) hold(topic string, partition int, next int64) (*place, func()) {
	p := &place{topic: topic, partition: partition, poll: newLabels("poll", topic, c.group), process: newLabels("process", topic, c.group)}
	attributes := []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingDestinationName(topic), semconv.MessagingDestinationPartitionID(strconv.Itoa(partition)),
	}
	if c.group != "" {
		attributes = append(attributes, semconv.MessagingConsumerGroupName(c.group))
	}
	p.labels = metric.WithAttributeSet(attribute.NewSet(attributes...))
	p.next.Store(next)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.places[p] = struct{}{}
	return p, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.places, p)
	}
}

// follow keeps the ends of partitions known whose handlers are at work for long:
// a fetch tells the end too, but the next one waits for them. It returns when
// ctx ends.
func (c *consumption) follow(ctx context.Context, client *client) {
	if !c.active {
		return
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		requests := map[string][]kafka.OffsetRequest{}
		c.mu.Lock()
		for p := range c.places {
			if p.busy.Load() {
				requests[p.topic] = append(requests[p.topic], kafka.LastOffsetOf(p.partition))
			}
		}
		c.mu.Unlock()
		if len(requests) == 0 {
			continue
		}
		res, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: requests})
		if err != nil {
			continue // the fetches say so too
		}
		c.mu.Lock()
		for p := range c.places {
			for _, at := range res.Topics[p.topic] {
				if at.Partition == p.partition && at.Error == nil {
					p.end.Store(at.LastOffset)
				}
			}
		}
		c.mu.Unlock()
	}
}
