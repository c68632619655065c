package authz_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/libs/authz"
)

const policies = `
permit (principal in Role::"clerk", action in [Action::"file", Action::"read"], resource);
permit (principal, action == Action::"read", resource) when { principal == resource.person };
permit (principal, action == Action::"choose", resource) when { resource.owners.contains(principal) };
permit (principal is Program, action == Action::"post", resource is Notice);
permit (principal in Role::"clerk", action == Action::"broken", resource) when { resource.colour == "red" };
permit (principal in Everywhere::"clerk", action == Action::"appoint", resource) unless { resource.roles.contains("clerk") };
forbid (principal, action, resource) when { resource.estate == "closed" };
`

func load(t testing.TB) *authz.Policies {
	p, err := authz.Load("test.cedar", []byte(policies))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAllow(t *testing.T) {
	p := load(t)
	ann := authz.Principal{ID: "ann", Person: "ann", Grants: []authz.Grant{{Role: "clerk", Estate: "a"}}}
	root := authz.Principal{ID: "token:1", Grants: []authz.Grant{{Role: "clerk"}}}
	bob := authz.Principal{ID: "bob", Person: "bob"}
	for name, test := range map[string]struct {
		who    authz.Principal
		action string
		what   authz.Resource
		want   bool
	}{
		"a role holds for its estate":               {ann, "file", authz.Resource{Estate: "a"}, true},
		"and for no other":                          {ann, "file", authz.Resource{Estate: "b"}, false},
		"nor where no estate is named":              {ann, "file", authz.Resource{}, false},
		"a role for all holds for each":             {root, "file", authz.Resource{Estate: "b"}, true},
		"and where no estate is named":              {root, "file", authz.Resource{}, true},
		"everywhere is more than here":              {ann, "appoint", authz.Resource{Estate: "a"}, false},
		"who was granted it for all is everywhere":  {root, "appoint", authz.Resource{Estate: "a", Person: "bob"}, true},
		"a policy may ask for the other's roles":    {root, "appoint", authz.Resource{Person: "ann", Roles: []string{"clerk"}}, false},
		"everyone reads their own":                  {bob, "read", authz.Resource{Person: "bob"}, true},
		"also where the resource is that person":    {bob, "read", authz.Resource{Type: "Person", ID: "bob", Person: "bob"}, true},
		"and not another's":                         {bob, "read", authz.Resource{Person: "ann"}, false},
		"a stranger does not own what nobody owns":  {authz.Principal{}, "read", authz.Resource{}, false},
		"nor does a program":                        {authz.Principal{ID: "token:2"}, "read", authz.Resource{}, false},
		"an owner among several chooses":            {bob, "choose", authz.Resource{Owners: []string{"ann", "bob"}}, true},
		"who owns nothing does not":                 {bob, "choose", authz.Resource{Owners: []string{"ann"}}, false},
		"a program posts":                           {root, "post", authz.Resource{Type: "Notice"}, true},
		"but notices only":                          {root, "post", authz.Resource{Type: "Bill"}, false},
		"a person posts none":                       {ann, "post", authz.Resource{Type: "Notice", Estate: "a"}, false},
		"a policy that cannot be answered refuses":  {root, "broken", authz.Resource{}, false},
		"what no policy names is refused":           {root, "destroy", authz.Resource{}, false},
		"a forbid without actions holds for each":   {root, "file", authz.Resource{Estate: "closed"}, false},
		"an id cannot be mistaken for another type": {authz.Principal{ID: "ann"}, "read", authz.Resource{Person: "ann"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := p.Allow(test.who, test.action, test.what); got != test.want {
				t.Errorf("got %t, want %t", got, test.want)
			}
		})
	}
}

func TestActionsAreThoseThatPoliciesName(t *testing.T) {
	p := load(t)
	if want := []string{"appoint", "broken", "choose", "file", "post", "read"}; !slices.Equal(p.Actions(), want) {
		t.Errorf("got %v, want %v", p.Actions(), want)
	}
	if !p.Knows("file") || p.Knows("fiel") {
		t.Error("Knows must tell a slip of the pen")
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"a permit for all actions":    {`permit (principal, action, resource);`, "must list its actions"},
		"what is not Cedar":           {`allow everything`, "authz: "},
		"a permit by group of action": {"\npermit (principal, action in Action::\"all\", resource);", "test.cedar:2"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := authz.Load("test.cedar", []byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func BenchmarkAllow(b *testing.B) {
	p := load(b)
	who := authz.Principal{ID: "ann", Person: "ann", Grants: []authz.Grant{{Role: "resident", Estate: "a"}, {Role: "clerk", Estate: "a"}}}
	for action, what := range map[string]authz.Resource{
		"read":   {Type: "Person", ID: "ann", Estate: "a", Person: "ann"},
		"choose": {Type: "Unit", ID: "1-101", Estate: "a", Owners: []string{"bob", "ann"}},
		"file":   {Type: "Estate", ID: "a", Estate: "a"},
	} {
		b.Run(action, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !p.Allow(who, action, what) {
					b.Fatal("refused")
				}
			}
		})
	}
}
