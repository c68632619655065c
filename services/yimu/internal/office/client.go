package office

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/paper"
)

// How long the office is patient with a server that says "not now".
const (
	attempts = 12
	wait     = time.Second
	longest  = 10 * time.Second
)

// client speaks to one server as one caller. It carries the position of what
// it wrote to the next request, so that every step sees the one before it.
type client struct {
	server   string // without a slash at the end
	token    string
	http     *http.Client
	position es.Position
	reached  bool // the server has answered once
	pause    func(context.Context, time.Duration) error
}

// again is an answer after which the same request, with the same key, is worth
// another attempt.
type again struct {
	after time.Duration
	gone  bool // there was no answer, or not all of one
	err   error
}

func (a *again) Error() string { return a.err.Error() }
func (a *again) Unwrap() error { return a.err }

// patiently repeats what may be repeated.
func (c *client) patiently(ctx context.Context, do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		later, ok := errors.AsType[*again](err)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !ok:
			return err
		case attempt == attempts && later.gone:
			return fmt.Errorf("the server went away and did not come back; import the folder again once it runs, nothing is recorded twice: %w", later.err)
		case attempt == attempts:
			return fmt.Errorf("the server stayed busy: %w", later.err)
		}
		if err := c.pause(ctx, later.after); err != nil {
			return err
		}
	}
}

// request is one call below /api/v1.
type request struct {
	method, path string
	key          string // Idempotency-Key, of commands
	body         []byte
	header       map[string]string
}

// send makes one attempt. An answer of 300 or more is an error.
func (c *client) send(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.server+service.Prefix+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, value := range r.header {
		req.Header.Set(name, value)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	if c.position > 0 {
		req.Header.Set(service.PositionHeader, strconv.FormatUint(uint64(c.position), 10))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	c.reached = true
	if resp.StatusCode < http.StatusMultipleChoices {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, c.refusal(resp)
}

// unreachable says why there was no answer. A server that has answered before
// is perhaps being started again.
func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	err = fmt.Errorf("nothing answers at %s (%w); is yimu up running there?", c.server, err)
	if c.reached {
		return &again{wait, true, err}
	}
	return err
}

// refusal reads an answer that is no success.
func (c *client) refusal(resp *http.Response) error {
	p, ok := problem.Read(resp)
	if !ok {
		switch resp.StatusCode {
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			p = problem.Unavailable("unavailable", "the server cannot be reached at the moment")
		default:
			return fmt.Errorf("%s does not answer like a yimu server (%s)", c.server, resp.Status)
		}
		p.Status = resp.StatusCode
	}
	return c.judge(p, resp.Header.Get("Retry-After"))
}

// judge tells what is worth another attempt, and says for the office what a
// problem means.
func (c *client) judge(p *problem.Error, retryAfter string) error {
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		after := wait
		if s, err := strconv.Atoi(retryAfter); err == nil && s > 0 {
			after = min(time.Duration(s)*time.Second, longest)
		}
		return &again{after, false, p}
	case http.StatusUnauthorized:
		return fmt.Errorf("%s does not accept this token (%w); yimu token makes a new one", c.server, p)
	case http.StatusForbidden:
		return fmt.Errorf("this token may not do that (%w); it takes a clerk of the estate, or an administrator", p)
	}
	return p
}

// get reads a path into body, or says that there is nothing at it.
func (c *client) get(ctx context.Context, path string, body any) (found bool, err error) {
	err = c.patiently(ctx, func() error {
		resp, err := c.send(ctx, request{method: http.MethodGet, path: path})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if err := json.NewDecoder(resp.Body).Decode(body); err != nil {
			return fmt.Errorf("%s does not answer like a yimu server: %w", c.server, err)
		}
		return nil
	})
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// command sends a command until it is recorded, with the same key.
func (c *client) command(ctx context.Context, path, key string, body any) (done service.RecordedBody, err error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return done, err
	}
	if body == nil {
		encoded = nil
	}
	err = c.patiently(ctx, func() error {
		r := request{method: http.MethodPost, path: path, key: key, body: encoded}
		if body != nil {
			r.header = map[string]string{"Content-Type": "application/json"}
		}
		resp, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusAccepted {
			return &again{wait, false, problem.Unavailable("pending", "it is not known yet whether it was recorded")}
		}
		done = service.RecordedBody{}
		if err := json.NewDecoder(resp.Body).Decode(&done); err != nil {
			return fmt.Errorf("%s does not answer like a yimu server: %w", c.server, err)
		}
		c.position = max(c.position, done.Position)
		return nil
	})
	return done, err
}

// paper sends a paper, or with dry_run has it only checked, and returns the
// server's report.
// It may be sent any number of times: what is recorded already is unchanged.
func (c *client) paper(ctx context.Context, estate string, p file, query url.Values, tell func(done, total int)) (report *paper.Report, err error) {
	body, err := p.read()
	if err != nil {
		return nil, err
	}
	to := "/estates/" + estate + "/papers/" + p.kind
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	err = c.patiently(ctx, func() error {
		resp, err := c.send(ctx, request{method: http.MethodPost, path: to, body: body, header: map[string]string{
			"Content-Type":   mediaTypes[strings.ToLower(path.Ext(p.name))],
			"Accept":         paper.NDJSON,
			"Yimu-File-Name": url.PathEscape(p.name),
		}})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		report, err = c.follow(ctx, resp, tell)
		return err
	})
	if p, ok := errors.AsType[*problem.Error](err); ok && p.Status == http.StatusRequestEntityTooLarge {
		err = fmt.Errorf("the server takes no file of this size (%w)", p)
	}
	if err != nil {
		return nil, err
	}
	c.position = max(c.position, report.Position)
	return report, nil
}

// follow reads an answer line by line, up to its report.
func (c *client) follow(ctx context.Context, resp *http.Response, tell func(done, total int)) (*paper.Report, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if kind != paper.NDJSON {
		return nil, fmt.Errorf("%s does not answer like a yimu server (%s)", c.server, kind)
	}
	lines := json.NewDecoder(resp.Body)
	for {
		var line struct {
			Done    int            `json:"done"`
			Total   int            `json:"total"`
			Report  *paper.Report  `json:"report"`
			Problem *problem.Error `json:"problem"`
		}
		err := lines.Decode(&line)
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil: // cut off in the middle: the server ended, or the way to it
			return nil, &again{wait, true, fmt.Errorf("the answer of %s broke off: %w", c.server, err)}
		case line.Problem != nil:
			return nil, c.judge(line.Problem, "")
		case line.Report != nil:
			return line.Report, nil
		}
		tell(line.Done, line.Total)
	}
}
