package registry

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/registry/access"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

// inspection decides the registry's streams again.
type inspection struct {
	only    string // estate; "": all
	rights  *access.Record
	estates map[string]register.Estate
	units   map[string]*unit
	people  map[string]register.Person
	tokens  map[string]register.Token

	// What keeps people from being erased.
	holdings map[string]map[string]*holding // by person and unit
	meetings map[string]*sitting
	kept     facts.Changes

	operator  int // tokens issued by whoever holds the system
	elsewhere int // commits that rest on titles of other estates
}

type unit struct {
	register.Unit
	estate string
}

// holding is that a person held a title to a unit, from one position until another.
type holding struct {
	estate, code string
	since, until es.Position // until is 0 while they hold it
}

// sitting is what of a meeting keeps those on its roll.
type sitting struct {
	estate         string
	frozen, closed es.Position
	known          []knowing // in recorded order
}

// knowing is when the owners know of what a meeting decides, as of a position; the
// zero time: it decides nothing.
type knowing struct {
	at    es.Position
	known time.Time
}

// knownAt is [register.Roll.Known] as of a position; the zero time: there is nothing
// to know.
func (m *sitting) knownAt(at es.Position) (known time.Time) {
	for _, k := range m.known {
		if k.at <= at {
			known = k.known
		}
	}
	return known
}

// Inspect returns what decides the registry's streams again, for one estate or,
// with "", for all. rights is told of each commit after it was decided.
func Inspect(estate string, rights *access.Record) facts.Part {
	return &inspection{
		only: estate, rights: rights, estates: map[string]register.Estate{}, units: map[string]*unit{},
		people: map[string]register.Person{}, tokens: map[string]register.Token{},
		holdings: map[string]map[string]*holding{}, meetings: map[string]*sitting{},
	}
}

// Take implements facts.Part.
func (i *inspection) Take(c *facts.Commit) {
	if c.Context == "votes" {
		i.meeting(c)
		return
	}
	event, ok := c.Facts[0].Event.(registry.Event)
	if !ok {
		return
	}
	c.Present()
	i.decide(c, event)
	for _, f := range c.Facts {
		if event, ok := f.Event.(registry.Event); ok {
			i.evolve(event)
			i.keep(c, event)
		}
	}
	i.rights.Take(c)
}

// meeting keeps who may be on the roll of a meeting, and until when.
func (i *inspection) meeting(c *facts.Commit) {
	id, ok := strings.CutPrefix(c.Stream(), votes.MeetingStream)
	if !ok {
		return
	}
	m := i.meetings[id]
	if m == nil {
		m = &sitting{}
		i.meetings[id] = m
	}
	for _, f := range c.Facts {
		switch e := f.Event.(type) {
		case votes.MeetingDrafted:
			m.estate = e.Estate
		case votes.RollFrozen:
			m.frozen = c.Position()
		case votes.NoticePosted:
			m.known = append(m.known, knowing{c.Position(), e.Closes})
		case votes.VotingExtended:
			m.known = append(m.known, knowing{c.Position(), e.Closes})
		case votes.ResultPosted:
			m.known = append(m.known, knowing{c.Position(), e.At})
		case votes.MeetingCancelled:
			m.known = append(m.known, knowing{at: c.Position()})
		case votes.VotingClosed:
			m.closed = c.Position()
		default:
			continue
		}
		i.kept.Note(c)
	}
}

// keep keeps who holds a title to which unit, and since when.
func (i *inspection) keep(c *facts.Commit, event registry.Event) {
	hold := func(estate, id, code string, titles []registry.Title) {
		for _, former := range i.rights.Owners(id) {
			if h := i.holdings[former][id]; h != nil && !slices.ContainsFunc(titles, func(t registry.Title) bool { return t.Person == former }) {
				h.until = c.Position()
			}
		}
		for _, t := range titles {
			held := i.holdings[t.Person]
			if held == nil {
				held = map[string]*holding{}
				i.holdings[t.Person] = held
			}
			if held[id] == nil {
				held[id] = &holding{since: c.Position()}
			}
			held[id].estate, held[id].code, held[id].until = estate, code, 0
		}
		i.kept.Note(c)
	}
	switch e := event.(type) {
	case registry.TitlesStated:
		hold(e.Estate, e.ID, e.Code, e.Titles)
	case registry.TitlesCorrected:
		hold(e.Estate, e.ID, e.Code, e.Titles)
	default: // it changes nobody's titles
	}
}

// keeps returns what kept a person from being erased at a position: a unit, and
// the latest meeting with them on its roll. Who bought a unit during the vote
// could vote for it.
func (i *inspection) keeps(person string, at es.Position) (unit string, roll register.Roll) {
	for _, h := range i.holdings[person] {
		if h.since > at {
			continue
		}
		holds := h.until == 0 || h.until > at
		if holds && (unit == "" || h.code < unit) {
			unit = h.code
		}
		for _, m := range i.meetings {
			closed, known := m.closed != 0 && m.closed <= at, m.knownAt(at)
			switch {
			case m.estate != h.estate || m.frozen == 0 || m.frozen > at || known.IsZero():
			case !holds && h.until <= m.frozen || closed && h.since >= m.closed:
			default:
				roll.Running = roll.Running || !closed
				if known.After(roll.Known) {
					roll.Known = known
				}
			}
		}
	}
	return unit, roll
}

func (i *inspection) decide(c *facts.Commit, event registry.Event) {
	estate := func(id string) authz.Resource { return authz.Resource{Type: "Estate", ID: id, Estate: id} }
	switch e := event.(type) {
	case registry.EstateFounded:
		c.Names(registry.EstateStream, e.Estate)
		of := estate(e.Estate)
		if e.Estate == c.ID() {
			of = authz.Resource{Type: "Estate"} // nobody chose the id
		}
		c.May(i.rights, "estate.create", of)
		c.Decided(facts.Again(c, i.estates[e.Estate], register.FoundEstate{ID: e.Estate, Name: e.Name}))
	case registry.EstateSet:
		c.Names(registry.EstateStream, e.Estate)
		c.May(i.rights, "estate.set", estate(e.Estate))
		c.Decided(facts.Again(c, i.estates[e.Estate], register.SetEstate{Name: e.Name, FeeCategory: e.FeeCategory}))
	case registry.UnitRegistered:
		i.unit(c, e.Estate, e.ID, e.Unit)
	case registry.UnitCorrected:
		i.unit(c, e.Estate, e.ID, e.Unit)
	case registry.TitlesStated:
		i.titles(c, e.Estate, e.ID, e.Titles)
	case registry.TitlesCorrected:
		i.titles(c, e.Estate, e.ID, e.Titles)
	case registry.TokenIssued:
		i.token(c, e)
	case registry.TokenRevoked:
		t := i.tokens[e.Token]
		c.Names(registry.TokenStream, e.Token)
		c.May(i.rights, "token.revoke", authz.Resource{Type: "Token", ID: e.Token, Estate: t.Estate, Person: t.Person})
		c.Decided(facts.Again(c, t, register.RevokeToken{}))
	default:
		i.person(c, event)
	}
}

func (i *inspection) unit(c *facts.Commit, estate, id string, u registry.Unit) {
	c.Names(registry.UnitStream, id)
	c.May(i.rights, "papers.import", authz.Resource{Type: "Estate", ID: estate, Estate: estate})
	i.founded(c, estate)
	if of, err := uuid.Parse(estate); err != nil || id != uuid.NewSHA1(of, []byte("unit/"+u.Code)).String() {
		c.Break("unit-id", "the id is not that of unit %s of this estate", u.Code)
	}
	c.Decided(facts.Again(c, i.unitState(id), register.RegisterUnit{Estate: estate, ID: id, Unit: u}))
}

func (i *inspection) unitState(id string) register.Unit {
	if u := i.units[id]; u != nil {
		return u.Unit
	}
	return register.Unit{}
}

func (i *inspection) titles(c *facts.Commit, estate, id string, titles []registry.Title) {
	c.Names(registry.UnitStream, id)
	c.May(i.rights, "papers.import", authz.Resource{Type: "Estate", ID: estate, Estate: estate})
	if u := i.units[id]; u != nil && u.estate != estate {
		c.Break("other-estate", "the unit is of estate %s", u.estate)
	}
	for _, t := range titles {
		if i.people[t.Person].ID == "" {
			c.Break(register.ErrNoSuchPerson.Code, "person %s is not registered", t.Person)
		}
	}
	c.Decided(facts.Again(c, i.unitState(id), register.StateTitles{Estate: estate, Titles: titles}))
}

// founded notes where an estate is not there. Of others nothing is known.
func (i *inspection) founded(c *facts.Commit, estate string) {
	if estate != "" && (i.only == "" || i.only == estate) && i.estates[estate].ID == "" {
		c.Break(register.ErrNoSuchEstate.Code, "there is no estate %s", estate)
	}
}

// operator is the actor where whoever holds the system itself issues a token.
const operator = "operator"

func (i *inspection) token(c *facts.Commit, e registry.TokenIssued) {
	c.Names(registry.TokenStream, e.Token)
	if e.Token != c.ID() {
		c.Break("token-id", "the id is not made of its request")
	}
	if c.Meta().Actor == operator {
		i.operator++
	} else {
		c.May(i.rights, "token.issue", authz.Resource{Type: "Token", Estate: e.Estate, Person: e.Person})
	}
	if e.Person != "" && i.people[e.Person].ID == "" {
		c.Break(register.ErrNoSuchPerson.Code, "person %s is not registered", e.Person)
	}
	i.founded(c, e.Estate)
	at := c.Meta().Happened
	err := facts.Again(c, i.tokens[e.Token], register.IssueToken{TokenIssued: e, Now: at})
	if err != nil { // the clock was read twice
		err = facts.Again(c, i.tokens[e.Token], register.IssueToken{TokenIssued: e, Now: at.Add(facts.Skew)})
	}
	c.Decided(err)
}

func (i *inspection) person(c *facts.Commit, event registry.Event) {
	id, action, estate := "", "", ""
	var err error
	command := func(person, may string, decide func(register.Person) error) {
		id, action = person, may
		err = decide(i.people[person])
	}
	imported := false // a list of titles makes people known, and does not say of which estate
	switch e := event.(type) {
	case registry.PersonRegistered:
		imported = true
		command(e.Person, "person.register", func(p register.Person) error {
			return facts.Again(c, p, register.RegisterPerson{ID: e.Person, Kind: e.Kind})
		})
	case registry.PersonalDataCorrected:
		imported = true
		command(e.Person, "person.correct", func(p register.Person) error {
			return facts.Again(c, p, register.CorrectPersonalData{Fields: e.Fields})
		})
	case registry.PersonalDataRead:
		command(e.Person, "person.read", func(p register.Person) error {
			return facts.Again(c, p, register.ReadPersonalData{Reader: e.Reader, Fields: e.Fields, Reason: e.Reason, At: e.At})
		})
		if slices.Contains(e.Fields, "correction") {
			action = "person.correct"
		}
		i.did(c, e.Reader)
	case registry.LoginCodeMade:
		command(e.Person, "login.invite", func(p register.Person) error {
			return facts.Again(c, p, register.MakeLoginCode{By: e.By, Expires: e.Expires})
		})
		i.did(c, e.By)
		if life := e.Expires.Sub(c.Meta().Happened); life > 24*time.Hour+facts.Skew {
			c.Break("login-code-life", "a login code is good for a day, this one for %s", life)
		}
	case registry.CorrectionRequested:
		command(e.Person, "own.correct", func(p register.Person) error {
			return facts.Again(c, p, register.RequestCorrection{Words: e.Words})
		})
	case registry.PersonErased:
		command(e.Person, "person.erase", func(p register.Person) error {
			answer, err := i.kept.Ask(c, func(at es.Position) error {
				erase := register.ErasePerson{Ground: e.Ground, Now: c.Meta().Happened.Add(facts.Skew)}
				erase.Unit, erase.Roll = i.keeps(e.Person, at)
				return facts.Again(c, p, erase)
			})
			c.Doubted(answer, err)
			return nil
		})
	case registry.RoleGranted:
		estate = e.Estate
		command(e.Person, "role.grant", func(p register.Person) error {
			return facts.Again(c, p, register.GrantRole{Role: e.Role, Estate: e.Estate})
		})
	case registry.RoleRevoked:
		estate = e.Estate
		command(e.Person, "role.revoke", func(p register.Person) error {
			return facts.Again(c, p, register.RevokeRole{Role: e.Role, Estate: e.Estate})
		})
	default:
		c.Break("wrong-stream", "no such event is in this stream")
		return
	}
	c.Names(registry.PersonStream, id)
	c.Decided(err)
	i.founded(c, estate)
	if imported && i.rights.Anywhere(c, "papers.import") == facts.Right {
		return
	}
	answer := i.rights.Allowed(c, action, authz.Resource{Type: "Person", ID: id, Person: id, Estate: estate})
	if answer == facts.Wrong && i.only != "" && i.rights.Elsewhere(c, i.only) {
		i.elsewhere++ // a title of another estate, which is not here, may have permitted it
		return
	}
	c.Hold(answer, action, "%s was not permitted this", cmp.Or(c.Meta().Actor, "nobody"))
}

// did holds who is said to have done something against who asked for it.
func (i *inspection) did(c *facts.Commit, who string) {
	if who != c.Meta().Actor {
		c.Break("wrong-actor", "%s is said to have done it, and %s did", who, cmp.Or(c.Meta().Actor, "nobody"))
	}
}

func (i *inspection) evolve(event registry.Event) {
	person := func(id string) { i.people[id] = register.EvolvePerson(i.people[id], event) }
	edit := func(id, estate string) {
		u := i.units[id]
		if u == nil {
			u = &unit{estate: estate}
			i.units[id] = u
		}
		u.Unit = register.EvolveUnit(u.Unit, event)
	}
	switch e := event.(type) {
	case registry.EstateFounded:
		i.estates[e.Estate] = register.EvolveEstate(i.estates[e.Estate], event)
	case registry.EstateSet:
		i.estates[e.Estate] = register.EvolveEstate(i.estates[e.Estate], event)
	case registry.UnitRegistered:
		edit(e.ID, e.Estate)
	case registry.UnitCorrected:
		edit(e.ID, e.Estate)
	case registry.TitlesStated:
		edit(e.ID, e.Estate)
	case registry.TitlesCorrected:
		edit(e.ID, e.Estate)
	case registry.PersonRegistered:
		person(e.Person)
	case registry.RoleGranted:
		person(e.Person)
	case registry.RoleRevoked:
		person(e.Person)
	case registry.PersonErased:
		person(e.Person)
	case registry.TokenIssued:
		i.tokens[e.Token] = register.EvolveToken(i.tokens[e.Token], event)
	case registry.TokenRevoked:
		i.tokens[e.Token] = register.EvolveToken(i.tokens[e.Token], event)
	case registry.PersonalDataCorrected, registry.PersonalDataRead, registry.LoginCodeMade, registry.CorrectionRequested:
		// no later decision rests on them
	}
}

// End implements facts.Part.
func (i *inspection) End(func(proof.Finding)) (list []facts.Unverified) {
	if i.operator > 0 {
		list = append(list, facts.Unverified{What: "tokens issued by the operator", Count: i.operator, Why: "whoever holds the system itself is bound by no role"})
	}
	if i.elsewhere > 0 {
		list = append(list, facts.Unverified{What: "people of other estates", Count: i.elsewhere, Why: "titles of other estates, which decide who may, are not here"})
	}
	erased := 0
	for _, p := range i.people {
		if p.Erased {
			erased++
		}
	}
	if erased > 0 {
		list = append(list, facts.Unverified{What: "sealed words of erased people", Count: erased, Why: "erased, intact: they stand as they were recorded; that no key is left cannot be shown"})
	}
	return list
}

// counted is what is counted of an estate.
type counted struct {
	ID             string `json:"id"`
	Name           string `json:"name"`
	FeeCategory    string `json:"fee_category"`
	Units          int    `json:"units"`
	Homes          int    `json:"homes"`
	Shops          int    `json:"shops"`
	Parking        int    `json:"parking"`
	People         int    `json:"people"`
	Titles         int    `json:"titles"`
	MultiUnitHeads int    `json:"multi_unit_heads"`
}

// Figures implements facts.Part.
func (i *inspection) Figures() (list []facts.Figure) {
	byEstate := map[string][]electorate.Unit{}
	for _, id := range slices.Sorted(maps.Keys(i.units)) {
		u := i.units[id]
		byEstate[u.estate] = append(byEstate[u.estate], electorate.Unit{Unit: u.Unit.Unit, ID: id, Titles: u.Titles})
	}
	for _, id := range slices.Sorted(maps.Keys(i.estates)) {
		if i.only != "" && id != i.only {
			continue
		}
		e := i.estates[id]
		figures := counted{ID: id, Name: e.Name, FeeCategory: cmp.Or(e.FeeCategory, finance.DefaultFeeCategory)}
		people := map[string]bool{}
		for _, u := range byEstate[id] {
			figures.Units++
			switch u.Use {
			case registry.Home:
				figures.Homes++
			case registry.Shop:
				figures.Shops++
			case registry.Parking:
				figures.Parking++
			}
			for _, t := range u.Titles {
				figures.Titles++
				if t.Kind == registry.Natural {
					people[t.Person] = true
				}
			}
		}
		figures.People = len(people)
		var whole struct {
			Heads int64         `json:"heads"`
			Area  units.CentiM2 `json:"area_centi_m2"`
		}
		for _, h := range electorate.Heads(byEstate[id], false) {
			whole.Heads++
			whole.Area += h.Area
			if len(h.Units) > 1 {
				figures.MultiUnitHeads++
			}
		}
		list = append(list, facts.NewFigure("/estates/"+id, figures), facts.NewFigure("/estates/"+id+"/electorate", whole))
	}
	return list
}
