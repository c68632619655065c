package web

import (
	"mime"
	"net/http"

	"github.com/yimu-ledger/yimu/services/internal/bundle"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// bundle gives all that an estate's part of the ledger can be checked with, up to
// the position in the address or to now. It is made while it is read.
func (s *site) bundle(w http.ResponseWriter, q *request) error {
	id := q.PathValue("estate")
	e, err := q.estate(id, "")
	if err != nil {
		return err
	}
	x := bundle.Export{
		Client: &http.Client{Transport: client.Piped(s.API)}, Server: "http://api.internal", Estate: e.ID, Program: s.Version, Made: s.Clock(),
	}
	if q.view.At != 0 {
		x.Until = client.Number(q.view.At)
	}
	begun := &firstWrite{ResponseWriter: w, name: "yimu-" + e.ID + ".zip"}
	_, err = x.Write(q.Context(), begun)
	if err != nil && begun.done {
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
	return err
}

// firstWrite says what a file is once there is something of it: an error before is
// a page.
type firstWrite struct {
	http.ResponseWriter
	name string
	done bool
}

func (w *firstWrite) Write(b []byte) (int, error) {
	if !w.done {
		w.done = true
		h := w.Header()
		h.Set("Content-Type", "application/zip")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": w.name}))
	}
	return w.ResponseWriter.Write(b)
}
