// Package inspect replays a ledger: it decides every event again, in the
// ledger's order, by the rules that were in force, and derives every public
// figure again. It needs neither a database nor a clock.
//
//	i, err := inspect.New(estate, nil)
//	for event := range events {
//		findings = append(findings, i.Take(event)...)
//	}
//	rest, unverified := i.End()
//	wrong, beyond := i.Compare(published)
//
// The rules are the services' own: each offers an Inspect beside its New.
package inspect

import (
	"encoding/binary"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	contract "github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	terms "github.com/yimu-ledger/yimu/services/contracts"
	money "github.com/yimu-ledger/yimu/services/finance"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/ledger"
	register "github.com/yimu-ledger/yimu/services/registry"
	"github.com/yimu-ledger/yimu/services/registry/access"
	meetings "github.com/yimu-ledger/yimu/services/votes"
	orders "github.com/yimu-ledger/yimu/services/workorders"
)

// Unverified is what could not be checked, and why.
type Unverified = facts.Unverified

// Figure is a public figure.
type Figure = facts.Figure

// Opener opens what is sealed with the estate's key; see vault.NewOpener.
type Opener = facts.Opener

// Prefixes of the streams whose events are not of one estate, and that an
// inspection of one needs whole: people with their roles, tokens, and what the
// ledger says of itself.
var Prefixes = append([]string{registry.PersonStream, registry.TokenStream}, contract.Categories...)

// Inspector decides events again. It is for one goroutine.
type Inspector struct {
	parts   []part
	about   string         // meeting; "": everything
	apart   int            // events that do not bear on it
	beyond  map[string]int // commits of contexts without a part
	streams map[string]*stream
	found   []proof.Finding
	last    es.Position
	pending []fact       // of a commit that may go on
	facts   []facts.Fact // of the commit that is decided
	reading []*batch     // the first is ready first
	filling *batch
	decided []*batch // to be filled again
}

// stream is what is kept of a stream. What is kept of a commit is half of its id,
// which is a hash: no two in a stream have that in common by chance.
type stream struct {
	length uint64
	first  uint64              // commit; most streams have one
	others map[uint64]struct{} // commits
}

// holds says whether a commit was in the stream before, and keeps it.
func (s *stream) holds(commit uuid.UUID) bool {
	half := binary.BigEndian.Uint64(commit[8:])
	if _, ok := s.others[half]; ok || half != 0 && half == s.first {
		return true
	}
	switch {
	case s.first == 0:
		s.first = half
	case s.others == nil:
		s.others = map[uint64]struct{}{half: {}}
	default:
		s.others[half] = struct{}{}
	}
	return false
}

// part is what decides the streams of a context.
type part struct {
	context string
	facts.Part
}

// New returns an Inspector of the events of one estate, by its id, and of those
// under [Prefixes]; with no estate, of a whole ledger. open opens the estate's
// payments; without it they are not verified.
func New(estate string, open Opener) (*Inspector, error) {
	rights, err := access.NewRecord()
	if err != nil {
		return nil, err
	}
	return &Inspector{
		parts: []part{
			{ledger.Registry, register.Inspect(estate, rights)},
			{ledger.Agreements, terms.Inspect(estate, rights)},
			{ledger.Workorders, orders.Inspect(estate, rights)},
			{ledger.Finance, money.Inspect(estate, rights, open)},
			{ledger.Votes, meetings.Inspect(estate, rights)},
		},
		beyond: map[string]int{}, streams: map[string]*stream{}, filling: newBatch(),
	}, nil
}

// About has only what the result of one meeting rests on decided again: who owns
// what and may do what, by which rules the estate decides, and all that is recorded
// of the meeting. Call it before Take.
func (i *Inspector) About(meeting string) {
	i.about = meeting
	i.parts = slices.DeleteFunc(i.parts, func(p part) bool { return p.context != ledger.Registry && p.context != ledger.Votes })
}

// bears says whether an event of a stream may bear on the meeting that is asked
// about. Agreements do, for motions name them.
func (i *Inspector) bears(stream string) bool {
	switch ledger.ContextOf(stream) {
	case ledger.Finance, ledger.Workorders:
		return false
	case ledger.Votes:
		return strings.Contains(stream, i.about) || strings.HasPrefix(stream, votes.ProcedureStream)
	}
	return !strings.HasPrefix(stream, contract.ReactionStream)
}

// Take takes the next event of the ledger's order, and returns what was found
// meanwhile: of this event or of earlier ones. The event's Position must be the
// store's, and its bytes must not change any more.
func (i *Inspector) Take(e es.Recorded) []proof.Finding {
	if i.about != "" && !i.bears(e.Stream) {
		i.apart++
		return i.findings()
	}
	i.filling.facts = append(i.filling.facts, fact{Fact: facts.Fact{Recorded: e}})
	if len(i.filling.facts) == batchSize {
		i.read()
		if len(i.reading) > runtime.GOMAXPROCS(0) {
			i.next()
		}
	}
	return i.findings()
}

// End returns what else was found, and what could not be checked. Nothing is
// taken after it.
func (i *Inspector) End() ([]proof.Finding, []Unverified) {
	i.read()
	for len(i.reading) > 0 {
		i.next()
	}
	i.commit()
	var unverified []Unverified
	for _, p := range i.parts {
		unverified = append(unverified, p.End(i.find)...)
	}
	if i.apart > 0 {
		unverified = append(unverified, Unverified{What: "other events", Count: i.apart, Why: onlyMeeting})
	}
	for _, context := range slices.Sorted(maps.Keys(i.beyond)) {
		unverified = append(unverified, Unverified{What: "commits of " + context, Count: i.beyond[context], Why: "no rule decides them again"})
	}
	return i.findings(), unverified
}

const onlyMeeting = "only one meeting was asked about: they are proven to be in the ledger, and not decided again"

// Figures derives every public figure again, as of the last event. Call it after
// End.
func (i *Inspector) Figures() []Figure {
	var all []Figure
	for _, p := range i.parts {
		all = append(all, p.Figures()...)
	}
	return all
}

func (i *Inspector) find(f proof.Finding) { i.found = append(i.found, f) }

func (i *Inspector) findings() []proof.Finding {
	found := i.found
	i.found = nil
	return found
}

// batch is a run of events that is read by a goroutine of its own.
type batch struct {
	facts []fact
	done  chan struct{}
}

const batchSize = 1024

func newBatch() *batch { return &batch{facts: make([]fact, 0, batchSize)} }

// fact is an event that was read.
type fact struct {
	facts.Fact
	context string
	err     error // why it could not be
	n       int   // which event of its commit it is, as far as the batch tells
	named   bool  // its id is that of the nth
}

// read begins to read what was taken.
func (i *Inspector) read() {
	b := i.filling
	b.done = make(chan struct{})
	i.reading = append(i.reading, b)
	if n := len(i.decided); n > 0 {
		i.filling, i.decided = i.decided[n-1], i.decided[:n-1]
	} else {
		i.filling = newBatch()
	}
	go func() {
		defer close(b.done)
		for n := range b.facts {
			f := &b.facts[n]
			if f.read(); f.err != nil {
				continue
			}
			if n > 0 && follows(&b.facts[n-1].Fact, &f.Fact) {
				f.n = b.facts[n-1].n + 1
			}
			f.named = named(&f.Fact, f.n)
		}
	}()
}

// read decodes the event.
func (f *fact) read() {
	f.context = ledger.ContextOf(f.Stream)
	decode := codecs[f.context]
	if decode == nil {
		f.err = errors.New("no stream of the ledger")
		return
	}
	if f.About, f.err = es.ParseMeta(f.Recorded.Meta); f.err == nil {
		f.Event, f.err = decode(f.Type, f.Data)
	}
}

// follows says whether two events that stand beside each other are of one commit.
func follows(a, b *facts.Fact) bool { return a.Stream == b.Stream && a.About.Commit == b.About.Commit }

// named says whether the id of the nth event of a commit is the one that the
// commit path makes.
func named(f *facts.Fact, n int) bool {
	return f.ID == es.EventID(f.About.Commit, f.About.Hash, n, f.Type, f.Data, f.Meta)
}

// next decides the events that were read first.
func (i *Inspector) next() {
	b := i.reading[0]
	i.reading = i.reading[1:]
	<-b.done
	for n := range b.facts {
		i.decide(&b.facts[n])
	}
	b.facts = b.facts[:0]
	i.decided = append(i.decided, b)
}

// decide gathers the events of a commit, and decides the commit before.
func (i *Inspector) decide(f *fact) {
	if n := len(i.pending); n > 0 && (f.err != nil || !follows(&i.pending[n-1].Fact, &f.Fact)) {
		i.commit()
	}
	if f.err != nil {
		i.order(i.stream(f.Stream), f)
		i.breaks(f, "unreadable", "%v", f.err)
		return
	}
	i.pending = append(i.pending, *f)
}

func (i *Inspector) breaks(f *fact, rule, format string, args ...any) {
	facts.NewCommit(f.context, []facts.Fact{f.Fact}, i.find).Break(rule, format, args...)
}

// order checks that an event is the next of its stream, and after all others.
func (i *Inspector) order(s *stream, f *fact) {
	if f.Revision != s.length {
		i.breaks(f, "revision", "the stream holds %d events before it", s.length)
	}
	s.length = f.Revision + 1
	if f.Position <= i.last {
		i.breaks(f, "position", "position %d does not come after %d", f.Position, i.last)
	}
	i.last = f.Position
}

func (i *Inspector) stream(name string) *stream {
	s := i.streams[name]
	if s == nil {
		s = &stream{}
		i.streams[name] = s
	}
	return s
}

// commit decides the commit whose events were gathered.
func (i *Inspector) commit() {
	if len(i.pending) == 0 {
		return
	}
	i.facts = i.facts[:0]
	s := i.stream(i.pending[0].Stream)
	for n := range i.pending {
		f := &i.pending[n]
		i.order(s, f)
		i.sound(f, n)
		i.facts = append(i.facts, f.Fact)
	}
	c := facts.NewCommit(i.pending[0].context, i.facts, i.find)
	if s.holds(i.facts[0].About.Commit) {
		c.Replayed()
	}
	decided := false
	for _, p := range i.parts {
		p.Take(c)
		decided = decided || p.context == c.Context
	}
	if !decided {
		i.beyond[c.Context]++
	}
	i.pending = i.pending[:0]
}

// sound checks what holds for every event, the nth of its commit.
func (i *Inspector) sound(f *fact, n int) {
	if !strings.HasPrefix(f.Stream, contract.ReactionStream) && f.context == "ledger" {
		if f.ID != f.About.Commit {
			i.breaks(f, "event-id", "what the ledger says of itself has the id of its commit")
		}
		if e, ok := f.Event.(contract.LogKeyRotated); ok {
			if r, err := proof.ParseRotation(e.Note); err != nil || r.Old.Text != e.Old || r.New.Text != e.New {
				i.breaks(f, string(proof.ForgedRotation), "the note does not say that the one key replaces the other")
			}
		}
		return
	}
	if (f.n != n || !f.named) && !named(&f.Fact, n) {
		i.breaks(f, "event-id", "the id is not made of what was asked and decided")
	}
	first, m := &i.pending[0], f.About
	if a := first.About; m.Hash != a.Hash || m.Actor != a.Actor || m.Cause != a.Cause || m.Seen != a.Seen || m.Past != a.Past {
		i.breaks(f, "one-command", "its metadata are not those of the first event of its commit")
	}
	if t, ok := f.Event.(es.Timed); ok && !t.HappenedAt().Equal(m.Happened) {
		i.breaks(f, "time", "it says itself that it happened at %s", t.HappenedAt().UTC().Format(time.RFC3339Nano))
	}
	if m.Happened.After(f.Created.Add(facts.Skew)) {
		i.breaks(f, "time", "it happened at %s, after it was recorded", m.Happened.UTC().Format(time.RFC3339Nano))
	}
	if m.Seen >= first.Position {
		i.breaks(f, "seen", "its decider had seen position %d, and it stands at %d itself", m.Seen, first.Position)
	}
	if reaction := strings.HasPrefix(m.Actor, "reaction:"); reaction != (m.Cause != "") {
		i.breaks(f, "cause", "a reaction has a cause, and nothing else has")
	}
}

// codecs decode the events of each context.
var codecs = map[string]func(name string, data []byte) (any, error){
	ledger.Registry:   decoder(registry.Codec.Decode),
	ledger.Agreements: decoder(agreements.Codec.Decode),
	ledger.Workorders: decoder(workorders.Codec.Decode),
	ledger.Finance:    decoder(finance.Codec.Decode),
	ledger.Votes:      decoder(votes.Codec.Decode),
	"ledger":          decoder(contract.Codec.Decode),
}

func decoder[E any](decode func(string, []byte) (E, error)) func(string, []byte) (any, error) {
	return func(name string, data []byte) (any, error) { return decode(name, data) }
}
