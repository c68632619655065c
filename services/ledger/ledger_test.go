package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	refusals "github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
)

type body = map[string]any

// event is one of the trail, its data and metadata byte for byte.
type event struct {
	Position uint64
	Stream   string
	Revision uint64
	ID       uuid.UUID
	Type     string
	Happened time.Time
	Recorded time.Time
	Data     json.RawMessage
	Meta     json.RawMessage
	Hash     string
}

type page struct {
	Items []event
	Next  uint64
}

func TestTrail(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山<&>花园")
	s.Homes(estate, "1-101", "1-102")
	person, client := s.Someone(estate)
	client.Post("/me/corrections", body{"words": "改一下"}).Want(http.StatusCreated)
	alien := es.Proposed{ID: uuid.New(), Type: "alien.v1", Data: []byte(`{}`), Meta: []byte(`{}`)}
	for _, stream := range []string{"alien-1", "$settings"} {
		if _, err := s.Store.Append(t.Context(), stream, 0, alien); err != nil {
			t.Fatal(err)
		}
		alien.ID = uuid.New()
	}
	want := s.Events(ledger.Prefixes()...)

	t.Run("holds every event in order, by pages of any size", func(t *testing.T) {
		for _, limit := range []int{1, 3, 1000} {
			var all []event
			for after := uint64(0); ; {
				var p page
				s.Anyone().Get(fmt.Sprintf("/ledger/events?after=%d&limit=%d", after, limit)).Want(http.StatusOK).Into(&p)
				if len(p.Items) > limit {
					t.Fatalf("a page of %d", len(p.Items))
				}
				all = append(all, p.Items...)
				if p.Next == 0 {
					break
				}
				after = p.Next
			}
			if len(all) != len(want) {
				t.Fatalf("%d events by %d, want %d", len(all), limit, len(want))
			}
			for i, e := range all {
				w := want[i]
				if e.Position != uint64(w.Position) || e.Stream != w.Stream || e.Revision != w.Revision || e.ID != w.ID || e.Type != w.Type || !e.Recorded.Equal(w.Created) {
					t.Fatalf("event %d is %+v, want %+v", i, e, w)
				}
			}
		}
	})
	t.Run("shows the stored bytes and their hash", func(t *testing.T) {
		var p page
		s.Anyone().Get("/ledger/events?limit=1000").Want(http.StatusOK).Into(&p)
		for i, e := range p.Items {
			sum := sha256.Sum256(e.Data)
			if e.Hash != hex.EncodeToString(sum[:]) || !bytes.Equal(e.Data, want[i].Data) || !bytes.Equal(e.Meta, want[i].Meta) {
				t.Fatalf("of %s@%d is shown %s, hash %s; stored %s", e.Stream, e.Revision, e.Data, e.Hash, want[i].Data)
			}
		}
	})
	t.Run("shows a stream by revision", func(t *testing.T) {
		path := "/ledger/streams/" + registry.PersonStream + person
		var whole, first, rest page
		s.Anyone().Get(path).Want(http.StatusOK).Into(&whole)
		s.Anyone().Get(path + "?limit=1").Want(http.StatusOK).Into(&first)
		s.Anyone().Get(fmt.Sprintf("%s?from=%d", path, first.Next)).Want(http.StatusOK).Into(&rest)
		if len(whole.Items) != 2 || whole.Next != 0 || first.Next != 1 || len(rest.Items) != 1 || rest.Items[0].Revision != 1 {
			t.Fatalf("whole %+v, first %+v, rest %+v", whole, first, rest)
		}
		var data struct{ Words string }
		if err := json.Unmarshal(whole.Items[1].Data, &data); err != nil || len(data.Words) < 4096 || strings.Contains(data.Words, "改") {
			t.Fatalf("sealed words stand as %.80s…, %v", data.Words, err)
		}
	})
	t.Run("shows nothing else that the store holds", func(t *testing.T) {
		for _, stream := range []string{"alien-1", "$settings", "estate-nowhere"} {
			s.Anyone().Get("/ledger/streams/"+stream).Refused(http.StatusNotFound, "no-such-stream")
		}
		s.Anyone().Get("/operations/alien-1/"+uuid.NewString()).Refused(http.StatusNotFound, "no-such-stream")
	})
	t.Run("refuses what cannot be asked", func(t *testing.T) {
		s.Anyone().Get("/ledger/events?limit=1001").Refused(http.StatusUnprocessableEntity, "invalid", "limit")
		s.Anyone().Get("/ledger/events?limit=0").Refused(http.StatusUnprocessableEntity, "invalid", "limit")
		s.Anyone().Get("/ledger/events?after=x").Refused(http.StatusUnprocessableEntity, "invalid", "after")
		s.Anyone().Get("/operations/estate-1/x").Refused(http.StatusUnprocessableEntity, "invalid", "commit")
		s.Anyone().Get("/blobs/x").Refused(http.StatusUnprocessableEntity, "invalid", "hash")
		s.Anyone().Post("/ledger/events", nil).Refused(http.StatusMethodNotAllowed, "method-not-allowed")
	})
	t.Run("gives public files by their hash", func(t *testing.T) {
		content := []byte("公示")
		hash, err := s.Deps["ledger"].Blobs.Put(t.Context(), content)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Anyone().Get("/blobs/" + hash).Want(http.StatusOK)
		if !bytes.Equal(got.Body, content) || !strings.Contains(got.Header.Get("Cache-Control"), "immutable") || got.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Fatalf("%s %v", got, got.Header)
		}
		s.Anyone().Get("/blobs/"+strings.Repeat("0", 64)).Refused(http.StatusNotFound, "no-such-blob")
	})
}

// found is a row of the trail.
type found struct {
	Leaf     uint64
	Stream   string
	Revision uint64
	ID       uuid.UUID
	Type     string
	Estate   string
	Actor    string
	Happened time.Time
}

func TestSearch(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	s.Homes(estate, "1-101", "1-102")
	other := s.Estate("新苑小区")
	want := s.Events(ledger.Prefixes()...)
	search := func(query string) (p struct {
		Items []found
		Next  uint64
	}) {
		s.Anyone().Get("/ledger/search?" + query).Want(http.StatusOK).Into(&p)
		return p
	}

	t.Run("finds everything, the latest first, page by page", func(t *testing.T) {
		var all []found
		for before := uint64(0); ; {
			p := search(fmt.Sprintf("limit=2&before=%d", before))
			all = append(all, p.Items...)
			if before = p.Next; before == 0 {
				break
			}
		}
		slices.Reverse(all)
		for i, e := range all {
			if w := want[i]; e.Leaf != uint64(i) || e.ID != w.ID || e.Stream != w.Stream || e.Revision != w.Revision || e.Type != w.Type || e.Happened.IsZero() {
				t.Fatalf("event %d is %+v, want %+v", i, e, w)
			}
		}
		if len(all) != len(want) {
			t.Fatalf("%d events, want %d", len(all), len(want))
		}
	})
	t.Run("by each condition", func(t *testing.T) {
		is := func(is func(e found) bool) (n int) {
			for _, e := range search("limit=200").Items {
				if is(e) {
					n++
				}
			}
			return n
		}
		first := search("limit=200").Items[0]
		for query, want := range map[string]int{
			"estate=" + estate: is(func(e found) bool { return e.Estate == estate }), "estate=" + other: 1,
			"event=" + want[1].ID.String(): 1, "event=" + uuid.NewString(): 0, "event=" + want[1].ID.String() + "&estate=" + other: 0,
			"type=unit-registered.v1": 2, "type=unit": 0, "stream=" + registry.EstateStream + estate: 1,
			"actor=" + url.QueryEscape(first.Actor): is(func(e found) bool { return e.Actor == first.Actor }),
			"until=2020-01-01T00:00:00Z":            0, "by=happened&since=2020-01-01T00:00:00Z": len(want), "estate=%F0%9F%8F%A0": 0, "stream='%20OR%201=1%20--": 0,
		} {
			if got := search(query + "&limit=200"); len(got.Items) != want || got.Next != 0 {
				t.Errorf("%s finds %d, want %d", query, len(got.Items), want)
			}
		}
	})
	t.Run("says which events of other streams hang together with one", func(t *testing.T) {
		var l struct {
			Items []found
			About []struct{ Type string }
		}
		s.Anyone().Get("/ledger/streams/" + registry.EstateStream + estate + "/links").Want(http.StatusOK).Into(&l)
		if l.Items == nil || l.About == nil || len(l.Items)+len(l.About) != 0 {
			t.Errorf("%+v", l)
		}
		s.Anyone().Get("/ledger/streams/alien-1/links").Refused(http.StatusNotFound, "no-such-stream")
	})
	t.Run("refuses what cannot be asked", func(t *testing.T) {
		for query, field := range map[string]string{"limit=201": "limit", "limit=0": "limit", "before=-1": "before", "since=yesterday": "since", "by=guess": "by", "event=x": "event", "stream=" + strings.Repeat("x", 401): "stream"} {
			s.Anyone().Get("/ledger/search?"+query).Refused(http.StatusUnprocessableEntity, "invalid", field)
		}
	})
}

// operation asks what became of a command.
func operation(s *servicetest.System, path string) (o struct {
	State              string
	Revision, Position uint64
	Events             []uuid.UUID
}) {
	s.Anyone().Get(path).Want(http.StatusOK).Into(&o)
	return o
}

func TestALost201IsRepeated(t *testing.T) {
	s := servicetest.New(t)
	key := servicetest.Key("foundation-of-an-estate")
	first := s.Admin().Post("/estates", body{"name": "秀山花园"}, key).Want(http.StatusCreated).Recorded()
	s.Admin().Put("/estates/"+first.ID, body{"name": "秀山"}).Want(http.StatusCreated)
	again := s.Admin().Post("/estates", body{"name": "秀山花园"}, key).Want(http.StatusCreated).Recorded()
	if again.ID != first.ID || again.Position != first.Position || again.Revision != 0 || !again.Repeated || !slices.Equal(again.Events, first.Events) {
		t.Fatalf("repeated as %+v, first %+v", again, first)
	}
	// The key is the caller's own, and of this route.
	other := s.With(registry.Administrator, "").Post("/estates", body{"name": "秀山花园"}, key).Want(http.StatusCreated).ID()
	if other == first.ID {
		t.Fatal("another caller's key made the same estate")
	}
	s.Admin().Put("/estates/"+first.ID, body{"name": "秀山三"}, key).Want(http.StatusCreated)
	s.Admin().Put("/estates/"+other, body{"name": "秀山四"}, key).Want(http.StatusCreated)
	if got := s.Types(registry.EstateStream + first.ID); len(got) != 3 {
		t.Fatalf("events %v", got)
	}
}

func TestConflictThenSuccess(t *testing.T) {
	s := servicetest.New(t)
	estate, admin := s.Estate("秀山花园"), s.Admin()
	const writers = 4 // a command is decided five times at the most
	revisions := make([]uint64, writers)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			revisions[i] = admin.Put("/estates/"+estate, body{"name": fmt.Sprintf("秀山%d", i)}).Want(http.StatusCreated).Recorded().Revision
		})
	}
	all.Wait()
	slices.Sort(revisions)
	if !slices.Equal(revisions, []uint64{1, 2, 3, 4}) {
		t.Fatalf("recorded at %v", revisions)
	}
}

func TestTheSameRequestManyTimesAtOnceIsRecordedOnce(t *testing.T) {
	s := servicetest.New(t)
	admin, ids := s.Admin(), make([]string, 8)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			ids[i] = admin.Post("/estates", body{"name": "秀山花园"}, servicetest.Key("one-and-the-same")).Want(http.StatusCreated).ID()
		})
	}
	all.Wait()
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 {
		t.Fatalf("estates %v", ids)
	}
	if got := s.Events(registry.EstateStream); len(got) != 1 {
		t.Fatalf("%d events", len(got))
	}
}

// read returns the first n messages of a topic.
func read(t *testing.T, s *servicetest.System, topic string, n int) []bus.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []bus.Message
	err := bus.ConsumeFrom(ctx, s.Bus, bus.Offsets{topic: {0: 0}}, func(_ context.Context, batch []bus.Message) error {
		if got = append(got, batch...); len(got) >= n {
			cancel()
		}
		return nil
	})
	if len(got) < n {
		t.Fatalf("%d messages of %s, want %d: %v", len(got), topic, n, err)
	}
	return got
}

func publish(t *testing.T, s *servicetest.System, topic, key string, value []byte) {
	t.Helper()
	m := message.NewMessage(watermill.NewUUID(), value)
	m.Metadata.Set(bus.KeyMetadata, key)
	if err := s.Publisher.Publish(topic, m); err != nil {
		t.Fatal(err)
	}
}

func TestALateDuplicateOfTheFirstAttemptIsHarmless(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	topic := commitpath.CommitsTopic(ledger.Registry)
	first := read(t, s, topic, 2)[1] // after the token: the foundation
	if string(first.Key) != registry.EstateStream+estate {
		t.Fatalf("key %s", first.Key)
	}
	s.Admin().Put("/estates/"+estate, body{"name": "秀山"}).Want(http.StatusCreated)
	head := s.Store.Head()
	publish(t, s, topic, string(first.Key), first.Value)
	s.Await("both outcomes", func() bool {
		recorded := 0
		for _, m := range read(t, s, commitpath.OutcomesTopic, 4) {
			var o es.Outcome
			if err := json.Unmarshal(m.Value, &o); err != nil {
				t.Fatal(err)
			}
			if o.Stream == string(first.Key) && o.Status == es.StatusRecorded && o.Revision == 0 {
				recorded++
			}
		}
		return recorded == 2
	})
	if s.Store.Head() != head || len(s.Events(refusals.RefusedStream)) != 0 {
		t.Fatal("the duplicate left something behind")
	}
	s.Admin().Put("/estates/"+estate, body{"name": "秀山花园"}).Want(http.StatusCreated)
	if got := s.Types(registry.EstateStream + estate); len(got) != 3 {
		t.Fatalf("events %v", got)
	}
}

func TestNothingIsHandedOverBeforeOutcomesAreRead(t *testing.T) {
	s := servicetest.New(t)
	estate, admin, key := s.Estate("秀山花园"), s.Admin(), servicetest.Key("not-sent-at-first")
	s.Outcomes.Stop()
	head := s.Store.Head()
	a := admin.Put("/estates/"+estate, body{"name": "秀山"}, key).Refused(http.StatusServiceUnavailable, "not-sent")
	if a.Header.Get("Retry-After") == "" {
		t.Fatalf("no Retry-After in %v", a.Header)
	}
	s.Anyone().Get("/estates/" + estate).Want(http.StatusOK) // reading goes on
	s.Outcomes.Start()
	s.Await("ready again", func() bool { return s.Ready() == nil })
	if s.Store.Head() != head {
		t.Fatal("something was recorded")
	}
	if again := admin.Put("/estates/"+estate, body{"name": "秀山"}, key).Want(http.StatusCreated).Recorded(); again.Repeated {
		t.Fatalf("recorded before: %+v", again)
	}
}

func TestWithoutALedgerACommandIsPendingAndThenRecorded(t *testing.T) {
	s := servicetest.Start(t, servicetest.Config{Wait: 2 * time.Second})
	admin, key := s.Admin(), servicetest.Key("while-it-was-away")
	s.Ledger.Stop()
	pending := admin.Post("/estates", body{"name": "秀山花园"}, key).Want(http.StatusAccepted)
	is, location := pending.Recorded(), pending.Header.Get("Location")
	if is.State != "pending" || is.ID == "" || !strings.HasPrefix(location, "/api/v1/operations/"+registry.EstateStream+is.ID+"/") {
		t.Fatalf("%s at %q", pending, location)
	}
	if o := operation(s, location); o.State != "not-so-far" || o.Position != 0 {
		t.Fatalf("operation %+v", o)
	}
	s.Ledger.Start()
	s.Await("recorded", func() bool { return operation(s, location).State == "recorded" })
	o := operation(s, location)
	again := admin.Post("/estates", body{"name": "秀山花园"}, key).Want(http.StatusCreated).Recorded()
	if again.ID != is.ID || !again.Repeated || !slices.Equal(again.Events, o.Events) || uint64(again.Position) != o.Position || again.Revision != o.Revision {
		t.Fatalf("repeated as %+v, the operation is %+v", again, o)
	}
	admin.Post("/estates", body{"name": "别的花园"}, key).Refused(http.StatusUnprocessableEntity, "key-reused")
	if got := s.Types(registry.EstateStream + is.ID); len(got) != 1 {
		t.Fatalf("events %v", got)
	}
}

func TestRefusedCommitsAreRecordedOnceAndBlockNothing(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	topic := commitpath.CommitsTopic(ledger.Votes)
	id := uuid.New()
	meta, err := json.Marshal(es.Meta{Commit: id, Hash: "h", Actor: "x"})
	if err != nil {
		t.Fatal(err)
	}
	commit := func(stream string, meta []byte) []byte {
		b, err := json.Marshal(es.Commit{ID: id, Stream: stream, Events: []es.Proposed{{ID: id, Type: "estate-set.v1", Data: []byte("{}"), Meta: meta}}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stream := registry.EstateStream + estate
	for _, c := range []struct {
		reason, key string
		value       []byte
	}{
		{"unreadable", stream, []byte("rubbish")},
		{"not a stream of votes", stream, commit(stream, meta)},
		{"not a stream of votes", "refused-votes", commit("refused-votes", meta)},
		{"key is not the stream", "meeting-1", commit("meeting-2", meta)},
		{"metadata", "meeting-1", commit("meeting-1", []byte(`{}`))},
		{"empty", "meeting-1", []byte(`{"stream":"meeting-1"}`)},
	} {
		before := len(s.Events(refusals.RefusedStream))
		for range 2 { // the same message may come again
			publish(t, s, topic, c.key, c.value)
		}
		s.Await("the refusal of "+c.reason, func() bool { return len(s.Events(refusals.RefusedStream)) > before })
		s.Admin().Put("/estates/"+estate, body{"name": fmt.Sprintf("秀山%d", before)}).Want(http.StatusCreated)
		var p page
		s.Anyone().Get("/ledger/streams/" + refusals.RefusedStream + ledger.Votes).Want(http.StatusOK).Into(&p)
		var e refusals.CommitRefused
		if err := json.Unmarshal(p.Items[len(p.Items)-1].Data, &e); err != nil {
			t.Fatal(err)
		}
		if len(p.Items) != before+1 || e.Reason != c.reason || e.Context != ledger.Votes {
			t.Fatalf("%d refused, the last for %q, want %q", len(p.Items), e.Reason, c.reason)
		}
		if kept, err := s.Refused.Get(t.Context(), e.Hash); err != nil || !bytes.Equal(kept, c.value) {
			t.Fatalf("kept %q, %v", kept, err)
		}
		s.Anyone().Get("/blobs/"+e.Hash).Refused(http.StatusNotFound, "no-such-blob") // nobody knows what it holds
	}
	if n := len(s.Events(refusals.RefusedStream)); n != 6 {
		t.Fatalf("%d refused", n)
	}
}

func TestContexts(t *testing.T) {
	for _, c := range []struct {
		context, stream string
		owns            bool
	}{
		{ledger.Registry, "estate-1", true},
		{ledger.Votes, "estate-1", false},
		{ledger.Votes, "reaction-votes_close", true},
		{ledger.Votes, "reaction-finance_bill", false},
		{ledger.Registry, "refused-registry", false},
		{ledger.Registry, "$settings", false},
		{"", "alien-1", false},
	} {
		if ledger.Owns(c.context, c.stream) != c.owns {
			t.Errorf("%q owns %s: %t", c.context, c.stream, !c.owns)
		}
	}
}

// scenario reads a table of the CloudEvents working group's own scenario, as
// key and value. Source: github.com/cloudevents/conformance, features.
func scenario(t *testing.T, after string) map[string]string {
	t.Helper()
	text, err := os.ReadFile("testdata/kafka-protocol-binding.feature")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), after)
	table := map[string]string{}
	for line := range strings.Lines(rest) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) == 4 && strings.TrimSpace(cells[1]) != "key" {
			table[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		} else if len(table) > 0 {
			break
		}
	}
	return table
}

// parse reads the attributes of an event in binary content mode.
func parse(headers map[string]string) map[string]string {
	attributes := map[string]string{}
	for k, v := range headers {
		if name, ok := strings.CutPrefix(k, "ce_"); ok {
			attributes[name] = v
		} else if k == "content-type" {
			attributes["datacontenttype"] = v
		}
	}
	return attributes
}

func TestEventsGoOutAsCloudEvents(t *testing.T) {
	headers, attributes := scenario(t, "And Kafka headers:"), scenario(t, "Then the attributes are:")
	if got := parse(headers); len(attributes) != 6 || !maps.Equal(got, attributes) {
		t.Fatalf("the scenario is read as %v, want %v", got, attributes)
	}

	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	s.Homes(estate, "1-101", "1-102")
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	s.Admin().Put("/estates/"+estate, body{"name": "秀山"}, servicetest.Header("traceparent", trace)).Want(http.StatusCreated)
	want := s.Events(registry.Categories...)
	got := read(t, s, "events.registry", len(want))
	if len(got) != len(want) {
		t.Fatalf("%d events went out, %d are recorded", len(got), len(want))
	}
	for i, r := range want {
		m := got[i]
		meta, err := es.ParseMeta(r.Meta)
		if err != nil {
			t.Fatal(err)
		}
		expect := map[string]string{
			"specversion": "1.0", "id": r.ID.String(), "type": "yimu." + r.Type, "source": "/yimu/registry", "subject": r.Stream,
			"time": meta.Happened.UTC().Format(time.RFC3339Nano), "datacontenttype": "application/json",
			"position": strconv.FormatUint(uint64(r.Position), 10), "revision": strconv.FormatUint(r.Revision, 10),
		}
		if i == len(want)-1 {
			expect["traceparent"] = trace
		}
		if is := parse(m.Metadata); !maps.Equal(is, expect) {
			t.Fatalf("attributes %v, want %v", is, expect)
		}
		for name := range attributes {
			if parse(m.Metadata)[name] == "" {
				t.Fatalf("attribute %s is missing", name)
			}
		}
		if !bytes.Equal(m.Value, r.Data) || string(m.Key) != r.Stream {
			t.Fatalf("key %s, payload %s of %s", m.Key, m.Value, r.Stream)
		}
		if _, err := time.Parse(time.RFC3339, parse(m.Metadata)["time"]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEventsGoOutWithoutLossOverARestart(t *testing.T) {
	s := servicetest.New(t)
	s.Unruly = true // some of it is written past the rules
	s.Estate("甲苑")
	before := s.Events(registry.Categories...)
	read(t, s, "events.registry", len(before))
	s.Ledger.Stop()
	// Recorded, and the ledger ends before anything goes out.
	for i := range 50 {
		id := uuid.New()
		meta, err := json.Marshal(es.Meta{Commit: id, Hash: "h", Actor: "test", Happened: s.Clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		name, data, err := registry.Codec.Encode(registry.EstateFounded{Estate: id.String(), Name: fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Store.Append(t.Context(), registry.EstateStream+id.String(), 0, es.Proposed{ID: id, Type: name, Data: data, Meta: meta}); err != nil {
			t.Fatal(err)
		}
	}
	s.Ledger.Start()
	s.Estate("乙苑")
	want := s.Events(registry.Categories...)
	var ids []string
	for n := len(want); len(ids) < len(want); n++ { // at least once: some may come twice
		ids = nil
		for _, m := range read(t, s, "events.registry", n) {
			if id := m.Metadata["ce_id"]; !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	for i, r := range want {
		if ids[i] != r.ID.String() {
			t.Fatalf("event %d of %d is missing or out of order", i, len(want))
		}
	}
}

// A reader checks with nothing but the key, which they have from elsewhere.
func TestReceipts(t *testing.T) {
	s := servicetest.New(t)
	keys := s.Log.Keys()
	estate := s.Estate("秀山花园")
	s.Homes(estate, "1-101", "1-102")
	recorded := s.Admin().Put("/estates/"+estate, body{"name": "秀山"}).Want(http.StatusCreated).Recorded()
	receipt := func(event uuid.UUID) (r proof.Receipt) {
		t.Helper()
		r, err := proof.ParseReceipt(s.Anyone().Get("/receipts/" + event.String()).Want(http.StatusOK).Body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	t.Run("the event of a command has one within a second", func(t *testing.T) {
		start := time.Now()
		r := receipt(recorded.Events[len(recorded.Events)-1])
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %s", took)
		}
		if v, findings := keys.Receipt(r); len(findings) > 0 || v.Checkpoint.Size <= r.Leaf {
			t.Fatalf("found %v", findings)
		}
		if r.Event.Stream != registry.EstateStream+estate || !strings.Contains(string(r.Data), `"秀山"`) {
			t.Fatalf("it is of %s: %s", r.Event.Stream, r.Data)
		}
		r.Data[len(r.Data)-3] ^= 1
		if _, findings := keys.Receipt(r); len(findings) != 1 || findings[0].Code != proof.ChangedBytes {
			t.Fatalf("of changed bytes is found %v", findings)
		}
	})
	t.Run("every event has one, at its place in the order", func(t *testing.T) {
		for i, e := range s.Events(ledger.Prefixes()...) {
			r := receipt(e.ID)
			if _, findings := keys.Receipt(r); len(findings) > 0 || r.Leaf != uint64(i) || r.Event != proof.LeafOf(e) {
				t.Fatalf("event %d has leaf %d, %+v, found %v", i, r.Leaf, r.Event, findings)
			}
		}
	})
	t.Run("an event that is not there has none", func(t *testing.T) {
		s.Anyone().Get("/receipts/"+uuid.NewString()).Refused(http.StatusNotFound, "no-such-event")
		s.Anyone().Get("/receipts/1").Refused(http.StatusUnprocessableEntity, "invalid", "event")
		foreign := es.Proposed{ID: uuid.New(), Type: "foreign.v1", Data: []byte(`{}`), Meta: []byte(`{}`)}
		if _, err := s.Store.Append(t.Context(), "foreign-1", 0, foreign); err != nil {
			t.Fatal(err)
		}
		s.Anyone().Get("/receipts/"+foreign.ID.String()).Refused(http.StatusNotFound, "no-such-event")
	})
	t.Run("an older one is led to a newer checkpoint", func(t *testing.T) {
		old := receipt(recorded.Events[0])
		before, _, finding := keys.Checkpoint(old.Checkpoint)
		if finding != nil {
			t.Fatal(finding)
		}
		s.Estate("甲苑")
		receipt(s.Admin().Put("/estates/"+estate, body{"name": "秀山花园"}).Want(http.StatusCreated).Recorded().Events[0])
		e, err := proof.ParseExtension(s.Anyone().Get(fmt.Sprintf("/ledger/extension?old=%d", before.Size)).Want(http.StatusOK).Body)
		if err != nil {
			t.Fatal(err)
		}
		if _, after, findings := keys.Extension(old.Checkpoint, nil, e); len(findings) > 0 || after.Checkpoint.Size <= before.Size {
			t.Fatalf("from %d to %d, found %v", before.Size, after.Checkpoint.Size, findings)
		}
		s.Anyone().Get("/ledger/extension?old=999999").Refused(http.StatusUnprocessableEntity, "size-ahead", "old")
		s.Anyone().Get("/ledger/extension").Refused(http.StatusUnprocessableEntity, "invalid", "old")
	})
}

// state is how far the log is.
type state struct {
	Origin          string
	Keys, Rotations []string
	Size, Position  uint64
	Checkpoint      string
}

func TestTheLogSaysHowFarItIs(t *testing.T) {
	s := servicetest.New(t)
	s.Homes(s.Estate("秀山花园"), "1-101", "1-102")
	all := s.Events(ledger.Prefixes()...)
	var is state
	s.Await("all is signed", func() bool {
		s.Anyone().Get("/ledger/log").Want(http.StatusOK).Into(&is)
		return is.Size == uint64(len(all))
	})
	c, key, finding := s.Log.Keys().Checkpoint(is.Checkpoint)
	if finding != nil || c.Size != is.Size || c.Origin != is.Origin || !slices.Equal(is.Keys, []string{key.Text}) || len(is.Rotations) != 0 {
		t.Fatalf("%+v, found %v", is, finding)
	}
	if last := all[len(all)-1]; is.Position != uint64(last.Position) {
		t.Fatalf("position %d, want %d", is.Position, last.Position)
	}

	for i, e := range all {
		queries := []string{"event=" + e.ID.String(), "leaf=" + strconv.Itoa(i), fmt.Sprintf("position=%d", e.Position)}
		if i+1 == len(all) || all[i+1].Created.UnixMicro() > e.Created.UnixMicro() {
			queries = append(queries, "recorded="+url.QueryEscape(e.Created.Format(time.RFC3339Nano)))
		}
		for _, query := range queries {
			var at struct {
				Leaf, Position uint64
				Event          uuid.UUID
				Recorded       time.Time
			}
			s.Anyone().Get("/ledger/place?" + query).Want(http.StatusOK).Into(&at)
			if at.Leaf != uint64(i) || at.Position != uint64(e.Position) || at.Event != e.ID || !at.Recorded.Equal(e.Created.Truncate(time.Microsecond)) {
				t.Fatalf("%s is %+v, want event %d, %s at %d", query, at, i, e.ID, e.Position)
			}
		}
	}
	for _, position := range []string{"9223372036854775807", "9223372036854775808", "18446744073709551615"} {
		var at struct{ Position uint64 }
		if s.Anyone().Get("/ledger/place?position=" + position).Want(http.StatusOK).Into(&at); at.Position != is.Position {
			t.Errorf("the last event at or before %s is at %d, want %d", position, at.Position, is.Position)
		}
	}
	for _, before := range []string{"999999", "18446744073709551615"} {
		var found struct{ Items []struct{ Leaf uint64 } }
		if s.Anyone().Get("/ledger/search?limit=1&before=" + before).Want(http.StatusOK).Into(&found); len(found.Items) != 1 || found.Items[0].Leaf != is.Size-1 {
			t.Errorf("before leaf %s is %+v, want leaf %d", before, found.Items, is.Size-1)
		}
	}
	for _, query := range []string{"", "?leaf=1&position=1", "?leaf=-1", "?position=-1", "?position=18446744073709551616"} {
		s.Anyone().Get("/ledger/place"+query).Refused(http.StatusUnprocessableEntity, "invalid")
	}
	for _, query := range []string{"leaf=9999", "event=" + uuid.NewString(), "recorded=2001-01-01T00:00:00Z"} {
		s.Anyone().Get("/ledger/place?"+query).Refused(http.StatusNotFound, "no-such-place")
	}
}
