package main

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The city. Everything else follows from how many homes there are, and from the
// demonstration estate.
const homes = 5_000_000

// The demonstration estate: its papers say so, services/yimu/demo/xiushan. Homes,
// dates and collection rate follow a public report.
const (
	demoHomes    = 994
	demoUnits    = 1126 // homes, shops and parking
	demoOwners   = 1335 // people with a title
	demoTitles   = 1486
	demoHeads    = 976 // who may vote, developer's stock being one
	demoTurnout  = 760 // heads who voted
	demoOrders   = 215
	demoRated    = 173
	demoOverdue  = 73  // of the orders: 142 were in time
	demoDays     = 164 // 2022-07-21 to 2022-12-31, of the orders
	demoVouchers = 85
	demoMonths   = 6 // July to December, of vouchers and bills
)

// Assumed, for there is no figure in the public record. Each is on the high side.
const (
	sold         = .05 // of the units a year: titles are stated anew
	unclear      = .01 // of the payments: held until attributed
	paidBack     = .002
	logins       = 6  // codes made for an owner in a year; a session lasts a week
	looks        = .1 // readings of an owner's personal data by others, a year
	reopened     = .02
	meetings     = 2           // of an estate a year
	onPaper      = .2          // of the ballots
	refused      = .03         // ballots of those who had voted, or may not
	dueShare     = .3          // of a month's payments that come on one day,
	dueHours     = 10          // within so many hours
	vacuumed     = 1.5         // PostgreSQL tables in use, to the same freshly packed
	diskSpeed    = 200_000_000 // bytes a second
	ballotsRush  = 1_000_000   // in the hour before a deadline
	pagesAVoter  = 4           // the estate, the meeting before and after, the receipt
	busyAtMost   = .6          // of its cores, for an instance at the peak
	grown        = 5           // years
	directoryMay = 512_000_000 // heap of a process for who owns what
	rebuildMay   = 2 * time.Hour
)

// The patrols of the public record: 8 communities have 12 grids, each walked
// every 30 minutes. How many homes a community has it does not say.
const (
	communityHomes = 2500 // assumed
	gridsOf8       = 12
	patrolsADay    = 48
)

//go:embed demonstration.csv
var demonstration string

// size is what one event of a type holds on average, in bytes, in the
// demonstration ledger; go run . -measure URL makes the table.
type size struct {
	events, data, meta, names, store float64
}

// sizes are demonstration.csv, by stored name.
func sizes() map[string]size {
	rows, err := csv.NewReader(strings.NewReader(demonstration)).ReadAll()
	if err != nil {
		panic(fmt.Sprintf("demonstration.csv: %v", err)) // it is part of the program
	}
	all := map[string]size{}
	for _, row := range rows[1:] {
		var n [5]float64
		for i := range n {
			if n[i], err = strconv.ParseFloat(row[i+1], 64); err != nil {
				panic(fmt.Sprintf("demonstration.csv: %v", err))
			}
		}
		all[row[0]] = size{n[0], n[1], n[2], n[3], n[4]}
	}
	// Not in the demonstration, whose meeting is of the past. A live ballot on
	// three motions, measured as one on one motion and the padding of two more.
	const sealed = 291 + 2*(36*4/3+5)
	const meta, names, frame = 245, 66, 36 // as of all others
	all["ballot-cast.v1"] = size{0, sealed, meta, names, sealed + meta + names + frame}
	for name, data := range map[string]float64{ // computed from their fields
		"payment-attributed.v1": 650, "payment-refunded.v1": 680, "personal-data-read.v1": 230, "work-order-reopened.v1": 300,
		"work-order-overdue.v1": 120, "paper-handed-in.v1": 110, "key-released.v1": 420, "budget-revised.v1": 1021, "period-closed.v1": 70,
	} {
		all[name] = size{0, data, meta, names, data + meta + names + frame}
	}
	return all
}

// EventStoreDB's record of an event beside its data, metadata and names, and its
// entry in the index: by the source of EventStoreDB, PrepareLogRecord and PTable
// version 4. Not measured.
const (
	esdbRecord = 8 + 2 + 8 + 2 + 8 + 4 + 8 + 1 + 16 + 16 + 8 + 1 + 4 + 4
	esdbIndex  = 24
)

// commitFrame is what a commit on its way in Kafka holds beside its events' data
// and metadata, which are there in base64.
const commitFrame = 420

// cloudEvent is what an event on its way out holds beside its data: headers.
const cloudEvent = 560

// table is a table of a read model, or of the vault: bytes of a row with its
// indexes, as measured on PostgreSQL 15 after VACUUM FULL with eight
// demonstration estates and 150 live meetings; and how many rows there are.
type table struct {
	service, name string
	row           float64
	standing      float64 // rows of a city
	yearly        float64 // rows added in a year
	of            string  // what a row is for
}

// Measured on a machine with 2 cores that had other work: processor time by
// step, for ballots from 16, 64 and 256 clients on Apache Kafka 4.1 (one broker), yimu serve store, PostgreSQL and
// every service apart. A cost of a batch and one of each thing in it were fitted
// to the three; see the table "check" of docs/scale.md.
var measured = costs{
	Decide: 140 * time.Microsecond, VotesSend: 250 * time.Microsecond, VotesRead: 350 * time.Microsecond,
	Append: 130 * time.Microsecond, Batch: 400 * time.Microsecond,
	Event: 90 * time.Microsecond, Group: 900 * time.Microsecond, Sync: 1200 * time.Microsecond,
	Broker: 250 * time.Microsecond, Others: 1000 * time.Microsecond, Wire: 100 * time.Microsecond,
}

// What lies between machines instead of processes; assumed.
const (
	cityWire = 500 * time.Microsecond // there and back, in one data centre
	citySync = 3 * time.Millisecond   // a write to disk on a majority of three: EventStoreDB waits 2 ms by default for more to write
)

// asMeasured are the runs that the costs were fitted to.
var asMeasured = []struct {
	clients                       int
	rate                          float64 // ballots a second
	votes, ledger, store, brokers int     // µs of processor for each
	others                        int
}{
	{16, 485, 590, 468, 402, 733, 499},
	{64, 941, 369, 282, 208, 313, 208},
	{256, 1692, 262, 180, 125, 141, 104},
}

// Measured on the same machine.
const (
	pageEstate  = 4300 * time.Microsecond // processor of portal and services for the estate's page
	pageMeeting = 2400 * time.Microsecond // for a meeting's
	portalPart  = .5                      // of both, the portal's

	directoryUnit = 451    // bytes of heap for a unit and its titles, in every process
	directoryRate = 86_000 // registry events a second into that, at a start

	closing = 30 * time.Millisecond // of a live meeting and the release of its key; 60 that were due at once took 1.8 s

	importRate = 7703 / 2.1 // rows a second, yimu up: docs/performance.md
)

// rebuilds are read models replayed on PostgreSQL from 167,517 events of 20
// estates, each alone, on a machine that had other work.
var rebuilds = []struct {
	service string
	events  int // of the streams it follows
	took    time.Duration
}{
	{"registry", 45_060, 9000 * time.Millisecond},
	{"workorders", 20_680, 1500 * time.Millisecond},
	{"finance", 114_180, 27_100 * time.Millisecond},
	{"votes", 76_360, 8700 * time.Millisecond},
}
