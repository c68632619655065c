package web

import (
	"net/http"

	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// rules shows by which rules an estate decides.
func (s *site) rules(w http.ResponseWriter, q *request) error {
	if err := q.lookBack(); err != nil {
		return err
	}
	e, err := q.estate(q.PathValue("estate"), "meetings")
	if err != nil {
		return err
	}
	rules, err := get[client.Rules](q, "/estates/"+client.Segment(e.ID)+"/rules", nil)
	if err != nil {
		return err
	}
	q.view.Title, q.view.Figures = q.view.T("表决规则", "Rules for deciding"), true
	return q.render(w, http.StatusOK, pages.EstateRules(q.view, pages.RulesModel{Estate: *q.view.Estate, Rules: rules, Done: q.URL.Query().Get("done") == "1"}))
}
