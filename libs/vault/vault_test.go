package vault_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/libs/vault"
)

// onEach runs a test on SQLite and, where YIMU_TEST_DATABASE names a PostgreSQL
// database, there in a schema of its own. open may be called again: it opens
// the same vault.
func onEach(t *testing.T, test func(t *testing.T, open func() *vault.Vault)) {
	t.Helper()
	addresses := map[string]func(*testing.T) string{
		"sqlite": func(t *testing.T) string { return "sqlite://" + filepath.Join(t.TempDir(), "vault.db") },
	}
	if os.Getenv("YIMU_TEST_DATABASE") != "" {
		addresses["postgres"] = postgresAddress
	}
	for name, address := range addresses {
		t.Run(name, func(t *testing.T) {
			config := vault.Config{URL: address(t), KeyFile: filepath.Join(t.TempDir(), "keys", "vault.key")}
			test(t, func() *vault.Vault { return open(t, config) })
		})
	}
}

func open(t testing.TB, config vault.Config) *vault.Vault {
	t.Helper()
	v, err := vault.Open(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func postgresAddress(t *testing.T) string {
	at, err := url.Parse(os.Getenv("YIMU_TEST_DATABASE"))
	if err != nil {
		t.Fatal("YIMU_TEST_DATABASE is not an address")
	}
	schema := "vault_" + strings.ToLower(rand.Text())
	exec := func(statement string) {
		db, err := sql.Open("pgx", os.Getenv("YIMU_TEST_DATABASE"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Error(err)
		}
	}
	exec("CREATE SCHEMA " + schema)
	t.Cleanup(func() { exec("DROP SCHEMA " + schema + " CASCADE") })
	q := at.Query()
	q.Set("search_path", schema)
	at.RawQuery = q.Encode()
	return at.String()
}

func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

var wang = vault.PersonalData{Name: "王小明", DocumentKind: "居民身份证", Document: "11010519491231002X", Phone: "13800138000"}

func TestWhatWasSealedIsOpened(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		rapid.Check(t, func(rt *rapid.T) {
			plain := rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(rt, "plain")
			sealed, err := v.Seal(t.Context(), "meeting/m", "choice", plain, 64)
			if err != nil {
				rt.Fatal(err)
			}
			got, err := v.Open(t.Context(), "meeting/m", "choice", sealed)
			if err != nil || !bytes.Equal(got, plain) {
				rt.Fatalf("%x, %v; want %x", got, err, plain)
			}
		})
	})
}

func TestSealedTextTellsNothing(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		yes := must(v.Seal(t.Context(), "meeting/m", "choice", []byte("for"), 16))(t)
		again := must(v.Seal(t.Context(), "meeting/m", "choice", []byte("for"), 16))(t)
		no := must(v.Seal(t.Context(), "meeting/m", "choice", []byte("against"), 16))(t)
		if len(yes) != len(no) {
			t.Errorf("lengths %d and %d tell them apart", len(yes), len(no))
		}
		if yes == again {
			t.Error("the same text is sealed the same")
		}
		if _, err := v.Seal(t.Context(), "meeting/m", "choice", make([]byte, 17), 16); !errors.Is(err, vault.ErrTooLong) {
			t.Errorf("17 bytes for 16: %v", err)
		}
	})
}

func TestSealedTextOpensOnlyInItsPlace(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		sealed := must(v.Seal(t.Context(), "meeting/m", "choice", []byte("for"), 16))(t)
		must(v.Seal(t.Context(), "meeting/other", "choice", nil, 16))(t)
		bytes := must(base64.StdEncoding.DecodeString(sealed))(t)
		bytes[len(bytes)-1] ^= 1
		for name, c := range map[string][3]string{
			"another subject": {"meeting/other", "choice", sealed},
			"another field":   {"meeting/m", "reason", sealed},
			"a changed text":  {"meeting/m", "choice", base64.StdEncoding.EncodeToString(bytes)},
			"a short text":    {"meeting/m", "choice", "aGVsbG8="},
			"no base64":       {"meeting/m", "choice", "?"},
			"nothing":         {"meeting/m", "choice", ""},
		} {
			if _, err := v.Open(t.Context(), c[0], c[1], c[2]); !errors.Is(err, vault.ErrCannotOpen) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := v.Open(t.Context(), "meeting/unknown", "choice", sealed); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("an unknown subject: %v", err)
		}
	})
}

func TestAReleasedKeyOpensEverywhere(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		sealed := must(v.Seal(t.Context(), "meeting/m", "choice", []byte("for"), 16))(t)
		released := must(v.ReleaseKey(t.Context(), "meeting/m"))(t)
		if got, err := vault.OpenWith(released, "meeting/m", "choice", sealed); err != nil || string(got) != "for" {
			t.Fatalf("%q, %v", got, err)
		}
		if again := must(v.ReleaseKey(t.Context(), "meeting/m"))(t); again != released {
			t.Error("the same key is released in another form the second time")
		}
		other := must(v.ReleaseKey(t.Context(), "meeting/other"))(t)
		for _, key := range []string{other, "{}", "no key"} {
			if _, err := vault.OpenWith(key, "meeting/m", "choice", sealed); !errors.Is(err, vault.ErrCannotOpen) {
				t.Errorf("opened with %.9s…: %v", key, err)
			}
		}
	})
}

func TestADestroyedKeyOpensNothingAnywhere(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		here, there := open(), open()
		var sealed [2]string
		for i, subject := range []string{"person/p", "person/q"} {
			sealed[i] = must(here.Seal(t.Context(), subject, "words", []byte("private"), 100))(t)
			must(there.Open(t.Context(), subject, "words", sealed[i]))(t) // has the key in its cache now
		}
		if err := here.DestroyKey(t.Context(), "person/p"); err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]*vault.Vault{"here": here, "there": there, "after a restart": open()} {
			if _, err := v.Open(t.Context(), "person/p", "words", sealed[0]); !errors.Is(err, vault.ErrNoKey) {
				t.Errorf("%s: open: %v", name, err)
			}
			if _, err := v.Seal(t.Context(), "person/p", "words", nil, 100); !errors.Is(err, vault.ErrNoKey) {
				t.Errorf("%s: seal: %v", name, err)
			}
			if _, err := v.ReleaseKey(t.Context(), "person/p"); !errors.Is(err, vault.ErrNoKey) {
				t.Errorf("%s: release: %v", name, err)
			}
			if _, err := v.Open(t.Context(), "person/q", "words", sealed[1]); err != nil {
				t.Errorf("%s: the other person's: %v", name, err)
			}
		}
	})
}

func TestErasingAPersonLeavesNoTrace(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		known := must(v.EnsurePeople(t.Context(), []vault.PersonalData{wang}))(t)
		code := must(v.NewLoginCode(t.Context(), known[0].ID, time.Hour))(t)
		sessions := v.Sessions()
		for token, data := range map[string]string{
			"theirs": known[0].ID, "theirs, with more": "\x06person\x0c" + known[0].ID + "\x00", "another's": uuid.NewString(), "nobody's": "",
		} {
			if err := sessions.CommitCtx(t.Context(), token, []byte(data), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.DestroyKey(t.Context(), vault.PersonKey(known[0].ID)); err != nil {
			t.Fatal(err)
		}
		for token, want := range map[string]bool{"theirs": false, "theirs, with more": false, "another's": true, "nobody's": true} {
			if _, found, err := sessions.FindCtx(t.Context(), token); found != want || err != nil {
				t.Errorf("the session that is %s: %t, %v", token, found, err)
			}
		}
		if _, ok, err := v.PersonByDocument(t.Context(), wang.Document); ok || err != nil {
			t.Errorf("found by document: %v, %v", ok, err)
		}
		if _, err := v.Person(t.Context(), known[0].ID); !errors.Is(err, vault.ErrNoPerson) {
			t.Errorf("data: %v", err)
		}
		if _, ok, err := v.UseLoginCode(t.Context(), code); ok || err != nil {
			t.Errorf("login: %v, %v", ok, err)
		}
		if err := v.PutPerson(t.Context(), known[0].ID, wang); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("the same id again: %v", err)
		}
		again := must(v.EnsurePeople(t.Context(), []vault.PersonalData{wang}))(t)
		if !again[0].Created || again[0].ID == known[0].ID {
			t.Errorf("who comes back is %+v, want someone new", again[0])
		}
	})
}

func TestManyProcessesMakeOneKey(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		vaults := []*vault.Vault{open(), open(), open(), open()}
		sealed := make([]string, 16)
		var wg sync.WaitGroup
		for i := range sealed {
			wg.Go(func() {
				var err error
				if sealed[i], err = vaults[i%len(vaults)].Seal(t.Context(), "estate/e", "payment", []byte("1"), 8); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for i, s := range sealed {
			if _, err := vaults[(i+1)%len(vaults)].Open(t.Context(), "estate/e", "payment", s); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestManyProcessesOpenANewVaultAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		ids := make([]string, 8)
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() { ids[i] = open().ID("commit", "a").String() })
		}
		wg.Wait()
		if len(slices.Compact(ids)) != 1 {
			t.Fatalf("they have different keys: %v", ids)
		}
	})
}

func TestPeopleAreKnownByTheirDocuments(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		li := vault.PersonalData{Name: "李红", DocumentKind: "居民身份证", Document: "440524188001010014"}
		first := must(v.EnsurePeople(t.Context(), []vault.PersonalData{wang, li, wang}))(t)
		if !first[0].Created || !first[1].Created || first[2].Created || first[0].ID == first[1].ID || first[0].ID != first[2].ID {
			t.Fatalf("first time: %+v", first)
		}
		moved := wang
		moved.Document, moved.Phone, moved.DocumentKind = " １１０１０５ 19491231-002x", "13900139000", ""
		v = open()
		again := must(v.EnsurePeople(t.Context(), []vault.PersonalData{li, moved}))(t)
		if again[0].ID != first[1].ID || again[0].Created || len(again[0].Changed) > 0 {
			t.Errorf("unchanged: %+v", again[0])
		}
		if again[1].ID != first[0].ID || again[1].Created || !slices.Contains(again[1].Changed, "phone") {
			t.Errorf("with another phone: %+v", again[1])
		}
		data := must(v.Person(t.Context(), first[0].ID))(t)
		if data.Name != wang.Name || data.Phone != moved.Phone || data.DocumentKind != wang.DocumentKind {
			t.Errorf("data after the change: %+v", data)
		}
		ids := must(v.PeopleByDocument(t.Context(), []string{wang.Document, moved.Document, li.Document, "unknown"}))(t)
		if len(ids) != 3 || ids[wang.Document] != first[0].ID || ids[moved.Document] != first[0].ID || ids[li.Document] != first[1].ID {
			t.Errorf("by documents: %v", ids)
		}
		if _, err := v.EnsurePeople(t.Context(), []vault.PersonalData{li, {Name: "无名氏"}}); !errors.Is(err, vault.ErrNoDocument) {
			t.Errorf("without a document: %v", err)
		}
		taken := li
		taken.Document = wang.Document
		if err := v.PutPerson(t.Context(), first[1].ID, taken); !errors.Is(err, vault.ErrDocumentTaken) || strings.Contains(err.Error(), wang.Document) {
			t.Errorf("with another's document: %v", err)
		}
		if err := v.PutPerson(t.Context(), "new", vault.PersonalData{Name: "物业公司"}); err != nil {
			t.Error(err)
		}
		if data := must(v.Person(t.Context(), "new"))(t); data.Name != "物业公司" {
			t.Errorf("put: %+v", data)
		}
	})
}

func TestTwoImportsOfTheSamePeopleAgree(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		var people []vault.PersonalData
		for i := range 1500 {
			people = append(people, vault.PersonalData{Name: "业主", Document: fmt.Sprint("document-", i), Phone: fmt.Sprint(i)})
		}
		var known [2][]vault.Known
		var wg sync.WaitGroup
		for i, v := range []*vault.Vault{open(), open()} {
			wg.Go(func() {
				some := slices.Clone(people)
				if i == 1 {
					slices.Reverse(some)
				}
				var err error
				if known[i], err = v.EnsurePeople(t.Context(), some); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
		slices.Reverse(known[1])
		for i := range people {
			a, b := known[0][i], known[1][i]
			if a.ID != b.ID || a.Created == b.Created || len(a.Changed)+len(b.Changed) > 0 {
				t.Fatalf("person %d: %+v and %+v", i, a, b)
			}
		}
	})
}

func TestTwoWhoChangeDifferentThingsOfAPersonBothSucceed(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		here, there := open(), open()
		id := must(here.EnsurePeople(t.Context(), []vault.PersonalData{wang}))(t)[0].ID
		for i := range 30 {
			name, phone := fmt.Sprint("王", i), fmt.Sprint("1380000", i)
			var wg sync.WaitGroup
			for v, data := range map[*vault.Vault]vault.PersonalData{
				here: {Document: wang.Document, Name: name}, there: {Document: wang.Document, Phone: phone},
			} {
				wg.Go(func() {
					if _, err := v.EnsurePeople(t.Context(), []vault.PersonalData{data}); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if data := must(here.Person(t.Context(), id))(t); data.Name != name || data.Phone != phone {
				t.Fatalf("round %d: %+v; what one of them changed is lost", i, data)
			}
		}
	})
}

func TestOfCodesThatAreMadeAtOnceOneWorks(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		vaults := []*vault.Vault{open(), open()}
		codes := make([]string, 8)
		var wg sync.WaitGroup
		for i := range codes {
			wg.Go(func() {
				var err error
				if codes[i], err = vaults[i%2].NewLoginCode(t.Context(), "p", time.Hour); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		logins := 0
		for _, code := range codes {
			if _, ok, err := vaults[0].UseLoginCode(t.Context(), code); err != nil {
				t.Error(err)
			} else if ok {
				logins++
			}
		}
		if logins != 1 {
			t.Fatalf("%d of the codes work", logins)
		}
	})
}

func TestALoginCodeWorksOnce(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		earlier := must(v.NewLoginCode(t.Context(), "p", time.Hour))(t)
		code := must(v.NewLoginCode(t.Context(), "p", time.Hour))(t)
		late := must(v.NewLoginCode(t.Context(), "q", -time.Second))(t)
		for name, wrong := range map[string]string{"an earlier one": earlier, "an expired one": late, "another": "AAAAA-AAAAA", "none": ""} {
			if _, ok, err := v.UseLoginCode(t.Context(), wrong); ok || err != nil {
				t.Errorf("%s: %v, %v", name, ok, err)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		logins := 0
		for range 8 {
			wg.Go(func() {
				person, ok, err := v.UseLoginCode(t.Context(), strings.ToLower(strings.ReplaceAll(code, "-", " ")))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || (ok && person != "p") {
					t.Errorf("%q, %v", person, err)
				}
				if ok {
					logins++
				}
			})
		}
		wg.Wait()
		if logins != 1 {
			t.Fatalf("%d logins with one code", logins)
		}
	})
}

func TestSessionsLastUntilTheyExpire(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		var store scs.Store = v.Sessions()
		for _, data := range []string{"first", "second"} {
			if err := store.Commit("token", []byte(data), time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Commit("old", []byte("data"), time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if data, ok, err := open().Sessions().FindCtx(t.Context(), "token"); !ok || err != nil || string(data) != "second" {
			t.Fatalf("%q, %v, %v", data, ok, err)
		}
		for _, token := range []string{"old", "unknown", ""} {
			if _, ok, err := store.Find(token); ok || err != nil {
				t.Errorf("%q: %v, %v", token, ok, err)
			}
		}
		if err := errors.Join(store.Delete("token"), store.Delete("token")); err != nil {
			t.Fatal(err)
		}
		if _, ok, err := store.Find("token"); ok || err != nil {
			t.Errorf("deleted: %v, %v", ok, err)
		}
	})
}

func TestHMACsDependOnHowPartsAreSplit(t *testing.T) {
	v := open(t, vault.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "v.db"), KeyFile: filepath.Join(t.TempDir(), "key")})
	seen := map[string]bool{}
	for _, parts := range [][]string{{"ab", "c"}, {"a", "bc"}, {"abc"}, {"", "abc"}, {"abc", ""}} {
		seen[v.ID("commit", parts...).String()] = true
	}
	seen[v.ID("other", "abc").String()] = true
	seen[v.ID("commit", "ab", "c").String()] = true // again
	if len(seen) != 6 {
		t.Fatalf("%d ids, want 6", len(seen))
	}
	if id := v.ID("commit", "a"); id.Version() != 8 || id.Variant().String() != "RFC4122" {
		t.Errorf("version %d, variant %v", id.Version(), id.Variant())
	}
}

// files returns all bytes of the files in a folder.
func files(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	for _, e := range must(os.ReadDir(dir))(t) {
		all = append(all, must(os.ReadFile(filepath.Join(dir, e.Name())))(t)...)
	}
	return all
}

func TestTheFilesTellNothing(t *testing.T) {
	dir := t.TempDir()
	v := open(t, vault.Config{URL: "sqlite://" + filepath.Join(dir, "vault.db"), KeyFile: filepath.Join(t.TempDir(), "key")})
	known := must(v.EnsurePeople(t.Context(), []vault.PersonalData{wang}))(t)
	code := must(v.NewLoginCode(t.Context(), known[0].ID, time.Hour))(t)
	must(v.Seal(t.Context(), vault.PersonKey(known[0].ID), "words", []byte("planted words"), 100))(t)
	if err := v.Sessions().Commit("planted-token", []byte("planted session"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	released := must(v.ReleaseKey(t.Context(), vault.PersonKey(known[0].ID)))(t)
	_, key, _ := strings.Cut(released, `"value":"`)
	key, _, _ = strings.Cut(key, `"`)
	raw := must(base64.StdEncoding.DecodeString(key))(t)

	all := files(t, dir)
	for _, planted := range []string{
		wang.Name, wang.Document, wang.Phone, wang.DocumentKind, code, strings.ReplaceAll(code, "-", ""), "planted", key, string(raw[len(raw)-32:]),
	} {
		if planted == "" || bytes.Contains(all, []byte(planted)) {
			t.Errorf("%q stands in the files", planted)
		}
	}
	if !bytes.Contains(all, []byte(known[0].ID)) {
		t.Fatal("the id is not in the files either: the test looks in the wrong place")
	}
}

func TestADestroyedKeyIsGoneFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	at := filepath.Join(dir, "vault.db")
	v := open(t, vault.Config{URL: "sqlite://" + at, KeyFile: filepath.Join(t.TempDir(), "key")})
	known := must(v.EnsurePeople(t.Context(), []vault.PersonalData{wang}))(t)
	secrets := map[string][]byte{"keyset": nil, "data": nil, "document": nil}
	db := must(sql.Open("sqlite", at))(t)
	var keyset, data, document []byte
	err := db.QueryRow(`SELECT keyset, data, document FROM person JOIN subject_key ON subject = 'person/' || id`).Scan(&keyset, &data, &document)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	secrets["keyset"], secrets["data"], secrets["document"] = keyset, data, document
	before := files(t, dir)
	// Cut off after the key is destroyed, and before the files are clean.
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := v.DestroyKey(ctx, vault.PersonKey(known[0].ID)); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if !bytes.Contains(files(t, dir), keyset) {
		t.Fatal("the files are clean already: the test does not see the difference")
	}
	if err := v.DestroyKey(t.Context(), vault.PersonKey(known[0].ID)); err != nil {
		t.Fatal(err)
	}
	after := files(t, dir)
	start := time.Now()
	if err := v.DestroyKey(t.Context(), vault.PersonKey(known[0].ID)); err != nil || time.Since(start) > 500*time.Millisecond {
		t.Errorf("once more it takes %s, %v", time.Since(start), err)
	}
	for name, secret := range secrets {
		if !bytes.Contains(before, secret) {
			t.Fatalf("%s: the test looks for the wrong bytes", name)
		}
		if bytes.Contains(after, secret) {
			t.Errorf("%s is still in the files", name)
		}
	}
}

func TestTheKeyFileIsGuarded(t *testing.T) {
	config := vault.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "vault.db"), KeyFile: filepath.Join(t.TempDir(), "key")}
	open(t, config).Close()
	if mode := must(os.Stat(config.KeyFile))(t).Mode().Perm(); mode != 0o600 {
		t.Fatalf("made with mode %#o", mode)
	}
	content := must(os.ReadFile(config.KeyFile))(t)
	other := vault.Config{URL: "sqlite://" + filepath.Join(t.TempDir(), "vault.db"), KeyFile: filepath.Join(t.TempDir(), "key")}
	open(t, other).Close()
	for name, spoil := range map[string]func() error{
		"readable by others":  func() error { return os.Chmod(config.KeyFile, 0o604) },
		"writable by a group": func() error { return os.Chmod(config.KeyFile, 0o620) },
		"damaged":             func() error { return os.WriteFile(config.KeyFile, content[:len(content)-9], 0o600) },
		"gone":                func() error { return os.Remove(config.KeyFile) },
		"another vault's":     func() error { return os.WriteFile(config.KeyFile, must(os.ReadFile(other.KeyFile))(t), 0o600) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		v, err := vault.Open(t.Context(), config)
		if err == nil {
			v.Close()
			t.Errorf("a key file that is %s is taken", name)
		} else if strings.Contains(err.Error(), "value") {
			t.Errorf("the error quotes the key: %v", err)
		} else if !strings.Contains(err.Error(), config.KeyFile) {
			t.Errorf("of a key file that is %s the error does not say which: %v", name, err)
		}
		os.Remove(config.KeyFile)
		if err := os.WriteFile(config.KeyFile, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	open(t, config)
}

func BenchmarkSeal(b *testing.B) {
	v := open(b, vault.Config{URL: "sqlite://" + filepath.Join(b.TempDir(), "vault.db"), KeyFile: filepath.Join(b.TempDir(), "key")})
	choice := []byte("for")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Seal(b.Context(), "meeting/m", "choice", choice, 16); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHMAC(b *testing.B) {
	v := open(b, vault.Config{URL: "sqlite://" + filepath.Join(b.TempDir(), "vault.db"), KeyFile: filepath.Join(b.TempDir(), "key")})
	for b.Loop() {
		v.HMAC("commit", "person", "POST /api/v1/ballots", "0123456789")
	}
}

// BenchmarkEnsurePeople reports the time for 10,000 people, new and known.
func BenchmarkEnsurePeople(b *testing.B) {
	for b.Loop() {
		v := open(b, vault.Config{URL: "sqlite://" + filepath.Join(b.TempDir(), "vault.db"), KeyFile: filepath.Join(b.TempDir(), "key")})
		people := make([]vault.PersonalData, 10_000)
		for i := range people {
			people[i] = wang
			people[i].Document = fmt.Sprint(i)
		}
		for _, name := range []string{"new-ms", "known-ms"} {
			start := time.Now()
			if _, err := v.EnsurePeople(b.Context(), people); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(time.Since(start).Milliseconds()), name)
		}
	}
}
