package commitpath

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/yimu-ledger/yimu/libs/bus"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/telemetry"
)

// ClientConfig is what a Client is made of.
type ClientConfig struct {
	Publisher message.Publisher
	Bus       bus.Config // where outcomes are read
	Clock     func() time.Time
	Wait      time.Duration // for an outcome; 5 s unless set
	Log       *slog.Logger
	Tracer    trace.Tracer // nil: no spans
	Meter     metric.Meter // nil: nothing is measured
}

// Client hands commits over and waits for their outcomes. One serves a whole
// process; [Client.For] gives each context its own es.Committer.
type Client struct {
	cfg     ClientConfig
	mu      sync.Mutex
	waiting map[attempt]*wait
	joined  chan struct{} // holds one once somebody began to wait
	skew    skew
	ready   atomic.Bool
	told    atomic.Uint64 // the highest position of an outcome
	signed  atomic.Pointer[proof.Signed]
}

// attempt identifies who waits for what.
type attempt struct {
	commit uuid.UUID
	number int
}

// wait is shared by all who wait for the same attempt: the same request may
// arrive twice at once, and one outcome answers both.
type wait struct {
	done    chan struct{} // closed once outcome is set
	outcome es.Outcome
	waiters int
}

// NewClient returns a client that is ready once Run reads outcomes.
func NewClient(cfg ClientConfig) *Client {
	if cfg.Wait == 0 {
		cfg.Wait = 5 * time.Second
	}
	cfg.Log = logger(cfg.Log)
	return &Client{cfg: cfg, waiting: map[attempt]*wait{}, joined: make(chan struct{}, 1)}
}

// leisure is how long outcomes gather while nobody waits for one.
const leisure = 50 * time.Millisecond

// rest lets outcomes gather while nobody waits: to fetch at once what each other
// process wrote would cost every process a request for it, and the brokers as
// many as there are processes.
func (c *Client) rest(ctx context.Context) {
	c.mu.Lock()
	wanted := len(c.waiting) > 0
	c.mu.Unlock()
	if wanted {
		return
	}
	timer := time.NewTimer(leisure)
	defer timer.Stop()
	select {
	case <-c.joined:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Run reads outcomes until ctx ends.
func (c *Client) Run(ctx context.Context) error {
	ends, err := bus.Ends(ctx, c.cfg.Bus, OutcomesTopic)
	if err != nil {
		return fmt.Errorf("commitpath: outcomes: %w", err)
	}
	c.ready.Store(true)
	defer c.ready.Store(false)
	defer c.watch()()
	return bus.ConsumeFrom(ctx, c.cfg.Bus, ends, c.hear)
}

// hear takes the outcomes of one fetch, and lets the next ones gather. The topic
// has one partition, so one call comes after the other.
func (c *Client) hear(ctx context.Context, batch []bus.Message) error {
	for _, m := range batch {
		var o told
		if err := json.Unmarshal(m.Value, &o); err != nil {
			c.cfg.Log.ErrorContext(ctx, "unreadable outcome", slog.String("message", m.ID), slog.Any("error", err))
			continue
		}
		c.skew.observe(c.cfg.Clock().Sub(o.At))
		c.told.Store(max(c.told.Load(), uint64(o.Position)))
		if last := c.Signed(); o.Signed.Position > last.Position {
			c.signed.Store(&o.Signed)
		}
		if c.answer(o.Outcome) {
			_, span := bus.Process(ctx, c.cfg.Tracer, OutcomesTopic, m.ID, m.Metadata)
			span.SetAttributes(telemetry.Outcome.String(string(o.Status)))
			span.End()
		}
	}
	c.rest(ctx)
	return nil
}

func (c *Client) join(a attempt) *wait {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waiting[a]
	if w == nil {
		w = &wait{done: make(chan struct{})}
		c.waiting[a] = w
		select {
		case c.joined <- struct{}{}:
		default:
		}
	}
	w.waiters++
	return w
}

func (c *Client) leave(a attempt, w *wait) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.waiters--; w.waiters == 0 && c.waiting[a] == w {
		delete(c.waiting, a)
	}
}

// answer says whether anybody waited.
func (c *Client) answer(o es.Outcome) bool {
	a := attempt{o.Commit, o.Attempt}
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.waiting[a]
	if w == nil {
		return false
	}
	delete(c.waiting, a)
	w.outcome = o
	close(w.done)
	return true
}

// Ready says whether commits can be handed over now; the error says why not.
func (c *Client) Ready() error {
	switch {
	case !c.ready.Load():
		return errors.New("outcomes are not read yet")
	case !c.skew.known():
		return errors.New("no ledger has been heard yet")
	case c.skew.exceeded():
		return fmt.Errorf("this machine's clock is more than %s off the ledger's", maxSkew)
	}
	return nil
}

// Signed is how far the ledger is signed, as it was last heard; the zero value
// before.
func (c *Client) Signed() (s proof.Signed) {
	if last := c.signed.Load(); last != nil {
		s = *last
	}
	return s
}

// For returns the Committer of one context.
func (c *Client) For(context string) es.Committer {
	return &committer{c, CommitsTopic(context), newClientMeasures(c.cfg.Meter, context)}
}

type committer struct {
	*Client
	topic    string
	measures *clientMeasures
}

// Commit implements es.Committer.
func (c *committer) Commit(ctx context.Context, commit es.Commit) (es.Outcome, error) {
	start := time.Now()
	ctx, span := telemetry.Begin(ctx, c.cfg.Tracer, "commit")
	o, err := c.commit(ctx, commit)
	became := whatBecame(o, err)
	c.measures.committed(ctx, became, time.Since(start))
	if span.IsRecording() {
		span.SetAttributes(append(describe(commit), telemetry.Outcome.String(became))...)
	}
	telemetry.End(span, err)
	return o, err
}

func (c *committer) commit(ctx context.Context, commit es.Commit) (es.Outcome, error) {
	if err := c.Ready(); err != nil {
		return es.Outcome{}, fmt.Errorf("%w: %w", es.ErrNotSent, err)
	}
	m, err := encodeCommit(commit)
	if err != nil {
		return es.Outcome{}, fmt.Errorf("%w: %w", es.ErrNotSent, err)
	}
	key := attempt{commit.ID, commit.Attempt}
	wait := c.join(key)
	defer c.leave(key, wait)

	// Once handed over, the write outlives the request: cancelling it would
	// leave open whether it happened.
	sent := make(chan error, 1)
	m.SetContext(context.WithoutCancel(ctx))
	go func() { sent <- c.cfg.Publisher.Publish(c.topic, m) }()

	timeout := time.NewTimer(c.cfg.Wait)
	defer timeout.Stop()
	var acknowledged time.Time // by the brokers
	for {
		select {
		case <-wait.done:
			c.measures.waited(ctx, acknowledged)
			return wait.outcome, nil
		case err := <-sent:
			acknowledged = time.Now()
			if errors.Is(err, bus.ErrNotSent) {
				return es.Outcome{}, fmt.Errorf("%w: %w", es.ErrNotSent, err)
			}
			if err != nil {
				c.cfg.Log.WarnContext(ctx, "handing over a commit", slog.String("stream", commit.Stream), slog.String("commit", commit.ID.String()), slog.Any("error", err))
			}
			sent = nil // it may still arrive: wait on
		case <-timeout.C:
			return es.Outcome{}, es.ErrPending
		case <-ctx.Done():
			return es.Outcome{}, errors.Join(es.ErrPending, ctx.Err())
		}
	}
}

// skew estimates how far the local clock is ahead of the ledger's. An outcome
// takes time to arrive, so each observation is too high by the way it came: the
// smallest of the last few is the best one.
type skew struct {
	mu   sync.Mutex
	last [16]time.Duration
	n    int
	best atomic.Int64 // nanoseconds
}

func (s *skew) observe(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[s.n%len(s.last)] = d
	s.n++
	least := s.last[0]
	for _, d := range s.last[1:min(s.n, len(s.last))] {
		least = min(least, d)
	}
	s.best.Store(int64(least))
}

// known says whether the ledger has told its time at all.
func (s *skew) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n > 0
}

func (s *skew) estimate() time.Duration { return time.Duration(s.best.Load()) }

func (s *skew) exceeded() bool { return s.estimate().Abs() > maxSkew }
