package access

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// matrix says which roles may do an action in the estate they hold for, to
// something that is not their own. Letters: r resident, o owner, m committee,
// p provider, t principal (委托方), c clerk, g regulator, a administrator; in
// capitals where the role must hold for all estates.
const matrix = `
own.read            ....... .
own.correct         ....... .
ballot.cast         ....... .
share.take          ....... .
share.give          ....... .
option.choose       ....... .
workorder.rate      ....... .
words.read          ...p.c. a
workorder.report    romptc. a
workorder.dispatch  ...p.c. a
workorder.arrive    ...p.c. a
workorder.finish    ...p.c. a
workorder.reopen    ..m..c. a
limits.set          ....tc. a
agreement.propose   ..mptc. a
agreement.post      ..m.tc. a
agreement.sign      ..mptc. a
agreement.activate  ....tc. a
agreement.end       ....tc. a
meeting.call        ..m.tc. a
rules.adopt         ..m.tc. a
roll.freeze         ..m..c. a
trustees.name       ..m.tc. a
notice.post         ..m.tc. a
notice.deliver      ..m..c. a
notice.confirm      ....... .
letters.print       ..m..c. a
paper.receive       .....c. a
paper.enter         .....c. a
paper.void          ..m.t.. .
entry.complete      .....c. a
proxy.grant         .....c. a
proxy.revoke        .....c. a
meeting.close       .....c. a
meeting.cancel      ..m.tc. a
voting.extend       ..m..c. a
result.post         ..m..c. a
result.withdraw     ..m..c. a
result.object       ....... .
roll.object         .....c. a
objection.read      ..m..c. a
objection.answer    ..m..c. a
ballot.set-aside    ..m..c. a
result.declare      ..m..c. a
result.file         ..m.tc. a
budget.post         ...p.c. a
voucher.post        ...p.c. a
voucher.reverse     ...p.c. a
payment.record      ...p.c. a
payment.attribute   ...p.c. a
payment.refund      ...p.c. a
payments.read       ...p.cg a
collection.post     ...p.c. a
bills.raise         ...p.c. a
opening.post        .....c. a
period.close        .....c. a
estate.create       ....... a
estate.set          .....c. a
papers.import       .....c. a
past.enter          .....c. a
person.register     .....c. a
person.correct      .....c. a
person.read         .....c. a
person.erase        ....... A
login.invite        .....c. a
role.grant          ....... a
role.revoke         ....... a
token.issue         ....... a
token.revoke        ....... a
`

var columns = []string{"resident", Owner, "committee", "provider", "principal", "clerk", "regulator", "administrator"}

func load(t *testing.T) *authz.Policies {
	t.Helper()
	p, err := authz.Load("policies.cedar", policies)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhoMayDoWhat(t *testing.T) {
	p := load(t)
	var listed []string
	for line := range strings.Lines(strings.TrimSpace(matrix)) {
		fields := strings.Fields(line)
		action, row := fields[0], fields[1]+fields[2]
		listed = append(listed, action)
		for i, role := range columns {
			here := authz.Principal{ID: "x", Person: "x", Grants: []authz.Grant{{Role: role, Estate: "e1"}}}
			all := authz.Principal{ID: "token:x", Grants: []authz.Grant{{Role: role}}}
			want := row[i] != '.'
			for name, ask := range map[string]struct {
				who  authz.Principal
				what authz.Resource
				want bool
			}{
				"in its estate":            {here, authz.Resource{Estate: "e1"}, want && row[i] >= 'a'},
				"in another":               {here, authz.Resource{Estate: "e2"}, false},
				"where no estate is named": {here, authz.Resource{}, false},
				"as a program for all":     {all, authz.Resource{Estate: "e2"}, want},
			} {
				if got := p.Allow(ask.who, action, ask.what); got != ask.want {
					t.Errorf("%s by %s %s: got %t", action, role, name, got)
				}
			}
		}
		if p.Allow(authz.Principal{}, action, authz.Resource{Estate: "e1"}) {
			t.Errorf("%s by nobody", action)
		}
		if p.Allow(authz.Principal{ID: "x", Person: "x"}, action, authz.Resource{Estate: "e1", Person: "y", Owners: []string{"y"}}) {
			t.Errorf("%s by someone without a role, to another's", action)
		}
	}
	slices.Sort(listed)
	if !slices.Equal(listed, p.Actions()) {
		t.Errorf("the table must list every action of the policies:\n%v\n%v", listed, p.Actions())
	}
	if len(columns) != len(registry.Roles)+1 {
		t.Error("the table must list every role")
	}
}

func TestOnesOwn(t *testing.T) {
	p := load(t)
	ann := authz.Principal{ID: "ann", Person: "ann"}
	own := []string{"ballot.cast", "notice.confirm", "objection.read", "own.correct", "own.read", "proxy.grant", "proxy.revoke", "result.object", "share.give", "share.take", "token.issue", "token.revoke", "words.read", "workorder.rate", "workorder.reopen"}
	for _, action := range p.Actions() {
		if got, want := p.Allow(ann, action, authz.Resource{Type: "Person", ID: "ann", Estate: "e1", Person: "ann"}), slices.Contains(own, action); got != want {
			t.Errorf("%s of one's own: got %t", action, got)
		}
		if got, want := p.Allow(ann, action, authz.Resource{Type: "Unit", ID: "u1", Estate: "e1", Owners: []string{"bob", "ann"}}), action == "option.choose"; got != want {
			t.Errorf("%s of one's own unit: got %t", action, got)
		}
	}
	administrator := authz.Principal{ID: "token:1", Grants: []authz.Grant{{Role: "administrator"}}}
	if p.Allow(administrator, "ballot.cast", authz.Resource{Estate: "e1", Person: "ann"}) {
		t.Error("nobody casts another's ballot")
	}
}

func TestNobodyGainsAnotherOfficeByALogInOrAToken(t *testing.T) {
	d, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for id, grants := range map[string][]authz.Grant{
		"clerk": {{Role: "clerk", Estate: "e1"}}, "local": {{Role: "administrator", Estate: "e1"}}, "root": {{Role: "administrator"}},
		"resident": {{Role: "resident", Estate: "e1"}}, "member": {{Role: "committee", Estate: "e1"}}, "stranger": {{Role: "resident", Estate: "e2"}},
		"boss": {{Role: "resident", Estate: "e1"}, {Role: "administrator"}},
	} {
		d.person(id).granted = grants
		d.publish(d.person(id))
	}
	d.title("e1", "u1", "1-101", []registry.Title{{Person: "owner"}, {Person: "boss"}})

	for _, test := range []struct {
		who, action, person, estate string
		want                        bool
	}{
		{"clerk", "login.invite", "resident", "", true},
		{"clerk", "login.invite", "owner", "", true},
		{"clerk", "login.invite", "stranger", "", false},
		{"clerk", "login.invite", "member", "", false},
		{"clerk", "login.invite", "boss", "", false},
		{"clerk", "login.invite", "boss", "e1", false},
		{"clerk", "login.invite", "root", "", false},
		{"local", "login.invite", "owner", "", true},
		{"local", "login.invite", "boss", "", false},
		{"root", "login.invite", "boss", "", true},
		{"root", "login.invite", "nobody known", "", true},
		{"clerk", "person.read", "owner", "", true},
		{"clerk", "person.read", "stranger", "", false},
		{"member", "person.read", "owner", "", false},
		{"resident", "own.read", "resident", "", true},
		{"local", "role.grant", "owner", "e1", true},
		{"local", "role.grant", "owner", "e2", false},
		{"local", "role.grant", "owner", "", false},
		{"root", "role.grant", "owner", "", true},
		{"clerk", "role.grant", "owner", "e1", false},
	} {
		err := d.Allow(t.Context(), d.Principal(test.who), test.action, authz.Resource{Type: "Person", ID: test.person, Person: test.person, Estate: test.estate})
		if (err == nil) != test.want {
			t.Errorf("%s by %s for %s in %q: %v", test.action, test.who, test.person, test.estate, err)
		}
	}
	for _, test := range []struct {
		who, person, estate string
		want                bool
	}{
		{"local", "", "e1", true}, {"local", "", "", false}, {"local", "", "e2", false}, {"local", "boss", "e1", false},
		{"root", "", "", true}, {"root", "boss", "", true}, {"owner", "owner", "", true}, {"owner", "boss", "e1", false}, {"clerk", "", "e1", false},
	} {
		err := d.Allow(t.Context(), d.Principal(test.who), "token.issue", authz.Resource{Type: "Token", Person: test.person, Estate: test.estate})
		if (err == nil) != test.want {
			t.Errorf("token by %s for %q in %q: %v", test.who, test.person, test.estate, err)
		}
	}
}

func TestARefusalSaysWhetherToLogIn(t *testing.T) {
	d, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Allow(t.Context(), authz.Principal{}, "meeting.call", authz.Resource{Estate: "e1"}); !errors.Is(err, errNobody) {
		t.Errorf("nobody: %v", err)
	}
	if err := d.Allow(t.Context(), authz.Principal{ID: "x", Person: "x"}, "meeting.call", authz.Resource{Estate: "e1"}); !errors.Is(err, problem.Forbidden("not-allowed", "")) {
		t.Errorf("someone: %v", err)
	}
	err = d.Allow(t.Context(), authz.Principal{ID: "x", Person: "x"}, "meeting.cal", authz.Resource{Estate: "e1"})
	if _, visible := problem.From(err); err == nil || visible {
		t.Errorf("an action that does not exist must be an internal error: %v", err)
	}
}
