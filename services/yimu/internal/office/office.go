// Package office brings the papers that an office keeps of one estate to a
// yimu server: a folder of tables and documents, known by their names. It goes
// through the same API as everyone.
//
// What the papers mean, and what is wrong with them, is for the server to say.
// The office sends each paper whole, after those that it builds on, and tells
// what became of it. It keeps nothing itself: a paper that was sent before is
// found again by what stands in it, so an import may be interrupted anywhere,
// and run again.
package office

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/paper"
)

// Import is one folder on its way to one estate.
type Import struct {
	Server string // e.g. https://yimu.example
	Token  string // of a clerk of the estate; of an administrator where it is to be founded
	Estate string // id, a UUID; founded if the server does not have it
	Name   string // of an estate that is founded; "": as the papers say
	Papers fs.FS  // the folder
	Folder string // what it is called: the estate's name where nothing else says one
	DryRun bool   // only have the papers checked

	HTTP     *http.Client                       // nil: http.DefaultClient
	Progress func(file string, done, total int) // told how far a paper is, in rows; nil: nobody
}

// File is what became of one paper.
type File struct {
	Name    string
	Report  *paper.Report // the server's; nil where the paper was not sent
	NotSent string        // why not

	kind string
}

// wrong tells whether something in the paper is to be mended.
func (f File) wrong() bool { return f.Report != nil && (f.Report.Mistakes > 0 || f.Report.Code != "") }

// whole tells whether all of the paper was taken.
func (f File) whole() bool { return f.Report != nil && f.Report.Code == "" }

// Result is what became of an import.
type Result struct {
	Estate  string // id
	Name    string
	Founded bool // the estate was not there before
	Absent  bool // in a dry run, it is not there yet
	DryRun  bool
	Files   []File   // in the order in which they were sent
	Left    []string // files that are no paper
	Posted  []string // what was posted of the papers, in words

	Position es.Position // up to which the ledger holds all of it
}

// OK tells whether every paper was sent and nothing in them is wrong. Ballots
// that a rule refuses are not wrong.
func (r *Result) OK() bool {
	return !slices.ContainsFunc(r.Files, func(f File) bool { return f.wrong() || f.NotSent != "" && !r.DryRun })
}

// file returns the entry of a kind of paper.
func (r *Result) file(kind string) (File, bool) {
	i := slices.IndexFunc(r.Files, func(f File) bool { return f.kind == kind })
	if i < 0 {
		return File{}, false
	}
	return r.Files[i], true
}

// Run imports. The result says what was done so far, also beside an error,
// which is of the way to the server or of the folder, not of a paper. Running
// it again finishes what an error or an interruption left.
func (im Import) Run(ctx context.Context) (*Result, error) {
	result := &Result{Estate: im.Estate, DryRun: im.DryRun}
	c, err := im.client()
	if err != nil {
		return result, err
	}
	defer func() { result.Position = c.position }()
	folder, err := open(im.Papers)
	if err != nil {
		return result, err
	}
	result.Left = folder.left
	var estate struct {
		Name string `json:"name"`
	}
	found, err := c.get(ctx, "/estates/"+im.Estate, &estate)
	if err != nil {
		return result, err
	}
	result.Name, result.Absent = estate.Name, !found
	if !found {
		if result.Name, err = im.nameOf(folder); err != nil {
			return result, err
		}
	}
	run := &run{Import: im, client: c, folder: folder, result: result}
	if im.DryRun {
		return result, run.dry(ctx)
	}
	if err := run.check(ctx); err != nil || len(result.Files) > 0 {
		return result, err
	}
	if err := run.found(ctx); err != nil {
		return result, err
	}
	return result, run.send(ctx)
}

func (im Import) nameOf(f *folder) (string, error) {
	for _, name := range []string{im.Name, f.estateName(), im.Folder} {
		if name != "" {
			return name, nil
		}
	}
	return "", errors.New("the server does not have this estate, and no paper says what it is called; say so with --name")
}

// client returns one for the server, once what it is given makes sense.
func (im Import) client() (*client, error) {
	if id, err := uuid.Parse(im.Estate); err != nil || id.String() != im.Estate {
		return nil, fmt.Errorf("%q is no id of an estate: it is a UUID in small letters, such as %s", im.Estate, uuid.New())
	}
	server, err := url.Parse(im.Server)
	if err != nil || server.Host == "" || server.Scheme != "http" && server.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a server, such as http://127.0.0.1:8080", im.Server)
	}
	c := &client{server: strings.TrimRight(im.Server, "/"), token: im.Token, http: im.HTTP, pause: pause.For}
	if c.http == nil {
		c.http = http.DefaultClient
	}
	return c, nil
}

// run is an import at work.
type run struct {
	Import
	client *client
	folder *folder
	result *Result
	noList bool // the unit list is wrong, so titles cannot be held against it
}

// upload sends a paper and adds what became of it to the result.
func (r *run) upload(ctx context.Context, p file, query url.Values) (File, error) {
	tell := func(done, total int) {
		if r.Progress != nil {
			r.Progress(p.name, done, total)
		}
	}
	tell(0, 0)
	report, err := r.client.paper(ctx, r.Estate, p, query, tell)
	if err != nil {
		return File{Name: p.name, kind: p.kind}, fmt.Errorf("%s: %w", p.name, err)
	}
	return File{Name: p.name, kind: p.kind, Report: report}, nil
}

// check has the papers looked at that are taken whole or not at all, before
// anything is sent: if one of them is wrong, nothing is changed. The result
// then holds their reports.
func (r *run) check(ctx context.Context) error {
	checked := map[string]File{}
	wrong := false
	for _, kind := range []string{units, titles} {
		p, ok := r.folder.find(kind)
		if !ok {
			continue
		}
		f, err := r.checked(ctx, p)
		if err != nil {
			return err
		}
		checked[kind] = f
		wrong = wrong || f.wrong()
	}
	if !wrong {
		return nil
	}
	for _, p := range r.folder.papers {
		f := checked[p.kind]
		if !f.wrong() {
			f = File{Name: p.name, kind: p.kind, NotSent: "nothing is sent while the unit list or the title list is wrong"}
		}
		r.result.Files = append(r.result.Files, f)
	}
	return nil
}

// checked has one paper looked at. Titles are held against the unit list that
// comes with them.
func (r *run) checked(ctx context.Context, p file) (File, error) {
	query := url.Values{"dry_run": {"true"}}
	list, announced := r.folder.find(units)
	if p.kind == titles && announced {
		query.Set("announced", "true")
	}
	f, err := r.upload(ctx, p, query)
	switch {
	case err != nil:
		return f, err
	case p.kind == units:
		r.noList = f.wrong()
	case p.kind == titles && announced && !r.noList:
		return f, r.announced(ctx, f.Report, p, list)
	}
	return f, nil
}

// announced adds to the report on a title list the rows whose unit neither the
// unit list nor the server has.
func (r *run) announced(ctx context.Context, report *paper.Report, p, list file) error {
	has := map[string]bool{"": true} // a blank one is reported already
	for _, code := range list.codes() {
		has[code] = true
	}
	named := p.codes()
	if !slices.ContainsFunc(slices.Collect(maps.Values(named)), func(code string) bool { return !has[code] }) {
		return nil
	}
	if err := r.unitsOf(ctx, has); err != nil {
		return err
	}
	for _, row := range slices.Sorted(maps.Keys(named)) {
		if !has[named[row]] {
			report.Errors = append(report.Errors, paper.RowError{
				Row: row, Column: codeColumn[0].Name, Code: "no-such-unit", Reason: "the unit list has no unit “" + named[row] + "”",
			})
			report.Mistakes, report.Rejected, report.Code = report.Mistakes+1, report.Rejected+1, paper.RowsWrong
		}
	}
	slices.SortStableFunc(report.Errors, func(a, b paper.RowError) int { return cmp.Compare(a.Row, b.Row) })
	return nil
}

// unitsOf adds the codes of the units that the server has.
func (r *run) unitsOf(ctx context.Context, has map[string]bool) error {
	const page = 1000
	for after := ""; ; {
		var list struct {
			Items []struct {
				Code string `json:"code"`
			} `json:"items"`
		}
		query := url.Values{"limit": {strconv.Itoa(page)}, "after": {after}}
		found, err := r.client.get(ctx, "/estates/"+r.Estate+"/units?"+query.Encode(), &list)
		if err != nil || !found {
			return err
		}
		for _, u := range list.Items {
			has[u.Code], after = true, u.Code
		}
		if len(list.Items) < page {
			return nil
		}
	}
}

// dry has every paper looked at, but for those that are held against others
// which are not recorded yet.
func (r *run) dry(ctx context.Context) error {
	for _, p := range r.folder.papers {
		f := File{Name: p.name, kind: p.kind, NotSent: "it is held against papers that are not in the ledger yet"}
		if !r.result.Absent || !p.against {
			checked, err := r.checked(ctx, p)
			if refused, ok := errors.AsType[*problem.Error](err); ok && (refused.Status == http.StatusNotFound || refused.Status == http.StatusConflict) {
				checked, err = f, nil
			}
			if err != nil {
				return err
			}
			f = checked
		}
		r.result.Files = append(r.result.Files, f)
	}
	return nil
}

// found makes the estate known, if it is not.
func (r *run) found(ctx context.Context) error {
	if !r.result.Absent {
		return nil
	}
	_, err := r.client.command(ctx, "/estates", "found-"+r.Estate, map[string]string{"id": r.Estate, "name": r.result.Name})
	if err != nil {
		return fmt.Errorf("the estate cannot be founded: %w", err)
	}
	r.result.Founded, r.result.Absent = true, false
	return nil
}

// send sends every paper, and has posted what follows from them.
func (r *run) send(ctx context.Context) error {
	for _, p := range r.folder.papers {
		if missing := r.missing(p); missing != "" {
			r.result.Files = append(r.result.Files, File{Name: p.name, kind: p.kind, NotSent: "it builds on " + missing + ", which was not taken"})
			continue
		}
		query := url.Values{}
		if p.kind == ballots {
			if id, err := r.meeting(ctx); err != nil {
				return err
			} else if id != "" {
				query.Set("meeting", id)
			}
		}
		f, err := r.upload(ctx, p, query)
		if err != nil {
			return err
		}
		r.result.Files = append(r.result.Files, f)
	}
	return r.post(ctx)
}

// missing names a paper that was not taken and that this one builds on.
func (r *run) missing(p file) string {
	for _, kind := range p.needs {
		if f, ok := r.result.file(kind); ok && !f.whole() {
			return f.Name
		}
	}
	return ""
}

// meeting finds the meeting that the folder's ballots belong to, by the title
// on its paper. "" leaves it to the server.
func (r *run) meeting(ctx context.Context) (id string, err error) {
	title := r.folder.document(meeting).Title
	if title == "" {
		return "", nil
	}
	var list struct {
		Items []struct {
			ID, Title string
			Past      bool
		} `json:"items"`
	}
	if _, err := r.client.get(ctx, "/estates/"+r.Estate+"/meetings", &list); err != nil {
		return "", err
	}
	for _, m := range list.Items {
		if !m.Past || m.Title != title {
			continue
		}
		if id != "" {
			return "", nil // two of this title: the ballots' times tell
		}
		id = m.ID
	}
	return id, nil
}

// post has bills raised, and totals of payments posted, where papers say what
// they come from. Each run asks anew: the server knows what there is to do.
func (r *run) post(ctx context.Context) error {
	took := func(kinds ...string) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { f, ok := r.result.file(kind); return ok && f.whole() })
	}
	for _, step := range []struct {
		path, words string
		from        []string
	}{
		{"bills", "bills", []string{units, agreement, budget}},
		{"collections", "totals of payments", []string{payments, agreement, budget}},
	} {
		if !took(step.from...) {
			continue
		}
		done, err := r.client.command(ctx, "/estates/"+r.Estate+"/"+step.path, "import-"+uuid.NewString(), struct{}{})
		if err != nil {
			return fmt.Errorf("%s cannot be posted: %w", step.words, err)
		}
		if done.State == "recorded" {
			r.result.Posted = append(r.result.Posted, step.words)
		}
	}
	return nil
}
