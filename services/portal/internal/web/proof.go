package web

import (
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
	"github.com/yimu-ledger/yimu/services/portal/internal/pages"
)

// partsOfBallot is more events than one ballot leaves: one for each reason of a
// refusal, and one for the rest.
const partsOfBallot = 16

// receiptOf leads to the receipt of an event that is named by its place. The
// address of a receipt names the event alone: a stream of ballots names who voted.
func (s *site) receiptOf(w http.ResponseWriter, q *request) error {
	revision, err := strconv.ParseUint(q.PathValue("revision"), 10, 64)
	if err != nil {
		return problem.NotFound("no-such-page", "a revision is a number")
	}
	read, err := get[client.List[client.Event]](q, "/ledger/streams/"+client.Segment(q.PathValue("stream")),
		url.Values{"from": {client.Number(revision)}, "limit": {"1"}})
	if err != nil {
		return err
	}
	if len(read.Items) == 0 {
		return problem.NotFound("no-such-event", "the ledger has no such event")
	}
	http.Redirect(w, q.Request, "/receipts/"+client.Segment(read.Items[0].ID), http.StatusSeeOther)
	return nil
}

// receipt says what an event is, and proves that it is in the ledger. It shows
// what everyone may read.
func (s *site) receipt(w http.ResponseWriter, q *request) error {
	id, err := uuid.Parse(q.PathValue("event"))
	if err != nil {
		return problem.NotFound("no-such-page", "the id of an event is a UUID")
	}
	var m pages.Receipt
	stream, revision := "", uint64(0)
	proved, err := get[proof.Receipt](q, "/receipts/"+id.String(), nil)
	switch {
	case err == nil:
		stream, revision = proved.Event.Stream, proved.Event.Revision
		if m.Proof, err = q.proved(proved); err != nil {
			return err
		}
	case status(err) != http.StatusServiceUnavailable:
		return err
	default: // without its proof an event can still be shown
		s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "ledger"), slog.Any("error", err))
		found, missing := get[client.FoundPage](q, "/ledger/search", url.Values{"event": {id.String()}, "limit": {"1"}})
		if missing != nil || len(found.Items) == 0 {
			return err
		}
		stream, revision = found.Items[0].Stream, found.Items[0].Revision
		q.view.Refresh = 10
	}
	// The parts of one ballot are recorded together, this one among them.
	first := revision - min(revision, partsOfBallot)
	read, err := get[client.List[client.Event]](q, "/ledger/streams/"+client.Segment(stream),
		url.Values{"from": {client.Number(first)}, "limit": {strconv.Itoa(2*partsOfBallot + 1)}})
	if err != nil {
		return err
	}
	at := slices.IndexFunc(read.Items, func(e client.Event) bool { return e.Revision == revision })
	if at < 0 {
		return problem.NotFound("no-such-event", "the ledger has no such event")
	}
	m.Event = read.Items[at]
	if own, ok := ballotPart(m.Event); ok {
		for _, e := range read.Items {
			if part, ok := ballotPart(e); ok && part.Ballot == own.Ballot {
				m.Parts = append(m.Parts, part)
			}
		}
		if m.Meeting, err = get[client.Meeting](q, "/meetings/"+client.Segment(own.Meeting), nil); err != nil {
			s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "votes"), slog.Any("error", err))
		}
	}
	q.view.Title, q.view.Narrow = q.view.T("回执", "Receipt"), true
	return q.render(w, http.StatusOK, pages.ReceiptPage(q.view, m))
}

// ballotPart reads an event of a ballot; others are none.
func ballotPart(e client.Event) (part client.BallotPart, ok bool) {
	if e.Type != client.BallotCast && e.Type != client.BallotRefused {
		return part, false
	}
	return part, json.Unmarshal(e.Data, &part) == nil
}

// proved is what a page says of a proof.
func (q *request) proved(r proof.Receipt) (*pages.Proof, error) {
	c, err := proof.ParseCheckpoint(r.Checkpoint)
	if err != nil {
		return nil, err
	}
	return &pages.Proof{
		Leaf: r.Leaf, Hash: proof.Hash(r.Event.Hash()).String(), Size: c.Size, Origin: c.Origin,
		Paper: q.base() + "/receipts/" + r.Event.ID.String() + "#" + onPaper(r),
	}, nil
}

// onPaper is what must be kept of a receipt, as docs/proof.md has it: the leaf's
// number and hash, and the signed checkpoint.
func onPaper(r proof.Receipt) string {
	hash := r.Event.Hash()
	encode := base64.RawURLEncoding.EncodeToString
	return "yimu1." + client.Number(r.Leaf) + "." + encode(hash[:]) + "." + encode([]byte(r.Checkpoint))
}

// proof says how far the transparency log is, and how to check it.
func (s *site) proof(w http.ResponseWriter, q *request) error {
	m := pages.ProofModel{Server: q.base()}
	log, err := get[client.Log](q, "/ledger/log", nil)
	switch {
	case err == nil:
		m.Log = &log
	case status(err) != http.StatusServiceUnavailable:
		return err
	default:
		s.Log.WarnContext(q.Context(), "part of a page is missing", slog.String("service", "ledger"), slog.Any("error", err))
	}
	q.view.Title, q.view.Narrow = q.view.T("账本的证明", "Proof of the ledger"), true
	return q.render(w, http.StatusOK, pages.ProofPage(q.view, m))
}
