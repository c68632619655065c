package proof_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
)

// bundling is a bundle of a log that is about to be written: every third stream is
// another estate's.
type bundling struct {
	checkpoint string
	rotations  []string
	leaves     []proof.Entry
	blobs      map[string][]byte
	manifest   proof.Manifest
}

func bundleOf(l *log, checkpoint string) *bundling {
	b := &bundling{checkpoint: checkpoint, manifest: proof.Manifest{
		Subject: "estate", Until: 1 << 40, Leaves: uint64(len(l.events)), Figures: []proof.Figure{}, Program: "test", Made: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC),
	}}
	for i, e := range l.events {
		leaf := proof.Entry{Hash: proof.LeafOf(e).Hash()}
		if i/3%3 != 2 {
			leaf.Event = &l.events[i]
			b.manifest.Events++
		}
		b.leaves = append(b.leaves, leaf)
	}
	blob := []byte("a roll")
	sum := sha256.Sum256(blob)
	b.blobs = map[string][]byte{hex.EncodeToString(sum[:]): blob}
	return b
}

func (b *bundling) clone() *bundling {
	c := *b
	c.leaves = slices.Clone(b.leaves)
	for i, leaf := range c.leaves {
		if leaf.Event != nil {
			e := *leaf.Event
			e.Data, e.Meta = slices.Clone(e.Data), slices.Clone(e.Meta)
			c.leaves[i].Event = &e
		}
	}
	return &c
}

func (b *bundling) write(t testing.TB) []byte {
	t.Helper()
	var out bytes.Buffer
	w := proof.NewBundleWriter(&out)
	if err := w.AddCheckpoint(b.checkpoint, b.rotations); err != nil {
		t.Fatal(err)
	}
	leaves, err := w.Leaves()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(leaves, proof.LeavesHead)
	for _, leaf := range b.leaves {
		entry := proof.AppendHash(nil, leaf.Hash)
		if leaf.Event != nil {
			entry = proof.AppendEvent(nil, leaf.Hash, *leaf.Event)
		}
		if _, err := leaves.Write(entry); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range b.blobs {
		if err := w.Add(proof.BlobFolder+name, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(b.manifest); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t testing.TB, file []byte) *proof.Bundle {
	t.Helper()
	b, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func check(t testing.TB, keys proof.Keys, b *bundling, held ...proof.Held) (c proof.Checked, events []es.Recorded, findings []proof.Finding) {
	t.Helper()
	c, findings, err := keys.Bundle(open(t, b.write(t)), held, func(_ uint64, r es.Recorded) error {
		r.Data, r.Meta = slices.Clone(r.Data), slices.Clone(r.Meta)
		events = append(events, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, events, findings
}

func TestABundleHoldsWhatWasPutIn(t *testing.T) {
	k := newKey(t, origin, 1)
	for _, n := range []int{0, 1, 255, 256, 257, 1000} {
		l := newLog(t, n, "")
		b := bundleOf(l, l.checkpoint(n, origin, k.Signer))
		var held []proof.Held
		for _, size := range []int{0, 1, n / 2, n} {
			if size <= n {
				held = append(held, proof.Held{Checkpoint: l.checkpoint(size, origin, k.Signer)})
			}
		}
		c, events, findings := check(t, proof.Keys{k.Key}, b, held...)
		if len(findings) > 0 {
			t.Fatalf("%d leaves: %v", n, findings)
		}
		if c.Leaves != uint64(n) || c.Events != b.manifest.Events || c.Blobs != 1 || c.Checkpoint.Root != l.root(n) || len(events) != int(c.Events) {
			t.Errorf("%d leaves: %+v", n, c)
		}
		at := 0
		for _, leaf := range b.leaves {
			if leaf.Event == nil {
				continue
			}
			want := *leaf.Event
			want.Created = want.Created.Truncate(time.Microsecond)
			if got := events[at]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("event %d is %v, want %v", at, got, want)
			}
			at++
		}
	}
}

// Every way to change a bundle, and what it is called.
func TestABundleThatWasChangedIsFoundOut(t *testing.T) {
	k := newKey(t, origin, 1)
	const n = 600
	l := newLog(t, n, "")
	genuine := bundleOf(l, l.checkpoint(n, origin, k.Signer))
	rewritten := newLog(t, n, "rewritten")
	event := func(b *bundling, i int) *es.Recorded { // 300, 301 and 302 are one stream's
		if b.leaves[i].Event == nil {
			t.Fatalf("leaf %d has no event", i)
		}
		return b.leaves[i].Event
	}
	for _, c := range []struct {
		what   string
		change func(b *bundling)
		codes  []proof.Code
	}{
		{"the data of an event", func(b *bundling) { event(b, 300).Data[3] ^= 1 }, []proof.Code{proof.ChangedBytes}},
		{"the metadata of an event", func(b *bundling) { event(b, 300).Meta[3] ^= 1 }, []proof.Code{proof.ChangedBytes}},
		{"the id of an event", func(b *bundling) { event(b, 300).ID[3] ^= 1 }, []proof.Code{proof.ChangedBytes}},
		{"the type of an event", func(b *bundling) { event(b, 300).Type = "ballot-case.v1" }, []proof.Code{proof.ChangedBytes}},
		{"the stream of an event", func(b *bundling) { event(b, 302).Stream = "ballot-x" }, []proof.Code{proof.ChangedBytes, proof.MissingEvent}},
		{"the revision of an event", func(b *bundling) { event(b, 302).Revision++ }, []proof.Code{proof.ChangedBytes, proof.MissingEvent}},
		{"when an event was recorded", func(b *bundling) { event(b, 300).Created = event(b, 300).Created.Add(time.Microsecond) }, []proof.Code{proof.ChangedBytes}},
		{"the position of an event, downwards", func(b *bundling) { event(b, 300).Position = 5 }, []proof.Code{proof.WrongOrder}},
		{"the hash of an event's leaf", func(b *bundling) { b.leaves[300].Hash[0] ^= 1 }, []proof.Code{proof.ChangedBytes, proof.ForgedProof}},
		{"an event and its leaf", func(b *bundling) {
			event(b, 300).Data[3] ^= 1
			b.leaves[300].Hash = proof.LeafOf(*event(b, 300)).Hash()
		}, []proof.Code{proof.ForgedProof}},
		{"the hash of another's leaf", func(b *bundling) { b.leaves[303].Hash[0] ^= 1 }, []proof.Code{proof.ForgedProof}},
		{"two events of one stream swapped", func(b *bundling) { b.leaves[300], b.leaves[301] = b.leaves[301], b.leaves[300] },
			[]proof.Code{proof.WrongOrder, proof.ForgedProof}},
		{"two events of two streams swapped", func(b *bundling) { b.leaves[300], b.leaves[299] = b.leaves[299], b.leaves[300] },
			[]proof.Code{proof.WrongOrder, proof.ForgedProof}},
		{"an event deleted", func(b *bundling) { b.leaves = slices.Delete(b.leaves, 301, 302) }, []proof.Code{proof.MissingEvent}},
		{"an event withheld", func(b *bundling) { b.leaves[301].Event = nil }, []proof.Code{proof.MissingEvent}},
		{"another's leaf deleted", func(b *bundling) { b.leaves = slices.Delete(b.leaves, 303, 304) }, []proof.Code{proof.CutTail}},
		{"an event doubled", func(b *bundling) { b.leaves = slices.Insert(b.leaves, 301, b.leaves[300]) }, []proof.Code{proof.DuplicatedEvent}},
		{"an event doubled in place of another", func(b *bundling) { b.leaves[305] = b.leaves[300] },
			[]proof.Code{proof.DuplicatedEvent, proof.ForgedProof}},
		{"a leaf added", func(b *bundling) { b.leaves = append(b.leaves, proof.Entry{Hash: tlog.Hash{1}}) }, []proof.Code{proof.ForgedProof}},
		{"the tail cut", func(b *bundling) { b.leaves = b.leaves[:500] }, []proof.Code{proof.CutTail}},
		{"everything cut", func(b *bundling) { b.leaves = nil }, []proof.Code{proof.CutTail}},
		{"an event of later", func(b *bundling) { b.manifest.Until = 100 * n }, nil},
		{"an event of after the end", func(b *bundling) { b.manifest.Until = 100 * (n - 1) }, []proof.Code{proof.Malformed}},
		{"a blob", func(b *bundling) {
			for name := range b.blobs {
				b.blobs = map[string][]byte{name: []byte("another roll")}
			}
		}, []proof.Code{proof.ChangedBytes}},
		{"a byte of the checkpoint", func(b *bundling) { b.checkpoint = b.checkpoint[:len(origin)+1] + "7" + b.checkpoint[len(origin)+2:] },
			[]proof.Code{proof.ForgedSignature}},
		{"an older checkpoint", func(b *bundling) { b.checkpoint = l.checkpoint(500, origin, k.Signer) }, []proof.Code{proof.ForgedProof}},
		{"a checkpoint of another history", func(b *bundling) { b.checkpoint = rewritten.checkpoint(n, origin, k.Signer) }, []proof.Code{proof.ForgedProof}},
		{"another's key", func(b *bundling) { b.checkpoint = l.checkpoint(n, origin, newKey(t, origin, 2).Signer) }, []proof.Code{proof.WrongKey}},
		{"a rotation that is none", func(b *bundling) { b.rotations = []string{"x"} }, []proof.Code{proof.ForgedRotation}},
	} {
		b := genuine.clone()
		c.change(b)
		_, _, findings := check(t, proof.Keys{k.Key}, b)
		want(t, c.what, findings, c.codes...)
	}

	held := proof.Held{Checkpoint: l.checkpoint(400, origin, k.Signer)}
	_, _, findings := check(t, proof.Keys{k.Key}, bundleOf(rewritten, rewritten.checkpoint(n, origin, k.Signer)), held)
	want(t, "another history than the one held", findings, proof.RewrittenHistory)
	short := newLog(t, 300, "")
	_, _, findings = check(t, proof.Keys{k.Key}, bundleOf(short, short.checkpoint(300, origin, k.Signer)), held)
	want(t, "a shorter log than the one held", findings, proof.CutTail)
	_, _, findings = check(t, proof.Keys{k.Key}, genuine, proof.Held{Checkpoint: l.checkpoint(400, origin, newKey(t, origin, 2).Signer)})
	want(t, "a checkpoint held that is not the log's", findings, proof.WrongKey)
}

func TestOfManyFindingsAPersonReadsSome(t *testing.T) {
	k := newKey(t, origin, 1)
	l := newLog(t, 300, "")
	b := bundleOf(l, l.checkpoint(300, origin, k.Signer)).clone()
	for _, leaf := range b.leaves {
		if leaf.Event != nil {
			leaf.Event.Type = "x"
		}
	}
	_, _, findings := check(t, proof.Keys{k.Key}, b)
	if len(findings) != 21 || findings[20].Detail != "and 181 more" {
		t.Errorf("%d findings, the last %v", len(findings), findings[len(findings)-1])
	}
}

func TestABundleThatIsCutOffIsNoBundle(t *testing.T) {
	k := newKey(t, origin, 1)
	l := newLog(t, 30, "")
	file := bundleOf(l, l.checkpoint(30, origin, k.Signer)).write(t)
	for n := range len(file) {
		if _, err := proof.OpenBundle(bytes.NewReader(file[:n]), int64(n)); err == nil {
			t.Fatalf("%d of %d bytes are a bundle", n, len(file))
		}
	}
}

func TestWhatEndsACheckIsReturned(t *testing.T) {
	k := newKey(t, origin, 1)
	l := newLog(t, 5000, "")
	stop := fmt.Errorf("enough")
	_, _, err := proof.Keys{k.Key}.Bundle(open(t, bundleOf(l, l.checkpoint(5000, origin, k.Signer)).write(t)), nil, func(leaf uint64, _ es.Recorded) error {
		if leaf > 300 {
			return stop
		}
		return nil
	})
	if err != stop { //nolint:errorlint // it must be the very same
		t.Error(err)
	}
}

// The quick way to read metadata says what encoding/json says.
func FuzzHappened(f *testing.F) {
	for _, s := range []string{
		`{"hash":"h","happened":"2026-03-01T16:00:00.5+08:00"}`, `{"seen":12,"happened":"2026-03-01T08:00:00Z"}`, `{"happened":1}`, `{}`, `{"happened":"x"}`,
		`{"happened":"2026-03-01T08:00:00Z","happened":"2027-03-01T08:00:00Z"}`, `{"Happened":"2026-03-01T08:00:00Z"}`, `{"a":01,"happened":"2026-03-01T08:00:00Z"}`,
		`{"a":"\u0041","happened":"2026-03-01T08:00:00Z"}`, `{"happened":"2026-03-01T08:00:00Z",}`, `{"happened":"2026-03-01T08:00:00Z"}x`, `{"a":1`, `{"a"`, `{"a":"`, `{`,
		`{"happened":"2026-03-01T24:00:00Z"}`, `{"happened":"0000-01-01T00:00:00Z"}`, `{"happened":"9999-12-31T23:59:59-10:00"}`, `{"happened":null,"a":true}`,
		`{"past":true,"happened":"2026-03-01T08:00:00Z"}`, `{"past":truer,"happened":"2026-03-01T08:00:00Z"}`, `{"happened":true}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, meta []byte) {
		var m struct {
			Happened time.Time `json:"happened"`
		}
		want := proof.NoTime
		if json.Unmarshal(meta, &m) == nil {
			want = proof.TimeOf(m.Happened)
		}
		if got := proof.LeafOf(es.Recorded{Meta: meta}).Happened; got != want {
			t.Fatalf("%s happened %s, want %s", meta, got, want)
		}
	})
}

// rootOf is the root of a tree as RFC 6962 defines it.
func rootOf(leaves []tlog.Hash) tlog.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return leaves[0]
	default:
		k := 1 << (bits.Len(uint(n-1)) - 1)
		return tlog.NodeHash(rootOf(leaves[:k]), rootOf(leaves[k:]))
	}
}

// large writes a bundle of n events of the size of ballots, all of them the estate's.
func large(b *testing.B, n int) ([]byte, proof.Keys) {
	b.Helper()
	k := newKey(b, origin, 1)
	random := rand.New(rand.NewPCG(1, 2))
	sealed := make([]byte, 180)
	var hashes []tlog.Hash
	var out bytes.Buffer
	w := proof.NewBundleWriter(&out)
	leaves, err := w.Leaves()
	if err != nil {
		b.Fatal(err)
	}
	_, _ = io.WriteString(leaves, proof.LeavesHead)
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	var entry []byte
	for i := range n {
		for j := range sealed {
			sealed[j] = byte(random.Uint32())
		}
		at = at.Add(1234 * time.Microsecond)
		e := es.Recorded{
			Stream: fmt.Sprintf("ballot-0c4f1e00-0000-4000-8000-0000000000%02d-%d", i%20, i/40), Revision: uint64(i / 20 % 2), Position: es.Position(1 + i), ID: uuid.UUID{0: 1, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)},
			Type: "ballot-cast.v1", Created: at,
			Data: fmt.Appendf(nil, `{"ballot":"0c4f1e00-0000-4000-8000-000000000000","meeting":"0c4f1e00-0000-4000-8000-000000000000","entry":"%d","channel":"电子","at":"2026-03-01T08:00:00.123456Z","motions":["M1"],"sealed":"%s"}`,
				i, hex.EncodeToString(sealed[:90])),
			Meta: fmt.Appendf(nil, `{"$correlationId":"0c4f1e00-0000-4000-8000-%012x","hash":"%s","actor":"0c4f1e00-0000-4000-8000-000000000000","seen":%d,"happened":%q}`,
				i, hex.EncodeToString(sealed[:32]), i, at.Format(time.RFC3339Nano)),
		}
		h := proof.LeafOf(e).Hash()
		hashes = append(hashes, h)
		if _, err := leaves.Write(proof.AppendEvent(entry[:0], h, e)); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.AddCheckpoint(sign(b, n, rootOf(hashes), origin, k.Signer), nil); err != nil {
		b.Fatal(err)
	}
	if err := w.Close(proof.Manifest{Until: es.Position(n), Figures: []proof.Figure{}}); err != nil {
		b.Fatal(err)
	}
	return out.Bytes(), proof.Keys{k.Key}
}

// Of events that are in no more streams nothing is kept.
func TestABundleIsCheckedInMemoryThatDoesNotGrowWithItsEvents(t *testing.T) {
	held := func(n int) int64 {
		k := newKey(t, origin, 1)
		var hashes []tlog.Hash
		var file bytes.Buffer
		w := proof.NewBundleWriter(&file)
		leaves, err := w.Leaves()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(leaves, proof.LeavesHead)
		for i := range n {
			e := es.Recorded{
				Stream: fmt.Sprintf("bills-%d", i%20), Revision: uint64(i / 20), Position: es.Position(1 + i), ID: uuid.New(), Type: "bills-raised.v1",
				Created: time.Date(2026, 3, 1, 8, 0, 0, 1000*i, time.UTC), Data: bytes.Repeat([]byte("x"), 400), Meta: []byte("{}"),
			}
			h := proof.LeafOf(e).Hash()
			hashes = append(hashes, h)
			if _, err := leaves.Write(proof.AppendEvent(nil, h, e)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.AddCheckpoint(sign(t, n, rootOf(hashes), origin, k.Signer), nil); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(proof.Manifest{Until: es.Position(n), Figures: []proof.Figure{}}); err != nil {
			t.Fatal(err)
		}
		bundle, err := proof.OpenBundle(bytes.NewReader(file.Bytes()), int64(file.Len()))
		if err != nil {
			t.Fatal(err)
		}
		var before, last runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		c, findings, err := proof.Keys{k.Key}.Bundle(bundle, nil, func(leaf uint64, _ es.Recorded) error {
			if leaf == uint64(n)-1 {
				runtime.GC()
				runtime.ReadMemStats(&last)
			}
			return nil
		})
		if err != nil || len(findings) > 0 || c.Events != uint64(n) {
			t.Fatal(c, findings, err)
		}
		runtime.KeepAlive(hashes)
		runtime.KeepAlive(file)
		return int64(last.HeapAlloc) - int64(before.HeapAlloc)
	}
	const room = 1 << 20
	if few, many := held(10_000), held(40_000); many > few+few/5+room {
		t.Errorf("%d B are held at the end of 10,000 events, %d B at that of 40,000", few, many)
	}
}

func BenchmarkBundle(b *testing.B) {
	const n = 200_000
	file, keys := large(b, n)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	before := processor(b)
	for b.Loop() {
		bundle, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		c, findings, err := keys.Bundle(bundle, nil, func(uint64, es.Recorded) error { return nil })
		if err != nil || len(findings) > 0 || c.Events != n {
			b.Fatal(c, findings, err)
		}
	}
	events := float64(n) * float64(b.N)
	b.ReportMetric(events/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64((processor(b)-before).Nanoseconds())/events, "cpu-ns/event")
}

// processor is the processor time that this process has used. It depends less than
// the clock on what else the machine does.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
