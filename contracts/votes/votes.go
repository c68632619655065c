// Package votes is what can happen to an owners' meeting and to the ballots of
// its electorate (业主大会, Civil Code art. 277–280).
package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// Prefixes of the streams this context owns, each followed by an id.
const (
	MeetingStream = "meeting-" // one meeting
	BallotStream  = "ballot-"  // <meeting>-<roll entry>: all ballots of one head
	RefusalStream = "refusal-" // <meeting>-<voter>: ballots of someone without an entry
)

// Categories of the streams this context owns.
var Categories = []string{MeetingStream, BallotStream, RefusalStream, ObjectionStream, ProcedureStream, ProxyStream}

// Channels (渠道) of a ballot, as the papers name them.
const (
	Electronic = "电子"
	Paper      = "纸质"
)

// Choices (选择) on a motion.
const (
	Yes     = "赞成"
	No      = "反对"
	Abstain = "弃权"
)

// Outcomes of a motion. One that is not adopted is never the opposite decision.
const (
	Adopted    = "通过"
	NotAdopted = "未通过"
	NoDecision = "未形成有效决定" // too few heads or too little area took part
)

// Policies a meeting names in its notice.
const (
	FirstBallotStands = "first-ballot-stands"
	LastBallotStands  = "last-ballot-stands"
	ElectronicStands  = "electronic-stands"
	PaperStands       = "paper-stands"
	FirstStands       = "first-stands"

	UnreturnedNone         = "none"          // an un-returned ballot counts for nobody
	UnreturnedTakesPart    = "takes-part"    // one that was delivered, with a warning, counts as taking part
	UnreturnedWithMajority = "with-majority" // or with the majority of those that were returned
)

// Reason says why a ballot or a choice does not count.
type Reason string

// Reasons, in the order in which they are tested.
const (
	NoSuchMotion           Reason = "no-such-motion"
	VotingNotOpen          Reason = "voting-not-open"
	VotingIsClosed         Reason = "voting-closed"
	NotOnTheRoll           Reason = "not-on-the-roll"
	NotTheRepresentative   Reason = "not-the-representative"
	NotInScope             Reason = "not-in-scope"
	SellerVoted            Reason = "seller-voted" // of all units concerned, whoever sold them voted before
	AlreadyVoted           Reason = "already-voted"
	Superseded             Reason = "superseded"
	ElectronicBallotStands Reason = "electronic-ballot-stands"
	PaperBallotStands      Reason = "paper-ballot-stands"
	NoSuchChoice           Reason = "no-such-choice"
	TooManyApproved        Reason = "too-many-approved" // more candidates than one ballot may approve
)

// Policy is how a meeting treats what the law leaves open.
type Policy struct {
	Revote             string `json:"revote"`               // within one channel
	PaperAndElectronic string `json:"paper_and_electronic"` // between channels
	Unreturned         string `json:"unreturned"`           // what becomes of a ballot nobody hands in: none, takes-part or with-majority
	ParkingCountsArea  bool   `json:"parking_counts_area"`  // whether parking counts, by area and by head
}

// Motion (议题) is one question put to the owners.
type Motion struct {
	ID     string `json:"id"`     // as on the paper, e.g. M1
	Title  string `json:"title"`  // the question
	Matter string `json:"matter"` // 民法典278-1-4: article, paragraph, item
	Scope  string `json:"scope"`  // estate, building:5, stair:5-1 (单元), or units

	Units []string `json:"units,omitempty"` // of scope units: codes of the affected ones

	Election

	Effect Effect `json:"effect,omitzero"` // what follows by itself once it is adopted
}

// Choice is what a ballot says on one motion, or on one candidate of an election.
type Choice struct {
	Motion    string `json:"motion"`              // id of the motion
	Candidate string `json:"candidate,omitempty"` // id of the candidate, where the motion is an election
	Choice    string `json:"choice"`              // 赞成, 反对 or 弃权
}

// Event is something that happened to a meeting or to a ballot.
//
//sumtype:decl
type Event interface{ event() }

// MeetingDrafted is the first event of a meeting.
type MeetingDrafted struct {
	Meeting string   `json:"meeting"`
	Estate  string   `json:"estate"`
	Title   string   `json:"title"`          // of the meeting
	Policy  Policy   `json:"policy"`         // fixed from here on
	Motions []Motion `json:"motions"`        // all that may be voted on
	Past    bool     `json:"past,omitempty"` // entered from papers after it was held

	Convened
	Planned Planned `json:"planned,omitzero"` // what those who call it have in mind
}

// ScopeTotal is the electorate of one scope.
type ScopeTotal struct {
	Scope string        `json:"scope"`         // estate, building:5, stair:5-1, or units: and the motion that lists them
	Heads int64         `json:"heads"`         // 人数
	Area  units.CentiM2 `json:"area_centi_m2"` // 专有部分面积
}

// RollFrozen fixes who may vote, before the notice.
type RollFrozen struct {
	Meeting string        `json:"meeting"`
	Roll    string        `json:"roll"`          // hash of the public blob: [Roll]
	Heads   int64         `json:"heads"`         // of the whole estate
	Area    units.CentiM2 `json:"area_centi_m2"` // of the whole estate
	Scopes  []ScopeTotal  `json:"scopes"`        // one for each scope of a motion
	SeenAt  uint64        `json:"seen_at"`       // position up to which titles were read

	Form int       `json:"form,omitempty"` // of the blob: 1 where it says of each unit its area and what that rests on
	At   time.Time `json:"at,omitzero"`    // of a live meeting: when it was posted, and owners may object from
}

// Roll is the blob that RollFrozen names: the electorate without names.
type Roll struct {
	Meeting string  `json:"meeting"`
	Entries []Entry `json:"entries"` // by number
}

// Entry is one head of a roll with all units it votes for.
type Entry struct {
	Entry     string        `json:"entry"`               // number in the roll, from "1"
	Units     []string      `json:"units"`               // codes
	Buildings []string      `json:"buildings"`           // 楼栋 of these units
	Area      units.CentiM2 `json:"area_centi_m2"`       // of these units, as far as it counts
	ByScope   []ScopeTotal  `json:"by_scope,omitempty"`  // area in scopes smaller than the estate; heads is 1
	Developer bool          `json:"developer,omitempty"` // the head of unsold and undelivered stock

	ByUnit []RollUnit `json:"by_unit,omitempty"` // the units one by one, in the order of Units
}

// RollUnit is a unit on the roll.
type RollUnit struct {
	Unit     string        `json:"unit"`               // code
	Building string        `json:"building,omitempty"` // 楼栋
	Stair    string        `json:"stair,omitempty"`    // 单元
	Area     units.CentiM2 `json:"area_centi_m2"`      // exclusive area (专有部分面积)
	Basis    string        `json:"basis,omitempty"`    // 面积依据: 登记, 实测 or 合同 (interpretation, art. 8)
}

// NoticePosted opens the clocks. Nothing else may be voted on.
type NoticePosted struct {
	Meeting  string         `json:"meeting"`
	At       time.Time      `json:"at"`                // when it was posted
	Opens    time.Time      `json:"opens"`             // first instant of voting
	Closes   time.Time      `json:"closes"`            // deadline; a ballot at this instant is late
	RuleSet  string         `json:"rule_set"`          // id of the rules in force on this day
	RuleHash string         `json:"rule_hash"`         // SHA-256 of the rule set
	Adopted  []RulesAdopted `json:"adopted,omitempty"` // what the estate had adopted by then, at most one; none: the national rules
	Differs  []Differs      `json:"differs,omitempty"` // of motions on a matter for which too few took part, not long ago
}

// Differs says how a motion is another question than one on the same matter that
// lapsed: too few took part in it, although voting was extended.
type Differs struct {
	Motion string `json:"motion"` // of this notice
	From   string `json:"from"`   // id of the meeting in which the other lapsed
	Reason string `json:"reason"` // for everyone to read; without names
}

// PaperHandedIn records an envelope before it is opened; the ballot in it is
// ordered and counted by this moment.
type PaperHandedIn struct {
	Meeting  string    `json:"meeting"`
	Entry    string    `json:"entry"`
	Envelope string    `json:"envelope,omitempty"` // its id, and that of the ballot in it
	Channel  string    `json:"channel,omitempty"`  // 会议: a hand shown in the meeting; none: 纸质
	Proxy    string    `json:"proxy,omitempty"`    // id of the mandate, where its holder handed it in
	At       time.Time `json:"at"`                 // when it was handed in, or shown
}

// BallotCast records a ballot that passed every test that does not depend on
// other ballots of the same head. Which of several counts is settled by the
// meeting's policy when voting is closed.
type BallotCast struct {
	Ballot  string       `json:"ballot"`
	Meeting string       `json:"meeting"`
	Entry   string       `json:"entry"`
	Channel string       `json:"channel"`           // 渠道: 电子, 纸质 or 会议
	Proxy   string       `json:"proxy,omitempty"`   // id of the mandate, where another person cast it
	At      time.Time    `json:"at"`                // received, or handed in on paper
	Motions []string     `json:"motions"`           // those the ballot answers
	Choices []Choice     `json:"choices,omitempty"` // of a meeting of the past
	Sealed  codec.Sealed `json:"sealed,omitempty"`  // [Choice] list, with the meeting's key
}

// BallotRefused records a ballot that does not count, and why.
type BallotRefused struct {
	Ballot  string    `json:"ballot"`
	Meeting string    `json:"meeting"`
	Entry   string    `json:"entry,omitempty"` // none: not on the roll
	Channel string    `json:"channel"`         // 渠道: 电子, 纸质 or 会议
	Proxy   string    `json:"proxy,omitempty"` // id of the mandate, where another person cast it
	At      time.Time `json:"at"`              // received, or handed in on paper
	Motions []string  `json:"motions"`         // those the ballot answers
	Reason  Reason    `json:"reason"`          // the first test it failed
}

// PaperEntryCompleted declares that every paper ballot handed in has been entered.
type PaperEntryCompleted struct {
	Meeting string        `json:"meeting"`
	Papers  EnvelopeCount `json:"papers,omitzero"` // what became of them
}

// VotingClosed ends the taking of ballots. Ballots recorded later do not count.
type VotingClosed struct {
	Meeting string `json:"meeting"`
}

// KeyReleased opens the meeting's ballots to everyone.
type KeyReleased struct {
	Meeting string `json:"meeting"`
	Key     string `json:"key"` // Tink keyset, JSON; of one held in shares p256: and the scalar, base64
}

// Each event with the streams it is written to; docs/events.md is made of this.
func (MeetingDrafted) event()      {} // MeetingStream
func (RollFrozen) event()          {} // MeetingStream
func (NoticePosted) event()        {} // MeetingStream
func (PaperHandedIn) event()       {} // BallotStream
func (BallotCast) event()          {} // BallotStream
func (BallotRefused) event()       {} // BallotStream, RefusalStream
func (PaperEntryCompleted) event() {} // MeetingStream
func (VotingClosed) event()        {} // MeetingStream
func (KeyReleased) event()         {} // MeetingStream

// HappenedAt is when the voter acted; see libs/es.
func (e NoticePosted) HappenedAt() time.Time  { return e.At }
func (e PaperHandedIn) HappenedAt() time.Time { return e.At }
func (e BallotCast) HappenedAt() time.Time    { return e.At }
func (e BallotRefused) HappenedAt() time.Time { return e.At }

// Codec lists every event ever stored.
var Codec = codec.New(
	codec.Of[Event, MeetingDrafted]("meeting-drafted.v1"),
	codec.Of[Event, RollFrozen]("roll-frozen.v1"),
	codec.Of[Event, NoticePosted]("notice-posted.v1"),
	codec.Of[Event, PaperHandedIn]("paper-handed-in.v1"),
	codec.Short[Event]("ballot-cast.v1", shortBallot),
	codec.Of[Event, BallotRefused]("ballot-refused.v1"),
	codec.Of[Event, PaperEntered]("paper-entered.v1"),
	codec.Of[Event, PaperDisputed]("paper-disputed.v1"),
	codec.Of[Event, PaperVoided]("paper-voided.v1"),
	codec.Of[Event, ProxyGranted]("proxy-granted.v1"),
	codec.Of[Event, ProxyRevoked]("proxy-revoked.v1"),
	codec.Of[Event, MandateTaken]("mandate-taken.v1"),
	codec.Of[Event, MandateReturned]("mandate-returned.v1"),
	codec.Of[Event, ProxyRefused]("proxy-refused.v1"),
	codec.Of[Event, PaperEntryCompleted]("paper-entry-completed.v1"),
	codec.Of[Event, VotingClosed]("voting-closed.v1"),
	codec.Of[Event, KeyReleased]("key-released.v1"),
	codec.Of[Event, RulesAdopted]("rules-adopted.v1"),
	codec.Of[Event, MeetingCancelled]("meeting-cancelled.v1"),
	codec.Of[Event, VotingExtended]("voting-extended.v1"),
	codec.Of[Event, ResultPosted]("result-posted.v1"),
	codec.Of[Event, ResultWithdrawn]("result-withdrawn.v1"),
	codec.Of[Event, BallotSetAside]("ballot-set-aside.v1"),
	codec.Of[Event, BallotRestored]("ballot-restored.v1"),
	codec.Of[Event, ResultObjected]("result-objected.v1"),
	codec.Of[Event, ObjectionRead]("objection-read.v1"),
	codec.Of[Event, ResultObjectionAnswered]("result-objection-answered.v1"),
	codec.Of[Event, ResultFinal]("result-final.v1"),
	codec.Of[Event, ResultFiled]("result-filed.v1"),
	codec.Of[Event, DeadlineMissed]("deadline-missed.v1"),
	codec.Of[Event, DecisionEffective]("decision-effective.v1"),
	codec.Of[Event, TrusteesNamed]("trustees-named.v1"),
	codec.Of[Event, ShareTaken]("share-taken.v1"),
	codec.Of[Event, SharesAwaited]("shares-awaited.v1"),
	codec.Of[Event, ShareGiven]("share-given.v1"),
	codec.Of[Event, BallotsUnopened]("ballots-unopened.v1"),
	codec.Of[Event, NoticeDelivered]("notice-delivered.v1"),
	codec.Of[Event, DeliveryFailed]("delivery-failed.v1"),
	codec.Of[Event, NoticeDisplayed]("notice-displayed.v1"),
	codec.Of[Event, BallotCodesIssued]("ballot-codes-issued.v1"),
	codec.Of[Event, RollAmended]("roll-amended.v1"),
	codec.Of[Event, RollObjected]("roll-objected.v1"),
	codec.Of[Event, RollObjectionRead]("roll-objection-read.v1"),
	codec.Of[Event, RollObjectionAnswered]("roll-objection-answered.v1"),
	codec.Of[Event, RollObjectionWithdrawn]("roll-objection-withdrawn.v1"),
)
