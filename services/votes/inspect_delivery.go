package votes

import (
	"slices"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// told returns how a delivery is decided again; false where a commit is none.
// That the owner confirmed it only the owner says; anything else, those who see
// to deliveries.
func (i *inspection) told(c *facts.Commit, h *held, entry votes.Entry, about authz.Resource) (func(meeting.Meeting) command, bool) {
	switch e := c.Facts[0].Event.(type) {
	case votes.NoticeDelivered:
		if e.Channel == votes.ByApp {
			actor := c.Meta().Actor
			about.Person = actor
			c.May(i.rights, "notice.confirm", about)
			if h.voters.Of(actor).Entry != entry.Entry {
				c.Break("wrong-owner", "entry %s is not the caller's to confirm for", entry.Entry)
			}
			if c.Created().Sub(e.At) > facts.Slack {
				c.Break("time", "an owner confirms now, not at a time that is stated")
			}
		} else {
			c.May(i.rights, "notice.deliver", about)
		}
		return func(m meeting.Meeting) command {
			return meeting.DeliverNotice{Meeting: m, Entry: entry, Now: c.Latest(), NoticeDelivered: e}
		}, true
	case votes.DeliveryFailed:
		c.May(i.rights, "notice.deliver", about)
		return func(m meeting.Meeting) command {
			return meeting.FailDelivery{Meeting: m, Entry: entry, Now: c.Latest(), DeliveryFailed: e}
		}, true
	}
	return nil, false
}

// codes decides again that codes were issued, and finds those of entries that
// the roll does not have, or for which nobody votes.
func (i *inspection) codes(c *facts.Commit, h *held, m meeting.Meeting, about authz.Resource, e votes.BallotCodesIssued) {
	c.May(i.rights, "letters.print", about)
	if e.Reason != "" {
		c.May(i.rights, "person.read", about)
		if e.Reason != registry.ForNotice {
			c.Break("reason", "names are read for letters to be delivered")
		}
	}
	numbers, err := meeting.Numbers(e.Entries, len(h.entries))
	if err != nil {
		c.Decided(err)
		return
	}
	c.Decided(facts.Again(c, m, meeting.IssueCodes{Entries: numbers, Now: c.Meta().Happened, Reason: e.Reason}))
	votes := map[string]bool{}
	for _, v := range h.voters {
		votes[v.Entry] = true
	}
	if slices.ContainsFunc(numbers, func(n int) bool { return !votes[h.entries[n-1].Entry] }) {
		c.Break("no-voter", "a code is of an entry for which nobody votes by one")
	}
}

// warned are the entries whose silence a rule may count: to whom the ballot was
// delivered with proof, and who were told what silence counts for.
func (h *held) warned(m meeting.Meeting, set meeting.RuleSet) map[string]votes.Entry {
	if !m.Warns() {
		return nil
	}
	all := map[string]votes.Entry{}
	for _, e := range h.entries {
		if of := h.heads[e.Entry]; of != nil && set.Warned(m.Reached(of.Ballots, m.Notice.Closes)) {
			all[e.Entry] = e
		}
	}
	return all
}

// telling is the figure of how far the owners were told, once that changes no more.
func (h *held) telling(m meeting.Meeting) (t meeting.Telling) {
	for _, e := range h.entries {
		state := meeting.Ballots{}
		if of := h.heads[e.Entry]; of != nil {
			state = of.Ballots
		}
		t.Add(m, e, state, m.Notice.Closes)
	}
	return t
}
