// Package ledger is the only service that appends: it takes commits from Kafka,
// records them at their exact revision, answers with outcomes, publishes what
// was recorded for others, keeps the transparency log of it, and serves the
// trail with its proofs.
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
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/services/ledger/internal/api"
	"github.com/yimu-ledger/yimu/services/ledger/internal/board"
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

// Group is the ledger's consumer group: its members share the partitions of commits.
const Group = "ledger"

// Config is what the service needs besides what every service has.
type Config struct {
	Bus       bus.Config
	Publisher message.Publisher
	// Others says that others can read the bus: what is recorded is published for them.
	Others bool
	// Log is the transparency log. Of several instances that share its directory
	// one appends to it, and all serve it.
	Log *tlog.Log
	// Refused keeps the bytes of refused commits. Nobody but the operator reads
	// them: nobody knows what they hold.
	Refused service.Blobs
}

// LogPrefix is where the transparency log is served, for everyone.
const LogPrefix = "/log/"

// New builds the service.
func New(ctx context.Context, deps service.Deps, config Config) (*service.Service, error) {
	trail, err := board.New(ctx, deps.DB, deps.Store, deps.Log, Prefixes())
	if err != nil {
		return nil, err
	}
	routes, handler := service.NewAPI(deps, "ledger", trail)
	api.Register(routes, deps.Store, deps.Blobs, trail, Prefixes())
	api.RegisterLog(routes, deps.Store, config.Log, trail)
	api.RegisterLeaves(routes, deps.Store, config.Log, Prefixes(), deps.Log)
	service.Mount(handler, LogPrefix, config.Log.Handler(LogPrefix))
	l := &recorder{deps: deps, refused: config.Refused}
	var writers, topics []string
	for context := range categories {
		if context != "ledger" {
			writers, topics = append(writers, context), append(topics, commitpath.CommitsTopic(context))
		}
	}
	appender := commitpath.NewAppender(commitpath.AppenderConfig{
		Store: deps.Store, Publisher: config.Publisher, Contexts: writers, Owns: Owns, Refuse: l.refuse, Signed: api.Signed(config.Log, trail), Clock: deps.Clock, Log: deps.Log,
		Tracer: deps.Tracer, Meter: deps.Meter,
	})
	joined := make(chan struct{})
	config.Bus.Joined = sync.OnceFunc(func() { close(joined) })
	run := []func(context.Context) error{
		func(ctx context.Context) error { return bus.Consume(ctx, config.Bus, Group, topics, appender.Handle) },
		func(ctx context.Context) error {
			select { // nobody shall send commits to a ledger that does not take them yet
			case <-joined:
				return appender.Tell(ctx)
			case <-ctx.Done():
				return ctx.Err()
			}
		},
		func(ctx context.Context) error {
			return config.Log.Run(ctx, deps.Store, Prefixes(), func(ctx context.Context) error { return l.rotations(ctx, config.Log) })
		},
	}
	if config.Others {
		out := relay.Relay{Store: deps.Store, DB: deps.DB, Publisher: config.Publisher, ContextOf: ContextOf, Prefixes: Prefixes(), Log: deps.Log}
		run = append(run, out.Run)
	}
	return &service.Service{Name: "ledger", Handler: handler, API: routes, Projections: []*readmodel.Runner{trail.Runner}, Run: run}, nil
}

// recorder records what happens to the ledger itself.
type recorder struct {
	deps    service.Deps
	refused service.Blobs
}

// refuse records a commit that cannot be taken: its bytes as a blob, the reason
// in a stream of its own. The event is named by the bytes, so the same message
// again records nothing.
func (r *recorder) refuse(ctx context.Context, owner, reason string, raw []byte) error {
	hash, err := r.refused.Put(ctx, raw)
	if err != nil {
		return fmt.Errorf("ledger: keep a refused commit: %w", err)
	}
	return r.record(ctx, ledger.RefusedStream+owner, append([]byte(reason+"\n"), raw...), ledger.CommitRefused{Context: owner, Reason: reason, Hash: hash})
}

// rotations records which keys of the log were replaced by which, each once.
func (r *recorder) rotations(ctx context.Context, log *tlog.Log) error {
	notes, err := log.Rotations()
	if err != nil {
		return err
	}
	for _, note := range notes {
		rotation, err := proof.ParseRotation(note)
		if err != nil {
			return err
		}
		event := ledger.LogKeyRotated{Old: rotation.Old.Text, New: rotation.New.Text, Note: note}
		if err := r.record(ctx, api.KeysStream, []byte(note), event); err != nil {
			return err
		}
	}
	return nil
}

// record appends an event at the end of a stream unless it is there. It is named
// by what it is of.
func (r *recorder) record(ctx context.Context, stream string, of []byte, event ledger.Event) error {
	sum := sha256.Sum256(of)
	commit := uuid.NewSHA1(uuid.NameSpaceOID, sum[:])
	meta, err := json.Marshal(es.Meta{Commit: commit, Hash: hex.EncodeToString(sum[:]), Actor: "ledger", Happened: r.deps.Clock().UTC()})
	if err != nil {
		return err
	}
	name, data, err := ledger.Codec.Encode(event)
	if err != nil {
		return err
	}
	for {
		length := uint64(0)
		for e, err := range r.deps.Store.Read(ctx, stream, 0) {
			if err != nil {
				return err
			}
			if e.ID == commit {
				return nil
			}
			length = e.Revision + 1
		}
		_, err = r.deps.Store.Append(ctx, stream, length, es.Proposed{ID: commit, Type: name, Data: data, Meta: meta})
		if !errors.Is(err, es.ErrWrongRevision) {
			return err
		}
	}
}
