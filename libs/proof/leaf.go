package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
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
	// This is t.Format(timeLayout) in a third of the time; a reader of a whole
	// ledger does it twice for each event.
	var text [len(timeLayout)]byte
	copy(text[:], timeLayout)
	two := func(at, n int) { text[at], text[at+1] = byte('0'+n/10), byte('0'+n%10) }
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	micro := t.Nanosecond() / 1000
	two(0, year/100)
	two(2, year%100)
	two(5, int(month))
	two(8, day)
	two(11, hour)
	two(14, minute)
	two(17, second)
	two(20, micro/10000)
	two(22, micro/100%100)
	two(24, micro%100)
	return Time(text[:])
}

// moment reads what TimeOf wrote; the zero time of NoTime.
func moment(t []byte) (parsed time.Time, err error) {
	if string(t) == string(NoTime) {
		return parsed, nil
	}
	// RFC 3339 as encoding/json is strict about it, and in one way of writing it.
	if len(t) == len(timeLayout) && t[19] == '.' && t[26] == 'Z' {
		err = parsed.UnmarshalText(t)
	}
	if err != nil || parsed.IsZero() {
		return time.Time{}, errors.New("proof: a time is not written as a leaf writes it")
	}
	return parsed, nil
}

// valid says whether TimeOf could have returned it.
func (t Time) valid() bool {
	_, err := moment([]byte(t))
	return err == nil
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
	return Leaf{
		Stream: r.Stream, Revision: r.Revision, ID: r.ID, Type: r.Type, Happened: happened(r.Meta), Recorded: TimeOf(r.Created),
		Data: sha256.Sum256(r.Data), Meta: sha256.Sum256(r.Meta),
	}
}

// happened is when an event happened by its metadata.
func happened(meta []byte) Time {
	if text, ok := plainHappened(meta); ok {
		var t time.Time
		if t.UnmarshalText(text) != nil {
			return NoTime
		}
		return TimeOf(t)
	}
	var m struct {
		Happened time.Time `json:"happened"`
	}
	if json.Unmarshal(meta, &m) != nil {
		return NoTime
	}
	return TimeOf(m.Happened)
}

// plainHappened finds what encoding/json would read as the field "happened", ten
// times as fast, in metadata as they are nearly always: one flat object without
// spaces, of strings in plain ASCII, whole numbers and true. ok is false for any
// other.
func plainHappened(meta []byte) (text []byte, ok bool) {
	rest, ok := bytes.CutPrefix(meta, []byte("{"))
	for ok {
		var name []byte
		if name, rest, ok = plainString(rest); !ok || len(rest) < 2 || rest[0] != ':' {
			return nil, false
		}
		rest = rest[1:]
		is := len(name) == len("happened") && bytes.EqualFold(name, []byte("happened"))
		if is && (text != nil || string(name) != "happened") {
			return nil, false // which of two it takes is for encoding/json to say
		}
		switch c := rest[0]; {
		case c == '"':
			var value []byte
			if value, rest, ok = plainString(rest); !ok {
				return nil, false
			}
			if is {
				text = value
			}
		case c >= '1' && c <= '9' && !is:
			rest = bytes.TrimLeft(rest, "0123456789")
		case !is && bytes.HasPrefix(rest, []byte("true")):
			rest = rest[len("true"):]
		default:
			return nil, false
		}
		switch {
		case len(rest) == 1 && rest[0] == '}':
			return text, text != nil
		case len(rest) > 1 && rest[0] == ',':
			rest = rest[1:]
		default:
			return nil, false
		}
	}
	return nil, false
}

// plainString reads a JSON string of ASCII without escapes.
func plainString(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	end := bytes.IndexByte(b[1:], '"')
	if end < 0 || !plain(b[1:1+end]) {
		return nil, nil, false
	}
	return b[1 : 1+end : 1+end], b[2+end:], true
}

// plain says whether all of b is ASCII, without control characters and \, eight
// bytes at a time.
func plain(b []byte) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for ; len(b) >= 8; b = b[8:] {
		x := binary.LittleEndian.Uint64(b)
		y := x ^ '\\'*each // no byte of it is zero
		if (x|(x-' '*each)|(y-each)&^y)&high != 0 {
			return false
		}
	}
	for _, c := range b {
		if c < ' ' || c >= 0x80 || c == '\\' {
			return false
		}
	}
	return true
}

// leafVersion is the first line of a leaf. What follows it is one value a line.
const leafVersion = "yimu leaf v1"

// Bytes returns the leaf as it stands in the log.
func (l Leaf) Bytes() []byte { return l.append(make([]byte, 0, 384)) }

func (l Leaf) append(b []byte) []byte {
	b = append(b, leafVersion+"\n"...)
	b = append(appendEscaped(b, l.Stream), '\n')
	b = append(strconv.AppendUint(b, l.Revision, 10), '\n')
	b = append(appendUUID(b, l.ID), '\n')
	b = append(appendEscaped(b, l.Type), '\n')
	b = append(append(b, l.Happened...), '\n')
	b = append(append(b, l.Recorded...), '\n')
	b = append(hex.AppendEncode(b, l.Data[:]), '\n')
	b = append(hex.AppendEncode(b, l.Meta[:]), '\n')
	return b
}

// appendUUID appends id.String() without making it first.
func appendUUID(b []byte, id uuid.UUID) []byte {
	at := 0
	for i, n := range []int{4, 2, 2, 2, 6} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, id[at:at+n])
		at += n
	}
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
