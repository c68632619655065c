package board

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// envelopesBefore says of the envelopes of one head how many amendments of the
// roll were recorded before each was handed in. Ballots in them are ordered by
// that, whenever they are entered.
type envelopesBefore map[int64]int // by time

func (b *envelopesBefore) note(event []byte, amendments int) error {
	var e votes.PaperHandedIn
	if err := json.Unmarshal(event, &e); err != nil {
		return err
	}
	if *b == nil {
		*b = envelopesBefore{}
	}
	if _, ok := (*b)[e.At.UnixNano()]; !ok {
		(*b)[e.At.UnixNano()] = amendments
	}
	return nil
}

// before says how many amendments were recorded before a ballot was handed in, of
// which some were before it was recorded.
func (b envelopesBefore) before(t votes.BallotCast, recorded int) int {
	if n, ok := b[t.At.UnixNano()]; ok && t.Channel != votes.Electronic {
		return n
	}
	return recorded
}

// kindsOf selects what settling ballots needs of a meeting: envelopes only where
// units changed hands.
func kindsOf(m meeting.Meeting) string {
	if len(m.Amendments) > 0 {
		return `kind IN ('` + kindCast + `', '` + kindRefused + `', '` + kindEnvelope + `')`
	}
	return ballotKinds
}

// traded returns the entries of a meeting that had or got a unit that changed
// hands, as they are on the roll, and all ballots that they cast.
func traded(ctx context.Context, q readmodel.Querier, m meeting.Meeting, open openFunc) (onRoll map[string]votes.Entry, taken map[string][]meeting.Taken, err error) {
	onRoll, taken = map[string]votes.Entry{}, map[string][]meeting.Taken{}
	for _, entry := range m.Traded() {
		n, err := strconv.Atoi(entry)
		if err != nil {
			return nil, nil, err
		}
		list, err := rollOf(ctx, q, m.Meeting, n-1, 1)
		if err != nil {
			return nil, nil, err
		}
		if len(list) > 0 && list[0].Entry == entry {
			onRoll[entry] = list[0]
		}
		err = eachHead(ctx, q, m, open, func(head []Ballot) error {
			for _, b := range head {
				if b.Taken != nil {
					taken[entry] = append(taken[entry], *b.Taken)
				}
			}
			return nil
		}, `entry = ?`, n)
		if err != nil {
			return nil, nil, err
		}
	}
	return onRoll, taken, nil
}

// holdingsOf settles who votes for the units that changed hands.
func holdingsOf(ctx context.Context, q readmodel.Querier, m meeting.Meeting, open openFunc) (meeting.Holdings, error) {
	if len(m.Amendments) == 0 {
		return meeting.Holdings{}, nil
	}
	onRoll, taken, err := traded(ctx, q, m, open)
	return m.Holdings(onRoll, taken), err
}

// settledHoldings is holdingsOf once ballots can be read. Before, nobody is told
// that a ballot does not count because of another's.
func settledHoldings(ctx context.Context, q readmodel.Querier, m meeting.Meeting, open openFunc) (meeting.Holdings, error) {
	if !m.Countable() {
		return meeting.Holdings{}, nil
	}
	return holdingsOf(ctx, q, m, open)
}

// tradedVotes returns the traded entries as they are on the roll and, of those that
// have voted, how many amendments were there before. Where envelopes do not count,
// an entry has voted once one of its ballots is entered.
func tradedVotes(ctx context.Context, q readmodel.Querier, m meeting.Meeting, envelopes bool) (onRoll map[string]votes.Entry, voted map[string]int, err error) {
	if len(m.Amendments) == 0 {
		return nil, nil, nil
	}
	onRoll, _, err = traded(ctx, q, m, func(*meeting.Taken) {})
	if err != nil {
		return nil, nil, err
	}
	voted = map[string]int{}
	for _, entry := range m.Traded() {
		n, err := strconv.Atoi(entry)
		if err != nil {
			return nil, nil, err
		}
		var handed, cast, before int
		err = q.QueryRow(ctx, `SELECT COUNT(*), COUNT(CASE WHEN kind = ? THEN 1 END), COALESCE(MIN(amendments), 0) FROM ballot
			WHERE meeting = ? AND entry = ? AND kind IN (?, ?) AND late = ?`, kindCast, m.Meeting, n, kindCast, kindEnvelope, false).Scan(&handed, &cast, &before)
		if err != nil {
			return nil, nil, err
		}
		if cast > 0 || envelopes && handed > 0 {
			voted[entry] = before
		}
	}
	return onRoll, voted, nil
}

// VotedBefore says whether anyone who held the unit of an amendment, by its number
// from 0, had cast a ballot or handed one in before they sold it.
func (b *Tables) VotedBefore(ctx context.Context, m meeting.Meeting, amendment int) (bool, error) {
	for i, a := range m.Amendments[:amendment+1] {
		if a.Unit != m.Amendments[amendment].Unit {
			continue
		}
		entry, err := strconv.Atoi(a.From)
		if err != nil {
			return false, err
		}
		var n int
		err = b.db.QueryRow(ctx, `SELECT COUNT(*) FROM ballot WHERE meeting = ? AND entry = ? AND kind IN (?, ?) AND late = ? AND amendments <= ?`,
			m.Meeting, entry, kindCast, kindEnvelope, false, i).Scan(&n)
		if err != nil || n > 0 {
			return n > 0, err
		}
	}
	return false, nil
}

// Amending lists the live meetings of an estate whose roll is amended where a unit
// changes hands.
func (b *Tables) Amending(ctx context.Context, estate string) (list []meeting.Meeting, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		m, err := scanMeeting(rows)
		if !m.Closed {
			list = append(list, m)
		}
		return err
	}, `SELECT state FROM meeting WHERE open = ? AND estate = ?`, true, estate)
	return list, err
}

// Changed lists the units of an estate of which the registry said something after
// one position, and at or before another.
func (b *Tables) Changed(ctx context.Context, estate string, after, until es.Position) (ids []string, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT id FROM unit_version WHERE estate = ? AND since > ? AND since <= ?
		UNION SELECT id FROM title_version WHERE estate = ? AND since > ? AND since <= ? ORDER BY id`,
		estate, int64(after), int64(until), estate, int64(after), int64(until))
	return ids, err
}

// Amend returns the command that gives a unit, as of a position, to the head that
// votes for it.
func (b *Tables) Amend(ctx context.Context, m meeting.Meeting, unit string, seen es.Position, at time.Time) (c meeting.AmendRoll, err error) {
	c = meeting.AmendRoll{SeenAt: uint64(seen), At: at}
	err = b.db.View(ctx, func(tx *readmodel.Tx) error {
		if c.Frozen, err = unitAt(ctx, tx, unit, es.Position(m.Roll.SeenAt)); err != nil || c.Frozen.Code == "" {
			return err
		}
		if c.Now, err = unitAt(ctx, tx, unit, seen); err != nil {
			return err
		}
		e, ok, err := entryWith(ctx, tx, m.Meeting, c.Frozen.Code)
		if err != nil || !ok {
			return err
		}
		c.Entry = e.Entry
		err = tx.QueryRow(ctx, `SELECT person FROM voter WHERE meeting = ? AND entry = ?`, m.Meeting, c.Entry).Scan(&c.Voter)
		if _, err := found(err); err != nil {
			return err
		}
		// Whoever got an entry by a sale has it in the same table; the command knows them.
		err = tx.QueryRow(ctx, `SELECT entry FROM voter WHERE meeting = ? AND person = ?`, m.Meeting, c.Now.Voter()).Scan(&c.Buyer)
		_, err = found(err)
		return err
	})
	return c, err
}

// unitAt returns a unit as it was at a position; without a code where there was none.
func unitAt(ctx context.Context, q readmodel.Querier, id string, at es.Position) (u electorate.Unit, err error) {
	u.ID = id
	err = q.QueryRow(ctx, `SELECT code, building, stair, purpose, area, basis, state FROM unit_version WHERE id = ? AND since <= ? ORDER BY since DESC LIMIT 1`, id, int64(at)).
		Scan(&u.Code, &u.Building, &u.Stair, &u.Use, &u.Area, &u.Basis, &u.State)
	if ok, err := found(err); !ok {
		return electorate.Unit{}, err
	}
	var titles string
	err = q.QueryRow(ctx, `SELECT titles FROM title_version WHERE id = ? AND since <= ? ORDER BY since DESC LIMIT 1`, id, int64(at)).Scan(&titles)
	if ok, err := found(err); !ok {
		return u, err
	}
	return u, json.Unmarshal([]byte(titles), &u.Titles)
}

// entryWith returns the entry of a frozen roll that has a unit.
func entryWith(ctx context.Context, q readmodel.Querier, id, code string) (votes.Entry, bool, error) {
	list, err := entriesWith(ctx, q, id, 0, 1, code, func(u string) bool { return u == code })
	if len(list) == 0 {
		return votes.Entry{}, false, err
	}
	return list[0], true, err
}

// RollWith returns at most limit entries after a number that have a unit whose code
// begins as asked.
func (b *Tables) RollWith(ctx context.Context, id, code string, after, limit int) ([]votes.Entry, error) {
	if code == "" {
		return b.Roll(ctx, id, after, limit)
	}
	return entriesWith(ctx, b.db, id, after, limit, code, func(u string) bool { return strings.HasPrefix(u, code) })
}

var errEnough = errors.New("enough")

// entriesWith returns entries with a unit whose code begins in a way, and is right.
// There is no table of units by their entries: it would cost a row for each unit of
// each roll, and is asked for where one unit is.
func entriesWith(ctx context.Context, q readmodel.Querier, id string, after, limit int, begins string, right func(string) bool) ([]votes.Entry, error) {
	quoted, err := json.Marshal(begins)
	if err != nil {
		return nil, err
	}
	like := `%` + strings.NewReplacer(`!`, `!!`, `%`, `!%`, `_`, `!_`).Replace(strings.TrimSuffix(string(quoted), `"`)) + `%`
	list := []votes.Entry{}
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var e votes.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil || !slices.ContainsFunc(e.Units, right) {
			return err
		}
		if list = append(list, e); len(list) == limit {
			return errEnough
		}
		return nil
	}, `SELECT posted FROM roll_entry WHERE meeting = ? AND entry > ? AND posted LIKE ? ESCAPE '!' ORDER BY entry`, id, after, like)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, err
}

// Where returns the entry of a meeting's roll that has a unit, "" where none has,
// and whether the estate has such a unit.
func (b *Tables) Where(ctx context.Context, m meeting.Meeting, code string) (entry string, registered bool, err error) {
	e, _, err := entryWith(ctx, b.db, m.Meeting, code)
	if err != nil {
		return "", false, err
	}
	var n int
	err = b.db.QueryRow(ctx, `SELECT COUNT(*) FROM unit_version WHERE estate = ? AND code = ?`, m.Estate, code).Scan(&n)
	return e.Entry, n > 0, err
}
