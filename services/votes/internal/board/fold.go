package board

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// Kinds of rows in the table ballot.
const (
	kindCast     = "cast"
	kindRefused  = "refused"
	kindEnvelope = "envelope"
)

// ballotKinds are the rows that are ballots, and no envelopes, readings or mandates.
const ballotKinds = `kind IN ('` + kindCast + `', '` + kindRefused + `')`

var (
	unitTable = readmodel.Table{Name: "unit_version", Key: []string{"id", "since"},
		Columns: []string{"id", "since", "estate", "code", "building", "stair", "purpose", "area", "basis", "state"}}
	titleTable  = readmodel.Table{Name: "title_version", Key: []string{"id", "since"}, Columns: []string{"id", "since", "estate", "titles"}}
	entryTable  = readmodel.Table{Name: "roll_entry", Key: []string{"meeting", "entry"}, Columns: []string{"meeting", "entry", "area", "buildings", "by_scope", "posted"}}
	voterTable  = readmodel.Table{Name: "voter", Key: []string{"meeting", "person"}, Columns: []string{"meeting", "person", "entry", "reason"}}
	ballotTable = readmodel.Table{Name: "ballot", Key: []string{"meeting", "entry", "voter", "revision"},
		Columns: []string{"meeting", "entry", "voter", "revision", "position", "kind", "late", "amendments", "answers", "event"}}
	resultTable = readmodel.Table{Name: "result", Key: []string{"meeting", "number"}, Columns: []string{"meeting", "number", "posted"}}

	meetingRows = readmodel.Map[string, meetingRow]{
		Table: readmodel.Table{Name: "meeting", Key: []string{"id"}, Columns: []string{"id", "estate", "drafted", "open", "state", "summary"}},
		Fields: func(r *meetingRow) []any {
			return []any{&r.id, &r.estate, &r.drafted, &r.open, &r.state, &r.summary}
		},
	}
)

type meetingRow struct {
	id, estate     string
	drafted        int64
	open           bool
	state, summary string
}

// folding is one batch on its way into the tables.
type folding struct {
	*Tables
	tx       *readmodel.Tx
	rows     *readmodel.Rows[string, meetingRow]
	meetings map[string]*meeting.Meeting // decoded

	units, titles, ballots, deliveries, mandates [][]any // rows held back
}

func (b *Tables) fold(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	f := &folding{Tables: b, tx: tx, rows: meetingRows.In(tx), meetings: map[string]*meeting.Meeting{}}
	for _, r := range events {
		if err := f.event(ctx, r); err != nil {
			return fmt.Errorf("board: %s: %w", r.Type, err)
		}
	}
	return f.flush(ctx)
}

func (f *folding) event(ctx context.Context, r es.Recorded) error {
	if strings.HasPrefix(r.Stream, registry.UnitStream) {
		event, err := registry.Codec.Decode(r.Type, r.Data)
		if err != nil {
			return err
		}
		return f.registry(r, event)
	}
	if strings.HasPrefix(r.Stream, votes.ObjectionStream) {
		return f.objection(ctx, r)
	}
	if strings.HasPrefix(r.Stream, votes.ProcedureStream) {
		return f.procedure(ctx, r)
	}
	if kind, ok := deliveryKinds[r.Type]; ok {
		return f.delivery(r, kind)
	}
	if isMandate(r.Stream) {
		return f.mandate(r)
	}
	if !strings.HasPrefix(r.Stream, votes.MeetingStream) {
		return f.ballot(r)
	}
	event, err := votes.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	return f.meeting(ctx, r, event)
}

func (f *folding) registry(r es.Recorded, event registry.Event) error {
	unit := func(estate, id string, u registry.Unit) {
		f.units = append(f.units, []any{id, int64(r.Position), estate, u.Code, u.Building, u.Stair, u.Use, int64(u.Area), u.Basis, u.State})
	}
	titles := func(estate, id string, titles []registry.Title) error {
		text, err := json.Marshal(titles)
		f.titles = append(f.titles, []any{id, int64(r.Position), estate, string(text)})
		return err
	}
	switch e := event.(type) {
	case registry.UnitRegistered:
		unit(e.Estate, e.ID, e.Unit)
	case registry.UnitCorrected:
		unit(e.Estate, e.ID, e.Unit)
	case registry.TitlesStated:
		return titles(e.Estate, e.ID, e.Titles)
	case registry.TitlesCorrected:
		return titles(e.Estate, e.ID, e.Titles)
	default: // estates, people and tokens are in other streams
	}
	return nil
}

// get returns a meeting as of the event being folded.
func (f *folding) get(id string) (*meeting.Meeting, error) {
	m, ok := f.meetings[id]
	if ok {
		return m, nil
	}
	m = &meeting.Meeting{}
	if row, ok := f.rows.Get(id); ok {
		if err := json.Unmarshal([]byte(row.state), m); err != nil {
			return nil, err
		}
	}
	f.meetings[id] = m
	return m, nil
}

func (f *folding) meeting(ctx context.Context, r es.Recorded, event votes.Event) error {
	id := strings.TrimPrefix(r.Stream, votes.MeetingStream)
	m, err := f.get(id)
	if err != nil {
		return err
	}
	counted := m.Countable()
	*m = meeting.Evolve(*m, event)
	m.Times = m.Times.Note(*m, event, r.Created)
	state, err := json.Marshal(m)
	if err != nil {
		return err
	}
	row := f.rows.Edit(id)
	row.id, row.estate, row.state = id, m.Estate, string(state)
	row.open = m.Posted() && !m.Over()
	if e, ok := event.(votes.MeetingDrafted); ok && e.Meeting == id {
		row.drafted = int64(r.Position)
	}
	if err := f.step(ctx, id, r); err != nil {
		return err
	}
	if _, ok := event.(votes.RollFrozen); ok {
		if err := f.roll(ctx, *m); err != nil {
			return err
		}
	}
	if e, ok := event.(votes.RollAmended); ok {
		if _, joined := m.Joined(e.To); joined {
			if err := f.tx.Upsert(ctx, voterTable, [][]any{{id, e.Person, e.To, ""}}); err != nil {
				return err
			}
		}
	}
	if m.Countable() && (!counted || meeting.Recounts(event)) {
		return f.count(ctx, *m)
	}
	return nil
}

var errRoll = errors.New("the roll built again from the titles is not the one that was posted")

// roll builds the roll again from the titles that it was built from, for who is
// who in it. What is posted of it must come out the same.
func (f *folding) roll(ctx context.Context, m meeting.Meeting) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	list, err := unitsOf(ctx, f.tx, m.Estate, es.Position(m.Roll.SeenAt))
	if err != nil {
		return err
	}
	roll, err := meeting.BuildRoll(m.Meeting, list, m.Policy, m.Motions)
	if err != nil {
		return err
	}
	roll = roll.As(m.Roll.Form)
	if meeting.Hash(roll.Blob()) != m.Roll.Roll {
		return errRoll
	}
	for _, table := range []string{"roll_entry", "voter"} { // of a roll frozen before
		if _, err := f.tx.Exec(ctx, `DELETE FROM `+table+` WHERE meeting = ?`, m.Meeting); err != nil {
			return err
		}
	}
	var entries, voters [][]any
	for i, e := range roll.Public.Entries {
		row, err := entryRow(m.Meeting, i+1, e)
		if err != nil {
			return err
		}
		entries = append(entries, row)
	}
	for person, v := range roll.Voters {
		voters = append(voters, []any{m.Meeting, person, v.Entry, string(v.Reason)})
	}
	return errors.Join(f.tx.Upsert(ctx, entryTable, entries), f.tx.Upsert(ctx, voterTable, voters))
}

// entryRow is the row of an entry of a roll, by its number.
func entryRow(id string, number int, e votes.Entry) ([]any, error) {
	buildings, err := json.Marshal(e.Buildings)
	scopes := []byte{}
	if err == nil && len(e.ByScope) > 0 {
		scopes, err = json.Marshal(e.ByScope)
	}
	posted, failed := json.Marshal(e)
	return []any{id, number, int64(e.Area), string(buildings), string(scopes), string(posted)}, errors.Join(err, failed)
}

// count settles all ballots of a meeting: once, and again where one is set aside or
// restored for an objection.
func (f *folding) count(ctx context.Context, m meeting.Meeting) error {
	if err := f.flush(ctx); err != nil {
		return err
	}
	set, ok := rules.Named(m.Notice)
	if !ok {
		return fmt.Errorf("no rule set has the hash %s that the notice names", m.Notice.RuleHash)
	}
	open, err := opener(m)
	if err != nil {
		f.log.ErrorContext(ctx, "released key cannot be read", slog.String("meeting", m.Meeting), slog.Any("error", err)) // its ballots are void, and that can be seen
	}
	entries, err := weightsOf(ctx, f.tx, m.Meeting)
	if err != nil {
		return err
	}
	warned, err := f.warned(ctx, m, set, entries)
	if err != nil {
		return err
	}
	counter := meeting.NewCounter(m, warned)
	if counter.Holdings, err = holdingsOf(ctx, f.tx, m, open); err != nil {
		return err
	}
	came, err := envelopesOf(ctx, f.tx, m.Meeting)
	if err != nil {
		return err
	}
	err = eachHead(ctx, f.tx, m, open, func(head []Ballot) error {
		n, _ := strconv.Atoi(head[0].Entry)
		handed := meeting.Handed{Envelopes: came[n]}
		for _, b := range head {
			if b.Refused != nil {
				handed.Refused = append(handed.Refused, *b.Refused)
			} else {
				handed.Taken = append(handed.Taken, *b.Taken)
			}
		}
		delete(came, n)
		if n > 0 && n <= len(entries) {
			counter.Head(entries[n-1], handed)
		} else if e, ok := m.Joined(head[0].Entry); ok {
			counter.Head(e, handed)
		} else { // of someone who has no entry there are only refusals
			counter.Head(votes.Entry{}, meeting.Handed{Refused: handed.Refused})
		}
		return nil
	}, `1 = 1`)
	if err != nil {
		return err
	}
	for n, unopened := range came {
		if n > 0 && n <= len(entries) {
			counter.Head(entries[n-1], meeting.Handed{Envelopes: unopened})
		}
	}
	var results [][]any
	for i, r := range counter.Results(set) {
		text, err := json.Marshal(r)
		if err != nil {
			return err
		}
		results = append(results, []any{m.Meeting, i, string(text)})
	}
	if err := f.summarise(m.Meeting, counter.Summary); err != nil {
		return err
	}
	return f.tx.Upsert(ctx, resultTable, results)
}

// warned are the entries whose silence a rule may count: to whom the ballot was
// delivered with proof, and who were told what silence counts for.
func (f *folding) warned(ctx context.Context, m meeting.Meeting, set meeting.RuleSet, entries []votes.Entry) (map[string]votes.Entry, error) {
	if !m.Warns() {
		return nil, nil
	}
	all, err := reached(ctx, f.tx, m)
	list := map[string]votes.Entry{}
	for _, e := range entries {
		if set.Warned(all[e.Entry]) {
			list[e.Entry] = e
		}
	}
	return list, err
}

// envelopesOf returns when the envelopes of each entry came.
func envelopesOf(ctx context.Context, q readmodel.Querier, id string) (map[int][]time.Time, error) {
	came := map[int][]time.Time{}
	err := readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var entry int
		var text []byte
		if err := rows.Scan(&entry, &text); err != nil {
			return err
		}
		var e votes.PaperHandedIn
		err := json.Unmarshal(text, &e)
		came[entry] = append(came[entry], e.At)
		return err
	}, `SELECT entry, event FROM ballot WHERE meeting = ? AND kind = '`+kindEnvelope+`'`, id)
	return came, err
}

func (f *folding) summarise(id string, s meeting.Summary) error {
	text, err := json.Marshal(s)
	f.rows.Edit(id).summary = string(text)
	return err
}

// kinds are the events of a ballot by their stored names. What is neither a ballot
// nor an envelope is kept by its own.
var kinds = map[string]string{
	"ballot-cast.v1": kindCast, "ballot-refused.v1": kindRefused, "paper-handed-in.v1": kindEnvelope,
	"paper-entered.v1": "paper-entered.v1", "paper-disputed.v1": "paper-disputed.v1", "paper-voided.v1": "paper-voided.v1",
	"proxy-granted.v1": "proxy-granted.v1", "proxy-revoked.v1": "proxy-revoked.v1",
}

// ballot keeps a ballot as it was recorded. Most events of the service are
// ballots, so it reads of one no more than it needs.
func (f *folding) ballot(r es.Recorded) error {
	id, voter, err := head(r.Stream)
	if err != nil {
		return err
	}
	m, err := f.get(id)
	if err != nil {
		return err
	}
	kind, ok := kinds[r.Type]
	if !ok {
		return errors.New("no event of a ballot")
	}
	answered := 0
	if kind == kindCast || kind == kindRefused {
		if answered, err = answers(r.Data); err != nil {
			return err
		}
	}
	if m.Countable() && answered > 0 {
		if err := f.late(id, r.Data, answered); err != nil {
			return err
		}
	}
	entry := 0
	if strings.HasPrefix(r.Stream, votes.BallotStream) {
		if entry, err = strconv.Atoi(voter); err != nil {
			return err
		}
		voter = ""
	}
	f.ballots = append(f.ballots, []any{id, entry, voter, int64(r.Revision), int64(r.Position), kind, m.Closed, len(m.Amendments), answered, r.Data})
	return nil
}

// late adds a ballot to a count that is done: too late to count, not too late
// to be seen.
func (f *folding) late(id string, event []byte, answered int) error {
	var s meeting.Summary
	row, _ := f.rows.Get(id)
	if err := json.Unmarshal([]byte(row.summary), &s); err != nil {
		return err
	}
	var refused struct {
		Reason votes.Reason `json:"reason"`
	}
	if err := json.Unmarshal(event, &refused); err != nil {
		return err
	}
	s.Reject(cmp.Or(refused.Reason, votes.VotingIsClosed), answered)
	return f.summarise(id, s)
}

// answers counts the motions of a recorded ballot. To decode all of it takes
// half as long as writing its row, so this looks for the one list of strings;
// within a string of JSON its name could not stand unescaped.
func answers(event []byte) (n int, err error) {
	_, list, _ := bytes.Cut(event, []byte(`"motions":[`))
	inside := false
	for i := 0; i < len(list); i++ {
		switch c := list[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			if inside = !inside; inside {
				n++
			}
		case !inside && c == ']':
			return n, nil
		}
	}
	var e struct { // written otherwise than our codec does
		Motions []string `json:"motions"`
	}
	err = json.Unmarshal(event, &e)
	return len(e.Motions), err
}

// head takes the name of a stream of ballots or of mandates apart: the meeting,
// whose id has 36 letters, and the entry, the voter or the holder.
func head(stream string) (id, voter string, err error) {
	rest, ok := strings.CutPrefix(stream, votes.BallotStream)
	if !ok {
		rest, ok = strings.CutPrefix(stream, votes.RefusalStream)
	}
	if !ok {
		rest, ok = strings.CutPrefix(stream, votes.ProxyStream)
	}
	const letters = 36
	if !ok || len(rest) <= letters+1 || rest[letters] != '-' {
		return "", "", fmt.Errorf("no stream of ballots: %s", stream)
	}
	return rest[:letters], rest[letters+1:], nil
}

// flush writes the rows held back. None of them ever changes.
func (f *folding) flush(ctx context.Context) error {
	err := errors.Join(
		f.tx.InsertMissing(ctx, unitTable, f.units),
		f.tx.InsertMissing(ctx, titleTable, f.titles),
		f.tx.InsertMissing(ctx, ballotTable, f.ballots),
		f.tx.InsertMissing(ctx, deliveryTable, f.deliveries),
		f.tx.InsertMissing(ctx, mandateTable, f.mandates),
	)
	f.units, f.titles, f.ballots = f.units[:0], f.titles[:0], f.ballots[:0]
	f.deliveries, f.mandates = f.deliveries[:0], f.mandates[:0]
	return err
}

// decodeBallot reads a row of the table ballot.
func decodeBallot(kind string, text []byte) (votes.Event, error) {
	switch kind {
	case kindCast:
		return decodeCast(text)
	case kindRefused:
		return decode[votes.BallotRefused](text)
	case kindEnvelope:
		return decode[votes.PaperHandedIn](text)
	}
	return votes.Codec.Decode(kind, text)
}

// decodeCast has the codec read a ballot, which knows a short way.
func decodeCast(text []byte) (votes.BallotCast, error) {
	event, err := votes.Codec.Decode("ballot-cast.v1", text)
	cast, _ := event.(votes.BallotCast)
	return cast, err
}

func decode[E votes.Event](text []byte) (votes.Event, error) {
	var e E
	err := json.Unmarshal(text, &e)
	return e, err
}

// openFunc puts the choices of a ballot in clear, where they may be.
type openFunc func(*meeting.Taken)

// SealedField names the field that a ballot's choices are sealed as, so that
// the ciphertext of one ballot does not pass for another's.
func SealedField(ballot string) string { return "choices/" + ballot }

// opener opens a meeting's ballots: those of the past are in clear, those of a
// live one need the key that was released, and until then stay closed. A ballot
// that cannot be opened has no choices, and does not count.
func opener(m meeting.Meeting) (openFunc, error) {
	switch {
	case m.Past:
		return func(t *meeting.Taken) { t.Opened = true }, nil
	case m.Key == "":
		return func(*meeting.Taken) {}, nil
	}
	open, err := vault.NewOpener(m.Key, vault.MeetingKey(m.Meeting))
	if err != nil {
		return func(t *meeting.Taken) { t.Opened = true }, err
	}
	return func(t *meeting.Taken) {
		t.Opened, t.Choices = true, nil
		if text, err := open(SealedField(t.Ballot), string(t.Sealed)); err != nil || json.Unmarshal(text, &t.Choices) != nil {
			t.Choices = nil
		}
	}, nil
}
