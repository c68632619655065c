package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Formats, in the documents themselves.
const (
	ReceiptFormat   = "yimu receipt v1"
	ExtensionFormat = "yimu extension v1"
)

// Receipt proves that one event is in a log. It holds the event's stored bytes,
// so that it says what is in the log, and not only that something is.
type Receipt struct {
	Format     string   `json:"format" enum:"yimu receipt v1"`
	Event      Leaf     `json:"event"`
	Data       []byte   `json:"data" doc:"the event's data as stored, base64"`
	Meta       []byte   `json:"meta" doc:"the event's metadata as stored, base64"`
	Leaf       uint64   `json:"leaf" doc:"the event's number in the log, from 0"`
	Proof      []Hash   `json:"proof" nullable:"false" doc:"hashes from the leaf to the root, RFC 6962"`
	Checkpoint string   `json:"checkpoint" doc:"a signed note: origin, size and root"`
	Rotations  []string `json:"rotations,omitempty" doc:"signed notes that lead from the log's first key to today's"`
}

// Extension proves that a log was only appended to between two checkpoints.
type Extension struct {
	Format     string   `json:"format" enum:"yimu extension v1"`
	OldSize    uint64   `json:"oldSize" doc:"how many leaves the log had"`
	OldRoot    Hash     `json:"oldRoot" doc:"root of the tree over these"`
	Proof      []Hash   `json:"proof" nullable:"false" doc:"consistency proof from there to the checkpoint, RFC 6962"`
	Checkpoint string   `json:"checkpoint" doc:"a signed note: origin, size and root"`
	Rotations  []string `json:"rotations,omitempty" doc:"signed notes that lead from the log's first key to today's"`
}

// ParseReceipt reads a receipt. Fields it does not know are an error: what is
// shown as checked must have been checked.
func ParseReceipt(b []byte) (r Receipt, err error) {
	err = parse(b, &r)
	if err == nil && r.Format != ReceiptFormat {
		err = fmt.Errorf("proof: not a receipt of the form %q", ReceiptFormat)
	}
	return r, err
}

// ParseExtension reads an extension.
func ParseExtension(b []byte) (e Extension, err error) {
	err = parse(b, &e)
	if err == nil && e.Format != ExtensionFormat {
		err = fmt.Errorf("proof: not an extension of the form %q", ExtensionFormat)
	}
	return e, err
}

func parse(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("proof: %w", err)
	}
	if d.More() {
		return errors.New("proof: something follows the document")
	}
	return nil
}

// Verified is what holds, of a checkpoint that a document leads to.
type Verified struct {
	Checkpoint Checkpoint
	Key        Key // that signed it
}

// Receipt checks a receipt. Without findings all of it holds: the bytes are those
// of the event, and the event is in the log as the checkpoint signs it.
func (k Keys) Receipt(r Receipt) (v Verified, findings []Finding) {
	for _, part := range []struct {
		what string
		is   []byte
		want Hash
	}{{"data", r.Data, r.Event.Data}, {"metadata", r.Meta, r.Event.Meta}} {
		if got := Hash(sha256.Sum256(part.is)); got != part.want {
			findings = append(findings, *found(ChangedBytes, "the %s are not those of the event: their SHA-256 is %s, the leaf says %s", part.what, got, part.want))
		}
	}
	if !r.Event.Happened.valid() || !r.Event.Recorded.valid() {
		findings = append(findings, *found(Malformed, "a time of the event is not written as a leaf writes it"))
	}
	c, key, failed := k.Checkpoint(r.Checkpoint, r.Rotations...)
	if failed != nil {
		return v, append(findings, *failed)
	}
	return Verified{c, key}, append(findings, includes(c, r)...)
}

func includes(c Checkpoint, r Receipt) []Finding {
	if r.Leaf >= c.Size {
		return []Finding{*found(ForgedProof, "the checkpoint has %d leaves, and this should be leaf %d", c.Size, r.Leaf)}
	}
	if err := tlog.CheckRecord(hashes(r.Proof), int64(c.Size), c.Root, int64(r.Leaf), r.Event.Hash()); err != nil {
		return []Finding{*found(ForgedProof, "the proof does not lead from this event at leaf %d to the checkpoint of %d leaves: the event, its place or the proof was changed", r.Leaf, c.Size)}
	}
	return nil
}

// Extension checks that the log which e leads to contains all that an older
// checkpoint signs, unchanged. signed is the older one, with the rotations that
// came with it.
func (k Keys) Extension(signed string, rotations []string, e Extension) (before, after Verified, findings []Finding) {
	old, key, failed := k.Checkpoint(signed, rotations...)
	if failed != nil {
		failed.Detail = "the old checkpoint: " + failed.Detail
		return before, after, append(findings, *failed)
	}
	before = Verified{old, key}
	c, key, failed := k.Checkpoint(e.Checkpoint, e.Rotations...)
	if failed != nil {
		failed.Detail = "the new checkpoint: " + failed.Detail
		return before, after, append(findings, *failed)
	}
	after = Verified{c, key}
	return before, after, extends(old, c, e)
}

func extends(old, c Checkpoint, e Extension) []Finding {
	switch {
	case old.Origin != c.Origin:
		return []Finding{*found(OtherLog, "the old checkpoint is of the log %q, the new one of %q", old.Origin, c.Origin)}
	case old.Size > c.Size:
		return []Finding{*found(CutTail, "the old checkpoint has %d leaves and the new one %d: a log that is only appended to never gets smaller (if the files were swapped, swap them)", old.Size, c.Size)}
	case old.Size == c.Size && old.Root != c.Root:
		return []Finding{*found(RewrittenHistory, "two checkpoints of %d leaves have different roots, and both are signed: keep them, they prove it", c.Size)}
	case old.Size == c.Size:
		return nil
	case e.OldSize != old.Size:
		return []Finding{*found(ForgedProof, "the proof begins at %d leaves and the old checkpoint has %d: it is of another checkpoint", e.OldSize, old.Size)}
	case old.Size == 0:
		return nil // whatever was appended was appended to nothing
	}
	// The proof leads from the root that the prover claims to the one that is
	// signed, or it says nothing. If it does, the claim is as good as signed.
	root := tlog.Hash(e.OldRoot)
	if tlog.CheckTree(hashes(e.Proof), int64(c.Size), c.Root, int64(old.Size), root) != nil {
		return []Finding{*found(ForgedProof, "the proof does not lead from %d leaves to the checkpoint of %d: it, or a checkpoint, was changed; ask for it again", old.Size, c.Size)}
	}
	if root != old.Root {
		return []Finding{*found(RewrittenHistory, "the first %d leaves of the new log have another root than the old checkpoint, and both are signed: keep the files, they prove it", old.Size)}
	}
	return nil
}

func hashes(proof []Hash) []tlog.Hash {
	all := make([]tlog.Hash, len(proof))
	for i, h := range proof {
		all[i] = tlog.Hash(h)
	}
	return all
}
