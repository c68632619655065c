package paper

import (
	"encoding/json"
	"errors"

	"github.com/yimu-ledger/yimu/libs/service"
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
			return v, &FileError{"field-wrong", wrong.Field, "holds JSON of another kind: " + wrong.Value}
		}
		return v, &FileError{"file-unreadable", "", "not a JSON document"}
	}
	if field, found := service.ControlCharacter(text); found {
		return v, &FileError{"control-character", field, "the field holds a character that cannot be seen"}
	}
	return v, nil
}
