package tlog

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/yimu-ledger/yimu/libs/proof"
)

// keys are what a key file holds: a line each in the form of signed notes,
// PRIVATE+KEY+name+hash+key. The first signs; those below it, which it replaced,
// sign too for as long as they stand there.
type keys struct {
	signers []note.Signer
	public  proof.Keys
	lines   []string
}

func (k keys) origin() string { return k.public[0].Name() }

// readKeys reads a key file. It refuses one that others than its owner and group
// may read, or others than its owner may write.
func readKeys(path string) (k keys, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return k, err
	}
	if info.IsDir() {
		return k, fmt.Errorf("key file %s is a directory", path)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return k, fmt.Errorf("key file %s has mode %#o: others could sign with it; make it 0600", path, mode)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return k, err
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		signer, err := note.NewSigner(line)
		if err != nil { // its error could quote the key
			return k, fmt.Errorf("key file %s is damaged: a line is not PRIVATE+KEY+name+hash+key", path)
		}
		public, err := publicKey(line, signer.Name())
		if err != nil {
			return k, fmt.Errorf("key file %s is damaged", path)
		}
		k.signers, k.public, k.lines = append(k.signers, signer), append(k.public, public), append(k.lines, line)
		if signer.Name() != k.origin() {
			return k, fmt.Errorf("key file %s has keys of two logs, %s and %s", path, k.origin(), signer.Name())
		}
	}
	if len(k.signers) == 0 {
		return k, fmt.Errorf("key file %s has no key", path)
	}
	return k, nil
}

// publicKey is the public half of a note's private key that is known to be good.
func publicKey(private, name string) (proof.Key, error) {
	fields := strings.SplitN(private, "+", 5) // PRIVATE, KEY, name, hash, key
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return proof.Key{}, errors.New("tlog: not an Ed25519 key")
	}
	text, err := note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return proof.Key{}, err
	}
	parsed, err := proof.ParseKeys(text)
	if err != nil {
		return proof.Key{}, err
	}
	return parsed[0], nil
}

// CreateKey writes a key file with a new key for a log of this name, which is
// opened later. It appears whole or not at all, and is on disk when CreateKey
// returns; one that is there already is kept, and the error is fs.ErrExist.
func CreateKey(path, origin string) error {
	private, _, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		return fmt.Errorf("a key for the log %q cannot be made: %w", origin, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return place(path, []byte(private+"\n"), func(temporary string) error {
		return os.Link(temporary, path) // unlike a rename it fails where another process was first
	})
}

// RotateKey puts a new key on top of those in a key file. It signs from the next
// start of the log on, together with those below it; remove their lines once all
// who check the log know the new one.
func RotateKey(path string) (proof.Rotation, error) {
	k, err := readKeys(path)
	if err != nil {
		return proof.Rotation{}, fmt.Errorf("tlog: %w", err)
	}
	private, public, err := note.GenerateKey(rand.Reader, k.origin())
	if err != nil {
		return proof.Rotation{}, fmt.Errorf("tlog: %w", err)
	}
	parsed, err := proof.ParseKeys(public)
	if err != nil {
		return proof.Rotation{}, err
	}
	lines := append([]string{private}, k.lines...)
	err = place(path, []byte(strings.Join(lines, "\n")+"\n"), func(temporary string) error { return os.Rename(temporary, path) })
	if err != nil {
		return proof.Rotation{}, fmt.Errorf("tlog: write the key file: %w", err)
	}
	return proof.Rotation{Old: k.public[0], New: parsed[0]}, nil
}

// PublicKeys returns the public halves of the keys in a key file, the one that
// signs first.
func PublicKeys(path string) (proof.Keys, error) {
	k, err := readKeys(path)
	if err != nil {
		return nil, fmt.Errorf("tlog: %w", err)
	}
	return k.public, nil
}

// rotations returns the rotations that lead from the oldest key of the file to
// the one that signs, the first one first.
func (k keys) rotations() (all []string, err error) {
	for i := len(k.signers) - 1; i > 0; i-- {
		r, err := proof.Rotate(k.public[i], k.public[i-1], k.signers[i], k.signers[i-1])
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// place writes a file of mode 0600 beside path and lets put give it its name.
// Both are on disk when it returns.
func place(path string, content []byte, put func(temporary string) error) error {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // a second name, or one that was not needed
	_, err = f.Write(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := put(f.Name()); err != nil {
		return err
	}
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// replace writes a file over the one that is there. Either the old or the new one
// is there at any time.
func replace(path string, content []byte) error {
	if was, err := os.ReadFile(path); err == nil && bytes.Equal(was, content) {
		return nil
	}
	return place(path, content, func(temporary string) error { return os.Rename(temporary, path) })
}
