package es

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Commit is the unit of writing: the events of one stream that one command
// decided, appended whole or not at all at an exact expected revision.
type Commit struct {
	ID       uuid.UUID  `json:"id"`      // made of caller, route and idempotency key; the same for every attempt
	Attempt  int        `json:"attempt"` // counts from 0; an outcome answers one attempt
	Stream   string     `json:"stream"`
	Expected uint64     `json:"expected"` // how many events the stream held when the command was decided
	Events   []Proposed `json:"events"`
}

// Size returns the bytes of data and metadata of the largest event and of all.
func (c Commit) Size() (largest, total int) {
	for _, e := range c.Events {
		n := len(e.Data) + len(e.Meta)
		largest, total = max(largest, n), total+n
	}
	return largest, total
}

// ParseCommit reads a commit as encoding/json writes it.
func ParseCommit(b []byte) (Commit, error) {
	if c, ok := parseCommit(b); ok {
		return c, nil
	}
	var c Commit
	if err := json.Unmarshal(b, &c); err != nil {
		return c, fmt.Errorf("es: commit: %w", err) // with what of it can be read
	}
	return c, nil
}

// parseCommit is to ParseCommit what [parseMeta] is to ParseMeta.
func parseCommit(b []byte) (c Commit, ok bool) {
	s := scanner{rest: b, ok: true}
	s.want("{")
	s.text(`"id":`, c.ID.UnmarshalText)
	s.want(`,"attempt":`)
	c.Attempt = int(s.count())
	s.text(`,"stream":`, func(t []byte) error { c.Stream = string(t); return nil })
	s.want(`,"expected":`)
	c.Expected = s.count()
	s.want(`,"events":[`)
	c.Events = make([]Proposed, 0, 1)
	for more := true; s.ok && more; more = s.has(",") {
		var e Proposed
		s.text(`{"ID":`, e.ID.UnmarshalText)
		s.text(`,"Type":`, func(t []byte) error { e.Type = string(t); return nil })
		s.text(`,"Data":`, decoded(&e.Data))
		s.text(`,"Meta":`, decoded(&e.Meta))
		s.want("}")
		c.Events = append(c.Events, e)
	}
	s.want("]}")
	return c, s.ok && len(s.rest) == 0
}

func decoded(into *[]byte) func([]byte) error {
	return func(t []byte) error {
		*into = make([]byte, base64.StdEncoding.DecodedLen(len(t)))
		n, err := base64.StdEncoding.Decode(*into, t)
		*into = (*into)[:n]
		return err
	}
}

// Meta is the metadata of an event, stored as JSON beside its data. The two
// names with a dollar are EventStoreDB's own, so its tools draw the chain.
type Meta struct {
	Commit   uuid.UUID `json:"$correlationId"`         // [Commit.ID]
	Cause    string    `json:"$causationId,omitempty"` // id of the event that led to this one, for reactions
	Hash     string    `json:"hash"`                   // HMAC of the request, hex: tells a repeated command from a reused key
	Actor    string    `json:"actor"`                  // person, token or reaction that asked
	Seen     Position  `json:"seen,omitempty"`         // up to where other streams had been read when deciding
	Happened time.Time `json:"happened"`               // when it happened; recorded is the store's Created
	Past     bool      `json:"past,omitempty"`         // happened was stated by a clerk for a paper of the past
	Trace    string    `json:"traceparent,omitempty"`  // W3C trace context
}

// ParseMeta reads the metadata of a recorded event.
func ParseMeta(b []byte) (Meta, error) {
	if m, ok := parseMeta(b); ok {
		return m, nil
	}
	var m Meta
	if err := json.Unmarshal(b, &m); err != nil {
		return Meta{}, fmt.Errorf("es: metadata: %w", err)
	}
	return m, nil
}

// parseMeta reads metadata as [Repo] writes them, which is four times as fast:
// whoever reads a whole ledger reads little else. Of anything that looks otherwise
// it says so, and encoding/json has the word.
func parseMeta(b []byte) (m Meta, ok bool) {
	s := scanner{rest: b, ok: true}
	s.want("{")
	s.text(`"$correlationId":`, m.Commit.UnmarshalText)
	s.maybe(`,"$causationId":`, &m.Cause)
	s.text(`,"hash":`, func(t []byte) error { m.Hash = string(t); return nil })
	s.text(`,"actor":`, func(t []byte) error { m.Actor = string(t); return nil })
	if s.has(`,"seen":`) {
		m.Seen = Position(s.number())
	}
	s.text(`,"happened":`, m.Happened.UnmarshalText)
	m.Past = s.has(`,"past":true`)
	s.maybe(`,"traceparent":`, &m.Trace)
	s.want("}")
	return m, s.ok && len(s.rest) == 0
}

// scanner reads JSON of one form; ok says whether it had it so far.
type scanner struct {
	rest []byte
	ok   bool
}

// has takes a text off the rest, where it begins with it.
func (s *scanner) has(text string) bool {
	if len(s.rest) < len(text) || string(s.rest[:len(text)]) != text {
		return false
	}
	s.rest = s.rest[len(text):]
	return true
}

func (s *scanner) want(text string) { s.ok = s.ok && s.has(text) }

// text takes a key and a string of plain ASCII, without anything escaped.
func (s *scanner) text(key string, take func([]byte) error) {
	s.want(key + `"`)
	if !s.ok {
		return
	}
	for i, c := range s.rest {
		switch {
		case c == '"':
			s.ok = take(s.rest[:i]) == nil
			s.rest = s.rest[i+1:]
			return
		case c < ' ' || c > '~' || c == '\\':
			s.ok = false
			return
		}
	}
	s.ok = false
}

// maybe is text where the key is there.
func (s *scanner) maybe(key string, into *string) {
	if s.ok && len(s.rest) > len(key) && string(s.rest[:len(key)]) == key {
		s.text(key, func(t []byte) error { *into = string(t); return nil })
	}
}

// count is number, or 0.
func (s *scanner) count() uint64 {
	if s.has("0") {
		return 0 // what follows it is no digit, or it is not JSON
	}
	return s.number()
}

// number takes a whole number that fits in any case.
func (s *scanner) number() (n uint64) {
	const most = 18 // digits
	i := 0
	for ; i < len(s.rest) && '0' <= s.rest[i] && s.rest[i] <= '9'; i++ {
		n = 10*n + uint64(s.rest[i]-'0')
	}
	s.ok = s.ok && 0 < i && i <= most && s.rest[0] != '0'
	s.rest = s.rest[i:]
	return n
}

// Outcome is what the ledger answers to one attempt of a commit.
type Outcome struct {
	Commit   uuid.UUID `json:"commit"`
	Attempt  int       `json:"attempt"`
	Stream   string    `json:"stream"`
	Status   Status    `json:"status"`
	Position Position  `json:"position,omitempty"` // of the last event, where recorded
	Revision uint64    `json:"revision,omitempty"` // of the last event, where recorded
	Event    uuid.UUID `json:"event,omitzero"`     // id of the last event, where recorded: of this attempt or of an earlier one
	Reason   string    `json:"reason,omitempty"`   // where refused
	At       time.Time `json:"at"`                 // the ledger's clock
}

// Status of an Outcome.
type Status string

// What can become of an attempt.
const (
	StatusRecorded  Status = "recorded"   // durable; also answers every later repeat of the same request
	StatusConflict  Status = "conflict"   // the stream moved on; decide again
	StatusKeyReused Status = "key-reused" // the commit id is recorded with another request
	StatusRefused   Status = "refused"    // unreadable, too large, or not a stream of its context
)

// Errors of a Committer and of [Repo.Do].
var (
	// ErrNotSent says the commit was never handed over: nothing will happen (503).
	ErrNotSent = errors.New("es: commit was not sent")
	// ErrPending says the commit was handed over and its outcome is unknown
	// so far (202): it may still be recorded, and repeating it is safe.
	ErrPending = errors.New("es: outcome not known yet")
	// ErrConflict says other writers were first five times in a row (409).
	ErrConflict = errors.New("es: the stream keeps changing")
	// ErrKeyReused says the idempotency key came with another request before (422).
	ErrKeyReused = errors.New("es: idempotency key was used for another request")
)

// PendingError is the ErrPending of a commit: it names what to ask for later.
type PendingError struct {
	Stream string
	Commit uuid.UUID
	Err    error // what the Committer returned
}

// Error implements error.
func (e *PendingError) Error() string { return e.Stream + ": " + e.Err.Error() }

// Unwrap makes errors.Is find ErrPending.
func (e *PendingError) Unwrap() error { return e.Err }

// Committer hands a commit over and waits for its outcome.
type Committer interface {
	// Commit returns the outcome of this attempt, or an error that is
	// ErrNotSent or ErrPending. It outlives ctx once the commit was sent.
	Commit(ctx context.Context, c Commit) (Outcome, error)
}
