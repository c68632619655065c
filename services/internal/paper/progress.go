package paper

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// NDJSON is the media type of an answer that tells how far the work is: a line
// {"done","total"} now and then, and last {"status","report"} or
// {"status","problem"}, with the HTTP status the answer would have had.
const NDJSON = "application/x-ndjson"

// between is the least time between two lines of progress.
const between = 100 * time.Millisecond

// Progress tells a client how far the work is. A nil Progress tells nobody.
type Progress struct {
	mu          sync.Mutex
	to          io.Writer
	flush       func()
	clock       func() time.Time
	done, total int
	told        time.Time
}

// Start says how many rows there are.
func (p *Progress) Start(total int) {
	p.tell(func() { p.done, p.total, p.told = 0, total, time.Time{} })
}

// Step says that one more row is done.
func (p *Progress) Step() { p.tell(func() { p.done++ }) }

func (p *Progress) tell(change func()) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	if now := p.clock(); now.Sub(p.told) >= between {
		p.told = now
		p.line(map[string]int{"done": p.done, "total": p.total})
	}
}

// line writes one line. A client that went away does not stop the work.
func (p *Progress) line(v any) {
	_ = json.NewEncoder(p.to).Encode(v)
	p.flush()
}

// Upload is a paper on its way in: what its operation embeds in its input.
// The operation sets MaxBodyBytes to [MaxFile].
type Upload struct {
	Name    string `header:"Yimu-File-Name" maxLength:"1000" doc:"Name of the file, for the report; percent-encoded"`
	Accept  string `header:"Accept" doc:"application/x-ndjson to be told how far the work is"`
	DryRun  bool   `query:"dry_run" doc:"Only check the paper"`
	RawBody []byte
}

// FileName returns the name of the file as a person wrote it, without its folder.
func (u *Upload) FileName() string {
	name, err := url.PathUnescape(u.Name)
	if err != nil {
		name = u.Name
	}
	return shorten(path.Base(strings.ReplaceAll(name, `\`, "/")), 120)
}

// Answer runs the work on an upload and answers with its report: as one JSON
// document, or line by line where the client accepts [NDJSON]. A [FileError]
// becomes the report of a paper refused whole, its row 0 being the file itself. Other errors become problem
// documents, and those no caller may see are logged.
func (u *Upload) Answer(kind string, clock func() time.Time, log *slog.Logger, work func(context.Context, *Progress) (*Report, error)) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		ctx, w := hc.Context(), hc.BodyWriter()
		finish := func(p *Progress) (report *Report, failed *problem.Error) {
			report, err := work(ctx, p)
			if unreadable, ok := errors.AsType[*FileError](err); ok {
				report, err = u.refused(kind, unreadable), nil
			}
			if errors.Is(err, es.ErrPending) {
				return nil, errPending
			}
			if err != nil {
				failed, seen := problem.From(err)
				if !seen {
					log.ErrorContext(ctx, "paper failed", slog.String("kind", kind), slog.Any("error", err))
				}
				return nil, failed
			}
			report.DryRun = u.DryRun
			report.finish()
			return report, nil
		}
		if !strings.Contains(u.Accept, NDJSON) {
			report, failed := finish(nil)
			if failed != nil {
				writeProblem(hc, failed)
				return
			}
			hc.SetHeader("Content-Type", "application/json")
			hc.SetStatus(report.Status())
			_ = json.NewEncoder(w).Encode(report)
			return
		}
		hc.SetHeader("Content-Type", NDJSON)
		hc.SetStatus(http.StatusOK)
		p := &Progress{to: w, clock: clock, flush: func() {
			if rw, ok := w.(http.ResponseWriter); ok {
				_ = http.NewResponseController(rw).Flush()
			}
		}}
		if report, failed := finish(p); failed != nil {
			p.line(last{Status: failed.Status, Problem: failed})
		} else {
			p.line(last{Status: report.Status(), Report: report})
		}
	}}
}

func writeProblem(hc huma.Context, p *problem.Error) {
	for name, values := range p.GetHeaders() {
		hc.SetHeader(name, values[0])
	}
	hc.SetHeader("Content-Type", problem.ContentType)
	hc.SetStatus(p.Status)
	_ = json.NewEncoder(hc.BodyWriter()).Encode(p) // whoever went away needs no answer
}

// errPending says that some row may or may not have been recorded. What was is
// found again, so the paper is simply sent again.
var errPending = problem.Unavailable("pending", "the ledger has not answered for every row yet; import the paper again, nothing is recorded twice")

// last is the last line of an [NDJSON] answer.
type last struct {
	Status  int            `json:"status"`
	Report  *Report        `json:"report,omitempty"`
	Problem *problem.Error `json:"problem,omitempty"`
}

// refused is the report on a paper that could not be read.
func (u *Upload) refused(kind string, e *FileError) *Report {
	r := NewReport(kind, &Sheet{File: u.FileName()})
	r.Code = RowsWrong
	r.Errors = append(r.Errors, RowError{Column: e.Column, Code: e.Code, Reason: e.Reason})
	return r
}
