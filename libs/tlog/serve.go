package tlog

import (
	"net/http"
	"os"
	"strings"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/yimu-ledger/yimu/libs/proof"
)

// Handler serves the log below a prefix that ends in a slash, by C2SP's
// tlog-tiles: checkpoint, tile/<level>/<index>, tile/entries/<index>. Nothing else
// of the directory is shown, and nothing that is not signed yet.
func (l *Log) Handler(prefix string) http.Handler {
	return http.StripPrefix(prefix, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the log is only read", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Access-Control-Allow-Origin", "*") // a page that checks the log may be anyone's
		signed, err := os.ReadFile(l.path(layout.CheckpointPath))
		if err != nil {
			notFound(w)
			return
		}
		if r.URL.Path == layout.CheckpointPath {
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Cache-Control", "no-cache")
			_, _ = w.Write(signed)
			return
		}
		c, err := proof.ParseCheckpoint(string(signed))
		if err != nil || !signedTile(r.URL.Path, c.Size) {
			notFound(w)
			return
		}
		tile, err := os.ReadFile(l.path(r.URL.Path))
		if err != nil {
			notFound(w)
			return
		}
		h.Set("Content-Type", "application/octet-stream")
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		_, _ = w.Write(tile)
	}))
}

// notFound is not to be remembered: what is not there may be soon.
func notFound(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "the log has nothing at this path", http.StatusNotFound)
}

// signedTile says whether a path is that of a tile, or of a bundle of entries,
// that belongs to a tree of so many leaves.
func signedTile(path string, size uint64) bool {
	rest, ok := strings.CutPrefix(path, "tile/")
	if !ok {
		return false
	}
	name, rest, _ := strings.Cut(rest, "/")
	var level, index uint64
	var width uint8
	var err error
	var canonical string
	if name == "entries" {
		index, width, err = layout.ParseTileIndexPartial(rest)
		canonical = layout.EntriesPath(index, width)
	} else {
		level, index, width, err = layout.ParseTileLevelIndexPartial(name, rest)
		canonical = layout.TilePath(level, index, width)
	}
	if err != nil || canonical != path || level >= 64/layout.TileHeight {
		return false
	}
	nodes := size >> (level * layout.TileHeight) // at the tile's lowest level
	last := uint64(width)
	if width == 0 {
		last = layout.TileWidth
	}
	return index <= nodes/layout.TileWidth && index*layout.TileWidth+last <= nodes
}
