package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
)

// RollAmended says that a unit on the roll has another voter than it had when the
// roll was frozen: it was sold, or its co-owners named another. What is posted of
// the roll stays as it is, and so does its area. Whose ballot counts for the unit
// is settled by the order in the ledger: a ballot that was handed in before this
// event stands, else the new voter's counts.
type RollAmended struct {
	Meeting string `json:"meeting"` // its id
	RollUnit
	Scopes []string  `json:"scopes,omitempty"` // smaller than the estate, that the unit is in
	From   string    `json:"from"`             // entry that voted for it until here
	To     string    `json:"to"`               // entry that votes for it from here on; a new one has the next number
	Person string    `json:"person"`           // who that is
	SeenAt uint64    `json:"seen_at"`          // position as of which the unit's titles were read
	At     time.Time `json:"at"`               // when that was recorded
}

// RollObjected says that an owner objects to the roll as it was frozen. It is
// answered before the notice is posted.
type RollObjected struct {
	Objection string       `json:"objection"`       // id
	Meeting   string       `json:"meeting"`         // its id
	Number    int          `json:"number"`          // within the meeting, from 1
	Unit      string       `json:"unit"`            // code of the unit that it is about
	Entry     string       `json:"entry,omitempty"` // of the roll that has the unit; none: the roll lacks it
	Person    string       `json:"person"`          // whose objection it is, and whose key the words are sealed with
	At        time.Time    `json:"at"`              // when
	Words     codec.Sealed `json:"words"`           // the owner's own, with their key
}

// RollObjectionRead says that someone read the owner's own words, in order to answer.
type RollObjectionRead struct {
	Objection string    `json:"objection"` // id
	Meeting   string    `json:"meeting"`   // its id
	Reader    string    `json:"reader"`    // person or token
	At        time.Time `json:"at"`        // when
}

// RollObjectionAnswered is the answer to an objection, for everyone to read. Where
// it is upheld, the registry is corrected and the roll frozen anew before the notice.
type RollObjectionAnswered struct {
	Objection string    `json:"objection"` // id
	Meeting   string    `json:"meeting"`   // its id
	At        time.Time `json:"at"`        // when
	Upheld    bool      `json:"upheld"`    // the roll is wrong
	Answer    string    `json:"answer"`    // without names
}

// RollObjectionWithdrawn takes an objection back before it is answered.
type RollObjectionWithdrawn struct {
	Objection string    `json:"objection"` // id
	Meeting   string    `json:"meeting"`   // its id
	At        time.Time `json:"at"`        // when
}

func (RollAmended) event()            {} // MeetingStream
func (RollObjected) event()           {} // MeetingStream
func (RollObjectionRead) event()      {} // MeetingStream
func (RollObjectionAnswered) event()  {} // MeetingStream
func (RollObjectionWithdrawn) event() {} // MeetingStream

// HappenedAt is when the registry had a change of hands, and when someone objected,
// read or answered; see libs/es.
func (e RollAmended) HappenedAt() time.Time            { return e.At }
func (e RollObjected) HappenedAt() time.Time           { return e.At }
func (e RollObjectionRead) HappenedAt() time.Time      { return e.At }
func (e RollObjectionAnswered) HappenedAt() time.Time  { return e.At }
func (e RollObjectionWithdrawn) HappenedAt() time.Time { return e.At }
