// Package truetype reads as much of a TrueType font as a PDF needs, and cuts
// fonts down to the glyphs that are used.
//
// It reads fonts that come with the program, never one that a stranger sends.
package truetype

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Font is a font that was read. It is not changed after that.
type Font struct {
	UnitsPerEm int    // font units of the font's size
	Ascent     int    // font units above the line
	Descent    int    // font units below the line, negative
	Box        [4]int // left, bottom, right and top of all glyphs, in font units

	tables  map[string][]byte
	loca    []uint32        // where each glyph begins in glyf, and where the last ends
	advance []uint16        // by glyph, in font units
	bearing []uint16        // by glyph: from its origin to its left edge
	glyphs  map[rune]uint16 // cmap
}

var errFont = errors.New("truetype: damaged, or a font of another kind")

// Parse reads a font file, or the first font of a collection.
func Parse(file []byte) (f *Font, err error) {
	defer func() {
		if recover() != nil { // beyond the end of a table
			err = errFont
		}
	}()
	at := 0
	if string(file[:4]) == "ttcf" {
		at = int(u32(file, 12))
	}
	f = &Font{tables: map[string][]byte{}, glyphs: map[rune]uint16{}}
	for i := range int(u16(file, at+4)) {
		record := file[at+12+16*i:]
		start := u32(record, 8)
		f.tables[string(record[:4])] = file[start : start+u32(record, 12)]
	}
	head, hhea := f.tables["head"], f.tables["hhea"]
	f.UnitsPerEm = int(u16(head, 18))
	for i := range f.Box {
		f.Box[i] = int(int16(u16(head, 36+2*i)))
	}
	f.Ascent, f.Descent = int(int16(u16(hhea, 4))), int(int16(u16(hhea, 6)))

	count := int(u16(f.tables["maxp"], 4))
	f.loca, f.advance, f.bearing = make([]uint32, count+1), make([]uint16, count), make([]uint16, count)
	for i := range f.loca {
		if u16(head, 50) == 0 {
			f.loca[i] = 2 * uint32(u16(f.tables["loca"], 2*i))
		} else {
			f.loca[i] = u32(f.tables["loca"], 4*i)
		}
	}
	wide := int(u16(hhea, 34))
	for i := range f.advance {
		f.advance[i] = u16(f.tables["hmtx"], 4*min(i, wide-1))
		f.bearing[i] = u16(f.tables["hmtx"], 2*(i+min(i+1, wide))) // of narrow ones it stands alone
	}
	return f, f.readMap(f.tables["cmap"])
}

// readMap reads the segments of all of Unicode (format 12).
func (f *Font) readMap(cmap []byte) error {
	for i := range int(u16(cmap, 2)) {
		sub := cmap[u32(cmap, 8+8*i):]
		if u16(sub, 0) != 12 {
			continue
		}
		for g := range int(u32(sub, 12)) {
			group := sub[16+12*g:]
			first, last, glyph := u32(group, 0), u32(group, 4), u32(group, 8)
			for c := first; c <= last; c++ {
				f.glyphs[rune(c)] = uint16(glyph + c - first)
			}
		}
		return nil
	}
	return fmt.Errorf("%w: no cmap of format 12", errFont)
}

// Glyph returns the glyph of a character; false where the font has none.
func (f *Font) Glyph(r rune) (uint16, bool) {
	glyph, ok := f.glyphs[r]
	return glyph, ok
}

// Advance returns how wide a glyph is, in font units.
func (f *Font) Advance(glyph uint16) int { return int(f.advance[glyph]) }

// Runes lists the characters that the font has, in order.
func (f *Font) Runes() []rune {
	all := make([]rune, 0, len(f.glyphs))
	for r := range f.glyphs {
		all = append(all, r)
	}
	slices.Sort(all)
	return all
}

// Subset returns a font file that draws the glyphs of some characters and is
// empty elsewhere. Glyphs keep their numbers. Hints are left out.
func (f *Font) Subset(runes []rune) []byte {
	glyphs := map[uint16]bool{0: true}
	last := uint16(0)
	var keep func(uint16)
	keep = func(g uint16) {
		glyphs[g] = true
		last = max(last, g)
		for _, part := range components(f.outline(g)) {
			if !glyphs[part] {
				keep(part)
			}
		}
	}
	kept := make([]rune, 0, len(runes))
	for _, r := range runes {
		if g, ok := f.glyphs[r]; ok {
			keep(g)
			kept = append(kept, r)
		}
	}
	slices.Sort(kept)
	kept = slices.Compact(kept)

	count := int(last) + 1
	var glyf []byte
	loca, hmtx := make([]byte, 4*(count+1)), make([]byte, 4*count)
	for g := range count {
		if glyphs[uint16(g)] {
			glyf = append(glyf, unhinted(f.outline(uint16(g)))...)
			for len(glyf)%4 > 0 {
				glyf = append(glyf, 0)
			}
			binary.BigEndian.PutUint16(hmtx[4*g:], f.advance[g])
			binary.BigEndian.PutUint16(hmtx[4*g+2:], f.bearing[g])
		}
		binary.BigEndian.PutUint32(loca[4*(g+1):], uint32(len(glyf)))
	}
	head, hhea, maxp := slices.Clone(f.tables["head"]), slices.Clone(f.tables["hhea"]), slices.Clone(f.tables["maxp"])
	binary.BigEndian.PutUint32(head[8:], 0)  // checksum of the file, which nobody asks for in a PDF
	binary.BigEndian.PutUint16(head[50:], 1) // long offsets
	binary.BigEndian.PutUint16(hhea[34:], uint16(count))
	binary.BigEndian.PutUint16(maxp[4:], uint16(count))
	return file([]table{
		{"cmap", f.mapOf(kept)}, {"glyf", glyf}, {"head", head}, {"hhea", hhea}, {"hmtx", hmtx}, {"loca", loca}, {"maxp", maxp},
	})
}

// outline returns the description of a glyph; empty where there is nothing to draw.
func (f *Font) outline(g uint16) []byte { return f.tables["glyf"][f.loca[g]:f.loca[g+1]] }

// Flags of a part of a composite glyph.
const (
	wordArguments = 1 << iota
	_
	_
	scaled
	_
	moreParts
	scaledTwice
	twoByTwo
	instructed
)

// parts calls f with the place of each part of a composite glyph, and returns
// where the last ends.
func parts(outline []byte, f func(at int)) int {
	for at := 10; ; {
		flags := u16(outline, at)
		f(at)
		at += 6
		if flags&wordArguments != 0 {
			at += 2
		}
		switch {
		case flags&scaled != 0:
			at += 2
		case flags&scaledTwice != 0:
			at += 4
		case flags&twoByTwo != 0:
			at += 8
		}
		if flags&moreParts == 0 {
			return at
		}
	}
}

func composite(outline []byte) bool { return len(outline) > 0 && int16(u16(outline, 0)) < 0 }

// components lists the glyphs that a composite one is made of.
func components(outline []byte) (list []uint16) {
	if composite(outline) {
		parts(outline, func(at int) { list = append(list, u16(outline, at+2)) })
	}
	return list
}

// unhinted cuts the instructions out of a glyph.
func unhinted(outline []byte) []byte {
	if len(outline) == 0 {
		return nil
	}
	cut := slices.Clone(outline)
	if composite(outline) {
		end := parts(outline, func(at int) { binary.BigEndian.PutUint16(cut[at:], u16(outline, at)&^instructed) })
		return cut[:end]
	}
	at := 10 + 2*int(u16(outline, 0))
	instructions := int(u16(outline, at))
	binary.BigEndian.PutUint16(cut[at:], 0)
	return slices.Delete(cut, at+2, at+2+instructions)
}

// mapOf writes a cmap of format 12.
func (f *Font) mapOf(runes []rune) []byte {
	var groups []byte
	count := uint32(0)
	for i := 0; i < len(runes); {
		first, glyph := runes[i], f.glyphs[runes[i]]
		n := 1
		for i+n < len(runes) && runes[i+n] == first+rune(n) && f.glyphs[runes[i+n]] == glyph+uint16(n) {
			n++
		}
		groups = binary.BigEndian.AppendUint32(groups, uint32(first))
		groups = binary.BigEndian.AppendUint32(groups, uint32(first)+uint32(n)-1)
		groups = binary.BigEndian.AppendUint32(groups, uint32(glyph))
		count, i = count+1, i+n
	}
	b := []byte{0, 0, 0, 1, 0, 3, 0, 10, 0, 0, 0, 12, 0, 12, 0, 0} // one table, of Windows, all of Unicode
	b = binary.BigEndian.AppendUint32(b, uint32(16+len(groups)))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, count)
	return append(b, groups...)
}

type table struct {
	tag  string
	data []byte
}

// file writes tables, which are in order of their tags.
func file(tables []table) []byte {
	n := len(tables)
	log := 0
	for 2<<log <= n {
		log++
	}
	b := []byte{0, 1, 0, 0}
	for _, v := range []int{n, 16 << log, log, 16*n - 16<<log} {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	at := len(b) + 16*n
	for _, t := range tables {
		b = append(b, t.tag...)
		for _, v := range []uint32{checksum(t.data), uint32(at), uint32(len(t.data))} {
			b = binary.BigEndian.AppendUint32(b, v)
		}
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		b = append(b, t.data...)
		for len(b)%4 > 0 {
			b = append(b, 0)
		}
	}
	return b
}

func checksum(b []byte) (sum uint32) {
	for len(b) >= 4 {
		sum += u32(b, 0)
		b = b[4:]
	}
	var rest [4]byte
	copy(rest[:], b)
	return sum + u32(rest[:], 0)
}

func u16(b []byte, at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
func u32(b []byte, at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
