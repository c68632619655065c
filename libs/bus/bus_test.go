package bus_test

import (
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/bus/embedded"
)

// anyBroker is the broker that YIMU_TEST_KAFKA names, or an embedded one.
func anyBroker(tb testing.TB) bus.Config {
	addr := os.Getenv("YIMU_TEST_KAFKA")
	if addr == "" {
		b, err := embedded.Start(embedded.Config{Log: quiet})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(b.Close)
		addr = b.Addr()
	}
	return config(addr)
}

var quiet = slog.New(slog.DiscardHandler)

func config(addr string) bus.Config {
	return bus.Config{Brokers: []string{addr}, ClientID: "test", Partitions: 4, NackDelay: time.Millisecond, Log: quiet}
}

// testBroker is one that can be told to fail.
func testBroker(t *testing.T, opts ...kfake.Opt) (*kfake.Cluster, bus.Config) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, config(c.ListenAddrs()[0])
}

// restartable is a broker that remembers, and a way to restart it.
func restartable(t *testing.T) (cfg bus.Config, restart func()) {
	t.Helper()
	dir := t.TempDir()
	start := func(port int) *kfake.Cluster {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(dir))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	cluster := start(0)
	t.Cleanup(func() { cluster.Close() })
	addr := cluster.ListenAddrs()[0]
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	return config(addr), func() {
		cluster.Close()
		cluster = start(port)
	}
}

// newTopic creates a topic of its own for a test.
func newTopic(tb testing.TB, cfg bus.Config, partitions int) string {
	tb.Helper()
	topic := "test-" + watermill.NewShortUUID()
	if err := bus.EnsureTopics(tb.Context(), cfg, bus.Topic{Name: topic, Partitions: partitions}); err != nil {
		tb.Fatal(err)
	}
	return topic
}

func newPublisher(tb testing.TB, cfg bus.Config) *bus.Publisher {
	p := bus.NewPublisher(cfg)
	closeAfter(tb, p)
	return p
}

func closeAfter(tb testing.TB, c io.Closer) {
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
}

func keyed(key, payload string) *message.Message {
	m := message.NewMessage(watermill.NewUUID(), []byte(payload))
	m.Metadata.Set(bus.KeyMetadata, key)
	return m
}
