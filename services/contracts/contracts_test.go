package contracts_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/contracts"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
)

type body = map[string]any

const nowhere = "00000000-0000-4000-8000-000000000000"

func start(t *testing.T) *servicetest.System {
	return servicetest.New(t, servicetest.Part{
		Context: ledger.Agreements,
		New: func(ctx context.Context, s *servicetest.System, deps service.Deps) (*service.Service, error) {
			return contracts.New(ctx, deps, contracts.Config{Owners: s.Directory.Owners})
		},
	})
}

// agreement is what the tests read of one.
type agreement struct {
	ID, Estate, Kind, Provider, State, Ended string
	Starts, Ends, Change                     string
	Principals, Signed, Services, Options    []string
	Rates                                    []struct {
		Use  string
		Rate int `json:"rate_e4_yuan"`
		Per  string
	}
}

func terms() body {
	return body{
		"kind": "委托制物业", "principals": []string{"街道", "社区"}, "provider": "物业", "starts": "2026-01-01", "ends": "2026-12-31",
		"rates":    []body{{"use": "住宅", "rate_e4_yuan": 9000, "per": "㎡·月"}},
		"services": []string{"保洁"}, "options": []string{"代收快递"},
	}
}

func with(field string, value any) body {
	b := terms()
	b[field] = value
	return b
}

func TestFromProposalToEnd(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	elsewhere := s.With(registry.Principal, s.Estate("别处"))
	committee, principal := s.With(registry.Committee, estate), s.With(registry.Principal, estate)
	regulator := s.With(registry.Regulator, "")

	id := s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: "/estates/" + estate + "/agreements", As: committee, Not: elsewhere, Body: terms(), Other: with("provider", "别的物业"),
		Wrong: map[string]body{
			"kind": {"kind": ""}, "principals": {"principals": []string{}}, "starts": {"starts": "元旦"}, "rates": {"rates": []body{}},
			"rates[0].rate_e4_yuan": {"rates": []body{{"use": "住宅", "rate_e4_yuan": 0.9, "per": "㎡·月"}}},
		},
	}).ID()
	path := "/agreements/" + id
	is := func(state string) (a agreement) {
		t.Helper()
		if s.Anyone().Get(path).Want(http.StatusOK).Into(&a); a.State != state {
			t.Fatalf("agreement is %s, want %s", a.State, state)
		}
		return a
	}
	for code, wrong := range map[string]body{
		"term-wrong": with("ends", "2025-12-31"), "parties-missing": with("provider", "街道"), "services-wrong": with("services", []string{""}),
		"rates-wrong": with("rates", []body{{"use": "仓库", "rate_e4_yuan": 1, "per": "㎡·月"}}),
	} {
		committee.Post("/estates/"+estate+"/agreements", wrong).Refused(http.StatusUnprocessableEntity, code)
	}
	s.Admin().Post("/estates/"+nowhere+"/agreements", terms()).Refused(http.StatusNotFound, "no-such-estate")
	is("proposed")

	committee.Post(path+"/sign", body{"party": "街道"}).Refused(http.StatusConflict, "agreement-not-posted")
	s.Exercise(servicetest.Command{Method: http.MethodPost, Path: path + "/post", As: committee, Not: regulator})
	is("posted")
	s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: path + "/sign", As: principal, Not: elsewhere, Body: body{"party": "街道"}, Other: body{"party": "社区"},
		Wrong: map[string]body{"party": {"party": ""}},
	})
	principal.Post(path+"/sign", body{"party": "路人"}).Refused(http.StatusUnprocessableEntity, "not-a-party")
	principal.Post(path+"/sign", body{"party": "街道"}).Want(http.StatusOK)
	principal.Post(path+"/activate", nil).Refused(http.StatusConflict, "agreement-not-signed")
	principal.Post(path+"/sign", body{"party": "社区"}).Want(http.StatusCreated)
	s.With(registry.Provider, estate).Post(path+"/sign", body{"party": "物业"}).Want(http.StatusCreated)
	if a := is("signed"); !slices.Equal(a.Signed, []string{"街道", "社区", "物业"}) {
		t.Fatalf("signed by %v", a.Signed)
	}
	s.Exercise(servicetest.Command{Method: http.MethodPost, Path: path + "/activate", As: principal, Not: committee})
	is("active")
	end := body{"on": "2026-06-30", "reason": "解约"}
	principal.Post(path+"/end", body{"on": "2025-06-30", "reason": "解约"}).Refused(http.StatusUnprocessableEntity, "end-before-start")
	s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: path + "/end", As: principal, Not: committee, Body: end, Other: body{"on": "2026-06-29", "reason": "解约"},
		Wrong: map[string]body{"on": {"on": "明天"}, "reason": {"reason": ""}},
	})
	if a := is("ended"); a.Ended != "2026-06-30" {
		t.Fatalf("ended %s", a.Ended)
	}

	for _, command := range []string{"/post", "/activate"} {
		s.Admin().Post("/agreements/"+nowhere+command, nil).Refused(http.StatusNotFound, "no-such-agreement")
	}
	s.Anyone().Get("/agreements/"+nowhere).Refused(http.StatusNotFound, "no-such-agreement")
	s.Anyone().Get("/estates/"+nowhere+"/agreements").Refused(http.StatusNotFound, "no-such-estate")
	list := servicetest.Items[agreement](s.Anyone().Get("/estates/" + estate + "/agreements").Want(http.StatusOK))
	if len(list) != 1 || list[0].ID != id || list[0].Estate != estate || list[0].Rates[0].Rate != 9000 {
		t.Fatalf("agreements %+v", list)
	}
	live := s.Rows("contracts")
	s.Rebuild("contracts")
	if s.Rows("contracts") != live {
		t.Fatal("replayed, the read models are others than live")
	}
}

// A command decides on the ledger, not on a read model that may lag.
func TestCommandsDoNotWaitForReadModels(t *testing.T) {
	s := start(t)
	estate, admin := s.Estate("秀山花园"), s.Admin()
	for range 10 {
		id := admin.Post("/estates/"+estate+"/agreements", terms(), servicetest.At(0)).Want(http.StatusCreated).ID()
		admin.Post("/agreements/"+id+"/post", nil, servicetest.At(0)).Want(http.StatusCreated)
	}
}

const paperAgreement = `{"kind":"委托制物业","principals":["街道","社区"],"provider":"物业","starts":"2022-07-21","ends":"2023-07-20",
	"fee":{"住宅":"0.90元/㎡·月","车位":"50.00元/个·月","change":"保持不变"},"services":["保洁"],"optional":["代收快递"]}`

func TestOptions(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102")
	foreign := s.Homes(s.Estate("别处"), "1-101")[0]
	s.Admin().Import(estate, "agreement", "委托合同.json", paperAgreement).Want(http.StatusOK)
	a := servicetest.Items[agreement](s.Anyone().Get("/estates/" + estate + "/agreements"))[0]
	owner, neighbour, stranger := s.Person(homes[0].Owner), s.Person(homes[1].Owner), s.Person(foreign.Owner)
	path := "/agreements/" + a.ID + "/options"

	s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: path, As: owner, Not: neighbour,
		Body: body{"unit": homes[0].Unit, "option": "代收快递"}, Other: body{"unit": homes[0].Unit, "option": "洗衣"},
		Wrong: map[string]body{"unit": {"unit": "x"}, "option": {"option": ""}},
	})
	owner.Post(path, body{"unit": homes[0].Unit, "option": "洗衣"}).Refused(http.StatusUnprocessableEntity, "no-such-option")
	s.Admin().Post(path, body{"unit": homes[0].Unit, "option": "代收快递"}).Refused(http.StatusForbidden, "not-allowed")
	// Whoever owns a unit elsewhere chooses nothing here.
	stranger.Post(path, body{"unit": foreign.Unit, "option": "代收快递"}).Refused(http.StatusNotFound, "no-such-unit")
	owner.Post("/agreements/"+nowhere+"/options", body{"unit": homes[0].Unit, "option": "代收快递"}).Refused(http.StatusNotFound, "no-such-agreement")

	list := func() []struct{ Unit, Option, Since string } {
		t.Helper()
		return servicetest.Items[struct{ Unit, Option, Since string }](owner.Get(path + "?unit=" + homes[0].Unit).Want(http.StatusOK))
	}
	if got := list(); len(got) != 1 || got[0].Option != "代收快递" || got[0].Since == "" {
		t.Fatalf("chosen %+v", got)
	}
	neighbour.Get(path+"?unit="+homes[0].Unit).Refused(http.StatusForbidden, "not-allowed")
	s.Anyone().Get(path+"?unit="+homes[0].Unit).Refused(http.StatusUnauthorized, "login-needed")
	s.Exercise(servicetest.Command{Method: http.MethodDelete, Path: path + "?unit=" + homes[0].Unit + "&option=代收快递", As: owner, Not: neighbour})
	if got := list(); len(got) != 0 {
		t.Fatalf("chosen %+v", got)
	}
}

func TestAnAgreementComesInAsPaper(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(registry.Clerk, estate)
	send := func(query, content string) *servicetest.Answer {
		t.Helper()
		return clerk.Import(estate, "agreement"+query, "委托合同.json", content)
	}
	head := s.Store.Head()
	if dry := send("?dry_run=true", paperAgreement).Want(http.StatusOK).Report(); dry.Recorded != 0 || !dry.DryRun || s.Store.Head() != head {
		t.Fatalf("dry run: %+v", dry)
	}
	if report := send("", paperAgreement).Want(http.StatusOK).Report(); report.Rows != 1 || report.Recorded != 1 || report.Position == 0 || !report.Done {
		t.Fatalf("report %+v", report)
	}
	head = s.Store.Head()
	if report := send("", " "+paperAgreement+"\n").Want(http.StatusOK).Report(); report.Unchanged != 1 || report.Recorded != 0 {
		t.Fatalf("a second time: %+v", report)
	}

	for name, c := range map[string]struct{ from, to, column, code string }{
		"other terms under the same name":   {"保持不变", "每年上涨", "", "agreement-exists"},
		"a day that is none":                {"2023-07-20", "2023-07-32", "ends", "not-a-day"},
		"a term that ends before it starts": {"2023-07-20", "2021-07-20", "", "term-wrong"},
		"a rate that cannot be read":        {"0.90元/㎡·月", "九毛", "fee.住宅", "rate-wrong"},
		"a rate by the year":                {"0.90元/㎡·月", "0.90元/㎡·年", "fee.住宅", "rate-wrong"},
		"a use that is none":                {`"车位"`, `"车"`, "fee.车", "unknown-use"},
		"a party that is missing":           {`"物业"`, `""`, "", "parties-missing"},
		"a field of another kind":           {`["保洁"]`, `"保洁"`, "services", "field-wrong"},
		"no document":                       {`{"kind"`, `"kind"`, "", "file-unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			report := send("", strings.Replace(paperAgreement, c.from, c.to, 1)).Want(http.StatusUnprocessableEntity).Report()
			if len(report.Errors) != 1 || report.Errors[0].Column != c.column || report.Errors[0].Code != c.code || report.Done || report.File != "委托合同.json" {
				t.Fatalf("report %+v, want %s of %q", report, c.code, c.column)
			}
			if s.Store.Head() != head {
				t.Fatal("something was recorded")
			}
		})
	}
	s.Anyone().Import(estate, "agreement", "x.json", paperAgreement).Refused(http.StatusUnauthorized, "login-needed")
	s.With(registry.Committee, estate).Import(estate, "agreement", "x.json", paperAgreement).Refused(http.StatusForbidden, "not-allowed")
	s.Admin().Import(nowhere, "agreement", "x.json", paperAgreement).Refused(http.StatusNotFound, "no-such-estate")
}

func TestTheDemoAgreement(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	content, err := os.ReadFile("../yimu/demo/xiushan/委托合同.json")
	if err != nil {
		t.Fatal(err)
	}
	s.Admin().Import(estate, "agreement", "委托合同.json", string(content)).Want(http.StatusOK)
	a := servicetest.Items[agreement](s.Anyone().Get("/estates/" + estate + "/agreements").Want(http.StatusOK))[0]
	text, err := json.Marshal(a.Rates)
	if err != nil {
		t.Fatal(err)
	}
	const rates = `[{"Use":"住宅","rate_e4_yuan":9000,"Per":"㎡·月"},{"Use":"商铺","rate_e4_yuan":18000,"Per":"㎡·月"},{"Use":"车位","rate_e4_yuan":500000,"Per":"个·月"}]`
	if string(text) != rates || a.State != "active" || len(a.Principals) != 2 || len(a.Signed) != 3 || a.Starts != "2022-07-21" || len(a.Services) != 6 || len(a.Options) != 3 {
		t.Fatalf("%s of %+v", text, a)
	}
	for _, r := range s.Events(agreements.AgreementStream) {
		meta, err := es.ParseMeta(r.Meta)
		if err != nil || !meta.Past || !meta.Happened.Equal(units.Day("2022-07-21").Start()) {
			t.Fatalf("%s happened %v, past %t, %v", r.Type, meta.Happened, meta.Past, err)
		}
	}
}
