package votes_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	events "github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/votes"
)

// papers is the demo estate.
const papers = "../yimu/demo/xiushan"

// office is a service in two instances, which take requests by turns, with its
// own store, vault and clock.
type office struct {
	*testing.T
	store   *pebblestore.Store
	vault   *vault.Vault
	service [2]*service.Service
	now     atomic.Pointer[time.Time]
	estate  string
	keys    atomic.Int64
}

// committer appends what the ledger would.
type committer struct{ es.Store }

func (c committer) Commit(ctx context.Context, commit es.Commit) (es.Outcome, error) {
	o := es.Outcome{Commit: commit.ID, Attempt: commit.Attempt, Stream: commit.Stream, Status: es.StatusRecorded}
	position, err := c.Append(ctx, commit.Stream, commit.Expected, commit.Events...)
	if errors.Is(err, es.ErrWrongRevision) {
		o.Status = es.StatusConflict
		return o, nil
	}
	o.Position, o.Revision = position, commit.Expected+uint64(len(commit.Events))-1
	o.Event = commit.Events[len(commit.Events)-1].ID
	return o, err
}

// access takes a token for the person of that id; clerks may do everything but
// what is everyone's own. To name a proxy is both.
type access struct{}

func (access) Position() es.Position                      { return 1 << 62 }
func (access) WaitFor(context.Context, es.Position) error { return nil }
func (access) Authenticate(_ context.Context, token string) (authz.Principal, error) {
	return authz.Principal{ID: token, Person: token}, nil
}

func (access) Principal(person string) authz.Principal {
	return authz.Principal{ID: person, Person: person}
}

func (access) Allow(_ context.Context, p authz.Principal, action string, r authz.Resource) error {
	own := slices.Contains([]string{"ballot.cast", "notice.confirm", "share.take", "share.give"}, action)
	proxy := slices.Contains([]string{"proxy.grant", "proxy.revoke"}, action)
	if strings.HasPrefix(p.ID, "clerk") && !own || (own || proxy) && p.Person == r.Person && p.Person != "" {
		return nil
	}
	return problem.Forbidden("not-allowed", "no policy permits this")
}

func open(t *testing.T, now time.Time) *office {
	dir := t.TempDir()
	o := &office{T: t, estate: uuid.NewString()}
	o.now.Store(&now)
	clock := func() time.Time { return *o.now.Load() }
	var err error
	if o.store, err = pebblestore.Open(pebblestore.Config{Dir: filepath.Join(dir, "store"), Clock: clock}); err != nil {
		t.Fatal(err)
	}
	if o.vault, err = vault.Open(t.Context(), vault.Config{URL: "sqlite://" + dir + "/vault.db", KeyFile: filepath.Join(dir, "key")}); err != nil {
		t.Fatal(err)
	}
	bucket, err := blobs.Open(t.Context(), "file://"+dir+"/blobs")
	if err != nil {
		t.Fatal(err)
	}
	db := servicetest.Database(t, dir+"/votes.db")
	deps := service.Deps{
		Store: o.store, Committer: committer{o.store}, Vault: o.vault, Blobs: bucket, DB: db, Access: access{}, Clock: clock,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range o.service {
		if o.service[i], err = votes.New(t.Context(), deps, votes.Config{}); err != nil {
			t.Fatal(err)
		}
		for _, run := range append(o.service[i].Run, o.service[i].Projections[0].Run) {
			running.Go(func() {
				if err := run(ctx); err != nil {
					t.Error(err)
				}
			})
		}
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := errors.Join(bucket.Close(), o.vault.Close(), o.store.Close()); err != nil {
			t.Error(err)
		}
	})
	o.record(registry.EstateStream+o.estate, registry.EstateFounded{Estate: o.estate, Name: "小区"})

	return o
}

// record appends events of the registry to a new stream.
func (o *office) record(stream string, list ...registry.Event) {
	o.Helper()
	var proposed []es.Proposed
	for _, e := range list {
		name, data, err := registry.Codec.Encode(e)
		if err != nil {
			o.Fatal(err)
		}
		proposed = append(proposed, es.Proposed{ID: uuid.New(), Type: name, Data: data, Meta: []byte(`{}`)})
	}
	if _, err := o.store.Append(o.Context(), stream, 0, proposed...); err != nil {
		o.Fatal(err)
	}
}

// unit records a unit with its titles.
func (o *office) unit(u registry.Unit, titles ...registry.Title) {
	o.Helper()
	id := uuid.NewSHA1(uuid.MustParse(o.estate), []byte("unit/"+u.Code)).String()
	o.record(registry.UnitStream+id,
		registry.UnitRegistered{Estate: o.estate, ID: id, Unit: u},
		registry.TitlesStated{Estate: o.estate, ID: id, Code: u.Code, Titles: titles})
}

// home records a home of one owner, who votes for it.
func (o *office) home(code, building string, area units.CentiM2, owner string) {
	o.Helper()
	o.unit(registry.Unit{Code: code, Building: building, Use: registry.Home, Area: area, Basis: registry.BasisRegister, State: registry.Delivered},
		registry.Title{Person: owner, Kind: registry.Natural, Part: 1, Whole: 1, Votes: true})
}

type object = map[string]any

// do sends a request and returns status and body. While the read models are behind
// it repeats it, as whoever asks is told to.
func (o *office) do(who, method, path string, body any) (status int, out object) {
	o.Helper()
	raw, ok := body.([]byte)
	if !ok && body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			o.Fatal(err)
		}
	}
	n := o.keys.Add(1)
	for range 20 {
		r := httptest.NewRequestWithContext(o.Context(), method, "/api/v1"+path, bytes.NewReader(raw))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Yimu-Position", strconv.FormatUint(uint64(o.store.Head()), 10))
		if who != "" {
			r.Header.Set("Authorization", "Bearer "+who)
		}
		r.Header.Set("Idempotency-Key", fmt.Sprintf("test-key-%d", n))
		w := httptest.NewRecorder()
		o.service[n%2].Handler.ServeHTTP(w, r)
		out = nil
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			o.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		if status = w.Code; out["code"] != "not-caught-up" {
			break
		}
	}
	return status, out
}

// must sends a request that is to succeed.
func (o *office) must(who, method, path string, body any) object {
	o.Helper()
	status, out := o.do(who, method, path, body)
	if status >= 300 {
		o.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return out
}

// refused sends a request that is to be refused.
func (o *office) refused(code, who, method, path string, body any) {
	o.Helper()
	if status, out := o.do(who, method, path, body); status < 400 || out["code"] != code {
		o.Errorf("%s %s: %d %v, want %s", method, path, status, out, code)
	}
}

func (o *office) get(path string) object { o.Helper(); return o.must("", "GET", path, nil) }

func TestTheDemoEstateThroughTheAPI(t *testing.T) {
	o := open(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	o.registerDemo()
	var want struct {
		Ballots object   `json:"ballots"`
		Motions []object `json:"motions"`
	}
	if err := json.Unmarshal(o.read("expected.json"), &want); err != nil {
		t.Fatal(err)
	}
	imports := func() (reports []object) {
		for _, p := range []struct{ kind, file string }{{"meeting", "会议.json"}, {"ballots", "选票.csv"}} {
			report := o.must("clerk", "POST", "/estates/"+o.estate+"/papers/"+p.kind, o.read(p.file))
			if report["done"] != true {
				t.Fatal(report)
			}
			reports = append(reports, report)
		}
		return reports
	}
	check := func(when string) {
		t.Helper()
		list := o.get("/estates/" + o.estate + "/meetings")["items"].([]any)
		if len(list) != 1 {
			t.Fatalf("%s: %d meetings", when, len(list))
		}
		id := list[0].(object)["id"].(string)
		summary := o.get("/meetings/" + id + "/ballots/summary")
		for name, value := range want.Ballots {
			if !reflect.DeepEqual(summary[name], value) {
				t.Errorf("%s: ballots %s: %v, want %v", when, name, summary[name], value)
			}
		}
		results := o.get("/meetings/" + id + "/results")["items"].([]any)
		for i, motion := range want.Motions {
			for name, value := range motion {
				if got := results[i].(object)[name]; got != value {
					t.Errorf("%s: %s %s: %v, want %v", when, motion["motion"], name, got, value)
				}
			}
		}
		detail := o.get("/meetings/" + id)
		if roll := detail["roll"].(object); roll["heads"] != 976.0 || detail["state"] != "counted" || detail["notice_in_time"] != true {
			t.Errorf("%s: %v", when, detail)
		}
		accepted, after := 0.0, ""
		for pages := 0; ; pages++ {
			page := o.get("/meetings/" + id + "/ballots?limit=300&after=" + after)
			for _, item := range page["items"].([]any) {
				for _, c := range item.(object)["choices"].([]any) {
					if c.(object)["reason"] == nil {
						accepted++
					}
				}
			}
			next, more := page["next"].(string)
			if after = next; !more {
				break
			}
		}
		if accepted != want.Ballots["accepted"] {
			t.Errorf("%s: %v choices are posted as counting", when, accepted)
		}
	}

	first := imports()
	if first[1]["recorded"] != want.Ballots["rows"] || !reflect.DeepEqual(first[1]["refused"], want.Ballots["reasons"]) {
		t.Errorf("report on ballots %v", first[1])
	}
	check("imported")
	head := o.store.Head()
	second := imports()
	if o.store.Head() != head {
		t.Error("a second import wrote events")
	}
	if second[1]["unchanged"] != want.Ballots["rows"] || !reflect.DeepEqual(second[1]["refused"], want.Ballots["reasons"]) {
		t.Errorf("second report on ballots %v", second[1])
	}
	check("imported twice")
	o.rebuild()
	check("rebuilt")

	late := append(bytes.Clone(o.read("选票.csv")), []byte("\n2023-01-20 10:00:00,电子,1-1-101,X00000000000000001,M1,赞成\n")...)
	report := o.must("clerk", "POST", "/estates/"+o.estate+"/papers/ballots", late)
	if report["rejected"] != 1.0 || report["errors"].([]any)[0].(object)["code"] != "meeting-closed" {
		t.Errorf("a ballot after the close: %v", report)
	}
	check("imported with one more row")
}

func TestALiveMeetingFromTheRollToTheResult(t *testing.T) {
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	o := open(t, noon)
	o.home("1-1", "1", 10000, "an")
	o.home("1-2", "1", 8000, "bo")
	o.home("2-1", "2", 9000, "ce")
	o.unit(registry.Unit{Code: "2-2", Building: "2", Use: registry.Home, Area: 7000, Basis: registry.BasisRegister, State: registry.Delivered},
		registry.Title{Person: "di", Kind: registry.Natural, Part: 1, Whole: 2, Votes: true},
		registry.Title{Person: "ed", Kind: registry.Natural, Part: 1, Whole: 2})

	draft := object{
		"title":  "业主大会",
		"policy": object{"revote": "last-ballot-stands", "paper_and_electronic": "paper-stands", "unreturned": "none", "parking_counts_area": false},
		"motions": []object{
			{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"},
			{"id": "M2", "title": "二栋维修", "matter": "民法典278-1-5", "scope": "building:2", "rule": "ordinary"},
		},
	}
	meetings := "/estates/" + o.estate + "/meetings"
	o.refused("not-allowed", "an", "POST", meetings, draft)
	status, wrong := o.do("clerk", "POST", meetings, object{
		"title": "业主大会", "policy": object{"revote": "never", "paper_and_electronic": "paper-stands", "unreturned": "none", "parking_counts_area": false},
		"motions": []object{
			{"id": "M1", "title": "x", "matter": "民法典278-1-4", "scope": "estate", "rule": "special"},
			{"id": "M2", "title": "y", "matter": "民法典278-1-5", "scope": "building:999"},
		},
	})
	var fields []any
	for _, f := range wrong["errors"].([]any) {
		fields = append(fields, f.(object)["name"])
	}
	if status != 422 || !reflect.DeepEqual(fields, []any{"policy.revote", "motions[0].rule", "motions[1].scope"}) {
		t.Errorf("a draft that is wrong in three ways: %d %v", status, wrong)
	}
	id := o.must("clerk", "POST", meetings, draft)["id"].(string)
	at := "/meetings/" + id

	opens, closes := noon.AddDate(0, 0, 16), noon.AddDate(0, 0, 30)
	window := object{"opens": opens, "closes": closes}
	o.refused("roll-not-frozen", "clerk", "POST", at+"/notice", window)
	o.must("clerk", "POST", at+"/roll", nil)
	o.refused("notice-too-short", "clerk", "POST", at+"/notice", object{"opens": noon.AddDate(0, 0, 14), "closes": closes})
	o.refused("time-not-yours-to-state", "clerk", "POST", at+"/notice", object{"opens": opens, "closes": closes, "at": noon.AddDate(0, 0, -20)})
	o.must("clerk", "POST", at+"/notice", window)

	yes := func(motions ...string) object {
		var list []object
		for _, m := range motions {
			list = append(list, object{"motion": m, "choice": "赞成"})
		}
		return object{"choices": list}
	}
	against := object{"choices": []object{{"motion": "M1", "choice": "反对"}}}
	o.refused("voting-not-open", "an", "POST", at+"/ballots", yes("M1"))
	open := opens.Add(time.Hour)
	o.now.Store(&open)
	o.must("an", "POST", at+"/ballots", against)
	o.must("an", "POST", at+"/ballots", yes("M1"))
	o.refused("not-in-scope", "an", "POST", at+"/ballots", yes("M2"))
	partly := o.must("bo", "POST", at+"/ballots", yes("M1", "M2"))
	if want := []any{object{"motions": []any{"M2"}, "reason": "not-in-scope"}}; !reflect.DeepEqual(partly["taken"], []any{"M1"}) || !reflect.DeepEqual(partly["refused"], want) {
		t.Errorf("a ballot that was taken in part: %v", partly)
	}
	o.refused("not-the-representative", "ed", "POST", at+"/ballots", yes("M1"))
	o.refused("not-on-the-roll", "zo", "POST", at+"/ballots", yes("M1"))
	o.refused("no-such-motion", "di", "POST", at+"/ballots", yes("M3"))
	o.refused("no-such-choice", "di", "POST", at+"/ballots", object{"choices": []object{{"motion": "M1", "choice": "也许"}}})
	o.must("di", "POST", at+"/ballots", yes("M1", "M2"))
	o.refused("time-not-yours-to-state", "clerk", "POST", at+"/ballots", object{"choices": yes("M1")["choices"], "at": open, "entry": "3"})
	o.refused("time-not-yours-to-state", "clerk", "POST", at+"/papers", object{"entry": "4", "at": open})
	o.refused("no-such-entry", "clerk", "POST", at+"/papers", object{"entry": "5"})
	scan := strings.Repeat("5c", 32)
	read := func(entry, envelope string, choices any, void ...string) object {
		return object{"entry": entry, "envelope": envelope, "scan": scan, "choices": choices, "void": void}
	}
	o.refused("no-envelope", "clerk", "POST", at+"/paper-ballots", read("4", "none", against["choices"], "M2"))
	fourth := o.must("clerk", "POST", at+"/papers", object{"entry": "4"})["id"].(string)
	second := o.must("clerk", "POST", at+"/papers", object{"entry": "2"})["id"].(string)
	o.refused("not-counted-yet", "", "GET", at+"/results", nil)
	o.refused("not-counted-yet", "", "GET", at+"/ballots", nil)
	o.refused("closes-by-itself", "clerk", "POST", at+"/close", nil)
	if s := o.get(at + "/ballots/summary"); s["accepted"] != nil || s["reasons"] != nil || s["turnout"].(object)["heads"] != 3.0 || s["turnout"].(object)["area_centi_m2"] != 25000.0 {
		t.Errorf("summary while voting is open: %v", s)
	}
	if trail := o.trail(); strings.Contains(trail, events.Yes) || strings.Contains(trail, events.No) {
		t.Error("a choice can be read before the close")
	}
	o.refused("voting-still-open", "clerk", "POST", at+"/entry-completed", nil)

	after := closes.Add(2 * time.Minute)
	o.now.Store(&after)
	o.refused("voting-closed", "ce", "POST", at+"/ballots", yes("M1"))
	o.refused("voting-closed", "clerk", "POST", at+"/papers", object{"entry": "3"})
	o.refused("envelopes-waiting", "clerk", "POST", at+"/entry-completed", nil)
	for field, choice := range map[string]object{"choices[0].choice": {"motion": "M1", "choice": "x"}, "choices[0].motion": {"motion": "M", "choice": "反对"}} {
		status, slip := o.do("clerk", "POST", at+"/paper-ballots", read("4", fourth, []object{choice}, "M2"))
		if list, _ := slip["errors"].([]any); status != 422 || len(list) == 0 || list[0].(object)["name"] != field {
			t.Errorf("a clerk's slip: %d %v", status, slip)
		}
	}
	if entered := o.must("clerk", "POST", at+"/paper-ballots", read("4", fourth, against["choices"], "M2")); entered["became"] != "waiting" || entered["taken"] != nil {
		t.Errorf("read by one person: %v", entered)
	}
	o.refused("read-before", "clerk", "POST", at+"/paper-ballots", read("4", fourth, against["choices"], "M2"))
	o.refused("envelopes-waiting", "clerk", "POST", at+"/entry-completed", nil)
	entered := o.must("clerk2", "POST", at+"/paper-ballots", read("4", fourth, against["choices"], "M2"))
	if want := []any{object{"motions": []any{"M2"}, "reason": "no-such-choice"}}; entered["became"] != "settled" || !reflect.DeepEqual(entered["taken"], []any{"M1"}) || !reflect.DeepEqual(entered["refused"], want) {
		t.Errorf("a paper ballot: %v", entered)
	}
	o.refused("no-envelope", "clerk", "POST", at+"/paper-ballots", read("3", fourth, nil, "M1", "M2"))
	o.must("clerk", "POST", at+"/paper-ballots", read("2", second, nil, "M1"))
	void := o.must("clerk2", "POST", at+"/paper-ballots", read("2", second, nil, "M1"))
	if want := []any{object{"motions": []any{"M1"}, "reason": "no-such-choice"}}; void["taken"] != nil || !reflect.DeepEqual(void["refused"], want) {
		t.Errorf("a spoilt paper: %v", void)
	}
	o.must("clerk", "POST", at+"/entry-completed", nil)
	o.await(func() bool { return o.get(at)["state"] == "counted" })

	for _, item := range o.get(at + "/deadlines")["items"].([]any) {
		d := item.(object)
		if want := map[any]any{"opening": "met", "closing": "met", "court": "waiting"}[d["name"]]; d["state"] != want || d["rule"].(object)["zh"] == "" {
			t.Errorf("a deadline: %v", d)
		}
	}
	if papers := o.get(at)["papers"]; !reflect.DeepEqual(papers, object{"envelopes": 2.0, "cast": 1.0, "void": 1.0, "refused": 0.0}) {
		t.Errorf("what became of the envelopes: %v", papers)
	}

	// an 10000, bo 8000 and di 7000 took part, di's paper against; ce 9000 did not.
	results := o.get(at + "/results")["items"].([]any)
	for i, want := range []object{
		{"electorate_heads": 4.0, "electorate_area_centi_m2": 34000.0, "participating_heads": 3.0, "participating_area_centi_m2": 25000.0,
			"yes_heads": 2.0, "yes_area_centi_m2": 18000.0, "no_heads": 1.0, "no_area_centi_m2": 7000.0, "outcome": "通过"},
		{"electorate_heads": 2.0, "electorate_area_centi_m2": 16000.0, "participating_heads": 1.0, "participating_area_centi_m2": 7000.0,
			"yes_heads": 1.0, "outcome": "未形成有效决定"},
	} {
		for name, value := range want {
			if got := results[i].(object)[name]; got != value {
				t.Errorf("M%d %s: %v, want %v", i+1, name, got, value)
			}
		}
	}
	s := o.get(at + "/ballots/summary")
	want := object{"superseded": 1.0, "paper-ballot-stands": 1.0, "not-in-scope": 2.0, "not-the-representative": 1.0, "not-on-the-roll": 1.0,
		"no-such-motion": 1.0, "no-such-choice": 3.0, "voting-not-open": 1.0, "voting-closed": 3.0}
	if !reflect.DeepEqual(s["reasons"], want) || s["accepted"] != 4.0 {
		t.Errorf("summary %v, want %v", s, want)
	}
	// The ballots of every head that handed one in, limit heads to a page, and no page after the last.
	for limit, pages := range map[int][]int{1: {6, 3, 2, 5}, 2: {9, 7}, 4: {16}, 200: {16}} {
		var got []int
		for after, more := "0", true; more && len(got) < 20; {
			page := o.get(fmt.Sprintf("%s/ballots?limit=%d&after=%s", at, limit, after))
			got = append(got, len(page["items"].([]any)))
			after, more = page["next"].(string)
		}
		if !reflect.DeepEqual(got, pages) {
			t.Errorf("ballots on pages of %d: %v, want %v", limit, got, pages)
		}
	}
	if page := o.get(at + "/ballots?after=200"); page["next"] != nil || len(page["items"].([]any)) != 0 {
		t.Errorf("a page after the last: %v", page)
	}
	own := o.must("di", "GET", "/me/ballots", nil)["items"].([]any)
	if len(own) != 5 {
		t.Errorf("own ballots %v", own)
	}
	before := []object{s, o.get(at), o.get(at + "/ballots"), o.get(at + "/roll"), o.get(at + "/results")}
	o.rebuild()
	for i, path := range []string{"/ballots/summary", "", "/ballots", "/roll", "/results"} {
		if got := o.get(at + path); !reflect.DeepEqual(got, before[i]) {
			t.Errorf("%s after a rebuild: %v\nwant %v", path, got, before[i])
		}
	}
}

func TestAMeetingOfThePastByHand(t *testing.T) {
	o := open(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	o.home("1-1", "1", 10000, "an")
	o.home("1-2", "1", 8000, "bo")
	draft := object{
		"title": "业主大会", "past": true,
		"policy":  object{"revote": "first-ballot-stands", "paper_and_electronic": "first-stands", "unreturned": "none", "parking_counts_area": false},
		"motions": []object{{"id": "M1", "title": "筹集维修资金", "matter": "民法典278-1-6", "scope": "estate"}},
	}
	id := o.must("clerk", "POST", "/estates/"+o.estate+"/meetings", draft)["id"].(string)
	at := "/meetings/" + id
	o.must("clerk", "POST", at+"/roll", nil)
	opens := time.Date(2025, 3, 20, 9, 0, 0, 0, units.Shanghai)
	window := object{"opens": opens, "closes": opens.AddDate(0, 0, 10), "at": opens.AddDate(0, 0, -7)}
	o.must("clerk", "POST", at+"/notice", window)
	if m := o.get(at); m["notice_in_time"] != false || m["state"] != "open" {
		t.Errorf("a meeting with a late notice: %v", m)
	}
	ballot := func(entry, channel, choice string, hours int) object {
		return object{"entry": entry, "channel": channel, "at": opens.Add(time.Duration(hours) * time.Hour), "choices": []object{{"motion": "M1", "choice": choice}}}
	}
	o.refused("not-allowed", "an", "POST", at+"/ballots", ballot("1", "电子", "赞成", 1))
	o.refused("not-allowed", "an", "POST", at+"/ballots", object{"choices": []object{{"motion": "M1", "choice": "赞成"}}})
	o.refused("time-missing", "clerk", "POST", at+"/ballots", object{"entry": "1", "choices": []object{{"motion": "M1", "choice": "赞成"}}})
	o.must("clerk", "POST", at+"/ballots", ballot("1", "电子", "反对", 3))
	o.must("clerk", "POST", at+"/ballots", ballot("1", "纸质", "赞成", 2)) // handed in an hour before
	o.must("clerk", "POST", at+"/ballots", ballot("2", "纸质", "赞成", 1))
	o.refused("voting-closed", "clerk", "POST", at+"/ballots", ballot("2", "纸质", "赞成", 240))
	o.refused("meeting-past", "clerk", "POST", at+"/papers", object{"entry": "1"})
	o.must("clerk", "POST", at+"/close", nil)
	o.refused("meeting-closed", "clerk", "POST", at+"/ballots", ballot("2", "纸质", "反对", 1))
	if r := o.get(at + "/results")["items"].([]any)[0].(object); r["outcome"] != "通过" || r["rule"] != "special" || r["yes_heads"] != 2.0 {
		t.Errorf("result %v", r)
	}
	if s := o.get(at + "/ballots/summary"); !reflect.DeepEqual(s["reasons"], object{"paper-ballot-stands": 1.0, "voting-closed": 1.0}) {
		t.Errorf("summary %v", s)
	}
}

func TestPapersThatAreWrong(t *testing.T) {
	o := open(t, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	o.home("1-1", "1", 10000, "an")
	papers := "/estates/" + o.estate + "/papers/"
	paper := func(change func(object)) []byte {
		p := object{
			"title": "业主大会", "notice_posted": "2025-03-01T09:00:00+08:00", "opens": "2025-03-20 09:00", "closes": "2025-03-30 09:00:00",
			"policy":  object{"revote": "first-ballot-stands", "paper_and_electronic": "electronic-stands"},
			"motions": []object{{"id": "M1", "title": "x", "matter": "民法典278-1-4", "scope": "building:1"}},
		}
		change(p)
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	motion := func(name string, value any) func(object) {
		return func(p object) { p["motions"].([]object)[0][name] = value }
	}
	head := o.store.Head()
	for name, c := range map[string]struct {
		body   []byte
		column string
	}{
		"no JSON":                               {[]byte("标题"), ""},
		"a title that is a number":              {paper(func(p object) { p["title"] = 7 }), "title"},
		"no title":                              {paper(func(p object) { delete(p, "title") }), "title"},
		"a time that is none":                   {paper(func(p object) { p["opens"] = "soon" }), "opens"},
		"no notice":                             {paper(func(p object) { delete(p, "notice_posted") }), "notice_posted"},
		"a meeting that is not over":            {paper(func(p object) { p["closes"] = "2026-03-30 09:00" }), ""},
		"a notice from before the Property Law": {paper(func(p object) { p["notice_posted"] = "2007-09-30 09:00" }), ""},
		"a matter of a code not yet in force":   {paper(func(p object) { p["notice_posted"] = "2020-12-31 09:00" }), "motions[0].matter"},
		"a policy that does not exist":          {paper(func(p object) { p["policy"].(object)["revote"] = "never" }), "policy.revote"},
		"a rule the law does not have for this": {paper(motion("rule", "special")), "motions[0].rule"},
		"a matter that does not exist":          {paper(motion("matter", "民法典278-1-10")), "motions[0].matter"},
		"a building the estate does not have":   {paper(motion("scope", "building:2")), "motions[0].scope"},
	} {
		status, report := o.do("clerk", "POST", papers+"meeting", c.body)
		list, _ := report["errors"].([]any)
		if status != 422 || len(list) == 0 || list[0].(object)["column"] != c.column {
			t.Errorf("%s: %d %v", name, status, report)
		}
	}
	o.refused("not-allowed", "an", "POST", papers+"meeting", paper(func(object) {}))
	if report := o.must("clerk", "POST", papers+"meeting?dry_run=true", paper(func(object) {})); report["dry_run"] != true {
		t.Error(report)
	}
	if o.store.Head() != head {
		t.Error("papers that are wrong, or only checked, wrote events")
	}
	o.refused("which-meeting", "clerk", "POST", papers+"ballots", []byte("时间,渠道,证件号,议题,选择\n2025-03-21 10:00,电子,X1,M1,赞成\n"))
	o.must("clerk", "POST", papers+"meeting", paper(func(object) {}))
	if status, report := o.do("clerk", "POST", papers+"meeting", paper(motion("title", "y"))); status != 422 {
		t.Errorf("a meeting that changed: %d %v", status, report)
	}

	// Good rows go in, bad ones are listed, and the meeting stays open for them.
	rows := "时间,渠道,证件号,议题,选择\n" +
		"2025-03-21 10:00,电子,X1,M1,赞成\n" +
		"2025-03-21 10:00,电报,X1,M1,赞成\n" +
		"soon,电子,X1,M1,赞成\n" +
		"2025-03-21 10:00,电子,,M1,赞成\n"
	report := o.must("clerk", "POST", papers+"ballots", []byte(rows))
	if report["recorded"] != 1.0 || report["rejected"] != 3.0 || !reflect.DeepEqual(report["refused"], object{"not-on-the-roll": 1.0}) {
		t.Errorf("ballots %v", report)
	}
	if strings.Contains(fmt.Sprint(report["errors"]), "X1") {
		t.Error("the report repeats a document")
	}
	id := o.get("/estates/" + o.estate + "/meetings")["items"].([]any)[0].(object)["id"].(string)
	if m := o.get("/meetings/" + id); m["state"] != "open" {
		t.Errorf("with rows missing the meeting is %v", m["state"])
	}
	right := o.must("clerk", "POST", papers+"ballots?meeting="+id, []byte("时间,渠道,证件号,议题,选择\n2025-03-21 10:00,电子,X1,M1,赞成\n"))
	if m := o.get("/meetings/" + id); m["state"] != "counted" || right["unchanged"] != 1.0 {
		t.Errorf("with all rows the meeting is %v: %v", m["state"], right)
	}
	if r := o.get("/meetings/" + id + "/results")["items"].([]any)[0].(object); r["outcome"] != "未形成有效决定" {
		t.Errorf("with nobody taking part: %v", r)
	}
}

func TestManyPhonesAtOnceCountOnce(t *testing.T) {
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	o := open(t, noon)
	o.home("1-1", "1", 10000, "an")
	id := o.must("clerk", "POST", "/estates/"+o.estate+"/meetings", object{
		"title":   "业主大会",
		"policy":  object{"revote": "first-ballot-stands", "paper_and_electronic": "electronic-stands", "unreturned": "none", "parking_counts_area": false},
		"motions": []object{{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"}},
	})["id"].(string)
	o.must("clerk", "POST", "/meetings/"+id+"/roll", nil)
	opens := noon.AddDate(0, 0, 15)
	o.must("clerk", "POST", "/meetings/"+id+"/notice", object{"opens": opens, "closes": opens.AddDate(0, 0, 14)})
	o.now.Store(&opens)
	ballot := object{"choices": []object{{"motion": "M1", "choice": "赞成"}}}
	o.get("/meetings/" + id)
	var taken, already, conflict atomic.Int64
	var phones sync.WaitGroup
	for range 20 {
		phones.Go(func() {
			switch status, out := o.do("an", "POST", "/meetings/"+id+"/ballots", ballot); {
			case status == 201:
				taken.Add(1)
			case out["code"] == "already-voted":
				already.Add(1)
			case out["code"] == "conflict": // five times in a row another was first
				conflict.Add(1)
			default:
				t.Errorf("%d %v", status, out)
			}
		})
	}
	phones.Wait()
	if taken.Load() != 1 {
		t.Errorf("%d taken, %d refused, %d in conflict", taken.Load(), already.Load(), conflict.Load())
	}
}

func TestWhoBuysBeforeTheNoticeVotes(t *testing.T) {
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	o := open(t, noon)
	o.home("1-1", "1", 10000, "an")
	id := o.must("clerk", "POST", "/estates/"+o.estate+"/meetings", object{
		"title":   "业主大会",
		"policy":  object{"revote": "first-ballot-stands", "paper_and_electronic": "electronic-stands", "unreturned": "none", "parking_counts_area": false},
		"motions": []object{{"id": "M1", "title": "选聘物业", "matter": "民法典278-1-4", "scope": "estate"}},
	})["id"].(string)
	at := "/meetings/" + id
	o.must("clerk", "POST", at+"/roll", nil)
	ballot := object{"choices": []object{{"motion": "M1", "choice": "赞成"}}}
	o.refused("voting-not-open", "an", "POST", at+"/ballots", ballot) // the roll is in memory now

	unit := uuid.NewSHA1(uuid.MustParse(o.estate), []byte("unit/1-1")).String()
	name, data, err := registry.Codec.Encode(registry.TitlesCorrected{Estate: o.estate, ID: unit, Code: "1-1",
		Titles: []registry.Title{{Person: "bo", Kind: registry.Natural, Part: 1, Whole: 1, Votes: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.store.Append(t.Context(), registry.UnitStream+unit, 2, es.Proposed{ID: uuid.New(), Type: name, Data: data, Meta: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	o.must("clerk", "POST", at+"/roll", nil) // what is posted of it is the same as before

	opens := noon.AddDate(0, 0, 15)
	o.must("clerk", "POST", at+"/notice", object{"opens": opens, "closes": opens.AddDate(0, 0, 14)})
	o.now.Store(&opens)
	o.refused("not-on-the-roll", "an", "POST", at+"/ballots", ballot)
	o.must("bo", "POST", at+"/ballots", ballot)
}

// rebuild replays the ledger into empty tables.
func (o *office) rebuild() {
	o.Helper()
	board := o.service[0].Projections[0]
	if err := errors.Join(board.Rebuild(o.Context()), board.WaitFor(o.Context(), o.store.Head())); err != nil {
		o.Fatal(err)
	}
}

// trail is all that everyone sees of ballots.
func (o *office) trail() string {
	var b strings.Builder
	for r, err := range o.store.ReadAll(o.Context(), 0, events.BallotStream) {
		if err != nil {
			o.Fatal(err)
		}
		b.Write(r.Data)
		b.Write(r.Meta)
	}
	return b.String()
}

// await waits until a condition holds, and fails after 20 seconds.
func (o *office) await(condition func() bool) {
	o.Helper()
	deadline := time.After(20 * time.Second)
	for !condition() {
		select {
		case <-deadline:
			o.Fatal("it did not happen")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// registerDemo records units, people and titles of the demo estate.
func (o *office) registerDemo() {
	rows := o.rows("业主名册.csv")
	people := make([]vault.PersonalData, len(rows))
	for i, row := range rows {
		people[i] = vault.PersonalData{Name: row["业主姓名"], DocumentKind: row["证件类型"], Document: row["证件号"]}
	}
	known, err := o.vault.EnsurePeople(o.Context(), people)
	if err != nil {
		o.Fatal(err)
	}
	titles := map[string][]registry.Title{}
	for i, row := range rows {
		title := registry.Title{Person: known[i].ID, Kind: registry.Natural, Votes: row["表决代表"] == "是"}
		if row["证件类型"] == "统一社会信用代码" {
			title.Kind = registry.Legal
		}
		titles[row["房屋编号"]] = append(titles[row["房屋编号"]], title)
	}
	var work sync.WaitGroup
	for _, row := range o.rows("房屋清册.csv") {
		area, err := units.ParseCentiM2(row["专有部分面积(㎡)"])
		if err != nil {
			o.Fatal(err)
		}
		u := registry.Unit{Code: row["房屋编号"], Building: row["楼栋"], Use: row["用途"], Area: area, Basis: row["面积依据"], State: row["交付状态"]}
		work.Go(func() { o.unit(u, titles[u.Code]...) })
	}
	work.Wait()
}

func (o *office) rows(name string) (rows []map[string]string) {
	lines, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(o.read(name), []byte("\ufeff")))).ReadAll()
	if err != nil {
		o.Fatal(err)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

func (o *office) read(name string) []byte {
	b, err := os.ReadFile(filepath.Join(papers, name))
	if err != nil {
		o.Fatal(err)
	}
	return b
}
