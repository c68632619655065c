package commitpath_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/bus/embedded"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

const testContext = "votes"

// path is a whole commit path in one process.
type path struct {
	store   *pebblestore.Store
	bus     bus.Config
	client  *commitpath.Client
	refused chan string
}

// settings change what newPath builds.
type settings struct {
	clock func() time.Time // of the client
	wait  time.Duration
	store func(es.Store) es.Store // wraps the appender's store
	idle  bool                    // no ledger runs
	disk  bool                    // a store on disk, with its fsyncs
}

func newPath(t testing.TB, s settings) *path {
	t.Helper()
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.store == nil {
		s.store = func(s es.Store) es.Store { return s }
	}
	config := pebblestore.Config{Dir: "store", FS: vfs.NewMem()}
	if s.disk {
		config = pebblestore.Config{Dir: t.TempDir()}
	}
	store, err := pebblestore.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	broker, err := embedded.Start(embedded.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.Close)
	p := &path{store: store, bus: bus.Config{Brokers: []string{broker.Addr()}, Partitions: 2}, refused: make(chan string, 10)}
	topic := commitpath.CommitsTopic(testContext)
	if err := bus.EnsureTopics(t.Context(), p.bus, bus.Topic{Name: topic}, bus.Topic{Name: commitpath.OutcomesTopic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	publisher := bus.NewPublisher(p.bus)
	t.Cleanup(func() { _ = publisher.Close() })
	appender := commitpath.NewAppender(commitpath.AppenderConfig{
		Store: s.store(store), Publisher: publisher, Clock: time.Now,
		Owns: func(context, stream string) bool { return context == testContext && stream != "foreign-1" },
		Refuse: func(_ context.Context, _, reason string, _ []byte) error {
			p.refused <- reason
			return nil
		},
	})
	p.client = commitpath.NewClient(commitpath.ClientConfig{
		Publisher: publisher, Outcomes: bus.NewTailSubscriber(p.bus), Clock: s.clock, Wait: s.wait,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = p.client.Run(ctx) })
	if !s.idle {
		running.Go(func() { _ = bus.Consume(ctx, p.bus, "ledger", []string{topic}, appender.Handle) })
		running.Go(func() { _ = appender.Tell(ctx) })
	}
	t.Cleanup(func() { cancel(); running.Wait() })
	until(t, func() bool { return p.client.Ready() == nil || time.Until(s.clock()).Abs() > time.Second })
	return p
}

func until(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
	}
}

func commit(stream string, expected uint64, id uuid.UUID, hash, body string) es.Commit {
	meta, err := json.Marshal(es.Meta{Commit: id, Hash: hash, Actor: "test", Happened: time.Unix(0, 0)})
	if err != nil {
		panic(err)
	}
	return es.Commit{ID: id, Stream: stream, Expected: expected, Events: []es.Proposed{
		{ID: uuid.NewSHA1(id, []byte(hash+body)), Type: "noted.v1", Data: fmt.Appendf(nil, "%q", body), Meta: meta},
	}}
}

func (p *path) do(t *testing.T, c es.Commit) es.Outcome {
	t.Helper()
	o, err := p.client.For(testContext).Commit(t.Context(), c)
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return o
}

func length(t *testing.T, s es.Store, stream string) (n int) {
	t.Helper()
	for _, err := range s.Read(t.Context(), stream, 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestOutcomes(t *testing.T) {
	p := newPath(t, settings{})
	first, second := uuid.New(), uuid.New()

	recorded := p.do(t, commit("note-1", 0, first, "h", "a"))
	if recorded.Status != es.StatusRecorded || recorded.Position == 0 || recorded.Revision != 0 {
		t.Fatalf("a first commit: %+v", recorded)
	}
	for _, c := range []struct {
		name   string
		commit es.Commit
		status es.Status
	}{
		{"the same again is recorded, where it was", commit("note-1", 0, first, "h", "a"), es.StatusRecorded},
		{"the same request decided again, as it fits no more", commit("note-1", 7, first, "h", "other"), es.StatusRecorded},
		{"another request on a stale revision", commit("note-1", 0, second, "h", "b"), es.StatusConflict},
		{"the key of another request", commit("note-1", 0, first, "other", "b"), es.StatusKeyReused},
		{"a stream of another context", commit("foreign-1", 0, second, "h", "b"), es.StatusRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := p.do(t, c.commit)
			if o.Status != c.status {
				t.Fatalf("got %+v, want %s", o, c.status)
			}
			if c.status == es.StatusRecorded && (o.Position != recorded.Position || o.Event != recorded.Event) {
				t.Fatalf("got %+v, want the first outcome %+v", o, recorded)
			}
		})
	}
	if n := length(t, p.store, "note-1"); n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
	if reason := <-p.refused; reason != "not a stream of votes" {
		t.Fatalf("refused as %q", reason)
	}
}

func TestUnreadableCommitIsRecordedAndDoesNotBlock(t *testing.T) {
	p := newPath(t, settings{})
	publisher := bus.NewPublisher(p.bus)
	t.Cleanup(func() { _ = publisher.Close() })
	rubbish := message.NewMessage(watermill.NewUUID(), []byte("rubbish"))
	rubbish.Metadata.Set(bus.KeyMetadata, "note-1")
	if err := publisher.Publish(commitpath.CommitsTopic(testContext), rubbish); err != nil {
		t.Fatal(err)
	}
	if o := p.do(t, commit("note-1", 0, uuid.New(), "h", "a")); o.Status != es.StatusRecorded {
		t.Fatalf("after rubbish: %+v", o)
	}
	if reason := <-p.refused; reason != "unreadable" {
		t.Fatalf("refused as %q", reason)
	}
}

func TestManyWritersOneStream(t *testing.T) {
	p := newPath(t, settings{})
	const writers = 16
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			id := uuid.New()
			for {
				n := uint64(length(t, p.store, "note-1"))
				o, err := p.client.For(testContext).Commit(t.Context(), commit("note-1", n, id, "h", "a"))
				if err != nil {
					t.Errorf("commit: %v", err)
					return
				}
				if o.Status == es.StatusRecorded {
					return
				}
			}
		})
	}
	wg.Wait()
	if n := length(t, p.store, "note-1"); n != writers {
		t.Fatalf("%d events, want %d", n, writers)
	}
}

func TestSameRequestTwiceAtOnce(t *testing.T) {
	p := newPath(t, settings{})
	c := commit("note-1", 0, uuid.New(), "h", "a")
	outcomes := make([]es.Outcome, 8)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() { outcomes[i] = p.do(t, c) })
	}
	wg.Wait()
	for _, o := range outcomes {
		if o.Status != es.StatusRecorded || o.Position != outcomes[0].Position {
			t.Fatalf("got %+v", outcomes)
		}
	}
	if n := length(t, p.store, "note-1"); n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
}

func TestNoLedgerIsPendingAndTheCommitWaits(t *testing.T) {
	p := newPath(t, settings{idle: true, wait: 100 * time.Millisecond})
	_, err := p.client.For(testContext).Commit(t.Context(), commit("note-1", 0, uuid.New(), "h", "a"))
	if !errors.Is(err, es.ErrPending) {
		t.Fatalf("got %v, want ErrPending", err)
	}
}

func TestNotReadyIsNotSent(t *testing.T) {
	client := commitpath.NewClient(commitpath.ClientConfig{Clock: time.Now})
	_, err := client.For(testContext).Commit(t.Context(), commit("note-1", 0, uuid.New(), "h", "a"))
	if !errors.Is(err, es.ErrNotSent) {
		t.Fatalf("got %v, want ErrNotSent", err)
	}
}

func TestClockThatIsOffIsNotReady(t *testing.T) {
	for _, off := range []time.Duration{time.Minute, -time.Minute} {
		t.Run(off.String(), func(t *testing.T) {
			p := newPath(t, settings{clock: func() time.Time { return time.Now().Add(off) }})
			until(t, func() bool { return p.client.Ready() != nil })
			_, err := p.client.For(testContext).Commit(t.Context(), commit("note-1", 0, uuid.New(), "h", "a"))
			if !errors.Is(err, es.ErrNotSent) {
				t.Fatalf("got %v, want ErrNotSent", err)
			}
		})
	}
}

// flaky fails each append once after it was written.
type flaky struct {
	es.Store
	mu     sync.Mutex
	failed map[uuid.UUID]bool
}

func (f *flaky) Append(ctx context.Context, stream string, expected uint64, events ...es.Proposed) (es.Position, error) {
	position, err := f.Store.Append(ctx, stream, expected, events...)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && !f.failed[events[0].ID] {
		f.failed[events[0].ID] = true
		return 0, context.DeadlineExceeded
	}
	return position, err
}

func TestDeadlineAfterTheAppendIsSettledByRepeatingIt(t *testing.T) {
	p := newPath(t, settings{store: func(s es.Store) es.Store { return &flaky{Store: s, failed: map[uuid.UUID]bool{}} }})
	if o := p.do(t, commit("note-1", 0, uuid.New(), "h", "a")); o.Status != es.StatusRecorded || o.Position == 0 {
		t.Fatalf("got %+v", o)
	}
	if n := length(t, p.store, "note-1"); n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
}

func BenchmarkCommit(b *testing.B) {
	for _, writers := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			p := newPath(b, settings{disk: true})
			committer := p.client.For(testContext)
			var wg sync.WaitGroup
			work := make(chan int)
			for range writers {
				wg.Go(func() {
					for i := range work {
						id := uuid.New()
						if o, err := committer.Commit(b.Context(), commit(fmt.Sprintf("note-%d-%s", i, id), 0, id, "h", "a")); err != nil || o.Status != es.StatusRecorded {
							b.Errorf("%v %v", o, err)
						}
					}
				})
			}
			b.ResetTimer()
			for i := range b.N {
				work <- i
			}
			close(work)
			wg.Wait()
		})
	}
}
