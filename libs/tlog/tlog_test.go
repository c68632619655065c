package tlog_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/tlog"
)

var (
	leaves = flag.Int("leaves", 5000, "how many leaves fsck is given")
	keep   = flag.String("keep", "", "a directory to leave that log in, for another fsck")
)

const origin = "yimu.example/log"

// ours are the streams that are logged.
var ours = []string{"a-", "b-"}

// ledger is a store and what was written to it.
type ledger struct {
	*pebblestore.Store
	t testing.TB
	n int
}

// newLedger opens a store whose clock goes by events, so that two that are
// written alike are alike.
func newLedger(t testing.TB) *ledger {
	t.Helper()
	l := &ledger{t: t}
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	var err error
	l.Store, err = pebblestore.Open(pebblestore.Config{Dir: "ledger", FS: vfs.NewMem(), CacheSize: 4 << 20, Clock: func() time.Time {
		return now.Add(time.Duration(l.n) * time.Second)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// event is the i-th event of every ledger; in turn in two streams.
func event(i int) (stream string, revision uint64, e es.Proposed) {
	return []string{"a-1", "b-1"}[i%2], uint64(i / 2), es.Proposed{
		ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, i)), Type: "thing.v1", Data: fmt.Appendf(nil, `{"n":%d}`, i),
		Meta: fmt.Appendf(nil, `{"happened":"2026-03-01T08:00:00Z","n":%d}`, i),
	}
}

// write appends the next n events, each in a commit of its own.
func (l *ledger) write(n int) {
	l.t.Helper()
	for range n {
		stream, revision, e := event(l.n)
		l.put(stream, revision, e)
	}
}

func (l *ledger) put(stream string, revision uint64, events ...es.Proposed) {
	l.t.Helper()
	if _, err := l.Append(l.t.Context(), stream, revision, events...); err != nil {
		l.t.Fatal(err)
	}
	l.n += len(events)
}

// foreign appends events that are not logged.
func (l *ledger) foreign(n int) {
	l.t.Helper()
	for range n {
		if _, err := l.Append(l.t.Context(), "foreign-"+uuid.NewString(), 0, es.Proposed{ID: uuid.New(), Type: "foreign.v1"}); err != nil {
			l.t.Fatal(err)
		}
	}
}

// fill appends n events quickly.
func (l *ledger) fill(n int) {
	l.t.Helper()
	for ; n > 0; n -= min(n, 1000) {
		events := make([]es.Proposed, min(n, 1000))
		for i := range events {
			_, _, events[i] = event(l.n + i)
		}
		l.put(fmt.Sprintf("a-%d", l.n+1000), 0, events...)
	}
}

// expected is the root of the first n events, by golang.org/x/mod alone.
func (l *ledger) expected(n uint64) xtlog.Hash {
	l.t.Helper()
	var stored []xtlog.Hash
	read := xtlog.HashReaderFunc(func(indexes []int64) ([]xtlog.Hash, error) {
		all := make([]xtlog.Hash, len(indexes))
		for i, x := range indexes {
			all[i] = stored[x]
		}
		return all, nil
	})
	size := uint64(0)
	for e, err := range l.ReadAll(l.t.Context(), 0, ours...) {
		if err != nil {
			l.t.Fatal(err)
		}
		if size == n {
			break
		}
		more, err := xtlog.StoredHashes(int64(size), proof.LeafOf(e).Bytes(), read)
		if err != nil {
			l.t.Fatal(err)
		}
		stored, size = append(stored, more...), size+1
	}
	if size != n {
		l.t.Fatalf("the ledger has %d events, want %d", size, n)
	}
	root, err := xtlog.TreeHash(int64(n), read)
	if err != nil {
		l.t.Fatal(err)
	}
	return root
}

// place is where a log is.
type place struct {
	t        testing.TB
	dir, key string
}

func newPlace(t testing.TB) place {
	return place{t, filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "log.key")}
}

func (p place) open() *tlog.Log {
	p.t.Helper()
	l, err := tlog.Open(tlog.Config{Dir: p.dir, KeyFile: p.key, Origin: origin, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

// appending is a log that runs.
type appending struct {
	*tlog.Log
	t    testing.TB
	stop context.CancelFunc
	done chan error
}

func (p place) run(store es.Store) *appending {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	a := &appending{p.open(), p.t, cancel, make(chan error, 1)}
	go func() {
		a.done <- a.Run(ctx, store, ours, func(context.Context) error { return nil })
		close(a.done)
	}()
	p.t.Cleanup(func() { a.stop(); <-a.done })
	return a
}

// reach waits until so many leaves are signed, and holds them against the ledger.
func (a *appending) reach(l *ledger, size uint64) proof.Checkpoint {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), 30*time.Second)
	defer cancel()
	_, c, err := a.Await(ctx, size)
	if err != nil {
		select {
		case err = <-a.done:
		default:
		}
		a.t.Fatalf("%d leaves are signed, want %d: %v", c.Size, size, err)
	}
	if c.Size != size || c.Root != l.expected(size) || c.Origin != origin {
		a.t.Fatalf("signed %+v, want %d leaves", c, size)
	}
	return c
}

// end stops it and returns what Run returned.
func (a *appending) end() error {
	a.t.Helper()
	a.stop()
	return a.wait()
}

func (a *appending) wait() error {
	a.t.Helper()
	select {
	case err := <-a.done:
		return err
	case <-time.After(30 * time.Second):
		a.t.Fatal("it does not end")
		return nil
	}
}

func (a *appending) finish() {
	a.t.Helper()
	if err := a.end(); err != nil {
		a.t.Fatal(err)
	}
}

func (p place) size() uint64 {
	p.t.Helper()
	_, c, err := p.open().Checkpoint()
	if err != nil {
		p.t.Fatal(err)
	}
	return c.Size
}

func TestEveryEventBecomesALeafInItsOrder(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	l.write(300)
	l.foreign(2)
	a := p.run(l)
	a.reach(l, 300)
	l.foreign(1)
	l.write(7)
	c := a.reach(l, 307)
	n := uint64(0)
	for e, err := range l.ReadAll(t.Context(), 0, ours...) {
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := a.Leaf(c, n)
		if err != nil || leaf != proof.LeafOf(e) {
			t.Fatalf("leaf %d is %+v, %v, want that of %s@%d", n, leaf, err, e.Stream, e.Revision)
		}
		n++
	}
	if _, err := a.Leaf(c, 307); err == nil {
		t.Error("there is a leaf after the last one")
	}
}

func TestALogGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	for i, n := range []int{1, 255, 1, 0, 600, 2, 3000} {
		l.write(n) // while nobody appends: the process ended between store and log
		a := p.run(l)
		l.write(i)
		a.reach(l, uint64(l.n))
		a.finish()
	}
}

func TestTwoInstancesNeverForkALog(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	running := []*appending{p.run(l), p.run(l), p.run(l)}
	for len(running) > 0 {
		for range 5 {
			l.write(40)
			running[0].reach(l, uint64(l.n)) // any of them tells
		}
		for _, a := range running {
			select {
			case err := <-a.done:
				t.Fatalf("one ended: %v", err)
			default:
			}
		}
		running[0].finish()
		running = running[1:]
	}
	if n := p.size(); n != 600 {
		t.Fatalf("%d leaves of 600 events", n)
	}
}

// TestACrashAtAnyMomentLosesAndDoublesNothing copies the directory while the log
// is written, the checkpoint first, as a process that is killed would leave it:
// what is signed is always on disk already, and after it may stand anything.
func TestACrashAtAnyMomentLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	a := p.run(l)
	a.reach(l, 0)
	var writing sync.WaitGroup
	writing.Go(func() {
		for range 40 {
			l.write(50)
		}
	})
	var images []string
	for len(images) < 25 {
		image := filepath.Join(t.TempDir(), "log")
		if err := os.MkdirAll(image, 0o700); err != nil {
			t.Fatal(err)
		}
		copyFile(t, filepath.Join(p.dir, "checkpoint"), filepath.Join(image, "checkpoint"))
		copyTree(t, p.dir, image)
		images = append(images, image)
	}
	writing.Wait()
	whole := a.reach(l, 2000)
	a.finish()
	for _, image := range images {
		before := place{t, image, p.key}.size()
		again := place{t, image, p.key}.run(l)
		c := again.reach(l, 2000)
		if c != whole {
			t.Fatalf("after a crash at %d leaves the log is %+v, want %+v", before, c, whole)
		}
		again.finish()
		check(t, place{t, image, p.key})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return // it was there when the folder was listed
	}
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o700)
	}
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// copyTree copies what is not there yet, temporary files included.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // it was there when its folder was listed
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(to, rel)); err == nil {
			return nil
		}
		copyFile(t, path, filepath.Join(to, rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// check lets tessera's fsck judge a log.
func check(t *testing.T, p place) {
	t.Helper()
	keys, err := tlog.PublicKeys(p.key)
	if err != nil {
		t.Fatal(err)
	}
	if err := fsckOf(p.dir, keys[0]).Check(t.Context()); err != nil {
		t.Fatalf("fsck: %v", err)
	}
}

func fsckOf(dir string, key note.Verifier) *fsck.Fsck {
	return fsck.New(origin, key, client.FileFetcher{Root: dir}, bundleHashes, fsck.Opts{N: 2})
}

func bundleHashes(bundle []byte) (all [][]byte, err error) {
	var b api.EntryBundle
	err = b.UnmarshalText(bundle)
	for _, e := range b.Entries {
		all = append(all, rfc6962.DefaultHasher.HashLeaf(e))
	}
	return all, err
}

func TestFsckAcceptsALogOfOurs(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	if *keep != "" {
		p.dir, p.key = filepath.Join(*keep, "log"), filepath.Join(*keep, "log.key")
	}
	l.fill(*leaves)
	start := time.Now()
	a := p.run(l)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if _, _, err := a.Await(ctx, uint64(*leaves)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d leaves in %s", *leaves, time.Since(start).Round(time.Millisecond))
	a.finish()
	check(t, p)
	if *keep != "" {
		keys, err := tlog.PublicKeys(p.key)
		if err == nil {
			err = os.WriteFile(p.key+".pub", []byte(keys[0].Text+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}

	// It is not one that accepts anything.
	bundle := filepath.Join(p.dir, "tile/entries/000")
	b, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	b[40] ^= 1
	if err := os.WriteFile(bundle, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if fsckOf(p.dir, p.open().Keys()[0]).Check(t.Context()) == nil {
		t.Error("a changed leaf was accepted")
	}
}

func TestOthersVerifyWhatIsServed(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	l.fill(3000)
	a := p.run(l)
	a.reach(l, 3000)
	old, _, err := a.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	l.fill(77)
	c := a.reach(l, 3077)

	// A client that knows the key and the address, of golang.org/x/mod.
	server := httptest.NewServer(a.Handler("/log/"))
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/log/")
	if err != nil {
		t.Fatal(err)
	}
	fetch, err := client.NewHTTPFetcher(u, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := fetch.ReadCheckpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(a.Keys()[0].Text)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		t.Fatal(err)
	}
	tree := xtlog.Tree{N: 3077, Hash: l.expected(3077)}
	for _, index := range []uint64{0, 255, 256, 2999, 3000, 3076} {
		p, err := a.Inclusion(c, index)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := a.Leaf(c, index)
		if err != nil {
			t.Fatal(err)
		}
		if err := xtlog.CheckRecord(hashes(p), tree.N, tree.Hash, int64(index), xtlog.RecordHash(leaf.Bytes())); err != nil {
			t.Errorf("leaf %d: %v", index, err)
		}
	}
	for _, size := range []uint64{1, 256, 2048, 3000, 3076} {
		root, p, err := a.Extension(c, size)
		if err != nil || xtlog.Hash(root) != l.expected(size) {
			t.Fatalf("root of %d is %s, %v", size, root, err)
		}
		if err := xtlog.CheckTree(hashes(p), tree.N, tree.Hash, int64(size), xtlog.Hash(root)); err != nil {
			t.Errorf("consistency of %d: %v", size, err)
		}
	}

	// And tessera's, which follows the log from an older checkpoint.
	tracker, err := client.NewLogStateTracker(t.Context(), fetch.ReadTile, []byte(old), verifier, origin, client.UnilateralConsensus(fetch.ReadCheckpoint))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := tracker.Update(t.Context()); err != nil || tracker.Latest().Size != 3077 {
		t.Fatalf("at %d: %v", tracker.Latest().Size, err)
	}
	f := fsck.New(origin, verifier, fetch, bundleHashes, fsck.Opts{N: 2})
	if err := f.Check(t.Context()); err != nil {
		t.Fatalf("fsck over HTTP: %v", err)
	}
}

func hashes(all []proof.Hash) (out []xtlog.Hash) {
	for _, h := range all {
		out = append(out, xtlog.Hash(h))
	}
	return out
}

func TestOnlyTheSignedTreeIsServed(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	l.write(300)
	a := p.run(l)
	a.reach(l, 300)
	a.finish()
	// A bundle that nobody signed.
	unsigned := filepath.Join(p.dir, "tile/entries/001.p/200")
	if err := os.WriteFile(unsigned, []byte("unsigned"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := a.Handler("/log/")
	get := func(method, path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w
	}
	for path, cache := range map[string]string{
		"/log/checkpoint":            "no-cache",
		"/log/tile/0/000":            "public, max-age=31536000, immutable",
		"/log/tile/0/001.p/44":       "public, max-age=31536000, immutable",
		"/log/tile/1/000.p/1":        "public, max-age=31536000, immutable",
		"/log/tile/entries/000":      "public, max-age=31536000, immutable",
		"/log/tile/entries/001.p/44": "public, max-age=31536000, immutable",
	} {
		r := get(http.MethodGet, path)
		if r.Code != http.StatusOK || r.Header().Get("Cache-Control") != cache {
			t.Errorf("%s is %d, %q", path, r.Code, r.Header().Get("Cache-Control"))
		}
	}
	for _, path := range []string{
		"/log/", "/log/lock", "/log/mark", "/log/.state/treeState", "/log/tile", "/log/tile/0", "/log/tile/entries/001.p/200", "/log/tile/entries/001",
		"/log/tile/entries/002.p/1", "/log/tile/0/0", "/log/tile/00/000", "/log/tile/9/000", "/log/tile/2/000.p/1", "/log/tile/0/x000/000", "/log/tile/0/000.p/300",
		"/log/tile/../checkpoint", "/log/tile/entries/../../lock", "/log/tile/63/000", "/log/tile/0/x999/x999/x999/x999/x999/x999/999",
	} {
		r := get(http.MethodGet, path)
		if r.Code != http.StatusNotFound || r.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s is %d, %q", path, r.Code, r.Header().Get("Cache-Control"))
		}
	}
	if r := get(http.MethodPost, "/log/checkpoint"); r.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST is %d", r.Code)
	}
}

// TestAStoreThatIsNotWhatWasSignedStopsTheLog starts a log of 700 events on
// another store, and holds that it signs nothing and says what is wrong.
func TestAStoreThatIsNotWhatWasSignedStopsTheLog(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		write func(*ledger)
		says  string
	}{
		{"shorter", func(l *ledger) { l.write(699) }, "has 699 events and 700 are signed"},
		{"empty", func(*ledger) {}, "has 0 events and 700 are signed"},
		{"shorter, and then written to again", func(l *ledger) {
			l.write(690)
			for i := range 20 {
				_, _, e := event(5000 + i)
				l.put("a-2", uint64(i), e)
			}
		}, "leaf 690 is a-1 at revision 345, and in its place the ledger has a-2 at revision 0"},
		{"changed in its last event", func(l *ledger) {
			l.write(699)
			stream, revision, e := event(699)
			e.Data = []byte(`{"n":1000000}`)
			l.put(stream, revision, e)
		}, "leaf 699, b-1 at revision 349, was signed with other content"},
		{"in another order", func(l *ledger) {
			l.write(698)
			for _, i := range []int{699, 698} {
				stream, revision, e := event(i)
				l.put(stream, revision, e)
			}
		}, "leaf 698 is a-1 at revision 349, and in its place the ledger has b-1 at revision 349"},
		{"with one more in the middle", func(l *ledger) {
			l.write(695)
			_, _, e := event(5000)
			l.put("a-2", 0, e)
			for i := 695; i < 700; i++ {
				stream, revision, e := event(i)
				l.put(stream, revision, e)
			}
		}, "leaf 695 is b-1 at revision 347, and in its place the ledger has a-2 at revision 0"},
	} {
		for _, marked := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/marked=%t", c.what, marked), func(t *testing.T) {
				t.Parallel()
				l, p := newLedger(t), newPlace(t)
				l.write(680)
				a := p.run(l)
				a.reach(l, 680)
				l.write(20)
				a.reach(l, 700)
				a.finish()
				before, err := os.ReadFile(filepath.Join(p.dir, "checkpoint"))
				if err != nil {
					t.Fatal(err)
				}
				if !marked {
					if err := os.Remove(filepath.Join(p.dir, "mark")); err != nil {
						t.Fatal(err)
					}
				}
				other := newLedger(t)
				c.write(other)
				err = p.run(other).wait()
				if !errors.Is(err, tlog.ErrGoesBack) || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("ended with %v, want %q", err, c.says)
				}
				if after, err := os.ReadFile(filepath.Join(p.dir, "checkpoint")); err != nil || !bytes.Equal(before, after) {
					t.Fatalf("the checkpoint became %s, %v", after, err)
				}
				// With the store that belongs to it it goes on.
				l.write(1)
				p.run(l).reach(l, 701)
			})
		}
	}
}

func TestALogIsFoundInAStoreThatWasMoved(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	l.write(680)
	a := p.run(l)
	a.reach(l, 680)
	l.write(20)
	a.reach(l, 700)
	a.finish()
	moved := newLedger(t) // with the same events at other positions
	moved.foreign(9)
	moved.write(705)
	p.run(moved).reach(moved, 705)
}

func TestALogIsMadeAgainFromItsStoreAndKey(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	l.write(400)
	a := p.run(l)
	before := a.reach(l, 400)
	a.finish()
	if err := os.RemoveAll(p.dir); err != nil {
		t.Fatal(err)
	}
	again := p.run(l)
	if c := again.reach(l, 400); c != before {
		t.Fatalf("it is %+v, was %+v", c, before)
	}
}

// damage does something to the tree of 300 leaves.
var damage = map[string]func(dir string) error{
	"no tree":             func(dir string) error { return os.RemoveAll(filepath.Join(dir, "tile")) },
	"no tile":             func(dir string) error { return os.Remove(filepath.Join(dir, "tile/0/001.p/44")) },
	"no tile of a level":  func(dir string) error { return os.RemoveAll(filepath.Join(dir, "tile/1")) },
	"a tile that is torn": func(dir string) error { return os.Truncate(filepath.Join(dir, "tile/0/001.p/44"), 100) },
	"a tile with another hash": func(dir string) error {
		return flip(filepath.Join(dir, "tile/0/001.p/44"), 32*43)
	},
	"a leaf that is torn": func(dir string) error { return os.Truncate(filepath.Join(dir, "tile/entries/001.p/44"), 5000) },
	"a leaf with other content": func(dir string) error {
		return flip(filepath.Join(dir, "tile/entries/001.p/44"), 40)
	},
	"what another attempt left": func(dir string) error {
		return errors.Join(os.Rename(filepath.Join(dir, "tile"), filepath.Join(dir, "damaged")), os.MkdirAll(filepath.Join(dir, "remade/tile/0/000"), 0o755))
	},
}

func flip(name string, at int) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b[at] ^= 1
	return os.WriteFile(name, b, 0o600)
}

// threeHundred is a log of so many leaves that has ended.
func threeHundred(t *testing.T) (*ledger, place) {
	t.Helper()
	l, p := newLedger(t), newPlace(t)
	l.write(280)
	a := p.run(l)
	a.reach(l, 280)
	l.write(20)
	a.reach(l, 300)
	a.finish()
	return l, p
}

func TestADamagedTreeIsMadeAgain(t *testing.T) {
	t.Parallel()
	for what, damage := range damage {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l, p := threeHundred(t)
			if err := damage(p.dir); err != nil {
				t.Fatal(err)
			}
			a := p.run(l)
			l.write(1)
			a.reach(l, 301)
			a.finish()
			check(t, p)
			for _, left := range []string{"remade", "damaged"} {
				if _, err := os.Stat(filepath.Join(p.dir, left)); err == nil {
					t.Errorf("%s is left", left)
				}
			}
		})
	}
}

// A tree of three levels, made without tessera, to the byte.
func TestATreeThatIsMadeAgainIsTheSame(t *testing.T) {
	t.Parallel()
	const size = 256*256 + 300
	l, p := newLedger(t), newPlace(t)
	l.fill(size)
	a := p.run(l)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, _, err := a.Await(ctx, size); err != nil {
		t.Fatal(err)
	}
	a.finish()
	was := filepath.Join(t.TempDir(), "tile")
	if err := os.Rename(filepath.Join(p.dir, "tile"), was); err != nil {
		t.Fatal(err)
	}
	again := p.run(l)
	l.fill(1)
	again.reach(l, size+1)
	files := 0
	err := fs.WalkDir(os.DirFS(was), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		is, err := os.ReadFile(filepath.Join(p.dir, "tile", name))
		if errors.Is(err, fs.ErrNotExist) && strings.Contains(name, ".p/") {
			return nil // of a tree that was smaller
		}
		if err != nil {
			return err
		}
		files++
		want, err := os.ReadFile(filepath.Join(was, name))
		if err == nil && !bytes.Equal(is, want) {
			err = fmt.Errorf("%s differs", name)
		}
		return err
	})
	if err != nil || files < 2*257 {
		t.Fatalf("%d files, %v", files, err)
	}
}

func TestATreeIsNotMadeAgainFromAStoreThatIsNotWhatWasSigned(t *testing.T) {
	t.Parallel()
	_, p := threeHundred(t)
	if err := damage["no tree"](p.dir); err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]int{"shorter": 299, "another": 300} {
		other := newLedger(t)
		if what == "another" {
			other.put("a-9", 0, es.Proposed{ID: uuid.New(), Type: "other.v1"})
			n--
		}
		other.fill(n)
		if err := p.run(other).wait(); !errors.Is(err, tlog.ErrGoesBack) {
			t.Errorf("from one that is %s: %v", what, err)
		}
		if size := p.size(); size != 300 {
			t.Errorf("from one that is %s: it has %d leaves", what, size)
		}
	}
}

func TestALogWithoutACheckpointOrOfAnotherVersionStops(t *testing.T) {
	t.Parallel()
	for says, damage := range map[string]func(dir string) error{
		"has lost its checkpoint": func(dir string) error { return os.Remove(filepath.Join(dir, "checkpoint")) },
		"version":                 func(dir string) error { return os.WriteFile(filepath.Join(dir, ".state/version"), []byte("2"), 0o600) },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			l, p := threeHundred(t)
			if err := damage(p.dir); err != nil {
				t.Fatal(err)
			}
			if err := p.run(l).wait(); err == nil || !strings.Contains(err.Error(), says) {
				t.Fatalf("ended with %v, want %q", err, says)
			}
		})
	}
}

func TestWhatWasNotSignedIsMadeAgain(t *testing.T) {
	t.Parallel()
	for what, damage := range map[string]func(dir string) error{
		"no state of the tree":     func(dir string) error { return os.Remove(filepath.Join(dir, ".state/treeState")) },
		"no state at all":          func(dir string) error { return os.RemoveAll(filepath.Join(dir, ".state")) },
		"a torn state of the tree": func(dir string) error { return os.Truncate(filepath.Join(dir, ".state/treeState"), 5) },
		"a torn mark":              func(dir string) error { return os.Truncate(filepath.Join(dir, "mark"), 5) },
		"leaves nobody signed": func(dir string) error {
			return errors.Join(
				os.WriteFile(filepath.Join(dir, "tile/entries/001.p/45"), []byte("torn"), 0o600),
				os.WriteFile(filepath.Join(dir, "tile/0/001.p/45"), []byte("torn"), 0o600),
				os.WriteFile(filepath.Join(dir, "tile/entries/001"), []byte("torn"), 0o600),
				os.WriteFile(filepath.Join(dir, ".state/treeState"), []byte(`{"size":512,"root":"AAAA"}`), 0o600),
			)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			l, p := newLedger(t), newPlace(t)
			l.write(280)
			a := p.run(l)
			a.reach(l, 280)
			l.write(20)
			a.reach(l, 300)
			a.finish()
			if err := damage(p.dir); err != nil {
				t.Fatal(err)
			}
			l.write(300)
			again := p.run(l)
			again.reach(l, 600)
			again.finish()
			check(t, p)
		})
	}
}

func TestNothingIsSignedThatAnotherProcessAppended(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	l.write(10)
	a := p.run(l)
	a.reach(l, 10)
	// Somebody who does not care for locks.
	private, _, err := note.GenerateKey(rand.Reader, "intruder")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	driver, err := posix.New(t.Context(), posix.Config{Path: p.dir})
	if err != nil {
		t.Fatal(err)
	}
	intruder, _, _, err := tessera.NewAppender(t.Context(), driver, tessera.NewAppendOptions().
		WithCheckpointSigner(signer).WithBatching(1, time.Millisecond).WithCheckpointInterval(time.Hour).WithCheckpointRepublishInterval(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := intruder.Add(t.Context(), tessera.NewEntry([]byte("a vote for me")))(); err != nil {
		t.Fatal(err)
	}
	if err := a.wait(); !errors.Is(err, tlog.ErrGoesBack) {
		t.Fatalf("ended with %v", err)
	}
	if n := p.size(); n != 10 {
		t.Fatalf("%d leaves are signed", n)
	}
	l.write(5)
	p.run(l).reach(l, 15) // what nobody signed is dropped
}

func TestAKeyIsMadeOnceAndGuarded(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	first := p.open().Keys()[0].Text
	info, err := os.Stat(p.key)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	if again := p.open().Keys()[0].Text; again != first {
		t.Fatalf("the key became %s", again)
	}
	open := func() error {
		_, err := tlog.Open(tlog.Config{Dir: p.dir, KeyFile: p.key, Origin: origin, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			return errors.New("no error")
		}
		return err
	}
	if _, err := tlog.PublicKeys(p.dir); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("of a directory is said %v", err)
	}
	for _, mode := range []fs.FileMode{0o644, 0o604, 0o660, 0o666} {
		if err := os.Chmod(p.key, mode); err != nil {
			t.Fatal(err)
		}
		if err := open(); !strings.Contains(err.Error(), "others could sign with it") {
			t.Errorf("mode %#o: %v", mode, err)
		}
	}
	if err := os.Chmod(p.key, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(p.key)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newPlace(t)
	if _, err := tlog.Open(tlog.Config{Dir: elsewhere.dir, KeyFile: elsewhere.key, Origin: "elsewhere", Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(elsewhere.key)
	if err != nil {
		t.Fatal(err)
	}
	for says, content := range map[string]string{
		"has no key":       "\n",
		"is damaged":       string(key[:len(key)-9]),
		"keys of two logs": string(key) + string(other),
	} {
		if err := os.WriteFile(p.key, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "PRIVATE+KEY+yimu") {
			t.Errorf("%q: %v", says, err)
		}
	}
	if err := os.WriteFile(p.key, key, 0o600); err != nil {
		t.Fatal(err)
	}

	l := newLedger(t)
	l.write(1)
	a := p.run(l)
	a.reach(l, 1)
	a.finish()
	for says, change := range map[string]func() error{
		"is missing": func() error { return os.Remove(p.key) },
		"do not belong together": func() error {
			q := newPlace(t)
			q.open()
			b, err := os.ReadFile(q.key)
			return errors.Join(err, os.WriteFile(p.key, b, 0o600))
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if err := open(); !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
		if err := os.WriteFile(p.key, key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARotatedKeySignsTogetherWithTheOldOne(t *testing.T) {
	t.Parallel()
	l, p := newLedger(t), newPlace(t)
	l.write(5)
	a := p.run(l)
	a.reach(l, 5)
	a.finish()
	before := a.Keys()
	r, err := tlog.RotateKey(p.key)
	if err != nil || r.Old.Text != before[0].Text {
		t.Fatalf("%+v, %v", r, err)
	}
	if info, err := os.Stat(p.key); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	l.write(5)
	a = p.run(l)
	a.reach(l, 10)
	signed, _, err := a.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	rotations, err := a.Rotations()
	if err != nil || len(rotations) != 1 {
		t.Fatalf("%v, %v", rotations, err)
	}
	for what, keys := range map[string]proof.Keys{"the old": before, "the new": {r.New}} {
		for _, rotations := range [][]string{nil, rotations} {
			if _, _, found := keys.Checkpoint(signed, rotations...); found != nil {
				t.Errorf("with %s key and %d rotations: %v", what, len(rotations), found)
			}
		}
	}
	a.finish()

	// The old one is removed.
	b, err := os.ReadFile(p.key)
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := bytes.Cut(b, []byte("\n"))
	if err := os.WriteFile(p.key, first, 0o600); err != nil {
		t.Fatal(err)
	}
	l.write(5)
	a = p.run(l)
	a.reach(l, 15)
	if signed, _, err = a.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	if _, _, found := before.Checkpoint(signed); found == nil || found.Code != proof.WrongKey {
		t.Errorf("found %v", found)
	}
	if _, _, found := before.Checkpoint(signed, rotations...); found != nil {
		t.Errorf("found %v", found)
	}
}
