package facts

import (
	"sort"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Answer is what is found of one decision.
type Answer int

// Answers, the best first.
const (
	Right  Answer = iota
	Unseen        // right by what was known before, and what changed it was recorded long enough ago
	Wrong
)

// Known is one thing of another stream, as it was at every position: a command is
// decided by what its service had read by then. The zero value was never set.
//
// It keeps what it was before for as long as it is asked; what changes with every
// ballot or payment does not belong in one.
type Known[T any] struct{ versions []version[T] }

type version[T any] struct {
	at      es.Position
	created time.Time
	value   T
}

// Set says what it is from a commit on.
func (k *Known[T]) Set(c *Commit, v T) {
	k.versions = append(k.versions, version[T]{c.Position(), c.Created(), v})
}

// Now is what it is by all that was recorded so far.
func (k *Known[T]) Now() (v T) {
	if n := len(k.versions); n > 0 {
		v = k.versions[n-1].value
	}
	return v
}

// At is what it was at a position.
func (k *Known[T]) At(p es.Position) (v T) {
	if i := k.since(p); i >= 0 {
		v = k.versions[i].value
	}
	return v
}

// SetAt says when it was set at a position, and whether it was.
func (k *Known[T]) SetAt(p es.Position) (time.Time, bool) {
	if i := k.since(p); i >= 0 && k.versions[i].at == p {
		return k.versions[i].created, true
	}
	return time.Time{}, false
}

// Before is what it was by all that was recorded before an instant, and where and
// when that was set.
func (k *Known[T]) Before(t time.Time) (v T, at Moment) {
	for _, version := range k.versions {
		if !version.created.Before(t) {
			break
		}
		v, at = version.value, Moment{version.at, version.created}
	}
	return v, at
}

// Changed says whether it was set after one position, and at or before another.
func (k *Known[T]) Changed(after, until es.Position) bool { return k.since(after) < k.since(until) }

// since returns the version in force at a position, -1 where there was none.
func (k *Known[T]) since(p es.Position) int {
	if n := len(k.versions); n == 0 || k.versions[n-1].at <= p {
		return n - 1
	}
	return sort.Search(len(k.versions), func(i int) bool { return k.versions[i].at > p }) - 1
}

// Ask says whether something holds by what the decider of a commit may have known:
// all that was recorded up to what it had seen, and anything of what came after.
func (k *Known[T]) Ask(c *Commit, holds func(T) bool) Answer {
	if holds(k.Now()) {
		return Right
	}
	return k.before(c, holds)
}

// before asks what it was before, back to what had been seen.
func (k *Known[T]) before(c *Commit, holds func(T) bool) Answer {
	seen := k.since(c.Meta().Seen)
	for i := len(k.versions) - 2; i >= seen; i-- {
		var v T // before it was set for the first time
		if i >= 0 {
			v = k.versions[i].value
		}
		switch {
		case !holds(v):
		case c.Created().Sub(k.versions[i+1].created) > Slack:
			return Unseen
		default:
			return Right
		}
	}
	return Wrong
}

// Changes are where something changed that is worked out of many things.
type Changes []Moment

// Moment is where a commit stands.
type Moment struct {
	At      es.Position
	Created time.Time
}

// Note notes that a commit changes it.
func (h *Changes) Note(c *Commit) { *h = append(*h, Moment{c.Position(), c.Created()}) }

// Ask is Known.Ask where what holds is worked out as of a position. It returns the
// error by all that was recorded so far.
func (h Changes) Ask(c *Commit, holds func(es.Position) error) (Answer, error) {
	first := holds(c.Position())
	if first == nil {
		return Right, nil
	}
	for i := len(h) - 1; i >= 0 && h[i].At > c.Meta().Seen; i-- {
		before := es.Position(0)
		if i > 0 {
			before = h[i-1].At
		}
		if holds(max(before, c.Meta().Seen)) != nil {
			continue
		}
		if c.Created().Sub(h[i].Created) > Slack {
			return Unseen, first
		}
		return Right, nil
	}
	return Wrong, first
}
