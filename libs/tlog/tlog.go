// Package tlog keeps a transparency log of a store: a Merkle tree with one leaf
// for each event, in the store's order, and a signed checkpoint over it. Tiles,
// entries and checkpoints are files in a directory, in the formats of C2SP
// (tlog-tiles, tlog-checkpoint, signed-note), kept by transparency-dev/tessera.
//
// Any number of processes may [Open] a directory and serve it. One of them
// appends: [Log.Run] takes a lock on the directory and holds it for life.
//
// A log is for ever. So nothing is trusted but what was signed: whatever is in
// the directory beyond the last checkpoint is dropped at the start and made anew
// from the store; so is what that checkpoint is over, where it is damaged. A checkpoint is signed only where its root is that of the
// events the appender has read itself, in their order, after all that was signed
// before. Where the store is not what was signed, nothing is signed any more
// ([ErrGoesBack]).
//
// What a leaf says, and how a reader checks it, is package proof. tlog knows no
// estate.
package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"
	"k8s.io/klog/v2"

	"github.com/yimu-ledger/yimu/libs/proof"
)

// ErrGoesBack says that the store no longer holds what the log has signed, so
// that the log cannot go on without contradicting itself: a copy of the store
// was put back that is older than the log, or events were changed.
var ErrGoesBack = errors.New("tlog: refuses to sign a log that would go back")

// Config says where a log is.
type Config struct {
	Dir string // of the log; made if absent
	// KeyFile holds the key that signs, and below it those that it replaced. It is
	// made, with mode 0600, if it is missing and the log is new.
	KeyFile string
	// Origin is the log's name for a key that is made: unique in the world,
	// without spaces and +, such as yimu.example/log. Later the key has it.
	Origin string
	Log    *slog.Logger
}

// told is the logger of the log that was opened last. What tessera says, it says
// to one for the whole process, and to standard error unless it is given another.
var told atomic.Pointer[slog.Logger]

func init() { klog.SetSlogLogger(slog.New(teller{})) }

type teller struct{}

func (teller) Enabled(ctx context.Context, level slog.Level) bool {
	l := told.Load()
	return l != nil && l.Enabled(ctx, level)
}

func (teller) Handle(ctx context.Context, r slog.Record) error {
	if l := told.Load(); l != nil {
		return l.Handler().Handle(ctx, r)
	}
	return nil
}

func (t teller) WithAttrs([]slog.Attr) slog.Handler { return t }
func (t teller) WithGroup(string) slog.Handler      { return t }

// Log is a log in a directory.
type Log struct {
	dir  string
	keys keys
	log  *slog.Logger
	last atomic.Pointer[checkpoint] // that was read
}

// checkpoint is one whose signature was checked.
type checkpoint struct {
	signed string
	proof.Checkpoint
}

// Open opens a log for reading, and makes the key of a new one.
func Open(c Config) (*Log, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("tlog: %w", err)
	}
	l := &Log{dir: c.Dir, log: c.Log.With(slog.String("part", "transparency log"))}
	told.Store(l.log)
	var err error
	if l.keys, err = readKeys(c.KeyFile); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(l.path(layout.CheckpointPath)); err == nil {
			return nil, fmt.Errorf("tlog: the log in %s is signed, and its key file %s is missing; put it back, nothing else can go on with this log", c.Dir, c.KeyFile)
		}
		if err := CreateKey(c.KeyFile, c.Origin); err != nil && !errors.Is(err, fs.ErrExist) { // another process was first
			return nil, fmt.Errorf("tlog: %w", err)
		}
		l.keys, err = readKeys(c.KeyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("tlog: %w", err)
	}
	if _, _, err := l.Checkpoint(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return l, nil
}

func (l *Log) path(name string) string { return filepath.Join(l.dir, filepath.FromSlash(name)) }

// Origin is the log's name.
func (l *Log) Origin() string { return l.keys.origin() }

// Keys are the log's keys, the one that signs first.
func (l *Log) Keys() proof.Keys { return l.keys.public }

// Rotations returns the notes by which each key of the key file replaces the one
// below it, the oldest first.
func (l *Log) Rotations() ([]string, error) { return l.keys.rotations() }

// Checkpoint returns the last signed state, as it is served and as it reads. The
// error is fs.ErrNotExist where nothing has been signed yet.
func (l *Log) Checkpoint() (signed string, c proof.Checkpoint, err error) {
	b, err := os.ReadFile(l.path(layout.CheckpointPath))
	if err != nil {
		return "", c, fmt.Errorf("tlog: %w", err)
	}
	if last := l.last.Load(); last != nil && last.signed == string(b) { // many may wait for the next one
		return last.signed, last.Checkpoint, nil
	}
	c, _, failed := l.keys.public.Checkpoint(string(b))
	if failed != nil {
		return "", c, fmt.Errorf("tlog: the log in %s and its key do not belong together, or its checkpoint is damaged: %s", l.dir, failed.Detail)
	}
	l.last.Store(&checkpoint{string(b), c})
	return string(b), c, nil
}

// Await returns the last signed state once it has so many leaves.
func (l *Log) Await(ctx context.Context, size uint64) (string, proof.Checkpoint, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		signed, c, err := l.Checkpoint()
		if err == nil && c.Size >= size || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return signed, c, err
		}
		select {
		case <-ctx.Done():
			return "", c, ctx.Err()
		case <-tick.C:
		}
	}
}

// Leaf returns a leaf of the tree that c signs.
func (l *Log) Leaf(c proof.Checkpoint, index uint64) (proof.Leaf, error) {
	if index >= c.Size {
		return proof.Leaf{}, fmt.Errorf("tlog: leaf %d of %d", index, c.Size)
	}
	entries, err := l.entries(c.Size, index/layout.EntryBundleWidth)
	if err != nil {
		return proof.Leaf{}, err
	}
	leaf, err := proof.ParseLeaf(entries[index%layout.EntryBundleWidth])
	if err != nil {
		return leaf, fmt.Errorf("tlog: leaf %d: %w", index, err)
	}
	return leaf, nil
}

// Leaves yields all leaves of the tree that c signs, in order. They are as the
// files have them: whoever adds up their hashes finds out whether the tree is.
func (l *Log) Leaves(c proof.Checkpoint) iter.Seq2[proof.Leaf, error] {
	return func(yield func(proof.Leaf, error) bool) {
		for first := uint64(0); first < c.Size; first += layout.EntryBundleWidth {
			entries, err := l.entries(c.Size, first/layout.EntryBundleWidth)
			for i := 0; err == nil && uint64(i) < min(layout.EntryBundleWidth, c.Size-first); i++ {
				var leaf proof.Leaf
				if leaf, err = proof.ParseLeaf(entries[i]); err == nil && !yield(leaf, nil) {
					return
				}
			}
			if err != nil {
				yield(proof.Leaf{}, fmt.Errorf("tlog: leaves from %d on: %w", first, err))
				return
			}
		}
	}
}

// entries reads a bundle of leaves as a log of so many leaves has it.
func (l *Log) entries(size, bundle uint64) ([][]byte, error) {
	width := layout.PartialTileSize(0, bundle, size)
	b, err := l.read(layout.EntriesPath(bundle, width), layout.EntriesPath(bundle, 0))
	if err != nil {
		return nil, err
	}
	var parsed api.EntryBundle
	if err := parsed.UnmarshalText(b); err != nil {
		return nil, fmt.Errorf("tlog: %s is damaged: %w", layout.EntriesPath(bundle, width), err)
	}
	if len(parsed.Entries) < int(width) || width == 0 && len(parsed.Entries) != layout.EntryBundleWidth {
		return nil, fmt.Errorf("tlog: %s is damaged: it has %d leaves", layout.EntriesPath(bundle, width), len(parsed.Entries))
	}
	return parsed.Entries, nil
}

// read reads the file of a part of the tree. That of a part which was not full
// is gone some time after the full one is there.
func (l *Log) read(name, full string) ([]byte, error) {
	b, err := os.ReadFile(l.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		b, err = os.ReadFile(l.path(full))
	}
	if err != nil {
		return nil, fmt.Errorf("tlog: %w", err)
	}
	return b, nil
}

// Inclusion returns the proof that a leaf is in the tree that c signs. It is
// made of tiles that were checked against c.
func (l *Log) Inclusion(c proof.Checkpoint, index uint64) ([]proof.Hash, error) {
	p, err := xtlog.ProveRecord(int64(c.Size), int64(index), l.tree(c))
	if err != nil {
		return nil, fmt.Errorf("tlog: inclusion of leaf %d in %d: %w", index, c.Size, err)
	}
	return hashes(p), nil
}

// Extension returns the proof that the tree which c signs extends the one of its
// first leaves, and the root of that.
func (l *Log) Extension(c proof.Checkpoint, old uint64) (root proof.Hash, p []proof.Hash, err error) {
	if old == 0 {
		return proof.Hash(emptyRoot), []proof.Hash{}, nil
	}
	tree := l.tree(c)
	oldRoot, err := xtlog.TreeHash(int64(old), tree)
	if err != nil {
		return root, nil, fmt.Errorf("tlog: the tree of the first %d leaves: %w", old, err)
	}
	found, err := xtlog.ProveTree(int64(c.Size), int64(old), tree)
	if err != nil {
		return root, nil, fmt.Errorf("tlog: consistency of %d and %d: %w", old, c.Size, err)
	}
	return proof.Hash(oldRoot), hashes(found), nil
}

func hashes(all []xtlog.Hash) []proof.Hash {
	out := make([]proof.Hash, len(all))
	for i, h := range all {
		out[i] = proof.Hash(h)
	}
	return out
}

// tree reads hashes of the tree that c signs; each tile is checked against it.
func (l *Log) tree(c proof.Checkpoint) xtlog.HashReader {
	return xtlog.TileHashReader(xtlog.Tree{N: int64(c.Size), Hash: c.Root}, tiles{l})
}

// tiles reads tiles for package tlog of golang.org/x/mod.
type tiles struct{ log *Log }

func (tiles) Height() int { return layout.TileHeight }

func (t tiles) ReadTiles(wanted []xtlog.Tile) ([][]byte, error) {
	all := make([][]byte, len(wanted))
	for i, tile := range wanted {
		level, n := uint64(tile.L), uint64(tile.N)
		b, err := t.log.read(layout.TilePath(level, n, uint8(tile.W%layout.TileWidth)), layout.TilePath(level, n, 0))
		if err != nil {
			return nil, err
		}
		if len(b) < tile.W*xtlog.HashSize {
			return nil, fmt.Errorf("tlog: %s is cut off", layout.TilePath(level, n, uint8(tile.W%layout.TileWidth)))
		}
		all[i] = b[:tile.W*xtlog.HashSize]
	}
	return all, nil
}

func (tiles) SaveTiles([]xtlog.Tile, [][]byte) {}

// gated signers sign what the gate lets through.
func (l *Log) gated(g *gate) (first note.Signer, others []note.Signer) {
	for _, s := range l.keys.signers {
		others = append(others, gatedSigner{s, g})
	}
	return others[0], others[1:]
}
