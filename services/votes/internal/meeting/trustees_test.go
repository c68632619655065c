package meeting_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestTrustees(t *testing.T) {
	set := civilCode(t)
	posted := votes.NoticePosted{Meeting: "m", At: noon, Opens: opens, Closes: closes, RuleSet: set.ID, RuleHash: set.Hash}
	notice := meeting.PostNotice{Now: noon, Opens: opens, Closes: closes, Rules: set}
	named := votes.TrusteesNamed{
		Meeting: "m", Commitments: []string{"public", "second"}, Days: 15,
		Trustees: []votes.Trustee{{Person: "a", Party: votes.OfCommittee}, {Person: "b", Party: votes.OfStreet}, {Person: "c", Party: votes.OfResidents}},
	}
	name := meeting.NameTrustees{TrusteesNamed: named}
	changed := func(change func(*votes.TrusteesNamed)) meeting.NameTrustees {
		n := named
		n.Trustees, n.Commitments = slices.Clone(n.Trustees), slices.Clone(n.Commitments)
		change(&n)
		return meeting.NameTrustees{TrusteesNamed: n}
	}
	wrong := problem.Invalid("trustees-wrong", "")
	taken := func(n int) votes.ShareTaken { return votes.ShareTaken{Meeting: "m", Number: n} }
	given := func(n int) votes.ShareGiven {
		return votes.ShareGiven{Meeting: "m", Number: n, Share: fmt.Sprint("share ", n)}
	}
	give := func(n int) meeting.GiveShare { return meeting.GiveShare{Number: n, Share: fmt.Sprint("share ", n)} }
	end := closes.Add(time.Minute)
	closed, awaited := votes.VotingClosed{Meeting: "m"}, votes.SharesAwaited{Meeting: "m", Until: end.AddDate(0, 0, 15)}
	released, unopened := votes.KeyReleased{Meeting: "m", Key: "k"}, votes.BallotsUnopened{Meeting: "m"}
	leave := meeting.LeaveUnopened{Now: awaited.Until}
	held := events{drafted, frozen, named, taken(1), taken(2), taken(3), posted}
	after := func(more ...votes.Event) events { return slices.Concat(held, more) }

	estest.Run(t, meeting.Evolve, same, []estest.Case[meeting.Meeting, votes.Event]{
		{Name: "the key is given into several hands", Given: events{drafted}, When: name, Then: events{named}},
		{Name: "into other hands, before the notice", Given: events{drafted, named, taken(1)}, When: name, Then: events{named}},
		{Name: "not after the notice", Given: held, When: name, Err: meeting.ErrPosted},
		{Name: "not of a meeting of the past", Given: events{with(drafted, func(d *votes.MeetingDrafted) { d.Past = true })}, When: name, Err: meeting.ErrPastMeeting},
		{Name: "not of no meeting", When: name, Err: meeting.ErrNoMeeting},
		{Name: "not into one hand", Given: events{drafted}, When: changed(func(n *votes.TrusteesNamed) { n.Trustees, n.Commitments = n.Trustees[:1], n.Commitments[:1] }), Err: wrong},
		{Name: "not so that one share opens", Given: events{drafted}, When: changed(func(n *votes.TrusteesNamed) { n.Commitments = n.Commitments[:1] }), Err: wrong},
		{Name: "not so that more are needed than there are", Given: events{drafted}, When: changed(func(n *votes.TrusteesNamed) { n.Commitments = make([]string, 4) }), Err: wrong},
		{Name: "not two shares to one person", Given: events{drafted}, When: changed(func(n *votes.TrusteesNamed) { n.Trustees[1].Person = "a" }), Err: wrong},
		{Name: "not as many to one party as open", Given: events{drafted}, When: changed(func(n *votes.TrusteesNamed) { n.Trustees[1].Party = votes.OfCommittee }), Err: wrong},
		{Name: "as many of all parties as there are, where all are needed", Given: events{drafted},
			When: changed(func(n *votes.TrusteesNamed) {
				n.Trustees[1].Party, n.Commitments = votes.OfCommittee, append(n.Commitments, "third")
			}),
			Then: events{changed(func(n *votes.TrusteesNamed) {
				n.Trustees[1].Party, n.Commitments = votes.OfCommittee, append(n.Commitments, "third")
			}).TrusteesNamed}},
		{Name: "not to a party that there is none", Given: events{drafted}, When: changed(func(n *votes.TrusteesNamed) { n.Trustees[1].Party = "物业公司" }), Err: wrong},
		{Name: "not for no days", Given: events{drafted}, When: changed(func(n *votes.TrusteesNamed) { n.Days = 0 }), Err: wrong},

		{Name: "a share is taken", Given: events{drafted, named}, When: meeting.TakeShare{Number: 2}, Then: events{taken(2)}},
		{Name: "a share is taken once", Given: events{drafted, named, taken(2)}, When: meeting.TakeShare{Number: 2}},
		{Name: "a share is taken by who has one", Given: events{drafted, named}, When: meeting.TakeShare{Number: 0}, Err: meeting.ErrNotATrustee},
		{Name: "there is no fourth share", Given: events{drafted, named}, When: meeting.TakeShare{Number: 4}, Err: meeting.ErrNotATrustee},
		{Name: "there are no shares", Given: events{drafted}, When: meeting.TakeShare{Number: 1}, Err: meeting.ErrNoTrustees},
		{Name: "of another deal they are taken anew", Given: events{drafted, named, taken(2), named}, When: meeting.TakeShare{Number: 2}, Then: events{taken(2)}},

		{Name: "no notice while a share was not taken", Given: events{drafted, frozen, named, taken(1), taken(3)}, When: notice, Err: meeting.ErrSharesLeft},
		{Name: "no notice while shares of another deal were taken", Given: events{drafted, frozen, named, taken(1), taken(2), taken(3), named}, When: notice, Err: meeting.ErrSharesLeft},
		{Name: "notice when all are taken", Given: held[:6], When: notice, Then: events{posted}},

		{Name: "no share before the close", Given: held, When: give(1), Err: meeting.ErrShareEarly},
		{Name: "a share after the close", Given: after(closed), When: give(1), Then: events{given(1)}},
		{Name: "a share once", Given: after(closed, given(1)), When: give(1)},
		{Name: "a share of nobody", Given: after(closed), When: give(0), Err: meeting.ErrNotATrustee},
		{Name: "a share when the ballots are open", Given: after(closed, given(1), given(2), released), When: give(3)},
		{Name: "a share that is one more than needed", Given: after(closed, given(1), given(2)), When: give(3), Then: events{given(3)}},
		{Name: "a share after they were given up", Given: after(closed, awaited, unopened), When: give(1), Err: meeting.ErrUnopened},

		{Name: "no key of one share of two", Given: after(closed, given(1)), When: meeting.ReleaseKey{Key: "k"}, Err: meeting.ErrSharesMissing},
		{Name: "the key of two shares of two", Given: after(closed, given(1), given(3)), When: meeting.ReleaseKey{Key: "k"}, Then: events{released}},
		{Name: "no key after the ballots were given up", Given: after(closed, awaited, unopened), When: meeting.ReleaseKey{Key: "k"}, Err: meeting.ErrUnopened},

		{Name: "shares are awaited for whole days from the close", Given: after(closed), When: meeting.AwaitShares{Closed: end}, Then: events{awaited}},
		{Name: "shares are awaited once", Given: after(closed, awaited), When: meeting.AwaitShares{Closed: end.Add(time.Hour)}},
		{Name: "shares are not awaited before the close", Given: held, When: meeting.AwaitShares{Closed: end}, Err: meeting.ErrNotClosed},
		{Name: "shares are not awaited where there are none", Given: events{drafted, frozen, posted, closed}, When: meeting.AwaitShares{Closed: end}},

		{Name: "too few shares on the day", Given: after(closed, awaited, given(1)), When: leave, Then: events{unopened}},
		{Name: "too few shares a second before", Given: after(closed, awaited), When: meeting.LeaveUnopened{Now: leave.Now.Add(-time.Second)}, Err: meeting.ErrSharesDue},
		{Name: "too few shares, and no day set", Given: after(closed), When: leave, Err: meeting.ErrSharesDue},
		{Name: "given up once", Given: after(closed, awaited, unopened), When: leave},
		{Name: "enough shares on the day", Given: after(closed, awaited, given(1), given(2)), When: leave},
		{Name: "nothing to give up where there are no shares", Given: events{drafted, frozen, posted, closed}, When: leave, Err: meeting.ErrNoTrustees},
	})
}
