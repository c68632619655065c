//go:build integration

package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/yimu/internal/audit"
	"github.com/yimu-ledger/yimu/services/yimu/internal/cluster"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

var benchPartitions = flag.Int("partitions", 1, "of each topic of the measured cluster; on two cores one makes the largest groups")

// What is wanted of a cluster that shares two cores with all it stands on, and
// with the load.
const (
	wantBallots = "≥ 2,000/s"
	wantFlow    = "< 10 s"
	wantMemory  = "< 100 MB"
)

// BenchmarkCluster measures a cluster from outside and prints a table: a process
// per service, the store behind its protocol, Apache Kafka and PostgreSQL.
func BenchmarkCluster(b *testing.B) {
	for range b.N {
		m := newClusterBench(b)
		m.ballots()
		m.broker()
		for _, s := range m.yimu.All() {
			idle, loaded := m.idle[s.Name], m.loaded[s.Name]
			m.add("memory of "+s.Name, wantMemory, "%d MB idle, %d MB with 64 clients, %d MB of that the program, which all share",
				idle.resident>>20, loaded.resident>>20, loaded.files>>20)
		}
		average, _ := os.ReadFile("/proc/loadavg")
		m.add("load average in the end, of 1, 5 and 15 minutes", "", "%s", strings.Join(strings.Fields(string(average) + " ? ? ?")[:3], "  "))
		m.must(m.print(os.Stdout))
	}
}

type clusterBench struct {
	*testing.B
	bench
	kafka *cluster.Kafka
	yimu  *cluster.Yimu
	site  load.Site
	voted int // voters, through all meetings

	idle, loaded map[string]footprint // by process
}

// footprint is the memory of a process, in bytes.
type footprint struct{ resident, files int64 }

func (m *clusterBench) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

// newClusterBench starts a cluster whose owners may vote, and measures it at rest.
func newClusterBench(b *testing.B) *clusterBench {
	m := &clusterBench{B: b, idle: map[string]footprint{}, loaded: map[string]footprint{}}
	ctx, c := b.Context(), cluster.ForTest(b)
	m.must(m.disk(c.Dir))
	config := cluster.YimuConfig{
		Binary: *binary,
		Flags: func(process string) []string {
			if strings.HasPrefix(process, "portal") || strings.HasPrefix(process, "store") {
				return nil
			}
			return []string{"--kafka-partitions", strconv.Itoa(*benchPartitions)}
		},
		Env: func(string) []string { return []string{"YIMU_TEST_CLOCK=" + load.Past.String()} },
	}
	var err error
	m.kafka, err = c.Kafka(ctx, cluster.KafkaConfig{})
	m.must(err)
	config.Kafka = m.kafka
	config.Postgres, err = c.Postgres(ctx, cluster.PostgresConfig{Fsync: true})
	m.must(err)
	m.yimu, err = c.Yimu(ctx, config)
	m.must(err)
	m.site = load.Site{Addr: m.yimu.Services["portal"][0].Addr, Dir: m.yimu.Services["registry"][0].Data, Binary: *binary}
	m.booth, err = load.Setup(ctx, m.site, 3000, 40, 24*time.Hour)
	m.must(err)
	var g errgroup.Group
	for _, s := range m.yimu.All() {
		g.Go(func() error {
			if err := s.Stop(); err != nil {
				return err
			}
			s.Env = nil
			return s.Start(ctx)
		})
	}
	m.must(g.Wait())
	m.wait(5 * time.Second)
	m.remember(m.idle)
	return m
}

func (m *clusterBench) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-m.Context().Done():
	}
}

// remember keeps the most memory that each process of yimu was seen with.
func (m *clusterBench) remember(most map[string]footprint) {
	for _, s := range m.yimu.All() {
		if resident, files, err := s.Memory(); err == nil && resident > most[s.Name].resident {
			most[s.Name] = footprint{resident, files}
		}
	}
}

// ballots measures how many are acknowledged, and what each costs whom.
func (m *clusterBench) ballots() {
	processes := []*cluster.Process{m.kafka.Brokers[0].Process} // PostgreSQL hides what its own processes use
	for _, s := range m.yimu.All() {
		processes = append(processes, s.Process)
	}
	next := atomic.Int64{}
	// The first round is not told: the JVM compiles what it does often.
	for round, n := range []int{64, 1, 8, 64, 256} {
		ctx, cancel := context.WithTimeout(m.Context(), 8*time.Second)
		over := make(chan struct{})
		go func() {
			defer close(over)
			for ctx.Err() == nil {
				if n <= 64 {
					m.remember(m.loaded)
				}
				select {
				case <-ctx.Done():
				case <-time.After(250 * time.Millisecond):
				}
			}
		}()
		used := map[string]time.Duration{}
		for _, p := range processes {
			used[p.Name] = -load.CPU(p.Pid())
		}
		f := load.Press(ctx, m.site.Addr, n, func(buf []byte, _ int) ([]byte, bool) {
			i := int(next.Add(1) - 1)
			if i >= len(m.booth.Meetings)*len(m.booth.Tokens) {
				return buf, false
			}
			return m.booth.Ballot(i/len(m.booth.Tokens), i%len(m.booth.Tokens), "bench-ballot-"+strconv.Itoa(i), votes.Yes).Append(buf, m.site.Addr), true
		}, nil)
		cancel()
		<-over
		m.must(f.Only(http.StatusCreated))
		if round == 0 {
			continue
		}
		want := ""
		if n == 64 {
			want = wantBallots
		}
		m.add(fmt.Sprintf("ballots from %d clients, partitions: %d", n, *benchPartitions), want,
			"%.0f/s  p50 %s  p99 %s", f.PerSecond(http.StatusCreated), ms(f.Quantile(.5)), ms(f.Quantile(.99)))
		all := time.Duration(0)
		for _, p := range processes {
			used[p.Name] += load.CPU(p.Pid())
			all += used[p.Name]
		}
		slices.SortFunc(processes, func(p, q *cluster.Process) int { return int(used[q.Name] - used[p.Name]) })
		each := func(d time.Duration) int64 { return d.Microseconds() / int64(f.Answers(http.StatusCreated)) }
		text := fmt.Sprintf("%d", each(all))
		for _, p := range processes {
			text += fmt.Sprintf("  %s %d", p.Name, each(used[p.Name]))
		}
		m.add("  µs of processor for each, in all and by whom", "", "%s", text)
	}
	m.voted = int(next.Load())
}

// broker measures how soon ballots are acknowledged again after the broker was
// killed and started.
func (m *clusterBench) broker() {
	crowd := &audit.Crowd{Journal: audit.NewJournal(), Booth: m.booth, Site: m.site, Voters: 64, Pace: 200}
	crowd.Skip(m.voted)
	ctx, stop := context.WithCancel(m.Context())
	ended := make(chan error, 1)
	go func() { ended <- crowd.Run(ctx) }()
	flows := func(after time.Time) {
		for deadline := time.Now().Add(time.Minute); !crowd.Journal.Flows("ballot", after); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				m.Fatal("no ballot is acknowledged")
			}
		}
	}
	flows(time.Now())
	crowd.Journal.Gap()
	killed := time.Now()
	m.must(m.kafka.Brokers[0].Restart(m.Context()))
	up := time.Now()
	flows(up)
	m.add("ballots again after the broker's restart", wantFlow, "%.1f s after it answers, which takes %.1f s; nothing acknowledged for %.1f s",
		time.Since(up).Seconds(), up.Sub(killed).Seconds(), crowd.Journal.Gap().Seconds())
	stop()
	<-ended
}
