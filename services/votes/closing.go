package votes

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
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
		switch {
		case m.Closed:
		case m.EntryComplete:
			list = append(list, service.Deadline{Key: m.Meeting + "/entry-completed", At: m.Deadline()})
		default:
			list = append(list, service.Deadline{Key: m.Meeting + "/deadline", At: m.Deadline()})
		}
	}
	return list, err
}

// releaseKey names the reaction, and its stream of refusals.
const releaseKey = "votes_release_key"

// close closes a meeting that is due.
func (c *closing) close(ctx context.Context, d service.Deadline) error {
	id, _, _ := strings.Cut(d.Key, "/")
	envelopes, _, err := c.board.CurrentEnvelopes(ctx, id)
	if err != nil {
		return err
	}
	_, err = c.meetings.Do(ctx, id, service.ReactionRequest(ctx, c.deps, "votes_close", d.Key),
		meeting.CloseVoting{Now: c.deps.Clock(), Paper: envelopes > 0})
	if errors.Is(err, meeting.ErrPaperOpen) {
		c.deps.Log.InfoContext(ctx, "voting is closed once the entry of paper is complete", slog.String("meeting", id))
		return nil
	}
	return err
}

// releaseKeys lets everyone open the ballots of a live meeting that was closed.
func (c *closing) releaseKeys(ctx context.Context) error {
	return service.Reaction{
		Name:     releaseKey,
		Prefixes: []string{votes.MeetingStream},
		Handle:   c.releaseKey,
		Refused:  c.refused,
	}.Run(ctx, c.deps)
}

func (c *closing) releaseKey(ctx context.Context, r es.Recorded) error {
	event, err := votes.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	closed, ok := event.(votes.VotingClosed)
	if !ok {
		return nil
	}
	if m, _, err := c.meetings.Load(ctx, closed.Meeting); err != nil || m.Past || m.Key != "" {
		return err
	}
	key, err := c.deps.Vault.ReleaseKey(ctx, vault.MeetingKey(closed.Meeting))
	if err != nil {
		return err
	}
	_, err = c.meetings.Do(ctx, closed.Meeting, service.ReactionRequest(ctx, c.deps, releaseKey, r.ID.String()), meeting.ReleaseKey{Key: key})
	return err
}

// refused records why a key stays in the vault, for whoever must act.
func (c *closing) refused(ctx context.Context, r es.Recorded, why *problem.Error) error {
	refusals := es.Repo[struct{}, ledger.Event]{
		Store: c.deps.Store, Committer: c.deps.Committer, Prefix: ledger.ReactionStream, Codec: ledger.Codec,
		Evolve: func(s struct{}, _ ledger.Event) struct{} { return s },
	}
	_, err := refusals.Do(ctx, releaseKey, service.ReactionRequest(ctx, c.deps, releaseKey, "refused/"+r.ID.String()),
		refusal{Reaction: releaseKey, Cause: r.ID.String(), Code: why.Code, Detail: why.Detail})
	return err
}

// refusal is the command to record that a reaction was refused.
type refusal ledger.ReactionRefused

// Decide always records it.
func (r refusal) Decide(struct{}) ([]ledger.Event, error) {
	return []ledger.Event{ledger.ReactionRefused(r)}, nil
}
