package audit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

// script plays a site to a journal.
type script struct {
	*testing.T
	*Journal
	position uint64
}

func (s *script) sends(key, register, value string) *Command {
	c := &Command{Request: load.Request{Key: key}, Kind: "ballot", Register: register, Value: value}
	s.Begin(c)
	return c
}

func (s *script) records(stream string, revision uint64, event, commit uuid.UUID, kind string) uint64 {
	s.position += 10
	meta, err := json.Marshal(es.Meta{Commit: commit})
	if err == nil {
		err = s.note(load.Event{Position: s.position, Stream: stream, Revision: revision, ID: event, Type: kind, Meta: meta})
	}
	if err != nil {
		s.Fatal(err)
	}
	return s.position
}

func (s *script) casts(stream string) (event uuid.UUID, position uint64) {
	event = uuid.New()
	return event, s.records(stream, s.lengths[stream], event, uuid.New(), "ballot-cast.v1")
}

func (s *script) acknowledges(c *Command, event uuid.UUID, position uint64) {
	s.Answer(c, http.StatusCreated, fmt.Appendf(nil, `{"state":"recorded","position":%d,"events":[%q]}`, position, event))
}

func (s *script) refuses(c *Command) {
	s.Answer(c, http.StatusConflict, []byte(`{"status":409,"code":"already-voted"}`))
}

// Whoever looks for violations and finds none must be known to find them.
func TestWhatMustNotBeIsFound(t *testing.T) {
	const voter, stream = "a voter", "ballot-meeting-entry"
	for name, c := range map[string]struct {
		play func(s *script)
		want []string
	}{
		"nothing, where the first ballot stands and the second is refused": {func(s *script) {
			a, b := s.sends("a", voter, "yes"), s.sends("b", voter, "no")
			event, at := s.casts(stream)
			s.acknowledges(a, event, at)
			s.refuses(b)
		}, nil},
		"nothing, where an answer was lost and the repeat has the same": {func(s *script) {
			a := s.sends("a", voter, "yes")
			event, at := s.casts(stream)
			s.Answer(a, 0, nil)
			s.Answer(a, http.StatusAccepted, nil)
			s.Answer(a, http.StatusBadGateway, nil)
			s.acknowledges(a, event, at)
			s.acknowledges(a, event, at)
		}, nil},
		"nothing, where a refusal came before the acknowledgement of what was first": {func(s *script) {
			a, b := s.sends("a", voter, "yes"), s.sends("b", voter, "no")
			event, at := s.casts(stream)
			s.refuses(b)
			s.Answer(a, 0, nil)
			s.acknowledges(a, event, at)
		}, nil},
		"nothing, where what was not sent was given up": {func(s *script) {
			a, b := s.sends("a", voter, "yes"), s.sends("b", voter, "no")
			s.Answer(a, http.StatusServiceUnavailable, nil)
			if !s.Drop(a) {
				s.Error("it cannot be given up")
			}
			event, at := s.casts(stream)
			s.acknowledges(b, event, at)
		}, nil},
		"two ballots that are both acknowledged": {func(s *script) {
			a, b := s.sends("a", voter, "yes"), s.sends("b", voter, "no")
			event, at := s.casts(stream)
			s.acknowledges(a, event, at)
			event, at = s.casts(stream)
			s.acknowledges(b, event, at)
		}, []string{Twice, Illogical}},
		"two that are acknowledged, and only one is there": {func(s *script) {
			a, b := s.sends("a", voter, "yes"), s.sends("b", voter, "no")
			event, at := s.casts(stream)
			s.acknowledges(a, event, at)
			s.acknowledges(b, uuid.New(), at+5)
		}, []string{Lost, Illogical}},
		"an acknowledged ballot that is lost": {func(s *script) {
			s.acknowledges(s.sends("a", voter, "yes"), uuid.New(), 10)
		}, []string{Lost, Illogical}},
		"a ballot that nobody was told of": {func(s *script) {
			a := s.sends("a", voter, "yes")
			s.Answer(a, http.StatusServiceUnavailable, nil)
			s.Drop(a)
			s.casts(stream)
		}, []string{Silent}},
		"a refusal where nothing was first": {func(s *script) {
			s.refuses(s.sends("a", voter, "yes"))
		}, []string{Illogical}},
		"a refusal before anything was there": {func(s *script) {
			s.refuses(s.sends("b", voter, "no"))
			a := s.sends("a", voter, "yes")
			event, at := s.casts(stream)
			s.acknowledges(a, event, at)
		}, []string{Illogical}},
		"another answer to the same request": {func(s *script) {
			a := s.sends("a", voter, "yes")
			event, at := s.casts(stream)
			s.acknowledges(a, event, at)
			s.refuses(a)
		}, []string{Answer}},
		"an answer that says nothing": {func(s *script) {
			a := s.sends("a", voter, "yes")
			s.Answer(a, http.StatusInternalServerError, []byte("{}"))
			event, at := s.casts(stream)
			s.acknowledges(a, event, at)
		}, []string{Answer}},
		"a wrong position": {func(s *script) {
			a := s.sends("a", voter, "yes")
			event, at := s.casts(stream)
			s.acknowledges(a, event, at+1)
		}, []string{Answer}},
		"an event that is there twice": {func(s *script) {
			event := uuid.New()
			s.records("unit-1", 0, event, uuid.New(), "x.v1")
			s.records("unit-1", 1, event, uuid.New(), "x.v1")
		}, []string{Twice}},
		"a commit that was appended twice": {func(s *script) {
			commit := uuid.New()
			s.records("unit-1", 0, uuid.New(), commit, "x.v1")
			s.records("unit-1", 1, uuid.New(), commit, "x.v1") // of one append
			s.records("unit-1", 2, uuid.New(), uuid.New(), "x.v1")
			s.records("unit-1", 3, uuid.New(), commit, "x.v1")
		}, []string{Twice}},
		"a stream with a hole": {func(s *script) {
			s.records("unit-1", 0, uuid.New(), uuid.New(), "x.v1")
			s.records("unit-1", 2, uuid.New(), uuid.New(), "x.v1")
		}, []string{Order}},
		"a commit that was put aside": {func(s *script) {
			s.records("refused-votes", 0, uuid.New(), uuid.New(), "commit-refused.v1")
		}, []string{Parked}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{T: t, Journal: NewJournal()}
			c.play(s)
			var kinds []string
			for _, f := range s.Verify() {
				kinds = append(kinds, f.Kind)
				t.Log(f)
			}
			slices.Sort(kinds)
			slices.Sort(c.want)
			if kinds = slices.Compact(kinds); !slices.Equal(kinds, c.want) {
				t.Errorf("found %v, want %v", kinds, c.want)
			}
			if again := s.Verify(); len(again) > 0 {
				t.Errorf("found again: %v", again)
			}
		})
	}
}

func TestACommandThatMayHaveArrivedIsNotGivenUp(t *testing.T) {
	s := &script{T: t, Journal: NewJournal()}
	for name, happens := range map[string]func(*Command){
		"no answer":              func(c *Command) { s.Answer(c, 0, nil) },
		"sent by another client": func(c *Command) { s.Again(c) },
		"an answer, then a 503": func(c *Command) {
			s.Answer(c, http.StatusAccepted, nil)
			s.Answer(c, http.StatusServiceUnavailable, nil)
		},
	} {
		c := s.sends(name, name, "yes")
		if happens(c); s.Drop(c) {
			t.Errorf("%s: it was given up", name)
		}
	}
	if open := s.Open(s.start); len(open) != 0 {
		t.Errorf("%d were sent before it all began", len(open))
	}
}
