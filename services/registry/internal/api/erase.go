package api

import (
	"context"
	"log/slog"
	"time"

	"github.com/yimu-ledger/yimu/libs/authz"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/registry/internal/register"
)

// erasePerson records that a person is erased, and then destroys their key. The
// other way round a key would be gone also where the ledger then refuses, and
// nobody might ever learn of it. What is recorded is done in any case: where this
// is cut off, FinishErasures goes on.
func (a *API) erasePerson(ctx context.Context, in *struct {
	service.CommandIn
	PersonIn
	Ground string `query:"ground" required:"true" enum:"own-request,no-longer-needed,unlawful,legal-request" doc:"Why; stands in the ledger, for everyone"`
}) (*service.Recorded, error) {
	if err := a.Allow(ctx, "person.erase", authz.Resource{Type: "Person", ID: in.Person, Person: in.Person}); err != nil {
		return nil, err
	}
	cmd := register.ErasePerson{Ground: in.Ground, Now: a.Clock()}
	var err error
	if cmd.Unit, cmd.Roll, err = a.Board.Kept(ctx, in.Person); err != nil {
		return nil, err
	}
	req := service.NewRequest(ctx, a.Deps, "erase-person", in.CommandIn, in.Ground)
	done, err := a.people.Do(ctx, in.Person, req, cmd)
	if err == nil {
		if failed := a.People.DestroyKey(ctx, vault.PersonKey(in.Person)); failed != nil {
			a.Log.ErrorContext(ctx, "a key is not destroyed yet", slog.String("person", in.Person), slog.Any("error", failed))
			err = &es.PendingError{Stream: done.Stream, Commit: req.Commit, Err: es.ErrPending}
		}
	}
	return service.Respond(in.Person, done, err)
}

// FinishErasures destroys the keys of whoever is erased in the ledger, until ctx
// ends: at its start of all, for the vault may have come from a backup in which
// they have one, then of those whose erasure is recorded from then on. Of several
// instances one does it; doing it twice changes nothing.
func (a *API) FinishErasures(ctx context.Context) error {
	const look = time.Second
	return a.DB.Alone(ctx, a.Log, "erasures", func(ctx context.Context) error {
		for done := 0; ; {
			people := a.Directory.Erased(done)
			subjects := make([]string, len(people))
			for i, id := range people {
				subjects[i] = vault.PersonKey(id)
			}
			if service.Persist(ctx, a.Log, func() error { return a.People.DestroyKey(ctx, subjects...) }) != nil {
				return nil // it was asked to end
			}
			done += len(people)
			if pause.For(ctx, look) != nil {
				return nil
			}
		}
	})
}
