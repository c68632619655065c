package web

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// chosen reads the choices of a form by motion; void are those that say nothing.
func (q *request) chosen(m client.Meeting) (said map[string]string, choices []client.Choice, void []string) {
	said = map[string]string{}
	for _, motion := range m.Motions {
		if q.PostFormValue("choice-"+motion.ID) == votes.Void {
			said[motion.ID] = votes.Void
			void = append(void, motion.ID)
			continue
		}
		for _, c := range pages.Asked(motion) {
			switch c.Choice = q.PostFormValue("choice-" + pages.AnswerKey(c)); c.Choice {
			case votes.Yes, votes.No, votes.Abstain:
				said[pages.AnswerKey(c)] = c.Choice
				choices = append(choices, c)
			}
		}
	}
	return said, choices, void
}

// desk reads what waits. Only those who enter or void may.
func (q *request) papers() (m pages.PaperModel, err error) {
	if m.Meeting, err = q.oneMeeting(); err != nil {
		return m, err
	}
	if err := q.loggedIn(); err != nil {
		return m, err
	}
	m.Papers, err = own[client.Papers](q, q.of("/papers"))
	reader := q.view.Reader
	m.Clerk = reader.May(m.Meeting.Estate, "clerk", "administrator")
	m.May = reader.May(m.Meeting.Estate, "committee", "principal")
	m.Key = key()
	q.view.Title, q.view.Live, q.view.URI = q.view.T("纸质票录入", "Paper desk"), "", q.of("/papers")
	q.view.Scripts = []string{"scan.js"}
	return m, err
}

func (s *site) paperDesk(w http.ResponseWriter, q *request) error {
	m, err := q.papers()
	if err != nil {
		return err
	}
	m.Recorded, m.Differ, m.Channel = q.URL.Query().Get("done"), q.URL.Query().Get("differ"), q.URL.Query().Get("channel")
	return q.render(w, http.StatusOK, pages.PaperDesk(q.view, m))
}

// atThePapers gives a command at the desk, and shows the desk again.
func (q *request) atThePapers(w http.ResponseWriter, path string, body any, done url.Values) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	recorded, err := q.command(http.MethodPost, q.of(path), formKey(q), body)
	if answered(err) {
		m, failed := q.papers()
		if failed != nil {
			return failed
		}
		m.Problem, m.Unit, m.Channel = explained(q, err), q.value("unit"), q.value("channel")
		return q.render(w, m.Problem.Status, pages.PaperDesk(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, recorded, q.of("/papers?"+done.Encode()))
}

func (s *site) handIn(w http.ResponseWriter, q *request) error {
	channel := q.value("channel")
	return q.atThePapers(w, "/papers", map[string]any{"unit": q.value("unit"), "channel": channel, "by_proxy": q.value("proxy") != ""}, url.Values{"done": {"in"}, "channel": {channel}})
}

func (s *site) voidPaper(w http.ResponseWriter, q *request) error {
	return q.atThePapers(w, "/paper-ballots/void", map[string]any{"entry": q.value("entry"), "envelope": q.value("envelope"), "minutes": q.value("minutes")}, url.Values{"done": {"void"}})
}

func (s *site) completeEntry(w http.ResponseWriter, q *request) error {
	return q.atThePapers(w, "/entry-completed", nil, url.Values{"done": {"complete"}})
}

// reading finds the envelope that is to be entered.
func (q *request) reading() (f pages.ReadingForm, err error) {
	m, err := q.papers()
	if err != nil {
		return f, err
	}
	f = pages.ReadingForm{Meeting: m.Meeting, Key: key()}
	for _, e := range m.Papers.Items {
		if e.Envelope == q.PathValue("envelope") && e.Entry == q.PathValue("entry") {
			f.Envelope = e
			q.view.Title, q.view.Narrow, q.view.URI = q.view.T("录入纸质票", "Enter a paper"), true, q.of("/papers/"+client.Segment(e.Entry)+"/"+client.Segment(e.Envelope))
			return f, nil
		}
	}
	return f, problem.NotFound("no-envelope", "no such envelope waits")
}

func (s *site) readingForm(w http.ResponseWriter, q *request) error {
	f, err := q.reading()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.Reading(q.view, f))
}

func (s *site) enterPaper(w http.ResponseWriter, q *request) error {
	f, err := q.reading()
	if err != nil {
		return err
	}
	said, choices, void := q.chosen(f.Meeting)
	f.Key, f.Scan, f.Said = formKey(q), q.value("scan"), said
	done, err := q.command(http.MethodPost, q.of("/paper-ballots"), f.Key, map[string]any{
		"entry": f.Envelope.Entry, "envelope": f.Envelope.Envelope, "scan": f.Scan, "choices": choices, "void": void,
	})
	if answered(err) {
		f.Problem = explained(q, err)
		return q.render(w, f.Problem.Status, pages.Reading(q.view, f))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/papers?"+url.Values{"done": {done.Became}, "differ": {strings.Join(done.Disputed, " ")}}.Encode()))
}

// proxy is the form of a mandate, for an owner or for the office.
func (q *request) proxy() (f pages.ProxyForm, err error) {
	if f.Meeting, err = q.oneMeeting(); err != nil {
		return f, err
	}
	if err := q.loggedIn(); err != nil {
		return f, err
	}
	f.Office = q.view.Reader.May(f.Meeting.Estate, "clerk", "administrator") && q.FormValue("own") == ""
	f.Key = key()
	q.view.Title, q.view.Narrow, q.view.Live, q.view.URI = q.view.T("委托投票", "Vote by proxy"), true, "", q.of("/proxy")
	q.view.Scripts = []string{"scan.js"}
	return f, nil
}

func (s *site) proxyForm(w http.ResponseWriter, q *request) error {
	f, err := q.proxy()
	if err != nil {
		return err
	}
	f.Done = q.URL.Query().Get("done")
	return q.render(w, http.StatusOK, pages.Proxy(q.view, f))
}

func (s *site) grantProxy(w http.ResponseWriter, q *request) error {
	f, err := q.proxy()
	if err != nil {
		return err
	}
	var choices []client.Choice
	f.Said, choices, _ = q.chosen(f.Meeting)
	f.Key, f.Unit, f.HolderUnit, f.HolderDocument, f.Document = formKey(q), q.value("unit"), q.value("holder_unit"), q.value("holder_document"), q.value("document")
	body := map[string]any{"holder_unit": f.HolderUnit, "instructions": choices}
	if f.Office {
		body["unit"], body["holder_document"], body["document"] = f.Unit, f.HolderDocument, f.Document
	}
	return q.mandate(w, f, "/proxies", "granted", body)
}

func (s *site) revokeProxy(w http.ResponseWriter, q *request) error {
	f, err := q.proxy()
	if err != nil {
		return err
	}
	body := map[string]any{}
	if f.Key, f.Unit = formKey(q), q.value("unit"); f.Office {
		body["unit"], body["document"] = f.Unit, q.value("document")
	}
	return q.mandate(w, f, "/proxies/revoked", "revoked", body)
}

func (q *request) mandate(w http.ResponseWriter, f pages.ProxyForm, path, done string, body any) error {
	recorded, err := q.command(http.MethodPost, q.of(path), f.Key, body)
	if answered(err) {
		f.Problem = explained(q, err)
		return q.render(w, f.Problem.Status, pages.Proxy(q.view, f))
	}
	if err != nil {
		return err
	}
	return q.after(w, recorded, q.of("/proxy?done="+done))
}

// proxyBallot is the ballot that the holder of a mandate casts.
func (q *request) proxyBallot() (f pages.ProxyBallotForm, err error) {
	if f.Meeting, err = q.oneMeeting(); err != nil {
		return f, err
	}
	if err := q.loggedIn(); err != nil {
		return f, err
	}
	list, err := own[client.List[client.OwnProxy]](q, "/me/proxies")
	if err != nil {
		return f, err
	}
	q.view.Title, q.view.Narrow, q.view.Live = q.view.T("代为投票", "Vote by proxy"), true, ""
	for _, p := range list.Items {
		if p.Meeting == f.Meeting.ID && p.Entry == q.PathValue("entry") && p.Holder && p.State == "granted" {
			f.Entry, f.Units, f.Key = p.Entry, p.Units, key()
			q.view.URI = q.of("/proxy/" + client.Segment(p.Entry))
			return f, nil
		}
	}
	return f, problem.NotFound("no-mandate", "you hold no such mandate")
}

func (s *site) proxyBallotForm(w http.ResponseWriter, q *request) error {
	f, err := q.proxyBallot()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.ProxyBallot(q.view, f))
}

func (s *site) castByProxy(w http.ResponseWriter, q *request) error {
	f, err := q.proxyBallot()
	if err != nil {
		return err
	}
	var choices []client.Choice
	f.Choices, choices, _ = q.chosen(f.Meeting)
	f.Key = formKey(q)
	done, err := q.command(http.MethodPost, q.of("/proxy-ballots"), f.Key, map[string]any{"entry": f.Entry, "choices": choices})
	if answered(err) {
		f.Problem = explained(q, err)
		return q.render(w, f.Problem.Status, pages.ProxyBallot(q.view, f))
	}
	if err != nil {
		return err
	}
	return q.receiptOf(w, done)
}
