package api

import (
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/services/internal/estates"
	"github.com/yimu-ledger/yimu/services/internal/lookback"
)

// readers is how many read the whole ledger at a time.
const readers = 2

var errManyReaders = problem.Unavailable("too-many-bundles", "others are reading the whole ledger; repeat in a minute")

// RegisterLeaves adds the route of an estate's events among the leaves of the log.
func RegisterLeaves(api huma.API, store es.Store, log *tlog.Log, prefixes []string, logger *slog.Logger) {
	registry, room := &estates.Registry{Store: store}, make(chan struct{}, readers)
	op := service.Query("leaves", "/estates/{estate}/leaves",
		"All leaves of the transparency log by their hashes, and among them the estate's events as they are stored: what a bundle is made of")
	op.Responses = map[string]*huma.Response{strconv.Itoa(http.StatusOK): {
		Description: "The file leaves of a bundle, as docs/proof.md specifies it",
		Content:     map[string]*huma.MediaType{"application/octet-stream": {}},
	}}
	huma.Register(api, op, func(ctx context.Context, in *struct {
		estates.In
		Size  uint64      `query:"size" required:"true" doc:"How many leaves: those of a checkpoint"`
		Until es.Position `query:"until" required:"true" doc:"Events up to this position are given whole"`
	}) (*huma.StreamResponse, error) {
		if err := registry.Check(ctx, in.Estate); err != nil {
			return nil, err
		}
		_, c, err := log.Checkpoint()
		if err != nil {
			return nil, err
		}
		if in.Size > c.Size {
			return nil, problem.Invalid("size-ahead", "the log has "+strconv.FormatUint(c.Size, 10)+" leaves", problem.Field{Name: "size", Code: "too-large", Detail: "is more than the log has"})
		}
		select {
		case room <- struct{}{}:
		default:
			return nil, errManyReaders
		}
		c.Size = in.Size
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			defer func() { <-room }()
			hc.SetHeader("Content-Type", "application/octet-stream")
			hc.SetHeader("Cache-Control", "no-store")
			hc.SetStatus(http.StatusOK)
			err := leaves(hc.Context(), hc.BodyWriter(), store, log.Leaves(c), prefixes, in.Estate, in.Until)
			if err == nil {
				return
			}
			if hc.Context().Err() == nil {
				logger.ErrorContext(hc.Context(), "leaves of an estate", slog.Any("error", err))
			}
			panic(http.ErrAbortHandler) // so that nobody takes it for whole
		}}, nil
	})
}

// leaves writes an entry for each leaf. The log says which events there are and in
// which order, the store what they are of: where it has another event than the log
// signed, whoever checks the bundle finds it.
func leaves(ctx context.Context, w io.Writer, store es.Store, all iter.Seq2[proof.Leaf, error], prefixes []string, estate string, until es.Position) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next, stop := iter.Pull2(store.ReadAll(ctx, 0, prefixes...))
	defer stop()
	at, ok, err := pull(next)
	streams, buffer := lookback.NewStreams(estate), append(make([]byte, 0, 2*flushed), proof.LeavesHead...)
	for leaf, failed := range all {
		if err := errors.Join(failed, err); err != nil {
			return err
		}
		e, there := at, ok && at.Stream == leaf.Stream && at.Revision == leaf.Revision
		if !there {
			if e, there, err = find(ctx, store, leaf); err != nil {
				return err
			}
		}
		if there && streams.Has(e) && e.Position <= until {
			buffer = proof.AppendEvent(buffer, leaf.Hash(), e)
		} else {
			buffer = proof.AppendHash(buffer, leaf.Hash())
		}
		for there && ok && err == nil && at.Position <= e.Position {
			at, ok, err = pull(next)
		}
		if len(buffer) >= flushed {
			if _, err := w.Write(buffer); err != nil {
				return err
			}
			buffer = buffer[:0]
		}
	}
	_, err = w.Write(buffer)
	return err
}

// flushed is how much is gathered before it is sent.
const flushed = 64 << 10

func pull(next func() (es.Recorded, error, bool)) (es.Recorded, bool, error) {
	e, err, ok := next()
	return e, ok && err == nil, err
}

// find looks for the event of a leaf where it is not the next of the store.
func find(ctx context.Context, store es.Store, leaf proof.Leaf) (es.Recorded, bool, error) {
	for e, err := range store.Read(ctx, leaf.Stream, leaf.Revision) {
		return e, err == nil && e.Revision == leaf.Revision, err
	}
	return es.Recorded{}, false, nil
}
