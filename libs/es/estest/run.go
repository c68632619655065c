package estest

import (
	"errors"
	"slices"
	"testing"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Case is one given/when/then test of a command.
type Case[S, E any] struct {
	Name  string
	Given []E              // what happened before
	When  es.Command[S, E] // the wish
	Then  []E              // what it decides
	Err   error            // or the refusal, as errors.Is sees it
}

// Run runs cases; equal compares events. Every command is decided twice, for
// Decide must be pure: the second answer has to be the first.
func Run[S, E any](t *testing.T, evolve func(S, E) S, equal func(a, b E) bool, cases []Case[S, E]) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			for range 2 {
				var s S
				for _, e := range c.Given {
					s = evolve(s, e)
				}
				got, err := c.When.Decide(s)
				if !errors.Is(err, c.Err) {
					t.Fatalf("error %v, want %v", err, c.Err)
				}
				if !slices.EqualFunc(got, c.Then, equal) {
					t.Fatalf("events %+v, want %+v", got, c.Then)
				}
			}
		})
	}
}
