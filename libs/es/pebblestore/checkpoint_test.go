package pebblestore_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// TestACheckpointHoldsWhatWasAcknowledgedBefore takes checkpoints while others
// append, and opens them: each is the beginning of the store, and reaches at
// least what was acknowledged when it was asked for.
func TestACheckpointHoldsWhatWasAcknowledgedBefore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, pebblestore.Config{Dir: filepath.Join(dir, "store")})
	var acknowledged atomic.Int64
	enough := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := uint64(0); ; i++ {
				select {
				case <-enough:
					return
				default:
				}
				if _, err := s.Append(t.Context(), fmt.Sprintf("a-%d", w), i, events(1)...); err != nil {
					t.Errorf("append: %v", err)
					return
				}
				acknowledged.Add(1)
			}
		})
	}
	var before []int64
	for n := range 5 {
		for acknowledged.Load() < int64(n+1)*200 && !t.Failed() {
			p := s.Head()
			for b, err := range s.Follow(t.Context(), p) { // until something more is there
				must(t, err)
				if len(b.Events) > 0 {
					break
				}
			}
		}
		before = append(before, acknowledged.Load())
		must(t, s.Checkpoint(filepath.Join(dir, fmt.Sprintf("copy-%d", n))))
	}
	close(enough)
	writers.Wait()

	var all []es.Recorded
	for e, err := range s.ReadAll(t.Context(), 0) {
		must(t, err)
		all = append(all, e)
	}
	for n, acknowledged := range before {
		c := open(t, pebblestore.Config{Dir: filepath.Join(dir, fmt.Sprintf("copy-%d", n))})
		read := 0
		for e, err := range c.ReadAll(t.Context(), 0) {
			must(t, err)
			if want := all[read]; e.ID != want.ID || e.Position != want.Position {
				t.Fatalf("copy %d: event %d is another one", n, read)
			}
			read++
		}
		if int64(read) < acknowledged || c.Head() != all[read-1].Position {
			t.Errorf("copy %d holds %d events and ends at %d; %d were acknowledged before", n, read, c.Head(), acknowledged)
		}
		lengths := uint64(0)
		for w := range 8 {
			length, err := c.Length(fmt.Sprintf("a-%d", w))
			must(t, err)
			lengths += length
		}
		if lengths != uint64(read) {
			t.Errorf("copy %d: its streams hold %d events of %d", n, lengths, read)
		}
		_, err := c.Append(t.Context(), "a-new", 0, events(1)...) // and goes on by itself
		must(t, err)
	}
	if n, err := s.Length("a-new"); n != 0 || err != nil {
		t.Errorf("what was appended to a copy is in the store: %d, %v", n, err)
	}
}

func TestACheckpointOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, pebblestore.Config{Dir: filepath.Join(dir, "store")})
	if err := s.Checkpoint(dir); err == nil {
		t.Error("it went into a directory that was there")
	}
	_, err := s.Append(t.Context(), "a-1", 0, events(1)...) // and the store lives
	must(t, err)
}
