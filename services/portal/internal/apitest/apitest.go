// Package apitest answers the API with the figures of one synthetic estate, so
// that pages can be tested and looked at without a ledger. It keeps the
// promises a page relies on (positions, keys, problem documents) and no rule
// beyond that.
package apitest

import (
	"embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
)

//go:embed testdata
var testdata embed.FS

// Ids of what the stand-in holds.
const (
	Estate       = "0b1c5f6e-2c55-4f0a-9d1e-5f6f1d1b7a01"
	Empty        = "6e0d8a44-94a3-4a0e-8f52-0f2a8f3b9c02" // an estate without any paper
	Closed       = "4d2f9b7a-0f4f-5d65-8f0e-3f1a2b3c4d05" // a counted meeting
	Open         = "7a8b9c0d-1e2f-5a3b-8c4d-5e6f7a8b9c06" // one that takes ballots
	Posted       = "8b9c0d1e-2f3a-5b4c-9d5e-6f7a8b9c0d07" // one whose result is posted; no list has it
	Withdrawn    = "9c0d1e2f-3a4b-5c5d-8e6f-7a8b9c0d1e08" // one whose result is withdrawn; no list has it
	Frozen       = "0d1e2f3a-4b5c-5d6e-8f7a-8b9c0d1e2f09" // one whose notice is to be posted; no list has it
	Objection    = "7d2a9b1c-0000-4000-8000-000000000001" // to that which is posted, not answered
	Upheld       = "7d2a9b1c-0000-4000-8000-000000000002" // to that which is withdrawn
	Voucher      = "voucher-of-PZ0068"                    // reversed
	FirstOrder   = "order-of-GD00001"
	MixedBallots = "ballot-" + Open + "-2" // a stream with a ballot of each kind
	Rare         = "period-closed.v1"      // a type of event that is looked for twice, in vain
	Founded      = 100                     // position of the estate's first event
	Later        = 160000                  // fen of wages that every position of the past lacks
	Position     = 18204
	OwnerCode    = "owner-code"
	ClerkCode    = "clerk-code"
	OwnerToken   = "owner-token"
	ClerkToken   = "clerk-token"
	ownerPerson  = "person-owner"
)

// API is the stand-in. Commands it was sent are in Commands.
type API struct {
	mux *http.ServeMux

	mu       sync.Mutex
	Commands []Command
	done     map[string][]byte         // answers by idempotency key
	Fail     map[string]*problem.Error // what a "METHOD /path" answers instead
	Pending  bool                      // commands answer 202, and stay unknown
	Silent   bool                      // answers do not say their position
	Signed   uint64                    // position up to which the log is signed
	Partly   bool                      // a ballot is taken on M1 and refused on M2
	position uint64
}

// Command is one that was recorded.
type Command struct {
	Path, Key, Token string
	Body             map[string]any
}

// at is the position that a request looks back to; 0 is now.
func at(r *http.Request) (n uint64) {
	if text := r.URL.Query().Get("at"); text != "" {
		var err error
		n, err = strconv.ParseUint(text, 10, 64)
		must(err)
	}
	return n
}

// Services gives the stand-in under the names of all services.
func (a *API) Services() map[string]http.Handler {
	all := map[string]http.Handler{}
	for _, name := range []string{"registry", "contracts", "workorders", "finance", "votes", "ledger"} {
		all[name] = a
	}
	return all
}

func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	failure := a.Fail[r.Method+" "+r.URL.Path]
	a.mu.Unlock()
	if failure != nil {
		problem.Write(w, failure)
		return
	}
	a.mux.ServeHTTP(w, r)
}

type object = map[string]any

// New reads the estate's papers.
func New() *API {
	a := &API{mux: http.NewServeMux(), done: map[string][]byte{}, Fail: map[string]*problem.Error{}, position: Position, Signed: Position}
	var expected object
	must(json.Unmarshal(file("expected.json"), &expected))
	var meeting, agreement object
	must(json.Unmarshal(file("meeting.json"), &meeting))
	must(json.Unmarshal(file("agreement.json"), &agreement))

	get := func(path string, answer func(r *http.Request) (any, error)) {
		a.mux.HandleFunc("GET /api/v1"+path, func(w http.ResponseWriter, r *http.Request) {
			if at := at(r); at > Position {
				problem.Write(w, problem.Invalid("position-ahead", "the ledger has not got to this position yet"))
				return
			}
			body, err := answer(r)
			if err != nil {
				problem.Write(w, err)
				return
			}
			a.mu.Lock()
			if !a.Silent {
				w.Header().Set("Yimu-Position", strconv.FormatUint(a.position, 10))
			}
			a.mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(body)
		})
	}
	list := func(items any) (any, error) { return object{"items": items}, nil }
	here := func(r *http.Request) bool { return r.PathValue("estate") == Estate }
	none := func() (any, error) { return object{"items": []any{}}, nil }

	get("/openapi/{document}", func(*http.Request) (any, error) {
		return object{"paths": object{"/estates": object{"get": object{}}}, "components": object{"schemas": object{}}}, nil
	})
	get("/estates", func(*http.Request) (any, error) {
		return list([]object{{"id": Estate, "name": "秀山花园"}, {"id": Empty, "name": "新苑小区"}})
	})
	log := newLog(MixedBallots, "ballot-"+Open+"-1", "ballot-"+Closed+"-1", "workorder-"+FirstOrder, "meeting-"+Closed)
	signed := func() object {
		a.mu.Lock()
		defer a.mu.Unlock()
		return object{"checkpoint": log.signed, "position": a.Signed}
	}
	get("/estates/{estate}", func(r *http.Request) (any, error) {
		switch {
		case at(r) != 0 && at(r) < Founded:
		case here(r):
			e := object{"id": Estate, "log": signed(), "name": "秀山花园", "fee_category": "物业服务费"}
			for _, name := range []string{"units", "homes", "shops", "parking", "people", "titles", "multi_unit_heads"} {
				e[name] = expected[name]
			}
			return e, nil
		case r.PathValue("estate") == Empty:
			return object{"id": Empty, "name": "新苑小区"}, nil
		}
		return nil, problem.NotFound("no-such-estate", "there is no such estate")
	})
	get("/estates/{estate}/agreements", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		return list([]object{{
			"id": "agreement-1", "estate": Estate, "signed": append([]any{agreement["provider"]}, agreement["principals"].([]any)...), "kind": agreement["kind"], "principals": agreement["principals"], "provider": agreement["provider"],
			"starts": agreement["starts"], "ends": agreement["ends"], "state": "active", "change": "收费标准保持不变",
			"rates":    []object{{"use": "住宅", "rate_e4_yuan": 9000, "per": "㎡·月"}, {"use": "商铺", "rate_e4_yuan": 18000, "per": "㎡·月"}, {"use": "车位", "rate_e4_yuan": 500000, "per": "个·月"}},
			"services": agreement["services"], "options": agreement["optional"],
			"authorised": object{"meeting": Closed, "motion": "M1", "title": "选聘物业服务企业", "at": "2022-12-30T09:00:00+08:00"},
			"dismissed":  object{"on": "2023-03-01", "ends": "2023-04-30", "decision": object{"meeting": Closed, "motion": "M2", "title": "解聘物业服务企业", "at": "2023-03-01T09:00:00+08:00"}},
		}})
	})
	decision := func(motion, title string) object {
		return object{"meeting": Closed, "motion": motion, "title": title, "result": strings.Repeat("7c", 32), "at": "2022-12-30T09:00:00+08:00"}
	}
	get("/estates/{estate}/draws", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		return list([]object{{
			"id": "draw-1", "scope": "building:5", "amount_fen": 12800000, "paid_fen": 6400000, "left_fen": 6400000, "decision": decision("M3", "使用维修资金更换5栋屋面防水"),
			"payments": []object{
				{"number": "维-001", "date": "2023-01-05", "amount_fen": 6400000, "text": "屋面防水首付款", "counterparty": "防水工程公司"},
				{"number": "维-002", "date": "2023-01-06", "amount_fen": 100, "text": "重复", "counterparty": "", "reversed": object{"number": "维-003", "date": "2023-01-07", "reason": "重复登记"}},
			},
		}})
	})
	followed := func(d, effect object, refused any) object {
		f := maps.Clone(d)
		f["event"], f["effect"], f["done"], f["refused"] = EventID("meeting-"+Closed, 9), effect, refused == nil, refused
		return f
	}
	get("/estates/{estate}/draws/decisions", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		return list([]object{
			followed(decision("M3", "使用维修资金更换5栋屋面防水"), object{"kind": "draw-maintenance-fund", "amount_fen": 12800000}, nil),
			followed(decision("M4", "外墙广告位出租"), object{"kind": "budget-common-income", "amount_fen": 6000000, "direction": "收入", "category": "公共收益", "year": 2023}, nil),
		})
	})
	get("/estates/{estate}/agreements/decisions", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		return list([]object{followed(decision("M5", "解聘电梯公司"), object{"kind": "dismiss-provider", "agreement": "agreement-2"},
			object{"code": "agreement-ended", "detail": "the agreement has ended"})})
	})
	get("/agreements/{agreement}", func(r *http.Request) (any, error) {
		if r.PathValue("agreement") != "agreement-2" {
			return nil, problem.NotFound("no-such-agreement", "there is no such agreement")
		}
		return object{
			"id": "agreement-2", "estate": Estate, "kind": "正式合同", "principals": []string{"秀山花园业主大会"}, "provider": "安居物业公司", "starts": "2027-01-01", "ends": "2029-12-31",
			"rates": []object{{"use": "住宅", "rate_e4_yuan": 9500, "per": "㎡·月"}}, "services": []string{"保洁"}, "state": "posted", "signed": []string{"秀山花园业主大会"}, "follows": "agreement-1",
		}, nil
	})
	get("/estates/{estate}/electorate", func(*http.Request) (any, error) { return object{"heads": 976, "area_centi_m2": 8800473}, nil })
	get("/estates/{estate}/collection", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		return list(expected["collection"])
	})
	get("/estates/{estate}/budget", func(r *http.Request) (any, error) {
		if !here(r) || at(r) != 0 && at(r) < Founded {
			return object{"year": 2022, "items": []any{}}, nil
		}
		var sums [2]float64
		items := []object{}
		for _, line := range expected["budget"].([]any) {
			l := maps.Clone(line.(object))
			l["from"], l["to"] = "2022-07", "2022-12"
			if at(r) != 0 && l["category"] == "人员工资" {
				l["actual_fen"] = l["actual_fen"].(float64) - Later
			}
			items = append(items, l)
			if l["direction"] == "收入" {
				sums[0] += l["actual_fen"].(float64) // whole numbers, as JSON gives them
			} else {
				sums[1] += l["actual_fen"].(float64)
			}
		}
		return object{"year": 2022, "items": items, "years": []int{2022}, "income_fen": int64(sums[0]), "expenditure_fen": int64(sums[1]),
			"position": Position, "opening_fen": 0, "balance_fen": int64(sums[0] - sums[1]), "suspense_fen": 18180}, nil
	})
	entries := entries()
	get("/estates/{estate}/entries", func(r *http.Request) (any, error) {
		q := r.URL.Query()
		items := []object{}
		for _, e := range entries {
			if (q.Get("category") == "" || q.Get("category") == e["category"]) && (q.Get("direction") == "" || q.Get("direction") == e["direction"]) {
				items = append(items, e)
			}
		}
		return page(items, r)
	})
	get("/vouchers/{voucher}", func(r *http.Request) (any, error) {
		for _, e := range entries {
			if e["voucher"] == r.PathValue("voucher") {
				return e, nil
			}
		}
		return nil, problem.NotFound("no-such-voucher", "there is no such voucher")
	})
	get("/estates/{estate}/workorders/summary", func(r *http.Request) (any, error) {
		if !here(r) {
			return object{"total": 0}, nil
		}
		return expected["workorders"], nil
	})
	get("/estates/{estate}/workorders/limits", func(*http.Request) (any, error) {
		items := []object{}
		for _, l := range rows("limits.csv") {
			items = append(items, object{"category": l[0], "matter": l[1]})
		}
		return list(items)
	})
	orders := orders()
	get("/estates/{estate}/workorders", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		items := []object{}
		for _, o := range orders {
			if state := r.URL.Query().Get("state"); state == "" || state == o["state"] {
				items = append(items, o)
			}
		}
		return page(items, r)
	})
	get("/workorders/{order}", func(r *http.Request) (any, error) {
		for _, o := range orders {
			if o["id"] == r.PathValue("order") {
				return o, nil
			}
		}
		return nil, problem.NotFound("no-such-order", "there is no such work order")
	})
	motions := []object{}
	for _, m := range meeting["motions"].([]any) {
		motions = append(motions, m.(object))
	}
	roll := object{"hash": "9f2c4e7d1a0b3c5d8e6f7a9b2c4d6e8f1a3b5c7d9e0f2a4b6c8d0e1f3a5b7c9d", "heads": 976, "area_centi_m2": 8800473}
	meetings := []object{
		{"id": Closed, "estate": Estate, "title": meeting["title"], "state": "closed", "opens": meeting["opens"], "closes": meeting["closes"], "notice_at": meeting["notice_posted"],
			"past": true, "policy": meeting["policy"], "motions": motions, "roll": roll, "turnout": object{"heads": 760, "area_centi_m2": 6843200, "of_heads": 976}},
		{"id": Open, "estate": Estate, "title": "秀山花园业主大会第二次会议", "state": "open", "opens": "2026-11-10T09:00:00+08:00", "closes": "2026-11-30T18:00:00+08:00", "notice_at": "2026-10-20T10:00:00+08:00",
			"policy": meeting["policy"], "motions": motions, "roll": roll, "turnout": object{"heads": 412, "area_centi_m2": 3704410, "of_heads": 976}},
	}
	posted := maps.Clone(meetings[1])
	posted["id"], posted["title"], posted["state"] = Posted, "秀山花园业主大会第三次会议", "posted"
	withdrawn := maps.Clone(posted)
	withdrawn["id"], withdrawn["state"] = Withdrawn, "counted"
	withdrawn["differs"] = []object{{"motion": "M1", "from": Closed, "reason": "另一家物业服务人"}}
	frozen := maps.Clone(posted)
	frozen["id"], frozen["state"], frozen["notice_at"] = Frozen, "frozen", nil
	frozen["resting"] = []object{{"motion": "M1", "meeting": Closed, "until": "2027-11-30T18:00:00+08:00"}}
	find := func(id string) (object, error) {
		for _, m := range append([]object{posted, withdrawn, frozen}, meetings...) {
			if m["id"] == id {
				return m, nil
			}
		}
		return nil, problem.NotFound("no-such-meeting", "there is no such meeting")
	}
	get("/estates/{estate}/meetings", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		if at(r) != 0 {
			return list(meetings[:1]) // the second one was called later
		}
		return list(meetings)
	})
	get("/meetings/{meeting}", func(r *http.Request) (any, error) { return find(r.PathValue("meeting")) })
	get("/estates/{estate}/rules", func(r *http.Request) (any, error) {
		if !here(r) {
			return none()
		}
		line := func(name string, value any, source, basis, origin string) object {
			return object{"name": name, "value": value, "source": source, "basis": basis, "origin": origin}
		}
		return object{
			"rule_set": "cn-civil-code-2021.2+beijing+estate", "rule_hash": strings.Repeat("6a", 32), "place": "北京", "day": "2026-10-01",
			"name":    object{"zh": "民法典、北京的规定、本小区议事规则", "en": "Civil Code of China, Beijing, the estate's rules of procedure"},
			"adopted": object{"from": "2026-09-01", "at": "2026-08-30T09:00:00+08:00", "base": "beijing", "document": strings.Repeat("2b", 32)},
			"lines": []object{
				line("quorum", object{"heads": ">= 2/3", "area": ">= 2/3", "words": object{"zh": "参与须达全体的三分之二", "en": "two thirds of all must take part"}}, "民法典 第二百七十八条", "read", "national"),
				line("thresholds.ordinary", object{"heads": "> 1/2", "area": "> 1/2", "words": object{"zh": "同意须过参与者的半数", "en": "more than half must agree"}}, "民法典 第二百七十八条", "read", "national"),
				line("matters.民法典278-1-4", object{"threshold": "ordinary", "zh": "选聘和解聘物业服务企业", "en": "appointing or dismissing the provider"}, "民法典 第二百七十八条", "read", "national"),
				line("notice_days", 20, "第九条", "read", "estate"),
				line("revote", "first-ballot-stands", "北京的做法", "seen", "local"),
				line("proxies.barred", []string{"provider"}, "第十条", "read", "estate"),
				line("only_noticed_matters", true, "北京的规定 第三十五条", "read", "local"),
			},
			"missing": []string{"window.max_days", "objection_days"},
		}, nil
	})
	get("/meetings/{meeting}/timeline", func(r *http.Request) (any, error) {
		switch r.PathValue("meeting") {
		case Posted:
			return object{
				"steps": []object{
					{"event": "meeting-drafted.v1", "revision": 0, "at": "2026-09-01T09:00:00+08:00"}, {"event": "voting-extended.v1", "revision": 3, "at": "2026-10-01T09:00:00+08:00"},
					{"event": "result-posted.v1", "revision": 6, "at": "2026-11-02T09:00:00+08:00"}, {"event": "result-withdrawn.v1", "revision": 7, "at": "2026-11-05T09:00:00+08:00"},
					{"event": "result-posted.v1", "revision": 8, "at": "2026-11-06T09:00:00+08:00"}, {"event": "deadline-missed.v1", "revision": 9, "at": "2026-11-07T00:00:00+08:00"},
				},
				"extended":  []object{{"from": "2026-10-01T18:00:00+08:00", "closes": "2026-11-01T18:00:00+08:00"}},
				"withdrawn": []object{{"number": 1, "at": "2026-11-05T09:00:00+08:00", "reason": "一张纸质票重复录入"}},
				"posting":   object{"number": 2, "at": "2026-11-06T09:00:00+08:00", "result": strings.Repeat("7c", 32), "objections_until": "2026-11-22T00:00:00+08:00", "objections_open": 1, "objections_upheld": 0},
				"missed":    []object{{"deadline": "result-posting", "due": "2026-11-05T00:00:00+08:00"}},
			}, nil
		case Withdrawn:
			return object{
				"steps":     []object{{"event": "ballot-set-aside.v1", "revision": 8, "at": "2026-11-05T10:00:00+08:00"}},
				"withdrawn": []object{{"number": 1, "at": "2026-11-05T09:00:00+08:00", "reason": "一张票不是业主本人投的", "objection": Upheld}},
				"set_aside": []object{{"ballot": "ballot-9", "entry": "1", "at": "2026-11-05T10:00:00+08:00", "objection": Upheld, "earlier": "stands", "reason": "投票码被他人使用"}},
			}, nil
		}
		return object{"steps": []object{{"event": "meeting-drafted.v1", "revision": 0, "at": "2022-12-20T10:00:00+08:00"}, {"event": "notice-posted.v1", "revision": 2, "at": "2022-12-21T11:00:00+08:00"}}}, nil
	})
	get("/meetings/{meeting}/deadlines", func(*http.Request) (any, error) {
		return list([]object{
			{"name": "closing", "due": "2026-11-01T18:00:00+08:00", "done": "2026-11-01T18:00:00+08:00", "state": "met", "rule": object{"zh": "公告载明的投票截止时间", "en": "the deadline"}},
			{"name": "result-posting", "due": "2026-11-05T00:00:00+08:00", "day": "2026-11-04", "state": "missed", "moved": true, "rule": object{"zh": "结果产生后3日内公布", "en": "posted within 3 days"}},
			{"name": "court", "state": "waiting", "rule": object{"zh": "一年内可以请求法院撤销", "en": "a court may be asked within a year"}},
		})
	})
	get("/meetings/{meeting}/objections", func(*http.Request) (any, error) {
		return list([]object{
			{"id": Objection, "posting": 2, "entry": "17", "motion": "M1", "at": "2026-11-08T20:00:00+08:00"},
			{"id": Upheld, "posting": 1, "entry": "23", "at": "2026-11-03T20:00:00+08:00", "answered_at": "2026-11-04T20:00:00+08:00", "upheld": true, "answer": "经核对,异议成立。"},
		})
	})
	get("/meetings/{meeting}/objections/{objection}/words", func(r *http.Request) (any, error) {
		if token(r) != ClerkToken {
			return nil, problem.Forbidden("not-allowed", "no policy permits this")
		}
		return object{"words": "我家的票没有录进去。"}, nil
	})
	get("/meetings/{meeting}/results", func(r *http.Request) (any, error) {
		if r.PathValue("meeting") == Open {
			return nil, problem.Conflict("not-counted-yet", "voting is not over")
		}
		items := []object{}
		for i, result := range expected["motions"].([]any) {
			m := maps.Clone(result.(object))
			for _, name := range []string{"title", "matter", "rule", "scope"} {
				m[name] = motions[i][name]
			}
			m["arithmetic"] = arithmetic(m)
			m["abstain_area_centi_m2"] = int64(m["participating_area_centi_m2"].(float64) - m["yes_area_centi_m2"].(float64) - m["no_area_centi_m2"].(float64))
			items = append(items, m)
		}
		return list(items)
	})
	get("/meetings/{meeting}/ballots/summary", func(r *http.Request) (any, error) {
		if r.PathValue("meeting") != Closed {
			return object{"rows": 861}, nil
		}
		return expected["ballots"], nil
	})
	get("/meetings/{meeting}/ballots", func(r *http.Request) (any, error) {
		vote := func(ballot, at, reason string) object {
			return object{"ballot": ballot, "entry": "1", "units": []string{"1-1-101"}, "area_centi_m2": 8990, "channel": "纸质", "at": at,
				"choices": []object{{"motion": "M1", "choice": "赞成", "reason": reason}}}
		}
		votes := []object{vote("ballot-8", "2023-01-14T09:00:11+08:00", "")}
		if r.PathValue("meeting") == Withdrawn {
			votes = append(votes, vote("ballot-9", "2023-01-15T09:00:11+08:00", "set-aside"))
		}
		return list(votes)
	})
	get("/meetings/{meeting}/amendments", func(r *http.Request) (any, error) {
		mine := token(r) == OwnerToken
		return object{"items": []object{
			{"yours": mine, "seller_voted": mine, "unit": "5-1-101", "building": "5", "stair": "1", "area_centi_m2": 8990, "basis": "登记", "from": "1", "to": "977", "new": true, "at": "2023-01-20T10:00:00+08:00"},
			{"sold": mine, "seller_voted": mine, "unit": "5-1-102", "building": "5", "stair": "1", "area_centi_m2": 8990, "basis": "登记", "from": "2", "to": "978", "new": true, "at": "2023-01-20T10:00:00+08:00"},
		}}, nil
	})
	get("/meetings/{meeting}/roll-objections", func(*http.Request) (any, error) {
		return object{"items": []object{
			{"id": "0d5b6c0f-3a53-4c0a-8f0e-7f60b6a8d0c1", "number": 1, "unit": "5-1-101", "entry": "1", "state": "corrected", "at": "2022-12-21T11:00:00+08:00", "answer": "登记簿上是 91.20 ㎡,名册已更正。", "answered_at": "2022-12-22T11:00:00+08:00"},
			{"id": "0d5b6c0f-3a53-4c0a-8f0e-7f60b6a8d0c2", "number": 2, "unit": "5-9-901", "state": "open", "at": "2022-12-22T11:00:00+08:00"},
		}}, nil
	})
	get("/meetings/{meeting}/trustees", func(*http.Request) (any, error) { return object{"trustees": []object{}}, nil })
	get("/meetings/{meeting}/days", func(*http.Request) (any, error) {
		return object{"wrong": []object{}, "notice": "2026-11-26T10:00:00+08:00", "opens": "2026-12-11T10:00:00+08:00", "deadlines": []object{}}, nil
	})
	get("/meetings/{meeting}/roll", func(*http.Request) (any, error) {
		return list([]object{{"entry": "1", "units": []string{"1-1-101"}, "buildings": []string{"1"}, "area_centi_m2": 8990}})
	})
	get("/estates/{estate}/units", func(*http.Request) (any, error) {
		return list([]object{{"code": "1-1-101", "building": "1", "use": "住宅", "area_centi_m2": 8990}, {"code": "=1+1", "building": "+cmd", "area_centi_m2": -5}})
	})
	get("/ledger/streams/{stream}", func(r *http.Request) (any, error) {
		stream := r.PathValue("stream")
		if stream == "meeting-none" {
			return nil, problem.NotFound("no-such-stream", "the ledger has no stream of this name")
		}
		events := streamOf(stream)
		from, err := strconv.Atoi(r.URL.Query().Get("from"))
		must(err)
		return list(events[min(from, len(events)):])
	})
	get("/ledger/streams/{stream}/links", func(r *http.Request) (any, error) {
		if r.PathValue("stream") != "meeting-"+Closed {
			return object{"items": []any{}, "about": []any{}}, nil
		}
		return object{"items": meetingLinks(), "about": []object{{"type": "ballot-cast.v1", "count": 861}, {"type": "ballot-refused.v1", "count": 74}}}, nil
	})
	get("/receipts/{event}", log.receipt)
	get("/ledger/log", log.state)
	get("/ledger/search", func(r *http.Request) (any, error) { return log.search(r) })
	get("/operations/{stream}/{commit}", func(*http.Request) (any, error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.Pending {
			return object{"state": "not-so-far"}, nil
		}
		return object{"state": "recorded", "position": 18260, "revision": 0}, nil
	})

	personal := func(path string, answer any) {
		get(path, func(r *http.Request) (any, error) {
			if token(r) == "" {
				return nil, problem.Unauthorized("no-token", "log in first")
			}
			return answer, nil
		})
	}
	a.mux.HandleFunc("POST /api/v1/sessions", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Code string }
		must(json.NewDecoder(r.Body).Decode(&in))
		tokens := map[string]string{OwnerCode: OwnerToken, ClerkCode: ClerkToken}
		if tokens[in.Code] == "" {
			problem.Write(w, problem.Unauthorized("no-such-code", "the code is not valid"))
			return
		}
		_ = json.NewEncoder(w).Encode(object{"person": ownerPerson, "token": tokens[in.Code]})
	})
	get("/me", func(r *http.Request) (any, error) {
		roles := []object{{"role": "resident", "estate": Estate}}
		switch token(r) {
		case "":
			return nil, problem.Unauthorized("no-token", "log in first")
		case ClerkToken:
			roles = append(roles, object{"role": "clerk", "estate": Estate})
		}
		return object{"id": ownerPerson, "roles": roles,
			"units":  []object{{"id": "u1", "estate": Estate, "code": "1-1-101", "votes": true}},
			"person": object{"name": "徐欣", "document_kind": "身份证", "document": "X00000000000000001", "phone": "19900000001"}}, nil
	})
	bills := []object{}
	for i, paid := range []int64{8091, 8091, 8091, 8091, 8091, 0} {
		bills = append(bills, object{"estate": Estate, "unit": "1-1-101", "period": fmt.Sprintf("2022-%02d", 7+i), "billed_fen": 8091, "paid_fen": paid})
	}
	personal("/me/bills", object{"items": bills})
	personal("/me/payments", object{"items": []object{{"received": "2022-09-05", "reference": "PAY000731", "unit": "1-1-101", "period": "2022-07", "amount_fen": 8091, "channel": "微信"}}})
	personal("/me/arrears", object{"items": []object{{"estate": Estate, "unit": "1-1-101", "owed_fen": 8091}}})
	personal("/me/ballots", object{"items": []object{
		{"meeting": Closed, "title": meeting["title"], "stream": "ballot-" + Closed + "-1", "revision": 0, "channel": "纸质", "at": "2023-01-15T10:12:00+08:00",
			"choices": []object{{"motion": "M1", "choice": "赞成"}, {"motion": "M2", "choice": "反对"}}},
		{"meeting": Open, "title": "秀山花园业主大会第二次会议", "stream": "ballot-" + Open + "-1", "revision": 0, "channel": "电子", "at": "2026-11-21T11:32:07+08:00", "motions": []string{"M1", "M2"}},
		{"meeting": Open, "title": "秀山花园业主大会第二次会议", "stream": "ballot-" + Open + "-1", "revision": 1, "channel": "电子", "at": "2026-11-21T11:40:00+08:00", "motions": []string{"M1"},
			"choices": []object{{"motion": "M1", "choice": "", "reason": "already-voted"}}, "reason": "already-voted"},
	}})

	personal("/me/workorders", object{"items": orders[:1]})

	for path, answer := range map[string]object{
		"/estates/{estate}/workorders":                      {"id": FirstOrder, "stream": "workorder-" + FirstOrder, "revision": 0},
		"/estates/{estate}/payments":                        {"id": "payment-1", "stream": "payment-1", "revision": 0},
		"/meetings/{meeting}/ballots":                       {"id": "ballot-1", "stream": "ballot-" + Open + "-1", "revision": 0},
		"/meetings/{meeting}/extension":                     {"id": Open, "stream": "meeting-" + Open, "revision": 3},
		"/meetings/{meeting}/cancellation":                  {"id": Open, "stream": "meeting-" + Open, "revision": 3},
		"/meetings/{meeting}/ballots/{ballot}/set-aside":    {"id": Withdrawn, "stream": "meeting-" + Withdrawn, "revision": 9},
		"/meetings/{meeting}/ballots/{ballot}/restoration":  {"id": Withdrawn, "stream": "meeting-" + Withdrawn, "revision": 9},
		"/meetings/{meeting}/final":                         {"id": Posted, "stream": "meeting-" + Posted, "revision": 9},
		"/meetings/{meeting}/notice":                        {"id": Frozen, "stream": "meeting-" + Frozen, "revision": 2},
		"/meetings/{meeting}/objections":                    {"id": Objection, "stream": "objection-" + Posted + "-" + Objection, "revision": 0},
		"/meetings/{meeting}/objections/{objection}/answer": {"id": Objection, "stream": "objection-" + Posted + "-" + Objection, "revision": 1},
		"/workorders/{order}/rate":                          {"id": FirstOrder, "stream": "workorder-" + FirstOrder, "revision": 4},
		"/estates/{estate}/agreements":                      {"id": "agreement-2", "stream": "agreement-agreement-2", "revision": 0},
		"/agreements/{agreement}/sign":                      {"id": "agreement-2", "stream": "agreement-agreement-2", "revision": 3},
		"/draws/{draw}/payments":                            {"id": "draw-1", "stream": "draw-draw-1", "revision": 4},
		"/draws/{draw}/reversals":                           {"id": "draw-1", "stream": "draw-draw-1", "revision": 5},
		"/me/corrections":                                   {"id": "correction-1", "stream": "person-1", "revision": 3},
	} {
		a.mux.HandleFunc("POST /api/v1"+path, func(w http.ResponseWriter, r *http.Request) { a.record(w, r, answer) })
	}
	return a
}

// record takes a command once for each key.
func (a *API) record(w http.ResponseWriter, r *http.Request, answer object) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	switch {
	case token(r) == "":
		problem.Write(w, problem.Unauthorized("no-token", "log in first"))
		return
	case len(key) < 8:
		problem.Write(w, problem.Invalid("no-key", "Idempotency-Key is missing"))
		return
	}
	var body object
	must(json.NewDecoder(r.Body).Decode(&body))
	if place, ok := body["place"].(string); ok && place == "" {
		problem.Write(w, problem.Invalid("invalid", "a place is missing", problem.Field{Name: "place", Code: "missing", Detail: "must not be empty"}))
		return
	}
	if a.Pending {
		w.Header().Set("Location", fmt.Sprintf("/api/v1/operations/%s/commit-1", answer["stream"]))
		w.WriteHeader(http.StatusAccepted)
		return
	}
	if done, ok := a.done[key]; ok {
		_, _ = w.Write(done)
		return
	}
	a.position++
	a.Commands = append(a.Commands, Command{r.URL.Path, key, token(r), body})
	answer = maps.Clone(answer)
	answer["position"] = a.position
	if a.Partly {
		answer["stream"], answer["revision"] = MixedBallots, 2
		answer["taken"], answer["refused"] = []string{"M1"}, []object{{"motions": []string{"M2"}, "reason": "not-in-scope"}}
	}
	a.done[key], _ = json.Marshal(answer)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(a.done[key])
}

// Set changes what the stand-in does, while it may be in use.
func (a *API) Set(change func(*API)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(a)
}

// token of a request; empty where it is none that was given out.
func token(r *http.Request) string {
	t := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	if t != OwnerToken && t != ClerkToken {
		return ""
	}
	return t
}

// page is what comes after an id, without a word about the next page.
func page(items []object, r *http.Request) (any, error) {
	if after := r.URL.Query().Get("after"); after != "" {
		items = items[slices.IndexFunc(items, func(o object) bool { return o["id"] == after })+1:]
	}
	if limit, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil {
		items = items[:min(limit, len(items))]
	}
	return object{"items": items}, nil
}

// arithmetic spells out how a motion was decided, as the API does.
func arithmetic(m object) []object {
	n := func(name string) int64 { return int64(m[name].(float64)) } // whole numbers, as JSON gives them
	steps := []object{}
	compare := func(test, measure string, factor, part, times, whole int64, strict bool) bool {
		left, right := factor*part, times*whole
		sign := "<"
		met := left > right || !strict && left == right
		switch {
		case met && strict:
			sign = ">"
		case met:
			sign = "≥"
		case left == right:
			sign = "≤"
		}
		steps = append(steps, object{"test": test, "measure": measure, "compare": sign, "met": met,
			"left": object{"factor": factor, "value": part, "product": left}, "right": object{"factor": times, "value": whole, "product": right}})
		return met
	}
	heads := compare("quorum", "heads", 3, n("participating_heads"), 2, n("electorate_heads"), false)
	area := compare("quorum", "area_centi_m2", 3, n("participating_area_centi_m2"), 2, n("electorate_area_centi_m2"), false)
	if heads && area {
		factor, times, strict := int64(2), int64(1), true
		if m["rule"] == "special" {
			factor, times, strict = 4, 3, false
		}
		compare("approval", "heads", factor, n("yes_heads"), times, n("participating_heads"), strict)
		compare("approval", "area_centi_m2", factor, n("yes_area_centi_m2"), times, n("participating_area_centi_m2"), strict)
	}
	return steps
}

func entries() []object {
	list := []object{}
	add := func(number string, r []string, amount units.Fen) object {
		e := object{"kind": "voucher", "number": number, "voucher": "voucher-of-" + number, "estate": Estate, "date": r[0], "direction": r[2], "category": r[3],
			"amount_fen": int64(amount), "text": r[5], "counterparty": r[6], "attachment_sha256": r[7]}
		list = append(list, e)
		return e
	}
	for _, r := range rows("vouchers.csv") {
		amount, err := units.ParseFen(r[4])
		must(err)
		e := add(r[1], r, amount)
		if r[1] == "PZ0068" { // reversed and entered anew: the sum stays
			e["reversed_by"] = "PZ0068-冲"
			back := add("PZ0068-冲", r, -amount)
			back["kind"], back["voucher"], back["reverses"], back["text"] = "reversal", Voucher, "PZ0068", "金额录错,重新入账"
			anew := add("PZ0168", r, amount)
			anew["same_attachment_as"] = []string{"PZ0068"}
		}
	}
	for _, r := range rows("days.csv") {
		amount, err := strconv.ParseInt(r[1], 10, 64)
		must(err)
		list = append(list, object{"kind": "collection", "date": r[0], "direction": "收入", "category": "物业服务费", "amount_fen": amount})
	}
	for i, e := range list {
		e["id"] = "entry-" + strconv.Itoa(i)
	}
	slices.SortStableFunc(list, func(a, b object) int { return strings.Compare(a["date"].(string), b["date"].(string)) })
	return list
}

func orders() []object {
	at := func(s string) any {
		t, err := time.ParseInLocation("2006-01-02 15:04", s, units.Shanghai)
		if err != nil {
			return nil
		}
		return t
	}
	list := []object{}
	for i, r := range rows("orders.csv") {
		o := object{"id": "order-of-" + r[0], "estate": Estate, "number": r[0], "category": r[1], "matter": r[2], "place": r[3], "source": r[4], "state": "finished",
			"reported_at": at(r[5]), "dispatched_at": at(r[6]), "arrived_at": at(r[7]), "finished_at": at(r[8]), "on_time": i%3 != 0, "limit": object{"finish_hours": 72}}
		if score, err := strconv.Atoi(r[9]); err == nil {
			o["score"], o["state"] = score, "rated"
		}
		list = append(list, o)
	}
	list[0]["state"], list[0]["score"] = "finished", 0
	return list
}

// meetingEvents is the stream of the closed meeting.
func meetingEvents() []object {
	list := []object{}
	for i, e := range []struct{ kind, recorded, cause string }{
		{"meeting-drafted.v1", "2022-12-20T10:00:00+08:00", ""}, {"roll-frozen.v1", "2022-12-21T10:00:00+08:00", ""}, {"notice-posted.v1", "2022-12-21T11:00:00+08:00", ""},
		{"voting-closed.v1", "2023-01-28T18:01:00+08:00", "meeting-" + Closed + "/close"}, {"key-released.v1", "2023-01-28T18:01:01+08:00", eventID(3)},
	} {
		list = append(list, object{"position": 17000 + 10*i, "stream": "meeting-" + Closed, "revision": i, "id": eventID(i), "type": e.kind, "data": object{"meeting": Closed},
			"meta":     object{"actor": "reaction:votes_close", "$correlationId": eventID(100 + i), "$causationId": e.cause},
			"recorded": e.recorded, "happened": e.recorded, "hash": strings.Repeat("1c7a5e0f93b2d4c6", 4)})
	}
	return list
}

// meetingLinks is what the closed meeting led to.
func meetingLinks() []object {
	return []object{
		{"leaf": 900, "position": 17100, "stream": "agreement-9", "revision": 0, "id": eventID(10), "type": "agreement-proposed.v1", "estate": Estate, "actor": "reaction:contracts_entrust",
			"recorded": "2023-01-28T18:01:00.5+08:00", "cause": eventID(3)},
		{"leaf": 902, "position": 17120, "stream": "reaction-votes_release", "revision": 0, "id": eventID(11), "type": "reaction-refused.v1", "actor": "reaction:votes_release",
			"recorded": "2023-01-28T18:01:02+08:00", "cause": eventID(4)},
		{"leaf": 903, "position": 17130, "stream": "bills-" + Estate + "-2023-02", "revision": 0, "id": eventID(12), "type": "bills-raised.v1", "estate": Estate, "actor": "reaction:finance_nightly",
			"recorded": "2023-02-01T00:01:02+08:00", "cause": eventID(10)},
	}
}

func eventID(n int) string { return fmt.Sprintf("e0000000-0000-4000-8000-%012d", n) }

// search finds by id among the events of the log, else among 120 vouchers and the events of the closed meeting; by estate,
// type, stream and actor.
func (l *log) search(r *http.Request) (any, error) {
	q := r.URL.Query()
	if since := q.Get("since"); since != "" {
		if _, err := time.Parse(time.RFC3339, since); err != nil {
			return nil, problem.Invalid("invalid", "a time is wrong", problem.Field{Name: "since", Code: "not-a-time", Detail: "expected a date-time"})
		}
	}
	all := []object{}
	for i := range 120 {
		all = append(all, object{"leaf": i, "position": 10 * i, "stream": "voucher-" + strconv.Itoa(i), "revision": 0, "id": eventID(1000 + i), "type": "voucher-posted.v1", "estate": Estate,
			"actor": "1f2e3d4c-5b6a-4978-8a9b-0c1d2e3f4a5b", "happened": "2022-08-01T00:00:00+08:00", "recorded": "2022-12-01T09:00:00+08:00"})
	}
	for i, e := range meetingEvents() {
		all = append(all, object{"leaf": 120 + i, "position": e["position"], "stream": e["stream"], "revision": i, "id": e["id"], "type": e["type"], "estate": Estate, "actor": "reaction:votes_close",
			"happened": e["happened"], "recorded": e["recorded"]})
	}
	if id := q.Get("event"); id != "" {
		items := []object{}
		for i, e := range l.events {
			if e.ID.String() == id {
				items = append(items, object{"leaf": i, "position": 18260 + i, "stream": e.Stream, "revision": e.Revision, "id": e.ID, "type": e.Type, "recorded": e.Created})
			}
		}
		return object{"items": items}, nil
	}
	before, err := strconv.Atoi(q.Get("before"))
	if err != nil || before == 0 {
		before = len(all)
	}
	if q.Get("type") == Rare {
		if before == len(all) { // looked at as much as it may, and found nothing so far
			return object{"items": []any{}, "next": 100}, nil
		}
		return object{"items": []any{}}, nil
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	must(err)
	items := []object{}
	for i := before - 1; i >= 0; i-- {
		e := all[i]
		for _, name := range []string{"estate", "type", "stream", "actor"} {
			if is := q.Get(name); is != "" && is != e[name] {
				e = nil
				break
			}
		}
		if e == nil || q.Get("until") != "" && q.Get("by") == "" && !recordedBefore(e, q.Get("until")) {
			continue
		}
		if len(items) == limit {
			return object{"items": items, "next": items[limit-1]["leaf"]}, nil
		}
		items = append(items, e)
	}
	return object{"items": items}, nil
}

func recordedBefore(e object, until string) bool {
	recorded, err := time.Parse(time.RFC3339, e["recorded"].(string))
	must(err)
	end, err := time.Parse(time.RFC3339, until)
	must(err)
	return recorded.Before(end)
}

// rows of a CSV file, without its heading where it has one.
func rows(name string) [][]string {
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(file(name)), "\ufeff")))
	all, err := r.ReadAll()
	must(err)
	if name == "days.csv" {
		return all
	}
	return all[1:]
}

func file(name string) []byte {
	b, err := testdata.ReadFile("testdata/" + name)
	must(err)
	return b
}

// must ends what cannot go on: the stand-in's own papers are broken.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
