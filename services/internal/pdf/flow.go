package pdf

import (
	"fmt"
	"iter"
	"math"
	"strings"
	"unicode"

	"rsc.io/qr"
)

// A4, in points of 1/72 inch, with its margins.
const (
	pageWidth  = 595.28
	pageHeight = 841.89
	millimetre = 72 / 25.4
	margin     = 20 * millimetre
	bottom     = pageHeight - 22*millimetre // text ends above the footer
)

// Sizes of type in points. Old eyes read them.
const (
	titleSize   = 22.0
	headingSize = 15.0
	textSize    = 12.5
	smallSize   = 10.5
	footerSize  = 9.0
	leading     = 1.55 // lines, by the size of their type
)

// Align says where a text stands in its line.
type Align int

// Places in a line.
const (
	Left Align = iota
	Centre
	Right
)

// Section begins on a new page, whose pages are numbered from 1 and have a label
// at their foot: what is printed may come apart.
func (d *Document) Section(label string) {
	d.endPage()
	d.label, d.number = label, 0
}

// open begins a page where there is none.
func (d *Document) open() {
	if !d.begun {
		d.begun, d.y = true, margin
		d.number++
	}
}

// room begins a new page where less than height is left on this one.
func (d *Document) room(height float64) {
	d.open()
	if d.y+height > bottom && d.y > margin {
		d.endPage()
		d.open()
	}
}

// footer stands at the foot of every page.
func (d *Document) footer() {
	const at = pageHeight - 12*millimetre
	d.text(margin, at, footerSize, false, d.label)
	page := fmt.Sprintf("第 %d 页", d.number)
	d.text(pageWidth-margin-d.width(page, footerSize), at, footerSize, false, page)
}

// Title sets the name of the document, in the middle and large.
func (d *Document) Title(text string) {
	d.paragraph(text, titleSize, true, Centre)
	d.Space(2)
}

// Subtitle sets a line below the title.
func (d *Document) Subtitle(text string) {
	d.paragraph(text, smallSize, false, Centre)
	d.Space(2)
}

// Heading stands on the page of what follows it.
func (d *Document) Heading(text string) {
	d.room((headingSize + 3*textSize) * leading)
	if d.y > margin {
		d.Space(2)
	}
	d.paragraph(text, headingSize, true, Left)
}

// Text sets a paragraph.
func (d *Document) Text(text string) { d.paragraph(text, textSize, false, Left) }

// Bold sets a paragraph that must not be missed.
func (d *Document) Bold(text string) { d.paragraph(text, textSize, true, Left) }

// Small sets a paragraph of what few people read.
func (d *Document) Small(text string) { d.paragraph(text, smallSize, false, Left) }

// Signed sets a line at the right: who says it, and when.
func (d *Document) Signed(text string) { d.paragraph(text, textSize, false, Right) }

// Item sets a paragraph after its number or sign, such as "一、" or "□".
func (d *Document) Item(sign, text string) {
	d.room(textSize * leading)
	top := d.y
	indent := d.width(sign, textSize) + textSize/3
	if textSize*2 > indent {
		indent = textSize * 2
	}
	d.text(margin+d.left, top+textSize, textSize, false, sign)
	d.left += indent
	d.paragraph(text, textSize, false, Left)
	d.left -= indent
}

// Space leaves some millimetres free, but not at the top of a page.
func (d *Document) Space(mm float64) {
	d.open()
	if d.y > margin {
		d.y += mm * millimetre
	}
}

func (d *Document) rule(y, thickness float64) {
	fmt.Fprintf(&d.page, "%.2f w %.2f %.2f m %.2f %.2f l S\n", thickness, margin, pageHeight-y, pageWidth-margin, pageHeight-y)
}

func (d *Document) paragraph(text string, size float64, bold bool, align Align) {
	height := size * leading
	width := pageWidth - 2*margin - d.left
	for line := range strings.SplitSeq(text, "\n") {
		for _, l := range d.lines(line, size, width) {
			d.room(height)
			d.put(margin+d.left, d.y, width, size, bold, align, l)
			d.y += height
		}
	}
	d.y += size * 0.35
}

// put sets a line below y within a width.
func (d *Document) put(x, y, width, size float64, bold bool, align Align, line string) {
	switch align {
	case Centre:
		x += (width - d.width(line, size)) / 2
	case Right:
		x += width - d.width(line, size)
	}
	d.text(x, y+size, size, bold, line)
}

// missing (〓) stands for a character that the font does not have.
const missing = '〓'

// glyph returns the glyph of a character, or of what stands for it.
func (d *Document) glyph(r rune) (uint16, rune) {
	switch {
	case r == '\t' || r == '\u00a0':
		r = ' '
	case !unicode.IsGraphic(r):
		return 0, 0 // nothing to see
	}
	g, ok := d.font.Glyph(r)
	if !ok {
		r = missing
		g, _ = d.font.Glyph(r)
	}
	return g, r
}

// width returns how wide a text is, in points.
func (d *Document) width(text string, size float64) float64 {
	if d.font == nil {
		return 0
	}
	sum := 0
	for _, r := range text {
		if g, shown := d.glyph(r); shown != 0 {
			sum += d.font.Advance(g)
		}
	}
	return float64(sum) * size / float64(d.font.UnitsPerEm)
}

const hex = "0123456789ABCDEF"

// text draws a line whose letters stand on y, points from the top of the page.
// The font has one weight: bold letters are drawn with their outlines.
func (d *Document) text(x, y, size float64, bold bool, line string) {
	if d.font == nil || line == "" {
		return
	}
	fmt.Fprintf(&d.page, "BT /F %g Tf %.2f %.2f Td ", size, x, pageHeight-y)
	if bold {
		fmt.Fprintf(&d.page, "2 Tr %.2f w ", size/32)
	}
	d.page.WriteByte('<')
	for _, r := range line {
		if g, shown := d.glyph(r); shown != 0 {
			d.used[shown] = true
			d.page.Write([]byte{hex[g>>12], hex[g>>8&15], hex[g>>4&15], hex[g&15]})
		}
	}
	d.page.WriteString("> Tj")
	if bold {
		d.page.WriteString(" 0 Tr")
	}
	d.page.WriteString(" ET\n")
}

// Characters that begin no line, and that end none (避头尾).
const (
	notFirst = "，。、；：？！）》」』】〕〉”’…—～·％%‰℃㎡,.;:?!)]}"
	notLast  = "（《「『【〔〈“‘([{￥¥№"
)

// breaks reports whether a line may end between two characters.
func breaks(before, after rune) bool {
	switch {
	case strings.ContainsRune(notFirst, after) || strings.ContainsRune(notLast, before):
		return false
	case before == ' ':
		return true
	}
	return wide(before) || wide(after)
}

// wide holds for what is set without spaces between words.
func wide(r rune) bool { return r >= 0x2e80 || r >= 0x2460 && r < 0x2800 }

// lines breaks a text into lines of a width.
func (d *Document) lines(text string, size, width float64) []string {
	var list []string
	runes := []rune(strings.TrimSpace(text))
	for len(runes) > 0 {
		used, n, end := 0.0, 0, 0 // end: where the line may end at last
		for n < len(runes) {
			used += d.width(string(runes[n]), size)
			if used > width+0.01 && runes[n] != ' ' {
				break
			}
			n++
			if n == len(runes) || breaks(runes[n-1], runes[n]) {
				end = n
			}
		}
		if n == len(runes) {
			end = n
		}
		if end == 0 {
			end = max(n, 1) // nowhere to break: anywhere
		}
		list = append(list, strings.TrimSpace(string(runes[:end])))
		runes = []rune(strings.TrimLeft(string(runes[end:]), " "))
	}
	if len(list) == 0 {
		list = []string{""}
	}
	return list
}

// Column is a column of a table.
type Column struct {
	Title string
	Width float64 // its part of the page's width, among the columns'
	Align Align
}

// cellGap is free at each side of a cell, in points.
const cellGap = 4.0

// Table sets rows below their headings, which are repeated on each page.
func (d *Document) Table(columns []Column, rows iter.Seq[[]string]) {
	total := 0.0
	heading := make([]string, len(columns))
	for i, c := range columns {
		total += c.Width
		heading[i] = c.Title
	}
	widths := make([]float64, len(columns))
	for i, c := range columns {
		widths[i] = c.Width / total * (pageWidth - 2*margin)
	}
	head := func() {
		d.row(columns, widths, heading, true, nil)
	}
	d.room(4 * smallSize * leading)
	head()
	for cells := range rows {
		if d.err != nil {
			return
		}
		d.row(columns, widths, cells, false, head)
	}
	d.Space(2)
}

// row sets one row. Where it does not fit it begins, or goes on, on a new page
// below head.
func (d *Document) row(columns []Column, widths []float64, cells []string, bold bool, head func()) {
	const height = smallSize * leading
	const pad = 3.0
	set := make([][]string, len(columns))
	most := 1
	for i := range columns {
		if i < len(cells) {
			set[i] = d.lines(cells[i], smallSize, widths[i]-2*cellGap)
			most = max(most, len(set[i]))
		}
	}
	d.open()
	for done := 0; done < most; {
		fits := int(math.Floor((bottom - d.y - 2*pad) / height))
		whole := math.Floor((bottom-margin-2*pad)/height) - 3 // of a page, below the headings
		if head != nil && fits < most-done && (float64(most-done) <= whole || fits < 1) {
			d.endPage()
			d.open()
			head()
			fits = int(math.Floor((bottom - d.y - 2*pad) / height))
		}
		n := max(min(fits, most-done), 1)
		top := d.y + pad
		x := margin
		for i, c := range columns {
			for l := done; l < min(done+n, len(set[i])); l++ {
				d.put(x+cellGap, top+float64(l-done)*height, widths[i]-2*cellGap, smallSize, bold, c.Align, set[i][l])
			}
			x += widths[i]
		}
		d.y = top + float64(n)*height + pad
		d.rule(d.y, map[bool]float64{true: 1, false: 0.35}[bold])
		done += n
	}
}

// QR draws an address as a QR code of so many millimetres, with lines beside it
// of which the first is bold. Where the address is too long for a code, only the
// lines are set.
func (d *Document) QR(address string, mm float64, beside ...string) {
	side := mm * millimetre
	d.room(side + 2*millimetre)
	top, number := d.y, d.number
	if code, err := qr.Encode(address, qr.M); err == nil {
		d.square(code, margin+d.left, top, side)
	}
	d.left += side + 6*millimetre
	for i, line := range beside {
		d.paragraph(line, textSize, i == 0, Left)
	}
	d.left -= side + 6*millimetre
	if d.number == number {
		d.y = max(d.y, top+side+2*millimetre)
	}
}

// square draws a QR code as one shape made of runs of black modules.
func (d *Document) square(code *qr.Code, x, top, side float64) {
	module := side / float64(code.Size)
	fmt.Fprintf(&d.page, "q %.4f 0 0 %.4f %.2f %.2f cm\n", module, -module, x, pageHeight-top)
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			from := x
			for x < code.Size && code.Black(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&d.page, "%d %d %d 1 re\n", from, y, x-from)
			}
		}
	}
	d.page.WriteString("f Q\n")
}
