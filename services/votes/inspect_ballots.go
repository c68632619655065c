package votes

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// atTheDesk asks who took paper in, read it, or recorded a mandate, and returns
// how that is decided again; nil where the commit is a ballot's.
func (i *inspection) atTheDesk(c *facts.Commit, h *held, of *head, posted votes.Entry, about authz.Resource) func(meeting.Meeting) command {
	m, actor := h.Now(), c.Meta().Actor
	// own is whether the actor asks for their own entry.
	own := func(action string) bool {
		mine := h.voters.Of(actor).Entry == posted.Entry
		if mine {
			about.Person = actor
		}
		c.May(i.rights, action, about)
		return mine
	}
	switch e := c.Facts[0].Event.(type) {
	case votes.PaperHandedIn:
		c.May(i.rights, "paper.receive", about)
		if e.Envelope != c.ID() && (e.Envelope != "" || m.TwoPersons()) {
			c.Break("ballot-id", "the id is not made of its request")
		}
		if e.Proxy != "" {
			i.barred(c, of.Mandate.Holder, rulesOf(m), about.Estate, false)
		}
		return func(m meeting.Meeting) command {
			return meeting.HandInPaper{Ballot: e.Envelope, Channel: e.Channel, Meeting: m, Entry: posted, At: e.At, Proxy: e.Proxy}
		}
	case votes.PaperEntered:
		c.May(i.rights, "paper.enter", about)
		if e.By != actor {
			c.Break("wrong-actor", "%s is said to have read it", e.By)
		}
		enter := meeting.EnterPaper{
			Partial: m.Partial(rulesOf(m)), Entry: posted, Envelope: e.Envelope, By: e.By, Own: i.isOwn(c, h, posted, e.By), Scan: e.Scan, Marks: e.Marks, Sealed: e.Sealed,
		}
		enter.Choices, enter.Void, enter.Against = readOf(c, m, posted)
		return func(m meeting.Meeting) command {
			enter := enter
			enter.Meeting = m
			return enter
		}
	case votes.PaperVoided:
		c.May(i.rights, "paper.void", about)
		return func(m meeting.Meeting) command {
			return meeting.VoidPaper{Meeting: m, Entry: posted, Envelope: e.Envelope, Minutes: e.Minutes}
		}
	case votes.ProxyGranted:
		written := !own("proxy.grant")
		if e.Proxy != c.ID() {
			c.Break("proxy-id", "the id is not made of its request")
		}
		if h.mandates[e.Holder].Held[posted.Entry] != e.Proxy {
			c.Break("mandate-not-taken", "it is not counted for its holder")
		}
		grant := meeting.GrantProxy{
			Proxy: e.Proxy, Entry: posted, Holder: e.Holder, Own: i.isOwn(c, h, posted, e.Holder), At: e.At, Written: written, Document: e.Document,
			ItemByItem: rulesOf(m).Proxies.Instructions, Marks: e.Marks, Sealed: e.Sealed,
		}
		for _, mark := range e.Marks {
			grant.Instructions = append(grant.Instructions, approving(m, []string{mark.Motion}, 1)...)
		}
		return func(m meeting.Meeting) command {
			grant := grant
			grant.Meeting = m
			return grant
		}
	case votes.ProxyRevoked:
		written := !own("proxy.revoke")
		return func(m meeting.Meeting) command {
			return meeting.RevokeProxy{Meeting: m, At: e.At, Written: written, Document: e.Document}
		}
	default:
		return nil
	}
}

// readOf is something that a reading may have said, by what became of it: what it
// did say is sealed.
func readOf(c *facts.Commit, m meeting.Meeting, posted votes.Entry) (choices []votes.Choice, void, against []string) {
	settled := false
	for _, f := range c.Facts[1:] {
		switch e := f.Event.(type) {
		case votes.BallotCast:
			settled, choices = true, append(choices, approving(m, e.Motions, 1)...)
		case votes.BallotRefused:
			if settled = true; e.Reason == votes.NoSuchChoice {
				void = append(void, e.Motions...)
			} else {
				choices = append(choices, approving(m, e.Motions, 1)...)
			}
			if e.Reason == votes.AgainstInstructions {
				against = append(against, e.Motions...)
			}
		default: // a dispute
		}
	}
	if !settled {
		choices = approving(m, m.Concerning(posted), 1)
	}
	return choices, void, against
}

// isOwn says whether a person votes as an entry, or held a title to a unit of it.
func (i *inspection) isOwn(c *facts.Commit, h *held, posted votes.Entry, person string) bool {
	voter := h.voters.Of(person)
	if voter.Entry == posted.Entry || voter.Reason == votes.NotOnTheRoll {
		return voter.Entry == posted.Entry
	}
	holds := func(at es.Position) bool {
		for _, u := range i.unitsAt(h.Now().Estate, at) {
			if slices.Contains(posted.Units, u.Code) {
				for _, t := range u.Titles {
					if t.Person == person {
						return true
					}
				}
			}
		}
		return false
	}
	return holds(c.Meta().Seen) && holds(c.Position())
}

// byProxy asks who cast an owner's ballot: the holder of the mandate, whom the
// rules do not bar. What it says is held against the instructions when both are
// opened.
func (i *inspection) byProxy(c *facts.Commit, b *meeting.CastBallot, of *head, set meeting.RuleSet, about authz.Resource) {
	holder := of.Mandate.Holder
	b.Marks = of.Mandate.Marks
	about.Person = c.Meta().Actor
	c.May(i.rights, "ballot.cast", about)
	if c.Meta().Actor != holder {
		c.Break("wrong-voter", "the mandate is not the caller's")
	}
	for _, f := range c.Facts {
		if e, ok := f.Event.(votes.BallotRefused); ok && e.Reason == votes.ProxyBarred {
			b.Barred = true
		}
	}
	i.barred(c, holder, set, about.Estate, b.Barred)
}

// barred notes where the rules say otherwise of a person than was decided.
func (i *inspection) barred(c *facts.Commit, person string, set meeting.RuleSet, estate string, decided bool) {
	answer := i.rights.Of(c, person, func(who authz.Principal) bool {
		return decided == slices.ContainsFunc(set.Proxies.Barred, func(role string) bool { return who.Has(role, estate) })
	})
	c.Hold(answer, string(votes.ProxyBarred), "by the roles of %s it would be decided otherwise", person)
}

// mandate decides what is in the stream of a holder.
func (i *inspection) mandate(c *facts.Commit, event votes.Event) {
	rest := strings.TrimPrefix(c.Stream(), votes.ProxyStream)
	if len(rest) <= letters+1 || i.meetings[rest[:letters]] == nil {
		c.Break(meeting.ErrNoMeeting.Code, "%s", meeting.ErrNoMeeting.Detail)
		return
	}
	id, holder := rest[:letters], rest[letters+1:]
	h := i.meetings[id]
	m := h.Now()
	set := rulesOf(m)
	about := authz.Resource{Type: "Meeting", ID: id, Estate: m.Estate}
	may := func(action, entry string) {
		if h.voters.Of(c.Meta().Actor).Entry == entry {
			about.Person = c.Meta().Actor
		}
		c.May(i.rights, action, about)
	}
	take := func(proxy, entry string, reason votes.Reason) meeting.TakeMandate {
		may("proxy.grant", entry)
		if _, ok := h.entry(entry); !ok {
			c.Break(string(votes.NotOnTheRoll), "the roll has no entry %s", entry)
		}
		barred := reason == votes.ProxyBarred
		i.barred(c, holder, set, m.Estate, barred)
		return meeting.TakeMandate{Proxy: proxy, Meeting: m, Entry: entry, Holder: holder, At: c.Meta().Happened, Cap: set.Proxies.Cap, Barred: barred}
	}
	c.Present()
	var again es.Command[meeting.Mandates, votes.Event]
	var names [2]string
	switch e := event.(type) {
	case votes.MandateTaken:
		names, again = [2]string{e.Meeting, e.Holder}, take(e.Proxy, e.Entry, "")
	case votes.ProxyRefused:
		names, again = [2]string{e.Meeting, e.Holder}, take(e.Proxy, e.Entry, e.Reason)
	case votes.MandateReturned:
		may("proxy.revoke", e.Entry)
		if !h.revoked[e.Proxy] {
			c.Break("mandate-not-revoked", "its owner has not revoked it")
		}
		names, again = [2]string{e.Meeting, e.Holder}, meeting.ReturnMandate{Proxy: e.Proxy, Meeting: id, Entry: e.Entry, Holder: holder}
	default:
		c.Break("wrong-stream", "no such event is in this stream")
		return
	}
	c.Names(votes.ProxyStream, names[0]+"-"+names[1])
	c.Decided(facts.Again(c, h.mandates[holder], again))
	for _, f := range c.Facts {
		if e, ok := f.Event.(votes.Event); ok {
			h.mandates[holder] = meeting.EvolveMandates(h.mandates[holder], e)
		}
	}
}

// compare holds what was compared by marks against what the key opens: readings of
// one envelope, and a proxy's ballot with its instructions.
func (i *inspection) compare(c *facts.Commit, m meeting.Meeting, e votes.Entry, of *head, open facts.Opener) {
	said := func(id string, sealed string) (map[string]string, bool) {
		var choices []votes.Choice
		text, err := open(board.SealedField(id), sealed)
		if err != nil || json.Unmarshal(text, &choices) != nil {
			return nil, false
		}
		var void []string
		for _, choice := range choices {
			if choice.Choice == votes.Void {
				void = append(void, choice.Motion)
			}
		}
		words := map[string]string{}
		for _, s := range m.Said(e, choices, void) {
			words[s.Motion] = s.Words
		}
		return words, true
	}
	words := make([]map[string]string, len(of.readings))
	for n, r := range of.readings {
		var ok bool
		if words[n], ok = said(r.Envelope, string(r.Sealed)); !ok {
			c.Break("paper-closed", "entry %s: a reading of envelope %s does not open with the key", e.Entry, r.Envelope)
			return
		}
		for k, before := range of.readings[:n] {
			if before.Envelope != r.Envelope {
				continue
			}
			for _, mark := range r.Marks {
				same := slices.Contains(before.Marks, mark)
				if same != (words[n][mark.Motion] == words[k][mark.Motion]) {
					c.Break("paper-marks", "entry %s: two readings of envelope %s on motion %s are not as their marks say", e.Entry, r.Envelope, mark.Motion)
				}
			}
		}
	}
	for _, t := range of.handed.Taken {
		n := slices.IndexFunc(of.granted, func(g votes.ProxyGranted) bool { return g.Proxy == cmp.Or(t.Proxy, "-") })
		if n < 0 || len(of.granted[n].Marks) == 0 {
			continue
		}
		instructed, ok := said(t.Proxy, string(of.granted[n].Sealed))
		cast, opened := said(t.Ballot, string(t.Sealed))
		for _, mark := range of.granted[n].Marks {
			if !ok || opened && slices.Contains(t.Motions, mark.Motion) && cast[mark.Motion] != instructed[mark.Motion] {
				c.Break(meeting.ErrAgainstInstructions.Code, "entry %s: the proxy's ballot on motion %s is not as its owner instructed", e.Entry, mark.Motion)
			}
		}
	}
	for _, r := range of.handed.Refused {
		n := slices.IndexFunc(of.granted, func(g votes.ProxyGranted) bool { return g.Proxy == cmp.Or(r.Proxy, "-") })
		k := slices.IndexFunc(of.readings, func(read votes.PaperEntered) bool { return read.Envelope == r.Ballot && agreed(of.readings, read) })
		if r.Reason != votes.AgainstInstructions || n < 0 || k < 0 {
			continue
		}
		instructed, _ := said(r.Proxy, string(of.granted[n].Sealed))
		for _, motion := range r.Motions {
			if words[k][motion] == instructed[motion] {
				c.Break(meeting.ErrAgainstInstructions.Code, "entry %s: the proxy's paper on motion %s is as its owner instructed, and was refused", e.Entry, motion)
			}
		}
	}
}

// agreed says whether another reading of the same envelope says the same.
func agreed(readings []votes.PaperEntered, r votes.PaperEntered) bool {
	return slices.ContainsFunc(readings, func(other votes.PaperEntered) bool {
		return other.By != r.By && other.Envelope == r.Envelope && slices.Equal(other.Marks, r.Marks)
	})
}
