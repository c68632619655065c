package books

import (
	"fmt"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals of draws on the maintenance fund.
var (
	ErrNoSuchDraw   = problem.NotFound("no-such-draw", "there is no such draw on the maintenance fund")
	ErrDrawOpened   = problem.Conflict("draw-opened", "the draw is open already, for something else")
	ErrDrawAmount   = problem.Invalid("amount-not-positive", "a payment is of more than nothing; one that was wrong is reversed")
	ErrOverdrawn    = problem.Conflict("draw-exceeded", "the owners did not decide on so much; only they can decide on more")
	ErrUndecided    = problem.Invalid("before-the-decision", "the owners had not decided yet on this day")
	ErrNoSuchPaid   = problem.NotFound("no-such-payment", "the draw has no payment of this number")
	ErrPaidReversed = problem.Conflict("payment-reversed", "the payment is reversed already")
)

// Draw is the state of the stream of one draw on the maintenance fund.
type Draw struct {
	Opened finance.DrawOpened // zero: there is none
	Paid   []Paid             // in recorded order
}

// Paid is a payment out of a draw, and what took it back.
type Paid struct {
	finance.DrawPaid
	Reversed finance.DrawReversed // zero: nothing
}

// EvolveDraw applies one event.
func EvolveDraw(d Draw, e finance.Event) Draw {
	switch e := e.(type) {
	case finance.DrawOpened:
		d.Opened = e
	case finance.DrawPaid:
		d.Paid = append(slices.Clip(d.Paid), Paid{DrawPaid: e})
	case finance.DrawReversed:
		d.Paid = slices.Clone(d.Paid)
		for n := range d.Paid {
			if d.Paid[n].Number == e.Reverses {
				d.Paid[n].Reversed = e
			}
		}
	default: // other streams
	}
	return d
}

// Sum is what is paid, without what was taken back.
func (d Draw) Sum() (sum units.Fen) {
	for _, p := range d.Paid {
		if p.Reversed.Number == "" {
			sum += p.Amount
		}
	}
	return sum
}

// Left is what may still be paid.
func (d Draw) Left() units.Fen { return d.Opened.Amount - d.Sum() }

// numbered says whether an entry of the draw has a number.
func (d Draw) numbered(number string) bool {
	return slices.ContainsFunc(d.Paid, func(p Paid) bool { return p.Number == number || p.Reversed.Number == number })
}

// OpenDraw opens a draw, because owners decided on it.
type OpenDraw struct{ finance.DrawOpened }

// Decide opens it once.
func (c OpenDraw) Decide(d Draw) ([]finance.Event, error) {
	switch {
	case d.Opened == c.DrawOpened:
		return nil, nil
	case d.Opened.Draw != "":
		return nil, ErrDrawOpened
	case c.Amount <= 0:
		return nil, ErrDrawAmount
	}
	return []finance.Event{c.DrawOpened}, nil
}

// PayDraw records a payment out of a draw. The same again changes nothing.
type PayDraw struct {
	finance.DrawPaid
	Today  units.Day
	Closed bool // the month of the payment
}

// Decide refuses more than the owners decided on, all payments together.
func (c PayDraw) Decide(d Draw) ([]finance.Event, error) {
	if d.Opened.Draw == "" {
		return nil, ErrNoSuchDraw
	}
	if slices.ContainsFunc(d.Paid, func(p Paid) bool { return p.DrawPaid == c.DrawPaid }) {
		return nil, nil
	}
	books := Books{Today: c.Today, Closed: c.Closed, Taken: d.numbered(c.Number)}
	if err := books.entry(c.Number, c.Date); err != nil {
		return nil, err
	}
	switch {
	case c.Date < units.DayOf(d.Opened.Decision.At):
		return nil, ErrUndecided
	case c.Amount <= 0:
		return nil, ErrDrawAmount
	case c.Amount > d.Left():
		e := *ErrOverdrawn
		e.Fields = []problem.Field{{Name: "amount_fen", Code: "too-much", Detail: fmt.Sprintf("must not be more than is left: of %s yuan that owners decided on %s are paid, %s are left",
			d.Opened.Amount, d.Sum(), d.Left()), Bound: d.Left().String()}}
		return nil, &e
	}
	return []finance.Event{c.DrawPaid}, nil
}

// ReverseDraw takes a payment out of a draw back.
type ReverseDraw struct {
	finance.DrawReversed
	Today  units.Day
	Closed bool // the month of the reversal
}

// Decide implements es.Command.
func (c ReverseDraw) Decide(d Draw) ([]finance.Event, error) {
	if d.Opened.Draw == "" {
		return nil, ErrNoSuchDraw
	}
	n := slices.IndexFunc(d.Paid, func(p Paid) bool { return p.Number == c.Reverses })
	switch {
	case n < 0:
		return nil, ErrNoSuchPaid
	case d.Paid[n].Reversed == c.DrawReversed:
		return nil, nil
	case d.Paid[n].Reversed.Number != "":
		return nil, ErrPaidReversed
	}
	books := Books{Today: c.Today, Closed: c.Closed, Taken: d.numbered(c.Number)}
	if err := books.entry(c.Number, c.Date); err != nil {
		return nil, err
	}
	switch {
	case c.Date < d.Paid[n].Date:
		return nil, ErrReversalEarly
	case strings.TrimSpace(c.Reason) == "":
		return nil, ErrNoReason
	}
	return []finance.Event{c.DrawReversed}, nil
}
