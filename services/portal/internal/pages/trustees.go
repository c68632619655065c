package pages

import (
	"slices"

	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// Parties that may hold a share, in the order in which they are offered.
var Parties = []string{votes.OfCommittee, votes.OfStreet, votes.OfResidents, votes.OfOwners}

// Offered is for how many trustees there is room in the form; the API takes nine.
const Offered = 5

// TrusteesModel is who holds the key of a meeting.
type TrusteesModel struct {
	Meeting client.Meeting
	Trust   client.Trusteeship
	Name    *TrusteesForm // for who may name trustees, before the notice
}

// TrusteesForm names trustees.
type TrusteesForm struct {
	Key          string
	People       [Offered]string
	Parties      [Offered]string
	Needed, Days string
	Problem      *Problem
}

// own returns the reader's place among the trustees; nil: they are none.
func (m TrusteesModel) own() *client.Trustee {
	if i := slices.IndexFunc(m.Trust.Trustees, func(t client.Trustee) bool { return t.Own }); i >= 0 {
		return &m.Trust.Trustees[i]
	}
	return nil
}

func (m TrusteesModel) taken() (n int) {
	for _, t := range m.Trust.Trustees {
		if t.Taken {
			n++
		}
	}
	return n
}

func (m TrusteesModel) given() (n int) {
	for _, t := range m.Trust.Trustees {
		if t.Given {
			n++
		}
	}
	return n
}

func yesNo(v View, yes bool) string {
	if yes {
		return v.T("是", "yes")
	}
	return v.T("还没有", "not yet")
}

// ShareModel is a trustee's own page.
type ShareModel struct {
	Meeting client.Meeting
	Trust   client.Trusteeship
	Own     client.Trustee
	Share   string // while it can be seen
	Key     string
	Typed   string
	Problem *Problem
}

// closed says whether shares are taken in.
func (m ShareModel) closed() bool { return m.Trust.Until != nil }
