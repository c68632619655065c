package esdbserver

import (
	"context"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Faults make the server do what a cluster of EventStoreDB does on a bad day.
// They are for tests only; no setting of a service reaches them.
type Faults struct {
	Reading   func(ctx context.Context) error // before a read or subscription; an error is the answer
	Appending func(ctx context.Context) error // before an append; an error is the answer
	Appended  func(ctx context.Context) error // after it was recorded, before the answer; an error is the answer

	// Sending is called before the nth message, from 0, of a read or
	// subscription; an error breaks it there.
	Sending func(ctx context.Context, n int, m *streams.ReadResp) error

	// NoPositions keeps positions back on reads of one stream, as EventStoreDB
	// did before 22.10.
	NoPositions bool

	// AppendedSomewhere keeps positions back on appends, as EventStoreDB does
	// where an append is repeated before the first one is replicated.
	AppendedSomewhere bool

	// RareCheckpoints tells of progress as seldom and as vaguely as
	// EventStoreDB: see followRarely.
	RareCheckpoints bool
}

// NotLeader is the answer of a follower that knows its leader. It must be
// returned by a handler or fault of ctx.
func NotLeader(ctx context.Context, host string, port int) error {
	_ = grpc.SetTrailer(ctx, metadata.Pairs(
		"exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", strconv.Itoa(port)))
	return status.Error(codes.NotFound, "Leader info available")
}

// followRarely is followAll with the checkpoints of EventStoreDB, which looks
// at a window of events at a time.
//
// While it catches up, a checkpoint comes after a window, but names the place
// before it: (c, 0), where c is of an event or of one yet to be recorded. The
// first one after catching up comes here right before the event that is then
// recorded at c, where it does most harm. From then on a checkpoint comes after
// each window, and is the place of an event.
func (r *reader) followRarely(ctx context.Context, f filter, o *options, after, end es.Position) error {
	interval := int(max(o.GetFilter().GetMax(), 1) * max(o.GetFilter().GetCheckpointIntervalMultiplier(), 1))
	considered, live, told := 0, end <= after, false
	start := after // of the window
	for batch, err := range r.store.Follow(ctx, after) {
		if err != nil {
			return dropped(ctx, err)
		}
		for _, e := range batch.Events {
			if live && !told {
				told = true
				if err := r.checkpoint(e.Position, 0); err != nil {
					return err
				}
			}
			if f.matches(e) {
				if err := r.event(e); err != nil {
					return err
				}
			}
			considered++
			switch {
			case live && considered >= interval:
				considered = 0
				if err := r.checkpoint(e.Position, e.Position); err != nil {
					return err
				}
			case !live && considered >= interval:
				considered = 0
				if err := r.checkpoint(max(start, 1), 0); err != nil {
					return err
				}
				start = e.Position
			}
		}
		if !live && batch.Through >= end {
			live, considered = true, 0
			if err := r.caughtUp(); err != nil {
				return err
			}
		}
	}
	return nil
}
