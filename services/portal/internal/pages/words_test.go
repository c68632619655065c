package pages

import "testing"

func TestEveryEventHasWords(t *testing.T) {
	for _, group := range kinds(Chinese) {
		for _, kind := range group.Kinds {
			for _, l := range []Lang{Chinese, English} {
				if EventWords(l, kind) == kind {
					t.Errorf("%s has no words in %s", kind, l)
				}
			}
		}
	}
}
