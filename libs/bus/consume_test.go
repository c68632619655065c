package bus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/yimu-ledger/yimu/libs/bus"
)

// batches consumes in a group until the test, or stop, ends it; each batch
// waits for its verdict.
func batches(t *testing.T, cfg bus.Config, group, topic string) (out <-chan []string, verdict chan<- error, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	o, v, ended := make(chan []string), make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		err := bus.Consume(ctx, cfg, group, []string{topic}, func(ctx context.Context, batch []bus.Message) error {
			var values []string
			for _, m := range batch {
				values = append(values, string(m.Value))
			}
			select {
			case o <- values:
			case <-ctx.Done():
				return ctx.Err()
			}
			select {
			case err := <-v:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Consume returned %v", err)
		}
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return o, v, stop
}

func publishAll(t *testing.T, cfg bus.Config, topic string, payloads ...string) {
	t.Helper()
	p := newPublisher(t, cfg)
	for _, s := range payloads {
		if err := p.Publish(topic, keyed("k", s)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestABatchComesAgainUntilItIsTaken(t *testing.T) {
	cfg := anyBroker(t)
	topic, group := newTopic(t, cfg, 1), watermill.NewUUID()
	publishAll(t, cfg, topic, "a", "b", "c")

	got, verdict, stop := batches(t, cfg, group, topic)
	for _, v := range []error{errors.New("not now"), errors.New("not yet")} {
		if b := <-got; strings.Join(b, "") != "abc" {
			t.Errorf("got %q", b)
		}
		verdict <- v
	}
	<-got
	stop() // without a verdict

	got, verdict, stop = batches(t, cfg, group, topic)
	if b := <-got; strings.Join(b, "") != "abc" {
		t.Errorf("another member got %q, want what was never taken", b)
	}
	verdict <- nil
	stop()

	publishAll(t, cfg, topic, "d")
	got, verdict, _ = batches(t, cfg, group, topic)
	if b := <-got; strings.Join(b, "") != "d" {
		t.Errorf("a third member got %q, want only what was not taken", b)
	}
	verdict <- nil
}

func TestAHandlerTakesAllThatWaited(t *testing.T) {
	cfg := anyBroker(t)
	topic := newTopic(t, cfg, 1)
	var payloads []string
	for i := range 500 {
		payloads = append(payloads, fmt.Sprint(i))
	}
	publishAll(t, cfg, topic, payloads...)
	got, verdict, _ := batches(t, cfg, watermill.NewUUID(), topic)
	if b := <-got; len(b) != 500 {
		t.Errorf("got %d messages, want 500 at once", len(b))
	}
	verdict <- nil
}

func TestWhoReadsFromTheEndsSeesAllThatComesAfter(t *testing.T) {
	cfg := anyBroker(t)
	topic := newTopic(t, cfg, 3)
	p := newPublisher(t, cfg)
	publish := func(payload string) {
		t.Helper()
		for i := range 20 {
			if err := p.Publish(topic, keyed(fmt.Sprint(i), payload)); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish("before")
	for range 2 { // every instance sees all
		ends, err := bus.Ends(t.Context(), cfg, topic)
		if err != nil {
			t.Fatal(err)
		}
		publish("after")
		messages := make(chan bus.Message)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- bus.ConsumeFrom(ctx, cfg, ends, func(ctx context.Context, batch []bus.Message) error {
				for _, m := range batch {
					messages <- m
				}
				return nil
			})
		}()
		for range 20 {
			if m := <-messages; string(m.Value) != "after" {
				t.Errorf("got %s", m.Value)
			}
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	}
}

func TestWhatComesWhileABatchIsHandledIsFetchedAtOnce(t *testing.T) {
	cfg := anyBroker(t)
	topic := newTopic(t, cfg, 1)
	p := newPublisher(t, cfg)
	publish := func(payload string) {
		t.Helper()
		if err := p.Publish(topic, keyed("k", payload)); err != nil {
			t.Fatal(err)
		}
	}
	ends, err := bus.Ends(t.Context(), cfg, topic)
	if err != nil {
		t.Fatal(err)
	}
	batches, goOn := make(chan string), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- bus.ConsumeFrom(ctx, cfg, ends, func(_ context.Context, batch []bus.Message) error {
			said := ""
			for _, m := range batch {
				said += string(m.Value) + " "
			}
			batches <- said
			<-goOn
			return nil
		})
	}()
	publish("first")
	if got := <-batches; got != "first " {
		t.Errorf("got %q", got)
	}
	want := ""
	for i := range 10 {
		publish(fmt.Sprint(i))
		want += fmt.Sprint(i) + " "
	}
	goOn <- struct{}{}
	if got := <-batches; got != want {
		t.Errorf("got %q, want all at once", got)
	}
	close(goOn)
	stop()
	<-ended
}

func TestWhatIsStillThereIsNotSkipped(t *testing.T) {
	tests := map[string]struct {
		from, kept int64
		want       string
	}{
		"where the place is beyond the end":   {from: 1000, kept: 0, want: "a, b, c"},
		"where the broker dropped the oldest": {from: 0, kept: 1, want: "b, c"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cluster, cfg := testBroker(t)
			topic := newTopic(t, cfg, 1)
			publishAll(t, cfg, topic, "a", "b", "c")
			if err := cluster.DeleteRecords(topic, 0, tt.kept); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var got []string
			_ = bus.ConsumeFrom(ctx, cfg, bus.Offsets{topic: {0: tt.from}}, func(_ context.Context, batch []bus.Message) error {
				for _, m := range batch {
					got = append(got, string(m.Value))
				}
				cancel()
				return nil
			})
			if s := strings.Join(got, ", "); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
		})
	}
}

func TestAMissingCoordinatorIsWaitedOut(t *testing.T) {
	t.Parallel()
	cluster, cfg := testBroker(t)
	topic := newTopic(t, cfg, 1)
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.FindCoordinator}, Err: kerr.CoordinatorNotAvailable, Count: 2})
	publishAll(t, cfg, topic, "a")
	got, verdict, _ := batches(t, cfg, "group", topic)
	if b := <-got; strings.Join(b, "") != "a" {
		t.Errorf("got %q", b)
	}
	verdict <- nil
}

func TestAGroupWaitsForItsTopic(t *testing.T) {
	cfg := anyBroker(t)
	topic := "late-" + watermill.NewShortUUID()
	got, verdict, _ := batches(t, cfg, watermill.NewUUID(), topic)
	if err := bus.EnsureTopics(t.Context(), cfg, bus.Topic{Name: topic}); err != nil {
		t.Fatal(err)
	}
	publishAll(t, cfg, topic, "a")
	if b := <-got; strings.Join(b, "") != "a" {
		t.Errorf("got %q", b)
	}
	verdict <- nil
}

func TestAnIdleConsumerIsQuiet(t *testing.T) {
	cluster, cfg := testBroker(t)
	topic := newTopic(t, cfg, 4)
	got, verdict, _ := batches(t, cfg, "group", topic)
	publishAll(t, cfg, topic, "a")
	<-got
	verdict <- nil
	requests := cluster.Fault(kfake.Fault{Observe: true, Count: -1})
	time.Sleep(2 * time.Second)                 // what is measured is that nothing happens
	if n := requests.Hits(); n == 0 || n > 20 { // heartbeats there are
		t.Errorf("%d requests in two seconds", n)
	}
}

// BenchmarkRoundTrip is from Publish to the handler, one message at a time.
func BenchmarkRoundTrip(b *testing.B) {
	cfg := anyBroker(b)
	topic := newTopic(b, cfg, 1)
	arrived := make(chan struct{}, 1)
	go func() {
		_ = bus.Consume(b.Context(), cfg, watermill.NewUUID(), []string{topic}, func(context.Context, []bus.Message) error {
			arrived <- struct{}{}
			return nil
		})
	}()
	p := newPublisher(b, cfg)
	for b.Loop() {
		if err := p.Publish(topic, keyed("k", "x")); err != nil {
			b.Fatal(err)
		}
		<-arrived
	}
}

// A machine that hangs still accepts connections, and says nothing.
func TestABrokerThatHangsIsPassedOver(t *testing.T) {
	t.Parallel()
	deaf, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	cluster, cfg := testBroker(t, kfake.NumBrokers(3))
	cfg.Brokers = append([]string{deaf.Addr().String()}, cluster.ListenAddrs()...)
	topic := newTopic(t, cfg, 1)
	publishAll(t, cfg, topic, "a")
	got, verdict, _ := batches(t, cfg, "group", topic)
	select {
	case b := <-got:
		if strings.Join(b, "") != "a" {
			t.Errorf("got %q", b)
		}
		verdict <- nil
	case <-time.After(time.Minute):
		t.Error("nothing came")
	}
}
