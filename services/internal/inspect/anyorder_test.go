package inspect_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// handed is what an owner handed in by one channel, in that order.
type handed struct{ electronic, paper [][2]string }

// counts is what the rules make of it, the first or the last of a channel,
// and the electronic one of both.
func (h handed) counts(revote string) (choices [2]string, any bool) {
	list := h.electronic
	if len(list) == 0 {
		list = h.paper
	}
	switch {
	case len(list) == 0:
		return choices, false
	case revote == votes.FirstBallotStands:
		return list[0], true
	}
	return list[len(list)-1], true
}

// Whatever owners hand in, in whatever order and by whatever channel: the live count
// is what a count by hand comes to, the same after the tables were built anew, and
// the same where the trail is decided and counted again.
func TestReplayEqualsLiveWhateverOwnersHandIn(t *testing.T) {
	t.Parallel()
	for _, revote := range []string{votes.FirstBallotStands, votes.LastBallotStands} {
		t.Run(revote, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			draw := rand.New(rand.NewPCG(seed, 0))
			a := assemble(t, 7, revote)
			of := make([]handed, len(a.homes))
			for range 40 {
				a.Clock.Advance(time.Minute)
				n := draw.IntN(len(a.homes))
				words := []string{votes.Yes, votes.No, votes.Abstain}
				said := [2]string{words[draw.IntN(3)], words[draw.IntN(3)]}
				if draw.IntN(3) > 0 {
					again := len(of[n].electronic) > 0 && revote == votes.FirstBallotStands
					answer := a.Person(a.homes[n].Owner).Post(a.at+"/ballots", ballot(said[0], said[1]))
					if again {
						answer.Refused(http.StatusConflict, string(votes.AlreadyVoted))
						continue
					}
					answer.Want(http.StatusCreated)
					of[n].electronic = append(of[n].electronic, said)
					continue
				}
				entry := strconv.Itoa(n + 1)
				envelope := a.handIn(entry, votes.Paper)
				first, second := draw.IntN(2), 2+draw.IntN(2)
				a.read(first, entry, envelope, said[0], said[1])
				a.read(second, entry, envelope, said[0], said[1])
				of[n].paper = append(of[n].paper, said)
			}
			a.close()
			a.clerks[0].Post(a.at+"/entry-completed", nil).Want(http.StatusCreated)
			a.counted()

			want := [2]row{{Motion: "M1"}, {Motion: "M2"}}
			for _, h := range of {
				said, any := h.counts(revote)
				for i := range want {
					if !any {
						continue
					}
					want[i].Took++
					switch said[i] {
					case votes.Yes:
						want[i].Yes++
					case votes.No:
						want[i].No++
					case votes.Abstain:
						want[i].Abstain++
					}
				}
			}
			posted := func() (list []json.RawMessage) {
				return servicetest.Items[json.RawMessage](a.Anyone().Get(a.at + "/results").Want(http.StatusOK))
			}
			live := posted()
			if r1, r2 := a.results(); [2]row{r1, r2} != want {
				t.Errorf("counted %+v %+v, want %+v", r1, r2, want)
			}
			a.honest("counted")
			a.Rebuild("votes")
			if again := posted(); !reflect.DeepEqual(again, live) {
				t.Errorf("built anew: %s, live: %s", again, live)
			}
		})
	}
}
