package main

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/yimu/internal/audit"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

var (
	crashes = flag.Int("crashes", 3, "how often the system is killed in a row")
	binary  = flag.String("binary", "", "the yimu to kill; without one, this test binary runs as yimu")
)

// asYimu tells this test binary to run as yimu.
const asYimu = "YIMU_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asYimu) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// yimu returns the path of a yimu to run.
func yimu(t *testing.T) string {
	t.Helper()
	if *binary != "" {
		return *binary
	}
	t.Setenv(asYimu, "1")
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// shortDir is a directory whose path is short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "yimu-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "data")
}

// election is ballots on their way into a system that keeps being killed.
type election struct {
	*load.Booth
	journal *audit.Journal

	mu    sync.Mutex
	asked []*audit.Command
	fresh int // voters who have not been asked yet come from here on, through all meetings
}

// ask makes a new request: of a new voter, or of one who was asked before and
// wants to vote otherwise now. There is none once all have voted.
func (e *election) ask() *audit.Command {
	e.mu.Lock()
	defer e.mu.Unlock()
	voter, choice := e.fresh, votes.Yes
	switch {
	case e.fresh > 0 && len(e.asked)%4 == 0:
		voter, choice = rand.IntN(e.fresh), votes.No
	case e.fresh == len(e.Meetings)*len(e.Tokens):
		return nil
	default:
		e.fresh++
	}
	key := "request-" + strconv.Itoa(len(e.asked))
	c := &audit.Command{
		Request: e.Ballot(voter/len(e.Tokens), voter%len(e.Tokens), key, choice),
		Kind:    "ballot", Register: "voter " + strconv.Itoa(voter), Value: choice + " by " + key,
	}
	e.journal.Begin(c)
	e.asked = append(e.asked, c)
	return c
}

// load sends what had no answer, some of what had one, and then as many new
// requests, and calls enough once so many were answered in all.
func (e *election) load(ctx context.Context, s *load.Server, fresh, until int, enough func()) {
	todo := e.journal.Open(time.Now())
	for _, c := range e.asked {
		if rand.IntN(len(e.asked)) < 30 {
			todo = append(todo, c)
		}
	}
	var (
		sent sync.Map
		done atomic.Int64
	)
	load.Press(ctx, s.Addr, 64, func(buf []byte, n int) ([]byte, bool) {
		var c *audit.Command
		switch {
		case n < len(todo):
			c = todo[n]
		case n < len(todo)+fresh:
			c = e.ask()
		}
		if c == nil {
			return buf, false
		}
		sent.Store(n, c)
		return c.Append(buf, s.Addr), true
	}, func(n, status int, body []byte) {
		c, _ := sent.Load(n)
		e.journal.Answer(c.(*audit.Command), status, body)
		if done.Add(1) == int64(until) {
			enough()
		}
	})
}

// audit reads the ledger on and holds it against the answers.
func (e *election) audit(ctx context.Context, t *testing.T, s *load.Server) {
	t.Helper()
	if err := e.journal.Read(ctx, s.Site); err != nil {
		t.Fatal(err)
	}
	for _, found := range e.journal.Verify() {
		t.Error(found)
	}
}

// TestEveryAcknowledgedBallotOutlivesTheProcess kills the system in the middle
// of a vote, again and again, starts it, and counts in the end.
func TestEveryAcknowledgedBallotOutlivesTheProcess(t *testing.T) {
	const (
		meetings  = 20
		patience  = 3 * time.Second // for a start, without anyone's help
		lastsFor  = 24 * time.Hour
		mostShots = 1000
	)
	ctx, path, dir := t.Context(), yimu(t), shortDir(t)
	start := func(clock time.Duration) *load.Server {
		t.Helper()
		s, err := load.Start(ctx, path, dir, clock)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		if *binary != "" && s.Ready > patience {
			t.Errorf("ready only after %v", s.Ready)
		}
		return s
	}
	s := start(load.Past)
	booth, err := load.Setup(ctx, s.Site, max(200, 50**crashes), meetings, lastsFor)
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()

	e := &election{Booth: booth, journal: audit.NewJournal()}
	var slowest time.Duration
	for range *crashes {
		s := start(0)
		slowest = max(slowest, s.Ready)
		e.audit(ctx, t, s)
		e.load(ctx, s, 1<<30, 100+rand.IntN(mostShots-100), s.Kill)
		s.Kill()
		if t.Failed() {
			return
		}
	}

	s = start(0)
	e.load(ctx, s, 0, -1, nil)
	e.audit(ctx, t, s)
	for _, c := range e.journal.Open(time.Now()) {
		t.Errorf("%s had no answer to the end", c.Key)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}

	s = start(2 * lastsFor)
	e.counted(ctx, t, s)
	n := e.journal.Count()
	t.Logf("%d ballots acknowledged and %d refused over %d kills; ready after at most %v",
		n.Accepted, n.Refused, *crashes, slowest.Round(time.Millisecond))
}

// counted waits until all meetings are counted, and holds that against the answers.
func (e *election) counted(ctx context.Context, t *testing.T, s *load.Server) {
	t.Helper()
	yes, no, err := e.Count(ctx, s.Site)
	if err != nil {
		t.Fatal(err)
	}
	if tally := e.journal.Tally("ballot"); yes != tally[votes.Yes] || no != tally[votes.No] {
		t.Errorf("counted %d for and %d against, acknowledged %v", yes, no, tally)
	}
}
