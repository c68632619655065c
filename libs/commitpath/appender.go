package commitpath

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// AppenderConfig is what an Appender is made of.
type AppenderConfig struct {
	Store     es.Store
	Publisher message.Publisher // for outcomes
	Contexts  []string          // whose commits come; of each it is told how many were refused, also where none was
	// Owns says whether a context may write to a stream.
	Owns func(context, stream string) bool
	// Refuse records a commit that cannot be taken, before it is dropped. It
	// is called again when the message comes again, and must then do nothing.
	Refuse func(ctx context.Context, context, reason string, raw []byte) error
	// Signed says how far the ledger is signed; nil, or the zero value: not at all.
	Signed func(ctx context.Context) (proof.Signed, error)
	Clock  func() time.Time
	Log    *slog.Logger
	Tracer trace.Tracer // nil: no spans
	Meter  metric.Meter // nil: nothing is measured
}

// Appender appends commits to the store and answers with outcomes.
type Appender struct {
	cfg      AppenderConfig
	measures *appenderMeasures
}

// NewAppender returns an Appender; Handle is its work.
func NewAppender(cfg AppenderConfig) *Appender {
	cfg.Log = logger(cfg.Log)
	return &Appender{cfg, newAppenderMeasures(cfg.Meter, cfg.Contexts)}
}

// retryAfter is the pause before the store is asked again.
const retryAfter = 200 * time.Millisecond

// Handle takes what one fetch returned: commits of one stream in their order,
// streams side by side, so that the store can group them into one write. When
// it returns nil every message has been appended or recorded as refused and
// its outcome published, and the offsets may be committed.
func (a *Appender) Handle(ctx context.Context, messages []bus.Message) (err error) {
	a.measures.batch(ctx, messages)
	byStream := map[string][]int{}
	for i, m := range messages {
		byStream[string(m.Key)] = append(byStream[string(m.Key)], i)
	}
	outcomes := make([]*message.Message, len(messages))
	errs := make([]error, len(messages))
	spans := make([]trace.Span, len(messages))
	var wg sync.WaitGroup
	for _, indexes := range byStream {
		wg.Go(func() {
			for _, i := range indexes {
				var in context.Context
				in, spans[i] = bus.Process(ctx, a.cfg.Tracer, messages[i].Topic, messages[i].ID, messages[i].Metadata)
				if outcomes[i], errs[i] = a.handle(in, messages[i]); errs[i] != nil {
					return
				}
				if spans[i].IsRecording() {
					outcomes[i].SetContext(context.WithoutCancel(in)) // so that it is published in the commit's trace
				}
			}
		})
	}
	wg.Wait()
	defer func() {
		for _, span := range spans {
			if span != nil {
				telemetry.End(span, err)
			}
		}
	}()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	answered := outcomes[:0]
	for _, o := range outcomes {
		if o != nil {
			answered = append(answered, o)
		}
	}
	if len(answered) == 0 {
		return nil
	}
	if err := a.cfg.Publisher.Publish(OutcomesTopic, answered...); err != nil {
		return fmt.Errorf("commitpath: publish outcomes: %w", err)
	}
	return nil
}

// Tell publishes the ledger's time until ctx ends, so that every instance knows
// that commits are taken, and how far off its own clock is also where nothing
// is written; and with it how far the ledger is signed. It is to be called once
// Handle is, or will be, called for commits.
func (a *Appender) Tell(ctx context.Context) error {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		m, err := a.beat(ctx)
		if err == nil {
			err = a.cfg.Publisher.Publish(OutcomesTopic, m)
		}
		if err != nil {
			a.cfg.Log.WarnContext(ctx, "telling the time", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (a *Appender) beat(ctx context.Context) (*message.Message, error) {
	var signed proof.Signed
	if a.cfg.Signed != nil {
		var err error
		if signed, err = a.cfg.Signed(ctx); err != nil {
			a.cfg.Log.WarnContext(ctx, "asking how far the ledger is signed", slog.Any("error", err))
		}
	}
	return encode(told{es.Outcome{Status: statusTime, At: a.cfg.Clock()}, signed})
}

// handle appends one commit; passing errors of the store are waited out, because
// later commits of the stream must not overtake it.
func (a *Appender) handle(ctx context.Context, m bus.Message) (*message.Message, error) {
	start, owner := time.Now(), contextOf(m.Topic)
	var c es.Commit
	if reason := a.check(owner, m, &c); reason != "" {
		if err := a.cfg.Refuse(ctx, owner, reason, m.Value); err != nil {
			return nil, fmt.Errorf("commitpath: record a refused commit: %w", err)
		}
		a.measures.refuse(ctx, owner, reason, 1)
		return a.encode(es.Outcome{Commit: c.ID, Attempt: c.Attempt, Stream: c.Stream, Status: es.StatusRefused, Reason: reason})
	}
	ctx, span := telemetry.Begin(ctx, a.cfg.Tracer, "append")
	defer span.End()
	if span.IsRecording() {
		span.SetAttributes(describe(c)...)
	}
	for {
		o, err := a.append(ctx, c)
		if err == nil {
			a.measures.append(ctx, owner, o.Status, time.Since(start))
			span.SetAttributes(telemetry.Outcome.String(string(o.Status)))
			return a.encode(o)
		}
		a.measures.retry(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		a.cfg.Log.WarnContext(ctx, "append failed, trying again", slog.String("stream", c.Stream), slog.String("commit", c.ID.String()), slog.Any("error", err))
		if err := pause.For(ctx, retryAfter); err != nil {
			return nil, err
		}
	}
}

// Why a commit cannot be taken.
const (
	unreadable    = "unreadable"
	empty         = "empty"
	tooLarge      = "too large"
	otherKey      = "key is not the stream"
	wrongMetadata = "metadata"
)

func notOf(context string) string { return "not a stream of " + context }

// check returns why a commit cannot be taken, or "".
func (a *Appender) check(owner string, m bus.Message, c *es.Commit) string {
	var err error
	if *c, err = es.ParseCommit(m.Value); err != nil {
		return unreadable
	}
	largest, total := c.Size()
	switch {
	case len(c.Events) == 0:
		return empty
	case largest > es.MaxEvent || total > es.MaxCommit:
		return tooLarge
	case c.Stream != string(m.Key):
		return otherKey
	case !a.cfg.Owns(owner, c.Stream):
		return notOf(owner)
	}
	for _, e := range c.Events {
		if meta, err := es.ParseMeta(e.Meta); err != nil || meta.Commit != c.ID || meta.Hash == "" {
			return wrongMetadata
		}
	}
	return ""
}

func (a *Appender) append(ctx context.Context, c es.Commit) (es.Outcome, error) {
	o := es.Outcome{Commit: c.ID, Attempt: c.Attempt, Stream: c.Stream, Status: es.StatusRecorded}
	position, err := a.cfg.Store.Append(ctx, c.Stream, c.Expected, c.Events...)
	switch {
	case err == nil:
		n := uint64(len(c.Events))
		o.Position, o.Revision, o.Event = position, c.Expected+n-1, c.Events[n-1].ID
		return o, nil
	case errors.Is(err, es.ErrWrongRevision):
		return a.recall(ctx, c, o)
	default:
		return o, err
	}
}

// recall answers a commit that does not fit its stream: it may be there already.
func (a *Appender) recall(ctx context.Context, c es.Commit, o es.Outcome) (es.Outcome, error) {
	recorded, err := a.find(ctx, c)
	if err != nil {
		return o, err
	}
	if len(recorded) == 0 {
		o.Status = es.StatusConflict
		return o, nil
	}
	first, last := recorded[0], recorded[len(recorded)-1]
	was, err := es.ParseMeta(first.Meta)
	if err != nil {
		return o, err
	}
	is, err := es.ParseMeta(c.Events[0].Meta)
	if err != nil {
		return o, err
	}
	if was.Hash != is.Hash {
		o.Status = es.StatusKeyReused
		return o, nil
	}
	o.Position, o.Revision, o.Event = last.Position, last.Revision, last.ID
	if o.Position == 0 { // the store does not tell positions of stream reads: repeating the append does
		again := make([]es.Proposed, len(recorded))
		for i, r := range recorded {
			again[i] = es.Proposed{ID: r.ID, Type: r.Type, Data: r.Data, Meta: r.Meta}
		}
		o.Position, err = a.cfg.Store.Append(ctx, c.Stream, first.Revision, again...)
	}
	return o, err
}

// find returns the events of a commit in its stream, none where it is not there.
func (a *Appender) find(ctx context.Context, c es.Commit) ([]es.Recorded, error) {
	var found []es.Recorded
	for r, err := range a.cfg.Store.Read(ctx, c.Stream, 0) {
		if err != nil {
			return nil, err
		}
		meta, err := es.ParseMeta(r.Meta)
		if err != nil {
			return nil, fmt.Errorf("commitpath: %s@%d: %w", r.Stream, r.Revision, err)
		}
		if meta.Commit == c.ID {
			found = append(found, r)
		}
	}
	return found, nil
}

func (a *Appender) encode(o es.Outcome) (*message.Message, error) {
	o.At = a.cfg.Clock()
	return encode(told{Outcome: o})
}

func encode(t told) (*message.Message, error) {
	value, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("commitpath: encode outcome: %w", err)
	}
	return message.NewMessage(watermill.NewUUID(), value), nil
}
