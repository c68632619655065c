// Package finance is what can happen to an estate's money: budgets, vouchers,
// bills, payments and the totals that are posted of them.
package finance

import (
	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// Prefixes of the streams this context owns, each followed by an id.
const (
	BudgetStream     = "budget-"     // <estate>-<year>
	VoucherStream    = "voucher-"    // one voucher, named by estate and number
	OpeningStream    = "opening-"    // opening balance of one estate
	PaymentStream    = "payment-"    // <estate>-<HMAC of the bank reference>
	CollectionStream = "collection-" // <estate>-<day>: posted totals
	BillsStream      = "bills-"      // <estate>-<month>
	PeriodStream     = "period-"     // <estate>-<month>
)

// Categories of the streams this context owns.
var Categories = []string{BudgetStream, VoucherStream, OpeningStream, PaymentStream, CollectionStream, BillsStream, PeriodStream}

// Directions (方向) of money.
const (
	Income      = "收入"
	Expenditure = "支出"
)

// DefaultFeeCategory is the budget line that payments feed unless the estate says otherwise.
const DefaultFeeCategory = "物业服务费"

// Line is one line of a budget.
type Line struct {
	Direction string      `json:"direction"`
	Category  string      `json:"category"` // 科目
	Planned   units.Fen   `json:"planned_fen"`
	From      units.Month `json:"from"`
	To        units.Month `json:"to"` // included
}

// Event is something that happened to an estate's money.
//
//sumtype:decl
type Event interface{ event() }

// BudgetPosted states the whole budget of a year.
type BudgetPosted struct {
	Estate string `json:"estate"`
	Year   int    `json:"year"`
	Lines  []Line `json:"lines"`
}

// BudgetRevised states the whole budget of a year anew.
type BudgetRevised struct {
	Estate string `json:"estate"`
	Year   int    `json:"year"`
	Lines  []Line `json:"lines"`
}

// OpeningBalanceStated says what was there before the first entry; zero where none is stated.
type OpeningBalanceStated struct {
	Estate     string    `json:"estate"`
	On         units.Day `json:"on"`
	Amount     units.Fen `json:"amount_fen"`
	Attachment string    `json:"attachment_sha256,omitempty"`
}

// VoucherPosted is one entry (收支凭证). Its text is public on purpose.
type VoucherPosted struct {
	Voucher      string    `json:"voucher"` // id
	Estate       string    `json:"estate"`
	Number       string    `json:"number"` // 凭证号, unique in the estate
	Date         units.Day `json:"date"`
	Direction    string    `json:"direction"`
	Category     string    `json:"category"`
	Amount       units.Fen `json:"amount_fen"`
	Text         string    `json:"text"`
	Counterparty string    `json:"counterparty"`
	Attachment   string    `json:"attachment_sha256,omitempty"`
	Corrects     string    `json:"corrects,omitempty"` // number of the entry this one replaces
}

// VoucherReversed takes an entry back with one of its own, never by editing (冲销).
type VoucherReversed struct {
	Voucher string    `json:"voucher"`
	Number  string    `json:"number"` // of the reversal
	Date    units.Day `json:"date"`
	Reason  string    `json:"reason"`
}

// PaymentReceived is one payment. Who paid, for what and how much is sealed.
type PaymentReceived struct {
	Payment  string       `json:"payment"` // id
	Estate   string       `json:"estate"`
	Received units.Day    `json:"received"`
	Channel  string       `json:"channel"`
	Suspense bool         `json:"suspense,omitempty"` // unknown unit or period: held until attributed (暂收待查)
	Shared   bool         `json:"shared,omitempty"`   // another payment came under this reference before: have a look
	Sealed   codec.Sealed `json:"sealed"`             // Payment, with the estate's key
}

// Payment is what PaymentReceived, PaymentAttributed and PaymentRefunded seal.
type Payment struct {
	Reference string      `json:"reference"` // 流水号
	Unit      string      `json:"unit"`      // code as on the paper
	Period    units.Month `json:"period"`
	Amount    units.Fen   `json:"amount_fen"`
}

// PaymentAttributed moves a payment out of suspense.
type PaymentAttributed struct {
	Payment string       `json:"payment"`
	Estate  string       `json:"estate"`
	On      units.Day    `json:"on"`
	Sealed  codec.Sealed `json:"sealed"`
}

// PaymentRefunded pays a payment back, whole or in part.
type PaymentRefunded struct {
	Payment string       `json:"payment"` // the one paid back
	Estate  string       `json:"estate"`
	On      units.Day    `json:"on"`
	Reason  string       `json:"reason"`
	Sealed  codec.Sealed `json:"sealed"` // amount negative
}

// PeriodTotal is what was received on a day for one period.
type PeriodTotal struct {
	Period   units.Month `json:"period"`
	Amount   units.Fen   `json:"amount_fen"`
	Payments int         `json:"payments"`
}

// CollectionPosted states all that was received on a day, by period. A later one
// for the same day replaces it.
type CollectionPosted struct {
	Estate   string        `json:"estate"`
	Day      units.Day     `json:"day"`
	Periods  []PeriodTotal `json:"periods"`
	Suspense units.Fen     `json:"suspense_fen,omitempty"` // received and not attributed yet
}

// BillsRaised states what is owed for a period, by the rates of an agreement. A
// later one for the same period replaces it, until the period is closed.
type BillsRaised struct {
	Estate    string      `json:"estate"`
	Period    units.Month `json:"period"`
	Agreement string      `json:"agreement"`
	Units     int         `json:"units"`
	Total     units.Fen   `json:"total_fen"`
	Bills     string      `json:"bills"` // hash of the public blob: unit and amount, one each
}

// PeriodClosed ends a period: no entry of it is taken any more.
type PeriodClosed struct {
	Estate string      `json:"estate"`
	Period units.Month `json:"period"`
}

func (BudgetPosted) event()         {}
func (BudgetRevised) event()        {}
func (OpeningBalanceStated) event() {}
func (VoucherPosted) event()        {}
func (VoucherReversed) event()      {}
func (PaymentReceived) event()      {}
func (PaymentAttributed) event()    {}
func (PaymentRefunded) event()      {}
func (CollectionPosted) event()     {}
func (BillsRaised) event()          {}
func (PeriodClosed) event()         {}

// Codec lists every event ever stored.
var Codec = codec.New(
	codec.Of[Event, BudgetPosted]("budget-posted.v1"),
	codec.Of[Event, BudgetRevised]("budget-revised.v1"),
	codec.Of[Event, OpeningBalanceStated]("opening-balance-stated.v1"),
	codec.Of[Event, VoucherPosted]("voucher-posted.v1"),
	codec.Of[Event, VoucherReversed]("voucher-reversed.v1"),
	codec.Of[Event, PaymentReceived]("payment-received.v1"),
	codec.Of[Event, PaymentAttributed]("payment-attributed.v1"),
	codec.Of[Event, PaymentRefunded]("payment-refunded.v1"),
	codec.Of[Event, CollectionPosted]("collection-posted.v1"),
	codec.Of[Event, BillsRaised]("bills-raised.v1"),
	codec.Of[Event, PeriodClosed]("period-closed.v1"),
)
