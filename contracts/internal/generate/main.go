// Command generate writes what is made of the event types: docs/events.md for
// people, contracts/schemas and contracts/asyncapi.yaml for programs. Names
// and types come from the code itself, meanings from its comments, streams
// from the comments on the events' marker methods.
//
// It fails where a field is left without a meaning.
package main

import (
	"fmt"
	"log"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/contracts/workorders"
)

//go:generate go run .

// context is one part of the language and what its codec knows.
type context struct {
	name    string // of the package, and of the topic events.<name>
	emitter string // the service whose commands lead to these events
	types   map[string]reflect.Type
	names   []string // those of types and the old ones
	streams []string // prefixes it owns

	source
}

func contexts() []context {
	return []context{
		{name: "registry", emitter: "registry", types: registry.Codec.Types(), names: registry.Codec.Names(), streams: registry.Categories},
		{name: "agreements", emitter: "contracts", types: agreements.Codec.Types(), names: agreements.Codec.Names(), streams: agreements.Categories},
		{name: "workorders", emitter: "workorders", types: workorders.Codec.Types(), names: workorders.Codec.Names(), streams: workorders.Categories},
		{name: "finance", emitter: "finance", types: finance.Codec.Types(), names: finance.Codec.Names(), streams: finance.Categories},
		{name: "votes", emitter: "votes", types: votes.Codec.Types(), names: votes.Codec.Names(), streams: votes.Categories},
		{name: "ledger", emitter: "ledger", types: ledger.Codec.Types(), names: ledger.Codec.Names(), streams: ledger.Categories},
	}
}

func main() {
	log.SetFlags(0)
	root, err := findRoot()
	if err != nil {
		log.Fatal(err)
	}
	files, err := generate(root)
	if err != nil {
		log.Fatal(err)
	}
	if err := write(root, files); err != nil {
		log.Fatal(err)
	}
}

// findRoot returns the folder of go.work above the working directory.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("generate: no go.work above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// schemas is the folder of the schemas, below the root.
const schemas = "contracts/schemas"

// generate returns every file by its path below the root.
func generate(root string) (map[string][]byte, error) {
	all := contexts()
	shared := map[string]string{} // docs of the types that all contexts use, qualified
	for _, name := range []string{"units", "codec"} {
		s, err := parse(filepath.Join(root, "contracts", name))
		if err != nil {
			return nil, err
		}
		for t, doc := range s.types {
			shared[name+"."+t] = doc
		}
	}
	files := map[string][]byte{}
	for i := range all {
		c := &all[i]
		s, err := parse(filepath.Join(root, "contracts", c.name))
		if err != nil {
			return nil, err
		}
		c.source = s
		for _, name := range c.byPlace() {
			schema, err := c.schema(name)
			if err != nil {
				return nil, err
			}
			files[filepath.Join(schemas, c.name, name+".json")] = schema
		}
	}
	page, err := page(all, shared)
	if err != nil {
		return nil, err
	}
	files["docs/events.md"] = page
	files["contracts/asyncapi.yaml"] = asyncAPI(all)
	return files, nil
}

// byPlace returns the stored names that are written today, in the order in
// which their types stand in the source.
func (c context) byPlace() []string {
	return slices.SortedFunc(maps.Keys(c.types), func(a, b string) int {
		return c.place[c.types[a].Name()] - c.place[c.types[b].Name()]
	})
}

// streamsOf returns the prefixes of the streams an event is written to.
func (c context) streamsOf(event string) ([]string, error) {
	var prefixes []string
	for _, name := range c.events[event] {
		prefix := c.constants[name]
		if !slices.Contains(c.streams, prefix) {
			return nil, fmt.Errorf("generate: %s.%s: %q is not one of the context's streams", c.name, event, name)
		}
		prefixes = append(prefixes, prefix)
	}
	if len(prefixes) == 0 {
		return nil, fmt.Errorf("generate: %s.%s: no stream stands behind its marker method", c.name, event)
	}
	return prefixes, nil
}

// write replaces the files, and removes schemas of events that are gone.
func write(root string, files map[string][]byte) error {
	if err := os.RemoveAll(filepath.Join(root, schemas)); err != nil {
		return err
	}
	for name, content := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
