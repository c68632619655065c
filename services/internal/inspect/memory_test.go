package inspect_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// reading is an estate where a clerk reads one owner's data again and again: events
// that are decided by the roles of that time, and after which nothing is otherwise.
type reading struct {
	forger
	before        []es.Recorded
	clerk, person string
}

func newReading(t testing.TB) *reading {
	t.Helper()
	s := servicetest.New(t, parts...)
	s.Unruly = true
	r := &reading{forger: forger{System: s, estate: s.Estate("秀山花园")}}
	r.person = s.Homes(r.estate, "1-101", "1-102", "1-103")[0].Owner
	r.clerk, _ = s.Someone(r.estate, registry.Clerk)
	for e, err := range s.Store.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		r.before = append(r.before, e)
	}
	return r
}

// held decides n of these events, and returns the bytes of heap that are left, and
// how many bytes were decided.
func (r *reading) held(t testing.TB, n int) (left, decided int64) {
	t.Helper()
	began := heap()
	i, err := inspect.New(r.estate, nil)
	if err != nil {
		t.Fatal(err)
	}
	take := func(e es.Recorded) {
		for _, f := range i.Take(e) {
			t.Fatal(f)
		}
		decided += int64(len(e.Data) + len(e.Meta))
	}
	revision := uint64(0)
	for _, e := range r.before {
		if e.Stream == registry.PersonStream+r.person {
			revision = e.Revision + 1
		}
		take(e)
	}
	at, position := r.Clock.Now().UTC().Truncate(time.Microsecond), r.Store.Head()
	for range n {
		at, position = at.Add(time.Millisecond), position+1000
		p := r.proposed(t, as{actor: r.clerk, commit: uuid.New()}, registry.PersonalDataRead{
			Person: r.person, Reader: r.clerk, Fields: []string{"name"}, Reason: registry.ForNotice, At: at,
		})
		take(es.Recorded{
			Stream: registry.PersonStream + r.person, Revision: revision, Position: position, ID: p.ID, Type: p.Type, Data: p.Data, Meta: p.Meta,
			Created: at.Add(time.Millisecond),
		})
		revision++
	}
	if found, _ := i.End(); len(found) > 0 {
		t.Fatal(found[0])
	}
	left = heap() - began
	runtime.KeepAlive(i)
	return left, decided
}

// What is left of a commit that changes nothing is half its id, in a table.
func TestMemoryGrowsWithTheStateAndNotWithTheEvents(t *testing.T) {
	const few, many, most = 4_000, 24_000, 64 // bytes an event
	r := newReading(t)
	r.held(t, few) // what is made once
	for range 3 {  // the system that made them is still there, and takes memory when it likes
		a, _ := r.held(t, few)
		b, decided := r.held(t, many)
		each := (b - a) / (many - few)
		t.Logf("%d B are left of %d events and %d B of %d: %d B of each, of %d B", a, few, b, many, each, decided/many)
		if each <= most {
			return
		}
	}
	t.Errorf("more than %d B are left of each event", most)
}

// BenchmarkMemory tells what is left of the heap after 200,000 events and after
// 800,000, of the same state.
func BenchmarkMemory(b *testing.B) {
	r := newReading(b)
	r.held(b, 1000) // what is made once
	for range b.N {
		few, _ := r.held(b, 200_000)
		many, decided := r.held(b, 800_000)
		b.ReportMetric(float64(many-few)/600_000, "B/event")
		b.ReportMetric(float64(few)/1e6, "MB-of-200k")
		b.ReportMetric(float64(many)/1e6, "MB-of-800k")
		b.ReportMetric(float64(decided)/1e6, "MB-decided")
	}
}
