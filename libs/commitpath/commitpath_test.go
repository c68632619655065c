package commitpath_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/bus/embedded"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/telemetry"
	"github.com/yimu-ledger/yimu/libs/telemetry/otlptest"
)

// path is a whole commit path: a store, a broker, the one that YIMU_TEST_KAFKA
// names where it does, and on them ledgers and clients.
type path struct {
	store   es.Store
	open    func() es.Store // for a ledger
	bus     bus.Config
	context string // of its own, so that a broker may serve many paths
	client  *commitpath.Client
	ledger  func() // stops the first ledger
	refused chan string
}

// settings change what newPath builds.
type settings struct {
	clock func() time.Time // of the client
	wait  time.Duration
	store func(es.Store) es.Store // wraps the ledger's store
	open  func() es.Store         // opens the store, for each ledger anew; one in the process if nil
	disk  bool                    // a store on disk, with its fsyncs

	tracer trace.Tracer
	meter  metric.Meter
}

func newPath(t testing.TB, s settings) *path {
	t.Helper()
	config := pebblestore.Config{Dir: "store", FS: vfs.NewMem()}
	if s.disk {
		config = pebblestore.Config{Dir: t.TempDir()}
	}
	store, err := pebblestore.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	addr := os.Getenv("YIMU_TEST_KAFKA")
	if addr == "" {
		broker, err := embedded.Start(embedded.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(broker.Close)
		addr = broker.Addr()
	}
	p := &path{
		store: store, bus: bus.Config{Brokers: []string{addr}, Partitions: 4, Log: slog.New(slog.DiscardHandler), Tracer: s.tracer, Meter: s.meter},
		context: "votes-" + watermill.NewShortUUID(), refused: make(chan string, 10),
	}
	if s.store != nil {
		p.store = s.store(store)
	}
	p.open = func() es.Store { return p.store }
	if s.open != nil {
		p.open, p.store = s.open, s.open()
	}
	if err := bus.EnsureTopics(t.Context(), p.bus, bus.Topic{Name: p.topic()}, bus.Topic{Name: commitpath.OutcomesTopic, Partitions: 1}); err != nil {
		t.Fatal(err)
	}
	p.ledger = p.startLedger(t)
	p.client = p.startClient(t, s)
	until(t, func() bool { return p.client.Ready() == nil || s.clock != nil })
	return p
}

func (p *path) topic() string { return commitpath.CommitsTopic(p.context) }

// startLedger lets one more ledger take its share of the commits, until stop or
// the test's end.
func (p *path) startLedger(t testing.TB) (stop func()) {
	publisher := bus.NewPublisher(p.bus)
	appender := commitpath.NewAppender(commitpath.AppenderConfig{
		Store: p.open(), Publisher: publisher, Clock: time.Now, Tracer: p.bus.Tracer, Meter: p.bus.Meter,
		Owns:   func(context, stream string) bool { return context == p.context && stream != "foreign-1" },
		Signed: func(context.Context) (proof.Signed, error) { return asSigned, nil },
		Refuse: func(_ context.Context, _, reason string, _ []byte) error {
			p.refused <- reason
			return nil
		},
	})
	config, joined := p.bus, make(chan struct{})
	config.Joined = sync.OnceFunc(func() { close(joined) })
	stop = run(t, func(ctx context.Context) {
		_ = bus.Consume(ctx, config, p.context, []string{p.topic()}, appender.Handle)
	},
		func(ctx context.Context) {
			select {
			case <-joined:
				_ = appender.Tell(ctx)
			case <-ctx.Done():
			}
		})
	t.Cleanup(func() { stop(); _ = publisher.Close() })
	return stop
}

// startClient runs one more client, as one more instance of a service has.
func (p *path) startClient(t testing.TB, s settings) *commitpath.Client {
	if s.clock == nil {
		s.clock = time.Now
	}
	publisher := bus.NewPublisher(p.bus)
	client := commitpath.NewClient(commitpath.ClientConfig{
		Publisher: publisher, Bus: p.bus, Clock: s.clock, Wait: s.wait, Tracer: s.tracer, Meter: s.meter,
	})
	stop := run(t, func(ctx context.Context) { _ = client.Run(ctx) })
	t.Cleanup(func() { stop(); _ = publisher.Close() })
	return client
}

// run runs functions until stop or the test's end.
func run(t testing.TB, functions ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, f := range functions {
		running.Go(func() { f(ctx) })
	}
	return func() { cancel(); running.Wait() }
}

func until(t testing.TB, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
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
	o, err := p.client.For(p.context).Commit(t.Context(), c)
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

// asSigned is how far the ledgers of these tests are signed.
var asSigned = proof.Signed{Position: 4711, Checkpoint: "a note"}

func TestEveryInstanceHearsHowFarTheLedgerIsSigned(t *testing.T) {
	p := newPath(t, settings{})
	until(t, func() bool { return p.client.Signed() == asSigned })
}

func TestOutcomes(t *testing.T) {
	meter, read := otlptest.Meter(t)
	p := newPath(t, settings{meter: meter})
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
	if reason := <-p.refused; reason != "not a stream of "+p.context {
		t.Fatalf("refused as %q", reason)
	}
	got := read()
	for key, want := range map[string]float64{
		"yimu.commit.duration{yimu.context=votes,yimu.outcome=recorded}":            3,
		"yimu.commit.duration{yimu.context=votes,yimu.outcome=conflict}":            1,
		"yimu.commit.duration{yimu.context=votes,yimu.outcome=key-reused}":          1,
		"yimu.commit.duration{yimu.context=votes,yimu.outcome=refused}":             1,
		"yimu.outcome.wait{yimu.context=votes}":                                     6,
		"yimu.outcome.position{}":                                                   float64(recorded.Position),
		"yimu.conflicts{yimu.context=votes}":                                        1,
		"yimu.append.duration{yimu.context=votes,yimu.outcome=recorded}":            3,
		"yimu.append.duration{yimu.context=votes,yimu.outcome=conflict}":            1,
		"yimu.append.batch.size{yimu.context=votes}":                                6,
		"yimu.append.refused{yimu.context=votes,yimu.reason=not a stream of votes}": 1,
	} {
		if key = strings.ReplaceAll(key, "votes", p.context); got[key] != want {
			t.Errorf("%s is %v, want %v of %v", key, got[key], want, got)
		}
	}
	if ahead := got["yimu.clock.skew{}"]; ahead < 0 || ahead > 1 {
		t.Errorf("the clock is said to be %v s ahead of itself", ahead)
	}
}

func TestUnreadableCommitIsRecordedAndDoesNotBlock(t *testing.T) {
	p := newPath(t, settings{})
	publisher := bus.NewPublisher(p.bus)
	t.Cleanup(func() { _ = publisher.Close() })
	rubbish := message.NewMessage(watermill.NewUUID(), []byte("rubbish"))
	rubbish.Metadata.Set(bus.KeyMetadata, "note-1")
	if err := publisher.Publish(p.topic(), rubbish); err != nil {
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
				o, err := p.client.For(p.context).Commit(t.Context(), commit("note-1", n, id, "h", "a"))
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

func TestACommitWithoutALedgerIsPendingAndTheNextOneTakesIt(t *testing.T) {
	p := newPath(t, settings{wait: 100 * time.Millisecond})
	p.ledger()
	c := commit("note-1", 0, uuid.New(), "h", "a")
	if _, err := p.client.For(p.context).Commit(t.Context(), c); !errors.Is(err, es.ErrPending) {
		t.Fatalf("got %v, want ErrPending", err)
	}
	p.startLedger(t)
	until(t, func() bool { return length(t, p.store, "note-1") == 1 })
}

func TestBeforeALedgerWasHeardNothingIsSent(t *testing.T) {
	p := newPath(t, settings{})
	p.ledger()
	client := p.startClient(t, settings{})
	if _, err := client.For(p.context).Commit(t.Context(), commit("note-1", 0, uuid.New(), "h", "a")); !errors.Is(err, es.ErrNotSent) {
		t.Fatalf("got %v, want ErrNotSent", err)
	}
	p.startLedger(t)
	until(t, func() bool { return client.Ready() == nil })
	if o, err := client.For(p.context).Commit(t.Context(), commit("note-1", 0, uuid.New(), "h", "a")); err != nil || o.Status != es.StatusRecorded {
		t.Fatalf("got %v, %v", o, err)
	}
}

func TestNotReadyIsNotSent(t *testing.T) {
	client := commitpath.NewClient(commitpath.ClientConfig{Clock: time.Now})
	_, err := client.For("votes").Commit(t.Context(), commit("note-1", 0, uuid.New(), "h", "a"))
	if !errors.Is(err, es.ErrNotSent) {
		t.Fatalf("got %v, want ErrNotSent", err)
	}
}

func TestClockThatIsOffIsNotReady(t *testing.T) {
	for _, off := range []time.Duration{time.Minute, -time.Minute} {
		t.Run(off.String(), func(t *testing.T) {
			p := newPath(t, settings{clock: func() time.Time { return time.Now().Add(off) }})
			until(t, func() bool { return strings.Contains(fmt.Sprint(p.client.Ready()), "clock") })
			_, err := p.client.For(p.context).Commit(t.Context(), commit("note-1", 0, uuid.New(), "h", "a"))
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
	meter, read := otlptest.Meter(t)
	p := newPath(t, settings{meter: meter, store: func(s es.Store) es.Store { return &flaky{Store: s, failed: map[uuid.UUID]bool{}} }})
	if o := p.do(t, commit("note-1", 0, uuid.New(), "h", "a")); o.Status != es.StatusRecorded || o.Position == 0 {
		t.Fatalf("got %+v", o)
	}
	if n := length(t, p.store, "note-1"); n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
	if got := read(); got["yimu.retries{yimu.operation=append}"] != 1 || got["yimu.append.duration{yimu.context="+p.context+",yimu.outcome=recorded}"] != 1 {
		t.Errorf("measured %v", got)
	}
}

// Several instances of a service, on shared streams, while ledgers join and
// leave and messages come twice, early or late: each commit is answered to who
// waits for it, and stands in its stream once.
func TestLedgersComeAndGoWhileCommitsFlow(t *testing.T) {
	ledgersComeAndGo(t, settings{})
}

func ledgersComeAndGo(t *testing.T, s settings) {
	const (
		clients = 3
		writers = 4 // of each client; the same ones of all share a stream
		changes = 6 // of the ledgers
	)
	p, note := newPath(t, s), "note-"+uuid.NewString()
	twice := bus.NewPublisher(p.bus)
	t.Cleanup(func() { _ = twice.Close() })

	var (
		mu       sync.Mutex
		recorded = map[uuid.UUID]es.Outcome{}
		ending   atomic.Bool
		running  sync.WaitGroup
	)
	for range clients {
		client := p.startClient(t, settings{wait: 2 * time.Minute})
		until(t, func() bool { return client.Ready() == nil })
		for w := range writers {
			stream := fmt.Sprintf("%s-%d", note, w)
			running.Go(func() {
				for n := uint64(0); !ending.Load(); {
					c := commit(stream, n, uuid.New(), "h", "a")
					if rand.IntN(4) == 0 {
						repeat(t, twice, p.topic(), c)
					}
					o, err := client.For(p.context).Commit(t.Context(), c)
					if err != nil {
						t.Errorf("%s: %v", c.ID, err)
						return
					}
					if rand.IntN(4) == 0 {
						repeat(t, twice, p.topic(), c)
					}
					if o.Status != es.StatusRecorded { // another writer was first
						n = uint64(length(t, p.store, stream))
						continue
					}
					n = o.Revision + 1
					mu.Lock()
					recorded[c.ID] = o
					mu.Unlock()
				}
			})
		}
	}
	flow := func() {
		count := func() int { mu.Lock(); defer mu.Unlock(); return len(recorded) }
		before := count()
		until(t, func() bool { return count() >= before+100 || t.Failed() })
	}
	ledgers := []func(){p.ledger}
	for i := range changes {
		flow()
		if i%2 == 0 {
			ledgers = append(ledgers, p.startLedger(t))
		} else {
			ledgers[0]()
			ledgers = ledgers[1:]
		}
	}
	flow()
	ending.Store(true)
	running.Wait()

	for w := range writers {
		stream := fmt.Sprintf("%s-%d", note, w)
		for e, err := range p.store.Read(t.Context(), stream, 0) {
			if err != nil {
				t.Fatal(err)
			}
			meta, err := es.ParseMeta(e.Meta)
			if err != nil {
				t.Fatal(err)
			}
			o, ok := recorded[meta.Commit]
			if !ok || o.Event != e.ID || o.Stream != stream || o.Revision != e.Revision {
				t.Errorf("%s@%d is %s, and its commit was answered %+v", stream, e.Revision, e.ID, o)
			}
			delete(recorded, meta.Commit) // a second time it would not be found
		}
	}
	for id, o := range recorded {
		t.Errorf("%s was answered %+v and is not there", id, o)
	}
	select {
	case reason := <-p.refused:
		t.Errorf("a commit was refused: %s", reason)
	default:
	}
}

// repeat sends a commit as a producer does that does not know whether it has.
func repeat(t *testing.T, p *bus.Publisher, topic string, c es.Commit) {
	value, err := json.Marshal(c)
	if err != nil {
		t.Error(err)
		return
	}
	m := message.NewMessage(watermill.NewUUID(), value)
	m.Metadata.Set(bus.KeyMetadata, c.Stream)
	if err := p.Publish(topic, m); err != nil {
		t.Error(err)
	}
}

func BenchmarkCommit(b *testing.B) {
	meter, _ := otlptest.Meter(b)
	tracer := sdktrace.NewTracerProvider(sdktrace.WithBatcher(tracetest.NewNoopExporter())).Tracer("bench")
	traced := telemetry.Continue(b.Context(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	for _, c := range []struct {
		name    string
		writers int
		settings
		ctx context.Context
	}{
		{"1", 1, settings{disk: true}, b.Context()},
		{"64", 64, settings{disk: true}, b.Context()},
		{"64, measured", 64, settings{disk: true, meter: meter}, b.Context()},
		{"64, traced", 64, settings{disk: true, meter: meter, tracer: tracer}, traced},
		{"256", 256, settings{disk: true}, b.Context()},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := newPath(b, c.settings)
			committer := p.client.For(p.context)
			var wg sync.WaitGroup
			work := make(chan int)
			for range c.writers {
				wg.Go(func() {
					for i := range work {
						id := uuid.New()
						if o, err := committer.Commit(c.ctx, commit(fmt.Sprintf("note-%d-%s", i, id), 0, id, "h", "a")); err != nil || o.Status != es.StatusRecorded {
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
