package meeting

import (
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
)

// Silence is what un-returned ballots count for (未交回的票), where the rules of
// the owners give that to the silence of whom a ballot was delivered to with proof
// and who were warned of it (上海二中院 (2022)沪02民初16号). The figures of a
// result are those after it; those before it are always posted beside them.
type Silence struct {
	Policy   string          `json:"policy" enum:"takes-part,with-majority"`
	Heads    int64           `json:"heads" doc:"who were delivered to with proof, were warned, and handed in nothing at all"`
	Area     units.CentiM2   `json:"area_centi_m2"`
	CountsAs string          `json:"counts_as,omitempty" enum:"参与,赞成,反对" doc:"what they count as on this motion; absent: nothing"`
	Before   Figures         `json:"before" doc:"the figures and the outcome without them"`
	Election *ElectionResult `json:"election,omitempty" doc:"of an election: what became of the candidates without them"`
}

// silenceCounts reports whether a rule on silence can say anything on a matter.
// Where objectors are counted silence objects to nothing already, and where every
// owner must agree it is not consent (Civil Code art. 279).
func (t Threshold) silenceCounts() bool {
	return t.Counts != Objectors && t.Heads.Numerator < t.Heads.Denominator && t.Area.Numerator < t.Area.Denominator
}

// with adds those whose silence counts to a tally, and says as what.
//
// The majority is the side with more heads and more area than the other, among
// the ballots that were cast; an abstention is on neither. Where heads and area
// differ, or are equal, there is none, and silence counts for nothing: not even
// as taking part.
func (t Tally) with(policy string, silent votes.ScopeTotal) (Tally, string) {
	switch {
	case silent.Heads == 0:
		return t, ""
	case policy == votes.UnreturnedTakesPart:
		t.Silent = silent
		return t, votes.TakesPart
	case policy != votes.UnreturnedWithMajority:
		return t, ""
	case t.YesHeads > t.NoHeads && t.YesArea > t.NoArea:
		t.YesHeads, t.YesArea = t.YesHeads+silent.Heads, t.YesArea+silent.Area
		return t, votes.Yes
	case t.NoHeads > t.YesHeads && t.NoArea > t.YesArea:
		t.NoHeads, t.NoArea = t.NoHeads+silent.Heads, t.NoArea+silent.Area
		return t, votes.No
	}
	return t, ""
}

// silences are the policies on un-returned ballots that a meeting may state: they
// count for nobody, or as the rules say.
func (r RuleSet) silences() []string {
	if r.Unreturned == "" || r.Unreturned == votes.UnreturnedNone {
		return []string{votes.UnreturnedNone}
	}
	return []string{votes.UnreturnedNone, r.Unreturned}
}
