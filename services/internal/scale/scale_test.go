package main

import (
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/contracts/workorders"
)

// queue sends n customers of a Poisson process to a station and returns how
// long they waited on average before they were served.
func queue(n, servers int, rate float64, service func(chance) time.Duration) time.Duration {
	c, luck := &clock{}, newChance(1)
	s := newStation(c, servers)
	var waited time.Duration
	var come func(left int)
	come = func(left int) {
		if left == 0 {
			return
		}
		came := c.now
		s.serve(job{takes: service(luck), begun: func() { waited += c.now - came }, done: func() {}})
		c.after(luck.exponential(time.Duration(float64(time.Second)/rate)), func() { come(left - 1) })
	}
	come(n)
	c.run()
	return waited / time.Duration(n)
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance*want {
		t.Errorf("%s is %.4g, by theory %.4g", what, got, want)
	}
}

func TestWaitingIsAsQueueingTheorySays(t *testing.T) {
	const n = 400_000
	const rate, mu = 80.0, 100.0 // a second, so a server is busy 80 % of the time
	mean := 10 * time.Millisecond
	rho := rate / mu

	near(t, "the wait in M/M/1", queue(n, 1, rate, func(r chance) time.Duration { return r.exponential(mean) }).Seconds(), rho/(mu-rate), .05)
	near(t, "the wait in M/D/1", queue(n, 1, rate, func(chance) time.Duration { return mean }).Seconds(), rho/(2*(mu-rate)), .05)

	// What is half fixed and half exponential varies by a quarter of its mean
	// squared: Pollaczek and Khinchine.
	near(t, "the wait in M/G/1", queue(n, 1, rate, func(r chance) time.Duration { return r.about(mean) }).Seconds(), rho/(mu-rate)*(1+.25)/2, .05)

	// Erlang's C for two servers, each at 80 %.
	const a = 1.6
	c := (a * a / 2 * 2 / (2 - a)) / (1 + a + a*a/2*2/(2-a))
	near(t, "the wait in M/M/2", queue(n, 2, 2*rate, func(r chance) time.Duration { return r.exponential(mean) }).Seconds(), c/(2*mu-2*rate), .05)
}

// A server that takes all who wait at once, for an exponential time: who finds
// it idle stays for one service, who finds it busy for the rest of one and the
// next, and it is idle for μ² of μ² + λμ + λ² of the time.
func TestGatheringIsAsQueueingTheorySays(t *testing.T) {
	for _, rate := range []float64{20, 100, 500} {
		const n, mu = 400_000, 100.0
		c, luck := &clock{}, newChance(2)
		var stayed time.Duration
		g := &gatherer[time.Duration]{take: func(batch []time.Duration, done func()) {
			c.after(luck.exponential(10*time.Millisecond), func() {
				for _, came := range batch {
					stayed += c.now - came
				}
				done()
			})
		}}
		var come func(left int)
		come = func(left int) {
			if left > 0 {
				g.add(c.now)
				c.after(luck.exponential(time.Duration(float64(time.Second)/rate)), func() { come(left - 1) })
			}
		}
		come(n)
		c.run()
		idle := mu * mu / (mu*mu + rate*mu + rate*rate)
		near(t, "the time in a server that gathers", (stayed / n).Seconds(), (2-idle)/mu, .05)
	}
}

// trial is a small run with every part in it.
func trial() ballots {
	r := rush{ballots: 20_000, within: time.Minute, evenly: .5, span: 5 * time.Second}
	return ballots{
		votes: 2, ledgers: 3, cores: 2, partitions: 12, costs: measured,
		arrivals: r.arrivals(3), deadline: r.within, kill: 30 * time.Second, seed: 4,
	}
}

func TestEveryBallotThatComesIsAnsweredOnceAndInItsOrder(t *testing.T) {
	s := trial()
	o := s.run()
	if len(o.ballots) != len(s.arrivals) {
		t.Fatalf("%d came, %d are known", len(s.arrivals), len(o.ballots))
	}
	recorded, refused := 0, 0
	for i, b := range o.ballots {
		switch {
		case b.arrived != s.arrivals[i] || b.begun < b.arrived || b.answered < b.begun:
			t.Fatalf("ballot %d: %+v", i, b)
		case b.recorded >= b.begun && b.answered >= b.recorded:
			recorded++
		case b.recorded < 0 && b.begun >= s.deadline:
			refused++
		default:
			t.Fatalf("ballot %d: %+v", i, b)
		}
	}
	if recorded+refused != len(s.arrivals) || recorded < len(s.arrivals)*9/10 {
		t.Errorf("%d recorded, %d refused of %d", recorded, refused, len(s.arrivals))
	}
	if o.pending() == 0 {
		t.Error("a ledger died, and nobody waited 5 s for it")
	}
}

func TestTheSameSeedGivesTheSameRun(t *testing.T) {
	a, b := trial().run(), trial().run()
	if a.took != b.took || !slices.Equal(a.ballots, b.ballots) {
		t.Error("two runs differ")
	}
	s := trial()
	s.seed++
	if slices.Equal(s.run().ballots, a.ballots) {
		t.Error("another seed changes nothing")
	}
}

func TestBallotsOfARushComeBeforeItsDeadlineAndMostlyAtTheEnd(t *testing.T) {
	r := rush{ballots: 100_000, within: time.Hour, evenly: .6, span: 3 * time.Minute}
	list := r.arrivals(5)
	if len(list) != r.ballots || !slices.IsSorted(list) || list[0] < 0 || list[len(list)-1] >= r.within {
		t.Fatalf("%d from %s to %s", len(list), list[0], list[len(list)-1])
	}
	last, _ := slices.BinarySearch(list, r.within-10*time.Second)
	near(t, "the rate of the last seconds", float64(len(list)-last)/10, r.peak(), .05)
}

func TestWhatHappensInACityAreEventsOfTheLedgerWithASize(t *testing.T) {
	names := slices.Concat(registry.Codec.Names(), finance.Codec.Names(), votes.Codec.Names(), workorders.Codec.Names())
	all := sizes()
	for name, s := range all {
		if s.data <= 0 || s.store <= s.data+s.meta {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for _, k := range append(whole.kinds(), whole.start()...) {
		for _, name := range k.events {
			if !slices.Contains(names, name) {
				t.Errorf("%s leads to %s, which is no stored name", k.what, name)
			}
		}
	}
}

func TestDistrictsTogetherAreTheCity(t *testing.T) {
	all := sizes()
	city, part := sum(whole.kinds(), all), sum(district().kinds(), all)
	near(t, "what a district's events take", part.store*districts, city.store, 1e-9)
	near(t, "its blobs", district().blobs()*districts, whole.blobs(), 1e-9)
}

func TestPartsGoIntoTheirPlacesAndNowhereElse(t *testing.T) {
	var page strings.Builder
	for name := range parts {
		page.WriteString("before\n<!-- computed: " + name + " -->\nold\n<!-- end -->\nafter\n")
	}
	// What takes long to compute is not what is tested here.
	computed := parts
	t.Cleanup(func() { parts = computed })
	parts = map[string]func() string{}
	for name := range computed {
		parts[name] = func() string { return "new\n" }
	}
	got, err := fill(page.String())
	if want := strings.ReplaceAll(page.String(), "old", "new"); err != nil || got != want {
		t.Errorf("%v:\n%s", err, got)
	}
	if again, err := fill(got); err != nil || again != got {
		t.Errorf("filled again it is otherwise: %v", err)
	}
	for what, text := range map[string]string{
		"a part without a place":         strings.Replace(page.String(), "computed: peak", "", 1),
		"a place for what is no part":    page.String() + "<!-- computed: weather -->\n<!-- end -->\n",
		"a part that has a second place": page.String() + "<!-- computed: peak -->\n<!-- end -->\n",
	} {
		if _, err := fill(text); err == nil {
			t.Errorf("%s is no error", what)
		}
	}
}

func TestEventsAreMeasuredAsTheLedgerTellsThem(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("after") == "0" {
			_, _ = w.Write([]byte(`{"items":[{"position":100,"stream":"a-1","type":"x.v1","data":{"n":1},"meta":{}}],"next":100}`))
			return
		}
		_, _ = w.Write([]byte(`{"items":[{"position":250,"stream":"a-2","type":"x.v1","data":{"n":123},"meta":{}}]}`))
	}))
	defer s.Close()
	var out strings.Builder
	if err := measureEvents(t.Context(), &out, s.URL); err != nil || out.String() != "type,events,data,metadata,names,store\nx.v1,2,8,2,7,125\n" {
		t.Errorf("%v: %s", err, out.String())
	}
}
