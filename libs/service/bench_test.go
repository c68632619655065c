package service_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
)

// discard is a ResponseWriter that costs nothing.
type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(status int)      { d.status = status }

// BenchmarkCommand is all that stands between net/http and a service's Decide:
// authentication, routing, the body's check, the request and its answer.
func BenchmarkCommand(b *testing.B) {
	h := newHandler(newDeps(b, io.Discard), func(es.Request) (es.Done[string], error) {
		return es.Done[string]{IDs: []uuid.UUID{uuid.Max}, Stream: "ballot-1", Revision: 3, Position: 77}, nil
	})
	body := []byte(`{"choices":[{"motion":"0197b1d4-0000-7000-8000-000000000001","choice":"agree"},{"motion":"0197b1d4-0000-7000-8000-000000000002","choice":"against"},{"motion":"0197b1d4-0000-7000-8000-000000000003","choice":"abstain"}]}`)
	r := httptest.NewRequestWithContext(b.Context(), "POST", "/api/v1/meetings/"+meeting+"/ballots", nil)
	r.Header.Set("Authorization", "Bearer ann")
	r.Header.Set("Idempotency-Key", uuid.NewString())
	r.Header.Set("Content-Type", "application/json")
	b.ReportAllocs()
	for b.Loop() {
		w := &discard{header: http.Header{}}
		in := *r
		in.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, &in)
		if w.status != http.StatusCreated {
			b.Fatal(w.status)
		}
	}
}
