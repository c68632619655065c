package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Hash is a SHA-256, written in hex.
type Hash [sha256.Size]byte

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 2*len(h) {
		return errors.New("proof: a hash has 64 hex digits")
	}
	_, err := hex.Decode(h[:], b)
	return err
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Time is a moment as a leaf states it: UTC in whole microseconds, such as
// 2026-03-01T08:00:00.000000Z, or [NoTime].
type Time string

// NoTime is where an event does not tell.
const NoTime Time = "-"

const timeLayout = "2006-01-02T15:04:05.000000Z"

// TimeOf drops what is less than a microsecond: stores differ in what they keep of it.
func TimeOf(t time.Time) Time {
	if t = t.UTC(); t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return NoTime
	}
	return Time(t.Format(timeLayout))
}

// valid says whether TimeOf could have returned it.
func (t Time) valid() bool {
	parsed, err := time.Parse(timeLayout, string(t))
	return t == NoTime || err == nil && TimeOf(parsed) == t
}

// Leaf is what the log says of one event. It commits to the stored bytes by
// their hashes, and not to the store's position: the order is the log's own.
type Leaf struct {
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision" doc:"0 for the first event of a stream"`
	ID       uuid.UUID `json:"id" doc:"of the event"`
	Type     string    `json:"type"`
	Happened Time      `json:"happened" doc:"when it happened, UTC in microseconds; - where its metadata do not tell"`
	Recorded Time      `json:"recorded" doc:"when the ledger recorded it"`
	Data     Hash      `json:"data" doc:"SHA-256 of the stored bytes of data, hex"`
	Meta     Hash      `json:"meta" doc:"SHA-256 of the stored bytes of metadata, hex"`
}

// LeafOf returns the leaf of a recorded event. Metadata that cannot be read are
// no error: a log leaves nothing out, least of all what should not be there.
func LeafOf(r es.Recorded) Leaf {
	l := Leaf{
		Stream: r.Stream, Revision: r.Revision, ID: r.ID, Type: r.Type, Happened: NoTime, Recorded: TimeOf(r.Created),
		Data: sha256.Sum256(r.Data), Meta: sha256.Sum256(r.Meta),
	}
	var meta struct {
		Happened time.Time `json:"happened"`
	}
	if json.Unmarshal(r.Meta, &meta) == nil {
		l.Happened = TimeOf(meta.Happened)
	}
	return l
}

// leafVersion is the first line of a leaf. What follows it is one value a line.
const leafVersion = "yimu leaf v1"

// Bytes returns the leaf as it stands in the log.
func (l Leaf) Bytes() []byte {
	b := make([]byte, 0, 384)
	b = append(b, leafVersion+"\n"...)
	b = append(appendEscaped(b, l.Stream), '\n')
	b = append(strconv.AppendUint(b, l.Revision, 10), '\n')
	b = append(append(b, l.ID.String()...), '\n')
	b = append(appendEscaped(b, l.Type), '\n')
	b = append(append(b, l.Happened...), '\n')
	b = append(append(b, l.Recorded...), '\n')
	b = append(hex.AppendEncode(b, l.Data[:]), '\n')
	b = append(hex.AppendEncode(b, l.Meta[:]), '\n')
	return b
}

// Hash is the leaf's hash in the tree, by RFC 6962.
func (l Leaf) Hash() tlog.Hash { return tlog.RecordHash(l.Bytes()) }

// ParseLeaf reads what Bytes wrote, and nothing else: there is one way to write
// a leaf.
func ParseLeaf(b []byte) (l Leaf, err error) {
	lines := strings.Split(string(b), "\n")
	if len(lines) != 10 || lines[0] != leafVersion {
		return l, fmt.Errorf("proof: not a leaf of the form %q", leafVersion)
	}
	l.Stream, l.Type, l.Happened, l.Recorded = unescape(lines[1]), unescape(lines[4]), Time(lines[5]), Time(lines[6])
	var errs [4]error
	l.Revision, errs[0] = strconv.ParseUint(lines[2], 10, 64)
	l.ID, errs[1] = uuid.Parse(lines[3])
	errs[2], errs[3] = l.Data.UnmarshalText([]byte(lines[7])), l.Meta.UnmarshalText([]byte(lines[8]))
	if err := errors.Join(errs[:]...); err != nil {
		return Leaf{}, fmt.Errorf("proof: leaf: %w", err)
	}
	if !l.Happened.valid() || !l.Recorded.valid() || !bytes.Equal(l.Bytes(), b) {
		return Leaf{}, errors.New("proof: leaf: a value is not written as it must be")
	}
	return l, nil
}

// appendEscaped writes a name in one line: each byte that is not a visible ASCII
// character, and %, is written as % and two hex digits.
func appendEscaped(b []byte, name string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(name) {
		if c := name[i]; c > ' ' && c <= '~' && c != '%' {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// unescape reads what appendEscaped wrote. Of other text it makes something that
// is not written the same way again.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
