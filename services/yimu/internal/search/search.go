// Package search looks for texts in everything a system wrote, however they are
// written there. It is for tests that want to find nothing, so it errs on the
// side of finding.
//
// A text is looked for in UTF-8, UTF-16 and GB18030, in base64, hexadecimal and
// percent signs, and as JSON escapes it. What is searched is unpacked first, and
// searched both ways: archives and compressed streams wherever they begin, runs
// of base64 and hexadecimal digits, and files of the kinds that a system keeps,
// which are blocks of Pebble's tables, records of its logs, and tables of SQLite.
//
// It does not try keys.
package search

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/golang/snappy"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// Search is what is looked for, and where it was found.
type Search struct {
	patterns []pattern
	found    map[Hit]bool
}

// Hit is a text that was found.
type Hit struct {
	Place string // a file, and how what is in it was unpacked
	Text  string // as it was given to New
	As    string // how it is written there
}

func (h Hit) String() string { return fmt.Sprintf("%s: %q as %s", h.Place, h.Text, h.As) }

type pattern struct {
	text, as string
	bytes    []byte
}

const (
	deepest = 5       // wrappings within each other
	largest = 1 << 28 // bytes of what is unpacked from one place
)

// New returns a search for texts, each of at least 6 bytes: shorter ones would be
// found by chance.
func New(texts ...string) *Search {
	s := &Search{found: map[Hit]bool{}}
	for _, text := range texts {
		if len(text) < 6 {
			panic("search: " + text + " is too short")
		}
		for as, b := range writings(text) {
			s.patterns = append(s.patterns, pattern{text, as, b})
		}
	}
	return s
}

// writings returns how a text may stand in bytes.
func writings(text string) map[string][]byte {
	all := map[string][]byte{"UTF-8": []byte(text)}
	if gb, err := simplifiedchinese.GB18030.NewEncoder().String(text); err == nil {
		all["GB18030"] = []byte(gb)
	}
	for name, order := range map[string]binary.AppendByteOrder{"UTF-16LE": binary.LittleEndian, "UTF-16BE": binary.BigEndian} {
		var b []byte
		for _, unit := range utf16.Encode([]rune(text)) {
			b = order.AppendUint16(b, unit)
		}
		all[name] = b
	}
	var lower, upper, some strings.Builder
	for _, unit := range utf16.Encode([]rune(text)) {
		fmt.Fprintf(&lower, `\u%04x`, unit)
		fmt.Fprintf(&upper, `\u%04X`, unit)
		if unit < 0x80 {
			some.WriteByte(byte(unit))
		} else {
			fmt.Fprintf(&some, `\u%04x`, unit)
		}
	}
	all["JSON escapes"], all["JSON escapes, upper case"], all["JSON, in ASCII"] = []byte(lower.String()), []byte(upper.String()), []byte(some.String())
	for _, name := range []string{"UTF-8", "GB18030", "UTF-16LE", "UTF-16BE"} {
		b, ok := all[name]
		if !ok {
			continue
		}
		all[name+" in hex"] = []byte(hex.EncodeToString(b))
		all[name+" in upper-case hex"] = bytes.ToUpper(all[name+" in hex"])
		var percent strings.Builder
		for _, c := range b {
			fmt.Fprintf(&percent, "%%%02X", c)
		}
		all[name+" in percent signs"], all[name+" in lower-case percent signs"] = []byte(percent.String()), []byte(strings.ToLower(percent.String()))
		for shift := range 3 {
			// What is the same whatever stands before and after.
			from, to := (shift*8+5)/6, (shift+len(b))*8/6
			padded := append(make([]byte, shift), b...)
			all[fmt.Sprintf("%s in base64 at %d", name, shift)] = []byte(base64.RawStdEncoding.EncodeToString(padded)[from:to])
			all[fmt.Sprintf("%s in URL base64 at %d", name, shift)] = []byte(base64.RawURLEncoding.EncodeToString(padded)[from:to])
		}
	}
	return all
}

// Found returns what was found so far, sorted.
func (s *Search) Found() []Hit {
	var all []Hit
	for h := range s.found {
		all = append(all, h)
	}
	slices.SortFunc(all, func(a, b Hit) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// Bytes searches bytes, and what can be unpacked from them.
func (s *Search) Bytes(place string, b []byte) { s.bytes(place, b, 0) }

func (s *Search) bytes(place string, b []byte, depth int) {
	for _, p := range s.patterns {
		if bytes.Contains(b, p.bytes) {
			s.found[Hit{place, p.text, p.as}] = true
		}
	}
	if depth == deepest {
		return
	}
	for _, w := range wrappings {
		for from := 0; ; {
			at := bytes.Index(b[from:], w.magic)
			if at < 0 {
				break
			}
			from += at + 1
			if inside := w.open(b[from-1:]); len(inside) > 0 {
				s.bytes(place+" → "+w.name, inside, depth+1)
			}
		}
	}
	for _, run := range digits.FindAll(b, -1) {
		for shift := range 2 { // it may be stuck to what stands before it
			rest := run[shift:]
			if inside, err := hex.DecodeString(string(rest[:len(rest)&^1])); err == nil {
				s.bytes(place+" → hex", inside, depth+1)
			}
		}
	}
	for _, run := range letters.FindAll(b, -1) {
		run = url.Replace(run)
		for shift := range 4 {
			rest := run[shift:]
			if inside, err := base64.RawStdEncoding.DecodeString(string(rest[:len(rest)&^3])); err == nil {
				s.bytes(place+" → base64", inside, depth+1)
			}
		}
	}
}

// Runs that may be something else, written in letters and digits.
var (
	digits  = regexp.MustCompile(`[0-9a-fA-F]{12,}`)
	letters = regexp.MustCompile(`[0-9a-zA-Z+/_-]{16,}`)
	url     = alphabet{'-': '+', '_': '/'}
)

type alphabet map[byte]byte

// Replace returns a copy with some bytes replaced.
func (a alphabet) Replace(b []byte) []byte {
	b = bytes.Clone(b)
	for i, c := range b {
		if other, ok := a[c]; ok {
			b[i] = other
		}
	}
	return b
}

// wrapping is a kind of compressed stream: how it begins, and what is in it, as
// far as it can be read.
type wrapping struct {
	name  string
	magic []byte
	open  func([]byte) []byte
}

var wrappings = []wrapping{
	{"gzip", []byte{0x1f, 0x8b, 8}, func(b []byte) []byte {
		r, err := gzip.NewReader(bytes.NewReader(b))
		return unpacked(r, err)
	}},
	{"zlib", []byte{0x78}, func(b []byte) []byte {
		if len(b) < 2 || binary.BigEndian.Uint16(b)%31 != 0 { // its own check: this byte is often something else
			return nil
		}
		r, err := zlib.NewReader(bytes.NewReader(b))
		return unpacked(r, err)
	}},
	{"zip", []byte("PK\x03\x04"), func(b []byte) []byte {
		const header = 30
		if len(b) < header {
			return nil
		}
		from := header + int(binary.LittleEndian.Uint16(b[26:])) + int(binary.LittleEndian.Uint16(b[28:]))
		if binary.LittleEndian.Uint16(b[8:]) != zip.Deflate || from > len(b) {
			return nil // stored files are searched as they are
		}
		return unpacked(flate.NewReader(bytes.NewReader(b[from:])), nil)
	}},
	{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd}, func(b []byte) []byte {
		r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil
		}
		defer r.Close()
		return unpacked(r, nil)
	}},
	{"snappy", []byte("\xff\x06\x00\x00sNaPpY"), func(b []byte) []byte { return unpacked(snappy.NewReader(bytes.NewReader(b)), nil) }},
	{"snappy of Kafka", []byte("\x82SNAPPY\x00"), func(b []byte) (all []byte) {
		for b = b[min(16, len(b)):]; len(b) > 4; {
			n := int(binary.BigEndian.Uint32(b))
			if n > len(b)-4 {
				break
			}
			block, err := snappy.Decode(nil, b[4:4+n])
			if err != nil {
				break
			}
			all, b = append(all, block...), b[4+n:]
		}
		return all
	}},
}

// unpacked reads as much as there is before an error.
func unpacked(r io.Reader, err error) []byte {
	if err != nil {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(r, largest))
	return b
}
