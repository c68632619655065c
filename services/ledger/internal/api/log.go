package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"

	"github.com/yimu-ledger/yimu/contracts/ledger"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/services/ledger/internal/board"
)

// KeysStream is where the rotations of the log's keys are recorded.
const KeysStream = ledger.LogStream + "keys"

// patience is how long a receipt waits for its leaf to be signed.
const patience = 2 * time.Second

// LogState is how far the transparency log is.
type LogState struct {
	Body struct {
		Origin     string      `json:"origin" doc:"the log's name"`
		Keys       []string    `json:"keys" nullable:"false" doc:"its public keys, origin+hash+key, the one that signs first. Do not trust them because they stand here"`
		Rotations  []string    `json:"rotations" nullable:"false" doc:"signed notes that lead from the log's first key to today's"`
		Size       uint64      `json:"size" doc:"how many leaves are signed"`
		Position   es.Position `json:"position" doc:"of the event of the last of them; 0 where there is none"`
		Checkpoint string      `json:"checkpoint" doc:"a signed note: origin, size and root"`
	}
}

// Receipt proves that an event is in the log.
type Receipt struct{ Body proof.Receipt }

// Extension proves that the log was only appended to.
type Extension struct{ Body proof.Extension }

// Place is where an event is.
type Place struct{ Body board.Place }

// Refusals.
var (
	errNoSuchEvent = problem.NotFound("no-such-event", "the ledger has no event with this id")
	errNoSuchPlace = problem.NotFound("no-such-place", "the ledger has no event there")
	errNotSigned   = problem.Unavailable("not-signed", "the transparency log has not signed this yet; repeat in a moment")
	errOnePlace    = problem.Invalid("invalid", "say one of event, leaf, position and recorded")
)

// Signed returns what says how far the ledger is signed; the zero value where it
// is not, or the board has not followed.
func Signed(log *tlog.Log, b *board.Board) func(context.Context) (proof.Signed, error) {
	return func(ctx context.Context) (s proof.Signed, err error) {
		signed, c, err := log.Checkpoint()
		if errors.Is(err, fs.ErrNotExist) || err == nil && c.Size == 0 {
			return s, nil
		}
		if err != nil {
			return s, err
		}
		last, ok, err := b.Leaf(ctx, c.Size-1)
		if ok {
			s = proof.Signed{Position: last.Position, Checkpoint: signed}
		}
		return s, err
	}
}

// transparency answers about the log.
type transparency struct {
	store es.Store
	log   *tlog.Log
	board *board.Board
}

// RegisterLog adds the routes of the transparency log.
func RegisterLog(api huma.API, store es.Store, log *tlog.Log, b *board.Board) {
	t := transparency{store, log, b}
	huma.Register(api, service.Query("receipt", "/receipts/{event}", "Prove that an event is in the ledger"), func(ctx context.Context, in *struct {
		Event uuid.UUID `path:"event" doc:"its id, as a command's answer has it"`
	}) (*Receipt, error) {
		return t.receipt(ctx, in.Event)
	})
	huma.Register(api, service.Query("extension", "/ledger/extension", "Prove that the ledger was only appended to"), func(ctx context.Context, in *struct {
		Old uint64 `query:"old" required:"true" doc:"size of an older checkpoint"`
	}) (*Extension, error) {
		return t.extension(ctx, in.Old)
	})
	huma.Register(api, service.Query("log", "/ledger/log", "How far the transparency log is, and its keys"), func(ctx context.Context, _ *struct{}) (*LogState, error) {
		return t.state(ctx)
	})
	huma.Register(api, service.Query("place", "/ledger/place", "Find an event by its id, its leaf, a position or a time"), func(ctx context.Context, in *struct {
		Event    uuid.UUID   `query:"event" doc:"its id"`
		Leaf     string      `query:"leaf" pattern:"^[0-9]{1,18}$" doc:"its number in the transparency log, from 0"`
		Position es.Position `query:"position" doc:"the last event at or before this position"`
		Recorded time.Time   `query:"recorded" doc:"the last event recorded at or before this time"`
	}) (*Place, error) {
		return t.place(ctx, in.Event, in.Leaf, in.Position, in.Recorded)
	})
}

func (t transparency) receipt(ctx context.Context, id uuid.UUID) (*Receipt, error) {
	at, err := t.find(ctx, errNoSuchEvent, func() (board.Place, bool, error) { return t.board.Event(ctx, id) })
	if err != nil {
		return nil, err
	}
	signed, c, err := t.await(ctx, at.Leaf+1)
	if err != nil {
		return nil, err
	}
	leaf, err := t.log.Leaf(c, at.Leaf)
	if err != nil {
		return nil, err
	}
	e, err := t.read(ctx, leaf.Stream, leaf.Revision)
	if err != nil {
		return nil, err
	}
	if leaf.ID != id || proof.LeafOf(e) != leaf {
		return nil, fmt.Errorf("ledger: event %s should be leaf %d of the log, and that is of %s at revision %d, event %s", id, at.Leaf, leaf.Stream, leaf.Revision, leaf.ID)
	}
	inclusion, err := t.log.Inclusion(c, at.Leaf)
	if err != nil {
		return nil, err
	}
	rotations, err := t.rotations(ctx, signed)
	return &Receipt{proof.Receipt{
		Format: proof.ReceiptFormat, Event: leaf, Data: e.Data, Meta: e.Meta, Leaf: at.Leaf, Proof: inclusion, Checkpoint: signed, Rotations: rotations,
	}}, err
}

// find finds a place, also of what was recorded just now; missing is said where
// there is none.
func (t transparency) find(ctx context.Context, missing error, find func() (board.Place, bool, error)) (board.Place, error) {
	at, ok, err := find()
	if err != nil || ok {
		return at, err
	}
	return t.findLast(ctx, missing, find)
}

// findLast finds a place where the board is not behind: it could name an earlier one.
func (t transparency) findLast(ctx context.Context, missing error, find func() (board.Place, bool, error)) (board.Place, error) {
	if err := t.board.CatchUp(ctx); err != nil {
		return board.Place{}, err
	}
	at, ok, err := find()
	if err == nil && !ok {
		err = missing
	}
	return at, err
}

// await waits until so many leaves are signed.
func (t transparency) await(ctx context.Context, size uint64) (string, proof.Checkpoint, error) {
	waiting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	signed, c, err := t.log.Await(waiting, size)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = errNotSigned
	}
	return signed, c, err
}

func (t transparency) read(ctx context.Context, stream string, revision uint64) (es.Recorded, error) {
	for e, err := range t.store.Read(ctx, stream, revision) {
		return e, err
	}
	return es.Recorded{}, fmt.Errorf("ledger: the log has %s at revision %d, and the store does not", stream, revision)
}

// rotations returns those of the log's keys, as the ledger has them, as far as
// the keys they lead to have signed.
func (t transparency) rotations(ctx context.Context, signed string) ([]string, error) {
	all := []string{}
	signs := 0 // how many of all lead to a key that has signed
	for e, err := range t.store.Read(ctx, KeysStream, 0) {
		if err != nil {
			return nil, err
		}
		decoded, err := ledger.Codec.Decode(e.Type, e.Data)
		if err != nil {
			return nil, err
		}
		rotated, ok := decoded.(ledger.LogKeyRotated)
		if !ok || !strings.HasPrefix(rotated.New, t.log.Origin()+"+") {
			continue // of another log
		}
		key, err := note.NewVerifier(rotated.New)
		if err != nil {
			return nil, err
		}
		all = append(all, rotated.Note)
		if _, err := note.Open([]byte(signed), note.VerifierList(key)); err == nil {
			signs = len(all)
		}
	}
	return slices.Clip(all[:signs]), nil
}

func (t transparency) extension(ctx context.Context, old uint64) (*Extension, error) {
	signed, c, err := t.await(ctx, 0)
	if err != nil {
		return nil, err
	}
	if old > c.Size {
		return nil, problem.Invalid("size-ahead", "the log has "+strconv.FormatUint(c.Size, 10)+" leaves; whoever holds a signed checkpoint of more should keep it, it proves that the log went back",
			problem.Field{Name: "old", Code: "too-large", Detail: "is more than the log has"})
	}
	root, consistency, err := t.log.Extension(c, old)
	if err != nil {
		return nil, err
	}
	rotations, err := t.rotations(ctx, signed)
	return &Extension{proof.Extension{
		Format: proof.ExtensionFormat, OldSize: old, OldRoot: root, Proof: consistency, Checkpoint: signed, Rotations: rotations,
	}}, err
}

func (t transparency) state(ctx context.Context) (*LogState, error) {
	signed, c, err := t.await(ctx, 0)
	if err != nil {
		return nil, err
	}
	out := &LogState{}
	out.Body.Origin, out.Body.Size, out.Body.Checkpoint = t.log.Origin(), c.Size, signed
	for _, key := range t.log.Keys() {
		out.Body.Keys = append(out.Body.Keys, key.Text)
	}
	if out.Body.Rotations, err = t.rotations(ctx, signed); err != nil || c.Size == 0 {
		return out, err
	}
	last, err := t.find(ctx, errNoSuchPlace, func() (board.Place, bool, error) { return t.board.Leaf(ctx, c.Size-1) })
	out.Body.Position = last.Position
	return out, err
}

func (t transparency) place(ctx context.Context, event uuid.UUID, leaf string, position es.Position, recorded time.Time) (*Place, error) {
	var by []func() (board.Place, bool, error)
	if event != uuid.Nil {
		by = append(by, func() (board.Place, bool, error) { return t.board.Event(ctx, event) })
	}
	if leaf != "" {
		n, err := strconv.ParseUint(leaf, 10, 64)
		if err != nil {
			return nil, err
		}
		by = append(by, func() (board.Place, bool, error) { return t.board.Leaf(ctx, n) })
	}
	if position != 0 {
		by = append(by, func() (board.Place, bool, error) { return t.board.At(ctx, position) })
	}
	if !recorded.IsZero() {
		by = append(by, func() (board.Place, bool, error) { return t.board.Recorded(ctx, recorded) })
	}
	if len(by) != 1 {
		return nil, errOnePlace
	}
	find := t.find
	if position != 0 || !recorded.IsZero() {
		find = t.findLast
	}
	at, err := find(ctx, errNoSuchPlace, by[0])
	return &Place{at}, err
}
