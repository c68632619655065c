package pages

import (
	"strings"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// What the ledger says in codes and legal terms, in words a neighbour would use.

func lookup(l Lang, words map[string][2]string, code string) string {
	w, ok := words[code]
	if !ok {
		return code
	}
	return l.T(w[0], w[1])
}

// Reason says why a ballot, or one choice of it, does not count.
func Reason(l Lang, code string) string {
	return lookup(l, map[string][2]string{
		string(votes.NoSuchMotion):           {"没有这个议题", "no such motion"},
		string(votes.VotingNotOpen):          {"投票还没有开始", "voting had not begun"},
		string(votes.VotingIsClosed):         {"截止之后才交", "came after the deadline"},
		string(votes.NotOnTheRoll):           {"不在业主名册上", "not on the roll"},
		string(votes.NotTheRepresentative):   {"不是这套房推选的投票人", "not the one who votes for the unit"},
		string(votes.SellerVoted):            {"房屋转让以前，卖方已经投票，那张票有效", "whoever sold the unit had voted before, and that vote stands"},
		string(votes.NotInScope):             {"议题不涉及这位业主的房屋", "the motion does not concern the owner's unit"},
		string(votes.AlreadyVoted):           {"之前已投过，先投的算数", "had voted before; the first ballot stands"},
		string(votes.Superseded):             {"后来改投了，后投的算数", "voted again; the last ballot stands"},
		string(votes.ElectronicBallotStands): {"已有电子票，电子票算数", "an electronic ballot stands"},
		string(votes.PaperBallotStands):      {"已有纸质票，纸质票算数", "a paper ballot stands"},
		string(votes.SetAside):               {"异议成立，这张票已经剔除", "set aside, for an objection was upheld"},
		string(votes.NoSuchChoice):           {"没有这个选项", "no such choice"},
		string(votes.TooManyApproved):        {"赞成的候选人超过了一张票可以赞成的人数", "approves more candidates than one ballot may"},
		string(votes.ProxyCapExceeded):       {"受托人接受的委托已到上限", "the proxy holds as many mandates as one person may"},
		string(votes.ProxyBarred):            {"物业服务人的工作人员不能接受委托", "the provider's staff may hold no mandate"},
		string(votes.AgainstInstructions):    {"受托人交来的票和业主的委托指示不一致", "a proxy's paper says otherwise than the owner instructed"},
		string(votes.OwnBallotStands):        {"业主亲自投了票，委托不再有效", "the owner voted in person, which revokes the mandate"},
	}, code)
}

// Choice is a choice on a motion.
func Choice(l Lang, choice string) string {
	return lookup(l, map[string][2]string{
		votes.Yes: {"赞成", "For"}, votes.No: {"反对", "Against"}, votes.Abstain: {"弃权", "Abstain"},
	}, choice)
}

// Outcome is what became of a motion.
func Outcome(l Lang, outcome string) string {
	return lookup(l, map[string][2]string{
		votes.Adopted:    {"通过", "Adopted"},
		votes.NotAdopted: {"未通过", "Not adopted"},
		votes.NoDecision: {"未形成有效决定", "No valid decision"},
	}, outcome)
}

func outcomeClass(outcome string) string {
	switch outcome {
	case votes.Adopted:
		return "stamp yes"
	case votes.NotAdopted:
		return "stamp no"
	}
	return "stamp void"
}

// outcomeMeans says what a stamp stands for.
func outcomeMeans(l Lang, outcome string) string {
	return lookup(l, map[string][2]string{
		votes.Adopted:    {"参与和同意都达到了法律要求，决定有效。", "Enough took part and enough agreed: the decision is valid."},
		votes.NotAdopted: {"参与人数和面积够了，但同意的没有达到要求。没有通过，不等于作出了相反的决定。", "Enough took part, but too few agreed. Not adopting a motion does not decide the opposite."},
		votes.NoDecision: {"参与的人数或面积不到三分之二，这次表决不产生决定。", "Fewer than two thirds took part, by heads or by area: this vote decides nothing."},
	}, outcome)
}

// MeetingState is where a meeting stands.
func MeetingState(l Lang, state string) string {
	return lookup(l, map[string][2]string{
		"draft": {"筹备中", "in preparation"}, "drafted": {"筹备中", "in preparation"},
		"frozen": {"名册已封存", "roll frozen"}, "roll-frozen": {"名册已封存", "roll frozen"},
		"noticed": {"已公告，尚未开始", "announced"}, "notice-posted": {"已公告，尚未开始", "announced"}, "announced": {"已公告，尚未开始", "announced"},
		"open": {"正在投票", "voting is open"}, "closing": {"已截止，等待计票", "closed, being counted"}, "counting": {"已截止，等待计票", "closed, being counted"},
		"closed": {"已结束", "closed"}, "counted": {"已结束", "closed"},
		"posted": {"结果公示中，可以提异议", "result posted; owners may object"}, "final": {"结果已终定", "result final"}, "filed": {"结果已备案", "result on file"},
		"withdrawn": {"已撤回", "withdrawn"}, "cancelled": {"已取消", "cancelled"},
	}, state)
}

// MeetingKind says which kind of meeting it is.
func MeetingKind(l Lang, kind string) string {
	return lookup(l, map[string][2]string{
		votes.Regular: {"定期会议", "regular meeting"}, votes.Special: {"临时会议", "special meeting"}, votes.First: {"首次会议", "first meeting"},
	}, kind)
}

// Convener says who calls a meeting.
func Convener(l Lang, who string) string {
	return lookup(l, map[string][2]string{
		votes.OfCommittee: {votes.OfCommittee, "the owners' committee"}, votes.OfManagement: {votes.OfManagement, "the property management committee"},
		votes.OfPreparation: {votes.OfPreparation, "the preparatory group of the first meeting"}, votes.OfResidents: {votes.OfResidents, "the residents' committee"},
		votes.OfStreet: {votes.OfStreet, "the street office"}, votes.OfTownship: {votes.OfTownship, "the township government"},
	}, who)
}

// Called says which kind of meeting it is, who calls it, and that owners asked for
// it; "" where nothing of that was said.
func Called(l Lang, kind, convener string, asked bool) string {
	var said []string
	if kind != "" {
		said = append(said, MeetingKind(l, kind))
	}
	if convener != "" {
		said = append(said, l.T(convener+"召集", "called by "+Convener(l, convener)))
	}
	if asked {
		said = append(said, l.T("百分之二十以上的业主提议召开", "asked for by owners of 20 % or more"))
	}
	return strings.Join(said, l.T("，", ", "))
}

// OrderState is where a work order stands.
func OrderState(l Lang, state string) string {
	return lookup(l, map[string][2]string{
		"reported": {"已上报", "reported"}, "dispatched": {"已派单", "dispatched"}, "arrived": {"已到场", "crew arrived"},
		"finished": {"已完成", "finished"}, "rated": {"已评价", "rated"}, "reopened": {"重新打开", "reopened"}, "overdue": {"已超时", "overdue"},
	}, strings.TrimSuffix(strings.TrimPrefix(state, "work-order-"), ".v1"))
}

// AgreementState is where an agreement stands.
func AgreementState(l Lang, state string) string {
	return lookup(l, map[string][2]string{
		"proposed": {"拟订", "proposed"}, "posted": {"公示中", "posted"}, "signed": {"已签署", "signed"}, "active": {"履行中", "in force"}, "ended": {"已终止", "ended"},
	}, state)
}

// Role of a person.
func Role(l Lang, role string) string {
	return lookup(l, map[string][2]string{
		"owner": {"业主", "owner"}, "resident": {"住户", "resident"}, "committee": {"业委会", "owners' committee"}, "clerk": {"经办人", "clerk"}, "provider": {"物业公司", "provider"},
		"principal": {"委托方", "principal"}, "regulator": {"监管人员", "regulator"}, "administrator": {"系统管理员", "administrator"},
	}, role)
}

// PolicyWords says how a meeting treats what the law leaves open.
func PolicyWords(l Lang, policy string) string {
	return lookup(l, map[string][2]string{
		votes.FirstBallotStands: {"同一渠道重复投票，先投的算数", "within one channel the first ballot stands"},
		votes.LastBallotStands:  {"同一渠道重复投票，后投的算数", "within one channel the last ballot stands"},
		votes.ElectronicStands:  {"电子票和纸质票都投了，电子票算数", "of an electronic and a paper ballot the electronic one stands"},
		votes.PaperStands:       {"电子票和纸质票都投了，纸质票算数", "of an electronic and a paper ballot the paper one stands"},
		votes.FirstStands:       {"电子票和纸质票都投了，先交的算数", "of an electronic and a paper ballot the first stands"},
		votes.UnreturnedNone:    {"没有交回的票不计入任何一方", "ballots not returned count for nobody"},

		votes.UnreturnedTakesPart:    {"选票送达并提醒过、又没有交回的，按议事规则算参与，不算同意也不算反对", "who was delivered a ballot and warned, and did not return it, counts as taking part, by the owners' rules"},
		votes.UnreturnedWithMajority: {"选票送达并提醒过、又没有交回的，按议事规则计入多数一方", "who was delivered a ballot and warned, and did not return it, counts with the majority, by the owners' rules"},
	}, policy)
}

// CandidateStatus is what became of a candidate.
func CandidateStatus(l Lang, status string) string {
	return lookup(l, map[string][2]string{
		votes.Elected: {"当选", "elected"}, votes.Substitute: {"候补", "substitute"}, votes.NotElected: {"未当选", "not elected"},
		votes.Tied: {"票数相同，待业主再投", "tied; to be voted on again"},
	}, status)
}

// Scope is whom a motion concerns.
func Scope(l Lang, scope string) string {
	kind, which, _ := strings.Cut(scope, ":")
	switch kind {
	case "estate", "":
		return l.T("全体业主", "all owners")
	case "building":
		return l.T("只涉及 "+which+" 栋的业主", "owners in building "+which+" only")
	case "stair":
		at := max(0, strings.LastIndex(which, "-"))
		building, stair := which[:at], strings.TrimPrefix(which[at:], "-")
		return l.T("只涉及 "+building+" 栋 "+stair+" 单元的业主", "owners of stair "+stair+" in building "+building+" only")
	}
	return l.T("只涉及列明的业主", "listed owners only")
}

// Matter is the item of the law a motion falls under: 民法典278-1-4.
func Matter(l Lang, matter string) string {
	digits, ok := strings.CutPrefix(matter, "民法典278-1-")
	items := map[string]string{"1": "一", "2": "二", "3": "三", "4": "四", "5": "五", "6": "六", "7": "七", "8": "八", "9": "九"}
	item, known := items[digits]
	if !ok || !known {
		return matter
	}
	return l.T("民法典第二百七十八条第一款第（"+item+"）项", "Civil Code art. 278 para. 1 item "+digits)
}

// EventWords says what kind of event the ledger has; one that is not known here
// is named as it is.
func EventWords(l Lang, event string) string {
	return lookup(l, map[string][2]string{
		"estate-founded.v1":            {"小区建立", "an estate founded"},
		"estate-set.v1":                {"小区设置", "settings of an estate"},
		"unit-registered.v1":           {"房屋登记", "a unit registered"},
		"unit-corrected.v1":            {"房屋登记的更正", "a correction of a unit"},
		"titles-stated.v1":             {"产权登记", "titles stated"},
		"titles-corrected.v1":          {"产权登记的更正", "a correction of titles"},
		"person-registered.v1":         {"人员登记（只有编号）", "a person registered, by id alone"},
		"personal-data-corrected.v1":   {"个人信息的更正", "a correction of personal data"},
		"personal-data-read.v1":        {"有人查看了个人信息", "personal data read by someone"},
		"login-code-made.v1":           {"开出登录码", "a login code made"},
		"correction-requested.v1":      {"更正个人信息的申请", "a request to correct personal data"},
		"person-erased.v1":             {"个人信息的注销", "the erasure of a person's data"},
		"role-granted.v1":              {"授予职责", "a role granted"},
		"role-revoked.v1":              {"收回职责", "a role revoked"},
		"token-issued.v1":              {"发出凭据", "a token issued"},
		"token-revoked.v1":             {"作废凭据", "a token revoked"},
		"agreement-proposed.v1":        {"合同草案", "an agreement proposed"},
		"agreement-posted.v1":          {"合同公示", "an agreement posted"},
		"agreement-signed.v1":          {"合同签字", "an agreement signed"},
		"agreement-activated.v1":       {"合同生效", "an agreement in force"},
		"agreement-ended.v1":           {"合同终止", "an agreement ended"},
		"contract-authorised.v1":       {"业主决定选聘，正式合同可以生效", "owners let the formal contract come into force"},
		"provider-dismissed.v1":        {"业主决定解聘，六十日通知期开始", "owners dismissed the provider: 60 days of notice"},
		"option-chosen.v1":             {"选用可选服务", "an option chosen"},
		"option-dropped.v1":            {"停用可选服务", "an option dropped"},
		"limits-set.v1":                {"处理时限", "time limits set"},
		"work-order-reported.v1":       {"报事报修", "a work order reported"},
		"work-order-dispatched.v1":     {"派单", "a crew sent"},
		"work-order-arrived.v1":        {"到场", "the crew there"},
		"work-order-finished.v1":       {"完成处理", "the work done"},
		"work-order-rated.v1":          {"对工单的评价", "the rating of a work order"},
		"work-order-reopened.v1":       {"工单重新打开", "a work order opened again"},
		"work-order-overdue.v1":        {"超过时限", "a limit passed"},
		"words-read.v1":                {"有人查看了报修人的原话", "the reporter's own words read by someone"},
		"budget-posted.v1":             {"预算公布", "a budget posted"},
		"budget-revised.v1":            {"预算调整", "a budget revised"},
		"opening-balance-stated.v1":    {"期初余额", "an opening balance"},
		"voucher-posted.v1":            {"凭证", "a voucher"},
		"voucher-reversed.v1":          {"凭证冲销", "the reversal of a voucher"},
		"payment-received.v1":          {"收款", "a payment received"},
		"payment-attributed.v1":        {"查明了一笔暂收", "a payment attributed"},
		"payment-refunded.v1":          {"退款", "a payment refunded"},
		"collection-posted.v1":         {"当日收款合计", "the payments of a day in total"},
		"bills-raised.v1":              {"开出账单", "bills raised"},
		"period-closed.v1":             {"账期关闭", "a month closed"},
		"budget-line-decided.v1":       {"业主决定了一项预算", "owners set a line of the budget"},
		"draw-opened.v1":               {"业主决定使用维修资金", "owners let maintenance funds be used"},
		"draw-paid.v1":                 {"从维修资金付款", "a payment out of the maintenance fund"},
		"draw-reversed.v1":             {"冲销维修资金付款", "a payment out of the maintenance fund taken back"},
		"meeting-drafted.v1":           {"会议草案", "a meeting drafted"},
		"roll-frozen.v1":               {"封存名册", "the roll frozen"},
		"roll-objected.v1":             {"业主对名册提出异议", "an owner objects to the roll"},
		"roll-objection-read.v1":       {"有人查看了对名册异议的原话", "the words of an objection to the roll read by someone"},
		"roll-objection-answered.v1":   {"对名册异议的答复", "the answer to an objection to the roll"},
		"roll-objection-withdrawn.v1":  {"撤回对名册的异议", "an objection to the roll withdrawn"},
		"roll-amended.v1":              {"名册上的房屋换了表决人", "a unit of the roll changed hands"},
		"notice-posted.v1":             {"会议公告", "the notice posted"},
		"paper-handed-in.v1":           {"交来的纸质票，还没有拆封", "a paper ballot handed in, not opened yet"},
		"ballot-cast.v1":               {"收下的票", "a ballot, taken"},
		"ballot-refused.v1":            {"没有计入的票，和原因", "the refusal of a ballot, with its reason"},
		"paper-entry-completed.v1":     {"纸质票录入完毕", "all paper ballots entered"},
		"voting-closed.v1":             {"投票截止", "voting closed"},
		"key-released.v1":              {"公开选票的密钥", "the ballots' key released"},
		"trustees-named.v1":            {"指定开票密钥的保管人", "trustees of the ballots' key named"},
		"share-taken.v1":               {"保管人领取了一份密钥", "a trustee took their share of the key"},
		"shares-awaited.v1":            {"等待保管人交出密钥", "shares of the key awaited"},
		"share-given.v1":               {"保管人交出了一份密钥", "a trustee gave their share of the key"},
		"ballots-unopened.v1":          {"密钥份数不足，选票没有开启", "too few shares: the ballots stay sealed"},
		"rules-adopted.v1":             {"采用表决规则", "the estate's rules for deciding adopted"},
		"meeting-cancelled.v1":         {"会议取消", "the meeting cancelled"},
		"voting-extended.v1":           {"延长投票", "voting extended"},
		"result-posted.v1":             {"张贴结果", "the result posted"},
		"result-withdrawn.v1":          {"撤回结果，和原因", "the result withdrawn, and why"},
		"ballot-set-aside.v1":          {"依成立的异议剔除一张票，和原因", "a ballot set aside for an upheld objection, and why"},
		"ballot-restored.v1":           {"恢复一张剔除的票，和原因", "a ballot restored that was set aside, and why"},
		"result-objected.v1":           {"业主对结果提出异议", "an owner objects to the result"},
		"objection-read.v1":            {"有人查看了异议的原话", "the words of an objection read by someone"},
		"result-objection-answered.v1": {"对异议的答复", "the answer to an objection"},
		"result-final.v1":              {"结果终定", "the result final"},
		"result-filed.v1":              {"结果备案", "the result on file"},
		"decision-effective.v1":        {"决定生效", "a decision taking effect"},
		"deadline-missed.v1":           {"期限已过，该做的还没有做", "a deadline missed"},
		"notice-delivered.v1":          {"公告送到了一户", "the notice, delivered to an owner"},
		"delivery-failed.v1":           {"公告没有送到，和原因", "the notice, not delivered, and why"},
		"notice-displayed.v1":          {"公告张贴", "the notice put up"},
		"ballot-codes-issued.v1":       {"印发投票码（不含码）", "voting codes issued, without the codes"},
		"commit-refused.v1":            {"不能接受的提交", "a commit that could not be taken"},
		"reaction-refused.v1":          {"自动处理被规则拒绝", "a reaction refused by a rule"},
		"log-key-rotated.v1":           {"更换日志的签名密钥", "another key for the log"},
		"paper-entered.v1":             {"一个人录入的纸质票，内容封存", "a paper ballot as one person entered it, sealed"},
		"paper-disputed.v1":            {"几个人录入的不一致", "readings of a paper that differ"},
		"paper-voided.v1":              {"业委会决定按废票处理", "a paper voided by decision of the committee"},
		"proxy-granted.v1":             {"委托他人投票", "a mandate granted"},
		"proxy-revoked.v1":             {"撤回委托", "a mandate revoked"},
		"mandate-taken.v1":             {"受托人接受的一份委托", "a mandate counted for its holder"},
		"mandate-returned.v1":          {"受托人退回的一份委托", "a mandate counted no longer"},
		"proxy-refused.v1":             {"没有登记的委托，和原因", "a mandate refused, with its reason"},
	}, event)
}

// Direction of money.
func Direction(l Lang, direction string) string {
	return lookup(l, map[string][2]string{finance.Income: {"收入", "income"}, finance.Expenditure: {"支出", "expenditure"}}, direction)
}

// EntryKind is what an entry of the accounts is.
func EntryKind(l Lang, kind string) string {
	return lookup(l, map[string][2]string{
		client.KindVoucher: {"凭证", "voucher"}, client.KindReversal: {"冲销", "reversal"}, client.KindCollection: {"当日收款合计", "payments of a day"},
		client.KindOpening: {"期初余额", "opening balance"}, client.KindSuspense: {"暂收待查", "in suspense"},
	}, kind)
}

// Rule is the short name of what a motion must reach.
func Rule(l Lang, rule string) string {
	return lookup(l, map[string][2]string{"ordinary": {"一般事项（过半数）", "ordinary (more than half)"}, "special": {"特别事项（四分之三）", "special (three quarters)"}}, rule)
}

// Channel a ballot came by.
func Channel(l Lang, channel string) string {
	return lookup(l, map[string][2]string{votes.Electronic: {"电子票", "electronic"}, votes.Paper: {"纸质票", "paper"}, votes.InMeeting: {"会上举手", "show of hands"}}, channel)
}

// Rating of 1 to 5, in words.
func Rating(l Lang, score int64) string {
	if score < 1 || score > 5 {
		return "—"
	}
	return []string{l.T("1 很不满意", "1 very poor"), l.T("2 不满意", "2 poor"), l.T("3 一般", "3 fair"), l.T("4 满意", "4 good"), l.T("5 很满意", "5 very good")}[score-1]
}
