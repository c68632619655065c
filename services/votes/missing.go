package votes

import (
	"context"
	"errors"

	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// missing names the reaction that records deadlines which passed in vain.
const missing = "votes_missed"

// missedKey is what causes that a deadline is missed: it, and nothing else.
func missedKey(id, name string) string { return id + "/missed/" + name }

// missable lists when the deadlines of a meeting are missed, unless what they ask
// for is done by then.
func (c *closing) missable(m meeting.Meeting) (list []service.Deadline) {
	for _, d := range meeting.InVain(m, rulesOf(m), c.calendar, c.deps.Clock()) {
		list = append(list, service.Deadline{Key: missedKey(m.Meeting, d.Name), At: d.Due})
	}
	return list
}

// miss records that a deadline has passed, if it has.
func (c *closing) miss(ctx context.Context, id, name string) error {
	m, ok, err := c.board.Meeting(ctx, id)
	if err != nil || !ok {
		return err
	}
	for _, d := range meeting.InVain(m, rulesOf(m), c.calendar, c.deps.Clock()) {
		if d.Name != name {
			continue
		}
		_, err := c.meetings.Do(ctx, id, service.ReactionRequest(ctx, c.deps, missing, missedKey(id, name)),
			meeting.MissDeadline{Now: c.deps.Clock(), Name: name, Due: d.Due})
		if errors.Is(err, meeting.ErrNotDue) { // it was done meanwhile
			return nil
		}
		return err
	}
	return nil
}
