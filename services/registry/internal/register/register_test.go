package register_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

type event = registry.Event

func same(a, b event) bool { return reflect.DeepEqual(a, b) }

func TestEstate(t *testing.T) {
	founded := registry.EstateFounded{Estate: "e", Name: "秀山花园"}
	estest.Run(t, register.EvolveEstate, same, []estest.Case[register.Estate, event]{
		{Name: "an estate is founded", When: register.FoundEstate{ID: "e", Name: "秀山花园"}, Then: []event{founded}},
		{Name: "founding it again changes nothing", Given: []event{founded}, When: register.FoundEstate{ID: "e", Name: "秀山花园"}},
		{Name: "nor once it is renamed", Given: []event{founded, registry.EstateSet{Estate: "e", Name: "秀山"}},
			When: register.FoundEstate{ID: "e", Name: "秀山"}},
		{Name: "its id is not for another name", Given: []event{founded}, When: register.FoundEstate{ID: "e", Name: "别处"}, Err: register.ErrEstateFounded},
		{Name: "a name of spaces is none", When: register.FoundEstate{ID: "e", Name: "  "}, Err: register.ErrEstateName},
		{Name: "60 characters are a name", When: register.FoundEstate{ID: "e", Name: strings.Repeat("山", 60)},
			Then: []event{registry.EstateFounded{Estate: "e", Name: strings.Repeat("山", 60)}}},
		{Name: "61 are too many", When: register.FoundEstate{ID: "e", Name: strings.Repeat("山", 61)}, Err: register.ErrEstateName},
		{Name: "what is set stands in the event alone", Given: []event{founded}, When: register.SetEstate{FeeCategory: "物业费"},
			Then: []event{registry.EstateSet{Estate: "e", FeeCategory: "物业费"}}},
		{Name: "what is so already is not set", Given: []event{founded}, When: register.SetEstate{Name: "秀山花园"}},
		{Name: "settings need an estate", When: register.SetEstate{Name: "秀山"}, Err: register.ErrNoSuchEstate},
		{Name: "a new name is a name too", Given: []event{founded}, When: register.SetEstate{Name: strings.Repeat("山", 61)}, Err: register.ErrEstateName},
	})
}

var home = registry.Unit{Code: "1-101", Building: "1", Stair: "1", Room: "101", Use: registry.Home, Area: 8990, Basis: registry.BasisRegister, State: registry.Delivered}

func with(change func(*registry.Unit)) registry.Unit {
	u := home
	change(&u)
	return u
}

func TestUnit(t *testing.T) {
	registered := registry.UnitRegistered{Estate: "e", ID: "u", Unit: home}
	larger := with(func(u *registry.Unit) { u.Area++ })
	register1 := func(u registry.Unit) register.RegisterUnit {
		return register.RegisterUnit{Estate: "e", ID: "u", Unit: u}
	}
	estest.Run(t, register.EvolveUnit, same, []estest.Case[register.Unit, event]{
		{Name: "a unit is registered", When: register1(home), Then: []event{registered}},
		{Name: "the same again changes nothing", Given: []event{registered}, When: register1(home)},
		{Name: "a change is a correction", Given: []event{registered}, When: register1(larger),
			Then: []event{registry.UnitCorrected{Estate: "e", ID: "u", Unit: larger}}},
		{Name: "and so is changing back", Given: []event{registered, registry.UnitCorrected{Estate: "e", ID: "u", Unit: larger}}, When: register1(home),
			Then: []event{registry.UnitCorrected{Estate: "e", ID: "u", Unit: home}}},
		{Name: "a unit has a code", When: register1(with(func(u *registry.Unit) { u.Code = "" })), Err: register.ErrUnitCode},
		{Name: "not too long a one", When: register1(with(func(u *registry.Unit) { u.Code = strings.Repeat("一", 61) })), Err: register.ErrUnitText},
		{Name: "an area is more than zero", When: register1(with(func(u *registry.Unit) { u.Area = 0 })), Err: register.ErrUnitArea},
		{Name: "a use is one of three", When: register1(with(func(u *registry.Unit) { u.Use = "仓库" })), Err: register.ErrUnitUse},
		{Name: "an area rests on register, survey or contract", When: register1(with(func(u *registry.Unit) { u.Basis = "估计" })), Err: register.ErrUnitBasis},
		{Name: "a state is one of three", When: register1(with(func(u *registry.Unit) { u.State = "出租" })), Err: register.ErrUnitState},
	})
}

func title(person string, part, whole int64, votes bool) registry.Title {
	return registry.Title{Person: person, Kind: registry.Natural, Part: part, Whole: whole, Votes: votes}
}

func TestTitles(t *testing.T) {
	registered := registry.UnitRegistered{Estate: "e", ID: "u", Unit: home}
	alone, half := title("a", 1, 1, true), title("b", 1, 2, false)
	stated := registry.TitlesStated{Estate: "e", ID: "u", Code: "1-101", Titles: []registry.Title{alone}}
	state := func(titles ...registry.Title) register.StateTitles {
		return register.StateTitles{Estate: "e", Titles: titles}
	}
	many := make([]registry.Title, 201)
	for i := range many {
		many[i] = title(strings.Repeat("x", i+1), 1, 201, i == 0)
	}
	estest.Run(t, register.EvolveUnit, same, []estest.Case[register.Unit, event]{
		{Name: "titles are stated", Given: []event{registered}, When: state(alone), Then: []event{stated}},
		{Name: "the same again changes nothing", Given: []event{registered, stated}, When: state(alone)},
		{Name: "in another order neither", Given: []event{registered,
			registry.TitlesStated{Estate: "e", ID: "u", Titles: []registry.Title{title("a", 1, 2, true), half}}}, When: state(half, title("a", 1, 2, true))},
		{Name: "a title that is missing has ended", Given: []event{registered, stated}, When: state(title("c", 1, 1, true)),
			Then: []event{registry.TitlesCorrected{Estate: "e", ID: "u", Code: "1-101", Titles: []registry.Title{title("c", 1, 1, true)}}}},
		{Name: "thirds and sixths add up", Given: []event{registered}, When: state(title("a", 1, 3, true), title("b", 1, 6, false), title("c", 1, 2, false)),
			Then: []event{registry.TitlesStated{Estate: "e", ID: "u", Code: "1-101", Titles: []registry.Title{title("a", 1, 3, true), title("b", 1, 6, false), title("c", 1, 2, false)}}}},
		{Name: "titles need a unit", When: state(alone), Err: register.ErrNoSuchUnit},
		{Name: "and an owner", Given: []event{registered}, When: state(), Err: register.ErrNoTitles},
		{Name: "200 owners at the most", Given: []event{registered}, When: state(many...), Err: register.ErrManyTitles},
		{Name: "shares below one", Given: []event{registered}, When: state(title("a", 1, 2, true)), Err: register.ErrShares},
		{Name: "shares above one", Given: []event{registered}, When: state(alone, half), Err: register.ErrShares},
		{Name: "nobody votes", Given: []event{registered}, When: state(title("a", 1, 1, false)), Err: register.ErrVoters},
		{Name: "two vote", Given: []event{registered}, When: state(title("a", 1, 2, true), title("b", 1, 2, true)), Err: register.ErrVoters},
		{Name: "an owner stands there twice", Given: []event{registered}, When: state(title("a", 1, 2, true), title("a", 1, 2, false)), Err: register.ErrSameOwner},
		{Name: "no share", Given: []event{registered}, When: state(title("a", 0, 1, true)), Err: register.ErrShareNumber},
		{Name: "a share of nothing", Given: []event{registered}, When: state(title("a", 0, 0, true)), Err: register.ErrShareNumber},
		{Name: "more than all", Given: []event{registered}, When: state(title("a", 2, 1, true)), Err: register.ErrShareNumber},
		{Name: "an owner of no kind", Given: []event{registered}, When: state(registry.Title{Person: "a", Part: 1, Whole: 1, Votes: true}), Err: register.ErrOwnerKind},
	})
}

func TestSharesThatAddUpAreAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.Int64Range(1, 1<<31), 1, 200).Draw(t, "parts")
		whole := int64(0)
		for _, p := range parts {
			whole += p
		}
		titles := make([]registry.Title, len(parts))
		for i, p := range parts {
			titles[i] = title(strings.Repeat("x", i+1), p, whole, i == 0)
		}
		if err := register.CheckTitles(titles); err != nil {
			t.Fatalf("%v: %v", titles, err)
		}
		titles[rapid.IntRange(0, len(titles)-1).Draw(t, "which")].Whole++
		if err := register.CheckTitles(titles); err == nil {
			t.Fatalf("%v adds up", titles)
		}
	})
}

func TestPerson(t *testing.T) {
	known := registry.PersonRegistered{Person: "p", Kind: registry.Natural}
	clerk := registry.RoleGranted{Person: "p", Role: registry.Clerk, Estate: "e"}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	estest.Run(t, register.EvolvePerson, same, []estest.Case[register.Person, event]{
		{Name: "a person is registered", When: register.RegisterPerson{ID: "p", Kind: registry.Natural}, Then: []event{known}},
		{Name: "once", Given: []event{known}, When: register.RegisterPerson{ID: "p", Kind: registry.Natural}},
		{Name: "and what was corrected thereby is named", Given: []event{known}, When: register.RegisterPerson{ID: "p", Kind: registry.Natural, Corrected: []string{"phone"}},
			Then: []event{registry.PersonalDataCorrected{Person: "p", Fields: []string{"phone"}}}},
		{Name: "a person is natural or legal", When: register.RegisterPerson{ID: "p", Kind: "鬼"}, Err: register.ErrOwnerKind},
		{Name: "corrections name fields", Given: []event{known}, When: register.CorrectPersonalData{Fields: []string{"name"}},
			Then: []event{registry.PersonalDataCorrected{Person: "p", Fields: []string{"name"}}}},
		{Name: "nothing corrected is nothing", Given: []event{known}, When: register.CorrectPersonalData{}},
		{Name: "nobody is corrected", When: register.CorrectPersonalData{Fields: []string{"name"}}, Err: register.ErrNoSuchPerson},
		{Name: "reading is recorded with its reason", Given: []event{known},
			When: register.ReadPersonalData{Reader: "r", Fields: []string{"name"}, Reason: registry.ForNotice, At: now},
			Then: []event{registry.PersonalDataRead{Person: "p", Reader: "r", Fields: []string{"name"}, Reason: registry.ForNotice, At: now}}},
		{Name: "without a reason nothing is read", Given: []event{known}, When: register.ReadPersonalData{Reader: "r"}, Err: register.ErrNoReason},
		{Name: "nor with one in words, which would be public", Given: []event{known}, When: register.ReadPersonalData{Reader: "r", Reason: "电话核实"}, Err: register.ErrNoReason},
		{Name: "nobody is read", When: register.ReadPersonalData{Reader: "r", Reason: registry.ForNotice}, Err: register.ErrNoSuchPerson},
		{Name: "a login code is made by someone", Given: []event{known}, When: register.MakeLoginCode{By: "r", Expires: now},
			Then: []event{registry.LoginCodeMade{Person: "p", By: "r", Expires: now}}},
		{Name: "for someone", When: register.MakeLoginCode{By: "r", Expires: now}, Err: register.ErrNoSuchPerson},
		{Name: "a correction is asked for", Given: []event{known}, When: register.RequestCorrection{Words: "sealed"},
			Then: []event{registry.CorrectionRequested{Person: "p", Words: "sealed"}}},
		{Name: "by someone", When: register.RequestCorrection{Words: "sealed"}, Err: register.ErrNoSuchPerson},
	})
	estest.Run(t, register.EvolvePerson, same, []estest.Case[register.Person, event]{
		{Name: "a role is granted for an estate", Given: []event{known}, When: register.GrantRole{Role: registry.Clerk, Estate: "e"}, Then: []event{clerk}},
		{Name: "granting it again changes nothing", Given: []event{known, clerk}, When: register.GrantRole{Role: registry.Clerk, Estate: "e"}},
		{Name: "for another estate it is another", Given: []event{known, clerk}, When: register.GrantRole{Role: registry.Clerk, Estate: "f"},
			Then: []event{registry.RoleGranted{Person: "p", Role: registry.Clerk, Estate: "f"}}},
		{Name: "after it was taken back it can be granted again", Given: []event{known, clerk, registry.RoleRevoked{Person: "p", Role: registry.Clerk, Estate: "e"}},
			When: register.GrantRole{Role: registry.Clerk, Estate: "e"}, Then: []event{clerk}},
		{Name: "a regulator may be one everywhere", Given: []event{known}, When: register.GrantRole{Role: registry.Regulator},
			Then: []event{registry.RoleGranted{Person: "p", Role: registry.Regulator}}},
		{Name: "a clerk is one of an estate", Given: []event{known}, When: register.GrantRole{Role: registry.Clerk}, Err: register.ErrRoleScope},
		{Name: "owner is no role: titles decide (Civil Code art. 271)", Given: []event{known}, When: register.GrantRole{Role: "owner", Estate: "e"}, Err: register.ErrUnknownRole},
		{Name: "nobody gets a role", When: register.GrantRole{Role: registry.Clerk, Estate: "e"}, Err: register.ErrNoSuchPerson},
		{Name: "a role is taken back", Given: []event{known, clerk}, When: register.RevokeRole{Role: registry.Clerk, Estate: "e"},
			Then: []event{registry.RoleRevoked{Person: "p", Role: registry.Clerk, Estate: "e"}}},
		{Name: "what was not granted is not taken back", Given: []event{known}, When: register.RevokeRole{Role: registry.Clerk, Estate: "e"}},
		{Name: "from nobody nothing is", When: register.RevokeRole{Role: registry.Clerk, Estate: "e"}, Err: register.ErrNoSuchPerson},
	})
}

func TestErasingAPerson(t *testing.T) {
	known := registry.PersonRegistered{Person: "p", Kind: registry.Natural}
	erased := registry.PersonErased{Person: "p", Ground: registry.OnRequest}
	role := func(r registry.Role) registry.RoleGranted {
		return registry.RoleGranted{Person: "p", Role: r, Estate: "e"}
	}
	now := time.Date(2027, 3, 1, 0, 0, 0, 0, units.Shanghai)
	erase := func(change func(*register.ErasePerson)) register.ErasePerson {
		c := register.ErasePerson{Ground: registry.OnRequest, Now: now}
		change(&c)
		return c
	}
	refused := func(code string) error { return problem.Conflict(code, "") }
	nothing := func(*register.ErasePerson) {}
	estest.Run(t, register.EvolvePerson, same, []estest.Case[register.Person, event]{
		{Name: "who has left is erased", Given: []event{known}, When: erase(nothing), Then: []event{erased}},
		{Name: "once", Given: []event{known, erased}, When: erase(nothing)},
		{Name: "a resident's role ends with it", Given: []event{known, role(registry.Resident)}, When: erase(nothing), Then: []event{erased}},
		{Name: "nobody is erased", When: erase(nothing), Err: register.ErrNoSuchPerson},
		{Name: "without a ground nobody is", Given: []event{known}, When: erase(func(c *register.ErasePerson) { c.Ground = "" }), Err: register.ErrNoGround},
		{Name: "nor with one in words", Given: []event{known}, When: erase(func(c *register.ErasePerson) { c.Ground = "搬走了" }), Err: register.ErrNoGround},
		{Name: "who holds an office answers for it", Given: []event{known, role(registry.Resident), role(registry.Clerk)}, When: erase(nothing), Err: refused("holds-office")},
		{Name: "until it is taken back", Given: []event{known, role(registry.Clerk), registry.RoleRevoked{Person: "p", Role: registry.Clerk, Estate: "e"}},
			When: erase(nothing), Then: []event{erased}},
		{Name: "an owner is known to the estate", Given: []event{known}, When: erase(func(c *register.ErasePerson) { c.Unit = "1-101" }), Err: refused("holds-title")},
		{Name: "a voter to the meeting", Given: []event{known}, When: erase(func(c *register.ErasePerson) { c.Roll = register.Roll{Running: true} }), Err: refused("on-a-roll")},
		{Name: "for a year after it", Given: []event{known},
			When: erase(func(c *register.ErasePerson) { c.Roll.Known = now.AddDate(-1, 0, 0) }), Err: refused("on-a-roll")},
		{Name: "Civil Code art. 203: while days off may move its last day", Given: []event{known},
			When: erase(func(c *register.ErasePerson) { c.Roll.Known = units.DayOf(now).Start().AddDate(-1, 0, -10) }), Err: refused("on-a-roll")},
		{Name: "and no longer", Given: []event{known},
			When: erase(func(c *register.ErasePerson) { c.Roll.Known = units.DayOf(now).Start().AddDate(-1, 0, -10).Add(-1) }), Then: []event{erased}},
	})
	_, err := erase(func(c *register.ErasePerson) { c.Roll.Known = now }).Decide(register.Person{ID: "p"})
	if p, ok := problem.From(err); !ok || !strings.Contains(p.Detail, "2028-03-12") {
		t.Errorf("it does not say when: %v", err)
	}
	for _, cmd := range []es.Command[register.Person, event]{
		register.RegisterPerson{ID: "p", Kind: registry.Natural}, register.CorrectPersonalData{Fields: []string{"name"}},
		register.ReadPersonalData{Reason: registry.ForNotice}, register.MakeLoginCode{}, register.RequestCorrection{},
		register.GrantRole{Role: registry.Clerk, Estate: "e"}, register.RevokeRole{Role: registry.Clerk, Estate: "e"},
	} {
		if events, err := cmd.Decide(register.Person{ID: "p", Erased: true}); !errors.Is(err, register.ErrErased) {
			t.Errorf("%T of someone erased: %v, %v", cmd, events, err)
		}
	}
}

func TestToken(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	issued := registry.TokenIssued{Token: "t", Hash: "h", Role: registry.Clerk, Estate: "e", Expires: now.Add(time.Hour)}
	issue := func(change func(*registry.TokenIssued)) register.IssueToken {
		i := issued
		change(&i)
		return register.IssueToken{TokenIssued: i, Now: now}
	}
	estest.Run(t, register.EvolveToken, same, []estest.Case[register.Token, event]{
		{Name: "a token is issued", When: issue(func(*registry.TokenIssued) {}), Then: []event{issued}},
		{Name: "once", Given: []event{issued}, When: issue(func(*registry.TokenIssued) {})},
		{Name: "for a person or a role", When: issue(func(i *registry.TokenIssued) { i.Role = "" }), Err: register.ErrTokenHolder},
		{Name: "not for both", When: issue(func(i *registry.TokenIssued) { i.Person = "p" }), Err: register.ErrTokenHolder},
		{Name: "for a role there is", When: issue(func(i *registry.TokenIssued) { i.Role = "owner" }), Err: register.ErrUnknownRole},
		{Name: "for an estate", When: issue(func(i *registry.TokenIssued) { i.Estate = "" }), Err: register.ErrRoleScope},
		{Name: "for the future", When: issue(func(i *registry.TokenIssued) { i.Expires = now }), Err: register.ErrTokenExpiry},
		{Name: "not for ever", When: issue(func(i *registry.TokenIssued) { i.Expires = now.AddDate(2, 0, 1) }), Err: register.ErrTokenExpiry},
		{Name: "it is revoked", Given: []event{issued}, When: register.RevokeToken{}, Then: []event{registry.TokenRevoked{Token: "t"}}},
		{Name: "once", Given: []event{issued, registry.TokenRevoked{Token: "t"}}, When: register.RevokeToken{}},
		{Name: "if there is one", When: register.RevokeToken{}, Err: register.ErrNoSuchToken},
	})
}

func TestTitlesStandInOneOrder(t *testing.T) {
	var u register.Unit
	u = register.EvolveUnit(u, registry.UnitRegistered{ID: "u", Unit: home})
	given := []registry.Title{title("c", 1, 3, false), title("a", 1, 3, true), title("b", 1, 3, false)}
	events, err := register.StateTitles{Titles: given}.Decide(u)
	if err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	stated := events[0].(registry.TitlesStated).Titles
	if !slices.IsSortedFunc(stated, func(a, b registry.Title) int { return strings.Compare(a.Person, b.Person) }) || given[0].Person != "c" {
		t.Fatalf("stated %v of %v", stated, given)
	}
}
