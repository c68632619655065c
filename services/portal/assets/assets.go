// Package assets holds what pages load beside their HTML: one style sheet, a
// small script of ours and the scripts that come from npm by lock file.
//
// `npm ci && npm run build` in this folder fills dist before the binary is
// built. Without it everything compiles and every page works, only without
// scripts: [URL] is then empty for what is missing.
package assets

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed static dist
var files embed.FS

// Prefix of the addresses of assets.
const Prefix = "/assets/"

type asset struct {
	url        string
	kind       string
	plain, zip []byte
}

// all assets by file name, made when a page first asks: most processes show none.
// Their addresses carry a hash of their content, so that browsers may keep them
// for ever.
var all = sync.OnceValue(func() map[string]asset {
	found := map[string]asset{}
	for _, dir := range []string{"static", "dist"} {
		entries, err := files.ReadDir(dir)
		if err != nil {
			panic(err) // embedded: the build itself is broken
		}
		for _, e := range entries {
			content, err := files.ReadFile(path.Join(dir, e.Name()))
			if err != nil {
				panic(err)
			}
			sum := sha256.Sum256(content)
			kind := mime.TypeByExtension(path.Ext(e.Name()))
			if kind == "" {
				kind = "text/plain; charset=utf-8"
			}
			found[e.Name()] = asset{
				url:  Prefix + hex.EncodeToString(sum[:6]) + "/" + e.Name(),
				kind: kind, plain: content, zip: compressed(content),
			}
		}
	}
	return found
})

func compressed(content []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression)
	_, _ = w.Write(content) // to memory
	_ = w.Close()
	return b.Bytes()
}

// URL is the address of a file, or empty where it was not built in.
func URL(name string) string { return all()[name].url }

// Size is how many bytes a file is on its way, compressed; 0 where it is missing.
func Size(name string) int { return len(all()[name].zip) }

// Handler serves the assets.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := all()[path.Base(r.URL.Path)]
		if !ok || a.url != r.URL.Path {
			http.NotFound(w, r)
			return
		}
		body := a.plain
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Vary", "Accept-Encoding")
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			body = a.zip
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
}
