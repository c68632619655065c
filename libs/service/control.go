package service

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// ControlCharacter returns the path of the first string of a JSON document, e.g.
// motions[0].text, that holds a control character other than a line break or a
// tab, and whether there is one. No text has a use for them, and not every
// database stores U+0000: an event that holds one would stop its read models.
func ControlCharacter(document []byte) (path string, found bool) {
	// JSON has them escaped only; a document without such an escape is not looked at again.
	if !bytes.Contains(document, []byte(`\u00`)) && !bytes.Contains(document, []byte(`\b`)) && !bytes.Contains(document, []byte(`\f`)) {
		return "", false
	}
	var value any
	if json.Unmarshal(document, &value) != nil {
		return "", false
	}
	return findControl("", value)
}

func findControl(path string, value any) (string, bool) {
	switch v := value.(type) {
	case string:
		for _, c := range []byte(v) {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
				return path, true
			}
		}
	case []any:
		for i, item := range v {
			if at, found := findControl(path+"["+strconv.Itoa(i)+"]", item); found {
				return at, true
			}
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			at := name
			if path != "" {
				at = path + "." + name
			}
			if at, found := findControl(at, v[name]); found {
				return at, true
			}
		}
	}
	return "", false
}

// holdsControl is how a body is refused: huma keeps the text of the error alone,
// and [field] makes of it what the caller sees.
const holdsControl = "holds a control character at "

const controlRefused = "holds a control character"

type controlError string

func (e controlError) Error() string { return holdsControl + string(e) }

// formats are huma's, for bodies without control characters. A body is first read
// into an any, to be held against its schema; it is looked through then.
func formats() map[string]huma.Format {
	all := maps.Clone(huma.DefaultFormats)
	for name, format := range all {
		read := format.Unmarshal
		format.Unmarshal = func(body []byte, v any) error {
			if _, first := v.(*any); first {
				if path, found := ControlCharacter(body); found {
					return controlError(path)
				}
			}
			return read(body, v)
		}
		all[name] = format
	}
	return all
}
