package meeting

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// ElectionResult is what became of the candidates of an election.
type ElectionResult struct {
	Seats      int               `json:"seats" doc:"to be filled"`
	Committee  int               `json:"committee,omitempty" doc:"members of the whole committee, where fewer seats are filled"`
	Elected    int               `json:"elected" doc:"candidates who have a seat"`
	Vacant     int               `json:"vacant" doc:"seats that nobody is elected to"`
	Candidates []CandidateResult `json:"candidates" doc:"those who passed first, by their rank, then the others; otherwise as on the paper"`
}

// CandidateResult is what became of one candidate. Who took part in the election
// took part in deciding on each candidate; the outcome is whether the candidate
// passed the test that the matter calls for.
type CandidateResult struct {
	votes.Candidate
	Rank   int    `json:"rank,omitempty" doc:"among those who passed, by the heads that agree (得票数); the same where they are equal"`
	Status string `json:"status" enum:"当选,候补,票数相同,未当选"`
	Figures
	Channels []ChannelCount `json:"channels,omitempty"`
}

// elect decides an election. A silence rule can let the silent take part in it;
// a majority that they could be with there is none, for that would approve more
// candidates than there are seats.
func (c *count) elect(rules RuleSet, m votes.Motion, electorate votes.ScopeTotal, unreturned string, silent votes.ScopeTotal) Result {
	r := Count(rules, m, electorate, Tally{})
	r.Channels = c.channels("")
	for i := range r.Channels { // what was said was said of candidates
		r.Channels[i].AbstainHeads, r.Channels[i].AbstainArea = 0, 0
	}
	r.Figures, r.Election = c.candidates(rules, m, electorate, votes.ScopeTotal{})
	if unreturned == "" || unreturned == votes.UnreturnedNone {
		return r
	}
	r.Silence = &Silence{Policy: unreturned, Heads: silent.Heads, Area: silent.Area, Before: r.Figures, Election: r.Election}
	if unreturned == votes.UnreturnedTakesPart && silent.Heads > 0 && rules.Thresholds[r.Threshold].silenceCounts() {
		r.Silence.CountsAs = votes.TakesPart
		r.Figures, r.Election = c.candidates(rules, m, electorate, silent)
	}
	return r
}

// candidates puts each candidate to the test of the matter (Civil Code art. 278,
// item 3), ranks those who passed by the heads that agree, and gives them the
// seats in that order; the next are substitutes where the rules know them (杭州
// art. 28). Candidates of equal heads for whom there are not enough seats left
// are tied: no rule that we know breaks a tie, so none is broken here.
func (c *count) candidates(rules RuleSet, m votes.Motion, electorate, silent votes.ScopeTotal) (Figures, *ElectionResult) {
	threshold := rules.Thresholds[rules.Matters[m.Matter].Threshold]
	e := &ElectionResult{Seats: m.Seats, Committee: m.Committee}
	for _, candidate := range m.Candidates {
		t := c.total.tally(candidate.ID)
		t.Silent = silent
		e.Candidates = append(e.Candidates, CandidateResult{
			Candidate: candidate, Status: votes.NotElected, Figures: rules.decide(threshold, electorate, t), Channels: c.channels(candidate.ID),
		})
	}
	passed := func(r CandidateResult) bool { return r.Outcome == votes.Adopted }
	slices.SortStableFunc(e.Candidates, func(a, b CandidateResult) int {
		switch {
		case passed(a) && passed(b):
			return cmp.Compare(b.YesHeads, a.YesHeads)
		case passed(a):
			return -1
		case passed(b):
			return 1
		}
		return 0
	})
	for from := 0; from < len(e.Candidates) && passed(e.Candidates[from]); {
		to := from + 1
		for to < len(e.Candidates) && passed(e.Candidates[to]) && e.Candidates[to].YesHeads == e.Candidates[from].YesHeads {
			to++
		}
		status := votes.NotElected
		switch {
		case to <= m.Seats:
			status, e.Elected = votes.Elected, to
		case from < m.Seats:
			status = votes.Tied
		case rules.Election.Substitutes:
			status = votes.Substitute
		}
		for i := from; i < to; i++ {
			e.Candidates[i].Rank, e.Candidates[i].Status = from+1, status
		}
		from = to
	}
	e.Vacant = m.Seats - e.Elected

	took := c.total.took
	f := rules.decide(threshold, electorate, Tally{AbstainHeads: took.Heads, AbstainArea: took.Area, Silent: silent})
	f.AbstainHeads, f.AbstainArea = 0, 0
	f.Arithmetic = slices.DeleteFunc(f.Arithmetic, func(s Step) bool { return s.Test != "quorum" })
	if f.QuorumMet && e.Elected > 0 {
		f.Outcome = votes.Adopted
	}
	return f, e
}

// electing are the matters that an election may be about: Civil Code art. 278
// item 3, and before it Property Law art. 76 item 3.
var electing = []string{"民法典278-1-3", "物权法76-1-3"}

// checkElection reports what an election lacks, by the rules on the committee.
func (c DraftMeeting) checkElection(m votes.Motion, field func(string) string, want func(ok bool, name, code, detail string)) {
	if !isElection(m) {
		want(m.Seats == 0 && m.Committee == 0 && m.Approvals == 0 && len(m.Candidates) == 0, field("seats"), "missing", "is at least 1 where there are candidates")
		return
	}
	rule, size := c.Rules.Election, cmp.Or(m.Committee, m.Seats)
	want(slices.Contains(electing, m.Matter), field("matter"), "not-of-elections", "of an election is electing the owners' committee or replacing members")
	want(size >= m.Seats, field("committee"), "too-few", "has at least the seats that are filled")
	want(size >= rule.MinSeats, field("seats"), "too-few", fmt.Sprintf("a committee has at least %d members", rule.MinSeats))
	want(rule.MaxSeats == 0 || size <= rule.MaxSeats, field("seats"), "too-many", fmt.Sprintf("a committee has at most %d members", rule.MaxSeats))
	want(!rule.OddSeats || size%2 == 1, field("seats"), "not-odd", "a committee has an odd number of members")
	want(m.Approvals >= 0 && m.Approvals <= len(m.Candidates), field("approvals"), "too-many", "is at most the number of candidates; none: all of them")
	want(!rule.ApprovalsWithinSeats || m.Approvals > 0 && m.Approvals <= m.Seats, field("approvals"), "not-within-seats", "is at least 1 and at most the number of seats, by the rules")
	want(len(m.Candidates) > 0, field("candidates"), "missing", "is empty")
	want(!rule.MoreCandidatesThanSeats || len(m.Candidates) > m.Seats, field("candidates"), "not-more-than-seats", "are more than the seats, by the rules (差额选举)")
	for i, candidate := range m.Candidates {
		of := func(name string) string { return field(fmt.Sprintf("candidates[%d].%s", i, name)) }
		same := func(earlier votes.Candidate) bool { return earlier.ID == candidate.ID }
		want(candidate.ID != "" && !slices.ContainsFunc(m.Candidates[:i], same), of("id"), "missing", "is missing or used twice")
		want(strings.TrimSpace(candidate.Unit) != "", of("unit"), "missing", "is missing: a candidate owns a unit of the estate")
		want(len(c.Buildings) == 0 || candidate.Unit == "" || c.Units[candidate.Unit], of("unit"), "unknown", "is no unit of the estate")
	}
}

// unlisted names the candidates whose unit is in no entry of a roll.
func unlisted(motions []votes.Motion, entries []votes.Entry) (wrong []problem.Field) {
	if !slices.ContainsFunc(motions, isElection) {
		return nil
	}
	units := map[string]bool{}
	for _, e := range entries {
		for _, code := range e.Units {
			units[code] = true
		}
	}
	for i, m := range motions {
		for j, c := range m.Candidates {
			if !units[c.Unit] {
				wrong = append(wrong, problem.Field{Name: fmt.Sprintf("motions[%d].candidates[%d].unit", i, j), Code: "unknown", Detail: "is no unit that gives a vote"})
			}
		}
	}
	return wrong
}
