package proof_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
)

var (
	executions = flag.Int("executions", 100_000, "how many documents of a malicious prover are checked")
	seed       = flag.Uint64("seed", 1, "of the malicious prover")
)

// prover makes documents that should not be accepted: genuine ones with something
// changed, put together from parts of several, or of another history.
type prover struct {
	*rand.Rand
	t         *testing.T
	key       key
	log       *log
	rewritten *log // another history of the same log, signed with the same key
	size      int
	receipts  []proof.Receipt // of both histories, of trees of all sizes
	extends   []proof.Extension
	hashes    []tlog.Hash // that stand in a tree of either
	leaves    [][]byte
	notes     []string
	bundles   [][]byte
}

func newProver(t *testing.T, size int) *prover {
	p := &prover{Rand: rand.New(rand.NewPCG(*seed, 0)), t: t, key: newKey(t, origin, 1), log: newLog(t, size, ""), rewritten: newLog(t, size, "rewritten"), size: size}
	for _, l := range []*log{p.log, p.rewritten} {
		p.hashes = append(p.hashes, l.hashes...)
		for n := 1; n <= size; n++ {
			signed := l.checkpoint(n, origin, p.key.Signer)
			p.notes = append(p.notes, signed)
			for i := range n {
				p.receipts = append(p.receipts, l.receipt(i, n, signed))
			}
			for old := range n + 1 {
				p.extends = append(p.extends, l.extension(old, n, signed))
			}
		}
		for _, e := range l.events {
			p.leaves = append(p.leaves, proof.LeafOf(e).Bytes())
		}
	}
	return p
}

func pick[T any](p *prover, from []T) T { return from[p.IntN(len(from))] }

// hash is one that may fit somewhere, or one that does not.
func (p *prover) hash() proof.Hash {
	h := proof.Hash(pick(p, p.hashes))
	if p.IntN(3) == 0 {
		h[p.IntN(len(h))] ^= 1 << p.IntN(8)
	}
	return h
}

// path changes a list of hashes.
func (p *prover) path(path []proof.Hash) []proof.Hash {
	path = slices.Clone(path)
	at := 0
	if len(path) > 0 {
		at = p.IntN(len(path))
	}
	switch p.IntN(7) {
	case 0:
		if len(path) > 0 {
			path[at][p.IntN(32)] ^= 1 << p.IntN(8)
		}
	case 1:
		if len(path) > 0 {
			path = slices.Delete(path, at, at+1)
		}
	case 2:
		path = slices.Insert(path, at, p.hash())
	case 3:
		if len(path) > 0 {
			path[at] = p.hash()
		}
	case 4:
		if len(path) > 1 {
			other := p.IntN(len(path))
			path[at], path[other] = path[other], path[at]
		}
	case 5:
		path = pick(p, p.receipts).Proof
	case 6:
		path = pick(p, p.extends).Proof
	}
	return path
}

// mutate changes some bytes.
func (p *prover) mutate(b []byte) []byte {
	b = slices.Clone(b)
	for range 1 + p.IntN(3) {
		if len(b) == 0 {
			break
		}
		at := p.IntN(len(b))
		switch p.IntN(5) {
		case 0:
			b[at] ^= 1 << p.IntN(8)
		case 1:
			b[at] = byte(p.Uint32())
		case 2:
			b = slices.Delete(b, at, min(len(b), at+1+p.IntN(8)))
		case 3:
			b = slices.Insert(b, at, b[p.IntN(len(b))])
		case 4:
			from := p.IntN(len(b))
			b = slices.Insert(b, at, b[from:min(len(b), from+p.IntN(40))]...)
		}
	}
	return b
}

// receipt is one that may be of anything.
func (p *prover) receipt() proof.Receipt {
	r := pick(p, p.receipts)
	r.Data, r.Meta = slices.Clone(r.Data), slices.Clone(r.Meta)
	for range 1 + p.IntN(2) {
		other := pick(p, p.receipts)
		switch p.IntN(12) {
		case 0:
			r.Proof = p.path(r.Proof)
		case 1:
			r.Leaf = uint64(p.IntN(p.size + 1))
		case 2:
			r.Leaf = p.Uint64()
		case 3:
			r.Data = p.mutate(r.Data)
			if p.IntN(2) == 0 {
				r.Event.Data = sha256.Sum256(r.Data)
			}
		case 4:
			r.Meta = p.mutate(r.Meta)
			if p.IntN(2) == 0 {
				r.Event.Meta = sha256.Sum256(r.Meta)
			}
		case 5:
			r.Event.Stream = string(p.mutate([]byte(r.Event.Stream)))
		case 6:
			r.Event.Revision += uint64(p.IntN(3)) - 1
		case 7:
			r.Event.ID = uuid.UUID(p.mutate16(r.Event.ID))
		case 8:
			r.Event.Type, r.Event.Happened = string(p.mutate([]byte(r.Event.Type))), proof.Time(p.mutate([]byte(r.Event.Happened)))
		case 9:
			r.Event, r.Data, r.Meta = other.Event, other.Data, other.Meta
		case 10:
			r.Proof, r.Checkpoint = other.Proof, other.Checkpoint
		case 11:
			// An inner node, offered as a leaf.
			h := p.hash()
			r.Event.Data, r.Event.Meta = h, p.hash()
		}
	}
	return r
}

func (p *prover) mutate16(id [16]byte) [16]byte {
	id[p.IntN(16)] ^= 1 << p.IntN(8)
	return id
}

// genuine says whether a receipt says nothing but what is so in a history.
func (l *log) genuine(r proof.Receipt) bool {
	if r.Leaf >= uint64(len(l.events)) {
		return false
	}
	e := l.events[r.Leaf]
	return r.Event == proof.LeafOf(e) && bytes.Equal(r.Data, e.Data) && bytes.Equal(r.Meta, e.Meta)
}

func (p *prover) mustBeGenuine(r proof.Receipt, root tlog.Hash) {
	for _, l := range []*log{p.log, p.rewritten} {
		for n := int(r.Leaf) + 1; n <= p.size; n++ {
			if l.root(n) == root && l.genuine(r) {
				return
			}
		}
	}
	b, _ := json.Marshal(r)
	p.t.Fatalf("accepted: %s", b)
}

// A malicious prover has the log's key, and still no document of theirs is
// accepted unless what it says is so.
func TestNothingOfAMaliciousProverIsAccepted(t *testing.T) {
	p := newProver(t, 23)
	keys := proof.Keys{p.key.Key}
	var checkpoints []proof.Checkpoint
	for _, signed := range p.notes {
		c, _, failed := keys.Checkpoint(signed)
		if failed != nil {
			t.Fatal(failed)
		}
		checkpoints = append(checkpoints, c)
	}
	for _, salt := range []string{"", "rewritten"} {
		l := newLog(t, 40, salt)
		p.bundles = append(p.bundles, bundleOf(l, l.checkpoint(40, origin, p.key.Signer)).write(t))
	}
	before := p.log.checkpoint(11, origin, p.key.Signer)
	for _, target := range []struct {
		what  string
		share int // of 1,000 executions
		run   func() (accepted bool)
	}{
		{"inclusion proofs", 510, func() bool {
			r, c := p.receipt(), pick(p, checkpoints)
			if sha256.Sum256(r.Data) != r.Event.Data || sha256.Sum256(r.Meta) != r.Event.Meta || len(proof.Includes(c, r)) > 0 {
				return false
			}
			p.mustBeGenuine(r, c.Root)
			return true
		}},
		{"consistency proofs", 300, func() bool {
			e, old, c := pick(p, p.extends), pick(p, checkpoints), pick(p, checkpoints)
			e.Proof = p.path(e.Proof)
			switch p.IntN(4) {
			case 0:
				e.OldSize, e.OldRoot = old.Size, proof.Hash(old.Root)
			case 1:
				e.OldSize = uint64(p.IntN(p.size + 1))
			case 2:
				e.OldRoot = p.hash()
			}
			if len(proof.Extends(old, c, e)) > 0 {
				return false
			}
			for _, l := range []*log{p.log, p.rewritten} {
				if l.root(int(old.Size)) == old.Root && l.root(int(c.Size)) == c.Root && old.Size <= c.Size {
					return true
				}
			}
			t.Fatalf("accepted that %v extends %v by %v", c, old, e)
			return true
		}},
		{"leaves", 120, func() bool {
			b := p.mutate(pick(p, p.leaves))
			l, err := proof.ParseLeaf(b)
			if err == nil && !bytes.Equal(l.Bytes(), b) {
				t.Fatalf("two leaves are the same:\n%s%s", b, l.Bytes())
			}
			return err == nil
		}},
		{"receipts, whole", 20, func() bool {
			r := p.receipt()
			if p.IntN(2) == 0 {
				r.Checkpoint = string(p.mutate([]byte(r.Checkpoint)))
			}
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			if p.IntN(2) == 0 {
				b = p.mutate(b)
			}
			read, err := proof.ParseReceipt(b)
			if err != nil {
				return false
			}
			v, findings := keys.Receipt(read)
			if len(findings) > 0 {
				return false
			}
			p.mustBeGenuine(read, v.Checkpoint.Root)
			return true
		}},
		{"extensions, whole", 15, func() bool {
			e := pick(p, p.extends)
			e.Proof = p.path(e.Proof)
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			read, err := proof.ParseExtension(p.mutate(b))
			if err != nil {
				return false
			}
			_, after, findings := keys.Extension(before, nil, read)
			if len(findings) > 0 {
				return false
			}
			if c := after.Checkpoint; c.Size < 11 || p.log.root(int(c.Size)) != c.Root {
				t.Fatalf("accepted: %s", b)
			}
			return true
		}},
		{"checkpoints", 15, func() bool {
			b := p.mutate([]byte(pick(p, p.notes)))
			c, _, failed := keys.Checkpoint(string(b))
			if failed == nil && !slices.Contains(checkpoints, c) {
				t.Fatalf("accepted: %s", b)
			}
			return failed == nil
		}},
		{"rotations of keys", 10, p.rotations()},
		{"bundles", 10, func() bool { return p.bundle(keys) }},
	} {
		n, accepted, start := *executions*target.share/1000, 0, time.Now()
		for range n {
			if target.run() {
				accepted++
			}
		}
		t.Logf("%-18s %11d executions, %d of them said nothing wrong, %s", target.what, n, accepted, time.Since(start).Round(time.Millisecond))
	}
}

// rotations has somebody without the log's keys try to have theirs taken for one.
func (p *prover) rotations() func() bool {
	second, thief := newKey(p.t, origin, 2), newKey(p.t, origin, 9)
	say := func(from, to key, signers ...note.Signer) string {
		signed, err := note.Sign(&note.Note{Text: "yimu key rotation v1\n" + from.Text + "\n" + to.Text + "\n"}, signers...)
		if err != nil {
			p.t.Fatal(err)
		}
		return string(signed)
	}
	genuine := say(p.key, second, p.key.Signer, second.Signer)
	all := []string{
		genuine, say(p.key, thief, thief.Signer), say(second, thief, thief.Signer), say(thief, p.key, thief.Signer), say(thief, second, thief.Signer),
		say(p.key, thief, thief.Signer) + signature(genuine), say(second, thief, thief.Signer) + signature(genuine), say(thief, thief, thief.Signer, thief.Signer),
	}
	var notes []string
	for n := 1; n <= p.size; n++ {
		notes = append(notes, p.log.checkpoint(n, origin, p.key.Signer), p.log.checkpoint(n, origin, second.Signer),
			p.rewritten.checkpoint(n, origin, thief.Signer), p.rewritten.checkpoint(n, origin, thief.Signer)+signature(p.log.checkpoint(n, origin, second.Signer)))
	}
	return func() bool {
		var given []string
		for range p.IntN(4) {
			r := pick(p, all)
			if p.IntN(3) == 0 {
				r = string(p.mutate([]byte(r)))
			}
			given = append(given, r)
		}
		c, by, failed := proof.Keys{p.key.Key}.Checkpoint(pick(p, notes), given...)
		if failed != nil {
			return false
		}
		if by.Text == thief.Text || p.log.root(int(c.Size)) != c.Root {
			p.t.Fatalf("accepted, by %s: %v", by.Text, given)
		}
		return true
	}
}

// signature is the first one of a note.
func signature(signed string) string {
	_, lines, _ := strings.Cut(signed, "\n\n")
	first, _, _ := strings.Cut(lines, "\n")
	return first + "\n"
}

// bundle changes a bundle's leaves, so that the rest of it is read at all.
func (p *prover) bundle(keys proof.Keys) bool {
	genuine := open(p.t, p.bundles[0])
	var out bytes.Buffer
	w := proof.NewBundleWriter(&out)
	from := pick(p, p.bundles)
	leaves, signed := contents(p.t, from)
	if p.IntN(2) == 0 {
		_, signed = contents(p.t, pick(p, p.bundles))
	}
	if p.IntN(8) == 0 {
		signed = string(p.mutate([]byte(signed)))
	}
	into, err := w.Leaves()
	if err != nil {
		p.t.Fatal(err)
	}
	_, _ = into.Write(append([]byte(proof.LeavesHead), p.mutate(leaves)...))
	if err := w.AddCheckpoint(signed, nil); err != nil {
		p.t.Fatal(err)
	}
	if err := w.Close(genuine.Manifest); err != nil {
		p.t.Fatal(err)
	}
	file := out.Bytes()
	if p.IntN(8) == 0 {
		file = p.mutate(file)
	}
	b, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return false
	}
	told := map[uint64]es.Recorded{}
	c, findings, err := keys.Bundle(b, nil, func(leaf uint64, r es.Recorded) error {
		told[leaf] = r
		return nil
	})
	if err != nil || len(findings) > 0 {
		return false
	}
	salt := ""
	if bytes.Contains(told[0].Data, []byte("rewritten")) {
		salt = "rewritten"
	}
	for leaf, r := range told {
		if r.Position == 0 || leaf >= c.Leaves || proof.LeafOf(r) != proof.LeafOf(event(int(leaf), salt)) {
			p.t.Fatalf("accepted at leaf %d: %v", leaf, r)
		}
	}
	return true
}

// contents returns the entries and the checkpoint of a bundle.
func contents(t *testing.T, file []byte) (leaves []byte, signed string) {
	b := open(t, file)
	all, err := b.File(proof.LeavesFile)
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(all), "\n")
	if !ok {
		t.Fatal(fmt.Errorf("no leaves in %q", all))
	}
	return []byte(after), b.Checkpoint
}

// FuzzBundle looks for a bundle that is accepted and says something else.
func FuzzBundle(f *testing.F) {
	k := newKey(f, origin, 1)
	l := newLog(f, 20, "")
	f.Add(bundleOf(l, l.checkpoint(20, origin, k.Signer)).write(f))
	f.Fuzz(func(t *testing.T, file []byte) {
		b, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		told := map[uint64]es.Recorded{}
		c, findings, err := proof.Keys{k.Key}.Bundle(b, nil, func(leaf uint64, r es.Recorded) error {
			told[leaf] = r
			return nil
		})
		if err != nil || len(findings) > 0 {
			return
		}
		for leaf, r := range told {
			if leaf >= c.Leaves || proof.LeafOf(r) != proof.LeafOf(event(int(leaf), "")) {
				t.Fatalf("accepted at leaf %d: %v", leaf, r)
			}
		}
	})
}
