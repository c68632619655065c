package pages

import (
	"slices"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// DeskModel is what those who hold a meeting see of it: where it stands, what to
// do next, and every step.
type DeskModel struct {
	Estate     client.Named
	Meeting    client.Meeting
	Timeline   client.Timeline
	Objections []client.Objection
	Deadlines  []client.Deadline
	Key        string
	Read       string            // the objection whose words are shown
	Words      string            // its words
	Form       map[string]string // what was filled in
	Failed     string            // the step that was refused
	Problem    *Problem
	Done       bool // a step was just recorded
}

// deskLink is a page of the work on a meeting, and when it is of use.
type deskLink struct {
	Path   string // below the meeting; "": its own
	ZH, EN string
	States []string // none: always
	Next   []string // states in which it is what to do next
	Live   bool     // of no use for a meeting of the past
}

// withResult are the states in which there is a result.
var withResult = []string{"counted", "posted", "final", "filed"}

// resultPDF is where the result is, to print.
func resultPDF(meeting string) string { return "/api/v1" + path("meetings", meeting, "result.pdf") }

// Arithmetic spells the comparisons of a result out, in one line.
func Arithmetic(l Lang, r client.Result) string {
	parts := make([]string, len(r.Arithmetic))
	for i, s := range r.Arithmetic {
		parts[i] = stepWords(l, s) + l.T("：", ": ") + times(s.Left) + " " + s.Compare + " " + times(s.Right)
	}
	return strings.Join(parts, l.T("；", "; "))
}

// deskLinks are the pages that the desk leads to, in the order of the work.
var deskLinks = []deskLink{
	{"", "公开的会议页面", "the public page of the meeting", nil, nil, false},
	{"roll", "业主名册和异议", "the roll, and objections to it", afterFreezing, nil, false},
	{"trustees", "谁保管开票密钥", "who keeps the ballots' key", nil, nil, true},
	{"delivery", "公告送达：印信、登记送到", "delivery: letters, and who was reached", afterNotice, []string{"noticed"}, true},
	{"papers", "纸质票：登记和录入", "paper ballots: taken in and entered", []string{"open", "closing"}, []string{"open", "closing"}, true},
	{"recount", "依成立的异议重新计票", "count anew for an upheld objection", withResult, nil, true},
}

// DiffersField is the field of a form that says of the i-th motion that rests how it
// is another question.
func DiffersField(i int) string { return "differs-" + strconv.Itoa(i) }

// States of a live meeting from a step on.
var (
	afterNotice   = append([]string{"noticed", "open", "closing", "closed"}, withResult...)
	afterFreezing = append([]string{"frozen"}, afterNotice...)
)

// Links are the pages that are of use now.
func (m DeskModel) links() []deskLink {
	return slices.DeleteFunc(slices.Clone(deskLinks), func(l deskLink) bool {
		return len(l.States) > 0 && !slices.Contains(l.States, m.Meeting.State) || m.Meeting.Past && l.Live
	})
}

// at is where a page of the work is.
func (m DeskModel) at(l deskLink) templ.SafeURL {
	if l.Path == "" {
		return templ.SafeURL(path("meetings", m.Meeting.ID))
	}
	return templ.SafeURL(path("meetings", m.Meeting.ID, l.Path))
}

// nextLinks are the pages on which the next step is taken.
func (m DeskModel) nextLinks() []deskLink {
	return slices.DeleteFunc(m.links(), func(l deskLink) bool { return !slices.Contains(l.Next, m.Meeting.State) })
}

// next says in plain words what is to be done now.
func (m DeskModel) next(l Lang) string {
	at := m.Meeting
	if at.Past {
		return l.T("这次会议是从纸质档案补录的，这里只能查看。公示、异议和备案，以当时的文件为准。", "This meeting was entered from the papers of the past, and is only read here. Of its posting, objections and filing those papers tell.")
	}
	switch at.State {
	case "drafted":
		return l.T("议题已经拟好。现在请封存业主名册：名册会算出每位业主一票、面积多少，公示以后大家可以核对。", "The motions are drafted. Now freeze the roll: who votes, with which area. It is posted for everyone to check.")
	case "frozen":
		return l.T("名册已经封存。名册的异议都答复以后，请张贴会议公告。公告以后，议题和名册都不能再改。", "The roll is frozen. Once objections to it are answered, post the notice. After that neither motions nor roll change.")
	case "noticed":
		return l.T("公告已经张贴，", "The notice is posted; voting opens ") + At(at.Opens) + l.T(" 开始投票。现在请把通知送到每一位业主手里，并留下凭证。", ". Now deliver it to every owner, and keep proof.")
	case "open":
		return l.T("正在投票，", "Voting goes on until ") + At(at.Closes) + l.T(" 截止。请继续提醒还没有投票的业主，登记交来的纸质票。", ". Remind those who have not voted, and record the paper that is handed in.")
	case "closing":
		return l.T("投票已经截止。有纸质票的，请全部录完，再点“纸质票录入完毕”；没有纸质票的，一分钟后自动结束。", "The deadline has passed. Enter all paper and declare it complete; without paper, voting is closed by itself within a minute.")
	case "closed":
		return l.T("投票已经结束，正在公开密钥并计票，请稍等。", "Voting is closed; the key is released and the ballots are counted in a moment.")
	case "counted":
		if len(m.Timeline.Withdrawn) > 0 {
			return l.T("原来公示的结果已经撤回。依成立的异议要剔除选票的，先到“重新计票”；然后核对更正以后的结果，打印出来重新张贴，再在这里登记。", "The posted result was withdrawn. Where a ballot is to be set aside for an objection, count anew first; then check the corrected result, print and post it, and record that here.")
		}
		return l.T("计票已经完成。请打印结果，张贴在小区公告栏，再在这里登记张贴。", "The count is done. Print the result, post it on the notice board, and record that here.")
	case "posted":
		switch p := m.Timeline.Posting; {
		case p == nil:
		case p.Upheld > 0:
			return l.T("有异议成立。请撤回结果，写明原因，更正以后重新公示。", "An objection was upheld. Withdraw the result, say why, and post the corrected one.")
		case p.Open > 0:
			return l.T("有业主提出异议，请逐条答复。答复是公开的。", "Owners object. Answer each; the answers are public.")
		case p.Until != nil:
			return l.T("结果正在公示，业主可以提异议到 ", "The result is posted; owners may object until ") + At(p.Until) + l.T("。到期没有未答复的异议，就可以宣布终定。", ". After that, with every objection answered, declare it final.")
		}
		return l.T("结果正在公示。没有未答复的异议，就可以宣布终定。", "The result is posted. With every objection answered, declare it final.")
	case "final":
		return l.T("结果已经终定。选举业委会的，请到街道办事处备案，再登记备案号。", "The result is final. Of an election, file it with the street office and record the number.")
	case "filed":
		return l.T("全部完成。选票和送达凭证请继续保存。", "All is done. Keep ballots and proofs of delivery.")
	case "withdrawn", "cancelled":
		return l.T("会议已经取消，不再进行。原因：", "The meeting is cancelled. Why: ") + m.Timeline.Cancelled
	}
	return ""
}

// may says whether a step of these states can be taken: one of the past was held
// elsewhere, and its papers say the rest.
func (m DeskModel) may(states ...string) bool { return !m.Meeting.Past && m.in(states...) }

// in says whether the meeting is in one of the states.
func (m DeskModel) in(states ...string) bool { return slices.Contains(states, m.Meeting.State) }

// failed is the problem of a step, where it was refused.
func (m DeskModel) failed(step string) *Problem {
	if m.Failed == step {
		return m.Problem
	}
	return nil
}

// upheld are the objections to the result that stands which were upheld.
func (m DeskModel) upheld() []client.Objection {
	return slices.DeleteFunc(slices.Clone(m.Objections), func(o client.Objection) bool {
		return !o.Upheld || m.Timeline.Posting == nil || o.Posting != m.Timeline.Posting.Number
	})
}

// ObjectionState says what became of an objection.
func ObjectionState(l Lang, o client.Objection) string {
	switch {
	case o.Answered == nil:
		return l.T("等待答复", "not answered yet")
	case o.Upheld:
		return l.T("异议成立", "upheld")
	}
	return l.T("异议不成立", "not upheld")
}

// postingWords says when a result was posted, and until when owners may object.
func postingWords(l Lang, p client.Posting) string {
	words := l.T("结果于 ", "The result was posted in the estate ") + At(p.At) + l.T(" 张贴公示", "")
	if p.Number > 1 {
		words += l.T("（第 "+strconv.Itoa(p.Number)+" 次，更正后）", " (posting "+strconv.Itoa(p.Number)+", corrected)")
	}
	if p.Until != nil {
		words += l.T("，业主可以提异议到 ", "; owners may object until ") + At(p.Until)
	}
	return words + l.T("。", ".")
}

// objectionAbout says what an objection is about.
func objectionAbout(l Lang, o client.Objection) string {
	if o.Motion == "" {
		return l.T("针对整个结果", "about the whole result")
	}
	return l.T("针对 ", "about ") + o.Motion
}

// DeskRoles may open a desk; each step asks the API again.
var DeskRoles = []string{"committee", "clerk", "administrator", "principal"}

// ObjectForm is an owner's objection to a result.
type ObjectForm struct {
	Meeting       client.Meeting
	Until         *client.Posting
	Key           string
	Motion, Words string
	Problem       *Problem
}

// happened is one line of a meeting's timeline.
type happened struct {
	client.MeetingStep
	More string
}

// life lists what happened to a meeting, in order.
func life(l Lang, t client.Timeline) (list []happened) {
	extended, withdrawn, missed := t.Extended, t.Withdrawn, t.Missed
	for _, s := range t.Steps {
		h := happened{MeetingStep: s}
		switch {
		case s.Event == "voting-extended.v1" && len(extended) > 0:
			h.More = l.T("截止时间改为 ", "new deadline ") + At(extended[0].Closes)
			extended = extended[1:]
		case s.Event == "result-withdrawn.v1" && len(withdrawn) > 0:
			h.More = l.T("原因：", "why: ") + withdrawn[0].Reason
			withdrawn = withdrawn[1:]
		case s.Event == "meeting-cancelled.v1":
			h.More = l.T("原因：", "why: ") + t.Cancelled
		case s.Event == "result-filed.v1":
			h.More = l.T("备案号：", "number: ") + t.Filed
		case s.Event == "deadline-missed.v1" && len(missed) > 0:
			h.More = DeadlineWords(l, missed[0].Deadline)
			missed = missed[1:]
		}
		list = append(list, h)
	}
	return list
}

// DeadlineWords names a day of the rules.
func DeadlineWords(l Lang, name string) string {
	return lookup(l, map[string][2]string{
		"roll-objections": {"对名册提异议的最后一天", "last day to object to the roll"},
		"opening":         {"最早可以开始投票", "voting may open"},
		"closing":         {"投票截止", "voting closes"},
		"shortest-window": {"投票时间的下限", "shortest time of voting"},
		"longest-window":  {"投票时间的上限", "longest time of voting"},
		"result-posting":  {"公布结果的最后一天", "last day to post the result"},
		"objections":      {"对结果提异议的最后一天", "last day to object to the result"},
		"result-standing": {"结果至少公示到", "the result stays posted until"},
		"filing":          {"备案的最后一天", "last day to file"},
		"court":           {"请求法院撤销的最后一天", "last day to ask a court"},
	}, name)
}

// deadlineDay is by when something is due.
func deadlineDay(l Lang, d client.Deadline) string {
	switch {
	case d.Due == nil || d.Due.IsZero():
		return l.T("还没有开始算", "not counted yet")
	case d.Day != "":
		return string(d.Day)
	}
	return At(d.Due)
}

// deadlineState says how a deadline stands, and what is to be known of it.
func deadlineState(l Lang, d client.Deadline) string {
	words := lookup(l, map[string][2]string{
		"waiting": {"等待", "waiting"}, "coming": {"还没有到", "still to come"}, "met": {"已满足", "kept"}, "missed": {"没有按时", "missed"},
	}, d.State)
	if d.Moved {
		words += l.T("；最后一天放假，顺延到下一个工作日", "; moved to the next working day")
	}
	if d.HolidaysUnknown {
		words += l.T("；那一年的放假安排还没有公布，日期可能会变", "; the holidays of that year are not announced, and the day may move")
	}
	return words
}

// refusals say why a step of a meeting, of an agreement or of a draw was refused, by
// the problem's code.
var refusals = map[string][2]string{
	"meeting-cancelled":            {"会议已经取消。", "The meeting is cancelled."},
	"voting-over":                  {"投票截止时间已过，不能再取消或延长。", "The deadline has passed: it is too late to cancel or extend."},
	"voting-not-begun":             {"投票还没有开始。", "Voting has not begun."},
	"no-extension":                 {"这次会议适用的规则没有规定可以延长投票。", "The rules of this meeting do not let voting be extended."},
	"extended-already":             {"已经延长过，规则不允许再延长。", "It was extended already, as often as the rules allow."},
	"quorum-reached":               {"参与的人数和面积已经达到要求，投票按公告的时间截止，不能延长。", "Enough have taken part: voting ends as announced."},
	"wrong-extension":              {"新的截止时间要晚于原来的，也不能超过规则允许的最长时间。", "The new deadline must be later, and not later than the rules allow."},
	"result-posted":                {"结果已经公示。要更正，请先撤回并写明原因。", "The result is posted. To correct it, withdraw it first and say why."},
	"result-not-posted":            {"还没有登记张贴结果。", "No result is posted."},
	"result-final":                 {"结果已经终定，不能再改。还有疑问，可以在一年内请求法院撤销。", "The result is final. Who still doubts it asks a court, within a year."},
	"objections-open":              {"还有异议没有答复，请先逐条答复。", "Answer every objection first."},
	"objection-upheld":             {"有异议成立，请先撤回结果，更正以后重新公示。", "An objection was upheld: withdraw the result and post the corrected one."},
	"objections-still-open":        {"提异议的时间还没有过，到期以后才能宣布终定。", "Owners may still object; declare it final after that."},
	"objections-closed":            {"提异议的时间已经过了。", "The time to object is over."},
	"objector-not-on-the-roll":     {"只有这次会议名册上的业主可以提异议。", "Objections are for the owners on the roll of this meeting."},
	"objection-answered":           {"这条异议已经答复过。", "It is answered already."},
	"motion-rests":                 {"有议题所涉的事项，不久以前延长投票以后参与的业主仍然不够，规则规定的时间以内不得再提。是另一个问题的，请写明哪里不同。", "On the matter of a motion too few took part not long ago, although voting was extended: it rests for the time of the rules. If it is another question, say how it differs."},
	"differs-wrong":                {"写明不同之处的，只能是还不得再提的议题。", "Only of a motion that rests it is said how it differs."},
	"result-stands":                {"公示的结果还没有撤回，请先撤回并写明原因。", "The posted result still stands: withdraw it first and say why."},
	"objection-not-upheld":         {"这条异议没有成立。", "This objection was not upheld."},
	"objection-to-an-older-result": {"这条异议针对的是更早撤回的结果，已经处理过。", "This objection was to a result that was withdrawn before."},
	"no-such-ballot":               {"这位业主没有在截止以前交过这张票。", "This owner cast no such ballot in time."},
	"ballot-not-set-aside":         {"这张票没有被剔除过。", "The ballot was not set aside."},
	"earlier-ballot":               {"请看清这位业主还有没有另一张票会因此算数：有的话，写明算不算数；没有的话，选第一项。", "Say what becomes of the other ballot of this owner, where one would count in its place."},
	"result-not-final":             {"结果终定以后才能登记备案。", "A result is filed once it is final."},
	"result-filed":                 {"已经登记过另一个备案号。", "It is on file under another number."},
	"words-wrong":                  {"这段话不能公开：不能为空，不能超过一千字，也不能有电话号码或者证件号码。", "These words cannot be posted: they are missing, too long, or hold a phone or document number."},
	"notice-too-short":             {"公告到开始投票的天数不够。", "There are too few days between the notice and the opening."},
	"wrong-window":                 {"开始时间要早于截止时间。", "Voting opens before it closes."},
	"roll-not-frozen":              {"请先封存名册。", "Freeze the roll first."},
	"roll-empty":                   {"小区还没有登记能投票的房屋。", "No unit of the estate gives a vote."},
	"notice-posted":                {"公告已经张贴，不能再改。", "The notice is posted and changes no more."},
	"voting-still-open":            {"投票还没有截止。", "Voting is still open."},
	"agreement-exists":             {"同一家物业、同一种、同一天开始的合同已经在账本里，条款不一样。", "An agreement of this kind with this provider and start is in the ledger, with other terms."},
	"parties-missing":              {"委托方和物业公司要各写一次，不能重复。", "Principals and provider are named, once each."},
	"term-wrong":                   {"合同要在开始当天或者以后结束。", "The term ends on or after the day it starts."},
	"rates-wrong":                  {"收费标准写得不对。", "The rates are wrong."},
	"services-wrong":               {"服务内容或者可选服务有重复的。", "A service or an option is named twice."},
	"predecessor-wrong":            {"要接替的合同已经不在履行。", "The agreement whose place it would take is not in force."},
	"agreement-not-proposed":       {"合同已经公示过了。", "The agreement is posted already."},
	"agreement-not-posted":         {"合同要先公示，才能签字。", "An agreement is posted before it is signed."},
	"agreement-not-signed":         {"还有一方没有签字，合同不能生效。", "A party has not signed yet."},
	"owners-not-asked":             {"正式合同要业主大会通过选聘、结果终定以后才能生效。", "A formal contract comes into force once the owners' assembly has appointed the provider by it, finally."},
	"agreement-not-active":         {"合同没有在履行，不能登记终止。", "The agreement is not in force."},
	"end-before-start":             {"合同不能在开始以前终止。", "An agreement ends on or after the day it starts."},
	"notice-running":               {"六十日通知期还没有过，合同不能提前终止。", "The provider's 60 days of notice run; it does not end before."},
	"draw-exceeded":                {"业主没有同意付这么多。要多付，先由业主大会决定。", "The owners did not decide on so much; only they can decide on more."},
	"before-the-decision":          {"这一天业主还没有作出决定，不能付款。", "The owners had not decided yet on this day."},
	"number-taken":                 {"这个凭证号已经用过，请换一个。", "Another entry has this number."},
	"period-closed":                {"这个月已经结账，请写还没有结账的日期。", "The month is closed."},
	"in-the-future":                {"日期还没有到。", "The day is still to come."},
	"payment-reversed":             {"这一笔已经冲销过。", "The payment is taken back already."},
	"reversal-too-early":           {"冲销不能早于那笔付款。", "A payment is taken back on its day or later."},
	"voucher-changed":              {"这个凭证号已经登记过，内容不一样。", "An entry with this number is in the ledger, with other content."},
	"meeting-past":                 {"这次会议是从纸质档案补录的，以当时的文件为准。", "This meeting was entered from the papers of the past, which tell the rest."},
	"notice-not-posted":            {"会议公告还没有张贴。", "The notice is not posted yet."},
	"voting-not-closed":            {"投票还没有结束。", "Voting is not closed yet."},
	"paper-entry-open":             {"纸质票还没有录完。请全部录完，再点“纸质票录入完毕”。", "Paper ballots are not all entered: enter them, then declare it complete."},
	"ballots-unopened":             {"凑不齐足够的密钥，这次会议的选票没有打开。", "Too few shares of the key came: the ballots of this meeting stay closed."},
	"window-too-short":             {"投票时间太短，规则要求更长。", "The rules give owners more time to vote."},
	"window-too-long":              {"投票时间太长，规则要求更早截止。", "The rules ask for an earlier close."},
	"rules-changed":                {"表决规则变了，和草案里选的方式不一样。请撤回草案，重新拟定。", "The rules changed, and fix what the draft decides otherwise: withdraw it and draft it anew."},
	"silence-not-in-the-rules":     {"现行规则没有规定不交回的票怎么算，不能写进会议。", "The rules do not say how ballots that are not returned count."},
	"roll-objections-still-open":   {"对名册提异议的时间还没有过，到期以后才能张贴公告。", "Owners may still object to the roll; post the notice after that."},
	"roll-objections-open":         {"名册的异议还没有全部答复，请先逐条答复。", "Answer every objection to the roll first."},
	"roll-objection-upheld":        {"名册的异议有成立的，请更正登记，重新封存名册。", "An objection to the roll was upheld: correct the titles, and freeze it anew."},
	"roll-frozen-anew":             {"名册刚刚重新封存过，请再看一遍。", "The roll was frozen anew just now; look at it again."},
	"objected-already":             {"这套房屋你已经提过异议，会得到答复。", "You have objected about this unit already; it will be answered."},
	"objection-withdrawn":          {"这条异议已经撤回。", "The objection was withdrawn."},
	"delivery-time":                {"送达时间要在公告以后、投票截止以前，也不能晚于现在。", "A notice is delivered after it was posted, before voting closes, and not in the future."},
	"display-days":                 {"张贴的日子要从公告当天或者以后开始，到投票截止以前。", "A notice stands from the day it was posted, or later, until before voting closes."},
	"deliveries-closed":            {"投票已经结束，送达不能再补登。", "Voting is closed: what was not recorded before of how owners were told does not count."},
	"no-silence-rule":              {"这次会议里，不交回的票不算任何一方，不用提醒。", "In this meeting a ballot that is not handed in counts for nobody, so there is nothing to warn of."},
	"no-letters":                   {"这些业主里没有能用投票码投票的。", "Nobody of these can vote by a code."},
	"too-many-letters":             {"信太分散，请一栋一栋地打印。", "These letters are scattered all over the roll; print them building by building."},
	"roll-stands":                  {"公告已经张贴，名册不再改；以后换了业主的房屋，账本自己跟着改。", "The notice is posted, and the roll stands; a unit that changes hands is followed by itself."},
	"display-too-short":            {"张贴的天数不够，规则要求更长。", "The rules ask that a notice stands longer."},
	"no-such-unit":                 {"登记里没有这套房屋，请核对房屋编号。", "There is no such unit: check its code."},
	"no-such-motion":               {"公告上没有这个议题。", "The motion was not on the notice."},
	"envelopes-waiting":            {"还有交来的纸质票没有录入。", "There are envelopes that are not entered."},
}
