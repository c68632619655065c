package bus

import (
	"context"
	"log/slog"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/yimu-ledger/yimu/libs/pause"
)

// Subscriber reads topics message by message. It is a Watermill
// message.Subscriber: of each partition one message is out at a time, the next
// comes after its Ack, and after a Nack it comes again. Messages of several
// partitions may be out at once.
type Subscriber struct {
	cfg   Config
	group string

	ctx    context.Context
	cancel context.CancelFunc
	mu     sync.Mutex // guards open.Add against Close
	open   sync.WaitGroup
}

// NewSubscriber returns a member of a consumer group. Members share the
// partitions of a topic; a group that is new begins at the first message.
func NewSubscriber(cfg Config, group string) *Subscriber {
	ctx, cancel := context.WithCancel(context.Background())
	return &Subscriber{cfg: cfg, group: group, ctx: ctx, cancel: cancel}
}

var (
	_ message.Subscriber           = (*Subscriber)(nil)
	_ message.SubscribeInitializer = (*Subscriber)(nil)
)

// Subscribe delivers the topic's messages until ctx ends or Close is called,
// and then closes the channel. It waits for the topic to come into being.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		return nil, ErrClosed
	}
	s.open.Add(1)
	s.mu.Unlock()

	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(s.ctx, cancel)
	out := make(chan *message.Message)
	go func() {
		defer s.open.Done()
		defer close(out)
		defer cancel()
		defer unlink()
		d := func(ctx context.Context, batch []Message, done func(int)) error {
			for i, m := range batch {
				if err := s.hand(ctx, out, m); err != nil {
					return err
				}
				done(i + 1)
			}
			return nil
		}
		err := consume(ctx, s.cfg, s.group, []string{topic}, d)
		if ctx.Err() == nil {
			s.cfg.log().ErrorContext(ctx, "subscription ended", slog.String("topic", topic), slog.Any("error", err))
		}
	}()
	return out, nil
}

// hand returns nil once the message was acknowledged.
func (s *Subscriber) hand(ctx context.Context, out chan<- *message.Message, m Message) error {
	for {
		w := m.watermill()
		mctx, cancel := context.WithCancel(ctx)
		w.SetContext(mctx)
		select {
		case out <- w:
		case <-ctx.Done():
			cancel()
			return ctx.Err()
		}
		select {
		case <-w.Acked():
			cancel()
			return nil
		case <-w.Nacked():
			cancel()
			if pause.For(ctx, s.cfg.nackDelay()) != nil {
				return ctx.Err()
			}
		case <-ctx.Done():
			cancel()
			select {
			case <-w.Acked(): // both were ready
				return nil
			default:
				return ctx.Err()
			}
		}
	}
}

// SubscribeInitialize creates the topic, with the partitions, replication and
// retention of [Config], if it does not exist.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	return EnsureTopics(s.ctx, s.cfg, Topic{Name: topic})
}

// Close ends all subscriptions and returns when their channels are closed.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	s.open.Wait()
	return nil
}
