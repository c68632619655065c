package web

import (
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
)

// Every public table can be had as a file that opens rightly in a spreadsheet:
// UTF-8 with a mark, amounts in yuan, areas in ㎡, headings in Chinese.

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
	items, answer, err := client.All(q.Context(), q.site.api, q.who, path, ask, limit, key)
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
	return table(w, q, "小区", "/estates", nil, nil, []string{"编号", "小区"},
		func(e client.Named) []string { return []string{e.ID, e.Name} })
}

func (s *site) budgetCSV(w http.ResponseWriter, q *request) error {
	b, err := get[client.Budget](q, q.in("/budget"), filters(q, "year"))
	if err != nil {
		return err
	}
	rows := make([][]string, len(b.Items))
	for i, l := range b.Items {
		rows[i] = []string{strconv.Itoa(b.Year), string(l.From), string(l.To), l.Direction, l.Category, l.Planned.String(), l.Actual.String(), percent(int64(l.Actual), int64(l.Planned))}
	}
	return q.csv(w, "预算-"+strconv.Itoa(b.Year), []string{"年度", "从", "至", "方向", "科目", "预算金额(元)", "实际金额(元)", "执行率(%)"}, rows)
}

func (s *site) collectionCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, "收缴率", q.in("/collection"), nil, nil, []string{"账期", "应收(元)", "实收(元)", "收缴率(%)"},
		func(c client.Collection) []string {
			return []string{string(c.Period), c.Billed.String(), c.Collected.String(), percent(int64(c.Collected), int64(c.Billed))}
		})
}

func (s *site) entriesCSV(w http.ResponseWriter, q *request) error {
	ask := filters(q, "year", "direction", "category")
	return table(w, q, "收支", q.in("/entries"), ask, entryID, []string{"日期", "凭证号", "类型", "方向", "科目", "金额(元)", "摘要", "对方", "附件sha256", "被冲销于", "冲销"},
		func(e client.Entry) []string {
			return []string{string(e.Date), e.Number, e.Kind, e.Direction, e.Category, e.Amount.String(), e.Text, e.Counterparty, e.Attachment, e.ReversedBy, e.Reverses}
		})
}

func (s *site) ordersCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, "工单", q.in("/workorders"), nil, orderID, []string{"工单号", "类别", "事项", "位置", "来源", "状态", "上报时间", "派单时间", "到场时间", "完成时间", "评价(1-5)", "按时"},
		func(o client.WorkOrder) []string {
			onTime, score := "", ""
			if o.Finished != nil {
				onTime = map[bool]string{true: "是", false: "否"}[o.OnTime]
			}
			if o.Score > 0 {
				score = whole(o.Score)
			}
			return []string{o.Number, o.Category, o.Matter, o.Place, o.Source, o.State, instant(o.Reported), instant(o.Dispatched), instant(o.Arrived), instant(o.Finished), score, onTime}
		})
}

func (s *site) meetingsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, "业主大会", q.in("/meetings"), nil, nil, []string{"编号", "会议", "状态", "公告时间", "开始", "截止"},
		func(m client.Meeting) []string {
			return []string{m.ID, m.Title, m.State, instant(m.Notice), instant(m.Opens), instant(m.Closes)}
		})
}

func (s *site) agreementsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, "合同", q.in("/agreements"), nil, nil, []string{"编号", "类型", "委托方", "服务方", "开始", "结束", "收费标准", "服务内容", "可选服务", "状态"},
		func(a client.Agreement) []string {
			rates := make([]string, len(a.Rates))
			for i, r := range a.Rates {
				rates[i] = r.Use + " " + r.Rate.String() + "元/" + r.Per
			}
			return []string{a.ID, a.Kind, strings.Join(a.Principals, "、"), a.Provider, string(a.Starts), string(a.Ends), strings.Join(rates, ";"), strings.Join(a.Services, "、"), strings.Join(a.Options, "、"), a.State}
		})
}

func (s *site) unitsCSV(w http.ResponseWriter, q *request) error {
	type unit struct {
		Code, Building, Stair, Room, Use, Basis, State string
		Area                                           units.CentiM2 `json:"area_centi_m2"`
	}
	return table(w, q, "房屋", q.in("/units"), nil, func(u unit) string { return u.Code }, []string{"房屋编号", "楼栋", "单元", "房号", "用途", "专有部分面积(㎡)", "面积依据", "交付状态"},
		func(u unit) []string {
			return []string{u.Code, u.Building, u.Stair, u.Room, u.Use, u.Area.String(), u.Basis, u.State}
		})
}

func (s *site) resultsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, "表决结果", q.of("/results"), nil, nil, []string{"议题", "标题", "依据", "规则", "范围", "全体人数", "全体面积(㎡)", "参与人数", "参与面积(㎡)", "同意人数", "同意面积(㎡)", "反对人数", "反对面积(㎡)", "弃权人数", "弃权面积(㎡)", "结果"},
		func(r client.Result) []string {
			return []string{r.Motion, r.Title, r.Matter, r.Rule, r.Scope, whole(r.ElectorateHeads), r.ElectorateArea.String(), whole(r.ParticipatingHead), r.ParticipatingArea.String(), whole(r.YesHeads), r.YesArea.String(), whole(r.NoHeads), r.NoArea.String(), whole(r.AbstainHeads), r.AbstainArea.String(), r.Outcome}
		})
}

func (s *site) rejectedCSV(w http.ResponseWriter, q *request) error {
	b, err := get[client.Ballots](q, q.of("/ballots/summary"), nil)
	if err != nil {
		return err
	}
	var rows [][]string
	for reason, n := range b.Reasons {
		rows = append(rows, []string{reason, whole(n)})
	}
	return q.csv(w, "未计入", []string{"原因", "项"}, sorted(rows))
}

func (s *site) ballotsCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, "选票", q.of("/ballots"), nil, nil, []string{"名册序号", "房屋", "面积(㎡)", "渠道", "时间", "选择", "未计入的原因"},
		func(b client.PostedBallot) []string {
			choices, why := make([]string, len(b.Choices)), []string{}
			if b.Reason != "" {
				why = append(why, b.Reason)
			}
			for i, c := range b.Choices {
				choices[i] = c.Motion + " " + c.Choice
				if c.Reason != "" {
					why = append(why, c.Motion+" "+c.Reason)
				}
			}
			return []string{b.Entry, strings.Join(b.Units, "、"), b.Area.String(), b.Channel, instant(b.At), strings.Join(choices, ";"), strings.Join(why, ";")}
		})
}

func (s *site) rollCSV(w http.ResponseWriter, q *request) error {
	return table(w, q, "名册", q.of("/roll"), nil, nil, []string{"名册序号", "房屋", "楼栋", "面积(㎡)"},
		func(e client.RollEntry) []string {
			return []string{e.Entry, strings.Join(e.Units, "、"), strings.Join(e.Buildings, "、"), e.Area.String()}
		})
}
