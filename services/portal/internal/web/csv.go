package web

import (
	"cmp"
	"encoding/csv"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// Every public table can be had as a file that opens rightly in a spreadsheet:
// UTF-8 with a mark, amounts in yuan, areas in ㎡, headings and codes in words of
// the reader's language. What the ledger says in Chinese stays as it is.

// headings are the columns of a file, as pairs in both languages.
func (q *request) headings(pairs ...[2]string) []string {
	list := make([]string, len(pairs))
	for i, p := range pairs {
		list[i] = q.view.T(p[0], p[1])
	}
	return list
}

var number = regexp.MustCompile(`^[-+]?\d+(\.\d+)?$`)

// cell keeps a spreadsheet from taking text for a formula. A plain number is
// none, whatever its sign.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) && !number.MatchString(s) {
		return "'" + s
	}
	return s
}

func (q *request) csv(w http.ResponseWriter, name string, heading []string, rows [][]string) error {
	if q.view.At != 0 {
		name += q.view.T("-位置", "-position-") + client.Number(q.view.At)
	}
	h := w.Header()
	h.Set("Content-Type", "text/csv; charset=utf-8")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name + ".csv"}))
	if q.view.High > 0 {
		h.Set("Yimu-Position", client.Number(q.view.Low)) // what the file at least includes
	}
	_, _ = w.Write([]byte("\xef\xbb\xbf"))
	out := csv.NewWriter(w)
	out.UseCRLF = true
	_ = out.Write(heading)
	for _, row := range rows {
		for i := range row {
			row[i] = cell(row[i])
		}
		_ = out.Write(row)
	}
	out.Flush() // an error is the reader going away
	return nil
}

// table reads a whole list and writes one row for each item.
func table[T any](w http.ResponseWriter, q *request, name, path string, ask url.Values, key func(T) string, heading []string, row func(T) []string) error {
	limit := 0
	if key != nil {
		limit = 1000 // the most that a page of the API holds
	}
	items, answer, err := client.All(q.Context(), q.site.api, q.who, path, q.then(ask), limit, key)
	if err != nil {
		return err
	}
	q.note(answer)
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = row(item)
	}
	return q.csv(w, name, heading, rows)
}

func (q *request) in(rest string) string {
	return "/estates/" + client.Segment(q.PathValue("estate")) + rest
}

func (q *request) of(rest string) string {
	return "/meetings/" + client.Segment(q.PathValue("meeting")) + rest
}

func instant(t *time.Time) string {
	if t == nil || t.IsZero() {
		return ""
	}
	return t.In(units.Shanghai).Format("2006-01-02 15:04:05")
}

func entryID(e client.Entry) string { return e.ID }

func orderID(o client.WorkOrder) string { return o.ID }

func whole(n int64) string { return strconv.FormatInt(n, 10) }

func percent(part, all int64) string {
	if all == 0 {
		return ""
	}
	tenths := units.PermilleHalfUp(part, all)
	return whole(tenths/10) + "." + whole(tenths%10)
}

func (s *site) estatesCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("小区", "estates"), "/estates", nil, nil, q.headings([2]string{"编号", "Id"}, [2]string{"小区", "Estate"}),
		func(e client.Named) []string { return []string{e.ID, e.Name} })
}

func (s *site) budgetCSV(w http.ResponseWriter, q *request) error {
	b, err := get[client.Budget](q, q.in("/budget"), filters(q, "year"))
	if err != nil {
		return err
	}
	rows := make([][]string, len(b.Items))
	for i, l := range b.Items {
		rows[i] = []string{strconv.Itoa(b.Year), string(l.From), string(l.To), pages.Direction(q.view.Lang, l.Direction), l.Category, l.Planned.String(), l.Actual.String(), percent(int64(l.Actual), int64(l.Planned))}
	}
	return q.csv(w, q.view.T("预算-", "budget-")+strconv.Itoa(b.Year), q.headings([2]string{"年度", "Year"}, [2]string{"从", "From"}, [2]string{"至", "To"}, [2]string{"方向", "Direction"}, [2]string{"科目", "Category"}, [2]string{"预算金额(元)", "Planned (yuan)"}, [2]string{"实际金额(元)", "Actual (yuan)"}, [2]string{"执行率(%)", "Actual of planned (%)"}), rows)
}

func (s *site) collectionCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("收缴率", "collection"), q.in("/collection"), nil, nil, q.headings([2]string{"账期", "Month"}, [2]string{"应收(元)", "Billed (yuan)"}, [2]string{"实收(元)", "Collected (yuan)"}, [2]string{"收缴率(%)", "Collected (%)"}),
		func(c client.Collection) []string {
			return []string{string(c.Period), c.Billed.String(), c.Collected.String(), percent(int64(c.Collected), int64(c.Billed))}
		})
}

func (s *site) entriesCSV(w http.ResponseWriter, q *request) error {
	ask := filters(q, "year", "direction", "category")
	return table(w, q, q.view.T("收支", "entries"), q.in("/entries"), ask, entryID, q.headings([2]string{"日期", "Date"}, [2]string{"凭证号", "Voucher"}, [2]string{"类型", "Kind"}, [2]string{"方向", "Direction"}, [2]string{"科目", "Category"}, [2]string{"金额(元)", "Amount (yuan)"}, [2]string{"摘要", "Text"}, [2]string{"对方", "Counterparty"}, [2]string{"附件sha256", "Attachment sha256"}, [2]string{"被冲销于", "Reversed by"}, [2]string{"冲销", "Reverses"}),
		func(e client.Entry) []string {
			return []string{string(e.Date), e.Number, pages.EntryKind(q.view.Lang, e.Kind), pages.Direction(q.view.Lang, e.Direction), e.Category, e.Amount.String(), e.Text, e.Counterparty, e.Attachment, e.ReversedBy, e.Reverses}
		})
}

func (s *site) ordersCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("工单", "work orders"), q.in("/workorders"), nil, orderID, q.headings([2]string{"工单号", "Number"}, [2]string{"类别", "Category"}, [2]string{"事项", "Matter"}, [2]string{"位置", "Place"}, [2]string{"来源", "Source"}, [2]string{"状态", "State"}, [2]string{"上报时间", "Reported"}, [2]string{"派单时间", "Dispatched"}, [2]string{"到场时间", "Arrived"}, [2]string{"完成时间", "Finished"}, [2]string{"评价(1-5)", "Rating (1-5)"}, [2]string{"按时", "On time"}),
		func(o client.WorkOrder) []string {
			onTime, score := "", ""
			if o.Finished != nil {
				onTime = map[bool]string{true: q.view.T("是", "yes"), false: q.view.T("否", "no")}[o.OnTime]
			}
			if o.Score > 0 {
				score = whole(o.Score)
			}
			return []string{o.Number, o.Category, o.Matter, o.Place, o.Source, pages.OrderState(q.view.Lang, o.State), instant(o.Reported), instant(o.Dispatched), instant(o.Arrived), instant(o.Finished), score, onTime}
		})
}

func (s *site) meetingsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("业主大会", "meetings"), q.in("/meetings"), nil, nil, q.headings([2]string{"编号", "Id"}, [2]string{"会议", "Meeting"}, [2]string{"状态", "State"}, [2]string{"公告时间", "Notice"}, [2]string{"开始", "Begins"}, [2]string{"截止", "Closes"}),
		func(m client.Meeting) []string {
			return []string{m.ID, m.Title, pages.MeetingState(q.view.Lang, m.State), instant(m.Notice), instant(m.Opens), instant(m.Closes)}
		})
}

func (s *site) agreementsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("合同", "agreements"), q.in("/agreements"), nil, nil, q.headings([2]string{"编号", "Id"}, [2]string{"类型", "Kind"}, [2]string{"委托方", "Principals"}, [2]string{"服务方", "Provider"}, [2]string{"开始", "Begins"}, [2]string{"结束", "Ends"}, [2]string{"收费标准", "Rates"}, [2]string{"服务内容", "Services"}, [2]string{"可选服务", "Optional services"}, [2]string{"状态", "State"}),
		func(a client.Agreement) []string {
			rates := make([]string, len(a.Rates))
			for i, r := range a.Rates {
				rates[i] = r.Use + " " + r.Rate.String() + "元/" + r.Per
			}
			return []string{a.ID, a.Kind, strings.Join(a.Principals, "、"), a.Provider, string(a.Starts), string(a.Ends), strings.Join(rates, ";"), strings.Join(a.Services, "、"), strings.Join(a.Options, "、"), pages.AgreementState(q.view.Lang, a.State)}
		})
}

func (s *site) unitsCSV(w http.ResponseWriter, q *request) error {
	type unit struct {
		Code, Building, Stair, Room, Use, Basis, State string
		Area                                           units.CentiM2 `json:"area_centi_m2"`
	}
	return table(w, q, q.view.T("房屋", "units"), q.in("/units"), nil, func(u unit) string { return u.Code }, q.headings([2]string{"房屋编号", "Unit"}, [2]string{"楼栋", "Building"}, [2]string{"单元", "Stair"}, [2]string{"房号", "Room"}, [2]string{"用途", "Use"}, [2]string{"专有部分面积(㎡)", "Area (㎡)"}, [2]string{"面积依据", "Basis of the area"}, [2]string{"交付状态", "Handover"}),
		func(u unit) []string {
			return []string{u.Code, u.Building, u.Stair, u.Room, u.Use, u.Area.String(), u.Basis, u.State}
		})
}

func (s *site) resultsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("表决结果", "results"), q.of("/results"), nil, nil, q.headings([2]string{"议题", "Motion"}, [2]string{"标题", "Title"}, [2]string{"依据", "Law"}, [2]string{"规则", "Rule"}, [2]string{"范围", "Scope"}, [2]string{"全体人数", "All, heads"}, [2]string{"全体面积(㎡)", "All, area (㎡)"}, [2]string{"参与人数", "Took part, heads"}, [2]string{"参与面积(㎡)", "Took part, area (㎡)"}, [2]string{"同意人数", "For, heads"}, [2]string{"同意面积(㎡)", "For, area (㎡)"}, [2]string{"反对人数", "Against, heads"}, [2]string{"反对面积(㎡)", "Against, area (㎡)"}, [2]string{"弃权人数", "Abstained, heads"}, [2]string{"弃权面积(㎡)", "Abstained, area (㎡)"}, [2]string{"结果", "Outcome"},
		[2]string{"参与人数占全体(%)", "Took part of all, heads (%)"}, [2]string{"参与面积占全体(%)", "Took part of all, area (%)"}, [2]string{"同意人数占参与(%)", "For of those taking part, heads (%)"}, [2]string{"同意面积占参与(%)", "For of those taking part, area (%)"}, [2]string{"反对人数占参与(%)", "Against, heads (%)"}, [2]string{"反对面积占参与(%)", "Against, area (%)"}, [2]string{"弃权人数占参与(%)", "Abstained, heads (%)"}, [2]string{"弃权面积占参与(%)", "Abstained, area (%)"}, [2]string{"规则的文字", "Rule in words"}, [2]string{"算式", "Arithmetic"}),
		func(r client.Result) []string {
			return []string{r.Motion, r.Title, pages.Matter(q.view.Lang, r.Matter), pages.Rule(q.view.Lang, r.Rule), pages.Scope(q.view.Lang, r.Scope), whole(r.ElectorateHeads), r.ElectorateArea.String(), whole(r.ParticipatingHead), r.ParticipatingArea.String(), whole(r.YesHeads), r.YesArea.String(), whole(r.NoHeads), r.NoArea.String(), whole(r.AbstainHeads), r.AbstainArea.String(), pages.Outcome(q.view.Lang, r.Outcome),
				percent(r.ParticipatingHead, r.ElectorateHeads), percent(int64(r.ParticipatingArea), int64(r.ElectorateArea)), percent(r.YesHeads, r.ParticipatingHead), percent(int64(r.YesArea), int64(r.ParticipatingArea)),
				percent(r.NoHeads, r.ParticipatingHead), percent(int64(r.NoArea), int64(r.ParticipatingArea)), percent(r.AbstainHeads, r.ParticipatingHead), percent(int64(r.AbstainArea), int64(r.ParticipatingArea)),
				q.view.T(r.Words.ZH, r.Words.EN), pages.Arithmetic(q.view.Lang, r)}
		})
}

func (s *site) objectionsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("异议", "objections"), q.of("/objections"), nil, nil, q.headings([2]string{"名册序号", "Roll entry"}, [2]string{"第几次公示", "Posting"}, [2]string{"议题", "Motion"}, [2]string{"提出时间", "Raised"}, [2]string{"答复时间", "Answered"}, [2]string{"是否成立", "Upheld"}, [2]string{"答复", "Answer"}),
		func(o client.Objection) []string {
			return []string{o.Entry, strconv.Itoa(o.Posting), o.Motion, instant(o.At), instant(o.Answered), pages.ObjectionState(q.view.Lang, o), o.Answer}
		})
}

func (s *site) rejectedCSV(w http.ResponseWriter, q *request) error {
	b, err := get[client.Ballots](q, q.of("/ballots/summary"), nil)
	if err != nil {
		return err
	}
	var rows [][]string
	for reason, n := range b.Reasons {
		rows = append(rows, []string{pages.Reason(q.view.Lang, reason), whole(n)})
	}
	return q.csv(w, q.view.T("未计入", "refused"), q.headings([2]string{"原因", "Reason"}, [2]string{"项", "Choices"}), sorted(rows))
}

func (s *site) ballotsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, q.view.T("选票", "ballots"), q.of("/ballots"), nil, nil, q.headings([2]string{"名册序号", "Roll entry"}, [2]string{"房屋", "Units"}, [2]string{"面积(㎡)", "Area (㎡)"}, [2]string{"渠道", "Channel"}, [2]string{"时间", "Time"}, [2]string{"选择", "Choices"}, [2]string{"未计入的原因", "Why not counted"}),
		func(b client.PostedBallot) []string {
			l := q.view.Lang
			choices, why, area := make([]string, len(b.Choices)), []string{}, ""
			if b.Entry != "" { // one that is not on the roll has none
				area = b.Area.String()
			}
			if b.Reason != "" {
				why = append(why, pages.Reason(l, b.Reason))
			}
			for i, c := range b.Choices {
				choices[i] = strings.TrimSpace(c.Motion + " " + pages.Choice(l, c.Choice))
				if c.Reason != "" && b.Reason == "" { // else it is said of the whole
					why = append(why, c.Motion+" "+pages.Reason(l, c.Reason))
				}
			}
			return []string{b.Entry, strings.Join(b.Units, "、"), area, pages.Channel(l, b.Channel), instant(b.At), strings.Join(choices, ";"), strings.Join(why, ";")}
		})
}

// rollCSV has a row for each unit, so that each has its area and what that rests on.
func (s *site) rollCSV(w http.ResponseWriter, q *request) error {
	items, answer, err := client.All[client.RollEntry](q.Context(), q.site.api, q.who, q.of("/roll"), q.then(nil), 0, nil)
	if err != nil {
		return err
	}
	q.note(answer)
	var rows [][]string
	for _, e := range items {
		for i, code := range e.Units {
			var u client.RollUnit
			area := ""
			if i < len(e.ByUnit) { // a roll that was frozen without has one area for all
				u = e.ByUnit[i]
				area = u.Area.String()
			}
			rows = append(rows, []string{e.Entry, code, cmp.Or(u.Building, strings.Join(e.Buildings, "、")), u.Stair, area, u.Basis, e.Area.String()})
		}
	}
	return q.csv(w, q.view.T("名册", "roll"), q.headings([2]string{"名册序号", "Roll entry"}, [2]string{"房屋", "Unit"}, [2]string{"楼栋", "Building"}, [2]string{"单元", "Stair"},
		[2]string{"面积(㎡)", "Area (㎡)"}, [2]string{"面积依据", "Basis of the area"}, [2]string{"本序号合计(㎡)", "Area of the entry (㎡)"}), rows)
}
