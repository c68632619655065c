package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// leastSpace is the room on the disk below which nothing more is taken: what
// was acknowledged must still fit, in the ledger and in the read models.
const leastSpace = 32 << 20

// watchDisk returns an error once the disk of the data directory is nearly full.
func (s *System) watchDisk(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(s.options.Dir, &disk); err != nil {
			return fmt.Errorf("the data directory has gone: %w", err)
		}
		if left := disk.Bavail * uint64(disk.Bsize); left < leastSpace {
			return fmt.Errorf("%d MB are left in %s, and at least %d are needed: %w", left>>20, s.options.Dir, leastSpace>>20, syscall.ENOSPC)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
