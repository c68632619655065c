package web

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// maxRules is how large the form with rules of procedure may be, in bytes: their
// text twice, pasted and as a file, and the lines.
const maxRules = 4 << 20

// adopting opens the form of an estate's rules for who may adopt them.
func (q *request) adopting() (m pages.AdoptModel, err error) {
	if err := q.loggedIn(); err != nil {
		return m, err
	}
	e, err := q.estate(q.PathValue("estate"), "meetings")
	if err != nil {
		return m, err
	}
	if !q.view.Reader.May(e.ID, pages.DeskRoles...) {
		return m, problem.Forbidden("not-at-the-desk", "rules are adopted by those who hold meetings")
	}
	q.view.Title, q.view.Narrow, q.view.Live = q.view.T("登记议事规则", "Adopt rules of procedure"), true, ""
	m = pages.AdoptModel{Estate: *q.view.Estate, Today: units.DayOf(q.site.Clock()), Key: key(), Own: map[string]pages.OwnLine{}}
	m.From = string(m.Today)
	if m.Rules, err = get[client.Rules](q, q.in("/rules"), nil); err != nil {
		return m, err
	}
	sets, err := get[client.List[client.RuleSet]](q, "/rules", nil)
	m.Places = slices.DeleteFunc(sets.Items, func(s client.RuleSet) bool { return s.Kind != "local" })
	m.Base = m.Adopted()
	return m, err
}

func (s *site) adoptForm(w http.ResponseWriter, q *request) error {
	m, err := q.adopting()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.Adopt(q.view, m))
}

func (s *site) adopt(w http.ResponseWriter, q *request) error {
	m, err := q.adopting()
	if err != nil {
		return err
	}
	if err := q.ParseMultipartForm(maxRules); err != nil {
		return problem.Invalid("form-wrong", "the form cannot be read")
	}
	m.Key, m.From, m.Base = formKey(q), q.value("from"), q.value("base")
	if m.Document, err = document(q); err != nil {
		return err
	}
	for _, name := range pages.Adoptable() {
		if own := (pages.OwnLine{Value: q.value("line-" + name), Article: q.value("article-" + name)}); own != (pages.OwnLine{}) {
			m.Own[name] = own
		}
	}
	body := m.Body()
	var done client.Recorded
	if wrong := m.Missing(); len(wrong) > 0 {
		err = problem.Invalid("rules-wrong", "the rules cannot be adopted as they are stated", wrong...)
	} else {
		done, err = q.command(http.MethodPost, q.in("/rules"), m.Key, body)
	}
	if answered(err) {
		m.Problem, q.view.URI = explained(q, err), q.in("/rules/adopt")
		return q.render(w, m.Problem.Status, pages.Adopt(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.in("/rules?done=1"))
}

// document is the text of the rules: that of a file where one was chosen. Files of
// older systems are in GB18030.
func document(q *request) (string, error) {
	text := strings.TrimSpace(strings.ReplaceAll(q.PostFormValue("document"), "\r\n", "\n"))
	file, _, err := q.FormFile("file")
	if errors.Is(err, http.ErrMissingFile) {
		return text, nil
	}
	if err != nil {
		return "", problem.Invalid("form-wrong", "the file cannot be read")
	}
	defer file.Close()
	read, err := io.ReadAll(io.LimitReader(file, maxRules))
	if err != nil || len(read) == 0 {
		return text, err
	}
	if !utf8.Valid(read) {
		if read, err = simplifiedchinese.GB18030.NewDecoder().Bytes(read); err != nil {
			return "", problem.Invalid("not-a-text", "the file is no text")
		}
	}
	return strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(string(read), "\r\n", "\n"), "\ufeff")), nil
}
