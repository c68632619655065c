package web

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

func (s *site) trusteesModel(q *request) (m pages.TrusteesModel, err error) {
	if m.Meeting, err = q.oneMeeting(); err != nil {
		return m, err
	}
	m.Trust, err = own[client.Trusteeship](q, q.of("/trustees"))
	q.view.Title = q.view.T("谁保管开票密钥", "Who keeps the ballots' key")
	return m, err
}

func (s *site) trustees(w http.ResponseWriter, q *request) error {
	m, err := s.trusteesModel(q)
	if err != nil {
		return err
	}
	if m.Meeting.Notice == nil && q.view.Reader.May(m.Meeting.Estate, pages.DeskRoles...) {
		m.Name = &pages.TrusteesForm{Key: key(), Needed: "2", Days: "15"}
		for i := range m.Name.Parties {
			m.Name.Parties[i] = pages.Parties[min(i, len(pages.Parties)-1)]
		}
	}
	return q.render(w, http.StatusOK, pages.Trustees(q.view, m))
}

func (s *site) nameTrustees(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	at := q.of("/trustees")
	form := &pages.TrusteesForm{Key: formKey(q), Needed: q.PostFormValue("needed"), Days: q.PostFormValue("days")}
	type trustee struct {
		Person string `json:"person"`
		Party  string `json:"party"`
	}
	var list []trustee
	for i := range form.People {
		form.People[i], form.Parties[i] = q.value(fmt.Sprint("person-", i)), q.value(fmt.Sprint("party-", i))
		if form.People[i] != "" {
			list = append(list, trustee{form.People[i], form.Parties[i]})
		}
	}
	needed, _ := strconv.Atoi(form.Needed)
	days, _ := strconv.Atoi(form.Days)
	done, err := q.command(http.MethodPost, at, form.Key, map[string]any{"trustees": list, "needed": needed, "days": days})
	if again(err) {
		m, failed := s.trusteesModel(q)
		if failed != nil {
			return failed
		}
		form.Problem = explained(q, err)
		m.Name, q.view.URI = form, at
		return q.render(w, form.Problem.Status, pages.Trustees(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, at)
}

// shareModel is the reader's own page; who is no trustee has none.
func (s *site) shareModel(w http.ResponseWriter, q *request) (m pages.ShareModel, err error) {
	if err := q.loggedIn(); err != nil {
		return m, err
	}
	w.Header().Set("Cache-Control", "no-store")
	of, err := s.trusteesModel(q)
	if err != nil {
		return m, err
	}
	i := slices.IndexFunc(of.Trust.Trustees, func(t client.Trustee) bool { return t.Own })
	if i < 0 {
		return m, problem.Forbidden("not-a-trustee", "you hold no share of this meeting's key")
	}
	m = pages.ShareModel{Meeting: of.Meeting, Trust: of.Trust, Own: of.Trust.Trustees[i], Key: key()}
	q.view.Title, q.view.Narrow, q.view.Live = q.view.T("我保管的一份", "My share"), true, ""
	if !m.Own.Taken {
		share, err := own[client.Share](q, q.of("/own-share"))
		if err != nil {
			return m, err
		}
		m.Share = share.Share
	}
	return m, nil
}

func (s *site) share(w http.ResponseWriter, q *request) error {
	m, err := s.shareModel(w, q)
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.OwnShare(q.view, m))
}

func (s *site) takeShare(w http.ResponseWriter, q *request) error {
	return s.ownShare(w, q, "/own-share/taken", "ending")
}

func (s *site) giveShare(w http.ResponseWriter, q *request) error {
	return s.ownShare(w, q, "/shares", "share")
}

// ownShare sends what a trustee typed, and shows their page again.
func (s *site) ownShare(w http.ResponseWriter, q *request, to, field string) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	typed := q.PostFormValue(field)
	done, err := q.command(http.MethodPost, q.of(to), formKey(q), map[string]any{field: typed})
	if again(err) {
		m, failed := s.shareModel(w, q)
		if failed != nil {
			return failed
		}
		m.Problem, m.Typed, q.view.URI = explained(q, err), typed, q.of("/share")
		return q.render(w, m.Problem.Status, pages.OwnShare(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/share"))
}
