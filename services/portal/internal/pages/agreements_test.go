package pages

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

func TestWhatComesNextOfAnAgreementIsSaid(t *testing.T) {
	decided := &client.Decision{Meeting: "m"}
	for _, c := range []struct {
		name  string
		deal  client.Agreement
		says  string
		waits bool
	}{
		{"a contract that nobody can read yet", client.Agreement{Kind: agreements.Formal, State: "proposed"}, "还没有公示", true},
		{"a contract that owners have not decided on", client.Agreement{Kind: agreements.Formal, State: "posted"}, "请在业主大会里提出", true},
		{"a contract that all have signed, and owners have not decided on", client.Agreement{Kind: agreements.Formal, State: "signed"}, "还要业主大会通过", true},
		{"a contract that owners decided on", client.Agreement{Kind: agreements.Formal, State: "signed", Authorised: decided}, "可以让合同生效", false},
		{"an entrustment waits for no assembly", client.Agreement{Kind: "委托制物业", State: "signed"}, "可以让合同生效", false},
		{"one in force", client.Agreement{Kind: agreements.Formal, State: "active", Authorised: decided}, "正在履行", false},
		{"one whose provider has notice", client.Agreement{Kind: agreements.Formal, State: "active", Dismissed: &client.Dismissal{}}, "六十日", false},
		{"one that ended", client.Agreement{Kind: agreements.Formal, State: "ended"}, "已经终止", false},
	} {
		m := AgreementModel{Agreement: c.deal}
		if got := m.next(Chinese); !strings.Contains(got, c.says) || m.waits() != c.waits {
			t.Errorf("%s: %s, waits: %t", c.name, got, m.waits())
		}
	}
}

// Whatever is typed into the form of an agreement can be sent, or is said to be wrong
// in words of its own.
func FuzzAnAgreementWithAnythingInIt(f *testing.F) {
	f.Add("业主大会\n街道办事处", "安居物业公司", "2027-01-01", "2029-12-31", "0.95", "保洁\n保安")
	f.Add("", "", "soon", "", "-1", " \n\n")
	f.Fuzz(func(t *testing.T, principals, provider, starts, ends, rate, services string) {
		form := AgreementForm{Principals: principals, Provider: provider, Starts: starts, Ends: ends, Services: services, Rates: map[string]TypedRate{}}
		for _, use := range Uses {
			form.Rates[use] = TypedRate{rate, Pers[0]}
		}
		body, wrong := form.Body()
		if _, err := json.Marshal(body); err != nil {
			t.Fatal(err)
		}
		for _, w := range wrong {
			if wrongWords[w.Code] == "" {
				t.Errorf("no words for %v", w)
			}
		}
		if list := body["services"].([]string); slices.Contains(list, "") || !slices.Equal(linesOf(strings.Join(list, "\n")), list) {
			t.Errorf("%q is read as %q", services, list)
		}
	})
}
