package vault

import (
	"bytes"
	"container/list"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/yimu-ledger/yimu/libs/pause"
	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault/internal/cipher"
)

var subjectKeys = readmodel.Table{Name: "subject_key", Key: []string{"subject"}, Columns: []string{"subject", "keyset"}}

// newKeyset returns a new key for a subject, and the same encrypted under the master key.
func (v *Vault) newKeyset(subject string) (tink.AEAD, []byte, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, nil, err
	}
	var sealed bytes.Buffer
	if err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&sealed), v.master.aead, []byte(subject)); err != nil {
		return nil, nil, err
	}
	key, err := cipher.New(handle)
	return key, sealed.Bytes(), err
}

// handle decrypts a keyset as the database holds it; nil is a destroyed one.
func (v *Vault) handle(subject string, sealed []byte) (*keyset.Handle, error) {
	if sealed == nil {
		return nil, ErrNoKey
	}
	handle, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(sealed)), v.master.aead, []byte(subject))
	if err != nil {
		return nil, fmt.Errorf("vault: keyset of %s is damaged", subject)
	}
	return handle, nil
}

// key returns the key of a subject, made where it is missing and create says so.
func (v *Vault) key(ctx context.Context, subject string, create bool) (tink.AEAD, error) {
	destroyed, err := v.destroyed(ctx)
	if err != nil {
		return nil, err
	}
	if key := v.keys.get(subject, destroyed); key != nil {
		return key, nil
	}
	sealed, err := v.keyset(ctx, subject, create)
	if err != nil {
		return nil, err
	}
	handle, err := v.handle(subject, sealed)
	if err != nil {
		return nil, err
	}
	key, err := cipher.New(handle)
	if err != nil {
		return nil, err
	}
	v.keys.put(subject, destroyed, key)
	return key, nil
}

// keyset returns the encrypted keyset of a subject, made where it is missing
// and create says so. Of several processes that make it at once one wins.
func (v *Vault) keyset(ctx context.Context, subject string, create bool) (sealed []byte, err error) {
	const query = `SELECT keyset FROM subject_key WHERE subject = ?`
	err = v.db.QueryRow(ctx, query, subject).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) && create {
		_, made, err := v.newKeyset(subject)
		if err != nil {
			return nil, err
		}
		return sealed, v.db.Update(ctx, func(tx *readmodel.Tx) error {
			if err := tx.InsertMissing(ctx, subjectKeys, [][]any{{subject, made}}); err != nil {
				return err
			}
			return tx.QueryRow(ctx, query, subject).Scan(&sealed)
		})
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ErrNoKey
	}
	return sealed, err
}

// destroyed returns how many keys had been destroyed at most a lease ago. Keys
// cached under another count are looked up again, so that, a lease after
// DestroyKey, no process opens anything with the key.
func (v *Vault) destroyed(ctx context.Context) (int64, error) {
	if last := v.checked.Load(); last != nil && time.Since(last.at) < lease {
		return last.count, nil
	}
	v.checking.Lock()
	defer v.checking.Unlock()
	if last := v.checked.Load(); last != nil && time.Since(last.at) < lease {
		return last.count, nil
	}
	now := erasures{at: time.Now()} // before the look: the lease may only be shorter
	if err := v.db.QueryRow(ctx, `SELECT erasures FROM vault WHERE id = 1`).Scan(&now.count); err != nil {
		return 0, err
	}
	v.checked.Store(&now)
	return now.count, nil
}

// ReleaseKey returns the subject's key as a Tink keyset in JSON, unencrypted,
// for everyone to open what was sealed with it; made where it is missing.
// ErrNoKey where it was destroyed.
func (v *Vault) ReleaseKey(ctx context.Context, subject string) (string, error) {
	sealed, err := v.keyset(ctx, subject, true)
	if err != nil {
		return "", fmt.Errorf("release the key of %s: %w", subject, err)
	}
	handle, err := v.handle(subject, sealed)
	if err != nil {
		return "", fmt.Errorf("release the key of %s: %w", subject, err)
	}
	cleartext, err := cleartextKeyset(handle)
	return string(cleartext), err
}

// DestroyKey destroys keys for ever: no key is made for these subjects again.
// Of a person it also removes the personal data, the document by which they
// were found, login and ballot codes, and sessions that name them. When it returns, no
// process opens anything with the keys any more, and the database's files no
// longer hold them; that takes a second, and PostgreSQL writes its tables anew, so
// destroy many at once. What was destroyed before costs nothing, and where a crash
// came between, the rest is done.
func (v *Vault) DestroyKey(ctx context.Context, subjects ...string) error {
	if len(subjects) == 0 {
		return nil
	}
	subjects = slices.Sorted(slices.Values(subjects)) // one order for all, so that no two wait for each other
	var count, scrubbed int64
	err := v.db.Update(ctx, func(tx *readmodel.Tx) error {
		people, changed := map[string]bool{}, int64(0)
		run := func(statement string, arg any) error {
			done, err := tx.Exec(ctx, statement, arg)
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			changed += n
			return err
		}
		for _, subject := range subjects {
			if err := run(`INSERT INTO subject_key (subject, keyset) VALUES (?, NULL)
				ON CONFLICT (subject) DO UPDATE SET keyset = NULL WHERE subject_key.keyset IS NOT NULL`, subject); err != nil {
				return err
			}
			id, person := strings.CutPrefix(subject, PersonKey(""))
			if !person {
				continue
			}
			if err := run(`DELETE FROM person WHERE id = ?`, id); err != nil {
				return err
			}
			if err := run(`DELETE FROM login_code WHERE person = ?`, id); err != nil {
				return err
			}
			if err := run(`DELETE FROM ballot_code WHERE person = ?`, id); err != nil {
				return err
			}
			people[id] = true
		}
		if err := v.endSessions(ctx, tx, people); err != nil {
			return err
		}
		if changed > 0 {
			if _, err := tx.Exec(ctx, `UPDATE vault SET erasures = erasures + 1 WHERE id = 1`); err != nil {
				return err
			}
		}
		return tx.QueryRow(ctx, `SELECT erasures, scrubbed FROM vault WHERE id = 1`).Scan(&count, &scrubbed)
	})
	if err == nil && scrubbed < count {
		err = v.scrub(ctx, count)
	}
	if err != nil {
		return fmt.Errorf("vault: destroy: %w", err)
	}
	return nil
}

// scrub finishes so many erasures.
func (v *Vault) scrub(ctx context.Context, erasures int64) error {
	v.checked.Store(nil)
	// Until the last cached copy of another process is past its lease.
	if err := pause.For(ctx, lease+lease/10); err != nil {
		return err
	}
	if err := v.db.Scrub(ctx, "subject_key", "person", "login_code", "ballot_code", "session"); err != nil {
		return err
	}
	return v.db.Update(ctx, func(tx *readmodel.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE vault SET scrubbed = ? WHERE id = 1 AND scrubbed < ?`, erasures, erasures)
		return err
	})
}

// lru keeps the keys used last.
type lru struct {
	mu    *sync.Mutex
	size  int
	order *list.List // of *cachedKey, the last used in front
	of    map[string]*list.Element
}

type cachedKey struct {
	subject   string
	destroyed int64 // count of destroyed keys when it was read
	key       tink.AEAD
}

func newLRU(size int) lru {
	return lru{mu: new(sync.Mutex), size: size, order: list.New(), of: map[string]*list.Element{}}
}

// get returns a key that was put under the same count, or nil.
func (c lru) get(subject string, destroyed int64) tink.AEAD {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.of[subject]
	if !ok {
		return nil
	}
	k := e.Value.(*cachedKey)
	if k.destroyed != destroyed {
		c.order.Remove(e)
		delete(c.of, subject)
		return nil
	}
	c.order.MoveToFront(e)
	return k.key
}

func (c lru) put(subject string, destroyed int64, key tink.AEAD) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.of[subject]; ok {
		e.Value = &cachedKey{subject, destroyed, key}
		c.order.MoveToFront(e)
		return
	}
	c.of[subject] = c.order.PushFront(&cachedKey{subject, destroyed, key})
	if c.order.Len() > c.size {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.of, last.Value.(*cachedKey).subject)
	}
}
