package readmodel

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Past builds read models as they were at a position of the ledger, for whoever
// looks back: what a projection folds up to there, and nothing after it, in a
// database in memory. It asks the store alone, so it does not matter which
// instance of a service is asked, and whether its own read model was rebuilt.
type Past[B any] struct {
	store es.Store
	build func(context.Context, *DB) (B, Projection, error)

	building chan struct{} // room for those that are built at a time
	mu       sync.Mutex
	moments  []*moment[B] // the latest asked for comes last
	resting  *time.Timer  // until it is looked whether anybody asks for them still
}

// Moment is a read model as it was.
type Moment[B any] struct {
	Model    B         // only to be read, and until Release is called
	Recorded time.Time // when its last event was recorded; zero where it has none
	Release  func()
}

// moment is one subject at one position.
type moment[B any] struct {
	subject  string
	at       es.Position
	users    int
	used     time.Time     // last
	built    chan struct{} // closed once the rest is set
	db       *DB
	size     int64 // bytes of db
	model    B
	recorded time.Time
	err      error
}

const (
	builders    = 2   // of moments at a time: each reads the ledger
	mostMoments = 128 // that are asked for
	buildWithin = time.Minute

	// What is kept, about, of moments that nobody reads: so many, of so many bytes
	// together, for so long. The last one is kept in any size: whoever looks back asks
	// for one figure of it after the other.
	moments      = 16
	momentsBytes = 64 << 20
	momentsRest  = time.Minute
)

// ErrBusy says that more is asked for than is built in any useful time.
var ErrBusy = errors.New("readmodel: too many look back")

// NewPast returns a Past of one kind of read model. build makes it on an empty
// database, and returns with it the projection that is folded.
func NewPast[B any](store es.Store, build func(context.Context, *DB) (B, Projection, error)) *Past[B] {
	return &Past[B]{store: store, build: build, building: make(chan struct{}, builders)}
}

// At returns the read model of a subject, such as an estate, as it was at a
// position, which the ledger must have reached. concerns says by its first event
// whether a stream is of the subject; others are not folded.
func (p *Past[B]) At(ctx context.Context, subject string, at es.Position, concerns func(first es.Recorded) bool) (Moment[B], error) {
	m, fresh := p.take(subject, at)
	if m == nil {
		return Moment[B]{}, ErrBusy
	}
	release := sync.OnceFunc(func() { p.give(m) })
	if fresh {
		// Others may come to wait for it, so it does not end with who asked first.
		go p.fill(context.WithoutCancel(ctx), m, concerns)
	}
	select {
	case <-m.built:
	case <-ctx.Done():
		release()
		return Moment[B]{}, ctx.Err()
	}
	if m.err != nil {
		release()
		return Moment[B]{}, fmt.Errorf("readmodel: %s at %d: %w", subject, at, m.err)
	}
	return Moment[B]{m.model, m.recorded, release}, nil
}

// take returns a moment, and whether it is new and must be filled; nil where
// there are too many.
func (p *Past[B]) take(subject string, at es.Position) (m *moment[B], fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.moments, func(m *moment[B]) bool { return m.subject == subject && m.at == at })
	if i >= 0 {
		m = p.moments[i]
		p.moments = append(slices.Delete(p.moments, i, i+1), m)
	} else if len(p.moments) == mostMoments {
		return nil, false
	} else {
		m, fresh = &moment[B]{subject: subject, at: at, built: make(chan struct{})}, true
		m.users++ // whoever fills it
		p.moments = append(p.moments, m)
	}
	m.users++
	m.used = time.Now()
	p.forget(m.used)
	return m, fresh
}

// abandoned says whether nobody waits any more for a moment to be filled.
func (p *Past[B]) abandoned(m *moment[B]) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return m.users == 1
}

// give returns a moment.
func (p *Past[B]) give(m *moment[B]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.users--
	m.used = time.Now()
	p.forget(m.used)
}

// forget closes what is too old or too much, or is an error, and nobody uses. The
// lock is held.
func (p *Past[B]) forget(now time.Time) {
	over, held := len(p.moments)-moments, int64(0)
	for _, m := range p.moments {
		if m.users == 0 {
			held += m.size
		}
	}
	last := p.moments[len(p.moments)-1]
	p.moments = slices.DeleteFunc(p.moments, func(m *moment[B]) bool {
		tooMuch := over > 0 || held > momentsBytes && m != last
		if m.users > 0 || !tooMuch && m.err == nil && now.Sub(m.used) < momentsRest {
			return false
		}
		over, held = over-1, held-m.size
		if m.db != nil {
			_ = m.db.Close() // it is in memory, and nobody reads it any more
		}
		return true
	})
	if p.resting == nil && len(p.moments) > 0 {
		p.resting = time.AfterFunc(momentsRest, p.rest)
	}
}

// rest forgets what nobody asks for any more.
func (p *Past[B]) rest() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resting = nil
	if len(p.moments) > 0 {
		p.forget(time.Now())
	}
}

func (p *Past[B]) fill(ctx context.Context, m *moment[B], concerns func(es.Recorded) bool) {
	ctx, cancel := context.WithTimeout(ctx, buildWithin)
	defer cancel()
	defer p.give(m)
	defer close(m.built)
	p.building <- struct{}{}
	defer func() { <-p.building }()
	if p.abandoned(m) {
		m.err = context.Canceled
		return
	}
	db, err := openMemory(ctx)
	if err != nil {
		m.err = err
		return
	}
	m.db = db
	var projection Projection
	if m.model, projection, m.err = p.build(ctx, db); m.err != nil {
		return
	}
	m.err = db.Update(ctx, func(tx *Tx) error {
		events := make([]es.Recorded, 0, gather)
		fold := func() error {
			if len(events) == 0 {
				return nil
			}
			if err := projection.Fold(ctx, tx, events); err != nil {
				return err
			}
			events = events[:0]
			return tx.Flush()
		}
		ours := map[streamKey]bool{} // streams, by whether they are of the subject
		for e, err := range p.store.ReadAll(ctx, 0, projection.Prefixes...) {
			if err != nil {
				return err
			}
			if e.Position > m.at {
				break
			}
			key := hashOf(e.Stream)
			of, known := ours[key]
			if !known {
				of = concerns(e)
				ours[key] = of
			}
			if !of {
				continue
			}
			m.recorded = e.Created
			if events = append(events, e); len(events) == gather {
				if err := fold(); err != nil {
					return err
				}
			}
		}
		return fold()
	})
	if m.err == nil {
		m.err = db.QueryRow(ctx, `SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()`).Scan(&m.size)
	}
}

// streamKey stands for the name of a stream: two hashes, each by a seed that nobody
// knows, so no two names share one. Of the hundreds of thousands of streams of a
// large estate the names would take several times as much room.
type streamKey [2]uint64

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

func hashOf(stream string) streamKey {
	return streamKey{maphash.String(seeds[0], stream), maphash.String(seeds[1], stream)}
}
