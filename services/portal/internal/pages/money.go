package pages

import (
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// EstateModel is what the page of one estate shows. A part that could not be
// read is nil, and its name is in Missing.
type EstateModel struct {
	Estate     client.Estate
	Agreement  *client.Agreement
	Budget     *client.Budget
	Collection []client.Collection
	Orders     *client.WorkOrders
	Meetings   []client.Meeting
	Missing    []string
}

// Planned and actual of one direction.
func (m EstateModel) lines(direction string) []client.BudgetLine {
	var lines []client.BudgetLine
	if m.Budget != nil {
		for _, line := range m.Budget.Items {
			if line.Direction == direction {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

func (m EstateModel) plannedExpenditure() units.Fen {
	var sum units.Fen
	for _, line := range m.lines(finance.Expenditure) {
		sum += line.Planned
	}
	return sum
}

// span is the months the budget covers: 2022-07 to 2022-12.
func (m EstateModel) span(l Lang) string {
	if m.Budget == nil || len(m.Budget.Items) == 0 {
		return ""
	}
	from, to := m.Budget.Items[0].From, m.Budget.Items[0].To
	for _, line := range m.Budget.Items {
		from, to = min(from, line.From), max(to, line.To)
	}
	if from == "" || to == "" {
		return strconv.Itoa(m.Budget.Year)
	}
	return l.T(string(from)+" 至 "+string(to), string(from)+" to "+string(to))
}

func (m EstateModel) latest() (client.Collection, bool) {
	for i := len(m.Collection) - 1; i >= 0; i-- {
		if m.Collection[i].Billed > 0 {
			return m.Collection[i], true
		}
	}
	return client.Collection{}, false
}

// balanceWords says the sum behind the balance, and a shortfall in words.
func (m EstateModel) balanceWords(l Lang) string {
	b := m.Budget
	s := l.T("收入 "+Short(l, b.Income)+" − 支出 "+Short(l, b.Expenditure), "income "+Short(l, b.Income)+" − expenditure "+Short(l, b.Expenditure))
	if b.Opening != 0 {
		s = l.T("期初 ", "opening ") + Short(l, b.Opening) + " + " + s
	}
	return s
}

// bullet is plan against actual on a line of 1000.
type bullet struct{ Actual, Plan int64 }

// bullets draws lines on one scale, so that their lengths compare.
func bullets(lines []client.BudgetLine) []bullet {
	var longest units.Fen
	for _, line := range lines {
		longest = max(longest, line.Planned, line.Actual)
	}
	drawn := make([]bullet, len(lines))
	for i, line := range lines {
		drawn[i] = bullet{along(int64(line.Actual), int64(longest), 1000), along(int64(line.Planned), int64(longest), 1000)}
	}
	return drawn
}

func over(line client.BudgetLine) bool {
	return line.Direction == finance.Expenditure && line.Actual > line.Planned
}

// lineWords is what stands under a line's amount.
func lineWords(l Lang, line client.BudgetLine) string {
	if line.Planned == 0 {
		return l.T("没有列入预算", "not in the budget")
	}
	return l.T("预算 ", "budget ") + Yuan(line.Planned) + " · " + Share(int64(line.Actual), int64(line.Planned))
}

func entriesOf(estate string, year int, direction, category string) string {
	return query(path("estates", estate, "entries"), "year", strconv.Itoa(year), "direction", direction, "category", category)
}

// column of the collection chart, in a picture of 560 × 210.
type column struct{ X, Width, Middle, Y, Height, Rate, Month string }

func columns(l Lang, items []client.Collection) []column {
	const top, tall = 36, 140
	n := int64(max(len(items), 1))
	step := 560 / n
	wide := step * 7 / 10
	drawn := make([]column, len(items))
	for i, c := range items {
		height := along(int64(c.Collected), int64(c.Billed), tall)
		x := int64(i)*step + (step-wide)/2
		drawn[i] = column{
			X: str(x), Width: str(wide), Middle: str(x + wide/2), Y: str(top + tall - height), Height: str(height),
			Rate: Share(int64(c.Collected), int64(c.Billed)), Month: MonthName(l, c.Period),
		}
	}
	return drawn
}

func columnsLabel(l Lang, items []client.Collection) string {
	if len(items) == 0 {
		return ""
	}
	first, last := items[0], items[len(items)-1]
	return l.T("按月收缴率，从 ", "collection rate by month, from ") + Share(int64(first.Collected), int64(first.Billed)) + l.T(" 到 ", " to ") + Share(int64(last.Collected), int64(last.Billed))
}

// EntriesModel is the entries behind one line.
type EntriesModel struct {
	Estate              client.Named
	Year                string
	Direction, Category string
	Items               []client.Entry
	More                string // address of the rest
}

// words says what the list is: a year, a direction, or everything.
func (m EntriesModel) words(l Lang) string {
	s := l.T("每一笔都在这里，冲销的也不删除。金额单位：元", "Every entry is here, reversed ones too. Amounts in yuan")
	if m.Direction != "" {
		s = Direction(l, m.Direction) + l.T("。", ". ") + s
	}
	if m.Year != "" {
		s = m.Year + l.T(" 年", " ") + s
	}
	return s
}

func (m EntriesModel) total() units.Fen {
	var sum units.Fen
	for _, e := range m.Items {
		if e.Refused == "" {
			sum += e.Amount
		}
	}
	return sum
}

func entryText(l Lang, e client.Entry) string {
	switch e.Kind {
	case client.KindCollection:
		if e.Text == "" {
			return l.T("当天收到的物业费合计", "all fees received that day")
		}
	case client.KindSuspense:
		if e.Text == "" {
			return l.T("暂收待查", "held in suspense")
		}
	case client.KindOpening:
		if e.Text == "" {
			return l.T("期初余额", "opening balance")
		}
	case client.KindReversal:
		if e.Text == "" {
			return l.T("冲销 ", "reverses ") + e.Reverses
		}
	}
	return e.Text
}

// agreementWords is who entrusted whom, until when, as a sentence.
func agreementWords(a client.Agreement) string {
	s := strings.Join(a.Principals, "、") + "委托" + a.Provider + "，" + string(a.Starts) + " 至 " + string(a.Ends) + "。"
	if a.Change != "" {
		s += a.Change + "。"
	}
	return s
}
