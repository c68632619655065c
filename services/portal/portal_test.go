package portal_test

import (
	"encoding/base64"
	"encoding/csv"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rsc.io/qr"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/portal"
	"github.com/yimu-ledger/yimu/services/portal/internal/apitest"
)

// browser is someone who opens pages: cookies are kept, redirects followed.
type browser struct {
	*testing.T
	client *http.Client
	base   string
}

// shelf keeps sessions until the clock of the site says that they ended.
type shelf struct {
	clock func() time.Time

	mu   sync.Mutex
	kept map[string]kept
}

type kept struct {
	data   []byte
	expiry time.Time
}

func sessions(clock func() time.Time) *shelf { return &shelf{clock: clock, kept: map[string]kept{}} }

func (s *shelf) Find(token string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, found := s.kept[token]
	return k.data, found && s.clock().Before(k.expiry), nil
}

func (s *shelf) Commit(token string, data []byte, expiry time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[token] = kept{data, expiry}
	return nil
}

func (s *shelf) Delete(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, token)
	return nil
}

func night() time.Time { return time.Date(2022, 12, 31, 23, 0, 0, 0, time.UTC) }

func open(t *testing.T, change ...func(*portal.Config)) (*apitest.API, browser) {
	t.Helper()
	api := apitest.New()
	config := portal.Config{Services: api.Services(), Sessions: sessions(night), LoginsPerMinute: 1000, ReadsPerMinute: 100000,
		Clock:    night,
		Operator: portal.Operator{Name: "秀山社区居民委员会"}}
	for _, c := range change {
		c(&config)
	}
	site, err := portal.New(config)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return api, browser{t, &http.Client{Jar: jar}, server.URL}
}

type page struct {
	*http.Response
	text string
}

func (b browser) do(method, path string, body io.Reader, header ...string) page {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.base+path, body)
	if err != nil {
		b.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return page{resp, string(text)}
}

func (b browser) get(path string) page { b.Helper(); return b.do(http.MethodGet, path, nil) }

func (b browser) post(path string, fields ...string) page {
	b.Helper()
	form := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, strings.NewReader(form.Encode()))
}

func (b browser) login(code string) {
	b.Helper()
	if p := b.post("/login", "code", code); p.StatusCode != http.StatusOK || p.Request.URL.Path != "/me" {
		b.Fatalf("login ends at %s with %d", p.Request.URL, p.StatusCode)
	}
}

func (b browser) shows(p page, status int, words ...string) {
	b.Helper()
	if p.StatusCode != status {
		b.Errorf("%s %s is %d, want %d", p.Request.Method, p.Request.URL, p.StatusCode, status)
	}
	for _, w := range words {
		if !strings.Contains(p.text, w) {
			b.Errorf("%s %s does not say %q", p.Request.Method, p.Request.URL, w)
		}
	}
}

const (
	estate = "/estates/" + apitest.Estate
	closed = "/meetings/" + apitest.Closed
	voting = "/meetings/" + apitest.Open
)

func TestPagesShowTheFiguresOfThePapers(t *testing.T) {
	_, b := open(t)
	for path, words := range map[string][]string{
		"/":                         {"秀山花园", "新苑小区"},
		estate:                      {"−11.2", "万元", "89.4", "83.3", "支出比收入多", "超出预算", "186,041.00", "预算 210,000.00 · 88.6%", "7月 7.4% → 12月 83.3%", "暂收待查", "位置 ", "18,204", "津头街道办事处、秀山社区居民委员会委托阳光居乐物业公司，2022-07-21 至 2023-07-20"},
		"/estates/" + apitest.Empty: {"还没有公开预算", "还没有工单", "还没有开过业主大会", "还没有导入房屋清册"},
		estate + "/entries?category=人员工资":  {"合计 9 笔", "186,041.00"},
		estate + "/workorders":             {"215", "66.0", "142 / 215", "87.3", "登录后报修"},
		estate + "/meetings":               {"秀山花园业主大会第一次会议", "正在投票"},
		estate + "/explore":                {"2022-12-28", "data-fen="},
		"/vouchers/" + "voucher-of-PZ0068": {"1,570.00", "已被 PZ0068-冲 冲销"},
		closed: {"760 / 976 人 · 77.86%", "68,432.00 ㎡ · 77.75%", "通过", "未通过", "未形成有效决定",
			"3 × 760 = 2,280", "2 × 976 = 1,952", "4 × 4,957,966 = 19,831,864", "3 × 6,843,200 = 20,529,600", "已有电子票，电子票算数", "民法典第二百七十八条第一款第（八）项", "只涉及 5 栋的业主"},
		estate + "/rules": {"本小区的表决规则", "公告至少提前", "20日", "本小区议事规则 · 第九条 · 读过原文", "本地 · 北京的做法 · 仅见引用", "全国 · 民法典 第二百七十八条",
			"选聘和解聘物业服务企业", "物业服务人的工作人员", "没有规定的", "投票时间不超过", "议事规则全文", "cn-civil-code-2021.2+beijing+estate"},
		estate + "/decisions": {"业主决定的事", "因为业主在 2022-12-30 终定的表决中通过了", `"/meetings/` + apitest.Closed + `#M3"`, "128,000.00", "64,000.00", "已冲销", "2023-03-01 起算六十日通知期，合同到 2023-04-30 为止",
			"公共收益", "60,000.00", "没有办成：合同在决定生效以前已经终止。"},
		"/estates/" + apitest.Empty + "/decisions": {"还没有这样的决定"},
		"/meetings/" + apitest.Posted:              {"期限", "没有按时", estate + "/rules"},
		voting:                                     {"412", "42.2%", "不公布谁投了什么", "我要投票"},
		"/about":                                   {"秀山社区居民委员会", "投诉", "隐私"},
		estate + "?lang=en":                        {"Where the money went", "−112.2", `lang="en"`},
	} {
		b.shows(b.get(path), http.StatusOK, words...)
		b.get("/?lang=zh")
	}
}

func TestAnOpenMeetingShowsNoChoices(t *testing.T) {
	_, b := open(t)
	p := b.get(voting)
	for _, w := range []string{"stamp", "同意人数", "results.csv", "ballots.csv"} {
		if strings.Contains(p.text, w) {
			t.Errorf("an open meeting's page has %q", w)
		}
	}
}

func TestEveryPageKeepsToItsOwnScriptsAndStyles(t *testing.T) {
	_, b := open(t)
	b.login(apitest.OwnerCode)
	inline := regexp.MustCompile(`(?i)<script(?:>| [^>]*[^r]>[^<])| style=| on[a-z]+=|<style|javascript:|https?://[^"<]*\.js\b`)
	for _, path := range []string{"/", estate, estate + "/entries", estate + "/workorders", estate + "/explore", estate + "/rules", estate + "/decisions", "/agreements/agreement-2", closed, voting, voting + "/ballot", "/me", "/about", "/login", "/none", "/workorders/" + apitest.FirstOrder, "/trail", "/trail/meeting-" + apitest.Closed, estate + "/compare?from=200", "/receipts/" + apitest.EventID(apitest.MixedBallots, 1), "/proof"} {
		p := b.get(path)
		if found := inline.FindString(p.text); found != "" {
			t.Errorf("%s has %q inside", path, found)
		}
		if csp := p.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self'; style-src 'self'") {
			t.Errorf("%s allows %q", path, csp)
		}
		if n := len(p.text); n > 60_000 {
			t.Errorf("%s is %d bytes", path, n)
		}
		if strings.Count(p.text, "<h1") != 1 {
			t.Errorf("%s has %d headings of the first order", path, strings.Count(p.text, "<h1"))
		}
	}
}

func TestARowOpensWithAndWithoutScripts(t *testing.T) {
	_, b := open(t)
	p := b.get(estate)
	link := regexp.MustCompile(`hx-get="([^"]+)"`).FindStringSubmatch(p.text)
	if link == nil || !strings.Contains(p.text, `href="`+link[1]+`"`) {
		t.Fatal("a row has no link beside its script")
	}
	path := strings.ReplaceAll(link[1], "&amp;", "&")
	whole, part := b.get(path), b.do(http.MethodGet, path, nil, "HX-Request", "true")
	if !strings.Contains(whole.text, "<html") || strings.Contains(part.text, "<html") || !strings.Contains(part.text, "<table") {
		t.Error("the same address is not a page and a table")
	}
}

func TestTablesDownloadAsFilesASpreadsheetOpensSafely(t *testing.T) {
	_, b := open(t)
	for path, rows := range map[string]int{
		"/estates.csv": 3, estate + "/budget.csv?year=2022": 10, estate + "/collection.csv": 7, estate + "/entries.csv?category=除四害与排污": 13,
		estate + "/workorders.csv": 216, estate + "/meetings.csv": 3, estate + "/agreements.csv": 2, estate + "/units.csv": 3,
		closed + "/results.csv": 4, closed + "/rejected.csv": 7, closed + "/ballots.csv": 2, closed + "/roll.csv": 2,
	} {
		p := b.get(path)
		text, marked := strings.CutPrefix(p.text, "\ufeff")
		if !marked || p.Header.Get("Content-Type") != "text/csv; charset=utf-8" {
			t.Errorf("%s is no marked CSV", path)
		}
		all, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(all) != rows {
			t.Errorf("%s has %d rows, want %d (%v)", path, len(all), rows, err)
		}
	}
	if p := b.get(estate + "/units.csv"); !strings.Contains(p.text, "'=1+1,'+cmd") || !strings.Contains(p.text, ",-0.05") {
		t.Errorf("formulas are not neutralised, or numbers are: %s", p.text)
	}
}

func TestAFileSpeaksTheLanguageOfItsReader(t *testing.T) {
	_, b := open(t)
	chinese := map[string][]string{
		estate + "/entries.csv": {"日期,凭证号,类型", ",冲销,支出,"}, estate + "/workorders.csv": {"已评价"},
		closed + "/results.csv": {"议题,标题", "特别事项（四分之三）", "全体业主", "未通过"}, closed + "/rejected.csv": {"议题不涉及这位业主的房屋"},
	}
	english := map[string][]string{
		estate + "/entries.csv": {"Date,Voucher,Kind", ",reversal,expenditure,"}, estate + "/workorders.csv": {"rated"},
		closed + "/results.csv": {"Motion,Title", "special (three quarters)", "all owners", "Not adopted"}, closed + "/rejected.csv": {"the motion does not concern the owner's unit"},
	}
	for path, words := range chinese {
		b.shows(b.get(path), http.StatusOK, words...)
	}
	b.get("/?lang=en")
	for path, words := range english {
		b.shows(b.get(path), http.StatusOK, words...)
	}
}

func TestASiteWithoutAnOperatorSaysSo(t *testing.T) {
	_, b := open(t, func(c *portal.Config) { c.Operator = portal.Operator{} })
	b.shows(b.get("/about"), http.StatusOK, "没有写明由谁运营", "请问把网址给你的人")
	b.shows(b.get("/about?lang=en"), http.StatusOK, "Nobody is named as the operator")
}

func TestACodeLogsInOnceAndOnlyByAButton(t *testing.T) {
	_, b := open(t)
	b.shows(b.get("/login/"+apitest.OwnerCode), http.StatusNotFound)
	b.shows(b.get("/login"), http.StatusOK, "code.js", "一次性登录码")
	b.shows(b.get("/me"), http.StatusUnauthorized, "需要先登录")
	b.shows(b.post("/login", "code", "wrong"), http.StatusUnprocessableEntity, "用不了")
	p := b.post("/login", "code", " "+apitest.OwnerCode+" ", "next", estate)
	b.shows(p, http.StatusOK, "秀山花园")
	b.shows(b.get("/me"), http.StatusOK, "正在投票", `href="`+voting+`/ballot"`, "徐欣", "80.91", "还差 80.91", "回执", "X00***********0001", "这套房由你投票", "GD00001")
	b.shows(b.post("/logout"), http.StatusOK)
	b.shows(b.get("/me"), http.StatusUnauthorized)
}

func TestALoginLeadsNowhereElse(t *testing.T) {
	for _, next := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)", "/\nx"} {
		_, b := open(t)
		if p := b.post("/login", "code", apitest.OwnerCode, "next", next); p.Request.URL.Path != "/me" {
			t.Errorf("next=%q leads to %s", next, p.Request.URL)
		}
	}
}

func TestTheSessionCookieIsKeptFromScriptsAndOtherSites(t *testing.T) {
	_, b := open(t, func(c *portal.Config) { c.BaseURL = "https://yimu.example" })
	b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := b.post("/login", "code", apitest.OwnerCode)
	cookie := p.Header.Get("Set-Cookie")
	for _, w := range []string{"__Host-yimu-session=", "HttpOnly", "Secure", "SameSite=Lax", "Path=/"} {
		if !strings.Contains(cookie, w) {
			t.Errorf("%q lacks %s", cookie, w)
		}
	}
	if p.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no HSTS")
	}
}

func TestASessionEndsByTheClockOfTheSite(t *testing.T) {
	for name, away := range map[string]time.Duration{"ahead": 15 * 24 * time.Hour, "behind": -5 * 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			var passed atomic.Int64
			start := time.Now().Add(away)
			clock := func() time.Time { return start.Add(time.Duration(passed.Load())) }
			_, b := open(t, func(c *portal.Config) { c.Clock, c.Sessions = clock, sessions(clock) })
			b.login(apitest.OwnerCode)
			passed.Store(int64(6 * 24 * time.Hour))
			b.shows(b.get(estate), http.StatusOK, `href="/me"`)
			passed.Store(int64(8 * 24 * time.Hour))
			b.shows(b.get("/me"), http.StatusUnauthorized)
		})
	}
}

func TestAFormOfAnotherSiteIsRefused(t *testing.T) {
	api, b := open(t)
	b.login(apitest.OwnerCode)
	p := b.do(http.MethodPost, voting+"/ballot", strings.NewReader("step=cast&choice-M1=赞成&key=12345678"), "Sec-Fetch-Site", "cross-site")
	b.shows(p, http.StatusForbidden, "从别的网站发来")
	if len(api.Commands) != 0 {
		t.Error("it was recorded")
	}
}

var keyField = regexp.MustCompile(`name="key" value="([^"]+)"`)

func TestABallotIsReviewedCastOnceAndHasAReceipt(t *testing.T) {
	api, b := open(t)
	b.shows(b.get(voting+"/ballot"), http.StatusUnauthorized)
	b.login(apitest.OwnerCode)
	form := b.get(voting + "/ballot")
	b.shows(form, http.StatusOK, "赞成", "反对", "弃权", "只涉及 5 栋的业主")
	key := keyField.FindStringSubmatch(form.text)[1]
	if p := b.get(closed + "/ballot"); p.Request.URL.Path != closed {
		t.Errorf("a closed meeting gives out a ballot at %s", p.Request.URL)
	}

	b.shows(b.post(voting+"/ballot", "key", key, "step", "review"), http.StatusUnprocessableEntity, "还没有选")
	review := b.post(voting+"/ballot", "key", key, "step", "review", "choice-M1", "赞成", "choice-M2", "反对", "choice-M3", "也许")
	b.shows(review, http.StatusOK, "请核对你的选择", "有议题没有选", key)
	if len(api.Commands) != 0 {
		t.Fatal("a review was recorded")
	}
	b.shows(b.post(voting+"/ballot", "key", key, "step", "back", "choice-M1", "赞成"), http.StatusOK, "checked")
	for range 2 { // a double click
		p := b.post(voting+"/ballot", "key", key, "step", "cast", "choice-M1", "赞成", "choice-M2", "反对")
		b.shows(p, http.StatusOK, "你的票已经记入账本", "18,260", apitest.EventID("ballot-"+apitest.Open+"-1", 0))
		if want := "/receipts/" + apitest.EventID("ballot-"+apitest.Open+"-1", 0); p.Request.URL.Path != want {
			t.Errorf("the receipt is at %s, want %s", p.Request.URL.Path, want)
		}
	}
	if len(api.Commands) != 1 || api.Commands[0].Token != apitest.OwnerToken || api.Commands[0].Key != key {
		t.Errorf("commands: %+v", api.Commands)
	}
}

func TestAReceiptSaysWhatWasTakenAndWhatWasRefused(t *testing.T) {
	_, b := open(t)
	for path, words := range map[string][]string{
		"/receipts/" + apitest.MixedBallots + "/0":         {"<h1>你的票已经记入账本", "收下的票", "M1", "M2", "秀山花园业主大会第二次会议"},
		"/receipts/" + apitest.MixedBallots + "/1":         {"<h1>这张票只收下了一部分", "收下的票", "✓ 已收下", "✗ 没有计入：议题不涉及这位业主的房屋"},
		"/receipts/" + apitest.MixedBallots + "/2":         {"<h1>这张票只收下了一部分", "没有计入的票，和原因", "✓ 已收下", "✗ 没有计入：议题不涉及这位业主的房屋"},
		"/receipts/" + apitest.MixedBallots + "/3":         {"<h1>这张票没有计入", "没有计入的票，和原因", "✗ 没有计入：之前已投过，先投的算数"},
		"/receipts/workorder-" + apitest.FirstOrder + "/0": {"<h1>已经记入账本", "报事报修"},
	} {
		p := b.get(path)
		b.shows(p, http.StatusOK, words...)
		if !strings.Contains(words[0], "你的票") && strings.Contains(p.text, "你的票已经记入账本") {
			t.Errorf("%s says that all of the ballot was recorded", path)
		}
	}
}

func TestABallotThatIsTakenInPartLeadsToTheReceiptOfThatPart(t *testing.T) {
	api, b := open(t)
	b.login(apitest.OwnerCode)
	api.Set(func(a *apitest.API) { a.Partly = true })
	p := b.post(voting+"/ballot", "key", "12345678", "step", "cast", "choice-M1", "赞成", "choice-M2", "赞成")
	b.shows(p, http.StatusOK, "<h1>这张票只收下了一部分", "<dd>收下的票</dd>", "✓ 已收下", "✗ 没有计入：议题不涉及这位业主的房屋")
	if strings.Contains(p.text, "你的票已经记入账本") {
		t.Error("it reads as if all was recorded")
	}
}

func TestWhoVotedAlreadyIsToldBeforeVotingAgain(t *testing.T) {
	_, b := open(t)
	b.login(apitest.OwnerCode)
	b.shows(b.get(voting+"/ballot"), http.StatusOK, "你已经投过票：M1、M2。", "先投的算数", "2026-11-21 11:32")
	b.shows(b.post(voting+"/ballot", "key", "12345678", "step", "review", "choice-M1", "赞成"), http.StatusOK, "你已经投过票")
	b.shows(b.get("/me"), http.StatusOK, "<b>2<u>张", "未计入：之前已投过") // of three, one was refused
}

func TestARefusalOfABallotSaysWhyInWords(t *testing.T) {
	api, b := open(t)
	b.login(apitest.OwnerCode)
	api.Set(func(a *apitest.API) {
		a.Fail["POST /api/v1"+voting+"/ballots"] = problem.Conflict("already-voted", "the first ballot stands")
	})
	p := b.post(voting+"/ballot", "key", "12345678", "step", "cast", "choice-M1", "赞成")
	b.shows(p, http.StatusConflict, "这张票没有计入：之前已投过，先投的算数", "都记进了账本")
}

func TestWhatIsNotConfirmedYetIsLookedForAgain(t *testing.T) {
	api, b := open(t)
	b.login(apitest.OwnerCode)
	api.Set(func(a *apitest.API) { a.Pending = true })
	p := b.post(voting+"/ballot", "key", "12345678", "step", "cast", "choice-M1", "赞成")
	b.shows(p, http.StatusAccepted, "正在写入账本", "不用再点")
	next := p.Header.Get("Refresh")
	if !strings.HasPrefix(next, "2; url=/operations/") || !strings.Contains(next, "tries=1") {
		t.Fatalf("Refresh is %q", next)
	}
	p = b.get(strings.TrimPrefix(strings.Replace(next, "tries=1", "tries=14", 1), "2; url="))
	b.shows(p, http.StatusAccepted, "还没有得到确认", "原样再提交一次")
	if p.Header.Get("Refresh") != "" {
		t.Error("it never gives up")
	}
	api.Set(func(a *apitest.API) { a.Pending = false })
	b.shows(b.get(strings.TrimPrefix(next, "2; url=")), http.StatusOK, "你的票已经记入账本")
}

func TestTheDeskSaysWhatToDoNextAndTakesEachStep(t *testing.T) {
	api, b := open(t)
	desk := "/meetings/" + apitest.Posted + "/desk"
	b.shows(b.get(desk), http.StatusUnauthorized, "先登录")
	b.login(apitest.ClerkCode)
	b.shows(b.get(desk), http.StatusOK, "下一步", "请逐条答复", "宣布终定", "撤回公示的结果", "17 号的异议", "等待答复", "公布结果的最后一天", "一张纸质票重复录入")
	b.shows(b.post(desk, "do", "read", "objection", apitest.Objection), http.StatusOK, "我家的票没有录进去。")
	b.shows(b.post(desk, "key", "12345678", "do", "reject", "objection", apitest.Objection, "answer", "经核对，票数无误。"), http.StatusOK, "已经记入账本")
	if c := api.Commands[0]; c.Path != "/api/v1/meetings/"+apitest.Posted+"/objections/"+apitest.Objection+"/answer" || c.Body["upheld"] != false || c.Body["answer"] != "经核对，票数无误。" {
		t.Errorf("recorded %+v", c)
	}
	b.shows(b.get(voting+"/desk"), http.StatusOK, "延长投票", "取消这次会议", `href="`+voting+`/roll"`, `href="`+voting+`/trustees"`, `href="`+voting+`/delivery"`, `href="`+voting+`/papers"`)
	b.shows(b.post(voting+"/desk", "key", "22345678", "do", "extend", "closes", "2026-12-30T18:00"), http.StatusOK, "已经记入账本")
	if c := api.Commands[1]; c.Body["closes"] != "2026-12-30T18:00:00+08:00" {
		t.Errorf("recorded %+v", c)
	}
	b.shows(b.post(voting+"/desk", "key", "32345678", "do", "extend", "closes", "soon"), http.StatusUnprocessableEntity, "没有提交")
	b.shows(b.post(voting+"/desk", "key", "42345678", "do", "dance"), http.StatusNotFound)
	b.shows(b.post(voting+"/desk", "key", "42345678", "do", "freeze"), http.StatusNotFound) // that is a step of setting it up
	api.Set(func(a *apitest.API) {
		a.Fail["POST /api/v1"+desk[:len(desk)-len("/desk")]+"/final"] = problem.Conflict("objections-still-open", "owners may still object")
	})
	b.shows(b.post(desk, "key", "52345678", "do", "final"), http.StatusConflict, "提异议的时间还没有过", "什么都没有记录")
}

func TestEveryPrintedSheetSaysOfWhatItIsAndUpToWhere(t *testing.T) {
	_, b := open(t)
	p := b.get(closed)
	found := regexp.MustCompile(`<p class="running" aria-hidden="true">([^<]*)</p>`).FindStringSubmatch(p.text)
	if found == nil || !strings.Contains(found[1], "秀山花园 · 秀山花园业主大会第一次会议 · 账本位置 18,204 · 检查点 12 ") {
		t.Errorf("on top of the sheets stands %q", found)
	}
	if p := b.get("/login"); strings.Contains(p.text, "running") {
		t.Error("a page without figures has one")
	}
}

func TestAMatterThatRestsIsPutAgainOnlyWithAWordOnHowItDiffers(t *testing.T) {
	api, b := open(t)
	b.shows(b.get("/meetings/"+apitest.Withdrawn), http.StatusOK, "参与不足的同一事项不是一个问题", "另一家物业服务人")
	b.login(apitest.ClerkCode)
	frozen := "/meetings/" + apitest.Frozen
	b.shows(b.get(frozen+"/desk"), http.StatusOK, "继续筹备", `href="`+frozen+`/convene"`)
	notice := frozen + "/convene/notice"
	b.shows(b.get(notice), http.StatusOK, "参与的业主仍然不够", "2027-11-30", "写明哪里不同")
	window := []string{"do", "post", "opens", "2026-12-20T09:00", "closes", "2026-12-30T18:00"}
	b.shows(b.post(notice, append(window, "key", "12345678", "differs-0", "另一家物业服务人。")...), http.StatusOK, "已经记入账本")
	want := []any{map[string]any{"motion": "M1", "from": apitest.Closed, "reason": "另一家物业服务人。"}}
	if c := api.Commands[0]; !reflect.DeepEqual(c.Body["differs"], want) {
		t.Errorf("recorded %+v", c)
	}
	b.shows(b.post(notice, append(window, "key", "22345678")...), http.StatusOK, "已经记入账本")
	if c := api.Commands[1]; c.Body["differs"] != nil {
		t.Errorf("recorded %+v", c)
	}
}

func TestAContractIsProposedAndSignedOnPages(t *testing.T) {
	api, b := open(t)
	form := estate + "/agreements/new"
	b.shows(b.get(form), http.StatusUnauthorized, "先登录")
	b.shows(b.get("/agreements/agreement-2"), http.StatusOK, "安居物业公司", "公示中", "秀山花园业主大会", "：已签", "：未签", "请在业主大会里提出", `href="/agreements/agreement-1"`)
	b.login(apitest.ClerkCode)
	b.shows(b.get(estate+"/decisions"), http.StatusOK, `href="`+form+`"`, `href="/agreements/agreement-1"`)
	b.shows(b.get(form), http.StatusOK, "正式合同", "接替哪份合同", `value="agreement-1"`)
	b.shows(b.post(form, "key", "12345678", "kind", "正式合同", "provider", "安居物业公司", "rate-住宅", "free", "starts", "soon"), http.StatusUnprocessableEntity,
		"没有提交", "请写价格", "请写日期", "这一项不能为空", `value="安居物业公司"`)
	typed := []string{"kind", "正式合同", "principals", "秀山花园业主大会\n\n 青山街道办事处 ", "provider", "安居物业公司", "starts", "2027-01-01", "ends", "2029-12-31",
		"rate-住宅", "0.95", "per-住宅", "㎡·月", "rate-车位", "50", "per-车位", "个·月", "services", "保洁\n保安", "follows", "agreement-1"}
	b.shows(b.post(form, append(typed, "key", "22345678")...), http.StatusOK, "已经记入账本", "安居物业公司")
	want := map[string]any{
		"kind": "正式合同", "principals": []any{"秀山花园业主大会", "青山街道办事处"}, "provider": "安居物业公司", "starts": "2027-01-01", "ends": "2029-12-31", "change": "",
		"rates":    []any{map[string]any{"use": "住宅", "rate_e4_yuan": 9500., "per": "㎡·月"}, map[string]any{"use": "车位", "rate_e4_yuan": 500000., "per": "个·月"}},
		"services": []any{"保洁", "保安"}, "options": []any{}, "follows": "agreement-1",
	}
	if c := api.Commands[0]; !reflect.DeepEqual(c.Body, want) {
		t.Errorf("proposed %+v", c.Body)
	}
	b.shows(b.post("/agreements/agreement-2", "key", "32345678", "do", "sign", "party", "安居物业公司"), http.StatusOK, "已经记入账本")
	if c := api.Commands[1]; c.Path != "/api/v1/agreements/agreement-2/sign" || c.Body["party"] != "安居物业公司" {
		t.Errorf("recorded %+v", c)
	}
	b.shows(b.post("/agreements/agreement-2", "key", "42345678", "do", "dance"), http.StatusNotFound)
	api.Set(func(a *apitest.API) {
		a.Fail["POST /api/v1/agreements/agreement-2/activate"] = problem.Conflict("owners-not-asked", "the owners were not asked")
	})
	b.shows(b.post("/agreements/agreement-2", "key", "52345678", "do", "activate"), http.StatusConflict, "要业主大会通过选聘", "什么都没有记录")
}

func TestAPaymentOutOfTheMaintenanceFundIsRecordedOnAPage(t *testing.T) {
	api, b := open(t)
	page := estate + "/draws/draw-1"
	b.shows(b.get(page), http.StatusUnauthorized, "先登录")
	b.login(apitest.ClerkCode)
	b.shows(b.get(estate+"/decisions"), http.StatusOK, `href="`+page+`"`)
	b.shows(b.get(page), http.StatusOK, "最多还可以付 ", "64,000.00", "因为业主在", "维-001", `<option value="维-001"`)
	b.shows(b.get(estate+"/draws/none"), http.StatusNotFound)
	b.shows(b.post(page, "key", "12345678", "do", "pay", "number", "维-004", "date", "2023-02-01", "amount", "viel", "text", "尾款"), http.StatusUnprocessableEntity, "请写大于零的金额", `value="viel"`, `value="维-004"`)
	b.shows(b.post(page, "key", "22345678", "do", "pay", "number", "维-004", "date", "2023-02-01", "amount", "64,000", "text", "屋面防水尾款", "counterparty", "防水工程公司"), http.StatusOK, "已经记入账本")
	if c := api.Commands[0]; c.Path != "/api/v1/draws/draw-1/payments" || c.Body["amount_fen"] != 6400000. || c.Body["number"] != "维-004" {
		t.Errorf("recorded %+v", c)
	}
	b.shows(b.post(page, "key", "32345678", "do", "reverse", "reverses", "维-001", "number", "维-005", "date", "2023-02-02", "reason", "登记错了"), http.StatusOK, "已经记入账本")
	if c := api.Commands[1]; c.Path != "/api/v1/draws/draw-1/reversals" || c.Body["reverses"] != "维-001" || c.Body["reason"] != "登记错了" {
		t.Errorf("recorded %+v", c)
	}
	api.Set(func(a *apitest.API) {
		a.Fail["POST /api/v1/draws/draw-1/payments"] = problem.Conflict("draw-exceeded", "the owners did not decide on so much")
	})
	b.shows(b.post(page, "key", "42345678", "do", "pay", "number", "维-006", "date", "2023-02-01", "amount", "1", "text", "多付"), http.StatusConflict, "业主没有同意付这么多")
}

func TestABallotIsSetAsideForAnUpheldObjection(t *testing.T) {
	api, b := open(t)
	meeting := "/meetings/" + apitest.Withdrawn
	b.shows(b.get(meeting), http.StatusOK, "依成立的异议剔除的票", "投票码被他人使用", "这位业主的另一张票算数")
	b.shows(b.get(meeting+"/recount"), http.StatusUnauthorized, "先登录")
	b.login(apitest.ClerkCode)
	b.shows(b.get("/meetings/"+apitest.Posted+"/recount"), http.StatusOK, "没有可以依据的异议")
	b.shows(b.get(meeting+"/desk"), http.StatusOK, "依成立的异议重新计票", `href="`+meeting+`/recount"`)
	b.shows(b.get(meeting+"/recount?entry=7"), http.StatusOK, "这位业主没有交过票")
	b.shows(b.get(meeting+"/recount?entry=1"), http.StatusOK, "哪一张票", "2023-01-14", "已剔除", "23 号", "另一张票算不算数")
	form := []string{"entry", "1", "ballot", "ballot-8", "objection", apitest.Upheld, "reason", "投票码被他人使用。"}
	b.shows(b.post(meeting+"/recount", append(form, "key", "12345678", "do", "aside", "earlier", "falls")...), http.StatusOK, "结果已经重新计算")
	if c := api.Commands[0]; c.Path != "/api/v1"+meeting+"/ballots/ballot-8/set-aside" || c.Body["earlier"] != "falls" || c.Body["entry"] != "1" || c.Body["objection"] != apitest.Upheld || c.Body["reason"] != "投票码被他人使用。" {
		t.Errorf("recorded %+v", c)
	}
	b.shows(b.post(meeting+"/recount", append(form, "key", "22345678", "do", "restore")...), http.StatusOK, "已经记入账本")
	if c := api.Commands[1]; c.Path != "/api/v1"+meeting+"/ballots/ballot-8/restoration" || c.Body["earlier"] != nil {
		t.Errorf("recorded %+v", c)
	}
	api.Set(func(a *apitest.API) {
		a.Fail["POST /api/v1"+meeting+"/ballots/ballot-8/set-aside"] = problem.Invalid("earlier-ballot", "say what becomes of the other ballot")
	})
	b.shows(b.post(meeting+"/recount", append(form, "key", "32345678", "do", "aside")...), http.StatusUnprocessableEntity, "另一张票会因此算数", "什么都没有记录")
	b.shows(b.post(meeting+"/recount", append(form, "key", "42345678", "do", "dance")...), http.StatusNotFound)
}

func TestWhoBoughtOrSoldAUnitDuringTheVoteIsToldBeforeVoting(t *testing.T) {
	_, b := open(t)
	b.login(apitest.OwnerCode)
	b.shows(b.get(voting+"/ballot"), http.StatusOK, "5-1-101：你在投票期间买下了这套房", "卖方在转让以前已经交了票",
		"5-1-102：你在投票期间转让了这套房，转让以前已经交了票", "再投也不会改变")
}

func TestTheDeskIsNotForEveryOwner(t *testing.T) {
	_, b := open(t)
	b.login(apitest.OwnerCode)
	b.shows(b.get(voting+"/desk"), http.StatusForbidden)
	b.shows(b.post(voting+"/desk", "key", "12345678", "do", "cancel", "reason", "不开了"), http.StatusForbidden)
}

func TestAnOwnerObjectsToAResult(t *testing.T) {
	api, b := open(t)
	at := "/meetings/" + apitest.Posted
	b.shows(b.get(at), http.StatusOK, "结果公示中", "对结果提出异议", "第 2 次，更正后", "投票延长", "异议成立", "经过", "期限已过", "没有按时；最后一天放假", "请求法院撤销的最后一天", "还没有开始算")
	b.shows(b.get(at+"/objection"), http.StatusUnauthorized)
	b.shows(b.get(at+"/objections.csv"), http.StatusOK, "经核对,异议成立。", "等待答复")
	b.shows(b.get(closed+"/results.csv"), http.StatusOK, "3 × 760 = 2,280 ≥ 2 × 976 = 1,952", "参与人数占全体", "77.9")
	b.login(apitest.OwnerCode)
	b.shows(b.get(at+"/objection"), http.StatusOK, "2026-11-22 00:00", "加密保存")
	b.post(at+"/objection", "key", "12345678", "motion", "M1", "words", " 票数不对 ")
	if c := api.Commands[0]; c.Body["words"] != "票数不对" || c.Body["motion"] != "M1" {
		t.Errorf("recorded %+v", c)
	}
	api.Set(func(a *apitest.API) {
		a.Fail["POST /api/v1"+at+"/objections"] = problem.Conflict("objector-not-on-the-roll", "not on the roll")
	})
	b.shows(b.post(at+"/objection", "key", "22345678", "words", "票数不对"), http.StatusConflict, "只有这次会议名册上的业主可以提异议", "票数不对")
}

func TestAFaultIsReportedAndAMistakeKeepsWhatWasTyped(t *testing.T) {
	api, b := open(t)
	b.login(apitest.OwnerCode)
	b.shows(b.get(estate+"/workorders"), http.StatusOK, "报修 · 水管漏水")
	p := b.post(estate+"/workorders", "key", "12345678", "matter", "报修/水管漏水", "place", "", "words", "<b>漏水</b>")
	b.shows(p, http.StatusUnprocessableEntity, "这一项不能为空", "&lt;b&gt;漏水&lt;/b&gt;", `value="12345678"`)
	p = b.post(estate+"/workorders", "key", "12345678", "matter", "报修/水管漏水", "place", "16栋", "words", "漏水")
	b.shows(p, http.StatusOK, "GD00001")
	if c := api.Commands[0]; c.Body["matter"] != "水管漏水" || c.Body["category"] != "报修" || c.Body["words"] != "漏水" {
		t.Errorf("recorded %v", c.Body)
	}
}

func TestOnlyAClerkRecordsPayments(t *testing.T) {
	api, b := open(t)
	b.login(apitest.OwnerCode)
	b.shows(b.get(estate+"/payments/new"), http.StatusForbidden)
	b.post("/logout")
	b.login(apitest.ClerkCode)
	b.shows(b.get(estate+"/payments/new"), http.StatusOK, "登记收款", `value="2023-01-01"`) // the day in Shanghai
	fields := []string{"key", "12345678", "received", "2022-07-21", "reference", "PAY1", "unit", "1-1-101", "period", "2022-07", "channel", "微信", "amount"}
	b.shows(b.post(estate+"/payments/new", append(fields, "80.911")...), http.StatusUnprocessableEntity, "最多两位小数", `value="80.911"`)
	b.shows(b.post(estate+"/payments/new", append(fields, "1,080.91")...), http.StatusOK, "上一笔已经记入账本")
	if got := api.Commands[0].Body["amount_fen"]; got != float64(108091) {
		t.Errorf("recorded %v fen", got)
	}
}

func TestAReaderSeesTheirOwnWrites(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]string{}
	_, b := open(t, func(c *portal.Config) {
		for name, service := range c.Services {
			c.Services[name] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				asked[r.URL.Path] = r.Header.Get("Yimu-Position")
				mu.Unlock()
				service.ServeHTTP(w, r)
			})
		}
	})
	b.login(apitest.OwnerCode)
	b.get("/")
	b.post("/me/corrections", "key", "12345678", "words", "电话变了")
	b.shows(b.get("/me?sent=1"), http.StatusOK, "更正申请已经提交")
	b.get(estate)
	mu.Lock()
	defer mu.Unlock()
	if asked["/api/v1/estates"] != "" {
		t.Error("who wrote nothing waits for a position")
	}
	for _, path := range []string{"/api/v1/me/bills", "/api/v1" + estate} {
		if asked[path] != "18205" {
			t.Errorf("%s was asked for position %q", path, asked[path])
		}
	}
}

func TestAPageClaimsNoPositionThatItsAnswersDoNotSay(t *testing.T) {
	api, b := open(t)
	b.shows(b.get(estate), http.StatusOK, "<code>18,204</code> 及之前的全部记录")
	api.Set(func(a *apitest.API) { a.Silent = true }) // the budget still says it, in its body
	b.shows(b.get(estate), http.StatusOK, "<code>18,204</code>，另一部分没有说明算到哪里")
	b.shows(b.get(closed), http.StatusOK, "没有得到账本的位置")
}

func TestTheLedgerIsSearchedByWhatIsInTheAddress(t *testing.T) {
	_, b := open(t)
	p := b.get("/trail")
	b.shows(p, http.StatusOK, "全部记录，最新的在前", "公开选票的密钥", "第 125 条", "更早的记录", "<optgroup", "秀山花园")
	if n := strings.Count(p.text, `href="/trail/`); n != 50 {
		t.Errorf("a page has %d records", n)
	}
	more := regexp.MustCompile(`href="(/trail\?[^"#]*before=[^"#]*)`).FindStringSubmatch(p.text)
	if more == nil {
		t.Fatal("no way on")
	}
	p = b.get(more[1])
	b.shows(p, http.StatusOK, "第 75 条", "回到最新的")
	p = b.get("/trail?estate=" + apitest.Estate + "&kind=voting-closed.v1&actor=reaction:votes_close&by=happened&since=2023-01-01&until=2023-01-31&stream=meeting-" + apitest.Closed + "&about=meeting-x")
	b.shows(p, http.StatusOK, "查的是：小区是“秀山花园”，记录的是“投票截止”，在记录流 meeting-"+apitest.Closed+" 里，与 业主大会 x 有关，由 reaction:votes_close 提交，2023-01-01 至 2023-01-31发生。",
		"2023-01-28 18:01:00 发生", `value="2023-01-31"`, "selected")
	if strings.Contains(p.text, "更早的记录") {
		t.Error("there is nothing earlier")
	}
	b.shows(b.get("/trail?estate="+apitest.Estate+"&lang=en"), http.StatusOK, "Records of the estate “秀山花园”; the latest first.",
		`href="`+estate+`/compare"`, `href="`+estate+`/bundle.zip"`, "Signed by the operator: <b>12</b> records, up to position <code>18,204</code>", `href="/proof"`)
	if p := b.get("/trail?estate=elsewhere"); strings.Contains(p.text, "bundle.zip") {
		t.Error("there is a bundle of an estate that there is not")
	}
	b.shows(b.get("/trail?since=2022-12-01&until=2022-12-02"), http.StatusOK, "recorded 2022-12-01 to 2022-12-02")
}

func TestASearchSaysThatThereIsNothingOrNothingSoFar(t *testing.T) {
	_, b := open(t)
	b.shows(b.get("/trail?stream=nothing"), http.StatusOK, "没有符合全部条件的记录", "清空条件")
	p := b.get("/trail?kind=" + apitest.Rare)
	b.shows(p, http.StatusOK, "更早的还没有看", "接着往前找")
	b.shows(b.get("/trail?kind="+apitest.Rare+"&before=100"), http.StatusOK, "没有符合全部条件的记录")
}

func TestRubbishIsNotSearchedFor(t *testing.T) {
	api, b := open(t)
	for query, words := range map[string]string{
		"since=gestern": "请写日期", "until=2022-13-01": "请写日期", "since=0001-01-01": "请写日期", "since=2022-08-01&until=2022-07-31": "不能早于开始的那一天",
		"stream=%00": "请写账本里的编号", "actor=%ff": "请写账本里的编号", "about=" + strings.Repeat("x", 201): "请写账本里的编号",
	} {
		b.shows(b.get("/trail?"+query), http.StatusUnprocessableEntity, "这样查不了", words)
	}
	for _, query := range []string{"before=x", "before=-1", "before=99999999999999999999"} {
		b.shows(b.get("/trail?"+query), http.StatusNotFound, "没有找到这一页")
	}
	p := b.get("/trail?stream=" + url.QueryEscape(`"><script>alert(1)</script>' OR 1=1 --`))
	b.shows(p, http.StatusOK, "没有符合全部条件的记录", "&lt;script&gt;")
	if strings.Contains(p.text, "<script>alert") {
		t.Error("what was typed is run")
	}
	b.shows(b.get("/trail?by=guess&elsewhere=1"), http.StatusOK, "全部记录")
	api.Set(func(a *apitest.API) {
		a.Fail["GET /api/v1/estates"] = problem.Unavailable("service-unreachable", "down")
		a.Fail["GET /api/v1/ledger/search"] = problem.Unavailable("service-unreachable", "down")
	})
	b.shows(b.get("/trail"), http.StatusServiceUnavailable)
}

func TestTheLifeOfAThingShowsCausesAndEffects(t *testing.T) {
	api, b := open(t)
	p := b.get("/trail/meeting-" + apitest.Closed)
	b.shows(p, http.StatusOK, "会议草案", "861 条", "起因：到了规定的时间", "在别处：", "合同 9", `class="life lanes4"`, `class="arm"`, "&#34;meeting&#34;", "about=meeting-"+apitest.Closed)
	id := func(n string) string { return "e-e0000000-0000-4000-8000-0000000000" + n }
	for effect, cause := range map[string]string{id("04"): id("03"), id("10"): id("03"), id("11"): id("04"), id("12"): id("10")} {
		_, item, _ := strings.Cut(p.text, `<li id="`+effect+`"`)
		item, _, _ = strings.Cut(item, "</li>")
		if !strings.Contains(item, `起因：<a href="#`+cause+`"`) {
			t.Errorf("%s does not lead back to %s", effect, cause)
		}
		_, item, _ = strings.Cut(p.text, `<li id="`+cause+`"`)
		item, _, _ = strings.Cut(item, "</li>")
		if _, effects, _ := strings.Cut(item, "引起了："); !strings.Contains(effects, `href="#`+effect+`"`) {
			t.Errorf("%s does not lead on to %s", cause, effect)
		}
	}
	b.shows(b.get("/trail/workorder-"+apitest.FirstOrder), http.StatusOK, "报事报修", `class="life lanes1"`)
	b.shows(b.get("/trail/meeting-none"), http.StatusNotFound)
	b.shows(b.get("/trail/meeting-"+apitest.Closed+"?from=99"), http.StatusNotFound)
	b.shows(b.get("/trail/meeting-"+apitest.Closed+"?from=x"), http.StatusNotFound)
	api.Set(func(a *apitest.API) {
		a.Fail["GET /api/v1/ledger/streams/meeting-"+apitest.Closed+"/links"] = problem.Unavailable("service-unreachable", "down")
	})
	b.shows(b.get("/trail/meeting-"+apitest.Closed), http.StatusOK, "暂时读不到", "会议草案")
}

func TestAnEstateIsComparedWithItself(t *testing.T) {
	api, b := open(t)
	compare := estate + "/compare"
	b.shows(b.get(compare), http.StatusOK, "比较两个时间的账", `name="from_day"`)
	p := b.get(compare + "?from=200")
	b.shows(p, http.StatusOK, "位置 200 → 现在", "支出 · 人员工资 · 实际", "184,441.00", "186,041.00", "+1,600.00", "−1,600.00", "秀山花园业主大会第二次会议 · 状态", "新有的", "没有变的")
	_, changed, _ := strings.Cut(p.text, "个数字中，变了 <b>")
	if n, _, _ := strings.Cut(changed, "<"); n != "6" { // wages, all expenditure, the balance; state, heads and area of the second meeting
		t.Errorf("%s figures changed", n)
	}
	b.shows(b.get(compare+"?from=200&to=300"), http.StatusOK, "位置 200 → 位置 300", "都没有变化")
	b.shows(b.get(compare+"?from=300&to=200"), http.StatusOK, "位置 200 → 位置 300")
	b.shows(b.get(compare+"?from=99&to=200"), http.StatusOK, "账本里还没有这个小区")
	// Days become positions, and so the address says what is compared.
	p = b.get(compare + "?from_day=2022-12-20&to_day=2022-12-21&year=2022")
	b.shows(p, http.StatusOK, "位置 17,000 → 位置 17,020")
	if want := "from=17000&to=17020&year=2022"; p.Request.URL.RawQuery != want {
		t.Errorf("leads to %s, want %s", p.Request.URL.RawQuery, want)
	}
	b.shows(b.get(compare+"?from_day=2022-12-20&to_day=2023-01-01"), http.StatusOK, "位置 17,000 → 现在") // today
	for query, words := range map[string]string{
		"from=x": "大于零的整数", "from=-1": "大于零的整数", "from=0": "大于零的整数", "from=1&to=99999": "账本还没有到这个位置",
		"from_day=x": "或者不是日期", "from_day=1999-01-01": "账本还没有记录", "from_day=2030-01-01": "今天以前的一天",
	} {
		b.shows(b.get(compare+"?"+query), http.StatusUnprocessableEntity, "这样比不了", words)
	}
	b.shows(b.get(compare+"?year=x"), http.StatusNotFound)
	b.shows(b.get("/estates/none/compare"), http.StatusNotFound)
	api.Set(func(a *apitest.API) {
		a.Fail["GET /api/v1"+estate+"/budget"] = problem.Unavailable("service-unreachable", "down")
	})
	b.shows(b.get(compare+"?from=200"), http.StatusOK, "有的数字暂时读不到", "物业费收缴")
}

func TestADayOrAPositionLooksBack(t *testing.T) {
	_, b := open(t)
	b.shows(b.get(estate), http.StatusOK, `type="range"`, `type="date" name="day"`)
	p := b.get(estate + "?day=2022-12-20&year=2022")
	b.shows(p, http.StatusOK, "这是过去的样子", "17,000", "184,441.00")
	if p.Request.URL.RawQuery != "at=17000&year=2022" {
		t.Errorf("leads to %s", p.Request.URL)
	}
	p = b.get(estate + "?day=2023-01-01") // today
	b.shows(p, http.StatusOK, "186,041.00")
	if strings.Contains(p.text, "这是过去的样子") {
		t.Error("today is shown as the past")
	}
	b.shows(b.get(estate+"?day=x"), http.StatusNotFound, "这一天看不了")
	b.shows(b.get(estate+"?day=1999-01-01"), http.StatusNotFound, "这一天看不了")
	for _, at := range []string{"1", "18446744073709551615", "18446744073709551616", "-1", "0", "x"} { // 1 is before the estate was founded, where the slider begins
		b.shows(b.get(estate+"?at="+at), http.StatusNotFound, "那个时候看不了", "换一个时间再看")
	}
}

func TestEveryPublicPageOfAnEstateLooksBack(t *testing.T) {
	_, b := open(t)
	for page, words := range map[string][]string{
		"/meetings":                      {`href="` + closed + `?at=17000"`, `href="` + estate + `/meetings"`, estate + "/meetings.csv?at=17000"},
		"/workorders":                    {`?at=17000#list"`, `href="` + estate + `/workorders"`, estate + "/workorders.csv?at=17000"},
		"/workorders?state=rated":        {`href="` + estate + `/workorders?state=rated"`},
		"/explore":                       {`href="` + estate + `/explore"`, "entries.csv?category="},
		"/entries?direction=expenditure": {`href="` + estate + `?at=17000#budget"`},
	} {
		separator := "?"
		if strings.Contains(page, "?") {
			separator = "&"
		}
		p := b.get(estate + page + separator + "at=17000")
		b.shows(p, http.StatusOK, append(words, "这是过去的样子", "17,000", "回到现在")...)
		if strings.Contains(p.text, "我要报修") {
			t.Errorf("%s lets people report into the past", page)
		}
		if p := b.get(estate + page); strings.Contains(p.text, "这是过去的样子") {
			t.Errorf("%s of now is shown as the past", page)
		}
		b.shows(b.get(estate+page+separator+"at=x"), http.StatusNotFound)
	}
	p := b.get(estate + "?at=17000")
	for _, page := range []string{"/explore?at=17000", "/workorders?at=17000"} {
		if !strings.Contains(p.text, `href="`+estate+page+`"`) {
			t.Errorf("the past does not lead to %s", page)
		}
	}
}

func TestFilesOfThePastAreOfThePast(t *testing.T) {
	_, b := open(t)
	p := b.get(estate + "?at=17000")
	for _, file := range []string{"/budget.csv?year=2022&amp;at=17000", "/entries.csv?year=2022&amp;at=17000", "/collection.csv?at=17000", "/agreements.csv?at=17000"} {
		if !strings.Contains(p.text, `href="`+estate+file+`"`) {
			t.Errorf("no file %s", file)
		}
	}
	if strings.Contains(p.text, "units.csv") {
		t.Error("a file of now is offered with the past")
	}
	now, then := b.get(estate+"/budget.csv?year=2022"), b.get(estate+"/budget.csv?year=2022&at=17000")
	b.shows(now, http.StatusOK, "186041.00")
	b.shows(then, http.StatusOK, "184441.00")
	if d := then.Header.Get("Content-Disposition"); !strings.Contains(d, url.PathEscape("位置17000.csv")) || then.Header.Get("Yimu-Position") != "17000" {
		t.Errorf("%s, position %s", d, then.Header.Get("Yimu-Position"))
	}
	for path, rows := range map[string]int{"/entries.csv": 0, "/meetings.csv": 2, "/collection.csv": 7, "/workorders.csv": 216, "/agreements.csv": 2} {
		all, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(b.get(estate+path+"?at=17000").text, "\ufeff"))).ReadAll()
		if err != nil || rows != 0 && len(all) != rows {
			t.Errorf("%s has %d rows (%v)", path, len(all), err)
		}
	}
	b.shows(b.get(closed+"/results.csv?at=17000"), http.StatusOK, "议题")
	b.shows(b.get(estate+"/entries.csv?at=x"), http.StatusNotFound)
	b.shows(b.get(estate+"/entries.csv?at=99999"), http.StatusNotFound)
}

func TestAReceiptCanBeKeptOnPaperAndChecked(t *testing.T) {
	_, b := open(t, func(c *portal.Config) { c.BaseURL = "https://yimu.example" })
	b.login(apitest.OwnerCode)
	id := apitest.EventID("ballot-"+apitest.Open+"-1", 0)
	p := b.get("/receipts/" + id)
	b.shows(p, http.StatusOK, "这份回执证明什么", "选择是密文", "下载回执 (JSON)", "/api/v1/ledger/extension?old=", "yimu verify receipt", "第 5 条")
	if p := b.get("/receipts/" + apitest.EventID(apitest.MixedBallots, 3)); strings.Contains(p.text, "选择是密文") {
		t.Error("a refusal says that choices are sealed")
	}
	for _, kept := range []string{"徐欣", apitest.OwnerToken, "person-owner"} {
		if strings.Contains(p.text, kept) {
			t.Errorf("a receipt says %q", kept)
		}
	}
	// The file holds by the log's key alone, and so does what the code holds.
	keys, err := proof.ParseKeys(apitest.Key())
	if err != nil {
		t.Fatal(err)
	}
	file := b.get(regexp.MustCompile(`href="(/api/v1/receipts/[^"]+)" download`).FindStringSubmatch(p.text)[1])
	receipt, err := proof.ParseReceipt([]byte(file.text))
	if err != nil {
		t.Fatal(err)
	}
	verified, findings := keys.Receipt(receipt)
	if len(findings) != 0 {
		t.Fatal(findings)
	}
	paper := scan(t, p.text)
	link, code, _ := strings.Cut(paper, "#")
	if link != "https://yimu.example/receipts/"+id {
		t.Errorf("the code leads to %s", link)
	}
	parts := strings.Split(code, ".")
	if len(parts) != 4 || parts[0] != "yimu1" || parts[1] != strconv.FormatUint(receipt.Leaf, 10) {
		t.Fatalf("the code holds %q", code)
	}
	hash, err := base64.RawURLEncoding.DecodeString(parts[2])
	if want := receipt.Event.Hash(); err != nil || string(hash) != string(want[:]) {
		t.Errorf("the code holds the hash %x (%v)", hash, err)
	}
	checkpoint, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil {
		t.Fatal(err)
	}
	if c, _, failed := keys.Checkpoint(string(checkpoint)); failed != nil || c != verified.Checkpoint {
		t.Errorf("the code holds the checkpoint %+v: %v", c, failed)
	}
}

// scan returns what a receipt says is in its QR code, and holds the drawing
// against it, dot by dot.
func scan(t *testing.T, page string) string {
	t.Helper()
	text := html.UnescapeString(regexp.MustCompile(`<code id="paper">([^<]+)`).FindStringSubmatch(page)[1])
	drawn := regexp.MustCompile(`<figure><svg viewBox="0 0 (\d+) \d+"[^>]*><path d="([^"]+)"`).FindStringSubmatch(page)
	want, err := qr.Encode(text, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	black := map[[2]int]bool{}
	for _, run := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`).FindAllStringSubmatch(drawn[2], -1) {
		var n [3]int
		for i := range n {
			if n[i], err = strconv.Atoi(run[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		for x := range n[2] {
			black[[2]int{n[0] + x, n[1]}] = true
		}
	}
	const quiet = 4
	if drawn[1] != strconv.Itoa(want.Size+2*quiet) {
		t.Errorf("the code is %s wide", drawn[1])
	}
	for y := range want.Size + 2*quiet {
		for x := range want.Size + 2*quiet {
			if black[[2]int{x, y}] != want.Black(x-quiet, y-quiet) {
				t.Fatalf("the dot at %d, %d is wrong", x, y)
			}
		}
	}
	return text
}

func TestAReceiptWithoutItsProofSaysSo(t *testing.T) {
	api, b := open(t)
	id := apitest.EventID(apitest.MixedBallots, 1)
	api.Set(func(a *apitest.API) {
		a.Fail["GET /api/v1/receipts/"+id] = problem.Unavailable("not-signed", "repeat in a moment")
		a.Fail["GET /api/v1/ledger/log"] = problem.Unavailable("not-signed", "repeat in a moment")
	})
	b.shows(b.get("/receipts/"+id), http.StatusOK, "<h1>这张票只收下了一部分", "证明还没有取到", `http-equiv="refresh"`)
	b.shows(b.get("/proof"), http.StatusOK, "暂时读不到")
	b.shows(b.get("/receipts/"+apitest.EventID("ballot-x", 0)), http.StatusNotFound)
	b.shows(b.get("/receipts/x"), http.StatusNotFound)
	api.Set(func(a *apitest.API) {
		a.Fail["GET /api/v1/ledger/search"] = problem.Unavailable("service-unreachable", "down")
	})
	b.shows(b.get("/receipts/"+id), http.StatusServiceUnavailable)
}

func TestTheProofOfTheLedgerSaysHowFarItGoes(t *testing.T) {
	_, b := open(t, func(c *portal.Config) { c.BaseURL = "https://yimu.example/" })
	b.shows(b.get("/proof"), http.StatusOK, "12<u>条记录", "位置 18,204", "apitest.example/log", "不要因为这个网站这么写就相信它",
		"https://yimu.example/api/v1/ledger/extension?old=12", "yimu verify receipt", "yimu verify bundle")
	b.shows(b.get(estate), http.StatusOK, `href="/proof"`, `href="`+estate+`/bundle.zip"`)
	b.shows(b.get(estate+"?at=17000"), http.StatusOK, `href="`+estate+`/bundle.zip?at=17000"`)
}

func TestAPageSaysHowFarItsNumbersAreSigned(t *testing.T) {
	api, b := open(t)
	b.shows(b.get(estate), http.StatusOK, "签名，到位置 <code>18,204</code>", "这些数字都在签名之内", "— apitest.example/log ")
	api.Set(func(a *apitest.API) { a.Signed = 18203 })
	b.shows(b.get(estate), http.StatusOK, "签名，到位置 <code>18,203</code>", "等下一次签名")
	b.shows(b.get(estate+"?at=17000"), http.StatusOK, "这些数字都在签名之内")
	if p := b.get(estate + "/explore"); !strings.Contains(p.text, "检查点") {
		t.Error("a page that reads its estate says nothing of the signature")
	}
}

func TestErrorsSpeakPlainly(t *testing.T) {
	api, b := open(t)
	b.shows(b.get("/nowhere"), http.StatusNotFound, "没有找到这一页")
	b.shows(b.get("/estates/unknown"), http.StatusNotFound, "没有找到这一页")
	b.shows(b.get(estate+"?year=abc"), http.StatusNotFound, "没有找到这一页")
	b.shows(b.get("/receipts/ballot-x/7"), http.StatusNotFound)
	b.shows(b.get("/receipts/ballot-x/x"), http.StatusNotFound)
	api.Set(func(a *apitest.API) {
		a.Fail["GET /api/v1"+estate] = problem.Unavailable("not-caught-up", "wait")
		a.Fail["GET /api/v1/estates"] = problem.Internal
	})
	p := b.get(estate)
	b.shows(p, http.StatusServiceUnavailable, "还没有汇总到这一页", `http-equiv="refresh"`)
	if p.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	b.shows(b.get("/"), http.StatusInternalServerError, "我们这边出了错")
}

func TestAServiceThatDoesNotAnswerLeavesAGapNotAnError(t *testing.T) {
	api, b := open(t)
	api.Set(func(a *apitest.API) {
		for _, rest := range []string{"/budget", "/collection", "/workorders/summary", "/meetings"} {
			a.Fail["GET /api/v1"+estate+rest] = problem.Unavailable("service-unreachable", "down")
		}
	})
	p := b.get(estate)
	b.shows(p, http.StatusOK, "秀山花园", "暂时读不到", "1,126")
	if strings.Contains(p.text, "还没有公开预算") || strings.Contains(p.text, "还没有开过业主大会") {
		t.Error("a service that is down reads as one without papers")
	}
}

func TestATokenThatEndedEndsTheSession(t *testing.T) {
	api, b := open(t)
	b.login(apitest.OwnerCode)
	api.Set(func(a *apitest.API) { a.Fail["GET /api/v1/me"] = problem.Unauthorized("token-ended", "ended") })
	b.shows(b.get("/me"), http.StatusUnauthorized, "去登录")
	b.shows(b.get("/about"), http.StatusOK, "登录")
	if p := b.get("/about"); strings.Contains(p.text, `href="/me"`) {
		t.Error("still logged in")
	}
}

func TestGuessingCodesIsSlowedDown(t *testing.T) {
	_, b := open(t, func(c *portal.Config) { c.LoginsPerMinute = 3 })
	var last page
	for range 5 {
		last = b.post("/login", "code", "guess")
	}
	b.shows(last, http.StatusTooManyRequests, "请求太频繁")
	b.shows(b.do(http.MethodPost, "/api/v1/sessions", strings.NewReader(`{"code":"guess"}`)), http.StatusTooManyRequests) // another door to the same codes
	b.shows(b.get("/"), http.StatusOK)
}

func TestReadingWithoutALoginIsLimitedAndWithATokenIsNot(t *testing.T) {
	_, b := open(t, func(c *portal.Config) { c.ReadsPerMinute = 3 })
	var last page
	for range 5 {
		last = b.get("/api/v1/estates")
	}
	b.shows(last, http.StatusTooManyRequests, "urn:yimu:too-many-requests")
	for range 5 {
		last = b.do(http.MethodGet, "/api/v1/estates", nil, "Authorization", "Bearer "+apitest.OwnerToken)
	}
	b.shows(last, http.StatusOK)
}

func TestAnAddressThatTriesTokensIsHeldUp(t *testing.T) {
	_, b := open(t, func(c *portal.Config) { c.ReadsPerMinute = 3 })
	me := func(token string) page {
		return b.do(http.MethodGet, "/api/v1/me", nil, "Authorization", "Bearer "+token)
	}
	for range 10 {
		b.shows(me(apitest.OwnerToken), http.StatusOK) // a good token is not counted
	}
	for range 3 {
		b.shows(me("guess"), http.StatusUnauthorized)
	}
	last := me("guess")
	b.shows(last, http.StatusTooManyRequests, "urn:yimu:too-many-requests")
	if last.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	b.shows(b.get("/about"), http.StatusOK) // pages are counted by themselves
}

func TestElderModeIsRemembered(t *testing.T) {
	_, b := open(t)
	p := b.get(estate + "?year=2022&elder=1")
	b.shows(p, http.StatusOK, `class="elder"`, "找人帮忙")
	if p.Request.URL.RawQuery != "year=2022" {
		t.Errorf("leads to %s", p.Request.URL)
	}
	b.shows(b.get("/about"), http.StatusOK, `class="elder"`)
}

func TestTheAPIIsOneDocument(t *testing.T) {
	_, b := open(t)
	b.shows(b.get("/api/v1/openapi.json"), http.StatusOK, `"openapi": "3.1.0"`, `"/estates"`, `"url": "/api/v1"`)
	b.shows(b.get("/api/v1/openapi/votes.json"), http.StatusOK)
	b.shows(b.get("/api/v1/nothing"), http.StatusNotFound, "urn:yimu:no-such-path")
}

func TestWhatIsMissingIsSaidAtTheStart(t *testing.T) {
	for name, config := range map[string]portal.Config{
		"sessions": {Clock: time.Now}, "clock": {Sessions: sessions(time.Now)},
		"base URL": {Sessions: sessions(time.Now), Clock: time.Now, BaseURL: "yimu.example"},
		"service":  {Sessions: sessions(time.Now), Clock: time.Now, Services: map[string]http.Handler{"vote": http.NotFoundHandler()}},
	} {
		if _, err := portal.New(config); err == nil {
			t.Errorf("no word about the %s", name)
		}
	}
}
