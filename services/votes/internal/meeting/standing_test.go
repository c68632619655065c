package meeting_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

const (
	ele, pap = votes.Electronic, votes.Paper
	counts   = votes.Reason("")
)

func TestStanding(t *testing.T) {
	// Answers of one head on one motion, an hour apart, and what becomes of each.
	e, p, void := meeting.Answer{Channel: ele}, meeting.Answer{Channel: pap}, meeting.Answer{Channel: ele, Void: votes.NoSuchChoice}
	h, x := meeting.Answer{Channel: votes.InMeeting}, meeting.Answer{Channel: ele, Proxy: true}
	xPaper, own := meeting.Answer{Channel: pap, Proxy: true}, votes.OwnBallotStands
	already, superseded, byE, byP, none := votes.AlreadyVoted, votes.Superseded, votes.ElectronicBallotStands, votes.PaperBallotStands, votes.NoSuchChoice
	type A = []meeting.Answer
	type R = []votes.Reason
	for _, c := range []struct {
		name            string
		revote, between string
		answers         A
		want            R
	}{
		{"北京, first ballot stands: the second in its channel has voted already", votes.FirstBallotStands, votes.ElectronicStands, A{e, e}, R{counts, already}},
		{"last ballot stands: the first is superseded", votes.LastBallotStands, votes.ElectronicStands, A{e, e, e}, R{superseded, superseded, counts}},
		{"last ballot stands among papers too", votes.LastBallotStands, votes.ElectronicStands, A{p, p}, R{superseded, counts}},
		{"深圳, electronic stands: paper after it does not count", votes.FirstBallotStands, votes.ElectronicStands, A{e, p}, R{counts, byE}},
		{"深圳, electronic stands: paper before it does not count", votes.FirstBallotStands, votes.ElectronicStands, A{p, e}, R{byE, counts}},
		{"paper stands: electronic after it does not count", votes.FirstBallotStands, votes.PaperStands, A{p, e}, R{counts, byP}},
		{"paper stands: electronic before it does not count", votes.LastBallotStands, votes.PaperStands, A{e, p}, R{byP, counts}},
		{"first stands: the channel of the first", votes.LastBallotStands, votes.FirstStands, A{p, e}, R{counts, byP}},
		{"first stands: the channel of the first, electronic", votes.LastBallotStands, votes.FirstStands, A{e, p}, R{counts, byE}},
		{"first stands and last ballot: a revote does not hand over to the other channel", votes.LastBallotStands, votes.FirstStands, A{e, p, e}, R{superseded, byE, counts}},
		{"first stands and first ballot", votes.FirstBallotStands, votes.FirstStands, A{e, p, e}, R{counts, byE, already}},
		{"electronic stands: of two papers one loses to the other, one to the channel", votes.FirstBallotStands, votes.ElectronicStands, A{p, p, e}, R{byE, already, counts}},
		{"electronic stands and last ballot: likewise", votes.LastBallotStands, votes.ElectronicStands, A{p, p, e}, R{superseded, byE, counts}},
		{"a paper that lost stands in no later paper's way", votes.FirstBallotStands, votes.ElectronicStands, A{e, p, p}, R{counts, byE, byE}},
		{"paper stands and last ballot, all mixed", votes.LastBallotStands, votes.PaperStands, A{e, p, e, p}, R{byP, superseded, byP, counts}},
		{"a hand shown in the meeting is paper: electronic stands after it", votes.FirstBallotStands, votes.ElectronicStands, A{h, e}, R{byE, counts}},
		{"a hand shown in the meeting is paper: it stands after electronic", votes.FirstBallotStands, votes.PaperStands, A{e, h}, R{byP, counts}},
		{"a hand shown after an envelope was handed in has voted already", votes.FirstBallotStands, votes.PaperStands, A{p, h}, R{counts, already}},
		{"an envelope handed in after a hand was shown replaces it where the last stands", votes.LastBallotStands, votes.PaperStands, A{h, p}, R{superseded, counts}},
		{"voting in person revokes: the owner's ballot stands after the proxy's, though the first ballot stands", votes.FirstBallotStands, votes.ElectronicStands, A{x, e}, R{own, counts}},
		{"voting in person revokes: it stands before the proxy's, though the last ballot stands", votes.LastBallotStands, votes.ElectronicStands, A{e, x}, R{counts, own}},
		{"voting in person revokes: on paper too, though electronic stands", votes.LastBallotStands, votes.ElectronicStands, A{p, x}, R{counts, own}},
		{"voting in person revokes: by a hand shown in the meeting, after the proxy's", votes.FirstBallotStands, votes.ElectronicStands, A{x, h}, R{own, counts}},
		{"the owner's ballots are settled among themselves, as if there were no proxy", votes.FirstBallotStands, votes.ElectronicStands, A{x, p, x, e, e}, R{own, byE, own, counts, already}},
		{"a void paper of the owner revokes nothing", votes.FirstBallotStands, votes.ElectronicStands, A{void, x}, R{none, counts}},
		{"a proxy's ballots are settled among themselves: the first stands", votes.FirstBallotStands, votes.ElectronicStands, A{x, x}, R{counts, already}},
		{"a proxy's ballots are settled among themselves: the last stands", votes.LastBallotStands, votes.ElectronicStands, A{x, x}, R{superseded, counts}},
		{"a proxy's paper and the proxy's electronic ballot: between channels as ever", votes.FirstBallotStands, votes.PaperStands, A{x, xPaper}, R{byP, counts}},
		{"a void answer stands in nobody's way", votes.FirstBallotStands, votes.ElectronicStands, A{void, e}, R{none, counts}},
		{"a void answer after one that counts has voted already", votes.FirstBallotStands, votes.ElectronicStands, A{e, void}, R{counts, already}},
		{"a void answer replaces nothing", votes.LastBallotStands, votes.ElectronicStands, A{e, void}, R{counts, none}},
		{"a void electronic answer does not displace paper", votes.FirstBallotStands, votes.ElectronicStands, A{p, void, p}, R{counts, none, already}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range c.answers {
				c.answers[i].At = noon.Add(time.Duration(i) * time.Hour)
			}
			got := meeting.Standing(votes.Policy{Revote: c.revote, PaperAndElectronic: c.between}, c.answers)
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestStandingOfTheSameInstantFollowsTheRecord(t *testing.T) {
	got := meeting.Standing(votes.Policy{Revote: votes.LastBallotStands}, []meeting.Answer{{Motion: "M1", Channel: ele, At: noon}, {Motion: "M1", Channel: ele, At: noon}})
	if want := []votes.Reason{votes.Superseded, counts}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func policies(t *rapid.T) votes.Policy {
	return votes.Policy{
		Revote:             rapid.SampledFrom([]string{votes.FirstBallotStands, votes.LastBallotStands}).Draw(t, "revote"),
		PaperAndElectronic: rapid.SampledFrom([]string{votes.ElectronicStands, votes.PaperStands, votes.FirstStands}).Draw(t, "between"),
	}
}

func someAnswers(t *rapid.T) []meeting.Answer {
	answers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) meeting.Answer {
		return meeting.Answer{
			Motion:  rapid.SampledFrom([]string{"M1", "M2"}).Draw(t, "motion"),
			Channel: rapid.SampledFrom([]string{ele, pap}).Draw(t, "channel"),
			Void:    rapid.SampledFrom([]votes.Reason{"", "", "", votes.NoSuchChoice, votes.TooManyApproved}).Draw(t, "void"),
		}
	}), 0, 8).Draw(t, "answers")
	for i := range answers {
		answers[i].At = noon.Add(time.Duration(i) * time.Minute)
	}
	return answers
}

func TestStandingDoesNotDependOnTheOrderOfRecording(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, answers := policies(t), someAnswers(t)
		want := meeting.Standing(policy, answers)
		shuffled := rapid.Permutation(answers).Draw(t, "recorded")
		got := meeting.Standing(policy, shuffled)
		for i, a := range shuffled {
			j := slices.Index(answers, a)
			if got[i] != want[j] {
				t.Fatalf("%+v: %q when recorded as %v, %q by time", a, got[i], shuffled, want[j])
			}
		}
	})
}

// The answer that counts, said without replaying anything: which channel stands
// is decided between channels alone, which of its answers within it alone.
func TestStandingKeepsThePoliciesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, answers := policies(t), someAnswers(t)
		got := meeting.Standing(policy, answers)
		for _, motion := range []string{"M1", "M2"} {
			var valid []int
			for i, a := range answers {
				if a.Motion == motion && a.Void == "" {
					valid = append(valid, i)
				}
			}
			want := -1
			if len(valid) > 0 {
				channel := answers[valid[0]].Channel
				has := func(c string) bool {
					return slices.ContainsFunc(valid, func(i int) bool { return answers[i].Channel == c })
				}
				switch policy.PaperAndElectronic {
				case votes.ElectronicStands:
					if has(ele) {
						channel = ele
					}
				case votes.PaperStands:
					if has(pap) {
						channel = pap
					}
				}
				valid = slices.DeleteFunc(valid, func(i int) bool { return answers[i].Channel != channel })
				if want = valid[0]; policy.Revote == votes.LastBallotStands {
					want = valid[len(valid)-1]
				}
			}
			for i, a := range answers {
				if a.Motion == motion && (got[i] == counts) != (i == want) {
					t.Fatalf("%s under %+v: %q, want only %d to count", motion, policy, got, want)
				}
			}
		}
	})
}

func TestVotingInPersonRevokesOnEveryMotionFromThenOn(t *testing.T) {
	later := noon.Add(time.Hour)
	answers := []meeting.Answer{
		{Motion: "M2", Channel: ele, At: noon, Proxy: true}, // before: the proxy acted for the owner
		{Motion: "M1", Channel: pap, At: later},
		{Motion: "M1", Channel: ele, At: noon, Proxy: true},
		{Motion: "M3", Channel: ele, At: later.Add(1), Proxy: true}, // after: the mandate is no more
	}
	got := meeting.Standing(votes.Policy{Revote: votes.LastBallotStands, PaperAndElectronic: votes.ElectronicStands}, answers)
	if want := []votes.Reason{counts, counts, votes.OwnBallotStands, votes.OwnBallotStands}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What a proxy casts makes no difference to which of the owner's own ballots count.
func TestAProxyChangesNothingForWhoVotesInPerson(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		policy, own := policies(t), someAnswers(t)
		want := meeting.Standing(policy, own)
		mixed := slices.Clone(own)
		for range rapid.IntRange(0, 5).Draw(t, "proxy's") {
			mixed = append(mixed, meeting.Answer{
				Motion: rapid.SampledFrom([]string{"M1", "M2"}).Draw(t, "motion"), Channel: ele, Proxy: true,
				At: noon.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "second")) * time.Second),
			})
		}
		for i, got := range meeting.Standing(policy, mixed)[:len(own)] {
			if (got == counts) != (want[i] == counts) {
				t.Fatalf("%v: %d is %q with a proxy, %q without", mixed, i, got, want[i])
			}
		}
	})
}

func ExampleStanding() {
	policy := votes.Policy{Revote: votes.FirstBallotStands, PaperAndElectronic: votes.ElectronicStands}
	fmt.Printf("%q\n", meeting.Standing(policy, []meeting.Answer{
		{Motion: "M1", Channel: votes.Paper, At: noon},
		{Motion: "M1", Channel: votes.Electronic, At: noon.Add(time.Hour)},
	}))
	// Output: ["electronic-ballot-stands" ""]
}
