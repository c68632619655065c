package contracts

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/contracts/internal/agreement"
	"github.com/yimu-ledger/yimu/services/contracts/internal/board"
	"github.com/yimu-ledger/yimu/services/internal/facts"
)

// inspection decides agreements and options again.
type inspection struct {
	only    string // estate; "": all
	rights  facts.Rights
	founded map[string]bool
	units   map[string]string // estate of each unit
	held    map[string]*held  // by id of the agreement
	options map[string]agreement.Options

	decisions map[string]votes.DecisionEffective // by id of the event
	activated map[string]string                  // agreements, by id of the event
}

type held struct {
	facts.Known[agreement.Agreement]
	ended     units.Day
	successor string
}

// Inspect returns what decides agreements again, for one estate or, with "", for
// all.
func Inspect(estate string, rights facts.Rights) facts.Part {
	return &inspection{
		only: estate, rights: rights, founded: map[string]bool{}, units: map[string]string{}, held: map[string]*held{}, options: map[string]agreement.Options{},
		decisions: map[string]votes.DecisionEffective{}, activated: map[string]string{},
	}
}

// Take implements facts.Part.
func (i *inspection) Take(c *facts.Commit) {
	switch event := c.Facts[0].Event.(type) {
	case registry.EstateFounded:
		i.founded[event.Estate] = true
	case registry.UnitRegistered:
		i.units[event.ID] = event.Estate
	case agreements.OptionChosen:
		i.option(c, event.Agreement, event.Unit, agreement.ChooseOption{Unit: event.Unit, Option: event.Option, On: event.On})
	case agreements.OptionDropped:
		i.option(c, event.Agreement, event.Unit, agreement.ChooseOption{Unit: event.Unit, Option: event.Option, On: event.On, Drop: true})
	case agreements.Event:
		id := strings.TrimPrefix(c.Stream(), agreements.AgreementStream)
		h := i.held[id]
		if h == nil {
			h = &held{}
			i.held[id] = h
		}
		a := h.Now()
		c.Decided(i.step(c, id, a, event))
		for _, f := range c.Facts {
			if e, ok := f.Event.(agreements.Event); ok {
				a = agreement.Evolve(a, e)
			}
			switch e := f.Event.(type) {
			case agreements.AgreementEnded:
				h.ended, h.successor = e.On, e.Successor
			case agreements.AgreementActivated:
				i.activated[f.ID.String()] = id
			}
		}
		h.Set(c, a)
	case votes.Event:
		i.decided(c)
	case ledger.ReactionRefused:
		i.refused(c, event)
	}
}

// option decides what was chosen or dropped for a unit.
func (i *inspection) option(c *facts.Commit, id, unit string, choose agreement.ChooseOption) {
	c.Names(agreements.OptionStream, id+"-"+unit)
	c.Present()
	i.on(c, choose.On)
	h := i.held[id]
	if h == nil {
		h = &held{}
	}
	estate := h.Now().Terms.Estate
	c.May(i.rights, "option.choose", authz.Resource{Type: "Unit", ID: unit, Estate: estate, Owners: i.rights.Owners(unit)})
	if i.units[unit] != estate {
		c.Break("no-such-unit", "the estate has no unit %s", unit)
	}
	options := i.options[c.Stream()]
	var refused error
	answer := h.Ask(c, func(a agreement.Agreement) bool {
		choose.Agreement = a
		err := facts.Again(c, options, choose)
		if refused == nil {
			refused = err
		}
		return err == nil
	})
	c.Doubted(answer, refused)
	if e, ok := c.Facts[0].Event.(agreements.Event); ok {
		i.options[c.Stream()] = agreement.EvolveOptions(options, e)
	}
}

// on holds the day on which something is said to have been done.
func (i *inspection) on(c *facts.Commit, d units.Day) {
	if !c.Today(d) {
		c.Break("time", "it says %s, and was asked for on %s", d, units.DayOf(c.Meta().Happened))
	}
}

// step decides the events of an agreement's stream again.
func (i *inspection) step(c *facts.Commit, id string, a agreement.Agreement, event agreements.Event) error {
	if e, ok := event.(agreements.AgreementProposed); ok {
		return i.propose(c, a, e)
	}
	c.Present()
	may := func(action string) {
		c.May(i.rights, action, authz.Resource{Type: "Agreement", ID: id, Estate: a.Terms.Estate})
	}
	var command es.Command[agreement.Agreement, agreements.Event]
	switch e := event.(type) {
	case agreements.AgreementPosted:
		may("agreement.post")
		i.on(c, e.On)
		command = agreement.Post{On: e.On}
	case agreements.AgreementSigned:
		may("agreement.sign")
		i.on(c, e.On)
		command = agreement.Sign{Party: e.Party, On: e.On}
	case agreements.AgreementActivated:
		may("agreement.activate")
		i.on(c, e.On)
		command = agreement.Activate{On: e.On}
	case agreements.AgreementEnded:
		if command = i.endsByItself(c, id); command == nil {
			may("agreement.end")
			command = agreement.End{On: e.On, Reason: e.Reason}
		}
	case agreements.ContractAuthorised:
		command = i.following(c, id, e.Agreement, "")
	case agreements.ProviderDismissed:
		i.on(c, e.On)
		command = i.following(c, id, e.Agreement, e.On)
	default:
		c.Break("wrong-stream", "no such event is in this stream")
		return nil
	}
	if command == nil {
		return errNoDecision
	}
	return facts.Again(c, a, command)
}

// propose decides a proposal, or an agreement of the past with all that its paper
// shows.
func (i *inspection) propose(c *facts.Commit, a agreement.Agreement, e agreements.AgreementProposed) error {
	c.Names(agreements.AgreementStream, e.Agreement)
	if !i.founded[e.Estate] {
		c.Break("no-such-estate", "there is no estate %s", e.Estate)
	}
	of := authz.Resource{Type: "Estate", ID: e.Estate, Estate: e.Estate}
	if !c.Meta().Past {
		c.May(i.rights, "agreement.propose", of)
		if e.Agreement != c.ID() {
			c.Break("agreement-id", "the id is not made of its request")
		}
		return i.proposed(c, a, e)
	}
	c.May(i.rights, "papers.import", of)
	estate, err := uuid.Parse(e.Estate)
	if err != nil || e.Agreement != uuid.NewSHA1(estate, []byte("agreement/"+e.Kind+"/"+e.Provider+"/"+string(e.Starts))).String() {
		c.Break("agreement-id", "the id is not that of this agreement of this estate")
	}
	return facts.Again(c, a, agreement.Enter{Propose: agreement.Propose(e)})
}

// End implements facts.Part.
func (i *inspection) End(func(proof.Finding)) []facts.Unverified { return nil }

// termsFigure is an agreement as everyone may see it.
type termsFigure struct {
	ID         string            `json:"id"`
	Estate     string            `json:"estate"`
	Kind       string            `json:"kind"`
	Principals []string          `json:"principals"`
	Provider   string            `json:"provider"`
	Starts     units.Day         `json:"starts"`
	Ends       units.Day         `json:"ends"`
	Rates      []agreements.Rate `json:"rates"`
	Change     string            `json:"change"`
	Services   []string          `json:"services"`
	Options    []string          `json:"options"`
	State      agreement.State   `json:"state"`
	Signed     []string          `json:"signed"`
	Ended      units.Day         `json:"ended"`
	Follows    string            `json:"follows"`
	Successor  string            `json:"successor"`

	Authorised *agreements.Decision `json:"authorised,omitempty"`
	Dismissed  *board.Dismissal     `json:"dismissed,omitempty"`
}

// Figures implements facts.Part.
func (i *inspection) Figures() (list []facts.Figure) {
	lists := map[string][]termsFigure{}
	for estate := range i.founded {
		if i.only == "" || estate == i.only {
			lists[estate] = []termsFigure{}
		}
	}
	for id, h := range i.held {
		a := h.Now()
		t := a.Terms
		if all, ok := lists[t.Estate]; ok {
			figure := termsFigure{
				id, t.Estate, t.Kind, t.Principals, t.Provider, t.Starts, t.Ends, t.Rates, t.Change, t.Services, t.Options, a.State,
				append([]string{}, a.Signed...), h.ended, t.Follows, h.successor, nil, nil,
			}
			if a.IsAuthorised() {
				figure.Authorised = &a.Authorised
			}
			if d := a.Dismissed; a.IsDismissed() {
				figure.Dismissed = &board.Dismissal{On: d.On, Ends: d.Ends, Decision: d.Decision}
			}
			lists[t.Estate] = append(all, figure)
		}
	}
	for _, estate := range slices.Sorted(maps.Keys(lists)) {
		all := lists[estate]
		slices.SortFunc(all, func(a, b termsFigure) int { return cmp.Or(-cmp.Compare(a.Starts, b.Starts), cmp.Compare(a.ID, b.ID)) })
		list = append(list, facts.NewFigure("/estates/"+estate+"/agreements", map[string]any{"items": all}))
	}
	return list
}
