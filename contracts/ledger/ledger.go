// Package ledger is what the ledger and the services record about themselves:
// commits that could not be taken, reactions that were refused, and keys of the
// transparency log.
package ledger

import "github.com/yimu-ledger/yimu/contracts/codec"

// Prefixes of the streams this context owns, each followed by an id.
const (
	RefusedStream  = "refused-"  // <context>: commits that were refused
	ReactionStream = "reaction-" // <context>_<name>: reactions that were refused
	LogStream      = "log-"      // keys: those of the transparency log
)

// Categories of the streams this context owns.
var Categories = []string{RefusedStream, ReactionStream, LogStream}

// Event is something that happened to the ledger itself.
//
//sumtype:decl
type Event interface{ event() }

// CommitRefused records a commit that cannot be read, is too large, or writes to
// a stream its context does not own. Its bytes are a blob.
type CommitRefused struct {
	Context string `json:"context"` // whose topic it came on
	Reason  string `json:"reason"`  // what was wrong with it, in words
	Hash    string `json:"hash"`    // SHA-256 of the message's bytes, names the blob
}

// ReactionRefused records that a command that a reaction asked for was refused
// by a rule, so that whoever must act can see it.
type ReactionRefused struct {
	Reaction string `json:"reaction"` // <context>_<name>
	Cause    string `json:"cause"`    // id of the event, or the deadline
	Code     string `json:"code"`     // of the refusal
	Detail   string `json:"detail"`   // of the refusal, in words
}

// LogKeyRotated records that another key signs the transparency log from now on.
type LogKeyRotated struct {
	Old  string `json:"old"`  // public key that signed so far, as origin+hash+key
	New  string `json:"new"`  // public key that signs from now on
	Note string `json:"note"` // signed by both: the rotation, as docs/proof.md specifies it
}

// Each event with the streams it is written to; docs/events.md is made of this.
func (CommitRefused) event()   {} // RefusedStream
func (ReactionRefused) event() {} // ReactionStream
func (LogKeyRotated) event()   {} // LogStream

// Codec lists every event ever stored.
var Codec = codec.New(
	codec.Of[Event, CommitRefused]("commit-refused.v1"),
	codec.Of[Event, ReactionRefused]("reaction-refused.v1"),
	codec.Of[Event, LogKeyRotated]("log-key-rotated.v1"),
)
