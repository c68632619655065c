package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	reader "github.com/ledongthuc/pdf"
	"pgregory.net/rapid"
)

var info = Info{Title: "幸福小区业主大会公告", Made: time.Date(2026, 3, 1, 1, 0, 0, 0, time.UTC)}

// made returns a document's bytes.
func made(t testing.TB, set func(*Document)) []byte {
	t.Helper()
	var b bytes.Buffer
	d := New(&b, info)
	set(d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pages returns the text of each page, in the order it was set.
func pages(t testing.TB, file []byte) (list []string) {
	t.Helper()
	r, err := reader.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for n := range r.NumPage() {
		var b strings.Builder
		for _, part := range r.Page(n + 1).Content().Text {
			b.WriteString(part.S)
		}
		list = append(list, b.String())
	}
	return list
}

func TestEveryKindOfTextCanBeReadBack(t *testing.T) {
	file := made(t, func(d *Document) {
		d.Section("幸福小区 第 12 号")
		d.Title("业主大会会议公告")
		d.Subtitle("2026 年第一次")
		d.Heading("一、议题")
		d.Text("是否同意选聘新的物业服务人?面积 1,234.56 ㎡,≥ 2/3。")
		d.Bold("请在截止前投票。")
		d.Item("□", "赞成")
		d.Small("规则见民法典第二百七十八条。")
		d.Table([]Column{{"户号", 1, Left}, {"面积(㎡)", 1, Right}}, slices.Values([][]string{{"1-1-101", "89.50"}, {"1-1-102", "90.00"}}))
		d.QR("https://example.org/vote#ABCDE", 34, "扫码投票", "一次性投票码 ABCDE-FGHIJ")
		d.Signed("业主委员会")
	})
	got := strings.ReplaceAll(strings.Join(pages(t, file), ""), " ", "")
	for _, want := range []string{
		"幸福小区第12号", "业主大会会议公告", "2026年第一次", "一、议题", "1,234.56㎡,≥2/3。", "请在截止前投票。", "□赞成", "第二百七十八条",
		"户号面积(㎡)1-1-10189.501-1-10290.00", "扫码投票一次性投票码ABCDE-FGHIJ", "业主委员会", "第1页",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestTheFontHasTheSignsOfAPostingAndRareNames(t *testing.T) {
	font, err := loadFont()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range "〓□■✓㎡²¥￥×÷≥≤≠—…“”‘’《》【】①⑩%‰〇堃喆镕淼犇垚赟翀頔" {
		if _, ok := font.Glyph(r); !ok {
			t.Errorf("%c %U is missing", r, r)
		}
	}
}

func TestAMissingCharacterIsShownAsOne(t *testing.T) {
	if got := pages(t, made(t, func(d *Document) { d.Text("甲\U0001F600乙\u200b丙") })); !strings.Contains(got[0], "甲〓乙丙") {
		t.Errorf("%q", got)
	}
}

func TestATableGoesOnOnTheNextPageBelowItsHeadings(t *testing.T) {
	got := pages(t, made(t, func(d *Document) {
		d.Title("名册")
		d.Table([]Column{{"户号", 1, Left}, {"情况", 3, Left}}, func(yield func([]string) bool) {
			for i := range 100 {
				if !yield([]string{fmt.Sprintf("1-1-%d", i), "当面签收"}) {
					return
				}
			}
		})
	}))
	if len(got) < 3 {
		t.Fatalf("%d pages", len(got))
	}
	for n, page := range got {
		if !strings.Contains(page, "户号") || !strings.Contains(page, fmt.Sprintf("第 %d 页", n+1)) {
			t.Errorf("page %d lacks its headings or its number: %q", n+1, page)
		}
	}
	if all := strings.Join(got, ""); strings.Count(all, "当面签收") != 100 {
		t.Errorf("%d of 100 rows", strings.Count(all, "当面签收"))
	}
}

func TestARowLongerThanAPageIsSetInParts(t *testing.T) {
	text := strings.Repeat("很长的意见", 2000)
	got := strings.Join(pages(t, made(t, func(d *Document) {
		d.Table([]Column{{"意见", 1, Left}}, slices.Values([][]string{{text}}))
	})), "")
	if n := strings.Count(got, "很"); n != 2000 {
		t.Errorf("%d of 2000", n)
	}
}

func TestASectionIsNumberedFromOne(t *testing.T) {
	got := pages(t, made(t, func(d *Document) {
		for _, s := range []string{"甲户", "乙户"} {
			d.Section(s)
			d.Text(strings.Repeat("字", 1500))
		}
	}))
	if len(got) < 4 || !strings.Contains(got[0], "甲户") || !strings.Contains(got[len(got)/2], "乙户第 1 页") {
		t.Errorf("%d pages, footers: %q", len(got), got)
	}
}

func TestNoTextIsLostWhereLinesBreakAndNoneIsTooWide(t *testing.T) {
	d := New(io.Discard, info)
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.SampledFrom([]rune("业主大会,。(《》)abc 123-.“”%㎡ ")), 0, 80, -1).Draw(t, "text")
		width := rapid.Float64Range(1, 200).Draw(t, "width")
		lines := d.lines(text, textSize, width)
		if got := squeeze(strings.Join(lines, "")); got != squeeze(text) {
			t.Fatalf("%q became %q", text, lines)
		}
		for _, l := range lines {
			if d.width(l, textSize) > width+0.1 && len([]rune(l)) > 1 {
				t.Fatalf("%q is wider than %g", l, width)
			}
		}
	})
}

func TestALineDoesNotBeginWithWhatEndsOne(t *testing.T) {
	d := New(io.Discard, info)
	for width := 60.0; width < 300; width += 7 {
		for _, l := range d.lines("根据《民法典》第二百七十八条,业主共同决定(含选聘、解聘),应当由专有部分面积占比三分之二以上的业主参与表决。", textSize, width) {
			if first, last := []rune(l)[0], []rune(l)[len([]rune(l))-1]; strings.ContainsRune(notFirst, first) || strings.ContainsRune(notLast, last) {
				t.Errorf("width %g: %q", width, l)
			}
		}
	}
}

func TestTheSameContentGivesTheSameBytes(t *testing.T) {
	set := func(d *Document) { d.Text("业主大会"); d.QR("https://example.org/", 30, "扫码") }
	if !bytes.Equal(made(t, set), made(t, set)) {
		t.Error("two documents differ")
	}
}

func TestAWriterThatFailsIsToldAtTheEnd(t *testing.T) {
	d := New(&short{left: 100}, info)
	d.Text("业主大会")
	if err := d.Close(); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("%v", err)
	}
}

type short struct{ left int }

func (s *short) Write(b []byte) (int, error) {
	if s.left -= len(b); s.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

// The pages of 1,000 letters would be 10 MB if they were kept.
func TestManyPagesTakeNoMoreMemoryThanFew(t *testing.T) {
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	d := New(io.Discard, info)
	letter := func(n int) {
		d.Section(fmt.Sprintf("第 %d 号", n))
		d.Title("业主大会会议公告")
		d.Text(strings.Repeat("是否同意选聘新的物业服务人?", 20))
		d.QR(fmt.Sprintf("https://example.org/vote#%020d", n), 34, "扫码投票")
	}
	for n := range 100 {
		letter(n)
	}
	before := heap()
	for n := range 1000 {
		letter(n)
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}
