package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/internal/pdf"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
	"github.com/yimu-ledger/yimu/services/portal/internal/print"
)

// sees are the roles that see to deliveries; the API asks again.
var sees = []string{"committee", "clerk", "administrator"}

// maxProof is how large a photograph may be whose hash is taken.
const maxProof = 32 << 20

func (q *request) deliveries() (pages.DeliveryModel, error) {
	m, err := q.oneMeeting()
	if err != nil {
		return pages.DeliveryModel{}, err
	}
	model := pages.DeliveryModel{
		Estate: *q.view.Estate, Meeting: m, Key: key(), Form: map[string]string{}, Today: units.DayOf(q.site.Clock()),
		Sees: q.view.Reader.May(m.Estate, sees...), Building: q.URL.Query().Get("building"),
	}
	q.view.Title, q.view.Figures = q.view.T("公告送达", "Delivery of the notice"), true
	if model.Telling, err = get[client.Telling](q, q.of("/telling"), nil); err != nil || !model.Sees {
		return model, err
	}
	for _, state := range []string{"failed", "untried"} { // who was tried in vain comes first
		ask := url.Values{"state": {state}, "limit": {strconv.Itoa(leftPerPage)}}
		if model.Building != "" {
			ask.Set("building", model.Building)
		}
		list, err := own[client.Deliveries](q, q.of("/deliveries?"+ask.Encode()))
		if err != nil {
			return model, err
		}
		model.List.Items = append(model.List.Items, list.Items...)
		model.List.Buildings = list.Buildings
		if list.Next != "" {
			model.List.Next = list.Next
		}
	}
	return model, nil
}

const leftPerPage = 200

func (s *site) delivery(w http.ResponseWriter, q *request) error {
	m, err := q.deliveries()
	if err != nil {
		return err
	}
	m.Done = q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.Deliveries(q.view, m))
}

// told records what a form of the board says. Of a picture only the hash is taken.
func (s *site) told(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	form, err := readForm(q.Request)
	if err != nil {
		return err
	}
	type object = map[string]any
	var path string
	var body object
	switch form.Get("do") {
	case "deliver":
		path, body = "/deliveries", object{"entry": form.Get("entry"), "channel": form.Get("channel"), "proof": form.Get("proof"), "warned": form.Get("warned") == "1"}
	case "fail":
		path, body = "/failed-deliveries", object{"entry": form.Get("entry"), "channel": form.Get("channel"), "why": form.Get("why"), "next": form.Get("next")}
	case "display":
		path, body = "/displays", object{"place": form.Get("place"), "photo": form.Get("photo"), "from": form.Get("from"), "until": form.Get("until"), "warned": form.Get("warned") == "1"}
	default:
		return problem.NotFound("no-such-step", "there is no such step")
	}
	done, err := q.command(http.MethodPost, q.of(path), keyOr(form.Get("key")), body)
	if refused(err) {
		m, failed := q.deliveries()
		if failed != nil {
			return failed
		}
		for name := range form {
			m.Form[name] = form.Get(name)
		}
		m.Failed, m.Problem, q.view.URI = form.Get("do"), explained(q, err), q.of("/delivery")
		return q.render(w, m.Problem.Status, pages.Deliveries(q.view, m))
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/delivery?done=1"))
}

// readForm reads a form with files, of which only the SHA-256 is kept, under the
// name of the field.
func readForm(r *http.Request) (url.Values, error) {
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, problem.Invalid("form-wrong", "the form cannot be read")
	}
	form := url.Values{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return form, nil
		}
		if err == nil {
			err = readPart(form, part)
		}
		if err != nil {
			return nil, problem.Invalid("form-wrong", "the form cannot be read; a picture may have 32 MB")
		}
	}
}

func readPart(form url.Values, part *multipart.Part) error {
	defer part.Close()
	if len(form) > 20 {
		return errors.New("too many fields")
	}
	if part.FileName() == "" {
		text, err := io.ReadAll(io.LimitReader(part, 4<<10))
		form.Set(part.FormName(), strings.TrimSpace(string(text)))
		return err
	}
	hash := sha256.New()
	if n, err := io.Copy(hash, part); err != nil || n == 0 {
		return err
	}
	form.Set(part.FormName(), hex.EncodeToString(hash.Sum(nil)))
	return nil
}

// notice is what is printed of a meeting.
func (q *request) notice(m client.Meeting) print.Notice {
	return print.Notice{Estate: q.view.Estate.Name, Meeting: m, Address: q.base(), Office: q.site.Operator.Contact}
}

// noticePDF is the notice for the board on the wall.
func (s *site) noticePDF(w http.ResponseWriter, q *request) error {
	m, err := q.oneMeeting()
	if err != nil {
		return err
	}
	if m.Notice == nil {
		return problem.NotFound("no-such-page", "the notice is not posted yet")
	}
	return writePDF(w, m.Title+" 公告.pdf", func(out io.Writer) error {
		d := pdf.New(out, pdf.Info{Title: m.Title, Made: s.Clock()})
		q.notice(m).Post(d)
		return d.Close()
	})
}

// letters are the letters with the notice, one to each owner. They are set while
// they are made, so that a whole estate takes no more memory than one.
func (s *site) letters(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	m, err := q.oneMeeting()
	if err != nil {
		return err
	}
	body := map[string]any{"building": strings.TrimSpace(q.PostFormValue("building")), "entry": strings.TrimSpace(q.PostFormValue("entry")), "names": q.PostFormValue("names") == "1"}
	return writePDF(w, m.Title+" 通知信.pdf", func(out io.Writer) error {
		var d *pdf.Document
		notice := q.notice(m)
		err := client.New(client.Piped(s.API)).Letters(q.Context(), q.mine(), m.ID, key(), body, func(l client.Letter) error {
			if d == nil {
				d = pdf.New(out, pdf.Info{Title: m.Title, Made: s.Clock()})
			}
			notice.Letter(d, l)
			if l.Number%1000 == 0 {
				s.Log.InfoContext(q.Context(), "letters", slog.String("meeting", m.ID), slog.Int("done", l.Number), slog.Int("total", l.Of))
			}
			return d.Err()
		})
		if err != nil || d == nil {
			return err
		}
		return d.Close()
	})
}

// writePDF writes a file, or no part of one: an error before it begins is a page.
func writePDF(w http.ResponseWriter, name string, set func(io.Writer) error) error {
	out := &pdfWriter{ResponseWriter: w, name: name}
	err := set(out)
	if err != nil && out.begun {
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
	return err
}

type pdfWriter struct {
	http.ResponseWriter
	name  string
	begun bool
}

func (w *pdfWriter) Write(b []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.Header().Set("Content-Type", "application/pdf")
		w.Header().Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": w.name}))
	}
	return w.ResponseWriter.Write(b)
}

// codeForm is where a QR code leads. The code stands behind the # of the address,
// so no server and no log ever sees it there.
func (s *site) codeForm(w http.ResponseWriter, q *request) error {
	return s.askCode(w, q, http.StatusOK, nil)
}

func (s *site) askCode(w http.ResponseWriter, q *request, code int, wrong *pages.Problem) error {
	m, err := q.oneMeeting()
	if err != nil {
		return err
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Cache-Control", "no-store")
	q.view.Title, q.view.Narrow, q.view.URI, q.view.Live = q.view.T("凭投票码投票", "Vote by code"), true, q.of("/code"), ""
	q.view.Scripts = []string{"code.js"}
	return q.render(w, code, pages.Code(q.view, pages.CodeForm{Meeting: m, Estate: *q.view.Estate, Problem: wrong}))
}

// openBallot exchanges a code for a session that votes in this meeting and does
// nothing else.
func (s *site) openBallot(w http.ResponseWriter, q *request) error {
	ctx, id := q.Context(), q.PathValue("meeting")
	person, token, err := s.api.OpenBallot(ctx, id, q.value("code"))
	if err != nil {
		code := status(err)
		if code == 0 || code >= http.StatusInternalServerError {
			return err
		}
		return s.askCode(w, q, http.StatusUnprocessableEntity, codeProblem(q, err))
	}
	if err := s.sessions.RenewToken(ctx); err != nil {
		return err
	}
	s.sessions.Put(ctx, keyPerson, person)
	s.sessions.Put(ctx, keyToken, token)
	s.sessions.Put(ctx, keyMeeting, id)
	s.sessions.Remove(ctx, keyPosition)
	s.sessions.Remove(ctx, keyReader)
	http.Redirect(w, q.Request, q.of("/ballot"), http.StatusSeeOther)
	return nil
}

// codeProblem says in plain words why a code opens nothing.
func codeProblem(q *request, err error) *pages.Problem {
	p := &pages.Problem{Status: http.StatusUnprocessableEntity, Do: q.view.T("可以登录投票，领取纸质票，或者请业委会重新打印一封信。", "Log in, ask for a paper ballot, or have the letter printed again.")}
	refusal, _ := problem.From(err)
	switch refusal.Code {
	case "code-used":
		p.What, p.Then = q.view.T("这个投票码已经用过了。", "This code was used already."), q.view.T("每个码只能用一次。如果不是你用的，请马上告诉业委会。", "Each works once. If it was not you, tell the committee now.")
	case "code-expired":
		p.What, p.Then = q.view.T("投票已经截止。", "Voting is over."), q.view.T("投票码也就到期了。", "The code ended with it.")
	case "code-elsewhere":
		p.What, p.Then = q.view.T("这个投票码是另一次会议的。", "This code is for another meeting."), q.view.T("请用这一次会议的信。", "Use the letter of this meeting.")
	default:
		p.What, p.Then = q.view.T("这个投票码用不了。", "This code does not work."), q.view.T("可能抄错了，或者后来又打印过新的信，旧码作废了。", "It may be mistyped, or a newer letter has taken its place.")
	}
	return p
}

// confirmNotice records that an owner has read the notice, because they say so.
func (s *site) confirmNotice(w http.ResponseWriter, q *request) error {
	if err := q.loggedIn(); err != nil {
		return err
	}
	done, err := q.command(http.MethodPost, q.of("/confirmations"), formKey(q), nil)
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("?read=1"))
}
