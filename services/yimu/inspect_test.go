package main

import (
	"encoding/json"
	"testing"

	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
)

// replay decides a whole ledger again.
func (s *site) replay(t *testing.T, estate string, open inspect.Opener) (*inspect.Inspector, []proof.Finding, []inspect.Unverified) {
	t.Helper()
	i, err := inspect.New(estate, open)
	if err != nil {
		t.Fatal(err)
	}
	var found []proof.Finding
	for e, err := range s.store.ReadAll(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, i.Take(e)...)
	}
	rest, unverified := i.End()
	return i, append(found, rest...), unverified
}

// allowed wants the rules to allow all that the papers of an estate led to, and its
// published figures to be those that are derived of it.
func (s *site) allowed(t *testing.T, estate string) {
	t.Helper()
	i, found, unverified := s.replay(t, estate, nil)
	for _, f := range found[:min(20, len(found))] {
		t.Error(f)
	}
	t.Log(unverified)
	var published []inspect.Figure
	for _, f := range i.Figures() {
		var body json.RawMessage
		s.get(t, f.Path, &body)
		published = append(published, inspect.Figure{Path: f.Path, Value: body})
	}
	wrong, beyond := i.Compare(published)
	for _, f := range wrong {
		t.Error(f)
	}
	if len(published) != 13 || len(beyond) > 0 {
		t.Errorf("%d figures, beyond them %v", len(published), beyond)
	}
}
