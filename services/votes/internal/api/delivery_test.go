package api

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

const deliveryHead = "房号,方式,时间,凭证哈希,告知,未送达原因,下一步\n"

var aHash = strings.Repeat("ab", 32)

func TestARowOfARoundSaysThatANoticeArrivedOrWhyNot(t *testing.T) {
	for row, want := range map[string]string{
		"1-101,当面签收,2030-05-02 19:00," + aHash + ",否,,":      "",
		"1-101,邮寄,2030/5/2 19:00," + aHash + ",,,":           "",
		"1-101,当面签收,2030-05-02 19:00,,,无人在家,再次上门":            "",
		"1-101,当面签收,2030-05-02 19:00,,,,":                    "proof-missing",
		"1-101,当面签收,2030-05-02 19:00,,,无人在家,":                "next-missing",
		"1-101,当面签收,2030-05-02 19:00,,,,再次上门":                "why-missing",
		"1-101,当面签收,2030-05-02 19:00," + aHash + ",,拒收,再次上门": "delivered-or-not",
		"1-101,当面签收,2030-05-02 19:00,,是,拒收,再次上门":             "delivered-or-not",
		"1-101,公告张贴,2030-05-02 19:00," + aHash + ",,,":       "not-a-choice",
		"1-101,应用确认,2030-05-02 19:00,,,,":                    "not-a-choice",
		"1-101,当面签收,昨天," + aHash + ",,,":                     "not-a-time",
		"1-101,当面签收,2030-05-02 19:00,签名.jpg,,,":              "not-a-hash",
		"1-101,当面签收,2030-05-02 19:00,,,出国了,再次上门":             "not-a-choice",
		",当面签收,2030-05-02 19:00," + aHash + ",,,":            "cell-blank",
	} {
		sheet, err := paper.Read("送达.csv", []byte(deliveryHead+row+"\n"), deliveryColumns)
		if err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		r := sheet.Rows[0]
		readDelivery(r)
		got := ""
		if errs := r.Errors(); len(errs) > 0 {
			got = errs[0].Code
		}
		if got != want {
			t.Errorf("%s: %q, want %q", row, got, want)
		}
	}
}

func FuzzARoundOfDeliveries(f *testing.F) {
	f.Add([]byte(deliveryHead + "1-101,当面签收,2030-05-02 19:00," + aHash + ",是,,\n"))
	f.Add([]byte(deliveryHead + "1-102,邮寄,2030年5月2日 9:00,,否,退件,张贴公告\n"))
	f.Add([]byte("房号,方式,时间,凭证\n\"1\n\",=1,x,y\n"))
	noon := time.Date(2030, 5, 1, 4, 0, 0, 0, time.UTC)
	m := meeting.Meeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m"}, Notice: votes.NoticePosted{At: noon, Opens: noon.AddDate(0, 0, 15), Closes: noon.AddDate(0, 0, 30)}}
	hash := regexp.MustCompile(`^([0-9a-f]{64})?$`)
	f.Fuzz(func(t *testing.T, file []byte) {
		sheet, err := paper.Read("送达.csv", file, deliveryColumns)
		if err != nil {
			return
		}
		for _, r := range sheet.Rows {
			d := readDelivery(r)
			if !r.OK() {
				continue
			}
			if d.house == "" || !hash.MatchString(d.proof) || (d.why == "") == (d.proof == "") {
				t.Fatalf("%+v", d)
			}
			d.entry = votes.Entry{Entry: "1"}
			events, err := d.command(m, noon.AddDate(0, 0, 20)).Decide(meeting.Ballots{})
			if (err == nil) != (len(events) == 1) {
				t.Fatalf("%v %v", events, err)
			}
		}
	})
}
