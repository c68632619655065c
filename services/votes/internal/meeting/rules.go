package meeting

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/yimu-ledger/yimu/contracts/units"
	"github.com/yimu-ledger/yimu/contracts/votes"
)

// RuleSet is what the law of a place says about deciding, for a range of days.
// The files are in services/votes/rules. A line that is zero, or nil, is not
// given: the rules say nothing of it. Each line that is given has a [Source],
// which names it as JSON does, e.g. window.min_days.
type RuleSet struct {
	ID    string     `json:"id"`
	Place string     `json:"place"`
	From  units.Day  `json:"from"`            // first day in force
	Until units.Day  `json:"until,omitempty"` // first day no longer in force; none: still in force
	Name  Words      `json:"name"`
	Parts []RulePart `json:"parts,omitempty"` // of an effective rule set: what it is made of, the widest first

	NoticeDays         int  `json:"notice_days,omitempty"`          // whole days between notice and opening, at least
	SpecialNoticeDays  int  `json:"special_notice_days,omitempty"`  // the same for a special meeting (临时会议)
	OnlyNoticedMatters bool `json:"only_noticed_matters,omitempty"` // what was not on the notice may not be voted on
	PublicPostingDays  int  `json:"public_posting_days,omitempty"`  // whole days that a posting stands which takes the place of delivery, at least
	RollObjectionDays  int  `json:"roll_objection_days,omitempty"`  // days in which the roll may be objected to

	Window      Window               `json:"window,omitzero"`
	Extension   Extension            `json:"extension,omitzero"`
	Quorum      Threshold            `json:"quorum,omitzero"`        // parts of all owners in scope that must take part where approval is of those taking part
	Thresholds  map[string]Threshold `json:"thresholds"`             // by name: ordinary, special, unanimity, objection
	Matters     map[string]Matter    `json:"matters"`                // by article, paragraph and item
	ListedScope bool                 `json:"listed_scope,omitempty"` // a motion may be put to a list of affected owners

	Revote              string  `json:"revote,omitempty"`                // as in votes.Policy
	PaperAndElectronic  string  `json:"paper_and_electronic,omitempty"`  // as in votes.Policy
	PaperOnRequest      bool    `json:"paper_on_request,omitempty"`      // who asks for paper is given it
	PartialBallots      *bool   `json:"partial_ballots,omitempty"`       // whether a ballot may leave motions out
	Proxies             Proxies `json:"proxies,omitzero"`                // 委托
	Unreturned          string  `json:"unreturned,omitempty"`            // as in votes.Policy
	ParkingCountsArea   *bool   `json:"parking_counts_area,omitempty"`   // as in votes.Policy
	CoOwners            string  `json:"co_owners,omitempty"`             // who votes for a unit of several: named, the one they named
	Sale                string  `json:"sale,omitempty"`                  // who votes for a unit sold during the vote: seller-who-voted-else-buyer
	SecrecyMinimumHeads int     `json:"secrecy_minimum_heads,omitempty"` // heads below which nobody votes secretly

	ResultPostedDays int    `json:"result_posted_days,omitempty"` // days after the count within which the result is posted
	ResultStandsDays int    `json:"result_stands_days,omitempty"` // days that it stays posted, at least
	ObjectionDays    int    `json:"objection_days,omitempty"`     // days in which the result may be objected to
	OpenVotesPosted  string `json:"open_votes_posted,omitempty"`  // how open votes are posted: unit-and-area, without names
	CourtYears       int    `json:"court_years,omitempty"`        // years in which a court may be asked to cancel; ballots are kept as long

	Election  Election  `json:"election,omitzero"`
	Committee Committee `json:"committee,omitzero"`
	Sources   []Source  `json:"sources"`
	Hash      string    `json:"-"` // SHA-256 of the file, hex
}

// RulePart is a rule set, or the rules of an estate, that an effective one is
// made of.
type RulePart struct {
	Origin string `json:"origin"`
	ID     string `json:"id"`
	Hash   string `json:"hash"` // of the file; of an estate's rules: of the document
}

// Origins of a part, and of a line: of which part it is.
const (
	National = "national"
	Local    = "local"
	OfEstate = "estate"
)

// Words says one thing in both languages.
type Words struct {
	ZH string `json:"zh"`
	EN string `json:"en"`
}

// Window is how long owners vote, in whole days from opening to close.
type Window struct {
	MinDays int `json:"min_days,omitempty"`
	MaxDays int `json:"max_days,omitempty"`
}

// Extension says what may be done where too few took part.
type Extension struct {
	Times     int `json:"times,omitempty"`      // that a vote may be extended
	Days      int `json:"days,omitempty"`       // each time, at most; added to Months
	Months    int `json:"months,omitempty"`     // each time, at most
	RestYears int `json:"rest_years,omitempty"` // in which a matter that still found too few does not come back
}

// Latest is the latest close of a vote that is extended once.
func (e Extension) Latest(closes time.Time) time.Time {
	return units.After(closes, 0, e.Months, e.Days)
}

// Proxies (委托) says who may vote for another.
type Proxies struct {
	Cap          int      `json:"cap,omitempty"`          // mandates that one person may hold
	Barred       []string `json:"barred,omitempty"`       // who may hold none: provider (its staff)
	Instructions bool     `json:"instructions,omitempty"` // in writing, item by item
}

// Election says how the committee (业主委员会) is elected.
type Election struct {
	MinSeats                int  `json:"min_seats,omitempty"`
	MaxSeats                int  `json:"max_seats,omitempty"`
	OddSeats                bool `json:"odd_seats,omitempty"`
	TermYears               int  `json:"term_years,omitempty"`                 // at most
	CandidatesPostedDays    int  `json:"candidates_posted_days,omitempty"`     // before the vote, at least
	MoreCandidatesThanSeats bool `json:"more_candidates_than_seats,omitempty"` // 差额选举
	ApprovalsWithinSeats    bool `json:"approvals_within_seats,omitempty"`     // a ballot approves no more candidates than there are seats
	Substitutes             bool `json:"substitutes,omitempty"`                // the next who passed take the place of who leaves (候补)
	FiledWithinDays         int  `json:"filed_within_days,omitempty"`          // 备案
}

// Committee says how the committee meets.
type Committee struct {
	AgendaPostedDays    int `json:"agenda_posted_days,omitempty"`    // before it meets, at least
	DecisionsPostedDays int `json:"decisions_posted_days,omitempty"` // after it met, at most
}

// Threshold is a part of the heads and a part of the area; both must be reached
// or, where objectors are counted, neither passed.
type Threshold struct {
	Heads  Part   `json:"heads"`
	Area   Part   `json:"area"`
	Of     string `json:"of,omitempty"`     // the whole: all in scope; none: those taking part, and of a quorum all
	Counts string `json:"counts,omitempty"` // whose part: objectors; none: of those who agree, and of a quorum of those taking part
	Words  Words  `json:"words"`
}

// What a threshold is of, and whom it counts.
const (
	OfAll     = "all"
	Objectors = "objectors"
)

// Matter (事项) is a kind of question that owners decide together.
type Matter struct {
	Threshold string `json:"threshold"`
	Words
}

// Source says where a line of a rule set comes from.
type Source struct {
	Of     string `json:"of"` // the line, or several of them
	Text   string `json:"text"`
	Basis  string `json:"basis"`            // read, or only seen quoted
	Note   string `json:"note,omitempty"`   // what is to be said of it
	Origin string `json:"origin,omitempty"` // of an effective rule set: national, local or estate
}

// Whether the text of a rule was read, or only seen where others quote it.
const (
	Read = "read"
	Seen = "seen"
)

// Part is a share such as "> 1/2" or ">= 2/3" (以上 includes the number itself,
// Civil Code art. 1259), or at most "<= 1/3".
type Part struct {
	Numerator, Denominator int64
	Strict                 bool // more than, not at least
	AtMost                 bool // not more than
}

// UnmarshalText reads ">= 2/3", "> 1/2" or "<= 1/3".
func (p *Part) UnmarshalText(b []byte) error {
	comparison, share, _ := strings.Cut(string(b), " ")
	n, d, _ := strings.Cut(share, "/")
	var err1, err2 error
	p.Numerator, err1 = strconv.ParseInt(n, 10, 16)
	p.Denominator, err2 = strconv.ParseInt(d, 10, 16)
	p.Strict, p.AtMost = comparison == ">", comparison == "<="
	if err1 != nil || err2 != nil || !p.Strict && !p.AtMost && comparison != ">=" ||
		p.Numerator <= 0 || p.Numerator > p.Denominator {
		return fmt.Errorf("%q is no part like \">= 2/3\"", b)
	}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (p Part) MarshalText() ([]byte, error) {
	comparison := ">="
	switch {
	case p.Strict:
		comparison = ">"
	case p.AtMost:
		comparison = "<="
	}
	return fmt.Appendf(nil, "%s %d/%d", comparison, p.Numerator, p.Denominator), nil
}

// Covers reports whether the rules are in force on a day.
func (r RuleSet) Covers(d units.Day) bool { return d >= r.From && (r.Until == "" || d < r.Until) }

// DecodeRules reads a rule set as JSON. Its hash is the SHA-256 of the bytes.
func DecodeRules(file []byte) (RuleSet, error) {
	var set RuleSet
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(&set); err != nil {
		return RuleSet{}, fmt.Errorf("rules: %w", err)
	}
	if err := set.Check(); err != nil {
		return RuleSet{}, fmt.Errorf("rules: %s: %w", set.ID, err)
	}
	set.Hash = Hash(file)
	return set, nil
}

// Hash is the SHA-256 of what is posted, in hex: so rolls, rule sets and results
// are named.
func Hash(posted []byte) string {
	sum := sha256.Sum256(posted)
	return hex.EncodeToString(sum[:])
}

// Check reports the first thing that is missing of a national rule set, or of
// one that has all of its lines.
func (r RuleSet) Check() error {
	if err := r.CheckLines(); err != nil {
		return err
	}
	if len(r.Thresholds) == 0 || len(r.Matters) == 0 {
		return fmt.Errorf("no matter has a threshold")
	}
	for id, m := range r.Matters {
		t, ok := r.Thresholds[m.Threshold]
		if !ok {
			return fmt.Errorf("matter %s has no threshold", id)
		}
		if t.Of != OfAll && !r.Quorum.given() {
			return fmt.Errorf("matter %s is decided by those taking part, and there is no quorum", id)
		}
	}
	return nil
}

// CheckLines reports the first line that is given and not whole.
func (r RuleSet) CheckLines() error {
	if _, err := units.ParseDay(string(r.From)); r.ID == "" || err != nil {
		return fmt.Errorf("id %q or first day %q", r.ID, r.From)
	}
	if r.Until != "" && r.Until <= r.From {
		return fmt.Errorf("last day %q", r.Until)
	}
	if r.Quorum.given() && (!r.Quorum.whole() || r.Quorum.Of != "" || r.Quorum.Counts != "" || r.Quorum.Heads.AtMost || r.Quorum.Area.AtMost) {
		return fmt.Errorf("quorum is not whole")
	}
	for name, t := range r.Thresholds {
		objection := t.Counts == Objectors
		if !t.whole() || t.Heads.AtMost != objection || t.Area.AtMost != objection || objection && t.Of != OfAll ||
			t.Of != "" && t.Of != OfAll || t.Counts != "" && !objection {
			return fmt.Errorf("threshold %s is not whole", name)
		}
	}
	if w := r.Window; w.MinDays < 0 || w.MaxDays != 0 && w.MaxDays < w.MinDays {
		return fmt.Errorf("window of %d to %d days", w.MinDays, w.MaxDays)
	}
	if e := r.Election; e.MinSeats < 0 || e.MaxSeats != 0 && e.MaxSeats < e.MinSeats {
		return fmt.Errorf("committee of %d to %d", e.MinSeats, e.MaxSeats)
	}
	for name, days := range map[string]int{
		"notice_days": r.NoticeDays, "special_notice_days": r.SpecialNoticeDays, "public_posting_days": r.PublicPostingDays,
		"roll_objection_days": r.RollObjectionDays, "result_posted_days": r.ResultPostedDays, "result_stands_days": r.ResultStandsDays,
		"objection_days": r.ObjectionDays, "secrecy_minimum_heads": r.SecrecyMinimumHeads, "court_years": r.CourtYears,
		"proxies.cap": r.Proxies.Cap, "extension.times": r.Extension.Times, "extension.days": r.Extension.Days,
		"extension.months": r.Extension.Months, "extension.rest_years": r.Extension.RestYears,
		"election.candidates_posted_days": r.Election.CandidatesPostedDays, "election.filed_within_days": r.Election.FiledWithinDays,
		"election.term_years": r.Election.TermYears, "committee.agenda_posted_days": r.Committee.AgendaPostedDays,
		"committee.decisions_posted_days": r.Committee.DecisionsPostedDays,
	} {
		if days < 0 {
			return fmt.Errorf("%s is under 0", name)
		}
	}
	for name, one := range map[string]struct {
		value string
		of    []string
	}{
		"revote":               {r.Revote, []string{votes.FirstBallotStands, votes.LastBallotStands}},
		"paper_and_electronic": {r.PaperAndElectronic, []string{votes.ElectronicStands, votes.PaperStands, votes.FirstStands}},
		"unreturned":           {r.Unreturned, []string{votes.UnreturnedNone, votes.UnreturnedTakesPart, votes.UnreturnedWithMajority}},
		"co_owners":            {r.CoOwners, []string{NamedCoOwner}},
		"sale":                 {r.Sale, []string{SellerElseBuyer}},
		"open_votes_posted":    {r.OpenVotesPosted, []string{UnitAndArea}},
	} {
		if one.value != "" && !slices.Contains(one.of, one.value) {
			return fmt.Errorf("%s is %q", name, one.value)
		}
	}
	return nil
}

// What lines of words may say, besides the policies of package votes.
const (
	NamedCoOwner    = "named"
	SellerElseBuyer = "seller-who-voted-else-buyer"
	UnitAndArea     = "unit-and-area"
)

func (t Threshold) given() bool { return t != Threshold{} }

func (t Threshold) whole() bool {
	return t.Heads.Denominator > 0 && t.Area.Denominator > 0 && t.Words.ZH != "" && t.Words.EN != ""
}
