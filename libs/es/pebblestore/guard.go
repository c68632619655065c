package pebblestore

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// guard is the file system under Pebble. Pebble answers an error of writing with
// a panic, or by trying again and logging without end. So such an error is told
// to failed, and Pebble sees it only if that returns.
type guard struct {
	vfs.FS
	failed func(error)
}

func (g guard) check(op, name string, err error) {
	if err != nil {
		g.failed(fmt.Errorf("%s %s: %w", op, name, err))
	}
}

func (g guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, c)
	return g.file("create", name, f, err)
}

func (g guard) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := g.FS.OpenReadWrite(name, c, opts...)
	return g.file("open", name, f, err)
}

func (g guard) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, c)
	return g.file("create", newname, f, err)
}

func (g guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	return g.file("open", name, f, err)
}

func (g guard) Rename(oldname, newname string) error {
	err := g.FS.Rename(oldname, newname)
	g.check("rename", oldname, err)
	return err
}

func (g guard) MkdirAll(dir string, perm os.FileMode) error {
	err := g.FS.MkdirAll(dir, perm)
	g.check("create", dir, err)
	return err
}

func (g guard) Unwrap() vfs.FS { return g.FS }

func (g guard) file(op, name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		g.check(op, name, err)
		return nil, err
	}
	return &guardedFile{f, g, name}, nil
}

// guardedFile leaves alone what may fail where a file system does not support
// it: preallocation and SyncTo, which promise nothing.
type guardedFile struct {
	vfs.File
	guard guard
	name  string
}

func (f *guardedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	f.guard.check("write", f.name, err)
	return n, err
}

func (f *guardedFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	f.guard.check("write", f.name, err)
	return n, err
}

func (f *guardedFile) Sync() error {
	err := f.File.Sync()
	f.guard.check("sync", f.name, err)
	return err
}

func (f *guardedFile) SyncData() error {
	err := f.File.SyncData()
	f.guard.check("sync", f.name, err)
	return err
}

// logger takes Pebble's lines: its chatter to debug, what it calls fatal to the
// end of the store. Once the store failed it says no more.
type logger struct {
	log  *slog.Logger
	fail func(error)
	mute func() bool
}

func (l logger) Infof(format string, args ...any) {
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		l.log.Debug("pebble", slog.String("line", fmt.Sprintf(format, args...)))
	}
}

func (l logger) Errorf(format string, args ...any) {
	if !l.mute() {
		l.log.Error("pebble", slog.String("line", fmt.Sprintf(format, args...)))
	}
}

func (l logger) Fatalf(format string, args ...any) { l.fail(fmt.Errorf(format, args...)) }
