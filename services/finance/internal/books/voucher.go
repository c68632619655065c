package books

import (
	"strings"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals of vouchers.
var (
	ErrNoSuchVoucher  = problem.NotFound("no-such-voucher", "there is no such voucher")
	ErrVoucherChanged = problem.Conflict("voucher-changed", "a voucher with this number is in the ledger with other content; reverse it and post another")
	ErrNoNumber       = problem.Invalid("number-missing", "an entry has a number (凭证号)")
	ErrNumberTaken    = problem.Conflict("number-taken", "another entry has this number")
	ErrDay            = problem.Invalid("not-a-day", units.ErrNotADay.Error())
	ErrNoAmount       = problem.Invalid("amount-zero", "an entry of nothing is none")
	ErrFedByPayments  = problem.Invalid("fed-by-payments", "this line counts the payments received; a voucher in it would count them twice")
	ErrNoSuchEntry    = problem.Invalid("no-such-entry", "there is no entry of this number to correct")
	ErrReversed       = problem.Conflict("voucher-reversed", "the voucher is reversed already")
	ErrReversalEarly  = problem.Invalid("reversal-too-early", "an entry is reversed on its day or later")
	ErrNoReason       = problem.Invalid("reason-missing", "say why")
)

// Voucher is the state of a voucher's stream.
type Voucher struct {
	Posted   *finance.VoucherPosted
	Reversed *finance.VoucherReversed
}

// EvolveVoucher applies one event.
func EvolveVoucher(v Voucher, e finance.Event) Voucher {
	switch e := e.(type) {
	case finance.VoucherPosted:
		v.Posted = &e
	case finance.VoucherReversed:
		v.Reversed = &e
	default: // other streams
	}
	return v
}

// Books is what else is known when an entry is made.
type Books struct {
	Today       units.Day
	Closed      bool   // the month of the entry
	Taken       bool   // its number is that of another entry
	FeeCategory string // income of this category comes from payments alone
	Corrected   bool   // there is an entry of the number it corrects
}

// entry checks what a voucher and a reversal share.
func (b Books) entry(number string, date units.Day) error {
	switch {
	case strings.TrimSpace(number) == "":
		return ErrNoNumber
	case !day(date):
		return ErrDay
	case date > b.Today:
		return ErrFuture
	case b.Closed:
		return ErrPeriodClosed
	case b.Taken:
		return ErrNumberTaken
	}
	return nil
}

// PostVoucher posts an entry. The same again changes nothing; another content
// under its number is refused. A negative amount is an entry in red (红字).
type PostVoucher struct {
	finance.VoucherPosted
	Books Books
}

// Decide implements es.Command.
func (c PostVoucher) Decide(v Voucher) ([]finance.Event, error) {
	switch {
	case v.Posted != nil && *v.Posted == c.VoucherPosted:
		return nil, nil
	case v.Posted != nil:
		return nil, ErrVoucherChanged
	}
	if err := c.Books.entry(c.Number, c.Date); err != nil {
		return nil, err
	}
	switch {
	case c.Direction != finance.Income && c.Direction != finance.Expenditure:
		return nil, ErrDirection
	case strings.TrimSpace(c.Category) == "":
		return nil, ErrNoCategory
	case c.Direction == finance.Income && c.Category == c.Books.FeeCategory:
		return nil, ErrFedByPayments
	case c.Amount == 0:
		return nil, ErrNoAmount
	case c.Corrects != "" && !c.Books.Corrected:
		return nil, ErrNoSuchEntry
	}
	return []finance.Event{c.VoucherPosted}, nil
}

// ReverseVoucher takes a voucher back (冲销) by an entry with a number and a day
// of its own.
type ReverseVoucher struct {
	Number string
	Date   units.Day
	Reason string
	Books  Books
}

// Decide implements es.Command.
func (c ReverseVoucher) Decide(v Voucher) ([]finance.Event, error) {
	if v.Posted == nil {
		return nil, ErrNoSuchVoucher
	}
	e := finance.VoucherReversed{Voucher: v.Posted.Voucher, Number: c.Number, Date: c.Date, Reason: c.Reason}
	switch {
	case v.Reversed != nil && *v.Reversed == e:
		return nil, nil
	case v.Reversed != nil:
		return nil, ErrReversed
	case c.Number == v.Posted.Number:
		return nil, ErrNumberTaken
	}
	if err := c.Books.entry(c.Number, c.Date); err != nil {
		return nil, err
	}
	switch {
	case c.Date < v.Posted.Date:
		return nil, ErrReversalEarly
	case strings.TrimSpace(c.Reason) == "":
		return nil, ErrNoReason
	}
	return []finance.Event{e}, nil
}
