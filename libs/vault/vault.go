// Package vault keeps what must not stand in the ledger: keys, personal data,
// login codes and sessions.
//
// The ledger is for ever and for everyone; what not everyone may read stands
// there sealed, and its key is here. Each subject (a person, an estate, a
// meeting) has a key of its own, so that destroying one key makes one subject's
// secrets unreadable wherever copies of them are, and releasing one lets anyone
// open them with [OpenWith].
//
// Nothing in the database is readable without the key file: keysets are
// encrypted under the master key, personal data under the person's key, and
// documents, codes and session tokens are found by HMAC. The vault is never
// rebuilt; whatever a commit refers to is on disk before the call returns.
// Errors name subjects, never data.
//
// A backup of the database keeps destroyed keys until the backup is deleted.
package vault

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/yimu-ledger/yimu/libs/readmodel"
	"github.com/yimu-ledger/yimu/libs/vault/internal/cipher"
)

// Errors of a Vault.
var (
	// ErrNoKey says that a subject's key was destroyed, or never made.
	ErrNoKey = errors.New("vault: no key")
	// ErrCannotOpen says that a text was not sealed for this subject and field, or was changed.
	ErrCannotOpen = errors.New("vault: cannot be opened")
	// ErrTooLong says that a plaintext is longer than its field.
	ErrTooLong = errors.New("vault: longer than its field")
	// ErrNoPerson says that there is no personal data under an id.
	ErrNoPerson = errors.New("vault: no such person")
	// ErrDocumentTaken says that a document is another person's.
	ErrDocumentTaken = errors.New("vault: the document is another person's")
	// ErrNoDocument says that a person came without the document they are known by.
	ErrNoDocument = errors.New("vault: no identity document")
)

// Config says where a vault is.
type Config struct {
	// URL of the database, as of readmodel.Open: a SQLite file or PostgreSQL
	// database of its own.
	URL string
	// KeyFile holds the master keys. It is made with mode 0600 at the first
	// start of an empty database, and must be kept elsewhere than the database's
	// backups. In a cluster all processes need the same file.
	KeyFile string
	// Clock tells when codes and sessions expire; nil is time.Now.
	Clock func() time.Time
}

//go:embed migrations/*.sql
var migrations embed.FS

const (
	cached = 16384       // keys kept decrypted, about 1 KiB each
	lease  = time.Second // how long a cached key is trusted without a look at the database
)

// Vault is an open vault, safe for concurrent use. Several processes may open the same.
type Vault struct {
	db     *readmodel.DB
	master *master
	clock  func() time.Time
	keys   lru

	checking sync.Mutex
	checked  atomic.Pointer[erasures]

	swept atomic.Int64 // when expired sessions were deleted, Unix microseconds
}

// erasures is how many keys had been destroyed at a moment.
type erasures struct {
	count int64
	at    time.Time // monotonic
}

// Open opens a vault, and makes it where database and key file are both missing.
func Open(ctx context.Context, config Config) (*Vault, error) {
	db, err := readmodel.Open(ctx, config.URL, readmodel.Durable())
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	v := &Vault{db: db, clock: config.Clock, keys: newLRU(cached)}
	if v.clock == nil {
		v.clock = time.Now
	}
	if err := v.open(ctx, config.KeyFile); err != nil {
		return nil, errors.Join(fmt.Errorf("vault: %w", err), db.Close())
	}
	return v, nil
}

// masterToken is what vault.token holds.
const masterToken = "this key file belongs to this vault"

func (v *Vault) open(ctx context.Context, keyFile string) error {
	if err := v.db.Migrate(ctx, migrations); err != nil {
		return err
	}
	var token []byte
	err := v.db.QueryRow(ctx, `SELECT token FROM vault WHERE id = 1`).Scan(&token)
	fresh := errors.Is(err, sql.ErrNoRows)
	if err != nil && !fresh {
		return err
	}
	if _, err := os.Stat(keyFile); fresh && errors.Is(err, fs.ErrNotExist) {
		if err := CreateKey(keyFile); err != nil && !errors.Is(err, fs.ErrExist) { // another process was first
			return fmt.Errorf("make the key file: %w", err)
		}
	}
	v.master, err = readMaster(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("its key file %s is missing, and without the one it was made with nothing in it can be read: put that back (%w)", keyFile, err)
	}
	if err != nil {
		return err
	}
	if fresh {
		if token, err = v.master.aead.Encrypt([]byte(masterToken), []byte("vault")); err != nil {
			return err
		}
		err := v.db.Update(ctx, func(tx *readmodel.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO vault (id, token, erasures) VALUES (1, ?, 0) ON CONFLICT DO NOTHING`, token); err != nil {
				return err
			}
			return tx.QueryRow(ctx, `SELECT token FROM vault WHERE id = 1`).Scan(&token)
		})
		if err != nil {
			return err
		}
	}
	if plain, err := v.master.aead.Decrypt(token, []byte("vault")); err != nil || string(plain) != masterToken {
		return fmt.Errorf("key file %s belongs to another vault", keyFile)
	}
	return nil
}

// Close closes the database.
func (v *Vault) Close() error { return v.db.Close() }

// PersonKey names the key of a person's own words and data.
func PersonKey(id string) string { return "person/" + id }

// EstateKey names the key of an estate's single payments.
func EstateKey(id string) string { return "estate/" + id }

// MeetingKey names the key of a meeting's live choices.
func MeetingKey(id string) string { return "meeting/" + id }

// Seal encrypts plaintext for a field of a subject, whose key is made, and on
// disk, before. It returns base64 of Tink's ciphertext; its length depends on
// size alone, so that no length tells a choice. ErrTooLong where plaintext has
// more than size bytes, ErrNoKey where the key was destroyed.
func (v *Vault) Seal(ctx context.Context, subject, field string, plaintext []byte, size int) (string, error) {
	padded, err := pad(plaintext, size)
	if err != nil {
		return "", fmt.Errorf("seal %s for %s: %w", field, subject, err)
	}
	key, err := v.key(ctx, subject, true)
	if err != nil {
		return "", fmt.Errorf("seal %s for %s: %w", field, subject, err)
	}
	sealed, err := key.Encrypt(padded, associated(subject, field))
	if err != nil {
		return "", fmt.Errorf("vault: seal %s for %s: %w", field, subject, err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Open decrypts what Seal returned: ErrNoKey or ErrCannotOpen where it cannot.
func (v *Vault) Open(ctx context.Context, subject, field, sealed string) ([]byte, error) {
	key, err := v.key(ctx, subject, false)
	if err != nil {
		return nil, fmt.Errorf("open %s for %s: %w", field, subject, err)
	}
	return openWith(key, subject, field, sealed)
}

// Knows says whether a subject has a key, or had one that was destroyed.
func (v *Vault) Knows(ctx context.Context, subject string) (known bool, err error) {
	err = v.db.QueryRow(ctx, `SELECT count(*) > 0 FROM subject_key WHERE subject = ?`, subject).Scan(&known)
	if err != nil {
		err = fmt.Errorf("vault: %w", err)
	}
	return known, err
}

// OpenWith decrypts with a key that ReleaseKey or CombineShares returned; it needs no vault.
// Callers with many texts of one subject should use [NewOpener].
func OpenWith(released, subject, field, sealed string) ([]byte, error) {
	open, err := NewOpener(released, subject)
	if err != nil {
		return nil, err
	}
	return open(field, sealed)
}

// NewOpener returns a function that opens the fields of a subject with its released key,
// of ReleaseKey or of CombineShares.
func NewOpener(released, subject string) (func(field, sealed string) ([]byte, error), error) {
	if shared, ok := strings.CutPrefix(released, sharedKey); ok {
		return sharedOpener(shared, subject)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader([]byte(released))))
	if err != nil {
		return nil, fmt.Errorf("released key of %s: %w", subject, ErrCannotOpen)
	}
	key, err := cipher.New(handle)
	if err != nil {
		return nil, fmt.Errorf("released key of %s: %w", subject, ErrCannotOpen)
	}
	return func(field, sealed string) ([]byte, error) { return openWith(key, subject, field, sealed) }, nil
}

func openWith(key tink.AEAD, subject, field, sealed string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(sealed)
	if err == nil {
		b, err = key.Decrypt(b, associated(subject, field))
	}
	if err == nil {
		b, err = unpad(b)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s for %s: %w", field, subject, ErrCannotOpen)
	}
	return b, nil
}

// associated binds a ciphertext to its place: a ballot's choice cannot pass for another's.
func associated(subject, field string) []byte { return []byte(subject + "/" + field) }

// pad returns the length of plaintext in 4 bytes, big endian, plaintext, and
// zeros, 4 + size bytes in all.
func pad(plaintext []byte, size int) ([]byte, error) {
	if len(plaintext) > size {
		return nil, ErrTooLong
	}
	b := make([]byte, 4+size)
	binary.BigEndian.PutUint32(b, uint32(len(plaintext)))
	copy(b[4:], plaintext)
	return b, nil
}

func unpad(b []byte) ([]byte, error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return nil, ErrCannotOpen
	}
	return b[4 : 4+binary.BigEndian.Uint32(b)], nil
}
