//go:build stress

package bus_test

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
)

// Ten suites at once on one broker: go test -tags stress -run TestPubSubStress ./libs/bus
func TestPubSubStress(t *testing.T) {
	s := suite{anyBroker(t)}
	tests.TestPubSubStressTest(t, features, s.pubSub, s.pubSubInGroup)
}
