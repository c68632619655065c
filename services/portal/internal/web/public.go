package web

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// Rows on one page of a list.
const (
	ordersPerPage  = 50
	entriesPerPage = 200
	mostPerPage    = 1000 // of the API
)

// pages routes everything a reader can open.
func (s *site) pages(logins func(http.Handler) http.Handler) http.Handler {
	mux := http.NewServeMux()
	on := func(pattern string, h handler) { mux.Handle(pattern, s.handle(h)) }

	on("GET /{$}", s.estates)
	on("GET /estates.csv", s.estatesCSV)
	on("GET /estates/{estate}", s.estate)
	on("GET /estates/{estate}/entries", s.entries)
	on("GET /estates/{estate}/compare", s.compare)
	on("GET /estates/{estate}/explore", past(s.explore))
	on("GET /estates/{estate}/meetings", past(s.meetings))
	on("GET /estates/{estate}/workorders", past(s.orders))
	on("GET /estates/{estate}/decisions", s.decisions)
	on("GET /estates/{estate}/agreements/new", s.agreementForm)
	on("POST /estates/{estate}/agreements/new", s.propose)
	on("GET /agreements/{agreement}", s.agreement)
	on("POST /agreements/{agreement}", s.agreementStep)
	on("GET /estates/{estate}/draws/{draw}", s.drawForm)
	on("POST /estates/{estate}/draws/{draw}", s.payDraw)
	on("GET /estates/{estate}/rules", s.rules)
	on("GET /estates/{estate}/rules/adopt", s.adoptForm)
	mux.Handle("POST /estates/{estate}/rules/adopt", s.handleUpTo(maxRules, s.adopt))
	on("GET /vouchers/{voucher}", s.voucher)
	on("GET /meetings/{meeting}", s.meeting)
	on("GET /meetings/{meeting}/desk", s.desk)
	on("POST /meetings/{meeting}/desk", s.deskStep)
	on("GET /meetings/{meeting}/recount", s.recount)
	on("POST /meetings/{meeting}/recount", s.recountStep)
	on("GET /meetings/{meeting}/objection", s.objection)
	on("POST /meetings/{meeting}/objection", s.object)
	on("GET /workorders/{order}", s.order)
	on("GET /receipts/{event}", s.receipt)
	on("GET /receipts/{stream}/{revision}", s.receiptOf)
	on("GET /proof", s.proof)
	on("GET /trail", s.trail)
	on("GET /trail/{stream}", s.life)
	on("GET /about", s.about)

	on("GET /estates/{estate}/budget.csv", past(s.budgetCSV))
	on("GET /estates/{estate}/collection.csv", past(s.collectionCSV))
	on("GET /estates/{estate}/entries.csv", past(s.entriesCSV))
	on("GET /estates/{estate}/workorders.csv", past(s.ordersCSV))
	on("GET /estates/{estate}/meetings.csv", past(s.meetingsCSV))
	on("GET /estates/{estate}/agreements.csv", past(s.agreementsCSV))
	on("GET /estates/{estate}/units.csv", s.unitsCSV)
	on("GET /estates/{estate}/bundle.zip", past(s.bundle))
	on("GET /meetings/{meeting}/results.csv", past(s.resultsCSV))
	on("GET /meetings/{meeting}/objections.csv", past(s.objectionsCSV))
	on("GET /meetings/{meeting}/rejected.csv", past(s.rejectedCSV))
	on("GET /meetings/{meeting}/ballots.csv", s.ballotsCSV)
	on("GET /meetings/{meeting}/roll.csv", s.rollCSV)
	on("GET /meetings/{meeting}/roll", s.roll)
	on("POST /meetings/{meeting}/roll", s.rollStep)
	on("GET /meetings/{meeting}/roll/objection", s.rollObjection)
	on("POST /meetings/{meeting}/roll/objection", s.objectToRoll)

	on("GET /login", s.loginForm)
	mux.Handle("POST /login", logins(s.handle(s.login)))
	on("POST /logout", s.logout)
	on("GET /me", s.me)
	on("POST /me/corrections", s.correct)
	on("POST /estates/{estate}/workorders", s.report)
	on("POST /workorders/{order}/rate", s.rate)
	on("GET /meetings/{meeting}/delivery", s.delivery)
	mux.Handle("POST /meetings/{meeting}/delivery", s.handleUpTo(maxProof, s.told))
	mux.Handle("POST /meetings/{meeting}/delivery/list", s.handleUpTo(maxList, s.deliverRound))
	on("GET /meetings/{meeting}/notice.pdf", s.noticePDF)
	on("POST /meetings/{meeting}/letters.pdf", s.letters)
	on("POST /meetings/{meeting}/confirm", s.confirmNotice)
	on("GET /meetings/{meeting}/code", s.codeForm)
	mux.Handle("POST /meetings/{meeting}/code", logins(s.handle(s.openBallot)))
	on("GET /meetings/{meeting}/ballot", s.ballot)
	on("POST /meetings/{meeting}/ballot", s.cast)
	on("GET /meetings/{meeting}/trustees", s.trustees)
	on("POST /meetings/{meeting}/trustees", s.nameTrustees)
	on("GET /meetings/{meeting}/share", s.share)
	on("POST /meetings/{meeting}/share", s.takeShare)
	on("POST /meetings/{meeting}/share/give", s.giveShare)
	on("GET /meetings/{meeting}/papers", s.paperDesk)
	on("POST /meetings/{meeting}/papers/in", s.handIn)
	on("POST /meetings/{meeting}/papers/void", s.voidPaper)
	on("POST /meetings/{meeting}/papers/complete", s.completeEntry)
	on("GET /meetings/{meeting}/papers/{entry}/{envelope}", s.readingForm)
	on("POST /meetings/{meeting}/papers/{entry}/{envelope}", s.enterPaper)
	on("GET /meetings/{meeting}/proxy", s.proxyForm)
	on("POST /meetings/{meeting}/proxy", s.grantProxy)
	on("POST /meetings/{meeting}/proxy/revoked", s.revokeProxy)
	on("GET /meetings/{meeting}/proxy/{entry}", s.proxyBallotForm)
	on("POST /meetings/{meeting}/proxy/{entry}", s.castByProxy)
	on("GET /estates/{estate}/convene", s.convene)
	on("POST /estates/{estate}/convene", s.conveneMeeting)
	on("GET /estates/{estate}/convene/motions", s.conveneMotions)
	on("POST /estates/{estate}/convene/motions", s.changeMotions)
	on("GET /estates/{estate}/convene/motions/{motion}", s.conveneMotion)
	on("POST /estates/{estate}/convene/motions/{motion}", s.keepMotion)
	on("GET /estates/{estate}/convene/days", s.conveneDays)
	on("POST /estates/{estate}/convene/days", s.keepDays)
	on("GET /estates/{estate}/convene/review", s.conveneReview)
	on("POST /estates/{estate}/convene/review", s.draft)
	on("GET /meetings/{meeting}/convene", s.conveneRoll)
	on("POST /meetings/{meeting}/convene", s.freezeRoll)
	on("GET /meetings/{meeting}/convene/notice", s.conveneNotice)
	on("POST /meetings/{meeting}/convene/notice", s.postNotice)
	on("GET /estates/{estate}/payments/new", s.paymentForm)
	on("POST /estates/{estate}/payments/new", s.payment)
	on("GET /operations/{stream}/{commit}", s.wait)

	on("/", func(http.ResponseWriter, *request) error {
		return problem.NotFound("no-such-page", "there is no such page")
	})
	return mux
}

// past lets a handler answer as of a position in the address.
func past(h handler) handler {
	return func(w http.ResponseWriter, q *request) error {
		if err := q.lookBack(); err != nil {
			return err
		}
		return h(w, q)
	}
}

func (s *site) estates(w http.ResponseWriter, q *request) error {
	list, err := get[client.List[client.Named]](q, "/estates", nil)
	if err != nil {
		return err
	}
	q.view.Title, q.view.Narrow = q.view.T("小区账本", "Open accounts"), true
	if len(list.Items) > 0 {
		q.view.Files = []pages.Link{{Href: "/estates.csv", Text: q.view.T("小区列表", "Estates")}}
	}
	return q.render(w, http.StatusOK, pages.Estates(q.view, list.Items))
}

func (s *site) estate(w http.ResponseWriter, q *request) error {
	if err := q.lookBack(); err != nil {
		return err
	}
	id := q.PathValue("estate")
	if day := q.URL.Query().Get("day"); day != "" {
		return s.onDay(w, q, day)
	}
	at := "/estates/" + client.Segment(id)
	years := filters(q, "year")
	if year := years.Get("year"); year != "" {
		if _, err := strconv.ParseUint(year, 10, 16); err != nil {
			return problem.NotFound("no-such-page", "a year is a number")
		}
	}
	var m pages.EstateModel
	var err error
	if m.Estate, err = q.estate(id, "estate"); err != nil {
		return err
	}
	// The parts come from several services. One that does not answer leaves a gap
	// with a sentence, not a page without the others.
	var all sync.WaitGroup
	var mu sync.Mutex
	part := func(service string, read func() error) {
		all.Go(func() {
			if err := read(); err != nil && status(err) != http.StatusNotFound {
				s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", service), slog.Any("error", err))
				mu.Lock()
				defer mu.Unlock()
				m.Missing = append(m.Missing, service)
			}
		})
	}
	part("contracts", func() error {
		list, err := get[client.List[client.Agreement]](q, at+"/agreements", nil)
		m.Agreement = current(list.Items)
		return err
	})
	part("finance", func() error {
		budget, err := get[client.Budget](q, at+"/budget", years)
		if err == nil && (len(budget.Items) > 0 || budget.Opening != 0) {
			m.Budget = &budget
		}
		return err
	})
	part("finance", func() error {
		list, err := get[client.List[client.Collection]](q, at+"/collection", nil)
		m.Collection = list.Items
		return err
	})
	part("workorders", func() error {
		summary, err := get[client.WorkOrders](q, at+"/workorders/summary", nil)
		if err == nil {
			m.Orders = &summary
		}
		return err
	})
	part("votes", func() error {
		list, err := get[client.List[client.Meeting]](q, at+"/meetings", nil)
		m.Meetings = openFirst(list.Items)
		return err
	})
	all.Wait()

	q.view.Title, q.view.Figures, q.view.Scripts = m.Estate.Name, true, []string{"htmx.min.js"}
	if m.Budget != nil {
		year := "?year=" + strconv.Itoa(m.Budget.Year)
		q.view.Files = append(q.view.Files,
			pages.Link{Href: at + "/budget.csv" + year, Text: q.view.T("预算和实际", "Budget")},
			pages.Link{Href: at + "/entries.csv" + year, Text: q.view.T("每一笔", "Entries")})
	}
	if len(m.Collection) > 0 {
		q.view.Files = append(q.view.Files, pages.Link{Href: at + "/collection.csv", Text: q.view.T("收缴率", "Collection")})
	}
	q.view.Files = append(q.view.Files, pages.Link{Href: at + "/agreements.csv", Text: q.view.T("合同", "Agreements")}, pages.Link{Href: at + "/units.csv", Text: q.view.T("房屋", "Units"), Now: true})
	return q.render(w, http.StatusOK, pages.Estate(q.view, m))
}

// onDay leads to the estate's page as of the end of a day.
func (s *site) onDay(w http.ResponseWriter, q *request, day string) error {
	at, err := q.positionOf(day)
	if err != nil {
		return err
	}
	ask := filters(q, "year")
	if at != 0 {
		ask.Set("at", client.Number(at))
	}
	http.Redirect(w, q.Request, q.in("")+"?"+ask.Encode()+"#past", http.StatusSeeOther)
	return nil
}

// current is the agreement in force, else the one that starts last.
func current(list []client.Agreement) *client.Agreement {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b client.Agreement) int {
		if (a.State == "active") != (b.State == "active") {
			if a.State == "active" {
				return -1
			}
			return 1
		}
		if a.Starts > b.Starts {
			return -1
		}
		return 1
	})
	return &list[0]
}

// filters are the parameters of a list of entries, passed on as they are.
func filters(q *request, names ...string) url.Values {
	out := url.Values{}
	for _, name := range names {
		if value := q.URL.Query().Get(name); value != "" {
			out.Set(name, value)
		}
	}
	return out
}

func (s *site) entries(w http.ResponseWriter, q *request) error {
	// The same address is a whole page, or the table alone for a row that opens.
	w.Header().Add("Vary", "HX-Request")
	if err := q.lookBack(); err != nil {
		return err
	}
	e, err := q.estate(q.PathValue("estate"), "estate")
	if err != nil {
		return err
	}
	at := "/estates/" + client.Segment(e.ID) + "/entries"
	ask := filters(q, "year", "direction", "category", "after")
	ask.Set("limit", strconv.Itoa(entriesPerPage))
	list, err := get[client.List[client.Entry]](q, at, ask)
	if err != nil {
		return err
	}
	m := pages.EntriesModel{Estate: *q.view.Estate, Year: ask.Get("year"), Direction: ask.Get("direction"), Category: ask.Get("category"), Items: list.Items}
	if next := client.After(list, entriesPerPage, entryID); next != "" {
		more := filters(q, "year", "direction", "category", "at")
		more.Set("after", next)
		m.More = at + "?" + more.Encode()
	}
	if q.Header.Get("HX-Request") == "true" {
		return q.render(w, http.StatusOK, pages.EntryTable(q.view, m))
	}
	q.view.Title, q.view.Figures = m.Category, true
	if m.Category == "" {
		q.view.Title = q.view.T("全部收支", "All entries")
	}
	q.view.Files = []pages.Link{{Href: at + ".csv?" + filters(q, "year", "direction", "category").Encode(), Text: q.view.T("这些记录", "These entries")}}
	return q.render(w, http.StatusOK, pages.Entries(q.view, m))
}

func (s *site) voucher(w http.ResponseWriter, q *request) error {
	id := q.PathValue("voucher")
	entry, err := get[client.Entry](q, "/vouchers/"+client.Segment(id), nil)
	if err != nil {
		return err
	}
	if entry.Voucher == "" {
		entry.Voucher = id
	}
	estate := client.Estate{}
	if entry.Estate != "" {
		if estate, err = q.estate(entry.Estate, "estate"); err != nil {
			return err
		}
	}
	q.view.Title, q.view.Figures, q.view.Narrow = q.view.T("凭证 ", "Voucher ")+entry.Number, true, true
	return q.render(w, http.StatusOK, pages.Voucher(q.view, entry, client.Named{ID: estate.ID, Name: estate.Name}))
}

func (s *site) explore(w http.ResponseWriter, q *request) error {
	e, err := q.estate(q.PathValue("estate"), "explore")
	if err != nil {
		return err
	}
	category := e.FeeCategory
	if category == "" {
		category = finance.DefaultFeeCategory
	}
	list, answer, err := client.All(q.Context(), s.api, q.who, "/estates/"+client.Segment(e.ID)+"/entries",
		q.then(url.Values{"direction": {finance.Income}, "category": {category}}), mostPerPage, entryID)
	if err != nil {
		return err
	}
	q.note(answer)
	days := byDay(list)
	q.view.Title, q.view.Figures = q.view.T("每天收到多少", "Day by day"), true
	q.view.Scripts = []string{"echarts.common.min.js", "explore.js"}
	q.view.Files = []pages.Link{{Href: "/estates/" + client.Segment(e.ID) + "/entries.csv?" + url.Values{"direction": {finance.Income}, "category": {category}}.Encode(), Text: q.view.T("每日合计", "Daily totals")}}
	return q.render(w, http.StatusOK, pages.Explore(q.view, pages.ExploreModel{Estate: *q.view.Estate, Days: days}))
}

// byDay adds up what was received on each day, for whatever month.
func byDay(list []client.Entry) []client.Entry {
	var days []client.Entry
	for _, e := range list {
		switch {
		case e.Kind != client.KindCollection:
		case len(days) > 0 && days[len(days)-1].Date == e.Date:
			days[len(days)-1].Amount += e.Amount
		default:
			days = append(days, e)
		}
	}
	return days
}

func (s *site) meetings(w http.ResponseWriter, q *request) error {
	e, err := q.estate(q.PathValue("estate"), "meetings")
	if err != nil {
		return err
	}
	at := "/estates/" + client.Segment(e.ID) + "/meetings"
	list, err := get[client.List[client.Meeting]](q, at, nil)
	if err != nil {
		return err
	}
	q.view.Title, q.view.Figures = q.view.T("业主大会", "Owners' meetings"), true
	q.view.Files = []pages.Link{{Href: at + ".csv", Text: q.view.T("业主大会", "Meetings")}}
	return q.render(w, http.StatusOK, pages.Meetings(q.view, openFirst(list.Items)))
}

// openFirst puts what can be voted on now before everything else.
func openFirst(list []client.Meeting) []client.Meeting {
	return slices.Concat(
		slices.DeleteFunc(slices.Clone(list), func(m client.Meeting) bool { return m.State != "open" }),
		slices.DeleteFunc(slices.Clone(list), func(m client.Meeting) bool { return m.State == "open" }))
}

func (s *site) meeting(w http.ResponseWriter, q *request) error {
	if err := q.lookBack(); err != nil {
		return err
	}
	at := "/meetings/" + client.Segment(q.PathValue("meeting"))
	m, err := q.oneMeeting()
	if err != nil {
		return err
	}
	model := pages.MeetingModel{Meeting: m, Estate: *q.view.Estate, Key: key(), Read: q.URL.Query().Get("read") == "1"}
	results, err := get[client.List[client.Result]](q, at+"/results", nil)
	switch {
	case err == nil:
		model.Posted, model.Results = true, results.Items
	case status(err) != http.StatusConflict: // not counted yet
		return err
	}
	if summary, err := get[client.Ballots](q, at+"/ballots/summary", nil); err == nil {
		model.Ballots = &summary
	}
	if model.Timeline, model.Objections, err = q.life(at); err != nil {
		return err
	}
	if model.Deadlines, err = q.deadlines(at); err != nil {
		return err
	}
	model.Followed = s.followed(q, m)
	q.view.Title, q.view.Figures = m.Title, true
	if model.Posted {
		q.view.Files = []pages.Link{
			{Href: at + "/results.csv", Text: q.view.T("表决结果", "Results")},
			{Href: at + "/rejected.csv", Text: q.view.T("未计入的原因", "Reasons")},
			{Href: at + "/ballots.csv", Text: q.view.T("每张票（无姓名）", "Ballots, no names"), Now: true},
		}
	}
	if len(model.Objections) > 0 {
		q.view.Files = append(q.view.Files, pages.Link{Href: at + "/objections.csv", Text: q.view.T("异议和答复", "Objections")})
	}
	if m.Roll != nil {
		q.view.Files = append(q.view.Files, pages.Link{Href: at + "/roll.csv", Text: q.view.T("名册（无姓名）", "Roll, no names"), Now: true})
	}
	return q.render(w, http.StatusOK, pages.Meeting(q.view, model))
}

// oneMeeting reads the meeting in the address and its estate.
func (q *request) oneMeeting() (client.Meeting, error) {
	id := q.PathValue("meeting")
	m, err := get[client.Meeting](q, "/meetings/"+client.Segment(id), nil)
	if err != nil {
		return m, err
	}
	if m.ID == "" {
		m.ID = id
	}
	_, err = q.estate(m.Estate, "meetings")
	return m, err
}

func (s *site) orders(w http.ResponseWriter, q *request) error {
	m, err := q.orders(q.URL.Query().Get("state"))
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.Orders(q.view, m))
}

func (q *request) orders(state string) (pages.OrdersModel, error) {
	e, err := q.estate(q.PathValue("estate"), "workorders")
	if err != nil {
		return pages.OrdersModel{}, err
	}
	at := "/estates/" + client.Segment(e.ID) + "/workorders"
	m := pages.OrdersModel{Estate: *q.view.Estate, State: state}
	ask := filters(q, "after")
	ask.Set("limit", strconv.Itoa(ordersPerPage))
	if state != "" {
		ask.Set("state", state)
	}
	list, err := get[client.List[client.WorkOrder]](q, at, ask)
	if err != nil {
		return m, err
	}
	m.Items = list.Items
	if next := client.After(list, ordersPerPage, orderID); next != "" {
		more := q.then(url.Values{"after": {next}})
		if state != "" {
			more.Set("state", state)
		}
		m.More = at + "?" + more.Encode() + "#list"
	}
	if summary, err := get[client.WorkOrders](q, at+"/summary", nil); err == nil {
		m.Summary = &summary
	}
	if q.view.Reader != nil && q.view.At == 0 {
		limits, err := get[client.List[client.Limit]](q, at+"/limits", nil)
		if err != nil && status(err) != http.StatusNotFound {
			return m, err
		}
		m.Report = &pages.ReportForm{Estate: m.Estate, Key: key(), Limits: limits.Items}
	}
	q.view.Title, q.view.Figures = q.view.T("报事报修", "Work orders"), true
	q.view.Files = []pages.Link{{Href: at + ".csv", Text: q.view.T("全部工单", "All work orders")}}
	return m, nil
}

func (s *site) order(w http.ResponseWriter, q *request) error {
	m, err := q.order()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.Order(q.view, m))
}

func (q *request) order() (pages.OrderModel, error) {
	id := q.PathValue("order")
	o, err := get[client.WorkOrder](q, "/workorders/"+client.Segment(id), nil)
	if err != nil {
		return pages.OrderModel{}, err
	}
	if o.ID == "" {
		o.ID = id
	}
	if _, err := q.estate(o.Estate, "workorders"); err != nil {
		return pages.OrderModel{}, err
	}
	q.view.Title, q.view.Narrow, q.view.Figures = o.Matter+" "+o.Number, true, true
	return pages.OrderModel{Estate: *q.view.Estate, Order: o, Key: key()}, nil
}

func (s *site) about(w http.ResponseWriter, q *request) error {
	q.view.Title, q.view.Narrow = q.view.T("关于本站", "About this site"), true
	return q.render(w, http.StatusOK, pages.About(q.view, s.Operator))
}
