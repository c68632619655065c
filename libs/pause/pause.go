// Package pause waits for time to pass where there is nothing else to wait for.
package pause

import (
	"context"
	"time"
)

// For returns nil after d, or the cause why ctx ended before.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
