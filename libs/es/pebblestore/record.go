package pebblestore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
)

// The rows of the store:
//
//	e <position, 8 bytes, big endian>   an event, whole
//	s <stream>                          how long a stream is, and where its latest events stand
//	c <n, 4 bytes, big endian> <stream> where events n*chunkLen to (n+1)*chunkLen-1 of a long stream stand
//	f                                   the format of all this, one byte
//
// An event is
//
//	version  1 byte
//	created  8 bytes, big endian, nanoseconds since 1970
//	id       16 bytes
//	revision uvarint
//	stream, type, data, meta   each a uvarint length and bytes
//	checksum 4 bytes, big endian, CRC-32C of the position (8 bytes) and all of the above
const (
	format        = 1
	recordVersion = 1
	chunkLen      = 64 // events of a stream that one row says the positions of

	createdAt, idAt, revisionAt = 1, 9, 25 // offsets in a record
	checksumLen                 = 4
)

var (
	formatKey  = []byte{'f'}
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func eventKey(b []byte, p es.Position) []byte {
	return binary.BigEndian.AppendUint64(append(b[:0], 'e'), uint64(p))
}

func eventPosition(key []byte) (es.Position, error) {
	if len(key) != 9 || key[0] != 'e' {
		return 0, fmt.Errorf("%w: key %x", ErrDamaged, key)
	}
	return es.Position(binary.BigEndian.Uint64(key[1:])), nil
}

func streamKey(b []byte, stream string) []byte {
	return append(append(b[:0], 's'), stream...)
}

func chunkKey(b []byte, stream string, n uint64) []byte {
	return append(binary.BigEndian.AppendUint32(append(b[:0], 'c'), uint32(n)), stream...)
}

// encoding lays out the events of one append in one buffer, without what only
// the writer knows: position, created, checksum.
type encoding struct {
	events  []es.Recorded // Data and Meta are parts of the buffer
	records [][]byte
}

func encode(stream string, expected uint64, events []es.Proposed) encoding {
	size := 0
	for _, e := range events {
		size += recordSize(stream, e)
	}
	buf := make([]byte, 0, size)
	enc := encoding{make([]es.Recorded, len(events)), make([][]byte, len(events))}
	field := func(s []byte) []byte {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
		return buf[len(buf)-len(s) : len(buf) : len(buf)]
	}
	for i, e := range events {
		start, revision := len(buf), expected+uint64(i)
		buf = append(buf, recordVersion, 0, 0, 0, 0, 0, 0, 0, 0)
		buf = append(buf, e.ID[:]...)
		buf = binary.AppendUvarint(buf, revision)
		buf = append(binary.AppendUvarint(buf, uint64(len(stream))), stream...)
		buf = append(binary.AppendUvarint(buf, uint64(len(e.Type))), e.Type...)
		data, meta := field(e.Data), field(e.Meta)
		buf = append(buf, 0, 0, 0, 0)
		enc.records[i] = buf[start:len(buf):len(buf)]
		enc.events[i] = es.Recorded{Stream: stream, Revision: revision, ID: e.ID, Type: e.Type, Data: data, Meta: meta}
	}
	return enc
}

// recordSize is an upper bound.
func recordSize(stream string, e es.Proposed) int {
	return revisionAt + binary.MaxVarintLen64 + len(stream) + len(e.Type) + len(e.Data) + len(e.Meta) + 4*binary.MaxVarintLen32 + checksumLen
}

// seal fills in what was left out.
func seal(record []byte, p es.Position, created time.Time) {
	binary.BigEndian.PutUint64(record[createdAt:], uint64(created.UnixNano()))
	at := len(record) - checksumLen
	binary.BigEndian.PutUint32(record[at:], checksum(p, record[:at]))
}

func checksum(p es.Position, body []byte) uint32 {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(p))
	return crc32.Update(crc32.Update(0, castagnoli, b[:]), castagnoli, body)
}

// record is a stored event whose checksum holds. Its bytes may be borrowed.
type record struct {
	created                 int64
	id                      uuid.UUID
	revision                uint64
	stream, typ, data, meta []byte
}

func parse(p es.Position, b []byte) (record, error) {
	at := len(b) - checksumLen
	if at <= revisionAt || checksum(p, b[:at]) != binary.BigEndian.Uint32(b[at:]) {
		return record{}, fmt.Errorf("pebblestore: %w at position %d", ErrDamaged, p)
	}
	if b[0] != recordVersion {
		return record{}, fmt.Errorf("pebblestore: position %d: record version %d is not known; a newer program wrote it", p, b[0])
	}
	r := record{created: int64(binary.BigEndian.Uint64(b[createdAt:])), id: uuid.UUID(b[idAt:revisionAt])}
	rest, ok := number(b[revisionAt:at], &r.revision, true)
	for _, f := range []*[]byte{&r.stream, &r.typ, &r.data, &r.meta} {
		rest, ok = field(rest, f, ok)
	}
	if !ok || len(rest) > 0 {
		return record{}, fmt.Errorf("pebblestore: %w at position %d", ErrDamaged, p)
	}
	return r, nil
}

func number(b []byte, v *uint64, ok bool) ([]byte, bool) {
	var n int
	if *v, n = binary.Uvarint(b); !ok || n <= 0 {
		return nil, false
	}
	return b[n:], true
}

func field(b []byte, f *[]byte, ok bool) ([]byte, bool) {
	var n uint64
	if b, ok = number(b, &n, ok); !ok || n > uint64(len(b)) {
		return nil, false
	}
	*f = b[:n]
	return b[n:], true
}

// own copies r out of borrowed memory. A stream that is known already is not
// copied again.
func (r record) own(p es.Position, stream string) es.Recorded {
	if stream == "" {
		stream = string(r.stream)
	}
	buf := make([]byte, 0, len(r.data)+len(r.meta))
	buf = append(append(buf, r.data...), r.meta...)
	n := len(r.data)
	return es.Recorded{
		Stream: stream, Revision: r.revision, Position: p, ID: r.id, Type: string(r.typ),
		Data: buf[:n:n], Meta: buf[n:], Created: time.Unix(0, r.created).UTC(),
	}
}

// ours says whether an event belongs in reads of all events: $ streams are the
// store's own, and $> is the type of a link.
func (r record) ours() bool {
	return !bytes.HasPrefix(r.stream, []byte("$")) && string(r.typ) != linkType
}

const linkType = "$>"

// tip is the row of a stream: how many events it has, and the positions of
// those that no chunk says.
type tip struct {
	length    uint64
	positions []es.Position // of the last length % chunkLen events
}

func (t tip) append(b []byte) []byte {
	return appendPositions(binary.AppendUvarint(b, t.length), t.positions)
}

func parseTip(b []byte) (tip, error) {
	length, n := binary.Uvarint(b)
	if n <= 0 {
		return tip{}, ErrDamaged
	}
	positions, err := parsePositions(b[n:])
	if err == nil && uint64(len(positions)) != length%chunkLen {
		err = ErrDamaged
	}
	return tip{length, positions}, err
}

func appendPositions(b []byte, positions []es.Position) []byte {
	last := es.Position(0)
	for _, p := range positions {
		b, last = binary.AppendUvarint(b, uint64(p-last)), p
	}
	return b
}

func parsePositions(b []byte) ([]es.Position, error) {
	positions := make([]es.Position, 0, 4)
	last := es.Position(0)
	for len(b) > 0 {
		d, n := binary.Uvarint(b)
		if n <= 0 || d == 0 {
			return nil, ErrDamaged
		}
		b, last = b[n:], last+es.Position(d)
		positions = append(positions, last)
	}
	return positions, nil
}
