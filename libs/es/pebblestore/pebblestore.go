// Package pebblestore keeps event streams in a directory, on Pebble.
//
// One goroutine writes: it takes all appends that wait, checks them, writes
// them as one batch with one fsync, and answers them all. Readers see only what
// is on disk. A position is the number of bytes of all records up to and with
// the event, so it has gaps like that of any log.
//
// The package does not check or shrink a store at rest; one process at a time
// can hold one, and [Store.Checkpoint] makes a copy meanwhile.
package pebblestore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/yimu-ledger/yimu/libs/es"
)

var (
	// ErrClosed is what a closed store answers.
	ErrClosed = errors.New("pebblestore: closed")
	// ErrDamaged says that what is on disk is not what was written there.
	ErrDamaged = errors.New("damaged record")
)

// Config of a Store. Only Dir is needed.
type Config struct {
	Dir string // where the store is; made if absent

	// FS is the file system of Dir; nil is the machine's. vfs.NewMem() makes a
	// store in memory.
	FS vfs.FS

	Clock func() time.Time // gives events their Created; nil is time.Now

	// OnFatal is called once, with a sentence for the operator, when the store
	// cannot go on: a full disk, a directory that became unwritable. Nothing is
	// appended after that, and the process should end.
	OnFatal func(error)

	Log *slog.Logger // nil is slog.Default()

	// CacheSize is about how many bytes of memory Pebble may hold; 0 is 48 MiB.
	// What was written lately takes up to three sevenths of it, 12 MiB at most.
	// Below 14 MiB what is left does not hold the index, and every append of a
	// new stream reads the disk.
	CacheSize int64
}

// Store is an es.Store in a directory. It is safe for concurrent use.
type Store struct {
	config Config
	db     *pebble.DB
	lock   io.Closer
	holder string // path of the file that says who holds the lock

	writer writer
	tail   tail
	head   atomic.Uint64 // es.Position of the last event on disk

	gate   sync.RWMutex // held for reading while Pebble is asked, for writing to close it
	closed bool
	ending chan struct{} // closed when Close begins

	opened  atomic.Bool
	failing sync.Once
	failed  chan struct{} // closed once failure is set
	failure error
}

var _ es.Store = (*Store)(nil)

// Open opens the store in a directory, or makes one. What a crash left half
// written is dropped: such events were never acknowledged and never read.
func Open(config Config) (*Store, error) {
	if config.FS == nil {
		config.FS = vfs.Default
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.CacheSize == 0 {
		config.CacheSize = 48 << 20
	}
	s := &Store{config: config, ending: make(chan struct{}), failed: make(chan struct{})}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.opened.Store(true)
	s.writer.start(s)
	if s.hasFailed() {
		return nil, s.Close()
	}
	return s, nil
}

func (s *Store) open() (err error) {
	fs, dir := s.config.FS, s.config.Dir
	if err := makeDir(fs, dir); err != nil {
		return s.explain(err)
	}
	s.holder = fs.PathJoin(dir, "HOLDER")
	lock, err := pebble.LockDirectory(dir, fs)
	if err != nil {
		if pid := readHolder(fs, s.holder); pid != 0 && !errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("pebblestore: %s is in use by process %d", dir, pid)
		}
		return s.explain(err)
	}
	s.lock = lock
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := writeHolder(fs, s.holder); err != nil {
		return s.explain(err)
	}
	if s.db, err = s.openPebble(lock); err != nil {
		return s.explain(err)
	}
	if err := s.recover(); err != nil {
		return errors.Join(err, s.db.Close())
	}
	return nil
}

func (s *Store) openPebble(lock *pebble.Lock) (*pebble.DB, error) {
	log := logger{s.config.Log, s.fail, s.hasFailed}
	options := &pebble.Options{
		FS:                          guard{s.config.FS, s.stop},
		Lock:                        lock,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      log,
		CacheSize:                   s.config.CacheSize,
		MemTableSize:                uint64(min(s.config.CacheSize/7, 4<<20)), // three of them are less than half
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4,
		L0StopWritesThreshold:       24,
		EventListener: &pebble.EventListener{
			BackgroundError: s.fail,
			// Reads answer with the error; the log says where the damage is.
			DataCorruption:  func(info pebble.DataCorruptionInfo) { log.Errorf("%s", info) },
			WriteStallBegin: func(info pebble.WriteStallBeginInfo) { log.Infof("%s", info) },
		},
	}
	options.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	for i := range options.Levels {
		// Whether a stream exists is the question of every first append.
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		options.Levels[i].BlockSize = 16 << 10
		options.Levels[i].IndexBlockSize = 256 << 10
	}
	// On a full disk opening may hang as well.
	type result struct {
		db  *pebble.DB
		err error
	}
	done := make(chan result, 1)
	go func() {
		db, err := pebble.Open(s.config.Dir, options)
		done <- result{db, err}
	}()
	select {
	case r := <-done:
		return r.db, r.err
	case <-s.failed:
		return nil, s.failure
	}
}

// recover finds the end of the store.
func (s *Store) recover() error {
	switch v, closer, err := s.db.Get(formatKey); {
	case errors.Is(err, pebble.ErrNotFound):
		if err := s.db.Set(formatKey, []byte{format}, pebble.Sync); err != nil || s.hasFailed() {
			return s.explain(errors.Join(err, s.failure))
		}
	case err != nil:
		return s.explain(err)
	default:
		defer closer.Close()
		if len(v) != 1 || v[0] != format {
			return fmt.Errorf("pebblestore: %s has format %x, which this program does not know", s.config.Dir, v)
		}
	}
	it, err := s.db.NewIter(eventsBetween(0, ^es.Position(0)))
	if err != nil {
		return s.explain(err)
	}
	defer it.Close()
	if it.Last() {
		p, err := eventPosition(it.Key())
		if err == nil {
			_, err = parse(p, it.Value())
		}
		if err != nil {
			return s.explain(err)
		}
		s.head.Store(uint64(p))
		s.tail.floor = p
	}
	if err := it.Error(); err != nil {
		return s.explain(err)
	}
	return nil
}

// Close ends followers with ErrClosed, finishes the appends that wait, and
// waits for all that uses the disk. A store that failed is left as it is, and
// Close returns why; its directory is free once the process ended.
func (s *Store) Close() error {
	s.gate.Lock()
	if s.closed {
		s.gate.Unlock()
		return nil
	}
	s.closed = true
	close(s.ending)
	s.gate.Unlock()

	s.writer.stop()
	s.gate.Lock() // readers that were let in before have left after this
	defer s.gate.Unlock()
	if s.hasFailed() {
		return s.failure // Pebble waits for the disk; the lock goes with the process
	}
	err := s.db.Close()
	_ = s.config.FS.Remove(s.holder)
	return errors.Join(err, s.lock.Close())
}

// Checkpoint makes a copy of the store in a directory that does not exist yet,
// on the same file system: most of it are links to the same files, so it takes
// no time and hardly any room. It holds every event that was acknowledged
// before, and of those that come meanwhile the first ones or none. Appends and
// reads go on.
func (s *Store) Checkpoint(dir string) error {
	leave, err := s.enter()
	if err != nil {
		return err
	}
	defer leave()
	if s.hasFailed() {
		return s.failure
	}
	if err := s.db.Checkpoint(dir); err != nil {
		return fmt.Errorf("pebblestore: checkpoint: %w", err)
	}
	return nil
}

// Head returns the position of the last event, whosever it is.
func (s *Store) Head() es.Position { return es.Position(s.head.Load()) }

// Length returns how many events a stream holds.
func (s *Store) Length(stream string) (uint64, error) {
	leave, err := s.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	t, err := s.readTip(stream)
	return t.length, err
}

// enter lets a reader ask Pebble until it calls leave.
func (s *Store) enter() (leave func(), err error) {
	s.gate.RLock()
	if s.closed {
		s.gate.RUnlock()
		return nil, ErrClosed
	}
	return s.gate.RUnlock, nil
}

// fail ends all writing.
func (s *Store) fail(err error) {
	s.failing.Do(func() {
		s.failure = s.explain(err)
		close(s.failed)
		if !s.opened.Load() {
			return // Open returns it
		}
		s.config.Log.Error("event store failed", slog.Any("error", s.failure))
		if s.config.OnFatal != nil {
			go s.config.OnFatal(s.failure) // Pebble may hold its locks here
		}
	})
}

// stop is where an error of writing ends: once the store is open, it ends all
// writing and does not return.
func (s *Store) stop(err error) {
	s.fail(err)
	if s.opened.Load() {
		select {}
	}
}

func (s *Store) hasFailed() bool {
	select {
	case <-s.failed:
		return true
	default:
		return false
	}
}

// explain makes a sentence of what went wrong with the directory.
func (s *Store) explain(err error) error {
	dir := s.config.Dir
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("pebblestore: the disk of %s is full: %w", dir, err)
	case errors.Is(err, os.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("pebblestore: cannot write to %s: %w", dir, err)
	default:
		return fmt.Errorf("pebblestore: %s: %w", dir, err)
	}
}

// makeDir makes a directory and what is missing above it, each durably.
func makeDir(fs vfs.FS, dir string) error {
	if _, err := fs.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	parent := fs.PathDir(dir)
	if parent == dir {
		return nil
	}
	if err := makeDir(fs, parent); err != nil {
		return err
	}
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	d, err := fs.OpenDir(parent)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// holder is what the file HOLDER says; the lock file itself is emptied by
// whoever tries the lock.
type holder struct {
	PID int `json:"pid"`
}

func writeHolder(fs vfs.FS, name string) error {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	b, err := json.Marshal(holder{os.Getpid()})
	if err == nil {
		_, err = f.Write(b)
	}
	return errors.Join(err, f.Close())
}

// readHolder returns the pid of who holds the lock, 0 if it is not known.
func readHolder(fs vfs.FS, name string) int {
	f, err := fs.Open(name)
	if err != nil {
		return 0
	}
	defer f.Close()
	var h holder
	_ = json.NewDecoder(f).Decode(&h)
	return h.PID
}
