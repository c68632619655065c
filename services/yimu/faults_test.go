//go:build integration

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/yimu/internal/audit"
	"github.com/yimu-ledger/yimu/services/yimu/internal/cluster"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

var faults = flag.Int("faults", 1, "how often each part is killed in a row; other faults come a quarter as often, and each connection breaks a seventh as often")

// kills, others and cuts are how often what is done. A short round does
// everything once, but breaks each connection in one of three ways, and replays
// the read models only in the end.
func kills() int  { return *faults }
func others() int { return (*faults + 3) / 4 }
func cuts() int   { return (*faults + 6) / 7 }
func short() bool { return *faults == 1 }

const (
	// bearable is how long after a fault every command must have its final answer.
	bearable = 45 * time.Second
	// lasting is how long a part stays away.
	lasting = 3 * time.Second

	voteLasts = 24 * time.Hour
)

// TestFaults breaks the parts of a yimu under load, one after the other, and
// holds what it answered against its ledger and its read models.
func TestFaults(t *testing.T) {
	r := &report{start: time.Now()}
	defer r.print()
	for _, c := range []struct {
		name  string
		drill func(*testing.T, *report)
	}{
		{"parts are killed, paused, doubled and wrong about the time", drillParts},
		{"connections break", drillConnections},
		{"one of three brokers is killed", drillBrokers},
		{"the disk is full", drillDisk},
	} {
		t.Run(c.name, func(t *testing.T) { c.drill(t, r) })
	}
}

// drill is a yimu under load.
type drill struct {
	*testing.T
	*cluster.Yimu
	cluster  *cluster.Cluster
	kafka    *cluster.Kafka
	postgres *cluster.Postgres
	journal  *audit.Journal
	crowd    *audit.Crowd
	report   *report
	seen     audit.Counts // at the last line of the report
}

// place is what a drill runs on.
type place struct {
	kafka cluster.KafkaConfig
	yimu  cluster.YimuConfig
	with  func(*drill) // before yimu starts
}

const (
	homes = 400
	pace  = 60 // commands a second
)

// newDrill starts a yimu and its load, which is enough for so many seconds.
func newDrill(t *testing.T, r *report, seconds int, p place) *drill {
	t.Helper()
	ctx := t.Context()
	d := &drill{T: t, cluster: cluster.ForTest(t), report: r, journal: audit.NewJournal()}
	p.yimu.Binary = yimu(t)
	var g errgroup.Group
	g.Go(func() (err error) { d.kafka, err = d.cluster.Kafka(ctx, p.kafka); return err })
	g.Go(func() (err error) { d.postgres, err = d.cluster.Postgres(ctx, cluster.PostgresConfig{}); return err })
	d.must(g.Wait())
	p.yimu.Kafka, p.yimu.Postgres = d.kafka, d.postgres
	p.yimu.Env = func(string) []string { return []string{clock(load.Past)} }
	if p.with != nil {
		p.with(d)
	}
	var err error
	d.Yimu, err = d.cluster.Yimu(ctx, p.yimu)
	d.must(err)
	site := load.Site{Addr: d.Services["portal"][0].Addr, Dir: d.Services["registry"][0].Data, Binary: p.yimu.Binary}
	booth, err := load.Setup(ctx, site, homes, 1+seconds*pace/homes, voteLasts)
	d.must(err)
	d.setClock(0)

	d.crowd = &audit.Crowd{Journal: d.journal, Booth: booth, Site: site, Voters: 9, Clerks: 3, Pace: pace}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- d.crowd.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return d
}

func (d *drill) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func clock(ahead time.Duration) string { return "YIMU_TEST_CLOCK=" + ahead.String() }

// setClock starts every process that runs anew, with a clock that is so far ahead.
func (d *drill) setClock(ahead time.Duration) {
	d.Helper()
	running := slices.DeleteFunc(d.All(), func(s *cluster.Service) bool { return !s.Running() })
	var g errgroup.Group
	for _, s := range running {
		g.Go(s.Stop)
	}
	d.must(g.Wait())
	for _, s := range running {
		s.Env = []string{clock(ahead)}
		g.Go(func() error { return s.Start(d.Context()) })
	}
	d.must(g.Wait())
}

// suffer lets a fault happen again and again. strike returns once the part is
// mended. Then everything that was asked must be answered, and be as it was
// answered.
func (d *drill) suffer(what string, times int, strike func(n int) error) {
	d.Helper()
	row := row{what: what, times: times}
	for n := range times {
		d.flow()
		d.journal.Gap()
		d.wait(rand.N(time.Second)) // no fault waits for a good moment
		if err := strike(n); err != nil {
			d.Fatalf("%s: %v", what, err)
		}
		mended := time.Now()
		d.flow()
		row.settled = max(row.settled, d.settle(what, mended))
		row.gap = max(row.gap, d.journal.Gap())
	}
	row.findings = d.audit(what, !short())
	row.Counts, d.seen = since(d.journal.Count(), d.seen), d.journal.Count()
	d.report.add(row)
	d.Logf("%s, %d times: %d acknowledged, answered after %v, longest silence %v",
		what, times, row.Accepted, row.settled.Round(time.Millisecond), row.gap.Round(time.Millisecond))
}

func since(now, before audit.Counts) audit.Counts {
	now.Accepted -= before.Accepted
	now.Refused -= before.Refused
	now.Dropped -= before.Dropped
	now.Unclear -= before.Unclear
	return now
}

// flow waits until ballots and payments that are sent from now on are acknowledged.
func (d *drill) flow() {
	d.Helper()
	start := time.Now()
	for _, kind := range []string{"ballot", "payment"} {
		for !d.journal.Flows(kind, start) {
			if time.Since(start) > bearable {
				d.Fatalf("no %s is taken", kind)
			}
			time.Sleep(10 * time.Millisecond) // other processes: there is nothing to wait for
		}
	}
}

// settle waits until everything that was sent before a time has its final answer.
func (d *drill) settle(what string, mended time.Time) time.Duration {
	for {
		open := d.journal.Open(mended)
		took := time.Since(mended)
		if len(open) == 0 {
			return took
		}
		if took > bearable {
			for _, c := range open {
				d.Errorf("%s: %s has no final answer after %v", what, c.Key, bearable)
			}
			return took
		}
		time.Sleep(10 * time.Millisecond) // other processes: there is nothing to wait for
	}
}

// end compares the read models with a replay, where that was not done after each
// kind of fault.
func (d *drill) end() {
	d.Helper()
	if short() {
		d.report.add(row{what: "in the end the read models are replayed", findings: d.audit("in the end", true)})
	}
}

// audit lets the load pause and compares answers and ledger, and read models
// with a replay.
func (d *drill) audit(what string, replay bool) []audit.Finding {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), bearable)
	defer cancel()
	d.crowd.Pause(ctx)
	d.must(ctx.Err())
	defer d.crowd.Resume()
	d.must(d.journal.Read(d.Context(), d.crowd.Site))
	found := d.journal.Verify()
	if replay {
		found = append(found, d.replay()...)
	}
	for _, f := range found {
		d.Errorf("%s: %v", what, f)
	}
	return found
}

// replay compares the read models with what a replay from zero makes of them.
func (d *drill) replay() (found []audit.Finding) {
	d.Helper()
	for range 3 {
		head := d.catchUp()
		live := d.rows()
		d.must(d.Rebuild(d.Context()))
		if d.catchUp() != head {
			continue // a deadline or a night's work came between
		}
		replayed := d.rows()
		for table, rows := range live {
			if replayed[table] != rows {
				found = append(found, audit.Finding{Kind: "rows differ", Text: fmt.Sprintf("%s was %s and is %s after a replay", table, rows, replayed[table])})
			}
		}
		return found
	}
	d.Fatal("the ledger does not stand still")
	return nil
}

// catchUp waits until every projection is where the ledger ends, and returns where.
func (d *drill) catchUp() uint64 {
	d.Helper()
	db := d.database()
	defer func() { _ = db.Close(d.Context()) }()
	for deadline := time.Now().Add(time.Minute); ; {
		d.must(d.journal.Read(d.Context(), d.crowd.Site))
		head := uint64(d.journal.Head())
		behind := ""
		for _, schema := range cluster.Services {
			var name *string
			err := db.QueryRow(d.Context(), fmt.Sprintf(`SELECT min(name || ' at ' || position) FROM %s.checkpoint WHERE position < $1 AND name NOT LIKE 'reaction/%%'`, schema), head).Scan(&name)
			d.must(err)
			if name != nil {
				behind = schema + ": " + *name
			}
		}
		if behind == "" {
			return head
		}
		if time.Now().After(deadline) {
			d.Fatalf("%s, and the ledger ends at %d", behind, head)
		}
		time.Sleep(50 * time.Millisecond) // other processes: there is nothing to wait for
	}
}

func (d *drill) database() *pgx.Conn {
	d.Helper()
	db, err := pgx.Connect(d.Context(), d.postgres.URL("yimu"))
	d.must(err)
	return db
}

// rows tells, by table, how many rows it has and a hash of all.
func (d *drill) rows() map[string]string {
	d.Helper()
	db := d.database()
	defer func() { _ = db.Close(d.Context()) }()
	tables, err := db.Query(d.Context(), `SELECT table_schema || '.' || table_name FROM information_schema.tables
		WHERE table_schema = ANY($1) AND table_name NOT IN ('checkpoint', 'goose_db_version')`, cluster.Services)
	d.must(err)
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	d.must(err)
	all := map[string]string{}
	for _, name := range names {
		var rows string
		d.must(db.QueryRow(d.Context(), `SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(md5(t::text), '' ORDER BY md5(t::text))), '') FROM `+name+` t`).Scan(&rows))
		all[name] = rows
	}
	return all
}

// killing kills a process, leaves it dead for a moment, and starts it.
func (d *drill) killing(p interface {
	Kill()
	Start(context.Context) error
}) func(int) error {
	return func(n int) error {
		p.Kill()
		d.wait(time.Duration(n%3) * lasting / 2) // at once, and later
		return p.Start(d.Context())
	}
}

// wait lets a fault last.
func (d *drill) wait(during time.Duration) {
	select {
	case <-time.After(during):
	case <-d.Context().Done():
	}
}

func drillParts(t *testing.T, r *report) {
	d := newDrill(t, r, 60+kills()*12*15, place{yimu: cluster.YimuConfig{Instances: map[string]int{"ledger": 2}}})
	one, two := d.Services["ledger"][0], d.Services["ledger"][1]
	d.must(two.Stop())

	for _, name := range append(slices.Clone(cluster.Services), "portal") {
		d.suffer("kill -9 "+name, kills(), d.killing(d.Services[name][0]))
	}
	d.suffer("kill -9 kafka", kills(), d.killing(d.kafka.Brokers[0]))
	d.suffer("kill -9 postgres", kills(), d.killing(d.postgres))
	d.suffer("kill -9 store", kills(), d.killing(d.Store))
	d.suffer("kafka paused for 10 s", others(), func(int) error {
		if err := d.kafka.Brokers[0].Pause(); err != nil {
			return err
		}
		d.wait(10 * time.Second)
		return d.kafka.Brokers[0].Resume()
	})
	d.suffer("a second ledger joins, the first leaves and comes back", others(), func(n int) error {
		leave := func(p *cluster.Service) error {
			if n%2 == 0 {
				p.Kill()
				return nil
			}
			return p.Stop()
		}
		for _, step := range []func() error{
			func() error { return two.Start(d.Context()) },
			func() error { return leave(one) },
			func() error { return one.Start(d.Context()) },
			func() error { return leave(two) },
		} {
			if err := step(); err != nil {
				return err
			}
			d.wait(lasting)
		}
		return nil
	})
	for i, name := range []string{"votes", "finance", "registry", "ledger", "workorders"}[:min(others(), 5)] {
		ahead := 5 * time.Minute
		if i%2 == 1 {
			ahead = -ahead
		}
		d.suffer(fmt.Sprintf("the clock of %s is %v off", name, ahead), 1, func(int) error {
			return d.wrongClock(name, ahead)
		})
	}

	d.end()

	// And everything is counted.
	yes, no := d.counted()
	tally := d.journal.Tally("ballot")
	if yes != tally[votes.Yes] || no != tally[votes.No] {
		t.Errorf("counted %d for and %d against, acknowledged %v", yes, no, tally)
	}
	r.note("%d ballots were counted, as many as were acknowledged", yes+no)
}

// counted lets time pass until all meetings are closed and counted.
func (d *drill) counted() (yes, no int) {
	d.Helper()
	d.crowd.Pause(d.Context())
	defer d.crowd.Resume()
	d.setClock(2 * voteLasts)
	yes, no, err := d.crowd.Booth.Count(d.Context(), d.crowd.Site)
	d.must(err)
	return yes, no
}

// wrongClock starts a service anew with a wrong clock: it must not be ready and
// take nothing. The ledger's clock is the measure of all others: where that is
// wrong, they must not, and nothing is taken at all.
func (d *drill) wrongClock(name string, ahead time.Duration) error {
	s := d.Services[name][0]
	s.Kill()
	s.Env = []string{clock(ahead)}
	if err := s.Launch(); err != nil {
		return err
	}
	wrong, measure := []string{name}, name == "ledger"
	if measure {
		wrong = slices.DeleteFunc(slices.Clone(cluster.Services), func(other string) bool { return other == name })
	}
	// It answers soon; the others notice once they have heard it for a while.
	until := func(what string, want int, at ...string) error {
		for deadline := time.Now().Add(bearable); ; time.Sleep(10 * time.Millisecond) { // other processes: there is nothing to wait for
			i := slices.IndexFunc(at, func(name string) bool { return status(d.Context(), d.Services[name][0].URL()+what) != want })
			if i < 0 {
				return nil
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s of %s never answers %d", what, at[i], want)
			}
		}
	}
	if err := errors.Join(until("/livez", http.StatusOK, name), until("/readyz", http.StatusServiceUnavailable, wrong...)); err != nil {
		return err
	}
	if measure {
		d.wait(lasting) // what was handed over before is answered
	}
	before := d.journal.Count().Accepted
	for end := time.Now().Add(2 * lasting); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, name := range wrong {
			if status(d.Context(), d.Services[name][0].URL()+"/readyz") == http.StatusOK {
				return fmt.Errorf("%s says that it is ready", name)
			}
		}
	}
	taken := d.journal.Count().Accepted - before
	d.Logf("%d commands were taken meanwhile", taken)
	if measure && taken > 0 {
		return fmt.Errorf("%d commands were taken", taken)
	}
	s.Kill()
	s.Env = []string{clock(0)}
	return s.Start(d.Context())
}

// status is that of a page, 0 where there is no answer.
func status(ctx context.Context, url string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func drillConnections(t *testing.T, r *report) {
	proxies := map[string]*cluster.Proxy{} // by the address before which they stand
	pairs := map[string][]*cluster.Proxy{} // by who talks to whom
	var d *drill
	var mu sync.Mutex
	between := func(pair, at, before string) string {
		mu.Lock()
		defer mu.Unlock()
		p, ok := proxies[pair+before]
		if !ok {
			var err error
			p, err = d.cluster.Proxy(pair, at, before)
			d.must(err)
			proxies[pair+before], pairs[pair] = p, append(pairs[pair], p)
		}
		return p.Addr
	}
	config := place{
		kafka: cluster.KafkaConfig{Via: cluster.Services},
		with:  func(with *drill) { d = with },
	}
	config.yimu.Address = func(process, part, address string) string {
		client, _, _ := strings.Cut(process, "-")
		switch part {
		case "kafka":
			way := d.kafka.Via(client)[slices.Index(d.kafka.Addrs(), address)]
			return between(client+" and kafka", way.Advertised, way.Listen)
		case "database", "vault":
			part = "postgres"
		case "eventstore":
			part = "store"
		}
		return between(client+" and "+part, cluster.FreeAddr(), address)
	}
	d = newDrill(t, r, 60+cuts()*25*2*15, config)

	type way struct {
		breaks func(*cluster.Proxy) error
		lasts  time.Duration
	}
	slowed := way{func(p *cluster.Proxy) error { return p.Slow(300 * time.Millisecond) }, 6 * time.Second}
	ways := []way{ // in turn
		{(*cluster.Proxy).Cut, lasting}, slowed,
		{(*cluster.Proxy).Swallow, 4 * lasting}, slowed,
		{(*cluster.Proxy).Reset, lasting}, slowed,
	}
	for i, pair := range slices.Sorted(maps.Keys(pairs)) {
		times, first := 2*cuts(), 0
		if short() {
			times, first = 1, i
		}
		d.suffer("connections of "+pair, times, func(n int) error {
			w := ways[(first+n)%len(ways)]
			for _, p := range pairs[pair] {
				if err := w.breaks(p); err != nil {
					return err
				}
			}
			d.wait(w.lasts)
			for _, p := range pairs[pair] {
				if err := p.Heal(d.Context()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	d.end()
}

func drillBrokers(t *testing.T, r *report) {
	const longest = 10 * time.Second
	d := newDrill(t, r, 60+kills()*20, place{kafka: cluster.KafkaConfig{Brokers: 3}})
	for i, times := range []int{(kills() + 2) / 3, (kills() + 1) / 3, kills() / 3} {
		if times == 0 {
			continue
		}
		b := d.kafka.Brokers[i]
		d.suffer("kill -9 "+b.Name+", one of three", times, func(int) error {
			b.Kill()
			d.wait(longest + lasting) // nobody helps
			return b.Start(d.Context())
		})
	}
	for _, row := range d.report.rows {
		if strings.HasSuffix(row.what, "one of three") && row.gap > longest {
			t.Errorf("%s: nothing was acknowledged for %v", row.what, row.gap)
		}
	}
	d.end()
}

// drillDisk fills the disk of the store, so that it stops before the disk is
// full, and so that a write fails.
func drillDisk(t *testing.T, r *report) {
	const size = 192 << 20
	var disk string
	d := newDrill(t, r, 60+others()*30, place{with: func(d *drill) {
		disk = filepath.Join(d.cluster.Dir, "store")
		d.must(os.Mkdir(disk, 0o700))
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
			d.Fatalf("a small disk cannot be mounted, which needs root: %v", err)
		}
		d.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	}})
	d.suffer("disk of the store full", others(), func(n int) error {
		ballast := filepath.Join(disk, "ballast")
		left := int64(0)
		if n%2 == 0 {
			left = leastSpace / 2
		}
		if err := fillDisk(ballast, left); err != nil {
			return err
		}
		select {
		case <-d.Store.Ended():
		case <-time.After(bearable):
			return errors.New("the store goes on though its disk is full")
		}
		if said := d.Store.Tail(); !strings.Contains(said, "the disk is full") {
			return fmt.Errorf("the store ended and said %s", said)
		}
		if err := os.Remove(ballast); err != nil {
			return err
		}
		return d.Store.Start(d.Context())
	})
	d.end()
}

// fillDisk writes a file until so much of its disk is left, or nothing.
func fillDisk(path string, left int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	for chunk := make([]byte, 64<<10); ; {
		var disk syscall.Statfs_t
		if err := syscall.Fstatfs(int(f.Fd()), &disk); err != nil {
			return err
		}
		if int64(disk.Bavail)*disk.Bsize <= left {
			return nil
		}
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// report is what is told at the end.
type report struct {
	start time.Time
	mu    sync.Mutex
	rows  []row
	notes []string
}

type row struct {
	what  string
	times int
	audit.Counts
	settled  time.Duration // after which the last command had its final answer
	gap      time.Duration // in which nothing was acknowledged
	findings []audit.Finding
}

func (r *report) add(row row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *report) print() {
	average, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("\nWhat was broken, how often, and what became of it. %d cores, load average %.4s, %v in all.\n\n",
		runtime.NumCPU(), average, time.Since(r.start).Round(time.Second))
	const line = "%-56s %5v %12v %9v %9v %9v %9v %9v %6v\n"
	fmt.Printf(line, "", "", "acknow-", "refused", "not", "unclear", "longest", "answered", "lost or")
	fmt.Printf(line, "", "times", "ledged", "by a rule", "sent", "answers", "silence", "after", "wrong")
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
	var all row
	for _, row := range r.rows {
		fmt.Printf(line, row.what, row.times, row.Accepted, row.Refused, row.Dropped, row.Unclear, seconds(row.gap), seconds(row.settled), len(row.findings))
		all.times += row.times
		all.Accepted += row.Accepted
		all.findings = append(all.findings, row.findings...)
	}
	fmt.Printf("\n%d faults, %d commands acknowledged, %d of them lost, twice, out of order or contradicted.\n", all.times, all.Accepted, len(all.findings))
	for _, note := range r.notes {
		fmt.Println(note + ".")
	}
	for _, f := range all.findings {
		fmt.Println("  " + f.String())
	}
}
