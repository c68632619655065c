package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
)

func TestWrite(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		header string // one that must stand there
		body   string
	}{
		"a conflict keeps its code and sentence": {
			err:    fmt.Errorf("votes: %w", problem.Conflict("meeting-not-open", "voting opens on 1 May")),
			status: 409,
			body:   `{"type":"urn:yimu:meeting-not-open","title":"Meeting not open","status":409,"code":"meeting-not-open","detail":"voting opens on 1 May"}`,
		},
		"a wrong field is named": {
			err:    problem.Invalid("invalid", "one field is wrong", problem.Field{Name: "choices[0].motion", Code: "unknown", Detail: "no such motion"}),
			status: 422,
			body:   `{"type":"urn:yimu:invalid","title":"Invalid","status":422,"code":"invalid","detail":"one field is wrong","errors":[{"name":"choices[0].motion","code":"unknown","detail":"no such motion"}]}`,
		},
		"a bound is given with its source": {
			err:    problem.Invalid("rules-loosen", "", problem.Field{Name: "days", Code: "too-few", Detail: "is less than 15", Bound: "15", Source: "条例"}),
			status: 422,
			body:   `{"type":"urn:yimu:rules-loosen","title":"Rules loosen","status":422,"code":"rules-loosen","errors":[{"name":"days","code":"too-few","detail":"is less than 15","bound":"15","source":"条例"}]}`,
		},
		"text of an internal error never leaves": {
			err:    errors.New("dial tcp 10.0.0.7: connection refused"),
			status: 500,
			body:   `{"type":"urn:yimu:internal","title":"Internal","status":500,"code":"internal","detail":"something went wrong here; the operator's log says what"}`,
		},
		"an unsent commit may be repeated in a second": {
			err:    fmt.Errorf("write: %w", es.ErrNotSent),
			status: 503, header: "Retry-After: 1",
			body: `{"type":"urn:yimu:not-sent","title":"Not sent","status":503,"code":"not-sent","detail":"the ledger cannot be reached; nothing was recorded, repeat with the same key"}`,
		},
		"who is unknown learns how to say who they are": {
			err:    problem.Unauthorized("token-unknown", "log in"),
			status: 401, header: `Www-Authenticate: Bearer realm="yimu"`,
			body: `{"type":"urn:yimu:token-unknown","title":"Token unknown","status":401,"code":"token-unknown","detail":"log in"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			problem.Write(w, test.err)
			if w.Code != test.status || w.Body.String() != test.body {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, test.status, test.body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
				t.Errorf("content type %q", got)
			}
			if key, value, ok := strings.Cut(test.header, ": "); ok && w.Header().Get(key) != value {
				t.Errorf("header %s is %q, want %q", key, w.Header().Get(key), value)
			}
		})
	}
}

func TestFrom(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"a reused key":                {es.ErrKeyReused, 422, "key-reused"},
		"writers in a row":            {es.ErrConflict, 409, "conflict"},
		"an unsent commit":            {es.ErrNotSent, 503, "not-sent"},
		"an event over its size":      {es.ErrTooLarge, 413, "too-large"},
		"a body over its limit":       {&http.MaxBytesError{Limit: 1}, 413, "too-large"},
		"a problem":                   {problem.NotFound("no-estate", ""), 404, "no-estate"},
		"one that only looks like it": {errors.New("not-found: sorry"), 500, "internal"},
		"a pending commit":            {es.ErrPending, 500, "internal"},
	} {
		t.Run(name, func(t *testing.T) {
			p, visible := problem.From(fmt.Errorf("wrapped: %w", test.err))
			if p.Status != test.status || p.Code != test.code || visible != (test.status != 500) {
				t.Errorf("got %d %s visible=%t, want %d %s", p.Status, p.Code, visible, test.status, test.code)
			}
		})
	}
}

func TestErrorsAreComparedByCode(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", problem.Conflict("closed", "on 3 May"))
	if !errors.Is(err, problem.Conflict("closed", "")) || errors.Is(err, problem.Conflict("open", "")) {
		t.Error("errors.Is must compare codes and nothing else")
	}
}

func TestADocumentIsReadBackAsItWasWritten(t *testing.T) {
	want := problem.Invalid("rows-wrong", "3 rows", problem.Field{Name: "row 2", Code: "too-small", Detail: "no area", Bound: "1", Source: "the form"})
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got problem.Error
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Status != want.Status || got.Code != want.Code || got.Detail != want.Detail || len(got.Fields) != 1 || got.Fields[0] != want.Fields[0] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
