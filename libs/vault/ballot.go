package vault

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// Voter is whom a ballot code belongs to.
type Voter struct {
	Entry  string // of the meeting's roll
	Person string // who votes for it
}

// Errors of a ballot code, apart from one that there never was: what is known of
// it helps its owner, and nobody guesses one.
var (
	ErrCodeUnknown   = errors.New("vault: no such ballot code")
	ErrCodeUsed      = errors.New("vault: the ballot code was used")
	ErrCodeExpired   = errors.New("vault: the ballot code has expired")
	ErrCodeElsewhere = errors.New("vault: the ballot code is for another meeting")
)

// ballotCode is how many letters a code has: 80 random bits, few enough to be
// typed from a letter.
const ballotCode = 16

var ballotCodes = readmodel.Table{Name: "ballot_code", Key: []string{"meeting", "entry"},
	Columns: []string{"meeting", "entry", "person", "hash", "expires", "used"}}

// NewBallotCodes returns a new code for each voter of a meeting, with which they
// may vote in it once, until a time. Earlier codes of theirs are void. The vault
// keeps hashes only; codes are ABCD-EFGH-IJKL-MNOP.
func (v *Vault) NewBallotCodes(ctx context.Context, meeting string, voters []Voter, until time.Time) ([]string, error) {
	codes, rows := make([]string, len(voters)), make([][]any, len(voters))
	for i, voter := range voters {
		code := rand.Text()[:ballotCode]
		codes[i] = grouped(code, ballotCode/4)
		rows[i] = []any{meeting, voter.Entry, voter.Person, v.HMAC("ballot-code", code), until.UnixMicro(), false}
	}
	err := v.db.Update(ctx, func(tx *readmodel.Tx) error { return tx.Upsert(ctx, ballotCodes, rows) })
	if err != nil {
		return nil, fmt.Errorf("vault: ballot codes of %s: %w", MeetingKey(meeting), err)
	}
	return codes, nil
}

// UseBallotCode returns whose code of a meeting it is, once: of several that use
// it at the same time one gets it, and the others ErrCodeUsed.
func (v *Vault) UseBallotCode(ctx context.Context, meeting, code string) (voter Voter, err error) {
	hash, now := v.HMAC("ballot-code", typed(code)), v.clock().UnixMicro()
	err = v.db.Update(ctx, func(tx *readmodel.Tx) error {
		err := tx.QueryRow(ctx, `UPDATE ballot_code SET used = ? WHERE hash = ? AND meeting = ? AND used = ? AND expires > ? RETURNING entry, person`,
			true, hash, meeting, false, now).Scan(&voter.Entry, &voter.Person)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		var of string
		var used bool
		err = tx.QueryRow(ctx, `SELECT meeting, used FROM ballot_code WHERE hash = ?`, hash).Scan(&of, &used)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return ErrCodeUnknown
		case err != nil:
			return err
		case of != meeting:
			return ErrCodeElsewhere
		case used:
			return ErrCodeUsed
		}
		return ErrCodeExpired
	})
	if err != nil && !errors.Is(err, ErrCodeUnknown) && !errors.Is(err, ErrCodeUsed) && !errors.Is(err, ErrCodeExpired) && !errors.Is(err, ErrCodeElsewhere) {
		err = fmt.Errorf("vault: use a ballot code: %w", err)
	}
	return voter, err
}

// ExtendBallotCodes lets the codes of a meeting end with its voting, where that
// was extended.
func (v *Vault) ExtendBallotCodes(ctx context.Context, meeting string, until time.Time) error {
	err := v.db.Update(ctx, func(tx *readmodel.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE ballot_code SET expires = ? WHERE meeting = ? AND expires < ?`, until.UnixMicro(), meeting, until.UnixMicro())
		return err
	})
	if err != nil {
		return fmt.Errorf("vault: ballot codes of %s: %w", MeetingKey(meeting), err)
	}
	return nil
}
