package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// keyPlan is where a session keeps the meeting that is being set up, by estate.
const keyPlan = "plan-"

// plan is the meeting that the reader is setting up in an estate.
func (q *request) plan(estate string) (p pages.Plan) {
	// What cannot be read is begun anew.
	_ = json.Unmarshal(q.site.sessions.GetBytes(q.Context(), keyPlan+estate), &p)
	if p.Key == "" {
		p.Key = key()
	}
	return p
}

func (q *request) keep(estate string, p pages.Plan) {
	if encoded, err := json.Marshal(p); err == nil {
		q.site.sessions.Put(q.Context(), keyPlan+estate, encoded)
	}
}

// convening reads what every step before the draft needs, for who may call meetings.
func (q *request) convening() (m pages.ConveneModel, err error) {
	if err := q.loggedIn(); err != nil {
		return m, err
	}
	e, err := q.estate(q.PathValue("estate"), "meetings")
	if err != nil {
		return m, err
	}
	m.Estate, m.Today = *q.view.Estate, units.DayOf(q.site.Clock())
	if !q.view.Reader.May(e.ID, pages.DeskRoles...) {
		return m, problem.Forbidden("not-at-the-desk", "meetings are called by those who hold them")
	}
	q.view.Title, q.view.Narrow = q.view.T("筹备业主大会", "Set a meeting up"), true
	q.view.Live = ""
	m.Rules, err = get[client.Rules](q, q.in("/rules"), nil)
	m.Plan = q.plan(e.ID)
	m.Complete()
	return m, err
}

// to leads on to a page of this site.
func (q *request) to(w http.ResponseWriter, address string) error {
	http.Redirect(w, q.Request, local(address), http.StatusSeeOther)
	return nil
}

// under lists the meetings that have no notice yet.
func (q *request) under(estate string) ([]client.Meeting, error) {
	list, err := get[client.List[client.Meeting]](q, "/estates/"+client.Segment(estate)+"/meetings", nil)
	return slices.DeleteFunc(list.Items, func(m client.Meeting) bool { return m.Past || m.State != "drafted" && m.State != "frozen" }), err
}

func (s *site) convene(w http.ResponseWriter, q *request) error {
	m, err := q.convening()
	if err != nil {
		return err
	}
	if m.Under, err = q.under(m.Estate.ID); err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.ConveneMeeting(q.view, m))
}

func (s *site) conveneMeeting(w http.ResponseWriter, q *request) error {
	m, err := q.convening()
	if err != nil {
		return err
	}
	m.Plan.Kind, m.Plan.Convener, m.Plan.Title = chosen(q.value("kind"), votes.Kinds), chosen(q.value("convener"), votes.Conveners), q.short("title")
	m.Plan.Asked = q.value("asked_by_owners") == "yes" && m.Plan.Kind == votes.Special
	q.keep(m.Estate.ID, m.Plan)
	if len([]rune(m.Plan.Title)) > 200 {
		m.Wrong = []problem.Field{{Name: "title", Code: "too-long", Detail: "is longer than 200 characters"}}
		if m.Under, err = q.under(m.Estate.ID); err != nil {
			return err
		}
		return q.wrong(w, &m, "/convene", pages.ConveneMeeting)
	}
	return q.to(w, q.in("/convene/motions"))
}

// chosen is a choice of a list, and its first where it is none.
func chosen(said string, of []string) string {
	if slices.Contains(of, said) {
		return said
	}
	return of[0]
}

// short is what was typed into a field, as far as a plan keeps it.
func (q *request) short(name string) string {
	text := q.value(name)
	if len(text) > pages.MostTyped {
		text = strings.ToValidUTF8(text[:pages.MostTyped], "")
	}
	return text
}

// page is a step of setting a meeting up.
type page func(pages.View, pages.ConveneModel) templ.Component

// wrong shows a step once more, with what is wrong beside each field.
func (q *request) wrong(w http.ResponseWriter, m *pages.ConveneModel, rest string, show page) error {
	if m.Problem == nil {
		m.Problem = explained(q, problem.Invalid("plan-wrong", "the meeting cannot be held as it is described"))
	}
	q.view.URI = q.in(rest)
	if m.Meeting.ID != "" {
		q.view.URI = q.of(rest)
	}
	return q.render(w, m.Problem.Status, show(q.view, *m))
}

func (s *site) conveneMotions(w http.ResponseWriter, q *request) error {
	m, err := q.convening()
	if err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.ConveneMotions(q.view, m))
}

// changeMotions takes a motion off the agenda, moves one, or goes on.
func (s *site) changeMotions(w http.ResponseWriter, q *request) error {
	m, err := q.convening()
	if err != nil {
		return err
	}
	list := m.Plan.Motions
	at, err := strconv.Atoi(q.PostFormValue("at"))
	there := err == nil && at >= 0 && at < len(list)
	switch step := q.PostFormValue("do"); {
	case step == "next" && len(list) > 0:
		return q.to(w, q.in("/convene/days"))
	case step == "remove" && there:
		m.Plan.Motions = slices.Delete(list, at, at+1)
	case step == "up" && there && at > 0:
		list[at-1], list[at] = list[at], list[at-1]
	}
	q.keep(m.Estate.ID, m.Plan)
	return q.to(w, q.in("/convene/motions"))
}

// oneMotion opens the motion of the address, or a new one behind the last.
func (q *request) oneMotion() (m pages.ConveneModel, err error) {
	if m, err = q.convening(); err != nil {
		return m, err
	}
	n, err := strconv.Atoi(q.PathValue("motion"))
	if err != nil || n < 1 || n > len(m.Plan.Motions)+1 || n > pages.MostMotions {
		return m, problem.NotFound("no-such-page", "there is no such motion")
	}
	if m.At = n - 1; m.At < len(m.Plan.Motions) {
		m.Motion = m.Plan.Motions[m.At]
	}
	places, err := get[client.List[client.Place]](q, q.in("/scopes"), nil)
	if err != nil {
		return m, err
	}
	m.Places = places.Items
	deals, err := get[client.List[client.Agreement]](q, q.in("/agreements"), nil)
	m.Deals = slices.DeleteFunc(deals.Items, func(a client.Agreement) bool { return a.State == "ended" })
	return m, err
}

func (s *site) conveneMotion(w http.ResponseWriter, q *request) error {
	m, err := q.oneMotion()
	if err != nil {
		return q.instead(w, err)
	}
	return q.render(w, http.StatusOK, pages.ConveneMotion(q.view, m))
}

func (s *site) keepMotion(w http.ResponseWriter, q *request) error {
	m, err := q.oneMotion()
	if err != nil {
		return q.instead(w, err)
	}
	m.Motion = pages.PlannedMotion{
		Title: q.short("title"), Matter: q.short("matter"), Scope: q.short("scope"), Place: q.short("place"), Units: q.short("units"),
		Seats: q.short("seats"), Committee: q.short("committee"), Approves: q.short("approvals"), Candidates: q.short("candidates"),
		Effect: q.short("effect"), Agreement: q.short("agreement"), Amount: q.short("amount"), Direction: q.short("direction"), Category: q.short("category"), Period: q.short("year"),
	}
	if m.At == len(m.Plan.Motions) && m.Motion == (pages.PlannedMotion{Scope: "estate"}) && q.PostFormValue("do") == "back" {
		return q.to(w, q.in("/convene/motions")) // nothing was typed
	}
	m.Plan.Motions = append(m.Plan.Motions[:m.At:m.At], append([]pages.PlannedMotion{m.Motion}, m.Plan.Motions[min(m.At+1, len(m.Plan.Motions)):]...)...)
	q.keep(m.Estate.ID, m.Plan)
	if q.PostFormValue("do") != "back" {
		alone := m.Plan
		alone.Motions, alone.Opens, alone.Closes, alone.Notice = []pages.PlannedMotion{m.Motion}, "", "", ""
		if _, m.Wrong, err = q.check(m, alone); err != nil {
			return err
		}
		m.Wrong = slices.DeleteFunc(m.Wrong, func(f problem.Field) bool { return !strings.HasPrefix(f.Name, "motions[0].") })
		for i := range m.Wrong {
			m.Wrong[i].Name = strings.TrimPrefix(m.Wrong[i].Name, "motions[0].")
		}
		if len(m.Wrong) > 0 {
			return q.wrong(w, &m, "/convene/motions/"+strconv.Itoa(m.At+1), pages.ConveneMotion)
		}
	}
	return q.to(w, q.in("/convene/motions"))
}

// check asks the API what is wrong with a plan, and which days the rules leave.
func (q *request) check(m pages.ConveneModel, p pages.Plan) (client.Days, []problem.Field, error) {
	body, wrong := p.Check(m.Today)
	days, err := q.site.api.CheckMeeting(q.Context(), q.mine(), m.Estate.ID, body)
	if again(err) { // what it cannot even read
		refused, _ := problem.From(err)
		if len(refused.Fields) > 0 {
			return days, append(wrong, refused.Fields...), nil
		}
	}
	return days, append(wrong, days.Wrong...), err
}

// planned reads a step that needs motions, with what is wrong with the plan.
func (q *request) planned() (m pages.ConveneModel, err error) {
	if m, err = q.convening(); err == nil && len(m.Plan.Motions) == 0 {
		err = errNoMotions
	}
	return m, err
}

// errNoMotions is why a step of a plan cannot be opened: motions come first.
var errNoMotions = errors.New("web: no motion is planned")

// instead leads to the first step, where that is why a step failed: it lists the
// meetings that are drafted already.
func (q *request) instead(w http.ResponseWriter, err error) error {
	if errors.Is(err, errNoMotions) {
		return q.to(w, q.in("/convene"))
	}
	return err
}

// judge has the plan checked; days that nobody typed yet are proposed first.
func (q *request) judge(m *pages.ConveneModel) (err error) {
	if m.Plan.Opens == "" || m.Plan.Notice == "" || m.Plan.Closes == "" {
		if m.Days, _, err = q.check(*m, m.Plan); err != nil {
			return err
		}
		if !m.Days.Opens.IsZero() {
			m.Plan = m.Plan.Propose(m.Days)
			if m.Days, _, err = q.check(*m, m.Plan); err != nil {
				return err
			}
			m.Plan = m.Plan.ProposeClose(m.Days)
		}
	}
	m.Days, m.Wrong, err = q.check(*m, m.Plan)
	m.Days.Wrong = m.Wrong
	return err
}

func (s *site) conveneDays(w http.ResponseWriter, q *request) error {
	m, err := q.planned()
	if err == nil {
		err = q.judge(&m)
	}
	if err != nil {
		return q.instead(w, err)
	}
	m.Wrong = ofStep(m.Wrong)
	return q.render(w, http.StatusOK, pages.ConveneDays(q.view, m))
}

// ofStep leaves what is wrong with days and ways.
func ofStep(wrong []problem.Field) []problem.Field {
	return slices.DeleteFunc(wrong, func(f problem.Field) bool {
		return slices.Contains(pages.FirstStep, f.Name) || strings.HasPrefix(f.Name, "motions")
	})
}

func (s *site) keepDays(w http.ResponseWriter, q *request) error {
	m, err := q.planned()
	if err != nil {
		return q.instead(w, err)
	}
	p := &m.Plan
	p.Notice, p.Opens, p.Closes = q.short("notice"), q.short("opens"), q.short("closes")
	p.Secret, p.Trustees = q.value("secret") == "yes", q.value("trustees") == "yes"
	p.Revote, p.PaperAndElectronic, p.Parking, p.Unreturned = q.short("revote"), q.short("paper_and_electronic"), q.short("parking_counts_area"), q.short("unreturned")
	*p = p.Accept(q.PostFormValue("offer"))
	m.Complete()
	q.keep(m.Estate.ID, m.Plan)
	if q.PostFormValue("do") != "next" {
		return q.to(w, q.in("/convene/days"))
	}
	if m.Days, m.Wrong, err = q.check(m, m.Plan); err != nil {
		return err
	}
	m.Days.Wrong = m.Wrong
	if m.Wrong = ofStep(m.Wrong); len(m.Wrong) > 0 || m.Plan.Opens == "" || m.Plan.Closes == "" {
		return q.wrong(w, &m, "/convene/days", pages.ConveneDays)
	}
	return q.to(w, q.in("/convene/review"))
}

func (s *site) conveneReview(w http.ResponseWriter, q *request) error {
	m, err := q.planned()
	if err == nil {
		err = q.judge(&m)
	}
	if err != nil {
		return q.instead(w, err)
	}
	q.keep(m.Estate.ID, m.Plan) // with the days that were proposed, for they are what is read here
	return q.render(w, http.StatusOK, pages.ConveneReview(q.view, m))
}

// draft records the meeting. Sent twice, it is one meeting: its key is that of the plan.
func (s *site) draft(w http.ResponseWriter, q *request) error {
	m, err := q.planned()
	if err != nil {
		return q.instead(w, err)
	}
	done, err := q.command(http.MethodPost, q.in("/meetings"), m.Plan.Key, m.Plan.Draft(m.Today))
	if p, ok := problem.From(err); err != nil && ok && p.Code == "key-reused" { // a try that was not known to be recorded was
		m.Plan.Key = key()
		q.keep(m.Estate.ID, m.Plan)
	}
	if refused(err) {
		m.Problem = explained(q, err)
		if err := q.judge(&m); err != nil {
			return err
		}
		return q.wrong(w, &m, "/convene/review", pages.ConveneReview)
	}
	if err != nil {
		return err
	}
	if done.Pending != "" {
		return q.after(w, done, q.in("/convene/review"))
	}
	s.sessions.Remove(q.Context(), keyPlan+m.Estate.ID)
	return q.to(w, "/meetings/"+client.Segment(done.ID)+"/convene?done=1")
}

// announcing reads what the steps of a drafted meeting need.
func (q *request) announcing() (m pages.ConveneModel, err error) {
	if err := q.loggedIn(); err != nil {
		return m, err
	}
	if m.Meeting, err = q.oneMeeting(); err != nil {
		return m, err
	}
	m.Estate, m.Today, m.Key = *q.view.Estate, units.DayOf(q.site.Clock()), key()
	if !q.view.Reader.May(m.Estate.ID, pages.DeskRoles...) {
		return m, problem.Forbidden("not-at-the-desk", "meetings are called by those who hold them")
	}
	q.view.Title, q.view.Narrow, q.view.Live = q.view.T("筹备业主大会", "Set a meeting up"), true, ""
	if m.Rules, err = get[client.Rules](q, "/estates/"+client.Segment(m.Estate.ID)+"/rules", nil); err != nil {
		return m, err
	}
	if m.Trust, err = own[client.Trusteeship](q, q.of("/trustees")); err != nil {
		return m, err
	}
	disputes, err := get[client.List[client.RollObjection]](q, q.of("/roll-objections"), nil)
	m.Disputes, m.Plan = disputes.Items, pages.PlanOf(m.Meeting)
	return m, err
}

// announced says whether the meeting is past its notice, or given up: its desk shows it.
func announced(m client.Meeting) bool { return m.Past || m.State != "drafted" && m.State != "frozen" }

// foresee asks which days the rules leave to the drafted meeting.
func (q *request) foresee(m *pages.ConveneModel) error {
	ask := func() (err error) {
		query := url.Values{}
		var wrong []problem.Field
		opens, closes, _ := m.Plan.Days()
		for name, t := range map[string]time.Time{"opens": opens, "closes": closes} {
			if !t.IsZero() {
				query.Set(name, t.Format(time.RFC3339))
			}
		}
		for name, text := range map[string]string{"opens": m.Plan.Opens, "closes": m.Plan.Closes} {
			if text != "" && query.Get(name) == "" {
				wrong = append(wrong, problem.Field{Name: name, Code: "not-a-day", Detail: "is no day"})
			}
		}
		m.Days, err = get[client.Days](q, q.of("/days"), query)
		m.Days.Wrong = append(wrong, m.Days.Wrong...)
		return err
	}
	if m.Plan.Opens == "" || m.Plan.Closes == "" {
		if err := ask(); err != nil {
			return err
		}
		m.Plan = m.Plan.Propose(m.Days)
		if err := ask(); err != nil {
			return err
		}
		m.Plan = m.Plan.ProposeClose(m.Days)
	}
	if err := ask(); err != nil {
		return err
	}
	m.Wrong = m.Days.Wrong
	return nil
}

func (s *site) conveneRoll(w http.ResponseWriter, q *request) error {
	m, err := q.announcing()
	if err != nil {
		return err
	}
	if announced(m.Meeting) {
		return q.to(w, q.of("/desk"))
	}
	if err := q.foresee(&m); err != nil {
		return err
	}
	m.Wrong, m.Done = nil, q.URL.Query().Get("done") == "1"
	return q.render(w, http.StatusOK, pages.ConveneRoll(q.view, m))
}

// rollFrozen freezes the roll, or withdraws the draft to begin it anew.
func (s *site) freezeRoll(w http.ResponseWriter, q *request) error {
	m, err := q.announcing()
	if err != nil {
		return err
	}
	if q.PostFormValue("do") == "redo" {
		return q.redo(w, m)
	}
	if announced(m.Meeting) {
		return q.to(w, q.of("/desk"))
	}
	done, err := q.command(http.MethodPost, q.of("/roll"), formKey(q), nil)
	if refused(err) {
		m.Problem = explained(q, err)
		if err := q.foresee(&m); err != nil {
			return err
		}
		m.Wrong = nil
		return q.wrong(w, &m, "/convene", pages.ConveneRoll)
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/convene?done=1"))
}

// redo withdraws the draft of a meeting, and opens its motions to be drafted anew.
func (q *request) redo(w http.ResponseWriter, m pages.ConveneModel) error {
	if !announced(m.Meeting) {
		reason := "议题或者表决方式要修改，撤回重新拟定。"
		if _, err := q.command(http.MethodPost, q.of("/cancellation"), formKey(q), map[string]any{"reason": reason}); err != nil {
			return err
		}
	} else if m.Meeting.State != "withdrawn" {
		return q.to(w, q.of("/desk"))
	}
	m.Plan.Key = key()
	q.keep(m.Estate.ID, m.Plan)
	return q.to(w, "/estates/"+client.Segment(m.Estate.ID)+"/convene/motions")
}

func (s *site) conveneNotice(w http.ResponseWriter, q *request) error {
	m, err := q.announcing()
	if err != nil {
		return err
	}
	if announced(m.Meeting) {
		return q.to(w, q.of("/desk"))
	}
	if err := q.foresee(&m); err != nil {
		return err
	}
	return q.render(w, http.StatusOK, pages.ConveneNotice(q.view, m))
}

// postNotice posts the notice now, with the days of the form.
func (s *site) postNotice(w http.ResponseWriter, q *request) error {
	m, err := q.announcing()
	if err != nil {
		return err
	}
	if announced(m.Meeting) {
		return q.to(w, q.of("/desk"))
	}
	m.Plan.Opens, m.Plan.Closes = q.short("opens"), q.short("closes")
	m.Plan = m.Plan.Accept(q.PostFormValue("offer"))
	m.Key, m.Differs = formKey(q), map[string]string{}
	for i := range m.Meeting.Resting {
		m.Differs[pages.DiffersField(i)] = q.value(pages.DiffersField(i))
	}
	if q.PostFormValue("do") != "post" {
		if err := q.foresee(&m); err != nil {
			return err
		}
		m.Key = key()
		return q.render(w, http.StatusOK, pages.ConveneNotice(q.view, m))
	}
	body, err := m.Notice()
	var done client.Recorded
	if err == nil {
		done, err = q.command(http.MethodPost, q.of("/notice"), m.Key, body)
	}
	if refused(err) {
		m.Problem, m.Key = explained(q, err), key()
		if err := q.foresee(&m); err != nil {
			return err
		}
		return q.wrong(w, &m, "/convene/notice", pages.ConveneNotice)
	}
	if err != nil {
		return err
	}
	return q.after(w, done, q.of("/desk?done=1"))
}
