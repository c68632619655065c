// Package agreement decides what may happen to an agreement between those who
// entrust an estate and its provider (委托制物业), and to the options that
// residents choose: proposed → posted → signed by all → active → ended. What owners
// decide lets a formal contract come into force, and gives a provider notice. It
// does no I/O.
package agreement

import (
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals.
var (
	ErrNoSuchAgreement = problem.NotFound("no-such-agreement", "there is no such agreement")
	ErrExists          = problem.Conflict("agreement-exists", "an agreement with this provider, kind and start is in the ledger with other terms")
	ErrParties         = problem.Invalid("parties-missing", "an agreement needs at least one principal and a provider, each named once")
	ErrTerm            = problem.Invalid("term-wrong", "the term must end on or after the day it starts")
	ErrRates           = problem.Invalid("rates-wrong", "each use has one rate, zero or more, by ㎡·月 or 个·月")
	ErrLists           = problem.Invalid("services-wrong", "services and options are named once each, and none is empty")
	ErrNotProposed     = problem.Conflict("agreement-not-proposed", "only a proposed agreement can be posted")
	ErrNotPosted       = problem.Conflict("agreement-not-posted", "an agreement is signed after it was posted and before it is active")
	ErrNotAParty       = problem.Invalid("not-a-party", "only a principal or the provider named in the agreement signs it")
	ErrNotSigned       = problem.Conflict("agreement-not-signed", "an agreement becomes active when every party has signed")
	ErrNotActive       = problem.Conflict("agreement-not-active", "only an active agreement can be ended")
	ErrEndBeforeStart  = problem.Invalid("end-before-start", "an agreement ends on or after the day it starts")
	ErrNoReason        = problem.Invalid("reason-missing", "say why the agreement ends")
	ErrNoSuchOption    = problem.Invalid("no-such-option", "the agreement offers no such option")
)

// State of an agreement.
type State string

// States, in order.
const (
	Proposed State = "proposed"
	Posted   State = "posted"
	Signed   State = "signed" // by every party
	Active   State = "active"
	Ended    State = "ended"
)

// Agreement is the state of an agreement's stream.
type Agreement struct {
	Terms  agreements.AgreementProposed
	State  State // "" where there is none
	Signed []string

	Authorised agreements.Decision          // of a formal contract; zero until then
	Dismissed  agreements.ProviderDismissed // zero unless
}

// Evolve applies one event.
func Evolve(a Agreement, e agreements.Event) Agreement {
	switch e := e.(type) {
	case agreements.AgreementProposed:
		a.Terms, a.State = e, Proposed
	case agreements.AgreementPosted:
		a.State = Posted
	case agreements.AgreementSigned:
		a.Signed = append(slices.Clone(a.Signed), e.Party)
		if len(a.Signed) == len(a.parties()) {
			a.State = Signed
		}
	case agreements.AgreementActivated:
		a.State = Active
	case agreements.AgreementEnded:
		a.State = Ended
	case agreements.ContractAuthorised:
		a.Authorised = e.Decision
	case agreements.ProviderDismissed:
		a.Dismissed = e
	case agreements.OptionChosen, agreements.OptionDropped: // streams of their own
	}
	return a
}

func (a Agreement) parties() []string {
	return append(slices.Clone(a.Terms.Principals), a.Terms.Provider)
}

// Propose states the terms. The same terms again change nothing.
type Propose agreements.AgreementProposed

// Decide implements es.Command.
func (c Propose) Decide(a Agreement) ([]agreements.Event, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	switch {
	case a.State == "":
		return []agreements.Event{agreements.AgreementProposed(c)}, nil
	case same(a.Terms, agreements.AgreementProposed(c)):
		return nil, nil
	}
	return nil, ErrExists
}

func (c Propose) check() error {
	parties := append(slices.Clone(c.Principals), c.Provider)
	rated := map[string]bool{}
	for _, r := range c.Rates {
		if rated[r.Use] || r.Rate < 0 || r.Per != agreements.PerM2 && r.Per != agreements.PerPiece ||
			!slices.Contains([]string{registry.Home, registry.Shop, registry.Parking}, r.Use) {
			return ErrRates
		}
		rated[r.Use] = true
	}
	switch {
	case len(c.Principals) == 0 || !distinct(parties):
		return ErrParties
	case c.Starts == "" || c.Ends < c.Starts:
		return ErrTerm
	case len(c.Rates) == 0:
		return ErrRates
	case !distinct(c.Services) || !distinct(c.Options):
		return ErrLists
	}
	return nil
}

// distinct says that no name is empty or there twice.
func distinct(names []string) bool {
	seen := map[string]bool{}
	for _, n := range names {
		if strings.TrimSpace(n) == "" || seen[n] {
			return false
		}
		seen[n] = true
	}
	return true
}

func same(a, b agreements.AgreementProposed) bool {
	return a.Agreement == b.Agreement && a.Estate == b.Estate && a.Kind == b.Kind && a.Provider == b.Provider &&
		a.Starts == b.Starts && a.Ends == b.Ends && a.Change == b.Change && a.Follows == b.Follows && slices.Equal(a.Principals, b.Principals) &&
		slices.Equal(a.Rates, b.Rates) && slices.Equal(a.Services, b.Services) && slices.Equal(a.Options, b.Options)
}

// Post posts the terms for everyone to read.
type Post struct{ On units.Day }

// Decide implements es.Command.
func (c Post) Decide(a Agreement) ([]agreements.Event, error) {
	switch a.State {
	case "":
		return nil, ErrNoSuchAgreement
	case Proposed:
		return []agreements.Event{agreements.AgreementPosted{Agreement: a.Terms.Agreement, On: c.On}}, nil
	case Posted:
		return nil, nil
	}
	return nil, ErrNotProposed
}

// Sign is one party's signature. Signing twice changes nothing.
type Sign struct {
	Party string
	On    units.Day
}

// Decide implements es.Command.
func (c Sign) Decide(a Agreement) ([]agreements.Event, error) {
	switch {
	case a.State == "":
		return nil, ErrNoSuchAgreement
	case !slices.Contains(a.parties(), c.Party):
		return nil, ErrNotAParty
	case slices.Contains(a.Signed, c.Party):
		return nil, nil
	case a.State != Posted:
		return nil, ErrNotPosted
	}
	return []agreements.Event{agreements.AgreementSigned{Agreement: a.Terms.Agreement, Party: c.Party, On: c.On}}, nil
}

// Activate starts the term.
type Activate struct{ On units.Day }

// Decide refuses a formal contract that owners did not decide on.
func (c Activate) Decide(a Agreement) ([]agreements.Event, error) {
	switch a.State {
	case "":
		return nil, ErrNoSuchAgreement
	case Signed:
		if a.Terms.Kind == agreements.Formal && !a.IsAuthorised() {
			return nil, ErrNotDecided
		}
		return []agreements.Event{agreements.AgreementActivated{Agreement: a.Terms.Agreement, On: c.On}}, nil
	case Active:
		return nil, nil
	}
	return nil, ErrNotSigned
}

// End ends an active agreement.
type End struct {
	On     units.Day
	Reason string
}

// Decide implements es.Command.
func (c End) Decide(a Agreement) ([]agreements.Event, error) {
	switch {
	case a.State == "":
		return nil, ErrNoSuchAgreement
	case a.State == Ended:
		return nil, nil
	case a.State != Active:
		return nil, ErrNotActive
	case c.On < a.Terms.Starts:
		return nil, ErrEndBeforeStart
	case a.IsDismissed() && c.On < a.Dismissed.Ends:
		return nil, ErrNotice
	case strings.TrimSpace(c.Reason) == "":
		return nil, ErrNoReason
	}
	return []agreements.Event{agreements.AgreementEnded{Agreement: a.Terms.Agreement, On: c.On, Reason: c.Reason}}, nil
}

// Enter takes an agreement of the past as one: its paper shows that it was
// posted, signed by all and in force. That its term ran out does not end it
// (Civil Code art. 948): only a decision that is entered does.
type Enter struct{ Propose }

// Decide implements es.Command.
func (c Enter) Decide(a Agreement) ([]agreements.Event, error) {
	events, err := c.Propose.Decide(a)
	if err != nil || len(events) == 0 {
		return nil, err
	}
	id, on := c.Agreement, c.Starts
	events = append(events, agreements.AgreementPosted{Agreement: id, On: on})
	for _, p := range append(slices.Clone(c.Principals), c.Provider) {
		events = append(events, agreements.AgreementSigned{Agreement: id, Party: p, On: on})
	}
	return append(events, agreements.AgreementActivated{Agreement: id, On: on}), nil
}

// Options is the state of the stream of one unit's options.
type Options map[string]bool

// EvolveOptions applies one event.
func EvolveOptions(o Options, e agreements.Event) Options {
	next := Options{}
	for option := range o {
		next[option] = true
	}
	switch e := e.(type) {
	case agreements.OptionChosen:
		next[e.Option] = true
	case agreements.OptionDropped:
		delete(next, e.Option)
	default: // agreements have streams of their own
	}
	return next
}

// ChooseOption takes or drops an optional service for a unit.
type ChooseOption struct {
	Agreement Agreement // as it stands
	Unit      string
	Option    string
	Drop      bool
	On        units.Day
}

// Decide implements es.Command.
func (c ChooseOption) Decide(o Options) ([]agreements.Event, error) {
	id := c.Agreement.Terms.Agreement
	switch {
	case c.Agreement.State == "":
		return nil, ErrNoSuchAgreement
	case !slices.Contains(c.Agreement.Terms.Options, c.Option):
		return nil, ErrNoSuchOption
	case o[c.Option] != c.Drop:
		return nil, nil // it is so already
	case c.Drop:
		return []agreements.Event{agreements.OptionDropped{Agreement: id, Unit: c.Unit, Option: c.Option, On: c.On}}, nil
	case c.Agreement.State != Active:
		return nil, ErrNotActive
	}
	return []agreements.Event{agreements.OptionChosen{Agreement: id, Unit: c.Unit, Option: c.Option, On: c.On}}, nil
}
