package votes

import (
	"strings"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// procedure decides again what an estate adopted as its rules.
func (i *inspection) procedure(c *facts.Commit, event votes.Event) {
	estate := strings.TrimPrefix(c.Stream(), votes.ProcedureStream)
	e, ok := event.(votes.RulesAdopted)
	if !ok {
		c.Break("wrong-stream", "no such event is in this stream")
		return
	}
	c.Names(votes.ProcedureStream, e.Estate)
	c.Present()
	c.May(i.rights, "rules.adopt", authz.Resource{Type: "Estate", ID: estate, Estate: estate})
	cmd := meeting.AdoptRules{RulesAdopted: e}
	cmd.National, _ = rules.National(e.From)
	if e.Base != "" {
		cmd.Place, _ = rules.Template(e.Base, e.BaseHash)
	}
	cmd.RuleSet, cmd.RuleHash = "", ""
	k := i.adopted[estate]
	if k == nil {
		k = &facts.Known[meeting.Procedure]{}
		i.adopted[estate] = k
	}
	c.Decided(facts.Again(c, k.Now(), cmd))
	k.Set(c, meeting.EvolveProcedure(k.Now(), e))
}

// procedures are what an estate may have adopted by what the decider of a commit
// had seen, and by what was recorded before it.
func (i *inspection) procedures(c *facts.Commit, estate string) []meeting.Procedure {
	k := i.adopted[estate]
	if k == nil {
		return []meeting.Procedure{{}}
	}
	list := []meeting.Procedure{k.Now()}
	if k.Changed(c.Meta().Seen, c.Position()) {
		list = append(list, k.At(c.Meta().Seen))
	}
	return list
}

// setsOf returns the rules that a draft may have been decided by: of a live meeting
// those of its day, of one of the past any that ever were in force.
func (i *inspection) setsOf(c *facts.Commit, e votes.MeetingDrafted) (sets []meeting.RuleSet) {
	if e.Past {
		sets = rules.All()
	}
	for _, p := range i.procedures(c, e.Estate) {
		day := units.DayOf(c.Meta().Happened)
		adopted, _ := p.On(day)
		if set, ok := rules.Of(adopted, day); ok {
			sets = append(sets, set)
		}
		if !e.Past {
			continue
		}
		for _, a := range p.Adopted {
			if set, ok := rules.Of(a, a.From); ok {
				sets = append(sets, set)
			}
		}
	}
	return sets
}

// notice decides a notice again, by the rules of its day and of its estate.
func (i *inspection) notice(c *facts.Commit, m meeting.Meeting, e votes.NoticePosted) {
	var err error
	for _, p := range i.procedures(c, m.Estate) {
		adopted, _ := p.On(units.DayOf(e.At))
		post := meeting.PostNotice{Now: e.At, Opens: e.Opens, Closes: e.Closes, Rules: rules.Could(adopted, e), Calendar: meeting.EveryDay, Adopted: adopted, Differs: e.Differs}
		if m.Past {
			post.Now, post.At = c.Latest(), e.At
		}
		for _, at := range []es.Position{c.Position(), c.Meta().Seen} {
			post.Lapsed = i.lapsed(m.Estate, at)
			if err = facts.Again(c, m, post); err == nil {
				return
			}
		}
	}
	c.Decided(err)
}

// lapsed are the motions of an estate that had lapsed by a position.
func (i *inspection) lapsed(estate string, at es.Position) (list []meeting.Lapsed) {
	for _, id := range i.order {
		if h := i.meetings[id]; h.Now().Estate == estate {
			list = append(list, h.At(at).Lapsed(h.results)...)
		}
	}
	return list
}
