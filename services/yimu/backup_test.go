package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/blobs"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/yimu/internal/audit"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

// places are directories of a system, its backup, its keys, and a restored system.
type places struct{ data, dest, keys, again string }

func newPlaces(t *testing.T) places {
	t.Helper()
	return places{shortDir(t), filepath.Join(t.TempDir(), "backup"), filepath.Join(t.TempDir(), "keys"), shortDir(t)}
}

func (p places) backup(t *testing.T) manifest {
	t.Helper()
	m, err := (&backupCmd{Data: p.data, Dest: p.dest, Keys: p.keys}).backup(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (p places) restore(ctx context.Context) (restored, error) {
	return (&restoreCmd{Data: p.again, Source: p.dest, Keys: p.keys}).restore(ctx)
}

// TestABackupUnderLoadHoldsEveryBallotAcknowledgedBefore casts ballots, makes a
// backup meanwhile, kills the system, restores elsewhere, and goes on there to
// the count.
func TestABackupUnderLoadHoldsEveryBallotAcknowledgedBefore(t *testing.T) {
	const lastsFor = 24 * time.Hour
	ctx, path, p := t.Context(), yimu(t), newPlaces(t)
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.CommandContext(ctx, path, args...).CombinedOutput(); err != nil {
			t.Fatalf("yimu %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	start := func(dir string, clock time.Duration) *load.Server {
		t.Helper()
		s, err := load.Start(ctx, path, dir, clock)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		return s
	}
	s := start(p.data, load.Past)
	booth, err := load.Setup(ctx, s.Site, 300, 10, lastsFor)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	s = start(p.data, 0)
	e := &election{Booth: booth, journal: audit.NewJournal()}
	enough, over := make(chan struct{}), make(chan struct{})
	loading, end := context.WithCancel(ctx)
	go func() {
		defer close(over)
		e.load(loading, s, 1<<30, 300, func() { close(enough) })
	}()
	<-enough
	before := e.journal.Accepted()
	run("backup", "--data", p.data, "--keys", p.keys, p.dest)
	s.Kill()
	end()
	<-over
	if left, err := os.Stat(filepath.Join(p.data, snapshot)); err == nil {
		t.Errorf("%s was left behind", left.Name())
	}

	run("restore", "--data", p.again, "--keys", p.keys, p.dest)
	s = start(p.again, 0)
	m, err := readManifest(p.dest)
	if err != nil {
		t.Fatal(err)
	}
	if !m.Running {
		t.Error("the manifest does not say that the system ran")
	}
	lost, err := e.journal.Restored(ctx, s.Site)
	if err != nil {
		t.Fatal(err)
	}
	if n := e.journal.Count().Events; n < m.Ledger.Events {
		t.Errorf("%d events, and %d by the manifest", n, m.Ledger.Events)
	}
	if head := e.journal.Head(); head > m.Ledger.Position {
		t.Errorf("it reaches %d, and the backup ends at %d", head, m.Ledger.Position)
	}
	if len(before) == 0 {
		t.Fatal("nothing was acknowledged before the backup")
	}
	for _, c := range lost {
		if slices.Contains(before, c) {
			t.Errorf("%s was acknowledged before the backup began, and is not restored", c.Key)
		}
	}

	e.load(ctx, s, 200, -1, nil)
	e.audit(ctx, t, s)
	for _, c := range e.journal.Open(time.Now()) {
		t.Errorf("%s had no answer to the end", c.Key)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	s = start(p.again, 2*lastsFor)
	e.counted(ctx, t, s)
	t.Logf("%d ballots acknowledged before the backup, %d after it and lost, %d in the end", len(before), len(lost), e.journal.Count().Accepted)
}

// TestARestoredSystemIsTheOneThatWasBackedUp compares rows of read models,
// files and personal data.
func TestARestoredSystemIsTheOneThatWasBackedUp(t *testing.T) {
	p := newPlaces(t)
	s, down := up(t, p.data)
	estate := uuid.NewString()
	s.take(t, papersOf(t, everyPaper, "", "", ""), estate)
	s.closed(t, estate)
	told := s.told(t, estate)
	token, head := s.token, s.head(t)
	id := onePerson(t, s.store)
	down()
	data := personIn(t, p.data, id)
	put(t, p.data, "refused")
	m := p.backup(t)
	if m.Ledger.Position != head {
		t.Errorf("it reaches %d, the system %d", m.Ledger.Position, head)
	}
	r, err := p.restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Ledger.Position != head {
		t.Errorf("restored to %d, and the system reached %d", r.Ledger.Position, head)
	}

	before := map[string][]string{}
	for _, part := range parts {
		before[part.name] = rows(t, filepath.Join(p.data, "read", part.name+".db"))
	}
	again, down := up(t, p.again)
	if now := again.told(t, estate); !maps.Equal(now, told) {
		t.Errorf("it tells %v, told %v", now, told)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, again.url+"/api/v1/tokens", strings.NewReader(`{"person":"`+id+`","expires":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = http.Header{"Authorization": {"Bearer " + token}, "Idempotency-Key": {"once again"}, "Content-Type": {"application/json"}}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusCreated {
		t.Errorf("an old token: %s", text)
	}
	down()
	if got := personIn(t, p.again, id); got != data || data.Name == "" {
		t.Errorf("the person is %+v, was %+v", got, data)
	}
	// The restored system has its own last events: tokens, which no read model shows
	// but the ledger's, as leaves.
	for _, part := range parts {
		after := rows(t, filepath.Join(p.again, "read", part.name+".db"))
		if part.name == "ledger" {
			after = slices.DeleteFunc(after, func(row string) bool { _, was := slices.BinarySearch(before["ledger"], row); return !was })
		}
		if !slices.Equal(before[part.name], after) {
			t.Errorf("%s: %d rows differ from %d", part.name, len(after), len(before[part.name]))
		}
	}
	for _, bucket := range []string{"blobs", "refused"} {
		want := names(t, filepath.Join(p.data, bucket))
		if got := names(t, filepath.Join(p.again, bucket)); len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", bucket, got, want)
		}
	}
}

// closed waits until the meeting of an estate is closed and counted, after which
// nothing happens by itself, and every read model knows of it.
func (s *site) closed(t *testing.T, estate string) {
	t.Helper()
	var meetings struct{ Items []struct{ State string } }
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if s.get(t, "/estates/"+estate+"/meetings", &meetings); len(meetings.Items) == 1 && meetings.Items[0].State == "counted" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the meeting is not counted: %v", meetings)
		}
	}
	for _, part := range s.inside.services {
		for _, p := range part.Projections {
			if err := p.WaitFor(t.Context(), s.head(t)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// personIn is what the vault of a data directory has of a person.
func personIn(t *testing.T, dir, id string) vault.PersonalData {
	t.Helper()
	v, err := vault.Open(t.Context(), vault.Config{URL: "sqlite://" + filepath.Join(dir, "vault.db"), KeyFile: filepath.Join(dir, "keys", "vault.json")})
	if err != nil {
		t.Fatal(err)
	}
	data, err := v.Person(t.Context(), id)
	if err := errors.Join(err, v.Close()); err != nil {
		t.Fatal(err)
	}
	return data
}

// put keeps some bytes in a bucket of a data directory.
func put(t *testing.T, dir, bucket string) {
	t.Helper()
	b, err := blobs.Open(t.Context(), "file://"+filepath.Join(dir, bucket))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Put(t.Context(), []byte("some bytes"))
	if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
}

// onePerson returns the id of somebody in the vault.
func onePerson(t *testing.T, store es.Store) string {
	t.Helper()
	for e, err := range store.ReadAll(t.Context(), 0, "unit-") {
		var titles struct {
			Titles []struct{ Person string }
		}
		if err == nil && e.Type == "titles-stated.v1" {
			err = json.Unmarshal(e.Data, &titles)
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(titles.Titles) > 0 {
			return titles.Titles[0].Person
		}
	}
	t.Fatal("nobody has a title")
	return ""
}

// rows are all rows of a database in one order, but not how far it has read,
// nor when it was migrated.
func rows(t *testing.T, file string) (all []string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	query := func(text string) (out []string) {
		found, err := db.QueryContext(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = found.Close() }()
		columns, err := found.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		for found.Next() {
			if err := found.Scan(into...); err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprint(values...))
		}
		if err := found.Err(); err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, table := range query(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('checkpoint', 'goose_db_version') AND name NOT LIKE 'sqlite_%'`) {
		for _, row := range query(`SELECT * FROM "` + table + `"`) {
			all = append(all, table+" "+row)
		}
	}
	slices.Sort(all)
	return all
}

// names are the files below a directory.
func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// backedUp makes a backup of a system that has hardly anything in it.
func backedUp(t *testing.T) places {
	t.Helper()
	p := newPlaces(t)
	_, down := up(t, p.data)
	down()
	put(t, p.data, "blobs")
	put(t, p.data, "refused")
	p.backup(t)
	return p
}

func TestOnlyItsOwnerMayReadABackup(t *testing.T) {
	p := backedUp(t)
	if _, err := p.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{p.dest, p.keys, p.again} {
		files := 0
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err != nil {
				return err
			}
			want := fs.FileMode(0o600)
			if e.IsDir() {
				want = 0o700
			} else {
				files++
			}
			if mode := info.Mode().Perm(); mode != want {
				t.Errorf("%s has mode %v, want %v", path, mode, want)
			}
			return nil
		})
		if err != nil || files == 0 {
			t.Errorf("%s has %d files, %v", dir, files, err)
		}
	}
	if got := names(t, p.keys); len(got) != 2 || !strings.HasPrefix(got[0], "log-") || got[1] != "vault.json" {
		t.Errorf("among the keys there are %v", got)
	}
	for _, name := range names(t, p.dest) {
		text, err := os.ReadFile(filepath.Join(p.dest, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(`"aead"`)) {
			t.Errorf("%s holds the key", name)
		}
	}
}

func TestWhatIsMissingOrDamagedIsNamedAndNothingIsRestored(t *testing.T) {
	p := backedUp(t)
	m, err := readManifest(p.dest)
	if err != nil {
		t.Fatal(err)
	}
	breaks := map[string]func(path string) error{
		"missing": os.Remove,
		"shorter": func(path string) error { return os.Truncate(path, 1) },
		"one bit": func(path string) error {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text[len(text)/2] ^= 1
			return os.WriteFile(path, text, 0o600)
		},
	}
	seen := map[string]bool{}
	for _, f := range append(slices.Clone(m.Files), m.Keys...) {
		dir := p.dest
		if slices.Contains(m.Keys, f) {
			dir = p.keys
		}
		path := filepath.Join(dir, f.Name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if len(whole) < 2 {
			continue
		}
		kind, _, _ := strings.Cut(f.Name, "/")
		if strings.HasPrefix(kind, "log-") { // by its content
			kind = logKey
		}
		seen[kind] = true
		for name, damage := range breaks {
			if err := damage(path); err != nil {
				t.Fatal(err)
			}
			if _, err := p.restore(t.Context()); err == nil || !strings.Contains(err.Error(), f.Name) {
				t.Errorf("%s, %s: %v", f.Name, name, err)
			}
			if _, err := os.Stat(p.again); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s, %s: something was restored", f.Name, name)
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if want := []string{"blobs", "ledger", "log", "log.key", "refused", "vault.db", "vault.json"}; !slices.Equal(slices.Sorted(maps.Keys(seen)), want) {
		t.Errorf("of a backup there were %v, want %v", slices.Sorted(maps.Keys(seen)), want)
	}
	if _, err := p.restore(t.Context()); err != nil {
		t.Errorf("with everything in its place again: %v", err)
	}
}

func TestARestoreOverwritesNothing(t *testing.T) {
	p := backedUp(t)
	if _, err := p.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := names(t, p.again)
	if _, err := p.restore(t.Context()); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("the second one: %v", err)
	}
	if after := names(t, p.again); !slices.Equal(before, after) {
		t.Errorf("there are %v, were %v", after, before)
	}
	if err := (&backupCmd{Data: p.data, Dest: p.again, Keys: p.keys}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a backup into it: %v", err)
	}
}

func TestABackupOrRestoreThatIsBrokenOffIsNone(t *testing.T) {
	p := backedUp(t)
	if err := os.Remove(filepath.Join(p.dest, manifestFile)); err != nil { // which is written last
		t.Fatal(err)
	}
	if _, err := p.restore(t.Context()); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("a backup that was killed: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	other := filepath.Join(t.TempDir(), "other")
	if _, err := (&backupCmd{Data: p.data, Dest: other, Keys: p.keys}).backup(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a backup that was interrupted: %v", err)
	}
	for _, left := range []string{other, filepath.Join(p.data, snapshot)} {
		if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("it left %s behind", left)
		}
	}
	// A killed one leaves the snapshot, and the next one begins anew.
	if err := os.MkdirAll(filepath.Join(p.data, snapshot, "ledger"), 0o700); err != nil {
		t.Fatal(err)
	}
	p.dest = other
	p.backup(t)

	if err := os.MkdirAll(p.again, 0o700); err != nil { // empty, but there
		t.Fatal(err)
	}
	if _, err := p.restore(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("a restore that was interrupted: %v", err)
	}
	if left := names(t, p.again); len(left) > 0 {
		t.Errorf("it left %v behind", left)
	}
	if _, err := p.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.again, unfinished), nil, 0o600); err != nil { // as a killed one leaves it
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{Dir: p.again, Clock: time.Now, Log: silent}); err == nil || !strings.Contains(err.Error(), "not restored to the end") {
		t.Errorf("a system on a restore that was killed: %v", err)
	}
}

func TestARestoredSystemSaysHowFarItReaches(t *testing.T) {
	p := backedUp(t)
	r, err := p.restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // at each start
		var log bytes.Buffer
		s, err := Open(t.Context(), Options{Dir: p.again, Clock: time.Now, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("position=%d", r.Ledger.Position); !strings.Contains(log.String(), "was restored from a backup") || !strings.Contains(log.String(), want) {
			t.Errorf("it says %q, want %s", &log, want)
		}
	}
}

// TestReadModelsAheadOfTheLedgerAreRefused is of those that a restore does not
// reach, as of services that run apart.
func TestReadModelsAheadOfTheLedgerAreRefused(t *testing.T) {
	p := backedUp(t)
	further, down := up(t, p.data)
	further.take(t, papersOf(t, everyPaper, "", "", ""), uuid.NewString())
	down()
	if _, err := p.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(p.again, "read"), os.DirFS(filepath.Join(p.data, "read"))); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: p.again, Clock: time.Now, Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(t.Context(), func(context.Context) error { return errors.New("it is ready") })
	if err == nil || !strings.Contains(err.Error(), "restored from a backup") {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestTheKeyFileIsKeptApart(t *testing.T) {
	p := backedUp(t)
	for name, c := range map[string]struct {
		command backupCmd
		says    string
	}{
		"nowhere":               {backupCmd{}, "--keys"},
		"in the backup":         {backupCmd{Keys: "dest/keys"}, "not apart"},
		"as the backup":         {backupCmd{Keys: "dest"}, "not apart"},
		"around the backup":     {backupCmd{Keys: "."}, "not apart"},
		"in the data directory": {backupCmd{Keys: filepath.Join(p.data, "more-keys")}, "not apart"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.command.Data, c.command.Dest = p.data, filepath.Join(dir, "dest")
			if c.command.Keys != "" && !filepath.IsAbs(c.command.Keys) {
				c.command.Keys = filepath.Join(dir, c.command.Keys)
			}
			if err := c.command.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if left := names(t, dir); len(left) > 0 {
				t.Errorf("it left %v behind", left)
			}
		})
	}
	t.Run("beside an earlier one", func(t *testing.T) {
		if _, err := (&backupCmd{Data: p.data, Dest: filepath.Join(t.TempDir(), "next"), Keys: p.keys}).backup(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("over that of another vault", func(t *testing.T) {
		other := newPlaces(t)
		_, down := up(t, other.data)
		down()
		other.keys = p.keys
		if err := (&backupCmd{Data: other.data, Dest: other.dest, Keys: other.keys}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another vault") {
			t.Errorf("got %v", err)
		}
		if _, err := p.restore(t.Context()); err != nil {
			t.Errorf("the first one's: %v", err)
		}
	})
	t.Run("inside the data directory, a backup", func(t *testing.T) {
		if err := (&backupCmd{Data: p.data, Dest: filepath.Join(p.data, "backup"), Keys: p.keys}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "inside the data directory") {
			t.Errorf("got %v", err)
		}
	})
}

// TestADamagedBlobIsLeftOutAndSaid is of a file that a power failure tore.
func TestADamagedBlobIsLeftOutAndSaid(t *testing.T) {
	p := backedUp(t)
	blob := filepath.Join(p.data, "blobs", names(t, filepath.Join(p.data, "blobs"))[0])
	if err := os.Truncate(blob, 3); err != nil {
		t.Fatal(err)
	}
	p.dest = filepath.Join(t.TempDir(), "next")
	err := (&backupCmd{Data: p.data, Dest: p.dest, Keys: p.keys}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), filepath.Base(blob)) {
		t.Errorf("got %v", err)
	}
	if _, err := p.restore(t.Context()); err != nil {
		t.Error(err)
	}
	if left := names(t, filepath.Join(p.again, "refused")); len(left) != 1 {
		t.Errorf("of what is not damaged there is %v", left)
	}
}

// TestAStoreIsBackedUpWhileItRuns is of what `yimu serve store` keeps.
func TestAStoreIsBackedUpWhileItRuns(t *testing.T) {
	p := newPlaces(t)
	p.keys = ""
	store, _, err := openLedger(p.data, 0, time.Now, silent)
	if err != nil {
		t.Fatal(err)
	}
	wishes := http.NewServeMux()
	offerSnapshot(wishes, store, p.data)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- serveSocket(ctx, p.data, wishes) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-served, store.Close()); err != nil {
			t.Error(err)
		}
	})
	event := func(n int) es.Proposed {
		return es.Proposed{ID: uuid.New(), Type: "counted.v1", Data: fmt.Appendf(nil, "%d", n), Meta: []byte("{}")}
	}
	var last es.Position
	const events, streams = 350, 7
	for n := range events {
		if last, err = store.Append(t.Context(), fmt.Sprintf("a-%d", n%streams), uint64(n/streams), event(n)); err != nil {
			t.Fatal(err)
		}
	}
	for { // until the socket is there
		if _, running, err := ask(t.Context(), p.data, "/snapshot", nil); running || err != nil {
			break
		}
	}
	m := p.backup(t)
	if m.Ledger.Position != last || m.Ledger.Events != events || len(m.Keys) != 0 {
		t.Errorf("it reaches %v with %d events and %d keys; the store reaches %d", m.Ledger, m.Ledger.Events, len(m.Keys), last)
	}
	if _, err := store.Append(t.Context(), "a-0", events/streams, event(0)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := pebblestore.Open(pebblestore.Config{Dir: filepath.Join(p.again, "ledger"), Log: silent})
	if err != nil {
		t.Fatal(err)
	}
	if again.Head() != last {
		t.Errorf("restored to %d, want %d", again.Head(), last)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	p.keys = t.TempDir()
	if _, err := (&backupCmd{Data: p.data, Dest: filepath.Join(t.TempDir(), "x"), Keys: p.keys}).backup(t.Context()); err == nil || !strings.Contains(err.Error(), "no vault") {
		t.Errorf("with --keys: %v", err)
	}
}

// TestARestoreTriesTheKeyOnTheVault is of a backup whose manifest was made to fit.
func TestARestoreTriesTheKeyOnTheVault(t *testing.T) {
	p := backedUp(t)
	other := filepath.Join(t.TempDir(), "keys")
	v, err := vault.Open(t.Context(), vault.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "vault.db"), KeyFile: filepath.Join(other, "vault.json")})
	if err := errors.Join(err, v.Close()); err != nil {
		t.Fatal(err)
	}
	m, err := readManifest(p.dest)
	if err != nil {
		t.Fatal(err)
	}
	key, err := sumFile(t.Context(), filepath.Join(other, "vault.json"))
	if err != nil {
		t.Fatal(err)
	}
	key.Name, p.keys = "vault.json", other
	m.Keys = []copied{key}
	if err := writeWhole(filepath.Join(p.dest, manifestFile), m); err != nil {
		t.Fatal(err)
	}
	if _, err := p.restore(t.Context()); err == nil || !strings.Contains(err.Error(), "belongs to another vault") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(p.again); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was restored")
	}
}
