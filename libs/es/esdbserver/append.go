package esdbserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
)

// Append records events for those who may.
//
// The request is read whole before it is answered: clients that are still
// sending do not see why they are refused. Of those who may not append nothing
// is kept.
func (s *streamsServer) Append(in streams.Streams_AppendServer) error {
	ctx := in.Context()
	refused := s.mayAppend(ctx)
	first, err := in.Recv()
	if err != nil {
		return s.answer(ctx, "append", err)
	}
	to := first.GetOptions()
	var events []es.Proposed
	size := 0
	for {
		m, err := in.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s.answer(ctx, "append", err)
		}
		p := m.GetProposedMessage()
		e := es.Proposed{ID: parseID(p.GetId()), Type: p.GetMetadata()["type"], Data: p.GetData(), Meta: p.GetCustomMetadata()}
		if size += len(e.Data) + len(e.Meta) + len(e.Type) + 16; size > 2*es.MaxCommit {
			return s.answer(ctx, "append", es.ErrTooLarge)
		}
		if refused == nil {
			events = append(events, e)
		}
	}
	if refused != nil {
		return refused
	}
	if fault := s.config.Faults.Appending; fault != nil {
		if err := fault(ctx); err != nil {
			return err
		}
	}
	answer, err := s.append(ctx, to, events)
	if err != nil {
		return s.answer(ctx, "append", err)
	}
	if fault := s.config.Faults.Appended; fault != nil {
		if err := fault(ctx); err != nil {
			return err
		}
	}
	return in.SendAndClose(answer)
}

func (s *streamsServer) mayAppend(ctx context.Context) error {
	err := errors.New("this server is for reading")
	if s.config.Append != nil {
		err = s.config.Append(ctx)
	}
	if err != nil {
		s.config.Logger.WarnContext(ctx, "eventstore server: append refused", slog.Any("reason", err))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("exception", "access-denied"))
		return status.Error(codes.PermissionDenied, "Access Denied")
	}
	return nil
}

// Credentials returns the user and password that a client has in its connection
// string, for Config.Append to judge. Clients send them over TLS only.
func Credentials(ctx context.Context) (user, password string, ok bool) {
	md, _ := metadata.FromIncomingContext(ctx)
	for _, v := range md.Get("authorization") {
		if user, password, ok = (&http.Request{Header: http.Header{"Authorization": {v}}}).BasicAuth(); ok {
			return user, password, true
		}
	}
	return "", "", false
}

func (s *streamsServer) append(ctx context.Context, to *streams.AppendReq_Options, events []es.Proposed) (*streams.AppendResp, error) {
	stream := string(to.GetStreamIdentifier().GetStreamName())
	switch {
	case stream == "":
		return nil, invalid("the first message of an append names the stream")
	case len(events) == 0:
		return nil, invalid("an append needs events")
	}
	for _, e := range events {
		if e.ID == uuid.Nil || e.Type == "" {
			return nil, invalid("an event needs an id and a type")
		}
	}
	expected := uint64(0)
	switch at := to.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_NoStream:
	case *streams.AppendReq_Options_Revision:
		if expected = at.Revision + 1; expected == 0 {
			return nil, invalid("no stream has that revision")
		}
	case *streams.AppendReq_Options_Any, *streams.AppendReq_Options_StreamExists:
		return s.appendAnywhere(ctx, to, stream, events)
	default:
		return nil, invalid("an append says which revision it expects")
	}
	position, err := s.store.Append(ctx, stream, expected, events...)
	if errors.Is(err, es.ErrWrongRevision) {
		return s.wrongVersion(ctx, to, stream)
	}
	return s.success(expected+uint64(len(events))-1, position), err
}

// appendAnywhere appends at the end of the stream, or finds there what an
// earlier attempt appended.
func (s *streamsServer) appendAnywhere(ctx context.Context, to *streams.AppendReq_Options, stream string, events []es.Proposed) (*streams.AppendResp, error) {
	for {
		length, found, repeated := uint64(0), uint64(0), false
		for e, err := range s.store.Read(ctx, stream, 0) {
			if err != nil {
				return nil, err
			}
			if e.ID == events[0].ID {
				found, repeated = e.Revision, true
			}
			length = e.Revision + 1
		}
		if length == 0 && to.GetStreamExists() != nil {
			return s.wrongVersion(ctx, to, stream)
		}
		expected := length
		if repeated {
			expected = found
		}
		position, err := s.store.Append(ctx, stream, expected, events...)
		if errors.Is(err, es.ErrWrongRevision) {
			if repeated {
				return s.wrongVersion(ctx, to, stream)
			}
			continue // another writer was first
		}
		return s.success(expected+uint64(len(events))-1, position), err
	}
}

func (s *Server) success(revision uint64, position es.Position) *streams.AppendResp {
	done := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: revision},
		PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: uint64(position), PreparePosition: uint64(position),
		}},
	}
	if s.config.Faults.AppendedSomewhere {
		done.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_Success_{Success: done}}
}

// wrongVersion says what was expected and what is there, in the form of today
// and in that of 20.6, as EventStoreDB does.
func (s *streamsServer) wrongVersion(ctx context.Context, to *streams.AppendReq_Options, stream string) (*streams.AppendResp, error) {
	length, err := s.length(ctx, stream)
	if err != nil {
		return nil, err
	}
	type wrong = streams.AppendResp_WrongExpectedVersion
	var w wrong
	empty := &shared.Empty{}
	if length == 0 {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: empty}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: empty}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: length - 1}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: length - 1}
	}
	switch at := to.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_Revision:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: at.Revision}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: at.Revision}
	case *streams.AppendReq_Options_NoStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: 1<<64 - 1}
	case *streams.AppendReq_Options_Any:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: empty}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: empty}
	case *streams.AppendReq_Options_StreamExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: empty}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: empty}
	}
	return &streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: &w}}, nil
}

func parseID(id *shared.UUID) uuid.UUID {
	if s := id.GetStructured(); s != nil {
		var out uuid.UUID
		binary.BigEndian.PutUint64(out[:8], uint64(s.MostSignificantBits))
		binary.BigEndian.PutUint64(out[8:], uint64(s.LeastSignificantBits))
		return out
	}
	out, err := uuid.Parse(id.GetString_())
	if err != nil {
		return uuid.Nil
	}
	return out
}

const forEver = "what is recorded in this ledger stays: %s is not offered"

// Delete is not offered.
func (s *streamsServer) Delete(context.Context, *streams.DeleteReq) (*streams.DeleteResp, error) {
	return nil, status.Errorf(codes.Unimplemented, forEver, "deleting a stream")
}

// Tombstone is not offered.
func (s *streamsServer) Tombstone(context.Context, *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	return nil, status.Errorf(codes.Unimplemented, forEver, "tombstoning a stream")
}

// BatchAppend is not offered, and server features say so.
func (s *streamsServer) BatchAppend(streams.Streams_BatchAppendServer) error {
	return status.Error(codes.Unimplemented, "batch append is not offered; append is")
}

// answer turns an error into what a client may see; the rest goes to the log.
func (s *Server) answer(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, es.ErrTooLarge):
		limit := strconv.Itoa(es.MaxCommit)
		_ = grpc.SetTrailer(ctx, metadata.Pairs("exception", "maximum-append-size-exceeded", "maximum-append-size", limit))
		return status.Error(codes.InvalidArgument, fmt.Sprintf("Maximum Append Size of %s Exceeded.", limit))
	}
	s.config.Logger.ErrorContext(ctx, "eventstore server: "+what, slog.Any("error", err))
	return status.Error(codes.Internal, "internal error")
}
