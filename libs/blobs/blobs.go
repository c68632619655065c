// Package blobs keeps what is too large for an event, under the hash of its
// content: frozen rolls, rule texts, attachments, scans. An event names the
// hash; whoever has the bytes can check them.
//
// Blobs are never changed and never deleted. The package serves nothing over
// HTTP and does not know which blobs are public.
package blobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/s3blob" // driver of s3://
	"gocloud.dev/gcerrors"
)

var (
	// ErrNotFound says that there is no blob of a hash.
	ErrNotFound = errors.New("blobs: not found")
	// ErrDamaged says that the bytes kept under a hash are others. Putting the
	// right content again repairs it.
	ErrDamaged = errors.New("blobs: damaged")
)

// Bucket is a set of blobs, safe for concurrent use, also by several processes.
type Bucket struct {
	bucket *blob.Bucket
	folder string // where the blobs are files, else empty
}

// Open opens "file:///folder", made where it is missing; "s3://bucket?region=…",
// with the standard variables of AWS and, for others than AWS, endpoint=… and
// use_path_style=true; or any other bucket for which the program has a
// gocloud.dev/blob driver.
func Open(ctx context.Context, address string) (*Bucket, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("blobs: open: not an address") // it may hold a secret
	}
	if u.Scheme != "file" {
		if !blob.DefaultURLMux().ValidBucketScheme(u.Scheme) {
			return nil, fmt.Errorf("blobs: open: no driver for %q", u.Scheme)
		}
		b, err := blob.OpenBucket(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("blobs: open: %w", err)
		}
		return &Bucket{bucket: b}, nil
	}
	folder := filepath.FromSlash(u.Host + u.Path)
	b, err := fileblob.OpenBucket(folder, &fileblob.Options{
		CreateDir: true, DirFileMode: 0o700,
		NoTempDir: true,                       // a rename within one file system is atomic
		Metadata:  fileblob.MetadataDontWrite, // the hash says all
	})
	if err != nil {
		return nil, fmt.Errorf("blobs: open: %w", err)
	}
	// The folder and those above it may be new, and a name is durable only with the folder it stands in.
	if folder, err = filepath.Abs(folder); err != nil {
		return nil, errors.Join(fmt.Errorf("blobs: open: %w", err), b.Close())
	}
	for at := folder; ; at = filepath.Dir(at) {
		if err := syncFile(at); errors.Is(err, fs.ErrPermission) {
			break // not ours to read, so not ours to make
		} else if err != nil {
			return nil, errors.Join(fmt.Errorf("blobs: open: %w", err), b.Close())
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	return &Bucket{b, folder}, nil
}

// Close ends all that is under way.
func (b *Bucket) Close() error { return b.bucket.Close() }

// Put keeps data and returns its hash, hex SHA-256. When it returns the blob
// is durable, so that a commit may name it. The same content again changes nothing.
func (b *Bucket) Put(ctx context.Context, data []byte) (hash string, err error) {
	sum := sha256.Sum256(data)
	hash = hex.EncodeToString(sum[:])
	// A look at the content, not at the name: a power loss may have left a torn file.
	if _, err := b.Get(ctx, hash); err != nil {
		if err := b.bucket.WriteAll(ctx, key(hash), data, nil); err != nil {
			return "", fmt.Errorf("blobs: put %s: %w", hash, err)
		}
	}
	if err := b.sync(hash); err != nil {
		return "", fmt.Errorf("blobs: put %s: %w", hash, err)
	}
	return hash, nil
}

// Get returns the content of a hash: ErrNotFound where there is none, also for
// what is no hash; ErrDamaged where it is not what the hash says.
func (b *Bucket) Get(ctx context.Context, hash string) ([]byte, error) {
	if !isHash.MatchString(hash) {
		return nil, ErrNotFound
	}
	data, err := b.bucket.ReadAll(ctx, key(hash))
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, fmt.Errorf("%s: %w", hash, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("blobs: get %s: %w", hash, err)
	}
	want, _ := hex.DecodeString(hash)
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], want) {
		return nil, fmt.Errorf("%s: %w", hash, ErrDamaged)
	}
	return data, nil
}

// Has says whether there is a blob of a hash; it does not read it.
func (b *Bucket) Has(ctx context.Context, hash string) (bool, error) {
	if !isHash.MatchString(hash) {
		return false, nil
	}
	ok, err := b.bucket.Exists(ctx, key(hash))
	if err != nil {
		return false, fmt.Errorf("blobs: has %s: %w", hash, err)
	}
	return ok, nil
}

var isHash = regexp.MustCompile(`^[0-9a-f]{64}$`)

// key spreads blobs over 256 folders.
func key(hash string) string { return hash[:2] + "/" + hash }

// sync waits until a file and the folders that name it are on disk. Elsewhere
// the end of writing says so already.
func (b *Bucket) sync(hash string) error {
	if b.folder == "" {
		return nil
	}
	file := filepath.Join(b.folder, filepath.FromSlash(key(hash)))
	for _, path := range []string{file, filepath.Dir(file), b.folder} {
		if err := syncFile(path); err != nil {
			return err
		}
	}
	return nil
}

// syncFile waits until a file's content, or the names in a folder, are on disk.
func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
