//go:build integration

package deploy

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// script runs one of this folder's scripts.
func script(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "/bin/sh", args...)
	c.Env = append(os.Environ(), env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// certificates runs certificates.sh.
func certificates(t *testing.T, dir string, names ...string) *x509.Certificate {
	t.Helper()
	if out, err := script(t, nil, append([]string{"certificates.sh", dir}, names...)...); err != nil {
		t.Fatalf("certificates.sh: %v\n%s", err, out)
	}
	block, _ := pem.Decode(read(t, filepath.Join(dir, "server/tls.crt")))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificatesAreMadeOnceForTheNamesAndUsesOfAnEventStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certificates")
	first := certificates(t, dir, "events", "localhost")
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read(t, filepath.Join(dir, "ca/ca.crt"))) {
		t.Fatal("no authority")
	}
	for _, name := range []string{"events", "localhost"} {
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := first.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Errorf("for %s, use %d: %v", name, use, err)
			}
		}
	}
	if _, err := tls.LoadX509KeyPair(filepath.Join(dir, "server/tls.crt"), filepath.Join(dir, "server/tls.key")); err != nil {
		t.Error(err)
	}
	if again := certificates(t, dir, "events", "localhost"); !again.Equal(first) {
		t.Error("a second run made another certificate")
	}
	if err := os.Remove(filepath.Join(dir, "server/tls.crt")); err != nil {
		t.Fatal(err)
	}
	renewed := certificates(t, dir, "events", "localhost")
	if _, err := renewed.Verify(x509.VerifyOptions{DNSName: "events", Roots: roots}); err != nil || renewed.Equal(first) {
		t.Errorf("clients do not trust the renewed certificate: %v", err)
	}
	for _, secret := range []string{"server/tls.key", "authority/ca.key"} {
		if info, err := os.Stat(filepath.Join(dir, secret)); err != nil || info.Mode().Perm()&0o007 != 0 {
			t.Errorf("%s: %v %v", secret, info, err)
		}
	}
}

func TestTheStoreServesWithTheseCertificates(t *testing.T) {
	dir := t.TempDir()
	certificates(t, dir, "store", "localhost")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	store := exec.CommandContext(t.Context(), binary, "serve", "store", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0",
		"--eventstore-listen", address, "--eventstore-cert", filepath.Join(dir, "server/tls.crt"), "--eventstore-key", filepath.Join(dir, "server/tls.key"),
		"--append-user", "ledger", "--append-password", "secret")
	var said bytes.Buffer
	store.Stderr = &said
	store.Cancel = func() error { return store.Process.Signal(os.Interrupt) }
	if err := store.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- store.Wait() }()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(read(t, filepath.Join(dir, "ca/ca.crt")))
	for {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "store", NextProtos: []string{"h2"}})
		if err == nil {
			_ = c.Close()
			break
		}
		select {
		case err := <-ended:
			t.Fatalf("the store ended: %v\n%s", err, said.String())
		case <-time.After(50 * time.Millisecond): // asked again until it answers or ends
		}
	}
	_ = store.Process.Signal(os.Interrupt)
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, said.String())
	}
}

func TestEverySecretIsAnother(t *testing.T) {
	out, err := script(t, nil, "secrets")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	example := strings.Split(string(read(t, ".env.example")), "\n")
	seen := map[string]bool{}
	for i, line := range strings.Split(out, "\n") {
		name, value, _ := strings.Cut(line, "=")
		if !strings.HasSuffix(example[i], "=example") {
			if line != example[i] {
				t.Errorf("%q became %q", example[i], line)
			}
			continue
		}
		if len(value) != 48 || seen[value] || name+"=example" != example[i] {
			t.Errorf("%q became %q", example[i], line)
		}
		seen[value] = true
	}
	if len(seen) == 0 {
		t.Error("no secrets")
	}
}

// standIn answers as much of EventStoreDB's HTTP interface as eventstore.sh
// asks, in the way its documentation and its source say: it is not ours, and
// cannot be had where these tests run.
type standIn struct {
	mu       sync.Mutex
	users    map[string]string
	settings map[string]map[string]any // default rules by kind of stream
	all      map[string]any            // rule of $all
	// wrong makes one of its answers another.
	wrong func(user, operation, stream string) (granted, says bool)
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, password, _ := r.BasicAuth()
	if user != "" && s.users[user] != password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var content map[string]any
	if r.Method == http.MethodPost && json.Unmarshal(body, &content) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch path := r.URL.Path; {
	case path == "/users/":
		name, _ := content["LoginName"].(string)
		if user != "admin" || s.users[name] != "" {
			w.WriteHeader(http.StatusConflict)
			return
		}
		s.users[name], _ = content["Password"].(string)
		w.WriteHeader(http.StatusCreated)
	case strings.HasSuffix(path, "/command/reset-password") && user == "admin":
		s.users[strings.Split(path, "/")[2]], _ = content["NewPassword"].(string)
	case strings.HasPrefix(path, "/streams/"):
		stream := strings.TrimSuffix(strings.TrimPrefix(path, "/streams/"), "/metadata")
		operation := map[string]string{http.MethodGet: "$r", http.MethodPost: "$w", http.MethodDelete: "$d"}[r.Method]
		if strings.HasSuffix(path, "/metadata") {
			operation = "$m" + operation[1:]
		}
		if !s.granted(user, operation, stream) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodPost {
			return
		}
		if r.Header.Get("ES-EventType") == "" || len(r.Header.Get("ES-EventId")) != 36 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch {
		case stream == "$settings":
			for kind, rule := range content {
				s.settings[kind], _ = rule.(map[string]any)
			}
		case stream == "$all":
			s.all, _ = content["$acl"].(map[string]any)
		}
		w.WriteHeader(http.StatusCreated)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// granted judges by the stream's own rule, then by the default of its kind.
func (s *standIn) granted(user, operation, stream string) bool {
	if granted, says := s.wrong(user, operation, stream); says {
		return granted
	}
	rule := s.settings["$userStreamAcl"]
	if strings.HasPrefix(stream, "$") {
		rule = s.settings["$systemStreamAcl"]
	}
	roles, found := rule[operation]
	if own, ok := s.all[operation]; ok && stream == "$all" {
		roles, found = own, true
	}
	if user == "" || !found {
		return false
	}
	var list []any
	if list, _ = roles.([]any); list == nil {
		list = []any{roles}
	}
	return user == "admin" || slices.Contains(list, any("$all")) || slices.Contains(list, any(user))
}

func TestEventStoreIsToldWhoMayAppendAndDistrusted(t *testing.T) {
	public := map[string]any{"$r": "$all", "$w": "$all", "$d": "$all", "$mr": "$all", "$mw": "$all"}
	admins := map[string]any{"$r": "$admins", "$w": "$admins", "$d": "$admins", "$mr": "$admins", "$mw": "$admins"}
	as := func(user, operation, stream string, granted bool) func(string, string, string) (bool, bool) {
		return func(u, o, s string) (bool, bool) { return granted, u == user && o == operation && s == stream }
	}
	for name, test := range map[string]struct {
		wrong func(user, operation, stream string) (granted, says bool)
		fails string // what it ends with
	}{
		"an empty server":                   {as("nobody", "", "", false), ""},
		"the reader may append":             {as("reader", "$w", "access-probe", true), "reader appends nothing"},
		"the ledger may delete":             {as("ledger", "$d", "access-probe", true), "ledger deletes nothing"},
		"the ledger may truncate":           {as("ledger", "$mw", "access-probe", true), "ledger sets no metadata"},
		"the reader may not read":           {as("reader", "$r", "$all", false), "reader reads $all"},
		"the reader may read settings":      {as("reader", "$r", "$settings", true), "reader reads no settings"},
		"anyone may read":                   {as("", "$r", "$all", true), "nobody reads nothing"},
		"the rules are not taken":           {as("admin", "$w", "$settings", false), "default rules"},
		"the rule of everything, not taken": {as("admin", "$mw", "$all", false), "rule of $all"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &standIn{
				users: map[string]string{"admin": "one"}, wrong: test.wrong,
				settings: map[string]map[string]any{"$userStreamAcl": public, "$systemStreamAcl": admins},
			}
			server := httptest.NewTLSServer(s)
			defer server.Close()
			ca := filepath.Join(t.TempDir(), "ca.crt")
			if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
				t.Fatal(err)
			}
			env := []string{"EVENTSTORE=" + server.URL, "CA=" + ca, "ADMIN_PASSWORD=one", "LEDGER_PASSWORD=two", "READER_PASSWORD=three"}
			out, err := script(t, env, "eventstore.sh")
			if last := out[strings.LastIndex(strings.TrimSpace(out), "\n")+1:]; test.fails != "" {
				if err == nil || !strings.HasPrefix(last, test.fails+": got ") {
					t.Errorf("%v, want it to fail with %q:\n%s", err, test.fails, out)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for _, who := range []struct {
				user, operation, stream string
				may                     bool
			}{
				{"ledger", "$w", "ballot-1", true}, {"ledger", "$r", "ballot-1", true}, {"ledger", "$r", "$all", true},
				{"reader", "$r", "ballot-1", true}, {"reader", "$r", "$all", true}, {"reader", "$w", "ballot-1", false},
				{"ledger", "$d", "ballot-1", false}, {"ledger", "$mw", "ballot-1", false}, {"ledger", "$w", "$settings", false}, {"ops", "$w", "ballot-1", false},
			} {
				if got := s.granted(who.user, who.operation, who.stream); got != who.may {
					t.Errorf("%s may %s %s: %t", who.user, who.operation, who.stream, got)
				}
			}
			// Again, with another password.
			env[4] = "READER_PASSWORD=four"
			if out, err := script(t, env, "eventstore.sh"); err != nil || s.users["reader"] != "four" {
				t.Errorf("again: %v, the reader's password is %q\n%s", err, s.users["reader"], out)
			}
		})
	}
}
