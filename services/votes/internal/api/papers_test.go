package api

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

const ballotHead = "时间,渠道,房屋编号,证件号,议题,选择\n"

// Whatever a list of ballots holds, a row that can be read is one ballot, taken or
// refused with its reason, and says nothing that is no choice.
func FuzzBallots(f *testing.F) {
	f.Add([]byte(ballotHead + "2023-01-14 09:00:11,纸质,2-2-502,X00000000000000089,M1,赞成\n"))
	f.Add([]byte(ballotHead + "2023-01-29 09:00:11,电子,,X00000000000000089,M9,也许\n2023/1/14 9:00,会议,1-1-101,X1,M1,反对\n"))
	f.Add([]byte("时间,渠道,证件号,议题,选择\n\"1\n\",=1,x,y,z\n"))
	opens := time.Date(2023, 1, 14, 1, 0, 0, 0, time.UTC)
	m := meeting.Meeting{
		MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Past: true, Motions: []votes.Motion{{ID: "M1", Scope: meeting.Estate}}},
		Notice:         votes.NoticePosted{At: opens.AddDate(0, 0, -16), Opens: opens, Closes: opens.AddDate(0, 0, 14)},
	}
	m.Policy = votes.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands}
	f.Fuzz(func(t *testing.T, file []byte) {
		sheet, err := paper.Read("选票.csv", file, ballotColumns)
		if err != nil {
			return
		}
		for _, r := range sheet.Rows {
			b := readBallot(r)
			if !r.OK() {
				continue
			}
			if !slices.Contains([]string{votes.Electronic, votes.Paper, votes.InMeeting}, b.channel) || b.document == "" || b.at.IsZero() {
				t.Fatalf("%+v", b)
			}
			events, err := meeting.CastBallot{
				Ballot: "b", Meeting: m, Entry: votes.Entry{Entry: "1", Area: 100}, Channel: b.channel, At: b.at, Choices: []votes.Choice{b.choice},
			}.Decide(meeting.Ballots{})
			if err != nil || len(events) != 1 {
				t.Fatalf("%+v: %v %v", b, events, err)
			}
			if cast, ok := events[0].(votes.BallotCast); ok && (b.choice.Motion != "M1" || !slices.Contains([]string{votes.Yes, votes.No, votes.Abstain}, cast.Choices[0].Choice)) {
				t.Fatalf("taken: %+v", cast)
			}
		}
	})
}

// Whatever 会议.json holds, it is no paper, or a meeting whose motions the rules know,
// or it is said what is wrong.
func FuzzMeetingPaper(f *testing.F) {
	paperOf := meetingPaper{
		Title: "第一次会议", Notice: "2022-12-28T10:00:00+08:00", Opens: "2023-01-14 09:00", Closes: "2023-01-28T18:00:00+08:00",
		Policy:  votes.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands},
		Motions: []MotionIn{{ID: "M1", Title: "选聘", Matter: "民法典278-1-4", Scope: meeting.Estate, Rule: "ordinary"}},
	}
	seed, err := json.Marshal(paperOf)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"title":"x","opens":"yesterday","motions":[{"id":"M1","scope":"building:","matter":"民法典278-1-99"}]}`))
	f.Add([]byte(`{"motions":[{"id":"M1","seats":-1,"candidates":[{}],"scope":"units","units":["","1"]}]}`))
	f.Add([]byte("[]"))
	set, _ := rules.InForce("2023-01-14")
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := paper.ReadJSON[meetingPaper](file)
		if err != nil {
			return
		}
		if w, err := p.window(); err == nil && (w.At.IsZero() && p.Notice == "" || w.Opens.IsZero() && p.Opens == "") {
			t.Fatalf("%+v has the times %+v", p, w)
		}
		events, err := Draft{Title: p.Title, Policy: p.Policy, Motions: p.Motions, Convened: p.Convened}.command("m", "e", true, set).Decide(meeting.Meeting{})
		if err != nil {
			if e, ok := errors.AsType[*problem.Error](err); !ok || len(e.Fields) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		drafted := events[0].(votes.MeetingDrafted)
		if drafted.Title == "" || len(drafted.Motions) == 0 || len(drafted.Motions) != len(p.Motions) {
			t.Fatalf("%+v", drafted)
		}
		for _, m := range drafted.Motions {
			if _, ok := set.Matters[m.Matter]; !ok {
				t.Fatalf("%+v", m)
			}
		}
	})
}
