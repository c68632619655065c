//go:build browser

package main

import (
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/yimu/internal/browser"
)

// TestTrusteesHoldTheKeyInABrowser is of two meetings whose ballots three trustees
// seal: in one two of them come back with their shares, in the other only one.
func TestTrusteesHoldTheKeyInABrowser(t *testing.T) {
	m := assemble(t)
	keepers := []*browser.Person{m.sits(t, "业委会主任", registry.Committee, 390), m.sits(t, "街道经办人", registry.Principal, 390), m.sits(t, "居委会主任", registry.Clerk, 390)}
	opened, sealed := m.drafts(t, "梅苑小区 2026 年第一次业主大会"), m.drafts(t, "梅苑小区 2026 年第二次业主大会")
	for _, meeting := range []string{opened, sealed} {
		m.nameTrustees(t, meeting, keepers)
	}
	keepers[0].Open(m.site.url + opened + "/share").See("抄在纸上")
	m.keep(keepers[0], "share-390", 1100)
	paper := map[string][]string{} // the shares, by meeting
	for _, meeting := range []string{opened, sealed} {
		for _, keeper := range keepers {
			paper[meeting] = append(paper[meeting], m.takeShare(keeper, meeting))
		}
		m.ask(meeting+"/notice", map[string]string{"opens": "2026-03-18T09:00:00+08:00", "closes": "2026-03-25T18:00:00+08:00"})
	}
	keepers[0].Open(m.site.url + opened + "/trustees").Reload("全部领走，本站已经没有密钥")

	m.at("2026-03-18 10:00:00")
	for _, meeting := range []string{opened, sealed} {
		for _, h := range voters[:9] {
			m.vote(t, strings.TrimPrefix(meeting, "/meetings/"), h.code, "赞成")
		}
	}
	keepers[0] = m.sits(t, "业委会主任", registry.Committee, 390)
	keepers[0].Open(m.site.url+opened+"/share").See("它只在你的纸上").Lacks(paper[opened][0], "交出去")

	m.at("2026-03-25 18:02:00")
	keepers[0], keepers[1] = m.sits(t, "业委会主任", registry.Committee, 390), m.sits(t, "街道经办人", registry.Principal, 390)
	keepers[0].Open(m.site.url + opened + "/share").Reload("请照着你的纸输入全部 12 组")
	m.keep(keepers[0], "give-390", 900)
	keepers[0].Fill("我的一份", paper[opened][1]).Follow("交出").See("和你保管的一份对不上")
	keepers[0].Fill("我的一份", strings.ToLower(strings.ReplaceAll(paper[opened][0], "-", " "))).Follow("交出").See("你已经交出这一份")
	anyone := m.browser.Person("anyone", 390)
	anyone.Open(m.site.url + opened + "/trustees").Reload("已交 1 份，需要 2 份").Lacks(paper[opened][0])
	m.keep(anyone, "", 0)
	anyone.Open(m.site.url + opened).See("等待").Lacks("通过")
	keepers[1].Open(m.site.url+opened+"/share").Fill("我的一份", paper[opened][1]).Follow("交出").See("你已经交出这一份")
	anyone.Open(m.site.url + opened + "/trustees").Reload("选票已经开启")
	anyone.Open(m.site.url + opened).Reload("9 / 9 人 · 100.00%").See("通过")

	keepers[0].Open(m.site.url+sealed+"/share").Fill("我的一份", paper[sealed][0]).Follow("交出").See("你已经交出这一份")
	m.at("2026-04-09 18:03:00")
	anyone.Open(m.site.url + sealed + "/trustees").Reload("规定期限内没有凑齐，选票没有开启，这次表决不形成决定")
	m.keep(anyone, "", 0)
	anyone.Open(m.site.url+sealed).See("没有在规定期限内交齐所需份数").Lacks("通过", "赞成", "项选择", "不到三分之二")
	m.keep(anyone, "unopened-390", 1500)
}

// drafts is a meeting of one motion, drafted and its roll frozen; it returns its path.
func (m *assembly) drafts(t *testing.T, title string) string {
	t.Helper()
	meeting := "/meetings/" + m.ask("/estates/"+m.estate+"/meetings", map[string]any{
		"title": title, "policy": votes.Policy{Revote: "first-ballot-stands", PaperAndElectronic: "paper-stands", Unreturned: votes.UnreturnedNone},
		"motions": []map[string]string{{"id": "M1", "title": "选聘物业服务企业", "matter": "民法典278-1-4", "scope": "estate"}},
	}).ID
	m.ask(meeting+"/roll", nil)
	return meeting
}

// nameTrustees has the committee name three people, one of each party, by the numbers
// on their own pages.
func (m *assembly) nameTrustees(t *testing.T, meeting string, keepers []*browser.Person) {
	t.Helper()
	committee := m.sits(t, "业委会委员", registry.Committee, 1280)
	committee.Open(m.site.url + meeting + "/trustees").Reload("指定保管人")
	for i, keeper := range keepers {
		keeper.Open(m.site.url + "/me")
		committee.FillIn("第 "+string(rune('1'+i))+" 份", "保管人的编号", keeper.Read(".soft code"))
	}
	m.keep(committee, "", 0)
	committee.Follow("分出密钥").See("已有 0 份领走")
}

// takeShare has a trustee copy their share, and returns it.
func (m *assembly) takeShare(keeper *browser.Person, meeting string) string {
	keeper.Open(m.site.url + meeting + "/trustees").Reload("我保管的一份").Follow("我保管的一份").See("抄在纸上")
	groups := strings.Fields(keeper.Read(".share"))
	if len(groups) != 12 {
		m.t.Fatalf("a share is of the groups %q", groups)
	}
	keeper.Fill("输入最后一组", "AAAAA").Follow("我已抄好").See("和你保管的一份对不上", groups[0])
	keeper.Fill("输入最后一组", groups[11]).Follow("我已抄好").See("它只在你的纸上").Lacks(groups[0])
	return strings.Join(groups, "-")
}
