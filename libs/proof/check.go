package proof

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Checked says what was checked of a bundle.
type Checked struct {
	Verified        // the checkpoint that all of it leads to
	Leaves   uint64 // in the bundle
	Events   uint64 // of those, with what they are of
	Streams  int    // these belong to
	Blobs    int
	First    time.Time // when the first event was recorded; zero where there is none
	Last     time.Time // and the last
}

// Held is a checkpoint that a reader kept, with the rotations that came with it.
type Held struct {
	Checkpoint string
	Rotations  []string
}

// Findings gathers findings; of each code no more than a person reads.
type Findings struct {
	all  []Finding
	seen map[Code]int
}

// mostFindings is how many of one code are told one by one.
const mostFindings = 20

// Add adds one.
func (l *Findings) Add(f Finding) {
	if l.seen == nil {
		l.seen = map[Code]int{}
	}
	if l.seen[f.Code]++; l.seen[f.Code] <= mostFindings {
		l.all = append(l.all, f)
	}
}

// List returns them, with a last one for each code of which there are more.
func (l *Findings) List() []Finding {
	all := slices.Clone(l.all)
	for _, code := range slices.Sorted(maps.Keys(l.seen)) {
		if more := l.seen[code] - mostFindings; more > 0 {
			all = append(all, *found(code, "and %d more", more))
		}
	}
	return all
}

func (l *Findings) add(code Code, format string, args ...any) { l.Add(*found(code, format, args...)) }

// Bundle checks that what is in a bundle is in the log that its checkpoint signs,
// unchanged, in the log's order, without a gap in any stream; that its blobs are
// what their names say; and that the log contains what the reader held before.
// Nothing is said of whether events should be there, see services/internal/inspect.
//
// take is called for each event in the log's order, with the number of its leaf.
// The event may be kept, and must not be changed. What take returns ends the
// check, and is returned.
func (k Keys) Bundle(b *Bundle, held []Held, take func(leaf uint64, r es.Recorded) error) (c Checked, findings []Finding, err error) {
	var f Findings
	signed, key, failed := k.Checkpoint(b.Checkpoint, b.Rotations...)
	if failed != nil {
		return c, []Finding{*failed}, nil
	}
	c.Verified = Verified{signed, key}
	var before []Checkpoint
	for _, h := range held {
		old, _, failed := k.Checkpoint(h.Checkpoint, h.Rotations...)
		switch {
		case failed != nil:
			f.add(failed.Code, "the checkpoint you hold: %s", failed.Detail)
		case old.Origin != signed.Origin:
			f.add(OtherLog, "the checkpoint you hold is of the log %q, the bundle of %q", old.Origin, signed.Origin)
		case old.Size > signed.Size:
			f.add(CutTail, "you hold a checkpoint of %d leaves, and that of the bundle has %d: it is older, or the log was cut", old.Size, signed.Size)
		default:
			before = append(before, old)
		}
	}
	checked := make(chan checkedBlobs, 1)
	go func() { checked <- checkBlobs(b) }()
	err = c.leaves(b, before, &f, take)
	blobs := <-checked
	if err != nil {
		return c, f.List(), err
	}
	c.Blobs = blobs.read
	for _, finding := range blobs.findings {
		f.Add(finding)
	}
	return c, f.List(), nil
}

// checkedBlobs is what a check of a bundle's blobs comes to.
type checkedBlobs struct {
	read     int
	findings []Finding
}

// checkBlobs checks that each blob is what its name says.
func checkBlobs(b *Bundle) (c checkedBlobs) {
	for _, name := range b.Files(BlobFolder) {
		content, err := b.File(name)
		if err != nil {
			c.findings = append(c.findings, *found(Malformed, "%v", err))
			continue
		}
		c.read++
		if sum := sha256.Sum256(content); BlobFolder+hex.EncodeToString(sum[:]) != name {
			c.findings = append(c.findings, *found(ChangedBytes, "the file %s is not what its name says: its SHA-256 is %x", strings.TrimPrefix(name, BlobFolder), sum))
		}
	}
	return c
}

// group is how many leaves are checked at a time: a full subtree of the tree.
const (
	groupLevel = 8
	group      = 1 << groupLevel
)

// leafGroup is a run of leaves on its way through the check.
type leafGroup struct {
	first  uint64
	hashes [group]tlog.Hash
	n      int
	events []leafEvent
	err    error         // of reading, after these
	root   tlog.Hash     // of a full group
	done   chan struct{} // closed once root and changed are known
}

type leafEvent struct {
	index   int // in the group
	changed bool
	es.Recorded
}

// leaves checks the file of leaves. One reads, as many as there are cores hash,
// and what must be in order is done here.
func (c *Checked) leaves(b *Bundle, before []Checkpoint, f *Findings, take func(uint64, es.Recorded) error) error {
	file, err := b.leaves()
	if err != nil {
		f.add(Malformed, "%v", err)
		return nil
	}
	cores := runtime.GOMAXPROCS(0)
	inOrder, work, stop := make(chan *leafGroup, 2*cores), make(chan *leafGroup, 2*cores), make(chan struct{})
	read := make(chan struct{})
	defer func() {
		close(stop)
		<-read
		file.Close()
	}()
	go func() {
		defer close(read)
		defer close(work)
		defer close(inOrder)
		l := NewLeafReader(file)
		for first := uint64(0); ; first += group {
			g := groups.Get().(*leafGroup)
			l.group(g, first)
			select {
			case inOrder <- g:
				work <- g
			case <-stop:
				return
			}
			if g.err != nil {
				return
			}
		}
	}()
	for range cores {
		go func() {
			var buffer []byte
			for g := range work {
				buffer = g.hash(buffer)
			}
		}()
	}

	t, o := tree{}, order{streams: make(map[string]*streamOrder, min(b.Manifest.Events, mostAtFirst)), f: f}
	t.hold(before, f)
	for g := range inOrder {
		<-g.done
		for i := range g.events {
			e := &g.events[i]
			leaf := g.first + uint64(e.index)
			if e.changed {
				f.add(ChangedBytes, "leaf %d, %s at revision %d: the event is not the one that the log has there", leaf, e.Stream, e.Revision)
			}
			if e.Position > b.Manifest.Until {
				f.add(Malformed, "leaf %d, %s at revision %d: it stands after the position to which the bundle goes", leaf, e.Stream, e.Revision)
			}
			o.next(leaf, &e.Recorded)
			if err := take(leaf, e.Recorded); err != nil {
				return err
			}
			if c.Events == 0 {
				c.First = e.Created
			}
			c.Events++
			c.Last = e.Created
		}
		t.grow(g, before, f)
		if g.err != nil && !errors.Is(g.err, io.EOF) {
			f.add(Malformed, "after leaf %d: %v", t.size, g.err)
		}
		groups.Put(g)
	}
	c.Leaves, c.Streams = t.size, len(o.streams)
	c.compare(t, o.end(), f)
	for _, old := range before {
		if old.Size > t.size {
			f.add(CutTail, "you hold a checkpoint of %d leaves, and the bundle has %d", old.Size, t.size)
		}
	}
	return nil
}

var groups = sync.Pool{New: func() any { return new(leafGroup) }}

// group reads the next leaves.
func (l *LeafReader) group(g *leafGroup, first uint64) {
	g.first, g.n, g.events, g.err, g.done = first, 0, g.events[:0], nil, make(chan struct{})
	for g.n < group {
		e, event, err := l.next()
		if err != nil {
			g.err = err
			break
		}
		if event {
			g.events = append(g.events, leafEvent{index: g.n, Recorded: l.pending})
		}
		g.hashes[g.n] = e.Hash
		g.n++
	}
}

// hash does what costs time and needs no order.
func (g *leafGroup) hash(buffer []byte) []byte {
	defer close(g.done)
	for i := range g.events {
		e := &g.events[i]
		buffer = LeafOf(e.Recorded).append(append(buffer[:0], 0))
		e.changed = sha256.Sum256(buffer) != g.hashes[e.index]
	}
	if g.n == group {
		t := tree{}
		for _, h := range g.hashes {
			t.add(0, h)
		}
		g.root = t.root()
	}
	return buffer
}

// grow adds a group, leaf by leaf where something that the reader held ends in it.
func (t *tree) grow(g *leafGroup, before []Checkpoint, f *Findings) {
	end := t.size + uint64(g.n)
	if g.n == group && !slices.ContainsFunc(before, func(old Checkpoint) bool { return old.Size > t.size && old.Size <= end }) {
		t.add(groupLevel, g.root)
		return
	}
	for _, h := range g.hashes[:g.n] {
		t.add(0, h)
		t.hold(before, f)
	}
}

// hold compares the tree with what the reader held of the same size.
func (t *tree) hold(before []Checkpoint, f *Findings) {
	for _, old := range before {
		if old.Size == t.size && old.Root != t.root() {
			f.add(RewrittenHistory, "the first %d leaves of the bundle have another root than the checkpoint that you hold, and both are signed: keep them, they prove it", old.Size)
		}
	}
}

// compare holds the tree against the checkpoint.
func (c *Checked) compare(t tree, missing uint64, f *Findings) {
	size := c.Checkpoint.Size
	switch {
	case t.size < size && size-t.size > missing:
		f.add(CutTail, "the bundle has %d leaves, and the checkpoint signs %d: the end was cut off, or leaves were left out", t.size, size)
	case t.size > size && f.seen[DuplicatedEvent] == 0:
		f.add(ForgedProof, "the bundle has %d leaves, and the checkpoint signs %d", t.size, size)
	case t.size == size && t.root() != c.Checkpoint.Root:
		f.add(ForgedProof, "the %d leaves of the bundle do not have the root that the checkpoint signs: a leaf, or the order of them, was changed", size)
	}
}

// order checks that events stand in the ledger's order, each once, none missing.
type order struct {
	f        *Findings
	position es.Position
	streams  map[string]*streamOrder
}

// mostAtFirst is for how many streams room is made before they are seen: what a
// bundle says of itself is not trusted with more.
const mostAtFirst = 1 << 16

type streamOrder struct {
	next uint64 // revision
	gaps []gap
}

// gap is a run of revisions that did not come where they should.
type gap struct{ from, to uint64 }

func (o *order) next(leaf uint64, r *es.Recorded) {
	s := o.streams[r.Stream]
	if s == nil {
		s = &streamOrder{}
		o.streams[r.Stream] = s
	}
	told := false
	switch {
	case r.Revision > s.next:
		s.gaps = append(s.gaps, gap{s.next, r.Revision})
		s.next = r.Revision + 1
	case r.Revision == s.next:
		s.next++
	case s.fill(r.Revision):
		told = true
		o.f.add(WrongOrder, "leaf %d, %s at revision %d, stands after later events of its stream", leaf, r.Stream, r.Revision)
	default:
		told = true
		o.f.add(DuplicatedEvent, "leaf %d, %s at revision %d, was there before", leaf, r.Stream, r.Revision)
	}
	if r.Position <= o.position && !told {
		o.f.add(WrongOrder, "leaf %d, %s at revision %d, stands at position %d, after one at position %d", leaf, r.Stream, r.Revision, r.Position, o.position)
	}
	o.position = max(o.position, r.Position)
}

// fill takes a revision out of the gaps.
func (s *streamOrder) fill(revision uint64) bool {
	i := sort.Search(len(s.gaps), func(i int) bool { return s.gaps[i].to > revision })
	if i == len(s.gaps) || revision < s.gaps[i].from {
		return false
	}
	var left []gap
	for _, part := range []gap{{s.gaps[i].from, revision}, {revision + 1, s.gaps[i].to}} {
		if part.from < part.to {
			left = append(left, part)
		}
	}
	s.gaps = slices.Replace(s.gaps, i, i+1, left...)
	return true
}

// end tells what never came, and how much that is.
func (o *order) end() (missing uint64) {
	var names []string
	for name, s := range o.streams {
		if len(s.gaps) > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		for _, g := range o.streams[name].gaps {
			missing += g.to - g.from
			what := fmt.Sprintf("revision %d", g.from)
			if g.to > g.from+1 {
				what = fmt.Sprintf("revisions %d to %d", g.from, g.to-1)
			}
			o.f.add(MissingEvent, "%s: %s is missing, and later ones are there", name, what)
		}
	}
	return missing
}
