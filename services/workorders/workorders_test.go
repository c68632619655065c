package workorders_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/registry"
	events "github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/workorders"
)

type body = map[string]any

const (
	nowhere = "00000000-0000-4000-8000-000000000000"
	demo    = "../yimu/demo/xiushan/"
	limits  = "类别,事项,到场时限(分钟),完成时限(小时)\n"
	orders  = "工单号,类别,事项,位置,来源,上报时间,派单时间,到场时间,完成时间,评价(1-5)\n"
	first   = "GD1,报修,路灯不亮,16栋,电话,2022-07-21 19:00,2022-07-21 19:02,2022-07-21 19:30,2022-07-21 20:00,5\n"
)

func start(t *testing.T) *servicetest.System {
	return servicetest.New(t, servicetest.Part{
		Context: ledger.Workorders,
		New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
			return workorders.New(ctx, deps, workorders.Config{})
		},
	})
}

// order is what the tests read of one.
type order struct {
	ID, Estate, Number, Category, Matter, Place, Source, State string
	Reported                                                   time.Time `json:"reported_at"`
	Dispatched                                                 time.Time `json:"dispatched_at"`
	Arrived                                                    time.Time `json:"arrived_at"`
	Finished                                                   time.Time `json:"finished_at"`
	Score                                                      int
	Limit                                                      events.Limit
	OnTime                                                     bool `json:"on_time"`
	Overdue                                                    bool
	HasWords                                                   bool `json:"has_words"`
	History                                                    []struct{ Event string }
}

func get(t *testing.T, s *servicetest.System, id string) (o order) {
	t.Helper()
	s.Anyone().Get("/workorders/" + id).Want(http.StatusOK).Into(&o)
	return o
}

func TestFromReportToRating(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102")
	owner, neighbour := s.Person(homes[0].Owner), s.Person(homes[1].Owner)
	provider, elsewhere := s.With(registry.Provider, estate), s.With(registry.Provider, s.Estate("别处"))

	s.Exercise(servicetest.Command{
		Method: http.MethodPut, Path: "/estates/" + estate + "/workorders/limits", As: s.With(registry.Principal, estate), Not: provider,
		Body:  body{"limits": []body{{"category": "报修", "matter": "路灯不亮", "finish_hours": 24}}},
		Other: body{"limits": []body{}},
		Wrong: map[string]body{
			"limits[0].matter":       {"limits": []body{{"category": "报修", "matter": "", "finish_hours": 24}}},
			"limits[0].finish_hours": {"limits": []body{{"category": "报修", "matter": "路灯不亮", "finish_hours": -1}}},
		},
	})
	s.Admin().Put("/estates/"+estate+"/workorders/limits", body{"limits": []body{{"category": "报修", "matter": "漏水"}}}).Refused(http.StatusUnprocessableEntity, "limits-wrong")
	s.Admin().Put("/estates/"+nowhere+"/workorders/limits", body{"limits": []body{}}).Refused(http.StatusNotFound, "no-such-estate")
	if got := servicetest.Items[events.Limit](s.Anyone().Get("/estates/" + estate + "/workorders/limits").Want(http.StatusOK)); len(got) != 1 || got[0].FinishHours != 24 {
		t.Fatalf("limits %+v", got)
	}

	const words = "三楼的灯从周一起不亮,孩子摔了一跤"
	report := body{"category": "报修", "matter": "路灯不亮", "place": "16栋", "words": words}
	id := s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: "/estates/" + estate + "/workorders", As: owner, Not: s.With(registry.Regulator, ""),
		Body: report, Other: body{"category": "报修", "matter": "路灯不亮", "place": "17栋"},
		Wrong: map[string]body{"matter": {"matter": ""}, "place": {"place": strings.Repeat("栋", 61)}, "words": {"words": strings.Repeat("字", 1001)}},
	}).ID()
	provider.Post("/estates/"+estate+"/workorders", report).Refused(http.StatusUnprocessableEntity, "nobody-s-words", "words")
	s.Admin().Post("/estates/"+nowhere+"/workorders", body{"category": "报修", "matter": "路灯不亮", "place": "16栋"}).Refused(http.StatusNotFound, "no-such-estate")
	o := get(t, s, id)
	if o.State != "reported" || o.Limit.FinishHours != 24 || !o.HasWords || o.Estate != estate || !strings.HasPrefix(o.Number, "W") || o.Source != "业主" {
		t.Fatalf("reported %+v", o)
	}

	t.Run("how it came in is for those to say who send crews", func(t *testing.T) {
		alarm := body{"category": "感知", "matter": "垃圾桶满溢", "place": "21栋", "source": "传感器"}
		owner.Post("/estates/"+estate+"/workorders", alarm).Refused(http.StatusForbidden, "not-allowed")
		raised := provider.Post("/estates/"+estate+"/workorders", alarm).Want(http.StatusCreated).ID()
		if o := get(t, s, raised); o.Source != "传感器" {
			t.Fatalf("raised %+v", o)
		}
		var sum struct{ Total, Sensor int }
		if s.Anyone().Get("/estates/" + estate + "/workorders/summary").Want(http.StatusOK).Into(&sum); sum.Total != 2 || sum.Sensor != 1 {
			t.Fatalf("summary %+v", sum)
		}
	})

	path := "/workorders/" + id
	provider.Post(path+"/arrive", nil).Refused(http.StatusConflict, "order-not-dispatched")
	provider.Post(path+"/finish", nil).Refused(http.StatusConflict, "order-not-under-way")
	owner.Post(path+"/rate", body{"score": 5}).Refused(http.StatusConflict, "order-not-finished")
	owner.Post(path+"/reopen", nil).Refused(http.StatusConflict, "order-not-finished")
	s.Exercise(servicetest.Command{Method: http.MethodPost, Path: path + "/dispatch", As: provider, Not: elsewhere, Body: body{"crew": "电工组"}, Other: body{"crew": "水工组"}})
	provider.Post(path+"/dispatch", nil).Refused(http.StatusConflict, "order-not-waiting")
	s.Exercise(servicetest.Command{Method: http.MethodPost, Path: path + "/arrive", As: provider, Not: elsewhere})
	s.Exercise(servicetest.Command{Method: http.MethodPost, Path: path + "/finish", As: provider, Not: owner})
	s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: path + "/rate", As: owner, Not: neighbour, Body: body{"score": 2, "words": "又坏了"}, Other: body{"score": 5},
		Wrong: map[string]body{"score": {"score": 6}},
	})
	owner.Post(path+"/rate", body{"score": 5}).Refused(http.StatusConflict, "order-rated")
	s.Exercise(servicetest.Command{Method: http.MethodPost, Path: path + "/reopen", As: owner, Not: neighbour, Body: body{"words": "还是不亮"}, Other: body{}})
	o = get(t, s, id)
	if o.State != "reported" || o.Score != 2 || !o.Finished.IsZero() || len(o.History) != 6 || o.History[5].Event != "work-order-reopened.v1" {
		t.Fatalf("reopened %+v", o)
	}

	t.Run("own words are read by who must act, and that is recorded", func(t *testing.T) {
		var said struct {
			Words  string
			Later  []struct{ Words string }
			Erased bool
		}
		s.Anyone().Get(path+"/words").Refused(http.StatusUnauthorized, "login-needed")
		neighbour.Get(path+"/words").Refused(http.StatusForbidden, "not-allowed")
		elsewhere.Get(path+"/words").Refused(http.StatusForbidden, "not-allowed")
		provider.Get(path + "/words").Want(http.StatusOK).Into(&said)
		if said.Words != words || len(said.Later) != 2 || said.Later[0].Words != "又坏了" || said.Later[1].Words != "还是不亮" {
			t.Fatalf("said %+v", said)
		}
		if types := s.Types(events.WorkOrderStream + id); types[len(types)-1] != "words-read.v1" {
			t.Fatalf("events %v", types)
		}
		for _, text := range []string{words, "又坏了", "还是不亮"} {
			if found := s.Find(text); len(found) > 0 {
				t.Fatalf("words can be read in %v", found)
			}
		}
		if err := s.Vault.DestroyKey(t.Context(), "person/"+homes[0].Owner); err != nil {
			t.Fatal(err)
		}
		s.Await("the key is gone", func() bool { // for others within a second
			provider.Get(path + "/words").Want(http.StatusOK).Into(&said)
			return said.Words == "" && said.Erased
		})
	})
	t.Run("who reported sees it among their own", func(t *testing.T) {
		if mine := servicetest.Items[order](owner.Get("/me/workorders").Want(http.StatusOK)); len(mine) != 1 || mine[0].ID != id {
			t.Fatalf("own %+v", mine)
		}
		if mine := servicetest.Items[order](neighbour.Get("/me/workorders").Want(http.StatusOK)); len(mine) != 0 {
			t.Fatalf("the neighbour's %+v", mine)
		}
		s.Anyone().Get("/me/workorders").Refused(http.StatusUnauthorized, "login-needed")
		provider.Get("/me/workorders").Refused(http.StatusForbidden, "not-allowed")
	})
	t.Run("what is not there", func(t *testing.T) {
		for _, command := range []string{"/dispatch", "/arrive", "/finish", "/reopen"} {
			s.Admin().Post("/workorders/"+nowhere+command, nil).Refused(http.StatusNotFound, "no-such-order")
		}
		s.Anyone().Get("/workorders/"+nowhere).Refused(http.StatusNotFound, "no-such-order")
		for _, list := range []string{"", "/summary", "/limits"} {
			s.Anyone().Get("/estates/"+nowhere+"/workorders"+list).Refused(http.StatusNotFound, "no-such-estate")
		}
		s.Anyone().Get("/estates/"+estate+"/workorders?state=gone").Refused(http.StatusUnprocessableEntity, "invalid", "state")
	})
}

func TestLimitsThatPassAreRecorded(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	s.Admin().Import(estate, "limits", "工单时限.csv", limits+"报修,路灯不亮,30,\n").Want(http.StatusOK)
	past := s.Admin().Import(estate, "orders", "工单.csv", orders+"GD9,报修,路灯不亮,16栋,电话,2022-07-21 19:00,,,,\n").Want(http.StatusOK).Report()
	id := s.With(registry.Provider, estate).Post("/estates/"+estate+"/workorders", body{"category": "报修", "matter": "路灯不亮", "place": "16栋"}).Want(http.StatusCreated).ID()
	if past.Recorded != 1 || get(t, s, id).Overdue {
		t.Fatalf("report %+v", past)
	}
	s.Clock.Advance(31 * time.Minute)
	s.Await("it is overdue", func() bool { return get(t, s, id).Overdue })
	var sum struct{ Overdue, Outstanding, Total int }
	s.Anyone().Get("/estates/" + estate + "/workorders/summary").Want(http.StatusOK).Into(&sum)
	if sum.Overdue != 1 || sum.Outstanding != 2 || sum.Total != 2 { // limits of the past pass unrecorded
		t.Fatalf("summary %+v", sum)
	}
}

func TestOrdersComeInAsPaper(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(registry.Clerk, estate)
	head := s.Store.Head()
	if dry := clerk.Import(estate, "orders?dry_run=true", "工单.csv", orders+first).Want(http.StatusOK).Report(); dry.Recorded != 0 || s.Store.Head() != head {
		t.Fatalf("dry run: %+v", dry)
	}
	if report := clerk.Import(estate, "orders", "工单.csv", orders+first).Want(http.StatusOK).Report(); report.Recorded != 1 || report.Rejected != 0 || !report.Done {
		t.Fatalf("report %+v", report)
	}
	// Limits may change; the paper of an order does not.
	clerk.Import(estate, "limits", "工单时限.csv", limits+"报修,路灯不亮,,1\n").Want(http.StatusOK)
	if report := clerk.Import(estate, "orders", "工单.csv", orders+first+first).Want(http.StatusOK).Report(); report.Unchanged != 2 || report.Recorded != 0 {
		t.Fatalf("a second time: %+v", report)
	}

	s.CatchUp()
	head = s.Store.Head()
	for name, c := range map[string]struct{ rows, column, code string }{
		"changed under its number":         {strings.Replace(first, "16栋", "17栋", 1), "工单号", "order-exists"},
		"rated otherwise under its number": {strings.Replace(first, ",5\n", ",4\n", 1), "工单号", "order-exists"},
		"steps out of order":               {strings.Replace(first, "GD1,", "GD2,", 1)[:len(first)-len("2022-07-21 20:00,5\n")] + "2022-07-21 19:10,5\n", "", "times-out-of-order"},
		"there without being sent":         {"GD2,报修,路灯不亮,16栋,电话,2022-07-21 19:00,,2022-07-21 19:30,,\n", "", "order-not-dispatched"},
		"rated before it is done":          {"GD2,报修,路灯不亮,16栋,电话,2022-07-21 19:00,,,,5\n", "", "order-not-finished"},
		"no number":                        {",报修,路灯不亮,16栋,电话,2022-07-21 19:00,,,,\n", "工单号", "cell-blank"},
		"no time":                          {"GD2,报修,路灯不亮,16栋,电话,昨天,,,,\n", "上报时间", "not-a-time"},
		"a report in the future":           {"GD2,报修,路灯不亮,16栋,电话,2999-07-21 19:00,,,,\n", "上报时间", "in-the-future"},
		"a finish in the future":           {"GD2,报修,路灯不亮,16栋,电话,2022-07-21 19:00,2022-07-21 19:00,,2999-07-21 19:00,\n", "完成时间", "in-the-future"},
		"a rating of six":                  {"GD2,报修,路灯不亮,16栋,电话,2022-07-21 19:00,2022-07-21 19:00,,2022-07-21 19:00,6\n", "评价(1-5)", "not-a-number"},
		"a formula":                        {"GD2,报修,=A1,16栋,电话,2022-07-21 19:00,,,,\n", "事项", "formula-cell"},
		"a place too long":                 {"GD2,报修,路灯不亮," + strings.Repeat("栋", 61) + ",电话,2022-07-21 19:00,,,,\n", "", "place-missing"},
		"a row over 64 KiB":                {"GD2,报修,路灯不亮," + strings.Repeat("栋", 30_000) + ",电话,2022-07-21 19:00,,,,\n", "", "row-too-long"},
	} {
		t.Run(name, func(t *testing.T) {
			report := clerk.Import(estate, "orders", "工单.csv", orders+c.rows).Want(http.StatusOK).Report()
			if len(report.Errors) != 1 || report.Errors[0].Column != c.column || report.Errors[0].Code != c.code || report.Rejected != 1 || report.Errors[0].Row < 2 {
				t.Fatalf("report %+v, want %s of %q", report, c.code, c.column)
			}
			for _, e := range s.Events(events.WorkOrderStream) {
				if e.Position > head {
					t.Fatalf("recorded %s", e.Data)
				}
			}
		})
	}
	t.Run("of two with one number the first goes in", func(t *testing.T) {
		const two = "GD3,报修,路灯不亮,1栋,电话,2022-07-21 19:00,,,,\nGD3,报修,路灯不亮,2栋,电话,2022-07-21 19:00,,,,\n"
		report := clerk.Import(estate, "orders", "工单.csv", orders+two).Want(http.StatusOK).Report()
		if report.Recorded != 1 || report.Rejected != 1 || report.Errors[0].Row != 3 || report.Errors[0].Code != "order-exists" {
			t.Fatalf("report %+v", report)
		}
	})
	t.Run("good rows go in beside bad ones", func(t *testing.T) {
		report := clerk.Import(estate, "orders", "工单.csv", orders+"GD7,报修,路灯不亮,16栋,电话,2022-07-21 19:00,,,,\nGD8,报修,路灯不亮,16栋,电话,x,,,,\n").Want(http.StatusOK).Report()
		if report.Recorded != 1 || report.Rejected != 1 || report.Errors[0].Row != 3 || !report.Done {
			t.Fatalf("report %+v", report)
		}
	})
	t.Run("who may not import", func(t *testing.T) {
		s.Anyone().Import(estate, "orders", "x.csv", orders+first).Refused(http.StatusUnauthorized, "login-needed")
		s.With(registry.Provider, estate).Import(estate, "limits", "x.csv", limits).Refused(http.StatusForbidden, "not-allowed")
		s.Admin().Import(nowhere, "orders", "x.csv", orders+first).Refused(http.StatusNotFound, "no-such-estate")
	})
}

func TestLimitsComeInAsPaper(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(registry.Clerk, estate)
	send := func(query, rows string) *servicetest.Answer {
		t.Helper()
		return clerk.Import(estate, "limits"+query, "工单时限.csv", limits+rows)
	}
	const good = "报修,水管漏水,,24\n感知,垃圾桶满溢,10,\n"
	if dry := send("?dry_run=true", good).Want(http.StatusOK).Report(); dry.Recorded != 0 || len(s.Events(events.LimitsStream)) != 0 {
		t.Fatalf("dry run: %+v", dry)
	}
	if report := send("", good).Want(http.StatusOK).Report(); report.Recorded != 2 {
		t.Fatalf("report %+v", report)
	}
	if report := send("", good).Want(http.StatusOK).Report(); report.Unchanged != 2 || len(s.Events(events.LimitsStream)) != 1 {
		t.Fatalf("a second time: %+v", report)
	}
	if report := send("", "报修,水管漏水,,12\n").Want(http.StatusOK).Report(); report.Recorded != 1 {
		t.Fatalf("changed: %+v", report)
	}
	if report := send("", good).Want(http.StatusOK).Report(); report.Recorded != 2 {
		t.Fatalf("and changed back: %+v", report)
	}
	for name, c := range map[string]struct{ rows, column, code string }{
		"a matter twice":     {"报修,水管漏水,,24\n报修,水管漏水,,12\n", "事项", "duplicate-limit"},
		"no limit":           {"报修,水管漏水,,\n", "", "limit-missing"},
		"a limit of zero":    {"报修,水管漏水,,0\n", "完成时限(小时)", "not-a-number"},
		"a limit in words":   {"报修,水管漏水,半天,\n", "到场时限(分钟)", "not-a-number"},
		"no matter":          {"报修,,,24\n", "事项", "cell-blank"},
		"a formula in there": {"报修,@SUM(A1),,24\n", "事项", "formula-cell"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(s.Events(events.LimitsStream))
			report := send("", c.rows+"巡查,杂草清理,,48\n").Want(http.StatusUnprocessableEntity).Report()
			if e := report.Errors[0]; len(report.Errors) != 1 || e.Column != c.column || e.Code != c.code || report.Done {
				t.Fatalf("report %+v, want %s of %q", report, c.code, c.column)
			}
			if len(s.Events(events.LimitsStream)) != before {
				t.Fatal("limits were set")
			}
		})
	}
}

func TestFiguresOfTheDemoEstate(t *testing.T) {
	s := start(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(registry.Clerk, estate)
	for _, p := range []struct{ kind, file string }{{"limits", "工单时限.csv"}, {"orders", "工单.csv"}} {
		content, err := os.ReadFile(demo + p.file)
		if err != nil {
			t.Fatal(err)
		}
		if report := clerk.Import(estate, p.kind, p.file, string(content)).Want(http.StatusOK).Report(); report.Recorded != report.Rows {
			t.Fatalf("%s: %+v", p.file, report)
		}
	}
	type figures struct {
		Total, Responded, Completed, Rated, Satisfied, Sensor int
		OnTime                                                int `json:"on_time"`
		SensorIn                                              int `json:"sensor_within_10min"`
	}
	var want struct{ Workorders figures }
	content, err := os.ReadFile(demo + "expected.json")
	if err == nil {
		err = json.Unmarshal(content, &want)
	}
	if err != nil || want.Workorders.Total == 0 {
		t.Fatalf("expected %+v, %v", want, err)
	}
	compare := func() {
		t.Helper()
		var got figures
		if s.Anyone().Get("/estates/" + estate + "/workorders/summary").Want(http.StatusOK).Into(&got); got != want.Workorders {
			t.Fatalf("figures %+v, want %+v", got, want.Workorders)
		}
	}
	compare()
	live := s.Rows("workorders")
	s.Rebuild("workorders")
	if s.Rows("workorders") != live {
		t.Fatal("replayed, the read models are others than live")
	}
	compare()

	var ids []string
	var last time.Time
	for after := ""; ; {
		page := servicetest.Items[order](s.Anyone().Get("/estates/" + estate + "/workorders?limit=70&after=" + after).Want(http.StatusOK))
		if len(page) == 0 {
			break
		}
		for _, o := range page {
			if !last.IsZero() && o.Reported.After(last) {
				t.Fatalf("%s is listed after an older one", o.Number)
			}
			ids, last = append(ids, o.ID), o.Reported
		}
		after = ids[len(ids)-1]
	}
	if slices.Sort(ids); len(slices.Compact(ids)) != want.Workorders.Total {
		t.Fatalf("%d orders by pages", len(ids))
	}
}
