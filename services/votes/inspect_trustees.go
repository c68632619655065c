package votes

import (
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// trustees decides again what becomes of a meeting's key that is held in shares. It
// returns the meeting that the event names.
func (i *inspection) trustees(c *facts.Commit, h *held, m meeting.Meeting, of authz.Resource, event votes.Event) string {
	own := func(action string, number int) {
		of.Person = c.Meta().Actor
		c.May(i.rights, action, of)
		if m.Trust.Number(of.Person) != number {
			c.Decided(meeting.ErrNotATrustee)
		}
	}
	switch e := event.(type) {
	case votes.TrusteesNamed:
		c.May(i.rights, "trustees.name", of)
		c.Decided(facts.Again(c, m, meeting.NameTrustees{TrusteesNamed: e}))
		return e.Meeting
	case votes.ShareTaken:
		own("share.take", e.Number)
		c.Decided(facts.Again(c, m, meeting.TakeShare{Number: e.Number}))
		return e.Meeting
	case votes.SharesAwaited:
		if c.Meta().Actor != reactor+releaseKey || c.Meta().Cause != h.closed {
			c.Decided(errByItself)
		}
		c.Decided(facts.Again(c, m, meeting.AwaitShares{Closed: h.times.Closed}))
		return e.Meeting
	case votes.ShareGiven:
		own("share.give", e.Number)
		if share, err := vault.CheckShare(m.Trust.Commitments, e.Number, e.Share); err != nil || share != e.Share {
			c.Break("share-wrong", "it is no share of this meeting's key, or another trustee's")
		}
		c.Decided(facts.Again(c, m, meeting.GiveShare{Number: e.Number, Share: e.Share}))
		if h.lastShare == "" && len(m.Trust.Given)+1 >= m.Trust.Needed() {
			h.lastShare = c.Facts[0].ID.String()
		}
		return e.Meeting
	case votes.BallotsUnopened:
		if c.Meta().Actor != reactor+leaveUnopened || c.Meta().Cause != m.Meeting+sharesDue {
			c.Decided(errByItself)
		}
		c.Decided(facts.Again(c, m, meeting.LeaveUnopened{Now: c.Meta().Happened.Add(facts.Skew)}))
		return e.Meeting
	default: // not of trustees
		return ""
	}
}

// combined notes where a released key is not the one that the shares make.
func combined(c *facts.Commit, m meeting.Meeting, released string) {
	needed := m.Trust.Needed()
	if needed == 0 || len(m.Trust.Given) < needed {
		return // no shares, or too few: that is refused
	}
	if key, err := vault.CombineShares(m.Trust.Commitments, m.Trust.Shares()[:needed]); err != nil || key != released {
		c.Break("wrong-key", "the shares that were given make another key")
	}
}
