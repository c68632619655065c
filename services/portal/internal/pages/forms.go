package pages

import (
	"cmp"
	"errors"
	"net/http"
	"slices"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// Problem is an error in plain words: what happened, what it means for the
// reader, and what to do.
type Problem struct {
	Status         int
	Code           string
	What, Then, Do string
	Fields         []problem.Field
	Again          bool // trying again in a moment may help by itself
}

// Explain puts an error into words. What it does not know is an error of ours.
func Explain(l Lang, err error) Problem {
	var p *problem.Error
	if !errors.As(err, &p) {
		p = problem.Internal
	}
	out := Problem{Status: p.Status, Code: p.Code, Fields: p.Fields}
	say := func(what, then, do string) { out.What, out.Then, out.Do = what, then, do }
	if what, then, do, ok := paperProblem(l, p.Code); ok {
		say(what, then, do)
		return out
	}
	if reason := Reason(l, p.Code); reason != p.Code && p.Status == http.StatusConflict {
		say(l.T("这张票没有计入：", "This ballot does not count: ")+reason+l.T("。", "."),
			l.T("这次提交和没有计入的原因都记进了账本，谁都可以查到。", "The ballot and the reason are in the ledger, for everyone to read."),
			l.T("如果你认为原因不对，请联系业委会或者居委会，请他们查看名册和公告。", "If you think the reason is wrong, ask the owners' committee to look at the roll and the notice."))
		return out
	}
	if why, known := refusals[p.Code]; known {
		say(l.T(why[0], why[1]), l.T("什么都没有记录。", "Nothing was recorded."), l.T("请看过最新的情况再试。", "Look at how it stands now, and try again."))
		if p.Status == http.StatusUnprocessableEntity {
			out.Do = l.T("你填的内容还在，请改好再提交一次。", "What you filled in is still here: correct it and send it again.")
		}
		return out
	}
	switch p.Code {
	case "key-reused":
		say(l.T("这张表格已经提交过一次，内容和这次不一样。", "This form was sent before with other content."),
			l.T("第一次提交的有效，这次没有记录。", "The first one stands; this one was not recorded."),
			l.T("请先看一看第一次提交的结果；要再交一份，请重新打开表格。", "Look at what became of the first; to send another, open the form anew."))
		return out
	case "cross-origin":
		say(l.T("这张表格是从别的网站发来的，没有接受。", "This form was sent from another site; it was not accepted."),
			l.T("什么都没有记录。", "Nothing was recorded."),
			l.T("如果这真是你要做的，请在本站打开这一页，再填一次。", "If you meant to do this, open the page on this site and fill it in there."))
		return out
	case "not-caught-up":
		out.Again = true
		say(l.T("刚写入的内容还没有汇总到这一页。", "What was just written has not reached this page yet."),
			l.T("你的提交没有丢，页面正在追上账本。", "Nothing is lost; the page is catching up with the ledger."),
			l.T("这一页过几秒会自己再试。", "This page tries again by itself in a few seconds."))
		return out
	case "no-such-day":
		say(l.T("这一天看不了。", "That day cannot be shown."),
			l.T("那一天账本还没有记录，或者写的不是日期。", "The ledger had no records then, or it is no day."),
			l.T("请返回上一页，换一天再看。", "Go back and choose another day."))
		return out
	case "no-such-moment":
		say(l.T("那个时候看不了。", "That moment cannot be shown."),
			l.T("那时账本里还没有这些内容，或者账本还没有记到那里。", "The ledger had nothing of this then, or has not got that far yet."),
			l.T("请返回上一页，换一个时间再看。", "Go back and choose another moment."))
		return out
	case "share-wrong", "ending-wrong":
		say(l.T("和你保管的一份对不上。", "This is not the share you hold."),
			l.T("可能抄错了一个字母，也可能是别人的或者别的会议的一份。什么都没有记录。", "A letter may be wrong, or it may be another's, or another meeting's. Nothing was recorded."),
			l.T("请对着纸逐组核对，再输入一次。", "Compare it with your paper, group by group, and type it again."))
		return out
	case "trustees-wrong", "no-such-person":
		say(l.T("密钥不能这样分。", "The key cannot be dealt like this."),
			l.T("至少两个人、各持一份；凑齐的份数至少两份，而且任何一方都不能单独凑齐；每个编号都要是登记过的人。", "Two people at least, a share each; at least two shares open the ballots, and no party may hold so many; each number is of somebody who is registered."),
			l.T("请改好标出的地方，再提交一次。", "Correct what is marked and send it again."))
		return out
	case "not-a-trustee":
		say(l.T("你没有被指定为这次会议的密钥保管人。", "You are no trustee of this meeting's key."),
			l.T("这一页只有保管人自己能看到。", "Only a trustee sees this page."),
			l.T("如果你认为应该是你，请联系业委会或者街道。", "If it should be you, ask the committee or the street office."))
		return out
	case "shares-not-taken":
		say(l.T("还有保管人没有领走密钥，公告不能发。", "A trustee has not taken their share; the notice cannot be posted."),
			l.T("在全部领走以前，密钥还在本站，选票就不算由各方共同保管。", "Until all are taken the site has the key, and the ballots are not in several hands."),
			l.T("请通知保管人登录以后领取，再发公告。", "Ask the trustees to log in and take theirs, then post the notice."))
		return out
	case "not-counted-yet":
		say(l.T("表决还没有结束，结果还没有公布。", "Voting is not over; no result is posted yet."),
			l.T("计票以前不公布任何人的选择，也没有中间结果。", "Until the count no choice is shown, and no partial result."),
			l.T("截止并计票以后，结果会在会议页面公布。", "The result appears on the meeting's page once it is counted."))
		return out
	}
	switch p.Status {
	case http.StatusNotFound:
		say(l.T("没有找到这一页。", "There is no such page."),
			l.T("地址可能抄错了，或者账本里没有这条内容。", "The address may be mistyped, or the ledger has nothing of that name."),
			l.T("请从首页找到你的小区。", "Find your estate on the first page."))
	case http.StatusUnauthorized:
		say(l.T("这一步需要先登录。", "This needs you to log in."),
			l.T("公开的账目不用登录就能看；自己的账单、投票和报修需要登录。", "Public accounts need no login; your own bills, ballots and reports do."),
			l.T("请用居委会或物业给你的一次性登录码登录。", "Log in with the one-time code that the office gave you."))
	case http.StatusForbidden:
		say(l.T("你没有做这件事的权限。", "You may not do this."),
			l.T("什么都没有记录。", "Nothing was recorded."),
			l.T("如果这应该是你的工作，请联系本站的运营方。", "If this is your task, ask the operator of this site."))
	case http.StatusConflict:
		say(l.T("这件事和账本里现在的情况对不上，没有记录。", "This does not fit what the ledger says now; it was not recorded."),
			l.T("可能别人刚刚改动过同一件事。", "Someone may just have changed the same thing."),
			l.T("请返回上一页重新打开，看过最新的情况再试。", "Go back, open it anew, look, and try again."))
	case http.StatusUnprocessableEntity, http.StatusBadRequest:
		say(l.T("表格里有些内容不对，没有提交。", "Something in the form is not right; it was not sent."),
			l.T("你填的内容还在，什么都没有记录。", "What you filled in is still here; nothing was recorded."),
			l.T("请改好标出的地方，再提交一次。", "Correct what is marked and send it again."))
	case http.StatusRequestEntityTooLarge:
		say(l.T("提交的内容太大了。", "That is too large."), l.T("什么都没有记录。", "Nothing was recorded."), l.T("请缩短以后再提交。", "Shorten it and send it again."))
	case http.StatusTooManyRequests:
		say(l.T("请求太频繁了。", "Too many requests."),
			l.T("为了不影响别人使用，这里暂时不再回答。", "So that others are not held up, answers pause for a moment."),
			l.T("请等一分钟再试。", "Please wait a minute and try again."))
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		out.Status, out.Again = http.StatusServiceUnavailable, true
		say(l.T("服务暂时连不上。", "The service cannot be reached for the moment."),
			l.T("已经记入账本的内容不会丢。", "Nothing that was recorded is lost."),
			l.T("请过一会儿再试；刚才如果在提交表格，用同一张表格再提交一次是安全的，不会重复记录。", "Try again shortly. If you were sending a form, sending the same form again is safe: it is recorded once."))
	default:
		out.Status = http.StatusInternalServerError
		say(l.T("我们这边出了错。", "Something went wrong on our side."),
			l.T("不是你的问题。已经记入账本的内容不会丢。", "It is not your fault. Nothing that was recorded is lost."),
			l.T("请过一会儿再试；一直不行，请联系本站的运营方。", "Try again later; if it stays so, tell the operator of this site."))
	}
	return out
}

// wrongWords say in Chinese what is wrong with a field: by its name and code where
// that says more, else by the code.
var wrongWords = map[string]string{
	"missing":           "这一项不能为空",
	"too-long":          "太长了，请写短一些",
	"too-short":         "太短了，请写全",
	"duplicate":         "写重了，请只写一次",
	"unknown":           "登记里没有这一项，请核对",
	"personal":          "里面有电话或者证件号码。这段话任何人都能看到，请删去",
	"not-a-day":         "请写日期，例如 2022-07-21",
	"no-such-day":       "那一天账本还没有记录，或者不是日期",
	"not-an-id":         "请写账本里的编号",
	"not-a-time":        "这不是一个时间，请重新选",
	"not-a-number":      "请写大于零的整数",
	"not-a-rate":        "请写价格，最多四位小数，例如 0.90",
	"not-an-amount":     "请写大于零的金额，最多两位小数，例如 80.91",
	"not-recorded-yet":  "账本还没有到这个位置",
	"from_day too-late": "请选今天以前的一天",
	"before-the-first":  "不能早于开始的那一天",
}

// wrongInWords says what is wrong with a field. English is what the API speaks.
func wrongInWords(l Lang, f problem.Field) string {
	if l == English {
		return f.Detail
	}
	return cmp.Or(wrongWords[f.Name+" "+f.Code], wrongWords[f.Code], "这一项不对，请照提示改正")
}

// field says what is wrong with a field; "" where nothing is.
func (p *Problem) field(l Lang, name string) string {
	if p == nil {
		return ""
	}
	for _, f := range p.Fields {
		if f.Name == name {
			return wrongInWords(l, f)
		}
	}
	return ""
}

func invalid(p *Problem, name string) string {
	if p.field(English, name) != "" {
		return "true"
	}
	return "false"
}

// ReportForm is a fault being reported.
type ReportForm struct {
	Estate                         client.Named
	Key                            string
	Limits                         []client.Limit
	Category, Matter, Place, Words string
	Problem                        *Problem
}

// OrdersModel is the work orders of an estate.
type OrdersModel struct {
	Estate  client.Named
	Summary *client.WorkOrders
	Items   []client.WorkOrder
	State   string
	More    string
	Report  *ReportForm // for who is logged in
}

// OrderModel is one work order.
type OrderModel struct {
	Estate  client.Named
	Order   client.WorkOrder
	Key     string
	Problem *Problem
}

// PaymentForm is a payment being recorded by a clerk.
type PaymentForm struct {
	Estate                                             client.Named
	Key                                                string
	Received, Reference, Unit, Period, Amount, Channel string
	Problem                                            *Problem
	Done                                               bool
}

// LoginForm is a code being typed in.
type LoginForm struct {
	Next    string
	Problem *Problem
}

// MeModel is what a person sees of their own.
type MeModel struct {
	Me       client.Me
	Bills    []client.Bill
	Payments []client.Payment
	Arrears  []client.Arrears
	Ballots  []client.OwnBallot
	Proxies  []client.OwnProxy
	Orders   []client.WorkOrder
	Meetings []client.Meeting // of the reader's estates, from the roll to the end of voting
	Missing  []string
	Key      string
	Words    string
	Problem  *Problem
	Sent     bool
}

// tasks are the roles that ask something of a person; living or owning does not.
func (m MeModel) tasks() []client.Role {
	return slices.DeleteFunc(slices.Clone(m.Me.Roles), func(r client.Role) bool { return r.Role == "resident" || r.Role == "owner" })
}

// cast counts the ballots that were taken, whole or in part; one that was
// refused is none. A paper is recorded row by row: what came to a meeting by one
// channel at one instant is one ballot.
func (m MeModel) cast() int {
	type ballot struct {
		meeting, channel string
		at               int64
	}
	taken := map[ballot]bool{}
	for _, b := range m.Ballots {
		if b.Reason == "" {
			one := ballot{b.Meeting, b.Channel, 0}
			if b.At != nil {
				one.at = b.At.Unix()
			}
			taken[one] = true
		}
	}
	return len(taken)
}

func (m MeModel) data() client.PersonalData {
	if m.Me.Person == nil {
		return client.PersonalData{}
	}
	return *m.Me.Person
}

func (m MeModel) owed() units.Fen {
	var sum units.Fen
	for _, a := range m.Arrears {
		sum += a.Owed
	}
	return sum
}

// ExploreModel is the payments of an estate by day.
type ExploreModel struct {
	Estate client.Named
	Days   []client.Entry
}

// WaitModel is a command whose outcome is not known yet.
type WaitModel struct {
	Tries int
	Next  string
	Again string // where the form is
}

// masked hides the middle of a document's number: whoever looks over a shoulder
// need not read it.
func masked(document string) string {
	r := []rune(document)
	for i := 3; i < len(r)-4; i++ {
		r[i] = '*'
	}
	return string(r)
}

// receipt is the address of the receipt of an event.
func receipt(stream string, revision uint64) string {
	return "/receipts" + path(stream, client.Number(revision))
}
