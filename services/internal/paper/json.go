package paper

import (
	"encoding/json"
	"errors"
)

// ReadJSON reads a paper that is one JSON document, such as an agreement.
// Fields it does not know are left alone, as unknown headings are. The error is
// a [FileError] that names the field.
func ReadJSON[T any](file []byte) (v T, err error) {
	if len(file) > MaxFile {
		return v, &FileError{"file-too-large", "", "a file may have 64 MiB"}
	}
	text, err := decode(file)
	if err != nil {
		return v, err
	}
	if err := json.Unmarshal(text, &v); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return v, &FileError{"field-wrong", wrong.Field, "the field holds a " + wrong.Value + ", which is of another kind"}
		}
		return v, &FileError{"file-unreadable", "", "not a JSON document"}
	}
	return v, nil
}
