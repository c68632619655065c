package paper

import (
	"cmp"
	"slices"
	"sync"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Listed is how many mistakes a report lists one by one.
const Listed = 1000

// Report says what became of a paper. Its counting methods may be called by
// several goroutines at a time.
type Report struct {
	File      string         `json:"file" doc:"name of the file"`
	Kind      string         `json:"kind" doc:"kind of paper, e.g. units"`
	Rows      int            `json:"rows" doc:"rows below the headings that are not blank"`
	Recorded  int            `json:"recorded" doc:"rows that led to an event"`
	Unchanged int            `json:"unchanged" doc:"rows that the ledger held already"`
	Rejected  int            `json:"rejected" doc:"rows that are wrong"`
	Refused   map[string]int `json:"refused,omitempty" doc:"rows refused by a rule, by reason: recorded too, and no mistake of the paper"`
	Errors    []RowError     `json:"errors" doc:"what is wrong, by row; the first 1000"`
	Mistakes  int            `json:"mistakes" doc:"how many there are in all"`
	Unknown   []string       `json:"unknown_headings,omitempty" doc:"headings that were left alone"`
	Position  es.Position    `json:"position,omitempty" doc:"place in the ledger of the last event, for Yimu-Position"`
	Code      string         `json:"code,omitempty" doc:"rows-wrong where the paper was refused whole and nothing was changed"`
	DryRun    bool           `json:"dry_run,omitempty" doc:"the paper was only checked"`
	Done      bool           `json:"done" doc:"every row was dealt with"`

	mu sync.Mutex
}

// RowsWrong is the code of a report on a paper that was refused whole.
const RowsWrong = "rows-wrong"

// NewReport starts the report on a sheet; kind is the paper's, e.g. "units".
func NewReport(kind string, sheet *Sheet) *Report {
	return &Report{Kind: kind, File: sheet.File, Rows: len(sheet.Rows), Unknown: sheet.Unknown, Errors: []RowError{}}
}

// Record counts a row that led to an event and keeps the latest position.
func (r *Report) Record(at es.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Recorded++
	r.Position = max(r.Position, at)
}

// Same counts a row that the ledger held already, as of a position (0: unknown).
func (r *Report) Same(at es.Position) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Unchanged++
	r.Position = max(r.Position, at)
}

// Refuse counts a row that a rule refused. It counts as recorded elsewhere:
// call Record or Same too.
func (r *Report) Refuse(reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Refused == nil {
		r.Refused = map[string]int{}
	}
	r.Refused[reason]++
}

// Reject counts a wrong row and lists what is wrong with it.
func (r *Report) Reject(row *Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Rejected++
	r.Errors = append(r.Errors, row.Errors()...)
}

// Check rejects every wrong row of a sheet and returns the others.
func (r *Report) Check(sheet *Sheet) (right []*Row) {
	for _, row := range sheet.Rows {
		if row.OK() {
			right = append(right, row)
		} else {
			r.Reject(row)
		}
	}
	return right
}

// Whole refuses the paper as a whole if any of its rows is wrong, and tells so.
func (r *Report) Whole() (refused bool) {
	if len(r.Errors) > 0 {
		r.Code = RowsWrong
	}
	return r.Code != ""
}

// finish orders the mistakes by row and cuts the list.
func (r *Report) finish() {
	slices.SortStableFunc(r.Errors, func(a, b RowError) int { return cmp.Compare(a.Row, b.Row) })
	r.Mistakes = len(r.Errors)
	r.Errors = r.Errors[:min(len(r.Errors), Listed)]
	r.Done = r.Code == ""
}

// Status is the HTTP status that goes with the report: 422 where the paper was
// refused whole, else 200.
func (r *Report) Status() int {
	if r.Code != "" {
		return 422
	}
	return 200
}
