package paper

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// maxUnzipped is how much a spreadsheet may hold when it is unpacked, in
// bytes, so that a small file cannot fill the memory.
const maxUnzipped = 256 << 20

var notXLSX = &FileError{"file-unreadable", "", "not a spreadsheet that can be read; save it again as .xlsx"}

// readXLSX reads the first sheet of a workbook.
//
// excelize opens the package and knows the styles. The cells are read here:
// its reader shows the cached value of a formula as if it had been typed, and
// takes a sheet that breaks off for one that ends.
func readXLSX(file []byte) (t table, err error) {
	defer func() {
		if recover() != nil { // by a part that only looks like a spreadsheet's
			t, err = nil, notXLSX
		}
	}()
	// Both limits alike: over the smaller one it would write the paper, with the
	// personal data in it, to a temporary file.
	f, err := excelize.OpenReader(bytes.NewReader(file), excelize.Options{UnzipSizeLimit: maxUnzipped, UnzipXMLSizeLimit: maxUnzipped})
	if err != nil {
		return nil, notXLSX
	}
	defer func() { _ = f.Close() }()
	w := workbook{File: f, dates: map[int]bool{}}
	if w.strings, err = w.sharedStrings(); err != nil {
		return nil, notXLSX
	}
	if props, err := f.GetWorkbookProps(); err == nil && props.Date1904 != nil {
		w.date1904 = *props.Date1904
	}
	sheet, ok := w.firstSheet()
	if !ok {
		return nil, notXLSX
	}
	if t, err = w.readSheet(sheet); err != nil {
		if _, ok := errors.AsType[*FileError](err); !ok {
			err = notXLSX
		}
		return nil, err
	}
	return t, nil
}

type workbook struct {
	*excelize.File
	strings  []string
	date1904 bool
	dates    map[int]bool // styles that show a number as a date
}

// part returns a file of the package.
func (w workbook) part(name string) []byte {
	if content, ok := w.Pkg.Load(name); ok {
		if b, ok := content.([]byte); ok {
			return b
		}
	}
	return nil
}

// firstSheet follows the workbook's relations to the sheet that stands first.
func (w workbook) firstSheet() ([]byte, bool) {
	var book struct {
		Sheets []struct {
			ID string `xml:"http://schemas.openxmlformats.org/officeDocument/2006/relationships id,attr"`
		} `xml:"sheets>sheet"`
	}
	var relations struct {
		Relationship []struct {
			ID     string `xml:"Id,attr"`
			Target string `xml:"Target,attr"`
		}
	}
	if xml.Unmarshal(w.part("xl/workbook.xml"), &book) != nil || len(book.Sheets) == 0 ||
		xml.Unmarshal(w.part("xl/_rels/workbook.xml.rels"), &relations) != nil {
		return nil, false
	}
	for _, r := range relations.Relationship {
		if r.ID != book.Sheets[0].ID {
			continue
		}
		name := strings.TrimPrefix(r.Target, "/")
		if name == r.Target {
			name = path.Join("xl", r.Target)
		}
		b := w.part(name)
		return b, b != nil
	}
	return nil, false
}

// text is a string of a spreadsheet: plain, or in runs of several looks.
type text struct {
	T string `xml:"t"`
	R []struct {
		T string `xml:"t"`
	} `xml:"r"`
}

func (s text) String() string {
	whole := s.T
	for _, r := range s.R {
		whole += r.T
	}
	return escaped.ReplaceAllStringFunc(whole, func(code string) string {
		n, _ := strconv.ParseUint(code[2:6], 16, 16)
		return string(rune(n))
	})
}

// escaped is how a spreadsheet writes a character that XML cannot.
var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// sharedStrings reads the texts that cells refer to by number.
func (w workbook) sharedStrings() ([]string, error) {
	part := w.part("xl/sharedStrings.xml")
	if part == nil {
		return nil, nil
	}
	var all []string
	return all, elements(part, func(d *xml.Decoder, e xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		var s text
		err := d.DecodeElement(&s, &e)
		all = append(all, s.String())
		return err
	})
}

// elements calls see for every element of a document to its very end.
func elements(document []byte, see func(*xml.Decoder, xml.StartElement) error) error {
	d := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if e, ok := token.(xml.StartElement); ok {
			if err := see(d, e); err != nil {
				return err
			}
		}
	}
}

// cell is a cell as it stands in a sheet.
type cell struct {
	Ref   string    `xml:"r,attr"`
	Type  string    `xml:"t,attr"`
	Style int       `xml:"s,attr"`
	F     *struct{} `xml:"f"`
	V     string    `xml:"v"`
	IS    text      `xml:"is"`
}

func (w workbook) readSheet(sheet []byte) (table, error) {
	var t table
	number := 0
	return t, elements(sheet, func(d *xml.Decoder, e xml.StartElement) error {
		if e.Name.Local != "row" {
			return nil
		}
		var row struct {
			Number int    `xml:"r,attr"`
			Cells  []cell `xml:"c"`
		}
		if err := d.DecodeElement(&row, &e); err != nil {
			return err
		}
		number = max(number+1, row.Number)
		if number > maxRows || len(t) > maxRows {
			return tooManyRows()
		}
		l, err := w.line(number, row.Cells)
		if err == nil && (l.wrong != nil || !blank(l.cells)) {
			t = append(t, l)
		}
		return err
	})
}

func (w workbook) line(number int, cells []cell) (line, error) {
	l := line{number: number}
	size, next := 0, 0
	for _, c := range cells {
		i := next
		if c.Ref != "" {
			column, _, err := excelize.CellNameToCoordinates(c.Ref)
			if err != nil {
				return line{}, err
			}
			i = column - 1
		}
		next = i + 1
		value, date, f, err := w.value(c)
		if err != nil {
			return line{}, err
		}
		if value == "" && f == nil {
			continue
		}
		if i >= maxColumns {
			return line{}, tooManyColumns(number)
		}
		for len(l.cells) <= i {
			l.cells = append(l.cells, "")
		}
		l.cells[i] = value
		size += len(value) + 1
		if date {
			if l.dates == nil {
				l.dates = make([]bool, maxColumns)
			}
			l.dates[i] = true
		}
		if f != nil {
			if l.wrong == nil {
				l.wrong = map[int]flaw{}
			}
			l.wrong[i] = *f
		}
	}
	if size > MaxRow {
		return line{number: number, wrong: map[int]flaw{row: rowTooLong}}, nil
	}
	return l, nil
}

// value returns what a cell says as it would stand in a CSV file.
func (w workbook) value(c cell) (value string, date bool, wrong *flaw, err error) {
	if c.F != nil {
		return "", false, &flaw{"formula-cell", "holds a formula; paste its value instead"}, nil
	}
	switch c.Type {
	case "s":
		if c.V == "" {
			return "", false, nil, nil
		}
		i, err := strconv.Atoi(strings.TrimSpace(c.V))
		if err != nil || i < 0 || i >= len(w.strings) {
			return "", false, nil, fmt.Errorf("paper: no shared string %q", c.V)
		}
		return w.strings[i], false, nil, nil
	case "inlineStr":
		return c.IS.String(), false, nil, nil
	case "str":
		return c.V, false, nil, nil
	case "e":
		return "", false, &flaw{"cell-error", "holds an error of the spreadsheet"}, nil
	case "b":
		if c.V == "1" {
			return "TRUE", false, nil, nil
		}
		return "FALSE", false, nil, nil
	case "d":
		return strings.TrimSpace(c.V), true, nil, nil
	}
	if strings.TrimSpace(c.V) == "" {
		return "", false, nil, nil
	}
	// A spreadsheet keeps numbers as binary floating point, 81.3 as
	// 81.299999999999997. The shortest decimal that reads as the same number is
	// what was typed, as long as it has at most 15 digits.
	n, err := strconv.ParseFloat(strings.TrimSpace(c.V), 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return "", false, nil, fmt.Errorf("paper: %q is not a number", c.V)
	}
	if math.Abs(n) >= 1e15 {
		return "", false, &flaw{"number-too-long", "a number of more than 15 digits loses digits in a spreadsheet; enter it as text"}, nil
	}
	if w.isDate(c.Style) {
		at, err := excelize.ExcelDateToTime(n, w.date1904)
		if err != nil {
			return "", false, &flaw{"cell-error", "holds a date that does not exist"}, nil
		}
		at = at.Round(time.Second)
		if at.Equal(at.Truncate(24 * time.Hour)) {
			return at.Format(time.DateOnly), true, nil, nil
		}
		return at.Format(time.DateTime), true, nil, nil
	}
	value = strconv.FormatFloat(n, 'f', -1, 64)
	return value, false, nil, nil
}

// isDate tells whether a style shows a number as a date or a time.
func (w workbook) isDate(style int) bool {
	if is, ok := w.dates[style]; ok {
		return is
	}
	is := false
	if s, err := w.GetStyle(style); err == nil {
		if s.CustomNumFmt != nil {
			is = strings.ContainsAny(strings.ToLower(literal.ReplaceAllString(*s.CustomNumFmt, "")), "ymdhs")
		} else {
			n := s.NumFmt // ECMA-376 part 1, 18.8.30; 27 to 36 and 50 to 58 are the Chinese ones
			is = n >= 14 && n <= 22 || n >= 27 && n <= 36 || n >= 45 && n <= 47 || n >= 50 && n <= 58
		}
	}
	w.dates[style] = is
	return is
}

// literal is what a number format shows as it is, and its colours and conditions.
var literal = regexp.MustCompile(`"[^"]*"|\\.|\[[^\]]*\]|_.|\*.`)
