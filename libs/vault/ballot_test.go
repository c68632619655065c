package vault_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/vault"
)

func TestABallotCodeOpensOneBallotOnce(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		v := open()
		m, other, an := uuid.NewString(), uuid.NewString(), uuid.NewString()
		until := time.Now().Add(time.Hour)
		voters := []vault.Voter{{Entry: "1", Person: an}, {Entry: "2", Person: uuid.NewString()}}
		codes := must(v.NewBallotCodes(t.Context(), m, voters, until))(t)
		if form := regexp.MustCompile(`^([A-Z2-7]{4}-){3}[A-Z2-7]{4}$`); !form.MatchString(codes[0]) || codes[0] == codes[1] {
			t.Errorf("%v", codes)
		}
		use := func(code string, want error) {
			t.Helper()
			if _, err := v.UseBallotCode(t.Context(), m, code); !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		}
		if _, err := v.UseBallotCode(t.Context(), other, codes[0]); !errors.Is(err, vault.ErrCodeElsewhere) {
			t.Errorf("at another meeting: %v", err)
		}
		if voter, err := v.UseBallotCode(t.Context(), m, strings.ToLower(strings.ReplaceAll(codes[0], "-", " "))); err != nil || voter != voters[0] {
			t.Errorf("%v %v", voter, err)
		}
		use(codes[0], vault.ErrCodeUsed)
		use("AAAA-AAAA-AAAA-AAAA", vault.ErrCodeUnknown)

		again := must(v.NewBallotCodes(t.Context(), m, voters[1:], time.Now().Add(-time.Second)))(t)
		use(codes[1], vault.ErrCodeUnknown) // another was printed
		use(again[0], vault.ErrCodeExpired)
		if err := v.ExtendBallotCodes(t.Context(), m, until); err != nil {
			t.Fatal(err)
		}
		use(again[0], nil)

		fresh := must(v.NewBallotCodes(t.Context(), m, voters[:1], until))(t)
		if err := v.DestroyKey(t.Context(), vault.PersonKey(an)); err != nil {
			t.Fatal(err)
		}
		use(fresh[0], vault.ErrCodeUnknown) // its owner was erased
	})
}

func TestOfAHundredWhoTryOneBallotCodeOneGetsIn(t *testing.T) {
	onEach(t, func(t *testing.T, open func() *vault.Vault) {
		vaults := []*vault.Vault{open(), open()}
		m := uuid.NewString()
		codes := must(vaults[0].NewBallotCodes(t.Context(), m, []vault.Voter{{Entry: "1", Person: "p"}}, time.Now().Add(time.Hour)))(t)
		var in, out atomic.Int32
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				switch _, err := vaults[i%2].UseBallotCode(t.Context(), m, codes[0]); {
				case err == nil:
					in.Add(1)
				case errors.Is(err, vault.ErrCodeUsed):
					out.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if in.Load() != 1 || out.Load() != 99 {
			t.Errorf("%d got in, %d were told that it was used", in.Load(), out.Load())
		}
	})
}
