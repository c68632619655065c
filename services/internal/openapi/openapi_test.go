package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestTheDocumentsAreThoseOfTheCodeAndKeepTheirPromises(t *testing.T) {
	made, err := documents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept, err := committed(folder)
	if err != nil {
		t.Fatal(err)
	}
	if broken := breaks(kept, made); len(broken) > 0 {
		t.Fatal(complaint(broken))
	}
	for name := range made {
		if !bytes.Equal(made[name], kept[name]) {
			t.Errorf("contracts/openapi/%s.json is not what the code says: make generate", name)
		}
	}
}

// before is a document to change: one query, and one command with a body.
const before = `{
  "paths": {
    "/estates": {
      "get": {
        "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer"}}],
        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Estate"}}}}}
      },
      "post": {
        "security": [{"token": []}],
        "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Wish"}}}},
        "responses": {"201": {}, "202": {}, "409": {}}
      }
    }
  },
  "components": {"schemas": {
    "Estate": {"type": "object", "required": ["id"], "properties": {
      "id": {"type": "string"}, "area": {"type": "integer"}, "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Estate"}}}},
    "Wish": {"type": "object", "required": ["name"], "properties": {
      "name": {"type": "string"}, "use": {"type": "string", "enum": ["home", "shop"]}}}
  }}
}`

func TestWhatBreaksAClientIsFound(t *testing.T) {
	for name, test := range map[string]struct{ old, new, want string }{
		"nothing changed": {``, ``, ``},
		"a new path":      {`"/estates": {`, `"/units": {"get": {}}, "/estates": {`, ``},
		"a path is gone":  {`"/estates": {`, `"/places": {`, `GET /estates is gone, POST /estates is gone`},
		"a method is gone": {`"post": {`, `"put": {`,
			`POST /estates is gone`},
		"a query needs a token": {`"parameters": [`, `"security": [{"token": []}], "parameters": [`,
			`GET /estates now needs a token`},
		"a parameter is gone": {`{"name": "limit", "in": "query", "schema": {"type": "integer"}}`, ``,
			`GET /estates no longer takes query limit`},
		"a parameter became required": {`"in": "query",`, `"in": "query", "required": true,`,
			`GET /estates now requires query limit`},
		"a new optional parameter": {`"parameters": [`, `"parameters": [{"name": "after", "in": "query"},`, ``},
		"a new required parameter": {`"parameters": [`, `"parameters": [{"name": "after", "in": "query", "required": true},`,
			`GET /estates now requires query after`},
		"a place in the path is told of": {`"parameters": [`, `"parameters": [{"name": "estate", "in": "path", "required": true},`, ``},
		"a parameter takes less": {`"schema": {"type": "integer"}`, `"schema": {"type": "boolean"}`,
			`GET /estates query limit is boolean, was integer`},
		"a parameter takes more": {`"schema": {"type": "integer"}`, `"schema": {"type": "number"}`, ``},
		"an answer is gone":      {`"202": {}, `, ``, `POST /estates no longer answers 202`},
		"a failure is gone":      {`, "409": {}`, ``, ``},
		"an answer lacks a field": {`"area": {"type": "integer"}, `, ``,
			`Estate has no area any more`},
		"an answer may lack a field": {`"required": ["id"]`, `"required": []`, `Estate may now lack id`},
		"an answer has a new field":  {`"id": {"type": "string"}`, `"id": {"type": "string"}, "city": {"type": "string"}`, ``},
		"an answer is of another type": {`"area": {"type": "integer"}`, `"area": {"type": ["integer", "null"]}`,
			`Estate.area is integer or null, was integer`},
		"a body requires a field": {`"required": ["name"]`, `"required": ["name", "use"]`, `Wish now requires use`},
		"a body's field is gone":  {`"name": {"type": "string"}, `, ``, `Wish has no name any more`},
		"a body's value is gone":  {`["home", "shop"]`, `["home"]`, `Wish.use can no longer be shop`},
		"a body's new value":      {`["home", "shop"]`, `["home", "shop", "parking"]`, ``},
		"a body is of another type": {`{"type": "string", "enum": ["home", "shop"]}`, `{"type": "integer"}`,
			`Wish.use is integer, was string`},
		"no document": {before, `[]`, `the new document cannot be read`},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(before, test.old) {
				t.Fatal("the test changes nothing")
			}
			found := Breaks([]byte(before), []byte(strings.Replace(before, test.old, test.new, 1)))
			if got := strings.Join(found, ", "); got != test.want && (test.want == "" || !strings.HasPrefix(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAServiceThatIsGoneBreaksItsClients(t *testing.T) {
	old := map[string][]byte{"votes": []byte(before)}
	if got := breaks(old, map[string][]byte{}); !slices.Equal(got, []string{"votes is gone"}) {
		t.Errorf("got %q", got)
	}
	if got := breaks(old, map[string][]byte{"votes": []byte(before), "polls": []byte(before)}); len(got) > 0 {
		t.Errorf("a new service: %q", got)
	}
}
