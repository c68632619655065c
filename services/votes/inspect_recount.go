package votes

import (
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// recount decides again that a ballot counts no more, or does again. It returns the
// meeting that the event names, "" where it is no such event.
func (i *inspection) recount(c *facts.Commit, h *held, m meeting.Meeting, of authz.Resource, event votes.Event) string {
	objection := func(id string) (o meeting.Objection) {
		if known := h.objections[id]; known != nil {
			o = known.Objection
		}
		return o
	}
	switch e := event.(type) {
	case votes.BallotSetAside:
		c.May(i.rights, "ballot.set-aside", of)
		aside := meeting.SetBallotAside{At: e.At, Objection: objection(e.Objection), Entry: e.Entry, Ballot: e.Ballot, Earlier: e.Earlier, Reason: e.Reason}
		if head := h.heads[e.Entry]; head != nil {
			aside.Taken = head.handed.Taken
		}
		c.Decided(facts.Again(c, m, aside))
		return e.Meeting
	case votes.BallotRestored:
		c.May(i.rights, "ballot.set-aside", of)
		c.Decided(facts.Again(c, m, meeting.RestoreBallot{At: e.At, Objection: objection(e.Objection), Entry: e.Entry, Ballot: e.Ballot, Reason: e.Reason}))
		return e.Meeting
	default:
		return ""
	}
}
