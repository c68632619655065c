package paper

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// readCSV reads comma-separated values in UTF-8 or GB18030.
func readCSV(file []byte) (table, error) {
	text, err := decode(file)
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1 // counted against the headings later
	var t table
	inCells := 0 // line breaks inside cells so far: a spreadsheet does not number them
	for start := int64(0); ; start = r.InputOffset() {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		l := line{cells: cells}
		var bad *csv.ParseError
		switch {
		case errors.As(err, &bad):
			l.number = bad.StartLine - inCells
			l.cells = nil
			l.wrong = map[int]flaw{row: {"quotation-marks", "the quotation marks of this row do not pair"}}
			if r.InputOffset() == int64(len(text)) {
				l.wrong[row] = flaw{"quotation-marks", "the quotation marks of this row do not pair; nothing after it was read"}
			}
			inCells += bytes.Count(text[start:r.InputOffset()], []byte("\n")) - 1 - leadingBlank(text[start:r.InputOffset()])
		case err != nil:
			return nil, err
		default:
			first, _ := r.FieldPos(0)
			l.number = first - inCells
			size := len(cells)
			for _, c := range cells {
				size += len(c)
				inCells += strings.Count(c, "\n")
			}
			if size > MaxRow {
				l.cells = nil
				l.wrong = map[int]flaw{row: rowTooLong}
			}
		}
		if l.wrong == nil && blank(cells) {
			continue
		}
		if len(l.cells) > maxColumns {
			return nil, tooManyColumns(l.number)
		}
		if len(t) > maxRows {
			return nil, tooManyRows()
		}
		t = append(t, l)
	}
}

// leadingBlank counts the empty lines that a record was preceded by.
func leadingBlank(b []byte) (n int) {
	for {
		line, rest, ok := bytes.Cut(b, []byte("\n"))
		if !ok || len(bytes.TrimSuffix(line, []byte("\r"))) > 0 {
			return n
		}
		n, b = n+1, rest
	}
}

// decode returns the text of a file in UTF-8. What is not UTF-8 is taken for
// GB18030, which holds GBK and GB 2312: spreadsheets in China write it where
// nothing else was chosen.
func decode(file []byte) ([]byte, error) {
	wrong := &FileError{"file-encoding", "", "neither UTF-8 nor GB18030; save it as “CSV UTF-8” or .xlsx"}
	if bytes.HasPrefix(file, []byte("\xff\xfe")) || bytes.HasPrefix(file, []byte("\xfe\xff")) {
		return nil, wrong
	}
	text, marked := bytes.CutPrefix(file, []byte("\xef\xbb\xbf"))
	if utf8.Valid(text) {
		return text, nil
	}
	if marked {
		return nil, wrong
	}
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(file)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, wrong
	}
	return text, nil
}
