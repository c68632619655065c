package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/services/internal/bundle"
	"github.com/yimu-ledger/yimu/services/yimu/internal/invented"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
	"github.com/yimu-ledger/yimu/services/yimu/internal/office"
)

// benchEstateCmd measures one large estate, from its papers to a bundle that is
// checked, on a system run as a process of its own.
type benchEstateCmd struct {
	Dir    string `help:"Where to measure: a directory on the disk that is going to be used. It is left as it was." placeholder:"TEMP" type:"existingdir"`
	Homes  int    `help:"Homes of the estate, which is invented. As many ballots are cast." default:"60000"`
	Seed   uint64 `help:"Another seed gives another estate." default:"1"`
	Visits int    `help:"How often each page is opened." default:"20"`
}

// Help is shown by yimu bench estate --help.
func (benchEstateCmd) Help() string {
	return `Papers are imported through the API, once as a whole and once more into another system that is killed half-way and started again;
both must come to the figures of expected.json. In the first a live meeting is held: its roll frozen, as many ballots cast as there are
homes, the count held against what was cast. Then pages and files are opened, and a bundle is made and checked.`
}

// Targets, of an estate of 60,000 homes on two cores that the load comes from too.
const (
	wantPapers = "< 4 min"
	wantFreeze = "< 10 s"
	wantCount  = "< 1 s"
	wantOpen   = "worst < 1 s"
	wantVerify = "< 5 s"
)

type estateBench struct {
	bench
	benchEstateCmd
	papers string // folder
	booth  *load.Booth
	closes time.Time // deadline of the live meeting
}

// Run measures and prints a table. What is under way is told on standard error.
func (c *benchEstateCmd) Run(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Dir, "yimu-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &estateBench{bench{dir: filepath.Join(dir, "data"), binary: binary}, *c, filepath.Join(dir, "papers"), nil, time.Time{}}
	if err := b.disk(dir); err != nil {
		return err
	}
	if _, err := (invented.Estate{Homes: c.Homes, Seed: c.Seed}).Write(b.papers); err != nil {
		return err
	}
	return b.run(ctx, []measurement{
		{"importing, killed half-way and run again", b.interrupted},
		{"importing, freezing a roll", b.imported},
		{"casting ballots", b.vote},
		{"counting, opening pages and files, making a bundle", b.count},
		{"checking the bundle", b.verify},
	})
}

// memory follows how much a server holds, in bytes.
type memory struct {
	most atomic.Int64
	stop context.CancelFunc

	later struct{ least, most atomic.Int64 } // after the first minute
}

func memoryOf(ctx context.Context, s *load.Server) *memory {
	m := &memory{}
	m.later.least.Store(math.MaxInt64)
	ctx, m.stop = context.WithCancel(ctx)
	begun := time.Now()
	go func() {
		for ctx.Err() == nil {
			if n, err := s.Memory(ctx); err == nil {
				m.most.Store(max(m.most.Load(), n))
				if time.Since(begun) > time.Minute {
					m.later.least.Store(min(m.later.least.Load(), n))
					m.later.most.Store(max(m.later.most.Load(), n))
				}
			}
			_ = pause.For(ctx, 250*time.Millisecond)
		}
	}()
	return m
}

// folders are those of the papers, in the order in which they are imported.
func (b *estateBench) folders() []string {
	return []string{b.papers, filepath.Join(b.papers, invented.Second)}
}

// take imports a folder, and fails where its papers were not taken whole.
func (b *estateBench) take(ctx context.Context, s *load.Server, token, folder string, progress func(string, int, int)) (rows, found int, err error) {
	result, err := office.Import{Server: s.URL(), Token: token, Estate: b.estate(), Papers: os.DirFS(folder), Progress: progress}.Run(ctx)
	if err != nil {
		return 0, 0, err
	}
	if !result.OK() {
		var out strings.Builder
		result.Write(&out)
		return 0, 0, errors.New(out.String())
	}
	for _, f := range result.Files {
		if f.Report != nil {
			rows, found = rows+f.Report.Rows, found+f.Report.Unchanged
		}
	}
	return rows, found, b.right(ctx, s, folder, uint64(result.Position))
}

func (b *estateBench) estate() string { return uuid.NewSHA1(uuid.Nil, []byte("bench")).String() }

// right holds what the system says against the figures of a folder.
func (b *estateBench) right(ctx context.Context, s *load.Server, folder string, at uint64) error {
	var expected map[string]any
	var paper struct{ Title string }
	for name, into := range map[string]any{"expected.json": &expected, "会议.json": &paper} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, into); err != nil {
			return err
		}
	}
	get := func(path string, into any) error {
		text, err := s.GetAt(ctx, "/api/v1"+path, at)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, into)
	}
	var list struct{ Items []struct{ ID, Title string } }
	if err := get("/estates/"+b.estate()+"/meetings", &list); err != nil {
		return err
	}
	i := slices.IndexFunc(list.Items, func(m struct{ ID, Title string }) bool { return m.Title == paper.Title })
	if i < 0 {
		return errors.New("the meeting is not there")
	}
	wrong, err := misled(expected, b.estate(), list.Items[i].ID, func(path string) (got map[string]any, err error) {
		return got, get(path, &got)
	})
	if err == nil && len(wrong) > 0 {
		err = fmt.Errorf("the papers lead to other figures: %s", strings.Join(wrong, "; "))
	}
	return err
}

// interrupted imports into a system that is killed while it takes payments, and
// imports the same again into that which is started on what is left.
func (b *estateBench) interrupted(ctx context.Context) error {
	dir := b.dir + "-killed"
	defer func() { _ = os.RemoveAll(dir) }()
	s, err := load.Start(ctx, b.binary, dir, load.Past)
	if err != nil {
		return err
	}
	defer func() { s.Kill() }()
	token, err := s.Token(ctx)
	if err != nil {
		return err
	}
	importing, interrupt := context.WithCancelCause(ctx)
	defer interrupt(nil)
	killed := errors.New("killed")
	start := time.Now()
	_, _, err = b.take(importing, s, token, b.papers, func(file string, done, total int) {
		if strings.HasPrefix(file, "物业费收款") && total > 0 && done >= total/2 && importing.Err() == nil {
			s.Kill()
			interrupt(killed)
		}
	})
	if !errors.Is(err, killed) {
		return fmt.Errorf("it was not interrupted: %w", err)
	}
	before := time.Since(start)
	if s, err = load.Start(ctx, b.binary, dir, load.Past); err != nil {
		return err
	}
	b.add("ready again after kill -9 in the middle of an import", "", "%s", ms(s.Ready))
	start = time.Now()
	rows, found := 0, 0
	for _, folder := range b.folders() {
		r, f, err := b.take(ctx, s, token, folder, nil)
		if err != nil {
			return err
		}
		rows, found = rows+r, found+f
	}
	b.add("the import, run again to its end", "", "%.0f s after %.0f s; of %d rows %d were there; every figure as expected", time.Since(start).Seconds(), before.Seconds(), rows, found)
	return s.Stop()
}

// imported imports in one go, with the clock so far back that a notice posted
// then lets owners vote now, and posts it.
func (b *estateBench) imported(ctx context.Context) error {
	s, err := load.Start(ctx, b.binary, b.dir, load.Past)
	if err != nil {
		return err
	}
	defer s.Kill()
	token, err := s.Token(ctx)
	if err != nil {
		return err
	}
	m := memoryOf(ctx, s)
	defer m.stop()
	var held []string // the most while each of the long papers went in
	all, file, begun := int64(0), "", time.Now()
	next := func(name string, _, _ int) {
		if name == file {
			return
		}
		if most := m.most.Swap(0); most > 0 && file != "" {
			all = max(all, most)
			held = append(held, fmt.Sprintf("%s %d in %.0f s", strings.TrimSuffix(file, filepath.Ext(file)), most>>20, time.Since(begun).Seconds()))
		}
		file, begun = name, time.Now()
	}
	rows := 0
	start, used := time.Now(), s.CPU()
	for _, folder := range b.folders() {
		n, _, err := b.take(ctx, s, token, folder, next)
		if err != nil {
			return err
		}
		rows += n
	}
	took := time.Since(start)
	next("", 0, 0)
	m.stop()
	b.add(fmt.Sprintf("import of %d homes, %d rows", b.Homes, rows), wantPapers, "%.0f s, %.0f/s  %s", took.Seconds(), float64(rows)/took.Seconds(), each(s.CPU()-used, rows))
	b.add("memory, importing", "", "%d MB at most: %s", all>>20, strings.Join(held, ", "))
	if most := m.later.most.Load(); most > 0 {
		b.add("  after the first minute", "steady", "%d to %d MB", m.later.least.Load()>>20, most>>20)
	}
	if err := b.idle(ctx, s, "memory, idle after the import", ""); err != nil {
		return err
	}
	if err := b.freeze(ctx, s); err != nil {
		return err
	}
	return s.Stop()
}

// each says how much processor time was spent on one of many.
func each(used time.Duration, n int) string {
	if used <= 0 || n == 0 {
		return ""
	}
	return fmt.Sprintf("%d µs CPU each", used.Microseconds()/int64(n))
}

// freeze calls a meeting.
func (b *estateBench) freeze(ctx context.Context, s *load.Server) (err error) {
	if b.booth, err = load.In(ctx, s.Site, b.estate()); err != nil {
		return err
	}
	motions := make([]map[string]string, len(asked))
	for i, m := range asked {
		motions[i] = map[string]string{"id": m.id, "title": m.title, "matter": m.matter, "scope": "estate"}
	}
	var drafted struct{ ID string }
	err = b.booth.Command(ctx, s.Site, "/estates/"+b.estate()+"/meetings", map[string]any{
		"title":   "业主大会",
		"policy":  votes.Policy{Revote: votes.LastBallotStands, PaperAndElectronic: votes.ElectronicStands, Unreturned: votes.UnreturnedNone},
		"motions": motions,
	}, &drafted)
	if err != nil {
		return err
	}
	b.booth.Meetings = []string{drafted.ID}
	start, used := time.Now(), s.CPU()
	if err := b.booth.Command(ctx, s.Site, "/meetings/"+drafted.ID+"/roll", nil, nil); err != nil {
		return err
	}
	took := time.Since(start)
	if _, err := s.GetAt(ctx, "/api/v1/meetings/"+drafted.ID+"/roll?limit=1000", b.booth.Position()); err != nil {
		return err
	}
	b.add(fmt.Sprintf("freezing a roll of %d heads", len(b.booth.Tokens)), wantFreeze, "%s, to be read after %s  %.1f s CPU", ms(took), ms(time.Since(start)), (s.CPU() - used).Seconds())
	now := time.Now().UTC()
	b.closes = now.Add(24 * time.Hour) // a clock is put ahead to get there
	return b.booth.Command(ctx, s.Site, "/meetings/"+drafted.ID+"/notice", map[string]time.Time{"opens": now.Add(-time.Hour), "closes": b.closes}, nil)
}

var asked = []struct{ id, title, matter string }{
	{"M1", "选聘物业服务人", "民法典278-1-4"}, {"M2", "使用维修资金", "民法典278-1-5"}, {"M3", "利用共用部分经营", "民法典278-1-8"},
}

// answers are the choices of the nth ballot.
func answers(n int) (list [3]string) {
	for i := range list {
		list[i] = []string{votes.Yes, votes.Yes, votes.No, votes.Yes, votes.Abstain}[(n+i*n/3)%5]
	}
	return list
}

// vote has as many ballots cast as there are homes: one by each head, and by some
// a second, which replaces the first.
func (b *estateBench) vote(ctx context.Context) error {
	s, err := load.Start(ctx, b.binary, b.dir, 0)
	if err != nil {
		return err
	}
	defer s.Kill()
	b.add("ready again with the estate", "", "%s", ms(s.Ready))
	const clients = 64
	used := s.CPU()
	f := load.Press(ctx, s.Addr, clients, func(buf []byte, n int) ([]byte, bool) {
		if n >= len(b.booth.Tokens) {
			return buf, false
		}
		return b.ballot(n, n).Append(buf, s.Addr), true
	}, nil)
	again := load.Press(ctx, s.Addr, clients, func(buf []byte, n int) ([]byte, bool) {
		if n >= b.Homes-len(b.booth.Tokens) {
			return buf, false
		}
		return b.ballot(len(b.booth.Tokens)+n, n).Append(buf, s.Addr), true
	}, nil)
	if err := errors.Join(f.Only(http.StatusCreated), again.Only(http.StatusCreated)); err != nil {
		return err
	}
	b.add(fmt.Sprintf("ballots on %d motions from %d clients, %d", len(asked), clients, b.Homes), "", "%.0f/s  p99 %s  %s",
		f.PerSecond(http.StatusCreated), ms(f.Quantile(.99)), each(s.CPU()-used, b.Homes))
	clerk, err := b.login(ctx, s)
	if err != nil {
		return err
	}
	if err := b.file(ctx, s, clerk, http.MethodPost, "/meetings/"+b.booth.Meetings[0]+"/letters.pdf", url.Values{"names": {"1"}}); err != nil {
		return err
	}
	return s.Stop()
}

// ballot is the request of the nth ballot, by a voter.
func (b *estateBench) ballot(n, voter int) load.Request {
	var choices []string
	for i, choice := range answers(n) {
		choices = append(choices, fmt.Sprintf(`{"motion":%q,"choice":%q}`, asked[i].id, choice))
	}
	return load.Request{
		Path: "/meetings/" + b.booth.Meetings[0] + "/ballots", Token: b.booth.Tokens[voter], Key: "estate-ballot-" + strconv.Itoa(n),
		Body: `{"choices":[` + strings.Join(choices, ",") + `]}`,
	}
}

// count starts the system some seconds before voting is closed, which is a minute
// after the deadline, and measures from the event that opens the ballots to the
// result.
func (b *estateBench) count(ctx context.Context) error {
	ahead := time.Until(b.closes) + 40*time.Second
	s, err := load.Start(ctx, b.binary, b.dir, ahead)
	if err != nil {
		return err
	}
	defer s.Kill()
	meeting := b.booth.Meetings[0]
	var results struct {
		Items []struct {
			Motion  string
			Yes     int `json:"yes_heads"`
			No      int `json:"no_heads"`
			Abstain int `json:"abstain_heads"`
		}
	}
	closing := b.closes.Add(time.Minute - ahead) // as this clock shows it
	if err := pause.For(ctx, time.Until(closing)); err != nil {
		return err
	}
	for { // another process: there is nothing to wait for, and an address may not ask too often
		text, err := s.Get(ctx, "/api/v1/meetings/"+meeting+"/results")
		if err == nil {
			if err := json.Unmarshal(text, &results); err != nil {
				return err
			}
			break
		}
		waited := time.Since(closing)
		if waited > 5*time.Minute {
			return err
		}
		time.Sleep(max(5*time.Millisecond, waited/20))
	}
	seen := time.Now()
	var stream struct {
		Items []struct {
			Type     string
			Recorded time.Time
		}
	}
	if err := s.Read(ctx, "/api/v1/ledger/streams/"+votes.MeetingStream+meeting, &stream); err != nil {
		return err
	}
	for _, e := range stream.Items {
		if e.Type == "key-released.v1" {
			b.add(fmt.Sprintf("count of %d ballots, from key to result", b.Homes), wantCount, "%s", ms(seen.Sub(e.Recorded.Add(-ahead))))
		}
	}
	for i, r := range results.Items {
		yes, no, abstain := 0, 0, 0
		for voter := range b.booth.Tokens {
			n := voter
			if len(b.booth.Tokens)+voter < b.Homes { // the last stands
				n = len(b.booth.Tokens) + voter
			}
			switch answers(n)[i] {
			case votes.Yes:
				yes++
			case votes.No:
				no++
			default:
				abstain++
			}
		}
		if r.Yes != yes || r.No != no || r.Abstain != abstain {
			return fmt.Errorf("%s came to %d, %d, %d; cast were %d, %d, %d", r.Motion, r.Yes, r.No, r.Abstain, yes, no, abstain)
		}
	}
	if err := b.open(ctx, s); err != nil {
		return err
	}
	if err := b.idle(ctx, s, "memory, idle after all that", ""); err != nil {
		return err
	}
	return s.Stop()
}

// reader is somebody with a browser.
type reader struct {
	*http.Client
	site *load.Server
}

// get reads a page to its end and says how many bytes it has.
func (r reader) get(ctx context.Context, method, path string, form url.Values) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.site.URL()+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := r.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return n, err
}

// login makes a person known who may do everything, and lets them in.
func (b *estateBench) login(ctx context.Context, s *load.Server) (reader, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return reader{}, err
	}
	r := reader{&http.Client{Jar: jar}, s}
	var known struct{ ID string }
	var code struct{ Code string }
	if err := b.booth.Command(ctx, s.Site, "/people", map[string]string{"name": "示例职员", "kind": "natural", "document_kind": "工号", "document": "BENCH-1"}, &known); err != nil {
		return r, err
	}
	for _, role := range []string{"administrator", "clerk", "committee"} {
		body := map[string]string{"role": role}
		if role != "administrator" {
			body["estate"] = b.estate()
		}
		if err := b.booth.Command(ctx, s.Site, "/people/"+known.ID+"/roles", body, nil); err != nil {
			return r, err
		}
	}
	if err := b.booth.Command(ctx, s.Site, "/people/"+known.ID+"/login-codes", nil, &code); err != nil {
		return r, err
	}
	_, err = r.get(ctx, http.MethodPost, "/login", url.Values{"code": {code.Code}, "next": {"/me"}})
	return r, err
}

// open opens every page there is of the estate and its meetings, and the files.
func (b *estateBench) open(ctx context.Context, s *load.Server) error {
	clerk, err := b.login(ctx, s)
	if err != nil {
		return err
	}
	estate, meeting := "/estates/"+b.estate(), "/meetings/"+b.booth.Meetings[0]
	anyone := reader{http.DefaultClient, s}
	type page struct {
		who  reader
		path string
	}
	var pages []page
	for _, path := range []string{
		"/", estate, estate + "/entries", estate + "/compare", estate + "/explore", estate + "/meetings", estate + "/workorders", estate + "/rules",
		meeting, meeting + "/roll", meeting + "/roll?unit=7-", "/trail", "/trail?estate=" + b.estate(), "/trail/" + votes.MeetingStream + b.booth.Meetings[0], "/proof",
	} {
		pages = append(pages, page{anyone, path})
	}
	for _, path := range []string{"/me", meeting, meeting + "/desk", meeting + "/delivery", meeting + "/papers", meeting + "/trustees", meeting + "/roll", estate + "/payments/new"} {
		pages = append(pages, page{clerk, path})
	}
	var took []time.Duration
	worst, slowest := time.Duration(0), ""
	for _, p := range pages {
		var of []time.Duration
		size := int64(0)
		for range b.Visits {
			start := time.Now()
			if size, err = p.who.get(ctx, http.MethodGet, p.path, nil); err != nil {
				return err
			}
			of = append(of, time.Since(start))
		}
		first := of[0]
		took = append(took, of...)
		slices.Sort(of)
		if of[len(of)-1] > worst {
			worst, slowest = of[len(of)-1], p.path
		}
		who := ""
		if p.who == clerk {
			who = " (clerk)"
		}
		b.add("  "+b.short(p.path)+who, "", "first %s  p50 %s  worst %s  %d KB", ms(first), ms(of[len(of)/2]), ms(of[len(of)-1]), size>>10)
	}
	slices.Sort(took)
	b.add(fmt.Sprintf("all %d pages, %d times each", len(pages), b.Visits), wantOpen, "p50 %s  p99 %s  worst %s, of %s",
		ms(took[len(took)/2]), ms(took[len(took)*99/100]), ms(worst), b.short(slowest))
	for _, path := range []string{
		estate + "/units.csv", estate + "/workorders.csv", estate + "/entries.csv", meeting + "/roll.csv", meeting + "/ballots.csv", meeting + "/results.csv",
		"/api/v1" + meeting + "/result.pdf", meeting + "/notice.pdf",
	} {
		if err := b.file(ctx, s, anyone, http.MethodGet, path, nil); err != nil {
			return err
		}
	}
	return b.bundle(ctx, s)
}

// file has a file made, and says what that takes.
func (b *estateBench) file(ctx context.Context, s *load.Server, who reader, method, path string, form url.Values) error {
	m := memoryOf(ctx, s)
	defer m.stop()
	start, used := time.Now(), s.CPU()
	size, err := who.get(ctx, method, path, form)
	if err != nil {
		return err
	}
	b.add("  "+b.short(path), "", "%.1f s  %.1f s CPU  %.1f MB  memory %d MB at most", time.Since(start).Seconds(), (s.CPU() - used).Seconds(), float64(size)/1e6, m.most.Load()>>20)
	return nil
}

// short is a path without the ids that all share.
func (b *estateBench) short(path string) string {
	return strings.NewReplacer(b.estate(), "…", b.booth.Meetings[0], "…").Replace(path)
}

func (b *estateBench) bundlePath() string { return filepath.Join(filepath.Dir(b.dir), "bundle.zip") }

// bundle makes a bundle of the estate.
func (b *estateBench) bundle(ctx context.Context, s *load.Server) error {
	m := memoryOf(ctx, s)
	defer m.stop()
	start, used := time.Now(), s.CPU()
	return writeFile(b.bundlePath(), func(w io.Writer) error {
		made, err := bundle.Export{Client: http.DefaultClient, Server: s.URL(), Estate: b.estate(), Program: version(), Made: start}.Write(ctx, w)
		if err == nil {
			b.add(fmt.Sprintf("making a bundle, %d events of %d", made.Events, made.Leaves), "", "%.1f s  %.1f s CPU  memory %d MB at most",
				time.Since(start).Seconds(), (s.CPU() - used).Seconds(), m.most.Load()>>20)
		}
		return err
	})
}

// verify checks the bundle as anyone would.
func (b *estateBench) verify(ctx context.Context) error {
	keys, err := tlog.PublicKeys(filepath.Join(b.dir, "keys", logKey))
	if err != nil {
		return err
	}
	for _, check := range []struct {
		what, want string
		args       []string
	}{
		{"yimu verify bundle", "", nil},
		{"yimu verify bundle --meeting, its count again", wantVerify, []string{"--meeting", b.booth.Meetings[0]}},
	} {
		cmd := exec.CommandContext(ctx, b.binary, append([]string{"verify", "bundle", b.bundlePath(), "--key", keys[0].Text}, check.args...)...) //nolint:gosec // ourselves
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		start := time.Now()
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%w: %s", err, out.String())
		}
		b.add(check.what, check.want, "%.1f s  %.1f s CPU", time.Since(start).Seconds(), (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
	}
	return nil
}
