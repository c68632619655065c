package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// oneAgreement reads the agreement of the address, and its estate.
func (q *request) oneAgreement() (m pages.AgreementModel, err error) {
	m.Agreement, err = get[client.Agreement](q, "/agreements/"+client.Segment(q.PathValue("agreement")), nil)
	if err != nil {
		return m, err
	}
	if _, err = q.estate(m.Agreement.Estate, "estate"); err != nil {
		return m, err
	}
	m.Estate, m.Key, m.On = *q.view.Estate, key(), string(units.DayOf(q.site.Clock()))
	q.view.Title, q.view.Narrow, q.view.Figures = q.view.T("物业合同", "Agreement"), true, true
	return m, nil
}

func (s *site) agreement(w http.ResponseWriter, q *request) error {
	m, err := q.oneAgreement()
	if err != nil {
		return err
	}
	m.Done = q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.Agreement(q.view, m))
}

// agreementStep posts an agreement, records a signature, lets it come into force or
// ends it: what the button says.
func (s *site) agreementStep(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	m, err := q.oneAgreement()
	if err != nil {
		return err
	}
	step, body := q.PostFormValue("do"), map[string]any{}
	switch step {
	case "post", "activate":
		body = nil
	case "sign":
		body["party"] = q.PostFormValue("party")
	case "end":
		m.On, m.Reason = q.value("on"), q.value("reason")
		body["on"], body["reason"] = m.On, m.Reason
	default:
		return problem.NotFound("no-such-step", "there is no such step")
	}
	at := "/agreements/" + client.Segment(m.Agreement.ID)
	done, err := q.command(http.MethodPost, at+"/"+step, formKey(q), body)
	if refused(err) {
		m.Failed, m.Problem, q.view.URI = step, explained(q, err), at
		return q.render(w, m.Problem.Status, pages.Agreement(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, at+"?done=1")
}

// proposing opens the form of an agreement for who may propose one.
func (q *request) proposing() (f pages.AgreementForm, err error) {
	if err := q.loggedIn(); err != nil {
		return f, err
	}
	e, err := q.estate(q.PathValue("estate"), "estate")
	if err != nil {
		return f, err
	}
	if !q.view.Reader.May(e.ID, pages.ProposeRoles...) {
		return f, problem.Forbidden("not-a-party", "agreements are proposed by those who sign them, and by the office")
	}
	q.view.Title, q.view.Narrow = q.view.T("拟一份物业合同", "Propose an agreement"), true
	f = pages.AgreementForm{Estate: *q.view.Estate, Key: key(), Rates: map[string]pages.TypedRate{}}
	for _, use := range pages.Uses {
		f.Rates[use] = pages.TypedRate{Per: agreements.PerM2}
	}
	f.Rates[registry.Parking] = pages.TypedRate{Per: agreements.PerPiece}
	list, err := get[client.List[client.Agreement]](q, q.in("/agreements"), nil)
	f.InForce = slices.DeleteFunc(list.Items, func(a client.Agreement) bool { return a.State != "active" })
	return f, err
}

func (s *site) agreementForm(w http.ResponseWriter, q *request) error {
	f, err := q.proposing()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.AgreementNew(q.view, f))
}

func (s *site) propose(w http.ResponseWriter, q *request) error {
	f, err := q.proposing()
	if err != nil {
		return err
	}
	f.Key, f.Kind = formKey(q), chosen(q.value("kind"), pages.AgreementKinds)
	f.Principals, f.Provider, f.Starts, f.Ends = q.value("principals"), q.value("provider"), q.value("starts"), q.value("ends")
	f.Change, f.Services, f.Options, f.Follows = q.value("change"), q.value("services"), q.value("options"), q.value("follows")
	for _, use := range pages.Uses {
		f.Rates[use] = pages.TypedRate{Yuan: q.value("rate-" + use), Per: chosen(q.value("per-"+use), pages.Pers)}
	}
	body, wrong := f.Body()
	var done client.Recorded
	if len(wrong) > 0 {
		err = problem.Invalid("agreement-wrong", "the agreement cannot be proposed as it is typed", wrong...)
	} else {
		done, err = q.command(http.MethodPost, q.in("/agreements"), f.Key, body)
	}
	if refused(err) {
		f.Problem, q.view.URI = explained(q, err), q.in("/agreements/new")
		return q.render(w, f.Problem.Status, pages.AgreementNew(q.view, f))
	}
	if err != nil {
		return err
	}
	if done.Pending != "" {
		return q.after(w, done, q.in("/decisions"))
	}
	return q.after(w, done, "/agreements/"+client.Segment(done.ID)+"?done=1")
}

// oneDraw opens a draw on the maintenance fund for who may record what is paid.
func (q *request) oneDraw() (f pages.DrawForm, err error) {
	if err := q.loggedIn(); err != nil {
		return f, err
	}
	e, err := q.estate(q.PathValue("estate"), "estate")
	if err != nil {
		return f, err
	}
	if !q.view.Reader.May(e.ID, pages.PayRoles...) {
		return f, problem.Forbidden("not-a-clerk", "payments are recorded by who keeps the accounts")
	}
	list, err := get[client.List[client.Draw]](q, q.in("/draws"), nil)
	if err != nil {
		return f, err
	}
	i := slices.IndexFunc(list.Items, func(d client.Draw) bool { return d.ID == q.PathValue("draw") })
	if i < 0 {
		return f, problem.NotFound("no-such-draw", "there is no such draw on the maintenance fund")
	}
	q.view.Title, q.view.Narrow = q.view.T("维修资金付款", "Payments out of the maintenance fund"), true
	return pages.DrawForm{Estate: *q.view.Estate, Draw: list.Items[i], Key: key(), Date: string(units.DayOf(q.site.Clock()))}, nil
}

func (s *site) drawForm(w http.ResponseWriter, q *request) error {
	f, err := q.oneDraw()
	if err != nil {
		return err
	}
	f.Done = q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.DrawPayments(q.view, f))
}

// payDraw records a payment out of a draw, or takes one back.
func (s *site) payDraw(w http.ResponseWriter, q *request) error {
	f, err := q.oneDraw()
	if err != nil {
		return err
	}
	step := q.PostFormValue("do")
	f.Key, f.Number, f.Date = formKey(q), q.value("number"), q.value("date")
	f.Amount, f.Text, f.Counterparty, f.Reverses, f.Reason = q.value("amount"), q.value("text"), q.value("counterparty"), q.value("reverses"), q.value("reason")
	at := "/draws/" + client.Segment(f.Draw.ID)
	var done client.Recorded
	switch step {
	case "pay":
		amount, wrong := units.ParseFen(strings.ReplaceAll(f.Amount, ",", ""))
		if wrong != nil || amount <= 0 {
			err = problem.Invalid("amount", "the amount is wrong", wrongAmount)
			break
		}
		done, err = q.command(http.MethodPost, at+"/payments", f.Key, map[string]any{
			"number": f.Number, "date": f.Date, "amount_fen": amount, "text": f.Text, "counterparty": f.Counterparty,
		})
	case "reverse":
		done, err = q.command(http.MethodPost, at+"/reversals", f.Key, map[string]any{"number": f.Number, "reverses": f.Reverses, "date": f.Date, "reason": f.Reason})
	default:
		return problem.NotFound("no-such-step", "there is no such step")
	}
	if refused(err) {
		f.Failed, f.Problem, q.view.URI = step, explained(q, err), q.in(at)
		return q.render(w, f.Problem.Status, pages.DrawPayments(q.view, f))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.in(at+"?done=1"))
}
