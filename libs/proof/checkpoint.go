package proof

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Checkpoint is the state of a log: how many leaves it has, and the root of the
// tree over them. It is signed as a note; the format is C2SP's tlog-checkpoint.
type Checkpoint struct {
	Origin string // the log's name, and the name of its keys
	Size   uint64
	Root   tlog.Hash
}

// Signed is how far a ledger is signed: what a figure that is derived from the
// ledger is bound to.
type Signed struct {
	Position   es.Position `json:"position" doc:"of the last event that the checkpoint covers"`
	Checkpoint string      `json:"checkpoint" doc:"a signed note: origin, size and root"`
}

// ParseCheckpoint reads the text of a checkpoint, which is what its signatures
// are over. More lines may follow; nobody is asked to understand them.
func ParseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return c, errors.New("proof: a checkpoint has a line each for origin, size and root")
	}
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil || size > math.MaxInt64 || strconv.FormatUint(size, 10) != lines[1] {
		return c, errors.New("proof: the size of a checkpoint is not a number")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return c, errors.New("proof: the root of a checkpoint is not a hash")
	}
	return Checkpoint{lines[0], size, tlog.Hash(root)}, nil
}

// Key is the public half of a log's key, in the form of signed notes:
// name+hash+key. The name is the log's origin.
type Key struct {
	note.Verifier
	Text string
}

// Keys are the keys a reader trusts. Where they come from is the whole question:
// not from the server that is checked.
type Keys []Key

// ParseKeys reads keys, one a line. Empty lines and those that begin with # are
// passed over.
func ParseKeys(text string) (keys Keys, err error) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		v, err := note.NewVerifier(line)
		if err != nil {
			return nil, fmt.Errorf("proof: %q is not a log's public key, name+hash+key: %w", line, err)
		}
		keys = keys.with(Key{v, line})
	}
	if len(keys) == 0 {
		return nil, errors.New("proof: there is no key")
	}
	return keys, nil
}

func (k Keys) has(text string) bool {
	return slices.ContainsFunc(k, func(key Key) bool { return key.Text == text })
}

func (k Keys) with(key Key) Keys {
	if k.has(key.Text) {
		return k
	}
	return append(slices.Clip(k), key)
}

func (k Keys) list() note.Verifiers {
	all := make([]note.Verifier, len(k))
	for i, key := range k {
		all[i] = key
	}
	return note.VerifierList(all...)
}

// Checkpoint opens a signed checkpoint, and says which key signed it. rotations
// lead from keys of the past to today's, the first one first, see [Rotate]; a
// key that another replaced is good for nothing then.
func (k Keys) Checkpoint(signed string, rotations ...string) (Checkpoint, Key, *Finding) {
	trusted, retired := k, Keys{}
	for _, r := range rotations {
		rotation, err := ParseRotation(r)
		if err != nil {
			return Checkpoint{}, Key{}, found(ForgedRotation, "a rotation of keys does not hold: %v", err)
		}
		if trusted.has(rotation.Old.Text) {
			trusted, retired = trusted.with(rotation.New), retired.with(rotation.Old)
		}
	}
	n, err := note.Open([]byte(signed), trusted.list())
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case errors.As(err, &unverified):
		return Checkpoint{}, Key{}, found(WrongKey, "the checkpoint is not signed by %s, but by %s", names(trusted), signatures(unverified.Note))
	case errors.As(err, &invalid):
		return Checkpoint{}, Key{}, found(ForgedSignature, "a signature in the name of %s+%08x is not of that key: the checkpoint was changed or forged", invalid.Name, invalid.Hash)
	case err != nil:
		return Checkpoint{}, Key{}, found(Malformed, "the checkpoint cannot be read: %v", err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, Key{}, found(Malformed, "the checkpoint cannot be read: %v", err)
	}
	var by Key
	for _, sig := range n.Sigs {
		for _, key := range trusted {
			if key.Name() != sig.Name || key.KeyHash() != sig.Hash || retired.has(key.Text) {
				continue
			}
			if by = key; key.Name() != c.Origin {
				return Checkpoint{}, Key{}, found(OtherLog, "the checkpoint is of the log %q and signed by a key of %q", c.Origin, key.Name())
			}
		}
	}
	if by.Verifier == nil {
		return Checkpoint{}, Key{}, found(RetiredKey, "the checkpoint is signed only by a key that another replaced")
	}
	return c, by, nil
}

// names lists keys as signatures name them.
func names(keys Keys) string {
	var all []string
	for _, key := range keys {
		all = append(all, fmt.Sprintf("%s+%08x", key.Name(), key.KeyHash()))
	}
	return strings.Join(all, ", ")
}

func signatures(n *note.Note) string {
	var all []string
	for _, sig := range n.UnverifiedSigs {
		all = append(all, fmt.Sprintf("%s+%08x", sig.Name, sig.Hash))
	}
	return strings.Join(all, ", ")
}

// Rotation says that a log's key was replaced by another.
type Rotation struct{ Old, New Key }

// rotationVersion is the first line of a rotation. The old and the new key follow.
const rotationVersion = "yimu key rotation v1"

func (r Rotation) text() string {
	return rotationVersion + "\n" + r.Old.Text + "\n" + r.New.Text + "\n"
}

// Rotate returns the note in which both keys of a log say that one replaces the
// other: the old, so that who trusts it may trust the new one; the new, so that
// nobody hands a log over to a key that is not theirs.
func Rotate(oldKey, newKey Key, signers ...note.Signer) (string, error) {
	signed, err := note.Sign(&note.Note{Text: Rotation{oldKey, newKey}.text()}, signers...)
	if err != nil {
		return "", fmt.Errorf("proof: rotate keys: %w", err)
	}
	_, err = ParseRotation(string(signed))
	return string(signed), err
}

// ParseRotation reads a rotation and checks both signatures.
func ParseRotation(signed string) (Rotation, error) {
	lines := strings.SplitN(signed, "\n", 4)
	if len(lines) < 4 || lines[0] != rotationVersion {
		return Rotation{}, fmt.Errorf("proof: not a note of the form %q", rotationVersion)
	}
	keys, err := ParseKeys(lines[1] + "\n" + lines[2])
	switch {
	case err != nil:
		return Rotation{}, err
	case len(keys) != 2 || keys[0].Name() != keys[1].Name():
		return Rotation{}, errors.New("proof: a rotation is from one key of a log to another")
	}
	r := Rotation{keys[0], keys[1]}
	n, err := note.Open([]byte(signed), keys.list())
	switch {
	case err != nil:
		return Rotation{}, fmt.Errorf("proof: rotation: %w", err)
	case n.Text != r.text():
		return Rotation{}, errors.New("proof: a rotation says nothing but the two keys")
	case len(n.Sigs) != 2: // a key's second signature is not counted
		return Rotation{}, errors.New("proof: not both keys have signed")
	}
	return r, nil
}
