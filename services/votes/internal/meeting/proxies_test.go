package meeting_test

import (
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es/estest"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func TestMandatesOfOneHolder(t *testing.T) {
	m := held(noon)
	take := meeting.TakeMandate{Proxy: "p4", Meeting: m, Entry: "4", Holder: "ho", At: noon}
	taken := func(proxy, entry string) votes.MandateTaken {
		return votes.MandateTaken{Proxy: proxy, Meeting: "m", Entry: entry, Holder: "ho", At: noon}
	}
	returned := votes.MandateReturned{Proxy: "p1", Meeting: "m", Entry: "1", Holder: "ho"}
	refused := func(reason votes.Reason) votes.ProxyRefused {
		return votes.ProxyRefused{Proxy: "p4", Meeting: "m", Entry: "4", Holder: "ho", At: noon, Reason: reason}
	}
	three := events{taken("p1", "1"), taken("p2", "2"), taken("p3", "3")}
	capped := with(take, func(c *meeting.TakeMandate) { c.Cap = 3 })
	give := meeting.ReturnMandate{Proxy: "p1", Meeting: "m", Entry: "1", Holder: "ho"}

	estest.Run(t, meeting.EvolveMandates, same, []estest.Case[meeting.Mandates, votes.Event]{
		{Name: "the first mandate", When: capped, Then: events{taken("p4", "4")}},
		{Name: "the third of three (潍坊)", Given: three[:2], When: capped, Then: events{taken("p4", "4")}},
		{Name: "the fourth of three (潍坊)", Given: three, When: capped, Then: events{refused(votes.ProxyCapExceeded)}},
		{Name: "the fourth where the rules name no cap", Given: three, When: take, Then: events{taken("p4", "4")}},
		{Name: "one that was returned counts no more", Given: append(three, returned), When: capped, Then: events{taken("p4", "4")}},
		{Name: "one of the same owner anew is no other", Given: three, When: with(capped, func(c *meeting.TakeMandate) { c.Entry = "3" }), Then: events{taken("p4", "3")}},
		{Name: "a refusal counts for nothing", Given: append(three[:2:2], refused(votes.ProxyBarred)), When: capped, Then: events{taken("p4", "4")}},
		{Name: "the provider's staff hold none (舟山)", When: with(capped, func(c *meeting.TakeMandate) { c.Barred = true }), Then: events{refused(votes.ProxyBarred)}},
		{Name: "that they may hold none is said before that their hands are full", Given: three, When: with(capped, func(c *meeting.TakeMandate) { c.Barred = true }), Then: events{refused(votes.ProxyBarred)}},
		{Name: "return one", Given: three, When: give, Then: events{returned}},
		{Name: "return one that is none of theirs", Given: three[1:], When: give},
		{Name: "return one that the owner has granted anew", Given: append(three[:1:1], taken("p9", "1")), When: give},
	})
}

func TestProxies(t *testing.T) {
	m, at := held(noon), opens.Add(time.Hour)
	entry := votes.Entry{Entry: "7", Area: 100, ByScope: []votes.ScopeTotal{{Scope: "building:5", Heads: 1, Area: 100}}}
	document := strings.Repeat("0d", 32)
	choices, _ := said(votes.Yes, votes.No)
	only1, _ := said(votes.Yes, "")
	grant := meeting.GrantProxy{
		Proxy: "p", Meeting: m, Entry: entry, Holder: "ho", At: noon, Document: document, Written: true, ItemByItem: true,
		Instructions: choices, Marks: marks(m, entry, choices, nil), Sealed: "sealed",
	}
	of := func(change func(*meeting.GrantProxy)) meeting.GrantProxy { return with(grant, change) }
	granted := votes.ProxyGranted{
		Proxy: "p", Meeting: "m", Entry: "7", Holder: "ho", At: noon, Document: document, Marks: marks(m, entry, choices, nil), Sealed: "sealed",
	}
	free := with(granted, func(e *votes.ProxyGranted) { e.Marks, e.Sealed = nil, "" })
	revoke := meeting.RevokeProxy{Meeting: m, At: at, Document: document, Written: true}
	revoked := votes.ProxyRevoked{Proxy: "p", Meeting: "m", Entry: "7", Holder: "ho", At: at, Document: document}
	cast := func(m1, m2 string, change ...func(*meeting.CastBallot)) meeting.CastBallot {
		said, _ := said(m1, m2)
		c := meeting.CastBallot{Ballot: "b", Meeting: m, Entry: entry, Channel: ele, At: at, Choices: said, Sealed: "sealed", Proxy: "p", Marks: marks(m, entry, said, nil)}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	took := votes.BallotCast{Ballot: "b", Meeting: "m", Entry: "7", Channel: ele, Proxy: "p", At: at, Motions: []string{"M1", "M2"}, Sealed: "sealed"}
	refused := votes.BallotRefused{Ballot: "b", Meeting: "m", Entry: "7", Channel: ele, Proxy: "p", At: at, Motions: []string{"M1", "M2"}}
	own := with(took, func(e *votes.BallotCast) { e.Ballot, e.Proxy = "a", "" })
	yes, no := votes.Yes, votes.No

	estest.Run(t, meeting.EvolveBallots, same, []estest.Case[meeting.Ballots, votes.Event]{
		{Name: "a written mandate with instructions item by item (上海 art. 18)", When: grant, Then: events{granted}},
		{Name: "a mandate without one on every motion, where they are asked for (上海 art. 18)", When: of(func(c *meeting.GrantProxy) { c.Instructions = only1 }), Err: meeting.ErrInstructions},
		{Name: "a mandate that leaves it to the holder, where the rules allow that",
			When: of(func(c *meeting.GrantProxy) { c.ItemByItem, c.Instructions, c.Marks, c.Sealed = false, nil, nil, "" }), Then: events{free}},
		{Name: "an instruction that is no choice", When: of(func(c *meeting.GrantProxy) {
			c.Instructions = []votes.Choice{{Motion: "M1", Choice: "也许"}, choices[1]}
		}), Err: meeting.ErrInstructions},
		{Name: "an instruction on a motion that does not concern the owner", When: of(func(c *meeting.GrantProxy) { c.Entry.ByScope = nil }), Err: meeting.ErrInstructions},
		{Name: "a mandate for oneself", When: of(func(c *meeting.GrantProxy) { c.Own = true }), Err: meeting.ErrOwnProxy},
		{Name: "a mandate recorded by the office without the writing", When: of(func(c *meeting.GrantProxy) { c.Document = "" }), Err: meeting.ErrDocument},
		{Name: "a mandate granted by the owner logged in needs no paper", When: of(func(c *meeting.GrantProxy) { c.Document, c.Written = "", false }),
			Then: events{with(granted, func(e *votes.ProxyGranted) { e.Document = "" })}},
		{Name: "a second mandate beside the first", Given: events{granted}, When: grant, Err: meeting.ErrProxyGranted},
		{Name: "a second mandate after the first was revoked", Given: events{granted, revoked}, When: grant, Then: events{granted}},
		{Name: "a mandate by who has voted", Given: events{own}, When: grant, Err: meeting.ErrVotedInPerson},
		{Name: "a mandate by who has handed in an envelope", Given: events{votes.PaperHandedIn{Envelope: "e", At: at}}, When: grant, Err: meeting.ErrVotedInPerson},
		{Name: "a mandate after voting is over", When: of(func(c *meeting.GrantProxy) { c.At = closes }), Err: meeting.ErrProxyClosed},
		{Name: "a mandate for a meeting that is cancelled", When: of(func(c *meeting.GrantProxy) { c.Meeting.Cancelled.At = noon }), Err: meeting.ErrProxyClosed},
		{Name: "a mandate before there is a notice", When: of(func(c *meeting.GrantProxy) { c.Meeting.Notice = votes.NoticePosted{} }), Err: meeting.ErrProxyClosed},

		{Name: "revoke it", Given: events{granted}, When: revoke, Then: events{revoked}},
		{Name: "revoke what was not granted", When: revoke, Err: meeting.ErrNoMandate},
		{Name: "revoke it twice", Given: events{granted, revoked}, When: revoke, Err: meeting.ErrNoMandate},
		{Name: "revoke it after voting is over", Given: events{granted}, When: with(revoke, func(c *meeting.RevokeProxy) { c.At = closes }), Err: meeting.ErrProxyClosed},

		{Name: "the holder votes as instructed", Given: events{granted}, When: cast(yes, no), Then: events{took}},
		{Name: "the holder votes otherwise", Given: events{granted}, When: cast(yes, yes), Err: meeting.ErrAgainstInstructions},
		{Name: "the holder abstains where the owner did not", Given: events{granted}, When: cast(votes.Abstain, no), Err: meeting.ErrAgainstInstructions},
		{Name: "the holder leaves out what the owner instructed, though ballots may be partial", Given: events{granted}, When: cast(yes, "", func(c *meeting.CastBallot) { c.Partial = true }), Err: meeting.ErrAgainstInstructions},
		{Name: "the holder votes freely where nothing is instructed", Given: events{free}, When: cast(yes, yes), Then: events{took}},
		{Name: "without a mandate", When: cast(yes, no), Err: meeting.ErrNoMandate},
		{Name: "with one that was revoked", Given: events{granted, revoked}, When: cast(yes, no), Err: meeting.ErrNoMandate},
		{Name: "with one of another owner", Given: events{granted}, When: cast(yes, no, func(c *meeting.CastBallot) { c.Proxy = "q" }), Err: meeting.ErrNoMandate},
		{Name: "the holder has joined the provider since (舟山)", Given: events{granted}, When: cast(yes, no, func(c *meeting.CastBallot) { c.Barred = true }),
			Then: events{with(refused, func(r *votes.BallotRefused) { r.Reason = votes.ProxyBarred })}},
		{Name: "the owner has voted in person", Given: events{granted, own}, When: cast(yes, no), Then: events{with(refused, func(r *votes.BallotRefused) { r.Reason = votes.OwnBallotStands })}},
		{Name: "the owner votes in person after the holder, though the first ballot stands", Given: events{granted, took},
			When: cast(yes, yes, func(c *meeting.CastBallot) { c.Ballot, c.Proxy, c.Marks = "a", "", nil }), Then: events{own}},
		{Name: "the holder votes twice where the first ballot stands", Given: events{granted, took}, When: cast(yes, no), Then: events{with(refused, func(r *votes.BallotRefused) { r.Reason = votes.AlreadyVoted })}},
		{Name: "what the holder cast before the mandate was revoked stands", Given: events{granted, took, revoked},
			When: cast(yes, no, func(c *meeting.CastBallot) { c.Proxy = "" }), Then: events{with(took, func(e *votes.BallotCast) { e.Proxy = "" })}},
	})
}
