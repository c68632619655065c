package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Kinds of a meeting (物业管理条例 art. 13).
const (
	Regular = "定期" // by the rules of procedure
	Special = "临时"
	First   = "首次" // it adopts those rules, and elects the first committee
)

// Kinds are what a meeting may be.
var Kinds = []string{Regular, Special, First}

// Who calls a meeting (召集) beside the committee, which does by law (物业管理条例 art.
// 15), and the residents' committee and the street office, which may in its place.
const (
	OfManagement  = "物业管理委员会"     // where there is no committee yet, or none any more
	OfPreparation = "首次业主大会会议筹备组" // of the first meeting
	OfTownship    = "乡镇人民政府"      // what a street office is in the country
)

// Conveners are who may call a meeting.
var Conveners = []string{OfCommittee, OfManagement, OfPreparation, OfResidents, OfStreet, OfTownship}

// Convened says which kind of meeting it is, and who calls it. Meetings from before
// that was asked, and those of the past whose papers do not tell, say nothing.
type Convened struct {
	Kind     string `json:"kind,omitempty"`     // 定期, 临时 or 首次
	Convener string `json:"convener,omitempty"` // 业主委员会, 物业管理委员会, 首次业主大会会议筹备组, 居民委员会, 街道办事处 or 乡镇人民政府

	AskedByOwners bool `json:"asked_by_owners,omitempty"` // 20 % of them or more asked for this special meeting (物业管理条例 art. 13)
}

// Planned is what those who call a meeting have in mind when they draft it, so that
// all of them read the same. It binds nobody: the notice fixes the days, and until
// then the key may be given into other hands.
type Planned struct {
	Notice units.Day `json:"notice,omitempty"` // on which it is to be posted
	Opens  time.Time `json:"opens,omitzero"`   // when voting is to open
	Closes time.Time `json:"closes,omitzero"`  // when it is to close

	Trustees bool `json:"trustees,omitempty"` // several parties are to keep the ballots' key, in shares
}
