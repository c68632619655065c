package pages

import (
	"slices"
	"strconv"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// State is an estate's public figures at one position. A part that there was not,
// or that could not be read, is nil.
type State struct {
	Estate     *client.Estate
	Electorate *client.Electorate
	Budget     *client.Budget
	Collection []client.Collection
	Orders     *client.WorkOrders
	Agreements []client.Agreement
	Meetings   []MeetingThen
	Missing    []string // services that did not answer
}

// MeetingThen is a meeting with its results, where they were posted.
type MeetingThen struct {
	client.Meeting
	Results []client.Result
}

// CompareModel is the figures of one estate at two positions.
type CompareModel struct {
	Estate        client.Named
	From, To      uint64 // 0: now
	FromDay       string // as they were typed
	ToDay         string
	Year          string
	Problem       *Problem
	Before, After *State // nil while nothing is compared
}

// Figure is one figure at both positions, and what changed.
type Figure struct {
	Name, Before, After, Change string
	Same                        bool
}

// FigureGroup is the figures of one part.
type FigureGroup struct {
	Title   string
	Figures []Figure
}

// split is the figures that changed, and those that did not.
func (g FigureGroup) split() (changed, same []Figure) {
	for _, f := range g.Figures {
		if f.Same {
			same = append(same, f)
		} else {
			changed = append(changed, f)
		}
	}
	return changed, same
}

// missing are the services that either state lacks.
func (m CompareModel) missing() []string {
	return slices.Concat(m.Before.Missing, m.After.Missing)
}

// sides collects figures by name, in the order in which they are met.
type sides struct {
	l     Lang
	names []string
	found map[string]*[2]side
}

// side is a figure at one position; words stand where it is no number.
type side struct {
	there  bool
	number int64
	write  func(int64) string
	words  string
}

func (s *sides) put(i int, name string, is side) {
	if s.found[name] == nil {
		s.found[name] = &[2]side{}
		s.names = append(s.names, name)
	}
	is.there = true
	s.found[name][i] = is
}

func (s *sides) count(i int, name string, n int64) {
	s.put(i, name, side{number: n, write: Count})
}

func (s *sides) yuan(i int, name string, f units.Fen) {
	s.put(i, name, side{number: int64(f), write: func(n int64) string { return Yuan(units.Fen(n)) }})
}

func (s *sides) square(i int, name string, a units.CentiM2) {
	s.put(i, name, side{number: int64(a), write: func(n int64) string { return Square(units.CentiM2(n)) }})
}

func (s *sides) text(i int, name, words string) { s.put(i, name, side{words: words}) }

func (s side) String() string {
	switch {
	case !s.there:
		return "—"
	case s.write != nil:
		return s.write(s.number)
	}
	return s.words
}

func (s *sides) figures() []Figure {
	list := make([]Figure, len(s.names))
	for i, name := range s.names {
		before, after := s.found[name][0], s.found[name][1]
		f := Figure{Name: name, Before: before.String(), After: after.String()}
		switch {
		case !before.there:
			f.Change = s.l.T("新有的", "new")
		case !after.there:
			f.Change = s.l.T("没有了", "gone")
		case after.write == nil:
			if f.Same = before.words == after.words; !f.Same {
				f.Change = s.l.T("变了", "changed")
			}
		default:
			f.Change = after.write(after.number - before.number)
			if after.number > before.number {
				f.Change = "+" + f.Change
			}
			f.Same = after.number == before.number
		}
		list[i] = f
	}
	return list
}

// groups holds every figure of both states side by side.
func (m CompareModel) groups(l Lang) []FigureGroup {
	var all []FigureGroup
	group := func(title string, put func(s *sides, i int, state *State)) {
		s := &sides{l: l, found: map[string]*[2]side{}}
		for i, state := range []*State{m.Before, m.After} {
			put(s, i, state)
		}
		if len(s.names) > 0 {
			all = append(all, FigureGroup{title, s.figures()})
		}
	}
	year := ""
	for _, state := range []*State{m.After, m.Before} {
		if year == "" && state.Budget != nil {
			year = strconv.Itoa(state.Budget.Year)
		}
	}
	group(l.T("收入和支出（元）· ", "Income and expenditure (yuan) · ")+year, func(s *sides, i int, state *State) {
		b := state.Budget
		if b == nil {
			return
		}
		s.yuan(i, l.T("结余", "balance"), b.Balance)
		s.yuan(i, l.T("期初余额", "opening balance"), b.Opening)
		s.yuan(i, l.T("收入合计", "income"), b.Income)
		s.yuan(i, l.T("支出合计", "expenditure"), b.Expenditure)
		s.yuan(i, l.T("暂收待查", "held in suspense"), b.Suspense)
		for _, direction := range []string{finance.Expenditure, finance.Income} {
			for _, line := range b.Items {
				if line.Direction == direction {
					name := Direction(l, direction) + " · " + line.Category
					s.yuan(i, name+l.T(" · 实际", " · actual"), line.Actual)
					s.yuan(i, name+l.T(" · 预算", " · planned"), line.Planned)
				}
			}
		}
	})
	group(l.T("物业费收缴（元）", "Fees (yuan)"), func(s *sides, i int, state *State) {
		for _, c := range state.Collection {
			s.yuan(i, string(c.Period)+l.T(" · 应收", " · billed"), c.Billed)
			s.yuan(i, string(c.Period)+l.T(" · 实收", " · collected"), c.Collected)
		}
	})
	group(l.T("报事报修", "Work orders"), func(s *sides, i int, state *State) {
		o := state.Orders
		if o == nil {
			return
		}
		s.count(i, l.T("上报", "reported"), o.Total)
		s.count(i, l.T("已派单", "dispatched"), o.Responded)
		s.count(i, l.T("已完成", "finished"), o.Completed)
		s.count(i, l.T("按时完成", "finished in time"), o.OnTime)
		s.count(i, l.T("已评价", "rated"), o.Rated)
		s.count(i, l.T("评价满意", "rated 4 or 5"), o.Satisfied)
		s.count(i, l.T("传感器报警", "raised by a sensor"), o.Sensor)
		s.count(i, l.T("报警后按时到场", "and the crew there in time"), o.SensorWithin)
	})
	group(l.T("业主大会", "Owners' meetings"), func(s *sides, i int, state *State) {
		for _, meeting := range state.Meetings {
			s.text(i, meeting.Title+l.T(" · 状态", " · state"), MeetingState(l, meeting.State))
			s.count(i, meeting.Title+l.T(" · 参与人数", " · heads that took part"), meeting.Turnout.Heads)
			s.square(i, meeting.Title+l.T(" · 参与面积（㎡）", " · area that took part (㎡)"), meeting.Turnout.Area)
			for _, r := range meeting.Results {
				name := meeting.Title + " · " + r.Motion
				s.text(i, name+l.T(" · 结果", " · outcome"), Outcome(l, r.Outcome))
				s.count(i, name+l.T(" · 同意人数", " · heads for"), r.YesHeads)
				s.square(i, name+l.T(" · 同意面积（㎡）", " · area for (㎡)"), r.YesArea)
				s.count(i, name+l.T(" · 反对人数", " · heads against"), r.NoHeads)
				s.square(i, name+l.T(" · 反对面积（㎡）", " · area against (㎡)"), r.NoArea)
			}
		}
	})
	group(l.T("合同", "Agreements"), func(s *sides, i int, state *State) {
		for _, a := range state.Agreements {
			name := a.Kind + " " + string(a.Starts)
			s.text(i, name+l.T(" · 状态", " · state"), AgreementState(l, a.State))
			s.text(i, name+l.T(" · 到期", " · ends"), string(a.Ends))
		}
	})
	group(l.T("小区概况", "The estate"), func(s *sides, i int, state *State) {
		if e := state.Estate; e != nil {
			s.text(i, l.T("名称", "name"), e.Name)
			s.count(i, l.T("房屋与车位", "units"), e.Units)
			s.count(i, l.T("住宅", "homes"), e.Homes)
			s.count(i, l.T("商铺", "shops"), e.Shops)
			s.count(i, l.T("车位", "parking"), e.Parking)
			s.count(i, l.T("业主", "owners"), e.People)
			s.count(i, l.T("产权登记", "titles"), e.Titles)
		}
		if e := state.Electorate; e != nil {
			s.count(i, l.T("有表决权的人数", "heads that may vote"), e.Heads)
			s.square(i, l.T("有表决权的面积（㎡）", "area that may vote (㎡)"), e.Area)
		}
	})
	return all
}

// changes is how many figures changed, of how many.
func changes(groups []FigureGroup) (changed, all int) {
	for _, g := range groups {
		c, _ := g.split()
		changed, all = changed+len(c), all+len(g.Figures)
	}
	return changed, all
}

// positionWords names a side of the comparison.
func positionWords(l Lang, at uint64) string {
	if at == 0 {
		return l.T("现在", "now")
	}
	return l.T("位置 ", "position ") + grouped(strconv.FormatUint(at, 10))
}

// typed is a position in a field; empty for now.
func typed(at uint64) string {
	if at == 0 {
		return ""
	}
	return strconv.FormatUint(at, 10)
}
