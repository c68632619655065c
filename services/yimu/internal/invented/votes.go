package invented

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"time"
)

const (
	electronic = "电子"
	onPaper    = "纸质"
	yes        = "赞成"
	no         = "反对"
	abstain    = "弃权"
)

type motion struct {
	id, title, matter, rule string
	building                int // 0: the whole estate
	yes                     int // of a hundred who answer
}

func (m motion) scope() string {
	if m.building == 0 {
		return "estate"
	}
	return fmt.Sprintf("building:%d", m.building)
}

// assembly is a meeting of the past with what is to be written of it.
type assembly struct {
	folder, title         string
	opens, closes         time.Time
	lastStands, paperWins bool
	rows                  int
	motions               []motion
}

// meetings writes both meetings. Between them they have all ballots.
func (w *writing) meetings() (err error) {
	all := w.Homes * ballots / each
	at := func(text string) time.Time {
		t, _ := time.Parse(time.DateTime, text)
		return t
	}
	first := assembly{
		"", name + "业主大会第一次会议", at("2023-01-14 09:00:00"), at("2023-01-28 18:00:00"), false, false, all * 48 / 100,
		[]motion{
			{"M1", "选聘物业服务企业并签订正式合同", "民法典278-1-4", "ordinary", 0, 76},
			{"M2", fmt.Sprintf("使用维修资金更换%d栋屋面防水", w.scoped()), "民法典278-1-5", "ordinary", w.scoped(), 90},
		},
	}
	second := assembly{
		Second, name + "业主大会第二次会议", at("2023-06-10 09:00:00"), at("2023-06-25 18:00:00"), true, true, all - first.rows,
		[]motion{
			{"M1", "利用外墙与地面停车位经营的公共收益方案", "民法典278-1-8", "special", 0, 72},
			{"M2", fmt.Sprintf("%d栋电梯加装防护的方案", w.scoped()), "民法典278-1-9", "ordinary", w.scoped(), 40},
		},
	}
	if w.figures.Meeting, err = w.meeting(first); err != nil {
		return err
	}
	w.second, err = w.meeting(second)
	return err
}

func (w *writing) meeting(a assembly) (Meeting, error) {
	zone := time.FixedZone("", 8*60*60)
	in := func(t time.Time) string { return t.Add(-8 * time.Hour).In(zone).Format(time.RFC3339) }
	type motionPaper struct {
		ID     string `json:"id"`
		Title  string `json:"title"`
		Matter string `json:"matter"`
		Rule   string `json:"rule"`
		Scope  string `json:"scope"`
	}
	motions := make([]motionPaper, len(a.motions))
	for i, m := range a.motions {
		motions[i] = motionPaper{m.id, m.title, m.matter, m.rule, m.scope()}
	}
	policy := map[string]any{"revote": "first-ballot-stands", "paper_and_electronic": "electronic-stands", "unreturned": "none", "parking_counts_area": false}
	if a.lastStands {
		policy["revote"] = "last-ballot-stands"
	}
	if a.paperWins {
		policy["paper_and_electronic"] = "paper-stands"
	}
	err := w.document(filepath.Join(a.folder, "会议.json"), struct {
		Title   string         `json:"title"`
		Notice  string         `json:"notice_posted"`
		Opens   string         `json:"opens"`
		Closes  string         `json:"closes"`
		Policy  map[string]any `json:"policy"`
		Motions []motionPaper  `json:"motions"`
	}{a.title, in(a.opens.AddDate(0, 0, -17)), in(a.opens), in(a.closes), policy, motions})
	if err != nil {
		return Meeting{}, err
	}
	v := &voting{writing: w, assembly: a, motions: make([]Motion, len(a.motions)), reasons: map[string]int{}}
	for i, m := range a.motions {
		v.motions[i].Motion = m.id
		for _, h := range w.heads {
			if area, ok := w.in(h, m); ok {
				v.motions[i].ElectorateHeads++
				v.motions[i].ElectorateArea += area
			}
		}
	}
	if err := v.cast(); err != nil {
		return Meeting{}, err
	}
	return v.result(), v.write()
}

// ballot is one row: one choice on one motion.
type ballot struct {
	at       time.Time
	channel  string
	unit     string
	document string
	motion   string
	choice   string
}

// voting is the ballots of a meeting and what they come to.
type voting struct {
	*writing
	assembly
	motions []Motion
	rows    []ballot
	reasons map[string]int
}

// answer counts a choice that stands.
func (v *voting) answer(h head, i int, choice string) {
	m := &v.motions[i]
	area, _ := v.in(h, v.assembly.motions[i])
	m.ParticipatingHead, m.ParticipatingArea = m.ParticipatingHead+1, m.ParticipatingArea+area
	switch choice {
	case yes:
		m.YesHeads, m.YesArea = m.YesHeads+1, m.YesArea+area
	case no:
		m.NoHeads, m.NoArea = m.NoHeads+1, m.NoArea+area
	default:
		m.AbstainHeads++
	}
}

// choice is an answer, as often yes as the motion is liked.
func (v *voting) choice(i int) string {
	switch n := v.rand.IntN(100); {
	case n < v.assembly.motions[i].yes:
		return yes
	case n < 93:
		return no
	default:
		return abstain
	}
}

// within is a moment between two, neither of them.
func (v *voting) within(from, to time.Time) time.Time {
	return from.Add(time.Duration(1+v.rand.IntN(int(to.Sub(from).Seconds())-1)) * time.Second)
}

// cast fills the list. One row in sixty is one that a rule refuses, each rule in turn.
func (v *voting) cast() error {
	refused := v.assembly.rows / 60
	order := v.rand.Perm(len(v.heads))
	next := 0
	for len(v.rows) < v.assembly.rows-refused {
		if next == len(order) {
			return fmt.Errorf("%d ballots are more than %d heads cast", v.assembly.rows, len(order))
		}
		h := v.heads[order[next]]
		next++
		row := ballot{at: v.within(v.opens, v.closes.Add(-2*time.Hour)), channel: electronic, unit: v.estate[h.units[0]].code, document: h.document}
		if v.oneIn(5) {
			row.channel = onPaper
		}
		for i, m := range v.assembly.motions {
			if _, ok := v.in(h, m); !ok || i > 0 && v.oneIn(4) || len(v.rows) == v.assembly.rows-refused {
				continue
			}
			row.motion, row.choice = m.id, v.choice(i)
			v.rows = append(v.rows, row)
			v.answer(h, i, row.choice)
		}
	}
	return v.refuse(refused, order[next:])
}

// refuse adds rows that do not count, of heads that have voted and of such that
// have not.
func (v *voting) refuse(rows int, silent []int) error {
	standing, at := v.rows, 0
	earlier := func(channel string) (ballot, error) { // a row that nothing was added to
		for ; at < len(standing); at++ {
			if b := standing[at]; b.motion == v.assembly.motions[0].id && b.channel == channel {
				at++
				return b, nil
			}
		}
		return ballot{}, fmt.Errorf("too few heads voted for %d rows that are refused", rows)
	}
	mute := func(i int) ballot {
		h := v.heads[silent[i%len(silent)]]
		return ballot{v.within(v.opens, v.closes), electronic, v.estate[h.units[0]].code, h.document, v.assembly.motions[0].id, yes}
	}
	for n := range rows {
		var b ballot
		var err error
		reason := ""
		switch n % 11 {
		case 0, 1: // twice by the same channel
			if b, err = earlier(electronic); err != nil {
				return err
			}
			if reason = "already-voted"; v.lastStands {
				reason = "superseded" // the earlier one, by this that says the same
			}
			b.at = v.within(b.at, v.closes)
		case 2, 3: // by both channels
			stands, other := electronic, onPaper
			if reason = "electronic-ballot-stands"; v.paperWins {
				stands, other, reason = onPaper, electronic, "paper-ballot-stands"
			}
			if b, err = earlier(stands); err != nil {
				return err
			}
			b.at, b.channel, b.choice = v.within(v.opens, v.closes), other, no
		case 4:
			reason, b = "voting-closed", mute(n)
			b.at = v.closes.Add(time.Duration(1+v.rand.IntN(3600)) * time.Second)
		case 5:
			reason, b = "voting-not-open", mute(n)
			b.at = v.opens.Add(-time.Duration(1+v.rand.IntN(3600)) * time.Second)
		case 6:
			reason, b = "not-on-the-roll", mute(n)
			b.document = document(v.people + 1 + n)
		case 7:
			reason, b = "not-the-representative", mute(n)
			b.document = v.without[n%len(v.without)]
		case 8:
			reason, b = "not-in-scope", mute(n)
			for i := n; ; i++ {
				if _, ok := v.in(v.heads[silent[i%len(silent)]], v.assembly.motions[1]); !ok {
					b = mute(i)
					break
				}
			}
			b.motion = v.assembly.motions[1].id
		case 9:
			reason, b = "no-such-motion", mute(n)
			b.motion = "M9"
		case 10:
			reason, b = "no-such-choice", mute(n)
			b.choice = "保留"
		}
		v.reasons[reason]++
		v.rows = append(v.rows, b)
	}
	return nil
}

// result adds up (Civil Code art. 278).
func (v *voting) result() Meeting {
	for i, m := range v.motions {
		th, ta, ph, pa := int64(m.ElectorateHeads), m.ElectorateArea, int64(m.ParticipatingHead), m.ParticipatingArea
		adopted := 2*int64(m.YesHeads) > ph && 2*m.YesArea > pa
		if v.assembly.motions[i].rule == "special" {
			adopted = 4*int64(m.YesHeads) >= 3*ph && 4*m.YesArea >= 3*pa
		}
		m.Quorum = 3*ph >= 2*th && 3*pa >= 2*ta
		switch {
		case !m.Quorum:
			m.Outcome = "未形成有效决定"
		case adopted:
			m.Outcome = "通过"
		default:
			m.Outcome = "未通过"
		}
		v.motions[i] = m
	}
	rejected := 0
	for _, n := range v.reasons {
		rejected += n
	}
	return Meeting{Ballots{len(v.rows), len(v.rows) - rejected, rejected, v.reasons}, v.motions}
}

// write writes the list in order of time.
func (v *voting) write() error {
	slices.SortStableFunc(v.rows, func(a, b ballot) int { return cmp.Compare(a.at.Unix(), b.at.Unix()) })
	t, err := v.table(filepath.Join(v.folder, "选票.csv"), "时间", "渠道", "房屋编号", "证件号", "议题", "选择")
	if err != nil {
		return err
	}
	for _, b := range v.rows {
		t.row(b.at.Format(time.DateTime), b.channel, b.unit, b.document, b.motion, b.choice)
	}
	return t.close()
}
