package client

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// Piped is [InProcess] for answers that are too large to be held: they are read
// while the handler writes them.
func Piped(h http.Handler) http.RoundTripper { return piped{h} }

type piped struct{ handler http.Handler }

var errBrokenOff = errors.New("client: the answer was broken off")

func (t piped) RoundTrip(r *http.Request) (*http.Response, error) {
	read, write := io.Pipe()
	w := &pipe{header: http.Header{}, to: write, begun: make(chan struct{})}
	r.RequestURI = r.URL.RequestURI()
	go func() {
		defer func() {
			err := error(nil)
			if recover() != nil { // it is the handler's way to say that there is no more
				err = errBrokenOff
			}
			w.WriteHeader(http.StatusOK)
			write.CloseWithError(err)
		}()
		t.handler.ServeHTTP(w, r)
	}()
	<-w.begun
	return &http.Response{
		StatusCode: w.status, Header: w.sent, Request: r, Body: read, ContentLength: -1,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// pipe is the writer of one answer.
type pipe struct {
	header, sent http.Header
	status       int
	to           *io.PipeWriter
	once         sync.Once
	begun        chan struct{} // closed once status and sent are set
}

func (w *pipe) Header() http.Header { return w.header }

func (w *pipe) WriteHeader(status int) {
	if status < http.StatusOK { // 1xx are not the answer
		return
	}
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.begun)
	})
}

func (w *pipe) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.to.Write(b)
}

// Flush implements http.Flusher: nothing is held back.
func (w *pipe) Flush() {}
