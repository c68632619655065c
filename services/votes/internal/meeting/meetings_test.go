package meeting_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// assembly is a live meeting under way, decided by the commands as the service
// does it; entry n of its roll is home n.
type assembly struct {
	t      *testing.T
	set    meeting.RuleSet
	m      meeting.Meeting
	roll   meeting.Roll
	state  map[string]meeting.Ballots
	handed map[string]meeting.Handed
	clock  time.Time
}

// homes of building 5, each with one owner.
func homes(areas ...units.CentiM2) (list []electorate.Unit) {
	for i, area := range areas {
		code := "5-1-" + strconv.Itoa(101+i)
		list = append(list, electorate.Unit{
			ID:     code,
			Unit:   registry.Unit{Code: code, Building: "5", Use: registry.Home, Area: area, State: registry.Delivered},
			Titles: []registry.Title{{Person: "owner-" + strconv.Itoa(i+1), Kind: registry.Natural, Votes: true}},
		})
	}
	return list
}

// of is n times the same area.
func of(n int, area units.CentiM2) []units.CentiM2 { return slices.Repeat([]units.CentiM2{area}, n) }

// call drafts a meeting, freezes its roll, posts its notice and opens it.
func call(t *testing.T, set meeting.RuleSet, all []electorate.Unit, policy votes.Policy, motions ...votes.Motion) *assembly {
	t.Helper()
	a := &assembly{t: t, set: set, state: map[string]meeting.Ballots{}, handed: map[string]meeting.Handed{}, clock: opens}
	roll, err := meeting.BuildRoll("m", all, policy, motions)
	if err != nil {
		t.Fatal(err)
	}
	a.roll = roll
	for _, cmd := range []interface {
		Decide(meeting.Meeting) ([]votes.Event, error)
	}{
		meeting.DraftMeeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Estate: "e", Title: "业主大会", Policy: policy, Motions: motions}, Rules: set},
		meeting.FreezeRoll{RollFrozen: votes.RollFrozen{Meeting: "m", Roll: "hash", Heads: roll.Heads, Area: roll.Area, Scopes: roll.Scopes}},
		meeting.PostNotice{Now: noon, Opens: opens, Closes: closes, Rules: set},
	} {
		events, err := cmd.Decide(a.m)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			a.m = meeting.Evolve(a.m, e)
		}
	}
	return a
}

// entry is that of a home.
func (a *assembly) entry(home int) votes.Entry { return a.roll.Public.Entries[home-1] }

// vote casts the ballot of a home, as the choices are opened after the close.
func (a *assembly) vote(home int, choices ...votes.Choice) {
	a.t.Helper()
	a.record(home, meeting.CastBallot{Channel: votes.Electronic, Choices: choices})
}

// paper hands in an envelope of a home and enters what is in it, or that it is void.
func (a *assembly) paper(home int, void []string, choices ...votes.Choice) {
	a.t.Helper()
	a.clock = a.clock.Add(time.Minute)
	number := strconv.Itoa(home)
	envelope := number + "/" + a.clock.String()
	a.note(number, nil, votes.PaperHandedIn{Meeting: "m", Entry: number, Envelope: envelope, At: a.clock})
	for _, clerk := range []string{"an", "bo"} {
		events, err := meeting.EnterPaper{
			Meeting: a.m, Partial: true, Entry: a.entry(home), Envelope: envelope, By: clerk, Scan: scan,
			Choices: choices, Void: void, Marks: marks(a.m, a.entry(home), choices, void), Sealed: "sealed",
		}.Decide(a.state[number])
		if err != nil {
			a.t.Fatal(err)
		}
		a.note(number, choices, events...)
	}
}

func (a *assembly) record(home int, c meeting.CastBallot) {
	a.t.Helper()
	a.clock = a.clock.Add(time.Minute)
	number := strconv.Itoa(home)
	c.Ballot, c.Meeting, c.Entry, c.At, c.Sealed = number+"/"+a.clock.String(), a.m, a.entry(home), a.clock, "sealed"
	c.Partial = true
	events, err := c.Decide(a.state[number])
	if err != nil {
		a.t.Fatal(err)
	}
	a.note(number, c.Choices, events...)
}

func (a *assembly) note(number string, said []votes.Choice, events ...votes.Event) {
	h := a.handed[number]
	for _, e := range events {
		a.state[number] = meeting.EvolveBallots(a.state[number], e)
		switch e := e.(type) {
		case votes.PaperHandedIn:
			h.Envelopes = append(h.Envelopes, e.At)
		case votes.PaperEntered: // until two are alike
		case votes.BallotRefused:
			h.Refused = append(h.Refused, e)
		case votes.BallotCast:
			e.Choices = said
			h.Taken = append(h.Taken, meeting.Taken{BallotCast: e, Opened: true})
		default:
			a.t.Fatalf("a ballot became %T", e)
		}
	}
	a.handed[number] = h
}

// count counts what came in; warned are homes whose owners were delivered to and warned.
func (a *assembly) count(warned ...int) ([]meeting.Result, meeting.Summary) {
	entries := map[string]votes.Entry{}
	for _, home := range warned {
		entries[strconv.Itoa(home)] = a.entry(home)
	}
	counter := meeting.NewCounter(a.m, entries)
	for number, h := range a.handed {
		home, _ := strconv.Atoi(number)
		counter.Head(a.entry(home), h)
	}
	return counter.Results(a.set), counter.Summary
}

// withRules returns national and local rules with lines of the owners' own.
func withRules(t *testing.T, place string, own map[string]any) meeting.RuleSet {
	t.Helper()
	var local meeting.RuleSet
	if place != "" {
		local = template(t, place)
	}
	lines := map[string]meeting.Line{}
	for name, value := range own {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		lines[name] = meeting.Line{Value: text, Source: "业主大会议事规则", Basis: meeting.Read}
	}
	document := ""
	if len(lines) > 0 {
		document = "hash of the rules of procedure"
	}
	set, err := meeting.Compose(civilCode(t), local, meeting.Own{Document: document, Lines: lines})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// plain are the policies of a meeting where nothing is special.
var plain = votes.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands, Unreturned: votes.UnreturnedNone}

func arithmetic(t *testing.T, what string, got []meeting.Step, want ...string) {
	t.Helper()
	var lines []string
	for _, s := range got {
		term := func(t meeting.Term) string {
			return strconv.FormatInt(t.Factor, 10) + " × " + strconv.FormatInt(t.Value, 10) + " = " + strconv.FormatInt(t.Product, 10)
		}
		lines = append(lines, s.Test+": "+term(s.Left)+" "+s.Compare+" "+term(s.Right))
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%s:\n%q, want\n%q", what, lines, want)
	}
}

// A committee of five of twelve homes in 杭州, seven candidates, by rules that let
// a ballot approve no more candidates than there are seats.
//
//	homes 1–6 have 80.00 ㎡, homes 7–12 have 120.00 ㎡: 12 heads, 1,200.00 ㎡
//	homes 1–10 vote: 10 heads, 6×80 + 4×120 = 960.00 ㎡
//	quorum: 3 × 10 = 30 ≥ 2 × 12 = 24; 3 × 96,000 = 288,000 ≥ 2 × 120,000 = 240,000
//	a candidate passes with 2 × heads > 10 and 2 × area > 96,000
//
//	c1 by homes 1–10:          10 heads, 96,000: 20 > 10, 192,000 > 96,000   1st, elected
//	c2 by homes 1–9:            9 heads, 84,000: 18 > 10, 168,000 > 96,000   2nd, elected
//	c3 by homes 3–10:           8 heads, 80,000: 16 > 10, 160,000 > 96,000   3rd, elected
//	c4 by homes 1–7:            7 heads, 60,000: 14 > 10, 120,000 > 96,000   4th, elected
//	c5 by homes 4–10:           7 heads, 72,000: 14 > 10, 144,000 > 96,000   4th, too: both have a seat
//	c6 by homes 1–3 and 8–10:   6 heads, 60,000: 12 > 10, 120,000 > 96,000   6th, substitute
//	c7 by homes 1, 2 and 10:    3 heads, 28,000:  6 ≤ 10                     not elected
//
// Home 11 approves six: its ballot is void, and does not take part. Home 12 is silent.
func TestAnElectionWithSubstitutes(t *testing.T) {
	set := withRules(t, "hangzhou.2", map[string]any{"election.approvals_within_seats": true})
	motion := votes.Motion{ID: "M1", Title: "选举业主委员会", Matter: "民法典278-1-3", Scope: meeting.Estate}
	motion.Seats, motion.Approvals = 5, 5
	for i := range 7 {
		motion.Candidates = append(motion.Candidates, votes.Candidate{ID: "c" + strconv.Itoa(i+1), Unit: "5-1-" + strconv.Itoa(101+i)})
	}
	a := call(t, set, homes(append(of(6, 8000), of(6, 12000)...)...), plain, motion)
	between := func(home, from, to int) bool { return from <= home && home <= to }
	for home := 1; home <= 10; home++ {
		var choices []votes.Choice
		for id, yes := range map[string]bool{
			"c1": true, "c2": between(home, 1, 9), "c3": between(home, 3, 10), "c4": between(home, 1, 7), "c5": between(home, 4, 10),
			"c6": between(home, 1, 3) || between(home, 8, 10), "c7": between(home, 1, 2) || home == 10,
		} {
			if yes {
				choices = append(choices, votes.Choice{Motion: "M1", Candidate: id, Choice: votes.Yes})
			}
		}
		if between(home, 4, 5) {
			choices = append(choices, votes.Choice{Motion: "M1", Candidate: "c7", Choice: votes.No})
		}
		if home == 3 {
			a.paper(home, nil, choices...)
		} else {
			a.vote(home, choices...)
		}
	}
	var six []votes.Choice
	for i := range 6 {
		six = append(six, votes.Choice{Motion: "M1", Candidate: "c" + strconv.Itoa(i+1), Choice: votes.Yes})
	}
	a.vote(11, six...)

	results, summary := a.count()
	if want := map[votes.Reason]int{votes.TooManyApproved: 1}; summary.Accepted != 10 || !reflect.DeepEqual(summary.Reasons, want) {
		t.Errorf("summary %+v", summary)
	}
	if want := (meeting.PaperCount{HandedIn: 1, Counted: 1}); summary.Paper == nil || *summary.Paper != want {
		t.Errorf("paper %+v", summary.Paper)
	}
	r := results[0]
	if r.Outcome != votes.Adopted || r.ParticipatingHeads != 10 || r.ParticipatingArea != 96000 || r.Silence != nil || r.YesHeads+r.NoHeads+r.AbstainHeads != 0 {
		t.Errorf("%+v", r)
	}
	arithmetic(t, "quorum", r.Arithmetic, "quorum: 3 × 10 = 30 ≥ 2 × 12 = 24", "quorum: 3 × 96000 = 288000 ≥ 2 × 120000 = 240000")
	if e := r.Election; e.Seats != 5 || e.Elected != 5 || e.Vacant != 0 {
		t.Errorf("%+v", e)
	}
	for i, want := range []struct {
		id, status  string
		rank        int
		heads, no   int64
		area        units.CentiM2
		test, again string
	}{
		{"c1", votes.Elected, 1, 10, 0, 96000, "approval: 2 × 10 = 20 > 1 × 10 = 10", "approval: 2 × 96000 = 192000 > 1 × 96000 = 96000"},
		{"c2", votes.Elected, 2, 9, 0, 84000, "approval: 2 × 9 = 18 > 1 × 10 = 10", "approval: 2 × 84000 = 168000 > 1 × 96000 = 96000"},
		{"c3", votes.Elected, 3, 8, 0, 80000, "approval: 2 × 8 = 16 > 1 × 10 = 10", "approval: 2 × 80000 = 160000 > 1 × 96000 = 96000"},
		{"c4", votes.Elected, 4, 7, 0, 60000, "approval: 2 × 7 = 14 > 1 × 10 = 10", "approval: 2 × 60000 = 120000 > 1 × 96000 = 96000"},
		{"c5", votes.Elected, 4, 7, 0, 72000, "approval: 2 × 7 = 14 > 1 × 10 = 10", "approval: 2 × 72000 = 144000 > 1 × 96000 = 96000"},
		{"c6", votes.Substitute, 6, 6, 0, 60000, "approval: 2 × 6 = 12 > 1 × 10 = 10", "approval: 2 × 60000 = 120000 > 1 × 96000 = 96000"},
		{"c7", votes.NotElected, 0, 3, 2, 28000, "approval: 2 × 3 = 6 ≤ 1 × 10 = 10", "approval: 2 × 28000 = 56000 ≤ 1 × 96000 = 96000"},
	} {
		got := r.Election.Candidates[i]
		if got.ID != want.id || got.Status != want.status || got.Rank != want.rank || got.YesHeads != want.heads || got.YesArea != want.area ||
			got.NoHeads != want.no || got.AbstainHeads != 10-want.heads-want.no || got.ParticipatingHeads != 10 {
			t.Errorf("%d: %+v, want %+v", i, got, want)
		}
		arithmetic(t, want.id, got.Arithmetic, "quorum: 3 × 10 = 30 ≥ 2 × 12 = 24", "quorum: 3 × 96000 = 288000 ≥ 2 × 120000 = 240000", want.test, want.again)
	}
}

// Maintenance funds of building 5 in 河南, by objection (art. 66): adopted where
// those who object are at most one third of all, by area and by heads.
//
//	9 homes of 100.00 ㎡: 9 heads, 90,000
//	M1: homes 1–3 object:  3 × 3 =  9 ≤ 1 × 9, 3 × 30,000 =  90,000 ≤ 1 × 90,000   adopted
//	M2: homes 1–4 object:  3 × 4 = 12 > 1 × 9, 3 × 40,000 = 120,000 > 1 × 90,000   not adopted
//
// One owner agrees to M1; nobody else says anything, and nobody is asked to.
func TestAnObjectionVote(t *testing.T) {
	set := withRules(t, "henan", nil)
	a := call(t, set, homes(of(9, 10000)...), plain,
		votes.Motion{ID: "M1", Title: "屋面防水", Matter: "河南66", Scope: "building:5"}, votes.Motion{ID: "M2", Title: "外墙", Matter: "河南66", Scope: "building:5"})
	no := func(motion string) votes.Choice { return votes.Choice{Motion: motion, Choice: votes.No} }
	for home := 1; home <= 3; home++ {
		a.vote(home, no("M1"), no("M2"))
	}
	a.vote(4, votes.Choice{Motion: "M1", Choice: votes.Yes}, no("M2"))

	results, _ := a.count()
	for i, want := range []struct {
		outcome      string
		participants int64
		steps        []string
	}{
		{votes.Adopted, 4, []string{"objection: 3 × 3 = 9 ≤ 1 × 9 = 9", "objection: 3 × 30000 = 90000 ≤ 1 × 90000 = 90000"}},
		{votes.NotAdopted, 4, []string{"objection: 3 × 4 = 12 > 1 × 9 = 9", "objection: 3 × 40000 = 120000 > 1 × 90000 = 90000"}},
	} {
		r := results[i]
		if r.Outcome != want.outcome || r.ParticipatingHeads != want.participants || !r.QuorumMet || r.Threshold != "objection" {
			t.Errorf("%s: %+v", r.Motion, r)
		}
		arithmetic(t, r.Motion, r.Arithmetic, want.steps...)
	}
}

// A meeting whose owners' rules give a meaning to silence, after delivery with
// proof and a warning (上海二中院 (2022)沪02民初16号).
//
//	9 homes of 100.00 ㎡: 9 heads, 90,000
//	homes 1–3 agree, home 4 objects, home 5 abstains: 5 heads, 50,000
//	homes 5–8 were delivered to and warned; home 5 voted, home 8 handed in a spoilt paper: homes 6 and 7 are silent
//	home 9 is silent, and nobody found its owner
//
//	before:        3 × 5 = 15 < 2 × 9 = 18                                         no valid decision
//	takes part:    5 + 2 = 7: 3 × 7 = 21 ≥ 18; 2 × 3 =  6 ≤ 7                      not adopted
//	with majority: 3 > 1 and 30,000 > 10,000: 3 + 2 = 5 agree; 2 × 5 = 10 > 7       adopted
func TestASilenceRuleWithDeliveries(t *testing.T) {
	for _, c := range []struct {
		policy, as, outcome string
		yes                 int64
		steps               []string
	}{
		{votes.UnreturnedTakesPart, votes.TakesPart, votes.NotAdopted, 3, []string{
			"quorum: 3 × 7 = 21 ≥ 2 × 9 = 18", "quorum: 3 × 70000 = 210000 ≥ 2 × 90000 = 180000",
			"approval: 2 × 3 = 6 ≤ 1 × 7 = 7", "approval: 2 × 30000 = 60000 ≤ 1 × 70000 = 70000"}},
		{votes.UnreturnedWithMajority, votes.Yes, votes.Adopted, 5, []string{
			"quorum: 3 × 7 = 21 ≥ 2 × 9 = 18", "quorum: 3 × 70000 = 210000 ≥ 2 × 90000 = 180000",
			"approval: 2 × 5 = 10 > 1 × 7 = 7", "approval: 2 × 50000 = 100000 > 1 × 70000 = 70000"}},
	} {
		t.Run(c.policy, func(t *testing.T) {
			set := withRules(t, "", map[string]any{"unreturned": c.policy})
			policy := plain
			policy.Unreturned = c.policy
			a := call(t, set, homes(of(9, 10000)...), policy, votes.Motion{ID: "M1", Title: "选聘物业", Matter: "民法典278-1-4", Scope: meeting.Estate})
			for home, choice := range []string{votes.Yes, votes.Yes, votes.Yes, votes.No, votes.Abstain} {
				a.vote(home+1, votes.Choice{Motion: "M1", Choice: choice})
			}
			a.paper(8, []string{"M1"})

			results, summary := a.count(5, 6, 7, 8)
			r := results[0]
			if r.Outcome != c.outcome || r.YesHeads != c.yes || r.NoHeads != 1 || r.AbstainHeads != 1 || r.ParticipatingHeads != 7 || r.ParticipatingArea != 70000 {
				t.Errorf("after: %+v", r.Figures)
			}
			arithmetic(t, "after", r.Arithmetic, c.steps...)
			s := r.Silence
			if s == nil || s.Policy != c.policy || s.Heads != 2 || s.Area != 20000 || s.CountsAs != c.as {
				t.Fatalf("silence: %+v", s)
			}
			if b := s.Before; b.Outcome != votes.NoDecision || b.QuorumMet || b.YesHeads != 3 || b.ParticipatingHeads != 5 || b.ParticipatingArea != 50000 {
				t.Errorf("before: %+v", b)
			}
			arithmetic(t, "before", s.Before.Arithmetic, "quorum: 3 × 5 = 15 < 2 × 9 = 18", "quorum: 3 × 50000 = 150000 < 2 × 90000 = 180000")
			if want := (meeting.PaperCount{HandedIn: 1, Void: 1}); summary.Paper == nil || *summary.Paper != want {
				t.Errorf("paper: %+v", summary.Paper)
			}
			if nobody, _ := a.count(); nobody[0].Outcome != votes.NoDecision || nobody[0].Silence.Heads != 0 || nobody[0].Silence.CountsAs != "" {
				t.Errorf("nobody was warned: %+v", nobody[0])
			}
		})
	}
}

// All stock is the developer's: one head with all the area decides alone.
func TestAnEstateThatIsAllTheDevelopersStock(t *testing.T) {
	all := homes(of(30, 9000)...)
	for i := range all {
		all[i].State = registry.Unsold
		all[i].Titles = []registry.Title{{Person: "developer", Kind: registry.Legal, Votes: true}}
	}
	for choice, want := range map[string]string{votes.Yes: votes.Adopted, votes.No: votes.NotAdopted, votes.Abstain: votes.NotAdopted} {
		a := call(t, civilCode(t), all, plain, votes.Motion{ID: "M1", Title: "选聘物业", Matter: "民法典278-1-4", Scope: meeting.Estate})
		if a.roll.Heads != 1 || a.roll.Area != 270000 {
			t.Fatalf("%d heads, %s ㎡", a.roll.Heads, a.roll.Area)
		}
		a.vote(1, votes.Choice{Motion: "M1", Choice: choice})
		if results, _ := a.count(); results[0].Outcome != want || results[0].ParticipatingHeads != 1 || results[0].ParticipatingArea != 270000 {
			t.Errorf("%s: %+v", choice, results[0])
		}
	}
	a := call(t, civilCode(t), all, plain, votes.Motion{ID: "M1", Title: "选聘物业", Matter: "民法典278-1-4", Scope: meeting.Estate})
	if results, _ := a.count(); results[0].Outcome != votes.NoDecision {
		t.Errorf("nobody votes: %+v", results[0])
	}
}
