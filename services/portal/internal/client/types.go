package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
)

// List is how the API wraps lists. Next is what to pass as `after` for more;
// some lists leave it out and go on after the last item, see [All].
type List[T any] struct {
	Items []T    `json:"items"`
	Next  Cursor `json:"next"`
}

// Cursor is a place in a list: a number in some lists, text in others.
type Cursor string

// UnmarshalJSON takes both.
func (c *Cursor) UnmarshalJSON(b []byte) error {
	*c = Cursor(strings.Trim(string(b), `"`))
	return nil
}

// Bound is what a figure says of the transparency log.
type Bound struct {
	Log *Signed `json:"log"` // nil where it does not say
}

// Signed is how far the log was signed when a figure was answered.
type Signed struct {
	Checkpoint string `json:"checkpoint"`
	Position   uint64 `json:"position"` // of the last event that it covers
}

// signed implements binding.
func (b Bound) signed() *Signed { return b.Log }

// binding is an answer that may say how far the log was signed.
type binding interface{ signed() *Signed }

// Named is an estate in the list of all.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Estate (小区) with its size in figures.
type Estate struct {
	Bound
	ID             string `json:"id"`
	Name           string `json:"name"`
	FeeCategory    string `json:"fee_category"` // the budget line that payments feed
	Units          int64  `json:"units"`
	Homes          int64  `json:"homes"`
	Shops          int64  `json:"shops"`
	Parking        int64  `json:"parking"`
	People         int64  `json:"people"`
	Titles         int64  `json:"titles"`
	MultiUnitHeads int64  `json:"multi_unit_heads"`
}

// Electorate is who may vote, by heads and area.
type Electorate struct {
	Bound
	Heads int64         `json:"heads"`
	Area  units.CentiM2 `json:"area_centi_m2"`
}

// Rate is a price of an agreement.
type Rate struct {
	Use  string     `json:"use"`
	Rate units.Rate `json:"rate_e4_yuan"`
	Per  string     `json:"per"`
}

// Agreement (合同) between principals and a provider.
type Agreement struct {
	ID         string    `json:"id"`
	Estate     string    `json:"estate"`
	Kind       string    `json:"kind"`
	Principals []string  `json:"principals"`
	Provider   string    `json:"provider"`
	Starts     units.Day `json:"starts"`
	Ends       units.Day `json:"ends"`
	Rates      []Rate    `json:"rates"`
	Services   []string  `json:"services"`
	Options    []string  `json:"options"`
	Change     string    `json:"change"`
	State      string    `json:"state"`  // proposed, posted, signed, active, ended
	Signed     []string  `json:"signed"` // parties, in order

	Follows    string     `json:"follows"`    // id of the one whose place it takes
	Successor  string     `json:"successor"`  // id of the one that took its place
	Authorised *Decision  `json:"authorised"` // of a formal contract; nil until owners decided
	Dismissed  *Dismissal `json:"dismissed"`  // nil: the provider has no notice
}

// Collection is what was billed and collected for one period.
type Collection struct {
	Period    units.Month `json:"period"`
	Billed    units.Fen   `json:"billed_fen"`
	Collected units.Fen   `json:"collected_fen"`
}

// BudgetLine is plan against actual of one category.
type BudgetLine struct {
	Direction string      `json:"direction"` // 收入 or 支出
	Category  string      `json:"category"`
	Planned   units.Fen   `json:"planned_fen"`
	Actual    units.Fen   `json:"actual_fen"`
	From      units.Month `json:"from"`
	To        units.Month `json:"to"`

	Decision *Decision `json:"decision"` // nil: no line of the owners
}

// Budget is a year's budget with what became of it.
type Budget struct {
	Bound
	Year        int          `json:"year"`
	Items       []BudgetLine `json:"items"`
	Balance     units.Fen    `json:"balance_fen"`
	Opening     units.Fen    `json:"opening_fen"`
	Income      units.Fen    `json:"income_fen"`
	Expenditure units.Fen    `json:"expenditure_fen"`
	Suspense    units.Fen    `json:"suspense_fen"` // received, not attributed: in no line
	Years       []int        `json:"years"`
}

// Kinds of entries.
const (
	KindVoucher    = "voucher"
	KindReversal   = "reversal"
	KindCollection = "collection" // all payments of one day, as posted
	KindOpening    = "opening"
	KindSuspense   = "suspense"
)

// Entry is one movement behind a line of the budget. A reversal's amount is negative.
type Entry struct {
	ID           string    `json:"id"` // for after
	Kind         string    `json:"kind"`
	Number       string    `json:"number"`
	Voucher      string    `json:"voucher"` // id, where there is a voucher
	Estate       string    `json:"estate"`
	Date         units.Day `json:"date"`
	Direction    string    `json:"direction"`
	Category     string    `json:"category"`
	Amount       units.Fen `json:"amount_fen"`
	Text         string    `json:"text"`
	Counterparty string    `json:"counterparty"`
	Attachment   string    `json:"attachment_sha256"`
	ReversedBy   string    `json:"reversed_by"`
	Reverses     string    `json:"reverses"`
	Corrects     string    `json:"corrects"`
	SameAs       []string  `json:"same_attachment_as"`
	Refused      string    `json:"refused"` // why it does not count
}

// WorkOrders is the summary of an estate's work orders.
type WorkOrders struct {
	Bound
	Total        int64 `json:"total"`
	Responded    int64 `json:"responded"`
	OnTime       int64 `json:"on_time"`
	Completed    int64 `json:"completed"`
	Rated        int64 `json:"rated"`
	Satisfied    int64 `json:"satisfied"`
	Sensor       int64 `json:"sensor"`
	SensorWithin int64 `json:"sensor_within_10min"`
}

// Limit is how quickly one kind of matter must be dealt with.
type Limit struct {
	Category      string `json:"category"`
	Matter        string `json:"matter"`
	ArriveMinutes int64  `json:"arrive_minutes"`
	FinishHours   int64  `json:"finish_hours"`
}

// WorkOrder (工单).
type WorkOrder struct {
	ID         string     `json:"id"`
	Estate     string     `json:"estate"`
	Number     string     `json:"number"`
	Category   string     `json:"category"`
	Matter     string     `json:"matter"`
	Place      string     `json:"place"`
	Source     string     `json:"source"`
	State      string     `json:"state"` // reported, dispatched, arrived, finished, rated
	Reported   *time.Time `json:"reported_at"`
	Dispatched *time.Time `json:"dispatched_at"`
	Arrived    *time.Time `json:"arrived_at"`
	Finished   *time.Time `json:"finished_at"`
	Score      int64      `json:"score"`
	Limit      Limit      `json:"limit"`
	OnTime     bool       `json:"on_time"` // of one that is finished
	Overdue    bool       `json:"overdue"`
}

// Policy is how a meeting treats what the law leaves open.
type Policy struct {
	Revote             string `json:"revote"`
	PaperAndElectronic string `json:"paper_and_electronic"`
	Unreturned         string `json:"unreturned"`
	ParkingCountsArea  bool   `json:"parking_counts_area"`
}

// Effect (决定的效果) is what follows from a motion by itself, once it is adopted
// and the result final.
type Effect struct {
	Kind      string    `json:"kind"`       // appoint-provider, dismiss-provider, draw-maintenance-fund, budget-common-income
	Agreement string    `json:"agreement"`  // of a provider
	Amount    units.Fen `json:"amount_fen"` // of funds the most that may be paid; of a budget what is planned
	Direction string    `json:"direction"`  // of a budget
	Category  string    `json:"category"`   // of a budget
	Year      int       `json:"year"`       // of a budget
}

// Motion (议题).
type Motion struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Matter string `json:"matter"` // 民法典278-1-4
	Rule   string `json:"rule"`   // ordinary or special
	Scope  string `json:"scope"`  // estate, building:5, stair:5-1 or units

	Units []string `json:"units"` // of scope units

	Seats      int64       `json:"seats"`     // of an election; 0: a question
	Committee  int64       `json:"committee"` // members of the whole committee; 0: as many as seats
	Approvals  int64       `json:"approvals"`
	Candidates []Candidate `json:"candidates"`

	Effect *Effect `json:"effect"` // nil: nothing follows by itself
}

// Candidate of an election: an owner of a unit, without a name.
type Candidate struct {
	ID   string `json:"id"`
	Unit string `json:"unit"`
}

// Roll is the frozen electorate.
type Roll struct {
	Hash   string        `json:"hash"`
	Heads  int64         `json:"heads"`
	Area   units.CentiM2 `json:"area_centi_m2"`
	Scopes []Scope       `json:"scopes"`
}

// Scope is the electorate of one scope.
type Scope struct {
	Scope string        `json:"scope"`
	Heads int64         `json:"heads"`
	Area  units.CentiM2 `json:"area_centi_m2"`
}

// Meeting (业主大会会议).
type Meeting struct {
	Bound
	ID      string     `json:"id"`
	Estate  string     `json:"estate"`
	Title   string     `json:"title"`
	State   string     `json:"state"` // drafted, frozen, noticed, open, closing, closed, counted, posted, final, filed, withdrawn, cancelled
	Notice  *time.Time `json:"notice_at"`
	Opens   *time.Time `json:"opens"`
	Closes  *time.Time `json:"closes"`
	Past    bool       `json:"past"`
	Policy  Policy     `json:"policy"`
	Motions []Motion   `json:"motions"`
	Roll    *Roll      `json:"roll"`
	RuleSet string     `json:"rule_set"`
	Turnout Turnout    `json:"turnout"`

	Resting []Resting `json:"resting"` // before the notice: motions on a matter for which too few took part not long ago
	Differs []Differs `json:"differs"` // what the notice says of such motions

	Papers *EnvelopeCount `json:"papers"` // once their entry is complete

	Kind          string `json:"kind"`     // 定期, 临时 or 首次; none: not said
	Convener      string `json:"convener"` // none: not said
	AskedByOwners bool   `json:"asked_by_owners"`

	Planned Planned `json:"planned"`
}

// Planned is what those who call a meeting had in mind when they drafted it.
type Planned struct {
	Notice   units.Day  `json:"notice,omitempty"`
	Opens    *time.Time `json:"opens,omitempty"`
	Closes   *time.Time `json:"closes,omitempty"`
	Trustees bool       `json:"trustees,omitempty"`
}

// Turnout is who has cast a ballot so far.
type Turnout struct {
	Electorate
	OfHeads int64 `json:"of_heads"` // that there are, also after sales
}

// Resting is a motion that may not be put to the owners yet, unless the notice says
// how it is another question than the one that lapsed.
type Resting struct {
	Motion  string     `json:"motion"`
	Meeting string     `json:"meeting"` // in which the same matter lapsed
	Until   *time.Time `json:"until"`
}

// Differs says how a motion is another question than one that lapsed.
type Differs struct {
	Motion string `json:"motion"`
	From   string `json:"from"` // the meeting in which the other lapsed
	Reason string `json:"reason"`
}

// Result is what is posted of one motion.
type Result struct {
	Motion          string        `json:"motion"`
	Title           string        `json:"title"`
	Matter          string        `json:"matter"`
	Rule            string        `json:"rule"`
	Scope           string        `json:"scope"`
	ElectorateHeads int64         `json:"electorate_heads"`
	ElectorateArea  units.CentiM2 `json:"electorate_area_centi_m2"`
	Figures
	Words    Words          `json:"rule_in_words"`
	Channels []ChannelCount `json:"channels"`
	Silence  *Silence       `json:"silence"`  // nil: it counts for nobody
	Election *Election      `json:"election"` // nil: a question
}

// Figures are what was counted of a question, or of a candidate.
type Figures struct {
	ParticipatingHead int64         `json:"participating_heads"`
	ParticipatingArea units.CentiM2 `json:"participating_area_centi_m2"`
	YesHeads          int64         `json:"yes_heads"`
	YesArea           units.CentiM2 `json:"yes_area_centi_m2"`
	NoHeads           int64         `json:"no_heads"`
	NoArea            units.CentiM2 `json:"no_area_centi_m2"`
	AbstainHeads      int64         `json:"abstain_heads"`
	AbstainArea       units.CentiM2 `json:"abstain_area_centi_m2"`
	QuorumMet         bool          `json:"quorum_met"`
	Outcome           string        `json:"outcome"`
	Arithmetic        []Step        `json:"arithmetic"` // approval only where the quorum is met
}

// ChannelCount is what came in by one channel and counts.
type ChannelCount struct {
	Channel      string        `json:"channel"`
	Heads        int64         `json:"heads"`
	Area         units.CentiM2 `json:"area_centi_m2"`
	YesHeads     int64         `json:"yes_heads"`
	YesArea      units.CentiM2 `json:"yes_area_centi_m2"`
	NoHeads      int64         `json:"no_heads"`
	NoArea       units.CentiM2 `json:"no_area_centi_m2"`
	AbstainHeads int64         `json:"abstain_heads"`
	AbstainArea  units.CentiM2 `json:"abstain_area_centi_m2"`
}

// Silence is what un-returned ballots count for. Before is without them.
type Silence struct {
	Policy   string        `json:"policy"`
	Heads    int64         `json:"heads"`
	Area     units.CentiM2 `json:"area_centi_m2"`
	CountsAs string        `json:"counts_as"` // 参与, 赞成 or 反对; "": nothing
	Before   Figures       `json:"before"`
	Election *Election     `json:"election"`
}

// Election is what became of the candidates.
type Election struct {
	Seats      int64             `json:"seats"`
	Elected    int64             `json:"elected"`
	Vacant     int64             `json:"vacant"`
	Candidates []CandidateResult `json:"candidates"`
}

// CandidateResult is what became of one candidate.
type CandidateResult struct {
	Candidate
	Rank   int64  `json:"rank"`
	Status string `json:"status"` // 当选, 候补, 票数相同 or 未当选
	Figures
}

// PaperCount sets envelopes against the ballots out of them.
type PaperCount struct {
	HandedIn   int64 `json:"handed_in"`
	Counted    int64 `json:"counted"`
	Void       int64 `json:"void"`
	Refused    int64 `json:"refused"`
	Difference int64 `json:"difference"`
}

// Words is one sentence in both languages.
type Words struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Tests and measures of a step.
const (
	TestQuorum    = "quorum"
	TestApproval  = "approval"
	TestObjection = "objection"
	MeasureHeads  = "heads"
	MeasureArea   = "area_centi_m2"
)

// Step is one comparison of whole numbers that decided a motion.
type Step struct {
	Test    string `json:"test"`
	Measure string `json:"measure"`
	Left    Term   `json:"left"`
	Compare string `json:"compare"`
	Right   Term   `json:"right"`
	Met     bool   `json:"met"`
}

// Term is factor × value = product.
type Term struct {
	Factor  int64 `json:"factor"`
	Value   int64 `json:"value"`
	Product int64 `json:"product"`
}

// Ballots is the summary of all ballots handed in, one row per choice.
type Ballots struct {
	Rows     int64            `json:"rows"`
	Accepted int64            `json:"accepted"`
	Rejected int64            `json:"rejected"`
	Reasons  map[string]int64 `json:"reasons"`
	Paper    *PaperCount      `json:"paper"` // nil: no envelopes
}

// Choice on one motion.
type Choice struct {
	Motion    string `json:"motion"`
	Candidate string `json:"candidate,omitempty"` // of an election
	Choice    string `json:"choice"`
	Reason    string `json:"reason,omitempty"`
}

// PostedBallot is a ballot of an open vote, by unit and area, without a name.
type PostedBallot struct {
	Ballot  string        `json:"ballot"`
	Entry   string        `json:"entry"`
	Units   []string      `json:"units"`
	Area    units.CentiM2 `json:"area_centi_m2"`
	Channel string        `json:"channel"`
	At      *time.Time    `json:"at"`
	Choices []Choice      `json:"choices"`
	Reason  string        `json:"reason"`
}

// RollEntry is one head of a roll.
type RollEntry struct {
	Entry     string        `json:"entry"`
	Units     []string      `json:"units"`
	Buildings []string      `json:"buildings"`
	Area      units.CentiM2 `json:"area_centi_m2"`
	Developer bool          `json:"developer"`
	ByUnit    []RollUnit    `json:"by_unit"` // empty of a roll that was frozen without
}

// Amendment is a unit that changed hands since its roll was frozen.
type Amendment struct {
	RollUnit
	From string     `json:"from"`
	To   string     `json:"to"`
	New  bool       `json:"new"` // the entry came by this
	At   *time.Time `json:"at"`

	Yours       bool `json:"yours"`        // the reader votes for it from then on
	Sold        bool `json:"sold"`         // the reader voted for it until then
	SellerVoted bool `json:"seller_voted"` // of what the reader bought or sold: a ballot was handed in for it before the sale
}

// RollObjection to a roll, without the owner's words.
type RollObjection struct {
	ID       string     `json:"id"`
	Number   int        `json:"number"`
	Unit     string     `json:"unit"`
	Entry    string     `json:"entry"` // empty: the roll lacks the unit
	State    string     `json:"state"` // open, withdrawn, not-upheld, upheld or corrected
	At       *time.Time `json:"at"`
	Answer   string     `json:"answer"`
	Answered *time.Time `json:"answered_at"`
}

// RollUnit is a unit on a roll.
type RollUnit struct {
	Unit     string        `json:"unit"`
	Building string        `json:"building"`
	Stair    string        `json:"stair"`
	Area     units.CentiM2 `json:"area_centi_m2"`
	Basis    string        `json:"basis"` // 登记, 实测 or 合同
}

// Event is one event of the ledger.
type Event struct {
	Position uint64          `json:"position"`
	Stream   string          `json:"stream"`
	Revision uint64          `json:"revision"`
	ID       string          `json:"id"`
	Type     string          `json:"type"`
	Happened *time.Time      `json:"happened"`
	Recorded time.Time       `json:"recorded"`
	Data     json.RawMessage `json:"data"`
	Meta     Meta            `json:"meta"`
	Hash     string          `json:"hash"`
}

// Meta is what pages read of an event's metadata.
type Meta struct {
	Commit string `json:"$correlationId"`
	Cause  string `json:"$causationId"` // id of an event, or the key of a deadline
	Actor  string `json:"actor"`
}

// UnmarshalJSON takes any: metadata that cannot be read say nothing.
func (m *Meta) UnmarshalJSON(b []byte) error {
	type plain Meta
	if err := json.Unmarshal(b, (*plain)(m)); err != nil {
		*m = Meta{}
	}
	return nil
}

// Found is an event as a search finds it.
type Found struct {
	Leaf     uint64     `json:"leaf"`
	Position uint64     `json:"position"`
	Stream   string     `json:"stream"`
	Revision uint64     `json:"revision"`
	ID       string     `json:"id"`
	Type     string     `json:"type"`
	Estate   string     `json:"estate"`
	Actor    string     `json:"actor"`
	Happened *time.Time `json:"happened"`
	Recorded time.Time  `json:"recorded"`
	Cause    string     `json:"cause"`
}

// FoundPage is a page of a search, the latest first.
type FoundPage struct {
	Items []Found `json:"items"`
	Next  uint64  `json:"next"` // what to go on with as before; 0 at the end
}

// Links are events of other streams that hang together with one.
type Links struct {
	Items []Found `json:"items"`
	More  bool    `json:"more"`
	About []Kind  `json:"about"`
}

// Kind is how many events there are of a type.
type Kind struct {
	Type  string `json:"type"`
	Count int64  `json:"count"`
}

// Log is how far the transparency log is.
type Log struct {
	Origin     string   `json:"origin"`
	Keys       []string `json:"keys"`
	Size       uint64   `json:"size"`
	Position   uint64   `json:"position"`
	Checkpoint string   `json:"checkpoint"`
}

// Types of the events that a ballot leaves in the ledger.
const (
	BallotCast    = "ballot-cast.v1"
	BallotRefused = "ballot-refused.v1"
)

// BallotPart is what the ledger says of a ballot: one event for what was taken
// of it, and one for each reason why something was not.
type BallotPart struct {
	Ballot  string   `json:"ballot"`
	Meeting string   `json:"meeting"`
	Motions []string `json:"motions"`
	Reason  string   `json:"reason"` // of a refusal
	Sealed  string   `json:"sealed"` // choices; empty of a refusal and of a meeting of the past
}

// Operation says what became of a command.
type Operation struct {
	State    string `json:"state"` // recorded, or not-so-far
	Position uint64 `json:"position"`
	Revision uint64 `json:"revision"`
}

// Role of a person in an estate; Estate is empty for all of them.
type Role struct {
	Role   string `json:"role"`
	Estate string `json:"estate"`
}

// OwnUnit is a unit that the person who asks has a title to.
type OwnUnit struct {
	ID     string `json:"id"`
	Estate string `json:"estate"`
	Code   string `json:"code"`
	Votes  bool   `json:"votes"`
}

// PersonalData is what the vault keeps of a person.
type PersonalData struct {
	Name         string `json:"name"`
	DocumentKind string `json:"document_kind"`
	Document     string `json:"document"`
	Phone        string `json:"phone"`
}

// Me is who asks. Reading it is itself recorded.
type Me struct {
	ID     string        `json:"id"`
	Person *PersonalData `json:"person,omitempty"` // none for a program
	Roles  []Role        `json:"roles"`
	Units  []OwnUnit     `json:"units"`
}

// Bill of one unit for one period.
type Bill struct {
	Estate string      `json:"estate"`
	Unit   string      `json:"unit"`
	Period units.Month `json:"period"`
	Billed units.Fen   `json:"billed_fen"`
	Paid   units.Fen   `json:"paid_fen"`
}

// Payment of the person who asks.
type Payment struct {
	ID        string      `json:"id"`
	Received  units.Day   `json:"received"`
	Reference string      `json:"reference"`
	Unit      string      `json:"unit"`
	Period    units.Month `json:"period"`
	Amount    units.Fen   `json:"amount_fen"`
	Refunded  units.Fen   `json:"refunded_fen"`
	Channel   string      `json:"channel"`
	Suspense  bool        `json:"suspense"`
}

// Arrears are what is owed for one unit up to today.
type Arrears struct {
	Estate string    `json:"estate"`
	Unit   string    `json:"unit"`
	Owed   units.Fen `json:"owed_fen"`
}

// OwnBallot is a ballot of the person who asks.
type OwnBallot struct {
	Meeting  string     `json:"meeting"`
	Title    string     `json:"title"`
	Ballot   string     `json:"ballot"` // the same in all parts of one ballot
	Stream   string     `json:"stream"`
	Revision uint64     `json:"revision"`
	Position uint64     `json:"position"`
	Channel  string     `json:"channel"`
	At       *time.Time `json:"at"`
	Choices  []Choice   `json:"choices"`
	Motions  []string   `json:"motions"`
	Reason   string     `json:"reason"` // why it does not count; empty where it does, or is not settled
}

// Papers are the envelopes of a meeting that wait to be entered.
type Papers struct {
	Items   []Envelope    `json:"items"`
	Papers  EnvelopeCount `json:"papers"`
	Waiting int           `json:"waiting"`
}

// EnvelopeCount is what became of a meeting's envelopes.
type EnvelopeCount struct {
	Envelopes int `json:"envelopes"`
	Cast      int `json:"cast"`
	Void      int `json:"void"`
	Refused   int `json:"refused"`
}

// Envelope is a paper, or a hand shown in the meeting, that waits.
type Envelope struct {
	Envelope string    `json:"envelope"`
	Entry    string    `json:"entry"`
	Units    []string  `json:"units"`
	Motions  []string  `json:"motions"`
	Channel  string    `json:"channel"`
	At       time.Time `json:"at"`
	Readings int       `json:"readings"`
	ByYou    bool      `json:"by_you"`
	Disputed []string  `json:"disputed"`
}

// OwnProxy is a mandate that concerns the person who asks.
type OwnProxy struct {
	Meeting string     `json:"meeting"`
	Title   string     `json:"title"`
	Entry   string     `json:"entry"`
	Units   []string   `json:"units"`
	Holder  bool       `json:"holder"` // they are to vote; otherwise another for them
	State   string     `json:"state"`  // granted, revoked, refused
	Reason  string     `json:"reason"`
	At      *time.Time `json:"at"`
}

// Get reads path into a T.
func Get[T any](ctx context.Context, c *Client, who Caller, path string, query url.Values) (T, Answer, error) {
	var out T
	answer, err := c.Get(ctx, who, path, query, &out)
	if b, ok := any(out).(binding); ok {
		answer.Signed = b.signed()
	}
	return out, answer, err
}

// All reads a list to its end, page by page of at most limit items. Where an
// answer names no next page, a full one is followed by what comes after its
// last item, by its key; a nil key says that such a list has one page.
func All[T any](ctx context.Context, c *Client, who Caller, path string, query url.Values, limit int, key func(T) string) ([]T, Answer, error) {
	var all []T
	q := url.Values{}
	for name, values := range query {
		q[name] = values
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	for {
		page, answer, err := Get[List[T]](ctx, c, who, path, q)
		if err != nil {
			return nil, answer, err
		}
		all = append(all, page.Items...)
		next := After(page, limit, key)
		if next == "" || next == q.Get("after") {
			return all, answer, nil
		}
		q.Set("after", next)
	}
}

// After is where the page after this one begins; empty at the end.
func After[T any](page List[T], limit int, key func(T) string) string {
	if page.Next != "" || key == nil || limit == 0 || len(page.Items) < limit {
		return string(page.Next)
	}
	return key(page.Items[len(page.Items)-1])
}

// Login exchanges a one-time code for a token of the person it was made for.
func (c *Client) Login(ctx context.Context, code string) (person, token string, err error) {
	encoded, err := json.Marshal(map[string]string{"code": code})
	if err != nil {
		return "", "", err
	}
	resp, err := c.do(context.WithoutCancel(ctx), Caller{}, http.MethodPost, "/sessions", "", encoded)
	if err != nil {
		return "", "", err
	}
	var out struct{ Person, Token string }
	err = json.Unmarshal(resp.body, &out)
	return out.Person, out.Token, err
}

// Logout ends a session's token.
func (c *Client) Logout(ctx context.Context, token string) error {
	_, err := c.do(ctx, Caller{Token: token}, http.MethodDelete, "/sessions", "", nil)
	return err
}

// Segment escapes an id for use in a path.
func Segment(id string) string { return url.PathEscape(id) }

// Number formats a revision or a position for a path or a query.
func Number(n uint64) string { return strconv.FormatUint(n, 10) }

// Timeline is what happened to a meeting.
type Timeline struct {
	Bound
	Steps     []MeetingStep    `json:"steps"`
	Extended  []Extended       `json:"extended"`
	Cancelled string           `json:"cancelled"` // why
	Posting   *Posting         `json:"posting"`   // nil where no result stands
	Withdrawn []Withdrawn      `json:"withdrawn"`
	SetAside  []SetAside       `json:"set_aside"`
	Filed     string           `json:"filed"` // the street office's number
	Missed    []MissedDeadline `json:"missed"`
}

// MeetingStep is when something happened to a meeting.
type MeetingStep struct {
	Event    string     `json:"event"`
	Revision uint64     `json:"revision"`
	At       *time.Time `json:"at"`
}

// Extended says that voting was extended.
type Extended struct {
	From   *time.Time `json:"from"`
	Closes *time.Time `json:"closes"`
}

// Posting is a posted result that stands.
type Posting struct {
	Number int        `json:"number"`
	At     *time.Time `json:"at"`
	Result string     `json:"result"` // hash of the public blob
	Photo  string     `json:"photo"`
	Until  *time.Time `json:"objections_until"` // nil where the rules do not say
	Open   int        `json:"objections_open"`
	Upheld int        `json:"objections_upheld"`
}

// Withdrawn is a posted result that was taken back.
type Withdrawn struct {
	Number    int        `json:"number"`
	At        *time.Time `json:"at"`
	Reason    string     `json:"reason"`
	Objection string     `json:"objection"`
}

// SetAside is a ballot that counts no more, for an objection was upheld.
type SetAside struct {
	Ballot    string     `json:"ballot"`
	Entry     string     `json:"entry"`
	At        *time.Time `json:"at"`
	Objection string     `json:"objection"`
	Earlier   string     `json:"earlier"` // stands, falls, or empty where there is no other ballot
	Reason    string     `json:"reason"`
}

// Deadline is a day that the rules give in the life of a meeting.
type Deadline struct {
	Name            string     `json:"name"`
	Due             *time.Time `json:"due"`   // nil while what it is counted from has not happened
	Day             units.Day  `json:"day"`   // the last one, of what is counted in days
	Done            *time.Time `json:"done"`  // nil until it is
	State           string     `json:"state"` // waiting, coming, met, missed
	Rule            Words      `json:"rule"`
	HolidaysUnknown bool       `json:"holidays_unknown"`
	Moved           bool       `json:"moved"` // to a working day
}

// MissedDeadline is a day of the rules that passed in vain.
type MissedDeadline struct {
	Deadline string     `json:"deadline"`
	Due      *time.Time `json:"due"`
}

// Objection to a result, without the owner's words.
type Objection struct {
	ID       string     `json:"id"`
	Posting  int        `json:"posting"`
	Entry    string     `json:"entry"`
	Motion   string     `json:"motion"` // empty: the whole result
	At       *time.Time `json:"at"`
	Answered *time.Time `json:"answered_at"`
	Upheld   bool       `json:"upheld"`
	Answer   string     `json:"answer"`
}

// ObjectionWords is what an owner says against a result.
type ObjectionWords struct {
	Words  string `json:"words"`
	Erased bool   `json:"erased"`
}

// Trusteeship is who holds the key of a meeting's ballots in shares.
type Trusteeship struct {
	Needed   int        `json:"needed"` // 0: nobody
	Days     int        `json:"days"`   // after the close, within which shares must come
	Until    *time.Time `json:"until"`
	Trustees []Trustee  `json:"trustees"`
	Opened   bool       `json:"opened"`
	Unopened bool       `json:"unopened"`
}

// Trustee holds one share.
type Trustee struct {
	Number int    `json:"number"`
	Party  string `json:"party"`
	Taken  bool   `json:"taken"`
	Given  bool   `json:"given"`
	Own    bool   `json:"own"`
}

// Share is a trustee's share, as long as it can be seen.
type Share struct {
	Number int    `json:"number"`
	Share  string `json:"share"`
}
