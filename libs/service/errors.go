package service

import (
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/problem"
)

// huma makes its errors by these variables and has no other way to be told.
func init() {
	huma.ValidateStrictCasing = true // a field of another case is an unknown field
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return document{newProblem(status, message, errs)}
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := newProblem(status, message, errs)
		if r := requestFrom(ctx.Context()); r != nil && p == problem.Internal && len(errs) > 0 {
			r.err = errs[0]
		}
		for name, values := range p.GetHeaders() {
			ctx.SetHeader(name, values[0])
		}
		return document{p}
	}
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
		p.Fields = []problem.Field{{Name: "body", Detail: "is missing"}}
	}
	return p
}

// field names what is wrong by its path within the body, or by the name of the
// parameter. The value itself is not repeated: it may be personal.
func field(err error) problem.Field {
	detailer, ok := err.(huma.ErrorDetailer) // as huma itself looks at them
	if !ok {
		return problem.Field{Name: "body", Detail: err.Error()}
	}
	d := detailer.ErrorDetail()
	f := problem.Field{Name: d.Location, Detail: strings.TrimPrefix(d.Message, "json: ")}
	if path, ok := strings.CutPrefix(d.Message, holdsControl); ok {
		return problem.Field{Name: path, Detail: controlRefused}
	}
	// Of a missing property huma tells the place it is missing from.
	if name, ok := strings.CutPrefix(d.Message, "expected required property "); ok {
		if name, ok = strings.CutSuffix(name, " to be present"); ok {
			f.Name, f.Detail = f.Name+"."+name, "is missing"
		}
	}
	if strings.HasPrefix(d.Message, "required ") && strings.HasSuffix(d.Message, " parameter is missing") {
		f.Detail = "is missing"
	}
	for _, place := range []string{"body.", "path.", "query.", "header."} {
		if name, ok := strings.CutPrefix(f.Name, place); ok {
			f.Name = name
			break
		}
	}
	return f
}
