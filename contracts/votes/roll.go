package votes

import "time"

// RollAmended says that a unit on the roll has another voter than it had when the
// roll was frozen: it was sold, or its co-owners named another. What is posted of
// the roll stays as it is, and so does its area. Whose ballot counts for the unit
// is settled by the order in the ledger: a ballot that was handed in before this
// event stands, else the new voter's counts.
type RollAmended struct {
	Meeting string `json:"meeting"`
	RollUnit
	Scopes []string  `json:"scopes,omitempty"` // smaller than the estate, that the unit is in
	From   string    `json:"from"`             // entry that voted for it until here
	To     string    `json:"to"`               // entry that votes for it from here on; a new one has the next number
	Person string    `json:"person"`           // who that is
	SeenAt uint64    `json:"seen_at"`          // position as of which the unit's titles were read
	At     time.Time `json:"at"`               // when that was recorded
}

func (RollAmended) event() {} // MeetingStream

// HappenedAt is when the change was recorded; see libs/es.
func (e RollAmended) HappenedAt() time.Time { return e.At }
