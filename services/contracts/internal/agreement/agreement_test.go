package agreement_test

import (
	"reflect"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/services/contracts/internal/agreement"
)

type event = agreements.Event

func same(a, b event) bool { return reflect.DeepEqual(a, b) }

var terms = agreements.AgreementProposed{
	Agreement: "a", Estate: "e", Kind: "委托制物业", Principals: []string{"街道", "社区"}, Provider: "物业", Starts: "2022-07-01", Ends: "2023-06-30",
	Rates:    []agreements.Rate{{Use: "住宅", Rate: 9000, Per: agreements.PerM2}, {Use: "车位", Rate: 500000, Per: agreements.PerPiece}},
	Services: []string{"保洁"}, Options: []string{"代收快递"},
}

func with(change func(*agreements.AgreementProposed)) agreement.Propose {
	t := terms
	change(&t)
	return agreement.Propose(t)
}

var (
	posted    = agreements.AgreementPosted{Agreement: "a", On: "2022-06-01"}
	active    = agreements.AgreementActivated{Agreement: "a", On: "2022-07-01"}
	ended     = agreements.AgreementEnded{Agreement: "a", On: "2022-12-31", Reason: "解约"}
	proposed  = []event{terms}
	signing   = []event{terms, posted}
	allSigned = []event{terms, posted, signed("街道"), signed("社区"), signed("物业")}
	inForce   = append(allSigned[:len(allSigned):len(allSigned)], active)
	over      = append(inForce[:len(inForce):len(inForce)], ended)
)

func signed(party string) agreements.AgreementSigned {
	return agreements.AgreementSigned{Agreement: "a", Party: party, On: "2022-06-08"}
}

func TestProposal(t *testing.T) {
	estest.Run(t, agreement.Evolve, same, []estest.Case[agreement.Agreement, event]{
		{Name: "terms are proposed", When: agreement.Propose(terms), Then: proposed},
		{Name: "the same terms again change nothing", Given: inForce, When: agreement.Propose(terms)},
		{Name: "other terms are another agreement", Given: proposed, When: with(func(t *agreements.AgreementProposed) { t.Ends = "2024-06-30" }), Err: agreement.ErrExists},
		{Name: "another rate too", Given: proposed, When: with(func(t *agreements.AgreementProposed) { t.Rates = t.Rates[:1] }), Err: agreement.ErrExists},
		{Name: "somebody entrusts", When: with(func(t *agreements.AgreementProposed) { t.Principals = nil }), Err: agreement.ErrParties},
		{Name: "somebody is entrusted", When: with(func(t *agreements.AgreementProposed) { t.Provider = " " }), Err: agreement.ErrParties},
		{Name: "nobody with themselves", When: with(func(t *agreements.AgreementProposed) { t.Provider = "社区" }), Err: agreement.ErrParties},
		{Name: "a term of one day", When: with(func(t *agreements.AgreementProposed) { t.Ends = t.Starts }),
			Then: []event{agreements.AgreementProposed(with(func(t *agreements.AgreementProposed) { t.Ends = t.Starts }))}},
		{Name: "a term does not end before it starts", When: with(func(t *agreements.AgreementProposed) { t.Ends = "2022-06-30" }), Err: agreement.ErrTerm},
		{Name: "a term starts", When: with(func(t *agreements.AgreementProposed) { t.Starts = "" }), Err: agreement.ErrTerm},
		{Name: "something is charged", When: with(func(t *agreements.AgreementProposed) { t.Rates = nil }), Err: agreement.ErrRates},
		{Name: "a use has one rate", When: with(func(t *agreements.AgreementProposed) { t.Rates = append(t.Rates[:1:1], t.Rates[0]) }), Err: agreement.ErrRates},
		{Name: "rates are for uses there are", When: with(func(t *agreements.AgreementProposed) {
			t.Rates = []agreements.Rate{{Use: "仓库", Rate: 1, Per: agreements.PerM2}}
		}), Err: agreement.ErrRates},
		{Name: "and by the month", When: with(func(t *agreements.AgreementProposed) {
			t.Rates = []agreements.Rate{{Use: "住宅", Rate: 1, Per: "㎡·年"}}
		}), Err: agreement.ErrRates},
		{Name: "nobody is paid for living there", When: with(func(t *agreements.AgreementProposed) {
			t.Rates = []agreements.Rate{{Use: "住宅", Rate: -1, Per: agreements.PerM2}}
		}), Err: agreement.ErrRates},
		{Name: "a service has a name", When: with(func(t *agreements.AgreementProposed) { t.Services = []string{""} }), Err: agreement.ErrLists},
		{Name: "an option stands there once", When: with(func(t *agreements.AgreementProposed) { t.Options = []string{"洗衣", "洗衣"} }), Err: agreement.ErrLists},
	})
}

func TestFromProposalToEnd(t *testing.T) {
	estest.Run(t, agreement.Evolve, same, []estest.Case[agreement.Agreement, event]{
		{Name: "a proposal is posted", Given: proposed, When: agreement.Post{On: "2022-06-01"}, Then: []event{posted}},
		{Name: "posting it again changes nothing", Given: signing, When: agreement.Post{On: "2022-06-02"}},
		{Name: "what is in force is not posted", Given: inForce, When: agreement.Post{On: "2022-08-01"}, Err: agreement.ErrNotProposed},
		{Name: "nothing is posted", When: agreement.Post{}, Err: agreement.ErrNoSuchAgreement},

		{Name: "a principal signs", Given: signing, When: agreement.Sign{Party: "街道", On: "2022-06-08"}, Then: []event{signed("街道")}},
		{Name: "signing twice changes nothing", Given: append(signing[:2:2], signed("街道")), When: agreement.Sign{Party: "街道", On: "2022-06-09"}},
		{Name: "nobody else signs", Given: signing, When: agreement.Sign{Party: "路人"}, Err: agreement.ErrNotAParty},
		{Name: "nobody signs what was not posted", Given: proposed, When: agreement.Sign{Party: "街道"}, Err: agreement.ErrNotPosted},
		{Name: "nothing is signed", When: agreement.Sign{Party: "街道"}, Err: agreement.ErrNoSuchAgreement},

		{Name: "it becomes active when all have signed", Given: allSigned, When: agreement.Activate{On: "2022-07-01"}, Then: []event{active}},
		{Name: "not before", Given: append(signing[:2:2], signed("街道"), signed("物业")), When: agreement.Activate{On: "2022-07-01"}, Err: agreement.ErrNotSigned},
		{Name: "once", Given: inForce, When: agreement.Activate{On: "2022-07-02"}},
		{Name: "nothing is activated", When: agreement.Activate{}, Err: agreement.ErrNoSuchAgreement},

		{Name: "it ends", Given: inForce, When: agreement.End{On: "2022-12-31", Reason: "解约"}, Then: []event{ended}},
		{Name: "once", Given: over, When: agreement.End{On: "2023-01-01", Reason: "解约"}},
		{Name: "for a reason", Given: inForce, When: agreement.End{On: "2022-12-31", Reason: " "}, Err: agreement.ErrNoReason},
		{Name: "not before it starts", Given: inForce, When: agreement.End{On: "2022-06-30", Reason: "解约"}, Err: agreement.ErrEndBeforeStart},
		{Name: "after it was in force", Given: allSigned, When: agreement.End{On: "2022-12-31", Reason: "解约"}, Err: agreement.ErrNotActive},
		{Name: "nothing ends", When: agreement.End{On: "2022-12-31", Reason: "解约"}, Err: agreement.ErrNoSuchAgreement},
	})
}

func TestAnAgreementOfThePastIsEnteredWhole(t *testing.T) {
	start := terms.Starts
	whole := []event{
		terms, agreements.AgreementPosted{Agreement: "a", On: start},
		agreements.AgreementSigned{Agreement: "a", Party: "街道", On: start}, agreements.AgreementSigned{Agreement: "a", Party: "社区", On: start},
		agreements.AgreementSigned{Agreement: "a", Party: "物业", On: start}, agreements.AgreementActivated{Agreement: "a", On: start},
	}
	estest.Run(t, agreement.Evolve, same, []estest.Case[agreement.Agreement, event]{
		{Name: "its paper shows that it was in force, and that its term ran out ends nothing (Civil Code art. 948)", When: agreement.Enter{Propose: agreement.Propose(terms)}, Then: whole},
		{Name: "the same paper again changes nothing", Given: whole, When: agreement.Enter{Propose: agreement.Propose(terms)}},
		{Name: "another paper is refused", Given: whole, When: agreement.Enter{Propose: with(func(t *agreements.AgreementProposed) { t.Change = "不变" })}, Err: agreement.ErrExists},
		{Name: "a paper keeps the rules", When: agreement.Enter{Propose: with(func(t *agreements.AgreementProposed) { t.Rates = nil })}, Err: agreement.ErrRates},
	})
	var a agreement.Agreement
	for _, e := range whole {
		a = agreement.Evolve(a, e)
	}
	if a.State != agreement.Active || len(a.Signed) != 3 {
		t.Fatalf("entered as %+v", a)
	}
}

func TestOptions(t *testing.T) {
	state := func(events []event) (a agreement.Agreement) {
		for _, e := range events {
			a = agreement.Evolve(a, e)
		}
		return a
	}
	choose := agreement.ChooseOption{Agreement: state(inForce), Unit: "u", Option: "代收快递", On: "2022-08-01"}
	change := func(f func(*agreement.ChooseOption)) agreement.ChooseOption {
		c := choose
		f(&c)
		return c
	}
	chosen := agreements.OptionChosen{Agreement: "a", Unit: "u", Option: "代收快递", On: "2022-08-01"}
	drop := change(func(c *agreement.ChooseOption) { c.Drop = true })
	estest.Run(t, agreement.EvolveOptions, same, []estest.Case[agreement.Options, event]{
		{Name: "an option is chosen", When: choose, Then: []event{chosen}},
		{Name: "once", Given: []event{chosen}, When: choose},
		{Name: "and dropped", Given: []event{chosen}, When: drop, Then: []event{agreements.OptionDropped{Agreement: "a", Unit: "u", Option: "代收快递", On: "2022-08-01"}}},
		{Name: "what was not chosen is not dropped", When: drop},
		{Name: "and chosen again", Given: []event{chosen, agreements.OptionDropped{Agreement: "a", Unit: "u", Option: "代收快递"}}, When: choose, Then: []event{chosen}},
		{Name: "only what is offered", When: change(func(c *agreement.ChooseOption) { c.Option = "洗衣" }), Err: agreement.ErrNoSuchOption},
		{Name: "only while the agreement is in force", When: change(func(c *agreement.ChooseOption) { c.Agreement = state(allSigned) }), Err: agreement.ErrNotActive},
		{Name: "not after its end", When: change(func(c *agreement.ChooseOption) { c.Agreement = state(over) }), Err: agreement.ErrNotActive},
		{Name: "after its end it can still be dropped", Given: []event{chosen}, When: change(func(c *agreement.ChooseOption) { c.Agreement, c.Drop = state(over), true }),
			Then: []event{agreements.OptionDropped{Agreement: "a", Unit: "u", Option: "代收快递", On: "2022-08-01"}}},
		{Name: "of an agreement there is", When: agreement.ChooseOption{Option: "代收快递"}, Err: agreement.ErrNoSuchAgreement},
	})
}
