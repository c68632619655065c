// Command openapi writes contracts/openapi/<service>.json: the OpenAPI 3.1
// document of each service, made of the code that serves it.
//
// It writes nothing where a change would break a client of the document that is
// checked in, unless it is told to accept that.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/contracts"
	"github.com/yimu-ledger/yimu/services/finance"
	"github.com/yimu-ledger/yimu/services/ledger"
	"github.com/yimu-ledger/yimu/services/registry"
	"github.com/yimu-ledger/yimu/services/votes"
	"github.com/yimu-ledger/yimu/services/workorders"
)

//go:generate go run .

// folder of the documents, from this one.
const folder = "../../../contracts/openapi"

func main() {
	log.SetFlags(0)
	accept := flag.Bool("accept-breaking", false, "write also what breaks clients")
	flag.Parse()
	if err := run(folder, *accept); err != nil {
		log.Fatal(err)
	}
}

// run writes every document to dir, and removes those of services that are gone.
func run(dir string, accept bool) error {
	made, err := documents(context.Background())
	if err != nil {
		return err
	}
	kept, err := committed(dir)
	if err != nil {
		return err
	}
	if broken := breaks(kept, made); len(broken) > 0 && !accept {
		return errors.New(complaint(broken))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, document := range made {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), document, 0o644); err != nil {
			return err
		}
	}
	for name := range kept {
		if made[name] == nil {
			if err := os.Remove(filepath.Join(dir, name+".json")); err != nil {
				return err
			}
		}
	}
	return nil
}

// documents builds each service, on empty tables and nothing else, and returns
// its document by its name.
func documents(ctx context.Context) (_ map[string][]byte, err error) {
	dir, err := os.MkdirTemp("", "openapi-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	made := map[string][]byte{}
	for name, build := range map[string]func(service.Deps) (*service.Service, error){
		"registry":   func(d service.Deps) (*service.Service, error) { return registry.New(ctx, d, registry.Config{}) },
		"contracts":  func(d service.Deps) (*service.Service, error) { return contracts.New(ctx, d, contracts.Config{}) },
		"workorders": func(d service.Deps) (*service.Service, error) { return workorders.New(ctx, d, workorders.Config{}) },
		"finance":    func(d service.Deps) (*service.Service, error) { return finance.New(ctx, d, finance.Config{}) },
		"votes":      func(d service.Deps) (*service.Service, error) { return votes.New(ctx, d, votes.Config{}) },
		"ledger":     func(d service.Deps) (*service.Service, error) { return ledger.New(ctx, d, ledger.Config{}) },
	} {
		if made[name], err = document(ctx, "sqlite://"+filepath.Join(dir, name+".db"), build); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return made, nil
}

func document(ctx context.Context, tables string, build func(service.Deps) (*service.Service, error)) (_ []byte, err error) {
	db, err := readmodel.Open(ctx, tables)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	s, err := build(service.Deps{DB: db, Clock: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	compact, err := json.Marshal(s.API.OpenAPI())
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = json.Indent(&b, compact, "", "  ")
	b.WriteByte('\n')
	return b.Bytes(), err
}

// committed reads the documents of dir, none where it is missing.
func committed(dir string) (map[string][]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	kept := map[string][]byte{}
	for _, file := range files {
		if kept[strings.TrimSuffix(filepath.Base(file), ".json")], err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	return kept, nil
}

// breaks says what of the documents in old no longer holds in those of new.
func breaks(old, new map[string][]byte) []string {
	var broken []string
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if new[name] == nil {
			broken = append(broken, name+" is gone")
			continue
		}
		for _, what := range Breaks(old[name], new[name]) {
			broken = append(broken, name+": "+what)
		}
	}
	return broken
}

func complaint(broken []string) string {
	return "openapi: this breaks clients:\n  " + strings.Join(broken, "\n  ") +
		"\nKeep what was promised beside what is new; or, where no client can depend on it, accept with: make generate BREAKING=accept"
}
