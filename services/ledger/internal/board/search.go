package board

import (
	"context"
	"database/sql"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// Entry is what the trail can be searched by of one event.
type Entry struct {
	Leaf     uint64      `json:"leaf" doc:"its number in the transparency log, from 0"`
	Position es.Position `json:"position" doc:"its place in the one order of all events"`
	Stream   string      `json:"stream"`
	Revision uint64      `json:"revision"`
	ID       uuid.UUID   `json:"id"`
	Type     string      `json:"type"`
	Estate   string      `json:"estate,omitempty" doc:"the estate it belongs to: named by itself, by the first event of its stream, or by that of the meeting or agreement it is about"`
	About    string      `json:"about,omitempty" doc:"stream of the meeting or agreement it is about, where it is not in that stream itself"`
	Actor    string      `json:"actor" doc:"who asked: id of a person, token:…, reaction:…"`
	Happened time.Time   `json:"happened,omitzero" doc:"when it happened"`
	Recorded time.Time   `json:"recorded" doc:"when the ledger recorded it"`
	Cause    uuid.UUID   `json:"cause,omitzero" doc:"id of the event that led to it"`
}

func (r row) read() (Entry, error) {
	e := Entry{
		Leaf: uint64(r.leaf), Position: es.Position(r.position), Stream: r.stream, Revision: uint64(r.revision), Type: r.kind,
		Estate: r.estate, About: r.about, Actor: r.actor, Recorded: time.UnixMicro(r.recorded).UTC(),
	}
	if r.happened != 0 {
		e.Happened = time.UnixMicro(r.happened).UTC()
	}
	var err error
	if r.cause != "" {
		if e.Cause, err = uuid.Parse(r.cause); err != nil {
			return e, err
		}
	}
	e.ID, err = uuid.Parse(r.event)
	return e, err
}

// entries reads the entries of a query; with is what stands before it.
func entries(ctx context.Context, q readmodel.Querier, with, from string, args ...any) ([]Entry, error) {
	list := []Entry{}
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var r row
		if err := rows.Scan(r.fields()...); err != nil {
			return err
		}
		e, err := r.read()
		list = append(list, e)
		return err
	}, with+"SELECT "+strings.Join(trail.Columns, ", ")+" "+from, args...)
	return list, err
}

// Search says which events are wanted; what is empty does not matter.
type Search struct {
	Event                              uuid.UUID
	Estate, Stream, Type, Actor, About string
	Happened, Recorded                 Span
	Before                             uint64 // leaf: only those before it; 0: from the end
	Limit                              int
}

// Span is from one time until just before another; a zero one is open.
type Span struct{ Since, Until time.Time }

// Page is what was found, the latest first.
type Page struct {
	Entries []Entry
	Next    uint64 // leaf to go on with as Before; 0: nothing is left
}

// examined is how many rows a search looks at, at most. Where it has found less
// than its limit by then, the page is short and Next says where to go on.
var examined = 20_000 // changed by tests alone

// Search finds events.
func (b *Board) Search(ctx context.Context, s Search) (p Page, err error) {
	err = b.db.View(ctx, func(tx *readmodel.Tx) error { return p.search(ctx, tx, s) })
	return p, err
}

// search walks back along the index of the one condition that should leave the
// least, over as many rows as may be examined, and holds these against the others.
func (p *Page) search(ctx context.Context, tx *readmodel.Tx, s Search) error {
	var first, rest condition
	into := &first
	if s.Event != uuid.Nil {
		into.and("event = ?", s.Event.String())
		into = &rest
	}
	for _, c := range []struct{ column, is, index string }{
		{"stream", s.Stream, ""}, {"about", s.About, " AND about <> ''"}, {"actor", s.Actor, ""}, {"estate", s.Estate, " AND estate <> ''"}, {"type", s.Type, ""},
	} {
		if c.is != "" {
			into.and(c.column+" = ?"+c.index, c.is)
			into = &rest
		}
	}
	if s.Before != 0 {
		first.and("leaf < ?", int64(min(s.Before, math.MaxInt64)))
	}
	// Leaves grow with the times of recording, all but a little.
	if t := s.Recorded.Until; !t.IsZero() {
		end, err := leavesUntil(ctx, tx, "recorded", t.Add(drift).UnixMicro())
		if err != nil {
			return err
		}
		first.and("leaf < ?", end)
		rest.and("recorded < ?", t.UnixMicro())
	}
	if t := s.Recorded.Since; !t.IsZero() {
		begin, err := leavesUntil(ctx, tx, "recorded", t.Add(-drift).UnixMicro())
		if err != nil {
			return err
		}
		first.and("leaf >= ?", begin)
		rest.and("recorded >= ?", t.UnixMicro())
	}
	if t := s.Happened.Until; !t.IsZero() {
		rest.and("happened < ?", t.UnixMicro())
	}
	if t := s.Happened.Since; !t.IsZero() {
		rest.and("happened >= ?", t.UnixMicro())
	}
	walked := " FROM trail" + first.where() + " ORDER BY leaf DESC LIMIT ?"
	args := append(slices.Clone(first.args), examined)
	list, err := entries(ctx, tx, "", "FROM (SELECT *"+walked+") AS walked"+rest.where()+" ORDER BY leaf DESC LIMIT ?",
		slices.Concat(args, rest.args, []any{s.Limit + 1})...)
	if err != nil {
		return err
	}
	if p.Entries = list; len(list) > s.Limit {
		p.Entries = list[:s.Limit]
		p.Next = p.Entries[s.Limit-1].Leaf
		return nil
	}
	var n int
	var lowest uint64
	err = tx.QueryRow(ctx, "SELECT COUNT(*), COALESCE(MIN(leaf), 0) FROM (SELECT leaf"+walked+") AS walked", args...).Scan(&n, &lowest)
	if n == examined {
		p.Next = lowest
	}
	return err
}

// condition is what rows must meet.
type condition struct {
	all  []string
	args []any
}

func (c *condition) and(what string, arg any) {
	c.all, c.args = append(c.all, what), append(c.args, arg)
}

func (c *condition) where() string {
	if len(c.all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.all, " AND ")
}

// Links is how a stream hangs together with others.
type Links struct {
	Entries []Entry // of other streams, in their order: what led to its events, and what these led to
	More    bool    // there are more than are listed
	About   []Kind  // events of other streams about this meeting or agreement
}

// Kind is how many events there are of a type.
type Kind struct {
	Type  string `json:"type"`
	Count int64  `json:"count"`
}

const (
	mostLinks = 200 // that are listed
	deepest   = "8" // from cause to cause
)

// chains names what led to the events of a stream, and what these led to.
const chains = `WITH RECURSIVE
	up (id, cause, steps) AS (
		SELECT event, cause, 0 FROM (SELECT event, cause FROM trail WHERE stream = ? AND cause <> '' ORDER BY revision DESC LIMIT ?) AS own
		UNION SELECT t.event, t.cause, steps + 1 FROM up JOIN trail AS t ON t.event = up.cause WHERE steps < ` + deepest + `),
	down (id, steps) AS (
		SELECT event, 0 FROM (SELECT event FROM trail WHERE stream = ? ORDER BY revision DESC LIMIT ?) AS own
		UNION SELECT t.event, steps + 1 FROM down JOIN trail AS t ON t.cause = down.id WHERE t.cause <> '' AND steps < ` + deepest + `)
`

// Links follows causes and effects from the latest events of a stream, 20,000 at
// most, to other streams, and from there on.
func (b *Board) Links(ctx context.Context, stream string) (l Links, err error) {
	l.Entries, err = entries(ctx, b.db, chains, `FROM trail WHERE stream <> ? AND event IN (SELECT id FROM up UNION SELECT id FROM down) ORDER BY leaf LIMIT ?`,
		stream, examined, stream, examined, stream, mostLinks+1)
	if err != nil {
		return l, err
	}
	if l.More = len(l.Entries) > mostLinks; l.More {
		l.Entries = l.Entries[:mostLinks]
	}
	l.About = []Kind{}
	return l, readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var k Kind
		err := rows.Scan(&k.Type, &k.Count)
		l.About = append(l.About, k)
		return err
	}, `SELECT type, COUNT(*) FROM trail WHERE about = ? AND about <> '' GROUP BY type ORDER BY type`, stream)
}
