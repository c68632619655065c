package pages

import (
	"slices"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// PaperModel is the desk at which paper is taken in and entered.
type PaperModel struct {
	Meeting  client.Meeting
	Papers   client.Papers
	Clerk    bool // takes in and enters
	May      bool // voids, as the committee
	Key      string
	Unit     string
	Channel  string
	Problem  *Problem
	Recorded string // "in": an envelope; what became of a reading: waiting, settled, disputed; "void", "complete"
	Differ   string // motions on which readings differ
}

// open says whether envelopes are still taken.
func (m PaperModel) open() bool { return m.Meeting.State == "open" }

// next is the first envelope that the reader may enter.
func (m PaperModel) next() *client.Envelope {
	for i, e := range m.Papers.Items {
		if !e.ByYou {
			return &m.Papers.Items[i]
		}
	}
	return nil
}

// ReadingForm is an envelope's paper as one person reads it.
type ReadingForm struct {
	Meeting  client.Meeting
	Envelope client.Envelope
	Key      string
	Scan     string
	Said     map[string]string // by motion
	Problem  *Problem
}

// motions are those that concern the owner, in the order of the notice.
func (f ReadingForm) motions() []client.Motion {
	return slices.DeleteFunc(slices.Clone(f.Meeting.Motions), func(m client.Motion) bool { return !slices.Contains(f.Envelope.Motions, m.ID) })
}

// sayings are what a paper may say on a motion.
var sayings = []string{votes.Yes, votes.No, votes.Abstain, votes.Void}

// Saying is what a paper says.
func Saying(l Lang, said string) string {
	if said == votes.Void {
		return l.T("废票（空白、涂改、看不清）", "Void (blank, spoilt, unreadable)")
	}
	return Choice(l, said)
}

// ProxyForm is a mandate being granted, or revoked.
type ProxyForm struct {
	Meeting        client.Meeting
	Office         bool // recorded from a written mandate
	Key            string
	Unit           string // of the owner, at the office
	HolderUnit     string
	HolderDocument string
	Document       string
	Said           map[string]string // instructions by motion
	Problem        *Problem
	Done           string // granted or revoked
}

// ProxyBallotForm is the ballot of an owner, cast by the holder of a mandate.
type ProxyBallotForm struct {
	Meeting client.Meeting
	Entry   string
	Units   []string
	Key     string
	Choices map[string]string
	Problem *Problem
}

// paperProblem says in words what went wrong with paper, or with a mandate.
func paperProblem(l Lang, code string) (what, then, do string, ok bool) {
	nothing := l.T("什么都没有记录。", "Nothing was recorded.")
	recorded := l.T("这次申请和原因都记进了账本。", "The wish and the reason are in the ledger.")
	another := l.T("请换一个人委托，或者自己投票。", "Name another person, or vote yourself.")
	words, ok := map[string][3]string{
		string(votes.ProxyCapExceeded): {l.T("受托人接受的委托已到上限，这份委托没有生效。", "The proxy holds as many mandates as one person may; this one is not in force."), recorded, another},
		string(votes.ProxyBarred):      {l.T("物业服务人的工作人员不能接受委托，这份委托没有生效。", "The provider's staff may hold no mandate; this one is not in force."), recorded, another},
		"read-before":                  {l.T("这份票你已经录过。", "You have entered this one."), nothing, l.T("请换另一个人，不看你录的内容，照原件再录。", "Another person must enter it from the original, without seeing what you entered.")},
		"own-paper":                    {l.T("不能录自己的票，也不能录委托你投票的业主的票。", "Nobody enters their own ballot, or one they vote by proxy."), nothing, l.T("请换另一个人录。", "Another person must enter it.")},
		"other-scan":                   {l.T("这不是第一个人看的那份扫描件。", "This is not the scan that the first person had."), nothing, l.T("请核对是不是同一份票。", "See whether it is the same paper.")},
		"scan-missing": {l.T("还没有扫描件的指纹。", "The fingerprint of the scan is missing."), nothing,
			l.T("请先扫描原件，再选择扫描件，或者粘贴它的 SHA-256。", "Scan the paper first, then choose the file or paste its SHA-256.")},
		"ballot-wrong":      {l.T("有议题没有录，或者录错了。", "A motion is missing, or wrong."), l.T("什么都没有记录，票还在等待录入。", "Nothing was recorded; the paper still waits."), l.T("请每个议题都选一项；空白、看不清的选「废票」。", "Choose on every motion; where it is blank or unreadable, choose void.")},
		"no-envelope":       {l.T("这份票已经办结，或者没有登记过。", "This paper is settled, or was never taken in."), nothing, l.T("请回到录入台看最新的情况。", "Go back to the desk and look.")},
		"no-such-entry":     {l.T("名册上没有这套房屋。", "The roll has no such unit."), nothing, l.T("请核对房屋编号。", "Check the unit's code.")},
		"envelopes-waiting": {l.T("还有票没有录完，或者录得不一致。", "Some papers are not entered, or their readings differ."), nothing, l.T("请先录完。", "Enter them first.")},
		"not-disputed":      {l.T("三个人录得都不一样，业委会才能决定按废票处理。", "The committee may void a paper only after three persons read it differently."), nothing, l.T("请再换一个人录。", "Let another person enter it.")},
		"minutes-missing":   {l.T("还没有会议记录的指纹。", "The fingerprint of the minutes is missing."), nothing, l.T("请选择会议记录的扫描件，或者粘贴它的 SHA-256。", "Choose the scan of the minutes, or paste its SHA-256.")},
		"ballot-partial": {l.T("有议题没有选。", "A motion is left out."), l.T("一张票要对涉及你的每个议题都表态，什么都没有记录。", "One ballot answers every motion that concerns you; nothing was recorded."),
			l.T("请把没有选的议题选上；不赞成也不反对，可以选弃权。", "Choose on each; where you neither agree nor object, abstain.")},
		"against-instructions": {l.T("和委托书上写的不一样，没有收下。", "This differs from the mandate; it was not taken."), nothing, l.T("请照委托书逐项填写。", "Fill it in item by item as the mandate says.")},
		"instructions-wrong":   {l.T("委托书要对每个议题写明怎么投。", "A mandate says how to vote on every motion."), nothing, l.T("请把没有选的议题选上。", "Choose on each motion that is left out.")},
		"no-mandate":           {l.T("没有这样的委托，或者已经撤回。", "There is no such mandate, or it was revoked."), nothing, l.T("请和委托人核对。", "Ask the owner.")},
		"proxy-granted":        {l.T("已经委托了别人。", "Another person holds a mandate already."), nothing, l.T("要换人，请先撤回。", "Revoke it first.")},
		"proxy-closed":         {l.T("公告以后、截止以前，才能委托或者撤回。", "Mandates are granted and revoked between the notice and the close."), nothing, l.T("请看会议页面上的时间。", "See the dates on the meeting's page.")},
		"own-proxy":            {l.T("投自己的票不用委托。", "Your own ballot needs no mandate."), nothing, l.T("请填另一个人。", "Name another person.")},
		"voted-in-person":      {l.T("业主已经自己投了票。", "The owner has voted."), nothing, l.T("不需要再委托。", "There is nothing left to vote by proxy.")},
		"document-missing":     {l.T("还没有书面委托的指纹。", "The fingerprint of the writing is missing."), nothing, l.T("请选择扫描件，或者粘贴它的 SHA-256。", "Choose the scan, or paste its SHA-256.")},
		"no-such-person":       {l.T("找不到这个受托人。", "The proxy is not known."), nothing, l.T("请核对房屋编号或者证件号。", "Check the unit or the document.")},
	}[code]
	return words[0], words[1], words[2], ok
}

// MandateState is what became of a mandate.
func MandateState(l Lang, state string) string {
	return lookup(l, map[string][2]string{
		"granted": {"有效", "in force"}, "revoked": {"已撤回", "revoked"}, "refused": {"没有登记", "not recorded"},
	}, state)
}

func moment(t time.Time) string { return At(&t) }
