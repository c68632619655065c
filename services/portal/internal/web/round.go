package web

import (
	"io"
	"net/http"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// maxList is how large a list of deliveries may be: tens of thousands of rows.
const maxList = 16 << 20

// deliverRound records a list of deliveries, and says row by row what became of it.
// Sent again it records nothing twice, so its answer is a page of its own.
func (s *site) deliverRound(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	m, err := q.oneMeeting()
	if err != nil {
		return err
	}
	file, header, err := q.FormFile("list")
	if err != nil {
		return problem.Invalid("form-wrong", "the list cannot be read; it may have 16 MB")
	}
	defer file.Close()
	list, err := io.ReadAll(io.LimitReader(file, maxList))
	if err != nil {
		return err
	}
	report, err := s.api.DeliverRound(q.Context(), q.mine(), m.Estate, m.ID, header.Filename, list)
	if err != nil {
		return err
	}
	if report.Position > q.who.Position {
		s.sessions.Put(q.Context(), keyPosition, report.Position)
	}
	code := http.StatusOK
	if report.Code != "" {
		code = http.StatusUnprocessableEntity
	}
	q.view.Title, q.view.URI, q.view.Live = q.view.T("登记表的结果", "What became of the list"), q.of("/delivery"), ""
	return q.render(w, code, pages.Round(q.view, pages.RoundModel{Meeting: m, Report: report}))
}
