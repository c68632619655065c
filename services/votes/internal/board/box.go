package board

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// Box is what taking a ballot needs to know, held in memory: a ballot is taken
// without a query.
type Box struct {
	meeting.Meeting
	roll *roll
}

// roll is what of a roll ballots ask for, and kept small: there is one of each
// meeting under way. An owner takes some fifty bytes, without a pointer that the
// garbage collector would have to follow.
type roll struct {
	areas     []units.CentiM2            // of entries, by number, from 1
	byScope   map[int][]votes.ScopeTotal // of entries that have any, by number
	places    []int32                    // of entries, by number, from 1: where in buildings theirs are
	buildings [][]string                 // those of an entry, once for all entries of the same
	seats     map[personKey]seat         // of everyone with a title
	reasons   []votes.Reason             // why people have no entry
}

// all yields every entry in the order of numbers, counted from 0, with its areas
// and buildings.
func (r *roll) all(yield func(int, votes.Entry) bool) {
	for i, area := range r.areas {
		if !yield(i, votes.Entry{Entry: strconv.Itoa(i + 1), Area: area, ByScope: r.byScope[i+1], Buildings: r.buildings[r.places[i]]}) {
			return
		}
	}
}

// personKey stands for the id of a person: half of its SHA-256, which no two ids share.
type personKey [16]byte

func keyOf(person string) personKey {
	sum := sha256.Sum256([]byte(person))
	return personKey(sum[:16])
}

// seat is the number of an entry or, below 0, ^seat is the place of the reason why
// there is none.
type seat int32

// add gives a person their entry, or the reason why they have none.
func (r *roll) add(person string, v meeting.Voter) error {
	if v.Entry != "" {
		n, err := strconv.ParseInt(v.Entry, 10, 32)
		r.seats[keyOf(person)] = seat(n)
		return err
	}
	i := slices.Index(r.reasons, v.Reason)
	if i < 0 {
		i = len(r.reasons)
		r.reasons = append(r.reasons, v.Reason)
	}
	r.seats[keyOf(person)] = ^seat(i)
	return nil
}

// voter returns what a person may do. "" is nobody we know.
func (r *roll) voter(person string) meeting.Voter {
	at, ok := r.seats[keyOf(person)]
	switch {
	case !ok || person == "":
		return meeting.Voter{Reason: votes.NotOnTheRoll}
	case at < 0:
		return meeting.Voter{Reason: r.reasons[^at]}
	}
	return meeting.Voter{Entry: strconv.Itoa(int(at))}
}

// Of returns the entry of a person, as Entry does, or the reason why there is none.
func (b *Box) Of(person string) (votes.Entry, votes.Reason) {
	voter := b.Voter(b.roll.voter(person), person)
	e, _ := b.Entry(voter.Entry)
	return e, voter.Reason
}

// Entry returns an entry by its number, as it is on the roll: with its areas and
// nothing else.
func (b *Box) Entry(number string) (votes.Entry, bool) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(b.roll.areas) || strconv.Itoa(n) != number {
		return b.Joined(number)
	}
	return votes.Entry{Entry: number, Area: b.roll.areas[n-1], ByScope: b.roll.byScope[n]}, true
}

type cachedBox struct {
	box *Box        // nil: there is no such meeting
	at  es.Position // of the tables it was read from
}

// boxes are kept of each meeting that takes ballots, once it was asked for, and of
// those that take none any more the ones that were read last: that of 3,000 owners
// is 150 KB, and many meetings of the past are never asked for again.
type boxes struct {
	mu   sync.Mutex
	kept map[string]cachedBox
	over []string // meetings that take no more ballots, the one read last at the end
}

const mostOver = 8

func (b *boxes) get(id string) (cachedBox, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, ok := b.kept[id]
	return c, ok
}

func (b *boxes) put(id string, c cachedBox) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kept == nil {
		b.kept = map[string]cachedBox{}
	}
	b.kept[id] = c
	b.over = slices.DeleteFunc(b.over, func(other string) bool { return other == id })
	if c.box.Closed || c.box.IsCancelled() {
		b.over = append(b.over, id)
	}
	if len(b.over) > mostOver {
		delete(b.kept, b.over[0])
		b.over = slices.Delete(b.over, 0, 1)
	}
}

func (b *boxes) drop(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.kept, id)
	b.over = slices.DeleteFunc(b.over, func(other string) bool { return other == id })
}

// Box returns a meeting with its roll as of the board's position; nil where
// there is no such meeting.
func (b *Board) Box(ctx context.Context, id string) (*Box, error) {
	if c, ok := b.boxes.get(id); ok && b.changed.include(id, c.at) {
		return c.box, nil
	}
	for again := false; ; again = true {
		loaded, err, _ := b.loading.Do(id, func() (any, error) { return b.load(ctx, id) })
		if err != nil {
			return nil, err
		}
		// Somebody else may have begun to read before what this caller must see had passed.
		if c := loaded.(cachedBox); again || b.changed.include(id, c.at) {
			return c.box, nil
		}
	}
}

func (b *Board) load(ctx context.Context, id string) (c cachedBox, err error) {
	err = b.db.View(ctx, func(tx *readmodel.Tx) error {
		if c.at, err = tx.Checkpoint(ctx, projection); err != nil {
			return err
		}
		m, err := scanMeeting(tx.QueryRow(ctx, `SELECT state FROM meeting WHERE id = ?`, id))
		if ok, err := found(err); !ok {
			return err
		}
		r, err := b.rollInMemory(ctx, tx, m)
		c.box = &Box{m, r}
		return err
	})
	if err == nil && c.box != nil {
		b.boxes.put(id, c)
	}
	return c, err
}

// keptRoll returns the roll of a meeting if it is in memory, else nil.
func (b *Board) keptRoll(m meeting.Meeting) *roll {
	// What is posted of a roll, and so its hash, may be the same where a unit has another owner.
	if c, ok := b.boxes.get(m.Meeting); ok && c.box.Frozen() && c.box.Roll.SeenAt == m.Roll.SeenAt {
		return c.box.roll
	}
	return nil
}

// rollInMemory returns the roll of a meeting. A roll never changes, so where the
// box that was read last has it, it is not read again.
func (b *Board) rollInMemory(ctx context.Context, q readmodel.Querier, m meeting.Meeting) (*roll, error) {
	if !m.Frozen() {
		return &roll{}, nil
	}
	if r := b.keptRoll(m); r != nil {
		return r, nil
	}
	r := &roll{byScope: map[int][]votes.ScopeTotal{}, seats: map[personKey]seat{}}
	known := map[string]int32{} // what is read of buildings → its place
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var area units.CentiM2
		var buildings, scopes string
		if err := rows.Scan(&area, &buildings, &scopes); err != nil {
			return err
		}
		place, ok := known[buildings]
		if !ok {
			var named []string
			if err := json.Unmarshal([]byte(buildings), &named); err != nil {
				return err
			}
			place = int32(len(r.buildings))
			known[buildings], r.buildings = place, append(r.buildings, named)
		}
		r.areas, r.places = append(r.areas, area), append(r.places, place)
		if scopes == "" {
			return nil
		}
		var byScope []votes.ScopeTotal
		err := json.Unmarshal([]byte(scopes), &byScope)
		r.byScope[len(r.areas)] = byScope
		return err
	}, `SELECT area, buildings, by_scope FROM roll_entry WHERE meeting = ? ORDER BY entry`, m.Meeting)
	if err != nil {
		return nil, err
	}
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var person string
		var v meeting.Voter
		if err := rows.Scan(&person, &v.Entry, &v.Reason); err != nil {
			return err
		}
		return r.add(person, v)
	}, `SELECT person, entry, reason FROM voter WHERE meeting = ?`, m.Meeting)
	r.areas, r.places = slices.Clip(r.areas), slices.Clip(r.places)
	return r, err
}
