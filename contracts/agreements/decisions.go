package agreements

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Formal is the kind of an agreement that only the owners' assembly may let come
// into force (正式合同, Civil Code art. 278 (1) 4).
const Formal = "正式合同"

// Decision (决定) is what owners decided, and where that can be read.
type Decision struct {
	Meeting string    `json:"meeting"`
	Motion  string    `json:"motion"` // id
	Title   string    `json:"title"`  // of the motion
	Result  string    `json:"result"` // hash of the public blob that was posted
	At      time.Time `json:"at"`     // when the result became final
}

// ContractAuthorised says that owners appointed the provider by this agreement: it
// may come into force.
type ContractAuthorised struct {
	Agreement string   `json:"agreement"`
	Decision  Decision `json:"decision"` // of the owners' assembly (业主大会)
}

// ProviderDismissed says that owners dismissed the provider, and is the notice of
// it: the agreement ends 60 days later (Civil Code art. 946).
type ProviderDismissed struct {
	Agreement string    `json:"agreement"`
	On        units.Day `json:"on"`       // day of the notice, which is not counted
	Ends      units.Day `json:"ends"`     // last day: the 60th after it
	Decision  Decision  `json:"decision"` // of the owners' assembly (业主大会)
}

func (ContractAuthorised) event() {} // AgreementStream
func (ProviderDismissed) event()  {} // AgreementStream
