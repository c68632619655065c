// Package reactions is what the reactions of services share: how a refusal is put
// on record for who must act, and what owners' decisions are to those who follow
// them.
package reactions

import (
	"context"

	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
)

// Refuse returns what records why a reaction was refused, in its own stream.
func Refuse(deps service.Deps, reaction string) func(context.Context, es.Recorded, *problem.Error) error {
	refusals := es.Repo[struct{}, ledger.Event]{
		Store: deps.Store, Committer: deps.Committer, Prefix: ledger.ReactionStream, Codec: ledger.Codec,
		Evolve: func(s struct{}, _ ledger.Event) struct{} { return s },
	}
	return func(ctx context.Context, r es.Recorded, why *problem.Error) error {
		_, err := refusals.Do(ctx, reaction, service.ReactionRequest(ctx, deps, reaction, Refused(r.ID.String())),
			refusal{Reaction: reaction, Cause: r.ID.String(), Code: why.Code, Detail: why.Detail})
		return err
	}
}

// Refused is the cause of the record that what an event led to was refused.
func Refused(event string) string { return "refused/" + event }

// refusal is the command to record that a reaction was refused.
type refusal ledger.ReactionRefused

// Decide always records it.
func (r refusal) Decide(struct{}) ([]ledger.Event, error) {
	return []ledger.Event{ledger.ReactionRefused(r)}, nil
}
