package meeting_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
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

func TestTheMajorityThatSilenceIsWith(t *testing.T) {
	henan := withRules(t, "henan", nil)
	silent := []units.CentiM2{1000, 1000}
	for _, c := range []struct {
		name    string
		matter  string
		yes, no []units.CentiM2
		as      string
	}{
		{"more heads and more area agree", "民法典278-1-4", []units.CentiM2{60, 50}, []units.CentiM2{109}, votes.Yes},
		{"more heads and more area object", "民法典278-1-4", []units.CentiM2{109}, []units.CentiM2{60, 50}, votes.No},
		{"more heads agree, more area objects", "民法典278-1-4", []units.CentiM2{50, 50}, []units.CentiM2{101}, ""},
		{"more heads agree, by 0.01 ㎡ more area", "民法典278-1-4", []units.CentiM2{50, 50}, []units.CentiM2{99}, votes.Yes},
		{"more heads agree, with as much area", "民法典278-1-4", []units.CentiM2{50, 50}, []units.CentiM2{100}, ""},
		{"as many heads agree as object", "民法典278-1-4", []units.CentiM2{100}, []units.CentiM2{50}, ""},
		{"nobody votes", "民法典278-1-4", nil, nil, ""},
		{"art. 279: silence is not consent", "民法典279", []units.CentiM2{60, 50}, nil, ""},
		{"河南 art. 66: silence objects to nothing", "河南66", []units.CentiM2{60, 50}, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			areas := slices.Concat(c.yes, c.no, silent)
			var ballots [][]votes.Choice
			for range c.yes {
				ballots = append(ballots, []votes.Choice{{Motion: "M1", Choice: votes.Yes}})
			}
			for range c.no {
				ballots = append(ballots, []votes.Choice{{Motion: "M1", Choice: votes.No}})
			}
			warned := map[string]votes.Entry{}
			for i, area := range areas { // all were, and who voted is not silent
				warned[strconv.Itoa(i+1)] = votes.Entry{Entry: strconv.Itoa(i + 1), Area: area}
			}
			policy := with(plain, func(p *votes.Policy) { p.Unreturned = votes.UnreturnedWithMajority })
			r := elect(henan, votes.Motion{ID: "M1", Matter: c.matter, Scope: meeting.Estate}, policy, areas, warned, ballots...)
			if r.Silence.CountsAs != c.as || r.Silence.Heads != 2 || r.Silence.Area != 2000 {
				t.Fatalf("%+v", r.Silence)
			}
			yes, no := int64(len(c.yes)), int64(len(c.no))
			switch c.as {
			case votes.Yes:
				yes += 2
			case votes.No:
				no += 2
			default:
				if !reflect.DeepEqual(r.Figures, r.Silence.Before) {
					t.Errorf("silence that counts for nothing changes %+v to %+v", r.Silence.Before, r.Figures)
				}
			}
			if r.YesHeads != yes || r.NoHeads != no {
				t.Errorf("%+v", r.Figures)
			}
		})
	}
}

func TestSilenceMeansSomethingOnlyWhereTheRulesSaySo(t *testing.T) {
	majority := withRules(t, "", map[string]any{"unreturned": votes.UnreturnedWithMajority})
	motion := votes.Motion{ID: "M1", Title: "选聘物业", Matter: "民法典278-1-4", Scope: meeting.Estate}
	for _, c := range []struct {
		set    meeting.RuleSet
		policy string
		ok     bool
	}{
		{civilCode(t), votes.UnreturnedNone, true},
		{civilCode(t), votes.UnreturnedTakesPart, false},
		{civilCode(t), votes.UnreturnedWithMajority, false},
		{majority, votes.UnreturnedNone, true},
		{majority, votes.UnreturnedWithMajority, true},
		{majority, votes.UnreturnedTakesPart, false},
		{majority, "with-the-wind", false},
	} {
		d := votes.MeetingDrafted{Meeting: "m", Title: "业主大会", Policy: with(plain, func(p *votes.Policy) { p.Unreturned = c.policy }), Motions: []votes.Motion{motion}}
		_, err := meeting.DraftMeeting{MeetingDrafted: d, Rules: c.set}.Decide(meeting.Meeting{})
		p, refused := errors.AsType[*problem.Error](err)
		if refused == c.ok || refused && (len(p.Fields) != 1 || p.Fields[0].Name != "policy.unreturned") {
			t.Errorf("draft by %s with %s: %v", c.set.ID, c.policy, err)
		}
		// The rules may have changed since the draft: those of the notice decide.
		m := meeting.Meeting{MeetingDrafted: d, Roll: votes.RollFrozen{Roll: "hash"}}
		if _, err := (meeting.PostNotice{Now: noon, Opens: opens, Closes: closes, Rules: c.set}).Decide(m); errors.Is(err, meeting.ErrSilence) == c.ok {
			t.Errorf("notice by %s with %s: %v", c.set.ID, c.policy, err)
		}
	}
}

// crowd is what the heads of a meeting hand in, drawn at random.
type crowd struct {
	m      meeting.Meeting
	set    meeting.RuleSet
	heads  []votes.Entry
	handed []meeting.Handed
	warned map[string]votes.Entry
}

func drawCrowd(t *rapid.T, set meeting.RuleSet) crowd {
	c := crowd{set: set, warned: map[string]votes.Entry{}}
	e := election(2, 3)
	e.ID, e.Approvals = "E", 2
	c.m = meeting.Meeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Motions: []votes.Motion{
		{ID: "O", Matter: "民法典278-1-4", Scope: meeting.Estate}, {ID: "S", Matter: "民法典278-1-8", Scope: meeting.Estate},
		{ID: "U", Matter: "民法典279", Scope: meeting.Estate}, {ID: "X", Matter: "河南66", Scope: meeting.Estate}, e,
	}}}
	c.m.Policy = votes.Policy{
		Revote:             rapid.SampledFrom([]string{votes.FirstBallotStands, votes.LastBallotStands}).Draw(t, "revote"),
		PaperAndElectronic: rapid.SampledFrom([]string{votes.ElectronicStands, votes.PaperStands, votes.FirstStands}).Draw(t, "channels"),
		Unreturned:         rapid.SampledFrom([]string{votes.UnreturnedNone, votes.UnreturnedTakesPart, votes.UnreturnedWithMajority}).Draw(t, "unreturned"),
	}
	total := votes.ScopeTotal{Scope: meeting.Estate}
	choice := rapid.SampledFrom([]string{votes.Yes, votes.Yes, votes.Yes, votes.No, votes.Abstain, "也许"})
	for i := range rapid.IntRange(1, 8).Draw(t, "heads") {
		entry := votes.Entry{Entry: strconv.Itoa(i + 1), Area: units.CentiM2(rapid.Int64Range(1, 300).Draw(t, "area"))}
		c.heads = append(c.heads, entry)
		total.Heads, total.Area = total.Heads+1, total.Area+entry.Area
		if rapid.Bool().Draw(t, "warned") {
			c.warned[entry.Entry] = entry
		}
		var h meeting.Handed
		for n := range rapid.SampledFrom([]int{0, 1, 1, 1, 2, 3}).Draw(t, "ballots") {
			b := votes.BallotCast{
				Ballot: fmt.Sprint(i, "/", n), Channel: rapid.SampledFrom([]string{ele, pap}).Draw(t, "channel"),
				At: opens.Add(time.Duration(n) * time.Minute), Motions: []string{"O", "S", "U", "X", "E"},
			}
			for _, motion := range []string{"O", "S", "U", "X"} {
				b.Choices = append(b.Choices, votes.Choice{Motion: motion, Choice: choice.Draw(t, motion)})
			}
			for _, candidate := range e.Candidates {
				b.Choices = append(b.Choices, votes.Choice{Motion: "E", Candidate: candidate.ID, Choice: choice.Draw(t, candidate.ID)})
			}
			if b.Channel == pap {
				h.Envelopes = append(h.Envelopes, b.At)
			}
			h.Taken = append(h.Taken, meeting.Taken{BallotCast: b, Opened: true})
		}
		c.handed = append(c.handed, h)
	}
	c.m.Roll.Scopes = []votes.ScopeTotal{total}
	return c
}

// count counts the heads in an order.
func (c crowd) count(order []int) ([]meeting.Result, meeting.Summary) {
	counter := meeting.NewCounter(c.m, c.warned)
	for _, i := range order {
		counter.Head(c.heads[i], c.handed[i])
	}
	return counter.Results(c.set), counter.Summary
}

func (c crowd) inOrder() (order []int) {
	for i := range c.heads {
		order = append(order, i)
	}
	return order
}

func TestTheSumOverChannelsIsTheTotal(t *testing.T) {
	set := withRules(t, "henan", nil)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCrowd(t, set)
		results, summary := c.count(c.inOrder())
		check := func(what string, f meeting.Figures, channels []meeting.ChannelCount) {
			var sum meeting.ChannelCount
			for _, ch := range channels {
				sum.Heads, sum.Area = sum.Heads+ch.Heads, sum.Area+ch.Area
				sum.YesHeads, sum.NoHeads, sum.AbstainHeads = sum.YesHeads+ch.YesHeads, sum.NoHeads+ch.NoHeads, sum.AbstainHeads+ch.AbstainHeads
				sum.YesArea, sum.NoArea, sum.AbstainArea = sum.YesArea+ch.YesArea, sum.NoArea+ch.NoArea, sum.AbstainArea+ch.AbstainArea
			}
			want := meeting.ChannelCount{
				Heads: f.ParticipatingHeads, Area: f.ParticipatingArea, YesHeads: f.YesHeads, YesArea: f.YesArea,
				NoHeads: f.NoHeads, NoArea: f.NoArea, AbstainHeads: f.AbstainHeads, AbstainArea: f.AbstainArea,
			}
			if sum != want {
				t.Fatalf("%s: channels come to %+v, the total is %+v", what, sum, want)
			}
		}
		for _, r := range results {
			voted, election := r.Figures, r.Election
			if r.Silence != nil {
				voted = r.Silence.Before
			}
			check(r.Motion, voted, r.Channels)
			if election != nil {
				if r.Silence != nil {
					election = r.Silence.Election
				}
				for _, candidate := range election.Candidates {
					check(candidate.ID, candidate.Figures, candidate.Channels)
				}
			}
		}
		if p := summary.Paper; p != nil && (p.Difference != 0 || p.HandedIn != p.Counted+p.Void+p.Refused) {
			t.Fatalf("paper %+v", p)
		}
		if summary.Rows != summary.Accepted+summary.Rejected {
			t.Fatalf("%+v", summary)
		}
	})
}

// Each ballot says when it came; in which order ballots were recorded, and heads
// are counted, makes no difference.
func TestTheOrderOfRecordingNeverMatters(t *testing.T) {
	set := withRules(t, "henan", nil)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCrowd(t, set)
		results, summary := c.count(c.inOrder())
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for i := range c.handed {
			taken := slices.Clone(c.handed[i].Taken)
			r.Shuffle(len(taken), func(a, b int) { taken[a], taken[b] = taken[b], taken[a] })
			c.handed[i].Taken = taken
		}
		again, summaryAgain := c.count(r.Perm(len(c.heads)))
		if !reflect.DeepEqual(results, again) || !reflect.DeepEqual(summary, summaryAgain) {
			t.Fatalf("%+v\nbecame\n%+v", results, again)
		}
	})
}

// Whoever has handed in nothing agrees instead: nothing that was adopted, with or
// without a rule on silence, is not adopted then.
func TestOneMoreYesNeverTurnsAdoptedIntoNotAdoptedWhateverSilenceMeans(t *testing.T) {
	set := withRules(t, "henan", nil)
	rapid.Check(t, func(t *rapid.T) {
		c := drawCrowd(t, set)
		before, _ := c.count(c.inOrder())
		i := slices.IndexFunc(c.handed, func(h meeting.Handed) bool { return len(h.Taken) == 0 })
		if i < 0 {
			t.Skip("everyone has voted")
		}
		yes := votes.BallotCast{Ballot: "more", Channel: ele, At: opens}
		for _, motion := range []string{"O", "S", "U", "X"} {
			yes.Motions = append(yes.Motions, motion)
			yes.Choices = append(yes.Choices, votes.Choice{Motion: motion, Choice: votes.Yes})
		}
		c.handed[i].Taken = []meeting.Taken{{BallotCast: yes, Opened: true}}
		after, _ := c.count(c.inOrder())
		for n, r := range before {
			if r.Election != nil {
				continue
			}
			if r.Outcome == votes.Adopted && after[n].Outcome != votes.Adopted ||
				r.Silence != nil && r.Silence.Before.Outcome == votes.Adopted && after[n].Silence.Before.Outcome != votes.Adopted {
				t.Fatalf("%+v\nbecame\n%+v", r, after[n])
			}
		}
	})
}

func TestPaperIsReconciled(t *testing.T) {
	m := meeting.Meeting{MeetingDrafted: votes.MeetingDrafted{Meeting: "m", Policy: plain, Motions: []votes.Motion{{ID: "M1", Matter: "民法典278-1-4", Scope: meeting.Estate}, {ID: "M2", Matter: "民法典278-1-4", Scope: "building:5"}}}}
	at := func(minutes int) time.Time { return opens.Add(time.Duration(minutes) * time.Minute) }
	cast := func(id, channel string, minutes int, choice string) meeting.Taken {
		return meeting.Taken{Opened: true, BallotCast: votes.BallotCast{Ballot: id, Channel: channel, At: at(minutes), Motions: []string{"M1"}, Choices: []votes.Choice{{Motion: "M1", Choice: choice}}}}
	}
	refuse := func(id string, minutes int, reason votes.Reason) votes.BallotRefused {
		return votes.BallotRefused{Ballot: id, Channel: pap, At: at(minutes), Motions: []string{"M2"}, Reason: reason}
	}
	for _, c := range []struct {
		name   string
		handed meeting.Handed
		want   *meeting.PaperCount
	}{
		{"nothing on paper", meeting.Handed{Taken: []meeting.Taken{cast("a", ele, 1, votes.Yes)}}, nil},
		{"a paper that counts", meeting.Handed{Envelopes: []time.Time{at(1)}, Taken: []meeting.Taken{cast("a", pap, 1, votes.Yes)}},
			&meeting.PaperCount{HandedIn: 1, Counted: 1}},
		{"one that counts on one motion and is out of scope on another is one paper",
			meeting.Handed{Envelopes: []time.Time{at(1)}, Taken: []meeting.Taken{cast("a", pap, 1, votes.Yes)}, Refused: []votes.BallotRefused{refuse("a", 1, votes.NotInScope)}},
			&meeting.PaperCount{HandedIn: 1, Counted: 1}},
		{"a void one", meeting.Handed{Envelopes: []time.Time{at(1)}, Refused: []votes.BallotRefused{refuse("a", 1, votes.NoSuchChoice)}},
			&meeting.PaperCount{HandedIn: 1, Void: 1}},
		{"one that an electronic ballot stands before", meeting.Handed{Envelopes: []time.Time{at(2)}, Taken: []meeting.Taken{cast("a", ele, 1, votes.Yes), cast("b", pap, 2, votes.No)}},
			&meeting.PaperCount{HandedIn: 1, Refused: 1}},
		{"one that came after the deadline never was an envelope", meeting.Handed{Refused: []votes.BallotRefused{refuse("a", 1, votes.VotingIsClosed)}}, nil},
		{"an envelope that nobody opened", meeting.Handed{Envelopes: []time.Time{at(1), at(2)}, Taken: []meeting.Taken{cast("a", pap, 1, votes.Yes)}},
			&meeting.PaperCount{HandedIn: 2, Counted: 1, Difference: 1}},
		{"a paper ballot out of no envelope", meeting.Handed{Taken: []meeting.Taken{cast("a", pap, 1, votes.Yes)}},
			&meeting.PaperCount{Counted: 1, Difference: -1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			counter := meeting.NewCounter(m, nil)
			counter.Head(votes.Entry{Entry: "1", Area: 100}, c.handed)
			if !reflect.DeepEqual(counter.Paper, c.want) {
				t.Errorf("%+v, want %+v", counter.Paper, c.want)
			}
			past := m
			past.Past = true
			counter = meeting.NewCounter(past, nil)
			if counter.Head(votes.Entry{Entry: "1", Area: 100}, c.handed); counter.Paper != nil {
				t.Errorf("of the past no envelopes are known: %+v", counter.Paper)
			}
		})
	}
}
