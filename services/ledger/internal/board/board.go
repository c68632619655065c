// Package board is the ledger's read model, the trail: a row for each event,
// with its number and what it is searched by. What an event says is in the store
// alone.
package board

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Board answers queries.
type Board struct {
	*readmodel.Runner
	db *readmodel.DB
}

// New prepares the table; Run of the board's Runner fills it. prefixes are the
// streams that the transparency log is of: leaves are counted as it counts them.
func New(ctx context.Context, db *readmodel.DB, store es.Store, log *slog.Logger, prefixes []string) (*Board, error) {
	return &Board{readmodel.NewRunner(db, store, log, readmodel.Projection{
		Name: "ledger", Prefixes: prefixes, Tables: []string{trail.Name}, Fold: fold,
	}), db}, db.Migrate(ctx, migrations)
}

var trail = readmodel.Table{Name: "trail", Key: []string{"leaf"}, Columns: []string{
	"leaf", "event", "position", "stream", "revision", "type", "estate", "about", "actor", "happened", "recorded", "cause",
}}

// row is an event as it stands in the table.
type row struct {
	leaf, position, revision, happened, recorded int64
	event, stream, kind, estate, about, actor    string
	cause                                        string
}

func (r *row) fields() []any {
	return []any{&r.leaf, &r.event, &r.position, &r.stream, &r.revision, &r.kind, &r.estate, &r.about, &r.actor, &r.happened, &r.recorded, &r.cause}
}

// fold takes every event, whatever it holds: a trail leaves nothing out, least
// of all what should not be there.
func fold(ctx context.Context, tx *readmodel.Tx, events []es.Recorded) error {
	var next int64
	if err := tx.QueryRow(ctx, `SELECT COALESCE(MAX(leaf) + 1, 0) FROM trail`).Scan(&next); err != nil {
		return err
	}
	list := make([]row, len(events))
	estates := map[string]string{} // by stream, of its first event
	var asked []any
	for i, e := range events {
		r := read(e)
		r.leaf = next + int64(i)
		list[i] = r
		for _, stream := range []string{r.stream, r.about} {
			if _, known := estates[stream]; r.estate == "" && stream != "" && !known {
				estates[stream] = ""
				if stream == r.stream && r.revision == 0 {
					continue // this is the first event
				}
				asked = append(asked, stream)
			}
		}
	}
	for some := range slices.Chunk(asked, 500) {
		err := readmodel.Each(ctx, tx, func(rows *sql.Rows) error {
			var stream, estate string
			err := rows.Scan(&stream, &estate)
			estates[stream] = estate
			return err
		}, `SELECT stream, estate FROM trail WHERE revision = 0 AND stream IN (?`+strings.Repeat(", ?", len(some)-1)+`)`, some...)
		if err != nil {
			return err
		}
	}
	rows := make([][]any, len(list))
	for i := range list {
		r := &list[i]
		if r.estate == "" {
			r.estate = estates[r.stream]
		}
		if r.estate == "" {
			r.estate = estates[r.about]
		}
		if r.revision == 0 {
			estates[r.stream] = r.estate
		}
		rows[i] = r.fields()
	}
	return tx.InsertMissing(ctx, trail, rows)
}

// read takes from an event what it tells, and nothing where it cannot be read.
func read(e es.Recorded) row {
	var data struct {
		Estate    string `json:"estate"`
		Meeting   string `json:"meeting"`
		Agreement string `json:"agreement"`
	}
	_ = json.Unmarshal(e.Data, &data)
	meta := readMeta(e.Meta)
	r := row{
		event: e.ID.String(), position: int64(e.Position), stream: clipped(e.Stream), revision: int64(e.Revision), kind: clipped(e.Type),
		estate: clipped(data.Estate), actor: clipped(meta.Actor), recorded: e.Created.UnixMicro(),
	}
	if !meta.Happened.IsZero() {
		r.happened = meta.Happened.UnixMicro()
	}
	// A deadline's key is no event, and of what a reaction was refused the event
	// comes after a word.
	if id, err := uuid.Parse(strings.TrimPrefix(meta.Cause, "refused/")); err == nil {
		r.cause = id.String()
	}
	switch {
	case data.Meeting != "":
		r.about = clipped(votes.MeetingStream + data.Meeting)
	case data.Agreement != "":
		r.about = clipped(agreements.AgreementStream + data.Agreement)
	}
	if r.about == r.stream {
		r.about = ""
	}
	return r
}

// metadata is what the trail tells of an event's metadata.
type metadata struct {
	Cause    string    `json:"$causationId"`
	Actor    string    `json:"actor"`
	Happened time.Time `json:"happened"`
}

func readMeta(b []byte) (m metadata) {
	if whole, err := es.ParseMeta(b); err == nil {
		return metadata{whole.Cause, whole.Actor, whole.Happened}
	}
	_ = json.Unmarshal(b, &m) // what of it can be read
	return m
}

// clipped makes of a name what both databases keep and can index.
func clipped(name string) string {
	const longest = 400 // bytes; ours have less than half of that
	if len(name) > longest {
		name = name[:longest]
	}
	return strings.ToValidUTF8(strings.ReplaceAll(name, "\x00", "\uFFFD"), "\uFFFD")
}
