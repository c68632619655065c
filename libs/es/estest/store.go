// Package estest holds the tests every [es.Store] must pass, and given/when/then
// for commands.
//
// The suite takes nothing for granted that the interface does not promise:
// positions are compared, never counted.
package estest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Promises are what may differ between stores.
type Promises struct {
	// PositionOnRead says that Read tells positions; otherwise they must be 0.
	PositionOnRead bool

	// Foreign, where set, is called before each append of the suite, also from
	// several goroutines at once, and writes what a reader of all events must
	// not see or count: events in $ streams, links, gaps between positions.
	Foreign func(t *testing.T, s es.Store)

	// Break, where set, breaks the connection of s under its running reads.
	// The store must work again by itself within [patience].
	Break func(t *testing.T, s es.Store)
}

// How long things may take on a busy machine.
const (
	patience = 20 * time.Second
	soon     = 2 * time.Second // what the interface calls a second
)

// Store runs the suite. Each call of newStore returns an empty store, which
// t.Cleanup closes.
func Store(t *testing.T, newStore func(*testing.T) es.Store, promises Promises) {
	t.Helper()
	cases := []struct {
		name string
		run  func(*testing.T, es.Store)
	}{
		{"what was appended is read, byte for byte", readsWhatWasAppended},
		{"a stream is read from any revision on", readsFromARevision},
		{"a missing stream is empty", readsAMissingStream},
		{"stream names are told apart", tellsNamesApart},
		{"an append at another revision is refused whole", refusesWrongRevisions},
		{"a repeated append writes nothing and returns the first position", recognisesRepeats},
		{"a partly equal append is a wrong revision", refusesPartlyEqual},
		{"an append whose caller gave up is settled by repeating it", settlesByRepeating},
		{"the same append at the same moment is written once", writesRacingRepeatsOnce},
		{"an append of nothing writes nothing", writesNothing},
		{"sizes are limited", limitsSizes},
		{"one of many writers of a stream wins", letsOneWriterWin},
		{"writers of many streams do not disturb each other", servesManyWriters},
		{"all events are read in one order of positions", readsAllInOrder},
		{"all events are read from any position on", resumesAnywhere},
		{"all events are read by stream prefixes", readsByPrefix},
		{"reading all events ends where the store ended", endsWhereItEnded},
		{"a cancelled read ends with the error of its context", tellsOfCancelledReads},
		{"a read that is left early leaks nothing", leaksNothing},
		{"a follower catches up and then follows", followsOn},
		{"a follower from the end sees only what is new", followsFromTheEnd},
		{"a follower resumes from any position it kept", resumesFollowing},
		{"a follower moves on where nothing matches", movesOnWhereNothingMatches},
		{"a follower ends only with an error", endsWithAnError},
		{"a slow follower loses nothing", losesNothing},
		{"many followers see the same", servesManyFollowers},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newStore(t)
			if promises.Foreign != nil {
				s = &noisy{s, t, promises.Foreign}
			}
			c.run(t, s)
		})
	}
	t.Run("a read of a stream tells positions or none", func(t *testing.T) {
		tellsPositionsOrNone(t, newStore(t), promises.PositionOnRead)
	})
	if promises.Foreign != nil {
		t.Run("foreign events and links are not seen in reads of all events", func(t *testing.T) {
			leavesOutForeign(t, newStore(t), promises.Foreign)
		})
	}
	if promises.Break != nil {
		t.Run("a broken connection is not the end of a stream", func(t *testing.T) {
			s := newStore(t)
			tellsOfABrokenRead(t, s, func() { promises.Break(t, s) })
		})
		t.Run("a broken connection is not the end of all events", func(t *testing.T) {
			s := newStore(t)
			tellsOfABrokenReadAll(t, s, func() { promises.Break(t, s) })
		})
		t.Run("a follower survives a broken connection or tells of it", func(t *testing.T) {
			s := newStore(t)
			tellsOfABrokenFollow(t, s, func() { promises.Break(t, s) })
		})
	}
}

// noisy lets foreign events in before each append.
type noisy struct {
	es.Store
	t       *testing.T
	foreign func(*testing.T, es.Store)
}

func (n *noisy) Append(ctx context.Context, stream string, expected uint64, events ...es.Proposed) (es.Position, error) {
	n.foreign(n.t, n.Store)
	return n.Store.Append(ctx, stream, expected, events...)
}

// Streams.

func readsWhatWasAppended(t *testing.T, s es.Store) {
	want := []es.Proposed{
		{ID: uuid.New(), Type: "ballot-cast.v2", Data: []byte(`{"b":1, "a" : [1e3,"\u4e00"] }`), Meta: []byte(`{"$correlationId":"x"}`)},
		{ID: uuid.New(), Type: "notice-posted.v1", Data: []byte(`{"title":"业主大会 一目了然"}`), Meta: []byte(`{}`)},
		{ID: uuid.New(), Type: "bare.v1", Data: []byte("{\"text\":\"a\\nb\"}\n"), Meta: nil},
	}
	last := add(t, s, "meeting-1", 0, want[0])
	if next := add(t, s, "meeting-1", 1, want[1:]...); next <= last {
		t.Fatalf("position %d after %d", next, last)
	}
	got := read(t, s, "meeting-1", 0)
	expect(t, "meeting-1", 0, got, want)
	for _, r := range got {
		if r.Created.IsZero() || r.Created.Location() != time.UTC {
			t.Errorf("created %v, want a time in UTC", r.Created)
		}
	}
	again := read(t, s, "meeting-1", 0)
	whole := readAll(t, s, 0)
	expect(t, "meeting-1", 0, whole, want)
	for i := range got {
		if !got[i].Created.Equal(again[i].Created) || !got[i].Created.Equal(whole[i].Created) {
			t.Errorf("event %d was created at %v, %v, %v", i, got[i].Created, again[i].Created, whole[i].Created)
		}
	}
}

func readsFromARevision(t *testing.T, s es.Store) {
	want := events(7)
	add(t, s, "a-1", 0, want[:3]...)
	add(t, s, "b-1", 0, events(1)...)
	add(t, s, "a-1", 3, want[3:]...)
	for from := range uint64(len(want)) {
		expect(t, "a-1", from, read(t, s, "a-1", from), want[from:])
	}
	for _, from := range []uint64{7, 8, 1 << 40} {
		if got := read(t, s, "a-1", from); len(got) > 0 {
			t.Errorf("%d events from revision %d of a stream of 7", len(got), from)
		}
	}
}

func readsAMissingStream(t *testing.T, s es.Store) {
	add(t, s, "here-1", 0, events(2)...)
	for _, from := range []uint64{0, 1, 9} {
		if got := read(t, s, "missing-1", from); len(got) > 0 {
			t.Errorf("%d events of a missing stream", len(got))
		}
	}
}

func tellsNamesApart(t *testing.T, s es.Store) {
	id := uuid.NewString()
	names := []string{
		"a", "a-", "a-1", "a-10", "a-1-1", "A-1", "a-1\x01", "a 1", "a/1", "a%1",
		"meeting-" + id, "meeting-" + id + "-" + id, id, id + "-", "小区-1", "小区-10", "小区-一", "ballot-" + id + "-壹",
		strings.Repeat("long-", 40), strings.Repeat("long-", 40) + "1",
	}
	want := map[string][]es.Proposed{}
	for _, n := range names {
		want[n] = events(3)
		add(t, s, n, 0, want[n][:2]...)
	}
	for _, n := range names {
		add(t, s, n, 2, want[n][2])
	}
	for _, n := range names {
		expect(t, n, 0, read(t, s, n, 0), want[n])
	}
	if got := readAll(t, s, 0); len(got) != 3*len(names) {
		t.Errorf("%d events in all, want %d", len(got), 3*len(names))
	}
}

func tellsPositionsOrNone(t *testing.T, s es.Store, told bool) {
	add(t, s, "a-1", 0, events(2)...)
	last := add(t, s, "a-1", 2, events(1)...)
	all := readAll(t, s, 0)
	for i, r := range read(t, s, "a-1", 0) {
		switch {
		case told && r.Position != all[i].Position:
			t.Errorf("event %d stands at %d, by the stream at %d", i, all[i].Position, r.Position)
		case !told && r.Position != 0:
			t.Errorf("event %d: position %d from a store that tells none", i, r.Position)
		}
	}
	if all[2].Position != last {
		t.Errorf("appended at %d, read at %d", last, all[2].Position)
	}
}

// Appends.

func refusesWrongRevisions(t *testing.T, s es.Store) {
	refused := func(stream string, expected uint64) {
		t.Helper()
		if _, err := s.Append(t.Context(), stream, expected, events(3)...); !errors.Is(err, es.ErrWrongRevision) {
			t.Errorf("append to %s at %d: %v, want ErrWrongRevision", stream, expected, err)
		}
	}
	refused("missing-1", 1)
	refused("missing-1", 1<<40)
	want := events(2)
	add(t, s, "a-1", 0, want...)
	for _, expected := range []uint64{0, 1, 3, 1 << 40} {
		refused("a-1", expected)
	}
	expect(t, "a-1", 0, read(t, s, "a-1", 0), want)
	if got := readAll(t, s, 0); len(got) != 2 {
		t.Errorf("%d events in all, want 2", len(got))
	}
	add(t, s, "a-1", 2, events(1)...)
}

func recognisesRepeats(t *testing.T, s es.Store) {
	first, second, third := events(1), events(3), events(2)
	p1 := add(t, s, "a-1", 0, first...)
	p2 := add(t, s, "a-1", 1, second...)
	repeat := func() {
		t.Helper()
		if p := add(t, s, "a-1", 0, first...); p != p1 {
			t.Errorf("the repeated first append stands at %d, the first time at %d", p, p1)
		}
		if p := add(t, s, "a-1", 1, second...); p != p2 {
			t.Errorf("the repeated second append stands at %d, the first time at %d", p, p2)
		}
	}
	repeat()
	add(t, s, "b-1", 0, events(2)...)
	add(t, s, "a-1", 4, third...)
	repeat()
	// A repeat is recognised by its ids; the bytes of the first time stay.
	other := slices.Clone(second)
	other[0].Data = []byte(`{"other":true}`)
	if p := add(t, s, "a-1", 1, other...); p != p2 {
		t.Errorf("a repeat with other bytes stands at %d, the first time at %d", p, p2)
	}
	expect(t, "a-1", 0, read(t, s, "a-1", 0), slices.Concat(first, second, third))
	if got := readAll(t, s, 0); len(got) != 8 {
		t.Errorf("%d events in all, want 8", len(got))
	}
}

func refusesPartlyEqual(t *testing.T, s es.Store) {
	e := events(3)
	add(t, s, "a-1", 0, e...)
	for name, c := range map[string]struct {
		expected uint64
		events   []es.Proposed
	}{
		"its last event is another":  {0, []es.Proposed{e[0], e[1], events(1)[0]}},
		"its first event is another": {0, []es.Proposed{events(1)[0], e[1], e[2]}},
		"in another order":           {0, []es.Proposed{e[0], e[2], e[1]}},
		"longer than the stream":     {0, []es.Proposed{e[0], e[1], e[2], events(1)[0]}},
		"at another revision":        {1, e},
		"beyond the end":             {4, e},
	} {
		if _, err := s.Append(t.Context(), "a-1", c.expected, c.events...); !errors.Is(err, es.ErrWrongRevision) {
			t.Errorf("%s: %v, want ErrWrongRevision", name, err)
		}
	}
	if _, err := s.Append(t.Context(), "b-1", 1, e...); !errors.Is(err, es.ErrWrongRevision) {
		t.Errorf("in another stream: %v, want ErrWrongRevision", err)
	}
	expect(t, "a-1", 0, read(t, s, "a-1", 0), e)
}

func settlesByRepeating(t *testing.T, s es.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	want := events(2)
	_, _ = s.Append(ctx, "a-1", 0, want...) // may or may not be written
	add(t, s, "a-1", 0, want...)
	expect(t, "a-1", 0, read(t, s, "a-1", 0), want)
}

func writesRacingRepeatsOnce(t *testing.T, s es.Store) {
	for round := range uint64(10) {
		want := events(2)
		var wg sync.WaitGroup
		positions := make([]es.Position, 6)
		for i := range positions {
			wg.Go(func() {
				var err error
				if positions[i], err = s.Append(t.Context(), "a-1", 2*round, want...); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(slices.Compact(positions)) != 1 {
			t.Fatalf("one append stands at %v", positions)
		}
		expect(t, "a-1", 2*round, read(t, s, "a-1", 2*round), want)
	}
}

func writesNothing(t *testing.T, s es.Store) {
	_, _ = s.Append(t.Context(), "a-1", 0) // what it answers is not promised
	if got := readAll(t, s, 0); len(got) != 0 {
		t.Fatalf("%d events", len(got))
	}
	want := events(1)
	add(t, s, "a-1", 0, want...)
	expect(t, "a-1", 0, read(t, s, "a-1", 0), want)
}

func limitsSizes(t *testing.T, s es.Store) {
	sized := func(n int) es.Proposed {
		e := events(1)[0]
		e.Meta = []byte(`{"m":1}`)
		e.Data = []byte(`{"d":"` + strings.Repeat("x", n-len(e.Meta)-len(`{"d":""}`)) + `"}`)
		return e
	}
	fitting := []es.Proposed{sized(es.MaxEvent)}
	add(t, s, "event-1", 0, fitting...)
	expect(t, "event-1", 0, read(t, s, "event-1", 0), fitting)

	var whole []es.Proposed
	for range es.MaxCommit / es.MaxEvent {
		whole = append(whole, sized(es.MaxEvent))
	}
	add(t, s, "commit-1", 0, whole...)
	expect(t, "commit-1", 0, read(t, s, "commit-1", 0), whole)

	for name, large := range map[string][]es.Proposed{
		"an event": {sized(100), sized(es.MaxEvent + 1)},
		"a commit": append(events(1), whole...),
	} {
		if _, err := s.Append(t.Context(), "large-1", 0, large...); !errors.Is(err, es.ErrTooLarge) {
			t.Errorf("%s over the limit: %v, want ErrTooLarge", name, err)
		}
	}
	if got := read(t, s, "large-1", 0); len(got) > 0 {
		t.Errorf("%d events of appends over the limit", len(got))
	}
}

func letsOneWriterWin(t *testing.T, s es.Store) {
	const rounds, writers = 20, 8
	var want []es.Proposed
	for round := range uint64(rounds) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range writers {
			wg.Go(func() {
				e := events(2)
				_, err := s.Append(t.Context(), "a-1", 2*round, e...)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won++
					want = append(want, e...)
				case !errors.Is(err, es.ErrWrongRevision):
					t.Errorf("got %v, want ErrWrongRevision", err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Fatalf("round %d: %d writers won", round, won)
		}
	}
	expect(t, "a-1", 0, read(t, s, "a-1", 0), want)
}

func servesManyWriters(t *testing.T, s es.Store) {
	const writers, appends = 24, 10
	want := make([][]es.Proposed, writers)
	name := func(w int) string { return fmt.Sprintf("writer-%d", w) }
	var wg sync.WaitGroup
	for w := range writers {
		want[w] = events(2 * appends)
		wg.Go(func() {
			var last es.Position
			for i := 0; i < 2*appends; i += 2 {
				p, err := s.Append(t.Context(), name(w), uint64(i), want[w][i:i+2]...)
				if err != nil || p <= last {
					t.Errorf("append %d: position %d after %d, %v", i, p, last, err)
					return
				}
				last = p
				if i%5 == 0 { // what was acknowledged is seen at once
					if got, err := collect(s.Read(t.Context(), name(w), uint64(i))); err != nil || len(got) != 2 {
						t.Errorf("%d events after append %d, %v", len(got), i, err)
					}
				}
			}
		})
	}
	wg.Wait()
	for w := range writers {
		expect(t, name(w), 0, read(t, s, name(w), 0), want[w])
	}
	all := readAll(t, s, 0)
	if len(all) != writers*2*appends {
		t.Fatalf("%d events in all, want %d", len(all), writers*2*appends)
	}
	next := map[string]uint64{}
	for _, r := range all {
		if r.Revision != next[r.Stream] {
			t.Fatalf("%s@%d comes where @%d should", r.Stream, r.Revision, next[r.Stream])
		}
		next[r.Stream]++
	}
}

// All events.

// fill appends commits of one to three events to a few streams and returns the
// events in order.
func fill(t *testing.T, s es.Store, commits int) []es.Proposed {
	t.Helper()
	var all []es.Proposed
	length := map[string]uint64{}
	for i := range commits {
		e := events(1 + i%3)
		stream := fmt.Sprintf("%s-%d", []string{"a", "b", "ab", "小区"}[i%4], i%8)
		add(t, s, stream, length[stream], e...)
		length[stream] += uint64(len(e))
		all = append(all, e...)
	}
	return all
}

func readsAllInOrder(t *testing.T, s es.Store) {
	if got := readAll(t, s, 0); len(got) != 0 {
		t.Fatalf("%d events in an empty store", len(got))
	}
	want := fill(t, s, 60)
	if got := readAll(t, s, 0); !slices.Equal(idsOf(got), proposedIDs(want)) {
		t.Fatalf("%d events, not those that were appended, in their order", len(got))
	}
}

func resumesAnywhere(t *testing.T, s es.Store) {
	fill(t, s, 40)
	all := readAll(t, s, 0)
	for i, r := range all {
		if got := readAll(t, s, r.Position); !slices.Equal(idsOf(got), idsOf(all[i+1:])) {
			t.Fatalf("after event %d come %d events, want %d", i, len(got), len(all)-i-1)
		}
	}
	var kept []es.Recorded
	for after := es.Position(0); len(kept) < len(all); after = kept[len(kept)-1].Position {
		before := len(kept)
		for r, err := range s.ReadAll(t.Context(), after) {
			must(t, err)
			if kept = append(kept, r); len(kept)-before == 7 {
				break
			}
		}
		if len(kept) == before {
			t.Fatalf("nothing after %d", after)
		}
	}
	if !slices.Equal(idsOf(kept), idsOf(all)) {
		t.Fatal("reading in pieces gives other events than reading whole")
	}
}

func readsByPrefix(t *testing.T, s es.Store) {
	fill(t, s, 40)
	all := readAll(t, s, 0)
	for _, prefixes := range [][]string{
		{"a-"}, {"a"}, {"ab-", "b-"}, {"b-", "ab-", "nothing-"}, {"a", "a-", "a-0"}, {"小区-"}, {"小"},
		{"a-0"}, {"a-00"}, {"-"}, {""}, {"nothing-"}, {"A-"}, {"$"}, {"a-", "$"},
	} {
		var want []uuid.UUID
		for _, r := range all {
			if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(r.Stream, p) }) {
				want = append(want, r.ID)
			}
		}
		if got := readAll(t, s, 0, prefixes...); !slices.Equal(idsOf(got), want) {
			t.Errorf("%q: %d events, want %d", prefixes, len(got), len(want))
		}
		middle := all[len(all)/2].Position
		if len(want) == 0 {
			continue
		}
		for _, r := range readAll(t, s, middle, prefixes...) {
			if r.Position <= middle {
				t.Errorf("%q: event at %d after %d", prefixes, r.Position, middle)
			}
		}
	}
}

func endsWhereItEnded(t *testing.T, s es.Store) {
	want := fill(t, s, 60)
	var got []es.Recorded
	for r, err := range s.ReadAll(t.Context(), 0) {
		must(t, err)
		if got = append(got, r); len(got) > len(want) {
			break
		}
		if len(got)%10 == 1 {
			add(t, s, fmt.Sprintf("late-%d", len(got)), 0, events(1)...)
		}
	}
	if !slices.Equal(idsOf(got), proposedIDs(want)) {
		t.Fatalf("%d events, want the %d that stood there when reading began", len(got), len(want))
	}
	head := readAll(t, s, 0)
	if got := readAll(t, s, head[len(head)-1].Position); len(got) > 0 {
		t.Fatalf("%d events after the last", len(got))
	}
}

func leavesOutForeign(t *testing.T, s es.Store, foreign func(*testing.T, es.Store)) {
	foreign(t, s)
	if got := readAll(t, s, 0); len(got) > 0 {
		t.Fatalf("%s@%d is not ours", got[0].Stream, got[0].Revision)
	}
	f := follow(t, s, 0)
	first := add(t, s, "a-1", 0, events(1)...)
	foreign(t, s)
	second := add(t, s, "a-1", 1, events(1)...)
	foreign(t, s)
	third := add(t, s, "b-1", 0, events(1)...)
	foreign(t, s)
	want := []es.Position{first, second, third}
	f.until(t, "all of ours", func(got []es.Recorded, through es.Position) bool { return len(got) >= 3 && through >= third })
	for name, got := range map[string][]es.Recorded{"read": readAll(t, s, 0), "followed": f.seen()} {
		var positions []es.Position
		for _, r := range got {
			positions = append(positions, r.Position)
		}
		if !slices.Equal(positions, want) {
			t.Errorf("%s: positions %d, want %d", name, positions, want)
		}
	}
	for _, prefix := range []string{"$", "$ce-", "$foreign"} {
		if got := readAll(t, s, 0, prefix); len(got) > 0 {
			t.Errorf("prefix %s: %s@%d", prefix, got[0].Stream, got[0].Revision)
		}
	}
}

// Reads that do not reach the end.

// fillLarge makes a stream that no buffer on the way holds whole.
func fillLarge(t *testing.T, s es.Store, stream string) []es.Proposed {
	t.Helper()
	const n, batch = 1200, 100
	all := events(n)
	for i := range all {
		all[i].Data = bytes.Join([][]byte{[]byte(`{"pad":"`), bytes.Repeat([]byte("x"), 4000), []byte(`"}`)}, nil)
	}
	for i := 0; i < n; i += batch {
		add(t, s, stream, uint64(i), all[i:i+batch]...)
	}
	return all
}

func tellsOfCancelledReads(t *testing.T, s es.Store) {
	fillLarge(t, s, "a-1")
	reads := map[string]func(context.Context) iter.Seq2[es.Recorded, error]{
		"read":     func(ctx context.Context) iter.Seq2[es.Recorded, error] { return s.Read(ctx, "a-1", 0) },
		"read all": func(ctx context.Context) iter.Seq2[es.Recorded, error] { return s.ReadAll(ctx, 0) },
		"read all by prefix": func(ctx context.Context) iter.Seq2[es.Recorded, error] {
			return s.ReadAll(ctx, 0, "a-", "b-")
		},
	}
	for name, start := range reads {
		ctx, cancel := context.WithCancel(t.Context())
		n, failed := 0, error(nil)
		for r, err := range start(ctx) {
			if failed != nil {
				t.Fatalf("%s: %v and %v come after error %v", name, r.ID, err, failed)
			}
			if failed = err; err == nil {
				n++
			}
			if n == 3 {
				cancel()
			}
		}
		cancel()
		if !errors.Is(failed, context.Canceled) {
			t.Errorf("%s: cancelled after 3 events, it ended after %d with %v, want the error of its context", name, n, failed)
		}

		ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
		if got, err := collect(start(ctx)); !errors.Is(err, context.DeadlineExceeded) || len(got) > 0 {
			t.Errorf("%s: %d events and error %v after the deadline", name, len(got), err)
		}
		cancel()
	}
}

func leaksNothing(t *testing.T, s es.Store) {
	fillLarge(t, s, "a-1")
	leave := func() {
		for range s.Read(t.Context(), "a-1", 0) {
			break
		}
		for range s.ReadAll(t.Context(), 0) {
			break
		}
		for range s.ReadAll(t.Context(), 0, "a-") {
			break
		}
		for range s.Follow(t.Context(), 0) {
			break
		}
		_ = s.Read(t.Context(), "a-1", 0) // never ranged over
		_ = s.ReadAll(t.Context(), 0)
		_ = s.Follow(t.Context(), 0)
	}
	leave()
	before := runtime.NumGoroutine()
	for range 25 {
		leave()
	}
	const tolerance = 5
	for deadline := time.Now().Add(patience); runtime.NumGoroutine() > before+tolerance; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func tellsOfABrokenRead(t *testing.T, s es.Store, breakIt func()) {
	want := fillLarge(t, s, "a-1")
	broken(t, s, len(want), s.Read(t.Context(), "a-1", 0), breakIt)
}

func tellsOfABrokenReadAll(t *testing.T, s es.Store, breakIt func()) {
	want := fillLarge(t, s, "a-1")
	broken(t, s, len(want), s.ReadAll(t.Context(), 0), breakIt)
}

// broken breaks the connection under a read of n events, which then yields all
// of them or an error, once and last.
func broken(t *testing.T, s es.Store, n int, read iter.Seq2[es.Recorded, error], breakIt func()) {
	t.Helper()
	got, failed := 0, error(nil)
	for r, err := range read {
		if failed != nil {
			t.Fatalf("%v and %v come after error %v", r.ID, err, failed)
		}
		if failed = err; err == nil {
			got++
		}
		if got == 1 {
			breakIt()
		}
	}
	if failed == nil && got != n {
		t.Fatalf("ended silently after %d of %d events", got, n)
	}
	recovers(t, s)
}

// recovers waits until s works again.
func recovers(t *testing.T, s es.Store) {
	t.Helper()
	e := events(1)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := s.Append(ctx, "after-1", 0, e...)
		cancel()
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still broken: %v", err)
		}
	}
	expect(t, "after-1", 0, read(t, s, "after-1", 0), e)
}

func tellsOfABrokenFollow(t *testing.T, s es.Store, breakIt func()) {
	add(t, s, "a-1", 0, events(3)...)
	f := follow(t, s, 0)
	f.until(t, "the first events", func(got []es.Recorded, _ es.Position) bool { return len(got) == 3 })
	breakIt()
	recovers(t, s)
	deadline := time.After(patience)
	for {
		f.mu.Lock()
		n, err, changed := len(f.events), f.err, f.changed
		f.mu.Unlock()
		if errors.Is(err, errSilent) {
			t.Fatal(err)
		}
		if err != nil || n == 4 {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatal("a follower hangs on a broken connection")
		}
	}
}

// Followers.

func followsOn(t *testing.T, s es.Store) {
	want := fill(t, s, 30)
	f := follow(t, s, 0)
	f.until(t, "what stood there", func(got []es.Recorded, _ es.Position) bool { return len(got) == len(want) })
	for i := range 20 {
		e := events(1 + i%2)
		p := add(t, s, fmt.Sprintf("new-%d", i), 0, e...)
		want = append(want, e...)
		f.until(t, "a new event", func(got []es.Recorded, through es.Position) bool {
			return len(got) == len(want) && through >= p
		})
	}
	if got := f.seen(); !slices.Equal(idsOf(got), proposedIDs(want)) || !equal(got, readAll(t, s, 0)) {
		t.Error("followed events are not those of reading")
	}
}

func followsFromTheEnd(t *testing.T, s es.Store) {
	fill(t, s, 10)
	old := readAll(t, s, 0)
	f := follow(t, s, old[len(old)-1].Position)
	e := events(2)
	p := add(t, s, "new-1", 0, e...)
	f.until(t, "the new events", func(got []es.Recorded, through es.Position) bool { return len(got) >= 2 && through >= p })
	expect(t, "new-1", 0, f.seen(), e)
}

func resumesFollowing(t *testing.T, s es.Store) {
	fill(t, s, 30)
	all := readAll(t, s, 0, "a", "小区-")
	var got []es.Recorded
	var through es.Position
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for len(got) < len(all) {
		for b, err := range s.Follow(ctx, through, "a", "小区-") {
			must(t, err)
			got, through = append(got, b.Events...), b.Through
			break
		}
	}
	if !equal(got, all) {
		t.Fatal("following in pieces gives other events than reading")
	}
	for i, r := range all { // positions of events are good to resume from as well
		if i%5 > 0 {
			continue
		}
		f := follow(t, s, r.Position, "a", "小区-")
		f.until(t, "the rest", func(got []es.Recorded, _ es.Position) bool { return len(got) >= len(all)-i-1 })
		if !equal(f.seen(), all[i+1:]) {
			t.Errorf("following after event %d gives other events than reading", i)
		}
		f.stop()
	}
}

func movesOnWhereNothingMatches(t *testing.T, s es.Store) {
	fill(t, s, 10)
	f := follow(t, s, 0, "nothing-", "b-")
	for i := range 5 {
		p := add(t, s, fmt.Sprintf("other-%d", i), 0, events(1)...)
		f.within(t, soon, fmt.Sprintf("through past %d, where nothing matched", p), func(_ []es.Recorded, through es.Position) bool {
			return through >= p
		})
	}
	if !equal(f.seen(), readAll(t, s, 0, "b-")) {
		t.Error("followed events are not those of reading")
	}
}

func endsWithAnError(t *testing.T, s es.Store) {
	add(t, s, "a-1", 0, events(3)...)
	for name, prefixes := range map[string][]string{"all": nil, "by prefix": {"a-"}, "nothing": {"nothing-"}} {
		ctx, cancel := context.WithCancel(t.Context())
		var failed error
		timer := time.AfterFunc(100*time.Millisecond, cancel)
		for _, err := range s.Follow(ctx, 0, prefixes...) {
			if failed != nil {
				t.Fatalf("%s: more comes after error %v", name, failed)
			}
			failed = err
		}
		if !errors.Is(failed, context.Canceled) {
			t.Errorf("%s: ended with %v, want the error of its context", name, failed)
		}
		timer.Stop()

		ctx, cancel = context.WithDeadline(t.Context(), time.Unix(0, 0))
		failed = nil
		for b, err := range s.Follow(ctx, 0, prefixes...) {
			if failed = err; len(b.Events) > 0 {
				t.Errorf("%s: events after the deadline", name)
			}
		}
		if !errors.Is(failed, context.DeadlineExceeded) {
			t.Errorf("%s: ended with %v, want the error of its context", name, failed)
		}
		cancel()
	}
}

func losesNothing(t *testing.T, s es.Store) {
	var want []es.Proposed
	stream := func(i int) string { return []string{"a-1", "b-1"}[i%2] }
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	var got []es.Recorded
	add(t, s, stream(0), 0, events(1)...)
	for b, err := range s.Follow(ctx, 0, "a-") {
		must(t, err)
		got = append(got, b.Events...)
		if len(got) > 0 && want == nil {
			// The consumer is busy while more is written than any buffer holds.
			want = events(6000)
			pad := bytes.Repeat([]byte("x"), 900)
			for i := range want {
				want[i].Data = bytes.Join([][]byte{[]byte(`{"pad":"`), pad, []byte(`"}`)}, nil)
			}
			length := []uint64{1, 0}
			for i := range 20 {
				add(t, s, stream(i), length[i%2], want[i*300:(i+1)*300]...)
				length[i%2] += 300
			}
		}
		if len(got) >= 3001 {
			break
		}
	}
	if !equal(got, readAll(t, s, 0, "a-")) {
		t.Errorf("%d events followed, not those of reading", len(got))
	}
}

func servesManyFollowers(t *testing.T, s es.Store) {
	const followers, writers, appends = 20, 4, 15
	fill(t, s, 8)
	var fs []*follower
	for i := range followers {
		if i%2 == 0 {
			fs = append(fs, follow(t, s, 0))
		} else {
			fs = append(fs, follow(t, s, 0, "many-", "a-"))
		}
	}
	var wg sync.WaitGroup
	var last atomic.Uint64
	for w := range writers {
		wg.Go(func() {
			for i := range uint64(appends) {
				p, err := s.Append(t.Context(), fmt.Sprintf("many-%d", w), 2*i, events(2)...)
				if err != nil {
					t.Error(err)
					return
				}
				for old := last.Load(); old < uint64(p) && !last.CompareAndSwap(old, uint64(p)); old = last.Load() {
				}
			}
		})
	}
	wg.Wait()
	all, some := readAll(t, s, 0), readAll(t, s, 0, "many-", "a-")
	for i, f := range fs {
		f.until(t, "the last event", func(_ []es.Recorded, through es.Position) bool { return through >= es.Position(last.Load()) })
		if want := [][]es.Recorded{all, some}[i%2]; !equal(f.seen(), want) {
			t.Errorf("follower %d saw %d events, want %d", i, len(f.seen()), len(want))
		}
	}
}

var errSilent = errors.New("following ended without an error")

// follower collects what Follow yields, and checks each batch.
type follower struct {
	mu      sync.Mutex
	events  []es.Recorded
	through es.Position
	err     error
	changed chan struct{} // closed when something changes, then another
	cancel  context.CancelFunc
	ended   chan struct{}
}

func follow(t *testing.T, s es.Store, after es.Position, prefixes ...string) *follower {
	ctx, cancel := context.WithCancel(t.Context())
	f := &follower{changed: make(chan struct{}), cancel: cancel, ended: make(chan struct{}), through: after}
	t.Cleanup(f.stop)
	go func() {
		defer close(f.ended)
		for b, err := range s.Follow(ctx, after, prefixes...) {
			if err == nil {
				err = f.check(b)
			}
			f.change(b, err)
			if err != nil {
				return
			}
		}
		f.change(es.Batch{}, errSilent)
	}()
	return f
}

func (f *follower) stop() {
	f.cancel()
	<-f.ended
}

func (f *follower) check(b es.Batch) error {
	last := f.through
	for _, r := range b.Events {
		if r.Position <= last {
			return fmt.Errorf("%s@%d at position %d comes after %d", r.Stream, r.Revision, r.Position, last)
		}
		last = r.Position
	}
	if b.Through < last {
		return fmt.Errorf("a batch through %d after position %d", b.Through, last)
	}
	return nil
}

func (f *follower) change(b es.Batch, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.err = err
	} else {
		f.events, f.through = append(f.events, b.Events...), b.Through
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *follower) seen() []es.Recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.events)
}

func (f *follower) until(t *testing.T, what string, done func([]es.Recorded, es.Position) bool) {
	t.Helper()
	f.within(t, patience, what, done)
}

func (f *follower) within(t *testing.T, limit time.Duration, what string, done func([]es.Recorded, es.Position) bool) {
	t.Helper()
	deadline := time.After(limit)
	for {
		f.mu.Lock()
		ok, err, n, through, changed := done(f.events, f.through), f.err, len(f.events), f.through, f.changed
		f.mu.Unlock()
		if ok {
			return
		}
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("no %s within %v; %d events, through %d", what, limit, n, through)
		}
	}
}

// events makes n events that differ.
func events(n int) []es.Proposed {
	out := make([]es.Proposed, n)
	for i := range out {
		out[i] = es.Proposed{
			ID: uuid.New(), Type: fmt.Sprintf("counted.v%d", 1+i%2),
			Data: fmt.Appendf(nil, `{"n":%d}`, i), Meta: []byte(`{"actor":"suite"}`),
		}
	}
	return out
}

func add(t *testing.T, s es.Store, stream string, expected uint64, events ...es.Proposed) es.Position {
	t.Helper()
	p, err := s.Append(t.Context(), stream, expected, events...)
	if err != nil {
		t.Fatalf("append %d events to %q at %d: %v", len(events), stream, expected, err)
	}
	if p == 0 {
		t.Fatalf("append to %q at %d: no position", stream, expected)
	}
	return p
}

func read(t *testing.T, s es.Store, stream string, from uint64) []es.Recorded {
	t.Helper()
	got, err := collect(s.Read(t.Context(), stream, from))
	must(t, err)
	return got
}

func readAll(t *testing.T, s es.Store, after es.Position, prefixes ...string) []es.Recorded {
	t.Helper()
	got, err := collect(s.ReadAll(t.Context(), after, prefixes...))
	must(t, err)
	for _, r := range got {
		if r.Position <= after {
			t.Fatalf("%s@%d at position %d comes after %d", r.Stream, r.Revision, r.Position, after)
		}
		after = r.Position
	}
	return got
}

func collect(read iter.Seq2[es.Recorded, error]) ([]es.Recorded, error) {
	var out []es.Recorded
	for r, err := range read {
		if err != nil {
			return out, err
		}
		out = append(out, r)
	}
	return out, nil
}

// expect compares recorded events, the first of which has revision from, with
// what was proposed.
func expect(t *testing.T, stream string, from uint64, got []es.Recorded, want []es.Proposed) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events of %q from revision %d, want %d", len(got), stream, from, len(want))
	}
	for i, r := range got {
		w := want[i]
		if r.Stream != stream || r.Revision != from+uint64(i) {
			t.Fatalf("%q@%d, want %q@%d", r.Stream, r.Revision, stream, from+uint64(i))
		}
		if r.ID != w.ID || r.Type != w.Type || !bytes.Equal(r.Data, w.Data) || !bytes.Equal(r.Meta, w.Meta) {
			t.Fatalf("%q@%d is {%v %s %.80s %.80s}, want {%v %s %.80s %.80s}",
				stream, r.Revision, r.ID, r.Type, r.Data, r.Meta, w.ID, w.Type, w.Data, w.Meta)
		}
	}
}

func equal(a, b []es.Recorded) bool {
	return slices.EqualFunc(a, b, func(a, b es.Recorded) bool {
		return a.Stream == b.Stream && a.Revision == b.Revision && a.Position == b.Position && a.ID == b.ID && a.Type == b.Type &&
			bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Meta, b.Meta) && a.Created.Equal(b.Created)
	})
}

func idsOf(events []es.Recorded) []uuid.UUID {
	var out []uuid.UUID
	for _, r := range events {
		out = append(out, r.ID)
	}
	return out
}

func proposedIDs(events []es.Proposed) []uuid.UUID {
	var out []uuid.UUID
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
