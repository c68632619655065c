package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/paper"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

const (
	actLetters  = "letters.print"
	actPersonal = "person.read"
)

// lettersAtOnce is how many codes are made before they are handed out.
const lettersAtOnce = 500

// LettersIn says which letters are printed.
type LettersIn struct {
	Building string `json:"building,omitempty" maxLength:"60" doc:"Only to owners with a unit in this building"`
	Entry    string `json:"entry,omitempty" maxLength:"20" doc:"Only to this entry"`
	Names    bool   `json:"names,omitempty" doc:"With the names of those who vote; only for who may read them, and recorded"`
}

// Letter is what one letter says that the others do not: a line of the answer.
type Letter struct {
	Number int           `json:"number" doc:"of this letter, from 1"`
	Of     int           `json:"of" doc:"letters in all"`
	Entry  string        `json:"entry"`
	Units  []string      `json:"units"`
	Area   units.CentiM2 `json:"area_centi_m2"`
	Name   string        `json:"name,omitempty"`
	Code   string        `json:"code,omitempty" doc:"Opens the ballot of the entry once; none where nobody votes for it by one"`
}

// LettersEnd is the last line: without it the list is not whole.
type LettersEnd struct {
	Done bool `json:"done"`
}

// registerLetters adds the letters of a notice.
func (a *API) registerLetters(api huma.API) {
	op := service.Command("print-letters", http.MethodPost, "/meetings/{meeting}/letters",
		"Make the letters of a notice, each with a new one-time code, line by line; that they are made is recorded first. A repeat makes other codes and voids these")
	op.DefaultStatus = http.StatusOK
	huma.Register(api, op, a.letters)
}

var errLettersPending = problem.Unavailable("letters-not-recorded", "letters are made once it is recorded that they are; ask again")

func (a *API) letters(ctx context.Context, in *struct {
	service.CommandIn
	MeetingIn
	Body LettersIn
}) (*huma.StreamResponse, error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	if err := a.Allow(ctx, actLetters, resource(m)); err != nil {
		return nil, err
	}
	reason := ""
	if in.Body.Names {
		if err := a.Allow(ctx, actPersonal, resource(m)); err != nil {
			return nil, err
		}
		reason = registry.ForNotice
	}
	to, err := a.addressees(ctx, in.Meeting, in.Body)
	if err != nil {
		return nil, err
	}
	var numbers []int
	for _, t := range to {
		if t.voter != "" {
			numbers = append(numbers, t.entry)
		}
	}
	// As with a login code, each time is one of its own, also with a key that was sent before.
	req := service.NewRequest(ctx, a.Deps, "print-letters", service.CommandIn{IdempotencyKey: uuid.NewString()}, in.Body)
	done, err := a.meetings.Do(ctx, in.Meeting, req, meeting.IssueCodes{Entries: numbers, Now: req.Happened, Reason: reason})
	if errors.Is(err, es.ErrPending) {
		return nil, errLettersPending
	}
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", paper.NDJSON)
		hc.SetHeader("Cache-Control", "no-store")
		hc.SetHeader("Yimu-Position", strconv.FormatUint(uint64(done.Position), 10))
		hc.SetStatus(http.StatusOK)
		if err := a.writeLetters(hc.Context(), json.NewEncoder(hc.BodyWriter()), m, to, in.Body.Names); err != nil {
			a.Log.WarnContext(ctx, "letters broken off", slog.String("meeting", in.Meeting), slog.Any("error", err))
		}
	}}, nil
}

// addressee is to whom a letter goes.
type addressee struct {
	entry int    // number of the entry
	voter string // person who votes for it, "" where nobody does
}

func (a *API) addressees(ctx context.Context, id string, in LettersIn) (to []addressee, err error) {
	entries, err := a.Board.Weights(ctx, id)
	if err != nil {
		return nil, err
	}
	voters, err := a.Board.Representatives(ctx, id)
	if err != nil {
		return nil, err
	}
	for i, e := range entries {
		if in.Building != "" && !slices.Contains(e.Buildings, in.Building) || in.Entry != "" && in.Entry != e.Entry {
			continue
		}
		to = append(to, addressee{i + 1, voters[i+1]})
	}
	return to, nil
}

// writeLetters makes codes and writes letters, some at a time: who breaks off has
// no codes that were not written, and the roll is never held whole.
func (a *API) writeLetters(ctx context.Context, out *json.Encoder, m meeting.Meeting, to []addressee, names bool) error {
	for from := 0; from < len(to); from += lettersAtOnce {
		some := to[from:min(from+lettersAtOnce, len(to))]
		first, last := some[0].entry, some[len(some)-1].entry
		entries, err := a.Board.Roll(ctx, m.Meeting, first-1, last-first+1)
		if err != nil {
			return err
		}
		if len(entries) != last-first+1 {
			return errors.New("the roll is not there any more: the tables are being replayed")
		}
		var get []vault.Voter
		for _, t := range some {
			if t.voter != "" {
				get = append(get, vault.Voter{Entry: strconv.Itoa(t.entry), Person: t.voter})
			}
		}
		codes, err := a.Vault.NewBallotCodes(ctx, m.Meeting, get, m.Notice.Closes)
		if err != nil {
			return err
		}
		for i, t := range some {
			e := entries[t.entry-first]
			l := Letter{Number: from + i + 1, Of: len(to), Entry: e.Entry, Units: e.Units, Area: e.Area}
			if t.voter != "" {
				l.Code, codes = codes[0], codes[1:]
				if names {
					data, err := a.Vault.Person(ctx, t.voter)
					if err != nil && !errors.Is(err, vault.ErrNoPerson) {
						return err
					}
					l.Name = data.Name
				}
			}
			if err := out.Encode(l); err != nil {
				return err
			}
		}
	}
	return out.Encode(LettersEnd{Done: true})
}
