package meeting_test

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

func civilCode(t interface{ Fatal(...any) }) meeting.RuleSet {
	set, ok := rules.InForce("2023-01-14")
	if !ok {
		t.Fatal("no rules in force")
	}
	return set
}

// Areas are in 0.01 ㎡, so the neighbours of a boundary are one apart.
func TestCount(t *testing.T) {
	const ordinary, special = "民法典278-1-4", "民法典278-1-8"
	for _, c := range []struct {
		name   string
		matter string
		heads  int64 // of all
		area   units.CentiM2
		tally  meeting.Tally
		want   string
	}{
		{"art. 278 quorum: exactly two thirds of both is enough", ordinary, 9, 90000,
			meeting.Tally{YesHeads: 6, YesArea: 60000}, votes.Adopted},
		{"art. 278 quorum: 0.01 ㎡ under two thirds of the area is not", ordinary, 9, 90000,
			meeting.Tally{YesHeads: 6, YesArea: 59999}, votes.NoDecision},
		{"art. 278 quorum: 0.01 ㎡ over two thirds is", ordinary, 9, 90000,
			meeting.Tally{YesHeads: 6, YesArea: 60001}, votes.Adopted},
		{"art. 278 quorum: one head under two thirds is not", ordinary, 9, 90000,
			meeting.Tally{YesHeads: 5, YesArea: 80000}, votes.NoDecision},
		{"art. 278 quorum: an area that three does not divide is not rounded down", ordinary, 3, 100,
			meeting.Tally{YesHeads: 2, YesArea: 66}, votes.NoDecision},
		{"art. 278 quorum: nor up", ordinary, 3, 100,
			meeting.Tally{YesHeads: 2, YesArea: 67}, votes.Adopted},
		{"art. 278 quorum: an abstention takes part", ordinary, 3, 300,
			meeting.Tally{YesHeads: 1, YesArea: 101, AbstainHeads: 1, AbstainArea: 99}, votes.NotAdopted},
		{"art. 278 items 1–5, 9: exactly half of the heads is no majority", ordinary, 2, 200,
			meeting.Tally{YesHeads: 1, YesArea: 150, NoHeads: 1, NoArea: 50}, votes.NotAdopted},
		{"art. 278 items 1–5, 9: exactly half of the area is no majority", ordinary, 3, 300,
			meeting.Tally{YesHeads: 2, YesArea: 150, NoHeads: 1, NoArea: 150}, votes.NotAdopted},
		{"art. 278 items 1–5, 9: 0.01 ㎡ over half is", ordinary, 3, 301,
			meeting.Tally{YesHeads: 2, YesArea: 151, NoHeads: 1, NoArea: 150}, votes.Adopted},
		{"art. 278 items 1–5, 9: 0.01 ㎡ under half is not", ordinary, 3, 301,
			meeting.Tally{YesHeads: 2, YesArea: 150, NoHeads: 1, NoArea: 151}, votes.NotAdopted},
		{"art. 278 items 6–8: exactly three quarters of both is enough (art. 1259)", special, 4, 400,
			meeting.Tally{YesHeads: 3, YesArea: 300, NoHeads: 1, NoArea: 100}, votes.Adopted},
		{"art. 278 items 6–8: 0.01 ㎡ under three quarters is not", special, 4, 400,
			meeting.Tally{YesHeads: 3, YesArea: 299, NoHeads: 1, NoArea: 101}, votes.NotAdopted},
		{"art. 278 items 6–8: 0.01 ㎡ over three quarters is", special, 4, 400,
			meeting.Tally{YesHeads: 3, YesArea: 301, NoHeads: 1, NoArea: 99}, votes.Adopted},
		{"art. 278 items 6–8: one head under three quarters is not", special, 8, 800,
			meeting.Tally{YesHeads: 5, YesArea: 700, NoHeads: 3, NoArea: 100}, votes.NotAdopted},
		{"art. 278 quorum: one head over two thirds is", ordinary, 10, 90000,
			meeting.Tally{YesHeads: 7, YesArea: 60000}, votes.Adopted},
		{"art. 278 quorum: enough heads, and one owner has most of the area", ordinary, 9, 90000,
			meeting.Tally{YesHeads: 8, YesArea: 30000}, votes.NoDecision},
		{"art. 278 quorum: enough area, and few heads", special, 9, 90000,
			meeting.Tally{YesHeads: 1, YesArea: 89000}, votes.NoDecision},
		{"art. 278 items 1–5, 9: one head over half is", ordinary, 3, 300,
			meeting.Tally{YesHeads: 2, YesArea: 200, NoHeads: 1, NoArea: 100}, votes.Adopted},
		{"art. 278 items 1–5, 9: half with abstentions is no majority", ordinary, 4, 400,
			meeting.Tally{YesHeads: 2, YesArea: 200, AbstainHeads: 2, AbstainArea: 200}, votes.NotAdopted},
		{"art. 278 items 6–8: exactly three quarters of the heads, and 0.01 ㎡ over of the area", special, 8, 800,
			meeting.Tally{YesHeads: 6, YesArea: 601, NoHeads: 2, NoArea: 199}, votes.Adopted},
		{"art. 278 items 6–8: one head over three quarters, and exactly so of the area", special, 8, 800,
			meeting.Tally{YesHeads: 7, YesArea: 600, NoHeads: 1, NoArea: 200}, votes.Adopted},
		{"art. 278 items 6–8: an abstention counts against three quarters", special, 4, 400,
			meeting.Tally{YesHeads: 2, YesArea: 299, AbstainHeads: 2, AbstainArea: 101}, votes.NotAdopted},
		{"nobody takes part: no valid decision", special, 9, 90000, meeting.Tally{}, votes.NoDecision},
		{"nobody owns anything: no valid decision", special, 0, 0, meeting.Tally{}, votes.NoDecision},
		{"one owner alone adopts", special, 1, 8990, meeting.Tally{YesHeads: 1, YesArea: 8990}, votes.Adopted},
		{"one owner alone refuses", ordinary, 1, 8990, meeting.Tally{NoHeads: 1, NoArea: 8990}, votes.NotAdopted},
		{"one owner alone abstains", ordinary, 1, 8990, meeting.Tally{AbstainHeads: 1, AbstainArea: 8990}, votes.NotAdopted},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := meeting.Count(civilCode(t), votes.Motion{ID: "M1", Matter: c.matter, Scope: meeting.Estate}, votes.ScopeTotal{Heads: c.heads, Area: c.area}, c.tally)
			if r.Outcome != c.want {
				t.Errorf("%s, want %s: %+v", r.Outcome, c.want, r.Arithmetic)
			}
			if r.QuorumMet == (r.Outcome == votes.NoDecision) {
				t.Errorf("quorum met %t with %s", r.QuorumMet, r.Outcome)
			}
		})
	}
}

// What is measured against all asks for no quorum.
func TestCountAgainstAll(t *testing.T) {
	before, _ := rules.InForce("2020-12-31")
	henan, err := meeting.Compose(civilFile(t), template(t, "henan"), meeting.Own{})
	if err != nil {
		t.Fatal(err)
	}
	const use, raise, business, objection = "物权法76-1-4", "物权法76-1-5", "民法典279", "河南66"
	for _, c := range []struct {
		name   string
		set    meeting.RuleSet
		matter string
		heads  int64
		area   units.CentiM2
		tally  meeting.Tally
		want   string
	}{
		{"Property Law art. 76: exactly half of all heads is no majority", before, use, 4, 400,
			meeting.Tally{YesHeads: 2, YesArea: 300}, votes.NotAdopted},
		{"Property Law art. 76: exactly half of all area is no majority", before, use, 4, 400,
			meeting.Tally{YesHeads: 3, YesArea: 200}, votes.NotAdopted},
		{"Property Law art. 76: 0.01 ㎡ over half of all is", before, use, 4, 400,
			meeting.Tally{YesHeads: 3, YesArea: 201}, votes.Adopted},
		{"Property Law art. 76: all who take part agree, and they are too few", before, use, 9, 900,
			meeting.Tally{YesHeads: 4, YesArea: 400}, votes.NotAdopted},
		{"Property Law art. 76: funds by exactly two thirds of all", before, raise, 9, 90000,
			meeting.Tally{YesHeads: 6, YesArea: 60000}, votes.Adopted},
		{"Property Law art. 76: funds by 0.01 ㎡ less", before, raise, 9, 90000,
			meeting.Tally{YesHeads: 6, YesArea: 59999}, votes.NotAdopted},
		{"Property Law art. 76: funds by one head less", before, raise, 9, 90000,
			meeting.Tally{YesHeads: 5, YesArea: 60000}, votes.NotAdopted},
		{"Property Law art. 76: nobody takes part", before, use, 9, 900, meeting.Tally{}, votes.NoDecision},
		{"Civil Code art. 279: every affected owner agrees", civilCode(t), business, 3, 300,
			meeting.Tally{YesHeads: 3, YesArea: 300}, votes.Adopted},
		{"Civil Code art. 279: one affected owner is silent", civilCode(t), business, 3, 300,
			meeting.Tally{YesHeads: 2, YesArea: 200}, votes.NotAdopted},
		{"Civil Code art. 279: one affected owner abstains", civilCode(t), business, 3, 300,
			meeting.Tally{YesHeads: 2, YesArea: 200, AbstainHeads: 1, AbstainArea: 100}, votes.NotAdopted},
		{"河南 art. 66: objectors of exactly one third of both", henan, objection, 9, 900,
			meeting.Tally{NoHeads: 3, NoArea: 300}, votes.Adopted},
		{"河南 art. 66: objectors of 0.01 ㎡ less", henan, objection, 9, 900,
			meeting.Tally{NoHeads: 3, NoArea: 299}, votes.Adopted},
		{"河南 art. 66: objectors of 0.01 ㎡ more", henan, objection, 9, 900,
			meeting.Tally{NoHeads: 3, NoArea: 301}, votes.NotAdopted},
		{"河南 art. 66: objectors of one head more", henan, objection, 9, 900,
			meeting.Tally{NoHeads: 4, NoArea: 300}, votes.NotAdopted},
		{"河南 art. 66: nobody objects", henan, objection, 9, 900, meeting.Tally{}, votes.Adopted},
		{"河南 art. 66: nobody is affected", henan, objection, 0, 0, meeting.Tally{}, votes.NoDecision},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := meeting.Count(c.set, votes.Motion{ID: "M1", Matter: c.matter, Scope: meeting.Estate}, votes.ScopeTotal{Heads: c.heads, Area: c.area}, c.tally)
			if r.Outcome != c.want || r.Words.ZH == "" {
				t.Errorf("%s, want %s: %+v", r.Outcome, c.want, r.Arithmetic)
			}
		})
	}
}

// No template moves a threshold of the Civil Code, to either side.
func TestTheThresholdsOfArticle278HoldInEveryPlace(t *testing.T) {
	for _, place := range rules.Templates() {
		set, err := meeting.Compose(civilFile(t), place, meeting.Own{})
		if err != nil {
			t.Fatal(err)
		}
		all := votes.ScopeTotal{Heads: 12, Area: 1200}
		for _, c := range []struct {
			matter string
			tally  meeting.Tally
			want   string
		}{
			{"民法典278-1-4", meeting.Tally{YesHeads: 5, YesArea: 401, NoHeads: 3, NoArea: 399}, votes.Adopted},
			{"民法典278-1-4", meeting.Tally{YesHeads: 5, YesArea: 400, NoHeads: 3, NoArea: 400}, votes.NotAdopted},
			{"民法典278-1-4", meeting.Tally{YesHeads: 4, YesArea: 500, NoHeads: 4, NoArea: 300}, votes.NotAdopted},
			{"民法典278-1-4", meeting.Tally{YesHeads: 8, YesArea: 799}, votes.NoDecision},
			{"民法典278-1-4", meeting.Tally{YesHeads: 7, YesArea: 1100}, votes.NoDecision},
			{"民法典278-1-6", meeting.Tally{YesHeads: 6, YesArea: 600, NoHeads: 2, NoArea: 200}, votes.Adopted},
			{"民法典278-1-6", meeting.Tally{YesHeads: 6, YesArea: 599, NoHeads: 2, NoArea: 201}, votes.NotAdopted},
			{"民法典278-1-6", meeting.Tally{YesHeads: 5, YesArea: 700, NoHeads: 3, NoArea: 100}, votes.NotAdopted},
			{"民法典279", meeting.Tally{YesHeads: 12, YesArea: 1200}, votes.Adopted},
			{"民法典279", meeting.Tally{YesHeads: 12, YesArea: 1199}, votes.NotAdopted},
		} {
			if r := meeting.Count(set, votes.Motion{Matter: c.matter, Scope: meeting.Estate}, all, c.tally); r.Outcome != c.want {
				t.Errorf("%s, %s: %s, want %s: %+v", place.Place, c.matter, r.Outcome, c.want, r.Arithmetic)
			}
		}
	}
}

// civilFile is the file that the national rules are composed of.
func civilFile(t interface{ Fatal(...any) }) meeting.RuleSet {
	for _, set := range rules.All() {
		if set.ID == "cn-civil-code-2021.2" {
			return set
		}
	}
	t.Fatal("no file")
	return meeting.RuleSet{}
}

func template(t interface{ Fatal(...any) }, id string) meeting.RuleSet {
	for _, set := range rules.Templates() {
		if set.ID == id {
			return set
		}
	}
	t.Fatal("no template", id)
	return meeting.RuleSet{}
}

func TestCountSpellsOutItsArithmetic(t *testing.T) {
	r := meeting.Count(civilCode(t), votes.Motion{Matter: "民法典278-1-8"}, votes.ScopeTotal{Heads: 976, Area: 8800473},
		meeting.Tally{YesHeads: 573, YesArea: 4957966, NoHeads: 133, NoArea: 1296172, AbstainHeads: 54, AbstainArea: 589062})
	want := []meeting.Step{
		{"quorum", "heads", meeting.Term{3, 760, 2280}, "≥", "≥", meeting.Term{2, 976, 1952}, true},
		{"quorum", "area_centi_m2", meeting.Term{3, 6843200, 20529600}, "≥", "≥", meeting.Term{2, 8800473, 17600946}, true},
		{"approval", "heads", meeting.Term{4, 573, 2292}, "≥", "≥", meeting.Term{3, 760, 2280}, true},
		{"approval", "area_centi_m2", meeting.Term{4, 4957966, 19831864}, "<", "≥", meeting.Term{3, 6843200, 20529600}, false},
	}
	if len(r.Arithmetic) != len(want) {
		t.Fatalf("%d steps, want %d", len(r.Arithmetic), len(want))
	}
	for i := range want {
		if r.Arithmetic[i] != want[i] {
			t.Errorf("step %d: %+v, want %+v", i, r.Arithmetic[i], want[i])
		}
	}
}

// tallies draws a count that fits into an electorate.
func tallies(t *rapid.T) (votes.ScopeTotal, meeting.Tally) {
	heads := func(name string) int64 { return rapid.Int64Range(0, 40).Draw(t, name) }
	area := func(name string, heads int64) units.CentiM2 {
		return units.CentiM2(heads + rapid.Int64Range(0, 40*heads).Draw(t, name))
	}
	tally := meeting.Tally{YesHeads: heads("yes"), NoHeads: heads("no"), AbstainHeads: heads("abstain")}
	tally.YesArea, tally.NoArea, tally.AbstainArea = area("yes area", tally.YesHeads), area("no area", tally.NoHeads), area("abstain area", tally.AbstainHeads)
	absent := heads("absent")
	return votes.ScopeTotal{
		Heads: tally.YesHeads + tally.NoHeads + tally.AbstainHeads + absent + 1,
		Area:  tally.YesArea + tally.NoArea + tally.AbstainArea + area("absent area", absent) + 500,
	}, tally
}

func TestOneMoreYesNeverTurnsAdoptedIntoNotAdopted(t *testing.T) {
	set := civilCode(t)
	rapid.Check(t, func(t *rapid.T) {
		all, tally := tallies(t)
		motion := votes.Motion{Matter: rapid.SampledFrom([]string{"民法典278-1-1", "民法典278-1-6"}).Draw(t, "matter")}
		before := meeting.Count(set, motion, all, tally)
		tally.Add(votes.Yes, units.CentiM2(rapid.Int64Range(1, 500).Draw(t, "area")))
		if after := meeting.Count(set, motion, all, tally); before.Outcome == votes.Adopted && after.Outcome != votes.Adopted {
			t.Fatalf("%+v\nbecame\n%+v", before, after)
		}
	})
}

// Whatever is counted, near a threshold or not, it comes to what fractions that are
// exact say: the products of whole numbers lose nothing.
func TestTheOutcomeIsThatOfExactFractions(t *testing.T) {
	set := civilCode(t)
	ratio := func(part, whole int64) *big.Rat { return big.NewRat(part, whole) }
	rapid.Check(t, func(t *rapid.T) {
		all := votes.ScopeTotal{Heads: rapid.Int64Range(1, 60000).Draw(t, "heads"), Area: units.CentiM2(rapid.Int64Range(1, 1e12).Draw(t, "area"))}
		near := func(whole, n, d int64, name string) int64 { // a part of the whole within two of n/d
			return max(0, min(whole, whole*n/d+rapid.Int64Range(-2, 2).Draw(t, name)))
		}
		special := rapid.Bool().Draw(t, "special")
		matter, n, d := "民法典278-1-1", int64(1), int64(2)
		if special {
			matter, n, d = "民法典278-1-6", 3, 4
		}
		heads, area := near(all.Heads, 2, 3, "took heads"), near(int64(all.Area), 2, 3, "took area")
		yes := meeting.Tally{YesHeads: near(heads, n, d, "yes heads"), YesArea: units.CentiM2(near(area, n, d, "yes area"))}
		yes.NoHeads, yes.NoArea = heads-yes.YesHeads, units.CentiM2(area)-yes.YesArea

		want := votes.NoDecision
		if q := ratio(2, 3); heads > 0 && ratio(heads, all.Heads).Cmp(q) >= 0 && ratio(area, int64(all.Area)).Cmp(q) >= 0 {
			want = votes.NotAdopted
			byHeads, byArea := ratio(yes.YesHeads, heads).Cmp(ratio(n, d)), 0
			if byArea = -1; area > 0 {
				byArea = ratio(int64(yes.YesArea), area).Cmp(ratio(n, d))
			}
			if byHeads > 0 && byArea > 0 || special && byHeads >= 0 && byArea >= 0 {
				want = votes.Adopted
			}
		}
		if r := meeting.Count(set, votes.Motion{Matter: matter, Scope: meeting.Estate}, all, yes); r.Outcome != want {
			t.Fatalf("%s, want %s: %+v", r.Outcome, want, r.Arithmetic)
		}
	})
}

func TestEveryMatterHasTheThresholdOfArticle278(t *testing.T) {
	set := civilCode(t)
	special := map[string]bool{"民法典278-1-6": true, "民法典278-1-7": true, "民法典278-1-8": true}
	items := 0
	for id, m := range set.Matters {
		if strings.HasPrefix(id, "民法典278-") {
			items++
		}
		if (m.Threshold == "special") != special[id] || m.ZH == "" || m.EN == "" {
			t.Errorf("%s: %+v", id, m)
		}
	}
	if items != 9 {
		t.Errorf("%d matters, the article has 9", items)
	}
}
