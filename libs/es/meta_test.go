package es

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
)

// FuzzParseMeta: what is read the short way is what encoding/json reads, and what
// the commit path writes is read the short way.
func FuzzParseMeta(f *testing.F) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 500_000_000, time.UTC)
	for _, m := range []Meta{
		{Commit: uuid.New(), Hash: "00ff", Actor: "token:1", Happened: at},
		{Commit: uuid.New(), Cause: "c/1", Hash: "00ff", Actor: "reaction:x", Seen: 17, Happened: at.In(time.FixedZone("", 8*3600)), Past: true, Trace: "00-1-2-01"},
	} {
		b, err := json.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		if got, ok := parseMeta(b); !ok || !got.Happened.Equal(m.Happened) || got.Commit != m.Commit || got.Seen != m.Seen || got.Past != m.Past || got.Trace != m.Trace || got.Cause != m.Cause {
			f.Errorf("%s is read as %+v, %t", b, got, ok)
		}
		f.Add(b)
	}
	for _, odd := range []string{
		`{"$correlationId":"x","hash":"","actor":"","happened":""}`, `{"hash":"业","actor":"\\u0041"}`, `{}`, `null`, ``,
		`{"$correlationId":"00000000-0000-0000-0000-000000000000","hash":"","actor":"","seen":01,"happened":"2026-03-01T08:00:00Z"}`,
		`{"$correlationId":"00000000-0000-0000-0000-000000000000","hash":"","actor":"","seen":99999999999999999999,"happened":"2026-03-01T08:00:00Z"}`,
		`{"$correlationId":"00000000-0000-0000-0000-000000000000","hash":"","actor":"","happened":"2026-03-01T08:00:00Z"} `,
	} {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		short, ok := parseMeta(b)
		if !ok {
			return
		}
		var long Meta
		if err := json.Unmarshal(b, &long); err != nil || !reflect.DeepEqual(short, long) {
			t.Fatalf("%q is %+v the short way, and %+v, %v", b, short, long, err)
		}
	})
}

// FuzzParseCommit: the same of commits.
func FuzzParseCommit(f *testing.F) {
	for _, c := range []Commit{
		{ID: uuid.New(), Stream: "ballot-1-2", Events: []Proposed{{uuid.New(), "ballot-cast.v1", []byte(`{"meeting":"业"}`), []byte(`{}`)}}},
		{ID: uuid.New(), Attempt: 4, Stream: "meeting-1", Expected: 120, Events: []Proposed{{uuid.New(), "a.v1", []byte(`1`), []byte(`12`)}, {uuid.New(), "b.v2", []byte(``), []byte(`123`)}}},
	} {
		b, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		if got, ok := parseCommit(b); !ok || !reflect.DeepEqual(got, c) {
			f.Errorf("%s is read as %+v, %t", b, got, ok)
		}
		f.Add(b)
	}
	const id = `"00000000-0000-0000-0000-000000000000"`
	for _, odd := range []string{
		`{"id":` + id + `,"attempt":01,"stream":"s","expected":0,"events":[{"ID":` + id + `,"Type":"t","Data":"AA==","Meta":""}]}`,
		`{"id":` + id + `,"attempt":-1,"stream":"s","expected":0,"events":[{"ID":` + id + `,"Type":"t","Data":"AAA","Meta":"AAA="}]}`,
		`{"id":` + id + `,"attempt":0,"stream":"业","expected":1,"events":[{"ID":` + id + `,"Type":"t","Data":null,"Meta":"AB=="},]}`,
		`{"id":` + id + `,"attempt":0,"stream":"s","expected":0,"events":[]}`, `{}`, `null`, ``,
	} {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		short, ok := parseCommit(b)
		if !ok {
			return
		}
		var long Commit
		if err := json.Unmarshal(b, &long); err != nil || !reflect.DeepEqual(short, long) {
			t.Fatalf("%q is %+v the short way, and %+v, %v", b, short, long, err)
		}
	})
}
