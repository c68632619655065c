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

// BenchmarkInspect decides ballots of a live meeting again, most of what a ledger
// holds: on the frozen roll, by its head, in time. What is told besides is the time
// of the processor, for when others use it too, and the heap that is left for each:
// the sealed ballot, until it is counted.
func BenchmarkInspect(b *testing.B) {
	const heads = 2000
	s := servicetest.New(b, parts...)
	s.Unruly = true
	estate := s.Estate("秀山花园")
	codes := make([]string, heads)
	for i := range codes {
		codes[i] = fmt.Sprintf("1-1-%d", i+1)
	}
	homes := s.Homes(estate, codes...)
	clerk := s.With(registry.Clerk, estate)
	now := s.Clock.Now()
	meetings := make([]string, b.N/heads+1)
	for n := range meetings {
		meetings[n] = clerk.Post("/estates/"+estate+"/meetings", body{
			"title": "业主大会", "motions": []body{{"id": "M1", "title": "选聘物业服务人", "matter": "民法典278-1-4", "scope": "estate"}},
			"policy": body{"revote": votes.LastBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(201).ID()
		clerk.Post("/meetings/"+meetings[n]+"/roll", nil).Want(201)
		clerk.Post("/meetings/"+meetings[n]+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, 30)}).Want(201)
	}
	var events []es.Recorded
	for e, err := range s.Store.ReadAll(b.Context(), 0) {
		if err != nil {
			b.Fatal(err)
		}
		events = append(events, e)
	}

	// Ballots as the service makes them, without their way to the store.
	f := &forger{System: s, estate: estate}
	at := now.AddDate(0, 0, 17).UTC().Truncate(time.Microsecond)
	position := s.Store.Head()
	seen := position
	ballots := make([]es.Recorded, 0, b.N)
	for n := range b.N {
		h, meeting := n%heads, meetings[n/heads]
		at = at.Add(time.Millisecond)
		position += 1000
		commit := uuid.New()
		id := uuid.NewSHA1(commit, []byte("id")).String()
		cast := votes.BallotCast{
			Ballot: id, Meeting: meeting, Entry: fmt.Sprint(h + 1), Channel: votes.Electronic, At: at, Motions: []string{"M1"}, Sealed: sealedOnce,
		}
		p := f.proposed(b, as{actor: homes[h].Owner, commit: commit, seen: seen}, cast)
		ballots = append(ballots, es.Recorded{
			Stream: votes.BallotStream + meeting + "-" + cast.Entry, Position: position, ID: p.ID, Type: p.Type, Data: p.Data, Meta: p.Meta,
			Created: at.Add(5 * time.Millisecond),
		})
	}
	i, err := inspect.New(estate, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range events {
		for _, x := range i.Take(e) {
			b.Error(x)
		}
	}
	before := heap()
	b.ReportAllocs()
	busy := processor(b)
	b.ResetTimer()
	for _, e := range ballots {
		for _, x := range i.Take(e) {
			b.Fatal(x)
		}
	}
	found, _ := i.End()
	b.StopTimer()
	busy = processor(b) - busy
	for _, x := range found {
		b.Fatal(x)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(busy)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(heap()-before)/float64(b.N), "heap-B/op")
	runtime.KeepAlive(i)
	runtime.KeepAlive(ballots)
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
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
