package finance_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/contracts"
	money "github.com/yimu-ledger/yimu/services/finance"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
)

var parts = []servicetest.Part{
	{Context: ledger.Agreements, New: func(ctx context.Context, s *servicetest.System, deps service.Deps) (*service.Service, error) {
		return contracts.New(ctx, deps, contracts.Config{Owners: s.Directory.Owners})
	}},
	{Context: ledger.Finance, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return money.New(ctx, deps, money.Config{Ready: func() bool { return false }}) // nothing by itself at midnight
	}},
}

// papers of the demo estate, in the order in which an office hands them in.
var papers = [][2]string{
	{"units", "房屋清册.csv"}, {"titles", "业主名册.csv"}, {"agreement", "委托合同.json"},
	{"budget", "预算.csv"}, {"vouchers", "收支凭证.csv"}, {"payments", "物业费收款.csv"},
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../yimu/demo/xiushan", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

type expected struct {
	Collection []map[string]any `json:"collection"`
	Budget     []map[string]any `json:"budget"`
}

// compare compares the fields that are expected with what is served.
func compare(t *testing.T, c *servicetest.Client, estate string) {
	t.Helper()
	var want expected
	if err := json.Unmarshal([]byte(read(t, "expected.json")), &want); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]map[string]any{"/collection": want.Collection, "/budget?year=2022": want.Budget} {
		got := servicetest.Items[map[string]any](c.Get("/estates/" + estate + path).Want(http.StatusOK))
		if len(got) != len(want) {
			t.Fatalf("%s: %d items, want %d: %v", path, len(got), len(want), got)
		}
		for i, item := range want {
			for name, value := range item {
				if !reflect.DeepEqual(got[i][name], value) {
					t.Errorf("%s, item %d: %s is %v, want %v", path, i, name, got[i][name], value)
				}
			}
		}
	}
}

func TestThePapersOfTheDemoEstateLeadToItsFigures(t *testing.T) {
	s := servicetest.New(t, parts...)
	estate := s.Estate("秀山花园")
	clerk := s.With(registry.Clerk, estate)
	imported := func() (events int) {
		for _, p := range papers {
			report := clerk.Import(estate, p[0], p[1], read(t, p[1])).Want(http.StatusOK).Report()
			if !report.Done || report.Mistakes > 0 {
				t.Fatalf("%s: %+v", p[0], report.Errors)
			}
		}
		clerk.Post("/estates/"+estate+"/bills", nil)
		s.CatchUp()
		return len(s.Events())
	}
	first := imported()
	compare(t, s.Anyone(), estate)
	live := s.Rows("finance")

	if again := imported(); again != first {
		t.Errorf("%d events after a second import, %d after the first", again, first)
	}
	s.Rebuild("finance")
	compare(t, s.Anyone(), estate)
	if replayed := s.Rows("finance"); replayed != live {
		t.Error("the tables replayed are not those that followed live")
	}

	var year struct {
		Balance     int64 `json:"balance_fen"`
		Opening     int64 `json:"opening_fen"`
		Income      int64 `json:"income_fen"`
		Expenditure int64 `json:"expenditure_fen"`
		Suspense    int64 `json:"suspense_fen"`
	}
	s.Anyone().Get("/estates/" + estate + "/budget").Want(http.StatusOK).Into(&year)
	if year.Income-year.Expenditure != year.Balance || year.Income != 24489768+943400+342100 || year.Suspense != 0 {
		t.Errorf("got %+v", year)
	}
	// What the ledger says of a payment tells nothing of who paid what, and no
	// two say something that is equal where they are.
	hashes := map[string]bool{}
	for _, e := range s.Events(finance.PaymentStream) {
		var data map[string]any
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		sealed := data["sealed"].(string)
		for _, public := range []string{"payment", "estate", "received", "channel", "sealed"} {
			delete(data, public)
		}
		meta, err := es.ParseMeta(e.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 || len(sealed) != sealedLength || hashes[meta.Hash] || hashes[sealed] || !meta.Past {
			t.Fatalf("a payment tells %v, %d bytes sealed, past %t", data, len(sealed), meta.Past)
		}
		hashes[meta.Hash], hashes[sealed] = true, true
	}
}

// sealedLength is that of every sealed payment: base64 of 12 bytes of nonce, 16
// of tag, 5 of prefix and 4 of length around 384.
const sealedLength = (384 + 4 + 12 + 16 + 5 + 2) / 3 * 4

const (
	agreement = `{"kind":"委托制物业","principals":["街道"],"provider":"物业公司","starts":"2022-07-21","ends":"2022-09-30","fee":{"住宅":"0.90元/㎡·月"},"services":[],"optional":[]}`
	budget    = "年度,期间,方向,科目,预算金额(元)\n2022,2022-07~2022-12,收入,物业服务费,500.00\n2022,2022-07~2022-12,支出,设施维修,100.00\n"
	vouchers  = "日期,凭证号,方向,科目,金额(元),摘要,对方,附件sha256\n"
	payments  = "收款日期,流水号,房屋编号,所属账期,金额(元),渠道\n"
)

// desk is an estate of two homes of 100 ㎡ that owe 90 yuan a month each, for
// July to September 2022, and the clerk who keeps its papers.
type desk struct {
	*servicetest.System
	t      *testing.T
	estate string
	at     string // path of the estate
	homes  []servicetest.Home
	clerk  *servicetest.Client
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	s := servicetest.New(t, parts...)
	d := &desk{System: s, t: t, estate: s.Estate("秀山花园")}
	d.at, d.clerk = "/estates/"+d.estate, s.With(registry.Clerk, d.estate)
	d.homes = s.Homes(d.estate, "1-101", "1-102")
	d.imports("agreement", agreement)
	d.imports("budget", budget)
	return d
}

func (d *desk) imports(kind, content string) *paper.Report {
	d.t.Helper()
	return d.clerk.Import(d.estate, kind, kind+".csv", content).Want(http.StatusOK).Report()
}

// year is the public figures of 2022.
type year struct {
	Income, Expenditure, Balance, Suspense int64
	Collected                              []int64 // by month billed or paid for
}

func (d *desk) year() (y year) {
	d.t.Helper()
	var b struct {
		Income      int64 `json:"income_fen"`
		Expenditure int64 `json:"expenditure_fen"`
		Balance     int64 `json:"balance_fen"`
		Suspense    int64 `json:"suspense_fen"`
	}
	d.Anyone().Get(d.at + "/budget?year=2022").Want(http.StatusOK).Into(&b)
	y = year{b.Income, b.Expenditure, b.Balance, b.Suspense, nil}
	for _, p := range servicetest.Items[struct {
		Collected int64 `json:"collected_fen"`
	}](d.Anyone().Get(d.at + "/collection").Want(http.StatusOK)) {
		y.Collected = append(y.Collected, p.Collected)
	}
	return y
}

func (d *desk) want(when string, want year) {
	d.t.Helper()
	if got := d.year(); !reflect.DeepEqual(got, want) {
		d.t.Fatalf("%s: got %+v, want %+v", when, got, want)
	}
}

// replays wants the tables to be the same after they were emptied and replayed.
func (d *desk) replays() {
	d.t.Helper()
	live := d.Rows("finance")
	d.Rebuild("finance")
	if replayed := d.Rows("finance"); replayed != live {
		d.t.Errorf("live:\n%s\nreplayed:\n%s", live, replayed)
	}
}

func (d *desk) post() { d.t.Helper(); d.clerk.Post(d.at+"/collections", map[string]any{}) }

type payment struct {
	ID        string `json:"id"`
	Unit      string `json:"unit"`
	Period    string `json:"period"`
	Amount    int64  `json:"amount_fen"`
	Refunded  int64  `json:"refunded_fen"`
	Suspense  bool   `json:"suspense"`
	Shared    bool   `json:"shared"`
	Reference string `json:"reference"`
}

func receipt(reference, unit, period string, fen int64) map[string]any {
	return map[string]any{"received": "2022-07-21", "reference": reference, "unit": unit, "period": period, "amount_fen": fen, "channel": "微信"}
}

func TestPublicFiguresMoveWithPostedTotals(t *testing.T) {
	d := newDesk(t)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusOK)
	d.want("billed", year{Collected: []int64{0, 0, 0}})
	d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated)
	d.want("a single payment moves nothing", year{Collected: []int64{0, 0, 0}})
	d.clerk.Post(d.at+"/collections", map[string]any{"day": "2022-07-20"}).Want(http.StatusOK)
	d.want("nor does another day", year{Collected: []int64{0, 0, 0}})
	d.clerk.Post(d.at+"/collections", map[string]any{"day": "2022-07-21"}).Want(http.StatusCreated)
	d.want("its day does", year{Income: 9000, Balance: 9000, Collected: []int64{9000, 0, 0}})
	d.clerk.Post(d.at+"/collections", nil).Want(http.StatusOK)

	d.imports("payments", payments+"2022-08-02,P2,1-102,2022-07,90.00,现金\n2022-08-02,P2,1-102,2022-08,90.00,现金\n")
	d.want("an import posts its own", year{Income: 27000, Balance: 27000, Collected: []int64{18000, 9000, 0}})
	type entry struct {
		Kind, Number string
		Amount       int64 `json:"amount_fen"`
	}
	if got := servicetest.Items[entry](d.Anyone().Get(d.at + "/entries?year=2022&category=物业服务费&direction=收入")); !reflect.DeepEqual(got, []entry{{"collection", "2022-07-21", 9000}, {"collection", "2022-08-02", 18000}}) {
		t.Errorf("got %+v", got)
	}
	if got := servicetest.Items[entry](d.Anyone().Get(d.at + "/entries?period=2022-07")); !reflect.DeepEqual(got, []entry{{"collection", "2022-07-21", 9000}, {"collection", "2022-08-02", 9000}}) {
		t.Errorf("got %+v", got)
	}
}

func TestAPaymentIsKnownByReferenceUnitAndPeriod(t *testing.T) {
	d := newDesk(t)
	first := d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated).Recorded()
	again := d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated).Recorded()
	if !again.Repeated || again.ID != first.ID || again.Position != first.Position {
		t.Errorf("the same again: %+v, first %+v", again, first)
	}
	d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9001)).Refused(http.StatusConflict, "payment-changed")
	r := d.imports("payments", payments+
		"2022-07-21,P1,1-101,2022-07,90.00,微信\n"+ // the one above
		"2022-07-21,P1,1-101,2022-07,90.01,微信\n"+
		"2022-07-21,P1,1-102,2022-07,90.00,微信\n")
	if r.Recorded != 1 || r.Unchanged != 1 || r.Rejected != 1 || len(r.Errors) != 1 || r.Errors[0].Row != 3 || r.Errors[0].Code != "payment-changed" {
		t.Errorf("got %+v", r)
	}
	shared := servicetest.Items[payment](d.clerk.Get(d.at + "/payments?shared=true"))
	if len(shared) != 1 || shared[0].Unit != "1-102" || shared[0].Amount != 9000 {
		t.Errorf("got %+v", shared)
	}
}

func TestSuspense(t *testing.T) {
	d := newDesk(t)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.imports("payments", payments+"2022-07-21,P1,9-999,2022-07,90.00,微信\n2022-07-21,P2,1-101,2023-07,80.00,微信\n2022-07-21,P3,,,70.00,\n")
	d.want("held", year{Suspense: 24000, Collected: []int64{0, 0, 0}})
	held := servicetest.Items[payment](d.clerk.Get(d.at + "/payments?suspense=true"))
	byReference := map[string]string{}
	for _, p := range held {
		byReference[p.Reference] = "/payments/" + p.ID
	}
	if len(byReference) != 3 {
		t.Fatalf("got %+v", held)
	}
	d.clerk.Post(byReference["P1"]+"/attribute", map[string]any{"unit": "9-999", "period": "2022-07"}).Refused(http.StatusUnprocessableEntity, "not-billed")
	d.clerk.Post(byReference["P1"]+"/attribute", map[string]any{"unit": "1-101", "period": "2022-07"}).Want(http.StatusCreated)
	d.clerk.Post(byReference["P1"]+"/attribute", map[string]any{"unit": "1-101", "period": "2022-07"}).Refused(http.StatusConflict, "payment-not-in-suspense")
	d.clerk.Post(byReference["P3"]+"/refund", map[string]any{"amount_fen": 7001, "reason": "wrong-unit"}).Refused(http.StatusUnprocessableEntity, "refund-too-large")
	d.clerk.Post(byReference["P3"]+"/refund", map[string]any{"amount_fen": 7000, "reason": "wrong-unit"}).Want(http.StatusCreated)
	d.clerk.Post(byReference["P3"]+"/refund", map[string]any{"amount_fen": 1, "reason": "wrong-unit"}).Refused(http.StatusConflict, "payment-refunded")
	d.post()
	d.want("attributed and paid back", year{Income: 9000, Balance: 9000, Suspense: 15000, Collected: []int64{9000, 0, 0}})

	// The office mends its paper: the same payment under its right unit.
	r := d.imports("payments", payments+"2022-07-21,P1,1-101,2022-07,90.00,微信\n2022-07-21,P2,1-101,2023-07,80.00,微信\n")
	if r.Unchanged != 2 || r.Recorded != 0 {
		t.Errorf("got %+v", r)
	}
	r = d.imports("payments", payments+"2022-07-21,P1,1-101,2022-07,91.00,微信\n")
	if r.Rejected != 1 || r.Errors[0].Code != "payment-changed" {
		t.Errorf("got %+v", r)
	}
	d.replays()
}

func TestPaymentsThatCameBeforeTheAgreementAreAttributedWhenBillsAreRaised(t *testing.T) {
	s := servicetest.New(t, parts...)
	d := &desk{System: s, t: t, estate: s.Estate("秀山花园")}
	d.at, d.clerk = "/estates/"+d.estate, s.With(registry.Clerk, d.estate)
	d.imports("payments", payments+"2022-07-21,P1,1-101,2022-07,90.00,微信\n")
	d.want("nothing is known yet", year{Suspense: 9000})
	s.Homes(d.estate, "1-101", "1-102")
	d.imports("agreement", agreement)
	d.imports("budget", budget)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.want("now it is", year{Income: 9000, Balance: 9000, Collected: []int64{9000, 0, 0}})
}

func TestARefundIsAnEntryOfItsOwn(t *testing.T) {
	d := newDesk(t)
	id := d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated).ID()
	body := map[string]any{"amount_fen": 1000, "reason": "overpayment"}
	d.clerk.Post("/payments/"+id+"/refund", body, servicetest.Key("refund-one")).Want(http.StatusCreated)
	if again := d.clerk.Post("/payments/"+id+"/refund", body, servicetest.Key("refund-one")).Want(http.StatusCreated).Recorded(); !again.Repeated {
		t.Error("the same refund was paid twice")
	}
	d.clerk.Post("/payments/"+id+"/refund", map[string]any{"amount_fen": 8001, "reason": "overpayment"}).Refused(http.StatusUnprocessableEntity, "refund-too-large")
	got := servicetest.Items[payment](d.clerk.Get(d.at + "/payments"))
	if len(got) != 1 || got[0].Amount != 9000 || got[0].Refunded != 1000 {
		t.Errorf("got %+v", got)
	}
	d.clerk.Post("/payments/"+id+"/refund", map[string]any{"amount_fen": 1, "reason": "多收了101室"}).Refused(http.StatusUnprocessableEntity, "invalid", "reason")
	d.clerk.Post("/payments/"+d.estate+"/refund", body).Refused(http.StatusNotFound, "no-such-payment")
}

func TestVouchersAndReversals(t *testing.T) {
	d := newDesk(t)
	hash := strings.Repeat("ab", 32)
	r := d.imports("vouchers", vouchers+
		"2022-07-02,PZ1,支出,设施维修,15.70,水泵,某公司,"+hash+"\n"+
		"2022-07-03,PZ2,支出,设施维修,15.70,水泵,某公司,"+hash+"\n"+
		"2022-07-04,PZ3,收入,广告,3.00,电梯广告,某公司,\n")
	if r.Recorded != 3 || r.Mistakes != 0 {
		t.Fatalf("got %+v", r)
	}
	d.want("both are counted", year{Income: 300, Expenditure: 3140, Balance: -2840})
	type entry struct {
		Kind, Number, Voucher string
		Amount                int64    `json:"amount_fen"`
		ReversedBy            string   `json:"reversed_by"`
		Reverses              string   `json:"reverses"`
		SameAs                []string `json:"same_attachment_as"`
	}
	list := servicetest.Items[entry](d.Anyone().Get(d.at + "/entries?year=2022&category=设施维修"))
	if len(list) != 2 || !reflect.DeepEqual(list[0].SameAs, []string{"PZ2"}) || !reflect.DeepEqual(list[1].SameAs, []string{"PZ1"}) {
		t.Fatalf("the same attachment is flagged on both: %+v", list)
	}
	at := "/vouchers/" + list[1].Voucher
	reversal := map[string]any{"number": "PZ4", "date": "2022-07-05", "reason": "重复"}
	d.clerk.Post(at+"/reverse", map[string]any{"number": "PZ1", "date": "2022-07-05", "reason": "重复"}).Refused(http.StatusConflict, "number-taken")
	d.clerk.Post(at+"/reverse", reversal).Want(http.StatusCreated)
	d.clerk.Post(at+"/reverse", reversal).Want(http.StatusOK)
	d.clerk.Post(at+"/reverse", map[string]any{"number": "PZ5", "date": "2022-07-05", "reason": "重复"}).Refused(http.StatusConflict, "voucher-reversed")
	d.want("reversed", year{Income: 300, Expenditure: 1570, Balance: -1270})
	var v struct {
		entry
		Reversal entry
	}
	d.Anyone().Get(at).Want(http.StatusOK).Into(&v)
	if v.ReversedBy != "PZ4" || v.Reversal.Reverses != "PZ2" || v.Reversal.Amount != -1570 {
		t.Errorf("got %+v", v)
	}

	post := func(number string, change map[string]any) *servicetest.Answer {
		body := map[string]any{"number": number, "date": "2022-07-06", "direction": "支出", "category": "设施维修", "amount_fen": 100, "text": "更正"}
		for k, v := range change {
			body[k] = v
		}
		return d.clerk.Post(d.at+"/vouchers", body)
	}
	post("PZ6", map[string]any{"corrects": "PZ2"}).Want(http.StatusCreated)
	post("PZ6", map[string]any{"corrects": "PZ2"}).Want(http.StatusOK)
	post("PZ6", map[string]any{"corrects": "PZ1"}).Refused(http.StatusConflict, "voucher-changed")
	post("PZ4", nil).Refused(http.StatusConflict, "number-taken")
	post("PZ7", map[string]any{"corrects": "PZ0"}).Refused(http.StatusUnprocessableEntity, "no-such-entry")
	post("PZ7", map[string]any{"direction": "收入", "category": "物业服务费"}).Refused(http.StatusUnprocessableEntity, "fed-by-payments")
	post("PZ7", map[string]any{"direction": "in"}).Refused(http.StatusUnprocessableEntity, "invalid", "direction")
	d.Anyone().Get("/vouchers/"+d.estate).Refused(http.StatusNotFound, "no-such-voucher")
	d.clerk.Post("/vouchers/"+d.estate+"/reverse", reversal).Refused(http.StatusNotFound, "no-such-voucher")
}

func TestAClosedMonthTakesNoEntries(t *testing.T) {
	d := newDesk(t)
	d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated)
	r := d.imports("vouchers", vouchers+"2022-07-02,PZ1,支出,设施维修,15.70,水泵,某公司,\n")
	if r.Recorded != 1 {
		t.Fatalf("got %+v", r)
	}
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/periods/2022-07/close", nil).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/periods/2022-07/close", nil).Want(http.StatusOK)
	d.clerk.Post(d.at+"/periods/"+d.Clock.Now().UTC().AddDate(0, 1, 0).Format("2006-01")+"/close", nil).Refused(http.StatusConflict, "period-not-over")
	closed := year{Income: 9000, Expenditure: 1570, Balance: 7430, Collected: []int64{9000, 0, 0}}
	d.want("its totals were posted", closed)

	r = d.imports("vouchers", vouchers+"2022-07-02,PZ1,支出,设施维修,15.70,水泵,某公司,\n2022-07-03,PZ2,支出,设施维修,1.00,水泵,某公司,\n")
	if r.Unchanged != 1 || r.Rejected != 1 || r.Errors[0].Code != "period-closed" || r.Errors[0].Row != 3 {
		t.Errorf("got %+v", r)
	}
	r = d.imports("payments", payments+"2022-07-21,P1,1-101,2022-07,90.00,微信\n2022-07-22,P2,1-102,2022-07,90.00,微信\n2022-08-01,P3,1-102,2022-07,90.00,微信\n")
	if r.Unchanged != 1 || r.Recorded != 1 || r.Rejected != 1 || r.Errors[0].Row != 3 {
		t.Errorf("got %+v", r)
	}
	closed.Income, closed.Balance, closed.Collected = 18000, 16430, []int64{18000, 0, 0}
	d.want("what comes later for a closed month counts in an open one", closed)

	// A unit that was missing is billed for the months that are open.
	d.Homes(d.estate, "1-103")
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	var billed []int64
	for _, p := range servicetest.Items[struct {
		Billed int64 `json:"billed_fen"`
	}](d.Anyone().Get(d.at + "/collection")) {
		billed = append(billed, p.Billed)
	}
	if !reflect.DeepEqual(billed, []int64{18000, 27000, 27000}) {
		t.Errorf("billed %v", billed)
	}
	d.replays()
}

func TestBillsOfMonthsAfterTheEndAreWithdrawn(t *testing.T) {
	d := newDesk(t)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	list := servicetest.Items[struct{ ID string }](d.Anyone().Get(d.at + "/agreements"))
	d.clerk.Post("/agreements/"+list[0].ID+"/end", map[string]any{"on": "2022-08-15", "reason": "解聘"}).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusOK)
	var billed []int64
	for _, p := range servicetest.Items[struct {
		Billed int64 `json:"billed_fen"`
	}](d.Anyone().Get(d.at + "/collection")) {
		billed = append(billed, p.Billed)
	}
	if !reflect.DeepEqual(billed, []int64{18000, 18000}) {
		t.Errorf("billed %v", billed)
	}
	d.replays()
}

func TestTheOpeningBalanceIsStatedOnce(t *testing.T) {
	d := newDesk(t)
	d.clerk.Post(d.at+"/opening", map[string]any{"on": "2022-07-01", "amount_fen": 5000}).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/opening", map[string]any{"on": "2022-07-01", "amount_fen": 5000}).Want(http.StatusOK)
	d.clerk.Post(d.at+"/opening", map[string]any{"on": "2022-07-01", "amount_fen": 6000}).Refused(http.StatusConflict, "opening-stated")
	d.want("it is in the balance", year{Balance: 5000})
}

func TestABudgetIsRevisedWhole(t *testing.T) {
	d := newDesk(t)
	line := map[string]any{"direction": "支出", "category": "绿化", "planned_fen": 100, "from": "2022-07", "to": "2022-12"}
	d.clerk.Put(d.at+"/budgets/2022", map[string]any{"lines": []any{line}}).Want(http.StatusCreated)
	d.clerk.Put(d.at+"/budgets/2022", map[string]any{"lines": []any{line, line}}).Refused(http.StatusUnprocessableEntity, "line-twice")
	type item struct {
		Category string
		Planned  int64 `json:"planned_fen"`
	}
	if got := servicetest.Items[item](d.Anyone().Get(d.at + "/budget")); !reflect.DeepEqual(got, []item{{"绿化", 100}}) {
		t.Errorf("got %+v", got)
	}
	r := d.clerk.Import(d.estate, "budget", "预算.csv", budget+"2022,2022-07~2022-12,支出,设施维修,1.00\n2022,2022-12~2022-07,支出,x,1\n2022,2022-07,out,x,=1\n").
		Want(http.StatusUnprocessableEntity).Report()
	if r.Code != paper.RowsWrong || r.Rejected != 3 || r.Mistakes != 4 {
		t.Errorf("got %+v", r)
	}
	if got := servicetest.Items[item](d.Anyone().Get(d.at + "/budget")); len(got) != 1 {
		t.Errorf("a wrong paper changed the budget: %+v", got)
	}
}

func TestBadRowsAreListedAndNeverRepeated(t *testing.T) {
	d := newDesk(t)
	bad := payments +
		"2022-07-21,SECRET1,1-101,2022-07,90.00,微信\n" +
		"2022-07-32,SECRET2,1-101,2022-07,90.00,微信\n" +
		"2022-07-21,,1-101,2022-07,90.00,微信\n" +
		"2022-07-21,SECRET4,1-101,2022-13,90.00,微信\n" +
		"2022-07-21,SECRET5,=1-101,2022-07,90.00,微信\n" +
		"2022-07-21,SECRET6,1-101,2022-07,90.001,微信\n" +
		"2022-07-21,SECRET7,1-101,2022-07,-90.00,微信\n" +
		"2022-07-21,SECRET8,1-101,2022-07,0,微信\n" +
		"2999-07-21,SECRET9,1-101,2022-07,90.00,微信\n" +
		"2022-07-21," + strings.Repeat("S", 65) + ",1-101,2022-07,90.00,微信\n"
	codes := func(r *paper.Report) (list []string) {
		for _, e := range r.Errors {
			list = append(list, strconv.Itoa(e.Row)+" "+e.Column+" "+e.Code)
		}
		return list
	}
	want := []string{
		"3 收款日期 not-a-day", "4 流水号 cell-blank", "5 所属账期 not-a-month", "6 房屋编号 formula-cell", "7 金额(元) not-an-amount",
		"8 金额(元) amount-not-positive", "9 金额(元) amount-not-positive", "10 收款日期 in-the-future", "11 流水号 cell-too-long",
	}
	dry := d.clerk.Do(http.MethodPost, d.at+"/papers/payments?dry_run=true", bad, servicetest.Header("Content-Type", "text/csv")).Want(http.StatusOK)
	if got := codes(dry.Report()); !reflect.DeepEqual(got, want) {
		t.Errorf("only checked: got %q", got)
	}
	if n := len(d.Events(finance.PaymentStream)); n != 0 {
		t.Errorf("checking recorded %d payments", n)
	}
	answer := d.clerk.Import(d.estate, "payments", "收款.csv", bad).Want(http.StatusOK)
	if got := codes(answer.Report()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if r := answer.Report(); r.Recorded != 1 || r.Rejected != 9 {
		t.Errorf("got %+v", r)
	}
	for _, cell := range []string{"SECRET", "90.0", "1-101", "2022-13"} {
		if strings.Contains(string(answer.Body), cell) {
			t.Errorf("the report repeats %s", cell)
		}
	}

	wrong := vouchers +
		"2022-07-02,PZ1,支出,设施维修,15.70,水泵,某公司,\n" +
		"2022-07-02,PZ1,支出,设施维修,15.71,水泵,某公司,\n" +
		"2022-07-02,PZ2,付款,设施维修,1.00,水泵,某公司,\n" +
		"2022-07-02,PZ3,支出,设施维修,0,水泵,某公司,\n" +
		"2022-07-02,PZ4,收入,物业服务费,1.00,x,某公司,\n" +
		"2022-07-02,PZ5,支出,设施维修,1.00,x,某公司,abc\n"
	want = []string{
		"3 凭证号 voucher-changed", "4 方向 not-a-choice", "5 金额(元) amount-zero", "6 科目 fed-by-payments", "7 附件sha256 not-a-hash",
	}
	dry = d.clerk.Do(http.MethodPost, d.at+"/papers/vouchers?dry_run=true", wrong, servicetest.Header("Content-Type", "text/csv")).Want(http.StatusOK)
	if got := codes(dry.Report()); !reflect.DeepEqual(got, want) {
		t.Errorf("only checked: got %q", got)
	}
	if r := d.imports("vouchers", wrong); !reflect.DeepEqual(codes(r), want) || r.Recorded != 1 {
		t.Errorf("got %q", codes(r))
	}
}

func TestSinglePaymentsAreForThoseTheyBelongTo(t *testing.T) {
	d := newDesk(t)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 8000)).Want(http.StatusCreated)
	owner, neighbour := d.Person(d.homes[0].Owner), d.Person(d.homes[1].Owner)
	type own struct {
		Unit, Period string
		Paid         int64 `json:"paid_fen"`
	}
	if got := servicetest.Items[own](owner.Get("/me/bills")); !reflect.DeepEqual(got, []own{{"1-101", "2022-09", 0}, {"1-101", "2022-08", 0}, {"1-101", "2022-07", 8000}}) {
		t.Errorf("got %+v", got)
	}
	if got := servicetest.Items[payment](owner.Get("/me/payments")); len(got) != 1 || got[0].Amount != 8000 || got[0].Reference != "P1" {
		t.Errorf("got %+v", got)
	}
	if got := servicetest.Items[payment](neighbour.Get("/me/payments")); len(got) != 0 {
		t.Errorf("the neighbour sees %+v", got)
	}
	type arrears struct {
		Unit string
		Owed int64 `json:"owed_fen"`
	}
	if got := servicetest.Items[arrears](owner.Get("/me/arrears")); !reflect.DeepEqual(got, []arrears{{"1-101", 19000}}) {
		t.Errorf("got %+v", got)
	}

	other := d.Estate("别处")
	regulator, elsewhere := d.With(registry.Regulator, d.estate), d.With(registry.Clerk, other)
	if got := servicetest.Items[payment](regulator.Get(d.at + "/payments")); len(got) != 1 {
		t.Errorf("the regulator sees %+v", got)
	}
	for name, answer := range map[string]*servicetest.Answer{
		"an owner reads all payments":       owner.Get(d.at + "/payments"),
		"a clerk of elsewhere reads them":   elsewhere.Get(d.at + "/payments"),
		"an owner records one":              owner.Post(d.at+"/payments", receipt("P2", "1-101", "2022-07", 1)),
		"a regulator posts totals":          regulator.Post(d.at+"/collections", nil),
		"a clerk of elsewhere raises bills": elsewhere.Post(d.at+"/bills", nil),
		"an owner closes a month":           owner.Post(d.at+"/periods/2022-07/close", nil),
		"a regulator states a balance":      regulator.Post(d.at+"/opening", map[string]any{"on": "2022-07-01", "amount_fen": 1}),
		"an owner imports payments":         owner.Import(d.estate, "payments", "x.csv", payments),
	} {
		if answer.Status != http.StatusForbidden {
			t.Errorf("%s: %s", name, answer)
		}
	}
	for name, answer := range map[string]*servicetest.Answer{
		"all payments": d.Anyone().Get(d.at + "/payments"), "own bills": d.Anyone().Get("/me/bills"), "own arrears": d.Anyone().Get("/me/arrears"),
		"a payment": d.Anyone().Post(d.at+"/payments", receipt("P2", "1-101", "2022-07", 1)),
	} {
		if answer.Status != http.StatusUnauthorized {
			t.Errorf("%s: %s", name, answer)
		}
	}
}

func TestPaymentsThatCannotBeOpenedStopNothingButTotals(t *testing.T) {
	d := newDesk(t)
	d.Unruly = true // some payments are written past the service
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated)
	d.post()
	was := year{Income: 9000, Balance: 9000, Collected: []int64{9000, 0, 0}}
	d.want("posted", was)

	seal := func(subject, text string) codec.Sealed {
		t.Helper()
		sealed, err := d.Vault.Seal(t.Context(), subject, "payment", []byte(text), 256)
		if err != nil {
			t.Fatal(err)
		}
		return codec.Sealed(sealed)
	}
	for id, sealed := range map[string]codec.Sealed{
		"with another key": seal(vault.EstateKey(uuid.NewString()), `{"unit":"1-101","period":"2022-07","amount_fen":1}`), "no payment": seal(vault.EstateKey(d.estate), "?"), "no ciphertext": "AAAA",
	} {
		data, err := json.Marshal(finance.PaymentReceived{Payment: id, Estate: d.estate, Received: "2022-07-22", Sealed: sealed})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Store.Append(t.Context(), finance.PaymentStream+uuid.NewString(), 0, es.Proposed{ID: uuid.New(), Type: "payment-received.v1", Data: data, Meta: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
	}
	d.clerk.Post(d.at+"/payments", receipt("P2", "1-102", "2022-07", 9000)).Want(http.StatusCreated)
	d.CatchUp()
	d.post()
	d.want("a total that lacks a payment would be wrong, so none is posted", was)
	if got := servicetest.Items[payment](d.clerk.Get(d.at + "/payments")); len(got) != 2 {
		t.Errorf("those that can be opened: %+v", got)
	}
	if n := strings.Count(d.Logs(), "a payment cannot be opened"); n != 1 {
		t.Errorf("it is logged %d times", n)
	}
	d.replays()
}

func TestAnEstateMustBeThere(t *testing.T) {
	d := newDesk(t)
	at := "/estates/00000000-0000-4000-8000-000000000000"
	for _, path := range []string{"/collection", "/budget", "/entries"} {
		d.Anyone().Get(at+path).Refused(http.StatusNotFound, "no-such-estate")
	}
	for path, body := range map[string]any{
		"/collections": nil, "/bills": nil, "/periods/2022-07/close": nil, "/payments": receipt("P1", "1-101", "2022-07", 1),
		"/opening": map[string]any{"on": "2022-07-01", "amount_fen": 1},
	} {
		d.Admin().Post(at+path, body).Refused(http.StatusNotFound, "no-such-estate")
	}
}

func TestPagesOfEntriesLoseNothing(t *testing.T) {
	d := newDesk(t)
	rows := vouchers
	for i := range 25 {
		rows += fmt.Sprintf("2022-07-%02d,PZ%02d,支出,设施维修,1.00,x,某公司,\n", 1+i%3, i)
	}
	d.imports("vouchers", rows)
	seen, after := map[string]bool{}, ""
	for pages := 0; ; pages++ {
		var page struct {
			Items []struct{ Number string }
			Next  string
		}
		d.Anyone().Get(d.at + "/entries?limit=10&after=" + after).Want(http.StatusOK).Into(&page)
		for _, e := range page.Items {
			if seen[e.Number] {
				t.Fatalf("%s stands on two pages", e.Number)
			}
			seen[e.Number] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(seen) != 25 {
		t.Errorf("%d entries", len(seen))
	}
}

func TestTheNightRaisesBillsAndPostsTheDaysThatAreOver(t *testing.T) {
	s := servicetest.New(t, append(parts[:1:1], servicetest.Part{Context: ledger.Finance, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return money.New(ctx, deps, money.Config{})
	}})...)
	d := &desk{System: s, t: t, estate: s.Estate("秀山花园")}
	d.at, d.clerk = "/estates/"+d.estate, s.With(registry.Clerk, d.estate)
	s.Homes(d.estate, "1-101")
	d.imports("agreement", agreement)
	d.imports("budget", budget)
	d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated)
	s.Clock.Advance(24 * time.Hour)
	s.Await("bills and totals", func() bool {
		return reflect.DeepEqual(d.year(), year{Income: 9000, Balance: 9000, Collected: []int64{9000, 0, 0}})
	})

	// A corrected area changes the bills of months that are over only when a clerk raises them anew.
	billed := func() (sum int64) {
		for _, p := range servicetest.Items[struct {
			Billed int64 `json:"billed_fen"`
		}](d.Anyone().Get(d.at + "/collection")) {
			sum += p.Billed
		}
		return sum
	}
	before := billed()
	d.imports("units", servicetest.UnitHeadings+"1-101,1,1,1-101,住宅,200.00,登记,已交付\n")
	d.clerk.Post(d.at+"/payments", receipt("P2", "1-101", "2022-08", 9000)).Want(http.StatusCreated)
	s.Clock.Advance(24 * time.Hour)
	s.Await("the next night", func() bool { return d.year().Income == 18000 })
	if got := billed(); got != before || before == 0 {
		t.Errorf("at night %d fen are billed, before %d", got, before)
	}
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	if got := billed(); got != 2*before {
		t.Errorf("raised anew %d fen are billed, before %d", got, before)
	}
}

// held keeps the first commit of posted totals until it may go on.
type held struct {
	es.Committer
	once       sync.Once
	there, now chan struct{}
}

func (h *held) Commit(ctx context.Context, c es.Commit) (es.Outcome, error) {
	if strings.HasPrefix(c.Stream, finance.CollectionStream) {
		h.once.Do(func() { close(h.there); <-h.now })
	}
	return h.Committer.Commit(ctx, c)
}

// instance runs another instance of the service and returns how to post totals by it.
func (d *desk) instance(committer es.Committer) (post func() int) {
	d.t.Helper()
	deps := d.Deps["finance"]
	deps.DB, deps.Committer = servicetest.Database(d.t, d.t.TempDir()+"/other.db"), committer
	other, err := money.New(d.t.Context(), deps, money.Config{Ready: func() bool { return false }})
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- other.Projections[0].Run(ctx) }()
	d.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	})
	return func() int {
		r := httptest.NewRequestWithContext(d.t.Context(), http.MethodPost, service.Prefix+d.at+"/collections", strings.NewReader("{}"))
		r.Header.Set("Authorization", "Bearer "+d.clerk.Token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", uuid.NewString())
		w := httptest.NewRecorder()
		other.Handler.ServeHTTP(w, r)
		return w.Code
	}
}

func TestTotalsThatWereAddedUpEarlierDoNotReplaceLaterOnes(t *testing.T) {
	d := newDesk(t)
	d.clerk.Post(d.at+"/bills", nil).Want(http.StatusCreated)
	d.clerk.Post(d.at+"/payments", receipt("P1", "1-101", "2022-07", 9000)).Want(http.StatusCreated)
	slow := &held{Committer: d.Deps["finance"].Committer, there: make(chan struct{}), now: make(chan struct{})}
	post := d.instance(slow)
	answer := make(chan int, 1)
	go func() { answer <- post() }()
	<-slow.there // it has added up the first payment, and stops for a while
	d.clerk.Post(d.at+"/payments", receipt("P2", "1-102", "2022-07", 9000)).Want(http.StatusCreated)
	d.post()
	d.want("both are posted", year{Income: 18000, Balance: 18000, Collected: []int64{18000, 0, 0}})
	close(slow.now)
	if code := <-answer; code != http.StatusCreated {
		t.Errorf("the slow one answers %d", code)
	}
	d.CatchUp()
	d.want("whoever comes late puts it right", year{Income: 18000, Balance: 18000, Collected: []int64{18000, 0, 0}})
}
