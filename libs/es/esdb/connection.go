package esdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"sync"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/yimu-ledger/yimu/libs/es"
)

// connection keeps the client in bounds.
//
// The client takes no context while it looks for a server, and when it has
// tried often enough it stops for good: from then on callers that were not told
// in time wait for ever, and closing it lets them panic. So it is told never to
// stop looking, every call of it runs in a goroutine that its caller may leave,
// and while there is no connection only one goroutine asks it.
type connection struct {
	client   *client.Client
	logger   *slog.Logger
	patience time.Duration

	closed  context.Context // done when the store is closed
	stop    context.CancelFunc
	running sync.WaitGroup // goroutines inside the client

	mu      sync.Mutex
	up      bool
	looking *search // while not up and someone asked
}

// search is one wait for a server.
type search struct {
	done chan struct{}
	err  error // after done
}

// Check says what is wrong with a connection string, the files it names
// included. It connects to nothing.
func Check(connectionString string) error {
	_, err := parse(connectionString)
	return err
}

func parse(connectionString string) (*client.Configuration, error) {
	settings, err := client.ParseConnectionString(connectionString)
	// The error of a URL repeats it, password included.
	if e := (*url.Error)(nil); errors.As(err, &e) {
		err = e.Err
	}
	if err != nil {
		return nil, fmt.Errorf("esdb: connection string: %w", err)
	}
	return settings, nil
}

func connect(config Config) (*connection, error) {
	settings, err := parse(config.ConnectionString)
	if err != nil {
		return nil, err
	}
	if settings.DisableTLS && settings.Username != "" {
		config.Logger.Warn("eventstore: credentials are not sent without TLS")
	}
	settings.MaxDiscoverAttempts = math.MaxInt
	settings.Logger = func(level client.LogLevel, format string, args ...any) {
		// What matters comes back as an error, so even the client's errors are details.
		config.Logger.Debug("eventstore: "+fmt.Sprintf(format, args...), slog.Any("level", level))
	}
	c, err := client.NewClient(settings)
	if err != nil {
		return nil, fmt.Errorf("esdb: connection string: %w", err)
	}
	closed, stop := context.WithCancel(context.Background())
	return &connection{client: c, logger: config.Logger, patience: config.ConnectDeadline, closed: closed, stop: stop}, nil
}

// Close ends running calls with an error.
func (c *connection) Close() error {
	c.mu.Lock()
	c.stop() // nobody enters after this
	c.mu.Unlock()
	left := make(chan struct{})
	go func() { defer close(left); c.running.Wait() }()
	select {
	case <-left:
		return c.client.Close()
	case <-time.After(time.Second):
		// It still looks for a server; closing it now could panic.
		return nil
	}
}

// ready waits for a connection.
func (c *connection) ready(ctx context.Context) error {
	c.mu.Lock()
	if c.up {
		c.mu.Unlock()
		return nil
	}
	if c.closed.Err() != nil {
		c.mu.Unlock()
		return ErrClosed
	}
	if c.looking == nil {
		c.looking = &search{done: make(chan struct{})}
		c.running.Add(1)
		go c.look(c.looking)
	}
	s := c.looking
	c.mu.Unlock()

	late := time.NewTimer(c.patience)
	defer late.Stop()
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	case <-c.closed.Done():
		return ErrClosed
	case <-late.C:
		return fmt.Errorf("%w: no server within %v", es.ErrUnavailable, c.patience)
	}
}

func (c *connection) look(s *search) {
	defer c.running.Done()
	version, err := guarded(c.client.GetServerVersion)
	if err == nil && (version.Major < 23 || version.Major == 23 && version.Minor < 10) {
		err = fmt.Errorf("server is %d.%d, need 23.10", version.Major, version.Minor)
	}
	c.mu.Lock()
	c.up, c.looking, s.err = err == nil, nil, err
	c.mu.Unlock()
	close(s.done)
}

// note remembers what an error says about the connection.
func (c *connection) note(err error) {
	if passing(err) {
		c.mu.Lock()
		c.up = false
		c.mu.Unlock()
	}
}

// call runs one call of the client. Where the caller leaves first, a late
// result is given to discard.
func call[T any](ctx context.Context, c *connection, discard func(T), do func(context.Context) (T, error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if err := c.ready(ctx); err != nil {
		return none, err
	}
	answer := make(chan received[T], 1)
	if !c.enter() {
		return none, ErrClosed
	}
	go func() {
		defer c.running.Done()
		v, err := guarded(func() (T, error) { return do(ctx) })
		c.note(err)
		answer <- received[T]{v, err}
	}()
	select {
	case r := <-answer:
		return r.value, r.err
	case <-ctx.Done():
	case <-c.closed.Done():
	}
	go func() {
		if r := <-answer; r.err == nil && discard != nil {
			discard(r.value)
		}
	}()
	if c.closed.Err() != nil {
		return none, ErrClosed
	}
	return none, ctx.Err()
}

// enter counts a goroutine that will be inside the client.
func (c *connection) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Err() != nil {
		return false
	}
	c.running.Add(1)
	return true
}

// received is an answer of the client.
type received[T any] struct {
	value T
	err   error
}

// pump receives until an error, which comes last. So many answers as room is
// there for wait for the reader, then the server does.
func pump[T any](ctx context.Context, c *connection, room int, leave func(), receive func() (T, error)) <-chan received[T] {
	out := make(chan received[T], room)
	if !c.enter() {
		leave()
		out <- received[T]{err: ErrClosed}
		return out
	}
	go func() {
		defer c.running.Done()
		defer leave()
		for {
			v, err := guarded(receive)
			c.note(err)
			select {
			case out <- received[T]{v, err}:
			case <-ctx.Done():
				return
			case <-c.closed.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// next waits for what pump received, or for the alarm.
func next[T any](ctx context.Context, c *connection, in <-chan received[T], alarm <-chan time.Time) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	select {
	case r := <-in:
		return r.value, r.err
	case <-alarm:
		return none, errSettled
	case <-ctx.Done():
		return none, ctx.Err()
	case <-c.closed.Done():
		return none, ErrClosed
	}
}

// guarded makes an error of the client's panics: it has one for answers it does
// not know, and one for being closed at the wrong moment.
func guarded[T any](do func() (T, error)) (v T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("esdb: client: %v", p)
		}
	}()
	return do()
}
