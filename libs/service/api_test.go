package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
)

// access knows two tokens: that of ann, who may do everything, and that of bob,
// who may do nothing.
type access struct{ follower }

func (access) Authenticate(_ context.Context, token string) (authz.Principal, error) {
	switch token {
	case "ann", "bob":
		return authz.Principal{ID: token, Person: token}, nil
	}
	return authz.Principal{}, problem.Unauthorized("token-unknown", "no such token")
}

func (access) Allow(_ context.Context, p authz.Principal, _ string, _ authz.Resource) error {
	switch p.ID {
	case "ann":
		return nil
	case "":
		return problem.Unauthorized("login-needed", "log in")
	}
	return problem.Forbidden("not-allowed", "no role")
}

func (access) Principal(person string) authz.Principal {
	return authz.Principal{ID: person, Person: person}
}

// follower stands at a position for ever.
type follower es.Position

func (f follower) Position() es.Position { return es.Position(f) }
func (f follower) WaitFor(ctx context.Context, p es.Position) error {
	if p <= es.Position(f) {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

type choice struct {
	Motion string `json:"motion" minLength:"1"`
	Choice string `json:"choice" enum:"agree,against,abstain"`
}

type ballotIn struct {
	service.CommandIn
	Meeting string `path:"meeting" format:"uuid"`
	Body    struct {
		Channel string   `json:"channel,omitempty"`
		Choices []choice `json:"choices" minItems:"1"`
	}
}

var meeting = uuid.NewString()

func newDeps(t testing.TB, log io.Writer) service.Deps {
	t.Helper()
	dir := t.TempDir()
	v, err := vault.Open(t.Context(), vault.Config{URL: "sqlite://" + dir + "/vault.db", KeyFile: dir + "/key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return service.Deps{
		Vault: v, Access: access{100}, Clock: time.Now,
		Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
}

// newHandler serves one command whose outcome the test chooses.
func newHandler(deps service.Deps, then func(es.Request) (es.Done[string], error)) http.Handler {
	api, handler := service.NewAPI(deps, "votes", follower(100))
	huma.Register(api, service.Command("cast-ballot", "POST", "/meetings/{meeting}/ballots", "Cast a ballot"),
		func(ctx context.Context, in *ballotIn) (*service.Recorded, error) {
			if err := deps.Allow(ctx, "ballot.cast", authz.Resource{}); err != nil {
				return nil, err
			}
			done, err := then(service.NewRequest(ctx, deps, "cast-ballot", in.CommandIn, in.Body))
			return service.Respond(in.Meeting, done, err)
		})
	return handler
}

func recorded(es.Request) (es.Done[string], error) {
	return es.Done[string]{IDs: []uuid.UUID{uuid.Max}, Stream: "ballot-1", Revision: 3, Position: 77}, nil
}

type call struct {
	method, path, token, key, position, contentType, body string
}

func (c call) do(t testing.TB, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	def := func(s *string, d string) {
		if *s == "" {
			*s = d
		} else if *s == "none" {
			*s = ""
		}
	}
	def(&c.method, "POST")
	def(&c.path, "/api/v1/meetings/"+meeting+"/ballots")
	def(&c.token, "Bearer ann")
	def(&c.key, "0123456789")
	def(&c.contentType, "application/json")
	def(&c.body, `{"choices":[{"motion":"m1","choice":"agree"}]}`)
	r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, strings.NewReader(c.body))
	for name, value := range map[string]string{"Authorization": c.token, "Idempotency-Key": c.key, "Yimu-Position": c.position, "Content-Type": c.contentType} {
		if value != "" && value != "none" {
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestTheLogNamesRoutesAndIdsAndNothingElse(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v1/meetings/" + meeting + "/ballots": "POST /api/v1/meetings/" + meeting + "/ballots",
		"/api/v1/meetings/19912345678/ballots":     "POST /api/v1/meetings/{meeting}/ballots",
		"/api/v1/19912345678":                      "POST /",
	} {
		var log bytes.Buffer
		call{path: path}.do(t, newHandler(newDeps(t, &log), func(es.Request) (es.Done[string], error) { return es.Done[string]{}, es.ErrConflict }))
		var line struct{ Path string }
		if err := json.Unmarshal(log.Bytes(), &line); err != nil || line.Path != want {
			t.Errorf("%s is logged as %q, want %q: %v", path, line.Path, want, err)
		}
	}
}

func TestACommandIsAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		done           es.Done[string]
		err            error
		status         int
		header, body   string
		retry, visible bool
	}{
		"201 once it is recorded": {
			done:   es.Done[string]{IDs: []uuid.UUID{uuid.Max}, Stream: "ballot-1", Revision: 3, Position: 77},
			status: 201, header: "Yimu-Position: 77",
			body: `{"id":"` + meeting + `","state":"recorded","stream":"ballot-1","revision":3,"position":77,"events":["ffffffff-ffff-ffff-ffff-ffffffffffff"]}`,
		},
		"200 where there is nothing to do": {
			done:   es.Done[string]{Stream: "ballot-1"},
			status: 200,
			body:   `{"id":"` + meeting + `","state":"nothing-to-do","stream":"ballot-1","revision":0,"position":0}`,
		},
		"202 where it is not known, and where to ask": {
			err:    fmt.Errorf("votes: %w", &es.PendingError{Stream: "ballot-1", Commit: uuid.Max, Err: es.ErrPending}),
			status: 202, header: "Location: /api/v1/operations/ballot-1/ffffffff-ffff-ffff-ffff-ffffffffffff",
			body: `{"id":"` + meeting + `","state":"pending","stream":"ballot-1","revision":0,"position":0}`,
		},
		"503 where it was never handed over": {err: es.ErrNotSent, status: 503, header: "Retry-After: 1", body: `"code":"not-sent"`},
		"409 where others were first":        {err: es.ErrConflict, status: 409, body: `"code":"conflict"`},
		"422 where the key was reused":       {err: es.ErrKeyReused, status: 422, body: `"errors":[{"name":"Idempotency-Key"`},
		"409 with the reason of a rule":      {err: problem.Conflict("second-ballot", "you voted"), status: 409, body: `"code":"second-ballot"`},
		"413 where an event is too large":    {err: es.ErrTooLarge, status: 413, body: `"code":"too-large"`},
		"500 without a word of why":          {err: errors.New("disk /dev/sda1 full"), status: 500, body: `"code":"internal","detail":"something went wrong here`},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			w := call{}.do(t, newHandler(newDeps(t, &log), func(es.Request) (es.Done[string], error) { return test.done, test.err }))
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.body) {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, test.status, test.body)
			}
			if key, value, _ := strings.Cut(test.header, ": "); key != "" && w.Header().Get(key) != value {
				t.Errorf("header %s is %q, want %q", key, w.Header().Get(key), value)
			}
			if test.status >= 400 && w.Header().Get("Content-Type") != problem.ContentType {
				t.Errorf("content type %q", w.Header().Get("Content-Type"))
			}
			if told := strings.Contains(log.String(), "/dev/sda1"); told != (test.status == 500) {
				t.Errorf("the log must say why, and only there: %s", log.String())
			}
		})
	}
}

// outcomes are what a committer says to one commit after the other.
type outcomes []error

func (o *outcomes) Commit(context.Context, es.Commit) (es.Outcome, error) {
	err := (*o)[0]
	*o = (*o)[1:]
	return es.Outcome{Status: es.StatusRecorded}, err
}

func TestThatNothingWasRecordedIsOnlySaidWhereNothingWasHandedOver(t *testing.T) {
	away := map[string]error{
		"the store":    fmt.Errorf("esdb: read a-1: %w", es.ErrUnavailable),
		"the database": fmt.Errorf("board: %w", &pgconn.ConnectError{}),
		"the broker":   es.ErrNotSent,
	}
	for name, test := range map[string]struct {
		commits outcomes
		status  int
	}{
		"before anything was handed over": {nil, 503},
		"where it could not be":           {outcomes{es.ErrNotSent}, 503},
		"after something was recorded":    {outcomes{nil}, 502},
		"after something may be recorded": {outcomes{es.ErrPending, es.ErrNotSent}, 502},
	} {
		for part, err := range away {
			t.Run(part+" is away "+name, func(t *testing.T) {
				var log bytes.Buffer
				deps, commits := newDeps(t, &log), test.commits
				committer := service.Noting(&commits)
				api, handler := service.NewAPI(deps, "votes")
				huma.Register(api, service.Command("cast-ballot", "POST", "/meetings/{meeting}/ballots", "Cast a ballot"),
					func(ctx context.Context, _ *ballotIn) (*service.Recorded, error) {
						for range test.commits {
							_, _ = committer.Commit(ctx, es.Commit{})
						}
						return nil, err
					})
				w := call{}.do(t, handler)
				if w.Code != test.status || (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
					t.Errorf("got %d %s, %v", w.Code, w.Body, w.Header())
				}
				if strings.Contains(log.String(), "ERROR") || !strings.Contains(log.String(), "WARN") {
					t.Errorf("it passes, and the log says %s", log.String())
				}
			})
		}
	}
}

func TestAWrongRequestIsToldWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		call
		status      int
		code, field string // field: its name and what is wrong with it
	}{
		"a field is missing":                 {call{body: `{}`}, 422, "invalid", "choices missing"},
		"a nested field is missing":          {call{body: `{"choices":[{"choice":"agree"}]}`}, 422, "invalid", "choices[0].motion missing"},
		"a field has another type":           {call{body: `{"choices":"agree"}`}, 422, "invalid", "choices malformed"},
		"a value is not one of the list":     {call{body: `{"choices":[{"motion":"m","choice":"maybe"}]}`}, 422, "invalid", "choices[0].choice not-one-of"},
		"a field is unknown":                 {call{body: `{"choices":[{"motion":"m","choice":"agree"}],"weight":9}`}, 422, "invalid", "weight not-asked"},
		"a nested field is unknown":          {call{body: `{"choices":[{"motion":"m","choice":"agree","Motion":"x"}]}`}, 422, "invalid", "choices[0].Motion not-asked"},
		"a text holds U+0000":                {call{body: `{"channel":"a\u0000b","choices":[{"motion":"m","choice":"agree"}]}`}, 422, "invalid", "channel control-character"},
		"a nested text holds a backspace":    {call{body: `{"choices":[{"motion":"m\b","choice":"agree"}]}`}, 422, "invalid", "choices[0].motion control-character"},
		"the body is no JSON":                {call{body: `{"choices":`}, 422, "malformed", "body malformed"},
		"the body goes on after its end":     {call{body: `{} {}`}, 422, "malformed", "body malformed"},
		"the body is missing":                {call{body: "none"}, 422, "malformed", "body missing"},
		"the body is another type":           {call{contentType: "application/x-www-form-urlencoded"}, 415, "unsupported-media-type", ""},
		"the body is over 1 MiB":             {call{body: `{"channel":"` + strings.Repeat("a", 1<<20) + `"}`}, 413, "too-large", ""},
		"the key is missing":                 {call{key: "none"}, 422, "invalid", "Idempotency-Key missing"},
		"the key is short":                   {call{key: "1234567"}, 422, "invalid", "Idempotency-Key too-short"},
		"the key is long":                    {call{key: strings.Repeat("k", 201)}, 422, "invalid", "Idempotency-Key too-long"},
		"an id is none":                      {call{path: "/api/v1/meetings/7/ballots"}, 422, "invalid", "meeting malformed"},
		"a position is no number":            {call{position: "head"}, 422, "invalid", "Yimu-Position not-a-number"},
		"the token is unknown":               {call{token: "Bearer eve"}, 401, "token-unknown", ""},
		"the scheme is unknown":              {call{token: "Basic YW5uOmFubg=="}, 401, "token-unknown", ""},
		"nobody is logged in":                {call{token: "none"}, 401, "login-needed", ""},
		"the caller has no role":             {call{token: "Bearer bob"}, 403, "not-allowed", ""},
		"there is nothing at the path":       {call{path: "/api/v1/meeting"}, 404, "no-such-path", ""},
		"the path does not take that method": {call{method: "DELETE", body: "none"}, 405, "method-not-allowed", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			w := test.do(t, newHandler(newDeps(t, &log), recorded))
			var p problem.Error
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%v in %s", err, w.Body)
			}
			if w.Code != test.status || p.Status != test.status || p.Code != test.code {
				t.Errorf("got %d %s\nwant %d %s", w.Code, w.Body, test.status, test.code)
			}
			if got := w.Header().Get("Content-Type"); got != problem.ContentType {
				t.Errorf("content type %q", got)
			}
			wrong := make([]string, len(p.Fields))
			for i, f := range p.Fields {
				wrong[i] = f.Name + " " + f.Code
			}
			if test.field != "" && !slices.Contains(wrong, test.field) {
				t.Errorf("wrong are %q and not %q: %s", wrong, test.field, w.Body)
			}
			if strings.Contains(w.Body.String(), "maybe") || strings.Contains(log.String(), "maybe") {
				t.Error("a value must not be repeated")
			}
		})
	}
}

func TestControlCharactersAreFoundInText(t *testing.T) {
	for document, want := range map[string]string{
		`{"a":"x\u0000"}`: "a", `{"a":{"b":["","\u001f"]}}`: "a.b[1]", `["\f"]`: "[0]",
		`{"a":"\n\r\t\u000a\u0041\u00e9\\b\\u0000"}`: "", `{"a":"C:\\back"}`: "", `{`: "",
	} {
		if got, found := service.ControlCharacter([]byte(document)); got != want || found != (want != "") {
			t.Errorf("%s: found %q, %t", document, got, found)
		}
	}
}
