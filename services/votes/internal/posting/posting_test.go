package posting_test

import (
	"bytes"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/internal/posting"
)

func TestAComparisonIsSpelledOut(t *testing.T) {
	for want, s := range map[string]meeting.Step{
		"参与人数：3 × 760 = 2280 ≥ 2 × 976 = 1952，达到": {
			Test: "quorum", Measure: "heads", Left: meeting.Term{Factor: 3, Value: 760, Product: 2280}, Compare: "≥", Right: meeting.Term{Factor: 2, Value: 976, Product: 1952}, Met: true},
		"同意面积（单位 0.01 ㎡）：2 × 50 = 100 ≤ 1 × 100 = 100，未达到": {
			Test: "approval", Measure: "area_centi_m2", Left: meeting.Term{Factor: 2, Value: 50, Product: 100}, Compare: "≤", Right: meeting.Term{Factor: 1, Value: 100, Product: 100}},
	} {
		if got := posting.Arithmetic(s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAShareIsRoundedDown(t *testing.T) {
	for want, of := range map[string][2]int64{"66.66%": {666_666, 1_000_000}, "75.36%": {77_530, 102_870}, "100.00%": {9, 9}, "0.00%": {0, 9}, "": {0, 0}} {
		if got := posting.Share(of[0], of[1]); got != want {
			t.Errorf("%d of %d is %q, want %q", of[0], of[1], got, want)
		}
	}
}

func result(list iter.Seq2[posting.Vote, error]) posting.Result {
	now := time.Date(2031, 4, 1, 9, 0, 0, 0, time.UTC)
	return posting.Result{
		Meeting: meeting.Meeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Title: "业主大会"}, Notice: votes.NoticePosted{At: now, Opens: now, Closes: now}},
		Results: []meeting.Result{
			{Motion: "M1", Title: "选聘物业", Scope: "estate", ElectorateHeads: 3, ElectorateArea: 300, Figures: meeting.Figures{ParticipatingHeads: 2, ParticipatingArea: 200, YesHeads: 2, YesArea: 200, Outcome: votes.Adopted}},
			{Motion: "M2", Title: "选举", Scope: "building:2", Election: &meeting.ElectionResult{Seats: 1, Candidates: []meeting.CandidateResult{{Status: "未当选"}}}},
		},
		Objections: []meeting.Objection{{ResultObjected: votes.ResultObjected{Objection: "o", Entry: "1", Posting: 1, At: now}}},
		Votes:      list, Made: now,
	}
}

func TestAResultIsSetOnPaper(t *testing.T) {
	vote := posting.Vote{Entry: "1", Units: []string{"1-1"}, Area: 100, Channel: votes.Paper, Choices: []votes.Choice{{Motion: "M1", Choice: votes.Yes}}}
	var short, long bytes.Buffer
	if err := posting.Write(&short, result(nil)); err != nil {
		t.Fatal(err)
	}
	err := posting.Write(&long, result(func(yield func(posting.Vote, error) bool) {
		for range 500 {
			if !yield(vote, nil) {
				return
			}
		}
	}))
	if err != nil || !bytes.HasPrefix(short.Bytes(), []byte("%PDF-")) || long.Len() < short.Len()+10_000 {
		t.Errorf("%d bytes, with votes %d: %v", short.Len(), long.Len(), err)
	}
}

func TestWhatCannotBeReadIsNoPosting(t *testing.T) {
	broken := errors.New("gone")
	err := posting.Write(&bytes.Buffer{}, result(func(yield func(posting.Vote, error) bool) { yield(posting.Vote{}, broken) }))
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
