package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"time"
)

const (
	// quietEvery is how often it is looked whether the process fell quiet.
	quietEvery = 2 * time.Second
	// quietSpare is how much may stand empty: less is not worth a collection.
	quietSpare = 32 << 20
)

// giveBack returns to the machine, until ctx ends, what the process held while it
// was busy. Go collects garbage when its heap has grown by a part of itself, and
// otherwise after two minutes: who falls quiet would hold on to all of it so long.
func giveBack(ctx context.Context) {
	tick := time.NewTicker(quietEvery)
	defer tick.Stop()
	var l lull
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.look()
		}
	}
}

// lull remembers what was seen when it was looked last.
type lull struct {
	collections uint32
	rest        uint64 // bytes of heap held after memory was given back
}

// look gives memory back if no garbage was collected since the last look, which a
// busy process does all the time, and enough has come together.
func (l *lull) look() (gave bool) {
	collections, held := heap()
	if collections == l.collections && held > l.rest+quietSpare {
		debug.FreeOSMemory()
		collections, l.rest = heap()
		gave = true
	}
	l.collections = collections
	return gave
}

// heap returns how often garbage was collected, and how many bytes of memory the
// heap holds.
func heap() (collections uint32, held uint64) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC, m.HeapSys - m.HeapReleased
}
