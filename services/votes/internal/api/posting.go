package api

import (
	"bytes"
	"context"
	"errors"
	"math"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/internal/posting"
)

// PDF is a document to print.
type PDF struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition"`
	Body               []byte
}

// printing is how many results are set in type at a time: that of a large estate
// takes seconds.
var printing = make(chan struct{}, 2)

var errPrinting = problem.Unavailable("too-many-print", "too many results are being printed; repeat in a moment")

// resultPDF sets the result in type as it hangs on the notice board.
func (a *API) resultPDF(ctx context.Context, in *MeetingAtIn) (*PDF, error) {
	view, m, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	if !m.Countable() {
		return nil, ErrNotCounted
	}
	select {
	case printing <- struct{}{}:
		defer func() { <-printing }()
	default:
		return nil, errPrinting
	}
	r := posting.Result{Meeting: m, Rules: a.rulesOf(m), Made: a.now(view), Bound: lookback.Bind(a.Deps, view.Position)}
	if r.Results, err = view.Tables.Results(ctx, in.Meeting); err != nil {
		return nil, err
	}
	if r.Objections, err = view.Tables.Objections(ctx, in.Meeting); err != nil {
		return nil, err
	}
	entries, err := view.Tables.Roll(ctx, in.Meeting, 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	r.Votes = func(yield func(posting.Vote, error) bool) { eachVote(ctx, view.Tables, m, entries, yield) }
	var b bytes.Buffer
	if err := posting.Write(&b, r); err != nil {
		return nil, err
	}
	return &PDF{"application/pdf", `inline; filename="result-` + in.Meeting + `.pdf"`, b.Bytes()}, nil
}

// errEnough ends the reading of ballots where nobody wants more.
var errEnough = errors.New("enough")

// eachVote calls yield with what counts of each ballot.
func eachVote(ctx context.Context, t *board.Tables, m meeting.Meeting, entries []votes.Entry, yield func(posting.Vote, error) bool) {
	numbered := map[string]votes.Entry{}
	for _, e := range entries {
		numbered[e.Entry] = e
	}
	err := t.EachHead(ctx, m, func(head []board.Ballot) error {
		for _, b := range head {
			if b.Taken == nil {
				continue
			}
			e := numbered[b.Entry]
			v := posting.Vote{Entry: b.Entry, Units: e.Units, Area: e.Area, Channel: b.Taken.Channel}
			_, _, said, _ := shown(b)
			for _, c := range said {
				if c.Reason == "" {
					v.Choices = append(v.Choices, c.Choice)
				}
			}
			if len(v.Choices) > 0 && !yield(v, nil) {
				return errEnough
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		yield(posting.Vote{}, err)
	}
}
