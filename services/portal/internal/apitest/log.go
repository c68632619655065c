package apitest

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/problem"
	"github.com/yimu-ledger/yimu/libs/proof"
)

// log is a transparency log of the stand-in's streams, signed with a key that is
// the same each time.
type log struct {
	events []es.Recorded
	hashes []tlog.Hash // as tlog stores them
	signed string
	key    string // public
}

const origin = "apitest.example/log"

// zeros is a bad source of randomness.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// ReadHashes implements tlog.HashReader.
func (l *log) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		list[i] = l.hashes[index]
	}
	return list, nil
}

func newLog(streams ...string) *log {
	l := &log{}
	for _, stream := range streams {
		for i, e := range streamOf(stream) {
			data, err := json.Marshal(e["data"])
			must(err)
			meta, err := json.Marshal(e["meta"])
			must(err)
			recorded, err := time.Parse(time.RFC3339, e["recorded"].(string))
			must(err)
			l.events = append(l.events, es.Recorded{
				Stream: stream, Revision: uint64(i), ID: uuid.MustParse(e["id"].(string)), Type: e["type"].(string), Data: data, Meta: meta, Created: recorded,
			})
		}
	}
	for i, e := range l.events {
		more, err := tlog.StoredHashes(int64(i), proof.LeafOf(e).Bytes(), l)
		must(err)
		l.hashes = append(l.hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(l.events)), l)
	must(err)
	private, public, err := note.GenerateKey(zeros{}, origin)
	must(err)
	signer, err := note.NewSigner(private)
	must(err)
	signed, err := note.Sign(&note.Note{Text: origin + "\n" + strconv.Itoa(len(l.events)) + "\n" + root.String() + "\n"}, signer)
	must(err)
	l.signed, l.key = string(signed), public
	return l
}

// Key is the public key of the stand-in's log.
func Key() string { return newLog().key }

func (l *log) receipt(r *http.Request) (any, error) {
	for i, e := range l.events {
		if e.ID.String() != r.PathValue("event") {
			continue
		}
		path, err := tlog.ProveRecord(int64(len(l.events)), int64(i), l)
		must(err)
		receipt := proof.Receipt{Format: proof.ReceiptFormat, Event: proof.LeafOf(e), Data: e.Data, Meta: e.Meta, Leaf: uint64(i), Proof: []proof.Hash{}, Checkpoint: l.signed}
		for _, h := range path {
			receipt.Proof = append(receipt.Proof, proof.Hash(h))
		}
		return receipt, nil
	}
	return nil, problem.NotFound("no-such-event", "the ledger has no event with this id")
}

func (l *log) state(*http.Request) (any, error) {
	return object{"origin": origin, "keys": []string{l.key}, "rotations": []string{}, "size": len(l.events), "position": Position, "checkpoint": l.signed}, nil
}

// streamOf is the events of a stream. Any that is not known has a ballot.
func streamOf(stream string) []object {
	event := func(revision int, kind string, data object) object {
		return object{"position": 18260 + revision, "stream": stream, "revision": revision, "id": EventID(stream, revision), "type": kind, "data": data,
			"meta":     object{"actor": "1f2e3d4c-5b6a-4978-8a9b-0c1d2e3f4a5b", "$correlationId": "c0ffee00-5b6a-4978-8a9b-0c1d2e3f4a5b"},
			"recorded": "2026-11-21T11:32:07+08:00", "hash": "1c7a5e0f93b2d4c6a8e0f1b3d5c7a9e1f2b4d6c8a0e2f4b6d8c0a2e4f6b8d0c2"}
	}
	refused := func(ballot, reason string, motions ...string) object {
		return object{"ballot": ballot, "meeting": Open, "motions": motions, "reason": reason}
	}
	cast := event(0, "ballot-cast.v1", object{"ballot": "a", "meeting": Open, "motions": []string{"M1", "M2"}, "sealed": strings.Repeat("QUJD", 300)})
	switch stream {
	case MixedBallots: // one in part, then one that was refused
		return []object{cast, event(1, "ballot-cast.v1", object{"ballot": "b", "meeting": Open, "motions": []string{"M1"}}),
			event(2, "ballot-refused.v1", refused("b", "not-in-scope", "M2")), event(3, "ballot-refused.v1", refused("c", "already-voted", "M1"))}
	case "workorder-" + FirstOrder:
		return []object{event(0, "work-order-reported.v1", object{})}
	case "meeting-" + Closed:
		return meetingEvents()
	}
	return []object{cast}
}

// EventID is the id of an event of the stand-in, but for those of the closed meeting.
func EventID(stream string, revision int) string {
	return uuid.NewSHA1(uuid.NameSpaceOID, []byte(stream+"/"+strconv.Itoa(revision))).String()
}
