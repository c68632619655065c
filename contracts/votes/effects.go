package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// What follows from a motion by itself, once it is adopted and the result is final.
const (
	AppointProvider    = "appoint-provider"      // 选聘: the agreement may come into force as the formal contract
	DismissProvider    = "dismiss-provider"      // 解聘: the provider has notice, 60 days (Civil Code art. 946)
	DrawMaintenance    = "draw-maintenance-fund" // 使用维修资金: so much may be paid out of the maintenance fund
	BudgetCommonIncome = "budget-common-income"  // 公共收益: the line of the year's budget is what the owners say
)

// Effect (决定的效果) is what follows from a motion. It is part of the notice, so
// that owners know what their yes does. Zero: nothing follows by itself.
type Effect struct {
	Kind      string    `json:"kind"`                 // appoint-provider, dismiss-provider, draw-maintenance-fund or budget-common-income
	Agreement string    `json:"agreement,omitempty"`  // of a provider: the contract that was posted, or the one in force
	Amount    units.Fen `json:"amount_fen,omitempty"` // of funds the most that may be paid; of a budget what is planned for the year
	Direction string    `json:"direction,omitempty"`  // of a budget: 收入 or 支出
	Category  string    `json:"category,omitempty"`   // of a budget: the line (科目)
	Year      int       `json:"year,omitempty"`       // of a budget: calendar year (年度)
}

// DecisionEffective says that a motion was adopted, that nobody may object any
// more, and what follows (决定生效). It comes with ResultFinal.
type DecisionEffective struct {
	Meeting string    `json:"meeting"`
	Estate  string    `json:"estate"`
	Motion  string    `json:"motion"`  // id
	Title   string    `json:"title"`   // of the motion, as on the notice
	Scope   string    `json:"scope"`   // of the motion
	Effect  Effect    `json:"effect"`  // as on the notice
	Posting int       `json:"posting"` // the number of the posting that became final
	Result  string    `json:"result"`  // hash of the public blob that was posted
	At      time.Time `json:"at"`      // when the result became final
}

func (DecisionEffective) event() {} // MeetingStream

// HappenedAt is when the result was declared final; see libs/es.
func (e DecisionEffective) HappenedAt() time.Time { return e.At }
