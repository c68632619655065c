package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault"
)

// fill makes a ledger grow by a number of events at least, for [BenchCmd], and
// returns by how many it did. It adds copies of an estate that the ledger holds
// up to a position, under other ids: units, people, titles, work orders,
// vouchers, payments, totals. Of meetings it makes none: a roll is proven by
// what it was built from.
func fill(ctx context.Context, dir string, through es.Position, events int) (int, error) {
	s, err := Open(ctx, Options{Dir: dir, Clock: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	defer func() { _ = s.Close() }()
	var streams [][]es.Recorded
	index := map[string]int{}
	each := 0
	for e, err := range s.store.ReadAll(ctx, 0) {
		if err != nil {
			return 0, err
		}
		if e.Position > through {
			break
		}
		if slices.ContainsFunc(append(votes.Categories, registry.TokenStream), func(prefix string) bool { return strings.HasPrefix(e.Stream, prefix) }) {
			continue
		}
		i, ok := index[e.Stream]
		if !ok {
			i = len(streams)
			index[e.Stream] = i
			streams = append(streams, nil)
		}
		streams[i] = append(streams[i], e)
		each++
	}
	added := 0
	for ; added < events; added += each {
		c := copying{s: s, id: uuid.New(), names: map[string]string{}}
		if err := c.run(ctx, streams); err != nil {
			return added, err
		}
	}
	// They are not to be published: a rebuild publishes nothing either.
	db := s.deps["ledger"].DB
	at, err := db.Checkpoint(ctx, relay)
	if err != nil {
		return added, err
	}
	return added, db.Update(ctx, func(tx *readmodel.Tx) error { return tx.MoveCheckpoint(ctx, relay, at, s.Head()) })
}

// relay is the checkpoint of what was published.
const relay = "relay"

// copying is one estate under other ids.
type copying struct {
	s     *Site
	id    uuid.UUID
	names map[string]string
}

func (c *copying) run(ctx context.Context, streams [][]es.Recorded) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(256)
	for i, events := range streams {
		stream := string(c.renamed([]byte(events[0].Stream)))
		proposed := make([]es.Proposed, len(events))
		for j, e := range events {
			data := c.renamed(e.Data)
			if strings.HasPrefix(stream, finance.PaymentStream) {
				var err error
				if data, err = c.resealed(ctx, e.Data, data); err != nil {
					return err
				}
			}
			proposed[j] = es.Proposed{ID: uuid.NewSHA1(c.id, e.ID[:]), Type: e.Type, Data: data, Meta: c.renamed(e.Meta)}
		}
		if i == 0 { // the estate itself, which others belong to
			if _, err := c.s.store.Append(ctx, stream, 0, proposed...); err != nil {
				return err
			}
			continue
		}
		g.Go(func() error {
			_, err := c.s.store.Append(ctx, stream, 0, proposed...)
			return err
		})
	}
	return g.Wait()
}

// renamed returns a text with every UUID in it replaced.
func (c *copying) renamed(text []byte) []byte {
	const length = 36
	out := slices.Clone(text)
	for i := 0; i+length <= len(out); i++ {
		if out[i+8] != '-' || out[i+13] != '-' || out[i+18] != '-' || out[i+23] != '-' {
			continue
		}
		old := string(out[i : i+length])
		name, ok := c.names[old]
		if !ok {
			id, err := uuid.Parse(old)
			if err != nil {
				continue
			}
			name = uuid.NewSHA1(c.id, id[:]).String()
			c.names[old] = name
		}
		copy(out[i:], name)
		i += length - 1
	}
	return out
}

// resealed seals a payment for the estate it is copied to.
func (c *copying) resealed(ctx context.Context, from, to []byte) ([]byte, error) {
	const field, size = "payment", 384 // as finance seals them
	var before, after struct {
		Estate string `json:"estate"`
		Sealed string `json:"sealed"`
	}
	if err := json.Unmarshal(from, &before); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(to, &after); err != nil {
		return nil, err
	}
	plain, err := c.s.vault.Open(ctx, vault.EstateKey(before.Estate), field, before.Sealed)
	if err != nil {
		return nil, err
	}
	sealed, err := c.s.vault.Seal(ctx, vault.EstateKey(after.Estate), field, plain, size)
	if err != nil {
		return nil, err
	}
	return []byte(strings.Replace(string(to), before.Sealed, sealed, 1)), nil
}
