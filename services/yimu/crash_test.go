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

	mu    sync.Mutex
	asked []*request
	fresh int   // voters who have not been asked yet come from here on, through all meetings
	voted []int // those whose ballot was acknowledged

	position uint64            // up to which the ledger was read
	events   map[uuid.UUID]int // how often each BallotCast is there
	streams  map[string]int    // how many of them each stream holds
}

// request is a ballot on its way in, under one key however often it is sent.
type request struct {
	key    string
	voter  int // counted through all meetings
	choice string
	status int       // 0 while there is no answer
	event  uuid.UUID // of an acknowledged ballot
}

// ask makes a new request: of a new voter, or of one who has voted and wants to
// vote otherwise now. There is none once all have voted.
func (e *election) ask() *request {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := &request{key: "request-" + strconv.Itoa(len(e.asked)), voter: e.fresh, choice: votes.Yes}
	switch {
	case len(e.voted) > 0 && len(e.asked)%4 == 0:
		r.voter, r.choice = e.voted[rand.IntN(len(e.voted))], votes.No
	case e.fresh == len(e.Meetings)*len(e.Tokens):
		return nil
	default:
		e.fresh++
	}
	e.asked = append(e.asked, r)
	return r
}

// answered keeps an answer. The same request never gets another one.
func (e *election) answered(t *testing.T, r *request, status int, body []byte) {
	var event uuid.UUID
	switch status {
	case http.StatusCreated:
		var recorded service.RecordedBody
		if err := json.Unmarshal(body, &recorded); err != nil || len(recorded.Events) != 1 {
			t.Errorf("answered with %s", body)
			return
		}
		event = recorded.Events[0]
	case http.StatusConflict:
	case http.StatusAccepted, http.StatusServiceUnavailable:
		return // not known
	default:
		t.Errorf("answered %d: %s", status, body)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if r.status != 0 && (r.status != status || r.event != event) {
		t.Errorf("%s was answered %d %s, and %d %s when it was repeated", r.key, r.status, r.event, status, event)
	}
	if r.status == 0 && status == http.StatusCreated {
		e.voted = append(e.voted, r.voter)
	}
	r.status, r.event = status, event
}

// load sends what had no answer, some of what had one, and then as many new
// requests, and calls enough once so many were answered in all.
func (e *election) load(ctx context.Context, t *testing.T, s *load.Server, fresh, until int, enough func()) {
	var todo []*request
	for _, r := range e.asked {
		if r.status == 0 || rand.IntN(len(e.asked)) < 30 {
			todo = append(todo, r)
		}
	}
	var (
		sent sync.Map
		done atomic.Int64
	)
	load.Press(ctx, s.Addr, 64, func(buf []byte, n int) ([]byte, bool) {
		var r *request
		switch {
		case n < len(todo):
			r = todo[n]
		case n < len(todo)+fresh:
			r = e.ask()
		}
		if r == nil {
			return buf, false
		}
		sent.Store(n, r)
		return e.Ballot(buf, s.Addr, r.voter/len(e.Tokens), r.voter%len(e.Tokens), r.key, r.choice), true
	}, func(n, status int, body []byte) {
		r, _ := sent.Load(n)
		e.answered(t, r.(*request), status, body)
		if done.Add(1) == int64(until) {
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
	for _, r := range e.asked {
		if r.status == http.StatusCreated && e.events[r.event] != 1 {
			t.Errorf("%s was acknowledged, and its ballot is in the ledger %d times", r.key, e.events[r.event])
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
	booth, err := load.Setup(ctx, s.Site, max(200, 50**crashes), meetings, lastsFor)
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()

	e := &election{Booth: booth, events: map[uuid.UUID]int{}, streams: map[string]int{}}
	var slowest time.Duration
	for range *crashes {
		s := start(0)
		slowest = max(slowest, s.Ready)
		e.audit(ctx, t, s)
		e.load(ctx, t, s, 1<<30, 100+rand.IntN(mostShots-100), s.Kill)
		s.Kill()
		if t.Failed() {
			return
		}
	}

	s = start(0)
	e.load(ctx, t, s, 0, -1, nil)
	e.audit(ctx, t, s)
	tally := map[string]int{}
	for _, r := range e.asked {
		switch r.status {
		case 0:
			t.Errorf("%s had no answer to the end", r.key)
		case http.StatusCreated:
			tally[r.choice]++
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
	t.Logf("%d ballots acknowledged and %d refused over %d kills; ready after at most %v",
		len(e.events), len(e.asked)-len(e.events), *crashes, slowest.Round(time.Millisecond))
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
