// Package audit holds what a site answered against what its ledger holds, while
// parts of the site fail.
//
// A [Journal] keeps every command that was sent and what it was answered, and
// reads the ledger. [Journal.Verify] says where the two differ: what was
// acknowledged and is not there, is there twice, or is there though nobody was
// told so. Answers are also checked for linearizability: they must be such as
// one careful clerk could have given, who takes one command after the other.
//
// A [Crowd] sends ballots and payments at a steady pace, and each command again
// under its key until it gets its final answer, whatever happens to the site.
//
// The package breaks nothing; whoever uses it does.
package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

// Command is one wish: to be the first with a value in a register. A register
// is what a voter votes in one meeting, or what is paid under one reference. It
// takes the first value that comes, the same value again as often as it comes,
// and no other.
type Command struct {
	load.Request
	Kind     string // what it is told apart by, such as ballot
	Register string
	Value    string // its first word is what is counted

	// Under Journal.mu:
	sent, answered time.Time // answered is zero while there is no final answer
	verdict        verdict
	maybe          bool // it may have been handed over, or someone else will
	event          uuid.UUID
	position       es.Position
}

// verdict is what a command was told in the end.
type verdict int

const (
	open     verdict = iota // nothing that is certain
	accepted                // recorded
	refused                 // another value was first
	dropped                 // told each time that nothing would happen, and given up
)

// refusals are the problems that say that another value was first.
var refusals = []string{string(votes.AlreadyVoted), "payment-changed"}

// firsts are the events that give a register its value.
var firsts = []string{"ballot-cast.v1", "payment-received.v1"}

// Journal is what was sent, answered and recorded. It is for any number of
// goroutines.
type Journal struct {
	start time.Time

	mu       sync.Mutex
	commands []*Command
	answers  map[int]int // how often each HTTP status came; 0 is a connection that broke
	last     map[string]time.Time
	gaps     map[string]time.Duration
	findings []Finding
	found    map[string]bool // texts of all findings ever

	ledger
}

// NewJournal returns an empty one.
func NewJournal() *Journal {
	return &Journal{
		start: time.Now(), answers: map[int]int{}, last: map[string]time.Time{}, gaps: map[string]time.Duration{}, found: map[string]bool{},
		ledger: unread(),
	}
}

// Finding is something that must not be.
type Finding struct {
	Kind string // one of the constants below
	Text string
}

// Kinds of findings.
const (
	Lost      = "lost"             // acknowledged and not in the ledger
	Twice     = "twice"            // in the ledger twice
	Order     = "out of order"     // not in the order of its stream
	Silent    = "unacknowledged"   // in the ledger, and everyone was told otherwise
	Answer    = "wrong answer"     // an answer that was not to be given
	Parked    = "refused"          // a commit that the ledger could not take
	Illogical = "not linearizable" // answers that contradict each other
)

func (f Finding) String() string { return f.Kind + ": " + f.Text }

// find notes a finding once.
func (j *Journal) find(kind, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !j.found[text] {
		j.found[text] = true
		j.findings = append(j.findings, Finding{kind, text})
	}
}

// Begin notes that a command is about to be sent for the first time.
func (j *Journal) Begin(c *Command) {
	j.mu.Lock()
	defer j.mu.Unlock()
	c.sent = time.Now()
	j.commands = append(j.commands, c)
}

// Answer notes what a command was answered, and says whether that is final. A
// status of 0 says that there was no answer.
func (j *Journal) Answer(c *Command, status int, body []byte) (final bool) {
	v, event, position, wrong := read(status, body)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.answers[status]++
	if wrong != "" {
		j.find(Answer, "%s %s (%s) was answered %s", c.Kind, c.Key, c.Register, wrong)
	}
	if v == open {
		c.maybe = c.maybe || status != http.StatusServiceUnavailable
		return false
	}
	if c.verdict == open {
		c.answered, c.verdict, c.event, c.position = time.Now(), v, event, position
		if v == accepted {
			j.gap(c.Kind, c.answered)
		}
	} else if c.verdict != v || c.event != event || c.position != position {
		j.find(Answer, "%s %s was answered %d with %s at %d, and something else when it was repeated", c.Kind, c.Key, status, event, position)
	}
	return true
}

// read reads an answer, and says in words what is wrong with it.
func read(status int, body []byte) (v verdict, event uuid.UUID, position es.Position, wrong string) {
	switch status {
	case http.StatusCreated:
		var r service.RecordedBody
		if err := json.Unmarshal(body, &r); err != nil || len(r.Events) != 1 || r.Position == 0 {
			return open, event, 0, fmt.Sprintf("201 with %s", body)
		}
		return accepted, r.Events[0], r.Position, ""
	case http.StatusConflict:
		var p problem.Error
		if err := json.Unmarshal(body, &p); err == nil && slices.Contains(refusals, p.Code) {
			return refused, event, 0, ""
		}
		if p.Code == "conflict" {
			return open, event, 0, ""
		}
	case 0, http.StatusAccepted, http.StatusBadGateway, http.StatusServiceUnavailable:
		return open, event, 0, ""
	}
	return open, event, 0, fmt.Sprintf("%d %s", status, body)
}

func (j *Journal) gap(kind string, now time.Time) {
	if last, ok := j.last[kind]; ok {
		j.gaps[kind] = max(j.gaps[kind], now.Sub(last))
	}
	j.last[kind] = now
}

// Gap returns the longest time in which nothing was acknowledged for the first
// time, of any one kind of command, since it was called last.
func (j *Journal) Gap() time.Duration {
	j.mu.Lock()
	defer j.mu.Unlock()
	longest := time.Duration(0)
	for kind := range j.last {
		longest = max(longest, j.gaps[kind], time.Since(j.last[kind]))
		j.last[kind] = time.Now()
	}
	clear(j.gaps)
	return longest
}

// Drop gives up a command that was told each time that nothing would happen. It
// returns false where it was not.
func (j *Journal) Drop(c *Command) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if c.maybe || c.verdict != open {
		return false
	}
	c.verdict = dropped
	return true
}

// Again notes that a command is about to be sent once more, whatever became of
// it. One that was given up must not be.
func (j *Journal) Again(c *Command) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	c.maybe = true
	return c.verdict != dropped
}

// Counts are how much a journal holds.
type Counts struct {
	Accepted, Refused, Dropped int
	Unclear                    int // answers, or missing ones, after which a command had to be repeated
	Events                     int // in the ledger
}

// Count counts.
func (j *Journal) Count() (n Counts) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range j.commands {
		switch c.verdict {
		case accepted:
			n.Accepted++
		case refused:
			n.Refused++
		case dropped:
			n.Dropped++
		case open:
		}
	}
	for status, times := range j.answers {
		if status != http.StatusCreated && status != http.StatusConflict {
			n.Unclear += times
		}
	}
	n.Events = len(j.events)
	return n
}

// Tally counts what was accepted of a kind, by the first word of its value.
func (j *Journal) Tally(kind string) map[string]int {
	j.mu.Lock()
	defer j.mu.Unlock()
	tally := map[string]int{}
	for _, c := range j.commands {
		if c.Kind == kind && c.verdict == accepted {
			what, _, _ := strings.Cut(c.Value, " ")
			tally[what]++
		}
	}
	return tally
}

// Open returns the commands without a final answer that were sent before a time.
func (j *Journal) Open(before time.Time) []*Command {
	j.mu.Lock()
	defer j.mu.Unlock()
	var waiting []*Command
	for _, c := range j.commands {
		if c.verdict == open && c.sent.Before(before) {
			waiting = append(waiting, c)
		}
	}
	return waiting
}

// Accepted returns the commands that are acknowledged.
func (j *Journal) Accepted() []*Command {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(j.commands), func(c *Command) bool { return c.verdict != accepted })
}

// Restored reads the ledger of a site that was restored from a backup from its
// beginning, and takes back the answers to what it does not hold, so that whoever
// asked may ask again. It returns what was acknowledged and is lost.
func (j *Journal) Restored(ctx context.Context, s load.Site) (lost []*Command, err error) {
	j.mu.Lock()
	j.ledger = unread()
	j.mu.Unlock()
	if err := j.Read(ctx, s); err != nil {
		return nil, err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	first := map[string]bool{} // registers whose first value is held
	for _, c := range j.commands {
		if c.verdict != accepted {
			continue
		}
		if j.events[c.event].times > 0 {
			first[c.Register] = true
		} else {
			lost = append(lost, c)
		}
	}
	for _, c := range j.commands {
		if !first[c.Register] && c.verdict != dropped {
			c.verdict, c.event, c.position = open, uuid.Nil, 0
		}
	}
	return lost, nil
}

// ledger is what was read of a site's ledger.
type ledger struct {
	head    uint64 // position up to which
	events  map[uuid.UUID]recorded
	lengths map[string]uint64 // of streams
	commits map[uuid.UUID]place
	values  map[uuid.UUID]string // streams of the events that give a register its value
}

func unread() ledger {
	return ledger{events: map[uuid.UUID]recorded{}, lengths: map[string]uint64{}, commits: map[uuid.UUID]place{}, values: map[uuid.UUID]string{}}
}

type recorded struct {
	position uint64
	times    int
}

// place is the last event of a commit.
type place struct {
	stream   string
	revision uint64
}

// Read reads the ledger on to its end.
func (j *Journal) Read(ctx context.Context, s load.Site) error {
	j.mu.Lock()
	after := j.head
	j.mu.Unlock()
	_, err := s.Events(ctx, after, func(e load.Event) error { return j.note(e) })
	return err
}

// Head is the position of the last event that was read.
func (j *Journal) Head() es.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return es.Position(j.head)
}

// note notes the next event of the ledger.
func (j *Journal) note(e load.Event) error {
	meta, err := es.ParseMeta(e.Meta)
	if err != nil {
		return fmt.Errorf("audit: event at %d: %w", e.Position, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if e.Position <= j.head {
		j.find(Order, "position %d comes after %d", e.Position, j.head)
	}
	j.head = max(j.head, e.Position)

	was := j.events[e.ID]
	if was.times > 0 {
		j.find(Twice, "event %s stands at %d and at %d", e.ID, was.position, e.Position)
	}
	j.events[e.ID] = recorded{e.Position, was.times + 1}

	if length := j.lengths[e.Stream]; e.Revision != length {
		j.find(Order, "%s@%d stands at %d, where revision %d was to be", e.Stream, e.Revision, e.Position, length)
	}
	j.lengths[e.Stream] = e.Revision + 1

	here := place{e.Stream, e.Revision}
	if before, ok := j.commits[meta.Commit]; ok && (before != place{e.Stream, e.Revision - 1}) {
		j.find(Twice, "commit %s stands in %s@%d and in %s@%d", meta.Commit, before.stream, before.revision, here.stream, here.revision)
	}
	j.commits[meta.Commit] = here

	if strings.HasPrefix(e.Stream, "refused-") {
		j.find(Parked, "%s@%d: %s", e.Stream, e.Revision, e.Data)
	}
	if slices.Contains(firsts, e.Type) {
		j.values[e.ID] = e.Stream
	}
	return nil
}

// Verify holds all answers against the ledger as it was read last, which must
// have been after the last answer, and returns what was found since the last
// call. A command without a final answer may be in the ledger or not.
func (j *Journal) Verify() []Finding {
	j.mu.Lock()
	defer j.mu.Unlock()
	known, waiting := map[uuid.UUID]bool{}, 0
	for _, c := range j.commands {
		if c.verdict == open {
			waiting++
		}
		if c.verdict != accepted {
			continue
		}
		known[c.event] = true
		switch is := j.events[c.event]; {
		case is.times == 0:
			j.find(Lost, "%s %s (%s) was acknowledged at %d and is not in the ledger", c.Kind, c.Key, c.Register, c.position)
		case is.position != uint64(c.position):
			j.find(Answer, "%s %s was acknowledged at %d and stands at %d", c.Kind, c.Key, c.position, is.position)
		}
	}
	streams := map[string]bool{}
	for event, stream := range j.values {
		if !known[event] {
			if waiting--; waiting < 0 {
				j.find(Silent, "%s in %s was acknowledged to nobody", event, stream)
			}
		}
		if strings.HasPrefix(stream, votes.BallotStream) && streams[stream] {
			j.find(Twice, "%s holds two ballots", stream)
		}
		streams[stream] = true
	}
	for _, register := range j.illogical() {
		j.find(Illogical, "%s", register)
	}
	found := j.findings
	j.findings = nil
	return found
}

// Flows says whether a command of a kind that was sent after a time is accepted.
func (j *Journal) Flows(kind string, after time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range slices.Backward(j.commands) {
		if c.sent.Before(after) {
			return false
		}
		if c.Kind == kind && c.verdict == accepted {
			return true
		}
	}
	return false
}
