package main

import "fmt"

// city is what homes lead to, by the ratios of the demonstration estate.
type city struct {
	homes, estates, units, owners, titles, heads float64
}

func cityOf(homes float64) city {
	of := func(n float64) float64 { return homes * n / demoHomes }
	return city{homes, homes / demoHomes, of(demoUnits), of(demoOwners), of(demoTitles), of(demoHeads)}
}

// kind is something that happens, and which events it leads to.
type kind struct {
	what   string
	yearly float64
	events []string // stored names, one of each
	why    string   // the arithmetic
}

// kinds of a year, without the papers of the start.
func (c city) kinds() []kind {
	payments := c.units * 12
	orders := c.homes * demoOrders / demoHomes / demoDays * 365
	ballots := c.heads * meetings * demoTurnout / demoHeads
	every := func(n float64, what string, per float64) (float64, string) {
		return n * per, fmt.Sprintf("%s %s × %s", thousands(n), what, short(per))
	}
	k := func(what string, yearly float64, why string, events ...string) kind {
		return kind{what, yearly, events, why}
	}
	of := func(what string, n float64, unit string, per float64, note string, events ...string) kind {
		yearly, why := every(n, unit, per)
		return k(what, yearly, why+note, events...)
	}
	list := []kind{
		of("payments", c.units, "units", 12, ": one a month, as in the demonstration, everyone paying", "payment-received.v1"),
		of("… held and attributed later", payments, "payments", unclear, " (assumed)", "payment-attributed.v1"),
		of("… paid back", payments, "payments", paidBack, " (assumed)", "payment-refunded.v1"),
		of("totals of a day posted", c.estates, "estates", 365, ": every estate is paid something every day", "collection-posted.v1"),
		of("bills of a month, period closed", c.estates, "estates", 12, "", "bills-raised.v1", "period-closed.v1"),
		of("vouchers", c.estates, "estates", demoVouchers*12/demoMonths, ": 85 in six months", "voucher-posted.v1"),
		of("budgets", c.estates, "estates", 2, ": one, revised once (assumed)", "budget-revised.v1"),
		k("work orders", orders, fmt.Sprintf("%s homes × 215 ÷ 994 homes ÷ 164 days × 365", thousands(c.homes)),
			"work-order-reported.v1", "work-order-dispatched.v1", "work-order-arrived.v1", "work-order-finished.v1"),
		of("… rated", orders, "orders", float64(demoRated)/demoOrders, ": 173 of 215", "work-order-rated.v1"),
		of("… past their limit", orders, "orders", float64(demoOverdue)/demoOrders, ": 73 of 215", "work-order-overdue.v1"),
		of("… reopened", orders, "orders", reopened, " (assumed)", "work-order-reopened.v1"),
		of("live ballots", c.heads, "heads", meetings*float64(demoTurnout)/demoHeads, ": two meetings, 760 of 976 vote", "ballot-cast.v1"),
		of("… on paper, handed in", ballots, "ballots", onPaper, " (assumed)", "paper-handed-in.v1"),
		of("… refused", ballots, "ballots", refused, " (assumed)", "ballot-refused.v1"),
		of("meetings", c.estates, "estates", meetings, " (assumed)", "meeting-drafted.v1", "roll-frozen.v1", "notice-posted.v1", "voting-closed.v1", "key-released.v1"),
		of("login codes", c.owners, "owners", logins, " (assumed)", "login-code-made.v1"),
		of("personal data read by others", c.owners, "owners", looks, " (assumed)", "personal-data-read.v1"),
		of("homes sold", c.units, "units", sold, " (assumed)", "titles-stated.v1", "person-registered.v1"),
	}
	return list
}

// start are the papers every estate begins with.
func (c city) start() []kind {
	return []kind{
		{"units", c.units, []string{"unit-registered.v1", "titles-stated.v1"}, ""},
		{"owners", c.owners, []string{"person-registered.v1"}, ""},
	}
}

// load is what kinds come to.
type load struct{ events, data, payload, store, esdb float64 }

func (l load) plus(o load) load {
	return load{l.events + o.events, l.data + o.data, l.payload + o.payload, l.store + o.store, l.esdb + o.esdb}
}

func (l load) times(f float64) load {
	return load{l.events * f, l.data * f, l.payload * f, l.store * f, l.esdb * f}
}

func (k kind) load(all map[string]size) (l load) {
	for _, name := range k.events {
		s, ok := all[name]
		if !ok {
			panic("no size of " + name) // a mistake in kinds
		}
		l = l.plus(load{1, s.data, s.data + s.meta, s.store, s.data + s.meta + s.names + esdbRecord + esdbIndex})
	}
	return l.times(k.yearly)
}

func sum(kinds []kind, all map[string]size) (l load) {
	for _, k := range kinds {
		l = l.plus(k.load(all))
	}
	return l
}

// kafka is how many bytes the brokers keep of events for some days: as commits
// on the way in, as CloudEvents on the way out, three copies of each.
func (l load) kafka(days float64) float64 {
	in := l.payload*4/3 + l.events*commitFrame
	out := l.data + l.events*cloudEvent
	return 3 * (in + out) * days / 365
}

// tables of the read models and the vault.
func (c city) tables() []table {
	held := c.estates * meetings
	orders := c.homes * demoOrders / demoHomes / demoDays * 365
	return []table{
		{"finance", "payment", 458, 0, c.units * 12, "payment"},
		{"finance", "bill", 171, 0, c.units * 12, "unit and month"},
		{"finance", "posted, posted_total, received", 242 + 207 + 221, 0, c.estates * 365, "estate and day"},
		{"finance", "entry", 558, 0, c.estates * (365 + demoVouchers*12/demoMonths), "voucher, or estate and day"},
		{"finance", "unit, title", 326 + 232*float64(demoTitles)/demoUnits, c.units, 0, "unit"},
		{"votes", "ballot", 451, 0, c.heads * meetings * (demoTurnout / float64(demoHeads)) * (1 + onPaper + refused), "ballot"},
		{"votes", "roll_entry", 237, 0, held * c.heads / c.estates, "head and meeting"},
		{"votes", "voter", 227, 0, held * c.owners / c.estates, "owner and meeting"},
		{"votes", "unit_version, title_version", 238 + 350, c.units, c.units * sold, "unit, and sale"},
		{"registry", "unit", 448, c.units, 0, "unit"},
		{"workorders", "work_order", 976, 0, orders, "order"},
		{"vault", "person, subject_key", 427 + 307, c.owners, c.units * sold, "owner, and buyer"},
	}
}

// Blobs: a line of a posted roll for each head, of a month's bills for each unit.
const (
	rollHead  = 77_821.0 / demoHeads
	billsUnit = 42_039.0 / demoUnits
)

func (c city) blobs() float64 { return c.heads*meetings*rollHead + c.units*12*billsUnit }

// followed is how many events a year a service's read model has to fold.
func (c city) followed(service string) (standing, yearly float64) {
	count := func(names ...string) (n float64) {
		for _, k := range c.kinds() {
			for _, e := range k.events {
				for _, name := range names {
					if e == name {
						n += k.yearly
					}
				}
			}
		}
		return n
	}
	switch service {
	case "finance":
		return 2 * c.units, count("payment-received.v1", "payment-attributed.v1", "payment-refunded.v1", "collection-posted.v1", "bills-raised.v1",
			"period-closed.v1", "voucher-posted.v1", "budget-revised.v1", "titles-stated.v1")
	case "votes":
		return 2 * c.units, count("ballot-cast.v1", "paper-handed-in.v1", "ballot-refused.v1", "meeting-drafted.v1", "roll-frozen.v1",
			"notice-posted.v1", "voting-closed.v1", "key-released.v1", "titles-stated.v1")
	case "workorders":
		return 0, count("work-order-reported.v1", "work-order-dispatched.v1", "work-order-arrived.v1", "work-order-finished.v1",
			"work-order-rated.v1", "work-order-overdue.v1", "work-order-reopened.v1")
	case "registry":
		return 2 * c.units, count("titles-stated.v1")
	}
	panic("nothing is known of " + service)
}

// directory is the heap that who owns what takes in every process, and how many
// seconds it takes to fill it at a start.
func (c city) directory(years float64) (bytes, seconds float64) {
	registry := 2*c.units + c.owners + years*(c.owners*(logins+looks)+2*c.units*sold)
	return c.units * directoryUnit, registry / directoryRate
}
