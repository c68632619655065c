// Package lookback answers public queries as of a position of the ledger: what
// anyone would have been told then, worked out anew from the events up to there.
package lookback

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
)

// AtIn is embedded in the input of a query that can look back.
type AtIn struct {
	At es.Position `query:"at" doc:"Answer as of this position of the ledger, and not as of now"`
}

// Refusals.
var (
	errAhead = problem.Invalid("position-ahead", "the ledger has not got to this position yet",
		problem.Field{Name: "at", Code: "not-recorded-yet", Detail: "is beyond what was read of the ledger"})
	errBusy = problem.Unavailable("too-many-look-back", "too many are looking back; repeat in a moment")
)

// View is what a query is answered from.
type View[B any] struct {
	Tables   B
	Position es.Position // up to where the ledger was read for them
	Then     time.Time   // when the last event of the past was recorded; zero: it is now
	Release  func()      // must be called when the answer is made
}

// At returns what answers as of a position: for 0 the read model of now, else
// that of the past, which is a subject's alone.
func At[B any](ctx context.Context, live service.Follower, now B, past *readmodel.Past[B], subject string, at es.Position,
	concerns func(first es.Recorded) bool) (View[B], error) {
	reached := live.Position()
	switch {
	case at == 0:
		return View[B]{Tables: now, Position: reached, Release: func() {}}, nil
	case at > reached:
		return View[B]{}, errAhead
	}
	m, err := past.At(ctx, subject, at, concerns)
	if errors.Is(err, readmodel.ErrBusy) {
		err = errBusy
	}
	return View[B]{m.Model, at, m.Recorded, m.Release}, err
}

// Bound is embedded in the answer of a figure: what of the ledger it is derived from.
type Bound struct {
	Position es.Position   `json:"position" doc:"Up to where the ledger was read for these figures"`
	Log      *proof.Signed `json:"log,omitempty" doc:"How far the transparency log had signed the ledger when this was answered. Where it covers less than these figures rest on, ask again in a second"`
}

// Bind binds a figure to what it is derived from.
func Bind(deps service.Deps, position es.Position) Bound {
	b := Bound{Position: position}
	if deps.Signed != nil {
		if signed := deps.Signed(); signed.Checkpoint != "" {
			b.Log = &signed
		}
	}
	return b
}

// OfEstate says whether a stream is an estate's: its name or its first event
// names it.
func OfEstate(estate string) func(first es.Recorded) bool {
	quoted := []byte(`"` + estate + `"`)
	return func(first es.Recorded) bool {
		return strings.Contains(first.Stream, estate) || bytes.Contains(first.Data, quoted)
	}
}
