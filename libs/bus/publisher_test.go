package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

func TestMetadataTravelsWithTheMessage(t *testing.T) {
	cfg := anyBroker(t)
	topic := newTopic(t, cfg, 3)
	sent := keyed("stream-1", "payload")
	sent.Metadata.Set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if err := newPublisher(t, cfg).Publish(topic, sent); err != nil {
		t.Fatal(err)
	}
	sub := bus.NewSubscriber(cfg, watermill.NewUUID())
	closeAfter(t, sub)
	messages, err := sub.Subscribe(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	if got := <-messages; !got.Equals(sent) {
		t.Errorf("got %+v, want %+v", got, sent)
	}
}

func TestNothingIsSentWhenTheBrokerIsAway(t *testing.T) {
	cluster, cfg := testBroker(t)
	topic := newTopic(t, cfg, 1)
	known, fresh := newPublisher(t, cfg), newPublisher(t, cfg)
	if err := known.Publish(topic, keyed("k", "before")); err != nil {
		t.Fatal(err)
	}
	cluster.Close()
	if err := publishFor(fresh, 200*time.Millisecond, topic, "never"); !errors.Is(err, bus.ErrNotSent) {
		t.Errorf("a publisher that never connected: got %v, want ErrNotSent", err)
	}
	// The first attempt dies on the pooled connection and could have arrived.
	if err := publishFor(known, 200*time.Millisecond, topic, "perhaps"); err == nil || errors.Is(err, bus.ErrNotSent) {
		t.Errorf("a write on a connection that broke: got %v, want an open outcome", err)
	}
	// The outcome of one whose time ends in the middle of an attempt is open too.
	for try := 1; ; try++ {
		err := publishFor(known, 200*time.Millisecond, topic, "never")
		if errors.Is(err, bus.ErrNotSent) {
			break
		}
		if err == nil || try == 20 {
			t.Fatalf("a message that waited behind it: got %v, want ErrNotSent", err)
		}
	}
}

func publishFor(p *bus.Publisher, d time.Duration, topic, payload string) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	m := keyed("k", payload)
	m.SetContext(ctx)
	return p.Publish(topic, m)
}

func TestAClosedPublisherSendsNothing(t *testing.T) {
	cfg := anyBroker(t)
	p := bus.NewPublisher(cfg)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish("topic", keyed("k", "x")); !errors.Is(err, bus.ErrNotSent) || !errors.Is(err, bus.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestAWriteHandedOverOutlivesItsCaller(t *testing.T) {
	cluster, cfg := testBroker(t)
	topic := newTopic(t, cfg, 1)
	held, release := make(chan struct{}), make(chan struct{})
	cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.DropControl() // this request alone
		cluster.SleepControl(func() { close(held); <-release })
		return nil, nil, false
	})
	p := newPublisher(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	underWay, waiting := keyed("k", "under way"), keyed("k", "waiting")
	underWay.SetContext(ctx)
	waiting.SetContext(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := p.Publish(topic, underWay); err == nil || errors.Is(err, bus.ErrNotSent) || !errors.Is(err, context.Canceled) {
			t.Errorf("under way: got %v, want an open outcome", err)
		}
	})
	<-held
	wg.Go(func() {
		if err := p.Publish(topic, waiting); !errors.Is(err, bus.ErrNotSent) || !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: got %v, want ErrNotSent", err)
		}
	})
	cancel()
	wg.Wait()
	close(release)
	if err := p.Publish(topic, keyed("k", "later")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, cfg, topic, 2); got != "under way, later" {
		t.Errorf("the topic holds %s", got)
	}
}

func TestAMessageTooLargeFailsAlone(t *testing.T) {
	tests := map[string]struct {
		broker []kfake.Opt
		size   int
	}{
		"by our own bound":             {nil, bus.MaxMessage},
		"by a lower one of the broker": {[]kfake.Opt{kfake.BrokerConfigs(map[string]string{"message.max.bytes": "10000"})}, 20_000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, cfg := testBroker(t, tt.broker...)
			topic := newTopic(t, cfg, 1)
			p := newPublisher(t, cfg)
			var wg sync.WaitGroup
			for i := range 64 {
				wg.Go(func() {
					payload := "small"
					if i == 20 {
						payload = strings.Repeat("x", tt.size)
					}
					err := p.Publish(topic, keyed("k", payload))
					if small := payload == "small"; small && err != nil || !small && !errors.Is(err, bus.ErrNotSent) {
						t.Errorf("%d bytes: got %v", len(payload), err)
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestAFailedWriteIsTriedAgain(t *testing.T) {
	refuse := func(with *kerr.Error) func(*kfake.Cluster) {
		return func(c *kfake.Cluster) { c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: with, Count: 3}) }
	}
	tests := map[string]func(*kfake.Cluster){
		"after an election":          refuse(kerr.NotLeaderForPartition),
		"while replicas are missing": refuse(kerr.NotEnoughReplicas),
		"after the connection was lost": func(c *kfake.Cluster) {
			for range 3 {
				c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) { return nil, errors.New("cut"), true })
			}
		},
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			cluster, cfg := testBroker(t)
			topic := newTopic(t, cfg, 1)
			fail(cluster)
			var measured func() map[string]float64
			cfg.Meter, measured = otlptest.Meter(t)
			p := newPublisher(t, cfg)
			for i := range 3 {
				if err := p.Publish(topic, keyed("k", fmt.Sprint(i))); err != nil {
					t.Fatal(err)
				}
			}
			if got := measured(); got["yimu.retries{yimu.operation=send}"] != 3 {
				t.Errorf("measured %v", got)
			}
			if got := read(t, cfg, topic, 3); got != "0, 1, 2" {
				t.Errorf("the topic holds %s", got)
			}
		})
	}
}

func TestARefusalThatStaysIsReportedAtOnce(t *testing.T) {
	cluster, cfg := testBroker(t)
	topic := newTopic(t, cfg, 1)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed})
	start := time.Now()
	err := newPublisher(t, cfg).Publish(topic, keyed("k", "x"))
	if !errors.Is(err, bus.ErrNotSent) || time.Since(start) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

func TestATopicThatComesLateIsWaitedFor(t *testing.T) {
	cfg := anyBroker(t)
	topic := "late-" + watermill.NewShortUUID()
	published := make(chan error, 1)
	go func() { published <- newPublisher(t, cfg).Publish(topic, keyed("k", "x")) }()
	if err := bus.EnsureTopics(t.Context(), cfg, bus.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	if err := <-published; err != nil {
		t.Error(err)
	}
}

func TestTopicsAreCreatedOnceByManyInstances(t *testing.T) {
	cfg := anyBroker(t)
	var topics []bus.Topic
	for i := range 6 {
		topics = append(topics, bus.Topic{Name: fmt.Sprintf("test-%d-%s", i, watermill.NewShortUUID()), Partitions: i + 1})
	}
	var instances sync.WaitGroup
	for range 8 {
		instances.Go(func() {
			if err := bus.EnsureTopics(t.Context(), cfg, topics...); err != nil {
				t.Error(err)
			}
		})
	}
	instances.Wait()
	for _, topic := range topics {
		if ends, err := bus.Ends(t.Context(), cfg, topic.Name); err != nil || len(ends[topic.Name]) != topic.Partitions {
			t.Errorf("%s has %d partitions, want %d; %v", topic.Name, len(ends[topic.Name]), topic.Partitions, err)
		}
	}
}

func TestATopicIsMadeAsConfigured(t *testing.T) {
	cluster, cfg := testBroker(t, kfake.NumBrokers(3))
	if err := bus.EnsureTopics(t.Context(), cfg,
		bus.Topic{Name: "commits.votes", Partitions: 12, Replication: 3, Retention: 72 * time.Hour}, bus.Topic{Name: "outcomes"}); err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]map[string]string{
		"commits.votes": {"retention.ms": "259200000", "segment.ms": "259200000", "min.insync.replicas": "2", "message.timestamp.type": "LogAppendTime"},
		"outcomes":      {"message.timestamp.type": "LogAppendTime"},
	} {
		got := map[string]string{}
		for name, value := range cluster.TopicInfo(topic).Configs {
			got[name] = *value
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
	for topic, want := range map[string]int{"commits.votes": 12, "outcomes": cfg.Partitions} {
		if got := len(cluster.PartitionInfos(topic)); got != want {
			t.Errorf("%s has %d partitions, want %d", topic, got, want)
		}
	}
}

// The number of partitions decides where a stream's commits go: it is the
// broker's that counts, for all, whatever an instance was configured with.
func TestATopicThatIsThereKeepsItsPartitionsAndAllUseThem(t *testing.T) {
	cfg := anyBroker(t)
	topic := newTopic(t, cfg, 5)
	var said strings.Builder
	cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	if err := bus.EnsureTopics(t.Context(), cfg, bus.Topic{Name: topic, Partitions: 3}); err != nil {
		t.Fatal(err)
	}
	if s := said.String(); !strings.Contains(s, "level=WARN") || !strings.Contains(s, "partitions=5 configured=3") {
		t.Errorf("said %q", s)
	}
	places := map[string]map[int]bool{}
	for _, partitions := range []int{1, 3, 12} {
		cfg.Partitions = partitions
		p := newPublisher(t, cfg)
		for i := range 40 {
			if err := p.Publish(topic, keyed(fmt.Sprint(i), "x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	seen := 0
	_ = bus.Consume(ctx, cfg, watermill.NewUUID(), []string{topic}, func() bus.Handler {
		var mu sync.Mutex
		return func(_ context.Context, batch []bus.Message) error {
			mu.Lock()
			defer mu.Unlock()
			for _, m := range batch {
				if places[string(m.Key)] == nil {
					places[string(m.Key)] = map[int]bool{}
				}
				places[string(m.Key)][m.Partition] = true
				if seen++; seen == 120 {
					cancel()
				}
			}
			return nil
		}
	}())
	used := map[int]bool{}
	for key, at := range places {
		if len(at) != 1 {
			t.Errorf("key %s lies in %d partitions", key, len(at))
		}
		for partition := range at {
			used[partition] = true
		}
	}
	if len(places) != 40 || len(used) != 5 {
		t.Errorf("%d keys came, from %d partitions", len(places), len(used))
	}
}

// Many publishers and a consumer group live through restarts of the broker:
// everything acknowledged arrives, and each key in its order.
func TestBrokerRestartLosesAndReordersNothing(t *testing.T) {
	const publishers, each = 32, 100
	cfg, restart := restartable(t)
	topic := newTopic(t, cfg, 4)
	p := newPublisher(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var seen [publishers]int // the next number of each key; a handler has a partition, so a key, to itself
	var missing atomic.Int64
	missing.Store(publishers * each)
	var consumer sync.WaitGroup
	consumer.Go(func() {
		_ = bus.Consume(ctx, cfg, "group", []string{topic}, func(_ context.Context, batch []bus.Message) error {
			for _, m := range batch {
				var key, n int
				if _, err := fmt.Sscanf(string(m.Value), "%d %d", &key, &n); err != nil {
					return err
				}
				switch {
				case n > seen[key]:
					t.Errorf("key %d: %d came before %d", key, n, seen[key])
				case n == seen[key]: // not a repeat
					seen[key]++
					if missing.Add(-1) == 0 {
						cancel()
					}
				}
			}
			return nil
		})
	})

	var wg sync.WaitGroup
	var acknowledged atomic.Int64
	third := make(chan struct{}, 2)
	for key := range publishers {
		wg.Go(func() {
			for n := range each {
				if err := p.Publish(topic, keyed(fmt.Sprint(key), fmt.Sprintf("%d %d", key, n))); err != nil {
					t.Error(err)
				}
				if a := acknowledged.Add(1); a == publishers*each/3 || a == publishers*each*2/3 {
					third <- struct{}{}
				}
			}
		})
	}
	for range 2 {
		<-third
		restart()
	}
	wg.Wait()
	consumer.Wait()
	if n := missing.Load(); n != 0 {
		t.Errorf("%d messages were lost", n)
	}
}

// read returns the first n messages of a topic of one partition.
func read(t *testing.T, cfg bus.Config, topic string, n int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []string
	_ = bus.ConsumeFrom(ctx, cfg, bus.Offsets{topic: {0: 0}}, func(_ context.Context, batch []bus.Message) error {
		for _, m := range batch {
			got = append(got, string(m.Value))
		}
		if len(got) >= n {
			cancel()
		}
		return nil
	})
	return strings.Join(got, ", ")
}

func BenchmarkPublish(b *testing.B) {
	for _, publishers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprint(publishers), func(b *testing.B) {
			cfg := anyBroker(b)
			topic := newTopic(b, cfg, 6)
			p := newPublisher(b, cfg)
			payload := message.Payload(strings.Repeat("x", 1000))
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range publishers {
				wg.Go(func() {
					for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
						m := message.NewMessage(watermill.NewUUID(), payload)
						m.Metadata.Set(bus.KeyMetadata, fmt.Sprint(n))
						if err := p.Publish(topic, m); err != nil {
							b.Error(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
