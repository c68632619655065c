// Package pdf sets Chinese documents in type and writes them as they are set:
// headings, paragraphs, tables and QR codes on A4, one page after another, so
// that a letter to each of 60,000 owners takes no more memory than one.
//
// It is no library for every PDF: one font that the program brings along, black
// on white, pages of text from top to bottom. The libraries at hand hold a whole
// document in memory until its end (docs/decisions/0020-letters-on-paper.md).
package pdf

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf16"

	"github.com/klauspost/compress/zlib"

	"github.com/yimu-ledger/yimu/services/internal/pdf/truetype"
)

// fontFile is WenQuanYi Micro Hei (文泉驿微米黑), Apache-2.0: see font/LICENSE.
// `make font` makes it.
//
//go:embed font/wqy-microhei.ttf.gz
var fontFile []byte

var loadFont = sync.OnceValues(func() (*truetype.Font, error) {
	r, err := gzip.NewReader(bytes.NewReader(fontFile))
	if err != nil {
		return nil, err
	}
	file, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return truetype.Parse(file)
})

// Info is what a document says of itself.
type Info struct {
	Title string    // as a reader's window shows it
	Made  time.Time // when its content was true
}

// Document is a PDF in the making. What goes wrong is told by Close. It is not
// for use by several goroutines at a time.
type Document struct {
	w       io.Writer
	info    Info
	font    *truetype.Font
	err     error
	written int64
	starts  []int64 // where each object begins in the file; 0: not written yet
	nodes   []node  // of the tree of pages
	used    map[rune]bool

	packer *zlib.Writer
	packed bytes.Buffer

	page   bytes.Buffer // drawing of the page in the making
	begun  bool         // there is such a page
	y      float64      // points from the top of the page to what comes next
	number int          // of the page, within its section
	label  string       // of the section
	left   float64      // points by which text is indented
}

// node holds some pages, so that a reader finds one of many without reading all.
type node struct {
	object int
	pages  []int // their objects
}

const pagesPerNode = 64

// Objects that are written last and referred to before.
const (
	catalogObject = iota + 1
	treeObject
	fontObject
	infoObject
	reserved = infoObject
)

// New begins a document that is written to w as it grows.
func New(w io.Writer, info Info) *Document {
	d := &Document{w: w, info: info, used: map[rune]bool{}, starts: make([]int64, reserved)}
	d.font, d.err = loadFont()
	d.packer = zlib.NewWriter(&d.packed)
	d.print("%%PDF-1.7\n%%\xe4\xb8\x80\n")
	return d
}

// Err returns what has gone wrong so far.
func (d *Document) Err() error { return d.err }

// print writes to the file.
func (d *Document) print(format string, args ...any) { d.write(fmt.Appendf(nil, format, args...)) }

func (d *Document) write(b []byte) {
	if d.err != nil {
		return
	}
	n, err := d.w.Write(b)
	d.written, d.err = d.written+int64(n), err
}

// reserve returns the number of an object that is written later.
func (d *Document) reserve() int {
	d.starts = append(d.starts, 0)
	return len(d.starts)
}

// object writes an object under a number.
func (d *Document) object(number int, format string, args ...any) {
	d.starts[number-1] = d.written
	d.print("%d 0 obj\n%s\nendobj\n", number, fmt.Sprintf(format, args...))
}

// stream writes a compressed stream; more are entries of its dictionary.
func (d *Document) stream(number int, more string, content []byte) {
	d.packed.Reset()
	d.packer.Reset(&d.packed)
	_, err := d.packer.Write(content)
	if err = errors.Join(err, d.packer.Close()); err != nil && d.err == nil {
		d.err = err
	}
	d.starts[number-1] = d.written
	d.print("%d 0 obj\n<</Length %d/Filter/FlateDecode%s>>\nstream\n", number, d.packed.Len(), more)
	d.write(d.packed.Bytes())
	d.print("\nendstream\nendobj\n")
}

// endPage writes the page in the making.
func (d *Document) endPage() {
	if !d.begun {
		return
	}
	d.footer()
	if len(d.nodes) == 0 || len(d.nodes[len(d.nodes)-1].pages) == pagesPerNode {
		d.nodes = append(d.nodes, node{object: d.reserve()})
	}
	n := &d.nodes[len(d.nodes)-1]
	content, page := d.reserve(), d.reserve()
	d.stream(content, "", d.page.Bytes())
	d.object(page, "<</Type/Page/Parent %d 0 R/Contents %d 0 R>>", n.object, content)
	n.pages = append(n.pages, page)
	d.page.Reset()
	d.begun = false
}

// Close writes the last page, the font as far as it was used, and what a reader
// looks for at the end of the file. It returns the first error of all.
func (d *Document) Close() error {
	d.open() // a document has a page
	d.endPage()
	if d.err != nil {
		return d.err
	}
	var kids strings.Builder
	count := 0
	for _, n := range d.nodes {
		fmt.Fprintf(&kids, "%d 0 R ", n.object)
		count += len(n.pages)
		d.object(n.object, "<</Type/Pages/Parent %d 0 R/Count %d/Kids[%s]>>", treeObject, len(n.pages), references(n.pages))
	}
	d.object(treeObject, "<</Type/Pages/Count %d/Kids[%s]/MediaBox[0 0 %.2f %.2f]/Resources<</Font<</F %d 0 R>>>>>>",
		count, kids.String(), pageWidth, pageHeight, fontObject)
	d.object(catalogObject, "<</Type/Catalog/Pages %d 0 R/Lang(zh-CN)/ViewerPreferences<</DisplayDocTitle true>>>>", treeObject)
	d.object(infoObject, "<</Title %s/Producer(yimu)/CreationDate(D:%s)>>", unicodeString(d.info.Title), d.info.Made.UTC().Format("20060102150405Z"))
	d.writeFont()

	start := d.written
	d.print("xref\n0 %d\n0000000000 65535 f \n", len(d.starts)+1)
	for _, at := range d.starts {
		d.print("%010d 00000 n \n", at)
	}
	d.print("trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(d.starts)+1, catalogObject, infoObject, start)
	return d.err
}

func references(objects []int) string {
	var b strings.Builder
	for _, o := range objects {
		fmt.Fprintf(&b, "%d 0 R ", o)
	}
	return b.String()
}

// unicodeString writes a string in UTF-16.
func unicodeString(s string) string {
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, c := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", c)
	}
	return b.String() + ">"
}

// writeFont writes the glyphs that were used, how wide they are, and which
// characters they stand for, so that the text can be searched and copied.
func (d *Document) writeFont() {
	runes := make([]rune, 0, len(d.used))
	for r := range d.used {
		runes = append(runes, r)
	}
	slices.Sort(runes)
	byGlyph := map[uint16]rune{}
	glyphs := make([]uint16, 0, len(runes))
	for _, r := range runes {
		g, ok := d.font.Glyph(r)
		if _, twice := byGlyph[g]; ok && !twice {
			byGlyph[g] = r
			glyphs = append(glyphs, g)
		}
	}
	slices.Sort(glyphs)
	var widths, meanings strings.Builder
	for part := range slices.Chunk(glyphs, 100) { // as many as one block may have
		fmt.Fprintf(&meanings, "%d beginbfrange\n", len(part))
		for _, g := range part {
			fmt.Fprintf(&widths, "%d[%d]", g, d.thousandths(d.font.Advance(g)))
			fmt.Fprintf(&meanings, "<%04X> <%04X> <", g, g)
			for _, c := range utf16.Encode([]rune{byGlyph[g]}) {
				fmt.Fprintf(&meanings, "%04X", c)
			}
			meanings.WriteString(">\n")
		}
		meanings.WriteString("endbfrange\n")
	}
	const name = "YIMUAA+WenQuanYiMicroHei"
	descendant, descriptor, file, toUnicode := d.reserve(), d.reserve(), d.reserve(), d.reserve()
	d.object(fontObject, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", name, descendant, toUnicode)
	d.object(descendant, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/DW 1000/W[%s]>>",
		name, descriptor, widths.String())
	box := d.font.Box
	d.object(descriptor, "<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[%d %d %d %d]/ItalicAngle 0/Ascent %d/Descent %d/CapHeight %d/StemV 80/FontFile2 %d 0 R>>",
		name, d.thousandths(box[0]), d.thousandths(box[1]), d.thousandths(box[2]), d.thousandths(box[3]),
		d.thousandths(d.font.Ascent), d.thousandths(d.font.Descent), d.thousandths(d.font.Ascent), file)
	program := d.font.Subset(runes)
	d.stream(file, fmt.Sprintf("/Length1 %d", len(program)), program)
	d.stream(toUnicode, "", []byte("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"+
		"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"+
		"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"+meanings.String()+
		"endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"))
}

// thousandths turns font units into thousandths of the font's size.
func (d *Document) thousandths(units int) int { return units * 1000 / d.font.UnitsPerEm }
