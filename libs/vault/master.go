package vault

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/yimu-ledger/yimu/libs/vault/internal/cipher"
)

// master is the secret beside the database: without it the database is noise.
type master struct {
	aead tink.AEAD // of the subjects' keysets
	hmac []byte
}

// masterFile is the content of the key file.
type masterFile struct {
	AEAD json.RawMessage `json:"aead"` // Tink keyset, AES-256-GCM
	HMAC []byte          `json:"hmac"` // 32 bytes
}

// readMaster reads the key file. It refuses one that others than its owner and
// group may read, or others than its owner may write.
func readMaster(path string) (*master, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return nil, fmt.Errorf("key file %s has mode %#o: others could use it; make it 0600", path, mode)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file masterFile
	if err := json.Unmarshal(b, &file); err != nil || len(file.HMAC) != sha256.Size {
		return nil, fmt.Errorf("key file %s is damaged", path) // the parser's error could quote the key
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(file.AEAD)))
	if err != nil {
		return nil, fmt.Errorf("key file %s is damaged", path)
	}
	primitive, err := cipher.New(handle)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return &master{primitive, file.HMAC}, nil
}

// CreateKey writes a new key file of mode 0600, for an empty vault that is opened
// later. It appears whole or not at all, and is on disk when CreateKey returns;
// one that is there already is kept, and the error is fs.ErrExist.
func CreateKey(path string) (err error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	cleartext, err := cleartextKeyset(handle)
	if err != nil {
		return err
	}
	file := masterFile{AEAD: cleartext, HMAC: make([]byte, sha256.Size)}
	_, _ = rand.Read(file.HMAC) // never fails
	b, err := json.MarshalIndent(file, "", "\t")
	if err != nil {
		return err
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".vault-key-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // a second name, or one that was not needed
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, fails where another process was first.
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func cleartextKeyset(handle *keyset.Handle) ([]byte, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// HMAC returns the HMAC-SHA-256 of purpose and parts under the vault's key.
// Each is written with its length, so ("a", "bc") is not ("ab", "c").
func (v *Vault) HMAC(purpose string, parts ...string) []byte {
	h := hmac.New(sha256.New, v.master.hmac)
	b := make([]byte, 0, 256)
	b = binary.BigEndian.AppendUint64(b, uint64(len(purpose)))
	b = append(b, purpose...)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	h.Write(b)
	return h.Sum(nil)
}

// ID returns a UUID (version 8, RFC 9562) made of HMAC(purpose, parts...): the
// same for the same parts, and not to be guessed without the vault.
func (v *Vault) ID(purpose string, parts ...string) uuid.UUID {
	id := uuid.UUID(v.HMAC(purpose, parts...)[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
