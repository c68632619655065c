package board

import (
	"cmp"
	"context"
	"database/sql"
	"iter"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

var deliveryTable = readmodel.Table{Name: "delivery", Key: []string{"meeting", "entry", "revision"},
	Columns: []string{"meeting", "entry", "revision", "kind", "event"}}

// Kinds of rows in the table delivery.
const (
	kindDelivered = "delivered"
	kindFailed    = "failed"
)

// deliveryKinds are the events of deliveries by their stored names.
var deliveryKinds = map[string]string{"notice-delivered.v1": kindDelivered, "delivery-failed.v1": kindFailed}

// delivery keeps how a notice reached an owner, as it was recorded.
func (f *folding) delivery(r es.Recorded, kind string) error {
	id, number, err := head(r.Stream)
	if err != nil {
		return err
	}
	entry, err := strconv.Atoi(number)
	f.deliveries = append(f.deliveries, []any{id, entry, int64(r.Revision), kind, r.Data})
	return err
}

// tried returns what is recorded of each entry that it was tried to reach.
func tried(ctx context.Context, q readmodel.Querier, id string) (map[int]meeting.Ballots, error) {
	states := map[int]meeting.Ballots{}
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var entry int
		var kind string
		var text []byte
		if err := rows.Scan(&entry, &kind, &text); err != nil {
			return err
		}
		read := decode[votes.NoticeDelivered]
		if kind == kindFailed {
			read = decode[votes.DeliveryFailed]
		}
		event, err := read(text)
		if err == nil {
			states[entry] = meeting.EvolveBallots(states[entry], event)
		}
		return err
	}, `SELECT entry, kind, event FROM delivery WHERE meeting = ? ORDER BY entry, revision`, id)
	return states, err
}

// reached returns by entry how the notice reached it before voting closed, for
// the count. Entries that it did not reach are missing.
func reached(ctx context.Context, q readmodel.Querier, m meeting.Meeting) (map[string]meeting.Reached, error) {
	states, err := tried(ctx, q, m.Meeting)
	all := make(map[string]meeting.Reached, len(states))
	for entry, b := range states {
		if r := m.Reached(b, m.Notice.Closes); r.Channel != "" {
			all[strconv.Itoa(entry)] = r
		}
	}
	return all, err
}

// Told is what is recorded of how the owner of an entry was told. Of the entry
// there are number, area and buildings.
type Told struct {
	votes.Entry
	Reached meeting.Reached
	Failed  []votes.DeliveryFailed
}

// Building is how far the owners of one building were told. A head with units in
// several is in each of them.
type Building struct {
	Building string `json:"building"`
	meeting.Telling
}

// Telling returns how far the owners of a meeting were told by an instant, in
// all, by building, and, where each is given, entry by entry in their order.
func (b *Tables) Telling(ctx context.Context, m meeting.Meeting, by time.Time, each func(Told) error) (all meeting.Telling, buildings []Building, err error) {
	err = b.db.View(ctx, func(tx *readmodel.Tx) error {
		entries, err := weightsOf(ctx, tx, m.Meeting)
		if err == nil {
			all, buildings, err = telling(ctx, tx, m, by, slices.All(entries), each)
		}
		return err
	})
	return all, buildings, err
}

// Telling is that of [Tables], and does not read a roll that is in memory.
func (b *Board) Telling(ctx context.Context, m meeting.Meeting, by time.Time, each func(Told) error) (meeting.Telling, []Building, error) {
	if r := b.keptRoll(m); r != nil {
		return telling(ctx, b.db, m, by, r.all, each)
	}
	return b.Tables.Telling(ctx, m, by, each)
}

func telling(ctx context.Context, q readmodel.Querier, m meeting.Meeting, by time.Time, entries iter.Seq2[int, votes.Entry], each func(Told) error) (all meeting.Telling, buildings []Building, err error) {
	states, err := tried(ctx, q, m.Meeting)
	if err != nil {
		return all, nil, err
	}
	index := map[string]int{}
	for i, e := range entries {
		state := states[i+1]
		told := Told{e, all.Add(m, e, state, by), state.Failed}
		for _, name := range e.Buildings {
			at, known := index[name]
			if !known {
				at = len(buildings)
				index[name], buildings = at, append(buildings, Building{Building: name})
			}
			buildings[at].Add(m, e, state, by)
		}
		if each != nil {
			if err := each(told); err != nil {
				return all, nil, err
			}
		}
	}
	slices.SortFunc(buildings, func(a, b Building) int { // 2 before 10
		return cmp.Or(cmp.Compare(len(a.Building), len(b.Building)), cmp.Compare(a.Building, b.Building))
	})
	return all, buildings, nil
}

// Representatives returns who votes for each entry that a person votes for, by
// number.
func (b *Tables) Representatives(ctx context.Context, id string) (map[int]string, error) {
	people := map[int]string{}
	err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var person, entry string
		if err := rows.Scan(&person, &entry); err != nil {
			return err
		}
		number, err := strconv.Atoi(entry)
		people[number] = person
		return err
	}, `SELECT person, entry FROM voter WHERE meeting = ? AND entry <> ''`, id)
	return people, err
}

// Houses returns the entry of each unit on a meeting's roll, by code.
func (b *Tables) Houses(ctx context.Context, id string) (map[string]string, error) {
	entries, err := b.Roll(ctx, id, 0, math.MaxInt32)
	houses := make(map[string]string, len(entries))
	for _, e := range entries {
		for _, u := range e.Units {
			houses[u] = e.Entry
		}
	}
	return houses, err
}
