// Package api serves the trail: every event as it is stored, and what became of
// a command.
package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/ledger/internal/board"
)

// Event is one event of the trail. Sealed fields stand in data as they are stored.
type Event struct {
	Position es.Position     `json:"position,omitempty" doc:"place in the one order of all events; absent where the store does not tell it on stream reads"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision" doc:"0 for the first event of a stream"`
	ID       uuid.UUID       `json:"id"`
	Type     string          `json:"type"`
	Happened time.Time       `json:"happened" doc:"when it happened"`
	Recorded time.Time       `json:"recorded" doc:"when the ledger recorded it"`
	Data     json.RawMessage `json:"data"`
	Meta     json.RawMessage `json:"meta"`
	Hash     string          `json:"hash" doc:"SHA-256 of the stored bytes of data, hex"`
}

// Events is a page of the trail.
type Events struct {
	Body struct {
		Items []Event `json:"items"`
		Next  uint64  `json:"next,omitempty" doc:"where to read on, as after of all events or as from of a stream; absent at the end"`
	}
}

var errNoSuchStream = problem.NotFound("no-such-stream", "the ledger has no stream of this name")

// Register adds the ledger's routes. prefixes are the streams that are the
// ledger; whatever else the store holds is not shown.
func Register(api huma.API, store es.Store, public service.Blobs, trail *board.Board, prefixes []string) {
	ours := func(stream string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(stream, p) })
	}
	huma.Register(api, service.Query("events", "/ledger/events", "Every event in order"), func(ctx context.Context, in *struct {
		After es.Position `query:"after" doc:"position to read on from; 0 is the beginning"`
		Limit int         `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	}) (*Events, error) {
		return page(store.ReadAll(ctx, in.After, prefixes...), in.Limit, func(last Event) uint64 { return uint64(last.Position) })
	})

	huma.Register(api, service.Query("stream", "/ledger/streams/{stream}", "The events of one stream"), func(ctx context.Context, in *struct {
		Stream string `path:"stream"`
		From   uint64 `query:"from" doc:"revision to begin with"`
		Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"1000"`
	}) (*Events, error) {
		if !ours(in.Stream) {
			return nil, errNoSuchStream
		}
		out, err := page(store.Read(ctx, in.Stream, in.From), in.Limit, func(last Event) uint64 { return last.Revision + 1 })
		if err == nil && in.From == 0 && len(out.Body.Items) == 0 {
			return nil, errNoSuchStream
		}
		return out, err
	})

	huma.Register(api, service.Query("search", "/ledger/search", "Events by what is known of them, the latest first"), func(ctx context.Context, in *struct {
		Event  uuid.UUID `query:"event" doc:"its id"`
		Estate string    `query:"estate" maxLength:"200"`
		Stream string    `query:"stream" maxLength:"400"`
		Type   string    `query:"type" maxLength:"200" doc:"stored name, such as ballot-cast.v1"`
		Actor  string    `query:"actor" maxLength:"400"`
		About  string    `query:"about" maxLength:"400" doc:"stream of a meeting or an agreement: events of other streams about it"`
		By     string    `query:"by" enum:"recorded,happened" default:"recorded" doc:"which of its times since and until are of"`
		Since  time.Time `query:"since"`
		Until  time.Time `query:"until" doc:"this instant is not included"`
		Before uint64    `query:"before" doc:"leaf to read on from, towards the past; 0 is the end"`
		Limit  int       `query:"limit" minimum:"1" maximum:"200" default:"50"`
	}) (*Found, error) {
		s := board.Search{Event: in.Event, Estate: in.Estate, Stream: in.Stream, Type: in.Type, Actor: in.Actor, About: in.About, Before: in.Before, Limit: in.Limit}
		if span := (board.Span{Since: in.Since, Until: in.Until}); in.By == "happened" {
			s.Happened = span
		} else {
			s.Recorded = span
		}
		p, err := trail.Search(ctx, s)
		return &Found{FoundBody{p.Entries, p.Next}}, err
	})

	huma.Register(api, service.Query("links", "/ledger/streams/{stream}/links", "What led to the events of a stream, and what they led to elsewhere"), func(ctx context.Context, in *struct {
		Stream string `path:"stream" maxLength:"400"`
	}) (*Links, error) {
		if !ours(in.Stream) {
			return nil, errNoSuchStream
		}
		l, err := trail.Links(ctx, in.Stream)
		return &Links{LinksBody{l.Entries, l.More, l.About}}, err
	})

	huma.Register(api, service.Query("operation", "/operations/{stream}/{commit}", "What became of a command"), func(ctx context.Context, in *struct {
		Stream string    `path:"stream"`
		Commit uuid.UUID `path:"commit"`
	}) (*Operation, error) {
		if !ours(in.Stream) {
			return nil, errNoSuchStream
		}
		return operation(ctx, store, in.Stream, in.Commit)
	})

	huma.Register(api, service.Query("blob", "/blobs/{hash}", "A public file by its SHA-256"), func(ctx context.Context, in *struct {
		Hash string `path:"hash" pattern:"^[0-9a-f]{64}$"`
	}) (*Blob, error) {
		data, err := public.Get(ctx, in.Hash)
		if errors.Is(err, blobs.ErrNotFound) {
			return nil, problem.NotFound("no-such-blob", "no public file has this hash")
		}
		if err != nil {
			return nil, err
		}
		return &Blob{"application/octet-stream", "public, max-age=31536000, immutable", data}, nil
	})
}

// Found is what a search found.
type Found struct{ Body FoundBody }

// FoundBody is a page of what was found.
type FoundBody struct {
	Items []board.Entry `json:"items"`
	Next  uint64        `json:"next,omitempty" doc:"what to read on from, as before; absent where nothing is left. A search looks at 20,000 events at most, so a page may be short, or empty, and have a next"`
}

// Links is how a stream hangs together with others.
type Links struct{ Body LinksBody }

// LinksBody lists events of other streams.
type LinksBody struct {
	Items []board.Entry `json:"items" doc:"in their order: causes, effects, and what hangs on these; 200 at most"`
	More  bool          `json:"more,omitempty" doc:"there are more"`
	About []board.Kind  `json:"about" doc:"how many events of other streams are about this meeting or agreement; search by about for them"`
}

// Blob is a public file.
type Blob struct {
	ContentType string `header:"Content-Type"`
	Cache       string `header:"Cache-Control"`
	Body        []byte
}

// Operation says what became of a command.
type Operation struct {
	Body struct {
		State    string      `json:"state" enum:"recorded,not-so-far" doc:"not-so-far: repeat the command with the same key; that is always safe"`
		Stream   string      `json:"stream"`
		Commit   uuid.UUID   `json:"commit"`
		Revision uint64      `json:"revision,omitempty"`
		Position es.Position `json:"position,omitempty"`
		Events   []uuid.UUID `json:"events,omitempty"`
	}
}

func operation(ctx context.Context, store es.Store, stream string, commit uuid.UUID) (*Operation, error) {
	out := &Operation{}
	out.Body.State, out.Body.Stream, out.Body.Commit = "not-so-far", stream, commit
	for r, err := range store.Read(ctx, stream, 0) {
		if err != nil {
			return nil, err
		}
		meta, err := es.ParseMeta(r.Meta)
		if err != nil {
			return nil, err
		}
		if meta.Commit == commit {
			out.Body.State, out.Body.Revision, out.Body.Position = "recorded", r.Revision, r.Position
			out.Body.Events = append(out.Body.Events, r.ID)
		}
	}
	return out, nil
}

// page takes at most limit events; next says where the page after it begins.
func page(events iter.Seq2[es.Recorded, error], limit int, next func(last Event) uint64) (*Events, error) {
	out := &Events{}
	out.Body.Items = []Event{}
	for r, err := range events {
		if err != nil {
			return nil, err
		}
		if len(out.Body.Items) == limit {
			out.Body.Next = next(out.Body.Items[limit-1])
			break
		}
		meta, err := es.ParseMeta(r.Meta)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(r.Data)
		out.Body.Items = append(out.Body.Items, Event{
			r.Position, r.Stream, r.Revision, r.ID, r.Type, meta.Happened, r.Created, r.Data, r.Meta, hex.EncodeToString(sum[:]),
		})
	}
	return out, nil
}
