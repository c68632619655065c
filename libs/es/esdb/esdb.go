// Package esdb is an [es.Store] on EventStoreDB or KurrentDB, 23.10 or newer.
//
// A position is the server's commit position: an offset in bytes, with the
// server's own events between ours.
//
// Server and client have edges that this package takes off:
//
//   - The server recognises a repeated append by the ids of its events right
//     after the expected revision, and by nothing else. That is what
//     [es.Store] promises, so it is used as it stands.
//   - Some servers tell positions on stream reads and some do not. Read never
//     does, so that nothing comes to depend on it.
//   - A repeated append may be answered without a position. Append asks then.
//   - A subscription ends when its connection does. Follow resumes it.
//   - A filtered subscription says where it stands only once in a window of
//     events, and while it catches up it names a place that an event may yet
//     take. See follow.
//   - The client ignores contexts while it looks for a server. See client.
package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
)

// ErrClosed is the error of every call after, and of every read during, Close.
var ErrClosed = errors.New("esdb: store is closed")

// Config says where the server is and how long to wait for it.
type Config struct {
	// ConnectionString in the form of EventStoreDB's clients:
	// esdb://user:password@host:2113?tlsCaFile=ca.crt for one server,
	// esdb+discover://host:2113 or esdb://a:2113,b:2113,c:2113 for a cluster,
	// ?tls=false for one that is reached without TLS; credentials are then not sent.
	ConnectionString string

	AppendDeadline  time.Duration // of one append with its retries; 10 s if zero
	ConnectDeadline time.Duration // a call fails after waiting this long for a server; 5 s if zero
	FollowPatience  time.Duration // Follow ends with the error after failing for so long; 30 s if zero

	Logger *slog.Logger // of what the client has to say; slog.Default() if nil
}

// Store is a connection to a server or cluster, for any number of goroutines.
type Store struct {
	*connection
	config Config

	feeding sync.Mutex
	feed    *feed // nil while nobody follows at the end
}

var _ es.Store = (*Store)(nil)

// Open reads the connection string. It does not connect: the first call does,
// so that servers and services start in any order.
func Open(config Config) (*Store, error) {
	config.AppendDeadline = or(config.AppendDeadline, 10*time.Second)
	config.ConnectDeadline = or(config.ConnectDeadline, 5*time.Second)
	config.FollowPatience = or(config.FollowPatience, 30*time.Second)
	if config.Logger == nil {
		config.Logger = slog.Default()
	}
	c, err := connect(config)
	if err != nil {
		return nil, err
	}
	return &Store{connection: c, config: config}, nil
}

func or(d, otherwise time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return otherwise
}

// Append implements [es.Store]. Where the server is not the leader or cannot
// be reached, the append is repeated within its deadline.
func (s *Store) Append(ctx context.Context, stream string, expected uint64, events ...es.Proposed) (es.Position, error) {
	what := "append to " + stream
	if len(events) == 0 {
		return 0, fmt.Errorf("esdb: %s: no events", what)
	}
	if largest, total := (es.Commit{Events: events}).Size(); largest > es.MaxEvent || total > es.MaxCommit {
		return 0, fmt.Errorf("esdb: %s: %w", what, es.ErrTooLarge)
	}
	deadline, cancel := context.WithTimeout(ctx, s.config.AppendDeadline)
	defer cancel()

	options := client.AppendToStreamOptions{Deadline: &s.config.AppendDeadline, ExpectedRevision: client.NoStream{}}
	if expected > 0 {
		options.ExpectedRevision = client.Revision(expected - 1)
	}
	data := make([]client.EventData, len(events))
	for i, e := range events {
		data[i] = client.EventData{EventID: e.ID, EventType: e.Type, ContentType: client.ContentTypeJson, Data: e.Data, Metadata: e.Meta}
	}
	written, err := retry(deadline, func() (*client.WriteResult, error) {
		return call(deadline, s.connection, nil, func(ctx context.Context) (*client.WriteResult, error) {
			return s.client.AppendToStream(ctx, stream, options, data...)
		})
	})
	switch {
	case hasCode(err, client.ErrorCodeWrongExpectedVersion):
		return 0, fmt.Errorf("esdb: %s: %w", what, es.ErrWrongRevision)
	case err != nil:
		return 0, s.failed(deadline, what, err)
	case written.CommitPosition == 0:
		position, err := s.position(deadline, stream, expected+uint64(len(events))-1)
		if err != nil {
			return 0, s.failed(deadline, what+": recorded, but where", err)
		}
		return position, nil
	}
	return es.Position(written.CommitPosition), nil
}

// position asks where an event stands that an append did not tell: so it is
// where one is repeated before it is replicated. It is the one use of positions
// on stream reads.
func (s *Store) position(ctx context.Context, stream string, revision uint64) (es.Position, error) {
	options := client.ReadStreamOptions{From: client.Revision(revision)}
	for e, err := range s.read(ctx, func(ctx context.Context) (*client.ReadStream, error) {
		return s.client.ReadStream(ctx, stream, options, 1)
	}) {
		if err != nil {
			return 0, err
		}
		if p := e.OriginalEvent().Position.Commit; e.OriginalEvent().EventNumber == revision && p != 0 && p != math.MaxUint64 {
			return es.Position(p), nil
		}
		break
	}
	return 0, errors.New("the server does not say")
}

// Read implements [es.Store]. Positions are not told.
func (s *Store) Read(ctx context.Context, stream string, from uint64) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		options := client.ReadStreamOptions{From: client.Revision(from)}
		for e, err := range s.read(ctx, func(ctx context.Context) (*client.ReadStream, error) {
			return s.client.ReadStream(ctx, stream, options, everything)
		}) {
			switch {
			case missing(err):
				return
			case err != nil:
				yield(es.Recorded{}, s.failed(ctx, "read "+stream, err))
				return
			}
			r := recorded(e)
			r.Position = 0
			if !yield(r, nil) {
				return
			}
		}
	}
}

const everything = 1<<63 - 1

// ReadAll implements [es.Store].
//
// The client has no filtered read of all events, so this is a filtered
// subscription that is left where the store ended.
func (s *Store) ReadAll(ctx context.Context, after es.Position, prefixes ...string) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		err := s.readAll(ctx, after, prefixes, yield)
		if err != nil && !errors.Is(err, errLeft) {
			yield(es.Recorded{}, s.failed(ctx, "read all", err))
		}
	}
}

// errLeft says that the consumer of an iterator wants no more.
var errLeft = errors.New("esdb: left")

func (s *Store) readAll(ctx context.Context, after es.Position, prefixes []string, yield func(es.Recorded, error) bool) error {
	end, err := s.end(ctx)
	if err != nil || end <= after {
		return err
	}
	sub, err := s.subscribe(ctx, exactly(after), catchUpWindow, prefixes)
	if err != nil {
		return err
	}
	defer sub.close()
	for {
		n, err := sub.next(ctx, nil)
		switch {
		case err != nil:
			return err
		case n.event != nil && n.event.Position <= end && !yield(*n.event, nil):
			return errLeft
		case n.caughtUp || passed(n.at, end):
			return nil
		}
	}
}

// End returns the position of the last event of the server, its own included; a
// follower passes it within a second.
func (s *Store) End(ctx context.Context) (es.Position, error) {
	end, err := s.end(ctx)
	if err != nil {
		return 0, s.failed(ctx, "find the end", err)
	}
	return end, nil
}

// end returns the position of the last event of the server, its own included.
func (s *Store) end(ctx context.Context) (es.Position, error) {
	options := client.ReadAllOptions{Direction: client.Backwards, From: client.End{}}
	for e, err := range s.read(ctx, func(ctx context.Context) (*client.ReadStream, error) {
		return s.client.ReadAll(ctx, options, 1)
	}) {
		if err != nil {
			return 0, err
		}
		return es.Position(e.OriginalEvent().Position.Commit), nil
	}
	return 0, nil
}

// read yields what a read of the client yields. It starts again where nothing
// came yet and the server was gone or not the leader.
func (s *Store) read(ctx context.Context, open func(context.Context) (*client.ReadStream, error)) iter.Seq2[*client.ResolvedEvent, error] {
	return func(yield func(*client.ResolvedEvent, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type started struct {
			in    <-chan received[*client.ResolvedEvent]
			first received[*client.ResolvedEvent]
		}
		r, err := retry(ctx, func() (started, error) {
			stream, err := call(ctx, s.connection, (*client.ReadStream).Close, open)
			if err != nil {
				return started{}, err
			}
			in := pump(ctx, s.connection, 16, stream.Close, stream.Recv) // most streams are short
			first, err := next(ctx, s.connection, in, nil)
			return started{in, received[*client.ResolvedEvent]{first, nil}}, err
		})
		e := r.first.value
		for ; err == nil; e, err = next(ctx, s.connection, r.in, nil) {
			if !yield(e, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}

// missing tells the answer that there is no such stream from a failure that
// happens to have the same code, such as a leader that is not known.
func missing(err error) bool {
	var e *client.Error
	if !errors.As(err, &e) || e.Code() != client.ErrorCodeResourceNotFound {
		return false
	}
	_, fromTransport := status.FromError(e.Err())
	return !fromTransport
}

// recorded reads the event itself, never what a link points to.
func recorded(e *client.ResolvedEvent) es.Recorded {
	o := e.OriginalEvent()
	return es.Recorded{
		Stream: o.StreamID, Revision: o.EventNumber, Position: es.Position(o.Position.Commit),
		ID: o.EventID, Type: o.EventType, Data: o.Data, Meta: o.UserMetadata, Created: o.CreatedDate,
	}
}

// foreign says whether an event is none of ours: in a stream of the server, or
// a link, which a projection may write anywhere.
func foreign(r es.Recorded) bool {
	return strings.HasPrefix(r.Stream, "$") || r.Type == "$>"
}

func hasCode(err error, code client.ErrorCode) bool {
	var e *client.Error // client.FromError does not look into wrapped errors
	return errors.As(err, &e) && e.Code() == code
}

// passing says whether trying again may help.
func passing(err error) bool {
	return hasCode(err, client.ErrorCodeNotLeader) || hasCode(err, client.ErrorUnavailable) || status.Code(err) == codes.Unavailable
}

// retry repeats a call whose trouble is passing, a few times.
func retry[T any](ctx context.Context, try func() (T, error)) (T, error) {
	for wait := 20 * time.Millisecond; ; wait *= 3 {
		v, err := try()
		if err == nil || !passing(err) || wait > time.Second {
			return v, err
		}
		if pause.For(ctx, wait) != nil {
			return v, err
		}
	}
}

// failed names what failed. The error of a context is that of the context.
func (s *Store) failed(ctx context.Context, what string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("esdb: %s: %w", what, ctx.Err())
	case s.closed.Err() != nil:
		return ErrClosed
	case hasCode(err, client.ErrorCodeDeadlineExceeded):
		return fmt.Errorf("esdb: %s: %w (%w)", what, context.DeadlineExceeded, err)
	case passing(err):
		return fmt.Errorf("esdb: %s: %w: %w", what, es.ErrUnavailable, err)
	}
	return fmt.Errorf("esdb: %s: %w", what, err)
}
