// Package embedded runs a broker that speaks Kafka's protocol inside the
// process, on a loopback port: kfake of franz-go.
//
// kfake is written as a test broker. Here it only carries commits and outcomes
// for milliseconds, and nothing is acknowledged to a person before the ledger
// has it on disk, so it keeps everything in memory, bounded, and starts empty
// each time. It is not a place to store anything.
package embedded

import (
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config of a broker.
type Config struct {
	// Topics are created at the start.
	Topics []Topic
	// Group, where named, is the only reader of the topics that it commits
	// offsets of: what it has committed is dropped.
	Group string
	// PartitionBytes is what one partition keeps; 0 means 8 MiB. Older
	// messages are dropped, consumed or not, so it must be more than can be
	// under way at one time.
	PartitionBytes int64
	// Retention is how long a partition keeps a message in any case of space;
	// 0 means 2 minutes.
	Retention time.Duration
	Log       *slog.Logger // nil means slog.Default()
}

// Topic has a fixed number of partitions; 0 means 1.
type Topic struct {
	Name           string
	Partitions     int
	PartitionBytes int64 // 0: as the Config says
}

const (
	// segmentBytes is the unit in which kfake gives memory back.
	segmentBytes = 256 << 10
	// What is too old or too much is dropped after so much time or so many
	// bytes received; by these bytes the bound can be exceeded.
	cleanEvery = time.Second
	cleanBytes = 2 << 20
)

// Broker is a running broker.
type Broker struct {
	cluster  *kfake.Cluster
	group    string
	received atomic.Int64
	full     chan struct{} // cleanBytes were received
	stop     chan struct{}
	once     sync.Once
	cleaner  sync.WaitGroup
}

// Start runs a broker on a free port of 127.0.0.1 until Close.
func Start(cfg Config) (*Broker, error) {
	if cfg.PartitionBytes == 0 {
		cfg.PartitionBytes = 8 << 20
	}
	if cfg.Retention == 0 {
		cfg.Retention = 2 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	b := &Broker{group: cfg.Group, full: make(chan struct{}, 1), stop: make(chan struct{})}
	var err error
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.DefaultNumPartitions(1),
		kfake.WithLogger(logger{cfg.Log}),
		kfake.ListenFn(b.listen),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":    strconv.FormatInt(cfg.Retention.Milliseconds(), 10),
			"log.retention.bytes": strconv.FormatInt(cfg.PartitionBytes, 10),
			"log.segment.bytes":   strconv.Itoa(segmentBytes),
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	for _, t := range cfg.Topics {
		var own map[string]string
		if t.PartitionBytes > 0 {
			own = map[string]string{"retention.bytes": strconv.FormatInt(t.PartitionBytes, 10)}
		}
		if err := b.cluster.CreateTopic(t.Name, int32(max(t.Partitions, 1)), own); err != nil {
			b.cluster.Close()
			return nil, fmt.Errorf("embedded broker: topic %s: %w", t.Name, err)
		}
	}
	b.cleaner.Go(b.clean)
	return b, nil
}

// Addr returns host:port.
func (b *Broker) Addr() string { return b.cluster.ListenAddrs()[0] }

// Close stops the broker; what it carried is gone.
func (b *Broker) Close() {
	b.once.Do(func() { close(b.stop) })
	b.cleaner.Wait()
	b.cluster.Close()
}

// clean enforces the bounds. kfake does so by itself only while some topic has
// a retention of its own, and by time alone: a second can bring 200 MB.
func (b *Broker) clean() {
	tick := time.NewTicker(cleanEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
		case <-b.full:
		}
		b.cluster.ApplyRetention()
		b.dropCommitted()
	}
}

// dropCommitted drops what the group will not read again.
func (b *Broker) dropCommitted() {
	group := b.cluster.GroupInfo(b.group)
	if group == nil {
		return
	}
	for topic, partitions := range group.Commits {
		for partition, commit := range partitions {
			// It may fail where retention has dropped more.
			_ = b.cluster.DeleteRecords(topic, partition, commit.Offset)
		}
	}
}

// listen counts what comes in.
func (b *Broker) listen(network, address string) (net.Listener, error) {
	l, err := net.Listen(network, address) //nolint:noctx // kfake gives no context
	if err != nil {
		return nil, err
	}
	return countingListener{l, b}, nil
}

type countingListener struct {
	net.Listener
	broker *Broker
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn, l.broker}, nil
}

type countingConn struct {
	net.Conn
	broker *Broker
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.broker.received.Add(int64(n)) > cleanBytes {
		c.broker.received.Store(0)
		select {
		case c.broker.full <- struct{}{}:
		default:
		}
	}
	return n, err
}

// logger passes on what is wrong; kfake's notices are for those who test clients.
type logger struct{ *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError, kfake.LogLevelWarn:
		l.Warn("embedded broker", slog.String("notice", fmt.Sprintf(format, args...)))
	}
}
