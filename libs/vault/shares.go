package vault

import (
	"context"
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/cloudflare/circl/group"
	"github.com/cloudflare/circl/secretsharing"

	"github.com/yimu-ledger/yimu/libs/readmodel"
)

// ErrNotAShare says that a text is no share of a key: mistyped, another's, or of another key.
var ErrNotAShare = errors.New("vault: not a share of this key")

// Dealt is a key that nobody has: what is sealed to it is opened with some of its shares.
//
// The key is a scalar of P-256, shared as Feldman does (Feldman 1987): whoever
// has the commitments can check a single share, and fewer shares than needed
// tell nothing. It opens what [SealTo] sealed by HPKE (RFC 9180,
// DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM).
type Dealt struct {
	Commitments []string // as many as shares are needed: points of P-256, uncompressed (SEC 1), base64; the first is the public key
	Shares      []string // one for each trustee, in their order, for paper: letters and digits in groups of five
}

// Deal makes a key and forgets it: of the shares, so many as needed bring it back.
func Deal(needed, trustees int) (Dealt, error) {
	if needed < 1 || trustees < needed || trustees > 255 {
		return Dealt{}, fmt.Errorf("vault: %d of %d shares", needed, trustees)
	}
	sharing := secretsharing.New(rand.Reader, uint(needed-1), group.P256.RandomNonZeroScalar(rand.Reader))
	var d Dealt
	for _, point := range sharing.CommitSecret() {
		b, err := point.MarshalBinary()
		if err != nil {
			return Dealt{}, fmt.Errorf("vault: deal: %w", err)
		}
		d.Commitments = append(d.Commitments, base64.StdEncoding.EncodeToString(b))
	}
	for n := range trustees {
		number := group.P256.NewScalar().SetUint64(uint64(n + 1))
		value, err := sharing.ShareWithID(number).Value.MarshalBinary()
		if err != nil {
			return Dealt{}, fmt.Errorf("vault: deal: %w", err)
		}
		d.Shares = append(d.Shares, writeShare(byte(n+1), value))
	}
	return d, nil
}

// onPaper writes shares: the alphabet of login codes.
var onPaper = base32.StdEncoding.WithPadding(base32.NoPadding)

const (
	scalarSize = 32
	sumSize    = 3 // of a share: tells a slip of the pen from another's share
	groupOf    = 5
)

func writeShare(number byte, value []byte) string {
	b := append([]byte{number}, value...)
	sum := sha256.Sum256(b)
	return grouped(onPaper.EncodeToString(append(b, sum[:sumSize]...)), groupOf)
}

// readShare reads a share as people type it.
func readShare(text string) (number int, share secretsharing.Share, err error) {
	b, err := onPaper.DecodeString(typed(strings.TrimSpace(text)))
	if err != nil || len(b) != 1+scalarSize+sumSize || b[0] == 0 {
		return 0, share, ErrNotAShare
	}
	if sum := sha256.Sum256(b[:1+scalarSize]); string(sum[:sumSize]) != string(b[1+scalarSize:]) {
		return 0, share, ErrNotAShare
	}
	share = secretsharing.Share{ID: group.P256.NewScalar().SetUint64(uint64(b[0])), Value: group.P256.NewScalar()}
	if err := share.Value.UnmarshalBinary(b[1 : 1+scalarSize]); err != nil {
		return 0, share, ErrNotAShare
	}
	return int(b[0]), share, nil
}

// points reads commitments.
func points(commitments []string) (list secretsharing.SecretCommitment, err error) {
	for _, text := range commitments {
		b, err := base64.StdEncoding.DecodeString(text)
		point := group.P256.NewElement()
		if err == nil {
			err = point.UnmarshalBinary(b)
		}
		if err != nil || point.IsIdentity() {
			return nil, fmt.Errorf("vault: commitment %q is no point", text)
		}
		list = append(list, point)
	}
	if len(list) == 0 {
		return nil, errors.New("vault: no commitments")
	}
	return list, nil
}

// CheckShare returns the share of the trustee with a number, from 1, as it was
// dealt, from a text as people type it: ErrNotAShare where it is not theirs.
func CheckShare(commitments []string, number int, text string) (string, error) {
	list, err := points(commitments)
	if err != nil {
		return "", err
	}
	n, share, err := readShare(text)
	if err != nil {
		return "", err
	}
	if n != number || !secretsharing.Verify(uint(len(list)-1), share, list) {
		return "", ErrNotAShare
	}
	value, err := share.Value.MarshalBinary()
	if err != nil {
		return "", fmt.Errorf("vault: share: %w", err)
	}
	return writeShare(byte(n), value), nil
}

// ShareEnding returns the last group of a share, by which somebody shows that
// they have it on paper.
func ShareEnding(share string) string { return share[strings.LastIndexByte(share, '-')+1:] }

// sharedKey is what a combined key begins with, so that no Tink keyset passes for one.
const sharedKey = "p256:"

// CombineShares brings the key back for [NewOpener] and [OpenWith]. Each share
// must be one of this key, none twice, and as many as are needed: else ErrNotAShare.
func CombineShares(commitments, shares []string) (released string, err error) {
	list, err := points(commitments)
	if err != nil {
		return "", err
	}
	var all []secretsharing.Share
	seen := map[int]bool{}
	for _, text := range shares {
		n, share, err := readShare(text)
		if err != nil {
			return "", err
		}
		if seen[n] || !secretsharing.Verify(uint(len(list)-1), share, list) {
			return "", ErrNotAShare
		}
		seen[n] = true
		all = append(all, share)
	}
	if len(all) < len(list) {
		return "", fmt.Errorf("%w: %d of %d that are needed", ErrNotAShare, len(all), len(list))
	}
	secret, err := secretsharing.Recover(uint(len(list)-1), all[:len(list)])
	if err != nil {
		return "", fmt.Errorf("vault: combine: %w", err)
	}
	b, err := secret.MarshalBinary()
	if err != nil {
		return "", fmt.Errorf("vault: combine: %w", err)
	}
	return sharedKey + base64.StdEncoding.EncodeToString(b), nil
}

// SealTo encrypts as Seal does, to the public key of a Dealt: whoever seals
// cannot open. It needs no vault.
func SealTo(commitments []string, subject, field string, plaintext []byte, size int) (string, error) {
	padded, err := pad(plaintext, size)
	if err != nil {
		return "", fmt.Errorf("seal %s for %s: %w", field, subject, err)
	}
	if len(commitments) == 0 {
		return "", fmt.Errorf("vault: seal %s for %s: no public key", field, subject)
	}
	b, err := base64.StdEncoding.DecodeString(commitments[0])
	if err != nil {
		return "", fmt.Errorf("vault: seal %s for %s: %w", field, subject, err)
	}
	public, err := hpke.DHKEM(ecdh.P256()).NewPublicKey(b)
	if err != nil {
		return "", fmt.Errorf("vault: seal %s for %s: %w", field, subject, err)
	}
	sealed, err := hpke.Seal(public, hpke.HKDFSHA256(), hpke.AES256GCM(), associated(subject, field), padded)
	if err != nil {
		return "", fmt.Errorf("vault: seal %s for %s: %w", field, subject, err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// sharedOpener is NewOpener of a combined key.
func sharedOpener(released, subject string) (func(field, sealed string) ([]byte, error), error) {
	refused := fmt.Errorf("released key of %s: %w", subject, ErrCannotOpen)
	b, err := base64.StdEncoding.DecodeString(released)
	if err != nil {
		return nil, refused
	}
	scalar, err := ecdh.P256().NewPrivateKey(b)
	if err != nil {
		return nil, refused
	}
	key, err := hpke.NewDHKEMPrivateKey(scalar)
	if err != nil {
		return nil, refused
	}
	return func(field, sealed string) ([]byte, error) {
		b, err := base64.StdEncoding.DecodeString(sealed)
		if err == nil {
			b, err = hpke.Open(key, hpke.HKDFSHA256(), hpke.AES256GCM(), associated(subject, field), b)
		}
		if err == nil {
			b, err = unpad(b)
		}
		if err != nil {
			return nil, fmt.Errorf("open %s for %s: %w", field, subject, ErrCannotOpen)
		}
		return b, nil
	}, nil
}

var shareTable = readmodel.Table{Name: "share", Key: []string{"subject", "person", "public"}, Columns: []string{"subject", "person", "public", "sealed"}}

// shareField is the field of a person under which their share of a subject's key is sealed.
func shareField(subject, public string) string { return "share/" + subject + "/" + public }

// KeepShares keeps the shares of a subject's key until their trustees, people,
// have taken them. They are sealed with the keys of those people.
func (v *Vault) KeepShares(ctx context.Context, subject string, d Dealt, people []string) error {
	var rows [][]any
	for i, person := range people {
		sealed, err := v.Seal(ctx, PersonKey(person), shareField(subject, d.Commitments[0]), []byte(d.Shares[i]), len(d.Shares[i]))
		if err != nil {
			return err
		}
		rows = append(rows, []any{subject, person, d.Commitments[0], sealed})
	}
	err := v.db.Update(ctx, func(tx *readmodel.Tx) error { return tx.InsertMissing(ctx, shareTable, rows) })
	if err != nil {
		return fmt.Errorf("vault: keep shares of %s: %w", subject, err)
	}
	return nil
}

// Share returns a share that is still kept; ErrNotAShare where it is not.
func (v *Vault) Share(ctx context.Context, subject string, commitments []string, person string) (string, error) {
	var sealed string
	err := v.db.QueryRow(ctx, `SELECT sealed FROM share WHERE subject = ? AND person = ? AND public = ?`, subject, person, commitments[0]).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", ErrNotAShare
	}
	if err != nil {
		return "", fmt.Errorf("vault: share of %s: %w", subject, err)
	}
	share, err := v.Open(ctx, PersonKey(person), shareField(subject, commitments[0]), sealed)
	return string(share), err
}

// DropShares forgets kept shares of a subject's key: those of one person or,
// with "", of all. When it returns, the database's files no longer hold them.
func (v *Vault) DropShares(ctx context.Context, subject string, commitments []string, person string) error {
	err := v.db.Update(ctx, func(tx *readmodel.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM share WHERE subject = ? AND public = ? AND (person = ? OR ? = '')`, subject, commitments[0], person, person)
		return err
	})
	if err == nil {
		err = v.db.Scrub(ctx, "share")
	}
	if err != nil {
		return fmt.Errorf("vault: drop shares of %s: %w", subject, err)
	}
	return nil
}
