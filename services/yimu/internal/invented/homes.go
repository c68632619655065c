package invented

import (
	"errors"
	"fmt"
	"slices"
)

// A building has two stairs, a stair thirty floors, a floor four homes.
const (
	stairs   = 2
	floors   = 30
	onAFloor = 4
	building = stairs * floors * onAFloor // homes
)

// Uses and states as the unit list says them.
const (
	home      = "住宅"
	shop      = "商铺"
	parking   = "车位"
	delivered = "已交付"
	sold      = "已售未交付"
	unsold    = "未售"
)

// The developer, who votes for all that was not handed over as one head.
const (
	developerName = "示例置业有限公司"
	developer     = "91000000TEST000000"
	companyCode   = "统一社会信用代码"
	identityCard  = "身份证"
)

type unit struct {
	code     string
	building int // 0: in none
	use      string
	area     int64 // hundredths of m²
	state    string
	voter    string // document
}

// counts says whether a unit gives a head and area; parking does not here.
func (u unit) counts() bool { return u.use != parking }

// head is one who votes, with all units that count.
type head struct {
	document string
	units    []int // of the estate
	area     int64
}

// scoped is the building that the second motion of each meeting is about.
func (w *writing) scoped() int { return (w.Homes/building + 1) / 2 }

// units writes the unit list.
func (w *writing) units() error {
	t, err := w.table("房屋清册.csv", "房屋编号", "楼栋", "单元", "房号", "用途", "专有部分面积(㎡)", "面积依据", "交付状态")
	if err != nil {
		return err
	}
	add := func(u unit, stair, room string) {
		place := ""
		if u.building > 0 {
			place = fmt.Sprint(u.building)
		}
		basis := "登记"
		switch w.rand.IntN(50) {
		case 0:
			basis = "合同"
		case 1, 2, 3:
			basis = "实测"
		}
		t.row(u.code, place, stair, room, u.use, hundredths(u.area), basis, u.state)
		w.estate = append(w.estate, u)
	}
	var layouts [onAFloor]int64
	for i := range w.Homes {
		at, in := i/building+1, i%building
		if in == 0 { // a building's floors are alike
			for l := range layouts {
				layouts[l] = 5500 + w.rand.Int64N(9000)
			}
		}
		stair, room := fmt.Sprint(in/(floors*onAFloor)+1), fmt.Sprintf("%d%02d", in/onAFloor%floors+1, in%onAFloor+1)
		u := unit{code: fmt.Sprintf("%d-%s-%s", at, stair, room), building: at, use: home, area: layouts[in%onAFloor], state: delivered}
		if w.oneIn(8) {
			u.area += w.rand.Int64N(200) - 100
		}
		switch w.rand.IntN(100) {
		case 0:
			u.state = unsold
		case 1:
			u.state = sold
		}
		add(u, stair, room)
	}
	w.figures.Homes, w.figures.Shops, w.figures.Parking = w.Homes, w.Homes/500, w.Homes/10
	for i := range w.figures.Shops {
		add(unit{code: fmt.Sprintf("S-%d", i+1), use: shop, area: 3000 + w.rand.Int64N(6000), state: delivered}, "", fmt.Sprintf("S%d", i+1))
	}
	for i := range w.figures.Parking {
		u := unit{code: fmt.Sprintf("P-%d", i+1), use: parking, area: 1250, state: delivered}
		if w.oneIn(20) {
			u.state = unsold
		}
		add(u, "", fmt.Sprintf("P%d", i+1))
	}
	w.figures.Units = len(w.estate)
	return t.close()
}

// person invents one more.
func (w *writing) person() string {
	w.people++
	return document(w.people)
}

func document(number int) string { return fmt.Sprintf("X%017d", number) }

// owners writes the title list: who owns alone, whose homes two share, who has
// several, what the developer still holds.
func (w *writing) owners() error {
	t, err := w.table("业主名册.csv", "房屋编号", "业主姓名", "证件类型", "证件号", "手机", "份额", "表决代表")
	if err != nil {
		return err
	}
	title := func(u unit, who, share, votes string) {
		switch who[0] {
		case 'X':
			number := who[len(who)-8:]
			t.row(u.code, "示例"+number, identityCard, who, "000"+number, share, votes)
		default:
			name := developerName
			if who != developer {
				name = "示例商贸有限公司" + who[len(who)-6:]
			}
			t.row(u.code, name, companyCode, who, "", share, votes)
		}
		w.figures.Titles++
	}
	shared, err := w.shared()
	if err != nil {
		return err
	}
	var voters, beside []string // of homes: who votes, who owns with them
	companies := 0
	for i := range w.estate {
		u := &w.estate[i]
		switch {
		case u.state != delivered:
			u.voter = developer
		case u.use == home && !w.oneIn(80), len(voters) == 0:
			u.voter = w.person()
		case u.use == shop && w.oneIn(3):
			companies++
			u.voter = fmt.Sprintf("91000000TEST%06d", companies)
		default: // who has a home here already
			u.voter = pick(w, voters...)
		}
		if u.use == home && u.voter != developer {
			voters = append(voters, u.voter)
		}
		if !shared[i] {
			title(*u, u.voter, "1/1", "是")
			continue
		}
		other := w.person()
		beside = append(beside, other)
		if w.oneIn(2) {
			title(*u, u.voter, "1/2", "是")
			title(*u, other, "1/2", "否")
		} else {
			title(*u, other, "1/2", "否")
			title(*u, u.voter, "1/2", "是")
		}
	}
	w.without = beside
	w.figures.People = w.people
	w.elect()
	return t.close()
}

// shared says of each unit whether two own it: as many homes as it takes for all
// titles, spread over the estate.
func (w *writing) shared() ([]bool, error) {
	var homes []int
	for i, u := range w.estate {
		if u.use == home && u.state == delivered {
			homes = append(homes, i)
		}
	}
	more := w.Homes*titles/each - len(w.estate)
	if more < 0 || more > len(homes) {
		return nil, errors.New("the titles do not fit the units")
	}
	list := make([]bool, len(w.estate))
	for n, i := range homes {
		list[i] = (n+1)*more/len(homes) > n*more/len(homes)
	}
	return list, nil
}

// elect adds up who has a vote: one head for all units of one voter, and for the
// developer's stock (Supreme Court interpretation, art. 8 and 9).
func (w *writing) elect() {
	index := map[string]int{}
	for i, u := range w.estate {
		if !u.counts() {
			continue
		}
		at, ok := index[u.voter]
		if !ok {
			at = len(w.heads)
			index[u.voter] = at
			w.heads = append(w.heads, head{document: u.voter})
		}
		h := &w.heads[at]
		h.units, h.area = append(h.units, i), h.area+u.area
	}
	for _, h := range w.heads {
		w.figures.Electorate.Area += h.area
		if len(h.units) > 1 {
			w.figures.MultiUnitHeads++
		}
	}
	w.figures.Electorate.Heads = len(w.heads)
}

// in returns a head's area in the scope of a motion, and whether it has any.
func (w *writing) in(h head, m motion) (int64, bool) {
	if m.building == 0 {
		return h.area, true
	}
	area := int64(0)
	for _, i := range h.units {
		if w.estate[i].building == m.building {
			area += w.estate[i].area
		}
	}
	return area, slices.ContainsFunc(h.units, func(i int) bool { return w.estate[i].building == m.building })
}
