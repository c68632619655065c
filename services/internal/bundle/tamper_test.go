package bundle_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/finance"
	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	xlog "github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/contracts"
	money "github.com/yimu-ledger/yimu/services/finance"
	"github.com/yimu-ledger/yimu/services/internal/bundle"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/internal/servicetest"
	"github.com/yimu-ledger/yimu/services/ledger"
	meetings "github.com/yimu-ledger/yimu/services/votes"
	"github.com/yimu-ledger/yimu/services/workorders"
)

type body = map[string]any

var parts = []servicetest.Part{
	{Context: ledger.Agreements, New: func(ctx context.Context, s *servicetest.System, deps service.Deps) (*service.Service, error) {
		return contracts.New(ctx, deps, contracts.Config{Owners: s.Directory.Owners})
	}},
	{Context: ledger.Workorders, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return workorders.New(ctx, deps, workorders.Config{})
	}},
	{Context: ledger.Finance, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return money.New(ctx, deps, money.Config{})
	}},
	{Context: ledger.Votes, New: func(ctx context.Context, _ *servicetest.System, deps service.Deps) (*service.Service, error) {
		return meetings.New(ctx, deps, meetings.Config{})
	}},
}

// town is a system with two estates, in one of which owners vote.
type town struct {
	*servicetest.System
	t             *testing.T
	keys          proof.Keys
	estate, other string
	clerk         string // id
	homes         []servicetest.Home
	stranger      string // owns nothing
	meeting       string
	closes        time.Time
	early         proof.Receipt // from before all that
}

func newTown(t *testing.T) *town {
	s := servicetest.New(t, parts...)
	s.Unruly = true // what is planted later breaks rules
	w := &town{System: s, t: t, keys: s.Log.Keys(), estate: s.Estate("秀山花园"), other: s.Estate("别处")}
	w.early = w.receipt(registry.EstateStream + w.estate)
	w.homes = s.Homes(w.estate, "1-101", "1-102", "1-103", "1-104", "1-105")
	s.Homes(w.other, "1-101", "1-102")
	var clerk *servicetest.Client
	w.clerk, clerk = s.Someone(w.estate, registry.Clerk)
	w.stranger, _ = s.Someone(w.estate)
	at := "/estates/" + w.estate
	clerk.Import(w.estate, "agreement", "委托合同.json", `{"kind":"委托制物业","principals":["街道"],"provider":"物业公司","starts":"2022-07-21","ends":"2022-09-30","fee":{"住宅":"0.90元/㎡·月"},"services":[],"optional":[]}`).Want(http.StatusOK)
	clerk.Import(w.estate, "budget", "预算.csv", "年度,期间,方向,科目,预算金额(元)\n2022,2022-07~2022-12,收入,物业服务费,500.00\n2022,2022-07~2022-12,支出,设施维修,100.00\n").Want(http.StatusOK)
	clerk.Post(at+"/bills", nil).Want(http.StatusCreated)
	clerk.Post(at+"/vouchers", body{"number": "PZ1", "date": "2022-08-02", "direction": finance.Expenditure, "category": "设施维修", "amount_fen": 5000, "text": "水泵"}).Want(http.StatusCreated)
	w.meeting = clerk.Post(at+"/meetings", body{
		"title": "第一次会议", "motions": []body{{"id": "M1", "title": "选聘物业服务人", "matter": "民法典278-1-4", "scope": "estate"}},
		"policy": body{"revote": votes.FirstBallotStands, "paper_and_electronic": votes.ElectronicStands, "unreturned": "none", "parking_counts_area": false},
	}).Want(http.StatusCreated).ID()
	clerk.Post("/meetings/"+w.meeting+"/roll", nil).Want(http.StatusCreated)
	now := s.Clock.Now()
	w.closes = now.AddDate(0, 0, 20)
	clerk.Post("/meetings/"+w.meeting+"/notice", body{"opens": now.AddDate(0, 0, 16), "closes": w.closes}).Want(http.StatusCreated)
	s.Clock.Advance(17 * 24 * time.Hour)
	for _, h := range w.homes[:3] {
		s.Person(h.Owner).Post("/meetings/"+w.meeting+"/ballots", body{"choices": []body{{"motion": "M1", "choice": votes.Yes}}}).Want(http.StatusCreated)
	}
	return w
}

// export makes a bundle of all that is recorded.
func (w *town) export() []byte {
	w.t.Helper()
	w.CatchUp()
	var out bytes.Buffer
	m, err := bundle.Export{
		Client: http.DefaultClient, Server: w.URL(), Estate: w.estate, Program: "test", Made: w.Clock.Now(),
		Until: fmt.Sprint(w.Store.Head()), // so that the log has all of it
	}.Write(w.t.Context(), &out)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range m.Absent {
		if !strings.Contains(a.Reason, "not-counted-yet") {
			w.t.Errorf("not in the bundle: %v", a)
		}
	}
	return out.Bytes()
}

func (w *town) verify(file []byte, held ...proof.Held) *inspect.Report {
	w.t.Helper()
	r, err := w.verifyOnly(file, "", held...)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// verifyOnly has only the decisions of one meeting made again; with "" all.
func (w *town) verifyOnly(file []byte, meeting string, held ...proof.Held) (*inspect.Report, error) {
	w.t.Helper()
	b, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		w.t.Fatal(err)
	}
	return inspect.Verify(w.t.Context(), b, w.keys, held, nil, meeting, func(uint64) {})
}

func (w *town) checkpoint() string {
	w.t.Helper()
	signed, _, err := w.Log.Checkpoint()
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

// receipt is that of the last event of a stream.
func (w *town) receipt(stream string) proof.Receipt {
	w.t.Helper()
	events := w.Events(stream)
	r, err := proof.ParseReceipt(w.Anyone().Get("/receipts/" + events[len(events)-1].ID.String()).Want(http.StatusOK).Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// plant appends an event to the store past all services, as well as anyone can who
// knows them, and returns its id.
func (w *town) plant(actor string, commit uuid.UUID, stream, name string, event any) string {
	w.t.Helper()
	data, err := json.Marshal(event)
	if err != nil {
		w.t.Fatal(err)
	}
	happened := w.Clock.Now().UTC()
	if e, ok := event.(es.Timed); ok {
		happened = e.HappenedAt()
	}
	hash := strings.Repeat("0", 64)
	meta, err := json.Marshal(es.Meta{Commit: commit, Hash: hash, Actor: actor, Seen: w.Store.Head(), Happened: happened})
	if err != nil {
		w.t.Fatal(err)
	}
	id := es.EventID(commit, hash, 0, name, data, meta)
	length := uint64(len(w.Events(stream)))
	if _, err := w.Store.Append(w.t.Context(), stream, length, es.Proposed{ID: id, Type: name, Data: data, Meta: meta}); err != nil {
		w.t.Fatal(err)
	}
	return id.String()
}

// ballot plants one.
func (w *town) ballot(actor, entry string, at time.Time) string {
	w.t.Helper()
	commit := uuid.New()
	id := uuid.NewSHA1(commit, []byte("id")).String()
	sealed, err := w.Vault.Seal(w.t.Context(), vault.MeetingKey(w.meeting), "choices/"+id, []byte(`[{"motion":"M1","choice":"赞成"}]`), 64)
	if err != nil {
		w.t.Fatal(err)
	}
	return w.plant(actor, commit, votes.BallotStream+w.meeting+"-"+entry, "ballot-cast.v1", votes.BallotCast{
		Ballot: id, Meeting: w.meeting, Entry: entry, Channel: votes.Electronic, At: at.UTC(), Motions: []string{"M1"}, Sealed: codec.Sealed(sealed),
	})
}

// unpacked is a bundle that can be changed.
type unpacked struct {
	t       *testing.T
	leaves  []proof.Entry
	signed  string
	others  map[string][]byte
	signers []note.Signer
}

func unpack(t *testing.T, file []byte, keyFile string) *unpacked {
	t.Helper()
	u := &unpacked{t: t, others: map[string][]byte{}}
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range archive.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		switch f.Name {
		case proof.LeavesFile:
			l := proof.NewLeafReader(bytes.NewReader(content))
			for e, err := l.Next(); !errors.Is(err, io.EOF); e, err = l.Next() {
				if err != nil {
					t.Fatal(err)
				}
				u.leaves = append(u.leaves, e)
			}
		case proof.CheckpointFile:
			u.signed = string(content)
		default:
			u.others[f.Name] = content
		}
	}
	private, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(private)))
	if err != nil {
		t.Fatal(err)
	}
	u.signers = []note.Signer{signer}
	return u
}

func (u *unpacked) pack() []byte {
	u.t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	add := func(name string, content []byte) {
		w, err := archive.Create(name)
		if err == nil {
			_, err = w.Write(content)
		}
		if err != nil {
			u.t.Fatal(err)
		}
	}
	leaves := []byte(proof.LeavesHead)
	for _, e := range u.leaves {
		if e.Event == nil {
			leaves = proof.AppendHash(leaves, e.Hash)
		} else {
			leaves = proof.AppendEvent(leaves, e.Hash, *e.Event)
		}
	}
	add(proof.LeavesFile, leaves)
	add(proof.CheckpointFile, []byte(u.signed))
	for name, content := range u.others {
		add(name, content)
	}
	if err := archive.Close(); err != nil {
		u.t.Fatal(err)
	}
	return out.Bytes()
}

// sign signs the leaves as they are with the log's own key.
func (u *unpacked) sign() {
	u.t.Helper()
	var hashes []tlog.Hash
	for i, e := range u.leaves {
		if e.Event != nil {
			u.leaves[i].Hash = proof.LeafOf(*e.Event).Hash()
		}
		hashes = append(hashes, u.leaves[i].Hash)
	}
	root := rootOf(hashes)
	text := fmt.Sprintf("%s\n%d\n%s\n", u.signers[0].Name(), len(hashes), base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, u.signers...)
	if err != nil {
		u.t.Fatal(err)
	}
	u.signed = string(signed)
}

// rootOf is the root of a tree as RFC 6962 defines it.
func rootOf(leaves []tlog.Hash) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	return tlog.NodeHash(rootOf(leaves[:k]), rootOf(leaves[k:]))
}

// hashes are those of a tree, as package tlog numbers them.
type hashes []tlog.Hash

// ReadHashes implements tlog.HashReader.
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var all []tlog.Hash
	for _, i := range indexes {
		all = append(all, h[i])
	}
	return all, nil
}

// cell is one thing that is done to a ledger or to what proves it, and what it is
// called when it is found.
type cell struct {
	to, what string
	code     proof.Code
	found    []proof.Finding
	names    string // something that a finding must say
}

func TestOneMeetingIsDecidedAgainAndTheRestIsOnlyProven(t *testing.T) {
	w := newTown(t)
	honest, err := w.verifyOnly(w.export(), w.meeting)
	if err != nil || !honest.OK || honest.Checked.Meeting != w.meeting || honest.Checked.Figures < 2 {
		t.Fatalf("%+v, %v", honest, err)
	}
	if text := fmt.Sprint(honest.NotVerified); !strings.Contains(text, "other events") || !strings.Contains(text, "other figures") {
		t.Errorf("what was left out is not said: %s", text)
	}
	if _, err := w.verifyOnly(w.export(), uuid.NewString()); err == nil {
		t.Error("a meeting that is not there was checked")
	}
	ballot := w.ballot(w.stranger, "4", w.Clock.Now())
	voucher := w.plant(w.stranger, uuid.New(), finance.VoucherStream+uuid.NewString(), "voucher-posted.v1", finance.VoucherPosted{Estate: w.estate})
	file := w.export()
	one, err := w.verifyOnly(file, w.meeting)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, event string
		in          *inspect.Report
		found       bool
	}{
		{"a ballot of a stranger, where its meeting is asked about", ballot, one, true},
		{"a voucher, where a meeting is asked about", voucher, one, false},
		{"a voucher, where all is", voucher, w.verify(file), true},
	} {
		if found := strings.Contains(fmt.Sprint(c.in.Findings), c.event); found != c.found {
			t.Errorf("%s: found %t, in %v", c.name, found, c.in.Findings)
		}
	}
	u := unpack(t, file, w.LogKey)
	u.leaves[1].Event.Data = []byte(`{}`)
	if r, err := w.verifyOnly(u.pack(), w.meeting); err != nil || r.OK || r.Checked.Rules {
		t.Errorf("bytes that are not proven were decided again: %+v, %v", r, err)
	}
}

// Every figure that is derived is in a bundle, and so is held against what was published.
func TestABundleHoldsAllFiguresThatAreDerived(t *testing.T) {
	w := newTown(t)
	w.Clock.Advance(4 * 24 * time.Hour)
	w.Await("closed and opened", func() bool {
		types := w.Types(votes.MeetingStream + w.meeting)
		return types[len(types)-1] == "key-released.v1"
	})
	file := w.export()
	i, err := inspect.New(w.estate, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range unpack(t, file, w.LogKey).leaves {
		if e.Event != nil {
			i.Take(*e.Event)
		}
	}
	i.End()
	b, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	published := map[string]bool{}
	for _, f := range b.Manifest.Figures {
		address, err := url.Parse(strings.TrimPrefix(f.Path, service.Prefix))
		if err != nil {
			t.Fatal(err)
		}
		ask := address.Query()
		ask.Del("at")
		address.RawQuery = ask.Encode()
		published[address.String()] = true
	}
	left := unpack(t, file, w.LogKey)
	b.Manifest.Figures = slices.DeleteFunc(b.Manifest.Figures, func(f proof.Figure) bool { return strings.Contains(f.Path, "/collection") })
	if left.others[proof.ManifestFile], err = json.Marshal(b.Manifest); err != nil {
		t.Fatal(err)
	}
	if r := w.verify(left.pack()); !r.OK || !strings.Contains(fmt.Sprint(r.NotVerified), "figures that the bundle does not have 1 they are derived, and there is nothing to hold them against: /estates/"+w.estate+"/collection") {
		t.Errorf("of a figure that was left out is said %v, %v", r.Findings, r.NotVerified)
	}
	derived := i.Figures()
	for _, f := range derived {
		if !published[f.Path] {
			t.Errorf("%s is derived and not in the bundle", f.Path)
		}
	}
	if r := w.verify(file); len(derived) < 13 || r.Checked.Figures != len(published) || !r.OK {
		t.Errorf("%d figures are derived, %d published and %d checked: %v", len(derived), len(published), r.Checked.Figures, r.Findings)
	}
}

// Each is found, and named. make tamper prints all of it.
func TestTamper(t *testing.T) {
	w := newTown(t)
	early := w.early
	honest := w.export()
	last := w.checkpoint()
	if r := w.verify(honest, proof.Held{Checkpoint: early.Checkpoint}, proof.Held{Checkpoint: last}); !r.OK || !r.Checked.Rules || r.Checked.Figures < 7 || r.Checked.Figures != len(r.Bundle.Figures) || r.Checked.Leaves == r.Checked.Events {
		t.Fatalf("honest as it is: %+v", r)
	}
	var cells []cell
	found := func(to, what string, code proof.Code, names string, findings []proof.Finding) {
		cells = append(cells, cell{to, what, code, findings, names})
	}

	// A bundle, changed. at is the second of two events of one stream.
	changed := func(what string, code proof.Code, change func(u *unpacked, at int), held ...proof.Held) {
		t.Helper()
		u := unpack(t, honest, w.LogKey)
		at := slices.IndexFunc(u.leaves, func(e proof.Entry) bool {
			return e.Event != nil && e.Event.Revision == 1 && strings.HasPrefix(e.Event.Stream, votes.MeetingStream)
		})
		change(u, at)
		found("bundle", what, code, "", w.verify(u.pack(), held...).Findings)
	}
	for what, change := range map[string]func(e *es.Recorded){
		"stream":   func(e *es.Recorded) { e.Stream = e.Stream[:len(e.Stream)-1] + "x" },
		"revision": func(e *es.Recorded) { e.Revision ^= 2 },
		"id":       func(e *es.Recorded) { e.ID[5] ^= 1 },
		"type":     func(e *es.Recorded) { e.Type = "roll-frozen.v2" },
		"recorded": func(e *es.Recorded) { e.Created = e.Created.Add(time.Second) },
		"data":     func(e *es.Recorded) { e.Data = bytes.Replace(e.Data, []byte(`"heads":5`), []byte(`"heads":4`), 1) },
		"metadata": func(e *es.Recorded) { e.Meta = bytes.Replace(e.Meta, []byte(`"hash":"`), []byte(`"hash":"0`), 1) },
		"happened": func(e *es.Recorded) {
			e.Meta = bytes.Replace(e.Meta, []byte(`"happened":"2`), []byte(`"happened":"3`), 1)
		},
	} {
		changed("an event's "+what, proof.ChangedBytes, func(u *unpacked, at int) { change(u.leaves[at].Event) })
	}
	changed("an event's position", proof.WrongOrder, func(u *unpacked, at int) { u.leaves[at].Event.Position = 1 })
	changed("an event and its leaf", proof.ForgedProof, func(u *unpacked, at int) {
		u.leaves[at].Event.Data = []byte(`{}`)
		u.leaves[at].Hash = proof.LeafOf(*u.leaves[at].Event).Hash()
	})
	changed("two events swapped", proof.WrongOrder, func(u *unpacked, at int) { u.leaves[at], u.leaves[at-1] = u.leaves[at-1], u.leaves[at] })
	changed("an event deleted", proof.MissingEvent, func(u *unpacked, at int) { u.leaves = slices.Delete(u.leaves, at, at+1) })
	changed("an event withheld", proof.MissingEvent, func(u *unpacked, at int) { u.leaves[at].Event = nil })
	changed("an event twice", proof.DuplicatedEvent, func(u *unpacked, at int) { u.leaves = slices.Insert(u.leaves, at, u.leaves[at]) })
	changed("the tail cut", proof.CutTail, func(u *unpacked, at int) { u.leaves = u.leaves[:at] })
	changed("an older checkpoint", proof.ForgedProof, func(u *unpacked, _ int) { u.signed = early.Checkpoint })
	changed("a byte of the checkpoint", proof.ForgedSignature, func(u *unpacked, _ int) { u.signed = strings.Replace(u.signed, "\n", "\n1", 1) })
	changed("the log cut, and signed", proof.CutTail, func(u *unpacked, at int) {
		u.leaves = u.leaves[:at]
		u.sign()
	}, proof.Held{Checkpoint: last})
	changed("another's key", proof.WrongKey, func(u *unpacked, _ int) {
		private, _, err := note.GenerateKey(nil, u.signers[0].Name())
		if err != nil {
			t.Fatal(err)
		}
		if u.signers[0], err = note.NewSigner(private); err != nil {
			t.Fatal(err)
		}
		u.sign()
	})
	var rewritten string
	changed("all of history, signed", proof.RewrittenHistory, func(u *unpacked, at int) {
		u.leaves[at].Event.Data = bytes.Replace(u.leaves[at].Event.Data, []byte(`"heads":5`), []byte(`"heads":4`), 1)
		u.sign()
		rewritten = u.signed
	}, proof.Held{Checkpoint: last})
	var goneOn string
	var other hashes
	changed("all of history, signed, and gone on", proof.RewrittenHistory, func(u *unpacked, at int) {
		u.leaves[at].Event.Data = bytes.Replace(u.leaves[at].Event.Data, []byte(`"heads":5`), []byte(`"heads":4`), 1)
		u.leaves = append(u.leaves, proof.Entry{Hash: tlog.RecordHash([]byte("of another estate"))})
		u.sign()
		goneOn = u.signed
		for n, e := range u.leaves {
			stored, err := tlog.StoredHashesForRecordHash(int64(n), e.Hash, other)
			if err != nil {
				t.Fatal(err)
			}
			other = append(other, stored...)
		}
	}, proof.Held{Checkpoint: last})
	changed("a roll", proof.ChangedBytes, func(u *unpacked, _ int) {
		for name := range u.others {
			if strings.HasPrefix(name, proof.BlobFolder) {
				u.others[name] = append(u.others[name], ' ')
				return
			}
		}
	})
	changed("a published figure", proof.WrongFigure, func(u *unpacked, _ int) {
		name := proof.FigureFolder + "electorate.json"
		u.others[name] = bytes.Replace(u.others[name], []byte(`"heads":5`), []byte(`"heads":6`), 1)
	})
	cells[len(cells)-1].names = "6, and the events lead to 5"

	kept, _, failed := w.keys.Checkpoint(early.Checkpoint)
	between, _, none := w.keys.Checkpoint(last)
	if failed != nil || none != nil {
		t.Fatal(failed, none)
	}

	// Two histories, each sound by itself, shown to two people.
	_, _, findings := w.keys.Extension(last, nil, proof.Extension{Format: proof.ExtensionFormat, Checkpoint: rewritten})
	found("two clients", "two histories", proof.RewrittenHistory, "", findings)
	size := int64(between.Size)
	root, err := tlog.TreeHash(size, other)
	if err != nil {
		t.Fatal(err)
	}
	path, err := tlog.ProveTree(size+1, size, other)
	if err != nil {
		t.Fatal(err)
	}
	shown := proof.Extension{Format: proof.ExtensionFormat, OldSize: between.Size, OldRoot: proof.Hash(root), Checkpoint: goneOn}
	for _, h := range path {
		shown.Proof = append(shown.Proof, proof.Hash(h))
	}
	_, _, findings = w.keys.Extension(last, nil, shown)
	found("two clients", "two histories, one of them longer", proof.RewrittenHistory, "", findings)

	// An extension, which leads from a checkpoint that somebody kept to a newer one.
	w.Estate("又一处")
	extend := func(old uint64) (e proof.Extension) {
		t.Helper()
		e, err := proof.ParseExtension(w.Anyone().Get(fmt.Sprintf("/ledger/extension?old=%d", old)).Want(http.StatusOK).Body)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	w.Await("signed on", func() bool { _, c, err := w.Log.Checkpoint(); return err == nil && c.Size > between.Size })
	honestly := extend(kept.Size)
	if _, _, findings := w.keys.Extension(early.Checkpoint, nil, honestly); len(findings) > 0 {
		t.Fatal(findings)
	}
	for what, c := range map[string]struct {
		code   proof.Code
		change func(e *proof.Extension)
	}{
		"proof":      {proof.ForgedProof, func(e *proof.Extension) { e.Proof = slices.Clone(e.Proof); e.Proof[0][0] ^= 1 }},
		"old root":   {proof.ForgedProof, func(e *proof.Extension) { e.OldRoot[0] ^= 1 }},
		"checkpoint": {proof.ForgedSignature, func(e *proof.Extension) { e.Checkpoint = strings.Replace(e.Checkpoint, "\n", "\n1", 1) }},
		"another proof of the same log": {proof.ForgedProof, func(e *proof.Extension) {
			other := extend(between.Size)
			e.OldSize, e.OldRoot, e.Proof = other.OldSize, other.OldRoot, other.Proof
		}},
		"old proof, replayed": {proof.ForgedProof, func(e *proof.Extension) {
			root, old, err := w.Log.Extension(between, kept.Size)
			if err != nil {
				t.Fatal(err)
			}
			e.OldRoot, e.Proof = root, old
		}},
		"a checkpoint of before": {proof.CutTail, func(e *proof.Extension) { e.Checkpoint = early.Checkpoint }},
	} {
		e, from := honestly, early.Checkpoint
		if c.code == proof.CutTail {
			from = last
		}
		c.change(&e)
		_, _, findings := w.keys.Extension(from, nil, e)
		found("extension", what, c.code, "", findings)
	}

	// A receipt.
	of := w.receipt(votes.BallotStream + w.meeting + "-1")
	if _, findings := w.keys.Receipt(of); len(findings) > 0 {
		t.Fatal(findings)
	}
	for what, c := range map[string]struct {
		code   proof.Code
		change func(r *proof.Receipt)
	}{
		"data":       {proof.ChangedBytes, func(r *proof.Receipt) { r.Data = append(r.Data, ' ') }},
		"metadata":   {proof.ChangedBytes, func(r *proof.Receipt) { r.Meta = append(r.Meta, ' ') }},
		"stream":     {proof.ForgedProof, func(r *proof.Receipt) { r.Event.Stream += "0" }},
		"revision":   {proof.ForgedProof, func(r *proof.Receipt) { r.Event.Revision++ }},
		"id":         {proof.ForgedProof, func(r *proof.Receipt) { r.Event.ID[0] ^= 1 }},
		"type":       {proof.ForgedProof, func(r *proof.Receipt) { r.Event.Type += "0" }},
		"happened":   {proof.ForgedProof, func(r *proof.Receipt) { r.Event.Happened = r.Event.Recorded }},
		"recorded":   {proof.ForgedProof, func(r *proof.Receipt) { r.Event.Recorded = early.Event.Recorded }},
		"leaf":       {proof.ForgedProof, func(r *proof.Receipt) { r.Leaf-- }},
		"proof":      {proof.ForgedProof, func(r *proof.Receipt) { r.Proof = slices.Clone(r.Proof); r.Proof[0][0] ^= 1 }},
		"checkpoint": {proof.ForgedSignature, func(r *proof.Receipt) { r.Checkpoint = strings.Replace(r.Checkpoint, "\n", "\n1", 1) }},
		"old proof, replayed": {proof.ForgedProof, func(r *proof.Receipt) {
			r.Leaf, r.Proof, r.Checkpoint = early.Leaf, early.Proof, early.Checkpoint
		}},
	} {
		r := of
		c.change(&r)
		_, findings := w.keys.Receipt(r)
		found("receipt", what, c.code, "", findings)
	}

	// Files of the log. What is served of it is held against the checkpoint.
	tamper := func(folder string, change func([]byte) []byte, check func()) {
		t.Helper()
		before := map[string][]byte{}
		err := filepath.WalkDir(filepath.Join(w.LogDir, folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if before[path], err = os.ReadFile(path); err == nil {
					err = os.WriteFile(path, change(before[path]), 0o600)
				}
			}
			return err
		})
		if err != nil || len(before) == 0 {
			t.Fatal(folder, before, err)
		}
		check()
		for path, content := range before {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	tamper("tile/entries", func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte("\nmeeting-"), []byte("\nmeeting_"))
	}, func() { found("log", "a tile of leaves", proof.ForgedProof, "", w.verify(w.export()).Findings) })
	_, c, err := w.Log.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	tamper("tile/0", func(b []byte) []byte { b = slices.Clone(b); b[0] ^= 1; return b }, func() {
		if _, err := w.Log.Inclusion(c, 0); err != nil {
			findings = []proof.Finding{{Code: "inconsistent-tile", Detail: err.Error()}}
		}
		found("log", "a tile of hashes", "inconsistent-tile", "", findings)
	})

	// The checkpoint itself, in a copy, for in the log a new one soon takes its place.
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(w.LogDir)); err != nil {
		t.Fatal(err)
	}
	served, err := xlog.Open(xlog.Config{Dir: copied, KeyFile: w.LogKey, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(served.Handler("/log/"))
	defer server.Close()
	file := filepath.Join(copied, "checkpoint")
	signed, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		code   proof.Code
		change func(lines []string)
	}{
		"the checkpoint's origin":    {proof.ForgedSignature, func(l []string) { l[0] += "0" }},
		"the checkpoint's size":      {proof.ForgedSignature, func(l []string) { l[1] += "0" }},
		"the checkpoint's root":      {proof.ForgedSignature, func(l []string) { l[2] = base64.StdEncoding.EncodeToString(make([]byte, 32)) }},
		"the checkpoint's signature": {proof.ForgedSignature, func(l []string) { l[4] = l[4][:len(l[4])-9] + "AAAAA" + l[4][len(l[4])-4:] }},
		"the checkpoint, cut":        {proof.Malformed, func(l []string) { l[4] = "" }},
	} {
		lines := strings.Split(string(signed), "\n")
		c.change(lines)
		if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		resp, err := server.Client().Get(server.URL + "/log/checkpoint")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := served.Checkpoint(); err == nil {
			t.Errorf("%s was changed, and the log goes on with it", what)
		}
		_, _, failed := w.keys.Checkpoint(string(text))
		if failed == nil {
			failed = &proof.Finding{}
		}
		found("log", what, c.code, "", []proof.Finding{*failed})
	}

	// Written to the store past the services, and so signed like everything else.
	cast := w.Events(votes.BallotStream + w.meeting + "-1")[0]
	if _, err := w.Store.Append(t.Context(), cast.Stream, 1, es.Proposed{ID: cast.ID, Type: cast.Type, Data: cast.Data, Meta: cast.Meta}); err != nil {
		t.Fatal(err)
	}
	planted := map[string]struct{ id, rule string }{
		"a ballot by someone not on the roll": {w.ballot(w.stranger, "5", w.Clock.Now()), "not-on-the-roll"},
		"a second ballot":                     {w.ballot(w.homes[1].Owner, "2", w.Clock.Now()), "already-voted"},
	}
	var bills finance.BillsRaised
	raised := w.Events(finance.BillsStream + w.estate + "-2022-09")
	if err := json.Unmarshal(raised[len(raised)-1].Data, &bills); err != nil {
		t.Fatal(err)
	}
	bills.Total += 100
	planted["an unbalanced entry: bills"] = struct{ id, rule string }{
		w.plant(w.clerk, uuid.New(), finance.BillsStream+w.estate+"-2022-09", "bills-raised.v1", bills), "bills-wrong",
	}
	w.Clock.Advance(4 * 24 * time.Hour)
	w.Await("closed and opened", func() bool {
		types := w.Types(votes.MeetingStream + w.meeting)
		return types[len(types)-1] == "key-released.v1"
	})
	planted["a late ballot"] = struct{ id, rule string }{w.ballot(w.homes[4].Owner, "5", w.closes.Add(time.Second)), "voting-closed"}
	all := w.verify(w.export(), proof.Held{Checkpoint: last}).Findings
	found("store", "a ballot, replayed", proof.ReplayedCommit, cast.ID.String(), all)
	for what, p := range planted {
		var of []proof.Finding
		for _, f := range all {
			if strings.Contains(f.Detail, p.id) {
				of = append(of, f)
			}
		}
		found("store", what, proof.IllegitimateEvent, p.rule, of)
	}

	slices.SortStableFunc(cells, func(a, b cell) int { return strings.Compare(a.to+a.what, b.to+b.what) })
	for _, c := range cells {
		first := "not found"
		named, says := false, c.names == ""
		for _, f := range c.found {
			named = named || f.Code == c.code
			if f.Code == c.code && (first == "not found" || !says) {
				first = f.String()
			}
			says = says || strings.Contains(f.String(), c.names)
		}
		t.Logf("%-12s %-36s %.140s", c.to, c.what, first)
		if !named || !says {
			t.Errorf("%s, %s: found %v, want %s %s", c.to, c.what, c.found, c.code, c.names)
		}
	}
}
