package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every golden file must be what its schema says: no field that the schema
// lacks, none missing that it requires, each of the type it says.
func TestSchemasDescribeWhatIsStored(t *testing.T) {
	root, err := findRoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := generate(root)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range contexts() {
		for name := range c.types {
			var schema definition
			if err := json.Unmarshal(files[filepath.Join(schemas, c.name, name+".json")], &schema); err != nil {
				t.Fatal(err)
			}
			golden, err := os.ReadFile(filepath.Join(root, "contracts", c.name, "testdata", "events", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var event any
			if err := json.Unmarshal(golden, &event); err != nil {
				t.Fatal(err)
			}
			for _, mistake := range schema.check(name, event, schema.Defs) {
				t.Error(mistake)
			}
			checked++
		}
	}
	if checked == 0 {
		t.Fatal("nothing was checked")
	}
}

// definition is as much of JSON Schema as the generator writes.
type definition struct {
	Type       any
	Ref        string `json:"$ref"`
	Properties map[string]definition
	Required   []string
	Items      *definition
	Enum       []string
	Defs       map[string]definition `json:"$defs"`
}

func (d definition) check(at string, value any, defs map[string]definition) (mistakes []string) {
	if d.Ref != "" {
		return defs[strings.TrimPrefix(d.Ref, "#/$defs/")].check(at, value, defs)
	}
	kind := ""
	switch v := value.(type) {
	case map[string]any:
		kind = "object"
		for _, name := range d.Required {
			if _, ok := v[name]; !ok {
				mistakes = append(mistakes, at+" lacks "+name)
			}
		}
		for name, inner := range v {
			property, ok := d.Properties[name]
			if !ok {
				mistakes = append(mistakes, at+" has "+name)
				continue
			}
			mistakes = append(mistakes, property.check(at+"."+name, inner, defs)...)
		}
	case []any:
		kind = "array"
		for _, inner := range v {
			mistakes = append(mistakes, d.Items.check(at+"[]", inner, defs)...)
		}
	case string:
		kind = "string"
		listed := len(d.Enum) == 0
		for _, e := range d.Enum {
			listed = listed || e == v
		}
		if !listed {
			mistakes = append(mistakes, at+" is "+v)
		}
	case float64:
		kind = "integer"
	case bool:
		kind = "boolean"
	}
	switch want := d.Type.(type) {
	case string:
		if want != kind {
			mistakes = append(mistakes, at+" is of type "+kind)
		}
	case []any:
		if want[0] != kind {
			mistakes = append(mistakes, at+" is of type "+kind)
		}
	default:
		mistakes = append(mistakes, at+" has no type")
	}
	return mistakes
}
