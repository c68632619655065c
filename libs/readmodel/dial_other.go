//go:build !linux

package readmodel

import (
	"syscall"
	"time"
)

func unanswered(syscall.RawConn, time.Duration) error { return nil }
