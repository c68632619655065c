// Package print sets what goes to owners on paper: the notice of a meeting for
// the board on the wall, and the letters with it, one to each entry of the roll.
//
// It is handed the API's answers, like package pages, and speaks Chinese only:
// that is what is valid on paper.
package print

import (
	"fmt"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/pdf"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// Notice is what is told of a meeting.
type Notice struct {
	Estate  string
	Meeting client.Meeting
	Address string // of the site, without a slash at its end
	Office  string // where to ask, and to get and hand in paper; may be empty
}

const zh = pages.Chinese

// Post sets the notice for the board on the wall (公告).
func (n Notice) Post(d *pdf.Document) {
	d.Section(n.Estate + " · 业主大会公告")
	d.Title("业主大会会议公告")
	d.Subtitle(n.Estate + " · " + n.Meeting.Title)
	n.called(d)
	n.body(d)
	d.Heading("怎样投票")
	d.Text("每户收到的信上有一个二维码和一次性投票码，扫码就能投票；也可以登录本网站投票。")
	n.onPaper(d)
	address := n.Address + "/meetings/" + n.Meeting.ID
	d.QR(address, 34, "会议页面", "扫码看议题、规则和进展，不用登录。", address)
	n.signature(d)
}

// Letter sets the letter to one entry.
func (n Notice) Letter(d *pdf.Document, l client.Letter) {
	homes := homesOf(l.Units)
	d.Section(n.Estate + " · " + homes)
	to := homes + " 业主"
	if l.Name != "" {
		to += " " + l.Name
	}
	d.Bold("致：" + to)
	d.Small(fmt.Sprintf("名册第 %s 号，计入面积 %s ㎡。名下的房屋合并算一票，面积相加。", l.Entry, l.Area))
	d.Title("业主大会会议通知")
	d.Subtitle(n.Estate + " · " + n.Meeting.Title)
	n.called(d)
	n.body(d)
	d.Heading("怎样投票")
	if l.Code != "" {
		address := n.Address + "/meetings/" + n.Meeting.ID + "/code"
		d.QR(address+"#"+l.Code, 38, "手机扫码投票", "一次性投票码："+l.Code,
			"只能用一次，只能投你这一票。不要给别人。")
		d.Small("不能扫码的，在手机或电脑上打开 " + address + " ，输入投票码。")
	} else {
		d.Text("名册上没有为这些房屋登记可以用投票码投票的人，请用纸质票。")
	}
	n.onPaper(d)
	n.signature(d)
}

// homesOf names the units of an entry, as far as an address has room for them.
func homesOf(codes []string) string {
	const most = 4
	if len(codes) > most {
		return fmt.Sprintf("%s 等 %d 套", strings.Join(codes[:most], "、"), len(codes))
	}
	return strings.Join(codes, "、")
}

// body is what notice and letter have in common.
func (n Notice) body(d *pdf.Document) {
	m := n.Meeting
	d.Heading("议题")
	for i, motion := range m.Motions {
		d.Item(fmt.Sprintf("%d.", i+1), motion.Title)
		d.Small(fmt.Sprintf("%s；%s；%s。", pages.Matter(zh, motion.Matter), pages.Scope(zh, motion.Scope), pages.Rule(zh, motion.Rule)))
		if motion.Seats > 0 {
			d.Small(fmt.Sprintf("应选 %d 人。候选人（房屋编号，姓名另附）：%s。", motion.Seats, candidates(motion)))
		}
		if motion.Effect != nil {
			d.Small("通过并且终定以后：" + pages.EffectWords(zh, *motion.Effect) + "。")
		}
	}
	d.Text("只有公告上的议题可以表决。参与表决的面积和人数都要达到三分之二以上，决定才有效（民法典第二百七十八条）。")
	d.Heading("时间")
	d.Text("投票开始：" + clock(m.Opens))
	d.Bold("投票截止：" + clock(m.Closes) + "。正好在截止时刻交的票不再计入。")
	d.Heading("规则")
	rules := ""
	if m.RuleSet != "" {
		rules = "（适用规则 " + m.RuleSet + "）"
	}
	d.Text(pages.PolicyWords(zh, m.Policy.Revote) + "。" + pages.PolicyWords(zh, m.Policy.PaperAndElectronic) + "。" + rules)
	d.Bold(Silence(m.Policy.Unreturned))
}

// candidates are those of an election as its ballots name them.
func candidates(m client.Motion) string {
	list := make([]string, len(m.Candidates))
	for i, c := range m.Candidates {
		list[i] = c.ID + " " + c.Unit
	}
	return strings.Join(list, "、")
}

// Silence says what becomes of a ballot that nobody hands in.
func Silence(unreturned string) string {
	switch unreturned {
	case votes.UnreturnedTakesPart:
		return "请注意：按业主大会议事规则，收到本通知而没有交票的，算参与表决，不算赞成也不算反对。"
	case votes.UnreturnedWithMajority:
		return "请注意：按业主大会议事规则，收到本通知而没有交票的，计入已投票中多数的一方。"
	}
	return "没有交回的票不计入任何一方，也不算参与。"
}

func (n Notice) onPaper(d *pdf.Document) {
	text := "不用手机的，可以领取纸质票，填好后在截止以前装进信封当面交回，工作人员会登记。"
	if n.Office != "" {
		text += "地点和电话：" + n.Office + "。"
	}
	d.Text(text)
}

// called says which kind of meeting it is, and who calls it, where that was said.
func (n Notice) called(d *pdf.Document) {
	if called := pages.Called(zh, n.Meeting.Kind, n.Meeting.Convener, n.Meeting.AskedByOwners); called != "" {
		d.Text(called + "。")
	}
}

func (n Notice) signature(d *pdf.Document) {
	d.Space(1)
	at := n.Meeting.Notice
	if at == nil {
		return
	}
	convener := n.Estate + "业主大会召集人"
	if n.Meeting.Convener != "" {
		convener += "：" + n.Meeting.Convener
	}
	d.Signed(convener + " " + at.In(units.Shanghai).Format("2006年1月2日"))
}

func clock(t *time.Time) string {
	if t == nil {
		return "未定"
	}
	return t.In(units.Shanghai).Format("2006年1月2日 15:04") + "（北京时间）"
}
