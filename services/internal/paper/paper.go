// Package paper reads the tables an office sends in: CSV and XLSX files with
// Chinese headings, one row a thing. It finds the columns by their headings,
// checks every cell, hands out typed values and gathers what is wrong in a
// [Report] that names row and column and never repeats a personal cell.
//
// It knows nothing of what the rows mean: which are right, and what is done
// with the right ones, is for the service that owns the paper. [Run] does that
// for many rows at a time and [Stream] tells the client how far it is.
package paper

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Limits of a paper. A file over one is refused whole, a row over one is an
// error of that row.
const (
	MaxFile    = 64 << 20 // bytes of a file
	MaxRow     = 64 << 10 // bytes of a row
	maxRows    = 1 << 20  // rows of a file, as many as a spreadsheet has
	maxColumns = 256
)

// Column is one column that a paper has.
type Column struct {
	// Name is the heading as the office writes it, e.g. 专有部分面积(㎡). Full-width
	// forms, spaces, other ways to write ㎡ and a missing bracket are accepted;
	// a bracket that says another unit is not.
	Name string
	Also []string // other headings for the same

	Optional bool // the paper may lack this column
	Required bool // no cell of it may be blank
	Personal bool // no cell of a row that has it is ever repeated in an error: cells may have slipped
}

// Sheet is a paper that was read.
type Sheet struct {
	File    string   // name of the file, for the report
	Rows    []*Row   // those that are not blank, in order; some may be wrong already
	Unknown []string // headings that no column has; what stands below them is not read
}

// FileError says why a file cannot be read at all.
type FileError struct {
	Code   string // e.g. heading-missing
	Column string // heading that is missing or stands twice, if it is that
	Reason string
}

// Error implements error.
func (e *FileError) Error() string { return e.Code + ": " + e.Reason }

// table is a file as cells, before anyone asks what they mean. Rows keep the
// number a person sees beside them; blank ones are left out.
type table []line

type line struct {
	number int
	cells  []string
	dates  []bool       // cells that a spreadsheet holds as dates, nil where none
	wrong  map[int]flaw // by index of the cell; under row the row as a whole
}

// row is the key of a flaw that is not of one cell.
const row = -1

// flaw is what reading found wrong with a cell or a row.
type flaw struct{ code, reason string }

// Read reads a paper. The kind of file is told by its content, the name is for
// the report. The error is a [FileError] where the file cannot be read: not a
// table, in an unknown encoding, empty, or without a heading that it must have.
// What is wrong with a single row stands on that row.
func Read(name string, file []byte, columns []Column) (*Sheet, error) {
	if len(file) > MaxFile {
		return nil, &FileError{"file-too-large", "", "a file may have 64 MiB"}
	}
	var t table
	var err error
	switch {
	case bytes.HasPrefix(file, []byte("PK\x03\x04")):
		t, err = readXLSX(file)
	case bytes.HasPrefix(file, []byte("\xd0\xcf\x11\xe0")):
		err = &FileError{"file-unreadable", "", "an old .xls file or one with a password; save it as .xlsx without a password"}
	default:
		t, err = readCSV(file)
	}
	if err != nil {
		return nil, err
	}
	if len(t) == 0 {
		return nil, &FileError{"file-empty", "", "the file is empty"}
	}
	return newSheet(name, t, columns)
}

// newSheet finds the columns in the first row and checks the cells below them.
func newSheet(name string, t table, columns []Column) (*Sheet, error) {
	sheet := &Sheet{File: name}
	at := make(map[string]int, len(columns))
	head := t[0].cells
	if len(t[0].wrong) > 0 {
		return nil, &FileError{"file-unreadable", "", "the headings cannot be read"}
	}
	for i, cell := range head {
		heading := strings.TrimSpace(cell)
		if heading == "" {
			continue
		}
		column, ok := match(heading, columns)
		if !ok {
			sheet.Unknown = append(sheet.Unknown, shorten(heading, 24))
			continue
		}
		if _, twice := at[column.Name]; twice {
			return nil, &FileError{"heading-twice", column.Name, "the heading " + column.Name + " stands there twice"}
		}
		at[column.Name] = i
	}
	var missing []string
	for _, c := range columns {
		if _, ok := at[c.Name]; ok {
			continue
		}
		at[c.Name] = -1
		if !c.Optional {
			missing = append(missing, c.Name)
		}
	}
	if len(missing) > 0 {
		return nil, &FileError{"heading-missing", missing[0], "no column has the heading " + strings.Join(missing, ", ")}
	}
	personal := slices.ContainsFunc(columns, func(c Column) bool { return c.Personal })
	for _, l := range t[1:] {
		r := &Row{Number: l.number, cells: l.cells, dates: l.dates, at: at, personal: personal}
		r.check(l, columns, len(head))
		sheet.Rows = append(sheet.Rows, r)
	}
	if len(sheet.Rows) == 0 {
		return nil, &FileError{"file-empty", "", "no row stands below the headings"}
	}
	return sheet, nil
}

// match finds the column that a heading names.
func match(heading string, columns []Column) (Column, bool) {
	folded := fold(heading)
	for _, c := range columns {
		for _, name := range append([]string{c.Name}, c.Also...) {
			name = fold(name)
			bare, _, _ := strings.Cut(name, "(")
			if folded == name || folded == bare {
				return c, true
			}
		}
	}
	return Column{}, false
}

// fold makes the ways to write one heading equal: full-width forms, ㎡ and m²
// and 平方米, spaces and line breaks, capitals.
func fold(heading string) string {
	heading = strings.ToLower(norm.NFKC.String(heading))
	heading = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, heading)
	return strings.ReplaceAll(heading, "平方米", "m2")
}

// check notes what is wrong with the cells of a row before anyone reads them.
func (r *Row) check(l line, columns []Column, width int) {
	if f, ok := l.wrong[row]; ok {
		r.note("", f.code, f.reason)
		return
	}
	for _, cell := range l.cells[min(width, len(l.cells)):] {
		if strings.TrimSpace(cell) != "" {
			r.note("", "too-many-cells", "more cells than headings; perhaps a comma inside a cell without quotation marks")
			return
		}
	}
	for _, c := range columns {
		i := r.at[c.Name]
		if i < 0 {
			continue
		}
		f, bad := l.wrong[i]
		if !bad && i < len(r.cells) {
			r.cells[i] = strings.TrimSpace(r.cells[i])
			f, bad = checkCell(r.cells[i])
		}
		switch {
		case bad:
			r.note(c.Name, f.code, f.reason)
		case c.Required && r.cell(i) == "":
			r.note(c.Name, "cell-blank", "must not be blank")
		}
	}
}

// checkCell refuses what a spreadsheet would run as a formula when the cell is
// exported again, and what cannot be seen.
func checkCell(cell string) (flaw, bool) {
	if cell == "" {
		return flaw{}, false
	}
	switch cell[0] {
	case '=', '@':
		return formulaCell, true
	case '+', '-':
		if len(cell) == 1 || cell[1] < '0' || cell[1] > '9' {
			return formulaCell, true
		}
	}
	if !utf8.ValidString(cell) || strings.ContainsFunc(cell, invisible) {
		return flaw{"control-character", "has a line break or another character that cannot be seen"}, true
	}
	return flaw{}, false
}

var formulaCell = flaw{"formula-cell", "starts like a formula: with =, @, or + or - without a digit"}

// invisible holds for control and format characters, among them those that
// turn the direction of writing and so show another text than is stored.
func invisible(r rune) bool { return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) }

// shorten prepares text of a paper for being quoted, in at most so many characters.
func shorten(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if invisible(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	if n := utf8.RuneCountInString(s); n > most {
		s = string([]rune(s)[:most]) + "…"
	}
	return s
}

func blank(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}

func tooManyRows() error {
	return &FileError{"file-too-large", "", fmt.Sprintf("a file may have %d rows", maxRows)}
}

func tooManyColumns(number int) error {
	return &FileError{"file-too-large", "", fmt.Sprintf("row %d has more than %d cells", number, maxColumns)}
}

var rowTooLong = flaw{"row-too-long", "a row may have 64 KiB"}
