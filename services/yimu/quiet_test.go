package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestWhoFallsQuietGivesMemoryBack(t *testing.T) {
	debug.FreeOSMemory() // what other tests left empty would be taken again
	var l lull
	l.look()
	_, l.rest = heap()
	busy := make([]byte, 4*quietSpare)
	for i := range busy {
		busy[i] = 1
	}
	_, before := heap()
	runtime.KeepAlive(busy)
	gave := false
	for range 1000 { // it is not quiet yet if garbage is just being collected
		if gave = l.look(); gave {
			break
		}
	}
	if _, after := heap(); !gave || after+2*quietSpare > before {
		t.Errorf("given back: %t; %d MB are held of %d", gave, after>>20, before>>20)
	}
}
