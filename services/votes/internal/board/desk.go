package board

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// Papers is what became of a meeting's envelopes, and those of which nothing has
// yet.
type Papers struct {
	votes.EnvelopeCount
	Waiting []Waiting // by entry, and of one entry in the order they came
}

// Waiting is an envelope with whose it is.
type Waiting struct {
	Entry int
	meeting.Envelope
}

// Papers returns what became of a meeting's envelopes.
func (b *Tables) Papers(ctx context.Context, id string) (Papers, error) { return papers(ctx, b.db, id) }

// CurrentPapers is Papers as the ledger has them now.
func (b *Board) CurrentPapers(ctx context.Context, id string) (p Papers, err error) {
	err = b.Current(ctx, func(tx *readmodel.Tx) error {
		p, err = papers(ctx, tx, id)
		return err
	})
	return p, err
}

func papers(ctx context.Context, q readmodel.Querier, id string) (p Papers, err error) {
	states := map[int]meeting.Ballots{}
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var entry int
		var kind string
		var text []byte
		if err := rows.Scan(&entry, &kind, &text); err != nil {
			return err
		}
		event, err := decodeBallot(kind, text)
		if err != nil {
			return err
		}
		states[entry] = meeting.EvolveBallots(states[entry], event)
		return nil
	}, `SELECT entry, kind, event FROM ballot WHERE meeting = ? AND entry IN
		(SELECT entry FROM ballot WHERE meeting = ? AND kind = '`+kindEnvelope+`') ORDER BY entry, revision`, id, id)
	for entry, s := range states {
		p.Envelopes += s.Papers.Envelopes
		p.Cast += s.Papers.Cast
		p.Void += s.Papers.Void
		p.Refused += s.Papers.Refused
		for _, e := range s.Envelopes {
			p.Waiting = append(p.Waiting, Waiting{entry, e})
		}
	}
	slices.SortStableFunc(p.Waiting, func(x, y Waiting) int { return x.Entry - y.Entry })
	return p, err
}

// EntryOf returns the number of the entry that votes for a unit; "" where none does.
func (b *Tables) EntryOf(ctx context.Context, id, code string) (number string, err error) {
	quoted, err := json.Marshal(code)
	if err != nil {
		return "", err
	}
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var e votes.Entry
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return err
		}
		if slices.Contains(e.Units, code) {
			number = e.Entry
		}
		return nil
	}, `SELECT posted FROM roll_entry WHERE meeting = ? AND posted LIKE ?`, id, "%"+string(quoted)+"%")
	return number, err
}

// Titles returns the titles of a unit of an estate, as they are now.
func (b *Tables) Titles(ctx context.Context, estate, code string) (titles []registry.Title, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		return json.Unmarshal([]byte(text), &titles)
	}, `SELECT titles FROM title_version t WHERE estate = ?
		AND since = (SELECT MAX(since) FROM title_version w WHERE w.id = t.id)
		AND id IN (SELECT id FROM unit_version v WHERE estate = ? AND code = ? AND since = (SELECT MAX(since) FROM unit_version w WHERE w.id = v.id))`,
		estate, estate, code)
	return titles, err
}

// Mandate is what the ledger has of a mandate: that it was taken, returned or refused.
type Mandate struct {
	Meeting  meeting.Meeting
	Stream   string
	Revision uint64
	Position es.Position
	Event    votes.Event
}

// Mandates returns what concerns a person: mandates they were to hold, and those
// by which another was to vote for them.
func (b *Tables) Mandates(ctx context.Context, person string) (list []Mandate, err error) {
	err = readmodel.Each(ctx, b.db, func(rows *sql.Rows) error {
		var m Mandate
		var state, holder, kind string
		var text []byte
		if err := rows.Scan(&state, &holder, &m.Revision, &m.Position, &kind, &text); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(state), &m.Meeting); err != nil {
			return err
		}
		m.Stream = votes.ProxyStream + m.Meeting.Meeting + "-" + holder
		event, err := votes.Codec.Decode(kind, text)
		m.Event = event
		list = append(list, m)
		return err
	}, `SELECT m.state, a.holder, a.revision, a.position, a.kind, a.event FROM mandate a JOIN meeting m ON m.id = a.meeting
		WHERE a.holder = ? OR EXISTS (SELECT 1 FROM voter v WHERE v.meeting = a.meeting AND v.person = ? AND v.entry = CAST(a.entry AS TEXT))
		ORDER BY a.position DESC`, person, person)
	return list, err
}

var mandateTable = readmodel.Table{Name: "mandate", Key: []string{"meeting", "holder", "revision"},
	Columns: []string{"meeting", "holder", "revision", "position", "entry", "kind", "event"}}

// mandate keeps an event of a holder's stream.
func (f *folding) mandate(r es.Recorded) error {
	id, holder, err := head(r.Stream)
	if err != nil {
		return err
	}
	var of struct {
		Entry string `json:"entry"`
	}
	if err := json.Unmarshal(r.Data, &of); err != nil {
		return err
	}
	entry, err := strconv.Atoi(of.Entry)
	f.mandates = append(f.mandates, []any{id, holder, int64(r.Revision), int64(r.Position), entry, r.Type, r.Data})
	return err
}

func isMandate(stream string) bool { return strings.HasPrefix(stream, votes.ProxyStream) }
