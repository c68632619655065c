package agreement

import (
	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Names of reactions, also of their streams of refusals.
const (
	Follow    = "agreements_follow"     // what owners decided, and one agreement taking the place of another
	EndNotice = "agreements_end_notice" // the end of a provider's notice
)

// NoticeDays is how long before it a provider is told in writing that the contract
// ends, because owners dismissed them (Civil Code art. 946).
const NoticeDays = 60

// Why an agreement ended that nobody ended.
const (
	Dismissed  = "业主共同决定解聘,六十日通知期满(民法典第九百四十六条)"
	Superseded = "正式合同生效,原委托终止"
)

// Refusals of what owners decided, or for want of it.
var (
	ErrNotDecided  = problem.Conflict("owners-not-asked", "a formal contract comes into force once the owners' assembly has appointed the provider by it (Civil Code art. 278 (1) 4)")
	ErrInForce     = problem.Conflict("agreement-active", "the agreement is in force already")
	ErrEnded       = problem.Conflict("agreement-ended", "the agreement has ended")
	ErrPredecessor = problem.Invalid("predecessor-wrong", "an agreement takes the place of one of the same estate that is in force", problem.Field{Name: "follows", Code: "unknown", Detail: "names no agreement of this estate that is in force"})
	ErrNotice      = problem.Conflict("notice-running", "the provider was dismissed with 60 days' notice; the agreement does not end before (Civil Code art. 946)")
	ErrNotDue      = problem.Conflict("notice-not-over", "the provider's 60 days are not over")
)

// ProposeSuccessor is Propose of an agreement that takes the place of another.
type ProposeSuccessor struct {
	Propose
	Predecessor Agreement // as it stands; none where the terms name none
}

// Decide refuses a predecessor that is not in force, or is another estate's.
func (c ProposeSuccessor) Decide(a Agreement) ([]agreements.Event, error) {
	p := c.Predecessor
	if c.Follows != "" && (p.Terms.Agreement != c.Follows || p.Terms.Estate != c.Estate || p.State != Active || c.Follows == c.Agreement) {
		return nil, ErrPredecessor
	}
	return c.Propose.Decide(a)
}

// Authorise records that owners appointed the provider by this agreement.
type Authorise struct{ Decision agreements.Decision }

// Decide refuses where there is nothing left to decide. Terms never change, so what
// owners read is what comes into force.
func (c Authorise) Decide(a Agreement) ([]agreements.Event, error) {
	switch {
	case a.State == "":
		return nil, ErrNoSuchAgreement
	case a.IsAuthorised():
		return nil, nil
	case a.State == Ended:
		return nil, ErrEnded
	case a.State == Active:
		return nil, ErrInForce
	case a.State == Proposed:
		return nil, ErrNotPosted
	}
	return []agreements.Event{agreements.ContractAuthorised{Agreement: a.Terms.Agreement, Decision: c.Decision}}, nil
}

// Dismiss gives the provider notice, because owners dismissed them.
type Dismiss struct {
	On       units.Day // today
	Decision agreements.Decision
}

// Decide refuses where no agreement is in force. The day of the notice is not
// counted (Civil Code art. 201).
func (c Dismiss) Decide(a Agreement) ([]agreements.Event, error) {
	switch {
	case a.State == "":
		return nil, ErrNoSuchAgreement
	case a.IsDismissed():
		return nil, nil
	case a.State == Ended:
		return nil, ErrEnded
	case a.State != Active:
		return nil, ErrNotActive
	}
	return []agreements.Event{agreements.ProviderDismissed{Agreement: a.Terms.Agreement, On: c.On, Ends: after(c.On, NoticeDays), Decision: c.Decision}}, nil
}

// EndDismissed ends the agreement of a provider whose 60 days are over.
type EndDismissed struct{ Today units.Day }

// Decide refuses on the last day and before it.
func (c EndDismissed) Decide(a Agreement) ([]agreements.Event, error) {
	switch {
	case a.State == Ended:
		return nil, nil
	case a.State != Active || !a.IsDismissed() || c.Today <= a.Dismissed.Ends:
		return nil, ErrNotDue
	}
	return []agreements.Event{agreements.AgreementEnded{Agreement: a.Terms.Agreement, On: a.Dismissed.Ends, Reason: Dismissed}}, nil
}

// Succeed ends an agreement whose place another has taken.
type Succeed struct{ Successor Agreement }

// Decide ends it the day before the other's term, which is not before its own first
// day. One that has ended meanwhile stays as it is.
func (c Succeed) Decide(a Agreement) ([]agreements.Event, error) {
	switch {
	case a.State == "":
		return nil, ErrNoSuchAgreement
	case c.Successor.Terms.Follows != a.Terms.Agreement || c.Successor.Terms.Estate != a.Terms.Estate || c.Successor.State != Active && c.Successor.State != Ended:
		return nil, ErrPredecessor
	case a.State == Ended:
		return nil, nil
	case a.State != Active:
		return nil, ErrNotActive
	}
	on := max(after(c.Successor.Terms.Starts, -1), a.Terms.Starts)
	return []agreements.Event{agreements.AgreementEnded{Agreement: a.Terms.Agreement, On: on, Reason: Superseded, Successor: c.Successor.Terms.Agreement}}, nil
}

// IsAuthorised and IsDismissed report what owners decided.
func (a Agreement) IsAuthorised() bool { return a.Authorised.Meeting != "" }
func (a Agreement) IsDismissed() bool  { return a.Dismissed.Ends != "" }

// after returns the day some days after another.
func after(d units.Day, days int) units.Day { return units.DayOf(d.Start().AddDate(0, 0, days)) }
