package pebblestore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// commit is an append and what was answered.
type commit struct {
	stream   string
	expected uint64
	events   []es.Proposed
	position es.Position
}

// The power goes at a random moment, twenty times in a row: of what was not
// synced, a random part is lost. Every acknowledged append and every event that
// anyone read is there whole, no append is there in part, and positions never
// go back.
func TestACrashLosesNothingThatWasAcknowledgedOrRead(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3, rand.Uint64()} {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			fs := vfs.NewCrashableMem()
			var acknowledged []commit
			for round := range 20 {
				fs, acknowledged = runUntilCrash(t, r, fs, round, acknowledged)
			}
		})
	}
}

func runUntilCrash(t *testing.T, r *rand.Rand, fs *vfs.MemFS, round int, before []commit) (*vfs.MemFS, []commit) {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{
		Dir: "data/estate/events", FS: fs, Log: slog.New(slog.DiscardHandler),
		OnFatal: func(err error) { t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		t.Fatalf("round %d: %v", round, err)
	}
	check(t, s, round, before)

	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	acknowledged := slices.Clone(before)
	var read es.Position
	var wg sync.WaitGroup
	enough := make(chan struct{})
	target := len(before) + 1 + r.IntN(120)
	for w := range 8 {
		w := fmt.Sprintf("w-%d", w)
		length, err := s.Length(w)
		if err != nil {
			t.Fatal(err)
		}
		size := 1 + r.IntN(9)
		wg.Go(func() {
			for expected := length; ctx.Err() == nil; expected += uint64(size) {
				c := commit{stream: w, expected: expected, events: events(size)}
				c.events[0].Data = fmt.Appendf(nil, `{"pad":%q}`, bytes.Repeat([]byte("x"), size*700))
				if c.position, err = s.Append(ctx, c.stream, c.expected, c.events...); err != nil {
					return
				}
				mu.Lock()
				if acknowledged = append(acknowledged, c); len(acknowledged) == target {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	wg.Go(func() {
		for b, err := range s.Follow(ctx, 0) {
			if err != nil {
				return
			}
			mu.Lock()
			read = b.Through
			mu.Unlock()
		}
	})
	<-enough
	mu.Lock()
	kept, seen := slices.Clone(acknowledged), read
	mu.Unlock()
	crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: r.IntN(101), RNG: r})
	cancel()
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}

	again, err := pebblestore.Open(pebblestore.Config{Dir: "data/estate/events", FS: crashed, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatalf("round %d, after the crash: %v", round, err)
	}
	if again.Head() < seen {
		t.Fatalf("round %d: the store ends at %d, %d had been read", round, again.Head(), seen)
	}
	check(t, again, round, kept)
	if err := again.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	return crashed, kept
}

func check(t *testing.T, s *pebblestore.Store, round int, acknowledged []commit) {
	t.Helper()
	byStream, last := map[string][]es.Recorded{}, es.Position(0)
	for r, err := range s.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if r.Position <= last || r.Revision != uint64(len(byStream[r.Stream])) {
			t.Fatalf("round %d: %s@%d at %d after position %d", round, r.Stream, r.Revision, r.Position, last)
		}
		byStream[r.Stream], last = append(byStream[r.Stream], r), r.Position
	}
	if last != s.Head() {
		t.Fatalf("round %d: events end at %d, the store at %d", round, last, s.Head())
	}
	for _, c := range acknowledged {
		got := byStream[c.stream]
		if len(got) < int(c.expected)+len(c.events) {
			t.Fatalf("round %d: %s has %d events, %d were acknowledged", round, c.stream, len(got), int(c.expected)+len(c.events))
		}
		for i, e := range c.events {
			if r := got[int(c.expected)+i]; r.ID != e.ID || !bytes.Equal(r.Data, e.Data) || !bytes.Equal(r.Meta, e.Meta) {
				t.Fatalf("round %d: %s@%d is another event than the acknowledged one", round, c.stream, r.Revision)
			}
		}
		if p := got[int(c.expected)+len(c.events)-1].Position; p != c.position {
			t.Fatalf("round %d: acknowledged at %d, stands at %d", round, c.position, p)
		}
	}
	for stream, all := range byStream {
		length, err := s.Length(stream)
		if err != nil || length != uint64(len(all)) {
			t.Fatalf("round %d: %s is %d long (%v), has %d events", round, stream, length, err, len(all))
		}
		i := 0
		for r, err := range s.Read(t.Context(), stream, 0) {
			if err != nil || r.ID != all[i].ID || r.Position != all[i].Position {
				t.Fatalf("round %d: %s@%d differs between stream and whole, %v", round, stream, i, err)
			}
			i++
		}
		if i != len(all) {
			t.Fatalf("round %d: %s reads %d events, has %d", round, stream, i, len(all))
		}
	}
	checkWhole(t, round, byStream)
}

// checkWhole looks for commits of which only a part is there: the writers'
// first event says by its size how many there are.
func checkWhole(t *testing.T, round int, byStream map[string][]es.Recorded) {
	t.Helper()
	for stream, all := range byStream {
		for i := 0; i < len(all); {
			size := (len(all[i].Data) - len(`{"pad":""}`)) / 700
			if i+size > len(all) {
				t.Fatalf("round %d: %s ends with %d of %d events of a commit", round, stream, len(all)-i, size)
			}
			i += size
		}
	}
}
