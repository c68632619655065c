package es_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// A guest book: opened once, then signed, each name once.

type entry struct {
	Name string `json:"name"` // none: the book is opened
}

type book struct {
	open  bool
	names []string
}

func evolve(b book, e entry) book {
	if e.Name == "" {
		b.open = true
		return b
	}
	b.names = append(slices.Clone(b.names), e.Name)
	return b
}

type codec struct{}

func (codec) Encode(e entry) (string, []byte, error) {
	data, err := json.Marshal(e)
	return "entry.v1", data, err
}

func (codec) Decode(name string, data []byte) (e entry, err error) {
	if name != "entry.v1" {
		return e, fmt.Errorf("unknown event %s", name)
	}
	return e, json.Unmarshal(data, &e)
}

var errRefused = errors.New("refused")

type open struct{}

func (open) Decide(b book) ([]entry, error) {
	if b.open {
		return nil, fmt.Errorf("%w: open already", errRefused)
	}
	return []entry{{}}, nil
}

// sign counts how often it was decided.
type sign struct {
	names   []string
	decided *int
}

func (s sign) Decide(b book) ([]entry, error) {
	if s.decided != nil {
		*s.decided++
	}
	var events []entry
	for _, n := range s.names {
		if n == "nobody" {
			return nil, errRefused
		}
		if !slices.Contains(b.names, n) {
			events = append(events, entry{n})
		}
	}
	return events, nil
}

// ledger is the other side of the commit path: it appends, and answers a wrong
// revision by searching the stream for the commit.
type ledger struct {
	store  es.Store
	before func(es.Commit)       // runs when a commit arrives
	answer func(es.Commit) error // runs when it was dealt with; an error is all the service hears
	sent   []es.Commit
}

func (l *ledger) Commit(ctx context.Context, c es.Commit) (es.Outcome, error) {
	l.sent = append(l.sent, c)
	if l.before != nil {
		l.before(c)
	}
	outcome, err := l.record(ctx, c)
	if err == nil && l.answer != nil {
		err = l.answer(c)
	}
	return outcome, err
}

func (l *ledger) record(ctx context.Context, c es.Commit) (es.Outcome, error) {
	o := es.Outcome{Commit: c.ID, Attempt: c.Attempt, Stream: c.Stream}
	p, err := l.store.Append(ctx, c.Stream, c.Expected, c.Events...)
	switch {
	case err == nil:
		o.Status, o.Position = es.StatusRecorded, p
		o.Revision, o.Event = c.Expected+uint64(len(c.Events))-1, c.Events[len(c.Events)-1].ID
		return o, nil
	case errors.Is(err, es.ErrTooLarge):
		o.Status, o.Reason = es.StatusRefused, err.Error()
		return o, nil
	case !errors.Is(err, es.ErrWrongRevision):
		return o, err
	}
	want, err := es.ParseMeta(c.Events[0].Meta)
	if err != nil {
		return o, err
	}
	o.Status = es.StatusConflict
	for r, err := range l.store.Read(ctx, c.Stream, 0) {
		if err != nil {
			return o, err
		}
		meta, err := es.ParseMeta(r.Meta)
		switch {
		case err != nil:
			return o, err
		case meta.Commit == c.ID && meta.Hash != want.Hash:
			o.Status = es.StatusKeyReused
			return o, nil
		case meta.Commit == c.ID:
			o.Status, o.Position, o.Revision, o.Event = es.StatusRecorded, r.Position, r.Revision, r.ID
		}
	}
	return o, nil
}

type desk struct {
	t      *testing.T
	store  es.Store
	ledger *ledger
	repo   es.Repo[book, entry]
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	s, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	l := &ledger{store: s}
	return &desk{t, s, l, es.Repo[book, entry]{Store: s, Committer: l, Prefix: "book-", Codec: codec{}, Evolve: evolve}}
}

func (d *desk) do(req es.Request, cmd es.Command[book, entry]) (es.Done[entry], error) {
	return d.repo.Do(d.t.Context(), "1", req, cmd)
}

// other lets another request sign, past the ledger's hooks.
func (d *desk) other(name string) {
	d.t.Helper()
	repo := d.repo
	repo.Committer = &ledger{store: d.store}
	_, err := repo.Do(d.t.Context(), "1", request("other "+name), sign{names: []string{name}})
	must(d.t, err)
}

func (d *desk) names(want ...string) {
	d.t.Helper()
	b, length, err := d.repo.Load(d.t.Context(), "1")
	must(d.t, err)
	if !slices.Equal(b.names, want) || length != uint64(len(want)) && !b.open {
		d.t.Errorf("%d events, signed by %q, want %q", length, b.names, want)
	}
}

// request names a request: its key and its body are both name.
func request(name string) es.Request {
	return es.Request{Commit: uuid.NewSHA1(uuid.Nil, []byte(name)), Hash: "hash of " + name, Actor: "anna", Happened: time.Unix(1e9, 0).UTC()}
}

func TestACommandIsDecidedAndRecorded(t *testing.T) {
	d := newDesk(t)
	done, err := d.do(request("r"), sign{names: []string{"a", "b"}})
	must(t, err)
	if !slices.Equal(done.Events, []entry{{"a"}, {"b"}}) || len(done.IDs) != 2 || done.Stream != "book-1" || done.Revision != 1 || done.Position == 0 || done.Repeated {
		t.Errorf("done %+v", done)
	}
	d.names("a", "b")
	i := 0
	for r, err := range d.store.Read(t.Context(), "book-1", 0) {
		must(t, err)
		meta, err := es.ParseMeta(r.Meta)
		must(t, err)
		want := request("r")
		if r.ID != done.IDs[i] || meta.Commit != want.Commit || meta.Hash != want.Hash || meta.Actor != "anna" || !meta.Happened.Equal(want.Happened) {
			t.Errorf("event %d: %v, %+v", i, r.ID, meta)
		}
		i++
	}
}

func TestAWishThatIsFulfilledOrRefusedSendsNothing(t *testing.T) {
	d := newDesk(t)
	d.other("a")
	done, err := d.do(request("again"), sign{names: []string{"a"}})
	if err != nil || len(done.Events) > 0 || done.Position != 0 || done.Stream != "book-1" {
		t.Errorf("fulfilled: %+v, %v", done, err)
	}
	if _, err := d.do(request("bad"), sign{names: []string{"nobody"}}); !errors.Is(err, errRefused) {
		t.Errorf("refused: %v", err)
	}
	if len(d.ledger.sent) > 0 {
		t.Errorf("%d commits sent", len(d.ledger.sent))
	}
}

func TestAConflictIsDecidedAgain(t *testing.T) {
	d := newDesk(t)
	d.ledger.before = func(c es.Commit) {
		if c.Attempt < 2 {
			d.other(fmt.Sprint(c.Attempt))
		}
	}
	decided := 0
	done, err := d.do(request("r"), sign{[]string{"a", "1"}, &decided})
	must(t, err)
	if decided != 3 || !slices.Equal(done.Events, []entry{{"a"}}) || done.Revision != 2 || done.Repeated {
		t.Errorf("decided %d times: %+v", decided, done)
	}
	d.names("0", "1", "a")
	for i, c := range d.ledger.sent {
		if c.Attempt != i || c.Expected != uint64(i) || c.ID != request("r").Commit {
			t.Errorf("attempt %d: %+v", i, c)
		}
	}
}

func TestFiveConflictsAreAnError(t *testing.T) {
	d := newDesk(t)
	d.ledger.before = func(c es.Commit) { d.other(fmt.Sprint(c.Attempt)) }
	decided := 0
	if _, err := d.do(request("r"), sign{[]string{"a"}, &decided}); !errors.Is(err, es.ErrConflict) || decided != 5 {
		t.Errorf("%v after %d decisions", err, decided)
	}
	d.names("0", "1", "2", "3", "4")
}

func TestARepeatAfterALostAnswerGetsTheRecordedEvents(t *testing.T) {
	d := newDesk(t)
	d.ledger.answer = func(es.Commit) error { return es.ErrPending }
	if _, err := d.do(request("r"), sign{names: []string{"a", "b"}}); !errors.Is(err, es.ErrPending) {
		t.Fatalf("got %v", err)
	}
	d.ledger.answer = nil
	d.other("c")
	decided := 0
	done, err := d.do(request("r"), sign{[]string{"a", "b"}, &decided})
	must(t, err)
	if !done.Repeated || decided > 0 || !slices.Equal(done.Events, []entry{{"a"}, {"b"}}) || done.Revision != 1 || done.Position == 0 {
		t.Errorf("decided %d times: %+v", decided, done)
	}
	for i, id := range d.ledger.sent[0].Events {
		if done.IDs[i] != id.ID {
			t.Errorf("event %d has another id", i)
		}
	}
	d.names("a", "b", "c")
}

func TestACommitThatWasNotSentIsSentByTheRepeat(t *testing.T) {
	d := newDesk(t)
	lost := es.Repo[book, entry]{Store: d.store, Committer: unsent{}, Prefix: "book-", Codec: codec{}, Evolve: evolve}
	if _, err := lost.Do(t.Context(), "1", request("r"), sign{names: []string{"a"}}); !errors.Is(err, es.ErrNotSent) {
		t.Fatalf("got %v", err)
	}
	done, err := d.do(request("r"), sign{names: []string{"a"}})
	if err != nil || done.Repeated {
		t.Errorf("%+v, %v", done, err)
	}
	d.names("a")
}

type unsent struct{}

func (unsent) Commit(context.Context, es.Commit) (es.Outcome, error) {
	return es.Outcome{}, es.ErrNotSent
}

func TestARepeatedCommandThatCreatesIsNotRefused(t *testing.T) {
	d := newDesk(t)
	first, err := d.do(request("create"), open{})
	must(t, err)
	d.other("a")
	again, err := d.do(request("create"), open{})
	must(t, err)
	if !again.Repeated || again.Position != first.Position || !slices.Equal(again.IDs, first.IDs) || again.Revision != 0 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	if _, err := d.do(request("create another"), open{}); !errors.Is(err, errRefused) {
		t.Errorf("another one: %v", err)
	}
}

func TestALateDuplicateOfTheFirstAttemptChangesNothing(t *testing.T) {
	d := newDesk(t)
	d.ledger.before = func(c es.Commit) {
		if c.Attempt == 0 {
			d.other("x")
		}
	}
	done, err := d.do(request("r"), sign{names: []string{"a"}})
	must(t, err)
	for i := range 2 { // the lost attempt, and the one that was recorded
		o, err := d.ledger.Commit(t.Context(), d.ledger.sent[i])
		must(t, err)
		if o.Status != es.StatusRecorded || o.Event != done.IDs[0] || o.Position != done.Position || o.Revision != 1 {
			t.Errorf("attempt %d again: %+v, want where %+v stands", i, o, done)
		}
	}
	d.names("x", "a")
}

// The client repeats its request at another instance while the first decision
// is still on its way. The first is recorded first; the second, decided at
// another time and so of other bytes, must neither be recorded nor answered.
func TestASecondDecisionNeverPassesForTheFirst(t *testing.T) {
	d := newDesk(t)
	var first es.Done[entry]
	d.ledger.before = func(es.Commit) {
		if first.IDs != nil {
			return
		}
		repo := d.repo
		repo.Committer = &ledger{store: d.store}
		var err error
		first, err = repo.Do(t.Context(), "1", request("r"), sign{names: []string{"a", "b"}})
		must(t, err)
	}
	later := request("r")
	later.Happened = later.Happened.Add(time.Second)
	for name, cmd := range map[string]sign{
		"other events":  {names: []string{"b", "a"}},
		"other time":    {names: []string{"a", "b"}},
		"fewer events":  {names: []string{"a"}},
		"other and few": {names: []string{"c"}},
	} {
		t.Run(name, func(t *testing.T) {
			done, err := d.do(later, cmd)
			must(t, err)
			if !done.Repeated || !slices.Equal(done.IDs, first.IDs) || !slices.Equal(done.Events, first.Events) || done.Position != first.Position || done.Revision != 1 {
				t.Errorf("answered %+v, recorded was %+v", done, first)
			}
			d.names("a", "b")
		})
	}
}

func TestDerivedIDsAreThoseOfRFC9562(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		space, name := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "space")), rapid.SliceOf(rapid.Byte()).Draw(t, "name")
		if got, want := es.Derived(space, name), uuid.NewSHA1(space, name); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	})
}

func TestEventIDsDifferByWhatWasDecided(t *testing.T) {
	later := request("r")
	later.Happened = later.Happened.Add(time.Second)
	otherHash := request("r")
	otherHash.Hash = "other"
	seen := map[uuid.UUID]string{}
	for name, c := range map[string]struct {
		req   es.Request
		names []string
	}{
		"the first": {request("r"), []string{"a", "b"}}, "other bytes": {request("r"), []string{"c", "d"}},
		"other time": {later, []string{"a", "b"}}, "other body": {otherHash, []string{"a", "b"}}, "other key": {request("q"), []string{"a", "b"}},
	} {
		done, err := newDesk(t).do(c.req, sign{names: c.names})
		must(t, err)
		again, err := newDesk(t).do(c.req, sign{names: c.names})
		must(t, err)
		if !slices.Equal(done.IDs, again.IDs) {
			t.Errorf("%s: the same decision has other ids elsewhere", name)
		}
		for _, id := range done.IDs {
			if seen[id] != "" {
				t.Errorf("%s has an id of %s", name, seen[id])
			}
			seen[id] = name
		}
	}
}

func TestAnotherBodyUnderTheSameKeyIsRefused(t *testing.T) {
	other := request("r")
	other.Hash = "hash of another body"
	t.Run("found in the stream", func(t *testing.T) {
		d := newDesk(t)
		_, err := d.do(request("r"), sign{names: []string{"a"}})
		must(t, err)
		if _, err := d.do(other, sign{names: []string{"b"}}); !errors.Is(err, es.ErrKeyReused) {
			t.Errorf("got %v", err)
		}
		d.names("a")
	})
	t.Run("found by the ledger", func(t *testing.T) {
		d := newDesk(t)
		d.ledger.before = func(es.Commit) {
			d.ledger.before = nil
			_, err := d.do(request("r"), sign{names: []string{"a"}})
			must(t, err)
		}
		if _, err := d.do(other, sign{names: []string{"b"}}); !errors.Is(err, es.ErrKeyReused) {
			t.Errorf("got %v", err)
		}
		d.names("a")
	})
}

func TestWhatIsTooLargeIsNotSent(t *testing.T) {
	d := newDesk(t)
	for name, cmd := range map[string]sign{
		"event":  {names: []string{strings.Repeat("x", es.MaxEvent)}},
		"commit": {names: many(9, es.MaxEvent-1000)},
	} {
		if _, err := d.do(request(name), cmd); !errors.Is(err, es.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(d.ledger.sent) > 0 {
		t.Errorf("%d commits sent", len(d.ledger.sent))
	}
	_, err := d.do(request("fits"), sign{names: many(8, es.MaxEvent-1000)})
	must(t, err)
}

// many makes n names of about size bytes.
func many(n, size int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = strings.Repeat("x", size) + fmt.Sprint(i)
	}
	return names
}

// EventStoreDB tells no positions on stream reads; a repeat asks the ledger.
func TestARepeatFindsItsPositionWhereReadsTellNone(t *testing.T) {
	d := newDesk(t)
	first, err := d.do(request("r"), sign{names: []string{"a", "b"}})
	must(t, err)
	d.other("c")
	d.repo.Store = silent{d.store}
	again, err := d.do(request("r"), sign{names: []string{"a", "b"}})
	must(t, err)
	if !again.Repeated || again.Position != first.Position || again.Revision != 1 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	d.names("a", "b", "c")
}

type silent struct{ es.Store }

func (s silent) Read(ctx context.Context, stream string, from uint64) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		for r, err := range s.Store.Read(ctx, stream, from) {
			r.Position = 0
			if !yield(r, err) {
				return
			}
		}
	}
}

func TestAnErrorOfReadingIsNotAnEmptyState(t *testing.T) {
	d := newDesk(t)
	_, err := d.store.Append(t.Context(), "book-1", 0, es.Proposed{ID: uuid.New(), Type: "unknown.v1", Data: []byte(`{}`), Meta: []byte(`{}`)})
	must(t, err)
	if _, err := d.do(request("r"), open{}); err == nil || !strings.Contains(err.Error(), "book-1@0") {
		t.Errorf("an event that cannot be decoded: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.repo.Do(ctx, "1", request("r"), open{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read: %v", err)
	}
	if len(d.ledger.sent) > 0 {
		t.Errorf("%d commits sent", len(d.ledger.sent))
	}
}

func TestARefusedCommitIsAnError(t *testing.T) {
	d := newDesk(t)
	d.repo.Committer = refusing{}
	if _, err := d.do(request("r"), sign{names: []string{"a"}}); err == nil || !strings.Contains(err.Error(), "not its stream") {
		t.Errorf("got %v", err)
	}
}

type refusing struct{}

func (refusing) Commit(context.Context, es.Commit) (es.Outcome, error) {
	return es.Outcome{Status: es.StatusRefused, Reason: "not its stream"}, nil
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
