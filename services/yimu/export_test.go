package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
)

// verifiedBundle checks a bundle with a key as a person does, and returns the exit status.
func verifiedBundle(t *testing.T, file, key string) (status int, r inspect.Report) {
	t.Helper()
	return reportOf(t, verifyBundleCmd{File: file, verifyFlags: verifyFlags{Key: key}})
}

func reportOf(t *testing.T, c verifyBundleCmd) (status int, r inspect.Report) {
	t.Helper()
	c.JSON = true
	stdout := os.Stdout
	out, err := os.Create(filepath.Join(t.TempDir(), "report"))
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout = out
	err = c.Run(t.Context())
	os.Stdout = stdout
	if exit, ok := errors.AsType[exitError](err); ok {
		status = exit.status
	} else if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	if status < wrongUsage {
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatal(err)
		}
		var told bytes.Buffer
		if err := writeReport(&r, &told); err != nil || r.OK != strings.Contains(told.String(), "found nothing wrong") {
			t.Fatalf("%v\n%s", err, &told)
		}
	}
	return status, r
}

func TestABundleIsCheckedByOneFileAndAKey(t *testing.T) {
	data := t.TempDir()
	s, down := up(t, data)
	estate, other := uuid.NewString(), uuid.NewString()
	s.take(t, papersOf(t, everyPaper, "", "", ""), other)
	s.take(t, only(t, xiushan(t), "房屋清册.csv", "业主名册.csv", "委托合同.json"), estate)
	before, then := s.head(t), time.Now()
	time.Sleep(10 * time.Millisecond)
	s.take(t, only(t, xiushan(t), "预算.csv", "收支凭证.csv", "会议.json", "选票.csv"), estate)
	var log struct{ Keys []string }
	s.get(t, "/ledger/log", &log)
	dir := t.TempDir()
	export := func(name string, c exportBundleCmd) string {
		t.Helper()
		c.Estate, c.Output = uuid.MustParse(estate), filepath.Join(dir, name)
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.Output
	}
	key := log.Keys[0]
	head := strconv.FormatUint(uint64(s.head(t)), 10)
	whole := export("whole.zip", exportBundleCmd{Server: s.url, Until: head})
	if status, r := verifiedBundle(t, export("ahead.zip", exportBundleCmd{Server: s.url, Until: strconv.FormatUint(math.MaxUint64, 10)}), key); status != 0 || strconv.FormatUint(uint64(r.Bundle.Until), 10) != head {
		t.Errorf("up to the end of time: status %d, up to %d, want %s", status, r.Bundle.Until, head)
	}
	early := export("early.zip", exportBundleCmd{Server: s.url, Until: then.UTC().Format(time.RFC3339Nano)})
	for _, c := range []struct {
		refused exportBundleCmd
		says    string
	}{
		{exportBundleCmd{Until: "0"}, "up to 0: nothing was recorded so early"},
		{exportBundleCmd{Until: "1"}, "up to 1: nothing was recorded so early"},
		{exportBundleCmd{Until: "1999-12-31T00:00:00Z"}, "up to 1999-12-31T00:00:00Z: nothing was recorded so early"},
		{exportBundleCmd{Output: dir}, "is there and no file"},
		{exportBundleCmd{Output: filepath.Join(dir, "nowhere", "bundle.zip")}, "there is no directory " + filepath.Join(dir, "nowhere")},
	} {
		refused := c.refused
		refused.Server, refused.Estate, refused.Output = s.url, uuid.MustParse(estate), cmp.Or(refused.Output, filepath.Join(dir, "early.zip"))
		if err := refused.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.refused, err, c.says)
		}
	}
	page := filepath.Join(dir, "page.zip")
	if err := os.WriteFile(page, []byte(s.page(t, "/estates/"+estate+"/bundle.zip")), 0o600); err != nil {
		t.Fatal(err)
	}
	down()
	offline := filepath.Join(dir, "offline.zip")
	exporting := exec.CommandContext(t.Context(), yimu(t), "export", "bundle", "--estate", estate, "--data", data, "--output", offline)
	exporting.Env = append(os.Environ(), "YIMU_SERVER=http://127.0.0.1:1") // where nobody answers: it is not asked
	if said, err := exporting.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}

	status, r := verifiedBundle(t, whole, key)
	if status != 0 || !r.OK || !r.Checked.Rules || r.Checked.Figures < 8 || r.Checked.Events == r.Checked.Leaves {
		t.Fatalf("status %d: %+v", status, r)
	}
	events := r.Checked.Events
	if status, r = verifiedBundle(t, offline, key); status != 0 || r.Checked.Events != events {
		t.Errorf("of a system that does not run: status %d, %d events, want %d; %v", status, r.Checked.Events, events, r.Findings)
	}
	if status, r = verifiedBundle(t, page, key); status != 0 || r.Checked.Events != events {
		t.Errorf("of the estate's page: status %d, %d events, want %d; %v", status, r.Checked.Events, events, r.Findings)
	}
	if status, r = verifiedBundle(t, early, key); status != 0 || r.Bundle.Until != before || r.Checked.Events >= events || r.Checked.Figures == 0 {
		t.Errorf("of then: status %d, up to %d, want %d; %d events; %v", status, r.Bundle.Until, before, r.Checked.Events, r.Findings)
	}
	if r.Checked.Figures != len(r.Bundle.Figures) {
		t.Errorf("of then: %d figures of %d are checked: %v", r.Checked.Figures, len(r.Bundle.Figures), r.NotVerified)
	}

	file, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	changed := filepath.Join(dir, "changed.zip")
	at := bytes.Index(file, []byte(`"channel":"`))
	file[at+len(`"channel":"`)] ^= 1
	if err := os.WriteFile(changed, file, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, r = verifiedBundle(t, changed, key); status != 1 || r.OK || r.Findings[0].Code != proof.ChangedBytes {
		t.Errorf("changed: status %d, %v", status, r.Findings)
	}
	if err := os.WriteFile(changed, file[:len(file)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _ := verifiedBundle(t, changed, key); status != wrongUsage {
		t.Errorf("half of it: status %d", status)
	}
	if status, _ := verifiedBundle(t, whole, "no key"); status != wrongUsage {
		t.Errorf("without a key: status %d", status)
	}
}

func TestUntilIsAPositionOrATimeWithItsZone(t *testing.T) {
	for until, ok := range map[string]bool{
		"": true, "0": true, "120345": true, "2026-03-01T00:00:00+08:00": true, "2026-03-01T00:00:00.5Z": true,
		"foo": false, "-1": false, "2026-03-01": false, "2026-03-01T00:00:00": false,
	} {
		var c cli
		k, err := kong.New(&c, kong.BindTo(t.Context(), (*context.Context)(nil)), kong.Exit(func(int) { t.Error("it ends the program") }))
		if err != nil {
			t.Fatal(err)
		}
		args := []string{"export", "bundle", "--estate", uuid.NewString()}
		if until != "" {
			args = append(args, "--until="+until)
		}
		_, err = k.Parse(args)
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "neither a position of the ledger") {
			t.Errorf("%q: %v", until, err)
		}
	}
}

// TestWhoHasTheEstatesKeyChecksItsPayments asks the binary, as a regulator does who
// was given a bundle and a key.
func TestWhoHasTheEstatesKeyChecksItsPayments(t *testing.T) {
	path, dir := yimu(t), t.TempDir()
	data := filepath.Join(dir, "data")
	s, down := up(t, data)
	estate, other := uuid.NewString(), uuid.NewString()
	s.take(t, only(t, xiushan(t), "房屋清册.csv", "业主名册.csv", "委托合同.json", "预算.csv", "物业费收款.csv"), estate)
	s.take(t, papersOf(t, everyPaper, "", "", ""), other)
	var log struct{ Keys []string }
	s.get(t, "/ledger/log", &log)
	export := func(name string, until es.Position) string {
		t.Helper()
		c := exportBundleCmd{Server: s.url, Estate: uuid.MustParse(estate), Until: strconv.FormatUint(uint64(until), 10), Output: filepath.Join(dir, name)}
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.Output
	}
	before := s.head(t)
	posted := 0 // how often an import posts the totals so far depends on how its rows come
	for r, err := range s.store.ReadAll(t.Context(), 0, finance.CollectionStream+estate) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Position <= before {
			posted++
		}
	}
	honest := export("honest.zip", before)
	planted, until := s.wrongTotal(t, estate)
	wrong := export("wrong.zip", until)
	down()

	run := func(args ...string) (status int, stdout, stderr string) {
		t.Helper()
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(t.Context(), path, args...)
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), out.String(), errs.String()
	}
	keyOf := func(estate string) string {
		t.Helper()
		status, key, said := run("key", "estate", estate, "--data", data)
		file := filepath.Join(dir, estate+".key")
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil || status != 0 {
			t.Fatal(status, err, said)
		}
		return file
	}
	key := keyOf(estate)
	noKey := filepath.Join(dir, "no.key")
	if err := os.WriteFile(noKey, []byte("a key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const sealed = "sealed payments (3210)"
	totals, more := fmt.Sprintf("posted totals of days (%d)", posted), fmt.Sprintf("posted totals of days (%d)", posted+1)
	if posted < 148 {
		t.Errorf("totals of %d days, want at least 148", posted)
	}
	for name, c := range map[string]struct {
		file, key string
		status    int
		says      []string
		silent    []string
	}{
		"with the key, honest":           {honest, key, 0, []string{"found nothing wrong"}, []string{sealed, totals}},
		"without it":                     {honest, "", 0, []string{"found nothing wrong", "not verified", sealed, totals}, nil},
		"with the key, a wrong total":    {wrong, key, 1, []string{"illegitimate-event (totals-wrong)", planted}, []string{sealed, totals}},
		"without it, the same":           {wrong, "", 0, []string{"found nothing wrong", "not verified", sealed, more}, []string{"totals-wrong"}},
		"with the key of another estate": {honest, keyOf(other), wrongUsage, []string{other + ".key", "it is not the key of this estate"}, []string{"found", "payment-closed"}},
		"with what is no key":            {honest, noKey, wrongUsage, []string{"no.key is no key"}, []string{"found"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"verify", "bundle", c.file, "--key", log.Keys[0]}
			if c.key != "" {
				args = append(args, "--estate-key", c.key)
			}
			status, out, said := run(args...)
			told := out + said
			for _, words := range c.says {
				if !strings.Contains(told, words) {
					t.Errorf("does not say %q:\n%s", words, told)
				}
			}
			for _, words := range c.silent {
				if strings.Contains(told, words) {
					t.Errorf("says %q:\n%s", words, told)
				}
			}
			if status != c.status || strings.Contains(told, "primaryKeyId") {
				t.Errorf("status %d, want %d:\n%s", status, c.status, told)
			}
		})
	}
	if status, _, said := run("key", "estate", uuid.NewString(), "--data", data); status == 0 || !strings.Contains(said, "has no key") {
		t.Errorf("of no estate: status %d, %s", status, said)
	}
}

// wrongTotal posts a day's total again, with more money than was paid, past all
// services, and returns the event's id and its position.
func (s *site) wrongTotal(t *testing.T, estate string) (string, es.Position) {
	t.Helper()
	var last es.Recorded
	for r, err := range s.store.ReadAll(t.Context(), 0, finance.CollectionStream+estate) {
		if err != nil {
			t.Fatal(err)
		}
		last = r
	}
	var total finance.CollectionPosted
	if err := json.Unmarshal(last.Data, &total); err != nil {
		t.Fatal(err)
	}
	total.Periods[0].Amount += 100
	name, data, err := finance.Codec.Encode(total)
	if err != nil {
		t.Fatal(err)
	}
	meta, err := es.ParseMeta(last.Meta)
	if err != nil {
		t.Fatal(err)
	}
	meta.Commit, meta.Seen, meta.Happened = uuid.New(), last.Position, time.Now().UTC()
	text, err := json.Marshal(meta)
	if err != nil {
		t.Fatal(err)
	}
	id := es.EventID(meta.Commit, meta.Hash, 0, name, data, text)
	at, err := s.store.Append(t.Context(), last.Stream, last.Revision+1, es.Proposed{ID: id, Type: name, Data: data, Meta: text})
	if err != nil {
		t.Fatal(err)
	}
	return id.String(), at
}
