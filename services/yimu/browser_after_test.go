//go:build browser

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/services/yimu/internal/browser"
)

// object is of the owner of 1-1-201, in whose name somebody handed in a paper: it is
// set aside, and the motion that failed by it passes.
func object(t *testing.T, m *assembly) {
	m.objector = m.sits(t, "1-1-201", "", 390)
	owner := m.objector
	owner.Open(m.meeting).Follow("对结果提出异议").Fill("针对什么", "M2 把架空层改成老年活动室").Fill("哪里不对", "我家没有交过纸质票,签名不是我的")
	m.keep(owner, "", 0)
	owner.Follow("提交异议").See("名册第 3 号", "针对 M2", "等待答复").Lacks("签名不是我的")

	committee := m.sits(t, "业委会", registry.Committee, 1280)
	committee.Open(m.meeting + "/desk").Reload("请逐条答复").Follow("宣布终定").See("请先逐条答复")
	committee.Follow("查看原话").See("签名不是我的")
	committee.Fill("答复", "核对笔迹,签名确实不是业主本人。这张票从计票中剔除,重新公示。").Follow("答复：异议成立").See("请撤回结果")
	owner.Open(m.meeting).Reload("异议成立").See("签名确实不是业主本人").Lacks("我家没有交过")
	committee.Follow("宣布终定").See("请先撤回结果")
	committee.Click("撤回公示的结果").Fill("为什么撤回", "有一张纸质票不是业主本人所投").Follow("撤回结果").See("原来公示的结果已经撤回")

	committee.Follow("依成立的异议重新计票").Fill("名册序号", "3").Follow("查这位业主的票").Choose("哪一张票", "纸质").Fill("为什么", "签名不是业主本人的")
	m.keep(committee, "recount-1280", 1500)
	committee.Follow("从计票中剔除").See("已经重新计算", "依成立的异议剔除的票")
	committee.Follow("会议工作台").Follow("已经张贴，登记").See("结果正在公示")
	committee.Open(m.meeting).See("第 2 次，更正后", "7 / 9 人 · 77.77%", "签名不是业主本人的").Lacks("未通过")
	m.keep(committee, "recounted-1280", 2400)
	committee.Open(m.meeting + "/desk").Follow("宣布终定").See("结果已经终定")
}

func lookBack(t *testing.T, m *assembly) {
	m.at("2026-04-02 10:00:00")
	m.takes(t, fstest.MapFS{"收支凭证.csv": {Data: []byte(voucherHeadings + "2026-03-30,PZ003,支出,设施维修,1850.00,电梯换钢丝绳,示例电梯公司,\n")}})
	regulator := m.sits(t, "监管员", registry.Regulator, 1280)
	estate := m.site.url + "/estates/" + m.estate
	regulator.Open(estate).Reload("−350.00元")

	// The slider, by keyboard: all the way back, where there was no estate yet, and a tenth.
	regulator.TabTo("左边是最早的记录").Press(browser.Home).TabTo("看那时的账").Enter().See("那个时候看不了")
	m.keep(regulator, "", 0)
	regulator.Open(estate).TabTo("左边是最早的记录").Press(browser.PageDown).TabTo("看那时的账").Enter().See("这是过去的样子", "1,500.00元").Lacks("−350.00元")
	m.keep(regulator, "past-1280", 1600)
	regulator.Fill("选一天", "2026-03-20").Follow("看那一天的账").See("这是过去的样子", "1,500.00元")
	regulator.Follow("比较两个时间的账").Fill("较早：哪一天结束时", "2026-03-20").Follow("比较").See("1,500.00", "−350.00", "变了")
	m.keep(regulator, "", 0)

	// From a search to the life of the meeting, to one event and its receipt.
	regulator.Open(estate).Follow("逐条查账本").See("小区是“梅苑小区”").Fill("记录的是什么", "撤回结果，和原因").Follow("查").See("查到的记录")
	m.keep(regulator, "", 0)
	regulator.Follow("撤回结果，和原因 2026").See("先后和因果", "起因", "张贴结果").Lacks("业主1-1")
	m.keep(regulator, "life-1280", 1700)
	regulator.Click("原始内容").See("内容指纹")
	regulator.Follow("这条记录的回执").See("已经记入账本", "这份回执证明什么")
	m.keep(regulator, "", 0)

	m.wantEvidence(t, regulator)
}

// wantEvidence has someone download all the evidence of the estate, and checks it
// as they do, without the site.
func (m *assembly) wantEvidence(t *testing.T, p *browser.Person) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "evidence.zip")
	p.Open(m.site.url + "/estates/" + m.estate)
	if err := os.WriteFile(file, p.Download(func() { p.Click("全部证据 (ZIP)") }), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Open(m.site.url + "/proof")
	key := p.Read("dd p code")
	if status, report := verifiedBundle(t, file, key); status != 0 || !report.OK || !report.Checked.Rules || report.Checked.Figures == 0 {
		t.Errorf("the evidence is not good: status %d, %+v", status, report)
	}
}

// erase is of the objector, a year after the meeting: until then a court might be asked.
func erase(t *testing.T, m *assembly) {
	m.at("2027-05-06 10:00:00")
	owner := m.sits(t, "1-1-201", "", 390)
	person := m.owner("1-1-201")
	owner.See("业主1-1-201", person)
	m.takes(t, fstest.MapFS{"业主名册.csv": {Data: []byte(titleHeadings + titleOf("1-1-201", "新邻居"))}})
	if err := (&eraseCmd{Person: person, Ground: registry.OnRequest, Server: m.site.url, Token: m.demo.token}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	owner.Reload("这一步需要先登录").Lacks("业主1-1-201")

	// What they wrote nobody reads any more; what they did stays, and is proved.
	committee := m.sits(t, "业委会", registry.Committee, 1280)
	committee.Open(m.meeting + "/desk").Follow("查看原话").See("这位业主已经注销，原话谁也看不到了").Lacks("签名不是我的")
	m.keep(committee, "", 0)
	reader := m.browser.Person("who reads a receipt a year later", 390).With(t)
	reader.Open(m.receipt).See("你的票已经记入账本", "这份回执证明什么")
	reader.Open(m.site.url + "/trail/person-" + person).See("个人信息的注销").Lacks("业主1-1-201")
	m.keep(reader, "", 0)
	m.wantEvidence(t, reader)
	if strings.Contains(m.receipt, person) {
		t.Error("the address of a receipt names who voted")
	}
}
