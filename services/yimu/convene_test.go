package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
)

// surfer is somebody with a browser that runs no scripts.
type surfer struct {
	*testing.T
	client http.Client
	base   string
}

// surf logs somebody in who has a role in an estate.
func surf(t *testing.T, s *site, estate, role string) *surfer {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &surfer{T: t, client: http.Client{Jar: jar}, base: s.url}
	id := s.ask(t, s.token, http.MethodPost, "/people", someone{"某某" + role, "ZZ" + uuid.NewString()[:8], ""}.json()).ID
	s.ask(t, s.token, http.MethodPost, "/people/"+id+"/roles", `{"role":"`+role+`","estate":"`+estate+`"}`)
	code := s.ask(t, s.token, http.MethodPost, "/people/"+id+"/login-codes", "").Code
	b.post("/login", "code", code)
	return b
}

// sheet is a page as it came: where it is, how it was answered, and its text.
type sheet struct {
	path   string
	status int
	text   string
}

func (b *surfer) do(method, path string, body io.Reader) sheet {
	b.Helper()
	return b.send(method, path, "application/x-www-form-urlencoded", body)
}

func (b *surfer) send(method, path, kind string, body io.Reader) sheet {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.base+path, body)
	if err != nil {
		b.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return sheet{resp.Request.URL.Path, resp.StatusCode, html.UnescapeString(string(text))}
}

func (b *surfer) get(path string) sheet { b.Helper(); return b.do(http.MethodGet, path, nil) }

func (b *surfer) post(path string, fields ...string) sheet {
	b.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, strings.NewReader(form.Encode()))
}

// upload posts a form with a file.
func (b *surfer) upload(path, field, name string, file []byte, fields ...string) sheet {
	b.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		if err := w.WriteField(fields[i], fields[i+1]); err != nil {
			b.Fatal(err)
		}
	}
	part, err := w.CreateFormFile(field, name)
	if err == nil {
		_, err = part.Write(file)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		b.Fatal(err)
	}
	return b.send(http.MethodPost, path, w.FormDataContentType(), &body)
}

// at fails where a page is elsewhere, answered otherwise or does not say something.
func (b *surfer) at(p sheet, path string, status int, says ...string) {
	b.Helper()
	if p.path != path || p.status != status {
		b.Errorf("at %s with %d, want %s with %d", p.path, p.status, path, status)
	}
	for _, s := range says {
		if !strings.Contains(p.text, s) {
			b.Errorf("%s does not say %q", p.path, s)
		}
	}
}

// field is what stands in a field of a page.
func (p sheet) field(name string) string {
	found := regexp.MustCompile(`name="` + name + `"[^>]*value="([^"]*)"`).FindStringSubmatch(p.text)
	if found == nil {
		return ""
	}
	return found[1]
}

func threeHomes(t *testing.T, s *site) (estate string) {
	t.Helper()
	estate = uuid.NewString()
	s.take(t, fstest.MapFS{
		"房屋清册.csv": {Data: []byte("房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态\n" +
			"1-101,1,1,101,住宅,100.00,登记,已交付\n1-102,1,1,102,住宅,80.00,登记,已交付\n2-101,2,,101,住宅,90.00,登记,已交付\n")},
		"业主名册.csv": {Data: []byte(titleHeadings + "1-101,赵一,身份证,AA1,,1/1,是\n1-102,钱二,身份证,BB2,,1/1,是\n2-101,孙三,身份证,CC3,,1/1,是\n")},
	}, estate)
	return estate
}

func TestACommitteeProposesTheContractThatItsMeetingDecidesOn(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate := threeHomes(t, s)
	b := surf(t, s, estate, "committee")
	form := "/estates/" + estate + "/agreements/new"
	b.at(b.get(form), form, 200, "拟一份物业合同")
	typed := []string{"kind", "正式合同", "principals", "业主大会", "provider", "安居物业公司", "starts", "2027-01-01", "ends", "2026-01-01", "rate-住宅", "0.95", "per-住宅", "㎡·月", "services", "保洁"}
	b.at(b.post(form, typed...), form, 422, "合同要在开始当天或者以后结束", `value="安居物业公司"`)
	typed[9] = "2029-12-31"
	deal := b.post(form, typed...)
	if !strings.HasPrefix(deal.path, "/agreements/") {
		b.Fatalf("the proposal leads to %s with %d", deal.path, deal.status)
	}
	b.at(deal, deal.path, 200, "已经记入账本", "公示全部条款", "0.95 元/㎡·月", "拟订")
	choice := `value="` + strings.TrimPrefix(deal.path, "/agreements/") + `"`
	motion := "/estates/" + estate + "/convene/motions/1"
	b.at(b.get(motion), motion, 200, choice)
	appoint := []string{"title", "选聘安居物业公司", "matter", "民法典278-1-4", "scope", "estate", "effect", "appoint-provider", "agreement", strings.TrimPrefix(deal.path, "/agreements/"), "do", "save"}
	b.at(b.post(motion, appoint...), motion, 422, "这份合同还没有公示")
	b.at(b.post(deal.path, "key", deal.field("key"), "do", "post"), deal.path, 200, "已经记入账本", "公示中", "请在业主大会里提出")
	b.at(b.post(motion, appoint...), strings.TrimSuffix(motion, "/1"), 200, "选聘物业：公示的合同可以正式生效")
	for _, party := range []string{"业主大会", "安居物业公司"} {
		b.at(b.post(deal.path, "key", uuid.NewString(), "do", "sign", "party", party), deal.path, 200, "已经记入账本")
	}
	b.at(b.get(deal.path), deal.path, 200, "已签署", "还要业主大会通过")
	clerk := surf(t, s, estate, "clerk")
	clerk.at(clerk.post(deal.path, "key", uuid.NewString(), "do", "activate"), deal.path, 409, "要业主大会通过选聘")
}

func TestACommitteeSetsAMeetingUpInOneSitting(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate := threeHomes(t, s)
	at := "/estates/" + estate + "/convene"
	b := surf(t, s, estate, "committee")

	b.at(b.get("/estates/"+estate+"/meetings"), "/estates/"+estate+"/meetings", 200, "筹备一次业主大会")
	b.at(b.get(at), at, 200, "公告至少提前 15日", "物业管理条例 第十四条", "年业主大会定期会议（业主委员会召集）")
	b.at(b.get(at+"/days"), at, 200, "下一步：议题")
	b.at(b.post(at, "kind", "首次", "convener", "业主委员会", "title", "", "asked_by_owners", "yes"), at+"/motions", 200)

	// Rubbish in every field: each is said beside it, and stays.
	p := b.post(at+"/motions/1", "title", "", "matter", "nothing", "scope", "units", "units", "1-101, 9-9 1-101", "seats", "zwei", "committee", "-1", "approvals", "x", "candidates", "7-7", "do", "save")
	b.at(p, at+"/motions/1", 422, "这一项不能为空", "请选这是哪一类事项", `“9-9”不是本小区登记的房屋编号`, "请写这次要选几个人", `value="zwei"`, "1-101, 9-9 1-101", ">7-7</textarea>")
	b.at(b.get(at+"/motions/1"), at+"/motions/1", 200, `value="zwei"`)
	b.at(b.get(at+"/motions/3"), at+"/motions/3", 404)
	b.at(b.post(at+"/motions/1", "title", "续聘物业公司三年", "matter", "民法典278-1-4", "scope", "estate", "do", "save"), at+"/motions", 200,
		"M1　续聘物业公司三年", "参与的人里，同意的人数过半，面积也过半")
	b.at(b.post(at+"/motions/2", "title", "选举", "matter", "民法典278-1-3", "scope", "estate", "seats", "4", "candidates", "1-101\n1-102", "do", "save"), at+"/motions/2", 422, "业主委员会至少 5 人")
	b.at(b.post(at+"/motions/2", "title", "选举业主委员会", "matter", "民法典278-1-3", "scope", "estate", "seats", "5", "candidates", "1-101、1-102;2-101", "do", "save"), at+"/motions", 200, "C3　2-101", "应选 5 人")
	door := []string{"title", "一号楼换门禁", "matter", "民法典278-1-5", "scope", "place", "place", "building:1", "do", "save"}
	for _, wrong := range [][]string{
		{"effect", "appoint-provider", "agreement", "", "上面选的那一类事项，不会有这个效果", "请选一份合同"},
		{"effect", "budget-common-income", "amount", "many", "请写大于零的金额", "请选收入还是支出", "请写预算科目", "请写年度"},
		{"effect", "draw-maintenance-fund", "amount", "1.234", "请写大于零的金额"},
	} {
		b.at(b.post(at+"/motions/3", append(wrong[:4:4], door...)...), at+"/motions/3", 422, wrong[4:]...)
	}
	b.at(b.post(at+"/motions/3", append(door, "effect", "draw-maintenance-fund", "amount", "80,000.50")...), at+"/motions", 200, "只涉及 1 栋的业主", "80,000.50 元")
	b.at(b.post(at+"/motions", "at", "2", "do", "up"), at+"/motions", 200, "M2　一号楼换门禁")

	days := b.post(at+"/motions", "do", "next")
	b.at(days, at+"/days", 200, "公告最晚要在", "按这些日子")
	opens, closes, notice := days.field("opens"), days.field("closes"), days.field("notice")
	if t, err := time.ParseInLocation("2006-01-02T15:04", opens, units.Shanghai); err != nil || t.Before(time.Now().AddDate(0, 0, 15)) {
		b.Errorf("voting is proposed to open at %q", opens)
	}
	soon := time.Now().In(units.Shanghai).AddDate(0, 0, 3).Format("2006-01-02T15:04")
	b.at(b.post(at+"/days", "notice", notice, "opens", soon, "closes", soon, "secret", "yes", "do", "next"), at+"/days", 422, "公告以后要满 15 日", "改成 "+strings.Replace(opens, "T", " ", 1), "暂时不能无记名投票")
	b.at(b.post(at+"/days", "notice", notice, "opens", soon, "closes", "never", "do", "next"), at+"/days", 422, "这不是一个日期")
	b.at(b.post(at+"/days", "notice", notice, "opens", soon, "closes", closes, "offer", "opens "+opens), at+"/days", 200, "公告最晚要在", `value="`+opens+`"`)
	b.at(b.post(at+"/days", "notice", notice, "opens", opens, "closes", closes, "revote", "first-ballot-stands", "paper_and_electronic", "paper-stands", "trustees", "yes", "do", "next"), at+"/review", 200, "首次会议才选出业主委员会", "先投的算数", "首次会议，业主委员会召集")
	b.at(b.post(at, "kind", "临时", "convener", "居民委员会", "title", "", "asked_by_owners", "yes"), at+"/motions", 200)
	b.at(b.get(at+"/review"), at+"/review", 200, "拟定会议", "临时会议，居民委员会召集，百分之二十以上的业主提议召开")

	roll := b.post(at+"/review", "do", "draft")
	if !strings.HasPrefix(roll.path, "/meetings/") || !strings.HasSuffix(roll.path, "/convene") {
		b.Fatalf("the draft leads to %s with %d", roll.path, roll.status)
	}
	again := b.post(at+"/review", "do", "draft") // the draft is in the ledger: sent twice, or going back, it is found there
	b.at(again, at, 200, `href="`+roll.path+`"`)
	if n := strings.Count(again.text, "· 继续"); n != 1 {
		b.Errorf("sent twice it is %d meetings", n)
	}
	b.at(b.get(at+"/review"), at, 200, `href="`+roll.path+`"`)

	// What was thought of is the committee's, not one browser's.
	other := surf(t, s, estate, "committee")
	other.at(other.get(at), at, 200, `href="`+roll.path+`"`)
	other.at(other.get(roll.path), roll.path, 200, "你们选了由几方分别保管")
	other.at(other.get(roll.path+"/notice"), roll.path+"/notice", 200, `value="`+opens+`"`, `value="`+closes+`"`)

	// Something was wrong: it is withdrawn, and all that was typed is there to mend.
	b.at(b.post(roll.path, "key", roll.field("key"), "do", "redo"), at+"/motions", 200, "M1　续聘物业公司三年", "M3　选举业主委员会")
	b.at(b.post(at+"/motions", "at", "1", "do", "remove"), at+"/motions", 200, "M2　选举业主委员会")
	b.at(b.post(at+"/motions/3", append(door, "effect", "draw-maintenance-fund", "amount", "80,000.50")...), at+"/motions", 200)
	first := roll.path
	roll = b.post(at+"/review", "do", "draft")
	if roll.path == first {
		b.Fatal("the withdrawn meeting is the new one")
	}

	frozen := b.post(roll.path, "key", roll.field("key"), "do", "freeze")
	b.at(frozen, roll.path, 200, "已经记入账本", "270.00", "通读和公告")
	last := b.get(roll.path + "/notice")
	b.at(last, roll.path+"/notice", 200, "续聘物业公司三年", "现在公告", "80,000.50 元", "年业主大会临时会议（居民委员会召集）", "C1　1-101")
	page := strings.TrimSuffix(roll.path, "/convene")
	b.at(b.get(page), page, 200, "临时会议，居民委员会召集，百分之二十以上的业主提议召开")
	var drafted votes.Convened
	if err := json.Unmarshal([]byte(b.get("/api/v1"+page).text), &drafted); err != nil || drafted != (votes.Convened{Kind: votes.Special, Convener: votes.OfResidents, AskedByOwners: true}) {
		b.Errorf("the meeting is %+v, %v", drafted, err)
	}
	b.at(b.post(roll.path+"/notice", "key", last.field("key"), "opens", soon, "closes", closes, "do", "post"), roll.path+"/notice", 422, "公告以后要满 15 日", "改成 ")
	posted := b.post(roll.path+"/notice", "key", last.field("key"), "opens", last.field("opens"), "closes", last.field("closes"), "do", "post")
	b.at(posted, strings.TrimSuffix(roll.path, "convene")+"desk", 200, "公告已经张贴", "已经记入账本")
	b.at(b.get(roll.path), strings.TrimSuffix(roll.path, "convene")+"desk", 200)
	b.at(b.get(at), at, 200, "下一步：议题")

	// A round of deliveries, as a list.
	delivery := strings.TrimSuffix(roll.path, "convene") + "delivery"
	b.at(b.get(delivery), delivery, 200, "整批登记")
	second := time.Now().Truncate(time.Second).Add(time.Second) // the first that a list can name after the notice
	time.Sleep(time.Until(second))
	when := second.In(units.Shanghai).Format("2006-01-02 15:04:05")
	round := "房号,方式,时间,凭证哈希,未送达原因,下一步,备注\n" +
		"1-101,当面签收," + when + "," + strings.Repeat("ab", 32) + ",,,\n1-102,当面签收," + when + ",,无人在家,再次上门,\n" +
		"9-9,当面签收," + when + ",,无人在家,再次上门,\n2-101,飞鸽传书," + when + ",,,,\n2-101,邮寄,2020-01-01 10:00:00," + strings.Repeat("cd", 32) + ",,,\n"
	p = b.upload(delivery+"/list", "list", "送达.csv", []byte(round))
	b.at(p, delivery+"/list", 200, "送达.csv", "<b>2<u>行", "<b>3<u>行", "这次会议的名册上没有这套房", "只能写规定的几个词", "时间要在公告以后", "<code>备注</code>")
	p = b.upload(delivery+"/list", "list", "送达.csv", []byte(round))
	b.at(p, delivery+"/list", 200, "早已登记过", "<b>0<u>行")
	b.at(b.upload(delivery+"/list", "list", "空.csv", []byte("房号\n1-101\n")), delivery+"/list", 422, "整张表都没有登记", "少了这一列")
	b.at(b.get(delivery), delivery, 200, "无人在家,再次上门")

	var list struct {
		Items []struct {
			State, Title string
			Opens        time.Time
		}
	}
	s.get(t, "/estates/"+estate+"/meetings", &list)
	if len(list.Items) != 2 || list.Items[0].State != "noticed" || list.Items[1].State != "withdrawn" || list.Items[0].Opens.In(units.Shanghai).Format("2006-01-02T15:04") != opens {
		t.Errorf("%+v", list.Items)
	}
}

func TestOnlyWhoHoldsMeetingsSetsOneUp(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate := threeHomes(t, s)
	at := "/estates/" + estate + "/convene"
	for _, b := range []*surfer{surf(t, s, estate, "resident"), surf(t, s, threeHomes(t, s), "committee")} {
		for _, step := range []string{"", "/motions", "/motions/1", "/days", "/review"} {
			b.at(b.get(at+step), at+step, 403)
			b.at(b.post(at+step, "do", "draft"), at+step, 403)
		}
	}
}

func TestACommitteeAdoptsItsRulesOfProcedure(t *testing.T) {
	s, _ := up(t, t.TempDir())
	estate := threeHomes(t, s)
	at := "/estates/" + estate + "/rules"
	b := surf(t, s, estate, "committee")
	form := b.get(at + "/adopt")
	b.at(form, at+"/adopt", 200, "登记议事规则", "杭州市物业管理条例", "现在：15日（全国 · 物业管理条例 第十四条")
	b.at(b.get(at), at, 200, "登记议事规则，或者选定本地规定")
	key, today := form.field("key"), form.field("from")
	text := "第一条 公告期二十日。"

	// Nothing may be loosened, and all that was typed stays.
	p := b.upload(at+"/adopt", "file", "", nil, "key", key, "from", today, "base", "hangzhou.2", "document", text,
		"line-notice_days", "10", "article-notice_days", "第一条", "line-window.max_days", "90", "article-window.max_days", "第二条",
		"line-extension.times", "2", "article-extension.times", "第三条", "line-thresholds.ordinary", ">= 2/3", "article-thresholds.ordinary", "第五条")
	b.at(p, at+"/adopt", 422, "不能放宽：比 物业管理条例 第十四条 的 15 还少", "的 60 还多", "小区不能自己增加", `value="第一条"`, text, `value="90"`)
	b.at(b.upload(at+"/adopt", "file", "", nil, "key", key, "from", today, "line-objection_days", "many", "article-objection_days", "第四条"), at+"/adopt", 422, "请写大于零的整数", `value="many"`)
	b.at(b.upload(at+"/adopt", "file", "", nil, "key", key, "from", "2020-01-01", "line-notice_days", "20"), at+"/adopt", 422, "请写明在议事规则第几条")
	b.at(b.upload(at+"/adopt", "file", "", nil, "key", key, "from", "2020-01-01", "line-notice_days", "20", "article-notice_days", "第一条"), at+"/adopt", 422, "请选今天或者以后的日子", "就要把议事规则全文放上来")

	old, err := simplifiedchinese.GB18030.NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	done := b.upload(at+"/adopt", "file", "议事规则.txt", []byte(old), "key", key, "from", today, "base", "hangzhou.2", "document", "",
		"line-notice_days", "20", "article-notice_days", "第一条", "line-thresholds.ordinary", ">= 2/3", "article-thresholds.ordinary", "第五条", "line-proxies.barred", "provider", "article-proxies.barred", "第六条", "line-paper_on_request", "true", "article-paper_on_request", "第七条")
	b.at(done, at, 200, "已经记入账本", "20日", "本小区议事规则 · 第一条", "同意的人数达到三分之二")
	var rules struct {
		Adopted struct{ Base, Document string }
	}
	s.get(t, "/estates/"+estate+"/rules", &rules)
	if kept := b.get("/api/v1/blobs/" + rules.Adopted.Document); rules.Adopted.Base != "hangzhou.2" || kept.text != text {
		t.Errorf("%+v, of which everyone reads %q", rules, kept.text)
	}
	again := b.upload(at+"/adopt", "file", "", nil, "key", key, "from", today, "base", "hangzhou.2", "document", "Sonst etwas")
	b.at(again, at+"/adopt", 422, "这张表格已经提交过一次")

	resident := surf(t, s, estate, "resident")
	resident.at(resident.get(at+"/adopt"), at+"/adopt", 403)
	resident.at(resident.upload(at+"/adopt", "file", "", nil, "from", today), at+"/adopt", 403)

	// What the estate asks for is what the days of its next meeting go by.
	b.at(b.get("/estates/"+estate+"/convene"), "/estates/"+estate+"/convene", 200, "公告至少提前 20日")
}
