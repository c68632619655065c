package main

import (
	"slices"
	"time"
)

// ballots is one simulated run: ballots come, and go the way of every commit.
//
//	votes ─slice─▶ partition ─batch─▶ ledger ─group─▶ store
//	      ◀──────── outcomes ◀─slice─┘
//
// Each arrow waits until what was sent before it has arrived, and takes all that
// gathered meanwhile, as libs/bus, libs/commitpath and pebblestore do.
type ballots struct {
	votes, ledgers, cores, partitions int
	costs                             costs

	// Either ballots arrive at given times, sorted; or so many clients each
	// cast one after the other until the time is over.
	arrivals []time.Duration
	clients  int
	until    time.Duration

	deadline time.Duration // of voting
	shared   int           // everything runs on so many cores of one machine, where it is not 0
	kill     time.Duration // when one ledger dies without a word, where it is not 0
	seed     uint64
}

// costs are what a step takes: of a processor where it says so, else of time.
type costs struct {
	Decide    time.Duration // processor of votes, for a ballot: request, rule, seal, answer
	VotesSend time.Duration // processor of votes, for a slice of commits
	VotesRead time.Duration // processor of votes, for a slice of outcomes, whoever they are for
	Append    time.Duration // processor of the ledger, for a commit
	Batch     time.Duration // processor of the ledger, for a batch and its outcomes
	Event     time.Duration // processor of the store, for an event; its one writer waits for it
	Group     time.Duration // processor of the store, for a group of events
	Sync      time.Duration // of the store's one writer: a group to disk, and to replicas
	Broker    time.Duration // processor of a broker, for a request; a core for each partition unless all is shared
	Others    time.Duration // processor of all other services, for a slice of outcomes; on their own machines unless all is shared
	Wire      time.Duration // there and back between two machines
}

// ballot is one on its way; times are -1 until they have come.
type ballot struct {
	arrived, begun, recorded, answered time.Duration
	client                             bool
	instance, partition                int
}

// outcome of a run.
type outcome struct {
	ballots []ballot
	took    time.Duration
	slices  float64 // commits in a slice, on average
	groups  float64 // events in a group of the store, on average

	// What share of the cores of votes and of the ledger was busy in the last ten
	// seconds before the deadline; more than all where work queued up.
	votes, ledger float64

	// Processor time of all instances together.
	votesCPU, ledgerCPU, storeCPU, brokerCPU, othersCPU time.Duration
}

const (
	answerWithin = 5 * time.Second  // commitpath.ClientConfig.Wait: after that the answer is 202
	closesAfter  = 60 * time.Second // meeting.Deadline: what is recorded later does not count
	noticed      = 6 * time.Second  // bus: SessionTimeout, after which a dead member is missed
	rejoining    = time.Second      // all members join again; measured at 0.5 to 1.5 s
	lastly       = 10 * time.Second // before a deadline, of which the busy shares are
)

// run simulates.
func (s ballots) run() outcome {
	c, luck, o := &clock{}, newChance(s.seed), outcome{}
	all := make([]ballot, 0, len(s.arrivals))
	machine := newStation(c, s.shared)
	place := func(cores int) *station {
		if s.shared > 0 {
			return machine
		}
		return newStation(c, cores)
	}
	work := func(at *station, used *time.Duration, cost time.Duration, done func()) {
		takes := luck.about(cost)
		*used += takes
		at.serve(job{takes: takes, done: done})
	}
	before := map[*time.Duration]time.Duration{}
	if s.deadline > 0 {
		all := []*time.Duration{&o.votesCPU, &o.ledgerCPU}
		c.after(s.deadline-lastly, func() {
			for _, used := range all {
				before[used] = *used
			}
		})
		c.after(s.deadline, func() {
			share := func(used *time.Duration, cores int) float64 {
				return (*used - before[used]).Seconds() / lastly.Seconds() / float64(cores)
			}
			o.votes, o.ledger = share(&o.votesCPU, s.votes*s.cores), share(&o.ledgerCPU, s.ledgers*s.cores)
		})
	}
	broker, disk, others := place(s.partitions), place(1), place(1)
	request := func(done func()) {
		c.after(luck.about(s.costs.Wire), func() { work(broker, &o.brokerCPU, s.costs.Broker, done) })
	}

	votes := make([]*station, s.votes)
	for i := range votes {
		votes[i] = place(s.cores)
	}
	ledgers := make([]*station, s.ledgers)
	for i := range ledgers {
		ledgers[i] = place(s.cores)
	}

	var arrive func(client bool)
	finish := func(b int) {
		all[b].answered = c.now
		if all[b].client && c.now < s.until {
			arrive(true)
		}
	}

	// From the end: each instance of votes reads every slice of outcomes.
	readers := make([]*gatherer[[]int], s.votes)
	for i := range readers {
		readers[i] = &gatherer[[]int]{take: func(slices [][]int, done func()) {
			request(func() {
				work(votes[i], &o.votesCPU, s.costs.VotesRead, func() {
					for _, slice := range slices {
						for _, b := range slice {
							if all[b].instance == i {
								finish(b)
							}
						}
					}
					done()
				})
			})
		}}
	}
	type answer struct {
		batch []int
		done  func()
	}
	outcomes := make([]*gatherer[answer], s.ledgers)
	for i := range outcomes {
		outcomes[i] = &gatherer[answer]{take: func(answers []answer, done func()) {
			request(func() {
				work(others, &o.othersCPU, s.costs.Others, func() {})
				for _, a := range answers {
					for _, r := range readers {
						r.add(a.batch)
					}
					a.done()
				}
				done()
			})
		}}
	}

	type entry struct {
		ballot int
		done   func()
	}
	store := &gatherer[entry]{take: func(group []entry, done func()) {
		work(disk, &o.storeCPU, s.costs.Group+time.Duration(len(group))*s.costs.Event, func() {
			c.after(luck.about(s.costs.Sync), func() {
				for _, e := range group {
					all[e.ballot].recorded = c.now
					e.done()
				}
				done()
			})
		})
	}}

	partitions, owner := make([]*gatherer[int], s.partitions), make([]int, s.partitions)
	for p := range partitions {
		owner[p] = p % s.ledgers
		partitions[p] = &gatherer[int]{take: func(batch []int, done func()) {
			of := owner[p]
			request(func() {
				work(ledgers[of], &o.ledgerCPU, s.costs.Batch, func() {
					left := len(batch)
					for _, b := range batch {
						work(ledgers[of], &o.ledgerCPU, s.costs.Append, func() {
							c.after(luck.about(s.costs.Wire), func() {
								store.add(entry{b, func() {
									if left--; left == 0 {
										outcomes[of].add(answer{batch, done})
									}
								}})
							})
						})
					}
				})
			})
		}}
	}
	if s.kill > 0 {
		// What it had in hand is let finish: it would be handed out again and recognised.
		c.after(s.kill, func() {
			for p := 0; p < len(partitions); p += s.ledgers {
				partitions[p].hold()
			}
		})
		c.after(s.kill+noticed, func() {
			for _, p := range partitions {
				p.hold()
			}
		})
		c.after(s.kill+noticed+rejoining, func() {
			for i, p := range partitions {
				if owner[i] == 0 {
					owner[i] = 1 + i/s.ledgers%(s.ledgers-1)
				}
				p.release()
			}
		})
	}

	publishers := make([][]*gatherer[int], s.votes)
	for i := range publishers {
		for range partitions {
			publishers[i] = append(publishers[i], &gatherer[int]{take: func(slice []int, done func()) {
				work(votes[i], &o.votesCPU, s.costs.VotesSend, func() {
					request(func() {
						for _, b := range slice {
							partitions[all[b].partition].add(b)
						}
						done()
					})
				})
			}})
		}
	}

	arrive = func(client bool) {
		n := len(all)
		all = append(all, ballot{c.now, -1, -1, -1, client, luck.IntN(s.votes), luck.IntN(s.partitions)})
		takes := luck.about(s.costs.Decide)
		o.votesCPU += takes
		votes[all[n].instance].serve(job{
			takes: takes,
			begun: func() { all[n].begun = c.now },
			done: func() {
				if s.deadline > 0 && all[n].begun >= s.deadline {
					finish(n) // refused: voting is closed
					return
				}
				publishers[all[n].instance][all[n].partition].add(n)
			},
		})
	}
	var next func(i int)
	next = func(i int) {
		if i < len(s.arrivals) {
			c.after(s.arrivals[i]-c.now, func() {
				arrive(false)
				next(i + 1)
			})
		}
	}
	next(0)
	for range s.clients {
		c.after(luck.about(time.Millisecond), func() { arrive(true) })
	}
	c.run()

	o.ballots, o.took = all, c.now
	sent, slices := 0, 0
	for _, instance := range publishers {
		for _, p := range instance {
			sent, slices = sent+p.things, slices+p.batches
		}
	}
	o.slices, o.groups = ratio(sent, slices), ratio(store.things, store.batches)
	return o
}

func ratio(a, b int) float64 { return float64(a) / float64(max(b, 1)) }

// latencies are of ballots that came within a span, from coming to the answer, sorted.
func (o outcome) latencies(from, to time.Duration) []time.Duration {
	var list []time.Duration
	for _, b := range o.ballots {
		if b.arrived >= from && b.arrived < to {
			list = append(list, b.answered-b.arrived)
		}
	}
	slices.Sort(list)
	return list
}

// count counts ballots.
func (o outcome) count(f func(ballot) bool) (n int) {
	for _, b := range o.ballots {
		if f(b) {
			n++
		}
	}
	return n
}

// pending counts ballots whose voter was told 202: no outcome within 5 s.
func (o outcome) pending() int {
	return o.count(func(b ballot) bool { return b.recorded >= 0 && b.answered-b.begun > answerWithin })
}

// shutOut counts ballots that came before a deadline and were looked at after it.
func (o outcome) shutOut(deadline time.Duration) int {
	return o.count(func(b ballot) bool { return b.arrived < deadline && b.begun >= deadline })
}

// late counts ballots that were taken and recorded after voting was closed.
func (o outcome) late(deadline time.Duration) int {
	return o.count(func(b ballot) bool { return b.recorded >= deadline+closesAfter })
}

// drained is how long after a deadline the last ballot was recorded.
func (o outcome) drained(deadline time.Duration) (d time.Duration) {
	for _, b := range o.ballots {
		d = max(d, b.recorded-deadline)
	}
	return d
}

// quantile of a sorted list.
func quantile(sorted []time.Duration, share float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// rush is when so many ballots come in a time that ends at a deadline: a share
// of them evenly, the others more and more towards the end, by a factor of e in
// each span.
type rush struct {
	ballots int
	within  time.Duration
	evenly  float64
	span    time.Duration
}

func (r rush) arrivals(seed uint64) []time.Duration {
	luck := newChance(seed)
	list := make([]time.Duration, r.ballots)
	for i := range list {
		if luck.Float64() < r.evenly {
			list[i] = time.Duration(luck.Float64() * float64(r.within))
			continue
		}
		for list[i] = -1; list[i] < 0; {
			list[i] = r.within - 1 - luck.exponential(r.span)
		}
	}
	slices.Sort(list)
	return list
}

// peak is the greatest rate, a second, reached at the deadline.
func (r rush) peak() float64 {
	even := float64(r.ballots) * r.evenly / r.within.Seconds()
	return even + float64(r.ballots)*(1-r.evenly)/r.span.Seconds()
}
