package routes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/problem"
)

func TestEveryPathHasItsService(t *testing.T) {
	for path, want := range map[string]string{
		"/estates": Registry, "/estates/1": Registry, "/estates/1/electorate": Registry, "/estates/1/papers/units": Registry,
		"/people/1/login-codes": Registry, "/people/1/roles": Registry, "/tokens/1": Registry, "/sessions": Registry, "/me": Registry, "/me/corrections": Registry,
		"/estates/1/agreements": Contracts, "/agreements/1/options": Contracts, "/estates/1/papers/agreement": Contracts,
		"/estates/1/workorders": WorkOrders, "/estates/1/workorders/summary": WorkOrders, "/workorders/1/rate": WorkOrders, "/estates/1/papers/orders": WorkOrders,
		"/estates/1/budget": Finance, "/estates/1/budgets/2022": Finance, "/estates/1/periods/2022-07/close": Finance, "/vouchers/1/reverse": Finance, "/me/bills": Finance,
		"/estates/1/meetings": Votes, "/meetings/1/ballots/summary": Votes, "/me/ballots": Votes, "/estates/1/papers/ballots": Votes,
		"/ledger/events": Ledger, "/ledger/streams/meeting-1": Ledger, "/operations/meeting-1/2": Ledger, "/receipts/1": Ledger, "/ledger/log": Ledger, "/blobs/ab": Ledger,
	} {
		if got, _ := Service(http.MethodGet, Prefix+path); got != want {
			t.Errorf("%s goes to %q, want %q", path, got, want)
		}
	}
	for _, path := range []string{"/me/secrets", "/estates/1/papers/unknown", "/"} {
		if got, ok := Service(http.MethodGet, Prefix+path); ok {
			t.Errorf("%s goes to %q", path, got)
		}
	}
}

func TestAnOperationThatWouldNotReachItsServiceIsFound(t *testing.T) {
	doc := &huma.OpenAPI{Paths: map[string]*huma.PathItem{
		"/api/v1/meetings/{meeting}": {Get: &huma.Operation{}},
		"/meetings/{meeting}/notice": {Post: &huma.Operation{}},
		"/api/v1/polls":              {Get: &huma.Operation{}},
		"/api/v1/vouchers/{voucher}": {Get: &huma.Operation{}, Delete: &huma.Operation{}},
	}}
	want := []string{"DELETE /api/v1/vouchers/{voucher}", "GET /api/v1/polls", "GET /api/v1/vouchers/{voucher}"}
	if got := Unrouted(Votes, doc); !slices.Equal(got, want) {
		t.Errorf("unrouted %v, want %v", got, want)
	}
}

func TestAServiceThatDoesNotRunHereIsAnswered503(t *testing.T) {
	api, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/estates", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("answered %d %s", w.Code, w.Header().Get("Content-Type"))
	}
}

func TestAServiceElsewhereIsForwardedTo(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Yimu-Position", "7")
		_, _ = w.Write([]byte(r.URL.Path + " " + r.Header.Get("Authorization")))
	}))
	api, err := New(map[string]http.Handler{Votes: To(parse(t, elsewhere.URL))})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/meetings/1", nil)
		r.Header.Set("Authorization", "Bearer t")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w
	}
	if w := ask(); w.Body.String() != "/api/v1/meetings/1 Bearer t" || w.Header().Get("Yimu-Position") != "7" {
		t.Errorf("answered %d %q", w.Code, w.Body)
	}
	elsewhere.Close()
	if w := ask(); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "service-unreachable") {
		t.Errorf("a service that is gone is answered %d %s", w.Code, w.Body)
	}
}

func TestInstancesThatAreGoneArePassedOver(t *testing.T) {
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("here")) }))
	defer here.Close()
	gone := httptest.NewServer(nil)
	gone.Close()
	h := To(parse(t, gone.URL), parse(t, here.URL))
	for range 4 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/v1/meetings/1/ballots", strings.NewReader("{}")))
		if w.Code != http.StatusOK || w.Body.String() != "here" {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
}

// 503 says that nothing was done; that is only known where nobody took the request.
func TestACommandThatWasNotAnsweredIsNotSaidToBeUndone(t *testing.T) {
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	for method, want := range map[string]string{http.MethodPost: "502 unanswered", http.MethodGet: "503 service-unreachable"} {
		w := httptest.NewRecorder()
		To(parse(t, cut.URL)).ServeHTTP(w, httptest.NewRequest(method, "/api/v1/meetings/1/ballots", strings.NewReader("{}")))
		var p problem.Error
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if got := strconv.Itoa(w.Code) + " " + p.Code; got != want {
			t.Errorf("%s: %s, want %s", method, got, want)
		}
	}
}

func parse(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestDocumentsAreJoinedWithoutLosingASchema(t *testing.T) {
	part := func(path, schema string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"paths": {"` + path + `": {"get": {"schema": {"$ref": "#/components/schemas/Item"}}}},
				"components": {"schemas": {"Item": ` + schema + `, "Same": {"type": "string"}}}}`))
		})
	}
	api, err := New(map[string]http.Handler{Registry: part("/estates", `{"type": "object"}`), Votes: part("/meetings", `{"type": "array"}`)})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest(http.MethodGet, DocumentPath, nil))
	var doc struct {
		Paths map[string]struct {
			Get struct{ Schema map[string]string }
		}
		Components struct{ Schemas map[string]map[string]string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for path, kind := range map[string]string{"/estates": "object", "/meetings": "array"} {
		name := strings.TrimPrefix(doc.Paths[path].Get.Schema["$ref"], "#/components/schemas/")
		if got := doc.Components.Schemas[name]["type"]; got != kind {
			t.Errorf("%s refers to %s, which is %q", path, name, got)
		}
	}
	if len(doc.Components.Schemas) != 3 {
		t.Errorf("%d schemas: %v", len(doc.Components.Schemas), doc.Components.Schemas)
	}
}
