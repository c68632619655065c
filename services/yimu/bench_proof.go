package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/yimu-ledger/yimu/contracts/registry"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/libs/proof"
	"github.com/yimu-ledger/yimu/libs/service"
	"github.com/yimu-ledger/yimu/libs/tlog"
	"github.com/yimu-ledger/yimu/services/internal/bundle"
	"github.com/yimu-ledger/yimu/services/internal/inspect"
	"github.com/yimu-ledger/yimu/services/yimu/internal/load"
)

// What is wanted of proofs, and of figures as they were.
const (
	wantProof = "p99 < 1 s"
	wantPast  = "< 200 ms"
	wantBytes = "≥ 1,000,000/s"
	wantRules = "≥ 150,000/s"
	wantHeld  = "< 64 B of each"
)

// readers is how many read data of owners at a time: no two those of one.
const readers = 16

// moments is as of how many positions each figure is asked for.
const moments = 20

// past measures the figures of the demonstration estate as of positions that
// nobody has asked for yet, so that each is worked out from the ledger.
func (b *bench) past(ctx context.Context, s *load.Server) error {
	estate := service.Prefix + "/estates/" + demoEstate
	type asked struct{ name, path string }
	figures := []asked{
		{"the estate", estate}, {"electorate", estate + "/electorate"}, {"collection", estate + "/collection"}, {"budget", estate + "/budget"}, {"work orders", estate + "/workorders/summary"},
	}
	var list struct{ Items []struct{ ID string } }
	if err := s.Read(ctx, estate+"/meetings", &list); err != nil {
		return err
	}
	for _, m := range list.Items {
		meeting := service.Prefix + "/meetings/" + m.ID
		figures = append(figures, asked{"a meeting", meeting}, asked{"its results", meeting + "/results"})
	}
	var end struct{ Leaf uint64 }
	if err := s.Read(ctx, service.Prefix+"/ledger/place?position="+strconv.FormatUint(uint64(b.head), 10), &end); err != nil {
		return err
	}
	var took []time.Duration
	var most time.Duration
	slowest := ""
	for n, f := range figures {
		for i := range uint64(moments) {
			// All of the estate is there, so that there is most to work out, and no
			// other figure is asked for as of the same event.
			leaf := end.Leaf + i*uint64(len(figures)) + uint64(n)
			var at struct{ Position uint64 }
			if err := s.Read(ctx, service.Prefix+"/ledger/place?leaf="+strconv.FormatUint(leaf, 10), &at); err != nil {
				return err
			}
			start := time.Now()
			if _, err := s.Get(ctx, f.path+"?at="+strconv.FormatUint(at.Position, 10)); err != nil {
				return err
			}
			one := time.Since(start)
			if took = append(took, one); one > most {
				most, slowest = one, f.name
			}
		}
	}
	slices.Sort(took)
	b.add(fmt.Sprintf("a figure at a past position, of %d", len(took)), wantPast, "p50 %s  p99 %s  at most %s (%s)",
		ms(took[len(took)/2]), ms(took[len(took)*99/100]), ms(most), slowest)
	return nil
}

// receipts asks for the receipts of some of the ballots, and checks them.
type receipts struct {
	events chan acknowledged
	group  *errgroup.Group
	mu     sync.Mutex
	took   []time.Duration
}

type acknowledged struct {
	event string
	at    time.Time
}

func (b *bench) receipts(ctx context.Context, s load.Site) (*receipts, error) {
	keys, err := tlog.PublicKeys(filepath.Join(b.dir, "keys", logKey))
	if err != nil {
		return nil, err
	}
	const workers = 16 // few enough to stay below what an address may read
	r := &receipts{events: make(chan acknowledged)}
	r.group, ctx = errgroup.WithContext(ctx)
	for range workers {
		r.group.Go(func() error {
			for a := range r.events {
				text, err := s.Get(ctx, "/api/v1/receipts/"+a.event)
				if err != nil {
					return err
				}
				took := time.Since(a.at)
				receipt, err := proof.ParseReceipt(text)
				if err != nil {
					return err
				}
				if _, findings := keys.Receipt(receipt); len(findings) > 0 {
					return fmt.Errorf("the receipt of %s: %v", a.event, findings)
				}
				r.mu.Lock()
				r.took = append(r.took, took)
				r.mu.Unlock()
			}
			return nil
		})
	}
	return r, nil
}

// take hands one of sixteen answers to whoever is free.
func (r *receipts) take(n, status int, body []byte) {
	if n%16 != 0 {
		return
	}
	at := time.Now()
	var recorded struct{ Events []string }
	if status != http.StatusCreated || json.Unmarshal(body, &recorded) != nil || len(recorded.Events) == 0 {
		return
	}
	select {
	case r.events <- acknowledged{recorded.Events[len(recorded.Events)-1], at}:
	default:
	}
}

// end returns how long each took, sorted.
func (r *receipts) end() ([]time.Duration, error) {
	close(r.events)
	if err := r.group.Wait(); err != nil {
		return nil, err
	}
	if len(r.took) == 0 {
		return nil, errors.New("no receipt was asked for")
	}
	slices.Sort(r.took)
	return r.took, nil
}

// bundles makes a bundle of the voters' estate, checks it, and does so again after
// something was recorded that changes nothing.
func (b *bench) bundles(ctx context.Context, s *load.Server) error {
	keys, err := tlog.PublicKeys(filepath.Join(b.dir, "keys", logKey))
	if err != nil {
		return err
	}
	start := time.Now()
	file, m, err := b.bundle(ctx, s)
	if err != nil {
		return err
	}
	b.add(fmt.Sprintf("making a bundle, %d events of %d", m.Events, m.Leaves), "", "%.1f s, %.1f MB", time.Since(start).Seconds(), float64(len(file))/1e6)
	back := collectLess() // as yimu verify does
	for _, check := range []struct {
		what, want string
		do         func(*proof.Bundle) (int, error)
	}{
		{"checking its bytes and proofs", wantBytes, func(o *proof.Bundle) (int, error) {
			_, found, err := keys.Bundle(o, nil, func(uint64, es.Recorded) error { return nil })
			return len(found), err
		}},
		{"checking it, rules and figures too", wantRules, func(o *proof.Bundle) (int, error) {
			r, err := inspect.Verify(ctx, o, keys, nil, nil, "", func(uint64) {})
			if err != nil {
				return 0, err
			}
			return len(r.Findings), nil
		}},
	} {
		events, findings, start := uint64(0), 0, time.Now()
		for time.Since(start) < b.Time { // a bundle of this size is checked in a moment
			o, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				return err
			}
			if findings, err = check.do(o); err != nil {
				return err
			}
			events += m.Events
		}
		b.add(check.what, check.want, "%.0f/s, %d findings", float64(events)/time.Since(start).Seconds(), findings)
	}
	back()
	return b.held(ctx, s, keys)
}

// bundle makes a bundle of the voters' estate, of all that is recorded.
func (b *bench) bundle(ctx context.Context, s *load.Server) ([]byte, proof.Manifest, error) {
	var file bytes.Buffer
	now := time.Now()
	m, err := bundle.Export{
		Client: http.DefaultClient, Server: s.URL(), Estate: b.booth.Estate, Until: now.Format(time.RFC3339Nano), Program: version(), Made: now,
	}.Write(ctx, &file)
	return file.Bytes(), m, err
}

// held measures what is held of an event that changes nothing: that an owner's data
// were read is recorded, and leads to nothing else. After the first of them all
// that is there for a while is filled with their like.
func (b *bench) held(ctx context.Context, s *load.Server, keys proof.Keys) error {
	var held, events [2]int64
	for i := range held {
		f := load.Press(ctx, s.Addr, readers, func(buf []byte, n int) ([]byte, bool) {
			if n >= b.Readings {
				return buf, false
			}
			return load.Get(buf, s.Addr, "/people/"+b.booth.People[n%len(b.booth.People)]+"?reason="+registry.ForNotice, b.booth.Admin), true
		}, nil)
		if err := f.Only(http.StatusOK); err != nil {
			return err
		}
		file, m, err := b.bundle(ctx, s)
		if err != nil {
			return err
		}
		if held[i], err = inspected(file, keys); err != nil {
			return err
		}
		events[i] = int64(m.Events)
	}
	more := events[1] - events[0]
	if more < int64(b.Readings) {
		return fmt.Errorf("data were read %d times, and the bundle has %d events more", b.Readings, more)
	}
	b.add(fmt.Sprintf("held to check %d events more, of the same state", more), wantHeld, "%d B of each; %.1f MB of %d, %.1f MB of %d",
		(held[1]-held[0])/more, float64(held[0])/1e6, events[0], float64(held[1])/1e6, events[1])
	return nil
}

// inspected returns how much is held once all events of a bundle were decided.
func inspected(file []byte, keys proof.Keys) (held int64, err error) {
	o, err := proof.OpenBundle(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return 0, err
	}
	began := inUse()
	i, err := inspect.New(o.Manifest.Subject, nil)
	if err != nil {
		return 0, err
	}
	_, found, err := keys.Bundle(o, nil, func(_ uint64, e es.Recorded) error {
		if found := i.Take(e); len(found) > 0 {
			return errors.New(found[0].String())
		}
		return nil
	})
	if err == nil && len(found) > 0 {
		err = errors.New(found[0].String())
	}
	if rest, _ := i.End(); err == nil && len(rest) > 0 {
		err = errors.New(rest[0].String())
	}
	held = inUse() - began
	runtime.KeepAlive(i)
	runtime.KeepAlive(o)
	return held, err
}

// inUse is how many bytes are in use.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // what a pool holds is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
