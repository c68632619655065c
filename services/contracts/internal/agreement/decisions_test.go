package agreement_test

import (
	"slices"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/services/contracts/internal/agreement"
)

var decision = agreements.Decision{Meeting: "m", Motion: "M1", Title: "选聘物业", Result: "hash", At: time.Date(2022, 6, 20, 10, 0, 0, 0, units.Shanghai)}

// formal is what happened to a formal contract: its terms, then what is given.
func formal(then ...event) []event {
	t := terms
	t.Kind = agreements.Formal
	return append([]event{t}, then...)
}

func join(a []event, b ...event) []event { return append(slices.Clone(a), b...) }

func TestAFormalContractNeedsADecisionOfTheOwners(t *testing.T) {
	authorised := agreements.ContractAuthorised{Agreement: "a", Decision: decision}
	parties := []event{posted, signed("街道"), signed("社区"), signed("物业")}
	all := formal(parties...)
	estest.Run(t, agreement.Evolve, same, []estest.Case[agreement.Agreement, event]{
		{Name: "art. 278 (1) 4: owners appoint the provider by terms that are posted", Given: formal(posted), When: agreement.Authorise{Decision: decision}, Then: []event{authorised}},
		{Name: "also where all have signed already", Given: all, When: agreement.Authorise{Decision: decision}, Then: []event{authorised}},
		{Name: "once", Given: formal(posted, authorised), When: agreement.Authorise{Decision: decision}},
		{Name: "not by terms that nobody could read", Given: formal(), When: agreement.Authorise{Decision: decision}, Err: agreement.ErrNotPosted},
		{Name: "not what is in force", Given: inForce, When: agreement.Authorise{Decision: decision}, Err: agreement.ErrInForce},
		{Name: "not what has ended", Given: over, When: agreement.Authorise{Decision: decision}, Err: agreement.ErrEnded},
		{Name: "not what is not there", When: agreement.Authorise{Decision: decision}, Err: agreement.ErrNoSuchAgreement},

		{Name: "art. 278 (1) 4: without a decision it does not come into force, whoever signed", Given: all, When: agreement.Activate{On: "2022-07-01"}, Err: agreement.ErrNotDecided},
		{Name: "with a decision it does", Given: join(all, authorised), When: agreement.Activate{On: "2022-07-01"}, Then: []event{active}},
		{Name: "not before all have signed", Given: formal(posted, authorised, signed("街道")), When: agreement.Activate{On: "2022-07-01"}, Err: agreement.ErrNotSigned},
		{Name: "an entrustment needs none", Given: allSigned, When: agreement.Activate{On: "2022-07-01"}, Then: []event{active}},
	})
}

func TestADismissedProviderHasSixtyDays(t *testing.T) {
	// 2022-10-01 is not counted: the 60th day after it is 2022-11-30.
	dismissed := agreements.ProviderDismissed{Agreement: "a", On: "2022-10-01", Ends: "2022-11-30", Decision: decision}
	noticed := join(inForce, dismissed)
	ends := agreements.AgreementEnded{Agreement: "a", On: "2022-11-30", Reason: agreement.Dismissed}
	estest.Run(t, agreement.Evolve, same, []estest.Case[agreement.Agreement, event]{
		{Name: "art. 946: a dismissal is notice of 60 days", Given: inForce, When: agreement.Dismiss{On: "2022-10-01", Decision: decision}, Then: []event{dismissed}},
		{Name: "once", Given: noticed, When: agreement.Dismiss{On: "2022-10-05", Decision: decision}},
		{Name: "art. 948: also where the term has run out", Given: inForce, When: agreement.Dismiss{On: "2024-01-01", Decision: decision},
			Then: []event{agreements.ProviderDismissed{Agreement: "a", On: "2024-01-01", Ends: "2024-03-01", Decision: decision}}},
		{Name: "not who has not begun", Given: allSigned, When: agreement.Dismiss{On: "2022-06-20"}, Err: agreement.ErrNotActive},
		{Name: "not who is gone", Given: over, When: agreement.Dismiss{On: "2023-01-01"}, Err: agreement.ErrEnded},

		{Name: "art. 946: it does not end on the 60th day", Given: noticed, When: agreement.EndDismissed{Today: "2022-11-30"}, Err: agreement.ErrNotDue},
		{Name: "art. 946: it has ended on the 61st", Given: noticed, When: agreement.EndDismissed{Today: "2022-12-01"}, Then: []event{ends}},
		{Name: "it ends once", Given: join(noticed, ends), When: agreement.EndDismissed{Today: "2022-12-01"}},
		{Name: "an agreement without a dismissal does not end by itself", Given: inForce, When: agreement.EndDismissed{Today: "2032-12-01"}, Err: agreement.ErrNotDue},
		{Name: "art. 946: nobody ends it a day before", Given: noticed, When: agreement.End{On: "2022-11-29", Reason: "提前"}, Err: agreement.ErrNotice},
		{Name: "somebody may record the end that was announced", Given: noticed, When: agreement.End{On: "2022-11-30", Reason: "期满"},
			Then: []event{agreements.AgreementEnded{Agreement: "a", On: "2022-11-30", Reason: "期满"}}},
	})
}

func TestAFormalContractTakesThePlaceOfTheEntrustment(t *testing.T) {
	successor := func(change func(*agreement.Agreement)) agreement.Agreement {
		a := agreement.Agreement{State: agreement.Active, Terms: agreements.AgreementProposed{Agreement: "b", Estate: "e", Kind: agreements.Formal, Starts: "2023-01-01", Follows: "a"}}
		if change != nil {
			change(&a)
		}
		return a
	}
	ends := func(on units.Day) []event {
		return []event{agreements.AgreementEnded{Agreement: "a", On: on, Reason: agreement.Superseded, Successor: "b"}}
	}
	estest.Run(t, agreement.Evolve, same, []estest.Case[agreement.Agreement, event]{
		{Name: "the entrustment ends the day before the contract begins", Given: inForce, When: agreement.Succeed{Successor: successor(nil)}, Then: ends("2022-12-31")},
		{Name: "but not before it began", Given: inForce, When: agreement.Succeed{Successor: successor(func(a *agreement.Agreement) { a.Terms.Starts = "2022-07-01" })}, Then: ends("2022-07-01")},
		{Name: "one that has ended stays as it is", Given: over, When: agreement.Succeed{Successor: successor(nil)}},
		{Name: "one that is not in force ends nothing", Given: inForce, When: agreement.Succeed{Successor: successor(func(a *agreement.Agreement) { a.State = agreement.Signed })}, Err: agreement.ErrPredecessor},
		{Name: "nor one that follows another", Given: inForce, When: agreement.Succeed{Successor: successor(func(a *agreement.Agreement) { a.Terms.Follows = "c" })}, Err: agreement.ErrPredecessor},
		{Name: "nor one of another estate", Given: inForce, When: agreement.Succeed{Successor: successor(func(a *agreement.Agreement) { a.Terms.Estate = "f" })}, Err: agreement.ErrPredecessor},
	})

	next := with(func(t *agreements.AgreementProposed) { t.Agreement, t.Kind, t.Follows = "b", agreements.Formal, "a" })
	inPlace := agreement.Agreement{Terms: terms, State: agreement.Active}
	estest.Run(t, agreement.Evolve, same, []estest.Case[agreement.Agreement, event]{
		{Name: "it names the entrustment in force", When: agreement.ProposeSuccessor{Propose: next, Predecessor: inPlace}, Then: []event{agreements.AgreementProposed(next)}},
		{Name: "not one that is over", When: agreement.ProposeSuccessor{Propose: next, Predecessor: agreement.Agreement{Terms: terms, State: agreement.Ended}}, Err: agreement.ErrPredecessor},
		{Name: "not one that is not there", When: agreement.ProposeSuccessor{Propose: next}, Err: agreement.ErrPredecessor},
		{Name: "not one of another estate", When: agreement.ProposeSuccessor{Propose: next, Predecessor: agreement.Agreement{Terms: agreements.AgreementProposed{Agreement: "a", Estate: "f"}, State: agreement.Active}}, Err: agreement.ErrPredecessor},
		{Name: "or none", When: agreement.ProposeSuccessor{Propose: agreement.Propose(terms)}, Then: proposed},
	})
}
