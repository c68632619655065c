// Package posting sets the result of a meeting in type, as it hangs on the notice
// board: the numbers of every motion, the rule in words, the arithmetic spelled
// out, open votes by unit and area without names, objections with their answers,
// and how to check all of it.
//
// It takes values and writes a PDF; it reads no table and no clock.
package posting

import (
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/internal/pdf"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// Result is what is posted of a meeting.
type Result struct {
	Meeting    meeting.Meeting
	Rules      meeting.RuleSet
	Results    []meeting.Result
	Objections []meeting.Objection
	Votes      iter.Seq2[Vote, error] // open votes, by entry; nil: they are not posted
	Made       time.Time              // when the numbers were true
	lookback.Bound
}

// Vote is one ballot that counts, by unit and area.
type Vote struct {
	Entry   string
	Units   []string
	Area    units.CentiM2
	Channel string
	Choices []votes.Choice // those that count
}

// Write writes the result as a PDF.
func Write(w io.Writer, r Result) error {
	d := pdf.New(w, pdf.Info{Title: r.Meeting.Title + " 表决结果", Made: r.Made})
	d.Title("表决结果公示")
	d.Subtitle(r.Meeting.Title)
	r.head(d)
	for _, one := range r.Results {
		motion(d, one)
		r.sold(d, one)
	}
	if r.Votes != nil {
		if err := r.votes(d); err != nil {
			return err
		}
	}
	r.objections(d)
	r.receipt(d)
	return d.Close()
}

func (r Result) head(d *pdf.Document) {
	m := r.Meeting
	switch {
	case m.Past:
		d.Bold("从纸质档案补录的会议：公示、异议和备案以当时的文件为准")
	case m.IsFiled():
		d.Bold("结果已终定，备案号 " + m.Filed.Reference)
	case m.IsFinal():
		d.Bold("结果已于 " + at(m.Final.At) + " 终定")
	case m.IsPosted() && !m.Result.ObjectionsUntil.IsZero():
		d.Bold("公示中：业主可以提异议到 " + at(m.Result.ObjectionsUntil))
	default:
		d.Bold("公示中的结果，终定以前业主可以提异议")
	}
	d.Text("投票时间：" + at(m.Notice.Opens) + " 至 " + at(m.Notice.Closes) + "（北京时间）")
	for _, e := range m.Extended {
		d.Text("参与的业主不够，投票由 " + at(e.From) + " 延长到 " + at(e.Closes))
	}
	d.Text("公告时间：" + at(m.Notice.At))
	d.Text(fmt.Sprintf("业主名册：%d 人，%s 平方米", m.Roll.Heads, m.Roll.Area))
	d.Text("适用规则：" + r.Rules.Name.ZH + "（" + m.Notice.RuleSet + "）")
	for _, w := range m.Withdrawn {
		d.Text(fmt.Sprintf("第 %d 次公示的结果于 %s 撤回，原因：%s", w.Posting, at(w.At), w.Reason))
	}
}

func at(t time.Time) string { return t.In(units.Shanghai).Format("2006年1月2日 15:04") }

func motion(d *pdf.Document, r meeting.Result) {
	d.Heading(r.Motion + " " + r.Title + "：" + r.Outcome)
	d.Text("范围：" + scope(r.Scope) + "。" + r.Words.ZH)
	if e := r.Election; e != nil {
		d.Text(fmt.Sprintf("应选 %d 人，当选 %d 人，空缺 %d 人", e.Seats, e.Elected, e.Vacant))
		for _, c := range e.Candidates {
			rank := ""
			if c.Rank > 0 {
				rank = fmt.Sprintf("，第 %d 名", c.Rank)
			}
			d.Bold("候选人 " + c.ID + "（" + c.Unit + " 的业主）：" + c.Status + rank)
			figures(d, r, c.Figures)
			channels(d, c.Channels)
		}
	} else {
		figures(d, r, r.Figures)
		channels(d, r.Channels)
	}
	if s := r.Silence; s != nil {
		d.Bold("未交回的选票")
		as := "不计入任何一方"
		if s.CountsAs != "" {
			as = "计为" + s.CountsAs
		}
		d.Text(fmt.Sprintf("送达有凭证、事先告知过、没有交回任何选票的业主 %d 人、%s 平方米，按本小区议事规则%s。不计这些业主时的数字和结果：%s", s.Heads, s.Area, as, s.Before.Outcome))
		figures(d, r, s.Before)
	}
}

// sold says of a motion where units sold during the vote changed its heads.
func (r Result) sold(d *pdf.Document, one meeting.Result) {
	for _, m := range r.Meeting.Motions {
		frozen := r.Meeting.Electorate(m)
		if m.ID == one.Motion && frozen.Heads != one.ElectorateHeads && len(r.Meeting.Amendments) > 0 {
			d.Text(fmt.Sprintf("封存的名册上是 %d 人。投票期间有房屋转让，按每套房屋由谁投票计，是 %d 人；总面积不变。", frozen.Heads, one.ElectorateHeads))
		}
	}
}

// scope says whom a motion concerns.
func scope(s string) string {
	kind, which, _ := strings.Cut(s, ":")
	switch kind {
	case "estate":
		return "全体业主"
	case "building":
		return which + " 栋的业主"
	case "stair":
		return which + " 单元的业主"
	}
	return "列明的业主"
}

// figures sets the numbers that are posted at least (佛山南海的公示格式), and the
// comparisons that decided.
func figures(d *pdf.Document, r meeting.Result, f meeting.Figures) {
	row := func(what string, heads, allHeads int64, area, allArea units.CentiM2) []string {
		return []string{what, strconv.FormatInt(heads, 10), Share(heads, allHeads), area.String(), Share(int64(area), int64(allArea))}
	}
	rows := [][]string{
		{"全体业主", strconv.FormatInt(r.ElectorateHeads, 10), "", r.ElectorateArea.String(), ""},
		row("参与（占全体）", f.ParticipatingHeads, r.ElectorateHeads, f.ParticipatingArea, r.ElectorateArea),
		row("同意（占参与）", f.YesHeads, f.ParticipatingHeads, f.YesArea, f.ParticipatingArea),
		row("反对（占参与）", f.NoHeads, f.ParticipatingHeads, f.NoArea, f.ParticipatingArea),
		row("弃权（占参与）", f.AbstainHeads, f.ParticipatingHeads, f.AbstainArea, f.ParticipatingArea),
	}
	d.Table([]pdf.Column{
		{Title: "", Width: 3}, {Title: "人数", Width: 2, Align: pdf.Right}, {Title: "比例", Width: 2, Align: pdf.Right},
		{Title: "面积（㎡）", Width: 3, Align: pdf.Right}, {Title: "比例", Width: 2, Align: pdf.Right},
	}, each(rows))
	for _, s := range f.Arithmetic {
		d.Small(Arithmetic(s))
	}
}

// Arithmetic spells a comparison out: 参与人数：3 × 760 = 2280 ≥ 2 × 976 = 1952，达到.
func Arithmetic(s meeting.Step) string {
	what := map[string]string{"quorum": "参与", "approval": "同意", "objection": "反对"}[s.Test] +
		map[string]string{"heads": "人数", "area_centi_m2": "面积（单位 0.01 ㎡）"}[s.Measure]
	term := func(t meeting.Term) string { return fmt.Sprintf("%d × %d = %d", t.Factor, t.Value, t.Product) }
	met := "未达到"
	if s.Met {
		met = "达到"
	}
	return what + "：" + term(s.Left) + " " + s.Compare + " " + term(s.Right) + "，" + met
}

// Share is a part of a whole in per cent, rounded down as on the page of the result:
// what falls short of two thirds must not read as more. Nothing of nothing.
func Share(part, whole int64) string {
	if whole == 0 {
		return ""
	}
	n := part * 10000 / whole
	return fmt.Sprintf("%d.%02d%%", n/100, n%100)
}

func channels(d *pdf.Document, list []meeting.ChannelCount) {
	if len(list) == 0 {
		return
	}
	rows := make([][]string, len(list))
	for i, c := range list {
		cell := func(heads int64, area units.CentiM2) string { return fmt.Sprintf("%d / %s", heads, area) }
		rows[i] = []string{c.Channel, cell(c.Heads, c.Area), cell(c.YesHeads, c.YesArea), cell(c.NoHeads, c.NoArea), cell(c.AbstainHeads, c.AbstainArea)}
	}
	d.Table([]pdf.Column{
		{Title: "渠道（人数 / ㎡）", Width: 3}, {Title: "参与", Width: 3, Align: pdf.Right}, {Title: "同意", Width: 3, Align: pdf.Right},
		{Title: "反对", Width: 3, Align: pdf.Right}, {Title: "弃权", Width: 3, Align: pdf.Right},
	}, each(rows))
}

// votes lists open votes by unit and area, without names (北京, seen).
func (r Result) votes(d *pdf.Document) (err error) {
	d.Heading("各户的选择（按房屋和面积，没有姓名）")
	d.Small("只列计入的选择；同一位业主的几套房屋合并为一票。")
	d.Table([]pdf.Column{
		{Title: "名册", Width: 1.4}, {Title: "房屋", Width: 4}, {Title: "面积（㎡）", Width: 2.4, Align: pdf.Right}, {Title: "渠道", Width: 1.6}, {Title: "选择", Width: 5},
	}, func(yield func([]string) bool) {
		for v, failed := range r.Votes {
			if failed != nil {
				err = failed
				return
			}
			said := make([]string, len(v.Choices))
			for i, c := range v.Choices {
				said[i] = c.Motion + " " + c.Choice
				if c.Candidate != "" {
					said[i] = c.Motion + " " + c.Candidate + " " + c.Choice
				}
			}
			if !yield([]string{v.Entry, strings.Join(v.Units, "、"), v.Area.String(), v.Channel, strings.Join(said, "；")}) {
				return
			}
		}
	})
	return err
}

func (r Result) objections(d *pdf.Document) {
	d.Heading("异议和答复")
	if len(r.Objections) == 0 {
		d.Text("到打印时没有业主提出异议。")
	}
	for _, o := range r.Objections {
		about := "整个结果"
		if o.Motion != "" {
			about = o.Motion
		}
		answer := "还没有答复。"
		if o.Answered() {
			answer = map[bool]string{true: "异议成立。", false: "异议不成立。"}[o.Answer.Upheld] + o.Answer.Answer
		}
		d.Text(fmt.Sprintf("名册第 %s 号，%s，针对%s（第 %d 次公示）。答复：%s", o.Entry, at(o.At), about, o.Posting, answer))
	}
	for _, e := range r.Meeting.SetAside {
		d.Text(fmt.Sprintf("依成立的异议，名册第 %s 号的一张票不再计入（%s，票号 %s）。原因：%s%s", e.Entry, at(e.At), e.Ballot, e.Reason, map[string]string{
			votes.EarlierStands: "这位业主的另一张票算数。", votes.EarlierFalls: "这位业主的另一张票也不算数。",
		}[e.Earlier]))
	}
}

// receipt says what the numbers rest on, and how to check them.
func (r Result) receipt(d *pdf.Document) {
	_, hash := r.Meeting.Blob(r.Results)
	d.Heading("怎么核对")
	d.Text("这些数字由账本里的全部选票算出，任何人都可以重算。下面几行要和网站上这次会议的页面一致。")
	d.Small("结果文件的指纹（SHA-256）：" + hash)
	d.Small("业主名册的指纹：" + r.Meeting.Roll.Roll)
	d.Small("适用规则的指纹：" + r.Meeting.Notice.RuleHash)
	d.Small("会议编号：" + r.Meeting.Meeting)
	d.Small(fmt.Sprintf("账本位置：%d", r.Position))
	if r.Log != nil {
		d.Small(fmt.Sprintf("签名的检查点（到位置 %d）：", r.Log.Position))
		for line := range strings.Lines(r.Log.Checkpoint) {
			if line = strings.TrimSpace(line); line != "" {
				d.Small(line)
			}
		}
	}
	d.Small("核对方法：在网站的“怎么核对”页下载全部证据，用 yimu verify 重算一遍；指纹、位置和检查点对得上，就说明这里的数字没有改过。")
}

func each(rows [][]string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for _, r := range rows {
			if !yield(r) {
				return
			}
		}
	}
}
