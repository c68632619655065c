package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Breaks compares two OpenAPI documents as this project's code writes them, and
// says what a client of the old one could trip over in the new one: an
// operation, parameter, answer or field that is gone, something that is now
// required or needs a token, another type, a value no longer taken. It does not
// compare lengths and limits.
func Breaks(old, new []byte) []string {
	c := comparison{compared: map[string]bool{}}
	if err := json.Unmarshal(old, &c.old); err != nil {
		return []string{"the old document cannot be read: " + err.Error()}
	}
	if err := json.Unmarshal(new, &c.new); err != nil {
		return []string{"the new document cannot be read: " + err.Error()}
	}
	for _, path := range sorted(c.old.Paths) {
		for _, method := range sorted(c.old.Paths[path]) {
			at := strings.ToUpper(method) + " " + path
			if is, ok := c.new.Paths[path][method]; ok {
				c.operation(at, c.old.Paths[path][method], is)
			} else {
				c.say("%s is gone", at)
			}
		}
	}
	return c.found
}

// spec is as much of OpenAPI 3.1 as is compared.
type spec struct {
	Paths      map[string]map[string]operation
	Components struct{ Schemas map[string]schema }
}

type operation struct {
	Parameters  []parameter
	RequestBody *struct {
		Required bool
		Content  contents
	}
	Responses map[string]struct{ Content contents }
	Security  []map[string][]string
}

type parameter struct {
	Name, In string
	Required bool
	Schema   schema
}

func (p parameter) same(q parameter) bool { return p.Name == q.Name && p.In == q.In }

// contents are schemas by media type.
type contents map[string]struct{ Schema schema }

type schema struct {
	Ref        string `json:"$ref"`
	Type       types
	Properties map[string]schema
	Required   []string
	Items      *schema
	Enum       []any
}

// types is one type or several; none is any.
type types []string

func (t *types) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		*t = make(types, 1)
		return json.Unmarshal(b, &(*t)[0])
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// direction is who writes what a schema describes: a client must go on being
// understood in what it asks, and must go on understanding what is answered.
type direction string

const (
	asked    direction = "asked"
	answered direction = "answered"
)

type comparison struct {
	old, new spec
	found    []string
	compared map[string]bool // named schemas, by direction; they may hold themselves
}

func (c *comparison) say(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *comparison) operation(at string, was, is operation) {
	if len(was.Security) == 0 && len(is.Security) > 0 {
		c.say("%s now needs a token", at)
	}
	for _, p := range was.Parameters {
		if i := slices.IndexFunc(is.Parameters, p.same); i >= 0 {
			c.schema(at+" "+p.In+" "+p.Name, asked, p.Schema, is.Parameters[i].Schema)
		} else {
			c.say("%s no longer takes %s %s", at, p.In, p.Name)
		}
	}
	for _, p := range is.Parameters {
		i := slices.IndexFunc(was.Parameters, p.same)
		if p.Required && p.In != "path" && (i < 0 || !was.Parameters[i].Required) { // a place in the path is in the path
			c.say("%s now requires %s %s", at, p.In, p.Name)
		}
	}
	switch {
	case was.RequestBody == nil && is.RequestBody != nil && is.RequestBody.Required:
		c.say("%s now requires a body", at)
	case was.RequestBody != nil && is.RequestBody == nil:
		c.say("%s no longer takes a body", at)
	case was.RequestBody != nil:
		if is.RequestBody.Required && !was.RequestBody.Required {
			c.say("%s now requires a body", at)
		}
		c.contents(at, asked, was.RequestBody.Content, is.RequestBody.Content)
	}
	for _, status := range sorted(was.Responses) {
		answer, ok := is.Responses[status]
		if !ok {
			if strings.HasPrefix(status, "2") {
				c.say("%s no longer answers %s", at, status)
			}
			continue
		}
		c.contents(at+" "+status, answered, was.Responses[status].Content, answer.Content)
	}
}

func (c *comparison) contents(at string, d direction, was, is contents) {
	for _, kind := range sorted(was) {
		if _, ok := is[kind]; ok {
			c.schema(at, d, was[kind].Schema, is[kind].Schema)
		} else {
			c.say("%s: %s is no longer %s", at, kind, d)
		}
	}
}

func (c *comparison) schema(at string, d direction, was, is schema) {
	if was.Ref != "" || is.Ref != "" {
		pair := string(d) + was.Ref + " " + is.Ref
		if c.compared[pair] {
			return
		}
		c.compared[pair] = true
		if was.Ref != "" {
			at, was = named(was.Ref), c.old.Components.Schemas[named(was.Ref)]
		}
		if is.Ref != "" {
			is = c.new.Components.Schemas[named(is.Ref)]
		}
	}
	// What is asked must fit the new schema where it fitted the old; what is
	// answered must fit the old where it fits the new.
	narrow, wide := was, is
	if d == answered {
		narrow, wide = is, was
	}
	if !narrow.Type.within(wide.Type) {
		c.say("%s is %s, was %s", at, is.Type, was.Type)
		return
	}
	if d == asked && len(is.Enum) > 0 {
		for _, v := range was.Enum {
			if !slices.Contains(is.Enum, v) {
				c.say("%s can no longer be %v", at, v)
			}
		}
		if len(was.Enum) == 0 {
			c.say("%s can now only be one of %v", at, is.Enum)
		}
	}
	for _, name := range sorted(was.Properties) {
		if _, ok := is.Properties[name]; !ok {
			c.say("%s has no %s any more", at, name)
			continue
		}
		if d == answered && slices.Contains(was.Required, name) && !slices.Contains(is.Required, name) {
			c.say("%s may now lack %s", at, name)
		}
		c.schema(at+"."+name, d, was.Properties[name], is.Properties[name])
	}
	for _, name := range is.Required {
		if d == asked && !slices.Contains(was.Required, name) {
			c.say("%s now requires %s", at, name)
		}
	}
	if was.Items != nil && is.Items != nil {
		c.schema(at+"[]", d, *was.Items, *is.Items)
	}
}

// within says whether everything of these types is of those.
func (t types) within(those types) bool {
	if len(those) == 0 {
		return true
	}
	if len(t) == 0 {
		return false
	}
	for _, one := range t {
		if !slices.Contains(those, one) && (one != "integer" || !slices.Contains(those, "number")) {
			return false
		}
	}
	return true
}

func (t types) String() string {
	if len(t) == 0 {
		return "anything"
	}
	return strings.Join(t, " or ")
}

func named(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
