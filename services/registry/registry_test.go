package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	events "github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

type body = map[string]any

const (
	nowhere = "00000000-0000-4000-8000-000000000000"
	demo    = "../yimu/demo/xiushan/"
)

func demoFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(demo + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEstates(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("甲苑")
	clerk := s.With(events.Clerk, estate)

	id := s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: "/estates", As: s.Admin(), Not: clerk,
		Body: body{"name": "秀山花园"}, Other: body{"name": "别的花园"},
		Wrong: map[string]body{"name": {"name": ""}, "id": {"id": "ABCDEFAB-0000-4000-8000-000000000000"}},
	}).ID()
	s.Exercise(servicetest.Command{
		Method: http.MethodPut, Path: "/estates/" + id, As: s.With(events.Clerk, id), Not: clerk,
		Body: body{"name": "秀山", "fee_category": "物业费"}, Other: body{"name": "秀山小区"},
		Wrong: map[string]body{"name": {"name": strings.Repeat("山", 61)}},
	})
	s.Admin().Put("/estates/"+nowhere, body{"name": "无"}).Refused(http.StatusNotFound, "no-such-estate")
	if again := s.Admin().Put("/estates/"+id, body{"name": "秀山"}).Want(http.StatusOK).Recorded(); again.State != "nothing-to-do" {
		t.Fatalf("what was so already: %+v", again)
	}

	chosen := uuid.NewString()
	s.Admin().Post("/estates", body{"name": "乙苑", "id": chosen}).Want(http.StatusCreated)
	s.Admin().Post("/estates", body{"name": "乙苑", "id": chosen}).Want(http.StatusOK)
	s.Admin().Post("/estates", body{"name": "丙苑", "id": chosen}).Refused(http.StatusConflict, "estate-exists")

	names := map[string]string{}
	for _, e := range servicetest.Items[struct{ ID, Name string }](s.Anyone().Get("/estates").Want(http.StatusOK)) {
		names[e.ID] = e.Name
	}
	if len(names) != 3 || names[id] != "秀山" || names[chosen] != "乙苑" || names[estate] != "甲苑" {
		t.Fatalf("estates %v", names)
	}
	var one struct {
		ID, Name    string
		FeeCategory string `json:"fee_category"`
		Position    uint64
	}
	s.Anyone().Get("/estates/" + id).Want(http.StatusOK).Into(&one)
	if one.ID != id || one.Name != "秀山" || one.FeeCategory != "物业费" || one.Position == 0 {
		t.Fatalf("estate %+v", one)
	}
	for _, path := range []string{"", "/electorate", "/units"} {
		s.Anyone().Get("/estates/"+nowhere+path).Refused(http.StatusNotFound, "no-such-estate")
		s.Anyone().Get("/estates/x"+path).Refused(http.StatusUnprocessableEntity, "invalid", "estate")
		s.Anyone().Get("/estates/" + strings.ToUpper(chosen) + path).Want(http.StatusUnprocessableEntity)
	}
	s.Anyone().Get("/estates", servicetest.At(1<<60)).Refused(http.StatusServiceUnavailable, "not-caught-up")
}

func TestFiguresOfTheDemoEstate(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(events.Clerk, estate)
	units, titles := demoFile(t, "房屋清册.csv"), demoFile(t, "业主名册.csv")
	for _, p := range []struct{ kind, file, content string }{{"units", "房屋清册.csv", units}, {"titles", "业主名册.csv", titles}} {
		rows := strings.Count(p.content, "\n") - 1
		dry := clerk.Import(estate, p.kind+"?dry_run=true&announced=true", p.file, p.content).Want(http.StatusOK).Report()
		if dry.Recorded != 0 || !dry.DryRun || dry.Rows != rows {
			t.Fatalf("dry run: %+v", dry)
		}
		report := clerk.Import(estate, p.kind, p.file, p.content).Want(http.StatusOK).Report()
		if report.Rows != rows || report.Recorded != rows || report.Rejected != 0 || !report.Done || report.File != p.file || report.Kind != p.kind || report.Position == 0 {
			t.Fatalf("%s: %+v", p.kind, report)
		}
	}
	s.CatchUp()
	head := s.Store.Head()
	for kind, content := range map[string]string{"units": units, "titles": titles} {
		report := clerk.Import(estate, kind, "再次.csv", content).Want(http.StatusOK).Report()
		if report.Unchanged != report.Rows || report.Recorded != 0 {
			t.Fatalf("%s a second time: %+v", kind, report)
		}
	}
	if s.Store.Head() != head {
		t.Fatal("a second import recorded something")
	}

	var want, got struct {
		Units, Homes, Shops, Parking, People, Titles int
		MultiUnitHeads                               int `json:"multi_unit_heads"`
		Electorate                                   struct {
			Heads int
			Area  int `json:"area_centi_m2"`
		}
	}
	if err := json.Unmarshal([]byte(demoFile(t, "expected.json")), &want); err != nil {
		t.Fatal(err)
	}
	figures := func() {
		t.Helper()
		s.Anyone().Get("/estates/" + estate).Want(http.StatusOK).Into(&got)
		s.Anyone().Get("/estates/" + estate + "/electorate").Want(http.StatusOK).Into(&got.Electorate)
		if got != want {
			t.Fatalf("figures %+v, want %+v", got, want)
		}
	}
	figures()
	live := s.Rows("registry")
	s.Rebuild("registry")
	if s.Rows("registry") != live {
		t.Fatal("replayed, the read models are others than live")
	}
	figures()

	var codes []string
	for after := ""; ; {
		page := servicetest.Items[struct {
			Code string
			Area int `json:"area_centi_m2"`
		}](s.Anyone().Get("/estates/" + estate + "/units?limit=400&after=" + after).Want(http.StatusOK))
		if len(page) == 0 {
			break
		}
		for _, u := range page {
			codes = append(codes, u.Code)
		}
		after = codes[len(codes)-1]
	}
	if len(codes) != want.Units || !slices.IsSorted(codes) {
		t.Fatalf("%d units by pages", len(codes))
	}
}

func TestPapersAreRefusedWholeByRow(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(events.Clerk, estate)
	const unit = "1-101,1,1,101,住宅,89.90,登记,已交付\n"
	clerk.Import(estate, "units", "房屋清册.csv", servicetest.UnitHeadings+unit).Want(http.StatusOK)
	const title = "1-101,甲,身份证,DOC1,,1/1,是\n"
	many := ""
	for i := range 201 {
		many += fmt.Sprintf("1-101,甲,身份证,D%d,,1/201,%s\n", i, map[bool]string{true: "是", false: "否"}[i == 0])
	}

	for _, c := range []struct {
		kind, name, rows string
		row              int
		column, code     string
	}{
		{"units", "a unit twice", "1-102,1,1,102,住宅,1,登记,已交付\n1-102,1,1,102,住宅,1,登记,已交付\n", 3, "房屋编号", "duplicate-unit"},
		{"units", "no area", "1-102,1,1,102,住宅,,登记,已交付\n", 2, "专有部分面积(㎡)", "cell-blank"},
		{"units", "an area of zero", "1-102,1,1,102,住宅,0,登记,已交付\n", 2, "专有部分面积(㎡)", "not-an-area"},
		{"units", "an area below zero", "1-102,1,1,102,住宅,-3,登记,已交付\n", 2, "专有部分面积(㎡)", "not-an-area"},
		{"units", "three decimals", "1-102,1,1,102,住宅,89.901,登记,已交付\n", 2, "专有部分面积(㎡)", "not-an-area"},
		{"units", "an unknown use", "1-102,1,1,102,仓库,1,登记,已交付\n", 2, "用途", "not-a-choice"},
		{"units", "an unknown basis", "1-102,1,1,102,住宅,1,估计,已交付\n", 2, "面积依据", "not-a-choice"},
		{"units", "an unknown state", "1-102,1,1,102,住宅,1,登记,出租\n", 2, "交付状态", "not-a-choice"},
		{"units", "a formula", "=1+1,1,1,102,住宅,1,登记,已交付\n", 2, "房屋编号", "formula-cell"},
		{"units", "an at sign", "1-102,@1,1,102,住宅,1,登记,已交付\n", 2, "楼栋", "formula-cell"},
		{"units", "a plus without a digit", "1-102,1,+a,102,住宅,1,登记,已交付\n", 2, "单元", "formula-cell"},
		{"units", "a code too long", strings.Repeat("一", 61) + ",1,1,102,住宅,1,登记,已交付\n", 2, "", "text-too-long"},
		{"units", "no code", ",1,1,102,住宅,1,登记,已交付\n", 2, "房屋编号", "cell-blank"},
		{"titles", "no such unit", "9-999,甲,身份证,DOC1,,1/1,是\n", 2, "房屋编号", "no-such-unit"},
		{"titles", "shares below one", "1-101,甲,身份证,DOC1,,1/2,是\n", 2, "份额", "shares-do-not-add-up"},
		{"titles", "shares above one", "1-101,甲,身份证,DOC1,,2/3,是\n1-101,乙,身份证,DOC2,,2/3,否\n", 2, "份额", "shares-do-not-add-up"},
		{"titles", "nobody votes", "1-101,甲,身份证,DOC1,,1/1,否\n", 2, "表决代表", "not-one-voter"},
		{"titles", "two vote", "1-101,甲,身份证,DOC1,,1/2,是\n1-101,乙,身份证,DOC2,,1/2,是\n", 2, "表决代表", "not-one-voter"},
		{"titles", "an owner twice, written in two ways", "1-101,甲,身份证,doc-1,,1/2,是\n1-101,甲,身份证,ＤＯＣ１,,1/2,否\n", 3, "证件号", "owner-twice"},
		{"titles", "a document of nothing", "1-101,甲,身份证,——,,1/1,是\n", 2, "证件号", "not-a-document"},
		{"titles", "no document", "1-101,甲,身份证,,,1/1,是\n", 2, "证件号", "cell-blank"},
		{"titles", "more owners than an event holds", many, 2, "份额", "too-many-titles"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.CatchUp()
			head, good := s.Store.Head(), "2-201,2,1,201,住宅,1,登记,已交付\n"
			headings := servicetest.UnitHeadings
			if c.kind == "titles" {
				headings, good = servicetest.TitleHeadings, ""
			}
			for _, query := range []string{"?dry_run=true", ""} {
				report := clerk.Import(estate, c.kind+query, "坏.csv", headings+c.rows+good).Want(http.StatusUnprocessableEntity).Report()
				if report.Code != paper.RowsWrong || report.Done || report.Recorded != 0 || report.File != "坏.csv" || len(report.Errors) != 1 {
					t.Fatalf("report %+v", report)
				}
				if e := report.Errors[0]; e.Row != c.row || e.Column != c.column || e.Code != c.code || e.Reason == "" {
					t.Fatalf("error %+v, want row %d, column %q, code %s", e, c.row, c.column, c.code)
				}
			}
			if s.Store.Head() != head {
				t.Fatal("something was recorded")
			}
		})
	}

	t.Run("every wrong row is listed", func(t *testing.T) {
		report := clerk.Import(estate, "units", "坏.csv", servicetest.UnitHeadings+"a,,,,住宅,x,登记,已交付\nb,,,,住宅,1,登记,已交付\nc,,,,屋,1,登记,卖\n").
			Want(http.StatusUnprocessableEntity).Report()
		var rows []int
		for _, e := range report.Errors {
			rows = append(rows, e.Row)
		}
		if !slices.Equal(rows, []int{2, 4, 4}) || report.Rejected != 2 || report.Mistakes != 3 {
			t.Fatalf("rows %v of %+v", rows, report)
		}
	})
	t.Run("a file without a heading", func(t *testing.T) {
		report := clerk.Import(estate, "units", "坏.csv", "房屋编号\n1\n").Want(http.StatusUnprocessableEntity).Report()
		if len(report.Errors) != 1 || report.Errors[0].Code != "heading-missing" || report.Errors[0].Row != 0 {
			t.Fatalf("report %+v", report)
		}
	})
	t.Run("who may not import", func(t *testing.T) {
		s.Anyone().Import(estate, "units", "x.csv", unit).Refused(http.StatusUnauthorized, "login-needed")
		s.With(events.Provider, estate).Import(estate, "units", "x.csv", unit).Refused(http.StatusForbidden, "not-allowed")
		s.Admin().Import(nowhere, "units", "x.csv", unit).Refused(http.StatusNotFound, "no-such-estate")
		s.Admin().Import(nowhere, "units?dry_run=true", "x.csv", servicetest.UnitHeadings+unit).Want(http.StatusOK)
	})
	t.Run("papers may be larger than other bodies", func(t *testing.T) {
		clerk.Import(estate, "units", "大.csv", servicetest.UnitHeadings+unit+strings.Repeat(",,,,,,,\n", 1<<18)).Want(http.StatusOK)
	})
	t.Run("a title list of what is there", func(t *testing.T) {
		clerk.Import(estate, "titles", "业主名册.csv", servicetest.TitleHeadings+title).Want(http.StatusOK)
	})
}

func TestLaterPapersCorrect(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(events.Clerk, estate)
	homes := s.Homes(estate, "1-101", "1-102")
	stream := events.UnitStream + homes[0].Unit

	report := clerk.Import(estate, "units", "房屋清册.csv", servicetest.UnitHeadings+"1-101,1,1,1-101,住宅,101.00,实测,已交付\n").Want(http.StatusOK).Report()
	if report.Recorded != 1 {
		t.Fatalf("report %+v", report)
	}
	owner := estate + "1-101"
	report = clerk.Import(estate, "titles", "业主名册.csv", servicetest.TitleHeadings+
		"1-101,业主,身份证,"+owner+",13700000000,1/2,否\n1-101,新人,身份证,NEW,,1/2,是\n").Want(http.StatusOK).Report()
	if report.Recorded != 2 {
		t.Fatalf("report %+v", report)
	}
	if got := s.Types(stream); !slices.Equal(got, []string{"unit-registered.v1", "titles-stated.v1", "unit-corrected.v1", "titles-corrected.v1"}) {
		t.Fatalf("events %v", got)
	}
	if got := s.Types(events.PersonStream + homes[0].Owner); !slices.Equal(got, []string{"person-registered.v1", "personal-data-corrected.v1"}) {
		t.Fatalf("the owner's events %v", got)
	}
	// One that is missing has ended; a unit the paper does not name keeps its titles.
	clerk.Import(estate, "titles", "业主名册.csv", servicetest.TitleHeadings+"1-101,新人,身份证,NEW,,1/1,是\n").Want(http.StatusOK)
	s.CatchUp()
	if units := s.Directory.Titles(homes[0].Owner); len(units) != 0 {
		t.Fatalf("who sold still owns %v", units)
	}
	if units := s.Directory.Titles(homes[1].Owner); len(units) != 1 {
		t.Fatalf("the neighbour owns %v", units)
	}
	var electorate struct {
		Heads int
		Area  int `json:"area_centi_m2"`
	}
	s.Anyone().Get("/estates/" + estate + "/electorate").Want(http.StatusOK).Into(&electorate)
	if electorate.Heads != 2 || electorate.Area != 20100 {
		t.Fatalf("electorate %+v", electorate)
	}
}

func TestRowsThatDisagreeAboutAPersonAreOneStatement(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102")
	owner := estate + "1-101"
	list := servicetest.TitleHeadings + "1-101,业主,身份证," + owner + ",13700000000,1/1,是\n1-102,业主,身份证," + owner + ",13700000001,1/1,是\n"
	for range 3 {
		s.With(events.Clerk, estate).Import(estate, "titles", "业主名册.csv", list).Want(http.StatusOK)
	}
	if got := s.Types(events.PersonStream + homes[0].Owner); !slices.Equal(got, []string{"person-registered.v1", "personal-data-corrected.v1"}) {
		t.Fatalf("the owner's events %v", got)
	}
}

func TestPeopleAndRoles(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(events.Clerk, estate)
	data := body{"name": "林一", "document_kind": "身份证", "document": "ID-0001", "phone": "13800000000"}

	id := s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: "/people", As: s.Admin(), Not: clerk, Body: data,
		Other: body{"name": "林二", "document_kind": "身份证", "document": "ID-0001"},
		Wrong: map[string]body{"name": {"name": ""}, "document": {"document": ""}, "kind": {"kind": "鬼"}},
	}).ID()
	s.Admin().Post("/people", body{"name": "林", "document_kind": "身份证", "document": "——"}).Refused(http.StatusUnprocessableEntity, "not-a-document", "document")
	if again := s.Admin().Post("/people", data).Want(http.StatusOK).ID(); again != id {
		t.Fatalf("the same document is %s and %s", id, again)
	}

	s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: "/people/" + id + "/roles", As: s.Admin(), Not: clerk,
		Body: body{"role": "clerk", "estate": estate}, Other: body{"role": "provider", "estate": estate},
		Wrong: map[string]body{"role": {"role": "owner"}, "estate": {"estate": "x"}},
	})
	s.Admin().Post("/people/"+id+"/roles", body{"role": "clerk"}).Refused(http.StatusUnprocessableEntity, "role-needs-estate")
	s.Admin().Post("/people/"+id+"/roles", body{"role": "clerk", "estate": nowhere}).Refused(http.StatusNotFound, "no-such-estate")
	s.Admin().Post("/people/"+nowhere+"/roles", body{"role": "clerk", "estate": estate}).Refused(http.StatusNotFound, "no-such-person")

	person := s.Person(id)
	var me struct {
		ID     string
		Person body
		Roles  []struct{ Role, Estate string }
	}
	person.Get("/me").Want(http.StatusOK).Into(&me)
	if me.ID != id || me.Person["name"] != "林一" || len(me.Roles) != 1 || me.Roles[0].Role != "clerk" || me.Roles[0].Estate != estate {
		t.Fatalf("me %+v", me)
	}
	person.Put("/estates/"+estate, body{"name": "秀山"}).Want(http.StatusCreated)
	s.Exercise(servicetest.Command{
		Method: http.MethodDelete, Path: "/people/" + id + "/roles?role=clerk&estate=" + estate, As: s.Admin(), Not: clerk,
	})
	person.Put("/estates/"+estate, body{"name": "秀山2"}).Refused(http.StatusForbidden, "not-allowed")

	s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: "/me/corrections", As: person,
		Body: body{"words": "电话换了"}, Other: body{"words": "名字错了"}, Wrong: map[string]body{"words": {"words": ""}},
	})
	clerk.Post("/me/corrections", body{"words": "电话换了"}).Refused(http.StatusForbidden, "not-a-person")

	s.Exercise(servicetest.Command{
		Method: http.MethodPut, Path: "/people/" + id, As: s.Admin(), Not: clerk,
		Body:  body{"name": "林一", "document_kind": "身份证", "document": "ID-0001", "phone": "13900000000"},
		Other: body{"name": "林一", "document_kind": "身份证", "document": "ID-0001"},
		Wrong: map[string]body{"name": {"name": ""}},
	})
	types := s.Types(events.PersonStream + id)
	if last := types[len(types)-1]; last != "personal-data-corrected.v1" {
		t.Fatalf("events %v", types)
	}
	other, _ := s.Someone(estate)
	s.Admin().Put("/people/"+other, data).Refused(http.StatusConflict, "document-taken")
	s.Admin().Put("/people/"+nowhere, data).Refused(http.StatusNotFound, "no-such-person")
	person.Get("/me").Want(http.StatusOK).Into(&me)
	if me.Person["phone"] != "13900000000" {
		t.Fatalf("me %+v", me)
	}
	s.Anyone().Get("/me").Refused(http.StatusUnauthorized, "login-needed")
	if program := clerk.Get("/me").Want(http.StatusOK); strings.Contains(string(program.Body), `"person"`) {
		t.Fatalf("a program has personal data: %s", program)
	}
}

func TestReadingPersonalDataIsRecordedFirst(t *testing.T) {
	s := servicetest.Start(t, servicetest.Config{Wait: 2 * time.Second})
	estate := s.Estate("秀山花园")
	owner := s.Homes(estate, "1-101")[0].Owner
	clerk := s.With(events.Clerk, estate)
	stranger := s.With(events.Clerk, s.Estate("别处"))
	path := "/people/" + owner

	clerk.Get(path).Refused(http.StatusUnprocessableEntity, "invalid", "reason")
	clerk.Get(path+"?reason=打电话给张三").Refused(http.StatusUnprocessableEntity, "invalid", "reason")
	s.Anyone().Get(path+"?reason=notice-delivery").Refused(http.StatusUnauthorized, "login-needed")
	stranger.Get(path+"?reason=notice-delivery").Refused(http.StatusForbidden, "not-allowed")
	s.With(events.Regulator, "").Get(path+"?reason=notice-delivery").Refused(http.StatusForbidden, "not-allowed")
	s.Admin().Get("/people/"+nowhere+"?reason=notice-delivery").Refused(http.StatusNotFound, "no-such-person")
	if got := s.Types(events.PersonStream + owner); len(got) != 1 {
		t.Fatalf("refused readings are recorded: %v", got)
	}
	var got struct{ ID, Name, Document string }
	answer := clerk.Get(path + "?reason=notice-delivery").Want(http.StatusOK).Into(&got)
	if got.ID != owner || got.Name != "业主" || got.Document != estate+"1-101" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s with %v", answer, answer.Header)
	}
	records := s.Events(events.PersonStream + owner)
	last := records[len(records)-1]
	event, err := events.Codec.Decode(last.Type, last.Data)
	if read, ok := event.(events.PersonalDataRead); err != nil || !ok || read.Reason != events.ForNotice || !strings.HasPrefix(read.Reader, "token:") || len(read.Fields) != 3 {
		t.Fatalf("recorded %+v, %v", event, err)
	}

	s.Ledger.Stop()
	clerk.Get(path+"?reason=notice-delivery").Refused(http.StatusServiceUnavailable, "reading-not-recorded")
	clerk.Post(path+"/login-codes", nil).Refused(http.StatusServiceUnavailable, "code-not-recorded")
}

func TestReadingOnesOwnDataIsNoEvent(t *testing.T) {
	s := servicetest.New(t)
	owner := s.Homes(s.Estate("秀山花园"), "1-101")[0].Owner
	before := s.Types(events.PersonStream + owner)
	s.Person(owner).Get("/me").Want(http.StatusOK)
	if after := s.Types(events.PersonStream + owner); !slices.Equal(before, after) {
		t.Fatalf("the ledger shows when someone looks at their own data: %v", after)
	}
}

func TestWhoCorrectsReadsWhatIsToBeCorrected(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102")
	owner, clerk := homes[0].Owner, s.With(events.Clerk, estate)
	for _, words := range []string{"名字里的字错了", "电话换了"} {
		s.Person(owner).Post("/me/corrections", body{"words": words}).Want(http.StatusCreated)
	}
	path := "/people/" + owner + "/corrections"
	clerk.Get(path).Refused(http.StatusUnprocessableEntity, "invalid", "reason")
	s.Anyone().Get(path+"?reason=correction").Refused(http.StatusUnauthorized, "login-needed")
	s.Person(homes[1].Owner).Get(path+"?reason=correction").Refused(http.StatusForbidden, "not-allowed")
	s.With(events.Clerk, s.Estate("别处")).Get(path+"?reason=correction").Refused(http.StatusForbidden, "not-allowed")
	s.Admin().Get("/people/"+nowhere+"/corrections?reason=correction").Refused(http.StatusNotFound, "no-such-person")

	var list struct {
		Items []struct {
			Asked time.Time
			Words string
		}
	}
	clerk.Get(path + "?reason=correction").Want(http.StatusOK).Into(&list)
	if len(list.Items) != 2 || list.Items[0].Words != "名字里的字错了" || list.Items[1].Words != "电话换了" || list.Items[0].Asked.IsZero() {
		t.Fatalf("asked for %+v", list.Items)
	}
	records := s.Events(events.PersonStream + owner)
	event, err := events.Codec.Decode(records[len(records)-1].Type, records[len(records)-1].Data)
	if read, ok := event.(events.PersonalDataRead); err != nil || !ok || !slices.Equal(read.Fields, []string{"correction"}) || read.Reason != events.ForCorrection {
		t.Fatalf("recorded %+v, %v", event, err)
	}

	if err := s.Vault.DestroyKey(t.Context(), vault.PersonKey(owner)); err != nil {
		t.Fatal(err)
	}
	clerk.Get(path + "?reason=correction").Want(http.StatusOK).Into(&list)
	if len(list.Items) != 2 || list.Items[0].Words != "" || list.Items[1].Words != "" {
		t.Fatalf("erased and still readable: %+v", list.Items)
	}
}

func TestTokens(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	id, person := s.Someone(estate, events.Committee)
	clerk := s.With(events.Clerk, estate)
	tomorrow := s.Clock.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	type issued struct{ ID, Token string }

	var program issued
	s.Exercise(servicetest.Command{
		Method: http.MethodPost, Path: "/tokens", As: s.Admin(), Not: clerk,
		Body: body{"role": "clerk", "estate": estate, "label": "门岗", "expires": tomorrow}, Other: body{"role": "provider", "estate": estate, "expires": tomorrow},
		Wrong: map[string]body{"role": {"role": "owner"}, "expires": {"expires": "morgen"}},
	}).Into(&program)
	if again := s.Types(events.TokenStream + program.ID); len(again) != 1 {
		t.Fatalf("events %v", again)
	}
	secret := strings.SplitN(program.Token, "_", 3)[2]
	if found := s.Find(secret); len(found) != 0 || len(secret) < 40 {
		t.Fatalf("the secret %q can be read in %v", secret, found)
	}
	s.As(program.Token).Put("/estates/"+estate, body{"name": "秀山"}).Want(http.StatusCreated)
	s.As(program.Token).Put("/estates/"+s.Estate("别处"), body{"name": "秀山"}).Refused(http.StatusForbidden, "not-allowed")
	s.As(program.Token+"x").Get("/estates").Refused(http.StatusUnauthorized, "token-unknown")

	for code, wrong := range map[string]body{
		"token-holder":      {"expires": tomorrow},
		"role-needs-estate": {"role": "clerk", "expires": tomorrow},
		"token-expiry":      {"role": "clerk", "estate": estate, "expires": tomorrow.AddDate(3, 0, 0)},
	} {
		s.Admin().Post("/tokens", wrong).Refused(http.StatusUnprocessableEntity, code)
	}
	s.Admin().Post("/tokens", body{"person": nowhere, "expires": tomorrow}).Refused(http.StatusNotFound, "no-such-person")
	s.Admin().Post("/tokens", body{"role": "clerk", "estate": nowhere, "expires": tomorrow}).Refused(http.StatusNotFound, "no-such-estate")

	// An administrator of one estate issues and revokes what holds there, and no more.
	local := s.With(events.Administrator, estate)
	var theirs issued
	local.Post("/tokens", body{"role": "provider", "estate": estate, "expires": tomorrow}).Want(http.StatusCreated).Into(&theirs)
	local.Post("/tokens", body{"role": "administrator", "expires": tomorrow}).Refused(http.StatusForbidden, "not-allowed")
	local.Post("/tokens", body{"person": id, "estate": estate, "expires": tomorrow}).Refused(http.StatusForbidden, "not-allowed")
	clerk.Delete("/tokens/"+theirs.ID).Refused(http.StatusForbidden, "not-allowed")
	s.With(events.Administrator, s.Estate("远处")).Delete("/tokens/"+theirs.ID).Refused(http.StatusForbidden, "not-allowed")
	local.Delete("/tokens/" + theirs.ID).Want(http.StatusCreated)

	// A person makes and ends tokens of their own.
	var own issued
	person.Post("/tokens", body{"person": id, "expires": tomorrow}).Want(http.StatusCreated).Into(&own)
	_, neighbour := s.Someone(estate)
	neighbour.Post("/tokens", body{"person": id, "expires": tomorrow}).Refused(http.StatusForbidden, "not-allowed")
	neighbour.Delete("/tokens/"+own.ID).Refused(http.StatusForbidden, "not-allowed")
	s.As(own.Token).Get("/me").Want(http.StatusOK)
	s.Exercise(servicetest.Command{Method: http.MethodDelete, Path: "/tokens/" + own.ID, As: person, Not: neighbour})
	s.As(own.Token).Get("/me").Refused(http.StatusUnauthorized, "token-unknown")
	s.Admin().Delete("/tokens/"+nowhere).Refused(http.StatusNotFound, "no-such-token")

	s.Clock.Advance(25 * time.Hour)
	s.As(program.Token).Get("/estates").Refused(http.StatusUnauthorized, "token-expired")
}

func TestLoggingIn(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	owner := s.Homes(estate, "1-101")[0].Owner
	clerk := s.With(events.Clerk, estate)
	official, _ := s.Someone(estate, events.Committee)
	code := func(as *servicetest.Client, id string) string {
		t.Helper()
		var out struct{ Code string }
		as.Post("/people/"+id+"/login-codes", nil).Want(http.StatusCreated).Into(&out)
		return out.Code
	}
	s.Anyone().Post("/people/"+owner+"/login-codes", nil).Refused(http.StatusUnauthorized, "login-needed")
	s.With(events.Provider, estate).Post("/people/"+owner+"/login-codes", nil).Refused(http.StatusForbidden, "not-allowed")
	clerk.Post("/people/"+official+"/login-codes", nil).Refused(http.StatusForbidden, "not-allowed")
	s.Admin().Post("/people/"+nowhere+"/login-codes", nil).Refused(http.StatusNotFound, "no-such-person")

	first, second := code(clerk, owner), code(clerk, owner)
	logIn := func(code string) *servicetest.Answer {
		return s.Anyone().Post("/sessions", body{"code": code}, servicetest.Key(""))
	}
	logIn(first).Refused(http.StatusUnauthorized, "code-wrong") // a new code ends the one before
	logIn("AAAAA-AAAAA").Refused(http.StatusUnauthorized, "code-wrong")
	logIn("").Refused(http.StatusUnprocessableEntity, "invalid", "code")
	var session struct{ Person, Token string }
	logIn(strings.ToLower(second)).Want(http.StatusCreated).Into(&session)
	if session.Person != owner {
		t.Fatalf("logged in as %s", session.Person)
	}
	logIn(second).Refused(http.StatusUnauthorized, "code-wrong") // once
	for _, hidden := range []string{first, second, session.Token} {
		if found := s.Find(hidden); len(found) > 0 {
			t.Fatalf("a code or token can be read in %v", found)
		}
	}
	me := s.As(session.Token)
	me.Get("/me").Want(http.StatusOK)
	s.Anyone().Delete("/sessions").Refused(http.StatusUnauthorized, "login-needed")
	me.Delete("/sessions").Want(http.StatusNoContent)
	me.Get("/me").Refused(http.StatusUnauthorized, "session-ended")

	// Every code has left its trace, also one made with a key that was sent before.
	for range 2 {
		clerk.Post("/people/"+owner+"/login-codes", nil, servicetest.Key("the same key")).Want(http.StatusCreated)
	}
	var mine struct {
		Codes []struct {
			By      string
			Expires time.Time
		} `json:"login_codes"`
	}
	s.Person(owner).Get("/me").Want(http.StatusOK).Into(&mine)
	made := 0
	for _, r := range s.Events(events.PersonStream + owner) {
		if event, err := events.Codec.Decode(r.Type, r.Data); err != nil {
			t.Fatal(err)
		} else if e, ok := event.(events.LoginCodeMade); ok {
			if made++; e.Person != owner || !strings.HasPrefix(e.By, "token:") || e.Expires.IsZero() {
				t.Fatalf("recorded %+v", e)
			}
		}
	}
	if made != 4 || len(mine.Codes) != 4 || !strings.HasPrefix(mine.Codes[0].By, "token:") {
		t.Fatalf("%d codes recorded, %+v shown to their owner", made, mine.Codes)
	}

	late := code(clerk, owner)
	s.Clock.Advance(25 * time.Hour)
	logIn(late).Refused(http.StatusUnauthorized, "code-wrong")

	logIn(code(s.Admin(), owner)).Want(http.StatusCreated).Into(&session)
	s.Clock.Advance(13 * time.Hour)
	s.As(session.Token).Get("/me").Refused(http.StatusUnauthorized, "session-ended")
}

// Names, documents and phones are in the vault, readable with its key alone: in no
// event, read model, blob or log line, and in no answer but to who may read them.
func TestPersonalDataIsNowhereElse(t *testing.T) {
	s := servicetest.New(t)
	estate := s.Estate("秀山花园")
	clerk := s.With(events.Clerk, estate)
	planted := []string{"欧阳查无此人", "ZX99887766554433", "19912345678", "诸葛另一位", "QY11223344556677", "18887654321", "请把我的名字改成司马懿"}
	clerk.Import(estate, "units", "u.csv", servicetest.UnitHeadings+"1-101,1,1,101,住宅,1,登记,已交付\n").Want(http.StatusOK)
	titles := servicetest.TitleHeadings + "1-101," + planted[0] + ",身份证," + planted[1] + "," + planted[2] + ",1/2,是\n1-101," + planted[3] + ",身份证," + planted[4] + "," + planted[5] + ",1/2,否\n"
	var said []*servicetest.Answer
	ask := func(a *servicetest.Answer) { said = append(said, a) }
	ask(clerk.Import(estate, "titles", "t.csv", titles).Want(http.StatusOK))
	// Wrong in every column, slipped by one cell, and with quotation marks that do not pair.
	row := strings.TrimPrefix(strings.Split(titles, "\n")[1], "1-101,")
	for _, wrong := range []string{"9-9," + row, "1-101,x," + row, "1-101," + strings.ReplaceAll(row, "1/2", planted[2]), row, "1-101,\"" + row, "=" + row} {
		ask(clerk.Import(estate, "titles", "t.csv", servicetest.TitleHeadings+wrong+"\n").Want(http.StatusUnprocessableEntity))
	}
	person, ok, err := s.Vault.PersonByDocument(t.Context(), planted[1])
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	s.Person(person).Post("/me/corrections", body{"words": planted[6]}).Want(http.StatusCreated)
	data := body{"name": planted[0], "document_kind": "身份证", "document": planted[1], "phone": planted[2]}
	ask(s.Admin().Post("/people", data))
	ask(s.Admin().Post("/people", body{"name": planted[0], "document_kind": "身份证", "document": planted[1], "phone": []string{planted[2]}}))
	ask(s.Admin().Post("/people", body{"name": planted[0], "document_kind": "身份证", "document": planted[1], planted[5]: 1}).Want(http.StatusUnprocessableEntity))
	if answer := s.Person(person).Get("/me").Want(http.StatusOK); !strings.Contains(string(answer.Body), planted[1]) {
		t.Fatalf("the owner cannot read their own data: %s", answer)
	}
	for _, path := range []string{"/estates", "/estates/" + estate, "/estates/" + estate + "/units", "/ledger/events?limit=1000", "/ledger/streams/person-" + person} {
		ask(s.Anyone().Get(path).Want(http.StatusOK))
	}
	s.CatchUp()
	for i, text := range planted {
		if found := s.Find(text); len(found) > 0 {
			t.Errorf("planted text %d can be read in %v", i, found)
		}
		for _, a := range said {
			// A field's name is the sender's own choice and is named to the sender.
			if strings.Contains(string(a.Body), text) && !strings.Contains(string(a.Body), `"name":"`+planted[5]) {
				t.Errorf("planted text %d is answered: %s", i, a)
			}
		}
	}
	sealed := s.Events(events.PersonStream + person)
	event, err := events.Codec.Decode(sealed[len(sealed)-1].Type, sealed[len(sealed)-1].Data)
	asked, ok := event.(events.CorrectionRequested)
	if err != nil || !ok {
		t.Fatalf("%T %v", event, err)
	}
	if words, err := s.Vault.Open(t.Context(), vault.PersonKey(person), "words", string(asked.Words)); err != nil || string(words) != planted[6] {
		t.Fatalf("the words are %q, %v", words, err)
	}
}
