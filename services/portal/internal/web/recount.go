package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// recounting reads where a ballot is set aside, with the ballots of an entry.
func (q *request) recounting(entry string) (pages.RecountModel, error) {
	desk, err := q.atDesk()
	m := pages.RecountModel{Meeting: desk.Meeting, Timeline: desk.Timeline, Objections: desk.Objections, Key: key(), Form: map[string]string{"entry": entry}}
	q.view.Title = q.view.T("重新计票", "Count anew")
	number, failed := strconv.Atoi(entry)
	if err != nil || len(m.Upheld()) == 0 || failed != nil || number < 1 {
		return m, err
	}
	list, err := get[client.List[client.PostedBallot]](q, q.of("/ballots"), url.Values{"after": {strconv.Itoa(number - 1)}, "limit": {"1"}})
	m.Ballots = slices.DeleteFunc(list.Items, func(b client.PostedBallot) bool { return b.Entry != entry || b.Reason != "" })
	return m, err
}

func (s *site) recount(w http.ResponseWriter, q *request) error {
	m, err := q.recounting(q.URL.Query().Get("entry"))
	if err != nil {
		return err
	}
	m.Done = q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.Recount(q.view, m))
}

// recountStep sets a ballot aside, or restores it.
func (s *site) recountStep(w http.ResponseWriter, q *request) error {
	m, err := q.recounting(q.value("entry"))
	if err != nil {
		return err
	}
	for _, name := range []string{"ballot", "objection", "earlier", "reason"} {
		m.Form[name] = q.value(name)
	}
	body := map[string]any{"entry": m.Form["entry"], "objection": m.Form["objection"], "reason": m.Form["reason"]}
	at := q.of("/ballots/" + client.Segment(m.Form["ballot"]))
	switch q.PostFormValue("do") {
	case "aside":
		at += "/set-aside"
		if m.Form["earlier"] != "" {
			body["earlier"] = m.Form["earlier"]
		}
	case "restore":
		at += "/restoration"
	default:
		return problem.NotFound("no-such-step", "there is no such step")
	}
	m.Key = formKey(q)
	done, err := q.command(http.MethodPost, at, m.Key, body)
	if refused(err) {
		m.Problem, q.view.URI = explained(q, err), q.of("/recount")
		return q.render(w, m.Problem.Status, pages.Recount(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/recount?done=1"))
}
