package proof_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
)

const origin = "yimu.example/log"

// key is a log's key, the same each time for the same seed.
type key struct {
	note.Signer
	proof.Key
}

func newKey(t testing.TB, name string, seed byte) key {
	t.Helper()
	private, public, err := note.GenerateKey(bytes.NewReader(bytes.Repeat([]byte{seed}, 64)), name)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := proof.ParseKeys(public)
	if err != nil {
		t.Fatal(err)
	}
	return key{signer, keys[0]}
}

// log is a log in memory, kept by golang.org/x/mod alone.
type log struct {
	t      testing.TB
	events []es.Recorded
	hashes []tlog.Hash
}

func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	all := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		all[i] = l.hashes[x]
	}
	return all, nil
}

func event(i int, salt string) es.Recorded {
	at := time.Date(2026, 3, 1, 8, 0, i, 0, time.UTC)
	return es.Recorded{
		Stream: fmt.Sprintf("ballot-%d", i/3), Revision: uint64(i % 3), Position: es.Position(100 + i*100), ID: uuid.UUID{15: byte(i), 14: byte(i >> 8), 0: 1},
		Type: "ballot-cast.v1", Data: fmt.Appendf(nil, `{"n":%d,"salt":%q}`, i, salt),
		Meta: fmt.Appendf(nil, `{"hash":"h","happened":%q}`, at.Format(time.RFC3339Nano)), Created: at.Add(1234567 * time.Nanosecond),
	}
}

func newLog(t testing.TB, n int, salt string) *log {
	t.Helper()
	l := &log{t: t}
	for i := range n {
		e := event(i, salt)
		stored, err := tlog.StoredHashes(int64(i), proof.LeafOf(e).Bytes(), l)
		if err != nil {
			t.Fatal(err)
		}
		l.events, l.hashes = append(l.events, e), append(l.hashes, stored...)
	}
	return l
}

func (l *log) root(size int) tlog.Hash {
	l.t.Helper()
	root, err := tlog.TreeHash(int64(size), l)
	if err != nil {
		l.t.Fatal(err)
	}
	return root
}

func (l *log) checkpoint(size int, name string, signers ...note.Signer) string {
	l.t.Helper()
	return sign(l.t, size, l.root(size), name, signers...)
}

func sign(t testing.TB, size int, root tlog.Hash, name string, signers ...note.Signer) string {
	t.Helper()
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", name, size, base64.StdEncoding.EncodeToString(root[:]))}, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

func (l *log) receipt(index, size int, checkpoint string) proof.Receipt {
	l.t.Helper()
	p, err := tlog.ProveRecord(int64(size), int64(index), l)
	if err != nil {
		l.t.Fatal(err)
	}
	e := l.events[index]
	return proof.Receipt{
		Format: proof.ReceiptFormat, Event: proof.LeafOf(e), Data: e.Data, Meta: e.Meta, Leaf: uint64(index), Proof: hashes(p), Checkpoint: checkpoint,
	}
}

func (l *log) extension(old, size int, checkpoint string) proof.Extension {
	l.t.Helper()
	e := proof.Extension{Format: proof.ExtensionFormat, OldSize: uint64(old), OldRoot: proof.Hash(l.root(old)), Checkpoint: checkpoint}
	if old > 0 {
		p, err := tlog.ProveTree(int64(size), int64(old), l)
		if err != nil {
			l.t.Fatal(err)
		}
		e.Proof = hashes(p)
	}
	return e
}

func hashes(all []tlog.Hash) (out []proof.Hash) {
	for _, h := range all {
		out = append(out, proof.Hash(h))
	}
	return out
}

func codes(findings []proof.Finding) (all []proof.Code) {
	for _, f := range findings {
		all = append(all, f.Code)
	}
	return all
}

func want(t *testing.T, what string, findings []proof.Finding, expected ...proof.Code) {
	t.Helper()
	if !slices.Equal(codes(findings), expected) {
		t.Errorf("%s: found %v, want %v", what, findings, expected)
	}
}

func TestEveryEventOfEveryTreeHasAReceiptThatHolds(t *testing.T) {
	k := newKey(t, origin, 1)
	keys := proof.Keys{k.Key}
	l := newLog(t, 70, "")
	for size := 1; size <= 70; size++ {
		checkpoint := l.checkpoint(size, origin, k.Signer)
		for index := range size {
			v, findings := keys.Receipt(l.receipt(index, size, checkpoint))
			want(t, "a receipt", findings)
			if v.Checkpoint.Size != uint64(size) || v.Checkpoint.Origin != origin || v.Key.Text != k.Text {
				t.Fatalf("verified %+v", v)
			}
		}
		for old := range size + 1 {
			_, _, findings := keys.Extension(l.checkpoint(old, origin, k.Signer), nil, l.extension(old, size, checkpoint))
			want(t, "an extension", findings)
		}
	}
}

func TestWhateverIsChangedInAReceiptIsFound(t *testing.T) {
	k, other := newKey(t, origin, 1), newKey(t, origin, 2)
	l, rewritten := newLog(t, 20, ""), newLog(t, 20, "other")
	good := l.checkpoint(20, origin, k.Signer)
	for _, c := range []struct {
		what   string
		change func(*proof.Receipt)
		codes  []proof.Code
	}{
		{"its stream", func(r *proof.Receipt) { r.Event.Stream += "x" }, []proof.Code{proof.ForgedProof}},
		{"its revision", func(r *proof.Receipt) { r.Event.Revision++ }, []proof.Code{proof.ForgedProof}},
		{"its id", func(r *proof.Receipt) { r.Event.ID[3] ^= 1 }, []proof.Code{proof.ForgedProof}},
		{"its type", func(r *proof.Receipt) { r.Event.Type = "ballot-withdrawn.v1" }, []proof.Code{proof.ForgedProof}},
		{"when it happened", func(r *proof.Receipt) { r.Event.Happened = "2026-03-01T08:00:00.000001Z" }, []proof.Code{proof.ForgedProof}},
		{"when it was recorded", func(r *proof.Receipt) { r.Event.Recorded = proof.NoTime }, []proof.Code{proof.ForgedProof}},
		{"how a time is written", func(r *proof.Receipt) { r.Event.Recorded = "yesterday" }, []proof.Code{proof.Malformed, proof.ForgedProof}},
		{"a byte of its data", func(r *proof.Receipt) { r.Data = bytes.Replace(r.Data, []byte(":7"), []byte(":8"), 1) }, []proof.Code{proof.ChangedBytes}},
		{"a byte of its metadata", func(r *proof.Receipt) { r.Meta = append(bytes.Clone(r.Meta), ' ') }, []proof.Code{proof.ChangedBytes}},
		{"data and their hash", func(r *proof.Receipt) { e := rewritten.events[7]; r.Data, r.Event.Data = e.Data, proof.LeafOf(e).Data }, []proof.Code{proof.ForgedProof}},
		{"its place", func(r *proof.Receipt) { r.Leaf++ }, []proof.Code{proof.ForgedProof}},
		{"its place, out of the tree", func(r *proof.Receipt) { r.Leaf = 20 }, []proof.Code{proof.ForgedProof}},
		{"its place, out of all reason", func(r *proof.Receipt) { r.Leaf = 1<<64 - 1 }, []proof.Code{proof.ForgedProof}},
		{"a hash of the proof", func(r *proof.Receipt) { r.Proof = slices.Clone(r.Proof); r.Proof[1][0] ^= 1 }, []proof.Code{proof.ForgedProof}},
		{"the proof, shorter", func(r *proof.Receipt) { r.Proof = r.Proof[1:] }, []proof.Code{proof.ForgedProof}},
		{"the proof, longer", func(r *proof.Receipt) { r.Proof = append(slices.Clone(r.Proof), proof.Hash{}) }, []proof.Code{proof.ForgedProof}},
		{"the proof, of another event", func(r *proof.Receipt) { r.Proof = l.receipt(8, 20, "").Proof }, []proof.Code{proof.ForgedProof}},
		{"the proof, of an older tree", func(r *proof.Receipt) { r.Proof = l.receipt(7, 19, "").Proof }, []proof.Code{proof.ForgedProof}},
		{"the checkpoint, of an older tree", func(r *proof.Receipt) { r.Checkpoint = l.checkpoint(19, origin, k.Signer) }, []proof.Code{proof.ForgedProof}},
		{"the checkpoint, of another history", func(r *proof.Receipt) { r.Checkpoint = rewritten.checkpoint(20, origin, k.Signer) }, []proof.Code{proof.ForgedProof}},
		{"the checkpoint's text", func(r *proof.Receipt) { r.Checkpoint = strings.Replace(good, "\n20\n", "\n21\n", 1) }, []proof.Code{proof.ForgedSignature}},
		{"the checkpoint's signature", func(r *proof.Receipt) { r.Checkpoint = good[:len(good)-10] + "AAAAA" + good[len(good)-5:] }, []proof.Code{proof.ForgedSignature}},
		{"the checkpoint, cut off", func(r *proof.Receipt) { r.Checkpoint = good[:30] }, []proof.Code{proof.Malformed}},
		{"the key", func(r *proof.Receipt) { r.Checkpoint = l.checkpoint(20, origin, other.Signer) }, []proof.Code{proof.WrongKey}},
		{"the log", func(r *proof.Receipt) { r.Checkpoint = l.checkpoint(20, "elsewhere", k.Signer) }, []proof.Code{proof.OtherLog}},
		{"a rotation", func(r *proof.Receipt) { r.Rotations = []string{"yimu key rotation v1\n"} }, []proof.Code{proof.ForgedRotation}},
	} {
		r := l.receipt(7, 20, good)
		c.change(&r)
		_, findings := proof.Keys{k.Key}.Receipt(r)
		want(t, c.what, findings, c.codes...)
	}
}

func TestAnOlderCheckpointFindsWhateverBecameOfIt(t *testing.T) {
	k := newKey(t, origin, 1)
	l, rewritten := newLog(t, 40, ""), newLog(t, 40, "rewritten with the right key")
	sign := func(l *log, size int) string { return l.checkpoint(size, origin, k.Signer) }
	for _, old := range []int{1, 13, 16, 32, 39} { // powers of two leave a hash out of their proofs
		before := sign(l, old)
		for _, c := range []struct {
			what  string
			e     proof.Extension
			codes []proof.Code
		}{
			{"the same log", l.extension(old, 40, sign(l, 40)), nil},
			{"the same checkpoint", l.extension(old, old, before), nil},
			{"another history", rewritten.extension(old, 40, sign(rewritten, 40)), []proof.Code{proof.RewrittenHistory}},
			{"another history of the same length", rewritten.extension(old, old, sign(rewritten, old)), []proof.Code{proof.RewrittenHistory}},
			{"another history that claims the old root", func() proof.Extension {
				e := rewritten.extension(old, 40, sign(rewritten, 40))
				e.OldRoot = proof.Hash(l.root(old))
				return e
			}(), []proof.Code{proof.ForgedProof}},
			{"a smaller log", l.extension(old-1, old-1, sign(l, old-1)), []proof.Code{proof.CutTail}},
			{"a proof of another size", l.extension(old-1, 40, sign(l, 40)), []proof.Code{proof.ForgedProof}},
			{"a proof to another size", func() proof.Extension {
				e := l.extension(old, 40, sign(l, 40))
				e.Checkpoint = sign(newLog(t, 41, ""), 41)
				return e
			}(), []proof.Code{proof.ForgedProof}},
			{"an accusation that nobody signed", func() proof.Extension {
				e := l.extension(old, 40, sign(l, 40))
				e.OldRoot[0] ^= 1
				return e
			}(), []proof.Code{proof.ForgedProof}},
		} {
			_, _, findings := proof.Keys{k.Key}.Extension(before, nil, c.e)
			want(t, fmt.Sprintf("%s, after %d leaves", c.what, old), findings, c.codes...)
		}
	}
	elsewhere := newKey(t, "elsewhere", 3)
	_, _, findings := proof.Keys{k.Key, elsewhere.Key}.Extension(sign(l, 3), nil, l.extension(3, 40, l.checkpoint(40, "elsewhere", elsewhere.Signer)))
	want(t, "another log", findings, proof.OtherLog)
	_, _, findings = proof.Keys{k.Key}.Extension(sign(l, 3), nil, l.extension(3, 40, l.checkpoint(40, origin, newKey(t, origin, 2).Signer)))
	want(t, "another key", findings, proof.WrongKey)
}

func TestAnOldKeyLeadsToTheOneThatReplacedIt(t *testing.T) {
	first, second, third := newKey(t, origin, 1), newKey(t, origin, 2), newKey(t, origin, 3)
	l := newLog(t, 5, "")
	rotate := func(o, n key, signers ...note.Signer) string {
		t.Helper()
		r, err := proof.Rotate(o.Key, n.Key, signers...)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	one, two := rotate(first, second, first.Signer, second.Signer), rotate(second, third, third.Signer, second.Signer)
	check := func(what string, keys proof.Keys, checkpoint string, rotations []string, codes ...proof.Code) {
		t.Helper()
		_, _, f := keys.Checkpoint(checkpoint, rotations...)
		var findings []proof.Finding
		if f != nil {
			findings = append(findings, *f)
		}
		want(t, what, findings, codes...)
	}
	byThird := l.checkpoint(5, origin, third.Signer)
	check("the first key, by two rotations", proof.Keys{first.Key}, byThird, []string{one, two})
	check("the last key", proof.Keys{third.Key}, byThird, []string{one, two})
	check("the first key, without rotations", proof.Keys{first.Key}, byThird, nil, proof.WrongKey)
	check("the first key, a rotation missing", proof.Keys{first.Key}, byThird, []string{two}, proof.WrongKey)
	check("a retired key", proof.Keys{first.Key}, l.checkpoint(5, origin, first.Signer), []string{one}, proof.RetiredKey)
	check("a retired key and its successor", proof.Keys{first.Key}, l.checkpoint(5, origin, second.Signer, first.Signer), []string{one})
	check("a receipt from before", proof.Keys{first.Key}, l.checkpoint(5, origin, first.Signer), nil)

	for what, forged := range map[string]string{
		"signed by the old key only": func() string {
			n, err := note.Sign(&note.Note{Text: "yimu key rotation v1\n" + first.Text + "\n" + third.Text + "\n"}, first.Signer)
			if err != nil {
				t.Fatal(err)
			}
			return string(n)
		}(),
		"signed by the new key only": func() string {
			n, err := note.Sign(&note.Note{Text: "yimu key rotation v1\n" + first.Text + "\n" + third.Text + "\n"}, third.Signer)
			if err != nil {
				t.Fatal(err)
			}
			return string(n)
		}(),
		"with another new key": strings.Replace(one, second.Text, third.Text, 1),
		"that says more": func() string {
			n, err := note.Sign(&note.Note{Text: "yimu key rotation v1\n" + first.Text + "\n" + third.Text + "\n\nand more\n"}, first.Signer, third.Signer)
			if err != nil {
				t.Fatal(err)
			}
			return string(n)
		}(),
	} {
		check("a rotation "+what, proof.Keys{first.Key}, byThird, []string{forged}, proof.ForgedRotation)
	}
	if _, err := proof.Rotate(first.Key, newKey(t, "elsewhere", 4).Key, first.Signer); err == nil {
		t.Error("a log was handed to another")
	}
	if _, err := proof.Rotate(first.Key, second.Key, first.Signer); err == nil {
		t.Error("one signature was enough")
	}
}

func TestALeafIsWrittenAsSpecified(t *testing.T) {
	r := es.Recorded{
		Stream: "ballot-0c4f1e-17", Revision: 2, Position: 4711, ID: uuid.MustParse("3f0c1d0c-5b1e-4c7a-9d20-6f1a00017334"), Type: "ballot-cast.v1",
		Data: []byte(`{"meeting":"0c4f1e"}`), Meta: []byte(`{"happened":"2026-03-01T16:00:00.5+08:00"}`),
		Created: time.Date(2026, 3, 1, 8, 0, 1, 234567890, time.UTC),
	}
	odd := es.Recorded{Stream: "odd-\n% 业\xff", Type: "", Data: nil, Meta: []byte("not JSON"), Created: time.Time{}}
	spec, err := os.ReadFile("../../docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    es.Recorded
		text string
		hash string
	}{
		{r, `yimu leaf v1
ballot-0c4f1e-17
2
3f0c1d0c-5b1e-4c7a-9d20-6f1a00017334
ballot-cast.v1
2026-03-01T08:00:00.500000Z
2026-03-01T08:00:01.234567Z
83653a6557a5f46ba29b9a8843c316c457c419ebb9166c72731bed46ab93e741
b103b500ca8594d745bedf04e8bae507df7d2f1c07529fb54ee3a55d1a1a6ac9
`, "b2aa307d2a280ea89c5ac9d3ee4ecab821c19d1369063d8c238b9a49f4866b60"},
		{odd, `yimu leaf v1
odd-%0A%25%20%E4%B8%9A%FF
0
00000000-0000-0000-0000-000000000000

-
-
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
62b8125a6f6d924ec53345b5fcd58ca3ed3f5e7d51e2e146e5f1346508acce69
`, "39cd28d1376221ccebe47138b58d1c8fe7cf7ac672ef4ef79b66c5d956cb784c"},
	} {
		l := proof.LeafOf(c.r)
		if string(l.Bytes()) != c.text {
			t.Errorf("leaf\n%swant\n%s", l.Bytes(), c.text)
		}
		if h := proof.Hash(l.Hash()); h.String() != c.hash {
			t.Errorf("hash %s, want %s", h, c.hash)
		}
		if !strings.Contains(string(spec), c.text) || !strings.Contains(string(spec), c.hash) {
			t.Errorf("docs/proof.md has not this leaf:\n%s%s", c.text, c.hash)
		}
	}
}

func TestALeafIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := proof.LeafOf(es.Recorded{
			Stream: rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "stream"), Type: rapid.String().Draw(t, "type"),
			Revision: rapid.Uint64().Draw(t, "revision"), ID: uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"), Meta: []byte(`{"happened":"2026-03-01T16:00:00.5+08:00"}`),
			Created: time.Unix(rapid.Int64Range(-1<<40, 1<<40).Draw(t, "s"), rapid.Int64Range(0, 1e9-1).Draw(t, "ns")),
		})
		read, err := proof.ParseLeaf(l.Bytes())
		if err != nil || read != l {
			t.Fatalf("read %+v, %v, wrote %+v", read, err, l)
		}
	})
}

func TestAReceiptOutlivesItsFile(t *testing.T) {
	k := newKey(t, origin, 1)
	l := newLog(t, 9, "")
	r := l.receipt(4, 9, l.checkpoint(9, origin, k.Signer))
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	read, err := proof.ParseReceipt(b)
	if err != nil || !reflect.DeepEqual(read, r) {
		t.Fatalf("read %+v, %v", read, err)
	}
	for what, text := range map[string]string{
		"of another form":   strings.Replace(string(b), "receipt v1", "receipt v2", 1),
		"with unknown text": strings.Replace(string(b), `"leaf"`, `"comment":"genuine","leaf"`, 1),
		"with a tail":       string(b) + "{}",
		"cut off":           string(b[:len(b)/2]),
	} {
		if _, err := proof.ParseReceipt([]byte(text)); err == nil {
			t.Errorf("a receipt %s was read", what)
		}
	}
	if _, err := proof.ParseExtension(b); err == nil {
		t.Error("a receipt was read as an extension")
	}
}

func FuzzLeaf(f *testing.F) {
	f.Add(proof.LeafOf(event(1, "")).Bytes())
	f.Add(proof.LeafOf(es.Recorded{Stream: "a%\n"}).Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if l, err := proof.ParseLeaf(b); err == nil && !bytes.Equal(l.Bytes(), b) {
			t.Fatalf("two leaves are the same:\n%s%s", b, l.Bytes())
		}
	})
}

// FuzzReceipt looks for a receipt that is accepted and says something else.
func FuzzReceipt(f *testing.F) {
	k := newKey(f, origin, 1)
	l := newLog(f, 23, "")
	genuine := map[uint64]proof.Receipt{}
	for _, i := range []int{0, 7, 22} {
		r := l.receipt(i, 23, l.checkpoint(23, origin, k.Signer))
		genuine[r.Leaf] = r
		b, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	root := l.root(23)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := proof.ParseReceipt(b)
		if err != nil {
			return
		}
		v, findings := proof.Keys{k.Key}.Receipt(r)
		if len(findings) > 0 {
			return
		}
		want := genuine[r.Leaf]
		if v.Checkpoint != (proof.Checkpoint{Origin: origin, Size: 23, Root: root}) ||
			r.Event != want.Event || !bytes.Equal(r.Data, want.Data) || !bytes.Equal(r.Meta, want.Meta) || !slices.Equal(r.Proof, want.Proof) {
			t.Fatalf("accepted: %s", b)
		}
	})
}

// FuzzExtension looks for a proof that one history extends another.
func FuzzExtension(f *testing.F) {
	k := newKey(f, origin, 1)
	l, rewritten := newLog(f, 23, ""), newLog(f, 23, "rewritten")
	before := l.checkpoint(11, origin, k.Signer)
	for _, e := range []proof.Extension{
		l.extension(11, 23, l.checkpoint(23, origin, k.Signer)),
		rewritten.extension(11, 23, rewritten.checkpoint(23, origin, k.Signer)),
		rewritten.extension(11, 11, rewritten.checkpoint(11, origin, k.Signer)),
	} {
		b, err := json.Marshal(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	root, same := l.root(23), l.root(11)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := proof.ParseExtension(b)
		if err != nil {
			return
		}
		_, after, findings := proof.Keys{k.Key}.Extension(before, nil, e)
		if len(findings) == 0 && after.Checkpoint.Root != root && after.Checkpoint.Root != same {
			t.Fatalf("accepted: %s", b)
		}
	})
}
