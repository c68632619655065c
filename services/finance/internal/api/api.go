// Package api serves an estate's money over HTTP: budget, entries and collection
// for everyone, one's own bills and payments for owners, entries and payments by
// those who keep the accounts.
package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/finance/internal/board"
	"github.com/yimu-ledger/yimu/services/finance/internal/books"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/internal/paper"
)

// API is what the routes need.
type API struct {
	service.Deps
	Board *board.Board

	registry    *estates.Registry
	budgets     es.Repo[books.Budget, finance.Event]
	vouchers    es.Repo[books.Voucher, finance.Event]
	openings    es.Repo[books.Opening, finance.Event]
	references  es.Repo[books.Reference, finance.Event]
	collections es.Repo[books.Collection, finance.Event]
	bills       es.Repo[books.Bills, finance.Event]
	periods     es.Repo[books.Period, finance.Event]
	draws       es.Repo[books.Draw, finance.Event]
}

func repo[S any](d service.Deps, prefix string, evolve func(S, finance.Event) S) es.Repo[S, finance.Event] {
	return es.Repo[S, finance.Event]{Store: d.Store, Committer: d.Committer, Prefix: prefix, Codec: finance.Codec, Evolve: evolve}
}

// Register adds the routes.
func (a *API) Register(api huma.API) {
	a.registry = &estates.Registry{Store: a.Store}
	a.budgets = repo(a.Deps, finance.BudgetStream, books.EvolveBudget)
	a.vouchers = repo(a.Deps, finance.VoucherStream, books.EvolveVoucher)
	a.openings = repo(a.Deps, finance.OpeningStream, books.EvolveOpening)
	a.references = repo(a.Deps, finance.PaymentStream, books.EvolveReference)
	a.collections = repo(a.Deps, finance.CollectionStream, books.EvolveCollection)
	a.bills = repo(a.Deps, finance.BillsStream, books.EvolveBills)
	a.periods = repo(a.Deps, finance.PeriodStream, books.EvolvePeriod)

	huma.Register(api, service.Query("collection", "/estates/{estate}/collection", "What was billed and collected, by month"), a.collection)
	huma.Register(api, service.Query("budget", "/estates/{estate}/budget", "Plan against actual of a year, and the balance"), a.budget)
	huma.Register(api, service.Query("entries", "/estates/{estate}/entries", "The entries behind the figures, the earliest first"), a.entries)
	huma.Register(api, service.Query("voucher", "/vouchers/{voucher}", "A voucher"), a.voucher)

	huma.Register(api, private(service.Query("own-bills", "/me/bills", "The bills of my units")), a.ownBills)
	huma.Register(api, private(service.Query("own-payments", "/me/payments", "The payments for my units")), a.ownPayments)
	huma.Register(api, private(service.Query("own-arrears", "/me/arrears", "What my units owe")), a.ownArrears)
	huma.Register(api, private(service.Query("payments", "/estates/{estate}/payments", "Single payments, for those who check them")), a.payments)

	command := func(id, method, path, summary string) huma.Operation {
		return service.Command(id, method, path, summary)
	}
	huma.Register(api, command("post-budget", http.MethodPut, "/estates/{estate}/budgets/{year}", "State the whole budget of a year"), a.postBudget)
	huma.Register(api, command("post-voucher", http.MethodPost, "/estates/{estate}/vouchers", "Post an entry"), a.postVoucher)
	huma.Register(api, command("reverse-voucher", http.MethodPost, "/vouchers/{voucher}/reverse", "Take an entry back by one of its own"), a.reverseVoucher)
	huma.Register(api, command("state-opening", http.MethodPost, "/estates/{estate}/opening", "State the opening balance"), a.stateOpening)
	huma.Register(api, command("record-payment", http.MethodPost, "/estates/{estate}/payments", "Record a payment; the same reference, unit and period again are the same payment, whatever the key"), a.recordPayment)
	huma.Register(api, command("attribute-payment", http.MethodPost, "/payments/{payment}/attribute", "Say what a payment in suspense is for"), a.attributePayment)
	huma.Register(api, command("refund-payment", http.MethodPost, "/payments/{payment}/refund", "Pay a payment back"), a.refundPayment)
	huma.Register(api, command("post-collections", http.MethodPost, "/estates/{estate}/collections", "Post the totals of days that have changed"), a.postCollections)
	huma.Register(api, command("raise-bills", http.MethodPost, "/estates/{estate}/bills", "Raise the bills that are due"), a.raiseBills)
	huma.Register(api, command("close-period", http.MethodPost, "/estates/{estate}/periods/{period}/close", "Close a month"), a.closePeriod)

	a.registerDraws(api)

	for kind, work := range map[string]paper.Work{
		"budget": a.importBudget, "vouchers": a.importVouchers, "payments": a.importPayments,
	} {
		paper.Take(api, a.Deps, a.registry, a.Board, kind, work)
	}
}

// private says that an operation needs a token.
func private(op huma.Operation) huma.Operation {
	op.Security = []map[string][]string{{"token": {}}}
	return op
}

func (a *API) today() units.Day { return units.DayOf(a.Clock()) }

// may asks whether the caller may do something to an estate's money.
func (a *API) may(ctx context.Context, action, estate string) error {
	return a.Allow(ctx, action, authz.Resource{Type: "Estate", ID: estate, Estate: estate})
}

var errBehind = problem.Unavailable("not-caught-up", "the read models have not reached this position yet")

// now calls f with the tables as the ledger is now: totals of half the payments
// must not be posted.
func (a *API) now(ctx context.Context, f func(t *board.Tables, at es.Position) error) error {
	read := false
	err := a.Board.Now(ctx, func(t *board.Tables, at es.Position) error {
		read = true
		return f(t, at)
	})
	if err != nil && !read {
		err = errors.Join(errBehind, err)
	}
	return err
}

// current returns what decides who owes what, as the ledger has it now, and
// calls more, where given, with the tables of the same state.
func (a *API) current(ctx context.Context, estate string, more func(*board.Tables, books.Estate) error) (e books.Estate, err error) {
	err = a.now(ctx, func(t *board.Tables, _ es.Position) error {
		if e, err = a.estate(ctx, t, estate); err != nil || more == nil {
			return err
		}
		return more(t, e)
	})
	return e, err
}

// estate returns what decides who owes what.
func (a *API) estate(ctx context.Context, t *board.Tables, id string) (books.Estate, error) {
	e, err := t.Estate(ctx, id)
	if errors.Is(err, estates.ErrNoSuchEstate) {
		if err = a.registry.Check(ctx, id); err == nil {
			err = errBehind
		}
	}
	return e, err
}

// CollectionOut is what was billed and collected.
type CollectionOut struct {
	Body struct {
		Items []board.Period `json:"items"`
		lookback.Bound
	}
}

// then returns what answers a public query, and for which estate.
func (a *API) then(ctx context.Context, estate string, at es.Position) (v lookback.View[*board.Tables], e books.Estate, err error) {
	if v, err = a.Board.At(ctx, estate, at); err != nil {
		return v, e, err
	}
	if at == 0 {
		e, err = a.estate(ctx, v.Tables, estate)
	} else {
		e, err = v.Tables.Estate(ctx, estate)
	}
	if err != nil {
		v.Release()
	}
	return v, e, err
}

func (a *API) collection(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
}) (*CollectionOut, error) {
	view, e, err := a.then(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	out := &CollectionOut{}
	out.Body.Bound = lookback.Bind(a.Deps, view.Position)
	out.Body.Items, err = view.Tables.Collection(ctx, e)
	for i, p := range out.Body.Items {
		out.Body.Items[i].Entries = entriesOf(e.ID, in.At, url.Values{"period": {string(p.Period)}})
	}
	return out, err
}

// BudgetOut is a year's budget and what became of it.
type BudgetOut struct {
	Body struct {
		board.Year
		SuspenseEntries string `json:"suspense_entries" doc:"Where the entries behind it are"`
		lookback.Bound
	}
}

func (a *API) budget(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
	Year int `query:"year" minimum:"1980" maximum:"9998" doc:"The latest unless given"`
}) (*BudgetOut, error) {
	view, e, err := a.then(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	out := &BudgetOut{}
	out.Body.Bound = lookback.Bind(a.Deps, view.Position)
	out.Body.Year, err = view.Tables.Budget(ctx, e, in.Year)
	year := strconv.Itoa(out.Body.Year.Year)
	for i, l := range out.Body.Items {
		out.Body.Items[i].Entries = entriesOf(e.ID, in.At, url.Values{"year": {year}, "direction": {l.Direction}, "category": {l.Category}})
	}
	out.Body.SuspenseEntries = entriesOf(e.ID, in.At, url.Values{"category": {board.Suspense}})
	return out, err
}

func entriesOf(estate string, at es.Position, q url.Values) string {
	if at != 0 {
		q.Set("at", strconv.FormatUint(uint64(at), 10))
	}
	return service.Prefix + "/estates/" + estate + "/entries?" + q.Encode()
}

func (a *API) entries(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
	Year      int    `query:"year" minimum:"1980" maximum:"9998"`
	Direction string `query:"direction" enum:"收入,支出"`
	Category  string `query:"category" maxLength:"60"`
	Period    string `query:"period" pattern:"^[0-9]{4}-(0[1-9]|1[0-2])$" doc:"The daily totals of what was paid for this month"`
	After     string `query:"after" maxLength:"200" doc:"Id of the entry to read on from"`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}) (*service.Items[board.Entry], error) {
	view, e, err := a.then(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	list, err := view.Tables.Entries(ctx, e, board.Filter{
		Year: in.Year, Direction: in.Direction, Category: in.Category, Period: units.Month(in.Period), After: in.After, Limit: in.Limit,
	})
	return service.Page(list, err, in.Limit, func(e board.Entry) string { return e.ID })
}

// VoucherOut is a voucher with what took it back.
type VoucherOut struct {
	Body struct {
		board.Entry
		Reversal *board.Entry `json:"reversal,omitempty"`
	}
}

// VoucherIn names a voucher.
type VoucherIn struct {
	Voucher string `path:"voucher" format:"uuid"`
}

func (a *API) voucher(ctx context.Context, in *VoucherIn) (*VoucherOut, error) {
	out := &VoucherOut{}
	var err error
	out.Body.Entry, out.Body.Reversal, err = a.Board.Voucher(ctx, in.Voucher)
	return out, err
}

// owner returns the person who asks for what is theirs; a program owns nothing.
func (a *API) owner(ctx context.Context) (string, error) {
	person := service.CallerFrom(ctx).Person
	return person, a.Allow(ctx, "own.read", authz.Resource{Type: "Person", ID: person, Person: person})
}

func (a *API) ownBills(ctx context.Context, _ *struct{}) (*service.Items[board.Own], error) {
	person, err := a.owner(ctx)
	if err != nil {
		return nil, err
	}
	return service.List(a.Board.OwnBills(ctx, person))
}

func (a *API) ownPayments(ctx context.Context, _ *struct{}) (*service.Items[board.Payment], error) {
	person, err := a.owner(ctx)
	if err != nil {
		return nil, err
	}
	return service.List(a.Board.OwnPayments(ctx, person))
}

func (a *API) ownArrears(ctx context.Context, _ *struct{}) (*service.Items[board.Arrears], error) {
	person, err := a.owner(ctx)
	if err != nil {
		return nil, err
	}
	return service.List(a.Board.OwnArrears(ctx, person))
}

func (a *API) payments(ctx context.Context, in *struct {
	estates.In
	Day      string `query:"day" format:"date" doc:"Only what was received on this day"`
	Suspense bool   `query:"suspense" doc:"Only what is held in suspense"`
	Shared   bool   `query:"shared" doc:"Only what came under a reference with another"`
	After    string `query:"after" doc:"Id of the payment to read on from"`
	Limit    int    `query:"limit" minimum:"1" maximum:"10000" default:"100"`
}) (*service.Items[board.Payment], error) {
	if err := a.may(ctx, "payments.read", in.Estate); err != nil {
		return nil, err
	}
	list, err := a.Board.Payments(ctx, in.Estate, board.Which{
		Day: units.Day(in.Day), Suspense: in.Suspense, Shared: in.Shared, After: in.After, Limit: in.Limit,
	})
	return service.Page(list, err, in.Limit, func(p board.Payment) string { return p.ID })
}
