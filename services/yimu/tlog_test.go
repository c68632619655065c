package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/tlog"
)

// file asks for a file of the site.
func (s *site) file(t *testing.T, path string) []byte {
	t.Helper()
	resp, err := http.Get(s.url + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s %v", path, resp.Status, b, err)
	}
	return b
}

// record founds an estate and returns the id of the event.
func (s *site) record(t *testing.T, name string) (event string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/api/v1/estates", strings.NewReader(`{"name": "`+name+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Idempotency-Key", "estate-"+name)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var recorded struct{ Events []string }
	if err := json.NewDecoder(resp.Body).Decode(&recorded); err != nil || resp.StatusCode != http.StatusCreated || len(recorded.Events) == 0 {
		t.Fatalf("%s %+v %v", resp.Status, recorded, err)
	}
	return recorded.Events[len(recorded.Events)-1]
}

func (s *site) receipt(t *testing.T, event string) proof.Receipt {
	t.Helper()
	r, err := proof.ParseReceipt(s.file(t, "/api/v1/receipts/"+event))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func keysOf(t *testing.T, dir string) proof.Keys {
	t.Helper()
	keys, err := tlog.PublicKeys(filepath.Join(dir, "keys", logKey))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// overHTTP is a client of golang.org/x/mod that knows the address of a log.
type overHTTP struct {
	t *testing.T
	s *site
}

func (overHTTP) Height() int { return 8 }

func (c overHTTP) ReadTiles(tiles []xtlog.Tile) (all [][]byte, err error) {
	for _, tile := range tiles {
		// The paths of sumdb, but for the height in front.
		path, ok := strings.CutPrefix(tile.Path(), "tile/8/")
		if !ok {
			return nil, errors.New(tile.Path())
		}
		all = append(all, c.s.file(c.t, "/log/tile/"+path))
	}
	return all, nil
}

func (overHTTP) SaveTiles([]xtlog.Tile, [][]byte) {}

// tree opens the checkpoint that is served now.
func (c overHTTP) tree(key note.Verifier) xtlog.Tree {
	c.t.Helper()
	n, err := note.Open(c.s.file(c.t, "/log/checkpoint"), note.VerifierList(key))
	if err != nil {
		c.t.Fatal(err)
	}
	checkpoint, err := proof.ParseCheckpoint(n.Text)
	if err != nil {
		c.t.Fatal(err)
	}
	return xtlog.Tree{N: int64(checkpoint.Size), Hash: checkpoint.Root}
}

// othersVerify holds the log against receipts and an older tree. What verifies
// here is golang.org/x/mod alone, over HTTP: the checkpoint's signature, tiles,
// inclusion and consistency.
func (s *site) othersVerify(t *testing.T, key string, old xtlog.Tree, receipts ...proof.Receipt) xtlog.Tree {
	t.Helper()
	verifier, err := note.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	c := overHTTP{t, s}
	now := c.tree(verifier)
	hashes := xtlog.TileHashReader(now, c)
	for _, r := range receipts {
		index := int64(r.Leaf)
		inclusion, err := xtlog.ProveRecord(now.N, index, hashes)
		if err != nil {
			t.Fatal(err)
		}
		if err := xtlog.CheckRecord(inclusion, now.N, now.Hash, index, xtlog.RecordHash(r.Event.Bytes())); err != nil {
			t.Errorf("leaf %d: %v", index, err)
		}
	}
	if old.N == 0 {
		return now
	}
	consistency, err := xtlog.ProveTree(now.N, old.N, hashes)
	if err != nil {
		t.Fatal(err)
	}
	if err := xtlog.CheckTree(consistency, now.N, now.Hash, old.N, old.Hash); err != nil {
		t.Error(err)
	}
	return now
}

func TestOthersVerifyTheLogOfASite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _ := up(t, dir)
	key := keysOf(t, dir)[0].Text
	for i := range 300 {
		s.record(t, fmt.Sprintf("estate-%d", i))
	}
	first := s.receipt(t, s.record(t, "the last of the first"))
	old := s.othersVerify(t, key, xtlog.Tree{}, first)
	latest := s.receipt(t, s.record(t, "another"))
	if now := s.othersVerify(t, key, old, first, latest); now.N <= old.N || old.N < 300 {
		t.Fatalf("%d leaves, then %d", old.N, now.N)
	}

	resp, err := http.Get(s.url + "/log/checkpoint")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.Header.Get("Content-Type") != "text/plain; charset=utf-8" || resp.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("headers %v", resp.Header)
	}
	for _, path := range []string{"/log/", "/log/lock", "/log/mark", "/log/.state/treeState", "/log/tile/entries/009"} {
		resp, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		if _ = resp.Body.Close(); resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, resp.Status)
		}
	}
}

func TestARotationOfTheLogsKeyIsInTheTrail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, down := up(t, dir)
	first := keysOf(t, dir)
	old := s.receipt(t, s.record(t, "before"))
	down()
	rotation, err := tlog.RotateKey(filepath.Join(dir, "keys", logKey))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 { // it is recorded once, however often the log starts
		s, down = up(t, dir)
		v, findings := first.Receipt(s.receipt(t, s.record(t, fmt.Sprint("after", i))))
		if len(findings) > 0 || v.Key.Text != rotation.New.Text {
			t.Fatalf("whoever knows the first key finds %v; it is signed by %s", findings, v.Key.Text)
		}
		e, err := proof.ParseExtension(s.file(t, fmt.Sprintf("/api/v1/ledger/extension?old=%d", old.Leaf+1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, findings := first.Extension(old.Checkpoint, old.Rotations, e); len(findings) > 0 {
			t.Fatalf("found %v", findings)
		}
		var page struct {
			Items []struct {
				Type string
				Data struct{ Old, New, Note string }
			}
		}
		s.get(t, "/ledger/streams/log-keys", &page)
		if len(page.Items) != 1 || page.Items[0].Type != "log-key-rotated.v1" || page.Items[0].Data.New != rotation.New.Text || page.Items[0].Data.Old != rotation.Old.Text {
			t.Fatalf("recorded %+v", page.Items)
		}
		if _, err := proof.ParseRotation(page.Items[0].Data.Note); err != nil {
			t.Error(err)
		}
		down()
	}
}

// ends runs a system on a directory until it gives up, and returns why.
func ends(t *testing.T, dir string) error {
	t.Helper()
	s, err := Open(t.Context(), Options{Dir: dir, Clock: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = s.Run(ctx, func(context.Context) error { return nil })
	if closing := s.Close(); closing != nil {
		t.Error(closing)
	}
	return err
}

func TestALedgerThatEndsBeforeItsLogStopsAndSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, down := up(t, dir)
	s.record(t, "kept")
	down()
	if err := os.CopyFS(filepath.Join(dir, "older"), os.DirFS(filepath.Join(dir, "ledger"))); err != nil {
		t.Fatal(err)
	}
	s, down = up(t, dir)
	s.receipt(t, s.record(t, "lost"))
	down()
	for _, name := range []string{"ledger", "read"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "older"), filepath.Join(dir, "ledger")); err != nil {
		t.Fatal(err)
	}
	err := ends(t, dir)
	if !errors.Is(err, tlog.ErrGoesBack) || !strings.Contains(err.Error(), "refuses to sign a log that would go back") {
		t.Fatalf("it ended with %v", err)
	}
}

func TestARestoredSystemBeginsANewLog(t *testing.T) {
	t.Parallel()
	p := newPlaces(t)
	s, down := up(t, p.data)
	kept := s.record(t, "kept")
	old, first := s.receipt(t, kept), keysOf(t, p.data)
	down()
	p.backup(t)
	if _, err := p.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, down := up(t, p.again)
	again.record(t, "later")
	r, second := again.receipt(t, kept), keysOf(t, p.again)
	if _, findings := second.Receipt(r); len(findings) > 0 || r.Event != old.Event {
		t.Errorf("by its own key is found %v", findings)
	}
	if _, findings := first.Receipt(r); len(findings) != 1 || findings[0].Code != proof.WrongKey || second[0].Name() == first[0].Name() {
		t.Errorf("by the old key is found %v", findings)
	}
	down()
}

func TestASystemThatMovesTakesItsLogAlong(t *testing.T) {
	t.Parallel()
	p := newPlaces(t)
	s, down := up(t, p.data)
	old, keys := s.receipt(t, s.record(t, "kept")), keysOf(t, p.data)
	down()
	if _, err := tlog.RotateKey(filepath.Join(p.data, "keys", logKey)); err != nil {
		t.Fatal(err)
	}
	first := p
	first.dest = filepath.Join(t.TempDir(), "backup")
	first.backup(t)
	if _, err := tlog.RotateKey(filepath.Join(p.data, "keys", logKey)); err != nil {
		t.Fatal(err)
	}
	p.backup(t) // the directory of keys holds both versions of the key file
	c := restoreCmd{Data: p.again, Source: p.dest, Keys: p.keys, Log: true}
	if _, err := c.restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, down = up(t, p.again)
	r := s.receipt(t, s.record(t, "there"))
	if _, findings := keys.Receipt(r); len(findings) > 0 || len(r.Rotations) != 2 {
		t.Errorf("found %v, %d rotations", findings, len(r.Rotations))
	}
	e, err := proof.ParseExtension(s.file(t, fmt.Sprintf("/api/v1/ledger/extension?old=%d", old.Leaf+1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, findings := keys.Extension(old.Checkpoint, nil, e); len(findings) > 0 {
		t.Errorf("found %v", findings)
	}
	down()

	// One that ran may have signed more since.
	m, err := readManifest(p.dest)
	if err != nil || m.Running {
		t.Fatal(m.Running, err)
	}
	m.Running = true
	if err := writeWhole(filepath.Join(p.dest, manifestFile), m); err != nil {
		t.Fatal(err)
	}
	c.Data = filepath.Join(t.TempDir(), "third")
	if _, err := c.restore(t.Context()); err == nil || !strings.Contains(err.Error(), "leave --log out") {
		t.Errorf("restored with %v", err)
	}
}
