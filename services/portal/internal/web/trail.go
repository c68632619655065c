package web

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// foundPerPage is how many records a page of the search has.
const foundPerPage = 50

// trail searches the ledger. Its address holds all that was searched for.
func (s *site) trail(w http.ResponseWriter, q *request) error {
	in := q.URL.Query()
	value := func(name string) string { return strings.TrimSpace(in.Get(name)) }
	m := pages.TrailModel{Form: pages.TrailForm{
		Estate: value("estate"), Kind: value("kind"), Event: value("event"), Stream: value("stream"), Actor: value("actor"), About: value("about"),
		Since: value("since"), Until: value("until"),
	}}
	if value("by") == pages.ByHappened {
		m.Form.By = pages.ByHappened
	}
	q.view.Title = q.view.T("查账本", "Search the ledger")
	estates, err := get[client.List[client.Named]](q, "/estates", nil)
	if err != nil {
		s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "registry"), slog.Any("error", err))
	}
	m.Estates = estates.Items
	if log, err := get[client.Log](q, "/ledger/log", nil); err == nil {
		m.Log = &log
	} else {
		s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "ledger"), slog.Any("error", err))
	}
	ask, wrong := q.searched(m.Form)
	before := value("before")
	if before != "" {
		if _, err := strconv.ParseUint(before, 10, 63); err != nil {
			return problem.NotFound("no-such-page", "a leaf is a number")
		}
		ask.Set("before", before)
	}
	if len(wrong) > 0 {
		m.Problem = &pages.Problem{
			What:   q.view.T("这样查不了。", "This cannot be searched for."),
			Do:     q.view.T("请改一下标出的地方再查。", "Change what is marked and search again."),
			Fields: wrong,
		}
		return q.render(w, http.StatusUnprocessableEntity, pages.Trail(q.view, m))
	}
	found, answer, err := client.Get[client.FoundPage](q.Context(), s.api, q.who, "/ledger/search", ask)
	if err != nil {
		return err
	}
	q.note(answer)
	m.Items, m.Short = found.Items, found.Next != 0 && len(found.Items) < foundPerPage
	again := func(before uint64) string {
		more := url.Values{}
		for name, values := range in {
			if name != "before" && values[0] != "" {
				more[name] = values[:1]
			}
		}
		if before != 0 {
			more.Set("before", client.Number(before))
		}
		return "/trail?" + more.Encode() + "#found"
	}
	if found.Next != 0 {
		m.More = again(found.Next)
	}
	if before != "" {
		m.Begin = again(0)
	}
	return q.render(w, http.StatusOK, pages.Trail(q.view, m))
}

// searched turns what was typed into a question to the API, or says which fields
// nothing can be searched by.
func (q *request) searched(f pages.TrailForm) (ask url.Values, wrong []problem.Field) {
	ask = url.Values{"limit": {strconv.Itoa(foundPerPage)}}
	for _, field := range []struct{ name, to, value string }{
		{"estate", "estate", f.Estate}, {"kind", "type", f.Kind}, {"stream", "stream", f.Stream}, {"actor", "actor", f.Actor}, {"about", "about", f.About},
	} {
		switch {
		case field.value == "":
		case len(field.value) > 200 || !utf8.ValidString(field.value) || strings.ContainsFunc(field.value, unicode.IsControl):
			wrong = append(wrong, problem.Field{Name: field.name, Code: "not-an-id", Detail: "write an id as the ledger has it"})
		default:
			ask.Set(field.to, field.value)
		}
	}
	if f.Event != "" {
		if id, err := uuid.Parse(f.Event); err == nil {
			ask.Set("event", id.String())
		} else {
			wrong = append(wrong, problem.Field{Name: "event", Code: "not-an-id", Detail: "write an id as the ledger has it"})
		}
	}
	if f.By != "" {
		ask.Set("by", f.By)
	}
	day := func(name, value string, days int) (t time.Time) {
		if value == "" {
			return t
		}
		t, err := dayOf(value)
		if err != nil {
			wrong = append(wrong, problem.Field{Name: name, Code: "not-a-day", Detail: "write a day such as 2022-07-21"})
			return t
		}
		t = t.AddDate(0, 0, days)
		ask.Set(name, t.Format(time.RFC3339))
		return t
	}
	since, until := day("since", f.Since, 0), day("until", f.Until, 1)
	if len(wrong) == 0 && f.Since != "" && f.Until != "" && !since.Before(until) {
		wrong = append(wrong, problem.Field{Name: "until", Code: "before-the-first", Detail: "is before the first day"})
	}
	return ask, wrong
}

// dayOf is the first instant of a day in Shanghai.
func dayOf(day string) (time.Time, error) {
	t, err := time.ParseInLocation(time.DateOnly, day, units.Shanghai)
	if err != nil || t.Year() < 1900 || t.Year() > 9000 {
		return t, problem.NotFound("no-such-day", "there is no such day")
	}
	return t, nil
}

// life is what the ledger has of one thing.
func (s *site) life(w http.ResponseWriter, q *request) error {
	stream, from := q.PathValue("stream"), uint64(0)
	if text := q.URL.Query().Get("from"); text != "" {
		var err error
		if from, err = strconv.ParseUint(text, 10, 63); err != nil {
			return problem.NotFound("no-such-page", "a revision is a number")
		}
	}
	at := "/ledger/streams/" + client.Segment(stream)
	own, err := get[client.List[client.Event]](q, at, url.Values{"from": {client.Number(from)}, "limit": {strconv.Itoa(pages.LifePerPage)}})
	if err != nil {
		return err
	}
	if len(own.Items) == 0 {
		return problem.NotFound("no-such-event", "the stream has no such event")
	}
	links, err := get[client.Links](q, at+"/links", nil)
	if err != nil {
		s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "ledger"), slog.Any("error", err))
	}
	// Of what hangs together with it each page has what lies between its events.
	var near []client.Found
	begin, end := own.Items[0].Recorded, own.Items[len(own.Items)-1].Recorded
	for _, f := range links.Items {
		if (from == 0 || !f.Recorded.Before(begin)) && (own.Next == "" || f.Recorded.Before(end)) {
			near = append(near, f)
		}
	}
	m := pages.NewLife(stream, own.Items, near)
	m.Gap, m.Cut, m.About = err != nil, links.More, links.About
	if from != 0 {
		m.Begin = "/trail/" + client.Segment(stream)
	}
	if own.Next != "" {
		m.More = "/trail/" + client.Segment(stream) + "?from=" + string(own.Next)
	}
	q.view.Title = pages.StreamWords(q.view.Lang, stream)
	return q.render(w, http.StatusOK, pages.Life(q.view, m))
}
