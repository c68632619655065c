// Package relay publishes recorded events for others: topic events.<context>,
// CloudEvents 1.0 in Kafka binary content mode, keyed by stream. Delivery is at
// least once; receivers recognise repeats by ce_id.
package relay

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
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
	m.Metadata[bus.KeyMetadata] = r.Stream
	for header, value := range map[string]string{
		"ce_specversion": "1.0",
		"ce_id":          r.ID.String(),
		"ce_type":        typePrefix + r.Type,
		"ce_source":      "/yimu/" + context,
		"ce_subject":     r.Stream,
		"ce_time":        meta.Happened.UTC().Format(time.RFC3339Nano),
		"ce_position":    strconv.FormatUint(uint64(r.Position), 10),
		"ce_revision":    strconv.FormatUint(r.Revision, 10),
		"content-type":   "application/json",
	} {
		m.Metadata[header] = value
	}
	if meta.Trace != "" {
		m.Metadata["ce_traceparent"] = meta.Trace
		m.Metadata["traceparent"] = meta.Trace
	}
	return m, nil
}

// Projection publishes every event of the given streams. Its checkpoint moves
// after the broker has the batch, so nothing is left out; it owns no tables,
// so rebuilding read models sends nothing twice.
func Projection(publisher message.Publisher, contextOf func(stream string) string, prefixes []string) readmodel.Projection {
	return readmodel.Projection{
		Name:     "relay",
		Prefixes: prefixes,
		Fold: func(_ context.Context, _ *readmodel.Tx, events []es.Recorded) error {
			byTopic := map[string][]*message.Message{}
			for _, r := range events {
				owner := contextOf(r.Stream)
				m, err := Message(owner, r)
				if err != nil {
					return err
				}
				byTopic[EventsTopic(owner)] = append(byTopic[EventsTopic(owner)], m)
			}
			for topic, messages := range byTopic {
				if err := publisher.Publish(topic, messages...); err != nil {
					return fmt.Errorf("relay: publish to %s: %w", topic, err)
				}
			}
			return nil
		},
	}
}
