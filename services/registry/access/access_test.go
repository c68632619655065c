package access_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/registry/access"
)

// world is a ledger, a directory that follows it, and a clock to turn.
type world struct {
	*access.Directory
	t        testing.TB
	store    es.Store
	sessions *access.Sessions
	lengths  map[string]uint64
	now      time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := pebblestore.Open(pebblestore.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, lengths: map[string]uint64{}, now: time.Date(2026, 5, 1, 9, 0, 0, 0, time.UTC)}
	clock := func() time.Time { return w.now }
	dir := t.TempDir()
	v, err := vault.Open(t.Context(), vault.Config{URL: "sqlite://" + dir + "/vault.db", KeyFile: dir + "/key", Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	w.sessions = access.NewSessions(v.Sessions(), clock)
	w.Directory, err = access.New(access.Config{Store: store, Sessions: w.sessions, Clock: clock, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		store.Close()
		v.Close()
	})
	return w
}

// record appends events and waits until the directory knows them.
func (w *world) record(stream string, events ...registry.Event) {
	w.t.Helper()
	var proposed []es.Proposed
	for _, e := range events {
		name, data, err := registry.Codec.Encode(e)
		if err != nil {
			w.t.Fatal(err)
		}
		proposed = append(proposed, es.Proposed{ID: uuid.New(), Type: name, Data: data, Meta: []byte(`{}`)})
	}
	at, err := w.store.Append(w.t.Context(), stream, w.lengths[stream], proposed...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.lengths[stream] += uint64(len(events))
	if err := w.WaitFor(w.t.Context(), at); err != nil {
		w.t.Fatal(err)
	}
}

// issue records a token and returns what its bearer sends.
func (w *world) issue(t registry.TokenIssued) string {
	secret := access.NewSecret()
	t.Hash = access.HashSecret(secret)
	if t.Expires.IsZero() {
		t.Expires = w.now.Add(time.Hour)
	}
	w.record(registry.TokenStream+t.Token, t)
	return access.Token(t.Token, secret)
}

func (w *world) grant(person string, role registry.Role, estate string) {
	w.record(registry.PersonStream+person, registry.RoleGranted{Person: person, Role: role, Estate: estate})
}

func (w *world) titles(unit, estate string, people ...string) {
	stated := registry.TitlesStated{Estate: estate, ID: unit, Code: "code-" + unit}
	for i, p := range people {
		stated.Titles = append(stated.Titles, registry.Title{Person: p, Kind: registry.Natural, Part: 1, Whole: int64(len(people)), Votes: i == 0})
	}
	w.record(registry.UnitStream+unit, stated)
}

func TestAuthenticate(t *testing.T) {
	w := newWorld(t)
	w.grant("ann", registry.Clerk, "e1")
	w.titles("u1", "e2", "ann")
	anns := w.issue(registry.TokenIssued{Token: "t1", Person: "ann"})
	program := w.issue(registry.TokenIssued{Token: "t2", Role: registry.Administrator})
	expired := w.issue(registry.TokenIssued{Token: "t3", Role: registry.Clerk, Estate: "e1", Expires: w.now})
	revoked := w.issue(registry.TokenIssued{Token: "t4", Role: registry.Clerk, Estate: "e1"})
	w.record(registry.TokenStream+"t4", registry.TokenRevoked{Token: "t4"})
	forged := w.issue(registry.TokenIssued{Token: "t5", Role: access.Owner, Estate: "e1"})
	session, _, err := w.sessions.Start(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	ended, _, err := w.sessions.Start(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}

	check := func(name, token string, want authz.Principal, code string) {
		t.Helper()
		got, err := w.Authenticate(t.Context(), token)
		if code == "" && (err != nil || fmt.Sprint(got) != fmt.Sprint(want)) {
			t.Errorf("%s: got %v %v, want %v", name, got, err, want)
		}
		if code != "" && (!errors.Is(err, problem.Unauthorized(code, "")) || !got.Anonymous()) {
			t.Errorf("%s: got %v %v, want %s", name, got, err, code)
		}
	}
	ann := authz.Principal{ID: "ann", Person: "ann", Grants: []authz.Grant{{Role: "clerk", Estate: "e1"}, {Role: "owner", Estate: "e2"}}}
	check("a person's token acts as the person, with what titles make of them", anns, ann, "")
	check("a program's token acts with its one role", program, authz.Principal{ID: "token:t2", Grants: []authz.Grant{{Role: "administrator"}}}, "")
	check("a role that nobody can grant is none", forged, authz.Principal{ID: "token:t5"}, "")
	check("a session acts as the person", session, ann, "")
	check("an expired token", expired, authz.Principal{}, "token-expired")
	check("a revoked token", revoked, authz.Principal{}, "token-unknown")
	check("another secret", "yimu_t1_"+access.NewSecret(), authz.Principal{}, "token-unknown")
	check("a secret cut short", anns[:len(anns)-1], authz.Principal{}, "token-unknown")
	check("no secret", "yimu_t1_", authz.Principal{}, "token-unknown")
	check("no such id", "yimu_t9_"+access.NewSecret(), authz.Principal{}, "token-unknown")
	check("no id, whose hash would be zero", "yimu__", authz.Principal{}, "token-unknown")
	check("a secret without end", "yimu_t1_"+strings.Repeat("a", 10_000), authz.Principal{}, "token-unknown")
	check("something else", "ghp_abcdef", authz.Principal{}, "token-unknown")
	check("no such session", "yimu_s_"+access.NewSecret(), authz.Principal{}, "session-ended")

	check("a session in use", ended, ann, "")
	if err := w.sessions.End(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	check("a session ended while remembered", ended, authz.Principal{}, "session-ended")

	w.record(registry.PersonStream+"ann", registry.RoleRevoked{Person: "ann", Role: registry.Clerk, Estate: "e1"})
	check("a role taken back", anns, authz.Principal{ID: "ann", Person: "ann", Grants: []authz.Grant{{Role: "owner", Estate: "e2"}}}, "")
	w.record(registry.TokenStream+"t1", registry.TokenRevoked{Token: "t1"})
	check("a token revoked after use", anns, authz.Principal{}, "token-unknown")

	w.now = w.now.Add(13 * time.Hour)
	check("a session of yesterday", session, authz.Principal{}, "session-ended")
	check("a token of yesterday", program, authz.Principal{}, "token-expired")
}

func FuzzAuthenticate(f *testing.F) {
	w := newWorld(f)
	token := w.issue(registry.TokenIssued{Token: "t1", Role: registry.Clerk})
	session, _, err := w.sessions.Start(f.Context(), "ann")
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{token, session, "", "yimu_", "yimu_t1_", "yimu_s_", "yimu__x", "yimu_t1_" + strings.Repeat("é", 64), "Bearer " + token} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := w.Authenticate(t.Context(), text)
		if known := text == token || text == session; known != (err == nil) || known == p.Anonymous() {
			t.Errorf("%q stands for %v, %v", text, p, err)
		}
	})
}

func TestTitlesFollowTheirCorrections(t *testing.T) {
	w := newWorld(t)
	w.titles("u1", "e1", "ann", "bob")
	w.titles("u2", "e1", "ann")
	w.titles("u3", "e2", "ann")
	codes := func(units []access.Unit) string {
		var ids []string
		for _, u := range units {
			ids = append(ids, u.ID)
		}
		slices.Sort(ids)
		return strings.Join(ids, " ")
	}
	for _, test := range []struct{ name, got, want string }{
		{"units in an estate", codes(w.Units("ann", "e1")), "u1 u2"},
		{"all titles", codes(w.Titles("ann")), "u1 u2 u3"},
		{"a co-owner who does not vote", codes(w.VotingUnits("bob", "e1")), ""},
		{"the co-owner who does", codes(w.VotingUnits("ann", "e1")), "u1 u2"},
		{"a stranger", codes(w.Units("eve", "e1")), ""},
		{"owners of a unit", fmt.Sprint(w.Owners("u1")), "[ann bob]"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, test.got, test.want)
		}
	}
	w.record(registry.UnitStream+"u1", registry.TitlesCorrected{Estate: "e1", ID: "u1", Code: "code-u1", Titles: []registry.Title{{Person: "bob", Votes: true, Part: 1, Whole: 1}}})
	w.record(registry.UnitStream+"u2", registry.TitlesCorrected{Estate: "e1", ID: "u2", Code: "code-u2", Titles: []registry.Title{{Person: "bob", Votes: true, Part: 1, Whole: 1}}})
	if got := codes(w.Units("ann", "e1")) + "|" + codes(w.VotingUnits("bob", "e1")) + fmt.Sprint(w.Owners("u1")); got != "|u1 u2[bob]" {
		t.Errorf("after the sale got %s", got)
	}
	if w.Principal("ann").Has(access.Owner, "e1") || !w.Principal("ann").Has(access.Owner, "e2") {
		t.Errorf("who has sold is no owner any more: %v", w.Principal("ann"))
	}
}

func TestWaitForEndsWithItsContextAndWithTheDirectory(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := w.WaitFor(ctx, 1<<60); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestAnEventThatCannotBeReadEndsTheDirectory(t *testing.T) {
	store, err := pebblestore.Open(pebblestore.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Append(t.Context(), "token-1", 0, es.Proposed{ID: uuid.New(), Type: "token-issued.v9", Data: []byte(`{}`), Meta: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	d, err := access.New(access.Config{Store: store, Clock: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "token-issued.v9") {
		t.Errorf("got %v", err)
	}
	if err := d.WaitFor(t.Context(), 1); err == nil {
		t.Error("who waits must learn of it")
	}
}

func BenchmarkAuthenticate(b *testing.B) {
	w := newWorld(b)
	w.grant("ann", registry.Clerk, "e1")
	w.titles("u1", "e1", "ann")
	token := w.issue(registry.TokenIssued{Token: uuid.NewString(), Person: "ann"})
	session, _, err := w.sessions.Start(b.Context(), "ann")
	if err != nil {
		b.Fatal(err)
	}
	for name, token := range map[string]string{"token": token, "session": session} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Authenticate(b.Context(), token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAllow(b *testing.B) {
	w := newWorld(b)
	w.titles("u1", "e1", "ann")
	w.grant("bob", registry.Clerk, "e1")
	ann, bob := w.Principal("ann"), w.Principal("bob")
	for name, f := range map[string]func() error{
		"ballot.cast": func() error {
			return w.Allow(b.Context(), ann, "ballot.cast", authz.Resource{Type: "Meeting", ID: "m", Estate: "e1", Person: "ann"})
		},
		"papers.import": func() error {
			return w.Allow(b.Context(), bob, "papers.import", authz.Resource{Type: "Estate", ID: "e1", Estate: "e1"})
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
