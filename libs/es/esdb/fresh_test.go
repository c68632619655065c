package esdb_test

import (
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
)

// freshStore looks empty on a server that is not: its streams have names of
// their own, and it begins where the server ended.
type freshStore struct {
	es.Store
	mark  string
	start es.Position
}

func fresh(t *testing.T, s es.Store) es.Store {
	t.Helper()
	f := freshStore{Store: s, mark: "t" + strings.ReplaceAll(uuid.NewString(), "-", "") + "."}
	f.start = add(t, s, f.mark+"start", 0, events(1)...)
	return f
}

func (f freshStore) Append(ctx context.Context, stream string, expected uint64, events ...es.Proposed) (es.Position, error) {
	return f.Store.Append(ctx, f.mark+stream, expected, events...)
}

func (f freshStore) Read(ctx context.Context, stream string, from uint64) iter.Seq2[es.Recorded, error] {
	return f.bare(f.Store.Read(ctx, f.mark+stream, from))
}

func (f freshStore) ReadAll(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Recorded, error] {
	return f.bare(f.Store.ReadAll(ctx, max(after, f.start), f.marked(prefixes)...))
}

func (f freshStore) Follow(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Batch, error] {
	return func(yield func(es.Batch, error) bool) {
		for b, err := range f.Store.Follow(ctx, max(after, f.start), f.marked(prefixes)...) {
			for i := range b.Events {
				b.Events[i].Stream = strings.TrimPrefix(b.Events[i].Stream, f.mark)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}

func (f freshStore) bare(read iter.Seq2[es.Recorded, error]) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		for r, err := range read {
			r.Stream = strings.TrimPrefix(r.Stream, f.mark)
			if !yield(r, err) {
				return
			}
		}
	}
}

func (f freshStore) marked(prefixes []string) []string {
	if len(prefixes) == 0 {
		return []string{f.mark}
	}
	out := make([]string, len(prefixes))
	for i, p := range prefixes {
		out[i] = f.mark + p
	}
	return out
}
