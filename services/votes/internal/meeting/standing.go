package meeting

import (
	"cmp"
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
	Proxy   bool         // cast by the holder of a mandate
	Sold    int          // units concerned that the head had sold before
}

// Standing says of each answer of one head whether it counts: "", or the reason
// why not. Answers come in the order they were recorded, and stand in the order
// of At; only where two are of the same instant does the recorded order decide.
//
// Each is tested against the one answer that stood before it on its motion.
// Within a channel only policy.Revote decides, between channels only
// policy.PaperAndElectronic. An answer that does not count stands in nobody's
// way, and neither does a void one.
//
// What a head answered before it sold a unit stands for that unit (北京, seen), and
// a head has one voice: no later answer replaces it, whatever the policy.
func Standing(policy votes.Policy, answers []Answer) []votes.Reason {
	reasons := make([]votes.Reason, len(answers))
	order := make([]int, len(answers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		return cmp.Or(cmp.Compare(answers[i].Sold, answers[j].Sold), answers[i].At.Compare(answers[j].At))
	})
	stands := map[string]int{} // motion → answer
	for _, i := range order {
		a := answers[i]
		if revoked(answers, a) {
			reasons[i] = votes.OwnBallotStands
			continue
		}
		before, contested := stands[a.Motion]
		lost, replaced := votes.Reason(""), votes.Reason("")
		if contested {
			by := policy
			if answers[before].Sold < a.Sold {
				by.Revote, by.PaperAndElectronic = votes.FirstBallotStands, votes.FirstStands
			}
			lost, replaced = contest(by, onPaper(answers[before].Channel), onPaper(a.Channel))
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

// revoked says whether the owner's own vote revokes an answer of a proxy.
func revoked(answers []Answer, a Answer) bool {
	return a.Proxy && slices.ContainsFunc(answers, func(own Answer) bool {
		return !own.Proxy && own.Void == "" && (own.Motion == a.Motion && own.Sold <= a.Sold || own.At.Before(a.At))
	})
}

// onPaper is the channel that a channel ranks as. A show of hands is given in
// person to the office, and written down on a list; where it is said which of
// paper and electronic stands, it is what paper is.
func onPaper(channel string) string {
	if channel == votes.InMeeting {
		return votes.Paper
	}
	return channel
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
