package board

import (
	"context"
	"database/sql"
	"math"
	"sync"

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

type roll struct {
	entries map[string]votes.Entry
	voters  meeting.Voters
}

// Of returns the entry of a person, or the reason why there is none.
func (b *Box) Of(person string) (votes.Entry, votes.Reason) {
	voter := b.roll.voters.Of(person)
	return b.roll.entries[voter.Entry], voter.Reason
}

// Entry returns an entry by its number.
func (b *Box) Entry(number string) (votes.Entry, bool) {
	e, ok := b.roll.entries[number]
	return e, ok
}

type cachedBox struct {
	box *Box
	at  es.Position
}

// Box returns a meeting with its roll as of the board's position; nil where
// there is no such meeting.
func (b *Board) Box(ctx context.Context, id string) (*Box, error) {
	if c, ok := b.boxes.Load(id); ok && since(&b.changed, id, c.(*cachedBox).at) {
		return c.(*cachedBox).box, nil
	}
	loaded, err, _ := b.loading.Do(id, func() (any, error) {
		at := b.Position() // before reading: what is read is at least as new
		var box *Box
		err := b.db.View(ctx, func(tx *readmodel.Tx) error {
			m, err := scanMeeting(tx.QueryRow(ctx, `SELECT state FROM meeting WHERE id = ?`, id))
			if ok, err := found(err); !ok {
				return err
			}
			r, err := b.rollInMemory(ctx, tx, m)
			box = &Box{m, r}
			return err
		})
		if err != nil || box == nil {
			return box, err
		}
		b.boxes.Store(id, &cachedBox{box, at})
		return box, nil
	})
	box, _ := loaded.(*Box)
	return box, err
}

// rollCache keeps rolls by their hash: they never change, and many meetings of
// the past are never asked for again.
type rollCache struct {
	mu    sync.Mutex
	rolls map[string]*roll
}

const cachedRolls = 64

func (b *Board) rollInMemory(ctx context.Context, q readmodel.Querier, m meeting.Meeting) (*roll, error) {
	if !m.Frozen() {
		return &roll{}, nil
	}
	key := m.Meeting + m.Roll.Roll
	b.rolls.mu.Lock()
	r, ok := b.rolls.rolls[key]
	b.rolls.mu.Unlock()
	if ok {
		return r, nil
	}
	r = &roll{map[string]votes.Entry{}, meeting.Voters{}}
	entries, err := rollOf(ctx, q, m.Meeting, 0, math.MaxInt32)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		r.entries[e.Entry] = e
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
		b.rolls.rolls = map[string]*roll{}
	}
	b.rolls.rolls[key] = r
	return r, nil
}
