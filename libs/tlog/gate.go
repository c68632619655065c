package tlog

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	xtlog "golang.org/x/mod/sumdb/tlog"

	"github.com/yimu-ledger/yimu/libs/proof"
)

var (
	emptyRoot = xtlog.Hash(rfc6962.DefaultHasher.EmptyRoot())
	ranges    = &compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
)

// gate decides what is signed: it computes the root of the leaves by itself, from
// what the appender read of the store, and lets a checkpoint through only where
// the tree on disk has the same. Whatever goes wrong with files, a signature is
// never given to another history.
type gate struct {
	refused func(error) // is told, once, that something else was to be signed

	mu     sync.Mutex
	signed *compact.Range // over the leaves of the last checkpoint
	since  [][]byte       // hashes of the leaves after them, in the tree or on their way into it
	closed bool
}

// expect says which leaves come next.
func (g *gate) expect(leaves [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.since = append(g.since, leaves...)
}

// size is that of the last checkpoint that was let through.
func (g *gate) size() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.signed.End()
}

// close refuses everything from now on.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
}

func (g *gate) allow(text string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return errors.New("tlog: the log is closed")
	}
	err := g.check(text)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrGoesBack, err)
		g.closed = true
		g.refused(err)
	}
	return err
}

func (g *gate) check(text string) error {
	c, err := proof.ParseCheckpoint(text)
	if err != nil {
		return err
	}
	n := g.signed.End()
	if c.Size < n || c.Size > n+uint64(len(g.since)) {
		return fmt.Errorf("%d leaves are signed and %d read after them, and a checkpoint of %d was to be signed", n, len(g.since), c.Size)
	}
	now, err := extended(g.signed, g.since[:c.Size-n])
	if err != nil {
		return err
	}
	root, err := rootOf(now)
	if err != nil {
		return err
	}
	if root != c.Root {
		return fmt.Errorf("the tree of %d leaves on disk is not that of the events", c.Size)
	}
	g.signed, g.since = now, slices.Clone(g.since[c.Size-n:])
	return nil
}

// extended returns a range with more leaves; the given one stays as it is.
func extended(r *compact.Range, leaves [][]byte) (*compact.Range, error) {
	more, err := ranges.NewRange(r.Begin(), r.End(), slices.Clone(r.Hashes()))
	if err != nil {
		return nil, err
	}
	for _, h := range leaves {
		if err := more.Append(h, nil); err != nil {
			return nil, err
		}
	}
	return more, nil
}

func rootOf(r *compact.Range) (xtlog.Hash, error) {
	if r.End() == 0 {
		return emptyRoot, nil
	}
	root, err := r.GetRootHash(nil)
	if err != nil {
		return xtlog.Hash{}, err
	}
	return xtlog.Hash(root), nil
}

// gatedSigner signs what a gate lets through.
type gatedSigner struct {
	note.Signer
	gate *gate
}

// Sign implements note.Signer.
func (s gatedSigner) Sign(text []byte) ([]byte, error) {
	if err := s.gate.allow(string(text)); err != nil {
		return nil, err
	}
	return s.Signer.Sign(text)
}
