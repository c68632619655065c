package inspect_test

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// BenchmarkInspect decides ballots of live meetings again, most of what a ledger
// holds: on the frozen roll, by its head, in time. What is told besides is the time
// of the processor, for when others use it too, and the heap that is left for each:
// the sealed ballot, until it is counted.
func BenchmarkInspect(b *testing.B) {
	var estate string
	var before, ballots []es.Recorded
	b.Run("record", func(b *testing.B) { // a system of its own, which ends before anything is measured
		if len(ballots) == 0 {
			estate, before, ballots = record(b)
		}
	})
	if len(ballots) == 0 {
		b.Fatal("nothing was recorded")
	}
	b.Run("ballots", func(b *testing.B) {
		b.ReportAllocs()
		var busy time.Duration
		var left int64
		for range b.N {
			b.StopTimer()
			i, err := inspect.New(estate, nil)
			if err != nil {
				b.Fatal(err)
			}
			take(b, i, before)
			take(b, i, ballots[:warm]) // so that what was taken before is decided before the clock runs
			held, began := heap(), processor(b)
			b.StartTimer()
			take(b, i, ballots[warm:])
			found, _ := i.End()
			b.StopTimer()
			busy += processor(b) - began
			if len(found) > 0 {
				b.Fatal(found[0])
			}
			left = heap() - held
			runtime.KeepAlive(i)
			b.StartTimer()
		}
		b.StopTimer()
		n := float64(b.N) * float64(len(ballots)-warm)
		b.ReportMetric(n/b.Elapsed().Seconds(), "events/s")
		b.ReportMetric(float64(busy)/n, "cpu-ns/event")
		b.ReportMetric(float64(left)/float64(len(ballots)-warm), "heap-B/event")
	})
}

// warm is how many ballots are taken before the clock runs.
const warm = 10_000

func take(b *testing.B, i *inspect.Inspector, events []es.Recorded) {
	b.Helper()
	for _, e := range events {
		for _, x := range i.Take(e) {
			b.Fatal(x)
		}
	}
}

// record makes the events of an estate of many heads, and a ballot of each head in
// many meetings, as the service makes them.
func record(b *testing.B) (estate string, before, ballots []es.Recorded) {
	b.Helper()
	const heads, held = 2000, 60
	s := servicetest.New(b, parts...)
	s.Unruly = true
	estate = s.Estate("秀山花园")
	codes := make([]string, heads)
	for i := range codes {
		codes[i] = fmt.Sprintf("1-1-%d", i+1)
	}
	homes := s.Homes(estate, codes...)
	clerk := s.With(registry.Clerk, estate)
	now := s.Clock.Now()
	meetings := make([]string, held)
	for n := range meetings {
		meetings[n] = clerk.Post("/estates/"+estate+"/meetings", body{
			"title": "业主大会", "motions": []body{{"id": "M1", "title": "选聘物业服务人", "matter": "民法典278-1-4", "scope": "estate"}},
			"policy": body{"revote": votes.LastBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(201).ID()
		clerk.Post("/meetings/"+meetings[n]+"/roll", nil).Want(201)
		clerk.Post("/meetings/"+meetings[n]+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, 30)}).Want(201)
	}
	for e, err := range s.Store.ReadAll(b.Context(), 0) {
		if err != nil {
			b.Fatal(err)
		}
		before = append(before, e)
	}
	f := &forger{System: s, estate: estate}
	at := now.AddDate(0, 0, 17).UTC().Truncate(time.Microsecond)
	position := s.Store.Head()
	seen := position
	for _, meeting := range meetings {
		for h, home := range homes {
			at = at.Add(time.Millisecond)
			position += 1000
			commit := uuid.New()
			cast := votes.BallotCast{
				Ballot: uuid.NewSHA1(commit, []byte("id")).String(), Meeting: meeting, Entry: fmt.Sprint(h + 1), Channel: votes.Electronic, At: at,
				Motions: []string{"M1"}, Sealed: sealedOnce,
			}
			p := f.proposed(b, as{actor: home.Owner, commit: commit, seen: seen}, cast)
			ballots = append(ballots, es.Recorded{
				Stream: votes.BallotStream + meeting + "-" + cast.Entry, Position: position, ID: p.ID, Type: p.Type, Data: p.Data, Meta: p.Meta,
				Created: at.Add(5 * time.Millisecond),
			})
		}
	}
	return estate, before, ballots
}

// sealedOnce stands for what is sealed of a ballot, at its length.
var sealedOnce = codec.Sealed(strings.Repeat("A", 160))

func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // what pools had kept, too
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
