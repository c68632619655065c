package api

import (
	"context"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// registerRoll adds the routes of the roll of a meeting (业主名册): what is posted
// of it, and what changed hands since.
func (a *API) registerRoll(api huma.API) {
	huma.Register(api, service.Query("meeting-roll", "/meetings/{meeting}/roll", "The electorate, by unit and area, without names"), a.listRoll)
	huma.Register(api, service.Query("meeting-amendments", "/meetings/{meeting}/amendments", "Units of the roll that changed hands since it was frozen"), a.listAmendments)
}

func (a *API) listRoll(ctx context.Context, in *struct {
	MeetingIn
	PageIn
	Unit string `query:"unit" maxLength:"60" doc:"only entries with a unit whose code begins so"`
}) (*service.Items[votes.Entry], error) {
	if _, err := a.meeting(ctx, in.Meeting); err != nil {
		return nil, err
	}
	list, err := a.Board.RollWith(ctx, in.Meeting, in.Unit, in.After, in.Limit)
	return service.Page(list, err, in.Limit, func(e votes.Entry) string { return e.Entry })
}

// Amendment is a unit that changed hands.
type Amendment struct {
	votes.RollUnit
	From string    `json:"from" doc:"entry that voted for it until then"`
	To   string    `json:"to" doc:"entry that votes for it from then on, unless a ballot for it was handed in before"`
	New  bool      `json:"new" doc:"the entry came by this"`
	At   time.Time `json:"at" doc:"when the registry had it"`
}

func (a *API) listAmendments(ctx context.Context, in *MeetingIn) (*service.Items[Amendment], error) {
	m, err := a.meeting(ctx, in.Meeting)
	if err != nil {
		return nil, err
	}
	out := &service.Items[Amendment]{}
	out.Body.Items = Amendments(m)
	return out, nil
}

// Amendments lists what changed hands on the roll of a meeting, as it is published.
func Amendments(m meeting.Meeting) []Amendment {
	list := make([]Amendment, len(m.Amendments))
	for i, e := range m.Amendments {
		_, joined := m.Joined(e.To)
		list[i] = Amendment{e.RollUnit, e.From, e.To, joined, e.At}
	}
	return list
}
