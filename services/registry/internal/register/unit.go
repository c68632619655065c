package register

import (
	"cmp"
	"math/big"
	"slices"
	"unicode/utf8"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals of commands on units.
var (
	ErrNoSuchUnit  = problem.NotFound("no-such-unit", "the unit is not registered")
	ErrUnitArea    = problem.Invalid("area-not-positive", "the area must be more than zero")
	ErrUnitUse     = problem.Invalid("unknown-use", "the use must be 住宅, 商铺 or 车位")
	ErrUnitBasis   = problem.Invalid("unknown-basis", "the basis of the area must be 登记, 实测 or 合同")
	ErrUnitState   = problem.Invalid("unknown-state", "the delivery state must be 已交付, 已售未交付 or 未售")
	ErrUnitCode    = problem.Invalid("code-missing", "a unit needs a code")
	ErrUnitText    = problem.Invalid("text-too-long", "code, building, stair and room have at most 60 characters each")
	ErrNoTitles    = problem.Invalid("titles-missing", "a unit needs at least one title")
	ErrShares      = problem.Invalid("shares-do-not-add-up", "the shares of a unit's titles must add up to one")
	ErrVoters      = problem.Invalid("not-one-voter", "exactly one co-owner votes for a unit")
	ErrSameOwner   = problem.Invalid("owner-twice", "an owner has one title to a unit, not two")
	ErrOwnerKind   = problem.Invalid("unknown-kind", "an owner is natural or legal")
	ErrShareNumber = problem.Invalid("share-not-positive", "a share is a positive fraction")
	ErrManyTitles  = problem.Invalid("too-many-titles", "a unit has at most 200 titles")
)

const (
	longestText = 60  // characters
	mostTitles  = 200 // they are one event, and that is limited
)

// Unit is the state of a unit's stream.
type Unit struct {
	ID     string
	Unit   registry.Unit
	Titles []registry.Title // by person
}

// EvolveUnit applies one event.
func EvolveUnit(u Unit, e registry.Event) Unit {
	switch e := e.(type) {
	case registry.UnitRegistered:
		u.ID, u.Unit = e.ID, e.Unit
	case registry.UnitCorrected:
		u.Unit = e.Unit
	case registry.TitlesStated:
		u.Titles = e.Titles
	case registry.TitlesCorrected:
		u.Titles = e.Titles
	default: // events of other streams
	}
	return u
}

// RegisterUnit states what the unit list says of a unit: the first time it is
// registered, later it is corrected where something differs.
type RegisterUnit struct {
	Estate string
	ID     string
	Unit   registry.Unit
}

// Decide implements es.Command.
func (c RegisterUnit) Decide(u Unit) ([]registry.Event, error) {
	if err := CheckUnit(c.Unit); err != nil {
		return nil, err
	}
	switch {
	case u.ID == "":
		return []registry.Event{registry.UnitRegistered{Estate: c.Estate, ID: c.ID, Unit: c.Unit}}, nil
	case u.Unit == c.Unit:
		return nil, nil
	}
	return []registry.Event{registry.UnitCorrected{Estate: c.Estate, ID: c.ID, Unit: c.Unit}}, nil
}

// CheckUnit says what is wrong with a unit by itself.
func CheckUnit(u registry.Unit) error {
	switch {
	case u.Code == "":
		return ErrUnitCode
	case slices.ContainsFunc([]string{u.Code, u.Building, u.Stair, u.Room}, func(s string) bool { return utf8.RuneCountInString(s) > longestText }):
		return ErrUnitText
	case u.Area <= 0:
		return ErrUnitArea
	case !slices.Contains([]string{registry.Home, registry.Shop, registry.Parking}, u.Use):
		return ErrUnitUse
	case !slices.Contains([]string{registry.BasisRegister, registry.BasisSurvey, registry.BasisContract}, u.Basis):
		return ErrUnitBasis
	case !slices.Contains([]string{registry.Delivered, registry.SoldUndelivered, registry.Unsold}, u.State):
		return ErrUnitState
	}
	return nil
}

// StateTitles states all titles of a unit; those that are missing have ended.
type StateTitles struct {
	Estate string
	Titles []registry.Title
}

// Decide implements es.Command.
func (c StateTitles) Decide(u Unit) ([]registry.Event, error) {
	if u.ID == "" {
		return nil, ErrNoSuchUnit
	}
	if err := CheckTitles(c.Titles); err != nil {
		return nil, err
	}
	titles := slices.SortedFunc(slices.Values(c.Titles), func(a, b registry.Title) int { return cmp.Compare(a.Person, b.Person) })
	switch {
	case u.Titles == nil:
		return []registry.Event{registry.TitlesStated{Estate: c.Estate, ID: u.ID, Code: u.Unit.Code, Titles: titles}}, nil
	case slices.Equal(u.Titles, titles):
		return nil, nil
	}
	return []registry.Event{registry.TitlesCorrected{Estate: c.Estate, ID: u.ID, Code: u.Unit.Code, Titles: titles}}, nil
}

// CheckTitles says what is wrong with the titles of one unit: shares that do not
// add up, no or two voting co-owners, an owner listed twice.
func CheckTitles(titles []registry.Title) error {
	switch {
	case len(titles) == 0:
		return ErrNoTitles
	case len(titles) > mostTitles:
		return ErrManyTitles
	}
	var sum big.Rat
	voters, seen := 0, map[string]bool{}
	for _, t := range titles {
		switch {
		case t.Part <= 0 || t.Part > t.Whole:
			return ErrShareNumber
		case t.Kind != registry.Natural && t.Kind != registry.Legal:
			return ErrOwnerKind
		case seen[t.Person]:
			return ErrSameOwner
		}
		seen[t.Person] = true
		if t.Votes {
			voters++
		}
		sum.Add(&sum, big.NewRat(t.Part, t.Whole))
	}
	switch {
	case sum.Cmp(big.NewRat(1, 1)) != 0:
		return ErrShares
	case voters != 1:
		return ErrVoters
	}
	return nil
}
