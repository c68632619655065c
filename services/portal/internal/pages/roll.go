package pages

import (
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// RollModel is what the page of a meeting's roll shows.
type RollModel struct {
	Meeting    client.Meeting
	Entries    []client.RollEntry
	Next       string // number of the entry to read on from; none: that is all
	Unit       string // what was searched for
	Amendments []client.Amendment
	Objections []client.RollObjection

	Key     string
	Read    string // objection whose words are shown
	Words   string
	Form    map[string]string // what was sent and could not be done
	Problem *Problem
	Done    bool
}

// open says whether owners may object: the roll is posted, and the notice is not.
func (m RollModel) open() bool { return m.Meeting.State == "frozen" && !m.Meeting.Past }

// mostUnits is how many units of one entry a page lists; the file has all.
const mostUnits = 100

// units lists those of an entry that are to be shown, and how many are not.
func (m RollModel) units(e client.RollEntry) (list []client.RollUnit, more int) {
	for i, code := range e.Units {
		u := client.RollUnit{Unit: code}
		if i < len(e.ByUnit) {
			u = e.ByUnit[i]
		}
		if strings.HasPrefix(code, m.Unit) {
			list = append(list, u)
		}
	}
	if len(list) > mostUnits {
		list, more = list[:mostUnits], len(list)-mostUnits
	}
	return list, more
}

// changed lists what changed hands, of the units that are searched for.
func (m RollModel) changed() []client.Amendment {
	return slices.DeleteFunc(slices.Clone(m.Amendments), func(a client.Amendment) bool { return !strings.HasPrefix(a.Unit, m.Unit) })
}

// stairName is where a unit is.
func stairName(l Lang, u client.RollUnit) string {
	if u.Building == "" {
		return "—"
	}
	s := u.Building + l.T(" 栋", "")
	if u.Stair != "" {
		s += l.T(" "+u.Stair+" 单元", " / "+u.Stair)
	}
	return s
}

// rollObjectionState says how far an objection to a roll is.
func rollObjectionState(l Lang, state string) string {
	return lookup(l, map[string][2]string{
		"open":       {"等待答复", "waits for an answer"},
		"withdrawn":  {"已撤回", "withdrawn"},
		"not-upheld": {"不成立", "not upheld"},
		"upheld":     {"成立，名册待更正", "upheld, to be corrected"},
		"corrected":  {"成立，名册已更正", "upheld, corrected"},
	}, state)
}

// RollObjectForm is the form by which an owner objects to a roll.
type RollObjectForm struct {
	Meeting     client.Meeting
	Key         string
	Unit, Words string
	Problem     *Problem
}
