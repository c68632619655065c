package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
)

// ObjectionStream is of one objection to a result.
const ObjectionStream = "objection-"

// MeetingCancelled ends a meeting before its deadline; of a draft it says that it
// is withdrawn. Nothing of the meeting is counted, and its ballots stay closed.
type MeetingCancelled struct {
	Meeting string    `json:"meeting"`
	At      time.Time `json:"at"`     // when that was
	Reason  string    `json:"reason"` // for everyone to read; without names
}

// VotingExtended moves the deadline while too few have taken part. Ballots that
// were cast before stay.
type VotingExtended struct {
	Meeting string    `json:"meeting"`
	At      time.Time `json:"at"`     // when that was
	From    time.Time `json:"from"`   // the deadline until now
	Closes  time.Time `json:"closes"` // the new one; a ballot at this instant is late
}

// ResultPosted says that somebody posted the result in the estate. It is
// provisional until nobody objects any more.
type ResultPosted struct {
	Meeting string    `json:"meeting"`
	At      time.Time `json:"at"`              // when that was
	Posting int       `json:"posting"`         // 1, and one more each time it was withdrawn
	Result  string    `json:"result"`          // hash of the public blob
	Photo   string    `json:"photo,omitempty"` // SHA-256 of the photo of the notice board

	ObjectionsUntil time.Time `json:"objections_until,omitzero"` // first instant at which nobody may object any more; none where the rules give no days
}

// ResultWithdrawn takes a posted result back, for everyone to see why.
type ResultWithdrawn struct {
	Meeting   string    `json:"meeting"`
	At        time.Time `json:"at"`                  // when that was
	Posting   int       `json:"posting"`             // that is withdrawn
	Reason    string    `json:"reason"`              // for everyone to read; without names
	Objection string    `json:"objection,omitempty"` // that was upheld
}

// ResultObjected is what an owner says against a posted result.
type ResultObjected struct {
	Objection string       `json:"objection"` // its id
	Meeting   string       `json:"meeting"`
	Posting   int          `json:"posting"`          // what it is said against
	Entry     string       `json:"entry"`            // of the roll
	Person    string       `json:"person"`           // whose key the words are sealed with
	Motion    string       `json:"motion,omitempty"` // id; none: the whole result
	At        time.Time    `json:"at"`               // when it was raised
	Words     codec.Sealed `json:"words"`            // the owner's own, with their key
}

// ObjectionRead says that someone read the owner's own words, in order to answer.
type ObjectionRead struct {
	Objection string    `json:"objection"` // its id
	Meeting   string    `json:"meeting"`
	Reader    string    `json:"reader"` // person or token
	At        time.Time `json:"at"`     // when that was
}

// ResultObjectionAnswered is the answer to an objection, for everyone to read.
type ResultObjectionAnswered struct {
	Objection string    `json:"objection"` // its id
	Meeting   string    `json:"meeting"`
	At        time.Time `json:"at"`     // when that was
	Upheld    bool      `json:"upheld"` // the result is withdrawn and corrected
	Answer    string    `json:"answer"` // without names
}

// ResultFinal says that the time to object has passed and every objection is
// answered.
type ResultFinal struct {
	Meeting string    `json:"meeting"`
	At      time.Time `json:"at"`      // when that was
	Posting int       `json:"posting"` // the number of the posting
}

// ResultFiled says that the street office has taken the result on file (备案).
type ResultFiled struct {
	Meeting   string    `json:"meeting"`
	At        time.Time `json:"at"`        // when that was
	Reference string    `json:"reference"` // the street office's number
}

// DeadlineMissed says that a day of the rules passed and what was due had not
// been done. What is done later is late, and counts.
type DeadlineMissed struct {
	Meeting  string    `json:"meeting"`
	Deadline string    `json:"deadline"` // its name, e.g. result-posted
	Due      time.Time `json:"due"`      // first instant at which it was late
}

func (MeetingCancelled) event()        {} // MeetingStream
func (VotingExtended) event()          {} // MeetingStream
func (ResultPosted) event()            {} // MeetingStream
func (ResultWithdrawn) event()         {} // MeetingStream
func (ResultObjected) event()          {} // ObjectionStream
func (ObjectionRead) event()           {} // ObjectionStream
func (ResultObjectionAnswered) event() {} // ObjectionStream
func (ResultFinal) event()             {} // MeetingStream
func (ResultFiled) event()             {} // MeetingStream
func (DeadlineMissed) event()          {} // MeetingStream

// HappenedAt is when somebody did it; see libs/es.
func (e MeetingCancelled) HappenedAt() time.Time        { return e.At }
func (e VotingExtended) HappenedAt() time.Time          { return e.At }
func (e ResultPosted) HappenedAt() time.Time            { return e.At }
func (e ResultWithdrawn) HappenedAt() time.Time         { return e.At }
func (e ResultObjected) HappenedAt() time.Time          { return e.At }
func (e ObjectionRead) HappenedAt() time.Time           { return e.At }
func (e ResultObjectionAnswered) HappenedAt() time.Time { return e.At }
func (e ResultFinal) HappenedAt() time.Time             { return e.At }
func (e ResultFiled) HappenedAt() time.Time             { return e.At }
