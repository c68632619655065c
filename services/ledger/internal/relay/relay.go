// Package relay publishes recorded events for others: topic events.<context>,
// CloudEvents 1.0 in Kafka's binary content mode, keyed by stream. Delivery is
// at least once and in order; receivers recognise repeats by ce_id.
package relay

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// EventsTopic is the topic of a context's recorded events.
func EventsTopic(context string) string { return "events." + context }

// typePrefix makes stored names globally unique, as CloudEvents asks of a type.
const typePrefix = "yimu."

// Message returns an event as a CloudEvent in Kafka binary mode: the data as
// stored, byte for byte, everything else in headers.
func Message(context string, r es.Recorded) (*message.Message, error) {
	meta, err := es.ParseMeta(r.Meta)
	if err != nil {
		return nil, fmt.Errorf("relay: %s@%d: %w", r.Stream, r.Revision, err)
	}
	m := message.NewMessage(r.ID.String(), r.Data)
	m.Metadata = message.Metadata{
		bus.KeyMetadata:  r.Stream,
		"ce_specversion": "1.0",
		"ce_id":          r.ID.String(),
		"ce_type":        typePrefix + r.Type,
		"ce_source":      "/yimu/" + context,
		"ce_subject":     r.Stream,
		"ce_time":        meta.Happened.UTC().Format(time.RFC3339Nano),
		"ce_position":    strconv.FormatUint(uint64(r.Position), 10),
		"ce_revision":    strconv.FormatUint(r.Revision, 10),
		"content-type":   "application/json",
	}
	if meta.Trace != "" {
		m.Metadata["ce_traceparent"] = meta.Trace
		m.Metadata[telemetry.TraceparentKey] = meta.Trace
	}
	return m, nil
}

// Relay publishes every event of some streams.
type Relay struct {
	Store     es.Store
	DB        *readmodel.DB // keeps how far it is
	Publisher message.Publisher
	ContextOf func(stream string) string
	Prefixes  []string // of the streams
	Log       *slog.Logger
}

const (
	// name of the checkpoint: no projection's, so rebuilding read models
	// publishes nothing twice.
	name = "relay"
	// pace is the pause after a small batch: nobody waits for what goes out, and
	// many events are published as cheaply as one.
	pace = 50 * time.Millisecond
	many = 500 // events that are no small batch
)

// Run publishes what is recorded until ctx ends, then it returns nil. A broker
// that is away is waited for; of several instances one publishes.
func (r Relay) Run(ctx context.Context) error {
	return service.Forward(ctx, r.Store, r.DB, r.Log, name, func(ctx context.Context, events []es.Recorded) error {
		byTopic, err := r.messages(events)
		if err != nil {
			return err
		}
		for topic, messages := range byTopic {
			if err := service.Persist(ctx, r.Log, func() error { return r.Publisher.Publish(topic, messages...) }); err != nil {
				return err
			}
		}
		if len(events) < many {
			_ = pause.For(ctx, pace)
		}
		return nil
	}, r.Prefixes...)
}

func (r Relay) messages(events []es.Recorded) (map[string][]*message.Message, error) {
	byTopic := map[string][]*message.Message{}
	for _, e := range events {
		owner := r.ContextOf(e.Stream)
		m, err := Message(owner, e)
		if err != nil {
			return nil, err
		}
		m.SetContext(telemetry.ContinueEvent(m.Context(), e))
		byTopic[EventsTopic(owner)] = append(byTopic[EventsTopic(owner)], m)
	}
	return byTopic, nil
}
