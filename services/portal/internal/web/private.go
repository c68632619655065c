package web

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// key is made when a form is rendered, so that sending it twice is one command.
func key() string { return uuid.NewString() }

// formKey is the key a form came with; one that was taken out gets a new one.
func formKey(q *request) string { return keyOr(q.PostFormValue("key")) }

// keyOr returns a key that was sent, or a new one where it is none.
func keyOr(sent string) string {
	if len(sent) >= 8 && len(sent) <= 200 {
		return sent
	}
	return key()
}

// value is what was typed into a field.
func (q *request) value(name string) string { return strings.TrimSpace(q.PostFormValue(name)) }

func sorted(rows [][]string) [][]string {
	slices.SortFunc(rows, func(a, b []string) int { return cmp.Compare(a[0], b[0]) })
	return rows
}

// reader is who is logged in, with what was read of them at login. Asking the
// API anew for every page would record a reading of personal data each time.
func (s *site) reader(ctx context.Context, person string) *pages.Reader {
	var me client.Me
	// What cannot be read leaves a reader without roles: less is offered, no more.
	_ = json.Unmarshal(s.sessions.GetBytes(ctx, keyReader), &me)
	return &pages.Reader{Person: person, Roles: me.Roles, Units: me.Units}
}

// remember keeps roles and units, and no personal data, in the session.
func (s *site) remember(ctx context.Context, me client.Me) {
	me.Person = nil
	if encoded, err := json.Marshal(me); err == nil {
		s.sessions.Put(ctx, keyReader, encoded)
	}
}

// loggedIn refuses whoever is not.
func (q *request) loggedIn() error {
	if q.view.Reader == nil {
		return problem.Unauthorized("login-needed", "log in first")
	}
	return nil
}

// loginForm asks for a code. Opening the link of one uses nothing up, for scanners
// and previews open links; and its code is behind the #, so no server is sent it.
func (s *site) loginForm(w http.ResponseWriter, q *request) error {
	next := local(q.URL.Query().Get("next"))
	if q.view.Reader != nil {
		http.Redirect(w, q.Request, next, http.StatusSeeOther)
		return nil
	}
	q.view.Title, q.view.Narrow, q.view.Scripts = q.view.T("登录", "Log in"), true, []string{"code.js"}
	return q.render(w, http.StatusOK, pages.Login(q.view, pages.LoginForm{Next: next}))
}

func (s *site) login(w http.ResponseWriter, q *request) error {
	ctx := q.Context()
	form := pages.LoginForm{Next: local(q.PostFormValue("next"))}
	person, token, err := s.Login(ctx, strings.TrimSpace(q.PostFormValue("code")))
	if err != nil {
		if code := status(err); code == 0 || code >= http.StatusInternalServerError {
			return err
		}
		form.Problem = &pages.Problem{
			What: q.view.T("这个登录码用不了。", "This code does not work."),
			Then: q.view.T("它可能已经用过、过期，或者抄错了。", "It may have been used, have run out, or be mistyped."),
			Do:   q.view.T("请再核对一次；还是不行，请联系给你登录码的人换一个新的。", "Check it once more, or ask for a new one."),
		}
		q.view.Title, q.view.Narrow, q.view.URI = q.view.T("登录", "Log in"), true, "/login"
		return q.render(w, http.StatusUnprocessableEntity, pages.Login(q.view, form))
	}
	// A new session id, so that one set by somebody else is worth nothing.
	if err := s.sessions.RenewToken(ctx); err != nil {
		return err
	}
	s.sessions.Put(ctx, keyPerson, person)
	s.sessions.Put(ctx, keyToken, token)
	s.sessions.Remove(ctx, keyPosition)
	s.sessions.Remove(ctx, keyMeeting)
	if me, err := own[client.Me](q, "/me"); err == nil {
		s.remember(ctx, me)
	} else {
		s.Log.WarnContext(ctx, "roles unknown after login", slog.Any("error", err))
	}
	if form.Next == "/" {
		form.Next = "/me"
	}
	http.Redirect(w, q.Request, form.Next, http.StatusSeeOther)
	return nil
}

func (s *site) logout(w http.ResponseWriter, q *request) error {
	if token := s.sessions.GetString(q.Context(), keyToken); token != "" {
		if err := s.Logout(q.Context(), token); err != nil {
			s.Log.WarnContext(q.Context(), "token outlives its session", slog.Any("error", err))
		}
	}
	if err := s.sessions.Destroy(q.Context()); err != nil {
		return err
	}
	http.Redirect(w, q.Request, "/", http.StatusSeeOther)
	return nil
}

// command sends a command of who is logged in, and remembers where it was
// recorded, so that the pages that follow include it.
func (q *request) command(method, path, key string, body any) (client.Recorded, error) {
	done, err := q.site.api.Command(q.Context(), q.mine(), method, path, key, body)
	if err == nil && done.Position > q.who.Position {
		q.site.sessions.Put(q.Context(), keyPosition, done.Position)
	}
	return done, err
}

// after leads on from a command: to next, or, while it is not known whether it
// was recorded, to a page that keeps looking.
func (q *request) after(w http.ResponseWriter, done client.Recorded, next string) error {
	if done.Pending != "" {
		at, found := strings.CutPrefix(done.Pending, "/api/v1/operations/")
		if !found {
			return problem.Unavailable("no-operation", "it is not known where to look")
		}
		next = "/operations/" + at + "?" + url.Values{"next": {next}}.Encode()
	}
	http.Redirect(w, q.Request, local(next), http.StatusSeeOther)
	return nil
}

// wait looks whether a command was recorded, every two seconds.
func (s *site) wait(w http.ResponseWriter, q *request) error {
	stream, commit := q.PathValue("stream"), q.PathValue("commit")
	op, err := get[client.Operation](q, "/operations/"+client.Segment(stream)+"/"+client.Segment(commit), nil)
	if err != nil && status(err) != http.StatusServiceUnavailable {
		return err
	}
	next := q.URL.Query().Get("next")
	if err == nil && op.State == "recorded" {
		if q.view.Reader != nil && op.Position > q.who.Position {
			s.sessions.Put(q.Context(), keyPosition, op.Position)
		}
		if next == "" {
			next = "/receipts/" + client.Segment(stream) + "/" + client.Number(op.Revision)
		}
		http.Redirect(w, q.Request, local(next), http.StatusSeeOther)
		return nil
	}
	tries, _ := strconv.Atoi(q.URL.Query().Get("tries"))
	tries = max(tries, 0) + 1
	again := url.Values{"tries": {strconv.Itoa(tries)}}
	if next != "" {
		again.Set("next", next)
	}
	q.view.URI = q.URL.Path + "?" + again.Encode()
	q.view.Title, q.view.Narrow = q.view.T("正在写入账本", "Being written"), true
	if tries < 15 {
		w.Header().Set("Refresh", "2; url="+q.view.URI) // with the number of tries, which a meta element could not
	}
	return q.render(w, http.StatusAccepted, pages.Wait(q.view, pages.WaitModel{Tries: tries}))
}

func (s *site) me(w http.ResponseWriter, q *request) error {
	if q.view.Reader != nil && q.view.Reader.Meeting != "" { // a voting code opens nothing else
		http.Redirect(w, q.Request, "/meetings/"+client.Segment(q.view.Reader.Meeting)+"/ballot", http.StatusSeeOther)
		return nil
	}
	m, err := q.me()
	if err != nil {
		return err
	}
	m.Sent = q.URL.Query().Get("sent") == "1"
	return q.render(w, http.StatusOK, pages.Me(q.view, m))
}

func (q *request) me() (pages.MeModel, error) {
	var m pages.MeModel
	if err := q.loggedIn(); err != nil {
		return m, err
	}
	var err error
	if m.Me, err = own[client.Me](q, "/me"); err != nil {
		return m, err
	}
	q.site.remember(q.Context(), m.Me)
	missing := func(service string, err error) {
		if err != nil && status(err) != http.StatusNotFound {
			q.site.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", service), slog.Any("error", err))
			m.Missing = append(m.Missing, service)
		}
	}
	bills, err := own[client.List[client.Bill]](q, "/me/bills")
	missing("finance", err)
	payments, err := own[client.List[client.Payment]](q, "/me/payments")
	missing("finance", err)
	arrears, err := own[client.List[client.Arrears]](q, "/me/arrears")
	missing("finance", err)
	ballots, err := own[client.List[client.OwnBallot]](q, "/me/ballots")
	missing("votes", err)
	proxies, err := own[client.List[client.OwnProxy]](q, "/me/proxies")
	missing("votes", err)
	m.Proxies = proxies.Items
	orders, err := own[client.List[client.WorkOrder]](q, "/me/workorders")
	missing("workorders", err)
	m.Orders = orders.Items
	meetings, err := q.announced(m.Me.Units)
	missing("votes", err)
	m.Meetings = meetings
	m.Bills, m.Payments, m.Arrears, m.Ballots, m.Key = bills.Items, payments.Items, arrears.Items, ballots.Items, key()
	q.view.Title = q.view.T("我的", "Mine")
	q.view.Live = ""
	return m, nil
}

// announced are the meetings of the estates where somebody owns, from the roll that
// they may look at to the end of voting.
func (q *request) announced(units []client.OwnUnit) (all []client.Meeting, err error) {
	var seen []string
	for _, u := range units {
		if slices.Contains(seen, u.Estate) {
			continue
		}
		seen = append(seen, u.Estate)
		list, err := get[client.List[client.Meeting]](q, "/estates/"+client.Segment(u.Estate)+"/meetings", nil)
		if err != nil {
			return all, err
		}
		all = append(all, slices.DeleteFunc(list.Items, func(m client.Meeting) bool {
			return m.Past || !slices.Contains([]string{"frozen", "noticed", "open"}, m.State)
		})...)
	}
	return all, nil
}

func (s *site) correct(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	words := strings.TrimSpace(q.PostFormValue("words"))
	done, err := q.command(http.MethodPost, "/me/corrections", formKey(q), map[string]any{"words": words})
	if again(err) {
		m, failed := q.me()
		if failed != nil {
			return failed
		}
		m.Words, m.Key, m.Problem = words, formKey(q), explained(q, err)
		q.view.URI = "/me"
		return q.render(w, m.Problem.Status, pages.Me(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, "/me?sent=1")
}

// again says whether a form is shown once more with what is wrong in it.
func again(err error) bool {
	p, ok := problem.From(err)
	return err != nil && ok && p.Status == http.StatusUnprocessableEntity && p.Code != "key-reused"
}

// answered says whether the API refused a form for what it says, so that the form
// is shown once more with the reason.
func answered(err error) bool {
	p, ok := problem.From(err)
	return err != nil && ok && (p.Status == http.StatusUnprocessableEntity || p.Status == http.StatusConflict || p.Status == http.StatusForbidden) && p.Code != "key-reused"
}

// contradicted says whether what was typed is wrong, or does not fit what the ledger
// says now.
func contradicted(err error) bool { return again(err) || status(err) == http.StatusConflict }

// refused says whether the API refused a form for whatever a reader can be told;
// who is not logged in is asked to be.
func refused(err error) bool {
	code := status(err)
	return code >= http.StatusBadRequest && code < http.StatusInternalServerError && code != http.StatusUnauthorized
}

func explained(q *request, err error) *pages.Problem {
	p := pages.Explain(q.view.Lang, err)
	return &p
}

func (s *site) report(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	category, matter, _ := strings.Cut(q.PostFormValue("matter"), "/")
	body := struct {
		Category string `json:"category"`
		Matter   string `json:"matter"`
		Place    string `json:"place"`
		Words    string `json:"words,omitempty"`
	}{category, matter, strings.TrimSpace(q.PostFormValue("place")), strings.TrimSpace(q.PostFormValue("words"))}
	done, err := q.command(http.MethodPost, q.in("/workorders"), formKey(q), body)
	if again(err) {
		m, failed := q.orders("")
		if failed != nil {
			return failed
		}
		m.Report.Category, m.Report.Matter, m.Report.Place, m.Report.Words = body.Category, body.Matter, body.Place, body.Words
		m.Report.Key, m.Report.Problem = formKey(q), explained(q, err)
		q.view.URI = q.URL.Path
		return q.render(w, m.Report.Problem.Status, pages.Orders(q.view, m))
	}
	if err != nil {
		return err
	}
	next := q.in("/workorders")
	if done.ID != "" {
		next = "/workorders/" + client.Segment(done.ID)
	}
	return q.after(w, done, next)
}

func (s *site) rate(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	score, _ := strconv.Atoi(q.PostFormValue("score"))
	at := "/workorders/" + client.Segment(q.PathValue("order"))
	done, err := q.command(http.MethodPost, at+"/rate", formKey(q), map[string]any{"score": score})
	if again(err) {
		m, failed := q.order()
		if failed != nil {
			return failed
		}
		m.Problem, q.view.URI = explained(q, err), at
		return q.render(w, m.Problem.Status, pages.Order(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, at)
}

func (s *site) ballot(w http.ResponseWriter, q *request) error {
	m, err := q.oneMeeting()
	if err != nil {
		return err
	}
	if err := q.loggedIn(); err != nil {
		return err
	}
	if m.State != "open" { // its own page says when it is
		http.Redirect(w, q.Request, q.of(""), http.StatusSeeOther)
		return nil
	}
	q.view.Title, q.view.Narrow = q.view.T("投票", "Your ballot"), true
	return q.render(w, http.StatusOK, pages.Ballot(q.view, pages.BallotForm{Meeting: m, Estate: *q.view.Estate, Key: key(), Voted: q.voted(m), Traded: q.traded(m)}))
}

// traded are the units that the reader bought or sold during the vote. A list that
// cannot be read tells nothing; the count settles it anyway.
func (q *request) traded(m client.Meeting) []client.Amendment {
	list, err := own[client.List[client.Amendment]](q, "/meetings/"+client.Segment(m.ID)+"/amendments")
	if err != nil {
		q.site.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "votes"), slog.Any("error", err))
	}
	return slices.DeleteFunc(list.Items, func(a client.Amendment) bool { return !a.Yours && !a.Sold })
}

// voted is what the reader handed in to the meeting before. A list that cannot
// be read warns of nothing; the API decides anyway.
func (q *request) voted(m client.Meeting) pages.Voted {
	list, err := own[client.List[client.OwnBallot]](q, "/me/ballots")
	if err != nil {
		q.site.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "votes"), slog.Any("error", err))
	}
	return pages.Voted{Policy: m.Policy, Ballots: slices.DeleteFunc(list.Items, func(b client.OwnBallot) bool { return b.Meeting != m.ID || b.Reason != "" })}
}

// cast takes a ballot through its steps: review, back, cast.
func (s *site) cast(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	m, err := q.oneMeeting()
	if err != nil {
		return err
	}
	q.view.Title, q.view.Narrow = q.view.T("投票", "Your ballot"), true
	q.view.URI = q.of("/ballot")
	form := pages.BallotForm{Meeting: m, Estate: *q.view.Estate, Key: formKey(q), Choices: map[string]string{}}
	if q.PostFormValue("step") != "cast" {
		form.Voted = q.voted(m)
	}
	var choices []client.Choice
	for _, motion := range m.Motions {
		for _, c := range pages.Asked(motion) {
			c.Choice = q.PostFormValue("choice-" + pages.AnswerKey(c))
			if c.Choice == votes.Yes || c.Choice == votes.No || c.Choice == votes.Abstain {
				form.Choices[pages.AnswerKey(c)] = c.Choice
				choices = append(choices, c)
			}
		}
	}
	step := q.PostFormValue("step")
	if len(choices) == 0 && step != "back" {
		form.Problem = &pages.Problem{
			What: q.view.T("还没有选。", "Nothing is chosen yet."),
			Then: q.view.T("什么都没有提交。", "Nothing was sent."),
			Do:   q.view.T("请至少对一个议题作出选择。", "Choose on at least one motion."),
		}
		return q.render(w, http.StatusUnprocessableEntity, pages.Ballot(q.view, form))
	}
	switch step {
	case "cast":
	case "back":
		return q.render(w, http.StatusOK, pages.Ballot(q.view, form))
	default:
		return q.render(w, http.StatusOK, pages.Review(q.view, form))
	}
	done, err := q.command(http.MethodPost, q.of("/ballots"), form.Key, map[string]any{"choices": choices})
	if again(err) {
		form.Problem = explained(q, err)
		return q.render(w, form.Problem.Status, pages.Ballot(q.view, form))
	}
	if err != nil {
		return err
	}
	return q.receiptOf(w, done)
}

// receiptOf leads to the receipt of a ballot.
func (q *request) receiptOf(w http.ResponseWriter, done client.Recorded) error {
	if done.Pending != "" {
		return q.after(w, done, "") // the revision, and with it the receipt, is not known yet
	}
	receipt := done.Revision // of the last event; what was taken, the one to keep, comes before the refusals
	if refusals := uint64(len(done.Refused)); len(done.Taken) > 0 && refusals <= receipt {
		receipt -= refusals
	}
	return q.after(w, done, "/receipts/"+client.Segment(done.Stream)+"/"+client.Number(receipt))
}

func (s *site) paymentForm(w http.ResponseWriter, q *request) error {
	form, err := q.clerk()
	if err != nil {
		return err
	}
	form.Received = string(units.DayOf(s.Clock()))
	form.Done = q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.PaymentNew(q.view, form))
}

// clerk opens the form for who may record payments of the estate.
func (q *request) clerk() (pages.PaymentForm, error) {
	if err := q.loggedIn(); err != nil {
		return pages.PaymentForm{}, err
	}
	e, err := q.estate(q.PathValue("estate"), "")
	if err != nil {
		return pages.PaymentForm{}, err
	}
	if !q.view.Reader.May(e.ID, "clerk", "administrator") {
		return pages.PaymentForm{}, problem.Forbidden("not-a-clerk", "only a clerk of the estate records payments")
	}
	q.view.Title, q.view.Narrow = q.view.T("登记收款", "Record a payment"), true
	return pages.PaymentForm{Estate: *q.view.Estate, Key: key()}, nil
}

// wrongAmount is a sum of money that is none.
var wrongAmount = problem.Field{Name: "amount_fen", Code: "not-an-amount", Detail: "is an amount above zero with at most two decimals, such as 80.91"}

func (s *site) payment(w http.ResponseWriter, q *request) error {
	form, err := q.clerk()
	if err != nil {
		return err
	}
	value := func(name string) string { return strings.TrimSpace(q.PostFormValue(name)) }
	form.Key = formKey(q)
	form.Received, form.Reference, form.Unit = value("received"), value("reference"), value("unit")
	form.Period, form.Amount, form.Channel = value("period"), value("amount"), value("channel")
	amount, err := units.ParseFen(strings.ReplaceAll(form.Amount, ",", ""))
	var done client.Recorded
	if err != nil || amount <= 0 {
		err = problem.Invalid("amount", "the amount is wrong", wrongAmount)
	} else {
		done, err = q.command(http.MethodPost, q.in("/payments"), form.Key, struct {
			Received  string    `json:"received"`
			Reference string    `json:"reference"`
			Unit      string    `json:"unit,omitempty"`
			Period    string    `json:"period,omitempty"`
			Amount    units.Fen `json:"amount_fen"`
			Channel   string    `json:"channel,omitempty"`
		}{form.Received, form.Reference, form.Unit, form.Period, amount, form.Channel})
	}
	if again(err) {
		form.Problem, q.view.URI = explained(q, err), q.URL.Path
		return q.render(w, form.Problem.Status, pages.PaymentNew(q.view, form))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.in("/payments/new?done=1"))
}
