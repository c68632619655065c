package votes

import (
	"strings"

	"github.com/yimu-ledger/yimu/contracts/agreements"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/libs/es"
	"github.com/yimu-ledger/yimu/services/internal/facts"
	"github.com/yimu-ledger/yimu/services/votes/internal/meeting"
)

// agreement keeps how far agreements were at each position.
func (i *inspection) agreement(c *facts.Commit) {
	id, ok := strings.CutPrefix(c.Stream(), agreements.AgreementStream)
	if !ok {
		return // options
	}
	k := i.agreed[id]
	if k == nil {
		k = &facts.Known[meeting.Agreement]{}
		i.agreed[id] = k
	}
	a := k.Now()
	for _, f := range c.Facts {
		if e, ok := f.Event.(agreements.Event); ok {
			a = a.Evolve(e)
		}
	}
	k.Set(c, a)
}

// agreedAt returns the agreements that motions name, as they were at a position.
func (i *inspection) agreedAt(motions []votes.Motion, at es.Position) map[string]meeting.Agreement {
	all := map[string]meeting.Agreement{}
	for _, m := range motions {
		if k := i.agreed[m.Effect.Agreement]; k != nil && k.At(at).Estate != "" {
			all[m.Effect.Agreement] = k.At(at)
		}
	}
	return all
}
