package embedded

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/yimu-ledger/yimu/libs/bus"
)

func TestMemoryIsBounded(t *testing.T) {
	const (
		messages   = 400_000 // of 1 KB: unbounded they take more than 400 MB
		partitions = 4
		kept       = 8 << 20
		bound      = 3 * partitions * kept // kept, what arrives between two cleanings, and the garbage of both
	)
	b, err := Start(Config{
		Topics:         []Topic{{Name: "t", Partitions: partitions}},
		PartitionBytes: kept,
		Log:            slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	p := bus.NewPublisher(bus.Config{Brokers: []string{b.Addr()}})
	defer func() { _ = p.Close() }()

	payload := message.Payload(strings.Repeat("x", 1000))
	before := heap()
	var most uint64
	for sent := 0; sent < messages; sent += 4000 {
		batch := make([]*message.Message, 4000)
		for i := range batch {
			batch[i] = message.NewMessage(watermill.NewUUID(), payload)
			batch[i].Metadata.Set(bus.KeyMetadata, batch[i].UUID)
		}
		if err := p.Publish("t", batch...); err != nil {
			t.Fatal(err)
		}
		if sent%40_000 == 0 {
			most = max(most, heap()-min(before, heap()))
		}
	}
	t.Logf("%d MB of messages, %d MB of heap at most", messages/1000, most>>20)
	if most > bound {
		t.Errorf("the heap grew by %d bytes, more than %d", most, bound)
	}
}

func TestWhatIsOldIsDropped(t *testing.T) {
	b, err := Start(Config{
		Topics:    []Topic{{Name: "t"}},
		Retention: 100 * time.Millisecond,
		Log:       slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cfg := bus.Config{Brokers: []string{b.Addr()}, Log: slog.New(slog.DiscardHandler)}
	p := bus.NewPublisher(cfg)
	defer func() { _ = p.Close() }()
	if err := p.Publish("t", message.NewMessage("old", nil)); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); b.cluster.PartitionInfo("t", 0).NumBytes > 0; {
		if time.Now().After(deadline) {
			t.Fatal("the message is still there")
		}
		time.Sleep(20 * time.Millisecond) // the broker has no event for it
	}
	if err := p.Publish("t", message.NewMessage("new", nil)); err != nil {
		t.Error(err)
	}
}

func TestWhatTheGroupHasReadIsDropped(t *testing.T) {
	b, err := Start(Config{Topics: []Topic{{Name: "read"}, {Name: "unread"}}, Group: "g", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	cfg := bus.Config{Brokers: []string{b.Addr()}, Log: slog.New(slog.DiscardHandler)}
	p := bus.NewPublisher(cfg)
	defer func() { _ = p.Close() }()
	const messages = 100
	for _, topic := range []string{"read", "unread"} {
		for range messages {
			if err := p.Publish(topic, message.NewMessage(watermill.NewUUID(), []byte("text"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.dropCommitted()
	if n := b.cluster.PartitionInfo("read", 0).NumBytes; n == 0 {
		t.Fatal("messages were dropped before anybody read them")
	}
	ctx, stop := context.WithCancel(t.Context())
	seen, ended := 0, make(chan error, 1)
	go func() {
		ended <- bus.Consume(ctx, cfg, "g", []string{"read"}, func(_ context.Context, batch []bus.Message) error {
			seen += len(batch)
			return nil
		})
	}()
	for deadline := time.Now().Add(30 * time.Second); b.cluster.PartitionInfo("read", 0).NumBytes > 0; {
		if time.Now().After(deadline) {
			t.Fatal("what was read is still there")
		}
		time.Sleep(20 * time.Millisecond) // the broker has no event for it
	}
	stop()
	<-ended
	if seen != messages {
		t.Errorf("%d of %d messages were read", seen, messages)
	}
	if b.cluster.PartitionInfo("unread", 0).NumBytes == 0 {
		t.Error("what nobody read was dropped")
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
