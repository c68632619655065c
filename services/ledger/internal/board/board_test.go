package board_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/ledger/internal/board"
)

// shelf is a store whose events a test writes itself, and their trail.
type shelf struct {
	*testing.T
	store *pebblestore.Store
	board *board.Board
	now   time.Time // of the store
	next  map[string]uint64
}

func open(t *testing.T) *shelf {
	t.Helper()
	s := &shelf{T: t, now: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC), next: map[string]uint64{}}
	log := slog.New(slog.DiscardHandler)
	store, err := pebblestore.Open(pebblestore.Config{Dir: "ledger", FS: vfs.NewMem(), Clock: func() time.Time { return s.now }, Log: log, CacheSize: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	s.store = store
	db := servicetest.Database(t, filepath.Join(t.TempDir(), "ledger.db"))
	if s.board, err = board.New(t.Context(), db, store, log, ledger.Prefixes()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.board.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// add appends an event a second after the last one and returns its id.
func (s *shelf) add(stream, kind, data string, meta es.Meta) uuid.UUID {
	s.Helper()
	if meta.Happened.IsZero() {
		meta.Happened = s.now
	}
	b, err := json.Marshal(meta)
	if err != nil {
		s.Fatal(err)
	}
	return s.raw(stream, kind, data, string(b))
}

func (s *shelf) raw(stream, kind, data, meta string) uuid.UUID {
	s.Helper()
	id := uuid.New()
	if _, err := s.store.Append(s.Context(), stream, s.next[stream], es.Proposed{ID: id, Type: kind, Data: []byte(data), Meta: []byte(meta)}); err != nil {
		s.Fatal(err)
	}
	s.next[stream]++
	s.now = s.now.Add(time.Second)
	return id
}

// all reads a search to its end, page by page.
func (s *shelf) all(what board.Search) (all []board.Entry) {
	s.Helper()
	if err := s.board.CatchUp(s.Context()); err != nil {
		s.Fatal(err)
	}
	for {
		p, err := s.board.Search(s.Context(), what)
		if err != nil {
			s.Fatal(err)
		}
		if len(p.Entries) > what.Limit {
			s.Fatalf("a page of %d", len(p.Entries))
		}
		if all = append(all, p.Entries...); p.Next == 0 {
			return all
		}
		what.Before = p.Next
	}
}

const garden, plaza = "0a6b3f9e-0000-4000-8000-000000000001", "0a6b3f9e-0000-4000-8000-000000000002"

// fill writes what happens in two estates.
func (s *shelf) fill() {
	clerk, owner := es.Meta{Actor: "clerk"}, es.Meta{Actor: "owner"}
	for i, estate := range []string{garden, plaza} {
		s.add("estate-"+estate, "estate-founded.v1", `{"estate":"`+estate+`"}`, clerk)
		s.add(fmt.Sprint("meeting-m", i), "meeting-drafted.v1", fmt.Sprintf(`{"meeting":"m%d","estate":%q}`, i, estate), clerk)
		s.add(fmt.Sprint("agreement-a", i), "agreement-proposed.v1", fmt.Sprintf(`{"agreement":"a%d","estate":%q}`, i, estate), clerk)
		for n := range 3 {
			s.add(fmt.Sprintf("ballot-m%d-%d", i, n), "ballot-cast.v1", fmt.Sprintf(`{"meeting":"m%d"}`, i), owner)
		}
		s.add(fmt.Sprint("workorder-w", i), "work-order-reported.v1", fmt.Sprintf(`{"order":"w%d","estate":%q}`, i, estate), owner)
		s.add(fmt.Sprint("workorder-w", i), "work-order-finished.v1", fmt.Sprintf(`{"order":"w%d"}`, i), es.Meta{Actor: "clerk", Happened: s.now.AddDate(-3, 0, 0), Past: true})
	}
	s.add("person-p", "person-registered.v1", `{"person":"p"}`, clerk)
	s.add("person-p", "role-granted.v1", `{"person":"p","estate":"`+garden+`"}`, clerk)
	s.add("person-p", "personal-data-read.v1", `{"person":"p"}`, clerk)
}

func TestASearchFindsWhatMeetsAllConditions(t *testing.T) {
	s := open(t)
	s.fill()
	everything := s.all(board.Search{Limit: 1000})
	stored := 0
	for r, err := range s.store.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		e := everything[len(everything)-1-stored]
		if e.Leaf != uint64(stored) || e.Position != r.Position || e.ID != r.ID || e.Stream != r.Stream || e.Revision != r.Revision || e.Type != r.Type || !e.Recorded.Equal(r.Created) {
			t.Fatalf("event %d is %+v, want %+v", stored, e, r)
		}
		stored++
	}
	if stored != len(everything) {
		t.Fatalf("%d events, want %d", len(everything), stored)
	}
	times := []time.Time{{}, everything[len(everything)-3].Recorded, everything[4].Recorded, s.now.AddDate(-1, 0, 0)}
	within := func(t time.Time, s board.Span) bool {
		return !t.Before(s.Since) && (s.Until.IsZero() || t.Before(s.Until))
	}
	found := 0
	rapid.Check(t, func(r *rapid.T) {
		search := board.Search{
			Estate: rapid.SampledFrom([]string{"", garden, plaza, "none"}).Draw(r, "estate"),
			Stream: rapid.SampledFrom([]string{"", "", "workorder-w1", "person-p", "workorder-"}).Draw(r, "stream"),
			Type:   rapid.SampledFrom([]string{"", "", "ballot-cast.v1", "work-order-finished.v1", "ballot-cast"}).Draw(r, "type"),
			Actor:  rapid.SampledFrom([]string{"", "", "owner"}).Draw(r, "actor"),
			About:  rapid.SampledFrom([]string{"", "", "meeting-m0"}).Draw(r, "about"),
			Limit:  rapid.SampledFrom([]int{1, 2, 1000}).Draw(r, "limit"),
		}
		span := board.Span{Since: rapid.SampledFrom(times).Draw(r, "since"), Until: rapid.SampledFrom(times).Draw(r, "until")}
		if rapid.Bool().Draw(r, "by when it happened") {
			search.Happened = span
		} else {
			search.Recorded = span
		}
		var want []board.Entry
		for _, e := range everything {
			if (search.Estate == "" || e.Estate == search.Estate) && (search.Stream == "" || e.Stream == search.Stream) && (search.Type == "" || e.Type == search.Type) &&
				(search.Actor == "" || e.Actor == search.Actor) && (search.About == "" || e.About == search.About) && within(e.Recorded, search.Recorded) && within(e.Happened, search.Happened) {
				want = append(want, e)
			}
		}
		got := s.all(search)
		if !reflect.DeepEqual(got, want) {
			r.Fatalf("%+v finds %d, want %d", search, len(got), len(want))
		}
		found += len(got)
	})
	if found == 0 {
		t.Fatal("no search found anything")
	}
}

func TestAPlaceIsFoundByPositionAndByTimeThoughClocksDiffer(t *testing.T) {
	s := open(t)
	if _, ok, err := s.board.At(t.Context(), 7); ok || err != nil {
		t.Fatalf("an empty trail has a place: %v", err)
	}
	begin, slow := s.now, []time.Duration{0, 900, 1400, 0, 2000, 300, 1999, 50, 0, 0, 1000} // ms
	for i := range 70 {
		s.now = begin.Add(time.Duration(i) * 400 * time.Millisecond).Add(-slow[i%len(slow)] * time.Millisecond)
		s.add(fmt.Sprint("voucher-", i%3), "voucher-posted.v1", `{}`, es.Meta{Actor: "clerk"})
	}
	everything := s.all(board.Search{Limit: 1000})
	slices.Reverse(everything)
	last := func(is func(board.Entry) bool) (leaf uint64, ok bool) {
		for _, e := range everything {
			if is(e) {
				leaf, ok = e.Leaf, true
			}
		}
		return leaf, ok
	}
	rapid.Check(t, func(r *rapid.T) {
		moment := begin.Add(time.Duration(rapid.IntRange(-3000, 32000).Draw(r, "ms")) * time.Millisecond)
		want, there := last(func(e board.Entry) bool { return !e.Recorded.After(moment) })
		got, ok, err := s.board.Recorded(t.Context(), moment)
		if err != nil || ok != there || got.Leaf != want {
			r.Fatalf("by time %d, %v, %v; want %d, %v", got.Leaf, ok, err, want, there)
		}
		position := es.Position(rapid.IntRange(0, int(everything[69].Position)+9).Draw(r, "position"))
		want, there = last(func(e board.Entry) bool { return e.Position <= position })
		got, ok, err = s.board.At(t.Context(), position)
		if err != nil || ok != there || got.Leaf != want {
			r.Fatalf("by position %d, %v, %v; want %d, %v", got.Leaf, ok, err, want, there)
		}
		until := moment.Add(time.Duration(rapid.IntRange(0, 9000).Draw(r, "long")) * time.Millisecond)
		n := 0
		for _, e := range everything {
			if !e.Recorded.Before(moment) && e.Recorded.Before(until) {
				n++
			}
		}
		if found := s.all(board.Search{Recorded: board.Span{Since: moment, Until: until}, Limit: 1000}); len(found) != n {
			r.Fatalf("%d events in a span, want %d", len(found), n)
		}
	})
}

func TestAnEventIsOfTheEstateThatItOrItsStreamOrItsMeetingNames(t *testing.T) {
	s := open(t)
	s.fill()
	count := map[string]int{}
	for _, e := range s.all(board.Search{Limit: 1000}) {
		count[e.Type+" "+e.Estate]++
	}
	want := map[string]int{"person-registered.v1 ": 1, "role-granted.v1 " + garden: 1, "personal-data-read.v1 ": 1}
	for _, estate := range []string{garden, plaza} {
		for kind, n := range map[string]int{"estate-founded.v1": 1, "meeting-drafted.v1": 1, "agreement-proposed.v1": 1, "ballot-cast.v1": 3, "work-order-reported.v1": 1, "work-order-finished.v1": 1} {
			want[kind+" "+estate] = n
		}
	}
	if !reflect.DeepEqual(count, want) {
		t.Fatalf("%v, want %v", count, want)
	}
}

func TestARebuiltTrailIsTheSame(t *testing.T) {
	s := open(t)
	s.fill()
	before := s.all(board.Search{Limit: 1000})
	if err := s.board.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := s.all(board.Search{Limit: 1000}); !reflect.DeepEqual(after, before) {
		t.Fatal("a trail that was folded at once is another than one that grew")
	}
}

func TestCausesAndEffectsAreFollowedToOtherStreams(t *testing.T) {
	s := open(t)
	s.fill()
	closed := s.add("meeting-m0", "voting-closed.v1", `{"meeting":"m0"}`, es.Meta{Actor: "reaction:votes_close", Cause: "meeting-m0/close"})
	released := s.add("meeting-m0", "key-released.v1", `{"meeting":"m0"}`, es.Meta{Cause: closed.String()})
	formal := s.add("agreement-a9", "agreement-proposed.v1", `{"agreement":"a9"}`, es.Meta{Cause: closed.String()})
	bill := s.add("bills-b", "bills-raised.v1", `{}`, es.Meta{Cause: formal.String()})
	refusal := s.add("reaction-votes_x", "reaction-refused.v1", `{}`, es.Meta{Cause: "refused/" + released.String()})
	if err := s.board.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string][]uuid.UUID{
		"meeting-m0":       {formal, bill, refusal},
		"agreement-a9":     {closed, bill},
		"bills-b":          {closed, formal},
		"reaction-votes_x": {closed, released},
		"meeting-m1":       nil,
		"meeting-none":     nil,
	} {
		l, err := s.board.Links(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		var got []uuid.UUID
		for _, e := range l.Entries {
			got = append(got, e.ID)
		}
		if !slices.Equal(got, want) || l.More {
			t.Errorf("%s hangs together with %v, want %v", stream, got, want)
		}
	}
	l, err := s.board.Links(t.Context(), "meeting-m0")
	if err != nil || !slices.Equal(l.About, []board.Kind{{Type: "ballot-cast.v1", Count: 3}}) {
		t.Errorf("about the meeting: %+v, %v", l.About, err)
	}
}

func TestManyEffectsAreCutAndLoopsEnd(t *testing.T) {
	s := open(t)
	first := s.add("meeting-m", "voting-closed.v1", `{}`, es.Meta{})
	for i := range 201 {
		s.add(fmt.Sprint("agreement-", i), "agreement-proposed.v1", `{}`, es.Meta{Cause: first.String()})
	}
	loop := uuid.New()
	meta, err := json.Marshal(es.Meta{Cause: loop.String()})
	if err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"period-1", "period-2"} {
		if _, err := s.store.Append(t.Context(), stream, 0, es.Proposed{ID: loop, Type: "x", Data: []byte(`{}`), Meta: meta}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.board.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for stream, want := range map[string]int{"meeting-m": 200, "period-1": 1} {
		l, err := s.board.Links(t.Context(), stream)
		if err != nil || len(l.Entries) != want || l.More != (want == 200) {
			t.Errorf("%s: %d events, more %v, %v", stream, len(l.Entries), l.More, err)
		}
	}
}

func TestATrailTakesWhatNobodyShouldHaveWritten(t *testing.T) {
	s := open(t)
	s.raw("ballot-\xff\x00业", "odd\x00.v1", `{"estate":"`+strings.Repeat("长", 500)+`"}`, `not JSON`)
	s.raw("ballot-"+strings.Repeat("x", 600), "", ``, `{"actor":7,"happened":"never"}`)
	s.raw("voucher-1", "voucher-posted.v1", `{"estate":7,"meeting":["m"]}`, `{"$causationId":"x","happened":"0001-01-01T00:00:00Z"}`)
	last := s.add("estate-1", "estate-founded.v1", `{"estate":"1"}`, es.Meta{Actor: "clerk"})
	list := s.all(board.Search{Limit: 10})
	if len(list) != 4 || list[0].ID != last || list[0].Leaf != 3 {
		t.Fatalf("%+v", list)
	}
	for _, e := range list[1:] {
		if !e.Happened.IsZero() || e.Cause != uuid.Nil || len(e.Stream) > 400 || len(e.Estate) > 402 {
			t.Errorf("%+v", e)
		}
	}
}

func TestARareEventIsLookedForALittleAtATime(t *testing.T) {
	board.Examine(t, 20)
	s := open(t)
	rare := s.add("estate-1", "estate-founded.v1", `{"estate":"1"}`, es.Meta{Actor: "clerk"})
	for range 45 {
		s.add("limits-1", "limits-set.v1", `{"estate":"1"}`, es.Meta{})
	}
	if err := s.board.WaitFor(t.Context(), s.store.Head()); err != nil {
		t.Fatal(err)
	}
	search := board.Search{Estate: "1", Type: "estate-founded.v1", Limit: 10}
	for page := 1; ; page++ {
		p, err := s.board.Search(t.Context(), search)
		if err != nil {
			t.Fatal(err)
		}
		if p.Next == 0 {
			if len(p.Entries) != 1 || p.Entries[0].ID != rare || page != 3 {
				t.Errorf("page %d has %+v", page, p.Entries)
			}
			return
		}
		search.Before = p.Next
	}
}
