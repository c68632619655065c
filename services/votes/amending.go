package votes

import (
	"context"
	"errors"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// amending amends the rolls of live meetings where a unit changes hands between the
// freezing of the roll and the close of voting. What the registry says after the
// notice it takes up as it comes; what it said between the freezing and the notice,
// when that is posted, for until then the roll may be frozen anew.
type amending struct {
	deps     service.Deps
	board    *board.Board
	meetings es.Repo[meeting.Meeting, votes.Event]
}

// amendRoll names the reaction, and its stream of refusals.
const amendRoll = "votes_amend_roll"

func (a *amending) run(ctx context.Context) error {
	return service.Reaction{
		Name:     amendRoll,
		Prefixes: []string{registry.UnitStream, votes.MeetingStream},
		Handle:   a.handle,
		Refused:  reactions.Refuse(a.deps, amendRoll),
	}.Run(ctx, a.deps)
}

func (a *amending) handle(ctx context.Context, r es.Recorded) error {
	if r.Type == "notice-posted.v1" {
		return a.noticed(ctx, r)
	}
	event, err := registry.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return nil //nolint:nilerr // another event of a meeting
	}
	var unit, estate string
	switch e := event.(type) {
	case registry.UnitRegistered:
		unit, estate = e.ID, e.Estate
	case registry.UnitCorrected:
		unit, estate = e.ID, e.Estate
	case registry.TitlesStated:
		unit, estate = e.ID, e.Estate
	case registry.TitlesCorrected:
		unit, estate = e.ID, e.Estate
	default:
		return nil
	}
	if err := a.board.WaitFor(ctx, r.Position); err != nil {
		return err
	}
	list, err := a.board.Amending(ctx, estate)
	for _, m := range list {
		err = errors.Join(err, a.amend(ctx, m, unit, r))
	}
	return err
}

// noticed takes up what the registry said since the roll was frozen.
func (a *amending) noticed(ctx context.Context, r es.Recorded) error {
	event, err := votes.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	posted, ok := event.(votes.NoticePosted)
	if !ok {
		return nil
	}
	if err := a.board.WaitFor(ctx, r.Position); err != nil {
		return err
	}
	m, ok, err := a.board.Meeting(ctx, posted.Meeting)
	if err != nil || !ok || m.Past {
		return err
	}
	changed, err := a.board.Changed(ctx, m.Estate, es.Position(m.Roll.SeenAt), r.Position)
	for _, unit := range changed {
		err = errors.Join(err, a.amend(ctx, m, unit, r))
	}
	return err
}

func (a *amending) amend(ctx context.Context, m meeting.Meeting, unit string, cause es.Recorded) error {
	cmd, err := a.board.Amend(ctx, m, unit, cause.Position, cause.Created)
	if err != nil || cmd.Entry == "" {
		return err
	}
	_, err = a.meetings.Do(ctx, m.Meeting, service.ReactionRequest(ctx, a.deps, amendRoll, amendment(cause.ID.String(), m.Meeting, unit)), cmd)
	return err
}

// amendment is the cause of an amendment: what the registry said, or the notice
// that took it up, of a unit in a meeting.
func amendment(event, meeting, unit string) string { return event + "/" + meeting + "/" + unit }
