package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

const patience = 20 * time.Second

// serve starts a server over a store in memory and connects EventStoreDB's own
// client. The form of the connection string takes the address.
func serve(t *testing.T, config esdbserver.Config, form string) (*pebblestore.Store, *esdbserver.Server, *client.Client) {
	t.Helper()
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	config.Logger = slog.New(slog.DiscardHandler)
	s := esdbserver.New(store, config)
	g := grpc.NewServer(esdbserver.Options()...)
	s.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	go func() { _ = g.Serve(l) }()
	settings, err := client.ParseConnectionString(fmt.Sprintf(form, l.Addr()))
	must(t, err)
	settings.Logger = client.NoopLogging()
	c, err := client.NewClient(settings)
	must(t, err)
	t.Cleanup(func() {
		must(t, c.Close())
		g.Stop()
		must(t, store.Close())
	})
	return store, s, c
}

const direct = "esdb://%s?tls=false"

func allow(context.Context) error { return nil }

// fill appends five events to each of three streams, in turns.
func fill(t *testing.T, s es.Store) (all []es.Recorded) {
	t.Helper()
	for i := range uint64(5) {
		for _, stream := range []string{"meeting-1", "meeting-2", "unit-1"} {
			_, err := s.Append(t.Context(), stream, i, es.Proposed{
				ID: uuid.New(), Type: fmt.Sprintf("%s.v%d", stream[:4], i%2+1), Data: []byte(`{ "n" : 1}`), Meta: []byte(`{"a":"b" }`),
			})
			must(t, err)
		}
	}
	for e, err := range s.ReadAll(t.Context(), 0) {
		must(t, err)
		all = append(all, e)
	}
	return all
}

func TestReadStream(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, direct)
	fill(t, store)
	for name, want := range map[string]struct {
		options client.ReadStreamOptions
		count   uint64
		want    []uint64
	}{
		"forwards":                        {client.ReadStreamOptions{}, 100, []uint64{0, 1, 2, 3, 4}},
		"forwards, some":                  {client.ReadStreamOptions{}, 2, []uint64{0, 1}},
		"forwards from a revision":        {client.ReadStreamOptions{From: client.Revision(3)}, 100, []uint64{3, 4}},
		"forwards from beyond the end":    {client.ReadStreamOptions{From: client.Revision(9)}, 100, nil},
		"forwards from the end":           {client.ReadStreamOptions{From: client.End{}}, 100, nil},
		"backwards from the end":          {client.ReadStreamOptions{Direction: client.Backwards, From: client.End{}}, 100, []uint64{4, 3, 2, 1, 0}},
		"backwards from the end, some":    {client.ReadStreamOptions{Direction: client.Backwards, From: client.End{}}, 2, []uint64{4, 3}},
		"backwards from a revision":       {client.ReadStreamOptions{Direction: client.Backwards, From: client.Revision(2)}, 2, []uint64{2, 1}},
		"backwards from beyond the end":   {client.ReadStreamOptions{Direction: client.Backwards, From: client.Revision(1<<64 - 1)}, 1, []uint64{4}},
		"backwards from the first event":  {client.ReadStreamOptions{Direction: client.Backwards, From: client.Revision(0)}, 9, []uint64{0}},
		"backwards from the start":        {client.ReadStreamOptions{Direction: client.Backwards}, 9, []uint64{0}},
		"forwards from the last revision": {client.ReadStreamOptions{From: client.Revision(4)}, 9, []uint64{4}},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := c.ReadStream(t.Context(), "meeting-1", want.options, want.count)
			must(t, err)
			var got []uint64
			for _, e := range collect(t, r) {
				got = append(got, e.Event.EventNumber)
			}
			if !slices.Equal(got, want.want) {
				t.Errorf("revisions %d, want %d", got, want.want)
			}
		})
	}
}

func TestEventsArriveByteForByte(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, direct)
	want := fill(t, store)[0]
	r, err := c.ReadStream(t.Context(), want.Stream, client.ReadStreamOptions{}, 1)
	must(t, err)
	got := collect(t, r)[0].Event
	if got.EventID != want.ID || got.EventType != want.Type || string(got.Data) != string(want.Data) || string(got.UserMetadata) != string(want.Meta) ||
		got.ContentType != "application/json" || !got.CreatedDate.Equal(want.Created.Truncate(100)) || got.Position.Commit != uint64(want.Position) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestPositionsOfStreamReadsCanBeKeptBack(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{Faults: &esdbserver.Faults{NoPositions: true}}, direct)
	fill(t, store)
	r, err := c.ReadStream(t.Context(), "unit-1", client.ReadStreamOptions{}, 9)
	must(t, err)
	for _, e := range collect(t, r) {
		if e.Commit != nil {
			t.Errorf("position %d", *e.Commit)
		}
	}
	all, err := c.ReadAll(t.Context(), client.ReadAllOptions{}, 9)
	must(t, err)
	for _, e := range collect(t, all) {
		if e.Commit == nil {
			t.Error("no position among all events")
		}
	}
}

func TestReadAll(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, direct)
	all := fill(t, store)
	at := func(i int) client.Position {
		return client.Position{Commit: uint64(all[i].Position), Prepare: uint64(all[i].Position)}
	}
	back := slices.Clone(all)
	slices.Reverse(back)
	for name, want := range map[string]struct {
		options client.ReadAllOptions
		count   uint64
		want    []es.Recorded
	}{
		"forwards":                  {client.ReadAllOptions{}, 100, all},
		"forwards, some":            {client.ReadAllOptions{}, 4, all[:4]},
		"forwards from a position":  {client.ReadAllOptions{From: at(7)}, 100, all[7:]},
		"forwards from the end":     {client.ReadAllOptions{From: client.End{}}, 100, nil},
		"backwards from the end":    {client.ReadAllOptions{Direction: client.Backwards, From: client.End{}}, 100, back},
		"the last one":              {client.ReadAllOptions{Direction: client.Backwards, From: client.End{}}, 1, back[:1]},
		"backwards from a position": {client.ReadAllOptions{Direction: client.Backwards, From: at(3)}, 100, back[12:]},
		"backwards from the start":  {client.ReadAllOptions{Direction: client.Backwards, From: client.Start{}}, 100, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := c.ReadAll(t.Context(), want.options, want.count)
			must(t, err)
			same(t, collect(t, r), want.want)
		})
	}
}

// What is looked back at takes several steps, and gaps longer than one.
func TestReadAllBackwardsOverALongLog(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, direct)
	var want []es.Recorded
	for i := range uint64(40) {
		_, err := store.Append(t.Context(), "a-1", i, es.Proposed{ID: uuid.New(), Type: "large.v1", Data: make([]byte, 1<<(10+i%6))})
		must(t, err)
	}
	for e, err := range store.ReadAll(t.Context(), 0) {
		must(t, err)
		want = append(want, e)
	}
	slices.Reverse(want)
	r, err := c.ReadAll(t.Context(), client.ReadAllOptions{Direction: client.Backwards, From: client.End{}}, 100)
	must(t, err)
	same(t, collect(t, r), want)
}

func TestAMissingStreamIsNotFound(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, direct)
	fill(t, store)
	for _, direction := range []client.Direction{client.Forwards, client.Backwards} {
		r, err := c.ReadStream(t.Context(), "missing-1", client.ReadStreamOptions{Direction: direction}, 1)
		must(t, err)
		if _, err = r.Recv(); !hasCode(err, client.ErrorCodeResourceNotFound) {
			t.Errorf("got %v, want not found", err)
		}
	}
}

func TestSubscribeToStream(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, direct)
	fill(t, store)
	for name, want := range map[string]struct {
		stream string
		from   client.StreamPosition
		first  uint64 // revision
	}{
		"from the start":             {"meeting-1", client.Start{}, 0},
		"after a revision":           {"meeting-1", client.Revision(2), 3},
		"from the end":               {"meeting-2", client.End{}, 5},
		"of a stream yet to come":    {"meeting-10", client.Start{}, 0},
		"of one whose name is short": {"unit", client.Start{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			sub, err := c.SubscribeToStream(ctx, want.stream, client.SubscribeToStreamOptions{From: want.from})
			must(t, err)
			defer sub.Close()
			n, err := store.Length(want.stream)
			must(t, err)
			next := want.first
			for next < n {
				next = expectRevision(t, sub, next)
			}
			if m := sub.Recv(); m.CaughtUp == nil {
				t.Fatalf("got %+v, want caught up", m)
			}
			for i := n; i < n+3; i++ {
				for _, stream := range []string{want.stream + "0", want.stream} {
					_, err := store.Append(ctx, stream, lengthOf(t, store, stream), es.Proposed{ID: uuid.New(), Type: "new.v1", Data: []byte("{}")})
					must(t, err)
				}
				next = expectRevision(t, sub, next)
			}
		})
	}
}

func TestSubscribeToAllWithFilters(t *testing.T) {
	for name, f := range map[string]struct {
		filter *client.SubscriptionFilter
		match  func(es.Recorded) bool
	}{
		"none":                              {nil, func(es.Recorded) bool { return true }},
		"stream prefixes":                   {&client.SubscriptionFilter{Type: client.StreamFilterType, Prefixes: []string{"unit-", "meeting-2"}}, func(e es.Recorded) bool { return e.Stream != "meeting-1" }},
		"stream by regular expression":      {&client.SubscriptionFilter{Type: client.StreamFilterType, Regex: `^meeting-\d$`}, func(e es.Recorded) bool { return e.Stream != "unit-1" }},
		"streams excluded":                  {&client.SubscriptionFilter{Type: client.StreamFilterType, Regex: `^(?!(unit-1$|x))`}, func(e es.Recorded) bool { return e.Stream != "unit-1" }},
		"type prefixes":                     {&client.SubscriptionFilter{Type: client.EventFilterType, Prefixes: []string{"unit."}}, func(e es.Recorded) bool { return e.Stream == "unit-1" }},
		"type by regular expression":        {&client.SubscriptionFilter{Type: client.EventFilterType, Regex: `v1$`}, func(e es.Recorded) bool { return e.Revision%2 == 0 }},
		"the client's own without system's": {client.ExcludeSystemEventsFilter(), func(es.Recorded) bool { return true }},
		"nothing matches":                   {&client.SubscriptionFilter{Type: client.StreamFilterType, Prefixes: []string{"x"}}, func(es.Recorded) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			store, _, c := serve(t, esdbserver.Config{}, direct)
			fill(t, store)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			sub, err := c.SubscribeToAll(ctx, client.SubscribeToAllOptions{From: client.Start{}, Filter: f.filter})
			must(t, err)
			defer sub.Close()
			var got []client.ResolvedEvent
			through, caughtUp := uint64(0), false
			until := func(done func() bool) {
				t.Helper()
				for !done() {
					switch m := sub.Recv(); {
					case m.SubscriptionDropped != nil:
						t.Fatal(m.SubscriptionDropped.Error)
					case m.EventAppeared != nil:
						got = append(got, *m.EventAppeared)
						through = m.EventAppeared.Event.Position.Commit
					case m.CheckPointReached != nil:
						through = m.CheckPointReached.Commit
					case m.CaughtUp != nil:
						caughtUp = true
					}
				}
			}
			until(func() bool { return caughtUp })
			p, err := store.Append(ctx, "unit-1", 5, es.Proposed{ID: uuid.New(), Type: "unit.v2", Data: []byte("{}")})
			must(t, err)
			until(func() bool { return through >= uint64(p) })
			var want []es.Recorded
			for e, err := range store.ReadAll(ctx, 0) {
				must(t, err)
				if f.match(e) {
					want = append(want, e)
				}
			}
			// The last one, unit-1@5, is v2 and of an odd revision, as fill has it.
			same(t, got, want)
		})
	}
}

func TestSubscribeToAllFromAPositionAndFromTheEnd(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, direct)
	all := fill(t, store)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p := client.Position{Commit: uint64(all[9].Position), Prepare: uint64(all[9].Position)}
	for _, from := range []client.AllPosition{p, client.End{}} {
		sub, err := c.SubscribeToAll(ctx, client.SubscribeToAllOptions{From: from})
		must(t, err)
		want := all[10:]
		if from != p {
			want = nil
		}
		var got []client.ResolvedEvent
		for m := sub.Recv(); m.CaughtUp == nil; m = sub.Recv() {
			if m.EventAppeared == nil {
				t.Fatalf("got %+v", m)
			}
			got = append(got, *m.EventAppeared)
		}
		same(t, got, want)
		must(t, sub.Close())
	}
}

func TestDropEndsSubscriptions(t *testing.T) {
	store, server, c := serve(t, esdbserver.Config{}, direct)
	fill(t, store)
	all, err := c.SubscribeToAll(t.Context(), client.SubscribeToAllOptions{})
	must(t, err)
	stream, err := c.SubscribeToStream(t.Context(), "unit-1", client.SubscribeToStreamOptions{})
	must(t, err)
	for _, sub := range []*client.Subscription{all, stream} {
		if m := sub.Recv(); m.CaughtUp == nil {
			t.Fatalf("got %+v, want caught up", m)
		}
	}
	server.Drop()
	for _, sub := range []*client.Subscription{all, stream} {
		if m := sub.Recv(); m.SubscriptionDropped == nil {
			t.Errorf("got %+v, want dropped", m)
		}
	}
}

func TestAppend(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{Append: allow}, direct)
	event := func() client.EventData {
		return client.EventData{EventID: uuid.New(), EventType: "new.v1", ContentType: client.ContentTypeJson, Data: []byte("{}")}
	}
	at := func(r client.ExpectedRevision, stream string, e ...client.EventData) (*client.WriteResult, error) {
		return c.AppendToStream(t.Context(), stream, client.AppendToStreamOptions{ExpectedRevision: r}, e...)
	}
	first, second := event(), event()
	for _, c := range []struct {
		name     string
		expected client.ExpectedRevision
		stream   string
		events   []client.EventData
		revision uint64 // of the last event, where it is recorded
		wrong    bool
	}{
		{"to a stream that should exist, but does not", client.StreamExists{}, "a-1", []client.EventData{first}, 0, true},
		{"to a new stream", client.NoStream{}, "a-1", []client.EventData{first, second}, 1, false},
		{"the same again", client.NoStream{}, "a-1", []client.EventData{first, second}, 1, false},
		{"the same at any revision", client.Any{}, "a-1", []client.EventData{first, second}, 1, false},
		{"partly the same", client.NoStream{}, "a-1", []client.EventData{first, event()}, 0, true},
		{"partly the same at any revision", client.Any{}, "a-1", []client.EventData{first, event()}, 0, true},
		{"to a stream that is not new", client.NoStream{}, "a-1", []client.EventData{event()}, 0, true},
		{"at a revision", client.Revision(1), "a-1", []client.EventData{event()}, 2, false},
		{"at a wrong revision", client.Revision(7), "a-1", []client.EventData{event()}, 0, true},
		{"at any revision", client.Any{}, "a-1", []client.EventData{event()}, 3, false},
		{"to a stream that exists", client.StreamExists{}, "a-1", []client.EventData{event()}, 4, false},
		{"to any stream", client.Any{}, "b-1", []client.EventData{event()}, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := store.Head()
			got, err := at(c.expected, c.stream, c.events...)
			switch {
			case c.wrong && (!hasCode(err, client.ErrorCodeWrongExpectedVersion) || store.Head() != before):
				t.Errorf("got %v, want wrong expected version", err)
			case c.wrong:
			case err != nil:
				t.Error(err)
			case got.NextExpectedVersion != c.revision || got.CommitPosition == 0 || got.CommitPosition > uint64(store.Head()):
				t.Errorf("got %+v, want revision %d", got, c.revision)
			}
		})
	}
	if _, err := at(client.Any{}, "c-1", client.EventData{EventID: uuid.New(), EventType: "large.v1", Data: make([]byte, es.MaxEvent+1)}); err == nil {
		t.Error("recorded an event that is too large")
	}
}

func TestOnlyThoseWhoMayAppend(t *testing.T) {
	for name, may := range map[string]func(context.Context) error{
		"nobody":         nil,
		"not the caller": func(context.Context) error { return errors.New("no") },
	} {
		t.Run(name, func(t *testing.T) {
			store, _, c := serve(t, esdbserver.Config{Append: may}, direct)
			_, err := c.AppendToStream(t.Context(), "a-1", client.AppendToStreamOptions{}, client.EventData{EventType: "new.v1", Data: []byte("{}")})
			if !hasCode(err, client.ErrorCodeAccessDenied) || store.Head() != 0 {
				t.Errorf("got %v, want access denied", err)
			}
		})
	}
}

func TestWhatIsRecordedStays(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{Append: allow}, direct)
	fill(t, store)
	_, deleted := c.DeleteStream(t.Context(), "unit-1", client.DeleteStreamOptions{})
	_, tombstoned := c.TombstoneStream(t.Context(), "unit-1", client.TombstoneStreamOptions{})
	created := c.CreatePersistentSubscription(t.Context(), "unit-1", "g", client.PersistentStreamSubscriptionOptions{})
	for _, err := range []error{deleted, tombstoned, created} {
		if !hasCode(err, client.ErrorCodeUnsupportedFeature) {
			t.Errorf("got %v, want unsupported", err)
		}
	}
	if n := lengthOf(t, store, "unit-1"); n != 5 {
		t.Errorf("%d events, want 5", n)
	}
}

func TestGossipLeadsBackToTheServer(t *testing.T) {
	store, _, c := serve(t, esdbserver.Config{}, "esdb+discover://%s?tls=false")
	fill(t, store)
	version, err := c.GetServerVersion()
	must(t, err)
	if version.Major < 23 {
		t.Errorf("version %+v", version)
	}
	r, err := c.ReadStream(t.Context(), "unit-1", client.ReadStreamOptions{}, 9)
	must(t, err)
	if n := len(collect(t, r)); n != 5 {
		t.Errorf("%d events, want 5", n)
	}
}

func expectRevision(t *testing.T, sub *client.Subscription, revision uint64) (next uint64) {
	t.Helper()
	m := sub.Recv()
	if m.EventAppeared == nil || m.EventAppeared.Event.EventNumber != revision {
		t.Fatalf("got %+v, want revision %d", m, revision)
	}
	return revision + 1
}

func lengthOf(t *testing.T, s *pebblestore.Store, stream string) uint64 {
	t.Helper()
	n, err := s.Length(stream)
	must(t, err)
	return n
}

func collect(t *testing.T, r *client.ReadStream) (out []client.ResolvedEvent) {
	t.Helper()
	defer r.Close()
	for {
		e, err := r.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		must(t, err)
		out = append(out, *e)
	}
}

func same(t *testing.T, got []client.ResolvedEvent, want []es.Recorded) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i].Event; g.EventID != w.ID || g.StreamID != w.Stream || g.EventNumber != w.Revision || g.Position.Commit != uint64(w.Position) {
			t.Fatalf("event %d is %s@%d at %d, want %s@%d at %d", i, g.StreamID, g.EventNumber, g.Position.Commit, w.Stream, w.Revision, w.Position)
		}
	}
}

func hasCode(err error, code client.ErrorCode) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Code() == code
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
