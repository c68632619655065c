package bus

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
)

const (
	// KeyMetadata names the metadata that becomes the Kafka key: messages with
	// one key are delivered in the order in which they were published. Messages
	// without one share the empty key, so nothing loses its order by omission.
	KeyMetadata = "key"
	// IDHeader is the Kafka header that carries a message's UUID. Every other
	// entry of the metadata, traceparent among them, is a header of its own name.
	IDHeader = "message-id"
)

// Message is a message as it lies in its topic.
type Message struct {
	Topic     string
	Partition int
	Offset    int64
	ID        string // the UUID of the published message; empty where a stranger published it
	Key       []byte
	Value     []byte
	Metadata  map[string]string // its headers; nil where there are none
	Time      time.Time         // when the broker took it, by its clock
}

// watermill returns the message as Watermill's, with the key back in its metadata.
func (m Message) watermill() *message.Message {
	w := message.NewMessage(m.ID, m.Value)
	for k, v := range m.Metadata {
		w.Metadata[k] = v
	}
	if m.Key != nil {
		w.Metadata[KeyMetadata] = string(m.Key)
	}
	return w
}

func fromRecord(topic string, partition int, r *kafka.Record) (Message, error) {
	key, err := readAll(r.Key)
	if err != nil {
		return Message{}, err
	}
	value, err := readAll(r.Value)
	if err != nil {
		return Message{}, err
	}
	m := Message{Topic: topic, Partition: partition, Offset: r.Offset, Key: key, Value: value, Time: r.Time}
	for _, h := range r.Headers {
		if h.Key == IDHeader {
			m.ID = string(h.Value)
			continue
		}
		if m.Metadata == nil {
			m.Metadata = make(map[string]string, len(r.Headers))
		}
		m.Metadata[h.Key] = string(h.Value)
	}
	return m, nil
}

// readAll reads bytes of a record and gives back the pages they lie in, which are
// 64 KiB each and used again.
func readAll(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer func() { _ = b.Close() }()
	return kafka.ReadAll(b)
}
