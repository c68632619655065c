package tlog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/storage/posix"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
)

const (
	// batch is how many leaves are added to the tree at once: each batch is some
	// ten writes to disk.
	batch = 2048
	// batchAge is how long tessera waits for a batch to become full.
	batchAge = 10 * time.Millisecond
	// pace is the pause after a small batch: nobody waits for a leaf as for an
	// answer, many are added as cheaply as one, and none is signed sooner than the
	// next checkpoint.
	pace = signEvery
	many = 500 // events that are no small batch

	signEvery  = 200 * time.Millisecond // while there are new leaves
	signAnyway = time.Minute            // the same again, to show that somebody is there

	lookForLock = time.Second
	again       = time.Second     // pause after a passing error
	remember    = 5 * time.Second // how often the mark is written
	patience    = 5 * time.Second // for the last checkpoint, at the end
)

// Files beside those of the tree.
const (
	lockFile  = "lock" // held by the process that appends
	markFile  = "mark"
	stateFile = ".state/treeState"
	version   = ".state/version"
)

// Run appends a leaf for each event of a store, those of streams that start with
// one of prefixes, until ctx ends, then it returns nil. It waits first until no
// other process does so. begin is called then, before the log goes on; where it
// fails it is tried again.
//
// Passing errors of the store are waited out. What Run returns is for a person:
// [ErrGoesBack], or that the directory is damaged or cannot be written. The log
// is to be left alone then, and may still be read.
func (l *Log) Run(ctx context.Context, store es.Store, prefixes []string, begin func(context.Context) error) error {
	lock, err := l.lock(ctx)
	if err != nil || lock == nil {
		return err
	}
	if err := l.insist(ctx, "beginning", func() error { return passing(begin(ctx)) }); err != nil {
		return errors.Join(ended(ctx, err), lock.Close())
	}
	a := &appender{Log: l, store: store, prefixes: prefixes}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	err = a.start(ctx, stop)
	if err == nil {
		err = service.Follow(ctx, store, l.log, func() es.Position { return a.at }, func(b es.Batch) error { return a.take(ctx, b) }, prefixes...)
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrGoesBack) {
		err = cause
	}
	if err = ended(ctx, err); err == nil {
		err = a.flush()
	}
	if closing := a.close(); closing != nil {
		return errors.Join(err, closing) // something may still write: the lock stays until the process ends
	}
	return errors.Join(err, lock.Close())
}

// ended drops an error that only says that ctx ended.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, ErrGoesBack) {
		return nil
	}
	return err
}

// lock waits for the lock on the directory; it is nil where ctx ended before. It
// is the kernel's, so that it ends with the process, however that ends.
func (l *Log) lock(ctx context.Context) (*flock.Flock, error) {
	lock := flock.New(l.path(lockFile), flock.SetPermissions(0o600))
	for told := false; ; {
		ok, err := lock.TryLock()
		switch {
		case err != nil:
			return nil, fmt.Errorf("tlog: lock %s: %w", l.dir, err)
		case ok:
			return lock, nil
		case !told:
			told = true
			l.log.InfoContext(ctx, "another process appends to the log; this one serves it", slog.String("directory", l.dir))
		}
		if pause.For(ctx, lookForLock) != nil {
			return nil, lock.Close()
		}
	}
}

// passingError is one that may be gone at the next attempt.
type passingError struct{ error }

func (e passingError) Unwrap() error { return e.error }

func passing(err error) error {
	if err == nil {
		return nil
	}
	return passingError{err}
}

// insist calls f until it succeeds, fails for good, or ctx ends.
func (l *Log) insist(ctx context.Context, what string, f func() error) error {
	for {
		err := f()
		if !errors.As(err, &passingError{}) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.log.WarnContext(ctx, what+" will be tried again", slog.Any("error", err))
		if err := pause.For(ctx, again); err != nil {
			return err
		}
	}
}

// mark says which event a leaf is: that of leaf Leaf is the first after Position.
// It only saves reading the store from its beginning. What it says is checked, so
// it may be old, lost or wrong.
type mark struct {
	Leaf     uint64      `json:"leaf"`
	Position es.Position `json:"position"`
}

// appender is a log whose lock is held.
type appender struct {
	*Log
	store    es.Store
	prefixes []string

	size    uint64      // leaves in the tree
	at      es.Position // of the last event that has one, or later
	signed  mark        // after which a leaf is signed
	next    mark        // as signed, once it is
	written time.Time   // when signed was, last

	gate   *gate
	add    tessera.AddFn
	cancel context.CancelFunc // of everything that tessera runs
}

// start makes the directory what was signed, holds that against the store, and
// starts tessera on it.
func (a *appender) start(ctx context.Context, stop func(error)) error {
	_, c, err := a.Checkpoint()
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(a.path(tileDir)); err == nil {
			return fmt.Errorf("tlog: the log in %s has lost its checkpoint: put it back, from a copy or from anyone who has the last one", a.dir)
		}
		c, err = proof.Checkpoint{Origin: a.Origin(), Root: emptyRoot}, nil
	} else if err == nil {
		err = a.settle(c)
	}
	if err != nil {
		return err
	}
	if err := a.mend(ctx, c); err != nil {
		return err
	}
	var signed *compact.Range
	err = a.insist(ctx, "holding the log against the ledger", func() (err error) {
		signed, err = a.resume(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	a.size, a.next = c.Size, mark{c.Size, a.at}
	a.gate = &gate{refused: stop, signed: signed}

	driver, err := posix.New(ctx, posix.Config{Path: a.dir})
	if err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	first, others := a.gated(a.gate)
	added, _, _, err := tessera.NewAppender(running, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(first, others...).
		WithBatching(batch, batchAge).
		WithCheckpointInterval(signEvery).
		WithCheckpointRepublishInterval(signAnyway))
	if err != nil {
		cancel()
		return fmt.Errorf("tlog: %w", err)
	}
	a.add, a.cancel = added.Add, cancel
	return nil
}

// settle makes the tree on disk end where the checkpoint does. What follows was
// not signed: the process ended before that. It is made again.
func (a *appender) settle(c proof.Checkpoint) error {
	if v, err := os.ReadFile(a.path(version)); err == nil && string(v) != "1" {
		return fmt.Errorf("tlog: the log in %s is of version %q, and this program knows 1", a.dir, v)
	}
	if err := os.MkdirAll(filepath.Dir(a.path(stateFile)), 0o755); err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	state, err := json.Marshal(struct {
		Size uint64 `json:"size"`
		Root []byte `json:"root"`
	}{c.Size, c.Root[:]})
	if err == nil {
		err = replace(a.path(stateFile), state)
	}
	if err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	return nil
}

// intact holds what will be appended to, the tiles and the bundle of leaves at the
// end of the tree, against the checkpoint.
func (a *appender) intact(c proof.Checkpoint) error {
	if c.Size == 0 {
		return nil
	}
	bundle := (c.Size - 1) / layout.EntryBundleWidth
	entries, err := a.entries(c.Size, bundle)
	if err != nil {
		return err
	}
	var indexes []int64
	for i := bundle * layout.EntryBundleWidth; i < c.Size; i++ {
		indexes = append(indexes, xtlog.StoredHashIndex(0, int64(i)))
	}
	hashes, err := a.tree(c).ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, h := range hashes {
		if xtlog.RecordHash(entries[i]) != h {
			return fmt.Errorf("leaf %d is not the one that was signed", bundle*layout.EntryBundleWidth+uint64(i))
		}
	}
	return nil
}

// resume finds the position of the last event that was signed, by holding the
// last leaves, or all, against the store. It returns the tree of them.
func (a *appender) resume(ctx context.Context, c proof.Checkpoint) (*compact.Range, error) {
	var m mark
	if b, err := os.ReadFile(a.path(markFile)); err == nil && json.Unmarshal(b, &m) == nil && m.Leaf > 0 && m.Leaf < c.Size {
		r, err := a.compare(ctx, c, m, nil)
		if !errors.Is(err, ErrGoesBack) {
			return r, err
		}
		// Perhaps only its positions are others: the store was moved.
		a.log.WarnContext(ctx, "the last leaves are not found where they were; the whole log is held against the ledger", slog.Any("error", err))
	}
	return a.compare(ctx, c, mark{}, nil)
}

// compare reads the events from a mark on, to the last one that was signed, and
// keeps where that is. The leaves before the mark are taken as they are signed.
// each, where given, is told of each event.
func (a *appender) compare(ctx context.Context, c proof.Checkpoint, from mark, each func(es.Recorded) error) (*compact.Range, error) {
	a.at, a.signed = from.Position, from
	r, err := a.rangeOf(c, from.Leaf)
	if err != nil || c.Size == 0 {
		return r, err
	}
	for e, err := range a.store.ReadAll(ctx, from.Position, a.prefixes...) {
		if err != nil {
			return nil, passing(err)
		}
		if each != nil {
			if err := each(e); err != nil {
				return nil, fmt.Errorf("tlog: %w", err)
			}
		}
		a.signed = mark{r.End(), a.at}
		h := proof.LeafOf(e).Hash()
		if err := r.Append(h[:], nil); err != nil {
			return nil, err
		}
		if a.at = e.Position; r.End() == c.Size {
			break
		}
	}
	if r.End() < c.Size {
		return nil, fmt.Errorf("%w: the ledger has %d events and %d are signed. A copy of the ledger was put back that is older than the log: "+
			"put back what is missing, or begin a new log in an empty directory, with a new key, and say so to all who hold a receipt", ErrGoesBack, r.End(), c.Size)
	}
	root, err := rootOf(r)
	if err != nil {
		return nil, err
	}
	if root != c.Root {
		return nil, fmt.Errorf("%w: %s", ErrGoesBack, a.difference(ctx, c, from))
	}
	return r, nil
}

// rangeOf is the tree of the first n leaves, as far as it takes to go on with it.
func (a *appender) rangeOf(c proof.Checkpoint, n uint64) (*compact.Range, error) {
	var indexes []int64
	for _, id := range compact.RangeNodes(0, n, nil) {
		indexes = append(indexes, xtlog.StoredHashIndex(int(id.Level), int64(id.Index)))
	}
	if len(indexes) == 0 {
		return ranges.NewEmptyRange(0), nil
	}
	found, err := a.tree(c).ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("tlog: the log in %s is damaged: put it back from a copy: %w", a.dir, err)
	}
	nodes := make([][]byte, len(found))
	for i := range found {
		nodes[i] = found[i][:]
	}
	return ranges.NewRange(0, n, nodes)
}

// difference says, for a person, which event is not what was signed.
func (a *appender) difference(ctx context.Context, c proof.Checkpoint, from mark) string {
	n := from.Leaf
	for e, err := range a.store.ReadAll(ctx, from.Position, a.prefixes...) {
		if err != nil || n == c.Size {
			break
		}
		signed, err := a.Leaf(c, n)
		if err != nil {
			return fmt.Sprintf("leaf %d cannot be read: %v", n, err)
		}
		if is := proof.LeafOf(e); is != signed {
			if is.Stream == signed.Stream && is.Revision == signed.Revision {
				return fmt.Sprintf("leaf %d, %s at revision %d, was signed with other content than the ledger has now", n, is.Stream, is.Revision)
			}
			return fmt.Sprintf("leaf %d is %s at revision %d, and in its place the ledger has %s at revision %d", n, signed.Stream, signed.Revision, is.Stream, is.Revision)
		}
		n++
	}
	return "the tree is not that of its leaves"
}

// take appends a leaf for each event of a batch.
func (a *appender) take(ctx context.Context, b es.Batch) error {
	for events := b.Events; len(events) > 0; {
		n := min(len(events), batch)
		if err := a.remember(); err != nil {
			return err
		}
		if err := a.append(events[:n]); err != nil {
			return err
		}
		a.at, events = events[n-1].Position, events[n:]
	}
	if a.at = b.Through; len(b.Events) > 0 && len(b.Events) < many {
		_ = pause.For(ctx, pace)
	}
	return nil
}

// append adds leaves, and returns once they are in the tree on disk.
func (a *appender) append(events []es.Recorded) error {
	entries, hashes := make([]*tessera.Entry, len(events)), make([][]byte, len(events))
	for i, e := range events {
		entries[i] = tessera.NewEntry(proof.LeafOf(e).Bytes())
		hashes[i] = entries[i].LeafHash()
	}
	a.gate.expect(hashes)
	futures := make([]tessera.IndexFuture, len(entries))
	for i, e := range entries {
		futures[i] = a.add(context.Background(), e)
	}
	var failed error
	for i, f := range futures { // all of them: nothing may be on its way when the next come
		index, err := f()
		if err == nil && index.Index != a.size+uint64(i) {
			err = fmt.Errorf("%s at revision %d became leaf %d and not %d: another process appends to %s", events[i].Stream, events[i].Revision, index.Index, a.size+uint64(i), a.dir)
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("tlog: append: %w", err)
		}
	}
	a.size += uint64(len(events))
	return failed
}

// remember notes, before a batch, where it begins in the store, and writes that
// down now and then. There is always a signed leaf after what is written down, so
// that a store which has lost its end is found out.
func (a *appender) remember() error {
	if a.gate.size() > a.next.Leaf {
		a.signed, a.next = a.next, mark{a.size, a.at}
	}
	if time.Since(a.written) < remember {
		return nil
	}
	a.written = time.Now()
	b, err := json.Marshal(a.signed)
	if err == nil {
		err = replace(a.path(markFile), b)
	}
	if err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	return nil
}

// flush waits until all leaves are signed.
func (a *appender) flush() error {
	if a.gate == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, c, err := a.Await(ctx, a.size); err != nil {
		return fmt.Errorf("tlog: the last leaves, from %d to %d, are not signed; they will be after the next start: %w", c.Size, a.size, err)
	}
	a.written = time.Time{}
	return a.remember()
}

// close ends everything that could write to the directory.
func (a *appender) close() error {
	if a.cancel == nil {
		return nil
	}
	defer a.cancel()
	// What tessera runs cannot be waited for. But the one thing that it may still
	// do is to put a checkpoint in its place that has been signed already.
	a.gate.close()
	signed := a.gate.size()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, _, err := a.Await(ctx, signed); err != nil {
		return fmt.Errorf("tlog: a checkpoint of %d leaves was signed and is not in its place: %w", signed, err)
	}
	return nil
}
