package es

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Codec names events and turns them into bytes and back. contracts/codec is one.
type Codec[E any] interface {
	Encode(E) (name string, data []byte, err error)
	Decode(name string, data []byte) (E, error)
}

// Command is a wish that may be refused. Decide must be pure: time, randomness
// and what other streams say come in with the command. Deciding no events
// means that the wish is already fulfilled.
type Command[S, E any] interface {
	Decide(S) ([]E, error)
}

// Timed is an event that says itself when it happened; any other happened when
// its command was given.
type Timed interface{ HappenedAt() time.Time }

// Request is what is known of a command before it is decided.
type Request struct {
	Commit   uuid.UUID // the same for every repeat of the request
	Hash     string    // the same for every repeat of the request, another for any other
	Actor    string
	Cause    string
	Seen     Position
	Happened time.Time
	Past     bool
	Trace    string
}

// Done is what became of a command.
type Done[E any] struct {
	Events   []E // as recorded; none where there was nothing to do
	IDs      []uuid.UUID
	Stream   string
	Revision uint64   // of the last event
	Position Position // of the last event; 0 where there was nothing to do
	Repeated bool     // the same request had been recorded before
}

// attempts is how often a command is decided before other writers win.
const attempts = 5

// Repo runs commands against the streams of one kind of state.
type Repo[S, E any] struct {
	Store     Store
	Committer Committer
	Prefix    string // of its streams, e.g. "meeting-"
	Codec     Codec[E]
	Evolve    func(S, E) S
}

// Load folds a stream into its state and returns how many events it holds.
func (r Repo[S, E]) Load(ctx context.Context, id string) (state S, length uint64, err error) {
	state, h, err := r.load(ctx, id, uuid.Nil)
	return state, h.length, err
}

// history is what load finds beside the state.
type history[E any] struct {
	length uint64
	events []E // those of the commit that was looked for
	raw    []Recorded
}

func (r Repo[S, E]) load(ctx context.Context, id string, commit uuid.UUID) (state S, h history[E], err error) {
	for rec, err := range r.Store.Read(ctx, r.Prefix+id, 0) {
		if err != nil {
			return state, h, fmt.Errorf("es: read %s%s: %w", r.Prefix, id, err)
		}
		event, err := r.Codec.Decode(rec.Type, rec.Data)
		if err != nil {
			return state, h, fmt.Errorf("es: %s%s@%d: %w", r.Prefix, id, rec.Revision, err)
		}
		state, h.length = r.Evolve(state, event), rec.Revision+1
		if commit == uuid.Nil {
			continue
		}
		meta, err := ParseMeta(rec.Meta)
		if err != nil {
			return state, h, fmt.Errorf("es: %s%s@%d: %w", r.Prefix, id, rec.Revision, err)
		}
		if meta.Commit == commit {
			h.events, h.raw = append(h.events, event), append(h.raw, rec)
		}
	}
	return state, h, nil
}

// Do loads the state, lets cmd decide, and has the decision recorded. A request
// that was recorded before gets its recorded events again, before any rule is
// asked.
//
// Errors: what Decide returned; ErrKeyReused, ErrConflict, ErrTooLarge,
// ErrNotSent, a *PendingError; or one of reading.
func (r Repo[S, E]) Do(ctx context.Context, id string, req Request, cmd Command[S, E]) (Done[E], error) {
	stream := r.Prefix + id
	for attempt := range attempts {
		state, h, err := r.load(ctx, id, req.Commit)
		if err != nil {
			return Done[E]{}, err
		}
		if len(h.raw) > 0 {
			return r.again(ctx, req, h, attempt)
		}
		events, err := cmd.Decide(state)
		if err != nil || len(events) == 0 {
			return Done[E]{Stream: stream}, err
		}
		commit, err := r.commit(stream, h.length, attempt, req, events)
		if err != nil {
			return Done[E]{}, err
		}
		outcome, err := r.Committer.Commit(ctx, commit)
		switch {
		case errors.Is(err, ErrPending):
			return Done[E]{}, &PendingError{stream, commit.ID, err}
		case err != nil:
			return Done[E]{}, err
		case outcome.Status == StatusRecorded && outcome.Event == commit.Events[len(events)-1].ID:
			return Done[E]{events, ids(commit.Events), stream, outcome.Revision, outcome.Position, false}, nil
		case outcome.Status == StatusRecorded, outcome.Status == StatusConflict:
			// Another writer, or an earlier attempt of this very request, was first: look again.
		case outcome.Status == StatusKeyReused:
			return Done[E]{}, ErrKeyReused
		default:
			return Done[E]{}, fmt.Errorf("es: %s refused by the ledger: %s", stream, outcome.Reason)
		}
	}
	return Done[E]{}, ErrConflict
}

// again answers a repeated request. Where the store does not tell positions of
// stream reads, the recorded commit is handed over once more: the ledger finds
// it and says where it stands.
func (r Repo[S, E]) again(ctx context.Context, req Request, h history[E], attempt int) (Done[E], error) {
	first, last := h.raw[0], h.raw[len(h.raw)-1]
	if meta, err := ParseMeta(first.Meta); err != nil || meta.Hash != req.Hash {
		return Done[E]{}, errors.Join(ErrKeyReused, err)
	}
	commit := Commit{ID: req.Commit, Attempt: attempt, Stream: first.Stream, Expected: first.Revision}
	for _, rec := range h.raw {
		commit.Events = append(commit.Events, Proposed{rec.ID, rec.Type, rec.Data, rec.Meta})
	}
	position := last.Position
	if position == 0 {
		outcome, err := r.Committer.Commit(ctx, commit)
		if errors.Is(err, ErrPending) {
			err = &PendingError{commit.Stream, commit.ID, err}
		}
		if err == nil && outcome.Status != StatusRecorded {
			err = fmt.Errorf("es: %s: recorded commit %s came back as %s", commit.Stream, commit.ID, outcome.Status)
		}
		if err != nil {
			return Done[E]{}, err
		}
		position = outcome.Position
	}
	return Done[E]{h.events, ids(commit.Events), first.Stream, last.Revision, position, true}, nil
}

func (r Repo[S, E]) commit(stream string, length uint64, attempt int, req Request, events []E) (Commit, error) {
	c := Commit{ID: req.Commit, Attempt: attempt, Stream: stream, Expected: length, Events: make([]Proposed, len(events))}
	for i, e := range events {
		happened := req.Happened
		if t, ok := any(e).(Timed); ok {
			happened = t.HappenedAt()
		}
		meta, err := json.Marshal(Meta{
			Commit: req.Commit, Cause: req.Cause, Hash: req.Hash, Actor: req.Actor, Seen: req.Seen,
			Happened: happened, Past: req.Past, Trace: req.Trace,
		})
		if err != nil {
			return Commit{}, fmt.Errorf("es: metadata: %w", err)
		}
		name, data, err := r.Codec.Encode(e)
		if err != nil {
			return Commit{}, fmt.Errorf("es: encode for %s: %w", stream, err)
		}
		c.Events[i] = Proposed{EventID(req.Commit, req.Hash, i, name, data, meta), name, data, meta}
	}
	if largest, total := c.Size(); largest > MaxEvent || total > MaxCommit {
		return Commit{}, ErrTooLarge
	}
	return c, nil
}

// EventID is the id of event i of a commit. It is derived from the request and
// from what was decided: the store recognises a repeat by ids alone, and a second
// decision of the same request must not pass for the first.
func EventID(commit uuid.UUID, hash string, i int, name string, data, meta []byte) uuid.UUID {
	h := sha256.New()
	var room [256]byte
	head := append(room[:0], hash...)
	head = strconv.AppendInt(append(head, '/'), int64(i), 10)
	head = append(append(head, '/'), name...)
	head = strconv.AppendInt(append(head, '/'), int64(len(data)), 10)
	h.Write(append(head, '/'))
	h.Write(data)
	h.Write(meta)
	return Derived(commit, h.Sum(room[:0]))
}

// Derived is uuid.NewSHA1, which leaves four pieces of garbage for each id: whoever
// decides a whole ledger again makes two for each event.
func Derived(space uuid.UUID, name []byte) (id uuid.UUID) {
	var room [len(space) + sha256.Size]byte
	sum := sha1.Sum(append(append(room[:0], space[:]...), name...))
	copy(id[:], sum[:])
	id[6] = id[6]&0x0f | 5<<4 // version 5
	id[8] = id[8]&0x3f | 0x80 // of RFC 9562
	return id
}

func ids(events []Proposed) []uuid.UUID {
	out := make([]uuid.UUID, len(events))
	for i, e := range events {
		out[i] = e.ID
	}
	return out
}
