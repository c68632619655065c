package web

import (
	"log/slog"
	"net/http"
	"slices"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// followed asks what became of a meeting's decisions. Where a service does not
// answer, it is not said.
func (s *site) followed(q *request, m client.Meeting) (list []client.Followed) {
	final := m.State == "final" || m.State == "filed"
	if !final || q.view.At != 0 || !slices.ContainsFunc(m.Motions, func(m client.Motion) bool { return m.Effect != nil }) {
		return nil
	}
	for _, path := range []string{"/agreements/decisions", "/draws/decisions"} {
		all, err := get[client.List[client.Followed]](q, "/estates/"+client.Segment(m.Estate)+path, nil)
		if err != nil {
			s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("part", path), slog.Any("error", err))
			continue
		}
		for _, f := range all.Items {
			if f.Meeting == m.ID {
				list = append(list, f)
			}
		}
	}
	return list
}

// decisions shows what owners decided about providers and money, and what became of
// it.
func (s *site) decisions(w http.ResponseWriter, q *request) error {
	e, err := q.estate(q.PathValue("estate"), "estate")
	if err != nil {
		return err
	}
	at := "/estates/" + client.Segment(e.ID)
	m := pages.DecisionsModel{Estate: *q.view.Estate}
	agreements, err := get[client.List[client.Agreement]](q, at+"/agreements", nil)
	if err != nil {
		return err
	}
	m.Agreements = agreements.Items
	draws, err := get[client.List[client.Draw]](q, at+"/draws", nil)
	if err != nil {
		return err
	}
	m.Draws = draws.Items
	for _, path := range []string{"/agreements/decisions", "/draws/decisions"} {
		followed, err := get[client.List[client.Followed]](q, at+path, nil)
		if err != nil {
			return err
		}
		m.Followed = append(m.Followed, followed.Items...)
	}
	q.view.Title, q.view.Figures = q.view.T("业主决定的事", "What owners decided"), true
	return q.render(w, http.StatusOK, pages.Decisions(q.view, m))
}
