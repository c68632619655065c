package pages

import (
	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
	"github.com/yimu-ledger/yimu/services/portal/internal/client"
)

// DeliveryModel is how far the owners were told of a meeting.
type DeliveryModel struct {
	Estate  client.Named
	Meeting client.Meeting
	Telling client.Telling
	Key     string

	// Of who sees to it only.
	Sees     bool
	List     client.Deliveries // what is left to do
	Building string            // only of this one; "": all
	Today    units.Day
	Form     map[string]string
	Done     bool
	Failed   string // the form that was sent
	Problem  *Problem
}

// warns reports whether a ballot that is not handed in may count.
func (m DeliveryModel) warns() bool {
	u := m.Meeting.Policy.Unreturned
	return u != "" && u != votes.UnreturnedNone
}

// open reports whether owners can still be told.
func (m DeliveryModel) open() bool {
	return m.Meeting.State == "noticed" || m.Meeting.State == "open"
}

func (m DeliveryModel) failed(form string) *Problem {
	if m.Failed == form {
		return m.Problem
	}
	return nil
}

// left is how many owners the notice has not reached.
func left(t client.Telling) client.Electorate {
	return client.Electorate{Heads: t.Failed.Heads + t.Untried.Heads, Area: t.Failed.Area + t.Untried.Area}
}

// reachedBy is how many a way reached.
func reachedBy(t client.Telling, way string) int64 {
	for _, w := range t.Reached {
		if w.Channel == way {
			return w.Heads
		}
	}
	return 0
}

var deliveryWays = []string{votes.ByHand, votes.ByMail, votes.ByApp, votes.ByPosting}

// Way is how a notice reaches an owner.
func Way(l Lang, way string) string {
	return lookup(l, map[string][2]string{
		votes.ByHand: {"当面签收", "by hand, signed for"}, votes.ByMail: {"邮寄", "by mail"}, votes.ByApp: {"本人在网上确认", "confirmed online"}, votes.ByPosting: {"公告张贴期满", "by posting, its days over"},
	}, way)
}

// CodeForm is where the voting code of a letter is given in.
type CodeForm struct {
	Meeting client.Meeting
	Estate  client.Named
	Code    string
	Problem *Problem
}
