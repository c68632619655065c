package api

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

// Headings of the unit list (房屋清册) and the title list (业主名册).
const (
	headCode     = "房屋编号"
	headBuilding = "楼栋"
	headStair    = "单元"
	headRoom     = "房号"
	headUse      = "用途"
	headArea     = "专有部分面积(㎡)"
	headBasis    = "面积依据"
	headState    = "交付状态"

	headName     = "业主姓名"
	headDocKind  = "证件类型"
	headDocument = "证件号"
	headPhone    = "手机"
	headShare    = "份额"
	headVotes    = "表决代表"
)

// companyCode is the kind of document (统一社会信用代码) that only legal persons have.
const companyCode = "统一社会信用代码"

var unitColumns = []paper.Column{
	{Name: headCode, Required: true}, {Name: headBuilding}, {Name: headStair}, {Name: headRoom},
	{Name: headUse, Required: true}, {Name: headArea, Required: true}, {Name: headBasis, Required: true}, {Name: headState, Required: true},
}

var titleColumns = []paper.Column{
	{Name: headCode, Required: true}, {Name: headName, Required: true, Personal: true}, {Name: headDocKind, Required: true},
	{Name: headDocument, Required: true, Personal: true}, {Name: headPhone, Personal: true},
	{Name: headShare, Required: true}, {Name: headVotes, Required: true},
}

func (a *API) registerPapers(api huma.API) {
	paper.Take(api, a.Deps, a.known, a.Board, "units", a.importUnits)
	paper.Take(api, a.Deps, a.known, a.Board, "titles", a.importTitles)
}

// unitID names a unit's stream by what makes the unit unique.
func unitID(estate, code string) string {
	return uuid.NewSHA1(uuid.MustParse(estate), []byte("unit/"+code)).String()
}

// importUnits takes the unit list whole or not at all.
func (a *API) importUnits(ctx context.Context, in *paper.In, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, unitColumns)
	if err != nil {
		return nil, err
	}
	list := readUnits(sheet)
	report := paper.NewReport("units", sheet)
	report.Check(sheet)
	if report.Whole() || in.DryRun {
		return report, nil
	}
	upload := uuid.NewString()
	return report, paper.Run(ctx, paper.Group(list, func(u registry.Unit) string { return u.Code }), paper.Workers, p,
		func(ctx context.Context, u registry.Unit) error {
			id := unitID(in.Estate, u.Code)
			done, err := a.units.Do(ctx, id, a.row(ctx, in.Estate, "units", upload, u.Code),
				register.RegisterUnit{Estate: in.Estate, ID: id, Unit: u})
			if err == nil {
				paper.Tally(report, done)
			}
			return err
		})
}

// readUnits reads a unit list, and notes what is wrong with its rows.
func readUnits(sheet *paper.Sheet) []registry.Unit {
	list := make([]registry.Unit, len(sheet.Rows))
	first := map[string]int{}
	for i, r := range sheet.Rows {
		u := registry.Unit{
			Code: r.Text(headCode), Building: r.Text(headBuilding), Stair: r.Text(headStair), Room: r.Text(headRoom),
			Use:   r.OneOf(headUse, registry.Home, registry.Shop, registry.Parking),
			Area:  r.CentiM2(headArea),
			Basis: r.OneOf(headBasis, registry.BasisRegister, registry.BasisSurvey, registry.BasisContract),
			State: r.OneOf(headState, registry.Delivered, registry.SoldUndelivered, registry.Unsold),
		}
		if r.OK() {
			if err := register.CheckUnit(u); err != nil {
				_ = r.Refuse("", err) // it is one
			}
		}
		if row, twice := first[u.Code]; twice && u.Code != "" {
			r.Fail(headCode, "duplicate-unit", "the unit "+r.Quote(headCode)+" stands in row "+strconv.Itoa(row)+" already")
		} else {
			first[u.Code] = r.Number
		}
		list[i] = u
	}
	return list
}

// row describes the command of one row. What is listed by name and not by
// number may change and change back, so the state decides whether there is
// anything to do, and each upload asks anew.
func (a *API) row(ctx context.Context, estate, kind, upload, code string) es.Request {
	return service.RowRequest(ctx, a.Deps, estate, kind, upload+"/"+code, code)
}

// owner is one row of the title list.
type owner struct {
	row    *paper.Row
	code   string
	person vault.PersonalData
	title  registry.Title
}

// importTitles takes the title list whole or not at all. It states all titles of
// the units it names; what it says nothing of stays as it is.
func (a *API) importTitles(ctx context.Context, in *paper.In, p *paper.Progress) (*paper.Report, error) {
	sheet, err := paper.Read(in.FileName(), in.RawBody, titleColumns)
	if err != nil {
		return nil, err
	}
	known, err := a.Board.AllUnits(ctx, in.Estate)
	if err != nil {
		return nil, err
	}
	codes := map[string]bool{}
	for _, u := range known {
		codes[u.Code] = true
	}
	owners := make([]*owner, len(sheet.Rows))
	for i, r := range sheet.Rows {
		owners[i] = readOwner(r)
		if o := owners[i]; o.code != "" && !codes[o.code] && !(in.DryRun && in.Announced) {
			r.Fail(headCode, "no-such-unit", "the unit list has no unit "+r.Quote(headCode))
		}
	}
	byUnit := paper.Group(owners, func(o *owner) string { return o.code })
	for _, titles := range byUnit {
		checkTitles(titles)
	}
	report := paper.NewReport("titles", sheet)
	report.Check(sheet)
	if report.Whole() || in.DryRun {
		return report, nil
	}
	upload := uuid.NewString()
	if err := a.know(ctx, in.Estate, upload, owners); err != nil {
		return nil, err
	}
	each := make([][][]*owner, len(byUnit))
	for i, titles := range byUnit {
		each[i] = [][]*owner{titles}
	}
	return report, paper.Run(ctx, each, paper.Workers, p, func(ctx context.Context, owners []*owner) error {
		code := owners[0].code
		titles := make([]registry.Title, len(owners))
		for i, o := range owners {
			titles[i] = o.title
		}
		done, err := a.units.Do(ctx, unitID(in.Estate, code), a.row(ctx, in.Estate, "titles", upload, code),
			register.StateTitles{Estate: in.Estate, Titles: titles})
		if err != nil {
			return err
		}
		for range owners {
			paper.Tally(report, done)
		}
		return nil
	})
}

func readOwner(r *paper.Row) *owner {
	o := &owner{row: r, code: r.Text(headCode), person: vault.PersonalData{
		Name: r.Text(headName), DocumentKind: r.Text(headDocKind), Document: r.Text(headDocument), Phone: r.Text(headPhone),
	}}
	o.title.Kind = registry.Natural
	if o.person.DocumentKind == companyCode {
		o.title.Kind = registry.Legal
	}
	o.title.Part, o.title.Whole = r.Share(headShare)
	o.title.Votes = r.Yes(headVotes)
	if o.person.Document != "" && vault.Document(o.person.Document) == "" {
		r.Fail(headDocument, "not-a-document", "has neither letters nor digits")
	}
	return o
}

// checkTitles notes what is wrong with the titles of one unit where a person
// would mend it. Rows that are wrong by themselves are not judged together.
func checkTitles(owners []*owner) {
	titles := make([]registry.Title, len(owners))
	for i, o := range owners {
		if !o.row.OK() {
			return
		}
		titles[i] = o.title
		titles[i].Person = vault.Document(o.person.Document)
	}
	err, _ := errors.AsType[*problem.Error](register.CheckTitles(titles))
	if err == nil {
		return
	}
	heading, rows := headShare, owners[:1]
	switch err.Code {
	case register.ErrVoters.Code:
		heading = headVotes
	case register.ErrSameOwner.Code:
		heading, rows = headDocument, owners[len(owners)-1:]
	}
	for _, o := range rows {
		o.row.Fail(heading, err.Code, "unit "+o.row.Quote(headCode)+": "+err.Detail)
	}
}

// know makes sure that every owner has an id in the vault and is registered,
// and puts the ids into the titles.
func (a *API) know(ctx context.Context, estate, upload string, owners []*owner) error {
	// Where rows disagree about a person, the last that says something counts: to
	// take them one by one would correct and correct back with every import.
	stated := map[string]vault.PersonalData{}
	for _, o := range owners {
		id, p := vault.Document(o.person.Document), o.person
		before := stated[id]
		p.Phone = cmp.Or(p.Phone, before.Phone)
		stated[id] = p
	}
	people := make([]vault.PersonalData, len(owners))
	for i, o := range owners {
		people[i] = stated[vault.Document(o.person.Document)]
	}
	known, err := a.People.EnsurePeople(ctx, people)
	if err != nil {
		return err
	}
	changed := map[string][]string{}
	for i, o := range owners {
		o.title.Person = known[i].ID
		changed[known[i].ID] = append(changed[known[i].ID], known[i].Changed...)
	}
	byPerson := paper.Group(owners, func(o *owner) string { return o.title.Person })
	for i := range byPerson {
		byPerson[i] = byPerson[i][:1] // one of the titles says enough
	}
	return paper.Run(ctx, byPerson, paper.Workers, nil, func(ctx context.Context, o *owner) error {
		id := o.title.Person
		fields := slices.Compact(slices.Sorted(slices.Values(changed[id])))
		_, err := a.people.Do(ctx, id, a.row(ctx, estate, "person", upload, id), register.RegisterPerson{ID: id, Kind: o.title.Kind, Corrected: fields})
		return err
	})
}
