// Package register decides what may happen to estates, units, titles, people
// and tokens: the registry without its plumbing. It does no I/O.
package register

import (
	"strings"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/problem"
)

// Refusals of commands on estates.
var (
	ErrEstateName    = problem.Invalid("name-missing", "an estate needs a name of at most 60 characters")
	ErrNoSuchEstate  = problem.NotFound("no-such-estate", "there is no such estate")
	ErrEstateFounded = problem.Conflict("estate-exists", "there is an estate with this id already")
)

// Estate is the state of an estate's stream.
type Estate struct {
	ID          string
	Name        string
	FeeCategory string
}

// EvolveEstate applies one event.
func EvolveEstate(s Estate, e registry.Event) Estate {
	switch e := e.(type) {
	case registry.EstateFounded:
		s.ID, s.Name = e.Estate, e.Name
	case registry.EstateSet:
		if e.Name != "" {
			s.Name = e.Name
		}
		if e.FeeCategory != "" {
			s.FeeCategory = e.FeeCategory
		}
	default: // events of other streams
	}
	return s
}

// FoundEstate begins an estate. Founding it again under the same name changes nothing.
type FoundEstate struct{ ID, Name string }

// Decide implements es.Command.
func (c FoundEstate) Decide(s Estate) ([]registry.Event, error) {
	if !nameOK(c.Name) {
		return nil, ErrEstateName
	}
	switch {
	case s.ID == "":
		return []registry.Event{registry.EstateFounded{Estate: c.ID, Name: c.Name}}, nil
	case s.Name == c.Name:
		return nil, nil
	}
	return nil, ErrEstateFounded
}

// SetEstate changes settings; fields left empty stay as they are.
type SetEstate struct{ Name, FeeCategory string }

// Decide implements es.Command.
func (c SetEstate) Decide(s Estate) ([]registry.Event, error) {
	if s.ID == "" {
		return nil, ErrNoSuchEstate
	}
	if c.Name != "" && !nameOK(c.Name) {
		return nil, ErrEstateName
	}
	set := registry.EstateSet{Estate: s.ID}
	if c.Name != s.Name {
		set.Name = c.Name
	}
	if c.FeeCategory != s.FeeCategory {
		set.FeeCategory = c.FeeCategory
	}
	if set.Name == "" && set.FeeCategory == "" {
		return nil, nil
	}
	return []registry.Event{set}, nil
}

func nameOK(name string) bool {
	return strings.TrimSpace(name) != "" && len([]rune(name)) <= 60
}
