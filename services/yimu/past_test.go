package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
)

// figuresOf are the public figures of an estate; those of its meetings are below /meetings/{id}.
var figuresOf = []string{
	"", "/electorate", "/agreements", "/meetings", "/collection", "/draws", "/budget", "/budget?year=2022", "/entries?limit=1000", "/entries?year=2022&direction=支出", "/workorders/summary", "/workorders?limit=1000",
}

// asOf is the position in a link to what is behind a figure.
var asOf = regexp.MustCompile(`at=[0-9]+(\\u0026|&)?`)

// signed is how far the log was signed when a figure was told.
var signed = regexp.MustCompile(`,"log":\{[^}]*\}`)

// derivedAt is the position that a figure was derived at.
var derivedAt = regexp.MustCompile(`"position":[0-9]+,?`)

// read returns what is told at a path, as of a position or as of now.
func (s *site) read(t *testing.T, path, at string) (text string, position uint64) {
	t.Helper()
	if at != "" {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		path += separator + "at=" + at
	}
	var body json.RawMessage
	s.get(t, path, &body)
	var told struct{ Position uint64 }
	if err := json.Unmarshal(body, &told); err != nil {
		t.Fatal(err)
	}
	return signed.ReplaceAllString(asOf.ReplaceAllString(string(body), ""), ""), told.Position
}

// told is what is told of an estate now, by path.
func (s *site) told(t *testing.T, estate string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, path := range s.paths(t, estate) {
		text, _ := s.read(t, path, "")
		all[path] = derivedAt.ReplaceAllString(text, "")
	}
	return all
}

// paths are those of an estate's figures, and of its meetings' as far as they are counted.
func (s *site) paths(t *testing.T, estate string) []string {
	t.Helper()
	var all []string
	for _, route := range figuresOf {
		all = append(all, "/estates/"+estate+route)
	}
	var meetings struct{ Items []struct{ ID, State string } }
	s.get(t, "/estates/"+estate+"/meetings", &meetings)
	for _, m := range meetings.Items {
		all = append(all, "/meetings/"+m.ID, "/meetings/"+m.ID+"/ballots/summary")
		if m.State == "counted" {
			all = append(all, "/meetings/"+m.ID+"/results")
		}
	}
	return all
}

// only returns the papers of these names.
func only(t *testing.T, papers fs.FS, names ...string) fs.FS {
	t.Helper()
	some := fstest.MapFS{}
	for _, name := range names {
		data, err := fs.ReadFile(papers, name)
		if err != nil {
			t.Fatal(err)
		}
		some[name] = &fstest.MapFile{Data: data}
	}
	return some
}

func TestAFigureAsOfAPositionIsWhatWasSaidThen(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate, papers := uuid.NewString(), xiushan(t)
	type said map[string]string // by path
	then := map[uint64]said{}
	for _, names := range [][]string{
		{"房屋清册.csv", "业主名册.csv", "委托合同.json"}, {"预算.csv", "工单时限.csv", "工单.csv"}, {"收支凭证.csv"}, {"物业费收款.csv"}, {"会议.json"}, {"选票.csv"},
	} {
		s.take(t, only(t, papers, names...), estate)
		now := said{}
		var at uint64
		for _, path := range s.paths(t, estate) {
			text, position := s.read(t, path, "")
			now[path], at = text, max(at, position)
		}
		then[at] = now
		s.take(t, papersOf(t, everyPaper, "", "", ""), uuid.NewString()) // another estate, which is in none of the first one's figures
	}
	for _, at := range slices.Sorted(maps.Keys(then)) {
		for path, was := range then[at] {
			text, position := s.read(t, path, strconv.FormatUint(at, 10))
			if text != was {
				t.Errorf("%s at %d is\n%.400s\nwas\n%.400s", path, at, text, was)
			}
			if position != 0 && position != at {
				t.Errorf("%s at %d says that it is of %d", path, at, position)
			}
		}
	}
	t.Run("and a page says that it is of the past, and leads on in it", func(t *testing.T) {
		first := slices.Min(slices.Collect(maps.Keys(then)))
		at := strconv.FormatUint(first, 10)
		page := s.page(t, "/estates/"+estate+"?at="+at)
		for _, want := range []string{"这是过去的样子", `type="range"`, "还没有公开预算"} {
			if !strings.Contains(page, want) {
				t.Errorf("%q is not on the page", want)
			}
		}
		last := strconv.FormatUint(slices.Max(slices.Collect(maps.Keys(then))), 10)
		if page := s.page(t, "/estates/"+estate+"?at="+last); !strings.Contains(page, "category=%E4%BA%BA%E5%91%98%E5%B7%A5%E8%B5%84&amp;direction=%E6%94%AF%E5%87%BA&amp;year=2022&amp;at="+last) {
			t.Error("the entries behind a line are not those of then")
		}
	})
	t.Run("and every figure says how far the ledger is signed", func(t *testing.T) { s.signed(t, estate) })
}

// signed wants every figure of an estate to say how far the ledger is signed.
func (s *site) signed(t *testing.T, estate string) {
	t.Helper()
	var log struct{ Keys []string }
	s.get(t, "/ledger/log", &log)
	keys, err := proof.ParseKeys(strings.Join(log.Keys, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	bound := 0
	for _, path := range s.paths(t, estate) {
		var figure struct {
			Position es.Position
			Log      proof.Signed
		}
		var raw map[string]any
		if s.get(t, path, &raw); raw["position"] == nil {
			continue // a list of what is behind the figures
		}
		bound++
		for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
			if s.get(t, path, &figure); figure.Log.Position >= figure.Position {
				break
			}
			if time.Since(start) > 10*time.Second {
				t.Fatalf("%s is of position %d, and signed up to %d", path, figure.Position, figure.Log.Position)
			}
		}
		c, _, failed := keys.Checkpoint(figure.Log.Checkpoint)
		if failed != nil {
			t.Fatalf("%s: %v", path, failed)
		}
		var place struct{ Leaf uint64 }
		if s.get(t, fmt.Sprintf("/ledger/place?position=%d", figure.Log.Position), &place); place.Leaf+1 != c.Size {
			t.Errorf("%s: a checkpoint of %d leaves covers leaf %d", path, c.Size, place.Leaf)
		}
	}
	if bound < 10 {
		t.Errorf("%d figures are bound to the ledger", bound)
	}
}

// page reads a page as a browser gets it.
func (s *site) page(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v", path, resp.Status, err)
	}
	return string(text)
}
