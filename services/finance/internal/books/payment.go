package books

import (
	"maps"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals of payments.
var (
	ErrNoSuchPayment  = problem.NotFound("no-such-payment", "there is no such payment")
	ErrPaymentChanged = problem.Conflict("payment-changed", "this payment, by reference, unit and period, is in the ledger with another amount")
	ErrAmount         = problem.Invalid("amount-not-positive", "a payment is more than zero; what is paid back is a refund of its payment")
	ErrNoReference    = problem.Invalid("reference-missing", "a payment has the bank's reference (流水号)")
	ErrNotHeld        = problem.Conflict("payment-not-in-suspense", "only a payment in suspense is attributed")
	ErrNothingLeft    = problem.Conflict("payment-refunded", "the payment was paid back whole")
	ErrUnattributable = problem.Invalid("not-billed", "nothing is billed to this unit for this month")
	ErrRefundTooLarge = problem.Invalid("refund-too-large", "no more can be paid back than is left of the payment")
	ErrRefundReason   = problem.Invalid("refund-reason-wrong", "say why it is paid back: one of "+strings.Join(finance.RefundReasons, ", "))
	ErrThereAlready   = problem.Conflict("payment-there-already", "another payment under this reference is for this unit and month; pay one of them back")
	ErrMeanwhile      = problem.Conflict("conflict", "the payment was changed at the same time; look at it again and repeat")
)

// Reference is the state of the stream of one bank reference (流水号): a transfer
// may pay for several units and months, each a payment of its own.
type Reference map[string]Payment

// Payment is one of them, as far as it can be seen without the estate's key.
type Payment struct {
	Estate  string
	Held    bool           // in suspense (暂收待查)
	Sealed  codec.Sealed   // as it counts now
	Refunds []codec.Sealed // each with the amount paid back, since it counts so
}

// is tells whether nothing has happened to a payment since it was looked at.
func (p Payment) is(seen Payment) bool {
	return p.Sealed == seen.Sealed && len(p.Refunds) == len(seen.Refunds)
}

// EvolveReference applies one event.
func EvolveReference(r Reference, e finance.Event) Reference {
	next := maps.Clone(r)
	if next == nil {
		next = Reference{}
	}
	switch e := e.(type) {
	case finance.PaymentReceived:
		next[e.Payment] = Payment{Estate: e.Estate, Held: e.Suspense, Sealed: e.Sealed}
	case finance.PaymentAttributed:
		p := next[e.Payment]
		p.Held, p.Sealed, p.Refunds = false, e.Sealed, nil
		next[e.Payment] = p
	case finance.PaymentRefunded:
		p := next[e.Payment]
		p.Refunds = append(p.Refunds[:len(p.Refunds):len(p.Refunds)], e.Sealed)
		next[e.Payment] = p
	default: // other streams
	}
	return next
}

// ReceivePayment records a payment. Its id is made of reference, unit and
// period, and so is its request: the same again is found before it is decided.
type ReceivePayment struct {
	Payment   string
	Estate    string
	Received  units.Day
	Channel   string
	Reference string
	Amount    units.Fen
	Known     bool // something is billed to its unit for its period; else it is held in suspense
	Today     units.Day
	Closed    bool         // the month it was received in
	Sealed    codec.Sealed // finance.Payment
}

// Decide implements es.Command.
func (c ReceivePayment) Decide(r Reference) ([]finance.Event, error) {
	switch _, exists := r[c.Payment]; {
	case exists:
		return nil, ErrPaymentChanged
	case strings.TrimSpace(c.Reference) == "":
		return nil, ErrNoReference
	case c.Amount <= 0:
		return nil, ErrAmount
	case !day(c.Received):
		return nil, ErrDay
	case c.Received > c.Today:
		return nil, ErrFuture
	case c.Closed:
		return nil, ErrPeriodClosed
	}
	return []finance.Event{finance.PaymentReceived{
		Payment: c.Payment, Estate: c.Estate, Received: c.Received, Channel: c.Channel,
		Suspense: !c.Known, Shared: len(r) > 0, Sealed: c.Sealed,
	}}, nil
}

// AttributePayment moves a payment out of suspense. It then counts on the day it
// came or, where that month is closed, on the day it was attributed.
type AttributePayment struct {
	Payment string
	As      string // id that a payment for its new unit and period has
	On      units.Day
	Known   bool         // something is billed to the unit for the period
	Seen    Payment      // by whoever opened what is sealed of it
	Left    units.Fen    // of the payment as it was seen
	Sealed  codec.Sealed // finance.Payment as it is to count, with what is left
}

// Decide implements es.Command.
func (c AttributePayment) Decide(r Reference) ([]finance.Event, error) {
	p, ok := r[c.Payment]
	switch {
	case !ok:
		return nil, ErrNoSuchPayment
	case !p.Held:
		return nil, ErrNotHeld
	case !p.is(c.Seen):
		return nil, ErrMeanwhile
	case c.Left <= 0:
		return nil, ErrNothingLeft
	case !c.Known:
		return nil, ErrUnattributable
	}
	if _, taken := r[c.As]; taken && c.As != c.Payment {
		return nil, ErrThereAlready
	}
	return []finance.Event{finance.PaymentAttributed{Payment: c.Payment, Estate: p.Estate, On: c.On, Sealed: c.Sealed}}, nil
}

// RefundPayment pays a payment back, whole or in part.
type RefundPayment struct {
	Payment string
	On      units.Day
	Amount  units.Fen // more than zero
	Seen    Payment   // by whoever opened what is sealed of it
	Left    units.Fen // of the payment as it was seen
	Reason  string
	Sealed  codec.Sealed // finance.Payment with the amount negative
}

// Decide implements es.Command.
func (c RefundPayment) Decide(r Reference) ([]finance.Event, error) {
	p, ok := r[c.Payment]
	switch {
	case !ok:
		return nil, ErrNoSuchPayment
	case !p.is(c.Seen):
		return nil, ErrMeanwhile
	case c.Amount <= 0:
		return nil, ErrAmount
	case c.Left <= 0:
		return nil, ErrNothingLeft
	case c.Amount > c.Left:
		return nil, ErrRefundTooLarge
	case !slices.Contains(finance.RefundReasons, c.Reason):
		return nil, ErrRefundReason
	}
	return []finance.Event{finance.PaymentRefunded{Payment: c.Payment, Estate: p.Estate, On: c.On, Reason: c.Reason, Sealed: c.Sealed}}, nil
}
