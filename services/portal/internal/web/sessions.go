package web

import (
	"context"
	"time"

	"github.com/alexedwards/scs/v2"
)

// clocked is a store of sessions on the site's clock. scs reckons when a session
// ends by the machine's clock; the store that keeps it asks the service's. Each
// commit hands over the time that is left, so that both mean the same span.
type clocked struct {
	scs.Store
	clock func() time.Time
}

var _ scs.CtxStore = clocked{}

func (s clocked) there(expiry time.Time) time.Time { return s.clock().Add(time.Until(expiry)) }

func (s clocked) Commit(token string, data []byte, expiry time.Time) error {
	return s.Store.Commit(token, data, s.there(expiry))
}

func (s clocked) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	if store, ok := s.Store.(scs.CtxStore); ok {
		return store.CommitCtx(ctx, token, data, s.there(expiry))
	}
	return s.Commit(token, data, expiry)
}

func (s clocked) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	if store, ok := s.Store.(scs.CtxStore); ok {
		return store.FindCtx(ctx, token)
	}
	return s.Find(token)
}

func (s clocked) DeleteCtx(ctx context.Context, token string) error {
	if store, ok := s.Store.(scs.CtxStore); ok {
		return store.DeleteCtx(ctx, token)
	}
	return s.Delete(token)
}
