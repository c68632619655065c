package inspect

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
)

// Report is what came of checking a bundle.
type Report struct {
	OK          bool            `json:"ok"` // nothing was found
	Bundle      proof.Manifest  `json:"bundle"`
	Checked     Checked         `json:"checked"`
	Findings    []proof.Finding `json:"findings"`
	NotVerified []Unverified    `json:"not_verified"`
}

// Checked says what was checked.
type Checked struct {
	Origin  string    `json:"origin,omitempty"` // the log's name
	Size    uint64    `json:"size"`             // leaves that the checkpoint signs
	Root    string    `json:"root,omitempty"`
	Key     string    `json:"key,omitempty"` // that signed
	Held    int       `json:"held"`          // checkpoints that the reader kept
	Leaves  uint64    `json:"leaves"`
	Events  uint64    `json:"events"`
	Streams int       `json:"streams"`
	First   time.Time `json:"first,omitzero"` // when the first event was recorded
	Last    time.Time `json:"last,omitzero"`
	Blobs   int       `json:"blobs"`
	Meeting string    `json:"meeting,omitempty"` // the only one that was asked about
	Rules   bool      `json:"rules"`             // every event was decided again, or of a meeting all that bears on it
	Figures int       `json:"figures"`           // derived again
}

// ErrWrongKey is a key that opens none of an estate's payments. What was to be
// checked with it was not: there is no report.
var ErrWrongKey = errors.New("the key opens none of the estate's sealed payments: it is not the key of this estate")

// counted counts what an opener opens, and what it does not.
func counted(open Opener, opened, closed *int) Opener {
	if open == nil {
		return nil
	}
	return func(field, sealed string) ([]byte, error) {
		text, err := open(field, sealed)
		if err != nil {
			*closed++
		} else {
			*opened++
		}
		return text, err
	}
}

// Verify checks bytes and proofs, and then, where these hold, the rules and the
// figures: what is not proven to be in the ledger is not worth a decision. held are
// checkpoints that the reader kept; open opens the estate's payments, and may be
// nil; with a meeting only its rules and figures are checked, see
// [Inspector.About]; progress is told now and then up to which leaf it is.
func Verify(ctx context.Context, b *proof.Bundle, keys proof.Keys, held []proof.Held, open Opener, meeting string, progress func(leaf uint64)) (*Report, error) {
	r := &Report{Bundle: b.Manifest, Findings: []proof.Finding{}, NotVerified: []Unverified{}}
	opened, closed := 0, 0
	i, err := New(b.Manifest.Subject, counted(open, &opened, &closed))
	if err != nil {
		return nil, err
	}
	published, others := b.Manifest.Figures, 0
	if meeting != "" {
		i.About(meeting)
		published = slices.DeleteFunc(slices.Clone(published), func(f proof.Figure) bool { return !strings.Contains(f.Path, "/meetings/"+meeting) })
		if others = len(b.Manifest.Figures) - len(published); len(published) == 0 {
			return nil, fmt.Errorf("the bundle has no meeting %q", meeting)
		}
	}
	var ruled proof.Findings
	note := func(list []proof.Finding) {
		for _, f := range list {
			ruled.Add(f)
		}
	}
	c, found, err := keys.Bundle(b, held, func(leaf uint64, e es.Recorded) error {
		note(i.Take(e))
		if leaf%4096 == 0 {
			progress(leaf)
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	r.Findings = append(r.Findings, found...)
	r.Checked = Checked{
		Origin: c.Checkpoint.Origin, Size: c.Checkpoint.Size, Root: proof.Hash(c.Checkpoint.Root).String(), Key: c.Key.Text, Held: len(held),
		Leaves: c.Leaves, Events: c.Events, Streams: c.Streams, First: c.First, Last: c.Last, Blobs: c.Blobs, Meeting: meeting,
	}
	rest, unverified := i.End()
	if len(found) == 0 {
		if opened == 0 && closed > 0 {
			return nil, ErrWrongKey
		}
		note(rest)
		wrong, unknown, missing := i.compare(r.figures(b, published))
		note(wrong)
		r.Findings, r.NotVerified = append(r.Findings, ruled.List()...), append(append(r.NotVerified, unverified...), unknown...)
		r.Checked.Rules, r.Checked.Figures = true, len(published)-len(unknown)
		// Whoever made the bundle may have left out what does not suit them.
		missing = slices.DeleteFunc(missing, func(path string) bool { return meeting != "" && !strings.Contains(path, "/meetings/"+meeting) })
		if len(missing) > 0 {
			r.NotVerified = append(r.NotVerified, Unverified{What: "figures that the bundle does not have", Count: len(missing),
				Why: "they are derived, and there is nothing to hold them against: " + strings.Join(missing, ", ")})
		}
		if others > 0 {
			r.NotVerified = append(r.NotVerified, Unverified{What: "other figures", Count: others, Why: onlyMeeting})
		}
	} else {
		r.NotVerified = append(r.NotVerified, Unverified{What: "rules and figures", Count: int(c.Events), Why: "what is in the bundle is not proven to be in the ledger"})
	}
	for _, a := range b.Manifest.Absent {
		r.NotVerified = append(r.NotVerified, Unverified{What: a.What, Count: 1, Why: "it is not in the bundle: " + a.Reason})
	}
	if leaves := c.Leaves - c.Events; leaves > 0 {
		r.NotVerified = append(r.NotVerified, Unverified{What: "leaves of others", Count: int(leaves),
			Why: "there is only the hash of each; that none of them is of this estate is the word of whoever made the bundle"})
	}
	r.OK = len(r.Findings) == 0
	return r, nil
}

// figures reads published figures. They must be as of the bundle's end.
func (r *Report) figures(b *proof.Bundle, published []proof.Figure) (all []Figure) {
	for _, f := range published {
		text, err := b.File(f.File)
		address, failed := url.Parse(f.Path)
		if err := errors.Join(err, failed); err != nil {
			r.Findings = append(r.Findings, proof.Finding{Code: proof.Malformed, Detail: err.Error()})
			continue
		}
		ask := address.Query()
		if ask.Get("at") != strconv.FormatUint(uint64(b.Manifest.Until), 10) {
			r.Findings = append(r.Findings, proof.Finding{Code: proof.Malformed, Detail: fmt.Sprintf("the figure %s is not as of position %d", f.Path, b.Manifest.Until)})
			continue
		}
		ask.Del("at")
		path := strings.TrimPrefix(address.Path, service.Prefix)
		if len(ask) > 0 {
			path += "?" + ask.Encode()
		}
		all = append(all, Figure{Path: path, Value: text})
	}
	return all
}
