package pages

import (
	"slices"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// RecountModel is where a ballot is set aside, or restored, for an objection that
// was upheld.
type RecountModel struct {
	Meeting    client.Meeting
	Timeline   client.Timeline
	Objections []client.Objection
	Ballots    []client.PostedBallot // of the entry
	Key        string
	Form       map[string]string // entry, ballot, objection, earlier and reason, as filled in
	Problem    *Problem
	Done       bool
}

// Upheld are the objections that were upheld to the result that was withdrawn last.
func (m RecountModel) Upheld() []client.Objection {
	return slices.DeleteFunc(slices.Clone(m.Objections), func(o client.Objection) bool { return !o.Upheld || o.Posting != m.withdrawn() })
}

// withdrawn is the number of the result that was withdrawn last; 0: none was, or
// another stands.
func (m RecountModel) withdrawn() (number int) {
	if m.Timeline.Posting != nil {
		return 0
	}
	for _, w := range m.Timeline.Withdrawn {
		number = w.Number
	}
	return number
}

// aside says whether a ballot was set aside.
func (m RecountModel) aside(ballot string) bool {
	return slices.ContainsFunc(m.Timeline.SetAside, func(e client.SetAside) bool { return e.Ballot == ballot })
}

// earlierWords says what becomes of the other ballot of an owner.
func earlierWords(l Lang, earlier string) string {
	return lookup(l, map[string][2]string{
		"stands": {"这位业主的另一张票算数。", "The other ballot of this owner counts."},
		"falls":  {"这位业主的另一张票也不算数。", "The other ballot of this owner does not count either."},
	}, earlier)
}
