package meeting_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// election is a motion with seats and candidates c1, c2, …
func election(seats, candidates int) votes.Motion {
	m := votes.Motion{ID: "M1", Title: "选举业主委员会", Matter: "民法典278-1-3", Scope: meeting.Estate}
	m.Seats = seats
	for i := range candidates {
		m.Candidates = append(m.Candidates, votes.Candidate{ID: "c" + strconv.Itoa(i+1), Unit: "5-1-" + strconv.Itoa(101+i)})
	}
	return m
}

// about answers an election: what is said of c1, c2, …; "" leaves one out.
func about(said ...string) (choices []votes.Choice) {
	for i, choice := range said {
		if choice != "" {
			choices = append(choices, votes.Choice{Motion: "M1", Candidate: "c" + strconv.Itoa(i+1), Choice: choice})
		}
	}
	return choices
}

// elect counts ballots cast in a meeting of homes with these areas, one a home.
func elect(set meeting.RuleSet, motion votes.Motion, policy votes.Policy, areas []units.CentiM2, warned map[string]votes.Entry, ballots ...[]votes.Choice) meeting.Result {
	m := meeting.Meeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Policy: policy, Motions: []votes.Motion{motion}, Past: true}}
	total := votes.ScopeTotal{Scope: meeting.Estate, Heads: int64(len(areas))}
	for _, area := range areas {
		total.Area += area
	}
	m.Roll.Scopes = []votes.ScopeTotal{total}
	counter := meeting.NewCounter(m, warned)
	for i, choices := range ballots {
		if len(choices) > 0 {
			counter.Head(votes.Entry{Entry: strconv.Itoa(i + 1), Area: areas[i]}, meeting.Handed{Taken: []meeting.Taken{{
				BallotCast: votes.BallotCast{Channel: votes.Electronic, At: opens, Motions: []string{"M1"}, Choices: choices}, Opened: true,
			}}})
		}
	}
	return counter.Results(set)[0]
}

func TestElections(t *testing.T) {
	const yes, no, abstain = votes.Yes, votes.No, votes.Abstain
	hangzhou := withRules(t, "hangzhou.2", nil)
	for _, c := range []struct {
		name    string
		set     meeting.RuleSet
		seats   int
		areas   []units.CentiM2
		ballots [][]votes.Choice
		outcome string
		status  []string // of c1, c2, …
	}{
		{"art. 278 item 3: exactly half of the heads elects nobody", civilCode(t), 1, of(4, 100),
			[][]votes.Choice{about(yes), about(yes), about(no), about(abstain)}, votes.NotAdopted, []string{votes.NotElected}},
		{"art. 278 item 3: exactly half of the area elects nobody", civilCode(t), 1, []units.CentiM2{100, 100, 200},
			[][]votes.Choice{about(yes), about(yes), about(no)}, votes.NotAdopted, []string{votes.NotElected}},
		{"art. 278 item 3: 0.01 ㎡ over half of the area elects", civilCode(t), 1, []units.CentiM2{100, 101, 200},
			[][]votes.Choice{about(yes), about(yes), about(no)}, votes.Adopted, []string{votes.Elected}},
		{"art. 278 item 3: 0.01 ㎡ under half of the area does not", civilCode(t), 1, []units.CentiM2{100, 99, 200},
			[][]votes.Choice{about(yes), about(yes), about(no)}, votes.NotAdopted, []string{votes.NotElected}},
		{"art. 278 quorum: too few take part, and nobody is elected", civilCode(t), 1, of(4, 100),
			[][]votes.Choice{about(yes), about(yes)}, votes.NoDecision, []string{votes.NotElected}},
		{"art. 278 quorum: exactly two thirds take part", civilCode(t), 1, of(3, 100),
			[][]votes.Choice{about(yes), about(yes)}, votes.Adopted, []string{votes.Elected}},
		{"nobody votes", civilCode(t), 1, of(3, 100), nil, votes.NoDecision, []string{votes.NotElected}},
		{"one owner alone elects", civilCode(t), 1, of(1, 100), [][]votes.Choice{about(yes)}, votes.Adopted, []string{votes.Elected}},
		{"a candidate who is left out is abstained on", civilCode(t), 2, of(3, 100),
			[][]votes.Choice{about(yes, ""), about(yes, ""), about("", yes)}, votes.Adopted, []string{votes.Elected, votes.NotElected}},
		{"more votes, not the order of the paper, give the seat", civilCode(t), 1, of(5, 100),
			[][]votes.Choice{about(yes, yes), about(yes, yes), about(yes, yes), about(no, yes), about(no, no)}, votes.Adopted, []string{votes.NotElected, votes.Elected}},
		{"heads rank, not area", civilCode(t), 1, []units.CentiM2{100, 100, 100, 100, 900},
			[][]votes.Choice{about(yes, no), about(yes, yes), about(yes, yes), about(yes, no), about(yes, yes)}, votes.Adopted, []string{votes.Elected, votes.NotElected}},
		{"杭州 art. 28: the next who passed is a substitute", hangzhou, 1, of(5, 100),
			[][]votes.Choice{about(yes, yes, no), about(yes, yes, no), about(yes, yes, no), about(yes, no, yes), about(yes, no, yes)}, votes.Adopted,
			[]string{votes.Elected, votes.Substitute, votes.NotElected}},
		{"national rules know no substitutes", civilCode(t), 1, of(5, 100),
			[][]votes.Choice{about(yes, yes), about(yes, yes), about(yes, yes), about(yes, no), about(yes, no)}, votes.Adopted, []string{votes.Elected, votes.NotElected}},
		{"a tie for the last seat is not broken", hangzhou, 2, of(5, 100),
			[][]votes.Choice{about(yes, yes, yes), about(yes, yes, yes), about(yes, yes, no), about(yes, no, yes), about(yes, no, no)}, votes.Adopted,
			[]string{votes.Elected, votes.Tied, votes.Tied}},
		{"and who comes after it is a substitute", hangzhou, 1, of(5, 100),
			[][]votes.Choice{about(yes, yes, yes), about(yes, yes, yes), about(yes, yes, yes), about(yes, yes, no), about(no, no, no)}, votes.NotAdopted,
			[]string{votes.Tied, votes.Tied, votes.Substitute}},
		{"a tie with seats for all is none", civilCode(t), 2, of(3, 100),
			[][]votes.Choice{about(yes, yes), about(yes, yes), about(no, no)}, votes.Adopted, []string{votes.Elected, votes.Elected}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := elect(c.set, election(c.seats, len(c.status)), plain, c.areas, nil, c.ballots...)
			if r.Outcome != c.outcome {
				t.Errorf("%s, want %s: %+v", r.Outcome, c.outcome, r)
			}
			elected := 0
			for _, candidate := range r.Election.Candidates {
				i, _ := strconv.Atoi(candidate.ID[1:])
				if candidate.Status != c.status[i-1] {
					t.Errorf("%s %s, want %s: %+v", candidate.ID, candidate.Status, c.status[i-1], candidate.Arithmetic)
				}
				if candidate.Status == votes.Elected {
					elected++
				}
				if candidate.YesHeads+candidate.NoHeads+candidate.AbstainHeads != r.ParticipatingHeads {
					t.Errorf("%s does not add up: %+v", candidate.ID, candidate.Figures)
				}
			}
			if r.Election.Elected != elected || r.Election.Vacant != c.seats-elected {
				t.Errorf("%+v with %d elected", r.Election, elected)
			}
		})
	}
}

func TestABallotOfAnElection(t *testing.T) {
	const yes = votes.Yes
	for _, c := range []struct {
		name    string
		choices []votes.Choice
		reason  votes.Reason
	}{
		{"approves as many as it may", about(yes, yes), ""},
		{"approves more than it may", about(yes, yes, yes), votes.TooManyApproved},
		{"approves as many as it may, and objects to the others", about(yes, yes, votes.No), ""},
		{"names a candidate who does not stand", []votes.Choice{{Motion: "M1", Candidate: "c9", Choice: yes}}, votes.NoSuchChoice},
		{"names no candidate", []votes.Choice{{Motion: "M1", Choice: yes}}, votes.NoSuchChoice},
		{"says something that is no choice of one of them", about(yes, "也许"), votes.NoSuchChoice},
		{"names a candidate of a question", []votes.Choice{{Motion: "M2", Candidate: "c1", Choice: yes}}, votes.NoSuchChoice},
	} {
		t.Run(c.name, func(t *testing.T) {
			motion := election(1, 3)
			motion.Approvals = 2
			question := votes.Motion{ID: "M2", Title: "选聘物业", Matter: "民法典278-1-4", Scope: meeting.Estate}
			a := call(t, withRules(t, "", map[string]any{"election.min_seats": 1}), homes(of(3, 100)...), plain, motion, question)
			a.vote(1, c.choices...)
			_, summary := a.count()
			if (summary.Accepted == 1) != (c.reason == "") || c.reason != "" && summary.Reasons[c.reason] != 1 {
				t.Errorf("%+v, want %q", summary, c.reason)
			}
			a.clock = a.clock.Add(time.Minute)
			_, err := meeting.EnterPaper{
				Meeting: a.m, Partial: true, Entry: a.entry(2), Envelope: "p", By: "an", Scan: scan, Choices: c.choices, Marks: marks(a.m, a.entry(2), c.choices, nil), Sealed: "x",
			}.Decide(meeting.Ballots{Envelopes: []meeting.Envelope{{ID: "p", Channel: votes.Paper, At: a.clock}}})
			if slip := errors.Is(err, meeting.ErrSlip); slip != (c.reason != "") {
				t.Errorf("typed from paper: %v", err)
			}
			// What the paper is sealed at does not depend on what it says, and what cannot count is not in it.
			said, longest := a.m.Sealable(c.choices)
			if len(longest) != 4 || (len(said) == len(c.choices)) != (c.reason == "") {
				t.Errorf("sealed: %v of %v", said, longest)
			}
		})
	}

	motion := election(1, 2)
	a := call(t, withRules(t, "", map[string]any{"election.min_seats": 1}), homes(of(3, 100)...), with(plain, func(p *votes.Policy) { p.Revote = votes.LastBallotStands }), motion)
	for _, cmd := range []meeting.CastBallot{
		{Choices: slices.Concat(about(yes), about(votes.No))},
		{Channel: votes.Paper, Choices: about(yes), Void: []string{"M1"}},
	} {
		if cmd.Channel == "" {
			cmd.Channel = votes.Electronic
		}
		cmd.Meeting, cmd.Entry, cmd.At, cmd.Sealed = a.m, a.entry(1), opens, "x"
		cmd.Meeting.Notice.At = time.Date(2026, 11, 25, 12, 0, 0, 0, units.Shanghai) // one person entered paper then
		if _, err := cmd.Decide(meeting.Ballots{Envelopes: []meeting.Envelope{{At: opens}}}); !errors.Is(err, meeting.ErrMotionTwice) {
			t.Errorf("%+v: %v", cmd.Choices, err)
		}
	}
	// A later ballot replaces all that the earlier one said of the election.
	a.vote(1, about(yes, yes)...)
	a.vote(1, about("", votes.No)...)
	a.vote(2, about(yes, "")...)
	results, summary := a.count()
	c1 := results[0].Election.Candidates[slices.IndexFunc(results[0].Election.Candidates, func(c meeting.CandidateResult) bool { return c.ID == "c1" })]
	if summary.Reasons[votes.Superseded] != 1 || c1.YesHeads != 1 || c1.AbstainHeads != 1 {
		t.Errorf("%+v %+v", summary, c1)
	}
}

func TestAnElectionIsDraftedByTheRules(t *testing.T) {
	hangzhou := withRules(t, "hangzhou.2", map[string]any{"election.more_candidates_than_seats": true, "election.approvals_within_seats": true})
	for _, c := range []struct {
		name   string
		set    meeting.RuleSet
		motion votes.Motion
		wrong  string // field
	}{
		{"指导规则: five members", civilCode(t), election(5, 5), ""},
		{"指导规则: three members are too few", civilCode(t), election(3, 5), "seats"},
		{"指导规则: eleven members", civilCode(t), election(11, 11), ""},
		{"指导规则: thirteen members are too many", civilCode(t), election(13, 13), "seats"},
		{"指导规则: six members are not odd", civilCode(t), election(6, 7), "seats"},
		{"two seats of a committee of seven are filled", civilCode(t), with(election(2, 3), func(m *votes.Motion) { m.Committee = 7 }), ""},
		{"nine seats of a committee of seven", civilCode(t), with(election(9, 9), func(m *votes.Motion) { m.Committee = 7 }), "committee"},
		{"as many candidates as seats where there must be more", hangzhou, with(election(5, 5), func(m *votes.Motion) { m.Approvals = 5 }), "candidates"},
		{"a ballot may approve more than the seats", hangzhou, with(election(5, 6), func(m *votes.Motion) { m.Approvals = 6 }), "approvals"},
		{"a ballot may approve all where it must not", hangzhou, election(5, 6), "approvals"},
		{"as the rules have it", hangzhou, with(election(5, 6), func(m *votes.Motion) { m.Approvals = 5 }), ""},
		{"no candidates", civilCode(t), election(5, 0), "candidates"},
		{"candidates without seats", civilCode(t), election(0, 2), "seats"},
		{"a candidate twice", civilCode(t), with(election(5, 5), func(m *votes.Motion) { m.Candidates[1].ID = "c1" }), "candidates[1].id"},
		{"a candidate without a unit", civilCode(t), with(election(5, 5), func(m *votes.Motion) { m.Candidates[1].Unit = "" }), "candidates[1].unit"},
		{"a candidate of a unit that the estate does not have", civilCode(t), with(election(5, 5), func(m *votes.Motion) { m.Candidates[1].Unit = "9-9-999" }), "candidates[1].unit"},
		{"an election about the provider", civilCode(t), with(election(5, 5), func(m *votes.Motion) { m.Matter = "民法典278-1-4" }), "matter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := meeting.DraftMeeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Title: "业主大会", Policy: plain, Motions: []votes.Motion{c.motion}}, Rules: c.set}
			d.Buildings, d.Units = []string{"5"}, map[string]bool{}
			for _, u := range homes(of(20, 100)...) {
				d.Units[u.Code] = true
			}
			_, err := d.Decide(meeting.Meeting{})
			var fields []string
			if p, ok := errors.AsType[*problem.Error](err); ok {
				for _, f := range p.Fields {
					fields = append(fields, f.Name)
				}
			}
			if c.wrong == "" && err != nil || c.wrong != "" && !slices.Contains(fields, "motions[0]."+c.wrong) {
				t.Errorf("%v %v, want %q", err, fields, c.wrong)
			}
		})
	}
	_, err := meeting.BuildRoll("m", homes(of(3, 100)...), plain, []votes.Motion{election(3, 4)})
	if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != "unknown-candidate" || len(p.Fields) != 1 || p.Fields[0].Name != "motions[0].candidates[3].unit" {
		t.Errorf("a candidate of no unit on the roll: %v", err)
	}
}

func TestCandidatesAreToBePostedInTime(t *testing.T) {
	set := withRules(t, "", map[string]any{"election.candidates_posted_days": 20})
	notice := meeting.PostNotice{Now: noon, Opens: noon.AddDate(0, 0, 20), Closes: noon.AddDate(0, 0, 30), Rules: set}
	m := meeting.Meeting{
		MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Policy: plain, Motions: []votes.Motion{election(5, 5)}}, Roll: votes.RollFrozen{Roll: "hash"},
	}
	early := with(notice, func(n *meeting.PostNotice) { n.Opens = n.Opens.Add(-1) })
	if _, err := early.Decide(m); !errors.Is(err, meeting.ErrNotice) {
		t.Errorf("an instant before the twentieth day: %v", err)
	}
	list, err := notice.Decide(m)
	if err != nil || len(list) != 1 {
		t.Fatal(err)
	}
	if m = meeting.Evolve(m, list[0]); !m.NoticeInTime(set) {
		t.Error("it was in time")
	}
	m.Motions = []votes.Motion{{ID: "M1", Matter: "民法典278-1-4", Scope: meeting.Estate}}
	m.Notice = votes.NoticePosted{}
	if _, err := early.Decide(m); err != nil {
		t.Errorf("without an election fifteen days are enough: %v", err)
	}
}

func TestOneMoreApprovalNeverCostsTheSeat(t *testing.T) {
	sets := []meeting.RuleSet{civilCode(t), withRules(t, "hangzhou.2", nil)}
	rapid.Check(t, func(t *rapid.T) {
		seats, candidates := rapid.IntRange(1, 3).Draw(t, "seats"), rapid.IntRange(1, 5).Draw(t, "candidates")
		n := rapid.IntRange(1, 9).Draw(t, "homes")
		areas := rapid.SliceOfN(rapid.Map(rapid.Int64Range(1, 300), func(a int64) units.CentiM2 { return units.CentiM2(a) }), n, n).Draw(t, "areas")
		ballots := make([][]votes.Choice, n)
		for i := range ballots {
			if rapid.IntRange(0, 3).Draw(t, "votes") > 0 {
				said := rapid.SliceOfN(rapid.SampledFrom([]string{votes.Yes, votes.Yes, votes.No, votes.Abstain, ""}), candidates, candidates).Draw(t, "said")
				ballots[i] = about(said...)
			}
		}
		set := rapid.SampledFrom(sets).Draw(t, "rules")
		before := elect(set, election(seats, candidates), plain, areas, nil, ballots...)
		took := int64(0)
		for _, b := range ballots {
			if len(b) > 0 {
				took++
			}
		}
		if before.ParticipatingHeads != took || before.Election.Elected > seats {
			t.Fatalf("%d took part, %d elected: %+v", took, before.Election.Elected, before)
		}
		for _, c := range before.Election.Candidates {
			if c.Status != votes.Elected {
				continue
			}
			// Someone who did not vote approves this one alone, or someone who did approves this one, too.
			more := slices.Clone(ballots)
			i := rapid.IntRange(0, n-1).Draw(t, "home")
			more[i] = slices.DeleteFunc(slices.Clone(ballots[i]), func(said votes.Choice) bool { return said.Candidate == c.ID })
			more[i] = append(more[i], votes.Choice{Motion: "M1", Candidate: c.ID, Choice: votes.Yes})
			after := elect(set, election(seats, candidates), plain, areas, nil, more...)
			k := slices.IndexFunc(after.Election.Candidates, func(r meeting.CandidateResult) bool { return r.ID == c.ID })
			if got := after.Election.Candidates[k]; got.Status != votes.Elected {
				t.Fatalf("%s was elected, and with one more approval is %s\n%+v\n%+v", c.ID, got.Status, before, after)
			}
		}
	})
}

func TestSilenceInAnElection(t *testing.T) {
	const yes = votes.Yes
	warned := map[string]votes.Entry{"3": {Entry: "3", Area: 100}, "4": {Entry: "4", Area: 100}}
	for _, c := range []struct {
		policy, before, after, as string
	}{
		{votes.UnreturnedTakesPart, votes.NoDecision, votes.Adopted, votes.TakesPart},
		{votes.UnreturnedWithMajority, votes.NoDecision, votes.NoDecision, ""}, // there is no majority to be with
	} {
		policy := with(plain, func(p *votes.Policy) { p.Unreturned = c.policy })
		r := elect(civilCode(t), election(1, 2), policy, of(5, 100), warned, about(yes, ""), about(yes, ""), about(yes, ""))
		s := r.Silence
		if s == nil || s.Heads != 1 || s.Area != 100 || s.CountsAs != c.as || s.Before.Outcome != c.before || s.Election == nil || r.Outcome != c.after {
			t.Errorf("%s: %+v %+v", c.policy, r, s)
		}
		if c.as != "" && (r.ParticipatingHeads != 4 || s.Before.ParticipatingHeads != 3 || r.Election.Candidates[0].Status != votes.Elected || s.Election.Elected != 0) {
			t.Errorf("%s: %+v", c.policy, r)
		}
	}
}
