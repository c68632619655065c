package office_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/yimu/internal/office"
)

const estate = "0a8f4b7e-3c1d-4e5f-8a9b-1c2d3e4f5a6b"

// desk answers as a yimu server does, as far as an office sees it. It stands in
// for the way there and back; what the papers mean is tested with the real one.
type desk struct {
	mu       sync.Mutex
	asked    []string // method and path of every request, with ! for a dry run
	keys     []string
	exists   bool
	answer   map[string]func(w http.ResponseWriter, r *http.Request, again int) bool // by the path's end; false: as usual
	times    map[string]int
	position int
	seen     []string // Yimu-Position of every request
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/api/v1/estates/"+estate)
	name := r.Method + " " + path
	if r.URL.Query().Get("dry_run") != "" {
		name += " !"
	}
	d.asked = append(d.asked, name)
	d.seen = append(d.seen, r.Header.Get("Yimu-Position"))
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		d.keys = append(d.keys, key)
	}
	if d.times == nil {
		d.times = map[string]int{}
	}
	d.times[name]++
	if answer := d.answer[name]; answer != nil && answer(w, r, d.times[name]) {
		return
	}
	switch {
	case r.Method == http.MethodGet && path == "":
		if !d.exists {
			problem.Write(w, problem.NotFound("no-such-estate", "there is no such estate"))
			return
		}
		write(w, map[string]any{"id": estate, "name": "秀山花园"})
	case r.Method == http.MethodGet:
		write(w, map[string]any{"items": []any{}})
	case strings.HasPrefix(path, "/papers/"):
		body, _ := io.ReadAll(r.Body)
		d.position += 10
		w.Header().Set("Content-Type", paper.NDJSON)
		line(w, map[string]any{"done": 0, "total": 1})
		rows := bytes.Count(bytes.TrimSpace(body), []byte("\n"))
		line(w, map[string]any{"status": 200, "report": map[string]any{
			"rows": rows, "recorded": rows, "position": d.position, "errors": []any{}, "done": true,
		}})
	default:
		if path == "/api/v1/estates" {
			d.exists = true
		}
		d.position += 10
		w.WriteHeader(http.StatusCreated)
		write(w, map[string]any{"id": estate, "state": "recorded", "position": d.position})
	}
}

func write(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }

func line(w http.ResponseWriter, v any) {
	write(w, v)
	_ = http.NewResponseController(w).Flush()
}

// refuse reports a paper as wrong in one row.
func refuse(mistakes ...paper.RowError) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, _ int) bool {
		w.Header().Set("Content-Type", paper.NDJSON)
		line(w, map[string]any{"status": 422, "report": paper.Report{Rows: 3, Rejected: 1, Errors: mistakes, Mistakes: len(mistakes), Code: paper.RowsWrong}})
		return true
	}
}

// busy says "not now" to the first requests.
func busy(times int) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, _ *http.Request, again int) bool {
		if again > times {
			return false
		}
		problem.Write(w, problem.Unavailable("not-caught-up", "the read models have not reached this position yet"))
		return true
	}
}

var papers = fstest.MapFS{
	"房屋清册.csv":      {Data: []byte("房屋编号\n1-1-101\n1-1-102\n")},
	"业主名册.csv":      {Data: []byte("房屋编号\n1-1-101\n")},
	"委托合同.json":     {Data: []byte(`{"estate":"秀山花园"}`)},
	"会议.json":       {Data: []byte(`{"title":"第一次会议"}`)},
	"选票.csv":        {Data: []byte("时间\n1\n2\n3\n")},
	"expected.json": {Data: []byte("{}")},
	".DS_Store":     {Data: []byte{0}},
}

func run(t *testing.T, d *desk, change func(*office.Import)) (*office.Result, string, error) {
	t.Helper()
	im := office.Import{Server: "http://desk.test", Token: "t", Estate: estate, Papers: papers, HTTP: &http.Client{Transport: overWire{d}}}
	if change != nil {
		change(&im)
	}
	result, err := im.Run(t.Context())
	var out strings.Builder
	result.Write(&out)
	return result, out.String(), err
}

// overWire answers a client in this process, so that time can be left out.
type overWire struct{ http.Handler }

func (o overWire) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Context().Err() != nil {
		return nil, r.Context().Err()
	}
	w := httptest.NewRecorder()
	o.ServeHTTP(w, r)
	return w.Result(), nil
}

func TestAFolderIsSentInTheOrderInWhichPapersBuildOnEachOther(t *testing.T) {
	d := &desk{}
	result, out, err := run(t, d, nil)
	if err != nil || !result.OK() || !result.Founded {
		t.Fatalf("%v\n%s", err, out)
	}
	want := []string{
		"GET ", "POST /papers/units !", "POST /papers/titles !", "POST /api/v1/estates",
		"POST /papers/units", "POST /papers/titles", "POST /papers/agreement", "POST /papers/meeting", "GET /meetings", "POST /papers/ballots",
		"POST /bills", "POST /collections",
	}
	if !slices.Equal(d.asked, want) {
		t.Errorf("asked\n%q, want\n%q", d.asked, want)
	}
	for i := slices.Index(d.asked, "POST /papers/units") + 1; i < len(d.seen); i++ {
		if d.seen[i] == "" || d.seen[i] < d.seen[i-1] {
			t.Errorf("%s came with position %q after %q: it does not see the step before it", d.asked[i], d.seen[i], d.seen[i-1])
		}
	}
	for _, part := range []string{"秀山花园", "选票.csv", "expected.json"} {
		if !strings.Contains(out, part) {
			t.Errorf("the report does not name %s:\n%s", part, out)
		}
	}
	if strings.Contains(out, "DS_Store") {
		t.Errorf("the report names a hidden file:\n%s", out)
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	d := &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"POST /papers/ballots !": func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			problem.Write(w, problem.NotFound("no-such-estate", "there is no such estate"))
			return true
		},
	}}
	result, out, err := run(t, d, func(im *office.Import) { im.DryRun = true })
	if err != nil || !result.OK() {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, asked := range d.asked {
		if strings.HasPrefix(asked, "POST") && !strings.HasSuffix(asked, "!") {
			t.Errorf("a dry run sent %s", asked)
		}
	}
	if !strings.Contains(out, "nothing was changed") || !strings.Contains(out, "not in the ledger yet") {
		t.Errorf("the report does not say so:\n%s", out)
	}
}

func TestNothingIsSentWhileAPaperThatIsTakenWholeIsWrong(t *testing.T) {
	for name, d := range map[string]*desk{
		"the unit list": {answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
			"POST /papers/units !": refuse(paper.RowError{Row: 2, Column: "用途", Reason: "none of 住宅, 商铺, 车位"}),
		}},
		"the title list": {answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
			"POST /papers/titles !": refuse(paper.RowError{Row: 2, Column: "用途", Reason: "none of 住宅, 商铺, 车位"}),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			result, out, err := run(t, d, nil)
			if err != nil || result.OK() {
				t.Fatalf("ok %v, %v", result.OK(), err)
			}
			if len(d.keys) > 0 || slices.Contains(d.asked, "POST /papers/units") {
				t.Errorf("sent %q", d.asked)
			}
			if !strings.Contains(out, "row 2, column 用途: none of 住宅") || !strings.Contains(out, "not sent") {
				t.Errorf("the report does not say why:\n%s", out)
			}
		})
	}
}

func TestATitleOfAUnitThatNobodyListsIsFoundBeforeAnythingIsSent(t *testing.T) {
	d := &desk{}
	_, out, err := run(t, d, func(im *office.Import) {
		im.Papers = fstest.MapFS{
			"房屋清册.csv":  papers["房屋清册.csv"],
			"业主名册.csv":  {Data: []byte("房屋编号\n1-1-101\n9-9-999\n")},
			"委托合同.json": papers["委托合同.json"],
		}
	})
	if err != nil || len(d.keys) > 0 || !strings.Contains(out, "row 3, column 房屋编号: the unit list has no unit “9-9-999”") {
		t.Errorf("%v, sent %q\n%s", err, d.asked, out)
	}
}

func TestAPaperIsNotSentWhenOneItBuildsOnWasRefused(t *testing.T) {
	d := &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"POST /papers/meeting": refuse(paper.RowError{Row: 1, Column: "policy.revote", Reason: "is missing"}),
	}}
	result, out, err := run(t, d, nil)
	if err != nil || result.OK() || slices.Contains(d.asked, "POST /papers/ballots") {
		t.Errorf("%v, sent %q\n%s", err, d.asked, out)
	}
	if !strings.Contains(out, "it builds on 会议.json") {
		t.Errorf("the report does not say why:\n%s", out)
	}
}

func TestABusyServerIsAskedAgainWithTheSameKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pending := func(w http.ResponseWriter, _ *http.Request, again int) bool {
			if again > 2 {
				return false
			}
			w.WriteHeader(http.StatusAccepted)
			write(w, map[string]any{"state": "pending"})
			return true
		}
		cutOff := func(w http.ResponseWriter, _ *http.Request, again int) bool {
			if again > 1 {
				return false
			}
			w.Header().Set("Content-Type", paper.NDJSON)
			line(w, map[string]any{"done": 1, "total": 3})
			return true
		}
		late := func(w http.ResponseWriter, _ *http.Request, again int) bool {
			if again > 1 {
				return false
			}
			w.Header().Set("Content-Type", paper.NDJSON)
			line(w, map[string]any{"status": 503, "problem": problem.Unavailable("not-sent", "the ledger cannot be reached")})
			return true
		}
		d := &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
			"POST /papers/units": busy(3), "POST /papers/titles": cutOff, "POST /papers/ballots": late, "POST /bills": pending,
		}}
		result, out, err := run(t, d, nil)
		if err != nil || !result.OK() {
			t.Fatalf("%v\n%s", err, out)
		}
		if n := d.times["POST /bills"]; n != 3 || len(slices.Compact(slices.Clone(d.keys))) != 3 {
			t.Errorf("asked %d times, with keys %q", n, d.keys)
		}
	})
}

func TestAServerThatStaysBusyIsNotAskedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{"POST /papers/units": busy(1000)}}
		_, _, err := run(t, d, nil)
		if err == nil || !strings.Contains(err.Error(), "房屋清册.csv: the server stayed busy") || d.times["POST /papers/units"] > 20 {
			t.Errorf("%v after %d times", err, d.times["POST /papers/units"])
		}
	})
}

func TestAServerThatWentAwayIsNotCalledBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cutOff := func(w http.ResponseWriter, _ *http.Request, _ int) bool {
			w.Header().Set("Content-Type", paper.NDJSON)
			return true
		}
		d := &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{"POST /papers/units": cutOff}}
		_, _, err := run(t, d, nil)
		if err == nil || !strings.Contains(err.Error(), "the server went away") || strings.Contains(err.Error(), "busy") {
			t.Fatalf("%v", err)
		}
	})
}

func TestTheEstateIsCalledAsItsAgreementSays(t *testing.T) {
	files := maps.Clone(papers)
	files["委托合同.json"] = &fstest.MapFile{Data: []byte("\xef\xbb\xbf{\"estate\":\"蓝湾里\"}")}
	var founded []byte
	d := &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"POST /api/v1/estates": func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			founded, _ = io.ReadAll(r.Body)
			return false
		},
	}}
	if _, _, err := run(t, d, func(im *office.Import) { im.Papers = files }); err != nil || !strings.Contains(string(founded), "蓝湾里") {
		t.Fatalf("founded with %s, %v", founded, err)
	}
}

func TestAnInterruptedImportSaysSoAndStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
		"POST /papers/titles": func(http.ResponseWriter, *http.Request, int) bool { cancel(); return false },
	}}
	result, err := office.Import{Server: "http://desk.test", Estate: estate, Papers: papers, HTTP: &http.Client{Transport: overWire{d}}}.Run(ctx)
	if !errors.Is(err, context.Canceled) || len(result.Files) != 1 {
		t.Errorf("%v, %d files", err, len(result.Files))
	}
	if last := d.asked[len(d.asked)-1]; last != "POST /papers/titles" {
		t.Errorf("went on to %s", last)
	}
}

func TestWhatAnOfficeMeetsIsSaidInASentence(t *testing.T) {
	answer := func(p *problem.Error) *desk {
		return &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
			"GET ": func(w http.ResponseWriter, _ *http.Request, _ int) bool { problem.Write(w, p); return true },
		}}
	}
	atUpload := func(p *problem.Error) *desk {
		return &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
			"POST /papers/units !": func(w http.ResponseWriter, _ *http.Request, _ int) bool { problem.Write(w, p); return true },
		}}
	}
	folder := func(files fstest.MapFS) func(*office.Import) { return func(im *office.Import) { im.Papers = files } }
	for _, tc := range []struct {
		name   string
		desk   *desk
		change func(*office.Import)
		want   string
	}{
		{"nobody is there", &desk{}, func(im *office.Import) { im.Server, im.HTTP = "http://127.0.0.1:1", nil }, "nothing answers at http://127.0.0.1:1"},
		{"another server is there", &desk{answer: map[string]func(http.ResponseWriter, *http.Request, int) bool{
			"GET ": func(w http.ResponseWriter, _ *http.Request, _ int) bool { http.NotFound(w, nil); return true },
		}}, nil, "does not answer like a yimu server (404 Not Found)"},
		{"a token nobody knows", answer(problem.Unauthorized("token-unknown", "this token is not known")), nil, "does not accept this token"},
		{"a token that may not", atUpload(problem.Forbidden("not-permitted", "your role does not permit this")), nil, "this token may not do that"},
		{"a file the server finds too large", atUpload(problem.TooLarge("too-large", "a file may have 64 MiB")), nil, "the server takes no file of this size"},
		{"an id that is no id", &desk{}, func(im *office.Import) { im.Estate = "xiushan" }, `"xiushan" is no id of an estate: it is a UUID`},
		{"an address that is none", &desk{}, func(im *office.Import) { im.Server = "localhost:8080" }, "is no address of a server"},
		{"an empty folder", &desk{}, folder(fstest.MapFS{"notes.txt": {}}), "holds none of the papers: 房屋清册.csv"},
		{"a paper twice", &desk{}, folder(fstest.MapFS{"工单.csv": {}, "工单.XLSX": {}}), "are the same paper; leave only one"},
		{"a file over 64 MiB", &desk{}, func(im *office.Import) { im.Papers = huge{} }, "工单.csv has 65 MiB; a paper may have 64 MiB"},
		{"an estate without a name", &desk{}, folder(fstest.MapFS{"工单.csv": {Data: []byte("工单号\n")}}), "say so with --name"},
		{"an empty file", &desk{}, folder(fstest.MapFS{"工单.csv": {}}), "工单.csv is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, _, err := run(t, tc.desk, tc.change)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q in it", err, tc.want)
			}
			if slices.ContainsFunc(tc.desk.asked, func(s string) bool { return strings.HasPrefix(s, "POST") && !strings.HasSuffix(s, "!") }) {
				t.Errorf("sent %q", tc.desk.asked)
			}
		})
	}
}

// huge is a folder with a paper that is too large.
type huge struct{}

func (huge) Open(name string) (fs.File, error) {
	return fstest.MapFS{"工单.csv": {Data: make([]byte, paper.MaxFile+1)}}.Open(name)
}
