package pebblestore_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// holdEnv makes the test binary a process that holds the store in a directory
// until its input ends.
const holdEnv = "PEBBLESTORE_TEST_HOLD"

func TestMain(m *testing.M) {
	dir := os.Getenv(holdEnv)
	if dir == "" {
		os.Exit(m.Run())
	}
	s, err := pebblestore.Open(pebblestore.Config{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		os.Exit(1)
	}
}

func TestASecondOpenSaysWhoHoldsTheDirectory(t *testing.T) {
	refused := func(t *testing.T, dir string, pid int) {
		t.Helper()
		s, err := pebblestore.Open(pebblestore.Config{Dir: dir})
		if want := fmt.Sprintf("pebblestore: %s is in use by process %d", dir, pid); err == nil || err.Error() != want {
			t.Fatalf("opened %v, %v, want %s", s, err, want)
		}
	}
	t.Run("this process", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, pebblestore.Config{Dir: dir})
		refused(t, dir, os.Getpid())
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		open(t, pebblestore.Config{Dir: dir})
	})
	t.Run("another process", func(t *testing.T) {
		dir := t.TempDir()
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), holdEnv+"="+dir)
		in, err := c.StdinPipe()
		must(t, err)
		out, err := c.StdoutPipe()
		must(t, err)
		must(t, c.Start())
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "held\n" {
			t.Fatalf("%q, %v", line, err)
		}
		refused(t, dir, c.Process.Pid)
		refused(t, dir, c.Process.Pid) // a refused one does not break the lock
		must(t, in.Close())
		must(t, c.Wait())
		open(t, pebblestore.Config{Dir: dir})
	})
}

// What stops the disk, at which writes, and what the operator reads.
func TestADiskThatCannotBeWrittenEndsTheStoreWithASentence(t *testing.T) {
	for _, c := range []struct {
		name, files string
		err         error
		sentence    string
	}{
		{"full, for the log", ".log", syscall.ENOSPC, "the disk of store is full"},
		{"full, for tables", ".sst", syscall.ENOSPC, "the disk of store is full"},
		{"full, for all", "", syscall.ENOSPC, "the disk of store is full"},
		{"read-only", "", syscall.EROFS, "cannot write to store"},
		{"unwritable", "", os.ErrPermission, "cannot write to store"},
		{"broken, for the log", ".log", syscall.EIO, "input/output error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var broken atomic.Bool
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if broken.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose && strings.HasSuffix(op.Path, c.files) {
					return c.err
				}
				return nil
			}))
			fatal := make(chan error, 100)
			var log bytes.Buffer
			s, err := pebblestore.Open(pebblestore.Config{
				Dir: "store", FS: fs, OnFatal: func(err error) { fatal <- err },
				Log: slog.New(slog.NewTextHandler(&log, nil)),
			})
			must(t, err)
			_, err = s.Append(t.Context(), "a-1", 0, events(3)...)
			must(t, err)
			broken.Store(true)

			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			large := bytes.Repeat([]byte("x"), es.MaxEvent/2)
			for n := uint64(3); err == nil; n += 8 {
				e := events(8)
				for i := range e {
					e[i].Data = large
				}
				_, err = s.Append(ctx, "a-1", n, e...)
			}
			if !strings.Contains(err.Error(), c.sentence) {
				t.Errorf("append: %v, want %q", err, c.sentence)
			}
			if err := <-fatal; !strings.Contains(err.Error(), c.sentence) || !errors.Is(err, c.err) {
				t.Errorf("fatal: %v, want %q", err, c.sentence)
			}
			if _, err := s.Append(ctx, "b-1", 0, events(1)...); !errors.Is(err, c.err) {
				t.Errorf("append after the end: %v", err)
			}
			if n := countEvents(t, s); n < 3 {
				t.Errorf("%d events are still read", n)
			}
			if err := s.Close(); !errors.Is(err, c.err) {
				t.Errorf("close: %v", err)
			}
			if len(fatal) > 0 {
				t.Error("told twice")
			}
			if lines := strings.Count(log.String(), "\n"); lines > 3 {
				t.Errorf("%d lines of log:\n%.2000s", lines, log.String())
			}
		})
	}
}

func TestOpenSaysWhyItCannot(t *testing.T) {
	for name, c := range map[string]struct {
		kind     errorfs.OpKind
		err      error
		sentence string
	}{
		"the directory cannot be made": {errorfs.OpMkdirAll, os.ErrPermission, "pebblestore: cannot write to new/store: "},
		"no file can be made":          {errorfs.OpCreate, syscall.EROFS, "pebblestore: cannot write to new/store: "},
		"the disk is full":             {errorfs.OpFileWrite, syscall.ENOSPC, "pebblestore: the disk of new/store is full: "},
		"nothing can be synced":        {errorfs.OpFileSync, syscall.EIO, "pebblestore: new/store: "},
	} {
		t.Run(name, func(t *testing.T) {
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				if op.Kind == c.kind {
					return c.err
				}
				return nil
			}))
			_, err := pebblestore.Open(pebblestore.Config{Dir: "new/store", FS: fs, Log: slog.New(slog.DiscardHandler)})
			if err == nil || !strings.HasPrefix(err.Error(), c.sentence) || !errors.Is(err, c.err) {
				t.Errorf("got %v, want %s", err, c.sentence)
			}
		})
	}
}

func TestADamagedRecordIsAnError(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, pebblestore.Config{Dir: "store", FS: fs})
	var positions []es.Position
	for i := range uint64(4) {
		p, err := s.Append(t.Context(), "a-1", i, events(1)...)
		must(t, err)
		positions = append(positions, p)
	}
	must(t, s.Close())

	change := func(p es.Position, change func([]byte) []byte) {
		t.Helper()
		db, err := pebble.Open("store", &pebble.Options{FS: fs, Logger: silent{}})
		must(t, err)
		key := append([]byte{'e'}, 0, 0, 0, 0, 0, 0, byte(p>>8), byte(p))
		v, closer, err := db.Get(key)
		must(t, err)
		v = bytes.Clone(v)
		must(t, closer.Close())
		must(t, db.Set(key, change(v), pebble.Sync))
		must(t, db.Close())
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 4; return b }

	change(positions[1], flip)
	s = open(t, pebblestore.Config{Dir: "store", FS: fs})
	for name, read := range map[string]func(func(es.Recorded, error) bool){
		"read": s.Read(t.Context(), "a-1", 0), "read all": s.ReadAll(t.Context(), 0), "by prefix": s.ReadAll(t.Context(), 0, "b-"),
	} {
		n, failed := 0, error(nil)
		for _, err := range read {
			if failed != nil {
				t.Errorf("%s: more comes after %v", name, failed)
			}
			if failed = err; err == nil {
				n++
			}
		}
		if !errors.Is(failed, pebblestore.ErrDamaged) || n > 1 {
			t.Errorf("%s: %d events and %v, want one at most and ErrDamaged", name, n, failed)
		}
	}
	must(t, s.Close())

	change(positions[1], flip)
	change(positions[3], func(b []byte) []byte { return b[:len(b)-1] })
	if _, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: fs, Log: slog.New(slog.DiscardHandler)}); !errors.Is(err, pebblestore.ErrDamaged) {
		t.Errorf("opened with a damaged end: %v", err)
	}
}

type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

func countEvents(t *testing.T, s *pebblestore.Store) (n int) {
	t.Helper()
	for _, err := range s.ReadAll(t.Context(), 0) {
		must(t, err)
		n++
	}
	return n
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
