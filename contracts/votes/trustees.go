package votes

import "time"

// Parties (方) a trustee may stand for.
const (
	OfCommittee = "业主委员会"
	OfStreet    = "街道办事处"
	OfResidents = "居民委员会"
	OfOwners    = "业主代表"
)

// Trustee keeps one share of a meeting's key.
type Trustee struct {
	Person string `json:"person"`
	Party  string `json:"party"` // 业主委员会, 街道办事处, 居民委员会 or 业主代表
}

// TrusteesNamed deals a key in shares: ballots are sealed to it, and opened when
// so many shares come as there are commitments. Named anew, another key is dealt.
type TrusteesNamed struct {
	Meeting     string    `json:"meeting"`
	Trustees    []Trustee `json:"trustees"`    // by the numbers of their shares, from 1
	Commitments []string  `json:"commitments"` // points of P-256, base64; the first is the public key
	Days        int       `json:"days"`        // whole days after the close within which shares must come
}

// ShareTaken says that a trustee has their share on paper, and nobody else has it
// any more.
type ShareTaken struct {
	Meeting string `json:"meeting"`
	Number  int    `json:"number"` // of the trustee, from 1
}

// SharesAwaited says until when shares are taken in, once voting is closed.
type SharesAwaited struct {
	Meeting string    `json:"meeting"`
	Until   time.Time `json:"until"` // a share at this instant is late
}

// ShareGiven publishes a share after the close.
type ShareGiven struct {
	Meeting string `json:"meeting"`
	Number  int    `json:"number"` // of the trustee, from 1
	Share   string `json:"share"`  // as it is on paper
}

// BallotsUnopened ends a meeting for which too few shares came: its ballots stay
// sealed, and it decides nothing.
type BallotsUnopened struct {
	Meeting string `json:"meeting"`
}

func (TrusteesNamed) event()   {} // MeetingStream
func (ShareTaken) event()      {} // MeetingStream
func (SharesAwaited) event()   {} // MeetingStream
func (ShareGiven) event()      {} // MeetingStream
func (BallotsUnopened) event() {} // MeetingStream
