package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// life reads what happened to a meeting, and the objections to its results.
func (q *request) life(at string) (client.Timeline, []client.Objection, error) {
	t, err := get[client.Timeline](q, at+"/timeline", nil)
	if err != nil || t.Posting == nil && len(t.Withdrawn) == 0 {
		return t, nil, err
	}
	list, err := get[client.List[client.Objection]](q, at+"/objections", nil)
	return t, list.Items, err
}

// deadlines reads the days that the rules give in the life of a meeting.
func (q *request) deadlines(at string) ([]client.Deadline, error) {
	list, err := get[client.List[client.Deadline]](q, at+"/deadlines", nil)
	return list.Items, err
}

// atDesk reads the desk of a meeting, for who holds meetings of the estate.
func (q *request) atDesk() (pages.DeskModel, error) {
	if err := q.loggedIn(); err != nil {
		return pages.DeskModel{}, err
	}
	m, err := q.oneMeeting()
	if err != nil {
		return pages.DeskModel{}, err
	}
	model := pages.DeskModel{Estate: *q.view.Estate, Meeting: m, Key: key(), Form: map[string]string{}}
	if !q.view.Reader.May(m.Estate, pages.DeskRoles...) {
		return model, problem.Forbidden("not-at-the-desk", "the desk is for those who hold the estate's meetings")
	}
	q.view.Title, q.view.Narrow = q.view.T("会议工作台", "Desk of the meeting"), true
	model.Timeline, model.Objections, err = q.life(q.of(""))
	if err != nil {
		return model, err
	}
	model.Deadlines, err = q.deadlines(q.of(""))
	return model, err
}

func (s *site) desk(w http.ResponseWriter, q *request) error {
	m, err := q.atDesk()
	if err != nil {
		return err
	}
	m.Done = q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.Desk(q.view, m))
}

// deskStep takes one step of a meeting: what the button says.
func (s *site) deskStep(w http.ResponseWriter, q *request) error {
	m, err := q.atDesk()
	if err != nil {
		return err
	}
	step := q.PostFormValue("do")
	for _, name := range []string{"closes", "reason", "reference", "objection", "answer"} {
		m.Form[name] = q.value(name)
	}
	if step == "read" {
		return s.readObjection(w, q, m)
	}
	path, body, err := deskCommand(step, m.Form)
	var done client.Recorded
	if err == nil {
		done, err = q.command(http.MethodPost, q.of(path), formKey(q), body)
	}
	if refused(err) {
		m.Failed, m.Problem, q.view.URI = step, explained(q, err), q.of("/desk")
		return q.render(w, m.Problem.Status, pages.Desk(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/desk?done=1"))
}

// readObjection shows an owner's words; that they were read is recorded.
func (s *site) readObjection(w http.ResponseWriter, q *request, m pages.DeskModel) error {
	id := m.Form["objection"]
	var err error
	if m.Words, err = q.objectionWords(q.of("/objections/" + client.Segment(id))); err != nil {
		return err
	}
	m.Read, q.view.URI = id, q.of("/desk")
	return q.render(w, http.StatusOK, pages.Desk(q.view, m))
}

// objectionWords reads the owner's words of an objection, or that nobody can.
func (q *request) objectionWords(at string) (string, error) {
	words, err := own[client.ObjectionWords](q, at+"/words")
	if words.Erased {
		return q.view.T("这位业主已经注销，原话谁也看不到了。", "The owner's data was erased: nobody can read the words any more."), err
	}
	return words.Words, err
}

// deskCommand is the command that a button stands for: its path below the meeting,
// and its body.
func deskCommand(step string, form map[string]string) (path string, body any, err error) {
	instant := func(name string) *time.Time {
		t, failed := time.ParseInLocation("2006-01-02T15:04", form[name], units.Shanghai)
		if failed != nil && err == nil {
			err = problem.Invalid("time-wrong", "that is no time", problem.Field{Name: name, Code: "not-a-time", Detail: "is no date and time"})
		}
		return &t
	}
	type object = map[string]any
	switch step {
	case "extend":
		return "/extension", object{"closes": instant("closes")}, err
	case "complete":
		return "/entry-completed", nil, nil
	case "post":
		return "/posting", object{}, nil
	case "final":
		return "/final", nil, nil
	case "file":
		return "/filing", object{"reference": form["reference"]}, nil
	case "cancel":
		return "/cancellation", object{"reason": form["reason"]}, nil
	case "withdraw":
		body := object{"reason": form["reason"]}
		if form["objection"] != "" {
			body["objection"] = form["objection"]
		}
		return "/withdrawal", body, nil
	case "uphold", "reject":
		return "/objections/" + url.PathEscape(form["objection"]) + "/answer", object{"upheld": step == "uphold", "answer": form["answer"]}, nil
	}
	return "", nil, problem.NotFound("no-such-step", "there is no such step")
}

// objection is the form by which an owner objects to a result.
func (s *site) objection(w http.ResponseWriter, q *request) error {
	form, err := q.objecting()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.Object(q.view, form))
}

func (q *request) objecting() (pages.ObjectForm, error) {
	if err := q.loggedIn(); err != nil {
		return pages.ObjectForm{}, err
	}
	m, err := q.oneMeeting()
	if err != nil {
		return pages.ObjectForm{}, err
	}
	q.view.Title, q.view.Narrow = q.view.T("对结果提出异议", "Object to the result"), true
	t, _, err := q.life(q.of(""))
	return pages.ObjectForm{Meeting: m, Until: t.Posting, Key: key()}, err
}

func (s *site) object(w http.ResponseWriter, q *request) error {
	form, err := q.objecting()
	if err != nil {
		return err
	}
	form.Key, form.Motion, form.Words = formKey(q), q.PostFormValue("motion"), q.value("words")
	body := map[string]any{"words": form.Words}
	if form.Motion != "" {
		body["motion"] = form.Motion
	}
	done, err := q.command(http.MethodPost, q.of("/objections"), form.Key, body)
	if contradicted(err) {
		form.Problem, q.view.URI = explained(q, err), q.of("/objection")
		return q.render(w, form.Problem.Status, pages.Object(q.view, form))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("#objections"))
}
