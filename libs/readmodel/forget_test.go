package readmodel

import (
	"fmt"
	"testing"
	"time"
)

func TestWhatNobodyLooksBackToIsForgotten(t *testing.T) {
	now := time.Now()
	const large = momentsBytes * 2 / 3
	many := make([]moment[int], moments+3)
	for _, test := range []struct {
		name    string
		moments []moment[int]
		want    string // who is left
	}{
		{"small ones stay for a while", []moment[int]{{size: 1}, {size: 1, used: now.Add(time.Second - momentsRest)}}, "[0 1]"},
		{"and not for longer", []moment[int]{{used: now.Add(-momentsRest)}, {}}, "[1]"},
		{"of large ones the last stays", []moment[int]{{size: large}, {size: large}, {size: 2 * large}}, "[2]"},
		{"with those that are in use", []moment[int]{{size: large, users: 1}, {size: large}, {size: large}}, "[0 2]"},
		{"an error is no answer for who asks again", []moment[int]{{err: fmt.Errorf("broken")}, {}}, "[1]"},
		{"the oldest of too many go first", many, "[3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18]"},
	} {
		p := &Past[int]{}
		for i := range test.moments {
			m := &test.moments[i]
			m.model = i
			if m.used.IsZero() {
				m.used = now
			}
			p.moments = append(p.moments, m)
		}
		p.forget(now)
		var left []int
		for _, m := range p.moments {
			left = append(left, m.model)
		}
		if got := fmt.Sprint(left); got != test.want {
			t.Errorf("%s: left are %s, want %s", test.name, got, test.want)
		}
		p.resting.Stop()
	}
}
