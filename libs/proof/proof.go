// Package proof is what a reader needs to check, offline and without trusting
// whoever runs the servers, that a fact is in a ledger and that the ledger was
// only ever appended to.
//
// A log of a ledger has one leaf for each event, in the ledger's order: [Leaf],
// which commits to everything that the store keeps of it. The log's operator
// signs a [Checkpoint] over all leaves so far. A [Receipt] leads from one event
// to a checkpoint, an [Extension] from an older checkpoint to a newer one, a
// [Bundle] holds all events of one estate with the tree that they stand in, and
// [Keys] check each of them. docs/proof.md specifies all of it to the byte.
//
// The package makes no proof and keeps no log; libs/tlog does. It rests on
// golang.org/x/mod/sumdb for notes and trees, and knows nothing of estates.
package proof

import "fmt"

// Finding is something that does not hold. Two readers of the same file find
// the same.
type Finding struct {
	Code   Code   `json:"code"`
	Rule   string `json:"rule,omitempty"` // that does not hold, where it is one of the estate's
	Detail string `json:"detail"`         // for a person
}

func (f Finding) String() string {
	if f.Rule != "" {
		return string(f.Code) + " (" + f.Rule + "): " + f.Detail
	}
	return string(f.Code) + ": " + f.Detail
}

func found(code Code, format string, args ...any) *Finding {
	return &Finding{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// Code names a kind of finding, for ever.
type Code string

// What may be found.
const (
	// Malformed is not what it should be at all: cut off, or of another format.
	Malformed Code = "malformed"
	// ChangedBytes are stored bytes that are not those the leaf commits to.
	ChangedBytes Code = "changed-bytes"
	// WrongKey is a checkpoint that none of the reader's keys has signed.
	WrongKey Code = "wrong-key"
	// RetiredKey is a checkpoint signed only by a key that another replaced.
	RetiredKey Code = "retired-key"
	// ForgedSignature is a signature in the name of a key that it is not of.
	ForgedSignature Code = "forged-signature"
	// ForgedRotation is a statement that a key replaces another which not both
	// of them signed.
	ForgedRotation Code = "forged-rotation"
	// OtherLog is a checkpoint of another log than the one asked about.
	OtherLog Code = "other-log"
	// ForgedProof does not lead from this event, or this checkpoint, to that
	// checkpoint: one of the three was changed, or they do not belong together.
	ForgedProof Code = "forged-proof"
	// CutTail is a checkpoint that claims to be the newer one and has fewer leaves.
	CutTail Code = "cut-tail"
	// RewrittenHistory is two checkpoints of one log, both signed, of which the
	// newer does not contain the older. Together they prove it to anyone.
	RewrittenHistory Code = "rewritten-history"
	// WrongOrder is an event before another that the ledger recorded earlier.
	WrongOrder Code = "wrong-order"
	// MissingEvent is a revision of a stream that is not there, before others that are.
	MissingEvent Code = "missing-event"
	// DuplicatedEvent is a revision of a stream that is there twice.
	DuplicatedEvent Code = "duplicated-event"
	// IllegitimateEvent is in the log, and a rule of the estate does not allow it.
	IllegitimateEvent Code = "illegitimate-event"
	// NotSeen is an event that was decided without something that mattered, and
	// that had been recorded more than a minute before.
	NotSeen Code = "not-seen"
	// ReplayedCommit is a commit that its stream had before: a command counts once.
	ReplayedCommit Code = "replayed-commit"
	// WrongFigure is a published figure that the events do not lead to.
	WrongFigure Code = "wrong-figure"
)
