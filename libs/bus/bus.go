// Package bus carries messages between services over Kafka, on
// segmentio/kafka-go.
//
// Most code meets it as a Watermill [Publisher] and [Subscriber]. The ledger
// takes whole batches with [Consume], and whoever waits for outcomes follows
// the end of a topic with [Ends] and [ConsumeFrom].
//
// What it promises:
//   - One key, one partition, one order, from Publish to the handler.
//   - Delivery at least once: an offset is committed only after the message
//     was acknowledged. Receivers recognise repeats by an id of their own.
//   - What passes by itself (a restarting broker, an election, a topic just
//     created, a coordinator not there yet) is waited out, within bounds where
//     somebody waits.
//   - [ErrNotSent] is said only of messages that will never be written.
//
// It does not promise exactly-once delivery, and it stores nothing: what must
// last is in the ledger. Package bus/embedded is a broker inside the process.
package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/pause"
)

// Config says where the brokers are and what topics of ours look like.
type Config struct {
	Brokers  []string       // host:port of one or more brokers to begin with
	ClientID string         // names this process to the brokers, for their logs and quotas
	TLS      *tls.Config    // nil means plain text
	SASL     sasl.Mechanism // nil means no authentication

	Partitions  int           // of topics created without a number of their own; 0 means 1
	Replication int           // copies of them; 0 leaves it to the brokers
	Retention   time.Duration // of them; 0 leaves it to the brokers

	// NackDelay passes before a refused message, or batch, is handed out
	// again; 0 means 100 ms.
	NackDelay time.Duration

	// Joined, where it is set, is called by Consume each time the group has
	// shared out the partitions: from then on this member takes its own.
	Joined func()

	Log    *slog.Logger // nil means slog.Default()
	Tracer trace.Tracer // nil: no spans
	Meter  metric.Meter // nil: nothing is measured
}

// Topic is what [EnsureTopics] creates. Zero fields are taken from [Config].
type Topic struct {
	Name        string
	Partitions  int // never changed later: it decides which key is in which partition
	Replication int
	Retention   time.Duration
}

const (
	// requestTimeout bounds one request. The client library gives the broker
	// half of it, so a fetch waits at most 4 s for news.
	requestTimeout = 8 * time.Second
	// metadataTTL can be long, which keeps idle clients quiet, because every
	// error makes a client forget what it knew of leaders.
	metadataTTL = 10 * time.Second
	// patience bounds waiting for what passes by itself, where somebody waits.
	patience = 30 * time.Second
	// daily bounds the trouble that is not worth a warning.
	daily      = 3 * time.Second
	minBackoff = 20 * time.Millisecond
	maxBackoff = time.Second
)

func (c Config) log() *slog.Logger {
	if c.Log != nil {
		return c.Log
	}
	return slog.Default()
}

func (c Config) nackDelay() time.Duration {
	if c.NackDelay > 0 {
		return c.NackDelay
	}
	return 100 * time.Millisecond
}

func (c Config) topic(t Topic) kafka.TopicConfig {
	tc := kafka.TopicConfig{
		Topic:             t.Name,
		NumPartitions:     firstOf(t.Partitions, c.Partitions, 1),
		ReplicationFactor: firstOf(t.Replication, c.Replication, -1),
	}
	set := func(name, value string) {
		tc.ConfigEntries = append(tc.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	// By the broker's clock: what a publisher with a wrong one sends is neither
	// refused as of the future nor dropped as of the past.
	set("message.timestamp.type", "LogAppendTime")
	if keep := firstOf(t.Retention, c.Retention); keep > 0 {
		ms := strconv.FormatInt(keep.Milliseconds(), 10)
		set("retention.ms", ms)
		set("segment.ms", ms) // what is being written to is never dropped
	}
	if tc.ReplicationFactor >= 3 {
		// Acknowledged by two: one broker may be lost, and writing goes on.
		set("min.insync.replicas", "2")
	}
	return tc
}

// firstOf returns the first of its arguments that is not zero.
func firstOf[T comparable](vs ...T) T {
	var zero T
	for _, v := range vs {
		if v != zero {
			return v
		}
	}
	return zero
}

// EnsureTopics creates the topics that do not exist yet and returns when every
// partition of all of them has a leader. Many may call it at once. Existing
// topics are left as they are, so that where others create topics, these need
// no right to.
func EnsureTopics(ctx context.Context, cfg Config, topics ...Topic) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	c := newClient(cfg, names...)
	defer c.close()

	var wait backoff
	for {
		err := c.create(ctx, cfg, topics)
		if err == nil {
			break
		}
		c.reset()
		if !passes(err) || !wait.sleep(ctx) {
			return fmt.Errorf("bus: create topics: %w", err)
		}
	}
	for _, t := range topics {
		n, err := c.partitions(ctx, t.Name)
		if err != nil {
			return err
		}
		if want := cfg.topic(t).NumPartitions; n != want {
			cfg.log().WarnContext(ctx, "topic has another number of partitions than configured; it keeps its own",
				slog.String("topic", t.Name), slog.Int("partitions", n), slog.Int("configured", want))
		}
	}
	return nil
}

// create is one attempt to create those of the topics that are not there.
func (c *client) create(ctx context.Context, cfg Config, topics []Topic) error {
	var req kafka.CreateTopicsRequest
	for _, t := range topics {
		_, err := c.lookUp(ctx, t.Name)
		switch {
		case err == nil, errors.Is(err, kafka.LeaderNotAvailable): // it is there, or coming
		case errors.Is(err, kafka.UnknownTopicOrPartition):
			req.Topics = append(req.Topics, cfg.topic(t))
		default:
			return err
		}
	}
	if len(req.Topics) == 0 {
		return nil
	}
	res, err := c.CreateTopics(ctx, &req)
	if err != nil {
		return err
	}
	for name, err := range res.Errors {
		if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) { // another instance was first
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// client is a kafka.Client whose connections can be forgotten or closed at once.
type client struct {
	kafka.Client
	transport *kafka.Transport

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	dead  bool
}

// newClient names the topics it is for, so that it need not learn of all others.
func newClient(cfg Config, topics ...string) *client {
	c := &client{conns: make(map[net.Conn]struct{})}
	c.transport = &kafka.Transport{
		Dial:           c.dial,
		DialTimeout:    3 * time.Second,
		ClientID:       cfg.ClientID,
		TLS:            cfg.TLS,
		SASL:           cfg.SASL,
		MetadataTTL:    metadataTTL,
		MetadataTopics: topics,
	}
	c.Client = kafka.Client{
		Addr:      kafka.TCP(cfg.Brokers...),
		Timeout:   requestTimeout,
		Transport: c.transport,
	}
	return c
}

func (c *client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	c.conns[conn] = struct{}{}
	return &trackedConn{conn, c}, nil
}

type trackedConn struct {
	net.Conn
	client *client
}

func (t *trackedConn) Close() error {
	t.client.mu.Lock()
	delete(t.client.conns, t.Conn)
	t.client.mu.Unlock()
	return t.Conn.Close()
}

// reset forgets pooled connections and what is known of leaders: after a broker
// restart each pooled connection is dead, and kafka-go finds out one by one.
// Requests under way are left alone.
func (c *client) reset() { c.transport.CloseIdleConnections() }

// close ends every connection at once, also those that wait in a long fetch.
func (c *client) close() {
	c.transport.CloseIdleConnections()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for conn := range c.conns {
		_ = conn.Close() // nothing under way matters any more
	}
}

// partitions returns how many partitions a topic has, once all have a leader.
// It waits for that until ctx ends, or the brokers refuse to speak to us.
func (c *client) partitions(ctx context.Context, topic string) (int, error) {
	for wait := (backoff{}); ; {
		n, err := c.lookUp(ctx, topic)
		if err == nil {
			return n, nil
		}
		c.reset()
		if !passes(err) || !wait.sleep(ctx) {
			return 0, fmt.Errorf("bus: topic %s: %w", topic, err)
		}
	}
}

func (c *client) lookUp(ctx context.Context, topic string) (int, error) {
	res, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, err
	}
	for _, t := range res.Topics {
		if t.Name != topic {
			continue
		}
		if t.Error != nil {
			return 0, t.Error
		}
		for _, p := range t.Partitions {
			if p.Error != nil && !errors.Is(p.Error, kafka.ReplicaNotAvailable) {
				return 0, p.Error
			}
		}
		if len(t.Partitions) > 0 {
			return len(t.Partitions), nil
		}
	}
	return 0, kafka.UnknownTopicOrPartition
}

// passes says whether what failed may succeed soon.
func passes(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	answer, ok := errors.AsType[kafka.Error](err)
	if !ok {
		return true // of the network, or of not yet knowing the cluster
	}
	switch answer {
	case kafka.BrokerNotAvailable, kafka.NotController,
		kafka.InvalidReplicationFactor: // while brokers are still joining
		return true
	}
	return answer.Temporary()
}

// backoff sleeps longer each time, from minBackoff to maxBackoff, between the
// attempts of something that fails.
type backoff struct {
	next  time.Duration
	since time.Time // when it failed first; zero before
	told  bool
}

// news is true once, when it has been failing for a while. What passes sooner,
// as a restart or an election does, is daily business.
func (b *backoff) news() bool {
	if b.since.IsZero() {
		b.since = time.Now()
	}
	if b.told || time.Since(b.since) < daily {
		return false
	}
	b.told = true
	return true
}

// sleep returns false if ctx ended first.
func (b *backoff) sleep(ctx context.Context) bool {
	b.next = min(max(2*b.next, minBackoff), maxBackoff)
	return pause.For(ctx, b.next) == nil
}
