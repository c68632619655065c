package board

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

var procedureTable = readmodel.Table{Name: "procedure_adopted", Key: []string{"estate", "position"}, Columns: []string{"estate", "position", "adopted"}}

// procedure keeps by which rules an estate decides. There are few.
func (f *folding) procedure(ctx context.Context, r es.Recorded) error {
	event, err := votes.Codec.Decode(r.Type, r.Data)
	if err != nil {
		return err
	}
	e, ok := event.(votes.RulesAdopted)
	if !ok {
		return errors.New("no event of the rules of an estate")
	}
	text, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return f.tx.Upsert(ctx, procedureTable, [][]any{{strings.TrimPrefix(r.Stream, votes.ProcedureStream), int64(r.Position), string(text)}})
}

// Procedure returns what an estate has adopted as its rules.
func (b *Tables) Procedure(ctx context.Context, estate string) (meeting.Procedure, error) {
	return procedureOf(ctx, b.db, estate)
}

func procedureOf(ctx context.Context, q readmodel.Querier, estate string) (p meeting.Procedure, err error) {
	err = readmodel.Each(ctx, q, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		var e votes.RulesAdopted
		err := json.Unmarshal([]byte(text), &e)
		p = meeting.EvolveProcedure(p, e)
		return err
	}, `SELECT adopted FROM procedure_adopted WHERE estate = ? ORDER BY position`, estate)
	return p, err
}
