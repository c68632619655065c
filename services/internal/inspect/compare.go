package inspect

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/yimu-ledger/yimu/libs/proof"
)

// Compare holds published figures against those that the events lead to: what was
// derived must stand in what was published, which may say more, such as links and
// positions, and may leave out what is nothing. A figure that was published and is not derived is unverified. Call it
// after End.
func (i *Inspector) Compare(published []Figure) (wrong []proof.Finding, unverified []Unverified) {
	wrong, unverified, _ = i.compare(published)
	return wrong, unverified
}

// compare also returns the paths of figures that are derived and were not published.
func (i *Inspector) compare(published []Figure) (wrong []proof.Finding, unverified []Unverified, missing []string) {
	derived := map[string][]byte{}
	for _, f := range i.Figures() {
		derived[f.Path] = f.Value
	}
	held := map[string]bool{}
	for _, f := range published {
		held[f.Path] = true
		value, ok := derived[f.Path]
		if !ok {
			unverified = append(unverified, Unverified{What: f.Path, Count: 1, Why: "this figure is not derived"})
			continue
		}
		want, err := parse(value)
		if err == nil {
			var got any
			if got, err = parse(f.Value); err == nil {
				compare(f.Path, want, got, &wrong)
				continue
			}
		}
		wrong = append(wrong, proof.Finding{Code: proof.WrongFigure, Rule: f.Path, Detail: "is no JSON: " + err.Error()})
	}
	maps.DeleteFunc(derived, func(path string, _ []byte) bool { return held[path] })
	return wrong, unverified, slices.Sorted(maps.Keys(derived))
}

func parse(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	return v, d.Decode(&v)
}

// compare notes where what was published does not hold what was derived.
func compare(place string, want, got any, wrong *[]proof.Finding) {
	switch want := want.(type) {
	case map[string]any:
		if object, ok := got.(map[string]any); ok {
			for _, name := range slices.Sorted(maps.Keys(want)) {
				compare(place+"#"+name, want[name], object[name], wrong)
			}
			return
		}
	case []any:
		if list, ok := got.([]any); ok && len(list) == len(want) {
			for n, v := range want {
				compare(fmt.Sprintf("%s[%d]", place, n), v, list[n], wrong)
			}
			return
		}
	default:
		if want == got || got == nil && slices.Contains([]any{"", false, json.Number("0")}, want) {
			return
		}
	}
	*wrong = append(*wrong, proof.Finding{Code: proof.WrongFigure, Rule: place,
		Detail: fmt.Sprintf("published is %s, and the events lead to %s", text(got), text(want))})
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
