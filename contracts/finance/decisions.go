package finance

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// DrawStream is of one draw on the maintenance fund (维修资金).
const DrawStream = "draw-"

// Decision (决定) is what owners decided, and where that can be read.
type Decision struct {
	Meeting string    `json:"meeting"`
	Motion  string    `json:"motion"` // id
	Title   string    `json:"title"`  // of the motion
	Result  string    `json:"result"` // hash of the public blob that was posted
	At      time.Time `json:"at"`     // when the result became final
}

// BudgetLineDecided sets a line of a year's budget, which is the owners' and stays
// until they decide otherwise. It stands in the place of the lines of its direction
// and category that were posted.
type BudgetLineDecided struct {
	Estate   string   `json:"estate"`
	Year     int      `json:"year"`     // calendar year (年度)
	Line     Line     `json:"line"`     // for the whole year
	Decision Decision `json:"decision"` // of the owners' assembly (业主大会)
}

// DrawOpened lets money be paid out of the maintenance fund, up to an amount
// (Civil Code art. 281). It stands beside the budget, in no balance of it.
type DrawOpened struct {
	Draw     string    `json:"draw"` // id
	Estate   string    `json:"estate"`
	Amount   units.Fen `json:"amount_fen"` // the most that is paid, all payments together
	Scope    string    `json:"scope"`      // whose fund: estate, building:5, stair:5-1, or units
	Decision Decision  `json:"decision"`   // of the owners' assembly (业主大会)
}

// DrawPaid is one payment out of a draw. Its text is public on purpose.
type DrawPaid struct {
	Draw         string    `json:"draw"`                        // id
	Number       string    `json:"number"`                      // 凭证号, unique in the draw
	Date         units.Day `json:"date"`                        // day of the payment
	Amount       units.Fen `json:"amount_fen"`                  // more than nothing
	Text         string    `json:"text"`                        // 摘要: what it was for
	Counterparty string    `json:"counterparty"`                // 对方: who was paid
	Attachment   string    `json:"attachment_sha256,omitempty"` // SHA-256 of the attachment (附件), hex
}

// DrawReversed takes a payment out of a draw back with an entry of its own (冲销).
type DrawReversed struct {
	Draw     string    `json:"draw"`     // id
	Number   string    `json:"number"`   // of the reversal, unique in the draw
	Reverses string    `json:"reverses"` // number of the payment
	Date     units.Day `json:"date"`     // day of the reversal
	Reason   string    `json:"reason"`   // in words, public on purpose
}

func (BudgetLineDecided) event() {} // BudgetStream
func (DrawOpened) event()        {} // DrawStream
func (DrawPaid) event()          {} // DrawStream
func (DrawReversed) event()      {} // DrawStream
