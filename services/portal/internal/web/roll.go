package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// rollPage is how many entries of a roll one page shows.
const rollPage = 100

// readRoll reads the roll of a meeting, as far as the address asks for it.
func (q *request) readRoll() (pages.RollModel, error) {
	m, err := q.oneMeeting()
	if err != nil {
		return pages.RollModel{}, err
	}
	model := pages.RollModel{Meeting: m, Unit: strings.TrimSpace(q.URL.Query().Get("unit")), Key: key(), Form: map[string]string{}}
	q.view.Title = q.view.T("业主名册", "Roll of owners")
	if m.Roll == nil {
		return model, nil
	}
	q.view.Files = []pages.Link{{Href: q.of("/roll.csv"), Text: q.view.T("名册（无姓名）", "Roll, no names"), Now: true}}
	ask := url.Values{"limit": {strconv.Itoa(rollPage)}}
	if model.Unit != "" {
		ask.Set("unit", model.Unit)
	}
	if after := q.URL.Query().Get("after"); after != "" {
		ask.Set("after", after)
	}
	entries, err := get[client.List[client.RollEntry]](q, q.of("/roll"), ask)
	if err != nil {
		return model, err
	}
	model.Entries, model.Next = entries.Items, string(entries.Next)
	amendments, err := get[client.List[client.Amendment]](q, q.of("/amendments"), nil)
	if err != nil {
		return model, err
	}
	objections, err := get[client.List[client.RollObjection]](q, q.of("/roll-objections"), nil)
	model.Amendments, model.Objections = amendments.Items, objections.Items
	return model, err
}

func (s *site) roll(w http.ResponseWriter, q *request) error {
	m, err := q.readRoll()
	if err != nil {
		return err
	}
	m.Done = q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.Roll(q.view, m))
}

// rollStep reads, answers or withdraws an objection: what the button says.
func (s *site) rollStep(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	m, err := q.readRoll()
	if err != nil {
		return err
	}
	m.Form["objection"], m.Form["answer"] = q.PostFormValue("objection"), q.value("answer")
	at := q.of("/roll-objections/" + client.Segment(m.Form["objection"]))
	var done client.Recorded
	switch step := q.PostFormValue("do"); step {
	case "read":
		if m.Words, err = q.objectionWords(at); err != nil {
			return err
		}
		m.Read, q.view.URI = m.Form["objection"], q.of("/roll")
		return q.render(w, http.StatusOK, pages.Roll(q.view, m))
	case "uphold", "reject":
		done, err = q.command(http.MethodPost, at+"/answer", formKey(q), map[string]any{"upheld": step == "uphold", "answer": m.Form["answer"]})
	case "withdraw":
		done, err = q.command(http.MethodPost, at+"/withdraw", formKey(q), nil)
	default:
		err = problem.NotFound("no-such-step", "there is no such step")
	}
	if refused(err) {
		m.Problem, q.view.URI = explained(q, err), q.of("/roll")
		return q.render(w, m.Problem.Status, pages.Roll(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/roll?done=1#objections"))
}

// rollObjecting is the form by which an owner objects to a roll.
func (q *request) rollObjecting() (pages.RollObjectForm, error) {
	if err := q.loggedIn(); err != nil {
		return pages.RollObjectForm{}, err
	}
	m, err := q.oneMeeting()
	q.view.Title, q.view.Narrow = q.view.T("对名册提出异议", "Object to the roll"), true
	return pages.RollObjectForm{Meeting: m, Key: key()}, err
}

func (s *site) rollObjection(w http.ResponseWriter, q *request) error {
	form, err := q.rollObjecting()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.ObjectToRoll(q.view, form))
}

func (s *site) objectToRoll(w http.ResponseWriter, q *request) error {
	form, err := q.rollObjecting()
	if err != nil {
		return err
	}
	form.Key, form.Unit, form.Words = formKey(q), q.value("unit"), q.value("words")
	done, err := q.command(http.MethodPost, q.of("/roll-objections"), form.Key, map[string]any{"unit": form.Unit, "words": form.Words})
	if contradicted(err) {
		form.Problem, q.view.URI = explained(q, err), q.of("/roll/objection")
		return q.render(w, form.Problem.Status, pages.ObjectToRoll(q.view, form))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/roll?done=1#objections"))
}
