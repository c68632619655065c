// Package api serves agreements over HTTP: to read for everyone, to propose,
// sign and end for those who are named in them.
package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/contracts/internal/agreement"
	"github.com/yimu-ledger/yimu/services/contracts/internal/board"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

// API is what the routes need.
type API struct {
	service.Deps
	Board *board.Board
	// Owners returns the people with a title to a unit.
	Owners func(unit string) []string

	known      *estates.Registry
	agreements es.Repo[agreement.Agreement, agreements.Event]
	options    es.Repo[agreement.Options, agreements.Event]
}

// Agreements returns what reads and writes the streams of agreements.
func Agreements(d service.Deps) es.Repo[agreement.Agreement, agreements.Event] {
	return es.Repo[agreement.Agreement, agreements.Event]{
		Store: d.Store, Committer: d.Committer, Prefix: agreements.AgreementStream, Codec: agreements.Codec, Evolve: agreement.Evolve,
	}
}

// Register adds the routes.
func (a *API) Register(api huma.API) {
	a.known = &estates.Registry{Store: a.Store}
	a.agreements = Agreements(a.Deps)
	a.options = es.Repo[agreement.Options, agreements.Event]{
		Store: a.Store, Committer: a.Committer, Prefix: agreements.OptionStream, Codec: agreements.Codec, Evolve: agreement.EvolveOptions,
	}
	huma.Register(api, service.Query("agreements", "/estates/{estate}/agreements", "An estate's agreements, the latest first"), a.list)
	huma.Register(api, service.Query("agreement", "/agreements/{agreement}", "An agreement"), a.get)
	huma.Register(api, service.Query("provider-decisions", "/estates/{estate}/agreements/decisions", "What became of what owners decided about providers"), a.decisions)
	huma.Register(api, service.Command("propose-agreement", http.MethodPost, "/estates/{estate}/agreements", "Propose an agreement"), a.propose)
	huma.Register(api, service.Command("post-agreement", http.MethodPost, "/agreements/{agreement}/post", "Post the terms for everyone to read"), a.post)
	huma.Register(api, service.Command("sign-agreement", http.MethodPost, "/agreements/{agreement}/sign", "Sign as a party"), a.sign)
	huma.Register(api, service.Command("activate-agreement", http.MethodPost, "/agreements/{agreement}/activate", "Start the term"), a.activate)
	huma.Register(api, service.Command("end-agreement", http.MethodPost, "/agreements/{agreement}/end", "End an agreement"), a.end)
	huma.Register(api, service.Command("choose-option", http.MethodPost, "/agreements/{agreement}/options", "Take an optional service for a unit"), a.choose)
	huma.Register(api, service.Command("drop-option", http.MethodDelete, "/agreements/{agreement}/options", "Drop an optional service"), a.drop)
	choices := service.Query("unit-options", "/agreements/{agreement}/options", "The options a unit of one's own chose")
	choices.Security = []map[string][]string{{"token": {}}}
	huma.Register(api, choices, a.choices)

	paper.Take(api, a.Deps, a.known, a.Board, "agreement", a.importAgreement)
}

// AgreementIn names an agreement in the path. It is exported because only then its fields are found
// where it is embedded.
type AgreementIn struct {
	Agreement string `path:"agreement" format:"uuid"`
}

func (a *API) list(ctx context.Context, in *struct {
	estates.In
	lookback.AtIn
}) (*service.Items[board.Agreement], error) {
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	view, err := a.Board.At(ctx, in.Estate, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	return service.List(view.Tables.Agreements(ctx, in.Estate))
}

// AgreementOut is one agreement.
type AgreementOut struct{ Body board.Agreement }

func (a *API) get(ctx context.Context, in *AgreementIn) (*AgreementOut, error) {
	found, err := a.Board.Agreement(ctx, in.Agreement)
	if errors.Is(err, board.ErrNoSuchAgreement) {
		err = agreement.ErrNoSuchAgreement
	}
	return &AgreementOut{found}, err
}

func (a *API) decisions(ctx context.Context, in *estates.In) (*service.Items[reactions.Followed], error) {
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	return service.List(a.Board.Decisions(ctx, in.Estate))
}

// Terms is what a proposal says.
type Terms struct {
	Kind       string            `json:"kind" minLength:"1" maxLength:"60" example:"委托制物业"`
	Principals []string          `json:"principals" minItems:"1" maxItems:"20" doc:"Those who entrust together"`
	Provider   string            `json:"provider" minLength:"1" maxLength:"100"`
	Starts     units.Day         `json:"starts" format:"date"`
	Ends       units.Day         `json:"ends" format:"date" doc:"Last day of the term"`
	Rates      []agreements.Rate `json:"rates" minItems:"1" maxItems:"20"`
	Change     string            `json:"change,omitempty" maxLength:"500"`
	Services   []string          `json:"services" maxItems:"100"`
	Options    []string          `json:"options,omitempty" maxItems:"100"`
	Follows    string            `json:"follows,omitempty" format:"uuid" doc:"Id of the agreement in force that this one takes the place of: when it comes into force, that one ends"`
}

func (t Terms) command(id, estate string) agreement.Propose {
	return agreement.Propose{
		Agreement: id, Estate: estate, Kind: t.Kind, Principals: t.Principals, Provider: t.Provider, Starts: t.Starts, Ends: t.Ends,
		Rates: t.Rates, Change: t.Change, Services: t.Services, Options: t.Options, Follows: t.Follows,
	}
}

func (a *API) propose(ctx context.Context, in *struct {
	service.CommandIn
	estates.In
	Body Terms
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "agreement.propose", authz.Resource{Type: "Estate", ID: in.Estate, Estate: in.Estate}); err != nil {
		return nil, err
	}
	if err := a.known.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "propose-agreement", in.CommandIn, in.Body)
	id := uuid.NewSHA1(req.Commit, []byte("id")).String()
	cmd := agreement.ProposeSuccessor{Propose: in.Body.command(id, in.Estate)}
	if in.Body.Follows != "" {
		var err error
		if cmd.Predecessor, _, err = a.agreements.Load(ctx, in.Body.Follows); err != nil {
			return nil, err
		}
	}
	done, err := a.agreements.Do(ctx, id, req, cmd)
	return service.Respond(id, done, err)
}

// load returns an agreement as it stands in the ledger.
func (a *API) load(ctx context.Context, id string) (agreement.Agreement, error) {
	current, _, err := a.agreements.Load(ctx, id)
	if err == nil && current.State == "" {
		err = agreement.ErrNoSuchAgreement
	}
	return current, err
}

// do runs a command on an agreement that the caller may act on.
func (a *API) do(ctx context.Context, id, action string, in service.CommandIn, content any, cmd es.Command[agreement.Agreement, agreements.Event]) (*service.Recorded, error) {
	current, err := a.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, action, authz.Resource{Type: "Agreement", ID: id, Estate: current.Terms.Estate}); err != nil {
		return nil, err
	}
	done, err := a.agreements.Do(ctx, id, service.NewRequest(ctx, a.Deps, action, in, content), cmd)
	return service.Respond(id, done, err)
}

func (a *API) today() units.Day { return units.DayOf(a.Clock()) }

func (a *API) post(ctx context.Context, in *struct {
	service.CommandIn
	AgreementIn
}) (*service.Recorded, error) {
	return a.do(ctx, in.Agreement, "agreement.post", in.CommandIn, nil, agreement.Post{On: a.today()})
}

func (a *API) sign(ctx context.Context, in *struct {
	service.CommandIn
	AgreementIn
	Body struct {
		Party string `json:"party" minLength:"1" maxLength:"100" doc:"A principal or the provider, as named in the agreement"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Agreement, "agreement.sign", in.CommandIn, in.Body, agreement.Sign{Party: in.Body.Party, On: a.today()})
}

func (a *API) activate(ctx context.Context, in *struct {
	service.CommandIn
	AgreementIn
}) (*service.Recorded, error) {
	return a.do(ctx, in.Agreement, "agreement.activate", in.CommandIn, nil, agreement.Activate{On: a.today()})
}

func (a *API) end(ctx context.Context, in *struct {
	service.CommandIn
	AgreementIn
	Body struct {
		On     units.Day `json:"on" format:"date" doc:"Last day"`
		Reason string    `json:"reason" minLength:"1" maxLength:"200"`
	}
}) (*service.Recorded, error) {
	return a.do(ctx, in.Agreement, "agreement.end", in.CommandIn, in.Body, agreement.End{On: in.Body.On, Reason: in.Body.Reason})
}

// Option names an option and the unit that takes it.
type Option struct {
	Unit   string `json:"unit" format:"uuid"`
	Option string `json:"option" minLength:"1" maxLength:"60"`
}

func (a *API) choose(ctx context.Context, in *struct {
	service.CommandIn
	AgreementIn
	Body Option
}) (*service.Recorded, error) {
	return a.option(ctx, in.Agreement, in.CommandIn, in.Body, false)
}

func (a *API) drop(ctx context.Context, in *struct {
	service.CommandIn
	AgreementIn
	Unit   string `query:"unit" format:"uuid" required:"true"`
	Option string `query:"option" required:"true"`
}) (*service.Recorded, error) {
	return a.option(ctx, in.Agreement, in.CommandIn, Option{in.Unit, in.Option}, true)
}

// ownUnit returns an agreement under which the caller may choose for a unit.
func (a *API) ownUnit(ctx context.Context, id, unit string) (agreement.Agreement, error) {
	current, err := a.load(ctx, id)
	if err != nil {
		return current, err
	}
	estate := current.Terms.Estate
	if err := a.Allow(ctx, "option.choose", authz.Resource{Type: "Unit", ID: unit, Estate: estate, Owners: a.Owners(unit)}); err != nil {
		return current, err
	}
	return current, a.known.CheckUnit(ctx, estate, unit)
}

func (a *API) option(ctx context.Context, id string, in service.CommandIn, o Option, drop bool) (*service.Recorded, error) {
	current, err := a.ownUnit(ctx, id, o.Unit)
	if err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "option", in, struct {
		Option
		Drop bool
	}{o, drop})
	done, err := a.options.Do(ctx, id+"-"+o.Unit, req, agreement.ChooseOption{
		Agreement: current, Unit: o.Unit, Option: o.Option, Drop: drop, On: a.today(),
	})
	return service.Respond(o.Unit, done, err)
}

func (a *API) choices(ctx context.Context, in *struct {
	AgreementIn
	Unit string `query:"unit" format:"uuid" required:"true"`
}) (*service.Items[board.Choice], error) {
	if _, err := a.ownUnit(ctx, in.Agreement, in.Unit); err != nil {
		return nil, err
	}
	return service.List(a.Board.Choices(ctx, in.Agreement, in.Unit))
}

// paperAgreement is an agreement as an office keeps it (委托合同.json).
type paperAgreement struct {
	Kind       string            `json:"kind"`
	Principals []string          `json:"principals"`
	Provider   string            `json:"provider"`
	Starts     units.Day         `json:"starts"`
	Ends       units.Day         `json:"ends"`
	Fee        map[string]string `json:"fee"` // by use; "change" says what is agreed on changes
	Services   []string          `json:"services"`
	Optional   []string          `json:"optional"`
}

// uses is the order in which rates are listed.
var uses = []string{registry.Home, registry.Shop, registry.Parking}

// terms reads the paper, and lists what is wrong with it.
func (p paperAgreement) terms() (Terms, []paper.RowError) {
	var wrong []paper.RowError
	fail := func(field, code, reason string) {
		wrong = append(wrong, paper.RowError{Column: field, Code: code, Reason: reason})
	}
	t := Terms{
		Kind: p.Kind, Principals: p.Principals, Provider: p.Provider, Starts: p.Starts, Ends: p.Ends,
		Change: p.Fee["change"], Services: p.Services, Options: p.Optional,
	}
	for _, day := range []struct {
		field string
		value units.Day
	}{{"starts", p.Starts}, {"ends", p.Ends}} {
		if _, err := units.ParseDay(string(day.value)); err != nil {
			fail(day.field, "not-a-day", err.Error())
		}
	}
	for _, use := range uses {
		text, ok := p.Fee[use]
		if !ok {
			continue
		}
		rate, err := parseRate(use, text)
		if err != nil {
			fail("fee."+use, "rate-wrong", "a rate reads like 0.90元/㎡·月 or 50.00元/个·月")
			continue
		}
		t.Rates = append(t.Rates, rate)
	}
	for _, use := range slices.Sorted(maps.Keys(p.Fee)) {
		if use != "change" && !slices.Contains(uses, use) {
			fail("fee."+use, "unknown-use", "a rate is for 住宅, 商铺 or 车位")
		}
	}
	return t, wrong
}

// parseRate reads a rate such as "0.90元/㎡·月".
func parseRate(use, text string) (agreements.Rate, error) {
	price, per, ok := strings.Cut(text, "元/")
	rate, err := units.ParseRate(strings.TrimSpace(price))
	switch {
	case err != nil:
		return agreements.Rate{}, err
	case !ok || per != agreements.PerM2 && per != agreements.PerPiece:
		return agreements.Rate{}, units.ErrNumber
	}
	return agreements.Rate{Use: use, Rate: rate, Per: per}, nil
}

// importAgreement enters an agreement of the past. It is known by kind,
// provider and start: the same again is the same, other terms are an error.
func (a *API) importAgreement(ctx context.Context, in *paper.In, p *paper.Progress) (*paper.Report, error) {
	read, err := paper.ReadJSON[paperAgreement](in.RawBody)
	if err != nil {
		return nil, err
	}
	terms, wrong := read.terms()
	id := uuid.NewSHA1(uuid.MustParse(in.Estate), []byte("agreement/"+terms.Kind+"/"+terms.Provider+"/"+string(terms.Starts))).String()
	enter := agreement.Enter{Propose: terms.command(id, in.Estate)}
	report := paper.NewReport("agreement", &paper.Sheet{File: in.FileName()})
	report.Rows = 1
	refuse := func(wrong ...paper.RowError) (*paper.Report, error) {
		report.Rejected, report.Errors = 1, wrong
		report.Whole()
		return report, nil
	}
	if len(wrong) > 0 {
		return refuse(wrong...)
	}
	if _, err := enter.Decide(agreement.Agreement{}); err != nil {
		refusal, ok := errors.AsType[*problem.Error](err)
		if !ok {
			return nil, err
		}
		return refuse(paper.RowError{Code: refusal.Code, Reason: refusal.Detail})
	}
	if in.DryRun {
		return report, nil
	}
	p.Start(report.Rows)
	req := service.RowRequest(ctx, a.Deps, in.Estate, "agreement", id, terms)
	req.Past, req.Happened = true, terms.Starts.Start()
	done, err := a.agreements.Do(ctx, id, req, enter)
	switch {
	case errors.Is(err, es.ErrKeyReused), errors.Is(err, agreement.ErrExists):
		return refuse(paper.RowError{Code: agreement.ErrExists.Code, Reason: agreement.ErrExists.Detail})
	case err != nil:
		return nil, err
	}
	paper.Tally(report, done)
	p.Step()
	return report, nil
}
