package pebblestore_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// ballot is an event of about the size of a ballot: 600 bytes.
func ballot() es.Proposed {
	return es.Proposed{ID: uuid.New(), Type: "ballot-cast.v1", Data: make([]byte, 300), Meta: make([]byte, 300)}
}

// BenchmarkAppend appends one event to a new stream, with some appenders at a
// time; ns/op is the time between two events of the whole store.
func BenchmarkAppend(b *testing.B) {
	for _, where := range []string{"disk", "memory"} {
		for _, appenders := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/%d", where, appenders), func(b *testing.B) {
				c := pebblestore.Config{Dir: b.TempDir()}
				if where == "memory" { // without the cost of fsync
					c = pebblestore.Config{Dir: "store", FS: vfs.NewMem()}
				}
				s := open(b, c)
				b.ReportAllocs()
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				for range appenders {
					wg.Go(func() {
						for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
							if _, err := s.Append(b.Context(), fmt.Sprintf("ballot-%d", i), 0, ballot()); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
			})
		}
	}
}

// BenchmarkSync is what one fsync costs here, to see the others against.
func BenchmarkSync(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	must(b, err)
	defer f.Close()
	for b.Loop() {
		_, err := f.Write(make([]byte, 1000))
		must(b, err)
		must(b, f.Sync())
	}
}

func BenchmarkReadStream(b *testing.B) {
	for _, length := range []int{0, 1, 3, 100} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			const streams = 2000
			s := open(b, pebblestore.Config{Dir: b.TempDir()})
			fill(b, s, streams, length)
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				n := 0
				for _, err := range s.Read(b.Context(), fmt.Sprintf("ballot-%d", i%streams), 0) {
					must(b, err)
					n++
				}
				if n != length {
					b.Fatalf("%d events, want %d", n, length)
				}
			}
		})
	}
}

func BenchmarkReadAll(b *testing.B) {
	const total = 200000
	s := open(b, pebblestore.Config{Dir: b.TempDir()})
	fill(b, s, total/10, 10)
	for name, prefixes := range map[string][]string{"all": nil, "none match": {"nothing-"}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				for _, err := range s.ReadAll(b.Context(), 0, prefixes...) {
					must(b, err)
				}
			}
			b.ReportMetric(float64(b.N)*total/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkFollow appends with 64 appenders while some followers, each of one
// tenth of the streams, keep up.
func BenchmarkFollow(b *testing.B) {
	for _, followers := range []int{1, 16} {
		b.Run(fmt.Sprint(followers), func(b *testing.B) {
			s := open(b, pebblestore.Config{Dir: "store", FS: vfs.NewMem()})
			var wg, behind sync.WaitGroup
			last := make(chan es.Position)
			for range followers {
				behind.Go(func() {
					end := es.Position(0)
					for batch, err := range s.Follow(b.Context(), 0, "ballot-1") {
						must(b, err)
						select {
						case end = <-last:
						default:
						}
						if end > 0 && batch.Through >= end {
							return
						}
					}
				})
			}
			var next atomic.Int64
			for range 64 {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if _, err := s.Append(b.Context(), fmt.Sprintf("ballot-%d", i), 0, ballot()); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			end := s.Head()
			go func() {
				for range followers {
					last <- end
				}
			}()
			done := make(chan struct{})
			go func() { behind.Wait(); close(done) }()
			for n := 0; ; n++ { // followers look when something comes
				select {
				case <-done:
					b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
					return
				case <-time.After(time.Millisecond):
					_, err := s.Append(b.Context(), fmt.Sprintf("end-%d", n), 0, ballot())
					must(b, err)
				}
			}
		})
	}
}

func fill(b *testing.B, s *pebblestore.Store, streams, length int) {
	b.Helper()
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := w; i < streams && length > 0; i += 16 {
				e := make([]es.Proposed, length)
				for j := range e {
					e[j] = ballot()
				}
				if _, err := s.Append(b.Context(), fmt.Sprintf("ballot-%d", i), 0, e...); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
