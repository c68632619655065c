package vault_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/libs/vault"
)

// TestABackupOfAVaultIsAVault takes a backup while others write, and opens it
// with the same key file.
func TestABackupOfAVaultIsAVault(t *testing.T) {
	dir := t.TempDir()
	from, key := filepath.Join(dir, "vault.db"), filepath.Join(t.TempDir(), "vault.key")
	v := open(t, vault.Config{URL: "sqlite://" + from, KeyFile: key})
	id := must(v.EnsurePeople(t.Context(), []vault.PersonalData{wang}))(t)[0].ID
	sealed := must(v.Seal(t.Context(), "meeting/m", "choice", []byte("for"), 16))(t)
	gone := must(v.Seal(t.Context(), "meeting/gone", "choice", []byte("for"), 16))(t)
	if err := v.DestroyKey(t.Context(), "meeting/gone"); err != nil {
		t.Fatal(err)
	}
	code := must(v.NewLoginCode(t.Context(), id, time.Hour))(t)
	sessions := v.Sessions()
	if err := sessions.CommitCtx(t.Context(), "session", []byte("data"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}

	enough := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := byte(0); ; i++ {
			select {
			case <-enough:
				return
			default:
			}
			if _, err := v.Seal(t.Context(), "person/"+string([]byte{'a' + i%26, 'a' + i/26%26}), "x", nil, 1); err != nil {
				t.Error(err)
				return
			}
		}
	})
	to := filepath.Join(dir, "copy.db")
	err := vault.Backup(t.Context(), from, to)
	close(enough)
	writer.Wait()
	if err != nil {
		t.Fatal(err)
	}

	if info := must(os.Stat(to))(t); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if left := must(filepath.Glob(to + "?*"))(t); len(left) > 0 {
		t.Errorf("beside the file there are %v", left)
	}
	before, text := files(t, dir), must(os.ReadFile(to))(t)
	for name, secret := range map[string][]byte{
		"the session": v.HMAC("session", "session"), "the login code": v.HMAC("login-code", strings.ReplaceAll(code, "-", "")),
	} {
		if !bytes.Contains(before, secret) {
			t.Fatalf("%s: the test looks for the wrong bytes", name)
		}
		if bytes.Contains(text, secret) {
			t.Errorf("%s is in the file", name)
		}
	}
	b := open(t, vault.Config{URL: "sqlite://" + to, KeyFile: key})
	if person, err := b.Person(t.Context(), id); err != nil || person != wang {
		t.Errorf("%+v, %v", person, err)
	}
	if plain, err := b.Open(t.Context(), "meeting/m", "choice", sealed); err != nil || string(plain) != "for" {
		t.Errorf("%q, %v", plain, err)
	}
	if _, err := b.Open(t.Context(), "meeting/gone", "choice", gone); !errors.Is(err, vault.ErrNoKey) {
		t.Errorf("what was sealed with a destroyed key: %v", err)
	}
	if _, ok, err := b.UseLoginCode(t.Context(), code); ok || err != nil {
		t.Errorf("the login code works: %v, %v", ok, err)
	}
	if _, ok, err := b.Sessions().FindCtx(t.Context(), "session"); ok || err != nil {
		t.Errorf("the session is there: %v, %v", ok, err)
	}
	if _, ok, err := sessions.FindCtx(t.Context(), "session"); !ok || err != nil {
		t.Errorf("the session of the vault itself: %v, %v", ok, err)
	}

	if err := vault.Backup(t.Context(), from, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	if err := vault.Backup(t.Context(), filepath.Join(dir, "missing.db"), filepath.Join(dir, "none.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of no vault: %v", err)
	}
}
