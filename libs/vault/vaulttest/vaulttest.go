// Package vaulttest is for tests of what a vault keeps from whoever gets its
// files: it switches encryption off, to see that a test finds what is not
// encrypted, and looks for keys as a thief would.
package vaulttest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"os"
	"testing"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/yimu-ledger/yimu/libs/vault"
	"github.com/yimu-ledger/yimu/libs/vault/internal/cipher"
)

// Plain switches encryption off until the test ends, in every vault of the
// process that is made meanwhile. Such a vault cannot be read otherwise.
func Plain(t testing.TB) {
	cipher.Plain.Store(true)
	t.Cleanup(func() { cipher.Plain.Store(false) })
}

// Thief has a vault's key file.
type Thief struct {
	t      testing.TB
	master tink.AEAD
	hmac   []byte
	prefix []byte // of what is encrypted with the master key
}

// NewThief reads a key file.
func NewThief(t testing.TB, keyFile string) *Thief {
	t.Helper()
	b, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		AEAD json.RawMessage
		HMAC []byte
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(file.AEAD)))
	if err != nil {
		t.Fatal(err)
	}
	thief := &Thief{t: t, hmac: file.HMAC}
	if thief.master, err = aead.New(handle); err != nil {
		t.Fatal(err)
	}
	thief.prefix = binary.BigEndian.AppendUint32([]byte{1}, handle.KeysetInfo().PrimaryKeyId)
	return thief
}

// Document returns what a vault keeps to find a person by their document.
func (f *Thief) Document(document string) []byte {
	h := hmac.New(sha256.New, f.hmac)
	for _, part := range []string{"document", vault.Document(document)} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

// Keys returns the keys of subjects of which there is a whole copy anywhere in
// bytes, such as those of a database's file with its free pages, as JSON for
// [vault.OpenWith], by subject.
func (f *Thief) Keys(b []byte, subjects ...string) map[string]string {
	f.t.Helper()
	const shortest, longest = 64, 512 // a keyset with one key, encrypted
	keys := map[string]string{}
	for at := 0; ; at++ {
		next := bytes.Index(b[at:], f.prefix)
		if next < 0 {
			return keys
		}
		at += next
		for n := shortest; n <= min(longest, len(b)-at); n++ {
			for _, subject := range subjects {
				plain, err := f.master.Decrypt(b[at:at+n], []byte(subject))
				if err != nil {
					continue
				}
				handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(plain)))
				if err != nil {
					f.t.Fatalf("what is encrypted as the keyset of %s is none", subject)
				}
				var out bytes.Buffer
				if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&out)); err != nil {
					f.t.Fatal(err)
				}
				keys[subject] = out.String()
			}
		}
	}
}
