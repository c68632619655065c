package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

func (a *API) registerDeadlines(api huma.API) {
	huma.Register(api, service.Query("meeting-deadlines", "/meetings/{meeting}/deadlines",
		"The days in a meeting's life that its rules give: in Asia/Shanghai, with the public holidays where the law counts them"), a.getDeadlines)
}

// DeadlinesOut are the days in a meeting's life.
type DeadlinesOut struct {
	Body struct {
		Items []meeting.Deadline `json:"items"`
		Next  string             `json:"next,omitempty" doc:"Absent: the list is whole"`
		lookback.Bound
	}
}

func (a *API) getDeadlines(ctx context.Context, in *MeetingAtIn) (*DeadlinesOut, error) {
	view, m, err := a.then(ctx, in.Meeting, in.At)
	if err != nil {
		return nil, err
	}
	defer view.Release()
	now := a.now(view)
	set, err := a.rulesAt(ctx, m, now)
	if err != nil {
		return nil, err
	}
	out := &DeadlinesOut{}
	out.Body.Items, out.Body.Bound = meeting.Deadlines(m, m.Times, set, a.Calendar, now), lookback.Bind(a.Deps, view.Position)
	if out.Body.Items == nil {
		out.Body.Items = []meeting.Deadline{}
	}
	return out, nil
}
