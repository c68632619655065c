package tlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/transparency-dev/tessera/api/layout"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
)

// Directories of a tree while it is made again.
const (
	tileDir    = "tile"
	remadeDir  = "remade"
	damagedDir = "damaged"
)

// mend makes the tree again from the store where it is damaged. It is the one
// that c signs, or it is not put in its place.
func (a *appender) mend(ctx context.Context, c proof.Checkpoint) error {
	damage := a.intact(c)
	if damage == nil {
		return nil
	}
	a.log.WarnContext(ctx, "the log is damaged; it is made again from the ledger", slog.String("directory", a.dir), slog.Any("error", damage))
	err := a.insist(ctx, "making the log again", func() error { return a.remake(ctx, c) })
	if err != nil {
		return err
	}
	return a.intact(c)
}

func (a *appender) remake(ctx context.Context, c proof.Checkpoint) error {
	if err := errors.Join(os.RemoveAll(a.path(remadeDir)), os.RemoveAll(a.path(damagedDir))); err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	t := &tree{dir: a.path(remadeDir)}
	if _, err := a.compare(ctx, c, mark{}, t.add); err != nil {
		return err
	}
	err := t.end()
	if err == nil {
		if err = os.Rename(a.path(tileDir), a.path(damagedDir)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	if err == nil {
		err = os.Rename(filepath.Join(t.dir, tileDir), a.path(tileDir))
	}
	if err = errors.Join(err, os.RemoveAll(a.path(damagedDir)), os.RemoveAll(t.dir)); err != nil {
		return fmt.Errorf("tlog: %w", err)
	}
	return nil
}

// tree is written leaf by leaf, as files of tiles and bundles of leaves.
type tree struct {
	dir    string
	size   uint64
	bundle []byte   // of leaves, not full
	levels [][]byte // the tile of each level that is not full
}

func (t *tree) add(e es.Recorded) error {
	leaf := proof.LeafOf(e).Bytes()
	t.bundle = append(binary.BigEndian.AppendUint16(t.bundle, uint16(len(leaf))), leaf...)
	if t.size++; t.size%layout.EntryBundleWidth == 0 {
		if err := t.write(layout.EntriesPath(t.size/layout.EntryBundleWidth-1, 0), t.bundle); err != nil {
			return err
		}
		t.bundle = t.bundle[:0]
	}
	h := xtlog.RecordHash(leaf)
	return t.push(0, h[:])
}

// push adds a hash to a level, and that of a tile which becomes full to the next.
func (t *tree) push(level uint64, hash []byte) error {
	if level == uint64(len(t.levels)) {
		t.levels = append(t.levels, nil)
	}
	tile := append(t.levels[level], hash...)
	if t.levels[level] = tile; len(tile) < layout.TileWidth*xtlog.HashSize {
		return nil
	}
	index := t.size>>((level+1)*layout.TileHeight) - 1
	if err := t.write(layout.TilePath(level, index, 0), tile); err != nil {
		return err
	}
	nodes := ranges.NewEmptyRange(0)
	for ; len(tile) > 0; tile = tile[xtlog.HashSize:] {
		if err := nodes.Append(tile[:xtlog.HashSize:xtlog.HashSize], nil); err != nil {
			return err
		}
	}
	root, err := nodes.GetRootHash(nil)
	if err != nil {
		return err
	}
	t.levels[level] = nil
	return t.push(level+1, root)
}

// end writes what is not full.
func (t *tree) end() error {
	for level, tile := range t.levels {
		if len(tile) == 0 {
			continue
		}
		index := t.size >> (uint64(level+1) * layout.TileHeight)
		if err := t.write(layout.TilePath(uint64(level), index, uint8(len(tile)/xtlog.HashSize)), tile); err != nil {
			return err
		}
	}
	if len(t.bundle) == 0 {
		return nil
	}
	return t.write(layout.EntriesPath(t.size/layout.EntryBundleWidth, uint8(t.size%layout.EntryBundleWidth)), t.bundle)
}

func (t *tree) write(name string, content []byte) error {
	path := filepath.Join(t.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replace(path, content)
}
