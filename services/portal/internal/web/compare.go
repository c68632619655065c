package web

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// meetingsCompared is how many of an estate's meetings, the latest first.
const meetingsCompared = 10

// compare shows an estate's public figures at two positions. Days are turned into
// positions, so that the address says exactly what is compared.
func (s *site) compare(w http.ResponseWriter, q *request) error {
	e, err := q.estate(q.PathValue("estate"), "estate")
	if err != nil {
		return err
	}
	in := filters(q, "from", "to", "from_day", "to_day", "year")
	m := pages.CompareModel{Estate: client.Named{ID: e.ID, Name: e.Name}, FromDay: in.Get("from_day"), ToDay: in.Get("to_day"), Year: in.Get("year")}
	if _, err := strconv.ParseUint(m.Year, 10, 16); m.Year != "" && err != nil {
		return problem.NotFound("no-such-page", "a year is a number")
	}
	q.view.Title = q.view.T("比较两个时间的账", "Two moments side by side")
	var wrong []problem.Field
	side := func(name string) (at uint64) {
		if day := in.Get(name + "_day"); day != "" {
			at, err := q.positionOf(day)
			in.Del(name + "_day")
			in.Del(name)
			if at != 0 {
				in.Set(name, client.Number(at))
			}
			if err != nil {
				wrong = append(wrong, problem.Field{Name: name + "_day", Code: "no-such-day", Detail: "the ledger had no records on that day, or it is no day"})
			}
			return at
		}
		if text := in.Get(name); text != "" {
			if at, err = strconv.ParseUint(text, 10, 63); err != nil || at == 0 {
				wrong = append(wrong, problem.Field{Name: name, Code: "not-a-number", Detail: "write a whole number above zero"})
			}
		}
		return at
	}
	m.From, m.To = side("from"), side("to")
	if m.FromDay != "" && m.From == 0 && len(wrong) == 0 { // today and now are the same
		wrong = append(wrong, problem.Field{Name: "from_day", Code: "too-late", Detail: "choose a day before today"})
	}
	switch {
	case len(wrong) > 0:
		return q.compared(w, m, wrong...)
	case m.FromDay != "" || m.ToDay != "":
		http.Redirect(w, q.Request, q.in("/compare")+"?"+in.Encode()+"#figures", http.StatusSeeOther)
		return nil
	case m.From == 0:
		return q.compared(w, m)
	case m.To != 0 && m.From > m.To:
		m.From, m.To = m.To, m.From
	}
	states := [2]*pages.State{}
	errs := [2]error{}
	var both sync.WaitGroup
	for i, at := range []uint64{m.From, m.To} {
		both.Go(func() { states[i], errs[i] = q.state(e.ID, at, in.Get("year")) })
	}
	both.Wait()
	for i, name := range []string{"from", "to"} {
		if status(errs[i]) == http.StatusUnprocessableEntity {
			return q.compared(w, m, problem.Field{Name: name, Code: "not-recorded-yet", Detail: "the ledger has not got to this position yet"})
		}
	}
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	m.Before, m.After = states[0], states[1]
	return q.compared(w, m)
}

func (q *request) compared(w http.ResponseWriter, m pages.CompareModel, wrong ...problem.Field) error {
	if len(wrong) == 0 {
		return q.render(w, http.StatusOK, pages.Compare(q.view, m))
	}
	m.Problem = &pages.Problem{
		What:   q.view.T("这样比不了。", "This cannot be compared."),
		Do:     q.view.T("请改一下标出的地方。", "Change what is marked."),
		Fields: wrong,
	}
	return q.render(w, http.StatusUnprocessableEntity, pages.Compare(q.view, m))
}

// positionOf is the position up to which the ledger had been written at the end
// of a day; 0 for today and what is to come.
func (q *request) positionOf(day string) (uint64, error) {
	begin, err := dayOf(day)
	if err != nil {
		return 0, err
	}
	if day >= string(units.DayOf(q.site.Clock())) {
		return 0, nil
	}
	end := begin.AddDate(0, 0, 1)
	found, err := get[client.FoundPage](q, "/ledger/search", url.Values{"until": {end.Format(time.RFC3339)}, "limit": {"1"}})
	if err != nil {
		return 0, err
	}
	if len(found.Items) == 0 {
		return 0, problem.NotFound("no-such-day", "the ledger had no records then")
	}
	return found.Items[0].Position, nil
}

// state reads an estate's public figures as of a position; 0 is now. What was not
// there then is nil, and what does not answer is named.
func (q *request) state(id string, at uint64, year string) (*pages.State, error) {
	then := &request{Request: q.Request, view: q.view, who: q.who, site: q.site}
	then.view.At = at
	path := "/estates/" + client.Segment(id)
	var state pages.State
	var all sync.WaitGroup
	var mu sync.Mutex
	var ahead error
	part := func(service string, read func() error) {
		all.Go(func() {
			err := read()
			mu.Lock()
			defer mu.Unlock()
			switch status(err) {
			case http.StatusNotFound:
			case http.StatusUnprocessableEntity:
				ahead = err
			default:
				if err != nil {
					q.site.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", service), slog.Any("error", err))
					state.Missing = append(state.Missing, service)
				}
			}
		})
	}
	part("registry", func() (err error) { state.Estate, err = found[client.Estate](then, path, nil); return err })
	part("registry", func() (err error) {
		state.Electorate, err = found[client.Electorate](then, path+"/electorate", nil)
		return err
	})
	part("finance", func() (err error) {
		ask := url.Values{}
		if year != "" {
			ask.Set("year", year)
		}
		state.Budget, err = found[client.Budget](then, path+"/budget", ask)
		return err
	})
	part("finance", func() error {
		list, err := get[client.List[client.Collection]](then, path+"/collection", nil)
		state.Collection = list.Items
		return err
	})
	part("workorders", func() (err error) {
		state.Orders, err = found[client.WorkOrders](then, path+"/workorders/summary", nil)
		return err
	})
	part("contracts", func() error {
		list, err := get[client.List[client.Agreement]](then, path+"/agreements", nil)
		state.Agreements = list.Items
		return err
	})
	part("votes", func() error {
		list, err := get[client.List[client.Meeting]](then, path+"/meetings", nil)
		if err != nil {
			return err
		}
		for _, listed := range list.Items[:min(len(list.Items), meetingsCompared)] {
			m, err := get[client.Meeting](then, "/meetings/"+client.Segment(listed.ID), nil) // a list has no turnout
			if err != nil {
				return err
			}
			results, err := get[client.List[client.Result]](then, "/meetings/"+client.Segment(m.ID)+"/results", nil)
			if err != nil && status(err) != http.StatusConflict { // not counted yet
				return err
			}
			state.Meetings = append(state.Meetings, pages.MeetingThen{Meeting: m, Results: results.Items})
		}
		return nil
	})
	all.Wait()
	return &state, ahead
}

// found is get of what may not be there.
func found[T any](q *request, path string, query url.Values) (*T, error) {
	out, err := get[T](q, path, query)
	if err != nil {
		return nil, err
	}
	return &out, nil
}
