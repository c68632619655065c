package readmodel

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unanswered ends a connection whose peer has not acknowledged what was sent for
// so long. Linux itself tries for a quarter of an hour.
func unanswered(c syscall.RawConn, d time.Duration) (err error) {
	if controlled := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	}); controlled != nil {
		return controlled
	}
	return err
}
