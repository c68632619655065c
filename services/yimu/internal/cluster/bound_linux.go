package cluster

import "syscall"

// bind makes a program get a signal when the thread that starts it ends.
func bind(attr *syscall.SysProcAttr, death syscall.Signal) { attr.Pdeathsig = death }
