package meeting

import (
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
)

// Answer is that a head answered one motion, in a ballot that passed every test
// that does not depend on other ballots but the last of them.
type Answer struct {
	Motion  string
	Channel string
	At      time.Time    // received, or handed in on paper
	Void    votes.Reason // why what it says is no choice; "" where it is one
}

// Standing says of each answer of one head whether it counts: "", or the reason
// why not. Answers come in the order they were recorded, and stand in the order
// of At; only where two are of the same instant does the recorded order decide.
//
// Each is tested against the one answer that stood before it on its motion.
// Within a channel only policy.Revote decides, between channels only
// policy.PaperAndElectronic. An answer that does not count stands in nobody's
// way, and neither does a void one.
func Standing(policy votes.Policy, answers []Answer) []votes.Reason {
	reasons := make([]votes.Reason, len(answers))
	order := make([]int, len(answers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return answers[i].At.Compare(answers[j].At) })
	stands := map[string]int{} // motion → answer
	for _, i := range order {
		a := answers[i]
		before, contested := stands[a.Motion]
		lost, replaced := votes.Reason(""), votes.Reason("")
		if contested {
			lost, replaced = contest(policy, answers[before].Channel, a.Channel)
		}
		if lost == "" {
			lost = a.Void
		}
		if reasons[i] = lost; lost != "" {
			continue
		}
		if contested {
			reasons[before] = replaced
		}
		stands[a.Motion] = i
	}
	return reasons
}

// contest decides between an answer that stands and a later one: the reason
// why the later loses, or why the earlier does.
func contest(policy votes.Policy, earlier, later string) (lost, replaced votes.Reason) {
	if earlier == later {
		if policy.Revote == votes.LastBallotStands {
			return "", votes.Superseded
		}
		return votes.AlreadyVoted, ""
	}
	stands := earlier // first-stands
	switch policy.PaperAndElectronic {
	case votes.ElectronicStands:
		stands = votes.Electronic
	case votes.PaperStands:
		stands = votes.Paper
	}
	reason := votes.PaperBallotStands
	if stands == votes.Electronic {
		reason = votes.ElectronicBallotStands
	}
	if stands == later {
		return "", reason
	}
	return reason, ""
}
