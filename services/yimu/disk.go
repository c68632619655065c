package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// leastSpace is the room on the disk below which nothing more is taken: what
// was acknowledged must still fit, in the ledger and in the read models.
const leastSpace = 32 << 20

// watched runs f, and ends it with an error once the disk of a data directory
// is nearly full.
func watched(ctx context.Context, dir string, f func(context.Context) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f(ctx) })
	g.Go(func() error { return watchDisk(ctx, dir) })
	return g.Wait()
}

// watchDisk returns an error once the disk of a directory is nearly full.
func watchDisk(ctx context.Context, dir string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(dir, &disk); err != nil {
			return fmt.Errorf("the data directory has gone: %w", err)
		}
		if left := disk.Bavail * uint64(disk.Bsize); left < leastSpace {
			return fmt.Errorf("%d MB are left in %s, and at least %d are needed: %w", left>>20, dir, leastSpace>>20, syscall.ENOSPC)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
