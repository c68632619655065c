package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/service"
)

// ask sends a request below /api/v1 as whoever has the token (none: as nobody), and wants an answer of 2xx.
func (s *site) ask(t *testing.T, token, method, path, body string) (answer struct{ ID, Code, Token, Words string }) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.url+"/api/v1"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Header.Set("Idempotency-Key", uuid.NewString())
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set(service.PositionHeader, fmt.Sprint(s.head(t)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= http.StatusMultipleChoices {
		t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, text, err)
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestTheOperatorErasesAPerson(t *testing.T) {
	s, _ := up(t, t.TempDir())
	person := s.ask(t, s.token, http.MethodPost, "/people", `{"name":"林一","document_kind":"身份证","document":"ID-0001"}`).ID
	erase := func(person, ground string) error {
		return (&eraseCmd{Person: person, Ground: ground, Server: s.url + "/", Token: s.token}).Run(t.Context())
	}
	if err := erase("nobody", registry.OnRequest); err == nil || !strings.Contains(err.Error(), "UUID") {
		t.Errorf("a name for an id: %v", err)
	}
	if err := erase(uuid.NewString(), registry.OnRequest); err == nil || !strings.Contains(err.Error(), "no-such-person") {
		t.Errorf("nobody: %v", err)
	}
	for range 2 {
		if err := erase(person, registry.OnRequest); err != nil {
			t.Fatal(err)
		}
	}
	var types []string
	for r, err := range s.store.Read(t.Context(), registry.PersonStream+person, 0) {
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, r.Type)
	}
	if strings.Join(types, " ") != "person-registered.v1 person-erased.v1" {
		t.Errorf("recorded %v", types)
	}
}

func TestAVaultOfAnotherLedgerIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, down := up(t, dir)
	s.ask(t, s.token, http.MethodPost, "/people", `{"name":"林一","document_kind":"身份证","document":"ID-0001"}`)
	down()
	for _, part := range []string{"vault.db", "keys/vault.json"} {
		if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
			t.Fatal(err)
		}
	}
	start := func(lost bool) error {
		t.Helper()
		system, err := Open(t.Context(), Options{Dir: dir, Clock: time.Now, Log: slog.New(slog.DiscardHandler), VaultLost: lost})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err = system.Run(ctx, func(context.Context) error { cancel(); return nil })
		if err := system.Close(); err != nil {
			t.Error(err)
		}
		return err
	}
	if err := start(false); err == nil || !strings.Contains(err.Error(), "--vault-lost") {
		t.Errorf("it starts on an empty vault: %v", err)
	}
	if err := start(true); err != nil {
		t.Errorf("it does not start though told that the vault is lost: %v", err)
	}
}

func TestAKeyFileIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	for name, run := range map[string]func(file string) error{
		"vault": func(file string) error { return (&vaultKeyCmd{file}).Run() },
		"log":   func(file string) error { return (&makeKeyCmd{file, "example.org/test"}).Run() },
	} {
		file := filepath.Join(dir, name)
		if err := run(file); err != nil {
			t.Fatal(err)
		}
		made, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := run(file); err == nil || !strings.Contains(err.Error(), "not replaced") {
			t.Errorf("%s: made again: %v", name, err)
		}
		if now, err := os.ReadFile(file); err != nil || string(now) != string(made) {
			t.Errorf("%s: the key is another one: %v", name, err)
		}
	}
}
