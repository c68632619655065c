package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
)

// verifiedBundle checks a bundle with a key as a person does, and returns the exit status.
func verifiedBundle(t *testing.T, file, key string) (status int, r inspect.Report) {
	t.Helper()
	c := verifyBundleCmd{File: file, verifyFlags: verifyFlags{Key: key, JSON: true}}
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
	s.take(t, only(t, xiushan(t), "房屋清册.csv", "业主名册.csv"), other)
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
	whole := export("whole.zip", exportBundleCmd{Server: s.url, Until: strconv.FormatUint(uint64(s.head(t)), 10)})
	early := export("early.zip", exportBundleCmd{Server: s.url, Until: then.UTC().Format(time.RFC3339Nano)})
	page := filepath.Join(dir, "page.zip")
	if err := os.WriteFile(page, []byte(s.page(t, "/estates/"+estate+"/bundle.zip")), 0o600); err != nil {
		t.Fatal(err)
	}
	down()
	offline := export("offline.zip", exportBundleCmd{Data: data})

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
