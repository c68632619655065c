package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/estates"
)

// sealedSize is the length to which a payment is padded before it is sealed, in
// bytes.
const sealedSize = 384

var errTooLong = problem.Invalid("payment-too-long", "reference and unit are too long")

// receipt is a payment as it comes, on paper or over the counter.
type receipt struct {
	finance.Payment
	Received units.Day
	Channel  string
}

// till is what is known of an estate while payments are taken.
type till struct {
	estate     books.Estate
	unit       func(code string) (books.Unit, bool)
	attributed map[board.Identity]units.Fen
}

// identity is what a payment is known by.
func identity(p finance.Payment) board.Identity {
	return board.Identity{Reference: p.Reference, Unit: p.Unit, Period: p.Period}
}

// stream names the stream of a bank reference so that nobody can guess it.
func (a *API) stream(estate, reference string) string {
	return estate + "-" + hex.EncodeToString(a.Vault.HMAC("payment", estate, reference))
}

// paymentID is made of what a payment is known by, and tells nothing of it.
func (a *API) paymentID(estate string, p finance.Payment) string {
	return a.Vault.ID("payment", estate, p.Reference, p.Unit, string(p.Period)).String()
}

// receive prepares the command for a receipt, and the request: that of its row,
// wherever it comes from, so that the same payment is found again. Its hash
// covers the identity too, or equal amounts would show by equal hashes.
func (a *API) receive(ctx context.Context, t till, r receipt) (es.Request, books.ReceivePayment, error) {
	cmd := books.ReceivePayment{
		Payment: a.paymentID(t.estate.ID, r.Payment), Estate: t.estate.ID, Received: r.Received, Channel: r.Channel,
		Reference: r.Reference, Amount: r.Amount, Today: a.today(), Closed: t.estate.Closed[r.Received.Month()],
	}
	if unit, ok := t.unit(r.Unit); ok {
		_, cmd.Known = t.estate.Bill(unit, r.Period)
	}
	var err error
	if cmd.Sealed, err = a.seal(ctx, t.estate.ID, r.Payment); err != nil {
		return es.Request{}, cmd, err
	}
	return service.RowRequest(ctx, a.Deps, t.estate.ID, "payments", cmd.Payment, r.Payment), cmd, nil
}

// take records a receipt.
func (a *API) take(ctx context.Context, t till, r receipt, req es.Request, cmd books.ReceivePayment) (es.Done[finance.Event], error) {
	stream := a.stream(t.estate.ID, r.Reference)
	if amount, ok := t.attributed[identity(r.Payment)]; ok {
		// It came for another unit or period, and has been put right since.
		if amount != r.Amount {
			return es.Done[finance.Event]{}, books.ErrPaymentChanged
		}
		return es.Done[finance.Event]{Stream: finance.PaymentStream + stream}, nil
	}
	done, err := a.references.Do(ctx, stream, req, cmd)
	if errors.Is(err, es.ErrKeyReused) {
		err = books.ErrPaymentChanged
	}
	return done, err
}

func (a *API) seal(ctx context.Context, estate string, p finance.Payment) (codec.Sealed, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	sealed, err := a.Vault.Seal(ctx, vault.EstateKey(estate), board.PaymentField, text, sealedSize)
	if errors.Is(err, vault.ErrTooLong) {
		err = errTooLong
	}
	return codec.Sealed(sealed), err
}

// errUnreadable is said of a payment whose key is gone.
var errUnreadable = problem.Conflict("payment-unreadable", "the key that opens this payment is destroyed or lost, so it can be neither changed nor compared")

func (a *API) open(ctx context.Context, estate string, sealed codec.Sealed) (p finance.Payment, err error) {
	text, err := a.Vault.Open(ctx, vault.EstateKey(estate), board.PaymentField, string(sealed))
	if errors.Is(err, vault.ErrNoKey) || errors.Is(err, vault.ErrCannotOpen) {
		return p, errUnreadable
	}
	if err != nil {
		return p, err
	}
	if json.Unmarshal(text, &p) != nil {
		return p, errors.New("api: what is sealed is no payment") // the error of JSON would quote it
	}
	return p, nil
}

func (a *API) recordPayment(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body struct {
		Received  units.Day   `json:"received" format:"date" doc:"Day the money came"`
		Reference string      `json:"reference" minLength:"1" maxLength:"64" doc:"The bank's (流水号); with unit and period it is what a payment is known by"`
		Unit      string      `json:"unit,omitempty" maxLength:"60" doc:"Code; where it is not known the payment is held in suspense"`
		Period    units.Month `json:"period,omitempty" pattern:"^([0-9]{4}-(0[1-9]|1[0-2]))?$" doc:"Month it pays for; where it is not known the payment is held in suspense"`
		Amount    units.Fen   `json:"amount_fen" minimum:"1" maximum:"1000000000000000"`
		Channel   string      `json:"channel,omitempty" maxLength:"20" example:"银行转账"`
	}
}) (*service.Recorded, error) {
	if err := a.may(ctx, "payment.record", in.Estate); err != nil {
		return nil, err
	}
	r := receipt{
		Payment: finance.Payment{
			Reference: strings.TrimSpace(in.Body.Reference), Unit: strings.TrimSpace(in.Body.Unit), Period: in.Body.Period, Amount: in.Body.Amount,
		},
		Received: in.Body.Received, Channel: in.Body.Channel,
	}
	var t till
	_, err := a.current(ctx, in.Estate, func(now *board.Tables, e books.Estate) error {
		unit, known, err := now.Unit(ctx, e.ID, r.Unit)
		if err != nil {
			return err
		}
		t = till{estate: e, unit: func(string) (books.Unit, bool) { return unit, known }}
		t.attributed, err = now.Attributed(ctx, e.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	req, cmd, err := a.receive(ctx, t, r)
	if err != nil {
		return nil, err
	}
	done, err := a.take(ctx, t, r, req, cmd)
	return service.Respond(cmd.Payment, done, err)
}

// looked is a payment as it was when someone looked at it.
type looked struct {
	stream string
	state  books.Payment
	now    finance.Payment // opened, as it counts
	left   units.Fen       // after what was paid back
}

// look opens a payment, from its stream as it stands.
func (a *API) look(ctx context.Context, id string) (looked, error) {
	found, err := a.Board.Payment(ctx, id)
	if err != nil {
		return looked{}, err
	}
	l := looked{stream: found.Stream}
	state, _, err := a.references.Load(ctx, l.stream)
	if err != nil {
		return l, err
	}
	l.state = state[id]
	if l.now, err = a.open(ctx, found.Estate, l.state.Sealed); err != nil {
		return l, err
	}
	l.left = l.now.Amount
	for _, sealed := range l.state.Refunds {
		refund, err := a.open(ctx, found.Estate, sealed)
		if err != nil {
			return l, err
		}
		l.left += refund.Amount
	}
	return l, nil
}

// PaymentIn names a payment.
type PaymentIn struct {
	Payment string `path:"payment" format:"uuid"`
}

func (a *API) attributePayment(ctx context.Context, in *struct {
	service.CommandIn
	PaymentIn
	Body struct {
		Unit   string      `json:"unit" minLength:"1" maxLength:"60" doc:"Code"`
		Period units.Month `json:"period" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$"`
	}
}) (*service.Recorded, error) {
	l, err := a.look(ctx, in.Payment)
	if err != nil {
		return nil, err
	}
	if err := a.may(ctx, "payment.attribute", l.state.Estate); err != nil {
		return nil, err
	}
	known := false
	_, err = a.current(ctx, l.state.Estate, func(t *board.Tables, e books.Estate) error {
		unit, there, err := t.Unit(ctx, e.ID, in.Body.Unit)
		if there {
			_, known = e.Bill(unit, in.Body.Period)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "attribute-payment", in.CommandIn, in.Body)
	done, err := a.attribute(ctx, in.Payment, l, in.Body.Unit, in.Body.Period, known, req)
	return service.Respond(in.Payment, done, err)
}

// attribute moves a payment out of suspense.
func (a *API) attribute(ctx context.Context, id string, l looked, unit string, period units.Month, known bool, req es.Request) (es.Done[finance.Event], error) {
	as := finance.Payment{Reference: l.now.Reference, Unit: unit, Period: period, Amount: l.left}
	cmd := books.AttributePayment{
		Payment: id, As: a.paymentID(l.state.Estate, as), On: a.today(), Known: known, Seen: l.state, Left: l.left,
	}
	var err error
	if cmd.Sealed, err = a.seal(ctx, l.state.Estate, as); err != nil {
		return es.Done[finance.Event]{}, err
	}
	return a.references.Do(ctx, l.stream, req, cmd)
}

func (a *API) refundPayment(ctx context.Context, in *struct {
	service.CommandIn
	PaymentIn
	Body struct {
		Amount units.Fen `json:"amount_fen" minimum:"1" maximum:"1000000000000000" doc:"At most what is left of the payment"`
		Reason string    `json:"reason" enum:"double-payment,overpayment,wrong-unit,bank-return,cancelled" doc:"Everyone can read it"`
	}
}) (*service.Recorded, error) {
	l, err := a.look(ctx, in.Payment)
	if err != nil {
		return nil, err
	}
	if err := a.may(ctx, "payment.refund", l.state.Estate); err != nil {
		return nil, err
	}
	cmd := books.RefundPayment{
		Payment: in.Payment, On: a.today(), Amount: in.Body.Amount, Left: l.left, Seen: l.state, Reason: in.Body.Reason,
	}
	refund := l.now
	refund.Amount = -in.Body.Amount
	if cmd.Sealed, err = a.seal(ctx, l.state.Estate, refund); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "refund-payment", in.CommandIn, in.Body)
	done, err := a.references.Do(ctx, l.stream, req, cmd)
	return service.Respond(in.Payment, done, err)
}
