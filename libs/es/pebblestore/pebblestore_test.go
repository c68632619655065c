package pebblestore_test

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

func TestStoreOnDisk(t *testing.T) {
	estest.Store(t, func(t *testing.T) es.Store { return open(t, pebblestore.Config{Dir: t.TempDir()}) },
		estest.Promises{PositionOnRead: true})
}

func TestStoreInMemoryAmongForeignEvents(t *testing.T) {
	estest.Store(t, func(t *testing.T) es.Store { return open(t, pebblestore.Config{Dir: "store", FS: vfs.NewMem()}) },
		estest.Promises{PositionOnRead: true, Foreign: foreign})
}

// foreign writes a system event, large enough to spread our positions out, and
// a link in a stream of its own and in one that looks like ours.
func foreign(t *testing.T, s es.Store) {
	id := uuid.New()
	for stream, e := range map[string]es.Proposed{
		"$foreign-" + id.String(): {ID: uuid.New(), Type: "$stats", Data: make([]byte, 200+int(id[0])*40)},
		"$ce-a-" + id.String():    {ID: uuid.New(), Type: "$>", Data: []byte("0@a-1")},
		"a-links-" + id.String():  {ID: uuid.New(), Type: "$>", Data: []byte("0@a-1"), Meta: []byte(`{"$o":"a-1"}`)},
	} {
		if _, err := s.Append(t.Context(), stream, 0, e); err != nil {
			t.Errorf("foreign event: %v", err)
		}
	}
}

func open(t testing.TB, c pebblestore.Config) *pebblestore.Store {
	t.Helper()
	if c.OnFatal == nil {
		c.OnFatal = func(err error) { t.Errorf("fatal: %v", err) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s, err := pebblestore.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func events(n int) []es.Proposed {
	out := make([]es.Proposed, n)
	for i := range out {
		out[i] = es.Proposed{ID: uuid.New(), Type: "counted.v1", Data: fmt.Appendf(nil, `{"n":%d}`, i), Meta: []byte(`{"actor":"test"}`)}
	}
	return out
}

func TestAReopenedStoreGoesOn(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, pebblestore.Config{Dir: "store", FS: fs})
	long := events(200) // more than one row of the stream's index
	var positions []es.Position
	for i := 0; i < len(long); i += 8 {
		p, err := s.Append(t.Context(), "long-1", uint64(i), long[i:i+8]...)
		must(t, err)
		positions = append(positions, p)
	}
	head := s.Head()
	must(t, s.Close())

	s = open(t, pebblestore.Config{Dir: "store", FS: fs})
	if s.Head() != head || head != positions[len(positions)-1] {
		t.Errorf("the store ends at %d, ended at %d", s.Head(), head)
	}
	if n, err := s.Length("long-1"); n != 200 || err != nil {
		t.Errorf("length %d, %v", n, err)
	}
	if n, err := s.Length("missing-1"); n != 0 || err != nil {
		t.Errorf("length of a missing stream %d, %v", n, err)
	}
	for i, want := range positions {
		if p, err := s.Append(t.Context(), "long-1", uint64(8*i), long[8*i:8*i+8]...); p != want || err != nil {
			t.Errorf("repeat at %d: position %d, %v, want %d", 8*i, p, err, want)
		}
	}
	if p, err := s.Append(t.Context(), "long-1", 200, events(1)...); err != nil || p <= head {
		t.Errorf("position %d after %d, %v", p, head, err)
	}
}

func TestACloseEndsFollowersAndRefusesTheRest(t *testing.T) {
	s := open(t, pebblestore.Config{Dir: "store", FS: vfs.NewMem()})
	_, err := s.Append(t.Context(), "a-1", 0, events(1)...)
	must(t, err)
	ended := make(chan error, 1)
	following := make(chan struct{})
	go func() {
		var failed error
		for b, err := range s.Follow(t.Context(), 0) {
			if failed = err; len(b.Events) > 0 {
				close(following)
			}
		}
		ended <- failed
	}()
	<-following
	must(t, s.Close())
	if err := <-ended; !errors.Is(err, pebblestore.ErrClosed) {
		t.Errorf("the follower ended with %v", err)
	}
	if _, err := s.Append(t.Context(), "a-1", 1, events(1)...); !errors.Is(err, pebblestore.ErrClosed) {
		t.Errorf("append: %v", err)
	}
	for _, read := range []iter.Seq2[es.Recorded, error]{s.Read(t.Context(), "a-1", 0), s.ReadAll(t.Context(), 0)} {
		failed := error(nil)
		for _, err := range read {
			failed = err
		}
		if !errors.Is(failed, pebblestore.ErrClosed) {
			t.Errorf("read: %v", failed)
		}
	}
	must(t, s.Close()) // again
}

func TestEventsCarryTheClockOfTheStore(t *testing.T) {
	now := time.Date(2022, 8, 4, 9, 30, 0, 123456789, time.FixedZone("", 8*3600))
	s := open(t, pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Clock: func() time.Time { return now }})
	_, err := s.Append(t.Context(), "a-1", 0, events(1)...)
	must(t, err)
	for r, err := range s.Read(t.Context(), "a-1", 0) {
		if must(t, err); !r.Created.Equal(now) {
			t.Errorf("created %v, want %v", r.Created, now)
		}
	}
}
