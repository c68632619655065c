// Package finance is what can happen to an estate's money: budgets, vouchers,
// bills, payments and the totals that are posted of them, and what is drawn on the
// maintenance fund.
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
var Categories = []string{BudgetStream, VoucherStream, OpeningStream, PaymentStream, CollectionStream, BillsStream, PeriodStream, DrawStream}

// Directions (方向) of money.
const (
	Income      = "收入"
	Expenditure = "支出"
)

// DefaultFeeCategory is the budget line that payments feed unless the estate says otherwise.
const DefaultFeeCategory = "物业服务费"

// Line is one line of a budget.
type Line struct {
	Direction string      `json:"direction"`   // 收入 or 支出
	Category  string      `json:"category"`    // 科目
	Planned   units.Fen   `json:"planned_fen"` // for the whole period
	From      units.Month `json:"from"`        // first month
	To        units.Month `json:"to"`          // included
}

// Reasons for which a payment is paid back. They are public and stand for ever, so
// none is in anyone's own words.
const (
	DoublePayment = "double-payment" // paid twice
	Overpayment   = "overpayment"    // more than was owed
	WrongUnit     = "wrong-unit"     // for a unit that it was not for, or that is unknown
	BankReturn    = "bank-return"    // the bank took it back
	Cancelled     = "cancelled"      // what it paid for was cancelled
)

// RefundReasons lists every reason for paying back.
var RefundReasons = []string{DoublePayment, Overpayment, WrongUnit, BankReturn, Cancelled}

// Event is something that happened to an estate's money.
//
//sumtype:decl
type Event interface{ event() }

// BudgetPosted states the whole budget of a year.
type BudgetPosted struct {
	Estate string `json:"estate"`
	Year   int    `json:"year"`  // calendar year (年度)
	Lines  []Line `json:"lines"` // all of them
}

// BudgetRevised states the whole budget of a year anew.
type BudgetRevised struct {
	Estate string `json:"estate"`
	Year   int    `json:"year"`  // calendar year (年度)
	Lines  []Line `json:"lines"` // all of them
}

// OpeningBalanceStated says what was there before the first entry; zero where none is stated.
type OpeningBalanceStated struct {
	Estate     string    `json:"estate"`
	On         units.Day `json:"on"`                          // day at whose start it was there
	Amount     units.Fen `json:"amount_fen"`                  // negative where there was a debt
	Attachment string    `json:"attachment_sha256,omitempty"` // SHA-256 of the proof, hex
}

// VoucherPosted is one entry (收支凭证). Its text is public on purpose.
type VoucherPosted struct {
	Voucher      string    `json:"voucher"` // id
	Estate       string    `json:"estate"`
	Number       string    `json:"number"`                      // 凭证号, unique in the estate
	Date         units.Day `json:"date"`                        // day of the voucher
	Direction    string    `json:"direction"`                   // 收入 or 支出
	Category     string    `json:"category"`                    // 科目, of a budget line or not
	Amount       units.Fen `json:"amount_fen"`                  // in its direction
	Text         string    `json:"text"`                        // 摘要: what it was for
	Counterparty string    `json:"counterparty"`                // 对方: who paid or was paid
	Attachment   string    `json:"attachment_sha256,omitempty"` // SHA-256 of the attachment (附件), hex
	Corrects     string    `json:"corrects,omitempty"`          // number of the entry this one replaces
}

// VoucherReversed takes an entry back with one of its own, never by editing (冲销).
type VoucherReversed struct {
	Voucher string    `json:"voucher"`
	Number  string    `json:"number"` // of the reversal
	Date    units.Day `json:"date"`   // day of the reversal
	Reason  string    `json:"reason"` // in words, public on purpose
}

// PaymentReceived is one payment. Who paid, for what and how much is sealed.
type PaymentReceived struct {
	Payment  string       `json:"payment"` // id
	Estate   string       `json:"estate"`
	Received units.Day    `json:"received"`           // day the money came
	Channel  string       `json:"channel"`            // 渠道: 银行转账, 支付宝, …
	Suspense bool         `json:"suspense,omitempty"` // unknown unit or period: held until attributed (暂收待查)
	Shared   bool         `json:"shared,omitempty"`   // another payment came under this reference before: have a look
	Sealed   codec.Sealed `json:"sealed"`             // Payment, with the estate's key
}

// Payment is what PaymentReceived, PaymentAttributed and PaymentRefunded seal.
type Payment struct {
	Reference string      `json:"reference"`  // 流水号
	Unit      string      `json:"unit"`       // code as on the paper
	Period    units.Month `json:"period"`     // month it pays for
	Amount    units.Fen   `json:"amount_fen"` // negative for a refund
}

// PaymentAttributed moves a payment out of suspense.
type PaymentAttributed struct {
	Payment string       `json:"payment"`
	Estate  string       `json:"estate"`
	On      units.Day    `json:"on"`     // day it was attributed
	Sealed  codec.Sealed `json:"sealed"` // Payment as it is to count, with the estate's key
}

// PaymentRefunded pays a payment back, whole or in part.
type PaymentRefunded struct {
	Payment string       `json:"payment"` // the one paid back
	Estate  string       `json:"estate"`
	On      units.Day    `json:"on"`     // day it was paid back
	Reason  string       `json:"reason"` // double-payment, overpayment, wrong-unit, bank-return or cancelled
	Sealed  codec.Sealed `json:"sealed"` // amount negative
}

// PeriodTotal is what was received on a day for one period.
type PeriodTotal struct {
	Period   units.Month `json:"period"`     // month paid for
	Amount   units.Fen   `json:"amount_fen"` // sum received
	Payments int         `json:"payments"`   // how many
}

// CollectionPosted states all that was received on a day, by period. A later one
// for the same day replaces it.
type CollectionPosted struct {
	Estate   string        `json:"estate"`
	Day      units.Day     `json:"day"`                    // day of receipt
	Periods  []PeriodTotal `json:"periods"`                // one for each month paid for
	Suspense units.Fen     `json:"suspense_fen,omitempty"` // received and not attributed yet
}

// BillsRaised states what is owed for a period, by the rates of an agreement. A
// later one for the same period replaces it, until the period is closed.
type BillsRaised struct {
	Estate    string      `json:"estate"`
	Period    units.Month `json:"period"`    // month owed for
	Agreement string      `json:"agreement"` // whose rates were applied
	Units     int         `json:"units"`     // how many units were billed
	Total     units.Fen   `json:"total_fen"` // sum of all bills
	Bills     string      `json:"bills"`     // hash of the public blob: unit and amount, one each
}

// PeriodClosed ends a period: no entry of it is taken any more.
type PeriodClosed struct {
	Estate string      `json:"estate"`
	Period units.Month `json:"period"` // month
}

// Each event with the streams it is written to; docs/events.md is made of this.
func (BudgetPosted) event()         {} // BudgetStream
func (BudgetRevised) event()        {} // BudgetStream
func (OpeningBalanceStated) event() {} // OpeningStream
func (VoucherPosted) event()        {} // VoucherStream
func (VoucherReversed) event()      {} // VoucherStream
func (PaymentReceived) event()      {} // PaymentStream
func (PaymentAttributed) event()    {} // PaymentStream
func (PaymentRefunded) event()      {} // PaymentStream
func (CollectionPosted) event()     {} // CollectionStream
func (BillsRaised) event()          {} // BillsStream
func (PeriodClosed) event()         {} // PeriodStream

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
	codec.Of[Event, BudgetLineDecided]("budget-line-decided.v1"),
	codec.Of[Event, DrawOpened]("draw-opened.v1"),
	codec.Of[Event, DrawPaid]("draw-paid.v1"),
	codec.Of[Event, DrawReversed]("draw-reversed.v1"),
)
