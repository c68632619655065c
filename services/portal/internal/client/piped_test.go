package client_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

func TestAnAnswerIsReadWhileItIsWritten(t *testing.T) {
	more := make(chan struct{})
	ask := func(path string) (status int, header http.Header, body io.Reader) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://api.internal"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Piped(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/none":
				w.WriteHeader(http.StatusNotFound)
			case "/broken":
				_, _ = io.WriteString(w, "half")
				panic(http.ErrAbortHandler)
			default:
				w.Header().Set("Kind", "long")
				_, _ = io.WriteString(w, "first")
				<-more
				_, _ = io.WriteString(w, "last")
			}
		})).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp.StatusCode, resp.Header, resp.Body
	}
	_, header, body := ask("/")
	first := make([]byte, 5)
	if _, err := io.ReadFull(body, first); err != nil || string(first) != "first" || header.Get("Kind") != "long" {
		t.Fatalf("%q %v", first, err)
	}
	close(more)
	if rest, err := io.ReadAll(body); err != nil || string(rest) != "last" {
		t.Errorf("%q %v", rest, err)
	}
	if status, _, _ := ask("/none"); status != http.StatusNotFound {
		t.Errorf("status %d", status)
	}
	_, _, body = ask("/broken")
	text, err := io.ReadAll(body)
	if err == nil || errors.Is(err, io.EOF) || !strings.HasPrefix(string(text), "half") {
		t.Errorf("an answer that was broken off is %q, %v", text, err)
	}
}
