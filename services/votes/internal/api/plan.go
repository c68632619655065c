package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// registerPlan adds what is asked before anything of a meeting is recorded: whether
// the law lets it be held so, and on which days.
func (a *API) registerPlan(api huma.API) {
	check := service.Command("check-meeting", http.MethodPost, "/estates/{estate}/meetings/check", "Check a meeting that is not drafted yet, as drafting it would, and its days; records nothing")
	check.DefaultStatus = http.StatusOK
	huma.Register(api, check, a.checkMeeting)
	huma.Register(api, service.Query("meeting-days", "/meetings/{meeting}/days", "Which days the rules leave to a meeting that has no notice yet"), a.getDays)
	huma.Register(api, service.Query("scopes", "/estates/{estate}/scopes", "The buildings and stairs of an estate to which a motion may be put"), a.listScopes)
}

// DaysIn are the days that somebody thinks of.
type DaysIn struct {
	Notice time.Time `json:"notice,omitzero" query:"notice" required:"false" doc:"first instant at which the notice would be posted; absent: as soon as may be"`
	Opens  time.Time `json:"opens,omitzero" query:"opens" required:"false"`
	Closes time.Time `json:"closes,omitzero" query:"closes" required:"false"`
}

// DaysOut are the days that the rules leave.
type DaysOut struct {
	Wrong     []problem.Field    `json:"wrong" doc:"what may not be so, by field: as the commands would refuse it"`
	RuleSet   string             `json:"rule_set" doc:"id of the rules that a notice of today would name"`
	Notice    time.Time          `json:"notice" doc:"first instant at which the notice may be posted"`
	NoticeBy  *time.Time         `json:"notice_by,omitempty" doc:"the last one, for that opening"`
	Opens     time.Time          `json:"opens" doc:"first instant at which voting may open"`
	Closes    *time.Time         `json:"closes,omitempty" doc:"first instant at which it may close, for that opening; absent: the rules give no shortest time"`
	ClosesBy  *time.Time         `json:"closes_by,omitempty" doc:"the last one; absent: they give no longest time"`
	Deadlines []meeting.Deadline `json:"deadlines" doc:"as if the result were counted and posted when voting closes; none while something is wrong, or no close is stated"`
}

func daysOut(f meeting.Foreseen, set meeting.RuleSet) DaysOut {
	out := DaysOut{f.Wrong, set.ID, f.Notice, f.NoticeBy, f.Opens, f.Closes, f.ClosesBy, f.Deadlines}
	if out.Wrong == nil {
		out.Wrong = []problem.Field{}
	}
	if out.Deadlines == nil {
		out.Deadlines = []meeting.Deadline{}
	}
	return out
}

// CheckOut is what is wrong with a meeting as it is thought of.
type CheckOut struct{ Body DaysOut }

func (a *API) checkMeeting(ctx context.Context, in *struct {
	estates.In
	Body struct {
		Draft
		DaysIn
		Secret bool `json:"secret,omitempty"`
	}
}) (*CheckOut, error) {
	if err := a.Allow(ctx, actCall, estateResource(in.Estate)); err != nil {
		return nil, err
	}
	if err := a.Estates.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	now := a.Clock()
	set, _, err := a.inForce(ctx, in.Estate, now)
	if err != nil {
		return nil, err
	}
	if set.ID == "" {
		return nil, meeting.ErrNoRules
	}
	b := in.Body
	cmd, err := a.drafting(ctx, b.Draft, "", in.Estate, false, set)
	if err != nil {
		return nil, err
	}
	var wrong []problem.Field
	if b.Secret {
		wrong = append(wrong, meeting.ErrSecret.Fields...)
	}
	if _, err := cmd.Decide(meeting.Meeting{}); err != nil {
		refused, _ := problem.From(err)
		wrong = append(wrong, refused.Fields...)
	}
	f := meeting.Foresee(meeting.Meeting{MeetingDrafted: cmd.MeetingDrafted}, set, a.Calendar, now, meeting.Days(b.DaysIn))
	f.Wrong = append(wrong, f.Wrong...)
	return &CheckOut{daysOut(f, set)}, nil
}

func (a *API) getDays(ctx context.Context, in *struct {
	MeetingIn
	DaysIn
}) (*CheckOut, error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	switch {
	case m.IsCancelled():
		return nil, meeting.ErrCancelled
	case m.Posted():
		return nil, meeting.ErrPosted
	}
	now := a.Clock()
	set, _, err := a.inForce(ctx, m.Estate, now)
	if err == nil && set.ID == "" {
		err = meeting.ErrNoRules
	}
	if err != nil {
		return nil, err
	}
	return &CheckOut{daysOut(meeting.Foresee(m, set, a.Calendar, now, meeting.Days(in.DaysIn)), set)}, nil
}

// ScopeOut is whom a motion may be put to, besides a list of units.
type ScopeOut struct {
	Scope string `json:"scope" doc:"as motions name it, e.g. building:5 or stair:5-1"`
}

func (a *API) listScopes(ctx context.Context, in *estates.In) (*service.Items[ScopeOut], error) {
	if err := a.Estates.Check(ctx, in.Estate); err != nil {
		return nil, err
	}
	places, err := a.Board.Places(ctx, in.Estate)
	if err != nil {
		return nil, err
	}
	out := &service.Items[ScopeOut]{}
	out.Body.Items = []ScopeOut{}
	for _, scope := range places.Scopes() {
		out.Body.Items = append(out.Body.Items, ScopeOut{scope})
	}
	return out, nil
}
