package votes

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
	"github.com/yimu-ledger/yimu/services/votes/internal/board"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// closing closes live meetings: a minute after their deadline or, where paper
// was handed in, when its entry is declared complete after that; and then it
// releases their keys. Both are reactions with keys of their own, so it does no
// harm when several instances, or the same one after a restart, do them again.
type closing struct {
	deps     service.Deps
	board    *board.Board
	meetings es.Repo[meeting.Meeting, votes.Event]
	calendar meeting.Calendar
	ready    func() bool
}

// run closes meetings until ctx ends.
func (c *closing) run(ctx context.Context) error {
	return c.deps.DB.Alone(ctx, c.deps.Log, "closing", service.Deadlines{
		Clock: c.deps.Clock, Log: c.deps.Log, Ready: c.ready, Due: c.due, Fire: c.close,
	}.Run)
}

// due lists when meetings are to be closed. The declaration that the entry of
// paper is complete has a deadline of its own, for the first may have passed in
// vain.
func (c *closing) due(ctx context.Context) (list []service.Deadline, err error) {
	open, err := c.board.Due(ctx)
	for _, m := range open {
		list = append(list, c.missable(m)...)
		switch {
		case m.Countable():
		case m.Closed && !m.Trust.Until.IsZero():
			list = append(list, service.Deadline{Key: m.Meeting + sharesDue, At: m.Trust.Until})
		case m.Closed:
		case m.EntryComplete:
			list = append(list, service.Deadline{Key: m.Meeting + "/entry-completed", At: m.Deadline()})
		default:
			list = append(list, service.Deadline{Key: m.Meeting + "/deadline", At: m.Deadline()})
		}
	}
	return list, err
}

// Names of reactions.
const (
	releaseKey    = "votes_release_key" // also of its stream of refusals
	leaveUnopened = "votes_leave_unopened"
)

var errForeignShare = problem.Conflict("foreign-share", "a share that the ledger has of this meeting is not one of its key")

// sharesDue ends the key of the deadline for shares.
const sharesDue = "/shares-due"

// close closes a meeting that is due, gives up its ballots, or records that
// something was due in vain.
func (c *closing) close(ctx context.Context, d service.Deadline) error {
	id, what, _ := strings.Cut(d.Key, "/")
	if name, ok := strings.CutPrefix(what, "missed/"); ok {
		return c.miss(ctx, id, name)
	}
	if "/"+what == sharesDue {
		_, err := c.meetings.Do(ctx, id, service.ReactionRequest(ctx, c.deps, leaveUnopened, d.Key), meeting.LeaveUnopened{Now: c.deps.Clock()})
		return err
	}
	papers, err := c.board.CurrentPapers(ctx, id)
	if err != nil {
		return err
	}
	_, err = c.meetings.Do(ctx, id, service.ReactionRequest(ctx, c.deps, "votes_close", d.Key),
		meeting.CloseVoting{Now: c.deps.Clock(), Paper: papers.Envelopes > 0})
	if errors.Is(err, meeting.ErrPaperOpen) {
		c.deps.Log.InfoContext(ctx, "voting is closed once the entry of paper is complete", slog.String("meeting", id))
		return nil
	}
	return err
}

// releaseKeys lets everyone open the ballots of a live meeting that was closed,
// as soon as its trustees have given enough shares where there are any.
func (c *closing) releaseKeys(ctx context.Context) error {
	return service.Reaction{
		Name:     releaseKey,
		Prefixes: []string{votes.MeetingStream},
		Handle:   c.releaseKey,
		Refused:  reactions.Refuse(c.deps, releaseKey),
	}.Run(ctx, c.deps)
}

func (c *closing) releaseKey(ctx context.Context, r es.Recorded) error {
	event, err := votes.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	id := strings.TrimPrefix(r.Stream, votes.MeetingStream)
	_, closed := event.(votes.VotingClosed)
	if _, given := event.(votes.ShareGiven); !closed && !given {
		return nil
	}
	m, _, err := c.meetings.Load(ctx, id)
	if err != nil || m.Past || m.Key != "" {
		return err
	}
	req := service.ReactionRequest(ctx, c.deps, releaseKey, r.ID.String())
	switch needed := m.Trust.Needed(); {
	case needed > 0 && closed:
		_, err = c.meetings.Do(ctx, id, req, meeting.AwaitShares{Closed: r.Created})
		return err
	case needed > len(m.Trust.Given):
		return nil
	}
	key, err := c.key(ctx, m)
	if errors.Is(err, vault.ErrNotAShare) { // whoever wrote it went past this service; other meetings must not wait for that
		return errForeignShare
	}
	if err != nil {
		return err
	}
	_, err = c.meetings.Do(ctx, id, req, meeting.ReleaseKey{Key: key})
	return err
}

// key returns the key of a meeting's ballots, out of shares or of the vault.
func (c *closing) key(ctx context.Context, m meeting.Meeting) (string, error) {
	if needed := m.Trust.Needed(); needed > 0 {
		return vault.CombineShares(m.Trust.Commitments, m.Trust.Shares()[:needed])
	}
	return c.deps.Vault.ReleaseKey(ctx, vault.MeetingKey(m.Meeting))
}
