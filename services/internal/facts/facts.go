// Package facts is what the rules are asked about again: a commit as it was
// recorded, each event decoded once, and what its decider must have known of
// other streams. Each service decides its own streams again; package inspect
// brings them together.
package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
)

const (
	// Slack is how long before a commit something may have been recorded that its
	// decider did not see.
	Slack = time.Minute
	// Skew is how far the clock of a service may be off the ledger's.
	Skew = 2 * time.Second
)

// Fact is one event of a commit.
type Fact struct {
	es.Recorded
	Event any     // as its context's codec decodes it
	About es.Meta // its metadata
}

// Commit is what one command decided: events of one stream, appended whole.
type Commit struct {
	Context string // that owns the stream
	Facts   []Fact // at least one
	found   func(proof.Finding)
}

// NewCommit returns a commit whose findings go to found.
func NewCommit(context string, facts []Fact, found func(proof.Finding)) *Commit {
	return &Commit{context, facts, found}
}

// Stream is the stream that it was written to.
func (c *Commit) Stream() string { return c.Facts[0].Stream }

// Expected is how many events the stream held before.
func (c *Commit) Expected() uint64 { return c.Facts[0].Revision }

// Meta is the metadata that its events share; Happened is that of the first.
func (c *Commit) Meta() es.Meta { return c.Facts[0].About }

// Position is where the last of its events stands.
func (c *Commit) Position() es.Position { return c.Facts[len(c.Facts)-1].Position }

// Created is when it was recorded.
func (c *Commit) Created() time.Time { return c.Facts[0].Created }

// ID is what a new thing is called that its command made.
func (c *Commit) ID() string { return es.Derived(c.Facts[0].About.Commit, []byte("id")).String() }

// Latest is the last instant at which it may have been decided.
func (c *Commit) Latest() time.Time { return c.Created().Add(Skew) }

// Today says whether a day may be the one on which it was decided.
func (c *Commit) Today(d units.Day) bool {
	at := c.Meta().Happened
	return d == units.DayOf(at.Add(-Skew)) || d == units.DayOf(at.Add(Skew))
}

// Break notes that the commit breaks a rule.
func (c *Commit) Break(rule, format string, args ...any) {
	c.note(proof.IllegitimateEvent, rule, format, args...)
}

// Hold notes what an answer says against the commit: nothing, that it breaks a
// rule, or that it was decided without what it should have seen. It returns
// whether the commit may stand.
func (c *Commit) Hold(a Answer, rule, format string, args ...any) bool {
	switch a {
	case Wrong:
		c.note(proof.IllegitimateEvent, rule, format, args...)
	case Unseen:
		c.note(proof.NotSeen, rule, format, args...)
	case Right:
	}
	return a != Wrong
}

// Decided notes what came of deciding the commit again: err is the refusal of a
// rule, or says what else would have been decided.
func (c *Commit) Decided(err error) { c.Doubted(Wrong, err) }

// Doubted is Decided by what the decider may have known.
func (c *Commit) Doubted(a Answer, err error) {
	if err == nil || a == Right {
		return
	}
	rule, detail := "decided-otherwise", err.Error()
	if p, ok := errors.AsType[*problem.Error](err); ok {
		rule, detail = p.Code, p.Detail
		for _, f := range p.Fields {
			detail += "; " + f.Name + " " + f.Detail
		}
	}
	c.Hold(a, rule, "%s", detail)
}

// Names holds the name of the stream against the id that an event states.
func (c *Commit) Names(prefix, id string) {
	if c.Stream() != prefix+id {
		c.Break("wrong-stream", "it is about %s", id)
	}
}

// Present notes where a commit states a time of the past, which is for papers.
func (c *Commit) Present() {
	if c.Meta().Past {
		c.Break("past", "what happens now has no time that anyone states")
	}
}

// Replayed notes that its stream had the commit before.
func (c *Commit) Replayed() {
	c.note(proof.ReplayedCommit, "", "commit %s was recorded before in this stream, and something else since", c.Facts[0].About.Commit)
}

func (c *Commit) note(code proof.Code, rule, format string, args ...any) {
	first := c.Facts[0]
	c.found(proof.Finding{Code: code, Rule: rule,
		Detail: fmt.Sprintf("%s@%d, %s %s: ", first.Stream, first.Revision, first.Type, first.ID) + fmt.Sprintf(format, args...)})
}

// Rights says who might do what when something was decided.
type Rights interface {
	// Allowed answers whether the actor of a commit was permitted an action.
	Allowed(c *Commit, action string, r authz.Resource) Answer
	// Anywhere is Allowed for an action in whatever estate, where the event does
	// not say which.
	Anywhere(c *Commit, action string) Answer
	// Of answers whether something holds of a person with the roles they had.
	Of(c *Commit, person string, holds func(authz.Principal) bool) Answer
	// Owners returns the people with a title to a unit.
	Owners(unit string) []string
}

// May notes where the actor of a commit was not permitted an action.
func (c *Commit) May(rights Rights, action string, r authz.Resource) {
	c.Hold(rights.Allowed(c, action, r), action, "%s was not permitted this", c.actor())
}

// MayAnywhere is May for an action in whatever estate.
func (c *Commit) MayAnywhere(rights Rights, action string) {
	c.Hold(rights.Anywhere(c, action), action, "%s was not permitted this", c.actor())
}

func (c *Commit) actor() string {
	if actor := c.Meta().Actor; actor != "" {
		return actor
	}
	return "nobody"
}

// Part decides the streams of one service again.
type Part interface {
	// Take decides a commit again where it is of the service, and keeps what it
	// must know of others.
	Take(*Commit)
	// End says what can only be said at the end: what does not hold goes to found.
	End(found func(proof.Finding)) []Unverified
	// Figures are the service's public figures.
	Figures() []Figure
}

// Unverified is what could not be checked, and why.
type Unverified struct {
	What  string `json:"what"`  // e.g. sealed payments
	Count int    `json:"count"` // of them
	Why   string `json:"why"`
}

// Figure is a public figure.
type Figure struct {
	Path  string // where the API publishes it, after /api/v1
	Value []byte // JSON; what is published may say more
}

// NewFigure returns a figure with what is to be written as JSON.
func NewFigure(path string, v any) Figure { return Figure{path, []byte(text(v))} }

// Opener opens what is sealed in a field with an estate's key, as vault.NewOpener
// returns it.
type Opener = func(field, sealed string) ([]byte, error)

// Again lets a command decide on a state again, and returns its refusal, or that
// it decides other events than the commit has.
func Again[S, E any](c *Commit, state S, cmd es.Command[S, E]) error {
	events, err := cmd.Decide(state)
	if err != nil {
		return err
	}
	if len(events) != len(c.Facts) {
		return fmt.Errorf("the rules decide %d events here, and there are %d", len(events), len(c.Facts))
	}
	for i, e := range events {
		if !Same(e, c.Facts[i].Event) {
			return fmt.Errorf("the rules decide %s here", text(e))
		}
	}
	return nil
}

// Same says whether two events are stored alike.
func Same(a, b any) bool {
	return reflect.DeepEqual(a, b) || reflect.TypeOf(a) == reflect.TypeOf(b) && text(a) == text(b)
}

func text(e any) string {
	b, err := json.Marshal(e)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
