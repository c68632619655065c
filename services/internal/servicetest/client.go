package servicetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	contract "github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/paper"
)

// Client asks the API as someone.
type Client struct {
	Token string // none: not logged in
	s     *System
}

// URL is where the API answers, without /api/v1.
func (s *System) URL() string { return s.server.URL }

// Anyone is a client that is not logged in.
func (s *System) Anyone() *Client { return &Client{s: s} }

// As is a client with a token.
func (s *System) As(token string) *Client { return &Client{token, s} }

// With is a program with a role for an estate, or for all where none is named.
func (s *System) With(role contract.Role, estate string) *Client {
	s.t.Helper()
	return s.As(s.token(role, estate))
}

// Admin is an administrator of all estates.
func (s *System) Admin() *Client {
	s.t.Helper()
	if s.admin == "" {
		s.admin = s.token(contract.Administrator, "")
	}
	return s.As(s.admin)
}

// Person is a person who logged in.
func (s *System) Person(id string) *Client {
	s.t.Helper()
	token, _, err := s.Sessions.Start(s.t.Context(), id)
	s.must(err)
	return s.As(token)
}

// Someone registers a new person, grants them roles for an estate, and returns
// their id and them as a client.
func (s *System) Someone(estate string, roles ...contract.Role) (id string, c *Client) {
	s.t.Helper()
	id = s.Admin().Post("/people", map[string]any{
		"name": "某人", "document_kind": "身份证", "document": uuid.NewString(),
	}).Want(http.StatusCreated).ID()
	for _, role := range roles {
		s.Admin().Post("/people/"+id+"/roles", map[string]any{"role": role, "estate": estate}).Want(http.StatusCreated)
	}
	return id, s.Person(id)
}

// Estate founds an estate and returns its id.
func (s *System) Estate(name string) string {
	s.t.Helper()
	return s.Admin().Post("/estates", map[string]any{"name": name}).Want(http.StatusCreated).ID()
}

// Home is a unit with one owner.
type Home struct {
	Code, Unit, Owner string // code, and ids
}

// Homes registers delivered homes of 100 ㎡, each with an owner of its own.
func (s *System) Homes(estate string, codes ...string) []Home {
	s.t.Helper()
	units, titles := UnitHeadings, TitleHeadings
	for _, code := range codes {
		units += code + ",1,1," + code + ",住宅,100.00,登记,已交付\n"
		titles += code + ",业主,身份证," + estate + code + ",,1/1,是\n"
	}
	s.Admin().Import(estate, "units", "房屋清册.csv", units).Want(http.StatusOK)
	s.Admin().Import(estate, "titles", "业主名册.csv", titles).Want(http.StatusOK)
	homes := make([]Home, len(codes))
	for i, code := range codes {
		owner, ok, err := s.Vault.PersonByDocument(s.t.Context(), estate+code)
		s.must(err)
		if !ok {
			s.t.Fatalf("the owner of %s is not in the vault", code)
		}
		homes[i] = Home{code, uuid.NewSHA1(uuid.MustParse(estate), []byte("unit/"+code)).String(), owner}
	}
	return homes
}

// Headings of the papers that Homes imports.
const (
	UnitHeadings  = "房屋编号,楼栋,单元,房号,用途,专有部分面积(㎡),面积依据,交付状态\n"
	TitleHeadings = "房屋编号,业主姓名,证件类型,证件号,手机,份额,表决代表\n"
)

// Option changes a request.
type Option func(*http.Request)

// Key sends an idempotency key; an empty one sends none. Without this option
// each command has a new one.
func Key(key string) Option { return Header("Idempotency-Key", key) }

// At asks for what was read up to a position; 0 asks for whatever is there.
func At(position es.Position) Option {
	if position == 0 {
		return Header(service.PositionHeader, "")
	}
	return Header(service.PositionHeader, strconv.FormatUint(uint64(position), 10))
}

// Header sends a header, or with an empty value does not.
func Header(name, value string) Option {
	return func(r *http.Request) {
		r.Header.Del(name)
		if value != "" {
			r.Header.Set(name, value)
		}
	}
}

// Get asks for a path below /api/v1.
func (c *Client) Get(path string, options ...Option) *Answer {
	c.s.t.Helper()
	return c.Do(http.MethodGet, path, nil, options...)
}

// Post gives a command.
func (c *Client) Post(path string, body any, options ...Option) *Answer {
	c.s.t.Helper()
	return c.Do(http.MethodPost, path, body, options...)
}

// Put gives a command.
func (c *Client) Put(path string, body any, options ...Option) *Answer {
	c.s.t.Helper()
	return c.Do(http.MethodPut, path, body, options...)
}

// Delete gives a command.
func (c *Client) Delete(path string, options ...Option) *Answer {
	c.s.t.Helper()
	return c.Do(http.MethodDelete, path, nil, options...)
}

// Import sends in a paper.
func (c *Client) Import(estate, kind, file, content string, options ...Option) *Answer {
	c.s.t.Helper()
	options = append([]Option{Header("Content-Type", "text/csv"), Header("Yimu-File-Name", url.PathEscape(file))}, options...)
	return c.Do(http.MethodPost, "/estates/"+estate+"/papers/"+kind, content, options...)
}

// Do sends a request. body is sent as it is where it is a string, else as JSON. While
// the read models have not come as far as this client has seen it repeats it, as
// whoever asks is told to.
func (c *Client) Do(method, path string, body any, options ...Option) *Answer {
	t := c.s.t
	t.Helper()
	var content io.Reader
	kind := ""
	switch b := body.(type) {
	case nil:
	case string:
		content, kind = strings.NewReader(b), "application/json"
	default:
		text, err := json.Marshal(b)
		c.s.must(err)
		content, kind = bytes.NewReader(text), "application/json"
	}
	if !strings.HasPrefix(path, service.Prefix) {
		path = service.Prefix + path
	}
	r, err := http.NewRequestWithContext(t.Context(), method, c.s.server.URL+path, content)
	c.s.must(err)
	Header("Content-Type", kind)(r)
	At(es.Position(c.s.seen.Load()))(r)
	seen := r.Header.Get(service.PositionHeader)
	if c.Token != "" {
		r.Header.Set("Authorization", "Bearer "+c.Token)
	}
	if method != http.MethodGet {
		Key(uuid.NewString())(r)
	}
	for _, o := range options {
		o(r)
	}
	a := c.send(r)
	for tries := 0; tries < 20 && a.behind() && r.Header.Get(service.PositionHeader) == seen; tries++ {
		if r.GetBody != nil {
			r.Body, err = r.GetBody()
			c.s.must(err)
		}
		a = c.send(r)
	}
	var told struct {
		Position es.Position `json:"position"`
	}
	if method != http.MethodGet && json.Unmarshal(a.Body, &told) == nil {
		c.s.told(told.Position)
	}
	return a
}

func (c *Client) send(r *http.Request) *Answer {
	response, err := http.DefaultClient.Do(r)
	c.s.must(err)
	defer func() { _ = response.Body.Close() }()
	what := r.Method + " " + r.URL.RequestURI() + " at " + r.Header.Get(service.PositionHeader)
	a := &Answer{s: c.s, what: what, Status: response.StatusCode, Header: response.Header}
	a.Body, err = io.ReadAll(response.Body)
	c.s.must(err)
	return a
}

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	s    *System
	what string
}

// behind says whether the read models have not come as far as they were asked to, and
// the request is to be repeated.
func (a *Answer) behind() bool {
	return a.Status == http.StatusServiceUnavailable && bytes.Contains(a.Body, []byte(`"not-caught-up"`))
}

// Want ends the test where the status is another one.
func (a *Answer) Want(status int) *Answer {
	a.s.t.Helper()
	if a.Status != status {
		a.s.t.Fatalf("%s: status %d, want %d: %s", a.what, a.Status, status, a.Body)
	}
	return a
}

// Into reads the body; fields that the value does not have are left out.
func (a *Answer) Into(v any) *Answer {
	a.s.t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		a.s.t.Fatalf("%s: %v in %s", a.what, err, a.Body)
	}
	return a
}

// Recorded reads the answer to a command.
func (a *Answer) Recorded() (body service.RecordedBody) {
	a.s.t.Helper()
	a.Into(&body)
	return body
}

// ID is of what a command was about.
func (a *Answer) ID() string {
	a.s.t.Helper()
	body := a.Recorded()
	if body.ID == "" || a.Status == http.StatusCreated && body.Position == 0 {
		a.s.t.Fatalf("%s: recorded, but what or where is not told: %s", a.what, a.Body)
	}
	return body.ID
}

// Report reads the answer to a paper.
func (a *Answer) Report() *paper.Report {
	a.s.t.Helper()
	report := &paper.Report{}
	a.Into(report)
	return report
}

// Refused wants a problem document of this status and code that names exactly
// these fields, where any are given.
func (a *Answer) Refused(status int, code string, fields ...string) *Answer {
	a.s.t.Helper()
	a.Want(status)
	if kind := a.Header.Get("Content-Type"); kind != problem.ContentType {
		a.s.t.Fatalf("%s: content type %q, want a problem document: %s", a.what, kind, a.Body)
	}
	var p problem.Error
	a.Into(&p)
	var named []string
	for _, f := range p.Fields {
		named = append(named, f.Name)
	}
	named = slices.Compact(named) // one field may break two rules
	if p.Code != code || p.Status != status || len(fields) > 0 && !slices.Equal(named, fields) {
		a.s.t.Fatalf("%s: problem %s of fields %q, want %s of %q: %s", a.what, p.Code, named, code, fields, a.Body)
	}
	return a
}

// Items reads the items of a list.
func Items[T any](a *Answer) []T {
	a.s.t.Helper()
	var list struct {
		Items []T `json:"items"`
	}
	a.Into(&list)
	if list.Items == nil {
		a.s.t.Fatalf("%s: no items in %s", a.what, a.Body)
	}
	return list.Items
}

// String tells what was asked and answered, for messages.
func (a *Answer) String() string { return fmt.Sprintf("%s: %d %s", a.what, a.Status, a.Body) }
