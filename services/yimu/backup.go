package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/vault"
)

type backupCmd struct {
	Data string `help:"Directory of the system or of the store, whether it runs or not." default:"data" env:"YIMU_DATA" type:"path"`
	Keys string `help:"Directory for the key files, apart from the backup: whoever has both can read the names, and sign the transparency log. Needed where there is a vault. One directory serves all backups of a system." placeholder:"DIR" type:"path"`
	Dest string `arg:"" help:"Directory of the backup; absent or empty." type:"path"`
}

// Help is shown by yimu backup --help.
func (backupCmd) Help() string {
	return `What is backed up, in this order: the ledger; the vault; blobs and the bytes of refused commits; the transparency log.
What a commit refers to is on disk before the commit, so all of it is in the backup. Read models are not: they are
replayed from the ledger. Of a store that "yimu serve store" runs it is the ledger alone.

The system goes on meanwhile. Whatever it had acknowledged when the backup began is in it. The copy of the ledger is
read to its end, and manifest.json, written last, holds the size and the SHA-256 of every file: a directory without it
is a backup that was interrupted. Nothing is encrypted but the vault, whose key file goes to --keys, with mode 0600, and
so does that of the log, each version of it under its own name. A key that was given by --tlog-key is not copied.

Sessions and login codes are left out. A person's key that is destroyed later stays in the backups made before: who was
erased is erased there only when those are deleted.`
}

// manifestFile is the last file of a backup.
const manifestFile = "manifest.json"

// manifestFormat is that of backups this program makes, and the latest it knows.
const manifestFormat = 1

// manifest says what a backup holds.
type manifest struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the program
	Began   time.Time `json:"began"`   // everything acknowledged before is in it
	Running bool      `json:"running"` // whether the system went on meanwhile
	Ledger  reach     `json:"ledger"`
	Files   []copied  `json:"files"` // by path in the backup
	Keys    []copied  `json:"keys"`  // by path in their own directory

	// Damaged are blobs that are not what their names say and so are not here.
	Damaged []string `json:"damaged,omitempty"`
}

// reach is how far a ledger goes.
type reach struct {
	Position es.Position `json:"position"`          // of the last event
	Recorded time.Time   `json:"recorded,omitzero"` // when it was recorded
	Events   int         `json:"events"`
}

func (r reach) String() string {
	if r.Position == 0 {
		return "an empty ledger"
	}
	return fmt.Sprintf("position %d, recorded %s", r.Position, r.Recorded.Format(time.RFC3339))
}

// copied is a file of a backup.
type copied struct {
	Name   string `json:"name"` // with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Run makes a backup and says how far it reaches.
func (c *backupCmd) Run(ctx context.Context) error {
	m, err := c.backup(ctx)
	if err != nil {
		return spaced(err)
	}
	size := int64(0)
	for _, f := range m.Files {
		size += f.Size
	}
	fmt.Fprintf(os.Stderr, "The backup in %s reaches %s: %d events, %d files, %.1f MB.\n", c.Dest, m.Ledger, m.Ledger.Events, len(m.Files), float64(size)/1e6)
	if len(m.Keys) > 0 {
		fmt.Fprintf(os.Stderr, "The key files are in %s. Keep them elsewhere: without them the vault is unreadable, with them it is not.\n", c.Keys)
	}
	if len(m.Damaged) > 0 {
		return fmt.Errorf("damaged in %s, and left out: %s. If an event names such a file, put it back from an earlier backup; else delete it",
			c.Data, strings.Join(m.Damaged, ", "))
	}
	return nil
}

// spaced is the sentence of a backup or restore for a full disk.
func spaced(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk is full; nothing was left behind (%w)", err)
	}
	return err
}

func (c *backupCmd) backup(ctx context.Context) (m manifest, err error) {
	if err := c.check(); err != nil {
		return m, err
	}
	unlock, err := lockDir(c.Data)
	if err != nil {
		return m, err
	}
	defer unlock()
	discard, err := newDir(c.Dest)
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, discard())
		}
	}()

	m = manifest{Format: manifestFormat, Version: version(), Began: time.Now().UTC()}
	if m.Ledger, m.Running, err = c.copyLedger(ctx); err != nil {
		return m, err
	}
	if c.hasVault() {
		if err := vault.Backup(ctx, c.in("vault.db"), c.out("vault.db")); err != nil {
			return m, err
		}
		for _, bucket := range []string{"blobs", "refused"} {
			damaged, err := copyBlobs(ctx, c.in(bucket), c.out(bucket))
			if err != nil {
				return m, err
			}
			for _, name := range damaged {
				m.Damaged = append(m.Damaged, bucket+"/"+filepath.ToSlash(name))
			}
		}
		if err := copyLog(ctx, c.in("log"), c.out("log")); err != nil {
			return m, err
		}
		if m.Keys, err = c.copyKeys(ctx); err != nil {
			return m, err
		}
	}
	if m.Files, err = settle(ctx, c.Dest); err != nil {
		return m, err
	}
	return m, writeWhole(c.out(manifestFile), m)
}

func (c *backupCmd) in(name string) string  { return filepath.Join(c.Data, name) }
func (c *backupCmd) out(name string) string { return filepath.Join(c.Dest, name) }

func (c *backupCmd) hasVault() bool {
	_, err := os.Stat(c.in("vault.db"))
	return err == nil
}

// check says what is wrong with the directories.
func (c *backupCmd) check() error {
	if _, err := os.Stat(c.in("ledger")); err != nil {
		return fmt.Errorf("there is no ledger in %s", c.Data)
	}
	if _, err := os.Stat(c.in("keys")); err == nil && !c.hasVault() {
		return fmt.Errorf("there are keys in %s, but vault.db is missing", c.Data)
	}
	if within(c.Dest, c.Data) {
		return fmt.Errorf("%s is inside the data directory; a backup belongs elsewhere", c.Dest)
	}
	switch {
	case !c.hasVault() && c.Keys != "":
		return fmt.Errorf("there is no vault in %s and so there are no keys; leave --keys out", c.Data)
	case !c.hasVault():
		return nil
	case c.Keys == "":
		return errors.New("name a directory for the key file with --keys, apart from the backup: whoever has both can read the names of everyone")
	case within(c.Keys, c.Dest), within(c.Dest, c.Keys), within(c.Keys, c.Data):
		return fmt.Errorf("%s is not apart: keep the key file neither inside nor around the backup or the data directory", c.Keys)
	}
	return nil
}

// within says whether a path is a directory or inside it, as far as their names tell.
func within(path, dir string) bool {
	relative, err := filepath.Rel(resolved(dir), resolved(path))
	return err == nil && filepath.IsLocal(relative)
}

// resolved is a path without symbolic links, as far as it exists.
func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	if parent := filepath.Dir(path); parent != path {
		return filepath.Join(resolved(parent), filepath.Base(path))
	}
	return path
}

// lockDir keeps other backups of a data directory out until unlock.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("another backup of %s is being made", dir)
	}
	return func() { _ = f.Close() }, nil
}

// snapshot is where, in the data directory, the ledger stands still while it is
// copied.
const snapshot = "snapshot"

// takeSnapshot makes it.
func takeSnapshot(store *pebblestore.Store, data string) error {
	return store.Checkpoint(filepath.Join(data, snapshot))
}

// offerSnapshot lets the operator of a store that runs ask for it.
func offerSnapshot(wishes *http.ServeMux, store *pebblestore.Store, data string) {
	wishes.HandleFunc("POST /snapshot", wish(func(context.Context, io.Reader) (string, error) { return "", takeSnapshot(store, data) }))
}

// operator is that of the System, who may have the ledger backed up too.
func (s *Site) operator() *http.ServeMux {
	wishes := s.System.operator()
	offerSnapshot(wishes, s.ledger, s.dir)
	return wishes
}

// copyLedger copies the ledger and reads the copy to its end. It says whether a
// system runs on it.
func (c *backupCmd) copyLedger(ctx context.Context) (r reach, running bool, err error) {
	from, to := c.in(snapshot), c.out("ledger")
	if err := os.RemoveAll(from); err != nil { // of a backup that was killed
		return r, false, err
	}
	defer func() { _ = os.RemoveAll(from) }()
	_, running, err = ask(ctx, c.Data, "/snapshot", nil)
	if !running && err == nil {
		var store *pebblestore.Store
		if store, err = pebblestore.Open(pebblestore.Config{Dir: c.in("ledger"), Log: silent}); err == nil {
			err = errors.Join(takeSnapshot(store, c.Data), store.Close())
		}
	}
	if err != nil {
		return r, running, fmt.Errorf("the ledger cannot be copied: %w", err)
	}
	names, err := os.ReadDir(from)
	if err != nil {
		return r, running, err
	}
	if err := os.Mkdir(to, 0o700); err != nil {
		return r, running, err
	}
	for _, e := range names {
		if _, err := copyFile(ctx, filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return r, running, err
		}
	}
	r, err = measure(ctx, to)
	return r, running, err
}

// copyLog copies the transparency log as its checkpoint signs it, if there is
// one. The checkpoint comes first: what it is over is there before it and is
// never changed. A part that is missing was not full and has been replaced.
func copyLog(ctx context.Context, from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	_, err := copyFile(ctx, filepath.Join(from, "checkpoint"), filepath.Join(to, "checkpoint"))
	if errors.Is(err, fs.ErrNotExist) { // nothing was signed
		return nil
	}
	if err != nil {
		return err
	}
	return filepath.WalkDir(filepath.Join(from, "tile"), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		switch {
		case e.IsDir():
			return os.Mkdir(target, 0o700)
		case !e.Type().IsRegular():
			return nil
		}
		if _, err = copyFile(ctx, path, target); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

var silent = slog.New(slog.DiscardHandler)

// measure opens the ledger in a directory where nothing runs, reads every event
// of it, and says how far it goes.
func measure(ctx context.Context, dir string) (r reach, err error) {
	store, err := pebblestore.Open(pebblestore.Config{Dir: dir, Log: silent, CacheSize: 16 << 20})
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, store.Close(), os.Remove(filepath.Join(dir, "LOCK"))) }()
	for e, err := range store.ReadAll(ctx, 0) {
		if err != nil {
			return r, err
		}
		r.Events++
		r.Recorded = e.Created
	}
	r.Position = store.Head()
	return r, ctx.Err()
}

var isBlob = regexp.MustCompile(`^[0-9a-f]{64}$`)

// copyBlobs copies the blobs in a directory, each named by the hash of its
// content. Those that are not what their names say are left out: one that a
// power failure tore, before a commit could name it, must not stand in the way
// of every backup.
func copyBlobs(ctx context.Context, from, to string) (damaged []string, err error) {
	err = filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !e.Type().IsRegular() || !isBlob.MatchString(e.Name()):
			return nil // being written
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
			return err
		}
		f, err := copyFile(ctx, path, target)
		if err == nil && f.SHA256 != e.Name() {
			damaged = append(damaged, name)
			err = os.Remove(target)
		}
		return err
	})
	return damaged, err
}

// logKey is the key file of the transparency log, in the directory of keys. It
// changes when keys are rotated; each version of it is backed up under a name of
// its own.
const logKey = "log.key"

// keyName is how a key file is called where backups keep it.
func keyName(file string, content copied) string {
	if file == logKey {
		return "log-" + content.SHA256[:16] + ".key"
	}
	return file
}

// copyKeys copies the key files to their own directory. It may hold them
// already, but none of another vault.
func (c *backupCmd) copyKeys(ctx context.Context) (keys []copied, err error) {
	if err := os.MkdirAll(c.Keys, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(c.Keys, 0o700); err != nil {
		return nil, err
	}
	names, err := os.ReadDir(c.in("keys"))
	if err != nil {
		return nil, err
	}
	for _, e := range names {
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		from := filepath.Join(c.in("keys"), e.Name())
		key, err := sumFile(ctx, from)
		if err != nil {
			return nil, err
		}
		key.Name = keyName(e.Name(), key)
		to := filepath.Join(c.Keys, key.Name)
		switch there, err := sumFile(ctx, to); {
		case errors.Is(err, fs.ErrNotExist):
			_, err = copyFile(ctx, from, to)
			if err := errors.Join(err, syncPath(c.Keys), syncPath(filepath.Dir(c.Keys))); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		case there.SHA256 != key.SHA256:
			return nil, fmt.Errorf("%s is the key of another vault; name another directory with --keys", to)
		default:
			if err := os.Chmod(to, 0o600); err != nil {
				return nil, err
			}
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no key file in %s", c.in("keys"))
	}
	return keys, nil
}

// newDir makes a directory, or takes one that is empty; discard empties it again.
func newDir(dir string) (discard func() error, err error) {
	_, err = os.Stat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	if len(there) > 0 {
		return nil, fmt.Errorf("%s is not empty", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	return func() error {
		if fresh {
			return os.RemoveAll(dir)
		}
		names, err := os.ReadDir(dir)
		for _, e := range names {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
		return err
	}, nil
}

// settle waits until everything in a directory is on disk, and lists its files.
func settle(ctx context.Context, dir string) (files []copied, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := syncPath(path); err != nil {
			return err
		}
		if e.IsDir() {
			return os.Chmod(path, 0o700)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			return err
		}
		f, err := sumFile(ctx, path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		f.Name = filepath.ToSlash(name)
		files = append(files, f)
		return err
	})
	return files, errors.Join(err, syncPath(filepath.Dir(dir)))
}

// writeWhole writes a file of JSON that is there whole or not at all.
func writeWhole(path string, content any) error {
	text, err := json.MarshalIndent(content, "", "\t")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".writing-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncPath(filepath.Dir(path))
}

// copyFile copies a file to a new one of mode 0600, durably but for its name.
func copyFile(ctx context.Context, from, to string) (copied, error) {
	in, err := os.Open(from)
	if err != nil {
		return copied{}, err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return copied{}, err
	}
	f, err := sum(ctx, io.TeeReader(in, out))
	return f, errors.Join(err, out.Sync(), out.Close())
}

func sumFile(ctx context.Context, path string) (copied, error) {
	in, err := os.Open(path)
	if err != nil {
		return copied{}, err
	}
	defer func() { _ = in.Close() }()
	return sum(ctx, in)
}

// sum reads to the end, or until ctx ends.
func sum(ctx context.Context, in io.Reader) (copied, error) {
	h := sha256.New()
	n, err := io.Copy(h, until{ctx, in})
	return copied{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

type until struct {
	context.Context
	io.Reader
}

func (r until) Read(b []byte) (int, error) {
	if err := r.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// syncPath waits until a file's content, or the names in a directory, are on disk.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
