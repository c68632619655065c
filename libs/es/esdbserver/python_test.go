//go:build integration

package esdbserver_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/esdbserver"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
)

// told is an event as client.py tells it.
type told struct {
	Stream   string    `json:"stream"`
	Revision uint64    `json:"revision"`
	Position uint64    `json:"position"`
	ID       uuid.UUID `json:"id"`
	Type     string    `json:"type"`
	Data     string    `json:"data"`
	Meta     string    `json:"meta"`
}

func tell(events []es.Recorded) []told {
	out := make([]told, len(events))
	for i, e := range events {
		out[i] = told{e.Stream, e.Revision, uint64(e.Position), e.ID, e.Type, string(e.Data), string(e.Meta)}
	}
	return out
}

// TestAClientOfAnotherLanguageReadsTheLedger holds against the store what the
// Python package kurrentdbclient sees of it through the protocol: as of
// `yimu up`, which readers alone reach in plain text, and as of `yimu serve
// store`, over TLS with credentials for the ledger.
func TestAClientOfAnotherLanguageReadsTheLedger(t *testing.T) {
	python := python(t)
	cert, key := certificate(t)
	secure := esdbserver.ServeConfig{Cert: cert, Key: key, Append: true, User: "ledger", Password: "secret"}
	for name, servers := range map[string]func(*testing.T, es.Store) (reader, appender string){
		"in plain text": func(t *testing.T, store es.Store) (reader, appender string) {
			form := "esdb://%s?Tls=false"
			return fmt.Sprintf(form, process(t, store, esdbserver.ServeConfig{})), fmt.Sprintf(form, process(t, store, esdbserver.ServeConfig{Append: true}))
		},
		"over TLS": func(t *testing.T, store es.Store) (reader, appender string) {
			at := process(t, store, secure)
			return fmt.Sprintf("esdb://anyone:guess@%s?TlsCaFile=%s", at, cert), fmt.Sprintf("esdb://ledger:secret@%s?TlsCaFile=%s", at, cert)
		},
		"over TLS, found by gossip": func(t *testing.T, store es.Store) (reader, appender string) {
			at := process(t, store, secure)
			return fmt.Sprintf("esdb+discover://anyone:guess@%s?TlsCaFile=%s", at, cert), fmt.Sprintf("esdb+discover://ledger:secret@%s?TlsCaFile=%s", at, cert)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := pebblestore.Open(pebblestore.Config{Dir: t.TempDir()})
			must(t, err)
			t.Cleanup(func() { must(t, store.Close()) })
			reader, appender := servers(t, store)
			compare(t, python, store, reader, appender)
		})
	}
}

// compare runs client.py while it records, and compares what it saw.
func compare(t *testing.T, python string, store *pebblestore.Store, reader, appender string) {
	const stream, from = "voucher-5", 200
	record := func(stream, name string) {
		t.Helper()
		n := lengthOf(t, store, stream)
		data := fmt.Sprintf(`{"事由": "电梯", "n":  %d}`, n)
		_, err := store.Append(t.Context(), stream, n, es.Proposed{ID: uuid.New(), Type: name, Data: []byte(data), Meta: []byte(`{"actor":"t"}`)})
		must(t, err)
	}
	for i := range 400 {
		record(fmt.Sprintf("%s-%d", []string{"unit", "voucher", "meeting", "ballot"}[i%4], i%12), fmt.Sprintf("%s.v%d", []string{"kept", "changed", "dropped"}[i%3], i%2+1))
	}
	before := everything(t, store)

	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	script := exec.CommandContext(ctx, python, "testdata/client.py", reader, appender, stream, strconv.FormatUint(uint64(before[from].Position), 10))
	var trouble bytes.Buffer
	script.Stderr = &trouble
	in, err := script.StdinPipe()
	must(t, err)
	pipe, err := script.StdoutPipe()
	must(t, err)
	must(t, script.Start())
	out := bufio.NewReader(pipe)
	line, err := out.ReadString('\n')
	if err == nil && line != "caught up\n" {
		err = fmt.Errorf("it says %q", line)
	}
	for _, e := range []struct{ stream, name string }{{"unit-0", "kept.v1"}, {stream, "last.v1"}, {"meeting-2", "changed.v2"}, {"last-1", "last.v1"}} {
		record(e.stream, e.name)
	}
	after := everything(t, store)
	_, _ = io.WriteString(in, "\n")
	var got struct {
		Seen    map[string][]told
		Answers map[string]any
	}
	if err == nil {
		err = json.NewDecoder(out).Decode(&got)
	}
	if waited := script.Wait(); err != nil || waited != nil {
		t.Fatalf("%v, %v\n%s", err, waited, &trouble)
	}

	where := func(events []es.Recorded, matches func(es.Recorded) bool) []es.Recorded {
		return slices.DeleteFunc(slices.Clone(events), func(e es.Recorded) bool { return !matches(e) })
	}
	backwards := func(events []es.Recorded) []es.Recorded {
		events = slices.Clone(events)
		slices.Reverse(events)
		return events
	}
	of := func(e es.Recorded) bool { return e.Stream == stream }
	first := regexp.MustCompile(`^\w+\.v1$`)
	named := func(prefixes ...string) func(es.Recorded) bool {
		return func(e es.Recorded) bool {
			return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(e.Stream, p) })
		}
	}
	mine := where(before, of)
	want := map[string][]es.Recorded{
		"stream":              mine,
		"stream from 2":       mine[2:],
		"stream backwards":    backwards(mine),
		"stream backwards, 3": backwards(mine)[:3],
		"all":                 before,
		"all, 10":             before[:10],
		"all from":            before[from:],
		"all backwards":       backwards(before),
		// From an event on backwards are those before it.
		"all backwards from": backwards(before[:from]),
		"by stream":          where(before, named("unit-")),
		"by streams":         where(before, named("unit-", "voucher-")),
		"by type":            where(before, func(e es.Recorded) bool { return first.MatchString(e.Type) }),
		"without type":       where(before, func(e es.Recorded) bool { return !first.MatchString(e.Type) }),

		"subscribed to the stream": where(after, of),
		"subscribed after 2":       where(after, of)[3:],
		"subscribed to all":        after,
		"subscribed from":          after[from+1:],
		"subscribed by stream":     where(after, named("unit-", "last-")),
		"subscribed by type":       where(after, func(e es.Recorded) bool { return first.MatchString(e.Type) }),
		"subscribed at the end":    after[len(before):],
		"resumed":                  after[len(before):],
	}
	for name, events := range want {
		if got, want := got.Seen[name], tell(events); !slices.Equal(got, want) {
			t.Errorf("%s: saw %d events, want %d: %+v", name, len(got), len(want), firstDifference(got, want))
		}
	}
	if len(got.Seen) != len(want) {
		t.Errorf("%d lists, want %d", len(got.Seen), len(want))
	}
	for name, want := range map[string]string{
		"a missing stream":           "NotFoundError",
		"append":                     "AccessDeniedError",
		"append several":             "batch append is not offered",
		"delete":                     "deleting a stream is not offered",
		"tombstone":                  "tombstoning a stream is not offered",
		"append by the ledger":       "none",
		"append at a wrong revision": "WrongCurrentVersionError",
	} {
		if got, _ := got.Answers[name].(string); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	head := uint64(before[len(before)-1].Position)
	for name, want := range map[string]uint64{
		"the last position": head,
		"the last revision": mine[len(mine)-1].Revision,
		"the checkpoint":    head,
	} {
		if got := got.Answers[name]; got != float64(want) {
			t.Errorf("%s: %v, want %d", name, got, want)
		}
	}
	for stream, want := range map[string]uint64{"new-1": 0, "by-python-1": 1} {
		if n := lengthOf(t, store, stream); n != want {
			t.Errorf("%s has %d events, want %d", stream, n, want)
		}
	}
}

func firstDifference(got, want []told) [2]told {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return [2]told{got[i], want[i]}
		}
	}
	return [2]told{}
}

func everything(t *testing.T, s es.Store) (all []es.Recorded) {
	t.Helper()
	for e, err := range s.ReadAll(t.Context(), 0) {
		must(t, err)
		all = append(all, e)
	}
	return all
}

// process serves a store as a process does, to the test's end.
func process(t *testing.T, store es.Store, config esdbserver.ServeConfig) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	served := make(chan error, 1)
	go func() { served <- esdbserver.Serve(ctx, l, store, config) }()
	t.Cleanup(func() { cancel(); must(t, <-served) })
	return l.Addr().String()
}

// python returns an interpreter that has what testdata/requirements.txt names,
// in a virtual environment that the next test uses again: below .cache/ of the
// repository, or in the directory that YIMU_TEST_PYTHON names.
func python(t *testing.T) string {
	t.Helper()
	requirements, err := filepath.Abs("testdata/requirements.txt")
	must(t, err)
	text, err := os.ReadFile(requirements)
	must(t, err)
	cache := os.Getenv("YIMU_TEST_PYTHON")
	if cache == "" {
		cache = filepath.Join(root(t), ".cache")
	}
	dir := filepath.Join(cache, fmt.Sprintf("python-%x", sha256.Sum256(text))[:19])
	must(t, os.MkdirAll(cache, 0o755))
	lock := flock.New(dir + ".lock")
	must(t, lock.Lock())
	defer lock.Unlock()
	interpreter := filepath.Join(dir, "bin", "python")
	complete := filepath.Join(dir, "complete")
	if _, err := os.Stat(complete); err == nil {
		return interpreter
	}
	must(t, os.RemoveAll(dir))
	for _, command := range [][]string{
		{"python3", "-m", "venv", dir},
		{interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--no-deps", "-r", requirements},
		{interpreter, "-m", "pip", "check"},
	} {
		if out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
		}
	}
	must(t, os.WriteFile(complete, nil, 0o644))
	return interpreter
}

// root is the directory of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	must(t, err)
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("there is no go.work above this package")
		}
		dir = filepath.Dir(dir)
	}
}
