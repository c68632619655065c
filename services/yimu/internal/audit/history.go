package audit

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// wish and reply are what goes into a register and what comes out of it. A wish
// without a value reads.
type (
	wish  struct{ value string }
	reply struct {
		verdict verdict
		value   string // of a read
	}
)

// register is what one careful clerk would do: the first value stands.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		is, in, out := state.(string), input.(wish), output.(reply)
		switch {
		case in.value == "":
			return out.value == is, is
		case out.verdict == accepted:
			return is == "" || is == in.value, in.value
		case out.verdict == refused:
			return is != "" && is != in.value, is
		case is == "": // without an answer: it may take effect now, or later
			return true, in.value
		}
		return true, is
	},
	DescribeOperation: func(input, output any) string {
		if in := input.(wish); in.value != "" {
			return fmt.Sprintf("%s → %s", in.value, [...]string{"no answer", "accepted", "refused", "dropped"}[output.(reply).verdict])
		}
		return fmt.Sprintf("the ledger holds %q", output.(reply).value)
	},
}

// histories returns, by register, its commands and a read of what the ledger
// holds in the end. A command lasts from when it was first sent until its final
// answer, or for ever.
func (j *Journal) histories() map[string][]porcupine.Operation {
	since := func(t time.Time) int64 { return t.Sub(j.start).Nanoseconds() }
	all := map[string][]porcupine.Operation{}
	for _, c := range j.commands {
		if c.verdict == dropped {
			continue // nothing was to happen
		}
		op := porcupine.Operation{
			ClientId: len(all[c.Register]), Input: wish{c.Value}, Call: since(c.sent), Output: reply{verdict: c.verdict}, Return: math.MaxInt64,
		}
		if c.verdict != open {
			op.Return = since(c.answered)
		}
		all[c.Register] = append(all[c.Register], op)
	}
	holds, unclear := map[string]string{}, map[string]bool{}
	for _, c := range j.commands {
		unclear[c.Register] = unclear[c.Register] || c.verdict == open
		if c.verdict == accepted && j.events[c.event].times > 0 {
			holds[c.Register] = c.Value
		}
	}
	now := since(time.Now())
	for name, ops := range all {
		if unclear[name] {
			continue // what it holds may be what nobody was told of yet
		}
		all[name] = append(ops, porcupine.Operation{ClientId: len(ops), Call: now, Output: reply{value: holds[name]}, Input: wish{}, Return: now})
	}
	return all
}

// illogical returns the registers whose answers contradict each other.
func (j *Journal) illogical() (found []string) {
	for name, ops := range j.histories() {
		if porcupine.CheckOperations(register, ops) {
			continue
		}
		var told []string
		for _, op := range ops {
			told = append(told, register.DescribeOperation(op.Input, op.Output))
		}
		found = append(found, name+": "+strings.Join(told, "; "))
	}
	return found
}
