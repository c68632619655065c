package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/yimu-ledger/yimu/libs/proof"
)

// verifyCmd checks what proves that the ledger is what it was said to be. It
// asks nobody: all it needs is in its files, and the key.
type verifyCmd struct {
	Receipt     verifyReceiptCmd     `cmd:"" help:"Check that an event is in the ledger, by its receipt."`
	Consistency verifyConsistencyCmd `cmd:"" help:"Check that between two checkpoints the ledger was only appended to."`
	Bundle      verifyBundleCmd      `cmd:"" help:"Check an estate's part of the ledger, by its bundle: bytes, proofs, rules, figures."`
}

// verifyFlags are those of every check.
type verifyFlags struct {
	Key  string `help:"The log's public key, origin+hash+key, or a file with such keys, one a line. Have it from somewhere else than the site you check." required:"" placeholder:"KEY|FILE"`
	JSON bool   `name:"json" help:"Report in JSON."`
}

const verifyStatus = `
The exit status is 0 where nothing was found, 1 where something was, 2 where nothing could be checked. docs/proof.md says
what is shown by it and what is not.`

type verifyReceiptCmd struct {
	File string `arg:"" help:"The receipt: JSON, as GET /api/v1/receipts/<event> answers." type:"path"`
	verifyFlags
}

// Help is shown by yimu verify receipt --help.
func (verifyReceiptCmd) Help() string {
	return `What is checked: that the stored bytes are those the event's leaf commits to; that the proof leads from the leaf to the
checkpoint; and that the checkpoint is signed with the key, or with one that replaced it. Then the event is in the ledger,
to the byte, and the operator has signed so.
` + verifyStatus
}

type verifyConsistencyCmd struct {
	Old string `arg:"" help:"What you kept: a checkpoint, a receipt, or an earlier extension." type:"path"`
	New string `arg:"" help:"What there is now: JSON, as GET /api/v1/ledger/extension?old=SIZE answers, with the size of the old checkpoint." type:"path"`
	verifyFlags
}

// Help is shown by yimu verify consistency --help.
func (verifyConsistencyCmd) Help() string {
	return `What is checked: that both checkpoints are signed with the key, or with one that replaced it; and that the newer log has
everything that the older checkpoint signs, unchanged and in the same order. A log that was cut off, or in which anything
was changed, removed or inserted, is found. Where both are signed, the two files prove it to anyone: keep them.

OLD and NEW may also be two checkpoints of the same size, as two people hold them.
` + verifyStatus
}

// verified is the report of a check.
type verified struct {
	OK       bool            `json:"ok"`
	Event    *proof.Leaf     `json:"event,omitempty"` // of a receipt
	Leaf     *uint64         `json:"leaf,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"` // of the event, where it is JSON
	Old      *signedState    `json:"old,omitempty"`
	New      *signedState    `json:"checkpoint,omitempty"`
	Findings []proof.Finding `json:"findings"`
}

// signedState is a checkpoint whose signature holds.
type signedState struct {
	Origin string     `json:"origin"`
	Size   uint64     `json:"size"`
	Root   proof.Hash `json:"root"`
	Key    string     `json:"key"` // that signed it
}

func stateOf(v proof.Verified) *signedState {
	if v.Key.Verifier == nil { // it does not hold
		return nil
	}
	return &signedState{v.Checkpoint.Origin, v.Checkpoint.Size, proof.Hash(v.Checkpoint.Root), v.Key.Text}
}

// Run checks a receipt.
func (c *verifyReceiptCmd) Run() error {
	return c.report(func(keys proof.Keys) (v verified, err error) {
		text, err := fileOf(c.File)
		if err != nil {
			return v, err
		}
		r, err := proof.ParseReceipt(text)
		if err != nil {
			return v, noSuch("receipt", c.File, text, err)
		}
		checked, findings := keys.Receipt(r)
		v = verified{Event: &r.Event, Leaf: &r.Leaf, New: stateOf(checked), Findings: findings}
		if json.Valid(r.Data) {
			v.Data = r.Data
		}
		return v, nil
	})
}

// Run checks that one checkpoint is an extension of another.
func (c *verifyConsistencyCmd) Run() error {
	return c.report(func(keys proof.Keys) (v verified, err error) {
		old, _, err := checkpointIn(c.Old)
		if err != nil {
			return v, err
		}
		e, proven, err := checkpointIn(c.New)
		if err != nil {
			return v, err
		}
		before, after, findings := keys.Extension(old.Checkpoint, old.Rotations, e)
		v = verified{Old: stateOf(before), New: stateOf(after), Findings: findings}
		if !proven && v.Old != nil && v.New != nil && v.Old.Size < v.New.Size {
			return v, fmt.Errorf("%s has no proof in it: get one from the site, /api/v1/ledger/extension?old=%d", c.New, v.Old.Size)
		}
		return v, nil
	})
}

// checkpointIn reads an extension, or what else has a checkpoint: then there is
// no proof in it.
func checkpointIn(path string) (e proof.Extension, proven bool, err error) {
	text, err := fileOf(path)
	if err != nil {
		return e, false, err
	}
	if e, err := proof.ParseExtension(text); err == nil {
		return e, true, nil
	}
	if r, err := proof.ParseReceipt(text); err == nil {
		return proof.Extension{Checkpoint: r.Checkpoint, Rotations: r.Rotations}, false, nil
	}
	if _, err := proof.ParseCheckpoint(string(text)); err != nil {
		return e, false, noSuch("extension, receipt or checkpoint", path, text, err)
	}
	return proof.Extension{Checkpoint: string(text)}, false, nil
}

// report checks, writes what came of it, and ends the process by it.
func (f verifyFlags) report(check func(proof.Keys) (verified, error)) error {
	keys, err := keysIn(f.Key)
	var v verified
	if err == nil {
		v, err = check(keys)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "yimu: "+err.Error())
		return exitError{wrongUsage}
	}
	if v.OK = len(v.Findings) == 0; v.OK {
		v.Findings = []proof.Finding{}
	}
	if f.JSON {
		err = json.NewEncoder(os.Stdout).Encode(v)
	} else {
		err = v.write(os.Stdout)
	}
	if err == nil && !v.OK {
		err = exitError{1}
	}
	return err
}

// write writes the report for a person.
func (v verified) write(w io.Writer) error {
	p := &printer{w: w}
	if e := v.Event; e != nil {
		p.line("event %s", e.ID)
		p.line("  %s, revision %d of %s", visible(e.Type), e.Revision, visible(e.Stream))
		p.line("  happened %s, recorded %s", visible(string(e.Happened)), visible(string(e.Recorded)))
		p.line("  leaf %d", *v.Leaf)
		if v.Data != nil {
			p.line("  says %s", visible(string(v.Data)))
		}
	}
	for _, s := range []struct {
		what string
		*signedState
	}{{"old checkpoint", v.Old}, {"checkpoint", v.New}} {
		if s.signedState != nil {
			p.line("%s of %d leaves of the log %s", s.what, s.Size, s.Origin)
			p.line("  root %s", s.Root)
			p.line("  signed by %s", s.Key)
		}
	}
	p.line("")
	switch {
	case !v.OK:
		p.line("found")
	case v.Event != nil:
		p.line("found nothing wrong: this event is in the ledger, to the byte")
	case v.Old.Size == v.New.Size:
		p.line("found nothing wrong: both are the same")
	default:
		appended := "1 leaf was"
		if n := v.New.Size - v.Old.Size; n != 1 {
			appended = fmt.Sprintf("%d leaves were", n)
		}
		p.line("found nothing wrong: since the old checkpoint %s appended, and nothing else was done", appended)
	}
	for _, f := range v.Findings {
		p.line("  %s", visible(f.String()))
	}
	return p.err
}

// visible is text of a stranger without what would make a terminal do something.
func visible(s string) string {
	if strings.IndexFunc(s, func(c rune) bool { return !unicode.IsPrint(c) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// keysIn reads keys, given themselves or as a file.
func keysIn(given string) (proof.Keys, error) {
	if _, err := os.Stat(given); err != nil {
		if strings.Count(given, "+") < 2 {
			return nil, fmt.Errorf("the key %q is neither a file nor origin+hash+key", given)
		}
		keys, err := proof.ParseKeys(given)
		if err != nil {
			return nil, fmt.Errorf("the key %q is not whole: a letter is wrong, or one is missing", given)
		}
		return keys, nil
	}
	text, err := fileOf(given)
	if err != nil {
		return nil, fmt.Errorf("the key: %w", err)
	}
	keys, err := proof.ParseKeys(string(text))
	if err != nil {
		return nil, noSuch("file of public keys", given, text, err)
	}
	return keys, nil
}
