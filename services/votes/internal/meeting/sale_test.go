package meeting_test

import (
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/internal/electorate"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// market is a live meeting during which units are sold, with its registry, one step
// after another as the ledger has them.
type market struct {
	fatal   func(...any)
	m       meeting.Meeting
	units   []electorate.Unit
	frozen  []electorate.Unit
	roll    meeting.Roll
	now     time.Time
	ballots map[string]meeting.Ballots
	taken   map[string][]meeting.Taken
	refused meeting.Summary
	steps   uint64
}

func openMarket(fatal func(...any), policy votes.Policy, motions []votes.Motion, list ...electorate.Unit) *market {
	a := &market{fatal: fatal, units: list, frozen: slices.Clone(list), now: opens.Add(time.Hour), ballots: map[string]meeting.Ballots{}, taken: map[string][]meeting.Taken{}}
	var err error
	if a.roll, err = meeting.BuildRoll("m", list, policy, motions); err != nil {
		fatal(err)
	}
	for _, e := range []votes.Event{
		votes.MeetingDrafted{Meeting: "m", Estate: "e", Policy: policy, Motions: motions},
		votes.RollFrozen{Meeting: "m", Roll: "hash", Heads: a.roll.Heads, Area: a.roll.Area, Scopes: a.roll.Scopes, Form: meeting.FormUnits},
		votes.NoticePosted{Meeting: "m", At: noon.AddDate(-7, 0, 0), Opens: opens, Closes: closes}, // from before paper was entered by two
	} {
		a.m = meeting.Evolve(a.m, e)
	}
	return a
}

func (a *market) tick() { a.steps++; a.now = a.now.Add(time.Minute) }

func (a *market) entry(number string) votes.Entry {
	if n, _ := strconv.Atoi(number); n >= 1 && n <= len(a.roll.Public.Entries) {
		return a.roll.Public.Entries[n-1]
	}
	e, _ := a.m.Joined(number)
	return e
}

// sell gives a unit another owner, and returns the amendment that follows; none
// where there is nothing to amend.
func (a *market) sell(code, buyer string) []votes.Event {
	a.tick()
	i := slices.IndexFunc(a.units, func(u electorate.Unit) bool { return u.Code == code })
	a.units[i].Titles = []registry.Title{owner(buyer)}
	c := meeting.AmendRoll{Frozen: a.frozen[i], Now: a.units[i], Buyer: a.roll.Voters.Of(buyer).Entry, SeenAt: a.steps, At: a.now}
	for _, e := range a.roll.Public.Entries {
		if slices.Contains(e.Units, code) {
			c.Entry = e.Entry
		}
	}
	for person, v := range a.roll.Voters {
		if v.Entry == c.Entry && c.Entry != "" {
			c.Voter = person
		}
	}
	list, err := c.Decide(a.m)
	if err != nil {
		a.fatal(err)
	}
	for _, e := range list {
		a.m = meeting.Evolve(a.m, e)
	}
	return list
}

// envelope hands in a paper ballot, to be entered later.
func (a *market) envelope(person string) (at time.Time, amendments int) {
	a.tick()
	number := a.m.Voter(a.roll.Voters.Of(person), person).Entry
	a.keep(number, len(a.m.Amendments), meeting.HandInPaper{Ballot: "p", Meeting: a.m, Entry: a.entry(number), At: a.now})
	return a.now, len(a.m.Amendments)
}

// enter enters the envelope of a person.
func (a *market) enter(person, choice string, amendments int) {
	a.tick()
	number := a.m.Voter(a.roll.Voters.Of(person), person).Entry
	a.keep(number, amendments, meeting.CastBallot{
		Ballot: strconv.FormatUint(a.steps, 10), Meeting: a.m, Entry: a.entry(number), Channel: votes.Paper, At: a.now, Choices: a.all(choice), Sealed: "sealed",
	})
}

// vote casts a ballot on all motions, and returns why it was refused on some.
func (a *market) vote(person, choice string, motions ...string) (reasons []votes.Reason) {
	a.tick()
	voter := a.m.Voter(a.roll.Voters.Of(person), person)
	choices := a.all(choice)
	if len(motions) > 0 {
		choices = nil
		for _, id := range motions {
			choices = append(choices, votes.Choice{Motion: id, Choice: choice})
		}
	}
	return a.keep(voter.Entry, len(a.m.Amendments), meeting.CastBallot{
		Ballot: strconv.FormatUint(a.steps, 10), Meeting: a.m, Entry: a.entry(voter.Entry), NoEntry: voter.Reason, Channel: votes.Electronic, At: a.now, Partial: true,
		Choices: choices, Sealed: "sealed",
	})
}

func (a *market) all(choice string) (choices []votes.Choice) {
	for _, m := range a.m.Motions {
		choices = append(choices, votes.Choice{Motion: m.ID, Choice: choice})
	}
	return choices
}

func (a *market) keep(entry string, amendments int, c interface {
	Decide(meeting.Ballots) ([]votes.Event, error)
}) (reasons []votes.Reason) {
	list, err := c.Decide(a.ballots[entry])
	if err != nil {
		a.fatal(err)
	}
	for _, e := range list {
		a.ballots[entry] = meeting.EvolveBallots(a.ballots[entry], e)
		switch e := e.(type) {
		case votes.BallotCast:
			cast := c.(meeting.CastBallot)
			for _, choice := range cast.Choices {
				if slices.Contains(e.Motions, choice.Motion) {
					e.Choices = append(e.Choices, choice)
				}
			}
			a.taken[entry] = append(a.taken[entry], meeting.Taken{BallotCast: e, Opened: true, Amendments: amendments})
		case votes.BallotRefused:
			a.refused.Reject(e.Reason, len(e.Motions))
			reasons = append(reasons, e.Reason)
		default:
		}
	}
	return reasons
}

// count counts, and checks that no unit counts twice or not at all.
func (a *market) count(set meeting.RuleSet) ([]meeting.Result, meeting.Summary) {
	onRoll := map[string]votes.Entry{}
	for _, e := range a.m.Traded() {
		if e := a.entry(e); len(e.Units) > 0 && e.Area > 0 {
			onRoll[e.Entry] = e
		}
	}
	h := a.m.Holdings(onRoll, a.taken)
	counter := meeting.NewCounter(a.m, nil)
	counter.Holdings = h
	all := slices.Clone(a.roll.Public.Entries)
	for _, number := range a.m.Traded() {
		if e, ok := a.m.Joined(number); ok {
			all = append(all, e)
		}
	}
	for _, m := range a.m.Motions {
		var total votes.ScopeTotal
		for _, e := range all {
			switch w := h.Weight(e, m); {
			case w < 0:
				a.fatal("entry ", e.Entry, " counts for less than nothing on ", m.ID)
			case w > 0:
				total.Heads, total.Area = total.Heads+1, total.Area+w
			}
		}
		total.Scope = meeting.ScopeOf(m)
		if got := h.Electorate(a.m, m); got != total || got.Area != a.m.Electorate(m).Area {
			a.fatal("on ", m.ID, " the electorate is ", got, ", its heads make ", total, ", the roll ", a.m.Electorate(m))
		}
	}
	for _, e := range all {
		counter.Head(e, meeting.Handed{Taken: a.taken[e.Entry]})
	}
	return counter.Results(set), counter.Summary
}

var (
	lastStands = votes.Policy{Revote: votes.LastBallotStands, PaperAndElectronic: votes.PaperStands, Unreturned: votes.UnreturnedNone}
	inBuilding = []votes.Motion{{ID: "M1", Title: "电梯", Matter: "民法典278-1-5", Scope: "building:5"}}
)

// A vote of building 5 with sales in its middle, by 北京's rule, by hand.
//
//	roll                     building 5          sold during the vote
//	1  an  5-1-101, 5-1-102  80.00 + 70.00       5-1-102 to iv, who is new (entry 8); an keeps 5-1-101
//	2  bo  5-1-201           90.00               5-1-201 to hu, who is new (entry 7)
//	3  ce  5-1-202           60.00               5-1-202 to di, who is on the roll and has voted
//	4  di  5-1-301           100.00
//	5  ed  5-1-302           50.00               5-1-302 to fa, who is new (entry 9), after ed has voted
//	6  gu  6-1-101           not of building 5
//
// In all 5 heads and 450.00 ㎡. One more head by iv and one less by ce: 5 again.
//
//	ed  yes  50.00 before the sale: it stands, and fa's no does not count
//	di  yes 100.00 for its own and 60.00 for what it bought: one ballot for all units of an owner
//	hu  no   90.00
//	iv  yes  70.00
//	an  nothing, 80.00
//
// Took part 4 of 5 heads, 370.00 of 450.00:  3 × 4 = 12 ≥ 10,  3 × 37000 = 111000 ≥ 90000.
// Agreed 3 of 4 heads, 280.00 of 370.00:     2 × 3 = 6 > 4,    2 × 28000 = 56000 > 37000.  Adopted.
func TestAVoteOfABuildingWithSalesInItsMiddle(t *testing.T) {
	home := func(code, building string, area units.CentiM2, person string) electorate.Unit {
		return unit(code, building, area, registry.Home, registry.Delivered, owner(person))
	}
	a := openMarket(t.Fatal, lastStands, inBuilding,
		home("5-1-101", "5", 8000, "an"), home("5-1-102", "5", 7000, "an"), home("5-1-201", "5", 9000, "bo"), home("5-1-202", "5", 6000, "ce"),
		home("5-1-301", "5", 10000, "di"), home("5-1-302", "5", 5000, "ed"), home("6-1-101", "6", 12000, "gu"))
	if want := (votes.ScopeTotal{Scope: "building:5", Heads: 5, Area: 45000}); a.roll.Scopes[0] != want {
		t.Fatalf("the roll has %+v", a.roll.Scopes)
	}
	none := func(who string, reasons []votes.Reason) {
		t.Helper()
		if len(reasons) > 0 {
			t.Errorf("%s is refused: %v", who, reasons)
		}
	}
	refused := func(who string, reasons []votes.Reason) {
		t.Helper()
		if !slices.Equal(reasons, []votes.Reason{votes.NotInScope}) {
			t.Errorf("%s: %v, want %s", who, reasons, votes.NotInScope)
		}
	}
	none("ed", a.vote("ed", votes.Yes))
	none("di", a.vote("di", votes.Yes))
	first := a.sell("5-1-201", "hu")
	want := votes.RollAmended{
		Meeting: "m", RollUnit: votes.RollUnit{Unit: "5-1-201", Building: "5", Area: 9000}, Scopes: []string{"building:5"},
		From: "2", To: "7", Person: "hu", SeenAt: 3, At: a.now,
	}
	if !reflect.DeepEqual(first, events{want}) {
		t.Errorf("amended %+v", first)
	}
	a.sell("5-1-102", "iv")
	a.sell("5-1-202", "di")
	a.sell("5-1-302", "fa")
	refused("bo, who sold all", a.vote("bo", votes.Yes))
	refused("ce, who sold all", a.vote("ce", votes.No))
	none("hu", a.vote("hu", votes.No))
	none("iv", a.vote("iv", votes.Yes))
	none("fa", a.vote("fa", votes.No))

	results, summary := a.count(civilCode(t))
	r := results[0]
	got := []int64{r.ElectorateHeads, int64(r.ElectorateArea), r.ParticipatingHeads, int64(r.ParticipatingArea), r.YesHeads, int64(r.YesArea), r.NoHeads, int64(r.NoArea)}
	if !slices.Equal(got, []int64{5, 45000, 4, 37000, 3, 28000, 1, 9000}) || r.Outcome != votes.Adopted {
		t.Errorf("%v, %s", got, r.Outcome)
	}
	for i, products := range [][2]int64{{12, 10}, {111000, 90000}, {6, 4}, {56000, 37000}} {
		if s := r.Arithmetic[i]; s.Left.Product != products[0] || s.Right.Product != products[1] || !s.Met {
			t.Errorf("step %d: %+v, want %v", i, s, products)
		}
	}
	if summary.Accepted != 4 || summary.Reasons[votes.SellerVoted] != 1 {
		t.Errorf("%+v", summary)
	}
	if turnout, all := a.turnout(); turnout != (votes.ScopeTotal{Heads: 4, Area: 37000}) || all.Heads != 6 {
		t.Errorf("turnout %+v", turnout)
	}
}

// turnout is that of all units, as the board has it: what entries of the roll make,
// put right. all is out of how many.
func (a *market) turnout() (t, all votes.ScopeTotal) {
	onRoll, voted := map[string]votes.Entry{}, map[string]int{}
	for entry, list := range a.taken {
		for _, b := range list {
			if n, ok := voted[entry]; !ok || b.Amendments < n {
				voted[entry] = b.Amendments
			}
		}
	}
	for _, e := range a.roll.Public.Entries {
		onRoll[e.Entry] = e
		if len(a.taken[e.Entry]) > 0 {
			t.Heads, t.Area = t.Heads+1, t.Area+e.Area
		}
	}
	return a.m.Turnout(t, onRoll, voted), a.m.Heads(votes.ScopeTotal{Heads: a.roll.Heads, Area: a.roll.Area}, onRoll, voted)
}

func TestWhoseBallotCountsForAUnitSoldDuringTheVote(t *testing.T) {
	const all, kept = "1-1", "1-2" // an has both; bo has 2-1
	type tally struct{ heads, yes, no int64 }
	for _, c := range []struct {
		name string
		do   func(*market)
		want tally // heads of the electorate, area for and against; 100, 50 and 70
	}{
		{"北京: the seller has voted, so that vote stands and the buyer's does not", func(a *market) {
			a.vote("an", votes.Yes)
			a.sell(all, "ce")
			a.vote("ce", votes.No)
		}, tally{2, 150, 0}},
		{"北京: the seller has not voted, so the buyer votes for the unit, and the seller for what is left", func(a *market) {
			a.sell(all, "ce")
			a.vote("ce", votes.No)
			a.vote("an", votes.Yes)
		}, tally{3, 50, 100}},
		{"the buyer is on the roll: one head, with one ballot for all", func(a *market) {
			a.sell(all, "bo")
			a.vote("bo", votes.No)
		}, tally{2, 0, 170}},
		{"the buyer is on the roll and voted before: that ballot covers what was bought", func(a *market) {
			a.vote("bo", votes.No)
			a.sell(all, "bo")
		}, tally{2, 0, 170}},
		{"the seller sold all: a head less where the buyer is on the roll", func(a *market) {
			a.sell(all, "bo")
			a.sell(kept, "bo")
			a.vote("an", votes.Yes)
			a.vote("bo", votes.No)
		}, tally{1, 0, 220}},
		{"the seller voted before, and cannot change that after: one voice for what stands and what is left", func(a *market) {
			a.vote("an", votes.Yes)
			a.sell(all, "ce")
			a.vote("an", votes.No)
			a.vote("ce", votes.No)
		}, tally{2, 150, 0}},
		{"the seller's paper was handed in before the sale, and is entered after it", func(a *market) {
			_, n := a.envelope("an")
			a.sell(all, "ce")
			a.sell(kept, "ce")
			a.vote("ce", votes.No)
			a.enter("an", votes.Yes, n)
		}, tally{2, 150, 0}},
		{"paper of the seller after the sale is for what is left, though paper stands", func(a *market) {
			a.sell(all, "ce")
			_, n := a.envelope("an")
			a.vote("ce", votes.No)
			a.enter("an", votes.Yes, n)
		}, tally{3, 50, 100}},
		{"sold twice: who bought first and voted stands before who bought last", func(a *market) {
			a.sell(all, "ce")
			a.vote("ce", votes.No)
			a.sell(all, "di")
			a.vote("di", votes.Yes)
		}, tally{3, 0, 100}},
		{"sold twice: nobody voted but who bought last", func(a *market) {
			a.sell(all, "ce")
			a.sell(all, "di")
			a.vote("di", votes.Yes)
			a.vote("ce", votes.No)
		}, tally{3, 100, 0}},
		{"sold and bought back: the seller votes as if nothing had been", func(a *market) {
			a.sell(all, "ce")
			a.sell(all, "an")
			a.vote("an", votes.Yes)
			a.vote("ce", votes.No)
		}, tally{2, 150, 0}},
		{"a void ballot of the seller stands in nobody's way", func(a *market) {
			a.vote("an", votes.Yes)
			a.taken["1"][0].Choices = nil // it does not open
			a.sell(all, "ce")
			a.vote("ce", votes.No)
		}, tally{3, 0, 100}},
		{"nobody votes for a unit that was sold: it is part of the whole all the same", func(a *market) {
			a.sell(all, "ce")
			a.vote("bo", votes.Yes)
		}, tally{3, 70, 0}},
		{"the same owner again is no sale", func(a *market) { a.sell(all, "an"); a.vote("an", votes.Yes) }, tally{2, 150, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := openMarket(t.Fatal, lastStands, []votes.Motion{{ID: "M1", Matter: "民法典278-1-5", Scope: "estate"}},
				unit("1-1", "1", 100, registry.Home, registry.Delivered, owner("an")), unit("1-2", "1", 50, registry.Home, registry.Delivered, owner("an")),
				unit("2-1", "2", 70, registry.Home, registry.Delivered, owner("bo")))
			c.do(a)
			results, _ := a.count(civilCode(t))
			r := results[0]
			if got := (tally{r.ElectorateHeads, int64(r.YesArea), int64(r.NoArea)}); got != c.want || r.ElectorateArea != 220 {
				t.Errorf("%+v of %d, want %+v", got, r.ElectorateArea, c.want)
			}
		})
	}
}

func TestWhatAmendsARoll(t *testing.T) {
	a := openMarket(t.Fatal, lastStands, []votes.Motion{{ID: "M1", Scope: "estate"}, {ID: "M2", Scope: "building:1"}, {ID: "M3", Scope: "units", Units: []string{"1-1"}}},
		unit("1-1", "1", 100, registry.Home, registry.Delivered, owner("an")), unit("2-1", "2", 70, registry.Home, registry.Unsold, company("dev")))
	a.m.Roll.SeenAt = 10
	sold := meeting.AmendRoll{
		Frozen: a.units[0], Entry: "1", Voter: "an", SeenAt: 11, At: closes.Add(-1),
		Now: unit("1-1", "1", 120, registry.Home, registry.Delivered, owner("bo")),
	}
	amended := votes.RollAmended{Meeting: "m", RollUnit: votes.RollUnit{Unit: "1-1", Building: "1", Area: 100}, Scopes: []string{"building:1", "units:M3"},
		From: "1", To: "3", Person: "bo", SeenAt: 11, At: closes.Add(-1)}
	again := meeting.Evolve(a.m, amended)
	again.Notice = a.m.Notice
	for _, c := range []struct {
		name string
		m    meeting.Meeting
		cmd  meeting.AmendRoll
		want events
	}{
		{"a sale until the deadline, with the area that the roll has", a.m, sold, events{amended}},
		{"a sale at the deadline", a.m, with(sold, func(c *meeting.AmendRoll) { c.At = closes }), nil},
		{"a sale before the roll was frozen", a.m, with(sold, func(c *meeting.AmendRoll) { c.SeenAt = 10 }), nil},
		{"a sale after voting was closed", with(a.m, func(m *meeting.Meeting) { m.Closed = true }), sold, nil},
		{"a sale before the notice: the roll is frozen anew", with(a.m, func(m *meeting.Meeting) { m.Notice = votes.NoticePosted{} }), sold, nil},
		{"a sale in a meeting of the past: its papers say who voted", with(a.m, func(m *meeting.Meeting) { m.Past = true }), sold, nil},
		{"a unit that is not on the roll", a.m, with(sold, func(c *meeting.AmendRoll) { c.Entry = "" }), nil},
		{"the same voter", a.m, with(sold, func(c *meeting.AmendRoll) { c.Voter = "bo" }), nil},
		{"art. 9: sold and not delivered, so it is the developer's still", a.m, with(sold, func(c *meeting.AmendRoll) { c.Now.State = registry.SoldUndelivered }), nil},
		{"art. 9: stock that is delivered leaves the developer", a.m, meeting.AmendRoll{
			Frozen: a.units[1], Entry: "2", Voter: "dev", SeenAt: 11, At: noon, Now: unit("2-1", "2", 70, registry.Home, registry.Delivered, owner("bo")),
		}, events{votes.RollAmended{Meeting: "m", RollUnit: votes.RollUnit{Unit: "2-1", Building: "2", Area: 70}, From: "2", To: "3", Person: "bo", SeenAt: 11, At: noon}}},
		{"the same sale again", again, sold, nil},
		{"an older state of the titles", with(again, func(m *meeting.Meeting) { m.Amendments[0].SeenAt = 12 }), sold, nil},
	} {
		got, err := c.cmd.Decide(c.m)
		if err != nil || len(got) != len(c.want) || len(got) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// Whatever is sold and voted, in whatever order: each unit counts once at most and
// with one head, and a sale never changes the total area. (market.count checks.)
func TestASaleNeverCountsAUnitTwice(t *testing.T) {
	set := civilCode(t)
	people := []string{"an", "bo", "ce", "di", "ed"}
	rapid.Check(t, func(t *rapid.T) {
		list := anyUnits(t)
		for i := range list {
			list[i].State = registry.Delivered
		}
		list[0].Use = registry.Home
		policy := votes.Policy{
			Revote:             rapid.SampledFrom([]string{votes.FirstBallotStands, votes.LastBallotStands}).Draw(t, "revote"),
			PaperAndElectronic: rapid.SampledFrom([]string{votes.ElectronicStands, votes.PaperStands, votes.FirstStands}).Draw(t, "paper"),
		}
		motions := []votes.Motion{{ID: "M1", Matter: "民法典278-1-5", Scope: "estate"}, {ID: "M2", Matter: "民法典278-1-5", Scope: "building:" + list[0].Building}}
		a := openMarket(t.Fatal, policy, motions, list...)
		type paper struct {
			person string
			n      int
		}
		var waiting []paper
		person := func() string { return rapid.SampledFrom(people).Draw(t, "person") }
		has := func(p string) bool { return a.m.Voter(a.roll.Voters.Of(p), p).Entry != "" }
		for range rapid.IntRange(0, 20).Draw(t, "steps") {
			p := person()
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				a.sell(rapid.SampledFrom(list).Draw(t, "unit").Code, p)
			case 1:
				if has(p) {
					_, n := a.envelope(p)
					waiting = append(waiting, paper{p, n})
				}
			default:
				motion := rapid.SampledFrom([]string{"M1", "M2"}).Draw(t, "motion")
				a.vote(p, rapid.SampledFrom([]string{votes.Yes, votes.No, votes.Abstain}).Draw(t, "choice"), motion)
			}
		}
		for _, p := range waiting {
			a.tick()
			number := a.m.Voter(a.roll.Voters.Of(p.person), p.person).Entry
			choices := a.all(votes.Yes)
			a.keep(number, p.n, meeting.CastBallot{Ballot: strconv.FormatUint(a.steps, 10), Meeting: a.m, Entry: a.entry(number), Channel: votes.Paper, At: a.now, Choices: choices, Sealed: "sealed"})
		}
		results, summary := a.count(set)
		for _, r := range results {
			if r.ParticipatingArea > r.ElectorateArea || r.ParticipatingHeads > r.ElectorateHeads {
				t.Fatalf("%+v", r)
			}
		}
		if summary.Rows != summary.Accepted+summary.Rejected {
			t.Fatalf("%+v", summary)
		}
		if turnout, all := a.turnout(); turnout.Area > all.Area || turnout.Heads > all.Heads || turnout.Heads < 0 || all.Area != a.roll.Area {
			t.Fatalf("turnout %+v of %+v", turnout, all)
		}
	})
}
