package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
	"github.com/yimu-ledger/yimu/services/yimu/internal/office"
)

type benchCmd struct {
	System BenchCmd       `cmd:"" default:"withargs" help:"Ballots a second, receipts, figures of the past, bundles, import, replay, memory."`
	Estate benchEstateCmd `cmd:"" help:"An estate of 60,000 homes: its import, a meeting, pages, a bundle."`
}

// BenchCmd measures a whole system, run as a process of its own, from outside.
type BenchCmd struct {
	Dir      string        `help:"Where to measure: a directory on the disk that is going to be used. It is left as it was." placeholder:"TEMP" type:"existingdir"`
	Voters   int           `help:"Owners who vote." default:"5000"`
	Meetings int           `help:"Meetings they vote in, once in each." default:"12"`
	Time     time.Duration `help:"How long ballots are cast by each number of clients." default:"3s"`
	Events   int           `help:"How many events are replayed." default:"1000000"`
	Readings int           `help:"How often data of owners are read, which is recorded, to see what each such event costs whoever checks them." default:"20000"`
}

// Targets, of a machine with two cores that the load comes from too.
const (
	wantImport = "< 15 s"
	wantPage   = "< 100 ms"
	wantIdle   = "< 300 MB"
	wantReplay = "≥ 60,000/s"
	wantLeaves = "≥ 10,000/s"
)

// receipts are asked for while so many clients cast ballots.
const receiptsBeside = 64

// clients is how many cast ballots at a time.
var clients = []struct {
	number int
	want   string
}{{1, "p50 < 5 ms"}, {8, ""}, {64, "≥ 6,000/s, p99 < 40 ms"}, {256, ""}}

// figure is one line of the table.
type figure struct{ what, is, want string }

type bench struct {
	BenchCmd
	dir    string // of the system
	binary string
	booth  *load.Booth
	head   es.Position // after the import of the demonstration estate
	table  []figure
}

// Run measures and prints a table. What is under way is told on standard error.
func (c *BenchCmd) Run(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "yimu-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{BenchCmd: *c, dir: filepath.Join(dir, "data"), binary: binary}
	if err := b.disk(dir); err != nil {
		return err
	}
	return b.run(ctx, []measurement{
		{"importing the demonstration estate, and one of voters", b.papers},
		{"casting ballots", b.ballots},
		{"filling the ledger, and replaying that", b.replay},
	})
}

// measurement is a part of a bench, and what it is about.
type measurement struct {
	what    string
	measure func(context.Context) error
}

// run says what it measures, one after the other, and prints what came out.
func (b *bench) run(ctx context.Context, parts []measurement) error {
	for _, part := range parts {
		fmt.Fprintln(os.Stderr, part.what+" …")
		if err := part.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
	}
	return b.print(os.Stdout)
}

func (b *bench) add(what, want, format string, args ...any) {
	b.table = append(b.table, figure{what, fmt.Sprintf(format, args...), want})
}

func (b *bench) print(w io.Writer) error {
	fmt.Fprintf(w, "yimu %s, %s/%s, %d cores, load from the same machine\n\n", version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU())
	for _, f := range append([]figure{{"", "measured", "wanted"}}, b.table...) {
		if _, err := fmt.Fprintf(w, "%-52s %-62s %s\n", f.what, f.is, f.want); err != nil {
			return err
		}
	}
	return nil
}

// disk measures what every acknowledgement waits for.
func (b *bench) disk(dir string) error {
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	took := make([]time.Duration, 300)
	for i := range took {
		if _, err := f.Write(make([]byte, 4<<10)); err != nil {
			return err
		}
		start := time.Now()
		if err := f.Sync(); err != nil {
			return err
		}
		took[i] = time.Since(start)
	}
	slices.Sort(took)
	b.add("fsync of 4 KiB on this disk", "", "p50 %s  p99 %s", ms(took[len(took)/2]), ms(took[len(took)*99/100]))
	return nil
}

// papers imports, with the clock so far back that a notice posted then lets
// owners vote now.
func (b *bench) papers(ctx context.Context) error {
	s, err := load.Start(ctx, b.binary, b.dir, load.Past)
	if err != nil {
		return err
	}
	defer s.Kill()
	token, err := s.Token(ctx)
	if err != nil {
		return err
	}
	papers, err := fs.Sub(demoPapers, "demo/xiushan")
	if err != nil {
		return err
	}
	start := time.Now()
	result, err := office.Import{Server: s.URL(), Token: token, Estate: demoEstate, Papers: papers}.Run(ctx)
	if err != nil {
		return err
	}
	took, rows := time.Since(start), 0
	for _, f := range result.Files {
		if f.Report != nil {
			rows += f.Report.Rows
		}
	}
	b.head = result.Position
	b.add(fmt.Sprintf("import of an estate, %d rows", rows), wantImport, "%.1f s", took.Seconds())
	if b.booth, err = load.Setup(ctx, s.Site, b.Voters, b.Meetings, 24*time.Hour); err != nil {
		return err
	}
	return s.Stop()
}

// ballots starts the system anew and measures what people see of it, and how
// many ballots it takes.
func (b *bench) ballots(ctx context.Context) error {
	s, err := load.Start(ctx, b.binary, b.dir, 0)
	if err != nil {
		return err
	}
	defer s.Kill()
	if err := b.pages(ctx, s); err != nil {
		return err
	}
	if err := b.idle(ctx, s, "memory, idle", wantIdle); err != nil {
		return err
	}
	if err := b.past(ctx, s); err != nil {
		return err
	}
	m := memoryOf(ctx, s)
	defer m.stop()
	var cast atomic.Int64
	for _, c := range clients {
		before := s.CPU()
		var r *receipts
		var answered func(n, status int, body []byte)
		if c.number == receiptsBeside {
			if r, err = b.receipts(ctx, s.Site); err != nil {
				return err
			}
			answered = r.take
		}
		ctx, cancel := context.WithTimeout(ctx, b.Time)
		f := load.Press(ctx, s.Addr, c.number, func(buf []byte, _ int) ([]byte, bool) {
			i := int(cast.Add(1) - 1)
			if i >= len(b.booth.Meetings)*len(b.booth.Tokens) {
				return buf, false
			}
			return b.booth.Ballot(i/len(b.booth.Tokens), i%len(b.booth.Tokens), "bench-ballot-"+strconv.Itoa(i), votes.Yes).Append(buf, s.Addr), true
		}, answered)
		cancel()
		if err := f.Only(http.StatusCreated); err != nil {
			return err
		}
		if f.Answers(http.StatusCreated) == 0 {
			return fmt.Errorf("no ballot is left for %d clients: %d owners cast one in each of %d meetings; name more --voters or --meetings, or less --time",
				c.number, len(b.booth.Tokens), len(b.booth.Meetings))
		}
		b.add(fmt.Sprintf("ballots from %d clients", c.number), c.want,
			"%.0f/s  p50 %s  p99 %s", f.PerSecond(http.StatusCreated), ms(f.Quantile(.5)), ms(f.Quantile(.99)))
		if used := s.CPU() - before; used > 0 {
			b.table[len(b.table)-1].is += fmt.Sprintf("  %d µs CPU each", used.Microseconds()/int64(f.Answers(http.StatusCreated)))
		}
		if r != nil {
			took, err := r.end()
			if err != nil {
				return err
			}
			b.add("a ballot's receipt, after its answer", wantProof, "p50 %s  p99 %s, of %d", ms(took[len(took)/2]), ms(took[len(took)*99/100]), len(took))
		}
	}
	m.stop()
	b.add("memory, under load", "", "%d MB", m.most.Load()>>20)
	if err := b.bundles(ctx, s); err != nil {
		return err
	}
	return s.Stop()
}

// pages measures how soon a person sees the budget.
func (b *bench) pages(ctx context.Context, s *load.Server) error {
	took := make([]time.Duration, 50)
	for i := range took {
		start := time.Now()
		if _, err := s.Get(ctx, "/estates/"+demoEstate); err != nil {
			return err
		}
		took[i] = time.Since(start)
	}
	first := took[0]
	slices.Sort(took)
	b.add("the estate's page, the first after a start", wantPage, "%s, later p50 %s", ms(first), ms(took[len(took)/2]))
	return nil
}

// idle measures a system that nobody asks for anything, once it has seen that.
func (b *bench) idle(ctx context.Context, s *load.Server, what, want string) error {
	if err := pause.For(ctx, 4*quietEvery); err != nil {
		return err
	}
	n, err := s.Memory(ctx)
	b.add(what, want, "%d MB", n>>20)
	return err
}

// replay puts events into the ledger that the read models have not seen, and
// starts the system: it is ready once they have.
func (b *bench) replay(ctx context.Context) error {
	signed, err := b.signed()
	if err != nil {
		return err
	}
	events, err := fill(ctx, b.dir, b.head, b.Events)
	if err != nil {
		return err
	}
	leaves := make(chan time.Duration, 1)
	go func() {
		for start := time.Now(); ; {
			if n, err := b.signed(); err == nil && n >= signed+uint64(events) || ctx.Err() != nil {
				leaves <- time.Since(start)
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	s, err := load.Start(ctx, b.binary, b.dir, 0)
	if err != nil {
		return err
	}
	defer s.Kill()
	b.add(fmt.Sprintf("replay of %d events into the read models", events), wantReplay, "%.0f/s, %.1f s", float64(events)/s.Ready.Seconds(), s.Ready.Seconds())
	if used := s.CPU(); used > 0 {
		b.table[len(b.table)-1].is += fmt.Sprintf("  %d µs CPU each", used.Microseconds()/int64(events))
	}
	took := <-leaves
	b.add("the same into the transparency log, meanwhile", wantLeaves, "%.0f/s, %.1f s", float64(events)/took.Seconds(), took.Seconds())
	if err := s.Stop(); err != nil {
		return err
	}
	if s, err = load.Start(ctx, b.binary, b.dir, 0); err != nil {
		return err
	}
	defer s.Kill()
	b.add("ready again with such a ledger", "", "%s", ms(s.Ready))
	if err := b.idle(ctx, s, "memory, idle with such a ledger", wantIdle); err != nil {
		return err
	}
	return s.Stop()
}

// signed is how many leaves the transparency log has.
func (b *bench) signed() (uint64, error) {
	text, err := os.ReadFile(filepath.Join(b.dir, "log", "checkpoint"))
	if err != nil {
		return 0, err
	}
	c, err := proof.ParseCheckpoint(string(text))
	return c.Size, err
}

func ms(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
}
