// Package agreements is what can happen to an agreement between those who
// entrust an estate and the provider who serves it (委托制物业).
package agreements

import (
	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// Prefixes of the streams this context owns, each followed by an id.
const (
	AgreementStream = "agreement-" // one agreement
	OptionStream    = "option-"    // the options one unit chose: <agreement>-<unit>
)

// Categories of the streams this context owns.
var Categories = []string{AgreementStream, OptionStream}

// What a rate is for.
const (
	PerM2    = "㎡·月" // by exclusive area
	PerPiece = "个·月" // by piece
)

// Rate is the price for one use of units.
type Rate struct {
	Use  string     `json:"use"`          // 住宅, 商铺, 车位
	Rate units.Rate `json:"rate_e4_yuan"` // price a month
	Per  string     `json:"per"`          // ㎡·月 or 个·月: what the price is for
}

// Event is something that happened to an agreement.
//
//sumtype:decl
type Event interface{ event() }

// AgreementProposed is the first event of an agreement.
type AgreementProposed struct {
	Agreement  string    `json:"agreement"`
	Estate     string    `json:"estate"`
	Kind       string    `json:"kind"`              // 委托制物业, 正式合同
	Principals []string  `json:"principals"`        // those who entrust together
	Provider   string    `json:"provider"`          // who serves the estate (物业服务人)
	Starts     units.Day `json:"starts"`            // first day of the term
	Ends       units.Day `json:"ends"`              // last day of the term
	Rates      []Rate    `json:"rates"`             // one for each use that is charged
	Change     string    `json:"change,omitempty"`  // what is said of price changes
	Services   []string  `json:"services"`          // what is done for everyone
	Options    []string  `json:"options,omitempty"` // services a resident may choose and drop
	Follows    string    `json:"follows,omitempty"` // id of the agreement in force that this one takes the place of
}

// AgreementPosted says that the terms were posted for everyone to read.
type AgreementPosted struct {
	Agreement string    `json:"agreement"`
	On        units.Day `json:"on"` // first day it was posted
}

// AgreementSigned says that one party signed.
type AgreementSigned struct {
	Agreement string    `json:"agreement"`
	Party     string    `json:"party"` // a principal or the provider
	On        units.Day `json:"on"`    // day of the signature
}

// AgreementActivated says that all have signed and the term runs.
type AgreementActivated struct {
	Agreement string    `json:"agreement"`
	On        units.Day `json:"on"` // day from which it is in force
}

// AgreementEnded ends an agreement.
type AgreementEnded struct {
	Agreement string    `json:"agreement"`
	On        units.Day `json:"on"`     // last day
	Reason    string    `json:"reason"` // in words

	Successor string `json:"successor,omitempty"` // id of the agreement that took its place
}

// OptionChosen says that a unit takes an optional service.
type OptionChosen struct {
	Agreement string    `json:"agreement"`
	Unit      string    `json:"unit"`   // id
	Option    string    `json:"option"` // one of the agreement's options
	On        units.Day `json:"on"`     // first day
}

// OptionDropped says that a unit no longer takes it.
type OptionDropped struct {
	Agreement string    `json:"agreement"`
	Unit      string    `json:"unit"`   // id
	Option    string    `json:"option"` // one of the agreement's options
	On        units.Day `json:"on"`     // last day
}

// Each event with the streams it is written to; docs/events.md is made of this.
func (AgreementProposed) event()  {} // AgreementStream
func (AgreementPosted) event()    {} // AgreementStream
func (AgreementSigned) event()    {} // AgreementStream
func (AgreementActivated) event() {} // AgreementStream
func (AgreementEnded) event()     {} // AgreementStream
func (OptionChosen) event()       {} // OptionStream
func (OptionDropped) event()      {} // OptionStream

// Codec lists every event ever stored.
var Codec = codec.New(
	codec.Of[Event, AgreementProposed]("agreement-proposed.v1"),
	codec.Of[Event, AgreementPosted]("agreement-posted.v1"),
	codec.Of[Event, AgreementSigned]("agreement-signed.v1"),
	codec.Of[Event, AgreementActivated]("agreement-activated.v1"),
	codec.Of[Event, AgreementEnded]("agreement-ended.v1"),
	codec.Of[Event, ContractAuthorised]("contract-authorised.v1"),
	codec.Of[Event, ProviderDismissed]("provider-dismissed.v1"),
	codec.Of[Event, OptionChosen]("option-chosen.v1"),
	codec.Of[Event, OptionDropped]("option-dropped.v1"),
)
