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
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config of a broker.
type Config struct {
	// Topics are created at the start.
	Topics []Topic
	// PartitionBytes is what one partition keeps; 0 means 16 MiB. Older
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
	Name       string
	Partitions int
}

const (
	// segmentBytes is the unit in which kfake gives memory back.
	segmentBytes = 1 << 20
	// cleanEvery is how often what is too old or too much is dropped. Between
	// two times a partition can grow over its bound.
	cleanEvery = 500 * time.Millisecond
)

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	stop    chan struct{}
	once    sync.Once
	cleaner sync.WaitGroup
}

// Start runs a broker on a free port of 127.0.0.1 until Close.
func Start(cfg Config) (*Broker, error) {
	if cfg.PartitionBytes == 0 {
		cfg.PartitionBytes = 16 << 20
	}
	if cfg.Retention == 0 {
		cfg.Retention = 2 * time.Minute
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.DefaultNumPartitions(1),
		kfake.WithLogger(logger{cfg.Log}),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":    strconv.FormatInt(cfg.Retention.Milliseconds(), 10),
			"log.retention.bytes": strconv.FormatInt(cfg.PartitionBytes, 10),
			"log.segment.bytes":   strconv.Itoa(segmentBytes),
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("embedded broker: %w", err)
	}
	b := &Broker{cluster: cluster, stop: make(chan struct{})}
	for _, t := range cfg.Topics {
		if err := cluster.CreateTopic(t.Name, int32(max(t.Partitions, 1)), nil); err != nil {
			cluster.Close()
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
// a retention of its own.
func (b *Broker) clean() {
	tick := time.NewTicker(cleanEvery)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
			b.cluster.ApplyRetention()
		}
	}
}

// logger passes on what is wrong; kfake's notices are for those who test clients.
type logger struct{ *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch level {
	case kfake.LogLevelError, kfake.LogLevelWarn:
		l.Warn("embedded broker", slog.String("notice", fmt.Sprintf(format, args...)))
	}
}
