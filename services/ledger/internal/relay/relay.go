// Package relay publishes recorded events for others: topic events.<context>,
// CloudEvents 1.0 in Kafka's binary content mode, keyed by stream. Delivery is
// at least once and in order; receivers recognise repeats by ce_id.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
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
		m.Metadata["traceparent"] = meta.Trace
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
	// again is the pause after the broker, or the database, failed.
	again = time.Second
	// pace is the pause after a small batch: nobody waits for what goes out, and
	// many events are published as cheaply as one.
	pace = 50 * time.Millisecond
	many = 500 // events that are no small batch
)

// Run publishes what is recorded until ctx ends, then it returns nil. Its place
// moves after the broker has a batch, so over a restart nothing is left out; a
// broker that is away is waited for.
func (r Relay) Run(ctx context.Context) error {
	var at es.Position
	if err := r.insist(ctx, func() (err error) {
		at, err = r.DB.Checkpoint(ctx, name)
		return err
	}); err != nil {
		return nil //nolint:nilerr // ctx ended
	}
	return service.Follow(ctx, r.Store, r.Log, func() es.Position { return at }, func(b es.Batch) error {
		if len(b.Events) == 0 {
			return nil // where nothing matched there is nothing to remember
		}
		byTopic, err := r.messages(b.Events)
		if err != nil {
			return err
		}
		for topic, messages := range byTopic {
			if err := r.insist(ctx, func() error { return r.Publisher.Publish(topic, messages...) }); err != nil {
				return err
			}
		}
		err = r.insist(ctx, func() error {
			return r.DB.Update(ctx, func(tx *readmodel.Tx) error { return tx.MoveCheckpoint(ctx, name, at, b.Through) })
		})
		if err != nil {
			return err
		}
		at = b.Through
		if len(b.Events) < many {
			select {
			case <-ctx.Done():
			case <-time.After(pace):
			}
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
		byTopic[EventsTopic(owner)] = append(byTopic[EventsTopic(owner)], m)
	}
	return byTopic, nil
}

// insist calls f until it succeeds, ctx ends, or another relay does the work.
func (r Relay) insist(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || errors.Is(err, readmodel.ErrMoved) {
			return err
		}
		if ctx.Err() == nil {
			r.Log.WarnContext(ctx, "publishing events will be tried again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(again):
		}
	}
}
