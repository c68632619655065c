package esdbserver

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/pause"
)

type streamsServer struct {
	streams.UnimplementedStreamsServer
	*Server
}

type options = streams.ReadReq_Options

// Read is the one call behind reading and subscribing.
func (s *streamsServer) Read(request *streams.ReadReq, out streams.Streams_ReadServer) error {
	if fault := s.config.Faults.Reading; fault != nil {
		if err := fault(out.Context()); err != nil {
			return err
		}
	}
	o := request.GetOptions()
	_, subscribe := o.GetCountOption().(*streams.ReadReq_Options_Subscription)
	backwards := o.GetReadDirection() == streams.ReadReq_Options_Backwards
	r := &reader{Server: s.Server, out: out, textual: o.GetUuidOption().GetString_() != nil, everything: o.GetAll() != nil}

	var err error
	switch o.GetStreamOption().(type) {
	case *streams.ReadReq_Options_Stream:
		name := string(o.GetStream().GetStreamIdentifier().GetStreamName())
		switch {
		case name == "":
			err = invalid("a stream needs a name")
		case o.GetFilter() != nil:
			err = invalid("a filter is for all events, not for one stream")
		case subscribe && backwards:
			err = invalid("a subscription goes forwards")
		case subscribe:
			err = r.followStream(out.Context(), name, o)
		default:
			err = r.readStream(out.Context(), name, o, backwards)
		}
	case *streams.ReadReq_Options_All:
		var f filter
		f, err = parseFilter(o.GetFilter())
		switch {
		case err != nil:
		case subscribe && backwards:
			err = invalid("a subscription goes forwards")
		case subscribe:
			err = r.followAll(out.Context(), f, o)
		default:
			err = r.readAll(out.Context(), f, o, backwards)
		}
	default:
		err = invalid("read needs a stream, or all")
	}
	return s.answer(out.Context(), "read", err)
}

// reader answers one Read.
type reader struct {
	*Server
	out        streams.Streams_ReadServer
	textual    bool // ids are sent as text
	everything bool // of all events, not of one stream
	sent       int
}

func (r *reader) readStream(ctx context.Context, name string, o *options, backwards bool) error {
	from, fromEnd := uint64(0), false
	switch at := o.GetStream().GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		from = at.Revision
	case *streams.ReadReq_Options_StreamOptions_End:
		fromEnd = true
	}
	length, err := r.length(ctx, name)
	switch {
	case err != nil:
		return err
	case length == 0:
		return r.put(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
			StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)},
		}}})
	case !backwards && !fromEnd:
		return r.send(r.store.Read(ctx, name, from), o.GetCount())
	case !backwards:
		return nil
	}
	if !fromEnd && from < length {
		length = from + 1
	}
	return r.send(r.streamBackwards(ctx, name, length), o.GetCount())
}

// streamBackwards yields the first events of a stream, so many, the last one
// first.
func (s *Server) streamBackwards(ctx context.Context, name string, length uint64) iter.Seq2[es.Recorded, error] {
	const most = 256
	return func(yield func(es.Recorded, error) bool) {
		for page := uint64(4); length > 0; page = min(4*page, most) {
			var step []es.Recorded
			first := length - min(length, page)
			for e, err := range s.store.Read(ctx, name, first) {
				if err != nil {
					yield(es.Recorded{}, err)
					return
				}
				if e.Revision >= length {
					break
				}
				step = append(step, e)
			}
			for _, e := range slices.Backward(step) {
				if !yield(e, nil) {
					return
				}
			}
			length = first
		}
	}
}

func (r *reader) readAll(ctx context.Context, f filter, o *options, backwards bool) error {
	position, fromEnd := es.Position(0), false
	switch at := o.GetAll().GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		position = es.Position(at.Position.GetCommitPosition())
	case *streams.ReadReq_Options_AllOptions_End:
		fromEnd = true
	}
	if o.GetCount() == 0 || fromEnd && !backwards || position == 0 && backwards && !fromEnd {
		return nil
	}
	var events iter.Seq2[es.Recorded, error]
	if backwards {
		events = r.backwards(ctx, position, f)
	} else {
		// The position is that of the first event to read, of which the store reads what comes after.
		events = r.store.ReadAll(ctx, max(position, 1)-1, f.prefixes...)
	}
	return r.send(f.only(events), o.GetCount())
}

// How far, in positions, is looked back at once.
const (
	shortLook = 4 << 10
	longLook  = 1 << 20
)

// backwards yields the events before a position, 0 for all, the last one first.
// A store is read forwards only, so that looks back in steps, longer ones each
// time, and as long as it takes over a gap.
func (s *Server) backwards(ctx context.Context, before es.Position, f filter) iter.Seq2[es.Recorded, error] {
	return func(yield func(es.Recorded, error) bool) {
		end, err := s.end(ctx)
		if err != nil {
			yield(es.Recorded{}, err)
			return
		}
		if before == 0 || before > end {
			before = end + 1
		}
		for look := es.Position(shortLook); before > 1; {
			after := max(before-1, look) - look
			var step []es.Recorded
			for e, err := range s.store.ReadAll(ctx, after, f.prefixes...) {
				if err != nil {
					yield(es.Recorded{}, err)
					return
				}
				if e.Position >= before {
					break
				}
				step = append(step, e)
			}
			for _, e := range slices.Backward(step) {
				if f.matches(e) && !yield(e, nil) {
					return
				}
			}
			if before = after + 1; look < longLook || len(step) == 0 {
				look = min(2*look, 1<<62)
			}
		}
	}
}

// end returns the position of the last event of the store.
func (s *Server) end(ctx context.Context) (es.Position, error) {
	if h, ok := s.store.(interface{ Head() es.Position }); ok {
		return h.Head(), nil
	}
	end := es.Position(0)
	for e, err := range s.store.ReadAll(ctx, 0) {
		if err != nil {
			return 0, err
		}
		end = e.Position
	}
	return end, nil
}

// length returns how many events a stream holds.
func (s *Server) length(ctx context.Context, stream string) (uint64, error) {
	if l, ok := s.store.(interface{ Length(string) (uint64, error) }); ok {
		return l.Length(stream)
	}
	length := uint64(0)
	for e, err := range s.store.Read(ctx, stream, 0) {
		if err != nil {
			return 0, err
		}
		length = e.Revision + 1
	}
	return length, nil
}

// followStream sends the events after a revision, then new ones.
func (r *reader) followStream(ctx context.Context, name string, o *options) error {
	ctx, done := r.subscribed(ctx)
	defer done()
	// First where all events end, then the stream: what comes after is in both or in the following.
	end, err := r.end(ctx)
	if err != nil {
		return err
	}
	next := uint64(0)
	switch at := o.GetStream().GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		if next = at.Revision + 1; next == 0 {
			return invalid("no stream has that revision")
		}
	case *streams.ReadReq_Options_StreamOptions_End:
		if next, err = r.length(ctx, name); err != nil {
			return err
		}
	}
	if err := r.confirm(); err != nil {
		return err
	}
	for e, err := range r.store.Read(ctx, name, next) {
		if err != nil {
			return dropped(ctx, err)
		}
		if err := r.event(e); err != nil {
			return err
		}
		next = e.Revision + 1
	}
	if err := r.caughtUp(); err != nil {
		return err
	}
	for batch, err := range r.store.Follow(ctx, end, name) {
		if err != nil {
			return dropped(ctx, err)
		}
		for _, e := range batch.Events {
			if e.Stream != name || e.Revision < next {
				continue
			}
			if err := r.event(e); err != nil {
				return err
			}
			next = e.Revision + 1
		}
	}
	return nil
}

// followAll sends the events after a position, then new ones, and where it
// stands when it passed events that do not match.
func (r *reader) followAll(ctx context.Context, f filter, o *options) error {
	ctx, done := r.subscribed(ctx)
	defer done()
	end, err := r.end(ctx)
	if err != nil {
		return err
	}
	after := es.Position(0)
	switch at := o.GetAll().GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		after = es.Position(at.Position.GetCommitPosition())
		if at.Position.GetPreparePosition() < at.Position.GetCommitPosition() && after > 0 {
			after-- // a place before the event at that commit position
		}
	case *streams.ReadReq_Options_AllOptions_End:
		after = end
	}
	if err := r.confirm(); err != nil {
		return err
	}
	caughtUp := end <= after
	if caughtUp {
		if err := r.caughtUp(); err != nil {
			return err
		}
	}
	if r.config.Faults.RareCheckpoints {
		return r.followRarely(ctx, f, o, after, end)
	}
	for batch, err := range r.store.Follow(ctx, after, f.prefixes...) {
		if err != nil {
			return dropped(ctx, err)
		}
		last := es.Position(0)
		for _, e := range batch.Events {
			if !f.matches(e) {
				continue
			}
			if err := r.event(e); err != nil {
				return err
			}
			last = e.Position
		}
		if f.given && batch.Through > last {
			if err := r.checkpoint(batch.Through, batch.Through); err != nil {
				return err
			}
		}
		if !caughtUp && batch.Through >= end {
			caughtUp = true
			if err := r.caughtUp(); err != nil {
				return err
			}
		}
		if caughtUp && last == 0 {
			_ = pause.For(ctx, aside)
		}
	}
	return nil
}

// aside is the pause of a subscription after something that was not for it: where
// others write much, it is told how far they are in steps, and not each time.
const aside = 20 * time.Millisecond

// send passes on up to count events.
func (r *reader) send(events iter.Seq2[es.Recorded, error], count uint64) error {
	if count == 0 {
		return nil
	}
	for e, err := range events {
		if err != nil {
			return err
		}
		if err := r.event(e); err != nil {
			return err
		}
		if count--; count == 0 {
			return nil
		}
	}
	return nil
}

func (r *reader) put(m *streams.ReadResp) error {
	if fault := r.config.Faults.Sending; fault != nil {
		if err := fault(r.out.Context(), r.sent, m); err != nil {
			return err
		}
	}
	r.sent++
	return r.out.Send(m)
}

func (r *reader) event(e es.Recorded) error {
	id := structured(e.ID)
	if r.textual {
		id = &shared.UUID{Value: &shared.UUID_String_{String_: e.ID.String()}}
	}
	event := &streams.ReadResp_ReadEvent_RecordedEvent{
		Id:               id,
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(e.Stream)},
		StreamRevision:   e.Revision,
		CommitPosition:   uint64(e.Position),
		PreparePosition:  uint64(e.Position),
		Metadata: map[string]string{
			"type":         e.Type,
			"content-type": "application/json",
			"created":      strconv.FormatInt(ticks(e.Created), 10),
		},
		CustomMetadata: e.Meta,
		Data:           e.Data,
	}
	m := &streams.ReadResp_ReadEvent{Event: event}
	if e.Position == 0 || r.config.Faults.NoPositions && !r.everything {
		const none = 1<<64 - 1
		event.CommitPosition, event.PreparePosition = none, none
		m.Position = &streams.ReadResp_ReadEvent_NoPosition{NoPosition: &shared.Empty{}}
	} else {
		m.Position = &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: uint64(e.Position)}
	}
	return r.put(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: m}})
}

func (r *reader) confirm() error {
	return r.put(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}})
}

func (r *reader) caughtUp() error {
	return r.put(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

func (r *reader) checkpoint(commit, prepare es.Position) error {
	return r.put(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{
		CommitPosition: uint64(commit), PreparePosition: uint64(prepare),
	}}})
}

// dropped is the error of a subscription that the store or Drop ended.
func dropped(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errDropped) {
		return errDropped
	}
	return err
}

func structured(id uuid.UUID) *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits:  int64(binary.BigEndian.Uint64(id[:8])),
		LeastSignificantBits: int64(binary.BigEndian.Uint64(id[8:])),
	}}}
}

// ticks are units of 100 ns since 1970, what EventStoreDB writes.
func ticks(t time.Time) int64 { return t.UnixNano() / 100 }

func invalid(sentence string) error { return status.Error(codes.InvalidArgument, sentence) }

// filter chooses among all events.
type filter struct {
	given    bool
	prefixes []string // of streams: what the store itself can choose by
	matches  func(es.Recorded) bool
}

func (f filter) only(events iter.Seq2[es.Recorded, error]) iter.Seq2[es.Recorded, error] {
	if !f.given {
		return events
	}
	return func(yield func(es.Recorded, error) bool) {
		for e, err := range events {
			if (err != nil || f.matches(e)) && !yield(e, err) {
				return
			}
		}
	}
}

// maxFilter bounds, in bytes, what a filter may make the server remember.
const maxFilter = 8 << 10

func parseFilter(o *streams.ReadReq_Options_FilterOptions) (filter, error) {
	if o == nil {
		return filter{matches: func(es.Recorded) bool { return true }}, nil
	}
	by, of := o.GetStreamIdentifier(), func(e es.Recorded) string { return e.Stream }
	if by == nil {
		by, of = o.GetEventType(), func(e es.Recorded) string { return e.Type }
	}
	size := len(by.GetRegex())
	for _, p := range by.GetPrefix() {
		size += len(p)
	}
	switch {
	case size > maxFilter:
		return filter{}, invalid("the filter is too long")
	case by.GetRegex() != "":
		match, err := expression(by.GetRegex())
		if err != nil {
			return filter{}, err
		}
		return filter{given: true, matches: func(e es.Recorded) bool { return match(of(e)) }}, nil
	case len(by.GetPrefix()) == 0:
		return filter{}, invalid("a filter needs a prefix or a regular expression")
	}
	prefixes := by.GetPrefix()
	f := filter{given: true, matches: func(e es.Recorded) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(of(e), p) })
	}}
	if o.GetStreamIdentifier() != nil && !slices.Contains(prefixes, "") {
		f.prefixes = prefixes
	}
	return f, nil
}

// expression reads a regular expression. Clients write them for .NET; what Go
// has on purpose not is looking around, except that clients exclude by one form
// of it, ^(?!…), which is the opposite of ^(?:…).
func expression(text string) (match func(string) bool, err error) {
	negated := strings.HasPrefix(text, "^(?!") && strings.HasSuffix(text, ")")
	if negated {
		text = "^(?:" + strings.TrimPrefix(text, "^(?!")
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, invalid("the regular expression of the filter is not understood: " + err.Error())
	}
	return func(s string) bool { return re.MatchString(s) != negated }, nil
}
