//go:build !linux

package cluster

import "syscall"

// bind does nothing: only Linux ends a program with who started it.
func bind(*syscall.SysProcAttr, syscall.Signal) {}
