package pages

import (
	"slices"
	"strconv"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// DecisionsModel is what owners decided about providers and money.
type DecisionsModel struct {
	Estate     client.Named
	Agreements []client.Agreement
	Draws      []client.Draw
	Followed   []client.Followed
}

// decided are the agreements that owners decided on.
func (m DecisionsModel) decided() []client.Agreement {
	return slices.DeleteFunc(slices.Clone(m.Agreements), func(a client.Agreement) bool { return a.Authorised == nil && a.Dismissed == nil })
}

// lines are the decisions that set a line of a budget, and were carried out.
func (m DecisionsModel) lines() []client.Followed {
	return slices.DeleteFunc(slices.Clone(m.Followed), func(f client.Followed) bool { return !f.Done || f.Effect.Kind != votes.BudgetCommonIncome })
}

// refused are the decisions that were not carried out.
func (m DecisionsModel) refused() []client.Followed {
	return slices.DeleteFunc(slices.Clone(m.Followed), func(f client.Followed) bool { return f.Refused == nil })
}

// empty says that nothing was decided that has a place on the page.
func (m DecisionsModel) empty() bool {
	return len(m.decided())+len(m.Draws)+len(m.lines())+len(m.refused()) == 0
}

// effective lists the motions of a meeting from which something may follow.
func effective(m client.Meeting) []client.Motion {
	return slices.DeleteFunc(slices.Clone(m.Motions), func(m client.Motion) bool { return m.Effect == nil })
}

// outcomeOf is what a motion came to; "": not known.
func outcomeOf(m MeetingModel, motion string) string {
	for _, r := range m.Results {
		if r.Motion == motion {
			return r.Outcome
		}
	}
	return ""
}

// became is what became of a motion's decision, if it took effect.
func became(m MeetingModel, motion string) (client.Followed, bool) {
	for _, f := range m.Followed {
		if f.Motion == motion {
			return f, true
		}
	}
	return client.Followed{}, false
}

// followingWords says how far what follows from a motion is.
func followingWords(l Lang, m MeetingModel, motion string) string {
	f, known := became(m, motion)
	final := m.Meeting.State == "final" || m.Meeting.State == "filed"
	switch {
	case outcomeOf(m, motion) != votes.Adopted:
		return l.T("没有通过，不办理。", "Not adopted: nothing follows.")
	case !final:
		return l.T("通过了。结果终定以后才办理：现在业主还可以提出异议。", "Adopted. It follows once the result is final: owners may still object.")
	case known && f.Done:
		return l.T("已经办理，", "Done, ") + string(units.DayOf(f.At)) + l.T(" 生效。", " it took effect.")
	case known && f.Refused != nil:
		return l.T("没有办成：", "Not done: ") + whyNot(l, f.Refused.Code) + l.T("请业主委员会处理。", " The committee must act.")
	}
	return l.T("结果已经终定，正在办理。", "The result is final, and it is being done.")
}

// whyNot says why nothing came of a decision.
func whyNot(l Lang, code string) string {
	return lookup(l, map[string][2]string{
		"no-such-agreement":    {"合同已经不在。", "there is no such agreement."},
		"agreement-ended":      {"合同在决定生效以前已经终止。", "the agreement had ended before."},
		"agreement-active":     {"合同在决定生效以前已经生效。", "the agreement was in force before."},
		"agreement-not-active": {"合同还没有生效。", "the agreement is not in force."},
		"agreement-not-posted": {"合同还没有公示。", "the terms are not posted."},
	}, code)
}

// anchor is where the page of decisions shows an effect.
func anchor(e client.Effect) string {
	switch e.Kind {
	case votes.DrawMaintenance:
		return "funds"
	case votes.BudgetCommonIncome:
		return "budget"
	}
	return "contracts"
}

// noticeWords says until when a dismissed provider stays.
func noticeWords(l Lang, d client.Dismissal) string {
	return l.T("业主决定解聘：", "Dismissed: ") + string(d.On) + l.T(" 起算六十日通知期，合同到 ", " begins the notice of 60 days, and the agreement ends on ") + string(d.Ends) + l.T(" 为止（民法典第九百四十六条）", " (Civil Code art. 946)")
}

func yearOf(f client.Followed) string { return strconv.Itoa(f.Effect.Year) }
