package pages

import (
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// Who may do what with an agreement; each step asks the API again.
var (
	ProposeRoles  = []string{"committee", "principal", "provider", "clerk", "administrator"}
	postRoles     = []string{"committee", "principal", "clerk", "administrator"}
	activateRoles = []string{"principal", "clerk", "administrator"}
)

// AgreementModel is one agreement, and what may be done with it now.
type AgreementModel struct {
	Estate     client.Named
	Agreement  client.Agreement
	Key        string
	On, Reason string // of its end, as typed
	Failed     string // the step that was refused
	Problem    *Problem
	Done       bool
}

// unsigned are the parties that have not signed.
func (m AgreementModel) unsigned() []string {
	a := m.Agreement
	return slices.DeleteFunc(append(slices.Clone(a.Principals), a.Provider), func(p string) bool { return slices.Contains(a.Signed, p) })
}

// waits says whether the agreement waits for the owners: a formal contract comes
// into force once their assembly appointed the provider by it.
func (m AgreementModel) waits() bool {
	a := m.Agreement
	return a.Kind == agreements.Formal && a.Authorised == nil && a.State != "active" && a.State != "ended"
}

// next says in plain words what comes next.
func (m AgreementModel) next(l Lang) string {
	switch a := m.Agreement; {
	case a.State == "proposed":
		return l.T("合同拟好了，还没有公示。公示以后，业主能看到全部条款，各方才能签字，业主大会才能表决。", "It is drafted and not posted yet. Once it is, owners can read every term, the parties can sign, and the assembly can decide on it.")
	case a.State == "posted" && m.waits():
		return l.T("已经公示。请在业主大会里提出“选聘物业”的议题，选中这份合同；各方也可以现在签字。", "It is posted. Put a motion to appoint the provider by it to an owners' meeting; the parties may sign meanwhile.")
	case a.State == "posted":
		return l.T("已经公示，等各方签字。", "It is posted, and the parties are to sign.")
	case a.State == "signed" && m.waits():
		return l.T("各方都签了，还要业主大会通过、结果终定，合同才能生效。", "All have signed. It comes into force once the assembly has appointed the provider by it, finally.")
	case a.State == "signed":
		return l.T("各方都签了，可以让合同生效。", "All have signed: it may come into force.")
	case a.State == "active" && a.Dismissed != nil:
		return l.T("六十日通知期正在计算，到期由账本自动终止。", "The 60 days of notice run; the clock ends it.")
	case a.State == "active":
		return l.T("合同正在履行。", "It is in force.")
	}
	return l.T("合同已经终止。", "It has ended.")
}

// AgreementForm is an agreement being proposed, as it was typed.
type AgreementForm struct {
	Estate            client.Named
	Key               string
	Kind, Provider    string
	Principals        string // one a line
	Starts, Ends      string
	Rates             map[string]TypedRate // by use
	Change            string
	Services, Options string // one a line
	Follows           string
	InForce           []client.Agreement // whose place it may take
	Problem           *Problem
}

// TypedRate is a price a month, as it was typed.
type TypedRate struct{ Yuan, Per string }

// AgreementKinds are what an agreement may be: an entrustment, or the formal
// contract that only the owners' assembly lets come into force.
var AgreementKinds = []string{"委托制物业", agreements.Formal}

// Uses are what has a rate of its own.
var Uses = []string{registry.Home, registry.Shop, registry.Parking}

// Pers are what a rate is for.
var Pers = []string{agreements.PerM2, agreements.PerPiece}

// linesOf are those of a text that are not empty.
func linesOf(text string) []string {
	list := []string{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, line)
		}
	}
	return list
}

// Body is the form as the API takes it, and what it could not even read.
func (f AgreementForm) Body() (body map[string]any, wrong []problem.Field) {
	want := func(ok bool, name, code, detail string) {
		if !ok {
			wrong = append(wrong, problem.Field{Name: name, Code: code, Detail: detail})
		}
	}
	rates := []agreements.Rate{}
	for _, use := range Uses {
		typed := f.Rates[use]
		if typed.Yuan == "" {
			continue
		}
		rate, err := units.ParseRate(typed.Yuan)
		want(err == nil && rate >= 0, "rate-"+use, "not-a-rate", "is a price in yuan with at most four decimals, such as 0.90")
		rates = append(rates, agreements.Rate{Use: use, Rate: rate, Per: typed.Per})
	}
	for name, day := range map[string]string{"starts": f.Starts, "ends": f.Ends} {
		_, err := units.ParseDay(day)
		want(err == nil, name, "not-a-day", "is not a day such as 2022-07-21")
	}
	want(len(rates) > 0, "rates", "missing", "is missing: at least one rate")
	want(len(linesOf(f.Principals)) > 0, "principals", "missing", "is missing")
	want(f.Provider != "", "provider", "missing", "is missing")
	body = map[string]any{
		"kind": f.Kind, "principals": linesOf(f.Principals), "provider": f.Provider, "starts": f.Starts, "ends": f.Ends, "rates": rates,
		"change": f.Change, "services": linesOf(f.Services), "options": linesOf(f.Options),
	}
	if f.Follows != "" {
		body["follows"] = f.Follows
	}
	return body, wrong
}

// PayRoles may record what is paid out of the maintenance fund.
var PayRoles = []string{"provider", "clerk", "administrator"}

// DrawForm is a payment out of a draw on the maintenance fund being recorded, or
// one being taken back.
type DrawForm struct {
	Estate                                   client.Named
	Draw                                     client.Draw
	Key                                      string
	Number, Date, Amount, Text, Counterparty string
	Reverses, Reason                         string // of one that is taken back; its number and day are Number and Date
	Failed                                   string // pay or reverse
	Problem                                  *Problem
	Done                                     bool
}

// standing are the payments that may be taken back.
func (f DrawForm) standing() []client.DrawPayment {
	return slices.DeleteFunc(slices.Clone(f.Draw.Payments), func(p client.DrawPayment) bool { return p.Reversed != nil })
}

// failed is the problem of a step, where it was refused.
func (f DrawForm) failed(step string) *Problem {
	if f.Failed == step {
		return f.Problem
	}
	return nil
}

// typed is what was typed into a field of a step; of the other step it is not.
func (f DrawForm) typed(step, text string) string {
	if f.Failed != "" && f.Failed != step {
		return ""
	}
	return text
}
