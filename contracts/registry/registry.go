// Package registry is what can happen to estates, their units and titles, and
// to the people and tokens that act on them.
//
// People are random ids here. Names, documents and phones are in the vault.
package registry

import (
	"time"

	"github.com/yimu-ledger/yimu/contracts/codec"
	"github.com/yimu-ledger/yimu/contracts/units"
)

// Prefixes of the streams this context owns, each followed by an id.
const (
	EstateStream = "estate-" // one estate
	UnitStream   = "unit-"   // one unit with its titles; the id is made of estate and code
	PersonStream = "person-" // one person with their roles
	TokenStream  = "token-"  // one access token
)

// Categories of the streams this context owns.
var Categories = []string{EstateStream, UnitStream, PersonStream, TokenStream}

// Uses of a unit (用途), as the papers name them.
const (
	Home    = "住宅"
	Shop    = "商铺"
	Parking = "车位"
)

// Bases of an area (面积依据): the register, else the survey, else the sale
// contract (Supreme Court interpretation, art. 8).
const (
	BasisRegister = "登记"
	BasisSurvey   = "实测"
	BasisContract = "合同"
)

// Delivery states of a unit (交付状态).
const (
	Delivered       = "已交付"
	SoldUndelivered = "已售未交付"
	Unsold          = "未售"
)

// Kinds of person.
const (
	Natural = "natural" // 自然人
	Legal   = "legal"   // 法人
)

// Role is what a person or a token may be granted. Owner is no role: titles decide.
type Role string

// Roles, each granted for one estate or, with no estate, for all.
const (
	Resident      Role = "resident"      // 住户
	Committee     Role = "committee"     // 业主委员会
	Clerk         Role = "clerk"         // 社区工作人员
	Provider      Role = "provider"      // 物业服务人
	Principal     Role = "principal"     // 委托方(街道、居委会)
	Regulator     Role = "regulator"     // 监管部门
	Administrator Role = "administrator" // 系统管理员
)

// Roles lists every role.
var Roles = []Role{Resident, Committee, Clerk, Provider, Principal, Regulator, Administrator}

// Reasons for which officials read a person's data. They are public and stand for
// ever, so none is in anyone's own words.
const (
	ForNotice     = "notice-delivery"  // a notice is delivered (送达)
	ForCorrection = "correction"       // the data are put right
	ForPayment    = "payment-matching" // a payment is matched with its owner
	ForEmergency  = "emergency"        // danger to life or property
	ForLaw        = "legal-request"    // a court or an authority asks for them
	ForOwnRequest = "own-request"      // the person asked for it
)

// Reasons lists every reason for reading a person's data.
var Reasons = []string{ForNotice, ForCorrection, ForPayment, ForEmergency, ForLaw, ForOwnRequest}

// Grounds on which a person is erased (Personal Information Protection Law, art. 47).
// They are public and stand for ever, so none is in anyone's own words.
const (
	OnRequest   = "own-request"      // the person asked for it, or took back a consent
	OnNoPurpose = "no-longer-needed" // what the data were for is done, or they were kept long enough
	OnBreach    = "unlawful"         // they should not have been taken, or were used against the law
	OnOrder     = "legal-request"    // a court or an authority orders it
)

// Grounds lists every ground for erasing a person.
var Grounds = []string{OnRequest, OnNoPurpose, OnBreach, OnOrder}

// Event is something that happened in the registry.
//
// To add one: write the struct, list it in Codec, handle it in Evolve, and put
// one sample in testdata/events. The linter and TestCodec tell what is missing.
//
//sumtype:decl
type Event interface{ event() }

// EstateFounded is the first event of an estate.
type EstateFounded struct {
	Estate string `json:"estate"` // UUID
	Name   string `json:"name"`   // e.g. 秀山花园
}

// EstateSet states settings of an estate; fields left empty keep what they were.
type EstateSet struct {
	Estate      string `json:"estate"`
	Name        string `json:"name,omitempty"`         // new name
	FeeCategory string `json:"fee_category,omitempty"` // budget line fed by payments; 物业服务费 unless set
}

// Unit is what the unit list (房屋清册) says of a unit.
type Unit struct {
	Code     string        `json:"code"`               // 房屋编号, unique in the estate
	Building string        `json:"building,omitempty"` // 楼栋
	Stair    string        `json:"stair,omitempty"`    // 单元
	Room     string        `json:"room,omitempty"`     // 房号
	Use      string        `json:"use"`                // 用途: 住宅, 商铺 or 车位
	Area     units.CentiM2 `json:"area_centi_m2"`      // exclusive area (专有部分面积)
	Basis    string        `json:"basis"`              // 面积依据: 登记, 实测 or 合同
	State    string        `json:"state"`              // 交付状态: 已交付, 已售未交付 or 未售
}

// UnitRegistered is the first event of a unit.
type UnitRegistered struct {
	Estate string `json:"estate"`
	ID     string `json:"id"` // of the unit, made of estate and code
	Unit
}

// UnitCorrected replaces what was registered. Frozen rolls stay as they are.
type UnitCorrected struct {
	Estate string `json:"estate"`
	ID     string `json:"id"` // of the unit
	Unit
}

// Title is one owner's title to a unit (业主名册).
type Title struct {
	Person string `json:"person"`      // random id
	Kind   string `json:"kind"`        // natural or legal
	Part   int64  `json:"share_part"`  // share is part ÷ whole
	Whole  int64  `json:"share_whole"` // at least the part
	Votes  bool   `json:"votes"`       // this co-owner votes for the unit (表决代表)
}

// TitlesStated states all titles of a unit for the first time.
type TitlesStated struct {
	Estate string  `json:"estate"`
	ID     string  `json:"id"`     // of the unit
	Code   string  `json:"code"`   // 房屋编号 of the unit
	Titles []Title `json:"titles"` // all of them; their shares add up to one
}

// TitlesCorrected states all titles of a unit anew; one that is missing has ended.
type TitlesCorrected struct {
	Estate string  `json:"estate"`
	ID     string  `json:"id"`     // of the unit
	Code   string  `json:"code"`   // 房屋编号 of the unit
	Titles []Title `json:"titles"` // all of them; their shares add up to one
}

// PersonRegistered is the first event of a person. Who it is stands in the vault.
type PersonRegistered struct {
	Person string `json:"person"`
	Kind   string `json:"kind"` // natural or legal
}

// PersonalDataCorrected says which fields of a person's data were corrected, never their values.
type PersonalDataCorrected struct {
	Person string   `json:"person"`
	Fields []string `json:"fields"` // name, document, phone
}

// PersonalDataRead says that someone else read a person's data, or what they
// asked to have corrected. Reading one's own is no event.
type PersonalDataRead struct {
	Person string    `json:"person"`
	Reader string    `json:"reader"` // person or token that read
	Fields []string  `json:"fields"` // name, document, phone; correction
	Reason string    `json:"reason"` // why: notice-delivery, correction, payment-matching, emergency, legal-request or own-request
	At     time.Time `json:"at"`     // when it was read
}

// LoginCodeMade says that someone made a one-time code with which whoever has it
// logs in as the person. It is recorded before the code is handed out.
type LoginCodeMade struct {
	Person  string    `json:"person"`  // whom the code logs in
	By      string    `json:"by"`      // person or token that made it
	Expires time.Time `json:"expires"` // from this instant it is worth nothing; a later code ends it sooner
}

// CorrectionRequested says that a person asked for a correction of their data.
type CorrectionRequested struct {
	Person string       `json:"person"`
	Words  codec.Sealed `json:"words"` // with the person's key
}

// PersonErased says that the person's key is destroyed, and with it whatever the
// vault held of them and whatever was sealed with it; the id names nobody from
// here on. It is recorded before it is done. Roles, and tokens that act as the
// person, end with it, and nothing follows it in the stream.
type PersonErased struct {
	Person string `json:"person"`
	Ground string `json:"ground"` // why: own-request, no-longer-needed, unlawful or legal-request
}

// RoleGranted gives a person a role.
type RoleGranted struct {
	Person string `json:"person"`
	Role   Role   `json:"role"`
	Estate string `json:"estate,omitempty"` // none: everywhere
}

// RoleRevoked takes a role back.
type RoleRevoked struct {
	Person string `json:"person"`
	Role   Role   `json:"role"`
	Estate string `json:"estate,omitempty"` // none: everywhere
}

// TokenIssued lets whoever knows the token act, for a person or as a program.
type TokenIssued struct {
	Token   string    `json:"token"`            // id
	Hash    string    `json:"hash"`             // SHA-256 of the secret, hex
	Person  string    `json:"person,omitempty"` // acts as this person, with their roles
	Role    Role      `json:"role,omitempty"`   // or as a program with this one role
	Estate  string    `json:"estate,omitempty"` // where the role holds; none: everywhere
	Label   string    `json:"label,omitempty"`  // what it is for
	Expires time.Time `json:"expires"`          // from this instant it is worth nothing
}

// TokenRevoked ends a token at once.
type TokenRevoked struct {
	Token string `json:"token"`
}

// Each event with the streams it is written to; docs/events.md is made of this.
func (EstateFounded) event()         {} // EstateStream
func (EstateSet) event()             {} // EstateStream
func (UnitRegistered) event()        {} // UnitStream
func (UnitCorrected) event()         {} // UnitStream
func (TitlesStated) event()          {} // UnitStream
func (TitlesCorrected) event()       {} // UnitStream
func (PersonRegistered) event()      {} // PersonStream
func (PersonalDataCorrected) event() {} // PersonStream
func (PersonalDataRead) event()      {} // PersonStream
func (LoginCodeMade) event()         {} // PersonStream
func (CorrectionRequested) event()   {} // PersonStream
func (PersonErased) event()          {} // PersonStream
func (RoleGranted) event()           {} // PersonStream
func (RoleRevoked) event()           {} // PersonStream
func (TokenIssued) event()           {} // TokenStream
func (TokenRevoked) event()          {} // TokenStream

// Codec lists every event ever stored.
var Codec = codec.New(
	codec.Of[Event, EstateFounded]("estate-founded.v1"),
	codec.Of[Event, EstateSet]("estate-set.v1"),
	codec.Of[Event, UnitRegistered]("unit-registered.v1"),
	codec.Of[Event, UnitCorrected]("unit-corrected.v1"),
	codec.Of[Event, TitlesStated]("titles-stated.v1"),
	codec.Of[Event, TitlesCorrected]("titles-corrected.v1"),
	codec.Of[Event, PersonRegistered]("person-registered.v1"),
	codec.Of[Event, PersonalDataCorrected]("personal-data-corrected.v1"),
	codec.Of[Event, PersonalDataRead]("personal-data-read.v1"),
	codec.Of[Event, LoginCodeMade]("login-code-made.v1"),
	codec.Of[Event, CorrectionRequested]("correction-requested.v1"),
	codec.Of[Event, PersonErased]("person-erased.v1"),
	codec.Of[Event, RoleGranted]("role-granted.v1"),
	codec.Of[Event, RoleRevoked]("role-revoked.v1"),
	codec.Of[Event, TokenIssued]("token-issued.v1"),
	codec.Of[Event, TokenRevoked]("token-revoked.v1"),
)
