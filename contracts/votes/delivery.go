package votes

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// Ways (方式) in which a notice reaches an owner (送达).
const (
	ByHand    = "当面签收" // handed over, and signed for
	ByMail    = "邮寄"   // with the carrier's proof
	ByApp     = "应用确认" // confirmed by the owner, who was logged in
	ByPosting = "公告张贴" // put up on the estate, for whom nothing else reached
)

// Whys says why a notice did not reach an owner. They are words of a list, so
// that nobody is described in public.
var Whys = []string{"无人在家", "拒收", "地址不详", "退件", "联系不上", "房屋空置"}

// NextSteps says what is done about a notice that did not reach an owner.
var NextSteps = []string{"再次上门", "改用邮寄", "电话联系", "张贴公告"}

// NoticeDelivered says that the notice reached the owner of an entry, and by
// what proof. A proof is a file that the committee keeps; its hash is here.
type NoticeDelivered struct {
	Meeting string    `json:"meeting"`
	Entry   string    `json:"entry"`
	Channel string    `json:"channel"`         // 方式: 当面签收, 邮寄 or 应用确认
	At      time.Time `json:"at"`              // when it reached the owner
	Proof   string    `json:"proof,omitempty"` // SHA-256 of the signature, or of the carrier's receipt; none: the owner confirmed it
	Warned  bool      `json:"warned"`          // it said what becomes of a ballot that is not handed in
}

// DeliveryFailed says that the notice did not reach the owner of an entry, and
// what is done about it.
type DeliveryFailed struct {
	Meeting string    `json:"meeting"`
	Entry   string    `json:"entry"`
	Channel string    `json:"channel"` // 方式: 当面签收 or 邮寄
	At      time.Time `json:"at"`      // when it was tried, or came back
	Why     string    `json:"why"`     // one of [Whys]
	Next    string    `json:"next"`    // one of [NextSteps]
}

// NoticeDisplayed says that the notice stands where the owners pass. After its
// days it has reached those whom it reached in no other way (滨州 ≥ 5 days,
// 舟山 ≥ 7).
type NoticeDisplayed struct {
	Meeting string    `json:"meeting"`
	Place   string    `json:"place"`  // 张贴地点
	Photo   string    `json:"photo"`  // SHA-256 of the photograph
	From    units.Day `json:"from"`   // first day
	Until   units.Day `json:"until"`  // last day
	Warned  bool      `json:"warned"` // it said what becomes of a ballot that is not handed in
}

// BallotCodesIssued says that letters were printed with one-time codes, each of
// which opens its owner's ballot once. An entry's earlier code is void. What the
// codes are is not here.
type BallotCodesIssued struct {
	Meeting string    `json:"meeting"`
	Entries []string  `json:"entries"`          // numbers, and ranges such as 1-976
	Count   int64     `json:"count"`            // codes
	Until   time.Time `json:"until"`            // when they end: with the voting
	Reason  string    `json:"reason,omitempty"` // why names were read to address the letters; none: they name units only
}

func (NoticeDelivered) event()   {} // BallotStream
func (DeliveryFailed) event()    {} // BallotStream
func (NoticeDisplayed) event()   {} // MeetingStream
func (BallotCodesIssued) event() {} // MeetingStream

// HappenedAt is when the owner was told, or was not to be found; see libs/es.
func (e NoticeDelivered) HappenedAt() time.Time { return e.At }
func (e DeliveryFailed) HappenedAt() time.Time  { return e.At }
