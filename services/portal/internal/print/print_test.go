package print

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	reader "github.com/ledongthuc/pdf"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/pdf"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

var (
	posted = time.Date(2030, 5, 1, 12, 0, 0, 0, units.Shanghai)
	opens  = posted.AddDate(0, 0, 16)
	closes = posted.AddDate(0, 0, 30)
)

func notice(unreturned string) Notice {
	return Notice{Estate: "秀山花园", Address: "https://yimu.example.org", Office: "物业前台 028-12345678", Meeting: client.Meeting{
		ID: "3f0c1d0a-5b1e-4c7a-9d20-6f1a00013556", Title: "2030 年第一次业主大会会议", Notice: &posted, Opens: &opens, Closes: &closes, RuleSet: "cn-2021",
		Policy:  client.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands, Unreturned: unreturned},
		Motions: []client.Motion{{ID: "M1", Title: "是否同意选聘新的物业服务人", Matter: "民法典278-1-4", Rule: "ordinary", Scope: "estate"}},
	}}
}

// text returns what a document says, page by page and without spaces.
func text(t *testing.T, set func(*pdf.Document)) (pages []string) {
	t.Helper()
	var b bytes.Buffer
	d := pdf.New(&b, pdf.Info{Title: "公告", Made: posted})
	set(d)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := reader.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for n := range r.NumPage() {
		page := ""
		for _, part := range r.Page(n + 1).Content().Text {
			page += part.S
		}
		pages = append(pages, strings.ReplaceAll(page, " ", ""))
	}
	return pages
}

func has(t *testing.T, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
}

func TestTheNoticeSaysWhatIsVotedOnWhenAndByWhichRules(t *testing.T) {
	got := strings.Join(text(t, notice(votes.UnreturnedNone).Post), "")
	has(t, got, "业主大会会议公告", "秀山花园", "是否同意选聘新的物业服务人", "民法典第二百七十八条第一款第（四）项", "全体业主", "一般事项（过半数）", "三分之二以上",
		"投票开始：2030年5月17日12:00", "投票截止：2030年5月31日12:00", "同一渠道重复投票，先投的算数", "没有交回的票不计入任何一方", "纸质票", "028-12345678",
		"https://yimu.example.org/meetings/3f0c1d0a-5b1e-4c7a-9d20-6f1a00013556", "2030年5月1日")
	if strings.Contains(got, "#") {
		t.Error("a code is on the wall")
	}
	if strings.Contains(got, "召集人：") {
		t.Error("who calls it is named, and was not said")
	}
	n := notice(votes.UnreturnedNone)
	n.Meeting.Kind, n.Meeting.Convener, n.Meeting.AskedByOwners = votes.Special, votes.OfResidents, true
	has(t, strings.Join(text(t, n.Post), ""), "临时会议，居民委员会召集，百分之二十以上的业主提议召开。", "业主大会召集人：居民委员会2030年5月1日")
}

func TestALetterIsToAUnitAndWarnsOfWhatSilenceMeans(t *testing.T) {
	n := notice(votes.UnreturnedWithMajority)
	n.Office = ""
	got := strings.Join(text(t, func(d *pdf.Document) {
		n.Letter(d, client.Letter{Entry: "12", Units: []string{"1-1-101", "P-7"}, Area: 10150, Code: "ABCD-EFGH-IJKL-MNOP"})
	}), "")
	has(t, got, "致：1-1-101、P-7业主", "名册第12号", "101.50㎡", "一次性投票码：ABCD-EFGH-IJKL-MNOP", "/meetings/3f0c1d0a-5b1e-4c7a-9d20-6f1a00013556/code", "计入已投票中多数的一方", "只能用一次")
	if strings.Contains(got, "地点和电话") {
		t.Error("an office that is not named is named")
	}
}

func TestWhoHasNoCodeIsToldToVoteOnPaper(t *testing.T) {
	many := make([]string, 40)
	for i := range many {
		many[i] = fmt.Sprintf("2-1-%d", i)
	}
	got := strings.Join(text(t, func(d *pdf.Document) { notice("").Letter(d, client.Letter{Entry: "1", Units: many}) }), "")
	has(t, got, "等40套业主", "请用纸质票")
	if strings.Contains(got, "投票码：") {
		t.Error("a code that is none")
	}
}

func TestEachLetterBeginsOnAPageOfItsOwn(t *testing.T) {
	pages := text(t, func(d *pdf.Document) {
		for i := range 3 {
			notice("").Letter(d, client.Letter{Entry: fmt.Sprint(i + 1), Units: []string{fmt.Sprintf("1-1-%d", i)}, Name: "王堃", Code: "ABCD-EFGH-IJKL-MNOP"})
		}
	})
	to := 0
	for _, p := range pages {
		if strings.Contains(p, "致：") {
			to++
			has(t, p, "业主王堃", "第1页")
		}
	}
	if to != 3 {
		t.Errorf("%d letters on %d pages", to, len(pages))
	}
}
