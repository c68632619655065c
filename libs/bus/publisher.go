package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"go.opentelemetry.io/otel/attribute"

	"github.com/yimu-ledger/yimu/libs/telemetry"
)

var (
	// ErrNotSent says that nothing of a Publish was written and nothing will
	// be. Any other error leaves that open.
	ErrNotSent = errors.New("bus: not sent")
	// ErrTooLarge says a message is over [MaxMessage]. It is also ErrNotSent.
	ErrTooLarge = errors.New("bus: message too large")
	// ErrClosed says the publisher or subscriber was closed.
	ErrClosed = errors.New("bus: closed")
)

// MaxMessage is the largest message in bytes: key, value, headers and framing.
// Brokers accept slices of 1 MiB by default (message.max.bytes).
const MaxMessage = 1_000_000

// Publisher writes messages, each acknowledged by all in-sync replicas. It is
// a Watermill message.Publisher, safe for concurrent use.
//
// Each partition has at most one slice of messages under way, and whatever is
// published meanwhile goes as the next slice: a lone message goes at once, and
// many at a time share a round trip. Having one slice under way also keeps the
// order over retries, without an idempotent producer.
type Publisher struct {
	cfg      Config
	client   *client
	measures *measures
	broker   []attribute.KeyValue

	mu     sync.Mutex
	topics map[string][]*queue // by partition
	closed bool
	open   sync.WaitGroup // calls of Publish
}

// NewPublisher returns a publisher; it connects when first used.
func NewPublisher(cfg Config) *Publisher {
	return &Publisher{cfg: cfg, client: newClient(cfg), measures: newMeasures(cfg), broker: broker(cfg), topics: make(map[string][]*queue)}
}

var _ message.Publisher = (*Publisher)(nil)

// Publish writes messages and returns when all are acknowledged. When the
// context of a message ends first, the message is withdrawn if it was not handed
// over (ErrNotSent); if it was, the write goes on and the error leaves its
// outcome open. Without a deadline Publish gives up after 30 seconds of trouble.
func (p *Publisher) Publish(topic string, messages ...*message.Message) (err error) {
	if err := p.begin(); err != nil {
		return err
	}
	defer p.open.Done()
	if len(messages) == 0 {
		return nil
	}
	spans := p.startSends(topic, messages)
	if spans != nil {
		defer func() {
			for _, s := range spans {
				if s != nil {
					telemetry.End(s.span, err)
				}
			}
		}()
	}
	out := make([]*outgoing, len(messages))
	for i, m := range messages {
		var traced map[string]string
		if spans != nil && spans[i] != nil {
			traced = spans[i].headers
		}
		out[i] = newOutgoing(m, traced)
		if n := out[i].size; n > MaxMessage {
			return fmt.Errorf("%w: %w: message %s has %d bytes", ErrNotSent, ErrTooLarge, m.UUID, n)
		}
	}
	queues, err := p.queues(messages[0].Context(), topic)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, err)
	}

	// Messages of one partition enter its queue together, to go as one slice.
	groups := make(map[*queue][]*outgoing, 1)
	for _, o := range out {
		o.queue = queues[partition(o.key, len(queues))]
		groups[o.queue] = append(groups[o.queue], o)
	}
	for q, group := range groups {
		q.add(group)
	}

	var failed error
	written := false // or perhaps written
	for i, o := range out {
		err := o.wait(messages[i].Context())
		if err != nil && failed == nil {
			failed = err
		}
		written = written || !errors.Is(err, ErrNotSent)
	}
	if written && errors.Is(failed, ErrNotSent) {
		return fmt.Errorf("bus: only some messages were sent: %v", failed) //nolint:errorlint // ErrNotSent is true of all or none
	}
	return failed
}

// Close waits for the calls of Publish under way; later ones return ErrNotSent.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.open.Wait()
	p.client.close()
	return nil
}

func (p *Publisher) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return fmt.Errorf("%w: %w", ErrNotSent, ErrClosed)
	}
	p.open.Add(1)
	return nil
}

// queues returns a topic's queues. The number of partitions is asked for once:
// it decides where a key goes and so must not change.
func (p *Publisher) queues(ctx context.Context, topic string) ([]*queue, error) {
	p.mu.Lock()
	qs := p.topics[topic]
	p.mu.Unlock()
	if qs != nil {
		return qs, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	n, err := p.client.partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.topics[topic] == nil {
		qs := make([]*queue, n)
		labels := newLabels("send", topic, "")
		for i := range qs {
			qs[i] = &queue{publisher: p, topic: topic, partition: i, labels: labels}
		}
		p.topics[topic] = qs
	}
	return p.topics[topic], nil
}

// partition places a key as Kafka's own clients do.
func partition(key []byte, of int) int {
	all := make([]int, of)
	for i := range all {
		all[i] = i
	}
	return kafka.Murmur2Balancer{Consistent: true}.Balance(kafka.Message{Key: key}, all...)
}

// outgoing is a message between Publish and its acknowledgement.
type outgoing struct {
	queue   *queue
	key     []byte
	value   []byte
	headers []kafka.Header
	time    time.Time
	size    int
	done    chan error

	// Under queue.mu:
	started time.Time // when it was first handed over
	maybe   bool      // an attempt failed in a way that leaves open whether it was written
}

// newOutgoing takes headers of the message's own span before those it came with.
func newOutgoing(m *message.Message, traced map[string]string) *outgoing {
	o := &outgoing{
		value:   m.Payload,
		headers: make([]kafka.Header, 0, 1+len(m.Metadata)+len(traced)),
		time:    time.Now(),
		done:    make(chan error, 1),
	}
	o.headers = append(o.headers, kafka.Header{Key: IDHeader, Value: []byte(m.UUID)})
	for k, v := range m.Metadata {
		if k == KeyMetadata {
			o.key = []byte(v)
			continue
		}
		if _, own := traced[k]; !own {
			o.headers = append(o.headers, kafka.Header{Key: k, Value: []byte(v)})
		}
	}
	for k, v := range traced {
		o.headers = append(o.headers, kafka.Header{Key: k, Value: []byte(v)})
	}
	o.size = 32 + len(o.key) + len(o.value) // 32 and 8 bound the framing of records and headers
	for _, h := range o.headers {
		o.size += 8 + len(h.Key) + len(h.Value)
	}
	return o
}

// wait returns the message's fate, or withdraws it when ctx ends.
func (o *outgoing) wait(ctx context.Context) error {
	select {
	case err := <-o.done:
		return err
	case <-ctx.Done():
	}
	if o.queue.withdraw(o) {
		return fmt.Errorf("%w: %w", ErrNotSent, ctx.Err())
	}
	select {
	case err := <-o.done: // both were ready
		return err
	default:
		return fmt.Errorf("bus: outcome of the write is open: %w", ctx.Err())
	}
}

// fail settles a message that will not be tried again.
func (o *outgoing) fail(err error) {
	if o.maybe {
		o.done <- fmt.Errorf("bus: outcome of the write is open: %w", err)
	} else {
		o.done <- fmt.Errorf("%w: %w", ErrNotSent, err)
	}
}

// queue holds what waits to be written to one partition.
type queue struct {
	publisher *Publisher
	topic     string
	partition int
	labels    labels

	mu      sync.Mutex
	pending []*outgoing
	sending bool // a goroutine runs send
}

func (q *queue) add(group []*outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, group...)
	if !q.sending {
		q.sending = true
		go q.send()
	}
}

// withdraw takes a message out if it is not, and was not perhaps, written.
func (q *queue) withdraw(o *outgoing) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.pending, o)
	if i < 0 || o.maybe {
		return false
	}
	q.pending = slices.Delete(q.pending, i, i+1)
	return true
}

// take hands over what is pending, up to a number of messages and MaxMessage bytes.
func (q *queue) take(most int) []*outgoing {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.pending) && n < most {
		if size += q.pending[n].size; size > MaxMessage && n > 0 {
			break
		}
		n++
	}
	batch := slices.Clone(q.pending[:n])
	q.pending = slices.Delete(q.pending, 0, n)
	now := time.Now()
	for _, o := range batch {
		if o.started.IsZero() {
			o.started = now
		}
	}
	q.sending = n > 0
	return batch
}

// putBack returns a failed slice to the front. Messages that have been tried
// for long enough fail instead, all of them if the error will not pass.
func (q *queue) putBack(batch []*outgoing, err error) {
	refused := !written(err)
	q.mu.Lock()
	defer q.mu.Unlock()
	keep := batch[:0]
	for _, o := range batch {
		o.maybe = o.maybe || !refused
		if !passes(err) || time.Since(o.started) > patience {
			o.fail(err)
		} else {
			keep = append(keep, o)
		}
	}
	q.pending = append(keep, q.pending...)
}

// send writes slice after slice until nothing is pending.
func (q *queue) send() {
	const all = 1 << 30
	most := all
	var wait backoff
	for {
		batch := q.take(most)
		if len(batch) == 0 {
			return
		}
		start := time.Now()
		err := q.write(batch)
		q.measure(len(batch), time.Since(start), err)
		if err == nil {
			for _, o := range batch {
				o.done <- nil
			}
			most, wait = all, backoff{}
			continue
		}
		if errors.Is(err, kafka.MessageSizeTooLarge) && len(batch) > 1 {
			// The broker takes less than MaxMessage: only the message that is too large shall fail.
			most = len(batch) / 2
			q.restore(batch)
			continue
		}
		q.putBack(batch, err)
		q.publisher.measures.retrySend(context.Background())
		if wait.news() {
			q.publisher.cfg.log().Warn("writing does not succeed, trying on",
				slog.String("topic", q.topic), slog.Int("partition", q.partition), slog.Any("error", err))
		}
		q.publisher.client.reset()
		wait.sleep(context.Background())
	}
}

func (q *queue) measure(messages int, took time.Duration, err error) {
	l := q.labels.of(err)
	q.publisher.measures.operation.Record(context.Background(), took.Seconds(), l.record...)
	q.publisher.measures.sent.Add(context.Background(), int64(messages), l.add...)
}

// restore returns a slice that was refused whole to the front.
func (q *queue) restore(batch []*outgoing) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(batch, q.pending...)
}

// write is one attempt. No caller's context reaches it.
func (q *queue) write(batch []*outgoing) error {
	records := make([]kafka.Record, len(batch))
	for i, o := range batch {
		records[i] = kafka.Record{
			Key:     kafka.NewBytes(o.key),
			Value:   kafka.NewBytes(o.value),
			Headers: o.headers,
			Time:    o.time,
		}
	}
	res, err := q.publisher.client.Produce(context.Background(), &kafka.ProduceRequest{
		Topic:        q.topic,
		Partition:    q.partition,
		RequiredAcks: kafka.RequireAll,
		Records:      kafka.NewRecordReader(records...),
	})
	if errors.Is(err, protocol.ErrNoTopic) {
		// So kafka-go says while it does not know the cluster; why not is elsewhere.
		if _, cause := q.publisher.client.lookUp(context.Background(), q.topic); cause != nil {
			return fmt.Errorf("%w: %w", err, cause)
		}
	}
	if err != nil {
		return err
	}
	return res.Error
}

// written says whether a failed attempt may have been written all the same. It
// was not where no connection came about, or the broker answered that it refused.
func written(err error) bool {
	if errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) || errors.Is(err, protocol.ErrNoLeader) {
		return false
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return false
	}
	var k kafka.Error
	return !errors.As(err, &k) || k == kafka.RequestTimedOut || k == kafka.NotEnoughReplicasAfterAppend || k == kafka.Unknown || k == kafka.NetworkException
}
