// Package load puts a running system under load and measures it from outside:
// over HTTP, as everyone who uses it. It starts the system as a process of its
// own, fills it with an estate whose owners hold tokens, and casts their ballots.
//
// The generator shares the machine with what it measures, so it is cheap: a
// connection and a buffer per client, requests appended byte by byte, answers
// read no further than needed.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Figures are what a run of requests came to.
type Figures struct {
	Took      time.Duration
	Status    map[int]int     // answers by HTTP status
	Latencies []time.Duration // of every answer, sorted
	Problem   string          // the body of one of the answers that is no success
	Broken    error           // the first error of a connection; its request has no answer
}

// Answers counts the answers of a status.
func (f Figures) Answers(status int) int { return f.Status[status] }

// PerSecond is the rate of answers of a status.
func (f Figures) PerSecond(status int) float64 {
	return float64(f.Status[status]) / f.Took.Seconds()
}

// Quantile returns the latency that a share of the answers stayed within.
func (f Figures) Quantile(share float64) time.Duration {
	if len(f.Latencies) == 0 {
		return 0
	}
	return f.Latencies[min(int(share*float64(len(f.Latencies))), len(f.Latencies)-1)]
}

// Only says whether every request was answered with a status.
func (f Figures) Only(status int) error {
	if f.Broken != nil {
		return f.Broken
	}
	if n := f.Status[status]; n != len(f.Latencies) {
		return fmt.Errorf("of %d requests only %d were answered with %d: %v, such as %s", len(f.Latencies), n, status, f.Status, f.Problem)
	}
	return nil
}

// Press sends requests to a server, each client one after the other on a
// connection of its own, until there are no more or ctx ends; a request that
// is under way then is waited for. request appends the n-th request to a
// buffer and says whether there is one; answered, if not nil, gets its answer,
// whose body is only valid during the call. Both are called by many goroutines.
func Press(ctx context.Context, addr string, clients int, request func(buf []byte, n int) ([]byte, bool), answered func(n, status int, body []byte)) Figures {
	var (
		next    atomic.Int64
		wait    sync.WaitGroup
		results = make([]Figures, clients)
	)
	start := time.Now()
	for i := range clients {
		wait.Go(func() { results[i] = client(ctx, addr, &next, request, answered) })
	}
	wait.Wait()
	all := Figures{Took: time.Since(start), Status: map[int]int{}}
	for _, r := range results {
		for status, n := range r.Status {
			all.Status[status] += n
		}
		all.Latencies = append(all.Latencies, r.Latencies...)
		if all.Broken == nil {
			all.Broken = r.Broken
		}
		if r.Problem != "" {
			all.Problem = r.Problem
		}
	}
	slices.Sort(all.Latencies)
	return all
}

func client(ctx context.Context, addr string, next *atomic.Int64, request func([]byte, int) ([]byte, bool), answered func(int, int, []byte)) (f Figures) {
	f.Status = map[int]int{}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		f.Broken = err
		return f
	}
	defer func() { _ = conn.Close() }()
	in := bufio.NewReaderSize(conn, 4<<10)
	var out, body []byte
	for ctx.Err() == nil {
		n := int(next.Add(1) - 1)
		var more bool
		if out, more = request(out[:0], n); !more {
			return f
		}
		start := time.Now()
		if _, err := conn.Write(out); err != nil {
			f.Broken = err
			return f
		}
		status := 0
		if status, body, err = answer(in, body[:0]); err != nil {
			f.Broken = err
			return f
		}
		f.Latencies = append(f.Latencies, time.Since(start))
		f.Status[status]++
		if status >= 300 {
			f.Problem = string(body)
		}
		if answered != nil {
			answered(n, status, body)
		}
	}
	return f
}

var (
	errAnswer     = errors.New("load: not an answer of HTTP/1.1")
	contentLength = []byte("Content-Length: ")
	chunked       = []byte("Transfer-Encoding: chunked")
)

// answer reads one answer and appends its body to a buffer.
func answer(in *bufio.Reader, buf []byte) (status int, body []byte, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, buf, err
	}
	if len(line) < 13 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, buf, errAnswer
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, buf, errAnswer
	}
	length := 0
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return 0, buf, err
		}
		switch line = bytes.TrimSpace(line); {
		case len(line) == 0 && length < 0:
			rest, err := io.ReadAll(httputil.NewChunkedReader(in))
			if err != nil {
				return 0, buf, err
			}
			_, err = in.Discard(len("\r\n"))
			return status, append(buf, rest...), err
		case len(line) == 0:
			buf = slices.Grow(buf, length)[:length]
			_, err = io.ReadFull(in, buf)
			return status, buf, err
		case bytes.HasPrefix(line, contentLength):
			if length, err = strconv.Atoi(string(line[len(contentLength):])); err != nil {
				return 0, buf, errAnswer
			}
		case bytes.Equal(line, chunked):
			length = -1
		}
	}
}

// Request is a command as it is sent: to a path of the API, with a JSON body.
type Request struct{ Path, Token, Key, Body string }

// Append appends the bytes of the request to an address.
func (r Request) Append(buf []byte, addr string) []byte {
	buf = append(append(append(buf, "POST /api/v1"...), r.Path...), " HTTP/1.1\r\nHost: "...)
	buf = append(append(append(buf, addr...), "\r\nAuthorization: Bearer "...), r.Token...)
	buf = append(append(append(buf, "\r\nIdempotency-Key: "...), r.Key...), "\r\nContent-Type: application/json\r\nContent-Length: "...)
	buf = append(strconv.AppendInt(buf, int64(len(r.Body)), 10), "\r\n\r\n"...)
	return append(buf, r.Body...)
}

// Get appends the bytes of a request for what is at a path of the API.
func Get(buf []byte, addr, path, token string) []byte {
	buf = append(append(append(buf, "GET /api/v1"...), path...), " HTTP/1.1\r\nHost: "...)
	return append(append(append(append(buf, addr...), "\r\nAuthorization: Bearer "...), token...), "\r\n\r\n"...)
}
