package paper

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// Workers is how many groups of rows are at work at a time. Each waits for the
// ledger most of the time, and the ledger writes to disk together what comes
// together.
const Workers = 64

// Group gathers rows that must keep their order among each other, such as
// those of one stream, in the order in which their keys first come.
func Group[T any](rows []T, key func(T) string) [][]T {
	var groups [][]T
	index := map[string]int{}
	for _, r := range rows {
		k := key(r)
		i, ok := index[k]
		if !ok {
			i = len(groups)
			index[k] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], r)
	}
	return groups
}

// Run calls do for every row: one after the other within a group, several
// groups at a time. What is wrong with a row is for do to note on it; an error
// of do is a failure of the system and ends the run, with the rows that are at
// work finished or cancelled. Progress may be nil. Of the groups nothing is left:
// what of a long paper is done needs no room any more.
func Run[T any](ctx context.Context, groups [][]T, workers int, p *Progress, do func(context.Context, T) error) error {
	total := 0
	for _, g := range groups {
		total += len(g)
	}
	p.Start(total)
	work, inner := errgroup.WithContext(ctx)
	work.SetLimit(workers)
	for i, group := range groups {
		if inner.Err() != nil {
			break
		}
		groups[i] = nil
		work.Go(func() error {
			for _, r := range group {
				if inner.Err() != nil {
					return context.Cause(inner)
				}
				if err := do(inner, r); err != nil {
					return err
				}
				p.Step()
			}
			return nil
		})
	}
	if err := work.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx)
}
