// Package board is the read model of votes: what the registry says of units and
// titles, meetings with their rolls, every ballot as recorded, and the results.
//
// Ballots are kept as they were recorded. Which of them counts is settled when
// it is asked for, and for all of a meeting once, when it becomes countable; so
// a ballot costs one row and no read.
package board

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Tables answer queries, as of now or as of a position.
type Tables struct {
	db  *readmodel.DB
	log *slog.Logger
}

// Board answers queries as the ledger is now.
type Board struct {
	*readmodel.Runner
	*Tables
	past *readmodel.Past[*Tables]

	// What is read is kept in memory until an event that changes it has passed.
	changed  positions // of the last event of a meeting
	voted    positions // of the last event of a meeting or ballot
	boxes    boxes
	turnouts sync.Map // meeting → cachedTurnout
	loading  singleflight.Group
}

const projection = "votes"

// New prepares the tables; Run of the board's Runner fills them.
func New(ctx context.Context, db *readmodel.DB, store es.Store, log *slog.Logger) (*Board, error) {
	tables, p, err := build(ctx, db, log)
	if err != nil {
		return nil, err
	}
	b := &Board{Tables: tables, past: readmodel.NewPast(store, func(ctx context.Context, db *readmodel.DB) (*Tables, readmodel.Projection, error) {
		return build(ctx, db, log)
	})}
	p.Passed = b.passed
	b.Runner = readmodel.NewRunner(db, store, log, p)
	return b, nil
}

func build(ctx context.Context, db *readmodel.DB, log *slog.Logger) (*Tables, readmodel.Projection, error) {
	t := &Tables{db, log}
	return t, readmodel.Projection{
		Name:     projection,
		Prefixes: []string{registry.UnitStream, votes.MeetingStream, votes.BallotStream, votes.RefusalStream, votes.ObjectionStream, votes.ProcedureStream, votes.ProxyStream},
		Tables:   []string{"unit_version", "title_version", "meeting", "roll_entry", "voter", "ballot", "delivery", "mandate", "result", "meeting_step", "objection", "procedure_adopted"},
		Fold:     t.fold,
	}, db.Migrate(ctx, migrations)
}

// MeetingsAt returns the tables that list an estate's meetings as of a position,
// without ballots; 0 is now. See lookback.At.
func (b *Board) MeetingsAt(ctx context.Context, estate string, at es.Position) (lookback.View[*Tables], error) {
	return lookback.At(ctx, b.Runner, b.Tables, b.past, estate, at, lookback.OfEstate(estate))
}

// At returns the tables that answer for a meeting of an estate as of a position;
// 0 is now. See lookback.At.
func (b *Board) At(ctx context.Context, estate, id string, at es.Position) (lookback.View[*Tables], error) {
	ofEstate := lookback.OfEstate(estate)
	return lookback.At(ctx, b.Runner, b.Tables, b.past, id, at, func(first es.Recorded) bool {
		if strings.HasPrefix(first.Stream, registry.UnitStream) || strings.HasPrefix(first.Stream, votes.ProcedureStream) {
			return ofEstate(first)
		}
		return strings.Contains(first.Stream, id)
	})
}

// passed notes what the events have changed, whichever process folded them.
func (b *Board) passed(events []es.Recorded) {
	for _, r := range events {
		if id, ok := strings.CutPrefix(r.Stream, votes.MeetingStream); ok {
			b.changed.note(id, r.Position)
			b.voted.note(id, r.Position)
			switch e, _ := votes.Codec.Decode(r.Type, r.Data); e.(type) {
			case votes.VotingClosed, votes.MeetingCancelled:
				b.boxes.drop(id) // perhaps nobody asks for it again
			default: // it may be asked for again
			}
		} else if id, _, err := head(r.Stream); err == nil {
			b.voted.note(id, r.Position)
		}
	}
}

// positions are those of the last events, by meeting.
type positions struct{ sync.Map }

func (p *positions) note(id string, at es.Position) {
	if last, ok := p.Load(id); !ok || at > last.(es.Position) {
		p.Store(id, at)
	}
}

// include reports whether what was read of a meeting in the tables, whose
// checkpoint was at a position, holds all that has passed.
func (p *positions) include(id string, at es.Position) bool {
	last, ok := p.Load(id)
	return !ok || at >= last.(es.Position)
}

// found tells an error from a row that is not there.
func found(err error) (bool, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// CurrentUnits returns an estate's units with their titles as the ledger has
// them now, and the position up to which it was read for that.
func (b *Board) CurrentUnits(ctx context.Context, estate string) (all []electorate.Unit, at es.Position, err error) {
	err = b.Current(ctx, func(tx *readmodel.Tx) error {
		if at, err = tx.Checkpoint(ctx, projection); err != nil {
			return err
		}
		all, err = unitsOf(ctx, tx, estate, at)
		return err
	})
	return all, at, err
}

func unitsOf(ctx context.Context, q readmodel.Querier, estate string, at es.Position) (all []electorate.Unit, err error) {
	index := map[string]int{}
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var u electorate.Unit
		if err := rows.Scan(&u.ID, &u.Code, &u.Building, &u.Stair, &u.Use, &u.Area, &u.Basis, &u.State); err != nil {
			return err
		}
		index[u.ID] = len(all)
		all = append(all, u)
		return nil
	}, `SELECT id, code, building, stair, purpose, area, basis, state FROM unit_version v WHERE estate = ?
		AND since = (SELECT MAX(since) FROM unit_version w WHERE w.id = v.id AND w.since <= ?) ORDER BY code`, estate, int64(at))
	if err != nil {
		return nil, err
	}
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var id, titles string
		if err := rows.Scan(&id, &titles); err != nil {
			return err
		}
		i, ok := index[id]
		if !ok {
			return nil
		}
		return json.Unmarshal([]byte(titles), &all[i].Titles)
	}, `SELECT id, titles FROM title_version v WHERE estate = ?
		AND since = (SELECT MAX(since) FROM title_version w WHERE w.id = v.id AND w.since <= ?)`, estate, int64(at))
	return all, err
}

// Places returns what scopes may name in an estate.
func (b *Tables) Places(ctx context.Context, estate string) (meeting.Places, error) {
	var all []registry.Unit
	err := readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var u registry.Unit
		err := rows.Scan(&u.Code, &u.Building, &u.Stair)
		all = append(all, u)
		return err
	}, `SELECT code, building, stair FROM unit_version v WHERE estate = ?
		AND since = (SELECT MAX(since) FROM unit_version w WHERE w.id = v.id)`, estate)
	return meeting.PlacesOf(slices.Values(all)), err
}

// Meetings lists an estate's meetings, the newest first.
func (b *Tables) Meetings(ctx context.Context, estate string) (list []meeting.Meeting, err error) {
	return meetingsOf(ctx, b.db, estate)
}

func meetingsOf(ctx context.Context, q readmodel.Querier, estate string) (list []meeting.Meeting, err error) {
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		m, err := scanMeeting(rows)
		list = append(list, m)
		return err
	}, `SELECT state FROM meeting WHERE estate = ? ORDER BY drafted DESC`, estate)
	return list, err
}

// Due lists the live meetings whose votes are still to be closed or opened.
func (b *Tables) Due(ctx context.Context) (list []meeting.Meeting, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		m, err := scanMeeting(rows)
		list = append(list, m)
		return err
	}, `SELECT state FROM meeting WHERE open = ?`, true)
	return list, err
}

func scanMeeting(row interface{ Scan(...any) error }) (m meeting.Meeting, err error) {
	var state string
	if err := row.Scan(&state); err != nil {
		return m, err
	}
	return m, json.Unmarshal([]byte(state), &m)
}

// Meeting returns a meeting; false where there is none.
func (b *Tables) Meeting(ctx context.Context, id string) (meeting.Meeting, bool, error) {
	m, err := scanMeeting(b.db.QueryRow(ctx, `SELECT state FROM meeting WHERE id = ?`, id))
	ok, err := found(err)
	return m, ok, err
}

// Turnout is how many heads with which area have cast a ballot in time, and how many
// heads there are by now: those of the roll, but for units that changed hands.
type Turnout struct {
	votes.ScopeTotal
	OfHeads int64
}

// Turnout returns the turnout of a meeting.
func (b *Board) Turnout(ctx context.Context, id string) (t Turnout, err error) {
	if c, ok := b.turnouts.Load(id); ok && b.voted.include(id, c.(cachedTurnout).at) {
		return c.(cachedTurnout).Turnout, nil
	}
	var at es.Position
	err = b.db.View(ctx, func(tx *readmodel.Tx) (err error) {
		if at, err = tx.Checkpoint(ctx, projection); err != nil {
			return err
		}
		t, err = turnout(ctx, tx, id)
		return err
	})
	if err == nil {
		b.turnouts.Store(id, cachedTurnout{t, at})
	}
	return t, err
}

// Turnout returns the turnout of a meeting.
func (b *Tables) Turnout(ctx context.Context, id string) (Turnout, error) {
	return turnout(ctx, b.db, id)
}

func turnout(ctx context.Context, q readmodel.Querier, id string) (t Turnout, err error) {
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error { return rows.Scan(&t.Heads, &t.Area) },
		`SELECT COUNT(*), COALESCE(SUM(area), 0) FROM roll_entry WHERE meeting = ? AND entry IN
			(SELECT entry FROM ballot WHERE meeting = ? AND kind = ? AND late = ?)`, id, id, kindCast, false)
	if err != nil {
		return t, err
	}
	m, err := scanMeeting(q.QueryRow(ctx, `SELECT state FROM meeting WHERE id = ?`, id))
	if ok, err := found(err); !ok {
		return t, err
	}
	onRoll, voted, err := tradedVotes(ctx, q, m, false)
	t.ScopeTotal = m.Turnout(t.ScopeTotal, onRoll, voted)
	t.OfHeads = m.Heads(votes.ScopeTotal{Heads: m.Roll.Heads}, onRoll, voted).Heads
	return t, err
}

type cachedTurnout struct {
	Turnout
	at es.Position
}

// Rows returns how many rows of ballots there are, a row being one choice on
// one motion.
func (b *Tables) Rows(ctx context.Context, id string) (n int, err error) {
	return n, b.db.QueryRow(ctx, `SELECT COALESCE(SUM(answers), 0) FROM ballot WHERE meeting = ?`, id).Scan(&n)
}

// Summary returns what became of all ballots of a meeting that is counted.
func (b *Tables) Summary(ctx context.Context, id string) (s meeting.Summary, err error) {
	var text string
	if err := b.db.QueryRow(ctx, `SELECT summary FROM meeting WHERE id = ?`, id).Scan(&text); err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(text), &s)
}

// Results returns the results of a meeting, empty until it is counted.
func (b *Tables) Results(ctx context.Context, id string) ([]meeting.Result, error) {
	return resultsOf(ctx, b.db, id)
}

func resultsOf(ctx context.Context, q readmodel.Querier, id string) ([]meeting.Result, error) {
	list := []meeting.Result{}
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var r meeting.Result
		err := json.Unmarshal([]byte(text), &r)
		list = append(list, r)
		return err
	}, `SELECT posted FROM result WHERE meeting = ? ORDER BY number`, id)
	return list, err
}

// Roll returns at most limit entries after a number.
func (b *Tables) Roll(ctx context.Context, id string, after, limit int) ([]votes.Entry, error) {
	return rollOf(ctx, b.db, id, after, limit)
}

func rollOf(ctx context.Context, q readmodel.Querier, id string, after, limit int) ([]votes.Entry, error) {
	list := []votes.Entry{}
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var e votes.Entry
		err := json.Unmarshal([]byte(text), &e)
		list = append(list, e)
		return err
	}, `SELECT posted FROM roll_entry WHERE meeting = ? AND entry > ? ORDER BY entry LIMIT ?`, id, after, limit)
	return list, err
}

// Weights returns every entry of a roll, by number from 1, with its areas and
// buildings and nothing else.
func (b *Tables) Weights(ctx context.Context, id string) ([]votes.Entry, error) {
	return weightsOf(ctx, b.db, id)
}

// weightsOf returns every entry of a roll, by number from 1, with its areas and
// buildings and nothing else: of 60,000 that is several times faster than [rollOf].
func weightsOf(ctx context.Context, q readmodel.Querier, id string) (entries []votes.Entry, err error) {
	places := map[string][]string{} // many live in each, and the entries of one share its name
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var e votes.Entry
		var buildings, scopes string
		if err := rows.Scan(&e.Entry, &e.Area, &buildings, &scopes); err != nil {
			return err
		}
		named, ok := places[buildings]
		if !ok {
			if err := json.Unmarshal([]byte(buildings), &named); err != nil {
				return err
			}
			places[buildings] = named
		}
		e.Buildings = named
		entries = append(entries, e)
		if scopes == "" {
			return nil
		}
		return json.Unmarshal([]byte(scopes), &entries[len(entries)-1].ByScope)
	}, `SELECT entry, area, buildings, by_scope FROM roll_entry WHERE meeting = ? ORDER BY entry`, id)
	return entries, err
}

// Ballot is one recorded ballot and what became of it.
type Ballot struct {
	Entry    string // "" where the voter has none
	Ballot   string
	Stream   string
	Revision uint64
	Position es.Position
	Refused  *votes.BallotRefused
	Taken    *meeting.Taken
	Reasons  []votes.Reason // of Taken, for each motion why it does not count, or ""
}

// Ballots returns every ballot of the heads from one entry to another, both
// included, settled. Entry 0 holds those of voters without an entry.
func (b *Tables) Ballots(ctx context.Context, m meeting.Meeting, from, to int) ([]Ballot, error) {
	return b.ballots(ctx, m, `entry >= ? AND entry <= ?`, from, to)
}

// EntriesWithBallots returns the numbers of at most limit entries after a number of which
// there are ballots.
func (b *Tables) EntriesWithBallots(ctx context.Context, id string, after, limit int) (entries []int, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var entry int
		err := rows.Scan(&entry)
		entries = append(entries, entry)
		return err
	}, `SELECT DISTINCT entry FROM ballot WHERE meeting = ? AND entry > ? AND `+ballotKinds+` ORDER BY entry LIMIT ?`, id, after, limit)
	return entries, err
}

// EachHead calls f with all ballots of one head after another, settled. f must
// not keep them.
func (b *Tables) EachHead(ctx context.Context, m meeting.Meeting, f func([]Ballot) error) error {
	open, err := opener(m)
	if err != nil {
		return err
	}
	h, err := settledHoldings(ctx, b.db, m, open)
	if err != nil {
		return err
	}
	return eachHead(ctx, b.db, m, open, func(head []Ballot) error { return f(settled(m, h, head)) }, `1 = 1`)
}

func (b *Tables) ballots(ctx context.Context, m meeting.Meeting, where string, args ...any) ([]Ballot, error) {
	open, err := opener(m)
	if err != nil {
		return nil, err
	}
	h, err := settledHoldings(ctx, b.db, m, open)
	if err != nil {
		return nil, err
	}
	list := []Ballot{}
	err = eachHead(ctx, b.db, m, open, func(head []Ballot) error {
		list = append(list, settled(m, h, head)...)
		return nil
	}, where, args...)
	return list, err
}

// ballotsAtOnce is how many ballots are opened together, and held in memory.
const ballotsAtOnce = 4096

// eachHead calls f with all ballots of one head after another, opened and not
// settled. f must not keep them.
func eachHead(ctx context.Context, q readmodel.Querier, m meeting.Meeting, open openFunc, f func([]Ballot) error, where string, args ...any) error {
	var ballots []Ballot
	var recorded []recordedBallot
	var stream string
	var handed envelopesBefore // of the head in this stream
	pass := func() error {     // all ballots of some heads
		if err := openAll(ballots, recorded, open); err != nil {
			return err
		}
		for from := 0; from < len(ballots); {
			to := from + 1
			for to < len(ballots) && ballots[to].Stream == ballots[from].Stream {
				to++
			}
			if err := f(ballots[from:to]); err != nil {
				return err
			}
			from = to
		}
		ballots, recorded = ballots[:0], recorded[:0]
		return nil
	}
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var (
			b     Ballot
			entry int
			voter string
			r     recordedBallot
		)
		if err := rows.Scan(&entry, &voter, &b.Revision, &b.Position, &r.kind, &r.late, &r.amended, &r.text); err != nil {
			return err
		}
		b.Stream = votes.RefusalStream + m.Meeting + "-" + voter
		if entry > 0 {
			b.Entry = strconv.Itoa(entry)
			b.Stream = votes.BallotStream + m.Meeting + "-" + b.Entry
		}
		if b.Stream != stream {
			stream, handed = b.Stream, nil
		}
		if r.kind == kindEnvelope {
			return handed.note(r.text, r.amended)
		}
		r.handed = handed
		if n := len(ballots); n >= ballotsAtOnce && ballots[n-1].Stream != b.Stream {
			if err := pass(); err != nil {
				return err
			}
		}
		ballots, recorded = append(ballots, b), append(recorded, r)
		return nil
	}, `SELECT entry, voter, revision, position, kind, late, amendments, event FROM ballot
		WHERE meeting = ? AND `+kindsOf(m)+` AND `+where+` ORDER BY entry, voter, revision`, append([]any{m.Meeting}, args...)...)
	if err != nil {
		return err
	}
	return pass()
}

// recordedBallot is a row of the table ballot, still to be read.
type recordedBallot struct {
	kind    string
	late    bool
	amended int             // amendments of the roll, recorded before
	handed  envelopesBefore // of its head
	text    []byte
}

// openAll reads what was recorded of ballots and opens it where it may be, on all
// processors: of a large meeting most of the time of its count is spent here.
func openAll(ballots []Ballot, recorded []recordedBallot, open openFunc) error {
	var g errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		g.Go(func() error {
			for i := w * len(ballots) / workers; i < (w+1)*len(ballots)/workers; i++ {
				b, r := &ballots[i], recorded[i]
				var err error
				switch r.kind {
				case kindCast:
					b.Taken = &meeting.Taken{Late: r.late}
					b.Taken.BallotCast, err = decodeCast(r.text)
					b.Taken.Amendments = r.handed.before(b.Taken.BallotCast, r.amended)
					b.Ballot = b.Taken.Ballot
					open(b.Taken)
				case kindRefused:
					b.Refused = &votes.BallotRefused{}
					err = json.Unmarshal(r.text, b.Refused)
					b.Ballot = b.Refused.Ballot
				}
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// settled says of all ballots of one head which of their motions count.
func settled(m meeting.Meeting, h meeting.Holdings, head []Ballot) []Ballot {
	var taken []meeting.Taken
	for _, b := range head {
		if b.Taken != nil {
			taken = append(taken, *b.Taken)
		}
	}
	reasons := h.Settle(m, taken)
	for i := range head {
		if head[i].Taken != nil {
			head[i].Reasons, reasons = reasons[0], reasons[1:]
		}
	}
	return head
}

// Own returns the ballots that a person cast, and the meetings they belong to,
// the newest first.
func (b *Tables) Own(ctx context.Context, person string) (list []Ballot, of []meeting.Meeting, err error) {
	type place struct {
		meeting meeting.Meeting
		entry   string
	}
	var places []place
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var p place
		var state string
		if err := rows.Scan(&state, &p.entry); err != nil {
			return err
		}
		err := json.Unmarshal([]byte(state), &p.meeting)
		places = append(places, p)
		return err
	}, `SELECT m.state, COALESCE(v.entry, '') FROM meeting m LEFT JOIN voter v ON v.meeting = m.id AND v.person = ?
		WHERE v.person IS NOT NULL OR EXISTS (SELECT 1 FROM ballot b WHERE b.meeting = m.id AND b.entry = 0 AND b.voter = ?)
		ORDER BY m.drafted DESC`, person, person)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range places {
		where, arg := `entry = 0 AND voter = ?`, any(person)
		if p.entry != "" {
			number, err := strconv.Atoi(p.entry)
			if err != nil {
				return nil, nil, err
			}
			where, arg = `entry = ?`, number
		}
		ballots, err := b.ballots(ctx, p.meeting, where, arg)
		if err != nil {
			return nil, nil, err
		}
		for range ballots {
			of = append(of, p.meeting)
		}
		list = append(list, ballots...)
	}
	return list, of, nil
}
