// Package lookback answers public queries as of a position of the ledger: what
// anyone would have been told then, worked out anew from the events up to there.
package lookback

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
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
		problem.Field{Name: "at", Detail: "is beyond what was read of the ledger"})
	errBusy = problem.Unavailable("too-many-look-back", "too many are looking back; repeat in a moment")
)

// At returns what answers as of a position, which is the one returned: for 0 the
// read model of now, else that of the past, which is a subject's alone. release
// must be called when the answer is made.
func At[B any](ctx context.Context, live service.Follower, now B, past *readmodel.Past[B], subject string, at es.Position,
	concerns func(first es.Recorded) bool) (model B, position es.Position, release func(), err error) {
	reached := live.Position()
	switch {
	case at == 0:
		return now, reached, func() {}, nil
	case at > reached:
		return now, 0, nil, errAhead
	}
	model, release, err = past.At(ctx, subject, at, concerns)
	if errors.Is(err, readmodel.ErrBusy) {
		err = errBusy
	}
	return model, at, release, err
}

// OfEstate says whether a stream is an estate's: its name or its first event
// names it.
func OfEstate(estate string) func(first es.Recorded) bool {
	quoted := []byte(`"` + estate + `"`)
	return func(first es.Recorded) bool {
		return strings.Contains(first.Stream, estate) || bytes.Contains(first.Data, quoted)
	}
}
