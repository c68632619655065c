// Package problem carries an error's kind from where it is found to the HTTP
// edge, which renders it as application/problem+json (RFC 9457).
//
// An [Error] may be seen by a caller; every other error is internal, and its
// text never leaves the process. Codes, of a problem and of each wrong
// field, are stable and what programs and translations go by; details are English
// sentences for a person.
package problem

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Error is an error the caller may see.
type Error struct {
	Status int    // HTTP status
	Code   string // stable, in kebab case, e.g. "meeting-not-open"
	Detail string // what happened this time, for a person; never personal data
	Fields []Field
}

// Field says what is wrong with one field of a request.
type Field struct {
	Name   string `json:"name" doc:"As a path, e.g. choices[0].motion; of a header or a query parameter its name"`
	Code   string `json:"code" doc:"Stable name of what is wrong with it, e.g. too-early"`
	Detail string `json:"detail" doc:"What is wrong with it, for a person"`
	Bound  string `json:"bound,omitempty" doc:"What it was measured against, where a program may want it: a number, a day, a time"`
	Source string `json:"source,omitempty" doc:"The law or the rules that set the bound"`
}

// Invalid says the request can never succeed as it is (422).
func Invalid(code, detail string, fields ...Field) *Error {
	return &Error{http.StatusUnprocessableEntity, code, detail, fields}
}

// Conflict says the request does not fit the present state (409).
func Conflict(code, detail string) *Error { return &Error{http.StatusConflict, code, detail, nil} }

// NotFound says there is no such thing (404).
func NotFound(code, detail string) *Error { return &Error{http.StatusNotFound, code, detail, nil} }

// Forbidden says this caller may not do it (403).
func Forbidden(code, detail string) *Error { return &Error{http.StatusForbidden, code, detail, nil} }

// Unauthorized says it is not known who asks (401).
func Unauthorized(code, detail string) *Error {
	return &Error{http.StatusUnauthorized, code, detail, nil}
}

// TooLarge says the request is over a limit of size (413).
func TooLarge(code, detail string) *Error {
	return &Error{http.StatusRequestEntityTooLarge, code, detail, nil}
}

// TooMany says the caller asks too often (429).
func TooMany(code, detail string) *Error {
	return &Error{http.StatusTooManyRequests, code, detail, nil}
}

// Unavailable says nothing was done, and that the same request may succeed a
// moment later (503).
func Unavailable(code, detail string) *Error {
	return &Error{http.StatusServiceUnavailable, code, detail, nil}
}

// Internal is all that a caller learns of any other error (500).
var Internal = &Error{http.StatusInternalServerError, "internal", "something went wrong here; the operator's log says what", nil}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Detail }

// Is compares codes, so that a test or a caller can say which problem it
// means: errors.Is(err, problem.Conflict("meeting-not-open", "")).
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Document is how an Error is written: RFC 9457's problem details object. The code is a member of its
// own beside the type, and so is the list of fields.
type Document struct {
	Type   string  `json:"type" doc:"urn:yimu: and the code"`
	Title  string  `json:"title" doc:"The code in words; the same for every occurrence"`
	Status int     `json:"status" doc:"HTTP status"`
	Code   string  `json:"code" doc:"Stable name of the kind of problem"`
	Detail string  `json:"detail,omitempty" doc:"What happened this time, for a person"`
	Errors []Field `json:"errors,omitempty" doc:"What is wrong with which field"`
}

// MarshalJSON renders the problem details object.
func (e *Error) MarshalJSON() ([]byte, error) {
	title := strings.ReplaceAll(e.Code, "-", " ")
	if title != "" {
		title = strings.ToUpper(title[:1]) + title[1:]
	}
	return json.Marshal(Document{"urn:yimu:" + e.Code, title, e.Status, e.Code, e.Detail, e.Fields})
}

// UnmarshalJSON reads a problem details object, for clients of the API.
func (e *Error) UnmarshalJSON(b []byte) error {
	var d Document
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	if d.Code == "" {
		d.Code = strings.TrimPrefix(d.Type, "urn:yimu:")
	}
	*e = Error{d.Status, d.Code, d.Detail, d.Errors}
	return nil
}

// From returns what of err a caller may see. False means err is internal: log
// it and answer [Internal]. es.ErrPending is no problem (the answer is 202).
func From(err error) (*Error, bool) {
	var tooLong *http.MaxBytesError
	if p, ok := errors.AsType[*Error](err); ok {
		return p, true
	}
	switch {
	case errors.Is(err, es.ErrKeyReused):
		return Invalid("key-reused", "this idempotency key was used for another request",
			Field{Name: "Idempotency-Key", Code: "used", Detail: "was used for another request"}), true
	case errors.Is(err, es.ErrConflict), errors.Is(err, es.ErrWrongRevision):
		return Conflict("conflict", "others kept changing this at the same time; look at it again and repeat"), true
	case errors.Is(err, es.ErrNotSent):
		return Unavailable("not-sent", "the ledger cannot be reached; nothing was recorded, repeat with the same key"), true
	case errors.Is(err, es.ErrTooLarge):
		return TooLarge("too-large", "an event may hold 64 KiB and a command 512 KiB"), true
	case errors.As(err, &tooLong):
		return TooLarge("too-large", "the body is over the limit of this operation"), true
	}
	return Internal, false
}

// Write renders err. It does not log: who calls it knows the request.
func Write(w http.ResponseWriter, err error) {
	p, _ := From(err)
	body, _ := json.Marshal(p) // strings and numbers: cannot fail
	h := w.Header()
	for name, values := range p.GetHeaders() {
		h[name] = values
	}
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(body)
}

// Read reads an answer that Write gave; false where it is none.
func Read(resp *http.Response) (*Error, bool) {
	const most = 1 << 20 // bytes
	body, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	e := &Error{}
	if err := json.Unmarshal(body, e); err != nil || e.Code == "" {
		return nil, false
	}
	e.Status = resp.StatusCode
	return e, true
}

// ContentType of a problem document.
const ContentType = "application/problem+json"

// The methods below are what huma asks of an error, so that a handler returns
// an Error as it is; this package need not know huma for it.

// GetStatus returns the HTTP status.
func (e *Error) GetStatus() int { return e.Status }

// ContentType returns the media type of the document.
func (e *Error) ContentType(string) string { return ContentType }

// GetHeaders returns the headers that go with the status.
func (e *Error) GetHeaders() http.Header {
	switch e.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return http.Header{"Retry-After": {"1"}}
	case http.StatusUnauthorized:
		return http.Header{"Www-Authenticate": {`Bearer realm="yimu"`}}
	}
	return nil
}
