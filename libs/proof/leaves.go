package proof

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
)

// LeavesHead begins the file of leaves. What follows is one entry for each leaf of
// the log, from leaf 0 on: a byte that says of which kind it is, the leaf's hash
// and, of an event, what the leaf is of.
const LeavesHead = "yimu leaves v1\n"

// Kinds of entries.
const (
	kindHash  = 0
	kindEvent = 1
)

// maxPart bounds each part of an event.
const maxPart = 16 << 20

// AppendHash writes the entry of a leaf whose event is not told.
func AppendHash(b []byte, leaf tlog.Hash) []byte {
	return append(append(b, kindHash), leaf[:]...)
}

// AppendEvent writes the entry of an event. leaf is the hash that the log has for
// it, so that a change of either can be told from the other.
func AppendEvent(b []byte, leaf tlog.Hash, r es.Recorded) []byte {
	b = append(append(b, kindEvent), leaf[:]...)
	b = binary.AppendUvarint(b, uint64(r.Position))
	b = binary.AppendUvarint(b, r.Revision)
	b = append(b, r.ID[:]...)
	b = appendPart(b, r.Stream)
	b = appendPart(b, r.Type)
	b = appendPart(b, TimeOf(r.Created))
	b = appendPart(b, r.Data)
	return appendPart(b, r.Meta)
}

func appendPart[T ~string | ~[]byte](b []byte, part T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(part))), part...)
}

// arena is how much memory is made at a time for data and metadata.
const arena = 128 << 10

// Entry is a leaf as a bundle has it.
type Entry struct {
	Hash  tlog.Hash // of the leaf, as the bundle claims it
	Event *es.Recorded
}

// LeafReader reads a file of leaves.
type LeafReader struct {
	r       *bufio.Reader
	begun   bool
	arena   []byte            // what is left of the memory for data and metadata
	types   map[string]string // there are few
	pending es.Recorded
	scratch []byte
}

// NewLeafReader returns a reader of a file of leaves from its beginning.
func NewLeafReader(r io.Reader) *LeafReader {
	return &LeafReader{r: bufio.NewReaderSize(r, 256<<10), types: map[string]string{}}
}

// Next returns the next leaf, io.EOF after the last one. An error is any other:
// the file is cut off in the middle of an entry, or is none.
func (l *LeafReader) Next() (Entry, error) {
	e, event, err := l.next()
	if event {
		recorded := l.pending
		e.Event = &recorded
	}
	return e, err
}

// next leaves the event in pending.
func (l *LeafReader) next() (e Entry, event bool, err error) {
	if !l.begun {
		head := make([]byte, len(LeavesHead))
		if _, err := io.ReadFull(l.r, head); err != nil || string(head) != LeavesHead {
			return e, false, errors.New("proof: not a file of leaves of the form that is known here")
		}
		l.begun = true
	}
	kind, err := l.r.ReadByte()
	if err != nil {
		return e, false, err // io.EOF is the end
	}
	if err = l.full(e.Hash[:]); err != nil {
		return e, false, err
	}
	switch kind {
	case kindHash:
		return e, false, nil
	case kindEvent:
		err = l.event()
		return e, err == nil, err
	}
	return e, false, fmt.Errorf("proof: a leaf of kind %d", kind)
}

func (l *LeafReader) event() error {
	l.pending = es.Recorded{}
	position, err := l.number()
	if err != nil {
		return err
	}
	r := &l.pending
	r.Position = es.Position(position)
	if r.Revision, err = l.number(); err != nil {
		return err
	}
	var id uuid.UUID
	if err := l.full(id[:]); err != nil {
		return err
	}
	r.ID = id
	if r.Stream, err = l.name(nil); err != nil {
		return err
	}
	if r.Type, err = l.name(l.types); err != nil {
		return err
	}
	if err := l.short(); err != nil {
		return err
	}
	if r.Created, err = moment(l.scratch); err != nil {
		return err
	}
	if r.Data, err = l.part(); err != nil {
		return err
	}
	r.Meta, err = l.part()
	return err
}

// short reads a part into scratch.
func (l *LeafReader) short() error {
	n, err := l.size()
	if err != nil {
		return err
	}
	l.scratch = slices.Grow(l.scratch[:0], n)[:n]
	return l.full(l.scratch)
}

// name reads a name. One that is in known is not made anew.
func (l *LeafReader) name(known map[string]string) (string, error) {
	if err := l.short(); err != nil {
		return "", err
	}
	name, ok := known[string(l.scratch)]
	if !ok {
		name = string(l.scratch)
		if known != nil && len(known) < 1000 {
			known[name] = name
		}
	}
	return name, nil
}

func (l *LeafReader) number() (uint64, error) {
	n, err := binary.ReadUvarint(l.r)
	return n, cut(err)
}

// size reads how many bytes follow.
func (l *LeafReader) size() (int, error) {
	n, err := l.number()
	if err == nil && n > maxPart {
		err = fmt.Errorf("proof: a part of an event has %d bytes", n)
	}
	return int(n), err
}

// part reads data or metadata.
func (l *LeafReader) part() ([]byte, error) {
	n, err := l.size()
	if err != nil {
		return nil, err
	}
	if n > len(l.arena) {
		l.arena = make([]byte, max(n, arena))
	}
	p := l.arena[:n:n]
	l.arena = l.arena[n:]
	return p, l.full(p)
}

func (l *LeafReader) full(b []byte) error {
	_, err := io.ReadFull(l.r, b)
	return cut(err)
}

// cut makes an end in the middle of an entry an error.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
