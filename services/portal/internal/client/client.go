// Package client calls the HTTP API of the services and decodes its answers.
//
// It holds no rule of its own: what a page shows is what an answer says. Money
// is in fen, areas are in hundredths of a square metre, as everywhere; rates in
// percent, which the API also gives as decimal fractions, are not read: pages
// work them out from whole numbers.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/libs/problem"
)

// base is the address in the requests of [InProcess]; it is never resolved.
const base = "http://api.internal/api/v1"

// maxAnswer bounds what is read of one answer.
const maxAnswer = 32 << 20

// Client calls the API. The zero value is of no use; see [New].
type Client struct{ transport http.RoundTripper }

// New returns a client that reaches the whole of /api/v1 through transport.
func New(transport http.RoundTripper) *Client { return &Client{transport} }

// Caller is on whose behalf a call is made, and from when on they must be answered.
type Caller struct {
	Token    string // empty for what needs no login
	Position uint64 // what the caller wrote last; 0 for any
	Language string // for Accept-Language
}

// Answer is what a body says of the ledger beside its own content.
type Answer struct {
	Position uint64  // up to which the answer knows the ledger; 0 where it does not say
	Signed   *Signed // of a figure; nil where it does not say
}

// Recorded is the answer to a command.
type Recorded struct {
	ID       string       `json:"id"`
	Stream   string       `json:"stream"`
	Revision uint64       `json:"revision"`
	Position uint64       `json:"position"`
	Repeated bool         `json:"repeated"`
	Taken    []string     `json:"taken"`    // of a ballot: motions on which it was taken
	Refused  []BallotPart `json:"refused"`  // and on which not, by reason: one event each, after the one of what was taken
	Became   string       `json:"became"`   // of a paper that was entered: waiting, settled or disputed
	Disputed []string     `json:"disputed"` // motions on which its readings differ
	// Pending is the path of the operation (/api/v1/operations/…) where the
	// answer was 202: it may or may not be recorded yet.
	Pending string `json:"-"`
}

// Get reads path (below /api/v1) into body.
func (c *Client) Get(ctx context.Context, who Caller, path string, query url.Values, body any) (Answer, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	resp, err := c.do(ctx, who, http.MethodGet, path, "", nil)
	if err != nil {
		return Answer{}, err
	}
	if err := json.Unmarshal(resp.body, body); err != nil {
		return Answer{}, fmt.Errorf("answer to GET %s: %w", path, err)
	}
	answer := Answer{}
	answer.Position, _ = strconv.ParseUint(resp.header.Get("Yimu-Position"), 10, 64)
	if answer.Position == 0 {
		// Where the answer has no header its body may say; a list has neither.
		var in struct {
			Position uint64 `json:"position"`
		}
		_ = json.Unmarshal(resp.body, &in)
		answer.Position = in.Position
	}
	return answer, nil
}

// Command sends a command. The same key and body may be sent again at any time:
// it is recorded once.
func (c *Client) Command(ctx context.Context, who Caller, method, path, key string, body any) (Recorded, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return Recorded{}, err
	}
	// Once a command is on its way the reader's impatience must not tear it down.
	resp, err := c.do(context.WithoutCancel(ctx), who, method, path, key, encoded)
	if err != nil {
		return Recorded{}, err
	}
	var out Recorded
	if len(resp.body) > 0 {
		if err := json.Unmarshal(resp.body, &out); err != nil {
			return Recorded{}, fmt.Errorf("answer to %s %s: %w", method, path, err)
		}
	}
	if resp.status == http.StatusAccepted {
		out.Pending = resp.header.Get("Location")
	}
	if out.Position == 0 {
		out.Position, _ = strconv.ParseUint(resp.header.Get("Yimu-Position"), 10, 64)
	}
	return out, nil
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (c *Client) do(ctx context.Context, who Caller, method, path, key string, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Accept", "application/json, application/problem+json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if who.Token != "" {
		req.Header.Set("Authorization", "Bearer "+who.Token)
	}
	if who.Position > 0 {
		req.Header.Set("Yimu-Position", strconv.FormatUint(who.Position, 10))
	}
	if who.Language != "" {
		req.Header.Set("Accept-Language", who.Language)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		if ctx.Err() != nil {
			return answer{}, ctx.Err()
		}
		return answer{}, errors.Join(problem.Unavailable("service-unreachable", "the service that answers this cannot be reached"), err)
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, fmt.Errorf("reading the answer to %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 400 {
		return answer{}, refusal(resp.StatusCode, read)
	}
	return answer{resp.StatusCode, resp.Header, read}, nil
}

// refusal reads a problem document; an answer that is none keeps its status.
func refusal(status int, body []byte) error {
	var p problem.Error
	if err := json.Unmarshal(body, &p); err != nil || p.Code == "" {
		p = problem.Error{Code: strings.ToLower(strings.ReplaceAll(http.StatusText(status), " ", "-"))}
	}
	p.Status = status
	return &p
}

// InProcess is a transport to a handler in this process: no socket, no copy of
// the protocol.
func InProcess(h http.Handler) http.RoundTripper { return inProcess{h} }

type inProcess struct{ handler http.Handler }

func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &recorder{header: http.Header{}}
	r.RequestURI = r.URL.RequestURI()
	t.handler.ServeHTTP(w, r)
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return &http.Response{
		StatusCode: w.status, Header: w.header, Request: r,
		Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// recorder keeps one answer in memory.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header { return w.header }

func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && status >= 200 { // 1xx are not the answer
		w.status = status
	}
}

func (w *recorder) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(b)
}
