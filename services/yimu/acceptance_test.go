package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/yimu/internal/invented"
	"github.com/yimu-ledger/yimu/services/yimu/internal/office"
)

// site is a whole yimu that answers over HTTP, from one process or many.
type site struct {
	url, token string
	store      es.Store                                   // to read in
	end        func(context.Context) (es.Position, error) // of the store
	rebuild    func(context.Context) error
	inside     *Site // nil where it is many
}

// head is the position of the last event.
func (s *site) head(t *testing.T) es.Position {
	t.Helper()
	at, err := s.end(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// up starts a site of one process on a directory; the test's end stops it, or down.
func up(t *testing.T, dir string) (s *site, down func()) {
	t.Helper()
	return upWith(t, dir, quietLog(t))
}

func quietLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelError}))
}

// upWith is up with a log of its own.
func upWith(t *testing.T, dir string, log *slog.Logger) (s *site, down func()) {
	t.Helper()
	return upOn(t, Options{Dir: dir, Clock: time.Now, Log: log})
}

// upOn is up with everything that can be chosen.
func upOn(t *testing.T, options Options) (s *site, down func()) {
	t.Helper()
	system, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ready, ended := make(chan struct{}), make(chan error, 2)
	go func() { ended <- system.Run(ctx, func(context.Context) error { close(ready); return nil }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	go func() { ended <- service.Serve(ctx, listener, front(system.checks(), system.Handler())) }()
	down = func() {
		if ctx.Err() != nil {
			return
		}
		cancel()
		if err := errors.Join(<-ended, <-ended, system.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(down)
	s = &site{url: "http://" + listener.Addr().String(), store: system.store, end: system.end, rebuild: system.Rebuild, inside: system}
	if s.token, err = system.issueToken(t.Context(), tokenCmd{Role: "administrator", Life: time.Hour}); err != nil {
		t.Fatal(err)
	}
	return s, down
}

func xiushan(t *testing.T) fs.FS {
	t.Helper()
	papers, err := fs.Sub(demoPapers, "demo/xiushan")
	if err != nil {
		t.Fatal(err)
	}
	return papers
}

func (s *site) imports(papers fs.FS, estate string) office.Import {
	return office.Import{Server: s.url, Token: s.token, Estate: estate, Papers: papers, Folder: "小区"}
}

// take imports papers that are all right.
func (s *site) take(t *testing.T, papers fs.FS, estate string) {
	t.Helper()
	result, err := s.imports(papers, estate).Run(t.Context())
	if err != nil || !result.OK() {
		var out strings.Builder
		result.Write(&out)
		t.Fatalf("%v\n%s", err, &out)
	}
}

// get reads what anyone may read.
func (s *site) get(t *testing.T, path string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(service.PositionHeader, fmt.Sprint(s.head(t)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("GET %s: %s %s", path, resp.Status, text)
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// figures compares every figure that the papers must lead to with what the
// public interface says.
func (s *site) figures(t *testing.T, estate string) {
	t.Helper()
	s.figuresOf(t, estate, xiushan(t), "")
}

// figuresOf is figures of the papers in a folder, whose meeting has this title;
// "" is the only one.
func (s *site) figuresOf(t *testing.T, estate string, papers fs.FS, title string) {
	t.Helper()
	file, err := fs.ReadFile(papers, "expected.json")
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]any
	if err := json.Unmarshal(file, &expected); err != nil {
		t.Fatal(err)
	}
	var meetings struct{ Items []struct{ ID, Title string } }
	s.get(t, "/estates/"+estate+"/meetings", &meetings)
	meetings.Items = slices.DeleteFunc(meetings.Items, func(m struct{ ID, Title string }) bool { return title != "" && m.Title != title })
	if len(meetings.Items) != 1 {
		t.Fatalf("%d meetings", len(meetings.Items))
	}
	wrong, err := misled(expected, estate, meetings.Items[0].ID, func(path string) (got map[string]any, err error) {
		s.get(t, path, &got)
		return got, nil
	})
	if err != nil || len(wrong) > 0 {
		t.Errorf("%v\n%s", err, strings.Join(wrong, "\n"))
	}
}

// equal wants everything that want holds; an object may say more.
func equal(t *testing.T, place string, want, got any) {
	t.Helper()
	for _, difference := range differing(place, want, got) {
		t.Error(difference)
	}
}

func TestThePapersOfAnEstateLeadToItsFigures(t *testing.T) {
	dir := t.TempDir()
	s, down := up(t, dir)
	estate := papersLeadToFigures(t, s, func(*testing.T) *site {
		down()
		s, down = up(t, dir)
		return s
	})
	t.Run("and the rules allow all of it", func(t *testing.T) { s.allowed(t, estate) })
}

// papersLeadToFigures imports the papers of an estate into a site and compares. It
// returns the estate's id.
func papersLeadToFigures(t *testing.T, s *site, restart func(*testing.T) *site) string {
	t.Helper()
	estate := uuid.NewString()
	s.take(t, xiushan(t), estate)
	s.figures(t, estate)

	t.Run("and again after a rebuild", func(t *testing.T) {
		if err := s.rebuild(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.figures(t, estate)
	})
	// Every row is found to be the one that is recorded, in whatever form it comes.
	for name, papers := range map[string]fs.FS{
		"as they were":                       xiushan(t),
		"in UTF-8 without a byte order mark": rewrite(t, xiushan(t), ".csv", asCSV),
		"in GB18030": rewrite(t, xiushan(t), ".csv", func(rows [][]string) []byte {
			b, err := simplifiedchinese.GB18030.NewEncoder().Bytes(asCSV(rows))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}),
		"as XLSX": rewrite(t, xiushan(t), ".xlsx", asXLSX(t)),
	} {
		t.Run("and again after an import "+name+", which records nothing", func(t *testing.T) {
			head := s.head(t)
			s.take(t, papers, estate)
			if now := s.head(t); now != head {
				t.Errorf("the ledger went from %d to %d", head, now)
			}
			s.figures(t, estate)
		})
	}
	t.Run("and again after a restart", func(t *testing.T) {
		restart(t).figures(t, estate)
	})
	return estate
}

func TestAnInventedEstateLeadsToTheFiguresThatWereAddedUpBesideIt(t *testing.T) {
	dir := t.TempDir()
	if _, err := (invented.Estate{Homes: invented.Fewest, Seed: 1}).Write(dir); err != nil {
		t.Fatal(err)
	}
	s, _ := up(t, t.TempDir())
	estate := uuid.NewString()
	for _, folder := range []string{dir, filepath.Join(dir, invented.Second)} {
		s.take(t, os.DirFS(folder), estate)
		var meeting struct{ Title string }
		text, err := os.ReadFile(filepath.Join(folder, "会议.json"))
		if err == nil {
			err = json.Unmarshal(text, &meeting)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.figuresOf(t, estate, os.DirFS(folder), meeting.Title)
	}
}

// An import is interrupted in one paper after the other, each time by the first row
// of it that is recorded.
func TestAnInterruptedImportIsFinishedByRunningItAgain(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate := uuid.NewString()
	for _, prefix := range []string{registry.UnitStream, registry.PersonStream, finance.PaymentStream, votes.BallotStream} {
		for tries := 1; !s.interrupted(t, estate, prefix); tries++ {
			if tries == 20 { // a paper may be in before it is noticed that it comes
				t.Fatalf("was never interrupted in %s", prefix)
			}
			s.figures(t, estate)
			estate = uuid.NewString()
		}
	}
	s.take(t, xiushan(t), estate)
	s.figures(t, estate)
}

// interrupted imports the papers of an estate until something is recorded in a kind
// of streams, and says whether that came before the end.
func (s *site) interrupted(t *testing.T, estate, prefix string) bool {
	t.Helper()
	head := s.head(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		for ctx.Err() == nil {
			for range s.store.ReadAll(ctx, head, prefix) {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := s.imports(xiushan(t), estate).Run(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	return err != nil
}

// rewrite gives every table of a folder another form.
func rewrite(t *testing.T, papers fs.FS, ext string, as func(rows [][]string) []byte) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	entries, err := fs.ReadDir(papers, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		file, err := fs.ReadFile(papers, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if path.Ext(e.Name()) != ".csv" {
			out[e.Name()] = &fstest.MapFile{Data: file}
			continue
		}
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(file, []byte("\ufeff")))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		out[strings.TrimSuffix(e.Name(), ".csv")+ext] = &fstest.MapFile{Data: as(rows)}
	}
	return out
}

func asCSV(rows [][]string) []byte {
	var b bytes.Buffer
	_ = csv.NewWriter(&b).WriteAll(rows) // a buffer takes everything
	return b.Bytes()
}

// asXLSX writes rows as a workbook.
func asXLSX(t *testing.T) func(rows [][]string) []byte {
	return func(rows [][]string) []byte {
		f := excelize.NewFile()
		for i, row := range rows {
			if err := f.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row); err != nil {
				t.Fatal(err)
			}
		}
		var b bytes.Buffer
		if err := f.Write(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
}

// small are the papers of an estate that one can read at a glance.
var small = map[string]string{
	"房屋清册": `房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态
1-1-101,1,1,101,住宅,89.90,登记,已交付
1-1-102,1,1,102,住宅,81.30,实测,已交付
1-1-103,1,1,103,商铺,40.00,合同,已交付
`,
	"业主名册": `房屋编号,业主姓名,证件类型,证件号,手机,份额,表决代表
1-1-101,张一,身份证,X1,19900000001,1/2,是
1-1-101,张二,身份证,X2,,1/2,否
1-1-102,张三,身份证,X3,,1/1,是
1-1-103,某公司,统一社会信用代码,C1,,1/1,是
`,
	"工单时限": `类别,事项,到场时限(分钟),完成时限(小时)
报修,水管漏水,,24
`,
	"工单": `工单号,类别,事项,位置,来源,上报时间,派单时间,到场时间,完成时间,评价(1-5)
GD1,报修,水管漏水,1栋,电话,2022-07-21 19:00,2022-07-21 19:02,2022-07-21 20:00,2022-07-21 21:00,5
GD2,报修,水管漏水,1栋,电话,2022-07-22 19:00,2022-07-22 19:02,2022-07-22 20:00,2022-07-22 21:00,
`,
	"收支凭证": `日期,凭证号,方向,科目,金额(元),摘要,对方,附件sha256
2022-07-02,PZ1,支出,保洁绿化,1570.00,除草,某公司,27beb8e58e3bea8a39c2f9d6335bfeee144088746205349ec99cb76c35bd1a90
2022-07-03,PZ2,收入,公共收益-广告,311.00,广告,某公司,69c0f913d7976ad999790bddf49c346e0e424ded929fc018a9e3ad591d6bb771
`,
	"物业费收款": `收款日期,流水号,房屋编号,所属账期,金额(元),渠道
2022-07-21,PAY1,1-1-101,2022-07,80.91,支付宝
2022-07-22,PAY2,1-1-102,2022-07,73.17,现金
`,
	"会议": `{"title":"第一次会议","notice_posted":"2022-12-28T10:00:00+08:00","opens":"2023-01-14T09:00:00+08:00","closes":"2023-01-28T18:00:00+08:00",
"policy":{"revote":"first-ballot-stands","paper_and_electronic":"electronic-stands","unreturned":"none","parking_counts_area":false},
"motions":[{"id":"M1","title":"选聘物业服务人","matter":"民法典278-1-4","rule":"ordinary","scope":"estate"}]}`,
	"选票": `时间,渠道,房屋编号,证件号,议题,选择
2023-01-14 09:00:11,纸质,1-1-101,X1,M1,赞成
2023-01-14 10:00:11,电子,1-1-102,X3,M1,反对
`,
}

// papersOf makes a folder of the small estate's papers, each changed by
// replacing one text by another.
func papersOf(t *testing.T, names []string, file, from, to string) fstest.MapFS {
	t.Helper()
	folder := fstest.MapFS{}
	for _, name := range names {
		text, ext := small[name], ".csv"
		if name == "会议" {
			ext = ".json"
		}
		if name == file {
			if !strings.Contains(text, from) {
				t.Fatalf("%s does not say %q", file, from)
			}
			text = strings.Replace(text, from, to, 1)
		}
		folder[name+ext] = &fstest.MapFile{Data: []byte(text)}
	}
	return folder
}

var everyPaper = []string{"房屋清册", "业主名册", "工单时限", "工单", "收支凭证", "物业费收款", "会议", "选票"}

// TestAWrongUnitOrTitleListChangesNothing goes through what may be wrong with a
// row of the papers that are taken whole.
func TestAWrongUnitOrTitleListChangesNothing(t *testing.T) {
	s, _ := up(t, t.TempDir())
	for _, tc := range []struct {
		name, file, from, to string
		row                  int
		column               string
	}{
		{"a unit that is listed twice", "房屋清册", "1-1-102,1", "1-1-101,1", 3, "房屋编号"},
		{"an area of nothing", "房屋清册", "81.30", "0", 3, "专有部分面积(㎡)"},
		{"an area below nothing", "房屋清册", "81.30", "-81.30", 3, "专有部分面积(㎡)"},
		{"an area with three decimals", "房屋清册", "81.30", "81.305", 3, "专有部分面积(㎡)"},
		{"an area that is no number", "房屋清册", "81.30", "约80", 3, "专有部分面积(㎡)"},
		{"an unknown use", "房屋清册", "102,住宅", "102,别墅", 3, "用途"},
		{"an unknown state", "房屋清册", "实测,已交付", "实测,装修中", 3, "交付状态"},
		{"an unknown basis", "房屋清册", "实测", "估计", 3, "面积依据"},
		{"a unit without a code", "房屋清册", "1-1-102,1", ",1", 3, "房屋编号"},
		{"a cell that starts with =", "房屋清册", "1-1-102,1", "=1+1,1", 3, "房屋编号"},
		{"a cell that starts with @", "房屋清册", "1,102", "1,@102", 3, "房号"},
		{"a cell that starts with + and no digit", "房屋清册", "1,102", "1,+x", 3, "房号"},
		{"a cell that starts with - and no digit", "房屋清册", "1,102", "1,-x", 3, "房号"},
		{"a row over 64 KiB", "房屋清册", "1,102", "1," + strings.Repeat("1", paper.MaxRow), 3, ""},
		{"a unit that is missing", "业主名册", "1-1-102", "9-9-999", 4, "房屋编号"},
		{"a blank unit", "业主名册", "1-1-102", "", 4, "房屋编号"},
		{"shares that do not add up", "业主名册", "X2,,1/2", "X2,,1/3", 2, "份额"},
		{"a share that is none", "业主名册", "X2,,1/2", "X2,,一半", 3, "份额"},
		{"no voting co-owner", "业主名册", "1/2,是", "1/2,否", 2, "表决代表"},
		{"two voting co-owners", "业主名册", "1/2,否", "1/2,是", 2, "表决代表"},
		{"a name that is a formula", "业主名册", "张三", "=cmd", 4, "业主姓名"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			head, estate := s.head(t), uuid.NewString()
			result, err := s.imports(papersOf(t, everyPaper, tc.file, tc.from, tc.to), estate).Run(t.Context())
			if err != nil || result.OK() {
				t.Fatalf("ok: %v, %v", result.OK(), err)
			}
			if s.head(t) != head {
				t.Errorf("the ledger went from %d to %d", head, s.head(t))
			}
			mistakes(t, result, tc.file, tc.row, tc.column)
			quiet(t, result)
		})
	}
}

// mistakes wants the one mistake of a paper at a row and column.
func mistakes(t *testing.T, result *office.Result, file string, row int, column string) {
	t.Helper()
	var got []paper.RowError
	for _, f := range result.Files {
		if f.Report != nil && strings.HasPrefix(f.Name, file+".") {
			got = f.Report.Errors
		} else if f.Report != nil && f.Report.Mistakes > 0 {
			t.Errorf("%s has mistakes: %v", f.Name, f.Report.Errors)
		}
	}
	if len(got) != 1 || got[0].Row != row || got[0].Column != column {
		t.Errorf("%s has the mistakes %+v, want one in row %d, column %s", file, got, row, column)
	}
}

// quiet wants a report without a personal cell.
func quiet(t *testing.T, result *office.Result) {
	t.Helper()
	var out strings.Builder
	result.Write(&out)
	for _, personal := range []string{"张一", "张二", "张三", "某公司", "X1", "X2", "X3", "19900000001", "cmd"} {
		if strings.Contains(out.String(), personal) {
			t.Errorf("the report repeats %q:\n%s", personal, &out)
		}
	}
}

// TestGoodRowsGoInAndBadOnesAreListed is of the papers that are taken row by row.
func TestGoodRowsGoInAndBadOnesAreListed(t *testing.T) {
	s, _ := up(t, t.TempDir())
	for _, tc := range []struct {
		name, file, from, to string
		row                  int
		column               string
		recorded             int
	}{
		{"an order without a number", "工单", "GD1", "", 2, "工单号", 1},
		{"an order with a wrong time", "工单", "2022-07-21 19:00", "昨天", 2, "上报时间", 1},
		{"a score that is none", "工单", ",5", ",6", 2, "评价(1-5)", 1},
		{"a voucher of an unknown direction", "收支凭证", "支出", "转账", 2, "方向", 1},
		{"a voucher without an amount", "收支凭证", "1570.00", "", 2, "金额(元)", 1},
		{"a voucher with a wrong hash", "收支凭证", "27beb8e5", "zz", 2, "附件sha256", 1},
		{"a payment on no day", "物业费收款", "2022-07-21", "2022-02-30", 2, "收款日期", 1},
		{"a payment of a formula", "物业费收款", "80.91", "=1", 2, "金额(元)", 1},
		{"a ballot at no time", "选票", "2023-01-14 09:00:11", "早上", 2, "时间", 1},
		{"a ballot by an unknown channel", "选票", "纸质", "口头", 2, "渠道", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			result, err := s.imports(papersOf(t, everyPaper, tc.file, tc.from, tc.to), uuid.NewString()).Run(t.Context())
			if err != nil || result.OK() {
				t.Fatalf("ok: %v, %v", result.OK(), err)
			}
			mistakes(t, result, tc.file, tc.row, tc.column)
			quiet(t, result)
			for _, f := range result.Files {
				if strings.HasPrefix(f.Name, tc.file+".") && (f.Report.Recorded != tc.recorded || f.Report.Rejected != 1) {
					t.Errorf("%d recorded, %d wrong", f.Report.Recorded, f.Report.Rejected)
				}
			}
		})
	}
}

// TestWhatIsRecordedIsNotRewritten imports papers again after somebody changed them.
func TestWhatIsRecordedIsNotRewritten(t *testing.T) {
	s, _ := up(t, t.TempDir())
	for _, tc := range []struct {
		name, file, from, to string
		row                  int
		column               string
	}{
		{"a voucher under its number", "收支凭证", "1570.00", "1571.00", 2, "凭证号"},
		{"an order under its number", "工单", "2022-07-21 21:00", "2022-07-21 22:00", 2, "工单号"},
		{"a payment's amount under its reference, unit and period", "物业费收款", "80.91", "80.92", 2, "金额(元)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			estate := uuid.NewString()
			s.take(t, papersOf(t, everyPaper, "", "", ""), estate)
			head := s.head(t)
			result, err := s.imports(papersOf(t, everyPaper, tc.file, tc.from, tc.to), estate).Run(t.Context())
			if err != nil || result.OK() || s.head(t) != head {
				t.Fatalf("ok: %v, %v; the ledger went from %d to %d", result.OK(), err, head, s.head(t))
			}
			mistakes(t, result, tc.file, tc.row, tc.column)
		})
	}
	t.Run("but a changed unit is corrected, and a frozen roll stays", func(t *testing.T) {
		estate := uuid.NewString()
		s.take(t, papersOf(t, everyPaper, "", "", ""), estate)
		var meetings struct{ Items []struct{ ID string } }
		s.get(t, "/estates/"+estate+"/meetings", &meetings)
		var before, after, electorate map[string]any
		s.get(t, "/meetings/"+meetings.Items[0].ID, &before)
		s.take(t, papersOf(t, everyPaper, "房屋清册", "81.30", "91.30"), estate)
		s.get(t, "/meetings/"+meetings.Items[0].ID, &after)
		s.get(t, "/estates/"+estate+"/electorate", &electorate)
		equal(t, "roll", before["roll"], after["roll"])
		equal(t, "electorate", map[string]any{"heads": 3.0, "area_centi_m2": 8990.0 + 9130 + 4000}, electorate)
	})
}

func TestBallotsRefusedByTheRulesAreNoMistakeOfThePaper(t *testing.T) {
	s, _ := up(t, t.TempDir())
	for reason, change := range map[string][2]string{
		"no-such-motion":         {"X3,M1", "X3,M9"},
		"voting-not-open":        {"2023-01-14 10:00:11", "2023-01-14 08:00:11"},
		"voting-closed":          {"2023-01-14 10:00:11", "2023-01-28 18:00:00"},
		"not-on-the-roll":        {"X3,M1", "X9,M1"},
		"not-the-representative": {"X3,M1", "X2,M1"},
		"already-voted":          {"10:00:11,电子,1-1-102,X3", "10:00:11,纸质,1-1-101,X1"},
		"no-such-choice":         {"反对", "随便"},
	} {
		t.Run(reason, func(t *testing.T) {
			estate := uuid.NewString()
			result, err := s.imports(papersOf(t, everyPaper, "选票", change[0], change[1]), estate).Run(t.Context())
			if err != nil || !result.OK() {
				t.Fatalf("ok: %v, %v", result.OK(), err)
			}
			ballots := result.Files[len(result.Files)-1].Report
			if ballots.Recorded != 2 || !reflect.DeepEqual(ballots.Refused, map[string]int{reason: 1}) {
				t.Errorf("recorded %d, refused %v", ballots.Recorded, ballots.Refused)
			}
			quiet(t, result)
			var meetings struct{ Items []struct{ ID string } }
			s.get(t, "/estates/"+estate+"/meetings", &meetings)
			var summary map[string]any
			s.get(t, "/meetings/"+meetings.Items[0].ID+"/ballots/summary", &summary)
			equal(t, "summary", map[string]any{"rows": 2.0, "accepted": 1.0, "rejected": 1.0, "reasons": map[string]any{reason: 1.0}}, summary)
		})
	}
}

func TestAFolderMayHoldAnySubsetOfThePapers(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate := uuid.NewString()
	for i := range everyPaper { // the papers come one by one
		s.take(t, papersOf(t, everyPaper[i:i+1], "", "", ""), estate)
	}
	var e map[string]any
	s.get(t, "/estates/"+estate, &e)
	equal(t, "estate", map[string]any{"name": "小区", "units": 3.0, "homes": 2.0, "shops": 1.0, "titles": 4.0, "people": 3.0}, e)
	head := s.head(t)
	s.take(t, papersOf(t, everyPaper, "", "", ""), estate)
	if s.head(t) != head {
		t.Errorf("all papers together recorded something new")
	}
}

func TestADryRunOfTheRealPapersChangesNothing(t *testing.T) {
	s, _ := up(t, t.TempDir())
	head, estate := s.head(t), uuid.NewString()
	im := s.imports(xiushan(t), estate)
	im.DryRun = true
	result, err := im.Run(t.Context())
	if err != nil || !result.OK() || !result.Absent || s.head(t) != head {
		var out strings.Builder
		result.Write(&out)
		t.Errorf("ok: %v, %v; the ledger went from %d to %d\n%s", result.OK(), err, head, s.head(t), &out)
	}
	if i := slices.IndexFunc(result.Files, func(f office.File) bool { return f.Name == "业主名册.csv" }); i < 0 || result.Files[i].Report == nil {
		t.Error("the title list was not checked")
	}
}

func TestAFileOver64MiBIsRefusedByTheServerToo(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate := uuid.NewString()
	s.take(t, papersOf(t, everyPaper[:1], "", "", ""), estate)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/estates/"+estate+"/papers/units", io.LimitReader(zeros{}, paper.MaxFile+1))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "text/csv")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var p problem.Error
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%s, %v, %v", resp.Status, p, err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}
