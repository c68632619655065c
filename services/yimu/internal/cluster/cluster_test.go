//go:build integration

package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/services/yimu/internal/cluster"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func startKafka(t *testing.T, config cluster.KafkaConfig) *cluster.Kafka {
	t.Helper()
	k, err := cluster.ForTest(t).Kafka(t.Context(), config)
	must(t, err)
	return k
}

func keyed(key, payload string) *message.Message {
	m := message.NewMessage(watermill.NewUUID(), []byte(payload))
	m.Metadata.Set(bus.KeyMetadata, key)
	return m
}

// busAt is the bus on some brokers; it says what it logs when a test fails.
func busAt(t *testing.T, addrs ...string) bus.Config {
	return bus.Config{Brokers: addrs, ClientID: "test", Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

func closeAfter(t *testing.T, c io.Closer) {
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// pace remembers how long each of some goroutines was without progress.
type pace struct {
	mu      sync.Mutex
	steps   map[int]int
	last    map[int]time.Time
	longest time.Duration
}

func (p *pace) step(who int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if last, ok := p.last[who]; ok {
		p.longest = max(p.longest, now.Sub(last))
	}
	p.last[who] = now
	p.steps[who]++
}

// reset forgets what was; each one's wait goes on from its last step.
func (p *pace) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longest = 0
	clear(p.steps)
}

// least is how many steps the slowest of so many has made, and the longest wait.
func (p *pace) least(of int) (steps int, longest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	steps = p.steps[0]
	for who := range of {
		steps = min(steps, p.steps[who])
	}
	return steps, p.longest
}

func TestWritingAndReadingGoOnWithoutOneOfThreeBrokers(t *testing.T) {
	const (
		writers = 8
		longest = 10 * time.Second
	)
	k := startKafka(t, cluster.KafkaConfig{Brokers: 3})
	cfg := busAt(t, k.Addrs()...)
	must(t, bus.EnsureTopics(t.Context(), cfg, bus.Topic{Name: "commits.test", Partitions: 6}))
	p := bus.NewPublisher(cfg)
	closeAfter(t, p)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var (
		mu           sync.Mutex
		acknowledged = map[string]bool{}
		writing      = pace{steps: map[int]int{}, last: map[int]time.Time{}}
		reading      = pace{steps: map[int]int{}, last: map[int]time.Time{}}
		running      sync.WaitGroup
	)
	for w := range writers {
		running.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				payload := fmt.Sprintf("%d %d", w, n)
				if err := p.Publish("commits.test", keyed(fmt.Sprint(w), payload)); err != nil {
					t.Errorf("%s: %v", payload, err)
				}
				writing.step(w)
				mu.Lock()
				acknowledged[payload] = true
				mu.Unlock()
			}
		})
	}
	running.Go(func() {
		_ = bus.Consume(ctx, cfg, "readers", []string{"commits.test"}, func(_ context.Context, batch []bus.Message) error {
			for _, m := range batch {
				w, err := strconv.Atoi(string(m.Key))
				if err != nil {
					return err
				}
				reading.step(w)
			}
			return nil
		})
	})
	// on returns once everyone has gone on for a while.
	on := func() {
		t.Helper()
		writing.reset()
		reading.reset()
		// How long nobody may wait is asked below; how many go in a minute is the machine's to say.
		for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
			wrote, _ := writing.least(writers)
			read, _ := reading.least(writers)
			if wrote >= 100 && read >= 100 {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("after 3 minutes the slowest has written %d and read %d", wrote, read)
			}
		}
	}
	for _, b := range k.Brokers {
		on()
		b.Kill()
		on()
		_, wrote := writing.least(writers)
		_, read := reading.least(writers)
		t.Logf("%s killed: nobody waited longer than %v for a write, and %v for something to read", b.Name, wrote.Round(time.Millisecond), read.Round(time.Millisecond))
		if max(wrote, read) > longest {
			t.Errorf("%s was killed, and for %v nothing was written or read", b.Name, max(wrote, read))
		}
		must(t, b.Start(t.Context()))
	}
	on()
	stop()
	running.Wait()
	lost := acknowledged
	everything(t, cfg, "commits.test", func(m bus.Message) { delete(lost, string(m.Value)) })
	if len(lost) > 0 {
		t.Errorf("%d acknowledged messages are gone", len(lost))
	}
}

// everything reads a topic from its beginning to where it ends now.
func everything(t *testing.T, cfg bus.Config, topic string, see func(bus.Message)) {
	t.Helper()
	ends, err := bus.Ends(t.Context(), cfg, topic)
	must(t, err)
	from, missing := bus.Offsets{topic: {}}, map[int]bool{}
	for partition, end := range ends[topic] {
		if from[topic][partition] = 0; end > 0 {
			missing[partition] = true
		}
	}
	ctx, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	var mu sync.Mutex
	_ = bus.ConsumeFrom(ctx, cfg, from, func(_ context.Context, batch []bus.Message) error {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range batch {
			see(m)
		}
		last := batch[len(batch)-1]
		if last.Offset+1 >= ends[topic][last.Partition] {
			if delete(missing, last.Partition); len(missing) == 0 {
				done()
			}
		}
		return nil
	})
	if len(missing) > 0 {
		t.Errorf("%s could not be read to its end", topic)
	}
}

func TestABrokerThatIsPausedOrKilledGoesOnWhereItWas(t *testing.T) {
	k := startKafka(t, cluster.KafkaConfig{})
	broker, cfg := k.Brokers[0], busAt(t, k.Addrs()...)
	must(t, bus.EnsureTopics(t.Context(), cfg, bus.Topic{Name: "topic"}))
	p := bus.NewPublisher(cfg)
	closeAfter(t, p)
	publish := func(payload string) {
		t.Helper()
		must(t, p.Publish("topic", keyed("k", payload)))
	}
	publish("before")
	must(t, broker.Pause())
	paused := make(chan error, 1)
	go func() { paused <- p.Publish("topic", keyed("k", "while it is paused")) }()
	select {
	case err := <-paused:
		t.Fatalf("a paused broker took a message: %v", err)
	case <-time.After(time.Second):
	}
	must(t, broker.Resume())
	must(t, <-paused)
	must(t, broker.Restart(t.Context()))
	publish("after kill -9")
	must(t, broker.Stop())
	must(t, broker.Start(t.Context()))
	publish("after a stop")
	var got []string
	everything(t, cfg, "topic", func(m bus.Message) { got = append(got, string(m.Value)) })
	if s := strings.Join(got, ", "); s != "before, while it is paused, after kill -9, after a stop" {
		t.Errorf("the topic holds %s", s)
	}
}

func TestPostgresKeepsWhatItCommittedOverKill(t *testing.T) {
	p, err := cluster.ForTest(t).Postgres(t.Context(), cluster.PostgresConfig{})
	must(t, err)
	query := func(database, statement string) (n int) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), p.URL(database))
		must(t, err)
		defer conn.Close(t.Context())
		must(t, conn.QueryRow(t.Context(), statement).Scan(&n))
		return n
	}
	for _, database := range []string{"yimu", "vault"} {
		query(database, "WITH made AS (SELECT 7 AS n) SELECT n FROM made")
	}
	conn, err := pgx.Connect(t.Context(), p.URL("yimu"))
	must(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE t AS SELECT 7 AS n")
	must(t, err)
	must(t, p.Restart(t.Context())) // with an open session
	if n := query("yimu", "SELECT n FROM t"); n != 7 {
		t.Errorf("got %d", n)
	}
	must(t, p.Stop())
	must(t, p.Start(t.Context()))
	if n := query("yimu", "SELECT n FROM t"); n != 7 {
		t.Errorf("got %d", n)
	}
}

func TestKafkaThatAsksForAPassword(t *testing.T) {
	c := cluster.ForTest(t)
	k, err := c.Kafka(t.Context(), cluster.KafkaConfig{Secure: true})
	must(t, err)
	as := func(user, password, mechanism string) bus.Config {
		t.Helper()
		cfg := busAt(t, k.Secure.Addrs...)
		must(t, bus.Security{CA: c.CA, User: user, Password: password, Mechanism: mechanism}.Apply(&cfg))
		return cfg
	}
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			cfg := as(k.Secure.User, k.Secure.Password, mechanism)
			must(t, bus.EnsureTopics(t.Context(), cfg, bus.Topic{Name: mechanism}))
			p := bus.NewPublisher(cfg)
			closeAfter(t, p)
			must(t, p.Publish(mechanism, keyed("k", "x")))
			ctx, done := context.WithTimeout(t.Context(), time.Minute)
			defer done()
			taken := 0
			_ = bus.Consume(ctx, cfg, mechanism, []string{mechanism}, func(context.Context, []bus.Message) error {
				taken++
				done()
				return nil
			})
			if taken != 1 {
				t.Errorf("the group took %d batches", taken)
			}
			for name, wrong := range map[string]bus.Config{
				"a wrong password": as(k.Secure.User, "guess", mechanism),
				"a wrong user":     as("nobody", k.Secure.Password, mechanism),
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // it is said, not waited for
				defer cancel()
				topics := bus.EnsureTopics(ctx, wrong, bus.Topic{Name: mechanism})
				consume := bus.Consume(ctx, wrong, "other", []string{mechanism}, nil)
				for _, err := range []error{topics, consume} {
					if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "SASL Authentication Failed") {
						t.Errorf("%s: got %v", name, err)
					}
				}
			}
		})
	}
}

// What is started dies with who started it, however that ends.
func TestNothingIsLeftOfARigThatWasKilled(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "with")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./with").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rig := exec.CommandContext(t.Context(), binary, "sh", "-c", "echo $YIMU_TEST_KAFKA $YIMU_TEST_DATABASE; read line")
	rig.Env = append(os.Environ(), "YIMU_TEST_KAFKA=", "YIMU_TEST_DATABASE=")
	rig.Stderr = t.Output()
	in, err := rig.StdinPipe() // open, so that the command waits
	must(t, err)
	said, err := rig.StdoutPipe()
	must(t, err)
	must(t, rig.Start())
	line, err := bufio.NewReader(said).ReadString('\n')
	must(t, err)
	kafka, database, _ := strings.Cut(strings.TrimSpace(line), " ")
	at, err := url.Parse(database)
	must(t, err)
	must(t, rig.Process.Kill())
	must(t, in.Close()) // ends the command, which is not the rig's
	_ = rig.Wait()
	for name, addr := range map[string]string{"Kafka": kafka, "PostgreSQL": at.Host} {
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			conn, err := net.Dial("tcp", addr)
			if errors.Is(err, syscall.ECONNREFUSED) {
				break
			}
			if err == nil {
				conn.Close()
			}
			if time.Now().After(deadline) {
				t.Errorf("%s still answers at %s: %v", name, addr, err)
				break
			}
		}
	}
	// Whoever comes next removes its directory.
	must(t, cluster.ForTest(t).Close())
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("yimu-cluster-%d-*", rig.Process.Pid))); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
