package api

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// agreements reads the agreements that the motions of a draft name, as they stand.
func (a *API) agreements(ctx context.Context, motions []votes.Motion) (map[string]meeting.Agreement, error) {
	all := map[string]meeting.Agreement{}
	for _, m := range motions {
		id := m.Effect.Agreement
		if _, read := all[id]; read || uuid.Validate(id) != nil {
			continue
		}
		var found meeting.Agreement
		for r, err := range a.Store.Read(ctx, agreements.AgreementStream+id, 0) {
			if err != nil {
				return nil, err
			}
			event, err := agreements.Codec.Decode(r.Type, r.Data)
			if err != nil {
				return nil, err
			}
			found = found.Evolve(event)
		}
		if found.Estate != "" {
			all[id] = found
		}
	}
	return all, nil
}

// postedResults returns the results of a meeting that owners read where they were posted.
func (a *API) postedResults(ctx context.Context, m meeting.Meeting) ([]meeting.Result, error) {
	if !m.IsPosted() {
		return nil, nil
	}
	blob, err := a.Blobs.Get(ctx, m.Result.Result)
	if err != nil {
		return nil, err
	}
	var p meeting.PostedResult
	err = json.Unmarshal(blob, &p)
	return p.Results, err
}
