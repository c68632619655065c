package proof

import (
	"crypto/sha256"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is a Merkle tree by RFC 6962 to which leaves come one by one. It keeps
// what is needed to go on: the roots of the full subtrees, the largest first.
type tree struct {
	size  uint64
	roots []tlog.Hash
}

// add appends a full subtree of 2^level leaves, a leaf for 0. The tree's size is
// a multiple of that.
func (t *tree) add(level int, h tlog.Hash) {
	for n := t.size >> level; n&1 == 1; n >>= 1 {
		last := len(t.roots) - 1
		h, t.roots = tlog.NodeHash(t.roots[last], h), t.roots[:last]
	}
	t.roots = append(t.roots, h)
	t.size += 1 << level
}

func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	h := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.roots[i], h)
	}
	return h
}
