package votes

import "time"

// SetAside is why a ballot does not count that was set aside.
const SetAside Reason = "set-aside"

// What becomes of another ballot of the same head that would count in the place
// of one that is set aside.
const (
	EarlierStands = "stands" // it counts: the one set aside never was this head's (Civil Code art. 155)
	EarlierFalls  = "falls"  // it stays replaced, and the head has no ballot
)

// BallotSetAside says that a ballot counts no more, for an objection to the result
// was upheld. It stays in the ledger, and the meeting is counted again.
type BallotSetAside struct {
	Meeting   string    `json:"meeting"`
	Objection string    `json:"objection"` // that was upheld
	Entry     string    `json:"entry"`     // of the roll
	Ballot    string    `json:"ballot"`
	At        time.Time `json:"at"`                // when that was
	Earlier   string    `json:"earlier,omitempty"` // of another ballot of this entry that would count in its place: stands or falls; none: there is no such ballot
	Reason    string    `json:"reason"`            // for everyone to read; without names
}

// BallotRestored says that a ballot that was set aside counts again, for another
// objection was upheld.
type BallotRestored struct {
	Meeting   string    `json:"meeting"`
	Objection string    `json:"objection"` // that was upheld
	Entry     string    `json:"entry"`     // of the roll
	Ballot    string    `json:"ballot"`
	At        time.Time `json:"at"`     // when that was
	Reason    string    `json:"reason"` // for everyone to read; without names
}

func (BallotSetAside) event() {} // MeetingStream
func (BallotRestored) event() {} // MeetingStream

// HappenedAt is when the committee decided it; see libs/es.
func (e BallotSetAside) HappenedAt() time.Time { return e.At }
func (e BallotRestored) HappenedAt() time.Time { return e.At }
