package blobs_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	_ "gocloud.dev/blob/memblob"

	"github.com/yimu-ledger/yimu/libs/blobs"
)

// onEach runs a test on files and on a bucket that is none.
func onEach(t *testing.T, test func(*testing.T, *blobs.Bucket)) {
	t.Helper()
	for name, address := range map[string]string{
		"file": "file://" + filepath.Join(t.TempDir(), "new", "blobs"), "s3": s3(t), "other": "mem://",
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, address)) })
	}
}

// s3 returns the address of a bucket in memory behind the protocol of S3.
func s3(t *testing.T) string {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("blobs"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	return "s3://blobs?region=test&use_path_style=true&endpoint=" + url.QueryEscape(server.URL)
}

func open(t *testing.T, address string) *blobs.Bucket {
	t.Helper()
	b, err := blobs.Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func put(t *testing.T, b *blobs.Bucket, data []byte) string {
	t.Helper()
	hash, err := b.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestABlobIsKeptUnderItsHash(t *testing.T) {
	onEach(t, func(t *testing.T, b *blobs.Bucket) {
		for _, size := range []int{0, 1, 3 << 20} {
			data := make([]byte, size)
			rand.Read(data)
			sum := sha256.Sum256(data)
			hash := put(t, b, data)
			if hash != hex.EncodeToString(sum[:]) {
				t.Fatalf("%d bytes are under %s", size, hash)
			}
			if got, err := b.Get(t.Context(), hash); err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%d bytes come back as %d, %v", size, len(got), err)
			}
			if ok, err := b.Has(t.Context(), hash); !ok || err != nil {
				t.Fatalf("Has = %v, %v", ok, err)
			}
		}
	})
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	onEach(t, func(t *testing.T, b *blobs.Bucket) {
		hash := put(t, b, []byte("here"))
		for _, other := range []string{
			"", "../secret", strings.Repeat("0", 64), strings.ToUpper(hash), hash[:63], hash + "0", hash[:2] + "/" + hash, "..%2f" + hash[:60],
		} {
			if _, err := b.Get(t.Context(), other); !errors.Is(err, blobs.ErrNotFound) {
				t.Errorf("Get(%q): %v", other, err)
			}
			if ok, err := b.Has(t.Context(), other); ok || err != nil {
				t.Errorf("Has(%q): %v, %v", other, ok, err)
			}
		}
	})
}

func TestTheSameContentIsKeptOnce(t *testing.T) {
	dir := t.TempDir()
	b := open(t, "file://"+dir)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { put(t, b, []byte("content")) })
	}
	wg.Wait()
	hash := put(t, b, []byte("content"))
	want := []string{filepath.Join(hash[:2], hash)}
	if got := files(t, dir); !slices.Equal(got, want) {
		t.Fatalf("files %v, want %v", got, want)
	}
}

func TestATornOrForeignFileIsDetectedAndRepaired(t *testing.T) {
	dir := t.TempDir()
	b := open(t, "file://"+dir)
	data := []byte("the frozen roll of a meeting")
	hash := put(t, b, data)
	file := filepath.Join(dir, hash[:2], hash)
	for name, content := range map[string][]byte{
		"empty": {}, "torn": data[:10], "zeros": make([]byte, len(data)), "foreign": []byte("something else"), "longer": append(slices.Clone(data), '!'),
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Get(t.Context(), hash); !errors.Is(err, blobs.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		put(t, b, data)
		if got, err := b.Get(t.Context(), hash); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: not repaired: %v", name, err)
		}
	}
}

func TestAFolderThatCannotBeWrittenIsAnError(t *testing.T) {
	dir := t.TempDir()
	b := open(t, "file://"+dir)
	data := []byte("data")
	sum := sha256.Sum256(data)
	// A file where the folder should be.
	if err := os.WriteFile(filepath.Join(dir, hex.EncodeToString(sum[:1])), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if hash, err := b.Put(t.Context(), data); err == nil {
		t.Fatalf("put as %s", hash)
	}
}

func TestAddressesThatAreNone(t *testing.T) {
	for _, address := range []string{"", "folder", "ftp://user:secret@host/x", "file://" + filepath.Join("/dev/null", "x"), "s3://secret\x00"} {
		if b, err := blobs.Open(t.Context(), address); err == nil {
			b.Close()
			t.Errorf("%q was opened", address)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

// files lists the files in a folder.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func BenchmarkPut(b *testing.B) {
	bucket, err := blobs.Open(b.Context(), "file://"+b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer bucket.Close()
	data := make([]byte, 64<<10)
	for b.Loop() {
		rand.Read(data[:16])
		if _, err := bucket.Put(b.Context(), data); err != nil {
			b.Fatal(err)
		}
	}
}
