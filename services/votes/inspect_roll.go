package votes

import (
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/api"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// place is where a unit is on a roll.
type place struct {
	unit   string // its id
	entry  string
	person string // who votes by that entry
}

// place returns where a unit is on the roll of a meeting.
func (i *inspection) place(h *held, m meeting.Meeting, code string) (place, bool) {
	if h.places == nil {
		people := map[string]string{}
		for person, v := range h.voters {
			people[v.Entry] = person
		}
		delete(people, "")
		h.places = map[string]place{}
		for _, e := range h.entries {
			for _, u := range e.Units {
				h.places[u] = place{entry: e.Entry, person: people[e.Entry]}
			}
		}
		for _, id := range i.estates[m.Estate] {
			u := i.units[id].At(es.Position(m.Roll.SeenAt))
			if p, ok := h.places[u.Code]; ok {
				p.unit = id
				h.places[u.Code] = p
			}
		}
	}
	p, ok := h.places[code]
	return p, ok
}

// amend is the command that gives a unit, as it was at a moment, to the head that
// votes for it.
func (i *inspection) amend(h *held, m meeting.Meeting, p place, now electorate.Unit, seen facts.Moment) meeting.AmendRoll {
	return meeting.AmendRoll{
		Frozen: i.units[p.unit].At(es.Position(m.Roll.SeenAt)), Entry: p.entry, Voter: p.person,
		Now: now, Buyer: h.voters.Of(now.Voter()).Entry, SeenAt: uint64(seen.At), At: seen.Created,
	}
}

// amended decides again that a unit changed hands.
func (i *inspection) amended(c *facts.Commit, h *held, m meeting.Meeting, e votes.RollAmended) error {
	p, ok := i.place(h, m, e.Unit)
	if !ok {
		return reasoned("no-such-unit", "the roll has no unit "+e.Unit)
	}
	seen := h.noticed
	if seen.At != es.Position(e.SeenAt) {
		seen.At = es.Position(e.SeenAt)
		if seen.Created, ok = i.units[p.unit].SetAt(seen.At); !ok {
			c.Break("seen", "the registry said nothing of the unit at %d", e.SeenAt)
		}
	}
	if c.Meta().Actor != reactor+amendRoll || !strings.HasSuffix(c.Meta().Cause, amendment("", m.Meeting, p.unit)) {
		c.Break("cause", "a roll is amended by itself, where the registry says that a unit has another owner")
	}
	return facts.Again(c, m, i.amend(h, m, p, i.units[p.unit].At(seen.At), seen))
}

// amendments notes units that changed hands in time, and have their old voter on a
// roll when voting is closed.
func (i *inspection) amendments(c *facts.Commit, h *held, m meeting.Meeting) {
	if m.Past || m.Roll.Form < meeting.FormUnits {
		return // it was amended in no release that wrote such rolls
	}
	until := m.Notice.Closes
	if decided := c.Created().Add(-facts.Slack); decided.Before(until) {
		until = decided
	}
	for _, id := range i.estates[m.Estate] {
		k := i.units[id]
		if !k.Changed(es.Position(m.Roll.SeenAt), c.Position()) {
			continue
		}
		now, seen := k.Before(until)
		p, ok := i.place(h, m, k.At(es.Position(m.Roll.SeenAt)).Code)
		if !ok {
			continue
		}
		if missing, _ := i.amend(h, m, p, now, seen).Decide(m); len(missing) > 0 {
			c.Break("roll-not-amended", "unit %s has another voter since %d, and the roll was not amended", now.Code, seen.At)
		}
	}
}

// rollObjection decides again what is said against a roll, and what became of it.
// It returns the meeting that the event names.
func (i *inspection) rollObjection(c *facts.Commit, h *held, m meeting.Meeting, of authz.Resource, event votes.Event) string {
	raised := func(id string) authz.Resource {
		o, _ := m.RollObjection(id)
		of.Person = o.Person
		return of
	}
	switch e := event.(type) {
	case votes.RollObjected:
		of.Person = e.Person
		c.May(i.rights, "roll.object", of)
		if e.Objection != c.ID() {
			c.Break("objection-id", "the id is not made of its request")
		}
		p, _ := i.place(h, m, e.Unit)
		c.Decided(facts.Again(c, m, meeting.ObjectToRoll{
			Objection: e.Objection, Person: e.Person, Unit: e.Unit, Roll: m.Roll.Roll, Entry: p.entry, Registered: i.registered(m.Estate, e.Unit), At: e.At, Words: e.Words,
		}))
		return e.Meeting
	case votes.RollObjectionRead:
		c.May(i.rights, "objection.read", raised(e.Objection))
		if e.Reader != c.Meta().Actor {
			c.Break("wrong-actor", "%s is said to have read, and %s did", e.Reader, c.Meta().Actor)
		}
		c.Decided(facts.Again(c, m, meeting.ReadRollObjection{Objection: e.Objection, Reader: e.Reader, At: e.At}))
		return e.Meeting
	case votes.RollObjectionAnswered:
		c.May(i.rights, "objection.answer", of)
		c.Decided(facts.Again(c, m, meeting.AnswerRollObjection{Objection: e.Objection, Upheld: e.Upheld, Answer: e.Answer, At: e.At}))
		return e.Meeting
	case votes.RollObjectionWithdrawn:
		c.May(i.rights, "roll.object", raised(e.Objection))
		c.Decided(facts.Again(c, m, meeting.WithdrawRollObjection{Objection: e.Objection, At: e.At}))
		return e.Meeting
	default:
		return ""
	}
}

// registered says whether an estate ever had a unit of that code.
func (i *inspection) registered(estate, code string) bool {
	return slices.ContainsFunc(i.estates[estate], func(id string) bool { return i.units[id].Now().Code == code })
}

// handIn keeps how many amendments there were before an envelope.
func (of *head) handIn(e votes.PaperHandedIn, amendments int) {
	if amendments == 0 {
		return
	}
	if of.amended == nil {
		of.amended = map[int64]int{}
	}
	if _, ok := of.amended[e.At.UnixNano()]; !ok {
		of.amended[e.At.UnixNano()] = amendments
	}
}

// amendments says how many there were before a ballot was handed in.
func (of *head) amendments(t votes.BallotCast, recorded int) int {
	if t.Channel == votes.Electronic {
		return recorded
	}
	return of.amended[t.At.UnixNano()]
}

// vote notes that an entry has cast a ballot in time.
func (h *held) vote(of *head, entry string) {
	if of.voted {
		return
	}
	of.voted = true
	if e, ok := h.entry(entry); ok {
		h.turnout.Heads++
		h.turnout.Area += e.Area
	}
}

// votedBefore says of the traded entries that have voted how many amendments were
// there before.
func (h *held) votedBefore(m meeting.Meeting, voted func(*head) bool) map[string]int {
	before := map[string]int{}
	for _, entry := range m.Traded() {
		if of := h.heads[entry]; of != nil && voted(of) {
			before[entry] = of.before
		}
	}
	return before
}

// onRoll returns the traded entries as they are on the roll.
func (h *held) onRoll(m meeting.Meeting) map[string]votes.Entry {
	of := map[string]votes.Entry{}
	for _, entry := range m.Traded() {
		if e, ok := h.entry(entry); ok {
			of[entry] = e
		}
	}
	return of
}

// holdings settles who votes for the units that changed hands.
func (h *held) holdings(m meeting.Meeting) meeting.Holdings {
	taken := map[string][]meeting.Taken{}
	for _, entry := range m.Traded() {
		if of := h.heads[entry]; of != nil {
			taken[entry] = of.handed.Taken
		}
	}
	return m.Holdings(h.onRoll(m), taken)
}

// joined lists the entries that came by a sale.
func (h *held) joined(m meeting.Meeting) (list []votes.Entry) {
	for _, entry := range slices.Sorted(slices.Values(m.Traded())) {
		if e, ok := m.Joined(entry); ok {
			list = append(list, e)
		}
	}
	return list
}

// rollFigures are what is published of a roll beside its totals.
func rollFigures(m meeting.Meeting) (list []facts.Figure) {
	if len(m.Amendments) > 0 {
		list = append(list, facts.NewFigure("/meetings/"+m.Meeting+"/amendments", map[string]any{"items": api.Amendments(m)}))
	}
	if len(m.RollObjections) > 0 {
		list = append(list, facts.NewFigure("/meetings/"+m.Meeting+"/roll-objections", map[string]any{"items": api.RollObjections(m)}))
	}
	return list
}
