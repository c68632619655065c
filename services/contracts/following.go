package contracts

import (
	"context"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/contracts/internal/agreement"
	"github.com/yimu-ledger/yimu/services/contracts/internal/board"
	"github.com/yimu-ledger/yimu/services/internal/reactions"
)

// following does what follows for agreements: from what owners decided, from the
// coming into force of one that takes the place of another, and from the end of a
// provider's notice. Each has a key of its own, so it does no harm when several
// instances, or the same one after a restart, do it again.
type following struct {
	deps       service.Deps
	board      *board.Board
	agreements es.Repo[agreement.Agreement, agreements.Event]
	ready      func() bool
}

// react follows events until ctx ends.
func (f *following) react(ctx context.Context) error {
	return service.Reaction{
		Name:     agreement.Follow,
		Prefixes: []string{votes.MeetingStream, agreements.AgreementStream},
		Handle:   f.handle,
		Refused:  reactions.Refuse(f.deps, agreement.Follow),
	}.Run(ctx, f.deps)
}

func (f *following) handle(ctx context.Context, r es.Recorded) error {
	if strings.HasPrefix(r.Stream, agreements.AgreementStream) {
		return f.succeeded(ctx, r)
	}
	decision, ok, err := reactions.Decision(r)
	if err != nil || !ok {
		return err
	}
	return f.do(ctx, decision.Effect.Agreement, r, leadsTo(decision, units.DayOf(f.deps.Clock())))
}

// leadsTo returns what a decision leads to on a day; nil: nothing of an agreement.
func leadsTo(e votes.DecisionEffective, today units.Day) es.Command[agreement.Agreement, agreements.Event] {
	decision := agreements.Decision{Meeting: e.Meeting, Motion: e.Motion, Title: e.Title, Result: e.Result, At: e.At}
	switch e.Effect.Kind {
	case votes.AppointProvider:
		return agreement.Authorise{Decision: decision}
	case votes.DismissProvider:
		return agreement.Dismiss{On: today, Decision: decision}
	}
	return nil
}

// succeeded ends the agreement whose place another has taken.
func (f *following) succeeded(ctx context.Context, r es.Recorded) error {
	event, err := agreements.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	activated, ok := event.(agreements.AgreementActivated)
	if !ok {
		return nil
	}
	successor, _, err := f.agreements.Load(ctx, activated.Agreement)
	if err != nil || successor.Terms.Follows == "" {
		return err
	}
	return f.do(ctx, successor.Terms.Follows, r, agreement.Succeed{Successor: successor})
}

func (f *following) do(ctx context.Context, id string, cause es.Recorded, cmd es.Command[agreement.Agreement, agreements.Event]) error {
	if cmd == nil {
		return nil
	}
	_, err := f.agreements.Do(ctx, id, service.ReactionRequest(ctx, f.deps, agreement.Follow, cause.ID.String()), cmd)
	return err
}

// end ends the agreements of providers whose notice is over, until ctx ends.
func (f *following) end(ctx context.Context) error {
	return f.deps.DB.Alone(ctx, f.deps.Log, "notices", service.Deadlines{
		Clock: f.deps.Clock, Log: f.deps.Log, Ready: f.ready,
		Due: func(ctx context.Context) (list []service.Deadline, err error) {
			noticed, err := f.board.Noticed(ctx)
			for _, a := range noticed {
				list = append(list, service.Deadline{Key: a.ID + noticeOver, At: a.Dismissed.Ends.Start().AddDate(0, 0, 1)})
			}
			return list, err
		},
		Fire: func(ctx context.Context, d service.Deadline) error {
			_, err := f.agreements.Do(ctx, strings.TrimSuffix(d.Key, noticeOver), service.ReactionRequest(ctx, f.deps, agreement.EndNotice, d.Key),
				agreement.EndDismissed{Today: units.DayOf(f.deps.Clock())})
			return err
		},
	}.Run)
}

// noticeOver ends the key of the deadline at which a provider's notice is over.
const noticeOver = "/notice-over"
