// Package bundle makes a file of everything that one estate's part of the ledger
// can be checked with, years later and offline. libs/proof says what is in it,
// package inspect checks it.
//
// It is a client of the public API like any other and needs no right: whoever can
// read the ledger can make a bundle.
package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts"
	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

// Export is what a bundle is made of.
type Export struct {
	Client  *http.Client
	Server  string // where the API is, without /api/v1 and a slash at the end
	Estate  string // id
	Until   string // a position, or a time by RFC 3339; "" is now
	Program string // version of this one
	Made    time.Time
	// Progress is told now and then how many leaves were read, and of how many.
	Progress func(done, total uint64)
}

// How long a server that says "not now" is asked again.
const (
	attempts = 60
	again    = time.Second
)

// maxAnswer bounds an answer but that of leaves.
const maxAnswer = 64 << 20

// Write makes a bundle.
func (x Export) Write(ctx context.Context, w io.Writer) (proof.Manifest, error) {
	e := exporting{Export: x, w: proof.NewBundleWriter(w), blobs: map[string]bool{}, rules: map[string]bool{}, closed: map[string]bool{}}
	e.manifest = proof.Manifest{Subject: x.Estate, Figures: []proof.Figure{}, Program: x.Program, Made: x.Made.UTC()}
	for _, step := range []func(context.Context) error{e.state, e.leaves, e.files, e.figures} {
		if err := step(ctx); err != nil {
			return e.manifest, err
		}
	}
	return e.manifest, e.w.Close(e.manifest)
}

type exporting struct {
	Export
	w        *proof.BundleWriter
	manifest proof.Manifest

	blobs, rules map[string]bool // that events name, by hash
	years        []int           // of budgets
	meetings     []string
	closed       map[string]bool // meetings whose voting has ended
}

// logState is how far the transparency log is.
type logState struct {
	Size       uint64      `json:"size"`
	Position   es.Position `json:"position"`
	Checkpoint string      `json:"checkpoint"`
	Rotations  []string    `json:"rotations"`
}

var errNoneSoFar = errors.New("nothing was recorded so early")

// state finds out up to where the bundle goes, and adds the checkpoint.
func (e *exporting) state(ctx context.Context) error {
	var log logState
	if err := e.get(ctx, "/ledger/log", nil, &log); err != nil {
		return err
	}
	until, last := log.Position, uint64(0)
	if e.Until != "" {
		ask := url.Values{"position": {e.Until}}
		if _, err := strconv.ParseUint(e.Until, 10, 64); err != nil {
			ask = url.Values{"recorded": {e.Until}}
		}
		var place struct {
			Leaf     uint64      `json:"leaf"`
			Position es.Position `json:"position"`
		}
		err := errNoneSoFar
		if e.Until != "0" {
			err = e.get(ctx, "/ledger/place", ask, &place)
		}
		if p, ok := errors.AsType[*problem.Error](err); ok && p.Status == http.StatusNotFound {
			err = errNoneSoFar
		}
		if err != nil {
			return fmt.Errorf("up to %s: %w", e.Until, err)
		}
		until, last = place.Position, place.Leaf
	}
	for range attempts {
		if log.Size > last {
			break
		}
		if err := pause.For(ctx, again); err != nil {
			return err
		}
		if err := e.get(ctx, "/ledger/log", nil, &log); err != nil {
			return err
		}
	}
	if log.Size <= last {
		return errors.New("the log has not signed the ledger so far; is its service running?")
	}
	e.manifest.Until, e.manifest.Leaves = until, log.Size
	return e.w.AddCheckpoint(log.Checkpoint, log.Rotations)
}

// leaves adds the leaves as they come, and notes what the events name.
func (e *exporting) leaves(ctx context.Context) error {
	size := e.manifest.Leaves
	resp, err := e.ask(ctx, "/estates/"+url.PathEscape(e.Estate)+"/leaves", url.Values{
		"size": {strconv.FormatUint(size, 10)}, "until": {strconv.FormatUint(uint64(e.manifest.Until), 10)},
	})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	into, err := e.w.Leaves()
	if err != nil {
		return err
	}
	r := proof.NewLeafReader(io.TeeReader(resp.Body, into))
	for n := uint64(0); ; n++ {
		entry, err := r.Next()
		if e.Progress != nil && (n%4096 == 0 || err != nil) {
			e.Progress(n, size)
		}
		switch {
		case errors.Is(err, io.EOF) && n == size:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("the server gave %d of %d leaves", n, size)
		case err != nil:
			return fmt.Errorf("reading the leaves: %w", err)
		case entry.Event != nil:
			e.manifest.Events++
			e.note(*entry.Event)
		}
	}
}

// note notes what else belongs to an event. One that cannot be read names nothing;
// it is for whoever checks the bundle to say so.
func (e *exporting) note(r es.Recorded) {
	switch {
	case strings.HasPrefix(r.Stream, votes.MeetingStream):
		switch event := decoded(votes.Codec, r).(type) {
		case votes.MeetingDrafted:
			e.meetings = append(e.meetings, event.Meeting)
		case votes.VotingClosed:
			e.closed[event.Meeting] = true
		case votes.RollFrozen:
			e.blobs[event.Roll] = true
		case votes.NoticePosted:
			e.ruleSet(event.RuleHash)
		case votes.ResultPosted:
			e.blobs[event.Result] = true
		}
	case strings.HasPrefix(r.Stream, votes.ProcedureStream):
		if event, ok := decoded(votes.Codec, r).(votes.RulesAdopted); ok {
			e.ruleSet(event.RuleHash)
			if event.Base != "" {
				e.rules[event.BaseHash] = true
			}
			if event.Document != "" {
				e.blobs[event.Document] = true
			}
		}
	case strings.HasPrefix(r.Stream, finance.BillsStream), strings.HasPrefix(r.Stream, finance.BudgetStream):
		switch event := decoded(finance.Codec, r).(type) {
		case finance.BillsRaised:
			e.blobs[event.Bills] = true
		case finance.BudgetPosted:
			e.years = append(e.years, event.Year)
		case finance.BudgetLineDecided:
			e.years = append(e.years, event.Year)
		}
	}
}

// ruleSet notes the rules that a notice names: a file, or what was composed of
// several, which is a blob.
func (e *exporting) ruleSet(hash string) {
	if _, ok := rules.File(hash); ok {
		e.rules[hash] = true
	} else {
		e.blobs[hash] = true
	}
}

func decoded[E any](c codec.Codec[E], r es.Recorded) any {
	event, err := c.Decode(r.Type, r.Data)
	if err != nil {
		return nil
	}
	return event
}

// files adds blobs, rule sets and schemas.
func (e *exporting) files(ctx context.Context) error {
	for _, hash := range sorted(e.blobs) {
		content, err := e.read(ctx, "/blobs/"+url.PathEscape(hash), nil)
		if refused(err) {
			e.absent(proof.BlobFolder+hash, err)
			continue
		}
		if err != nil {
			return err
		}
		if err := e.w.Add(proof.BlobFolder+hash, content); err != nil {
			return err
		}
	}
	for _, hash := range sorted(e.rules) {
		text, ok := rules.File(hash)
		if !ok {
			e.absent(proof.RuleFolder+hash+".json", errors.New("this program does not know the rule set"))
			continue
		}
		if err := e.w.Add(proof.RuleFolder+hash+rules.Extension(text), text); err != nil {
			return err
		}
	}
	return fs.WalkDir(contracts.Schemas, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := contracts.Schemas.ReadFile(path)
		if err != nil {
			return err
		}
		return e.w.Add(path, text)
	})
}

// figures adds what the API publishes of the estate as of the bundle's position.
func (e *exporting) figures(ctx context.Context) error {
	estate := "/estates/" + e.Estate
	for _, f := range []struct{ name, path string }{
		{"estate", estate}, {"electorate", estate + "/electorate"}, {"agreements", estate + "/agreements"}, {"collection", estate + "/collection"}, {"draws", estate + "/draws"},
		{"workorders", estate + "/workorders/summary"}, {"limits", estate + "/workorders/limits"}, {"meetings", estate + "/meetings"},
	} {
		if err := e.figure(ctx, f.name, f.path, url.Values{}); err != nil {
			return err
		}
	}
	slices.Sort(e.years)
	for _, year := range slices.Compact(e.years) {
		text := strconv.Itoa(year)
		if err := e.figure(ctx, "budget-"+text, estate+"/budget", url.Values{"year": {text}}); err != nil {
			return err
		}
	}
	for _, id := range e.meetings {
		parts := []string{"", "/results", "/ballots/summary"}
		if e.closed[id] {
			parts = append(parts, "/telling") // before that it changes with the hour
		}
		for _, part := range parts {
			err := e.figure(ctx, "meeting-"+id+strings.ReplaceAll(part, "/", "-"), "/meetings/"+url.PathEscape(id)+part, url.Values{})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// figure adds one. What is refused is not published, such as results before the
// count.
func (e *exporting) figure(ctx context.Context, name, path string, ask url.Values) error {
	ask.Set("at", strconv.FormatUint(uint64(e.manifest.Until), 10))
	answer, err := e.read(ctx, path, ask)
	file := proof.FigureFolder + name + ".json"
	if refused(err) {
		e.absent(file, err)
		return nil
	}
	if err != nil {
		return err
	}
	e.manifest.Figures = append(e.manifest.Figures, proof.Figure{File: file, Path: service.Prefix + path + "?" + ask.Encode()})
	return e.w.Add(file, answer)
}

func (e *exporting) absent(what string, why error) {
	reason := why.Error()
	if p, ok := errors.AsType[*problem.Error](why); ok {
		reason = p.Code + ": " + p.Detail
	}
	e.manifest.Absent = append(e.manifest.Absent, proof.Absent{What: what, Reason: reason})
}

// refused says whether the API answered that it will not give something.
func refused(err error) bool {
	p, ok := errors.AsType[*problem.Error](err)
	return ok && p.Status < http.StatusInternalServerError
}

func sorted(set map[string]bool) (all []string) {
	for name := range set {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// get reads an answer of JSON.
func (e *exporting) get(ctx context.Context, path string, ask url.Values, into any) error {
	text, err := e.read(ctx, path, ask)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("answer to GET %s: %w", path, err)
	}
	return nil
}

// read reads an answer whole.
func (e *exporting) read(ctx context.Context, path string, ask url.Values) ([]byte, error) {
	resp, err := e.ask(ctx, path, ask)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return nil, fmt.Errorf("answer to GET %s: %w", path, err)
	}
	return answer.Bytes(), nil
}

// ask asks until there is an answer that is not "not now".
func (e *exporting) ask(ctx context.Context, path string, ask url.Values) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		resp, err := e.once(ctx, path, ask)
		p, answered := errors.AsType[*problem.Error](err)
		passing := answered && (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests)
		if !passing || attempt == attempts {
			return resp, err
		}
		if err := pause.For(ctx, again); err != nil {
			return nil, err
		}
	}
}

func (e *exporting) once(ctx context.Context, path string, ask url.Values) (*http.Response, error) {
	address := e.Server + service.Prefix + path
	if len(ask) > 0 {
		address += "?" + ask.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if e.manifest.Until > 0 {
		req.Header.Set(service.PositionHeader, strconv.FormatUint(uint64(e.manifest.Until), 10))
	}
	resp, err := e.Client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	p, ok := problem.Read(resp)
	if !ok {
		return nil, fmt.Errorf("%s does not answer like a yimu server (%s)", e.Server, resp.Status)
	}
	return nil, p
}
