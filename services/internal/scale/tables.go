package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// grid is a table of Markdown.
type grid struct{ rows [][]string }

func (g *grid) add(cells ...string) { g.rows = append(g.rows, cells) }

func (g *grid) String() string {
	var b strings.Builder
	for i, row := range g.rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// thousands writes a whole number; a large one rounded to three digits that count.
func thousands(n float64) string {
	if n >= 10_000 {
		unit := math.Pow(10, math.Floor(math.Log10(n))-2)
		n = math.Round(n/unit) * unit
	}
	s := fmt.Sprintf("%.0f", n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a number with as many digits as it needs, three at most.
func short(n float64) string { return strings.TrimSuffix(fmt.Sprintf("%.3g", n), ".0") }

// inBytes writes a number of bytes.
func inBytes(n float64) string {
	for _, unit := range []string{"B", "KB", "MB", "GB"} {
		if n < 999.5 {
			return short(n) + " " + unit
		}
		n /= 1000
	}
	return short(n) + " TB"
}

// inTime writes a number of seconds.
func inTime(seconds float64) string {
	switch {
	case seconds < .0995:
		return short(seconds*1000) + " ms"
	case seconds < 1:
		return fmt.Sprintf("%.0f ms", seconds*1000)
	case seconds < 90:
		return short(seconds) + " s"
	case seconds < 90*60:
		return short(seconds/60) + " min"
	case seconds < 48*3600:
		return short(seconds/3600) + " h"
	}
	return short(seconds/86400) + " days"
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", share*100) }

func latency(d time.Duration) string { return inTime(d.Seconds()) }

// whole is the city in one deployment; district one of so many.
var whole = cityOf(homes)

// districts is how many there are in the deployment that this page comes to.
const districts = 16

func district() city { return cityOf(homes / float64(districts)) }

// parts of the page, by name.
var parts = map[string]func() string{
	"city": func() string {
		g := &grid{}
		g.add("", "demonstration estate", "city", "one of 16 districts")
		for _, row := range []struct {
			what string
			demo float64
			of   func(city) float64
		}{
			{"homes", demoHomes, func(c city) float64 { return c.homes }},
			{"estates", 1, func(c city) float64 { return c.estates }},
			{"units: homes, shops, parking", demoUnits, func(c city) float64 { return c.units }},
			{"owners", demoOwners, func(c city) float64 { return c.owners }},
			{"heads who may vote", demoHeads, func(c city) float64 { return c.heads }},
		} {
			g.add(row.what, thousands(row.demo), thousands(row.of(whole)), thousands(row.of(district())))
		}
		return g.String()
	},

	"events": func() string {
		all, g := sizes(), &grid{}
		g.add("what", "a year", "events a day", "bytes an event", "a day")
		kinds := whole.kinds()
		row := func(what, why string, l load) {
			g.add(what, why, thousands(l.events/365), thousands(l.store/l.events), inBytes(l.store/365))
		}
		for _, k := range kinds {
			row(k.what, k.why, k.load(all))
		}
		row("**together**", "", sum(kinds, all))
		start := sum(whole.start(), all)
		return g.String() + fmt.Sprintf(`
Before all that come the papers of the start: %s units with their titles and %s owners, %s events, %s. At the %s rows a second
that an import has on one small machine, that is %s.

If every patrol of the public record were an event, %s ÷ %s homes × %d ÷ 8 grids × %d walks, it would be %s more a day. Nothing of that is built.
`, thousands(whole.units), thousands(whole.owners), thousands(start.events), inBytes(start.store), thousands(importRate),
			inTime((2*whole.units+whole.titles)/importRate),
			thousands(homes), thousands(communityHomes), gridsOf8, patrolsADay, thousands(homes/communityHomes*gridsOf8/8.*patrolsADay))
	},

	"rates": func() string {
		all, g := sizes(), &grid{}
		day := sum(whole.kinds(), all).events / 365
		due := whole.units * dueShare / (dueHours * 3600)
		r := rushes[0]
		g.add("when", "events a second", "arithmetic")
		g.add("on average", short(day/86400), thousands(day)+" a day ÷ 86,400")
		g.add("in office hours", short(day/8/3600), "all of a day in 8 hours")
		g.add("when payments are due", short(due), fmt.Sprintf("%s × %s on one day, in %d hours", thousands(whole.units), percent(dueShare), dueHours))
		g.add("a million ballots in the hour, on average", short(ballotsRush/3600.), "1,000,000 ÷ 3,600")
		g.add("… at the deadline", thousands(r.peak()), "the last of that hour: see below")
		return g.String()
	},

	"growth": func() string {
		all, g := sizes(), &grid{}
		year, begin := sum(whole.kinds(), all), sum(whole.start(), all)
		after := begin.plus(year.times(grown))
		g.add("store", "at the start", "a year", "after 5 years", "… in each of 16 districts")
		add := func(what string, start, yearly float64) {
			five := start + grown*yearly
			g.add(what, inBytes(start), inBytes(yearly), inBytes(five), inBytes(five/districts))
		}
		add("ledger, yimu serve store", begin.store, year.store)
		add("ledger, EventStoreDB, each of three copies", begin.esdb, year.esdb)
		add("blobs: rolls and bills", 0, whole.blobs())
		services := map[string][2]float64{}
		var names []string
		for _, t := range whole.tables() {
			if _, known := services[t.service]; !known {
				names = append(names, t.service)
			}
			s := services[t.service]
			services[t.service] = [2]float64{s[0] + t.row*t.standing*vacuumed, s[1] + t.row*t.yearly*vacuumed}
		}
		for _, name := range names {
			what := "PostgreSQL, read model of " + name
			if name == "vault" {
				what = "PostgreSQL, the vault"
			}
			add(what, services[name][0], services[name][1])
		}
		g.add("Kafka, three days of three copies", "", inBytes(year.kafka(3)), inBytes(year.kafka(3)), inBytes(year.kafka(3)/districts))
		return g.String() + fmt.Sprintf("\n%s events after five years, %s of them in a district.\n", thousands(after.events), thousands(after.events/districts))
	},

	"rows": func() string {
		g := &grid{}
		g.add("table", "bytes a row", "a row for each", "rows at the start", "rows a year")
		for _, t := range whole.tables() {
			g.add(t.service+": "+t.name, thousands(t.row), t.of, thousands(t.standing), thousands(t.yearly))
		}
		return g.String()
	},

	"check": func() string {
		g := &grid{}
		g.add("clients", "", "ballots/s", "votes", "ledger", "store", "Kafka", "other services", "commits in a slice", "events in a write")
		for _, m := range asMeasured {
			o := ballots{
				votes: 1, ledgers: 1, cores: 2, partitions: 12, costs: measured, clients: m.clients, until: 10 * time.Second, shared: 2, seed: 1,
			}.run()
			n := time.Duration(len(o.ballots))
			us := func(d time.Duration) string { return thousands(float64((d / n).Microseconds())) + " µs" }
			g.add(fmt.Sprint(m.clients), "measured", thousands(m.rate), fmt.Sprintf("%d µs", m.votes), fmt.Sprintf("%d µs", m.ledger),
				fmt.Sprintf("%d µs", m.store), fmt.Sprintf("%d µs", m.brokers), fmt.Sprintf("%d µs", m.others), "", "")
			g.add("", "simulated", thousands(float64(n)/o.took.Seconds()), us(o.votesCPU), us(o.ledgerCPU), us(o.storeCPU), us(o.brokerCPU), us(o.othersCPU),
				short(o.slices), short(o.groups))
		}
		return g.String()
	},

	"partitions": func() string {
		g := &grid{}
		g.add("partitions", "answer p50", "p99", "commits in a slice", "processor of votes and the ledger for a ballot", "requests of writers a second", "brokers keep")
		for _, n := range []int{1, 3, 6, 12, 24, 48} {
			const seconds = 20
			r := rush{ballots: int(rushes[0].peak()) * seconds, within: seconds * time.Second, evenly: 1, span: time.Second}
			o := ballots{votes: 3, ledgers: min(3, n), cores: 2, partitions: n, costs: apart(), arrivals: r.arrivals(2), seed: 2}.run()
			l := o.latencies(time.Second, time.Hour)
			ballots := float64(len(o.ballots))
			g.add(fmt.Sprint(n), latency(quantile(l, .5)), latency(quantile(l, .99)), short(o.slices),
				thousands(float64((o.votesCPU+o.ledgerCPU).Microseconds())/ballots)+" µs", thousands(ballots/o.slices/seconds), thousands(float64(3*(11*n+1)))+" replicas")
		}
		return g.String()
	},

	"peak": func() string {
		g := &grid{}
		g.add("who", "the rush", "at the deadline", "votes × ledgers", "busy", "events in a write", "answer p50", "p99", "longest", "told 202", "refused, though in time", "recorded too late", "last one recorded after")
		row := func(who string, r rush, share float64, votes, ledgers int, costs costs) {
			r.ballots = int(float64(r.ballots) * share)
			o := ballots{
				votes: votes, ledgers: ledgers, cores: 2, partitions: 12, costs: costs,
				arrivals: r.tail(3, 4*r.span), deadline: r.within, seed: 3,
			}.run()
			l := o.latencies(r.within-10*time.Second, r.within)
			g.add(who, r.name(), thousands(r.peak())+"/s", fmt.Sprintf("%d × %d", votes, ledgers), percent(min(1, o.votes))+", "+percent(min(1, o.ledger)), short(o.groups),
				latency(quantile(l, .5)), latency(quantile(l, .99)), latency(quantile(l, 1)),
				thousands(float64(o.pending())), thousands(float64(o.shutOut(r.within))), thousands(float64(o.late(r.within))), inTime(max(0, o.drained(r.within).Seconds())))
		}
		for _, r := range rushes {
			row("city", r, 1, 1, 1, apart())
			row("city", r, 1, 3, 3, apart())
		}
		row("city", rushes[2], 1, 6, 6, apart())
		for _, r := range rushes[1:] {
			row("district", r, 1./districts, 2, 2, apart())
		}
		return g.String()
	},

	"kill": func() string {
		g := &grid{}
		g.add("ledgers", "killed", "partitions that wait", "answer p99 of that half minute", "longest", "told 202")
		r := rush{ballots: int(rushes[0].peak()) * 30, within: 30 * time.Second, evenly: 1, span: time.Second}
		for _, n := range []int{2, 3, 6} {
			o := ballots{
				votes: 3, ledgers: n, cores: 2, partitions: 12, costs: apart(), arrivals: r.arrivals(4), kill: 10 * time.Second, seed: 4,
			}.run()
			l := o.latencies(0, time.Hour)
			g.add(fmt.Sprint(n), "1", fmt.Sprintf("%d of 12, for %s", 12/n, latency(noticed+rejoining)), latency(quantile(l, .99)), latency(quantile(l, 1)),
				fmt.Sprintf("%s of %s", thousands(float64(o.pending())), thousands(float64(len(l)))))
		}
		return g.String()
	},

	"pages": func() string {
		each := pageEstate + (pagesAVoter-1)*pageMeeting
		g := &grid{}
		g.add("the rush", "voters at the deadline", "processor for pages", "for ballots", "portals of 2 cores", "… in each of 16 districts")
		for _, r := range rushes {
			cores := r.peak() * each.Seconds()
			ballots := r.peak() * (measured.Decide + measured.Append + measured.Event).Seconds()
			portals := cores * portalPart / 2 / busyAtMost
			g.add(r.name(), thousands(r.peak())+"/s", fmt.Sprintf("%s/s × %s = %s cores", thousands(r.peak()), latency(each), thousands(cores)),
				short(ballots)+" cores", thousands(math.Ceil(portals)), thousands(math.Ceil(portals/districts)))
		}
		return g.String()
	},

	"districts": func() string {
		all, g := sizes(), &grid{}
		g.add("districts", "homes each", "events after 5 years", "heap for who owns what, in each process", "start of a process, at first; after 5 years", "slowest read model replayed", "ballots at the deadline of a 1-minute rush")
		for _, n := range []float64{1, 4, 8, 16, 32} {
			c := cityOf(homes / n)
			heap, now := c.directory(0)
			_, later := c.directory(grown)
			slowest, which := c.slowest()
			g.add(short(n), thousands(c.homes), thousands(sum(c.start(), all).plus(sum(c.kinds(), all).times(grown)).events), inBytes(heap),
				inTime(now)+"; "+inTime(later), inTime(slowest)+" ("+which+")", thousands(rushes[1].peak()/n)+"/s")
		}
		return g.String()
	},

	"recovery": func() string {
		g := &grid{}
		g.add("what", "arithmetic, for a district after 5 years", "takes")
		c, all := district(), sizes()
		ledger := sum(c.start(), all).plus(sum(c.kinds(), all).times(grown))
		for _, r := range rebuilds {
			rate := float64(r.events) / r.took.Seconds()
			standing, yearly := c.followed(r.service)
			n := standing + grown*yearly
			g.add("replay of "+r.service, fmt.Sprintf("%s events ÷ %s/s", thousands(n), thousands(rate)), inTime(n/rate))
		}
		_, later := c.directory(grown)
		g.add("start of any service", fmt.Sprintf("%s events of the registry ÷ %s/s into memory", thousands(later*directoryRate), thousands(directoryRate)), inTime(later))
		g.add("backup or restore of the ledger", fmt.Sprintf("%s ÷ %s/s of disk, read and written (assumed)", inBytes(ledger.store), inBytes(diskSpeed)), inTime(2*ledger.store/diskSpeed))
		vault := 0.
		for _, t := range c.tables() {
			if t.service == "vault" {
				vault += vacuumed * t.row * (t.standing + grown*t.yearly)
			}
		}
		g.add("… of the vault", fmt.Sprintf("%s, likewise", inBytes(vault)), inTime(2*vault/diskSpeed))
		g.add("closing of every meeting of the city at one deadline", fmt.Sprintf("%s meetings ÷ %d districts × %s", thousands(whole.estates), districts, latency(closing)),
			inTime(whole.estates/districts*closing.Seconds()))
		g.add("a ledger that was killed", "missed after 6 s, then all join again", inTime((noticed + rejoining).Seconds()))
		g.add("a projection whose instance was killed", "a standby notices by the checkpoint", "about 1 s")
		return g.String()
	},

	"breaks": func() string {
		_, start := whole.directory(grown)
		heap, _ := whole.directory(0)
		replay, _ := whole.slowest()
		one := measured.Event.Seconds()
		g := &grid{}
		g.add("what", "limit", "one deployment holds", "what helps")
		upTo := func(share float64) string { return thousands(min(1, share)*homes) + " homes" }
		g.add("the start of every process, which reads all of the registry's events into memory", "5 minutes, after 5 years", upTo(300/start), "districts; a snapshot, or leaving out what tells nothing of owners (not built)")
		g.add("the replay of finance", inTime(rebuildMay.Seconds())+", after 5 years", upTo(rebuildMay.Seconds()/replay), "districts")
		g.add("memory of every process, for who owns what", inBytes(directoryMay)+" of heap", upTo(directoryMay/heap), "districts, larger machines")
		g.add("the store's one writer", thousands(1/one)+" events/s, 1 ÷ "+latency(measured.Event), fmt.Sprintf("%s homes, unless 400,000 of a million ballots come in less than %s", thousands(homes), inTime(ballotsRush*.4*one)), "districts")
		g.add("pages at a deadline", "portals are added at will", thousands(homes)+" homes", "instances of portal and votes")
		g.add("Kafka", "4,000 replicas a broker (KIP-578)", thousands(homes)+" homes", "—")
		return g.String()
	},
}

// slowest is the read model that takes longest to replay after five years.
func (c city) slowest() (seconds float64, service string) {
	for _, r := range rebuilds {
		standing, yearly := c.followed(r.service)
		if t := (standing + grown*yearly) / (float64(r.events) / r.took.Seconds()); t > seconds {
			seconds, service = t, r.service
		}
	}
	return seconds, service
}

// rushes are ways in which a million ballots come in the hour before a deadline.
var rushes = []rush{
	{ballotsRush, time.Hour, .6, 3 * time.Minute},
	{ballotsRush, time.Hour, .6, time.Minute},
	{ballotsRush, time.Hour, .6, 20 * time.Second},
}

func (r rush) name() string { return latency(r.span) }

// tail is the last of the arrivals.
func (r rush) tail(seed uint64, last time.Duration) []time.Duration {
	all := r.arrivals(seed)
	for i, at := range all {
		if at >= r.within-last {
			return all[i:]
		}
	}
	return nil
}

// apart are the costs where each part has a machine of its own.
func apart() costs {
	c := measured
	c.Wire, c.Sync = cityWire, citySync
	return c
}
