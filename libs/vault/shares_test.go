package vault_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/libs/vault"
)

const subject, field = "meeting/m", "choices/b"

func TestAsManySharesAsNeededOpenAndFewerDoNot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		needed := rapid.IntRange(1, 5).Draw(t, "needed")
		trustees := rapid.IntRange(needed, 7).Draw(t, "trustees")
		d, err := vault.Deal(needed, trustees)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Commitments) != needed || len(d.Shares) != trustees {
			t.Fatalf("%d commitments, %d shares", len(d.Commitments), len(d.Shares))
		}
		sealed, err := vault.SealTo(d.Commitments, subject, field, []byte("赞成"), 20)
		if err != nil {
			t.Fatal(err)
		}
		some := rapid.Permutation(d.Shares).Draw(t, "shares")[:rapid.IntRange(0, trustees).Draw(t, "come")]
		key, err := vault.CombineShares(d.Commitments, some)
		if len(some) < needed {
			if !errors.Is(err, vault.ErrNotAShare) {
				t.Fatalf("%d of %d give %q, %v", len(some), needed, key, err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, err := vault.OpenWith(key, subject, field, sealed); err != nil || string(text) != "赞成" {
			t.Fatalf("opened: %q, %v", text, err)
		}
	})
}

func TestAShareIsOfOneKeyAndOneTrustee(t *testing.T) {
	d, other := must(vault.Deal(2, 3))(t), must(vault.Deal(2, 3))(t)
	for i, share := range d.Shares {
		for _, typed := range []string{share, " " + strings.ToLower(strings.ReplaceAll(share, "-", " ")) + "\n"} {
			if got, err := vault.CheckShare(d.Commitments, i+1, typed); err != nil || got != share {
				t.Errorf("share %d, typed %q: %q, %v", i+1, typed, got, err)
			}
		}
		if !strings.HasSuffix(share, "-"+vault.ShareEnding(share)) {
			t.Errorf("%q ends in %q", share, vault.ShareEnding(share))
		}
		for _, c := range []struct {
			what        string
			commitments []string
			number      int
			text        string
		}{
			{"another trustee's", d.Commitments, (i+1)%3 + 1, share},
			{"of another key", other.Commitments, i + 1, share},
			{"cut", d.Commitments, i + 1, share[:len(share)-1]},
			{"nothing", d.Commitments, i + 1, ""},
			{"with a letter wrong", d.Commitments, i + 1, slip(share)},
		} {
			if got, err := vault.CheckShare(c.commitments, c.number, c.text); !errors.Is(err, vault.ErrNotAShare) {
				t.Errorf("share %d, %s: %q, %v", i+1, c.what, got, err)
			}
		}
	}
	for what, shares := range map[string][]string{
		"the same one twice":         {d.Shares[0], d.Shares[0]},
		"one of another key":         {d.Shares[0], other.Shares[1]},
		"one too many, of another":   {d.Shares[0], d.Shares[1], other.Shares[2]},
		"all of them of another key": other.Shares,
	} {
		if key, err := vault.CombineShares(d.Commitments, shares); !errors.Is(err, vault.ErrNotAShare) {
			t.Errorf("%s: %q, %v", what, key, err)
		}
	}
}

// slip changes one letter of a share.
func slip(share string) string {
	b := []byte(share)
	if b[10]++; b[10] < 'A' || b[10] > 'Z' {
		b[10] = 'A'
	}
	return string(b)
}

func TestWhatIsSealedToTrusteesTellsNothingAndStaysInItsPlace(t *testing.T) {
	d := must(vault.Deal(2, 3))(t)
	key := must(vault.CombineShares(d.Commitments, d.Shares[1:]))(t)
	yes := must(vault.SealTo(d.Commitments, subject, field, []byte("yes"), 20))(t)
	if no := must(vault.SealTo(d.Commitments, subject, field, []byte("a longer answer"), 20))(t); len(no) != len(yes) {
		t.Errorf("%d bytes and %d", len(yes), len(no))
	}
	if again := must(vault.SealTo(d.Commitments, subject, field, []byte("yes"), 20))(t); again == yes {
		t.Error("the same answer is the same ciphertext")
	}
	if _, err := vault.SealTo(d.Commitments, subject, field, []byte("longer than its field"), 20); !errors.Is(err, vault.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	for what, place := range map[string][2]string{"another ballot": {subject, "choices/c"}, "another meeting": {"meeting/n", field}} {
		if text, err := vault.OpenWith(key, place[0], place[1], yes); !errors.Is(err, vault.ErrCannotOpen) {
			t.Errorf("%s: %q, %v", what, text, err)
		}
	}
	otherKey := must(vault.CombineShares(d.Commitments, d.Shares[:2]))(t)
	if otherKey != key {
		t.Error("other shares give another key")
	}
	for _, wrong := range []string{"p256:", "p256:AAAA", "p256:!", "p256:" + strings.Repeat("A", 43) + "="} {
		if _, err := vault.NewOpener(wrong, subject); !errors.Is(err, vault.ErrCannotOpen) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestADealIsOfSomeAmongTheTrustees(t *testing.T) {
	for _, n := range [][2]int{{0, 3}, {-1, 3}, {4, 3}, {1, 256}} {
		if _, err := vault.Deal(n[0], n[1]); err == nil {
			t.Errorf("%d of %d", n[0], n[1])
		}
	}
}

func TestSharesAreKeptUntilTheyAreTaken(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v, ctx := open(), t.Context()
		d, given := must(vault.Deal(2, 3))(t), must(vault.Deal(2, 3))(t)
		people := []string{"a", "b", "c"}
		for _, deal := range []vault.Dealt{given, d, d} { // one that was given up, and one that is kept twice
			if err := v.KeepShares(ctx, subject, deal, people); err != nil {
				t.Fatal(err)
			}
		}
		for i, person := range people {
			if got := must(v.Share(ctx, subject, d.Commitments, person))(t); got != d.Shares[i] {
				t.Errorf("%s has %q", person, got)
			}
		}
		if got, err := v.Share(ctx, subject, d.Commitments, "d"); !errors.Is(err, vault.ErrNotAShare) {
			t.Errorf("someone else has %q, %v", got, err)
		}
		if err := v.DropShares(ctx, subject, d.Commitments, "b"); err != nil {
			t.Fatal(err)
		}
		if got, err := open().Share(ctx, subject, d.Commitments, "b"); !errors.Is(err, vault.ErrNotAShare) {
			t.Errorf("a share that was taken is %q, %v", got, err)
		}
		if err := v.DropShares(ctx, subject, d.Commitments, ""); err != nil {
			t.Fatal(err)
		}
		for _, person := range people {
			if _, err := v.Share(ctx, subject, d.Commitments, person); !errors.Is(err, vault.ErrNotAShare) {
				t.Errorf("%s: %v", person, err)
			}
		}
		must(v.Share(ctx, subject, given.Commitments, "a"))(t) // of the other deal nothing was dropped
	})
}

func TestATakenShareIsGoneFromTheFiles(t *testing.T) {
	dir := t.TempDir()
	v := open(t, vault.Config{URL: "sqlite://" + filepath.Join(dir, "vault.db"), KeyFile: filepath.Join(t.TempDir(), "vault.key")})
	d := must(vault.Deal(1, 1))(t)
	if err := v.KeepShares(t.Context(), subject, d, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	public := []byte(d.Commitments[0]) // stands beside the sealed share, in the same row
	if before := files(t, dir); !bytes.Contains(before, public) {
		t.Fatal("the row is not to be seen in the files: the test looks for the wrong thing")
	}
	if err := v.DropShares(t.Context(), subject, d.Commitments, "a"); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(files(t, dir), public) {
		t.Error("the row is still in the files")
	}
}

func FuzzShare(f *testing.F) {
	d, err := vault.Deal(2, 3)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(d.Shares[0])
	f.Add("AAAAA-AAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		for n := range 4 {
			_, err := vault.CheckShare(d.Commitments, n, text)
			mine := n > 0 && n < 4 && strings.EqualFold(strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B").Replace(strings.TrimSpace(text)), strings.ReplaceAll(d.Shares[n-1], "-", ""))
			if err == nil != mine || err != nil && !errors.Is(err, vault.ErrNotAShare) {
				t.Fatalf("%q as share %d: %v", text, n, err)
			}
		}
		if _, err := vault.CombineShares(d.Commitments, slices.Repeat([]string{text}, 2)); err == nil {
			t.Fatalf("%q twice opens", text)
		}
	})
}

func BenchmarkSealToTrustees(b *testing.B) {
	d, err := vault.Deal(2, 3)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := vault.SealTo(d.Commitments, subject, field, []byte("赞成"), 100); err != nil {
			b.Fatal(err)
		}
	}
}
