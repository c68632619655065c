// Package es stores state as streams of events.
//
// A service describes its state with three plain things: event structs listed
// in a [Codec], an Evolve function, and commands with a Decide method. [Repo]
// does the rest: load, decide, hand the decision over as one [Commit], and
// decide again when another writer was first.
//
// The package holds no technology: pebblestore and esdb implement [Store],
// commitpath implements [Committer]. It knows nothing of HTTP and of estates.
package es

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/google/uuid"
)

// Errors of a Store. Any error of Append but the first two leaves open whether
// the events were written; repeating the same Append is always safe and settles it.
var (
	// ErrWrongRevision says the stream does not hold exactly the expected
	// number of events, so nothing was written.
	ErrWrongRevision = errors.New("es: wrong expected revision")
	// ErrTooLarge says an event or commit is over [MaxEvent] or [MaxCommit].
	ErrTooLarge = errors.New("es: event or commit too large")
	// ErrUnavailable says that the store cannot be reached now, or has no leader.
	ErrUnavailable = errors.New("es: store cannot be reached")
)

// Sizes in bytes, of data and metadata together. Larger things are blobs named by hash.
const (
	MaxEvent  = 64 << 10
	MaxCommit = 512 << 10
)

// Position is a place in the one order of all events: the store's commit
// position. It increases and has gaps; it counts nothing. Zero is before the
// first event, and "unknown" on a [Recorded] that came from Read.
type Position uint64

// Proposed is an event on its way into a stream.
type Proposed struct {
	ID   uuid.UUID // names the event for ever; a repeated Append is recognised by it
	Type string    // stored name, see contracts/codec
	Data []byte    // JSON
	Meta []byte    // JSON, see [Meta]
}

// Recorded is an event as the store returned it. Data and Meta are never
// changed after they were written; hashes are taken over these bytes.
type Recorded struct {
	Stream   string
	Revision uint64   // 0 for the first event of a stream, the number every EventStoreDB client sees
	Position Position // 0 where the store does not tell: EventStoreDB does so on stream reads
	ID       uuid.UUID
	Type     string
	Data     []byte
	Meta     []byte
	Created  time.Time // when the store recorded it, UTC
}

// Store is an append-only set of streams. Implementations must pass estest.Store.
//
// Streams whose names start with $ are the store's own: reads of all events
// leave them and links out.
type Store interface {
	// Append adds events if the stream holds exactly expected events, all or
	// none, and returns the position of the last one once they are on disk.
	// A repeated Append (the same event ids in the same order at the same
	// expected) writes nothing and returns the position of the first time;
	// a partly equal one is ErrWrongRevision.
	Append(ctx context.Context, stream string, expected uint64, events ...Proposed) (Position, error)

	// Read yields the events of a stream from a revision on, in order, and
	// ends; a missing stream is empty. An error is yielded once, last.
	Read(ctx context.Context, stream string, from uint64) iter.Seq2[Recorded, error]

	// ReadAll yields the events after a position in their one order, and ends
	// where the store ended when it was called. Only streams that start with
	// one of prefixes are read; no prefixes means all streams.
	ReadAll(ctx context.Context, after Position, prefixes ...string) iter.Seq2[Recorded, error]

	// Follow yields what ReadAll yields and then waits for more, for ever: it
	// ends only with an error, that of ctx included. Consumers resume from
	// the last Through they kept.
	Follow(ctx context.Context, after Position, prefixes ...string) iter.Seq2[Batch, error]
}

// Batch is a run of followed events.
type Batch struct {
	Events []Recorded // in order, at most a few thousand; may be empty
	// Through says that every matching event at or before it has been yielded.
	// It passes each acknowledged position within a second, also where
	// nothing matched.
	Through Position
}
