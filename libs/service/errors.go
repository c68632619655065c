package service

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// huma makes its errors by these variables and has no other way to be told.
func init() {
	huma.ValidateStrictCasing = true // a field of another case is an unknown field
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return document{newProblem(status, message, errs)}
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := newProblem(status, message, errs)
		if r := requestFrom(ctx.Context()); r != nil && status == http.StatusInternalServerError && len(errs) > 0 {
			p = r.reply(p, errs[0])
		}
		for name, values := range p.GetHeaders() {
			ctx.SetHeader(name, values[0])
		}
		return document{p}
	}
}

// What is said where a part that a request rests on is away: the database, the
// store, the broker.
var (
	unavailable = problem.Unavailable("unavailable", "a part of the system cannot be reached; nothing was recorded, repeat with the same key in a moment")
	unanswered  = &problem.Error{
		Status: http.StatusBadGateway, Code: "unanswered",
		Detail: "a part of the system went away in the middle of this; whether all of it was recorded is not known here, repeat with the same key",
	}
)

// reply is what a caller is told of an error, of which p is what is known. It
// keeps for the log what the caller is not told, and says that nothing was
// recorded only where nothing was handed over.
func (r *request) reply(p *problem.Error, err error) *problem.Error {
	if p == problem.Internal {
		r.err = err
		if passing(err) {
			p = unavailable
		}
	}
	if p.Status == http.StatusServiceUnavailable && r.handedOver.Load() {
		p = unanswered
	}
	return p
}

// passing says whether an error is one of a part that is away, and may be gone
// in a moment.
func passing(err error) bool { return errors.Is(err, es.ErrUnavailable) || readmodel.Passing(err) }

// Noting is a committer for the commands of requests: a request in which it
// handed over a commit is never answered that nothing was recorded.
func Noting(c es.Committer) es.Committer { return noting{c} }

type noting struct{ es.Committer }

// Commit implements es.Committer.
func (n noting) Commit(ctx context.Context, c es.Commit) (es.Outcome, error) {
	outcome, err := n.Committer.Commit(ctx, c)
	if r := requestFrom(ctx); r != nil && !errors.Is(err, es.ErrNotSent) {
		r.handedOver.Store(true)
	}
	return outcome, err
}

// document is a problem that tells huma the schema it is written by.
type document struct{ *visible }

type visible = problem.Error // embedded, so its method Error is not hidden by a field of that name

// Schema implements huma.SchemaProvider.
func (document) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[problemDocument](), true, "")
}

// problemDocument gives the schema its name.
type problemDocument problem.Document

// newProblem translates what huma found wrong, or what an operation returned.
func newProblem(status int, message string, errs []error) *problem.Error {
	if status == http.StatusInternalServerError {
		if strings.HasPrefix(message, "cannot read request body") {
			return problem.Invalid("body-cut-off", "the body ended before it was complete")
		}
		for _, err := range errs {
			if p, visible := problem.From(err); visible {
				return p
			}
		}
		return problem.Internal
	}
	switch status {
	case http.StatusRequestEntityTooLarge:
		return problem.TooLarge("too-large", message)
	case http.StatusRequestTimeout:
		return &problem.Error{Status: status, Code: "body-too-slow", Detail: message}
	case http.StatusUnsupportedMediaType:
		return &problem.Error{Status: status, Code: "unsupported-media-type", Detail: "send application/json"}
	case http.StatusNotAcceptable:
		return &problem.Error{Status: status, Code: "not-acceptable", Detail: "this is served as application/json"}
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
	default:
		return &problem.Error{Status: status, Code: strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "-"), Detail: message}
	}

	// A body that is no JSON is as wrong as one with a wrong field: 422 too.
	p := problem.Invalid("invalid", message)
	if status == http.StatusBadRequest {
		p.Code = "malformed"
	}
	for _, err := range errs {
		f := field(err)
		if f.Detail == controlRefused {
			p.Code = "invalid"
		}
		p.Fields = append(p.Fields, f)
	}
	switch {
	case len(p.Fields) == 1:
		p.Detail = p.Fields[0].Name + ": " + p.Fields[0].Detail
	case len(p.Fields) == 0 && message == "request body is required":
		p.Fields = []problem.Field{{Name: "body", Code: missing, Detail: isMissing}}
	}
	return p
}

// What a field lacks where it is not there at all, and where it cannot be read.
const (
	missing   = "missing"
	isMissing = "is missing"
	malformed = "malformed"
)

// kinds are the codes of what huma says of a field: it has sentences only. The
// first that a sentence begins with is meant.
var kinds = []struct{ begins, code string }{
	{validation.MsgUnexpectedProperty, "not-asked"},
	{validation.MsgExpectedRFC3339DateTime, "not-a-time"},
	{validation.MsgExpectedRFC3339Date, "not-a-day"},
	{validation.MsgExpectedOneOf, "not-one-of"},
	{validation.MsgExpectedMinLength, "too-short"},
	{validation.MsgExpectedMaxLength, "too-long"},
	{validation.MsgExpectedMinItems, "too-few"},
	{validation.MsgExpectedMaxItems, "too-many"},
	{validation.MsgExpectedArrayItemsUnique, "duplicate"},
	{validation.MsgExpectedMinimumNumber, "too-small"},
	{validation.MsgExpectedExclusiveMinimumNumber, "too-small"},
	{validation.MsgExpectedMaximumNumber, "too-large"},
	{validation.MsgExpectedExclusiveMaximumNumber, "too-large"},
}

// kind is the code of what huma says of a field, and the bound that it names.
func kind(message string) (code, bound string) {
	for _, k := range kinds {
		begins, bounded, _ := strings.Cut(k.begins, "%")
		rest, found := strings.CutPrefix(message, begins)
		switch {
		case !found:
		case bounded == "" || k.code == "not-one-of":
			return k.code, ""
		case k.code == "too-short" && rest == "1":
			return missing, ""
		default:
			return k.code, rest
		}
	}
	return malformed, ""
}

// field names what is wrong by its path within the body, or by the name of the
// parameter. The value itself is not repeated: it may be personal.
func field(err error) problem.Field {
	detailer, ok := err.(huma.ErrorDetailer) // as huma itself looks at them
	if !ok {
		return problem.Field{Name: "body", Code: malformed, Detail: err.Error()}
	}
	d := detailer.ErrorDetail()
	f := problem.Field{Name: d.Location, Detail: strings.TrimPrefix(d.Message, "json: ")}
	f.Code, f.Bound = kind(d.Message)
	if path, ok := strings.CutPrefix(d.Message, holdsControl); ok {
		return problem.Field{Name: path, Code: "control-character", Detail: controlRefused}
	}
	// Of a missing property huma tells the place it is missing from.
	if name, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		if name, ok = strings.CutSuffix(name, " to be present"); ok {
			f.Name, f.Code, f.Detail = f.Name+"."+name, missing, isMissing
		}
	}
	if strings.HasPrefix(d.Message, "required ") && strings.HasSuffix(d.Message, " parameter is missing") {
		f.Code, f.Detail = missing, isMissing
	}
	for _, place := range []string{"body.", "path.", "query.", "header."} {
		if name, ok := strings.CutPrefix(f.Name, place); ok {
			f.Name = name
			break
		}
	}
	return f
}
