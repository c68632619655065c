package paper

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/humatest"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// titles are the columns of a paper with personal cells.
var titles = []Column{
	{Name: "房屋编号", Required: true},
	{Name: "业主姓名", Required: true, Personal: true},
	{Name: "证件号", Required: true, Personal: true},
	{Name: "手机", Personal: true},
	{Name: "份额", Required: true},
	{Name: "表决代表", Required: true},
}

// units are the columns of the unit list.
var unitList = []Column{
	{Name: "房屋编号", Required: true}, {Name: "楼栋"}, {Name: "单元"}, {Name: "房号"},
	{Name: "用途", Required: true}, {Name: "专有部分面积(㎡)", Required: true},
	{Name: "面积依据", Required: true}, {Name: "交付状态", Required: true},
}

const unitsCSV = "房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态\n" +
	"1-1-101,1,1,101,住宅,89.90,登记,已交付\n" +
	"1-1-102,1,1,102,住宅,81.30,实测,已交付\n"

func gb18030(t testing.TB, s string) []byte {
	t.Helper()
	b, err := simplifiedchinese.GB18030.NewEncoder().Bytes([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// workbook writes the cells of a CSV file as text into a spreadsheet.
func workbookOf(t testing.TB, text string, change func(*excelize.File)) []byte {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	f := excelize.NewFile()
	for i, record := range records {
		for j, cell := range record {
			ref, _ := excelize.CoordinatesToCellName(j+1, i+1)
			if err := f.SetCellStr("Sheet1", ref, cell); err != nil {
				t.Fatal(err)
			}
		}
	}
	if change != nil {
		change(f)
	}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSamePaperInEveryForm(t *testing.T) {
	for name, file := range map[string][]byte{
		"UTF-8":                  []byte(unitsCSV),
		"UTF-8 with BOM":         []byte("\xef\xbb\xbf" + unitsCSV),
		"GB18030":                gb18030(t, unitsCSV),
		"CRLF":                   []byte(strings.ReplaceAll(unitsCSV, "\n", "\r\n")),
		"no line break at end":   []byte(strings.TrimSuffix(unitsCSV, "\n")),
		"quoted":                 []byte(`"` + strings.NewReplacer(",", `","`, "\n", "\"\n\"").Replace(strings.TrimSuffix(unitsCSV, "\n")) + `"`),
		"spaces around cells":    []byte(strings.ReplaceAll(unitsCSV, ",", " , \u3000")),
		"full-width brackets":    []byte(strings.ReplaceAll(unitsCSV, "专有部分面积(㎡)", "专有部分面积（㎡）")),
		"square metres in words": []byte(strings.ReplaceAll(unitsCSV, "(㎡)", "（平方米）")),
		"square metres as m²":    []byte(strings.ReplaceAll(unitsCSV, "(㎡)", " (m²)")),
		"no bracket":             []byte(strings.ReplaceAll(unitsCSV, "(㎡)", "")),
		"a column more":          []byte(strings.NewReplacer("交付状态\n", "交付状态,备注\n", "已交付\n", "已交付,=无\n").Replace(unitsCSV)),
		"XLSX":                   workbookOf(t, unitsCSV, nil),
		"XLSX with numbers": workbookOf(t, unitsCSV, func(f *excelize.File) {
			_ = f.SetCellFloat("Sheet1", "F2", 89.9, -1, 64)
			_ = f.SetCellFloat("Sheet1", "F3", 81.299999999999997, -1, 64)
			_ = f.SetCellInt("Sheet1", "D2", 101)
		}),
		"XLSX with another sheet behind": workbookOf(t, unitsCSV, func(f *excelize.File) {
			_, _ = f.NewSheet("说明")
			_ = f.SetCellStr("说明", "A1", "别的")
			_ = f.DeleteSheet("nothing")
		}),
	} {
		t.Run(name, func(t *testing.T) {
			sheet, err := Read("房屋清册.csv", file, unitList)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range sheet.Rows {
				got = append(got, fmt.Sprint(r.Number, r.Text("房屋编号"), r.Text("房号"), r.Text("用途"), int64(r.CentiM2("专有部分面积(㎡)")), r.Text("交付状态"), r.Errors()))
			}
			want := []string{"2 1-1-101 101 住宅 8990 已交付 []", "3 1-1-102 102 住宅 8130 已交付 []"}
			for i := range want {
				want[i] = strings.Join(strings.Fields(want[i]), "")
			}
			for i := range got {
				got[i] = strings.Join(strings.Fields(got[i]), "")
			}
			if !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		})
	}
}

func TestFileThatCannotBeRead(t *testing.T) {
	for name, test := range map[string]struct {
		file   []byte
		code   string
		column string
	}{
		"empty":                  {nil, "file-empty", ""},
		"BOM alone":              {[]byte("\xef\xbb\xbf"), "file-empty", ""},
		"blank rows alone":       {[]byte("\n,,\n\n"), "file-empty", ""},
		"headings alone":         {[]byte(strings.SplitAfter(unitsCSV, "\n")[0]), "file-empty", ""},
		"a heading missing":      {[]byte(strings.ReplaceAll(unitsCSV, "用途", "种类")), "heading-missing", "用途"},
		"another unit of area":   {[]byte(strings.ReplaceAll(unitsCSV, "(㎡)", "(亩)")), "heading-missing", "专有部分面积(㎡)"},
		"a heading twice":        {[]byte(strings.ReplaceAll(unitsCSV, "房号", "单元")), "heading-twice", "单元"},
		"UTF-16":                 {[]byte("\xff\xfe\x3f\x62"), "file-encoding", ""},
		"broken behind a BOM":    {[]byte("\xef\xbb\xbf\xff" + unitsCSV), "file-encoding", ""},
		"bytes of nothing":       {[]byte("\xff\xff\xff"), "file-encoding", ""},
		"old spreadsheet":        {[]byte("\xd0\xcf\x11\xe0 and more"), "file-unreadable", ""},
		"archive without a book": {[]byte("PK\x03\x04 and more"), "file-unreadable", ""},
		"too many columns":       {[]byte(strings.Repeat("a,", 300) + "\n"), "file-too-large", ""},
		"over 64 MiB":            {make([]byte, MaxFile+1), "file-too-large", ""},
		"wide spreadsheet": {workbookOf(t, unitsCSV, func(f *excelize.File) {
			_ = f.SetCellStr("Sheet1", "XFD3", "far")
		}), "file-too-large", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read("x", test.file, unitList)
			e, ok := errors.AsType[*FileError](err)
			if !ok || e.Code != test.code || e.Column != test.column {
				t.Fatalf("got %v, want %s %s", err, test.code, test.column)
			}
		})
	}
}

func TestRowsKeepTheNumberAPersonSees(t *testing.T) {
	file := "a,b\n" + // 1
		"1,x\n" + // 2
		"\n" + // 3
		" , \n" + // 4
		"2,\"x\ny\"\n" + // 5, two lines in a text editor
		"3,x\n" + // 6
		"4,x\"y\n" + // 7, quotation marks wrong
		"\n\n5,x\n" // 10
	for name, file := range map[string]string{"LF": file, "CRLF": strings.ReplaceAll(file, "\n", "\r\n")} {
		t.Run(name, func(t *testing.T) {
			sheet, err := Read("x", []byte(file), []Column{{Name: "a"}, {Name: "b"}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range sheet.Rows {
				s := fmt.Sprint(r.Number)
				for _, e := range r.Errors() {
					s += " " + e.Column + ":" + e.Code
				}
				got = append(got, s)
			}
			want := []string{"2", "5 b:control-character", "6", "7 :quotation-marks", "10"}
			if !slices.Equal(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		})
	}
}

func TestRowOfASpreadsheetKeepsItsNumber(t *testing.T) {
	file := workbookOf(t, "a,b\n1,x\n", func(f *excelize.File) { _ = f.SetCellStr("Sheet1", "A9", "9") })
	sheet, err := Read("x", file, []Column{{Name: "a"}, {Name: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(sheet.Rows) != 2 || sheet.Rows[1].Number != 9 {
		t.Fatalf("got %d rows, the last %d", len(sheet.Rows), sheet.Rows[len(sheet.Rows)-1].Number)
	}
}

func TestCells(t *testing.T) {
	secret := "X00000000000000001"
	for name, test := range map[string]struct{ row, column, code string }{
		"equals sign":           {"=1+1,徐欣,X1,,1/2,是", "房屋编号", "formula-cell"},
		"at sign":               {"@SUM(A1),徐欣,X1,,1/2,是", "房屋编号", "formula-cell"},
		"plus and a letter":     {"+cmd,徐欣,X1,,1/2,是", "房屋编号", "formula-cell"},
		"minus alone":           {"-,徐欣,X1,,1/2,是", "房屋编号", "formula-cell"},
		"minus and a digit":     {"-1,徐欣,X1,,1/2,是", "", ""},
		"plus and a digit":      {"1-1,徐欣,X1,+8619900000001,1/2,是", "", ""},
		"space, then equals":    {" =1,徐欣,X1,,1/2,是", "房屋编号", "formula-cell"},
		"formula as a name":     {"1-1,=" + secret + ",X1,,1/2,是", "业主姓名", "formula-cell"},
		"NUL":                   {"1-1,徐\x00欣,X1,,1/2,是", "业主姓名", "control-character"},
		"control character":     {"1-1,徐\x01欣,X1,,1/2,是", "业主姓名", "control-character"},
		"text turned around":    {"1-1,徐\u202e欣,X1,,1/2,是", "业主姓名", "control-character"},
		"zero-width space":      {"1-1,徐\u200b欣,X1,,1/2,是", "业主姓名", "control-character"},
		"required cell blank":   {"1-1,徐欣,  ,,1/2,是", "证件号", "cell-blank"},
		"row too short":         {"1-1,徐欣,X1", "份额", "cell-blank"},
		"row too long":          {"1-1,徐欣,X1,,1/2,是,more", "", "too-many-cells"},
		"blank cells too many":  {"1-1,徐欣,X1,,1/2,是,,,", "", ""},
		"share over the whole":  {"1-1,徐欣,X1,,3/2,是", "份额", "not-a-share"},
		"share of nothing":      {"1-1,徐欣,X1,,0/2,是", "份额", "not-a-share"},
		"share by nothing":      {"1-1,徐欣,X1,,1/0,是", "份额", "not-a-share"},
		"share as a decimal":    {"1-1,徐欣,X1,,0.5,是", "份额", "not-a-share"},
		"neither yes nor no":    {"1-1,徐欣,X1,,1/2,也许", "表决代表", "not-a-choice"},
		"cells slipped":         {"1-1,徐欣,身份证,X1," + secret + ",是", "份额", "not-a-share"},
		"row over 64 KiB":       {"1-1," + strings.Repeat("徐", MaxRow/3) + ",X1,,1/2,是", "", "row-too-long"},
		"row just under 64 KiB": {"1-1," + strings.Repeat("a", MaxRow-60) + ",X1,,1/2,是", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			sheet, err := Read("x", []byte("房屋编号,业主姓名,证件号,手机,份额,表决代表\n"+test.row+"\n9,李,X9,,1/1,是\n"), titles)
			if err != nil {
				t.Fatal(err)
			}
			r := sheet.Rows[0]
			r.Share("份额")
			r.Yes("表决代表")
			if test.code == "" {
				if !r.OK() {
					t.Fatalf("got %v", r.Errors())
				}
				return
			}
			if r.OK() {
				t.Fatal("the row passed")
			}
			e := r.Errors()[0]
			if e.Row != 2 || e.Column != test.column || e.Code != test.code {
				t.Fatalf("got %+v", e)
			}
			if strings.Contains(e.Reason, secret) || strings.Contains(e.Reason, "徐") {
				t.Fatalf("a personal cell is repeated: %s", e.Reason)
			}
			if !sheet.Rows[1].OK() {
				t.Fatalf("the next row is wrong too: %v", sheet.Rows[1].Errors())
			}
		})
	}
}

func TestReaders(t *testing.T) {
	read := map[string]func(*Row) any{
		"fen":    func(r *Row) any { return int64(r.Fen("c")) },
		"area":   func(r *Row) any { return int64(r.CentiM2("c")) },
		"int":    func(r *Row) any { return r.Int("c", 1, 5) },
		"day":    func(r *Row) any { return r.Day("c") },
		"month":  func(r *Row) any { return r.Month("c") },
		"months": func(r *Row) any { a, b := r.Months("c"); return string(a + "~" + b) },
		"time":   func(r *Row) any { return r.Time("c").UTC().Format(time.RFC3339) },
		"sha":    func(r *Row) any { return r.SHA256("c") },
	}
	const wrong = "wrong"
	for _, test := range []struct{ kind, cell, want string }{
		{"fen", "1570.00", "157000"}, {"fen", "-80.91", "-8091"}, {"fen", "0", "0"},
		{"fen", "1.005", wrong}, {"fen", "1,570.00", wrong}, {"fen", "1e3", wrong}, {"fen", "壹", wrong},
		{"area", "89.9", "8990"}, {"area", "0", wrong}, {"area", "0.00", wrong}, {"area", "-1", wrong}, {"area", "89.901", wrong},
		{"int", "5", "5"}, {"int", "6", wrong}, {"int", "0", wrong}, {"int", "4.5", wrong}, {"int", "99999999999999999999", wrong},
		{"day", "2022-07-21", "2022-07-21"}, {"day", "2022/7/1", "2022-07-01"}, {"day", "2022年7月1日", "2022-07-01"},
		{"day", "2022-02-30", wrong}, {"day", "2022-07", wrong}, {"day", "21.7.2022", wrong},
		{"month", "2022-07", "2022-07"}, {"month", "2022/7", "2022-07"}, {"month", "2022年7月", "2022-07"},
		{"month", "2022-13", wrong}, {"month", "2022-07-01", wrong}, {"month", "July", wrong},
		{"months", "2022-07~2022-12", "2022-07~2022-12"}, {"months", "2022-07～2022-12", "2022-07~2022-12"}, {"months", "2022-07", "2022-07~2022-07"},
		{"months", "2022-12~2022-07", wrong}, {"months", "2022-07~", wrong},
		{"time", "2022-07-21 19:00", "2022-07-21T11:00:00Z"}, {"time", "2023-01-14 09:00:11", "2023-01-14T01:00:11Z"},
		{"time", "2022/7/21 9:05", "2022-07-21T01:05:00Z"}, {"time", "2022-07-21T19:00:00", "2022-07-21T11:00:00Z"},
		{"time", "2022-07-21T19:00:00+09:00", "2022-07-21T10:00:00Z"}, {"time", "2022-07-21T19:00:00Z", "2022-07-21T19:00:00Z"},
		{"time", "2022-07-21", wrong}, {"time", "2022-07-21 25:00", wrong}, {"time", "19:00", wrong},
		{"sha", strings.Repeat("AB", 32), strings.Repeat("ab", 32)}, {"sha", "ab", wrong},
	} {
		t.Run(test.kind+" "+shorten(test.cell, 20), func(t *testing.T) {
			sheet, err := Read("x", []byte("c,d\n\""+test.cell+"\",d\n"), []Column{{Name: "c"}})
			if err != nil {
				t.Fatal(err)
			}
			r := sheet.Rows[0]
			got := fmt.Sprint(read[test.kind](r))
			if !r.OK() {
				got = wrong
				if q := shorten(test.cell, 24); !strings.Contains(r.Errors()[0].Reason, q) {
					t.Errorf("the reason does not quote the cell: %s", r.Errors()[0].Reason)
				}
			}
			if got != test.want {
				t.Fatalf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestBlankCellIsZeroAndNoMistake(t *testing.T) {
	sheet, err := Read("x", []byte("a,b,c\n,,x\n"), []Column{{Name: "a"}, {Name: "b"}, {Name: "z", Optional: true}})
	if err != nil {
		t.Fatal(err)
	}
	r := sheet.Rows[0]
	if r.Fen("a") != 0 || r.Day("b") != "" || !r.Time("z").IsZero() || r.Text("z") != "" || !r.OK() {
		t.Fatalf("got %v", r.Errors())
	}
	if !slices.Equal(sheet.Unknown, []string{"c"}) {
		t.Fatalf("unknown headings: %q", sheet.Unknown)
	}
}

func TestSpreadsheetCells(t *testing.T) {
	day := time.Date(2022, 7, 21, 0, 0, 0, 0, time.UTC)
	columns := []Column{{Name: "日期"}, {Name: "时间"}, {Name: "账期"}, {Name: "公式"}, {Name: "证件号", Personal: true}, {Name: "编号"}}
	file := workbookOf(t, "日期,时间,账期,公式,证件号,编号\n", func(f *excelize.File) {
		style := func(ref, format string) {
			id, err := f.NewStyle(&excelize.Style{CustomNumFmt: &format})
			if err != nil {
				t.Fatal(err)
			}
			_ = f.SetCellStyle("Sheet1", ref, ref, id)
		}
		_ = f.SetCellValue("Sheet1", "A2", day) // with excelize's own date format
		_ = f.SetCellValue("Sheet1", "B2", day.Add(19*time.Hour+5*time.Minute))
		style("B2", `yyyy"年"m"月"d"日" h:mm`)
		_ = f.SetCellValue("Sheet1", "C2", day.AddDate(0, 0, -20))
		style("C2", "mmm-yy")
		_ = f.SetCellFormula("Sheet1", "D2", "1+1")
		_ = f.SetCellFloat("Sheet1", "E2", 450102199001011234, -1, 64)
		_ = f.SetCellRichText("Sheet1", "F2", []excelize.RichTextRun{{Text: "PZ"}, {Text: "0066", Font: &excelize.Font{Bold: true}}})
		_ = f.SetCellFloat("Sheet1", "F3", 12, -1, 64)
		style("F3", `"No."0`) // letters of a date, but quoted
	})
	sheet, err := Read("x", file, columns)
	if err != nil {
		t.Fatal(err)
	}
	r := sheet.Rows[0]
	if got := r.Day("日期"); got != "2022-07-21" {
		t.Errorf("day %q %v", got, r.Errors())
	}
	if got := r.Time("时间").UTC().Format(time.RFC3339); got != "2022-07-21T11:05:00Z" {
		t.Errorf("time %q %v", got, r.Errors())
	}
	if got := r.Month("账期"); got != "2022-07" {
		t.Errorf("month %q %v", got, r.Errors())
	}
	if got := r.Text("编号"); got != "PZ0066" {
		t.Errorf("rich text %q", got)
	}
	if got := sheet.Rows[1].Text("编号"); got != "12" {
		t.Errorf("number %q", got)
	}
	var codes []string
	for _, e := range r.Errors() {
		codes = append(codes, e.Column+":"+e.Code)
	}
	if want := []string{"公式:formula-cell", "证件号:number-too-long"}; !slices.Equal(codes, want) {
		t.Errorf("got %q, want %q", codes, want)
	}
}

func TestSpreadsheetThatBreaksOffIsRefused(t *testing.T) {
	for _, sheet := range []string{
		`<worksheet><sheetData><row r="1"><c t="inlineStr"><is><t>a</t></is></c></row><row r="2">`,
		`<worksheet><sheetData><row r="1"><c t="s"><v>7</v></c></row></sheetData></worksheet>`,
		`<worksheet><sheetData><row r="1"><c r="nonsense"><v>7</v></c></row></sheetData></worksheet>`,
		`<worksheet><sheetData><row r="99999999"><c><v>7</v></c></row></sheetData></worksheet>`,
	} {
		file := workbookOf(t, "a\n1\n", func(f *excelize.File) {
			f.Sheet.Delete("xl/worksheets/sheet1.xml")
			f.Pkg.Store("xl/worksheets/sheet1.xml", []byte(sheet))
		})
		if _, err := Read("x", file, []Column{{Name: "a"}}); err == nil {
			t.Errorf("read %s", sheet)
		}
	}
}

func TestReportCountsAndCuts(t *testing.T) {
	var file strings.Builder
	file.WriteString("a\n")
	for range Listed + 5 {
		file.WriteString("=x\n")
	}
	file.WriteString("ok\n")
	sheet, err := Read("f.csv", []byte(file.String()), []Column{{Name: "a"}})
	if err != nil {
		t.Fatal(err)
	}
	r := NewReport("units", sheet)
	if right := r.Check(sheet); len(right) != 1 || !r.Whole() || r.Status() != 422 {
		t.Fatalf("right %d, status %d", len(right), r.Status())
	}
	r.finish()
	if r.Rejected != Listed+5 || r.Mistakes != Listed+5 || len(r.Errors) != Listed || r.Errors[0].Row != 2 || r.Done {
		t.Fatalf("rejected %d, mistakes %d, listed %d", r.Rejected, r.Mistakes, len(r.Errors))
	}
}

func TestRunKeepsOrderWithinAGroup(t *testing.T) {
	type item struct {
		key string
		n   int
	}
	var items []item
	for n := range 500 {
		items = append(items, item{fmt.Sprint(n % 7), n})
	}
	var mu sync.Mutex
	seen := map[string][]int{}
	err := Run(t.Context(), Group(items, func(i item) string { return i.key }), Workers, nil, func(_ context.Context, i item) error {
		mu.Lock()
		defer mu.Unlock()
		seen[i.key] = append(seen[i.key], i.n)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for key, ns := range seen {
		total += len(ns)
		if !slices.IsSorted(ns) {
			t.Errorf("group %s out of order", key)
		}
	}
	if total != len(items) {
		t.Errorf("%d of %d rows", total, len(items))
	}
}

func TestRunStopsAtTheFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("disk full")
		var groups [][]int
		for n := range 200 {
			groups = append(groups, []int{n, n})
		}
		var mu sync.Mutex
		calls := 0
		err := Run(t.Context(), groups, 8, nil, func(ctx context.Context, n int) error {
			mu.Lock()
			calls++
			mu.Unlock()
			if n == 3 {
				return failure
			}
			<-ctx.Done() // as a commit in flight would be
			return context.Cause(ctx)
		})
		if !errors.Is(err, failure) || calls > 9 {
			t.Fatalf("got %v after %d calls", err, calls)
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, [][]int{{1}}, 1, nil, func(context.Context, int) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run returned %v", err)
	}
}

// serve answers uploads with work.
func serve(t *testing.T, clock func() time.Time, work func(u *Upload) (*Report, error), rows int) humatest.TestAPI {
	_, api := humatest.New(t)
	huma.Register(api, huma.Operation{OperationID: "put-paper", Method: http.MethodPost, Path: "/papers/{kind}", MaxBodyBytes: MaxFile},
		func(_ context.Context, in *struct {
			Kind string `path:"kind"`
			Upload
		}) (*huma.StreamResponse, error) {
			return in.Answer(in.Kind, clock, slog.New(slog.DiscardHandler), func(ctx context.Context, p *Progress) (*Report, error) {
				if err := Run(ctx, [][]int{make([]int, rows)}, 1, p, func(context.Context, int) error { return nil }); err != nil {
					return nil, err
				}
				return work(&in.Upload)
			}), nil
		})
	return api
}

func TestAnswer(t *testing.T) {
	report := func(u *Upload) (*Report, error) {
		sheet, err := Read(u.FileName(), u.RawBody, unitList)
		if err != nil {
			return nil, err
		}
		r := NewReport("units", sheet)
		for range r.Check(sheet) {
			r.Record(7)
		}
		return r, nil
	}
	name := "Yimu-File-Name: %E6%88%BF%E5%B1%8B%E6%B8%85%E5%86%8C.csv"
	t.Run("is the report", func(t *testing.T) {
		api := serve(t, time.Now, report, 0)
		res := api.Post("/papers/units?dry_run=true", name, strings.NewReader(unitsCSV))
		var r Report
		if err := json.Unmarshal(res.Body.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if res.Code != 200 || r.File != "房屋清册.csv" || r.Rows != 2 || r.Recorded != 2 || r.Position != 7 || !r.Done || !r.DryRun {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
	})
	t.Run("names what a file lacks", func(t *testing.T) {
		api := serve(t, time.Now, report, 0)
		res := api.Post("/papers/units", name, strings.NewReader("a,b\n1,2\n"))
		if res.Code != 422 || !strings.Contains(res.Body.String(), `"code":"rows-wrong"`) || !strings.Contains(res.Body.String(), "heading-missing") {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
	})
	t.Run("hides what is internal", func(t *testing.T) {
		api := serve(t, time.Now, func(*Upload) (*Report, error) { return nil, errors.New("secret") }, 0)
		res := api.Post("/papers/units", strings.NewReader(unitsCSV))
		if res.Code != 500 || strings.Contains(res.Body.String(), "secret") || res.Header().Get("Content-Type") != problem.ContentType {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
	})
	t.Run("says to send the paper again where a row is pending", func(t *testing.T) {
		api := serve(t, time.Now, func(*Upload) (*Report, error) { return nil, &es.PendingError{Err: es.ErrPending} }, 0)
		res := api.Post("/papers/units", strings.NewReader(unitsCSV))
		if res.Code != 503 || res.Header().Get("Retry-After") == "" || !strings.Contains(res.Body.String(), `"code":"pending"`) {
			t.Fatalf("%d %s", res.Code, res.Body)
		}
	})
	t.Run("says in lines how far it is", func(t *testing.T) {
		now := time.Unix(0, 0)
		api := serve(t, func() time.Time { now = now.Add(10 * time.Millisecond); return now }, report, 100)
		res := api.Post("/papers/units", "Accept: "+NDJSON, strings.NewReader(unitsCSV))
		lines := strings.Split(strings.TrimSpace(res.Body.String()), "\n")
		if res.Code != 200 || len(lines) != 12 || lines[0] != `{"done":0,"total":100}` || lines[1] != `{"done":10,"total":100}` {
			t.Fatalf("%d, %d lines: %s", res.Code, len(lines), res.Body)
		}
		var end struct {
			Status int
			Report Report
		}
		if err := json.Unmarshal([]byte(lines[11]), &end); err != nil || end.Status != 200 || end.Report.Rows != 2 {
			t.Fatalf("%v %s", err, lines[11])
		}
	})
	t.Run("ends in lines with the problem", func(t *testing.T) {
		api := serve(t, time.Now, func(*Upload) (*Report, error) { return nil, problem.NotFound("no-such-estate", "no") }, 0)
		res := api.Post("/papers/units", "Accept: "+NDJSON, strings.NewReader(unitsCSV))
		if !strings.Contains(res.Body.String(), `{"status":404,"problem":{"type":"urn:yimu:no-such-estate"`) {
			t.Fatalf("%s", res.Body)
		}
	})
}

func TestReadJSON(t *testing.T) {
	type meeting struct {
		Title   string
		Motions []struct {
			ID string `json:"id"`
		} `json:"motions"`
	}
	if m, err := ReadJSON[meeting](gb18030(t, `{"title":"大会","other":1}`)); err != nil || m.Title != "大会" {
		t.Errorf("%+v %v", m, err)
	}
	_, err := ReadJSON[meeting]([]byte(`{"motions":[{"id":1}]}`))
	if e, ok := errors.AsType[*FileError](err); !ok || e.Code != "field-wrong" || e.Column != "motions.id" {
		t.Errorf("%+v", err)
	}
	_, err = ReadJSON[meeting]([]byte(`{"title":"大\u0000会"}`))
	if e, ok := errors.AsType[*FileError](err); !ok || e.Code != "control-character" || e.Column != "title" {
		t.Errorf("U+0000 in a title: %v", err)
	}
	if _, err := ReadJSON[meeting]([]byte(`{`)); err == nil {
		t.Error("half a document was read")
	}
}

// FuzzRead: whatever comes in, there is an answer, rows are numbered upwards,
// cells that pass hold nothing unseen, and no reason repeats a personal cell.
func FuzzRead(f *testing.F) {
	f.Add([]byte(unitsCSV))
	f.Add([]byte("房屋编号,业主姓名,证件号,手机,份额,表决代表\n1-1-101,徐欣,X00000000000000001,19900000001,1/2,是\n=1,\"a\n\",,,2/1\n\n-x"))
	f.Add(gb18030(f, unitsCSV))
	f.Add(workbookOf(f, unitsCSV, nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		sheet, err := Read("x", file, titles)
		if err != nil {
			if _, ok := errors.AsType[*FileError](err); !ok {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		last := 1
		for _, r := range sheet.Rows {
			if r.Number <= last {
				t.Fatalf("row %d after row %d", r.Number, last)
			}
			last = r.Number
			_, _ = r.Share("份额")
			r.Yes("表决代表")
			r.Day("证件号")
			r.Fen("手机")
			for _, c := range titles {
				if s := r.Text(c.Name); strings.ContainsFunc(s, invisible) || strings.HasPrefix(s, "=") || strings.HasPrefix(s, "@") {
					t.Fatalf("%q passed", s)
				}
			}
			for _, e := range r.Errors() {
				for _, s := range r.cells {
					if len(s) > 24 && strings.Contains(e.Reason, s) {
						t.Fatalf("%q repeats a cell of a paper with personal cells", e.Reason)
					}
				}
			}
		}
	})
}

// FuzzSheet gives the inside of a spreadsheet to the reader.
func FuzzSheet(f *testing.F) {
	f.Add([]byte(`<worksheet><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>a</t></is></c></row><row r="2"><c r="A2" s="1"><v>44743</v></c></row></sheetData></worksheet>`))
	f.Fuzz(func(t *testing.T, sheet []byte) {
		w := workbook{File: excelize.NewFile(), dates: map[int]bool{}, strings: []string{"a", "=b"}}
		rows, err := w.readSheet(sheet)
		if err != nil {
			return
		}
		last := 0
		for _, l := range rows {
			if l.number <= last || len(l.cells) > maxColumns {
				t.Fatalf("row %d after %d with %d cells", l.number, last, len(l.cells))
			}
			last = l.number
		}
	})
}
