package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/yimu-ledger/yimu/libs/pause"
)

// Handler takes a batch: messages of one partition, in order, at least one.
// It is called for one batch of a partition at a time, and for several
// partitions at once. Its ctx ends when the partition is given to another
// member of the group; it should then return soon, in whichever way.
type Handler func(ctx context.Context, batch []Message) error

// Consume hands every message of the topics to one member of the group. A batch
// is all that one fetch returned. After the handler returned nil its offsets are
// committed, within 100 ms; when it returns an error it gets the same batch again
// after [Config.NackDelay]. A group that is new begins at the first message.
//
// It waits for brokers, topics and coordinators for as long as it takes, and
// returns when ctx ends, with its error; or at once where the brokers will not
// speak to us, for want of a password or a certificate.
func Consume(ctx context.Context, cfg Config, group string, topics []string, handle Handler) error {
	return consume(ctx, cfg, group, topics, whole(handle))
}

// Offsets are places in topics: the offset of the next message, by topic and partition.
type Offsets map[string]map[int]int64

// Ends returns where the topics end now: what is published after Ends returned
// is after it. It waits for the topics, up to 30 seconds.
func Ends(ctx context.Context, cfg Config, topics ...string) (Offsets, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c := newClient(cfg, topics...)
	defer c.close()
	ends := make(Offsets, len(topics))
	for _, topic := range topics {
		for wait := (backoff{}); ; {
			n, err := c.partitions(ctx, topic)
			if err != nil {
				return nil, err
			}
			if ends[topic], err = c.ends(ctx, topic, n); err == nil {
				break
			}
			c.reset()
			if !wait.sleep(ctx) {
				return nil, fmt.Errorf("bus: ends of %s: %w", topic, err)
			}
		}
	}
	return ends, nil
}

func (c *client) ends(ctx context.Context, topic string, partitions int) (map[int]int64, error) {
	req := make([]kafka.OffsetRequest, partitions)
	for i := range req {
		req[i] = kafka.LastOffsetOf(i)
	}
	res, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: req}})
	if err != nil {
		return nil, err
	}
	ends := make(map[int]int64, partitions)
	for _, p := range res.Topics[topic] {
		if p.Error != nil {
			return nil, p.Error
		}
		ends[p.Partition] = p.LastOffset
	}
	if len(ends) != partitions {
		return nil, fmt.Errorf("%d of %d partitions answered", len(ends), partitions)
	}
	return ends, nil
}

// ConsumeFrom hands over every message from the given places on, without a
// group and without committing: each caller sees them all. Otherwise it is as [Consume].
func ConsumeFrom(ctx context.Context, cfg Config, from Offsets, handle Handler) error {
	var topics []string
	for topic := range from {
		topics = append(topics, topic)
	}
	c := newClient(cfg, topics...)
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	watch := newConsumption(cfg, "")
	defer watch.stop()
	var partitions sync.WaitGroup
	partitions.Go(func() { watch.follow(ctx, c) })
	for topic, offsets := range from {
		for partition, offset := range offsets {
			f := follower{cfg: cfg, client: c, watch: watch, topic: topic, partition: partition, offset: offset, deliver: whole(handle)}
			partitions.Go(func() { f.run(ctx) })
		}
	}
	partitions.Wait()
	<-ctx.Done()
	return ctx.Err()
}

// deliver hands out a batch and calls done with the number of messages that are
// settled. After an error it is called again with those that are not.
type deliver func(ctx context.Context, batch []Message, done func(n int)) error

func whole(handle Handler) deliver {
	return func(ctx context.Context, batch []Message, done func(int)) error {
		if err := handle(ctx, batch); err != nil {
			return err
		}
		done(len(batch))
		return nil
	}
}

func consume(ctx context.Context, cfg Config, group string, topics []string, d deliver) error {
	log := cfg.log().With(slog.String("group", group))
	// A group that forms before its topics exist would get no partitions.
	if err := awaitTopics(ctx, cfg, topics); err != nil {
		return err
	}
	watch := newConsumption(cfg, group)
	defer watch.stop()
	for first := 0; ; first++ {
		err := consumeAsMember(ctx, cfg, log, watch, group, first, topics, d)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// A coordinator not there yet, an election, a broker away.
		level := slog.LevelInfo
		if !passes(err) {
			level = slog.LevelWarn
		}
		log.Log(ctx, level, "group not joined yet, trying on", slog.Any("error", err))
		_ = pause.For(ctx, time.Second)
	}
}

// consumeAsMember consumes until ctx ends or the group cannot be joined.
// kafka-go, which then has given up its membership anyway, always asks the first
// broker that takes a connection, and one that hangs does; so a next attempt
// names another one first.
func consumeAsMember(ctx context.Context, cfg Config, log *slog.Logger, watch *consumption, group string, first int, topics []string, d deliver) error {
	first %= len(cfg.Brokers)
	members, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID:      group,
		Brokers: slices.Concat(cfg.Brokers[first:], cfg.Brokers[:first]),
		Topics:  topics,
		Dialer: &kafka.Dialer{
			ClientID:      cfg.ClientID,
			Timeout:       3 * time.Second,
			TLS:           cfg.TLS,
			SASLMechanism: cfg.SASL,
		},
		// The defaults of kafka-go notice a dead member after 30 s and a
		// rebalance after 3 s.
		SessionTimeout:        6 * time.Second,
		HeartbeatInterval:     500 * time.Millisecond,
		RebalanceTimeout:      10 * time.Second,
		JoinGroupBackoff:      time.Second,
		WatchPartitionChanges: true,
		StartOffset:           kafka.FirstOffset,
	})
	if err != nil {
		return fmt.Errorf("bus: group %s: %w", group, err)
	}
	defer func() { _ = members.Close() }() // gives the partitions back at once; without that they come free in 6 s

	for {
		gen, err := members.Next(ctx)
		switch {
		case err == nil:
			consumeGeneration(ctx, cfg, log, watch, gen, topics, d)
		case !errors.Is(err, kafka.RebalanceInProgress): // then it is still a member
			return err
		}
	}
}

func awaitTopics(ctx context.Context, cfg Config, topics []string) error {
	c := newClient(cfg, topics...)
	defer c.close()
	for _, topic := range topics {
		if _, err := c.partitions(ctx, topic); err != nil {
			return err
		}
	}
	return nil
}

// consumeGeneration starts what runs until the group is shared out again. The
// group joins again only after all of it returned, so a partition has never two
// handlers in one process, and no message of an earlier generation is left over.
func consumeGeneration(ctx context.Context, cfg Config, log *slog.Logger, watch *consumption, gen *kafka.Generation, topics []string, d deliver) {
	c := newClient(cfg, topics...)
	assigned, end := context.WithCancel(ctx)
	marks := &marks{changed: make(chan struct{}, 1), offsets: make(map[string]map[int]int64)}
	var followers sync.WaitGroup
	followers.Go(func() { watch.follow(assigned, c) })
	for topic, partitions := range gen.Assignments {
		for _, p := range partitions {
			f := follower{cfg: cfg, client: c, watch: watch, topic: topic, partition: p.ID, offset: p.Offset, deliver: d}
			f.settled = func(offset int64) { marks.set(f.topic, f.partition, offset) }
			followers.Go(func() { f.run(assigned) })
		}
	}
	if cfg.Joined != nil {
		cfg.Joined()
	}
	gen.Start(func(generation context.Context) { // it outlives the generation, to settle it
		err := marks.commit(generation, gen)
		end()
		c.close() // wakes the fetches
		followers.Wait()
		if err == nil {
			err = gen.CommitOffsets(marks.take())
		}
		if err != nil {
			log.InfoContext(ctx, "offsets not committed, messages will be repeated", slog.Any("error", err))
		}
		awaitCoordinator(ctx, cfg, log, gen)
	})
}

// awaitCoordinator holds a generation that has ended open until the group's
// coordinator answers. Without it kafka-go, finding a broker away, forgets its
// membership, and the group stands still until the broker has given up the
// forgotten member: six seconds after every restart.
func awaitCoordinator(ctx context.Context, cfg Config, log *slog.Logger, gen *kafka.Generation) {
	c := newClient(cfg)
	defer c.close()
	var wait backoff
	for ctx.Err() == nil {
		// A heartbeat would be the question, but kafka-go sends it to any broker,
		// and reads the answer of a real one as well whatever it is.
		res, err := c.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: gen.GroupID})
		if err == nil {
			err = res.Error
		}
		if err == nil || !passes(err) {
			return
		}
		if wait.news() {
			log.WarnContext(ctx, "coordinator does not answer, trying on", slog.Any("error", err))
		}
		c.reset()
		wait.sleep(ctx)
	}
}

// marks are offsets to be committed.
type marks struct {
	changed chan struct{}
	mu      sync.Mutex
	offsets map[string]map[int]int64
}

func (m *marks) set(topic string, partition int, offset int64) {
	m.mu.Lock()
	if m.offsets[topic] == nil {
		m.offsets[topic] = make(map[int]int64)
	}
	m.offsets[topic][partition] = offset
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// commit commits what is set until ctx ends, at most every 100 ms: under load
// one request serves many batches.
func (m *marks) commit(ctx context.Context, gen *kafka.Generation) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.changed:
			if err := gen.CommitOffsets(m.take()); err != nil {
				return err
			}
			_ = pause.For(ctx, 100*time.Millisecond)
		}
	}
}

func (m *marks) take() map[string]map[int]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := maps.Clone(m.offsets)
	clear(m.offsets)
	return taken
}

// follower reads one partition and delivers it in order.
type follower struct {
	cfg       Config
	client    *client
	watch     *consumption
	place     *place
	topic     string
	partition int
	offset    int64              // of the next message to deliver, or kafka.FirstOffset
	settled   func(offset int64) // everything before offset is settled; may be nil
	deliver   deliver
}

// run returns when ctx ends.
func (f *follower) run(ctx context.Context) {
	log := f.cfg.log().With(slog.String("topic", f.topic), slog.Int("partition", f.partition))
	place, leave := f.watch.hold(f.topic, f.partition, f.offset)
	defer leave()
	f.place = place
	var wait backoff
	for ctx.Err() == nil {
		batch, err := f.fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, kafka.OffsetOutOfRange):
			// The broker dropped, or lost, what we had not read. Going to the end
			// would skip in silence what is still there.
			log.ErrorContext(ctx, "the next message is gone, going on with the first there is", slog.Int64("offset", f.offset))
			f.offset = kafka.FirstOffset
			wait.sleep(ctx)
		case err != nil:
			if wait.news() {
				log.WarnContext(ctx, "reading does not succeed, trying on", slog.Any("error", err))
			}
			f.watch.retryFetch(ctx)
			f.client.reset()
			wait.sleep(ctx)
		case len(batch) > 0:
			f.hand(ctx, log, batch)
			fallthrough
		default:
			wait = backoff{}
		}
	}
}

func (f *follower) hand(ctx context.Context, log *slog.Logger, batch []Message) {
	f.watch.consumed.Add(ctx, int64(len(batch)), f.place.poll.add...)
	f.place.next.Store(batch[0].Offset)
	f.place.busy.Store(true)
	defer f.place.busy.Store(false)
	for {
		settled, start := 0, time.Now()
		err := f.deliver(ctx, batch, func(n int) {
			settled = n
			f.offset = batch[n-1].Offset + 1
			f.place.next.Store(f.offset)
			if f.settled != nil {
				f.settled(f.offset)
			}
		})
		batch = batch[settled:]
		f.watch.process.Record(ctx, time.Since(start).Seconds(), f.place.process.of(err).record...)
		if err == nil || ctx.Err() != nil {
			return
		}
		f.watch.retryProcess(ctx)
		log.WarnContext(ctx, "batch refused, handing it out again", slog.Int64("offset", batch[0].Offset), slog.Any("error", err))
		if pause.For(ctx, f.cfg.nackDelay()) != nil {
			return
		}
	}
}

// fetch returns the next messages, at once where there are any; none after some
// seconds without news.
func (f *follower) fetch(ctx context.Context) ([]Message, error) {
	res, err := f.client.Fetch(ctx, &kafka.FetchRequest{
		Topic:     f.topic,
		Partition: f.partition,
		Offset:    f.offset,
		MinBytes:  1,
		MaxBytes:  4 << 20,
		MaxWait:   requestTimeout, // halved by kafka-go
	})
	if err != nil {
		return nil, err
	}
	if res.Error != nil {
		return nil, res.Error
	}
	f.place.end.Store(res.HighWatermark)
	var batch []Message
	for {
		r, err := res.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return batch, nil
		}
		if err != nil {
			return nil, err
		}
		if r.Offset < f.offset {
			continue // a fetch begins with the record batch the offset lies in
		}
		m, err := fromRecord(f.topic, f.partition, r)
		if err != nil {
			return nil, err
		}
		batch = append(batch, m)
	}
}
