package pages

import (
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

func TestAMeetingSaysHowFarIsWhatFollows(t *testing.T) {
	model := func(state, outcome string, followed ...client.Followed) MeetingModel {
		m := MeetingModel{Posted: true, Followed: followed}
		m.Meeting.State = state
		r := client.Result{Motion: "M1"}
		r.Outcome = outcome
		m.Results = []client.Result{r}
		return m
	}
	became := client.Followed{Decision: client.Decision{Motion: "M1", At: time.Date(2030, 6, 20, 1, 0, 0, 0, time.UTC)}}
	done, refused := became, became
	done.Done = true
	refused.Refused = &struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	}{Code: "agreement-ended"}
	for _, c := range []struct {
		name string
		m    MeetingModel
		want string
	}{
		{"a motion that was not adopted leads to nothing", model("final", votes.NotAdopted), "没有通过，不办理。"},
		{"nor does one without a valid decision", model("final", votes.NoDecision), "没有通过，不办理。"},
		{"nothing is done while owners may object", model("posted", votes.Adopted), "通过了。结果终定以后才办理：现在业主还可以提出异议。"},
		{"what is final and not done yet is being done", model("final", votes.Adopted), "结果已经终定，正在办理。"},
		{"what is done says since when", model("filed", votes.Adopted, done), "已经办理，2030-06-20 生效。"},
		{"what was refused says why", model("final", votes.Adopted, refused), "没有办成：合同在决定生效以前已经终止。请业主委员会处理。"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := followingWords(Chinese, c.m, "M1"); got != c.want {
				t.Errorf("it says %q, want %q", got, c.want)
			}
		})
	}
}
