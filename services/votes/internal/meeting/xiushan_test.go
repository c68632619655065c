package meeting_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// papers is the demo estate.
const papers = "../../../yimu/demo/xiushan"

// figures are those of expected.json that are about votes.
type figures struct {
	Electorate struct {
		Heads int64         `json:"heads"`
		Area  units.CentiM2 `json:"area_centi_m2"`
	} `json:"electorate"`
	Ballots meeting.Summary  `json:"ballots"`
	Motions []map[string]any `json:"motions"`
}

func TestTheDemoEstateGivesTheExpectedFigures(t *testing.T) {
	var want figures
	readJSON(t, "expected.json", &want)
	var paper struct {
		Notice  time.Time      `json:"notice_posted"`
		Opens   time.Time      `json:"opens"`
		Closes  time.Time      `json:"closes"`
		Title   string         `json:"title"`
		Policy  votes.Policy   `json:"policy"`
		Motions []votes.Motion `json:"motions"`
	}
	readJSON(t, "会议.json", &paper)

	roll, err := meeting.BuildRoll("m", readUnits(t), paper.Policy, paper.Motions)
	if err != nil {
		t.Fatal(err)
	}
	if roll.Heads != want.Electorate.Heads || roll.Area != want.Electorate.Area {
		t.Errorf("electorate %d heads, %d; want %+v", roll.Heads, roll.Area, want.Electorate)
	}

	set := civilCode(t)
	var m meeting.Meeting
	for _, cmd := range []interface {
		Decide(meeting.Meeting) ([]votes.Event, error)
	}{
		meeting.DraftMeeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Estate: "e", Title: paper.Title, Policy: paper.Policy, Motions: paper.Motions, Past: true}, Rules: set},
		meeting.FreezeRoll{RollFrozen: votes.RollFrozen{Meeting: "m", Roll: "hash", Heads: roll.Heads, Area: roll.Area, Scopes: roll.Scopes}},
		meeting.PostNotice{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), At: paper.Notice, Opens: paper.Opens, Closes: paper.Closes, Rules: set},
	} {
		list, err := cmd.Decide(m)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			m = meeting.Evolve(m, e)
		}
	}
	if !m.NoticeInTime(set) {
		t.Error("the notice was 17 days before")
	}

	// Each row on its own, into the stream of its head.
	entries := map[string]votes.Entry{}
	for _, e := range roll.Public.Entries {
		entries[e.Entry] = e
	}
	counter := meeting.NewCounter(m, nil)
	states, handed := map[string]meeting.Ballots{}, map[string]meeting.Handed{}
	for i, row := range readRows(t, "选票.csv") {
		at, err := time.ParseInLocation(time.DateTime, row["时间"], units.Shanghai)
		if err != nil {
			t.Fatal(err)
		}
		voter := roll.Voters.Of(row["证件号"])
		list, err := meeting.CastBallot{
			Ballot: strconv.Itoa(i), Meeting: m, Entry: entries[voter.Entry], NoEntry: voter.Reason, Channel: row["渠道"], At: at,
			Choices: []votes.Choice{{Motion: row["议题"], Choice: row["选择"]}},
		}.Decide(states[voter.Entry])
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			states[voter.Entry] = meeting.EvolveBallots(states[voter.Entry], e)
			switch e := e.(type) {
			case votes.BallotCast:
				handed[voter.Entry] = with(handed[voter.Entry], func(h *meeting.Handed) { h.Taken = append(h.Taken, meeting.Taken{BallotCast: e, Opened: true}) })
			case votes.BallotRefused:
				handed[voter.Entry] = with(handed[voter.Entry], func(h *meeting.Handed) { h.Refused = append(h.Refused, e) })
			default:
				t.Fatalf("a ballot became %T", e)
			}
		}
	}
	for id, h := range handed {
		counter.Head(entries[id], h)
	}
	if !reflect.DeepEqual(counter.Summary, want.Ballots) {
		t.Errorf("ballots %+v\nwant %+v", counter.Summary, want.Ballots)
	}
	for i, r := range counter.Results(set) {
		result := fields(t, r)
		for name, value := range want.Motions[i] {
			if result[name] != value {
				t.Errorf("%s %s: %v, want %v", r.Motion, name, result[name], value)
			}
		}
	}

	// Rolls are built again from titles for ever, and their hashes stand in the
	// ledger: how they are numbered and written is not free to change.
	sum := sha256.Sum256(roll.As(meeting.FormHeads).Blob())
	if got := hex.EncodeToString(sum[:]); got != rollHash {
		t.Errorf("the roll is %s, it was %s", got, rollHash)
	}
}

const rollHash = "f9222915cd762f79ee2466ac67987b93a2aa9c22bd5dfa9d4c51034b9c45ce83"

func readUnits(t *testing.T) []electorate.Unit {
	titles := map[string][]registry.Title{}
	for _, row := range readRows(t, "业主名册.csv") {
		title := registry.Title{Person: row["证件号"], Kind: registry.Natural, Votes: row["表决代表"] == "是"}
		if row["证件类型"] == "统一社会信用代码" {
			title.Kind = registry.Legal
		}
		titles[row["房屋编号"]] = append(titles[row["房屋编号"]], title)
	}
	var list []electorate.Unit
	for _, row := range readRows(t, "房屋清册.csv") {
		area, err := units.ParseCentiM2(row["专有部分面积(㎡)"])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, electorate.Unit{
			Unit:   registry.Unit{Code: row["房屋编号"], Building: row["楼栋"], Use: row["用途"], Area: area, State: row["交付状态"]},
			Titles: titles[row["房屋编号"]],
		})
	}
	return list
}

func readRows(t *testing.T, name string) (rows []map[string]string) {
	t.Helper()
	lines, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(read(t, name), []byte("\ufeff")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for i, cell := range line {
			row[lines[0][i]] = cell
		}
		rows = append(rows, row)
	}
	return rows
}

func readJSON(t *testing.T, name string, v any) {
	t.Helper()
	if err := json.Unmarshal(read(t, name), v); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(papers, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fields returns v as the names and values of its JSON.
func fields(t *testing.T, v any) (m map[string]any) {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}
