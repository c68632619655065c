package invented

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// The agreement runs for a year from here; the papers are of the first half year.
var (
	starts = time.Date(2022, 7, 21, 0, 0, 0, 0, time.UTC)
	ends   = time.Date(2022, 12, 31, 0, 0, 0, 0, time.UTC)
)

// months are those of the budget, with the share of units that paid for each, in
// thousandths of all payments.
var months = []struct {
	period string
	share  int
}{{"2022-07", 26}, {"2022-08", 78}, {"2022-09", 145}, {"2022-10", 205}, {"2022-11", 254}, {"2022-12", 292}}

// fees of each use: fen for a m² and month, or for a month.
var fees = map[string]int64{home: 90, shop: 180, parking: 5000}

// bill is what a unit owes for a month, in fen, half a fen rounded up.
func bill(u unit) int64 {
	if u.use == parking {
		return fees[parking]
	}
	return (u.area*fees[u.use] + 50) / 100
}

// money writes the agreement, the budget, the vouchers and the payments.
func (w *writing) money() error {
	for _, part := range []func() error{w.agreement, w.received, w.spent, w.budget} {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

const name = "示例大社区"

func (w *writing) agreement() error {
	return w.document("委托合同.json", struct {
		Kind       string            `json:"kind"`
		Estate     string            `json:"estate"`
		Principals []string          `json:"principals"`
		Provider   string            `json:"provider"`
		Starts     string            `json:"starts"`
		Ends       string            `json:"ends"`
		Fee        map[string]string `json:"fee"`
		Services   []string          `json:"services"`
		Optional   []string          `json:"optional"`
	}{
		"委托制物业", name, []string{"示例街道办事处", "示例社区居民委员会"}, "示例物业服务公司",
		starts.Format(time.DateOnly), starts.AddDate(1, 0, -1).Format(time.DateOnly),
		map[string]string{home: "0.90元/㎡·月", shop: "1.80元/㎡·月", parking: "50.00元/个·月", "change": "收费标准保持不变"},
		[]string{"秩序维护", "环境保洁", "绿化养护", "设施维修", "报事报修", "财务公开"}, []string{"电梯维护", "上门保洁", "代收快递"},
	})
}

// payment is one row: what came in for a unit and a month.
type payment struct {
	day    int // since the start
	number int // on the receipt
	unit   int
	month  int
	fen    int64
}

// received writes the payments: most are of one month in full, some in two parts,
// and some receipts are for two months.
func (w *writing) received() error {
	rows := w.Homes * payments / each
	billed, days := int64(0), int(ends.Sub(starts).Hours()/24)
	for _, u := range w.estate {
		billed += bill(u)
	}
	collected := make([]int64, len(months))
	list := make([]payment, 0, rows)
	add := func(p payment) {
		if len(list) < rows {
			list = append(list, p)
			collected[p.month] += p.fen
		}
	}
	last := map[int]payment{} // of the month before, by unit
	number := 0
	for m, month := range months {
		want := rows * month.share / 1000
		if m == len(months)-1 {
			want = rows - len(list)
		}
		first, _ := time.Parse("2006-01", month.period)
		from := max(0, int(first.Sub(starts).Hours()/24))
		paid := map[int]payment{}
		for _, i := range w.rand.Perm(len(w.estate)) {
			if want <= 0 {
				break
			}
			fen := bill(w.estate[i])
			day := from + w.rand.IntN(days-from+1)
			number++
			p := payment{day, number, i, m, fen}
			switch {
			case last[i].number > 0 && w.oneIn(20): // with the month before, on one receipt
				p.number, p.day = last[i].number, last[i].day
			case want > 1 && w.oneIn(100):
				p.fen = fen / 2
				add(p)
				want--
				number++
				p = payment{min(day+7, days), number, i, m, fen - p.fen}
			default:
				paid[i] = p
			}
			add(p)
			want--
		}
		last = paid
	}
	slices.SortStableFunc(list, func(a, b payment) int { return cmp.Compare(a.day, b.day) })
	t, err := w.table("物业费收款.csv", "收款日期", "流水号", "房屋编号", "所属账期", "金额(元)", "渠道")
	if err != nil {
		return err
	}
	for _, p := range list {
		t.row(starts.AddDate(0, 0, p.day).Format(time.DateOnly), fmt.Sprintf("PAY%08d", p.number), w.estate[p.unit].code,
			months[p.month].period, hundredths(p.fen), pick(w, "微信", "支付宝", "现金", "银行转账"))
	}
	w.payments = len(list)
	all := int64(0)
	for m, month := range months {
		all += collected[m]
		thousandths := (collected[m]*2000 + billed) / (2 * billed) // of what was billed, half rounded up
		w.figures.Collection = append(w.figures.Collection, Collection{month.period, billed, collected[m], float64(thousandths) / 10})
	}
	w.figures.Budget = append(w.figures.Budget, Line{"收入", "物业服务费", billed * int64(len(months)) * 7 / 10, all})
	return t.close()
}

// lines of the budget besides the fee: fen for each home in half a year.
var lines = []struct {
	direction, category string
	fen                 int64
}{
	{"收入", "公共收益-停车", 900}, {"收入", "公共收益-广告", 360},
	{"支出", "人员工资", 21000}, {"支出", "保洁绿化", 6800}, {"支出", "设施维修", 5200},
	{"支出", "水电能耗", 4300}, {"支出", "除四害与排污", 1500}, {"支出", "绿地修复", 2600},
}

// spent writes the vouchers, and what each line came to.
func (w *writing) spent() error {
	type voucher struct {
		day, line int
		fen       int64
	}
	var list []voucher
	days := int(ends.Sub(starts).Hours() / 24)
	vouchers := 10 + w.Homes/1000 // of a line
	for i, l := range lines {
		planned := l.fen * int64(w.Homes)
		line := Line{l.direction, l.category, planned, 0}
		for range vouchers {
			fen := planned * int64(700+w.rand.IntN(500)) / 1000 / int64(vouchers) / 100 * 100
			list = append(list, voucher{w.rand.IntN(days + 1), i, fen})
			line.Actual += fen
		}
		w.figures.Budget = append(w.figures.Budget, line)
	}
	slices.SortStableFunc(list, func(a, b voucher) int { return cmp.Compare(a.day, b.day) })
	t, err := w.table("收支凭证.csv", "日期", "凭证号", "方向", "科目", "金额(元)", "摘要", "对方", "附件sha256")
	if err != nil {
		return err
	}
	for i, v := range list {
		day, number := starts.AddDate(0, 0, v.day), fmt.Sprintf("PZ%05d", i+1)
		t.row(day.Format(time.DateOnly), number, lines[v.line].direction, lines[v.line].category, hundredths(v.fen),
			fmt.Sprintf("%s %d月", lines[v.line].category, day.Month()), pick(w, "示例机电维修行", "示例清洁服务部", "示例园林公司"), hashOf(number))
	}
	w.vouchers = len(list)
	return t.close()
}

func (w *writing) budget() error {
	t, err := w.table("预算.csv", "年度", "期间", "方向", "科目", "预算金额(元)")
	if err != nil {
		return err
	}
	for _, l := range w.figures.Budget {
		t.row("2022", months[0].period+"~"+months[len(months)-1].period, l.Direction, l.Category, hundredths(l.Planned))
	}
	return t.close()
}
