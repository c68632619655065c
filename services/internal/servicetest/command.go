package servicetest

import (
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/service"
)

// Command is a route that records something, and how it may be asked.
type Command struct {
	Method, Path string
	As           *Client                   // may
	Not          *Client                   // may not; nil: everyone may
	Body         map[string]any            // one that is recorded; nil where the route takes none
	Other        map[string]any            // another one, of the same path
	Wrong        map[string]map[string]any // by the field at fault: what is put over Body
}

// Exercise asks for a command in every way that must not record anything, then as
// it should be, and again, and with another body under the same key. It returns
// the answer of the time that counted.
func (s *System) Exercise(c Command) *Answer {
	t := s.t
	t.Helper()
	ask := func(as *Client, body map[string]any, options ...Option) *Answer {
		t.Helper()
		if c.Body == nil {
			return as.Do(c.Method, c.Path, nil, options...)
		}
		return as.Do(c.Method, c.Path, body, options...)
	}
	over := func(changes map[string]any) map[string]any {
		body := maps.Clone(c.Body)
		maps.Copy(body, changes)
		return body
	}
	head := s.Store.Head()
	unchanged := func(when string) {
		t.Helper()
		if s.Store.Head() != head {
			t.Fatalf("%s %s %s was recorded", c.Method, c.Path, when)
		}
	}

	ask(s.Anyone(), c.Body).Want(http.StatusUnauthorized)
	ask(s.As("yimu_x_unknown"), c.Body).Refused(http.StatusUnauthorized, "token-unknown")
	if c.Not != nil {
		ask(c.Not, c.Body).Refused(http.StatusForbidden, "not-allowed")
	}
	ask(c.As, c.Body, Key("")).Refused(http.StatusUnprocessableEntity, "invalid", "Idempotency-Key")
	ask(c.As, c.Body, Key("short")).Refused(http.StatusUnprocessableEntity, "invalid", "Idempotency-Key")
	if c.Body != nil {
		ask(c.As, over(map[string]any{"unheard_of": 1})).Refused(http.StatusUnprocessableEntity, "invalid", "unheard_of")
		ask(c.As, over(map[string]any{"padding": strings.Repeat("x", 1<<20)})).Refused(http.StatusRequestEntityTooLarge, "too-large")
		c.As.Do(c.Method, c.Path, `{"`).Refused(http.StatusUnprocessableEntity, "malformed")
	}
	for field, changes := range c.Wrong {
		ask(c.As, over(changes)).Refused(http.StatusUnprocessableEntity, "invalid", field)
	}
	unchanged("though it was wrong")

	key := Key(uuid.NewString())
	first := ask(c.As, c.Body, key).Want(http.StatusCreated)
	is := first.Recorded()
	if is.State != "recorded" || is.Repeated || len(is.Events) == 0 || is.ID == "" || is.Stream == "" {
		t.Fatalf("%s: %+v", first, is)
	}
	if at := first.Header.Get(service.PositionHeader); at != strconv.FormatUint(uint64(is.Position), 10) {
		t.Fatalf("%s: position %s in the header", first, at)
	}
	head = s.Store.Head()
	again := ask(c.As, c.Body, key).Want(http.StatusCreated).Recorded()
	if !again.Repeated {
		t.Fatalf("%s is not said to be a repeat: %+v", first, again)
	}
	again.Repeated = false
	if !reflect.DeepEqual(again, is) {
		t.Fatalf("repeated as %+v, first %+v", again, is)
	}
	if c.Other != nil {
		ask(c.As, c.Other, key).Refused(http.StatusUnprocessableEntity, "key-reused", "Idempotency-Key")
	}
	unchanged("twice")
	return first
}
