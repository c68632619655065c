package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// ProxyStream is the prefix of <meeting>-<holder>: all mandates (委托) that one
// person holds in one meeting meet there, to be counted.
const ProxyStream = "proxy-"

// InMeeting (会议) is the channel of a show of hands that is recorded by name.
const InMeeting = "会议"

// Void (废票) is what a paper says on a motion on which it says nothing that
// counts: spoilt, or blank. It stands in readings, never in a ballot.
const Void = "废票"

// TwoPersonsFrom is the first day on which a notice may be posted of a live
// meeting whose paper is entered by two persons, and whose ballots answer every
// motion unless the rules say otherwise. Meetings of earlier notices were held
// with one person at the desk, and replay so.
const TwoPersonsFrom units.Day = "2026-11-26"

// Reasons of ballots by proxy.
const (
	ProxyCapExceeded Reason = "proxy-cap-exceeded"
	ProxyBarred      Reason = "proxy-barred"
	OwnBallotStands  Reason = "own-ballot-stands" // voting in person revokes

	AgainstInstructions Reason = "against-instructions" // a proxy's paper says otherwise than the owner instructed
)

// Mark stands for what is said on a motion without telling it: an HMAC of
// meeting, envelope or mandate, motion, and what is said, under a key that never
// leaves the vault. Two that are alike say the same; no other two can be
// compared, not even of one person on two motions.
type Mark struct {
	Motion string `json:"motion"` // id of the motion
	Mark   string `json:"mark"`   // hex
}

// PaperEntered is one person's reading of the ballot in an envelope. Nobody sees
// it before the close: the next person reads without knowing it, and marks are
// compared.
type PaperEntered struct {
	Meeting  string       `json:"meeting"`
	Entry    string       `json:"entry"`
	Envelope string       `json:"envelope"`       // id of the envelope, and of the ballot in it
	By       string       `json:"by"`             // who read it
	Scan     string       `json:"scan,omitempty"` // SHA-256 of the scan, of the first reading at least
	Marks    []Mark       `json:"marks"`          // one for each motion this entry votes on
	Sealed   codec.Sealed `json:"sealed"`         // [Choice] list with [Void], with the meeting's key
}

// PaperDisputed says that the last reading of an envelope is like none before.
// Another person reads it, until two readings are alike.
type PaperDisputed struct {
	Meeting  string   `json:"meeting"`
	Entry    string   `json:"entry"`
	Envelope string   `json:"envelope"` // id of the envelope, and of the ballot in it
	Motions  []string `json:"motions"`  // on which the readings differ
}

// PaperVoided says that the committee found that nobody can tell what a paper
// says, after three persons had read it differently.
type PaperVoided struct {
	Meeting  string `json:"meeting"`
	Entry    string `json:"entry"`
	Envelope string `json:"envelope"` // id of the envelope, and of the ballot in it
	Minutes  string `json:"minutes"`  // SHA-256 of the record of that decision
}

// EnvelopeCount is what became of the envelopes of a meeting. Envelopes is the sum
// of the others.
type EnvelopeCount struct {
	Envelopes int `json:"envelopes"` // handed in
	Cast      int `json:"cast"`      // taken on some motion
	Void      int `json:"void"`      // spoilt or blank throughout, or voided by the committee
	Refused   int `json:"refused"`   // by another rule
}

// MandateTaken counts a mandate for its holder. The owner's stream says the rest.
type MandateTaken struct {
	Proxy   string    `json:"proxy"` // id of the mandate
	Meeting string    `json:"meeting"`
	Entry   string    `json:"entry"`  // whom the holder votes for
	Holder  string    `json:"holder"` // id of the person who votes for the owner
	At      time.Time `json:"at"`     // when it was asked for
}

// MandateReturned counts a mandate no longer: it was revoked.
type MandateReturned struct {
	Proxy   string `json:"proxy"` // id of the mandate
	Meeting string `json:"meeting"`
	Entry   string `json:"entry"`  // of the owner
	Holder  string `json:"holder"` // id of the person who votes for the owner
}

// ProxyRefused records that a person may not hold a mandate, and why.
type ProxyRefused struct {
	Proxy   string    `json:"proxy"` // id of the mandate
	Meeting string    `json:"meeting"`
	Entry   string    `json:"entry"`  // of the owner
	Holder  string    `json:"holder"` // id of the person who votes for the owner
	At      time.Time `json:"at"`     // when it was asked for
	Reason  Reason    `json:"reason"` // proxy-cap-exceeded or proxy-barred
}

// ProxyGranted (委托) lets a person cast an entry's ballot.
type ProxyGranted struct {
	Proxy    string       `json:"proxy"` // id of the mandate
	Meeting  string       `json:"meeting"`
	Entry    string       `json:"entry"`              // of the owner
	Holder   string       `json:"holder"`             // the person's id
	At       time.Time    `json:"at"`                 // when it was granted
	Document string       `json:"document,omitempty"` // SHA-256 of the written mandate; none: the owner granted it logged in
	Marks    []Mark       `json:"marks,omitempty"`    // of the motions with an instruction
	Sealed   codec.Sealed `json:"sealed,omitempty"`   // the instructions, [Choice] list, with the meeting's key
}

// ProxyRevoked ends a mandate. What the holder cast before stands.
type ProxyRevoked struct {
	Proxy    string    `json:"proxy"` // id of the mandate
	Meeting  string    `json:"meeting"`
	Entry    string    `json:"entry"`              // of the owner
	Holder   string    `json:"holder"`             // id of the person who votes for the owner
	At       time.Time `json:"at"`                 // when it was revoked
	Document string    `json:"document,omitempty"` // SHA-256 of the written revocation; none: the owner revoked it logged in
}

// Each event with the streams it is written to.
func (PaperEntered) event()    {} // BallotStream
func (PaperDisputed) event()   {} // BallotStream
func (PaperVoided) event()     {} // BallotStream
func (ProxyGranted) event()    {} // BallotStream
func (ProxyRevoked) event()    {} // BallotStream
func (MandateTaken) event()    {} // ProxyStream
func (MandateReturned) event() {} // ProxyStream
func (ProxyRefused) event()    {} // ProxyStream

// HappenedAt is when it was granted, revoked or asked for; see libs/es.
func (e ProxyGranted) HappenedAt() time.Time { return e.At }
func (e ProxyRevoked) HappenedAt() time.Time { return e.At }
func (e MandateTaken) HappenedAt() time.Time { return e.At }
func (e ProxyRefused) HappenedAt() time.Time { return e.At }
