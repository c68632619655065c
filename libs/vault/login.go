package vault

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// NewLoginCode returns a new code with which a person may log in once, until
// ttl is over; earlier codes of the person end. It has 128 bits of randomness in
// letters and digits that are not mistaken for each other: ABCDE-FGHIJ-…
func (v *Vault) NewLoginCode(ctx context.Context, person string, ttl time.Duration) (code string, err error) {
	code = rand.Text()
	hash, now := v.HMAC("login-code", code), v.clock()
	err = v.sweep(ctx, "login_code", now)
	if err == nil {
		err = v.db.Update(ctx, func(tx *readmodel.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO login_code (hash, person, expires) VALUES (?, ?, ?)
				ON CONFLICT (person) DO UPDATE SET hash = excluded.hash, expires = excluded.expires`, hash, person, now.Add(ttl).UnixMicro())
			return err
		})
	}
	if err != nil {
		return "", fmt.Errorf("vault: login code for %s: %w", PersonKey(person), err)
	}
	var groups []string
	for ; len(code) > 6; code = code[5:] {
		groups = append(groups, code[:5])
	}
	return strings.Join(append(groups, code), "-"), nil
}

// sweep deletes what has expired from a table, in a transaction of its own: one
// that held some of these rows and wanted others could wait for one that does
// the reverse.
func (v *Vault) sweep(ctx context.Context, table string, now time.Time) error {
	return v.db.Update(ctx, func(tx *readmodel.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE expires <= ?`, now.UnixMicro())
		return err
	})
}

// typed undoes what people do to a code, or to a share, when they type it.
func typed(text string) string { return mistaken.Replace(strings.ToUpper(text)) }

var mistaken = strings.NewReplacer("-", "", " ", "", "0", "O", "1", "I", "8", "B")

// grouped writes a code for people to type, size letters at a time.
func grouped(code string, size int) string {
	var groups []string
	for group := range slices.Chunk([]byte(code), size) {
		groups = append(groups, string(group))
	}
	return strings.Join(groups, "-")
}

// UseLoginCode returns whose code it is, once: of several that use it at the
// same time one gets ok.
func (v *Vault) UseLoginCode(ctx context.Context, code string) (person string, ok bool, err error) {
	hash := v.HMAC("login-code", typed(code))
	err = v.db.Update(ctx, func(tx *readmodel.Tx) error {
		return tx.QueryRow(ctx, `DELETE FROM login_code WHERE hash = ? AND expires > ? RETURNING person`, hash, v.clock().UnixMicro()).Scan(&person)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("vault: use a login code: %w", err)
	}
	return person, true, nil
}

// Sessions returns the store of web sessions, for scs.
func (v *Vault) Sessions() scs.CtxStore { return sessions{v} }

// sessions keeps session data under the master key, found by HMAC of the token.
type sessions struct{ v *Vault }

var sessionTable = readmodel.Table{Name: "session", Key: []string{"token"}, Columns: []string{"token", "data", "expires"}}

func (s sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

func (s sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

func (s sessions) Commit(token string, data []byte, expiry time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expiry)
}

func (s sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.update(ctx, func(tx *readmodel.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM session WHERE token = ?`, s.hash(token))
		return err
	})
}

func (s sessions) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	hash := s.hash(token)
	var sealed []byte
	err := s.v.db.QueryRow(ctx, `SELECT data FROM session WHERE token = ? AND expires > ?`, hash, s.v.clock().UnixMicro()).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("vault: session: %w", err)
	}
	data, err := s.v.master.aead.Decrypt(sealed, hash)
	if err != nil {
		return nil, false, fmt.Errorf("vault: session: %w", ErrCannotOpen)
	}
	return data, true, nil
}

func (s sessions) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	hash := s.hash(token)
	sealed, err := s.v.master.aead.Encrypt(data, hash)
	if err != nil {
		return fmt.Errorf("vault: session: %w", err)
	}
	now := s.v.clock()
	if last := s.v.swept.Load(); now.UnixMicro()-last > time.Minute.Microseconds() && s.v.swept.CompareAndSwap(last, now.UnixMicro()) {
		if err := s.v.sweep(ctx, "session", now); err != nil {
			return fmt.Errorf("vault: session: %w", err)
		}
	}
	return s.update(ctx, func(tx *readmodel.Tx) error {
		return tx.Upsert(ctx, sessionTable, [][]any{{hash, sealed, expiry.UnixMicro()}})
	})
}

// anID finds the ids of people in session data, whatever else is in them.
var anID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// endSessions deletes the sessions whose data name one of these people by id.
// They are found by nothing else, so all are looked through.
func (v *Vault) endSessions(ctx context.Context, tx *readmodel.Tx, people map[string]bool) error {
	if len(people) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT token, data FROM session`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var theirs [][]byte
	for rows.Next() {
		var hash, sealed []byte
		if err := rows.Scan(&hash, &sealed); err != nil {
			return err
		}
		data, err := v.master.aead.Decrypt(sealed, hash)
		if err != nil {
			continue // no session
		}
		if slices.ContainsFunc(anID.FindAll(data, -1), func(id []byte) bool { return people[string(id)] }) {
			theirs = append(theirs, hash)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	slices.SortFunc(theirs, bytes.Compare) // one order for all, so that no two wait for each other
	for some := range slices.Chunk(theirs, inQuery) {
		if _, err := tx.Exec(ctx, `DELETE FROM session WHERE token IN `+in(len(some)), anys(some)...); err != nil {
			return err
		}
	}
	return nil
}

func (s sessions) update(ctx context.Context, f func(*readmodel.Tx) error) error {
	if err := s.v.db.Update(ctx, f); err != nil {
		return fmt.Errorf("vault: session: %w", err)
	}
	return nil
}

func (s sessions) hash(token string) []byte { return s.v.HMAC("session", token) }
