package inspect_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
)

// What becomes of a key that is held in shares is decided again: who named the
// trustees, whose share each is, and what key the shares make.
func TestSharesOfAMeetingsKeyAreCheckedAgain(t *testing.T) {
	t.Parallel()
	s := servicetest.New(t, parts...)
	s.Unruly = true
	estate := s.Estate("秀山花园")
	homes := s.Homes(estate, "1-101", "1-102", "1-103")
	_, clerk := s.Someone(estate, registry.Clerk)
	strangerID, _ := s.Someone(estate)
	var trustees []body
	var ids []string
	for _, party := range []string{votes.OfCommittee, votes.OfStreet, votes.OfResidents} {
		id, _ := s.Someone(estate)
		ids = append(ids, id)
		trustees = append(trustees, body{"person": id, "party": party})
	}
	now := s.Clock.Now()
	f := &forger{System: s, t: t, estate: estate}
	call := func(title string) (id, at string) {
		id = clerk.Post("/estates/"+estate+"/meetings", body{
			"title": title, "motions": json.RawMessage(motions),
			"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
		}).Want(http.StatusCreated).ID()
		at = "/meetings/" + id
		clerk.Post(at+"/roll", nil).Want(http.StatusCreated)
		clerk.Post(at+"/trustees", body{"trustees": trustees, "needed": 2}).Want(http.StatusCreated)
		return id, at
	}
	// take takes all shares of a meeting.
	take := func(at string) (shares []string) {
		for _, id := range ids {
			var own struct{ Share string }
			s.Person(id).Get(at + "/own-share").Want(http.StatusOK).Into(&own)
			s.Person(id).Post(at+"/own-share/taken", body{"ending": vault.ShareEnding(own.Share)}).Want(http.StatusCreated)
			shares = append(shares, own.Share)
		}
		clerk.Post(at+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": now.AddDate(0, 0, 20)}).Want(http.StatusCreated)
		return shares
	}
	meeting, at := call("第一次会议")
	shares := take(at)
	other, atOther := call("第二次会议")
	otherShares := take(atOther)
	drafted, _ := call("第三次会议")

	f.forge("trustees named by a stranger", "trustees.name", as{actor: strangerID}, votes.MeetingStream+drafted, votes.TrusteesNamed{
		Meeting: drafted, Commitments: []string{"x", "y"}, Days: 15, Trustees: []votes.Trustee{{Person: strangerID, Party: votes.OfCommittee}, {Person: ids[0], Party: votes.OfStreet}},
	})
	f.forge("another's share taken", "not-a-trustee", as{actor: ids[2]}, votes.MeetingStream+drafted, votes.ShareTaken{Meeting: drafted, Number: 1})
	f.forge("a share before the close", "share-early", as{actor: ids[0]}, votes.MeetingStream+other, votes.ShareGiven{Meeting: other, Number: 1, Share: otherShares[0]})

	s.Clock.Advance(17 * 24 * time.Hour)
	for _, h := range homes {
		s.Person(h.Owner).Post(at+"/ballots", body{"choices": []body{{"motion": "M1", "choice": votes.Yes}}}).Want(http.StatusCreated)
	}
	s.Clock.Advance(4 * 24 * time.Hour)
	last := func(id, kind string) {
		s.Await(kind, func() bool {
			types := s.Types(votes.MeetingStream + id)
			return types[len(types)-1] == kind
		})
	}
	last(meeting, "shares-awaited.v1")
	last(other, "shares-awaited.v1")

	s.Person(ids[0]).Post(at+"/shares", body{"share": shares[0]}).Want(http.StatusCreated)
	s.Person(ids[2]).Post(at+"/shares", body{"share": shares[2]}).Want(http.StatusCreated)
	last(meeting, "key-released.v1")

	f.forge("a share of another key", "share-wrong", as{actor: ids[1]}, votes.MeetingStream+other, votes.ShareGiven{Meeting: other, Number: 2, Share: shares[1]})
	f.forge("ballots given up before the day", "shares-still-due", as{actor: "reaction:votes_leave_unopened", cause: drafted + "/shares-due"}, votes.MeetingStream+drafted, votes.BallotsUnopened{Meeting: drafted})
	given := uuid.NewString()
	f.forge("a key that the shares do not make", "wrong-key", as{actor: "reaction:votes_release_key", cause: given}, votes.MeetingStream+other, votes.KeyReleased{Meeting: other, Key: "p256:AAAA"})
	f.found(t, nil)
}
