package meeting

import (
	"slices"

	"github.com/yimu-ledger/yimu/contracts/votes"
)

func isChoice(s string) bool { return s == votes.Yes || s == votes.No || s == votes.Abstain }

// isElection reports whether a motion fills seats: it is answered candidate by
// candidate. Otherwise it is a question, answered once.
func isElection(m votes.Motion) bool { return m.Seats > 0 }

// fault says why what a ballot says on a motion is no choice, or "". Of an
// election it may name any of the candidates, each once; one that it leaves out
// it abstains on. Where one thing is wrong, all that it says on the motion is
// void: what else it was meant to say nobody can know.
func fault(m votes.Motion, said []votes.Choice) votes.Reason {
	if len(said) == 0 || !isElection(m) && len(said) > 1 {
		return votes.NoSuchChoice
	}
	approved := 0
	for i, c := range said {
		switch {
		case !isChoice(c.Choice), !isAsked(m, c.Candidate), slices.ContainsFunc(said[:i], func(earlier votes.Choice) bool { return earlier.Candidate == c.Candidate }):
			return votes.NoSuchChoice
		case isElection(m) && c.Choice == votes.Yes:
			approved++
		}
	}
	if m.Approvals > 0 && approved > m.Approvals {
		return votes.TooManyApproved
	}
	return ""
}

// isAsked reports whether a motion asks about a candidate; a question asks about
// "".
func isAsked(m votes.Motion, candidate string) bool {
	if !isElection(m) {
		return candidate == ""
	}
	return slices.ContainsFunc(m.Candidates, func(c votes.Candidate) bool { return c.ID == candidate })
}

// on returns those of the choices that are about a motion.
func on(motion string, choices []votes.Choice) (said []votes.Choice) {
	for _, c := range choices {
		if c.Motion == motion {
			said = append(said, c)
		}
	}
	return said
}

// Sealable returns of the choices those that can count, and the longest that a
// ballot could say: what is sealed is padded to that, so that its length does not
// tell what it says.
func (m Meeting) Sealable(choices []votes.Choice) (said, longest []votes.Choice) {
	said, longest = []votes.Choice{}, []votes.Choice{}
	for _, motion := range m.Motions {
		if isElection(motion) {
			for _, c := range motion.Candidates {
				longest = append(longest, votes.Choice{Motion: motion.ID, Candidate: c.ID, Choice: votes.Abstain})
			}
		} else {
			longest = append(longest, votes.Choice{Motion: motion.ID, Choice: votes.Abstain}) // every choice has two characters
		}
		if of := on(motion.ID, choices); fault(motion, of) == "" {
			said = append(said, of...)
		}
	}
	return said, longest
}
