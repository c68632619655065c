//go:build browser

package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"rsc.io/qr"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/yimu/internal/browser"
)

var (
	pictures = flag.String("pictures", "", "folder for pictures of the pages")
	axe      = flag.String("axe", "../portal/assets/node_modules/axe-core/axe.min.js", "source of axe-core")
)

// TestOwnersHoldAMeetingInABrowser is a meeting from its draft to its final result, and
// what becomes of it in the year after, by people who have nothing but the pages; the
// other owners vote by the API.
func TestOwnersHoldAMeetingInABrowser(t *testing.T) {
	m := assemble(t)
	for _, step := range []struct {
		name string
		do   func(*testing.T, *assembly)
	}{
		{"an owner logs in by a link that works once", logIn},
		{"the committee sets a meeting up", setUp},
		{"an owner asks about the roll, and is answered", askAboutRoll},
		{"the notice is posted and delivered", tell},
		{"an owner votes by keyboard alone on a phone", voteByKeyboard},
		{"an owner votes by the code of a letter, without scripts", voteByCode},
		{"a neighbour votes by proxy as instructed, in large letters", voteByProxy},
		{"two clerks enter a paper and disagree, and a third settles it", enterPaper},
		{"the committee counts and posts the result", postResult},
		{"an owner objects, and is right: a ballot is set aside", object},
		{"a regulator looks back, and follows the trail", lookBack},
		{"who has sold their home is erased, and every proof stays", erase},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.do(t, m) }) {
			t.FailNow() // what follows rests on it
		}
	}
}

// assembly is an estate whose owners meet, and whoever opens its pages.
type assembly struct {
	*site
	demo
	t       *testing.T
	browser *browser.Browser
	axe     string
	ahead   atomic.Int64 // of the machine's clock
	estate  string
	meeting string // its page
	receipt string // page of the ballot that was cast first

	committee *browser.Person // before the notice
	objector  *browser.Person // to the result
}

// voters are the homes of the estate. Those from the fifth to the tenth vote by the
// API, the others by what a test does.
var voters = []struct {
	code string
	area string
}{
	{"1-1-101", "89.50"}, {"1-1-102", "76.20"}, {"1-1-201", "89.50"}, {"1-1-202", "76.20"}, {"1-1-301", "89.50"}, {"1-1-302", "76.20"},
	{"1-2-101", "101.00"}, {"1-2-102", "76.20"}, {"1-2-201", "101.00"}, {"1-2-202", "76.20"}, {"1-2-301", "101.00"}, {"1-2-302", "76.20"},
}

func (m *assembly) now() time.Time { return time.Now().Add(time.Duration(m.ahead.Load())) }

// at sets the clock of the system to a time in Beijing. Tokens have run out by then.
func (m *assembly) at(moment string) {
	m.t.Helper()
	then, err := time.ParseInLocation(time.DateTime, moment, units.Shanghai)
	if err != nil {
		m.t.Fatal(err)
	}
	m.ahead.Store(int64(time.Until(then)))
	if m.site != nil {
		m.token()
	}
}

func assemble(t *testing.T) *assembly {
	m := &assembly{t: t, estate: uuid.NewString()}
	source, err := os.ReadFile(*axe)
	if err != nil {
		t.Fatalf("axe-core is not there (make assets): %v", err)
	}
	m.axe = string(source)
	m.at("2026-03-02 09:30:00")
	m.site, _ = upOn(t, Options{Dir: t.TempDir(), Clock: m.now, Log: quietLog(t), Site: siteFlags{
		Operator: "梅苑社区居民委员会", Contact: "梅苑路 1 号,电话 000-0000", ClientAddressHeader: "X-Real-Ip",
	}})
	m.demo = demo{url: m.site.url}
	m.token()
	var list, titles strings.Builder
	list.WriteString("房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态\n")
	for _, h := range voters {
		part := strings.Split(h.code, "-")
		fmt.Fprintf(&list, "%s,%s,%s,%s,住宅,%s,登记,已交付\n", h.code, part[0], part[1], part[2], h.area)
		titles.WriteString(titleOf(h.code, h.code))
	}
	m.takes(t, fstest.MapFS{
		"房屋清册.csv": {Data: []byte(list.String())},
		"业主名册.csv": {Data: []byte(titleHeadings + titles.String())},
		"预算.csv":   {Data: []byte("年度,期间,方向,科目,预算金额(元)\n2026,2026-01~2026-12,收入,公共收益-停车,12000.00\n2026,2026-01~2026-12,支出,保洁绿化,6000.00\n2026,2026-01~2026-12,支出,设施维修,5000.00\n")},
		"收支凭证.csv": {Data: []byte(voucherHeadings + "2026-01-20,PZ001,收入,公共收益-停车,2400.00,一季度停车费,,\n2026-02-10,PZ002,支出,保洁绿化,900.00,补种冬青,梅园苗圃,\n")},
	})
	m.browser = browser.Start(t)
	return m
}

const voucherHeadings = "日期,凭证号,方向,科目,金额(元),摘要,对方,附件sha256\n"

// titleOf is a row of the title list: the whole of a home is of the person who is
// called by a home's code.
func titleOf(home, who string) string {
	return fmt.Sprintf("%s,业主%s,身份证,X%s,,1/1,是\n", home, who, who)
}

// takes takes papers of the estate in, as its office does.
func (m *assembly) takes(t *testing.T, papers fstest.MapFS) {
	t.Helper()
	office := m.site.imports(papers, m.estate)
	office.Folder = "梅苑小区"
	result, err := office.Run(t.Context())
	if err != nil || !result.OK() {
		t.Fatalf("%v %+v", err, result)
	}
}

// token gives the office that makes people known a token that is good now.
func (m *assembly) token() {
	m.t.Helper()
	var err error
	if m.demo.token, err = m.inside.issueToken(m.t.Context(), tokenCmd{Role: "administrator", Life: time.Hour}); err != nil {
		m.t.Fatal(err)
	}
	m.site.token = m.demo.token
}

// ask is a command of the office.
func (m *assembly) ask(path string, body any) (answer struct{ ID, Code, Token, Words string }) {
	m.t.Helper()
	text := ""
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			m.t.Fatal(err)
		}
		text = string(encoded)
	}
	return m.site.ask(m.t, m.site.token, http.MethodPost, path, text)
}

// owner is the id of the owner of a home.
func (m *assembly) owner(code string) string {
	return m.ask("/people", map[string]string{"name": "业主" + code, "document_kind": "身份证", "document": "X" + code}).ID
}

// sits has someone sit down before a screen, who has a role or owns a home.
func (m *assembly) sits(t *testing.T, who string, role registry.Role, width int) *browser.Person {
	t.Helper()
	p := m.browser.Person(who, width).With(t)
	p.Open(m.site.url + "/login#" + m.code(who, role)).Filled("一次性登录码").Follow("登录").See("退出登录")
	return p
}

// code is a new log-in code of someone.
func (m *assembly) code(who string, role registry.Role) string {
	if role == "" {
		return m.ask("/people/"+m.owner(who)+"/login-codes", nil).Code
	}
	id := m.ask("/people", map[string]string{"name": who, "document_kind": "工号", "document": who}).ID
	m.ask("/people/"+id+"/roles", map[string]string{"role": string(role), "estate": m.estate})
	return m.ask("/people/"+id+"/login-codes", nil).Code
}

// keep judges a page, and keeps its picture where pictures are wanted and it has a
// name.
func (m *assembly) keep(p *browser.Person, name string, high int) {
	p.Judge(m.axe)
	if *pictures != "" && name != "" {
		if err := os.WriteFile(filepath.Join(*pictures, name+".png"), p.Picture(high), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
}

// photograph is a file to attach.
func photograph(t *testing.T) string {
	name := filepath.Join(t.TempDir(), "photo.jpg")
	if err := os.WriteFile(name, []byte("a photograph of a signature"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func wantPDF(t *testing.T, file []byte, what string) {
	t.Helper()
	if !bytes.HasPrefix(file, []byte("%PDF-")) || !bytes.Contains(file, []byte("%%EOF")) {
		t.Errorf("%s is no PDF: %.80q", what, file)
	}
}

const meetingTitle = "梅苑小区 2026 年第一次业主大会"

func logIn(t *testing.T, m *assembly) {
	code := m.code("1-1-202", "")
	owner := m.browser.Person("an owner who is sent a link", 390).With(t)
	owner.Open(m.site.url + "/login#" + code).Filled("一次性登录码")
	if strings.Contains(owner.Where(), code) {
		t.Error("the code stays in the address")
	}
	owner.Open(m.site.url + "/login#" + code).Filled("一次性登录码") // a preview of the link used nothing up
	owner.Follow("登录").See("我的房屋", "1-1-202").Lacks(code)
	m.keep(owner, "", 0)
	owner.Follow("退出登录").Open(m.site.url + "/me").See("这一步需要先登录")

	late := m.browser.Person("somebody who finds the link", 390).NoScripts().With(t)
	late.Open(m.site.url+"/login#"+code).TabTo("一次性登录码").Type(code).Enter().See("这个登录码用不了", "换一个新的").Lacks("我的房屋")
}

func setUp(t *testing.T, m *assembly) {
	m.committee = m.sits(t, "业委会", registry.Committee, 1280)
	committee := m.committee
	committee.Open(m.site.url + "/estates/" + m.estate + "/meetings").Follow("筹备一次业主大会").See("谁召集")
	committee.Fill("会议名称", meetingTitle).Follow("下一步：议题").See("还没有议题")
	for i, motion := range [][2]string{{"选聘物业服务企业", "选聘和解聘物业服务企业"}, {"把架空层改成老年活动室", "改变共有部分的用途"}} {
		committee.Follow("加一个议题").Fill("要业主决定什么", motion[0]).Choose("是哪一类事项", motion[1])
		if i == 0 {
			m.keep(committee, "convene-1280", 1500)
		}
		committee.Follow("记下这个议题").See(motion[0])
	}
	committee.Follow("下一步：时间").Fill("开始投票", "2026-03-10T09:00").Fill("投票截止", "2026-03-25T18:00").Follow("下一步：核对").See("公告以后要满 15 日")
	committee.Follow("改成").See("公告最晚要在").Fill("开始投票", "2026-03-18T09:00").Follow("下一步：核对").See("拟定会议")
	committee.Follow("拟定会议").See("业主名册").Follow("生成并封存名册").See("已经记入账本", "1,028.70")
	committee.Follow("看整本名册").See("1-2-302").Lacks("业主1-2-302")
	m.meeting = strings.TrimSuffix(committee.Where(), "/roll")
}

func askAboutRoll(t *testing.T, m *assembly) {
	owner := m.sits(t, "1-1-101", "", 390)
	owner.See(meetingTitle).Follow("核对业主名册").Fill("房屋编号", "1-1-101").Follow("查").See("89.50").Lacks("76.20")
	owner.Follow("我要提出异议").Fill("房屋编号", "1-1-101").Fill("哪里不对", "产权证上写的是 90.10 平方米").Follow("提交异议").See("已经记入账本", "等待答复").Lacks("90.10")

	committee := m.committee.With(t)
	committee.Open(m.meeting + "/convene/notice").Reload("名册有 1 条异议没有答复")
	committee.Open(m.meeting).Follow("会议工作台").Follow("业主名册和异议").See("等待答复").Follow("查看原话").See("90.10")
	committee.Fill("答复", "以不动产登记为准,登记面积是 89.50 平方米。").Follow("答复：异议不成立").See("已经记入账本", "不成立")
	m.keep(committee, "roll-1280", 1500)
	owner.Reload("登记面积是 89.50 平方米")
}

func tell(t *testing.T, m *assembly) {
	committee := m.committee.With(t)
	committee.Open(m.meeting).Follow("会议工作台").Follow("继续筹备").Follow("下一步：通读和公告").See("下面就是业主会看到的")
	committee.Follow("现在公告").See("公告已经张贴", "2026-03-18 09:00")
	m.keep(committee, "desk-1280", 1500)
	committee.Follow("公告送达：印信").See("还没有送到", "12")
	wantPDF(t, committee.Download(func() { committee.Click("公告 PDF") }), "notice")
	wantPDF(t, committee.Download(func() { committee.Click("生成信件 PDF") }), "letters")
	for _, entry := range []string{"1", "2"} {
		committee.Fill("名册号", entry)
		committee.Attach("签名或回执的照片", photograph(t)).Follow("已经送到，登记").See("已经记入账本")
	}
	committee.See("10户")
	m.keep(committee, "delivery-1280", 1500)
}

func voteByKeyboard(t *testing.T, m *assembly) {
	m.at("2026-03-18 10:00:00")
	owner := m.browser.Person("an owner at a keyboard", 390).With(t)
	owner.Open(m.site.url + "/login#" + m.code("1-1-101", "")).Filled("一次性登录码")
	owner.TabTo("一次性登录码").Enter().See("我的房屋", "正在投票")
	owner.TabTo("我要投票").Enter().See("不着急")
	owner.TabTo("选聘物业服务企业").Press(browser.Space).TabTo("架空层").Press(browser.Space + browser.Right)
	m.keep(owner, "ballot-390", 1300)
	owner.TabTo("下一步：核对").Enter().See("请核对你的选择", "赞成", "反对")
	m.keep(owner, "review-390", 1300)
	owner.TabTo("确认提交").Enter().See("你的票已经记入账本", "✓ 已收下")
	m.keep(owner, "receipt-390", 1700)
	file := owner.Download(func() { owner.TabTo("下载回执").Press(browser.Enter) })
	checkReceipt(t, file)
	m.receipt = owner.Where()
	owner.Click("二维码里的文字").See("yimu1.")
	onPaper := owner.Read("#paper")
	wantCode(t, owner.Shot(".keep svg"), onPaper)
	owner.TabTo("我的全部回执").Enter().See("选择已封存").Lacks("赞成")

	// Whoever scans the code is led to the same receipt, and learns no choice.
	reader := m.browser.Person("who scans a receipt", 390).With(t)
	reader.Open(onPaper).See("你的票已经记入账本", "它不说明你投了什么").Lacks("赞成", "反对")
	if again := reader.Download(func() { reader.Click("下载回执") }); !sameEvent(t, file, again) {
		t.Errorf("the code leads to another receipt: %.200q", again)
	}
}

// wantCode wants a picture of the QR code of a text, every module of it where a
// camera looks for it.
func wantCode(t *testing.T, picture image.Image, text string) {
	t.Helper()
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	const quiet = 4
	side, box := code.Size+2*quiet, picture.Bounds()
	if box.Dx() < 3*side {
		t.Errorf("a code of %d modules is only %d px wide", side, box.Dx())
	}
	for y := range side {
		for x := range side {
			light, _, _, _ := picture.At(box.Min.X+(2*x+1)*box.Dx()/(2*side), box.Min.Y+(2*y+1)*box.Dy()/(2*side)).RGBA()
			if black := light < 0x8000; black != code.Black(x-quiet, y-quiet) {
				t.Fatalf("module %d, %d of the code is wrong", x, y)
			}
		}
	}
}

// sameEvent says whether two receipts are of one event.
func sameEvent(t *testing.T, one, other []byte) bool {
	t.Helper()
	a, err := proof.ParseReceipt(one)
	if err != nil {
		t.Fatal(err)
	}
	b, err := proof.ParseReceipt(other)
	return err == nil && a.Event.ID == b.Event.ID && a.Leaf == b.Leaf
}

// checkReceipt wants a receipt that says nothing of the choices.
func checkReceipt(t *testing.T, file []byte) {
	t.Helper()
	receipt, err := proof.ParseReceipt(file)
	if err != nil {
		t.Fatalf("%v: %.200q", err, file)
	}
	if receipt.Event.Type != "ballot-cast.v1" || strings.Contains(string(receipt.Data), "赞成") {
		t.Errorf("a receipt of %s with %q", receipt.Event.Type, receipt.Data)
	}
}

func voteByCode(t *testing.T, m *assembly) {
	id := strings.TrimPrefix(m.meeting, m.site.url+"/meetings/")
	scanner := m.browser.Person("an owner who scans", 390).With(t)
	scanner.Open(m.meeting + "/code#" + m.letter(t, id, "1-1-102"))
	if scanner.Filled("一次性投票码"); strings.Contains(scanner.Where(), "#") {
		t.Error("the code stays in the address")
	}
	m.keep(scanner, "code-390", 900)

	owner := m.browser.Person("an owner without scripts", 390).NoScripts().With(t)
	owner.Open(m.meeting + "/code").TabTo("一次性投票码").Type("AAAA-BBBB-CCCC-DDDD").Enter().See("这个投票码用不了")
	owner.TabTo("一次性投票码").Type(m.letter(t, id, "1-1-102")).Enter().See("不着急").Lacks("我的账单")
	owner.TabTo("选聘物业服务企业").Press(browser.Space).TabTo("架空层").Press(browser.Space).TabTo("下一步：核对").Enter().See("请核对你的选择")
	owner.TabTo("返回修改").Enter().See("不着急").TabTo("下一步：核对").Enter().See("请核对你的选择")
	owner.TabTo("确认提交").Enter().See("你的票已经记入账本", "✓ 已收下")
	checkReceipt(t, owner.Download(func() { owner.TabTo("下载回执").Press(browser.Enter) }))

	// The letter that was printed first is void, and the one that was used is used up.
	scanner.Follow("进入投票").See("这个投票码用不了")
	m.others(t, id)
	scanner.Open(m.meeting).Reload("8人").See("正在投票").Lacks("赞成")
}

// letter prints one letter, and returns the code in it.
func (m *assembly) letter(t *testing.T, meeting, home string) string {
	t.Helper()
	resp, err := m.send(t.Context(), http.MethodGet, "/meetings/"+meeting+"/roll?unit="+home, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var roll struct{ Items []struct{ Entry string } }
	if err := json.NewDecoder(resp.Body).Decode(&roll); err != nil || len(roll.Items) != 1 {
		t.Fatalf("%v %+v", err, roll)
	}
	letters, err := m.send(t.Context(), http.MethodPost, "/meetings/"+meeting+"/letters", map[string]any{"entry": roll.Items[0].Entry})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = letters.Body.Close() }()
	var letter struct{ Code string }
	for lines := json.NewDecoder(letters.Body); err == nil && letter.Code == ""; {
		err = lines.Decode(&letter)
	}
	if letter.Code == "" {
		t.Fatalf("no letter: %v", err)
	}
	return letter.Code
}

// others are six owners who vote by the API: all for M1, all but one for M2.
func (m *assembly) others(t *testing.T, meeting string) {
	t.Helper()
	for i, h := range voters[4:10] {
		second := "赞成"
		if i == 0 {
			second = "反对"
		}
		m.vote(t, meeting, h.code, "赞成", second)
	}
}

// vote has the owner of a home vote by the API, in the order of the motions.
func (m *assembly) vote(t *testing.T, meeting, home string, choices ...string) {
	t.Helper()
	token, _, err := m.inside.sessions().Start(t.Context(), m.owner(home))
	if err != nil {
		t.Fatal(err)
	}
	list := make([]map[string]string, len(choices))
	for i, choice := range choices {
		list[i] = map[string]string{"motion": fmt.Sprintf("M%d", i+1), "choice": choice}
	}
	voter := demo{url: m.site.url, token: token}
	if err := voter.post(t.Context(), "/meetings/"+meeting+"/ballots", map[string]any{"choices": list}, nil); err != nil {
		t.Fatal(err)
	}
}

func voteByProxy(t *testing.T, m *assembly) {
	away, wavers := m.sits(t, "1-2-301", "", 390), m.sits(t, "1-2-302", "", 390)
	for _, owner := range []*browser.Person{away, wavers} {
		owner.Open(m.meeting).Follow("委托他人投票").Fill("受托人的房屋编号", "1-1-202").Choose("选聘物业服务企业", "赞成").Choose("架空层", "赞成")
		if owner == away {
			m.keep(owner, "proxy-390", 1300)
		}
		owner.Follow("委托").See("委托已登记")
	}
	wavers.Open(m.site.url + "/me").Reload("别人代你投票：有效").Follow("撤回").Follow("撤回").See("委托已撤回")

	holder := m.sits(t, "1-1-202", "", 390)
	holder.Follow("长辈模式").Reload("你代他投票：已撤回").See("你代他投票：有效").Follow("代投").See("代 1-2-301 投票").Lacks("1-2-302")
	holder.Choose("选聘物业服务企业", "赞成").Choose("架空层", "反对").Follow("提交").See("和委托书上写的不一样")
	m.keep(holder, "", 0)
	holder.Choose("架空层", "赞成").Follow("提交").See("你的票已经记入账本", "✓ 已收下")
	m.keep(holder, "", 0)
	away.Open(m.meeting).Reload("9人").Lacks("赞成")
}

func enterPaper(t *testing.T, m *assembly) {
	first, second, third := m.sits(t, "录入员甲", registry.Clerk, 1280), m.sits(t, "录入员乙", registry.Clerk, 1280), m.sits(t, "录入员丙", registry.Clerk, 390)
	first.Open(m.meeting).Follow("纸质票录入台").Fill("房屋编号", "1-1-201").Follow("登记").See("已登记，可以登记下一份", "还没有人录")
	first.Follow("录入下一份").See("你是第一个录这张票的人").Attach("选票的扫描件", photograph(t)).Filled("扫描件指纹")
	first.Choose("选聘物业服务企业", "赞成").Choose("架空层", "赞成").Follow("提交").See("还要另一个人再录一次", "你录过了").Lacks("录入下一份")

	second.Open(m.meeting).Follow("纸质票录入台").Reload("等第二个人录").Follow("录入下一份").See("你看不到他录了什么").Lacks("扫描件")
	if chosen := second.Chosen(); len(chosen) > 0 {
		t.Errorf("the second clerk is shown %q", chosen)
	}
	m.keep(second, "paper-second-1280", 1300)
	second.Choose("选聘物业服务企业", "赞成").Choose("架空层", "反对").Follow("提交").See("和前面录的不一样（M2）", "录入不一致：M2").Lacks("赞成", "反对")
	m.keep(second, "paper-differ-1280", 1300)

	third.Open(m.meeting).Follow("纸质票录入台").Reload("录入不一致：M2").Lacks("赞成", "反对").Follow("录入下一份").See("你看不到他录了什么")
	if chosen := third.Chosen(); len(chosen) > 0 {
		t.Errorf("the third clerk is shown %q", chosen)
	}
	third.Choose("选聘物业服务企业", "赞成").Choose("架空层", "反对").Follow("提交").See("这张票已经收下", "没有等待录入的票")
}

func postResult(t *testing.T, m *assembly) {
	m.at("2026-03-25 18:00:01")
	clerk := m.sits(t, "录入员甲", registry.Clerk, 1280)
	clerk.Open(m.meeting).Follow("纸质票录入台").Reload("确认录入完毕").Follow("确认录入完毕").See("已确认录入完毕")
	m.at("2026-03-25 18:02:00")
	committee := m.sits(t, "业委会", registry.Committee, 1280)
	committee.Open(m.meeting + "/desk").Reload("计票已经完成")
	wantPDF(t, committee.Download(func() { committee.Click("结果公示（PDF") }), "result")
	committee.Follow("已经张贴，登记").See("结果正在公示")
	committee.Judge(m.axe)
	committee.Open(m.meeting).See("通过", "未通过", "7 / 10 人 · 70.00%")
	m.keep(committee, "result-1280", 2400)
	elder := m.browser.Person("an elder", 390).With(t)
	elder.Open(m.meeting).Follow("长辈模式").See("通过", "未通过")
	m.keep(elder, "result-elder", 2400)
	wantPDF(t, elder.Download(func() { elder.Click("结果公示（PDF") }), "result-public")
}
