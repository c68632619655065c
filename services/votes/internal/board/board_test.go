package board

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/es/pebblestore"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
	"github.com/yimu-ledger/yimu/services/votes/rules"
)

func TestEveryEventOfABallotIsKept(t *testing.T) {
	for name := range kinds {
		if !slices.Contains(votes.Codec.Names(), name) {
			t.Errorf("%s is no stored name", name)
		}
	}
	for _, e := range []votes.Event{votes.BallotCast{}, votes.BallotRefused{}, votes.PaperHandedIn{}} {
		name, data, err := votes.Codec.Encode(e)
		if err != nil || kinds[name] == "" {
			t.Fatalf("%T: %v", e, err)
		}
		if got, err := decodeBallot(kinds[name], data); err != nil || reflect.TypeOf(got) != reflect.TypeOf(e) {
			t.Errorf("%T comes back as %T: %v", e, got, err)
		}
	}
}

func TestEveryEventOfADeliveryIsKept(t *testing.T) {
	for _, e := range []votes.Event{votes.NoticeDelivered{}, votes.DeliveryFailed{}} {
		if name, _, err := votes.Codec.Encode(e); err != nil || deliveryKinds[name] == "" || kinds[name] != "" {
			t.Errorf("%T: %q %v", e, name, err)
		}
	}
}

func TestTheCountIsToldWhomTheNoticeReachedBeforeVotingClosed(t *testing.T) {
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	id, noon := uuid.NewString(), time.Date(2030, 5, 1, 4, 0, 0, 0, time.UTC)
	appendAll(t, store, votes.BallotStream+id+"-1", 0, votes.NoticeDelivered{Meeting: id, Entry: "1", Channel: votes.ByHand, At: noon, Warned: true})
	appendAll(t, store, votes.BallotStream+id+"-2", 0, votes.DeliveryFailed{Meeting: id, Entry: "2", At: noon})
	appendAll(t, store, votes.BallotStream+id+"-10", 0, votes.DeliveryFailed{Meeting: id, Entry: "10", At: noon}, votes.NoticeDelivered{Meeting: id, Entry: "10", Channel: votes.ByMail, At: noon})
	db, err := readmodel.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "votes.db"))
	if err != nil {
		t.Fatal(err)
	}
	board, err := New(t.Context(), db, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = board.Run(t.Context()) }()
	if err := board.WaitFor(t.Context(), store.Head()); err != nil {
		t.Fatal(err)
	}
	m := meeting.Meeting{MeetingDrafted: votes.MeetingDrafted{Meeting: id}, Notice: votes.NoticePosted{At: noon, Closes: noon.AddDate(0, 0, 30)}}
	got, err := reached(t.Context(), db, m)
	want := map[string]meeting.Reached{"1": {Channel: votes.ByHand, At: noon, Warned: true}, "10": {Channel: votes.ByMail, At: noon}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v, want %v", got, err, want)
	}
}

func TestTheStreamOfABallotNamesMeetingAndHead(t *testing.T) {
	id := uuid.NewString()
	for stream, want := range map[string]string{
		"ballot-" + id + "-17":     "17",
		"refusal-" + id + "-" + id: id,
		"refusal-" + id + "-":      "",
		"ballot-" + id:             "",
		"ballot-x-17":              "",
		"meeting-" + id + "-17":    "",
	} {
		of, voter, err := head(stream)
		if (err == nil) != (want != "") || voter != want || err == nil && of != id {
			t.Errorf("%s: %q %q %v", stream, of, voter, err)
		}
	}
}

func TestAnswersCountsMotionsLikeADecoder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		motions := rapid.SliceOf(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{`"`, `\`, `]`, `"motions":[`, `a","b`}))).Draw(t, "motions")
		_, data, err := votes.Codec.Encode(votes.BallotCast{Ballot: rapid.String().Draw(t, "ballot"), Entry: `"motions":["x"]`, Motions: motions})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := answers(data); err != nil || n != len(motions) {
			t.Fatalf("%d motions in %s: %v", n, data, err)
		}
		spaced := append([]byte{}, bytes.ReplaceAll(data, []byte(`"motions":`), []byte(`"motions" : `))...)
		if n, err := answers(spaced); err == nil && n != len(motions) {
			t.Fatalf("%d motions in %s", n, spaced)
		}
	})
}

// BenchmarkReplay replays ballots into the tables: the number to watch is
// ballots/s.
func BenchmarkReplay(b *testing.B) {
	const ballots = 100_000
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	id := uuid.NewString()
	appendAll(b, store, votes.MeetingStream+id, 0, votes.MeetingDrafted{Meeting: id, Estate: uuid.NewString()})
	sealed := codec.Sealed(make([]byte, 0, 200))
	for range 200 {
		sealed += "x"
	}
	done := make(chan struct{}, 64)
	for w := range 64 {
		go func() {
			for i := w; i < ballots; i += 64 {
				entry := fmt.Sprint(i + 1)
				appendAll(b, store, votes.BallotStream+id+"-"+entry, 0, votes.BallotCast{
					Ballot: uuid.NewString(), Meeting: id, Entry: entry, Channel: votes.Electronic, At: time.Now(), Motions: []string{"M1", "M2"}, Sealed: sealed,
				})
			}
			done <- struct{}{}
		}()
	}
	for range 64 {
		<-done
	}
	for b.Loop() {
		db, err := readmodel.Open(b.Context(), "sqlite://"+filepath.Join(b.TempDir(), "votes.db"))
		if err != nil {
			b.Fatal(err)
		}
		board, err := New(b.Context(), db, store, slog.New(slog.DiscardHandler))
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		go func() { _ = board.Run(b.Context()) }()
		if err := board.WaitFor(b.Context(), store.Head()); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(ballots/time.Since(start).Seconds(), "ballots/s")
	}
}

func appendAll(b testing.TB, store es.Store, stream string, from int, events ...votes.Event) {
	for i, e := range events {
		name, data, err := votes.Codec.Encode(e)
		if err == nil {
			_, err = store.Append(b.Context(), stream, uint64(from+i), es.Proposed{ID: uuid.New(), Type: name, Data: data, Meta: []byte(`{}`)})
		}
		if err != nil {
			b.Error(err)
		}
	}
}

func TestOnlyTheLastBoxesOfMeetingsThatAreOverAreKept(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	store, err := pebblestore.Open(pebblestore.Config{Dir: "store", FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	db, err := readmodel.Open(ctx, "sqlite://"+filepath.Join(t.TempDir(), "votes.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	b, err := New(ctx, db, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	asked := func(id string) *Box {
		if err := b.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		box, err := b.Box(ctx, id)
		if err != nil || box == nil {
			t.Fatalf("%s: %v", id, err)
		}
		return box
	}
	const under = 3
	var ids []string
	for i := range 20 {
		id := uuid.NewString()
		ids = append(ids, id)
		appendAll(t, store, votes.MeetingStream+id, 0, votes.MeetingDrafted{Meeting: id, Estate: uuid.NewString()})
		if asked(id).Closed {
			t.Error("closed from the start")
		}
		if i < under {
			continue
		}
		appendAll(t, store, votes.MeetingStream+id, 1, votes.VotingClosed{Meeting: id})
		if err := b.CatchUp(ctx); err != nil {
			t.Fatal(err)
		}
		if _, kept := b.boxes.get(id); kept {
			t.Error("the box of a meeting that closed is kept before anybody asks again")
		}
		if first, again := asked(id), asked(id); !first.Closed || first != again {
			t.Error("a box that is asked for again is not that of the closed meeting, or is read each time")
		}
	}
	for i, id := range ids {
		if _, kept := b.boxes.get(id); kept != (i < under || i >= len(ids)-mostOver) {
			t.Errorf("meeting %d is kept: %t", i, kept)
		}
	}
	if asked(ids[0]).Closed || !asked(ids[under]).Closed {
		t.Error("a box that was not kept is not read again")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestABoxKnowsAnEntryByItsNumberAsItIsWritten(t *testing.T) {
	b := Box{roll: &roll{areas: []units.CentiM2{10, 20}}}
	if e, ok := b.Entry("2"); !ok || e.Entry != "2" || e.Area != 20 {
		t.Errorf("2: %+v %t", e, ok)
	}
	for _, number := range []string{"", "0", "3", "-1", "01", "+1", "1 ", "one", "99999999999999999999"} {
		if e, ok := b.Entry(number); ok {
			t.Errorf("%q is %+v", number, e)
		}
	}
}

// writtenRoll writes the rows of a roll, and returns its meeting: of three owners two
// have an entry, and of these every seventh a part in a scope besides the estate.
func writtenRoll(t testing.TB, owners int) (*readmodel.DB, meeting.Meeting, meeting.Roll) {
	db, err := readmodel.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "votes.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, _, err := build(t.Context(), db, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	m := meeting.Meeting{Roll: votes.RollFrozen{Roll: "its hash", SeenAt: 7}}
	m.Meeting = uuid.NewString()
	r := meeting.Roll{Voters: meeting.Voters{}}
	var entries, voters [][]any
	for i := range owners {
		person, v := uuid.NewString(), meeting.Voter{Reason: votes.NotTheRepresentative}
		if i%3 > 0 {
			n := len(entries) + 1
			v = meeting.Voter{Entry: strconv.Itoa(n)}
			e := votes.Entry{Entry: v.Entry, Area: units.CentiM2(9000 + n)}
			if n%7 == 0 {
				e.ByScope = []votes.ScopeTotal{{Scope: "building:3", Heads: 1, Area: 9000}}
			}
			row, err := entryRow(m.Meeting, n, e)
			if err != nil {
				t.Fatal(err)
			}
			r.Public.Entries, entries = append(r.Public.Entries, e), append(entries, row)
		}
		r.Voters[person] = v
		voters = append(voters, []any{m.Meeting, person, v.Entry, string(v.Reason)})
	}
	err = db.Update(t.Context(), func(tx *readmodel.Tx) error {
		return errors.Join(tx.Upsert(t.Context(), entryTable, entries), tx.Upsert(t.Context(), voterTable, voters))
	})
	if err != nil {
		t.Fatal(err)
	}
	return db, m, r
}

func TestARollInMemoryIsTheRoll(t *testing.T) {
	db, m, want := writtenRoll(t, 900)
	got, err := (&Board{}).rollInMemory(t.Context(), db, m)
	if err != nil {
		t.Fatal(err)
	}
	box := Box{m, got}
	for person, v := range want.Voters {
		e, reason := box.Of(person)
		if e.Entry != v.Entry || reason != v.Reason {
			t.Fatalf("%s has entry %q, %q, want %+v", person, e.Entry, reason, v)
		}
	}
	for _, stranger := range []string{"", uuid.NewString(), "1"} {
		if e, reason := box.Of(stranger); e.Entry != "" || reason != votes.NotOnTheRoll {
			t.Errorf("%q, whom nobody knows, has entry %q, %q", stranger, e.Entry, reason)
		}
	}
	for _, e := range want.Public.Entries {
		if got, ok := box.Entry(e.Entry); !ok || !reflect.DeepEqual(got, e) {
			t.Fatalf("entry %+v is %+v", e, got)
		}
	}
}

// BenchmarkRollInMemory tells what an owner takes of it.
func BenchmarkRollInMemory(b *testing.B) {
	const owners = 3000
	db, m, _ := writtenRoll(b, owners)
	held := func() uint64 {
		var memory runtime.MemStats
		for range 3 { // pools and finalizers let go a round later
			runtime.GC()
		}
		runtime.ReadMemStats(&memory)
		return memory.HeapAlloc
	}
	before := held()
	var all []*roll
	for b.Loop() {
		r, err := (&Board{}).rollInMemory(b.Context(), db, m)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, r)
	}
	b.ReportMetric(float64(held()-before)/float64(len(all))/owners, "B/owner")
	runtime.KeepAlive(all)
}

// BenchmarkCount counts a live meeting of 60,000 heads out of the tables: each has
// cast a sealed ballot on three motions. It is to take less than a second.
func BenchmarkCount(b *testing.B) {
	const heads = 60_000
	ctx, quiet := b.Context(), slog.New(slog.DiscardHandler)
	keys, err := vault.Open(ctx, vault.Config{URL: "sqlite://" + filepath.Join(b.TempDir(), "vault.db"), KeyFile: filepath.Join(b.TempDir(), "key")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = keys.Close() })
	db, err := readmodel.Open(ctx, "sqlite://"+filepath.Join(b.TempDir(), "votes.db"))
	if err != nil {
		b.Fatal(err)
	}
	tables, _, err := build(ctx, db, quiet)
	if err != nil {
		b.Fatal(err)
	}
	set, _ := rules.InForce("2030-01-01")
	m := meeting.Meeting{Closed: true, Notice: votes.NoticePosted{RuleHash: set.Hash}, Roll: votes.RollFrozen{Scopes: []votes.ScopeTotal{{Scope: meeting.Estate, Heads: heads, Area: heads * 9000}}}}
	m.Meeting = uuid.NewString()
	m.Policy = votes.Policy{Revote: votes.LastBallotStands, PaperAndElectronic: votes.ElectronicStands, Unreturned: votes.UnreturnedNone}
	for _, id := range []string{"M1", "M2", "M3"} {
		m.Motions = append(m.Motions, votes.Motion{ID: id, Matter: "民法典278-1-4", Scope: meeting.Estate})
	}
	var entries, ballots [][]any
	for n := 1; n <= heads; n++ {
		entry, err := entryRow(m.Meeting, n, votes.Entry{Entry: strconv.Itoa(n), Units: []string{"1-1-" + strconv.Itoa(n)}, Buildings: []string{"1"}, Area: 9000})
		if err != nil {
			b.Fatal(err)
		}
		entries = append(entries, entry)
		cast := votes.BallotCast{Ballot: uuid.NewString(), Meeting: m.Meeting, Entry: strconv.Itoa(n), Channel: votes.Electronic, At: time.Now()}
		var choices []votes.Choice
		for _, motion := range m.Motions {
			cast.Motions = append(cast.Motions, motion.ID)
			choices = append(choices, votes.Choice{Motion: motion.ID, Choice: []string{votes.Yes, votes.Yes, votes.No}[n%3]})
		}
		text, err := json.Marshal(choices)
		if err != nil {
			b.Fatal(err)
		}
		sealed, err := keys.Seal(ctx, vault.MeetingKey(m.Meeting), SealedField(cast.Ballot), text, len(text))
		if err != nil {
			b.Fatal(err)
		}
		cast.Sealed = codec.Sealed(sealed)
		name, data, err := votes.Codec.Encode(cast)
		if err != nil {
			b.Fatal(err)
		}
		ballots = append(ballots, []any{m.Meeting, n, "", 0, n, kinds[name], false, 0, len(cast.Motions), data})
	}
	if m.Key, err = keys.ReleaseKey(ctx, vault.MeetingKey(m.Meeting)); err != nil {
		b.Fatal(err)
	}
	err = db.Update(ctx, func(tx *readmodel.Tx) error {
		return errors.Join(tx.Upsert(ctx, entryTable, entries), tx.Upsert(ctx, ballotTable, ballots))
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		err := db.Update(ctx, func(tx *readmodel.Tx) error {
			f := &folding{Tables: tables, tx: tx, rows: meetingRows.In(tx), meetings: map[string]*meeting.Meeting{}}
			f.rows.Edit(m.Meeting).id = m.Meeting
			return f.count(ctx, m)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	results, err := tables.Results(ctx, m.Meeting)
	if err != nil || len(results) != 3 || results[2].YesHeads != heads/3*2 || results[2].NoHeads != heads/3 || results[2].Outcome != votes.Adopted {
		b.Fatalf("%+v, %v", results, err)
	}
}
