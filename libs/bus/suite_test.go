package bus_test

import (
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/yimu-ledger/yimu/libs/bus"
)

// Watermill's own suite. What is false in it:
//   - ExactlyOnceDelivery, which skips nothing: Kafka without transactions
//     repeats what was not committed; receivers recognise repeats.
//   - ContextPreserved, which skips nothing: a context does not travel through
//     a broker; the trace does, in the metadata.
//   - RestartServiceCommand, which skips TestReconnect: it compares with a list
//     that another goroutine is still writing (the race detector says so, and a
//     message that arrives before its own acknowledgement fails it).
//     TestBrokerRestartLosesAndReordersNothing asks the same and more.
var features = tests.Features{
	Persistent:                       true,
	ConsumerGroups:                   true,
	GuaranteedOrder:                  true,
	NewSubscriberReceivesOldMessages: true,
}

func TestPubSub(t *testing.T) {
	s := suite{anyBroker(t)}
	tests.TestPubSub(t, features, s.pubSub, s.pubSubInGroup)
}

type suite struct{ cfg bus.Config }

func (s suite) pubSub(t *testing.T) (message.Publisher, message.Subscriber) {
	group := "suite"
	if strings.Contains(t.Name(), "TestNewSubscriberReceivesOldMessages") {
		group = watermill.NewUUID() // a new subscriber is a new group; members of one group share
	}
	return s.pubSubInGroup(t, group)
}

func (s suite) pubSubInGroup(_ *testing.T, group string) (message.Publisher, message.Subscriber) {
	return keyedByPayload{bus.NewPublisher(s.cfg)}, bus.NewSubscriber(s.cfg, group)
}

// keyedByPayload spreads the suite's messages over partitions. The test of
// order expects those with one payload in order; to others the key is nothing.
type keyedByPayload struct{ *bus.Publisher }

func (p keyedByPayload) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		m.Metadata.Set(bus.KeyMetadata, string(m.Payload))
	}
	return p.Publisher.Publish(topic, messages...)
}
