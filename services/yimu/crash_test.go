package main

import (
	"context"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/service"
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

// election is ballots on their way into a system that keeps being killed: what
// was asked, what was answered, and what the ledger holds.
type election struct {
	*load.Booth

	next    atomic.Int64 // number of the next new request
	mu      sync.Mutex
	answers map[int]answer // by number of the request; without a status while there is none

	position uint64            // up to which the ledger was read
	events   map[uuid.UUID]int // how often each BallotCast is there
	streams  map[string]int    // how many of them each stream holds
}

type answer struct {
	status int
	event  uuid.UUID // of an acknowledged ballot
}

// voter says whose ballot request i is: three of four are new, the fourth is of
// someone who was asked for a little earlier and wants to vote again.
func (e *election) voter(i int) (meeting, voter int, choice string) {
	n, choice := i-i/4, votes.Yes
	if i%4 == 3 {
		n, choice = max(0, n-1-i%89), votes.No
	}
	return n / len(e.Tokens), n % len(e.Tokens), choice
}

// load sends first what had no answer, then some that had one, then new
// ballots, and calls enough once so many were answered.
func (e *election) load(ctx context.Context, t *testing.T, s *load.Server, answered int, enough func()) {
	var todo []int
	for i, a := range e.answers {
		if a.status == 0 || rand.IntN(len(e.answers)) < 30 {
			todo = append(todo, i)
		}
	}
	var sent sync.Map // request by number on this run
	var count atomic.Int64
	load.Press(ctx, s.Addr, 64, func(buf []byte, n int) ([]byte, bool) {
		i := 0
		if n < len(todo) {
			i = todo[n]
		} else {
			i = int(e.next.Add(1) - 1)
		}
		meeting, voter, choice := e.voter(i)
		if meeting == len(e.Meetings) {
			return buf, false
		}
		sent.Store(n, i)
		e.mu.Lock()
		e.answers[i] = e.answers[i]
		e.mu.Unlock()
		return e.Ballot(buf, s.Addr, meeting, voter, "request-"+strconv.Itoa(i), choice), true
	}, func(n, status int, body []byte) {
		got := answer{status: status}
		if status == http.StatusCreated {
			var recorded service.RecordedBody
			if err := json.Unmarshal(body, &recorded); err != nil || len(recorded.Events) != 1 {
				t.Errorf("answered with %s", body)
				return
			}
			got.event = recorded.Events[0]
		} else if status != http.StatusConflict {
			if status != http.StatusAccepted && status != http.StatusServiceUnavailable {
				t.Errorf("answered %d: %s", status, body)
			}
			got = answer{} // not known
		}
		number, _ := sent.Load(n)
		i, _ := number.(int)
		e.mu.Lock()
		before := e.answers[i]
		e.answers[i] = got
		e.mu.Unlock()
		if before.status != 0 && got.status != 0 && before != got {
			t.Errorf("request %d was answered %v, and %v when it was repeated", i, before, got)
		}
		if count.Add(1) == int64(answered) {
			enough()
		}
	})
}

// audit reads the ledger on and holds it against the answers: each acknowledged
// ballot stands there once, and no voter's second.
func (e *election) audit(ctx context.Context, t *testing.T, s *load.Server) {
	t.Helper()
	var err error
	e.position, err = s.Events(ctx, e.position, func(event load.Event) error {
		if event.Type == "ballot-cast.v1" {
			e.events[event.ID]++
			e.streams[event.Stream]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for stream, n := range e.streams {
		if n != 1 {
			t.Errorf("%s holds %d ballots", stream, n)
		}
	}
	for i, a := range e.answers {
		if a.status == http.StatusCreated && e.events[a.event] != 1 {
			t.Errorf("request %d was acknowledged, and its ballot is in the ledger %d times", i, e.events[a.event])
		}
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
	booth, err := load.Setup(ctx, s, max(200, 50**crashes), meetings, lastsFor)
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()

	e := &election{Booth: booth, answers: map[int]answer{}, events: map[uuid.UUID]int{}, streams: map[string]int{}}
	var slowest time.Duration
	for range *crashes {
		s := start(0)
		slowest = max(slowest, s.Ready)
		e.audit(ctx, t, s)
		e.load(ctx, t, s, 100+rand.IntN(mostShots-100), s.Kill)
		s.Kill()
		if t.Failed() {
			return
		}
	}

	s = start(0)
	for range 20 { // what had no answer gets one
		e.next.Store(int64(len(e.Meetings)*len(e.Tokens)) * 2)
		if !e.unanswered() {
			break
		}
		e.load(ctx, t, s, -1, nil)
	}
	e.audit(ctx, t, s)
	tally := map[string]int{}
	for i, a := range e.answers {
		_, _, choice := e.voter(i)
		if a.status == http.StatusCreated {
			tally[choice]++
		}
	}
	if taken := tally[votes.Yes] + tally[votes.No]; len(e.events) != taken {
		t.Errorf("%d ballots were acknowledged, %d are in the ledger", taken, len(e.events))
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}

	s = start(2 * lastsFor)
	counted := e.count(ctx, t, s)
	if counted[votes.Yes] != tally[votes.Yes] || counted[votes.No] != tally[votes.No] {
		t.Errorf("counted %v, acknowledged %v", counted, tally)
	}
	t.Logf("%d ballots acknowledged over %d kills; ready after at most %v", len(e.events), *crashes, slowest)
}

// unanswered reports whether some request has no answer.
func (e *election) unanswered() bool {
	for _, a := range e.answers {
		if a.status == 0 {
			return true
		}
	}
	return false
}

// count waits until all meetings are counted and adds up their results.
func (e *election) count(ctx context.Context, t *testing.T, s *load.Server) map[string]int {
	t.Helper()
	sum := map[string]int{}
	for _, id := range e.Meetings {
		var results struct {
			Items []struct {
				Yes int `json:"yes_heads"`
				No  int `json:"no_heads"`
			} `json:"items"`
		}
		deadline := time.Now().Add(time.Minute)
		body, err := s.Get(ctx, "/api/v1/meetings/"+id+"/results")
		for ; err != nil && time.Now().Before(deadline); body, err = s.Get(ctx, "/api/v1/meetings/"+id+"/results") {
			time.Sleep(20 * time.Millisecond) // another process: there is nothing to wait for
		}
		if err == nil {
			err = json.Unmarshal(body, &results)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range results.Items {
			sum[votes.Yes] += m.Yes
			sum[votes.No] += m.No
		}
	}
	return sum
}
