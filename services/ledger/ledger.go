// Package ledger is the only service that appends: it takes commits from Kafka,
// records them at their exact revision, answers with outcomes, publishes what
// was recorded for others, and serves the trail.
package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/contracts/workorders"
	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/commitpath"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/services/ledger/internal/api"
	"github.com/yimu-ledger/yimu/services/ledger/internal/relay"
)

// Contexts that write to the ledger.
const (
	Registry   = "registry"
	Agreements = "agreements"
	Workorders = "workorders"
	Finance    = "finance"
	Votes      = "votes"
)

// categories are the streams each context owns. The ledger is these streams;
// whatever else a store holds is not of it.
var categories = map[string][]string{
	Registry:   registry.Categories,
	Agreements: agreements.Categories,
	Workorders: workorders.Categories,
	Finance:    finance.Categories,
	Votes:      votes.Categories,
	"ledger":   ledger.Categories,
}

var contextOfCategory = func() map[string]string {
	m := map[string]string{}
	for context, prefixes := range categories {
		for _, p := range prefixes {
			m[p] = context
		}
	}
	return m
}()

// ContextOf returns the context that owns a stream, "" where none does.
func ContextOf(stream string) string {
	category, _, _ := strings.Cut(stream, "-")
	return contextOfCategory[category+"-"]
}

// Owns says whether a context may write to a stream: one of its own, or the
// record of its own refused reactions.
func Owns(context, stream string) bool {
	return context != "" && ContextOf(stream) == context || strings.HasPrefix(stream, ledger.ReactionStream+context+"_")
}

// Prefixes of all streams of the ledger.
func Prefixes() []string {
	var all []string
	for _, prefixes := range categories {
		all = append(all, prefixes...)
	}
	return all
}

// outcomesKept is how long an outcome can be read: whoever waits for one waits
// for seconds, and nobody reads from the beginning.
const outcomesKept = 10 * time.Minute

// Topics that the system uses. Commits of a context, and what was recorded of
// it, share its partitions by stream; outcomes are small and read by all.
func Topics(partitions int) []bus.Topic {
	topics := []bus.Topic{{Name: commitpath.OutcomesTopic, Partitions: 1, Retention: outcomesKept}}
	for context := range categories {
		topics = append(topics, bus.Topic{Name: relay.EventsTopic(context), Partitions: partitions})
		if context != "ledger" {
			topics = append(topics, bus.Topic{Name: commitpath.CommitsTopic(context), Partitions: partitions})
		}
	}
	return topics
}

// group is the ledger's consumer group: its members share the partitions.
const group = "ledger"

// Config is what the service needs besides what every service has.
type Config struct {
	Bus       bus.Config
	Publisher message.Publisher
	// Refused keeps the bytes of refused commits. Nobody but the operator reads
	// them: nobody knows what they hold.
	Refused service.Blobs
}

// New builds the service.
func New(_ context.Context, deps service.Deps, config Config) (*service.Service, error) {
	out := relay.Relay{Store: deps.Store, DB: deps.DB, Publisher: config.Publisher, ContextOf: ContextOf, Prefixes: Prefixes(), Log: deps.Log}
	routes, handler := service.NewAPI(deps, "ledger")
	api.Register(routes, deps.Store, deps.Blobs, Prefixes())
	l := &appender{deps: deps, refused: config.Refused}
	var writers, topics []string
	for context := range categories {
		if context != "ledger" {
			writers, topics = append(writers, context), append(topics, commitpath.CommitsTopic(context))
		}
	}
	appender := commitpath.NewAppender(commitpath.AppenderConfig{
		Store: deps.Store, Publisher: config.Publisher, Contexts: writers, Owns: Owns, Refuse: l.refuse, Clock: deps.Clock, Log: deps.Log,
		Tracer: deps.Tracer, Meter: deps.Meter,
	})
	joined := make(chan struct{})
	config.Bus.Joined = sync.OnceFunc(func() { close(joined) })
	return &service.Service{
		Name: "ledger", Handler: handler, API: routes,
		Run: []func(context.Context) error{
			func(ctx context.Context) error { return bus.Consume(ctx, config.Bus, group, topics, appender.Handle) },
			func(ctx context.Context) error {
				select { // nobody shall send commits to a ledger that does not take them yet
				case <-joined:
					return appender.Tell(ctx)
				case <-ctx.Done():
					return ctx.Err()
				}
			},
			out.Run,
		},
	}, nil
}

type appender struct {
	deps    service.Deps
	refused service.Blobs
}

// refuse records a commit that cannot be taken: its bytes as a blob, the reason
// in a stream of its own. The event is named by the bytes, so the same message
// again records nothing.
func (a *appender) refuse(ctx context.Context, owner, reason string, raw []byte) error {
	hash, err := a.refused.Put(ctx, raw)
	if err != nil {
		return fmt.Errorf("ledger: keep a refused commit: %w", err)
	}
	sum := sha256.Sum256(append([]byte(reason+"\n"), raw...))
	commit := uuid.NewSHA1(uuid.NameSpaceOID, sum[:])
	meta, err := json.Marshal(es.Meta{Commit: commit, Hash: hex.EncodeToString(sum[:]), Actor: "ledger", Happened: a.deps.Clock().UTC()})
	if err != nil {
		return err
	}
	name, data, err := ledger.Codec.Encode(ledger.CommitRefused{Context: owner, Reason: reason, Hash: hash})
	if err != nil {
		return err
	}
	stream := ledger.RefusedStream + owner
	for {
		length := uint64(0)
		for r, err := range a.deps.Store.Read(ctx, stream, 0) {
			if err != nil {
				return err
			}
			if r.ID == commit {
				return nil
			}
			length = r.Revision + 1
		}
		_, err = a.deps.Store.Append(ctx, stream, length, es.Proposed{ID: commit, Type: name, Data: data, Meta: meta})
		if !errors.Is(err, es.ErrWrongRevision) {
			return err
		}
	}
}
