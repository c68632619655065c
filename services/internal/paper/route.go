package paper

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/internal/estates"
)

// In is a paper of an estate on its way in.
type In struct {
	estates.In
	Upload
	Announced bool `query:"announced" doc:"With dry_run: papers that this one refers to will come before it, so what the ledger does not hold yet is no mistake"`
}

// Work reads a paper, has its rows recorded and reports.
type Work func(ctx context.Context, in *In, p *Progress) (*Report, error)

// Board is the read model that a paper is held against.
type Board interface{ CatchUp(context.Context) error }

// Fresh waits until the board knows all that is recorded: a paper that builds on
// another may come right after it, from someone else.
func Fresh(ctx context.Context, board Board) error {
	if err := board.CatchUp(ctx); err != nil {
		return errors.Join(problem.Unavailable("not-caught-up", "the read models have not followed the ledger yet; import the paper again"), err)
	}
	return nil
}

// Take adds the route by which one kind of paper comes in, for whoever may
// import papers. Only a dry run does not need the estate to be there.
func Take(api huma.API, deps service.Deps, registry *estates.Registry, board Board, kind string, work Work) {
	op := service.Command("import-"+kind, http.MethodPost, "/estates/{estate}/papers/"+kind, "Import a paper: "+kind)
	op.MaxBodyBytes, op.BodyReadTimeout, op.DefaultStatus = MaxFile, -1, http.StatusOK
	// Asked before the body is read: not everyone may fill the memory with it.
	op.Middlewares = huma.Middlewares{func(hc huma.Context, next func(huma.Context)) {
		estate := hc.Param("estate")
		err := deps.Allow(hc.Context(), "papers.import", authz.Resource{Type: "Estate", ID: estate, Estate: estate})
		if err == nil {
			next(hc)
			return
		}
		refusal, seen := problem.From(err)
		if !seen {
			deps.Log.ErrorContext(hc.Context(), "paper refused", slog.String("kind", kind), slog.Any("error", err))
		}
		writeProblem(hc, refusal)
	}}
	huma.Register(api, op, func(ctx context.Context, in *In) (*huma.StreamResponse, error) {
		if err := registry.Check(ctx, in.Estate); err != nil && !(in.DryRun && errors.Is(err, estates.ErrNoSuchEstate)) {
			return nil, err
		}
		return in.Answer(kind, deps.Clock, deps.Log, func(ctx context.Context, p *Progress) (*Report, error) {
			if err := Fresh(ctx, board); err != nil {
				return nil, err
			}
			return work(ctx, in, p)
		}), nil
	})
}

// Tally counts a row by what became of its command.
func Tally[E any](r *Report, done es.Done[E]) {
	if len(done.IDs) == 0 || done.Repeated {
		r.Same(done.Position)
		return
	}
	r.Record(done.Position)
}

// Refuse notes on the row that a rule refuses what it says, below a heading or,
// with "", the row as a whole. Any error that is not a refusal is returned.
func (r *Row) Refuse(heading string, err error) error {
	refusal, ok := errors.AsType[*problem.Error](err)
	if !ok {
		return err
	}
	r.Fail(heading, refusal.Code, refusal.Detail)
	return nil
}
