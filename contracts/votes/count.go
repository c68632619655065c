package votes

// Election (选举) is what a motion has that fills seats of the owners' committee
// (业主委员会): a ballot says 赞成, 反对 or 弃权 of each candidate. Zero: the motion
// is a question.
type Election struct {
	Seats      int         `json:"seats,omitempty"`      // to be filled
	Committee  int         `json:"committee,omitempty"`  // members of the whole committee, where not all of its seats are filled (补选); 0: Seats
	Approvals  int         `json:"approvals,omitempty"`  // candidates that one ballot may approve at most; 0: all of them
	Candidates []Candidate `json:"candidates,omitempty"` // 候选人, in the order of the paper
}

// Candidate (候选人) is an owner who stands for election. Their name is not in
// the ledger: the notice on the wall has it.
type Candidate struct {
	ID   string `json:"id"`   // as on the paper, e.g. c1
	Unit string `json:"unit"` // code of a unit they own; the roll says which entry it is
}

// What becomes of a candidate.
const (
	Elected    = "当选"
	Substitute = "候补"   // passed, and comes next where a seat falls vacant
	Tied       = "票数相同" // passed, with as many votes as another, for fewer seats than there are
	NotElected = "未当选"
)

// TakesPart is what silence may count as, besides Yes and No.
const TakesPart = "参与"
