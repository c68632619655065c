package lookback

import (
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
)

// shared are the streams that are of no estate, and that each needs: who may do
// what rests on people and tokens, and the ledger says what was refused.
var shared = []string{registry.PersonStream, registry.TokenStream, ledger.RefusedStream, ledger.ReactionStream}

// Streams tells the streams that one estate can be checked by from others. A stream
// is the estate's if its name or its first event names the estate, or if its name
// begins with the id of something of the estate, as a ballot's with its meeting's.
// Some belong to all.
type Streams struct {
	named func(first es.Recorded) bool
	ours  map[string]bool
	ids   map[string]bool // of what is the estate's
}

// NewStreams returns the streams of one estate, by its id.
func NewStreams(estate string) *Streams {
	return &Streams{OfEstate(estate), map[string]bool{}, map[string]bool{}}
}

// Has says whether an event is in one of them. It must be told all events, in the
// ledger's order.
func (s *Streams) Has(e es.Recorded) bool {
	if e.Revision > 0 || s.ours[e.Stream] {
		return s.ours[e.Stream]
	}
	if slices.ContainsFunc(shared, func(p string) bool { return strings.HasPrefix(e.Stream, p) }) {
		s.ours[e.Stream] = true
		return true
	}
	id := firstID(e.Stream)
	if !s.ids[id] && !s.named(e) {
		return false
	}
	s.ours[e.Stream] = true
	if id != "" {
		s.ids[id] = true
	}
	return true
}

// firstID is the id that follows the category in a stream's name, "" where there
// is none.
func firstID(stream string) string {
	const length = len("00000000-0000-4000-8000-000000000000")
	_, rest, _ := strings.Cut(stream, "-")
	if len(rest) < length || len(rest) > length && rest[length] != '-' {
		return ""
	}
	return rest[:length]
}
