package client

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Decision (决定) is what owners decided, and where that can be read.
type Decision struct {
	Meeting string    `json:"meeting"`
	Motion  string    `json:"motion"`
	Title   string    `json:"title"`
	At      time.Time `json:"at"` // when the result became final
}

// Dismissal (解聘) is the notice that a provider has.
type Dismissal struct {
	On       units.Day `json:"on"`
	Ends     units.Day `json:"ends"` // last day
	Decision Decision  `json:"decision"`
}

// Draw is what owners let be paid out of the maintenance fund, and what was paid.
type Draw struct {
	ID       string        `json:"id"`
	Scope    string        `json:"scope"`
	Amount   units.Fen     `json:"amount_fen"`
	Paid     units.Fen     `json:"paid_fen"`
	Left     units.Fen     `json:"left_fen"`
	Decision Decision      `json:"decision"`
	Payments []DrawPayment `json:"payments"`
}

// DrawPayment is one payment out of a draw.
type DrawPayment struct {
	Number       string    `json:"number"`
	Date         units.Day `json:"date"`
	Amount       units.Fen `json:"amount_fen"`
	Text         string    `json:"text"`
	Counterparty string    `json:"counterparty"`
	Reversed     *struct { // nil: it stands
		Number string    `json:"number"`
		Date   units.Day `json:"date"`
		Reason string    `json:"reason"`
	} `json:"reversed"`
}

// Followed is what became of a decision that took effect.
type Followed struct {
	Decision
	Event   string `json:"event"`
	Effect  Effect `json:"effect"`
	Done    bool   `json:"done"`
	Refused *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"refused"` // nil: nothing stands against it
}
