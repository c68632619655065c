package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
)

type verifyBundleCmd struct {
	File       string   `arg:"" help:"The bundle, as yimu export bundle makes it." type:"path"`
	Checkpoint []string `help:"What you kept of the log, a checkpoint, a receipt or an extension: the bundle must contain what it signs. May be given several times." type:"path" placeholder:"FILE"`
	EstateKey  string   `help:"The estate's key, to check sealed payments against the posted totals." type:"path" placeholder:"FILE"`
	Meeting    string   `help:"Only have one meeting decided again, by its id: its roll, its ballots, its result. Bytes and proofs are checked whole all the same." placeholder:"UUID"`
	verifyFlags
}

// Help is shown by yimu verify bundle --help.
func (verifyBundleCmd) Help() string {
	return `What is checked: that the bundle's leaves make the tree which the checkpoint signs; that its events are those, unchanged, in
order, none missing or twice; that its files are what their names say; then every decision of the rules, again, and every
published figure.
` + verifyStatus
}

func (c *verifyBundleCmd) Run(ctx context.Context) error {
	collectLess()
	report, err := c.verify(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "yimu: "+err.Error())
		return exitError{wrongUsage}
	}
	if c.JSON {
		err = json.NewEncoder(os.Stdout).Encode(report)
	} else {
		err = writeReport(report, os.Stdout)
	}
	if err == nil && len(report.Findings) > 0 {
		err = exitError{1}
	}
	return err
}

// collectLess has garbage collected less often, unless the environment says how
// often: a check makes garbage all the time, and ends soon. back undoes it.
func collectLess() (back func()) {
	if os.Getenv("GOGC") != "" {
		return func() {}
	}
	before := debug.SetGCPercent(400)
	return func() { debug.SetGCPercent(before) }
}

func (c *verifyBundleCmd) verify(ctx context.Context) (*inspect.Report, error) {
	keys, err := keysIn(c.Key)
	if err != nil {
		return nil, err
	}
	b, closing, err := bundleIn(c.File)
	if err != nil {
		return nil, err
	}
	defer closing()
	var held []proof.Held
	for _, path := range c.Checkpoint {
		kept, _, err := checkpointIn(path)
		if err != nil {
			return nil, err
		}
		held = append(held, proof.Held{Checkpoint: kept.Checkpoint, Rotations: kept.Rotations})
	}
	opener, err := openerIn(c.EstateKey, b.Manifest.Subject)
	if err != nil {
		return nil, err
	}
	bar := &bar{}
	defer bar.end()
	report, err := inspect.Verify(ctx, b, keys, held, opener, c.Meeting, func(leaf uint64) { bar.step("events", int(leaf), int(b.Manifest.Leaves)) })
	if errors.Is(err, inspect.ErrWrongKey) {
		err = fmt.Errorf("%s: %w", c.EstateKey, err)
	}
	return report, err
}

// bundleIn opens a bundle. It is to be closed in the end.
func bundleIn(path string) (b *proof.Bundle, closing func(), err error) {
	info, err := os.Stat(path)
	if err != nil || info.IsDir() {
		_, err := fileOf(path)
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if b, err = proof.OpenBundle(f, info.Size()); err == nil {
		return b, func() { _ = f.Close() }, nil
	}
	defer f.Close()
	if !errors.Is(err, zip.ErrFormat) {
		return nil, nil, fmt.Errorf("%s is no bundle: %s", path, visible(strings.TrimPrefix(err.Error(), "proof: ")))
	}
	text, failed := io.ReadAll(io.LimitReader(f, 16<<20))
	switch {
	case failed != nil:
		err = failed
	case bytes.HasPrefix(text, []byte("PK")):
		err = fmt.Errorf("%s is cut off or damaged: a bundle ends with a list of its files; get it again", path)
	default:
		err = noSuch("bundle", path, text, err)
	}
	return nil, nil, err
}

// writeReport writes a report for a person.
func writeReport(r *inspect.Report, w io.Writer) error {
	p := &printer{w: w}
	c := r.Checked
	p.line("estate %s, up to position %d; made %s by yimu %s", visible(r.Bundle.Subject), r.Bundle.Until, r.Bundle.Made.Format(time.RFC3339), visible(r.Bundle.Program))
	if c.Origin != "" {
		p.line("log %s, checkpoint of %d leaves, root %s", c.Origin, c.Size, c.Root)
		p.line("signed by %s", c.Key)
	}
	p.line("")
	p.line("checked")
	p.line("  %d leaves, and of these %d events of %d streams", c.Leaves, c.Events, c.Streams)
	if c.Events > 0 {
		p.line("  recorded from %s to %s", c.First.Format(time.RFC3339), c.Last.Format(time.RFC3339))
	}
	p.line("  %d public files", c.Blobs)
	switch {
	case c.Held == 1:
		p.line("  the checkpoint that you kept")
	case c.Held > 1:
		p.line("  %d checkpoints that you kept", c.Held)
	}
	switch {
	case c.Rules && c.Meeting != "":
		p.line("  every decision that meeting %s rests on, again by the rules", visible(c.Meeting))
	case c.Rules:
		p.line("  every decision, again by the rules")
	}
	if c.Rules {
		p.line("  %d published figures, derived again", c.Figures)
	}
	p.line("")
	if len(r.Findings) == 0 {
		p.line("found nothing wrong")
	} else {
		p.line("found")
	}
	for _, f := range r.Findings {
		p.line("  %s", visible(f.String()))
	}
	if len(r.NotVerified) > 0 {
		p.line("")
		p.line("not verified")
	}
	for _, u := range r.NotVerified {
		what := visible(u.What)
		if u.Count > 0 {
			what = fmt.Sprintf("%s (%d)", what, u.Count)
		}
		p.line("  %s: %s", what, visible(u.Why))
	}
	return p.err
}

// openerIn returns what opens the payments of an estate; nil where there is no key.
func openerIn(path, estate string) (inspect.Opener, error) {
	if path == "" {
		return nil, nil
	}
	key, err := fileOf(path)
	if err != nil {
		return nil, err
	}
	open, err := vault.NewOpener(strings.TrimSpace(string(key)), vault.EstateKey(estate))
	if err != nil {
		return nil, noSuch("key that yimu key estate printed", path, key, err)
	}
	return open, nil
}
