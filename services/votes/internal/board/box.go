package board

import (
	"context"
	"database/sql"
	"math"
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
// meeting under way.
type roll struct {
	weights []weight // of entries, by number, from 1
	voters  meeting.Voters
}

type weight struct {
	area    units.CentiM2
	byScope []votes.ScopeTotal
}

// Of returns the entry of a person, as Entry does, or the reason why there is none.
func (b *Box) Of(person string) (votes.Entry, votes.Reason) {
	voter := b.roll.voters.Of(person)
	e, _ := b.Entry(voter.Entry)
	return e, voter.Reason
}

// Entry returns an entry by its number, with its areas and nothing else.
func (b *Box) Entry(number string) (votes.Entry, bool) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > len(b.roll.weights) || strconv.Itoa(n) != number {
		return votes.Entry{}, false
	}
	w := b.roll.weights[n-1]
	return votes.Entry{Entry: number, Area: w.area, ByScope: w.byScope}, true
}

type cachedBox struct {
	box *Box        // nil: there is no such meeting
	at  es.Position // of the tables it was read from
}

// Box returns a meeting with its roll as of the board's position; nil where
// there is no such meeting.
func (b *Board) Box(ctx context.Context, id string) (*Box, error) {
	if c, ok := b.boxes.Load(id); ok && b.changed.include(id, c.(cachedBox).at) {
		return c.(cachedBox).box, nil
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
		b.boxes.Store(id, c)
	}
	return c, err
}

// rollCache keeps rolls by meeting and position: they never change, and many
// meetings of the past are never asked for again. What is posted of a roll, and
// so its hash, may be the same where a unit has another owner.
type rollCache struct {
	mu    sync.Mutex
	rolls map[rollKey]*roll
}

type rollKey struct {
	meeting string
	seenAt  uint64
}

const cachedRolls = 64

func (b *Board) rollInMemory(ctx context.Context, q readmodel.Querier, m meeting.Meeting) (*roll, error) {
	if !m.Frozen() {
		return &roll{}, nil
	}
	key := rollKey{m.Meeting, m.Roll.SeenAt}
	b.rolls.mu.Lock()
	r, ok := b.rolls.rolls[key]
	b.rolls.mu.Unlock()
	if ok {
		return r, nil
	}
	entries, err := rollOf(ctx, q, m.Meeting, 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	r = &roll{make([]weight, len(entries)), meeting.Voters{}}
	for i, e := range entries {
		r.weights[i] = weight{e.Area, e.ByScope}
	}
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var person string
		var v meeting.Voter
		err := rows.Scan(&person, &v.Entry, &v.Reason)
		r.voters[person] = v
		return err
	}, `SELECT person, entry, reason FROM voter WHERE meeting = ?`, m.Meeting)
	if err != nil {
		return nil, err
	}
	b.rolls.mu.Lock()
	defer b.rolls.mu.Unlock()
	if len(b.rolls.rolls) >= cachedRolls || b.rolls.rolls == nil {
		b.rolls.rolls = map[rollKey]*roll{}
	}
	b.rolls.rolls[key] = r
	return r, nil
}
