package main

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// everywhere is what these fields mean wherever no comment says otherwise.
var everywhere = map[string]string{
	"estate":    "id of the estate (小区)",
	"agreement": "id of the agreement",
	"order":     "id of the work order",
	"voucher":   "id of the voucher",
	"payment":   "id of the payment",
	"meeting":   "id of the meeting",
	"ballot":    "id of the ballot",
	"entry":     "number of the head in the roll",
	"person":    "random id of the person",
	"token":     "id of the token",
	"role":      "what is granted",
	"at":        "when it happened",
}

// field is one field of what is stored.
type field struct {
	name     string // in JSON
	kind     reflect.Type
	optional bool // left out where it is empty
	meaning  string
}

// fieldsOf returns the fields of a struct as they stand in JSON.
func (c context) fieldsOf(t reflect.Type) ([]field, error) {
	var all []field
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			inner, err := c.fieldsOf(f.Type)
			if err != nil {
				return nil, err
			}
			all = append(all, inner...)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		meaning := c.fields[t.Name()+"."+f.Name]
		if meaning == "" {
			meaning = everywhere[name]
		}
		if name == "" || meaning == "" {
			return nil, fmt.Errorf("generate: %s.%s.%s has no JSON name or no comment that says what it means", c.name, t.Name(), f.Name)
		}
		all = append(all, field{name, f.Type, options == "omitempty" || options == "omitzero", meaning})
	}
	return all, nil
}

// parts returns the structs a struct is made of, itself not among them, each
// once, in order.
func parts(t reflect.Type) []reflect.Type {
	var all []reflect.Type
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			inner := f.Type
			if inner.Kind() == reflect.Slice {
				inner = inner.Elem()
			}
			if inner.Kind() != reflect.Struct || inner == reflect.TypeFor[time.Time]() || seen[inner] {
				continue
			}
			if !f.Anonymous {
				seen[inner] = true
				all = append(all, inner)
			}
			walk(inner)
		}
	}
	walk(t)
	return all
}

// typeName says for a person what a field holds.
func typeName(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(t.Elem())
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t.PkgPath() == reflect.TypeFor[units.Day]().PkgPath(), t.PkgPath() == reflect.TypeFor[codec.Sealed]().PkgPath():
		return t.String() // agreements has a Rate too
	case t.PkgPath() != "":
		return t.Name()
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "whole number"
}

// schemaOf returns the JSON Schema of a type; structs are referred to by name.
func (c context) schemaOf(t reflect.Type) ordered {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return ordered{{"type", "string"}, {"format", "date-time"}}
	case t == reflect.TypeFor[units.Day]():
		return ordered{{"type", "string"}, {"format", "date"}}
	case t == reflect.TypeFor[units.Month]():
		return ordered{{"type", "string"}, {"pattern", `^[0-9]{4}-(0[1-9]|1[0-2])$`}}
	case t == reflect.TypeFor[codec.Sealed]():
		return ordered{{"type", "string"}, {"contentEncoding", "base64"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return ordered{{"$ref", "#/$defs/" + t.Name()}}
	case reflect.Slice: // a list that was never filled is stored as null
		return ordered{{"type", []string{"array", "null"}}, {"items", c.schemaOf(t.Elem())}}
	case reflect.Bool:
		return ordered{{"type", "boolean"}}
	case reflect.String:
		s := ordered{{"type", "string"}}
		if values := c.values[t.Name()]; len(values) > 0 {
			s = append(s, pair{"enum", values})
		}
		return s
	case reflect.Uint64:
		return ordered{{"type", "integer"}, {"minimum", 0}}
	case reflect.Int, reflect.Int64:
		return ordered{{"type", "integer"}}
	}
	panic("generate: no schema for " + t.String())
}
